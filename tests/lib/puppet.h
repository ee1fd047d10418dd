/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_PUPPET_H
#define TEST_PUPPET_H

/*
 * A command for command projections: the test program again, answering events as it is told.
 *
 *	puppet FILE [BEHAVIOUR POSITION TIMES]
 *
 * Each event it is sent becomes a line "position attempt pid" in FILE before it is answered with
 * ok. At the event of POSITION it does what BEHAVIOUR says instead, as long as it was sent at most
 * TIMES times. `slow` takes TIMES milliseconds for each.
 */

#include <stdint.h>

/** To be called first in main: when this process is a puppet, it plays and exits. */
void puppet_main(int argc, char **argv);

/** The arguments of one; as many as fit. */
struct puppet {
	char file[300];
	char position[24], times[24];
	const char *arguments[8];
};
void puppet_make(struct puppet *puppet, const char *directory, const char *behaviour,
		 int64_t position, int times);

/** What was sent, in order. */
struct sent {
	int count;
	struct {
		int64_t position;
		int attempt, pid;
	} * items;
};
void sent_read(const char *file, struct sent *ret);
void sent_fini(struct sent *sent);
/** Fails the test unless every position from 1 to `last` was sent, and none before its
 * predecessor. */
void sent_is_whole(const struct sent *sent, int64_t last);
/** How often a position was sent. */
int sent_times(const struct sent *sent, int64_t position);
/** To how many processes, one after the other. */
int sent_processes(const struct sent *sent);

#endif
