/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When progress is saved.
 *
 *   strategy     processed events are saved       filtered-only progress is saved
 *   every_event  after each of them               after checkpoint_interval_seconds
 *   every_batch  after each page that had some    after checkpoint_interval_seconds
 *   periodic     after checkpoint_interval_seconds, by a timer
 *
 * Pause, stop, error and the step to LIVE save whatever is not saved yet.
 */
#include "path/checkpoint.h"

#include <assert.h>

#include "core/text.h"

/* Its page has not ended, and no timer cuts it. */
static bool progress_waits_for_page(const struct progress *progress,
				    const struct tide_subscription_config *config)
{
	return progress->unsaved > 0 && config->checkpoint_strategy == TIDE_EVERY_BATCH;
}

struct mono_time progress_due_at(const struct progress *progress,
				 const struct tide_subscription_config *config)
{
	if (!progress->is_dirty || progress_waits_for_page(progress, config))
		return MONO_NEVER;
	return mono_add(progress->saved_at, ns_of_seconds(config->checkpoint_interval_seconds));
}

bool progress_is_due(const struct progress *progress, const struct tide_subscription_config *config,
		     enum progress_moment moment, struct mono_time now)
{
	if (!progress->is_dirty)
		return false;
	if (progress->unsaved > 0 && config->checkpoint_strategy == TIDE_EVERY_EVENT)
		return true;
	if (progress_waits_for_page(progress, config))
		return moment != PROGRESS_AFTER_EVENT;
	return now.ns >= progress_due_at(progress, config).ns;
}

void progress_start(struct progress *progress, tide_position position,
		    const struct tide_checkpoint_known *stored, struct mono_time now)
{
	assert(stored->has_row || !stored->has_position);
	*progress = (struct progress){ .position = position, .stored = *stored, .saved_at = now };
	/* a start behind what is stored is no news: an event that fails there must not take the row
	 * back */
	progress->is_dirty = position > (stored->has_position ? stored->position : 0);
}

struct tide_checkpoint_known checkpoint_known(const struct tide_checkpoint *row)
{
	return (struct tide_checkpoint_known){ true, row->has_position,
					       row->has_position ? row->position : 0,
					       row->events_processed };
}

enum row_finding row_compare(const struct tide_checkpoint_known *known,
			     const struct tide_checkpoint_known *found)
{
	if (known->has_row && !found->has_row)
		return ROW_OTHER;
	if (known->has_position && (!found->has_position || found->position < known->position))
		return ROW_LOWER;
	bool is_same = found->has_position == known->has_position &&
		       (!found->has_position || found->position == known->position);
	return is_same ? ROW_SAME : ROW_OTHER;
}

void progress_move(struct progress *progress, tide_position position)
{
	assert(position >= progress->position);
	progress->is_dirty = progress->is_dirty || position != progress->position;
	progress->position = position;
}

void progress_stand(struct progress *progress, struct tide_anchor anchor)
{
	assert(anchor.position <= progress->position);
	if (anchor.position > progress->anchor.position && !tide_uuid_is_nil(&anchor.event_id))
		progress->anchor = anchor;
}

void progress_count(struct progress *progress, const struct tide_event *event)
{
	assert(event->position <= progress->position);
	progress->unsaved++;
	progress->is_dirty = true;
	progress->last_event_id = event->event_id;
	text_take_name(event->event_type, progress->last_event_type);
}

void progress_saved(struct progress *progress, struct mono_time now)
{
	assert(progress->unsaved >= 0);
	assert(progress->anchor.position <= progress->position);
	progress->stored = (struct tide_checkpoint_known){ true, true, progress->position,
							   progress->stored.events_processed +
								   progress->unsaved };
	progress->stored_anchor = progress->anchor;
	progress->unsaved = progress->discarded = 0;
	progress->is_dirty = false;
	progress->last_event_id = (struct tide_uuid){ { 0 } };
	progress->saved_at = now;
}
