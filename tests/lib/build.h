/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_BUILD_H
#define TEST_BUILD_H

/* Short ways to make streams, events and appends. */

#include <tidemark/store.h>

#include "lib/must.h"

/** A UUID that is the same for the same number. */
struct tide_uuid uuid_of(unsigned number);
/** The stream of aggregate `number`. */
struct tide_stream stream_of(const char *aggregate_type, unsigned number);
/** An event of a type, with a payload {"n":number}; the text lives as long as the program. */
struct tide_new_event event_of(const char *event_type, unsigned number);

/** Append one event of a type to a stream, whatever its version; its result. */
struct tide_append_result append_one(struct tide_store *store, struct tide_stream stream,
				     const char *event_type);
/** Append `count` events "Counted" numbered from `first` to a stream in one batch. */
struct tide_append_result append_many(struct tide_store *store, struct tide_stream stream,
				      unsigned first, size_t count);
/** An append of an array of events. */
#define APPEND(to, at, array)                                                                      \
	(&(const struct tide_append){ .stream = (to),                                              \
				      .expected = (at),                                            \
				      .events = (array),                                           \
				      .count = sizeof(array) / sizeof *(array) })

tide_position end_of(struct tide_store *store);
tide_version version_of(struct tide_store *store, struct tide_stream stream);

/** What a read returned. */
struct seen {
	size_t count;
	tide_version stream_version;
	struct tide_event **events; /* copies */
};

/** Read everything a query finds; NULL: the whole feed. */
struct seen see(struct tide_store *store, const struct tide_query *query);
void seen_free(struct seen *seen);
#define SEEN __attribute__((cleanup(seen_free))) struct seen

/** Fails the test unless the positions, or the versions, are these; the list ends in 0. */
#define saw_positions(seen, ...)                                                                   \
	saw_numbers(seen, false, (const int64_t[]){ __VA_ARGS__, 0 }, __FILE__, __LINE__)
#define saw_versions(seen, ...)                                                                    \
	saw_numbers(seen, true, (const int64_t[]){ __VA_ARGS__, 0 }, __FILE__, __LINE__)
#define saw_nothing(seen) saw_numbers(seen, false, (const int64_t[]){ 0 }, __FILE__, __LINE__)
void saw_numbers(const struct seen *seen, bool versions, const int64_t *numbers, const char *file,
		 int line);

/** Fails the test unless two JSON texts are equal as JSON: key order, spaces and escapes do not
 * count. */
void same_json(struct tide_text a, const char *b);

/** Threads that run one function with their index, all at once; returns when all have ended. */
void race_to(size_t threads, void (*run)(void *self, size_t index), void *self);

#endif
