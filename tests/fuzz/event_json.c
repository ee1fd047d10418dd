/* SPDX-License-Identifier: Apache-2.0 */
#include "target.h"

#include "core/event.h"

static struct buffer render(const struct event_json *read)
{
	struct tide_stream stream = { read->event.aggregate_id, read->event.aggregate_type };
	struct tide_event event = event_stamp(&read->event, stream, read->occurred_at);
	struct buffer buffer = { 0 };
	event.position = read->position;
	event.stored_at = read->stored_at;
	event_write_json(&buffer, &event);
	return buffer;
}

/* An event that was read is written as one that reads back as itself, and passes the checks that
 * its fields pass. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct event_json read, again;
	struct tide_text text = { (const char *)data, size };
	if (event_read_data(text, &read, NULL) != TIDE_OK) {
		assert(event_read_json(text, &read, NULL) != TIDE_OK);
		return 0;
	}
	struct buffer once = render(&read);
	tide_status status = event_check(&read.event, 0, SIZE_MAX, NULL);
	event_json_fini(&read);
	assert(event_read_json((struct tide_text){ once.data, once.size }, &again, NULL) ==
	       TIDE_OK);
	assert(event_check(&again.event, 0, SIZE_MAX, NULL) == status);
	struct buffer twice = render(&again);
	event_json_fini(&again);
	assert(once.size == twice.size && memcmp(once.data, twice.data, once.size) == 0);
	buffer_fini(&once);
	buffer_fini(&twice);
	return 0;
}
