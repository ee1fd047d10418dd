/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The line `-- append: STREAM TYPE` of a projection: read from the file, and made a stream of an
 * event.
 *
 * Happy path: `Shipment/:aggregate_id ShipmentRequested` names the stream by a parameter that is a
 * UUID, `Day/name:day-:tenant_id DayEnded` by a text with parameters in it.
 * Failure modes: what is wrong with it is told with its line, before any database sees the file; a
 * parameter that is NULL fails the event.
 */
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/json.h"
#include "core/text.h"
#include "project/sql_append.h"
#include "sys/alloc.h"

#define APPEND_FORM "STREAM TYPE, such as Shipment/:aggregate_id ShipmentRequested"

/* ---- Reading --------------------------------------------------------------------------------- */

static tide_status append_fail(const struct sql_script *script, const struct sql_append *append,
			       struct tide_error *err, const char *format, ...) TIDE_PRINTF(4, 5);

static tide_status append_fail(const struct sql_script *script, const struct sql_append *append,
			       struct tide_error *err, const char *format, ...)
{
	char message[400];
	va_list list;

	va_start(list, format);
	vsnprintf(message, sizeof message, format, list);
	va_end(list);
	return tide_fail(err, TIDE_ARGUMENT, "'%s' line %zu: %s", script->path, append->line,
			 message);
}

static size_t append_word(const char *text)
{
	size_t size = 0;

	while (isalnum((unsigned char)text[size]) || text[size] == '_')
		size++;
	return size;
}

static bool append_is_id(enum sql_field field)
{
	return field == SQL_EVENT_ID || field == SQL_AGGREGATE_ID || field == SQL_TENANT_ID ||
	       field == SQL_CORRELATION_ID || field == SQL_CAUSATION_ID;
}

/* The text behind `name:`; a colon with no word behind it is itself. */
static tide_status append_check_name(const struct sql_script *script,
				     const struct sql_append *append, struct tide_error *err)
{
	for (const char *at = append->name; *at; at++) {
		size_t size = *at == ':' ? append_word(at + 1) : 0;
		enum sql_field field = sql_field_find(at + 1, size);
		if (size > 0 && field == SQL_FIELD_COUNT)
			return append_fail(script, append, err, "unknown parameter ':%.*s'",
					   (int)size, at + 1);
		if (size > 0 && (field == SQL_PAYLOAD || field == SQL_METADATA))
			return append_fail(script, append, err, "':%.*s' cannot name a stream",
					   (int)size, at + 1);
	}
	return *append->name ? TIDE_OK
			     : append_fail(script, append, err, "'name:' needs a name behind it");
}

static tide_status append_read_id(const struct sql_script *script, struct sql_append *append,
				  const char *text, size_t size, struct tide_error *err)
{
	if (size > 5 && strncmp(text, "name:", 5) == 0) {
		append->name = alloc_text(text + 5, size - 5);
		return append->name ? append_check_name(script, append, err) : alloc_fail(err);
	}
	append->id = *text == ':' ? sql_field_find(text + 1, size - 1) : SQL_FIELD_COUNT;
	if (append_is_id(append->id))
		return TIDE_OK;
	return append_fail(script, append, err,
			   "'%.*s' names no stream: a parameter that is a UUID does, such as "
			   ":aggregate_id, or name:… with parameters",
			   (int)(size < 80 ? size : 80), text);
}

static tide_status append_take_type(const struct sql_script *script,
				    const struct sql_append *append, const char *text, size_t size,
				    const char *what, char **ret, struct tide_error *err)
{
	struct tide_error why;

	*ret = alloc_text(text, size);
	if (!*ret)
		return alloc_fail(err);
	tide_status status = name_check_type(*ret, what, &why);
	return status == TIDE_OK ? status : append_fail(script, append, err, "%s", why.message);
}

static tide_status append_read(const struct sql_script *script, struct sql_append *append,
			       const char *text, size_t size, struct tide_error *err)
{
	while (size > 0 && isspace((unsigned char)text[size - 1]))
		size--;
	while (size > 0 && isspace((unsigned char)*text)) {
		text++;
		size--;
	}
	size_t type = size, stream;
	while (type > 0 && !isspace((unsigned char)text[type - 1]))
		type--;
	for (stream = type; stream > 0 && isspace((unsigned char)text[stream - 1]); stream--)
		;
	const char *slash = memchr(text, '/', stream);
	if (!slash || slash + 1 == text + stream)
		return append_fail(script, append, err, "'append:' takes " APPEND_FORM);

	size_t kind = (size_t)(slash - text);
	tide_status status = append_take_type(script, append, text, kind, "aggregate_type",
					      &append->aggregate_type, err);
	if (status == TIDE_OK)
		status = append_take_type(script, append, text + type, size - type, "event_type",
					  &append->event_type, err);
	return status == TIDE_OK ? append_read_id(script, append, slash + 1, stream - kind - 1, err)
				 : status;
}

static void append_fini(struct sql_append *append)
{
	tide_free(append->aggregate_type);
	tide_free(append->event_type);
	tide_free(append->name);
}

tide_status sql_append_read(struct sql_script *script, size_t line, const char *text, size_t size,
			    struct tide_error *err)
{
	struct sql_append append = { .line = line };
	struct sql_append *appends =
		alloc_resize(script->appends, script->append_count + 1, sizeof *appends);

	if (!appends)
		return alloc_fail(err);
	script->appends = appends;
	tide_status status = append_read(script, &append, text, size, err);
	if (status == TIDE_OK)
		appends[script->append_count++] = append;
	else
		append_fini(&append);
	return status;
}

void sql_appends_free(struct sql_script *script)
{
	for (size_t i = 0; i < script->append_count; i++)
		append_fini(&script->appends[i]);
	tide_free(script->appends);
	script->appends = NULL;
	script->append_count = 0;
}

/* ---- A stream -------------------------------------------------------------------------------- */

static void append_add_value(struct buffer *text, const struct sql_value *value)
{
	if (value->is_integer)
		buffer_format(text, "%lld", (long long)value->integer);
	else
		buffer_add(text, value->text.data, value->text.size);
}

static tide_status append_fail_null(const struct sql_script *script,
				    const struct sql_append *append, const char *name, size_t size,
				    struct tide_error *err)
{
	return tide_fail(err, TIDE_HANDLER_PERMANENT,
			 "'%s' line %zu: ':%.*s' is NULL and names no stream", script->path,
			 append->line, (int)size, name);
}

static tide_status append_name(const struct sql_script *script, const struct sql_append *append,
			       const struct tide_event *event, struct tide_uuid *ret,
			       struct tide_error *err)
{
	char scratch[SQL_SCRATCH_SIZE], *name ALLOC_AUTO = NULL;
	struct buffer text = { 0 };

	for (const char *at = append->name; *at; at++) {
		size_t size = *at == ':' ? append_word(at + 1) : 0;
		if (size == 0) {
			buffer_add(&text, at, 1);
			continue;
		}
		struct sql_value value =
			sql_field_value(sql_field_find(at + 1, size), event, scratch);
		if (value.is_null) {
			buffer_fini(&text);
			return append_fail_null(script, append, at + 1, size, err);
		}
		append_add_value(&text, &value);
		at += size;
	}
	tide_status status = buffer_take(&text, &name, err);
	if (status == TIDE_OK)
		*ret = tide_uuid_v5(NULL, name);
	return status;
}

tide_status sql_append_stream(const struct sql_script *script, const struct sql_append *append,
			      const struct tide_event *event, struct tide_stream *ret,
			      struct tide_error *err)
{
	char scratch[SQL_SCRATCH_SIZE];

	ret->aggregate_type = append->aggregate_type;
	if (append->name)
		return append_name(script, append, event, &ret->aggregate_id, err);
	struct sql_value value = sql_field_value(append->id, event, scratch);
	if (value.is_null)
		return append_fail_null(script, append, sql_field_name(append->id),
					strlen(sql_field_name(append->id)), err);
	return tide_uuid_parse(value.text.data, &ret->aggregate_id, err);
}
