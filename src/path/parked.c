/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events that wait in the dead-letter queue for an older one of their aggregate
 * (hold_aggregate_on_failure). Whether an entry does is its column parked_behind and nothing else:
 * what a handler says in its message means nothing here.
 *
 * Happy path: the head fails; later events of its aggregate are added, parked behind it; the head
 * is resolved or discarded; they become `retrying` and are delivered again in the order of their
 * positions.
 *
 *	parked ──head out of the way──▶ due (retrying, parked_behind kept) ──delivered──▶ resolved
 *	   ▲                                        │ one of them fails: it is the head now, and not parked
 *	   └────────────── the rest ◀───────────────┘
 *
 * Failure modes: whoever took the head away died before saying so, or was a person with SQL: what
 * is parked behind nothing is found at every look and becomes due, too.
 */
#include "path/parked.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/event.h"
#include "path/held.h"
#include "path/port.h"
#include "path/runner.h"
#include "path/session.h"
#include "path/transaction.h"
#include "sys/alloc.h"

static const struct tide_store *parked_database(const struct tide_subscription *subscription)
{
	return subscription->engine->checkpoints->database;
}

void parked_say(const char *behind, char ret[PARKED_MESSAGE_SIZE])
{
	snprintf(ret, PARKED_MESSAGE_SIZE, "parked behind event %s", behind);
}

/* ---- Becoming due ---------------------------------------------------------------------------- */

/* A person who was faster is no failure. */
static tide_status parked_make_one_due(const struct tide_store *database, void *session,
				       const struct tide_fence *fence, int64_t id,
				       struct tide_time now, bool *ret_done, struct tide_error *err)
{
	struct tide_dead_letter_change change = { .id = id,
						  .from = { [TIDE_DEAD_LETTER_FAILED] = true },
						  .to = TIDE_DEAD_LETTER_RETRYING,
						  .now = now };
	tide_status status = port_dead_letter_change(database, session, fence, &change, err);
	*ret_done = *ret_done || status == TIDE_OK;
	return status == TIDE_NOT_FOUND || status == TIDE_STATE ? TIDE_OK : status;
}

tide_status parked_make_due(const struct tide_store *database, void *session,
			    const struct tide_fence *fence, const struct tide_dead_letter *head,
			    struct tide_time now, struct tide_error *err)
{
	struct tide_dead_letter_filter filter = { .projection_name = head->projection_name,
						  .statuses = { [TIDE_DEAD_LETTER_FAILED] = true },
						  .limit = -1,
						  .oldest_first = true,
						  .parked_behind = head->event_id_text };
	struct tide_dead_letter_list list = { 0 };
	bool is_done = false;
	tide_status status = port_dead_letter_list(database, session, &filter, &list, err);

	for (size_t i = 0; status == TIDE_OK && i < list.count; i++)
		status = parked_make_one_due(database, session, fence, list.entries[i].id, now,
					     &is_done, err);
	tide_dead_letters_free(&list);
	return status;
}

static int parked_compare_ids(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* What falls to another lane is that one's. */
static tide_status parked_is_ours(const struct tide_subscription *subscription,
				  const struct tide_dead_letter *entry, bool *ret,
				  struct tide_error *err)
{
	struct tide_lane share = lane_share(subscription);
	struct event_place place;
	*ret = true;
	if (share.total == 0)
		return TIDE_OK;
	tide_status status = event_read_place(tide_text(entry->event_data), &place, err);
	*ret = status == TIDE_OK && event_place_is_in(&place, share.index, share.total);
	return status;
}

/* Make due what waits for nothing any more; `list` is everything unresolved. */
static tide_status parked_make_orphans_due(struct tide_subscription *subscription,
					   const struct tide_dead_letter_list *list,
					   bool *ret_has_due, struct tide_error *err)
{
	const char **ids ALLOC_AUTO = alloc_zero(list->count + 1, sizeof *ids);
	if (!ids)
		return alloc_fail(err);

	for (size_t i = 0; i < list->count; i++)
		ids[i] = list->entries[i].event_id_text;
	qsort(ids, list->count, sizeof *ids, parked_compare_ids);
	tide_status status = TIDE_OK;
	for (size_t i = 0; status == TIDE_OK && i < list->count; i++) {
		const struct tide_dead_letter *entry = &list->entries[i];
		if (entry->status != TIDE_DEAD_LETTER_FAILED || !entry->parked_behind ||
		    bsearch(&entry->parked_behind, ids, list->count, sizeof *ids,
			    parked_compare_ids))
			continue;
		bool is_ours;
		status = parked_is_ours(subscription, entry, &is_ours, err);
		if (!is_ours)
			continue;
		status = parked_make_one_due(parked_database(subscription),
					     subscription->runner.sessions.database,
					     transaction_fence(subscription), entry->id,
					     runner_wall(subscription), ret_has_due, err);
	}
	return status;
}

tide_status parked_load(struct tide_subscription *subscription, bool *ret_has_due,
			struct tide_error *err)
{
	struct tide_dead_letter_filter filter = {
		.projection_name = subscription_title(subscription),
		.statuses = { [TIDE_DEAD_LETTER_FAILED] = true,
			      [TIDE_DEAD_LETTER_RETRYING] = true },
		.limit = -1,
		.oldest_first = true,
	};

	struct tide_dead_letter_list list = { 0 };
	*ret_has_due = false;
	tide_status status = session_dead_letter_list(subscription, &filter, &list, err);
	if (status == TIDE_OK)
		status = held_load(subscription->runner.held, &list, lane_share(subscription), err);
	if (status == TIDE_OK)
		status = parked_make_orphans_due(subscription, &list, ret_has_due, err);
	tide_dead_letters_free(&list);
	return status;
}

/* ---- Going back ------------------------------------------------------------------------------ */

static bool parked_is_of(const struct event_place *place, const struct tide_event *event)
{
	return place->has_stream && tide_uuid_equal(&place->aggregate_id, &event->aggregate_id) &&
	       place->type_hash == event_type_hash(event->aggregate_type);
}

/* One entry that was due; it goes back when it is of the head's aggregate. */
static tide_status parked_return(struct tide_subscription *subscription,
				 const struct tide_dead_letter *entry,
				 const struct tide_dead_letter *head,
				 const struct tide_event *event, struct tide_error *err)
{
	struct event_place place;
	char message[PARKED_MESSAGE_SIZE];
	tide_status status = event_read_place(tide_text(entry->event_data), &place, err);
	if (status != TIDE_OK || !parked_is_of(&place, event))
		return status;

	parked_say(head->event_id_text, message);
	struct tide_dead_letter_change change = { .id = entry->id,
						  .from = { [TIDE_DEAD_LETTER_RETRYING] = true },
						  .to = TIDE_DEAD_LETTER_FAILED,
						  .message = message,
						  .parked_behind = head->event_id_text,
						  .now = runner_wall(subscription) };
	status = session_dead_letter_change(subscription, &change, err);
	return status == TIDE_NOT_FOUND || status == TIDE_STATE ? TIDE_OK : status;
}

tide_status parked_put_back(struct tide_subscription *subscription,
			    const struct tide_dead_letter *head, const struct tide_event *event,
			    struct tide_error *err)
{
	struct tide_dead_letter_filter filter = {
		.projection_name = subscription_title(subscription),
		.statuses = { [TIDE_DEAD_LETTER_RETRYING] = true },
		.limit = -1,
		.oldest_first = true
	};
	struct tide_dead_letter_list list = { 0 };
	tide_status status = session_dead_letter_list(subscription, &filter, &list, err);

	for (size_t i = 0; status == TIDE_OK && i < list.count; i++)
		if (list.entries[i].id != head->id && list.entries[i].parked_behind)
			status = parked_return(subscription, &list.entries[i], head, event, err);
	tide_dead_letters_free(&list);
	return status;
}
