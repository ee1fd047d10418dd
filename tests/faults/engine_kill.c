/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process that projects into SQLite transactionally, by calls of an event, of a batch, or by SQL
 * that is handled together, is killed at random moments while another one appends by threads that
 * share commits, and is killed now and then, too. After every kill the read model is compared, by
 * plain SQLite, with a fold of the log up to the checkpoint.
 *
 * TIDE_TEST_KILLS, or the first argument: how many times (200). How long a process lives is drawn
 * anew each time, and from a longer span after each that made no progress: a loaded machine is
 * slower, and proves the same.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "engine_tools.h"

#define STREAMS 7
#define APPENDERS 4 /* threads */
#define HASH_MODULUS 1000003
#define SHORT_LIFE 0.05 /* seconds, at most */

enum way { BY_EVENT, BY_BATCH, BY_SQL };

struct variant {
	const char *label;
	enum tide_checkpoint_strategy strategy;
	enum way way;
};

static const struct variant variants[] = {
	{ "every_event, single", TIDE_EVERY_EVENT, BY_EVENT },
	{ "every_event, batch", TIDE_EVERY_EVENT, BY_BATCH },
	{ "every_batch, single", TIDE_EVERY_BATCH, BY_EVENT },
	{ "every_batch, batch", TIDE_EVERY_BATCH, BY_BATCH },
	{ "every_batch, SQL", TIDE_EVERY_BATCH, BY_SQL },
	{ "periodic, single", TIDE_PERIODIC, BY_EVENT },
	{ "periodic, batch", TIDE_PERIODIC, BY_BATCH },
	{ "periodic, SQL", TIDE_PERIODIC, BY_SQL },
};

/* ---- The process that is killed -------------------------------------------------------------- */

/* The hash depends on the order: an event missing, twice or out of order shows in every later value
 * of its stream. */
static tide_status project(void *connection, const struct tide_event *event,
			   struct tide_delivery *delivery)
{
	static const char sql[] =
		"INSERT INTO model (stream, events, hash, last) VALUES (?1, 1, ?2 % 1000003, ?2) "
		"ON "
		"CONFLICT (stream) DO "
		"UPDATE SET events = events + 1, hash = (hash * 31 + ?2) % 1000003, last = ?2";
	char stream[TIDE_UUID_TEXT_SIZE];
	sqlite3_stmt *statement = NULL;
	tide_uuid_format(&event->aggregate_id, stream);
	int code = sqlite3_prepare_v2(connection, sql, -1, &statement, NULL);
	if (code == SQLITE_OK) {
		sqlite3_bind_text(statement, 1, stream, -1, SQLITE_TRANSIENT);
		sqlite3_bind_int64(statement, 2, event->position);
		code = sqlite3_step(statement);
	}
	sqlite3_finalize(statement);
	if (code == SQLITE_DONE)
		return TIDE_OK;
	return tide_delivery_fail(delivery, TIDE_HANDLER_PERMANENT, "%s",
				  sqlite3_errmsg(connection));
}

static tide_status project_event(void *self, const struct tide_event *event,
				 struct tide_delivery *delivery)
{
	(void)self;
	return project(tide_delivery_connection(delivery), event, delivery);
}

static tide_status project_batch(void *self, const struct tide_event *const *events, size_t count,
				 struct tide_delivery *delivery)
{
	(void)self;
	tide_status status = TIDE_OK;
	for (size_t i = 0; i < count && status == TIDE_OK; i++)
		status = project(tide_delivery_connection(delivery), events[i], delivery);
	return status;
}

static const char projection_text[] =
	"-- on: Counted\n"
	"INSERT INTO model VALUES (:aggregate_id, 1, :global_position % 1000003, :global_position) "
	"ON CONFLICT (stream) DO UPDATE SET events = events + 1, hash = (hash * 31 + "
	":global_position) % 1000003, last = :global_position;\n";

/** The projection's own, and a file that grows by a byte for each call. */
static struct {
	tide_status (*handle)(void *self, const struct tide_event *const *events, size_t count,
			      struct tide_delivery *delivery);
	int calls;
} together;

static tide_status together_handle(void *self, const struct tide_event *const *events, size_t count,
				   struct tide_delivery *delivery)
{
	if (write(together.calls, ".", 1) != 1)
		return TIDE_IO;
	return together.handle(self, events, count, delivery);
}

static void together_path(const char *url, char ret[600])
{
	snprintf(ret, 600, "%s-together", url + strlen("sqlite:"));
}

static struct tide_subscriber subscriber_by_sql(const char *url)
{
	struct tide_sql_projection *projection;
	char path[600];
	insist(tide_sql_projection_open(
		TIDE_SQL_PROJECTION(.text = projection_text, .name = "Model", .url = url),
		&projection, err));
	struct tide_subscriber subscriber = *tide_sql_projection_subscriber(projection);
	together_path(url, path);
	together.calls = open(path, O_WRONLY | O_APPEND | O_CREAT, 0666);
	together.handle = subscriber.handle_together;
	subscriber.handle_together = together_handle;
	return subscriber;
}

/* The argument: number of the variant, position to end at (0: until it is killed), URL. */
static int projector_run(const char *argument, int report_to)
{
	unsigned number;
	long long until;
	char url[512];
	if (sscanf(argument, "%u %lld %511s", &number, &until, url) != 3 ||
	    number >= COUNT(variants))
		return 97;
	const struct variant *variant = &variants[number];
	struct tide_store *store;
	struct tide_manager *manager;
	struct tide_subscription *subscription;
	struct tide_subscriber subscriber = { .name = "Model", .transactional = true };
	if (variant->way == BY_SQL)
		subscriber = subscriber_by_sql(url);
	else if (variant->way == BY_BATCH)
		subscriber.handle_batch = project_batch;
	else
		subscriber.handle = project_event;
	struct tide_subscription_config config = quick_config();
	config.checkpoint_strategy = variant->strategy;
	config.checkpoint_interval_seconds = 0.01;
	config.batch_size = 16;
	config.max_in_flight = 64;
	config.max_retries = 1000; /* of checkpoints and reads behind the other process's lock */
	/* The kills come from outside and have nothing to do with any event: none of them may be
	 * taken for poison. */
	config.max_process_deaths = 1000000;
	insist(tide_store_open(url, NULL, &store, err));
	insist(tide_manager_open(TIDE_MANAGER(.store = store), &manager, err));
	insist(tide_manager_subscribe(manager, &subscriber, &config, &subscription, err));
	insist(tide_manager_start(manager, NULL, 0, NULL, NULL, err));
	child_report(report_to, 'r');
	if (until == 0)
		for (;;)
			pause();
	insist(tide_subscription_wait(subscription, until, PATIENCE, err));
	insist(tide_manager_stop(manager, NULL, 0, err));
	tide_manager_close(manager);
	tide_store_close(store);
	return 0;
}

/* ---- The process that appends ---------------------------------------------------------------- */

static void *append_for_ever(void *store)
{
	for (unsigned n = 0;; n++) {
		struct tide_new_event events[3] = { event_of("Counted", n), event_of("Counted", n),
						    event_of("Counted", n) };
		struct tide_append append = { .stream = stream_of("Counter", n % STREAMS),
					      .expected = TIDE_ANY,
					      .events = events,
					      .count = 1 + n % 3 };
		insist(tide_store_append(store, &append, NULL, err));
		wait_a_moment();
	}
	return NULL;
}

static int appender_run(const char *url, int report_to)
{
	struct tide_store *store;
	pthread_t thread;
	insist(tide_store_open(url, NULL, &store, err));
	for (int i = 1; i < APPENDERS; i++)
		if (pthread_create(&thread, NULL, append_for_ever, store) != 0)
			return 96;
	child_report(report_to, 'r');
	append_for_ever(store);
	return 0;
}

static struct child appender_start(const struct rig *rig)
{
	struct child appender = child_start(appender_run, rig->url);
	assert_int_equal(child_await(&appender, PATIENCE), 'r');
	return appender;
}

/* ---- The comparison -------------------------------------------------------------------------- */

struct fold {
	char stream[TIDE_UUID_TEXT_SIZE];
	int64_t events, hash, last;
};

static struct fold *fold_of(struct fold *folds, size_t *count, const char *stream)
{
	for (size_t i = 0; i < *count; i++)
		if (strcmp(folds[i].stream, stream) == 0)
			return &folds[i];
	assert_true(*count < STREAMS);
	struct fold *fold = &folds[(*count)++];
	*fold = (struct fold){ 0 };
	snprintf(fold->stream, sizeof fold->stream, "%s", stream);
	return fold;
}

static size_t fold_log(sqlite3 *database, tide_position until, struct fold *folds,
		       int64_t *ret_events)
{
	size_t count = 0;
	sqlite3_stmt *statement;
	assert_int_equal(sqlite3_prepare_v2(database,
					    "SELECT global_position, aggregate_id FROM events "
					    "WHERE global_position <= ?1 "
					    "ORDER BY global_position",
					    -1, &statement, NULL),
			 SQLITE_OK);
	sqlite3_bind_int64(statement, 1, until);
	for (*ret_events = 0; sqlite3_step(statement) == SQLITE_ROW; ++*ret_events) {
		int64_t position = sqlite3_column_int64(statement, 0);
		struct fold *fold =
			fold_of(folds, &count, (const char *)sqlite3_column_text(statement, 1));
		fold->hash =
			(fold->events++ ? fold->hash * 31 + position : position) % HASH_MODULUS;
		fold->last = position;
	}
	sqlite3_finalize(statement);
	return count;
}

static void compare_model(sqlite3 *database, const struct fold *folds, size_t count)
{
	assert_int_equal(plain_number(database, "SELECT count(*) FROM model"), count);
	for (size_t i = 0; i < count; i++) {
		const struct fold *fold = &folds[i];
		char sql[1024];
		snprintf(sql, sizeof sql,
			 "SELECT count(*) FROM model WHERE stream = '%s' AND events = %lld AND "
			 "hash = %lld AND last = "
			 "%lld",
			 fold->stream, (long long)fold->events, (long long)fold->hash,
			 (long long)fold->last);
		if (plain_number(database, sql) == 1)
			continue;
		snprintf(sql, sizeof sql, "SELECT events FROM model WHERE stream = '%s'",
			 fold->stream);
		fail_msg("stream %s: the log says %lld events up to %lld, the read model has %lld",
			 fold->stream, (long long)fold->events, (long long)fold->last,
			 (long long)plain_number(database, sql));
	}
}

/* The checkpoint, having compared what is below it with the read model. */
static tide_position check_model(const struct rig *rig)
{
	struct fold folds[STREAMS];
	int64_t events;
	sqlite3 *database = plain_open(rig->file);
	plain_run(database, "BEGIN");
	tide_position position =
		plain_number(database, "SELECT global_position FROM projection_checkpoints WHERE "
				       "projection_name = 'Model'");
	if (position < 0)
		position = 0;
	size_t count = fold_log(database, position, folds, &events);
	compare_model(database, folds, count);
	int64_t processed =
		plain_number(database, "SELECT events_processed FROM projection_checkpoints WHERE "
				       "projection_name = 'Model'");
	if (position > 0)
		assert_int_equal(processed, events);
	plain_run(database, "COMMIT");
	sqlite3_close(database);
	return position;
}

/* As if the last owner had ended well: the next run does not go carefully, so that ordinary runs
 * are killed, too. */
static void forget_unclean_end(const struct rig *rig)
{
	sqlite3 *database = plain_open(rig->file);
	plain_run(database, "UPDATE subscription_leases SET owner = NULL");
	sqlite3_close(database);
}

static double random_seconds(double most)
{
	return most * (double)(random() % 10001) / 10000;
}

static struct child projector_start(const struct rig *rig, const struct variant *variant,
				    tide_position until)
{
	char argument[600];
	snprintf(argument, sizeof argument, "%u %lld %s", (unsigned)(variant - variants),
		 (long long)until, rig->url);
	return child_start(projector_run, argument);
}

static void kill_once(const struct rig *rig, const struct variant *variant, int round,
		      double longest)
{
	struct child child = projector_start(rig, variant, 0);
	if (round % 4 != 3) /* every fourth is killed while it still opens and starts */
		assert_int_equal(child_await(&child, PATIENCE), 'r');
	pass_time(random_seconds(longest));
	child_signal(&child, SIGKILL);
	assert_int_equal(child_join(&child), 128 + SIGKILL);
}

static void end_child(struct child *child)
{
	child_signal(child, SIGKILL);
	assert_int_equal(child_join(child), 128 + SIGKILL);
}

/* How many there were of what is handled together. */
static int64_t calls_together(const struct rig *rig, const struct variant *variant)
{
	char path[600];
	struct stat calls;
	if (variant->way != BY_SQL)
		return 0;
	together_path(rig->url, path);
	assert_int_equal(stat(path, &calls), 0);
	assert_true(calls.st_size > 0);
	return calls.st_size;
}

static void kill_and_compare(const struct variant *variant, int kills)
{
	struct rig rig;
	rig_make(&rig, "sqlite");
	sqlite3 *database = plain_open(rig.file);
	plain_run(database, "CREATE TABLE model (stream TEXT PRIMARY KEY, events INTEGER, hash "
			    "INTEGER, last INTEGER)");
	sqlite3_close(database);
	struct child appender = appender_start(&rig);
	int advanced = 0;
	double longest = SHORT_LIFE;
	tide_position before = 0;
	for (int i = 0; i < kills; i++) {
		kill_once(&rig, variant, i, longest);
		tide_position position = check_model(&rig);
		assert_true(position >= before);
		advanced += position > before;
		longest = position > before    ? SHORT_LIFE
			  : longest < PATIENCE ? 2 * longest
					       : PATIENCE;
		before = position;
		if (i % 2 == 0)
			forget_unclean_end(&rig);
		if (i % 4 == 1) {
			end_child(&appender);
			appender = appender_start(&rig);
		}
	}
	end_child(&appender);
	database = plain_open(rig.file);
	tide_position end = plain_number(database, "SELECT max(global_position) FROM events");
	sqlite3_close(database);
	struct child child = projector_start(&rig, variant, end);
	assert_int_equal(child_join(&child), 0);
	assert_int_equal(check_model(&rig), end);
	print_message(
		"%s: %d kills, %d of them after progress, %lld events, %lld calls of several\n",
		variant->label, kills, advanced, (long long)end,
		(long long)calls_together(&rig, variant));
	rig_close(&rig);
}

static int kill_count; /* 0: not said */

static void read_model_equals_the_fold_up_to_the_checkpoint_after_every_kill(void **state)
{
	(void)state;
	int kills = kill_count > 0 ? kill_count : (int)test_number("TIDE_TEST_KILLS", 200);
	int each = (kills + (int)COUNT(variants) - 1) / (int)COUNT(variants);
	unsigned seed = (unsigned)test_number("TIDE_TEST_SEED", (int64_t)time(NULL));
	print_message("TIDE_TEST_SEED=%u\n", seed);
	srandom(seed);
	for (size_t i = 0; i < COUNT(variants); i++)
		kill_and_compare(&variants[i], each);
}

int main(int argc, char **argv)
{
	child_main(argc, argv);
	kill_count = argc > 1 ? atoi(argv[1]) : 0;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(read_model_equals_the_fold_up_to_the_checkpoint_after_every_kill),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
