/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A person lets a subscription go on behind the event that it stopped on.
 *
 * Happy path: the lease says which event ended the last run, nobody owns the name: own it, save the
 * event's position with the journal's entry in one transaction, let go. Of a name with lanes it is
 * done to the one that stopped; the others run on, or do not.
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

#define SKIP_PAGE 256
#define SKIP_BYTES (1024 * 1024)

/** A call, step by step. */
struct skip {
	struct tide_checkpoints *checkpoints;
	const char *title;             /* as it was called */
	char name[TIDE_NAME_MAX + 32]; /* whose row it is: with lanes that of one of them */
	struct tide_lane lane;         /* total 0: it has none */
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

/* Where a run stopped on an event, if that was the last one; 0: it did not. */
static tide_position skip_stopped_at(const struct tide_lease_info *lease)
{
	struct tide_why why;
	if (!why_read_end(lease, &why) || why.cause != TIDE_CAUSE_FAILED_EVENT)
		return 0;
	const struct tide_evidence *event = tide_why_evidence(&why, "event_position");
	return event ? (tide_position)event->number : 0;
}

static tide_status skip_list_leases(const struct skip *skip, struct tide_lease_info **ret,
				    size_t *ret_count, struct tide_error *err)
{
	if (!port_lists_leases(skip_database(skip)))
		return tide_fail(err, TIDE_UNSUPPORTED,
				 "the database does not keep what ended a run");
	return port_lease_list(skip_database(skip), skip->session, ret, ret_count, err);
}

static tide_status skip_find_lease(struct skip *skip, struct tide_error *err)
{
	struct tide_lease_info *list ALLOC_AUTO = NULL;
	size_t count = 0;
	tide_status status = skip_list_leases(skip, &list, &count, err);
	for (size_t i = 0; status == TIDE_OK && i < count; i++)
		if (strcmp(list[i].name, skip->name) == 0)
			skip->lease = list[i];
	skip->position = skip_stopped_at(&skip->lease);
	return status;
}

static tide_status skip_check_lease(const struct skip *skip, tide_position position,
				    struct tide_error *err)
{
	if (skip->lease.is_owned)
		return tide_fail(err, TIDE_STATE,
				 "'%s' is running; only one that stopped on an event can skip it",
				 skip->name);
	if (skip->position == 0)
		return tide_fail(err, TIDE_STATE, "the last run of '%s' did not stop on an event",
				 skip->name);
	if (position != 0 && position != skip->position)
		return tide_fail(err, TIDE_STATE, "'%s' stopped on the event at %lld, not %lld",
				 skip->name, (long long)skip->position, (long long)position);
	return TIDE_OK;
}

/* ---- Which lane ------------------------------------------------------------------------------ */

/** Those of its lanes that nobody has, and that stopped on an event. */
struct skip_stops {
	size_t count;
	struct tide_lane lane; /* of the one that is meant */
	char where[200];       /* the events, as many as fit, for who has to say which */
};

static void skip_note_stop(struct skip_stops *stops, struct tide_lane lane, tide_position at)
{
	size_t used = strlen(stops->where), room = sizeof stops->where - used;
	stops->count++;
	stops->lane = lane;
	int size = snprintf(stops->where + used, room, "%s%lld", used ? ", " : "", (long long)at);
	if ((size_t)size >= room)
		stops->where[used] = '\0';
}

static struct skip_stops skip_find_stops(const struct skip *skip, uint32_t lanes,
					 const struct tide_lease_info *list, size_t count,
					 tide_position position)
{
	struct skip_stops all = { .count = 0 }, meant = { .count = 0 };
	for (size_t i = 0; i < count; i++) {
		struct tide_lane lane;
		tide_position at = list[i].is_owned ? 0 : skip_stopped_at(&list[i]);
		if (at == 0 || !family_has(skip->title, list[i].name, &lane) || lane.total != lanes)
			continue;
		skip_note_stop(&all, lane, at);
		if (at == position)
			skip_note_stop(&meant, lane, at);
	}
	return meant.count > 0 ? meant : all;
}

static tide_status skip_judge_stops(const struct skip *skip, const struct skip_stops *stops,
				    uint32_t lanes, struct tide_error *err)
{
	if (stops->count == 1)
		return TIDE_OK;
	if (stops->count == 0)
		return tide_fail(err, TIDE_STATE,
				 "none of the %u lanes of '%.255s' has stopped on an event", lanes,
				 skip->title);
	return tide_fail(err, TIDE_STATE,
			 "several lanes of '%.255s' have stopped on an event: say which, at %s",
			 skip->title, stops->where);
}

static tide_status skip_choose_lane(struct skip *skip, uint32_t lanes, tide_position position,
				    struct tide_error *err)
{
	struct tide_lease_info *list ALLOC_AUTO = NULL;
	size_t count = 0;
	tide_status status = skip_list_leases(skip, &list, &count, err);
	if (status != TIDE_OK)
		return status;

	struct skip_stops stops = skip_find_stops(skip, lanes, list, count, position);
	status = skip_judge_stops(skip, &stops, lanes, err);
	if (status != TIDE_OK)
		return status;
	skip->lane = stops.lane;
	snprintf(skip->name, sizeof skip->name, "%s#%u/%u", skip->title, stops.lane.index, lanes);
	return TIDE_OK;
}

/* Itself, or the lane that stopped. */
static tide_status skip_find_row(struct skip *skip, tide_position position, struct tide_error *err)
{
	struct tide_group group;
	snprintf(skip->name, sizeof skip->name, "%s", skip->title);
	tide_status status =
		family_group(skip_database(skip), skip->session, skip->title, &group, err);
	if (status != TIDE_OK)
		return status;
	return group.lanes > 1
		       ? skip_choose_lane(skip, group.lanes, position, err)
		       : family_refuse(skip_database(skip), skip->session, skip->title, err);
}

/* ---- Whether it is due ----------------------------------------------------------------------- */

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
	struct inherit_row *inherited; /* what lanes of another number have settled */
	size_t inherited_count;
};

static void skip_rest_fini(struct skip_rest *rest)
{
	segment_filter_fini(&rest->filter);
	tide_free(rest->inherited);
}

static tide_status skip_inherit(const struct skip *skip, struct skip_rest *rest,
				struct tide_error *err)
{
	struct family_heir heir = { skip->title,
				    { skip->lane.index, skip->lane.total },
				    rest->behind };
	if (skip->lane.total == 0)
		return TIDE_OK;
	return family_inherit(skip_database(skip), skip->session, &heir, &rest->inherited,
			      &rest->inherited_count, err);
}

/* Without a trace of it, everything behind the row. */
static tide_status skip_find_rest(const struct skip *skip, struct skip_rest *ret,
				  struct tide_error *err)
{
	struct tide_segment *list = NULL;
	size_t count = 0;
	*ret = (struct skip_rest){ .behind = skip->row.has_position ? skip->row.position : 0 };
	ret->filter.filter.partition_index = skip->lane.index;
	ret->filter.filter.partition_total = skip->lane.total;
	tide_status status =
		segments_list(skip_database(skip), skip->session, skip->name, &list, &count, err);
	const struct tide_segment *last = count > 0 ? &list[count - 1] : NULL;
	if (last && !last->has_ended) {
		ret->behind = segment_reach(last, &skip->row);
		status = segment_filter_read(last->filter, &ret->filter, err);
	}
	tide_segments_free(list, count);
	return status == TIDE_OK ? skip_inherit(skip, ret, err) : status;
}

/* The first event of a page that nobody has settled; 0: all of them are. */
static tide_position skip_first_due(const struct skip_rest *rest, const struct tide_page *page)
{
	for (size_t i = 0; i < page->count; i++) {
		const struct tide_event *event = &page->entries[i].event;
		uint64_t hash =
			fnv1a64(event->aggregate_id.bytes, sizeof event->aggregate_id.bytes);
		if (!inherit_passes(rest->inherited, rest->inherited_count, hash, event->position))
			return event->position;
	}
	return 0;
}

/* Page by page, up to the one that it stopped on; none comes after that. */
static tide_status skip_find_next(const struct skip *skip, struct skip_rest *rest,
				  tide_position *ret, struct tide_error *err)
{
	struct tide_page page;
	struct tide_page_query query = { .filter = &rest->filter.filter,
					 .bound = rest->behind,
					 .max_events = skip->lane.total > 0 ? SKIP_PAGE : 1,
					 .max_bytes = SKIP_BYTES,
					 .is_unsettled = true };
	tide_status status = TIDE_OK;

	tide_page_init(&page);
	*ret = 0;
	while (status == TIDE_OK && *ret == 0) {
		tide_page_begin(&page, query.max_events, query.max_bytes);
		status = port_read(skip->checkpoints->feed, skip->feed_session, &query, &page, err);
		*ret = status != TIDE_OK ? 0
		       : page.count == 0 ? skip->position
					 : skip_first_due(rest, &page);
		if (page.count > 0)
			query.bound = page.entries[page.count - 1].event.position;
	}
	tide_page_fini(&page);
	return status;
}

/* The row may be further back than the run was: it was moved, or what was settled before the event
 * could not be saved. */
static tide_status skip_check_next(const struct skip *skip, struct tide_error *err)
{
	struct skip_rest rest;
	tide_position next;
	tide_status status = skip_find_rest(skip, &rest, err);
	if (status == TIDE_OK)
		status = skip_find_next(skip, &rest, &next, err);
	skip_rest_fini(&rest);
	if (status == TIDE_OK && next < skip->position)
		status = tide_fail(err, TIDE_STATE,
				   "the event at %lld comes before the one at %lld, and '%s' has "
				   "not settled it; start it again",
				   (long long)next, (long long)skip->position, skip->name);
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
	char lane[48] = "";
	if (skip->lane.total > 0)
		snprintf(lane, sizeof lane, "lane %u/%u, ", skip->lane.index, skip->lane.total);
	snprintf(detail, sizeof detail, "%sposition %lld, event %s%s%.300s", lane,
		 (long long)skip->event.position, tide_uuid_format(&skip->event.event_id, id),
		 *note ? ": " : "", note);
	struct tide_journal_write entry =
		journal_entry(person, skip->request->by, "skip", skip->title, detail);

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
			     .title = name,
			     .request = request ? request : &nobody };
	tide_status status = controls_check(checkpoints, name, skip.request, err);
	if (status == TIDE_OK && position < 0)
		status = tide_fail(err, TIDE_ARGUMENT, "position %lld is negative",
				   (long long)position);
	if (status == TIDE_OK)
		status = store_borrow(checkpoints->database, &skip.session, err);
	if (status != TIDE_OK)
		return status;

	status = skip_find_row(&skip, position, err);
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
	       "name='%s' position=%lld", skip.name, (long long)skip.event.position);
	if (ret)
		*ret = skip.event;
	return TIDE_OK;
}
