/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first step of an event: check it, complete it, hand it to the backend, ring the bell.
 *
 * Happy path: every event of every append is valid, the backend commits all of them at once, the
 * bell rings.
 * Failure modes: a rule is broken: nothing reaches the backend. The backend refuses (conflict,
 * duplicate): nothing is stored. The connection is lost during commit: the outcome is unknown, and
 * repeating the append is safe by its event ids.
 */
#include "path/append.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/event.h"
#include "core/text.h"
#include "path/port.h"
#include "sys/alloc.h"

#include <tidemark/event_type.h>

static tide_status append_check_stream(struct tide_stream stream, struct tide_error *err)
{
	if (tide_uuid_is_nil(&stream.aggregate_id))
		return tide_fail(err, TIDE_ARGUMENT, "aggregate_id is the nil UUID");
	return name_check_type(stream.aggregate_type, "aggregate_type", err);
}

/* An event may leave its stream out; one of another stream is refused. */
static tide_status append_check_belongs(const struct tide_append *append, size_t index,
					struct tide_error *err)
{
	const struct tide_new_event *event = &append->events[index];
	char text[TIDE_UUID_TEXT_SIZE];
	if (!tide_uuid_is_nil(&event->aggregate_id) &&
	    !tide_uuid_equal(&event->aggregate_id, &append->stream.aggregate_id))
		return tide_fail(err, TIDE_ARGUMENT,
				 "event %zu: aggregate_id %s is not the stream's", index,
				 tide_uuid_format(&event->aggregate_id, text));

	if (event->aggregate_type &&
	    strcmp(event->aggregate_type, append->stream.aggregate_type) != 0)
		return tide_fail(err, TIDE_ARGUMENT,
				 "event %zu: aggregate_type '%s' is not the stream's '%s'", index,
				 event->aggregate_type, append->stream.aggregate_type);
	return TIDE_OK;
}

/* Numbers come all or none, and without a hole. */
static tide_status append_check_numbers(const struct tide_append *append, size_t index,
					struct tide_error *err)
{
	tide_version first = append->events[0].version, version = append->events[index].version;
	bool is_right =
		first == 0 ? version == 0 : (int64_t)version == (int64_t)first + (int64_t)index;
	if (!is_right)
		return tide_fail(err, TIDE_ARGUMENT,
				 "event %zu: version %d does not follow the %s before it", index,
				 version, first == 0 ? "unnumbered events" : "numbered ones");
	return TIDE_OK;
}

static tide_status append_check_events(const struct tide_store *store,
				       const struct tide_append *append, struct tide_error *err)
{
	tide_status status = TIDE_OK;
	for (size_t i = 0; i < append->count && status == TIDE_OK; i++) {
		status = event_check(&append->events[i], i, store->max_payload_bytes, err);
		if (status == TIDE_OK)
			status = append_check_belongs(append, i, err);
		if (status == TIDE_OK)
			status = append_check_numbers(append, i, err);
		if (status == TIDE_OK && store->types)
			status = tide_event_types_find(store->types, append->events[i].event_type,
						       NULL, err);
	}
	return status;
}

static tide_status append_check(const struct tide_store *store, const struct tide_append *append,
				struct tide_error *err)
{
	if (append->count == 0 || !append->events)
		return tide_fail(err, TIDE_ARGUMENT, "an append needs at least one event");
	if (append->expected < TIDE_STREAM_EXISTS || append->expected > INT32_MAX)
		return tide_fail(err, TIDE_ARGUMENT, "expected version %lld is no expectation",
				 (long long)append->expected);
	tide_status status = append_check_stream(append->stream, err);
	return status == TIDE_OK ? append_check_events(store, append, err) : status;
}

static int append_compare_ids(const void *a, const void *b)
{
	return tide_uuid_compare(&(*(const struct tide_event *const *)a)->event_id,
				 &(*(const struct tide_event *const *)b)->event_id);
}

/* The same id twice in one call: found by sorting, so that a batch of any size costs n log n. */
tide_status append_check_ids(const struct append_batch *batch, struct tide_error *err)
{
	if (batch->event_count == 1)
		return TIDE_OK;
	const struct tide_event **sorted ALLOC_AUTO =
		alloc_zero(batch->event_count, sizeof *sorted);
	if (!sorted)
		return alloc_fail(err);

	for (size_t i = 0; i < batch->event_count; i++)
		sorted[i] = &batch->events[i];
	qsort(sorted, batch->event_count, sizeof *sorted, append_compare_ids);
	for (size_t i = 1; i < batch->event_count; i++)
		if (tide_uuid_equal(&sorted[i - 1]->event_id, &sorted[i]->event_id)) {
			char text[TIDE_UUID_TEXT_SIZE];
			return tide_fail(err, TIDE_DUPLICATE_EVENT,
					 "event_id %s is in the batch twice",
					 tide_uuid_format(&sorted[i]->event_id, text));
		}
	return TIDE_OK;
}

static void append_fill(const struct tide_append *appends, const struct append_batch *batch)
{
	struct tide_time now = tide_time_now();
	struct tide_event *events = batch->events;
	for (size_t i = 0; i < batch->count; i++) {
		const struct tide_append *append = &appends[i];
		batch->commits[i] = (struct tide_commit){ append->stream, append->expected, events,
							  append->count };
		for (size_t k = 0; k < append->count; k++)
			events[k] = event_stamp(&append->events[k], append->stream, now);
		events += append->count;
	}
}

tide_status append_make(const struct tide_store *store, const struct tide_append *appends,
			size_t count, struct append_batch *ret, struct tide_error *err)
{
	struct append_batch batch = { .count = count };
	for (size_t i = 0; i < count; i++) {
		tide_status status = append_check(store, &appends[i], err);
		if (status != TIDE_OK)
			return status;
		batch.event_count += appends[i].count;
	}

	batch.events = alloc_zero(batch.event_count, sizeof *batch.events);
	batch.commits = alloc_zero(count, sizeof *batch.commits);
	batch.results = alloc_zero(count, sizeof *batch.results);
	if (!batch.events || !batch.commits || !batch.results) {
		append_batch_fini(&batch);
		return alloc_fail(err);
	}

	append_fill(appends, &batch);
	*ret = batch;
	return TIDE_OK;
}

void append_batch_fini(struct append_batch *batch)
{
	tide_free(batch->events);
	tide_free(batch->commits);
	tide_free(batch->results);
	*batch = (struct append_batch){ 0 };
}

void append_count(const struct append_batch *batch, tide_status status, struct append_tally *tally)
{
	for (size_t i = 0; status == TIDE_OK && i < batch->count; i++) {
		bool was_before = batch->results[i].was_stored_before;
		tally->replayed += was_before;
		tally->events += was_before ? 0 : (int64_t)batch->commits[i].count;
	}
	tally->conflicts += status == TIDE_CONFLICT;
	tally->refused += status == TIDE_DUPLICATE_EVENT;
}

void append_add(struct append_tally *tally, const struct append_tally *more)
{
	tally->events += more->events;
	tally->replayed += more->replayed;
	tally->conflicts += more->conflicts;
	tally->refused += more->refused;
}

void append_tell(struct metrics_store *metrics, const struct append_tally *tally)
{
	metrics_add(&metrics->events_appended, tally->events);
	if (tally->replayed)
		metrics_add(&metrics->duplicates[METRICS_REPLAYED], tally->replayed);
	if (tally->conflicts)
		metrics_add(&metrics->conflicts, tally->conflicts);
	if (tally->refused)
		metrics_add(&metrics->duplicates[METRICS_REFUSED], tally->refused);
}

void append_give(const struct append_batch *batch, tide_status status,
		 struct tide_append_result *ret)
{
	if (ret && (status == TIDE_OK || status == TIDE_CONFLICT))
		memcpy(ret, batch->results, batch->count * sizeof *ret);
}

/* What the writer left out is decided here: a command that is repeated brings its ids, a new one
 * gets new ones. */
static void append_fill_ids(const struct append_batch *batch)
{
	for (size_t i = 0; i < batch->event_count; i++) {
		struct tide_event *event = &batch->events[i];
		if (tide_uuid_is_nil(&event->event_id))
			event->event_id = tide_uuid_v7();
		if (tide_uuid_is_nil(&event->correlation_id))
			event->correlation_id = tide_uuid_v4();
	}
}

static tide_status append_commit(struct tide_store *store, const struct append_batch *batch,
				 struct tide_error *err)
{
	struct append_tally tally = { 0 };
	struct mono_time since = clock_mono(&clock_system);
	tide_status status = port_append(store, batch->commits, batch->count, batch->results, err);
	metrics_append_took(&store->metrics, mono_since(clock_mono(&clock_system), since));
	append_count(batch, status, &tally);
	append_tell(&store->metrics, &tally);
	return status;
}

tide_status tide_store_append_all(struct tide_store *store, const struct tide_append *appends,
				  size_t count, struct tide_append_result *ret,
				  struct tide_error *err)
{
	if (!store || !appends || count == 0)
		return tide_fail(err, TIDE_ARGUMENT, "%s",
				 !store ? "store is NULL" : "an append needs at least one event");
	if (store->is_read_only)
		return tide_fail(err, TIDE_UNSUPPORTED, "'%s' was opened read-only", store->url);

	APPEND_BATCH_AUTO struct append_batch batch = { 0 };
	tide_status status = append_make(store, appends, count, &batch, err);
	if (status != TIDE_OK)
		return status;

	append_fill_ids(&batch);
	status = append_check_ids(&batch, err);
	if (status == TIDE_OK)
		status = append_commit(store, &batch, err);
	if (status == TIDE_OK)
		notifier_ring(store->notifier, RING_APPEND);
	append_give(&batch, status, ret);
	return status;
}

tide_status tide_store_append(struct tide_store *store, const struct tide_append *append,
			      struct tide_append_result *ret, struct tide_error *err)
{
	if (!append)
		return tide_fail(err, TIDE_ARGUMENT, "append is NULL");
	return tide_store_append_all(store, append, 1, ret, err);
}
