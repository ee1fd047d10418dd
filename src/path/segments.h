/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_PATH_SEGMENTS_H
#define TIDE_PATH_SEGMENTS_H

/*
 * What a name was to be delivered, stretch by stretch, so that it can be proven later that nothing
 * was skipped: each segment keeps its filter, and how many were processed at its begin.
 */

#include "path/checkpoints.h"
#include "policy/inherit.h"

struct tide_subscription;

/** A run begins at `position`: the open segment goes on, or it ends at the row and another one
 * begins. */
tide_status segments_follow(struct tide_subscription *subscription,
			    const struct tide_checkpoint *row, tide_position position,
			    struct tide_error *err);
/** A row that a person moves back. */
struct segments_move {
	const struct tide_checkpoint *row; /* as it was; NULL: nobody inherits from it any more */
	bool goes_on;                      /* it can be owned */
	tide_position to;
};
/** What its newest segment, one that leads beyond that, had settled behind it is so no longer. */
tide_status segments_go_back(const struct tide_store *database, void *session,
			     const struct tide_segment *newest, const struct segments_move *move,
			     struct tide_error *err);
/** The proof begins anew with the next run. */
tide_status segments_forget(const struct tide_store *database, void *session, const char *name,
			    struct tide_error *err);
/** How far a segment has come, with this row. */
tide_position segment_reach(const struct tide_segment *segment, const struct tide_checkpoint *row);

/** All of a name, and of the lanes that it ever had, the oldest first; released with
 * tide_segments_free. */
tide_status segments_list_family(const struct tide_store *database, void *session, const char *name,
				 struct tide_segment **ret, size_t *ret_count,
				 struct tide_error *err);
/** All of a name alone, the oldest first; released with tide_segments_free. */
tide_status segments_list(const struct tide_store *database, void *session, const char *name,
			  struct tide_segment **ret, size_t *ret_count, struct tide_error *err);
/** Whether a later one is of the same name. */
bool segment_is_newest(const struct tide_segment *list, size_t count, size_t at);

/** The filter of a segment, and the texts that it names. */
struct segment_filter {
	struct tide_filter filter;
	const char **lists[3]; /* event types, patterns, aggregate types */
	char *texts;
	struct tide_uuid tenant;
	/* what passed, since lanes of another number had settled it */
	struct inherit_row *inherited;
	size_t inherited_count;
};
tide_status segment_filter_read(const char *json, struct segment_filter *ret,
				struct tide_error *err);
void segment_filter_fini(struct segment_filter *filter);

#endif
