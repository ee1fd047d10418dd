/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A person lets a subscription go on behind the event that it stopped on.
 *
 * Happy path: the lease says which event ended the last run, nobody owns the name: own it, save the
 * event's position with the journal's entry in one transaction, let go.
 * Failure modes: taking the ownership already makes that error one of the past, so that whatever
 * happens later, a second call without a run in between skips nothing. Killed on the way: the event
 * is skipped and noted, or neither. An event before it is not settled: refused, since only a run
 * gets to the one that blocks.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/text.h"
#include "path/anchor.h"
#include "path/controls.h"
#include "path/family.h"
#include "path/journal.h"
#include "path/port.h"
#include "path/segments.h"
#include "policy/why.h"
#include "sys/alloc.h"
#include "sys/log.h"

/** A call, step by step. */
struct skip {
	struct tide_checkpoints *checkpoints;
	const char *name;
	const struct tide_control_request *request;
	void *session, *feed_session;
	struct tide_lease_info lease;
	tide_position position; /* of the event that ended the last run; 0: none did */
	struct tide_checkpoint row;
	struct tide_checkpoint_known known;
	struct tide_anchor event; /* that is skipped */
	struct tide_fence fence;
};

static const struct tide_store *skip_database(const struct skip *skip)
{
	return skip->checkpoints->database;
}

/* ---- What it stopped on ---------------------------------------------------------------------- */

static tide_status skip_find_lease(struct skip *skip, struct tide_error *err)
{
	struct tide_lease_info *list;
	size_t count;
	if (!port_lists_leases(skip_database(skip)))
		return tide_fail(err, TIDE_UNSUPPORTED,
				 "the database does not keep what ended a run");
	tide_status status =
		port_lease_list(skip_database(skip), skip->session, &list, &count, err);
	if (status != TIDE_OK)
		return status;
	for (size_t i = 0; i < count; i++)
		if (strcmp(list[i].name, skip->name) == 0)
			skip->lease = list[i];
	tide_free(list);

	struct tide_why why;
	if (why_read(skip->lease.reason, &why) && why.cause == TIDE_CAUSE_FAILED_EVENT) {
		const struct tide_evidence *event = tide_why_evidence(&why, "event_position");
		skip->position = event ? (tide_position)event->number : 0;
	}
	return TIDE_OK;
}

static tide_status skip_check_lease(const struct skip *skip, tide_position position,
				    struct tide_error *err)
{
	const struct tide_lease_info *lease = &skip->lease;
	bool was_last =
		lease->has_last_error && lease->last_error_at.unix_us >= lease->acquired_at.unix_us;
	if (lease->is_owned)
		return tide_fail(err, TIDE_STATE,
				 "'%s' is running; only one that stopped on an event can skip it",
				 skip->name);
	if (!was_last || skip->position == 0)
		return tide_fail(err, TIDE_STATE, "the last run of '%s' did not stop on an event",
				 skip->name);
	if (position != 0 && position != skip->position)
		return tide_fail(err, TIDE_STATE, "'%s' stopped on the event at %lld, not %lld",
				 skip->name, (long long)skip->position, (long long)position);
	return TIDE_OK;
}

/* The row is before the event, and the event is there. */
static tide_status skip_find_event(struct skip *skip, struct tide_error *err)
{
	tide_position position = skip->position;
	tide_status status =
		port_load(skip_database(skip), skip->session, skip->name, &skip->row, err);
	if (status == TIDE_OK)
		skip->known = (struct tide_checkpoint_known){ true, skip->row.has_position,
							      skip->row.position,
							      skip->row.events_processed };
	else if (status != TIDE_NOT_FOUND)
		return status;
	if (skip->row.has_position && skip->row.position >= position)
		return tide_fail(err, TIDE_STATE, "'%s' is at %lld, behind that event at %lld",
				 skip->name, (long long)skip->row.position, (long long)position);

	status = anchor_find(skip->checkpoints->feed, skip->feed_session, position, &skip->event,
			     err);
	if (status == TIDE_OK && skip->event.position != position)
		status = tide_fail(err, TIDE_NOT_FOUND,
				   "the event at %lld that '%s' stopped on is gone",
				   (long long)position, skip->name);
	return status;
}

/** What the last run was to be delivered, and from where on. */
struct skip_rest {
	struct segment_filter filter;
	tide_position behind;
};

/* Without a trace of it, everything behind the row. */
static tide_status skip_find_rest(const struct skip *skip, struct skip_rest *ret,
				  struct tide_error *err)
{
	struct tide_segment *list = NULL;
	size_t count = 0;
	*ret = (struct skip_rest){ .behind = skip->row.has_position ? skip->row.position : 0 };
	tide_status status = segments_list(skip->checkpoints, skip->name, &list, &count, err);
	const struct tide_segment *last = count > 0 ? &list[count - 1] : NULL;
	if (last && !last->has_ended) {
		ret->behind = segment_reach(last, &skip->row);
		status = segment_filter_read(last->filter, &ret->filter, err);
	}
	tide_segments_free(list, count);
	return status;
}

/* The row may be further back than the run was: it was moved, or what was settled before the event
 * could not be saved. */
static tide_status skip_check_next(const struct skip *skip, struct tide_error *err)
{
	struct skip_rest rest;
	struct tide_page page;
	tide_status status = skip_find_rest(skip, &rest, err);
	if (status != TIDE_OK)
		return status;

	struct tide_page_query query = { .filter = &rest.filter.filter,
					 .bound = rest.behind,
					 .max_events = 1,
					 .max_bytes = 1,
					 .is_unsettled = true };
	tide_page_init(&page);
	tide_page_begin(&page, query.max_events, query.max_bytes);
	status = port_read(skip->checkpoints->feed, skip->feed_session, &query, &page, err);
	tide_position next = page.count > 0 ? page.entries[0].event.position : skip->position;
	if (status == TIDE_OK && next < skip->position)
		status = tide_fail(err, TIDE_STATE,
				   "the event at %lld comes before the one at %lld, and '%s' has "
				   "not settled it; start it again",
				   (long long)next, (long long)skip->position, skip->name);
	tide_page_fini(&page);
	segment_filter_fini(&rest.filter);
	return status;
}

/* ---- Going behind it ------------------------------------------------------------------------- */

static tide_status skip_own(struct skip *skip, const struct person *person, struct tide_error *err)
{
	struct tide_lease lease = { 0 };
	struct tide_lease_note note = { .host = person->host,
					.pid = (int32_t)getpid(),
					.now = tide_time_now() };
	skip->fence.owner = tide_uuid_v7();
	tide_status status = port_lease_acquire(skip_database(skip), skip->session, skip->name,
						&skip->fence.owner, &lease, err);
	if (status == TIDE_OK && !lease.is_owned)
		status = tide_fail(err, TIDE_STATE,
				   "'%s' is running; only one that stopped on an event can skip it",
				   skip->name);
	if (status != TIDE_OK)
		return status;

	skip->fence.name = skip->name;
	skip->fence.epoch = lease.epoch;
	(void)port_lease_note(skip_database(skip), skip->session, &skip->fence, &note, NULL);
	return TIDE_OK;
}

static tide_status skip_save(struct skip *skip, const struct person *person, struct tide_error *err)
{
	const struct tide_store *database = skip->checkpoints->database;
	char id[TIDE_UUID_TEXT_SIZE], detail[TIDE_NOTE_MAX + 1];
	const char *note = skip->request->note ? skip->request->note : "";
	snprintf(detail, sizeof detail, "position %lld, event %s%s%.300s",
		 (long long)skip->event.position, tide_uuid_format(&skip->event.event_id, id),
		 *note ? ": " : "", note);
	struct tide_journal_write entry =
		journal_entry(person, skip->request->by, "skip", skip->name, detail);

	struct tide_checkpoint_write write = { .name = skip->name,
					       .has_position = true,
					       .progress = { .position = skip->event.position },
					       .now = entry.now,
					       .expected = &skip->known,
					       .discarded = 1,
					       .anchor = skip->event };
	tide_status status =
		port_save(skip_database(skip), skip->session, &skip->fence, &write, err);
	return status == TIDE_OK ? journal_note(database, skip->session, &entry, err) : status;
}

static tide_status skip_make(struct skip *skip, struct tide_error *err)
{
	const struct tide_store *database = skip_database(skip);
	bool joins = port_has_transactions(database);
	struct person person;
	person_find(&person);
	tide_status status = skip_own(skip, &person, err);
	if (status != TIDE_OK)
		return status;

	if (joins)
		status = port_begin(database, skip->session, err);
	bool has_begun = joins && status == TIDE_OK;
	if (status == TIDE_OK)
		status = skip_save(skip, &person, err);
	if (has_begun && status == TIDE_OK)
		status = port_commit(database, skip->session, err);
	if (has_begun && status != TIDE_OK)
		port_rollback(database, skip->session);
	(void)port_lease_release(skip_database(skip), skip->session, &skip->fence, NULL);
	return status;
}

static tide_status skip_run(struct skip *skip, tide_position position, struct tide_error *err)
{
	tide_status status = skip_find_lease(skip, err);
	if (status == TIDE_OK)
		status = skip_check_lease(skip, position, err);
	if (status == TIDE_OK)
		status = skip_find_event(skip, err);
	if (status == TIDE_OK)
		status = skip_check_next(skip, err);
	return status == TIDE_OK ? skip_make(skip, err) : status;
}

tide_status tide_control_skip(struct tide_checkpoints *checkpoints, const char *name,
			      tide_position position, const struct tide_control_request *request,
			      struct tide_anchor *ret, struct tide_error *err)
{
	static const struct tide_control_request nobody;
	struct skip skip = { .checkpoints = checkpoints,
			     .name = name,
			     .request = request ? request : &nobody };
	tide_status status = controls_check(checkpoints, name, skip.request, err);
	if (status == TIDE_OK && position < 0)
		status = tide_fail(err, TIDE_ARGUMENT, "position %lld is negative",
				   (long long)position);
	if (status == TIDE_OK)
		status = store_borrow(checkpoints->database, &skip.session, err);
	if (status != TIDE_OK)
		return status;

	status = family_refuse(checkpoints->database, skip.session, name, err);
	if (status == TIDE_OK)
		status = store_borrow(checkpoints->feed, &skip.feed_session, err);
	if (status == TIDE_OK)
		status = skip_run(&skip, position, err);
	if (skip.feed_session)
		store_return(checkpoints->feed, skip.feed_session, status);
	store_return(checkpoints->database, skip.session, status);
	if (status != TIDE_OK)
		return status;

	log_at(TIDE_LOG_NOTICE, "subscription", "failing event skipped by a person",
	       "name='%s' position=%lld", name, (long long)skip.event.position);
	if (ret)
		*ret = skip.event;
	return TIDE_OK;
}
