/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An event whose handler crashes the process, a real SIGSEGV in a real process, under a loop that
 * starts it again: it dies once with nothing marked and three times with the event marked, then the
 * event is a dead letter and the rest is handled.
 */
#include <signal.h>
#include <string.h>
#include <sys/resource.h>

#include "engine_tools.h"

#define EVENTS 40
#define POISON 23
#define BATCH 10

/* ---- The process that dies ------------------------------------------------------------------- */

struct poisoned {
	bool is_batch, is_transactional;
	int log; /* each position that was handled, written before the handler returns */
};

static int *volatile nowhere = (int *)16;

/* A fault of the processor, as a wrong pointer makes it: raise would wait where threads block
 * signals. */
__attribute__((no_sanitize("address", "undefined", "thread"))) static void crash(void)
{
	signal(SIGSEGV, SIG_DFL); /* not a sanitizer's */
	*nowhere = 1;
}

static tide_status poisoned_event(struct poisoned *poisoned, const struct tide_event *event)
{
	if (event->position == POISON)
		crash();
	return dprintf(poisoned->log, "%lld\n", (long long)event->position) > 0 ? TIDE_OK : TIDE_IO;
}

static tide_status poisoned_handle(void *self, const struct tide_event *event,
				   struct tide_delivery *delivery)
{
	(void)delivery;
	return poisoned_event(self, event);
}

static tide_status poisoned_handle_batch(void *self, const struct tide_event *const *events,
					 size_t count, struct tide_delivery *delivery)
{
	(void)delivery;
	tide_status status = TIDE_OK;
	for (size_t i = 0; i < count && status == TIDE_OK; i++)
		status = poisoned_event(self, events[i]);
	return status;
}

/* The argument: batch, transactional, strategy, deaths, directory. */
static int poisoned_run(const char *argument, int report_to)
{
	int is_batch, is_transactional, strategy, deaths;
	char directory[256], url[300], path[300];
	if (sscanf(argument, "%d %d %d %d %255s", &is_batch, &is_transactional, &strategy, &deaths,
		   directory) != 5)
		return 97;
	snprintf(url, sizeof url, "sqlite:%s/events.db", directory);
	snprintf(path, sizeof path, "%s/handled", directory);
	FILE *log = fopen(path, "a");
	if (!log)
		return 96;
	struct poisoned poisoned = { is_batch, is_transactional, fileno(log) };
	struct tide_subscriber subscriber = { .name = "Poisoned",
					      .self = &poisoned,
					      .transactional = is_transactional };
	if (is_batch)
		subscriber.handle_batch = poisoned_handle_batch;
	else
		subscriber.handle = poisoned_handle;
	struct tide_subscription_config config = quick_config();
	config.checkpoint_strategy = (enum tide_checkpoint_strategy)strategy;
	config.batch_size = BATCH;
	if (deaths)
		config.max_process_deaths = deaths;
	struct tide_store *store;
	struct tide_manager *manager;
	struct tide_subscription *subscription;
	insist(tide_store_open(url, NULL, &store, err));
	insist(tide_manager_open(TIDE_MANAGER(.store = store), &manager, err));
	insist(tide_manager_subscribe(manager, &subscriber, &config, &subscription, err));
	insist(tide_manager_start(manager, NULL, 0, NULL, NULL, err));
	child_report(report_to, 'r');
	insist(tide_subscription_wait(subscription, EVENTS, PATIENCE, err));
	tide_manager_close(manager);
	tide_store_close(store);
	fclose(log);
	return 0;
}

/* ---- The supervisor -------------------------------------------------------------------------- */

struct poison_case {
	bool is_batch, is_transactional;
	enum tide_checkpoint_strategy strategy;
	int deaths; /* 0: the default */
};

static struct child run(const struct rig *rig, const struct poison_case *poison)
{
	char argument[400];
	snprintf(argument, sizeof argument, "%d %d %d %d %s", poison->is_batch,
		 poison->is_transactional, (int)poison->strategy, poison->deaths, rig->directory);
	return child_start(poisoned_run, argument);
}

static int run_until_it_lives(const struct rig *rig, const struct poison_case *poison)
{
	for (int deaths = 0; deaths <= 10; deaths++) {
		struct child child = run(rig, poison);
		int status = child_join(&child);
		if (status == 0)
			return deaths;
		assert_int_equal(status, 128 + SIGSEGV);
	}
	fail_msg("the process goes on dying");
	return -1;
}

/* Every event but the poison was handled at least once, and the poison never with success. */
static void check_handled(const struct rig *rig)
{
	char path[300];
	int times[EVENTS + 1] = { 0 };
	snprintf(path, sizeof path, "%s/handled", rig->directory);
	FILE *log = fopen(path, "r");
	assert_non_null(log);
	long long position;
	while (fscanf(log, "%lld", &position) == 1) {
		assert_in_range(position, 1, EVENTS);
		times[position]++;
	}
	fclose(log);
	for (int i = 1; i <= EVENTS; i++)
		if ((i == POISON) != (times[i] == 0))
			fail_msg("event %d was handled %d times", i, times[i]);
}

static void check_poison(const struct poison_case *poison)
{
	struct rig rig;
	rig_make(&rig, "sqlite");
	must(tide_store_open(rig.url, NULL, &rig.store, err));
	for (unsigned i = 0; i < EVENTS; i++)
		append_many(rig.store, stream_of("Order", i % 3), i, 1);
	rig_shut(&rig);
	assert_int_equal(run_until_it_lives(&rig, poison),
			 1 + (poison->deaths ? poison->deaths : 3));
	must(tide_store_open(rig.url, NULL, &rig.store, err));
	must(tide_checkpoints_open(NULL, NULL, rig.store, &rig.checkpoints, err));
	struct tide_dead_letter_list dead = dead_letters_of(rig.checkpoints, "Poisoned");
	assert_int_equal(dead.count, 1);
	assert_string_equal(dead.entries[0].error_message, "the process died while handling it");
	assert_int_equal(dead.entries[0].status, TIDE_DEAD_LETTER_FAILED);
	struct tide_query query = { .after = tide_bound(POISON - 1), .limit = tide_bound(1) };
	SEEN seen = see(rig.store, &query);
	assert_int_equal(seen.count, 1);
	assert_true(tide_uuid_equal(&seen.events[0]->event_id, &dead.entries[0].event_id));
	tide_dead_letters_free(&dead);
	struct tide_checkpoint row = checkpoint_of(rig.checkpoints, "Poisoned");
	assert_int_equal(row.position, EVENTS);
	if (poison->is_transactional)
		assert_int_equal(row.events_processed, EVENTS);
	check_handled(&rig);
	rig_close(&rig);
}

static void an_event_that_is_seen_to_kill_three_times_is_dead_lettered(void **state)
{
	(void)state;
	static const enum tide_checkpoint_strategy strategies[] = { TIDE_EVERY_EVENT,
								    TIDE_EVERY_BATCH,
								    TIDE_PERIODIC };
	for (size_t i = 0; i < COUNT(strategies); i++)
		for (int kind = 0; kind < 4; kind++)
			check_poison(&(struct poison_case){ kind & 1, kind & 2, strategies[i], 0 });
}

static void the_number_of_deaths_is_as_configured(void **state)
{
	(void)state;
	/* Beside the first death, which is nobody's: the events were not marked before. */
	check_poison(&(struct poison_case){ false, false, TIDE_EVERY_BATCH, 2 });
	check_poison(&(struct poison_case){ true, true, TIDE_EVERY_EVENT, 5 });
}

/* ---- A death that is nobody's fault ---------------------------------------------------------- */

static void append_to(const struct rig *rig, unsigned from, unsigned to)
{
	for (unsigned i = from; i < to; i++)
		append_many(rig->store, stream_of("Order", i % 3), i, 1);
}

/* Killed from outside with everything handled and saved. */
static void run_and_kill(const struct rig *rig, const struct poison_case *poison,
			 tide_position idle_at)
{
	struct child child = run(rig, poison);
	assert_int_equal(child_await(&child, PATIENCE), 'r');
	wait_for(PATIENCE, saved_position(rig->checkpoints, "Poisoned") == idle_at);
	child_signal(&child, SIGKILL);
	assert_int_equal(child_join(&child), 128 + SIGKILL);
}

/* The rest of the events comes when the next process has started, or before it does. */
static void check_blame(const struct poison_case *poison, unsigned idle_at, bool is_late)
{
	struct rig rig;
	int own_deaths = 0;
	rig_make(&rig, "sqlite");
	must(tide_store_open(rig.url, NULL, &rig.store, err));
	must(tide_checkpoints_open(NULL, NULL, rig.store, &rig.checkpoints, err));
	append_to(&rig, 0, idle_at);
	run_and_kill(&rig, poison, idle_at);
	if (is_late) {
		struct child child = run(&rig, poison);
		assert_int_equal(child_await(&child, PATIENCE), 'r');
		append_to(&rig, idle_at, EVENTS);
		assert_int_equal(child_join(&child), 128 + SIGSEGV);
		own_deaths++;
	} else {
		append_to(&rig, idle_at, EVENTS);
	}
	assert_int_equal(own_deaths + run_until_it_lives(&rig, poison), 3);
	check_handled(&rig);
	rig_close(&rig);
}

static void a_process_that_is_killed_from_outside_is_not_held_against_later_events(void **state)
{
	(void)state;
	check_blame(&(struct poison_case){ false, false, TIDE_EVERY_BATCH, 0 }, POISON - 1, true);
	check_blame(&(struct poison_case){ true, true, TIDE_EVERY_BATCH, 0 }, POISON - 1, true);
	check_blame(&(struct poison_case){ false, false, TIDE_EVERY_EVENT, 0 }, POISON - 3, false);
	check_blame(&(struct poison_case){ false, true, TIDE_EVERY_EVENT, 0 }, POISON - 3, false);
}

int main(int argc, char **argv)
{
	child_main(argc, argv);
	struct rlimit none = { 0, 0 };
	setrlimit(RLIMIT_CORE, &none); /* inherited by the children: their deaths are meant */
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_event_that_is_seen_to_kill_three_times_is_dead_lettered),
		cmocka_unit_test(the_number_of_deaths_is_as_configured),
		cmocka_unit_test(
			a_process_that_is_killed_from_outside_is_not_held_against_later_events),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
