/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The port: calls of a backend's tables, and their contract.
 *
 * Happy path: the answer is within what was asked, and goes on as it is.
 * Failure modes: a function that the backend lacks: nothing is kept, known or to be waited for,
 * as include/tidemark/backend.h says of each. An answer that breaks the contract: the process ends
 * there, before anything is settled by it.
 */
#include "path/port.h"

#include <assert.h>

static const struct tide_store_ops *port_events(const struct tide_store *store)
{
	assert(store->backend);
	return &store->backend->store;
}

static const struct tide_checkpoint_ops *port_rows(const struct tide_store *store)
{
	assert(store->backend);
	return &store->backend->checkpoint;
}

/* ---- What a backend can ---------------------------------------------------------------------- */

bool port_has_transactions(const struct tide_store *store)
{
	return port_events(store)->begin != NULL;
}

bool port_appends_within(const struct tide_store *store)
{
	return port_events(store)->append_within != NULL;
}

bool port_has_anchors(const struct tide_store *store)
{
	return port_events(store)->anchor != NULL;
}

bool port_has_snapshots(const struct tide_store *store)
{
	return port_events(store)->snapshot_load && port_events(store)->snapshot_save;
}

bool port_has_controls(const struct tide_store *store)
{
	return port_rows(store)->control_list != NULL;
}

bool port_has_segments(const struct tide_store *store)
{
	return port_rows(store)->segment_list != NULL;
}

bool port_has_groups(const struct tide_store *store)
{
	return port_rows(store)->group_get != NULL;
}

bool port_lists_leases(const struct tide_store *store)
{
	return port_rows(store)->lease_list != NULL;
}

bool port_seizes_leases(const struct tide_store *store)
{
	return port_rows(store)->lease_seize != NULL;
}

bool port_tells_reasons(const struct tide_store *store)
{
	return port_rows(store)->lease_tell != NULL;
}

bool port_knows_blockers(const struct tide_store *store)
{
	return port_events(store)->blocked != NULL;
}

bool port_examines_writing(const struct tide_store *store)
{
	return port_events(store)->examine_writing != NULL;
}

bool port_reads_here(const struct tide_store *store)
{
	return port_events(store)->reads_here;
}

bool port_can_park(const struct tide_store *store)
{
	const struct tide_checkpoint_ops *ops = port_rows(store);
	return ops->dead_letter_can_park && ops->dead_letter_can_park(store->state);
}

int64_t port_renew_ns(const struct tide_store *store)
{
	return port_rows(store)->lease_renew_ns;
}

/* ---- A store and its sessions ---------------------------------------------------------------- */

tide_status port_resolve(const struct tide_backend *backend, const struct tide_url *url,
			 const struct tide_backend **ret, struct tide_error *err)
{
	if (backend->store.resolve)
		return backend->store.resolve(url, ret, err);
	*ret = backend;
	return TIDE_OK;
}

tide_status port_open(const struct tide_store *store, struct tide_url *url,
		      const struct tide_store_options *options, void **ret, struct tide_error *err)
{
	tide_status status = port_events(store)->open(url, options, ret, err);
	assert(status != TIDE_OK || *ret);
	return status;
}

void port_close(const struct tide_store *store)
{
	port_events(store)->close(store->state);
}

tide_status port_append(const struct tide_store *store, const struct tide_commit *commits,
			size_t count, struct tide_append_result *ret, struct tide_error *err)
{
	assert(count > 0);
	return port_events(store)->append(store->state, commits, count, ret, err);
}

uint64_t port_losses(const struct tide_store *store)
{
	const struct tide_store_ops *ops = port_events(store);
	return ops->losses ? ops->losses(store->state) : 0;
}

tide_status port_clear(const struct tide_store *store, struct tide_error *err)
{
	if (!port_events(store)->clear)
		return tide_fail(err, TIDE_UNSUPPORTED, "'%s' is not a memory store", store->url);
	return port_events(store)->clear(store->state, err);
}

tide_status port_session_open(const struct tide_store *store, void **ret, struct tide_error *err)
{
	tide_status status = port_events(store)->session_open(store->state, ret, err);
	assert(status != TIDE_OK || *ret);
	return status;
}

void port_session_close(const struct tide_store *store, void *session)
{
	port_events(store)->session_close(session);
}

tide_status port_session_share(const struct tide_store *store, void (*ring)(void *self), void *self,
			       void **ret, struct tide_error *err)
{
	const struct tide_store_ops *ops = port_events(store);
	return ops->session_share ? ops->session_share(store->state, ring, self, ret, err)
				  : port_session_open(store, ret, err);
}

bool port_shares(const struct tide_store *store)
{
	return port_events(store)->session_share != NULL;
}

bool port_take(const struct tide_store *store, void *session)
{
	const struct tide_store_ops *ops = port_events(store);
	return !ops->session_take || ops->session_take(session);
}

bool port_combines(const struct tide_store *store, void *session)
{
	const struct tide_store_ops *ops = port_events(store);
	return ops->session_combines && ops->session_combines(session);
}

tide_status port_ready(const struct tide_store *store, void *session, uint64_t *ret,
		       struct tide_error *err)
{
	const struct tide_store_ops *ops = port_events(store);
	*ret = 1;
	return ops->session_ready ? ops->session_ready(session, ret, err) : TIDE_OK;
}

void port_rest(const struct tide_store *store, void *session)
{
	if (port_events(store)->session_rest)
		port_events(store)->session_rest(session);
}

void port_limit(const struct tide_store *store, void *session,
		const struct tide_session_limits *limits)
{
	if (port_events(store)->limit)
		port_events(store)->limit(session, limits);
}

void port_interrupt(const struct tide_store *store, void *session)
{
	if (port_events(store)->interrupt)
		port_events(store)->interrupt(session);
}

tide_status port_await(const struct tide_store *store, void *session, enum tide_await how,
		       struct tide_error *err)
{
	const struct tide_store_ops *ops = port_events(store);
	return ops->await ? ops->await(session, how, err) : TIDE_OK;
}

int64_t port_number(const struct tide_store *store, void *session)
{
	const struct tide_store_ops *ops = port_events(store);
	return ops->number ? ops->number(session) : 0;
}

/* ---- Events ---------------------------------------------------------------------------------- */

/* Events in order, behind the bound of the query, and no further than what was scanned. */
static bool port_is_answer(const struct tide_page_query *query, const struct tide_page *page)
{
	if (page->count == 0 || query->backward || query->stream)
		return true;
	for (size_t i = 1; i < page->count; i++)
		if (page->entries[i].event.position <= page->entries[i - 1].event.position)
			return false;
	bool is_scanned = query->max_scan > 0;
	return page->entries[0].event.position > query->bound &&
	       (!is_scanned || page->entries[page->count - 1].event.position <= page->scanned_to);
}

tide_status port_read(const struct tide_store *store, void *session,
		      const struct tide_page_query *query, struct tide_page *page,
		      struct tide_error *err)
{
	assert(query->max_events > 0);
	tide_status status = port_events(store)->read(session, query, page, err);
	assert(status != TIDE_OK || port_is_answer(query, page));
	return status;
}

tide_status port_find(const struct tide_store *store, void *session,
		      const struct tide_uuid *event_id, struct tide_page *page,
		      struct tide_error *err)
{
	tide_status status = port_events(store)->find(session, event_id, page, err);
	assert(status != TIDE_OK || page->count > 0);
	return status;
}

tide_status port_end(const struct tide_store *store, void *session, tide_position *ret,
		     struct tide_error *err)
{
	tide_status status = port_events(store)->end(session, ret, err);
	assert(status != TIDE_OK || *ret >= 0);
	return status;
}

tide_status port_stream_version(const struct tide_store *store, void *session,
				struct tide_stream stream, tide_version *ret,
				struct tide_error *err)
{
	return port_events(store)->stream_version(session, stream, ret, err);
}

tide_status port_horizon(const struct tide_store *store, void *session, struct tide_horizon *ret,
			 struct tide_error *err)
{
	if (port_events(store)->horizon)
		return port_events(store)->horizon(session, ret, err);
	*ret = (struct tide_horizon){ 0 };
	tide_status status = port_end(store, session, &ret->end, err);
	ret->newest = ret->end;
	return status;
}

tide_status port_anchor(const struct tide_store *store, void *session, tide_position position,
			struct tide_anchor *ret, bool *ret_may_come, struct tide_error *err)
{
	*ret = (struct tide_anchor){ 0 };
	*ret_may_come = false;
	if (!port_has_anchors(store))
		return TIDE_OK;
	tide_status status = port_events(store)->anchor(session, position, ret, ret_may_come, err);
	assert(status != TIDE_OK || ret->position <= position);
	return status;
}

tide_status port_waiting_for(const struct tide_store *store, void *session,
			     char ret[TIDE_WAITING_FOR_SIZE], struct tide_error *err)
{
	const struct tide_store_ops *ops = port_events(store);
	*ret = '\0';
	return ops->waiting_for ? ops->waiting_for(session, ret, TIDE_WAITING_FOR_SIZE, err)
				: TIDE_OK;
}

tide_status port_blocked(const struct tide_store *store, void *session, int64_t number,
			 struct tide_blocker *ret, struct tide_error *err)
{
	const struct tide_store_ops *ops = port_events(store);
	*ret = (struct tide_blocker){ 0 };
	return ops->blocked ? ops->blocked(session, number, ret, err) : TIDE_OK;
}

/* ---- Examinations, for `tide doctor` --------------------------------------------------------- */

tide_status port_examine(const struct tide_store *store, void *session, tide_report report,
			 void *self, struct tide_error *err)
{
	const struct tide_store_ops *ops = port_events(store);
	return ops->examine ? ops->examine(session, report, self, err) : TIDE_OK;
}

tide_status port_examine_deep(const struct tide_store *store, void *session, tide_report report,
			      void *self, struct tide_error *err)
{
	const struct tide_store_ops *ops = port_events(store);
	return ops->examine_deep ? ops->examine_deep(session, report, self, err) : TIDE_OK;
}

tide_status port_examine_writing(const struct tide_store *store, void *session, tide_report report,
				 void *self, struct tide_error *err)
{
	const struct tide_store_ops *ops = port_events(store);
	return ops->examine_writing ? ops->examine_writing(session, report, self, err) : TIDE_OK;
}

/* ---- Transactions ---------------------------------------------------------------------------- */

tide_status port_begin(const struct tide_store *store, void *session, struct tide_error *err)
{
	return port_events(store)->begin(session, err);
}

tide_status port_commit(const struct tide_store *store, void *session, struct tide_error *err)
{
	return port_events(store)->commit(session, err);
}

void port_rollback(const struct tide_store *store, void *session)
{
	port_events(store)->rollback(session);
}

tide_status port_savepoint(const struct tide_store *store, void *session, struct tide_error *err)
{
	return port_events(store)->savepoint(session, err);
}

tide_status port_release_savepoint(const struct tide_store *store, void *session,
				   struct tide_error *err)
{
	return port_events(store)->release(session, err);
}

tide_status port_rollback_to(const struct tide_store *store, void *session, struct tide_error *err)
{
	return port_events(store)->rollback_to(session, err);
}

tide_status port_check(const struct tide_store *store, void *session, struct tide_error *err)
{
	return port_events(store)->check(session, err);
}

tide_status port_append_within(const struct tide_store *store, void *session,
			       const struct tide_commit *commits, size_t count,
			       struct tide_append_result *ret, struct tide_error *err)
{
	assert(count > 0);
	return port_events(store)->append_within(session, commits, count, ret, err);
}

void *port_connection(const struct tide_store *store, void *session)
{
	const struct tide_store_ops *ops = port_events(store);
	return ops->connection ? ops->connection(session) : NULL;
}

/* ---- Snapshots ------------------------------------------------------------------------------- */

tide_status port_snapshot_load(const struct tide_store *store, void *session,
			       struct tide_stream stream, struct tide_snapshot *ret,
			       struct tide_error *err)
{
	return port_events(store)->snapshot_load(session, stream, ret, err);
}

tide_status port_snapshot_save(const struct tide_store *store, void *session,
			       const struct tide_snapshot *snapshot, struct tide_error *err)
{
	return port_events(store)->snapshot_save(session, snapshot, err);
}

/* ---- Checkpoints ----------------------------------------------------------------------------- */

tide_status port_load(const struct tide_store *store, void *session, const char *name,
		      struct tide_checkpoint *ret, struct tide_error *err)
{
	return port_rows(store)->load(session, name, ret, err);
}

tide_status port_save(const struct tide_store *store, void *session, const struct tide_fence *fence,
		      const struct tide_checkpoint_write *write, struct tide_error *err)
{
	return port_rows(store)->save(session, fence, write, err);
}

tide_status port_list(const struct tide_store *store, void *session, struct tide_checkpoint **ret,
		      size_t *ret_count, struct tide_error *err)
{
	return port_rows(store)->list(session, ret, ret_count, err);
}

tide_status port_reset(const struct tide_store *store, void *session, const char *name,
		       struct tide_error *err)
{
	return port_rows(store)->reset(session, name, err);
}

/* ---- Leases ---------------------------------------------------------------------------------- */

tide_status port_lease_acquire(const struct tide_store *store, void *session, const char *name,
			       const struct tide_uuid *owner, struct tide_lease *ret,
			       struct tide_error *err)
{
	return port_rows(store)->lease_acquire(session, name, owner, ret, err);
}

tide_status port_lease_renew(const struct tide_store *store, void *session,
			     const struct tide_fence *fence, struct tide_error *err)
{
	return port_rows(store)->lease_renew(session, fence, err);
}

tide_status port_lease_renew_all(const struct tide_store *store, void *session,
				 struct tide_lease_renewal *leases, size_t count,
				 struct tide_error *err)
{
	return port_rows(store)->lease_renew_all(session, leases, count, err);
}

tide_status port_lease_release(const struct tide_store *store, void *session,
			       const struct tide_fence *fence, struct tide_error *err)
{
	return port_rows(store)->lease_release(session, fence, err);
}

tide_status port_lease_mark(const struct tide_store *store, void *session,
			    const struct tide_fence *fence, tide_position position, int32_t deaths,
			    struct tide_error *err)
{
	return port_rows(store)->lease_mark(session, fence, position, deaths, err);
}

tide_status port_lease_is_owned(const struct tide_store *store, void *session, const char *name,
				bool *ret, struct tide_error *err)
{
	return port_rows(store)->lease_is_owned(session, name, ret, err);
}

tide_status port_lease_end(const struct tide_store *store, void *session, const char *name,
			   bool *ret, struct tide_error *err)
{
	*ret = false;
	return port_rows(store)->lease_end ? port_rows(store)->lease_end(session, name, ret, err)
					   : TIDE_OK;
}

tide_status port_lease_seize(const struct tide_store *store, void *session, const char *name,
			     const struct tide_uuid *owner, struct tide_lease *ret,
			     struct tide_error *err)
{
	return port_rows(store)->lease_seize(session, name, owner, ret, err);
}

tide_status port_lease_hold(const struct tide_store *store, void *session,
			    const struct tide_fence *fence, struct tide_error *err)
{
	return port_rows(store)->lease_hold(session, fence, err);
}

tide_status port_lease_note(const struct tide_store *store, void *session,
			    const struct tide_fence *fence, const struct tide_lease_note *note,
			    struct tide_error *err)
{
	const struct tide_checkpoint_ops *ops = port_rows(store);
	return ops->lease_note ? ops->lease_note(session, fence, note, err) : TIDE_OK;
}

tide_status port_lease_tell(const struct tide_store *store, void *session,
			    const struct tide_fence *fence, const char *reason, bool *ret,
			    struct tide_error *err)
{
	return port_rows(store)->lease_tell(session, fence, reason, ret, err);
}

tide_status port_lease_list(const struct tide_store *store, void *session,
			    struct tide_lease_info **ret, size_t *ret_count, struct tide_error *err)
{
	return port_rows(store)->lease_list(session, ret, ret_count, err);
}

/* ---- Dead letters ---------------------------------------------------------------------------- */

tide_status port_dead_letter_add(const struct tide_store *store, void *session,
				 const struct tide_fence *fence,
				 const struct tide_dead_letter_write *write, int64_t *ret,
				 struct tide_error *err)
{
	return port_rows(store)->dead_letter_add(session, fence, write, ret, err);
}

tide_status port_dead_letter_list(const struct tide_store *store, void *session,
				  const struct tide_dead_letter_filter *filter,
				  struct tide_dead_letter_list *ret, struct tide_error *err)
{
	return port_rows(store)->dead_letter_list(session, filter, ret, err);
}

tide_status port_dead_letter_get(const struct tide_store *store, void *session, int64_t id,
				 struct tide_dead_letter_list *ret, struct tide_error *err)
{
	tide_status status = port_rows(store)->dead_letter_get(session, id, ret, err);
	assert(status != TIDE_OK || ret->count == 1);
	return status;
}

tide_status port_dead_letter_change(const struct tide_store *store, void *session,
				    const struct tide_fence *fence,
				    const struct tide_dead_letter_change *change,
				    struct tide_error *err)
{
	return port_rows(store)->dead_letter_change(session, fence, change, err);
}

tide_status port_dead_letter_discard(const struct tide_store *store, void *session, int64_t id,
				     struct tide_error *err)
{
	return port_rows(store)->dead_letter_discard(session, id, err);
}

tide_status port_dead_letter_purge(const struct tide_store *store, void *session,
				   struct tide_time before, int64_t *ret, struct tide_error *err)
{
	return port_rows(store)->dead_letter_purge(session, before, ret, err);
}

tide_status port_dead_letter_stats(const struct tide_store *store, void *session,
				   struct tide_dead_letter_stats *ret, struct tide_error *err)
{
	return port_rows(store)->dead_letter_stats(session, ret, err);
}

tide_status port_dead_letter_counts(const struct tide_store *store, void *session,
				    struct tide_dead_letter_count **ret, size_t *ret_count,
				    struct tide_error *err)
{
	return port_rows(store)->dead_letter_counts(session, ret, ret_count, err);
}

/* ---- What persons do, and what is proven ----------------------------------------------------- */

tide_status port_control_set(const struct tide_store *store, void *session,
			     const struct tide_control_write *write, bool *ret_was_paused,
			     struct tide_error *err)
{
	if (!port_rows(store)->control_set)
		return tide_fail(err, TIDE_UNSUPPORTED, "'%s' keeps no controls", store->url);
	return port_rows(store)->control_set(session, write, ret_was_paused, err);
}

tide_status port_control_list(const struct tide_store *store, void *session,
			      struct tide_control **ret, size_t *ret_count, struct tide_error *err)
{
	const struct tide_checkpoint_ops *ops = port_rows(store);
	*ret = NULL;
	*ret_count = 0;
	return ops->control_list ? ops->control_list(session, ret, ret_count, err) : TIDE_OK;
}

tide_status port_journal_add(const struct tide_store *store, void *session,
			     const struct tide_journal_write *write, struct tide_error *err)
{
	const struct tide_checkpoint_ops *ops = port_rows(store);
	return ops->journal_add ? ops->journal_add(session, write, err) : TIDE_OK;
}

tide_status port_journal_list(const struct tide_store *store, void *session, const char *name,
			      int64_t limit, struct tide_journal_entry **ret, size_t *ret_count,
			      struct tide_error *err)
{
	const struct tide_checkpoint_ops *ops = port_rows(store);
	*ret = NULL;
	*ret_count = 0;
	return ops->journal_list ? ops->journal_list(session, name, limit, ret, ret_count, err)
				 : TIDE_OK;
}

tide_status port_segment_turn(const struct tide_store *store, void *session,
			      const struct tide_fence *fence,
			      const struct tide_segment_write *write, struct tide_error *err)
{
	const struct tide_checkpoint_ops *ops = port_rows(store);
	return ops->segment_turn ? ops->segment_turn(session, fence, write, err) : TIDE_OK;
}

tide_status port_segment_list(const struct tide_store *store, void *session, const char *name,
			      struct tide_segment **ret, size_t *ret_count, struct tide_error *err)
{
	const struct tide_checkpoint_ops *ops = port_rows(store);
	*ret = NULL;
	*ret_count = 0;
	return ops->segment_list ? ops->segment_list(session, name, ret, ret_count, err) : TIDE_OK;
}

/* ---- Groups ---------------------------------------------------------------------------------- */

static tide_status port_no_groups(const struct tide_store *store, struct tide_error *err)
{
	return tide_fail(err, TIDE_UNSUPPORTED, "'%s' keeps no groups", store->url);
}

tide_status port_group_get(const struct tide_store *store, void *session, const char *name,
			   struct tide_group *ret, struct tide_error *err)
{
	if (!port_has_groups(store))
		return tide_fail(err, TIDE_NOT_FOUND, "'%.255s' has no lanes", name);
	tide_status status = port_rows(store)->group_get(session, name, ret, err);
	assert(status != TIDE_OK || ret->lanes > 0);
	return status;
}

tide_status port_group_change(const struct tide_store *store, void *session,
			      const struct tide_group_change *change, bool *ret,
			      struct tide_error *err)
{
	assert(change->lanes > 0);
	if (!port_has_groups(store))
		return port_no_groups(store, err);
	return port_rows(store)->group_change(session, change, ret, err);
}

tide_status port_group_forget(const struct tide_store *store, void *session,
			      const struct tide_group *group, const char *const *rows, size_t count,
			      struct tide_error *err)
{
	if (count == 0)
		return TIDE_OK;
	if (!port_has_groups(store))
		return port_no_groups(store, err);
	return port_rows(store)->group_forget(session, group, rows, count, err);
}

tide_status port_group_move(const struct tide_store *store, void *session,
			    const struct tide_group_move *move, bool *ret, struct tide_error *err)
{
	assert(move->lanes > 0 && move->row_count >= move->lanes);
	assert(move->forgets || move->position >= 0);
	if (!port_has_groups(store) || !port_rows(store)->group_move)
		return port_no_groups(store, err);
	return port_rows(store)->group_move(session, move, ret, err);
}

tide_status port_member_join(const struct tide_store *store, void *session,
			     const struct tide_member_write *write, bool *ret,
			     struct tide_error *err)
{
	assert(write->lanes > 0 && !tide_uuid_is_nil(&write->id));
	if (!port_has_groups(store))
		return port_no_groups(store, err);
	return port_rows(store)->member_join(session, write, ret, err);
}

tide_status port_member_leave(const struct tide_store *store, void *session, const char *group,
			      const struct tide_uuid *id, struct tide_error *err)
{
	return port_has_groups(store) ? port_rows(store)->member_leave(session, group, id, err)
				      : TIDE_OK;
}

static void port_check_members(const struct tide_member *members, size_t count)
{
	for (size_t i = 1; i < count; i++)
		assert(members[i - 1].joined_at.unix_us <= members[i].joined_at.unix_us);
}

tide_status port_member_list(const struct tide_store *store, void *session, const char *group,
			     struct tide_member **ret, size_t *ret_count, struct tide_error *err)
{
	*ret = NULL;
	*ret_count = 0;
	if (!port_has_groups(store))
		return TIDE_OK;
	tide_status status = port_rows(store)->member_list(session, group, ret, ret_count, err);
	if (status == TIDE_OK)
		port_check_members(*ret, *ret_count);
	return status;
}
