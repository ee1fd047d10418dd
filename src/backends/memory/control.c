/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "backends/memory/state.h"
#include "core/control.h"
#include "sys/alloc.h"

static struct memory_state *control_lock(void *session) TIDE_UNCHECKED
{
	struct memory_state *state = ((struct memory_handle *)session)->state;
	mutex_lock(&state->book_lock);
	return state;
}

/* ---- The journal ----------------------------------------------------------------------------- */

static tide_status journal_make_room_locked(struct memory_journal *journal, struct tide_error *err)
{
	if (journal->count < journal->capacity)
		return TIDE_OK;
	size_t capacity = journal->capacity ? journal->capacity * 2 : 8;
	struct tide_journal_entry *entries =
		alloc_resize(journal->entries, capacity, sizeof *entries);
	if (!entries)
		return alloc_fail(err);
	journal->entries = entries;
	journal->capacity = capacity;
	return TIDE_OK;
}

/* There is room. */
static void journal_put_locked(struct memory_journal *journal,
			       const struct tide_journal_write *write)
{
	if (journal->count == TIDE_JOURNAL_KEPT)
		memmove(journal->entries, journal->entries + 1,
			--journal->count * sizeof *journal->entries);
	struct tide_journal_entry *entry = &journal->entries[journal->count++];
	*entry = (struct tide_journal_entry){ .id = ++journal->last_id, .at = write->now };
	control_copy(entry->who, sizeof entry->who, tide_text(write->who));
	control_copy(entry->host, sizeof entry->host, tide_text(write->host));
	control_copy(entry->act, sizeof entry->act, tide_text(write->act));
	control_copy(entry->name, sizeof entry->name, tide_text(write->name));
	if (write->detail)
		control_copy(entry->detail, sizeof entry->detail, tide_text(write->detail));
}

tide_status memory_journal_add(void *session, const struct tide_journal_write *write,
			       struct tide_error *err) TIDE_UNCHECKED
{
	struct memory_state *state = control_lock(session);
	tide_status status = journal_make_room_locked(&state->journal, err);
	if (status == TIDE_OK)
		journal_put_locked(&state->journal, write);
	mutex_unlock(&state->book_lock);
	return status;
}

static size_t journal_select_locked(const struct memory_journal *journal, const char *name,
				    int64_t limit, struct tide_journal_entry *list)
{
	size_t count = 0;
	for (size_t i = journal->count; i > 0 && (limit < 0 || (int64_t)count < limit); i--)
		if (!name || strcmp(journal->entries[i - 1].name, name) == 0)
			list[count++] = journal->entries[i - 1];
	return count;
}

tide_status memory_journal_list(void *session, const char *name, int64_t limit,
				struct tide_journal_entry **ret, size_t *ret_count,
				struct tide_error *err) TIDE_UNCHECKED
{
	struct memory_state *state = control_lock(session);
	struct tide_journal_entry *list = alloc_zero(state->journal.count + 1, sizeof *list);
	if (list)
		*ret_count = journal_select_locked(&state->journal, name, limit, list);
	mutex_unlock(&state->book_lock);
	if (!list)
		return alloc_fail(err);
	*ret = list;
	return TIDE_OK;
}

/* ---- Pauses ---------------------------------------------------------------------------------- */

static tide_status control_pause_locked(struct memory_state *state,
					const struct tide_control_write *write,
					struct tide_error *err) TIDE_REQUIRES(state->book_lock)
{
	const struct tide_journal_write *journal = &write->journal;
	struct tide_control *row = name_table_make(&state->controls, journal->name, sizeof *row);
	if (!row)
		return alloc_fail(err);
	if (row->updated_at.unix_us == 0)
		row->paused_at = journal->now;
	row->updated_at = journal->now;
	row->reason = control_reason(tide_text(write->reason));
	control_copy(row->paused_by, sizeof row->paused_by, tide_text(journal->who));
	control_copy(row->note, sizeof row->note, tide_text(write->note ? write->note : ""));
	return TIDE_OK;
}

tide_status memory_control_set(void *session, const struct tide_control_write *write,
			       bool *ret_was_paused, struct tide_error *err) TIDE_UNCHECKED
{
	struct memory_state *state = control_lock(session);
	const char *name = write->journal.name;
	bool was_paused = name_table_find(&state->controls, name) != NULL;
	tide_status status = journal_make_room_locked(&state->journal, err);
	if (status == TIDE_OK && write->is_pause)
		status = control_pause_locked(state, write, err);
	if (status == TIDE_OK && !write->is_pause)
		name_table_remove(&state->controls, name);
	if (status == TIDE_OK)
		journal_put_locked(&state->journal, &write->journal);
	mutex_unlock(&state->book_lock);
	if (status == TIDE_OK)
		*ret_was_paused = was_paused;
	return status;
}

tide_status memory_control_list(void *session, struct tide_control **ret, size_t *ret_count,
				struct tide_error *err) TIDE_UNCHECKED
{
	struct memory_state *state = control_lock(session);
	struct tide_control *list = alloc_zero(state->controls.count + 1, sizeof *list);
	for (size_t i = 0; list && i < state->controls.count; i++)
		memcpy(&list[i], state->controls.rows[i], sizeof list[i]);
	*ret_count = list ? state->controls.count : *ret_count;
	mutex_unlock(&state->book_lock);
	if (!list)
		return alloc_fail(err);
	*ret = list;
	return TIDE_OK;
}
