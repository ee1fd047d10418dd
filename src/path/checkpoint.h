/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_PATH_CHECKPOINT_H
#define TIDE_PATH_CHECKPOINT_H

#include <tidemark/backend.h>
#include <tidemark/subscription.h>

#include "sys/clock.h"

/** How far a subscription has come, and how much of it is saved. A plain value. */
struct progress {
	tide_position position;         /* everything at or below is settled */
	int64_t unsaved;                /* events processed since the last save */
	int64_t discarded;              /* events dropped since the last save */
	struct tide_uuid last_event_id; /* of the last one of them; nil: none since the last save */
	char last_event_type[TIDE_NAME_MAX + 1];
	bool is_dirty;             /* position or counts differ from what is saved */
	struct mono_time saved_at; /* or when the run began */
	/* the row as it was read at the start, or written last */
	struct tide_checkpoint_known stored;
	struct tide_anchor anchor;        /* the greatest event known at or below the position */
	struct tide_anchor stored_anchor; /* the one in the row; position 0: none that is known */
};

/** What a row is, seen from the one that was read or written last under the same ownership. */
enum row_finding {
	ROW_SAME,
	ROW_LOWER, /* commits of the database were lost */
	ROW_OTHER  /* higher, or gone: nobody may do that but its owner */
};

/** A row as one that is known. */
struct tide_checkpoint_known checkpoint_known(const struct tide_checkpoint *row);
enum row_finding row_compare(const struct tide_checkpoint_known *known,
			     const struct tide_checkpoint_known *found);

/** What just happened. */
enum progress_moment { PROGRESS_AFTER_EVENT, PROGRESS_AFTER_PAGE, PROGRESS_IDLE };

/** Whether the strategy asks for a save now. */
bool progress_is_due(const struct progress *progress, const struct tide_subscription_config *config,
		     enum progress_moment moment, struct mono_time now);
/** When the timer asks for one, MONO_NEVER when it never does. */
struct mono_time progress_due_at(const struct progress *progress,
				 const struct tide_subscription_config *config);

void progress_start(struct progress *progress, tide_position position,
		    const struct tide_checkpoint_known *stored, struct mono_time now);
void progress_move(struct progress *progress, tide_position position);
/** An event was met: the position stands on it, unless it stands on a later one. */
void progress_stand(struct progress *progress, struct tide_anchor anchor);
void progress_count(struct progress *progress, const struct tide_event *event);
void progress_saved(struct progress *progress, struct mono_time now);

#endif
