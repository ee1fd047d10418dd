/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_PATH_ATTEMPT_H
#define TIDE_PATH_ATTEMPT_H

#include "path/delivery.h"

/** The whole of one attempt under a savepoint when transactional: a failed one leaves nothing
 * behind. */
tide_status attempt_make(struct tide_subscription *subscription,
			 const struct tide_event *const *events, size_t count,
			 struct tide_delivery *delivery, struct tide_error *err);

#endif
