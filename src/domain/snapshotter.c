/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Snapshots of a repository: when they are due, who writes them, and whether a stored one is
 * usable.
 *
 *	save ─▶ due? ─▶ state as JSON ─▶ sync: written here
 *	                             └─▶ background: waits (a newer one of the same aggregate takes its place) ─▶ thread
 *
 * A snapshot is never needed: whatever goes wrong here is logged and counted, and the events tell
 * the same.
 */
#include <inttypes.h>

#include "domain/aggregate.h"
#include "domain/repository.h"
#include "sys/alloc.h"
#include "sys/log.h"

/* Counted twice: for the repository's own statistics, and for the metrics of the store. */
#define SNAPSHOT_COUNT(repository, counter, outcome)                                               \
	do {                                                                                       \
		REPOSITORY_COUNT(repository, counter);                                             \
		tide_store_count_snapshot((repository)->store, outcome);                           \
	} while (0)

static int32_t snapshot_schema(const struct tide_aggregate_type *type)
{
	return type->schema_version ? type->schema_version : 1;
}

static void snapshot_warn(const char *message, struct tide_stream stream, const char *why)
{
	char id[TIDE_UUID_TEXT_SIZE];
	log_at(TIDE_LOG_WARNING, "repository", message, "stream='%s:%s' reason='%s'",
	       tide_uuid_format(&stream.aggregate_id, id), stream.aggregate_type, why);
}

/* ---- Writing --------------------------------------------------------------------------------- */

static void snapshot_task_free(struct snapshot_task *task)
{
	if (task)
		tide_free((void *)task->snapshot.state.data);
	tide_free(task);
}

/** The state of an aggregate as a task; its events are all stored. */
static tide_status snapshot_take(const struct tide_aggregate *aggregate, struct snapshot_task **ret,
				 struct tide_error *err)
{
	struct snapshot_task *task = alloc_zero(1, sizeof *task);
	if (!task)
		return alloc_fail(err);

	char *state;
	tide_status status = state_encode(aggregate->type, aggregate->state, &state, err);
	if (status != TIDE_OK) {
		tide_free(task);
		return status;
	}

	task->snapshot = (struct tide_snapshot){ .stream = aggregate_stream(aggregate),
						 .version = aggregate->version,
						 .schema_version = snapshot_schema(aggregate->type),
						 .state = tide_text(state) };
	*ret = task;
	return TIDE_OK;
}

static tide_status snapshot_write(struct tide_repository *repository,
				  const struct snapshot_task *task, struct tide_error *err)
{
	tide_status status = tide_store_snapshot_save(repository->store, &task->snapshot, err);
	if (status == TIDE_OK)
		SNAPSHOT_COUNT(repository, snapshots_saved, TIDE_SNAPSHOT_WAS_SAVED);
	else
		SNAPSHOT_COUNT(repository, snapshots_failed, TIDE_SNAPSHOT_WAS_FAILED);
	return status;
}

tide_status tide_repository_snapshot(struct tide_repository *repository,
				     const struct tide_aggregate *aggregate, struct tide_error *err)
{
	if (!repository || !aggregate)
		return tide_fail(err, TIDE_ARGUMENT, "%s must not be null",
				 repository ? "aggregate" : "repository");
	if (aggregate->uncommitted.count)
		return tide_fail(err, TIDE_STATE, "the aggregate has %zu uncommitted events",
				 aggregate->uncommitted.count);
	if (!state_has_snapshots(aggregate->type))
		return tide_fail(err, TIDE_UNSUPPORTED,
				 "'%s' has neither state_fields nor snapshot hooks",
				 aggregate->type->name);

	struct snapshot_task *task;
	tide_status status = snapshot_take(aggregate, &task, err);
	if (status != TIDE_OK)
		return status;

	status = snapshot_write(repository, task, err);
	snapshot_task_free(task);
	return status;
}

/* ---- In the background ----------------------------------------------------------------------- */

static struct snapshot_task *snapshotter_pop_locked(struct tide_repository *repository)
{
	struct snapshot_task *task = repository->first;
	if (!task)
		return NULL;
	repository->first = task->next;
	if (!repository->first)
		repository->last = NULL;
	return task;
}

static void snapshotter_run(void *self)
{
	struct tide_repository *repository = self;
	for (;;) {
		mutex_lock(&repository->lock);
		repository->is_writing = false;
		cond_broadcast(&repository->changed);
		while (!repository->first && !repository->is_closing)
			cond_wait(&repository->changed, &repository->lock);
		struct snapshot_task *task = snapshotter_pop_locked(repository);
		repository->is_writing = task != NULL;
		mutex_unlock(&repository->lock);
		if (!task)
			return;
		struct tide_error err;
		if (snapshot_write(repository, task, &err) != TIDE_OK)
			snapshot_warn("snapshot failed", task->snapshot.stream, err.message);
		snapshot_task_free(task);
	}
}

/** Take the place of a waiting snapshot of the same aggregate; the older of the two is left in
 * `*task`. */
static bool snapshotter_replace_locked(struct tide_repository *repository,
				       struct snapshot_task **task)
{
	for (struct snapshot_task *waiting = repository->first; waiting; waiting = waiting->next) {
		struct tide_snapshot *a = &waiting->snapshot, *b = &(*task)->snapshot;
		if (!tide_uuid_equal(&a->stream.aggregate_id, &b->stream.aggregate_id) ||
		    strcmp(a->stream.aggregate_type, b->stream.aggregate_type) != 0)
			continue;
		if (a->version < b->version) {
			struct tide_snapshot older = *a;
			*a = *b;
			*b = older;
		}
		return true;
	}
	return false;
}

/** Hand a task to the thread; what comes back is for the caller to release. */
static tide_status snapshotter_queue(struct tide_repository *repository,
				     struct snapshot_task **task, struct tide_error *err)
{
	tide_status status = TIDE_OK;
	mutex_lock(&repository->lock);
	if (!snapshotter_replace_locked(repository, task)) {
		if (!repository->thread.is_started)
			status = thread_start(&repository->thread, "tide-snapshot", snapshotter_run,
					      repository, err);
		if (status == TIDE_OK) {
			if (repository->last)
				repository->last->next = *task;
			else
				repository->first = *task;
			repository->last = *task;
			*task = NULL;
			cond_broadcast(&repository->changed);
		}
	}

	mutex_unlock(&repository->lock);
	return status;
}

static bool snapshot_is_due(const struct tide_repository *repository,
			    const struct tide_aggregate *aggregate, tide_version before)
{
	return repository->snapshot_every > 0 &&
	       repository->snapshot_mode != TIDE_SNAPSHOT_MANUAL &&
	       state_has_snapshots(aggregate->type) &&
	       before / repository->snapshot_every <
		       aggregate->version / repository->snapshot_every;
}

void snapshotter_saved(struct tide_repository *repository, const struct tide_aggregate *aggregate,
		       tide_version before)
{
	if (!snapshot_is_due(repository, aggregate, before))
		return;
	struct tide_error err;
	struct snapshot_task *task = NULL;
	tide_status status = snapshot_take(aggregate, &task, &err);
	bool is_counted = false;
	if (status == TIDE_OK && repository->snapshot_mode == TIDE_SNAPSHOT_BACKGROUND) {
		status = snapshotter_queue(repository, &task, &err);
	} else if (status == TIDE_OK) {
		status = snapshot_write(repository, task, &err);
		is_counted = true;
	}

	if (status != TIDE_OK) {
		snapshot_warn("snapshot failed", aggregate_stream(aggregate), err.message);
		if (!is_counted)
			SNAPSHOT_COUNT(repository, snapshots_failed, TIDE_SNAPSHOT_WAS_FAILED);
	}
	snapshot_task_free(task);
}

tide_status tide_repository_wait_snapshots(struct tide_repository *repository, double seconds,
					   struct tide_error *err)
{
	if (!repository || seconds != seconds)
		return tide_fail(err, TIDE_ARGUMENT,
				 repository ? "seconds must be a number"
					    : "repository must not be null");

	struct mono_time deadline =
		seconds < 0 ? MONO_NEVER
			    : mono_add(clock_mono(&clock_system), ns_of_seconds(seconds));
	bool is_idle = true;
	mutex_lock(&repository->lock);
	while (is_idle && (repository->first || repository->is_writing))
		is_idle = cond_wait_until(&repository->changed, &repository->lock, deadline);
	is_idle = !repository->first && !repository->is_writing;
	mutex_unlock(&repository->lock);

	return is_idle ? TIDE_OK
		       : tide_fail(err, TIDE_TIMEOUT, "snapshots are still waiting after %g s",
				   seconds);
}

void snapshotter_close(struct tide_repository *repository)
{
	mutex_lock(&repository->lock);
	repository->is_closing = true;
	cond_broadcast(&repository->changed);
	mutex_unlock(&repository->lock);
	thread_join(&repository->thread);
}

/* ---- Reading --------------------------------------------------------------------------------- */

/** Read the id of the event at the snapshot's version; nil: the stream does not reach it. */
static tide_status snapshot_find_event(struct tide_repository *repository,
				       const struct tide_snapshot *snapshot, struct tide_uuid *ret,
				       struct tide_error *err)
{
	const struct tide_query query = { .stream = snapshot->stream,
					  .of_stream = true,
					  .after = tide_bound(snapshot->version - 1),
					  .limit = tide_bound(1) };
	struct tide_reader *reader;
	const struct tide_event *event;
	tide_status status = tide_store_read(repository->store, &query, &reader, err);
	if (status != TIDE_OK)
		return status;

	status = tide_reader_next(reader, &event, err);
	*ret = (struct tide_uuid){ { 0 } };
	if (status == TIDE_OK && event)
		*ret = event->event_id;
	tide_reader_close(reader);
	return status;
}

/** NULL when the snapshot was put in place, else why it is passed over. */
static const char *snapshot_use(struct tide_aggregate *aggregate,
				const struct tide_snapshot *snapshot, const struct tide_uuid *there,
				struct tide_error *err)
{
	if (snapshot->schema_version != snapshot_schema(aggregate->type))
		return "another schema_version";
	if (tide_uuid_is_nil(there))
		return "version beyond the stream's";
	if (snapshot->has_last_event && !tide_uuid_equal(&snapshot->last_event_id, there))
		return "its last event is not in the stream";
	if (aggregate_restore(aggregate, snapshot->version, snapshot->state, err) != TIDE_OK)
		return err->message;
	return NULL;
}

void snapshotter_restore(struct tide_repository *repository, struct tide_aggregate *aggregate)
{
	if (!state_has_snapshots(aggregate->type))
		return;
	struct tide_error err;
	struct tide_snapshot snapshot;
	struct tide_stream stream = aggregate_stream(aggregate);
	tide_status status = tide_store_snapshot_load(repository->store, stream, &snapshot, &err);
	if (status == TIDE_NOT_FOUND || status == TIDE_UNSUPPORTED)
		return;

	const char *why = err.message;
	if (status == TIDE_OK) {
		struct tide_uuid there;
		if (snapshot_find_event(repository, &snapshot, &there, &err) == TIDE_OK)
			why = snapshot_use(aggregate, &snapshot, &there, &err);
		tide_free((void *)snapshot.state.data);
	}

	if (!why) {
		SNAPSHOT_COUNT(repository, snapshots_loaded, TIDE_SNAPSHOT_WAS_LOADED);
		return;
	}

	SNAPSHOT_COUNT(repository, snapshots_rejected, TIDE_SNAPSHOT_WAS_REJECTED);
	snapshot_warn("snapshot passed over", stream, why);
}
