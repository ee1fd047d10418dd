/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/log.h"

#include <stdarg.h>
#include <stdio.h>

#include "core/text.h"
#include "sys/mutex.h"

#define LOG_FIELDS_SIZE 2048

static const char *const log_names[] = {
	[TIDE_LOG_DEBUG] = "debug",     [TIDE_LOG_INFO] = "info",   [TIDE_LOG_NOTICE] = "notice",
	[TIDE_LOG_WARNING] = "warning", [TIDE_LOG_ERROR] = "error", [TIDE_LOG_CRITICAL] = "critical",
};

static void log_to_stderr(void *self, const struct tide_log_line *line)
{
	(void)self;
	char now[TIDE_TIME_TEXT_SIZE];
	fprintf(stderr, "%s %s %s: %s%s%s\n", tide_time_format(tide_time_now(), now), tide_log_level_name(line->level),
		line->component, line->message, *line->fields ? " " : "", line->fields);
}

static struct {
	atomic_int level; /* atomic */
	/* under lock */
	struct mutex lock;
	tide_log_sink *sink;
	void *self;
} log_target = { .level = TIDE_LOG_WARNING, .lock = { .lock = PTHREAD_MUTEX_INITIALIZER }, .sink = log_to_stderr };

void tide_log_set(tide_log_sink *sink, void *self, enum tide_log_level level)
{
	mutex_lock(&log_target.lock);
	log_target.sink = sink ? sink : log_to_stderr;
	log_target.self = sink ? self : NULL;
	atomic_store(&log_target.level, sink ? level : TIDE_LOG_WARNING);
	mutex_unlock(&log_target.lock);
}

const char *tide_log_level_name(enum tide_log_level level)
{
	return (unsigned)level <= TIDE_LOG_CRITICAL ? log_names[level] : "critical";
}

void log_at(enum tide_log_level level, const char *component, const char *message, const char *format, ...)
{
	if ((int)level < atomic_load_explicit(&log_target.level, memory_order_relaxed))
		return;
	if (mutex_is_mine(&log_target.lock))
		return; /* a sink that calls back would wait for itself */
	char fields[LOG_FIELDS_SIZE];
	va_list arguments;
	va_start(arguments, format);
	int size = vsnprintf(fields, sizeof fields, format, arguments);
	va_end(arguments);
	if (size < 0)
		fields[0] = '\0';
	text_make_line(fields);
	struct tide_log_line line = { .level = level, .component = component, .message = message, .fields = fields };
	mutex_lock(&log_target.lock);
	log_target.sink(log_target.self, &line);
	mutex_unlock(&log_target.lock);
}
