/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_PATH_HELD_H
#define TIDE_PATH_HELD_H

#include <tidemark/deadletter.h>
#include <tidemark/subscription.h>

/** The aggregates whose later events wait behind an unresolved dead letter, each with the event
 * they wait for. */
struct held;

tide_status held_new(struct held **ret, struct tide_error *err);
void held_free(struct held *held);
/** Replace what is held by what a list of unresolved entries, oldest first, says of a share (total
 * 0: of all of them). TIDE_OUT_OF_MEMORY. */
tide_status held_load(struct held *held, const struct tide_dead_letter_list *list,
		      struct tide_lane share, struct tide_error *err);
/** Hold the aggregate of an event that has just failed, unless it is held already. */
tide_status held_add(struct held *held, const struct tide_event *event, const char *event_id,
		     struct tide_error *err);
/** The id of the event that this event has to wait for, valid until the next load; NULL: its
 * aggregate is not held. */
const char *held_behind(const struct held *held, const struct tide_event *event);

#endif
