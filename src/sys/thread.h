/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_SYS_THREAD_H
#define TIDE_SYS_THREAD_H

#include <pthread.h>
#include <stdbool.h>

#include <tidemark/error.h>

struct thread {
	pthread_t handle;
	bool is_started;
	void (*run)(void *self);
	void *self;
	/* NULL, or called in the thread when it ends by anything but the return of `run` */
	void (*died)(void *self);
	char name[16]; /* shown by debuggers and top */
};

/** Start a thread with every signal blocked, so that handlers run in the program's own threads.
 * TIDE_OK, TIDE_OUT_OF_MEMORY. */
tide_status thread_start(struct thread *thread, const char *name, void (*run)(void *self),
			 void *self, struct tide_error *err);
/** The same; `died` is called when somebody ends the thread from inside `run` (pthread_exit). */
tide_status thread_start_watched(struct thread *thread, const char *name, void (*run)(void *self),
				 void (*died)(void *self), void *self, struct tide_error *err);
/** Wait for its end; a thread that was not started is allowed. */
void thread_join(struct thread *thread);
/** Let it run on by itself: nobody will join it. The struct may go when its `run` returns. */
void thread_detach(struct thread *thread);
/** A number that tells this thread from every other living one, never 0. */
static inline unsigned long thread_self(void)
{
	/* with glibc the address of the thread's descriptor: cheap, and never 0 */
	return (unsigned long)pthread_self();
}

#endif
