/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_TESTS_BENCH_H
#define TIDE_TESTS_BENCH_H

#include <stdint.h>
#include <tidemark/tidemark.h>

#include "die.h"
#include "table.h"

/** What a run was asked to do. */
struct bench {
	const char *directory; /* where databases are made; on the disk that is to be measured */
	const char *tide;      /* the command; NULL: import is not measured */
	int64_t events;        /* in the history that catch-up reads */
	char history[4096];    /* path of the database with the history */
	int made;              /* databases and subscriptions made so far, for names that are new */
};

/** The contents of one event, made before time is taken; both sides write the same. */
struct bench_row {
	char event_id[TIDE_UUID_TEXT_SIZE];
	char aggregate_id[TIDE_UUID_TEXT_SIZE];
	char correlation_id[TIDE_UUID_TEXT_SIZE];
	char occurred_at[TIDE_TIME_TEXT_SIZE];
	char payload[320];
	int32_t version;
};

/** Make `count` rows of about 300 bytes of JSON, in streams of 100 events; release with free. */
struct bench_row *bench_rows(int64_t count);

/** What a handler does that is about as expensive as reading its event. */
extern volatile uint64_t bench_worked;
void bench_work(const char *payload, size_t size);

/** Make a new database with the product's own schema and write its path to `ret`. */
void bench_database(struct bench *bench, char ret[4096]);
void bench_remove(const char *path);

/* One measurement each; they return events per second. */
double bare_scan(struct bench *bench);
double bare_catch_up_batch(struct bench *bench);
double bare_catch_up_event(struct bench *bench);
double bare_catch_up_periodic(struct bench *bench);
double bare_catch_up_working(struct bench *bench);
double bare_resume(struct bench *bench);
double bare_append_hundred(struct bench *bench);
double bare_append_thousand(struct bench *bench);
double bare_append_single(struct bench *bench);

double our_scan(struct bench *bench);
double our_catch_up_batch(struct bench *bench);
double our_catch_up_event(struct bench *bench);
double our_catch_up_periodic(struct bench *bench);
double our_catch_up_working(struct bench *bench);
double our_resume(struct bench *bench);
double our_append_hundred(struct bench *bench);
double our_append_8(struct bench *bench);
double our_append_64(struct bench *bench);
double our_follower(struct bench *bench);
double our_followers_5(struct bench *bench);
double our_import(struct bench *bench);

double bare_memory(struct bench *bench);
double our_memory(struct bench *bench);

double bare_command_each(struct bench *bench);
double bare_command_together(struct bench *bench);
double bare_command_python(struct bench *bench);
double our_command_each(struct bench *bench);
double our_command_together(struct bench *bench);
double our_command_python(struct bench *bench);
/** Be the program that they run: answer each line with ok, "each" at once or "together" what was
 * read together. */
_Noreturn void command_answer(const char *how);

/** Fill a database with `count` events, a thousand in a transaction. */
void bare_fill(const char *path, int64_t count);
/** Catch up once in this process and tell its greatest resident memory, KiB. */
long our_peak_memory(const char *path, int64_t count);

#endif
