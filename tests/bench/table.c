/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rounds and figures. The machine's mood changes from second to second, and a ratio taken within
 * one round mostly does not: each round measures both sides, the first one by turns.
 */
#include "table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "die.h"

#if __has_include(<valgrind/callgrind.h>)
#include <valgrind/callgrind.h>
#else
#define CALLGRIND_START_INSTRUMENTATION (void)0
#define CALLGRIND_STOP_INSTRUMENTATION (void)0
#endif

/** One side of one round. */
struct figure {
	double rate; /* a second, by the clock */
	double us;   /* processor time of one, with that of ended children */
	int64_t count;
};

static struct figure last;
static bool is_counted; /* instructions count: a row is measured */

/* ---- Clocks ---------------------------------------------------------------------------------- */

double seconds_of_clock(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double processor_of(int who)
{
	struct rusage usage;
	getrusage(who, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

struct lap lap_begin(void)
{
	if (is_counted)
		CALLGRIND_START_INSTRUMENTATION;
	return (struct lap){ seconds_of_clock(),
			     processor_of(RUSAGE_SELF) + processor_of(RUSAGE_CHILDREN) };
}

void lap_set(const struct lap *lap, int64_t count, double seconds)
{
	double processor =
		processor_of(RUSAGE_SELF) + processor_of(RUSAGE_CHILDREN) - lap->processor;
	CALLGRIND_STOP_INSTRUMENTATION;
	last = (struct figure){ 1 / seconds, processor * 1e6 / (double)count, count };
}

void lap_told(int64_t count, double seconds, double us)
{
	last = (struct figure){ 1 / seconds, us, count };
}

double lap_end(const struct lap *lap, int64_t count)
{
	lap_set(lap, count, (seconds_of_clock() - lap->clock) / (double)count);
	return last.rate;
}

static double load_now(void)
{
	double load = 0;
	getloadavg(&load, 1);
	return load;
}

/* ---- Options --------------------------------------------------------------------------------- */

bool table_option(struct table *table, int option, const char *value)
{
	switch (option) {
	case 'j':
		table->is_json = true;
		return true;
	case 'r':
		table->rounds = atoi(value);
		return table->rounds >= 1 && table->rounds <= TABLE_ROUNDS_MAX;
	case 'o':
		table->only = value;
		return true;
	case '1':
		table->once = value;
		return strcmp(value, "ours") == 0 || strcmp(value, "bare") == 0;
	default:
		return false;
	}
}

bool table_wants(const struct table *table, const char *name)
{
	return !table->only || strstr(name, table->only);
}

/* ---- Rows ------------------------------------------------------------------------------------ */

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

double median_of(double *values, int count)
{
	qsort(values, (size_t)count, sizeof *values, ascending);
	return count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

/** All rounds of a row. */
struct rounds {
	double ratio[TABLE_ROUNDS_MAX], rate[2][TABLE_ROUNDS_MAX], us[2][TABLE_ROUNDS_MAX];
};

static struct figure measured(table_measure measure, void *self, bool is_ours)
{
	last = (struct figure){ 0 };
	is_counted = true;
	measure(self, is_ours);
	is_counted = false;
	if (!(last.rate > 0))
		bench_die("a measurement took no time");
	return last;
}

static void rounds_take(const struct table *table, const struct table_row *row,
			table_measure measure, void *self, struct rounds *rounds)
{
	for (int round = 0; round < table->rounds; round++) {
		struct figure side[2];
		bool begins = round % 2 == 1;
		side[begins] = measured(measure, self, begins);
		side[!begins] = measured(measure, self, !begins);
		for (int i = 0; i < 2; i++) {
			rounds->rate[i][round] = side[i].rate;
			rounds->us[i][round] = side[i].us;
		}

		rounds->ratio[round] =
			row->by_processor ? side[0].us / side[1].us : side[1].rate / side[0].rate;
	}
}

/* What is reached is asked of ours alone where an amount is, else of the ratio. */
static bool row_is_met(const struct table_row *row, double ratio, double ours)
{
	return row->within > 0 ? row->scale / ours <= row->within : ratio >= row->aim;
}

static void row_print_json(const struct table *table, const struct table_row *row,
			   struct rounds *rounds)
{
	int count = table->rounds;
	double middle = median_of(rounds->ratio, count);
	double bare = median_of(rounds->rate[0], count), ours = median_of(rounds->rate[1], count);
	printf("{\"program\":\"%s\",\"row\":\"%s\",\"ratio\":%.4f,\"low\":%.4f,\"high\":%.4f,"
	       "\"aim\":%.3g,\"by\":\"%s\",\"bare\":%.6g,\"ours\":%.6g,\"bare_us\":%.5g,"
	       "\"ours_us\":%.5g,\"events\":%lld,\"rounds\":%d,\"load\":%.1f",
	       table->program, row->name, middle, rounds->ratio[0], rounds->ratio[count - 1],
	       row->aim, row->by_processor ? "processor" : "clock", bare, ours,
	       median_of(rounds->us[0], count), median_of(rounds->us[1], count),
	       (long long)table->events, count, load_now());
	if (row->unit)
		printf(",\"unit\":\"%s\",\"bare_takes\":%.5g,\"ours_takes\":%.5g,\"within\":%.4g",
		       row->unit, row->scale / bare, row->scale / ours, row->within);
	printf("}\n");
}

static void row_print_amount(const struct table_row *row, double rate)
{
	char text[32];
	if (row->unit)
		snprintf(text, sizeof text, "%.5g %s", row->scale / rate, row->unit);
	else
		snprintf(text, sizeof text, "%.0f", rate);
	printf(" %11s", text);
}

static void row_print(const struct table *table, const struct table_row *row, struct rounds *rounds)
{
	int count = table->rounds;
	double middle = median_of(rounds->ratio, count);
	double bare = median_of(rounds->rate[0], count), ours = median_of(rounds->rate[1], count);
	printf("%-50s %6.2f  %5.2f to %6.2f ", row->name, middle, rounds->ratio[0],
	       rounds->ratio[count - 1]);
	if (row->within > 0)
		printf("%5.4g %-4s", row->within, row_is_met(row, middle, ours) ? "met" : "not");
	else if (row->aim > 0)
		printf("%5.2f %-4s", row->aim, row_is_met(row, middle, ours) ? "met" : "not");
	else
		printf("%10s", "");
	row_print_amount(row, bare);
	row_print_amount(row, ours);
	printf(" %9.2f %9.2f %5.1f%s\n", median_of(rounds->us[0], count),
	       median_of(rounds->us[1], count), load_now(),
	       row->by_processor ? "  by processor time" : "");
}

void table_head(const struct table *table)
{
	if (table->is_json || table->once)
		return;
	printf("\n%s: %lld events, %d rounds, load %.1f; ratios of speed, ours to bare; processor "
	       "time in us\n\n%-50s %6s  %15s %10s %11s %11s %9s %9s %5s\n",
	       table->program, (long long)table->events, table->rounds, load_now(), "", "median",
	       "range", "aim   ", "bare /s", "ours /s", "bare us", "ours us", "load");
	fflush(stdout);
}

void table_run(const struct table *table, const struct table_row *row, table_measure measure,
	       void *self)
{
	static struct rounds rounds;
	if (!table_wants(table, row->name))
		return;
	if (table->once) {
		struct figure figure = measured(measure, self, strcmp(table->once, "ours") == 0);
		printf("{\"program\":\"%s\",\"row\":\"%s\",\"side\":\"%s\",\"rate\":%.6g,"
		       "\"us\":%.5g,\"counted\":%lld}\n",
		       table->program, row->name, table->once, figure.rate, figure.us,
		       (long long)figure.count);
		return;
	}

	rounds_take(table, row, measure, self, &rounds);
	if (table->is_json)
		row_print_json(table, row, &rounds);
	else
		row_print(table, row, &rounds);
	fflush(stdout);
}
