/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Several subscriptions of one process in one history: what each is given is what it would have
 * read by itself, and what they need together is read about once. And a live one that is slow:
 * what has left the newest-event window comes from the store.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tidemark/backend.h>

#include "conformance/recorder.h"
#include "sys/random.h"

#define READERS 6
#define TYPES 5
#define STREAMS 40

static const char *const type_names[TYPES] = { "Alpha", "Beta", "Gamma", "Delta", "Epsilon" };

/** The value of a sample of the manager's metrics. */
static int64_t sample_of(struct tide_manager *manager, const char *name)
{
	char *text;
	must(tide_manager_metrics(manager, &text, err));
	const char *at = strstr(text, name);
	assert_non_null(at);
	long long value = atoll(at + strlen(name));
	tide_free(text);
	return value;
}

#define FROM_STORE "\ntidemark_feed_events_total{source=\"store\"} "
#define FROM_WINDOW "\ntidemark_feed_events_total{source=\"window\"} "

/** Nobody is let out of its first call before all are in it: none has the history for itself. */
struct gate {
	atomic_int inside;
	int expected;
};

static tide_status gate_judge(struct recorder *recorder, const struct tide_event *event,
			      struct tide_delivery *delivery)
{
	struct gate *gate = recorder->self;
	bool is_first = recorder->calls[0].position == event->position;
	(void)delivery;
	if (is_first && atomic_fetch_add(&gate->inside, 1) < gate->expected)
		wait_for(60, atomic_load(&gate->inside) >= gate->expected);
	return TIDE_OK;
}

/* ---- Once ------------------------------------------------------------------------------------ */

#define ONCE_EVENTS 6000

static void append_history(struct tide_store *store, unsigned count)
{
	for (unsigned i = 0; i < count; i += 10)
		append_many(store, stream_of("Order", i / 10 % 300), i, 10);
}

/* So many subscriptions over one history, or so many lanes of one. */
static void read_about_once(struct fixture *f, int count, bool are_lanes)
{
	append_history(f->store, ONCE_EVENTS);
	struct recorder *recorders[8];
	struct tide_subscription *subscriptions[8];
	struct gate gate = { .expected = count };
	MANAGER *manager = manager_of(f->store);
	for (int i = 0; i < count; i++) {
		char name[16];
		snprintf(name, sizeof name, "reader%d", i);
		recorders[i] = recorder_new();
		recorders[i]->judge = gate_judge;
		recorders[i]->self = &gate;
		struct tide_subscription_config config = quick_config();
		config.max_in_flight = config.batch_size = 50;
		if (are_lanes) {
			config.partition_index = (uint32_t)i;
			config.partition_total = (uint32_t)count;
		}
		struct tide_subscriber subscriber =
			subscriber_of(are_lanes ? "lane" : name, recorders[i]);
		subscriptions[i] = subscribe(manager, &subscriber, &config);
	}

	must(tide_manager_start(manager, NULL, 0, NULL, NULL, err));
	size_t delivered = 0;
	for (int i = 0; i < count; i++) {
		catch_up(f->store, subscriptions[i]);
		delivered += recorder_count(recorders[i]);
	}
	int64_t read = sample_of(manager, FROM_STORE);
	stop(manager);

	assert_int_equal(delivered, are_lanes ? ONCE_EVENTS : ONCE_EVENTS * count);
	for (int i = 0; i < count; i++) {
		if (!are_lanes)
			delivered_all_after(recorders[i], f->store, 0);
		recorder_free(recorders[i]);
	}
	if (read > ONCE_EVENTS * 13 / 10)
		fail_msg("%lld events were read for a history of %d", (long long)read, ONCE_EVENTS);
}

static void subscriptions_that_are_close_together_read_a_history_once(struct fixture *f)
{
	read_about_once(f, 5, false);
}

static void lanes_of_one_process_read_a_history_once(struct fixture *f)
{
	read_about_once(f, 8, true);
}

/* ---- The same -------------------------------------------------------------------------------- */

/** One subscription of a seed, and what it must be given. */
struct reader {
	struct recorder *recorder;
	struct tide_subscription *subscription;
	struct tide_filter filter;
	const char *types[TYPES + 1];
	const char *patterns[2], *aggregates[2];
	tide_position from;
	tide_position wanted[RECORDER_MAX];
	size_t count, passed;
};

static void append_mixture(struct tide_store *store, struct random *random, unsigned count)
{
	struct tide_new_event events[25];
	for (unsigned done = 0; done < count; done += 25) {
		unsigned stream = (unsigned)(random_next(random) % STREAMS);
		for (unsigned i = 0; i < 25; i++)
			events[i] = event_of(type_names[random_next(random) % TYPES], i);
		must(tide_store_append(store,
				       APPEND(stream_of(stream % 3 ? "Order" : "Account", stream),
					      TIDE_ANY, events),
				       NULL, err));
	}
}

static unsigned below(struct random *random, unsigned limit)
{
	return (unsigned)(random_next(random) % limit);
}

static void draw_filter(struct reader *reader, struct random *random,
			struct tide_subscription_config *config)
{
	size_t types = 0;
	for (size_t i = 0; i < TYPES && below(random, 2); i++)
		reader->types[types++] = type_names[i];
	if (below(random, 4) == 0)
		reader->patterns[0] = "*[aA]";
	if (below(random, 4) == 0)
		reader->aggregates[0] = "Order";
	reader->filter.event_types = config->event_types = reader->types;
	if (reader->patterns[0])
		reader->filter.patterns = config->event_type_patterns = reader->patterns;
	reader->filter.aggregate_types = config->aggregate_types = reader->aggregates;
	if (below(random, 3) == 0) {
		reader->filter.partition_total = config->partition_total = 1 + below(random, 5);
		reader->filter.partition_index = config->partition_index =
			below(random, config->partition_total);
	}
}

static struct tide_subscription_config draw_config(struct random *random)
{
	struct tide_subscription_config config = quick_config();
	config.batch_size = 1 + (int64_t)below(random, 300);
	config.max_in_flight = 1 + (int64_t)below(random, 600);
	config.max_batch_bytes = below(random, 3) ? 16 << 20 : 2000 + (int64_t)below(random, 90000);
	config.checkpoint_strategy = below(random, 2) ? TIDE_EVERY_BATCH : TIDE_PERIODIC;
	return config;
}

/* What is behind its start, as one read without a window has it. */
static void expect(struct reader *reader, const struct seen *all)
{
	for (size_t i = 0; i < all->count; i++) {
		const struct tide_event *event = all->events[i];
		if (event->position <= reader->from)
			continue;
		if (tide_filter_matches(&reader->filter, event))
			reader->wanted[reader->count++] = event->position;
		else
			reader->passed++;
	}
}

static void draw_reader(struct reader *reader, struct fixture *f, struct tide_manager *manager,
			struct random *random, int number)
{
	char name[16];
	snprintf(name, sizeof name, "reader%d", number);
	struct tide_subscription_config config = draw_config(random);
	draw_filter(reader, random, &config);
	config.start_from = TIDE_START_POSITION;
	reader->from = config.start_position =
		below(random, 3) ? 0 : (tide_position)below(random, (unsigned)end_of(f->store));
	reader->recorder = recorder_new();
	struct tide_subscriber subscriber = below(random, 2)
						    ? subscriber_of(name, reader->recorder)
						    : batch_subscriber_of(name, reader->recorder);
	subscriber.transactional = f->quirks->has_transactions && below(random, 2);
	reader->subscription = subscribe(manager, &subscriber, &config);
}

static void disturb(struct tide_manager *manager, struct random *random,
		    struct reader readers[READERS])
{
	for (int i = 0; i < 30; i++) {
		const char *name =
			tide_subscription_name(readers[below(random, READERS)].subscription);
		if (below(random, 2))
			(void)tide_manager_pause(manager, name, TIDE_PAUSE_MANUAL);
		else
			(void)tide_manager_resume(manager, name);
		wait_a_moment();
	}
	for (int i = 0; i < READERS; i++)
		(void)tide_manager_resume(manager, tide_subscription_name(readers[i].subscription));
}

static void was_given_all(const struct reader *reader, uint64_t seed)
{
	const struct recorder *recorder = reader->recorder;
	struct tide_subscription_status status = status_of(reader->subscription);
	assert_int_equal(recorder->overlaps, 0);
	if (recorder->count != reader->count)
		fail_msg("seed %llu: '%s' was given %zu events of %zu", (unsigned long long)seed,
			 status.name, recorder->count, reader->count);
	for (size_t i = 0; i < reader->count; i++)
		if (recorder->calls[i].position != reader->wanted[i])
			fail_msg("seed %llu: '%s' was given %lld instead of %lld",
				 (unsigned long long)seed, status.name,
				 (long long)recorder->calls[i].position,
				 (long long)reader->wanted[i]);
	assert_int_equal(status.events_skipped, reader->passed);
	assert_int_equal(status.events_processed, reader->count);
}

static int64_t read_one_seed(struct fixture *f, uint64_t seed)
{
	struct random random;
	random_seed(&random, seed);
	struct reader *readers = calloc(READERS, sizeof *readers);
	struct tide_manager *manager = manager_of(f->store);
	SEEN all = see(f->store, NULL);
	for (int i = 0; i < READERS; i++) {
		draw_reader(&readers[i], f, manager, &random, i);
		expect(&readers[i], &all);
	}

	must(tide_manager_start(manager, NULL, 0, NULL, NULL, err));
	if (below(&random, 2))
		disturb(manager, &random, readers);
	for (int i = 0; i < READERS; i++)
		catch_up(f->store, readers[i].subscription);
	int64_t shared = sample_of(manager, FROM_WINDOW);
	for (int i = 0; i < READERS; i++)
		was_given_all(&readers[i], seed);
	stop(manager);
	tide_manager_close(manager);
	for (int i = 0; i < READERS; i++)
		recorder_free(readers[i].recorder);
	free(readers);
	return shared;
}

static void what_is_shared_is_what_each_would_have_read(struct fixture *f)
{
	struct random random;
	int64_t shared = 0;
	random_seed(&random, 1);
	append_mixture(f->store, &random, 3000);
	for (uint64_t seed = 1; seed <= 12; seed++)
		shared += read_one_seed(f, seed);
	assert_true(shared > 0);
}

/* ---- Rare ones ------------------------------------------------------------------------------- */

#define RARE_EVENTS 40000
#define RARE_SCANNED 20000 /* before it is known that they are rare, at most */

static void append_with_rare(struct tide_store *store, unsigned count)
{
	struct tide_new_event *events = calloc(1000, sizeof *events);
	for (unsigned done = 0; done < count; done += 1000) {
		for (unsigned i = 0; i < 1000; i++)
			events[i] = event_of((done + i) % 4001 == 4000 ? "Rare" : "Common", i);
		must(tide_store_append(
			store,
			&(const struct tide_append){ .stream = stream_of("Order", done / 1000),
						     .expected = TIDE_ANY,
						     .events = events,
						     .count = 1000 },
			NULL, err));
	}
	free(events);
}

/* A run to the end: how many events were read from the store for it. */
static int64_t read_rare(struct fixture *f, struct recorder *recorder, int64_t batch)
{
	const char *const types[] = { "Rare", "Never", NULL };
	tide_position end = end_of(f->store), before = 0;
	struct tide_checkpoint row;
	if (tide_checkpoints_load(f->checkpoints, "rare", &row, NULL) == TIDE_OK)
		before = row.position;
	struct tide_subscriber subscriber = subscriber_of("rare", recorder);
	struct tide_subscription_config config = quick_config();
	subscriber.event_types = types;
	config.start_from = TIDE_START_CHECKPOINT;
	config.batch_size = batch;
	MANAGER *manager = manager_of(f->store);
	struct tide_subscription *subscription = subscribe(manager, &subscriber, &config);
	start(manager);
	catch_up(f->store, subscription);
	int64_t read = sample_of(manager, FROM_STORE);
	struct tide_subscription_status status = status_of(subscription);
	stop(manager);
	assert_int_equal(status.events_skipped, end - before - status.events_processed);
	must(tide_checkpoints_load(f->checkpoints, "rare", &row, err));
	assert_int_equal(row.position, end);
	return read;
}

static void rare_ones_are_read_about_by_themselves(struct fixture *f)
{
	RECORDER *recorder = recorder_new();
	append_with_rare(f->store, RARE_EVENTS);
	int64_t read = read_rare(f, recorder, 100);
	assert_int_equal(recorder_count(recorder), RARE_EVENTS / 4001);
	assert_in_range(read, 0, f->quirks->leaps ? RARE_SCANNED + 100 : 2 * RARE_EVENTS);
	append_with_rare(f->store, RARE_EVENTS);
	(void)read_rare(f, recorder, 1);
	assert_int_equal(recorder_count(recorder), 2 * (RARE_EVENTS / 4001));
	for (unsigned i = 0; i < 2 * (RARE_EVENTS / 4001); i++) {
		unsigned half = i / (RARE_EVENTS / 4001), nth = i % (RARE_EVENTS / 4001);
		assert_int_equal(recorder->calls[i].position,
				 half * RARE_EVENTS + (nth + 1) * 4001);
	}
}

/* ---- A slow one among live ones -------------------------------------------------------------- */

/** Holds its first event until it is let go. */
struct holder {
	atomic_bool is_inside, may_go_on;
};

static tide_status holder_judge(struct recorder *recorder, const struct tide_event *event,
				struct tide_delivery *delivery)
{
	struct holder *holder = recorder->self;
	(void)event, (void)delivery;
	atomic_store(&holder->is_inside, true);
	while (!atomic_load(&holder->may_go_on))
		wait_a_moment();
	return TIDE_OK;
}

static void append_large(struct tide_store *store, unsigned number, size_t count, size_t size)
{
	char *payload = calloc(1, size + 1);
	struct tide_new_event *events = calloc(count, sizeof *events);
	memset(payload, 'x', size);
	payload[0] = payload[size - 1] = '"';
	for (size_t i = 0; i < count; i++)
		events[i] = (struct tide_new_event){ .event_type = "Large",
						     .payload = tide_text(payload) };
	must(tide_store_append(store,
			       &(const struct tide_append){ .stream = stream_of("Heap", number),
							    .expected = TIDE_ANY,
							    .events = events,
							    .count = count },
			       NULL, err));
	free(events);
	free(payload);
}

/* `times` appends of `count` events each, while one follows and another is held up. */
static void falls_out_of_the_window(struct fixture *f, unsigned times, size_t count, size_t size)
{
	RECORDER *quick = recorder_new();
	RECORDER *slow = recorder_new();
	struct holder holder = { .may_go_on = false };
	struct tide_subscriber subscribers[] = { subscriber_of("quick", quick),
						 subscriber_of("slow", slow) };
	slow->judge = holder_judge;
	slow->self = &holder;
	struct tide_subscription_config config = quick_config();
	config.batch_size = config.max_in_flight = 10;
	MANAGER *manager = manager_of(f->store);
	struct tide_subscription *first = subscribe(manager, &subscribers[0], &config);
	struct tide_subscription *second = subscribe(manager, &subscribers[1], &config);
	start(manager);
	append_large(f->store, 0, 1, 10);
	wait_for(60, atomic_load(&holder.is_inside));

	for (unsigned i = 1; i <= times; i++) {
		append_large(f->store, i, count, size);
		catch_up(f->store, first);
	}
	atomic_store(&holder.may_go_on, true);
	catch_up(f->store, second);
	stop(manager);
	delivered_all_after(quick, f->store, 0);
	delivered_all_after(slow, f->store, 0);
}

static void slow_one_loses_nothing_when_more_events_come_than_the_window_has(struct fixture *f)
{
	falls_out_of_the_window(f, 10, 500, 10);
}

static void slow_one_loses_nothing_when_more_bytes_come_than_the_window_has(struct fixture *f)
{
	falls_out_of_the_window(f, 10, 8, 256 << 10);
}

const struct test_case history_cases[] = {
	CASE(subscriptions_that_are_close_together_read_a_history_once),
	CASE(lanes_of_one_process_read_a_history_once),
	CASE(what_is_shared_is_what_each_would_have_read),
	CASE(rare_ones_are_read_about_by_themselves),
	CASE(slow_one_loses_nothing_when_more_events_come_than_the_window_has),
	CASE(slow_one_loses_nothing_when_more_bytes_come_than_the_window_has),
	CASES_END
};
