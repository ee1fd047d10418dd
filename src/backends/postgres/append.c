/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Appending: all events of all commits in one statement, one round trip.
 *
 * Happy path: the statement finds every stream where it must be, inserts, and returns the
 * positions. It inserts nothing when a stream is elsewhere, and fails on one of two unique
 * constraints when an event id is stored already or another writer was faster. Then the streams'
 * versions and the known ids are looked up, and the rules of an append decide: done before,
 * conflict, duplicate, or try again. What the database calls a serialization failure or a deadlock
 * is tried again as long as streams move meanwhile, and else a few times: a trigger can raise it.
 * Failure: whatever else the database has against it (a constraint or trigger of its owner, no
 * space) is reported at once, unless the rules of an append have the first word. A connection lost
 * under way is replaced and the append repeated; its event ids make that safe. Only when the server
 * stays away is the outcome unknown: TIDE_CONNECTION_LOST. So it is when the server does not answer
 * within append_timeout, most likely for want of a synchronous standby: TIDE_TIMEOUT. The
 * connection stays as it is, "flying", and serves again once its answer has landed (store.c). In a
 * delivery's transaction each try has a savepoint of its own, and a connection that is lost takes
 * the transaction along.
 */
#include "backends/postgres/inner.h"

#include <stdlib.h>

#include "backends/postgres/status.h"
#include "core/text.h"
#include "sys/alloc.h"
#include "sys/wakeup.h"

#define APPEND_PAUSE_MIN_NS (20 * NS_PER_MS)
#define APPEND_PAUSE_MAX_NS (500 * NS_PER_MS)
#define APPEND_TORN_MAX 3 /* tries in a row after an alleged race that moved no stream */

/** What one try came to. */
enum append_outcome {
	APPEND_FAILED, /* as the error says */
	APPEND_DONE,
	APPEND_KEPT,   /* from being stored, at least in part, by a trigger */
	APPEND_LOST,   /* a race: another append was there first */
	APPEND_TORN,   /* from a race by the word of the database, which may be that of a trigger */
	APPEND_REFUSED /* nothing was inserted: a stream is not where it must be */
};

/** One call in progress. */
struct append_call {
	struct pg_store *store;
	const struct tide_commit *commits;
	size_t count;
	/* become the caller's on success, and that of a conflict */
	struct tide_append_result *results;
	struct tide_append_result *ret;
	bool *is_stored; /* by commit: found stored before */
	int32_t *ahead;  /* by commit: events that the commits before it add to its stream */
	bool was_cut;    /* a connection was lost with an earlier try of this call under way */
	bool is_within;  /* in a delivery's transaction, which a failure must not break */
	int races;
	int torn; /* tries in a row that were torn from a race without a stream having moved */
	/* of all streams together, when they were last looked up; below 0: never. They only grow */
	int64_t versions;
	/* tries in a row that inserted nothing although every stream was where it must be */
	int in_place;
	struct mono_time deadline; /* for the server to come back, and for a race to be won */
	int64_t pause_ns;
};

static size_t append_total(const struct append_call *call)
{
	size_t total = 0;
	for (size_t i = 0; i < call->count; i++)
		total += call->is_stored[i] ? 0 : call->commits[i].count;
	return total;
}

static int append_compare_streams(const void *a, const void *b)
{
	const struct tide_commit *x = *(const struct tide_commit *const *)a,
				 *y = *(const struct tide_commit *const *)b;
	int order = tide_uuid_compare(&x->stream.aggregate_id, &y->stream.aggregate_id);
	if (order == 0)
		order = strcmp(x->stream.aggregate_type, y->stream.aggregate_type);
	return order ? order : (x > y) - (x < y);
}

static bool append_is_same_stream(const struct tide_commit *a, const struct tide_commit *b)
{
	return tide_uuid_equal(&a->stream.aggregate_id, &b->stream.aggregate_id) &&
	       strcmp(a->stream.aggregate_type, b->stream.aggregate_type) == 0;
}

/* A call may name a stream more than once: find what stands before each commit, by sorting. */
static tide_status append_look_ahead(struct append_call *call, struct tide_error *err)
{
	if (call->count == 1)
		return TIDE_OK;
	ALLOC_AUTO const struct tide_commit **sorted = alloc_zero(call->count, sizeof *sorted);
	if (!sorted)
		return alloc_fail(err);

	for (size_t i = 0; i < call->count; i++)
		sorted[i] = &call->commits[i];
	qsort(sorted, call->count, sizeof *sorted, append_compare_streams);
	int32_t ahead = 0;
	for (size_t i = 0; i < call->count; i++) {
		size_t index = (size_t)(sorted[i] - call->commits);
		if (i > 0 && !append_is_same_stream(sorted[i - 1], sorted[i]))
			ahead = 0;
		call->ahead[index] = ahead;
		ahead += call->is_stored[index] ? 0 : (int32_t)sorted[i]->count;
	}
	return TIDE_OK;
}

static int32_t append_required(const struct append_call *call, size_t index)
{
	return pg_append_required(&call->commits[index], call->ahead[index]);
}

static void append_put_streams(const struct append_call *call, struct pg_params *params,
			       bool with_required)
{
	pg_array_begin(params, PG_UUID, call->count);
	for (size_t i = 0; i < call->count; i++)
		pg_array_uuid(params, &call->commits[i].stream.aggregate_id, false);
	pg_array_end(params);
	pg_array_begin(params, PG_TEXT, call->count);
	for (size_t i = 0; i < call->count; i++)
		pg_array_text(params, tide_text(call->commits[i].stream.aggregate_type));
	pg_array_end(params);
	if (!with_required)
		return;

	pg_array_begin(params, PG_INT4, call->count);
	for (size_t i = 0; i < call->count; i++)
		pg_array_int4(params,
			      call->is_stored[i] ? PG_APPEND_ANY : append_required(call, i));
	pg_array_end(params);
}

/* The columns of the events as arrays, in the order of the statement's parameters. */
enum append_field {
	APPEND_STREAM,
	APPEND_NTH,
	APPEND_EVENT_ID,
	APPEND_EVENT_TYPE,
	APPEND_TENANT_ID,
	APPEND_ACTOR_ID,
	APPEND_OCCURRED_AT,
	APPEND_PAYLOAD,
	APPEND_EVENT_VERSION,
	APPEND_CORRELATION_ID,
	APPEND_CAUSATION_ID,
	APPEND_METADATA,
	APPEND_FIELDS
};

static const int append_types[APPEND_FIELDS] = { PG_INT4, PG_INT4, PG_UUID,        PG_TEXT,
						 PG_UUID, PG_TEXT, PG_TIMESTAMPTZ, PG_JSON,
						 PG_INT4, PG_UUID, PG_UUID,        PG_JSON };

static void append_put_field(struct pg_params *params, enum append_field field,
			     const struct tide_event *event, size_t stream, size_t nth)
{
	switch (field) {
	case APPEND_STREAM:
		pg_array_int4(params, (int32_t)stream);
		break;
	case APPEND_NTH:
		pg_array_int4(params, (int32_t)nth);
		break;
	case APPEND_EVENT_ID:
		pg_array_uuid(params, &event->event_id, false);
		break;
	case APPEND_EVENT_TYPE:
		pg_array_text(params, event->event_type);
		break;
	case APPEND_TENANT_ID:
		pg_array_uuid(params, &event->tenant_id, true);
		break;
	case APPEND_ACTOR_ID:
		pg_array_text(params, event->actor_id);
		break;
	case APPEND_OCCURRED_AT:
		pg_array_time(params, event->occurred_at);
		break;
	case APPEND_PAYLOAD:
		pg_array_text(params, event->payload);
		break;
	case APPEND_EVENT_VERSION:
		pg_array_int4(params, event->event_version);
		break;
	case APPEND_CORRELATION_ID:
		pg_array_uuid(params, &event->correlation_id, true);
		break;
	case APPEND_CAUSATION_ID:
		pg_array_uuid(params, &event->causation_id, true);
		break;
	default:
		pg_array_text(params, event->metadata);
	}
}

static void append_put_events(const struct append_call *call, struct pg_params *params)
{
	size_t total = append_total(call);
	for (int field = 0; field < APPEND_FIELDS; field++) {
		pg_array_begin(params, append_types[field], total);
		for (size_t i = 0; i < call->count; i++)
			for (size_t k = 0; !call->is_stored[i] && k < call->commits[i].count; k++)
				append_put_field(params, (enum append_field)field,
						 &call->commits[i].events[k], i + 1,
						 (size_t)call->ahead[i] + k + 1);
		pg_array_end(params);
	}
}

static bool append_is_one(const struct append_call *call)
{
	return call->count == 1 && call->commits[0].count == 1;
}

static void append_put_one(const struct append_call *call, struct pg_params *params)
{
	const struct tide_commit *commit = &call->commits[0];
	const struct tide_event *event = &commit->events[0];
	pg_put_uuid(params, &commit->stream.aggregate_id);
	pg_put_string(params, commit->stream.aggregate_type);
	pg_put_int4(params, append_required(call, 0));
	pg_put_uuid(params, &event->event_id);
	pg_put_text(params, event->event_type);
	pg_put_uuid(params, &event->tenant_id);

	pg_put_text(params, event->actor_id);
	pg_put_time(params, &event->occurred_at);
	pg_put_text(params, event->payload);
	pg_put_int4(params, event->event_version);
	pg_put_uuid(params, &event->correlation_id);
	pg_put_uuid(params, &event->causation_id);
	pg_put_text(params, event->metadata);
}

static enum pg_statement append_put(const struct append_call *call, struct pg_params *params)
{
	if (append_is_one(call)) {
		append_put_one(call, params);
		return PG_APPEND_ONE;
	}
	append_put_streams(call, params, true);
	append_put_events(call, params);
	return PG_APPEND;
}

/* Rows come in the order of the events. */
static void append_results(const struct append_call *call, const PGresult *rows)
{
	int row = 0;
	for (size_t i = 0; i < call->count; i++) {
		if (call->is_stored[i])
			continue;
		int last = row + (int)call->commits[i].count - 1;
		call->results[i] =
			(struct tide_append_result){ .version = pg_int4(rows, last, 1),
						     .first_position = pg_int8(rows, row, 0),
						     .last_position = pg_int8(rows, last, 0) };
		row = last + 1;
	}
}

/*
 * Whether another append was there first. A serialization failure says so by its definition, and a
 * deadlock of an append to several streams is one with an append that takes them in another order;
 * but a trigger can raise either.
 */
static enum append_outcome append_judge(const struct append_call *call,
					struct pg_connection *connection)
{
	const char *sqlstate = connection->sqlstate;
	if (!pg_connection_is_usable(connection))
		return APPEND_FAILED;
	if (strcmp(sqlstate, "40001") == 0 || (call->count > 1 && strcmp(sqlstate, "40P01") == 0))
		return APPEND_TORN;
	return pg_keys_tell_race(call->store, connection) ? APPEND_LOST : APPEND_FAILED;
}

/* A trigger or rule can keep rows out without an error; what it let in is stored. */
static tide_status append_fail_kept(int stored, size_t total, struct tide_error *err)
{
	return tide_fail(err, TIDE_STATE,
			 "PostgreSQL stored %d of %zu events and named no error: a trigger or rule "
			 "on 'events' keeps them "
			 "out",
			 stored, total);
}

static enum append_outcome append_send(const struct append_call *call,
				       struct pg_connection *connection, struct tide_error *err)
{
	PG_PARAMS_AUTO struct pg_params params = { .count = 0 };
	PG_RESULT_AUTO PGresult *rows = NULL;
	enum pg_statement statement = append_put(call, &params);
	if (pg_run(call->store, connection, statement, &params, &rows, err) != TIDE_OK)
		return APPEND_FAILED;
	if (PQntuples(rows) == 0)
		return APPEND_REFUSED;
	if ((size_t)PQntuples(rows) != append_total(call)) {
		append_fail_kept(PQntuples(rows), append_total(call), err);
		return APPEND_KEPT;
	}

	append_results(call, rows);
	return APPEND_DONE;
}

/* What the server said of the failure is judged behind it. */
static void append_undo(struct pg_connection *connection)
{
	char sqlstate[sizeof connection->sqlstate];
	memcpy(sqlstate, connection->sqlstate, sizeof sqlstate);
	if (pg_connection_is_usable(connection))
		(void)pg_command(connection,
				 "ROLLBACK TO SAVEPOINT tidemark_append; "
				 "RELEASE SAVEPOINT tidemark_append",
				 NULL);
	memcpy(connection->sqlstate, sqlstate, sizeof sqlstate);
}

static enum append_outcome append_insert(const struct append_call *call,
					 struct pg_connection *connection, struct tide_error *err)
{
	if (call->is_within && pg_command(connection, "SAVEPOINT tidemark_append", err) != TIDE_OK)
		return APPEND_FAILED;
	enum append_outcome outcome = append_send(call, connection, err);
	if (call->is_within && outcome == APPEND_DONE &&
	    pg_command(connection, "RELEASE SAVEPOINT tidemark_append", err) != TIDE_OK)
		return APPEND_FAILED;
	if (call->is_within && outcome != APPEND_DONE)
		append_undo(connection);
	return outcome == APPEND_FAILED ? append_judge(call, connection) : outcome;
}

static tide_status append_versions(const struct append_call *call, struct pg_connection *connection,
				   PGresult **ret, struct tide_error *err)
{
	PG_PARAMS_AUTO struct pg_params params = { .count = 0 };
	append_put_streams(call, &params, false);
	return pg_run(call->store, connection, PG_APPEND_VERSIONS, &params, ret, err);
}

/* Where the ids of one commit are stored already; `*ret_any` is false when none is. */
static tide_status append_known(const struct append_call *call, size_t index,
				struct pg_connection *connection, struct tide_known_event *ret,
				bool *ret_any, struct tide_error *err)
{
	const struct tide_commit *commit = &call->commits[index];
	PG_PARAMS_AUTO struct pg_params params = { .count = 0 };
	PG_RESULT_AUTO PGresult *rows = NULL;
	pg_array_begin(&params, PG_UUID, commit->count);
	for (size_t i = 0; i < commit->count; i++)
		pg_array_uuid(&params, &commit->events[i].event_id, false);
	pg_array_end(&params);
	tide_status status = pg_run(call->store, connection, PG_APPEND_KNOWN, &params, &rows, err);
	if (status != TIDE_OK)
		return status;

	for (int row = 0; row < PQntuples(rows); row++) {
		struct tide_uuid aggregate_id = pg_uuid(rows, row, 3);
		bool is_same = tide_uuid_equal(&aggregate_id, &commit->stream.aggregate_id) &&
			       text_equals(pg_text(rows, row, 4), commit->stream.aggregate_type);
		ret[pg_int8(rows, row, 0) - 1] =
			(struct tide_known_event){ .is_known = true,
						   .is_same_stream = is_same,
						   .position = pg_int8(rows, row, 1),
						   .version = pg_int4(rows, row, 2) };
	}

	*ret_any = PQntuples(rows) > 0;
	return TIDE_OK;
}

static tide_status append_decide_one(struct append_call *call, size_t index,
				     struct pg_connection *connection, tide_version current,
				     struct tide_error *err)
{
	const struct tide_commit *commit = &call->commits[index];
	ALLOC_AUTO struct tide_known_event *known = alloc_zero(commit->count, sizeof *known);
	if (!known)
		return alloc_fail(err);

	bool any;
	tide_status status = append_known(call, index, connection, known, &any, err);
	if (status != TIDE_OK)
		return status;

	struct tide_append_result result = { 0 };
	status = tide_commit_decide(commit, any ? known : NULL, current, &result, err);
	if (status == TIDE_CONFLICT)
		call->ret[index] = result;
	if (status == TIDE_OK)
		call->results[index] = result.was_stored_before
					       ? result
					       : (struct tide_append_result){ .version = current };
	if (status != TIDE_OK || !result.was_stored_before)
		return status;

	call->is_stored[index] = true;
	return append_look_ahead(call, err);
}

/* The versions are read before the ids: an earlier try of this call that commits in between is
 * found by its ids. */
static tide_status append_decide(struct append_call *call, struct pg_connection *connection,
				 struct tide_error *err)
{
	PG_RESULT_AUTO PGresult *versions = NULL;
	tide_status status = append_versions(call, connection, &versions, err);
	call->versions = 0;
	for (size_t i = 0; status == TIDE_OK && i < call->count; i++)
		call->versions += pg_int4(versions, (int)i, 0);
	for (size_t i = 0; status == TIDE_OK && i < call->count; i++)
		if (!call->is_stored[i])
			status = append_decide_one(call, i, connection,
						   pg_int4(versions, (int)i, 0) + call->ahead[i],
						   err);
	return status;
}

static tide_status append_lose_race(const struct append_call *call, struct tide_error *err)
{
	size_t i = 0;
	while (i + 1 < call->count && call->is_stored[i])
		i++;
	char id[TIDE_UUID_TEXT_SIZE];
	const struct tide_stream *stream = &call->commits[i].stream;
	call->ret[i] = (struct tide_append_result){ .version = call->results[i].version };
	return tide_fail(err, TIDE_CONFLICT,
			 "'%s:%s' was changed by others %d times while this append was tried",
			 tide_uuid_format(&stream->aggregate_id, id), stream->aggregate_type,
			 call->races);
}

/*
 * The rules of an append come before those of the database's owner: what a trigger refuses may be
 * stored already, and a number out of range is a stream that is full. A key that is none of a race
 * may be that of a position.
 */
static tide_status append_explain(struct append_call *call, struct pg_connection *connection,
				  struct tide_error *err)
{
	struct tide_error cause = *err, ruled;
	bool is_over = cause.status == TIDE_TIMEOUT || cause.status == TIDE_OUT_OF_MEMORY;
	if (is_over || !pg_connection_is_usable(connection))
		return cause.status;

	bool is_key = cause.native == pg_native_of("23505");
	tide_status status = append_decide(call, connection, &ruled);
	if (status == TIDE_OK && append_total(call) == 0)
		return TIDE_OK;
	if (status == TIDE_OK && is_key)
		status = pg_keys_check_sequence(call->store, connection, &ruled);
	bool is_ruled = status == TIDE_CONFLICT || status == TIDE_DUPLICATE_EVENT ||
			status == TIDE_ARGUMENT || status == TIDE_SCHEMA;
	*err = is_ruled ? ruled : cause;
	return err->status;
}

/*
 * The rules find nothing against an append that did not go in, `err` says why: a race, unless
 * nothing can have changed meanwhile.
 */
static tide_status append_go_on(struct append_call *call, enum append_outcome outcome,
				bool has_moved, struct tide_error *err)
{
	call->torn = outcome == APPEND_TORN && !has_moved ? call->torn + 1 : 0;
	if (call->torn > APPEND_TORN_MAX)
		return err->status;
	call->in_place = outcome == APPEND_REFUSED ? call->in_place + 1 : 0;
	if (call->in_place > 1)
		return append_fail_kept(0, append_total(call), err);
	call->races++;
	return clock_mono(&clock_system).ns >= call->deadline.ns ? append_lose_race(call, err)
								 : TIDE_OK;
}

/*
 * A lost race costs the time of the winner's commit, and against a steady writer most races are
 * lost: the store's busy timeout bounds them, as it bounds the wait for the lock where there is
 * one. A count would give up within milliseconds.
 */
static tide_status append_try(struct append_call *call, struct pg_connection *connection,
			      struct tide_error *err)
{
	for (;;) {
		enum append_outcome outcome = append_insert(call, connection, err);
		if (outcome == APPEND_DONE)
			return TIDE_OK;
		if (outcome == APPEND_KEPT)
			return err->status;
		if (outcome == APPEND_FAILED)
			return append_explain(call, connection, err);
		struct tide_error cause = *err;
		int64_t versions = call->versions;
		tide_status status = append_decide(call, connection, err);
		if (status != TIDE_OK || append_total(call) == 0)
			return status;
		*err = cause;
		status = append_go_on(call, outcome, versions >= 0 && call->versions != versions,
				      err);
		if (status != TIDE_OK)
			return status;
	}
}

/* Wait a little for the server to come back; false when the time is up. */
static bool append_pause(struct append_call *call)
{
	struct mono_time now = clock_mono(&clock_system), until = mono_add(now, call->pause_ns);
	if (until.ns > call->deadline.ns)
		return false;
	call->pause_ns =
		call->pause_ns * 2 < APPEND_PAUSE_MAX_NS ? call->pause_ns * 2 : APPEND_PAUSE_MAX_NS;
	struct wakeup nobody;
	wakeup_init(&nobody);
	wakeup_wait(&nobody, until);
	wakeup_fini(&nobody);
	return true;
}

static tide_status append_fail_with(const struct pg_turn *turn, struct tide_error *err)
{
	*err = turn->why;
	return err->status;
}

/* With a connection: together with those who wait for one, else by itself. */
static tide_status append_use(struct append_call *call, struct pg_turn *turn,
			      struct tide_error *err)
{
	tide_status status = TIDE_OK;
	if (turn->next)
		pg_group_append(call->store, turn);
	if (turn->state == PG_TURN_FAILED)
		status = append_fail_with(turn, err);
	else if (turn->state != PG_TURN_STORED)
		status = append_try(call, turn->connection, err);
	if (status == TIDE_CONNECTION_LOST) {
		pg_connection_close(turn->connection);
		pg_store_lost(call->store);
	}

	pg_pool_give(call->store, turn->connection);
	return status;
}

static tide_status append_take_turn(struct append_call *call, struct pg_turn *turn,
				    struct tide_error *err)
{
	tide_status status = pg_pool_take(call->store, turn, err);
	if (status != TIDE_OK)
		return status;
	if (turn->connection)
		status = append_use(call, turn, err);
	else if (turn->state == PG_TURN_FAILED)
		status = append_fail_with(turn, err);
	call->was_cut |= status == TIDE_CONNECTION_LOST;
	if (status == TIDE_OK && turn->state == PG_TURN_STORED)
		call->results[0] = turn->result;
	return status;
}

/* Who was taken along in vain tries by itself from then on. */
static tide_status append_run(struct append_call *call, struct tide_error *err)
{
	bool may_join = append_is_one(call);
	struct mono_time answer_by = { 0 };
	for (;;) {
		struct pg_turn turn = { .commit = may_join ? call->commits : NULL,
					.deadline = answer_by };
		tide_status status = append_take_turn(call, &turn, err);
		if (status == TIDE_CONNECTION_LOST ? !append_pause(call)
						   : turn.connection || turn.state != PG_TURN_ALONE)
			return status;
		may_join = false;
		answer_by = turn.deadline;
	}
}

static tide_status append_call_begin(struct append_call *call, struct pg_store *store,
				     const struct tide_commit *commits, size_t count,
				     struct tide_error *err)
{
	*call = (struct append_call){ .store = store,
				      .commits = commits,
				      .count = count,
				      .results = alloc_zero(count, sizeof *call->results),
				      .is_stored = alloc_zero(count, sizeof *call->is_stored),
				      .ahead = alloc_zero(count, sizeof *call->ahead),
				      .deadline =
					      mono_add(clock_mono(&clock_system), store->busy_ns),
				      .versions = -1,
				      .pause_ns = APPEND_PAUSE_MIN_NS };
	if (!call->is_stored || !call->ahead || !call->results)
		return alloc_fail(err);
	return append_look_ahead(call, err);
}

static void append_call_end(struct append_call *call)
{
	tide_free(call->results);
	tide_free(call->is_stored);
	tide_free(call->ahead);
}

/* Through the pool, or on the connection of a delivery's transaction. */
static tide_status append_call_run(struct append_call *call, struct pg_connection *within,
				   struct tide_append_result *ret, struct tide_error *err)
{
	struct tide_error why = { 0 };
	call->ret = ret;
	call->is_within = within != NULL;
	tide_status status = within ? append_try(call, within, &why) : append_run(call, &why);
	if (status != TIDE_OK && err)
		*err = why;
	if (status == TIDE_OK)
		memcpy(ret, call->results, call->count * sizeof *ret);
	for (size_t i = 0; status == TIDE_OK && call->was_cut && i < call->count; i++)
		ret[i].was_stored_before = false; /* most likely by this very call */
	return status;
}

tide_status pg_append(void *self, const struct tide_commit *commits, size_t count,
		      struct tide_append_result *ret, struct tide_error *err)
{
	struct pg_store *store = self;
	__attribute__((cleanup(append_call_end))) struct append_call call;
	tide_status status = append_call_begin(&call, store, commits, count, err);
	if (status == TIDE_OK)
		status = append_call_run(&call, NULL, ret, err);
	if (status == TIDE_OK)
		pg_bell_ring(store);
	return status;
}

/* Whom it waits for is an append to the same stream that is under way; the watchdog ends that. */
tide_status pg_append_within(void *self, const struct tide_commit *commits, size_t count,
			     struct tide_append_result *ret, struct tide_error *err)
{
	struct pg_session *session = self;
	__attribute__((cleanup(append_call_end))) struct append_call call;
	tide_status status = append_call_begin(&call, session->store, commits, count, err);
	if (status == TIDE_OK)
		status = append_call_run(&call, session->writer, ret, err);
	if (status == TIDE_CONNECTION_LOST)
		pg_store_lost(session->store);
	session->has_appended |= status == TIDE_OK;
	return status;
}
