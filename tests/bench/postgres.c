/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PostgreSQL: ours against bare libpq loops, by turns within rounds, over a private server that
 * flushes as in production. Bare means prepared statements in binary format, with nothing around
 * them: a plain INSERT for single events, else the same ones.
 *
 *	bench-postgres [-n EVENTS] [-l LATENCIES] [-j] [-r ROUNDS] [-o PART-OF-A-NAME]
 *
 * A catch-up of a million rows and the latency when idle, alone: -n 1000000 -o 'catch up'; -o
 * latency.
 */
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <libpq-fe.h>

#include <tidemark/tidemark.h>

#include "backends/postgres/statements.h"
#include "backends/postgres/values.h"
#include "die.h"
#include "latency.h"
#include "lib/build.h"
#include "lib/postgres.h"
#include "lib/wait.h"
#include "table.h"

#define URL "postgresql:///?pool=%d&schema=%s"
#define CLIENTS_MAX 32
#define PAGE 1000

static int64_t events = 100000;
static struct table table = { .program = "bench-postgres", .rounds = 9 };
static int samples = 200;
static const char *schema = "public";
static int pool = 32; /* connections of our appends */

static struct tide_store *store_opened(void)
{
	struct tide_store *store;
	struct tide_error err;
	char url[100];
	snprintf(url, sizeof url, URL, pool, schema);
	bench_check(tide_store_open(url, TIDE_STORE_OPTIONS(.initialize = true), &store, &err),
		    &err);
	return store;
}

/* ---- Appending ------------------------------------------------------------------------------- */

/** Clients that append at once, `batch` events at a time, each to streams of its own. */
struct crowd {
	int clients;
	int64_t batch, appends;   /* of each client */
	struct tide_store *store; /* NULL: bare */
};

/** One of them. */
struct client {
	pthread_t thread;
	const struct crowd *crowd;
	PGconn *connection;
};

static void bare_prepare(PGconn *connection, const char *name, const char *statement)
{
	struct buffer text = { 0 };
	char dotted[40];
	snprintf(dotted, sizeof dotted, "\"%s\".", schema);
	pg_statement_expand(&text, statement, dotted);
	PGresult *result = PQprepare(connection, name, text.data, 0, NULL);
	if (PQresultStatus(result) != PGRES_COMMAND_OK)
		bench_die("%s", PQerrorMessage(connection));
	PQclear(result);
	buffer_fini(&text);
}

static PGconn *bare_connected(enum pg_statement statement)
{
	PGconn *connection = PQconnectdb("");
	bare_prepare(connection, "s", pg_statement_text(statement));
	bare_prepare(connection, "one",
		     "INSERT INTO @events (event_id, aggregate_id, aggregate_type, event_type, "
		     "version, \"timestamp\", "
		     "payload, event_version, correlation_id, metadata) VALUES ($1::uuid, "
		     "$2::uuid, $3::text, $4::text, "
		     "$5::int4, $6::timestamptz, $7::json, $8::int4, $9::uuid, $10::json) "
		     "RETURNING global_position");
	return connection;
}

static PGresult *bare_run_as(PGconn *connection, const char *name, const struct pg_params *params)
{
	const char *values[PG_PARAMS_MAX];
	int formats[PG_PARAMS_MAX];
	for (int i = 0; i < params->count; i++) {
		values[i] = params->lengths[i] < 0 ? NULL : params->bytes.data + params->starts[i];
		formats[i] = 1;
	}
	PGresult *result = PQexecPrepared(connection, name, params->count, values, params->lengths,
					  formats, 1);
	if (PQresultStatus(result) != PGRES_TUPLES_OK)
		bench_die("%s", PQerrorMessage(connection));
	return result;
}

static PGresult *bare_run(PGconn *connection, const struct pg_params *params)
{
	return bare_run_as(connection, "s", params);
}

static void bare_put_ids(struct pg_params *params, int64_t count)
{
	pg_array_begin(params, PG_UUID, (size_t)count);
	for (int64_t i = 0; i < count; i++) {
		struct tide_uuid id = tide_uuid_v7();
		pg_array_uuid(params, &id, false);
	}
	pg_array_end(params);
}

static void bare_put_texts(struct pg_params *params, int type, const char *text, int64_t count)
{
	pg_array_begin(params, type, (size_t)count);
	for (int64_t i = 0; i < count; i++)
		pg_array_text(params, tide_text(text));
	pg_array_end(params);
}

static void bare_put_numbers(struct pg_params *params, int64_t first, int64_t step, int64_t count)
{
	pg_array_begin(params, PG_INT4, (size_t)count);
	for (int64_t i = 0; i < count; i++)
		pg_array_int4(params, (int32_t)(first + i * step));
	pg_array_end(params);
}

/* The parameters of the append, see PG_APPEND. */
static void bare_append(PGconn *connection, const struct tide_uuid *stream, int64_t count)
{
	PG_PARAMS_AUTO struct pg_params params = { .count = 0 };
	pg_array_begin(&params, PG_UUID, 1);
	pg_array_uuid(&params, stream, false);
	pg_array_end(&params);
	bare_put_texts(&params, PG_TEXT, "Order", 1);
	bare_put_numbers(&params, -1, 0, 1);
	bare_put_numbers(&params, 1, 0, count);
	bare_put_numbers(&params, 1, 1, count);
	bare_put_ids(&params, count);
	bare_put_texts(&params, PG_TEXT, "OrderPlaced", count);
	bare_put_texts(&params, PG_UUID, NULL, count);
	bare_put_texts(&params, PG_TEXT, NULL, count);
	pg_array_begin(&params, PG_TIMESTAMPTZ, (size_t)count);
	for (int64_t i = 0; i < count; i++)
		pg_array_time(&params, tide_time_now());
	pg_array_end(&params);
	bare_put_texts(&params, PG_JSON, bench_payload, count);
	bare_put_numbers(&params, 1, 0, count);
	bare_put_ids(&params, count);
	bare_put_texts(&params, PG_UUID, NULL, count);
	bare_put_texts(&params, PG_JSON, "{}", count);
	PQclear(bare_run(connection, &params));
}

/* The least that can be done: a row of values, of which the version is known beforehand. */
static void bare_append_one(PGconn *connection, const struct tide_uuid *stream, int32_t version)
{
	PG_PARAMS_AUTO struct pg_params params = { .count = 0 };
	struct tide_uuid ids[2] = { tide_uuid_v7(), tide_uuid_v7() };
	struct tide_time now = tide_time_now();
	pg_put_uuid(&params, &ids[0]);
	pg_put_uuid(&params, stream);
	pg_put_string(&params, "Order");
	pg_put_string(&params, "OrderPlaced");
	pg_put_int4(&params, version);
	pg_put_time(&params, &now);
	pg_put_string(&params, bench_payload);
	pg_put_int4(&params, 1);
	pg_put_uuid(&params, &ids[1]);
	pg_put_string(&params, "{}");
	PQclear(bare_run_as(connection, "one", &params));
}

static void our_append(struct tide_store *store, const struct tide_uuid *stream, int64_t count)
{
	struct tide_new_event batch[PAGE];
	struct tide_error err;
	for (int64_t i = 0; i < count; i++)
		batch[i] = (struct tide_new_event){ .event_type = "OrderPlaced",
						    .payload = tide_text(bench_payload) };
	const struct tide_append append = { .stream = { *stream, "Order" },
					    .expected = TIDE_ANY,
					    .events = batch,
					    .count = (size_t)count };
	bench_check(tide_store_append(store, &append, NULL, &err), &err);
}

static void *client_run(void *self)
{
	struct client *client = self;
	const struct crowd *crowd = client->crowd;
	struct tide_uuid stream = tide_uuid_v4();
	for (int64_t i = 0; i < crowd->appends; i++) {
		if (i % 100 == 0)
			stream = tide_uuid_v4();
		if (crowd->store)
			our_append(crowd->store, &stream, crowd->batch);
		else if (crowd->batch == 1)
			bare_append_one(client->connection, &stream, (int32_t)(i % 100 + 1));
		else
			bare_append(client->connection, &stream, crowd->batch);
	}
	return NULL;
}

/* Events a second. Each connection has been used before time is taken, as those of a pool have. */
static double crowd_measure(int number, int64_t batch, int64_t total, bool is_ours)
{
	struct crowd crowd = { .clients = number,
			       .batch = batch,
			       .appends = total / batch / number };
	struct client clients[CLIENTS_MAX] = { 0 };
	struct crowd warm = { .clients = number, .batch = 1, .appends = 5 };
	crowd.store = warm.store = is_ours ? store_opened() : NULL;
	struct lap lap;
	for (int pass = 0; pass < 2; pass++) {
		lap = lap_begin();
		for (int i = 0; i < number; i++) {
			clients[i].crowd = pass == 0 ? &warm : &crowd;
			if (pass == 0 && !is_ours)
				clients[i].connection = bare_connected(PG_APPEND);
			pthread_create(&clients[i].thread, NULL, client_run, &clients[i]);
		}
		for (int i = 0; i < number; i++)
			pthread_join(clients[i].thread, NULL);
	}
	double rate = lap_end(&lap, crowd.appends * batch * number);
	for (int i = 0; i < number && !is_ours; i++)
		PQfinish(clients[i].connection);
	tide_store_close(crowd.store);
	return rate;
}

static double bare_single(void)
{
	return crowd_measure(1, 1, events / 50, false);
}
static double our_single(void)
{
	return crowd_measure(1, 1, events / 50, true);
}
static double bare_eight(void)
{
	return crowd_measure(8, 1, events / 20, false);
}
static double our_eight(void)
{
	return crowd_measure(8, 1, events / 20, true);
}
static double bare_many(void)
{
	return crowd_measure(32, 1, events / 20, false);
}
static double our_many(void)
{
	return crowd_measure(32, 1, events / 20, true);
}

/* As many threads as bare connections, but a pool of `connections`. */
static double crowd_measure_pool(int connections)
{
	pool = connections;
	double rate = crowd_measure(32, 1, events / 5, true);
	pool = 32;
	return rate;
}
static double our_many_pool_2(void)
{
	return crowd_measure_pool(2);
}
static double our_many_pool_4(void)
{
	return crowd_measure_pool(4);
}
static double our_many_pool_8(void)
{
	return crowd_measure_pool(8);
}

/* Into a store that has just been made, of whose tables the server knows nothing yet. */
static double crowd_measure_new(int number, bool is_ours)
{
	schema = "fresh";
	postgres_sql("public", "DROP SCHEMA IF EXISTS fresh CASCADE");
	tide_store_close(store_opened());
	double rate = crowd_measure(number, 1, events / 50, is_ours);
	schema = "public";
	return rate;
}
static double bare_single_new(void)
{
	return crowd_measure_new(1, false);
}
static double our_single_new(void)
{
	return crowd_measure_new(1, true);
}
static double bare_eight_new(void)
{
	return crowd_measure_new(8, false);
}
static double our_eight_new(void)
{
	return crowd_measure_new(8, true);
}
static double bare_hundred(void)
{
	return crowd_measure(1, 100, events / 5, false);
}
static double our_hundred(void)
{
	return crowd_measure(1, 100, events / 5, true);
}

/* ---- Reading --------------------------------------------------------------------------------- */

static int64_t bare_page(PGconn *connection, int64_t *position, int64_t *bytes)
{
	PG_PARAMS_AUTO struct pg_params params = { .count = 0 };
	pg_put_int8(&params, *position);
	pg_put_int4(&params, PAGE);
	PGresult *rows = bare_run(connection, &params);
	int count = PQntuples(rows);
	for (int row = 0; row < count; row++) {
		*position = pg_int8(rows, row, 0);
		for (int column = 0; column < PQnfields(rows); column++)
			*bytes += PQgetlength(rows, row, column) + *PQgetvalue(rows, row, column);
	}
	PQclear(rows);
	return count;
}

/* The best bare read: binary, prepared, all columns, pages of a thousand. */
static double bare_read(void)
{
	PGconn *connection = PQconnectdb("");
	PQclear(PQprepare(connection, "s",
			  "SELECT " PG_COLUMNS
			  "metadata, payload FROM events WHERE global_position > $1::int8 ORDER BY "
			  "global_position LIMIT $2::int4",
			  0, NULL));
	int64_t position = 0, bytes = 0, seen = 0, count;
	struct lap lap = lap_begin();
	while ((count = bare_page(connection, &position, &bytes)) > 0)
		seen += count;
	double rate = lap_end(&lap, seen);
	PQfinish(connection);
	return rate;
}

static double our_read(void)
{
	struct tide_store *store = store_opened();
	struct tide_reader *reader;
	struct tide_error err;
	const struct tide_event *event;
	int64_t seen = 0;
	struct lap lap = lap_begin();
	bench_check(tide_store_read(store, NULL, &reader, &err), &err);
	for (;; seen++) {
		bench_check(tide_reader_next(reader, &event, &err), &err);
		if (!event)
			break;
	}
	double rate = lap_end(&lap, seen);
	tide_reader_close(reader);
	tide_store_close(store);
	return rate;
}

/** What a subscription has seen. */
struct seen_count {
	atomic_llong count;
};

static tide_status see_event(void *self, const struct tide_event *event,
			     struct tide_delivery *delivery)
{
	struct seen_count *seen = self;
	(void)event;
	(void)delivery;
	atomic_fetch_add(&seen->count, 1);
	return TIDE_OK;
}

static struct tide_manager *manager_started(struct tide_store *store, struct seen_count *seen,
					    const char *name,
					    struct tide_subscription_config config)
{
	struct tide_subscriber subscriber = { .name = name, .self = seen, .handle = see_event };
	struct tide_manager *manager;
	struct tide_error err;
	bench_check(tide_manager_open(TIDE_MANAGER(.store = store), &manager, &err), &err);
	bench_check(tide_manager_subscribe(manager, &subscriber, &config, NULL, &err), &err);
	bench_check(tide_manager_start(manager, NULL, 0, NULL, NULL, &err), &err);
	return manager;
}

static void manager_ended(struct tide_manager *manager)
{
	struct tide_error err;
	bench_check(tide_manager_stop(manager, NULL, 20, &err), &err);
	tide_manager_close(manager);
}

static double our_catch_up(void)
{
	static int number;
	char name[32];
	struct tide_store *store = store_opened();
	struct seen_count seen = { 0 };
	struct tide_error err;
	tide_position end;
	snprintf(name, sizeof name, "catch-up-%d", number++);
	bench_check(tide_store_end(store, &end, &err), &err);
	PGconn *connection = PQconnectdb("");
	PGresult *result = PQexec(connection, "SELECT count(*) FROM events");
	int64_t total = strtoll(PQgetvalue(result, 0, 0), NULL, 10);
	PQclear(result);
	PQfinish(connection);
	struct tide_subscription_config config = tide_catch_up_config(1000, true);
	config.max_in_flight = 2000;
	struct lap lap = lap_begin();
	struct tide_manager *manager = manager_started(store, &seen, name, config);
	while (atomic_load(&seen.count) < total)
		wait_a_moment();
	double rate = lap_end(&lap, total);
	manager_ended(manager);
	tide_store_close(store);
	return rate;
}

/* Eight clients with three live subscriptions in this process, against the same without them. */
static double our_eight_watched(void)
{
	struct tide_store *store = store_opened();
	struct tide_manager *managers[3];
	struct seen_count seen = { 0 };
	struct tide_subscription_config config = TIDE_SUBSCRIPTION_CONFIG_DEFAULT;
	config.start_from = TIDE_START_END;
	for (int i = 0; i < 3; i++) {
		char name[32];
		snprintf(name, sizeof name, "live-%d", i);
		managers[i] = manager_started(store, &seen, name, config);
	}
	double rate = our_eight();
	for (int i = 0; i < 3; i++)
		manager_ended(managers[i]);
	tide_store_close(store);
	return rate;
}

/* ---- Latency --------------------------------------------------------------------------------- */

/* By hand: LISTEN, and one read behind the last position at every bell. */
static void hand_listen(void *self, int reports, int until)
{
	(void)self;
	PGconn *connection = bare_connected(PG_SCAN);
	PQclear(PQexec(connection, "LISTEN bench"));
	PGresult *newest =
		PQexec(connection, "SELECT COALESCE(max(global_position), 0) FROM events");
	int64_t position = strtoll(PQgetvalue(newest, 0, 0), NULL, 10);
	PQclear(newest);
	latency_report(reports, true);
	bool is_over = false;
	while (!is_over) {
		PGnotify *heard;
		struct pollfd fds[] = { { .fd = PQsocket(connection), .events = POLLIN },
					{ .fd = until, .events = POLLIN } };
		poll(fds, 2, -1);
		is_over = fds[1].revents != 0 || !PQconsumeInput(connection);
		while ((heard = PQnotifies(connection)) != NULL) {
			PG_PARAMS_AUTO struct pg_params params = { .count = 0 };
			PQfreemem(heard);
			pg_put_int8(&params, position);
			pg_put_int4(&params, PAGE);
			pg_put_int4(&params, 1 << 20);
			PGresult *rows = bare_run(connection, &params);
			for (int row = 0; row < PQntuples(rows); row++) {
				position = pg_int8(rows, row, 0);
				latency_report(reports, false);
			}
			PQclear(rows);
		}
	}
	PQfinish(connection);
}

/** Who appends by hand, and rings. */
struct hand {
	PGconn *connection;
	struct tide_uuid stream;
};

static void hand_begin(void *self, int reports)
{
	struct hand *hand = self;
	(void)reports;
	*hand = (struct hand){ bare_connected(PG_APPEND), tide_uuid_v4() };
}

static void hand_append(void *self)
{
	struct hand *hand = self;
	bare_append(hand->connection, &hand->stream, 1);
	PQclear(PQexec(hand->connection, "NOTIFY bench"));
}

static void hand_end(void *self)
{
	PQfinish(((struct hand *)self)->connection);
}

/* Seconds from append called in one process to handler called in another, idle in between: the one
 * that `percent` of all are below. */
static void latency_measure(int count, int percent, bool is_ours)
{
	struct hand hand;
	const struct latency_way way = { .self = &hand,
					 .listen = hand_listen,
					 .begin = hand_begin,
					 .append = hand_append,
					 .end = hand_end };
	struct lap lap = lap_begin();
	char url[100];
	snprintf(url, sizeof url, URL, pool, schema);
	double *took = calloc((size_t)count, sizeof *took);
	if (!took)
		bench_die("out of memory");
	if (is_ours)
		latency_of_store(url, true, took, count);
	else
		latency_take(&way, took, count);
	lap_set(&lap, count, took[count * percent / 100]);
	free(took);
}

static void latency_half(void *self, bool is_ours)
{
	(void)self;
	latency_measure(samples, 50, is_ours);
}

static void latency_last(void *self, bool is_ours)
{
	(void)self;
	latency_measure(samples, 99, is_ours);
}

/* ---- Rows ------------------------------------------------------------------------------------ */

/** A row of throughput. */
struct throughput {
	const char *name;
	double (*bare)(void), (*ours)(void);
	double aim;
};

/* clang-format off */
static const struct throughput cases[] = {
	{ "append, single, 1 client",               bare_single,  our_single,        0.85 },
	{ "append, single, 8 clients",              bare_eight,   our_eight,         0.85 },
	{ "append, single, new store, 1 client",    bare_single_new, our_single_new, 0.85 },
	{ "append, single, new store, 8 clients",   bare_eight_new,  our_eight_new,  0.85 },
	{ "append with notifications, 32 clients",  bare_many,    our_many,          0.90 },
	{ "append, single, 32 threads, pool 2",     bare_many, our_many_pool_2, 0 },
	{ "append, single, 32 threads, pool 4",     bare_many, our_many_pool_4, 0 },
	{ "append, single, 32 threads, pool 8",     bare_many, our_many_pool_8, 4 },
	{ "append, 100 a batch, 1 client",          bare_hundred, our_hundred,       0.85 },
	{ "append, 8 clients, 3 live subscriptions", our_eight,   our_eight_watched, 0 },
	{ "read the feed against a bare read",      bare_read,    our_read,          0.85 },
	{ "catch up against a bare read",           bare_read,    our_catch_up,      0.85 },
};
/* clang-format on */

static void throughput_measure(void *self, bool is_ours)
{
	const struct throughput *which = self;
	(void)(is_ours ? which->ours : which->bare)();
}

static void history_made(void)
{
	struct tide_store *store = store_opened();
	for (int64_t i = 0; i < events; i += PAGE) {
		struct tide_uuid stream = tide_uuid_v4();
		our_append(store, &stream, PAGE);
	}
	tide_store_close(store);
	postgres_sql("public", "VACUUM ANALYZE events");
}

static void rows_run(void)
{
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct throughput which = cases[i];
		const struct table_row row = { .name = which.name, .aim = which.aim };
		table_run(&table, &row, throughput_measure, &which);
	}

	table_run(&table,
		  &(struct table_row){
			  .name = "live latency, p50", .aim = 1, .unit = "ms", .scale = 1e3 },
		  latency_half, NULL);
	table_run(&table,
		  &(struct table_row){ .name = "live latency, p99", .unit = "ms", .scale = 1e3 },
		  latency_last, NULL);
}

int main(int count, char **arguments)
{
	int option;
	while ((option = getopt(count, arguments, TABLE_OPTIONS "n:l:")) != -1) {
		if (option == 'n')
			events = strtoll(optarg, NULL, 10);
		else if (option == 'l')
			samples = atoi(optarg);
		else if (!table_option(&table, option, optarg))
			bench_die("usage: bench-postgres [-n EVENTS] [-l LATENCIES] " TABLE_USAGE);
	}

	table.events = events;
	if (events < 2000 || samples < 20)
		bench_die("at least 2000 events and 20 latencies");
	if (!postgres_start_as(&(struct postgres_wish){ .is_flushing = true }))
		return 77;
	history_made();
	table_head(&table);
	rows_run();
	postgres_stop();
	return 0;
}
