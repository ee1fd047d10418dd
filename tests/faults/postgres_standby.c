/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What commits beside appends while the server's synchronous standby is missing: read models,
 * positions, dead letters, ownership. Events get there all the same, by writers that do not wait
 * for standbys.
 */
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include <tidemark/tidemark.h>

#include "lib/child.h"
#include "lib/proxy.h"
#include "lib/temp.h"
#include "postgres_tools.h"
#include "sys/thread.h"

#define MODULUS 1000003
#define EVENTS 12

/* ---- The server ------------------------------------------------------------------------------ */

/* Once one process waits for it the server has read its configuration again. */
static void standby_missing(void)
{
	PGconn *connection = sql_connect("");
	standby_named("nobody");
	wait_for(60, PQsendQuery(connection, "SELECT txid_current()") == 1);
	for (;;) {
		double until = seconds_now() + 0.5;
		while (PQisBusy(connection) && seconds_now() < until) {
			wait_a_moment();
			assert_true(PQconsumeInput(connection));
		}
		if (PQisBusy(connection))
			break;
		PGresult *result;
		while ((result = PQgetResult(connection)) != NULL)
			PQclear(result);
		assert_true(PQsendQuery(connection,
					"CREATE TABLE IF NOT EXISTS public.waits (n int); "
					"INSERT INTO public.waits VALUES (1)"));
	}
	PQfinish(connection); /* its process stays until the standby comes */
}

#define WAITING "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"

/* ---- A store, and a writer that does not wait ------------------------------------------------ */

/** A schema with a read model, and those who work with it. */
struct rig {
	char url[160];
	const char *schema;
	struct tide_store *store, *writer;
	struct tide_checkpoints *checkpoints;
	struct tide_manager *manager;
};

static struct tide_store *store_opened(const char *url)
{
	struct tide_store *store;
	must(tide_store_open(url, TIDE_STORE_OPTIONS(.initialize = true), &store, err));
	return store;
}

static struct rig rig_made(const char *schema)
{
	struct rig rig = { .schema = schema };
	char url[200];
	snprintf(rig.url, sizeof rig.url, "postgresql:///?schema=%s&append_timeout=1", schema);
	snprintf(url, sizeof url, "%s&options=-csynchronous_commit%%3Dlocal", rig.url);
	rig.store = store_opened(rig.url);
	rig.writer = store_opened(url);
	postgres_sql(schema, "CREATE TABLE model (events bigint, hash bigint, last bigint); "
			     "INSERT INTO model VALUES (0, 0, 0)");
	return rig;
}

static void rig_prepare(struct rig *rig, const struct tide_subscriber *subscriber)
{
	struct tide_subscription_config config = TIDE_SUBSCRIPTION_CONFIG_DEFAULT;
	config.initial_retry_delay = 0.01;
	config.max_retry_delay = 0.2;
	config.circuit_breaker_enabled = false;
	must(tide_checkpoints_open(NULL, NULL, rig->store, &rig->checkpoints, err));
	must(tide_manager_open(TIDE_MANAGER(.store = rig->store, .checkpoints = rig->checkpoints),
			       &rig->manager, err));
	must(tide_manager_subscribe(rig->manager, subscriber, &config, NULL, err));
}

/* Returns when it has found out where to begin. */
static void rig_start(void *self)
{
	must(tide_manager_start(((struct rig *)self)->manager, NULL, 0, NULL, NULL, err));
}

static void rig_run(struct rig *rig, const struct tide_subscriber *subscriber)
{
	rig_prepare(rig, subscriber);
	rig_start(rig);
}

static void rig_stop(struct rig *rig)
{
	tide_manager_close(rig->manager);
	tide_checkpoints_close(rig->checkpoints);
	rig->manager = NULL;
}

static void rig_close(struct rig *rig)
{
	tide_store_close(rig->writer);
	tide_store_close(rig->store);
}

static void rig_append(struct rig *rig, int count)
{
	for (int i = 0; i < count; i++)
		append_one(rig->writer, stream_of("Order", (unsigned)i % 3), "Counted");
}

static int64_t rig_number(const struct rig *rig, const char *what)
{
	char sql[300];
	snprintf(sql, sizeof sql, "SELECT %s FROM %s.%s", what, rig->schema,
		 strstr(what, "events_processed") || strstr(what, "global_position")
			 ? "projection_checkpoints"
			 : "model");
	return sql_asked(sql);
}

static tide_position rig_position(const struct rig *rig)
{
	return rig_number(rig, "coalesce(max(global_position), 0)");
}

/* Nothing lost, nothing twice, in order: the hash depends on it. */
static void rig_model_is_the_fold(const struct rig *rig)
{
	int64_t count = rig_number(rig, "events"), hash = 0;
	for (int64_t position = 1; position <= count; position++)
		hash = (hash * 31 + position) % MODULUS;
	assert_int_equal(rig_number(rig, "last"), count);
	assert_int_equal(rig_number(rig, "hash"), hash);
	assert_int_equal(rig_number(rig, "max(events_processed)"), count);
	assert_int_equal(rig_position(rig), count);
}

/* ---- Handlers -------------------------------------------------------------------------------- */

static tide_status project(void *self, const struct tide_event *event,
			   struct tide_delivery *delivery)
{
	char text[200];
	snprintf(text, sizeof text,
		 "UPDATE %s.model SET events = events + 1, hash = (hash * 31 + %lld) %% 1000003, "
		 "last = %lld",
		 ((const struct rig *)self)->schema, (long long)event->position,
		 (long long)event->position);
	PQclear(PQexec(tide_delivery_connection(delivery), text));
	return TIDE_OK;
}

static atomic_int handled;

static tide_status tally(void *self, const struct tide_event *event, struct tide_delivery *delivery)
{
	(void)self;
	(void)delivery;
	return event->position == atomic_fetch_add(&handled, 1) + 1
		       ? TIDE_OK
		       : tide_delivery_fail(delivery, TIDE_HANDLER_PERMANENT, "out of order");
}

static struct tide_subscriber transactional(struct rig *rig)
{
	return (struct tide_subscriber){
		.name = "model", .self = rig, .handle = project, .transactional = true
	};
}

/* ---- What is said of it ---------------------------------------------------------------------- */

static bool health_names_the_standby(struct tide_manager *manager, const char *name)
{
	struct tide_subscription_health health;
	must(tide_subscription_health(manager, name, &health, err));
	const char *message = health.indicators[TIDE_INDICATOR_STORE].message;
	return health.indicators[TIDE_INDICATOR_STORE].status == TIDE_UNHEALTHY &&
	       health.checkpoints == TIDE_UNAVAILABLE && strstr(message, "synchronous standby") &&
	       strstr(message, "nobody");
}

static bool health_is_good(struct tide_manager *manager, const char *name)
{
	struct tide_subscription_health health;
	must(tide_subscription_health(manager, name, &health, err));
	return health.indicators[TIDE_INDICATOR_STORE].status == TIDE_HEALTHY;
}

static void findings_take(void *self, enum tide_finding_level level, const char *check,
			  const char *advice, const char *finding)
{
	bool *names_the_wait = self;
	*names_the_wait |= level == TIDE_FINDING_PROBLEM && *advice &&
			   strcmp(check, "synchronous standby") == 0 && strstr(finding, "nobody");
}

static bool doctor_names_the_standby(const struct rig *rig)
{
	bool names_the_wait = false;
	void *store = backend_opened(rig->url), *session = session_opened(store);
	must(STORE->examine(session, findings_take, &names_the_wait, err));
	STORE->session_close(session);
	STORE->close(store);
	return names_the_wait;
}

/* ---- Cases ----------------------------------------------------------------------------------- */

static void a_read_model_waits_for_its_standby_and_goes_on(void **state)
{
	(void)state;
	struct rig rig = rig_made("transactional");
	const struct tide_subscriber subscriber = transactional(&rig);
	rig_append(&rig, EVENTS);
	rig_run(&rig, &subscriber);
	wait_for(30, rig_position(&rig) == EVENTS);
	wait_for(30, health_is_good(rig.manager, "model"));
	assert_false(doctor_names_the_standby(&rig));

	standby_missing();
	int64_t before = sql_asked(WAITING);
	rig_append(&rig, EVENTS);
	wait_for(30, health_names_the_standby(rig.manager, "model"));
	wait_for(30, doctor_names_the_standby(&rig));
	int64_t steps = sql_asked("SELECT count(*) FROM pg_stat_activity");
	for (double until = seconds_now() + 4; seconds_now() < until;)
		wait_a_moment(); /* several tries: each waits for the same commit */
	assert_int_equal(sql_asked(WAITING), before + 1);
	assert_true(sql_asked("SELECT count(*) FROM pg_stat_activity") <= steps + 1);
	assert_int_equal(rig_position(&rig), EVENTS);

	standby_named("");
	wait_for(60, rig_position(&rig) == 2 * EVENTS);
	wait_for(30, health_is_good(rig.manager, "model"));
	rig_append(&rig, 1);
	wait_for(30, rig_position(&rig) == 2 * EVENTS + 1);
	rig_stop(&rig);
	rig_model_is_the_fold(&rig);
	rig_close(&rig);
}

/*
 * The answer comes while the run still finds out why it is late, which takes a connection, and
 * those take a second here. A machine that is late itself misses that moment, and sees the case
 * above.
 */
static void an_answer_that_comes_while_its_cause_is_looked_for_counts(void **state)
{
	(void)state;
	struct rig rig = rig_made("crossing");
	const struct tide_subscriber subscriber = transactional(&rig);
	PGconn *look = sql_connect("");
	rig_append(&rig, EVENTS);
	rig_run(&rig, &subscriber);
	wait_for(30, rig_position(&rig) == EVENTS);
	standby_missing();
	int64_t before = sql_number(look, WAITING);
	sql_run(look, "ALTER SYSTEM SET post_auth_delay = 1");
	sql_run(look, "SELECT pg_reload_conf()");
	rig_append(&rig, EVENTS);
	wait_for(30, sql_number(look, WAITING) > before);
	for (double until = seconds_now() + 1.3; seconds_now() < until;)
		wait_a_moment(); /* past append_timeout */
	sql_run(look, "ALTER SYSTEM RESET synchronous_standby_names");
	sql_run(look, "ALTER SYSTEM RESET post_auth_delay");
	sql_run(look, "SELECT pg_reload_conf()");
	PQfinish(look);

	rig_append(&rig, 1);
	wait_for(60, rig_position(&rig) == 2 * EVENTS + 1);
	rig_stop(&rig);
	rig_model_is_the_fold(&rig);
	rig_close(&rig);
}

/* The first save waits, the others are not flushed; what the handler did is not done again. */
static void a_handler_with_a_position_of_its_own_goes_on(void **state)
{
	(void)state;
	struct rig rig = rig_made("apart");
	const struct tide_subscriber subscriber = { .name = "tally", .handle = tally };
	handled = 0;
	rig_append(&rig, EVENTS);
	standby_missing();
	rig_run(&rig, &subscriber);
	wait_for(30, health_names_the_standby(rig.manager, "tally"));
	standby_named("");
	wait_for(60, rig_position(&rig) == EVENTS);
	standby_missing();
	rig_append(&rig, EVENTS);
	wait_for(30, rig_position(&rig) == 2 * EVENTS); /* waits for nobody */
	wait_for(30, health_is_good(rig.manager, "tally"));
	rig_stop(&rig);
	standby_named("");
	assert_int_equal(handled, 2 * EVENTS);
	rig_close(&rig);
}

/* What initialises and what delivers first; and connections that are ended while they wait. */
static void a_start_without_the_standby_ends_well(void **state)
{
	(void)state;
	static const char sql[] =
		"-- init:\nCREATE TABLE IF NOT EXISTS started (n bigint NOT NULL);\n"
		"INSERT INTO started SELECT 0 WHERE NOT EXISTS (SELECT FROM started);\n"
		"-- on: Counted\nUPDATE started SET n = n + 1;\n";
	struct rig rig = rig_made("begun");
	struct thread thread = { 0 };
	struct tide_sql_projection *projection;
	must(tide_sql_projection_open(
		TIDE_SQL_PROJECTION(.text = sql, .name = "begun", .url = rig.url), &projection,
		err));
	rig_append(&rig, EVENTS);
	standby_missing();
	rig_prepare(&rig, tide_sql_projection_subscriber(projection));
	must(thread_start(&thread, "starter", rig_start, &rig, err));
	wait_for(30, health_names_the_standby(rig.manager, "begun"));
	assert_true(postgres_terminate_all() > 0);
	wait_for(30, health_names_the_standby(rig.manager, "begun"));
	standby_named("");
	wait_for(60, rig_position(&rig) == EVENTS);
	thread_join(&thread);
	rig_stop(&rig);
	assert_int_equal(sql_asked("SELECT n FROM begun.started"), EVENTS);
	tide_sql_projection_close(projection);
	rig_close(&rig);
}

/* At the limit of a stop the wait ends, and the next run finds what it came to. */
static void a_stop_without_the_standby_keeps_to_its_limit(void **state)
{
	(void)state;
	struct rig rig = rig_made("stopped");
	const struct tide_subscriber subscriber = transactional(&rig);
	rig_run(&rig, &subscriber);
	rig_append(&rig, EVENTS);
	wait_for(30, rig_position(&rig) == EVENTS);
	standby_missing();
	rig_append(&rig, EVENTS);
	wait_for(30, health_names_the_standby(rig.manager, "model"));
	double began = seconds_now();
	rig_stop(&rig);
	assert_true(seconds_now() - began < 60); /* by itself it would wait for ever */
	standby_named("");
	rig_run(&rig, &subscriber);
	wait_for(60, rig_position(&rig) == 2 * EVENTS);
	rig_stop(&rig);
	rig_model_is_the_fold(&rig);
	rig_close(&rig);
}

/*
 * Its commit goes on in the server while its connection is gone: what it came to is known once it
 * has ended, to who meets another row than the look had found.
 */
static void a_commit_that_outlives_its_connection_counts_once(void **state)
{
	(void)state;
	char directory[TEMP_PATH_SIZE], url[2 * TEMP_PATH_SIZE + 100];
	struct rig rig = rig_made("outlived");
	const struct tide_subscriber subscriber = transactional(&rig);
	temp_make(directory);
	struct proxy *proxy = proxy_open(directory);
	tide_store_close(rig.store);
	snprintf(url, sizeof url, "%s&host=%s", rig.url, directory);
	rig.store = store_opened(url);
	rig_run(&rig, &subscriber);
	rig_append(&rig, EVENTS);
	wait_for(30, rig_position(&rig) == EVENTS);

	standby_missing();
	int64_t before = sql_asked(WAITING);
	rig_append(&rig, EVENTS);
	wait_for(30, sql_asked(WAITING) > before);
	proxy_cut(proxy);
	for (double until = seconds_now() + 3; seconds_now() < until;)
		wait_a_moment(); /* it connects, looks at the row, and goes on by that */
	assert_int_equal(rig_position(&rig), EVENTS);
	standby_named("");
	wait_for(60, rig_position(&rig) == 2 * EVENTS);

	struct tide_subscription_status status;
	must(tide_subscription_status(tide_manager_subscription(rig.manager, "model"), &status,
				      err));
	assert_int_equal(status.state, TIDE_STATE_LIVE);
	rig_stop(&rig);
	rig_model_is_the_fold(&rig);
	rig_close(&rig);
	proxy_close(proxy);
	temp_remove(directory);
}

/* ---- A process that is killed while it waits ------------------------------------------------- */

static int project_for_ever(const char *schema, int report_to)
{
	(void)report_to;
	struct rig rig = { .schema = schema };
	snprintf(rig.url, sizeof rig.url, "postgresql:///?schema=%s&append_timeout=1", schema);
	must(tide_store_open(rig.url, NULL, &rig.store, err));
	const struct tide_subscriber subscriber = transactional(&rig);
	rig_run(&rig, &subscriber);
	while (rig.manager)
		wait_a_moment();
	return 0;
}

/* The commit of the process that is gone goes on; who takes over stands by until it has ended. */
static void a_killed_owner_is_followed_when_its_commit_has_ended(void **state)
{
	(void)state;
	struct rig rig = rig_made("killed");
	const struct tide_subscriber subscriber = transactional(&rig);
	struct child child = child_start(project_for_ever, "killed");
	rig_append(&rig, EVENTS);
	wait_for(30, rig_position(&rig) == EVENTS);
	standby_missing();
	int64_t before = sql_asked(WAITING);
	rig_append(&rig, EVENTS);
	wait_for(30, sql_asked(WAITING) > before);
	child_signal(&child, SIGKILL);
	child_join(&child);
	rig_run(&rig, &subscriber);
	for (double until = seconds_now() + 7; seconds_now() < until;)
		wait_a_moment(); /* longer than its lease */
	assert_int_equal(rig_position(&rig), EVENTS);
	standby_named("");
	wait_for(60, rig_position(&rig) == 2 * EVENTS);
	rig_stop(&rig);
	rig_model_is_the_fold(&rig);
	rig_close(&rig);
}

/* ---- One-shot calls -------------------------------------------------------------------------- */

static tide_status save(struct tide_checkpoints *checkpoints, struct tide_error *why)
{
	return tide_checkpoints_save(checkpoints, "called",
				     &(const struct tide_progress){ .position = 3, .count = 3 },
				     why);
}

static void a_call_without_the_standby_is_a_timeout(void **state)
{
	(void)state;
	struct rig rig = rig_made("called");
	struct tide_checkpoints *checkpoints;
	struct tide_store *other;
	tide_position position = 0;
	bool was_paused = false;
	rig_append(&rig, 3);
	must(tide_checkpoints_open(NULL, NULL, rig.store, &checkpoints, err));
	standby_missing();
	struct tide_error why = refused(TIDE_TIMEOUT, save(checkpoints, err));
	must_mention(&why, "synchronous standby");
	why = refused(TIDE_TIMEOUT, tide_control_pause(checkpoints, "called", NULL, NULL, err));
	must_mention(&why, "synchronous standby");
	/* nobody waits for a write of somebody else */
	double began = seconds_now();
	assert_int_equal(tide_checkpoints_position(checkpoints, "called", &position, NULL),
			 TIDE_NOT_FOUND);
	assert_true(seconds_now() - began < 0.9);
	why = refused(TIDE_TIMEOUT,
		      tide_store_open("postgresql:///?schema=unmade&append_timeout=1",
				      TIDE_STORE_OPTIONS(.initialize = true), &other, err));
	must_mention(&why, "synchronous standby");
	standby_named("");
	wait_for(60, tide_checkpoints_position(checkpoints, "called", &position, NULL) == TIDE_OK);
	assert_int_equal(position, 3);
	wait_for(60, sql_asked("SELECT count(*) FROM called.subscription_journal") == 1);
	must(tide_control_resume(checkpoints, "called", NULL, &was_paused, err));
	assert_true(was_paused);
	other = store_opened("postgresql:///?schema=unmade");
	tide_store_close(other);
	tide_checkpoints_close(checkpoints);
	rig_close(&rig);
}

int main(int count, char **arguments)
{
	child_main(count, arguments);
	if (!postgres_start())
		return 77;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_read_model_waits_for_its_standby_and_goes_on),
		cmocka_unit_test(an_answer_that_comes_while_its_cause_is_looked_for_counts),
		cmocka_unit_test(a_handler_with_a_position_of_its_own_goes_on),
		cmocka_unit_test(a_start_without_the_standby_ends_well),
		cmocka_unit_test(a_stop_without_the_standby_keeps_to_its_limit),
		cmocka_unit_test(a_commit_that_outlives_its_connection_counts_once),
		cmocka_unit_test(a_killed_owner_is_followed_when_its_commit_has_ended),
		cmocka_unit_test(a_call_without_the_standby_is_a_timeout),
	};
	int failed = cmocka_run_group_tests_name("postgres_standby", tests, NULL, NULL);
	postgres_stop();
	return failed;
}
