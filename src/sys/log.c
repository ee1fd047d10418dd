/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/text.h"
#include "sys/mutex.h"

#define LOG_FIELDS_SIZE 2048

static const char *const log_names[] = {
	[TIDE_LOG_DEBUG] = "debug",   [TIDE_LOG_INFO] = "info",
	[TIDE_LOG_NOTICE] = "notice", [TIDE_LOG_WARNING] = "warning",
	[TIDE_LOG_ERROR] = "error",   [TIDE_LOG_CRITICAL] = "critical",
};

static void log_to_stderr(void *self, const struct tide_log_line *line)
{
	(void)self;
	char now[TIDE_TIME_TEXT_SIZE];
	fprintf(stderr, "%s %s %s: %s%s%s\n", tide_time_format(tide_time_now(), now),
		tide_log_level_name(line->level), line->component, line->message,
		*line->fields ? " " : "", line->fields);
}

static struct {
	atomic_int level; /* atomic */
	/* under lock */
	struct mutex lock;
	tide_log_sink *sink;
	void *self;
} log_target = { .level = TIDE_LOG_WARNING,
		 .lock = MUTEX_STATIC(LOCK_SINK),
		 .sink = log_to_stderr };

void tide_log_set(tide_log_sink *sink, void *self, enum tide_log_level level)
{
	mutex_lock(&log_target.lock);
	log_target.sink = sink ? sink : log_to_stderr;
	log_target.self = sink ? self : NULL;
	atomic_store(&log_target.level, level);
	mutex_unlock(&log_target.lock);
}

const char *tide_log_level_name(enum tide_log_level level)
{
	return (unsigned)level <= TIDE_LOG_CRITICAL ? log_names[level] : "critical";
}

/** Fields being written; what does not fit is left out. */
struct log_fields {
	char text[LOG_FIELDS_SIZE];
	size_t size;
};

static void log_add(struct log_fields *fields, const char *text, size_t size)
{
	size_t left = sizeof fields->text - 1 - fields->size;
	size = size < left ? size : left;
	memcpy(fields->text + fields->size, text, size);
	fields->size += size;
	fields->text[fields->size] = '\0';
}

/* A value between quotes: what would end it is escaped, so that the line can be taken apart
 * again. */
static void log_add_quoted(struct log_fields *fields, const char *text)
{
	for (; *text; text++) {
		if (*text == '\'' || *text == '\\')
			log_add(fields, "\\", 1);
		log_add(fields, text, 1);
	}
}

/* One conversion of the formats that this library logs with; its sizes: none, l, ll, z. */
static void log_add_value(struct log_fields *fields, const char *spec, const char *size,
			  va_list *arguments)
{
	char text[400];
	char kind = spec[strlen(spec) - 1];
	if (kind == 'f' || kind == 'g')
		snprintf(text, sizeof text, spec, va_arg(*arguments, double));
	else if (strcmp(size, "ll") == 0)
		snprintf(text, sizeof text, spec, va_arg(*arguments, long long));
	else if (strcmp(size, "l") == 0)
		snprintf(text, sizeof text, spec, va_arg(*arguments, long));
	else if (strcmp(size, "z") == 0)
		snprintf(text, sizeof text, spec, va_arg(*arguments, size_t));
	else
		snprintf(text, sizeof text, spec, va_arg(*arguments, int));
	log_add(fields, text, strlen(text));
}

static void log_add_string(struct log_fields *fields, const char *spec, bool is_quoted,
			   va_list *arguments)
{
	char text[LOG_FIELDS_SIZE];
	if (strchr(spec, '*')) {
		int precision = va_arg(*arguments, int);
		snprintf(text, sizeof text, spec, precision, va_arg(*arguments, const char *));
	} else {
		snprintf(text, sizeof text, spec, va_arg(*arguments, const char *));
	}
	if (is_quoted)
		log_add_quoted(fields, text);
	else
		log_add(fields, text, strlen(text));
}

static void log_format(struct log_fields *fields, const char *format, va_list *arguments)
{
	const char *at = format;
	while (*at) {
		size_t plain = strcspn(at, "%");
		log_add(fields, at, plain);
		at += plain;
		if (!*at)
			return;
		char spec[24] = "", size[4] = "";
		size_t length = 1 + strspn(at + 1, "-+ #0123456789.*"),
		       sizes = strspn(at + length, "lz");
		snprintf(size, sizeof size, "%.*s", (int)sizes, at + length);
		length += sizes + 1;
		snprintf(spec, sizeof spec, "%.*s", (int)length, at);
		if (at[length - 1] == 's')
			log_add_string(fields, spec, at > format && at[-1] == '\'', arguments);
		else if (at[length - 1] == '%')
			log_add(fields, "%", 1);
		else
			log_add_value(fields, spec, size, arguments);
		at += length;
	}
}

bool log_is_wanted(enum tide_log_level level)
{
	return (int)level >= atomic_load_explicit(&log_target.level, memory_order_relaxed);
}

void log_at(enum tide_log_level level, const char *component, const char *message,
	    const char *format, ...)
{
	if (!log_is_wanted(level))
		return;
	if (mutex_is_mine(&log_target.lock))
		return; /* a sink that calls back would wait for itself */

	struct log_fields fields = { .size = 0 };
	va_list arguments;
	va_start(arguments, format);
	log_format(&fields, format, &arguments);
	va_end(arguments);
	text_make_line(fields.text);
	struct tide_log_line line = {
		.level = level, .component = component, .message = message, .fields = fields.text
	};

	mutex_lock(&log_target.lock);
	log_target.sink(log_target.self, &line);
	mutex_unlock(&log_target.lock);
}
