/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_PATH_SEGMENTS_H
#define TIDE_PATH_SEGMENTS_H

/*
 * What a name was to be delivered, stretch by stretch, so that it can be proven later that nothing
 * was skipped: each segment keeps its filter, and how many were processed at its begin.
 */

#include "path/checkpoints.h"

struct tide_subscription;

/** A run begins at `position`: the open segment goes on, or it ends at the row and another one
 * begins. */
tide_status segments_follow(struct tide_subscription *subscription,
			    const struct tide_checkpoint *row, tide_position position,
			    struct tide_error *err);
/** A person is about to move the row, which stands still. */
tide_status segments_end(const struct tide_store *database, void *session,
			 const struct tide_checkpoint *row, struct tide_error *err);
/** The proof begins anew with the next run. */
tide_status segments_forget(const struct tide_store *database, void *session, const char *name,
			    struct tide_error *err);
/** How far a segment has come, with this row. */
tide_position segment_reach(const struct tide_segment *segment, const struct tide_checkpoint *row);

/** All of a name, the oldest first; released with tide_segments_free. */
tide_status segments_list(struct tide_checkpoints *checkpoints, const char *name,
			  struct tide_segment **ret, size_t *ret_count, struct tide_error *err);

/** The filter of a segment, and the texts that it names. */
struct segment_filter {
	struct tide_filter filter;
	const char **lists[3]; /* event types, patterns, aggregate types */
	char *texts;
	struct tide_uuid tenant;
};
tide_status segment_filter_read(const char *json, struct segment_filter *ret,
				struct tide_error *err);
void segment_filter_fini(struct segment_filter *filter);

#endif
