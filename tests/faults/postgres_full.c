/* SPDX-License-Identifier: Apache-2.0 */
/* A tablespace without room: a projection into it waits, loses nothing, and goes on by itself. */
#include <pwd.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <tidemark/tidemark.h>

#include "lib/disk.h"
#include "lib/temp.h"
#include "postgres_tools.h"

#define URL "postgresql:///?schema=tight"
#define EVENTS 300

static char disk[TEMP_PATH_SIZE];

/* A disk that belongs to the server, and a tablespace on it. */
static void tablespace_make(void)
{
	char text[TEMP_PATH_SIZE + 80], place[TEMP_PATH_SIZE + 16];
	const struct passwd *user = getpwnam("postgres");
	disk_mount(disk, 64 << 10);
	snprintf(place, sizeof place, "%s/space", disk);
	assert_int_equal(mkdir(place, 0700), 0);
	assert_int_equal(chown(place, user->pw_uid, user->pw_gid), 0);
	snprintf(text, sizeof text, "CREATE TABLESPACE small LOCATION '%s'", place);
	postgres_sql("public", text);
}

static struct tide_subscription_health health_of(struct tide_manager *manager)
{
	struct tide_subscription_health health;
	must(tide_subscription_health(manager, "seen", &health, err));
	return health;
}

static bool is_full(struct tide_manager *manager)
{
	struct tide_subscription_health health = health_of(manager);
	return health.indicators[TIDE_INDICATOR_STORE].status == TIDE_UNHEALTHY &&
	       health.store_error.status == TIDE_DISK_FULL;
}

static void a_full_tablespace_ends_no_projection_and_loses_no_event(void **state)
{
	(void)state;
	struct tide_store *store;
	struct tide_manager *manager;
	struct tide_sql_projection *projection;
	struct tide_subscription *subscription;
	struct tide_retry_stats stats;
	struct tide_subscription_config config = TIDE_SUBSCRIPTION_CONFIG_DEFAULT;
	config.initial_retry_delay = 0.005;
	config.max_retry_delay = 0.05;
	config.max_retries = 0;
	config.circuit_breaker_recovery_timeout = 0.05;
	tablespace_make();
	must(tide_store_open(URL, TIDE_STORE_OPTIONS(.initialize = true), &store, err));
	append_many(store, stream_of("Order", 1), 0, EVENTS);
	postgres_sql("tight", "CREATE TABLE seen (at bigint, pad text) TABLESPACE small; "
			      "ALTER TABLE seen ALTER pad SET STORAGE PLAIN");
	must(tide_sql_projection_open(
		TIDE_SQL_PROJECTION(.text = "-- on: Counted\nINSERT INTO tight.seen VALUES "
					    "(:global_position, "
					    "repeat('x', 7000));\n",
				    .name = "seen", .url = URL),
		&projection, err));
	must(tide_manager_open(TIDE_MANAGER(.store = store), &manager, err));
	must(tide_manager_subscribe(manager, tide_sql_projection_subscriber(projection), &config,
				    &subscription, err));
	disk_resize(disk, 800);
	must(tide_manager_start(manager, NULL, 0, NULL, NULL, err));
	wait_for(30, is_full(manager));
	wait_for(30, tide_subscription_retry_stats(subscription, TIDE_RETRY_OF_CHECKPOINT, &stats,
						   NULL) == TIDE_OK &&
			     stats.failures > 12);
	disk_resize(disk, 64 << 10);
	must(tide_subscription_wait(subscription, EVENTS, 60, err));
	wait_for(30, health_of(manager).indicators[TIDE_INDICATOR_STORE].status == TIDE_HEALTHY);
	assert_int_equal(health_of(manager).events_failed, 0);
	must(tide_manager_stop(manager, NULL, 0, err));
	PGconn *connection = sql_connect("options=-csearch_path=tight");
	assert_int_equal(sql_number(connection, "SELECT count(*) FROM seen"), EVENTS);
	assert_int_equal(sql_number(connection, "SELECT count(DISTINCT at) FROM seen"), EVENTS);
	assert_int_equal(sql_number(connection, "SELECT count(*) FROM dead_letter_queue"), 0);
	assert_int_equal(
		sql_number(connection, "SELECT events_processed FROM projection_checkpoints"),
		EVENTS);
	PQfinish(connection);
	tide_manager_close(manager);
	tide_sql_projection_close(projection);
	tide_store_close(store);
}

/** The worst that doctor is told. */
struct finding {
	enum tide_finding_level level;
	char text[512];
	int count;
};

static void note_finding(void *self, enum tide_finding_level level, const char *check,
			 const char *advice, const char *text)
{
	(void)advice;
	struct finding *finding = self;
	assert_string_equal(check, "writing");
	if (finding->count++ > 0 && level < finding->level)
		return;
	finding->level = level;
	snprintf(finding->text, sizeof finding->text, "%s", text);
}

static struct finding writing_examined(void *session)
{
	struct finding finding = { 0 };
	must(STORE->examine_writing(session, note_finding, &finding, err));
	return finding;
}

static int64_t relations_counted(PGconn *connection)
{
	return sql_number(connection, "SELECT count(*) FROM pg_class");
}

/* The tables of the store lie elsewhere: it is the read model that cannot be written. */
static void doctor_tries_every_tablespace_and_leaves_nothing(void **state)
{
	(void)state;
	void *store = backend_opened(URL), *session = session_opened(store);
	PGconn *connection = sql_connect("options=-csearch_path=tight");
	struct finding finding = writing_examined(session);
	assert_int_equal(finding.level, TIDE_FINDING_OK);
	assert_string_equal(finding.text, "the database takes writes");
	int64_t relations = relations_counted(connection);

	postgres_sql("tight", "TRUNCATE seen");
	postgres_sql("tight", "CHECKPOINT");
	disk_resize(disk, 256);
	finding = writing_examined(session);
	assert_int_equal(finding.level, TIDE_FINDING_PROBLEM);
	assert_non_null(strstr(finding.text, "tablespace 'small' has no room"));
	disk_resize(disk, 64 << 10);
	assert_int_equal(writing_examined(session).level, TIDE_FINDING_OK);
	assert_int_equal(relations_counted(connection), relations);

	postgres_sql("tight", "CREATE ROLE writer LOGIN; GRANT USAGE ON SCHEMA tight TO writer; "
			      "GRANT ALL ON ALL TABLES IN SCHEMA tight TO writer");
	STORE->session_close(session);
	STORE->close(store);
	must(backend_open(URL "&user=writer", false, &store, err));
	session = session_opened(store);
	finding = writing_examined(session);
	assert_int_equal(finding.level, TIDE_FINDING_NOTICE);
	assert_non_null(strstr(finding.text, "may not try whether tablespace 'small' has room"));
	PQfinish(connection);
	STORE->session_close(session);
	STORE->close(store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_full_tablespace_ends_no_projection_and_loses_no_event),
		cmocka_unit_test(doctor_tries_every_tablespace_and_leaves_nothing),
	};
	if (!disk_prepare() || !getpwnam("postgres")) {
		print_message("no file system may be mounted here\n");
		return 77;
	}
	temp_make(disk);
	chmod(disk, 0755);
	if (!postgres_start())
		return 77;
	int failed = cmocka_run_group_tests_name("postgres_full", tests, NULL, NULL);
	postgres_stop();
	disk_unmount(disk);
	temp_remove(disk);
	return failed;
}
