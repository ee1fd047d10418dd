/* SPDX-License-Identifier: Apache-2.0 */
/* Dead letters, and the journal of what persons did. */
#include <string.h>

#include "core/records.h"
#include "http/api.h"
#include "sys/alloc.h"

#define LETTERS_AT_ONCE 8

/* ---- Lists ----------------------------------------------------------------------------------- */

static bool letters_read_query(struct http_job *job, struct tide_dead_letter_query *ret)
{
	static const char *const statuses[] = { "failed", "retrying", "resolved", "any", NULL };
	struct tide_bound after;
	int64_t limit;
	int status;

	if (!api_word(job, "status", statuses, &status) || !api_limit(job, &limit) ||
	    !api_number(job, "after", 0, INT64_MAX, &after))
		return false;
	*ret = (struct tide_dead_letter_query){
		.projection_name = target_parameter(&job->target, "projection"),
		.status =
			status < 3 ? (enum tide_dead_letter_status)status : TIDE_DEAD_LETTER_FAILED,
		.any_status = status == 3,
		.limit = tide_bound(limit),
		.oldest_first = true,
		.after_id = after.value,
	};
	return true;
}

/* A few at a time, since each has the data of its event. `*ret_next` is where the next page goes
 * on, 0: this is the last one. */
static tide_status letters_add(const struct api_call *call, struct tide_dead_letter_query query,
			       struct buffer *body, int64_t *ret_next, struct tide_error *err)
{
	int64_t left = query.limit.value;
	tide_status status = TIDE_OK;
	bool is_last = left == 0;

	while (status == TIDE_OK && left > 0 && !is_last && body->size < API_PAGE_BYTES) {
		struct tide_dead_letter_list list = { 0 };
		size_t shown = 0, asked = left < LETTERS_AT_ONCE ? (size_t)left : LETTERS_AT_ONCE;
		query.limit = tide_bound((int64_t)asked);
		status = tide_dead_letters_list(call->checkpoints, &query, &list, err);
		for (; shown < list.count && body->size < API_PAGE_BYTES; shown++) {
			dead_letter_write_json(body, &list.entries[shown]);
			query.after_id = list.entries[shown].id;
		}
		is_last = shown == list.count && list.count < asked;
		left -= (int64_t)shown;
		tide_dead_letters_free(&list);
	}
	*ret_next = is_last ? 0 : query.after_id;
	return status;
}

void route_dead_letters(struct http_job *job)
{
	struct tide_dead_letter_query query;
	struct tide_error err;
	struct api_call call;
	int64_t next;

	if (!letters_read_query(job, &query) || !api_begin(job, &call))
		return;
	struct buffer *body = api_answer(job);
	json_open(body, '{');
	json_key(body, "dead_letters");
	json_open(body, '[');
	tide_status status = letters_add(&call, query, body, &next, &err);
	json_close(body, ']');
	json_key(body, "next");
	if (next > 0)
		json_integer(body, next);
	else
		json_null(body);
	json_close(body, '}');
	api_close(job);
	if (status != TIDE_OK)
		reply_fail(&job->reply, &err, NULL);
	api_end(&call);
}

static bool letter_id(struct http_job *job, int64_t *ret)
{
	const char *text = route_part(job, 0);
	struct json_token token = { .kind = JSON_NUMBER, .text = tide_text(text) };
	if (strspn(text, "0123456789") == token.text.size && json_int(&token, ret))
		return true;
	return api_refuse(job, "id '%.64s' is no number", text);
}

void route_dead_letter(struct http_job *job)
{
	struct tide_dead_letter_list list = { 0 };
	struct tide_error err;
	struct api_call call;
	int64_t id;

	if (!letter_id(job, &id) || !api_begin(job, &call))
		return;
	if (tide_dead_letters_get(call.checkpoints, id, &list, &err) == TIDE_OK) {
		dead_letter_write_json(api_answer(job), &list.entries[0]);
		api_close(job);
	} else {
		reply_fail(&job->reply, &err, NULL);
	}
	tide_dead_letters_free(&list);
	api_end(&call);
}

/* ---- What is done with them ------------------------------------------------------------------ */

static void letter_answer(struct http_job *job, int64_t id, const char *status)
{
	struct buffer *body = api_answer(job);
	json_open(body, '{');
	json_add_integer(body, "id", id);
	json_add_string(body, "status", status);
	json_close(body, '}');
	api_close(job);
}

/* `done` is what it is called then. */
static void letter_change(struct http_job *job, const char *done,
			  tide_status (*change)(struct tide_checkpoints *checkpoints, int64_t id,
						const char *by, struct tide_error *err))
{
	struct api_member by = { .name = "by" };
	struct tide_error err;
	struct api_call call;
	int64_t id;

	if (!letter_id(job, &id) || !api_body(job, &by, 1))
		return;
	if (api_begin(job, &call)) {
		if (change(call.checkpoints, id, by.text ? by.text : "http", &err) == TIDE_OK)
			letter_answer(job, id, done);
		else
			reply_fail(&job->reply, &err, NULL);
		api_end(&call);
	}
	api_free_members(&by, 1);
}

static tide_status letter_retry(struct tide_checkpoints *checkpoints, int64_t id, const char *by,
				struct tide_error *err)
{
	(void)by;
	return tide_dead_letters_retry(checkpoints, id, err);
}

static tide_status letter_discard(struct tide_checkpoints *checkpoints, int64_t id, const char *by,
				  struct tide_error *err)
{
	(void)by;
	return tide_dead_letters_discard(checkpoints, id, err);
}

void route_letter_retry(struct http_job *job)
{
	letter_change(job, "retrying", letter_retry);
}

void route_letter_resolve(struct http_job *job)
{
	letter_change(job, "resolved", tide_dead_letters_resolve);
}

void route_letter_discard(struct http_job *job)
{
	letter_change(job, "discarded", letter_discard);
}

/* ---- The journal ----------------------------------------------------------------------------- */

void route_journal(struct http_job *job)
{
	const char *name = target_parameter(&job->target, "name");
	struct tide_journal_entry *list ALLOC_AUTO = NULL;
	size_t count = 0;
	struct tide_error err;
	struct api_call call;
	int64_t limit;

	if (!api_limit(job, &limit) || !api_begin(job, &call))
		return;
	tide_status status =
		limit == 0 ? TIDE_OK
			   : tide_journal_list(call.checkpoints, name, limit, &list, &count, &err);
	if (status == TIDE_OK) {
		struct buffer *body = api_answer(job);
		json_open(body, '{');
		json_key(body, "journal");
		json_open(body, '[');
		for (size_t i = 0; i < count; i++)
			journal_write_json(body, &list[i]);
		json_close(body, ']');
		json_close(body, '}');
		api_close(job);
	} else {
		reply_fail(&job->reply, &err, NULL);
	}
	api_end(&call);
}
