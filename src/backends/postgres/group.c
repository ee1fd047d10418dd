/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Appends that share a statement and a commit, because they all wait for a connection (pool.c).
 *
 * Happy path: one event to each of several streams goes in where its stream is where it must be;
 * the ids that come back tell whose. Failure: who is not among them, and everybody when the
 * statement fails, tries by itself, so that the rules of an append are applied in one place
 * (append.c) and a conflict of one stays its own. Nothing of a failed statement is stored. When the
 * answer stays away, or the connection is lost, the outcome is unknown for all of them alike.
 */
#include "backends/postgres/inner.h"

#include <stdlib.h>

#include "backends/postgres/status.h"
#include "sys/alloc.h"

enum group_field {
	GROUP_AGGREGATE_ID,
	GROUP_AGGREGATE_TYPE,
	GROUP_REQUIRED,
	GROUP_EVENT_ID,
	GROUP_EVENT_TYPE,
	GROUP_TENANT_ID,
	GROUP_ACTOR_ID,
	GROUP_OCCURRED_AT,
	GROUP_PAYLOAD,
	GROUP_EVENT_VERSION,
	GROUP_CORRELATION_ID,
	GROUP_CAUSATION_ID,
	GROUP_METADATA,
	GROUP_FIELDS
};

static const int group_types[GROUP_FIELDS] = { PG_UUID, PG_TEXT, PG_INT4,        PG_UUID, PG_TEXT,
					       PG_UUID, PG_TEXT, PG_TIMESTAMPTZ, PG_JSON, PG_INT4,
					       PG_UUID, PG_UUID, PG_JSON };

/* Where the stream must be before the whole call, for one of its commits. Numbered events say so
 * themselves. */
int32_t pg_append_required(const struct tide_commit *commit, int32_t ahead)
{
	int64_t exact = commit->expected, numbered = (int64_t)commit->events[0].version - 1;
	if (numbered >= 0) {
		bool is_met = exact < 0 ? exact == TIDE_ANY || numbered > 0 : exact == numbered;
		if (!is_met)
			return PG_APPEND_NEVER;
		exact = numbered;
	}
	if (exact == TIDE_STREAM_EXISTS)
		return ahead > 0 ? PG_APPEND_ANY : PG_APPEND_EXISTS;
	if (exact == TIDE_ANY)
		return PG_APPEND_ANY;
	return exact >= ahead && exact <= INT32_MAX ? (int32_t)exact - ahead : PG_APPEND_NEVER;
}

static void group_put_field(struct pg_params *params, enum group_field field,
			    const struct tide_commit *commit)
{
	const struct tide_event *event = commit->events;
	switch (field) {
	case GROUP_AGGREGATE_ID:
		pg_array_uuid(params, &commit->stream.aggregate_id, false);
		break;
	case GROUP_AGGREGATE_TYPE:
		pg_array_text(params, tide_text(commit->stream.aggregate_type));
		break;
	case GROUP_REQUIRED:
		pg_array_int4(params, pg_append_required(commit, 0));
		break;
	case GROUP_EVENT_ID:
		pg_array_uuid(params, &event->event_id, false);
		break;
	case GROUP_EVENT_TYPE:
		pg_array_text(params, event->event_type);
		break;
	case GROUP_TENANT_ID:
		pg_array_uuid(params, &event->tenant_id, true);
		break;
	case GROUP_ACTOR_ID:
		pg_array_text(params, event->actor_id);
		break;
	case GROUP_OCCURRED_AT:
		pg_array_time(params, event->occurred_at);
		break;
	case GROUP_PAYLOAD:
		pg_array_text(params, event->payload);
		break;
	case GROUP_EVENT_VERSION:
		pg_array_int4(params, event->event_version);
		break;
	case GROUP_CORRELATION_ID:
		pg_array_uuid(params, &event->correlation_id, true);
		break;
	case GROUP_CAUSATION_ID:
		pg_array_uuid(params, &event->causation_id, true);
		break;
	default:
		pg_array_text(params, event->metadata);
	}
}

static void group_put(struct pg_turn *const *turns, size_t count, struct pg_params *params)
{
	for (int field = 0; field < GROUP_FIELDS; field++) {
		pg_array_begin(params, group_types[field], count);
		for (size_t i = 0; i < count; i++)
			group_put_field(params, (enum group_field)field, turns[i]->commit);
		pg_array_end(params);
	}
	pg_put_int8(params, (int64_t)count);
}

static int group_compare(const void *a, const void *b)
{
	const struct tide_stream *x = &(*(struct pg_turn *const *)a)->commit->stream;
	const struct tide_stream *y = &(*(struct pg_turn *const *)b)->commit->stream;
	int order = tide_uuid_compare(&x->aggregate_id, &y->aggregate_id);
	return order ? order : strcmp(x->aggregate_type, y->aggregate_type);
}

/* By their streams: groups of two processes that meet at several streams then wait in one direction
 * only. */
static size_t group_sort(struct pg_turn *leader, struct pg_turn **ret)
{
	size_t count = 0;
	struct pg_turn *turn = leader;
	do {
		ret[count++] = turn;
		turn = turn->next;
	} while (turn);
	qsort(ret, count, sizeof *ret, group_compare);
	return count;
}

static void group_note_stored(struct pg_turn *turn, const PGresult *rows, int row)
{
	tide_position position = pg_int8(rows, row, 0);
	turn->result = (struct tide_append_result){ .version = pg_int4(rows, row, 1),
						    .first_position = position,
						    .last_position = position };
	turn->outcome = PG_TURN_STORED;
}

static void group_note_failed(struct pg_turn *turn, const struct tide_error *why)
{
	turn->why = *why;
	turn->outcome = PG_TURN_FAILED;
}

/*
 * Rows come in the order of the turns, each with its event's id. A trigger can change ids: then
 * nobody may try again who is not known to be stored, since somebody's event is.
 */
static void group_tell(struct pg_turn *const *turns, size_t count, const PGresult *rows)
{
	int row = 0, stored = PQntuples(rows);
	for (size_t i = 0; i < count && row < stored; i++) {
		struct tide_uuid id = pg_uuid(rows, row, 2);
		if ((size_t)stored == count ||
		    tide_uuid_equal(&id, &turns[i]->commit->events[0].event_id))
			group_note_stored(turns[i], rows, row++);
	}

	struct tide_error why;
	if (row < stored)
		tide_fail(&why, TIDE_STATE,
			  "PostgreSQL stored %d events under ids that are none of theirs: a "
			  "trigger or rule on "
			  "'events' changes them",
			  stored - row);
	for (size_t i = 0; row < stored && i < count; i++)
		if (turns[i]->outcome != PG_TURN_STORED)
			group_note_failed(turns[i], &why);
}

/* Whether the statement may be stored although it failed. */
static bool group_is_unknown(const struct pg_connection *connection, tide_status status)
{
	return status == TIDE_TIMEOUT || status == TIDE_CONNECTION_LOST ||
	       (status != TIDE_OK && !pg_connection_is_usable(connection));
}

static tide_status group_run(struct pg_store *store, struct pg_connection *connection,
			     struct pg_turn *const *turns, size_t count, struct tide_error *err)
{
	PG_PARAMS_AUTO struct pg_params params = { .count = 0 };
	PG_RESULT_AUTO PGresult *rows = NULL;
	group_put(turns, count, &params);
	tide_status status = pg_run(store, connection, PG_APPEND_GROUP, &params, &rows, err);
	if (status == TIDE_OK)
		group_tell(turns, count, rows);
	return status;
}

void pg_group_append(struct pg_store *store, struct pg_turn *leader)
{
	struct pg_turn *turns[PG_GROUP_MAX];
	struct tide_error why;
	size_t count = group_sort(leader, turns);
	tide_status status = group_run(store, leader->connection, turns, count, &why);
	for (size_t i = 0; group_is_unknown(leader->connection, status) && i < count; i++)
		group_note_failed(turns[i], &why);
	leader->state = leader->outcome;
	pg_pool_settle(store, leader->next);
}
