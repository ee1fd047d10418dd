/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_MEMORY_STATE_H
#define TIDE_MEMORY_STATE_H

/*
 * What a memory store is made of. A handle is one opening of it and serves as its sessions, too;
 * the state lives as long as its last handle. Two locks, never held together: `lock` for appends,
 * `book_lock` for everything else written.
 */

#include <tidemark/backend.h>

#include "backends/memory/index.h"
#include "backends/memory/log.h"
#include "sys/mutex.h"

/** Rows sorted bytewise by name; each row is a block that begins with its name, TIDE_NAME_MAX + 1
 * bytes. */
struct name_table {
	char **rows;
	size_t count, capacity;
};

void *name_table_find(const struct name_table *table, const char *name); /* NULL: no such row */
/** Find or add a zeroed row of `size` bytes; NULL: memory is out. */
void *name_table_make(struct name_table *table, const char *name, size_t size);
void name_table_remove(struct name_table *table, const char *name);
void name_table_fini(struct name_table *table);

/** Who owns a subscription. */
struct memory_lease {
	char name[TIDE_NAME_MAX + 1];
	struct tide_uuid owner; /* nil: released */
	int64_t epoch;
	/* NULL: the owner's handle was closed, or it released */
	const struct memory_handle *holder;
	tide_position suspect;
	int32_t deaths;
	struct tide_lease_info info;
};

/** Dead letters, sorted by id. */
struct memory_dead_letters {
	struct tide_dead_letter **entries; /* each owns its texts */
	size_t count, capacity;
	int64_t last_id;
	struct index by_key; /* event id and projection, to ids */
};

struct memory_snapshots {
	struct tide_snapshot **entries; /* each owns its texts */
	size_t count, capacity;
	struct index by_stream; /* to place in `entries`, from 1 */
};

/** A segment of a name. */
struct memory_segment {
	struct memory_segment *next;
	struct tide_segment segment;
};

/** A member of a group. */
struct memory_member {
	struct memory_member *next;
	char group[TIDE_NAME_MAX + 1];
	struct tide_member member;
	const struct memory_handle *holder;
};

/** What persons did, by id. */
struct memory_journal {
	struct tide_journal_entry *entries;
	size_t count, capacity;
	int64_t last_id;
};

struct memory_state {
	/* under the lock of named states */
	char *name; /* NULL: private to its handle */
	size_t handles;
	struct memory_state *next;

	/* changed under lock, read by anyone */
	_Atomic(struct log *) log;
	struct mutex lock;

	/* under book_lock */
	struct mutex book_lock;
	struct name_table checkpoints;   /* struct tide_checkpoint */
	struct name_table leases;        /* struct memory_lease */
	struct memory_segment *segments; /* newest first */
	struct name_table controls;      /* struct tide_control */
	struct memory_journal journal;
	struct name_table groups;      /* struct tide_group */
	struct memory_member *members; /* by when they joined */
	struct memory_dead_letters dead_letters;
	struct memory_snapshots snapshots;
};

struct memory_handle {
	struct memory_state *state;
};

/** TIDE_FENCED unless the fence is NULL or names the present owner and epoch. */
tide_status memory_check_fence_locked(struct memory_state *state, const struct tide_fence *fence,
				      struct tide_error *err) TIDE_REQUIRES(state->book_lock);
/** End the ownerships of a handle that is being closed without having released them. */
void memory_drop_leases(struct memory_handle *handle);

/** Count what was discarded into the open segment of a name; forget those of a name, NULL: all. */
void memory_segment_discard_locked(struct memory_state *state, const char *name, int64_t count)
	TIDE_REQUIRES(state->book_lock);
void memory_segments_forget(struct memory_state *state, const char *name);
/** With its row, where that has an open segment. */
void memory_segment_end_locked(struct memory_state *state, const struct tide_group_row *row)
	TIDE_REQUIRES(state->book_lock);

/** End the ownership of a lease, in a new epoch. */
void memory_lease_turn(struct memory_lease *lease);
/** Whether the fence's owner is a member of the group of its name. */
bool memory_member_stands(struct memory_state *state, const struct tide_fence *fence)
	TIDE_REQUIRES(state->book_lock);
bool memory_group_has_members(struct memory_state *state, const char *group)
	TIDE_REQUIRES(state->book_lock);
/** End the memberships of a handle; NULL: all. */
void memory_members_drop(struct memory_state *state, const struct memory_handle *holder);

void memory_dead_letters_fini(struct memory_dead_letters *letters);
void memory_snapshots_fini(struct memory_snapshots *snapshots);

/* The functions of the table, by file. */
tide_status memory_checkpoint_load(void *session, const char *name, struct tide_checkpoint *ret,
				   struct tide_error *err);
tide_status memory_checkpoint_save(void *session, const struct tide_fence *fence,
				   const struct tide_checkpoint_write *write,
				   struct tide_error *err);
tide_status memory_checkpoint_list(void *session, struct tide_checkpoint **ret, size_t *ret_count,
				   struct tide_error *err);
tide_status memory_checkpoint_reset(void *session, const char *name, struct tide_error *err);

tide_status memory_lease_acquire(void *session, const char *name, const struct tide_uuid *owner,
				 struct tide_lease *ret, struct tide_error *err);
tide_status memory_lease_renew(void *session, const struct tide_fence *fence,
			       struct tide_error *err);
tide_status memory_lease_renew_all(void *session, struct tide_lease_renewal *leases, size_t count,
				   struct tide_error *err);
tide_status memory_lease_release(void *session, const struct tide_fence *fence,
				 struct tide_error *err);
tide_status memory_lease_end(void *session, const char *name, bool *ret, struct tide_error *err);
tide_status memory_lease_mark(void *session, const struct tide_fence *fence, tide_position position,
			      int32_t deaths, struct tide_error *err);
tide_status memory_lease_note(void *session, const struct tide_fence *fence,
			      const struct tide_lease_note *note, struct tide_error *err);
tide_status memory_lease_tell(void *session, const struct tide_fence *fence, const char *reason,
			      bool *ret, struct tide_error *err);
tide_status memory_lease_list(void *session, struct tide_lease_info **ret, size_t *ret_count,
			      struct tide_error *err);
tide_status memory_lease_is_owned(void *session, const char *name, bool *ret,
				  struct tide_error *err);

tide_status memory_control_set(void *session, const struct tide_control_write *write,
			       bool *ret_was_paused, struct tide_error *err);
tide_status memory_control_list(void *session, struct tide_control **ret, size_t *ret_count,
				struct tide_error *err);
tide_status memory_journal_add(void *session, const struct tide_journal_write *write,
			       struct tide_error *err);
tide_status memory_journal_list(void *session, const char *name, int64_t limit,
				struct tide_journal_entry **ret, size_t *ret_count,
				struct tide_error *err);

tide_status memory_segment_turn(void *session, const struct tide_fence *fence,
				const struct tide_segment_write *write, struct tide_error *err);
tide_status memory_segment_list(void *session, const char *name, struct tide_segment **ret,
				size_t *ret_count, struct tide_error *err);

tide_status memory_group_get(void *session, const char *name, struct tide_group *ret,
			     struct tide_error *err);
tide_status memory_group_change(void *session, const struct tide_group_change *change, bool *ret,
				struct tide_error *err);
tide_status memory_group_forget(void *session, const struct tide_group *group,
				const char *const *rows, size_t count, struct tide_error *err);
tide_status memory_group_move(void *session, const struct tide_group_move *move, bool *ret,
			      struct tide_error *err);
tide_status memory_member_join(void *session, const struct tide_member_write *write, bool *ret,
			       struct tide_error *err);
tide_status memory_member_leave(void *session, const char *group, const struct tide_uuid *id,
				struct tide_error *err);
tide_status memory_member_list(void *session, const char *group, struct tide_member **ret,
			       size_t *ret_count, struct tide_error *err);

tide_status memory_dead_letter_add(void *session, const struct tide_fence *fence,
				   const struct tide_dead_letter_write *write, int64_t *ret,
				   struct tide_error *err);
bool memory_dead_letter_can_park(void *store);
tide_status memory_dead_letter_list(void *session, const struct tide_dead_letter_filter *filter,
				    struct tide_dead_letter_list *ret, struct tide_error *err);
tide_status memory_dead_letter_get(void *session, int64_t id, struct tide_dead_letter_list *ret,
				   struct tide_error *err);
tide_status memory_dead_letter_change(void *session, const struct tide_fence *fence,
				      const struct tide_dead_letter_change *change,
				      struct tide_error *err);
tide_status memory_dead_letter_discard(void *session, int64_t id, struct tide_error *err);
tide_status memory_dead_letter_purge(void *session, struct tide_time before, int64_t *ret,
				     struct tide_error *err);
tide_status memory_dead_letter_stats(void *session, struct tide_dead_letter_stats *ret,
				     struct tide_error *err);
tide_status memory_dead_letter_counts(void *session, struct tide_dead_letter_count **ret,
				      size_t *ret_count, struct tide_error *err);

tide_status memory_snapshot_load(void *session, struct tide_stream stream,
				 struct tide_snapshot *ret, struct tide_error *err);
tide_status memory_snapshot_save(void *session, const struct tide_snapshot *snapshot,
				 struct tide_error *err);

#endif
