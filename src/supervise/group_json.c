/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A subscription with lanes over all processes, as JSON: its status, who runs it, and each lane.
 *
 * Happy path: the lanes that are this process's are asked; of the others the rows tell, and who has
 * them. Failure modes: the database cannot be asked, or has not answered the probe: an error, since
 * nobody knows the others.
 */
#include "supervise/group.h"

#include <assert.h>
#include <string.h>

#include "core/json.h"
#include "path/checkpoints.h"
#include "path/lanes.h"
#include "path/port.h"
#include "supervise/elsewhere.h"
#include "sys/alloc.h"

/** What the databases say of the lanes of a head. */
struct group_look {
	struct tide_subscription *head; /* pinned */
	struct tide_member *members;
	size_t member_count;
	struct elsewhere_rows *rows;
	struct probe_answer answer;
};

static tide_status group_look_at(struct tide_checkpoints *checkpoints, struct group_look *look,
				 struct tide_error *err)
{
	void *session;
	const struct engine *engine = look->head->engine;
	look->answer = probe_ask(&look->head->engine->probe, engine->probe_ns);
	if (look->answer.stores[DATABASE_CHECKPOINTS].state == TIDE_UNAVAILABLE)
		return tide_fail(err, TIDE_CONNECTION_LOST, "the database of '%s' does not answer",
				 look->head->name);
	tide_status status = store_borrow(checkpoints->database, &session, err);
	if (status != TIDE_OK)
		return status;

	status = elsewhere_rows_read(checkpoints->database, session, look->rows, err);
	if (status == TIDE_OK)
		status = port_member_list(checkpoints->database, session, look->head->name,
					  &look->members, &look->member_count, err);
	store_return(checkpoints->database, session, status);
	return status;
}

/* ---- Who runs it ----------------------------------------------------------------------------- */

static bool group_has_member(const struct group_look *look, const struct tide_uuid *id)
{
	for (size_t i = 0; i < look->member_count; i++)
		if (tide_uuid_equal(&look->members[i].id, id))
			return true;
	return false;
}

/* A process of a version whose lanes had ids of their own is known by where it runs. */
static bool group_is_owner(const struct group_look *look, const struct tide_lease_info *lease,
			   const struct tide_member *member)
{
	if (group_has_member(look, &lease->owner))
		return tide_uuid_equal(&lease->owner, &member->id);
	return lease->pid == member->pid && strcmp(lease->host, member->host) == 0;
}

static int64_t group_lanes_of(const struct group_look *look, const struct tide_member *member)
{
	int64_t lanes = 0;
	assert(look->head->lanes.list);
	for (uint32_t i = 0; i < look->head->lanes.total; i++) {
		const struct tide_lease_info *lease =
			elsewhere_lease(look->rows, lane_at(look->head, i)->name);
		lanes += lease && lease->is_owned && group_is_owner(look, lease, member);
	}
	return lanes;
}

static void group_add_members(struct buffer *buffer, const struct group_look *look,
			      uint32_t owned_here)
{
	json_key(buffer, "members");
	json_open(buffer, '[');
	for (size_t i = 0; i < look->member_count; i++) {
		const struct tide_member *member = &look->members[i];
		bool is_here = tide_uuid_equal(&member->id, &look->head->owner);
		json_open(buffer, '{');
		json_add_uuid(buffer, "member", &member->id);
		json_add_string(buffer, "host", *member->host ? member->host : NULL);
		json_add_integer(buffer, "pid", member->pid);
		json_add_integer(buffer, "lanes",
				 is_here ? (int64_t)owned_here : group_lanes_of(look, member));
		json_add_bool(buffer, "here", is_here);
		json_close(buffer, '}');
	}
	json_close(buffer, ']');
}

/* ---- Each lane ------------------------------------------------------------------------------- */

static void group_add_owner(struct buffer *buffer, const struct group_look *look, const char *name)
{
	const struct tide_lease_info *lease = elsewhere_lease(look->rows, name);
	bool is_owned = lease && lease->is_owned;
	json_add_bool(buffer, "owned", is_owned);
	json_add_string(buffer, "host", is_owned && *lease->host ? lease->host : NULL);
	json_key(buffer, "pid");
	if (is_owned && lease->pid > 0)
		json_integer(buffer, lease->pid);
	else
		json_null(buffer);
	json_add_time(buffer, "acquired_at", is_owned,
		      is_owned ? lease->acquired_at : (struct tide_time){ 0 });
}

/* Another process's: what its rows say. */
static void group_add_other(struct buffer *buffer, const struct group_look *look, const char *name)
{
	const struct tide_checkpoint *row = elsewhere_row(look->rows, name);
	tide_position position = row && row->has_position ? row->position : 0;
	tide_position end = look->answer.end > position ? look->answer.end : position;
	json_open(buffer, '{');
	json_add_string(buffer, "name", name);
	json_add_integer(buffer, "position", position);
	json_key(buffer, "lag_events");
	if (look->answer.has_end)
		json_integer(buffer, end - position);
	else
		json_null(buffer);
	json_add_integer(buffer, "events_processed", row ? row->events_processed : 0);
	group_add_owner(buffer, look, name);
	json_close(buffer, '}');
}

/* This process's: all that it says of itself. */
static tide_status group_add_own(struct buffer *buffer, const struct group_look *look,
				 const struct tide_subscription_status *lane,
				 struct tide_error *err)
{
	char *text ALLOC_AUTO = NULL;
	tide_status status = tide_subscription_status_json(lane, &text, err);
	if (status != TIDE_OK)
		return status;
	json_raw(buffer, (struct tide_text){ text, strlen(text) - 1 }); /* without its brace */
	group_add_owner(buffer, look, lane->name);
	json_close(buffer, '}');
	return TIDE_OK;
}

static tide_status group_add_lanes(struct buffer *buffer, const struct group_look *look,
				   struct tide_error *err)
{
	tide_status status = TIDE_OK;
	json_key(buffer, "lane_statuses");
	json_open(buffer, '[');
	for (uint32_t i = 0; status == TIDE_OK && i < look->head->lanes.total; i++) {
		struct tide_subscription *lane = lane_at(look->head, i);
		struct tide_subscription_status one;
		whole_snapshot(lane, &look->answer, &one);
		if (one.standby)
			group_add_other(buffer, look, lane->name);
		else
			status = group_add_own(buffer, look, &one, err);
	}
	json_close(buffer, ']');
	return status;
}

static tide_status group_write(struct tide_manager *manager, const struct group_look *look,
			       char **ret, struct tide_error *err)
{
	struct tide_subscription_status whole;
	struct buffer buffer = { 0 };
	char *text ALLOC_AUTO = NULL;
	elsewhere_note(manager, look->head, look->rows);
	whole_snapshot(look->head, &look->answer, &whole);
	assert(whole.lanes == look->head->lanes.total && whole.lanes_owned <= whole.lanes);
	tide_status status = tide_subscription_status_json(&whole, &text, err);
	if (status != TIDE_OK)
		return status;

	buffer_add(&buffer, text, strlen(text) - 1); /* without its brace */
	group_add_members(&buffer, look, whole.lanes_owned);
	status = group_add_lanes(&buffer, look, err);
	json_close(&buffer, '}');
	if (status == TIDE_OK)
		return buffer_take(&buffer, ret, err);
	buffer_fini(&buffer);
	return status;
}

tide_status group_json(struct tide_manager *manager, const char *name, struct elsewhere_rows *rows,
		       char **ret, struct tide_error *err)
{
	struct group_look look = { .head = manager_pin_one(manager, name), .rows = rows };
	if (!look.head)
		return tide_fail(err, TIDE_NOT_FOUND, "no subscription '%s'", name);

	tide_status status = TIDE_OK;
	if (!look.head->lanes.list)
		status = tide_fail(err, TIDE_NOT_FOUND, "subscription '%s' has no lanes", name);
	if (status == TIDE_OK)
		status = group_look_at(manager->engine.checkpoints, &look, err);
	if (status == TIDE_OK)
		status = group_write(manager, &look, ret, err);
	manager_unpin_one(manager);
	tide_free(look.members);
	return status;
}

tide_status tide_manager_group_json(struct tide_manager *manager, const char *name, char **ret,
				    struct tide_error *err)
{
	if (!manager || !name || !ret)
		return tide_fail(err, TIDE_ARGUMENT, "%s is NULL",
				 !manager ? "manager"
				 : !name  ? "name"
					  : "ret");
	struct elsewhere_rows rows = { .are_read = false };
	tide_status status = group_json(manager, name, &rows, ret, err);
	elsewhere_rows_fini(&rows);
	return status;
}
