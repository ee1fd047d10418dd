/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_MEMORY_INDEX_H
#define TIDE_MEMORY_INDEX_H

/*
 * A hash index: from a 64-bit hash to positive numbers, several of which may share a hash. The
 * caller compares what the numbers stand for:
 *
 *	for (size_t probe = 0; (value = index_next(index, hash, &probe)) != 0;)
 *		if (it is the one) …
 */

#include <stddef.h>
#include <stdint.h>

#include <tidemark/event.h>

struct index_slot {
	uint64_t hash;
	int64_t value; /* 0: free */
};

struct index {
	struct index_slot *slots;
	size_t capacity; /* a power of two, or 0 */
	size_t count;
};

void index_fini(struct index *index);
/** Make room so that the next `more` puts succeed. TIDE_OK, TIDE_OUT_OF_MEMORY. */
tide_status index_reserve(struct index *index, size_t more, struct tide_error *err);
/** The next value of this hash, 0 when there is none left; `probe` starts at 0. */
int64_t index_next(const struct index *index, uint64_t hash, size_t *probe);
/** Room must have been reserved. */
void index_put(struct index *index, uint64_t hash, int64_t value);
void index_remove(struct index *index, uint64_t hash, int64_t value);

uint64_t hash_uuid(const struct tide_uuid *uuid);
/** Hash of a UUID and a name: of a stream, or of a dead letter's key. */
uint64_t hash_uuid_name(const struct tide_uuid *uuid, const char *name);

#endif
