/* SPDX-License-Identifier: Apache-2.0 */
#include "target.h"

#include <stdio.h>

#include "core/text.h"
#include "project/command.h"
#include "sys/alloc.h"

/* What is told of a reply is one line of UTF-8, and says something where it has to. */
static void check_reply(struct tide_text line, bool is_cut)
{
	struct reply reply;
	reply_read(line, is_cut, &reply);
	size_t size = strlen(reply.why);
	assert(utf8_is_valid(reply.why, size) && !strpbrk(reply.why, "\n\r\t\x1b"));
	assert(reply.kind != REPLY_RUBBISH || (size > 0 && !reply.stacktrace));
	assert(reply.kind == REPLY_RUBBISH || !is_cut);
	reply_fini(&reply);
}

/* Bytes in pieces, whose sizes are the first byte's: the same lines come out, in bounded memory. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct replies replies = { .data = alloc_zero(REPLIES_SIZE, 1) };
	size_t piece = size > 0 ? (size_t)*data + 1 : 1, lines = 0, wanted = 0;
	for (size_t i = 0; i < size; i++)
		wanted += data[i] == '\n';
	for (size_t at = 0; at < size;) {
		size_t room, left = size - at;
		char *to = replies_room(&replies, &room);
		assert(room > 0 && to + room <= replies.data + REPLIES_SIZE);
		size_t count = left < piece ? left : piece;
		count = count < room ? count : room;
		memcpy(to, data + at, count);
		replies.size += count;
		at += count;
		for (struct tide_text line; replies_peek(&replies, &line); lines++) {
			check_reply(line, replies.is_skipping);
			replies_pass(&replies, line);
		}
	}
	assert(lines == wanted);
	tide_free(replies.data);
	return 0;
}
