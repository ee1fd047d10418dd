/* SPDX-License-Identifier: Apache-2.0 */
/* Aggregates: raising, loading, what a failure leaves behind; deciding; scenarios. */
#include <string.h>

#include "domain/account.h"
#include "lib/build.h"
#include "lib/must.h"
#include "sys/alloc.h"

#define AGGREGATE TIDE_CLEANUP(tide_aggregate_free) struct tide_aggregate

static struct tide_aggregate *account_new(void)
{
	struct tide_aggregate *aggregate;
	struct tide_uuid id = uuid_of(1);
	must(tide_aggregate_new(&account_type, &id, &aggregate, err));
	return aggregate;
}

static void note(struct tide_aggregate *aggregate, const char *text)
{
	must(tide_aggregate_raise(aggregate, note_taken, &(struct note_taken){ (char *)text },
				  err));
}

static void raising_applies_numbers_and_remembers(void **state)
{
	(void)state;
	AGGREGATE *aggregate = account_new();
	assert_int_equal(tide_aggregate_version(aggregate), 0);
	raise_move(aggregate, 100);
	note(aggregate, "hello");
	assert_int_equal(cents_of(aggregate), 100);
	assert_int_equal(tide_aggregate_version(aggregate), 2);
	assert_int_equal(tide_aggregate_next_version(aggregate), 3);
	struct tide_event_list list;
	must(tide_aggregate_uncommitted(aggregate, &list, err));
	assert_int_equal(list.count, 2);
	assert_int_equal(list.events[1]->version, 2);
	assert_int_equal(list.events[1]->event_version, 1);
	assert_string_equal(list.events[1]->payload.data, "{\"text\":\"hello\"}");
	assert_string_equal(list.events[1]->metadata.data, "{}");
	assert_true(tide_uuid_equal(&list.events[0]->aggregate_id, tide_aggregate_id(aggregate)));
	assert_false(tide_uuid_is_nil(&list.events[0]->event_id));
	assert_false(tide_uuid_is_nil(&list.events[0]->correlation_id));
	tide_event_list_fini(&list);
	tide_aggregate_clear(aggregate, &list);
	assert_int_equal(list.count, 2);
	assert_int_equal(tide_aggregate_uncommitted_count(aggregate), 0);
	assert_int_equal(tide_aggregate_version(aggregate), 2);
	tide_event_list_fini(&list);
}

/** Everything about an aggregate that a failure must not change. */
struct picture {
	struct account state;
	tide_version version;
	size_t uncommitted;
};

static struct picture picture_of(const struct tide_aggregate *aggregate)
{
	return (struct picture){ *(const struct account *)tide_aggregate_state(aggregate),
				 tide_aggregate_version(aggregate),
				 tide_aggregate_uncommitted_count(aggregate) };
}

static void same_picture(const struct tide_aggregate *aggregate, struct picture before)
{
	struct picture now = picture_of(aggregate);
	assert_memory_equal(&now.state, &before.state, sizeof now.state);
	assert_int_equal(now.version, before.version);
	assert_int_equal(now.uncommitted, before.uncommitted);
}

static void a_failing_apply_changes_nothing(void **state)
{
	(void)state;
	AGGREGATE *aggregate = account_new();
	raise_move(aggregate, 1);
	note(aggregate, "kept");
	struct picture before = picture_of(aggregate);
	struct tide_error why = refused(
		TIDE_HANDLER_PERMANENT,
		tide_aggregate_raise(aggregate, money_moved, &(struct money_moved){ POISON }, err));
	must_mention(&why, "666 is poison");
	same_picture(aggregate, before);
	raise_move(aggregate, 2);
	assert_int_equal(cents_of(aggregate), 3);
}

static void an_envelope_of_its_own_is_checked(void **state)
{
	(void)state;
	AGGREGATE *aggregate = account_new();
	struct tide_new_event event = { .event_type = "MoneyMoved",
					.payload = tide_text("{\"cents\":5}") };
	event.actor_id = "clerk";
	event.metadata = tide_text("{\"ip\":\"::1\"}");
	event.version = 1;
	event.aggregate_id = uuid_of(1);
	event.aggregate_type = "Account";
	must(tide_aggregate_raise_event(aggregate, &event, err));
	struct picture before = picture_of(aggregate);

	struct tide_error why =
		refused(TIDE_VERSION, tide_aggregate_raise_event(aggregate, &event, err));
	must_mention(&why, "has version 1, but version 2 is next");
	event.version = 0;
	struct tide_new_event bad = event;
	bad.aggregate_id = uuid_of(2);
	refused(TIDE_ARGUMENT, tide_aggregate_raise_event(aggregate, &bad, err));
	bad = event;
	bad.aggregate_type = "Order";
	refused(TIDE_ARGUMENT, tide_aggregate_raise_event(aggregate, &bad, err));
	bad = event;
	bad.event_type = "Unheard";
	why = refused(TIDE_UNHANDLED_EVENT, tide_aggregate_raise_event(aggregate, &bad, err));
	must_mention(&why, "'Account' has no apply function for 'Unheard'");
	bad = event;
	bad.payload = tide_text("{\"cents\":\"many\"}");
	why = refused(TIDE_DECODE, tide_aggregate_raise_event(aggregate, &bad, err));
	must_mention(&why, "$.cents: 'many' is not an integer");
	bad = event;
	bad.payload = tide_text("{");
	refused(TIDE_ARGUMENT, tide_aggregate_raise_event(aggregate, &bad, err));
	bad = event;
	bad.metadata = tide_text("[]");
	refused(TIDE_ARGUMENT, tide_aggregate_raise_event(aggregate, &bad, err));
	bad = event;
	bad.actor_id = "";
	refused(TIDE_ARGUMENT, tide_aggregate_raise_event(aggregate, &bad, err));
	same_picture(aggregate, before);
}

static void an_ignored_event_only_advances_the_version(void **state)
{
	(void)state;
	AGGREGATE *aggregate;
	struct tide_uuid id = uuid_of(1);
	must(tide_aggregate_new(&plain_account_type, &id, &aggregate, err));
	note(aggregate, "nobody listens");
	must(tide_aggregate_raise_event(
		aggregate, &(struct tide_new_event){ .event_type = "SomethingElse" }, err));
	raise_move(aggregate, 4);
	assert_int_equal(tide_aggregate_version(aggregate), 3);
	assert_int_equal(cents_of(aggregate), 4);
}

/** Events as a store would give them: three movements of account 1. */
static void stored(struct tide_event events[3], const struct tide_event *pointers[3])
{
	for (int i = 0; i < 3; i++) {
		events[i] = (struct tide_event){ .position = i + 1,
						 .version = i + 1,
						 .event_version = 1,
						 .event_id = uuid_of(100 + (unsigned)i),
						 .aggregate_id = uuid_of(1),
						 .event_type = tide_text("MoneyMoved"),
						 .aggregate_type = tide_text("Account"),
						 .metadata = tide_text("{}"),
						 .payload = tide_text("{\"cents\":10}") };
		pointers[i] = &events[i];
	}
}

static void history_is_applied_whole_or_not_at_all(void **state)
{
	(void)state;
	AGGREGATE *aggregate = account_new();
	struct tide_event events[3];
	const struct tide_event *pointers[3];
	stored(events, pointers);
	events[2].version = 4;
	struct picture before = picture_of(aggregate);
	struct tide_error why =
		refused(TIDE_VERSION, tide_aggregate_load(aggregate, pointers, 3, err));
	must_mention(&why, "has version 4, but version 3 is next");
	same_picture(aggregate, before);
	events[2].version = 3;
	events[2].aggregate_id = uuid_of(2);
	refused(TIDE_ARGUMENT, tide_aggregate_load(aggregate, pointers, 3, err));
	same_picture(aggregate, before);
	events[2].aggregate_id = uuid_of(1);
	must(tide_aggregate_load(aggregate, pointers, 3, err));
	assert_int_equal(cents_of(aggregate), 30);
	assert_int_equal(tide_aggregate_version(aggregate), 3);
	assert_int_equal(tide_aggregate_uncommitted_count(aggregate), 0);
	raise_move(aggregate, 1);
	refused(TIDE_STATE, tide_aggregate_load(aggregate, pointers, 1, err));
}

static void a_decision_is_raised_whole_or_not_at_all(void **state)
{
	(void)state;
	AGGREGATE *aggregate = account_new();
	int64_t cents = 50;
	must(tide_aggregate_decide(aggregate, decide_move, &cents, err));
	assert_int_equal(tide_aggregate_version(aggregate), 2);
	struct picture before = picture_of(aggregate);
	cents = -51;
	struct tide_error why =
		refused(TIDE_STATE, tide_aggregate_decide(aggregate, decide_move, &cents, err));
	must_mention(&why, "there are only 50 cents");
	same_picture(aggregate, before);
	cents = POISON;
	refused(TIDE_HANDLER_PERMANENT, tide_aggregate_decide(aggregate, decide_move, &cents, err));
	same_picture(aggregate, before);
}

static void equal_means_same_id_and_type(void **state)
{
	(void)state;
	AGGREGATE *a = account_new(), *b = account_new(), *c;
	struct tide_uuid id = uuid_of(2);
	must(tide_aggregate_new(&account_type, &id, &c, err));
	raise_move(a, 1);
	assert_true(tide_aggregate_equal(a, b));
	assert_false(tide_aggregate_equal(a, c));
}

static void silly_fini(void *state)
{
	(void)state;
}

static void types_that_cannot_work_are_refused(void **state)
{
	(void)state;
	struct tide_aggregate *aggregate;
	struct tide_uuid id = uuid_of(1), nil = { 0 };
	struct tide_aggregate_type type = plain_account_type;
	refused(TIDE_ARGUMENT, tide_aggregate_new(&type, &nil, &aggregate, err));
	type.fini = silly_fini;
	struct tide_error why =
		refused(TIDE_ARGUMENT, tide_aggregate_new(&type, &id, &aggregate, err));
	must_mention(&why, "'Account' has fini, so it needs copy or state_fields");
	type = plain_account_type;
	type.name = "no name";
	refused(TIDE_ARGUMENT, tide_aggregate_new(&type, &id, &aggregate, err));
	type = plain_account_type;
	type.state_size = 0;
	refused(TIDE_ARGUMENT, tide_aggregate_new(&type, &id, &aggregate, err));
}

static void every_failed_allocation_leaves_the_aggregate_as_it_was(void **state)
{
	(void)state;
	AGGREGATE *aggregate = account_new();
	int64_t cents = 1;
	note(aggregate, "first");
	tide_status status = TIDE_OUT_OF_MEMORY;
	for (int64_t nth = 1; status == TIDE_OUT_OF_MEMORY; nth++) {
		struct picture before = picture_of(aggregate);
		alloc_fail_from(nth);
		status = tide_aggregate_decide(aggregate, decide_move, &cents, NULL);
		alloc_fail_from(0);
		if (status != TIDE_OK)
			same_picture(aggregate, before);
	}
	assert_int_equal(status, TIDE_OK);
	assert_int_equal(cents_of(aggregate), 1);
}

/* ---- Scenarios ------------------------------------------------------------------------------- */

static void a_scenario_that_is_as_said_succeeds(void **state)
{
	(void)state;
	struct tide_scenario *scenario = tide_scenario_new(&account_type);
	tide_scenario_given(scenario, money_moved, &(struct money_moved){ 100 });
	tide_scenario_when(scenario, move_money, &(int64_t){ -30 });
	tide_scenario_then(scenario, money_moved, &(struct money_moved){ -30 });
	assert_int_equal(cents_of(tide_scenario_aggregate(scenario)), 70);
	must(tide_scenario_end(scenario, err));

	scenario = tide_scenario_new(&account_type);
	tide_scenario_when(scenario, move_money, &(int64_t){ -1 });
	tide_scenario_then_refused(scenario, TIDE_STATE, "only 0 cents");
	must(tide_scenario_end(scenario, err));

	scenario = tide_scenario_new(&account_type);
	tide_scenario_when_decided(scenario, decide_move, &(int64_t){ 5 });
	tide_scenario_then(scenario, note_taken, &(struct note_taken){ (char *)"decided" });
	tide_scenario_then(scenario, money_moved, &(struct money_moved){ 5 });
	must(tide_scenario_end(scenario, err));
}

/** Run one with these expectations; `cents` 0: none was said. */
static struct tide_error scenario_fails(int64_t when, int64_t then, tide_status refusal,
					const char *message)
{
	struct tide_scenario *scenario = tide_scenario_new(&account_type);
	tide_scenario_given(scenario, money_moved, &(struct money_moved){ 100 });
	tide_scenario_when(scenario, move_money, &when);
	if (then)
		tide_scenario_then(scenario, money_moved, &(struct money_moved){ then });
	if (refusal)
		tide_scenario_then_refused(scenario, refusal, message);
	return refused(TIDE_STATE, tide_scenario_end(scenario, err));
}

static void a_scenario_tells_expected_and_actual(void **state)
{
	(void)state;
	struct tide_error why = scenario_fails(-30, -31, TIDE_OK, NULL);
	must_mention(&why,
		     "expected MoneyMoved {\"cents\":-31}, but was MoneyMoved {\"cents\":-30}");
	why = scenario_fails(-30, 0, TIDE_OK, NULL);
	must_mention(&why, "expected nothing more, but was MoneyMoved {\"cents\":-30}");
	why = scenario_fails(-101, -101, TIDE_OK, NULL);
	must_mention(&why, "but the command was refused: there are only 100 cents");
	why = scenario_fails(-101, 0, TIDE_OK, NULL);
	must_mention(&why, "the command was refused: there are only 100 cents");
	why = scenario_fails(-101, 0, TIDE_NOT_FOUND, NULL);
	must_mention(&why, "expected not_found, but was state: there are only 100 cents");
	why = scenario_fails(-101, 0, TIDE_STATE, "pennies");
	must_mention(&why, "expected a message with 'pennies', but was 'there are only 100 cents'");
	why = scenario_fails(-30, 0, TIDE_STATE, NULL);
	must_mention(&why, "expected state, but the command was not refused");
}

static void a_scenario_has_its_steps_in_order(void **state)
{
	(void)state;
	struct tide_scenario *scenario = tide_scenario_new(&account_type);
	tide_scenario_then(scenario, money_moved, &(struct money_moved){ 1 });
	refused(TIDE_STATE, tide_scenario_end(scenario, err));
	scenario = tide_scenario_new(&account_type);
	tide_scenario_when(scenario, move_money, &(int64_t){ 1 });
	tide_scenario_given(scenario, money_moved, &(struct money_moved){ 1 });
	refused(TIDE_STATE, tide_scenario_end(scenario, err));
	refused(TIDE_OUT_OF_MEMORY, tide_scenario_end(NULL, err));
	scenario = tide_scenario_new(NULL);
	tide_scenario_when(scenario, move_money, &(int64_t){ 1 });
	refused(TIDE_ARGUMENT, tide_scenario_end(scenario, err));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(raising_applies_numbers_and_remembers),
		cmocka_unit_test(a_failing_apply_changes_nothing),
		cmocka_unit_test(an_envelope_of_its_own_is_checked),
		cmocka_unit_test(an_ignored_event_only_advances_the_version),
		cmocka_unit_test(history_is_applied_whole_or_not_at_all),
		cmocka_unit_test(a_decision_is_raised_whole_or_not_at_all),
		cmocka_unit_test(equal_means_same_id_and_type),
		cmocka_unit_test(types_that_cannot_work_are_refused),
		cmocka_unit_test(every_failed_allocation_leaves_the_aggregate_as_it_was),
		cmocka_unit_test(a_scenario_that_is_as_said_succeeds),
		cmocka_unit_test(a_scenario_tells_expected_and_actual),
		cmocka_unit_test(a_scenario_has_its_steps_in_order),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
