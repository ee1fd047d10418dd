/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/clock.h"

#include <time.h>

static int64_t clock_read_ns(clockid_t id)
{
	struct timespec now;
	clock_gettime(id, &now);
	return now.tv_sec * NS_PER_SECOND + now.tv_nsec;
}

static struct mono_time clock_system_mono(struct clock *clock)
{
	(void)clock;
	return (struct mono_time){ clock_read_ns(CLOCK_MONOTONIC) };
}

static struct tide_time clock_system_wall(struct clock *clock)
{
	(void)clock;
	return tide_time_now();
}

struct clock clock_system = { clock_system_mono, clock_system_wall };

struct tide_time tide_time_now(void)
{
	return (struct tide_time){ clock_read_ns(CLOCK_REALTIME) / 1000 };
}
