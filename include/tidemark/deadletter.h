/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDEMARK_DEADLETTER_H
#define TIDEMARK_DEADLETTER_H

#include <tidemark/checkpoint.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/** Where an entry of the dead-letter queue stands. */
enum tide_dead_letter_status {
	TIDE_DEAD_LETTER_FAILED,   /* waits for a person */
	TIDE_DEAD_LETTER_RETRYING, /* its owner is asked to deliver it again */
	TIDE_DEAD_LETTER_RESOLVED  /* done; kept until purged */
};

/** One event that a subscription could not handle. */
struct tide_dead_letter {
	int64_t id;
	struct tide_uuid event_id;
	const char *projection_name;
	const char *event_type;
	const char *event_data;       /* the event as one JSON object */
	const char *error_message;    /* what the handler said, or the error's name */
	const char *error_stacktrace; /* NULL: none */
	int32_t retry_count;          /* attempts after the first */
	struct tide_time first_failed_at;
	struct tide_time last_failed_at;
	enum tide_dead_letter_status status;
	bool is_resolved; /* whether the next two are known */
	struct tide_time resolved_at;
	const char *resolved_by;   /* NULL: none */
	const char *event_id_text; /* event_id as it is stored */
	const char *parked_behind; /* the event_id that it waits for; NULL: it failed by itself */
};

/** Entries of the dead-letter queue, each with its own copies of its texts. */
struct tide_dead_letter_list {
	struct tide_dead_letter *entries;
	size_t count;
};

/** Which entries to list. */
struct tide_dead_letter_query {
	const char *projection_name;         /* NULL: all */
	enum tide_dead_letter_status status; /* zero: failed */
	bool any_status;                     /* every status instead */
	struct tide_bound limit;             /* absent: 100; 0: nothing */
	bool oldest_first;                   /* by ascending id instead */
	int64_t after_id; /* entries with a greater id only, as for the next page; 0: all */
};

/** Totals over unresolved entries. */
struct tide_dead_letter_stats {
	int64_t total_failed;
	int64_t total_retrying;
	int64_t affected_projections;
	bool has_oldest_failure;
	struct tide_time oldest_failure;
};

/** Unresolved entries of one projection. */
struct tide_dead_letter_count {
	char projection_name[TIDE_NAME_MAX + 1];
	int64_t failure_count;
	struct tide_time oldest_failure;
	struct tide_time most_recent_failure;
	int64_t retrying_count; /* of them, those asked to be delivered again */
};

/**
 * Add an entry, or refresh the one this projection already has of this event.
 *
 * `message` is required. `retry_count` counts the attempts after the first.
 *
 * Owns:    nothing.
 * Threads: any.
 * Returns: TIDE_OK with `*ret` the entry's id, TIDE_ARGUMENT, TIDE_BUSY, TIDE_CONNECTION_LOST,
 *          TIDE_DISK_FULL, TIDE_OUT_OF_MEMORY.
 */
tide_status tide_dead_letters_add(struct tide_checkpoints *checkpoints, const char *projection_name,
				  const struct tide_event *event, const char *message,
				  const char *stacktrace, int32_t retry_count, int64_t *ret,
				  struct tide_error *err);

/**
 * List entries, the newest first failure first, or by id with `oldest_first`.
 *
 * Owns:    the caller owns what `*ret` holds; release it with tide_dead_letters_free.
 * Threads: any.
 * Returns: TIDE_OK, TIDE_ARGUMENT, TIDE_BUSY, TIDE_CONNECTION_LOST, TIDE_OUT_OF_MEMORY.
 */
tide_status tide_dead_letters_list(struct tide_checkpoints *checkpoints,
				   const struct tide_dead_letter_query *query,
				   struct tide_dead_letter_list *ret, struct tide_error *err);

/**
 * Fetch one entry as a list of one.
 *
 * Owns:    the caller owns what `*ret` holds; release it with tide_dead_letters_free.
 * Threads: any.
 * Returns: TIDE_OK, TIDE_NOT_FOUND, TIDE_BUSY, TIDE_CONNECTION_LOST, TIDE_OUT_OF_MEMORY.
 */
tide_status tide_dead_letters_get(struct tide_checkpoints *checkpoints, int64_t id,
				  struct tide_dead_letter_list *ret, struct tide_error *err);

/**
 * Release what a list holds; an empty or zero list is allowed.
 *
 * Owns:    takes the entries.
 * Threads: any.
 * Returns: nothing.
 */
void tide_dead_letters_free(struct tide_dead_letter_list *list);
static inline void tide_dead_letters_free_cleanup(struct tide_dead_letter_list *list)
{
	tide_dead_letters_free(list);
}

/**
 * Ask the owner of the subscription to deliver a failed entry once more.
 *
 * Owns:    nothing.
 * Threads: any; the request reaches the owner in whatever process it runs.
 * Returns: TIDE_OK, TIDE_NOT_FOUND, TIDE_STATE (not failed, or parked behind another), TIDE_BUSY,
 *          TIDE_CONNECTION_LOST, TIDE_OUT_OF_MEMORY.
 */
tide_status tide_dead_letters_retry(struct tide_checkpoints *checkpoints, int64_t id,
				    struct tide_error *err);

/**
 * Mark an entry as dealt with, by a person or program named `by` (1..255 bytes).
 *
 * Owns:    nothing.
 * Threads: any.
 * Returns: TIDE_OK, TIDE_NOT_FOUND, TIDE_STATE (already resolved), TIDE_ARGUMENT, TIDE_BUSY,
 *          TIDE_CONNECTION_LOST, TIDE_OUT_OF_MEMORY.
 */
tide_status tide_dead_letters_resolve(struct tide_checkpoints *checkpoints, int64_t id,
				      const char *by, struct tide_error *err);

/**
 * Delete an unresolved entry.
 *
 * Owns:    nothing.
 * Threads: any.
 * Returns: TIDE_OK, TIDE_NOT_FOUND, TIDE_STATE (resolved), TIDE_BUSY, TIDE_CONNECTION_LOST,
 *          TIDE_OUT_OF_MEMORY.
 */
tide_status tide_dead_letters_discard(struct tide_checkpoints *checkpoints, int64_t id,
				      struct tide_error *err);

/**
 * Total the unresolved entries.
 *
 * Owns:    nothing.
 * Threads: any.
 * Returns: TIDE_OK, TIDE_BUSY, TIDE_CONNECTION_LOST, TIDE_OUT_OF_MEMORY.
 */
tide_status tide_dead_letters_stats(struct tide_checkpoints *checkpoints,
				    struct tide_dead_letter_stats *ret, struct tide_error *err);

/**
 * Count the unresolved entries of each projection, the most first, then by name.
 *
 * Owns:    the caller owns `*ret`, an array of `*ret_count`; release it with tide_free.
 * Threads: any.
 * Returns: TIDE_OK, TIDE_BUSY, TIDE_CONNECTION_LOST, TIDE_OUT_OF_MEMORY.
 */
tide_status tide_dead_letters_counts(struct tide_checkpoints *checkpoints,
				     struct tide_dead_letter_count **ret, size_t *ret_count,
				     struct tide_error *err);

/**
 * Delete entries resolved more than `days` days ago; 0 deletes all that are resolved.
 *
 * Owns:    nothing.
 * Threads: any.
 * Returns: TIDE_OK with `*ret` the number deleted, TIDE_ARGUMENT (negative days), TIDE_BUSY,
 *          TIDE_CONNECTION_LOST, TIDE_OUT_OF_MEMORY.
 */
tide_status tide_dead_letters_purge(struct tide_checkpoints *checkpoints, int days, int64_t *ret,
				    struct tide_error *err);

/**
 * Name a status: "failed", "retrying", "resolved".
 *
 * Owns:    nothing; the text is static.
 * Threads: any.
 * Returns: the name.
 */
const char *tide_dead_letter_status_name(enum tide_dead_letter_status status);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
