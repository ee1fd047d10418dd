/* SPDX-License-Identifier: Apache-2.0 */
/* Causes as values: their names, their evidence, and both as JSON. */
#include "policy/why.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/text.h"

static const char *const why_causes[TIDE_CAUSE_COUNT] = {
#define WHY_NAME(constant, wire) [TIDE_CAUSE_##constant] = (wire),
	TIDE_CAUSES(WHY_NAME)
#undef WHY_NAME
};

const char *tide_cause_name(enum tide_cause cause)
{
	return (unsigned)cause < TIDE_CAUSE_COUNT ? why_causes[cause] : "unknown";
}

/* What stands behind another one explains it, or needs a person more. */
static const enum tide_cause why_order[TIDE_CAUSE_COUNT] = {
	TIDE_CAUSE_STANDING_BY, /* those are others', and say nothing of this process's */
	TIDE_CAUSE_LIVE,
	TIDE_CAUSE_CATCHING_UP,
	TIDE_CAUSE_STARTING,
	TIDE_CAUSE_SLOW_HANDLER,
	TIDE_CAUSE_HANDLER_RUNNING,
	TIDE_CAUSE_CAREFUL,
	TIDE_CAUSE_RETRYING,
	TIDE_CAUSE_AGGREGATE_HELD,
	TIDE_CAUSE_OPEN_APPEND,
	TIDE_CAUSE_BLOCKED,
	TIDE_CAUSE_PAUSED,
	TIDE_CAUSE_NOT_RUN,
	TIDE_CAUSE_STOPPED,
	TIDE_CAUSE_DIED,
	TIDE_CAUSE_LANE_UNOWNED,
	TIDE_CAUSE_HANDLER_STUCK,
	TIDE_CAUSE_HANDLER_BREAKER,
	TIDE_CAUSE_DATABASE_AWAY,
	TIDE_CAUSE_DISK_FULL,
	TIDE_CAUSE_FAILED_EVENT,
	TIDE_CAUSE_FILE_CHANGED,
	TIDE_CAUSE_ERROR,
	TIDE_CAUSE_DIVERGED,
};

int why_weight(enum tide_cause cause)
{
	int at = 0;
	while (at < TIDE_CAUSE_COUNT && why_order[at] != cause)
		at++;
	return at;
}

/* ---- Evidence -------------------------------------------------------------------------------- */

const struct tide_evidence *tide_why_evidence(const struct tide_why *why, const char *key)
{
	for (size_t i = 0; why && key && i < why->evidence_count; i++)
		if (strcmp(why->evidence[i].key, key) == 0)
			return &why->evidence[i];
	return NULL;
}

/* What is told twice keeps its first value: the more specific look comes first. */
static struct tide_evidence *why_add(struct tide_why *why, const char *key)
{
	assert(why->evidence_count <= TIDE_EVIDENCE_MAX);
	assert(strlen(key) < sizeof why->evidence[0].key);
	if (why->evidence_count == TIDE_EVIDENCE_MAX || tide_why_evidence(why, key))
		return NULL;
	struct tide_evidence *evidence = &why->evidence[why->evidence_count++];
	*evidence = (struct tide_evidence){ 0 };
	snprintf(evidence->key, sizeof evidence->key, "%s", key);
	return evidence;
}

static void why_set_text(struct tide_evidence *evidence, const char *text)
{
	size_t size = utf8_cut(text, strlen(text), sizeof evidence->text - 1);
	memcpy(evidence->text, text, size);
	evidence->text[size] = '\0';
	text_make_line(evidence->text);
}

void why_add_text(struct tide_why *why, const char *key, const char *text)
{
	struct tide_evidence *evidence = text && *text ? why_add(why, key) : NULL;
	if (evidence)
		why_set_text(evidence, text);
}

void why_add_number(struct tide_why *why, const char *key, double number)
{
	struct tide_evidence *evidence = why_add(why, key);
	if (!evidence)
		return;
	evidence->is_number = true;
	evidence->number = number;
	snprintf(evidence->text, sizeof evidence->text, number == floor(number) ? "%.0f" : "%.1f",
		 number);
}

void why_add_time(struct tide_why *why, const char *key, struct tide_time time)
{
	char text[TIDE_TIME_TEXT_SIZE];
	why_add_text(why, key, tide_time_format(time, text));
}

void why_add_uuid(struct tide_why *why, const char *key, const struct tide_uuid *uuid)
{
	char text[TIDE_UUID_TEXT_SIZE];
	if (!tide_uuid_is_nil(uuid))
		why_add_text(why, key, tide_uuid_format(uuid, text));
}

void why_add_error(struct tide_why *why, const struct tide_error *error)
{
	why_add_text(why, "error", error->message);
	why_add_text(why, "error_name", tide_status_name(error->status));
}

void why_set_since(struct tide_why *why, struct tide_time since)
{
	why->has_since = true;
	why->since = since;
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static void why_write_evidence(struct buffer *buffer, const struct tide_why *why)
{
	json_key(buffer, "evidence");
	json_open(buffer, '{');
	for (size_t i = 0; i < why->evidence_count; i++) {
		const struct tide_evidence *evidence = &why->evidence[i];
		json_key(buffer, evidence->key);
		if (evidence->is_number)
			json_number(buffer, evidence->number, -1);
		else
			json_string(buffer, evidence->text);
	}
	json_close(buffer, '}');
}

static void why_write_head(struct buffer *buffer, const struct tide_why *why)
{
	json_add_string(buffer, "cause", tide_cause_name(why->cause));
	json_add_string(buffer, "state", tide_state_name(why->state));
	json_add_time(buffer, "since", why->has_since, why->since);
}

void why_write(struct buffer *buffer, const struct tide_why *why)
{
	json_open(buffer, '{');
	why_write_head(buffer, why);
	why_write_evidence(buffer, why);
	json_close(buffer, '}');
}

tide_status tide_why_json(const struct tide_why *why, char **ret, struct tide_error *err)
{
	if (!why || !ret)
		return tide_fail(err, TIDE_ARGUMENT, "%s is NULL", why ? "ret" : "why");
	struct buffer buffer = { 0 };

	json_open(&buffer, '{');
	json_add_string(&buffer, "projection_name", why->name);
	why_write_head(&buffer, why);
	json_add_string(&buffer, "reason", why->reason);
	why_write_evidence(&buffer, why);
	json_add_string(&buffer, "advice", *why->advice ? why->advice : NULL);
	json_close(&buffer, '}');
	return buffer_take(&buffer, ret, err);
}

/* A string's or key's text in a buffer of ours; false: it does not fit. */
static bool why_take(const struct json_token *token, char *ret, size_t size)
{
	if (token->text.size >= size)
		return false;
	json_unescape(token, ret);
	return true;
}

static bool why_read_cause(const struct json_token *token, struct tide_why *ret)
{
	unsigned cause = 0;
	while (cause < TIDE_CAUSE_COUNT && !json_equals(token, why_causes[cause]))
		cause++;
	ret->cause = (enum tide_cause)cause;
	return cause < TIDE_CAUSE_COUNT;
}

static bool why_read_state(const struct json_token *token, struct tide_why *ret)
{
	int state = TIDE_STATE_STARTING;
	while (state <= TIDE_STATE_ERROR &&
	       !json_equals(token, tide_state_name((enum tide_state)state)))
		state++;
	ret->state = (enum tide_state)state;
	return state <= TIDE_STATE_ERROR;
}

static bool why_read_evidence(struct json_reader *reader, struct tide_why *ret)
{
	char key[sizeof ret->evidence->key], text[2 * sizeof ret->evidence->text];
	double number;

	for (;;) {
		struct json_token token = json_next(reader);
		if (token.kind == JSON_OBJECT_END)
			return true;
		if (token.kind != JSON_KEY || !why_take(&token, key, sizeof key))
			return false;
		token = json_next(reader);
		if (token.kind == JSON_NUMBER && json_double(&token, &number))
			why_add_number(ret, key, number);
		else if (token.kind == JSON_STRING && why_take(&token, text, sizeof text))
			why_add_text(ret, key, text);
		else
			return false;
	}
}

/* The value of a member; false: it is not what it has to be. */
static bool why_read_member(struct json_reader *reader, const struct json_token *key,
			    struct tide_why *ret)
{
	char text[64];
	struct json_token token = json_next(reader);
	if (json_equals(key, "cause"))
		return token.kind == JSON_STRING && why_read_cause(&token, ret);
	if (json_equals(key, "state"))
		return token.kind == JSON_STRING && why_read_state(&token, ret);
	if (json_equals(key, "evidence"))
		return token.kind == JSON_OBJECT && why_read_evidence(reader, ret);
	if (json_equals(key, "since") && token.kind == JSON_STRING)
		ret->has_since = why_take(&token, text, sizeof text) &&
				 time_read(text, strlen(text), &ret->since);
	return json_skip(reader, token, NULL);
}

bool why_read(const char *text, struct tide_why *ret)
{
	struct json_reader reader;
	*ret = (struct tide_why){ .cause = TIDE_CAUSE_COUNT };
	json_read(&reader, text, strlen(text));
	struct json_token token = json_next(&reader);
	if (token.kind != JSON_OBJECT)
		return false;

	while ((token = json_next(&reader)).kind == JSON_KEY)
		if (!why_read_member(&reader, &token, ret))
			return false;
	return token.kind == JSON_OBJECT_END && ret->cause < TIDE_CAUSE_COUNT;
}

/* ---- Ends ------------------------------------------------------------------------------------ */

bool why_has_ended(const struct tide_lease_info *lease)
{
	struct tide_why told;
	if (!lease->has_last_error)
		return false;
	/* who acquires it clears the word of the run before, whatever clocks did meanwhile */
	return why_read(lease->reason, &told)
		       ? told.state == TIDE_STATE_ERROR
		       : lease->last_error_at.unix_us >= lease->acquired_at.unix_us;
}

bool why_read_end(const struct tide_lease_info *lease, struct tide_why *ret)
{
	if (!why_has_ended(lease))
		return false;
	if (why_read(lease->reason, ret) && ret->state == TIDE_STATE_ERROR)
		return true;
	*ret = (struct tide_why){ .cause = TIDE_CAUSE_ERROR, .state = TIDE_STATE_ERROR };
	why_set_since(ret, lease->last_error_at);
	why_add_text(ret, "error", lease->last_error);
	return true;
}
