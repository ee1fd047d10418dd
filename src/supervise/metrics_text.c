/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Samples as lines of the Prometheus text format 0.0.4, and nothing about what they mean.
 *
 * Failure modes: memory runs out: the buffer says so when it is taken.
 */
#include "supervise/metrics_text.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define METRICS_PREFIX "tidemark_"

void metrics_begin(struct metrics_text *text, const char *name, const char *type, const char *help)
{
	text->name = name;
	buffer_format(&text->buffer,
		      "# HELP " METRICS_PREFIX "%s %s\n# TYPE " METRICS_PREFIX "%s %s\n", name,
		      help, name, type);
}

static void metrics_add_text(struct buffer *buffer, const char *text)
{
	buffer_add(buffer, text, strlen(text));
}

/* Most are zeros and ones, and there are tens of thousands of them. */
static void metrics_add_count(struct buffer *buffer, int64_t value)
{
	char digits[24], *at = digits + sizeof digits;
	uint64_t left = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
	do
		*--at = (char)('0' + left % 10);
	while (left /= 10);
	if (value < 0)
		*--at = '-';
	buffer_add(buffer, at, (size_t)(digits + sizeof digits - at));
}

/* With a point whatever the locale. */
static void metrics_add_number(struct buffer *buffer, double value)
{
	char digits[32];
	if (value == 0) {
		metrics_add_text(buffer, "0");
		return;
	}
	snprintf(digits, sizeof digits, "%.9g", value);
	char *comma = strchr(digits, ',');
	if (comma)
		*comma = '.';
	buffer_add(buffer, digits, strlen(digits));
}

/* Backslash, quote and line feed are the three that the format wants escaped. */
static void metrics_add_escaped(struct buffer *buffer, const char *value)
{
	while (*value) {
		size_t run = strcspn(value, "\\\"\n");
		buffer_add(buffer, value, run);
		value += run;
		if (*value)
			buffer_add(buffer,
				   *value == '\n'  ? "\\n"
				   : *value == '"' ? "\\\""
						   : "\\\\",
				   2);
		value += *value != '\0';
	}
}

static void metrics_add_label(struct buffer *buffer, const char *name, const char *value)
{
	if (buffer->size)
		metrics_add_text(buffer, ",");
	metrics_add_text(buffer, name);
	metrics_add_text(buffer, "=\"");
	metrics_add_escaped(buffer, value);
	buffer_add(buffer, "\"", 1);
}

/* name="value",… without braces. */
static void metrics_add_labels(const struct metrics_text *text, struct buffer *buffer,
			       va_list labels)
{
	const char *name;
	if (text->store)
		metrics_add_label(buffer, "store", text->store);
	while ((name = va_arg(labels, const char *)))
		metrics_add_label(buffer, name, va_arg(labels, const char *));
}

static void metrics_add_name(struct metrics_text *text, const struct buffer *labels)
{
	metrics_add_text(&text->buffer, METRICS_PREFIX);
	metrics_add_text(&text->buffer, text->name);
	if (labels->size == 0)
		return;
	metrics_add_text(&text->buffer, "{");
	buffer_add(&text->buffer, labels->data, labels->size);
	metrics_add_text(&text->buffer, "}");
}

void metrics_integer(struct metrics_text *text, int64_t value, ...)
{
	struct buffer labels = { 0 };
	va_list arguments;
	va_start(arguments, value);
	metrics_add_labels(text, &labels, arguments);
	va_end(arguments);
	metrics_add_name(text, &labels);
	metrics_add_text(&text->buffer, " ");
	metrics_add_count(&text->buffer, value);
	metrics_add_text(&text->buffer, "\n");
	text->buffer.failed = text->buffer.failed || labels.failed;
	buffer_fini(&labels);
}

void metrics_number(struct metrics_text *text, double value, ...)
{
	struct buffer labels = { 0 };
	va_list arguments;
	va_start(arguments, value);
	metrics_add_labels(text, &labels, arguments);
	va_end(arguments);
	metrics_add_name(text, &labels);
	buffer_add(&text->buffer, " ", 1);
	metrics_add_number(&text->buffer, value);
	buffer_add(&text->buffer, "\n", 1);
	text->buffer.failed = text->buffer.failed || labels.failed;
	buffer_fini(&labels);
}

static void metrics_write_bounds(struct metrics_text *text)
{
	for (size_t i = 0; i < METRICS_BUCKETS - 1 && !text->bounds[i][0]; i++) {
		struct buffer digits = { 0 };
		metrics_add_number(&digits, metrics_bounds[i]);
		if (!digits.failed)
			snprintf(text->bounds[i], sizeof *text->bounds, "%s", digits.data);
		text->buffer.failed = text->buffer.failed || digits.failed;
		buffer_fini(&digits);
	}
}

static void metrics_add_buckets(struct metrics_text *text, const struct histogram *histogram,
				const char *labels)
{
	struct buffer *buffer = &text->buffer;
	int64_t cumulative = 0;
	metrics_write_bounds(text);
	for (size_t i = 0; i < METRICS_BUCKETS; i++) {
		cumulative += histogram->buckets[i];
		metrics_add_text(buffer, METRICS_PREFIX);
		metrics_add_text(buffer, text->name);
		metrics_add_text(buffer, "_bucket{");
		metrics_add_text(buffer, labels);
		metrics_add_text(buffer, labels[0] ? ",le=\"" : "le=\"");
		if (i < METRICS_BUCKETS - 1)
			metrics_add_text(buffer, text->bounds[i]);
		else
			metrics_add_text(buffer, "+Inf");
		metrics_add_text(buffer, "\"} ");
		metrics_add_count(buffer, cumulative);
		metrics_add_text(buffer, "\n");
	}
}

void metrics_histogram(struct metrics_text *text, const struct histogram *histogram, ...)
{
	struct buffer labels = { 0 };
	va_list arguments;
	va_start(arguments, histogram);
	metrics_add_labels(text, &labels, arguments);
	va_end(arguments);

	const char *all = labels.data ? labels.data : "";
	metrics_add_buckets(text, histogram, all);
	const char *open = all[0] ? "{" : "", *close = all[0] ? "}" : "";

	buffer_format(&text->buffer, METRICS_PREFIX "%s_sum%s%s%s ", text->name, open, all, close);
	metrics_add_number(&text->buffer, histogram->sum);
	buffer_format(&text->buffer, "\n" METRICS_PREFIX "%s_count%s%s%s %" PRId64 "\n", text->name,
		      open, all, close, histogram->count);
	text->buffer.failed = text->buffer.failed || labels.failed;
	buffer_fini(&labels);
}
