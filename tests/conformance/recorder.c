/* SPDX-License-Identifier: Apache-2.0 */
#include "conformance/recorder.h"

#include <stdlib.h>

struct recorder *recorder_new(void)
{
	struct recorder *recorder = calloc(1, sizeof *recorder);
	assert_non_null(recorder);
	pthread_mutex_init(&recorder->lock, NULL);
	return recorder;
}

void recorder_free(struct recorder *recorder)
{
	pthread_mutex_destroy(&recorder->lock);
	free(recorder);
}

void recorder_cleanup(struct recorder **recorder)
{
	recorder_free(*recorder);
}

void recorder_forget(struct recorder *recorder)
{
	pthread_mutex_lock(&recorder->lock);
	recorder->count = 0;
	pthread_mutex_unlock(&recorder->lock);
}

size_t recorder_count(struct recorder *recorder)
{
	pthread_mutex_lock(&recorder->lock);
	size_t count = recorder->count;
	pthread_mutex_unlock(&recorder->lock);
	return count;
}

static void recorder_note(struct recorder *recorder, const struct tide_event *event, size_t batch,
			  struct tide_delivery *delivery)
{
	pthread_mutex_lock(&recorder->lock);
	if (recorder->count < RECORDER_MAX) {
		recorder->calls[recorder->count].position = event->position;
		recorder->calls[recorder->count].attempt = tide_delivery_attempt(delivery);
		recorder->calls[recorder->count].batch = batch;
		recorder->count++;
	}
	pthread_mutex_unlock(&recorder->lock);
}

tide_status recorder_handle(void *self, const struct tide_event *event,
			    struct tide_delivery *delivery)
{
	return recorder_handle_batch(self, &event, 1, delivery);
}

tide_status recorder_handle_batch(void *self, const struct tide_event *const *events, size_t count,
				  struct tide_delivery *delivery)
{
	struct recorder *recorder = self;
	if (atomic_fetch_add(&recorder->inside, 1) != 0)
		atomic_fetch_add(&recorder->overlaps, 1);
	tide_status status = TIDE_OK;
	for (size_t i = 0; i < count; i++)
		recorder_note(recorder, events[i], count, delivery);
	for (size_t i = 0; i < count && status == TIDE_OK; i++)
		if (recorder->judge)
			status = recorder->judge(recorder, events[i], delivery);
	atomic_fetch_sub(&recorder->inside, 1);
	return status;
}

void recorder_check(struct recorder *recorder, const tide_position *positions, const char *file,
		    int line)
{
	pthread_mutex_lock(&recorder->lock);
	size_t count = 0;
	bool is_same = true;
	for (; positions[count]; count++)
		is_same = is_same && count < recorder->count &&
			  recorder->calls[count].position == positions[count];
	is_same = is_same && recorder->count == count;
	if (!is_same) {
		print_error("%s:%d: delivered", file, line);
		for (size_t i = 0; i < recorder->count && i < 40; i++)
			print_error(" %lld", (long long)recorder->calls[i].position);
		print_error(", wanted");
		for (size_t i = 0; i < count; i++)
			print_error(" %lld", (long long)positions[i]);
		print_error("\n");
	}
	pthread_mutex_unlock(&recorder->lock);
	if (!is_same)
		_fail(file, line);
}

void delivered_all_after(struct recorder *recorder, struct tide_store *store, tide_position after)
{
	SEEN all = see(store, &(struct tide_query){ .after = tide_bound(after) });
	assert_int_equal(recorder->overlaps, 0);
	assert_int_equal(recorder_count(recorder), all.count);
	for (size_t i = 0; i < all.count; i++)
		assert_int_equal(recorder->calls[i].position, all.events[i]->position);
}

struct tide_subscriber subscriber_of(const char *name, struct recorder *recorder)
{
	return (struct tide_subscriber){ .name = name,
					 .self = recorder,
					 .handle = recorder_handle };
}

struct tide_subscriber batch_subscriber_of(const char *name, struct recorder *recorder)
{
	return (struct tide_subscriber){ .name = name,
					 .self = recorder,
					 .handle_batch = recorder_handle_batch };
}

struct tide_subscription_config quick_config(void)
{
	struct tide_subscription_config config = TIDE_SUBSCRIPTION_CONFIG_DEFAULT;
	config.start_from = TIDE_START_BEGINNING;
	config.poll_interval_seconds = 0.02;
	config.initial_retry_delay = 0.001;
	config.max_retry_delay = 0.005;
	config.retry_jitter = 0.0;
	config.circuit_breaker_enabled = false;
	return config;
}

struct tide_subscription_config lanes_config(uint32_t lanes)
{
	struct tide_subscription_config config = quick_config();
	config.start_from = TIDE_START_CHECKPOINT;
	config.lanes = lanes;
	return config;
}

struct tide_manager *manager_of(struct tide_store *store)
{
	struct tide_manager *manager;
	must(tide_manager_open(TIDE_MANAGER(.store = store), &manager, err));
	return manager;
}

struct tide_subscription *subscribe(struct tide_manager *manager,
				    const struct tide_subscriber *subscriber,
				    const struct tide_subscription_config *config)
{
	struct tide_subscription *subscription;
	must(tide_manager_subscribe(manager, subscriber, config, &subscription, err));
	return subscription;
}

void start(struct tide_manager *manager)
{
	must(tide_manager_start(manager, NULL, 30, NULL, NULL, err));
}

void stop(struct tide_manager *manager)
{
	must(tide_manager_stop(manager, NULL, 0, err));
}

void catch_up(struct tide_store *store, struct tide_subscription *subscription)
{
	must(tide_subscription_wait(subscription, end_of(store), 30, err));
}

struct tide_subscription_status status_of(struct tide_subscription *subscription)
{
	struct tide_subscription_status status;
	must(tide_subscription_status(subscription, &status, err));
	return status;
}

struct tide_checkpoint row_of(struct fixture *fixture, const char *name)
{
	struct tide_checkpoint row;
	must(tide_checkpoints_load(fixture->checkpoints, name, &row, err));
	return row;
}

tide_position stored_position(struct fixture *fixture, const char *name)
{
	struct tide_checkpoint row;
	return tide_checkpoints_load(fixture->checkpoints, name, &row, NULL) == TIDE_OK
		       ? row.position
		       : 0;
}

struct tide_dead_letter_list letters_of(struct fixture *fixture, const char *name)
{
	struct tide_dead_letter_query query = { .projection_name = name, .any_status = true };
	struct tide_dead_letter_list list = { 0 };
	must(tide_dead_letters_list(fixture->checkpoints, &query, &list, err));
	return list;
}
