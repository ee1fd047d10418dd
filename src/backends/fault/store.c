/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "backends/fault/state.h"
#include "sys/alloc.h"

/* ---- The store ------------------------------------------------------------------------------- */

static tide_status fault_store_init(struct fault_store *self, struct fault_url *url,
				    const struct tide_store_options *options,
				    struct tide_error *err)
{
	tide_status status = fault_plan_init(&self->plan, url->options, url->options_size, err);
	if (status != TIDE_OK)
		return status;

	self->inner = url->backend;
	struct fault_call call = { .store = self, .op = FAULT_open };
	call.verdict = fault_plan_ask(&self->plan, FAULT_open);
	if (call.verdict.fails_before)
		status = fault_plan_fail(&self->plan, FAULT_open, call.verdict.number, err);
	else
		status = self->inner->store.open(&url->inner, options, &self->state, err);
	if (status == TIDE_OK && call.verdict.fails_after) {
		self->inner->store.close(self->state);
		status = fault_plan_fail(&self->plan, FAULT_open, call.verdict.number, err);
	}

	if (status != TIDE_OK)
		fault_plan_fini(&self->plan);
	return status;
}

static tide_status fault_open(struct tide_url *url, const struct tide_store_options *options,
			      void **ret, struct tide_error *err)
{
	struct fault_url parts;
	tide_status status = fault_url_read(url, &parts, err);
	if (status != TIDE_OK)
		return status;
	struct fault_store *self = alloc_zero(1, sizeof *self);
	status = self ? fault_store_init(self, &parts, options, err) : alloc_fail(err);
	url_fini(&parts.inner);
	if (status == TIDE_OK)
		*ret = self;
	else
		tide_free(self);
	return status;
}

static void fault_close(void *store)
{
	struct fault_store *self = store;
	self->inner->store.close(self->state);
	fault_plan_fini(&self->plan);
	tide_free(self);
}

static tide_status fault_append(void *store, const struct tide_commit *commits, size_t count,
				struct tide_append_result *ret, struct tide_error *err)
{
	ALLOC_AUTO struct tide_append_result *results = alloc_zero(count, sizeof *results);
	if (!results)
		return alloc_fail(err);

	struct fault_call call = fault_enter_store(store, FAULT_append, err);
	if (call.status == TIDE_OK) {
		memcpy(results, ret, count * sizeof *results);
		call.status = call.inner->store.append(call.state, commits, count, results, err);
		if (call.status == TIDE_CONFLICT)
			memcpy(ret, results, count * sizeof *ret);
	}

	if (fault_leave(&call, err) == TIDE_OK)
		memcpy(ret, results, count * sizeof *ret);
	return call.status;
}

static tide_status fault_clear(void *store, struct tide_error *err)
{
	struct fault_call call = fault_enter_store(store, FAULT_clear, err);
	if (call.status == TIDE_OK)
		call.status = call.inner->store.clear(call.state, err);
	return fault_leave(&call, err);
}

/* ---- Sessions -------------------------------------------------------------------------------- */

static void fault_session_close(void *session)
{
	struct fault_session *self = session;
	if (self->in_transaction)
		self->store->inner->store.rollback(self->state);
	self->store->inner->store.session_close(self->state);
	tide_free(self);
}

static tide_status fault_session_open(void *store, void **ret, struct tide_error *err)
{
	struct fault_session *self = alloc_zero(1, sizeof *self);
	if (!self)
		return alloc_fail(err);

	self->store = store;
	struct fault_call call = fault_enter_store(store, FAULT_session_open, err);
	if (call.status == TIDE_OK)
		call.status = call.inner->store.session_open(call.state, &self->state, err);
	if (fault_leave(&call, err) == TIDE_OK)
		*ret = self;
	else if (self->state)
		fault_session_close(self);
	else
		tide_free(self);
	return call.status;
}

static tide_status fault_session_share(void *store, void (*ring)(void *self), void *self,
				       void **ret, struct tide_error *err)
{
	struct fault_session *made = alloc_zero(1, sizeof *made);
	if (!made)
		return alloc_fail(err);
	made->store = store;
	const struct fault_store *decorated = store;
	tide_status status = decorated->inner->store.session_share(decorated->state, ring, self,
								   &made->state, err);
	if (status == TIDE_OK)
		*ret = made;
	else
		tide_free(made);
	return status;
}

static bool fault_session_combines(void *session)
{
	const struct fault_session *self = session;
	return self->store->inner->store.session_combines(self->state);
}

static bool fault_session_take(void *session)
{
	struct fault_session *self = session;
	return self->store->inner->store.session_take(self->state);
}

/* Here it connects for the first time. */
static tide_status fault_session_ready(void *session, uint64_t *ret, struct tide_error *err)
{
	struct fault_session *self = session;
	if (self->is_open)
		return self->store->inner->store.session_ready(self->state, ret, err);
	struct fault_call call = fault_enter(session, FAULT_session_open, err);
	if (call.status == TIDE_OK)
		call.status = call.inner->store.session_ready(call.state, ret, err);
	self->is_open = fault_leave(&call, err) == TIDE_OK;
	return call.status;
}

static void fault_session_rest(void *session)
{
	struct fault_session *self = session;
	self->store->inner->store.session_rest(self->state);
}

static tide_status fault_read(void *session, const struct tide_page_query *query,
			      struct tide_page *page, struct tide_error *err)
{
	struct fault_call call = fault_enter(session, FAULT_read, err);
	if (call.status == TIDE_OK)
		call.status = call.inner->store.read(call.state, query, page, err);
	return fault_leave(&call, err);
}

static tide_status fault_end(void *session, tide_position *ret, struct tide_error *err)
{
	struct fault_call call = fault_enter(session, FAULT_end, err);
	tide_position end = 0;
	if (call.status == TIDE_OK)
		call.status = call.inner->store.end(call.state, &end, err);
	if (fault_leave(&call, err) == TIDE_OK)
		*ret = end;
	return call.status;
}

static tide_status fault_stream_version(void *session, struct tide_stream stream, tide_version *ret,
					struct tide_error *err)
{
	struct fault_call call = fault_enter(session, FAULT_stream_version, err);
	tide_version version = 0;
	if (call.status == TIDE_OK)
		call.status = call.inner->store.stream_version(call.state, stream, &version, err);
	if (fault_leave(&call, err) == TIDE_OK)
		*ret = version;
	return call.status;
}

static tide_status fault_find(void *session, const struct tide_uuid *event_id,
			      struct tide_page *page, struct tide_error *err)
{
	struct fault_call call = fault_enter(session, FAULT_find, err);
	if (call.status == TIDE_OK)
		call.status = call.inner->store.find(call.state, event_id, page, err);
	return fault_leave(&call, err);
}

/* ---- Transactions ---------------------------------------------------------------------------- */

static tide_status fault_begin(void *session, struct tide_error *err)
{
	struct fault_call call = fault_enter(session, FAULT_begin, err);
	if (call.status == TIDE_OK)
		call.status = call.inner->store.begin(call.state, err);
	if (call.status == TIDE_OK)
		call.session->in_transaction = true;
	fault_leave(&call, err);
	if (call.status != TIDE_OK && call.session->in_transaction) {
		call.inner->store.rollback(call.state);
		call.session->in_transaction = false;
	}
	return call.status;
}

static tide_status fault_commit(void *session, struct tide_error *err)
{
	struct fault_call call = fault_enter(session, FAULT_commit, err);
	if (call.status == TIDE_OK) {
		call.status = call.inner->store.commit(call.state, err);
		if (call.status == TIDE_OK)
			call.session->in_transaction = false;
	}
	return fault_leave(&call, err);
}

static void fault_rollback(void *session)
{
	struct fault_session *self = session;
	if (self->in_transaction)
		self->store->inner->store.rollback(self->state);
	self->in_transaction = false;
}

/* clang-format off */
#define FAULT_IN_TRANSACTION(op) \
	static tide_status fault_##op(void *session, struct tide_error *err) \
	{ \
		struct fault_call call = fault_enter(session, FAULT_##op, err); \
		if (call.status == TIDE_OK) \
			call.status = call.inner->store.op(call.state, err); \
		return fault_leave(&call, err); \
	}

FAULT_IN_TRANSACTION(savepoint)
FAULT_IN_TRANSACTION(release)
FAULT_IN_TRANSACTION(rollback_to)
FAULT_IN_TRANSACTION(check)
/* clang-format on */

static tide_status fault_append_within(void *session, const struct tide_commit *commits,
				       size_t count, struct tide_append_result *ret,
				       struct tide_error *err)
{
	ALLOC_AUTO struct tide_append_result *results = alloc_zero(count, sizeof *results);
	if (!results)
		return alloc_fail(err);

	struct fault_call call = fault_enter(session, FAULT_append_within, err);
	if (call.status == TIDE_OK)
		call.status =
			call.inner->store.append_within(call.state, commits, count, results, err);
	if (fault_leave(&call, err) == TIDE_OK || call.status == TIDE_CONFLICT)
		memcpy(ret, results, count * sizeof *ret);
	return call.status;
}

static void *fault_connection(void *session)
{
	struct fault_session *self = session;
	return self->store->inner->store.connection(self->state);
}

/* ---- Snapshots ------------------------------------------------------------------------------- */

static tide_status fault_snapshot_load(void *session, struct tide_stream stream,
				       struct tide_snapshot *ret, struct tide_error *err)
{
	struct fault_call call = fault_enter(session, FAULT_snapshot_load, err);
	struct tide_snapshot snapshot = { 0 };
	if (call.status == TIDE_OK)
		call.status = call.inner->store.snapshot_load(call.state, stream, &snapshot, err);
	if (fault_leave(&call, err) == TIDE_OK)
		*ret = snapshot;
	else
		tide_free((char *)snapshot.state.data);
	return call.status;
}

static tide_status fault_snapshot_save(void *session, const struct tide_snapshot *snapshot,
				       struct tide_error *err)
{
	struct fault_call call = fault_enter(session, FAULT_snapshot_save, err);
	if (call.status == TIDE_OK)
		call.status = call.inner->store.snapshot_save(call.state, snapshot, err);
	return fault_leave(&call, err);
}

/* ---- What operators ask: no faults, so that they see what is there --------------------------- */

static tide_status fault_waiting_for(void *session, char *ret, size_t size, struct tide_error *err)
{
	struct fault_session *self = session;
	return self->store->inner->store.waiting_for(self->state, ret, size, err);
}

static tide_status fault_horizon(void *session, struct tide_horizon *ret, struct tide_error *err)
{
	struct fault_session *self = session;
	return self->store->inner->store.horizon(self->state, ret, err);
}

static tide_status fault_anchor(void *session, tide_position position, struct tide_anchor *ret,
				bool *ret_may_come, struct tide_error *err)
{
	struct fault_session *self = session;
	return self->store->inner->store.anchor(self->state, position, ret, ret_may_come, err);
}

static uint64_t fault_losses(void *store)
{
	struct fault_store *self = store;
	return self->inner->store.losses(self->state);
}

static int64_t fault_number(void *session)
{
	struct fault_session *self = session;
	return self->store->inner->store.number(self->state);
}

static tide_status fault_blocked(void *session, int64_t number, struct tide_blocker *ret,
				 struct tide_error *err)
{
	struct fault_session *self = session;
	return self->store->inner->store.blocked(self->state, number, ret, err);
}

static tide_status fault_examine(void *session, tide_report report, void *context,
				 struct tide_error *err)
{
	struct fault_session *self = session;
	return self->store->inner->store.examine(self->state, report, context, err);
}

static tide_status fault_examine_deep(void *session, tide_report report, void *context,
				      struct tide_error *err)
{
	struct fault_session *self = session;
	return self->store->inner->store.examine_deep(self->state, report, context, err);
}

static tide_status fault_examine_writing(void *session, tide_report report, void *context,
					 struct tide_error *err)
{
	struct fault_session *self = session;
	return self->store->inner->store.examine_writing(self->state, report, context, err);
}

static void fault_limit(void *session, const struct tide_session_limits *limits)
{
	struct fault_session *self = session;
	self->store->inner->store.limit(self->state, limits);
}

static tide_status fault_await(void *session, enum tide_await how, struct tide_error *err)
{
	struct fault_session *self = session;
	return self->store->inner->store.await(self->state, how, err);
}

/* It ends what lasts too long, faults included: they are the inner session's. */
static void fault_interrupt(void *session)
{
	struct fault_session *self = session;
	self->store->inner->store.interrupt(self->state);
}

/* ---- Notifications --------------------------------------------------------------------------- */

/** A decorated watch. */
struct fault_watch {
	struct fault_store *store;
	void *state;
};

static tide_status fault_notify_start(void *store, void **ret, struct tide_error *err)
{
	struct fault_watch *watch = alloc_zero(1, sizeof *watch);
	if (!watch)
		return alloc_fail(err);

	watch->store = store;
	struct fault_call call = fault_enter_store(store, FAULT_notify_start, err);
	if (call.status == TIDE_OK)
		call.status = call.inner->notify.start(call.state, &watch->state, err);
	if (fault_leave(&call, err) == TIDE_OK) {
		*ret = watch;
		return TIDE_OK;
	}

	if (watch->state)
		call.inner->notify.stop(watch->state);
	tide_free(watch);
	return call.status;
}

static tide_status fault_notify_wait(void *watch, int64_t timeout_ns, bool *ret_rang,
				     struct tide_error *err)
{
	struct fault_watch *self = watch;
	struct fault_call call = fault_enter_store(self->store, FAULT_notify_wait, err);
	bool rang = false;
	if (call.status == TIDE_OK)
		call.status = call.inner->notify.wait(self->state, timeout_ns, &rang, err);
	if (fault_leave(&call, err) == TIDE_OK)
		*ret_rang = rang;
	return call.status;
}

static void fault_notify_interrupt(void *watch)
{
	struct fault_watch *self = watch;
	self->store->inner->notify.interrupt(self->state);
}

static void fault_notify_stop(void *watch)
{
	struct fault_watch *self = watch;
	self->store->inner->notify.stop(self->state);
	tide_free(self);
}

/* ---- The tables ------------------------------------------------------------------------------ */

const struct tide_store_ops fault_store_ops = {
	.open = fault_open,
	.close = fault_close,
	.append = fault_append,
	.clear = fault_clear,
	.session_open = fault_session_open,
	.session_close = fault_session_close,
	.session_share = fault_session_share,
	.session_take = fault_session_take,
	.session_combines = fault_session_combines,
	.session_ready = fault_session_ready,
	.session_rest = fault_session_rest,
	.read = fault_read,
	.end = fault_end,
	.stream_version = fault_stream_version,
	.find = fault_find,
	.begin = fault_begin,
	.commit = fault_commit,
	.rollback = fault_rollback,
	.savepoint = fault_savepoint,
	.release = fault_release,
	.rollback_to = fault_rollback_to,
	.check = fault_check,
	.connection = fault_connection,
	.snapshot_load = fault_snapshot_load,
	.snapshot_save = fault_snapshot_save,
	.waiting_for = fault_waiting_for,
	.anchor = fault_anchor,
	.losses = fault_losses,
	.examine = fault_examine,
	.examine_deep = fault_examine_deep,
	.examine_writing = fault_examine_writing,
	.horizon = fault_horizon,
	.interrupt = fault_interrupt,
	.number = fault_number,
	.blocked = fault_blocked,
	.limit = fault_limit,
	.await = fault_await,
	.append_within = fault_append_within,
};

const struct tide_notify_ops fault_notify_ops = {
	.start = fault_notify_start,
	.wait = fault_notify_wait,
	.interrupt = fault_notify_interrupt,
	.stop = fault_notify_stop,
};
