/* SPDX-License-Identifier: Apache-2.0 */
#include "engine_tools.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- Stores and managers --------------------------------------------------------------------- */

static void rig_open_store(struct rig *rig)
{
	must(tide_store_open(rig->url, TIDE_STORE_OPTIONS(.initialize = true), &rig->store, err));
	must(tide_checkpoints_open(NULL, NULL, rig->store, &rig->checkpoints, err));
}

void rig_make(struct rig *rig, const char *backend)
{
	*rig = (struct rig){ 0 };
	temp_make(rig->directory);
	snprintf(rig->file, sizeof rig->file, "%s/events.db", rig->directory);
	if (strcmp(backend, "memory") == 0) {
		snprintf(rig->url, sizeof rig->url, "memory:");
		return;
	}
	snprintf(rig->url, sizeof rig->url, "sqlite:%s", rig->file);
	rig_open_store(rig);
	rig_shut(rig);
}

void rig_open_with(struct rig *rig, const char *backend, const struct tide_manager_options *options)
{
	rig_make(rig, backend);
	rig_open_store(rig);
	struct tide_manager_options with = *options;
	with.store = rig->store;
	must(tide_manager_open(&with, &rig->manager, err));
}

void rig_open(struct rig *rig, const char *backend)
{
	rig_open_with(rig, backend, TIDE_MANAGER(.store = NULL));
}

void rig_shut(struct rig *rig)
{
	tide_manager_close(rig->manager);
	tide_checkpoints_close(rig->checkpoints);
	tide_store_close(rig->store);
	rig->manager = NULL;
	rig->checkpoints = NULL;
	rig->store = NULL;
}

void rig_close(struct rig *rig)
{
	rig_shut(rig);
	temp_remove(rig->directory);
}

struct tide_subscription_config quick_config(void)
{
	struct tide_subscription_config config = TIDE_SUBSCRIPTION_CONFIG_DEFAULT;
	config.poll_interval_seconds = 0.05;
	config.initial_retry_delay = 0.005;
	config.max_retry_delay = 0.05;
	config.retry_jitter = 0;
	config.circuit_breaker_enabled = false;
	return config;
}

/* ---- The witness ----------------------------------------------------------------------------- */

static void witness_remember(struct witness *witness, const struct tide_event *event,
			     struct tide_delivery *delivery)
{
	pthread_mutex_lock(&witness->lock);
	if (witness->count == witness->capacity) {
		witness->capacity = witness->capacity ? witness->capacity * 2 : 64;
		witness->positions =
			realloc(witness->positions, witness->capacity * sizeof *witness->positions);
		witness->attempts =
			realloc(witness->attempts, witness->capacity * sizeof *witness->attempts);
		assert_true(witness->positions && witness->attempts);
	}
	witness->positions[witness->count] = event->position;
	witness->attempts[witness->count++] = tide_delivery_attempt(delivery);
	pthread_mutex_unlock(&witness->lock);
}

static tide_status witness_handle_batch(void *self, const struct tide_event *const *events,
					size_t count, struct tide_delivery *delivery)
{
	struct witness *witness = self;
	if (atomic_fetch_add(&witness->inside, 1) != 0)
		atomic_fetch_add(&witness->overlaps, 1);
	atomic_fetch_add(&witness->calls, 1);
	tide_status status = TIDE_OK;
	for (size_t i = 0; i < count && status == TIDE_OK && witness->decide; i++)
		status = witness->decide(witness, events[i], delivery);
	for (size_t i = 0; i < count && status == TIDE_OK; i++)
		witness_remember(witness, events[i], delivery);
	atomic_fetch_sub(&witness->inside, 1);
	return status;
}

static tide_status witness_handle(void *self, const struct tide_event *event,
				  struct tide_delivery *delivery)
{
	return witness_handle_batch(self, &event, 1, delivery);
}

void witness_fini(struct witness *witness)
{
	free(witness->positions);
	free(witness->attempts);
	*witness = (struct witness)WITNESS;
}

size_t witness_count(struct witness *witness)
{
	pthread_mutex_lock(&witness->lock);
	size_t count = witness->count;
	pthread_mutex_unlock(&witness->lock);
	return count;
}

struct tide_subscriber witness_single(const char *name, struct witness *witness)
{
	return (struct tide_subscriber){ .name = name, .self = witness, .handle = witness_handle };
}

struct tide_subscriber witness_batch(const char *name, struct witness *witness)
{
	return (struct tide_subscriber){ .name = name,
					 .self = witness,
					 .handle_batch = witness_handle_batch };
}

void witness_saw_all(struct witness *witness, tide_position from, tide_position to)
{
	pthread_mutex_lock(&witness->lock);
	assert_int_equal(atomic_load(&witness->overlaps), 0);
	for (size_t i = 0; i < witness->count; i++)
		if (witness->positions[i] != from + (tide_position)i)
			fail_msg("handled position %lld as number %zu, expected %lld",
				 (long long)witness->positions[i], i,
				 (long long)from + (long long)i);
	assert_int_equal(witness->count, to - from + 1);
	pthread_mutex_unlock(&witness->lock);
}

/* ---- Looking --------------------------------------------------------------------------------- */

struct tide_subscription_status status_of(struct tide_subscription *subscription)
{
	struct tide_subscription_status status;
	must(tide_subscription_status(subscription, &status, err));
	return status;
}

struct tide_checkpoint checkpoint_of(struct tide_checkpoints *checkpoints, const char *name)
{
	struct tide_checkpoint checkpoint;
	must(tide_checkpoints_load(checkpoints, name, &checkpoint, err));
	return checkpoint;
}

tide_position saved_position(struct tide_checkpoints *checkpoints, const char *name)
{
	tide_position position = -1;
	(void)tide_checkpoints_position(checkpoints, name, &position, NULL);
	return position;
}

void wait_position(struct tide_subscription *subscription, tide_position position)
{
	must(tide_subscription_wait(subscription, position, PATIENCE, err));
}

void wait_state(struct tide_subscription *subscription, enum tide_state state)
{
	must(tide_subscription_wait_state(subscription, state, PATIENCE, err));
}

static int dead_letter_compare(const void *a, const void *b)
{
	const struct tide_dead_letter *left = a, *right = b;
	return left->id < right->id ? -1 : left->id > right->id;
}

struct tide_dead_letter_list dead_letters_of(struct tide_checkpoints *checkpoints, const char *name)
{
	struct tide_dead_letter_query query = { .projection_name = name,
						.any_status = true,
						.limit = tide_bound(10000) };
	struct tide_dead_letter_list list = { 0 };
	must(tide_dead_letters_list(checkpoints, &query, &list, err));
	if (list.count > 0)
		qsort(list.entries, list.count, sizeof *list.entries, dead_letter_compare);
	return list;
}

/* ---- Past Tidemark --------------------------------------------------------------------------- */

sqlite3 *plain_open(const char *file)
{
	sqlite3 *database;
	assert_int_equal(sqlite3_open(file, &database), SQLITE_OK);
	sqlite3_busy_timeout(database, 20000);
	return database;
}

void plain_run(sqlite3 *database, const char *sql)
{
	char *message = NULL;
	if (sqlite3_exec(database, sql, NULL, NULL, &message) != SQLITE_OK)
		fail_msg("%s: %s", sql, message);
}

int64_t plain_number(sqlite3 *database, const char *sql)
{
	sqlite3_stmt *statement;
	if (sqlite3_prepare_v2(database, sql, -1, &statement, NULL) != SQLITE_OK)
		fail_msg("%s: %s", sql, sqlite3_errmsg(database));
	int64_t number =
		sqlite3_step(statement) == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : -1;
	sqlite3_finalize(statement);
	return number;
}

void pass_time(double seconds)
{
	struct timespec length = { .tv_sec = (time_t)seconds };
	length.tv_nsec = (long)((seconds - (double)length.tv_sec) * 1e9);
	nanosleep(&length, NULL);
}
