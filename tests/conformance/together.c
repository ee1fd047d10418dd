/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events handled together, and one by one: what can be seen of a run is the same, whichever way it
 * went. The one way is that of a SQL projection; the other is the same projection without
 * handle_together.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "conformance/recorder.h"
#include "lib/wish.h"

#define PAGE 50
#define EVENTS 60
#define GREAT_PAGE 1000

/* ---- The two ways ---------------------------------------------------------------------------- */

/** One projection, run both ways over tables of their own. */
struct ways {
	struct fixture *fixture;
	struct tide_subscription_config config;
	const char *poison;        /* SQL: which positions cannot be written */
	bool is_lean;              /* one statement and one row an event, not three and two */
	int number;                /* of the names */
	int64_t rows, differences; /* between the tables, when both have run */
};

static void name_of(const struct ways *ways, bool is_together, char ret[32])
{
	snprintf(ret, 32, "%s_%d", is_together ? "both" : "each", ways->number);
}

/* A row an event, and more: a second table makes a page of more than one statement an event. */
static struct tide_sql_projection *projection_of(const struct ways *ways, const char *name)
{
	struct tide_sql_projection *projection;
	char text[1400], more[600] = "";
	if (!ways->is_lean)
		snprintf(more, sizeof more,
			 "INSERT INTO sum_%s VALUES (CASE WHEN :global_position IN (%s) THEN NULL "
			 "ELSE 'all' END, 1) ON CONFLICT (kind) DO UPDATE SET events = "
			 "sum_%s.events + 1;\n"
			 "INSERT INTO %s VALUES (-:global_position, CASE WHEN :global_position IN "
			 "(%s) THEN NULL ELSE 'after' END);\n",
			 name, ways->poison, name, name, ways->poison);
	snprintf(text, sizeof text,
		 "-- init:\n"
		 "CREATE TABLE IF NOT EXISTS %s (position BIGINT, kind TEXT NOT NULL);\n"
		 "CREATE TABLE IF NOT EXISTS sum_%s (kind TEXT PRIMARY KEY, events BIGINT);\n"
		 "-- on: Counted\n"
		 "INSERT INTO %s VALUES (:global_position, CASE WHEN :global_position IN (%s) "
		 "THEN NULL ELSE :event_type END);\n"
		 "%s",
		 name, name, name, ways->is_lean ? ways->poison : "0", more);
	must(tide_sql_projection_open(TIDE_SQL_PROJECTION(.text = text, .name = name,
							  .path = "model.sql",
							  .url = ways->fixture->url),
				      &projection, err));
	return projection;
}

/* What metrics count of it, under a name that both have; times and wake-ups are of the machine. */
static char *counts_of(struct tide_manager *manager, const char *name)
{
	static const char *const of_time[] = { "_seconds_sum", "_seconds_bucket",
					       "wakeup",       "checkpoint",
					       "lag",          "_seconds_total",
					       "timestamp",    "uptime" };
	char *text, *next, label[64];
	must(tide_manager_metrics(manager, &text, err));
	char *kept = calloc(1, strlen(text) + 1);
	snprintf(label, sizeof label, "subscription=\"%s\"", name);
	for (char *line = strtok_r(text, "\n", &next); line; line = strtok_r(NULL, "\n", &next)) {
		char *at = strstr(line, label);
		bool is_kept = at != NULL;
		for (size_t i = 0; i < sizeof of_time / sizeof *of_time; i++)
			is_kept = is_kept && !strstr(line, of_time[i]);
		if (is_kept)
			sprintf(kept + strlen(kept), "%.*s%s\n", (int)(at - line), line,
				at + strlen(label));
	}
	tide_free(text);
	return kept;
}

/** The projection's own, whose calls are looked at. */
static struct {
	tide_status (*handle)(void *self, const struct tide_event *const *events, size_t count,
			      struct tide_delivery *delivery);
	size_t most;
} together;

static tide_status together_handle(void *self, const struct tide_event *const *events, size_t count,
				   struct tide_delivery *delivery)
{
	if (count > together.most)
		together.most = count;
	return together.handle(self, events, count, delivery);
}

/** What is left of one run. */
struct left {
	struct tide_subscription_status status;
	struct tide_checkpoint row;
	struct tide_dead_letter_list letters;
	char *counts;
};

static void left_free(struct left *left)
{
	tide_dead_letters_free(&left->letters);
	free(left->counts);
}

static struct left run_way(struct ways *ways, bool is_together)
{
	char name[32];
	name_of(ways, is_together, name);
	struct tide_sql_projection *projection = projection_of(ways, name);
	struct tide_subscriber subscriber = *tide_sql_projection_subscriber(projection);
	assert_non_null(subscriber.handle_together);
	together.handle = subscriber.handle_together;
	subscriber.handle_together = is_together ? together_handle : NULL;

	struct tide_manager *manager = manager_of(ways->fixture->store);
	struct tide_subscription *subscription = subscribe(manager, &subscriber, &ways->config);
	start(manager);
	catch_up(ways->fixture->store, subscription);
	stop(manager);
	struct left left = { .status = status_of(subscription),
			     .row = row_of(ways->fixture, name),
			     .letters = letters_of(ways->fixture, name),
			     .counts = counts_of(manager, name) };
	tide_manager_close(manager);
	tide_sql_projection_close(projection);
	return left;
}

/* ---- Comparing ------------------------------------------------------------------------------- */

static tide_status judge_tables(struct recorder *recorder, const struct tide_event *event,
				struct tide_delivery *delivery)
{
	struct ways *ways = recorder->self;
	const struct test_backend *backend = ways->fixture->backend;
	void *connection = tide_delivery_connection(delivery);
	char both[2][32], sql[400];
	(void)event;
	name_of(ways, true, both[0]);
	name_of(ways, false, both[1]);
	snprintf(sql, sizeof sql, "SELECT COUNT(*) FROM %s", both[0]);
	ways->rows = backend->ask(connection, sql);
	ways->differences = 0;
	for (int i = 0; i < 4; i++) {
		const char *prefix = i < 2 ? "" : "sum_";
		snprintf(sql, sizeof sql,
			 "SELECT COUNT(*) FROM (SELECT * FROM %s%s EXCEPT SELECT * FROM %s%s) d",
			 prefix, both[i % 2], prefix, both[1 - i % 2]);
		ways->differences += backend->ask(connection, sql);
	}
	for (int i = 0; i < 2; i++) {
		snprintf(sql, sizeof sql, "DROP TABLE %s; DROP TABLE sum_%s", both[i], both[i]);
		assert_true(backend->run(connection, sql));
	}
	return TIDE_OK;
}

/* With a subscription of its own: the way into the tables that every backend has. */
static void same_tables(struct ways *ways)
{
	RECORDER *recorder = recorder_new();
	struct tide_subscriber subscriber = subscriber_of("compare", recorder);
	recorder->judge = judge_tables;
	recorder->self = ways;
	subscriber.transactional = true;
	struct tide_subscription_config config = quick_config();
	config.start_from = TIDE_START_POSITION;
	config.start_position = end_of(ways->fixture->store) - 1;
	MANAGER *manager = manager_of(ways->fixture->store);
	struct tide_subscription *subscription = subscribe(manager, &subscriber, &config);
	start(manager);
	catch_up(ways->fixture->store, subscription);
	stop(manager);
	assert_int_equal(recorder_count(recorder), 1);
	assert_int_equal(ways->differences, 0);
}

/* But for the names of the tables. */
static void same_text(const char *a, const char *b)
{
	assert_int_equal(!a, !b);
	if (!a)
		return;
	char *other = strdup(b);
	for (char *at = other; (at = strstr(at, "each_")) != NULL;)
		memcpy(at, "both", 4);
	assert_string_equal(a, other);
	free(other);
}

static void same_letters(const struct tide_dead_letter_list *a,
			 const struct tide_dead_letter_list *b)
{
	assert_int_equal(a->count, b->count);
	for (size_t i = 0; i < a->count; i++) {
		const struct tide_dead_letter *one = &a->entries[i], *other = &b->entries[i];
		assert_true(tide_uuid_equal(&one->event_id, &other->event_id));
		same_text(one->event_data, other->event_data);
		same_text(one->error_message, other->error_message);
		same_text(one->error_stacktrace, other->error_stacktrace);
		assert_int_equal(one->retry_count, other->retry_count);
		assert_int_equal(one->status, other->status);
	}
}

static void same_row(const struct tide_checkpoint *a, const struct tide_checkpoint *b)
{
	assert_int_equal(a->position, b->position);
	assert_int_equal(a->events_processed, b->events_processed);
	assert_true(tide_uuid_equal(&a->last_event_id, &b->last_event_id));
	assert_string_equal(a->last_event_type, b->last_event_type);
	assert_int_equal(a->anchor.position, b->anchor.position);
}

static void same_status(const struct tide_subscription_status *a,
			const struct tide_subscription_status *b)
{
	assert_int_equal(a->state, b->state);
	assert_int_equal(a->position, b->position);
	assert_int_equal(a->events_processed, b->events_processed);
	assert_int_equal(a->events_failed, b->events_failed);
	assert_int_equal(a->events_dlq, b->events_dlq);
	assert_int_equal(a->recent_errors_count, b->recent_errors_count);
	assert_int_equal(a->error.status, b->error.status);
	same_text(a->error.message, b->error.message);
}

/* Line by line, since what is told of a long text is cut. */
static void same_counts(char *a, char *b)
{
	char *next_a, *next_b, *line = strtok_r(a, "\n", &next_a),
			       *other = strtok_r(b, "\n", &next_b);
	for (; line && other;
	     line = strtok_r(NULL, "\n", &next_a), other = strtok_r(NULL, "\n", &next_b))
		assert_string_equal(line, other);
	assert_int_equal(!line, !other);
}

/* Run it both ways; `letters` events of all fail. */
static void both_ways_are_one(struct ways *ways, size_t letters)
{
	ways->number++;
	together.most = 0;
	struct left both = run_way(ways, true), each = run_way(ways, false);
	assert_int_equal(both.letters.count, letters);
	same_letters(&both.letters, &each.letters);
	same_row(&both.row, &each.row);
	same_status(&both.status, &each.status);
	same_counts(both.counts, each.counts);
	same_tables(ways);
	assert_int_equal(ways->rows, (ways->is_lean ? 1 : 2) * (end_of(ways->fixture->store) -
								(tide_position)letters));
	left_free(&both);
	left_free(&each);
}

static struct ways ways_of(struct fixture *f, unsigned events)
{
	for (unsigned i = 0; i < events; i += 10)
		append_many(f->store, stream_of("Order", i / 10), 0, 10);
	struct ways ways = { .fixture = f, .config = quick_config() };
	ways.config.batch_size = PAGE;
	return ways;
}

static void statement_that_fails_anywhere_in_a_page_shows_in_nothing_but_time(struct fixture *f)
{
	struct ways ways = ways_of(f, EVENTS);
	char position[8];
	ways.poison = position;
	for (int i = 1; i <= PAGE; i++) {
		snprintf(position, sizeof position, "%d", i);
		both_ways_are_one(&ways, 1);
	}
}

static void several_that_fail_show_under_every_strategy_in_nothing_but_time(struct fixture *f)
{
	static const struct {
		const char *poison;
		size_t letters;
	} cases[] = { { "0", 0 },  { "1", 1 },          { "2", 1 },
		      { "25", 1 }, { "49, 50, 51", 3 }, { "1, 2, 30, 60", 4 } };
	struct ways ways = ways_of(f, EVENTS);
	for (int strategy = TIDE_EVERY_EVENT; strategy <= TIDE_PERIODIC; strategy++)
		for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
			ways.config.checkpoint_strategy = (enum tide_checkpoint_strategy)strategy;
			ways.config.checkpoint_interval_seconds = i % 2 ? 60 : 0.001;
			ways.poison = cases[i].poison;
			both_ways_are_one(&ways, cases[i].letters);
		}
}

static void poison_at(struct ways *ways, int64_t position)
{
	char text[8];
	snprintf(text, sizeof text, "%d", (int)position);
	ways->poison = text;
	both_ways_are_one(ways, 1);
	assert_in_range(together.most, GREAT_PAGE - 2, GREAT_PAGE);
	case_goes_on();
}

/* At the edges, and at one place of each of so many stretches; of TIDE_TEST_POSITIONS=1000 each is
 * one place. TIDE_TEST_FROM and TIDE_TEST_TO make parts of it, for several processes. */
static void
statement_that_fails_in_a_page_of_a_thousand_shows_in_nothing_but_time(struct fixture *f)
{
	static const int edges[] = { 1, 2, GREAT_PAGE - 1, GREAT_PAGE, GREAT_PAGE + 1 };
	int64_t stretches = test_number("TIDE_TEST_POSITIONS", 8);
	int64_t from = test_number("TIDE_TEST_FROM", 1),
		to = test_number("TIDE_TEST_TO", GREAT_PAGE);
	unsigned seed = (unsigned)test_number("TIDE_TEST_SEED", (int64_t)time(NULL));
	print_message("TIDE_TEST_SEED=%u TIDE_TEST_POSITIONS=%lld\n", seed, (long long)stretches);
	assert_in_range(stretches, 1, GREAT_PAGE);
	srandom(seed);

	struct ways ways = ways_of(f, GREAT_PAGE + 10);
	ways.config.batch_size = ways.config.max_in_flight = GREAT_PAGE;
	ways.is_lean = true;
	for (size_t i = 0; i < sizeof edges / sizeof *edges; i++)
		poison_at(&ways, edges[i]);
	for (int64_t i = 0; i < stretches; i++) {
		int64_t position =
			1 + GREAT_PAGE * i / stretches + random() % (GREAT_PAGE / stretches);
		if (position >= from && position <= to)
			poison_at(&ways, position);
	}
}

/* ---- What a handler is told ------------------------------------------------------------------ */

/** A handler that takes several; those that come alone are recorded. */
struct gatherer {
	struct recorder *recorder;
	tide_position fails_at;             /* permanently, whichever way it comes */
	tide_position waits_at;             /* only together */
	bool (*is_over)(struct gatherer *); /* what for */
	struct tide_delivery *delivery;
	atomic_bool is_waiting, may_go_on;
	int calls, cuts;       /* together; that were told to begin no more */
	size_t done;           /* in all of them */
	struct timespec since; /* the last call began */
};

static tide_status gatherer_judge(struct recorder *recorder, const struct tide_event *event,
				  struct tide_delivery *delivery)
{
	const struct gatherer *gatherer = recorder->self;
	if (event->position != gatherer->fails_at)
		return TIDE_OK;
	return tide_delivery_fail(delivery, TIDE_HANDLER_PERMANENT, "not this one");
}

static tide_status gatherer_handle(void *self, const struct tide_event *event,
				   struct tide_delivery *delivery)
{
	struct gatherer *gatherer = self;
	return recorder_handle(gatherer->recorder, event, delivery);
}

static tide_status gatherer_handle_together(void *self, const struct tide_event *const *events,
					    size_t count, struct tide_delivery *delivery)
{
	struct gatherer *gatherer = self;
	bool goes_on = true;
	size_t done = 0;
	gatherer->calls++;
	gatherer->delivery = delivery;
	clock_gettime(CLOCK_MONOTONIC, &gatherer->since);
	for (; done < count && goes_on; goes_on = tide_delivery_go_on(delivery, ++done)) {
		if (events[done]->position == gatherer->waits_at) {
			atomic_store(&gatherer->is_waiting, true);
			while (!gatherer->is_over(gatherer))
				wait_a_moment();
		}
		if (events[done]->position == gatherer->fails_at)
			return TIDE_HANDLER_PERMANENT;
	}
	gatherer->cuts += done < count;
	gatherer->done += done;
	tide_delivery_take(delivery, done, 0);
	return TIDE_OK;
}

static struct tide_subscriber gatherer_subscriber(struct gatherer *gatherer)
{
	gatherer->recorder->judge = gatherer_judge;
	gatherer->recorder->self = gatherer;
	return (struct tide_subscriber){ .name = "p",
					 .self = gatherer,
					 .handle = gatherer_handle,
					 .handle_together = gatherer_handle_together,
					 .transactional = true };
}

/* Ten events in one page. The first one of a run comes alone, as nothing is known of its
 * handler. */
static struct tide_subscription_status gather(struct fixture *f, struct gatherer *gatherer,
					      const struct tide_subscription_config *config)
{
	append_many(f->store, stream_of("Order", 1), 0, 10);
	struct tide_subscriber subscriber = gatherer_subscriber(gatherer);
	MANAGER *manager = manager_of(f->store);
	struct tide_subscription *subscription = subscribe(manager, &subscriber, config);
	start(manager);
	catch_up(f->store, subscription);
	stop(manager);
	assert_int_equal(row_of(f, "p").position, 10);
	assert_int_equal(row_of(f, "p").events_processed, 10);
	return status_of(subscription);
}

static void what_fails_together_comes_alone_and_is_told_once(struct fixture *f)
{
	RECORDER *recorder = recorder_new();
	struct gatherer gatherer = { .recorder = recorder, .fails_at = 4 };
	struct tide_subscription_config config = quick_config();
	struct tide_subscription_status status = gather(f, &gatherer, &config);
	assert_int_equal(gatherer.calls, 1);
	delivered(recorder, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10);
	for (size_t i = 0; i < 10; i++)
		assert_int_equal(recorder->calls[i].attempt, 1);
	assert_int_equal(status.recent_errors_count, 1);
	assert_int_equal(status.events_dlq, 1);
	assert_string_equal(status.error.message, "not this one");
}

static void nothing_is_handled_together_where_each_has_its_commit(struct fixture *f)
{
	RECORDER *recorder = recorder_new();
	struct gatherer gatherer = { .recorder = recorder };
	struct tide_subscription_config config = quick_config();
	config.checkpoint_strategy = TIDE_EVERY_EVENT;
	(void)gather(f, &gatherer, &config);
	assert_int_equal(gatherer.calls, 0);
	assert_int_equal(recorder_count(recorder), 10);
}

static bool gatherer_is_late(struct gatherer *gatherer)
{
	return tide_delivery_is_late(gatherer->delivery);
}

static void what_is_late_together_comes_alone_and_is_not_told(struct fixture *f)
{
	RECORDER *recorder = recorder_new();
	struct gatherer gatherer = { .recorder = recorder,
				     .waits_at = 5,
				     .is_over = gatherer_is_late };
	struct tide_subscription_config config = quick_config();
	config.processing_timeout = 2;
	struct tide_subscription_status status = gather(f, &gatherer, &config);
	assert_int_equal(gatherer.calls, 1);
	assert_int_equal(gatherer.cuts, 1);
	delivered(recorder, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10);
	assert_int_equal(status.recent_errors_count, 0);
}

static bool gatherer_is_past_its_interval(struct gatherer *gatherer)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (now.tv_sec - gatherer->since.tv_sec) * 1000000000 + now.tv_nsec -
		       gatherer->since.tv_nsec >
	       300000000;
}

static void timer_of_the_saves_cuts_between_two_events(struct fixture *f)
{
	RECORDER *recorder = recorder_new();
	struct gatherer gatherer = { .recorder = recorder,
				     .waits_at = 5,
				     .is_over = gatherer_is_past_its_interval };
	struct tide_subscription_config config = quick_config();
	config.checkpoint_strategy = TIDE_PERIODIC;
	config.checkpoint_interval_seconds = 0.3;
	(void)gather(f, &gatherer, &config);
	assert_true(gatherer.cuts > 0);
	assert_int_equal(recorder_count(recorder) + gatherer.done, 10);
}

static bool gatherer_may_go_on(struct gatherer *gatherer)
{
	return atomic_load(&gatherer->may_go_on);
}

static void pause_cuts_what_is_handled_together(struct fixture *f)
{
	append_many(f->store, stream_of("Order", 1), 0, 10);
	RECORDER *recorder = recorder_new();
	struct gatherer gatherer = { .recorder = recorder,
				     .waits_at = 5,
				     .is_over = gatherer_may_go_on };
	struct tide_subscriber subscriber = gatherer_subscriber(&gatherer);
	struct tide_subscription_config config = quick_config();
	MANAGER *manager = manager_of(f->store);
	struct tide_subscription *subscription = subscribe(manager, &subscriber, &config);
	must(tide_manager_start(manager, NULL, 0, NULL, NULL, err));
	while (!atomic_load(&gatherer.is_waiting))
		wait_a_moment();
	assert_true(tide_manager_pause(manager, "p", TIDE_PAUSE_MANUAL));
	atomic_store(&gatherer.may_go_on, true);
	while (stored_position(f, "p") == 0)
		wait_a_moment();
	assert_int_equal(stored_position(f, "p"), 5);
	assert_true(tide_manager_resume(manager, "p"));
	catch_up(f->store, subscription);
	stop(manager);
	assert_int_equal(gatherer.cuts, 1);
	assert_int_equal(recorder_count(recorder) + gatherer.done, 10);
	assert_int_equal(row_of(f, "p").events_processed, 10);
}

static void handling_together_needs_a_transactional_handler(struct fixture *f)
{
	RECORDER *recorder = recorder_new();
	struct gatherer gatherer = { .recorder = recorder };
	MANAGER *manager = manager_of(f->store);
	struct tide_subscriber subscriber = gatherer_subscriber(&gatherer);
	subscriber.transactional = false;
	struct tide_error why = refused(
		TIDE_ARGUMENT, tide_manager_subscribe(manager, &subscriber, NULL, NULL, err));
	must_mention(&why, "'p' has handle_together");
	subscriber.transactional = true;
	subscriber.handle = NULL;
	subscriber.handle_batch = gatherer_handle_together;
	why = refused(TIDE_ARGUMENT, tide_manager_subscribe(manager, &subscriber, NULL, NULL, err));
	must_mention(&why, "handle_together");
}

const struct test_case together_cases[] = {
	CASE_NEEDS(what_fails_together_comes_alone_and_is_told_once, NEEDS_TRANSACTIONS),
	CASE_NEEDS(nothing_is_handled_together_where_each_has_its_commit, NEEDS_TRANSACTIONS),
	CASE_NEEDS(what_is_late_together_comes_alone_and_is_not_told, NEEDS_TRANSACTIONS),
	CASE_NEEDS(timer_of_the_saves_cuts_between_two_events, NEEDS_TRANSACTIONS),
	CASE_NEEDS(pause_cuts_what_is_handled_together, NEEDS_TRANSACTIONS),
	CASE(handling_together_needs_a_transactional_handler),
	CASE_NEEDS(statement_that_fails_anywhere_in_a_page_shows_in_nothing_but_time,
		   NEEDS_TRANSACTIONS),
	CASE_NEEDS(several_that_fail_show_under_every_strategy_in_nothing_but_time,
		   NEEDS_TRANSACTIONS),
	CASE_NEEDS(statement_that_fails_in_a_page_of_a_thousand_shows_in_nothing_but_time,
		   NEEDS_TRANSACTIONS),
	CASES_END,
};
