/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_TESTS_BENCH_TABLE_H
#define TIDE_TESTS_BENCH_TABLE_H

/*
 * What the programs of the bench suite share: the clocks of a measurement, rounds of theirs and
 * ours by turns, and the table, or a line of JSON a row.
 */

#include <stdbool.h>
#include <stdint.h>

#define TABLE_OPTIONS "jr:o:1:"
#define TABLE_USAGE "[-j] [-r ROUNDS] [-o PART-OF-A-NAME] [-1 ours|bare]"
#define TABLE_ROUNDS_MAX 99

/** How a program measures and prints. */
struct table {
	const char *program;
	int rounds;       /* pairs of measurements of each row */
	const char *only; /* part of the names of the rows that are measured; NULL: all */
	bool is_json;
	const char *
		once; /* "ours" or "bare": that side alone, once, for whoever counts instructions */
	int64_t events;
};

/** One row: theirs and ours on the same work. */
struct table_row {
	const char *name;
	double aim;        /* median ratio that is asked for; 0: none */
	bool by_processor; /* the ratio is of processor time, else of the clock */
	const char *unit;  /* one is told as what it takes, in this unit; NULL: as rates */
	double scale;      /* with a unit: how many of it a second, or what stands for one, has */
	double within;     /* what ours may take, in that unit; 0: the aim is of the ratio */
};

/** Measure one side: a lap must have ended when it returns. */
typedef void (*table_measure)(void *self, bool is_ours);

/** Take one of TABLE_OPTIONS; false: it is none of them, or wrong. */
bool table_option(struct table *table, int option, const char *value);
void table_head(const struct table *table);
bool table_wants(const struct table *table, const char *name);
/** Measure a row in rounds, by turns, and print it. */
void table_run(const struct table *table, const struct table_row *row, table_measure measure,
	       void *self);

/** When a measurement began. */
struct lap {
	double clock, processor;
};

struct lap lap_begin(void);
/** End it: how often a second `count` things were done, by the clock. */
double lap_end(const struct lap *lap, int64_t count);
/** End it with what was found otherwise: seconds by the clock for one thing. */
void lap_set(const struct lap *lap, int64_t count, double seconds);
/** End it by what another process has measured of itself: seconds by the clock, and microseconds of
 * processor time, for one of `count` things. */
void lap_told(int64_t count, double seconds, double us);

double seconds_of_clock(void);
double median_of(double *values, int count);

#endif
