/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Segments: stretches of the feed that a name settles under one filter.
 *
 * Happy path: each start finds the open segment to be its own, with the same filter, where the row
 * stands. The first one, another filter, or a start elsewhere than at the row begins a new segment,
 * and ends the one before at the row.
 * Failure modes: the database keeps none, or this role may not: the run goes on, and the log tells
 * that nothing can be proven.
 */
#include "path/segments.h"

#include <string.h>

#include "core/json.h"
#include "core/text.h"
#include "path/port.h"
#include "path/runner.h"
#include "sys/alloc.h"
#include "sys/log.h"

/* ---- Filters --------------------------------------------------------------------------------- */

static const char *const filter_lists[] = { "event_types", "event_type_patterns",
					    "aggregate_types" };

static void filter_write_list(struct buffer *buffer, const char *key, const char *const *names)
{
	json_key(buffer, key);
	if (!names || !names[0]) {
		json_null(buffer);
		return;
	}
	json_open(buffer, '[');
	for (; *names; names++)
		json_string(buffer, *names);
	json_close(buffer, ']');
}

static tide_status filter_write(const struct tide_filter *filter, char **ret,
				struct tide_error *err)
{
	static const struct tide_uuid nobody;
	struct buffer buffer = { 0 };
	json_open(&buffer, '{');
	filter_write_list(&buffer, filter_lists[0], filter->event_types);
	filter_write_list(&buffer, filter_lists[1], filter->patterns);
	filter_write_list(&buffer, filter_lists[2], filter->aggregate_types);
	json_add_uuid(&buffer, "tenant_id", filter->tenant_id ? filter->tenant_id : &nobody);
	json_add_integer(&buffer, "partition_index", filter->partition_index);
	json_add_integer(&buffer, "partition_total", filter->partition_total);
	json_close(&buffer, '}');
	return buffer_take(&buffer, ret, err);
}

/** A filter being read: where the next text goes. */
struct filter_reading {
	struct json_reader reader;
	struct segment_filter *filter;
	char *at;
};

static void filter_read_list(struct filter_reading *reading, size_t list)
{
	struct json_token token = json_next(&reading->reader);
	size_t count = 0;
	if (token.kind != JSON_ARRAY)
		return;
	while ((token = json_next(&reading->reader)).kind == JSON_STRING) {
		reading->filter->lists[list][count++] = reading->at;
		reading->at += json_unescape(&token, reading->at) + 1;
	}
}

static void filter_read_member(struct filter_reading *reading, struct json_token key)
{
	struct segment_filter *filter = reading->filter;
	int64_t number = 0;
	for (size_t i = 0; i < 3; i++)
		if (json_equals(&key, filter_lists[i])) {
			filter_read_list(reading, i);
			return;
		}

	struct json_token value = json_next(&reading->reader);
	if (json_equals(&key, "tenant_id") && value.kind == JSON_STRING &&
	    uuid_read(value.text.data, value.text.size, &filter->tenant))
		filter->filter.tenant_id = &filter->tenant;
	else if (json_equals(&key, "partition_index") && json_int(&value, &number))
		filter->filter.partition_index = (uint32_t)number;
	else if (json_equals(&key, "partition_total") && json_int(&value, &number))
		filter->filter.partition_total = (uint32_t)number;
	else
		(void)json_skip(&reading->reader, value, NULL);
}

tide_status segment_filter_read(const char *json, struct segment_filter *ret,
				struct tide_error *err)
{
	size_t size = strlen(json);
	struct tide_text text = { json, size };
	*ret = (struct segment_filter){ .texts = NULL };
	tide_status status = json_check(text, true, "filter", err);
	if (status != TIDE_OK)
		return status;

	ret->texts = alloc_zero(1, size + 1);
	bool is_whole = ret->texts != NULL;
	for (size_t i = 0; i < 3; i++) {
		ret->lists[i] = alloc_zero(size / 2 + 2, sizeof *ret->lists[i]);
		is_whole = is_whole && ret->lists[i];
	}
	if (!is_whole) {
		segment_filter_fini(ret);
		return alloc_fail(err);
	}

	struct filter_reading reading = { .filter = ret, .at = ret->texts };
	struct json_token token;
	json_read(&reading.reader, json, size);
	(void)json_next(&reading.reader);
	while ((token = json_next(&reading.reader)).kind == JSON_KEY)
		filter_read_member(&reading, token);
	ret->filter.event_types = ret->lists[0];
	ret->filter.patterns = ret->lists[1][0] ? ret->lists[1] : NULL;
	ret->filter.aggregate_types = ret->lists[2];
	return TIDE_OK;
}

void segment_filter_fini(struct segment_filter *filter)
{
	for (size_t i = 0; i < 3; i++)
		tide_free(filter->lists[i]);
	tide_free(filter->texts);
}

/* ---- Changes --------------------------------------------------------------------------------- */

tide_position segment_reach(const struct tide_segment *segment, const struct tide_checkpoint *row)
{
	if (segment->has_ended)
		return segment->until;
	if (!row->has_position)
		return segment->from;
	/* nothing of it was saved: the row still says where the one before it stood */
	bool is_untouched = row->position == segment->stored && segment->discarded == 0 &&
			    row->events_processed == segment->processed_before;
	return is_untouched ? segment->from : row->position;
}

static struct tide_segment *segments_open(struct tide_segment *list, size_t count)
{
	return count > 0 && !list[count - 1].has_ended ? &list[count - 1] : NULL;
}

static tide_status segments_decide(struct tide_subscription *subscription,
				   const struct tide_checkpoint *row, tide_position position,
				   const char *filter, struct tide_error *err)
{
	const struct tide_store *database = subscription->engine->checkpoints->database;
	struct tide_segment *list = NULL;
	size_t count = 0;
	tide_status status = port_segment_list(database, subscription->runner.sessions.database,
					       subscription->name, &list, &count, err);
	if (status != TIDE_OK)
		return status;

	const struct tide_segment *open = segments_open(list, count);
	bool goes_on =
		open && strcmp(open->filter, filter) == 0 && position == segment_reach(open, row);
	/* what lanes of another number have settled is counted in their rows: nothing is proven
	 * before a run that begins behind it */
	bool inherits = subscription->runner.feed.inherited.count > 0;
	struct tide_segment_write write = { .name = subscription->name,
					    .should_end = open != NULL,
					    .until = open ? segment_reach(open, row) : 0,
					    .should_begin = !inherits,
					    .from = position,
					    .stored = row->has_position ? row->position : -1,
					    .filter = filter,
					    .processed = row->events_processed,
					    .now = runner_wall(subscription) };
	tide_segments_free(list, count);
	if (inherits ? !write.should_end : goes_on)
		return TIDE_OK;
	return port_segment_turn(database, subscription->runner.sessions.database,
				 inherits ? NULL : &subscription->runner.fence, &write, err);
}

tide_status segments_follow(struct tide_subscription *subscription,
			    const struct tide_checkpoint *row, tide_position position,
			    struct tide_error *err)
{
	struct tide_error why;
	char *filter = NULL;
	if (!port_has_segments(subscription->engine->checkpoints->database))
		return TIDE_OK;
	tide_status status = filter_write(&subscription->filter, &filter, &why);
	if (status == TIDE_OK)
		status = segments_decide(subscription, row, position, filter, &why);
	tide_free(filter);

	if (status == TIDE_UNSUPPORTED) {
		log_at(TIDE_LOG_NOTICE, "checkpoint", "what is skipped cannot be audited",
		       "name='%s' error='%s'", subscription->name, why.message);
		return TIDE_OK;
	}
	if (status != TIDE_OK)
		*err = why;
	return status;
}

tide_status segments_end(const struct tide_store *database, void *session,
			 const struct tide_checkpoint *row, struct tide_error *err)
{
	struct tide_segment *list = NULL;
	size_t count = 0;
	tide_status status =
		port_segment_list(database, session, row->projection_name, &list, &count, err);
	if (status != TIDE_OK)
		return status;

	const struct tide_segment *open = segments_open(list, count);
	struct tide_segment_write write = { .name = row->projection_name,
					    .should_end = true,
					    .until = open ? segment_reach(open, row) : 0,
					    .processed = row->events_processed,
					    .now = tide_time_now() };
	if (open)
		status = port_segment_turn(database, session, NULL, &write, err);
	tide_segments_free(list, count);
	return status;
}

tide_status segments_forget(const struct tide_store *database, void *session, const char *name,
			    struct tide_error *err)
{
	struct tide_segment_write write = { .name = name, .should_forget = true };
	return port_segment_turn(database, session, NULL, &write, err);
}

tide_status segments_list(struct tide_checkpoints *checkpoints, const char *name,
			  struct tide_segment **ret, size_t *ret_count, struct tide_error *err)
{
	void *session;
	*ret = NULL;
	*ret_count = 0;
	if (!port_has_segments(checkpoints->database))
		return TIDE_OK;
	tide_status status = store_borrow(checkpoints->database, &session, err);
	if (status != TIDE_OK)
		return status;
	status = port_segment_list(checkpoints->database, session, name, ret, ret_count, err);
	store_return(checkpoints->database, session, status);
	return status;
}
