/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_PATH_GROWTH_H
#define TIDE_PATH_GROWTH_H

#include <tidemark/store.h>

/** How many positions up to `end` were stored after a moment. */
tide_status growth_since(struct tide_store *store, tide_position end, int64_t since_us,
			 int64_t *ret, struct tide_error *err);

#endif
