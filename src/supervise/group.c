/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A subscription as persons know it, under a manager: what is asked of it is asked of each lane.
 *
 * Happy path: the lanes start, stop, pause and resume together, and each runs by itself in between.
 * Failure modes: one lane fails to start, or does not stop: the others do all the same, and the
 * first error is the whole's. One lane has ended in error: the others go on, and restarting the
 * subscription begins that one anew.
 */
#include "supervise/group.h"

#include <assert.h>

#include "path/lanes.h"
#include "policy/errors.h"
#include "supervise/membership.h"

/* ---- Starting -------------------------------------------------------------------------------- */

/* The first error of a row of calls is that of all of them. */
static void group_keep(tide_status *first, tide_status status, const struct tide_error *why,
		       struct tide_error *err)
{
	if (status == TIDE_OK || *first != TIDE_OK)
		return;
	*first = status;
	if (err)
		*err = *why;
}

tide_status group_start(struct tide_manager *manager, struct tide_subscription *subscription,
			struct tide_error *err)
{
	tide_status first = TIDE_OK;
	membership_begin(manager, subscription);
	for (uint32_t i = 0; i < lane_count(subscription); i++) {
		struct tide_error why;
		group_keep(&first,
			   run_start(lane_at(subscription, i), manager->is_threaded, false, &why),
			   &why, err);
	}
	return first;
}

void group_await_failed(struct tide_subscription *subscription)
{
	for (uint32_t i = 0; i < lane_count(subscription); i++)
		run_await_failed(lane_at(subscription, i));
}

tide_status group_restart(struct tide_manager *manager, struct tide_subscription *subscription,
			  struct tide_error *err)
{
	tide_status first = TIDE_OK;
	assert(lane_count(subscription) > 0);
	bool has_error = whole_has_state(subscription, TIDE_STATE_ERROR);
	if (has_error)
		membership_begin(manager, subscription);
	for (uint32_t i = 0; i < lane_count(subscription); i++) {
		struct tide_subscription *lane = lane_at(subscription, i);
		struct tide_error why;
		/* where none is, the first one says so */
		bool is_restart = !has_error || whole_has_state(lane, TIDE_STATE_ERROR);
		group_keep(&first, run_start(lane, manager->is_threaded, is_restart, &why), &why,
			   err);
		if (!has_error)
			break;
	}
	return first;
}

tide_status group_wait_started(struct tide_subscription *subscription, bool until_live,
			       struct mono_time deadline, struct tide_error *err)
{
	tide_status first = TIDE_OK;
	for (uint32_t i = 0; i < lane_count(subscription); i++) {
		struct tide_error why;
		group_keep(&first,
			   run_wait_started(lane_at(subscription, i), until_live, deadline, &why),
			   &why, err);
	}
	return first;
}

void group_refuse(struct tide_subscription *subscription, const struct tide_error *why)
{
	for (uint32_t i = 0; i < lane_count(subscription); i++)
		run_refuse(lane_at(subscription, i), why);
}

/* ---- Stopping -------------------------------------------------------------------------------- */

void group_ask_stop(struct tide_manager *manager, struct tide_subscription *subscription,
		    struct mono_time deadline)
{
	membership_stop(manager, subscription, deadline);
	for (uint32_t i = 0; i < lane_count(subscription); i++)
		run_ask_stop(lane_at(subscription, i), deadline);
}

tide_status group_wait_stopped(struct tide_manager *manager, struct tide_subscription *subscription,
			       struct mono_time save_until, struct tide_error *err)
{
	tide_status first = TIDE_OK;
	for (uint32_t i = 0; i < lane_count(subscription); i++) {
		struct tide_error why;
		group_keep(
			&first,
			control_wait_stopped(manager, lane_at(subscription, i), save_until, &why),
			&why, err);
	}
	membership_await_left(manager, subscription, save_until);
	return first;
}

void group_join(struct tide_subscription *subscription)
{
	for (uint32_t i = 0; i < lane_count(subscription); i++)
		control_join(lane_at(subscription, i));
}

/* ---- Failures -------------------------------------------------------------------------------- */

struct tide_error_stats group_error_stats(struct tide_subscription *subscription)
{
	struct tide_error_stats sum = { 0 };
	for (uint32_t i = 0; i < lane_count(subscription); i++) {
		struct tide_subscription *lane = lane_at(subscription, i);
		mutex_lock(&lane->lock);
		struct tide_error_stats one =
			error_log_stats(&lane->errors, clock_mono(lane->engine->clock));
		mutex_unlock(&lane->lock);
		error_stats_add(&sum, &one);
	}
	return sum;
}
