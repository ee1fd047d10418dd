/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_PATH_SAVE_H
#define TIDE_PATH_SAVE_H

/*
 * Saving progress: by itself, or with the delivery transaction.
 */

#include "path/checkpoint.h"
#include "path/step.h"

struct tide_subscription;

/** Whether a save is made together with those of others. */
enum save_company {
	SAVE_ANYHOW,   /* it may be */
	SAVE_COMBINED, /* it is to be */
	SAVE_APART     /* it was to be, in vain: the next one is not */
};

struct save {
	bool is_due;
	enum save_company company;
	bool is_unknown;           /* one lost its connection: look whether it was made */
	struct progress attempted; /* what the last such one would have stored */
	struct mono_time final_at; /* when the last one of a run is tried again */
};

/** Save progress, committing the delivery transaction if one is open. */
enum step save_step(struct tide_subscription *subscription);
/** Somebody has to wait: commit what is settled, so that no transaction is open meanwhile. Returns
 * STEP_WAIT as before, or STEP_FAIL. */
enum step save_before_wait(struct tide_subscription *subscription);
/** Save once, for a run that ends: TIDE_OK also when nothing was to save. */
tide_status save_once(struct tide_subscription *subscription, struct tide_error *err);
/** Save the settled prefix of a frozen subscription from another thread; whether it was written. */
bool save_from_outside(struct tide_subscription *subscription);
/** What was kept of events in hand or behind goes: they come again. */
void save_void_memory(struct tide_subscription *subscription);
/** Read the row under our ownership and compare it with what is known; `*ret_resolved` false: the
 * run begins again from it. */
tide_status save_look_at_row(struct tide_subscription *subscription, struct tide_checkpoint *ret,
			     bool *ret_resolved, struct tide_error *err);
/** The memory of the run is void: it begins again from the row, with a warning. */
void save_begin_again_from(struct tide_subscription *subscription,
			   const struct tide_checkpoint *row, const char *why);

#endif
