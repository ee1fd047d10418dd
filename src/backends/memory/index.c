/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/memory/index.h"

#include <string.h>

#include "core/text.h"
#include "sys/alloc.h"

#define INDEX_CAPACITY_MIN 64

void index_fini(struct index *index)
{
	tide_free(index->slots);
	*index = (struct index){ 0 };
}

static void index_place(struct index_slot *slots, size_t capacity, struct index_slot slot)
{
	size_t at = slot.hash & (capacity - 1);
	while (slots[at].value != 0)
		at = (at + 1) & (capacity - 1);
	slots[at] = slot;
}

tide_status index_reserve(struct index *index, size_t more, struct tide_error *err)
{
	size_t capacity = index->capacity ? index->capacity : INDEX_CAPACITY_MIN;
	while ((index->count + more) * 3 > capacity * 2)
		capacity *= 2;
	if (capacity == index->capacity)
		return TIDE_OK;

	struct index_slot *slots = alloc_zero(capacity, sizeof *slots);
	if (!slots)
		return alloc_fail(err);
	for (size_t i = 0; i < index->capacity; i++)
		if (index->slots[i].value != 0)
			index_place(slots, capacity, index->slots[i]);
	tide_free(index->slots);
	index->slots = slots;
	index->capacity = capacity;
	return TIDE_OK;
}

int64_t index_next(const struct index *index, uint64_t hash, size_t *probe)
{
	if (index->capacity == 0)
		return 0;
	for (;;) {
		const struct index_slot *slot =
			&index->slots[(hash + *probe) & (index->capacity - 1)];
		if (slot->value == 0)
			return 0;
		++*probe;
		if (slot->hash == hash)
			return slot->value;
	}
}

void index_put(struct index *index, uint64_t hash, int64_t value)
{
	index_place(index->slots, index->capacity, (struct index_slot){ hash, value });
	index->count++;
}

/* Move later slots of the run back into the hole, as far as that keeps them reachable from their
 * own place. */
static void index_close_hole(struct index *index, size_t hole)
{
	size_t mask = index->capacity - 1;
	for (size_t at = (hole + 1) & mask; index->slots[at].value != 0; at = (at + 1) & mask) {
		size_t home = index->slots[at].hash & mask;
		if (((at - home) & mask) < ((at - hole) & mask))
			continue;
		index->slots[hole] = index->slots[at];
		hole = at;
	}
	index->slots[hole] = (struct index_slot){ 0 };
}

void index_remove(struct index *index, uint64_t hash, int64_t value)
{
	size_t mask = index->capacity - 1;
	size_t at = hash & mask;
	while (index->slots[at].hash != hash || index->slots[at].value != value)
		at = (at + 1) & mask;
	index_close_hole(index, at);
	index->count--;
}

/* The finisher of splitmix64: every bit of the input reaches the low bits, which choose the
 * slot. */
static uint64_t hash_mix(uint64_t x)
{
	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

uint64_t hash_uuid(const struct tide_uuid *uuid)
{
	uint64_t half[2];
	memcpy(half, uuid->bytes, sizeof half);
	return hash_mix(half[0] ^ hash_mix(half[1]));
}

uint64_t hash_uuid_name(const struct tide_uuid *uuid, const char *name)
{
	return hash_mix(hash_uuid(uuid) ^ fnv1a64(name, strlen(name)));
}
