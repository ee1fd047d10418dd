/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/thread.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "sys/alloc.h"

static void thread_died(void *argument)
{
	struct thread *thread = argument;
	if (thread->died)
		thread->died(thread->self);
}

static void *thread_main(void *argument)
{
	struct thread *thread = argument;
	pthread_setname_np(pthread_self(), thread->name);
	pthread_cleanup_push(thread_died, thread);
	thread->run(thread->self);
	pthread_cleanup_pop(0);
	return NULL;
}

tide_status thread_start(struct thread *thread, const char *name, void (*run)(void *self),
			 void *self, struct tide_error *err)
{
	return thread_start_watched(thread, name, run, NULL, self, err);
}

tide_status thread_start_watched(struct thread *thread, const char *name, void (*run)(void *self),
				 void (*died)(void *self), void *self, struct tide_error *err)
{
	*thread = (struct thread){ .run = run, .self = self, .died = died };
	snprintf(thread->name, sizeof thread->name, "%s", name);
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int rc = alloc_is_refused() ? EAGAIN
				    : pthread_create(&thread->handle, NULL, thread_main, thread);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc != 0)
		return tide_fail(err, TIDE_OUT_OF_MEMORY, "no thread for '%s': %s", name,
				 strerror(rc));

	thread->is_started = true;
	return TIDE_OK;
}

void thread_join(struct thread *thread)
{
	if (!thread->is_started)
		return;
	pthread_join(thread->handle, NULL);
	thread->is_started = false;
}

void thread_detach(struct thread *thread)
{
	if (thread->is_started)
		pthread_detach(thread->handle);
	thread->is_started = false;
}
