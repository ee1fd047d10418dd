/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_PATH_FAMILY_H
#define TIDE_PATH_FAMILY_H

/* The rows of the lanes of a name, as a database has them. */

#include <tidemark/subscription.h>

#include "path/store.h"

/** Whether a row's name is that of a lane, or a partition, of `name`, and which. */
bool family_has(const char *name, const char *row_name, struct tide_lane *ret);
/** How many lanes the rows show a name to have: the number that was saved last; 0: none. */
uint32_t family_lanes(const char *name, const struct tide_checkpoint *rows, size_t count);

/**
 * Whether a run that finds no row of its own may begin: TIDE_STATE where the name has rows of
 * another number of lanes, and what those have settled would be handled again.
 */
tide_status family_check_start(const struct tide_store *database, void *session, const char *name,
			       uint32_t lanes, struct tide_error *err);
/** What is asked of a name that has only the rows of its lanes is asked of one of them:
 * TIDE_UNSUPPORTED. */
tide_status family_refuse(const struct tide_store *database, void *session, const char *name,
			  struct tide_error *err);

#endif
