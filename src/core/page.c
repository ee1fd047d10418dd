/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A page: the events of one read, copied into memory that the next read uses again.
 *
 * Happy path: tide_page_begin, then tide_page_add for each event: one look at the room left in the
 * chunk in use, one copy per text. After the first few pages nothing is allocated any more.
 * Failure: when memory is out, the event is not added and the page stays as it was.
 */
#include <tidemark/backend.h>

#include <stdint.h>
#include <string.h>

#include "sys/alloc.h"

/* Under the address sanitizer a view that is used after its page was read again is an error. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define PAGE_IS_WATCHED
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define PAGE_IS_WATCHED
#endif
#ifdef PAGE_IS_WATCHED
#include <sanitizer/asan_interface.h>
#define PAGE_HIDE(memory, size) ASAN_POISON_MEMORY_REGION(memory, size)
#define PAGE_SHOW(memory, size) ASAN_UNPOISON_MEMORY_REGION(memory, size)
#else
#define PAGE_HIDE(memory, size) ((void)(memory), (void)(size))
#define PAGE_SHOW(memory, size) ((void)(memory), (void)(size))
#endif

#define PAGE_CHUNK_MIN ((size_t)64 * 1024)
/* greater ones hold one huge event and are given back at once */
#define PAGE_CHUNK_MAX ((size_t)1024 * 1024)

/** Memory for texts; chunks are filled in the order of the list. */
struct page_chunk {
	struct page_chunk *next;
	size_t size, used;
	char bytes[];
};

/** The chunks of a page. */
struct page_arena {
	struct page_chunk *first;
	struct page_chunk *current; /* the one being filled; those behind it are empty */
};

static struct page_chunk *page_chunk_new(size_t size)
{
	struct page_chunk *chunk = alloc_resize(NULL, sizeof *chunk + size, 1);
	if (!chunk)
		return NULL;
	chunk->next = NULL;
	chunk->size = size;
	chunk->used = 0;
	PAGE_HIDE(chunk->bytes, size);
	return chunk;
}

static struct page_arena *page_arena(struct tide_page *page)
{
	if (!page->arena)
		page->arena = alloc_zero(1, sizeof(struct page_arena));
	return page->arena;
}

static size_t page_next_size(const struct page_chunk *last, size_t need)
{
	size_t size = last ? 2 * last->size : PAGE_CHUNK_MIN;
	if (size > PAGE_CHUNK_MAX)
		size = PAGE_CHUNK_MAX;
	return need > size ? need : size;
}

/* Find room where the chunk in use has none: in an empty chunk behind it, or in a new one put in
 * between. */
static char *page_grow(struct page_arena *arena, size_t need)
{
	struct page_chunk *current = arena->current, *next = current ? current->next : arena->first;
	if (!next || next->size < need) {
		struct page_chunk *chunk = page_chunk_new(page_next_size(current, need));
		if (!chunk)
			return NULL;
		chunk->next = next;
		if (current)
			current->next = chunk;
		else
			arena->first = chunk;
		next = chunk;
	}

	next->used = need;
	arena->current = next;
	PAGE_SHOW(next->bytes, need);
	return next->bytes;
}

static char *page_take(struct page_arena *arena, size_t need)
{
	struct page_chunk *chunk = arena->current;
	if (!chunk || chunk->size - chunk->used < need)
		return page_grow(arena, need);
	char *room = chunk->bytes + chunk->used;
	chunk->used += need;
	PAGE_SHOW(room, need);
	return room;
}

static void page_arena_reset(struct page_arena *arena)
{
	for (struct page_chunk **link = &arena->first; *link;) {
		struct page_chunk *chunk = *link;
		chunk->used = 0;
		PAGE_HIDE(chunk->bytes, chunk->size);
		if (chunk->size > PAGE_CHUNK_MAX) {
			*link = chunk->next;
			tide_free(chunk);
		} else {
			link = &chunk->next;
		}
	}
	arena->current = arena->first;
}

static void page_arena_free(struct page_arena *arena)
{
	while (arena && arena->first) {
		struct page_chunk *chunk = arena->first;
		arena->first = chunk->next;
		tide_free(chunk);
	}
	tide_free(arena);
}

void tide_page_init(struct tide_page *page)
{
	*page = (struct tide_page){ 0 };
}

void tide_page_begin(struct tide_page *page, size_t max_events, size_t max_bytes)
{
	struct tide_page empty = { .entries = page->entries,
				   .capacity = page->capacity,
				   .arena = page->arena };
	*page = empty;
	page->max_events = max_events;
	page->max_bytes = max_bytes;
	if (page->arena)
		page_arena_reset(page->arena);
}

void tide_page_fini(struct tide_page *page)
{
	if (!page)
		return;
	page_arena_free(page->arena);
	tide_free(page->entries);
	tide_page_init(page);
}

bool tide_page_fits(const struct tide_page *page, size_t bytes)
{
	if (page->count == 0)
		return true;
	return page->count < page->max_events && page->bytes <= page->max_bytes &&
	       bytes <= page->max_bytes - page->bytes;
}

static bool page_reserve_entry(struct tide_page *page)
{
	if (page->count < page->capacity)
		return true;
	size_t capacity = page->capacity ? 2 * page->capacity : 32;
	struct tide_page_entry *entries = alloc_resize(page->entries, capacity, sizeof *entries);
	if (!entries)
		return false;
	page->entries = entries;
	page->capacity = capacity;
	return true;
}

static struct tide_text page_put(char **room, struct tide_text text)
{
	if (!text.data)
		return text;
	char *copy = *room;
	memcpy(copy, text.data, text.size);
	copy[text.size] = '\0';
	*room += text.size + 1;
	return (struct tide_text){ copy, text.size };
}

tide_status tide_page_add(struct tide_page *page, const struct tide_event *event,
			  struct tide_error *err)
{
	struct tide_text problem = tide_text(event->undecodable),
			 id = tide_text(event->event_id_text);
	size_t need = event->event_type.size + event->aggregate_type.size + event->actor_id.size +
		      event->metadata.size + event->payload.size + problem.size + id.size + 7;
	struct page_arena *arena = page_arena(page);
	char *room = arena && page_reserve_entry(page) ? page_take(arena, need) : NULL;
	if (!room)
		return alloc_fail(err);

	struct tide_page_entry *entry = &page->entries[page->count++];
	entry->event = *event;
	entry->event.event_type = page_put(&room, event->event_type);
	entry->event.aggregate_type = page_put(&room, event->aggregate_type);
	entry->event.actor_id = page_put(&room, event->actor_id);
	entry->event.metadata = page_put(&room, event->metadata);
	entry->event.payload = page_put(&room, event->payload);
	entry->event.undecodable = page_put(&room, problem).data;
	entry->event.event_id_text = page_put(&room, id).data;
	entry->passed_before = page->passed_after;
	page->passed_after = 0;
	page->bytes += event->payload.size + event->metadata.size;
	return TIDE_OK;
}
