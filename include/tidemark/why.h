/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDEMARK_WHY_H
#define TIDEMARK_WHY_H

/*
 * Why a subscription is not further: one cause, the most specific one that holds, with its evidence
 * and what to do. From the databases alone, whoever runs it and wherever, or from inside the
 * process that does.
 */

#include <tidemark/subscription.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

struct tide_manager;

/* clang-format off */
/** Every cause once: constant, wire name. */
#define TIDE_CAUSES(X) \
	X(LIVE,             "live")             /* nothing is left to do */ \
	X(CATCHING_UP,      "catching_up")      /* it reads history */ \
	X(STARTING,         "starting")         /* it makes its tables, or finds out where to begin */ \
	X(SLOW_HANDLER,     "slow_handler")     /* it is behind, and nearly all time goes into the handler */ \
	X(HANDLER_RUNNING,  "handler_running")  /* a call has been going on for more than a second */ \
	X(HANDLER_STUCK,    "handler_stuck")    /* a call is past processing_timeout */ \
	X(RETRYING,         "retrying")         /* an event failed, and is tried again later */ \
	X(HANDLER_BREAKER,  "handler_breaker")  /* its handler failed too often in a row */ \
	X(DATABASE_AWAY,    "database_away")    /* an operation on a database fails, and is tried again */ \
	X(DISK_FULL,        "disk_full")        /* the same, since its disk is full */ \
	X(BLOCKED,          "blocked")          /* somebody else's transaction keeps it from writing */ \
	X(OPEN_APPEND,      "open_append")      /* events wait for an append that stays open */ \
	X(PAUSED,           "paused")           /* somebody asked for it */ \
	X(STANDING_BY,      "standing_by")      /* another process owns it */ \
	X(CAREFUL,          "careful")          /* a process died over an event, which is handed over again */ \
	X(AGGREGATE_HELD,   "aggregate_held")   /* later events of a failed aggregate are parked */ \
	X(FAILED_EVENT,     "failed_event")     /* it stopped on an event that fails */ \
	X(DIVERGED,         "diverged")         /* the store is not the one that it was made from */ \
	X(ERROR,            "error")            /* its last run ended in an error */ \
	X(DIED,             "died")             /* the process that ran it ended without letting go */ \
	X(STOPPED,          "stopped")          /* it was stopped, and nobody runs it */ \
	X(NOT_RUN,          "not_run")          /* nobody has run it on this database */ \
	X(LANE_UNOWNED,     "lane_unowned")     /* nobody owns one of its lanes, while others are run */ \
	X(FILE_CHANGED,     "file_changed")     /* its file is not the one that its tables were made from */
/* clang-format on */

/** What keeps a subscription from being further. */
enum tide_cause {
#define TIDE_CAUSE_ENUM(name, wire) TIDE_CAUSE_##name,
	TIDE_CAUSES(TIDE_CAUSE_ENUM)
#undef TIDE_CAUSE_ENUM
		TIDE_CAUSE_COUNT /* the number of causes, no cause itself */
};

#define TIDE_EVIDENCE_MAX 32

/** One fact of a cause: a number, or a text. A plain value. */
struct tide_evidence {
	char key[24]; /* such as "position", "pid", "error" */
	bool is_number;
	double number;
	char text[512];
};

/** Why a subscription is not further. A plain value, it owns nothing. */
struct tide_why {
	char name[TIDE_NAME_MAX + 1];
	enum tide_cause cause;
	enum tide_state state;
	bool has_since;
	struct tide_time since; /* when it began to be so */
	char reason[1200];      /* one sentence */
	char advice[600];       /* what to do; empty: nothing */
	struct tide_evidence evidence[TIDE_EVIDENCE_MAX];
	size_t evidence_count;
};

/**
 * Name a cause as it is written in JSON, such as "open_append".
 *
 * Owns:    nothing; the text is static.
 * Threads: any.
 * Returns: the name.
 */
const char *tide_cause_name(enum tide_cause cause);

/**
 * Find a fact of a cause by its key; NULL when the cause has none of that name.
 *
 * Owns:    nothing; valid as long as `why`.
 * Threads: any.
 * Returns: the fact.
 */
const struct tide_evidence *tide_why_evidence(const struct tide_why *why, const char *key);

/**
 * Say why a projection is not further, from the databases alone: its checkpoint, who owns it, what
 * that process last told of itself, dead letters, and the feed.
 *
 * What a process does at this moment it tells when it has lasted for a second, so that this is as
 * true as what happened a few seconds ago.
 *
 * Owns:    nothing.
 * Threads: any.
 * Returns: TIDE_OK, TIDE_NOT_FOUND (nothing in these databases is of that name), TIDE_ARGUMENT,
 *          TIDE_BUSY, TIDE_CONNECTION_LOST, TIDE_OUT_OF_MEMORY.
 */
tide_status tide_checkpoints_why(struct tide_checkpoints *checkpoints, const char *name,
				 struct tide_why *ret, struct tide_error *err);

/**
 * Say why a subscription of this process is not further: from what it does at this moment, and from
 * the databases where these know more.
 *
 * Owns:    nothing.
 * Threads: any but handlers and callbacks of the manager.
 * Returns: TIDE_OK (also when a database does not answer: that is the cause then), TIDE_NOT_FOUND,
 *          TIDE_DEADLOCK, TIDE_ARGUMENT, TIDE_OUT_OF_MEMORY.
 */
tide_status tide_subscription_why(struct tide_manager *manager, const char *name,
				  struct tide_why *ret, struct tide_error *err);

/**
 * Write a cause with its evidence as one JSON object.
 *
 * Owns:    the caller owns `*ret`; release it with tide_free.
 * Threads: any.
 * Returns: TIDE_OK, TIDE_ARGUMENT, TIDE_OUT_OF_MEMORY.
 */
tide_status tide_why_json(const struct tide_why *why, char **ret, struct tide_error *err);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
