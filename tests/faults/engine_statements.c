/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A statement of a SQL projection on SQLite meets what is no fault of its event, and what is. While
 * it runs, its database is locked for it, and a full disk ends the whole transaction; so it meets
 * them in a function of the program, that looks into another database. It writes rows from a
 * query, which SQLite takes back by itself: then what it said is all that is told.
 */
#include <signal.h>
#include <string.h>

#include "engine_tools.h"

/** What the function finds. */
static struct {
	sqlite3 *other;                        /* the database that it looks into */
	atomic_int code;                       /* what it says without that */
	atomic_int records[TIDE_STATUS_COUNT]; /* failures, by status */
} met;

static void met_answer(sqlite3_context *context, int count, sqlite3_value **values)
{
	(void)count;
	(void)values;
	int code = atomic_load(&met.code);
	if (met.other)
		code = sqlite3_exec(met.other, "SELECT count(*) FROM held", NULL, NULL, NULL);
	if (code == SQLITE_OK)
		sqlite3_result_int(context, 0);
	else
		sqlite3_result_error_code(context, code);
}

static tide_status met_attach(void *self, void *connection, struct tide_error *err)
{
	(void)self;
	if (sqlite3_create_function(connection, "met", 0, SQLITE_UTF8, NULL, met_answer, NULL,
				    NULL) != SQLITE_OK)
		return tide_fail(err, TIDE_IO, "%s", sqlite3_errmsg(connection));
	return TIDE_OK;
}

static void met_note(void *self, const struct tide_error_record *record)
{
	(void)self;
	atomic_fetch_add(&met.records[record->error_type], 1);
}

/* ---- A projection that runs ------------------------------------------------------------------ */

struct scene {
	struct rig rig;
	struct tide_sql_projection *projection;
	struct tide_subscription *subscription;
	tide_position end;
};

static void scene_open(struct scene *scene)
{
	static const char text[] =
		"-- init:\n"
		"CREATE TABLE IF NOT EXISTS seen (at INTEGER NOT NULL);\n"
		"CREATE TABLE IF NOT EXISTS one AS SELECT 1 AS n;\n"
		"-- on: Counted\n"
		"INSERT INTO seen SELECT :global_position FROM one WHERE met() = 0;\n";
	int64_t id;
	memset(&met, 0, sizeof met);
	*scene = (struct scene){ 0 };
	rig_open(&scene->rig, "sqlite");
	must(tide_sql_projection_open(
		TIDE_SQL_PROJECTION(.text = text, .name = "Seen", .url = scene->rig.url),
		&scene->projection, err));
	struct tide_subscriber subscriber = *tide_sql_projection_subscriber(scene->projection);
	assert_null(subscriber.attach);
	subscriber.attach = met_attach;
	struct tide_subscription_config config = quick_config();
	config.max_retries = 1000000;
	must(tide_manager_on_error(scene->rig.manager, TIDE_ERRORS_ALL, 0, met_note, NULL, &id,
				   err));
	must(tide_manager_subscribe(scene->rig.manager, &subscriber, &config, &scene->subscription,
				    err));
	must(tide_manager_start(scene->rig.manager, NULL, 0, NULL, NULL, err));
}

/* The first one comes alone, the others together. */
static void scene_append(struct scene *scene)
{
	append_many(scene->rig.store, stream_of("Order", 1), (unsigned)scene->end, 5);
	scene->end += 5;
}

/* Each event is there once, but for those that were set aside. */
static void scene_is_through(struct scene *scene, int64_t set_aside)
{
	wait_for(PATIENCE, saved_position(scene->rig.checkpoints, "Seen") == scene->end);
	sqlite3 *plain = plain_open(scene->rig.file);
	assert_int_equal(plain_number(plain, "SELECT count(*) FROM seen"), scene->end - set_aside);
	assert_int_equal(plain_number(plain, "SELECT count(DISTINCT at) FROM seen"),
			 scene->end - set_aside);
	sqlite3_close(plain);
	assert_int_equal(status_of(scene->subscription).events_failed, set_aside);
	assert_int_equal(status_of(scene->subscription).events_dlq, set_aside);
}

static void scene_close(struct scene *scene)
{
	tide_manager_close(scene->rig.manager);
	scene->rig.manager = NULL;
	tide_sql_projection_close(scene->projection);
	rig_close(&scene->rig);
}

/* ---- What it meets --------------------------------------------------------------------------- */

static int locker_run(const char *file, int report_to)
{
	sqlite3 *database;
	if (sqlite3_open(file, &database) != SQLITE_OK ||
	    sqlite3_exec(database, "CREATE TABLE held (n); BEGIN EXCLUSIVE", NULL, NULL, NULL) !=
		    SQLITE_OK)
		return 1;
	child_report(report_to, 'l');
	for (;;)
		pass_time(1);
}

static void a_lock_of_another_process_blames_no_event(void **state)
{
	(void)state;
	struct scene scene;
	char file[TEMP_PATH_SIZE + 16];
	scene_open(&scene);
	snprintf(file, sizeof file, "%s/other.db", scene.rig.directory);
	struct child locker = child_start(locker_run, file);
	assert_int_equal(child_await(&locker, PATIENCE), 'l');
	assert_int_equal(sqlite3_open(file, &met.other), SQLITE_OK);
	scene_append(&scene);
	wait_for(PATIENCE, atomic_load(&met.records[TIDE_BUSY]) >= 5);
	child_signal(&locker, SIGKILL);
	assert_int_equal(child_join(&locker), 128 + SIGKILL);
	scene_is_through(&scene, 0);
	scene_close(&scene);
	sqlite3_close(met.other);
}

static void the_code_says_whether_the_event_is_to_blame(void **state)
{
	(void)state;
	static const struct {
		int code;
		tide_status status;
		bool is_over; /* once the function finds nothing more */
	} codes[] = {
		{ SQLITE_BUSY, TIDE_BUSY, true },
		{ SQLITE_LOCKED, TIDE_BUSY, true },
		{ SQLITE_PROTOCOL, TIDE_BUSY, true },
		{ SQLITE_FULL, TIDE_DISK_FULL, true },
		{ SQLITE_NOMEM, TIDE_OUT_OF_MEMORY, false },
		{ SQLITE_ERROR, TIDE_HANDLER_PERMANENT, false },
		{ SQLITE_MISMATCH, TIDE_HANDLER_PERMANENT, false },
	};
	struct scene scene;
	int64_t set_aside = 0;
	scene_open(&scene);
	for (size_t i = 0; i < COUNT(codes); i++) {
		atomic_store(&met.records[codes[i].status], 0);
		atomic_store(&met.code, codes[i].code);
		scene_append(&scene);
		wait_for(PATIENCE, atomic_load(&met.records[codes[i].status]) >= 5);
		set_aside += codes[i].is_over ? 0 : 5;
		if (!codes[i].is_over)
			wait_position(scene.subscription, scene.end);
		atomic_store(&met.code, SQLITE_OK);
		scene_is_through(&scene, set_aside);
	}
	scene_close(&scene);
}

int main(int argc, char **argv)
{
	child_main(argc, argv);
	tide_log_set(NULL, NULL, TIDE_LOG_CRITICAL);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_lock_of_another_process_blames_no_event),
		cmocka_unit_test(the_code_says_whether_the_event_is_to_blame),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
