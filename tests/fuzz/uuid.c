/* SPDX-License-Identifier: Apache-2.0 */
#include "target.h"

#include "core/text.h"

/* What is read as a UUID is written as the same text in lower case. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tide_uuid uuid, again;
	if (!uuid_read((const char *)data, size, &uuid))
		return 0;
	char text[TIDE_UUID_TEXT_SIZE];
	tide_uuid_format(&uuid, text);
	assert(size == strlen(text));
	for (size_t i = 0; i < size; i++)
		assert(text[i] ==
		       (char)(data[i] >= 'A' && data[i] <= 'F' ? data[i] | 0x20 : data[i]));
	assert(uuid_read(text, size, &again) && tide_uuid_equal(&uuid, &again));
	return 0;
}
