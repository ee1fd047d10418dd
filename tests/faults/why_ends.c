/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Why a subscription is not further, as in why.c: causes of people, of other processes, and ends.
 */
#include <signal.h>

#include "why_scene.h"

/* ---- People and other processes -------------------------------------------------------------- */

static void a_pause_is_told_with_its_reason(void **state)
{
	struct scene scene;
	struct tide_subscription_config config = quick_config();
	scene_open(&scene, state);
	scene_run(&scene, &config);
	wait_state(scene.subscription, TIDE_STATE_LIVE);
	assert_true(tide_manager_pause(scene.manager, NAME, TIDE_PAUSE_MAINTENANCE));

	struct tide_why why = comes_to(&scene, TIDE_CAUSE_PAUSED);
	assert_int_equal(why.state, TIDE_STATE_PAUSED);
	assert_string_equal(text(&why, "pause_reason"), "maintenance");
	assert_true(why.has_since);
	assert_true(tide_manager_resume(scene.manager, NAME));
	comes_to(&scene, TIDE_CAUSE_LIVE);
	scene_close(&scene);
}

static void a_pause_that_outlives_processes_is_told_whoever_runs_it(void **state)
{
	struct scene scene;
	struct tide_subscription_config config = quick_config();
	const struct tide_control_request request = { .by = "anna",
						      .reason = TIDE_PAUSE_MAINTENANCE,
						      .note = "the disk is exchanged" };
	scene_open(&scene, state);
	scene_run(&scene, &config);
	wait_state(scene.subscription, TIDE_STATE_LIVE);
	must(tide_control_pause(scene.seen, NAME, &request, NULL, err));

	struct tide_why why = comes_to(&scene, TIDE_CAUSE_PAUSED);
	assert_string_equal(text(&why, "paused_by"), "anna");
	assert_string_equal(text(&why, "pause_reason"), "maintenance");
	assert_string_equal(text(&why, "pause_note"), "the disk is exchanged");
	assert_true(why.has_since);
	assert_null(tide_why_evidence(&why, "running"));
	wait_state(scene.subscription, TIDE_STATE_PAUSED);
	why = comes_to_inside(&scene, TIDE_CAUSE_PAUSED);
	assert_int_equal(why.state, TIDE_STATE_PAUSED);
	assert_string_equal(text(&why, "paused_by"), "anna");

	must(tide_manager_stop(scene.manager, NULL, 0, err));
	why = comes_to(&scene, TIDE_CAUSE_PAUSED);
	assert_int_equal(why.state, TIDE_STATE_STOPPED);
	assert_string_equal(text(&why, "paused_by"), "anna");
	assert_non_null(text(&why, "running"));
	must(tide_control_resume(scene.seen, NAME, NULL, NULL, err));
	comes_to(&scene, TIDE_CAUSE_STOPPED);
	scene_close(&scene);
}

static void who_stands_by_names_the_owner(void **state)
{
	struct scene scene;
	struct tide_subscription_config config = quick_config();
	struct tide_manager *second;
	struct tide_subscription *standby;
	struct tide_subscriber subscriber;
	struct tide_why why;
	scene_open(&scene, state);
	scene_run(&scene, &config);
	wait_state(scene.subscription, TIDE_STATE_LIVE);
	subscriber = witness_single(NAME, &scene.witness);
	must(tide_manager_open(TIDE_MANAGER(.store = scene.other), &second, err));
	must(tide_manager_subscribe(second, &subscriber, &config, &standby, err));
	must(tide_manager_run(second, 0, err));
	wait_for(PATIENCE, status_of(standby).standby);

	must(tide_subscription_why(second, NAME, &why, err));
	assert_int_equal(why.cause, TIDE_CAUSE_STANDING_BY);
	assert_true(number(&why, "pid") == getpid());
	assert_non_null(text(&why, "host"));
	assert_non_null(text(&why, "owner_since"));

	/* one that was stopped here tells of who runs it */
	must(tide_manager_stop(second, NULL, 0, err));
	must(tide_subscription_why(second, NAME, &why, err));
	assert_int_equal(why.cause, TIDE_CAUSE_LIVE);
	assert_int_equal(why.state, TIDE_STATE_LIVE);
	tide_manager_close(second);
	scene_close(&scene);
}

static tide_status dies_at_the_second(void *self, const struct tide_event *event,
				      struct tide_delivery *delivery)
{
	(void)delivery;
	if (event->version == 2 && *(const bool *)self)
		kill(getpid(), SIGKILL);
	while (event->version == 2)
		pass_time(1);
	return TIDE_OK;
}

/* ARGUMENT: `d` or `w` (die, wait), then the URL. */
static int process_over_the_second(const char *argument, int report_to)
{
	static bool should_die;
	struct tide_store *store;
	struct tide_manager *manager;
	struct tide_subscription *subscription;
	struct tide_subscription_config config = quick_config();
	struct tide_subscriber subscriber = { .name = NAME,
					      .self = &should_die,
					      .handle = dies_at_the_second };
	should_die = *argument == 'd';
	config.checkpoint_strategy = TIDE_EVERY_EVENT;
	insist(tide_store_open(argument + 1, NULL, &store, err));
	insist(tide_manager_open(TIDE_MANAGER(.store = store, .lease_seconds = 1), &manager, err));
	insist(tide_manager_subscribe(manager, &subscriber, &config, &subscription, err));
	insist(tide_manager_run(manager, 0, err));
	child_report(report_to, 'r');
	for (;;)
		pass_time(1);
}

static struct child over_the_second(const struct fixture *fixture, char what)
{
	static char argument[2 * TEMP_PATH_SIZE + 2];
	snprintf(argument, sizeof argument, "%c%s", what, fixture->url);
	return child_start(process_over_the_second, argument);
}

static void deaths_over_an_event_are_told(void **state)
{
	struct scene scene;
	scene_open(&scene, state);
	append_many(scene.fixture.store, order(1), 1, 3);
	for (int i = 0; i < 2; i++) {
		struct child child = over_the_second(&scene.fixture, 'd');
		assert_int_equal(child_join(&child), 128 + SIGKILL);
	}
	struct tide_why why = comes_to(&scene, TIDE_CAUSE_DIED);
	assert_true(number(&why, "event_position") == 2);

	struct child child = over_the_second(&scene.fixture, 'w');
	/* its process takes the row, and notes where it runs, behind the lock */
	wait_for(PATIENCE, (why = comes_to(&scene, TIDE_CAUSE_CAREFUL),
			    tide_why_evidence(&why, "deaths") && tide_why_evidence(&why, "pid")));
	assert_true(number(&why, "event_position") == 2);
	assert_true(number(&why, "deaths") == 1);
	assert_true(number(&why, "pid") == child.pid);
	child_signal(&child, SIGKILL);
	child_join(&child);
	scene_close(&scene);
}

static int process_that_runs(const char *url, int report_to)
{
	static bool never;
	struct tide_store *store;
	struct tide_manager *manager;
	struct tide_subscription *subscription;
	struct tide_subscription_config config = quick_config();
	struct tide_subscriber subscriber = { .name = NAME,
					      .self = &never,
					      .handle = dies_at_the_second };
	insist(tide_store_open(url, NULL, &store, err));
	insist(tide_manager_open(TIDE_MANAGER(.store = store, .lease_seconds = 1), &manager, err));
	insist(tide_manager_subscribe(manager, &subscriber, &config, &subscription, err));
	insist(tide_manager_run(manager, 0, err));
	insist(tide_subscription_wait_state(subscription, TIDE_STATE_LIVE, PATIENCE, err));
	child_report(report_to, 'l');
	for (;;)
		pass_time(1);
}

static void a_killed_process_is_told_with_its_place(void **state)
{
	struct scene scene;
	scene_open(&scene, state);
	append_many(scene.fixture.store, order(1), 1, 1);
	struct child child = child_start(process_that_runs, scene.fixture.url);
	assert_int_equal(child_await(&child, PATIENCE), 'l');
	struct tide_why why = comes_to(&scene, TIDE_CAUSE_LIVE);
	assert_true(number(&why, "pid") == child.pid);
	child_signal(&child, SIGKILL);
	child_join(&child);

	why = comes_to(&scene, TIDE_CAUSE_DIED);
	if (strcmp(scene.fixture.backend->name, "sqlite") == 0) {
		assert_non_null(strstr(why.reason, "ended without letting go"));
		assert_string_equal(why.advice, "start it again");
	}
	assert_int_equal(why.state, TIDE_STATE_STOPPED);
	assert_true(number(&why, "pid") == child.pid);
	assert_true(number(&why, "position") == 1);
	assert_non_null(text(&why, "host"));
	assert_non_null(text(&why, "owner_since"));
	scene_close(&scene);
}

/* As one that the database takes no writes from: where an ownership runs out by the clock, nobody
 * else can tell whether its process has ended. */
static void a_process_that_does_not_renew_may_still_run(void **state)
{
	struct scene scene;
	scene_open(&scene, state);
	append_many(scene.fixture.store, order(1), 1, 1);
	struct child child = child_start(process_that_runs, scene.fixture.url);
	assert_int_equal(child_await(&child, PATIENCE), 'l');
	child_signal(&child, SIGSTOP);
	struct tide_why why;
	wait_for(PATIENCE,
		 (why = comes_to(&scene, TIDE_CAUSE_DIED), tide_why_evidence(&why, "lease_ended")));
	assert_non_null(strstr(why.reason, "nobody is known to run"));
	assert_non_null(strstr(why.reason, "and may still run"));
	assert_null(strstr(why.reason, "ended without"));
	assert_non_null(strstr(why.advice, "tide doctor"));
	assert_true(number(&why, "pid") == child.pid);
	child_signal(&child, SIGKILL);
	child_join(&child);
	scene_close(&scene);
}

/* ---- Ends ------------------------------------------------------------------------------------ */

static void a_stop_is_told_with_when_it_was(void **state)
{
	struct scene scene;
	struct tide_subscription_config config = quick_config();
	scene_open(&scene, state);
	append_many(scene.fixture.store, order(1), 1, 1);
	scene_run(&scene, &config);
	wait_position(scene.subscription, 1);
	must(tide_manager_stop(scene.manager, NULL, 0, err));
	append_many(scene.fixture.store, order(2), 1, 2);

	struct tide_why why = comes_to(&scene, TIDE_CAUSE_STOPPED);
	assert_int_equal(why.state, TIDE_STATE_STOPPED);
	assert_true(number(&why, "position") == 1);
	assert_true(number(&why, "lag_events") == 2);
	assert_true(number(&why, "pid") == getpid());
	assert_true(why.has_since);
	comes_to_inside(&scene, TIDE_CAUSE_STOPPED);
	scene_close(&scene);
}

static void the_event_that_ended_it_is_told(void **state)
{
	struct scene scene;
	struct tide_subscription_config config = quick_config();
	config.continue_on_error = false;
	scene_open(&scene, state);
	scene.witness.decide = fails_for_good;
	append_many(scene.fixture.store, order(1), 1, 2);
	scene_run(&scene, &config);
	wait_state(scene.subscription, TIDE_STATE_ERROR);

	struct tide_why why = comes_to(&scene, TIDE_CAUSE_FAILED_EVENT);
	assert_int_equal(why.state, TIDE_STATE_ERROR);
	assert_true(number(&why, "event_position") == 1);
	assert_string_equal(text(&why, "event_type"), "Counted");
	assert_true(number(&why, "attempts") == 1);
	assert_string_equal(text(&why, "error"), "no such mill");
	assert_true(number(&why, "pid") == getpid());
	assert_true(why.has_since);
	assert_non_null(strstr(why.advice, "retries the event"));
	assert_non_null(strstr(why.advice, "tide skip Totals --position 1"));
	comes_to_inside(&scene, TIDE_CAUSE_FAILED_EVENT);
	scene_close(&scene);
}

static struct tide_sql_projection *projection_with(const struct scene *scene, const char *column)
{
	struct tide_sql_projection *projection;
	char text[200];
	snprintf(text, sizeof text,
		 "-- init:\nCREATE TABLE IF NOT EXISTS totals (%s BIGINT);\n"
		 "-- on: *\nINSERT INTO totals VALUES (:global_position);\n",
		 column);
	must(tide_sql_projection_open(TIDE_SQL_PROJECTION(.path = "totals.sql", .text = text,
							  .name = NAME, .url = scene->fixture.url),
				      &projection, err));
	return projection;
}

static void a_file_that_was_changed_is_told(void **state)
{
	struct scene scene;
	struct tide_subscription_config config = quick_config();
	scene_open(&scene, state);
	append_many(scene.fixture.store, order(1), 1, 2);
	struct tide_sql_projection *made = projection_with(&scene, "first");
	scene_run_as(&scene, tide_sql_projection_subscriber(made), &config);
	wait_position(scene.subscription, 2);
	must(tide_manager_stop(scene.manager, NULL, 0, err));
	must(tide_manager_unsubscribe(scene.manager, NAME, err));

	struct tide_sql_projection *changed = projection_with(&scene, "second");
	scene_run_as(&scene, tide_sql_projection_subscriber(changed), &config);
	wait_state(scene.subscription, TIDE_STATE_ERROR);
	struct tide_why why = comes_to(&scene, TIDE_CAUSE_FILE_CHANGED);
	assert_int_equal(why.state, TIDE_STATE_ERROR);
	assert_string_equal(text(&why, "error_name"), "state");
	assert_non_null(strstr(text(&why, "error"), "changed; rebuild it (tide rebuild Totals"));
	assert_true(why.has_since);
	comes_to_inside(&scene, TIDE_CAUSE_FILE_CHANGED);
	tide_manager_close(scene.manager);
	scene.manager = NULL;
	tide_sql_projection_close(made);
	tide_sql_projection_close(changed);
	scene_close(&scene);
}

static tide_status cannot_prepare(void *self, void *connection, struct tide_error *err)
{
	(void)self;
	(void)connection;
	return tide_fail(err, TIDE_UNSUPPORTED, "this mill has no water");
}

static void an_error_that_ended_it_is_told(void **state)
{
	struct scene scene;
	struct scribe scribe = { .backend = *state };
	struct tide_subscription_config config = quick_config();
	struct tide_subscriber subscriber = scribe_subscriber(&scribe);
	subscriber.prepare = cannot_prepare;
	scene_open(&scene, state);
	scene_run_as(&scene, &subscriber, &config);
	wait_state(scene.subscription, TIDE_STATE_ERROR);

	struct tide_why why = comes_to(&scene, TIDE_CAUSE_ERROR);
	assert_int_equal(why.state, TIDE_STATE_ERROR);
	assert_string_equal(text(&why, "error"), "this mill has no water");
	assert_string_equal(text(&why, "error_name"), "unsupported");
	assert_true(why.has_since);
	comes_to_inside(&scene, TIDE_CAUSE_ERROR);
	scene_close(&scene);
}

static tide_status prepares_at_the_gate(void *self, void *connection, struct tide_error *err)
{
	struct scribe *scribe = self;
	(void)connection;
	(void)err;
	while (!atomic_load(&scribe->gate))
		wait_a_moment();
	return TIDE_OK;
}

static void *starts(void *manager)
{
	(void)tide_manager_run(manager, 0, NULL);
	return NULL;
}

static void a_start_that_takes_long_is_told(void **state)
{
	struct scene scene;
	struct scribe scribe = { .backend = *state };
	struct tide_subscription_config config = quick_config();
	struct tide_subscriber subscriber = scribe_subscriber(&scribe);
	subscriber.prepare = prepares_at_the_gate;
	scene_open(&scene, state);
	must(tide_manager_subscribe(scene.manager, &subscriber, &config, &scene.subscription, err));
	pthread_t starter;
	assert_int_equal(pthread_create(&starter, NULL, starts, scene.manager), 0);

	/* On SQLite it has the only write lock, and nothing can be told beside it. */
	struct tide_why why = comes_to_inside(&scene, TIDE_CAUSE_STARTING);
	if (strcmp(scene.fixture.backend->name, "postgres") == 0) {
		/* the first row of a name comes a moment later */
		wait_for(PATIENCE, tide_checkpoints_why(scene.seen, NAME, &why, NULL) == TIDE_OK);
		why = comes_to(&scene, TIDE_CAUSE_STARTING);
	}
	assert_int_equal(why.state, TIDE_STATE_STARTING);
	assert_true(why.has_since);
	atomic_store(&scribe.gate, true);
	pthread_join(starter, NULL);
	comes_to(&scene, TIDE_CAUSE_LIVE);
	scene_close(&scene);
}

static void a_store_that_went_back_is_told(void **state)
{
	struct scene scene;
	struct tide_subscription_config config = quick_config();
	scene_open(&scene, state);
	append_many(scene.fixture.store, order(1), 1, 3);
	scene_run(&scene, &config);
	wait_position(scene.subscription, 3);
	must(tide_manager_stop(scene.manager, NULL, 0, err));
	fixture_sql(&scene.fixture, "DELETE FROM events WHERE global_position = 3");

	struct tide_why why = comes_to(&scene, TIDE_CAUSE_DIVERGED);
	assert_int_equal(why.state, TIDE_STATE_ERROR);
	assert_string_equal(text(&why, "error_name"), "diverged");
	assert_true(number(&why, "position") == 3);
	assert_true(*why.advice);
	scene_close(&scene);
}

static void a_held_aggregate_is_told_with_what_it_waits_for(void **state)
{
	struct scene scene;
	struct tide_subscription_config config = quick_config();
	config.hold_aggregate_on_failure = true;
	scene_open(&scene, state);
	scene.witness.decide = fails_for_good;
	append_many(scene.fixture.store, order(1), 1, 3);
	scene_run(&scene, &config);
	wait_position(scene.subscription, 3);

	struct tide_why why = comes_to(&scene, TIDE_CAUSE_AGGREGATE_HELD);
	assert_true(number(&why, "parked") == 2);
	assert_true(number(&why, "dead_letters") == 3);
	assert_int_equal(strlen(text(&why, "parked_behind")), 36);
	assert_string_equal(text(&why, "error"), "no such mill");
	assert_true(number(&why, "dead_letter") >= 1);
	assert_true(*why.advice);
	scene_close(&scene);
}

static void what_was_never_run_is_told(void **state)
{
	struct scene scene;
	struct tide_why why;
	scene_open(&scene, state);
	refused(TIDE_NOT_FOUND, tide_checkpoints_why(scene.seen, NAME, &why, err));
	must(tide_checkpoints_save(scene.fixture.checkpoints, NAME,
				   &(struct tide_progress){ .position = 0 }, err));
	why = comes_to(&scene, TIDE_CAUSE_NOT_RUN);
	assert_true(number(&why, "position") == 0);
	refused(TIDE_NOT_FOUND, tide_subscription_why(scene.manager, NAME, &why, err));
	refused(TIDE_ARGUMENT, tide_checkpoints_why(scene.seen, NULL, &why, err));
	refused(TIDE_ARGUMENT, tide_subscription_why(NULL, NAME, &why, err));
	scene_close(&scene);
}

static void a_record_has_its_evidence(void **state)
{
	struct scene scene;
	struct tide_subscription_config config = quick_config();
	char *json = NULL;
	scene_open(&scene, state);
	scene_run(&scene, &config);
	wait_state(scene.subscription, TIDE_STATE_LIVE);
	must(tide_manager_stop(scene.manager, NULL, 0, err));
	struct tide_why why = comes_to(&scene, TIDE_CAUSE_STOPPED);
	must(tide_why_json(&why, &json, err));
	assert_ptr_equal(strstr(json,
				"{\"projection_name\":\"" NAME
				"\",\"cause\":\"stopped\",\"state\":\"stopped\",\"since\":\""),
			 json);
	assert_non_null(strstr(json, "\"evidence\":{"));
	assert_non_null(strstr(json, "\"pid\":"));
	assert_non_null(strstr(json, "\"advice\":\""));
	tide_free(json);
	scene_close(&scene);
}

/* clang-format off */
static struct CMUnitTest tests[] = {
	ON_BOTH(a_pause_is_told_with_its_reason),
	ON_BOTH(a_pause_that_outlives_processes_is_told_whoever_runs_it),
	ON_BOTH(who_stands_by_names_the_owner),
	ON_BOTH(deaths_over_an_event_are_told),
	ON_BOTH(a_killed_process_is_told_with_its_place),
	ON("postgres", a_process_that_does_not_renew_may_still_run),
	ON_BOTH(a_stop_is_told_with_when_it_was),
	ON_BOTH(the_event_that_ended_it_is_told),
	ON_BOTH(a_file_that_was_changed_is_told),
	ON_BOTH(an_error_that_ended_it_is_told),
	ON_BOTH(a_start_that_takes_long_is_told),
	ON_BOTH(a_store_that_went_back_is_told),
	ON_BOTH(a_held_aggregate_is_told_with_what_it_waits_for),
	ON_BOTH(what_was_never_run_is_told),
	ON_BOTH(a_record_has_its_evidence),
};
/* clang-format on */

/* PROGRAM [PATTERN]: the cases whose name has the pattern. */
int main(int argc, char **argv)
{
	return scene_main(argc, argv, tests, COUNT(tests));
}
