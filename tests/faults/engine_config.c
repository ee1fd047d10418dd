/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every number of a subscription's configuration at both sides of its limits: what is refused names
 * the field and the value, and leaves nothing registered.
 */
#include <limits.h>
#include <math.h>
#include <string.h>

#include "engine_tools.h"

enum kind { INTEGER, SMALL, UNSIGNED, REAL, CHOICE, FLAG };

struct limit_case {
	const char *field; /* as the message names it */
	size_t offset;
	enum kind kind;
	double value;
	const char *shown; /* NULL: accepted; else the value as the message shows it */
};

#define FIELD(name) #name, offsetof(struct tide_subscription_config, name)

/* clang-format off */
static const struct limit_case cases[] = {
	{ "start_from", offsetof(struct tide_subscription_config, start_from), CHOICE, 4, "4" },
	{ FIELD(batch_size), INTEGER, 0, "0" },            { FIELD(batch_size), INTEGER, 1, NULL },
	{ FIELD(batch_size), INTEGER, -1, "-1" },
	{ FIELD(max_in_flight), INTEGER, 0, "0" },         { FIELD(max_in_flight), INTEGER, 1, NULL },
	{ FIELD(max_batch_bytes), INTEGER, 0, "0" },       { FIELD(max_batch_bytes), INTEGER, 1, NULL },
	{ FIELD(backpressure_threshold), REAL, -0.01, "-0.01" }, { FIELD(backpressure_threshold), REAL, 0, NULL },
	{ FIELD(backpressure_threshold), REAL, 1, NULL },  { FIELD(backpressure_threshold), REAL, 1.01, "1.01" },
	{ FIELD(backpressure_threshold), REAL, NAN, "nan" },
	{ FIELD(checkpoint_strategy), CHOICE, 3, "3" },    { FIELD(checkpoint_strategy), CHOICE, 2, NULL },
	{ FIELD(checkpoint_interval_seconds), REAL, 0, "0" }, { FIELD(checkpoint_interval_seconds), REAL, 0.001, NULL },
	{ FIELD(checkpoint_interval_seconds), REAL, NAN, "nan" }, { FIELD(checkpoint_interval_seconds), REAL, INFINITY, "inf" },
	{ FIELD(poll_interval_seconds), REAL, 0, "0" },    { FIELD(poll_interval_seconds), REAL, 0.001, NULL },
	{ FIELD(poll_interval_seconds), REAL, INFINITY, "inf" },
	{ FIELD(processing_timeout), REAL, 0, "0" },       { FIELD(processing_timeout), REAL, 0.001, NULL },
	{ FIELD(processing_timeout), REAL, NAN, "nan" },
	{ FIELD(shutdown_timeout), REAL, -1, "-1" },       { FIELD(shutdown_timeout), REAL, 0.001, NULL },
	{ "partition", offsetof(struct tide_subscription_config, partition_total), UNSIGNED, 1025, "1025" },
	{ "partition", offsetof(struct tide_subscription_config, partition_total), UNSIGNED, 1024, NULL },
	{ "partition", offsetof(struct tide_subscription_config, partition_index), UNSIGNED, 1, "1" },
	{ FIELD(max_retries), SMALL, -1, "-1" },           { FIELD(max_retries), SMALL, 0, NULL },
	{ FIELD(max_infrastructure_retries), SMALL, -2, "-2" }, { FIELD(max_infrastructure_retries), SMALL, -1, NULL },
	{ FIELD(max_infrastructure_retries), SMALL, 0, NULL },
	{ FIELD(initial_retry_delay), REAL, 0, "0" },      { FIELD(initial_retry_delay), REAL, 60, NULL },
	{ FIELD(initial_retry_delay), REAL, NAN, "nan" },
	{ "max_retry_delay", offsetof(struct tide_subscription_config, initial_retry_delay), REAL, 61, "60" },
	{ FIELD(max_retry_delay), REAL, 0.5, "0.5" },      { FIELD(max_retry_delay), REAL, 1, NULL },
	{ FIELD(max_retry_delay), REAL, INFINITY, "inf" },
	{ FIELD(retry_exponential_base), REAL, 1, "1" },   { FIELD(retry_exponential_base), REAL, 1.001, NULL },
	{ FIELD(retry_exponential_base), REAL, INFINITY, "inf" },
	{ FIELD(retry_jitter), REAL, -0.1, "-0.1" },       { FIELD(retry_jitter), REAL, 0, NULL },
	{ FIELD(retry_jitter), REAL, 1, NULL },            { FIELD(retry_jitter), REAL, 1.1, "1.1" },
	{ FIELD(max_recent_errors), SMALL, -1, "-1" },     { FIELD(max_recent_errors), SMALL, 0, NULL },
	{ FIELD(max_errors_before_stop), SMALL, -1, "-1" }, { FIELD(max_errors_before_stop), SMALL, 1, NULL },
	{ FIELD(circuit_breaker_failure_threshold), SMALL, 0, "0" },
	{ FIELD(circuit_breaker_failure_threshold), SMALL, 1, NULL },
	{ FIELD(circuit_breaker_recovery_timeout), REAL, 0, "0" },
	{ FIELD(circuit_breaker_recovery_timeout), REAL, 0.001, NULL },
	{ FIELD(circuit_breaker_recovery_timeout), REAL, INFINITY, "inf" },
	{ FIELD(max_process_deaths), SMALL, 0, "0" },      { FIELD(max_process_deaths), SMALL, 1, NULL },
	{ FIELD(discard_failed_events), FLAG, 1, NULL },   { FIELD(hold_aggregate_on_failure), FLAG, 1, NULL },
};
/* clang-format on */

static void limit_set(struct tide_subscription_config *config, const struct limit_case *limit)
{
	char *at = (char *)config + limit->offset;
	int64_t integer = isnan(limit->value) || isinf(limit->value) ? 0 : (int64_t)limit->value;
	switch (limit->kind) {
	case INTEGER:
		memcpy(at, &integer, sizeof integer);
		break;
	case SMALL:
		memcpy(at, &(int32_t){ (int32_t)integer }, sizeof(int32_t));
		break;
	case UNSIGNED:
	case CHOICE:
		memcpy(at, &(uint32_t){ (uint32_t)integer }, sizeof(uint32_t));
		break;
	case REAL:
		memcpy(at, &limit->value, sizeof limit->value);
		break;
	case FLAG:
		memcpy(at, &(bool){ integer != 0 }, sizeof(bool));
	}
}

static tide_status pass(void *self, const struct tide_event *event, struct tide_delivery *delivery)
{
	(void)self, (void)event, (void)delivery;
	return TIDE_OK;
}

static const struct tide_subscriber passing = { .name = "Limits", .handle = pass };

static void every_limit_is_checked_at_both_sides(void **state)
{
	(void)state;
	struct rig rig;
	rig_open(&rig, "memory");
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct tide_subscription_config config = TIDE_SUBSCRIPTION_CONFIG_DEFAULT;
		limit_set(&config, &cases[i]);
		struct tide_error why;
		tide_status status =
			tide_manager_subscribe(rig.manager, &passing, &config, NULL, &why);
		if ((status == TIDE_OK) != (cases[i].shown == NULL))
			fail_msg("%s = %g: %s", cases[i].field, cases[i].value,
				 tide_status_name(status));
		assert_int_equal(tide_manager_count(rig.manager), status == TIDE_OK);
		if (status == TIDE_OK) {
			must(tide_manager_unsubscribe(
				rig.manager, config.partition_total ? "Limits#0/1024" : "Limits",
				err));
			continue;
		}
		assert_int_equal(status, TIDE_ARGUMENT);
		must_mention(&why, cases[i].field);
		must_mention(&why, cases[i].shown);
	}
	rig_close(&rig);
}

static void lists_and_combinations_are_checked(void **state)
{
	(void)state;
	struct rig rig;
	rig_open(&rig, "memory");
	struct tide_uuid nil = { { 0 } };
	const char *const spaced[] = { "Not a type", NULL }, *const open[] = { "Order[", NULL },
			  *const none[] = { NULL };
	struct tide_subscription_config config = TIDE_SUBSCRIPTION_CONFIG_DEFAULT;
	struct tide_error why;
#define REFUSED(member, with, text)                                                                \
	do {                                                                                       \
		config = (struct tide_subscription_config)TIDE_SUBSCRIPTION_CONFIG_DEFAULT;        \
		config.member = with;                                                              \
		why = refused(TIDE_ARGUMENT,                                                       \
			      tide_manager_subscribe(rig.manager, &passing, &config, NULL, err));  \
		must_mention(&why, text);                                                          \
	} while (0)
	REFUSED(event_types, spaced, "Not a type");
	REFUSED(aggregate_types, spaced, "Not a type");
	REFUSED(event_type_patterns, open, "Order[");
	REFUSED(tenant_id, &nil, "tenant_id");
	REFUSED(size, 3, "size");
	config = (struct tide_subscription_config)TIDE_SUBSCRIPTION_CONFIG_DEFAULT;
	config.start_from = TIDE_START_POSITION;
	config.start_position = -1;
	why = refused(TIDE_ARGUMENT,
		      tide_manager_subscribe(rig.manager, &passing, &config, NULL, err));
	must_mention(&why, "-1");
	config = (struct tide_subscription_config)TIDE_SUBSCRIPTION_CONFIG_DEFAULT;
	config.discard_failed_events = config.hold_aggregate_on_failure = true;
	why = refused(TIDE_ARGUMENT,
		      tide_manager_subscribe(rig.manager, &passing, &config, NULL, err));
	must_mention(&why, "discard_failed_events");
	assert_int_equal(tide_manager_count(rig.manager), 0);
	config = (struct tide_subscription_config)TIDE_SUBSCRIPTION_CONFIG_DEFAULT;
	config.event_types = config.aggregate_types = none; /* empty sets do not restrict */
	must(tide_manager_subscribe(rig.manager, &passing, &config, NULL, err));
	refused(TIDE_ALREADY_EXISTS,
		tide_manager_subscribe(rig.manager, &passing, NULL, NULL, err));
	rig_close(&rig);
}

static void presets_are_as_documented(void **state)
{
	(void)state;
	struct tide_subscription_config catch_up = tide_catch_up_config(0, true);
	assert_int_equal(catch_up.batch_size, 1000);
	assert_int_equal(catch_up.checkpoint_strategy, TIDE_EVERY_BATCH);
	assert_int_equal(catch_up.start_from, TIDE_START_CHECKPOINT);
	assert_int_equal(tide_catch_up_config(7, false).batch_size, 7);
	assert_int_equal(tide_catch_up_config(7, false).checkpoint_strategy, TIDE_PERIODIC);
	struct tide_subscription_config live = tide_live_only_config();
	assert_int_equal(live.start_from, TIDE_START_END);
	assert_int_equal(live.batch_size, 100);
	assert_int_equal(live.checkpoint_strategy, TIDE_EVERY_EVENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_limit_is_checked_at_both_sides),
		cmocka_unit_test(lists_and_combinations_are_checked),
		cmocka_unit_test(presets_are_as_documented),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
