/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_PATH_NOTIFY_H
#define TIDE_PATH_NOTIFY_H

#include <tidemark/backend.h>

#include "sys/wakeup.h"

/** Who rang: the sources of a wake-up, one bit each. */
enum {
	RING_APPEND = 1,
	RING_BUS = 2,
	RING_NOTIFY = 4,
	RING_MANUAL = 8,
	RING_CONTROL = 16, /* pause, resume, stop: no wake-up of the feed */
	RING_TAIL = 32,    /* somebody else's look at the feed has ended */
	RING_RELEASE = 64, /* the name that is waited for has been released */
};

/** The bell of one store: everyone who waits for it, and the thread that hears other processes. */
struct notifier;

/** One waiter; embedded in what waits. */
struct notify_link {
	struct notify_link *next;
	struct wakeup *wakeup;
	const char *name;      /* of the subscription */
	atomic_bool is_asking; /* it does not own its name yet */
};

tide_status notifier_new(const struct tide_backend *backend, void *state, struct notifier **ret,
			 struct tide_error *err);
void notifier_free(struct notifier *notifier); /* nobody may be registered any more */

/** Register before the first look at the feed end. The first one starts the listener thread, if
 * others can write. */
tide_status notifier_add(struct notifier *notifier, struct notify_link *link,
			 struct tide_error *err);
void notifier_remove(struct notifier *notifier, struct notify_link *link);
/** Wake everyone. Cheap when nobody waits. */
void notifier_ring(struct notifier *notifier, unsigned source);
/** Wake those who stand by for a name that was released just now. */
void notifier_ring_standby(struct notifier *notifier, const char *name);
/** How often it was rung so far, tail rings apart: whether a look at the feed is still the newest
 * word. */
uint64_t notifier_rings(struct notifier *notifier);

#endif
