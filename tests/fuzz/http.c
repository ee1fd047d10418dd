/* SPDX-License-Identifier: Apache-2.0 */
#include "target.h"

#include "http/target.h"

/* What is read lies within the head, and its target decodes to parts without control characters. */
static void check_head(const char *text, size_t size, const struct http_head *head)
{
	struct http_target target;
	assert(head->field_count <= HTTP_FIELDS_MAX && !(head->is_chunked && head->has_length));
	for (size_t i = 0; i < head->field_count; i++) {
		struct tide_text value = head->fields[i].value;
		assert(value.data >= text && value.data + value.size <= text + size);
		assert(!value.size || !memchr(value.data, '\n', value.size));
	}
	if (target_read(head->target, &target).status != 0)
		return;
	for (size_t i = 0; i < target.part_count; i++)
		assert(!strpbrk(target.parts[i], "\r\n"));
	for (size_t i = 0; i < target.parameter_count; i++)
		assert(target_parameter(&target, target.parameters[i].name));
	target_fini(&target);
}

/* A body in chunks comes to the same however it is cut. */
static void check_chunks(const char *data, size_t size)
{
	struct http_chunks whole = { 0 }, cut = { 0 };
	struct buffer one = { 0 }, other = { 0 };
	struct http_refusal refusal, piece = { 0 };
	size_t used, at = 0;

	refusal = chunks_read(&whole, data, size, 1 << 20, &one, &used);
	while (piece.status == 0 && at < size && cut.state != CHUNK_DONE) {
		size_t taken;
		piece = chunks_read(&cut, data + at, 1, 1 << 20, &other, &taken);
		at += taken;
	}
	assert(refusal.status == piece.status && one.size == other.size);
	assert(refusal.status != 0 || (used == at && whole.state == cut.state));
	assert(!one.size || memcmp(one.data, other.data, one.size) == 0);
	buffer_fini(&one);
	buffer_fini(&other);
}

/* The end of a head is found where it is, however it comes; what follows it is a body. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	struct http_scan scan = { 0 }, pieces = { 0 };
	struct http_head head;
	size_t found = 0, found_later = 0;

	struct http_refusal refusal = head_scan(&scan, text, size, &found), later = { 0 };
	for (size_t i = 1; i <= size && later.status == 0 && found_later == 0; i++)
		later = head_scan(&pieces, text, i, &found_later);
	assert(refusal.status == later.status && found == found_later);
	if (found > 0 && head_read(text, found, &head).status == 0)
		check_head(text, found, &head);
	if (found < size)
		check_chunks(text + found, size - found);
	return 0;
}
