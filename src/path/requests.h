/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_PATH_REQUESTS_H
#define TIDE_PATH_REQUESTS_H

/*
 * Dead letters that somebody asked to have delivered again.
 */

#include <tidemark/backend.h>

#include <tidemark/subscription.h>

#include "sys/clock.h"

/** One of them. */
struct redelivery {
	tide_position position;
	int64_t id;
};

/** Those found at the last look, by position; from `next` on they are due. */
struct requests {
	struct mono_time look_at;
	struct redelivery *list;
	size_t count, next;
};

/** Look anew at the next step. */
void requests_forget(struct requests *requests);
/** Keep what is needed of those in a page that fall to a share (total 0: to all of them).
 * TIDE_OUT_OF_MEMORY. */
tide_status requests_note(struct requests *requests, const struct tide_dead_letter_list *page,
			  struct tide_lane share, struct tide_error *err);
/** All are noted: in the order of their positions from now on. */
void requests_sort(struct requests *requests);

#endif
