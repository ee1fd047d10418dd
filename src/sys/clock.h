/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_SYS_CLOCK_H
#define TIDE_SYS_CLOCK_H

/* Monotonic time, for measuring and scheduling, is another type than wall time (struct tide_time),
 * for telling people. */

#include <stdint.h>

#include <tidemark/time.h>

struct mono_time {
	int64_t ns; /* since an arbitrary beginning */
};

#define MONO_NEVER ((struct mono_time){ INT64_MAX })
#define NS_PER_SECOND INT64_C(1000000000)
#define NS_PER_MS INT64_C(1000000)

/** Where time comes from: the machine, or a simulation. */
struct clock {
	struct mono_time (*mono)(struct clock *clock);
	struct tide_time (*wall)(struct clock *clock);
};

extern struct clock clock_system;

static inline struct mono_time clock_mono(struct clock *clock)
{
	return clock->mono(clock);
}
static inline struct tide_time clock_wall(struct clock *clock)
{
	return clock->wall(clock);
}
static inline struct mono_time mono_add(struct mono_time time, int64_t ns)
{
	bool is_beyond = time.ns > 0 && ns > INT64_MAX - time.ns; /* a time may be before 0 */
	return (struct mono_time){ is_beyond ? INT64_MAX : time.ns + ns };
}
static inline struct mono_time mono_min(struct mono_time a, struct mono_time b)
{
	return a.ns < b.ns ? a : b;
}
static inline int64_t mono_since(struct mono_time now, struct mono_time then)
{
	return now.ns - then.ns;
}
/** Seconds to nanoseconds, as much as fits. */
static inline int64_t ns_of_seconds(double seconds)
{
	return seconds >= 9.2e9 ? INT64_MAX : (int64_t)(seconds * 1e9);
}
static inline double seconds_of_ns(int64_t ns)
{
	return (double)ns / 1e9;
}

#endif
