/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_PATH_PROBE_H
#define TIDE_PATH_PROBE_H

#include <tidemark/subscription.h>

#include "path/checkpoints.h"
#include "policy/availability.h"
#include "sys/thread.h"

/** The oldest event that waits for a subscription. */
struct probe_lag {
	char name[TIDE_NAME_MAX + 1];
	char **event_types; /* ends in NULL; NULL: all */
	tide_position position;
	bool is_measured;
	struct lag_event waiting;
};
struct probe_lags {
	struct probe_lag *items;
	size_t count;
};
void probe_lags_fini(struct probe_lags *lags);

/** What the probe's thread is about; each database is waited for by itself. */
enum probe_stage { PROBE_RESTS, PROBE_ASKS_FEED, PROBE_ASKS_CHECKPOINTS, PROBE_MEASURES };

/**
 * Asks slow questions of a database on a thread of its own, so that whoever wants the answer can
 * stop waiting: the feed end, who holds it back, how many dead letters each projection has, and how
 * many seconds those who ask are behind.
 */
struct probe {
	struct tide_store *feed;     /* fixed after init */
	struct tide_store *database; /* fixed after init */

	/* under lock */
	struct mutex lock;
	struct cond changed;
	bool is_started, is_ending;
	/* questions begun after `asked` was raised have seen everything before */
	uint64_t asked, answered;
	bool has_end; /* at least one answer ever */
	bool is_last_ok;
	enum probe_stage stage;
	struct mono_time stage_since;
	uint64_t asking; /* the question it is about */
	struct availability stores[DATABASES];
	tide_position end;
	char waiting_for[TIDE_WAITING_FOR_SIZE];
	struct tide_dead_letter_count *counts;
	size_t count;
	struct probe_lags wanted; /* the next question */
	struct probe_lags lags;   /* the last answer */
	struct thread thread;
};

void probe_init(struct probe *probe, struct tide_store *feed, struct tide_store *database);
void probe_fini(struct probe *probe);

/** What is known: `is_fresh` when it was asked just now. */
struct probe_answer {
	bool has_end, is_fresh;
	tide_position end;
	/* who holds back committed events; empty: nobody */
	char waiting_for[TIDE_WAITING_FOR_SIZE];
	struct availability stores[DATABASES];
};

/** Ask, and wait at most `limit_ns` for the answer. */
struct probe_answer probe_ask(struct probe *probe, int64_t limit_ns);
/** The same with lags to measure; takes what `lags` holds. */
struct probe_answer probe_ask_lags(struct probe *probe, struct probe_lags *lags, int64_t limit_ns);
/** Somebody else has asked the database for all subscriptions: whether it answered is told like the
 * probe's own. */
void probe_note(struct probe *probe, enum database database, tide_status status,
		const struct tide_error *error);
/** Unresolved dead letters of a projection as of the last answer, and those of them being
 * redelivered. */
int64_t probe_dead_letters(struct probe *probe, const char *projection_name, int64_t *ret_retrying);
/**
 * The lag of a subscription at a position as of the last answer that measured it; false: none did,
 * or what waited then has been passed since. What still waits has waited longer by now.
 */
bool probe_lag_seconds(struct probe *probe, const char *name, tide_position position, double *ret);

#endif
