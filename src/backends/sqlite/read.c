/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading events into a page: the feed by position, a stream by version, one event by its id.
 *
 * Happy path: one statement is stepped from the bound on; a row that the filter passes is copied
 * into the page; the statement is reset when the page is full, so that no read transaction stays
 * open. Fails when: the database does. A row that is no event is part of the page, marked
 * `undecodable`.
 *
 * The filter runs here, so that what it passes over is counted, and looks at the columns it needs
 * before the others are touched. When nobody asks for the count, equality criteria are given to
 * SQLite as well, for its indexes.
 *
 * A sparse read of the feed leaps: the index on the type finds the next events of few types, and
 * what lies before each, or behind the last one, is counted by its positions. Where the feed ends
 * is asked first, and that statement holds the state of the database that all of the read sees.
 * Without that index it scans.
 */

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "backends/sqlite/internal.h"

#define READ_COLUMNS                                                                               \
	"global_position, version, event_type, aggregate_type, aggregate_id, tenant_id, "          \
	"timestamp, event_id, "                                                                    \
	"actor_id, "                                                                               \
	"payload, created_at, event_version, correlation_id, causation_id, metadata"

enum read_column {
	READ_POSITION,
	READ_VERSION,
	READ_EVENT_TYPE,
	READ_AGGREGATE_TYPE,
	READ_AGGREGATE_ID,
	READ_TENANT_ID,
	READ_TIMESTAMP,
	READ_EVENT_ID,
	READ_ACTOR_ID,
	READ_PAYLOAD,
	READ_CREATED_AT,
	READ_EVENT_VERSION,
	READ_CORRELATION_ID,
	READ_CAUSATION_ID,
	READ_METADATA
};

static const char read_feed_forward[] =
	"SELECT " READ_COLUMNS " FROM events WHERE global_position > ?1 ORDER BY global_position";
static const char read_feed_backward[] =
	"SELECT " READ_COLUMNS
	" FROM events WHERE global_position < ?1 ORDER BY global_position DESC";
/* Both spellings of a stream's id, merged by version as the index has them: nothing is sorted. */
#define READ_STREAM(id, versions)                                                                  \
	"SELECT " READ_COLUMNS " FROM events WHERE " id                                            \
	" AND aggregate_type = ?3 AND version " versions " ?1"
#define READ_BOTH(versions)                                                                        \
	READ_STREAM("aggregate_id = ?2", versions)                                                 \
	" UNION ALL " READ_STREAM("aggregate_id = upper(?2) AND ?2 <> upper(?2)",                  \
				  versions) " ORDER BY version"
static const char read_stream_forward[] = READ_BOTH(">");
static const char read_stream_backward[] = READ_BOTH("<") " DESC";
static const char read_anchor[] =
	"SELECT global_position, event_id FROM events WHERE global_position <= ?1 "
	"ORDER BY global_position DESC LIMIT 1";
static const char read_event[] =
	"SELECT " READ_COLUMNS " FROM events WHERE " SQLITE_UUID_IS("event_id", "?1");
static const char read_end[] = "SELECT max(global_position) FROM events";
static const char read_newest[] = "SELECT global_position, event_id FROM events ORDER BY "
				  "global_position DESC LIMIT 1";
#define READ_TYPE_INDEX "idx_events_event_type"
static const char read_type_index[] =
	"SELECT 1 FROM pragma_index_list('events') l, pragma_index_info(l.name) i WHERE l.name = "
	"'" READ_TYPE_INDEX "' AND NOT l.partial AND i.seqno = 0 AND i.name = 'event_type'";

/** Which columns a filter looks at. */
struct read_needs {
	bool any, aggregate_id, tenant_id, time;
};

/** One read: where its rows come from and where they go. */
struct read_scan {
	struct sqlite_session *session;
	sqlite3_stmt *statement;
	const struct tide_filter *filter;
	struct read_needs needs;
	struct tide_page *page;
	const char *problem;              /* why the present row is no event; NULL: it is one */
	char passed[TIDE_UUID_TEXT_SIZE]; /* the id of the row passed over last */
	/* the newest event, when rows of other types are left out; NULL: none are */
	sqlite3_stmt *newest;
};

static bool read_is_listed(const char *const *list)
{
	return list && *list;
}

static struct read_needs read_needs_of(const struct tide_filter *filter)
{
	struct read_needs needs = {
		.aggregate_id = filter->aggregate_id || filter->partition_total,
		.tenant_id = filter->tenant_id != NULL,
		.time = filter->occurred_from || filter->occurred_until,
	};
	needs.any = needs.aggregate_id || needs.tenant_id || needs.time ||
		    read_is_listed(filter->event_types) || read_is_listed(filter->patterns) ||
		    read_is_listed(filter->aggregate_types);
	return needs;
}

/* ---- Decoding a row -------------------------------------------------------------------------- */

static void read_uuid(struct read_scan *scan, int column, bool may_be_null, struct tide_uuid *ret)
{
	struct tide_text text = sqlite_column_view(scan->statement, column);
	if (text.data && uuid_read(text.data, text.size, ret))
		return;
	memset(ret, 0, sizeof *ret);
	if (text.data || !may_be_null)
		scan->problem = "a UUID column holds no UUID";
}

static void read_time(struct read_scan *scan, int column, struct tide_time *ret)
{
	struct tide_text text = sqlite_column_view(scan->statement, column);
	if (text.data && time_reader_next(&scan->session->clock, text.data, text.size, ret))
		return;
	ret->unix_us = 0;
	scan->problem = "a time column holds no instant";
}

static struct tide_text read_text(struct read_scan *scan, int column)
{
	struct tide_text text = sqlite_column_view(scan->statement, column);
	if (!text.data)
		scan->problem = "a required column is null";
	return text;
}

static void read_set_version(struct read_scan *scan, int64_t value, int32_t *ret)
{
	if (value < 1 || value > INT32_MAX)
		scan->problem = "a version column is out of range";
	else
		*ret = (int32_t)value;
}

/* Only what the filter looks at. */
static bool read_matches(struct read_scan *scan)
{
	struct tide_event event = { 0 };
	event.event_type = sqlite_column_view(scan->statement, READ_EVENT_TYPE);
	event.aggregate_type = sqlite_column_view(scan->statement, READ_AGGREGATE_TYPE);
	if (scan->needs.aggregate_id)
		sqlite_column_uuid(scan->statement, READ_AGGREGATE_ID, &event.aggregate_id);
	if (scan->needs.tenant_id)
		sqlite_column_uuid(scan->statement, READ_TENANT_ID, &event.tenant_id);
	if (scan->needs.time)
		sqlite_column_time(scan->statement, READ_TIMESTAMP, &event.occurred_at);
	return tide_filter_matches(scan->filter, &event);
}

/*
 * Text that Tidemark wrote was checked then, and checking it again would double the cost of a scan.
 * What was damaged or written by hand since shows at its ends; short values are checked whole.
 */
static bool read_is_json(struct tide_text text)
{
	if (text.size < 2)
		return json_check(text, false, "payload", NULL) == TIDE_OK;
	char first = text.data[0], last = text.data[text.size - 1];
	if ((first == '{' && last == '}') || (first == '[' && last == ']') ||
	    (first == '"' && last == '"'))
		return true;
	return json_check(text, false, "payload", NULL) == TIDE_OK;
}

/* What rows of other libraries leave null, or keep in the payload. */
static tide_status read_foreign(struct read_scan *scan, struct tide_event *event,
				struct tide_error *err)
{
	event->event_version = 1;
	event->metadata = text_view("{}", 2);
	memset(&event->correlation_id, 0, sizeof event->correlation_id);
	memset(&event->causation_id, 0, sizeof event->causation_id);
	scan->session->scratch.size = 0;
	tide_status status = event_open_envelope(event, &scan->session->scratch, err);
	if (status != TIDE_DECODE)
		return status;
	scan->problem = "the payload is no JSON";
	return TIDE_OK;
}

static tide_status read_base_fields(struct read_scan *scan, struct tide_event *event,
				    struct tide_error *err)
{
	int64_t event_version = sqlite3_column_int64(scan->statement, READ_EVENT_VERSION);
	if (event_version == 0 &&
	    sqlite3_column_type(scan->statement, READ_EVENT_VERSION) == SQLITE_NULL)
		return read_foreign(scan, event, err);
	read_set_version(scan, event_version, &event->event_version);
	read_uuid(scan, READ_CORRELATION_ID, true, &event->correlation_id);
	read_uuid(scan, READ_CAUSATION_ID, true, &event->causation_id);
	event->metadata = sqlite_column_view(scan->statement, READ_METADATA);

	if (!event->metadata.data)
		event->metadata = text_view("{}", 2);
	if (!read_is_json(event->payload))
		scan->problem = "the payload is no JSON";
	else if (event->metadata.data[0] != '{' || !read_is_json(event->metadata))
		scan->problem = "the metadata is no JSON object";
	return TIDE_OK;
}

/* A null view of a column that is not null means that memory was out while its text was made. */
static bool read_was_short_of_memory(struct read_scan *scan)
{
	return sqlite3_errcode(sqlite3_db_handle(scan->statement)) == SQLITE_NOMEM;
}

static void read_mark_undecodable(struct read_scan *scan, struct tide_event *event)
{
	event->undecodable = scan->problem;
	if (tide_uuid_is_nil(&event->event_id))
		event->event_id_text = sqlite_column_view(scan->statement, READ_EVENT_ID).data;
	event->payload = sqlite_column_view(scan->statement, READ_PAYLOAD);
	event->metadata = text_view("{}", 2);
	if (!event->payload.data)
		event->payload = text_view("", 0);
	if (!event->event_type.data)
		event->event_type = text_view("", 0);
	if (!event->aggregate_type.data)
		event->aggregate_type = text_view("", 0);
}

static tide_status read_decode(struct read_scan *scan, struct tide_event *ret,
			       struct tide_error *err)
{
	scan->problem = NULL;
	ret->undecodable = ret->event_id_text = NULL;
	ret->version = 0;
	ret->event_version = 1;
	ret->position = sqlite3_column_int64(scan->statement, READ_POSITION);
	read_set_version(scan, sqlite3_column_int64(scan->statement, READ_VERSION), &ret->version);
	ret->event_type = read_text(scan, READ_EVENT_TYPE);
	ret->aggregate_type = read_text(scan, READ_AGGREGATE_TYPE);
	read_uuid(scan, READ_AGGREGATE_ID, false, &ret->aggregate_id);
	read_uuid(scan, READ_TENANT_ID, true, &ret->tenant_id);
	read_time(scan, READ_TIMESTAMP, &ret->occurred_at);
	read_uuid(scan, READ_EVENT_ID, false, &ret->event_id);
	ret->actor_id = sqlite_column_view(scan->statement, READ_ACTOR_ID);
	ret->payload = read_text(scan, READ_PAYLOAD);
	read_time(scan, READ_CREATED_AT, &ret->stored_at);

	tide_status status = TIDE_OK;
	if (ret->payload.data)
		status = read_base_fields(scan, ret, err);
	if (status != TIDE_OK)
		return status;
	if (scan->problem && read_was_short_of_memory(scan))
		return alloc_fail(err);
	if (scan->problem)
		read_mark_undecodable(scan, ret);
	return TIDE_OK;
}

/* ---- Scanning -------------------------------------------------------------------------------- */

/* Count what was left out up to a position. */
static void read_leap(struct read_scan *scan, tide_position to)
{
	int64_t over = scan->newest ? to - scan->page->scanned_to : 0;
	scan->page->passed_after += over;
	scan->page->leapt += over;
}

/* Take one row that the filter passed; `*ret_is_full` when it belongs to the next page. */
static tide_status read_take(struct read_scan *scan, bool *ret_is_full, struct tide_error *err)
{
	struct tide_event event;
	tide_status status = read_decode(scan, &event, err);
	if (status != TIDE_OK)
		return status;
	*ret_is_full = !tide_page_fits(scan->page, event.payload.size + event.metadata.size);
	if (*ret_is_full)
		return TIDE_OK;
	read_leap(scan, event.position - 1);
	status = tide_page_add(scan->page, &event, err);
	if (status == TIDE_OK)
		scan->page->scanned_to = event.position;
	return status;
}

static void read_stand(struct read_scan *scan, tide_position position, struct tide_text id)
{
	scan->page->scanned_to = scan->page->passed.position = position;
	snprintf(scan->passed, sizeof scan->passed, "%s",
		 id.data && id.size < sizeof scan->passed ? id.data : "");
}

/* Leave out a row that the filter does not want. */
static void read_pass(struct read_scan *scan)
{
	tide_position position = sqlite3_column_int64(scan->statement, READ_POSITION);
	read_leap(scan, position - 1);
	tide_page_pass(scan->page);
	read_stand(scan, position, sqlite_column_view(scan->statement, READ_EVENT_ID));
}

/* There are no more rows: what was left out ends with the newest event. */
static void read_come_to_end(struct read_scan *scan)
{
	tide_position end = scan->newest ? sqlite3_column_int64(scan->newest, 0) : 0;
	scan->page->is_end = true;
	if (end <= scan->page->scanned_to)
		return;
	read_leap(scan, end);
	read_stand(scan, end, sqlite_column_view(scan->newest, 1));
}

/* Its id is read once a page, not for every row. */
static void read_end_passing(struct read_scan *scan)
{
	struct tide_anchor *passed = &scan->page->passed;
	if (passed->position && tide_uuid_parse(scan->passed, &passed->event_id, NULL) != TIDE_OK)
		passed->position = 0;
}

/* Step until the page is full, the scan was long enough, or the rows are over. */
static tide_status read_rows(struct read_scan *scan, size_t max_scan, struct tide_error *err)
{
	struct tide_page *page = scan->page;
	for (size_t scanned = 0;; scanned++) {
		int code = sqlite3_step(scan->statement);
		if (code == SQLITE_DONE) {
			read_come_to_end(scan);
			return TIDE_OK;
		}
		if (code != SQLITE_ROW)
			return sqlite_fail(&scan->session->connection, code, "read", err);
		if (page->count == page->max_events || (max_scan && scanned == max_scan))
			return TIDE_OK;
		bool is_full = false;
		tide_status status = TIDE_OK;
		if (scan->needs.any && !read_matches(scan))
			read_pass(scan);
		else
			status = read_take(scan, &is_full, err);
		if (status != TIDE_OK || is_full)
			return status;
	}
}

/* ---- Choosing the statement ------------------------------------------------------------------ */

/* Beyond that many types a scan costs no more than a look for each of them. */
#define READ_TYPES_MAX 8

/* A criterion that is one value; lists of aggregate types stay with the filter. */
static const char *read_only_one(const char *const *list)
{
	return read_is_listed(list) && !list[1] ? list[0] : NULL;
}

/* How many event types the database is asked for, each by the index; 0: the filter alone knows
 * them. */
static int read_types(const struct tide_filter *filter)
{
	int count = 0;
	if (read_is_listed(filter->patterns))
		return 0;
	while (filter->event_types && filter->event_types[count])
		if (++count > READ_TYPES_MAX)
			return 0;
	return count;
}

/* What is wanted of one event type, or of all: the type is parameter `type`, 0 for none. */
static void read_narrow_select(struct buffer *sql, const struct tide_page_query *query, int type)
{
	const struct tide_filter *filter = query->filter;
	buffer_format(sql, "SELECT " READ_COLUMNS " FROM events%s WHERE global_position %s ?1",
		      query->is_sparse ? " INDEXED BY " READ_TYPE_INDEX : "",
		      query->backward ? "<" : ">");
	if (type)
		buffer_format(sql, " AND event_type = ?%d", type);
	if (read_only_one(filter->aggregate_types))
		buffer_format(sql, " AND aggregate_type = ?3");
	if (filter->tenant_id)
		buffer_format(sql, " AND " SQLITE_UUID_IS("tenant_id", "?4"));
	if (filter->aggregate_id)
		buffer_format(sql, " AND global_position IN (SELECT global_position FROM events "
				   "WHERE " SQLITE_UUID_IS("aggregate_id", "?5") ")");
}

/* A select for each type, which SQLite merges by position as the index has them: nothing is
 * sorted. */
static tide_status read_narrow_text(const struct tide_page_query *query, int types, char **ret,
				    struct tide_error *err)
{
	struct buffer sql = { 0 };
	read_narrow_select(&sql, query, types ? 6 : 0);
	for (int i = 1; i < types; i++) {
		buffer_format(&sql, " UNION ALL ");
		read_narrow_select(&sql, query, 6 + i);
	}
	buffer_format(&sql, " ORDER BY global_position%s", query->backward ? " DESC" : "");
	return buffer_take(&sql, ret, err);
}

/* Whether a type stands before in the list: each is asked for once. */
static bool read_is_repeated(const char *const *list, int at)
{
	for (int i = 0; i < at; i++)
		if (strcmp(list[i], list[at]) == 0)
			return true;
	return false;
}

/* A statement that leaves out, by its indexes, much of what the filter does not want. */
static tide_status read_narrow(struct sqlite_session *session, const struct tide_page_query *query,
			       sqlite3_stmt **ret, char uuids[2][TIDE_UUID_TEXT_SIZE],
			       struct tide_error *err)
{
	const struct tide_filter *filter = query->filter;
	const char *aggregate_type = read_only_one(filter->aggregate_types);
	int types = read_types(filter);
	ALLOC_AUTO char *sql = NULL;
	tide_status status = read_narrow_text(query, types, &sql, err);
	if (status == TIDE_OK)
		status = sqlite_shape(&session->connection, sql, ret, err);
	if (status != TIDE_OK)
		return status;

	/* a null matches nothing */
	for (int i = 0; i < types; i++)
		sqlite_bind_string(
			*ret, 6 + i,
			read_is_repeated(filter->event_types, i) ? NULL : filter->event_types[i]);
	if (aggregate_type)
		sqlite_bind_string(*ret, 3, aggregate_type);
	if (filter->tenant_id)
		sqlite_bind_uuid(*ret, 4, filter->tenant_id, uuids[0]);
	if (filter->aggregate_id)
		sqlite_bind_uuid(*ret, 5, filter->aggregate_id, uuids[1]);
	return TIDE_OK;
}

/* Whether a read leaps; `*ret_newest` is then to be reset behind it. */
static tide_status read_look_for_leap(struct sqlite_session *session,
				      const struct tide_page_query *query, bool *ret,
				      sqlite3_stmt **ret_newest, struct tide_error *err)
{
	SQLITE_AUTO_RESET sqlite3_stmt *index = NULL;
	struct sqlite_connection *connection = &session->connection;
	*ret = false;
	if (!query->is_sparse || read_types(query->filter) == 0)
		return TIDE_OK;
	bool has_row = false;
	tide_status status = sqlite_statement(connection, read_newest, ret_newest, err);
	if (status == TIDE_OK)
		status = sqlite_step(connection, *ret_newest, &has_row, err);
	if (status == TIDE_OK && has_row)
		status = sqlite_statement(connection, read_type_index, &index, err);
	if (status == TIDE_OK && has_row)
		status = sqlite_step(connection, index, ret, err);
	return status;
}

/* Only the types are looked for: the filter counts what else it does not want of them. */
static tide_status read_by_type(struct sqlite_session *session, const struct tide_page_query *query,
				sqlite3_stmt **ret, struct tide_error *err)
{
	const struct tide_filter types = { .event_types = query->filter->event_types };
	struct tide_page_query by_type = *query;
	by_type.filter = &types;
	return read_narrow(session, &by_type, ret, NULL, err);
}

static bool read_can_narrow(const struct tide_page_query *query)
{
	const struct tide_filter *filter = query->filter;
	return query->max_scan == 0 &&
	       (filter->tenant_id || filter->aggregate_id || read_types(filter) > 0 ||
		read_only_one(filter->aggregate_types));
}

static tide_status read_feed(struct sqlite_session *session, const struct tide_page_query *query,
			     struct read_scan *scan, struct tide_error *err)
{
	SQLITE_AUTO_RESET sqlite3_stmt *statement = NULL;
	/* Not reset before the rows are read, as the version of a stream. */
	SQLITE_AUTO_RESET sqlite3_stmt *newest = NULL;
	char uuids[2][TIDE_UUID_TEXT_SIZE];
	bool leaps;
	tide_status status = read_look_for_leap(session, query, &leaps, &newest, err);
	if (status != TIDE_OK)
		return status;
	if (leaps)
		status = read_by_type(session, query, &statement, err);
	else if (read_can_narrow(query))
		status = read_narrow(session, query, &statement, uuids, err);
	else
		status = sqlite_statement(&session->connection,
					  query->backward ? read_feed_backward : read_feed_forward,
					  &statement, err);
	if (status != TIDE_OK)
		return status;

	sqlite3_bind_int64(statement, 1, query->bound);
	scan->statement = statement;
	scan->newest = leaps ? newest : NULL;
	scan->page->scanned_to = query->bound;
	status = read_rows(scan, query->max_scan, err);
	read_end_passing(scan);
	return status;
}

static tide_status read_stream(struct sqlite_session *session, const struct tide_page_query *query,
			       struct read_scan *scan, struct tide_error *err)
{
	SQLITE_AUTO_RESET sqlite3_stmt *statement = NULL;
	/* Not reset before the rows are read: both see the same state of the database then. */
	SQLITE_AUTO_RESET sqlite3_stmt *version = NULL;
	char id[TIDE_UUID_TEXT_SIZE];
	tide_status status = sqlite_version_of(&session->connection, *query->stream, &version,
					       &scan->page->stream_version, err);
	if (status == TIDE_OK)
		status = sqlite_statement(&session->connection,
					  query->backward ? read_stream_backward
							  : read_stream_forward,
					  &statement, err);
	if (status != TIDE_OK)
		return status;

	sqlite3_bind_int64(statement, 1, query->bound);
	sqlite_bind_uuid(statement, 2, &query->stream->aggregate_id, id);
	sqlite_bind_string(statement, 3, query->stream->aggregate_type);
	scan->statement = statement;
	return read_rows(scan, query->max_scan, err);
}

tide_status sqlite_read(void *self, const struct tide_page_query *query, struct tide_page *page,
			struct tide_error *err)
{
	struct sqlite_session *session = self;
	struct read_scan scan = {
		.session = session,
		.filter = query->filter,
		.needs = read_needs_of(query->filter),
		.page = page,
	};
	tide_status status = sqlite_place_check(session->store, err);
	if (status == TIDE_OK && !session->is_delivering)
		status = sqlite_schema_look(session->store, &session->connection, err);
	if (status != TIDE_OK)
		return status;
	return query->stream ? read_stream(session, query, &scan, err)
			     : read_feed(session, query, &scan, err);
}

/* ---- Small questions ------------------------------------------------------------------------- */

tide_status sqlite_end(void *self, tide_position *ret, struct tide_error *err)
{
	struct sqlite_session *session = self;
	SQLITE_AUTO_RESET sqlite3_stmt *statement = NULL;
	tide_status status = sqlite_place_check(session->store, err);
	if (status == TIDE_OK)
		status = sqlite_statement(&session->connection, read_end, &statement, err);
	if (status == TIDE_OK)
		status = sqlite_step(&session->connection, statement, NULL, err);
	if (status == TIDE_OK)
		*ret = sqlite3_column_int64(statement, 0);
	return status;
}

tide_status sqlite_anchor(void *self, tide_position position, struct tide_anchor *ret,
			  bool *ret_may_come, struct tide_error *err)
{
	struct sqlite_session *session = self;
	SQLITE_AUTO_RESET sqlite3_stmt *statement = NULL;
	bool is_found;
	tide_status status = sqlite_statement(&session->connection, read_anchor, &statement, err);
	if (status != TIDE_OK)
		return status;

	sqlite3_bind_int64(statement, 1, position);
	status = sqlite_step(&session->connection, statement, &is_found, err);
	if (status != TIDE_OK)
		return status;

	*ret_may_come = false;
	*ret = (struct tide_anchor){ is_found ? sqlite3_column_int64(statement, 0) : 0, { { 0 } } };
	if (is_found && !sqlite_column_uuid(statement, 1, &ret->event_id))
		ret->event_id = (struct tide_uuid){ { 0 } };
	return TIDE_OK;
}

tide_status sqlite_stream_version(void *self, struct tide_stream stream, tide_version *ret,
				  struct tide_error *err)
{
	struct sqlite_session *session = self;
	tide_status status = sqlite_place_check(session->store, err);
	return status == TIDE_OK ? sqlite_version_of(&session->connection, stream, NULL, ret, err)
				 : status;
}

tide_status sqlite_find(void *self, const struct tide_uuid *event_id, struct tide_page *page,
			struct tide_error *err)
{
	struct sqlite_session *session = self;
	SQLITE_AUTO_RESET sqlite3_stmt *statement = NULL;
	char text[TIDE_UUID_TEXT_SIZE];
	bool is_found;
	tide_status status = sqlite_place_check(session->store, err);
	if (status == TIDE_OK)
		status = sqlite_statement(&session->connection, read_event, &statement, err);
	if (status != TIDE_OK)
		return status;

	sqlite_bind_uuid(statement, 1, event_id, text);
	status = sqlite_step(&session->connection, statement, &is_found, err);
	if (status != TIDE_OK)
		return status;
	if (!is_found)
		return tide_fail(err, TIDE_NOT_FOUND, "event '%s' is not stored",
				 tide_uuid_format(event_id, text));

	struct read_scan scan = { .session = session, .statement = statement, .page = page };
	struct tide_event event;
	status = read_decode(&scan, &event, err);
	return status == TIDE_OK ? tide_page_add(page, &event, err) : status;
}
