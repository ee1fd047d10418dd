/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_PATH_TYPED_H
#define TIDE_PATH_TYPED_H

#include <tidemark/subscription.h>

/** A subscriber's table of handlers by event type, and room for the payload that is in hand; used
 * by its runner alone. */
struct typed;

/** Check and copy the table of a subscriber. TIDE_OK, TIDE_ARGUMENT (names the subscriber and the
 * entry), TIDE_OUT_OF_MEMORY. */
tide_status typed_new(const struct tide_subscriber *subscriber, struct typed **ret,
		      struct tide_error *err);
void typed_free(struct typed *typed);
/** The names of its types, ending in NULL. */
const char *const *typed_event_types(const struct typed *typed);
/** Decode the payload, call the handler of its type, release the payload; what fails is said to the
 * delivery. */
tide_status typed_handle(struct typed *typed, void *self, const struct tide_event *event,
			 struct tide_delivery *delivery);

#endif
