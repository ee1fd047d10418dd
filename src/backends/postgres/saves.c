/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Saves of several subscriptions in one statement and one commit (sys/combine.h).
 *
 * Each row is written under its own fence and over its own expectation. None of this waits for a
 * lock that somebody else has on a row: the others would wait with it.
 *
 * Happy path: who is alone writes its row; else the leader writes the rows of all, by the one
 * connection that it takes, and is answered with the places of those that it wrote. Fails when: the
 * fence of one fell, its row is another one, or locked, or the statement fails: who was not written
 * saves alone, and is told why there. The leader gets no connection soon: so do they, when it is
 * their turn to have one. Its connection is lost, or the answer does not come in time: none of them
 * knows the outcome.
 */
#include "backends/postgres/inner.h"

#include <assert.h>

/* how long they wait for a connection together: as long as statements take, and not handlers */
#define SAVES_PATIENCE_NS (50 * NS_PER_MS)

/** What became of a save. */
enum save_outcome { SAVE_LEFT, SAVE_WRITTEN, SAVE_UNKNOWN, SAVE_FAILED };

/** One subscription's save. */
struct pg_save {
	struct combine_part part; /* is first */
	struct pg_session *session;
	const struct pg_params *params;
	enum save_outcome outcome;
	struct tide_error why; /* when it failed: of the leader alone */
};

static struct pg_save *save_of(struct combine_part *part)
{
	return (struct pg_save *)part;
}

/* Each parameter of one statement, as an array of those of all. */
static void saves_put(struct combine_part *group, int count, struct pg_params *params)
{
	/* without anchors the ninth, which is an INT8 too, is the last */
	static const int types[] = { PG_TEXT, PG_TEXT,        PG_INT8, PG_UUID, PG_TEXT, PG_INT8,
				     PG_INT8, PG_TIMESTAMPTZ, PG_INT8, PG_UUID, PG_INT8 };
	int columns = save_of(group)->params->count;
	for (int i = 0; i < columns; i++) {
		pg_array_begin(params, types[i], (size_t)count);
		for (struct combine_part *part = group; part; part = part->next)
			pg_array_param(params, save_of(part)->params, i);
		pg_array_end(params);
	}
}

static void saves_tell(struct combine_part *group, const PGresult *places)
{
	int64_t place = 1;
	int rows = PQntuples(places);
	for (struct combine_part *part = group; part; part = part->next, place++)
		for (int row = 0; row < rows; row++)
			if (pg_int8(places, row, 0) == place)
				save_of(part)->outcome = SAVE_WRITTEN;
}

/* The answer is waited for as long as the least patient of them would. */
static tide_status saves_run(struct pg_session *leader, struct combine_part *group,
			     PGresult **ret_places, struct tide_error *err)
{
	PG_PARAMS_AUTO struct pg_params params = { .count = 0 };
	double patience = leader->answer_seconds;
	int count = 0;
	for (struct combine_part *part = group; part; part = part->next, count++)
		if (save_of(part)->session->answer_seconds < leader->answer_seconds)
			leader->answer_seconds = save_of(part)->session->answer_seconds;

	saves_put(group, count, &params);
	tide_status status =
		pg_write_run(leader, PG_CHECKPOINT_MOVE_GROUP, &params, ret_places, err);
	leader->answer_seconds = patience;
	return status;
}

/* What the statement came to is the leader's to tell, but for what another row was to blame for. */
static void saves_fail(struct pg_save *own, struct combine_part *group,
		       const struct pg_connection *writer, const struct tide_error *why)
{
	bool is_unknown = writer->is_late || !pg_connection_is_usable(writer);
	bool was_interrupted = strcmp(writer->sqlstate, "57014") == 0;
	for (struct combine_part *part = group; part && is_unknown; part = part->next)
		save_of(part)->outcome = SAVE_UNKNOWN;

	if (!is_unknown && !was_interrupted && group->next)
		return;
	own->outcome = SAVE_FAILED;
	own->why = *why;
}

static void saves_write_together(struct pg_save *own, struct combine_part *group)
{
	PG_RESULT_AUTO PGresult *result = NULL;
	struct pg_connection *writer;
	struct tide_error why;
	if (!pg_session_take(own->session) && !pg_seats_await(own->session, SAVES_PATIENCE_NS))
		return;
	tide_status status = pg_session_writer(own->session, &writer, &why);
	if (status != TIDE_OK) {
		own->outcome = SAVE_FAILED;
		own->why = why;
		return;
	}

	if (group->next)
		status = saves_run(own->session, group, &result, &why);
	else
		status = pg_write_run(own->session, PG_CHECKPOINT_MOVE_AT_ONCE, own->params,
				      &result, &why);
	if (status != TIDE_OK)
		saves_fail(own, group, writer, &why);
	else if (group->next)
		saves_tell(group, result);
	else if (pg_changed(result) > 0)
		own->outcome = SAVE_WRITTEN;
}

static struct combine_part *saves_lead(void *self)
{
	struct pg_save *own = self;
	struct combine_part *group = combiner_take(&own->session->store->saves);
	saves_write_together(own, group);
	return group;
}

tide_status pg_saves_write(struct pg_session *session, const struct pg_params *params,
			   struct tide_error *err)
{
	struct pg_save save = { .session = session, .params = params };
	assert(!session->place.seat);
	combiner_run(&session->store->saves, &save.part, saves_lead, &save);

	switch (save.outcome) {
	case SAVE_WRITTEN:
		return TIDE_OK;
	case SAVE_UNKNOWN:
		session->is_unsure = true;
		return tide_fail(err, TIDE_BUSY,
				 "whether the checkpoint was saved with others is not known");
	case SAVE_FAILED:
		if (err)
			*err = save.why;
		return save.why.status;
	case SAVE_LEFT:
		break;
	}
	return tide_fail(err, TIDE_BUSY, "the checkpoint has to be saved by itself");
}
