/* SPDX-License-Identifier: Apache-2.0 */
/* The bus: order, failures, changes during dispatch, the background, threads. */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tidemark/tidemark.h>

#include "lib/build.h"
#include "lib/must.h"
#include "lib/wait.h"
#include "sys/alloc.h"
#include "sys/thread.h"

static void bus_cleanup(struct tide_bus **bus)
{
	tide_bus_close(*bus);
}
#define BUS __attribute__((cleanup(bus_cleanup))) struct tide_bus

static struct tide_bus *bus_new(void)
{
	struct tide_bus *bus;
	must(tide_bus_open(&bus, err));
	return bus;
}

static struct tide_event event_named(const char *type, tide_position position)
{
	return (struct tide_event){ .position = position,
				    .event_version = 1,
				    .event_id = tide_uuid_v7(),
				    .aggregate_id = tide_uuid_v4(),
				    .event_type = tide_text(type),
				    .aggregate_type = tide_text("Order"),
				    .metadata = tide_text("{}"),
				    .payload = tide_text("{}") };
}

static void publish(struct tide_bus *bus, const char *type)
{
	struct tide_event event = event_named(type, 0);
	const struct tide_event *events[] = { &event };
	must(tide_bus_publish(bus, events, 1, err));
}

/** What was called, as letters. */
struct trace {
	char text[64];
	char letter;
	struct trace *into;
	tide_status answer;
};

static tide_status trace_letter(void *self, const struct tide_event *event)
{
	struct trace *trace = self;
	size_t size = strlen(trace->into->text);
	(void)event;
	assert_true(size + 1 < sizeof trace->into->text);
	trace->into->text[size] = trace->letter;
	return trace->answer;
}

static tide_status count_event(void *self, const struct tide_event *event)
{
	(void)event;
	atomic_fetch_add((atomic_int *)self, 1);
	return TIDE_OK;
}

static void handlers_of_the_type_run_in_order_then_the_wildcards(void **state)
{
	(void)state;
	BUS *bus = bus_new();
	struct trace all = { 0 };
	struct trace a = { .letter = 'a', .into = &all }, b = { .letter = 'b', .into = &all };
	struct trace w = { .letter = 'w', .into = &all }, x = { .letter = 'x', .into = &all };
	must(tide_bus_subscribe_all(bus, trace_letter, &w, err));
	must(tide_bus_subscribe(bus, "OrderPlaced", trace_letter, &a, err));
	must(tide_bus_subscribe(bus, "OrderShipped", trace_letter, &x, err));
	must(tide_bus_subscribe(bus, "OrderPlaced", trace_letter, &b, err));
	must(tide_bus_subscribe(bus, "OrderPlaced", trace_letter, &a, err));
	publish(bus, "OrderPlaced");
	publish(bus, "OrderShipped");
	publish(bus, "OrderPlacedTwice");
	assert_string_equal(all.text, "abawxww");
	assert_int_equal(tide_bus_handler_count(bus, "OrderPlaced"), 3);
	assert_int_equal(tide_bus_handler_count(bus, NULL), 1);
}

static void a_failing_handler_is_counted_and_the_others_run(void **state)
{
	(void)state;
	BUS *bus = bus_new();
	struct trace all = { 0 };
	struct trace bad = { .letter = 'b', .into = &all, .answer = TIDE_IO };
	struct trace good = { .letter = 'g', .into = &all };
	must(tide_bus_subscribe(bus, "A", trace_letter, &bad, err));
	must(tide_bus_subscribe(bus, "A", trace_letter, &good, err));
	publish(bus, "A");
	publish(bus, "Nobody");
	assert_string_equal(all.text, "bg");
	struct tide_bus_stats stats = tide_bus_stats(bus);
	assert_int_equal(stats.events_published, 2);
	assert_int_equal(stats.handlers_invoked, 1);
	assert_int_equal(stats.handler_errors, 1);
	assert_int_equal(stats.background_tasks_created, 0);
}

static void unsubscribing_removes_the_first_match_and_says_whether_there_was_one(void **state)
{
	(void)state;
	BUS *bus = bus_new();
	atomic_int one = 0, two = 0;
	must(tide_bus_subscribe(bus, "A", count_event, &one, err));
	must(tide_bus_subscribe(bus, "A", count_event, &one, err));
	must(tide_bus_subscribe_all(bus, count_event, &two, err));
	assert_true(tide_bus_unsubscribe(bus, "A", count_event, &one));
	assert_false(tide_bus_unsubscribe(bus, "A", count_event, &two));
	assert_false(tide_bus_unsubscribe(bus, "B", count_event, &one));
	assert_false(tide_bus_unsubscribe_all(bus, count_event, &one));
	publish(bus, "A");
	assert_int_equal(one, 1);
	assert_true(tide_bus_unsubscribe_all(bus, count_event, &two));
	tide_bus_clear(bus);
	publish(bus, "A");
	assert_int_equal(one, 1);
	assert_int_equal(two, 1);
}

/** A handler that changes registrations and publishes while it is called. */
struct meddler {
	struct tide_bus *bus;
	atomic_int late, nested;
	int calls;
};

static tide_status meddle(void *self, const struct tide_event *event)
{
	struct meddler *meddler = self;
	(void)event;
	if (meddler->calls++ > 0)
		return TIDE_OK;
	must(tide_bus_subscribe(meddler->bus, "A", count_event, &meddler->late, err));
	assert_true(tide_bus_unsubscribe(meddler->bus, "A", meddle, meddler));
	publish(meddler->bus, "Nested");
	return TIDE_OK;
}

static tide_status publish_nested(void *self, const struct tide_event *event)
{
	struct meddler *meddler = self;
	const struct tide_event *events[] = { event };
	must(tide_bus_publish(meddler->bus, events, 1, err));
	return TIDE_OK;
}

static void a_handler_may_publish_and_change_registrations_for_later_events(void **state)
{
	(void)state;
	BUS *bus = bus_new();
	struct meddler meddler = { .bus = bus };
	must(tide_bus_subscribe(bus, "A", meddle, &meddler, err));
	must(tide_bus_subscribe(bus, "Nested", count_event, &meddler.nested, err));
	struct tide_event a = event_named("A", 1), b = event_named("A", 2);
	const struct tide_event *events[] = { &a, &b };
	must(tide_bus_publish(bus, events, 2, err));
	assert_int_equal(meddler.calls, 1);
	assert_int_equal(meddler.late, 1);
	assert_int_equal(meddler.nested, 1);
}

static void bad_arguments_are_refused_and_nothing_is_a_success(void **state)
{
	(void)state;
	BUS *bus = bus_new();
	struct tide_error why;
	refused(TIDE_ARGUMENT, tide_bus_subscribe(bus, "A", NULL, NULL, err));
	refused(TIDE_ARGUMENT, tide_bus_subscribe_all(bus, NULL, NULL, err));
	why = refused(TIDE_ARGUMENT, tide_bus_subscribe(bus, "not a name", count_event, NULL, err));
	must_mention(&why, "not a name");
	refused(TIDE_ARGUMENT, tide_bus_publish(bus, NULL, 1, err));
	must(tide_bus_publish(bus, NULL, 0, err));
	must(tide_bus_publish_background(bus, NULL, 0, err));
	struct tide_bus_stats stats = tide_bus_stats(bus);
	assert_int_equal(stats.events_published + stats.background_tasks_created, 0);
}

/** Positions in the order in which they came. */
struct sequence {
	atomic_int next;
	atomic_bool is_disturbed;
};

static tide_status expect_next(void *self, const struct tide_event *event)
{
	struct sequence *sequence = self;
	if (atomic_fetch_add(&sequence->next, 1) + 1 != event->position)
		atomic_store(&sequence->is_disturbed, true);
	return TIDE_OK;
}

static void background_publishing_keeps_the_order_of_a_call(void **state)
{
	(void)state;
	BUS *bus = bus_new();
	struct sequence sequence = { 0 };
	must(tide_bus_subscribe_all(bus, expect_next, &sequence, err));
	struct tide_event stored[100];
	const struct tide_event *events[100];
	for (int i = 0; i < 100; i++) {
		stored[i] = event_named("A", i + 1);
		events[i] = &stored[i];
	}
	must(tide_bus_publish_background(bus, events, 100, err));
	memset(stored, 0, sizeof stored); /* they were copied */
	wait_for(10, tide_bus_stats(bus).background_tasks_completed == 1);
	assert_int_equal(sequence.next, 100);
	assert_false(sequence.is_disturbed);
}

/** A handler that is held until the test lets it go. */
struct gate {
	atomic_bool is_open;
	atomic_int waiting, passed;
	_Atomic(unsigned long) inline_calls;
};
static _Thread_local bool is_test_thread;

static tide_status pass_gate(void *self, const struct tide_event *event)
{
	struct gate *gate = self;
	(void)event;
	if (is_test_thread) {
		atomic_fetch_add(&gate->inline_calls, 1);
		return TIDE_OK;
	}
	atomic_fetch_add(&gate->waiting, 1);
	while (!atomic_load(&gate->is_open))
		wait_a_moment();
	atomic_fetch_add(&gate->passed, 1);
	return TIDE_OK;
}

static void publish_background(struct tide_bus *bus, int times)
{
	struct tide_event event = event_named("A", 0);
	const struct tide_event *events[] = { &event };
	for (int i = 0; i < times; i++)
		must(tide_bus_publish_background(bus, events, 1, err));
}

static void beyond_a_thousand_waiting_calls_publishing_runs_inline(void **state)
{
	(void)state;
	BUS *bus = bus_new();
	struct gate gate = { 0 };
	is_test_thread = true;
	must(tide_bus_subscribe(bus, "A", pass_gate, &gate, err));
	publish_background(bus, 1);
	wait_for(10, atomic_load(&gate.waiting) == 1);
	publish_background(bus, 1000);
	assert_int_equal(gate.inline_calls, 0);
	publish_background(bus, 7);
	assert_int_equal(gate.inline_calls, 7);
	atomic_store(&gate.is_open, true);
	wait_for(10, tide_bus_stats(bus).background_tasks_completed == 1008);
	assert_int_equal(gate.passed, 1001);
	assert_int_equal(tide_bus_stats(bus).background_tasks_created, 1008);
}

static void shutdown_refuses_waits_and_counts_what_it_discards(void **state)
{
	(void)state;
	BUS *bus = bus_new();
	struct gate gate = { 0 };
	int64_t discarded = -1;
	must(tide_bus_subscribe(bus, "A", pass_gate, &gate, err));
	is_test_thread = false;
	publish_background(bus, 1);
	wait_for(10, atomic_load(&gate.waiting) == 1);
	publish_background(bus, 5);
	must(tide_bus_shutdown(bus, 0.01, &discarded, err));
	assert_int_equal(discarded, 5);
	struct tide_event event = event_named("A", 0);
	const struct tide_event *events[] = { &event };
	refused(TIDE_SHUTTING_DOWN, tide_bus_publish(bus, events, 1, err));
	refused(TIDE_SHUTTING_DOWN, tide_bus_publish_background(bus, events, 1, err));
	atomic_store(&gate.is_open, true);
	must(tide_bus_shutdown(bus, -1, &discarded, err));
	assert_int_equal(discarded, 0);
	assert_int_equal(gate.passed, 1);
}

/** A handler that tries to shut the bus down that calls it. */
struct closer {
	struct tide_bus *bus;
	int calls;
};

static tide_status shut_down(void *self, const struct tide_event *event)
{
	struct closer *closer = self;
	(void)event;
	closer->calls++;
	refused(TIDE_DEADLOCK, tide_bus_shutdown(closer->bus, 1, NULL, err));
	return TIDE_OK;
}

static void a_handler_cannot_shut_its_bus_down(void **state)
{
	(void)state;
	BUS *bus = bus_new();
	struct closer closer = { .bus = bus };
	must(tide_bus_subscribe(bus, "A", shut_down, &closer, err));
	publish(bus, "A");
	publish(bus, "A"); /* what was refused has shut nothing */
	assert_int_equal(closer.calls, 2);

	/* nor may it where it is called in the background, or from a handler of another bus */
	BUS *outer = bus_new();
	struct meddler nested = { .bus = bus };
	must(tide_bus_subscribe(outer, "A", publish_nested, &nested, err));
	publish(outer, "A");
	assert_int_equal(closer.calls, 3);
	publish_background(bus, 1);
	wait_for(10, tide_bus_stats(bus).background_tasks_completed == 1);
	assert_int_equal(closer.calls, 4);

	must(tide_bus_shutdown(bus, 1, NULL, err));
	struct tide_event event = event_named("A", 0);
	const struct tide_event *events[] = { &event };
	refused(TIDE_SHUTTING_DOWN, tide_bus_publish(bus, events, 1, err));
	assert_int_equal(closer.calls, 4);
}

static void ring_bell(void *self)
{
	atomic_fetch_add((atomic_int *)self, 1);
}

static void the_bell_rings_once_a_publish_until_it_is_taken_away(void **state)
{
	(void)state;
	BUS *bus = bus_new();
	atomic_int rings = 0;
	tide_bus_set_bell(bus, ring_bell, &rings);
	struct tide_event event = event_named("A", 0);
	const struct tide_event *events[] = { &event, &event, &event };
	must(tide_bus_publish(bus, events, 3, err));
	assert_int_equal(rings, 1);
	tide_bus_set_bell(bus, NULL, NULL);
	must(tide_bus_publish(bus, events, 3, err));
	assert_int_equal(rings, 1);
}

static tide_status pass(void *self, const struct tide_event *event, struct tide_delivery *delivery)
{
	(void)self;
	(void)event;
	(void)delivery;
	return TIDE_OK;
}

/* A manager on a bus, with one live subscription. */
static struct tide_manager *manager_on(struct tide_bus *bus, struct tide_store *store,
				       const char *name)
{
	struct tide_manager *manager;
	struct tide_subscriber subscriber = { .name = name, .handle = pass };
	must(tide_manager_open(TIDE_MANAGER(.store = store, .bus = bus), &manager, err));
	must(tide_manager_subscribe(manager, &subscriber, NULL, NULL, err));
	must(tide_manager_start(manager, NULL, 10, NULL, NULL, err));
	return manager;
}

/* How many wake-ups of the bus a manager's subscription has taken. */
static int woken(struct tide_manager *manager, const char *name)
{
	char sample[128], *text;
	snprintf(sample, sizeof sample,
		 "tidemark_wakeups_total{subscription=\"%s\",source=\"bus\"} ", name);
	must(tide_manager_metrics(manager, &text, err));
	const char *found = strstr(text, sample);
	assert_non_null(found);
	int count = atoi(found + strlen(sample));
	tide_free(text);
	return count;
}

static void a_bus_wakes_each_of_its_managers(void **state)
{
	(void)state;
	BUS *bus = bus_new();
	struct tide_store *stores[2]; /* two, since the bell of a store wakes everybody on it */
	atomic_int rings = 0;
	for (int i = 0; i < 2; i++)
		must(tide_store_open("memory:", NULL, &stores[i], err));
	struct tide_manager *first = manager_on(bus, stores[0], "First"),
			    *second = manager_on(bus, stores[1], "Second");
	tide_bus_set_bell(bus, ring_bell, &rings);
	publish(bus, "A");
	wait_for(10, woken(first, "First") == 1 && woken(second, "Second") == 1);
	assert_int_equal(rings, 1);
	tide_manager_close(second);
	tide_bus_set_bell(bus, NULL, NULL);
	publish(bus, "A");
	wait_for(10, woken(first, "First") == 2);
	assert_int_equal(rings, 1);
	tide_manager_close(first);
	publish(bus, "A");
	for (int i = 0; i < 2; i++)
		tide_store_close(stores[i]);
}

/** Who publishes until he is told to stop. */
struct publisher {
	struct tide_bus *bus;
	atomic_bool is_done;
};

static void publish_on(void *self)
{
	struct publisher *publisher = self;
	while (!atomic_load(&publisher->is_done))
		publish(publisher->bus, "A");
}

static void managers_come_and_go_while_their_bus_is_rung(void **state)
{
	(void)state;
	BUS *bus = bus_new();
	struct tide_store *stores[3]; /* one each: only the bus wakes them */
	struct publisher publisher = { .bus = bus };
	struct thread threads[2];
	for (int i = 0; i < 3; i++)
		must(tide_store_open("memory:", NULL, &stores[i], err));
	struct tide_manager *stays = manager_on(bus, stores[2], "Stays");
	for (int i = 0; i < 2; i++)
		must(thread_start(&threads[i], "publishes", publish_on, &publisher, err));

	for (int i = 0; i < 10; i++) {
		struct tide_manager *first = manager_on(bus, stores[0], "First"),
				    *second = manager_on(bus, stores[1], "Second");
		wait_for(10, woken(first, "First") > 0 && woken(second, "Second") > 0);
		tide_manager_close(first);
		int before = woken(second, "Second"), stayed = woken(stays, "Stays");
		wait_for(10, woken(second, "Second") > before && woken(stays, "Stays") > stayed);
		tide_manager_close(second);
	}

	atomic_store(&publisher.is_done, true);
	for (int i = 0; i < 2; i++)
		thread_join(&threads[i]);
	tide_manager_close(stays);
	for (int i = 0; i < 3; i++)
		tide_store_close(stores[i]);
}

/** A bell that is slow enough to be taken away while it is rung. */
struct slow_bell {
	atomic_int rings;
	atomic_bool is_taken_away, was_rung_late;
};

static void ring_slowly(void *self)
{
	struct slow_bell *bell = self;
	atomic_fetch_add(&bell->rings, 1);
	wait_a_moment();
	if (atomic_load(&bell->is_taken_away))
		atomic_store(&bell->was_rung_late, true);
}

static void a_bell_is_not_rung_any_more_when_taking_it_away_has_returned(void **state)
{
	(void)state;
	BUS *bus = bus_new();
	struct publisher publisher = { .bus = bus };
	struct thread threads[2];
	for (int i = 0; i < 2; i++)
		must(thread_start(&threads[i], "publishes", publish_on, &publisher, err));

	static struct slow_bell bells[20];
	for (int i = 0; i < 20; i++) {
		tide_bus_set_bell(bus, ring_slowly, &bells[i]);
		wait_for(10, atomic_load(&bells[i].rings) > 0);
		tide_bus_set_bell(bus, NULL, NULL);
		atomic_store(&bells[i].is_taken_away, true);
	}

	atomic_store(&publisher.is_done, true);
	for (int i = 0; i < 2; i++)
		thread_join(&threads[i]);
	for (int i = 0; i < 20; i++)
		assert_false(bells[i].was_rung_late);
}

#define CROWD 8
#define CROWD_EVENTS 500

struct crowd {
	struct tide_bus *bus;
	atomic_int seen, own[CROWD];
};

static void crowd_member(void *self, size_t index)
{
	struct crowd *crowd = self;
	struct tide_event event = event_named("A", 1);
	const struct tide_event *events[] = { &event };
	for (int i = 0; i < CROWD_EVENTS; i++) {
		must(tide_bus_subscribe(crowd->bus, "A", count_event, &crowd->own[index], err));
		if (i % 2)
			must(tide_bus_publish(crowd->bus, events, 1, err));
		else
			must(tide_bus_publish_background(crowd->bus, events, 1, err));
		assert_true(tide_bus_unsubscribe(crowd->bus, "A", count_event, &crowd->own[index]));
	}
}

static void threads_publish_and_change_registrations_at_once_without_losing_an_event(void **state)
{
	(void)state;
	BUS *bus = bus_new();
	struct crowd crowd = { .bus = bus };
	must(tide_bus_subscribe_all(bus, count_event, &crowd.seen, err));
	race_to(CROWD, crowd_member, &crowd);
	must(tide_bus_shutdown(bus, 30, NULL, err));
	assert_int_equal(crowd.seen, CROWD * CROWD_EVENTS);
	struct tide_bus_stats stats = tide_bus_stats(bus);
	int invoked = crowd.seen;
	for (size_t i = 0; i < CROWD; i++) {
		assert_true(crowd.own[i] >= CROWD_EVENTS / 2);
		invoked += crowd.own[i];
	}
	assert_int_equal(stats.events_published, CROWD * CROWD_EVENTS);
	assert_int_equal(stats.handlers_invoked, invoked);
	assert_int_equal(stats.background_tasks_created, stats.background_tasks_completed);
	assert_int_equal(tide_bus_handler_count(bus, "A"), 0);
}

static void every_failed_allocation_is_survived(void **state)
{
	(void)state;
	BUS *bus = bus_new();
	atomic_int seen = 0;
	must(tide_bus_subscribe_all(bus, count_event, &seen, err));
	struct tide_event event = event_named("A", 0);
	const struct tide_event *events[] = { &event };
	int published = 0;
	tide_status status = TIDE_OUT_OF_MEMORY;
	for (int64_t nth = 1; status != TIDE_OK; nth++) {
		atomic_int unused = 0;
		alloc_fail_from(nth);
		tide_status subscribed = tide_bus_subscribe(bus, "B", count_event, &unused, NULL);
		bool was_there = tide_bus_unsubscribe(bus, "B", count_event, &unused);
		status = tide_bus_publish_background(bus, events, 1, NULL);
		alloc_fail_from(0);
		assert_true(was_there == (subscribed == TIDE_OK));
		assert_int_equal(tide_bus_handler_count(bus, "B"), 0);
		published += status == TIDE_OK;
	}
	must(tide_bus_shutdown(bus, 30, NULL, err));
	assert_int_equal(seen, published);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(handlers_of_the_type_run_in_order_then_the_wildcards),
		cmocka_unit_test(a_failing_handler_is_counted_and_the_others_run),
		cmocka_unit_test(
			unsubscribing_removes_the_first_match_and_says_whether_there_was_one),
		cmocka_unit_test(a_handler_may_publish_and_change_registrations_for_later_events),
		cmocka_unit_test(bad_arguments_are_refused_and_nothing_is_a_success),
		cmocka_unit_test(background_publishing_keeps_the_order_of_a_call),
		cmocka_unit_test(beyond_a_thousand_waiting_calls_publishing_runs_inline),
		cmocka_unit_test(shutdown_refuses_waits_and_counts_what_it_discards),
		cmocka_unit_test(a_handler_cannot_shut_its_bus_down),
		cmocka_unit_test(the_bell_rings_once_a_publish_until_it_is_taken_away),
		cmocka_unit_test(a_bus_wakes_each_of_its_managers),
		cmocka_unit_test(managers_come_and_go_while_their_bus_is_rung),
		cmocka_unit_test(a_bell_is_not_rung_any_more_when_taking_it_away_has_returned),
		cmocka_unit_test(
			threads_publish_and_change_registrations_at_once_without_losing_an_event),
		cmocka_unit_test(every_failed_allocation_is_survived),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
