/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether the store still is the one that a position was reached in.
 *
 * Happy path: the greatest event at or below a position, its anchor, was saved with it, and is
 * found where it was.
 * Failure modes: nothing or another event is there: the store went back, after a restore, a
 * failover or a replacement, and new events have old positions or will have. The message says what
 * is known and what can be done. A replica may only be behind. A position below 0 is nobody's.
 */
#include "path/anchor.h"

#include <stdio.h>
#include <string.h>

#include "path/port.h"

#define ANCHOR_LETTERS 20 /* dead letters asked for an event that both stores know */
/* longer names leave no room for the evidence when the ways out repeat them */
#define ANCHOR_NAME 30

tide_status anchor_find(const struct tide_store *feed, void *session, tide_position position,
			struct tide_anchor *ret, struct tide_error *err)
{
	bool may_come;
	*ret = (struct tide_anchor){ 0 };
	if (position == 0)
		return TIDE_OK;
	tide_status status = port_anchor(feed, session, position, ret, &may_come, err);
	if (status == TIDE_OK && tide_uuid_is_nil(&ret->event_id))
		*ret = (struct tide_anchor){ 0 };
	return status;
}

/* ---- Evidence -------------------------------------------------------------------------------- */

/* Where an event is now, 0: nowhere. */
static tide_position anchor_position_of(const struct anchor_look *look,
					const struct tide_uuid *event_id)
{
	struct tide_page page;
	tide_page_init(&page);
	tide_page_begin(&page, 1, 1);
	tide_position position = 0;
	if (!tide_uuid_is_nil(event_id) &&
	    port_find(look->feed, look->feed_session, event_id, &page, NULL) == TIDE_OK)
		position = page.entries[0].event.position;
	tide_page_fini(&page);
	return position;
}

/* The newest event that the projection and the store both know, by its last event or a dead letter;
 * 0: none tells it. */
static tide_position anchor_known_to_both(const struct anchor_look *look)
{
	tide_position position = anchor_position_of(look, &look->row->last_event_id);
	struct tide_dead_letter_filter filter = { .projection_name = look->row->projection_name,
						  .statuses = { true, true, true },
						  .limit = ANCHOR_LETTERS };
	struct tide_dead_letter_list list = { 0 };
	if (position > 0 ||
	    port_dead_letter_list(look->database, look->session, &filter, &list, NULL) != TIDE_OK)
		return position;

	for (size_t i = 0; i < list.count; i++) {
		tide_position found = anchor_position_of(look, &list.entries[i].event_id);
		position =
			found > position && found < look->row->anchor.position ? found : position;
	}

	tide_dead_letters_free(&list);
	return position;
}

static tide_status anchor_fail(const struct anchor_look *look, const struct tide_anchor *found,
			       struct tide_error *err)
{
	const struct tide_anchor *anchor = &look->row->anchor;
	char was[TIDE_UUID_TEXT_SIZE], is[TIDE_UUID_TEXT_SIZE], known[64] = "";
	tide_position end = 0, both = anchor_known_to_both(look);
	const char *name = look->row->projection_name,
		   *ways_name = strlen(name) <= ANCHOR_NAME ? name : "NAME";

	(void)port_end(look->feed, look->feed_session, &end, NULL);
	if (both > 0)
		snprintf(known, sizeof known, "; an event that both know is at %lld",
			 (long long)both);
	return tide_fail(
		err, TIDE_DIVERGED,
		"the store went back under '%.80s': event %s was at %lld, %s%s is there now, the "
		"feed ends at "
		"%lld%s; tide checkpoints rewind %s --to P, a rebuild (tide project FILE --reset; "
		"it alone is "
		"exact for a transactional read model), or tide checkpoints accept %s after a "
		"deletion on purpose",
		name, tide_uuid_format(&anchor->event_id, was), (long long)anchor->position,
		found->position == anchor->position ? "event " : "nothing",
		found->position == anchor->position ? tide_uuid_format(&found->event_id, is) : "",
		(long long)end, known, ways_name, ways_name);
}

static tide_status anchor_fail_below(const struct tide_checkpoint *row, struct tide_error *err)
{
	const char *name = row->projection_name;
	return tide_fail(err, TIDE_DIVERGED,
			 "the checkpoint of '%.80s' is at %lld, and no position is below 0; tide "
			 "project FILE --reset makes the read model anew, 'tide checkpoints reset "
			 "%s' forgets the row",
			 name, (long long)row->position,
			 strlen(name) <= ANCHOR_NAME ? name : "NAME");
}

tide_status anchor_verify(const struct anchor_look *look, struct tide_anchor *ret,
			  struct tide_error *err)
{
	const struct tide_checkpoint *row = look->row;
	const struct tide_anchor *anchor = &row->anchor;
	if (row->has_position && row->position < 0)
		return anchor_fail_below(row, err);
	/* Above its position it is of a time before somebody who knows no anchors moved the row. */
	bool is_due =
		anchor->position > 0 && row->has_position && anchor->position <= row->position;
	*ret = (struct tide_anchor){ 0 };
	if (!is_due || !port_has_anchors(look->feed))
		return TIDE_OK;

	struct tide_anchor found;
	bool may_come = false;
	tide_status status = port_anchor(look->feed, look->feed_session, anchor->position, &found,
					 &may_come, err);
	if (status != TIDE_OK)
		return status;
	if (found.position == anchor->position &&
	    tide_uuid_equal(&found.event_id, &anchor->event_id)) {
		*ret = found;
		return TIDE_OK;
	}
	if (may_come && found.position < anchor->position)
		return tide_fail(err, TIDE_BUSY,
				 "the replica has not got to position %lld of '%.80s' yet",
				 (long long)anchor->position, row->projection_name);
	return anchor_fail(look, &found, err);
}
