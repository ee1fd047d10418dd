/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Speed and memory as ratios to bare loops: each case is measured by turns, bare and ours, in
 * rounds, because the machine's mood changes from second to second and a ratio taken within one
 * round mostly does not.
 */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* clang-format off */
static const struct bench_case {
	const char *name;
	double (*bare)(struct bench *bench);
	double (*ours)(struct bench *bench);
	double aim; /* median ratio that the design asks for; 0: none */
} cases[] = {
	{ "catch up, every batch of 1000",         bare_catch_up_batch,    our_catch_up_batch,    0.85 },
	{ "the same against a bare scan",          bare_scan,              our_catch_up_batch,    0.60 },
	{ "catch up, a handler as dear as reading", bare_catch_up_working, our_catch_up_working,   1.6 },
	{ "catch up, periodic checkpoints",        bare_catch_up_periodic, our_catch_up_periodic, 0 },
	{ "catch up, every event",                 bare_catch_up_event,    our_catch_up_event,    0 },
	{ "resume from the middle",                bare_resume,            our_resume,            0 },
	{ "read the feed against a bare scan",     bare_scan,              our_scan,              0 },
	{ "append, 100 a batch",                   bare_append_hundred,    our_append_hundred,    0.85 },
	{ "append, single, 8 threads to 1 writer", bare_append_single,     our_append_8,          4 },
	{ "append, single, 64 threads to 1 writer", bare_append_single,    our_append_64,         8 },
	{ "import against bare inserts",           bare_append_thousand,   our_import,            1 },
	{ "catch up in memory, to a bare array",   bare_memory,            our_memory,            0 },
	{ "five over one history, to one",         our_follower,           our_followers_5,       0.77 },
	{ "a command in C, each line answered",    bare_command_each,      our_command_each,      0.50 },
	{ "a command in C, answering together",    bare_command_together,  our_command_together,  0 },
	{ "a command in Python, each answered",      bare_command_python,    our_command_python,    0.80 },
};
/* clang-format on */

struct bench_row *bench_rows(int64_t count)
{
	static const char filler[] =
		"the quick brown fox jumps over the lazy dog and then walks home along the river, "
		"thinking about what it might have for supper before the tide comes in";
	struct bench_row *rows = calloc((size_t)count + 1, sizeof *rows);
	struct tide_uuid aggregate, id;

	if (!rows)
		bench_die("out of memory");
	for (int64_t i = 0; i < count; i++) {
		struct bench_row *row = &rows[i];
		if (i % 100 == 0)
			aggregate = tide_uuid_v4();
		id = tide_uuid_v7();
		tide_uuid_format(&id, row->event_id);
		tide_uuid_format(&aggregate, row->aggregate_id);
		id = tide_uuid_v4();
		tide_uuid_format(&id, row->correlation_id);
		tide_time_format(tide_time_now(), row->occurred_at);
		row->version = (int32_t)(i % 100 + 1);
		snprintf(row->payload, sizeof row->payload,
			 "{\"order\": %8lld, \"customer\": \"customer-%05lld\", \"amount\": %6.2f, "
			 "\"currency\": "
			 "\"EUR\", "
			 "\"lines\": %d, \"note\": \"%s\"}",
			 (long long)i, (long long)(i * 7919 % 99991), (double)(i % 1000) + 0.25,
			 (int)(i % 9) + 1, filler);
	}
	return rows;
}

volatile uint64_t bench_worked; /* so that it is not left out */

void bench_work(const char *payload, size_t size)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);
	for (size_t i = 0; i < 2 * size; i++)
		hash = (hash ^ (unsigned char)payload[i % size]) * UINT64_C(0x100000001b3);
	bench_worked = hash;
}

void bench_database(struct bench *bench, char ret[4096])
{
	struct tide_store *store;
	struct tide_error err;
	char url[4104];

	snprintf(ret, 4096, "%s/bench-%ld-%d.db", bench->directory, (long)getpid(), ++bench->made);
	snprintf(url, sizeof url, "sqlite:%s", ret);
	if (tide_store_open(url, TIDE_STORE_OPTIONS(.initialize = true), &store, &err) != TIDE_OK)
		bench_die("%s", err.message);
	tide_store_close(store);
}

void bench_remove(const char *path)
{
	static const char *const endings[] = { "", "-wal", "-shm", "-owners" };
	char file[4112];

	for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
		snprintf(file, sizeof file, "%s%s", path, endings[i]);
		unlink(file);
	}
}

/** A case of a run. */
struct turn {
	struct bench *bench;
	const struct bench_case *which;
};

static void turn_measure(void *self, bool is_ours)
{
	struct turn *turn = self;
	(void)(is_ours ? turn->which->ours : turn->which->bare)(turn->bench);
}

/* ---- Memory ---------------------------------------------------------------------------------- */

/** A history, and a shorter one. */
struct memory {
	struct bench *bench;
	char tenth[4096];
};

/* KiB of a process of its own, so that its peak is that of catching up and of nothing else. */
static double memory_of(const char *path, int64_t count)
{
	char number[32];
	double kib = 0;
	int ends[2], status;

	if (pipe(ends) != 0)
		bench_die("there is no pipe");
	snprintf(number, sizeof number, "%lld", (long long)count);
	pid_t child = fork();
	if (child == 0) {
		dup2(ends[1], STDOUT_FILENO);
		execl("/proc/self/exe", "bench", "-m", path, "-n", number, (char *)NULL);
		_exit(127);
	}
	close(ends[1]);
	FILE *said = fdopen(ends[0], "r");
	bool is_said = said && fscanf(said, "%lf", &kib) == 1;
	if (child < 0 || waitpid(child, &status, 0) < 0 || status != 0 || !is_said)
		bench_die("measuring memory did not work");
	fclose(said);
	return kib;
}

static void memory_measure(void *self, bool is_ours)
{
	const struct memory *memory = self;
	int64_t count = memory->bench->events / (is_ours ? 1 : 10);
	struct lap lap = lap_begin();
	lap_set(&lap, count, memory_of(is_ours ? memory->bench->history : memory->tenth, count));
}

static void bench_memory(struct bench *bench, const struct table *table)
{
	const struct table_row row = {
		.name = "peak memory of catching up, to that on a tenth",
		.aim = 0.95,
		.unit = "KiB",
		.scale = 1,
	};
	struct memory memory = { .bench = bench };

	if (table->once || !table_wants(table, row.name))
		return;
	bench_database(bench, memory.tenth);
	bare_fill(memory.tenth, bench->events / 10);
	table_run(table, &row, memory_measure, &memory);
	bench_remove(memory.tenth);
}

static void bench_all(struct bench *bench, const struct table *table)
{
	table_head(table);
	bench_database(bench, bench->history);
	bare_fill(bench->history, bench->events);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct turn turn = { bench, &cases[i] };
		const struct table_row row = { .name = cases[i].name, .aim = cases[i].aim };
		if (bench->tide || cases[i].ours != our_import)
			table_run(table, &row, turn_measure, &turn);
	}

	bench_memory(bench, table);
	bench_remove(bench->history);
}

int main(int argc, char **argv)
{
	struct bench bench = { .directory = ".", .events = 200000 };
	struct table table = { .program = "bench", .rounds = 9 };
	const char *memory = NULL;
	int option;

	if (argc == 3 && strcmp(argv[1], "--answer") == 0)
		command_answer(argv[2]);
	while ((option = getopt(argc, argv, TABLE_OPTIONS "d:n:t:m:")) != -1) {
		if (option == 'd')
			bench.directory = optarg;
		else if (option == 'n')
			bench.events = strtoll(optarg, NULL, 10);
		else if (option == 't')
			bench.tide = optarg;
		else if (option == 'm')
			memory = optarg;
		else if (!table_option(&table, option, optarg))
			bench_die("usage: bench [-d DIRECTORY] [-n EVENTS] [-t TIDE] " TABLE_USAGE);
	}

	if (bench.events < 100)
		bench_die("at least 100 events");
	table.events = bench.events;
	if (memory)
		printf("%ld\n", our_peak_memory(memory, bench.events));
	else
		bench_all(&bench, &table);
	return 0;
}
