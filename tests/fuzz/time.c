/* SPDX-License-Identifier: Apache-2.0 */
#include "target.h"

#include "core/text.h"

/* What is read as an instant is in range, and its written form reads back as the same; bytes taken
 * as a number, too. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tide_time time, again;
	char text[TIDE_TIME_TEXT_SIZE];
	if (size == sizeof time.unix_us) {
		memcpy(&time.unix_us, data, size);
		tide_time_format(time, text);
		assert(time_read(text, strlen(text), &again));
		if (time.unix_us >= TIDE_TIME_MIN_US && time.unix_us <= TIDE_TIME_MAX_US)
			assert(time.unix_us == again.unix_us);
	}
	if (!time_read((const char *)data, size, &time))
		return 0;
	assert(time.unix_us >= TIDE_TIME_MIN_US && time.unix_us <= TIDE_TIME_MAX_US);
	tide_time_format(time, text);
	assert(strlen(text) == TIDE_TIME_TEXT_SIZE - 1);
	assert(time_read(text, strlen(text), &again) && again.unix_us == time.unix_us);
	return 0;
}
