/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Why a subscription with lanes is not further, as in why.c: what is wrong with one of them, and
 * whose it is.
 */
#include "supervise/manager.h"

#include "why_scene.h"

#define LANES 2

static struct tide_subscription_config lanes_config(int lanes)
{
	struct tide_subscription_config config = quick_config();
	config.lanes = lanes;
	return config;
}

static void open_with_short_leases(struct scene *scene, void **state)
{
	scene_open_with(scene, state, TIDE_MANAGER(.store = NULL, .lease_seconds = 1));
}

/* Whose every attempt to own a lane fails: it is a member, and takes none of its share. */
struct idler {
	struct tide_store *store;
	struct tide_checkpoints *checkpoints;
	struct tide_manager *manager;
	struct tide_subscription *subscription;
	struct witness witness;
};

static void idler_open(struct idler *idler, const struct scene *scene)
{
	char url[3 * TEMP_PATH_SIZE];
	struct tide_subscription_config config = lanes_config(LANES);
	idler->witness = (struct witness)WITNESS;
	struct tide_subscriber subscriber = witness_single(NAME, &idler->witness);
	snprintf(url, sizeof url, "fault:op=lease_acquire,status=busy,times=-1/%s",
		 scene->fixture.url);
	must(tide_store_open(url, NULL, &idler->store, err));
	must(tide_checkpoints_open(NULL, NULL, idler->store, &idler->checkpoints, err));
	must(tide_manager_open(TIDE_MANAGER(.store = scene->other,
					    .checkpoints = idler->checkpoints, .lease_seconds = 1),
			       &idler->manager, err));
	must(tide_manager_subscribe(idler->manager, &subscriber, &config, &idler->subscription,
				    err));
	/* where a lane is free by then that does not come to its start, which is not waited for */
	(void)manager_start(idler->manager, NULL, (struct start_wait){ START_UNTIL_BEGUN, 0 }, NULL,
			    NULL, NULL);
}

static void idler_close(struct idler *idler)
{
	tide_manager_close(idler->manager);
	tide_checkpoints_close(idler->checkpoints);
	tide_store_close(idler->store);
	witness_fini(&idler->witness);
}

/* What is said of one lane names it. */
static void names_its_lane(const struct tide_why *why)
{
	char name[40];
	snprintf(name, sizeof name, "lane %.0f of '" NAME "'", number(why, "lane"));
	assert_non_null(strstr(why->reason, name));
	assert_true(number(why, "lanes") == LANES);
}

static void a_lane_that_nobody_owns_is_told_beside_those_that_run(void **state)
{
	struct scene scene;
	struct tide_subscription_config config = lanes_config(LANES);
	struct idler idler;
	open_with_short_leases(&scene, state);
	append_many(scene.fixture.store, order(1), 1, 3);
	scene_run(&scene, &config);
	wait_position(scene.subscription, 3);
	comes_to(&scene, TIDE_CAUSE_LIVE);
	idler_open(&idler, &scene);
	wait_for(PATIENCE, status_of(scene.subscription).lanes_owned == 1);

	struct tide_why why = comes_to(&scene, TIDE_CAUSE_LANE_UNOWNED);
	names_its_lane(&why);
	assert_int_equal(why.state, TIDE_STATE_STOPPED);
	assert_true(number(&why, "position") == 3);
	assert_true(number(&why, "pid") == getpid());
	assert_non_null(text(&why, "host"));
	assert_true(why.has_since);
	assert_true(*why.advice);
	why = comes_to_inside(&scene, TIDE_CAUSE_LANE_UNOWNED);
	names_its_lane(&why);

	idler_close(&idler);
	comes_to(&scene, TIDE_CAUSE_LIVE);
	comes_to_inside(&scene, TIDE_CAUSE_LIVE);
	scene_close(&scene);
}

static void the_lane_that_ended_is_told_whatever_the_others_do(void **state)
{
	struct scene scene;
	struct tide_subscription_config config = lanes_config(LANES);
	config.continue_on_error = false;
	open_with_short_leases(&scene, state);
	scene.witness.decide = fails_for_good;
	append_many(scene.fixture.store, order(1), 1, 1);
	scene_run(&scene, &config);
	wait_state(scene.subscription, TIDE_STATE_ERROR);

	struct tide_why why = comes_to(&scene, TIDE_CAUSE_FAILED_EVENT);
	names_its_lane(&why);
	assert_true(number(&why, "event_position") == 1);
	wait_for(PATIENCE, status_of(scene.subscription).lanes_owned == LANES - 1);
	why = comes_to_inside(&scene, TIDE_CAUSE_FAILED_EVENT);
	names_its_lane(&why);

	must(tide_manager_stop(scene.manager, NULL, 0, err));
	why = comes_to(&scene, TIDE_CAUSE_FAILED_EVENT);
	names_its_lane(&why);
	comes_to_inside(&scene, TIDE_CAUSE_FAILED_EVENT);
	scene_close(&scene);
}

/* None of them is meant alone. */
static void lanes_that_were_stopped_together_are_told_by_their_name(void **state)
{
	struct scene scene;
	struct tide_subscription_config config = lanes_config(LANES);
	open_with_short_leases(&scene, state);
	append_many(scene.fixture.store, order(1), 1, 3);
	scene_run(&scene, &config);
	wait_position(scene.subscription, 3);
	must(tide_manager_stop(scene.manager, NULL, 0, err));
	struct tide_why why = comes_to(&scene, TIDE_CAUSE_STOPPED);
	assert_null(strstr(why.reason, "lane"));
	comes_to_inside(&scene, TIDE_CAUSE_STOPPED);
	scene_close(&scene);
}

static struct tide_why standby_with(struct scene *scene, int lanes)
{
	struct tide_subscription_config config = lanes_config(lanes);
	struct witness witness = WITNESS;
	struct tide_subscriber subscriber = witness_single(NAME, &witness);
	struct tide_manager *manager;
	struct tide_subscription *standby;
	struct tide_why why;
	must(tide_manager_open(TIDE_MANAGER(.store = scene->other), &manager, err));
	must(tide_manager_subscribe(manager, &subscriber, &config, &standby, err));
	(void)tide_manager_start(manager, NULL, 0, NULL, NULL, NULL);
	wait_for(PATIENCE, status_of(standby).standby);
	must(tide_subscription_why(manager, NAME, &why, err));
	tide_manager_close(manager);
	witness_fini(&witness);
	assert_int_equal(why.cause, TIDE_CAUSE_STANDING_BY);
	assert_true(number(&why, "pid") == getpid());
	assert_non_null(text(&why, "owner_since"));
	return why;
}

static void who_stands_by_names_another_number_of_lanes(void **state)
{
	struct scene scene;
	struct tide_subscription_config config = lanes_config(LANES);
	open_with_short_leases(&scene, state);
	scene_run(&scene, &config);
	wait_for(PATIENCE, status_of(scene.subscription).lanes_owned == LANES);
	struct tide_why why = standby_with(&scene, LANES + 1);
	assert_true(number(&why, "owner_lanes") == LANES);
	assert_true(*why.advice);
	why = standby_with(&scene, 1);
	assert_true(number(&why, "owner_lanes") == LANES);
	scene_close(&scene);
}

static void who_stands_by_names_an_owner_without_lanes(void **state)
{
	struct scene scene;
	struct tide_subscription_config config = quick_config();
	open_with_short_leases(&scene, state);
	scene_run(&scene, &config);
	wait_state(scene.subscription, TIDE_STATE_LIVE);
	struct tide_why why = standby_with(&scene, LANES);
	assert_true(number(&why, "owner_lanes") == 1);
	why = standby_with(&scene, 1);
	assert_null(tide_why_evidence(&why, "owner_lanes"));
	assert_string_equal(why.advice, "");
	scene_close(&scene);
}

/* clang-format off */
static struct CMUnitTest tests[] = {
	ON_BOTH(a_lane_that_nobody_owns_is_told_beside_those_that_run),
	ON_BOTH(the_lane_that_ended_is_told_whatever_the_others_do),
	ON_BOTH(lanes_that_were_stopped_together_are_told_by_their_name),
	ON_BOTH(who_stands_by_names_another_number_of_lanes),
	ON_BOTH(who_stands_by_names_an_owner_without_lanes),
};
/* clang-format on */

/* PROGRAM [PATTERN]: the cases whose name has the pattern. */
int main(int argc, char **argv)
{
	return scene_main(argc, argv, tests, COUNT(tests));
}
