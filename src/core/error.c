/* SPDX-License-Identifier: Apache-2.0 */
#include <tidemark/error.h>

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/status.h"
#include "core/text.h"

static const struct status_info error_statuses[] = {
#define ERROR_ROW(constant, wire, of_category, of_severity, retryable, what)                       \
	[TIDE_##constant] = { .name = wire,                                                        \
			      .category = TIDE_CATEGORY_##of_category,                             \
			      .severity = TIDE_SEVERITY_##of_severity,                             \
			      .is_retryable = retryable,                                           \
			      .retry = TIDE_RETRY_##what },
	TIDE_STATUSES(ERROR_ROW)
#undef ERROR_ROW
};

static const char *const error_categories[] = {
	[TIDE_CATEGORY_TRANSIENT] = "transient",
	[TIDE_CATEGORY_PERMANENT] = "permanent",
	[TIDE_CATEGORY_INFRASTRUCTURE] = "infrastructure",
	[TIDE_CATEGORY_APPLICATION] = "application",
	[TIDE_CATEGORY_UNKNOWN] = "unknown",
};

static const char *const error_severities[] = {
	[TIDE_SEVERITY_LOW] = "low",
	[TIDE_SEVERITY_MEDIUM] = "medium",
	[TIDE_SEVERITY_HIGH] = "high",
	[TIDE_SEVERITY_CRITICAL] = "critical",
};

const struct status_info *status_info(tide_status status)
{
	return &error_statuses[(unsigned)status < TIDE_STATUS_COUNT ? status : TIDE_INTERNAL];
}

const char *tide_status_name(tide_status status)
{
	return status_info(status)->name;
}

tide_status tide_status_from_name(const char *name, tide_status *ret)
{
	for (unsigned i = 0; name && i < TIDE_STATUS_COUNT; i++) {
		if (strcmp(name, error_statuses[i].name) != 0)
			continue;
		*ret = (tide_status)i;
		return TIDE_OK;
	}
	return TIDE_NOT_FOUND;
}

const char *tide_category_name(enum tide_category category)
{
	return error_categories[(unsigned)category <= TIDE_CATEGORY_UNKNOWN
					? category
					: TIDE_CATEGORY_UNKNOWN];
}

const char *tide_severity_name(enum tide_severity severity)
{
	return error_severities[(unsigned)severity <= TIDE_SEVERITY_CRITICAL
					? severity
					: TIDE_SEVERITY_CRITICAL];
}

tide_status tide_fail(struct tide_error *err, tide_status status, const char *format, ...)
{
	if (!err)
		return status;
	/* Longer than a message by one character, to see where to cut; not err->message, which may
	 * be an argument. */

	char text[sizeof err->message + 4];
	va_list arguments;
	va_start(arguments, format);

	int size = vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	if (size < 0)
		text[0] = '\0';
	text[utf8_cut(text, strlen(text), sizeof err->message - 1)] = '\0';
	text_make_line(text);
	err->status = status;
	err->retry = status_info(status)->retry;
	err->native = 0;
	memcpy(err->message, text, strlen(text) + 1);
	return status;
}
