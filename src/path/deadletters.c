/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The dead-letter repository, as a user asks for it. Asking for a retry only marks the entry: its
 * subscription's owner, in whatever process it runs, finds the mark and delivers the event again
 * (path/redeliver.c).
 */
#include "path/checkpoints.h"
#include "path/journal.h"

#include "core/escape.h"
#include "core/event.h"
#include "core/text.h"
#include "path/port.h"
#include "sys/alloc.h"

#define DEAD_LETTER_LIMIT 100
#define DEAD_LETTER_DAY_US INT64_C(86400000000)

static void dead_letter_tell(struct tide_checkpoints *checkpoints, const char *by, const char *act,
			     const struct tide_dead_letter *entry)
{
	journal_tell(checkpoints->database, by, act, entry->projection_name, "dead letter %lld, %s",
		     (long long)entry->id, entry->event_type);
}

static tide_status dead_letters_begin(struct tide_checkpoints *checkpoints, const void *ret,
				      void **ret_session, struct tide_error *err)
{
	if (!checkpoints || !ret)
		return tide_fail(err, TIDE_ARGUMENT, "%s is NULL",
				 checkpoints ? "ret" : "checkpoints");
	return store_borrow(checkpoints->database, ret_session, err);
}

/* An event that the column cannot hold as it is, is kept as text. */
static tide_status dead_letter_write(const struct tide_store *database, void *session,
				     struct tide_dead_letter_write *write, int64_t *ret,
				     struct tide_error *err)
{
	tide_status status = port_dead_letter_add(database, session, NULL, write, ret, err);
	if (status != TIDE_ARGUMENT)
		return status;
	char *plain ALLOC_AUTO = NULL;
	status = event_plain_data(write->event_data, &plain, err);
	write->event_data = plain;
	return status == TIDE_OK ? port_dead_letter_add(database, session, NULL, write, ret, err)
				 : status;
}

/** The texts of an entry made from what a user gave. */
struct dead_letter_texts {
	char *data, *id, *message, *stacktrace;
};

static void dead_letter_texts_fini(struct dead_letter_texts *texts)
{
	tide_free(texts->data);
	tide_free(texts->id);
	tide_free(texts->message);
	tide_free(texts->stacktrace);
}

static tide_status dead_letter_prepare(const struct tide_event *event, const char *message,
				       const char *stacktrace, struct dead_letter_texts *ret,
				       struct tide_uuid *ret_id, struct tide_error *err)
{
	tide_status status = event_write_data(event, &ret->data, err);
	if (status == TIDE_OK)
		status = event_id_for_queue(event, ret_id, &ret->id, err);
	if (status == TIDE_OK)
		status = escape_text(tide_text(message), ESCAPE_UTF8, &ret->message, err);
	if (status == TIDE_OK && stacktrace)
		status = escape_text(tide_text(stacktrace), ESCAPE_UTF8, &ret->stacktrace, err);
	return status;
}

static tide_status dead_letter_add(struct tide_checkpoints *checkpoints,
				   struct tide_dead_letter_write *write, int64_t *ret,
				   struct tide_error *err)
{
	void *session;
	tide_status status = dead_letters_begin(checkpoints, ret, &session, err);
	if (status != TIDE_OK)
		return status;
	status = dead_letter_write(checkpoints->database, session, write, ret, err);
	store_return(checkpoints->database, session, status);
	return status;
}

tide_status tide_dead_letters_add(struct tide_checkpoints *checkpoints, const char *projection_name,
				  const struct tide_event *event, const char *message,
				  const char *stacktrace, int32_t retry_count, int64_t *ret,
				  struct tide_error *err)
{
	if (!event || !message)
		return tide_fail(err, TIDE_ARGUMENT, "%s is NULL", event ? "message" : "event");
	if (retry_count < 0)
		return tide_fail(err, TIDE_ARGUMENT, "retry_count %d is negative", retry_count);

	tide_status status = name_check_projection(projection_name, true, err);
	if (status != TIDE_OK)
		return status;

	struct dead_letter_texts texts = { 0 };
	char type[TIDE_NAME_MAX + 1];
	struct tide_dead_letter_write write = { .projection_name = projection_name,
						.event_type = type,
						.retry_count = retry_count,
						.now = tide_time_now() };
	text_take_name(event->event_type, type);
	status = dead_letter_prepare(event, message, stacktrace, &texts, &write.event_id, err);
	write.event_id_text = texts.id;
	write.event_data = texts.data;
	write.message = texts.message;
	write.stacktrace = texts.stacktrace;
	if (status == TIDE_OK)
		status = dead_letter_add(checkpoints, &write, ret, err);
	dead_letter_texts_fini(&texts);
	return status;
}

tide_status tide_dead_letters_list(struct tide_checkpoints *checkpoints,
				   const struct tide_dead_letter_query *query,
				   struct tide_dead_letter_list *ret, struct tide_error *err)
{
	const struct tide_dead_letter_query failed = { 0 };
	if (!query)
		query = &failed;
	if (query->limit.is_set && query->limit.value < 0)
		return tide_fail(err, TIDE_ARGUMENT, "limit %lld is negative",
				 (long long)query->limit.value);
	if (query->after_id < 0)
		return tide_fail(err, TIDE_ARGUMENT, "after_id %lld is negative",
				 (long long)query->after_id);
	if ((size_t)query->status > TIDE_DEAD_LETTER_RESOLVED)
		return tide_fail(err, TIDE_ARGUMENT, "status %d is no status", (int)query->status);

	struct tide_dead_letter_filter filter = { .projection_name = query->projection_name,
						  .limit = query->limit.is_set ? query->limit.value
									       : DEAD_LETTER_LIMIT,
						  .oldest_first = query->oldest_first,
						  .after_id = query->after_id };
	for (int status = 0; status < 3; status++)
		filter.statuses[status] = query->any_status || status == (int)query->status;
	void *session;
	tide_status status = dead_letters_begin(checkpoints, ret, &session, err);
	if (status != TIDE_OK)
		return status;

	*ret = (struct tide_dead_letter_list){ 0 };
	if (filter.limit > 0)
		status = port_dead_letter_list(checkpoints->database, session, &filter, ret, err);
	store_return(checkpoints->database, session, status);
	return status;
}

tide_status tide_dead_letters_get(struct tide_checkpoints *checkpoints, int64_t id,
				  struct tide_dead_letter_list *ret, struct tide_error *err)
{
	void *session;
	tide_status status = dead_letters_begin(checkpoints, ret, &session, err);
	if (status != TIDE_OK)
		return status;
	struct tide_dead_letter_list list = { 0 };
	status = port_dead_letter_get(checkpoints->database, session, id, &list, err);
	store_return(checkpoints->database, session, status);
	if (status == TIDE_OK)
		*ret = list;
	return status;
}

/* ---- Changes --------------------------------------------------------------------------------- */

static tide_status dead_letter_mark(struct tide_checkpoints *checkpoints, int64_t id,
				    struct tide_error *err)
{
	void *session;
	tide_status status = dead_letters_begin(checkpoints, &id, &session, err);
	if (status != TIDE_OK)
		return status;
	struct tide_dead_letter_change change = { .id = id,
						  .from = { [TIDE_DEAD_LETTER_FAILED] = true },
						  .to = TIDE_DEAD_LETTER_RETRYING,
						  .now = tide_time_now() };
	status = port_dead_letter_change(checkpoints->database, session, NULL, &change, err);
	store_return(checkpoints->database, session, status);
	return status;
}

tide_status tide_dead_letters_retry(struct tide_checkpoints *checkpoints, int64_t id,
				    struct tide_error *err)
{
	struct tide_dead_letter_list list = { 0 };
	tide_status status = tide_dead_letters_get(checkpoints, id, &list, err);
	if (status != TIDE_OK)
		return status;
	if (list.entries[0].parked_behind && list.entries[0].status == TIDE_DEAD_LETTER_FAILED)
		status = tide_fail(
			err, TIDE_STATE,
			"dead letter %lld is parked behind event %s: retry that one first",
			(long long)id, list.entries[0].parked_behind);
	if (status == TIDE_OK)
		status = dead_letter_mark(checkpoints, id, err);
	if (status == TIDE_OK) {
		/* an owner in this process need not wait for its poll */
		notifier_ring(checkpoints->feed->notifier, RING_MANUAL);
		dead_letter_tell(checkpoints, NULL, "retry", &list.entries[0]);
	}
	tide_dead_letters_free(&list);
	return status;
}

/* What waits behind an entry that is out of the way becomes due. The entry is: if this fails, the
 * owner of the subscription finds what waits for nothing at its next look. The result tells whether
 * the session can be used again. */
static tide_status dead_letters_made_due(struct tide_checkpoints *checkpoints, void *session,
					 const struct tide_dead_letter *entry)
{
	tide_status status =
		parked_make_due(checkpoints->database, session, NULL, entry, tide_time_now(), NULL);
	notifier_ring(checkpoints->feed->notifier, RING_MANUAL);
	return status;
}

tide_status tide_dead_letters_resolve(struct tide_checkpoints *checkpoints, int64_t id,
				      const char *by, struct tide_error *err)
{
	tide_status status = by ? name_check_actor(by, "resolved_by", err)
				: tide_fail(err, TIDE_ARGUMENT, "resolved_by is NULL");
	struct tide_dead_letter_list list = { 0 };
	if (status == TIDE_OK)
		status = tide_dead_letters_get(checkpoints, id, &list, err);
	void *session = NULL;
	if (status == TIDE_OK)
		status = dead_letters_begin(checkpoints, &id, &session, err);
	if (status == TIDE_OK) {
		struct tide_dead_letter_change change = {
			.id = id,
			.from = { [TIDE_DEAD_LETTER_FAILED] = true,
				  [TIDE_DEAD_LETTER_RETRYING] = true },
			.to = TIDE_DEAD_LETTER_RESOLVED,
			.resolved_by = by,
			.now = tide_time_now(),
		};
		status =
			port_dead_letter_change(checkpoints->database, session, NULL, &change, err);
		tide_status after = status;
		if (status == TIDE_OK)
			after = dead_letters_made_due(checkpoints, session, &list.entries[0]);
		store_return(checkpoints->database, session, after);
	}

	if (status == TIDE_OK)
		dead_letter_tell(checkpoints, by, "resolve", &list.entries[0]);
	tide_dead_letters_free(&list);
	return status;
}

tide_status tide_dead_letters_discard(struct tide_checkpoints *checkpoints, int64_t id,
				      struct tide_error *err)
{
	struct tide_dead_letter_list list = { 0 };
	tide_status status = tide_dead_letters_get(checkpoints, id, &list, err);
	void *session = NULL;
	if (status == TIDE_OK)
		status = dead_letters_begin(checkpoints, &id, &session, err);
	if (status == TIDE_OK) {
		status = port_dead_letter_discard(checkpoints->database, session, id, err);
		tide_status after = status;
		if (status == TIDE_OK)
			after = dead_letters_made_due(checkpoints, session, &list.entries[0]);
		store_return(checkpoints->database, session, after);
	}

	if (status == TIDE_OK)
		dead_letter_tell(checkpoints, NULL, "discard", &list.entries[0]);
	tide_dead_letters_free(&list);
	return status;
}

/* ---- Totals ---------------------------------------------------------------------------------- */

tide_status tide_dead_letters_stats(struct tide_checkpoints *checkpoints,
				    struct tide_dead_letter_stats *ret, struct tide_error *err)
{
	void *session;
	tide_status status = dead_letters_begin(checkpoints, ret, &session, err);
	if (status != TIDE_OK)
		return status;
	status = port_dead_letter_stats(checkpoints->database, session, ret, err);
	store_return(checkpoints->database, session, status);
	return status;
}

tide_status tide_dead_letters_counts(struct tide_checkpoints *checkpoints,
				     struct tide_dead_letter_count **ret, size_t *ret_count,
				     struct tide_error *err)
{
	void *session;
	tide_status status = dead_letters_begin(checkpoints, ret, &session, err);
	if (status != TIDE_OK)
		return status;
	status = port_dead_letter_counts(checkpoints->database, session, ret, ret_count, err);
	store_return(checkpoints->database, session, status);
	return status;
}

tide_status tide_dead_letters_purge(struct tide_checkpoints *checkpoints, int days, int64_t *ret,
				    struct tide_error *err)
{
	if (days < 0)
		return tide_fail(err, TIDE_ARGUMENT, "days %d is negative", days);
	void *session;
	tide_status status = dead_letters_begin(checkpoints, ret, &session, err);
	if (status != TIDE_OK)
		return status;

	/* With 0 days everything resolved so far goes, the present microsecond included. */
	struct tide_time before = { tide_time_now().unix_us + (days == 0) -
				    days * DEAD_LETTER_DAY_US };
	status = port_dead_letter_purge(checkpoints->database, session, before, ret, err);
	store_return(checkpoints->database, session, status);
	return status;
}
