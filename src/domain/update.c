/* SPDX-License-Identifier: Apache-2.0 */
/* Load, decide, save, and all of it again when somebody else was faster. */
#include "core/text.h"
#include "domain/aggregate.h"
#include "domain/repository.h"
#include "sys/alloc.h"
#include "sys/random.h"

#define UPDATE_PAUSE_FIRST_NS (NS_PER_MS / 4)
#define UPDATE_PAUSE_MAX_NS (20 * NS_PER_MS)

/** A command on several aggregates; one command on one aggregate is the case of one. */
struct update {
	struct tide_repository *repository;
	const struct tide_uuid *ids;
	size_t count;
	tide_command *command; /* exactly one of the two */
	tide_command_all *command_all;
	void *context;
	struct tide_aggregate **aggregates; /* of the present attempt */
};

static void update_release(struct update *update)
{
	for (size_t i = 0; i < update->count; i++) {
		tide_aggregate_free(update->aggregates[i]);
		update->aggregates[i] = NULL;
	}
}

static tide_status update_command(struct update *update, struct tide_error *err)
{
	if (err)
		*err = (struct tide_error){ 0 };
	tide_status status = update->command
				     ? update->command(update->aggregates[0], update->context, err)
				     : update->command_all(update->aggregates, update->count,
							   update->context, err);
	return state_outcome(status, "command on", update->repository->type->name, err);
}

/** One attempt. Only a conflict of the save asks for another: what a command says is the
 * caller's. */
static tide_status update_once(struct update *update, bool *ret_is_beaten, struct tide_error *err)
{
	tide_status status = TIDE_OK;
	for (size_t i = 0; i < update->count && status == TIDE_OK; i++)
		status = tide_repository_load_or_create(update->repository, &update->ids[i],
							&update->aggregates[i], err);
	if (status == TIDE_OK)
		status = update_command(update, err);
	if (status == TIDE_OK) {
		status = tide_repository_save_all(update->repository, update->aggregates,
						  update->count, err);
		*ret_is_beaten = status == TIDE_CONFLICT;
	}

	update_release(update);
	return status;
}

/** Step aside for a random while, longer from attempt to attempt, so that contenders come apart. */
static void update_pause(struct random *random, int64_t *limit_ns)
{
	struct mutex lock;
	struct cond cond;
	mutex_init(&lock, LOCK_PAUSE);
	cond_init(&cond);
	struct mono_time now = clock_mono(&clock_system);
	struct mono_time until = mono_add(now, (int64_t)(random_unit(random) * (double)*limit_ns));
	mutex_lock(&lock);
	while (cond_wait_until(&cond, &lock, until))
		;
	mutex_unlock(&lock);

	cond_fini(&cond);
	mutex_fini(&lock);
	if (*limit_ns < UPDATE_PAUSE_MAX_NS)
		*limit_ns *= 2;
}

static tide_status update_run(struct update *update, struct tide_error *err)
{
	struct random random;
	int64_t limit_ns = UPDATE_PAUSE_FIRST_NS;
	random_seed(&random, fnv1a64(&(uint64_t){ thread_self() }, sizeof(uint64_t)));
	for (int32_t attempt = 1;; attempt++) {
		bool is_beaten = false;
		tide_status status = update_once(update, &is_beaten, err);
		if (!is_beaten || attempt == update->repository->update_attempts)
			return status;
		update_pause(&random, &limit_ns);
	}
}

tide_status tide_repository_update(struct tide_repository *repository, const struct tide_uuid *id,
				   tide_command *command, void *context, struct tide_error *err)
{
	if (!repository || !id || !command)
		return tide_fail(err, TIDE_ARGUMENT, "%s must not be null",
				 !repository ? "repository"
				 : id        ? "command"
					     : "id");
	struct tide_aggregate *aggregate = NULL;
	struct update update = { repository, id, 1, command, NULL, context, &aggregate };
	return update_run(&update, err);
}

tide_status tide_repository_update_all(struct tide_repository *repository,
				       const struct tide_uuid *ids, size_t count,
				       tide_command_all *command, void *context,
				       struct tide_error *err)
{
	if (!repository || !ids || !command)
		return tide_fail(err, TIDE_ARGUMENT, "%s must not be null",
				 !repository ? "repository"
				 : ids       ? "command"
					     : "ids");
	ALLOC_AUTO struct tide_aggregate **aggregates = alloc_zero(count, sizeof *aggregates);
	if (!aggregates)
		return alloc_fail(err);
	struct update update = { repository, ids, count, NULL, command, context, aggregates };
	return update_run(&update, err);
}
