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
 * through. Without effect while it is paused durably. */
bool pause_end(struct tide_subscription *subscription, bool is_probe);

/** What the database says of a durable pause, and when it was asked. */
struct pause_word {
	const struct tide_control *control; /* NULL: there is none */
	struct mono_time asked;
	struct tide_time wall;
};
/** The one of a subscription among those of a database: all lanes obey that of their head, too. */
const struct tide_control *pause_find(const struct tide_subscription *subscription,
				      const struct tide_control *list, size_t count);
/** Obey it, unless the database has been asked since; true when the state moved. */
bool pause_obey(struct tide_subscription *subscription, const struct pause_word *word);
/** Enter PAUSED, to go on with `from` when all pauses have ended; false: it cannot be paused. */
bool pause_enter_locked(struct tide_subscription *subscription, enum tide_state from,
			struct mono_time now, struct tide_time wall)
	TIDE_REQUIRES(subscription->lock);

#endif
