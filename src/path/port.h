/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_PATH_PORT_H
#define TIDE_PATH_PORT_H

/*
 * What is asked of a backend, each by name: the only callers of its tables. What it leaves out of
 * them means the same everywhere, and what has to hold of its answers is said once. Errors are
 * those of the backend; a session belongs to one thread at a time.
 */

#include "path/store.h"

/* ---- What a backend can ---------------------------------------------------------------------- */

bool port_has_transactions(const struct tide_store *store);
/** Whether events can be appended in them. */
bool port_appends_within(const struct tide_store *store);
/** Whether positions are compared with events. */
bool port_has_anchors(const struct tide_store *store);
bool port_has_snapshots(const struct tide_store *store);
bool port_has_controls(const struct tide_store *store);
bool port_has_segments(const struct tide_store *store);
bool port_has_groups(const struct tide_store *store);
bool port_lists_leases(const struct tide_store *store);
/** Else a transaction that writes keeps every other writer out. */
bool port_seizes_leases(const struct tide_store *store);
bool port_tells_reasons(const struct tide_store *store);
/** Whether it knows who keeps others from writing. */
bool port_knows_blockers(const struct tide_store *store);
bool port_examines_writing(const struct tide_store *store);
/** Whether a read is work of this process, not of a server. */
bool port_reads_here(const struct tide_store *store);
bool port_can_park(const struct tide_store *store);
/** How often an owner renews when its lease does not tell its time; 0: never. */
int64_t port_renew_ns(const struct tide_store *store);

/* ---- A store and its sessions ---------------------------------------------------------------- */

/** Choose the table of a store by its URL, before it is opened. */
tide_status port_resolve(const struct tide_backend *backend, const struct tide_url *url,
			 const struct tide_backend **ret, struct tide_error *err);
tide_status port_open(const struct tide_store *store, struct tide_url *url,
		      const struct tide_store_options *options, void **ret, struct tide_error *err);
void port_close(const struct tide_store *store);
tide_status port_append(const struct tide_store *store, const struct tide_commit *commits,
			size_t count, struct tide_append_result *ret, struct tide_error *err);
/** Of connections; 0: only sessions that are opened can be other ones. */
uint64_t port_losses(const struct tide_store *store);
/** TIDE_UNSUPPORTED: it is no test store. */
tide_status port_clear(const struct tide_store *store, struct tide_error *err);
tide_status port_session_open(const struct tide_store *store, void **ret, struct tide_error *err);
void port_session_close(const struct tide_store *store, void *session);
/** As a session that is opened, of a subscription that may have to wait for a connection: `ring` is
 * called when it should ask for one again. */
tide_status port_session_share(const struct tide_store *store, void (*ring)(void *self), void *self,
			       void **ret, struct tide_error *err);
/** Whether its sessions may have to wait for one. */
bool port_shares(const struct tide_store *store);
bool port_take(const struct tide_store *store, void *session);
/** Whether a save needs none, since those that come together are made by one of them. TIDE_BUSY:
 * that one had none in time, or the outcome is not known. */
bool port_combines(const struct tide_store *store, void *session);
/** `*ret`: the number of the connection that transactions are on. */
tide_status port_ready(const struct tide_store *store, void *session, uint64_t *ret,
		       struct tide_error *err);
void port_rest(const struct tide_store *store, void *session);
/** Said once, before anything else is done with the session. */
void port_limit(const struct tide_store *store, void *session,
		const struct tide_session_limits *limits);
/** Any thread. */
void port_interrupt(const struct tide_store *store, void *session);
/** TIDE_OK also where every call is answered before it returns. */
tide_status port_await(const struct tide_store *store, void *session, enum tide_await how,
		       struct tide_error *err);
/** Of what its transaction runs on; 0: it has none. */
int64_t port_number(const struct tide_store *store, void *session);

/* ---- Events ---------------------------------------------------------------------------------- */

/** The page is in order and within the bounds of the query. */
tide_status port_read(const struct tide_store *store, void *session,
		      const struct tide_page_query *query, struct tide_page *page,
		      struct tide_error *err);
/** Adds the event to the page; TIDE_NOT_FOUND. */
tide_status port_find(const struct tide_store *store, void *session,
		      const struct tide_uuid *event_id, struct tide_page *page,
		      struct tide_error *err);
tide_status port_end(const struct tide_store *store, void *session, tide_position *ret,
		     struct tide_error *err);
tide_status port_stream_version(const struct tide_store *store, void *session,
				struct tide_stream stream, tide_version *ret,
				struct tide_error *err);
/** Where nothing else is known, what is visible is settled. */
tide_status port_horizon(const struct tide_store *store, void *session, struct tide_horizon *ret,
			 struct tide_error *err);
/** Position 0: none is known, or none is there. */
tide_status port_anchor(const struct tide_store *store, void *session, tide_position position,
			struct tide_anchor *ret, bool *ret_may_come, struct tide_error *err);
/** Empty: nobody holds anything back. */
tide_status port_waiting_for(const struct tide_store *store, void *session,
			     char ret[TIDE_WAITING_FOR_SIZE], struct tide_error *err);
/** Nobody, where nobody is ever waited for. */
tide_status port_blocked(const struct tide_store *store, void *session, int64_t number,
			 struct tide_blocker *ret, struct tide_error *err);

/* ---- Examinations, for `tide doctor` --------------------------------------------------------- */

tide_status port_examine(const struct tide_store *store, void *session, tide_report report,
			 void *self, struct tide_error *err);
/** What takes a scan of every event. */
tide_status port_examine_deep(const struct tide_store *store, void *session, tide_report report,
			      void *self, struct tide_error *err);
/** Whether the database takes writes; nothing is left behind. */
tide_status port_examine_writing(const struct tide_store *store, void *session, tide_report report,
				 void *self, struct tide_error *err);

/* ---- Transactions ---------------------------------------------------------------------------- */

tide_status port_begin(const struct tide_store *store, void *session, struct tide_error *err);
tide_status port_commit(const struct tide_store *store, void *session, struct tide_error *err);
void port_rollback(const struct tide_store *store, void *session);
tide_status port_savepoint(const struct tide_store *store, void *session, struct tide_error *err);
tide_status port_release_savepoint(const struct tide_store *store, void *session,
				   struct tide_error *err);
tide_status port_rollback_to(const struct tide_store *store, void *session, struct tide_error *err);
/** Whether the transaction is still there, and can be committed. */
tide_status port_check(const struct tide_store *store, void *session, struct tide_error *err);
/** In the open transaction, where port_appends_within. */
tide_status port_append_within(const struct tide_store *store, void *session,
			       const struct tide_commit *commits, size_t count,
			       struct tide_append_result *ret, struct tide_error *err);
/** NULL: there is none, or it is lost. */
void *port_connection(const struct tide_store *store, void *session);

/* ---- Snapshots ------------------------------------------------------------------------------- */

tide_status port_snapshot_load(const struct tide_store *store, void *session,
			       struct tide_stream stream, struct tide_snapshot *ret,
			       struct tide_error *err);
tide_status port_snapshot_save(const struct tide_store *store, void *session,
			       const struct tide_snapshot *snapshot, struct tide_error *err);

/* ---- Checkpoints ----------------------------------------------------------------------------- */

tide_status port_load(const struct tide_store *store, void *session, const char *name,
		      struct tide_checkpoint *ret, struct tide_error *err);
tide_status port_save(const struct tide_store *store, void *session, const struct tide_fence *fence,
		      const struct tide_checkpoint_write *write, struct tide_error *err);
tide_status port_list(const struct tide_store *store, void *session, struct tide_checkpoint **ret,
		      size_t *ret_count, struct tide_error *err);
tide_status port_reset(const struct tide_store *store, void *session, const char *name,
		       struct tide_error *err);

/* ---- Leases ---------------------------------------------------------------------------------- */

tide_status port_lease_acquire(const struct tide_store *store, void *session, const char *name,
			       const struct tide_uuid *owner, struct tide_lease *ret,
			       struct tide_error *err);
tide_status port_lease_renew(const struct tide_store *store, void *session,
			     const struct tide_fence *fence, struct tide_error *err);
tide_status port_lease_renew_all(const struct tide_store *store, void *session,
				 struct tide_lease_renewal *leases, size_t count,
				 struct tide_error *err);
tide_status port_lease_release(const struct tide_store *store, void *session,
			       const struct tide_fence *fence, struct tide_error *err);
tide_status port_lease_mark(const struct tide_store *store, void *session,
			    const struct tide_fence *fence, tide_position position, int32_t deaths,
			    struct tide_error *err);
tide_status port_lease_is_owned(const struct tide_store *store, void *session, const char *name,
				bool *ret, struct tide_error *err);
/** `*ret` false: there is no such lease. */
tide_status port_lease_end(const struct tide_store *store, void *session, const char *name,
			   bool *ret, struct tide_error *err);
tide_status port_lease_seize(const struct tide_store *store, void *session, const char *name,
			     const struct tide_uuid *owner, struct tide_lease *ret,
			     struct tide_error *err);
/** In the open transaction: nobody else gets it before that ends. TIDE_FENCED. */
tide_status port_lease_hold(const struct tide_store *store, void *session,
			    const struct tide_fence *fence, struct tide_error *err);
/** Nothing where nothing is kept. */
tide_status port_lease_note(const struct tide_store *store, void *session,
			    const struct tide_fence *fence, const struct tide_lease_note *note,
			    struct tide_error *err);
tide_status port_lease_tell(const struct tide_store *store, void *session,
			    const struct tide_fence *fence, const char *reason, bool *ret,
			    struct tide_error *err);
tide_status port_lease_list(const struct tide_store *store, void *session,
			    struct tide_lease_info **ret, size_t *ret_count,
			    struct tide_error *err);

/* ---- Dead letters ---------------------------------------------------------------------------- */

tide_status port_dead_letter_add(const struct tide_store *store, void *session,
				 const struct tide_fence *fence,
				 const struct tide_dead_letter_write *write, int64_t *ret,
				 struct tide_error *err);
tide_status port_dead_letter_list(const struct tide_store *store, void *session,
				  const struct tide_dead_letter_filter *filter,
				  struct tide_dead_letter_list *ret, struct tide_error *err);
tide_status port_dead_letter_get(const struct tide_store *store, void *session, int64_t id,
				 struct tide_dead_letter_list *ret, struct tide_error *err);
tide_status port_dead_letter_change(const struct tide_store *store, void *session,
				    const struct tide_fence *fence,
				    const struct tide_dead_letter_change *change,
				    struct tide_error *err);
tide_status port_dead_letter_discard(const struct tide_store *store, void *session, int64_t id,
				     struct tide_error *err);
tide_status port_dead_letter_purge(const struct tide_store *store, void *session,
				   struct tide_time before, int64_t *ret, struct tide_error *err);
tide_status port_dead_letter_stats(const struct tide_store *store, void *session,
				   struct tide_dead_letter_stats *ret, struct tide_error *err);
tide_status port_dead_letter_counts(const struct tide_store *store, void *session,
				    struct tide_dead_letter_count **ret, size_t *ret_count,
				    struct tide_error *err);

/* ---- What persons do, and what is proven ----------------------------------------------------- */

/** TIDE_UNSUPPORTED: nothing is paused durably. */
tide_status port_control_set(const struct tide_store *store, void *session,
			     const struct tide_control_write *write, bool *ret_was_paused,
			     struct tide_error *err);
tide_status port_control_list(const struct tide_store *store, void *session,
			      struct tide_control **ret, size_t *ret_count, struct tide_error *err);
tide_status port_journal_add(const struct tide_store *store, void *session,
			     const struct tide_journal_write *write, struct tide_error *err);
tide_status port_journal_list(const struct tide_store *store, void *session, const char *name,
			      int64_t limit, struct tide_journal_entry **ret, size_t *ret_count,
			      struct tide_error *err);
/** Nothing where nothing is kept. */
tide_status port_segment_turn(const struct tide_store *store, void *session,
			      const struct tide_fence *fence,
			      const struct tide_segment_write *write, struct tide_error *err);
tide_status port_segment_list(const struct tide_store *store, void *session, const char *name,
			      struct tide_segment **ret, size_t *ret_count, struct tide_error *err);

/* ---- Groups ---------------------------------------------------------------------------------- */

/** TIDE_NOT_FOUND: it has no lanes, or there are no groups. */
tide_status port_group_get(const struct tide_store *store, void *session, const char *name,
			   struct tide_group *ret, struct tide_error *err);
/** As backend.h says; TIDE_UNSUPPORTED where there are no groups. */
tide_status port_group_change(const struct tide_store *store, void *session,
			      const struct tide_group_change *change, bool *ret,
			      struct tide_error *err);
tide_status port_group_forget(const struct tide_store *store, void *session,
			      const struct tide_group *group, const char *const *rows, size_t count,
			      struct tide_error *err);
/** TIDE_UNSUPPORTED where there are no groups. */
tide_status port_group_move(const struct tide_store *store, void *session,
			    const struct tide_group_move *move, bool *ret, struct tide_error *err);
tide_status port_member_join(const struct tide_store *store, void *session,
			     const struct tide_member_write *write, bool *ret,
			     struct tide_error *err);
tide_status port_member_leave(const struct tide_store *store, void *session, const char *group,
			      const struct tide_uuid *id, struct tide_error *err);
/** In order; none where there are no groups. */
tide_status port_member_list(const struct tide_store *store, void *session, const char *group,
			     struct tide_member **ret, size_t *ret_count, struct tide_error *err);

#endif
