/* SPDX-License-Identifier: Apache-2.0 */
/* Transactional delivery: what a handler writes and what the subscription remembers are there together or not at all. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conformance/recorder.h"
#include "lib/child.h"

/* The read model: one row per event handled, refused when it is there already. */
#define MODEL "CREATE TABLE read_model (position INTEGER PRIMARY KEY)"

/** A handler that writes a row per event, and fails on some. */
struct writer {
	struct recorder *recorder;
	const struct test_backend *backend;
	tide_position fails_after_writing; /* the row is written, then the handler fails */
	tide_position writes_twice;        /* the second row violates the key */
};

static tide_status judge_writing(struct recorder *recorder, const struct tide_event *event,
				 struct tide_delivery *delivery)
{
	struct writer *writer = recorder->self;
	void *connection = tide_delivery_connection(delivery);
	if (!connection)
		return tide_delivery_fail(delivery, TIDE_HANDLER_PERMANENT, "no connection");
	char sql[128];
	snprintf(sql, sizeof sql, "INSERT INTO read_model VALUES (%lld)", (long long)event->position);
	int64_t rounds = event->position == writer->writes_twice ? 2 : 1;
	for (int64_t i = 0; i < rounds; i++)
		if (!writer->backend->run(connection, sql))
			return tide_delivery_fail(delivery, TIDE_HANDLER_PERMANENT, "refused");
	if (event->position == writer->fails_after_writing)
		return tide_delivery_fail(delivery, TIDE_HANDLER_PERMANENT, "changed its mind");
	return TIDE_OK;
}

/* The rows of the read model, read in a transaction of a subscription of its own. */
struct model {
	const struct test_backend *backend;
	int64_t rows, sum;
};

static tide_status judge_counting(struct recorder *recorder, const struct tide_event *event,
				  struct tide_delivery *delivery)
{
	(void)event;
	struct model *model = recorder->self;
	void *connection = tide_delivery_connection(delivery);
	model->rows = model->backend->ask(connection, "SELECT COUNT(*) FROM read_model");
	model->sum = model->backend->ask(connection, "SELECT COALESCE(SUM(position), 0) FROM read_model");
	return TIDE_OK;
}

static struct tide_subscriber transactional_subscriber(const char *name, struct recorder *recorder)
{
	struct tide_subscriber subscriber = subscriber_of(name, recorder);
	subscriber.transactional = true;
	return subscriber;
}

static struct model model_of(struct fixture *f)
{
	struct model model = { .backend = f->backend, .rows = -1 };
	RECORDER *recorder = recorder_new();
	recorder->judge = judge_counting;
	recorder->self = &model;
	struct tide_subscriber subscriber = transactional_subscriber("count", recorder);
	struct tide_subscription_config config = quick_config();
	MANAGER *manager = manager_of(f->store);
	struct tide_subscription *subscription = subscribe(manager, &subscriber, &config);
	start(manager);
	catch_up(f->store, subscription);
	stop(manager);
	return model;
}

static void make_model(struct fixture *f)
{
	/* through a delivery: the one way that every transactional backend gives */
	RECORDER *recorder = recorder_new();
	struct tide_subscriber subscriber = transactional_subscriber("make", recorder);
	struct model model = { .backend = f->backend };
	recorder->self = &model;
	recorder->judge = NULL;
	subscriber.handle = f->backend->make_model;
	subscriber.self = (void *)(uintptr_t)MODEL;
	struct tide_subscription_config config = quick_config();
	MANAGER *manager = manager_of(f->store);
	append_one(f->store, stream_of("Model", 1), "Made");
	struct tide_subscription *subscription = subscribe(manager, &subscriber, &config);
	start(manager);
	catch_up(f->store, subscription);
	assert_int_equal(status_of(subscription).events_failed, 0);
	stop(manager);
}
