/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What typed events and aggregates cost: domain_bench [-n EVENTS] [-r ROUNDS] [-d DIRECTORY]
 *
 * A ten-field event is encoded and decoded by its table, by hand on the same tokenizer and writer,
 * and by hand on jansson where that is installed; alternately, so that a busy machine is busy for
 * all. Then an aggregate of 10,000 events is loaded with and without a snapshot. Prints medians and
 * ranges of the ratios.
 */
#include "domain_bench.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS_MAX 99
#define LIFE 10000 /* events of the aggregate that is loaded */

/** What a run was asked to do. */
struct options {
	int64_t events;
	int rounds;
	const char *directory;
};

/** Sorted ratios of a comparison. */
struct ratios {
	const char *name;
	double values[ROUNDS_MAX];
	int count;
};

static double seconds(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

_Noreturn static void die(const char *what, const char *why)
{
	fprintf(stderr, "domain_bench: %s: %s\n", what, why);
	exit(1);
}

static int ratio_order(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static void ratios_print(struct ratios *ratios)
{
	qsort(ratios->values, (size_t)ratios->count, sizeof ratios->values[0], ratio_order);
	if (ratios->count)
		printf("%-48s %8.2f   %.2f .. %.2f\n", ratios->name,
		       ratios->values[ratios->count / 2], ratios->values[0],
		       ratios->values[ratios->count - 1]);
}

/* ---- Encode and decode ----------------------------------------------------------------------- */

/** Encode and decode so many events; returns events per second. */
static double run_codec(const struct codec *codec, int64_t events)
{
	struct shipment before = shipment_sample(), after;
	double begin = seconds();
	for (int64_t i = 0; i < events; i++) {
		before.weight_grams = i;
		char *json = codec->encode(&before);
		if (!json || !codec->decode(json, &after))
			die(codec->name, json ? json : "it did not encode");
		if (after.weight_grams != i)
			die(codec->name, "it did not decode to what was encoded");
		free(json);
		shipment_release(&after);
	}
	return (double)events / (seconds() - begin);
}

/** Every codec must make the same of the same. */
static void check_codec(const struct codec *codec)
{
	struct shipment sample = shipment_sample(), after;
	char *json = codec->encode(&sample);
	if (!json || !codec->decode(json, &after))
		die(codec->name, "it does not work");
	char *again = table_codec.encode(&after), *wanted = table_codec.encode(&sample);
	if (strcmp(again, wanted) != 0)
		die(codec->name, again);
	shipment_release(&after);
	free(json);
	free(again);
	free(wanted);
}

static void bench_codecs(const struct options *options)
{
	struct ratios by_hand = { .name = "typed event / by hand on our tokenizer" };
	struct ratios jansson = { .name = "typed event / by hand on jansson" };
	double best = 0;
	check_codec(&hand_codec);
	if (jansson_codec)
		check_codec(jansson_codec);
	for (int round = 0; round < options->rounds; round++) {
		double table = run_codec(&table_codec, options->events);
		by_hand.values[by_hand.count++] = table / run_codec(&hand_codec, options->events);
		if (jansson_codec)
			jansson.values[jansson.count++] =
				table / run_codec(jansson_codec, options->events / 4 + 1);
		best = table > best ? table : best;
	}
	printf("encode and decode of a ten-field event: at best %.0f a second\n", best);
	ratios_print(&by_hand);
	ratios_print(&jansson);
	if (!jansson_codec)
		printf("jansson is not installed\n");
}

/* ---- Loading an aggregate -------------------------------------------------------------------- */

static struct tide_error err;

static void must(tide_status status)
{
	if (status != TIDE_OK)
		die(tide_status_name(status), err.message);
}

static struct tide_uuid live(struct tide_repository *repository)
{
	struct tide_aggregate *aggregate;
	must(tide_repository_create(repository, NULL, &aggregate, &err));
	struct tide_uuid id = *tide_aggregate_id(aggregate);
	struct shipment sample = shipment_sample();
	for (int i = 1; i <= LIFE; i++) {
		must(tide_aggregate_raise(aggregate, &shipment_type, &sample, &err));
		if (i % 500 == 0)
			must(tide_repository_save(repository, aggregate, &err));
	}
	tide_aggregate_free(aggregate);
	return id;
}

static double load_ms(struct tide_repository *repository, const struct tide_uuid *id)
{
	struct tide_aggregate *aggregate;
	double begin = seconds();
	must(tide_repository_load(repository, id, &aggregate, &err));
	double taken = seconds() - begin;
	if (tide_aggregate_version(aggregate) != LIFE)
		die("load", "it is not at its last version");
	tide_aggregate_free(aggregate);
	return taken * 1e3;
}

static void bench_loads(const struct options *options)
{
	char path[512], url[600];
	snprintf(path, sizeof path, "%s/domain-bench-%ld.db", options->directory, (long)getpid());
	snprintf(url, sizeof url, "sqlite:%s?synchronous=normal", path);
	struct tide_store *store;
	struct tide_repository *repository;
	struct tide_aggregate *aggregate;
	must(tide_store_open(url, TIDE_STORE_OPTIONS(.initialize = true), &store, &err));
	must(tide_repository_open(TIDE_REPOSITORY(.store = store, .type = &parcel_type),
				  &repository, &err));
	struct tide_uuid id = live(repository);
	struct ratios whole = { .name = "load of 10,000 events, ms" },
		      short_cut = { .name = "load of its snapshot, ms" };
	for (int round = 0; round < options->rounds; round++)
		whole.values[whole.count++] = load_ms(repository, &id);
	must(tide_repository_load(repository, &id, &aggregate, &err));
	must(tide_repository_snapshot(repository, aggregate, &err));
	tide_aggregate_free(aggregate);
	for (int round = 0; round < options->rounds; round++)
		short_cut.values[short_cut.count++] = load_ms(repository, &id);
	ratios_print(&whole);
	ratios_print(&short_cut);
	tide_repository_close(repository);
	tide_store_close(store);
	static const char *const endings[] = { "", "-wal", "-shm" };
	for (size_t i = 0; i < 3; i++) {
		snprintf(url, sizeof url, "%s%s", path, endings[i]);
		unlink(url);
	}
}

int main(int argc, char **argv)
{
	struct options options = { .events = 200000, .rounds = 9, .directory = "." };
	for (int option; (option = getopt(argc, argv, "n:r:d:")) != -1;) {
		if (option == 'n')
			options.events = atoll(optarg);
		else if (option == 'r')
			options.rounds = atoi(optarg);
		else if (option == 'd')
			options.directory = optarg;
		else
			return 2;
	}
	if (options.events < 1 || options.rounds < 1 || options.rounds > ROUNDS_MAX)
		die("options", "events must be at least 1, rounds 1 to 99");
	printf("%-48s %8s   range of %d rounds\n", "", "median", options.rounds);
	bench_codecs(&options);
	bench_loads(&options);
	return 0;
}
