/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_PATH_START_H
#define TIDE_PATH_START_H

/*
 * Owning a subscription, and finding out where it stands.
 */

#include <tidemark/backend.h>

#include "path/step.h"
#include "sys/clock.h"

struct tide_subscription;

/** Whether it is known where the run stands. */
enum standing {
	STANDING_UNKNOWN,
	STANDING_LEFT, /* where the last run stopped, or this one before its memory was void */
	STANDING_RESOLVED,
};

/** What decides where a run begins. */
enum basis {
	BASIS_CONFIGURED,
	BASIS_ROW, /* the stored checkpoint: it stood by, was fenced, or its row went back */
	/* likewise, after ERROR; behind the settled prefix when nothing was ever stored */
	BASIS_RESTART,
};

struct start {
	struct mono_time acquire_at; /* when a standby asks again */
	enum standing standing;
	enum basis basis;
	tide_position catch_up_to; /* W */
};

/** Whether it is a restart that knows where the run before it stopped. */
static inline bool start_goes_on(const struct start *start)
{
	return start->basis == BASIS_RESTART && start->standing != STANDING_UNKNOWN;
}

/** The stored checkpoint decides when it is resolved again; for who goes on, it does so anyway
 * where there is one. */
static inline void start_go_by_row(struct start *start)
{
	if (!start_goes_on(start))
		start->basis = BASIS_ROW;
}

/** When row and anchor are looked at again. */
struct look {
	struct mono_time at; /* 0: a database was connected to anew */
	uint64_t losses;     /* of connections when it was looked last */
};

/** After an unclean end: events are marked before they are handed over. */
struct care {
	bool is_on;
	int64_t left; /* events */
	tide_position suspect;
	int32_t deaths; /* of processes that had it in hand */
};

/** STARTING: own the subscription, resolve where it begins, enter CATCHING_UP or LIVE. */
enum step start_step(struct tide_subscription *subscription);
/** In a run whose memory is void: resolve anew where it stands. */
enum step start_again(struct tide_subscription *subscription);
/** Whether a connection was made anew since it was looked last; and to look: at the row, and what
 * it stands on. */
bool start_must_look(const struct tide_subscription *subscription);
enum step start_look(struct tide_subscription *subscription);
/** Before a run ends with nothing to save: TIDE_OK also when the row went back, and the position
 * with it. */
tide_status start_look_last(struct tide_subscription *subscription, struct tide_error *err);
/** Keep a note beside the lease that is owned, if that can be done; nothing depends on it. */
void start_note(struct tide_subscription *subscription, const struct tide_lease_note *note);

#endif
