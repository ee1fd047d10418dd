/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory that runs out: the first, the second, … the Nth allocation and all later ones fail,
 * through open, append, subscribe, deliver, dead-letter, stop. Nothing crashes, leaks (the address
 * sanitizer looks) or hangs, and what is reported is that memory is out.
 */
#include <string.h>

#include "engine_tools.h"
#include "sys/alloc.h"

#define SWEEP_MAX 2000

struct sweep {
	const struct rig *rig;
	int64_t nth;
	struct tide_store *store;
	struct tide_manager *manager;
	struct tide_subscription *subscription;
	struct tide_error err; /* of the step that failed */
};

static tide_status fail_second(void *self, const struct tide_event *event,
			       struct tide_delivery *delivery)
{
	(void)self;
	if (event->version == 2) {
		tide_delivery_set_stacktrace(delivery, "at fail_second");
		return tide_delivery_fail(delivery, TIDE_HANDLER_PERMANENT, "second");
	}
	return TIDE_OK;
}

/* What the subscription came to; a run that ended says why. */
static tide_status sweep_deliver(struct sweep *sweep, tide_position end)
{
	tide_status status =
		tide_subscription_wait(sweep->subscription, end, PATIENCE, &sweep->err);
	if (status != TIDE_STATE)
		return status;
	struct tide_subscription_status now;
	if (tide_subscription_status(sweep->subscription, &now, NULL) == TIDE_OK)
		sweep->err = now.error;
	return sweep->err.status;
}

static tide_status sweep_append(struct sweep *sweep, struct tide_append_result *ret)
{
	struct tide_new_event events[] = { event_of("Counted", 1), event_of("Counted", 2),
					   event_of("Counted", 3) };
	return tide_store_append(
		sweep->store,
		APPEND(stream_of("Swept", (unsigned)sweep->nth), TIDE_NO_STREAM, events), ret,
		&sweep->err);
}

static tide_status sweep_run(struct sweep *sweep, const char *name)
{
	struct tide_append_result appended;
	struct tide_subscriber subscriber = { .name = name, .handle = fail_second };
	struct tide_subscription_config config = quick_config();
	config.start_from = TIDE_START_POSITION;
	config.hold_aggregate_on_failure = true;
	config.self_check = true;
	tide_status status = tide_store_open(sweep->rig->url, NULL, &sweep->store, &sweep->err);
	if (status == TIDE_OK)
		status = sweep_append(sweep, &appended);
	if (status == TIDE_OK) {
		config.start_position = appended.first_position - 1;
		status = tide_manager_open(TIDE_MANAGER(.store = sweep->store), &sweep->manager,
					   &sweep->err);
	}
	if (status == TIDE_OK)
		status = tide_manager_subscribe(sweep->manager, &subscriber, &config,
						&sweep->subscription, &sweep->err);
	if (status == TIDE_OK)
		status = tide_manager_start(sweep->manager, NULL, 0, NULL, NULL, &sweep->err);
	if (status == TIDE_OK)
		status = sweep_deliver(sweep, appended.last_position);
	if (status == TIDE_OK)
		status = tide_manager_stop(sweep->manager, NULL, 0, &sweep->err);
	return status;
}

/* One turn; whether the whole way was gone with memory left. */
static bool sweep_turn(const struct rig *rig, int64_t nth)
{
	struct sweep sweep = { .rig = rig, .nth = nth };
	char name[32];
	snprintf(name, sizeof name, "Swept%lld", (long long)nth);
	alloc_fail_from(nth);
	tide_status status = sweep_run(&sweep, name);
	bool is_through = alloc_count() < nth;
	if (nth % 2) /* closing needs no memory */
		tide_manager_close(sweep.manager);
	alloc_fail_from(0);
	if (nth % 2 == 0)
		tide_manager_close(sweep.manager);
	tide_store_close(sweep.store);
	if (status != TIDE_OK && (status != TIDE_OUT_OF_MEMORY || sweep.err.message[0] == '\0'))
		fail_msg("allocation %lld failed, and this was reported: %s: %s", (long long)nth,
			 tide_status_name(status), sweep.err.message);
	return is_through && status == TIDE_OK;
}

static void sweep_all(const struct rig *rig)
{
	int64_t nth = 1;
	while (!sweep_turn(rig, nth))
		assert_true(++nth < SWEEP_MAX);
	print_message("%s: %lld allocations failed in turn\n", rig->url, (long long)nth - 1);
	assert_true(nth > 20);
}

static void running_out_of_memory_is_survived_everywhere(void **state)
{
	struct rig rig;
	rig_make(&rig, *state);
	sweep_all(&rig);
	if (strcmp(*state, "sqlite") == 0) {
		sqlite3 *database = plain_open(rig.file);
		assert_int_equal(
			plain_number(database, "SELECT count(*) FROM events WHERE version > 3"), 0);
		assert_int_equal(plain_number(database, "SELECT count(*) % 3 FROM events"), 0);
		sqlite3_close(database);
	}
	rig_close(&rig);
}

static void a_failed_append_leaves_the_store_as_it_was(void **state)
{
	struct rig rig;
	rig_open(&rig, *state);
	append_many(rig.store, stream_of("Before", 1), 0, 2);
	int64_t nth = 1;
	for (bool is_through = false; !is_through; nth++) {
		struct sweep sweep = { .rig = &rig, .nth = nth, .store = rig.store };
		struct tide_append_result result = { .version = -7 };
		tide_position before = end_of(rig.store);
		alloc_fail_from(nth);
		tide_status status = sweep_append(&sweep, &result);
		alloc_fail_from(0);
		is_through = status == TIDE_OK;
		if (is_through) {
			assert_int_equal(end_of(rig.store), before + 3);
			continue;
		}
		assert_int_equal(status, TIDE_OUT_OF_MEMORY);
		assert_int_equal(result.version, -7); /* outputs are untouched */
		assert_int_equal(end_of(rig.store), before);
		assert_int_equal(version_of(rig.store, stream_of("Swept", (unsigned)nth)), 0);
	}
	append_many(rig.store, stream_of("After", 1), 0, 2);
	rig_close(&rig);
}

int main(void)
{
	static char memory[] = "memory", sqlite[] = "sqlite";
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_prestate(running_out_of_memory_is_survived_everywhere, memory),
		cmocka_unit_test_prestate(running_out_of_memory_is_survived_everywhere, sqlite),
		cmocka_unit_test_prestate(a_failed_append_leaves_the_store_as_it_was, memory),
		cmocka_unit_test_prestate(a_failed_append_leaves_the_store_as_it_was, sqlite),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
