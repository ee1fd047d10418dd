/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The checkpoint repository: rows by projection name, as a user asks for them. Subscriptions write
 * through path/checkpoint.c with their ownership as a fence; calls from here carry none.
 */
#include "path/checkpoints.h"

#include <string.h>

#include "core/event.h"
#include "core/text.h"
#include "path/anchor.h"
#include "path/family.h"
#include "path/journal.h"
#include "path/port.h"
#include "path/segments.h"
#include "sys/alloc.h"
#include "sys/log.h"

tide_status tide_checkpoints_open(const char *url, const struct tide_store_options *options,
				  struct tide_store *store, struct tide_checkpoints **ret,
				  struct tide_error *err)
{
	if (!store || !ret)
		return tide_fail(err, TIDE_ARGUMENT, "%s is NULL", store ? "ret" : "store");
	struct tide_checkpoints *checkpoints = alloc_zero(1, sizeof *checkpoints);
	if (!checkpoints)
		return alloc_fail(err);

	checkpoints->feed = checkpoints->database = store;
	tide_status status = TIDE_OK;
	if (url) {
		status = tide_store_open(url, options, &checkpoints->database, err);
		checkpoints->owns_database = status == TIDE_OK;
	}

	if (status == TIDE_OK)
		*ret = checkpoints;
	else
		tide_free(checkpoints);
	return status;
}

void tide_checkpoints_close(struct tide_checkpoints *checkpoints)
{
	if (!checkpoints)
		return;
	if (checkpoints->owns_database)
		tide_store_close(checkpoints->database);
	tide_free(checkpoints);
}

/* Every call begins the same way: a handle, a name, a session. */
static tide_status checkpoints_begin(struct tide_checkpoints *checkpoints, const char *name,
				     void **ret_session, struct tide_error *err)
{
	if (!checkpoints)
		return tide_fail(err, TIDE_ARGUMENT, "checkpoints is NULL");
	tide_status status = name_check_projection(name, true, err);
	return status == TIDE_OK ? store_borrow(checkpoints->database, ret_session, err) : status;
}

/* The same, for what changes the one row of a name. */
static tide_status checkpoints_begin_change(struct tide_checkpoints *checkpoints, const char *name,
					    void **ret_session, struct tide_error *err)
{
	void *session;
	tide_status status = checkpoints_begin(checkpoints, name, &session, err);
	if (status != TIDE_OK)
		return status;
	status = family_refuse(checkpoints->database, session, name, err);
	if (status == TIDE_OK)
		*ret_session = session;
	else
		store_return(checkpoints->database, session, status);
	return status;
}

static tide_status checkpoints_need(const void *ret, struct tide_error *err)
{
	return ret ? TIDE_OK : tide_fail(err, TIDE_ARGUMENT, "ret is NULL");
}

/* There is no row, and who asks may have meant those of its lanes. */
static tide_status checkpoints_say_lanes(struct tide_checkpoints *checkpoints, void *session,
					 const char *name, struct tide_error *err)
{
	struct tide_error lanes;
	if (family_refuse(checkpoints->database, session, name, &lanes) == TIDE_UNSUPPORTED)
		return tide_fail(err, TIDE_NOT_FOUND, "%s", lanes.message);
	return TIDE_NOT_FOUND;
}

tide_status tide_checkpoints_load(struct tide_checkpoints *checkpoints, const char *name,
				  struct tide_checkpoint *ret, struct tide_error *err)
{
	void *session;
	tide_status status = checkpoints_need(ret, err);
	if (status == TIDE_OK)
		status = checkpoints_begin(checkpoints, name, &session, err);
	if (status != TIDE_OK)
		return status;
	struct tide_checkpoint row;
	status = port_load(checkpoints->database, session, name, &row, err);
	if (status == TIDE_NOT_FOUND)
		status = checkpoints_say_lanes(checkpoints, session, name, err);
	store_return(checkpoints->database, session, status);
	if (status == TIDE_OK)
		*ret = row;
	return status;
}

tide_status tide_checkpoints_get(struct tide_checkpoints *checkpoints, const char *name,
				 struct tide_uuid *ret, struct tide_error *err)
{
	struct tide_checkpoint row;
	tide_status status = checkpoints_need(ret, err);
	if (status == TIDE_OK)
		status = tide_checkpoints_load(checkpoints, name, &row, err);
	if (status == TIDE_OK && tide_uuid_is_nil(&row.last_event_id))
		status = tide_fail(err, TIDE_NOT_FOUND, "checkpoint '%s' has no last event", name);
	if (status == TIDE_OK)
		*ret = row.last_event_id;
	return status;
}

tide_status tide_checkpoints_position(struct tide_checkpoints *checkpoints, const char *name,
				      tide_position *ret, struct tide_error *err)
{
	struct tide_checkpoint row;
	tide_status status = checkpoints_need(ret, err);
	if (status == TIDE_OK)
		status = tide_checkpoints_load(checkpoints, name, &row, err);
	if (status == TIDE_OK && !row.has_position)
		status = tide_fail(err, TIDE_NOT_FOUND, "checkpoint '%s' has no position", name);
	if (status == TIDE_OK)
		*ret = row.position;
	return status;
}

static tide_status checkpoints_write(struct tide_checkpoints *checkpoints,
				     const struct tide_checkpoint_write *write,
				     struct tide_error *err)
{
	void *session;
	tide_status status = checkpoints_begin(checkpoints, write->name, &session, err);
	if (status != TIDE_OK)
		return status;
	status = port_save(checkpoints->database, session, NULL, write, err);
	store_return(checkpoints->database, session, status);
	return status;
}

static tide_status checkpoints_check_event(const struct tide_uuid *event_id, const char *event_type,
					   struct tide_error *err)
{
	if (!event_id != !event_type)
		return tide_fail(err, TIDE_ARGUMENT, "%s goes without %s",
				 event_id ? "event_id" : "event_type",
				 event_id ? "event_type" : "event_id");
	if (event_id && tide_uuid_is_nil(event_id))
		return tide_fail(err, TIDE_ARGUMENT, "event_id is the nil UUID");
	size_t size = event_type ? strlen(event_type) : 1;
	if (size == 0 || size > TIDE_NAME_MAX)
		return tide_fail(err, TIDE_ARGUMENT, "event_type has %zu bytes, expected 1 to %d",
				 size, TIDE_NAME_MAX);
	return TIDE_OK;
}

tide_status tide_checkpoints_update(struct tide_checkpoints *checkpoints, const char *name,
				    const struct tide_uuid *event_id, const char *event_type,
				    struct tide_error *err)
{
	if (!event_id)
		return tide_fail(err, TIDE_ARGUMENT, "event_id is NULL");
	tide_status status = checkpoints_check_event(event_id, event_type, err);
	if (status != TIDE_OK)
		return status;
	struct tide_checkpoint_write write = { .name = name,
					       .progress = { 0, event_id, event_type, 1 },
					       .now = tide_time_now() };
	return checkpoints_write(checkpoints, &write, err);
}

tide_status tide_checkpoints_save(struct tide_checkpoints *checkpoints, const char *name,
				  const struct tide_progress *progress, struct tide_error *err)
{
	if (!progress)
		return tide_fail(err, TIDE_ARGUMENT, "progress is NULL");
	if (progress->position < 0)
		return tide_fail(err, TIDE_ARGUMENT, "position %lld is negative",
				 (long long)progress->position);
	if (progress->count < 0)
		return tide_fail(err, TIDE_ARGUMENT, "count %lld is negative",
				 (long long)progress->count);

	tide_status status = checkpoints_check_event(progress->event_id, progress->event_type, err);
	if (status != TIDE_OK)
		return status;

	struct tide_checkpoint_write write = {
		.name = name, .has_position = true, .progress = *progress, .now = tide_time_now()
	};
	return checkpoints_write(checkpoints, &write, err);
}

tide_status tide_checkpoints_reset(struct tide_checkpoints *checkpoints, const char *name,
				   struct tide_error *err)
{
	void *session;
	tide_status status = checkpoints_begin_change(checkpoints, name, &session, err);
	if (status != TIDE_OK)
		return status;
	status = port_reset(checkpoints->database, session, name, err);
	store_return(checkpoints->database, session, status);
	if (status == TIDE_OK)
		log_at(TIDE_LOG_NOTICE, "checkpoint", "checkpoint reset", "name='%s'", name);
	if (status == TIDE_OK)
		journal_tell(checkpoints->database, NULL, "reset", name, "%s", "");
	return status;
}

/* Where the event of an entry was when it failed; INT64_MAX: the entry does not say. */
static tide_position checkpoints_position_of(const struct tide_dead_letter *letter)
{
	struct event_json json = { 0 };
	tide_position position = 0;
	if (event_read_data(tide_text(letter->event_data), &json, NULL) == TIDE_OK)
		position = json.position;
	event_json_fini(&json);
	return position > 0 ? position : INT64_MAX;
}

static tide_status checkpoints_drop_letters(const struct tide_store *database, void *session,
					    const char *name, tide_position above, int64_t *ret,
					    struct tide_error *err)
{
	struct tide_dead_letter_filter filter = { .projection_name = name,
						  .statuses = { [TIDE_DEAD_LETTER_FAILED] = true,
								[TIDE_DEAD_LETTER_RETRYING] =
									true },
						  .limit = -1,
						  .oldest_first = true };
	struct tide_dead_letter_list list = { 0 };
	tide_status status = port_dead_letter_list(database, session, &filter, &list, err);
	for (size_t i = 0; status == TIDE_OK && i < list.count; i++) {
		if (checkpoints_position_of(&list.entries[i]) <= above)
			continue;
		status = port_dead_letter_discard(database, session, list.entries[i].id, err);
		*ret += status == TIDE_OK;
		if (status == TIDE_NOT_FOUND || status == TIDE_STATE)
			status = TIDE_OK; /* somebody was faster */
	}

	tide_dead_letters_free(&list);
	return status;
}

/** What a reset takes with it. */
struct checkpoints_reset {
	const char *name;
	const struct checkpoints_anew *anew;
	int64_t letters; /* deleted */
};

static tide_status checkpoints_forget(const struct tide_store *database, void *session,
				      struct checkpoints_reset *reset, struct tide_error *err)
{
	struct tide_checkpoint_write write = { .name = reset->name,
					       .has_position = true,
					       .progress = { .position = reset->anew->from },
					       .now = tide_time_now() };
	reset->letters = 0;
	tide_status status = port_reset(database, session, reset->name, err);
	if (status == TIDE_OK && reset->anew->from >= 0)
		status = port_save(database, session, NULL, &write, err);
	return status == TIDE_OK ? checkpoints_drop_letters(database, session, reset->name, 0,
							    &reset->letters, err)
				 : status;
}

static tide_status checkpoints_reset_joined(const struct tide_store *database, void *session,
					    struct checkpoints_reset *reset, struct tide_error *err)
{
	const struct checkpoints_anew *anew = reset->anew;
	bool joins = port_has_transactions(database);
	tide_status status = joins ? port_begin(database, session, err) : TIDE_OK;
	if (status != TIDE_OK)
		return status;

	if (anew->function)
		status = anew->function(anew->self, port_connection(database, session), err);
	if (status == TIDE_OK && anew->function)
		status = port_check(database, session, err);
	if (status == TIDE_OK)
		status = checkpoints_forget(database, session, reset, err);
	if (status == TIDE_OK && joins)
		status = port_commit(database, session, err);
	if (status != TIDE_OK && joins)
		port_rollback(database, session);
	return status;
}

/*
 * The ownership is taken in a transaction of its own. So an owner that has a transaction open is
 * fenced when it wants to commit, and gives back the locks that the reset waits for, instead of
 * waiting for the reset's; and nobody begins to project before it is done.
 */
static tide_status checkpoints_reset_owned(const struct tide_store *database, void *session,
					   struct checkpoints_reset *reset, struct tide_error *err)
{
	struct tide_fence fence = { .name = reset->name, .owner = tide_uuid_v4() };
	struct tide_lease lease = { 0 };
	tide_status status = TIDE_OK;
	if (port_seizes_leases(database))
		status =
			port_lease_seize(database, session, reset->name, &fence.owner, &lease, err);
	if (status != TIDE_OK)
		return status;

	fence.epoch = lease.epoch;
	status = checkpoints_reset_joined(database, session, reset, err);
	if (port_seizes_leases(database) && status != TIDE_CONNECTION_LOST)
		(void)port_lease_release(database, session, &fence, NULL);
	return status;
}

tide_status checkpoints_begin_anew(struct tide_checkpoints *checkpoints, const char *name,
				   const struct checkpoints_anew *anew, struct tide_error *err)
{
	void *session;
	struct checkpoints_reset reset = { name, anew, 0 };
	tide_status status = checkpoints_begin_change(checkpoints, name, &session, err);
	if (status != TIDE_OK)
		return status;

	const struct tide_store *database = checkpoints->database;
	if (port_has_transactions(database) || !anew->function)
		status = checkpoints_reset_owned(database, session, &reset, err);
	else
		status = tide_fail(err, TIDE_UNSUPPORTED, "'%s' has no transactions to share",
				   database->url);
	store_return(checkpoints->database, session, status);
	if (status == TIDE_OK)
		log_at(TIDE_LOG_NOTICE, "checkpoint",
		       anew->function ? "checkpoint reset with its read model" : "checkpoint reset",
		       "name='%s'", name);
	if (status == TIDE_OK && reset.letters)
		log_at(TIDE_LOG_WARNING, "checkpoint",
		       "unresolved dead letters were deleted with their checkpoint",
		       "name='%s' count=%lld", name, (long long)reset.letters);
	return status;
}

tide_status tide_checkpoints_reset_with(struct tide_checkpoints *checkpoints, const char *name,
					tide_status (*function)(void *self, void *connection,
								struct tide_error *err),
					void *self, struct tide_error *err)
{
	struct checkpoints_anew anew = { function, self, -1 };
	tide_status status = checkpoints_need((const void *)(uintptr_t)function, err);
	if (status == TIDE_OK)
		status = checkpoints_begin_anew(checkpoints, name, &anew, err);
	if (status == TIDE_OK)
		journal_tell(checkpoints->database, NULL, "reset", name, "with its read model");
	return status;
}

/* ---- What positions stand on ----------------------------------------------------------------- */

/** A row with sessions on its database and its feed. */
struct checkpoints_look {
	struct tide_checkpoints *checkpoints;
	void *session, *feed_session;
	struct tide_checkpoint row;
};

static tide_status checkpoints_look_begin(struct tide_checkpoints *checkpoints, const char *name,
					  struct checkpoints_look *ret, struct tide_error *err)
{
	*ret = (struct checkpoints_look){ .checkpoints = checkpoints };
	tide_status status = checkpoints_begin_change(checkpoints, name, &ret->session, err);
	if (status != TIDE_OK)
		return status;
	status = port_load(checkpoints->database, ret->session, name, &ret->row, err);
	if (status == TIDE_OK)
		status = store_borrow(checkpoints->feed, &ret->feed_session, err);
	if (status != TIDE_OK)
		store_return(checkpoints->database, ret->session, status);
	return status;
}

static void checkpoints_look_end(struct checkpoints_look *look, tide_status status)
{
	store_return(look->checkpoints->feed, look->feed_session, status);
	store_return(look->checkpoints->database, look->session, status);
}

tide_status tide_checkpoints_verify(struct tide_checkpoints *checkpoints, const char *name,
				    struct tide_error *err)
{
	struct checkpoints_look look;
	tide_status status = checkpoints_look_begin(checkpoints, name, &look, err);
	if (status != TIDE_OK)
		return status;
	struct anchor_look anchor = { checkpoints->feed, look.feed_session, checkpoints->database,
				      look.session, &look.row };
	struct tide_anchor found;
	status = anchor_verify(&anchor, &found, err);
	checkpoints_look_end(&look, status);
	return status;
}

static tide_status checkpoints_stand(struct checkpoints_look *look, struct tide_anchor *ret,
				     struct tide_error *err)
{
	struct tide_checkpoints *checkpoints = look->checkpoints;
	const struct tide_checkpoint *row = &look->row;
	if (!row->has_position)
		return tide_fail(err, TIDE_NOT_FOUND, "checkpoint '%s' has no position",
				 row->projection_name);

	tide_status status =
		anchor_find(checkpoints->feed, look->feed_session, row->position, ret, err);
	if (status != TIDE_OK)
		return status;

	struct tide_checkpoint_write write = { .name = row->projection_name,
					       .has_position = true,
					       .progress = { .position = row->position },
					       .now = tide_time_now(),
					       .anchor = *ret };
	status = port_save(checkpoints->database, look->session, NULL, &write, err);
	return status == TIDE_OK ? segments_forget(checkpoints->database, look->session,
						   row->projection_name, err)
				 : status;
}

tide_status tide_checkpoints_accept(struct tide_checkpoints *checkpoints, const char *name,
				    struct tide_anchor *ret, struct tide_error *err)
{
	struct checkpoints_look look;
	struct tide_anchor anchor = { 0 };
	tide_status status = checkpoints_look_begin(checkpoints, name, &look, err);
	if (status != TIDE_OK)
		return status;

	status = checkpoints_stand(&look, &anchor, err);
	checkpoints_look_end(&look, status);
	if (status == TIDE_OK && ret)
		*ret = anchor;
	if (status == TIDE_OK)
		journal_tell(checkpoints->database, NULL, "accept", name, "position %lld",
			     (long long)look.row.position);
	if (status == TIDE_OK)
		log_at(TIDE_LOG_NOTICE, "checkpoint", "store accepted as it is",
		       "name='%s' position=%lld anchor=%lld", name, (long long)look.row.position,
		       (long long)anchor.position);
	return status;
}

/* ---- Going back ------------------------------------------------------------------------------ */

static tide_status checkpoints_check_back(const struct tide_checkpoint *row, const char *name,
					  tide_position position, struct tide_error *err)
{
	tide_position stored = row->has_position ? row->position : 0;
	if (position <= stored)
		return TIDE_OK;
	return tide_fail(err, TIDE_ARGUMENT,
			 "'%s' is at position %lld, %lld is above it: rewind goes back", name,
			 (long long)stored, (long long)position);
}

/** A position to go back to, what it is from, and the dead letters that it costs. */
struct checkpoints_back {
	const char *name;
	tide_position to;
	struct tide_checkpoint row; /* before */
	int64_t deleted;
};

/* Whoever owned it writes no more. */
static tide_status checkpoints_go_back(const struct tide_store *database, void *session,
				       struct checkpoints_back *back, struct tide_error *err)
{
	struct tide_checkpoint_write write = { .name = back->name,
					       .has_position = true,
					       .progress = { .position = back->to },
					       .now = tide_time_now() };
	tide_status status = port_load(database, session, back->name, &back->row, err);
	if (status == TIDE_OK)
		status = checkpoints_check_back(&back->row, back->name, back->to, err);
	if (status == TIDE_OK)
		status = segments_end(database, session, &back->row, err);
	if (status == TIDE_OK)
		status = port_save(database, session, NULL, &write, err);
	return status == TIDE_OK ? checkpoints_drop_letters(database, session, back->name, back->to,
							    &back->deleted, err)
				 : status;
}

static tide_status checkpoints_rewind(const struct tide_store *database, void *session,
				      struct checkpoints_back *back, struct tide_error *err)
{
	bool joins = port_has_transactions(database);
	tide_status status = joins ? port_begin(database, session, err) : TIDE_OK;
	if (status != TIDE_OK)
		return status;
	status = checkpoints_go_back(database, session, back, err);
	if (status == TIDE_OK && joins)
		status = port_commit(database, session, err);
	if (status != TIDE_OK && joins)
		port_rollback(database, session);
	return status;
}

/* As a reset: the ownership first, so that the row stands still. */
static tide_status checkpoints_rewind_owned(const struct tide_store *database, void *session,
					    struct checkpoints_back *back, struct tide_error *err)
{
	struct tide_fence fence = { .name = back->name, .owner = tide_uuid_v4() };
	struct tide_lease lease = { 0 };
	tide_status status = port_load(database, session, back->name, &back->row, err);
	if (status == TIDE_OK)
		status = checkpoints_check_back(&back->row, back->name, back->to, err);
	if (status == TIDE_OK && port_seizes_leases(database))
		status = port_lease_seize(database, session, back->name, &fence.owner, &lease, err);
	if (status != TIDE_OK)
		return status;

	fence.epoch = lease.epoch;
	status = checkpoints_rewind(database, session, back, err);
	if (port_seizes_leases(database) && status != TIDE_CONNECTION_LOST)
		(void)port_lease_release(database, session, &fence, NULL);
	return status;
}

tide_status tide_checkpoints_rewind(struct tide_checkpoints *checkpoints, const char *name,
				    tide_position position, int64_t *ret_deleted,
				    struct tide_error *err)
{
	void *session;
	struct checkpoints_back back = { .name = name, .to = position };
	if (position < 0)
		return tide_fail(err, TIDE_ARGUMENT, "position %lld is negative",
				 (long long)position);

	tide_status status = checkpoints_begin_change(checkpoints, name, &session, err);
	if (status != TIDE_OK)
		return status;
	status = checkpoints_rewind_owned(checkpoints->database, session, &back, err);
	store_return(checkpoints->database, session, status);
	if (status != TIDE_OK)
		return status;

	log_at(TIDE_LOG_NOTICE, "checkpoint", "checkpoint rewound",
	       "name='%s' position=%lld was=%lld dead_letters=%lld", name, (long long)position,
	       (long long)back.row.position, (long long)back.deleted);
	journal_tell(checkpoints->database, NULL, "rewind", name,
		     "to %lld, was %lld, dead letters deleted %lld", (long long)position,
		     (long long)back.row.position, (long long)back.deleted);
	if (ret_deleted)
		*ret_deleted = back.deleted;
	return TIDE_OK;
}

tide_status tide_checkpoints_list(struct tide_checkpoints *checkpoints,
				  struct tide_checkpoint **ret, size_t *ret_count,
				  struct tide_error *err)
{
	if (!checkpoints || !ret || !ret_count)
		return tide_fail(err, TIDE_ARGUMENT, "%s is NULL",
				 checkpoints ? "ret" : "checkpoints");
	void *session;
	tide_status status = store_borrow(checkpoints->database, &session, err);
	if (status != TIDE_OK)
		return status;
	status = port_list(checkpoints->database, session, ret, ret_count, err);
	store_return(checkpoints->database, session, status);
	return status;
}

tide_status tide_checkpoints_is_owned(struct tide_checkpoints *checkpoints, const char *name,
				      bool *ret, struct tide_error *err)
{
	void *session;
	tide_status status = checkpoints_need(ret, err);
	if (status == TIDE_OK)
		status = checkpoints_begin(checkpoints, name, &session, err);
	if (status != TIDE_OK)
		return status;
	status = port_lease_is_owned(checkpoints->database, session, name, ret, err);
	store_return(checkpoints->database, session, status);
	return status;
}

tide_status tide_checkpoints_release(struct tide_checkpoints *checkpoints, const char *name,
				     struct tide_error *err)
{
	void *session;
	bool is_found = false;
	tide_status status = checkpoints_begin_change(checkpoints, name, &session, err);

	if (status != TIDE_OK)
		return status;
	status = port_lease_end(checkpoints->database, session, name, &is_found, err);
	store_return(checkpoints->database, session, status);
	if (status == TIDE_OK && !is_found)
		status = tide_fail(err, TIDE_NOT_FOUND, "projection '%s' was never owned", name);
	if (status == TIDE_OK)
		journal_tell(checkpoints->database, NULL, "release", name, "%s", "");
	if (status == TIDE_OK)
		log_at(TIDE_LOG_NOTICE, "subscription", "ownership ended by a person", "name='%s'",
		       name);
	return status;
}

tide_status checkpoints_leases(struct tide_checkpoints *checkpoints, struct tide_lease_info **ret,
			       size_t *ret_count, struct tide_error *err)
{
	*ret = NULL;
	*ret_count = 0;
	if (!port_lists_leases(checkpoints->database))
		return TIDE_OK;
	void *session;
	tide_status status = store_borrow(checkpoints->database, &session, err);
	if (status != TIDE_OK)
		return status;
	status = port_lease_list(checkpoints->database, session, ret, ret_count, err);
	store_return(checkpoints->database, session, status);
	return status;
}

tide_status checkpoints_group(struct tide_checkpoints *checkpoints, const char *name,
			      struct tide_group *ret, struct tide_error *err)
{
	void *session;
	tide_status status = store_borrow(checkpoints->database, &session, err);
	if (status != TIDE_OK)
		return status;
	status = family_group(checkpoints->database, session, name, ret, err);
	store_return(checkpoints->database, session, status);
	return status;
}

tide_status checkpoints_load_slowest(struct tide_checkpoints *checkpoints, const char *name,
				     struct tide_checkpoint *ret, struct tide_error *err)
{
	struct tide_checkpoint *rows ALLOC_AUTO = NULL;
	size_t count = 0;
	int64_t processed;
	tide_status status = tide_checkpoints_load(checkpoints, name, ret, err);
	if (status != TIDE_NOT_FOUND ||
	    tide_checkpoints_list(checkpoints, &rows, &count, NULL) != TIDE_OK)
		return status;
	const struct tide_checkpoint *slowest = family_slowest(name, rows, count, &processed);
	if (!slowest)
		return status;
	*ret = *slowest;
	return TIDE_OK;
}
