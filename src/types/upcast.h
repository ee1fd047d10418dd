/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_TYPES_UPCAST_H
#define TIDE_TYPES_UPCAST_H

#include <tidemark/event_type.h>

/**
 * Bring a payload of an older version to the type's present one. `*ret` is heap memory for
 * tide_free; NULL when nothing had to be done. TIDE_OK, TIDE_DECODE, TIDE_OUT_OF_MEMORY, what an
 * upcaster returns.
 */
tide_status upcast_run(const struct tide_event_type *type, int32_t version,
		       struct tide_text payload, char **ret, struct tide_error *err);

/** Whether two lists of upcasters say the same. */
bool upcasters_equal(const struct tide_upcaster *a, const struct tide_upcaster *b);

#endif
