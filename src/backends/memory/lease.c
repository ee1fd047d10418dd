/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/memory/state.h"

#include <stdio.h>
#include <string.h>

#include "sys/alloc.h"

/*
 * Ownership inside one process. An owner lives as long as the handle it acquired through; renewing
 * only looks whether it still owns.
 */

static const struct tide_uuid lease_nobody;

tide_status memory_check_fence_locked(struct memory_state *state, const struct tide_fence *fence,
				      struct tide_error *err)
{
	if (!fence)
		return TIDE_OK;
	const struct memory_lease *lease = name_table_find(&state->leases, fence->name);
	if (lease && lease->epoch == fence->epoch && tide_uuid_equal(&lease->owner, &fence->owner))
		return TIDE_OK;
	return tide_fail(err, TIDE_FENCED, "'%.255s' has another owner now", fence->name);
}

static struct memory_state *lease_lock(void *session) TIDE_UNCHECKED
{
	struct memory_state *state = ((struct memory_handle *)session)->state;
	mutex_lock(&state->book_lock);
	return state;
}

static struct tide_lease lease_take(struct memory_lease *lease, const struct memory_handle *handle,
				    const struct tide_uuid *owner)
{
	struct tide_lease taken = { .is_owned = true, .epoch = ++lease->epoch };
	taken.was_unclean = !tide_uuid_is_nil(&lease->owner);
	if (taken.was_unclean && lease->suspect != 0) {
		taken.suspect = lease->suspect;
		taken.suspect_deaths = lease->deaths + 1;
	}
	lease->owner = *owner;
	lease->holder = handle;
	lease->info.host[0] = lease->info.reason[0] = '\0';
	lease->info.pid = 0;
	lease->info.acquired_at = clock_wall(&clock_system);
	lease->info.has_released_at = false;
	return taken;
}

tide_status memory_lease_acquire(void *session, const char *name, const struct tide_uuid *owner,
				 struct tide_lease *ret, struct tide_error *err) TIDE_UNCHECKED
{
	struct memory_state *state = lease_lock(session);
	struct memory_lease *lease = name_table_make(&state->leases, name, sizeof *lease);
	if (lease) {
		if (lease->holder && !tide_uuid_equal(&lease->owner, owner))
			*ret = (struct tide_lease){ .is_owned = false };
		else
			*ret = lease_take(lease, session, owner);
	}
	mutex_unlock(&state->book_lock);
	return lease ? TIDE_OK : alloc_fail(err);
}

tide_status memory_lease_renew(void *session, const struct tide_fence *fence,
			       struct tide_error *err) TIDE_UNCHECKED
{
	struct memory_state *state = lease_lock(session);
	tide_status status = memory_check_fence_locked(state, fence, err);
	mutex_unlock(&state->book_lock);
	return status;
}

tide_status memory_lease_renew_all(void *session, struct tide_lease_renewal *leases, size_t count,
				   struct tide_error *err) TIDE_UNCHECKED
{
	(void)err;
	struct memory_state *state = lease_lock(session);
	for (size_t i = 0; i < count; i++) {
		const struct tide_fence *fence = &leases[i].fence;
		bool is_mine = leases[i].is_member
				       ? memory_member_stands(state, fence)
				       : memory_check_fence_locked(state, fence, NULL) == TIDE_OK;
		leases[i].result = is_mine ? TIDE_RENEWAL_MADE : TIDE_RENEWAL_LOST;
	}
	mutex_unlock(&state->book_lock);
	return TIDE_OK;
}

static void lease_clear(struct memory_lease *lease)
{
	lease->owner = lease_nobody;
	lease->holder = NULL;
	lease->suspect = 0;
	lease->deaths = 0;
	lease->info.has_released_at = true;
	lease->info.released_at = clock_wall(&clock_system);
}

tide_status memory_lease_release(void *session, const struct tide_fence *fence,
				 struct tide_error *err) TIDE_UNCHECKED
{
	struct memory_state *state = lease_lock(session);
	struct memory_lease *lease = name_table_find(&state->leases, fence->name);
	struct tide_fence now = *fence;
	if (lease && lease->epoch > fence->epoch)
		now.epoch = lease->epoch;
	tide_status status = memory_check_fence_locked(state, &now, err);
	if (status == TIDE_OK)
		lease_clear(lease);
	mutex_unlock(&state->book_lock);
	return status;
}

void memory_lease_turn(struct memory_lease *lease)
{
	lease_clear(lease);
	lease->epoch++;
}

tide_status memory_lease_end(void *session, const char *name, bool *ret,
			     struct tide_error *err) TIDE_UNCHECKED
{
	(void)err;
	struct memory_state *state = lease_lock(session);
	struct memory_lease *lease = name_table_find(&state->leases, name);
	if (lease) {
		memory_lease_turn(lease);
		lease->info.has_last_error = false;
		lease->info.last_error[0] = lease->info.reason[0] = '\0';
	}
	*ret = lease != NULL;
	mutex_unlock(&state->book_lock);
	return TIDE_OK;
}

tide_status memory_lease_mark(void *session, const struct tide_fence *fence, tide_position position,
			      int32_t deaths, struct tide_error *err) TIDE_UNCHECKED
{
	struct memory_state *state = lease_lock(session);
	tide_status status = memory_check_fence_locked(state, fence, err);
	if (status == TIDE_OK) {
		struct memory_lease *lease = name_table_find(&state->leases, fence->name);
		lease->suspect = position;
		lease->deaths = position ? deaths : 0;
	}
	mutex_unlock(&state->book_lock);
	return status;
}

tide_status memory_lease_is_owned(void *session, const char *name, bool *ret,
				  struct tide_error *err) TIDE_UNCHECKED
{
	(void)err;
	struct memory_state *state = lease_lock(session);
	const struct memory_lease *lease = name_table_find(&state->leases, name);
	*ret = lease && lease->holder;
	mutex_unlock(&state->book_lock);
	return TIDE_OK;
}

static void lease_keep(struct tide_lease_info *info, const struct tide_lease_note *note)
{
	if (note->host) {
		snprintf(info->host, sizeof info->host, "%s", note->host);
		info->pid = note->pid;
	}
	if (note->last_error) {
		info->has_last_error = true;
		info->last_error_at = note->now;
		snprintf(info->last_error, sizeof info->last_error, "%s", note->last_error);
	}
	if (note->reason)
		snprintf(info->reason, sizeof info->reason, "%s", note->reason);
}

tide_status memory_lease_note(void *session, const struct tide_fence *fence,
			      const struct tide_lease_note *note,
			      struct tide_error *err) TIDE_UNCHECKED
{
	struct memory_state *state = lease_lock(session);
	struct memory_lease *lease = name_table_find(&state->leases, fence->name);
	tide_status status = memory_check_fence_locked(state, fence, err);
	if (status == TIDE_OK)
		lease_keep(&lease->info, note);
	mutex_unlock(&state->book_lock);
	return status;
}

tide_status memory_lease_tell(void *session, const struct tide_fence *fence, const char *reason,
			      bool *ret, struct tide_error *err) TIDE_UNCHECKED
{
	(void)err;
	struct memory_state *state = lease_lock(session);
	struct memory_lease *lease = name_table_find(&state->leases, fence->name);
	*ret = memory_check_fence_locked(state, fence, NULL) == TIDE_OK;
	if (*ret)
		snprintf(lease->info.reason, sizeof lease->info.reason, "%s", reason ? reason : "");
	mutex_unlock(&state->book_lock);
	return TIDE_OK;
}

tide_status memory_lease_list(void *session, struct tide_lease_info **ret, size_t *ret_count,
			      struct tide_error *err) TIDE_UNCHECKED
{
	struct memory_state *state = lease_lock(session);
	struct tide_lease_info *list = alloc_zero(state->leases.count + 1, sizeof *list);
	*ret_count = list ? state->leases.count : *ret_count;
	for (size_t i = 0; list && i < state->leases.count; i++) {
		const struct memory_lease *lease =
			(struct memory_lease *)(void *)state->leases.rows[i];
		list[i] = lease->info;
		memcpy(list[i].name, lease->name, sizeof list[i].name);
		list[i].is_owned = lease->holder != NULL;
		list[i].seconds_left = -1;
		list[i].has_owner = !tide_uuid_is_nil(&lease->owner);
		list[i].owner = lease->owner;
		list[i].suspect = lease->suspect;
		list[i].suspect_deaths = lease->deaths;
	}
	mutex_unlock(&state->book_lock);
	if (!list)
		return alloc_fail(err);
	*ret = list;
	return TIDE_OK;
}

void memory_drop_leases(struct memory_handle *handle)
{
	struct memory_state *state = handle->state;
	mutex_lock(&state->book_lock);
	for (size_t i = 0; i < state->leases.count; i++) {
		struct memory_lease *lease = (struct memory_lease *)(void *)state->leases.rows[i];
		if (lease->holder == handle)
			lease->holder = NULL;
	}
	memory_members_drop(state, handle);
	mutex_unlock(&state->book_lock);
}
