/* SPDX-License-Identifier: Apache-2.0 */
/* Old payloads into new ones, version by version, when an event is read. */
#include "types/upcast.h"

#include <inttypes.h>

#include "core/json.h"
#include "sys/alloc.h"

#define UPCAST_CHANGES_MAX 64 /* in one list: a bit each */

/** The change that concerns a member; NULL: none. */
static const struct tide_upcast_change *upcast_find(const struct tide_upcast_change *changes,
						    const struct json_token *key, uint64_t *seen)
{
	for (size_t i = 0; i < UPCAST_CHANGES_MAX && changes[i].key; i++) {
		if (!json_equals(key, changes[i].key))
			continue;
		*seen |= UINT64_C(1) << i;
		return &changes[i];
	}
	return NULL;
}

/** Copy one member under its new name, or leave it out. */
static bool upcast_member(const struct tide_upcast_change *changes, struct json_reader *reader,
			  const struct json_token *key, uint64_t *seen, struct buffer *out)
{
	struct tide_text value;
	if (!json_skip(reader, *key, &value))
		return false;

	const struct tide_upcast_change *change = upcast_find(changes, key, seen);
	if (change && !change->to && !change->json)
		return true;
	if (change && change->to) {
		json_key(out, change->to);
	} else {
		/* with its quotes */
		json_raw(out, (struct tide_text){ key->text.data - 1, key->text.size + 2 });
		buffer_add(out, ":", 1);
	}

	json_raw(out, value);
	return true;
}

static void upcast_add_missing(const struct tide_upcast_change *changes, uint64_t seen,
			       struct buffer *out)
{
	for (size_t i = 0; i < UPCAST_CHANGES_MAX && changes[i].key; i++) {
		if (!changes[i].json || seen >> i & 1)
			continue;
		json_key(out, changes[i].to ? changes[i].to : changes[i].key);
		json_raw(out, tide_text(changes[i].json));
	}
}

static tide_status upcast_by_changes(const struct tide_upcast_change *changes,
				     struct tide_text payload, char **ret, struct tide_error *err)
{
	struct json_reader reader;
	struct buffer out = { 0 };
	uint64_t seen = 0;
	json_read(&reader, payload.data, payload.size);
	struct json_token token = json_next(&reader);
	bool is_good = token.kind == JSON_OBJECT;
	json_open(&out, '{');
	while (is_good && (token = json_next(&reader)).kind == JSON_KEY)
		is_good = upcast_member(changes, &reader, &token, &seen, &out);
	if (is_good && token.kind == JSON_OBJECT_END) {
		upcast_add_missing(changes, seen, &out);
		json_close(&out, '}');
		return buffer_take(&out, ret, err);
	}

	buffer_fini(&out);
	return tide_fail(err, TIDE_DECODE, "payload is no JSON object: %s",
			 reader.problem ? reader.problem : "it is another value");
}

static const struct tide_upcaster *upcaster_find(const struct tide_event_type *type,
						 int32_t version)
{
	for (const struct tide_upcaster *upcaster = type->upcasters; upcaster && upcaster->from;
	     upcaster++)
		if (upcaster->from == version)
			return upcaster;
	return NULL;
}

static tide_status upcast_step(const struct tide_event_type *type, int32_t version,
			       struct tide_text payload, char **ret, struct tide_error *err)
{
	const struct tide_upcaster *upcaster = upcaster_find(type, version);
	if (!upcaster)
		return tide_fail(err, TIDE_DECODE, "'%s' has no upcaster from version %" PRId32,
				 type->name, version);
	if (upcaster->changes)
		return upcast_by_changes(upcaster->changes, payload, ret, err);
	return upcaster->upcast(payload, ret, err);
}

tide_status upcast_run(const struct tide_event_type *type, int32_t version,
		       struct tide_text payload, char **ret, struct tide_error *err)
{
	char *present = NULL;
	for (; version < type->version; version++) {
		char *next = NULL;
		tide_status status = upcast_step(type, version, payload, &next, err);
		tide_free(present);
		if (status != TIDE_OK)
			return status;
		present = next;
		payload = tide_text(present);
	}
	*ret = present;
	return TIDE_OK;
}

static bool upcast_texts_equal(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static bool upcast_changes_equal(const struct tide_upcast_change *a,
				 const struct tide_upcast_change *b)
{
	if (a == b || !a || !b)
		return a == b;
	for (; a->key && b->key; a++, b++)
		if (strcmp(a->key, b->key) != 0 || !upcast_texts_equal(a->to, b->to) ||
		    !upcast_texts_equal(a->json, b->json))
			return false;
	return !a->key && !b->key;
}

bool upcasters_equal(const struct tide_upcaster *a, const struct tide_upcaster *b)
{
	if (a == b || !a || !b)
		return a == b;
	for (; a->from && b->from; a++, b++)
		if (a->from != b->from || a->upcast != b->upcast ||
		    !upcast_changes_equal(a->changes, b->changes))
			return false;
	return a->from == b->from;
}
