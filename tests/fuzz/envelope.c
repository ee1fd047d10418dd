/* SPDX-License-Identifier: Apache-2.0 */
#include "target.h"

#include "core/event.h"
#include "core/text.h"

/* An opened envelope is an event whose payload and metadata are JSON, and holds no second
 * envelope. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char id[] = "f47ac10b-58cc-4372-a567-0e02b2c3d479";
	struct buffer scratch = { 0 }, other = { 0 };
	struct tide_event event = { .position = 1, .payload = { (const char *)data, size } };
	uuid_read(id, sizeof id - 1, &event.event_id);
	if (event_open_envelope(&event, &scratch, NULL) == TIDE_OK) {
		struct tide_event again = event;
		assert(event.event_version >= 1);
		assert(json_check(event.payload, false, "payload", NULL) == TIDE_OK);
		assert(json_check(event.metadata, true, "metadata", NULL) == TIDE_OK);
		assert(event_open_envelope(&again, &other, NULL) == TIDE_OK);
		assert(again.payload.size == event.payload.size &&
		       memcmp(again.payload.data, event.payload.data, event.payload.size) == 0);
	} else {
		assert(event.payload.data == (const char *)data);
	}
	buffer_fini(&scratch);
	buffer_fini(&other);
	return 0;
}
