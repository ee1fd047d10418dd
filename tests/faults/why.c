/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Why a subscription is not further: each cause set up for real on SQLite and on PostgreSQL, and
 * asked for through a store of its own, as another process does. What is claimed of a cause is its
 * code and its evidence, never its words.
 */
#include <signal.h>
#include <sys/prctl.h>

#ifdef TIDE_HAVE_POSTGRES
#include <libpq-fe.h>
#endif

#include <tidemark/command_projection.h>

#include "why_scene.h"

/* ---- Handlers -------------------------------------------------------------------------------- */

static tide_status waits_at_the_gate(struct witness *witness, const struct tide_event *event,
				     struct tide_delivery *delivery)
{
	(void)event;
	while (!atomic_load(&witness->gate) && !tide_delivery_is_stopping(delivery))
		wait_a_moment();
	return TIDE_OK;
}

static tide_status fails_for_a_while(struct witness *witness, const struct tide_event *event,
				     struct tide_delivery *delivery)
{
	if (event->version == 1 && !atomic_load(&witness->gate))
		return tide_delivery_fail(delivery, TIDE_HANDLER_TRANSIENT, "the mill is broken");
	return TIDE_OK;
}

static tide_status takes_a_while(struct witness *witness, const struct tide_event *event,
				 struct tide_delivery *delivery)
{
	(void)event;
	(void)delivery;
	pass_time(*(const double *)witness->more);
	return TIDE_OK;
}

/* ---- Going on -------------------------------------------------------------------------------- */

static void a_live_subscription_is_told_with_its_last_event(void **state)
{
	struct scene scene;
	struct tide_subscription_config config = quick_config();
	scene_open(&scene, state);
	append_many(scene.fixture.store, order(1), 1, 3);
	tide_position end = end_of(scene.fixture.store);
	scene_run(&scene, &config);
	wait_position(scene.subscription, end);

	struct tide_why why = comes_to(&scene, TIDE_CAUSE_LIVE);
	assert_int_equal(why.state, TIDE_STATE_LIVE);
	assert_true(number(&why, "position") == (double)end);
	assert_true(number(&why, "pid") == getpid());
	assert_string_equal(text(&why, "last_event_type"), "Counted");
	assert_true(number(&why, "idle_seconds") >= 0);
	comes_to_inside(&scene, TIDE_CAUSE_LIVE);
	scene_close(&scene);
}

static void one_that_reads_history_tells_how_fast(void **state)
{
	struct scene scene;
	struct tide_subscription_config config = quick_config();
	double seconds = 0.004;
	scene_open(&scene, state);
	scene.witness.decide = takes_a_while;
	scene.witness.more = &seconds;
	append_many(scene.fixture.store, order(1), 1, 2000);
	tide_position end = end_of(scene.fixture.store);
	scene_run(&scene, &config);

	struct tide_why why = comes_to(&scene, TIDE_CAUSE_CATCHING_UP);
	while (!tide_why_evidence(&why, "events_per_second"))
		why = comes_to(&scene, TIDE_CAUSE_CATCHING_UP);
	assert_int_equal(why.state, TIDE_STATE_CATCHING_UP);
	assert_true(number(&why, "feed_end") == (double)end);
	assert_true(number(&why, "lag_events") > 0);
	assert_true(number(&why, "events_per_second") > 0);
	assert_true(why.has_since);
	scene_close(&scene);
}

static void a_slow_handler_is_told_by_its_share_of_the_time(void **state)
{
	struct scene scene;
	struct tide_subscription_config config = quick_config();
	double seconds = 0.05;
	scene_open(&scene, state);
	scene.witness.decide = takes_a_while;
	scene.witness.more = &seconds;
	append_many(scene.fixture.store, order(1), 1, 2000);
	scene_run(&scene, &config);

	struct tide_why why = comes_to(&scene, TIDE_CAUSE_SLOW_HANDLER);
	assert_true(number(&why, "handler_percent") >= 90);
	assert_true(number(&why, "events_per_second") < 100);
	assert_true(number(&why, "lag_events") > 0);
	int64_t version = 1; /* its rate is of the last seconds */
	wait_for(PATIENCE, (append_many(scene.fixture.store, order(2), version++, 1),
			    why = comes_to(&scene, TIDE_CAUSE_SLOW_HANDLER),
			    number(&why, "appends_per_second") > 0));
	why = comes_to_inside(&scene, TIDE_CAUSE_SLOW_HANDLER);
	assert_non_null(tide_why_evidence(&why, "appends_per_second"));
	scene_close(&scene);
}

/* ---- Its handler ----------------------------------------------------------------------------- */

static void a_call_that_goes_on_is_told_and_taken_back(void **state)
{
	struct scene scene;
	struct tide_subscription_config config = quick_config();
	scene_open(&scene, state);
	scene.witness.decide = waits_at_the_gate;
	append_many(scene.fixture.store, order(1), 1, 1);
	tide_position first = end_of(scene.fixture.store);
	scene_run(&scene, &config);

	struct tide_why why = comes_to(&scene, TIDE_CAUSE_HANDLER_RUNNING);
	assert_true(number(&why, "event_position") == (double)first);
	assert_true(number(&why, "running_seconds") >= 1);
	assert_true(number(&why, "limit_seconds") == config.processing_timeout);
	assert_true(number(&why, "pid") == getpid());
	comes_to_inside(&scene, TIDE_CAUSE_HANDLER_RUNNING);

	atomic_store(&scene.witness.gate, true);
	comes_to(&scene, TIDE_CAUSE_LIVE);
	scene_close(&scene);
}

static void a_call_past_its_time_is_stuck(void **state)
{
	struct scene scene;
	struct tide_subscription_config config = quick_config();
	config.processing_timeout = 0.5;
	scene_open(&scene, state);
	scene.witness.decide = waits_at_the_gate;
	append_many(scene.fixture.store, order(1), 1, 1);
	tide_position first = end_of(scene.fixture.store);
	scene_run(&scene, &config);

	struct tide_why why = comes_to(&scene, TIDE_CAUSE_HANDLER_STUCK);
	assert_true(number(&why, "event_position") == (double)first);
	assert_true(number(&why, "limit_seconds") == 0.5);
	assert_true(*why.advice);
	comes_to_inside(&scene, TIDE_CAUSE_HANDLER_STUCK);
	scene_close(&scene);
}

static void an_event_that_is_tried_again_is_told_with_its_attempts(void **state)
{
	struct scene scene;
	struct tide_subscription_config config = quick_config();
	config.initial_retry_delay = config.max_retry_delay = 3;
	config.max_retries = 40;
	scene_open(&scene, state);
	scene.witness.decide = fails_for_a_while;
	append_many(scene.fixture.store, order(1), 1, 2);
	tide_position first = 1;
	scene_run(&scene, &config);

	struct tide_why why = comes_to(&scene, TIDE_CAUSE_RETRYING);
	assert_true(number(&why, "event_position") == (double)first);
	assert_string_equal(text(&why, "event_type"), "Counted");
	assert_int_equal(strlen(text(&why, "event_id")), 36);
	assert_true(number(&why, "attempts") >= 1);
	assert_true(number(&why, "max_attempts") == 41);
	assert_string_equal(text(&why, "error"), "the mill is broken");
	assert_string_equal(text(&why, "error_name"), "handler_transient");
	assert_non_null(text(&why, "next_at"));
	comes_to_inside(&scene, TIDE_CAUSE_RETRYING);

	atomic_store(&scene.witness.gate, true);
	comes_to(&scene, TIDE_CAUSE_LIVE);
	scene_close(&scene);
}

static void an_open_breaker_is_told_with_its_end(void **state)
{
	struct scene scene;
	struct tide_subscription_config config = quick_config();
	config.circuit_breaker_enabled = true;
	config.circuit_breaker_failure_threshold = 2;
	config.circuit_breaker_recovery_timeout = 300;
	config.max_retries = 40;
	scene_open(&scene, state);
	scene.witness.decide = fails_for_a_while;
	append_many(scene.fixture.store, order(1), 1, 1);
	tide_position first = end_of(scene.fixture.store);
	scene_run(&scene, &config);

	struct tide_why why = comes_to(&scene, TIDE_CAUSE_HANDLER_BREAKER);
	assert_int_equal(why.state, TIDE_STATE_PAUSED);
	assert_true(number(&why, "failures") == 2);
	assert_true(number(&why, "event_position") == (double)first);
	assert_string_equal(text(&why, "error"), "the mill is broken");
	assert_non_null(text(&why, "until"));
	comes_to_inside(&scene, TIDE_CAUSE_HANDLER_BREAKER);
	scene_close(&scene);
}

static struct tide_command_projection *command_of(const char *script)
{
	struct tide_command_projection *command;
	must(tide_command_projection_open(
		TIDE_COMMAND_PROJECTION(.name = NAME,
					.arguments =
						(const char *const[]){ "sh", "-c", script, NULL },
					.max_process_deaths = 100),
		&command, err));
	return command;
}

static void a_command_that_ends_is_told_with_its_status(void **state)
{
	struct scene scene;
	struct tide_subscription_config config = quick_config();
	struct tide_command_projection *command = command_of("read -r event; exit 3");
	config.initial_retry_delay = config.max_retry_delay = 3;
	config.max_retries = 40;
	scene_open(&scene, state);
	append_many(scene.fixture.store, order(1), 1, 1);
	scene_run_as(&scene, tide_command_projection_subscriber(command), &config);

	struct tide_why why = comes_to(&scene, TIDE_CAUSE_RETRYING);
	assert_true(number(&why, "event_position") == 1);
	assert_string_equal(text(&why, "error_name"), "handler_transient");
	assert_non_null(strstr(text(&why, "error"), "status 3"));
	scene_close(&scene);
	tide_command_projection_close(command);
}

static void a_command_that_does_not_answer_is_running(void **state)
{
	struct scene scene;
	struct tide_subscription_config config = quick_config();
	struct tide_command_projection *command = command_of("while read -r event; do :; done");
	config.processing_timeout = 300;
	scene_open(&scene, state);
	append_many(scene.fixture.store, order(1), 1, 1);
	scene_run_as(&scene, tide_command_projection_subscriber(command), &config);

	struct tide_why why = comes_to(&scene, TIDE_CAUSE_HANDLER_RUNNING);
	assert_true(number(&why, "event_position") == 1);
	assert_true(number(&why, "running_seconds") >= 1);
	scene_close(&scene);
	tide_command_projection_close(command);
}

/* ---- Its databases --------------------------------------------------------------------------- */

/* The events come through a store whose operations fail. */
static struct tide_store *faulty_open(const struct fixture *fixture, const char *faults)
{
	char url[3 * TEMP_PATH_SIZE];
	struct tide_store *store;
	snprintf(url, sizeof url, "fault:%s/%s", faults, fixture->url);
	must(tide_store_open(url, NULL, &store, err));
	return store;
}

static void scene_run_over(struct scene *scene, struct tide_store *store)
{
	struct tide_subscription_config config = quick_config();
	config.max_retry_delay = 0.5;
	tide_manager_close(scene->manager);
	must(tide_manager_open(
		TIDE_MANAGER(.store = store, .checkpoints = scene->fixture.checkpoints),
		&scene->manager, err));
	scene_run(scene, &config);
}

static void a_database_that_is_away_is_told_with_its_error(void **state)
{
	struct scene scene;
	scene_open(&scene, state);
	append_many(scene.fixture.store, order(1), 1, 1);
	struct tide_store *faulty =
		faulty_open(&scene.fixture, "op=read,status=connection_lost,times=-1");
	scene_run_over(&scene, faulty);

	struct tide_why why = comes_to(&scene, TIDE_CAUSE_DATABASE_AWAY);
	assert_string_equal(text(&why, "error_name"), "connection_lost");
	assert_string_equal(text(&why, "database"), tide_store_url(faulty));
	assert_non_null(text(&why, "next_at"));
	assert_true(why.has_since);
	comes_to_inside(&scene, TIDE_CAUSE_DATABASE_AWAY);
	tide_manager_close(scene.manager);
	scene.manager = NULL;
	tide_store_close(faulty);
	scene_close(&scene);
}

static void a_full_disk_is_told_apart(void **state)
{
	struct scene scene;
	scene_open(&scene, state);
	append_many(scene.fixture.store, order(1), 1, 1);
	struct tide_store *faulty =
		faulty_open(&scene.fixture, "op=save,status=disk_full,times=-1");
	struct tide_checkpoints *checkpoints;
	struct tide_subscription_config config = quick_config();
	must(tide_checkpoints_open(NULL, NULL, faulty, &checkpoints, err));
	tide_manager_close(scene.manager);
	must(tide_manager_open(
		TIDE_MANAGER(.store = scene.fixture.store, .checkpoints = checkpoints),
		&scene.manager, err));
	scene_run(&scene, &config);

	struct tide_why why = comes_to(&scene, TIDE_CAUSE_DISK_FULL);
	assert_string_equal(text(&why, "error_name"), "disk_full");
	assert_true(*why.advice);
	comes_to_inside(&scene, TIDE_CAUSE_DISK_FULL);
	tide_manager_close(scene.manager);
	scene.manager = NULL;
	tide_checkpoints_close(checkpoints);
	tide_store_close(faulty);
	scene_close(&scene);
}

/* Another process that writes, and does not end. */
static int sqlite_writer(const char *file, int report_to)
{
	sqlite3 *database;
	prctl(PR_SET_NAME, "night-writer");
	if (sqlite3_open(file, &database) != SQLITE_OK ||
	    sqlite3_busy_timeout(database, 10000) != SQLITE_OK ||
	    sqlite3_exec(database, "BEGIN IMMEDIATE; CREATE TABLE held (a)", NULL, NULL, NULL) !=
		    SQLITE_OK)
		return 1;
	child_report(report_to, 'h');
	for (;;)
		pass_time(1);
}

struct hold {
	struct child child;
	void *connection;
};

static int hold_begin(struct hold *hold, const struct fixture *fixture)
{
#ifdef TIDE_HAVE_POSTGRES
	if (strcmp(fixture->backend->name, "postgres") == 0) {
		char sql[200];
		hold->connection = PQconnectdb("application_name=night-writer");
		snprintf(sql, sizeof sql, "SET search_path = %s; BEGIN; LOCK TABLE mills",
			 strstr(fixture->url, "schema=") + strlen("schema="));
		PGresult *result = PQexec(hold->connection, sql);
		assert_int_equal(PQresultStatus(result), PGRES_COMMAND_OK);
		PQclear(result);
		return PQbackendPID(hold->connection);
	}
#endif
	hold->child = child_start(sqlite_writer, fixture->url + strlen("sqlite:"));
	assert_int_equal(child_await(&hold->child, PATIENCE), 'h');
	return hold->child.pid;
}

static void hold_end(struct hold *hold)
{
#ifdef TIDE_HAVE_POSTGRES
	if (hold->connection) {
		PQfinish(hold->connection);
		return;
	}
#endif
	child_signal(&hold->child, SIGKILL);
	child_join(&hold->child);
}

static void who_keeps_it_from_writing_is_named(void **state)
{
	struct scene scene;
	struct scribe scribe = { .backend = *state };
	struct tide_subscription_config config = quick_config();
	struct tide_subscriber subscriber = scribe_subscriber(&scribe);
	struct hold hold = { 0 };
	config.processing_timeout = 300;
	config.max_retries = 1000;
	scene_open(&scene, state);
	scene_run_as(&scene, &subscriber, &config);
	append_many(scene.fixture.store, order(1), 1, 1);
	wait_position(scene.subscription, end_of(scene.fixture.store));

	assert_true(tide_manager_pause(scene.manager, NAME, TIDE_PAUSE_MANUAL));
	append_many(scene.fixture.store, order(2), 1, 1);
	int pid = hold_begin(&hold, &scene.fixture);
	assert_true(tide_manager_resume(scene.manager, NAME));

	struct tide_why why = comes_to(&scene, TIDE_CAUSE_BLOCKED);
	assert_true(number(&why, "blocker_pid") == pid);
	assert_non_null(strstr(text(&why, "blocker"), "night-writer"));
	assert_true(number(&why, "position") == 1);
	why = comes_to_inside(&scene, TIDE_CAUSE_BLOCKED);
	assert_true(number(&why, "blocker_pid") == pid);

	hold_end(&hold);
	comes_to(&scene, TIDE_CAUSE_LIVE);
	scene_close(&scene);
}

#ifdef TIDE_HAVE_POSTGRES
static void an_append_that_stays_open_is_named(void **state)
{
	struct scene scene;
	struct tide_subscription_config config = quick_config();
	char sql[500];
	scene_open(&scene, state);
	append_many(scene.fixture.store, order(1), 1, 1);
	scene_run(&scene, &config);
	wait_position(scene.subscription, 1);

	PGconn *writer = PQconnectdb("application_name=night-writer");
	snprintf(sql, sizeof sql,
		 "SET search_path = %s; BEGIN; INSERT INTO events (event_id, aggregate_id, "
		 "aggregate_type, event_type, version, timestamp, payload) VALUES "
		 "(gen_random_uuid(), gen_random_uuid(), 'Late', 'Came', 1, now(), '{}')",
		 strstr(scene.fixture.url, "schema=") + strlen("schema="));
	PQclear(PQexec(writer, sql));
	append_many(scene.fixture.store, order(2), 1, 2);

	struct tide_why why = comes_to(&scene, TIDE_CAUSE_OPEN_APPEND);
	char pid[24];
	snprintf(pid, sizeof pid, "pid %d ", PQbackendPID(writer));
	assert_ptr_equal(strstr(text(&why, "holder"), pid), text(&why, "holder"));
	assert_non_null(strstr(text(&why, "holder"), "night-writer"));
	assert_true(number(&why, "newest") == 4);
	assert_true(number(&why, "position") == 1);
	comes_to_inside(&scene, TIDE_CAUSE_OPEN_APPEND);

	PQclear(PQexec(writer, "ROLLBACK"));
	PQfinish(writer);
	comes_to(&scene, TIDE_CAUSE_LIVE);
	scene_close(&scene);
}
#endif

/* clang-format off */
static struct CMUnitTest tests[] = {
	ON_BOTH(a_live_subscription_is_told_with_its_last_event),
	ON_BOTH(one_that_reads_history_tells_how_fast),
	ON_BOTH(a_slow_handler_is_told_by_its_share_of_the_time),
	ON_BOTH(a_call_that_goes_on_is_told_and_taken_back),
	ON_BOTH(a_call_past_its_time_is_stuck),
	ON_BOTH(an_event_that_is_tried_again_is_told_with_its_attempts),
	ON_BOTH(an_open_breaker_is_told_with_its_end),
	ON_BOTH(a_command_that_ends_is_told_with_its_status),
	ON_BOTH(a_command_that_does_not_answer_is_running),
	ON_BOTH(a_database_that_is_away_is_told_with_its_error),
	ON_BOTH(a_full_disk_is_told_apart),
	ON_BOTH(who_keeps_it_from_writing_is_named),
#ifdef TIDE_HAVE_POSTGRES
	ON("postgres", an_append_that_stays_open_is_named),
#endif
};
/* clang-format on */

/* PROGRAM [PATTERN]: the cases whose name has the pattern. */
int main(int argc, char **argv)
{
	return scene_main(argc, argv, tests, COUNT(tests));
}
