/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_PATH_DELIVERY_H
#define TIDE_PATH_DELIVERY_H

/*
 * What a handler may ask and say while an event is in its hands, and the end of its call.
 */

#include "path/subscription.h"

/** What has become of what a handler wrote to the delivery transaction. */
enum delivery_writes {
	WRITES_NONE,  /* it is in hand still, has none, or it was undone */
	WRITES_KEPT,  /* there for good: no stop abandons the call any more */
	WRITES_ENDED, /* with the transaction, which only the runner may end */
	WRITES_LOST,  /* with the connection, or the savepoint */
};

/** Events that are handled together, in order, and how many of them are done; count 0: they are
 * not. */
struct together {
	const struct tide_event *const *events;
	size_t count, done;
};

/** A handler call in progress, or its result. */
struct tide_delivery {
	struct tide_subscription *subscription;
	int32_t attempt;
	tide_position position;
	struct mono_time since;         /* when the event whose turn it is was taken in hand */
	int64_t took;                   /* ns, the whole call; -1: was not called */
	const struct tide_event *event; /* the first, or only, one of the call */
	struct together together;
	void *connection;
	char message[sizeof((struct tide_error *)0)->message]; /* empty: none was given */
	char *stacktrace;
	bool is_stop; /* its failure is not the event's, and ends the run */
	size_t taken; /* the first events of its batch that it is about; SIZE_MAX: all of them */
	size_t begun; /* events behind them that the handler has under way */
	bool is_late; /* past processing_timeout: recorded at its deadline */
	enum delivery_writes writes;
};

/** Whether nobody knows what is in the transaction that it was made in. */
static inline bool delivery_has_spoilt(const struct tide_delivery *delivery)
{
	return delivery->writes == WRITES_ENDED || delivery->writes == WRITES_LOST;
}

/** Fill everything but what is behind the first byte of the message, which is large. */
void delivery_begin(struct tide_delivery *delivery, struct tide_subscription *subscription,
		    int32_t attempt, tide_position position);
/** The event whose turn it is now is in hand, since `delivery->since`: the watchdog sees it. */
void delivery_take_in_hand(const struct tide_delivery *delivery, tide_position position,
			   size_t count);
/** How many events of the call its result is about; 0: none yet, the call comes again. */
size_t delivery_taken(const struct tide_delivery *delivery, size_t count);
/**
 * Every attempt ends with this, before anything of the run is touched: it is counted, and the
 * answer is whether it counts, or a stop has given up waiting for it meanwhile.
 */
bool delivery_end(struct tide_subscription *subscription, const struct tide_delivery *delivery,
		  tide_status status);
bool delivery_end_locked(struct tide_subscription *subscription,
			 const struct tide_delivery *delivery, tide_status status)
	TIDE_REQUIRES(subscription->lock);

#endif
