/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What subscriptions cost that have nothing to do: processor time of this process and statements,
 * while nobody appends.
 *
 *	bench-idle [-n SUBSCRIPTIONS] [-s SECONDS] [-p POLL-INTERVAL] [-d DIRECTORY] [-u URL]
 *
 * First the memory of one of them, beside a thread that has a connection of its own and waits. Then
 * each line is one measurement: with polls and looks, then with looks alone (no poll for an hour).
 * Without a URL a new SQLite database is used. Statements of PostgreSQL are its transactions: what
 * the server's statistics count.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <sqlite3.h>
#include <tidemark/tidemark.h>

#include "die.h"
#include "lib/wait.h"
#include "table.h"

#define LIVE_SECONDS 120

/** What a run was asked to do. */
struct idle {
	int subscriptions;
	int seconds;
	const char *directory;
	const char *url; /* NULL: a new SQLite database in the directory */
	char file[512];
};

static atomic_llong statements;

static int count_statement(unsigned kind, void *self, void *statement, void *text)
{
	(void)kind;
	(void)self;
	(void)statement;
	(void)text;
	atomic_fetch_add(&statements, 1);
	return 0;
}

static int count_all(sqlite3 *db, char **message, const void *functions)
{
	(void)message;
	(void)functions;
	return sqlite3_trace_v2(db, SQLITE_TRACE_STMT, count_statement, NULL);
}

static tide_status handle(void *self, const struct tide_event *event,
			  struct tide_delivery *delivery)
{
	(void)self;
	(void)event;
	(void)delivery;
	return TIDE_OK;
}

static double seconds_used(void)
{
	struct rusage usage;
	getrusage(RUSAGE_SELF, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

/* The time that is measured over: nothing is waited for. */
static void pass_seconds(int seconds)
{
	struct timespec left = { .tv_sec = seconds };
	while (nanosleep(&left, &left) != 0)
		;
}

static struct tide_manager *started(struct tide_store *store, const struct idle *idle, double poll)
{
	struct tide_manager *manager;
	struct tide_error err;
	struct tide_subscription_config config = TIDE_SUBSCRIPTION_CONFIG_DEFAULT;
	config.poll_interval_seconds = poll;
	bench_check(tide_manager_open(TIDE_MANAGER(.store = store), &manager, &err), &err);
	for (int i = 0; i < idle->subscriptions; i++) {
		char name[32];
		snprintf(name, sizeof name, "idle-%d", i);
		struct tide_subscriber subscriber = { .name = name, .handle = handle };
		struct tide_subscription *subscription;
		bench_check(
			tide_manager_subscribe(manager, &subscriber, &config, &subscription, &err),
			&err);
	}
	bench_check(tide_manager_start(manager, NULL, LIVE_SECONDS, NULL, NULL, &err), &err);
	return manager;
}

static void measure(struct tide_store *store, const struct idle *idle, double poll,
		    const char *what)
{
	struct tide_manager *manager = started(store, idle, poll);
	struct tide_error err;
	pass_seconds(1);
	double used = seconds_used();
	long long before = atomic_load(&statements);
	pass_seconds(idle->seconds);
	used = seconds_used() - used;
	printf("%-28s %5d subscriptions: %6.2f %% of a core, %6.2f s a minute", what,
	       idle->subscriptions, 100 * used / idle->seconds, 60 * used / idle->seconds);
	if (!idle->url)
		printf(", %8.1f statements a second",
		       (double)(atomic_load(&statements) - before) / idle->seconds);
	printf("\n");
	fflush(stdout);
	bench_check(tide_manager_stop(manager, NULL, 60, &err), &err);
	tide_manager_close(manager);
}

static void append_one(struct tide_store *store)
{
	struct tide_error err;
	struct tide_append_result result;
	struct tide_new_event event = { .event_type = "Idled", .payload = tide_text("{}") };
	struct tide_append append = {
		.stream = { .aggregate_id = tide_uuid_v4(), .aggregate_type = "Idle" },
		.expected = TIDE_ANY,
		.events = &event,
		.count = 1,
	};
	bench_check(tide_store_append(store, &append, &result, &err), &err);
}

/* ---- Memory of one --------------------------------------------------------------------------- */

static double memory_kib(void)
{
	char line[128];
	long kib = -1;
	FILE *status = fopen("/proc/self/status", "r");
	while (status && fgets(line, sizeof line, status))
		sscanf(line, "VmRSS: %ld", &kib);
	if (status)
		fclose(status);
	return (double)kib;
}

static atomic_int threads_ready;

/* A connection that has looked for what is new once, and waits until the process ends. */
static void *memory_thread(void *self)
{
	const struct idle *idle = self;
	sqlite3 *db;
	sqlite3_stmt *page;
	if (sqlite3_open(idle->file, &db) != SQLITE_OK ||
	    sqlite3_busy_timeout(db, 10000) != SQLITE_OK ||
	    sqlite3_prepare_v2(db,
			       "SELECT * FROM events WHERE global_position > 0 ORDER BY "
			       "global_position LIMIT 100",
			       -1, &page, NULL) != SQLITE_OK ||
	    sqlite3_step(page) != SQLITE_ROW)
		bench_die("by hand: %s", sqlite3_errmsg(db));
	sqlite3_reset(page);
	atomic_fetch_add(&threads_ready, 1);
	for (;;)
		pause();
	return NULL;
}

static double memory_by_hand(struct idle *idle)
{
	double before = memory_kib();
	pthread_t thread;
	for (int i = 0; i < idle->subscriptions; i++)
		if (pthread_create(&thread, NULL, memory_thread, idle) != 0)
			bench_die("no thread");
	while (atomic_load(&threads_ready) < idle->subscriptions)
		wait_a_moment();
	return memory_kib() - before;
}

static double memory_ours(const struct idle *idle, const char *url)
{
	struct tide_store *store;
	struct tide_manager *manager;
	struct tide_error err;
	bench_check(tide_store_open(url, NULL, &store, &err), &err);
	double before = memory_kib();
	manager = started(store, idle, 3600);
	double kib = memory_kib() - before;
	bench_check(tide_manager_stop(manager, NULL, 60, &err), &err);
	tide_manager_close(manager);
	tide_store_close(store);
	return kib;
}

/** What the row is measured with. */
struct memory {
	struct idle *idle;
	const char *url;
};

/* In a process of its own. */
static void memory_measure(void *self, bool is_ours)
{
	const struct memory *memory = self;
	double kib = 0;
	int ends[2], status;
	struct lap lap = lap_begin();
	if (pipe(ends) != 0)
		bench_die("there is no pipe");
	pid_t child = fork();
	if (child == 0) {
		kib = is_ours ? memory_ours(memory->idle, memory->url)
			      : memory_by_hand(memory->idle);
		_exit(write(ends[1], &kib, sizeof kib) == sizeof kib ? 0 : 1);
	}
	close(ends[1]);
	bool is_said = read(ends[0], &kib, sizeof kib) == sizeof kib;
	close(ends[0]);
	if (waitpid(child, &status, 0) != child || status != 0 || !is_said)
		bench_die("measuring memory did not work");
	lap_set(&lap, memory->idle->subscriptions, kib / memory->idle->subscriptions);
}

static void memory_run(struct idle *idle, const char *url, const struct table *table)
{
	const struct table_row row = { .name = "memory of an idle subscription, SQLite",
				       .unit = "KiB",
				       .scale = 1,
				       .within = 200 };
	table_head(table);
	table_run(table, &row, memory_measure, &(struct memory){ idle, url });
}

static void store_make(const char *url)
{
	struct tide_store *store;
	struct tide_error err;
	bench_check(tide_store_open(url, TIDE_STORE_OPTIONS(.initialize = true), &store, &err),
		    &err);
	append_one(store);
	tide_store_close(store);
}

static void measure_all(struct idle *idle, double poll, const struct table *table)
{
	struct tide_store *store;
	struct tide_error err;
	char made[600];
	snprintf(idle->file, sizeof idle->file, "%s/bench-idle-%ld.db", idle->directory,
		 (long)getpid());
	snprintf(made, sizeof made, "sqlite:%s", idle->file);
	const char *url = idle->url ? idle->url : made;
	store_make(url);
	if (!idle->url)
		memory_run(idle, url, table);
	if (table->is_json || table->only)
		return;
	bench_check(tide_store_open(url, NULL, &store, &err), &err);
	measure(store, idle, poll, "polls and looks");
	measure(store, idle, 3600, "looks alone");
	tide_store_close(store);
}

static void clean_up(const struct idle *idle)
{
	static const char *const endings[] = { "", "-wal", "-shm", "-owners" };
	char file[520];
	for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
		snprintf(file, sizeof file, "%s%s", idle->file, endings[i]);
		unlink(file);
	}
}

int main(int argc, char **argv)
{
	struct idle idle = { .subscriptions = 1000, .seconds = 60, .directory = "." };
	struct rlimit files;
	struct table table = { .program = "bench-idle", .rounds = 9 };
	double poll = 1;
	int option;
	while ((option = getopt(argc, argv, TABLE_OPTIONS "n:s:p:d:u:")) != -1) {
		if (option == 'n')
			idle.subscriptions = atoi(optarg);
		else if (option == 's')
			idle.seconds = atoi(optarg);
		else if (option == 'p')
			poll = atof(optarg);
		else if (option == 'd')
			idle.directory = optarg;
		else if (option == 'u')
			idle.url = optarg;
		else if (!table_option(&table, option, optarg))
			return 2;
	}

	if (idle.subscriptions < 1 || idle.seconds < 1 || !(poll > 0))
		bench_die("-n, -s and -p are more than 0");
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	table.events = idle.subscriptions;
	sqlite3_auto_extension((void (*)(void))count_all);
	measure_all(&idle, poll, &table);
	clean_up(&idle);
	return 0;
}
