/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_PATH_PAUSE_H
#define TIDE_PATH_PAUSE_H

#include "path/subscription.h"

/**
 * Pause what runs, by a person or (TIDE_PAUSE_BACKPRESSURE) by the handler's breaker. A person's
 * pause takes the place of the breaker's. False: without effect.
 */
bool pause_begin(struct tide_subscription *subscription, enum tide_pause_reason reason,
		 struct mono_time now, struct tide_time wall);
/** Back to where it was paused from; `is_probe`: only out of the breaker's pause, to let a probe
 * through. */
bool pause_end(struct tide_subscription *subscription, bool is_probe);

#endif
