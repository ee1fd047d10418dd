/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A statement of a SQL projection on PostgreSQL meets what is no fault of its event, and what is:
 * by the code that the server gives it.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include <tidemark/tidemark.h>

#include "postgres_tools.h"

#define PATIENCE 30

/* ---- A projection that runs ------------------------------------------------------------------ */

/** A store in a schema of its own, and the projection over it. */
struct scene {
	struct tide_store *store;
	struct tide_checkpoints *checkpoints;
	struct tide_manager *manager;
	struct tide_sql_projection *projection;
	struct tide_subscription *subscription;
	atomic_int records[TIDE_STATUS_COUNT]; /* failures, by status */
	tide_position end;
};

static void scene_note(void *self, const struct tide_error_record *record)
{
	struct scene *scene = self;
	atomic_fetch_add(&scene->records[record->error_type], 1);
}

static struct tide_subscription_config config_patient(void)
{
	struct tide_subscription_config config = TIDE_SUBSCRIPTION_CONFIG_DEFAULT;
	config.initial_retry_delay = 0.01;
	config.max_retry_delay = 0.05;
	config.max_retries = config.max_infrastructure_retries = 1000000;
	config.circuit_breaker_enabled = false;
	return config;
}

/* What the statement meets is the code in the one row of `obstacle`. */
static void scene_open(struct scene *scene, const char *schema, const char *more)
{
	char url[200];
	int64_t id;
	*scene = (struct scene){ 0 };
	snprintf(url, sizeof url, "postgresql:///?schema=%s%s", schema, more);
	must(tide_store_open(url, TIDE_STORE_OPTIONS(.initialize = true), &scene->store, err));
	must(tide_checkpoints_open(NULL, NULL, scene->store, &scene->checkpoints, err));
	postgres_sql(schema,
		     "CREATE TABLE obstacle (code text); INSERT INTO obstacle VALUES (NULL); "
		     "CREATE FUNCTION pass() RETURNS void LANGUAGE plpgsql AS $$ "
		     "DECLARE met text; BEGIN SELECT code INTO met FROM obstacle; "
		     "IF met IS NOT NULL THEN RAISE EXCEPTION 'not now' USING ERRCODE = met; "
		     "END IF; END $$");
	must(tide_sql_projection_open(
		TIDE_SQL_PROJECTION(.text = "-- init:\n"
					    "CREATE TABLE IF NOT EXISTS seen (at bigint);\n"
					    "-- on: Counted\n"
					    "INSERT INTO seen VALUES (:global_position);\n"
					    "SELECT pass();\n",
				    .name = "Seen", .url = url),
		&scene->projection, err));
	struct tide_subscription_config config = config_patient();
	must(tide_manager_open(TIDE_MANAGER(.store = scene->store), &scene->manager, err));
	must(tide_manager_on_error(scene->manager, TIDE_ERRORS_ALL, 0, scene_note, scene, &id,
				   err));
	must(tide_manager_subscribe(scene->manager,
				    tide_sql_projection_subscriber(scene->projection), &config,
				    &scene->subscription, err));
	must(tide_manager_start(scene->manager, NULL, 0, NULL, NULL, err));
}

/* Some events, of which the first comes alone and the others together. */
static void scene_append(struct scene *scene)
{
	append_many(scene->store, stream_of("Order", 1), (unsigned)scene->end, 5);
	scene->end += 5;
}

static void scene_is_through(struct scene *scene)
{
	tide_position position = 0;
	wait_for(PATIENCE, tide_checkpoints_position(scene->checkpoints, "Seen", &position, NULL) ==
					   TIDE_OK &&
				   position == scene->end);
}

static int64_t scene_failed(struct scene *scene)
{
	struct tide_subscription_status status;
	must(tide_subscription_status(scene->subscription, &status, err));
	assert_int_equal(status.events_failed, status.events_dlq);
	return status.events_dlq;
}

static void scene_close(struct scene *scene)
{
	tide_manager_close(scene->manager);
	tide_sql_projection_close(scene->projection);
	tide_checkpoints_close(scene->checkpoints);
	tide_store_close(scene->store);
}

/* ---- What it meets --------------------------------------------------------------------------- */

static void the_code_says_whether_the_event_is_to_blame(void **state)
{
	(void)state;
	static const struct {
		const char *code;
		tide_status status;
		bool is_over; /* once the obstacle is */
	} codes[] = {
		{ "40001", TIDE_BUSY, true },
		{ "40P01", TIDE_BUSY, true },
		{ "53200", TIDE_BUSY, true },
		{ "53300", TIDE_BUSY, true },
		{ "55P03", TIDE_BUSY, true },
		{ "57014", TIDE_TIMEOUT, true },
		{ "53100", TIDE_DISK_FULL, true },
		{ "58030", TIDE_IO, false },
		{ "XX001", TIDE_CORRUPT, false },
		{ "23505", TIDE_HANDLER_PERMANENT, false },
		{ "P0001", TIDE_HANDLER_PERMANENT, false },
	};
	struct scene scene;
	int64_t failed = 0;
	scene_open(&scene, "codes", "");
	for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
		char sql[80];
		atomic_int *records = &scene.records[codes[i].status];
		atomic_store(records, 0);
		snprintf(sql, sizeof sql, "UPDATE obstacle SET code = '%s'", codes[i].code);
		postgres_sql("codes", sql);
		scene_append(&scene);
		wait_for(PATIENCE, atomic_load(records) >= 5);
		if (!codes[i].is_over)
			scene_is_through(&scene);
		postgres_sql("codes", "UPDATE obstacle SET code = NULL");
		scene_is_through(&scene);
		failed += codes[i].is_over ? 0 : 5;
		assert_int_equal(scene_failed(&scene), failed);
		assert_int_equal(sql_asked("SELECT count(DISTINCT at) FROM codes.seen"),
				 scene.end - failed);
	}
	assert_int_equal(sql_asked("SELECT count(*) FROM codes.seen"), scene.end - failed);
	scene_close(&scene);
}

static void blocked_until(const char *schema, const char *more, tide_status status)
{
	struct scene scene;
	char sql[80];
	scene_open(&scene, schema, more);
	scene_append(&scene);
	scene_is_through(&scene);
	PGconn *other = sql_connect("");
	snprintf(sql, sizeof sql, "BEGIN; LOCK TABLE %s.seen", schema);
	sql_run(other, sql);
	scene_append(&scene);
	wait_for(PATIENCE, atomic_load(&scene.records[status]) >= 3);
	PQfinish(other);
	scene_is_through(&scene);
	assert_int_equal(scene_failed(&scene), 0);
	snprintf(sql, sizeof sql, "SELECT count(*) FROM %s.seen", schema);
	assert_int_equal(sql_asked(sql), scene.end);
	scene_close(&scene);
}

static void a_lock_that_is_waited_for_in_vain_blames_no_event(void **state)
{
	(void)state;
	blocked_until("locked", "&options=-clock_timeout%3D200ms", TIDE_BUSY);
}

static void a_statement_that_is_cancelled_blames_no_event(void **state)
{
	(void)state;
	blocked_until("cancelled", "&options=-cstatement_timeout%3D500ms", TIDE_TIMEOUT);
}

int main(void)
{
	if (!postgres_start())
		return 77;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_code_says_whether_the_event_is_to_blame),
		cmocka_unit_test(a_lock_that_is_waited_for_in_vain_blames_no_event),
		cmocka_unit_test(a_statement_that_is_cancelled_blames_no_event),
	};
	int failed = cmocka_run_group_tests_name("postgres_statements", tests, NULL, NULL);
	postgres_stop();
	return failed;
}
