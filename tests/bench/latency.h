/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_TESTS_BENCH_LATENCY_H
#define TIDE_TESTS_BENCH_LATENCY_H

/*
 * Live latency: from the call of an append to the handler, one event at a time, idle in between.
 * Who listens tells by a pipe when it got each event.
 */

#include <stdbool.h>

/** What the events say: about 230 bytes of JSON. */
extern const char bench_payload[];

/** How events are appended and listened to. */
struct latency_way {
	void *self;
	/* In another process: listens until `until` can be read. NULL: `begin` lets listen here. */
	void (*listen)(void *self, int reports, int until);
	void (*begin)(void *self, int reports);
	void (*append)(void *self);
	void (*end)(void *self);
	double period; /* seconds in which who listens looks; events come at any moment of it */
};

/** Say that an event is there, or, the first time, that it is listened from here on. */
void latency_report(int reports, bool is_ready);
/** Seconds of `count` events, in ascending order. */
void latency_take(const struct latency_way *way, double *took, int count);
/** The same of a live subscription of a store, in another process, or in this one. */
void latency_of_store(const char *url, bool is_across, double *took, int count);

#endif
