/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Repositories: aggregates out of their streams and back.
 *
 *	load: snapshot, if one is usable ─▶ events behind it ─▶ fold
 *	save: append with the version that was loaded ─▶ clear ─▶ publish ─▶ snapshot, if one is due
 *
 * A failed append leaves the aggregate as it was. What fails behind it cannot undo the append: a
 * publish is reported, a snapshot is logged.
 */
#include "domain/repository.h"

#include <inttypes.h>

#include "domain/aggregate.h"
#include "sys/alloc.h"

#define REPOSITORY_ATTEMPTS 100

/* ---- Opening and closing --------------------------------------------------------------------- */

static tide_status repository_check_options(const struct tide_repository_options *options,
					    struct tide_error *err)
{
	if (!options || !options->store)
		return tide_fail(err, TIDE_ARGUMENT, "%s must not be null",
				 options ? "store" : "options");

	if (options->size != sizeof *options)
		return tide_fail(err, TIDE_ARGUMENT, "size of the options must be %zu, not %zu",
				 sizeof *options, options->size);

	if (options->snapshot_every < 0 || options->update_attempts < 0)
		return tide_fail(err, TIDE_ARGUMENT, "%s must not be negative, not %" PRId32,
				 options->snapshot_every < 0 ? "snapshot_every" : "update_attempts",
				 options->snapshot_every < 0 ? options->snapshot_every
							     : options->update_attempts);

	if ((unsigned)options->snapshot_mode > TIDE_SNAPSHOT_MANUAL)
		return tide_fail(err, TIDE_ARGUMENT, "snapshot_mode '%d' is unknown",
				 (int)options->snapshot_mode);
	return state_check_type(options->type, err);
}

tide_status tide_repository_open(const struct tide_repository_options *options,
				 struct tide_repository **ret, struct tide_error *err)
{
	tide_status status = repository_check_options(options, err);
	if (status == TIDE_OK && !ret)
		status = tide_fail(err, TIDE_ARGUMENT, "ret must not be null");
	if (status != TIDE_OK)
		return status;

	struct tide_repository *repository = alloc_zero(1, sizeof *repository);
	if (!repository)
		return alloc_fail(err);

	repository->store = options->store;
	repository->bus = options->bus;
	repository->type = options->type;
	repository->snapshot_every = options->snapshot_every;
	repository->snapshot_mode = options->snapshot_mode;
	repository->update_attempts =
		options->update_attempts ? options->update_attempts : REPOSITORY_ATTEMPTS;
	mutex_init(&repository->lock, LOCK_REPOSITORY);
	cond_init(&repository->changed);
	*ret = repository;
	return TIDE_OK;
}

void tide_repository_close(struct tide_repository *repository)
{
	if (!repository)
		return;
	snapshotter_close(repository);
	cond_fini(&repository->changed);
	mutex_fini(&repository->lock);
	tide_free(repository);
}

struct tide_repository_stats tide_repository_stats(struct tide_repository *repository)
{
	struct tide_repository_stats stats = { 0 };
	if (!repository)
		return stats;
	mutex_lock(&repository->lock);
	stats = repository->stats;
	mutex_unlock(&repository->lock);
	return stats;
}

/* ---- Loading --------------------------------------------------------------------------------- */

static tide_status repository_check(const struct tide_repository *repository, const void *id,
				    const void *ret, struct tide_error *err)
{
	if (repository && id && ret)
		return TIDE_OK;
	return tide_fail(err, TIDE_ARGUMENT, "%s must not be null",
			 !repository ? "repository"
			 : id        ? "ret"
				     : "id");
}

tide_status tide_repository_create(struct tide_repository *repository, const struct tide_uuid *id,
				   struct tide_aggregate **ret, struct tide_error *err)
{
	struct tide_uuid fresh = tide_uuid_v7();
	tide_status status = repository_check(repository, &fresh, ret, err);
	return status == TIDE_OK ? tide_aggregate_new(repository->type, id ? id : &fresh, ret, err)
				 : status;
}

/** Fold the events behind the aggregate's version. */
static tide_status repository_replay(struct tide_repository *repository,
				     struct tide_aggregate *aggregate, struct tide_error *err)
{
	const struct tide_query query = { .stream = aggregate_stream(aggregate),
					  .of_stream = true,
					  .after = tide_bound(aggregate->version) };
	struct tide_reader *reader;
	tide_status status = tide_store_read(repository->store, &query, &reader, err);
	if (status != TIDE_OK)
		return status;

	const struct tide_event *event;
	while ((status = tide_reader_next(reader, &event, err)) == TIDE_OK && event) {
		status = aggregate_fold(aggregate, event, err);
		if (status != TIDE_OK)
			break;
	}

	tide_reader_close(reader);
	return status;
}

tide_status tide_repository_load_or_create(struct tide_repository *repository,
					   const struct tide_uuid *id, struct tide_aggregate **ret,
					   struct tide_error *err)
{
	tide_status status = repository_check(repository, id, ret, err);
	struct tide_aggregate *aggregate;
	if (status == TIDE_OK)
		status = tide_aggregate_new(repository->type, id, &aggregate, err);
	if (status != TIDE_OK)
		return status;

	snapshotter_restore(repository, aggregate);
	status = repository_replay(repository, aggregate, err);
	if (status != TIDE_OK) {
		tide_aggregate_free(aggregate);
		return status;
	}

	REPOSITORY_COUNT(repository, loads);
	*ret = aggregate;
	return TIDE_OK;
}

tide_status tide_repository_load(struct tide_repository *repository, const struct tide_uuid *id,
				 struct tide_aggregate **ret, struct tide_error *err)
{
	tide_status status = repository_check(repository, id, ret, err);
	struct tide_aggregate *aggregate;
	if (status == TIDE_OK)
		status = tide_repository_load_or_create(repository, id, &aggregate, err);
	if (status != TIDE_OK)
		return status;
	if (aggregate->version == 0) {
		char text[TIDE_UUID_TEXT_SIZE];
		tide_aggregate_free(aggregate);
		return tide_fail(err, TIDE_NOT_FOUND, "there is no '%s:%s'",
				 tide_uuid_format(id, text), repository->type->name);
	}

	*ret = aggregate;
	return TIDE_OK;
}

tide_status tide_repository_version(struct tide_repository *repository, const struct tide_uuid *id,
				    tide_version *ret, struct tide_error *err)
{
	tide_status status = repository_check(repository, id, ret, err);
	if (status != TIDE_OK)
		return status;
	return tide_store_stream_version(
		repository->store, (struct tide_stream){ *id, repository->type->name }, ret, err);
}

tide_status tide_repository_exists(struct tide_repository *repository, const struct tide_uuid *id,
				   bool *ret, struct tide_error *err)
{
	tide_version version;
	tide_status status = repository_check(repository, id, ret, err);
	if (status == TIDE_OK)
		status = tide_repository_version(repository, id, &version, err);
	if (status == TIDE_OK)
		*ret = version > 0;
	return status;
}

/* ---- Saving ---------------------------------------------------------------------------------- */

/** One aggregate of a save, and what the save made of it. */
struct save_part {
	struct tide_aggregate *aggregate;
	struct tide_append_result result;
	tide_version before; /* version of the last event stored before */
	struct tide_event_list saved;
};

/** What an owned event is as an event to append. */
static struct tide_new_event save_event(const struct tide_event *event)
{
	return (struct tide_new_event){ .event_type = event->event_type.data,
					.payload = event->payload,
					.metadata = event->metadata,
					.event_version = event->event_version,
					.event_id = event->event_id,
					.occurred_at = &event->occurred_at,
					.tenant_id = event->tenant_id,
					.actor_id = event->actor_id.data,
					.correlation_id = event->correlation_id,
					.causation_id = event->causation_id };
}

static tide_status save_append(struct tide_repository *repository, struct save_part *parts,
			       size_t count, struct tide_append *appends,
			       struct tide_new_event *events, struct tide_error *err)
{
	for (size_t i = 0; i < count; i++) {
		const struct tide_aggregate *aggregate = parts[i].aggregate;
		appends[i] = (struct tide_append){ .stream = aggregate_stream(aggregate),
						   .expected = parts[i].before,
						   .events = events,
						   .count = aggregate->uncommitted.count };
		for (size_t k = 0; k < aggregate->uncommitted.count; k++)
			*events++ = save_event(aggregate->uncommitted.events[k]);
	}

	if (count == 1)
		return tide_store_append(repository->store, appends, &parts[0].result, err);
	ALLOC_AUTO struct tide_append_result *results = alloc_zero(count, sizeof *results);
	if (!results)
		return alloc_fail(err);

	tide_status status = tide_store_append_all(repository->store, appends, count, results, err);
	for (size_t i = 0; i < count && status == TIDE_OK; i++)
		parts[i].result = results[i];
	return status;
}

static tide_status save_store(struct tide_repository *repository, struct save_part *parts,
			      size_t count, struct tide_error *err)
{
	size_t total = 0;
	for (size_t i = 0; i < count; i++)
		total += parts[i].aggregate->uncommitted.count;
	ALLOC_AUTO struct tide_append *appends = alloc_zero(count, sizeof *appends);
	ALLOC_AUTO struct tide_new_event *events = alloc_zero(total, sizeof *events);
	if (!appends || !events)
		return alloc_fail(err);

	tide_status status = save_append(repository, parts, count, appends, events, err);
	if (status == TIDE_OK)
		REPOSITORY_COUNT(repository, saves);
	else if (status == TIDE_CONFLICT)
		REPOSITORY_COUNT(repository, conflicts);
	return status;
}

/** Ask the store for positions that did not come out adjacent. */
static tide_status save_read_positions(struct tide_repository *repository, struct save_part *part,
				       struct tide_error *err)
{
	const struct tide_query query = { .stream = aggregate_stream(part->aggregate),
					  .of_stream = true,
					  .after = tide_bound(part->before),
					  .limit = tide_bound((int64_t)part->saved.count) };
	struct tide_reader *reader;
	tide_status status = tide_store_read(repository->store, &query, &reader, err);
	if (status != TIDE_OK)
		return status;

	const struct tide_event *event;
	for (size_t i = 0; i < part->saved.count && status == TIDE_OK; i++) {
		status = tide_reader_next(reader, &event, err);
		if (status != TIDE_OK || !event)
			break;
		part->saved.events[i]->position = event->position;
		part->saved.events[i]->stored_at = event->stored_at;
	}

	tide_reader_close(reader);
	return status;
}

/** Let the saved events say where they are. */
static tide_status save_number(struct tide_repository *repository, struct save_part *part,
			       struct tide_error *err)
{
	int64_t count = (int64_t)part->saved.count;
	bool is_adjacent = part->result.last_position - part->result.first_position == count - 1;
	struct tide_time now = tide_time_now();
	for (int64_t i = 0; i < count; i++) {
		part->saved.events[i]->version = part->before + 1 + (tide_version)i;
		part->saved.events[i]->stored_at = now;
		if (is_adjacent)
			part->saved.events[i]->position = part->result.first_position + i;
	}
	return is_adjacent ? TIDE_OK : save_read_positions(repository, part, err);
}

static tide_status save_publish(struct tide_repository *repository, struct save_part *part,
				struct tide_error *err)
{
	struct tide_error why = { 0 };
	tide_status status = save_number(repository, part, &why);
	if (status == TIDE_OK)
		status = tide_bus_publish(repository->bus,
					  (const struct tide_event *const *)part->saved.events,
					  part->saved.count, &why);
	return status == TIDE_OK ? TIDE_OK
				 : tide_fail(err, TIDE_PUBLISH_FAILED,
					     "the events are stored, but were not published: %s",
					     why.message);
}

/** What follows an append that cannot be undone: clear, publish, snapshot. */
static tide_status save_finish(struct tide_repository *repository, struct save_part *parts,
			       size_t count, struct tide_error *err)
{
	tide_status status = TIDE_OK;
	for (size_t i = 0; i < count; i++)
		tide_aggregate_clear(parts[i].aggregate, &parts[i].saved);
	for (size_t i = 0; i < count && repository->bus; i++) {
		tide_status published =
			save_publish(repository, &parts[i], status == TIDE_OK ? err : NULL);
		if (status == TIDE_OK)
			status = published;
	}

	for (size_t i = 0; i < count; i++) {
		snapshotter_saved(repository, parts[i].aggregate, parts[i].before);
		tide_event_list_fini(&parts[i].saved);
	}
	return status;
}

tide_status tide_repository_save_all(struct tide_repository *repository,
				     struct tide_aggregate *const *aggregates, size_t count,
				     struct tide_error *err)
{
	if (!repository || (!aggregates && count))
		return tide_fail(err, TIDE_ARGUMENT, "%s must not be null",
				 repository ? "aggregates" : "repository");

	struct save_part *parts = alloc_zero(count, sizeof *parts);
	ALLOC_AUTO void *memory = parts;
	if (!parts)
		return alloc_fail(err);

	size_t changed = 0;
	for (size_t i = 0; i < count; i++) {
		if (!aggregates[i])
			return tide_fail(err, TIDE_ARGUMENT, "aggregate %zu must not be null", i);
		for (size_t k = 0; k < i; k++)
			if (tide_aggregate_equal(aggregates[i], aggregates[k]))
				return tide_fail(err, TIDE_ARGUMENT,
						 "aggregates %zu and %zu are the same", k, i);
		if (aggregates[i]->uncommitted.count == 0)
			continue;
		parts[changed].aggregate = aggregates[i];
		parts[changed++].before = aggregate_stored_version(aggregates[i]);
	}

	if (changed == 0)
		return TIDE_OK;
	tide_status status = save_store(repository, parts, changed, err);
	return status == TIDE_OK ? save_finish(repository, parts, changed, err) : status;
}

tide_status tide_repository_save(struct tide_repository *repository,
				 struct tide_aggregate *aggregate, struct tide_error *err)
{
	return tide_repository_save_all(repository, &aggregate, 1, err);
}
