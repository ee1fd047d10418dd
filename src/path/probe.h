/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_PATH_PROBE_H
#define TIDE_PATH_PROBE_H

#include "path/store.h"
#include "sys/thread.h"

/**
 * Asks slow questions of a database on a thread of its own, so that whoever wants the answer can stop waiting: the feed
 * end, and how many dead letters each projection has.
 */
struct probe {
	struct tide_store *feed;     /* fixed after init */
	struct tide_store *database; /* fixed after init */

	/* under lock */
	struct mutex lock;
	struct cond changed;
	bool is_started, is_ending;
	uint64_t asked, answered; /* questions begun after `asked` was raised have seen everything before */
	bool has_end;             /* at least one answer ever */
	bool is_last_ok;
	tide_position end;
	struct tide_dead_letter_count *counts;
	size_t count;
	struct thread thread;
};

void probe_init(struct probe *probe, struct tide_store *feed, struct tide_store *database);
void probe_fini(struct probe *probe);

/** What is known: `is_fresh` when it was asked just now. */
struct probe_answer {
	bool has_end, is_fresh;
	tide_position end;
};

/** Ask, and wait at most `limit_ns` for the answer. */
struct probe_answer probe_ask(struct probe *probe, int64_t limit_ns);
/** Unresolved dead letters of a projection as of the last answer. */
int64_t probe_dead_letters(struct probe *probe, const char *projection_name);

#endif
