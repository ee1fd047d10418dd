/* SPDX-License-Identifier: Apache-2.0 */
/* More subscriptions than connections, on a server that has few. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libpq-fe.h>

#include <tidemark/tidemark.h>

#include "backends/postgres/inner.h"
#include "lib/build.h"
#include "lib/must.h"
#include "lib/postgres.h"
#include "lib/resting.h"
#include "lib/wait.h"
#include "path/store.h"

#define SERVER_CONNECTIONS 50
#define LANES_MAX 80
/* beside those of subscriptions: the one that is kept for what must not wait, the renewer's, the
 * listener's and its probe's, the bell's, and two of calls */
#define OTHERS 7
#define POOL 2

/** One subscription, and what its handler has seen. */
struct lane {
	struct scene *scene;
	char name[24];
	tide_position last;
	atomic_int handled, attached, contexts, contexts_freed;
	atomic_bool is_wrong; /* out of order, twice, or with what is another connection's */
	bool is_holding;      /* until it is let go */
	bool is_plain;        /* writes nothing itself */
	bool is_rare;         /* saves when it is paused, and hardly ever else */
};

/** A store, and subscriptions over it. */
struct scene {
	const char *schema;
	struct tide_store *store;
	struct tide_checkpoints *checkpoints;
	struct tide_manager *manager;
	struct lane lanes[LANES_MAX];
	int count;
	atomic_bool is_let_go;
	atomic_int holding;
};

static int64_t number_of(const char *text)
{
	PGconn *connection = PQconnectdb("");
	PGresult *result = PQexec(connection, text);
	if (PQntuples(result) != 1)
		fail_msg("%s: %s", text, PQerrorMessage(connection));
	int64_t value = strtoll(PQgetvalue(result, 0, 0), NULL, 10);
	PQclear(result);
	PQfinish(connection);
	return value;
}

static int64_t backends(void)
{
	return number_of("SELECT count(*) FROM pg_stat_activity WHERE application_name = "
			 "'tidemark'");
}

static int64_t open_transactions(void)
{
	return number_of("SELECT count(*) FROM pg_stat_activity WHERE application_name = "
			 "'tidemark' AND state LIKE 'idle in transaction%'");
}

/* ---- Handlers -------------------------------------------------------------------------------- */

/** What is made for a connection. */
struct made {
	void *connection;
};

static tide_status lane_attach(void *self, void *connection, struct tide_error *err)
{
	struct lane *lane = self;
	(void)connection;
	(void)err;
	atomic_fetch_add(&lane->attached, 1);
	return TIDE_OK;
}

static void lane_detach(void *self, void *connection)
{
	struct lane *lane = self;
	(void)connection;
	atomic_fetch_sub(&lane->attached, 1);
}

static tide_status lane_make(void *self, struct tide_lane place, void *connection, void **ret,
			     struct tide_error *err)
{
	struct lane *lane = self;
	struct made *made = malloc(sizeof *made);
	(void)place;
	(void)err;
	assert_non_null(made);
	made->connection = connection;
	atomic_fetch_add(&lane->contexts, 1);
	*ret = made;
	return TIDE_OK;
}

static void lane_free(void *self, void *context)
{
	struct lane *lane = self;
	atomic_fetch_add(&lane->contexts_freed, 1);
	free(context);
}

static void lane_hold(struct lane *lane)
{
	if (!lane->is_holding || lane->scene->is_let_go)
		return;
	atomic_fetch_add(&lane->scene->holding, 1);
	while (!lane->scene->is_let_go)
		wait_a_moment();
}

static tide_status lane_handle(void *self, const struct tide_event *event,
			       struct tide_delivery *delivery)
{
	struct lane *lane = self;
	char text[200];
	const struct made *made = tide_delivery_context(delivery);
	if (!made || made->connection != tide_delivery_connection(delivery))
		lane->is_wrong = true;
	lane_hold(lane);
	snprintf(text, sizeof text,
		 "UPDATE %s.totals SET events = events + 1, last = %lld WHERE name = '%s' AND last "
		 "< %lld",
		 lane->scene->schema, (long long)event->position, lane->name,
		 (long long)event->position);
	PGresult *result = PQexec(tide_delivery_connection(delivery), text);
	bool is_ok = PQresultStatus(result) == PGRES_COMMAND_OK;
	if (is_ok && strcmp(PQcmdTuples(result), "1") != 0)
		lane->is_wrong = true;
	PQclear(result);
	atomic_fetch_add(&lane->handled, 1);
	return TIDE_OK; /* what the connection says is for the subscription to find out */
}

static tide_status lane_see(void *self, const struct tide_event *event,
			    struct tide_delivery *delivery)
{
	struct lane *lane = self;
	(void)delivery;
	if (event->position <= lane->last)
		lane->is_wrong = true;
	lane->last = event->position;
	lane_hold(lane);
	atomic_fetch_add(&lane->handled, 1);
	return TIDE_OK;
}

/* ---- Scenes ---------------------------------------------------------------------------------- */

static void lane_subscribe(struct scene *scene, struct lane *lane)
{
	struct tide_subscription_config config = TIDE_SUBSCRIPTION_CONFIG_DEFAULT;
	config.initial_retry_delay = 0.01;
	config.max_retry_delay = 0.2;
	config.max_retries = 100;
	config.circuit_breaker_enabled = false;
	if (lane->is_rare) {
		config.checkpoint_strategy = TIDE_PERIODIC;
		config.checkpoint_interval_seconds = 3600;
	}
	struct tide_subscriber subscriber = { .name = lane->name,
					      .self = lane,
					      .handle = lane->is_plain ? lane_see : lane_handle,
					      .transactional = !lane->is_plain };
	if (!lane->is_plain) {
		subscriber.attach = lane_attach;
		subscriber.detach = lane_detach;
		subscriber.context_new = lane_make;
		subscriber.context_free = lane_free;
	}
	must(tide_manager_subscribe(scene->manager, &subscriber, &config, NULL, err));
}

/* `plain` and then `holding` of them are so. */
static struct scene *scene_open(const char *schema, const char *parameters, int count, int plain,
				int holding)
{
	struct scene *scene = calloc(1, sizeof *scene);
	char url[120], text[200];
	assert_non_null(scene);
	scene->schema = schema;
	scene->count = count;
	snprintf(url, sizeof url, "postgresql:///?schema=%s%s", schema, parameters);
	must(tide_store_open(url, TIDE_STORE_OPTIONS(.initialize = true), &scene->store, err));
	postgres_sql(schema, "CREATE TABLE totals (name text PRIMARY KEY, events bigint, last "
			     "bigint)");
	must(tide_manager_open(TIDE_MANAGER(.store = scene->store), &scene->manager, err));
	for (int i = 0; i < count; i++) {
		struct lane *lane = &scene->lanes[i];
		lane->scene = scene;
		lane->is_plain = i < plain;
		lane->is_holding = i >= plain && i < plain + holding;
		snprintf(lane->name, sizeof lane->name, "lane%d", i);
		snprintf(text, sizeof text, "INSERT INTO totals VALUES ('%s', 0, 0)", lane->name);
		postgres_sql(schema, text);
		lane_subscribe(scene, lane);
	}
	return scene;
}

static void scene_start(struct scene *scene)
{
	must(tide_manager_start(scene->manager, NULL, 60, NULL, NULL, err));
}

static bool scene_has_handled(const struct scene *scene, int events)
{
	for (int i = 0; i < scene->count; i++)
		if (scene->lanes[i].handled < events)
			return false;
	return true;
}

static void scene_is_right(struct scene *scene, int events)
{
	char text[160];
	int transactional = 0;
	for (int i = 0; i < scene->count; i++) {
		assert_false(scene->lanes[i].is_wrong);
		transactional += !scene->lanes[i].is_plain;
	}
	snprintf(text, sizeof text, "SELECT count(*) FROM %s.totals WHERE events = %d",
		 scene->schema, events);
	wait_for(30, number_of(text) == transactional);
	snprintf(text, sizeof text, "SELECT count(*) FROM %s.dead_letter_queue", scene->schema);
	assert_int_equal(number_of(text), 0);
}

static void scene_close(struct scene *scene)
{
	scene->is_let_go = true;
	tide_manager_close(scene->manager);
	for (int i = 0; i < scene->count; i++) {
		const struct lane *lane = &scene->lanes[i];
		assert_int_equal(lane->attached, 0);
		assert_int_equal(lane->contexts, lane->contexts_freed);
	}
	tide_store_close(scene->store);
	free(scene);
}

/* ---- Tests ----------------------------------------------------------------------------------- */

static void twenty_subscriptions_live_on_four_connections(void **state)
{
	(void)state;
	struct scene *scene = scene_open("four", "&connections=4&pool=2", 20, 5, 0);
	int events = 100;
	int64_t most = 0;
	append_many(scene->store, stream_of("Order", 1), 0, 100);
	scene_start(scene);
	assert_true(scene_has_handled(scene, events));
	for (int i = 0; i < 40; i++, events++) {
		append_many(scene->store, stream_of("Live", (unsigned)i), 0, 1);
		int64_t now = backends();
		most = now > most ? now : most;
	}
	wait_for(60, scene_has_handled(scene, events));
	scene_is_right(scene, events);
	assert_in_range(most, 4, 4 + POOL + OTHERS);
	for (int i = 0; i < scene->count; i++)
		assert_in_range(scene->lanes[i].contexts, !scene->lanes[i].is_plain, 5);
	assert_int_equal(open_transactions(), 0);
	scene_close(scene);
	wait_for(10, backends() == 0);
}

static void who_waits_for_a_connection_has_no_transaction_open(void **state)
{
	(void)state;
	struct scene *scene = scene_open("holding", "&connections=4&pool=2", 12, 2, 4);
	scene_start(scene);
	append_many(scene->store, stream_of("Order", 1), 0, 1);
	wait_for(30, scene->holding == 4);
	append_many(scene->store, stream_of("Order", 2), 0, 3); /* it has its own */
	assert_int_equal(open_transactions(), 4);
	assert_in_range(backends(), 4, 4 + POOL + OTHERS);

	/* who waits is stopped at once, and what it holds is let go */
	const char *const names[] = { "lane11", NULL };
	double since = seconds_now();
	must(tide_manager_stop(scene->manager, names, 20, err));
	assert_true(seconds_now() - since < 3);
	assert_int_equal(number_of("SELECT count(*) FROM holding.subscription_leases WHERE "
				   "name = 'lane11' AND owner IS NULL"),
			 1);
	assert_int_equal(open_transactions(), 4);
	for (int i = 6; i < scene->count; i++)
		assert_in_range(scene->lanes[i].handled, 0, 1);

	scene->is_let_go = true;
	must(tide_manager_start(scene->manager, names, 30, NULL, NULL, err));
	wait_for(30, scene_has_handled(scene, 4));
	scene_is_right(scene, 4);
	scene_close(scene);
}

/* By one connection: those who wait for it to write need none themselves. How many share a commit
 * is the machine's; with a connection for each it would be two. */
static void saves_that_come_together_share_a_commit(void **state)
{
	(void)state;
	enum { LIVE = 40, APPENDS = 10 };
	struct scene *scene = scene_open("together", "&connections=2&pool=2", LIVE, LIVE, 0);
	int64_t commits = 0;
	scene_start(scene);
	for (int i = 1; i <= APPENDS; i++) {
		char text[160];
		append_many(scene->store, stream_of("Order", (unsigned)i), 0, 1);
		snprintf(text, sizeof text,
			 "SELECT count(*) FROM together.projection_checkpoints WHERE "
			 "global_position = %d",
			 i);
		wait_for(60, number_of(text) == LIVE);
		commits += number_of("SELECT count(DISTINCT xmin::text) FROM "
				     "together.projection_checkpoints");
	}
	if (commits >= LIVE * APPENDS / 2)
		fail_msg("%lld commits of %d saves", (long long)commits, LIVE * APPENDS);
	scene_is_right(scene, APPENDS);
	scene_close(scene);
}

/* Neither the connections nor what is kept for what must not wait is there for it. */
static void who_is_paused_while_no_connection_is_free_saves_when_one_is(void **state)
{
	(void)state;
	struct scene *scene = scene_open("pausing", "&connections=2&pool=2", 2, 0, 2);
	struct lane *rare = &scene->lanes[2];
	*rare = (struct lane){ .scene = scene, .name = "rare", .is_plain = true, .is_rare = true };
	lane_subscribe(scene, rare);
	const char *const position = "SELECT coalesce(max(global_position), 0) FROM "
				     "pausing.projection_checkpoints WHERE projection_name = "
				     "'rare'";
	scene->is_let_go = true;
	scene_start(scene);
	append_many(scene->store, stream_of("Order", 1), 0, 1);
	wait_for(30, rare->handled == 1);
	assert_true(tide_manager_pause(scene->manager, "rare", TIDE_PAUSE_MANUAL));
	wait_for(30, number_of(position) == 1); /* it has a row from now on */
	assert_true(tide_manager_resume(scene->manager, "rare"));
	append_many(scene->store, stream_of("Order", 2), 0, 1);
	wait_for(30, rare->handled == 2 && scene_has_handled(scene, 2));

	scene->is_let_go = false;
	append_many(scene->store, stream_of("Order", 3), 0, 1);
	wait_for(30, scene->holding == 2);
	assert_true(tide_manager_pause(scene->manager, "rare", TIDE_PAUSE_MANUAL));
	assert_int_equal(number_of(position), 1);
	scene->is_let_go = true;
	wait_for(30, number_of(position) > 1);
	scene_close(scene);
}

static void connections_that_are_cut_are_made_anew_and_nothing_is_lost(void **state)
{
	(void)state;
	struct scene *scene = scene_open("cut", "&connections=3&pool=2", 10, 5, 0);
	double end = seconds_now() + 4, next = 0;
	int events = 0;
	scene_start(scene);
	while (seconds_now() < end) {
		append_many(scene->store, stream_of("Order", (unsigned)events), 0, 5);
		events += 5;
		if (seconds_now() > next) {
			postgres_terminate_all();
			next = seconds_now() + 0.6;
		}
	}
	wait_for(60, scene_has_handled(scene, events));
	scene_is_right(scene, events); /* and those that share saves had none twice */
	char text[120];
	snprintf(text, sizeof text,
		 "SELECT count(*) FROM cut.projection_checkpoints WHERE events_processed = %d",
		 events);
	wait_for(60, number_of(text) == scene->count);
	scene_close(scene);
}

static void eighty_subscriptions_leave_appends_their_connections(void **state)
{
	(void)state;
	struct scene *scene = scene_open("eighty", "", LANES_MAX, LANES_MAX / 2, 0);
	scene_start(scene);
	for (int i = 0; i < 20; i++)
		append_many(scene->store, stream_of("Order", (unsigned)i), 0, 1);
	assert_in_range(backends(), 1, 16 + 8 + OTHERS);
	wait_for(60, scene_has_handled(scene, 20));
	scene_is_right(scene, 20);
	scene_close(scene);
}

#define PROJECTIONS 12

static void sql_projections_share_connections(void **state)
{
	(void)state;
	struct tide_store *store;
	struct tide_manager *manager;
	struct tide_sql_projection *projections[PROJECTIONS];
	const char *url = "postgresql:///?schema=shared&connections=3";
	struct tide_subscription_config config = TIDE_SUBSCRIPTION_CONFIG_DEFAULT;
	must(tide_store_open(url, TIDE_STORE_OPTIONS(.initialize = true), &store, err));
	must(tide_manager_open(TIDE_MANAGER(.store = store), &manager, err));
	for (int i = 0; i < PROJECTIONS; i++) {
		char text[300], name[20];
		snprintf(name, sizeof name, "sum%d", i);
		snprintf(text, sizeof text,
			 "-- init:\nCREATE TABLE IF NOT EXISTS sum%d (n bigint, last bigint);\n"
			 "INSERT INTO sum%d SELECT 0, 0 WHERE NOT EXISTS (SELECT FROM sum%d);\n"
			 "-- on: *\nUPDATE sum%d SET n = n + 1, last = :global_position WHERE last "
			 "< :global_position;\n",
			 i, i, i, i);
		must(tide_sql_projection_open(
			TIDE_SQL_PROJECTION(.text = text, .name = name, .url = url),
			&projections[i], err));
		must(tide_manager_subscribe(manager, tide_sql_projection_subscriber(projections[i]),
					    &config, NULL, err));
	}
	append_many(store, stream_of("Order", 1), 0, 30);
	must(tide_manager_start(manager, NULL, 60, NULL, NULL, err));
	for (unsigned i = 0; i < 30; i++)
		append_many(store, stream_of("Live", i), 0, 1);
	for (int i = 0; i < PROJECTIONS; i++) {
		char text[60];
		snprintf(text, sizeof text, "SELECT n FROM shared.sum%d", i);
		wait_for(60, number_of(text) == 60);
	}
	assert_in_range(backends(), 3, 3 + 8 + OTHERS);
	tide_manager_close(manager);
	for (int i = 0; i < PROJECTIONS; i++)
		tide_sql_projection_close(projections[i]);
	tide_store_close(store);
}

/* ---- The queue ------------------------------------------------------------------------------- */

static void queue_ring(void *self)
{
	atomic_fetch_add((atomic_int *)self, 1);
}

/* As a subscription that was paused while it waited. */
static void who_rests_without_asking_again_leaves_the_queue(void **state)
{
	(void)state;
	struct tide_store *store;
	const char *url = "postgresql:///?schema=queue&connections=1";
	must(tide_store_open(url, TIDE_STORE_OPTIONS(.initialize = true), &store, err));
	const struct tide_store_ops *ops = &store->backend->store;
	atomic_int rung[3] = { 0 };
	void *sessions[3];
	for (int i = 0; i < 3; i++)
		must(ops->session_share(store->state, queue_ring, &rung[i], &sessions[i], err));

	assert_true(ops->session_take(sessions[0]));
	for (int i = 1; i < 3; i++) {
		assert_false(ops->session_take(sessions[i]));
		ops->session_rest(sessions[i]);
	}
	ops->session_rest(sessions[1]);
	ops->session_rest(sessions[0]);
	assert_int_equal(rung[1], 0);
	assert_int_equal(rung[2], 1);

	assert_false(ops->session_take(sessions[1]));
	ops->session_rest(sessions[1]);
	ops->session_rest(sessions[2]);
	assert_int_equal(rung[1], 1);
	assert_true(ops->session_take(sessions[1]));
	for (int i = 0; i < 3; i++)
		ops->session_close(sessions[i]);
	tide_store_close(store);
}

static bool has_connection(void *session)
{
	return pg_seats_has(session);
}

static void orphan(void *self)
{
	postgres_sql(self, "UPDATE subscription_leases SET owner = "
			   "'01900000-0000-7000-8000-000000000000', released_at = NULL, "
			   "expires_at = now() - interval '1 s'");
}

static void handlers_are_called_while_their_session_has_no_connection(void **state)
{
	static char schema[] = "resting";
	(void)state;
	resting_see(&(struct resting){ "postgresql:///?schema=resting&connections=1",
				       has_connection, orphan, schema });
}

static void another_number_of_connections_is_refused(void **state)
{
	(void)state;
	static const char *const values[] = { "0", "-1", "1001", "many", "" };
	for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
		char url[80], expected[80];
		struct tide_store *store;
		snprintf(url, sizeof url, "postgresql:///?connections=%s", values[i]);
		snprintf(expected, sizeof expected, "connections is '%s' and must be 1 to 1000",
			 values[i]);
		struct tide_error why = refused(
			TIDE_ARGUMENT, tide_store_open(url, TIDE_STORE_OPTIONS(0), &store, err));
		assert_non_null(strstr(why.message, expected));
	}
}

int main(void)
{
	if (!postgres_start_as(&(struct postgres_wish){ .connections = SERVER_CONNECTIONS }))
		return 77;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(another_number_of_connections_is_refused),
		cmocka_unit_test(who_rests_without_asking_again_leaves_the_queue),
		cmocka_unit_test(handlers_are_called_while_their_session_has_no_connection),
		cmocka_unit_test(twenty_subscriptions_live_on_four_connections),
		cmocka_unit_test(who_waits_for_a_connection_has_no_transaction_open),
		cmocka_unit_test(saves_that_come_together_share_a_commit),
		cmocka_unit_test(who_is_paused_while_no_connection_is_free_saves_when_one_is),
		cmocka_unit_test(connections_that_are_cut_are_made_anew_and_nothing_is_lost),
		cmocka_unit_test(eighty_subscriptions_leave_appends_their_connections),
		cmocka_unit_test(sql_projections_share_connections),
	};
	int failed = cmocka_run_group_tests_name("postgres_seats", tests, NULL, NULL);
	postgres_stop();
	return failed;
}
