/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a member knows of the lanes that are not its own, so that status and health speak of all of
 * them without asking a database.
 *
 * Happy path: once a second the rows are read, for all groups at once: where each lane stands, and
 * that somebody has it.
 * Only a member knows it: who is none any more would never hear of another owner.
 * Failure modes: nobody has one: when that was first seen is kept, until somebody does. The
 * database cannot be asked: what was known goes on to hold.
 */
#include "supervise/elsewhere.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "path/lanes.h"
#include "path/port.h"
#include "policy/why.h"
#include "supervise/membership.h"
#include "sys/alloc.h"

#define ELSEWHERE_LOOK_NS NS_PER_SECOND

/* ---- Rows ------------------------------------------------------------------------------------ */

static int elsewhere_compare_rows(const void *a, const void *b)
{
	const struct tide_checkpoint *first = a, *second = b;
	return strcmp(first->projection_name, second->projection_name);
}

static int elsewhere_compare_leases(const void *a, const void *b)
{
	const struct tide_lease_info *first = a, *second = b;
	return strcmp(first->name, second->name);
}

tide_status elsewhere_rows_read(const struct tide_store *database, void *session,
				struct elsewhere_rows *rows, struct tide_error *err)
{
	if (rows->are_read)
		return TIDE_OK;
	struct elsewhere_rows read = { .are_read = true };
	tide_status status = port_list(database, session, &read.rows, &read.row_count, err);
	if (status == TIDE_OK)
		status = port_lease_list(database, session, &read.leases, &read.lease_count, err);
	if (status != TIDE_OK) {
		elsewhere_rows_fini(&read);
		return status;
	}

	if (read.row_count > 0)
		qsort(read.rows, read.row_count, sizeof *read.rows, elsewhere_compare_rows);
	if (read.lease_count > 0)
		qsort(read.leases, read.lease_count, sizeof *read.leases, elsewhere_compare_leases);
	*rows = read;
	return TIDE_OK;
}

void elsewhere_rows_fini(struct elsewhere_rows *rows)
{
	tide_free(rows->rows);
	tide_free(rows->leases);
}

static int elsewhere_compare_row(const void *name, const void *row)
{
	return strcmp(name, ((const struct tide_checkpoint *)row)->projection_name);
}

const struct tide_checkpoint *elsewhere_row(const struct elsewhere_rows *rows, const char *name)
{
	return rows->row_count == 0 ? NULL
				    : bsearch(name, rows->rows, rows->row_count, sizeof *rows->rows,
					      elsewhere_compare_row);
}

static int elsewhere_compare_lease(const void *name, const void *lease)
{
	return strcmp(name, ((const struct tide_lease_info *)lease)->name);
}

const struct tide_lease_info *elsewhere_lease(const struct elsewhere_rows *rows, const char *name)
{
	return rows->lease_count == 0 ? NULL
				      : bsearch(name, rows->leases, rows->lease_count,
						sizeof *rows->leases, elsewhere_compare_lease);
}

/* ---- Lanes ----------------------------------------------------------------------------------- */

/* In the words of why.c, which looks at the same rows. */
static void elsewhere_explain_locked(struct tide_subscription *lane,
				     const struct tide_lease_info *lease) TIDE_REQUIRES(lane->lock)
{
	assert(mutex_is_mine(&lane->lock));
	struct lane_elsewhere *known = &lane->lanes.elsewhere;
	struct tide_why why;
	if (!lease || !why_read_end(lease, &why)) {
		why = (struct tide_why){ .cause = TIDE_CAUSE_LANE_UNOWNED };
		why_set_since(&why, known->unowned_since);
	}
	memcpy(why.name, lane->lanes.head->name, sizeof why.name);
	why_add_number(&why, "lane", lane->lanes.index);
	why_add_number(&why, "lanes", lane->lanes.total);
	why_add_number(&why, "position", (double)known->position);
	if (lease && lease->pid > 0)
		why_add_number(&why, "pid", lease->pid);
	if (lease)
		why_add_text(&why, "host", lease->host);
	why_say(&why);
	known->cause = why.cause;
	memcpy(known->reason, why.reason, sizeof known->reason);
}

static void elsewhere_note_lane(struct tide_subscription *lane, const struct elsewhere_rows *rows)
{
	const struct tide_checkpoint *row = elsewhere_row(rows, lane->name);
	const struct tide_lease_info *lease = elsewhere_lease(rows, lane->name);
	bool is_let_go = lease && !lease->has_owner && lease->has_released_at;
	struct clock *clock = lane->engine->clock;
	struct lane_elsewhere *known = &lane->lanes.elsewhere;

	mutex_lock(&lane->lock);
	bool was_unowned = known->owner == LANE_UNOWNED;
	bool is_owned = ownership_exists(&lane->ownership) || (lease && lease->is_owned);
	known->owner = is_owned ? LANE_OWNED : LANE_UNOWNED;
	known->position = row && row->has_position ? row->position : 0;
	if (!is_owned && !was_unowned) {
		known->unowned_at = clock_mono(clock);
		known->unowned_since = is_let_go ? lease->released_at : clock_wall(clock);
	}
	cond_broadcast(&lane->changed); /* it may be waited for */
	if (!is_owned)
		elsewhere_explain_locked(lane, lease);
	mutex_unlock(&lane->lock);
}

void elsewhere_note(struct tide_manager *manager, struct tide_subscription *head,
		    const struct elsewhere_rows *rows)
{
	assert(head->lanes.list);
	mutex_lock(&manager->lock);
	bool is_to_know = membership_knows(head->lanes.membership);
	for (uint32_t i = 0; is_to_know && i < head->lanes.total; i++)
		elsewhere_note_lane(head->lanes.list[i], rows);
	mutex_unlock(&manager->lock);
}

void elsewhere_note_given(struct tide_manager *manager, struct tide_subscription *lane)
{
	mutex_lock(&manager->lock);
	mutex_lock(&lane->lock);
	struct lane_elsewhere *known = &lane->lanes.elsewhere;
	bool is_to_know = membership_knows(lane->lanes.head->lanes.membership);
	if (is_to_know && known->owner == LANE_UNKNOWN)
		*known = (struct lane_elsewhere){ .owner = LANE_OWNED, .position = lane->position };
	mutex_unlock(&lane->lock);
	mutex_unlock(&manager->lock);
}

void elsewhere_forget(struct tide_subscription *head)
{
	for (uint32_t i = 0; i < head->lanes.total; i++) {
		struct tide_subscription *lane = head->lanes.list[i];
		mutex_lock(&lane->lock);
		lane->lanes.elsewhere = (struct lane_elsewhere){ 0 };
		cond_broadcast(&lane->changed);
		mutex_unlock(&lane->lock);
	}
}

static bool elsewhere_has_any(struct tide_subscription *head)
{
	bool is_found = false;
	for (uint32_t i = 0; i < head->lanes.total && !is_found; i++) {
		struct tide_subscription *lane = head->lanes.list[i];
		mutex_lock(&lane->lock);
		is_found = !ownership_exists(&lane->ownership);
		mutex_unlock(&lane->lock);
	}
	return is_found;
}

tide_status elsewhere_look(struct tide_manager *manager, struct tide_subscription *head,
			   struct elsewhere_rows *rows, struct tide_error *err)
{
	struct membership *membership = head->lanes.membership;
	struct mono_time now = clock_mono(manager->engine.clock);
	assert(membership && manager->sharing.session);
	bool is_due = rows->are_read || now.ns >= membership->elsewhere_at.ns;
	if (!is_due || !elsewhere_has_any(head))
		return TIDE_OK;
	membership->elsewhere_at = mono_add(now, ELSEWHERE_LOOK_NS);

	tide_status status = elsewhere_rows_read(manager->engine.checkpoints->database,
						 manager->sharing.session, rows, err);
	if (status == TIDE_OK)
		elsewhere_note(manager, head, rows);
	return status;
}
