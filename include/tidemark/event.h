/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDEMARK_EVENT_H
#define TIDEMARK_EVENT_H

#include <string.h>

#include <tidemark/error.h>
#include <tidemark/time.h>
#include <tidemark/uuid.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

typedef int64_t tide_position; /* place of an event in the feed, from 1; 0 is before the first */
/* count of an event inside its stream, from 1; 0 is an empty stream */
typedef int32_t tide_version;

#define TIDE_NAME_MAX 255 /* bytes of an event type, aggregate type, projection name or actor id */

/** A borrowed run of UTF-8; `data` also ends in a NUL that `size` does not count, and is NULL for
 * "none". */
struct tide_text {
	const char *data;
	size_t size; /* bytes */
};

/** View a C string as text; NULL gives "none". */
static inline struct tide_text tide_text(const char *string)
{
	struct tide_text text = { string, string ? strlen(string) : 0 };
	return text;
}

/** Names one stream: the events of one aggregate. */
struct tide_stream {
	struct tide_uuid aggregate_id;
	const char *aggregate_type;
};

/** An event as stored: an immutable view, valid until its page is read again or the handler
 * returns. */
struct tide_event {
	tide_position position;          /* global position */
	tide_version version;            /* in its stream */
	int32_t event_version;           /* schema version of the event type, from 1 */
	struct tide_uuid event_id;       /* unique in the store */
	struct tide_uuid aggregate_id;   /* with aggregate_type, names the stream */
	struct tide_uuid tenant_id;      /* nil: none */
	struct tide_uuid correlation_id; /* nil: none (rows of foreign origin only) */
	struct tide_uuid causation_id;   /* nil: none */
	struct tide_text event_type;
	struct tide_text aggregate_type;
	struct tide_text actor_id;    /* data NULL: none */
	struct tide_text metadata;    /* a JSON object */
	struct tide_text payload;     /* any JSON value */
	struct tide_time occurred_at; /* when it happened, as the writer said */
	struct tide_time stored_at;   /* when the store took it */
	/* NULL; else why this stored row is no event (payload: its raw text) */
	const char *undecodable;
	/* NULL; else what is stored for event_id, which is nil: no UUID */
	const char *event_id_text;
};

/** An event to append. Only `event_type` is required; zero members mean their defaults. */
struct tide_new_event {
	const char *event_type;              /* required */
	struct tide_text payload;            /* JSON; none: {} */
	struct tide_text metadata;           /* JSON object; none: {} */
	int32_t event_version;               /* 0: 1 */
	tide_version version;                /* 0: assigned by the store */
	struct tide_uuid event_id;           /* nil: a new version 7 */
	struct tide_uuid aggregate_id;       /* nil: the stream's */
	const char *aggregate_type;          /* NULL: the stream's */
	const struct tide_time *occurred_at; /* NULL: now */
	struct tide_uuid tenant_id;          /* nil: none */
	const char *actor_id;                /* NULL: none */
	struct tide_uuid correlation_id;     /* nil: a new random one */
	struct tide_uuid causation_id;       /* nil: none */
};

/**
 * Make an owned copy of an event that outlives its page.
 *
 * Owns:    the caller owns `*ret`, one block; release it with tide_free.
 * Threads: any.
 * Returns: TIDE_OK, TIDE_ARGUMENT, TIDE_OUT_OF_MEMORY.
 */
tide_status tide_event_copy(const struct tide_event *event, struct tide_event **ret,
			    struct tide_error *err);

/**
 * Derive a new event that says what caused it: causation_id and correlation_id are taken from
 * `cause`.
 *
 * Owns:    nothing; the result borrows what `event` borrows.
 * Threads: any.
 * Returns: the derived event; `event` stays as it is.
 */
struct tide_new_event tide_new_event_caused_by(struct tide_new_event event,
					       const struct tide_event *cause);

/**
 * Derive a new event with an explicit version.
 *
 * Owns:    nothing; the result borrows what `event` borrows.
 * Threads: any.
 * Returns: the derived event; `event` stays as it is.
 */
struct tide_new_event tide_new_event_with_version(struct tide_new_event event,
						  tide_version version);

/**
 * Merge two JSON objects shallowly, members of `more` winning: metadata for a derived event.
 *
 * Owns:    the caller owns `*ret`; release it with tide_free.
 * Threads: any.
 * Returns: TIDE_OK, TIDE_ARGUMENT, TIDE_OUT_OF_MEMORY.
 */
tide_status tide_metadata_merge(struct tide_text metadata, struct tide_text more, char **ret,
				struct tide_error *err);

/**
 * Tell whether `event` was caused by `cause`, or shares a non-nil correlation with it.
 *
 * Owns:    nothing.
 * Threads: any.
 * Returns: whether it holds.
 */
bool tide_event_is_caused_by(const struct tide_event *event, const struct tide_event *cause);
bool tide_event_is_correlated_with(const struct tide_event *event, const struct tide_event *other);

/**
 * Write an event as one JSON object on one line: the shape of import, export, handlers and HTTP.
 *
 * Owns:    the caller owns `*ret`; release it with tide_free.
 * Threads: any.
 * Returns: TIDE_OK, TIDE_ARGUMENT, TIDE_OUT_OF_MEMORY.
 */
tide_status tide_event_to_json(const struct tide_event *event, char **ret, struct tide_error *err);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
