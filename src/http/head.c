/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading the head of a request.
 *
 * Failure modes: whatever is not exactly as RFC 9112 has it is refused with the status that says
 * so, and the connection ends there: a lone line feed, blanks before a colon, folded lines, a
 * length beside chunks, two lengths, two hosts.
 */
#include "http/head.h"

#include <string.h>
#include <strings.h>

#define REFUSE(status, why) ((struct http_refusal){ (status), (why) })
#define ACCEPT ((struct http_refusal){ 0, NULL })

bool head_is_word(struct tide_text text, const char *word)
{
	return text.size == strlen(word) && strncasecmp(text.data, word, text.size) == 0;
}

struct http_refusal head_scan(struct http_scan *scan, const char *text, size_t size,
			      size_t *ret_size)
{
	*ret_size = 0;
	for (; scan->at < size && scan->at < HTTP_HEAD_MAX; scan->at++) {
		size_t at = scan->at;
		if (text[at] != '\n')
			continue;
		if (at == 0 || text[at - 1] != '\r')
			return REFUSE(400, "a line of the head ends without a carriage return");
		if (at == 1 || (at >= 3 && text[at - 3] == '\r' && text[at - 2] == '\n')) {
			*ret_size = at + 1;
			return ACCEPT;
		}
	}

	const char *end = memchr(text, '\n', size < HTTP_LINE_MAX ? size : HTTP_LINE_MAX);
	if (!end && size >= HTTP_LINE_MAX)
		return REFUSE(414, "the request line is longer than 8 KiB");
	if (size >= HTTP_HEAD_MAX)
		return REFUSE(431, "the head is longer than 32 KiB");
	return ACCEPT;
}

/* ---- The request line ------------------------------------------------------------------------ */

static bool head_is_token(struct tide_text text)
{
	for (size_t i = 0; i < text.size; i++) {
		char c = text.data[i];
		bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
		if (!is_letter && !(c >= '0' && c <= '9') && !(c && strchr("!#$%&'*+-.^_`|~", c)))
			return false;
	}
	return text.size > 0;
}

static enum http_method head_method(struct tide_text name)
{
	static const char *const names[] = { "GET", "HEAD", "POST" };
	for (int i = 0; i < HTTP_OTHER; i++)
		if (name.size == strlen(names[i]) && memcmp(name.data, names[i], name.size) == 0)
			return (enum http_method)i;
	return HTTP_OTHER;
}

/* Up to the next blank, or all of it. */
static struct tide_text head_word(struct tide_text *line)
{
	const char *blank = line->size ? memchr(line->data, ' ', line->size) : NULL;
	size_t size = blank ? (size_t)(blank - line->data) : line->size;
	struct tide_text word = { line->data, size };
	line->data += size + (blank != NULL);
	line->size -= size + (blank != NULL);
	return word;
}

static struct http_refusal head_read_line(struct tide_text line, struct http_head *ret)
{
	ret->method_name = head_word(&line);
	ret->target = head_word(&line);
	if (!head_is_token(ret->method_name) || ret->target.size == 0)
		return REFUSE(400, "the request line is none");
	for (size_t i = 0; i < ret->target.size; i++)
		if (ret->target.data[i] <= ' ' || ret->target.data[i] > '~')
			return REFUSE(400, "the target of the request has characters that no "
					   "target has");
	if (line.size != 8 || memcmp(line.data, "HTTP/", 5) != 0 || line.data[6] != '.')
		return REFUSE(400, "the request line names no version of HTTP");
	if (line.data[5] != '1' || line.data[7] < '0' || line.data[7] > '9')
		return REFUSE(505, "only HTTP/1.0 and HTTP/1.1 are spoken here");
	ret->minor = line.data[7] - '0';
	ret->method = head_method(ret->method_name);
	return ACCEPT;
}

/* ---- Fields ---------------------------------------------------------------------------------- */

static struct tide_text head_trim(struct tide_text text)
{
	while (text.size > 0 && (text.data[0] == ' ' || text.data[0] == '\t')) {
		text.data++;
		text.size--;
	}
	while (text.size > 0 &&
	       (text.data[text.size - 1] == ' ' || text.data[text.size - 1] == '\t'))
		text.size--;
	return text;
}

static struct http_refusal head_read_field(struct tide_text line, struct http_head *ret)
{
	const char *colon = memchr(line.data, ':', line.size);
	if (ret->field_count == HTTP_FIELDS_MAX)
		return REFUSE(431, "the head has more than 128 fields");
	if (!colon)
		return REFUSE(400, "a field of the head has no colon");

	struct http_field *field = &ret->fields[ret->field_count++];
	size_t size = (size_t)(colon - line.data);
	field->name = (struct tide_text){ line.data, size };
	field->value = head_trim((struct tide_text){ colon + 1, line.size - size - 1 });
	if (!head_is_token(field->name))
		return REFUSE(400, "a field of the head has a name that is none");
	for (size_t i = 0; i < field->value.size; i++) {
		unsigned char c = (unsigned char)field->value.data[i];
		if ((c < ' ' && c != '\t') || c == 0x7f)
			return REFUSE(400, "a field of the head has a control character");
	}
	return ACCEPT;
}

const struct tide_text *head_field(const struct http_head *head, const char *name)
{
	for (size_t i = 0; i < head->field_count; i++)
		if (head_is_word(head->fields[i].name, name))
			return &head->fields[i].value;
	return NULL;
}

static size_t head_count(const struct http_head *head, const char *name)
{
	size_t count = 0;
	for (size_t i = 0; i < head->field_count; i++)
		count += head_is_word(head->fields[i].name, name);
	return count;
}

/* ---- What the fields say of the message ------------------------------------------------------ */

static struct http_refusal head_read_length(struct http_head *head)
{
	const struct tide_text *length = head_field(head, "Content-Length");
	if (!length)
		return ACCEPT;
	if (head_count(head, "Content-Length") > 1)
		return REFUSE(400, "the head has two lengths");
	if (length->size == 0 || length->size > 18)
		return REFUSE(length->size ? 413 : 400, "Content-Length is no size of a body");
	for (size_t i = 0; i < length->size; i++) {
		if (length->data[i] < '0' || length->data[i] > '9')
			return REFUSE(400, "Content-Length is no number");
		head->length = head->length * 10 + (uint64_t)(length->data[i] - '0');
	}
	head->has_length = true;
	return ACCEPT;
}

static struct http_refusal head_read_coding(struct http_head *head)
{
	const struct tide_text *coding = head_field(head, "Transfer-Encoding");
	if (!coding)
		return ACCEPT;
	if (head->has_length)
		return REFUSE(400, "the head has a length and a transfer encoding");
	if (head->minor == 0)
		return REFUSE(400, "HTTP/1.0 has no transfer encoding");
	if (head_count(head, "Transfer-Encoding") > 1 || !head_is_word(*coding, "chunked"))
		return REFUSE(501, "the only transfer encoding is 'chunked'");
	head->is_chunked = true;
	return ACCEPT;
}

/* Whether a list of words between commas has this one. */
static bool head_lists(const struct tide_text *list, const char *word)
{
	struct tide_text rest = list ? *list : (struct tide_text){ "", 0 };
	while (rest.size > 0) {
		const char *comma = memchr(rest.data, ',', rest.size);
		size_t size = comma ? (size_t)(comma - rest.data) : rest.size;
		if (head_is_word(head_trim((struct tide_text){ rest.data, size }), word))
			return true;
		rest.data += size + (comma != NULL);
		rest.size -= size + (comma != NULL);
	}
	return false;
}

static struct http_refusal head_conclude(struct http_head *head)
{
	const struct tide_text *expected = head_field(head, "Expect");
	const struct tide_text *connection = head_field(head, "Connection");
	struct http_refusal refusal = head_read_length(head);
	if (refusal.status == 0)
		refusal = head_read_coding(head);
	if (refusal.status != 0)
		return refusal;

	size_t hosts = head_count(head, "Host");
	if (hosts > 1 || (hosts == 0 && head->minor > 0))
		return REFUSE(400, hosts ? "the head names two hosts" : "the head names no host");
	if (expected && !head_is_word(*expected, "100-continue"))
		return REFUSE(417, "nothing but 100-continue is to be expected");
	head->expects_continue = expected && head->minor > 0;
	head->keeps_alive = head->minor > 0 ? !head_lists(connection, "close")
					    : head_lists(connection, "keep-alive");
	return ACCEPT;
}

struct http_refusal head_read(const char *text, size_t size, struct http_head *ret)
{
	struct http_refusal refusal = ACCEPT;
	bool is_first = true;

	*ret = (struct http_head){ 0 };
	for (size_t at = 0; refusal.status == 0 && at < size;) {
		const char *end = memchr(text + at, '\n', size - at);
		size_t next = end ? (size_t)(end - text) + 1 : size;
		struct tide_text line = { text + at, next - at };
		at = next;
		if (line.size < 2 || line.data[line.size - 2] != '\r')
			return REFUSE(400, "a line of the head ends without a carriage return");
		line.size -= 2;
		if (line.size == 0 && !is_first)
			break;
		refusal = is_first ? head_read_line(line, ret) : head_read_field(line, ret);
		is_first = false;
	}
	if (refusal.status == 0 && is_first)
		return REFUSE(400, "the request line is none");
	return refusal.status == 0 ? head_conclude(ret) : refusal;
}
