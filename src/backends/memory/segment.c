/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "backends/memory/state.h"
#include "core/segment.h"
#include "sys/alloc.h"

static struct memory_state *segment_lock(void *session) TIDE_UNCHECKED
{
	struct memory_state *state = ((struct memory_handle *)session)->state;
	mutex_lock(&state->book_lock);
	return state;
}

static struct memory_segment *segment_open(const struct memory_state *state, const char *name)
{
	struct memory_segment *found = state->segments;
	while (found && (found->segment.has_ended || strcmp(found->segment.name, name) != 0))
		found = found->next;
	return found;
}

static void segment_free(struct memory_segment *segment)
{
	tide_free(segment->segment.filter);
	tide_free(segment);
}

void memory_segments_forget(struct memory_state *state, const char *name)
{
	struct memory_segment **at = &state->segments;
	while (*at) {
		struct memory_segment *segment = *at;
		if (name && strcmp(segment->segment.name, name) != 0) {
			at = &segment->next;
			continue;
		}
		*at = segment->next;
		segment_free(segment);
	}
}

void memory_segment_discard_locked(struct memory_state *state, const char *name, int64_t count)
{
	struct memory_segment *open = segment_open(state, name);
	if (open)
		open->segment.discarded += count;
}

static struct memory_segment *segment_new(const struct tide_segment_write *write)
{
	struct memory_segment *segment = alloc_zero(1, sizeof *segment);
	if (!segment)
		return NULL;
	segment->segment = (struct tide_segment){ .from = write->from,
						  .stored = write->stored,
						  .processed_before = write->processed };
	snprintf(segment->segment.name, sizeof segment->segment.name, "%s", write->name);
	segment->segment.filter = alloc_text(write->filter, strlen(write->filter));
	if (segment->segment.filter)
		return segment;
	tide_free(segment);
	return NULL;
}

static void segment_end(struct memory_segment *segment, tide_position until, int64_t processed)
{
	segment->segment.has_ended = true;
	segment->segment.until = until;
	segment->segment.processed_until = processed;
}

void memory_segment_end_locked(struct memory_state *state, const struct tide_group_row *row)
{
	struct memory_segment *open = row->has_open ? segment_open(state, row->name) : NULL;
	if (open)
		segment_end(open, row->until, row->processed);
}

tide_status memory_segment_turn(void *session, const struct tide_fence *fence,
				const struct tide_segment_write *write,
				struct tide_error *err) TIDE_UNCHECKED
{
	struct memory_segment *next = write->should_begin ? segment_new(write) : NULL;
	if (write->should_begin && !next)
		return alloc_fail(err);

	struct memory_state *state = segment_lock(session);
	tide_status status = memory_check_fence_locked(state, fence, err);
	struct memory_segment *open =
		status == TIDE_OK && write->should_end ? segment_open(state, write->name) : NULL;
	if (status == TIDE_OK && write->should_forget)
		memory_segments_forget(state, write->name);
	else if (open)
		segment_end(open, write->until, write->processed);
	if (status == TIDE_OK && next) {
		next->next = state->segments;
		state->segments = next;
	}
	mutex_unlock(&state->book_lock);

	if (status != TIDE_OK && next)
		segment_free(next);
	return status;
}

static size_t segment_count(const struct memory_state *state, const char *name)
{
	size_t count = 0;
	for (const struct memory_segment *at = state->segments; at; at = at->next)
		count += segment_is_of(name, at->segment.name);
	return count;
}

/* From its end, since the newest stands first. */
static bool segment_copy(const struct memory_state *state, const char *name,
			 struct tide_segment *list, size_t count)
{
	for (const struct memory_segment *at = state->segments; at; at = at->next) {
		if (!segment_is_of(name, at->segment.name))
			continue;
		struct tide_segment *copy = &list[--count];
		*copy = at->segment;
		copy->filter = alloc_text(at->segment.filter, strlen(at->segment.filter));
		if (!copy->filter)
			return false;
	}
	return true;
}

tide_status memory_segment_list(void *session, const char *name, struct tide_segment **ret,
				size_t *ret_count, struct tide_error *err) TIDE_UNCHECKED
{
	struct memory_state *state = segment_lock(session);
	size_t count = segment_count(state, name);
	struct tide_segment *list = alloc_zero(count + 1, sizeof *list);
	bool is_whole = list && segment_copy(state, name, list, count);
	mutex_unlock(&state->book_lock);
	if (!is_whole) {
		tide_segments_free(list, count);
		return alloc_fail(err);
	}
	*ret = list;
	*ret_count = count;
	return TIDE_OK;
}
