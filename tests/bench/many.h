/* SPDX-License-Identifier: Apache-2.0 */
/* Many live subscriptions over one store: appends a second while each event goes to every one. */
#ifndef BENCH_MANY_H
#define BENCH_MANY_H

#include <tidemark/tidemark.h>

#include "table.h"

#define MANY_OPTIONS TABLE_OPTIONS "d:n:s:p:"
#define MANY_USAGE                                                                                 \
	"[-d DIRECTORY] [-n SUBSCRIPTIONS] [-s SECONDS] [-p APPENDS-A-SECOND] " TABLE_USAGE

/** What is measured. */
extern struct many {
	int subscriptions;
	double seconds, pace; /* appends a second; 0: as fast as it goes */
	const char *directory;
} many;

/** False: the option is another one's. */
bool many_option(int option, const char *argument);
/** Check what was given and write the head of the table. */
void many_begin(struct table *table);
/** Append as told while the subscriptions of a store that is there are live, until each has seen
 * all; and tell the time from an append's call to its last handler. One lap. */
void many_live(const struct table *table, const char *url, enum tide_checkpoint_strategy strategy);

#endif
