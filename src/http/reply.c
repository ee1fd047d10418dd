/* SPDX-License-Identifier: Apache-2.0 */
/* What is answered: a status, lines of a head, a body; refusals as problems (RFC 9457). */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "http/http.h"

#include "sys/alloc.h"

void reply_release(struct http_reply *reply)
{
	buffer_fini(&reply->body);
}

const char *reply_phrase(int status)
{
	/* clang-format off */
	static const struct { int status; const char *phrase; } phrases[] = {
		{ 200, "OK" }, { 201, "Created" }, { 202, "Accepted" }, { 204, "No Content" },
		{ 400, "Bad Request" }, { 401, "Unauthorized" }, { 403, "Forbidden" },
		{ 404, "Not Found" },
		{ 405, "Method Not Allowed" }, { 408, "Request Timeout" }, { 409, "Conflict" },
		{ 413, "Content Too Large" }, { 414, "URI Too Long" },
		{ 415, "Unsupported Media Type" },
		{ 417, "Expectation Failed" }, { 422, "Unprocessable Content" },
		{ 431, "Request Header Fields Too Large" }, { 500, "Internal Server Error" },
		{ 501, "Not Implemented" }, { 503, "Service Unavailable" },
		{ 504, "Gateway Timeout" },
		{ 505, "HTTP Version Not Supported" }, { 507, "Insufficient Storage" },
	};
	/* clang-format on */
	for (size_t i = 0; i < sizeof phrases / sizeof *phrases; i++)
		if (phrases[i].status == status)
			return phrases[i].phrase;
	return "Unknown";
}

void reply_field(struct http_reply *reply, const char *name, const char *value)
{
	size_t size = strlen(reply->fields);
	int written = snprintf(reply->fields + size, sizeof reply->fields - size, "%s: %s\r\n",
			       name, value);
	if (written < 0 || (size_t)written >= sizeof reply->fields - size)
		reply->fields[size] = '\0';
}

static void reply_problem(struct http_reply *reply, int status, const char *type, const char *title,
			  const char *detail, const struct buffer *members)
{
	struct buffer *body = &reply->body;

	buffer_fini(body);
	reply->status = status;
	reply->type = "application/problem+json";
	json_open(body, '{');
	json_add_string(body, "type", type);
	json_add_string(body, "title", title);
	json_add_integer(body, "status", status);
	json_add_string(body, "detail", detail);
	if (members && members->size)
		buffer_add(body, members->data, members->size);
	json_close(body, '}');
	buffer_add(body, "\n", 1);
}

void reply_refuse(struct http_reply *reply, int status, const char *format, ...)
{
	char detail[512];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(detail, sizeof detail, format, arguments);
	va_end(arguments);
	reply_problem(reply, status, "about:blank", reply_phrase(status), detail, NULL);
}

static int reply_status_of(tide_status status)
{
	switch (status) {
	case TIDE_ARGUMENT:
		return 422;
	case TIDE_NOT_FOUND:
		return 404;
	case TIDE_CONFLICT:
	case TIDE_DUPLICATE_EVENT:
	case TIDE_STATE:
	case TIDE_ALREADY_EXISTS:
		return 409;
	case TIDE_BUSY:
	case TIDE_CONNECTION_LOST:
	case TIDE_SHUTTING_DOWN:
		return 503;
	case TIDE_TIMEOUT:
		return 504;
	case TIDE_UNSUPPORTED:
		return 501;
	case TIDE_DISK_FULL:
		return 507;
	default:
		return 500;
	}
}

void reply_fail(struct http_reply *reply, const struct tide_error *err,
		const struct buffer *members)
{
	char title[64];
	snprintf(title, sizeof title, "%s", tide_status_name(err->status));
	for (char *c = title; *c; c++)
		*c = *c == '_' ? ' ' : *c;
	title[0] = (char)(title[0] >= 'a' && title[0] <= 'z' ? title[0] - 'a' + 'A' : title[0]);
	reply_problem(reply, reply_status_of(err->status), tide_status_name(err->status), title,
		      err->message, members);
	if (reply->status == 503)
		reply_field(reply, "Retry-After", "1");
}

void reply_json(struct http_reply *reply, int status, char *json)
{
	buffer_fini(&reply->body);
	reply->status = status;
	reply->type = "application/json";
	buffer_add(&reply->body, json, strlen(json));
	buffer_add(&reply->body, "\n", 1);
	tide_free(json);
}
