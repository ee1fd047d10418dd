/* SPDX-License-Identifier: Apache-2.0 */
/* How many lanes a subscription has, and their rows when that is changed. */
#include <stdio.h>
#include <string.h>

#include "backends/memory/state.h"
#include "sys/alloc.h"

static struct memory_state *lanes_lock(void *session) TIDE_UNCHECKED
{
	struct memory_state *state = ((struct memory_handle *)session)->state;
	mutex_lock(&state->book_lock);
	return state;
}

tide_status memory_group_get(void *session, const char *name, struct tide_group *ret,
			     struct tide_error *err) TIDE_UNCHECKED
{
	struct memory_state *state = lanes_lock(session);
	const struct tide_group *group = name_table_find(&state->groups, name);
	if (group)
		*ret = *group;
	mutex_unlock(&state->book_lock);
	return group ? TIDE_OK : tide_fail(err, TIDE_NOT_FOUND, "'%.255s' has no lanes", name);
}

static bool lanes_is_owned(const struct memory_state *state, const char *name)
{
	const struct memory_lease *lease = name_table_find(&state->leases, name);
	return lease && lease->holder;
}

/* Whether everything is as it was read, and nobody lives who works with it. */
static bool lanes_is_ready(struct memory_state *state, const struct tide_group_change *change)
	TIDE_REQUIRES(state->book_lock)
{
	const struct tide_group *group = name_table_find(&state->groups, change->name);
	if ((group ? group->lanes : 0) != change->lanes_before ||
	    memory_group_has_members(state, change->name))
		return false;

	for (size_t i = 0; i < change->before_count; i++) {
		const struct tide_group_row *before = &change->before[i];
		const struct tide_checkpoint *row =
			name_table_find(&state->checkpoints, before->name);
		bool has_position = row && row->has_position;
		if ((row != NULL) != before->has_row || has_position != before->has_position ||
		    (has_position && row->position != before->position) ||
		    lanes_is_owned(state, before->name))
			return false;
	}

	for (size_t i = 0; i < change->after_count; i++)
		if (lanes_is_owned(state, change->after[i].name))
			return false;
	return true;
}

/* The rows come first, so that memory that is out leaves nothing changed but empty ones. */
static bool lanes_make_rows(struct memory_state *state, const struct tide_group_change *change)
{
	bool is_made = name_table_make(&state->groups, change->name, sizeof(struct tide_group));
	for (size_t i = 0; is_made && i < change->after_count; i++)
		is_made = name_table_make(&state->checkpoints, change->after[i].name,
					  sizeof(struct tide_checkpoint));
	return is_made;
}

static void lanes_unmake_rows(struct memory_state *state, const struct tide_group_change *change)
{
	for (size_t i = 0; i < change->after_count; i++) {
		const struct tide_checkpoint *row =
			name_table_find(&state->checkpoints, change->after[i].name);
		if (row && row->updated_at.unix_us == 0)
			name_table_remove(&state->checkpoints, change->after[i].name);
	}
	if (change->lanes_before == 0)
		name_table_remove(&state->groups, change->name);
}

static void lanes_write(struct memory_state *state, const struct tide_group_change *change)
	TIDE_REQUIRES(state->book_lock)
{
	for (size_t i = 0; i < change->before_count; i++) {
		struct memory_lease *lease =
			name_table_find(&state->leases, change->before[i].name);
		if (lease)
			memory_lease_turn(lease);
		memory_segment_end_locked(state, &change->before[i]);
	}

	for (size_t i = 0; i < change->after_count; i++) {
		const struct tide_group_row *after = &change->after[i];
		struct tide_checkpoint *row = name_table_find(&state->checkpoints, after->name);
		bool has_begun = change->created.unix_us <= change->now.unix_us;
		if (row->updated_at.unix_us == 0 || !has_begun)
			row->created_at = change->created;
		row->updated_at = change->now;
		row->has_position = after->has_position;
		row->position = after->position;
		row->anchor = after->anchor;
	}

	struct tide_group *group = name_table_find(&state->groups, change->name);
	group->lanes = change->lanes;
	group->changed_at = change->now;
}

tide_status memory_group_change(void *session, const struct tide_group_change *change, bool *ret,
				struct tide_error *err) TIDE_UNCHECKED
{
	struct memory_state *state = lanes_lock(session);
	bool is_ready = lanes_is_ready(state, change);
	bool is_made = is_ready && lanes_make_rows(state, change);
	if (is_made)
		lanes_write(state, change);
	else if (is_ready)
		lanes_unmake_rows(state, change);
	mutex_unlock(&state->book_lock);

	if (is_ready && !is_made)
		return alloc_fail(err);
	*ret = is_made;
	return TIDE_OK;
}

tide_status memory_group_forget(void *session, const struct tide_group *group,
				const char *const *rows, size_t count,
				struct tide_error *err) TIDE_UNCHECKED
{
	(void)err;
	struct memory_state *state = lanes_lock(session);
	struct tide_group *now = name_table_find(&state->groups, group->name);
	bool is_same = now && now->lanes == group->lanes &&
		       now->changed_at.unix_us == group->changed_at.unix_us;
	for (size_t i = 0; is_same && i < count; i++) {
		const struct tide_checkpoint *row = name_table_find(&state->checkpoints, rows[i]);
		if (!row)
			continue;
		now->processed_before += row->events_processed;
		name_table_remove(&state->checkpoints, rows[i]);
	}

	mutex_unlock(&state->book_lock);
	return TIDE_OK;
}

/* ---- All rows at once ------------------------------------------------------------------------ */

static void lanes_turn(struct memory_state *state, const struct tide_group_move *move)
{
	for (size_t i = 0; i < move->row_count; i++) {
		struct memory_lease *lease = name_table_find(&state->leases, move->rows[i]);
		if (lease)
			lease->epoch++;
	}
}

static void lanes_go_back(struct memory_state *state, const struct tide_group_move *move)
{
	for (size_t i = 0; i < move->row_count; i++) {
		struct tide_checkpoint *row = name_table_find(&state->checkpoints, move->rows[i]);
		if (!row || !row->has_position || row->position <= move->position)
			continue;
		row->position = move->position;
		row->anchor = (struct tide_anchor){ 0 };
		/* the one that was written last tells the number where there is no group */
		if (i < move->lanes)
			row->updated_at = move->now;
	}
}

static void lanes_begin_anew(struct memory_state *state, const struct tide_group_move *move)
{
	for (size_t i = 0; i < move->row_count; i++) {
		struct tide_checkpoint *row = name_table_find(&state->checkpoints, move->rows[i]);
		memory_segments_forget(state, move->rows[i]);
		if (move->position < 0 || i >= move->lanes) {
			name_table_remove(&state->checkpoints, move->rows[i]);
			continue;
		}
		*row = (struct tide_checkpoint){ .has_position = true,
						 .position = move->position,
						 .created_at = move->now,
						 .updated_at = move->now };
		snprintf(row->projection_name, sizeof row->projection_name, "%s", move->rows[i]);
	}

	struct tide_group *group = name_table_find(&state->groups, move->name);
	group->processed_before = 0;
}

/* The rows come first, as in lanes_make_rows. */
static bool lanes_make_moved(struct memory_state *state, const struct tide_group_move *move)
{
	bool is_made = true;
	if (!move->forgets || move->position < 0)
		return true;
	for (size_t i = 0; is_made && i < move->lanes; i++)
		is_made = name_table_make(&state->checkpoints, move->rows[i],
					  sizeof(struct tide_checkpoint));
	for (size_t i = 0; !is_made && i < move->lanes; i++) {
		const struct tide_checkpoint *row =
			name_table_find(&state->checkpoints, move->rows[i]);
		if (row && row->updated_at.unix_us == 0)
			name_table_remove(&state->checkpoints, move->rows[i]);
	}
	return is_made;
}

tide_status memory_group_move(void *session, const struct tide_group_move *move, bool *ret,
			      struct tide_error *err) TIDE_UNCHECKED
{
	struct memory_state *state = lanes_lock(session);
	const struct tide_group *group = name_table_find(&state->groups, move->name);
	bool is_same = group && group->lanes == move->lanes;
	bool is_made = is_same && lanes_make_moved(state, move);
	if (is_made)
		lanes_turn(state, move);
	if (is_made && move->forgets)
		lanes_begin_anew(state, move);
	else if (is_made)
		lanes_go_back(state, move);
	mutex_unlock(&state->book_lock);

	if (is_same && !is_made)
		return alloc_fail(err);
	*ret = is_made;
	return TIDE_OK;
}
