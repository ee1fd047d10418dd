/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A short cut beside the subscription: read a stream or the feed, page by page, so that memory does
 * not grow with the result; and the small questions a store answers.
 *
 * Failure modes: a row that is no event is reported as `decode` with its position, and the next
 * step goes on behind it.
 */
#include <string.h>

#include "core/text.h"
#include "path/port.h"
#include "path/store.h"
#include "sys/alloc.h"
#include "sys/clock.h"
#include "sys/wakeup.h"

#define READ_PAGE_EVENTS 256
#define READ_LOOK_NS (10 * NS_PER_MS)
#define READ_PAGE_BYTES ((size_t)4 << 20)

struct tide_reader {
	struct tide_store *store;
	void *session;
	struct tide_filter filter;
	void *filter_block; /* what the filter names, copied */
	struct tide_stream stream;
	bool of_stream, backward, is_unsettled;
	int64_t bound; /* of the next page */
	int64_t left;  /* results still allowed; INT64_MAX: no limit */
	tide_version stream_version;
	struct tide_page page;
	size_t next; /* entry of the page */
	bool is_last_page;
	tide_status last; /* how the newest call on the session ended */
};

/* ---- A copy of the criteria in one block ----------------------------------------------------- */

struct read_copy {
	char *at;
	size_t size; /* bytes needed so far; nothing is written while `at` is NULL */
};

static void *read_copy_bytes(struct read_copy *copy, const void *data, size_t size)
{
	char *place = copy->at ? copy->at + copy->size : NULL;
	if (place)
		memcpy(place, data, size);
	copy->size += (size + 15) & ~(size_t)15;
	return place;
}

static const char *const *read_copy_list(struct read_copy *copy, const char *const *list)
{
	if (!list || !list[0])
		return NULL;
	size_t count = 0;
	while (list[count])
		count++;
	const char **place = read_copy_bytes(copy, list, (count + 1) * sizeof *list);
	for (size_t i = 0; i < count; i++) {
		char *text = read_copy_bytes(copy, list[i], strlen(list[i]) + 1);
		if (place)
			place[i] = text;
	}
	return place;
}

static void read_copy_query(struct read_copy *copy, const struct tide_query *query,
			    struct tide_reader *reader)
{
	struct tide_filter *filter = &reader->filter;
	filter->event_types = read_copy_list(copy, query->event_types);
	filter->aggregate_types = read_copy_list(copy, query->aggregate_types);

	if (query->aggregate_id)
		filter->aggregate_id =
			read_copy_bytes(copy, query->aggregate_id, sizeof *query->aggregate_id);

	if (query->tenant_id)
		filter->tenant_id =
			read_copy_bytes(copy, query->tenant_id, sizeof *query->tenant_id);

	if (query->occurred_from)
		filter->occurred_from =
			read_copy_bytes(copy, query->occurred_from, sizeof *query->occurred_from);

	if (query->occurred_until)
		filter->occurred_until =
			read_copy_bytes(copy, query->occurred_until, sizeof *query->occurred_until);

	if (query->of_stream) {
		const char *type = query->stream.aggregate_type;
		reader->stream.aggregate_id = query->stream.aggregate_id;
		reader->stream.aggregate_type = read_copy_bytes(copy, type, strlen(type) + 1);
	}
}

/* ---- Beginning ------------------------------------------------------------------------------- */

static tide_status read_check_stream(struct tide_stream stream, struct tide_error *err)
{
	if (tide_uuid_is_nil(&stream.aggregate_id))
		return tide_fail(err, TIDE_ARGUMENT, "aggregate_id is the nil UUID");
	return name_check_type(stream.aggregate_type, "aggregate_type", err);
}

static tide_status read_check(const struct tide_query *query, struct tide_error *err)
{
	const struct {
		const char *name;
		struct tide_bound bound;
	} bounds[] = { { "after", query->after },
		       { "before", query->before },
		       { "limit", query->limit } };

	for (size_t i = 0; i < 3; i++)
		if (bounds[i].bound.is_set && bounds[i].bound.value < 0)
			return tide_fail(err, TIDE_ARGUMENT, "%s %lld is negative", bounds[i].name,
					 (long long)bounds[i].bound.value);
	if (query->backward ? query->after.is_set : query->before.is_set)
		return tide_fail(err, TIDE_ARGUMENT, "%s does not go with a %s read",
				 query->backward ? "after" : "before",
				 query->backward ? "backward" : "forward");
	return query->of_stream ? read_check_stream(query->stream, err) : TIDE_OK;
}

static int64_t read_first_bound(const struct tide_query *query)
{
	if (!query->backward)
		return query->after.is_set ? query->after.value : 0;
	return query->before.is_set ? query->before.value : INT64_MAX;
}

static tide_status read_begin(struct tide_reader *reader, const struct tide_query *query,
			      struct tide_error *err)
{
	struct read_copy copy = { 0 };
	read_copy_query(&copy, query, reader); /* measures */
	copy.at = reader->filter_block = alloc_zero(1, copy.size + 1);
	copy.size = 0;
	if (!reader->filter_block)
		return alloc_fail(err);

	reader->filter = (struct tide_filter){ 0 };
	read_copy_query(&copy, query, reader);
	reader->of_stream = query->of_stream;
	reader->backward = query->backward;
	reader->is_unsettled = query->unsettled;
	reader->bound = read_first_bound(query);
	reader->left = query->limit.is_set ? query->limit.value : INT64_MAX;
	return store_borrow(reader->store, &reader->session, err);
}

/* One at least: the look at a stream tells its version, too. */
static size_t read_page_events(const struct tide_reader *reader)
{
	int64_t events = reader->left < READ_PAGE_EVENTS ? reader->left : READ_PAGE_EVENTS;
	return events > 0 ? (size_t)events : 1;
}

static tide_status read_page(struct tide_reader *reader, struct tide_error *err)
{
	struct tide_page_query query = {
		.filter = &reader->filter,
		.stream = reader->of_stream ? &reader->stream : NULL,
		.backward = reader->backward,
		.bound = reader->bound,
		.max_events = read_page_events(reader),
		.max_bytes = READ_PAGE_BYTES,
		.is_unsettled = reader->is_unsettled,
	};

	reader->next = 0;
	tide_page_begin(&reader->page, query.max_events, query.max_bytes);
	tide_status status = port_read(reader->store, reader->session, &query, &reader->page, err);
	reader->last = status;
	if (status == TIDE_OK)
		reader->is_last_page = reader->page.count == 0 || reader->page.is_end;
	return status;
}

tide_status tide_store_read(struct tide_store *store, const struct tide_query *query,
			    struct tide_reader **ret, struct tide_error *err)
{
	const struct tide_query everything = { 0 };
	if (!query)
		query = &everything;
	if (!store || !ret)
		return tide_fail(err, TIDE_ARGUMENT, "%s is NULL", store ? "ret" : "store");

	tide_status status = read_check(query, err);
	if (status != TIDE_OK)
		return status;

	struct tide_reader *reader = alloc_zero(1, sizeof *reader);
	if (!reader)
		return alloc_fail(err);

	reader->store = store;
	tide_page_init(&reader->page);
	status = read_begin(reader, query, err);
	if (status == TIDE_OK && reader->of_stream) /* its version and its rows are of one look */
		status = read_page(reader, err);
	reader->stream_version = reader->page.stream_version;
	if (status == TIDE_OK)
		*ret = reader;
	else
		tide_reader_close(reader);
	return status;
}

/* ---- Stepping -------------------------------------------------------------------------------- */

tide_status tide_reader_next(struct tide_reader *reader, const struct tide_event **ret,
			     struct tide_error *err)
{
	if (!reader || !ret)
		return tide_fail(err, TIDE_ARGUMENT, "%s is NULL", reader ? "ret" : "reader");
	while (reader->next == reader->page.count || reader->left == 0) {
		if (reader->is_last_page || reader->left == 0) {
			*ret = NULL;
			return TIDE_OK;
		}
		tide_status status = read_page(reader, err);
		if (status != TIDE_OK)
			return status;
	}

	const struct tide_event *event = &reader->page.entries[reader->next++].event;
	reader->bound = reader->of_stream ? event->version : event->position;
	if (event->undecodable)
		return tide_fail(err, TIDE_DECODE, "event at position %lld: %s",
				 (long long)event->position, event->undecodable);

	reader->left -= reader->left != INT64_MAX;
	*ret = event;
	return TIDE_OK;
}

tide_version tide_reader_stream_version(const struct tide_reader *reader)
{
	return reader ? reader->stream_version : 0;
}

void tide_reader_close(struct tide_reader *reader)
{
	if (!reader)
		return;
	if (reader->session)
		store_return(reader->store, reader->session, reader->last);
	tide_page_fini(&reader->page);
	tide_free(reader->filter_block);
	tide_free(reader);
}

/* ---- Small questions ------------------------------------------------------------------------- */

static tide_status read_find(struct tide_store *store, const struct tide_uuid *event_id,
			     struct tide_page *page, struct tide_error *err)
{
	if (!store || !event_id)
		return tide_fail(err, TIDE_ARGUMENT, "%s is NULL", store ? "event_id" : "store");
	void *session;
	tide_status status = store_borrow(store, &session, err);
	if (status != TIDE_OK)
		return status;
	tide_page_begin(page, 1, READ_PAGE_BYTES);
	status = port_find(store, session, event_id, page, err);
	store_return(store, session, status);
	return status;
}

tide_status tide_store_event(struct tide_store *store, const struct tide_uuid *event_id,
			     struct tide_event **ret, struct tide_error *err)
{
	if (!ret)
		return tide_fail(err, TIDE_ARGUMENT, "ret is NULL");
	struct tide_page page;

	tide_page_init(&page);
	tide_status status = read_find(store, event_id, &page, err);
	if (status == TIDE_OK && page.entries[0].event.undecodable)
		status = tide_fail(err, TIDE_DECODE, "event at position %lld: %s",
				   (long long)page.entries[0].event.position,
				   page.entries[0].event.undecodable);
	if (status == TIDE_OK)
		status = tide_event_copy(&page.entries[0].event, ret, err);
	tide_page_fini(&page);
	return status;
}

tide_status tide_store_event_exists(struct tide_store *store, const struct tide_uuid *event_id,
				    bool *ret, struct tide_error *err)
{
	if (!ret)
		return tide_fail(err, TIDE_ARGUMENT, "ret is NULL");
	struct tide_page page;
	tide_page_init(&page);
	tide_status status = read_find(store, event_id, &page, err);
	tide_page_fini(&page);
	if (status != TIDE_OK && status != TIDE_NOT_FOUND)
		return status;
	*ret = status == TIDE_OK;
	return TIDE_OK;
}

tide_status tide_store_stream_version(struct tide_store *store, struct tide_stream stream,
				      tide_version *ret, struct tide_error *err)
{
	if (!store || !ret)
		return tide_fail(err, TIDE_ARGUMENT, "%s is NULL", store ? "ret" : "store");
	tide_status status = read_check_stream(stream, err);
	void *session;
	if (status == TIDE_OK)
		status = store_borrow(store, &session, err);
	if (status != TIDE_OK)
		return status;
	status = port_stream_version(store, session, stream, ret, err);
	store_return(store, session, status);
	return status;
}

tide_status tide_store_end(struct tide_store *store, tide_position *ret, struct tide_error *err)
{
	if (!store || !ret)
		return tide_fail(err, TIDE_ARGUMENT, "%s is NULL", store ? "ret" : "store");
	void *session;
	tide_status status = store_borrow(store, &session, err);
	if (status != TIDE_OK)
		return status;
	status = port_end(store, session, ret, err);
	store_return(store, session, status);
	return status;
}

/* Look until what was visible at first is settled. */
static tide_status read_settle(const struct tide_store *store, void *session, double wait_seconds,
			       struct tide_horizon *ret, struct tide_error *err)
{
	struct mono_time deadline =
		mono_add(clock_mono(&clock_system), ns_of_seconds(wait_seconds));
	struct wakeup pause;
	struct tide_horizon horizon;
	tide_status status = port_horizon(store, session, &horizon, err);
	tide_position newest = status == TIDE_OK ? horizon.newest : 0;
	wakeup_init(&pause);
	while (status == TIDE_OK && horizon.end < newest &&
	       clock_mono(&clock_system).ns < deadline.ns) {
		wakeup_wait(&pause,
			    mono_min(deadline, mono_add(clock_mono(&clock_system), READ_LOOK_NS)));
		status = port_horizon(store, session, &horizon, err);
		if (status == TIDE_OK && horizon.newest < newest)
			newest = horizon.newest; /* the newest events were taken away */
	}

	wakeup_fini(&pause);
	if (status != TIDE_OK)
		return status;

	horizon.newest = newest;
	if (horizon.end >= newest)
		*horizon.holder = '\0';
	*ret = horizon;
	return TIDE_OK;
}

tide_status tide_store_settle(struct tide_store *store, double wait_seconds,
			      struct tide_horizon *ret, struct tide_error *err)
{
	if (!store || !ret)
		return tide_fail(err, TIDE_ARGUMENT, "%s is NULL", store ? "ret" : "store");
	if (!(wait_seconds >= 0))
		return tide_fail(err, TIDE_ARGUMENT, "wait_seconds is %g and must be 0 or more",
				 wait_seconds);
	void *session;
	tide_status status = store_borrow(store, &session, err);
	if (status != TIDE_OK)
		return status;
	status = read_settle(store, session, wait_seconds, ret, err);
	store_return(store, session, status);
	return status;
}
