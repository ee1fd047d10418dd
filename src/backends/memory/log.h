/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_MEMORY_LOG_H
#define TIDE_MEMORY_LOG_H

/*
 * The events of a memory store in the order of their positions, which have no gaps. One writer at a
 * time, under the store's lock; readers take no lock: events at or below `end` never change or
 * move.
 *
 *	chunks   0: 1024 events   1: 2048   2: 4096 …      each twice the one before, none ever moved
 *	end      published with release after the events below it are complete; read with acquire
 */

#include <stdatomic.h>

#include <tidemark/backend.h>

#include "backends/memory/index.h"

#define LOG_FIRST_BITS 10
#define LOG_CHUNKS 44 /* more positions than memory can hold */

/** One stream: where its events are. */
struct log_stream {
	struct tide_stream stream; /* owns the type's name */
	tide_position *positions;  /* by version - 1 */
	tide_version version;
	size_t capacity;
};

/** Texts of events, in blocks that never move. */
struct log_texts {
	struct log_texts *next;
	size_t used, size;
	char data[];
};

struct log {
	/* written under the store's lock, read below `end` by anyone */
	struct tide_event *chunks[LOG_CHUNKS];
	/* atomic */
	_Atomic tide_position end;
	/* under the store's lock */
	struct log_texts *texts;
	struct log_stream **streams;
	size_t stream_count, stream_capacity;
	struct index by_event_id; /* to positions */
	struct index by_stream;   /* to place in `streams`, from 1 */
	struct log *retired;      /* logs that clear replaced; readers may still be in them */
};

struct log *log_new(void); /* NULL: memory is out */
void log_free(struct log *log);

/** The event at a position at or below the end. */
static inline struct tide_event *log_at(const struct log *log, tide_position position)
{
	uint64_t n = (uint64_t)position - 1 + (UINT64_C(1) << LOG_FIRST_BITS);
	unsigned bit = 63u - (unsigned)__builtin_clzll(n);
	return &log->chunks[bit - LOG_FIRST_BITS][n - (UINT64_C(1) << bit)];
}

/** The position of an event id, 0: unknown. The stream, NULL: unknown. */
tide_position log_find(const struct log *log, const struct tide_uuid *event_id);
struct log_stream *log_find_stream(const struct log *log, struct tide_stream stream);

/**
 * Add the events of all commits that are not marked stored before in `results`, and fill these
 * results. All or nothing. TIDE_OK, TIDE_DUPLICATE_EVENT (an id twice among the commits),
 * TIDE_OUT_OF_MEMORY.
 */
tide_status log_insert(struct log *log, const struct tide_commit *commits, size_t count,
		       struct tide_append_result *results, struct tide_error *err);

#endif
