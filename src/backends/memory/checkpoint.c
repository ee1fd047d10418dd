/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "backends/memory/state.h"
#include "sys/alloc.h"

static struct memory_state *checkpoint_lock(void *session) TIDE_UNCHECKED
{
	struct memory_state *state = ((struct memory_handle *)session)->state;
	mutex_lock(&state->book_lock);
	return state;
}

tide_status memory_checkpoint_load(void *session, const char *name, struct tide_checkpoint *ret,
				   struct tide_error *err) TIDE_UNCHECKED
{
	struct memory_state *state = checkpoint_lock(session);
	const struct tide_checkpoint *row = name_table_find(&state->checkpoints, name);
	if (row)
		*ret = *row;
	mutex_unlock(&state->book_lock);
	return row ? TIDE_OK : tide_fail(err, TIDE_NOT_FOUND, "'%.255s' has no checkpoint", name);
}

static tide_status checkpoint_write_locked(struct memory_state *state,
					   const struct tide_checkpoint_write *write,
					   struct tide_error *err)
{
	struct tide_checkpoint *row =
		name_table_make(&state->checkpoints, write->name, sizeof *row);
	if (!row)
		return alloc_fail(err);

	const struct tide_progress *progress = &write->progress;
	if (row->updated_at.unix_us == 0)
		row->created_at = write->now;
	row->updated_at = write->now;
	row->events_processed += progress->count;
	if (write->has_position) {
		row->has_position = true;
		row->position = progress->position;
		row->anchor = write->anchor;
	}

	if (progress->event_id) {
		row->last_event_id = *progress->event_id;
		memccpy(row->last_event_type, progress->event_type, '\0',
			sizeof row->last_event_type - 1);
		row->has_last_processed_at = true;
		row->last_processed_at = write->now;
	}
	return TIDE_OK;
}

/* A person moved the position: whoever owns it begins again from the row. */
static void checkpoint_turn_locked(struct memory_state *state, const char *name)
{
	struct memory_lease *lease = name_table_find(&state->leases, name);
	if (lease)
		lease->epoch++;
}

static tide_status checkpoint_compare_locked(struct memory_state *state,
					     const struct tide_checkpoint_write *write,
					     struct tide_error *err)
{
	const struct tide_checkpoint_known *expected = write->expected;
	const struct tide_checkpoint *row = name_table_find(&state->checkpoints, write->name);
	bool has_position = row && row->has_position;
	bool is_same = !expected ||
		       (has_position == expected->has_position && (row || !expected->has_row) &&
			(!has_position || row->position == expected->position));
	return is_same ? TIDE_OK
		       : tide_fail(err, TIDE_DIVERGED, "the checkpoint of '%s' is another one",
				   write->name);
}

tide_status memory_checkpoint_save(void *session, const struct tide_fence *fence,
				   const struct tide_checkpoint_write *write,
				   struct tide_error *err) TIDE_UNCHECKED
{
	struct memory_state *state = checkpoint_lock(session);
	tide_status status = memory_check_fence_locked(state, fence, err);
	if (status == TIDE_OK)
		status = checkpoint_compare_locked(state, write, err);
	if (status == TIDE_OK)
		status = checkpoint_write_locked(state, write, err);
	if (status == TIDE_OK && write->discarded)
		memory_segment_discard_locked(state, write->name, write->discarded);
	if (status == TIDE_OK && !fence && write->has_position)
		checkpoint_turn_locked(state, write->name);
	mutex_unlock(&state->book_lock);
	return status;
}

tide_status memory_checkpoint_list(void *session, struct tide_checkpoint **ret, size_t *ret_count,
				   struct tide_error *err) TIDE_UNCHECKED
{
	struct memory_state *state = checkpoint_lock(session);
	size_t count = state->checkpoints.count;
	struct tide_checkpoint *rows = alloc_zero(count ? count : 1, sizeof *rows);
	for (size_t i = 0; rows && i < count; i++)
		memcpy(&rows[i], state->checkpoints.rows[i], sizeof rows[i]);
	mutex_unlock(&state->book_lock);
	if (!rows)
		return alloc_fail(err);
	*ret = rows;
	*ret_count = count;
	return TIDE_OK;
}

tide_status memory_checkpoint_reset(void *session, const char *name,
				    struct tide_error *err) TIDE_UNCHECKED
{
	(void)err;
	struct memory_state *state = checkpoint_lock(session);
	name_table_remove(&state->checkpoints, name);
	checkpoint_turn_locked(state, name);
	memory_segments_forget(state, name);
	mutex_unlock(&state->book_lock);
	return TIDE_OK;
}
