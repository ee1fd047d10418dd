/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Segments: stretches of the feed that a name settles under one filter.
 *
 * Happy path: each start finds the open segment to be its own, with the same filter, where the row
 * stands. The first one, another filter, or a start elsewhere than at the row begins a new segment,
 * and ends the one before at the row. What lanes of another number have settled belongs to the
 * filter: it passes, and is in their segments, which a change of the number ends.
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
static const char filter_inherited[] = "inherited"; /* [index, total, position] of each row */

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

static void filter_write_inherited(struct buffer *buffer, const struct feed_inherited *inherited)
{
	json_key(buffer, filter_inherited);
	json_open(buffer, '[');
	for (size_t i = 0; i < inherited->count; i++) {
		const struct inherit_row *row = &inherited->rows[i];
		json_open(buffer, '[');
		json_integer(buffer, row->lane.index);
		json_integer(buffer, row->lane.total);
		json_integer(buffer, row->position);
		json_close(buffer, ']');
	}
	json_close(buffer, ']');
}

static tide_status filter_write(const struct tide_filter *filter,
				const struct feed_inherited *inherited, char **ret,
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
	if (inherited->count > 0)
		filter_write_inherited(&buffer, inherited);
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

/* [index, total, position]; what is another shape, or no lane, is left out. */
static void filter_read_inherited(struct filter_reading *reading)
{
	struct segment_filter *filter = reading->filter;
	struct json_token token = json_next(&reading->reader);
	if (token.kind != JSON_ARRAY)
		return;

	while ((token = json_next(&reading->reader)).kind == JSON_ARRAY) {
		int64_t numbers[3] = { 0 };
		size_t count = 0;
		while ((token = json_next(&reading->reader)).kind == JSON_NUMBER)
			if (count < 3)
				(void)json_int(&token, &numbers[count++]);
		if (count == 3 && numbers[0] >= 0 && numbers[0] < numbers[1] &&
		    numbers[1] <= UINT32_MAX)
			filter->inherited[filter->inherited_count++] = (struct inherit_row){
				{ (uint32_t)numbers[0], (uint32_t)numbers[1] }, true, numbers[2]
			};
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
	if (json_equals(&key, filter_inherited)) {
		filter_read_inherited(reading);
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
	ret->inherited = alloc_zero(size / sizeof "[0,1,2]" + 1, sizeof *ret->inherited);
	bool is_whole = ret->texts && ret->inherited;
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
	tide_free(filter->inherited);
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

/* Only those of the name itself stay. */
static size_t segments_keep(struct tide_segment *list, size_t count, const char *name)
{
	size_t kept = 0;
	for (size_t i = 0; i < count; i++)
		if (strcmp(list[i].name, name) == 0)
			list[kept++] = list[i];
		else
			tide_free(list[i].filter);
	return kept;
}

tide_status segments_list_family(const struct tide_store *database, void *session, const char *name,
				 struct tide_segment **ret, size_t *ret_count,
				 struct tide_error *err)
{
	*ret = NULL;
	*ret_count = 0;
	return port_segment_list(database, session, name, ret, ret_count, err);
}

tide_status segments_list(const struct tide_store *database, void *session, const char *name,
			  struct tide_segment **ret, size_t *ret_count, struct tide_error *err)
{
	tide_status status = segments_list_family(database, session, name, ret, ret_count, err);
	if (status == TIDE_OK)
		*ret_count = segments_keep(*ret, *ret_count, name);
	return status;
}

bool segment_is_newest(const struct tide_segment *list, size_t count, size_t at)
{
	for (size_t i = at + 1; i < count; i++)
		if (strcmp(list[i].name, list[at].name) == 0)
			return false;
	return true;
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
	tide_status status = segments_list(database, subscription->runner.sessions.database,
					   subscription->name, &list, &count, err);
	if (status != TIDE_OK)
		return status;

	const struct tide_segment *open = segments_open(list, count);
	bool goes_on =
		open && strcmp(open->filter, filter) == 0 && position == segment_reach(open, row);
	struct tide_segment_write write = { .name = subscription->name,
					    .should_end = open != NULL,
					    .until = open ? segment_reach(open, row) : 0,
					    .should_begin = true,
					    .from = position,
					    .stored = row->has_position ? row->position : -1,
					    .filter = filter,
					    .processed = row->events_processed,
					    .now = runner_wall(subscription) };
	tide_segments_free(list, count);
	return goes_on ? TIDE_OK
		       : port_segment_turn(database, subscription->runner.sessions.database,
					   &subscription->runner.fence, &write, err);
}

tide_status segments_follow(struct tide_subscription *subscription,
			    const struct tide_checkpoint *row, tide_position position,
			    struct tide_error *err)
{
	struct tide_error why;
	char *filter = NULL;
	if (!port_has_segments(subscription->engine->checkpoints->database))
		return TIDE_OK;
	tide_status status = filter_write(&subscription->filter,
					  &subscription->runner.feed.inherited, &filter, &why);
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

tide_status segments_go_back(const struct tide_store *database, void *session,
			     const struct tide_segment *newest, const struct segments_move *move,
			     struct tide_error *err)
{
	const struct tide_checkpoint none = { 0 }, *row = move->row ? move->row : &none;
	struct tide_segment_write write = { .name = newest->name,
					    .should_end = !newest->has_ended,
					    .until = segment_reach(newest, row),
					    .should_begin = true,
					    .from = move->to,
					    .stored = move->to,
					    .filter = newest->filter,
					    .processed = row->events_processed,
					    .now = tide_time_now() };
	tide_status status = port_segment_turn(database, session, NULL, &write, err);
	if (status != TIDE_OK || move->goes_on)
		return status;

	write.should_begin = false;
	write.should_end = true;
	write.until = move->to;
	return port_segment_turn(database, session, NULL, &write, err);
}

tide_status segments_forget(const struct tide_store *database, void *session, const char *name,
			    struct tide_error *err)
{
	struct tide_segment_write write = { .name = name, .should_forget = true };
	return port_segment_turn(database, session, NULL, &write, err);
}
