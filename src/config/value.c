/* SPDX-License-Identifier: Apache-2.0 */
/* The settings as a table, and texts as their values. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "core/value.h"
#include "path/knobs.h"
#include "sys/alloc.h"

/* ---- The table ------------------------------------------------------------------------------- */

typedef struct config_daemon of_daemon;
typedef struct config_store of_store;
typedef struct config_projection of_projection;
typedef struct tide_health_config of_health;

/* clang-format off */
const struct setting settings[] = {
#define SETTING(section_, key_, kind_, member, fallback_, text_) \
	{ .section = #section_, .key = #key_, .kind = SETTING_##kind_, .place = offsetof(of_##section_, member), \
	  .fallback = fallback_, .text = text_ },
#include "config/settings.def"
#undef SETTING
};
/* clang-format on */
const size_t setting_count = sizeof settings / sizeof *settings;

const struct setting *setting_find(const char *section, const char *key)
{
	for (size_t i = 0; i < setting_count; i++)
		if (strcmp(settings[i].section, section) == 0 && strcmp(settings[i].key, key) == 0)
			return &settings[i];
	return NULL;
}

/* ---- Texts as values ------------------------------------------------------------------------- */

tide_status value_read_list(const char *text, const char ***ret, struct tide_error *err)
{
	size_t size = strlen(text), most = 2, count = 0;
	for (const char *at = text; *at; at++)
		most += *at == ',';
	const char **list = alloc_zero(1, most * sizeof *list + size + 1);
	if (!list)
		return alloc_fail(err);

	char *words = memcpy((char *)(list + most), text, size + 1), *rest = words, *word;
	while ((word = strsep(&rest, ","))) {
		word += strspn(word, " \t");
		size_t length = strlen(word);
		while (length > 0 && strchr(" \t", word[length - 1]))
			word[--length] = '\0';
		if (length > 0)
			list[count++] = word;
	}

	*ret = list;
	return TIDE_OK;
}

/* One word, its quotes and backslashes taken off; where it ends, NULL when a quote does not. */
static const char *value_take_word(const char *at, char **to)
{
	char quote = '\0';
	for (; *at && (quote || !strchr(" \t", *at)); at++) {
		bool is_escape = *at == '\\' && quote != '\'' && at[1];
		if (is_escape)
			at++;
		else if (!quote && strchr("'\"", *at)) {
			quote = *at;
			continue;
		} else if (*at == quote) {
			quote = '\0';
			continue;
		}
		*(*to)++ = *at;
	}
	*(*to)++ = '\0';
	return quote ? NULL : at;
}

tide_status value_read_words(const char *text, const char ***ret, struct tide_error *err)
{
	size_t size = strlen(text), most = size / 2 + 2, count = 0;
	const char **list = alloc_zero(1, most * sizeof *list + size + 1);
	if (!list)
		return alloc_fail(err);

	char *to = (char *)(list + most);
	const char *at = text + strspn(text, " \t");
	while (at && *at) {
		list[count++] = to;
		at = value_take_word(at, &to);
		if (at)
			at += strspn(at, " \t");
	}
	if (at && count > 0 && *list[0]) {
		*ret = list;
		return TIDE_OK;
	}
	tide_free(list);
	return tide_fail(err, TIDE_ARGUMENT, at ? "is empty" : "has a quote without its end");
}

/* One ${…}; `*at` moves behind it. */
static tide_status value_expand_one(const char **at, struct buffer *out, struct tide_error *err)
{
	const char *name = *at + 2, *end = strchr(name, '}');
	if (!end)
		return tide_fail(err, TIDE_ARGUMENT, "a '${' has no '}'");

	size_t size = (size_t)(end - name), length = 0;
	while (length < size &&
	       (name[length] == '_' || (name[length] >= '0' && name[length] <= '9') ||
		((name[length] | 32) >= 'a' && (name[length] | 32) <= 'z')))
		length++;
	bool has_default = size - length >= 2 && memcmp(name + length, ":-", 2) == 0;
	if (length == 0 || (length < size && !has_default))
		return tide_fail(err, TIDE_ARGUMENT,
				 "'${%.*s}' is neither ${VARIABLE} nor ${VARIABLE:-default}",
				 (int)(length < 60 ? length : 60), name);

	char *variable ALLOC_AUTO = alloc_text(name, length);
	if (!variable)
		return alloc_fail(err);

	const char *value = getenv(variable);
	if (has_default && (!value || !*value))
		buffer_add(out, name + length + 2, size - length - 2);
	else if (value)
		buffer_add(out, value, strlen(value));
	else
		return tide_fail(err, TIDE_ARGUMENT, "the environment has no variable %.100s",
				 variable);
	*at = end + 1;
	return TIDE_OK;
}

tide_status value_expand(const char *text, char **ret, struct tide_error *err)
{
	struct buffer out = { 0 };
	const char *at = text;
	tide_status status = TIDE_OK;
	buffer_add(&out, "", 0);
	while (status == TIDE_OK && *at) {
		const char *next = strstr(at, "${");
		size_t size = next ? (size_t)(next - at) : strlen(at);
		buffer_add(&out, at, size);
		at += size;
		if (next)
			status = value_expand_one(&at, &out, err);
	}

	if (status == TIDE_OK)
		return buffer_take(&out, ret, err);
	buffer_fini(&out);
	return status;
}

static tide_status value_choose(const char *text, const char *const *names, const char *all,
				int *ret, struct tide_error *err)
{
	for (int i = 0; names[i]; i++)
		if (strcmp(names[i], text) == 0) {
			*ret = i;
			return TIDE_OK;
		}
	return tide_fail(err, TIDE_ARGUMENT, "'%.200s' is none of %s", text, all);
}

static tide_status value_read_format(const char *text, bool *ret, struct tide_error *err)
{
	static const char *const names[] = { "text", "json", NULL };
	int which = 0;
	tide_status status = value_choose(text, names, "text, json", &which, err);
	if (status == TIDE_OK)
		*ret = which == 1;
	return status;
}

static tide_status value_read_on_error(const char *text, struct tide_subscription_config *config,
				       struct tide_error *err)
{
	static const char *const names[] = { "dead-letter", "stop", "discard", NULL };
	int which = 0;
	tide_status status = value_choose(text, names, "dead-letter, stop, discard", &which, err);
	if (status != TIDE_OK)
		return status;
	config->continue_on_error = which != 1;
	config->discard_failed_events = which == 2;
	return TIDE_OK;
}

static tide_status value_read_from(const char *text, struct tide_subscription_config *config,
				   struct tide_error *err)
{
	config->start_from_initially = true;
	return knob_read(knob_find("start_from"), text, config, err);
}

/* A number of the daemon's own: 0 or more. */
static tide_status value_check_number(double number, const char *text, struct tide_error *err)
{
	if (number >= 0)
		return TIDE_OK;
	return tide_fail(err, TIDE_ARGUMENT, "is %.100s, expected 0 or more", text);
}

tide_status setting_read(const struct setting *setting, const char *text, void *section,
			 struct tide_error *err)
{
	void *at = (char *)section + setting->place;
	tide_status status;
	double number;
	int64_t count;

	switch (setting->kind) {
	case SETTING_TEXT:
		if (!*text)
			return tide_fail(err, TIDE_ARGUMENT, "is empty");
		*(char **)at = alloc_text(text, strlen(text));
		return *(char **)at ? TIDE_OK : alloc_fail(err);
	case SETTING_SECONDS:
	case SETTING_REAL:
		status = setting->kind == SETTING_REAL ? value_read_real(text, &number, err)
						       : value_read_seconds(text, &number, err);
		if (status == TIDE_OK)
			status = value_check_number(number, text, err);
		if (status == TIDE_OK)
			*(double *)at = number;
		return status;
	case SETTING_COUNT:
		status = value_read_integer(text, &count, err);
		if (status == TIDE_OK)
			status = value_check_number((double)count, text, err);
		if (status == TIDE_OK)
			*(int64_t *)at = count;
		return status;
	case SETTING_FLAG:
		return value_read_flag(text, at, err);
	case SETTING_HOLD:
		return value_read_flag(
			text, &((struct tide_subscription_config *)at)->hold_aggregate_on_failure,
			err);
	case SETTING_WORDS:
		return value_read_words(text, at, err);
	case SETTING_LEVELS:
		return log_levels_read(text, at, err);
	case SETTING_FORMAT:
		return value_read_format(text, at, err);
	case SETTING_FROM:
		return value_read_from(text, at, err);
	case SETTING_ON_ERROR:
		return value_read_on_error(text, at, err);
	}
	return TIDE_OK;
}
