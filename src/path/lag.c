/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How far a projection is behind: in events (positions behind the feed end), in seconds that the
 * oldest waiting event has waited, and in seconds of the events' own time. Computed from the feed,
 * so every backend answers alike.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/text.h"
#include "path/checkpoints.h"
#include "sys/alloc.h"

static struct lag_event lag_event_of(const struct tide_event *event)
{
	return (struct lag_event){ true, event->position, event->event_id, event->occurred_at,
				   event->stored_at };
}

static tide_status lag_read_one(struct tide_store *feed, const struct tide_query *query,
				struct lag_event *ret, struct tide_error *err)
{
	struct tide_reader *reader;
	tide_status status = tide_store_read(feed, query, &reader, err);
	if (status != TIDE_OK)
		return status;
	const struct tide_event *event = NULL;
	do /* a row that is no event has no age */
		status = tide_reader_next(reader, &event, err);
	while (status == TIDE_DECODE);
	if (status == TIDE_OK && event)
		*ret = lag_event_of(event);
	tide_reader_close(reader);
	return status;
}

static tide_status lag_find(struct tide_store *feed, const struct tide_uuid *event_id,
			    struct lag_event *ret, struct tide_error *err)
{
	if (tide_uuid_is_nil(event_id))
		return TIDE_OK;
	struct tide_event *event;
	tide_status status = tide_store_event(feed, event_id, &event, err);
	if (status == TIDE_OK) {
		*ret = lag_event_of(event);
		tide_free(event);
	}
	return status == TIDE_NOT_FOUND || status == TIDE_DECODE ? TIDE_OK : status;
}

static double lag_seconds_between(struct tide_time newer, struct tide_time older)
{
	double seconds = (double)(newer.unix_us - older.unix_us) / 1e6;
	return seconds > 0 ? round(seconds * 10) / 10 : 0.0;
}

tide_status lag_find_waiting(struct tide_store *feed, tide_position position,
			     const char *const *event_types, struct lag_event *ret,
			     struct tide_error *err)
{
	const struct tide_query query = { .event_types = event_types,
					  .after = tide_bound(position),
					  .limit = tide_bound(1) };
	*ret = (struct lag_event){ 0 };
	return lag_read_one(feed, &query, ret, err);
}

double lag_seconds_of(const struct lag_event *waiting, struct tide_time now)
{
	return waiting->is_found ? lag_seconds_between(now, waiting->stored_at) : 0.0;
}

/* What a row's lag is made of: the newest event wanted, the last one processed, the oldest one that
 * waits. */
struct lag_facts {
	struct lag_event newest, last, waiting;
	tide_position position, end;
};

static tide_status lag_read_facts(struct tide_store *feed, const struct tide_checkpoint *row,
				  const char *const *event_types, struct lag_facts *ret,
				  struct tide_error *err)
{
	const struct tide_query newest = { .event_types = event_types,
					   .limit = tide_bound(1),
					   .backward = true };

	*ret = (struct lag_facts){ 0 };
	tide_status status = lag_read_one(feed, &newest, &ret->newest, err);
	if (status == TIDE_OK)
		status = lag_find(feed, &row->last_event_id, &ret->last, err);
	if (status == TIDE_OK)
		status = tide_store_end(feed, &ret->end, err);
	ret->position = row->has_position ? row->position : ret->last.position;
	if (ret->position < 0) /* a row that somebody else wrote: nothing is settled by it */
		ret->position = 0;
	if (status == TIDE_OK)
		status = lag_find_waiting(feed, ret->position, event_types, &ret->waiting, err);
	return status;
}

/* The oldest one waiting stands in for an unknown last one. */
static double lag_of_event_time(const struct lag_facts *facts)
{
	const struct lag_event *last = facts->last.is_found ? &facts->last : &facts->waiting;
	if (!facts->newest.is_found || !last->is_found || facts->newest.position <= facts->position)
		return 0.0;
	return lag_seconds_between(facts->newest.occurred_at, last->occurred_at);
}

static tide_status lag_of_row(struct tide_checkpoints *checkpoints,
			      const struct tide_checkpoint *row, const char *const *event_types,
			      struct tide_lag *ret, struct tide_error *err)
{
	struct tide_lag lag = { .last_event_id = row->last_event_id,
				.events_processed = row->events_processed,
				.has_last_processed_at = row->has_last_processed_at,
				.last_processed_at = row->last_processed_at };
	memcpy(lag.projection_name, row->projection_name, sizeof lag.projection_name);
	struct lag_facts facts;
	tide_status status = lag_read_facts(checkpoints->feed, row, event_types, &facts, err);
	if (status != TIDE_OK)
		return status;

	lag.latest_event_id = facts.newest.event_id;
	lag.lag_events = facts.end > facts.position ? facts.end - facts.position : 0;
	lag.lag_seconds = lag_seconds_of(&facts.waiting, tide_time_now());
	lag.event_time_lag_seconds = lag_of_event_time(&facts);
	*ret = lag;
	return TIDE_OK;
}

tide_status tide_checkpoints_lag(struct tide_checkpoints *checkpoints, const char *name,
				 const char *const *event_types, struct tide_lag *ret,
				 struct tide_error *err)
{
	if (!ret)
		return tide_fail(err, TIDE_ARGUMENT, "ret is NULL");
	struct tide_checkpoint row;
	tide_status status = checkpoints_load_slowest(checkpoints, name, &row, err);
	if (status == TIDE_OK)
		status = lag_of_row(checkpoints, &row, event_types, ret, err);
	if (status == TIDE_OK)
		snprintf(ret->projection_name, sizeof ret->projection_name, "%s", name);
	return status;
}
