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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_full_tablespace_ends_no_projection_and_loses_no_event),
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
