/* SPDX-License-Identifier: Apache-2.0 */
/* Members of groups, inside one process: one lives as long as the handle that it joined through. */
#include <string.h>

#include "backends/memory/state.h"
#include "core/control.h"
#include "sys/alloc.h"

static struct memory_state *member_lock(void *session) TIDE_UNCHECKED
{
	struct memory_state *state = ((struct memory_handle *)session)->state;
	mutex_lock(&state->book_lock);
	return state;
}

/* Where a member stands in the list, or where the list ends. */
static struct memory_member **member_find(struct memory_state *state, const char *group,
					  const struct tide_uuid *id)
{
	struct memory_member **at = &state->members;
	while (*at && (strcmp((*at)->group, group) != 0 ||
		       (id && !tide_uuid_equal(&(*at)->member.id, id))))
		at = &(*at)->next;
	return at;
}

static void member_remove(struct memory_member **at)
{
	struct memory_member *member = *at;
	*at = member->next;
	tide_free(member);
}

void memory_members_drop(struct memory_state *state, const struct memory_handle *holder)
{
	struct memory_member **at = &state->members;
	while (*at)
		if (!holder || (*at)->holder == holder)
			member_remove(at);
		else
			at = &(*at)->next;
}

bool memory_group_has_members(struct memory_state *state, const char *group)
{
	return *member_find(state, group, NULL) != NULL;
}

bool memory_member_stands(struct memory_state *state, const struct tide_fence *fence)
{
	return *member_find(state, fence->name, &fence->owner) != NULL;
}

static bool member_comes_before(const struct tide_member *a, const struct tide_member *b)
{
	if (a->joined_at.unix_us != b->joined_at.unix_us)
		return a->joined_at.unix_us < b->joined_at.unix_us;
	return tide_uuid_compare(&a->id, &b->id) < 0;
}

/* The list is in order, whatever the group. */
static void member_insert(struct memory_state *state, struct memory_member *member)
{
	struct memory_member **at = &state->members;
	while (*at && member_comes_before(&(*at)->member, &member->member))
		at = &(*at)->next;
	member->next = *at;
	*at = member;
}

static struct memory_member *member_new(const struct memory_handle *handle,
					const struct tide_member_write *write)
{
	struct memory_member *member = alloc_zero(1, sizeof *member);
	if (!member)
		return NULL;
	strcpy(member->group, write->group);
	member->holder = handle;
	member->member = (struct tide_member){
		.id = write->id, .pid = write->pid, .joined_at = write->now, .seconds_left = -1
	};
	control_copy(member->member.host, sizeof member->member.host,
		     tide_text(write->host ? write->host : ""));
	return member;
}

tide_status memory_member_join(void *session, const struct tide_member_write *write, bool *ret,
			       struct tide_error *err) TIDE_UNCHECKED
{
	struct memory_member *member = member_new(session, write);
	if (!member)
		return alloc_fail(err);

	struct memory_state *state = member_lock(session);
	const struct tide_group *group = name_table_find(&state->groups, write->group);
	*ret = group && group->lanes == write->lanes;
	struct memory_member **before = member_find(state, write->group, &write->id);
	if (*ret && *before)
		member_remove(before);
	if (*ret)
		member_insert(state, member);
	mutex_unlock(&state->book_lock);

	if (!*ret)
		tide_free(member);
	return TIDE_OK;
}

tide_status memory_member_leave(void *session, const char *group, const struct tide_uuid *id,
				struct tide_error *err) TIDE_UNCHECKED
{
	(void)err;
	struct memory_state *state = member_lock(session);
	struct memory_member **at = member_find(state, group, id);
	if (*at)
		member_remove(at);
	mutex_unlock(&state->book_lock);
	return TIDE_OK;
}

tide_status memory_member_list(void *session, const char *group, struct tide_member **ret,
			       size_t *ret_count, struct tide_error *err) TIDE_UNCHECKED
{
	struct memory_state *state = member_lock(session);
	size_t count = 0;
	for (const struct memory_member *at = state->members; at; at = at->next)
		count += strcmp(at->group, group) == 0;
	struct tide_member *list = alloc_zero(count + 1, sizeof *list);
	size_t place = 0;
	for (const struct memory_member *at = state->members; list && at; at = at->next)
		if (strcmp(at->group, group) == 0)
			list[place++] = at->member;
	mutex_unlock(&state->book_lock);

	if (!list)
		return alloc_fail(err);
	*ret = list;
	*ret_count = count;
	return TIDE_OK;
}
