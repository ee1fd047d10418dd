/* SPDX-License-Identifier: Apache-2.0 */
/* Databases whose encoding is not UTF-8: nothing in an event, or in what a handler says, may block
 * a subscription. */
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include <tidemark/tidemark.h>

#include "faults/postgres_tools.h"

/** A subscription over a database of its own, whose handler fails until it is healed. */
struct trial {
	char url[64];
	struct tide_store *store;
	struct tide_checkpoints *checkpoints;
	struct tide_manager *manager;
	struct tide_subscription *subscription;
	atomic_bool is_healed;
	atomic_int handled;
};

static tide_status trial_handle(void *self, const struct tide_event *event,
				struct tide_delivery *delivery)
{
	struct trial *trial = self;
	(void)event;
	if (trial->is_healed) {
		trial->handled++;
		return TIDE_OK;
	}
	tide_delivery_set_stacktrace(delivery, "at \xe4\xb8\xad\xf0\x9f\x8c\x8a and \xff");
	return tide_delivery_fail(delivery, TIDE_HANDLER_PERMANENT,
				  "no \xe4\xb8\xad\xc3\xa9 in \xf0\x9f\x8c\x8a");
}

static void trial_open(struct trial *trial, const char *encoding, bool is_transactional)
{
	char sql[160];
	PGconn *server = sql_connect("");
	*trial = (struct trial){ .is_healed = false };
	snprintf(sql, sizeof sql, "DROP DATABASE IF EXISTS strange WITH (FORCE)");
	sql_run(server, sql);
	snprintf(sql, sizeof sql,
		 "CREATE DATABASE strange ENCODING '%s' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE "
		 "template0",
		 encoding);
	sql_run(server, sql);
	PQfinish(server);
	snprintf(trial->url, sizeof trial->url, "postgresql:///strange");
	must(tide_store_open(trial->url, TIDE_STORE_OPTIONS(.initialize = true), &trial->store,
			     err));
	must(tide_checkpoints_open(NULL, NULL, trial->store, &trial->checkpoints, err));
	must(tide_manager_open(
		TIDE_MANAGER(.store = trial->store, .checkpoints = trial->checkpoints),
		&trial->manager, err));
	struct tide_subscriber subscriber = { .name = "p",
					      .self = trial,
					      .handle = trial_handle,
					      .transactional = is_transactional };
	struct tide_subscription_config config = TIDE_SUBSCRIPTION_CONFIG_DEFAULT;
	config.circuit_breaker_enabled = false;
	must(tide_manager_subscribe(trial->manager, &subscriber, &config, &trial->subscription,
				    err));
}

static void trial_run(struct trial *trial)
{
	tide_position end;
	(void)tide_manager_start(trial->manager, NULL, 10, NULL, NULL, NULL);
	must(tide_store_end(trial->store, &end, err));
	must(tide_subscription_wait(trial->subscription, end, 30, err));
}

static void trial_close(struct trial *trial)
{
	tide_manager_close(trial->manager);
	tide_checkpoints_close(trial->checkpoints);
	tide_store_close(trial->store);
}

static struct tide_dead_letter_list letters(struct trial *trial,
					    enum tide_dead_letter_status status)
{
	struct tide_dead_letter_list list;
	must(tide_dead_letters_list(
		trial->checkpoints,
		&(struct tide_dead_letter_query){ .projection_name = "p", .status = status }, &list,
		err));
	return list;
}

static void append_payload(struct trial *trial, const char *payload)
{
	struct tide_new_event event = event_of("Odd", 1);
	event.payload = tide_text(payload);
	must(tide_store_append(trial->store,
			       &(struct tide_append){ .stream = stream_of("Order", 1),
						      .expected = TIDE_ANY,
						      .events = &event,
						      .count = 1 },
			       NULL, err));
}

/* Set aside, then delivered again once the handler is well: from the queue alone when the event is
 * gone, as all are but the one that the subscription stands on. */
static void retry_all(struct trial *trial, int count, bool is_gone)
{
	struct tide_dead_letter_list list = letters(trial, TIDE_DEAD_LETTER_FAILED);
	assert_int_equal(list.count, count);
	for (size_t i = 0; i < list.count; i++) {
		assert_non_null(strstr(list.entries[i].error_message, " in "));
		assert_non_null(strstr(list.entries[i].error_stacktrace, "and \\xff"));
	}
	if (is_gone) {
		PGconn *past = sql_connect("dbname=strange");
		sql_run(past, "DELETE FROM events WHERE global_position < "
			      "(SELECT max(global_position) FROM events)");
		PQfinish(past);
	}
	trial->is_healed = true;
	for (size_t i = 0; i < list.count; i++)
		must(tide_dead_letters_retry(trial->checkpoints, list.entries[i].id, err));
	tide_dead_letters_free(&list);
	wait_for(30, trial->handled == count);
	for (bool is_done = false; !is_done;) {
		list = letters(trial, TIDE_DEAD_LETTER_RESOLVED);
		is_done = list.count == (size_t)count;
		tide_dead_letters_free(&list);
	}
}

static void odd_events_are_set_aside_and_delivered_again(const char *encoding)
{
	for (int variant = 0; variant < 4; variant++) {
		struct trial trial;
		trial_open(&trial, encoding, variant & 1);
		append_payload(&trial, "{\"text\":\"\\u4e2d\"}");
		append_payload(&trial, "{\"number\":1e200000}");
		append_payload(&trial, "{\"plain\":1}");
		trial_run(&trial);
		retry_all(&trial, 3, variant & 2);
		trial_close(&trial);
	}
}

static void latin1_database_sets_every_event_aside(void **state)
{
	(void)state;
	odd_events_are_set_aside_and_delivered_again("LATIN1");
}

static void database_without_encoding_sets_every_event_aside(void **state)
{
	(void)state;
	odd_events_are_set_aside_and_delivered_again("SQL_ASCII");
}

static void database_of_another_encoding_sets_every_event_aside(void **state)
{
	(void)state;
	odd_events_are_set_aside_and_delivered_again("LATIN2");
}

static void utf8_database_sets_every_event_aside(void **state)
{
	(void)state;
	odd_events_are_set_aside_and_delivered_again("UTF8");
}

/* Any bytes are in such a database; a row of bytes that are no UTF-8 is no event, and the next one
 * is. */
static void row_that_is_no_utf8_does_not_end_the_feed(void **state)
{
	(void)state;
	struct trial trial;
	trial_open(&trial, "SQL_ASCII", false);
	append_payload(&trial, "{\"plain\":1}");
	PGconn *past = sql_connect("dbname=strange client_encoding=SQL_ASCII");
	sql_run(past,
		"INSERT INTO events (event_id, aggregate_id, aggregate_type, event_type, version, "
		"timestamp, "
		"payload, event_version, metadata) VALUES ('11111111-1111-4111-8111-111111111111', "
		"'22222222-2222-4222-8222-222222222222', 'Order', 'Br\xffken', 1, now(), "
		"'{\"n\":\"\xff\"}', 1, '{}')");
	PQfinish(past);
	append_payload(&trial, "{\"plain\":2}");
	trial.is_healed = true;
	trial_run(&trial);
	assert_int_equal(trial.handled, 2);
	struct tide_dead_letter_list list = letters(&trial, TIDE_DEAD_LETTER_FAILED);
	assert_int_equal(list.count, 1);
	assert_non_null(strstr(list.entries[0].event_data, "\\\\xff"));
	/* unmended, it fails once more, and nothing else does */
	int64_t id = list.entries[0].id;
	tide_dead_letters_free(&list);
	must(tide_dead_letters_retry(trial.checkpoints, id, err));
	for (int32_t retries = 0; retries == 0;) {
		must(tide_dead_letters_get(trial.checkpoints, id, &list, err));
		retries = list.entries[0].retry_count;
		tide_dead_letters_free(&list);
	}
	append_payload(&trial, "{\"plain\":3}");
	wait_for(30, trial.handled == 3);
	trial_close(&trial);
}

int main(void)
{
	if (!postgres_start())
		return 77;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(utf8_database_sets_every_event_aside),
		cmocka_unit_test(latin1_database_sets_every_event_aside),
		cmocka_unit_test(database_of_another_encoding_sets_every_event_aside),
		cmocka_unit_test(database_without_encoding_sets_every_event_aside),
		cmocka_unit_test(row_that_is_no_utf8_does_not_end_the_feed),
	};
	int failed = cmocka_run_group_tests_name("postgres_encodings", tests, NULL, NULL);
	postgres_stop();
	return failed ? 1 : 0;
}
