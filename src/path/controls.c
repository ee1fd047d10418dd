/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Durable pauses and the journal, as persons and programs ask for them.
 *
 * Happy path: one write makes or ends the pause and notes who did it; then everybody who waits on
 * the database's store is rung, and the managers among them look (supervise/controls.c).
 * Failure modes: the database is of an earlier version: refused, saying what completes it.
 */
#include "path/controls.h"

#include <string.h>

#include "core/text.h"
#include "path/journal.h"
#include "path/port.h"
#include "sys/alloc.h"
#include "sys/log.h"

/* ---- What may be asked ----------------------------------------------------------------------- */

static tide_status controls_check_note(const char *note, struct tide_error *err)
{
	size_t size = note ? strlen(note) : 0;
	if (size > TIDE_NOTE_MAX)
		return tide_fail(err, TIDE_ARGUMENT, "note has %zu bytes, expected at most %d",
				 size, TIDE_NOTE_MAX);
	if (note && !utf8_is_valid(note, size))
		return tide_fail(err, TIDE_ARGUMENT, "note is not UTF-8");
	for (size_t i = 0; i < size; i++)
		if ((unsigned char)note[i] < 0x20 || note[i] == 0x7f)
			return tide_fail(err, TIDE_ARGUMENT, "note has a control character");
	return TIDE_OK;
}

tide_status controls_check(const struct tide_checkpoints *checkpoints, const char *name,
			   const struct tide_control_request *request, struct tide_error *err)
{
	if (!checkpoints)
		return tide_fail(err, TIDE_ARGUMENT, "checkpoints is NULL");
	tide_status status = name_check_projection(name, true, err);
	if (status == TIDE_OK && request->reason != TIDE_PAUSE_MANUAL &&
	    request->reason != TIDE_PAUSE_MAINTENANCE)
		status = tide_fail(err, TIDE_ARGUMENT,
				   "reason is %d, expected manual or maintenance",
				   (int)request->reason);
	if (status == TIDE_OK && request->by)
		status = name_check_actor(request->by, "by", err);
	return status == TIDE_OK ? controls_check_note(request->note, err) : status;
}

/* ---- Pausing and resuming -------------------------------------------------------------------- */

static tide_status controls_set(struct tide_checkpoints *checkpoints, const char *name,
				const struct tide_control_request *request, bool is_pause,
				bool *ret_was_paused, struct tide_error *err)
{
	static const struct tide_control_request nobody;
	struct person person;
	if (!request)
		request = &nobody;
	tide_status status = controls_check(checkpoints, name, request, err);
	if (status != TIDE_OK)
		return status;

	person_find(&person);
	const char *note = request->note && *request->note ? request->note : NULL;
	struct tide_control_write write = {
		.is_pause = is_pause,
		.reason = tide_pause_reason_name(request->reason),
		.note = note,
		.journal = journal_entry(&person, request->by, is_pause ? "pause" : "resume", name,
					 note),
	};

	void *session;
	status = store_borrow(checkpoints->database, &session, err);
	if (status != TIDE_OK)
		return status;
	status = port_control_set(checkpoints->database, session, &write, ret_was_paused, err);
	store_return(checkpoints->database, session, status);
	if (status == TIDE_OK)
		notifier_ring(checkpoints->database->notifier, RING_CONTROL);
	return status;
}

tide_status tide_control_pause(struct tide_checkpoints *checkpoints, const char *name,
			       const struct tide_control_request *request, bool *ret_was_paused,
			       struct tide_error *err)
{
	bool was_paused;
	return controls_set(checkpoints, name, request, true,
			    ret_was_paused ? ret_was_paused : &was_paused, err);
}

tide_status tide_control_resume(struct tide_checkpoints *checkpoints, const char *name,
				const struct tide_control_request *request, bool *ret_was_paused,
				struct tide_error *err)
{
	bool was_paused;
	return controls_set(checkpoints, name, request, false,
			    ret_was_paused ? ret_was_paused : &was_paused, err);
}

/* ---- Reading --------------------------------------------------------------------------------- */

tide_status controls_load(const struct tide_store *database, void *session, const char *name,
			  struct tide_control **ret, size_t *ret_count, struct tide_error *err)
{
	struct tide_error why;
	tide_status status = port_control_list(database, session, ret, ret_count, &why);
	if (status == TIDE_UNSUPPORTED && name)
		log_at(TIDE_LOG_NOTICE, "subscription", "durable pauses cannot be seen",
		       "name='%s' error='%s'", name, why.message);
	if (status == TIDE_UNSUPPORTED)
		return TIDE_OK;
	if (status != TIDE_OK && err)
		*err = why;
	return status;
}

const struct tide_control *controls_find(const struct tide_control *list, size_t count,
					 const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(list[i].name, name) == 0)
			return &list[i];
	return NULL;
}

tide_status tide_controls_list(struct tide_checkpoints *checkpoints, struct tide_control **ret,
			       size_t *ret_count, struct tide_error *err)
{
	if (!checkpoints || !ret || !ret_count)
		return tide_fail(err, TIDE_ARGUMENT, "%s is NULL",
				 checkpoints ? "ret" : "checkpoints");
	void *session;
	struct tide_control *list;
	size_t count;
	tide_status status = store_borrow(checkpoints->database, &session, err);
	if (status != TIDE_OK)
		return status;

	status = controls_load(checkpoints->database, session, NULL, &list, &count, err);
	store_return(checkpoints->database, session, status);
	if (status != TIDE_OK)
		return status;
	*ret = list;
	*ret_count = count;
	return TIDE_OK;
}

tide_status tide_journal_list(struct tide_checkpoints *checkpoints, const char *name, int64_t limit,
			      struct tide_journal_entry **ret, size_t *ret_count,
			      struct tide_error *err)
{
	if (!checkpoints || !ret || !ret_count)
		return tide_fail(err, TIDE_ARGUMENT, "%s is NULL",
				 checkpoints ? "ret" : "checkpoints");
	if (limit < 0)
		return tide_fail(err, TIDE_ARGUMENT, "limit %lld is negative", (long long)limit);
	tide_status status = name ? name_check_projection(name, true, err) : TIDE_OK;
	if (status != TIDE_OK)
		return status;

	void *session;
	struct tide_journal_entry *list;
	size_t count;
	status = store_borrow(checkpoints->database, &session, err);
	if (status != TIDE_OK)
		return status;
	status = port_journal_list(checkpoints->database, session, name, limit > 0 ? limit : -1,
				   &list, &count, err);
	store_return(checkpoints->database, session, status);
	if (status != TIDE_OK)
		return status;
	*ret = list;
	*ret_count = count;
	return TIDE_OK;
}
