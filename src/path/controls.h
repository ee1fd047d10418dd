/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_PATH_CONTROLS_H
#define TIDE_PATH_CONTROLS_H

#include <tidemark/control.h>

#include "path/checkpoints.h"

/** Every durable pause of a database; none where it keeps none, or this role may not read them,
 * which is logged when a subscription's `name` is given. Released with tide_free. */
tide_status controls_load(const struct tide_store *database, void *session, const char *name,
			  struct tide_control **ret, size_t *ret_count, struct tide_error *err);
/** Whether a person may ask so: TIDE_ARGUMENT. */
tide_status controls_check(const struct tide_checkpoints *checkpoints, const char *name,
			   const struct tide_control_request *request, struct tide_error *err);
/** The one of a name; NULL: it is not paused. */
const struct tide_control *controls_find(const struct tide_control *list, size_t count,
					 const char *name);

#endif
