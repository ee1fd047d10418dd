/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Databases that are away for long, and disks that are full: waited out, and nothing is lost,
 * repeated or blamed on an event.
 */
#include <string.h>
#include <sys/stat.h>

#include "lib/disk.h"
#include "walk.h"

/* ---- Outages, under a clock that is moved by hand -------------------------------------------- */

static int outage_left;
static tide_status outage_status;

static bool outage_strikes(void)
{
	outage_left -= outage_left > 0;
	return outage_left > 0;
}

static tide_status outage_fail(struct tide_error *err)
{
	return tide_fail(err, outage_status, "the database is away");
}

static tide_status outage_read(void *session, const struct tide_page_query *query,
			       struct tide_page *page, struct tide_error *err)
{
	return outage_strikes() ? outage_fail(err)
				: walk_real.store.read(session, query, page, err);
}

static tide_status outage_save(void *session, const struct tide_fence *fence,
			       const struct tide_checkpoint_write *write, struct tide_error *err)
{
	return outage_strikes() ? outage_fail(err)
				: walk_real.checkpoint.save(session, fence, write, err);
}

static tide_status outage_commit(void *session, struct tide_error *err)
{
	return outage_strikes() ? outage_fail(err) : walk_real.store.commit(session, err);
}

static tide_status outage_add(void *session, const struct tide_fence *fence,
			      const struct tide_dead_letter_write *write, int64_t *ret,
			      struct tide_error *err)
{
	return outage_strikes()
		       ? outage_fail(err)
		       : walk_real.checkpoint.dead_letter_add(session, fence, write, ret, err);
}

static tide_status outage_acquire(void *session, const char *name, const struct tide_uuid *owner,
				  struct tide_lease *ret, struct tide_error *err)
{
	return outage_strikes()
		       ? outage_fail(err)
		       : walk_real.checkpoint.lease_acquire(session, name, owner, ret, err);
}

enum outage_of { READS, SAVES, COMMITS, ENTRIES, OWNERSHIP, OUTAGES };

static void outage_open(struct walk *walk, const char *backend, enum outage_of what)
{
	walk_open(walk, backend, 4);
	walk->witness.decide = walk_refuse_two;
	if (what == READS)
		walk_backend.store.read = outage_read;
	if (what == SAVES)
		walk_backend.checkpoint.save = outage_save;
	if (what == COMMITS)
		walk_backend.store.commit = outage_commit;
	if (what == ENTRIES)
		walk_backend.checkpoint.dead_letter_add = outage_add;
	if (what == OWNERSHIP)
		walk_backend.checkpoint.lease_acquire = outage_acquire;
}

static void outage_passes(const char *backend, bool is_transactional, enum outage_of what,
			  tide_status status)
{
	struct walk walk;
	int32_t retries;
	struct tide_subscription_config config = quick_config();
	config.initial_retry_delay = 1;
	config.max_retry_delay = 60;
	config.circuit_breaker_recovery_timeout = 60;
	outage_open(&walk, backend, what);
	outage_left = 500;
	outage_status = status;
	walk_start(&walk, is_transactional, &config);
	walk_to_wait(&walk);
	while (outage_left > 0) {
		assert_true(walk.next.ns - walk.now_ns <= 60 * NS_PER_SECOND);
		assert_int_not_equal(tide_subscription_state(walk.subscription), TIDE_STATE_ERROR);
		walk_on(&walk);
	}
	walk_until(&walk, TIDE_STATE_LIVE);
	assert_true(walk.now_ns > 5 * 3600 * NS_PER_SECOND); /* hours */
	assert_int_equal(walk_dead_letters(&walk, &retries), 1);
	assert_int_equal(retries, 0);
	struct tide_checkpoint row = checkpoint_of(walk.rig.checkpoints, "Walk");
	assert_int_equal(row.position, 4);
	assert_int_equal(row.events_processed, 4);
	assert_int_equal(status_of(walk.subscription).events_failed, 1);
	if (!is_transactional)
		assert_int_equal(atomic_load(&walk.witness.calls), 4); /* nothing is repeated */
	walk_close(&walk);
}

static void outages_of_hours_are_waited_out(void **state)
{
	(void)state;
	static const tide_status statuses[] = { TIDE_BUSY, TIDE_TIMEOUT, TIDE_CONNECTION_LOST,
						TIDE_DISK_FULL };
	for (size_t i = 0; i < COUNT(statuses); i++)
		for (enum outage_of what = READS; what < OUTAGES; what++) {
			if (what != COMMITS)
				outage_passes("memory", false, what, statuses[i]);
			outage_passes("sqlite", true, what, statuses[i]);
		}
}

static void outage_ends(const char *backend, enum outage_of what, tide_status status, int32_t limit,
			int attempts)
{
	struct walk walk;
	char expected[60];
	struct tide_subscription_config config = quick_config();
	config.max_infrastructure_retries = limit;
	outage_open(&walk, backend, what);
	outage_left = 1000;
	outage_status = status;
	walk_start(&walk, what == COMMITS, &config);
	walk_until(&walk, TIDE_STATE_ERROR);
	struct tide_subscription_status now = status_of(walk.subscription);
	snprintf(expected, sizeof expected,
		 attempts > 1 ? "the database is away (after %d attempts)" : "the database is away",
		 attempts);
	assert_int_equal(now.error.status, status);
	assert_string_equal(now.error.message, expected);
	walk_close(&walk);
}

static void outages_end_a_run_where_their_number_is_limited(void **state)
{
	(void)state;
	for (enum outage_of what = READS; what < OUTAGES; what++) {
		const char *backend = what == COMMITS ? "sqlite" : "memory";
		outage_ends(backend, what, TIDE_BUSY, 0, 1);
		outage_ends(backend, what, TIDE_BUSY, 7, 8);
		outage_ends(backend, what, TIDE_DISK_FULL, 2, 3);
		if (what != COMMITS) /* its events are delivered again, one by one */
			outage_ends(backend, what, TIDE_CORRUPT, -1, 1);
	}
}

static tide_status fill(struct witness *witness, const struct tide_event *event,
			struct tide_delivery *delivery)
{
	(void)witness;
	return event->position == 2 && outage_strikes()
		       ? tide_delivery_fail(delivery, TIDE_DISK_FULL, "no room")
		       : TIDE_OK;
}

/* More often than it may be tried: where it commits, a full disk is nobody's failure. */
static void an_event_that_finds_no_room_keeps_its_attempts(void **state)
{
	(void)state;
	struct walk walk;
	int32_t retries;
	struct tide_subscription_config config = quick_config();
	walk_open(&walk, "sqlite", 4);
	walk.witness.decide = fill;
	outage_left = 40;
	walk_start(&walk, true, &config);
	walk_until(&walk, TIDE_STATE_LIVE);
	assert_int_equal(outage_left, 0);
	assert_int_equal(walk_dead_letters(&walk, &retries), 0);
	assert_int_equal(status_of(walk.subscription).position, 4);
	walk_close(&walk);
}

/* The second event is refused, then finds no room many times, and is handled in the end. */
static tide_status refuse_then_fill(struct witness *witness, const struct tide_event *event,
				    struct tide_delivery *delivery)
{
	if (event->position != 2)
		return TIDE_OK;
	if (!atomic_load(&witness->gate))
		return tide_delivery_fail(delivery, TIDE_HANDLER_PERMANENT, "no such customer");
	return outage_strikes() ? tide_delivery_fail(delivery, TIDE_DISK_FULL, "no room") : TIDE_OK;
}

static void a_redelivery_that_finds_no_room_is_asked_for_until_there_is(void **state)
{
	(void)state;
	struct walk walk;
	int32_t retries;
	struct tide_subscription_config config = quick_config();
	walk_open(&walk, "sqlite", 4);
	walk.witness.decide = refuse_then_fill;
	walk_start(&walk, true, &config);
	walk_until(&walk, TIDE_STATE_LIVE);
	assert_int_equal(walk_dead_letters(&walk, &retries), 1);
	struct tide_dead_letter_list dead = dead_letters_of(walk.rig.checkpoints, "Walk");
	int64_t id = dead.entries[0].id;
	tide_dead_letters_free(&dead);
	atomic_store(&walk.witness.gate, true);
	outage_left = 40;
	must(tide_dead_letters_retry(walk.rig.checkpoints, id, err));
	for (int waits = 0; waits < 200; waits++)
		walk_on(&walk);
	assert_int_equal(outage_left, 0);
	dead = dead_letters_of(walk.rig.checkpoints, "Walk");
	assert_int_equal(dead.count, 1);
	assert_int_equal(dead.entries[0].status, TIDE_DEAD_LETTER_RESOLVED);
	assert_int_equal(dead.entries[0].retry_count, retries);
	tide_dead_letters_free(&dead);
	walk_close(&walk);
}

/* ---- A disk that is full --------------------------------------------------------------------- */

#define FULL_EVENTS 200

static tide_status count_event(struct witness *witness, const struct tide_event *event,
			       struct tide_delivery *delivery)
{
	(void)witness;
	(void)event;
	(void)delivery;
	return TIDE_OK;
}

static bool is_full(struct tide_manager *manager, const char *name)
{
	struct tide_subscription_health health;
	must(tide_subscription_health(manager, name, &health, err));
	return health.indicators[TIDE_INDICATOR_STORE].status == TIDE_UNHEALTHY &&
	       health.store_error.status == TIDE_DISK_FULL;
}

/* More failures than any default allows, and then room. */
static void full_disk_is_waited_out(struct rig *rig, struct tide_subscription *subscription,
				    const char *disk)
{
	const char *name = tide_subscription_name(subscription);
	struct tide_retry_stats stats;
	wait_for(PATIENCE, is_full(rig->manager, name));
	wait_for(PATIENCE, tide_subscription_retry_stats(subscription, TIDE_RETRY_OF_CHECKPOINT,
							 &stats, NULL) == TIDE_OK &&
				   stats.failures > 12);
	assert_int_equal(stats.last_error.status, TIDE_DISK_FULL);
	disk_resize(disk, 64 << 10);
	must(tide_subscription_wait(subscription, FULL_EVENTS, PATIENCE, err));
	must(tide_manager_stop(rig->manager, NULL, 0, err));
	struct tide_checkpoint row = checkpoint_of(rig->checkpoints, name);
	assert_int_equal(row.position, FULL_EVENTS);
	assert_int_equal(row.events_processed, FULL_EVENTS);
	struct tide_dead_letter_list dead = dead_letters_of(rig->checkpoints, name);
	assert_int_equal(dead.count, 0);
	tide_dead_letters_free(&dead);
	assert_int_equal(status_of(subscription).events_failed, 0);
}

static void disk_rig_open(struct rig *rig, char disk[TEMP_PATH_SIZE + 16])
{
	*rig = (struct rig){ 0 };
	temp_make(rig->directory);
	snprintf(disk, TEMP_PATH_SIZE + 16, "%s/disk", rig->directory);
	assert_int_equal(mkdir(disk, 0777), 0);
	disk_mount(disk, 64 << 10);
	snprintf(rig->file, sizeof rig->file, "%s/e.db", disk);
	snprintf(rig->url, sizeof rig->url, "sqlite:%s", rig->file);
	must(tide_store_open(rig->url, TIDE_STORE_OPTIONS(.initialize = true), &rig->store, err));
	must(tide_checkpoints_open(NULL, NULL, rig->store, &rig->checkpoints, err));
	must(tide_manager_open(TIDE_MANAGER(.store = rig->store), &rig->manager, err));
	append_many(rig->store, stream_of("Order", 1), 0, FULL_EVENTS);
}

static int used_kibibytes(const char *file)
{
	static const char *const ends[] = { "", "-wal", "-shm", "-owners" };
	int64_t bytes = 0;
	for (size_t i = 0; i < COUNT(ends); i++) {
		char path[TEMP_PATH_SIZE + 40];
		struct stat one;
		snprintf(path, sizeof path, "%s%s", file, ends[i]);
		bytes += stat(path, &one) == 0 ? (one.st_size + 4095) / 4096 * 4096 : 0;
	}
	return (int)(bytes / 1024);
}

static void disk_rig_close(struct rig *rig, const char *disk)
{
	rig_shut(rig);
	disk_unmount(disk);
	temp_remove(rig->directory);
}

static void a_full_disk_ends_no_projection_and_loses_no_event(void **state)
{
	(void)state;
	struct rig rig;
	char disk[TEMP_PATH_SIZE + 16];
	struct tide_sql_projection *projection;
	struct tide_subscription *subscription;
	struct tide_subscription_config config = quick_config();
	config.max_retries = 0;
	disk_rig_open(&rig, disk);
	/* More in a page than SQLite keeps in memory: some of it is written, and refused, inside
	 * the handler. */
	must(tide_sql_projection_open(
		TIDE_SQL_PROJECTION(.text = "-- init:\nCREATE TABLE IF NOT EXISTS seen (at "
					    "INTEGER, pad BLOB);\n"
					    "-- on: Counted\nINSERT INTO seen VALUES "
					    "(:global_position, "
					    "zeroblob(40000));\n",
				    .name = "seen", .url = rig.url),
		&projection, err));
	must(tide_manager_subscribe(rig.manager, tide_sql_projection_subscriber(projection),
				    &config, &subscription, err));
	disk_resize(disk, used_kibibytes(rig.file) + 1024);
	must(tide_manager_start(rig.manager, NULL, 0, NULL, NULL, err));
	full_disk_is_waited_out(&rig, subscription, disk);
	sqlite3 *plain = plain_open(rig.file);
	assert_int_equal(plain_number(plain, "SELECT count(*) FROM seen"), FULL_EVENTS);
	assert_int_equal(plain_number(plain, "SELECT count(DISTINCT at) FROM seen"), FULL_EVENTS);
	sqlite3_close(plain);
	tide_manager_close(rig.manager);
	rig.manager = NULL;
	tide_sql_projection_close(projection);
	disk_rig_close(&rig, disk);
}

static void a_full_disk_repeats_no_event_outside_the_database(void **state)
{
	(void)state;
	struct rig rig;
	char disk[TEMP_PATH_SIZE + 16];
	struct witness witness = WITNESS;
	struct tide_subscription *subscription;
	struct tide_subscription_config config = quick_config();
	config.checkpoint_strategy = TIDE_EVERY_EVENT;
	witness.decide = count_event;
	disk_rig_open(&rig, disk);
	struct tide_subscriber subscriber = witness_single("Counter", &witness);
	must(tide_manager_subscribe(rig.manager, &subscriber, &config, &subscription, err));
	disk_resize(disk, used_kibibytes(rig.file) + 64);
	must(tide_manager_start(rig.manager, NULL, 0, NULL, NULL, err));
	full_disk_is_waited_out(&rig, subscription, disk);
	witness_saw_all(&witness, 1, FULL_EVENTS);
	disk_rig_close(&rig, disk);
	witness_fini(&witness);
}

/* Thousands of retries say the same. */
static void say_nothing(void *self, const struct tide_log_line *line)
{
	(void)self;
	(void)line;
}

int main(void)
{
	tide_log_set(say_nothing, NULL, TIDE_LOG_CRITICAL);
	const struct CMUnitTest outages[] = {
		cmocka_unit_test(outages_of_hours_are_waited_out),
		cmocka_unit_test(outages_end_a_run_where_their_number_is_limited),
		cmocka_unit_test(an_event_that_finds_no_room_keeps_its_attempts),
		cmocka_unit_test(a_redelivery_that_finds_no_room_is_asked_for_until_there_is),
	};
	const struct CMUnitTest disks[] = {
		cmocka_unit_test(a_full_disk_ends_no_projection_and_loses_no_event),
		cmocka_unit_test(a_full_disk_repeats_no_event_outside_the_database),
	};
	bool may_mount = disk_prepare();
	int failed = cmocka_run_group_tests(outages, NULL, NULL);
	if (may_mount)
		failed += cmocka_run_group_tests(disks, NULL, NULL);
	else
		print_message("no file system may be mounted here: full disks are not tried\n");
	return failed;
}
