/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is remembered of events that failed for good and whose end is not done yet, in the order of
 * their positions.
 *
 * Failure modes: the feed begins anew before such an event: it is remembered until the event comes
 * again. Memory is out: it is forgotten, and the event simply delivered again.
 */
#include "path/runner.h"

#include <assert.h>

#include "sys/alloc.h"

void failure_forget_pending(struct runner *runner)
{
	struct pending_failure *pending = &runner->pending, *later = pending->later;
	assert(pending->position > 0);
	assert(!later || later->position > pending->position);
	if (runner->doomed <= pending->position)
		runner->doomed = 0;
	if (runner->lost_position <= pending->position)
		runner->lost_position = 0; /* should it have to come again, it begins anew */
	tide_free(pending->stacktrace);
	*pending = later ? *later : (struct pending_failure){ 0 };
	pending->is_pending = false;
	tide_free(later);
}

void failure_forget_all(struct runner *runner)
{
	while (runner->pending.position > 0)
		failure_forget_pending(runner);
}

/* An event before the one that is pending has failed, too. Without memory the later one is simply
 * delivered again. */
void failure_put_aside(struct runner *runner)
{
	assert(runner->pending.position > 0);
	struct pending_failure *later = alloc_zero(1, sizeof *later);
	if (later) {
		*later = runner->pending;
	} else {
		later = runner->pending.later;
		tide_free(runner->pending.stacktrace);
	}
	runner->pending = (struct pending_failure){ .later = later };
}
