/* SPDX-License-Identifier: Apache-2.0 */
/* What a handler appends in its delivery transaction is there with its read model and checkpoint,
 * or not at all, and once. / */
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "conformance/recorder.h"

static const char *const counted[] = { "Counted", NULL };

/** A handler that answers each event of type Counted with one, and what it was told. */
struct reactor {
	struct fixture *fixture;
	struct tide_append_result result; /* of the last append that succeeded */
	tide_position fails_at;           /* having appended, */
	int32_t fails_until;              /* attempts before this one */
	atomic_int appended;              /* calls that went well */
	atomic_int stored_before;         /* of them, that wrote nothing */
	bool answers_all;                 /* its own events, too, with no append */
};

static struct tide_stream echo_stream(const struct tide_event *event)
{
	return (struct tide_stream){ event->aggregate_id, "Echo" };
}

static tide_status react(struct reactor *reactor, const struct tide_event *event,
			 struct tide_delivery *delivery)
{
	struct tide_new_event echo = { .event_type = "Echoed", .payload = event->payload };
	const struct tide_append append = {
		.stream = echo_stream(event), .expected = TIDE_ANY, .events = &echo, .count = 1
	};
	struct tide_error why;
	tide_status status = tide_delivery_append(delivery, &append, 1, &reactor->result, &why);
	if (status != TIDE_OK)
		return tide_delivery_fail(delivery, status, "%s", why.message);
	reactor->appended++;
	reactor->stored_before += reactor->result.was_stored_before;
	if (event->position == reactor->fails_at &&
	    tide_delivery_attempt(delivery) < reactor->fails_until)
		return tide_delivery_fail(delivery, TIDE_HANDLER_PERMANENT, "changed its mind");
	return TIDE_OK;
}

static tide_status judge_reacting(struct recorder *recorder, const struct tide_event *event,
				  struct tide_delivery *delivery)
{
	struct reactor *reactor = recorder->self;
	if (strcmp(event->event_type.data, "Counted") != 0)
		return TIDE_OK;
	return react(reactor, event, delivery);
}

static struct tide_subscriber reacting_subscriber(struct recorder *recorder, void *self,
						  recorder_judge *judge)
{
	struct tide_subscriber subscriber = subscriber_of("p", recorder);
	recorder->self = self;
	recorder->judge = judge;
	subscriber.event_types = counted;
	subscriber.transactional = true;
	subscriber.appends = true;
	return subscriber;
}

static void run_to_the_end(struct fixture *f, const struct tide_subscriber *subscriber,
			   const struct tide_subscription_config *config)
{
	MANAGER *manager = manager_of(f->store);
	struct tide_subscription *subscription = subscribe(manager, subscriber, config);
	start(manager);
	catch_up(f->store, subscription);
	stop(manager);
}

static void react_to_all(struct fixture *f, struct recorder *recorder, void *self,
			 recorder_judge *judge)
{
	struct tide_subscriber subscriber = reacting_subscriber(recorder, self, judge);
	struct tide_subscription_config config = quick_config();
	config.start_from = TIDE_START_CHECKPOINT;
	run_to_the_end(f, &subscriber, &config);
}

static struct seen see_echoes(struct fixture *f)
{
	static const char *const echoed[] = { "Echoed", NULL };
	return see(f->store, &(struct tide_query){ .event_types = echoed });
}

/* ---- What is appended ------------------------------------------------------------------------ */

/* As the declaration of tide_delivery_append says it. */
static struct tide_uuid id_of(const char *name, const struct tide_event *cause,
			      const struct tide_event *echo, unsigned index)
{
	char text[600], stream[TIDE_UUID_TEXT_SIZE];
	snprintf(text, sizeof text, "%s\n%s/%s\n%u", name, echo->aggregate_type.data,
		 tide_uuid_format(&echo->aggregate_id, stream), index);
	return tide_uuid_v5(&cause->event_id, text);
}

static void follows(const struct tide_event *echo, const struct tide_event *cause)
{
	struct tide_uuid id = id_of("p", cause, echo, 0);
	assert_true(tide_event_is_caused_by(echo, cause));
	assert_true(tide_event_is_correlated_with(echo, cause));
	assert_true(tide_uuid_equal(&echo->event_id, &id));
	assert_true(echo->position > cause->position);
}

static void reaction_follows_the_event_that_is_handled(struct fixture *f)
{
	append_many(f->store, stream_of("Order", 1), 0, 3);
	RECORDER *recorder = recorder_new();
	struct reactor reactor = { .fixture = f };
	react_to_all(f, recorder, &reactor, judge_reacting);
	SEEN all = see(f->store, NULL);
	assert_int_equal(all.count, 6);
	for (size_t i = 0; i < 3; i++) {
		follows(all.events[3 + i], all.events[i]);
		assert_int_equal(all.events[3 + i]->version, i + 1);
		same_json(all.events[3 + i]->payload, all.events[i]->payload.data);
	}
	assert_int_equal(reactor.result.version, 3);
	assert_int_equal(reactor.result.last_position, all.events[5]->position);
	assert_false(reactor.result.was_stored_before);
	assert_int_equal(row_of(f, "p").events_processed, 3);
}

static tide_status judge_explicit(struct recorder *recorder, const struct tide_event *event,
				  struct tide_delivery *delivery)
{
	(void)recorder;
	const struct tide_new_event echo = { .event_type = "Echoed",
					     .event_id = uuid_of(71),
					     .correlation_id = uuid_of(72),
					     .causation_id = uuid_of(73) };
	const struct tide_append append = { echo_stream(event), TIDE_NO_STREAM, &echo, 1 };
	return tide_delivery_append(delivery, &append, 1, NULL, NULL);
}

static void what_a_reaction_says_itself_stands(struct fixture *f)
{
	append_many(f->store, stream_of("Order", 1), 0, 1);
	RECORDER *recorder = recorder_new();
	react_to_all(f, recorder, NULL, judge_explicit);
	SEEN echoes = see_echoes(f);
	assert_int_equal(echoes.count, 1);
	const struct tide_uuid ids[] = { uuid_of(71), uuid_of(72), uuid_of(73) };
	assert_true(tide_uuid_equal(&echoes.events[0]->event_id, &ids[0]));
	assert_true(tide_uuid_equal(&echoes.events[0]->correlation_id, &ids[1]));
	assert_true(tide_uuid_equal(&echoes.events[0]->causation_id, &ids[2]));
}

/* Two streams in one call, one of them twice, and the first one once more. */
static tide_status judge_several(struct recorder *recorder, const struct tide_event *event,
				 struct tide_delivery *delivery)
{
	struct tide_append_result *results = recorder->self;
	const struct tide_new_event echo[2] = { { .event_type = "Echoed" },
						{ .event_type = "Echoed" } };
	const struct tide_stream other = { event->aggregate_id, "Other" };
	const struct tide_append appends[] = {
		{ echo_stream(event), TIDE_NO_STREAM, echo, 2 },
		{ other, TIDE_NO_STREAM, echo, 1 },
		{ other, 1, echo, 1 },
	};
	const struct tide_append more = { echo_stream(event), 2, echo, 1 };
	struct tide_error why;
	tide_status status = tide_delivery_append(delivery, appends, 3, results, &why);
	if (status == TIDE_OK)
		status = tide_delivery_append(delivery, &more, 1, &results[3], &why);
	return status == TIDE_OK ? status : tide_delivery_fail(delivery, status, "%s", why.message);
}

static void several_streams_are_appended_to_at_once_with_expectations(struct fixture *f)
{
	append_many(f->store, stream_of("Order", 1), 0, 1);
	struct tide_append_result results[4] = { { 0 } };
	RECORDER *recorder = recorder_new();
	react_to_all(f, recorder, results, judge_several);
	SEEN all = see(f->store, NULL);
	assert_int_equal(all.count, 6);
	static const unsigned indexes[] = { 0, 1, 0, 1, 2 }; /* each in its stream */
	for (size_t i = 0; i < 5; i++) {
		const struct tide_event *echo = all.events[i + 1];
		struct tide_uuid id = id_of("p", all.events[0], echo, indexes[i]);
		assert_true(tide_uuid_equal(&echo->event_id, &id));
	}
	assert_int_equal(results[0].version, 2);
	assert_int_equal(results[2].version, 2);
	assert_int_equal(results[3].version, 3);
}

/* ---- What is refused ------------------------------------------------------------------------- */

/** What a handler that meets a conflict has found. */
struct conflicting {
	const struct test_backend *backend;
	struct tide_append_result results[2];
	int64_t events; /* that are there behind the conflict, for the transaction itself */
};

/* A conflict, then what it should have been; the first call leaves neither events nor numbers. */
static tide_status judge_conflicting(struct recorder *recorder, const struct tide_event *event,
				     struct tide_delivery *delivery)
{
	struct conflicting *conflicting = recorder->self;
	struct tide_append_result *results = conflicting->results;
	const struct tide_new_event echo = { .event_type = "Echoed" };
	const struct tide_stream other = { event->aggregate_id, "Other" };
	struct tide_append appends[] = { { other, TIDE_NO_STREAM, &echo, 1 },
					 { echo_stream(event), 7, &echo, 1 } };
	struct tide_error why;
	if (tide_delivery_append(delivery, appends, 2, results, &why) != TIDE_CONFLICT)
		return tide_delivery_fail(delivery, TIDE_HANDLER_PERMANENT, "no conflict");
	conflicting->events = conflicting->backend->ask(tide_delivery_connection(delivery),
							"SELECT COUNT(*) FROM events");
	appends[1].expected = results[1].version;
	return tide_delivery_append(delivery, appends, 2, results, NULL);
}

static void conflict_leaves_nothing_and_is_the_handlers_to_judge(struct fixture *f)
{
	append_many(f->store, stream_of("Order", 1), 0, 1);
	append_one(f->store, stream_of("Echo", 1), "Earlier");
	struct conflicting conflicting = { .backend = f->backend };
	RECORDER *recorder = recorder_new();
	react_to_all(f, recorder, &conflicting, judge_conflicting);
	assert_int_equal(conflicting.events, 2);
	SEEN all = see(f->store, NULL);
	assert_int_equal(all.count, 4);
	assert_int_equal(conflicting.results[0].version, 1);
	assert_int_equal(conflicting.results[1].version, 2);
	follows(all.events[2], all.events[0]);
	follows(all.events[3], all.events[0]);
	delivered(recorder, 1);
	struct tide_dead_letter_list letters = letters_of(f, "p");
	assert_int_equal(letters.count, 0);
}

/* The stream is where it must be from the third attempt on. */
static tide_status judge_too_early(struct recorder *recorder, const struct tide_event *event,
				   struct tide_delivery *delivery)
{
	(void)recorder;
	const struct tide_new_event echo = { .event_type = "Echoed" };
	int64_t expected = tide_delivery_attempt(delivery) < 3 ? 9 : TIDE_NO_STREAM;
	const struct tide_append append = { echo_stream(event), expected, &echo, 1 };
	struct tide_error why;
	tide_status status = tide_delivery_append(delivery, &append, 1, NULL, &why);
	return status == TIDE_OK ? status : tide_delivery_fail(delivery, status, "%s", why.message);
}

static void conflict_that_a_handler_returns_is_tried_again(struct fixture *f)
{
	append_many(f->store, stream_of("Order", 1), 0, 1);
	RECORDER *recorder = recorder_new();
	struct tide_subscriber subscriber = reacting_subscriber(recorder, NULL, judge_too_early);
	struct tide_subscription_config config = quick_config();
	MANAGER *manager = manager_of(f->store);
	struct tide_subscription *subscription = subscribe(manager, &subscriber, &config);
	start(manager);
	catch_up(f->store, subscription);
	struct tide_error_stats stats;
	must(tide_manager_error_stats(manager, "p", &stats, err));
	stop(manager);
	delivered(recorder, 1, 1, 1);
	assert_int_equal(stats.transient_errors, 2);
	SEEN echoes = see_echoes(f);
	assert_int_equal(echoes.count, 1);
}

/** Calls that are refused one after the other, and what they say. */
struct refusals {
	struct tide_uuid taken; /* an id that another stream has */
	struct tide_error duplicate, argument, payload, twice;
};

static tide_status try_append(struct tide_delivery *delivery, const struct tide_event *event,
			      const struct tide_new_event *echo, struct tide_error *ret)
{
	const struct tide_append append = { echo_stream(event), TIDE_ANY, echo, 1 };
	*ret = (struct tide_error){ 0 };
	return tide_delivery_append(delivery, &append, 1, NULL, ret);
}

static tide_status judge_refused(struct recorder *recorder, const struct tide_event *event,
				 struct tide_delivery *delivery)
{
	struct refusals *refusals = recorder->self;
	struct tide_error why;
	const struct tide_new_event taken = { .event_type = "Echoed", .event_id = refusals->taken };
	const struct tide_new_event unnamed = { .event_type = "no type" };
	const struct tide_new_event broken = { .event_type = "Echoed", .payload = tide_text("{") };
	const struct tide_new_event good = { .event_type = "Echoed" };
	(void)try_append(delivery, event, &taken, &refusals->duplicate);
	(void)try_append(delivery, event, &unnamed, &refusals->argument);
	(void)try_append(delivery, event, &broken, &refusals->payload);
	(void)tide_delivery_append(delivery, NULL, 1, NULL, &refusals->twice);
	return try_append(delivery, event, &good, &why);
}

static void what_is_refused_leaves_the_transaction_whole(struct fixture *f)
{
	append_many(f->store, stream_of("Order", 1), 0, 1);
	SEEN before = see(f->store, NULL);
	struct refusals refusals = { .taken = before.events[0]->event_id };
	RECORDER *recorder = recorder_new();
	react_to_all(f, recorder, &refusals, judge_refused);
	assert_int_equal(refusals.duplicate.status, TIDE_DUPLICATE_EVENT);
	must_mention(&refusals.duplicate, "in another stream");
	assert_int_equal(refusals.argument.status, TIDE_ARGUMENT);
	must_mention(&refusals.argument, "event 0: event_type");
	assert_int_equal(refusals.payload.status, TIDE_ARGUMENT);
	must_mention(&refusals.payload, "event 0: payload");
	assert_int_equal(refusals.twice.status, TIDE_ARGUMENT);
	SEEN all = see(f->store, NULL);
	assert_int_equal(all.count, 2);
	follows(all.events[1], all.events[0]);
	assert_int_equal(row_of(f, "p").events_processed, 1);
}

static tide_status judge_uninvited(struct recorder *recorder, const struct tide_event *event,
				   struct tide_delivery *delivery)
{
	const struct tide_new_event echo = { .event_type = "Echoed" };
	(void)try_append(delivery, event, &echo, recorder->self);
	return TIDE_OK;
}

static void who_was_not_registered_for_it_appends_nothing(struct fixture *f)
{
	append_many(f->store, stream_of("Order", 1), 0, 1);
	struct tide_error why = { 0 };
	RECORDER *recorder = recorder_new();
	struct tide_subscriber subscriber = reacting_subscriber(recorder, &why, judge_uninvited);
	struct tide_subscription_config config = quick_config();
	subscriber.appends = false;
	subscriber.transactional = f->quirks->has_transactions;
	run_to_the_end(f, &subscriber, &config);
	assert_int_equal(why.status, TIDE_UNSUPPORTED);
	must_mention(&why, "'p' was not registered as one that appends");
	SEEN all = see(f->store, NULL);
	assert_int_equal(all.count, 1);
}

static void who_cannot_append_is_told_at_once(struct fixture *f)
{
	RECORDER *recorder = recorder_new();
	struct tide_subscriber subscriber = reacting_subscriber(recorder, NULL, NULL);
	struct tide_subscription *subscription;
	MANAGER *manager = manager_of(f->store);
	subscriber.transactional = false;
	struct tide_error why =
		refused(TIDE_UNSUPPORTED,
			tide_manager_subscribe(manager, &subscriber, NULL, &subscription, err));
	must_mention(&why, "'p' appends, which only a transactional handler can");

	subscriber.transactional = true;
	if (!f->quirks->has_transactions)
		refused(TIDE_UNSUPPORTED,
			tide_manager_subscribe(manager, &subscriber, NULL, &subscription, err));
	subscriber.handle = NULL;
	subscriber.handle_batch = recorder_handle_batch;
	why = refused(TIDE_ARGUMENT,
		      tide_manager_subscribe(manager, &subscriber, NULL, &subscription, err));
	must_mention(&why, "handle_batch");
}

static void who_keeps_his_checkpoint_elsewhere_cannot_append(struct fixture *f)
{
	RECORDER *recorder = recorder_new();
	struct tide_subscriber subscriber = reacting_subscriber(recorder, NULL, NULL);
	struct tide_checkpoints *elsewhere;
	struct tide_manager *manager;
	struct tide_subscription *subscription;
	char url[2 * TEMP_PATH_SIZE];
	snprintf(url, sizeof url, "sqlite:%s/elsewhere.db", f->directory);
	must(tide_checkpoints_open(url, TIDE_STORE_OPTIONS(.initialize = true), f->store,
				   &elsewhere, err));
	must(tide_manager_open(TIDE_MANAGER(.store = f->store, .checkpoints = elsewhere), &manager,
			       err));
	struct tide_error why =
		refused(TIDE_UNSUPPORTED,
			tide_manager_subscribe(manager, &subscriber, NULL, &subscription, err));
	must_mention(&why, "elsewhere.db");
	must_mention(&why, "could not commit with it");
	tide_manager_close(manager);
	tide_checkpoints_close(elsewhere);
}

/* ---- Failures -------------------------------------------------------------------------------- */

static void attempts_that_fail_append_nothing(struct fixture *f)
{
	append_many(f->store, stream_of("Order", 1), 0, 10);
	struct reactor reactor = { .fixture = f, .fails_at = 4, .fails_until = 2 };
	RECORDER *recorder = recorder_new();
	react_to_all(f, recorder, &reactor, judge_reacting);
	struct tide_dead_letter_list letters = letters_of(f, "p");
	assert_int_equal(letters.count, 1);
	SEEN before = see_echoes(f);
	assert_int_equal(before.count, 9);
	assert_int_equal(before.events[8]->version, 9);
	assert_int_equal(row_of(f, "p").events_processed, 10);

	/* once more, and this time it does not change its mind */
	must(tide_dead_letters_retry(f->checkpoints, letters.entries[0].id, err));
	tide_dead_letters_free(&letters);
	struct tide_subscriber subscriber = reacting_subscriber(recorder, &reactor, judge_reacting);
	struct tide_subscription_config config = quick_config();
	config.start_from = TIDE_START_CHECKPOINT;
	MANAGER *manager = manager_of(f->store);
	struct tide_subscription *subscription = subscribe(manager, &subscriber, &config);
	start(manager);
	/* not by the end of the feed, which attempts that were rolled back may have moved */
	wait_for(30, status_of(subscription).redeliveries_resolved == 1);
	stop(manager);
	SEEN after = see_echoes(f);
	assert_int_equal(after.count, 10);
	SEEN all = see(f->store, NULL);
	follows(after.events[9], all.events[3]);
}

static void event_that_comes_again_brings_the_same_ids(struct fixture *f)
{
	append_many(f->store, stream_of("Order", 1), 0, 5);
	struct reactor reactor = { .fixture = f };
	RECORDER *recorder = recorder_new();
	react_to_all(f, recorder, &reactor, judge_reacting);
	tide_position end = end_of(f->store);
	must(tide_checkpoints_reset(f->checkpoints, "p", err));
	react_to_all(f, recorder, &reactor, judge_reacting);
	assert_int_equal(end_of(f->store), end);
	assert_int_equal(reactor.appended, 10);
	assert_int_equal(reactor.stored_before, 5);
	assert_int_equal(reactor.result.version, 5);
	assert_int_equal(reactor.result.last_position, end);
}

static void partition_is_no_part_of_the_name_in_ids(struct fixture *f)
{
	append_many(f->store, stream_of("Order", 1), 0, 5);
	struct reactor reactor = { .fixture = f };
	RECORDER *recorder = recorder_new();
	react_to_all(f, recorder, &reactor, judge_reacting);
	tide_position end = end_of(f->store);
	for (uint32_t i = 0; i < 2; i++) {
		struct tide_subscriber subscriber =
			reacting_subscriber(recorder, &reactor, judge_reacting);
		struct tide_subscription_config config = quick_config();
		config.partition_total = 2;
		config.partition_index = i;
		run_to_the_end(f, &subscriber, &config);
	}
	assert_int_equal(reactor.appended, 10);
	assert_int_equal(end_of(f->store), end);
}

/* Called by several threads. */
static tide_status judge_in_lanes(struct recorder *recorder, const struct tide_event *event,
				  struct tide_delivery *delivery)
{
	struct reactor *reactor = recorder->self;
	const struct tide_new_event echo = { .event_type = "Echoed" };
	struct tide_error why;
	reactor->appended++;
	tide_status status = try_append(delivery, event, &echo, &why);
	return status == TIDE_OK ? status : tide_delivery_fail(delivery, status, "%s", why.message);
}

static void lane_is_no_part_of_the_name_in_ids(struct fixture *f)
{
	for (unsigned i = 0; i < 6; i++)
		append_many(f->store, stream_of("Order", i), 0, 3);
	struct reactor reactor = { .fixture = f };
	RECORDER *recorder = recorder_new();
	react_to_all(f, recorder, &reactor, judge_reacting);
	tide_position end = end_of(f->store);
	must(tide_checkpoints_reset(f->checkpoints, "p", err));

	struct tide_subscriber subscriber = reacting_subscriber(recorder, &reactor, judge_in_lanes);
	struct tide_subscription_config config = quick_config();
	config.lanes = 3;
	run_to_the_end(f, &subscriber, &config);
	assert_int_equal(reactor.appended, 36);
	assert_int_equal(end_of(f->store), end);
}

/* ---- The transaction ------------------------------------------------------------------------- */

/** What others see while an event is in hand. */
struct outsider {
	struct fixture *fixture;
	struct reactor reactor;
	tide_position end;  /* of the feed, once it was appended */
	tide_position last; /* event that was handled before */
	int uncommitted;    /* events whose predecessor's checkpoint was not stored */
};

static tide_status judge_from_outside(struct recorder *recorder, const struct tide_event *event,
				      struct tide_delivery *delivery)
{
	struct outsider *outsider = recorder->self;
	outsider->uncommitted += stored_position(outsider->fixture, "p") != outsider->last;
	outsider->last = event->position;
	tide_status status = react(&outsider->reactor, event, delivery);
	outsider->end = end_of(outsider->fixture->store);
	return status;
}

static void reaction_is_seen_with_the_commit_which_comes_behind_its_event(struct fixture *f)
{
	for (int strategy = TIDE_EVERY_EVENT; strategy <= TIDE_PERIODIC; strategy++) {
		append_many(f->store, stream_of("Order", 1 + (unsigned)strategy), 0, 5);
		tide_position end = end_of(f->store);
		const struct tide_progress progress = { .position = end - 5 };
		struct outsider outsider = { .fixture = f,
					     .reactor = { .fixture = f },
					     .last = end - 5 };
		RECORDER *recorder = recorder_new();
		struct tide_subscriber subscriber =
			reacting_subscriber(recorder, &outsider, judge_from_outside);
		struct tide_subscription_config config = quick_config();
		config.start_from = TIDE_START_CHECKPOINT;
		config.checkpoint_strategy = (enum tide_checkpoint_strategy)strategy;
		config.checkpoint_interval_seconds = 600;
		must(tide_checkpoints_save(f->checkpoints, "p", &progress, err));
		run_to_the_end(f, &subscriber, &config);
		assert_int_equal(outsider.uncommitted, 0);
		assert_int_equal(outsider.end, end + 4);
		assert_int_equal(end_of(f->store), end + 5);
	}
}

/* Nobody polls: only a bell wakes the second subscription. */
static void others_hear_of_a_reaction_when_it_is_committed(struct fixture *f)
{
	static const char *const echoed[] = { "Echoed", NULL };
	struct reactor reactor = { .fixture = f };
	RECORDER *recorder = recorder_new();
	RECORDER *hearer = recorder_new();
	struct tide_subscriber subscriber = reacting_subscriber(recorder, &reactor, judge_reacting);
	struct tide_subscriber hearing = subscriber_of("hearer", hearer);
	hearing.event_types = echoed;
	struct tide_subscription_config config = quick_config();
	config.poll_interval_seconds = 300;
	MANAGER *manager = manager_of(f->store);
	subscribe(manager, &hearing, &config);
	subscribe(manager, &subscriber, &config);
	start(manager);
	for (size_t i = 1; i <= 20; i++) {
		append_many(f->store, stream_of("Order", 1), (unsigned)i, 1);
		wait_for(60, recorder_count(hearer) == i);
	}
	stop(manager);
}

static void subscription_that_reads_its_own_reactions_goes_on(struct fixture *f)
{
	append_many(f->store, stream_of("Order", 1), 0, 30);
	struct reactor reactor = { .fixture = f };
	RECORDER *recorder = recorder_new();
	struct tide_subscriber subscriber = reacting_subscriber(recorder, &reactor, judge_reacting);
	struct tide_subscription_config config = quick_config();
	subscriber.event_types = NULL;
	config.batch_size = 7;
	MANAGER *manager = manager_of(f->store);
	struct tide_subscription *subscription = subscribe(manager, &subscriber, &config);
	start(manager);
	append_many(f->store, stream_of("Order", 2), 0, 10);
	wait_for(60, recorder_count(recorder) == 80);
	catch_up(f->store, subscription);
	stop(manager);
	delivered_all_after(recorder, f->store, 0);
	assert_int_equal(reactor.appended, 40);
	assert_int_equal(row_of(f, "p").events_processed, 80);
}

/** Handles a page as one, and answers each third event. */
static tide_status react_together(void *self, const struct tide_event *const *events, size_t count,
				  struct tide_delivery *delivery)
{
	struct recorder *recorder = self;
	size_t done = 0;
	bool goes_on = true;
	tide_status status = TIDE_OK;
	while (status == TIDE_OK && goes_on && done < count) {
		if (events[done]->position % 3 == 0)
			status = react(recorder->self, events[done], delivery);
		goes_on = tide_delivery_go_on(delivery, ++done);
	}
	recorder->batches += count > 1;
	tide_delivery_take(delivery, done, 0);
	return status;
}

static void reactions_of_events_handled_together_follow_each_its_own(struct fixture *f)
{
	append_many(f->store, stream_of("Order", 1), 0, 30);
	struct reactor reactor = { .fixture = f };
	RECORDER *recorder = recorder_new();
	struct tide_subscriber subscriber = reacting_subscriber(recorder, &reactor, NULL);
	struct tide_subscription_config config = quick_config();
	subscriber.handle_together = react_together;
	run_to_the_end(f, &subscriber, &config);
	assert_true(recorder->batches > 0);
	SEEN all = see(f->store, NULL);
	SEEN echoes = see_echoes(f);
	assert_int_equal(echoes.count, 10);
	for (size_t i = 0; i < 10; i++)
		follows(echoes.events[i], all.events[3 * i + 2]);
	assert_int_equal(row_of(f, "p").events_processed, 30);
}

/* ---- Rebuilds and owners --------------------------------------------------------------------- */

static void events_before_a_rebuild_append_nothing(struct fixture *f)
{
	append_many(f->store, stream_of("Order", 1), 0, 10);
	struct reactor reactor = { .fixture = f };
	RECORDER *recorder = recorder_new();
	struct tide_subscriber subscriber = reacting_subscriber(recorder, &reactor, judge_reacting);
	struct tide_subscription_config config = quick_config();
	subscriber.appends_after = 6;
	run_to_the_end(f, &subscriber, &config);
	assert_int_equal(reactor.appended, 10);
	SEEN all = see(f->store, NULL);
	assert_int_equal(all.count, 14);
	for (size_t i = 0; i < 4; i++)
		follows(all.events[10 + i], all.events[6 + i]);
	assert_int_equal(reactor.stored_before, 0);
}

static void build_that_never_appends_may_have_any_database(struct fixture *f)
{
	append_many(f->store, stream_of("Order", 1), 0, 3);
	struct reactor reactor = { .fixture = f, .result = { .version = 9 } };
	RECORDER *recorder = recorder_new();
	struct tide_subscriber subscriber = reacting_subscriber(recorder, &reactor, judge_reacting);
	struct tide_subscription_config config = quick_config();
	struct tide_checkpoints *elsewhere;
	struct tide_manager *manager;
	char url[2 * TEMP_PATH_SIZE];
	snprintf(url, sizeof url, "sqlite:%s/build.db", f->directory);
	subscriber.appends_after = INT64_MAX;
	must(tide_checkpoints_open(url, TIDE_STORE_OPTIONS(.initialize = true), f->store,
				   &elsewhere, err));
	must(tide_manager_open(TIDE_MANAGER(.store = f->store, .checkpoints = elsewhere), &manager,
			       err));
	struct tide_subscription *subscription = subscribe(manager, &subscriber, &config);
	start(manager);
	catch_up(f->store, subscription);
	tide_manager_close(manager);
	tide_checkpoints_close(elsewhere);
	delivered(recorder, 1, 2, 3);
	assert_int_equal(reactor.appended, 3);
	assert_int_equal(reactor.result.version, 0);
	assert_int_equal(end_of(f->store), 3);
}

static void owner_that_is_fenced_appends_nothing(struct fixture *f)
{
	struct reactor reactor = { .fixture = f };
	RECORDER *recorder = recorder_new();
	struct tide_subscriber subscriber = reacting_subscriber(recorder, &reactor, judge_reacting);
	struct tide_subscription_config config = quick_config();
	config.start_from = TIDE_START_CHECKPOINT;
	append_many(f->store, stream_of("Order", 1), 0, 5);
	MANAGER *manager = manager_of(f->store);
	struct tide_subscription *subscription = subscribe(manager, &subscriber, &config);
	start(manager);
	wait_for(30, stored_position(f, "p") >= 5);
	must(tide_checkpoints_release(f->checkpoints, "p", err));
	append_many(f->store, stream_of("Order", 1), 5, 5);
	wait_for(30, status_of(subscription).state == TIDE_STATE_ERROR ||
			     stored_position(f, "p") >= 15);
	tide_position position = stored_position(f, "p");
	SEEN fed = see(f->store, &(struct tide_query){ .event_types = counted });
	size_t handled = 0;
	while (handled < fed.count && fed.events[handled]->position <= position)
		handled++;
	SEEN echoes = see_echoes(f);
	assert_int_equal(echoes.count, handled);
}

/* ---- Side by side ---------------------------------------------------------------------------- */

/** Four subscriptions that append to the same streams. */
static void reactions_to_one_stream_wait_for_each_other(struct fixture *f)
{
	enum { MANY = 4, EVENTS = 25 };
	struct reactor reactors[MANY];
	struct recorder *recorders[MANY];
	static const char *const names[MANY] = { "a", "b", "c", "d" };
	struct tide_subscription_config config = quick_config();
	append_many(f->store, stream_of("Order", 1), 0, EVENTS);
	MANAGER *manager = manager_of(f->store);
	for (size_t i = 0; i < MANY; i++) {
		recorders[i] = recorder_new();
		reactors[i] = (struct reactor){ .fixture = f };
		struct tide_subscriber subscriber =
			reacting_subscriber(recorders[i], &reactors[i], judge_reacting);
		subscriber.name = names[i];
		subscribe(manager, &subscriber, &config);
	}
	start(manager);
	for (size_t i = 0; i < MANY; i++)
		wait_for(60, stored_position(f, names[i]) >= EVENTS);
	stop(manager);
	for (size_t i = 0; i < MANY; i++)
		recorder_free(recorders[i]);
	SEEN echoes = see_echoes(f);
	assert_int_equal(echoes.count, (size_t)MANY * EVENTS);
	for (size_t i = 0; i < echoes.count; i++)
		assert_int_equal(echoes.events[i]->version, i + 1);
}

const struct test_case reaction_cases[] = {
	CASE(who_was_not_registered_for_it_appends_nothing),
	CASE(who_cannot_append_is_told_at_once),
	CASE(build_that_never_appends_may_have_any_database),
	CASE(who_keeps_his_checkpoint_elsewhere_cannot_append),
	CASE_NEEDS(reaction_follows_the_event_that_is_handled, NEEDS_TRANSACTIONS),
	CASE_NEEDS(what_a_reaction_says_itself_stands, NEEDS_TRANSACTIONS),
	CASE_NEEDS(several_streams_are_appended_to_at_once_with_expectations, NEEDS_TRANSACTIONS),
	CASE_NEEDS(conflict_leaves_nothing_and_is_the_handlers_to_judge, NEEDS_TRANSACTIONS),
	CASE_NEEDS(conflict_that_a_handler_returns_is_tried_again, NEEDS_TRANSACTIONS),
	CASE_NEEDS(what_is_refused_leaves_the_transaction_whole, NEEDS_TRANSACTIONS),
	CASE_NEEDS(attempts_that_fail_append_nothing, NEEDS_TRANSACTIONS),
	CASE_NEEDS(event_that_comes_again_brings_the_same_ids, NEEDS_TRANSACTIONS),
	CASE_NEEDS(partition_is_no_part_of_the_name_in_ids, NEEDS_TRANSACTIONS),
	CASE_NEEDS(lane_is_no_part_of_the_name_in_ids, NEEDS_TRANSACTIONS),
	CASE_NEEDS(reaction_is_seen_with_the_commit_which_comes_behind_its_event,
		   NEEDS_TRANSACTIONS | NEEDS_SHARED),
	CASE_NEEDS(others_hear_of_a_reaction_when_it_is_committed, NEEDS_TRANSACTIONS),
	CASE_NEEDS(subscription_that_reads_its_own_reactions_goes_on, NEEDS_TRANSACTIONS),
	CASE_NEEDS(reactions_of_events_handled_together_follow_each_its_own, NEEDS_TRANSACTIONS),
	CASE_NEEDS(events_before_a_rebuild_append_nothing, NEEDS_TRANSACTIONS),
	CASE_NEEDS(owner_that_is_fenced_appends_nothing, NEEDS_TRANSACTIONS),
	CASE_NEEDS(reactions_to_one_stream_wait_for_each_other, NEEDS_TRANSACTIONS),
	CASES_END,
};
