/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Appending, with one connection per store and one flush for everybody who waits.
 *
 *	caller ──▶ queue ──▶ nobody leads? lead: take the queue ──▶ BEGIN, write each append, COMMIT ──▶ wake the others
 *	                     else wait: the leader did it, or lead the next group
 *
 * Happy path: the version of the stream is read, the events are inserted, the commit is flushed.
 * Fails when: an id is known or the stream is elsewhere: a uniqueness constraint or the version
 * says so; that append is undone, done again with the ids looked up, and judged by
 * tide_commit_decide; the rest of the group goes on. An error that ends the transaction (disk full,
 * lost lock) is everybody's.
 */

#include <string.h>

#include "backends/sqlite/internal.h"

#define STORE_GROUP_MAX ((size_t)64)
#define STORE_GATHER_NS (NS_PER_MS / 10)

/** One caller's append: waiting, being written, or done. */
struct sqlite_append {
	const struct tide_commit *commits;
	size_t count;
	/* one per commit, handed to the caller when it went well */
	struct tide_append_result *results;
	struct tide_error *err; /* the caller's, may be NULL */
	tide_status status;
	size_t failed;      /* the commit that did not go well */
	size_t event_count; /* of all commits */
	/* under the writer's lock */
	bool is_done;
	struct cond changed; /* done, or to lead the next group */
	struct sqlite_append *next;
};

/* How the writes of one append are taken back. */
enum store_undo {
	STORE_UNDO_STATEMENT,  /* nothing to do: one insert that fails leaves nothing */
	STORE_UNDO_SAVEPOINT,  /* others share the transaction */
	STORE_UNDO_TRANSACTION /* it is alone in it */
};

/* OR ABORT: a table may say otherwise (UNIQUE ON CONFLICT IGNORE, REPLACE), and nobody would be
 * told. An id that another library has stored in upper case is written as it is there, so that it
 * is found not to be unique. */
static const char store_insert[] =
	"INSERT OR ABORT INTO events (aggregate_id, aggregate_type, created_at, event_id, "
	"event_type, tenant_id, actor_id, version, "
	"timestamp, payload, event_version, correlation_id, causation_id, metadata) "
	"VALUES (?1, ?2, ?3, coalesce((SELECT event_id FROM events WHERE event_id = ?15), "
	"?4), ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)";
/* Each maximum is one look into the index of streams; over both spellings at once it would read all
 * of the stream. */
static const char store_version[] = "SELECT max(ifnull((SELECT max(version) FROM events WHERE "
				    "aggregate_id = ?1 AND aggregate_type = ?2), 0), "
				    "ifnull((SELECT max(version) FROM events WHERE aggregate_id = "
				    "upper(?1) AND aggregate_type = ?2), 0))";
static const char store_known[] = "SELECT global_position, version, aggregate_id, aggregate_type "
				  "FROM events WHERE " SQLITE_UUID_IS("event_id", "?1");

tide_status sqlite_version_of(struct sqlite_connection *connection, struct tide_stream stream,
			      sqlite3_stmt **ret_statement, tide_version *ret,
			      struct tide_error *err)
{
	SQLITE_AUTO_RESET sqlite3_stmt *statement = NULL;
	char id[TIDE_UUID_TEXT_SIZE];
	tide_status status = sqlite_statement(connection, store_version, &statement, err);
	if (status != TIDE_OK)
		return status;

	sqlite_bind_uuid(statement, 1, &stream.aggregate_id, id);
	sqlite_bind_string(statement, 2, stream.aggregate_type);
	status = sqlite_step(connection, statement, NULL, err);
	if (status != TIDE_OK)
		return status;

	*ret = (tide_version)sqlite3_column_int64(statement, 0);
	if (ret_statement) {
		*ret_statement = statement;
		statement = NULL;
	}
	return TIDE_OK;
}

static void store_upper(const char *uuid, char ret[TIDE_UUID_TEXT_SIZE])
{
	for (size_t i = 0; i < TIDE_UUID_TEXT_SIZE; i++)
		ret[i] = (char)(uuid[i] >= 'a' && uuid[i] <= 'f' ? uuid[i] - 'a' + 'A' : uuid[i]);
}

/* Bind what differs from event to event; the first three parameters keep their values over a
 * commit. */
static int store_bind_event(sqlite3_stmt *insert, const struct tide_event *event,
			    tide_version version, char uuids[5][TIDE_UUID_TEXT_SIZE],
			    char time[TIDE_TIME_TEXT_SIZE])
{
	sqlite_bind_uuid(insert, 4, &event->event_id, uuids[0]);
	store_upper(uuids[0], uuids[4]);
	sqlite3_bind_text(insert, 15, uuids[4], TIDE_UUID_TEXT_SIZE - 1, SQLITE_STATIC);
	sqlite3_bind_text(insert, 5, event->event_type.data, (int)event->event_type.size,
			  SQLITE_STATIC);
	sqlite_bind_uuid(insert, 6, &event->tenant_id, uuids[1]);
	sqlite3_bind_text(insert, 7, event->actor_id.data, (int)event->actor_id.size,
			  SQLITE_STATIC);
	sqlite3_bind_int64(insert, 8, version);
	sqlite_bind_time(insert, 9, event->occurred_at, time);

	int code = sqlite3_bind_text64(insert, 10, event->payload.data, event->payload.size,
				       SQLITE_STATIC, SQLITE_UTF8);
	sqlite3_bind_int64(insert, 11, event->event_version);
	sqlite_bind_uuid(insert, 12, &event->correlation_id, uuids[2]);
	sqlite_bind_uuid(insert, 13, &event->causation_id, uuids[3]);

	int metadata = sqlite3_bind_text64(insert, 14, event->metadata.data, event->metadata.size,
					   SQLITE_STATIC, SQLITE_UTF8);
	return code == SQLITE_OK ? metadata : code;
}

/*
 * A violated constraint is reported through `*ret_clashes`: the caller finds out which rule it is.
 * A trigger can keep the row out without an error (RAISE(IGNORE)), and fail behind a row that stays
 * (RAISE(FAIL)): that ends the transaction, but for a delivery's, which has a savepoint.
 */
static tide_status store_insert_event(struct sqlite_connection *connection, sqlite3_stmt *insert,
				      bool *ret_clashes, struct tide_error *err)
{
	bool is_done = sqlite3_step(insert) == SQLITE_DONE,
	     is_stored = sqlite3_changes(connection->handle) > 0;
	if (is_done && is_stored)
		return TIDE_OK;
	if (is_done)
		return tide_fail(err, TIDE_STATE,
				 "append: an event was not stored, without an error: a trigger on "
				 "'events' keeps it out");

	int code = sqlite3_extended_errcode(connection->handle);
	*ret_clashes = sqlite_is_constraint(code);
	tide_status status = sqlite_fail(connection, code, "append", err);
	if (is_stored && connection == &connection->store->writer.connection)
		sqlite_run(connection, "ROLLBACK", NULL);
	return status;
}

static tide_status store_insert_events(struct sqlite_connection *connection,
				       const struct tide_commit *commit, tide_version current,
				       struct tide_append_result *ret, bool *ret_clashes,
				       struct tide_error *err)
{
	SQLITE_AUTO_RESET sqlite3_stmt *insert = NULL;
	char stream[TIDE_UUID_TEXT_SIZE], now[TIDE_TIME_TEXT_SIZE], time[TIDE_TIME_TEXT_SIZE];
	char uuids[5][TIDE_UUID_TEXT_SIZE];
	tide_status status = sqlite_statement(connection, store_insert, &insert, err);
	if (status != TIDE_OK)
		return status;

	sqlite_bind_uuid(insert, 1, &commit->stream.aggregate_id, stream);
	sqlite_bind_string(insert, 2, commit->stream.aggregate_type);
	sqlite_bind_time(insert, 3, clock_wall(&clock_system), now);
	for (size_t i = 0; i < commit->count; i++) {
		int code = store_bind_event(insert, &commit->events[i],
					    current + 1 + (tide_version)i, uuids, time);
		if (code != SQLITE_OK)
			return sqlite_fail(connection, code, "append", err);
		status = store_insert_event(connection, insert, ret_clashes, err);
		if (status != TIDE_OK)
			return status;
		sqlite3_reset(insert);
		ret->last_position = sqlite3_last_insert_rowid(connection->handle);
		if (i == 0)
			ret->first_position = ret->last_position;
	}

	ret->version = current + (tide_version)commit->count;
	ret->was_stored_before = false;
	return TIDE_OK;
}

static tide_status store_look_up(struct sqlite_connection *connection,
				 const struct tide_commit *commit, const struct tide_uuid *id,
				 struct tide_known_event *ret, struct tide_error *err)
{
	SQLITE_AUTO_RESET sqlite3_stmt *statement = NULL;
	char text[TIDE_UUID_TEXT_SIZE];
	tide_status status = sqlite_statement(connection, store_known, &statement, err);
	if (status != TIDE_OK)
		return status;

	sqlite_bind_uuid(statement, 1, id, text);
	status = sqlite_step(connection, statement, &ret->is_known, err);
	if (status != TIDE_OK || !ret->is_known)
		return status;

	struct tide_uuid aggregate;
	ret->position = sqlite3_column_int64(statement, 0);
	ret->version = (tide_version)sqlite3_column_int64(statement, 1);
	ret->is_same_stream =
		sqlite_column_uuid(statement, 2, &aggregate) &&
		tide_uuid_equal(&aggregate, &commit->stream.aggregate_id) &&
		text_equals(sqlite_column_view(statement, 3), commit->stream.aggregate_type);
	return TIDE_OK;
}

/* Judge a commit with its ids looked up in the store. */
static tide_status store_decide_carefully(struct sqlite_connection *connection,
					  const struct tide_commit *commit, tide_version current,
					  struct tide_append_result *ret, struct tide_error *err)
{
	ALLOC_AUTO struct tide_known_event *known = alloc_zero(commit->count, sizeof *known);
	if (!known)
		return alloc_fail(err);
	bool is_any_known = false;
	for (size_t i = 0; i < commit->count; i++) {
		tide_status status = store_look_up(connection, commit, &commit->events[i].event_id,
						   &known[i], err);
		if (status != TIDE_OK)
			return status;
		is_any_known = is_any_known || known[i].is_known;
	}
	return tide_commit_decide(commit, is_any_known ? known : NULL, current, ret, err);
}

static tide_status store_write_commit(struct sqlite_connection *connection,
				      const struct tide_commit *commit, bool is_careful,
				      struct tide_append_result *ret, bool *ret_clashes,
				      struct tide_error *err)
{
	tide_version current;
	tide_status status = sqlite_version_of(connection, commit->stream, NULL, &current, err);
	if (status != TIDE_OK)
		return status;
	if (is_careful)
		status = store_decide_carefully(connection, commit, current, ret, err);
	else
		status = tide_commit_decide(commit, NULL, current, ret, err);
	if (status != TIDE_OK || ret->was_stored_before)
		return status;
	return store_insert_events(connection, commit, current, ret, ret_clashes, err);
}

/* Write all commits of an append; `*ret_unsure` when the ids have to be looked up before the
 * outcome is known. */
static tide_status store_write_append(struct sqlite_connection *connection,
				      struct sqlite_append *append, bool is_careful,
				      bool *ret_unsure)
{
	memset(append->results, 0, append->count * sizeof *append->results);
	for (size_t i = 0; i < append->count; i++) {
		bool clashes = false;
		tide_status status = store_write_commit(connection, &append->commits[i], is_careful,
							&append->results[i], &clashes, append->err);
		*ret_unsure = !is_careful &&
			      (clashes || status == TIDE_CONFLICT || status == TIDE_ARGUMENT);
		append->failed = i;
		if (status != TIDE_OK)
			return status;
	}
	return TIDE_OK;
}

static tide_status store_undo(struct sqlite_connection *connection, enum store_undo undo,
			      struct tide_error *err)
{
	switch (undo) {
	case STORE_UNDO_STATEMENT:
		return TIDE_OK;
	case STORE_UNDO_SAVEPOINT:
		return sqlite_run(connection, "ROLLBACK TO append", err);
	case STORE_UNDO_TRANSACTION:
	default: {
		tide_status status = sqlite_run(connection, "ROLLBACK", err);
		return status == TIDE_OK ? sqlite_run(connection, "BEGIN IMMEDIATE", err) : status;
	}
	}
}

static enum store_undo store_undo_in_group(const struct sqlite_append *append, bool is_alone)
{
	if (append->event_count == 1)
		return STORE_UNDO_STATEMENT;
	return is_alone ? STORE_UNDO_TRANSACTION : STORE_UNDO_SAVEPOINT;
}

/* Write one append so that its failure leaves nothing of it behind. */
static tide_status store_settle_append(struct sqlite_connection *connection,
				       struct sqlite_append *append, enum store_undo undo)
{
	tide_status status = TIDE_OK;
	if (undo == STORE_UNDO_SAVEPOINT)
		status = sqlite_run(connection, "SAVEPOINT append", append->err);
	if (status != TIDE_OK)
		return status;

	bool is_unsure = false;
	status = store_write_append(connection, append, false, &is_unsure);
	if (is_unsure && !sqlite3_get_autocommit(connection->handle)) {
		status = store_undo(connection, undo, append->err);
		if (status == TIDE_OK)
			status = store_write_append(connection, append, true, &is_unsure);
	}

	if (sqlite3_get_autocommit(connection->handle))
		return status; /* nothing is left to undo, nor to release */
	if (status != TIDE_OK)
		store_undo(connection, undo, NULL);
	if (undo == STORE_UNDO_SAVEPOINT) {
		tide_status release = sqlite_run(connection, "RELEASE append",
						 status == TIDE_OK ? append->err : NULL);
		status = status == TIDE_OK ? release : status;
	}
	return status;
}

/* The transaction as a whole failed: nothing of anybody's is stored. */
static void store_fail_group(struct sqlite_connection *connection, struct sqlite_append *group,
			     const struct tide_error *why)
{
	if (!sqlite3_get_autocommit(connection->handle))
		sqlite_run(connection, "ROLLBACK", NULL);
	for (struct sqlite_append *append = group; append; append = append->next) {
		append->status = why->status;
		if (append->err)
			*append->err = *why;
	}
}

static void store_write_group(struct sqlite_store *store, struct sqlite_connection *connection,
			      struct sqlite_append *group)
{
	struct tide_error why = { 0 };
	if (sqlite_place_check(store, &why) != TIDE_OK ||
	    sqlite_run(connection, "BEGIN IMMEDIATE", &why) != TIDE_OK ||
	    sqlite_schema_look(store, connection, &why) != TIDE_OK) {
		store_fail_group(connection, group, &why);
		return;
	}

	bool is_alone = group->next == NULL;
	for (struct sqlite_append *append = group; append; append = append->next) {
		struct tide_error *err = append->err;
		append->err = &why;
		append->status = store_settle_append(connection, append,
						     store_undo_in_group(append, is_alone));
		append->err = err;
		if (sqlite3_get_autocommit(connection->handle)) {
			store_fail_group(connection, group, &why);
			return;
		}
		if (append->status != TIDE_OK && err)
			*err = why;
	}

	if (sqlite_run(connection, "COMMIT", &why) != TIDE_OK)
		store_fail_group(connection, group, &why);
}

/*
 * The members of the last group were woken a moment ago and may be about to append again: a flush
 * for one of them and then another for the rest would halve the rate, so the leader waits a
 * fraction of a flush for as many as last time. A caller that is alone was alone the last time too,
 * and does not wait.
 */
static void store_gather_locked(struct sqlite_writer *writer, struct sqlite_append *leader)
	TIDE_REQUIRES(writer->lock)
{
	if (writer->waiting >= writer->last_group)
		return;
	struct mono_time until = mono_add(clock_mono(&clock_system), STORE_GATHER_NS);
	writer->gatherer = leader;
	while (writer->waiting < writer->last_group &&
	       cond_wait_until(&leader->changed, &writer->lock, until))
		continue;
	writer->gatherer = NULL;
}

/* Take the first of the queue, as many as make a group. */
static struct sqlite_append *store_take_locked(struct sqlite_writer *writer)
	TIDE_REQUIRES(writer->lock)
{
	struct sqlite_append *group = writer->first;
	struct sqlite_append **end = &writer->first;
	writer->last_group = 0;
	while (writer->last_group < STORE_GROUP_MAX && *end) {
		end = &(*end)->next;
		writer->last_group++;
	}

	writer->waiting -= writer->last_group;
	writer->first = *end;
	*end = NULL;
	if (!writer->first)
		writer->last = &writer->first;
	return group;
}

/* Write a group as its leader, tell its members, and call the next leader. */
static void store_lead_locked(struct sqlite_store *store, struct sqlite_writer *writer,
			      struct sqlite_append *leader) TIDE_REQUIRES(writer->lock)
{
	writer->is_led = true;
	store_gather_locked(writer, leader);
	struct sqlite_append *group = store_take_locked(writer);
	mutex_unlock(&writer->lock);

	store_write_group(store, &writer->connection, group);
	sqlite_connection_look(&writer->connection);
	mutex_lock(&writer->lock);
	writer->is_led = false;
	for (struct sqlite_append *append = group; append; append = append->next) {
		append->is_done = true;
		cond_signal(&append->changed);
	}

	if (writer->first)
		cond_signal(&writer->first->changed);
}

static void store_append_in_group(struct sqlite_store *store, struct sqlite_append *append)
{
	struct sqlite_writer *writer = &store->writer;
	cond_init(&append->changed);
	mutex_lock(&writer->lock);
	*writer->last = append;
	writer->last = &append->next;
	writer->waiting++;
	if (writer->gatherer && writer->waiting >= writer->last_group)
		cond_signal(&writer->gatherer->changed);
	while (!append->is_done) {
		if (writer->is_led)
			cond_wait(&append->changed, &writer->lock);
		else
			store_lead_locked(store, writer, append);
	}

	mutex_unlock(&writer->lock);
	cond_fini(&append->changed);
}

/* A conflict has a result, too: where that stream is. */
static void store_answer(const struct sqlite_append *append, struct tide_append_result *ret)
{
	if (append->status == TIDE_OK)
		memcpy(ret, append->results, append->count * sizeof *ret);
	if (append->status == TIDE_CONFLICT)
		ret[append->failed] = append->results[append->failed];
}

tide_status sqlite_append(void *self, const struct tide_commit *commits, size_t count,
			  struct tide_append_result *ret, struct tide_error *err)
{
	struct sqlite_store *store = self;
	if (sqlite_delivery_is_mine(store->file, NULL))
		return sqlite_fail_own_lock(store->file, err);

	struct tide_append_result one;
	ALLOC_AUTO struct tide_append_result *many = NULL;
	if (count > 1) {
		many = alloc_zero(count, sizeof *many);
		if (!many)
			return alloc_fail(err);
	}

	struct sqlite_append append = {
		.commits = commits, .count = count, .results = many ? many : &one, .err = err
	};

	for (size_t i = 0; i < count; i++)
		append.event_count += commits[i].count;
	store_append_in_group(store, &append);
	store_answer(&append, ret);
	return append.status;
}

/* The delivery's transaction has the writer's lock: nobody has to be waited for. */
tide_status sqlite_append_within(void *self, const struct tide_commit *commits, size_t count,
				 struct tide_append_result *ret, struct tide_error *err)
{
	struct sqlite_session *session = self;
	struct tide_error why = { 0 };
	ALLOC_AUTO struct tide_append_result *results = alloc_zero(count, sizeof *results);
	if (!results)
		return alloc_fail(err);

	struct sqlite_append append = {
		.commits = commits, .count = count, .results = results, .err = &why
	};
	append.status = store_settle_append(&session->connection, &append, STORE_UNDO_SAVEPOINT);
	store_answer(&append, ret);
	if (append.status != TIDE_OK && err)
		*err = why;
	return append.status;
}

/* WAL is a property of the file. Changing it does not wait for locks by itself
 * (https://www.sqlite.org/wal.html). */
static tide_status store_use_wal(struct sqlite_connection *connection, struct tide_error *err)
{
	struct mono_time until = mono_add(clock_mono(&clock_system), connection->busy_ns);
	for (;;) {
		tide_status status = sqlite_script(connection, "PRAGMA journal_mode = WAL", err);
		if (status != TIDE_BUSY || mono_since(until, clock_mono(&clock_system)) <= 0)
			return status;
		sqlite3_sleep(1);
	}
}

tide_status sqlite_writer_open(struct sqlite_store *store, bool initialize, bool has_category_index,
			       struct tide_error *err)
{
	struct sqlite_connection *connection = &store->writer.connection;
	bool may_write = store->is_memory || !store->is_read_only;
	tide_status status =
		sqlite_connect(store, initialize, store->is_append_full, connection, err);

	if (status != TIDE_OK && store->is_read_only && sqlite_place_freeze(store))
		status = sqlite_connect(store, false, store->is_append_full, connection, err);
	if (status == TIDE_OK)
		status = sqlite_schema_prepare(store, connection, initialize && may_write,
					       has_category_index, err);
	store->parts = connection->parts;
	connection->turn = &store->turn;
	if (status == TIDE_OK && may_write && !store->is_memory)
		status = store_use_wal(connection, err);
	if (status == TIDE_OK)
		sqlite_place_note(store);
	return status;
}

void sqlite_writer_close(struct sqlite_writer *writer)
{
	sqlite_disconnect(&writer->connection);
	mutex_fini(&writer->lock);
}
