/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lanes: a subscription that handles several aggregates at once, each in order. What the handler
 * was given is kept by aggregate, since nothing else has an order here.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tidemark/backend.h>

#include "conformance/recorder.h"
#include "path/subscription.h"

#define LANES 4
#define AGGREGATES 24
#define VERSIONS 10
#define EVENTS (AGGREGATES * VERSIONS)

/** A handler for lanes. */
struct witness {
	const struct test_backend *backend;
	pthread_mutex_t lock;
	atomic_int inside, most; /* calls at once, and the most of them */
	atomic_int wanted;       /* a call waits until so many are inside, once */
	atomic_int bad;          /* out of order, repeated, two at once, in another lane */
	atomic_int contexts, contexts_ever, own, own_ever;
	struct aggregate {
		int32_t version; /* handled last */
		int inside;
		int calls;
	} aggregates[AGGREGATES];
	/* what fails, while it does; 0: nothing */
	_Atomic(tide_position) fails;
	uint32_t failed_lane, redelivered_lane;
};

static void witness_open(struct witness *witness, struct fixture *f)
{
	*witness = (struct witness){ .backend = f->backend };
	pthread_mutex_init(&witness->lock, NULL);
	witness->failed_lane = witness->redelivered_lane = UINT32_MAX;
}

static uint32_t lane_of(const struct tide_uuid *aggregate_id, uint32_t lanes)
{
	struct tide_event event = { .aggregate_id = *aggregate_id };
	uint32_t lane = 0;
	while (!tide_filter_matches(
		&(struct tide_filter){ .partition_index = lane, .partition_total = lanes }, &event))
		lane++;
	return lane;
}

static unsigned number_of(const struct tide_uuid *aggregate_id)
{
	for (unsigned i = 0; i < AGGREGATES; i++) {
		struct tide_uuid id = uuid_of(i);
		if (tide_uuid_equal(&id, aggregate_id))
			return i;
	}
	fail_msg("an aggregate that nobody appended to");
	return 0;
}

static void witness_enter(struct witness *witness, struct aggregate *aggregate)
{
	pthread_mutex_lock(&witness->lock);
	atomic_fetch_add(&witness->bad, aggregate->inside++ != 0);
	int inside = atomic_fetch_add(&witness->inside, 1) + 1;
	if (inside > witness->most)
		witness->most = inside;
	pthread_mutex_unlock(&witness->lock);
}

static void witness_leave(struct witness *witness, struct aggregate *aggregate)
{
	pthread_mutex_lock(&witness->lock);
	aggregate->inside--;
	atomic_fetch_sub(&witness->inside, 1);
	pthread_mutex_unlock(&witness->lock);
}

/* One event, in whatever kind of call. */
static tide_status witness_see(struct witness *witness, const struct tide_event *event,
			       struct tide_delivery *delivery)
{
	struct aggregate *aggregate = &witness->aggregates[number_of(&event->aggregate_id)];
	struct tide_lane lane = tide_delivery_lane(delivery);
	if (lane.total > 1 && lane.index != lane_of(&event->aggregate_id, lane.total))
		atomic_fetch_add(&witness->bad, 1);
	aggregate->calls++;
	if (event->position == atomic_load(&witness->fails)) {
		witness->failed_lane = lane.index;
		return tide_delivery_fail(delivery, TIDE_HANDLER_PERMANENT, "as it was told");
	}
	/* one that had failed before comes behind others */
	if (event->version != aggregate->version + 1 && witness->failed_lane == UINT32_MAX)
		atomic_fetch_add(&witness->bad, 1);
	if (event->version < aggregate->version)
		witness->redelivered_lane = lane.index;
	else
		aggregate->version = event->version;
	return TIDE_OK;
}

static tide_status witness_handle(void *self, const struct tide_event *event,
				  struct tide_delivery *delivery)
{
	struct witness *witness = self;
	struct aggregate *aggregate = &witness->aggregates[number_of(&event->aggregate_id)];
	witness_enter(witness, aggregate);
	double deadline = seconds_now() + 20;
	while (witness->most < witness->wanted && seconds_now() < deadline)
		wait_a_moment();
	tide_status status = witness_see(witness, event, delivery);
	witness_leave(witness, aggregate);
	return status;
}

static tide_status witness_handle_batch(void *self, const struct tide_event *const *events,
					size_t count, struct tide_delivery *delivery)
{
	struct witness *witness = self;
	tide_status status = TIDE_OK;
	for (size_t i = 0; status == TIDE_OK && i < count; i++) {
		struct aggregate *aggregate =
			&witness->aggregates[number_of(&events[i]->aggregate_id)];
		witness_enter(witness, aggregate);
		status = witness_see(witness, events[i], delivery);
		witness_leave(witness, aggregate);
	}
	return status;
}

static struct tide_subscriber witness_subscriber(struct witness *witness)
{
	return (struct tide_subscriber){ .name = "p", .self = witness, .handle = witness_handle };
}

/* Events of all aggregates by turns. */
static void fill(struct fixture *f, int versions)
{
	for (int version = 0; version < versions; version++)
		for (unsigned i = 0; i < AGGREGATES; i++)
			append_one(f->store, stream_of("Order", i), "A");
}

static void saw_everything_once(struct witness *witness, int versions)
{
	assert_int_equal(witness->bad, 0);
	for (unsigned i = 0; i < AGGREGATES; i++) {
		assert_int_equal(witness->aggregates[i].version, versions);
		assert_int_equal(witness->aggregates[i].calls, versions);
	}
}

static tide_position stored_by_lane(struct fixture *f, uint32_t lane)
{
	char name[16];
	snprintf(name, sizeof name, "p#%u/%d", lane, LANES);
	return stored_position(f, name);
}

/* ---- Order and company ----------------------------------------------------------------------- */

static void each_event_once_and_each_aggregate_in_order(struct fixture *f)
{
	struct witness witness;
	for (int kind = 0; kind < 2; kind++) {
		witness_open(&witness, f);
		struct tide_subscriber subscriber = witness_subscriber(&witness);
		subscriber.name = kind ? "batch" : "p";
		subscriber.handle = kind ? NULL : witness_handle;
		subscriber.handle_batch = kind ? witness_handle_batch : NULL;
		if (kind == 0)
			fill(f, VERSIONS / 2);
		struct tide_subscription_config config = lanes_config(LANES);
		config.batch_size = 7;
		MANAGER *manager = manager_of(f->store);
		struct tide_subscription *subscription = subscribe(manager, &subscriber, &config);
		start(manager);
		if (kind == 0)
			fill(f, VERSIONS / 2);
		catch_up(f->store, subscription);
		saw_everything_once(&witness, VERSIONS);
		struct tide_subscription_status status = status_of(subscription);
		assert_int_equal(status.events_processed, EVENTS);
		assert_int_equal(status.events_skipped, (LANES - 1) * EVENTS);
		stop(manager);
	}
	for (uint32_t i = 0; i < LANES; i++)
		assert_int_equal(stored_by_lane(f, i), EVENTS);

	witness_open(&witness, f);
	struct tide_subscriber subscriber = witness_subscriber(&witness);
	struct tide_subscription_config config = lanes_config(LANES);
	MANAGER *manager = manager_of(f->store);
	struct tide_subscription *subscription = subscribe(manager, &subscriber, &config);
	start(manager);
	catch_up(f->store, subscription);
	saw_everything_once(&witness, 0);
}

static void aggregates_of_different_lanes_are_handled_at_the_same_time(struct fixture *f)
{
	struct witness witness;
	witness_open(&witness, f);
	witness.wanted = LANES;
	fill(f, 2);
	struct tide_subscriber subscriber = witness_subscriber(&witness);
	struct tide_subscription_config config = lanes_config(LANES);
	MANAGER *manager = manager_of(f->store);
	struct tide_subscription *subscription = subscribe(manager, &subscriber, &config);
	start(manager);
	catch_up(f->store, subscription);
	saw_everything_once(&witness, 2);
	assert_int_equal(witness.most, LANES);
}

/* ---- Failures -------------------------------------------------------------------------------- */

static void lane_that_ends_in_error_leaves_the_others_alone(struct fixture *f)
{
	struct witness witness;
	witness_open(&witness, f);
	fill(f, 2);
	atomic_store(&witness.fails, 3);
	struct tide_uuid failing = uuid_of(2);
	struct tide_subscriber subscriber = witness_subscriber(&witness);
	struct tide_subscription_config config = lanes_config(LANES);
	config.continue_on_error = false;
	MANAGER *manager = manager_of(f->store);
	struct tide_subscription *subscription = subscribe(manager, &subscriber, &config);
	(void)tide_manager_start(manager, NULL, 0, NULL, NULL, NULL);
	uint32_t lane = lane_of(&failing, LANES);
	for (uint32_t i = 0; i < LANES; i++)
		if (i != lane)
			wait_for(20, stored_by_lane(f, i) == end_of(f->store));
	must(tide_subscription_wait_state(subscription, TIDE_STATE_ERROR, 20, err));
	struct tide_subscription_status status = status_of(subscription);
	assert_int_equal(status.state, TIDE_STATE_ERROR);
	assert_string_equal(status.error.message, "as it was told");
	assert_true(status.position < 3);
	assert_int_equal(status.lanes_owned, LANES - 1);
	assert_int_equal(witness.failed_lane, lane);

	struct tide_subscription_health health;
	must(tide_subscription_health(manager, "p", &health, err));
	assert_string_equal(health.name, "p");
	assert_int_equal(health.state, TIDE_STATE_ERROR);
	assert_true(health.status >= TIDE_UNHEALTHY);
	assert_int_equal(health.events_processed, status.events_processed);

	atomic_store(&witness.fails, 0);
	must(tide_manager_restart(manager, "p", err));
	catch_up(f->store, subscription);
	must(tide_subscription_wait_state(subscription, TIDE_STATE_LIVE, 20, err));
	for (unsigned i = 0; i < AGGREGATES; i++)
		assert_int_equal(witness.aggregates[i].version, 2);
	assert_int_equal(status_of(subscription).lanes_owned, LANES);
	assert_int_equal(refused(TIDE_STATE, tide_manager_restart(manager, "p", err)).status,
			 TIDE_STATE);
}

static void dead_letters_have_the_name_and_their_lane_delivers_them_again(struct fixture *f)
{
	struct witness witness;
	witness_open(&witness, f);
	fill(f, 3);
	struct tide_uuid failing = uuid_of(7);
	atomic_store(&witness.fails, 8);
	struct tide_subscriber subscriber = witness_subscriber(&witness);
	struct tide_subscription_config config = lanes_config(LANES);
	MANAGER *manager = manager_of(f->store);
	struct tide_subscription *subscription = subscribe(manager, &subscriber, &config);
	start(manager);
	catch_up(f->store, subscription);
	struct tide_dead_letter_list letters = letters_of(f, "p");
	assert_int_equal(letters.count, 1);
	int64_t id = letters.entries[0].id;
	tide_dead_letters_free(&letters);
	assert_int_equal(status_of(subscription).events_dlq, 1);

	struct tide_subscription_health health;
	must(tide_subscription_health(manager, "p", &health, err));
	wait_for(20, tide_subscription_health(manager, "p", &health, NULL) == TIDE_OK &&
			     health.dlq_count == 1);

	atomic_store(&witness.fails, 0);
	must(tide_dead_letters_retry(f->checkpoints, id, err));
	wait_for(20, status_of(subscription).redeliveries_resolved == 1);
	letters = letters_of(f, "p");
	assert_int_equal(letters.entries[0].status, TIDE_DEAD_LETTER_RESOLVED);
	tide_dead_letters_free(&letters);
	assert_int_equal(witness.redelivered_lane, lane_of(&failing, LANES));
	assert_int_equal(witness.aggregates[7].calls, 4);
	for (unsigned i = 0; i < AGGREGATES; i++)
		assert_int_equal(witness.aggregates[i].calls, 3 + (i == 7));
}

static void held_aggregate_holds_none_of_its_lane_or_of_others(struct fixture *f)
{
	struct witness witness;
	witness_open(&witness, f);
	fill(f, 3);
	atomic_store(&witness.fails, 6);
	struct tide_subscriber subscriber = witness_subscriber(&witness);
	struct tide_subscription_config config = lanes_config(LANES);
	config.hold_aggregate_on_failure = true;
	MANAGER *manager = manager_of(f->store);
	struct tide_subscription *subscription = subscribe(manager, &subscriber, &config);
	start(manager);
	catch_up(f->store, subscription);
	for (unsigned i = 0; i < AGGREGATES; i++)
		assert_int_equal(witness.aggregates[i].version, i == 5 ? 0 : 3);
	struct tide_dead_letter_list letters = letters_of(f, "p");
	assert_int_equal(letters.count, 3);
	int64_t head = 0;
	for (size_t i = 0; i < letters.count; i++)
		head = letters.entries[i].parked_behind ? head : letters.entries[i].id;
	tide_dead_letters_free(&letters);

	atomic_store(&witness.fails, 0);
	witness.failed_lane = UINT32_MAX; /* from now on the order counts again */
	must(tide_dead_letters_retry(f->checkpoints, head, err));
	wait_for(20, status_of(subscription).redeliveries_resolved == 3);
	assert_int_equal(witness.bad, 0);
	assert_int_equal(witness.aggregates[5].version, 3);
}

/* ---- What persons ask ------------------------------------------------------------------------ */

static void pause_of_the_name_pauses_every_lane(struct fixture *f)
{
	struct witness witness;
	witness_open(&witness, f);
	must(tide_control_pause(f->checkpoints, "p", NULL, NULL, err));
	fill(f, 1);
	struct tide_subscriber subscriber = witness_subscriber(&witness);
	struct tide_subscription_config config = lanes_config(LANES);
	MANAGER *manager = manager_of(f->store);
	struct tide_subscription *subscription = subscribe(manager, &subscriber, &config);
	start(manager);
	must(tide_subscription_wait_state(subscription, TIDE_STATE_PAUSED, 20, err));
	saw_everything_once(&witness, 0);
	assert_false(tide_manager_resume(manager, "p"));
	must(tide_control_resume(f->checkpoints, "p", NULL, NULL, err));
	catch_up(f->store, subscription);
	saw_everything_once(&witness, 1);

	must(tide_subscription_wait_state(subscription, TIDE_STATE_LIVE, 20, err));
	assert_true(tide_manager_pause(manager, "p", TIDE_PAUSE_MANUAL));
	must(tide_subscription_wait_state(subscription, TIDE_STATE_PAUSED, 20, err));
	fill(f, 1);
	struct tide_subscription_status *lanes;
	size_t count;
	must(tide_subscription_lane_statuses(subscription, &lanes, &count, err));
	assert_int_equal(count, LANES);
	for (size_t i = 0; i < count; i++)
		assert_int_equal(lanes[i].state, TIDE_STATE_PAUSED);
	tide_free(lanes);
	saw_everything_once(&witness, 1);
	assert_true(tide_manager_resume(manager, "p"));
	catch_up(f->store, subscription);
	saw_everything_once(&witness, 2);
}

static void one_lane_has_a_name_a_row_and_a_status_of_its_own(struct fixture *f)
{
	struct witness witness;
	witness_open(&witness, f);
	fill(f, 1);
	struct tide_subscriber subscriber = witness_subscriber(&witness);
	struct tide_subscription_config config = lanes_config(3);
	MANAGER *manager = manager_of(f->store);
	struct tide_subscription *subscription = subscribe(manager, &subscriber, &config);
	assert_string_equal(tide_subscription_name(subscription), "p");
	assert_int_equal(tide_manager_count(manager), 1);
	assert_ptr_equal(tide_manager_subscription(manager, "p"), subscription);
	assert_null(tide_manager_subscription(manager, "p#0/3"));
	start(manager);
	catch_up(f->store, subscription);
	struct tide_subscription_status *lanes, *all;
	size_t count;
	int64_t processed = 0;
	must(tide_subscription_lane_statuses(subscription, &lanes, &count, err));
	for (size_t i = 0; i < count; i++) {
		char name[32];
		snprintf(name, sizeof name, "p#%zu/3", i);
		assert_string_equal(lanes[i].name, name);
		assert_int_equal(lanes[i].lanes, 0);
		assert_int_equal(lanes[i].position, AGGREGATES);
		processed += lanes[i].events_processed;
	}
	tide_free(lanes);
	assert_int_equal(processed, AGGREGATES);
	must(tide_manager_statuses(manager, &all, &count, err));
	assert_int_equal(count, 1);
	assert_string_equal(all[0].name, "p");
	assert_int_equal(all[0].lanes, 3);
	assert_int_equal(all[0].lanes_owned, 3);
	assert_int_equal(all[0].events_processed, AGGREGATES);
	char *text;
	must(tide_subscription_status_json(&all[0], &text, err));
	assert_non_null(strstr(text, "\"lanes\":3,\"lanes_owned\":3"));
	tide_free(text);
	tide_free(all);
	must(tide_manager_group_json(manager, "p", &text, err));
	assert_non_null(strstr(text, "\"lanes\":3,\"lanes_owned\":3,\"members\":["));
	assert_non_null(strstr(text, "\"lane_statuses\":[{\"name\":\"p#0/3\",\"state\":"));
	if (f->quirks->is_shared) /* else nobody else could be a member */
		assert_non_null(strstr(text, "\"lanes\":3,\"here\":true}"));
	tide_free(text);
	refused(TIDE_NOT_FOUND, tide_manager_group_json(manager, "q", &text, err));
	char *metrics;
	must(tide_manager_metrics(manager, &metrics, err));
	assert_non_null(strstr(metrics, "tidemark_subscription_position{subscription=\"p#2/3\"}"));
	assert_non_null(strstr(metrics, "tidemark_group_lanes{subscription=\"p\"} 3\n"));
	assert_non_null(
		strstr(metrics, "tidemark_dead_letters{subscription=\"p\",status=\"failed\"}"));
	assert_null(strstr(metrics, "tidemark_dead_letters{subscription=\"p#"));
	tide_free(metrics);
	must(tide_manager_unsubscribe(manager, "p", err));
	assert_int_equal(tide_manager_count(manager), 0);
}

static void names_of_lanes_clash_with_none(struct fixture *f)
{
	struct witness witness;
	witness_open(&witness, f);
	struct tide_subscriber subscriber = witness_subscriber(&witness);
	struct tide_subscription_config config = lanes_config(LANES), share = lanes_config(1);
	share.partition_total = LANES;
	share.partition_index = 2;
	MANAGER *manager = manager_of(f->store);
	(void)subscribe(manager, &subscriber, &config);
	struct tide_error why =
		refused(TIDE_ALREADY_EXISTS,
			tide_manager_subscribe(manager, &subscriber, &share, NULL, err));
	must_mention(&why, "p#2/4");
	refused(TIDE_ALREADY_EXISTS, tide_manager_subscribe(manager, &subscriber, NULL, NULL, err));
	must(tide_manager_unsubscribe(manager, "p", err));
	(void)subscribe(manager, &subscriber, &share);
	why = refused(TIDE_ALREADY_EXISTS,
		      tide_manager_subscribe(manager, &subscriber, &config, NULL, err));
	must_mention(&why, "p#2/4");
	must(tide_manager_unsubscribe(manager, "p#2/4", err));
	config.partition_total = 2;
	why = refused(TIDE_ARGUMENT,
		      tide_manager_subscribe(manager, &subscriber, &config, NULL, err));
	must_mention(&why, "lanes is 4 together with partition 0/2");
	char name[TIDE_NAME_MAX + 1];
	memset(name, 'n', sizeof name - 1);
	name[TIDE_NAME_MAX] = '\0';
	subscriber.name = name;
	config.partition_total = 0;
	refused(TIDE_ARGUMENT, tide_manager_subscribe(manager, &subscriber, &config, NULL, err));
	assert_int_equal(tide_manager_count(manager), 0);
}

static void run_with(struct fixture *f, struct witness *witness, const char *name, uint32_t lanes,
		     tide_status wanted)
{
	struct tide_subscriber subscriber = witness_subscriber(witness);
	struct tide_subscription_config config = lanes_config(lanes);
	subscriber.name = name;
	MANAGER *manager = manager_of(f->store);
	struct tide_subscription *subscription = subscribe(manager, &subscriber, &config);
	tide_status status = tide_manager_start(manager, NULL, 30, NULL, NULL, NULL);
	assert_int_equal(status, wanted);
	if (wanted == TIDE_OK)
		catch_up(f->store, subscription);
}

static void another_number_of_lanes_handles_nothing_again(struct fixture *f)
{
	struct witness witness, other;
	witness_open(&witness, f);
	witness_open(&other, f);
	fill(f, 1);
	run_with(f, &witness, "p", LANES, TIDE_OK);
	saw_everything_once(&witness, 1);
	run_with(f, &other, "p", LANES - 1, TIDE_OK);
	run_with(f, &other, "p", 1, TIDE_OK);
	saw_everything_once(&other, 0);
	run_with(f, &other, "q", 1, TIDE_OK);
	saw_everything_once(&other, 1);
	run_with(f, &witness, "q", LANES, TIDE_OK);
	saw_everything_once(&witness, 1);
}

/* Its process was frozen, say, while the number was changed: it still wants what it had. */
static bool was_fenced(struct tide_subscription *subscription)
{
	struct tide_subscription *lane = lane_at(subscription, 0);
	struct tide_subscription_status *lanes;
	size_t count;
	atomic_store(&lane->lanes.wish, LANE_WANTED);
	wakeup_ring(&lane->wakeup, RING_RELEASE);
	must(tide_subscription_lane_statuses(subscription, &lanes, &count, err));
	bool is_fenced = lanes[0].error.status == TIDE_FENCED;
	tide_free(lanes);
	return is_fenced;
}

static void lane_of_another_number_handles_nothing(struct fixture *f)
{
	struct witness witness, other;
	witness_open(&witness, f);
	witness_open(&other, f);
	fill(f, 1);
	struct tide_subscriber subscriber = witness_subscriber(&witness);
	struct tide_subscription_config config = lanes_config(LANES - 1);
	MANAGER *manager = manager_of(f->store);
	struct tide_subscription *subscription = subscribe(manager, &subscriber, &config);
	must(tide_manager_start(manager, NULL, 30, NULL, NULL, err));
	catch_up(f->store, subscription);

	struct tide_subscriber late = witness_subscriber(&other);
	struct tide_subscription_config more = lanes_config(LANES);
	MANAGER *second = manager_of(f->store);
	subscription = subscribe(second, &late, &more);
	must(tide_manager_start(second, NULL, 30, NULL, NULL, err));
	struct tide_why why;
	must(tide_subscription_why(second, "p", &why, err));
	assert_int_equal(why.cause, TIDE_CAUSE_STANDING_BY);
	assert_non_null(strstr(why.reason, "another number of lanes: 3"));
	wait_for(30, was_fenced(subscription));
	saw_everything_once(&other, 0);
	saw_everything_once(&witness, 1);
}

static void partitions_by_hand_are_no_family(struct fixture *f)
{
	struct witness witness;
	witness_open(&witness, f);
	struct tide_subscriber subscriber = witness_subscriber(&witness);
	struct tide_subscription_config share = lanes_config(1);
	share.partition_total = LANES;
	share.partition_index = 2;
	fill(f, 1);
	MANAGER *manager = manager_of(f->store);
	struct tide_subscription *subscription = subscribe(manager, &subscriber, &share);
	must(tide_manager_start(manager, NULL, 30, NULL, NULL, err));
	catch_up(f->store, subscription);
	must(tide_manager_unsubscribe(manager, "p#2/4", err));

	struct tide_subscription_config config = lanes_config(LANES);
	struct tide_error why = refused(
		TIDE_STATE, tide_manager_subscribe(manager, &subscriber, &config, NULL, err));
	must_mention(&why, "partitions by hand ('p#2/4')");
	assert_int_equal(stored_by_lane(f, 2), AGGREGATES);
}

static void row_of_one_lane_is_changed_by_its_own_name_alone(struct fixture *f)
{
	struct witness witness;
	witness_open(&witness, f);
	fill(f, 1);
	run_with(f, &witness, "p", LANES, TIDE_OK);
	for (uint32_t i = 0; i < LANES; i++)
		assert_int_equal(stored_by_lane(f, i), AGGREGATES);
	must(tide_checkpoints_reset(f->checkpoints, "p#1/4", err));
	assert_int_equal(stored_by_lane(f, 1), 0);
}

/* ---- What a lane is given -------------------------------------------------------------------- */

static tide_status witness_make_context(void *self, struct tide_lane lane, void *connection,
					void **ret, struct tide_error *err)
{
	struct witness *witness = self;
	struct tide_lane *context = malloc(sizeof *context);
	(void)connection;
	(void)err;
	*context = lane;
	atomic_fetch_add(&witness->contexts, 1);
	atomic_fetch_add(&witness->contexts_ever, 1);
	*ret = context;
	return TIDE_OK;
}

static void witness_free_context(void *self, void *context)
{
	struct witness *witness = self;
	atomic_fetch_sub(&witness->contexts, 1);
	free(context);
}

static tide_status witness_handle_in_context(void *self, const struct tide_event *event,
					     struct tide_delivery *delivery)
{
	struct witness *witness = self;
	const struct tide_lane *context = tide_delivery_context(delivery);
	struct tide_lane lane = tide_delivery_lane(delivery);
	if (!context || context->index != lane.index || context->total != lane.total)
		atomic_fetch_add(&witness->bad, 1);
	return witness_handle(self, event, delivery);
}

static void each_lane_has_a_context_for_each_run(struct fixture *f)
{
	struct witness witness;
	witness_open(&witness, f);
	struct tide_subscriber subscriber = witness_subscriber(&witness);
	subscriber.handle = witness_handle_in_context;
	subscriber.context_new = witness_make_context;
	subscriber.context_free = witness_free_context;
	struct tide_subscription_config config = lanes_config(LANES);
	MANAGER *manager = manager_of(f->store);
	struct tide_subscription *subscription = subscribe(manager, &subscriber, &config);
	for (int run = 1; run <= 2; run++) {
		fill(f, 1);
		start(manager);
		catch_up(f->store, subscription);
		saw_everything_once(&witness, run);
		stop(manager);
		assert_int_equal(witness.contexts, 0);
		assert_int_equal(witness.contexts_ever, run * LANES);
	}
	config.lanes = 1;
	subscriber.name = "without";
	witness.failed_lane = 0; /* in its first order again */
	subscription = subscribe(manager, &subscriber, &config);
	start(manager);
	catch_up(f->store, subscription);
	assert_int_equal(witness.bad, 0);
	stop(manager);
	assert_int_equal(witness.contexts, 0);
}

/** What a lane is given in place of the witness. */
struct own {
	struct witness *witness;
	struct tide_lane lane;
};

static tide_status own_open(void *self, struct tide_lane lane, void **ret, struct tide_error *err)
{
	struct witness *witness = self;
	struct own *own = malloc(sizeof *own);
	(void)err;
	*own = (struct own){ witness, lane };
	atomic_fetch_add(&witness->own, 1);
	*ret = own;
	return TIDE_OK;
}

static void own_close(void *self)
{
	struct own *own = self;
	atomic_fetch_sub(&own->witness->own, 1);
	free(own);
}

static tide_status own_handle(void *self, const struct tide_event *event,
			      struct tide_delivery *delivery)
{
	const struct own *own = self;
	if (own->lane.index != tide_delivery_lane(delivery).index)
		atomic_fetch_add(&own->witness->bad, 1);
	return witness_handle(own->witness, event, delivery);
}

static void subscriber_may_give_each_lane_its_own(struct fixture *f)
{
	struct witness witness;
	witness_open(&witness, f);
	fill(f, 1);
	struct tide_subscriber subscriber = witness_subscriber(&witness);
	subscriber.handle = own_handle;
	subscriber.lane_open = own_open;
	subscriber.lane_close = own_close;
	struct tide_subscription_config config = lanes_config(LANES);
	MANAGER *manager = manager_of(f->store);
	struct tide_subscription *subscription = subscribe(manager, &subscriber, &config);
	assert_int_equal(witness.own, LANES);
	start(manager);
	catch_up(f->store, subscription);
	saw_everything_once(&witness, 1);
	must(tide_manager_unsubscribe(manager, "p", err));
	assert_int_equal(witness.own, 0);
}

/* ---- Transactions ---------------------------------------------------------------------------- */

static tide_status writing_prepare(void *self, void *connection, struct tide_error *err)
{
	struct witness *witness = self;
	/* without a turn for each lane, two of these race on PostgreSQL until both commit */
	bool is_made =
		witness->backend->run(connection, "CREATE TABLE IF NOT EXISTS lane_rows "
						  "(aggregate TEXT, version INTEGER, lane INTEGER, "
						  "PRIMARY KEY (aggregate, version))");
	return is_made ? TIDE_OK : tide_fail(err, TIDE_IO, "the read model cannot be made");
}

static tide_status writing_handle(void *self, const struct tide_event *event,
				  struct tide_delivery *delivery)
{
	struct witness *witness = self;
	char sql[200], id[TIDE_UUID_TEXT_SIZE];
	snprintf(sql, sizeof sql, "INSERT INTO lane_rows VALUES ('%s', %d, %u)",
		 tide_uuid_format(&event->aggregate_id, id), (int)event->version,
		 tide_delivery_lane(delivery).index);
	if (!witness->backend->run(tide_delivery_connection(delivery), sql))
		return tide_delivery_fail(delivery, TIDE_HANDLER_PERMANENT, "row not written");
	return witness_see(witness, event, delivery);
}

static int64_t answers[3];

static tide_status counting_handle(void *self, const struct tide_event *event,
				   struct tide_delivery *delivery)
{
	static const char *const questions[] = {
		"SELECT COUNT(*) FROM lane_rows",
		("SELECT COUNT(*) FROM (SELECT aggregate FROM lane_rows GROUP BY aggregate HAVING "
		 "COUNT(DISTINCT lane) > 1 OR MAX(version) <> COUNT(*)) AS wrong"),
		"SELECT COUNT(DISTINCT lane) FROM lane_rows",
	};
	const struct witness *witness = self;
	(void)event;
	for (int i = 0; i < 3; i++)
		answers[i] =
			witness->backend->ask(tide_delivery_connection(delivery), questions[i]);
	return TIDE_OK;
}

static void read_model_of_all_lanes_is_the_fold(struct fixture *f)
{
	struct witness witness;
	witness_open(&witness, f);
	fill(f, 3);
	atomic_store(&witness.fails, 10);
	struct tide_subscriber subscriber = witness_subscriber(&witness);
	subscriber.handle = writing_handle;
	subscriber.transactional = true;
	subscriber.prepare = writing_prepare;
	struct tide_subscription_config config = lanes_config(LANES);
	config.batch_size = 5;
	{
		MANAGER *manager = manager_of(f->store);
		struct tide_subscription *subscription = subscribe(manager, &subscriber, &config);
		start(manager);
		catch_up(f->store, subscription);
		assert_int_equal(status_of(subscription).events_dlq, 1);
		stop(manager);
	}
	struct tide_subscriber counter = {
		.name = "count", .self = &witness, .handle = counting_handle, .transactional = true
	};
	config = quick_config();
	config.start_from = TIDE_START_POSITION;
	config.start_position = end_of(f->store) - 1;
	MANAGER *manager = manager_of(f->store);
	struct tide_subscription *subscription = subscribe(manager, &counter, &config);
	start(manager);
	catch_up(f->store, subscription);
	assert_int_equal(answers[0], 3 * AGGREGATES - 1);
	assert_int_equal(answers[1], 1); /* that of the dead letter */
	assert_int_equal(answers[2], LANES);
}

const struct test_case lanes_cases[] = {
	CASE(each_event_once_and_each_aggregate_in_order),
	CASE(aggregates_of_different_lanes_are_handled_at_the_same_time),
	CASE(lane_that_ends_in_error_leaves_the_others_alone),
	CASE(dead_letters_have_the_name_and_their_lane_delivers_them_again),
	CASE(held_aggregate_holds_none_of_its_lane_or_of_others),
	CASE(pause_of_the_name_pauses_every_lane),
	CASE(one_lane_has_a_name_a_row_and_a_status_of_its_own),
	CASE(names_of_lanes_clash_with_none),
	CASE(another_number_of_lanes_handles_nothing_again),
	CASE(lane_of_another_number_handles_nothing),
	CASE(partitions_by_hand_are_no_family),
	CASE(row_of_one_lane_is_changed_by_its_own_name_alone),
	CASE(each_lane_has_a_context_for_each_run),
	CASE(subscriber_may_give_each_lane_its_own),
	CASE_NEEDS(read_model_of_all_lanes_is_the_fold, NEEDS_TRANSACTIONS),
	CASES_END,
};
