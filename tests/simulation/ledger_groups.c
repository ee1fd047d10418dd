/* SPDX-License-Identifier: Apache-2.0 */
/* The group, its number of lanes and its members. */
#include <stdlib.h>

#include "simulation/ledger_inner.h"
#include "sys/alloc.h"

tide_status ledger_group_get(void *self, const char *name, struct tide_group *ret,
			     struct tide_error *err)
{
	tide_status status = ledger_begin(self, err);
	if (status != TIDE_OK)
		return status;
	if (ledger_now->group.lanes == 0)
		return tide_fail(err, TIDE_NOT_FOUND, "'%s' has no lanes", name);
	*ret = ledger_now->group;
	return ledger_answer(self, err);
}

static void ledger_forget_dead(struct ledger *ledger)
{
	int kept = 0;
	for (int i = 0; i < ledger->member_count; i++)
		if (ledger->now_ns < ledger->members[i].expires_ns)
			ledger->members[kept++] = ledger->members[i];
	ledger->member_count = kept;
}

static bool change_is_ready(struct ledger_session *session, const struct tide_group_change *change)
{
	struct ledger *ledger = ledger_now;
	for (int i = 0; i < ledger->member_count; i++)
		if (ledger->now_ns < ledger->members[i].expires_ns)
			return false;
	for (size_t i = 0; i < change->before_count; i++) {
		const struct tide_group_row *before = &change->before[i];
		const struct ledger_row *row = ledger_row(ledger, before->name);
		if (ledger_is_locked(row, session) || ledger_is_owned(ledger, row) ||
		    row->has_row != before->has_row || row->has_position != before->has_position ||
		    (row->has_position && row->position != before->position))
			return false;
	}
	for (size_t i = 0; i < change->after_count; i++) {
		const struct ledger_row *row = ledger_row(ledger, change->after[i].name);
		if (ledger_is_locked(row, session) || ledger_is_owned(ledger, row))
			return false;
	}
	return ledger->group.lanes == change->lanes_before;
}

tide_status ledger_group_change(void *self, const struct tide_group_change *change, bool *ret,
				struct tide_error *err)
{
	struct ledger *ledger = ledger_now;
	tide_status status = ledger_begin(self, err);
	if (status != TIDE_OK)
		return status;
	*ret = change_is_ready(self, change);
	if (!*ret)
		return TIDE_OK;
	for (size_t i = 0; i < change->before_count; i++) {
		struct ledger_row *row = ledger_row(ledger, change->before[i].name);
		row->owner = (struct tide_uuid){ { 0 } };
		row->epoch += row->has_lease;
	}
	for (size_t i = 0; i < change->after_count; i++) {
		struct ledger_row *row = ledger_row(ledger, change->after[i].name);
		row->has_row = row->has_position = true;
		row->position = change->after[i].position;
		row->anchor = change->after[i].anchor;
		row->updated_at = change->now;
	}
	ledger->group.lanes = change->lanes;
	ledger->group.changed_at = change->now;
	ledger->member_count = 0;
	return ledger_answer(self, err);
}

tide_status ledger_group_forget(void *self, const struct tide_group *group, const char *const *rows,
				size_t count, struct tide_error *err)
{
	struct ledger *ledger = ledger_now;
	tide_status status = ledger_begin(self, err);
	bool is_same = ledger->group.lanes == group->lanes &&
		       ledger->group.changed_at.unix_us == group->changed_at.unix_us;
	for (size_t i = 0; status == TIDE_OK && is_same && i < count; i++) {
		struct ledger_row *row = ledger_row(ledger, rows[i]);
		if (!row->has_row)
			continue;
		ledger->group.processed_before += row->processed;
		row->has_row = row->has_position = false;
		row->processed = 0;
	}
	return status == TIDE_OK ? ledger_answer(self, err) : status;
}

tide_status ledger_member_join(void *self, const struct tide_member_write *write, bool *ret,
			       struct tide_error *err)
{
	struct ledger *ledger = ledger_now;
	struct ledger_session *session = self;
	tide_status status = ledger_begin(session, err);
	if (status != TIDE_OK)
		return status;
	ledger_forget_dead(ledger);
	*ret = ledger->group.lanes == write->lanes;
	if (!*ret)
		return TIDE_OK;
	struct ledger_member *member = ledger_member(&write->id);
	if (!member)
		member = &ledger->members[ledger->member_count++];
	*member = (struct ledger_member){ .id = write->id,
					  .joined_at = clock_wall(&ledger->clock),
					  .seconds = session->lease_seconds };
	member->expires_ns = ledger->now_ns + ns_of_seconds(member->seconds);
	return ledger_answer(session, err);
}

tide_status ledger_member_leave(void *self, const char *group, const struct tide_uuid *id,
				struct tide_error *err)
{
	(void)group;
	tide_status status = ledger_begin(self, err);
	if (status != TIDE_OK)
		return status;
	struct ledger_member *member = ledger_member(id);
	if (member)
		*member = ledger_now->members[--ledger_now->member_count];
	return ledger_answer(self, err);
}

static int member_compare(const void *a, const void *b)
{
	const struct tide_member *left = a, *right = b;
	if (left->joined_at.unix_us != right->joined_at.unix_us)
		return left->joined_at.unix_us < right->joined_at.unix_us ? -1 : 1;
	return tide_uuid_compare(&left->id, &right->id);
}

tide_status ledger_member_list(void *self, const char *group, struct tide_member **ret,
			       size_t *ret_count, struct tide_error *err)
{
	(void)group;
	struct ledger *ledger = ledger_now;
	tide_status status = ledger_begin(self, err);
	if (status != TIDE_OK)
		return status;
	*ret = alloc_zero((size_t)ledger->member_count + 1, sizeof **ret);
	*ret_count = 0;
	for (int i = 0; i < ledger->member_count; i++)
		if (ledger->now_ns < ledger->members[i].expires_ns)
			(*ret)[(*ret_count)++] =
				(struct tide_member){ .id = ledger->members[i].id,
						      .joined_at = ledger->members[i].joined_at };
	qsort(*ret, *ret_count, sizeof **ret, member_compare);
	return TIDE_OK;
}
