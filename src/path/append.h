/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_PATH_APPEND_H
#define TIDE_PATH_APPEND_H

/*
 * Appends made ready for a backend: checked, completed but for their ids, and counted.
 */

#include "path/store.h"

/** Several appends, as a backend takes them; the texts are the caller's. */
struct append_batch {
	struct tide_event *events; /* of all commits */
	struct tide_commit *commits;
	struct tide_append_result *results;
	size_t count; /* of commits */
	size_t event_count;
};
void append_batch_fini(struct append_batch *batch);
#define APPEND_BATCH_AUTO __attribute__((cleanup(append_batch_fini)))

/** What appends came to, for the metrics. */
struct append_tally {
	int64_t events, replayed, conflicts, refused;
};

/** Check all of them and fill the batch; ids stay as they are. Nothing is left of it on failure. */
tide_status append_make(const struct tide_store *store, const struct tide_append *appends,
			size_t count, struct append_batch *ret, struct tide_error *err);
/** TIDE_DUPLICATE_EVENT: an id is there twice. */
tide_status append_check_ids(const struct append_batch *batch, struct tide_error *err);
/** Count what it came to, and have the metrics tell it. */
void append_count(const struct append_batch *batch, tide_status status, struct append_tally *tally);
void append_add(struct append_tally *tally, const struct append_tally *more);
void append_tell(struct metrics_store *metrics, const struct append_tally *tally);
/** The results, where they mean something. */
void append_give(const struct append_batch *batch, tide_status status,
		 struct tide_append_result *ret);

#endif
