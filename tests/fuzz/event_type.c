/* SPDX-License-Identifier: Apache-2.0 */
#include "target.h"

#include "domain/every.h"

/* A payload that decodes is encoded to one that decodes to the same; the first byte chooses what is
 * tolerated. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	const struct tide_event_type *types[] = { every_type, every_strict_type,
						  every_lenient_type };
	const struct tide_event_type *type = types[data[0] % 3];
	struct every every;
	struct tide_text payload = { (const char *)data + 1, size - 1 };
	if (tide_payload_decode(type, 1, payload, &every, NULL) != TIDE_OK)
		return 0;
	char *once, *twice;
	tide_status status = tide_event_encode(type, &every, &once, NULL);
	tide_event_type_fini(type, &every);
	if (status != TIDE_OK) {
		assert(type == every_lenient_type); /* a text that was missing is NULL */
		return 0;
	}
	assert(tide_payload_decode(type, 1, tide_text(once), &every, NULL) == TIDE_OK);
	assert(tide_event_encode(type, &every, &twice, NULL) == TIDE_OK);
	assert(strcmp(once, twice) == 0);
	tide_event_type_fini(type, &every);
	tide_free(once);
	tide_free(twice);
	return 0;
}
