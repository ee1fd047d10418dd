/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/fault/state.h"

/* Results go through locals: a fault after the operation must leave the caller's untouched. */

/* clang-format off */
#define FAULT_SIMPLE(op, params, args) \
	static tide_status fault_##op params \
	{ \
		struct fault_call call = fault_enter(session, FAULT_##op, err); \
		if (call.status == TIDE_OK) \
			call.status = call.inner->checkpoint.op args; \
		return fault_leave(&call, err); \
	}

#define FAULT_VALUE(op, type, params, args) \
	static tide_status fault_##op params \
	{ \
		struct fault_call call = fault_enter(session, FAULT_##op, err); \
		type value = { 0 }; \
		if (call.status == TIDE_OK) \
			call.status = call.inner->checkpoint.op args; \
		if (fault_leave(&call, err) == TIDE_OK) \
			*ret = value; \
		return call.status; \
	}

#define FAULT_ARRAY(op, type) \
	static tide_status fault_##op(void *session, type **ret, size_t *ret_count, struct tide_error *err) \
	{ \
		struct fault_call call = fault_enter(session, FAULT_##op, err); \
		type *array = NULL; \
		size_t count = 0; \
		if (call.status == TIDE_OK) \
			call.status = call.inner->checkpoint.op(call.state, &array, &count, err); \
		if (fault_leave(&call, err) != TIDE_OK) { \
			tide_free(array); \
			return call.status; \
		} \
		*ret = array; \
		*ret_count = count; \
		return TIDE_OK; \
	}

FAULT_VALUE(load, struct tide_checkpoint,
            (void *session, const char *name, struct tide_checkpoint *ret, struct tide_error *err),
            (call.state, name, &value, err))
FAULT_SIMPLE(save,
             (void *session, const struct tide_fence *fence, const struct tide_checkpoint_write *write, struct tide_error *err),
             (call.state, fence, write, err))
FAULT_ARRAY(list, struct tide_checkpoint)
FAULT_SIMPLE(reset, (void *session, const char *name, struct tide_error *err), (call.state, name, err))

FAULT_VALUE(lease_acquire, struct tide_lease,
            (void *session, const char *name, const struct tide_uuid *owner, struct tide_lease *ret, struct tide_error *err),
            (call.state, name, owner, &value, err))
FAULT_SIMPLE(lease_renew, (void *session, const struct tide_fence *fence, struct tide_error *err), (call.state, fence, err))
FAULT_SIMPLE(lease_renew_all, (void *session, struct tide_lease_renewal *leases, size_t count, struct tide_error *err),
             (call.state, leases, count, err))
FAULT_SIMPLE(lease_release, (void *session, const struct tide_fence *fence, struct tide_error *err), (call.state, fence, err))
FAULT_VALUE(lease_end, bool, (void *session, const char *name, bool *ret, struct tide_error *err), (call.state, name, &value, err))
FAULT_SIMPLE(lease_mark,
             (void *session, const struct tide_fence *fence, tide_position position, int32_t deaths, struct tide_error *err),
             (call.state, fence, position, deaths, err))
FAULT_SIMPLE(lease_note, (void *session, const struct tide_fence *fence, const struct tide_lease_note *note, struct tide_error *err),
             (call.state, fence, note, err))
FAULT_ARRAY(lease_list, struct tide_lease_info)
FAULT_VALUE(lease_is_owned, bool, (void *session, const char *name, bool *ret, struct tide_error *err),
            (call.state, name, &value, err))

FAULT_VALUE(dead_letter_add, int64_t,
            (void *session, const struct tide_fence *fence, const struct tide_dead_letter_write *write, int64_t *ret, struct tide_error *err),
            (call.state, fence, write, &value, err))
FAULT_SIMPLE(dead_letter_change,
             (void *session, const struct tide_fence *fence, const struct tide_dead_letter_change *change, struct tide_error *err),
             (call.state, fence, change, err))
FAULT_SIMPLE(dead_letter_discard, (void *session, int64_t id, struct tide_error *err), (call.state, id, err))
FAULT_VALUE(dead_letter_purge, int64_t, (void *session, struct tide_time before, int64_t *ret, struct tide_error *err),
            (call.state, before, &value, err))
FAULT_VALUE(dead_letter_stats, struct tide_dead_letter_stats,
            (void *session, struct tide_dead_letter_stats *ret, struct tide_error *err), (call.state, &value, err))
FAULT_ARRAY(dead_letter_counts, struct tide_dead_letter_count)
FAULT_ARRAY(control_list, struct tide_control)
FAULT_SIMPLE(journal_add, (void *session, const struct tide_journal_write *write, struct tide_error *err), (call.state, write, err))
FAULT_SIMPLE(segment_turn,
             (void *session, const struct tide_fence *fence, const struct tide_segment_write *write, struct tide_error *err),
             (call.state, fence, write, err))
FAULT_VALUE(group_get, struct tide_group,
            (void *session, const char *name, struct tide_group *ret, struct tide_error *err),
            (call.state, name, &value, err))
FAULT_VALUE(group_change, bool,
            (void *session, const struct tide_group_change *change, bool *ret,
             struct tide_error *err),
            (call.state, change, &value, err))
FAULT_SIMPLE(group_forget,
             (void *session, const struct tide_group *group, const char *const *rows,
              size_t count, struct tide_error *err),
             (call.state, group, rows, count, err))
FAULT_VALUE(group_move, bool,
            (void *session, const struct tide_group_move *move, bool *ret, struct tide_error *err),
            (call.state, move, &value, err))
FAULT_VALUE(member_join, bool,
            (void *session, const struct tide_member_write *write, bool *ret,
             struct tide_error *err),
            (call.state, write, &value, err))
FAULT_SIMPLE(member_leave,
             (void *session, const char *group, const struct tide_uuid *id, struct tide_error *err),
             (call.state, group, id, err))
/* clang-format on */

static tide_status fault_member_list(void *session, const char *group, struct tide_member **ret,
				     size_t *ret_count, struct tide_error *err)
{
	struct fault_call call = fault_enter(session, FAULT_member_list, err);
	struct tide_member *list = NULL;
	size_t count = 0;
	if (call.status == TIDE_OK)
		call.status =
			call.inner->checkpoint.member_list(call.state, group, &list, &count, err);
	if (fault_leave(&call, err) != TIDE_OK) {
		tide_free(list);
		return call.status;
	}
	*ret = list;
	*ret_count = count;
	return TIDE_OK;
}

static tide_status fault_segment_list(void *session, const char *name, struct tide_segment **ret,
				      size_t *ret_count, struct tide_error *err)
{
	struct fault_call call = fault_enter(session, FAULT_segment_list, err);
	struct tide_segment *list = NULL;
	size_t count = 0;
	if (call.status == TIDE_OK)
		call.status =
			call.inner->checkpoint.segment_list(call.state, name, &list, &count, err);
	if (fault_leave(&call, err) != TIDE_OK) {
		tide_segments_free(list, count);
		return call.status;
	}
	*ret = list;
	*ret_count = count;
	return TIDE_OK;
}

static tide_status fault_control_set(void *session, const struct tide_control_write *write,
				     bool *ret_was_paused, struct tide_error *err)
{
	struct fault_call call = fault_enter(session, FAULT_control_set, err);
	bool was_paused = false;
	if (call.status == TIDE_OK)
		call.status =
			call.inner->checkpoint.control_set(call.state, write, &was_paused, err);
	if (fault_leave(&call, err) == TIDE_OK)
		*ret_was_paused = was_paused;
	return call.status;
}

static tide_status fault_journal_list(void *session, const char *name, int64_t limit,
				      struct tide_journal_entry **ret, size_t *ret_count,
				      struct tide_error *err)
{
	struct fault_call call = fault_enter(session, FAULT_journal_list, err);
	struct tide_journal_entry *list = NULL;
	size_t count = 0;
	if (call.status == TIDE_OK)
		call.status = call.inner->checkpoint.journal_list(call.state, name, limit, &list,
								  &count, err);
	if (fault_leave(&call, err) != TIDE_OK) {
		tide_free(list);
		return call.status;
	}
	*ret = list;
	*ret_count = count;
	return TIDE_OK;
}

static tide_status fault_lease_seize(void *session, const char *name, const struct tide_uuid *owner,
				     struct tide_lease *ret, struct tide_error *err)
{
	struct fault_session *self = session;
	return self->store->inner->checkpoint.lease_seize(self->state, name, owner, ret, err);
}

static tide_status fault_lease_hold(void *session, const struct tide_fence *fence,
				    struct tide_error *err)
{
	struct fault_session *self = session;
	return self->store->inner->checkpoint.lease_hold(self->state, fence, err);
}

/* What it tells depends on times: schedules go by what must be done. */
static tide_status fault_lease_tell(void *session, const struct tide_fence *fence,
				    const char *reason, bool *ret, struct tide_error *err)
{
	struct fault_session *self = session;
	return self->store->inner->checkpoint.lease_tell(self->state, fence, reason, ret, err);
}

static tide_status fault_dead_letter_list(void *session,
					  const struct tide_dead_letter_filter *filter,
					  struct tide_dead_letter_list *ret, struct tide_error *err)
{
	struct fault_call call = fault_enter(session, FAULT_dead_letter_list, err);
	struct tide_dead_letter_list list = { 0 };
	if (call.status == TIDE_OK)
		call.status =
			call.inner->checkpoint.dead_letter_list(call.state, filter, &list, err);
	if (fault_leave(&call, err) == TIDE_OK)
		*ret = list;
	else
		tide_dead_letters_free(&list);
	return call.status;
}

static tide_status fault_dead_letter_get(void *session, int64_t id,
					 struct tide_dead_letter_list *ret, struct tide_error *err)
{
	struct fault_call call = fault_enter(session, FAULT_dead_letter_get, err);
	struct tide_dead_letter_list list = { 0 };
	if (call.status == TIDE_OK)
		call.status = call.inner->checkpoint.dead_letter_get(call.state, id, &list, err);
	if (fault_leave(&call, err) == TIDE_OK)
		*ret = list;
	else
		tide_dead_letters_free(&list);
	return call.status;
}

static bool fault_dead_letter_can_park(void *store)
{
	struct fault_store *self = store;
	return self->inner->checkpoint.dead_letter_can_park(self->state);
}

const struct tide_checkpoint_ops fault_checkpoint_ops = {
	.load = fault_load,
	.save = fault_save,
	.list = fault_list,
	.reset = fault_reset,
	.lease_acquire = fault_lease_acquire,
	.lease_seize = fault_lease_seize,
	.lease_hold = fault_lease_hold,
	.lease_renew = fault_lease_renew,
	.lease_renew_all = fault_lease_renew_all,
	.lease_release = fault_lease_release,
	.lease_end = fault_lease_end,
	.lease_mark = fault_lease_mark,
	.lease_is_owned = fault_lease_is_owned,
	.lease_note = fault_lease_note,
	.lease_tell = fault_lease_tell,
	.lease_list = fault_lease_list,
	.dead_letter_add = fault_dead_letter_add,
	.dead_letter_list = fault_dead_letter_list,
	.dead_letter_get = fault_dead_letter_get,
	.dead_letter_change = fault_dead_letter_change,
	.dead_letter_discard = fault_dead_letter_discard,
	.dead_letter_purge = fault_dead_letter_purge,
	.dead_letter_stats = fault_dead_letter_stats,
	.dead_letter_counts = fault_dead_letter_counts,
	.dead_letter_can_park = fault_dead_letter_can_park,
	.control_set = fault_control_set,
	.control_list = fault_control_list,
	.journal_add = fault_journal_add,
	.journal_list = fault_journal_list,
	.segment_turn = fault_segment_turn,
	.segment_list = fault_segment_list,
	.group_get = fault_group_get,
	.group_change = fault_group_change,
	.group_forget = fault_group_forget,
	.member_join = fault_member_join,
	.member_leave = fault_member_leave,
	.member_list = fault_member_list,
	.group_move = fault_group_move,
};
