/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/mutex.h"

#include <assert.h>
#include <errno.h>
#include <time.h>

#include "sys/thread.h"

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define MUTEX_UNDER_TSAN
#endif
#elif defined(__SANITIZE_THREAD__)
#define MUTEX_UNDER_TSAN
#endif

static struct timespec mutex_timespec(struct mono_time time)
{
	int64_t ns = time.ns < 0 ? 0 : time.ns;
	return (struct timespec){ .tv_sec = ns / NS_PER_SECOND, .tv_nsec = ns % NS_PER_SECOND };
}

static void mutex_own(struct mutex *mutex)
{
	atomic_store_explicit(&mutex->owner, thread_self(), memory_order_relaxed);
}

static void mutex_disown(struct mutex *mutex)
{
	assert(mutex_is_mine(mutex));
	atomic_store_explicit(&mutex->owner, 0, memory_order_relaxed);
}

void mutex_init(struct mutex *mutex)
{
	int rc = pthread_mutex_init(&mutex->lock, NULL);
	assert(rc == 0);
	(void)rc;
	atomic_init(&mutex->owner, 0);
}

void mutex_fini(struct mutex *mutex)
{
	pthread_mutex_destroy(&mutex->lock);
}

TIDE_UNCHECKED void mutex_lock(struct mutex *mutex)
{
	assert(!mutex_is_mine(mutex));
	pthread_mutex_lock(&mutex->lock);
	mutex_own(mutex);
}

TIDE_UNCHECKED void mutex_unlock(struct mutex *mutex)
{
	mutex_disown(mutex);
	pthread_mutex_unlock(&mutex->lock);
}

/* The thread sanitizers of gcc 12 and clang 14 know only the older call, which waits by the wall
 * clock. */
#ifdef MUTEX_UNDER_TSAN
static int mutex_wait(struct mutex *mutex, struct mono_time deadline)
{
	int64_t left = mono_since(deadline, clock_mono(&clock_system));
	int64_t wall_ns = clock_wall(&clock_system).unix_us * 1000;
	struct timespec until = mutex_timespec(mono_add((struct mono_time){ wall_ns }, left));
	return pthread_mutex_timedlock(&mutex->lock, &until);
}
#else
static int mutex_wait(struct mutex *mutex, struct mono_time deadline)
{
	struct timespec until = mutex_timespec(deadline);
	return pthread_mutex_clocklock(&mutex->lock, CLOCK_MONOTONIC, &until);
}
#endif

TIDE_UNCHECKED bool mutex_lock_until(struct mutex *mutex, struct mono_time deadline)
{
	assert(!mutex_is_mine(mutex));
	if (pthread_mutex_trylock(&mutex->lock) != 0 && mutex_wait(mutex, deadline) != 0)
		return false;
	mutex_own(mutex);
	return true;
}

bool mutex_is_mine(const struct mutex *mutex)
{
	return atomic_load_explicit(&mutex->owner, memory_order_relaxed) == thread_self();
}

void cond_init(struct cond *cond)
{
	pthread_condattr_t attributes;
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	int rc = pthread_cond_init(&cond->cond, &attributes);
	assert(rc == 0);
	(void)rc;
	pthread_condattr_destroy(&attributes);
}

void cond_fini(struct cond *cond)
{
	pthread_cond_destroy(&cond->cond);
}

void cond_wait(struct cond *cond, struct mutex *mutex)
{
	mutex_disown(mutex);
	pthread_cond_wait(&cond->cond, &mutex->lock);
	mutex_own(mutex);
}

bool cond_wait_until(struct cond *cond, struct mutex *mutex, struct mono_time deadline)
{
	if (deadline.ns == MONO_NEVER.ns) {
		cond_wait(cond, mutex);
		return true;
	}
	struct timespec until = mutex_timespec(deadline);
	mutex_disown(mutex);
	int rc = pthread_cond_timedwait(&cond->cond, &mutex->lock, &until);
	mutex_own(mutex);
	return rc != ETIMEDOUT;
}

void cond_broadcast(struct cond *cond)
{
	pthread_cond_broadcast(&cond->cond);
}

void cond_signal(struct cond *cond)
{
	pthread_cond_signal(&cond->cond);
}
