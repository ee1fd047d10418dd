/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Persons move a name; one that has lanes, or had some, with all rows of its family.
 *
 * Happy path: the ownerships are taken, each in a transaction of its own. So an owner that has a
 * transaction open is fenced when it wants to commit, and gives back the locks that the move waits
 * for, instead of waiting for the move's. Then one transaction holds the ownerships, however long
 * it takes, so that nobody begins to project before it is done; it empties the read model, moves
 * the rows, raises the epochs, deletes dead letters and writes the journal. Owners go on from the
 * rows as soon as the ownerships are let go of.
 * Failure modes: killed before the commit: nothing has happened, and the ownerships run out.
 * Another owner came before the transaction, or another number of lanes: nothing is moved, and
 * whoever asked is told. A database without transactions: the rows are moved first.
 */
#include "path/move.h"

#include <stdio.h>
#include <string.h>

#include "core/event.h"
#include "path/anchor.h"
#include "path/journal.h"
#include "path/port.h"
#include "path/segments.h"
#include "sys/alloc.h"
#include "sys/log.h"

/** A move on its way. */
struct moving {
	struct tide_checkpoints *checkpoints;
	const struct tide_store *database;
	void *session, *feed_session;
	struct move *move;
	struct family_names names;
	struct tide_fence *fences; /* of the ownerships that are taken */
	size_t fence_count;
	struct tide_checkpoint *rows; /* as they are when they are moved */
	size_t row_count;
	struct tide_checkpoint *found; /* as they were, with the anchors that are accepted */
	size_t found_count;
	char detail[TIDE_NOTE_MAX + 1]; /* for the journal */
};

static bool moving_is_family(const struct moving *moving)
{
	return moving->names.lanes > 0;
}

/* Its owner, if there is one, is fenced with it. */
static bool moving_is_row(const struct moving *moving)
{
	return moving->move->kind == MOVE_FORGET && !moving_is_family(moving);
}

/* ---- Ownerships ------------------------------------------------------------------------------ */

/* Those of the present lanes: nobody can own one of another number. */
static tide_status moving_seize(struct moving *moving, struct tide_error *err)
{
	size_t count = moving_is_family(moving) ? moving->names.lanes : moving->names.count;
	tide_status status = TIDE_OK;
	if (!port_seizes_leases(moving->database) || moving_is_row(moving))
		return TIDE_OK;
	moving->fences = alloc_zero(count, sizeof *moving->fences);
	if (!moving->fences)
		return alloc_fail(err);

	struct tide_uuid owner = tide_uuid_v4();
	for (size_t i = 0; status == TIDE_OK && i < count; i++) {
		struct tide_lease lease = { 0 };
		const char *name = moving->names.list[i];
		status = port_lease_seize(moving->database, moving->session, name, &owner, &lease,
					  err);
		if (status == TIDE_OK)
			moving->fences[moving->fence_count++] =
				(struct tide_fence){ name, owner, lease.epoch };
	}
	return status;
}

/* Until the transaction ends nobody else gets them. */
static tide_status moving_hold(struct moving *moving, struct tide_error *err)
{
	tide_status status = TIDE_OK;
	for (size_t i = 0; status == TIDE_OK && i < moving->fence_count; i++)
		status =
			port_lease_hold(moving->database, moving->session, &moving->fences[i], err);
	return status == TIDE_FENCED
		       ? tide_fail(err, TIDE_BUSY, "'%.255s' was begun or moved meanwhile",
				   moving->move->name)
		       : status;
}

static void moving_let_go(struct moving *moving)
{
	tide_status status = TIDE_OK;
	for (size_t i = 0; status != TIDE_CONNECTION_LOST && i < moving->fence_count; i++)
		status = port_lease_release(moving->database, moving->session, &moving->fences[i],
					    NULL);
	tide_free(moving->fences);
}

/* ---- Dead letters ---------------------------------------------------------------------------- */

/* Where the event of an entry was when it failed; INT64_MAX: the entry does not say. */
static tide_position moving_position_of(const struct tide_dead_letter *letter)
{
	struct event_json json = { 0 };
	tide_position position = 0;
	if (event_read_data(tide_text(letter->event_data), &json, NULL) == TIDE_OK)
		position = json.position;
	event_json_fini(&json);
	return position > 0 ? position : INT64_MAX;
}

static tide_status moving_drop_letters(struct moving *moving, tide_position above,
				       struct tide_error *err)
{
	struct tide_dead_letter_filter filter = { .projection_name = moving->move->name,
						  .statuses = { [TIDE_DEAD_LETTER_FAILED] = true,
								[TIDE_DEAD_LETTER_RETRYING] =
									true },
						  .limit = -1,
						  .oldest_first = true };
	struct tide_dead_letter_list list = { 0 };
	tide_status status =
		port_dead_letter_list(moving->database, moving->session, &filter, &list, err);
	for (size_t i = 0; status == TIDE_OK && i < list.count; i++) {
		if (moving_position_of(&list.entries[i]) <= above)
			continue;
		status = port_dead_letter_discard(moving->database, moving->session,
						  list.entries[i].id, err);
		moving->move->letters += status == TIDE_OK;
		if (status == TIDE_NOT_FOUND || status == TIDE_STATE)
			status = TIDE_OK; /* somebody was faster */
	}

	tide_dead_letters_free(&list);
	return status;
}

/* ---- Rows ------------------------------------------------------------------------------------ */

static tide_status moving_fail_changed(const struct moving *moving, struct tide_error *err)
{
	return tide_fail(err, TIDE_BUSY, "the number of lanes of '%.255s' was changed meanwhile",
			 moving->move->name);
}

/* Its rows are those that were named. */
static tide_status moving_is_same(struct moving *moving, struct tide_error *err)
{
	struct tide_group group;
	tide_status status =
		family_group(moving->database, moving->session, moving->move->name, &group, err);
	return status == TIDE_OK && group.lanes != moving->names.lanes
		       ? moving_fail_changed(moving, err)
		       : status;
}

static tide_status moving_move_family(struct moving *moving, bool forgets, tide_position position,
				      struct tide_error *err)
{
	struct tide_group_move write = { .name = moving->move->name,
					 .lanes = moving->names.lanes,
					 .rows = moving->names.list,
					 .row_count = moving->names.count,
					 .forgets = forgets,
					 .position = position,
					 .now = tide_time_now() };
	bool is_moved = false;
	tide_status status =
		port_group_move(moving->database, moving->session, &write, &is_moved, err);
	return status == TIDE_OK && !is_moved ? moving_fail_changed(moving, err) : status;
}

static tide_status moving_save(struct moving *moving, const char *name, tide_position position,
			       const struct tide_anchor *anchor, struct tide_error *err)
{
	struct tide_checkpoint_write write = { .name = name,
					       .has_position = true,
					       .progress = { .position = position },
					       .now = tide_time_now() };
	if (anchor)
		write.anchor = *anchor;
	return port_save(moving->database, moving->session, NULL, &write, err);
}

static bool moving_knows(const struct moving *moving, const char *name)
{
	for (size_t i = 0; i < moving->names.count; i++)
		if (strcmp(moving->names.list[i], name) == 0)
			return true;
	return false;
}

/* `*ret` is released with tide_free. */
static tide_status moving_rows(struct moving *moving, struct tide_checkpoint **ret,
			       size_t *ret_count, struct tide_error *err)
{
	struct tide_checkpoint *rows = NULL;
	size_t count = 0, kept = 0;
	tide_status status = port_list(moving->database, moving->session, &rows, &count, err);
	if (status != TIDE_OK)
		return status;
	for (size_t i = 0; i < count; i++)
		if (moving_knows(moving, rows[i].projection_name))
			rows[kept++] = rows[i];
	if (kept == 0) {
		tide_free(rows);
		return tide_fail(err, TIDE_NOT_FOUND, "'%.255s' has no checkpoint",
				 moving->move->name);
	}
	*ret = rows;
	*ret_count = kept;
	return TIDE_OK;
}

/* A row without a position has settled nothing. */
static tide_position moving_position(const struct tide_checkpoint *row)
{
	return row->has_position ? row->position : 0;
}

/* Where the name is, before it is moved: in the transaction, if there is one. */
static tide_status moving_look(struct moving *moving, struct tide_error *err)
{
	struct move *move = moving->move;
	tide_free(moving->rows);
	moving->rows = NULL;
	tide_status status = moving_rows(moving, &moving->rows, &moving->row_count, err);
	if (status != TIDE_OK)
		return status;

	move->row = moving->rows[0];
	move->least = moving_position(&moving->rows[0]);
	for (size_t i = 1; i < moving->row_count; i++) {
		const struct tide_checkpoint *row = &moving->rows[i];
		if (moving_position(row) > moving_position(&move->row))
			move->row = *row;
		if (moving_position(row) < move->least)
			move->least = moving_position(row);
	}
	return TIDE_OK;
}

/* As it was looked at; NULL: there is none. */
static const struct tide_checkpoint *moving_find(const struct moving *moving, const char *name)
{
	for (size_t i = 0; i < moving->row_count; i++)
		if (strcmp(moving->rows[i].projection_name, name) == 0)
			return &moving->rows[i];
	return NULL;
}

/* What is kept of lanes whose rows are gone. */
static tide_status moving_forget_rest(struct moving *moving, struct tide_error *err)
{
	struct tide_segment *list = NULL;
	size_t count = 0;
	tide_status status = segments_list_family(moving->database, moving->session,
						  moving->move->name, &list, &count, err);
	for (size_t i = 0; status == TIDE_OK && i < count; i++)
		if (segment_is_newest(list, count, i) && !moving_find(moving, list[i].name))
			status = segments_forget(moving->database, moving->session, list[i].name,
						 err);
	tide_segments_free(list, count);
	return status;
}

/* ---- Anew ------------------------------------------------------------------------------------ */

static tide_status moving_forget(struct moving *moving, struct tide_error *err)
{
	tide_position from = moving->move->anew->from;
	if (moving_is_family(moving)) {
		tide_status status = moving_move_family(moving, true, from, err);
		return status == TIDE_OK ? moving_forget_rest(moving, err) : status;
	}
	tide_status status = port_reset(moving->database, moving->session, moving->move->name, err);
	return status == TIDE_OK && from >= 0
		       ? moving_save(moving, moving->move->name, from, NULL, err)
		       : status;
}

static tide_status moving_begin_anew(struct moving *moving, struct tide_error *err)
{
	const struct checkpoints_anew *anew = moving->move->anew;
	tide_status status = TIDE_OK;
	snprintf(moving->detail, sizeof moving->detail, "%s", anew->detail ? anew->detail : "");
	if (anew->function)
		status = anew->function(anew->self,
					port_connection(moving->database, moving->session), err);
	if (status == TIDE_OK && anew->function)
		status = port_check(moving->database, moving->session, err);
	if (status == TIDE_OK)
		status = moving_forget(moving, err);
	return status == TIDE_OK ? moving_drop_letters(moving, 0, err) : status;
}

/* ---- Back ------------------------------------------------------------------------------------ */

static tide_status moving_check_back(struct moving *moving, struct tide_error *err)
{
	struct move *move = moving->move;
	tide_status status = moving_look(moving, err);
	if (status != TIDE_OK || move->to <= moving_position(&move->row))
		return status;
	return tide_fail(err, TIDE_ARGUMENT,
			 "'%s' is at position %lld, %lld is above it: rewind goes back", move->name,
			 (long long)moving_position(&move->row), (long long)move->to);
}

/* Rows of earlier numbers go back with the others, but nobody runs them. */
static bool moving_can_run(const struct moving *moving, const char *name)
{
	size_t lanes = moving_is_family(moving) ? moving->names.lanes : moving->names.count;
	for (size_t i = 0; i < lanes; i++)
		if (strcmp(moving->names.list[i], name) == 0)
			return true;
	return false;
}

static tide_status moving_turn_segment(struct moving *moving, const struct tide_segment *newest,
				       struct tide_error *err)
{
	const struct tide_checkpoint none = { 0 };
	struct segments_move move = { .row = moving_find(moving, newest->name),
				      .goes_on = moving_can_run(moving, newest->name),
				      .to = moving->move->to };
	return segment_reach(newest, move.row ? move.row : &none) > move.to
		       ? segments_go_back(moving->database, moving->session, newest, &move, err)
		       : TIDE_OK;
}

static tide_status moving_turn_segments(struct moving *moving, struct tide_error *err)
{
	struct tide_segment *list = NULL;
	size_t count = 0;
	tide_status status = moving_is_family(moving)
				     ? segments_list_family(moving->database, moving->session,
							    moving->move->name, &list, &count, err)
				     : segments_list(moving->database, moving->session,
						     moving->move->name, &list, &count, err);
	for (size_t i = 0; status == TIDE_OK && i < count; i++)
		if (segment_is_newest(list, count, i))
			status = moving_turn_segment(moving, &list[i], err);
	tide_segments_free(list, count);
	return status;
}

static void moving_tell_back(struct moving *moving)
{
	const struct move *move = moving->move;
	long long to = (long long)move->to, was = (long long)moving_position(&move->row);
	if (moving->names.lanes > 1)
		snprintf(moving->detail, sizeof moving->detail,
			 "to %lld, its %u lanes were at %lld to %lld, dead letters deleted %lld",
			 to, moving->names.lanes, (long long)move->least, was,
			 (long long)move->letters);
	else
		snprintf(moving->detail, sizeof moving->detail,
			 "to %lld, was %lld, dead letters deleted %lld", to, was,
			 (long long)move->letters);
}

static tide_status moving_go_back(struct moving *moving, struct tide_error *err)
{
	struct move *move = moving->move;
	tide_status status = moving_check_back(moving, err);
	if (status == TIDE_OK)
		status = moving_is_family(moving)
				 ? moving_move_family(moving, false, move->to, err)
				 : moving_save(moving, move->name, move->to, NULL, err);
	if (status == TIDE_OK)
		status = moving_turn_segments(moving, err);
	if (status == TIDE_OK)
		status = moving_drop_letters(moving, move->to, err);
	moving_tell_back(moving);
	return status;
}

/* ---- Where it is ----------------------------------------------------------------------------- */

static tide_status moving_check_accept(struct moving *moving, struct tide_error *err)
{
	struct move *move = moving->move;
	tide_status status = moving_look(moving, err);
	if (status != TIDE_OK || move->row.has_position)
		return status;
	return tide_fail(err, TIDE_NOT_FOUND, "checkpoint '%s' has no position", move->name);
}

/* What each row can stand on is asked before the transaction, which a feed in memory cannot be read
 * beside. */
static tide_status moving_find_anchors(struct moving *moving, struct tide_error *err)
{
	tide_status status = moving_rows(moving, &moving->found, &moving->found_count, err);
	if (status == TIDE_NOT_FOUND) /* by now; what the transaction finds tells why */
		return TIDE_OK;
	for (size_t i = 0; status == TIDE_OK && i < moving->found_count; i++) {
		struct tide_checkpoint *row = &moving->found[i];
		if (row->has_position)
			status = anchor_find(moving->checkpoints->feed, moving->feed_session,
					     row->position, &row->anchor, err);
	}
	return status;
}

/* The row as it was when its anchor was found; NULL: it was moved since. */
static const struct tide_checkpoint *moving_find_row(const struct moving *moving,
						     const struct tide_checkpoint *row)
{
	for (size_t i = 0; i < moving->found_count; i++) {
		const struct tide_checkpoint *found = &moving->found[i];
		if (strcmp(found->projection_name, row->projection_name) == 0 &&
		    found->has_position && found->position == row->position)
			return found;
	}
	return NULL;
}

/* One that was moved since stands on what its owner has saved with it; a person saves nothing. */
static tide_status moving_stand(struct moving *moving, const struct tide_checkpoint *row,
				struct tide_error *err)
{
	struct move *move = moving->move;
	const struct tide_checkpoint *found = moving_find_row(moving, row);
	tide_status status = TIDE_OK;
	if (!found && !row->anchor.position)
		return tide_fail(err, TIDE_BUSY, "the position of '%.255s' was set meanwhile",
				 row->projection_name);
	if (found)
		status = moving_save(moving, row->projection_name, row->position, &found->anchor,
				     err);
	if (status == TIDE_OK && found)
		status = segments_forget(moving->database, moving->session, row->projection_name,
					 err);
	if (status == TIDE_OK && row->position == move->least)
		move->anchor = found ? found->anchor : row->anchor;
	return status;
}

static tide_status moving_accept(struct moving *moving, struct tide_error *err)
{
	tide_status status = moving_check_accept(moving, err);
	for (size_t i = 0; status == TIDE_OK && i < moving->row_count; i++)
		if (moving->rows[i].has_position)
			status = moving_stand(moving, &moving->rows[i], err);
	if (status == TIDE_OK && moving_is_family(moving))
		status = moving_forget_rest(moving, err);
	snprintf(moving->detail, sizeof moving->detail, "position %lld",
		 (long long)moving->move->least);
	return status;
}

/* ---- All of it, or nothing ------------------------------------------------------------------- */

/* Nobody holds its ownership. Who gives it lanes locks the row, as this does: so its number is
 * looked at behind that again, while all can be taken back. */
static tide_status moving_forget_row(struct moving *moving, struct tide_error *err)
{
	if (!moving_is_row(moving))
		return moving_begin_anew(moving, err);
	tide_status status = moving_forget(moving, err);
	return status == TIDE_OK && port_has_transactions(moving->database)
		       ? moving_is_same(moving, err)
		       : status;
}

static const struct {
	tide_status (*act)(struct moving *moving, struct tide_error *err);
	const char *name; /* in the journal */
} move_kinds[] = {
	[MOVE_FORGET] = { moving_forget_row, "reset" },
	[MOVE_ANEW] = { moving_begin_anew, "reset" },
	[MOVE_BACK] = { moving_go_back, "rewind" },
	[MOVE_ACCEPT] = { moving_accept, "accept" },
};

static tide_status moving_act(struct moving *moving, struct tide_error *err)
{
	const struct move *move = moving->move;
	struct person person;
	tide_status status = moving_hold(moving, err);
	if (status == TIDE_OK)
		status = moving_is_same(moving, err);
	if (status == TIDE_OK)
		status = move_kinds[move->kind].act(moving, err);
	if (status != TIDE_OK)
		return status;
	const char *act = move_kinds[move->kind].name;
	if (move->anew && move->anew->act)
		act = move->anew->act;
	person_find(&person);
	struct tide_journal_write entry =
		journal_entry(&person, move->by, act, move->name, moving->detail);
	struct tide_error why;
	status = journal_note(moving->database, moving->session, &entry, &why);
	if (status == TIDE_UNSUPPORTED)
		log_at(TIDE_LOG_WARNING, "checkpoint", "not noted in the journal",
		       "name='%s' act=%s error='%s'", move->name, act, why.message);
	else if (status != TIDE_OK && err)
		*err = why;
	return status == TIDE_UNSUPPORTED ? TIDE_OK : status;
}

static tide_status moving_act_joined(struct moving *moving, struct tide_error *err)
{
	const struct tide_store *database = moving->database;
	bool joins = port_has_transactions(database);
	tide_status status = joins ? port_begin(database, moving->session, err) : TIDE_OK;
	if (status != TIDE_OK)
		return status;
	moving->move->letters = 0;
	status = moving_act(moving, err);
	if (status == TIDE_OK && joins)
		status = port_commit(database, moving->session, err);
	if (status != TIDE_OK && joins)
		port_rollback(database, moving->session);
	return status;
}

/* Nobody is fenced for what is refused. */
static tide_status moving_check(struct moving *moving, struct tide_error *err)
{
	const struct move *move = moving->move;
	if (move->kind == MOVE_ANEW && move->anew->function &&
	    !port_has_transactions(moving->database))
		return tide_fail(err, TIDE_UNSUPPORTED, "'%s' has no transactions to share",
				 moving->database->url);
	return move->kind == MOVE_BACK     ? moving_check_back(moving, err)
	       : move->kind == MOVE_ACCEPT ? moving_check_accept(moving, err)
					   : TIDE_OK;
}

static tide_status moving_run(struct moving *moving, struct tide_error *err)
{
	struct move *move = moving->move;
	tide_status status =
		family_names(moving->database, moving->session, move->name, &moving->names, err);
	if (status != TIDE_OK)
		return status;
	status = moving_check(moving, err);
	if (status == TIDE_OK)
		status = moving_seize(moving, err);
	if (status == TIDE_OK && move->kind == MOVE_ACCEPT)
		status = moving_find_anchors(moving, err);
	if (status == TIDE_OK)
		status = moving_act_joined(moving, err);
	moving_let_go(moving);
	tide_free(moving->rows);
	tide_free(moving->found);
	family_names_fini(&moving->names);
	return status;
}

tide_status move_make(struct tide_checkpoints *checkpoints, struct move *move,
		      struct tide_error *err)
{
	struct moving moving = { .checkpoints = checkpoints,
				 .database = checkpoints->database,
				 .move = move };
	tide_status status = store_borrow(checkpoints->database, &moving.session, err);
	if (status != TIDE_OK)
		return status;
	if (move->kind == MOVE_ACCEPT)
		status = store_borrow(checkpoints->feed, &moving.feed_session, err);
	if (status == TIDE_OK)
		status = moving_run(&moving, err);
	if (moving.feed_session)
		store_return(checkpoints->feed, moving.feed_session, status);
	store_return(checkpoints->database, moving.session, status);
	return status;
}
