/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How far a projection is behind: in events (positions behind the feed end) and in seconds (between the event it has
 * processed last and the newest one it wants). Computed from the feed, so every backend answers alike.
 */
#include <math.h>
#include <string.h>

#include "core/text.h"
#include "path/checkpoints.h"

/* One event of the feed, as far as lag needs it. */
struct lag_event {
	bool is_found;
	tide_position position;
	struct tide_uuid event_id;
	struct tide_time occurred_at;
};

static struct lag_event lag_event_of(const struct tide_event *event)
{
	return (struct lag_event){ true, event->position, event->event_id, event->occurred_at };
}

static tide_status lag_read_one(struct tide_store *feed, const struct tide_query *query, struct lag_event *ret,
				struct tide_error *err)
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

static tide_status lag_find(struct tide_store *feed, const struct tide_uuid *event_id, struct lag_event *ret,
			    struct tide_error *err)
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

/* The age of the last event processed against the newest wanted; the oldest one waiting stands in for an unknown last. */
static tide_status lag_age(struct tide_store *feed, const struct tide_query *wanted, const struct lag_event *newest,
			   struct lag_event last, tide_position position, double *ret, struct tide_error *err)
{
	*ret = 0.0;
	if (!newest->is_found || newest->position <= position)
		return TIDE_OK;
	if (!last.is_found) {
		struct tide_query oldest = *wanted;
		oldest.after = tide_bound(position);
		tide_status status = lag_read_one(feed, &oldest, &last, err);
		if (status != TIDE_OK)
			return status;
	}
	if (last.is_found)
		*ret = lag_seconds_between(newest->occurred_at, last.occurred_at);
	return TIDE_OK;
}

tide_status lag_measure(struct tide_store *feed, const struct tide_checkpoint *row, const char *const *event_types,
			struct tide_lag *ret, struct tide_error *err)
{
	const struct tide_query wanted = { .event_types = event_types, .limit = tide_bound(1) };
	struct tide_query backward = wanted;
	backward.backward = true;
	struct lag_event newest = { 0 }, last = { 0 };
	tide_position end = 0;
	tide_status status = lag_read_one(feed, &backward, &newest, err);
	if (status == TIDE_OK)
		status = lag_find(feed, &row->last_event_id, &last, err);
	if (status == TIDE_OK)
		status = tide_store_end(feed, &end, err);
	tide_position position = row->has_position ? row->position : last.position;
	if (status == TIDE_OK)
		status = lag_age(feed, &wanted, &newest, last, position, &ret->lag_seconds, err);
	ret->latest_event_id = newest.event_id;
	ret->lag_events = end > position ? end - position : 0;
	return status;
}

tide_status tide_checkpoints_lag(struct tide_checkpoints *checkpoints, const char *name, const char *const *event_types,
				 struct tide_lag *ret, struct tide_error *err)
{
	if (!ret)
		return tide_fail(err, TIDE_ARGUMENT, "ret is NULL");
	struct tide_checkpoint row;
	tide_status status = tide_checkpoints_load(checkpoints, name, &row, err);
	if (status != TIDE_OK)
		return status;
	struct tide_lag lag = { .last_event_id = row.last_event_id,
				.events_processed = row.events_processed,
				.has_last_processed_at = row.has_last_processed_at,
				.last_processed_at = row.last_processed_at };
	memcpy(lag.projection_name, row.projection_name, sizeof lag.projection_name);
	status = lag_measure(checkpoints->feed, &row, event_types, &lag, err);
	if (status == TIDE_OK)
		*ret = lag;
	return status;
}
