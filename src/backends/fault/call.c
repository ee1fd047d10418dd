/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/fault/state.h"

static void fault_ask(struct fault_call *call, struct tide_error *err)
{
	call->verdict = fault_plan_ask(&call->store->plan, call->op);
	if (call->verdict.fails_before)
		call->status =
			fault_plan_fail(&call->store->plan, call->op, call->verdict.number, err);
}

struct fault_call fault_enter_store(void *store, enum fault_op op, struct tide_error *err)
{
	struct fault_store *self = store;
	struct fault_call call = {
		.store = self, .inner = self->inner, .state = self->state, .op = op
	};
	fault_ask(&call, err);
	return call;
}

/* The server's side of a lost connection: what was not committed is gone, and its locks with it. */
static void fault_lose(struct fault_call *call)
{
	struct fault_session *session = call->session;
	if (!session || session->is_lost)
		return;
	session->is_lost = true;
	if (session->in_transaction)
		call->inner->store.rollback(session->state);
	session->in_transaction = false;
}

struct fault_call fault_enter(void *session, enum fault_op op, struct tide_error *err)
{
	struct fault_session *self = session;
	struct fault_call call = { .store = self->store,
				   .session = self,
				   .inner = self->store->inner,
				   .state = self->state,
				   .op = op };
	if (self->is_lost) {
		call.status = tide_fail(err, TIDE_CONNECTION_LOST,
					"the connection of this session was lost before %s",
					fault_op_name(op));
		return call;
	}

	fault_ask(&call, err);
	if (call.status == TIDE_CONNECTION_LOST)
		fault_lose(&call);
	return call;
}

tide_status fault_leave(struct fault_call *call, struct tide_error *err)
{
	if (call->status == TIDE_OK && call->verdict.fails_after)
		call->status =
			fault_plan_fail(&call->store->plan, call->op, call->verdict.number, err);
	if (call->status == TIDE_CONNECTION_LOST)
		fault_lose(call);
	return call->status;
}
