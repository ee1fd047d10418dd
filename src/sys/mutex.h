/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_SYS_MUTEX_H
#define TIDE_SYS_MUTEX_H

/*
 * A lock that knows its owner, and a condition to wait for under it. Waiting is by monotonic time.
 * Builds with debug information check the order of the locks of each thread.
 */

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "sys/clock.h"
#include "sys/thread.h"

#if defined(__clang__)
#define TIDE_CAPABILITY __attribute__((capability("mutex")))
#define TIDE_ACQUIRES(...) __attribute__((acquire_capability(__VA_ARGS__)))
#define TIDE_RELEASES(...) __attribute__((release_capability(__VA_ARGS__)))
#define TIDE_TRY_ACQUIRES(...) __attribute__((try_acquire_capability(__VA_ARGS__)))
#define TIDE_REQUIRES(...) __attribute__((requires_capability(__VA_ARGS__)))
#define TIDE_EXCLUDES(...) __attribute__((locks_excluded(__VA_ARGS__)))
#define TIDE_UNCHECKED __attribute__((no_thread_safety_analysis))
#else
#define TIDE_CAPABILITY
#define TIDE_ACQUIRES(...)
#define TIDE_RELEASES(...)
#define TIDE_TRY_ACQUIRES(...)
#define TIDE_REQUIRES(...)
#define TIDE_EXCLUDES(...)
#define TIDE_UNCHECKED
#endif

/** Which lock it is: locks.def has their order. */
enum lock_name {
#define LOCK(name, kind, guards) LOCK_##name,
#include "sys/locks.def"
#undef LOCK
	LOCKS
};

struct TIDE_CAPABILITY mutex {
	pthread_mutex_t lock;
	atomic_ulong owner; /* the holding thread, 0: nobody */
	enum lock_name name;
};
#define MUTEX_STATIC(which)                                                                        \
	{                                                                                          \
		.lock = PTHREAD_MUTEX_INITIALIZER, .name = (which)                                 \
	}

struct cond {
	pthread_cond_t cond;
};

void mutex_init(struct mutex *mutex, enum lock_name name);
void mutex_fini(struct mutex *mutex);
void mutex_lock(struct mutex *mutex) TIDE_ACQUIRES(*mutex);
void mutex_unlock(struct mutex *mutex) TIDE_RELEASES(*mutex);
/* false: not got in time */
bool mutex_lock_until(struct mutex *mutex, struct mono_time deadline)
	TIDE_TRY_ACQUIRES(true, *mutex);
/** Whether this thread holds it. Asserted several times an event, so it costs no call of ours. */
static inline bool mutex_is_mine(const struct mutex *mutex)
{
	return atomic_load_explicit(&mutex->owner, memory_order_relaxed) == thread_self();
}
/** Whether this thread may take it while it holds what it holds; where that is not checked, it
 * may. No deadlock comes from locks that every thread takes in one order. */
bool mutex_may_lock(const struct mutex *mutex);

void cond_init(struct cond *cond);
void cond_fini(struct cond *cond);
void cond_wait(struct cond *cond, struct mutex *mutex) TIDE_REQUIRES(*mutex);
bool cond_wait_until(struct cond *cond, struct mutex *mutex, struct mono_time deadline)
	TIDE_REQUIRES(*mutex); /* false: time is up */
void cond_broadcast(struct cond *cond);
void cond_signal(struct cond *cond);

#endif
