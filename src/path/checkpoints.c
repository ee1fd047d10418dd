/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The checkpoint repository: rows by projection name, as a user asks for them. Subscriptions write
 * through path/checkpoint.c with their ownership as a fence; calls from here carry none.
 */
#include "path/checkpoints.h"

#include <string.h>

#include "core/text.h"
#include "path/anchor.h"
#include "path/family.h"
#include "path/journal.h"
#include "path/move.h"
#include "path/port.h"
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

static tide_status checkpoints_check(struct tide_checkpoints *checkpoints, const char *name,
				     struct tide_error *err)
{
	return checkpoints ? name_check_projection(name, true, err)
			   : tide_fail(err, TIDE_ARGUMENT, "checkpoints is NULL");
}

/* Every call begins the same way: a handle, a name, a session. */
static tide_status checkpoints_begin(struct tide_checkpoints *checkpoints, const char *name,
				     void **ret_session, struct tide_error *err)
{
	tide_status status = checkpoints_check(checkpoints, name, err);
	return status == TIDE_OK ? store_borrow(checkpoints->database, ret_session, err) : status;
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

/* `ret_letters`, how many dead letters went along, may be NULL. */
static tide_status checkpoints_reset(struct tide_checkpoints *checkpoints, struct move *move,
				     int64_t *ret_letters, struct tide_error *err)
{
	tide_status status = checkpoints_check(checkpoints, move->name, err);
	if (status == TIDE_OK)
		status = move_make(checkpoints, move, err);
	if (status != TIDE_OK)
		return status;

	log_at(TIDE_LOG_NOTICE, "checkpoint",
	       move->anew->function ? "checkpoint reset with its read model" : "checkpoint reset",
	       "name='%s'", move->name);
	if (move->letters)
		log_at(TIDE_LOG_WARNING, "checkpoint",
		       "unresolved dead letters were deleted with their checkpoint",
		       "name='%s' count=%lld", move->name, (long long)move->letters);
	if (ret_letters)
		*ret_letters = move->letters;
	return TIDE_OK;
}

/* The row alone, and of a family all of it. */
tide_status tide_checkpoints_reset(struct tide_checkpoints *checkpoints, const char *name,
				   struct tide_error *err)
{
	static const struct checkpoints_anew forgets = { .from = -1 };
	struct move move = { .kind = MOVE_FORGET, .name = name, .anew = &forgets };
	return checkpoints_reset(checkpoints, &move, NULL, err);
}

tide_status checkpoints_begin_anew(struct tide_checkpoints *checkpoints, const char *name,
				   const struct checkpoints_anew *anew, int64_t *ret_letters,
				   struct tide_error *err)
{
	struct move move = { .kind = MOVE_ANEW, .name = name, .by = anew->by, .anew = anew };
	return checkpoints_reset(checkpoints, &move, ret_letters, err);
}

tide_status tide_checkpoints_reset_with(struct tide_checkpoints *checkpoints, const char *name,
					tide_status (*function)(void *self, void *connection,
								struct tide_error *err),
					void *self, struct tide_error *err)
{
	struct checkpoints_anew anew = {
		.function = function, .self = self, .from = -1, .detail = "with its read model"
	};
	tide_status status = checkpoints_need((const void *)(uintptr_t)function, err);
	return status == TIDE_OK ? checkpoints_begin_anew(checkpoints, name, &anew, NULL, err)
				 : status;
}

/* ---- What positions stand on ----------------------------------------------------------------- */

/** Sessions on a database and its feed. */
struct checkpoints_look {
	struct tide_checkpoints *checkpoints;
	void *session, *feed_session;
};

static tide_status checkpoints_look_begin(struct tide_checkpoints *checkpoints, const char *name,
					  struct checkpoints_look *ret, struct tide_error *err)
{
	*ret = (struct checkpoints_look){ .checkpoints = checkpoints };
	tide_status status = checkpoints_begin(checkpoints, name, &ret->session, err);
	if (status != TIDE_OK)
		return status;
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

/* `*ret_found`: there is such a row. */
static tide_status checkpoints_verify_row(struct checkpoints_look *look, const char *name,
					  bool *ret_found, struct tide_error *err)
{
	struct tide_checkpoints *checkpoints = look->checkpoints;
	struct tide_checkpoint row;
	struct tide_anchor found;
	struct anchor_look anchor = { checkpoints->feed, look->feed_session, checkpoints->database,
				      look->session, &row };
	tide_status status = port_load(checkpoints->database, look->session, name, &row, err);
	if (status != TIDE_OK)
		return status;
	*ret_found = true;
	return anchor_verify(&anchor, &found, err);
}

static tide_status checkpoints_verify_all(struct checkpoints_look *look,
					  const struct family_names *names, struct tide_error *err)
{
	bool is_found = false;
	tide_status status = TIDE_OK;
	for (size_t i = 0; i < names->count; i++) {
		status = checkpoints_verify_row(look, names->list[i], &is_found, err);
		if (status != TIDE_OK && status != TIDE_NOT_FOUND)
			return status;
	}
	return is_found ? TIDE_OK : status;
}

tide_status tide_checkpoints_verify(struct tide_checkpoints *checkpoints, const char *name,
				    struct tide_error *err)
{
	struct checkpoints_look look;
	struct family_names names;
	tide_status status = checkpoints_look_begin(checkpoints, name, &look, err);
	if (status != TIDE_OK)
		return status;
	status = family_names(checkpoints->database, look.session, name, &names, err);
	if (status == TIDE_OK) {
		status = checkpoints_verify_all(&look, &names, err);
		family_names_fini(&names);
	}
	checkpoints_look_end(&look, status);
	return status;
}

tide_status tide_checkpoints_accept(struct tide_checkpoints *checkpoints, const char *name,
				    struct tide_anchor *ret, struct tide_error *err)
{
	struct move move = { .kind = MOVE_ACCEPT, .name = name };
	tide_status status = checkpoints_check(checkpoints, name, err);
	if (status == TIDE_OK)
		status = move_make(checkpoints, &move, err);
	if (status != TIDE_OK)
		return status;

	log_at(TIDE_LOG_NOTICE, "checkpoint", "store accepted as it is",
	       "name='%s' position=%lld anchor=%lld", name, (long long)move.least,
	       (long long)move.anchor.position);
	if (ret)
		*ret = move.anchor;
	return TIDE_OK;
}

tide_status tide_checkpoints_rewind(struct tide_checkpoints *checkpoints, const char *name,
				    tide_position position, int64_t *ret_deleted,
				    struct tide_error *err)
{
	struct move move = { .kind = MOVE_BACK, .name = name, .to = position };
	if (position < 0)
		return tide_fail(err, TIDE_ARGUMENT, "position %lld is negative",
				 (long long)position);
	tide_status status = checkpoints_check(checkpoints, name, err);
	if (status == TIDE_OK)
		status = move_make(checkpoints, &move, err);
	if (status != TIDE_OK)
		return status;

	log_at(TIDE_LOG_NOTICE, "checkpoint", "checkpoint rewound",
	       "name='%s' position=%lld was=%lld dead_letters=%lld", name, (long long)position,
	       (long long)move.row.position, (long long)move.letters);
	if (ret_deleted)
		*ret_deleted = move.letters;
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

static tide_status checkpoints_find_owner(struct tide_checkpoints *checkpoints, void *session,
					  const char *name, bool *ret, struct tide_error *err)
{
	struct tide_group group;
	struct family_names names = { .lanes = 0 };
	bool is_owned = false;
	tide_status status = family_group(checkpoints->database, session, name, &group, err);
	if (status == TIDE_OK && group.lanes < 2)
		return port_lease_is_owned(checkpoints->database, session, name, ret, err);
	if (status == TIDE_OK)
		status = family_names(checkpoints->database, session, name, &names, err);
	for (uint32_t i = 0; status == TIDE_OK && !is_owned && i < names.lanes; i++)
		status = port_lease_is_owned(checkpoints->database, session, names.list[i],
					     &is_owned, err);
	family_names_fini(&names);
	if (status == TIDE_OK)
		*ret = is_owned;
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
	status = checkpoints_find_owner(checkpoints, session, name, ret, err);
	store_return(checkpoints->database, session, status);
	return status;
}

/** How far the ownerships of a name have been ended. */
struct checkpoints_ended {
	size_t all, done; /* ownerships of the name */
	bool is_found;    /* one of them was there */
};

/* Each by itself: what is ended stays so when a later one cannot be. */
static tide_status checkpoints_end_leases(struct tide_checkpoints *checkpoints, void *session,
					  const char *name, struct checkpoints_ended *ret,
					  struct tide_error *err)
{
	struct family_names names = { .count = 0 };
	tide_status status = family_names(checkpoints->database, session, name, &names, err);
	*ret = (struct checkpoints_ended){ .all = names.count };
	for (size_t i = 0; status == TIDE_OK && i < names.count; i++) {
		bool is_found = false;
		status = port_lease_end(checkpoints->database, session, names.list[i], &is_found,
					err);
		ret->done += status == TIDE_OK;
		ret->is_found = ret->is_found || is_found;
	}
	family_names_fini(&names);
	return status;
}

/* Also of one that failed half way: the owners that it had come to are fenced. */
static void checkpoints_tell_ended(struct tide_checkpoints *checkpoints, const char *name,
				   const struct checkpoints_ended *ended, tide_status status,
				   const struct tide_error *why)
{
	if (status == TIDE_OK) {
		journal_tell(checkpoints->database, NULL, "release", name, "%s", "");
		log_at(TIDE_LOG_NOTICE, "subscription", "ownership ended by a person", "name='%s'",
		       name);
		return;
	}
	journal_tell(checkpoints->database, NULL, "release", name,
		     "%zu of its %zu ownerships, and then: %s", ended->done, ended->all,
		     why->message);
	log_at(TIDE_LOG_WARNING, "subscription", "ownership ended by a person, but not all of it",
	       "name='%s' ended=%zu of=%zu error='%s'", name, ended->done, ended->all,
	       why->message);
}

tide_status tide_checkpoints_release(struct tide_checkpoints *checkpoints, const char *name,
				     struct tide_error *err)
{
	void *session;
	struct checkpoints_ended ended = { .all = 0 };
	struct tide_error why;
	tide_status status = checkpoints_begin(checkpoints, name, &session, err);

	if (status != TIDE_OK)
		return status;
	status = checkpoints_end_leases(checkpoints, session, name, &ended, &why);
	store_return(checkpoints->database, session, status);
	if (status == TIDE_OK && !ended.is_found)
		return tide_fail(err, TIDE_NOT_FOUND, "projection '%s' was never owned", name);
	if (ended.is_found)
		checkpoints_tell_ended(checkpoints, name, &ended, status, &why);
	if (status != TIDE_OK && err)
		*err = why;
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

tide_status checkpoints_lanes(struct tide_checkpoints *checkpoints, const char *name, uint32_t *ret,
			      struct tide_error *err)
{
	void *session;
	tide_status status = store_borrow(checkpoints->database, &session, err);
	if (status != TIDE_OK)
		return status;
	status = family_number(checkpoints->database, session, name, ret, err);
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

static tide_status checkpoints_find_slowest(const struct tide_store *database, void *session,
					    const char *name, uint32_t lanes,
					    struct tide_checkpoint *ret, struct tide_error *err)
{
	struct tide_checkpoint *rows ALLOC_AUTO = NULL;
	size_t count = 0;
	int64_t processed;
	tide_status status = port_list(database, session, &rows, &count, err);
	if (status != TIDE_OK)
		return status;
	const struct tide_checkpoint *slowest =
		family_slowest(name, lanes, rows, count, &processed);
	if (!slowest)
		return tide_fail(err, TIDE_NOT_FOUND, "'%.255s' has no checkpoint", name);
	*ret = *slowest;
	ret->events_processed = processed;
	return TIDE_OK;
}

/* While the row that its lanes inherit from is still there, it says nothing of where they are; and
 * theirs nothing of one that has no lanes any more. */
static tide_status checkpoints_choose_slowest(const struct tide_store *database, void *session,
					      const char *name, struct tide_checkpoint *ret,
					      struct tide_error *err)
{
	struct tide_group group;
	tide_status status = family_group(database, session, name, &group, err);
	if (status != TIDE_OK)
		return status;
	bool has_lanes = group.lanes > 1;
	status = has_lanes
			 ? checkpoints_find_slowest(database, session, name, group.lanes, ret, err)
			 : port_load(database, session, name, ret, err);
	if (status != TIDE_NOT_FOUND)
		return status;
	return has_lanes ? port_load(database, session, name, ret, err)
			 : checkpoints_find_slowest(database, session, name, 0, ret, err);
}

tide_status checkpoints_load_slowest(struct tide_checkpoints *checkpoints, const char *name,
				     struct tide_checkpoint *ret, struct tide_error *err)
{
	void *session;
	struct tide_checkpoint row;
	tide_status status = checkpoints_begin(checkpoints, name, &session, err);
	if (status != TIDE_OK)
		return status;
	status = checkpoints_choose_slowest(checkpoints->database, session, name, &row, err);
	store_return(checkpoints->database, session, status);
	if (status == TIDE_OK)
		*ret = row;
	return status;
}
