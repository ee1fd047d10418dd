/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/memory/memory.h"

#include <string.h>

#include "backends/memory/state.h"
#include "sys/alloc.h"

/* ---- Opening and closing --------------------------------------------------------------------- */

/* States with a name, and the handles of all states; the list is short and opening is rare. */
static struct mutex memory_named_lock = MUTEX_STATIC(LOCK_MEMORY_NAMED);
static struct memory_state *memory_named;

static void memory_state_free(struct memory_state *state)
{
	log_free(atomic_load_explicit(&state->log, memory_order_relaxed));
	name_table_fini(&state->checkpoints);
	name_table_fini(&state->leases);
	memory_segments_forget(state, NULL);
	name_table_fini(&state->controls);
	name_table_fini(&state->groups);
	memory_members_drop(state, NULL);
	tide_free(state->journal.entries);
	memory_dead_letters_fini(&state->dead_letters);
	memory_snapshots_fini(&state->snapshots);
	mutex_fini(&state->lock);
	mutex_fini(&state->book_lock);
	tide_free(state->name);
	tide_free(state);
}

static struct memory_state *memory_state_new(const char *name)
{
	struct memory_state *state = alloc_zero(1, sizeof *state);
	if (!state)
		return NULL;
	mutex_init(&state->lock, LOCK_MEMORY_STORE);
	mutex_init(&state->book_lock, LOCK_MEMORY_BOOK);
	struct log *log = log_new();
	atomic_store_explicit(&state->log, log, memory_order_relaxed);
	state->name = *name ? alloc_text(name, strlen(name)) : NULL;
	if (log && (state->name || !*name))
		return state;
	memory_state_free(state);
	return NULL;
}

static struct memory_state *memory_state_take_locked(const char *name)
	TIDE_REQUIRES(memory_named_lock)
{
	struct memory_state *state = *name ? memory_named : NULL;
	while (state && strcmp(state->name, name) != 0)
		state = state->next;
	if (!state) {
		state = memory_state_new(name);
		if (!state)
			return NULL;
		if (state->name) {
			state->next = memory_named;
			memory_named = state;
		}
	}

	state->handles++;
	return state;
}

/* Returns the state when this was its last handle. */
static struct memory_state *memory_state_leave_locked(struct memory_state *state)
	TIDE_REQUIRES(memory_named_lock)
{
	if (--state->handles > 0)
		return NULL;
	for (struct memory_state **link = &memory_named; *link; link = &(*link)->next) {
		if (*link == state) {
			*link = state->next;
			break;
		}
	}
	return state;
}

static tide_status memory_open(struct tide_url *url, const struct tide_store_options *options,
			       void **ret, struct tide_error *err)
{
	(void)options;
	tide_status status = tide_url_check(url, err);
	if (status != TIDE_OK)
		return status;

	struct memory_handle *handle = alloc_zero(1, sizeof *handle);
	if (!handle)
		return alloc_fail(err);

	mutex_lock(&memory_named_lock);
	handle->state = memory_state_take_locked(url->rest);
	mutex_unlock(&memory_named_lock);

	if (!handle->state) {
		tide_free(handle);
		return alloc_fail(err);
	}

	*ret = handle;
	return TIDE_OK;
}

static void memory_close(void *store)
{
	struct memory_handle *handle = store;
	memory_drop_leases(handle);
	mutex_lock(&memory_named_lock);
	struct memory_state *state = memory_state_leave_locked(handle->state);
	mutex_unlock(&memory_named_lock);
	if (state)
		memory_state_free(state);
	tide_free(handle);
}

/* A session has nothing of its own: the handle is it. */
static tide_status memory_session_open(void *store, void **ret, struct tide_error *err)
{
	(void)err;
	*ret = store;
	return TIDE_OK;
}

static void memory_session_close(void *session)
{
	(void)session;
}

static struct log *memory_log(const struct memory_handle *handle)
{
	return atomic_load_explicit(&handle->state->log, memory_order_acquire);
}

/* ---- Writing --------------------------------------------------------------------------------- */

static bool memory_look_up(const struct log *log, const struct tide_commit *commit,
			   struct tide_known_event *known)
{
	bool any = false;
	for (size_t i = 0; i < commit->count; i++) {
		tide_position position = log_find(log, &commit->events[i].event_id);
		if (position == 0)
			continue;
		any = true;
		if (!known)
			return true;
		const struct tide_event *event = log_at(log, position);
		known[i] = (struct tide_known_event){
			.is_known = true,
			.is_same_stream = tide_uuid_equal(&event->aggregate_id,
							  &commit->stream.aggregate_id) &&
					  strcmp(event->aggregate_type.data,
						 commit->stream.aggregate_type) == 0,
			.version = event->version,
			.position = position,
		};
	}
	return any;
}

/* Where the stream of commit `i` is once the commits before it are in: one call may name a stream
 * more than once. */
static tide_version memory_current(const struct log *log, const struct tide_commit *commits,
				   const struct tide_append_result *results, size_t i)
{
	const struct tide_stream *stream = &commits[i].stream;
	while (i-- > 0)
		if (tide_uuid_equal(&commits[i].stream.aggregate_id, &stream->aggregate_id) &&
		    strcmp(commits[i].stream.aggregate_type, stream->aggregate_type) == 0 &&
		    !results[i].was_stored_before)
			return results[i].version;
	const struct log_stream *found = log_find_stream(log, *stream);
	return found ? found->version : 0;
}

static tide_status memory_decide(const struct log *log, const struct tide_commit *commit,
				 tide_version current, struct tide_append_result *ret,
				 struct tide_error *err)
{
	ALLOC_AUTO struct tide_known_event *known = NULL;
	if (memory_look_up(log, commit, NULL)) {
		known = alloc_zero(commit->count, sizeof *known);
		if (!known)
			return alloc_fail(err);
		memory_look_up(log, commit, known);
	}
	return tide_commit_decide(commit, known, current, ret, err);
}

static tide_status memory_append_locked(struct log *log, const struct tide_commit *commits,
					size_t count, struct tide_append_result *results,
					struct tide_append_result *ret, struct tide_error *err)
{
	for (size_t i = 0; i < count; i++) {
		tide_version current = memory_current(log, commits, results, i);
		tide_status status = memory_decide(log, &commits[i], current, &results[i], err);
		if (status == TIDE_CONFLICT)
			ret[i] = results[i];
		if (status != TIDE_OK)
			return status;
	}
	tide_status status = log_insert(log, commits, count, results, err);
	if (status == TIDE_OK)
		memcpy(ret, results, count * sizeof *ret);
	return status;
}

static tide_status memory_append(void *store, const struct tide_commit *commits, size_t count,
				 struct tide_append_result *ret, struct tide_error *err)
{
	struct memory_state *state = ((struct memory_handle *)store)->state;
	struct tide_append_result one = { 0 };
	ALLOC_AUTO struct tide_append_result *several = NULL;
	if (count > 1) {
		several = alloc_zero(count, sizeof *several);
		if (!several)
			return alloc_fail(err);
	}

	mutex_lock(&state->lock);
	tide_status status = memory_append_locked(memory_log(store), commits, count,
						  several ? several : &one, ret, err);
	mutex_unlock(&state->lock);
	return status;
}

/* A reader may be in the old log at this moment, so it stays until the store is gone. */
static tide_status memory_clear(void *store, struct tide_error *err)
{
	struct memory_state *state = ((struct memory_handle *)store)->state;
	struct log *log = log_new();
	if (!log)
		return alloc_fail(err);
	mutex_lock(&state->lock);
	log->retired = memory_log(store);
	atomic_store_explicit(&state->log, log, memory_order_release);
	mutex_unlock(&state->lock);

	mutex_lock(&state->book_lock);
	name_table_fini(&state->checkpoints);
	memory_segments_forget(state, NULL);
	name_table_fini(&state->controls);
	name_table_fini(&state->groups);
	memory_members_drop(state, NULL);
	state->journal.count = 0;
	memory_dead_letters_fini(&state->dead_letters);
	memory_snapshots_fini(&state->snapshots);
	mutex_unlock(&state->book_lock);
	return TIDE_OK;
}

/* ---- Reading --------------------------------------------------------------------------------- */

/** A page being filled. */
struct memory_reading {
	const struct tide_page_query *query;
	struct tide_page *page;
	size_t scanned;
};

/* Offer the next event in order to the page; `*ret_taken` is false when the page is full before
 * it. */
static tide_status memory_offer(struct memory_reading *reading, const struct tide_event *event,
				bool *ret_taken, struct tide_error *err)
{
	const struct tide_page_query *query = reading->query;
	struct tide_page *page = reading->page;
	*ret_taken = false;
	if (page->count == query->max_events ||
	    (query->max_scan > 0 && reading->scanned == query->max_scan))
		return TIDE_OK;
	if (!tide_filter_matches(query->filter, event)) {
		tide_page_pass(page);
		page->passed = (struct tide_anchor){ event->position, event->event_id };
	} else {
		if (!tide_page_fits(page, event->payload.size + event->metadata.size))
			return TIDE_OK;
		tide_status status = tide_page_add(page, event, err);
		if (status != TIDE_OK)
			return status;
	}

	reading->scanned++;
	*ret_taken = true;
	return TIDE_OK;
}

static tide_status memory_read_feed(const struct log *log, struct memory_reading *reading,
				    struct tide_error *err)
{
	const struct tide_page_query *query = reading->query;
	tide_position end = atomic_load_explicit(&log->end, memory_order_acquire);
	int step = query->backward ? -1 : 1;
	tide_position beyond = query->backward ? 0 : end + 1;
	tide_position at = query->backward && query->bound > end ? end + 1 : query->bound;
	bool is_taken = true;

	reading->page->scanned_to = at;
	if (!query->backward && at > end)
		at = end; /* far beyond it, counting on could overflow */
	for (at += step; query->backward ? at > beyond : at < beyond; at += step) {
		tide_status status = memory_offer(reading, log_at(log, at), &is_taken, err);
		if (status != TIDE_OK)
			return status;
		if (!is_taken)
			break;
		reading->page->scanned_to = at;
	}
	reading->page->is_end = is_taken;
	return TIDE_OK;
}

/* Where a stream's events from `version` on are, in the direction of `step`; returns how many of
 * them. */
static size_t memory_locate(struct memory_state *state, const struct log_stream *stream,
			    int64_t version, int step, int64_t last, tide_position *ret,
			    size_t limit)
{
	size_t count = 0;
	mutex_lock(&state->lock);
	for (; count < limit && (step > 0 ? version <= last : version >= last); version += step)
		ret[count++] = stream->positions[version - 1];
	mutex_unlock(&state->lock);
	return count;
}

static tide_status memory_read_located(const struct log *log, struct memory_reading *reading,
				       const tide_position *positions, size_t count,
				       bool *ret_taken, struct tide_error *err)
{
	for (size_t i = 0; i < count; i++) {
		const struct tide_event *event = log_at(log, positions[i]);
		tide_status status = memory_offer(reading, event, ret_taken, err);
		if (status != TIDE_OK || !*ret_taken)
			return status;
		reading->page->scanned_to = event->version;
	}
	return TIDE_OK;
}

static tide_status memory_read_stream(struct memory_state *state, const struct log *log,
				      struct memory_reading *reading, struct tide_error *err)
{
	const struct tide_page_query *query = reading->query;
	mutex_lock(&state->lock);
	const struct log_stream *stream = log_find_stream(log, *query->stream);
	int64_t version = stream ? stream->version : 0;
	mutex_unlock(&state->lock);

	tide_position positions[256];
	int step = query->backward ? -1 : 1;
	int64_t last = query->backward ? 1 : version;
	int64_t at = query->backward && query->bound > version ? version + 1 : query->bound;
	bool is_taken = true;
	reading->page->stream_version = (tide_version)version;
	reading->page->scanned_to = at;
	if (!query->backward && at > version)
		at = version;
	for (at += step; is_taken && (query->backward ? at >= last : at <= last);) {
		size_t count = memory_locate(state, stream, at, step, last, positions, 256);
		tide_status status =
			memory_read_located(log, reading, positions, count, &is_taken, err);
		if (status != TIDE_OK)
			return status;
		at += step * (int64_t)count;
	}
	reading->page->is_end = is_taken;
	return TIDE_OK;
}

static tide_status memory_read(void *session, const struct tide_page_query *query,
			       struct tide_page *page, struct tide_error *err)
{
	struct memory_handle *handle = session;
	struct memory_reading reading = { .query = query, .page = page };
	page->wait_ns = 0;
	if (query->stream)
		return memory_read_stream(handle->state, memory_log(handle), &reading, err);
	return memory_read_feed(memory_log(handle), &reading, err);
}

static tide_status memory_end(void *session, tide_position *ret, struct tide_error *err)
{
	(void)err;
	*ret = atomic_load_explicit(&memory_log(session)->end, memory_order_acquire);
	return TIDE_OK;
}

static tide_status memory_stream_version(void *session, struct tide_stream stream,
					 tide_version *ret, struct tide_error *err)
{
	(void)err;
	struct memory_state *state = ((struct memory_handle *)session)->state;
	mutex_lock(&state->lock);
	const struct log_stream *found = log_find_stream(memory_log(session), stream);
	*ret = found ? found->version : 0;
	mutex_unlock(&state->lock);
	return TIDE_OK;
}

static tide_status memory_find(void *session, const struct tide_uuid *event_id,
			       struct tide_page *page, struct tide_error *err)
{
	struct memory_state *state = ((struct memory_handle *)session)->state;
	mutex_lock(&state->lock);
	const struct log *log = memory_log(session);
	tide_position position = log_find(log, event_id);
	mutex_unlock(&state->lock);
	if (position != 0)
		return tide_page_add(page, log_at(log, position), err);
	char text[TIDE_UUID_TEXT_SIZE];
	return tide_fail(err, TIDE_NOT_FOUND, "event '%s' is not stored",
			 tide_uuid_format(event_id, text));
}

static tide_status memory_anchor(void *session, tide_position position, struct tide_anchor *ret,
				 bool *ret_may_come, struct tide_error *err)
{
	(void)err;
	const struct log *log = memory_log(session);
	tide_position end = atomic_load_explicit(&log->end, memory_order_acquire);
	tide_position at = position < end ? position : end;
	*ret_may_come = false;
	*ret = at > 0 ? (struct tide_anchor){ at, log_at(log, at)->event_id }
		      : (struct tide_anchor){ 0 };
	return TIDE_OK;
}

/* ---- The table ------------------------------------------------------------------------------- */

const struct tide_backend tide_backend_memory = {
	.scheme = "memory",
	.store = {
		.open = memory_open,
		.close = memory_close,
		.append = memory_append,
		.clear = memory_clear,
		.session_open = memory_session_open,
		.session_close = memory_session_close,
		.read = memory_read,
		.end = memory_end,
		.stream_version = memory_stream_version,
		.find = memory_find,
		.anchor = memory_anchor,
		.snapshot_load = memory_snapshot_load,
		.snapshot_save = memory_snapshot_save,
	},
	.checkpoint = {
		.load = memory_checkpoint_load,
		.save = memory_checkpoint_save,
		.list = memory_checkpoint_list,
		.reset = memory_checkpoint_reset,
		.lease_acquire = memory_lease_acquire,
		.lease_renew = memory_lease_renew,
		.lease_renew_all = memory_lease_renew_all,
		.lease_release = memory_lease_release,
		.lease_end = memory_lease_end,
		.lease_mark = memory_lease_mark,
		.lease_is_owned = memory_lease_is_owned,
		.lease_note = memory_lease_note,
		.lease_tell = memory_lease_tell,
		.lease_list = memory_lease_list,
		.lease_renew_ns = NS_PER_SECOND,
		.dead_letter_add = memory_dead_letter_add,
		.dead_letter_list = memory_dead_letter_list,
		.dead_letter_get = memory_dead_letter_get,
		.dead_letter_change = memory_dead_letter_change,
		.dead_letter_discard = memory_dead_letter_discard,
		.dead_letter_purge = memory_dead_letter_purge,
		.dead_letter_stats = memory_dead_letter_stats,
		.dead_letter_counts = memory_dead_letter_counts,
		.dead_letter_can_park = memory_dead_letter_can_park,
		.control_set = memory_control_set,
		.control_list = memory_control_list,
		.journal_add = memory_journal_add,
		.journal_list = memory_journal_list,
		.segment_turn = memory_segment_turn,
		.segment_list = memory_segment_list,
		.group_get = memory_group_get,
		.group_change = memory_group_change,
		.group_forget = memory_group_forget,
		.group_move = memory_group_move,
		.member_join = memory_member_join,
		.member_leave = memory_member_leave,
		.member_list = memory_member_list,
	},
};
