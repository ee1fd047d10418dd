/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/mutex.h"

#include <assert.h>
#include <errno.h>
#include <time.h>

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

/* ---- The order ------------------------------------------------------------------------------- */

#ifdef TIDE_CHECK_LOCKS
enum lock_kind { OUTER, ORDERED, ALONE, INNER, LAST };

static const enum lock_kind lock_kinds[] = {
#define LOCK(name, kind, guards) [LOCK_##name] = kind,
#include "sys/locks.def"
#undef LOCK
};

#define LOCKS_HELD_MAX 8

/** What this thread holds, in the order in which it took it. */
static _Thread_local struct {
	enum lock_name names[LOCKS_HELD_MAX];
	int count;
} mutex_held;

static bool mutex_may_follow(enum lock_name held, enum lock_name name)
{
	enum lock_kind kind = lock_kinds[name];
	bool goes_together = lock_kinds[held] == OUTER || kind == LAST ||
			     (kind == lock_kinds[held] && (kind == ORDERED || kind == INNER));
	return held < name && goes_together;
}

bool mutex_may_lock(const struct mutex *mutex)
{
	for (int i = 0; i < mutex_held.count; i++)
		if (!mutex_may_follow(mutex_held.names[i], mutex->name))
			return false;
	return mutex_held.count < LOCKS_HELD_MAX;
}

static void mutex_note_held(const struct mutex *mutex)
{
	mutex_held.names[mutex_held.count++] = mutex->name;
}

static void mutex_note_left(const struct mutex *mutex)
{
	int i = mutex_held.count - 1;
	while (mutex_held.names[i] != mutex->name)
		i--;
	for (mutex_held.count--; i < mutex_held.count; i++)
		mutex_held.names[i] = mutex_held.names[i + 1];
}
#else
bool mutex_may_lock(const struct mutex *mutex)
{
	(void)mutex;
	return true;
}

static void mutex_note_held(const struct mutex *mutex)
{
	(void)mutex;
}

static void mutex_note_left(const struct mutex *mutex)
{
	(void)mutex;
}
#endif

/* ---- Locks ----------------------------------------------------------------------------------- */

static void mutex_own(struct mutex *mutex)
{
	mutex_note_held(mutex);
	atomic_store_explicit(&mutex->owner, thread_self(), memory_order_relaxed);
}

static void mutex_disown(struct mutex *mutex)
{
	assert(mutex_is_mine(mutex));
	mutex_note_left(mutex);
	atomic_store_explicit(&mutex->owner, 0, memory_order_relaxed);
}

void mutex_init(struct mutex *mutex, enum lock_name name)
{
	int rc = pthread_mutex_init(&mutex->lock, NULL);
	assert(rc == 0);
	(void)rc;
	atomic_init(&mutex->owner, 0);
	mutex->name = name;
}

void mutex_fini(struct mutex *mutex)
{
	pthread_mutex_destroy(&mutex->lock);
}

TIDE_UNCHECKED void mutex_lock(struct mutex *mutex)
{
	assert(!mutex_is_mine(mutex) && mutex_may_lock(mutex));
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
	assert(!mutex_is_mine(mutex) && mutex_may_lock(mutex));
	if (pthread_mutex_trylock(&mutex->lock) != 0 && mutex_wait(mutex, deadline) != 0)
		return false;
	mutex_own(mutex);
	return true;
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
