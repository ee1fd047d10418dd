/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "backends/memory/state.h"
#include "sys/alloc.h"

static struct memory_state *letter_lock(void *session) TIDE_UNCHECKED
{
	struct memory_state *state = ((struct memory_handle *)session)->state;
	mutex_lock(&state->book_lock);
	return state;
}

static void letter_free(struct tide_dead_letter *letter)
{
	if (!letter)
		return;
	tide_free((char *)letter->projection_name);
	tide_free((char *)letter->event_type);
	tide_free((char *)letter->event_data);
	tide_free((char *)letter->error_message);
	tide_free((char *)letter->error_stacktrace);
	tide_free((char *)letter->resolved_by);
	tide_free((char *)letter->parked_behind);
	tide_free((char *)letter->event_id_text);
	tide_free(letter);
}

void memory_dead_letters_fini(struct memory_dead_letters *letters)
{
	for (size_t i = 0; i < letters->count; i++)
		letter_free(letters->entries[i]);
	tide_free(letters->entries);
	index_fini(&letters->by_key);
	*letters = (struct memory_dead_letters){ 0 };
}

/* ---- Finding --------------------------------------------------------------------------------- */

/* The place of an id, or `count`. */
static size_t letter_place(const struct memory_dead_letters *letters, int64_t id)
{
	size_t low = 0, high = letters->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (letters->entries[middle]->id < id)
			low = middle + 1;
		else
			high = middle;
	}
	return low < letters->count && letters->entries[low]->id == id ? low : letters->count;
}

static struct tide_dead_letter *letter_find(const struct memory_dead_letters *letters, int64_t id)
{
	size_t place = letter_place(letters, id);
	return place < letters->count ? letters->entries[place] : NULL;
}

static struct tide_dead_letter *letter_of_event(const struct memory_dead_letters *letters,
						const struct tide_uuid *event_id,
						const char *projection_name)
{
	uint64_t hash = hash_uuid_name(event_id, projection_name);
	int64_t id;
	for (size_t probe = 0; (id = index_next(&letters->by_key, hash, &probe)) != 0;) {
		struct tide_dead_letter *letter = letter_find(letters, id);
		if (tide_uuid_equal(&letter->event_id, event_id) &&
		    strcmp(letter->projection_name, projection_name) == 0)
			return letter;
	}
	return NULL;
}

static bool letter_is_open(const struct tide_dead_letter *letter)
{
	return letter->status != TIDE_DEAD_LETTER_RESOLVED;
}

static tide_status letter_not_found(int64_t id, struct tide_error *err)
{
	return tide_fail(err, TIDE_NOT_FOUND, "dead letter %lld does not exist", (long long)id);
}

static tide_status letter_wrong_status(const struct tide_dead_letter *letter,
				       struct tide_error *err)
{
	static const char *const names[] = {
		[TIDE_DEAD_LETTER_FAILED] = "failed",
		[TIDE_DEAD_LETTER_RETRYING] = "retrying",
		[TIDE_DEAD_LETTER_RESOLVED] = "resolved",
	};
	return tide_fail(err, TIDE_STATE, "dead letter %lld is %s", (long long)letter->id,
			 names[letter->status]);
}

/* ---- Adding ---------------------------------------------------------------------------------- */

static char *letter_text(const char *text)
{
	return alloc_text(text, strlen(text));
}

/** Why an entry is in the queue: each text is its own. */
struct letter_cause {
	const char *message, *stacktrace, *parked_behind;
};

/* Replace all of it, or nothing. */
static tide_status letter_set_cause(struct tide_dead_letter *letter, struct letter_cause cause,
				    struct tide_error *err)
{
	char *message = letter_text(cause.message);
	char *trace = cause.stacktrace ? letter_text(cause.stacktrace) : NULL;
	char *behind = cause.parked_behind ? letter_text(cause.parked_behind) : NULL;
	if (!message || (cause.stacktrace && !trace) || (cause.parked_behind && !behind)) {
		tide_free(message);
		tide_free(trace);
		tide_free(behind);
		return alloc_fail(err);
	}

	tide_free((char *)letter->error_message);
	tide_free((char *)letter->error_stacktrace);
	tide_free((char *)letter->parked_behind);
	letter->error_message = message;
	letter->error_stacktrace = trace;
	letter->parked_behind = behind;
	return TIDE_OK;
}

static void letter_clear_resolution(struct tide_dead_letter *letter)
{
	tide_free((char *)letter->resolved_by);
	letter->resolved_by = NULL;
	letter->is_resolved = false;
	letter->resolved_at = (struct tide_time){ 0 };
}

static tide_status letter_renew(struct tide_dead_letter *letter,
				const struct tide_dead_letter_write *write, struct tide_error *err)
{
	struct letter_cause cause = { write->message, write->stacktrace, write->parked_behind };
	tide_status status = letter_set_cause(letter, cause, err);
	if (status != TIDE_OK)
		return status;
	letter_clear_resolution(letter);
	letter->status = TIDE_DEAD_LETTER_FAILED;
	letter->retry_count = write->retry_count;
	letter->last_failed_at = write->now;
	return TIDE_OK;
}

static struct tide_dead_letter *letter_new(const struct tide_dead_letter_write *write, int64_t id)
{
	struct tide_dead_letter *letter = alloc_zero(1, sizeof *letter);
	if (!letter)
		return NULL;

	letter->id = id;
	letter->event_id = write->event_id;
	letter->projection_name = letter_text(write->projection_name);
	letter->event_type = letter_text(write->event_type);
	letter->event_data = letter_text(write->event_data);
	letter->first_failed_at = write->now;
	letter->event_id_text = write->event_id_text ? letter_text(write->event_id_text) : NULL;
	if ((letter->event_id_text || !write->event_id_text) && letter->projection_name &&
	    letter->event_type && letter->event_data &&
	    letter_renew(letter, write, NULL) == TIDE_OK)
		return letter;
	letter_free(letter);
	return NULL;
}

static tide_status letter_reserve(struct memory_dead_letters *letters, struct tide_error *err)
{
	if (letters->count == letters->capacity) {
		size_t capacity = letters->capacity ? letters->capacity * 2 : 16;
		struct tide_dead_letter **entries =
			alloc_resize(letters->entries, capacity, sizeof *entries);
		if (!entries)
			return alloc_fail(err);
		letters->entries = entries;
		letters->capacity = capacity;
	}
	return index_reserve(&letters->by_key, 1, err);
}

static tide_status letter_add_locked(struct memory_dead_letters *letters,
				     const struct tide_dead_letter_write *write, int64_t *ret,
				     struct tide_error *err)
{
	struct tide_dead_letter *letter =
		letter_of_event(letters, &write->event_id, write->projection_name);
	if (letter) {
		tide_status status = letter_renew(letter, write, err);
		if (status == TIDE_OK)
			*ret = letter->id;
		return status;
	}

	tide_status status = letter_reserve(letters, err);
	if (status != TIDE_OK)
		return status;

	letter = letter_new(write, letters->last_id + 1);
	if (!letter)
		return alloc_fail(err);

	letters->entries[letters->count++] = letter;
	index_put(&letters->by_key, hash_uuid_name(&letter->event_id, letter->projection_name),
		  letter->id);
	*ret = ++letters->last_id;
	return TIDE_OK;
}

tide_status memory_dead_letter_add(void *session, const struct tide_fence *fence,
				   const struct tide_dead_letter_write *write, int64_t *ret,
				   struct tide_error *err) TIDE_UNCHECKED
{
	struct memory_state *state = letter_lock(session);
	tide_status status = memory_check_fence_locked(state, fence, err);
	if (status == TIDE_OK)
		status = letter_add_locked(&state->dead_letters, write, ret, err);
	mutex_unlock(&state->book_lock);
	return status;
}

bool memory_dead_letter_can_park(void *store)
{
	(void)store;
	return true;
}

/* ---- Listing --------------------------------------------------------------------------------- */

static int letter_newest_first(const void *a, const void *b)
{
	const struct tide_dead_letter *left = *(struct tide_dead_letter *const *)a;
	const struct tide_dead_letter *right = *(struct tide_dead_letter *const *)b;
	int64_t l = left->first_failed_at.unix_us, r = right->first_failed_at.unix_us;
	if (l != r)
		return l < r ? 1 : -1;
	return left->id < right->id ? 1 : -1;
}

static bool letter_matches(const struct tide_dead_letter *letter,
			   const struct tide_dead_letter_filter *filter)
{
	return filter->statuses[letter->status] && letter->id > filter->after_id &&
	       (!filter->projection_name ||
		strcmp(letter->projection_name, filter->projection_name) == 0) &&
	       (!filter->parked_behind ||
		(letter->parked_behind &&
		 strcmp(letter->parked_behind, filter->parked_behind) == 0));
}

static tide_status letter_list_locked(const struct memory_dead_letters *letters,
				      const struct tide_dead_letter_filter *filter,
				      struct tide_dead_letter_list *ret, struct tide_error *err)
{
	ALLOC_AUTO struct tide_dead_letter **found = alloc_zero(letters->count + 1, sizeof *found);
	if (!found)
		return alloc_fail(err);
	size_t count = 0;
	for (size_t i = 0; i < letters->count; i++)
		if (letter_matches(letters->entries[i], filter))
			found[count++] = letters->entries[i];
	if (!filter->oldest_first)
		qsort(found, count, sizeof *found, letter_newest_first);
	if (filter->limit >= 0 && (size_t)filter->limit < count)
		count = (size_t)filter->limit;

	struct tide_dead_letter_list list = { 0 };
	for (size_t i = 0; i < count; i++) {
		tide_status status = tide_dead_letter_list_add(&list, found[i], err);
		if (status != TIDE_OK) {
			tide_dead_letters_free(&list);
			return status;
		}
	}
	*ret = list;
	return TIDE_OK;
}

tide_status memory_dead_letter_list(void *session, const struct tide_dead_letter_filter *filter,
				    struct tide_dead_letter_list *ret,
				    struct tide_error *err) TIDE_UNCHECKED
{
	struct memory_state *state = letter_lock(session);
	tide_status status = letter_list_locked(&state->dead_letters, filter, ret, err);
	mutex_unlock(&state->book_lock);
	return status;
}

tide_status memory_dead_letter_get(void *session, int64_t id, struct tide_dead_letter_list *ret,
				   struct tide_error *err) TIDE_UNCHECKED
{
	struct memory_state *state = letter_lock(session);
	const struct tide_dead_letter *letter = letter_find(&state->dead_letters, id);
	struct tide_dead_letter_list list = { 0 };
	tide_status status =
		letter ? tide_dead_letter_list_add(&list, letter, err) : letter_not_found(id, err);
	mutex_unlock(&state->book_lock);
	if (status == TIDE_OK)
		*ret = list;
	else
		tide_dead_letters_free(&list);
	return status;
}

/* ---- Changing -------------------------------------------------------------------------------- */

static tide_status letter_change_locked(struct tide_dead_letter *letter,
					const struct tide_dead_letter_change *change,
					struct tide_error *err)
{
	if (!change->from[letter->status])
		return letter_wrong_status(letter, err);
	bool is_resolving = change->to == TIDE_DEAD_LETTER_RESOLVED;
	char *by = NULL;
	if (is_resolving && change->resolved_by) {
		by = letter_text(change->resolved_by);
		if (!by)
			return alloc_fail(err);
	}

	if (change->message) {
		struct letter_cause cause = { change->message, change->stacktrace,
					      change->parked_behind };
		tide_status status = letter_set_cause(letter, cause, err);
		if (status != TIDE_OK) {
			tide_free(by);
			return status;
		}
		letter->last_failed_at = change->now;
	}

	letter_clear_resolution(letter);
	letter->status = change->to;
	letter->retry_count += change->add_retries;
	if (is_resolving) {
		letter->is_resolved = true;
		letter->resolved_at = change->now;
		letter->resolved_by = by;
		tide_free((char *)letter->parked_behind);
		letter->parked_behind = NULL;
	}
	return TIDE_OK;
}

tide_status memory_dead_letter_change(void *session, const struct tide_fence *fence,
				      const struct tide_dead_letter_change *change,
				      struct tide_error *err) TIDE_UNCHECKED
{
	struct memory_state *state = letter_lock(session);
	tide_status status = memory_check_fence_locked(state, fence, err);
	if (status == TIDE_OK) {
		struct tide_dead_letter *letter = letter_find(&state->dead_letters, change->id);
		status = letter ? letter_change_locked(letter, change, err)
				: letter_not_found(change->id, err);
	}
	mutex_unlock(&state->book_lock);
	return status;
}

static void letter_remove(struct memory_dead_letters *letters, size_t place)
{
	struct tide_dead_letter *letter = letters->entries[place];
	index_remove(&letters->by_key, hash_uuid_name(&letter->event_id, letter->projection_name),
		     letter->id);
	letter_free(letter);
	letters->count--;
	memmove(letters->entries + place, letters->entries + place + 1,
		(letters->count - place) * sizeof *letters->entries);
}

tide_status memory_dead_letter_discard(void *session, int64_t id,
				       struct tide_error *err) TIDE_UNCHECKED
{
	struct memory_state *state = letter_lock(session);
	struct memory_dead_letters *letters = &state->dead_letters;
	size_t place = letter_place(letters, id);
	tide_status status = TIDE_OK;
	if (place == letters->count)
		status = letter_not_found(id, err);
	else if (!letter_is_open(letters->entries[place]))
		status = letter_wrong_status(letters->entries[place], err);
	else
		letter_remove(letters, place);
	mutex_unlock(&state->book_lock);
	return status;
}

tide_status memory_dead_letter_purge(void *session, struct tide_time before, int64_t *ret,
				     struct tide_error *err) TIDE_UNCHECKED
{
	(void)err;
	struct memory_state *state = letter_lock(session);
	struct memory_dead_letters *letters = &state->dead_letters;
	int64_t removed = 0;
	size_t kept = 0;

	for (size_t i = 0; i < letters->count; i++) {
		struct tide_dead_letter *letter = letters->entries[i];
		if (letter_is_open(letter) || letter->resolved_at.unix_us >= before.unix_us) {
			letters->entries[kept++] = letter;
			continue;
		}
		index_remove(&letters->by_key,
			     hash_uuid_name(&letter->event_id, letter->projection_name),
			     letter->id);
		letter_free(letter);
		removed++;
	}
	letters->count = kept;
	mutex_unlock(&state->book_lock);
	*ret = removed;
	return TIDE_OK;
}

/* ---- Counting -------------------------------------------------------------------------------- */

/* Unresolved entries by projection, sorted by name; released with name_table_fini. */
static tide_status letter_count_locked(const struct memory_dead_letters *letters,
				       struct name_table *ret, struct tide_error *err)
{
	for (size_t i = 0; i < letters->count; i++) {
		const struct tide_dead_letter *letter = letters->entries[i];
		if (!letter_is_open(letter))
			continue;
		struct tide_dead_letter_count *count =
			name_table_make(ret, letter->projection_name, sizeof *count);
		if (!count)
			return alloc_fail(err);
		count->retrying_count += letter->status == TIDE_DEAD_LETTER_RETRYING;
		if (count->failure_count++ == 0)
			count->oldest_failure = count->most_recent_failure =
				letter->first_failed_at;
		if (letter->first_failed_at.unix_us < count->oldest_failure.unix_us)
			count->oldest_failure = letter->first_failed_at;
		if (letter->last_failed_at.unix_us > count->most_recent_failure.unix_us)
			count->most_recent_failure = letter->last_failed_at;
	}
	return TIDE_OK;
}

static void letter_total(const struct memory_dead_letters *letters,
			 struct tide_dead_letter_stats *stats)
{
	for (size_t i = 0; i < letters->count; i++) {
		const struct tide_dead_letter *letter = letters->entries[i];
		if (!letter_is_open(letter))
			continue;
		stats->total_failed += letter->status == TIDE_DEAD_LETTER_FAILED;
		stats->total_retrying += letter->status == TIDE_DEAD_LETTER_RETRYING;
		if (!stats->has_oldest_failure ||
		    letter->first_failed_at.unix_us < stats->oldest_failure.unix_us)
			stats->oldest_failure = letter->first_failed_at;
		stats->has_oldest_failure = true;
	}
}

tide_status memory_dead_letter_stats(void *session, struct tide_dead_letter_stats *ret,
				     struct tide_error *err) TIDE_UNCHECKED
{
	struct memory_state *state = letter_lock(session);
	struct name_table table = { 0 };
	struct tide_dead_letter_stats stats = { 0 };
	tide_status status = letter_count_locked(&state->dead_letters, &table, err);
	letter_total(&state->dead_letters, &stats);
	mutex_unlock(&state->book_lock);
	stats.affected_projections = (int64_t)table.count;
	name_table_fini(&table);
	if (status == TIDE_OK)
		*ret = stats;
	return status;
}

static int letter_most_first(const void *a, const void *b)
{
	const struct tide_dead_letter_count *left = a, *right = b;
	if (left->failure_count != right->failure_count)
		return left->failure_count < right->failure_count ? 1 : -1;
	return strcmp(left->projection_name, right->projection_name);
}

tide_status memory_dead_letter_counts(void *session, struct tide_dead_letter_count **ret,
				      size_t *ret_count, struct tide_error *err) TIDE_UNCHECKED
{
	struct memory_state *state = letter_lock(session);
	struct name_table table = { 0 };
	tide_status status = letter_count_locked(&state->dead_letters, &table, err);
	mutex_unlock(&state->book_lock);
	size_t count = table.count;
	struct tide_dead_letter_count *counts =
		status == TIDE_OK ? alloc_zero(count ? count : 1, sizeof *counts) : NULL;
	for (size_t i = 0; counts && i < count; i++)
		memcpy(&counts[i], table.rows[i], sizeof counts[i]);

	name_table_fini(&table);
	if (status != TIDE_OK)
		return status;
	if (!counts)
		return alloc_fail(err);
	qsort(counts, count, sizeof *counts, letter_most_first);
	*ret = counts;
	*ret_count = count;
	return TIDE_OK;
}
