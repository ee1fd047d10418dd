/* SPDX-License-Identifier: Apache-2.0 */
#include <tidemark/event.h>

#include <string.h>

#include "core/json.h"
#include "sys/alloc.h"

static bool metadata_has(struct tide_text object, const char *name)
{
	struct json_reader reader;
	json_read(&reader, object.data, object.size);
	json_next(&reader);
	for (struct json_token key = json_next(&reader); key.kind == JSON_KEY;
	     key = json_next(&reader)) {
		if (json_equals(&key, name))
			return true;
		json_skip(&reader, key, NULL);
	}
	return false;
}

/* Copy the members of an object that `unless` has not. `scratch` has room for any of its names. */
static void metadata_add(struct buffer *buffer, struct tide_text object, struct tide_text unless,
			 char *scratch)
{
	struct json_reader reader;
	json_read(&reader, object.data, object.size);
	json_next(&reader);

	for (struct json_token key = json_next(&reader); key.kind == JSON_KEY;
	     key = json_next(&reader)) {
		struct tide_text value;
		json_unescape(&key, scratch);
		json_skip(&reader, key, &value);
		if (unless.data && metadata_has(unless, scratch))
			continue;
		json_key(buffer, scratch);
		json_raw(buffer, value);
	}
}

tide_status tide_metadata_merge(struct tide_text metadata, struct tide_text more, char **ret,
				struct tide_error *err)
{
	if (!ret)
		return tide_fail(err, TIDE_ARGUMENT, "ret is NULL");
	metadata = metadata.data ? metadata : tide_text("{}");
	more = more.data ? more : tide_text("{}");
	tide_status status = json_check(metadata, true, "metadata", err);
	if (status == TIDE_OK)
		status = json_check(more, true, "more", err);
	if (status != TIDE_OK)
		return status;

	ALLOC_AUTO char *scratch =
		alloc_resize(NULL, 1, (metadata.size > more.size ? metadata.size : more.size) + 1);
	if (!scratch)
		return alloc_fail(err);

	struct buffer buffer = { 0 };
	json_open(&buffer, '{');
	metadata_add(&buffer, metadata, more, scratch);
	metadata_add(&buffer, more, tide_text(NULL), scratch);
	json_close(&buffer, '}');
	return buffer_take(&buffer, ret, err);
}
