/* SPDX-License-Identifier: Apache-2.0 */
#include <tidemark/backend.h>

#include <string.h>

#include "sys/alloc.h"

/* An entry's texts share one block, which begins with its projection_name. */

static size_t deadletter_size(const char *text)
{
	return text ? strlen(text) + 1 : 0;
}

static const char *deadletter_put(char **room, const char *text)
{
	if (!text)
		return NULL;
	size_t size = deadletter_size(text);
	char *copy = memcpy(*room, text, size);
	*room += size;
	return copy;
}

static bool deadletter_copy(struct tide_dead_letter *ret, const struct tide_dead_letter *entry)
{
	const char *name = entry->projection_name ? entry->projection_name : "";
	char text[TIDE_UUID_TEXT_SIZE];
	const char *id = entry->event_id_text ? entry->event_id_text
					      : tide_uuid_format(&entry->event_id, text);
	char *room = alloc_resize(
		NULL,
		deadletter_size(name) + deadletter_size(entry->event_type) +
			deadletter_size(entry->event_data) + deadletter_size(entry->error_message) +
			deadletter_size(entry->error_stacktrace) +
			deadletter_size(entry->resolved_by) + deadletter_size(id) +
			deadletter_size(entry->parked_behind),
		1);
	if (!room)
		return false;

	*ret = *entry;
	ret->projection_name = deadletter_put(&room, name);
	ret->event_type = deadletter_put(&room, entry->event_type);
	ret->event_data = deadletter_put(&room, entry->event_data);
	ret->error_message = deadletter_put(&room, entry->error_message);
	ret->error_stacktrace = deadletter_put(&room, entry->error_stacktrace);
	ret->resolved_by = deadletter_put(&room, entry->resolved_by);
	ret->event_id_text = deadletter_put(&room, id);
	ret->parked_behind = deadletter_put(&room, entry->parked_behind);
	return true;
}

/* The array doubles whenever its count reaches a power of two, so that no capacity need be kept. */
static bool deadletter_reserve(struct tide_dead_letter_list *list)
{
	if (list->count & (list->count - 1))
		return true;
	struct tide_dead_letter *entries =
		alloc_resize(list->entries, list->count ? 2 * list->count : 1, sizeof *entries);
	if (entries)
		list->entries = entries;
	return entries != NULL;
}

tide_status tide_dead_letter_list_add(struct tide_dead_letter_list *list,
				      const struct tide_dead_letter *entry, struct tide_error *err)
{
	if (!deadletter_reserve(list) || !deadletter_copy(&list->entries[list->count], entry))
		return alloc_fail(err);
	list->count++;
	return TIDE_OK;
}

void tide_dead_letters_free(struct tide_dead_letter_list *list)
{
	if (!list)
		return;
	for (size_t i = 0; i < list->count; i++)
		tide_free((void *)(uintptr_t)list->entries[i].projection_name);
	tide_free(list->entries);
	*list = (struct tide_dead_letter_list){ 0 };
}

const char *tide_dead_letter_status_name(enum tide_dead_letter_status status)
{
	static const char *const names[] = {
		[TIDE_DEAD_LETTER_FAILED] = "failed",
		[TIDE_DEAD_LETTER_RETRYING] = "retrying",
		[TIDE_DEAD_LETTER_RESOLVED] = "resolved",
	};
	return (unsigned)status <= TIDE_DEAD_LETTER_RESOLVED ? names[status] : "failed";
}
