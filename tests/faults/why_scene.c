/* SPDX-License-Identifier: Apache-2.0 */
#include "why_scene.h"

struct tide_stream order(unsigned number)
{
	return stream_of("Order", number);
}

void scene_open_with(struct scene *scene, void **state, const struct tide_manager_options *options)
{
	*scene = (struct scene){ .witness = WITNESS };
	fixture_open(&scene->fixture, *state);
	struct tide_manager_options with = *options;
	if (!with.store)
		with.store = scene->fixture.store;
	must(tide_manager_open(&with, &scene->manager, err));
	scene->other = fixture_second_handle(&scene->fixture);
	must(tide_checkpoints_open(NULL, NULL, scene->other, &scene->seen, err));
}

void scene_open(struct scene *scene, void **state)
{
	scene_open_with(scene, state, TIDE_MANAGER(.store = NULL));
}

void scene_close(struct scene *scene)
{
	atomic_store(&scene->witness.gate, true);
	tide_manager_close(scene->manager);
	tide_checkpoints_close(scene->seen);
	tide_store_close(scene->other);
	fixture_close(&scene->fixture);
	witness_fini(&scene->witness);
}

void scene_run_as(struct scene *scene, const struct tide_subscriber *subscriber,
		  const struct tide_subscription_config *config)
{
	must(tide_manager_subscribe(scene->manager, subscriber, config, &scene->subscription, err));
	(void)tide_manager_run(scene->manager, 0, NULL); /* an error is what some cases look for */
}

void scene_run(struct scene *scene, const struct tide_subscription_config *config)
{
	struct tide_subscriber subscriber = witness_single(NAME, &scene->witness);
	scene_run_as(scene, &subscriber, config);
}

static struct tide_why why_from_outside(struct scene *scene)
{
	struct tide_why why;
	must(tide_checkpoints_why(scene->seen, NAME, &why, err));
	return why;
}

static struct tide_why why_from_inside(struct scene *scene)
{
	struct tide_why why;
	must(tide_subscription_why(scene->manager, NAME, &why, err));
	return why;
}

/* The indicator that is not well says what why does, but for seconds that pass between the two. */
static bool health_says(struct scene *scene, const struct tide_why *why)
{
	struct tide_subscription_health health;
	must(tide_subscription_health(scene->manager, NAME, &health, err));
	bool is_told = false;
	for (int i = 0; i < TIDE_INDICATORS; i++) {
		const struct tide_indicator *indicator = &health.indicators[i];
		size_t room = sizeof indicator->message - 8;
		is_told |= indicator->status != TIDE_HEALTHY &&
			   strncmp(indicator->message, why->reason, room) == 0;
	}
	return is_told && health.cause == why->cause;
}

static void fail_with_health(struct scene *scene, const struct tide_why *why)
{
	struct tide_subscription_health health;
	must(tide_subscription_health(scene->manager, NAME, &health, err));
	for (int i = 0; i < TIDE_INDICATORS; i++)
		print_message("%s: %s\n", tide_indicator_name(i), health.indicators[i].message);
	fail_msg("why says of %s: %s", tide_cause_name(why->cause), why->reason);
}

/* Those that health judges by itself. */
static bool is_healths(enum tide_cause cause)
{
	static const enum tide_cause causes[] = {
		TIDE_CAUSE_STARTING,      TIDE_CAUSE_HANDLER_STUCK, TIDE_CAUSE_HANDLER_BREAKER,
		TIDE_CAUSE_DATABASE_AWAY, TIDE_CAUSE_DISK_FULL,     TIDE_CAUSE_PAUSED,
		TIDE_CAUSE_FAILED_EVENT,  TIDE_CAUSE_DIVERGED,      TIDE_CAUSE_ERROR,
		TIDE_CAUSE_STOPPED,       TIDE_CAUSE_LANE_UNOWNED,  TIDE_CAUSE_FILE_CHANGED
	};
	for (size_t i = 0; i < sizeof causes / sizeof *causes; i++)
		if (causes[i] == cause)
			return true;
	return false;
}

/* What somebody else comes to see. */
struct tide_why comes_to(struct scene *scene, enum tide_cause cause)
{
	double until = seconds_now() + PATIENCE;
	struct tide_why why = why_from_outside(scene);
	while (why.cause != cause) {
		if (seconds_now() > until)
			fail_msg("%s instead of %s: %s", tide_cause_name(why.cause),
				 tide_cause_name(cause), why.reason);
		wait_a_moment();
		why = why_from_outside(scene);
	}
	assert_string_equal(why.name, NAME);
	assert_true(strlen(why.reason) > strlen(NAME));
	assert_null(strstr(why.reason, "(unknown)"));
	assert_null(strchr(why.reason, '{'));
	return why;
}

/* ... and so does its own process. */
struct tide_why comes_to_inside(struct scene *scene, enum tide_cause cause)
{
	double until = seconds_now() + PATIENCE;
	struct tide_why why = why_from_inside(scene);
	while (why.cause != cause) {
		if (seconds_now() > until)
			fail_msg("%s instead of %s: %s", tide_cause_name(why.cause),
				 tide_cause_name(cause), why.reason);
		wait_a_moment();
		why = why_from_inside(scene);
	}

	while (is_healths(cause) && !health_says(scene, &why)) {
		if (seconds_now() > until)
			fail_with_health(scene, &why);
		wait_a_moment();
		why = why_from_inside(scene);
	}
	return why;
}

double number(const struct tide_why *why, const char *key)
{
	const struct tide_evidence *evidence = tide_why_evidence(why, key);
	if (!evidence || !evidence->is_number)
		fail_msg("%s has no number '%s': %s", tide_cause_name(why->cause), key,
			 why->reason);
	return evidence->number;
}

const char *text(const struct tide_why *why, const char *key)
{
	const struct tide_evidence *evidence = tide_why_evidence(why, key);
	if (!evidence || evidence->is_number)
		fail_msg("%s has no text '%s': %s", tide_cause_name(why->cause), key, why->reason);
	return evidence->text;
}

tide_status fails_for_good(struct witness *witness, const struct tide_event *event,
			   struct tide_delivery *delivery)
{
	(void)witness;
	if (event->version == 1)
		return tide_delivery_fail(delivery, TIDE_HANDLER_PERMANENT, "no such mill");
	return TIDE_OK;
}

static tide_status scribe_prepare(void *self, void *connection, struct tide_error *err)
{
	struct scribe *scribe = self;
	if (scribe->backend->run(connection, "CREATE TABLE IF NOT EXISTS mills (number INTEGER)"))
		return TIDE_OK;
	return tide_fail(err, TIDE_BUSY, "no table");
}

static tide_status scribe_handle(void *self, const struct tide_event *event,
				 struct tide_delivery *delivery)
{
	struct scribe *scribe = self;
	(void)event;
	return scribe->backend->run(tide_delivery_connection(delivery),
				    "INSERT INTO mills VALUES (1)")
		       ? TIDE_OK
		       : TIDE_HANDLER_TRANSIENT;
}

struct tide_subscriber scribe_subscriber(struct scribe *scribe)
{
	return (struct tide_subscriber){ .name = NAME,
					 .self = scribe,
					 .handle = scribe_handle,
					 .transactional = true,
					 .prepare = scribe_prepare };
}

int scene_main(int argc, char **argv, struct CMUnitTest *tests, size_t count)
{
	child_main(argc, argv);
	for (size_t i = 0; i < count; i++)
		tests[i].initial_state =
			(void *)(uintptr_t)test_backend_find(tests[i].initial_state);
	bool needs_server = argc < 2 || strstr(argv[1], "sqlite") == NULL;
	const struct test_backend *server = needs_server ? test_backend_find("postgres") : NULL;
	if (server && !server->start())
		return 77;

	char pattern[200];
	snprintf(pattern, sizeof pattern, "*%s*", argc > 1 ? argv[1] : "");
	cmocka_set_test_filter(pattern);
	int failed = _cmocka_run_group_tests("why", tests, count, NULL, NULL);
	if (server)
		server->stop();
	return failed;
}
