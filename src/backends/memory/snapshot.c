/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "backends/memory/state.h"
#include "sys/alloc.h"

static void snapshot_free(struct tide_snapshot *snapshot)
{
	if (!snapshot)
		return;
	tide_free((char *)snapshot->stream.aggregate_type);
	tide_free((char *)snapshot->state.data);
	tide_free(snapshot);
}

void memory_snapshots_fini(struct memory_snapshots *snapshots)
{
	for (size_t i = 0; i < snapshots->count; i++)
		snapshot_free(snapshots->entries[i]);
	tide_free(snapshots->entries);
	index_fini(&snapshots->by_stream);
	*snapshots = (struct memory_snapshots){ 0 };
}

static struct tide_snapshot *snapshot_copy(const struct tide_snapshot *snapshot)
{
	struct tide_snapshot *copy = alloc_zero(1, sizeof *copy);
	if (!copy)
		return NULL;
	*copy = *snapshot;
	const char *type = snapshot->stream.aggregate_type;
	copy->stream.aggregate_type = alloc_text(type, strlen(type));
	copy->state.data = alloc_text(snapshot->state.data, snapshot->state.size);
	if (copy->stream.aggregate_type && copy->state.data)
		return copy;
	snapshot_free(copy);
	return NULL;
}

/* The place of a stream's snapshot; NULL: it has none. */
static struct tide_snapshot **snapshot_find(struct memory_snapshots *snapshots,
					    struct tide_stream stream)
{
	uint64_t hash = hash_uuid_name(&stream.aggregate_id, stream.aggregate_type);
	int64_t place;
	for (size_t probe = 0; (place = index_next(&snapshots->by_stream, hash, &probe)) != 0;) {
		struct tide_snapshot **found = &snapshots->entries[place - 1];
		if (tide_uuid_equal(&(*found)->stream.aggregate_id, &stream.aggregate_id) &&
		    strcmp((*found)->stream.aggregate_type, stream.aggregate_type) == 0)
			return found;
	}
	return NULL;
}

static tide_status snapshot_reserve(struct memory_snapshots *snapshots, struct tide_error *err)
{
	if (snapshots->count == snapshots->capacity) {
		size_t capacity = snapshots->capacity ? snapshots->capacity * 2 : 16;
		struct tide_snapshot **entries =
			alloc_resize(snapshots->entries, capacity, sizeof *entries);
		if (!entries)
			return alloc_fail(err);
		snapshots->entries = entries;
		snapshots->capacity = capacity;
	}
	return index_reserve(&snapshots->by_stream, 1, err);
}

/* The id of the event at a version of a stream, nil when there is none. */
static struct tide_uuid snapshot_event(struct memory_handle *handle, struct tide_stream stream,
				       tide_version version)
{
	struct memory_state *state = handle->state;
	struct tide_uuid id = { { 0 } };
	mutex_lock(&state->lock);
	const struct log *log = atomic_load(&state->log);
	const struct log_stream *found = log_find_stream(log, stream);
	if (found && version <= found->version)
		id = log_at(log, found->positions[version - 1])->event_id;
	mutex_unlock(&state->lock);
	return id;
}

static tide_version snapshot_version(struct memory_state *state, struct tide_stream stream)
{
	mutex_lock(&state->book_lock);
	struct tide_snapshot **found = snapshot_find(&state->snapshots, stream);
	tide_version version = found ? (*found)->version : 0;
	mutex_unlock(&state->book_lock);
	return version;
}

/* `there` is the event at the version of the stored one, nil when none is. */
static tide_status snapshot_put_locked(struct memory_snapshots *snapshots,
				       struct tide_snapshot *snapshot,
				       const struct tide_uuid *there, struct tide_error *err)
{
	struct tide_snapshot **found = snapshot_find(snapshots, snapshot->stream);
	if (found) {
		bool is_older = (*found)->version > snapshot->version &&
				(*found)->schema_version == snapshot->schema_version &&
				!tide_uuid_is_nil(there) &&
				tide_uuid_equal(&(*found)->last_event_id, there);
		struct tide_snapshot *loser = is_older ? snapshot : *found;
		*found = is_older ? *found : snapshot;
		snapshot_free(loser);
		return TIDE_OK;
	}

	tide_status status = snapshot_reserve(snapshots, err);
	if (status != TIDE_OK) {
		snapshot_free(snapshot);
		return status;
	}

	snapshots->entries[snapshots->count++] = snapshot;
	index_put(&snapshots->by_stream,
		  hash_uuid_name(&snapshot->stream.aggregate_id, snapshot->stream.aggregate_type),
		  (int64_t)snapshots->count);
	return TIDE_OK;
}

tide_status memory_snapshot_save(void *session, const struct tide_snapshot *snapshot,
				 struct tide_error *err)
{
	struct memory_state *state = ((struct memory_handle *)session)->state;
	struct tide_snapshot *copy = snapshot_copy(snapshot);
	if (!copy)
		return alloc_fail(err);

	copy->has_last_event = true;
	copy->last_event_id = snapshot_event(session, snapshot->stream, snapshot->version);
	tide_version stored = snapshot_version(state, snapshot->stream);
	struct tide_uuid there = { { 0 } };
	if (stored > 0)
		there = snapshot_event(session, snapshot->stream, stored);

	mutex_lock(&state->book_lock);
	tide_status status = snapshot_put_locked(&state->snapshots, copy, &there, err);
	mutex_unlock(&state->book_lock);
	return status;
}

tide_status memory_snapshot_load(void *session, struct tide_stream stream,
				 struct tide_snapshot *ret, struct tide_error *err)
{
	struct memory_state *state = ((struct memory_handle *)session)->state;
	mutex_lock(&state->book_lock);
	struct tide_snapshot **found = snapshot_find(&state->snapshots, stream);
	struct tide_snapshot copy = { 0 };
	char id[TIDE_UUID_TEXT_SIZE];
	if (found) {
		copy = **found;
		copy.stream = stream;
		copy.state.data = alloc_text(copy.state.data, copy.state.size);
	}

	mutex_unlock(&state->book_lock);
	if (!found)
		return tide_fail(err, TIDE_NOT_FOUND, "aggregate '%s:%s' has no snapshot",
				 tide_uuid_format(&stream.aggregate_id, id), stream.aggregate_type);
	if (!copy.state.data)
		return alloc_fail(err);

	*ret = copy;
	return TIDE_OK;
}
