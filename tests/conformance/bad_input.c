/* SPDX-License-Identifier: Apache-2.0 */
/* Every kind of bad input: refused with its error, its message names what is wrong, and nothing has
 * changed. */
#include <stdlib.h>
#include <string.h>

#include "conformance/recorder.h"

static const struct tide_uuid nil_uuid;

/** What must be the same after a refusal as before. */
struct before {
	tide_position end;
	tide_version version;
	size_t checkpoints;
	size_t letters;
};

static struct before look(struct fixture *f)
{
	struct before before = { .end = end_of(f->store),
				 .version = version_of(f->store, stream_of("Order", 1)) };
	struct tide_checkpoint *rows;
	must(tide_checkpoints_list(f->checkpoints, &rows, &before.checkpoints, err));
	tide_free(rows);
	struct tide_dead_letter_list letters = { 0 };
	struct tide_dead_letter_query query = { .any_status = true };
	must(tide_dead_letters_list(f->checkpoints, &query, &letters, err));
	before.letters = letters.count;
	tide_dead_letters_free(&letters);
	return before;
}

static void unchanged(struct fixture *f, struct before before)
{
	struct before after = look(f);
	assert_int_equal(after.end, before.end);
	assert_int_equal(after.version, before.version);
	assert_int_equal(after.checkpoints, before.checkpoints);
	assert_int_equal(after.letters, before.letters);
}

/* ---- Events ---------------------------------------------------------------------------------- */

#define LONG_NAME_SIZE 256
static char long_name[LONG_NAME_SIZE + 1];
static char deep_json[1100];

static void make_long_texts(void)
{
	memset(long_name, 'n', LONG_NAME_SIZE);
	memset(deep_json, '[', 513);
	memset(deep_json + 513, ']', 513);
}

static const struct tide_time too_early = { TIDE_TIME_MIN_US - 1 },
			      too_late = { TIDE_TIME_MAX_US + 1 };

#define EVENT(...)                                                                                 \
	{                                                                                          \
		.event_type = "Placed", __VA_ARGS__                                                \
	}
#define PAYLOAD(text) EVENT(.payload = { text, sizeof text - 1 })
#define METADATA(text) EVENT(.metadata = { text, sizeof text - 1 })

static void invalid_events_are_refused(struct fixture *f)
{
	make_long_texts();
	const struct {
		struct tide_new_event event;
		const char *mentions;
	} rows[] = {
		{ { .event_type = NULL }, "event_type" },
		{ { .event_type = "" }, "event_type" },
		{ { .event_type = long_name }, "event_type" },
		{ { .event_type = "with space" }, "with space" },
		{ { .event_type = "sl/ash" }, "sl/ash" },
		{ { .event_type = "ümlaut" }, "event_type" },
		{ { .event_type = "new\nline" }, "event_type" },
		{ EVENT(.event_version = -1), "event_version" },
		{ EVENT(.version = -1), "version" },
		{ EVENT(.occurred_at = &too_early), "occurred_at" },
		{ EVENT(.occurred_at = &too_late), "occurred_at" },
		{ EVENT(.actor_id = ""), "actor_id" },
		{ EVENT(.actor_id = long_name), "actor_id" },
		{ EVENT(.actor_id = "bell\a"), "actor_id" },
		{ EVENT(.actor_id = "\xff\xfe"), "actor_id" },
		{ EVENT(.actor_id = "\xc2\x85"), "actor_id" },
		{ EVENT(.aggregate_id = { { 1 } }), "aggregate_id" },
		{ EVENT(.aggregate_type = "Invoice"), "aggregate_type" },
		{ EVENT(.payload = { NULL, 5 }), "payload" },
		{ EVENT(.metadata = { NULL, 5 }), "metadata" },
		{ EVENT(.payload = { "", 0 }), "payload" },
		{ PAYLOAD("{"), "payload" },
		{ PAYLOAD("{} {}"), "payload" },
		{ PAYLOAD("{'a':1}"), "payload" },
		{ PAYLOAD("{\"a\":01}"), "payload" },
		{ PAYLOAD("[1,]"), "payload" },
		{ PAYLOAD("nul"), "payload" },
		{ PAYLOAD("NaN"), "payload" },
		{ PAYLOAD("\"\\u0000\""), "payload" },
		{ PAYLOAD("\"\\ud800\""), "payload" },
		{ PAYLOAD("\"\\udc00\\ud800\""), "payload" },
		{ PAYLOAD("\"\xc3\x28\""), "payload" },
		{ PAYLOAD("\"\xed\xa0\x80\""), "payload" },
		{ PAYLOAD("\"a\nb\""), "payload" },
		{ PAYLOAD("\"a\0b\""), "payload" },
		{ EVENT(.payload = { deep_json, 1026 }), "payload" },
		{ METADATA("[]"), "metadata" },
		{ METADATA("null"), "metadata" },
		{ METADATA("{\"a\":}"), "metadata" },
		{ METADATA("{\"a\":\"\\u0000\"}"), "metadata" },
	};
	append_one(f->store, stream_of("Order", 1), "A");
	struct before before = look(f);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct tide_new_event events[] = { event_of("Good", 1), rows[i].event };
		struct tide_error why = refused(
			TIDE_ARGUMENT,
			tide_store_append(f->store, APPEND(stream_of("Order", 1), TIDE_ANY, events),
					  NULL, err));
		must_mention(&why, rows[i].mentions);
	}
	unchanged(f, before);
}

static void invalid_appends_are_refused(struct fixture *f)
{
	make_long_texts();
	append_one(f->store, stream_of("Order", 1), "A");
	struct before before = look(f);
	struct tide_new_event good[] = { event_of("B", 1), event_of("C", 2) };
	struct tide_new_event mixed[] = { good[0], good[1] }, gap[] = { good[0], good[1] },
			      down[] = { good[0], good[1] };
	mixed[1].version = 2;
	gap[0].version = 2;
	gap[1].version = 4;
	down[0].version = 3;
	down[1].version = 2;
	struct tide_new_event last[] = { good[0], good[1] };
	last[0].version = INT32_MAX;
	last[1].version = INT32_MIN;
	const struct tide_append rows[] = {
		{ .stream = stream_of("Order", 1), .events = good, .count = 0 },
		{ .stream = stream_of("Order", 1), .events = NULL, .count = 1 },
		{ .stream = stream_of("Order", 1), .events = good, .count = 2, .expected = -3 },
		{ .stream = stream_of("Order", 1),
		  .events = good,
		  .count = 2,
		  .expected = INT64_MIN },
		{ .stream = stream_of("Order", 1),
		  .events = mixed,
		  .count = 2,
		  .expected = TIDE_ANY },
		{ .stream = stream_of("Order", 1),
		  .events = gap,
		  .count = 2,
		  .expected = TIDE_ANY },
		{ .stream = stream_of("Order", 1),
		  .events = down,
		  .count = 2,
		  .expected = TIDE_ANY },
		{ .stream = stream_of("Order", 1),
		  .events = last,
		  .count = 2,
		  .expected = TIDE_ANY },
		{ .stream = { nil_uuid, "Order" },
		  .events = good,
		  .count = 2,
		  .expected = TIDE_ANY },
		{ .stream = stream_of(NULL, 1), .events = good, .count = 2, .expected = TIDE_ANY },
		{ .stream = stream_of("", 1), .events = good, .count = 2, .expected = TIDE_ANY },
		{ .stream = stream_of("Or der", 1),
		  .events = good,
		  .count = 2,
		  .expected = TIDE_ANY },
		{ .stream = stream_of("Order:1", 1),
		  .events = good,
		  .count = 2,
		  .expected = TIDE_ANY },
		{ .stream = stream_of(long_name, 1),
		  .events = good,
		  .count = 2,
		  .expected = TIDE_ANY },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		refused(TIDE_ARGUMENT, tide_store_append(f->store, &rows[i], NULL, err));
	struct tide_append fine = *APPEND(stream_of("Order", 1), TIDE_ANY, good);
	refused(TIDE_ARGUMENT, tide_store_append(NULL, &fine, NULL, err));
	refused(TIDE_ARGUMENT, tide_store_append(f->store, NULL, NULL, err));
	refused(TIDE_ARGUMENT, tide_store_append_all(f->store, NULL, 1, NULL, err));
	refused(TIDE_ARGUMENT, tide_store_append_all(f->store, &fine, 0, NULL, err));
	unchanged(f, before);
}

static void payload_and_metadata_have_a_size_limit(struct fixture *f)
{
	size_t limit = (size_t)16 * 1024 * 1024;
	char *json = malloc(limit + 2);
	assert_non_null(json);
	memset(json, ' ', limit + 1);
	json[0] = '{';
	json[limit + 1] = '\0';
	struct tide_new_event events[] = { EVENT(.payload = { json, limit + 1 }) };
	json[limit] = '}';
	struct tide_error why =
		refused(TIDE_ARGUMENT,
			tide_store_append(f->store, APPEND(stream_of("Order", 1), TIDE_ANY, events),
					  NULL, err));
	must_mention(&why, "payload");
	struct tide_new_event more[] = { EVENT(.metadata = { json, limit + 1 }) };
	why = refused(TIDE_ARGUMENT,
		      tide_store_append(f->store, APPEND(stream_of("Order", 1), TIDE_ANY, more),
					NULL, err));
	must_mention(&why, "metadata");
	free(json);
	assert_int_equal(end_of(f->store), 0);
}

static void size_limit_can_be_chosen_per_store(struct fixture *f)
{
	struct tide_store *store;
	must(tide_store_open(f->url,
			     TIDE_STORE_OPTIONS(.initialize = true, .max_payload_bytes = 10),
			     &store, err));
	struct tide_new_event ten[] = { PAYLOAD("[12345678]") },
			      eleven[] = { PAYLOAD("[123456789]") };
	must(tide_store_append(store, APPEND(stream_of("Order", 1), TIDE_ANY, ten), NULL, err));
	refused(TIDE_ARGUMENT,
		tide_store_append(store, APPEND(stream_of("Order", 1), TIDE_ANY, eleven), NULL,
				  err));
	tide_store_close(store);
}

/* ---- Reads ----------------------------------------------------------------------------------- */

static void invalid_reads_are_refused(struct fixture *f)
{
	append_one(f->store, stream_of("Order", 1), "A");
	const struct tide_query rows[] = {
		{ .after = tide_bound(-1) },
		{ .backward = true, .before = tide_bound(-1) },
		{ .limit = tide_bound(-1) },
		{ .of_stream = true, .stream = { nil_uuid, "Order" } },
		{ .of_stream = true, .stream = stream_of(NULL, 1) },
		{ .of_stream = true, .stream = stream_of("Order", 1), .after = tide_bound(-1) },
		{ .of_stream = true,
		  .stream = stream_of("Order", 1),
		  .limit = tide_bound(INT64_MIN) },
	};
	struct tide_reader *const none = (struct tide_reader *)f;
	struct tide_reader *reader = none;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		refused(TIDE_ARGUMENT, tide_store_read(f->store, &rows[i], &reader, err));
	refused(TIDE_ARGUMENT, tide_store_read(NULL, NULL, &reader, err));
	refused(TIDE_ARGUMENT, tide_store_read(f->store, NULL, NULL, err));
	assert_ptr_equal(reader, none);

	struct tide_event *event;
	bool exists;
	tide_version version;
	tide_position end;
	struct tide_uuid id = uuid_of(1);
	refused(TIDE_ARGUMENT, tide_store_event(f->store, NULL, &event, err));
	refused(TIDE_ARGUMENT, tide_store_event(f->store, &id, NULL, err));
	refused(TIDE_ARGUMENT, tide_store_event(NULL, &id, &event, err));
	refused(TIDE_ARGUMENT, tide_store_event_exists(f->store, NULL, &exists, err));
	refused(TIDE_ARGUMENT, tide_store_event_exists(f->store, &id, NULL, err));
	refused(TIDE_ARGUMENT,
		tide_store_stream_version(f->store, stream_of(NULL, 1), &version, err));
	refused(TIDE_ARGUMENT,
		tide_store_stream_version(f->store, stream_of("Order", 1), NULL, err));
	refused(TIDE_ARGUMENT,
		tide_store_stream_version(f->store, (struct tide_stream){ nil_uuid, "Order" },
					  &version, err));
	refused(TIDE_ARGUMENT, tide_store_end(f->store, NULL, err));
	refused(TIDE_ARGUMENT, tide_store_end(NULL, &end, err));
	struct tide_horizon horizon;
	refused(TIDE_ARGUMENT, tide_store_settle(f->store, 0, NULL, err));
	refused(TIDE_ARGUMENT, tide_store_settle(NULL, 0, &horizon, err));
	refused(TIDE_ARGUMENT, tide_store_settle(f->store, -1, &horizon, err));
}

static void invalid_urls_are_refused(struct fixture *f)
{
	static const char *const urls[] = {
		"",
		"nonsense",
		"unknown:thing",
		"memory:?colour=red",
		"sqlite::memory:?colour=red",
		"fault:memory:",
		"fault:after/memory:",
		"fault:after=x/memory:",
		"fault:colour=red/memory:",
		"fault:op=nothing/memory:",
		"fault:status=ok/memory:",
		"fault:status=unheard/memory:",
		"fault:when=later/memory:",
		"fault:rate=2/memory:",
		"fault:after=-1/memory:",
		"fault:/unknown:thing",
		"fault:/memory:?colour=red",
	};
	struct tide_store *const none = f->store;
	struct tide_store *store = none;
	for (size_t i = 0; i < sizeof urls / sizeof *urls; i++)
		refused(TIDE_ARGUMENT, tide_store_open(urls[i], NULL, &store, err));
	refused(TIDE_ARGUMENT, tide_store_open(NULL, NULL, &store, err));
	refused(TIDE_ARGUMENT, tide_store_open(f->url, NULL, NULL, err));
	assert_ptr_equal(store, none);
}

/* ---- Checkpoints and dead letters ------------------------------------------------------------ */

static void invalid_projection_names_are_refused(struct fixture *f)
{
	make_long_texts();
	static const char *const names[] = { NULL,   "",     long_name,  "bell\a",
					     "\x7f", "\xff", "\xc2\x80", "cut\xc3" };
	struct before before = look(f);
	struct tide_progress progress = { .position = 1 };
	struct tide_checkpoint row;
	struct tide_uuid id = uuid_of(1), got;
	tide_position position;
	struct tide_lag lag;
	bool is_owned;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		const char *name = names[i];
		refused(TIDE_ARGUMENT, tide_checkpoints_save(f->checkpoints, name, &progress, err));
		refused(TIDE_ARGUMENT,
			tide_checkpoints_update(f->checkpoints, name, &id, "A", err));
		refused(TIDE_ARGUMENT, tide_checkpoints_load(f->checkpoints, name, &row, err));
		refused(TIDE_ARGUMENT, tide_checkpoints_get(f->checkpoints, name, &got, err));
		refused(TIDE_ARGUMENT,
			tide_checkpoints_position(f->checkpoints, name, &position, err));
		refused(TIDE_ARGUMENT, tide_checkpoints_lag(f->checkpoints, name, NULL, &lag, err));
		refused(TIDE_ARGUMENT, tide_checkpoints_reset(f->checkpoints, name, err));
		refused(TIDE_ARGUMENT,
			tide_checkpoints_is_owned(f->checkpoints, name, &is_owned, err));
	}
	unchanged(f, before);
}

static void invalid_progress_is_refused(struct fixture *f)
{
	struct before before = look(f);
	struct tide_uuid id = uuid_of(1);
	const struct tide_progress rows[] = {
		{ .position = -1 },
		{ .position = 1, .count = -1 },
		{ .position = 1, .event_id = &id },
		{ .position = 1, .event_type = "A" },
		{ .position = 1, .event_id = &nil_uuid, .event_type = "A" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		refused(TIDE_ARGUMENT, tide_checkpoints_save(f->checkpoints, "p", &rows[i], err));
	refused(TIDE_ARGUMENT, tide_checkpoints_save(f->checkpoints, "p", NULL, err));
	refused(TIDE_ARGUMENT, tide_checkpoints_update(f->checkpoints, "p", NULL, "A", err));
	refused(TIDE_ARGUMENT, tide_checkpoints_update(f->checkpoints, "p", &nil_uuid, "A", err));
	refused(TIDE_ARGUMENT, tide_checkpoints_update(f->checkpoints, "p", &id, NULL, err));
	struct tide_progress fine = { .position = 1 };
	refused(TIDE_ARGUMENT, tide_checkpoints_save(NULL, "p", &fine, err));
	tide_position position;
	refused(TIDE_ARGUMENT, tide_checkpoints_position(f->checkpoints, "p", NULL, err));
	refused(TIDE_ARGUMENT, tide_checkpoints_position(NULL, "p", &position, err));
	refused(TIDE_ARGUMENT, tide_checkpoints_load(f->checkpoints, "p", NULL, err));
	refused(TIDE_ARGUMENT, tide_checkpoints_list(f->checkpoints, NULL, NULL, err));
	unchanged(f, before);
}

static void invalid_dead_letters_are_refused(struct fixture *f)
{
	append_one(f->store, stream_of("Order", 1), "A");
	SEEN all = see(f->store, NULL);
	struct before before = look(f);
	const struct tide_event *event = all.events[0];
	int64_t id;
	refused(TIDE_ARGUMENT,
		tide_dead_letters_add(f->checkpoints, "", event, "x", NULL, 0, &id, err));
	refused(TIDE_ARGUMENT,
		tide_dead_letters_add(f->checkpoints, NULL, event, "x", NULL, 0, &id, err));
	refused(TIDE_ARGUMENT,
		tide_dead_letters_add(f->checkpoints, "p", NULL, "x", NULL, 0, &id, err));
	refused(TIDE_ARGUMENT,
		tide_dead_letters_add(f->checkpoints, "p", event, NULL, NULL, 0, &id, err));
	refused(TIDE_ARGUMENT,
		tide_dead_letters_add(f->checkpoints, "p", event, "x", NULL, -1, &id, err));
	refused(TIDE_ARGUMENT, tide_dead_letters_add(NULL, "p", event, "x", NULL, 0, &id, err));
	struct tide_dead_letter_list list = { 0 };
	struct tide_dead_letter_query below = { .limit = tide_bound(-1) };
	refused(TIDE_ARGUMENT, tide_dead_letters_list(f->checkpoints, &below, &list, err));
	struct tide_dead_letter_query behind = { .after_id = -1 };
	refused(TIDE_ARGUMENT, tide_dead_letters_list(f->checkpoints, &behind, &list, err));
	refused(TIDE_ARGUMENT, tide_dead_letters_purge(f->checkpoints, -1, &id, err));
	unchanged(f, before);
}

/* ---- Subscriptions --------------------------------------------------------------------------- */

static tide_status accept_all(void *self, const struct tide_event *event,
			      struct tide_delivery *delivery)
{
	(void)self;
	(void)event;
	(void)delivery;
	return TIDE_OK;
}

static tide_status accept_batch(void *self, const struct tide_event *const *events, size_t count,
				struct tide_delivery *delivery)
{
	(void)self;
	(void)events;
	(void)count;
	(void)delivery;
	return TIDE_OK;
}

static tide_status accept_typed(void *self, const void *payload, const struct tide_event *event,
				struct tide_delivery *delivery)
{
	(void)self, (void)payload, (void)event, (void)delivery;
	return TIDE_OK;
}

static void invalid_subscribers_are_refused(struct fixture *f)
{
	make_long_texts();
	static const struct tide_field fields[] = { TIDE_FIELD_END };
	static const struct tide_event_type taken = { "A", 1, 1, fields, NULL, 0, NULL };
	static const struct tide_event_type bad_name = { "not good", 1, 1, fields, NULL, 0, NULL };
	static const struct tide_event_type no_fields = { "A", 1, 1, NULL, NULL, 0, NULL };
	const struct tide_event_handler end = TIDE_EVENT_HANDLER_END, no_handlers = end;
	const struct tide_event_handler fine_handlers[] = { { &taken, accept_typed }, end };
	static const char *const bad_types[] = { "A", "not good", NULL };
	const struct tide_subscriber rows[] = {
		{ .name = NULL, .handle = accept_all },
		{ .name = "", .handle = accept_all },
		{ .name = long_name, .handle = accept_all },
		{ .name = "\xff", .handle = accept_all },
		{ .name = "p#0/4", .handle = accept_all },
		{ .name = "p" },
		{ .name = "p", .handle = accept_all, .handle_batch = accept_batch },
		{ .name = "p", .handle = accept_all, .event_types = bad_types },
		{ .name = "p", .handle = accept_all, .handlers = fine_handlers },
		{ .name = "p",
		  .handlers = fine_handlers,
		  .event_types = (const char *const[]){ "A", NULL } },
		{ .name = "p", .handlers = &no_handlers },
		{ .name = "p",
		  .handlers = (const struct tide_event_handler[]){ { &no_fields, accept_typed },
								   end } },
		{ .name = "p",
		  .handlers =
			  (const struct tide_event_handler[]){ { &bad_name, accept_typed }, end } },
		{ .name = "p",
		  .handlers = (const struct tide_event_handler[]){ { &taken, NULL }, end } },
		{ .name = "p",
		  .handlers = (const struct tide_event_handler[]){ fine_handlers[0],
								   fine_handlers[0], end } },
	};
	MANAGER *manager = manager_of(f->store);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		refused(TIDE_ARGUMENT, tide_manager_subscribe(manager, &rows[i], NULL, NULL, err));
	refused(TIDE_ARGUMENT, tide_manager_subscribe(manager, NULL, NULL, NULL, err));
	assert_int_equal(tide_manager_count(manager), 0);
	struct tide_subscriber fine = { .name = "p", .handle = accept_all };
	must(tide_manager_subscribe(manager, &fine, NULL, NULL, err));
	struct tide_error why = refused(TIDE_ALREADY_EXISTS,
					tide_manager_subscribe(manager, &fine, NULL, NULL, err));
	must_mention(&why, "p");
	assert_int_equal(tide_manager_count(manager), 1);
	refused(TIDE_NOT_FOUND, tide_manager_unsubscribe(manager, "q", err));
	refused(TIDE_NOT_FOUND, tide_manager_restart(manager, "q", err));
	refused(TIDE_STATE, tide_manager_restart(manager, "p", err));
	assert_false(tide_manager_pause(manager, "q", TIDE_PAUSE_MANUAL));
	assert_false(tide_manager_resume(manager, "p"));
}

static void transactional_handlers_need_transactions(struct fixture *f)
{
	struct tide_subscriber subscriber = { .name = "p",
					      .handle = accept_all,
					      .transactional = true };
	MANAGER *manager = manager_of(f->store);
	if (f->quirks->has_transactions)
		must(tide_manager_subscribe(manager, &subscriber, NULL, NULL, err));
	else
		refused(TIDE_UNSUPPORTED,
			tide_manager_subscribe(manager, &subscriber, NULL, NULL, err));
}

#define CONFIG(field, value, mention)                                                              \
	do {                                                                                       \
		struct tide_subscription_config config = TIDE_SUBSCRIPTION_CONFIG_DEFAULT;         \
		config.field = value;                                                              \
		struct tide_error why =                                                            \
			refused(TIDE_ARGUMENT,                                                     \
				tide_manager_subscribe(manager, &subscriber, &config, NULL, err)); \
		must_mention(&why, #field);                                                        \
		must_mention(&why, mention);                                                       \
	} while (0)

static void invalid_configurations_are_refused_with_field_and_value(struct fixture *f)
{
	static const char *const bad_types[] = { "not good", NULL }, *const unterminated[] = {
		"[ab", NULL
	};
	static const char *const no_pattern[] = { "", NULL };
	struct tide_subscriber subscriber = { .name = "p", .handle = accept_all };
	MANAGER *manager = manager_of(f->store);
	CONFIG(start_from, (enum tide_start_from)77, "77");
	CONFIG(batch_size, 0, "0");
	CONFIG(batch_size, -5, "-5");
	CONFIG(max_in_flight, 0, "0");
	CONFIG(max_batch_bytes, 0, "0");
	CONFIG(backpressure_threshold, 1.5, "1.5");
	CONFIG(backpressure_threshold, -0.5, "-0.5");
	CONFIG(backpressure_threshold, __builtin_nan(""), "nan");
	CONFIG(checkpoint_strategy, (enum tide_checkpoint_strategy)9, "9");
	CONFIG(checkpoint_interval_seconds, 0.0, "0");
	CONFIG(checkpoint_interval_seconds, __builtin_inf(), "inf");
	CONFIG(poll_interval_seconds, -1.0, "-1");
	CONFIG(processing_timeout, 0.0, "0");
	CONFIG(shutdown_timeout, 0.0, "0");
	CONFIG(event_types, bad_types, "not good");
	CONFIG(event_type_patterns, unterminated, "[ab");
	CONFIG(event_type_patterns, no_pattern, "");
	CONFIG(aggregate_types, bad_types, "not good");
	CONFIG(tenant_id, &nil_uuid, "nil");
	CONFIG(max_retries, -1, "-1");
	CONFIG(max_infrastructure_retries, -2, "-2");
	CONFIG(initial_retry_delay, 0.0, "0");
	CONFIG(max_retry_delay, 0.5, "0.5");
	CONFIG(retry_exponential_base, 1.0, "1");
	CONFIG(retry_jitter, 1.5, "1.5");
	CONFIG(max_recent_errors, -1, "-1");
	CONFIG(max_errors_before_stop, -1, "-1");
	CONFIG(circuit_breaker_failure_threshold, 0, "0");
	CONFIG(circuit_breaker_recovery_timeout, 0.0, "0");
	CONFIG(partition_total, 1025, "1025");
	struct tide_subscription_config config = TIDE_SUBSCRIPTION_CONFIG_DEFAULT;
	config.partition_total = 4;
	config.partition_index = 4;
	refused(TIDE_ARGUMENT, tide_manager_subscribe(manager, &subscriber, &config, NULL, err));
	config = (struct tide_subscription_config)TIDE_SUBSCRIPTION_CONFIG_DEFAULT;
	config.discard_failed_events = config.hold_aggregate_on_failure = true;
	refused(TIDE_ARGUMENT, tide_manager_subscribe(manager, &subscriber, &config, NULL, err));
	config = (struct tide_subscription_config)TIDE_SUBSCRIPTION_CONFIG_DEFAULT;
	config.start_from = TIDE_START_POSITION;
	config.start_position = -1;
	refused(TIDE_ARGUMENT, tide_manager_subscribe(manager, &subscriber, &config, NULL, err));
	assert_int_equal(tide_manager_count(manager), 0);
}

static void manager_is_destroyed_stopped_only(struct fixture *f)
{
	RECORDER *recorder = recorder_new();
	struct tide_subscriber subscriber = subscriber_of("p", recorder);
	struct tide_manager *manager = manager_of(f->store);
	subscribe(manager, &subscriber, NULL);
	start(manager);
	refused(TIDE_STATE, tide_manager_destroy(manager, err));
	stop(manager);
	stop(manager);
	must(tide_manager_destroy(manager, err));
	struct tide_manager *none;
	refused(TIDE_ARGUMENT, tide_manager_open(NULL, &none, err));
	refused(TIDE_ARGUMENT, tide_manager_open(TIDE_MANAGER(.store = NULL), &none, err));
	refused(TIDE_ARGUMENT, tide_manager_open(TIDE_MANAGER(.store = f->store), NULL, err));
}

static void closing_nothing_is_allowed(struct fixture *f)
{
	(void)f;
	tide_store_close(NULL);
	tide_reader_close(NULL);
	tide_checkpoints_close(NULL);
	tide_manager_close(NULL);
	tide_free(NULL);
	struct tide_dead_letter_list list = { 0 };
	tide_dead_letters_free(&list);
}

const struct test_case bad_input_cases[] = {
	CASE(invalid_events_are_refused),
	CASE(invalid_appends_are_refused),
	CASE(payload_and_metadata_have_a_size_limit),
	CASE(size_limit_can_be_chosen_per_store),
	CASE(invalid_reads_are_refused),
	CASE(invalid_urls_are_refused),
	CASE(invalid_projection_names_are_refused),
	CASE(invalid_progress_is_refused),
	CASE(invalid_dead_letters_are_refused),
	CASE(invalid_subscribers_are_refused),
	CASE(transactional_handlers_need_transactions),
	CASE(invalid_configurations_are_refused_with_field_and_value),
	CASE(manager_is_destroyed_stopped_only),
	CASE(closing_nothing_is_allowed),
	CASES_END,
};
