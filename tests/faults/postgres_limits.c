/* SPDX-License-Identifier: Apache-2.0 */
/* A statement that lasts is ended when its time is over: over SQLite and PostgreSQL, and through
 * the fault backend. */
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include <tidemark/tidemark.h>

#include "lib/child.h"
#include "lib/temp.h"
#include "postgres_tools.h"
#include "sys/thread.h"

#define PATIENCE 60 /* seconds until what hangs ends the test */

static char directory[TEMP_PATH_SIZE];

#define LONG_SQLITE                                                                                \
	"SELECT count(*) FROM (WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) "   \
	"SELECT x FROM c)"
#define TEXT(long_statement)                                                                       \
	"-- init:\nCREATE TABLE IF NOT EXISTS fine (at bigint);\n"                                 \
	"-- on: Fine\nINSERT INTO fine VALUES (:global_position);\n"                               \
	"-- on: Long\n" long_statement ";\n"

static const struct target {
	const char *label, *url, *text; /* %s: the directory */
} targets[] = {
	{ "sqlite", "sqlite:%s/reads.db", TEXT("INSERT INTO fine " LONG_SQLITE) },
	{ "sqlite, no change of rows", "sqlite:%s/looks.db",
	  TEXT("INSERT INTO fine SELECT 0 WHERE (" LONG_SQLITE ") < 0") },
	{ "faults over sqlite", "fault:/sqlite:%s/faults.db",
	  TEXT("INSERT INTO fine " LONG_SQLITE) },
	{ "postgres", "postgresql:///?schema=limits%.0s",
	  TEXT("INSERT INTO fine SELECT 1 FROM pg_sleep(1000)") },
	{ "faults over postgres", "fault:/postgresql:///?schema=faults%.0s",
	  TEXT("INSERT INTO fine SELECT 1 FROM pg_sleep(1000)") },
};

struct running {
	struct tide_store *store;
	struct tide_checkpoints *checkpoints;
	struct tide_sql_projection *projection;
	struct tide_manager *manager;
	struct tide_subscription *subscription;
};

static void running_start(struct running *running, const struct target *target,
			  double processing_timeout)
{
	char url[TEMP_PATH_SIZE + 64];
	struct tide_subscription_config config = TIDE_SUBSCRIPTION_CONFIG_DEFAULT;
	snprintf(url, sizeof url, target->url, directory);
	config.processing_timeout = processing_timeout;
	config.max_retries = 1;
	config.initial_retry_delay = config.max_retry_delay = 0.01;
	config.circuit_breaker_enabled = false;
	must(tide_store_open(url, TIDE_STORE_OPTIONS(.initialize = true), &running->store, err));
	must(tide_checkpoints_open(NULL, NULL, running->store, &running->checkpoints, err));
	must(tide_sql_projection_open(
		TIDE_SQL_PROJECTION(.text = target->text, .name = "limits", .url = url),
		&running->projection, err));
	must(tide_manager_open(
		TIDE_MANAGER(.store = running->store, .checkpoints = running->checkpoints),
		&running->manager, err));
	must(tide_manager_subscribe(running->manager,
				    tide_sql_projection_subscriber(running->projection), &config,
				    &running->subscription, err));
}

static void running_close(struct running *running)
{
	tide_manager_close(running->manager);
	tide_sql_projection_close(running->projection);
	tide_checkpoints_close(running->checkpoints);
	tide_store_close(running->store);
}

static tide_position append_type(const struct running *running, const char *type)
{
	return append_one(running->store, stream_of("Limits", 1), type).last_position;
}

static tide_position saved(const struct running *running)
{
	tide_position position = 0;
	(void)tide_checkpoints_position(running->checkpoints, "limits", &position, NULL);
	return position;
}

static void a_long_statement_ends_at_its_processing_timeout(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
		struct running running;
		struct tide_dead_letter_list list;
		print_message("%s\n", targets[i].label);
		alarm(PATIENCE);
		running_start(&running, &targets[i], 0.2);
		(void)append_type(&running, "Fine");
		(void)append_type(&running, "Long");
		tide_position last = append_type(&running, "Fine");
		must(tide_manager_start(running.manager, NULL, 0, NULL, NULL, err));
		wait_for(PATIENCE, saved(&running) == last);
		must(tide_dead_letters_list(running.checkpoints,
					    &(struct tide_dead_letter_query){ 0 }, &list, err));
		assert_int_equal(list.count, 1);
		assert_non_null(
			strstr(list.entries[0].error_message, "processing_timeout is 0.2 s"));
		assert_int_equal(list.entries[0].retry_count, 1);
		tide_dead_letters_free(&list);
		running_close(&running);
	}
	alarm(0);
}

static void a_stop_ends_the_statement_it_gives_up_waiting_for(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
		struct running running;
		struct tide_subscription_health health;
		bool is_owned;
		print_message("%s\n", targets[i].label);
		alarm(PATIENCE);
		running_start(&running, &targets[i], 1000);
		must(tide_manager_start(running.manager, NULL, 0, NULL, NULL, err));
		tide_position before = append_type(&running, "Fine");
		/* else both may be in one transaction */
		wait_for(PATIENCE, saved(&running) == before);
		tide_position hanging = append_type(&running, "Long");
		wait_for(PATIENCE, tide_subscription_health(running.manager, "limits", &health,
							    NULL) == TIDE_OK &&
					   health.running_position == hanging);
		refused(TIDE_TIMEOUT, tide_manager_stop(running.manager, NULL, 0.3, err));
		/* the handler returns, and what it held goes */
		wait_for(PATIENCE, tide_checkpoints_is_owned(running.checkpoints, "limits",
							     &is_owned, NULL) == TIDE_OK &&
					   !is_owned);
		assert_int_equal(saved(&running), before);
		wait_for(PATIENCE, tide_manager_destroy(running.manager, NULL) == TIDE_OK);
		running.manager = NULL;
		running_close(&running);
	}
	alarm(0);
}

/* ---- Ownership ------------------------------------------------------------------------------- */

static void report_lease(void *self, enum tide_finding_level level, const char *check,
			 const char *advice, const char *finding)
{
	(void)advice;
	bool *is_told = self;
	*is_told = *is_told || (level == TIDE_FINDING_NOTICE && strcmp(check, "owners") == 0 &&
				strstr(finding, "'orders' is owned for 86") &&
				strstr(finding, "a clock was set"));
}

static void a_lease_lasts_as_its_row_says(void **state)
{
	(void)state;
	static const struct tide_session_limits limits = { .lease = 2, .idle_in_transaction = 3 };
	const struct tide_uuid first = tide_uuid_v4(), second = tide_uuid_v4();
	PGconn *sql = sql_connect("options=-csearch_path=leases");
	void *store = backend_opened("postgresql:///?schema=leases");
	void *a = session_opened(store), *b = session_opened(store);
	struct tide_lease lease;
	STORE->limit(a, &limits);
	must(CHECKPOINT->lease_acquire(a, "orders", &first, &lease, err));
	struct tide_fence fence = { "orders", first, lease.epoch };
	assert_true(lease.seconds > 1.99 && lease.seconds < 2.01);
	assert_int_equal(sql_number(sql, "SELECT lease_seconds FROM subscription_leases"), 2);
	assert_int_equal(
		sql_number(
			sql,
			"SELECT count(*) FROM subscription_leases WHERE expires_at - acquired_at "
			"BETWEEN '1.9 s' AND '2.1 s'"),
		1);
	/* an owner of an earlier version: 15 s, and renewed as long */
	sql_run(sql, "UPDATE subscription_leases SET lease_seconds = NULL, expires_at = "
		     "clock_timestamp() + '14 s'");
	must(CHECKPOINT->lease_acquire(b, "orders", &second, &lease, err));
	assert_false(lease.is_owned);
	must(CHECKPOINT->lease_renew(a, &fence, err));
	assert_int_equal(sql_number(sql, "SELECT count(*) FROM subscription_leases WHERE "
					 "expires_at > clock_timestamp() + '12 s'"),
			 1);
	must(CHECKPOINT->lease_acquire(b, "orders", &second, &lease, err));
	assert_false(lease.is_owned);
	/* which has taken over from one of this version, whose seconds it leaves as they are */
	sql_run(sql, "UPDATE subscription_leases SET lease_seconds = 2, expires_at = "
		     "clock_timestamp() + '14 s'");
	must(CHECKPOINT->lease_acquire(b, "orders", &second, &lease, err));
	assert_false(lease.is_owned);
	/* further ahead than any renewal has written */
	bool is_owned;
	sql_run(sql, "UPDATE subscription_leases SET expires_at = clock_timestamp() + '1 day'");
	bool is_told = false;
	must(STORE->examine(b, report_lease, &is_told, err));
	assert_true(is_told);
	must(CHECKPOINT->lease_is_owned(b, "orders", &is_owned, err));
	assert_false(is_owned);
	must(CHECKPOINT->lease_acquire(b, "orders", &second, &lease, err));
	assert_true(lease.is_owned && lease.was_unclean);
	refused(TIDE_FENCED, CHECKPOINT->lease_renew(a, &fence, err));
	fence = (struct tide_fence){ "orders", second, lease.epoch };
	must(CHECKPOINT->lease_release(b, &fence, err));
	assert_int_equal(sql_number(sql, "SELECT count(lease_seconds) FROM subscription_leases"),
			 0);
	STORE->session_close(a);
	STORE->session_close(b);
	STORE->close(store);
	PQfinish(sql);
}

/** A move that takes longer than the lease of what it moves. */
struct long_move {
	PGconn *sql;
	void *session; /* another one */
	int tries;
};

static tide_status outlast(void *self, void *connection, struct tide_error *ret_err)
{
	struct long_move *move = self;
	struct tide_lease lease;
	const struct tide_uuid other = tide_uuid_v4();
	(void)connection;
	(void)ret_err;
	sql_run(move->sql,
		"UPDATE subscription_leases SET expires_at = clock_timestamp() - interval '1 s'");
	must(CHECKPOINT->lease_acquire(move->session, "orders", &other, &lease, err));
	assert_false(lease.is_owned);
	move->tries++;
	return TIDE_OK;
}

static void nobody_gets_what_is_moved_however_long_that_takes(void **state)
{
	(void)state;
	struct tide_store *store;
	struct tide_checkpoints *checkpoints;
	const struct tide_progress progress = { .position = 7 };
	void *other = backend_opened("postgresql:///?schema=long_move");
	must(tide_store_open("postgresql:///?schema=long_move", NULL, &store, err));
	must(tide_checkpoints_open(NULL, NULL, store, &checkpoints, err));
	struct long_move move = { .sql = sql_connect("options=-csearch_path=long_move"),
				  .session = session_opened(other) };
	must(tide_checkpoints_save(checkpoints, "orders", &progress, err));
	must(tide_checkpoints_reset_with(checkpoints, "orders", outlast, &move, err));
	assert_int_equal(move.tries, 1);
	assert_int_equal(sql_number(move.sql, "SELECT count(*) FROM projection_checkpoints"), 0);

	const struct tide_uuid first = tide_uuid_v4(), second = tide_uuid_v4();
	struct tide_lease lease;
	must(CHECKPOINT->lease_seize(move.session, "orders", &first, &lease, err));
	struct tide_fence fence = { "orders", first, lease.epoch };
	must(CHECKPOINT->lease_seize(move.session, "orders", &second, &lease, err));
	must(STORE->begin(move.session, err));
	refused(TIDE_FENCED, CHECKPOINT->lease_hold(move.session, &fence, err));
	STORE->rollback(move.session);
	STORE->session_close(move.session);
	STORE->close(other);
	tide_checkpoints_close(checkpoints);
	tide_store_close(store);
	PQfinish(move.sql);
}

/* They lock the group's row and the leases in opposite orders. */
static void who_changes_the_number_of_lanes_does_not_wait_for_who_moves_them(void **state)
{
	static const struct tide_group_row plain = { .name = "orders" },
					   lanes[] = { { .name = "orders#0/2" },
						       { .name = "orders#1/2" } };
	(void)state;
	PGconn *sql = sql_connect("options=-csearch_path=lock_order");
	void *store = backend_opened("postgresql:///?schema=lock_order");
	void *moves = session_opened(store), *changes = session_opened(store);
	const struct tide_uuid owner = tide_uuid_v4();
	struct tide_lease lease;
	bool is_changed;
	must(CHECKPOINT->lease_seize(moves, "orders", &owner, &lease, err));
	must(STORE->begin(moves, err));
	must(CHECKPOINT->lease_hold(moves, &(struct tide_fence){ "orders", owner, lease.epoch },
				    err));
	sql_run(sql, "SET lock_timeout = '5s'; UPDATE subscription_leases SET expires_at = "
		     "clock_timestamp() - interval '1 s'");
	const struct tide_group_change change = { .name = "orders",
						  .lanes = 2,
						  .before = &plain,
						  .before_count = 1,
						  .after = lanes,
						  .after_count = 2,
						  .now = tide_time_now() };
	must(CHECKPOINT->group_change(changes, &change, &is_changed, err));
	assert_false(is_changed);
	must(STORE->commit(moves, err));
	must(CHECKPOINT->group_change(changes, &change, &is_changed, err));
	assert_true(is_changed);
	STORE->session_close(moves);
	STORE->session_close(changes);
	STORE->close(store);
	PQfinish(sql);
}

static struct tide_fence lease_of(void *session, const char *name)
{
	struct tide_lease lease;
	struct tide_fence fence = { .name = name, .owner = tide_uuid_v4() };
	must(CHECKPOINT->lease_acquire(session, name, &fence.owner, &lease, err));
	assert_true(lease.is_owned);
	fence.epoch = lease.epoch;
	return fence;
}

static void a_lease_whose_row_is_locked_is_skipped(void **state)
{
	(void)state;
	PGconn *sql = sql_connect("options=-csearch_path=skipped");
	void *store = backend_opened("postgresql:///?schema=skipped");
	void *a = session_opened(store), *b = session_opened(store);
	struct tide_lease_renewal leases[] = { { .fence = lease_of(a, "locked") },
					       { .fence = lease_of(a, "delivering") },
					       { .fence = lease_of(a, "idle") } };
	sql_run(sql, "UPDATE subscription_leases SET expires_at = clock_timestamp() + '1 s'");
	struct tide_checkpoint_write write = { .name = "delivering",
					       .has_position = true,
					       .progress = { .position = 5 },
					       .now = tide_time_now() };
	must(STORE->begin(b, err));
	/* which holds its row until the commit */
	must(CHECKPOINT->save(b, &leases[1].fence, &write, err));
	sql_run(sql, "BEGIN");
	sql_run(sql, "SELECT 1 FROM subscription_leases WHERE name = 'locked' FOR UPDATE");

	must(CHECKPOINT->lease_renew_all(a, leases, 3, err));
	assert_int_equal(leases[0].result, TIDE_RENEWAL_SKIPPED);
	assert_int_equal(leases[1].result, TIDE_RENEWAL_MADE);
	assert_int_equal(leases[2].result, TIDE_RENEWAL_MADE);
	sql_run(sql, "COMMIT");
	assert_int_equal(
		sql_number(sql,
			   "SELECT count(*) FROM subscription_leases "
			   "WHERE (name = 'locked') = (expires_at < clock_timestamp() + '2 s')"),
		3);
	must(CHECKPOINT->lease_renew_all(a, leases, 3, err));
	assert_int_equal(leases[0].result, TIDE_RENEWAL_MADE);
	must(STORE->commit(b, err));

	STORE->session_close(a);
	STORE->session_close(b);
	STORE->close(store);
	PQfinish(sql);
}

#define RENEWED 8

struct renewing {
	struct tide_store *store;
	atomic_int calls[RENEWED];
	atomic_bool is_appended;
};

static tide_status count_call(void *self, const struct tide_event *event,
			      struct tide_delivery *delivery)
{
	(void)event;
	(void)delivery;
	atomic_fetch_add((atomic_int *)self, 1);
	return TIDE_OK;
}

static void append_behind_the_lock(void *self)
{
	struct renewing *renewing = self;
	append_one(renewing->store, stream_of("Renewed", 1), "Fine");
	atomic_store(&renewing->is_appended, true);
}

static struct tide_manager *renewing_start(struct renewing *renewing)
{
	struct tide_manager *manager;
	must(tide_manager_open(TIDE_MANAGER(.store = renewing->store, .lease_seconds = 1), &manager,
			       err));
	for (int i = 0; i < RENEWED; i++) {
		char name[16];
		snprintf(name, sizeof name, "renewed-%d", i);
		struct tide_subscriber subscriber = { .name = name,
						      .self = &renewing->calls[i],
						      .handle = count_call };
		must(tide_manager_subscribe(manager, &subscriber, NULL, NULL, err));
	}
	must(tide_manager_start(manager, NULL, 0, NULL, NULL, err));
	return manager;
}

/* All leases but one are locked, and the pool's only connection waits. The one left lives by being
 * renewed for longer than it lasts; the others begin no call before they are renewed again. */
static void a_lease_is_renewed_whatever_else_waits(void **state)
{
	(void)state;
	struct renewing renewing = { 0 };
	struct thread appender;
	must(tide_store_open("postgresql:///?schema=renewing&pool=1",
			     TIDE_STORE_OPTIONS(.initialize = true), &renewing.store, err));
	PGconn *rows = sql_connect("options=-csearch_path=renewing"), *table = sql_connect("");
	PGconn *sql = sql_connect("options=-csearch_path=renewing");
	alarm(4 * PATIENCE);
	struct tide_manager *manager = renewing_start(&renewing);
	wait_for(PATIENCE,
		 sql_number(sql, "SELECT count(owner) FROM subscription_leases") == RENEWED);
	sql_run(table, "BEGIN");
	sql_run(table, "LOCK TABLE renewing.events IN EXCLUSIVE MODE");
	must(thread_start(&appender, "appends", append_behind_the_lock, &renewing, err));
	sql_run(rows, "BEGIN");
	sql_run(rows, "SELECT 1 FROM subscription_leases WHERE name <> 'renewed-7' FOR UPDATE");
	wait_for(PATIENCE,
		 sql_number(sql,
			    "SELECT count(*) FROM subscription_leases WHERE name = 'renewed-7' "
			    "AND expires_at > acquired_at + '3 s'") == 1);
	wait_for(PATIENCE,
		 sql_number(sql,
			    "SELECT count(*) FROM subscription_leases WHERE name <> 'renewed-7' "
			    "AND expires_at < clock_timestamp()") == RENEWED - 1);
	assert_false(atomic_load(&renewing.is_appended));
	sql_run(table, "COMMIT");
	thread_join(&appender);

	wait_for(PATIENCE, atomic_load(&renewing.calls[7]) == 1);
	for (int i = 0; i < RENEWED; i++)
		assert_int_equal(atomic_load(&renewing.calls[i]), i == 7);
	sql_run(rows, "COMMIT");
	for (int i = 0; i < RENEWED; i++)
		wait_for(PATIENCE, atomic_load(&renewing.calls[i]) == 1);
	tide_manager_close(manager);
	tide_store_close(renewing.store);
	PQfinish(rows);
	PQfinish(table);
	PQfinish(sql);
	alarm(0);
}

/** A handler that must not be called while its lease cannot be renewed. */
struct waiting {
	atomic_bool is_locked;
	atomic_int calls, bad, distrusted;
};

static tide_status fail_at_first(void *self, const struct tide_event *event,
				 struct tide_delivery *delivery)
{
	struct waiting *waiting = self;
	(void)event;
	atomic_fetch_add(&waiting->bad, atomic_load(&waiting->is_locked));
	if (atomic_fetch_add(&waiting->calls, 1) > 0)
		return TIDE_OK;
	return tide_delivery_fail(delivery, TIDE_HANDLER_PERMANENT, "as it was told");
}

static void see_distrust(void *self, const struct tide_log_line *line)
{
	struct waiting *waiting = self;
	if (strstr(line->fields, "the ownership is not renewed"))
		atomic_fetch_add(&waiting->distrusted, 1);
}

/* The lease cannot be renewed any more; what comes next waits for its transaction until it has run
 * out. */
static void lease_lock(struct waiting *waiting, PGconn *row)
{
	sql_run(row, "BEGIN");
	sql_run(row, "SELECT 1 FROM subscription_leases FOR UPDATE");
	atomic_store(&waiting->distrusted, 0);
	atomic_store(&waiting->is_locked, true);
}

static void lease_unlock(struct waiting *waiting, PGconn *row)
{
	wait_for(PATIENCE, atomic_load(&waiting->distrusted) > 0 || atomic_load(&waiting->bad) > 0);
	assert_int_equal(atomic_load(&waiting->bad), 0);
	atomic_store(&waiting->is_locked, false);
	sql_run(row, "COMMIT");
}

static void no_call_begins_behind_a_transaction_that_came_too_late(void **state)
{
	(void)state;
	struct waiting waiting = { 0 };
	struct tide_store *store;
	struct tide_checkpoints *checkpoints;
	struct tide_manager *manager;
	struct tide_dead_letter_list letters = { 0 };
	struct tide_subscription_config config = TIDE_SUBSCRIPTION_CONFIG_DEFAULT;
	struct tide_subscriber subscriber = {
		.name = "late", .self = &waiting, .handle = fail_at_first, .transactional = true
	};
	config.poll_interval_seconds = 0.05;
	alarm(4 * PATIENCE);
	must(tide_store_open("fault:op=begin,times=0,delay_ms=1000/postgresql:///?schema=late",
			     TIDE_STORE_OPTIONS(.initialize = true), &store, err));
	must(tide_checkpoints_open(NULL, NULL, store, &checkpoints, err));
	PGconn *row = sql_connect("options=-csearch_path=late");
	tide_log_set(see_distrust, &waiting, TIDE_LOG_DEBUG);
	must(tide_manager_open(TIDE_MANAGER(.store = store, .lease_seconds = 1), &manager, err));
	must(tide_manager_subscribe(manager, &subscriber, &config, NULL, err));
	must(tide_manager_start(manager, NULL, PATIENCE, NULL, NULL, err));

	lease_lock(&waiting, row);
	append_one(store, stream_of("Late", 1), "Fine");
	lease_unlock(&waiting, row);
	wait_for(PATIENCE,
		 tide_dead_letters_list(
			 checkpoints, &(struct tide_dead_letter_query){ .projection_name = "late" },
			 &letters, NULL) == TIDE_OK &&
			 letters.count == 1);
	lease_lock(&waiting, row);
	must(tide_dead_letters_retry(checkpoints, letters.entries[0].id, err));
	lease_unlock(&waiting, row);
	wait_for(PATIENCE, atomic_load(&waiting.calls) == 2);

	tide_dead_letters_free(&letters);
	tide_manager_close(manager);
	tide_log_set(NULL, NULL, TIDE_LOG_CRITICAL);
	tide_checkpoints_close(checkpoints);
	tide_store_close(store);
	PQfinish(row);
	alarm(0);
}

static tide_status write_row(void *self, const struct tide_event *event,
			     struct tide_delivery *delivery)
{
	char text[120];
	const int *report_to = self;
	snprintf(text, sizeof text, "INSERT INTO frozen.seen VALUES (%lld)",
		 (long long)event->position);
	PGresult *result = PQexec(tide_delivery_connection(delivery), text);
	bool is_done = PQresultStatus(result) == PGRES_COMMAND_OK;
	PQclear(result);
	if (report_to) {
		child_report(*report_to, 'h');
		for (;;)
			pause();
	}
	return is_done ? TIDE_OK
		       : tide_delivery_fail(delivery, TIDE_HANDLER_TRANSIENT, "not written");
}

static struct tide_manager *frozen_start(struct tide_store *store, int *report_to)
{
	struct tide_manager *manager;
	struct tide_subscription_config config = TIDE_SUBSCRIPTION_CONFIG_DEFAULT;
	struct tide_subscriber subscriber = {
		.name = "Frozen", .self = report_to, .handle = write_row, .transactional = true
	};
	config.processing_timeout = 1;
	config.poll_interval_seconds = 0.1;
	config.max_retries = 1000;
	config.circuit_breaker_enabled = false;
	if (tide_manager_open(TIDE_MANAGER(.store = store, .lease_seconds = 1), &manager, NULL) !=
		    TIDE_OK ||
	    tide_manager_subscribe(manager, &subscriber, &config, NULL, NULL) != TIDE_OK ||
	    tide_manager_start(manager, NULL, 0, NULL, NULL, NULL) != TIDE_OK)
		return NULL;
	return manager;
}

static int frozen_run(const char *url, int report_to)
{
	struct tide_store *store;
	if (tide_store_open(url, NULL, &store, NULL) != TIDE_OK || !frozen_start(store, &report_to))
		return 98;
	for (;;)
		pause();
}

static void an_owner_that_freezes_in_its_transaction_is_replaced(void **state)
{
	(void)state;
	static const char url[] = "postgresql:///?schema=frozen";
	struct tide_store *store;
	tide_position saved_to = 0;
	alarm(2 * PATIENCE);
	must(tide_store_open(url, TIDE_STORE_OPTIONS(.initialize = true), &store, err));
	PGconn *sql = sql_connect("options=-csearch_path=frozen");
	sql_run(sql, "CREATE TABLE seen (at bigint PRIMARY KEY)");
	tide_position last = append_one(store, stream_of("Frozen", 1), "Fine").last_position;
	struct child child = child_start(frozen_run, url);
	assert_int_equal(child_await(&child, PATIENCE), 'h');
	child_signal(&child, SIGSTOP); /* with the row written and not committed */
	struct tide_manager *manager = frozen_start(store, NULL);
	assert_non_null(manager);
	wait_for(
		PATIENCE,
		(saved_to = sql_number(
			 sql,
			 "SELECT COALESCE(max(global_position), 0) FROM projection_checkpoints")) ==
			last);
	assert_int_equal(sql_number(sql, "SELECT count(*) FROM seen"), 1);
	assert_int_equal(sql_number(sql, "SELECT count(*) FROM dead_letter_queue"), 0);
	child_signal(&child, SIGKILL);
	child_join(&child);
	tide_manager_close(manager);
	tide_store_close(store);
	PQfinish(sql);
	alarm(0);
}

#define TELL_IDLE(who)                                                                             \
	"INSERT INTO idle.told SELECT '" who "', CAST(setting AS bigint) FROM pg_settings WHERE "  \
	"name = 'idle_in_transaction_session_timeout'"

static tide_status tell_idle(void *self, const struct tide_event *event,
			     struct tide_delivery *delivery)
{
	(void)event;
	PGresult *result = PQexec(tide_delivery_connection(delivery), self);
	bool is_done = PQresultStatus(result) == PGRES_COMMAND_OK;
	PQclear(result);
	return is_done ? TIDE_OK
		       : tide_delivery_fail(delivery, TIDE_HANDLER_PERMANENT, "not written");
}

static tide_status attach_nothing(void *self, void *connection, struct tide_error *err)
{
	(void)self;
	(void)connection;
	(void)err;
	return TIDE_OK;
}

/* Whoever takes over from one that froze waits for the rows it has locked for as long. */
static void a_transaction_is_idle_for_no_longer_than_its_handler_may_be(void **state)
{
	(void)state;
	static const char url[] = "postgresql:///?schema=idle";
	struct tide_store *store;
	struct tide_sql_projection *projection;
	struct tide_manager *manager;
	struct tide_subscription_config config = TIDE_SUBSCRIPTION_CONFIG_DEFAULT;
	struct tide_subscriber subscribers[] = {
		{ 0 },
		{ .name = "c",
		  .self = (char[]){ TELL_IDLE("c") },
		  .handle = tell_idle,
		  .transactional = true },
		{ .name = "c and attach",
		  .self = (char[]){ TELL_IDLE("c and attach") },
		  .handle = tell_idle,
		  .transactional = true,
		  .attach = attach_nothing },
		{ .name = "prompt",
		  .self = (char[]){ TELL_IDLE("prompt") },
		  .handle = tell_idle,
		  .transactional = true,
		  .is_prompt = true },
	};
	alarm(PATIENCE);
	config.processing_timeout = 3;
	must(tide_store_open(url, TIDE_STORE_OPTIONS(.initialize = true), &store, err));
	PGconn *sql = sql_connect("options=-csearch_path=idle");
	sql_run(sql, "CREATE TABLE told (who text, ms bigint)");
	must(tide_sql_projection_open(TIDE_SQL_PROJECTION(.text = "-- on: Fine\n" TELL_IDLE("sql"),
							  .name = "sql", .url = url),
				      &projection, err));
	subscribers[0] = *tide_sql_projection_subscriber(projection);
	append_one(store, stream_of("Limits", 1), "Fine");

	must(tide_manager_open(TIDE_MANAGER(.store = store, .lease_seconds = 2), &manager, err));
	for (size_t i = 0; i < sizeof subscribers / sizeof *subscribers; i++)
		must(tide_manager_subscribe(manager, &subscribers[i], &config, NULL, err));
	must(tide_manager_start(manager, NULL, 0, NULL, NULL, err));
	wait_for(PATIENCE, sql_number(sql, "SELECT count(*) FROM told") == 4);
	assert_int_equal(sql_number(sql, "SELECT ms FROM told WHERE who = 'sql'"), 2000);
	assert_int_equal(sql_number(sql, "SELECT ms FROM told WHERE who = 'prompt'"), 2000);
	assert_int_equal(sql_number(sql, "SELECT ms FROM told WHERE who = 'c'"), 5000);
	assert_int_equal(sql_number(sql, "SELECT ms FROM told WHERE who = 'c and attach'"), 5000);
	tide_manager_close(manager);
	tide_sql_projection_close(projection);
	tide_store_close(store);
	PQfinish(sql);
	alarm(0);
}

int main(int argc, char **argv)
{
	child_main(argc, argv);
	tide_log_set(NULL, NULL, TIDE_LOG_CRITICAL);
	temp_make(directory);
	if (!postgres_start())
		return 77;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_long_statement_ends_at_its_processing_timeout),
		cmocka_unit_test(a_stop_ends_the_statement_it_gives_up_waiting_for),
		cmocka_unit_test(a_lease_lasts_as_its_row_says),
		cmocka_unit_test(nobody_gets_what_is_moved_however_long_that_takes),
		cmocka_unit_test(who_changes_the_number_of_lanes_does_not_wait_for_who_moves_them),
		cmocka_unit_test(a_lease_whose_row_is_locked_is_skipped),
		cmocka_unit_test(a_lease_is_renewed_whatever_else_waits),
		cmocka_unit_test(no_call_begins_behind_a_transaction_that_came_too_late),
		cmocka_unit_test(an_owner_that_freezes_in_its_transaction_is_replaced),
		cmocka_unit_test(a_transaction_is_idle_for_no_longer_than_its_handler_may_be),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	postgres_stop();
	temp_remove(directory);
	return failed;
}
