/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDEMARK_CONTROL_H
#define TIDEMARK_CONTROL_H

/*
 * What persons say to subscriptions by name, kept in the database of their checkpoints: whoever
 * owns the name obeys, in any process, now and after a restart. A durable pause and that of
 * tide_manager_pause, which ends with its run, are two flags: both have to be clear for events to
 * be delivered.
 */

#include <tidemark/subscription.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/** Bytes in the name of a person, of a host, and in a note. */
#define TIDE_PERSON_MAX 255
#define TIDE_NOTE_MAX 500

/** A durable pause. A plain value, it owns nothing. */
struct tide_control {
	char name[TIDE_NAME_MAX + 1];
	struct tide_time paused_at;
	char paused_by[TIDE_PERSON_MAX + 1];
	enum tide_pause_reason reason; /* manual or maintenance */
	char note[TIDE_NOTE_MAX + 1];  /* empty: none */
	struct tide_time updated_at;   /* when reason and note were given last */
};

/** Who asks, and why. Zero is the user of this process, with the reason manual and no note. */
struct tide_control_request {
	const char *by; /* 1 to 255 bytes; NULL: the user of this process */
	enum tide_pause_reason reason;
	const char *note; /* at most 500 bytes; NULL: none */
};

/** What a person did. A plain value, it owns nothing. */
struct tide_journal_entry {
	int64_t id; /* greater than those before */
	struct tide_time at;
	char who[TIDE_PERSON_MAX + 1];
	char host[TIDE_PERSON_MAX + 1]; /* empty: not known */
	char act[16];                   /* pause, resume, … */
	char name[TIDE_NAME_MAX + 1];
	char detail[TIDE_NOTE_MAX + 1]; /* empty: none */
};

/**
 * Pause a subscription by its name, until somebody resumes it.
 *
 * The owner, in whichever process, stops before its next event and keeps its ownership; one that
 * starts later begins paused. It does not matter whether the name is known yet. Pausing again
 * replaces who, reason and note, and keeps the time. `request` may be NULL. `ret_was_paused`, which
 * may be NULL, tells whether it was paused already.
 *
 * Owns:    nothing.
 * Threads: any.
 * Returns: TIDE_OK, TIDE_ARGUMENT, TIDE_UNSUPPORTED (a database without the table), TIDE_BUSY,
 *          TIDE_CONNECTION_LOST, TIDE_DISK_FULL, TIDE_OUT_OF_MEMORY.
 */
tide_status tide_control_pause(struct tide_checkpoints *checkpoints, const char *name,
			       const struct tide_control_request *request, bool *ret_was_paused,
			       struct tide_error *err);

/**
 * End the durable pause of a subscription; what is not paused stays so, and that is success.
 *
 * Of `request`, which may be NULL, `by` and `note` count, for the journal. `ret_was_paused` may be
 * NULL.
 *
 * Owns:    nothing.
 * Threads: any.
 * Returns: as tide_control_pause.
 */
tide_status tide_control_resume(struct tide_checkpoints *checkpoints, const char *name,
				const struct tide_control_request *request, bool *ret_was_paused,
				struct tide_error *err);

/**
 * Let a subscription that stopped on a failing event go on behind it: the event is settled as
 * discarded, and the journal is the witness.
 *
 * For one that ends on errors (`continue_on_error` false). `position` is the event's; 0: whichever
 * it is. It is refused unless the last run ended on that event, all before it is settled, and
 * nobody owns the name now; a second call does not skip another event, before the subscription has
 * run again. Of a name with lanes it is the lane that stopped, while others may run; where several
 * did, `position` says which. Of `request`, which may be NULL, `by` and `note` count. `ret`, the
 * event, may be NULL.
 *
 * Owns:    nothing.
 * Threads: any.
 * Returns: TIDE_OK, TIDE_STATE (it runs, did not stop on an event, or on another one, or one before
 *          it is not settled), TIDE_NOT_FOUND (the event is gone), TIDE_ARGUMENT,
 *          TIDE_UNSUPPORTED (a database that does not keep what ended a run), TIDE_BUSY,
 *          TIDE_CONNECTION_LOST, TIDE_DISK_FULL, TIDE_OUT_OF_MEMORY.
 */
tide_status tide_control_skip(struct tide_checkpoints *checkpoints, const char *name,
			      tide_position position, const struct tide_control_request *request,
			      struct tide_anchor *ret, struct tide_error *err);

/**
 * List every durable pause, sorted bytewise by name.
 *
 * Owns:    the caller owns `*ret`, an array of `*ret_count` pauses; release it with tide_free.
 * Threads: any.
 * Returns: TIDE_OK, TIDE_ARGUMENT, TIDE_BUSY, TIDE_CONNECTION_LOST, TIDE_OUT_OF_MEMORY.
 */
tide_status tide_controls_list(struct tide_checkpoints *checkpoints, struct tide_control **ret,
			       size_t *ret_count, struct tide_error *err);

/**
 * List what persons did to a subscription, or to all (`name` NULL), the newest first.
 *
 * At most `limit` entries, 0 for all of them; the newest 10,000 of a database are kept.
 *
 * Owns:    the caller owns `*ret`, an array of `*ret_count` entries; release it with tide_free.
 * Threads: any.
 * Returns: TIDE_OK, TIDE_ARGUMENT, TIDE_BUSY, TIDE_CONNECTION_LOST, TIDE_OUT_OF_MEMORY.
 */
tide_status tide_journal_list(struct tide_checkpoints *checkpoints, const char *name, int64_t limit,
			      struct tide_journal_entry **ret, size_t *ret_count,
			      struct tide_error *err);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
