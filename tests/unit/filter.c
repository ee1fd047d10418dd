/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <tidemark/backend.h>

#include "core/text.h"

#define NAMES(...) ((const char *const[]){ __VA_ARGS__, NULL })
#define TENANT "11111111-1111-4111-8111-111111111111"

static struct tide_event placed(void)
{
	return (struct tide_event){
		.aggregate_id = uuid_of("f47ac10b-58cc-4372-a567-0e02b2c3d479"),
		.tenant_id = uuid_of(TENANT),
		.event_type = tide_text("OrderPlaced"),
		.aggregate_type = tide_text("Order"),
		.occurred_at = { 1000 },
	};
}

static bool passes(struct tide_filter filter)
{
	struct tide_event event = placed();
	return tide_filter_matches(&filter, &event);
}

static void an_empty_filter_passes_everything(void **state)
{
	(void)state;
	const char *const none[] = { NULL };
	assert_true(passes((struct tide_filter){ 0 }));
	assert_true(passes((struct tide_filter){
		.event_types = none, .patterns = none, .aggregate_types = none }));
}

static void types_pass_when_one_is_equal(void **state)
{
	(void)state;
	assert_true(
		passes((struct tide_filter){ .event_types = NAMES("OrderPaid", "OrderPlaced") }));
	assert_false(passes((struct tide_filter){
		.event_types = NAMES("OrderPaid", "Order", "OrderPlacedAgain") }));
	assert_false(passes((struct tide_filter){ .event_types = NAMES("orderplaced") }));
	assert_true(passes((struct tide_filter){ .aggregate_types = NAMES("Invoice", "Order") }));
	assert_false(passes((struct tide_filter){ .aggregate_types = NAMES("order") }));
}

static void patterns_pass_when_one_matches(void **state)
{
	(void)state;
	assert_true(passes((struct tide_filter){ .patterns = NAMES("Invoice*", "Order*") }));
	assert_false(passes((struct tide_filter){ .patterns = NAMES("Invoice*", "*Paid") }));
}

static void criteria_are_combined_by_and(void **state)
{
	(void)state;
	assert_true(passes((struct tide_filter){ .event_types = NAMES("OrderPlaced"),
						 .patterns = NAMES("*Placed"),
						 .aggregate_types = NAMES("Order") }));
	assert_false(passes((struct tide_filter){ .event_types = NAMES("OrderPlaced"),
						  .patterns = NAMES("*Paid") }));
	assert_false(passes((struct tide_filter){ .event_types = NAMES("OrderPlaced"),
						  .aggregate_types = NAMES("Invoice") }));
}

static void a_tenant_never_passes_events_without_one(void **state)
{
	(void)state;
	struct tide_uuid tenant = uuid_of(TENANT),
			 other = uuid_of("22222222-2222-4222-8222-222222222222"), nil = { { 0 } };
	assert_true(passes((struct tide_filter){ .tenant_id = &tenant }));
	assert_false(passes((struct tide_filter){ .tenant_id = &other }));
	struct tide_event event = placed();
	event.tenant_id = nil;
	assert_false(tide_filter_matches(&(struct tide_filter){ .tenant_id = &tenant }, &event));
	assert_false(tide_filter_matches(&(struct tide_filter){ .tenant_id = &nil }, &event));
}

static void an_aggregate_passes_by_its_id(void **state)
{
	(void)state;
	struct tide_uuid id = placed().aggregate_id, other = uuid_of(TENANT);
	assert_true(passes((struct tide_filter){ .aggregate_id = &id }));
	assert_false(passes((struct tide_filter){ .aggregate_id = &other }));
}

static void instants_pass_between_their_bounds_inclusive(void **state)
{
	(void)state;
	struct tide_time before = { 999 }, at = { 1000 }, after = { 1001 };
	assert_true(passes((struct tide_filter){ .occurred_from = &at, .occurred_until = &at }));
	assert_false(passes((struct tide_filter){ .occurred_from = &after }));
	assert_false(passes((struct tide_filter){ .occurred_until = &before }));
	assert_false(
		passes((struct tide_filter){ .occurred_from = &after, .occurred_until = &before }));
}

static void partitions_are_those_of_the_table(void **state)
{
	(void)state;
	static const struct {
		const char *id;
		uint64_t hash;
		uint32_t mod4, mod7;
	} rows[] = {
		{ "00000000-0000-0000-0000-000000000000", UINT64_C(0x88201fb960ff6465), 1, 0 },
		{ "00112233-4455-6677-8899-aabbccddeeff", UINT64_C(0x52a39b8a741b3ef5), 1, 0 },
		{ "f47ac10b-58cc-4372-a567-0e02b2c3d479", UINT64_C(0xf929d81311da233a), 2, 5 },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct tide_event event = placed();
		event.aggregate_id = uuid_of(rows[i].id);
		assert_true(fnv1a64(event.aggregate_id.bytes, 16) == rows[i].hash);
		for (uint32_t index = 0; index < 7; index++) {
			struct tide_filter four = { .partition_index = index,
						    .partition_total = 4 };
			struct tide_filter seven = { .partition_index = index,
						     .partition_total = 7 };
			assert_int_equal(tide_filter_matches(&four, &event), index == rows[i].mod4);
			assert_int_equal(tide_filter_matches(&seven, &event),
					 index == rows[i].mod7);
		}
	}
}

static void partitions_share_out_every_event_once(void **state)
{
	(void)state;
	int counts[16] = { 0 };
	for (int i = 0; i < 16000; i++) {
		struct tide_event event = placed();
		event.aggregate_id = tide_uuid_v7();
		for (uint32_t index = 0; index < 16; index++)
			counts[index] +=
				tide_filter_matches(&(struct tide_filter){ .partition_index = index,
									   .partition_total = 16 },
						    &event);
	}
	int total = 0;
	for (int i = 0; i < 16; i++) {
		assert_in_range(counts[i], 700, 1300);
		total += counts[i];
	}
	assert_int_equal(total, 16000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_filter_passes_everything),
		cmocka_unit_test(types_pass_when_one_is_equal),
		cmocka_unit_test(patterns_pass_when_one_matches),
		cmocka_unit_test(criteria_are_combined_by_and),
		cmocka_unit_test(a_tenant_never_passes_events_without_one),
		cmocka_unit_test(an_aggregate_passes_by_its_id),
		cmocka_unit_test(instants_pass_between_their_bounds_inclusive),
		cmocka_unit_test(partitions_are_those_of_the_table),
		cmocka_unit_test(partitions_share_out_every_event_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
