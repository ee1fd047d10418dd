/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_SYS_COMBINE_H
#define TIDE_SYS_COMBINE_H

/*
 * Work of several threads that one of them does for all.
 *
 *	caller ──▶ queue ──▶ nobody leads? lead: take the queue, do the work of all
 *	                     else wait: told to lead, or that it is done
 *	leader ──▶ tell the next leader, then the others
 *
 * Happy path: who is alone leads, without waiting. Who comes while others work is in the next
 * group, led by the first of it. Fails when: never; how the work went is the caller's own.
 */

#include "sys/mutex.h"

/** What a caller is told by the leader before it. */
enum combine_turn { COMBINE_WAITS, COMBINE_LEADS, COMBINE_IS_DONE };

/** One caller's part, on its own stack: the first member of what it is to have done. */
struct combine_part {
	struct combine_part *next; /* under the queue's lock, then the leader's */
	/* under lock, each its own: those who are woken do not meet at one */
	struct mutex lock;
	struct cond told;
	enum combine_turn turn;
};

/** Parts that wait, in order of arrival. */
struct combiner {
	/* under lock */
	struct mutex lock;
	struct combine_part *first, **last;
	size_t waiting;
	bool is_led; /* somebody works, or is told to */
};

/** By the leader's thread. Takes the parts that it does from the queue, its own among them, and
 * returns them. */
typedef struct combine_part *combine_work(void *self);

void combiner_init(struct combiner *combiner);
void combiner_fini(struct combiner *combiner);
/** For the leader: everybody who waits. */
struct combine_part *combiner_take(struct combiner *combiner);
/** For the leader: whether it was the only one, whose part is taken then. */
bool combiner_take_only(struct combiner *combiner);
/** Have a part done: by `work`, called with `self`, or by another caller's. `part` is zero but for
 * what stands behind it. Returns when it is done. Threads: any. */
void combiner_run(struct combiner *combiner, struct combine_part *part, combine_work *work,
		  void *self);

#endif
