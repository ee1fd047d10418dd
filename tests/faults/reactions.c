/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each event is answered once, whatever fails: every operation of a delivery by turns, before and
 * after it was done, the connection of the database in earnest, and the processes themselves, two
 * of which take turns, or share lanes, and are killed at random moments while events are appended.
 *
 *	faults-reactions on BACKEND [KILLS]     sqlite, postgres; without the first two on both
 *
 * KILLS, or TIDE_TEST_KILLS: how many times. How long a process lives is drawn anew each time, and
 * from a longer span after each that made no progress.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine_tools.h"
#include "lib/fixture.h"

#define NAME "Answers"
#define EVENTS_A_LIFE 30
#define SHORT_LIFE 0.05 /* seconds, at most */
#define STREAMS 5
#define LANES 8
#define LANE_STREAMS 48 /* so that each lane has some */
#define LANE_LIFE 0.6   /* seconds, at most, of a member */
#define FREEZE 2.0      /* likewise; the lease is 1 */

/* ---- The handler: version % 3 answers to each event ------------------------------------------ */

struct answerer {
	const struct test_backend *backend;
	int member;                 /* what its rows say */
	atomic_bool is_held;        /* calls stay in hand, having appended */
	atomic_int calls, in_hand;  /* begun, and having appended */
	tide_position first[LANES]; /* of the events of the first calls */
	tide_position cuts_at;      /* its connection is cut at this event, having appended */
};

static tide_status append_answers(const struct tide_event *event, struct tide_delivery *delivery)
{
	const struct tide_new_event answer = { .event_type = "Answered" };
	const struct tide_append appends[] = {
		{ { event->aggregate_id, "Answer" }, TIDE_ANY, &answer, 1 },
		{ { event->aggregate_id, "Echo" }, TIDE_ANY, &answer, 1 },
	};
	size_t count = (size_t)event->version % 3;
	struct tide_error why;
	if (count == 0)
		return TIDE_OK;
	tide_status status = tide_delivery_append(delivery, appends, count, NULL, &why);
	return status == TIDE_OK ? status : tide_delivery_fail(delivery, status, "%s", why.message);
}

static tide_status answer(void *self, const struct tide_event *event,
			  struct tide_delivery *delivery)
{
	struct answerer *answerer = self;
	void *connection = tide_delivery_connection(delivery);
	char sql[80];
	snprintf(sql, sizeof sql, "INSERT INTO answers VALUES (%lld, %d)",
		 (long long)event->position, answerer->member);
	if (!answerer->backend->run(connection, sql))
		return tide_delivery_fail(delivery, TIDE_HANDLER_TRANSIENT, "row not written");
	tide_status status = append_answers(event, delivery);
	int call = atomic_fetch_add(&answerer->calls, 1);
	if (call < LANES)
		answerer->first[call] = event->position;
	atomic_fetch_add(&answerer->in_hand, 1);
	while (atomic_load(&answerer->is_held))
		wait_a_moment();
	if (event->position == answerer->cuts_at && tide_delivery_attempt(delivery) == 1)
		answerer->backend->run(connection, "SELECT pg_terminate_backend(pg_backend_pid())");
	return status;
}

static struct tide_subscriber answering(struct answerer *answerer)
{
	static const char *const types[] = { "Counted", NULL };
	return (struct tide_subscriber){ .name = NAME,
					 .self = answerer,
					 .event_types = types,
					 .handle = answer,
					 .transactional = true,
					 .appends = true };
}

static struct tide_subscription_config patient_config(uint32_t lanes)
{
	struct tide_subscription_config config = quick_config();
	config.lanes = lanes;
	config.max_retries = 1000;
	config.batch_size = 16;
	config.max_process_deaths = 1000000; /* whoever kills at random is to blame */
	return config;
}

/* ---- What is there --------------------------------------------------------------------------- */

/* In one statement, so that all of it is of one moment: what lies at or below the checkpoint is
 * answered as often as it is to be, and nothing above it is. */
static void answers_equal_the_checkpoint(struct fixture *f)
{
	static const char wrong[] =
		"SELECT count(*) FROM events c LEFT JOIN (SELECT causation_id, count(*) AS n FROM "
		"events WHERE event_type = 'Answered' GROUP BY causation_id) r ON r.causation_id = "
		"c.event_id LEFT JOIN answers a ON a.position = c.global_position CROSS JOIN "
		"(SELECT coalesce(max(global_position), 0) AS p FROM projection_checkpoints WHERE "
		"projection_name = '" NAME "') s WHERE c.event_type = 'Counted' AND "
		"(coalesce(r.n, 0) <> CASE WHEN c.global_position <= s.p THEN c.version % 3 ELSE 0 "
		"END OR (a.position IS NOT NULL) <> (c.global_position <= s.p))";
	assert_int_equal(fixture_number(f, wrong), 0);
}

/* Where several checkpoints say so: what is answered is whole, each aggregate's first events. */
static void answers_are_whole(struct fixture *f)
{
	static const char torn[] =
		"SELECT count(*) FROM events c LEFT JOIN (SELECT causation_id, count(*) AS n FROM "
		"events WHERE event_type = 'Answered' GROUP BY causation_id) r ON r.causation_id = "
		"c.event_id LEFT JOIN answers a ON a.position = c.global_position WHERE "
		"c.event_type = 'Counted' AND coalesce(r.n, 0) <> CASE WHEN a.position IS NULL "
		"THEN 0 ELSE c.version % 3 END";
	static const char skipped[] =
		"SELECT count(*) FROM (SELECT 1 FROM answers a JOIN events c ON c.global_position "
		"= a.position GROUP BY c.aggregate_id HAVING max(c.version) <> count(*)) t";
	assert_int_equal(fixture_number(f, torn), 0);
	assert_int_equal(fixture_number(f, skipped), 0);
}

/* Every event, once; the versions of what was appended have no hole. */
static void all_are_answered(struct fixture *f)
{
	answers_are_whole(f);
	assert_int_equal(
		fixture_number(f, "SELECT count(*) FROM events WHERE event_type = 'Answered'"),
		fixture_number(f, "SELECT coalesce(sum(version % 3), 0) FROM events WHERE "
				  "event_type = 'Counted'"));
	assert_int_equal(
		fixture_number(f, "SELECT count(*) FROM answers"),
		fixture_number(f, "SELECT count(*) FROM events WHERE event_type = 'Counted'"));
	assert_int_equal(fixture_number(f, "SELECT count(*) FROM (SELECT 1 FROM events GROUP BY "
					   "aggregate_id, aggregate_type HAVING max(version) <> "
					   "count(*)) t"),
			 0);
	assert_int_equal(fixture_number(f, "SELECT count(*) FROM dead_letter_queue"), 0);
}

static void make_store(struct fixture *f, void **state)
{
	fixture_open(f, *state);
	fixture_sql(f,
		    "CREATE TABLE answers (position BIGINT PRIMARY KEY, member BIGINT NOT NULL)");
}

/* ---- Faults on schedule ---------------------------------------------------------------------- */

/* The store by way of its faults, until everything is answered. */
static void answer_all_through(struct fixture *f, const char *faults)
{
	struct answerer answerer = { .backend = f->backend };
	const struct tide_subscriber subscriber = answering(&answerer);
	const struct tide_subscription_config config = patient_config(1);
	struct tide_store *store;
	struct tide_manager *manager;
	struct tide_subscription *subscription;
	char url[3 * TEMP_PATH_SIZE];
	snprintf(url, sizeof url, "fault:%s/%s", faults, f->url);
	must(tide_store_open(url, NULL, &store, err));
	must(tide_manager_open(TIDE_MANAGER(.store = store), &manager, err));
	must(tide_manager_subscribe(manager, &subscriber, &config, &subscription, err));
	must(tide_manager_start(manager, NULL, 0, NULL, NULL, err));
	must(tide_subscription_wait(subscription, end_of(f->store), PATIENCE, err));
	must(tide_manager_stop(manager, NULL, 0, err));
	tide_manager_close(manager);
	tide_store_close(store);
}

static void every_operation_may_fail_and_each_event_is_answered_once(void **state)
{
	static const char *const operations[] = { "begin", "savepoint", "append_within", "release",
						  "check", "save",      "commit" };
	static const char *const ways[] = { "when=before,status=connection_lost",
					    "when=after,status=connection_lost",
					    "when=before,status=busy" };
	struct fixture f;
	make_store(&f, state);
	unsigned number = 0;
	for (size_t i = 0; i < COUNT(operations); i++)
		for (size_t way = 0; way < COUNT(ways); way++)
			for (int after = 0; after < 4; after++) {
				char faults[120];
				snprintf(faults, sizeof faults, "op=%s,after=%d,times=2,%s",
					 operations[i], after, ways[way]);
				append_many(f.store, stream_of("Order", number % STREAMS), number,
					    4);
				number++;
				answer_all_through(&f, faults);
				answers_equal_the_checkpoint(&f);
				answer_all_through(&f, ""); /* the last save may have failed */
				answers_equal_the_checkpoint(&f);
				all_are_answered(&f);
			}
	print_message("%u schedules, %lld answers\n", number,
		      (long long)fixture_number(&f,
						"SELECT count(*) FROM events WHERE event_type = "
						"'Answered'"));
	fixture_close(&f);
}

static void connection_that_is_cut_behind_an_append_takes_it_along(void **state)
{
	struct fixture f;
	make_store(&f, state);
	if (strcmp(f.backend->name, "postgres") == 0) {
		struct answerer answerer = { .backend = f.backend, .cuts_at = 2 };
		const struct tide_subscriber subscriber = answering(&answerer);
		const struct tide_subscription_config config = patient_config(1);
		struct tide_manager *manager;
		struct tide_subscription *subscription;
		append_many(f.store, stream_of("Order", 1), 0, 10);
		must(tide_manager_open(TIDE_MANAGER(.store = f.store), &manager, err));
		must(tide_manager_subscribe(manager, &subscriber, &config, &subscription, err));
		must(tide_manager_start(manager, NULL, 0, NULL, NULL, err));
		must(tide_subscription_wait(subscription, 10, PATIENCE, err));
		must(tide_manager_stop(manager, NULL, 0, err));
		tide_manager_close(manager);
		answers_equal_the_checkpoint(&f);
		all_are_answered(&f);
	}
	fixture_close(&f);
}

/* On SQLite nobody can take the ownership while a delivery has the writer's lock. */
static void owner_that_is_fenced_with_an_append_in_hand_commits_nothing(void **state)
{
	struct fixture f;
	make_store(&f, state);
	if (strcmp(f.backend->name, "postgres") == 0) {
		struct answerer answerer = { .backend = f.backend };
		const struct tide_subscriber subscriber = answering(&answerer);
		const struct tide_subscription_config config = patient_config(1);
		struct tide_manager *manager;
		struct tide_subscription *subscription;
		atomic_store(&answerer.is_held, true);
		append_many(f.store, stream_of("Order", 1), 0, 3);
		must(tide_manager_open(TIDE_MANAGER(.store = f.store), &manager, err));
		must(tide_manager_subscribe(manager, &subscriber, &config, &subscription, err));
		must(tide_manager_start(manager, NULL, 0, NULL, NULL, err));
		wait_for(PATIENCE, atomic_load(&answerer.in_hand) > 0);
		must(tide_checkpoints_release(f.checkpoints, NAME, err));
		atomic_store(&answerer.is_held, false);
		wait_for(PATIENCE, status_of(subscription).state == TIDE_STATE_ERROR ||
					   saved_position(f.checkpoints, NAME) >= 3);
		answers_equal_the_checkpoint(&f);
		tide_manager_close(manager);
		answer_all_through(&f, "");
		answers_equal_the_checkpoint(&f);
		all_are_answered(&f);
	}
	fixture_close(&f);
}

static struct tide_manager *member_start(struct answerer *answerer, struct tide_store *store,
					 struct tide_subscription **ret)
{
	const struct tide_subscriber subscriber = answering(answerer);
	const struct tide_subscription_config config = patient_config(LANES);
	struct tide_manager *manager;
	must(tide_manager_open(TIDE_MANAGER(.store = store), &manager, err));
	must(tide_manager_subscribe(manager, &subscriber, &config, ret, err));
	must(tide_manager_start(manager, NULL, 0, NULL, NULL, err));
	return manager;
}

/* How many of the events that `fenced` had in hand were answered by another member. */
static int answered_by_others(struct fixture *f, const struct answerer *fenced)
{
	int count = 0;
	for (size_t i = 0; i < LANES; i++) {
		char sql[120];
		snprintf(sql, sizeof sql,
			 "SELECT count(*) FROM answers WHERE position = %lld AND member <> %d",
			 (long long)fenced->first[i], fenced->member);
		count += fixture_number(f, sql) == 1;
	}
	return count;
}

/* All lanes have an append in hand that nobody may see, and half of them move to the other member,
 * which appends the same to the same streams. */
static void lanes_that_are_fenced_with_appends_in_hand_commit_none_of_them(void **state)
{
	struct fixture f;
	make_store(&f, state);
	if (strcmp(f.backend->name, "postgres") == 0) {
		struct answerer first = { .backend = f.backend, .member = 1, .is_held = true };
		struct answerer second = { .backend = f.backend, .member = 2 };
		struct tide_subscription *fenced, *heir;
		for (unsigned i = 0; i < LANE_STREAMS; i++)
			append_many(f.store, stream_of("Order", i), i, 3);
		struct tide_manager *one = member_start(&first, f.store, &fenced);
		wait_for(PATIENCE, atomic_load(&first.in_hand) == LANES);
		must(tide_checkpoints_release(f.checkpoints, NAME, err));
		struct tide_store *store = fixture_second_handle(&f);
		struct tide_manager *other = member_start(&second, store, &heir);
		wait_for(PATIENCE, status_of(heir).lanes_owned == LANES / 2);
		assert_int_equal(fixture_number(&f, "SELECT count(*) FROM answers"), 0);
		atomic_store(&first.is_held, false);

		wait_for(PATIENCE,
			 fixture_number(&f, "SELECT count(*) FROM answers") == 3 * LANE_STREAMS);
		all_are_answered(&f);
		assert_true(answered_by_others(&f, &first) >= LANES / 2);
		tide_manager_close(other);
		tide_store_close(store);
		tide_manager_close(one);
	}
	fixture_close(&f);
}

/** What a delivery's connection is set to. */
struct asker {
	const struct test_backend *backend;
	int64_t synchronous;
};

static tide_status ask_synchronous(void *self, const struct tide_event *event,
				   struct tide_delivery *delivery)
{
	struct asker *asker = self;
	(void)event;
	asker->synchronous =
		asker->backend->ask(tide_delivery_connection(delivery), "PRAGMA synchronous");
	return TIDE_OK;
}

static int64_t synchronous_of(struct fixture *f, const char *parameter, bool appends)
{
	struct asker asker = { .backend = f->backend };
	const struct tide_subscriber subscriber = { .name = appends ? "appends" : "writes",
						    .self = &asker,
						    .handle = ask_synchronous,
						    .transactional = true,
						    .appends = appends };
	const struct tide_subscription_config config = quick_config();
	struct tide_store *store;
	struct tide_manager *manager;
	struct tide_subscription *subscription;
	char url[3 * TEMP_PATH_SIZE];
	snprintf(url, sizeof url, "%s%s", f->url, parameter);
	must(tide_store_open(url, NULL, &store, err));
	must(tide_manager_open(TIDE_MANAGER(.store = store), &manager, err));
	must(tide_manager_subscribe(manager, &subscriber, &config, &subscription, err));
	must(tide_manager_start(manager, NULL, 0, NULL, NULL, err));
	must(tide_subscription_wait(subscription, end_of(f->store), PATIENCE, err));
	must(tide_manager_stop(manager, NULL, 0, err));
	tide_manager_close(manager);
	tide_store_close(store);
	must(tide_checkpoints_reset(f->checkpoints, subscriber.name, err));
	return asker.synchronous;
}

/* On SQLite (1: NORMAL, 2: FULL): as appends are, and only where there are some. */
static void commits_of_answers_are_flushed_as_appends_are(void **state)
{
	struct fixture f;
	make_store(&f, state);
	if (strcmp(f.backend->name, "sqlite") == 0) {
		append_many(f.store, stream_of("Order", 1), 0, 3);
		assert_int_equal(synchronous_of(&f, "", true), 2);
		assert_int_equal(synchronous_of(&f, "", false), 1);
		assert_int_equal(synchronous_of(&f, "?synchronous=normal", true), 1);
	}
	fixture_close(&f);
}

/* ---- Processes that are killed --------------------------------------------------------------- */

/* The argument: backend, lanes, position to end at (0: until it is killed), URL. */
static int answerer_run(const char *argument, int report_to)
{
	char backend[32], url[512];
	uint32_t lanes;
	long long until;
	if (sscanf(argument, "%31s %" SCNu32 " %lld %511s", backend, &lanes, &until, url) != 4)
		return 97;
	struct answerer answerer = { .backend = test_backend_find(backend), .member = getpid() };
	const struct tide_subscriber subscriber = answering(&answerer);
	const struct tide_subscription_config config = patient_config(lanes);
	struct tide_store *store;
	struct tide_manager *manager;
	struct tide_subscription *subscription;
	insist(tide_store_open(url, NULL, &store, err));
	insist(tide_manager_open(TIDE_MANAGER(.store = store, .lease_seconds = 1), &manager, err));
	insist(tide_manager_subscribe(manager, &subscriber, &config, &subscription, err));
	insist(tide_manager_start(manager, NULL, 0, NULL, NULL, err));
	child_report(report_to, 'r');
	while (!until)
		pause();
	insist(tide_subscription_wait(subscription, until, 4 * PATIENCE, err));
	insist(tide_manager_stop(manager, NULL, 0, err));
	tide_manager_close(manager);
	tide_store_close(store);
	return 0;
}

static struct child answerer_start(const struct fixture *f, uint32_t lanes, tide_position until)
{
	char argument[600];
	snprintf(argument, sizeof argument, "%s %" PRIu32 " %lld %s", f->backend->name, lanes,
		 (long long)until, f->url);
	return child_start(answerer_run, argument);
}

/* The one that owns the name, or now and then the other. */
static size_t choose_victim(struct fixture *f, const struct child children[2])
{
	int64_t pid =
		fixture_number(f, "SELECT coalesce(max(pid), 0) FROM subscription_leases WHERE "
				  "owner IS NOT NULL");
	size_t owner = children[1].pid == pid;
	return random() % 4 == 0 ? 1 - owner : owner;
}

/* Half of the dead count as having left well: the other one takes over at once, and goes on without
 * marking each event. */
static void kill_one(struct fixture *f, struct child children[2], size_t victim, uint32_t lanes,
		     int round)
{
	char sql[120];
	snprintf(sql, sizeof sql, "UPDATE subscription_leases SET owner = NULL WHERE pid = %d",
		 (int)children[victim].pid);
	child_signal(&children[victim], SIGKILL);
	assert_int_equal(child_join(&children[victim]), 128 + SIGKILL);
	if (round % 2 == 0)
		fixture_sql(f, sql);
	children[victim] = answerer_start(f, lanes, 0);
	if (round % 4 != 3) /* every fourth may be killed while it still opens and starts */
		assert_int_equal(child_await(&children[victim], PATIENCE), 'r');
}

static int kill_count;

static int kills_on(const struct fixture *f)
{
	bool is_postgres = strcmp(f->backend->name, "postgres") == 0;
	return kill_count ? kill_count : (int)test_number("TIDE_TEST_KILLS", is_postgres ? 12 : 60);
}

static int64_t answers_made(struct fixture *f)
{
	return fixture_number(f, "SELECT count(*) FROM events WHERE event_type = 'Answered'");
}

static double random_part(double of)
{
	return of * (double)(random() % 10001) / 10000;
}

static void answer_what_is_left(struct fixture *f, struct child children[2], uint32_t lanes)
{
	for (size_t i = 0; i < 2; i++) {
		child_signal(&children[i], SIGKILL);
		child_join(&children[i]);
	}
	struct child last = answerer_start(f, lanes, end_of(f->store));
	assert_int_equal(child_join(&last), 0);
	all_are_answered(f);
}

static void killed_at_random_by_turns_each_event_is_answered_once(void **state)
{
	struct fixture f;
	make_store(&f, state);
	int kills = kills_on(&f);
	struct child children[2] = { answerer_start(&f, 1, 0), answerer_start(&f, 1, 0) };
	tide_position before = -1;
	double longest = SHORT_LIFE;
	unsigned appended = 0;
	int advanced = 0;
	for (int i = 0; i < kills; i++, appended += EVENTS_A_LIFE) {
		append_many(f.store, stream_of("Order", (unsigned)i % STREAMS), appended,
			    EVENTS_A_LIFE);
		pass_time(random_part(longest));
		kill_one(&f, children, choose_victim(&f, children), 1, i);
		answers_equal_the_checkpoint(&f);
		tide_position position = saved_position(f.checkpoints, NAME);
		assert_true(position >= before);
		advanced += position > before;
		longest = position > before ? SHORT_LIFE : 2 * longest;
		before = position;
	}

	answer_what_is_left(&f, children, 1);
	answers_equal_the_checkpoint(&f);
	print_message("%s: %d kills, %d of them after progress, %u events, %lld answers\n",
		      f.backend->name, kills, advanced, appended, (long long)answers_made(&f));
	fixture_close(&f);
}

/* On PostgreSQL one in three is frozen instead, and goes on, within its lease or past it. */
static void disturb(struct fixture *f, struct child children[2], int round)
{
	size_t victim = (size_t)random() % 2;
	if (strcmp(f->backend->name, "postgres") != 0 || round % 3 != 2) {
		kill_one(f, children, victim, LANES, round);
		return;
	}
	child_signal(&children[victim], SIGSTOP);
	pass_time(random_part(FREEZE));
	child_signal(&children[victim], SIGCONT);
}

/* How often one member answered an event whose predecessor in its stream another had answered. */
static int64_t moves_made(struct fixture *f)
{
	return fixture_number(
		f, "SELECT count(*) FROM (SELECT a.member, lag(a.member) OVER (PARTITION BY "
		   "c.aggregate_id ORDER BY c.version) AS former FROM answers a JOIN events c ON "
		   "c.global_position = a.position) t WHERE member <> former");
}

static void lanes_that_move_between_members_have_each_event_answered_once(void **state)
{
	struct fixture f;
	make_store(&f, state);
	int kills = kills_on(&f);
	struct child children[2] = { answerer_start(&f, LANES, 0), answerer_start(&f, LANES, 0) };
	double longest = LANE_LIFE;
	int64_t before = 0;
	unsigned appended = 0;
	for (int i = 0; i < kills; i++) {
		for (unsigned k = 0; k < LANE_STREAMS; k++, appended++)
			append_many(f.store, stream_of("Order", k), appended, 1);
		pass_time(random_part(longest));
		disturb(&f, children, i);
		answers_are_whole(&f);
		int64_t answered = answers_made(&f);
		longest = answered > before ? LANE_LIFE : 2 * longest;
		before = answered;
	}

	answer_what_is_left(&f, children, LANES);
	int64_t moves = moves_made(&f);
	print_message("%s: %d members disturbed, %u events, %lld answers, of which %lld follow "
		      "one of another member\n",
		      f.backend->name, kills, appended, (long long)answers_made(&f),
		      (long long)moves);
	assert_true(moves > kills);
	fixture_close(&f);
}

/* ---- Which backend --------------------------------------------------------------------------- */

static int run_on(const char *name)
{
	const struct test_backend *backend = test_backend_find(name);
	void *state = (void *)(uintptr_t)backend;
	if (!backend || (backend->start && !backend->start()))
		return backend ? 77 : 2;
	struct CMUnitTest tests[] = {
		cmocka_unit_test(every_operation_may_fail_and_each_event_is_answered_once),
		cmocka_unit_test(connection_that_is_cut_behind_an_append_takes_it_along),
		cmocka_unit_test(owner_that_is_fenced_with_an_append_in_hand_commits_nothing),
		cmocka_unit_test(commits_of_answers_are_flushed_as_appends_are),
		cmocka_unit_test(lanes_that_are_fenced_with_appends_in_hand_commit_none_of_them),
		cmocka_unit_test(killed_at_random_by_turns_each_event_is_answered_once),
		cmocka_unit_test(lanes_that_move_between_members_have_each_event_answered_once),
	};
	for (size_t i = 0; i < COUNT(tests); i++)
		tests[i].initial_state = state;
	int failed = cmocka_run_group_tests_name(name, tests, NULL, NULL);
	if (backend->stop)
		backend->stop();
	return failed;
}

int main(int argc, char **argv)
{
	child_main(argc, argv);
	unsigned seed = (unsigned)test_number("TIDE_TEST_SEED", (int64_t)time(NULL));
	print_message("TIDE_TEST_SEED=%u\n", seed);
	srandom(seed);
	if (argc > 2 && strcmp(argv[1], "on") == 0) {
		kill_count = argc > 3 ? atoi(argv[3]) : 0;
		return run_on(argv[2]);
	}
	int failed = run_on("sqlite");
#ifdef TIDE_HAVE_POSTGRES
	failed += run_on("postgres");
#endif
	return failed;
}
