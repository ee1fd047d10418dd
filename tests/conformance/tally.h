/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_TESTS_CONFORMANCE_TALLY_H
#define TIDE_TESTS_CONFORMANCE_TALLY_H

/* A name, p, whose events are counted, with lanes and without. */

#include <stdatomic.h>

#include "conformance/recorder.h"

#define AGGREGATES 24
#define EVENTS (4 * AGGREGATES)
#define STUCK 6 /* the position of an event that nobody can handle, while it is so */

/** How often each event was handled, by position. */
struct tally {
	const struct test_backend *backend;
	atomic_int calls[2 * EVENTS + 1];
	atomic_bool is_stuck, buries; /* the stuck one; those at 40 and 60 */
	atomic_int emptied;
	bool refuses_to_be_emptied;
};

void tally_open(struct tally *tally, struct fixture *f);
void tally_forget(struct tally *tally);
struct tide_subscriber tally_subscriber(struct tally *tally);
/** Append so many events to the streams in turn. */
void tally_fill(struct fixture *f, int count);
/** Run it until all lanes but that of the stuck event are at the end, and that one is too, unless
 * it is stuck. */
void tally_run(struct fixture *f, struct tally *tally, uint32_t lanes);
/** Whether the events from one position to another were handled so many times. */
bool were_handled(struct tally *tally, tide_position first, tide_position last, int times);

/** Of one lane: the name itself. Good until the next call. */
const char *lane_name(uint32_t lane, uint32_t lanes);
uint32_t lane_of_stuck(uint32_t lanes);

#endif
