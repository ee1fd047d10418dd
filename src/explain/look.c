/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looking at a subscription through its databases.
 *
 * Happy path: its row, its lease with what its owner told last, pauses, dead letters and the feed
 * take a few reads; who keeps it from writing is asked for only where it wants to.
 * Failure modes: a database does not answer: an error, and nothing of the look counts.
 */
#include "explain/look.h"

#include <string.h>

#include "path/controls.h"
#include "path/family.h"
#include "path/growth.h"
#include "path/port.h"
#include "policy/states.h"
#include "policy/why.h"
#include "sys/alloc.h"

#define LOOK_LETTERS 200       /* of which the first that is parked is looked for */
#define LOOK_GROWTH_SECONDS 10 /* of appends, for their rate */

static tide_status look_find_row(struct why_look *look, struct tide_error *err)
{
	tide_status status = tide_checkpoints_load(look->checkpoints, look->name, &look->row, err);
	look->has_row = status == TIDE_OK;
	look->position = look->has_row && look->row.has_position ? look->row.position : 0;
	return status == TIDE_NOT_FOUND ? TIDE_OK : status;
}

bool look_runs_here(const struct why_look *look)
{
	return look->told.cause != TIDE_CAUSE_STOPPED && !state_is_terminal(look->told.state);
}

/* That of the name, or, where others run it with another number of lanes, of one of them. */
static bool look_is_owner(const struct why_look *look, const struct tide_lease_info *lease)
{
	struct tide_lane lane;
	if (look->owner_lanes == 0 || !lease->is_owned)
		return strcmp(lease->name, look->name) == 0;
	if (look->owner_lanes == 1)
		return strcmp(lease->name, look->title) == 0;
	return family_has(look->title, lease->name, &lane) && lane.total == look->owner_lanes;
}

static void look_take_lease(struct why_look *look, const struct tide_lease_info *lease)
{
	struct tide_lane lane;
	if (look_is_owner(look, lease)) {
		look->has_lease = true;
		look->lease = *lease;
	}
	look->lanes_owned += lease->is_owned && family_has(look->title, lease->name, &lane) &&
			     lane.total == look->lane.total;
}

static tide_status look_find_lease(struct why_look *look, struct tide_error *err)
{
	struct tide_lease_info *leases;
	size_t count;
	tide_status status = checkpoints_leases(look->checkpoints, &leases, &count, err);

	if (status != TIDE_OK)
		return status;
	for (size_t i = 0; i < count; i++)
		look_take_lease(look, &leases[i]);
	tide_free(leases);
	if (look->is_here && look->lease.is_owned && !look_runs_here(look))
		look->is_here = false; /* somebody else runs it */
	if (!look->is_here)
		look->has_told = look->has_lease && why_read(look->lease.reason, &look->told);
	return TIDE_OK;
}

/* Who stands by because others run it with another number of lanes, or with none. */
static tide_status look_find_group(struct why_look *look, struct tide_error *err)
{
	uint32_t lanes = look->lane.total > 0 ? look->lane.total : 1;
	struct tide_group group;
	if (!look->is_here || look->told.cause != TIDE_CAUSE_STANDING_BY)
		return TIDE_OK;
	tide_status status = checkpoints_group(look->checkpoints, look->title, &group, err);
	uint32_t others = group.lanes > 1 ? group.lanes : 1;
	if (status == TIDE_OK && others != lanes)
		look->owner_lanes = others;
	return status;
}

static tide_status look_find_control(struct why_look *look, struct tide_error *err)
{
	struct tide_control *list;
	size_t count;
	tide_status status = tide_controls_list(look->checkpoints, &list, &count, err);
	if (status != TIDE_OK)
		return status;

	const struct tide_control *control = controls_find(list, count, look->title);
	look->has_control = control != NULL;
	if (control)
		look->control = *control;
	tide_free(list);
	return TIDE_OK;
}

static tide_status look_count_letters(struct why_look *look, struct tide_error *err)
{
	struct tide_dead_letter_count *counts;
	size_t count;
	tide_status status = tide_dead_letters_counts(look->checkpoints, &counts, &count, err);
	if (status != TIDE_OK)
		return status;
	for (size_t i = 0; i < count; i++)
		if (strcmp(counts[i].projection_name, look->title) == 0) {
			look->dead_letters = counts[i].failure_count;
			look->retrying = counts[i].retrying_count;
		}
	tide_free(counts);
	return TIDE_OK;
}

static void look_note_parked(struct why_look *look, const struct tide_dead_letter_list *list)
{
	const char *behind = NULL;
	for (size_t i = 0; i < list->count; i++) {
		const char *of = list->entries[i].parked_behind;
		if (of && !behind && tide_uuid_parse(of, &look->parked_behind, NULL) == TIDE_OK)
			behind = of;
		look->parked += of && behind && strcmp(of, behind) == 0;
	}
	for (size_t i = 0; behind && i < list->count; i++) {
		const struct tide_dead_letter *head = &list->entries[i];
		if (!tide_uuid_equal(&head->event_id, &look->parked_behind))
			continue;
		look->parked_letter = head->id;
		tide_fail(&look->parked_error, TIDE_HANDLER_PERMANENT, "%s", head->error_message);
	}
}

/* The first aggregate that is held, of the oldest entries. */
static tide_status look_find_parked(struct why_look *look, struct tide_error *err)
{
	const struct tide_store *database = look->checkpoints->database;
	const struct tide_dead_letter_filter filter = {
		.projection_name = look->title,
		.statuses = { [TIDE_DEAD_LETTER_FAILED] = true,
			      [TIDE_DEAD_LETTER_RETRYING] = true },
		.limit = LOOK_LETTERS,
		.oldest_first = true
	};
	struct tide_dead_letter_list list = { 0 };
	void *session;

	if (look->dead_letters < 2)
		return TIDE_OK;
	tide_status status = store_borrow(look->checkpoints->database, &session, err);
	if (status != TIDE_OK)
		return status;
	status = port_dead_letter_list(database, session, &filter, &list, err);
	store_return(look->checkpoints->database, session, status);
	if (status == TIDE_OK)
		look_note_parked(look, &list);
	tide_dead_letters_free(&list);
	return status;
}

static tide_status look_verify(struct why_look *look, struct tide_error *err)
{
	struct tide_error found;
	if (!look->has_row)
		return TIDE_OK;
	tide_status status = tide_checkpoints_verify(look->checkpoints, look->name, &found);
	if (status == TIDE_DIVERGED)
		look->diverged = found;
	if (status == TIDE_CONNECTION_LOST || status == TIDE_OUT_OF_MEMORY)
		return tide_fail(err, status, "%s", found.message);
	return TIDE_OK;
}

bool look_is_alive(const struct why_look *look)
{
	return look->is_here ? look_runs_here(look) : look->lease.is_owned;
}

/* Whether it wants to write, as far as is known. */
static bool look_is_waiting(const struct why_look *look)
{
	bool is_at_rest = look->has_told && (look->told.cause == TIDE_CAUSE_PAUSED ||
					     look->told.cause == TIDE_CAUSE_STANDING_BY);
	bool is_in_trouble = look->has_told && look->told.cause != TIDE_CAUSE_LIVE;
	return !is_at_rest && (is_in_trouble || look->position < look->horizon.end);
}

/* Who writes all the time while it stands where it stood. */
static tide_status look_find_blocker(struct why_look *look, struct tide_error *err)
{
	struct tide_store *database = look->checkpoints->database;
	const struct tide_evidence *session = tide_why_evidence(&look->told, "session");
	struct tide_blocker blocker = { 0 };
	tide_position before = look->position;
	void *borrowed;

	if (!port_knows_blockers(database) || !look_is_alive(look) || !look_is_waiting(look))
		return TIDE_OK;
	tide_status status = store_borrow(database, &borrowed, err);
	if (status != TIDE_OK)
		return status;
	status = port_blocked(database, borrowed,
			      session && look->has_told ? (int64_t)session->number : 0, &blocker,
			      err);
	store_return(database, borrowed, status);
	if (status == TIDE_OK && *blocker.what)
		status = look_find_row(look, err);
	if (status == TIDE_OK && look->position == before)
		look->blocker = blocker;
	return status;
}

/* What a slow handler is to be compared with. */
static tide_status look_find_growth(struct why_look *look, struct tide_error *err)
{
	int64_t since = tide_time_now().unix_us - LOOK_GROWTH_SECONDS * INT64_C(1000000);
	int64_t count = 0;
	if (!look->has_told || look->told.cause != TIDE_CAUSE_SLOW_HANDLER)
		return TIDE_OK;
	tide_status status =
		growth_since(look->checkpoints->feed, look->horizon.end, since, &count, err);
	look->appends_per_second = (double)count / LOOK_GROWTH_SECONDS;
	return status;
}

tide_status look_at(struct why_look *look, struct tide_error *err)
{
	tide_status status = look_find_row(look, err);

	if (status == TIDE_OK)
		status = look_find_group(look, err);
	if (status == TIDE_OK)
		status = look_find_lease(look, err);
	if (status == TIDE_OK)
		status = look_find_control(look, err);
	if (status == TIDE_OK && !look->has_row && !look->has_lease && !look->is_here &&
	    !look->has_control && look->lane.total == 0)
		return tide_fail(err, TIDE_NOT_FOUND, "no projection '%s' in '%s'", look->name,
				 look->checkpoints->database->url);
	if (status == TIDE_OK)
		status = tide_store_settle(look->checkpoints->feed, 0, &look->horizon, err);
	if (status == TIDE_OK)
		status = look_find_growth(look, err);
	if (status == TIDE_OK)
		status = look_count_letters(look, err);
	if (status == TIDE_OK)
		status = look_find_parked(look, err);
	if (status == TIDE_OK)
		status = look_verify(look, err);
	if (status == TIDE_OK)
		status = look_find_blocker(look, err);
	return status;
}
