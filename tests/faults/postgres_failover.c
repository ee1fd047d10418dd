/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A primary whose machine is gone, and the standby that takes its place, under a daemon with read
 * models in that database and in another, and under writers, all led by one URL that names both
 * servers, or by a pooler.
 *
 *	faults-postgres_failover TIDE [RUNS]
 *
 * RUNS, or TIDE_TEST_RUNS: how many failovers of each kind, 2 otherwise. TIDE_TEST_SEED draws the
 * tails that are lost.
 */
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sqlite3.h>
#include <tidemark/tidemark.h>

#include "core/text.h"
#include "lib/temp.h"
#include "postgres_tools.h"
#include "sys/random.h"
#include "sys/thread.h"

#define STREAMS 7
#define WRITERS 2
#define PATIENCE 60.0

static const char *tide;
static int runs = 2;
static uint64_t seed = 1;
static struct random chance;

/* ---- Rows, of the feed and of what a read model was given ------------------------------------ */

struct row {
	int64_t position;
	char event[37], stream[37];
};

struct rows {
	size_t count;
	struct row *items;
};

static void rows_add(struct rows *rows, const char *position, const char *event, const char *stream)
{
	rows->items = realloc(rows->items, (rows->count + 1) * sizeof *rows->items);
	assert_non_null(rows->items);
	struct row *row = &rows->items[rows->count++];
	row->position = strtoll(position, NULL, 10);
	snprintf(row->event, sizeof row->event, "%s", event);
	snprintf(row->stream, sizeof row->stream, "%s", stream);
}

static void rows_fini(struct rows *rows)
{
	free(rows->items);
}
#define ROWS __attribute__((cleanup(rows_fini))) struct rows

static struct rows rows_of_postgres(const char *sql)
{
	struct rows rows = { 0 };
	PGconn *connection = sql_connect("");
	PGresult *result = PQexec(connection, sql);
	if (PQresultStatus(result) != PGRES_TUPLES_OK)
		fail_msg("%s: %s", sql, PQerrorMessage(connection));
	for (int i = 0; i < PQntuples(result); i++)
		rows_add(&rows, PQgetvalue(result, i, 0), PQgetvalue(result, i, 1),
			 PQgetvalue(result, i, 2));
	PQclear(result);
	PQfinish(connection);
	return rows;
}

static int rows_take(void *self, int count, char **values, char **names)
{
	(void)count, (void)names;
	rows_add(self, values[0], values[1], values[2]);
	return 0;
}

static struct rows rows_of_sqlite(const char *file, const char *sql)
{
	struct rows rows = { 0 };
	sqlite3 *database;
	assert_int_equal(sqlite3_open_v2(file, &database, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
	sqlite3_busy_timeout(database, 10000);
	sqlite3_exec(database, sql, rows_take, &rows, NULL); /* none before its first event */
	sqlite3_close(database);
	return rows;
}

/* The row of the same event at the same position. */
static const struct row *rows_find(const struct rows *rows, const struct row *wanted)
{
	size_t low = 0, high = rows->count;
	while (low < high) {
		size_t middle = (low + high) / 2;
		if (rows->items[middle].position < wanted->position)
			low = middle + 1;
		else
			high = middle;
	}
	bool is_it = low < rows->count && rows->items[low].position == wanted->position &&
		     strcmp(rows->items[low].event, wanted->event) == 0;
	return is_it ? &rows->items[low] : NULL;
}

/* Of four. */
static int row_lane(const struct row *row)
{
	struct tide_uuid stream;
	must(tide_uuid_parse(row->stream, &stream, err));
	return (int)(fnv1a64(stream.bytes, sizeof stream.bytes) % 4);
}

/* ---- The daemon and its read models ---------------------------------------------------------- */

/** Where a read model is, and in how many lanes it is made. */
struct model {
	const char *name;
	bool is_elsewhere; /* with its checkpoint, in a file that no failover concerns */
	int lanes;
};

static const struct model models[] = {
	{ "plain", false, 1 },    { "laned", false, 4 }, { "elsewhere", true, 1 },
	{ "scattered", true, 4 }, { "behind", true, 1 },
};
#define MODELS (sizeof models / sizeof *models)

/** One failover: a schema, a directory and a daemon of its own. */
struct scene {
	char directory[TEMP_PATH_SIZE], file[TEMP_PATH_SIZE + 16];
	char schema[16], url[2 * TEMP_PATH_SIZE + 200];
	struct tide_store *store;
	pid_t daemon;
};

static void scene_write(const struct scene *scene, const char *name, const char *text)
{
	char path[2 * TEMP_PATH_SIZE];
	snprintf(path, sizeof path, "%s/%s", scene->directory, name);
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

static void scene_write_model(const struct scene *scene, const struct model *model, char *config,
			      size_t size)
{
	char name[40], text[600];
	snprintf(name, sizeof name, "%s.sql", model->name);
	snprintf(text, sizeof text,
		 "-- init:\nCREATE TABLE IF NOT EXISTS %s (n %s, position BIGINT NOT NULL, "
		 "event TEXT NOT NULL, stream TEXT NOT NULL);\n-- on: *\nINSERT INTO %s (position, "
		 "event, stream) VALUES (:global_position, :event_id, :aggregate_id);\n-- reset:\n"
		 "DELETE FROM %s;\n",
		 model->name,
		 model->is_elsewhere ? "INTEGER PRIMARY KEY AUTOINCREMENT"
				     : "BIGSERIAL PRIMARY KEY",
		 model->name, model->name);
	scene_write(scene, name, text);
	size_t used = strlen(config);
	snprintf(config + used, size - used, "[projection %s]\nstore = %s\nfile = %s\nlanes = %d\n",
		 model->name, model->is_elsewhere ? "apart" : "main", name, model->lanes);
}

static void daemon_start(struct scene *scene)
{
	pid_t parent = getpid();
	scene->daemon = fork();
	assert_true(scene->daemon >= 0);
	if (scene->daemon > 0)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	int log = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (getppid() != parent || log < 0 || chdir(scene->directory))
		_exit(125);
	log = open("log", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	dup2(log, STDOUT_FILENO);
	dup2(log, STDERR_FILENO);
	unsetenv("PGHOST"); /* the URL says it all */
	unsetenv("PGPORT");
	unsetenv("PGTARGETSESSIONATTRS");
	execl(tide, tide, "run", "tide.conf", (char *)NULL);
	_exit(127);
}

static int daemon_end(struct scene *scene, int signal)
{
	int status;
	assert_int_equal(waitpid(scene->daemon, &status, WNOHANG), 0); /* it never ends by itself */
	kill(scene->daemon, signal);
	assert_int_equal(waitpid(scene->daemon, &status, 0), scene->daemon);
	scene->daemon = 0;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static struct scene scene_made(const char *bouncer)
{
	static int number;
	struct scene scene = { 0 };
	char host[3 * TEMP_PATH_SIZE] = "", config[3000];
	for (const char *at = postgres_directory(); *at; at++)
		snprintf(host + strlen(host), 4, *at == '/' ? "%%2F" : "%c", *at);
	temp_make(scene.directory);
	snprintf(scene.file, sizeof scene.file, "%s/apart.db", scene.directory);
	snprintf(scene.schema, sizeof scene.schema, "run%d", ++number);
	if (bouncer)
		snprintf(scene.url, sizeof scene.url, "postgresql://%s:6432/postgres?schema=%s",
			 host, scene.schema);
	else
		snprintf(scene.url, sizeof scene.url,
			 "postgresql://%s:5432,%s:5433/postgres?target_session_attrs=read-write&"
			 "schema=%s",
			 host, host, scene.schema);
	snprintf(config, sizeof config,
		 "[store main]\nurl = %s\n[store apart]\nurl = %s\ninto = sqlite:apart.db\n",
		 scene.url, scene.url);
	for (size_t i = 0; i < MODELS; i++)
		scene_write_model(&scene, &models[i], config, sizeof config);
	scene_write(&scene, "tide.conf", config);
	must(tide_store_open(scene.url, TIDE_STORE_OPTIONS(.initialize = true), &scene.store, err));
	daemon_start(&scene);
	return scene;
}

static void scene_close(struct scene *scene)
{
	if (scene->daemon > 0)
		assert_int_equal(daemon_end(scene, SIGTERM), 0);
	tide_store_close(scene->store);
	temp_remove(scene->directory);
}

/* The command: its exit status, and what it writes. */
static int scene_tell(const struct scene *scene, const char *arguments, char *ret, size_t size)
{
	char command[3 * TEMP_PATH_SIZE + 1200];
	snprintf(command, sizeof command, "cd '%s' && TIDE_STORE='%s' exec '%s' %s 2>&1",
		 scene->directory, scene->url, tide, arguments);
	FILE *pipe = popen(command, "r");
	assert_non_null(pipe);
	ret[fread(ret, 1, size - 1, pipe)] = '\0';
	int status = pclose(pipe);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void scene_do(const struct scene *scene, const char *arguments)
{
	char said[2000];
	int status = scene_tell(scene, arguments, said, sizeof said);
	if (status != 0)
		fail_msg("tide %s: %d: %s", arguments, status, said);
}

static void scene_ask_why(const struct scene *scene, const struct model *model, char *ret,
			  size_t size)
{
	char arguments[100];
	snprintf(arguments, sizeof arguments, "why --json %s %s",
		 model->is_elsewhere ? "-i sqlite:apart.db" : "", model->name);
	(void)scene_tell(scene, arguments, ret, size);
}

static bool scene_says(const struct scene *scene, const struct model *model, const char *text)
{
	char said[4000];
	scene_ask_why(scene, model, said, sizeof said);
	return strstr(said, text) != NULL;
}

static struct rows feed_of(const struct scene *scene)
{
	char sql[200];
	snprintf(sql, sizeof sql,
		 "SELECT global_position, event_id, aggregate_id FROM %s.events "
		 "ORDER BY global_position",
		 scene->schema);
	return rows_of_postgres(sql);
}

static struct rows given_to(const struct scene *scene, const struct model *model)
{
	char sql[200];
	snprintf(sql, sizeof sql, "SELECT position, event, stream FROM %s%s%s ORDER BY n",
		 model->is_elsewhere ? "" : scene->schema, model->is_elsewhere ? "" : ".",
		 model->name);
	return model->is_elsewhere ? rows_of_sqlite(scene->file, sql) : rows_of_postgres(sql);
}

/* Everything of the feed, once, and in its order: of each stream, where there are lanes. */
static bool is_whole(const struct scene *scene, const struct model *model)
{
	ROWS given = given_to(scene, model);
	ROWS feed = feed_of(scene);
	for (size_t i = 0; i < given.count; i++) {
		if (!rows_find(&feed, &given.items[i]))
			fail_msg("%s: %s at %lld is not in the feed", model->name,
				 given.items[i].event, (long long)given.items[i].position);
		for (size_t j = 0; j < i; j++)
			if (given.items[j].position >= given.items[i].position &&
			    (model->lanes == 1 ||
			     strcmp(given.items[j].stream, given.items[i].stream) == 0))
				fail_msg("%s: %lld came behind %lld", model->name,
					 (long long)given.items[i].position,
					 (long long)given.items[j].position);
	}
	return given.count == feed.count;
}

/* Looks at databases are dear, and who waits takes processors from those that are waited for. */
static void wait_longer(void)
{
	for (int i = 0; i < 20; i++)
		wait_a_moment();
}

static void wait_until_whole(const struct scene *scene, const struct model *model)
{
	double until = seconds_now() + PATIENCE;
	while (!is_whole(scene, model)) {
		char said[2000] = "";
		if (seconds_now() > until)
			scene_ask_why(scene, model, said, sizeof said);
		if (*said)
			fail_msg("%s has not caught up: %s", model->name, said);
		wait_longer();
	}
}

/* ---- Writers, who append each event until they have an answer -------------------------------- */

struct writer {
	struct tide_store *store;
	struct thread thread;
	unsigned first; /* number of its first event */
	atomic_bool is_stopped;
	atomic_int answered;
	struct rows acknowledged;
	char refusal[sizeof((struct tide_error *)0)->message];
};

static bool append_until_answered(struct tide_store *store, unsigned number,
				  struct tide_append_result *ret, struct tide_error *err)
{
	struct tide_new_event event = event_of("Counted", number);
	struct tide_append append = { .stream = stream_of("Order", number % STREAMS),
				      .expected = TIDE_ANY,
				      .events = &event,
				      .count = 1 };
	event.event_id = uuid_of(number);
	double until = seconds_now() + PATIENCE;
	while (tide_store_append(store, &append, ret, err) != TIDE_OK) {
		if (err->retry == TIDE_RETRY_NEVER || seconds_now() > until)
			return false;
		wait_longer();
	}
	return true;
}

static void writer_run(void *self)
{
	struct writer *writer = self;
	struct tide_append_result result;
	struct tide_error why;
	char position[24], event[TIDE_UUID_TEXT_SIZE];
	for (unsigned number = writer->first; !atomic_load(&writer->is_stopped); number++) {
		if (!append_until_answered(writer->store, number, &result, &why)) {
			snprintf(writer->refusal, sizeof writer->refusal, "%s", why.message);
			return;
		}
		snprintf(position, sizeof position, "%lld", (long long)result.first_position);
		struct tide_uuid id = uuid_of(number);
		rows_add(&writer->acknowledged, position, tide_uuid_format(&id, event), "");
		atomic_fetch_add(&writer->answered, 1);
		for (int i = 0; i < 5; i++)
			wait_a_moment();
	}
}

static void writers_start(struct writer *writers, const struct scene *scene)
{
	static unsigned number = 1000000;
	for (size_t i = 0; i < WRITERS; i++, number += 1000000) {
		writers[i] = (struct writer){ .store = scene->store, .first = number };
		must(thread_start(&writers[i].thread, "writer", writer_run, &writers[i], err));
	}
}

static int writers_answered(struct writer *writers)
{
	int least = INT_MAX;
	for (size_t i = 0; i < WRITERS; i++) {
		int answered = atomic_load(&writers[i].answered);
		least = answered < least ? answered : least;
	}
	return least;
}

/* What was answered is there, where it was said to be. */
static void writers_lost_nothing(struct writer *writers, const struct scene *scene)
{
	for (size_t i = 0; i < WRITERS; i++) {
		atomic_store(&writers[i].is_stopped, true);
		thread_join(&writers[i].thread);
		assert_string_equal(writers[i].refusal, "");
	}
	ROWS feed = feed_of(scene);
	for (size_t i = 0; i < WRITERS; i++) {
		for (size_t j = 0; j < writers[i].acknowledged.count; j++)
			if (!rows_find(&feed, &writers[i].acknowledged.items[j]))
				fail_msg("%s was answered and is lost",
					 writers[i].acknowledged.items[j].event);
		rows_fini(&writers[i].acknowledged);
	}
}

static void append_some(const struct scene *scene, int count)
{
	static unsigned number = 500000000;
	struct tide_append_result result;
	struct tide_error why;
	for (int i = 0; i < count; i++) {
		number += 1 + (unsigned)(random_next(&chance) % STREAMS);
		if (!append_until_answered(scene->store, number, &result, &why))
			fail_msg("append: %s", why.message);
	}
}

/* ---- Figures --------------------------------------------------------------------------------- */

struct figures {
	int count;
	double seconds[1000];
};

static void figures_add(struct figures *figures, double since)
{
	if (figures->count < 1000)
		figures->seconds[figures->count++] = seconds_now() - since;
}

static int figures_compare(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;
	return (left > right) - (left < right);
}

static void figures_tell(struct figures *figures, const char *what)
{
	qsort(figures->seconds, (size_t)figures->count, sizeof *figures->seconds, figures_compare);
	print_message("# %s: %d times, median %.2f s, at most %.2f s\n", what, figures->count,
		      figures->seconds[figures->count / 2], figures->seconds[figures->count - 1]);
}

/* ---- A synchronous standby ------------------------------------------------------------------- */

#define FOLLOWERS "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'"

static void fail_over_under_writers(const char *bouncer, struct figures *answers,
				    struct figures *caught_up)
{
	struct writer writers[WRITERS];
	if (bouncer)
		pgbouncer_follow();
	struct scene scene = scene_made(bouncer);
	postgres_replica_start();
	standby_named("*");
	wait_for(PATIENCE, sql_asked(FOLLOWERS) == 1);
	writers_start(writers, &scene);
	wait_for(PATIENCE, writers_answered(writers) >= 20);
	for (size_t i = 0; i < MODELS; i++) {
		ROWS given = { 0 };
		wait_for(PATIENCE, (rows_fini(&given), given = given_to(&scene, &models[i])).count);
	}

	postgres_lose();
	for (uint64_t moments = random_next(&chance) % 1000; moments > 0; moments--)
		wait_a_moment(); /* until somebody has noticed */
	double promoted = seconds_now();
	postgres_promote();
	if (bouncer)
		pgbouncer_follow();
	standby_named("");
	int before = writers_answered(writers);
	wait_for(PATIENCE, writers_answered(writers) > before + 1);
	figures_add(answers, promoted);
	writers_lost_nothing(writers, &scene);
	for (size_t i = 0; i < MODELS; i++)
		wait_until_whole(&scene, &models[i]);
	figures_add(caught_up, promoted);

	append_some(&scene, 5);
	for (size_t i = 0; i < MODELS; i++)
		wait_until_whole(&scene, &models[i]);
	scene_close(&scene);
}

static void nothing_that_was_answered_is_lost(void **state)
{
	(void)state;
	struct figures answers = { 0 }, caught_up = { 0 };
	for (int run = 0; run < runs; run++)
		fail_over_under_writers(NULL, &answers, &caught_up);
	figures_tell(&answers, "appends went on");
	figures_tell(&caught_up, "read models had caught up");
}

static void nothing_that_was_answered_is_lost_behind_a_pooler(void **state)
{
	(void)state;
	char bouncer[256];
	struct figures answers = { 0 }, caught_up = { 0 };
	if (!pgbouncer_start(bouncer))
		skip();
	for (int run = 0; run < runs; run++)
		fail_over_under_writers(bouncer, &answers, &caught_up);
	pgbouncer_stop();
	figures_tell(&answers, "appends went on behind a pooler");
	figures_tell(&caught_up, "read models had caught up behind a pooler");
}

/* ---- An asynchronous one, without the newest transactions ------------------------------------ */

#define ELSEWHERE (&models[2])
#define SCATTERED (&models[3])
#define BEHIND (&models[4])

/* Everything that there is now, with what the read models stored of it. */
static void standby_catches_up(void)
{
	char sql[200];
	PGconn *connection = sql_connect("");
	PGresult *result = PQexec(connection, "SELECT pg_current_wal_insert_lsn()");
	assert_int_equal(PQresultStatus(result), PGRES_TUPLES_OK);
	snprintf(sql, sizeof sql,
		 "SELECT count(*) FROM pg_stat_replication WHERE replay_lsn >= '%s'",
		 PQgetvalue(result, 0, 0));
	PQclear(result);
	sql_run(connection, "SELECT txid_current()"); /* flushes what was inserted */
	wait_for(PATIENCE, sql_number(connection, sql) == 1);
	PQfinish(connection);
}

static void scattered_positions(const struct scene *scene, int64_t ret[])
{
	ROWS rows = rows_of_sqlite(scene->file, "SELECT global_position, projection_name, '' FROM "
						"projection_checkpoints WHERE projection_name LIKE "
						"'scattered#%/4' ORDER BY projection_name");
	assert_int_equal(rows.count, SCATTERED->lanes);
	for (size_t i = 0; i < rows.count; i++)
		ret[i] = rows.items[i].position;
}

/* Whether a lane was given exactly the events that are its own. */
static bool lane_is_whole(const struct rows *feed, const struct rows *given, int lane)
{
	size_t due = 0, had = 0;
	for (size_t i = 0; i < feed->count; i++)
		due += row_lane(&feed->items[i]) == lane;
	for (size_t i = 0; i < given->count; i++) {
		if (row_lane(&given->items[i]) != lane)
			continue;
		had++;
		if (!rows_find(feed, &given->items[i]))
			return false;
	}
	return due == had;
}

/* Lanes that had settled what was lost stand still, the others have gone on. */
static bool scattered_is_as_due(const struct scene *scene, const struct rows *before,
				const int64_t positions[], int64_t kept)
{
	ROWS given = given_to(scene, SCATTERED);
	ROWS feed = feed_of(scene);
	for (size_t i = before->count; i < given.count; i++)
		if (positions[row_lane(&given.items[i])] > kept)
			fail_msg("lane %d skipped what came behind %lld, and had %lld",
				 row_lane(&given.items[i]), (long long)kept,
				 (long long)given.items[i].position);
	for (int lane = 0; lane < SCATTERED->lanes; lane++)
		if (positions[lane] <= kept && !lane_is_whole(&feed, &given, lane))
			return false;
	return true;
}

/* What was lost goes from the read model, too, and its lanes back to what is left. */
static void scattered_goes_back(const struct scene *scene, const int64_t positions[], int64_t kept)
{
	char text[200];
	sqlite3 *database;
	ROWS given = given_to(scene, SCATTERED);
	ROWS feed = feed_of(scene);
	assert_int_equal(sqlite3_open(scene->file, &database), SQLITE_OK);
	for (size_t i = 0; i < given.count; i++) {
		snprintf(text, sizeof text, "DELETE FROM scattered WHERE event = '%s'",
			 given.items[i].event);
		if (!rows_find(&feed, &given.items[i]))
			assert_int_equal(sqlite3_exec(database, text, NULL, NULL, NULL), SQLITE_OK);
	}
	sqlite3_close(database);
	for (int lane = 0; lane < SCATTERED->lanes; lane++) {
		snprintf(text, sizeof text,
			 "checkpoints rewind -i sqlite:apart.db 'scattered#%d/4' --to %lld", lane,
			 (long long)kept);
		if (positions[lane] > kept)
			scene_do(scene, text);
	}
}

/* What a person does then makes each of them exact. */
static void scene_mend(struct scene *scene, const int64_t positions[], int64_t kept)
{
	assert_int_equal(daemon_end(scene, SIGTERM), 0);
	scene_do(scene, "rebuild --config tide.conf elsewhere");
	scattered_goes_back(scene, positions, kept);
	daemon_start(scene);
	for (size_t i = 0; i < MODELS; i++)
		wait_until_whole(scene, &models[i]);
}

static void settle_and_lose(struct scene *scene, const char *bouncer, bool is_killed, int tail,
			    int64_t positions[])
{
	postgres_replica_start();
	append_some(scene, 20);
	for (size_t i = 0; i < MODELS; i++)
		wait_until_whole(scene, &models[i]);
	assert_int_equal(daemon_end(scene, SIGTERM), 0); /* what runs obeys a moment later */
	scene_do(scene, "pause -i sqlite:apart.db behind");
	daemon_start(scene);
	standby_catches_up();
	postgres_replica_stop();
	append_some(scene, tail);
	for (size_t i = 0; i < MODELS; i++)
		if (&models[i] != BEHIND)
			wait_until_whole(scene, &models[i]);

	if (is_killed)
		assert_int_equal(daemon_end(scene, SIGKILL), 128 + SIGKILL);
	postgres_lose();
	scattered_positions(scene, positions);
	postgres_replica_resume();
	postgres_promote();
	if (bouncer)
		pgbouncer_follow();
}

static void lose_a_tail(const char *bouncer, struct figures *told)
{
	int tail = 1 + (int)(random_next(&chance) % 90), more = (int)(random_next(&chance) % 120);
	bool is_killed = random_next(&chance) % 3 == 0;
	int64_t positions[4];
	if (bouncer)
		pgbouncer_follow();
	struct scene scene = scene_made(bouncer);
	settle_and_lose(&scene, bouncer, is_killed, tail, positions);
	ROWS kept = feed_of(&scene);
	assert_int_equal(kept.count, 20);
	int64_t end = kept.items[19].position;
	ROWS elsewhere = given_to(&scene, ELSEWHERE);
	ROWS scattered = given_to(&scene, SCATTERED);
	assert_true(elsewhere.count == 20u + (unsigned)tail && scattered.count == elsewhere.count);

	double promoted = seconds_now();
	append_some(&scene, more);
	if (is_killed)
		daemon_start(&scene);
	wait_for(PATIENCE, scene_says(&scene, ELSEWHERE, "\"cause\":\"diverged\""));
	wait_for(PATIENCE, scene_says(&scene, SCATTERED, "\"cause\":\"diverged\""));
	figures_add(told, promoted);
	append_some(&scene, 10);
	scene_do(&scene, "resume -i sqlite:apart.db behind");
	for (size_t i = 0; i < MODELS; i++)
		if (&models[i] != ELSEWHERE && &models[i] != SCATTERED)
			wait_until_whole(&scene, &models[i]);
	wait_for(PATIENCE, scattered_is_as_due(&scene, &scattered, positions, end));
	ROWS still = given_to(&scene, ELSEWHERE);
	assert_int_equal(still.count, elsewhere.count);
	scene_mend(&scene, positions, end);
	scene_close(&scene);
}

static void who_had_settled_a_lost_tail_tells_it(void **state)
{
	(void)state;
	struct figures told = { 0 };
	for (int run = 0; run < runs; run++)
		lose_a_tail(NULL, &told);
	figures_tell(&told, "diverged was told");
}

static void who_had_settled_a_lost_tail_tells_it_behind_a_pooler(void **state)
{
	(void)state;
	char bouncer[256];
	struct figures told = { 0 };
	if (!pgbouncer_start(bouncer))
		skip();
	for (int run = 0; run < runs; run++)
		lose_a_tail(bouncer, &told);
	pgbouncer_stop();
	figures_tell(&told, "diverged was told behind a pooler");
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		fprintf(stderr, "usage: %s TIDE [RUNS]\n", argv[0]);
		return 2;
	}
	tide = argv[1];
	const char *wish = argc > 2 ? argv[2] : getenv("TIDE_TEST_RUNS");
	runs = wish ? atoi(wish) : runs;
	wish = getenv("TIDE_TEST_SEED");
	seed = wish ? strtoull(wish, NULL, 10) : seed;
	random_seed(&chance, seed);
	if (!postgres_start())
		return 77;
	postgres_pair();
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_that_was_answered_is_lost),
		cmocka_unit_test(nothing_that_was_answered_is_lost_behind_a_pooler),
		cmocka_unit_test(who_had_settled_a_lost_tail_tells_it),
		cmocka_unit_test(who_had_settled_a_lost_tail_tells_it_behind_a_pooler),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	postgres_stop();
	return failed;
}
