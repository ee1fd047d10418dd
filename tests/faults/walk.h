/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_WALK_H
#define TEST_WALK_H

/*
 * A subscription that is stepped by hand under a clock that moves only when told. The backend under
 * its manager is a copy whose operations fail when told.
 */

#include "engine_tools.h"
#include "path/store.h"
#include "supervise/manager.h"

struct walk {
	struct clock clock; /* first: the engine's clock is the walk */
	int64_t now_ns;
	struct rig rig;
	struct witness witness;
	struct tide_subscription *subscription;
	struct mono_time next;
	sqlite3 *outside; /* another process, as far as locks go */
	int records[TIDE_STATUS_COUNT];
};

/** What the backend does, and what it does under the walk: more operations may be replaced once it
 * is open. */
extern struct tide_backend walk_real, walk_backend;
/** How many dead letters, commits, answers of commits, saves fail from now on; -1: all. 0 when a
 * walk is opened. */
extern int walk_bad_entries, walk_bad_commits, walk_lost_answers, walk_bad_saves;
extern int walk_saves;       /* asked for, and not failed by that */
extern int walk_fenced_save; /* the number of the one that finds another owner; 0: none does */
/* what a failing dead letter reports: busy, "the queue is shut" */
extern tide_status walk_entry_status;
extern tide_status walk_entry_first; /* what the first one reports instead, unless TIDE_OK */
extern const char *walk_entry_message;

/** A store, "memory" or "sqlite", with so many events of one aggregate. */
void walk_open(struct walk *walk, const char *backend, size_t events);
void walk_start(struct walk *walk, bool is_transactional,
		const struct tide_subscription_config *config);
/** Step until the runner wants to wait, and see that nobody else has to wait for it. */
void walk_to_wait(struct walk *walk);
/** Wait as long as it wants to, and step until it wants to wait again. */
void walk_on(struct walk *walk);
void walk_until(struct walk *walk, enum tide_state state);
void walk_close(struct walk *walk);

/** Quick retries, at most three. */
struct tide_subscription_config walk_config(void);
/** How many there are, and the retries of the first one, -1 without any. */
size_t walk_dead_letters(struct walk *walk, int32_t *ret_retries);
/** Deciders of the witness: the second event fails transiently, or for good. */
tide_status walk_fail_two(struct witness *witness, const struct tide_event *event,
			  struct tide_delivery *delivery);
tide_status walk_refuse_two(struct witness *witness, const struct tide_event *event,
			    struct tide_delivery *delivery);

#endif
