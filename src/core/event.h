/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_CORE_EVENT_H
#define TIDE_CORE_EVENT_H

#include <tidemark/event.h>

#include "core/json.h"

/**
 * Check one event to append against the rules of its fields; `index` names it in messages ("event
 * 3: ..."). Returns TIDE_OK, TIDE_ARGUMENT.
 */
tide_status event_check(const struct tide_new_event *event, size_t index, size_t max_payload_bytes,
			struct tide_error *err);

/** Complete a checked event: what is unset gets its default, but for ids, which stay. Texts are
 * borrowed. `now` is for occurred_at. */
struct tide_event event_stamp(const struct tide_new_event *event, struct tide_stream stream,
			      struct tide_time now);

/** Render as one JSON object into a buffer, keys in their fixed order; an undecodable event has
 * `raw` in place of `payload`. */
void event_write_json(struct buffer *buffer, const struct tide_event *event);

/** An event read from JSON: fields point into `text`, which belongs to it, and to occurred_at, so
 * it stays where it is. */
struct event_json {
	struct tide_new_event event;
	tide_position position;                  /* 0: absent */
	struct tide_time occurred_at, stored_at; /* stored_at: 0 absent */
	char *text;
};
/**
 * Read one JSON object of the shape event_write_json writes; only aggregate_type, aggregate_id,
 * event_type and payload are required. aggregate_id and event_id may be `name:anything`, which
 * stands for the version-5 UUID of `anything` in the URL namespace. Messages name the member.
 * Returns TIDE_OK, TIDE_ARGUMENT, TIDE_OUT_OF_MEMORY.
 */
tide_status event_read_json(struct tide_text json, struct event_json *ret, struct tide_error *err);
/** The same for an event of a stream, which need not name it. */
tide_status event_read_of_stream(struct tide_text json, struct tide_stream stream,
				 struct event_json *ret, struct tide_error *err);
void event_json_fini(struct event_json *event);
/**
 * Read the event_data of a dead letter: the same shape, or what another library wrote, an object
 * that has the domain's members beside the base members, or a JSON string that holds an object.
 * Returns as event_read_json.
 */
tide_status event_read_data(struct tide_text json, struct event_json *ret, struct tide_error *err);

/**
 * Write the event_data of a dead letter, UTF-8 and JSON whatever the event is: of a row that is no
 * event the readable columns and `raw`, the text of its payload, escaped by core/escape.h. Returns
 * TIDE_OK, TIDE_OUT_OF_MEMORY.
 */
tide_status event_write_data(const struct tide_event *event, char **ret, struct tide_error *err);
/** The same as a JSON string of ASCII that holds the object: any database can keep it. Returns as
 * above. */
tide_status event_plain_data(const char *data, char **ret, struct tide_error *err);
/** What stands for the event's id in the queue: a UUID, or else the text that is stored, escaped.
 * Returns as above. */
tide_status event_id_for_queue(const struct tide_event *event, struct tide_uuid *ret_id, char **ret,
			       struct tide_error *err);

/** Where the event of a dead letter belongs, as far as its event_data says. */
struct event_place {
	tide_position position; /* 0: it does not say */
	bool has_stream;        /* whether it says the next two */
	struct tide_uuid aggregate_id;
	uint64_t type_hash; /* of aggregate_type: event_type_hash */
};
uint64_t event_type_hash(struct tide_text aggregate_type);
/** Read it from event_data of either shape; what is no JSON says nothing. Returns TIDE_OK,
 * TIDE_OUT_OF_MEMORY. */
tide_status event_read_place(struct tide_text json, struct event_place *ret,
			     struct tide_error *err);
/** Whether it is in a share of the aggregates, as partitions have them; what names no stream is in
 * the first. `total` 0: there are no shares. */
bool event_place_is_in(const struct event_place *place, uint32_t index, uint32_t total);

/**
 * Complete an event whose row was written by another library (event_version is NULL there): when
 * the payload is an envelope, take the base fields from it and leave the domain members. `scratch`
 * is emptied and receives the new texts, which live until its next use. On failure the event stays
 * as it is. Returns TIDE_OK, TIDE_DECODE, TIDE_OUT_OF_MEMORY.
 */
tide_status event_open_envelope(struct tide_event *event, struct buffer *scratch,
				struct tide_error *err);

#endif
