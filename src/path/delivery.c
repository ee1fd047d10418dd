/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a handler may ask and say while an event is in its hands, and the end of its call.
 *
 * Happy path: the runner fills the delivery, the handler asks it, its end is counted.
 * Failure modes: a stop has given up waiting for the call: what it came to counts no more, but for
 * what is kept already.
 */
#include "path/delivery.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/escape.h"
#include "core/text.h"
#include "path/react.h"
#include "path/session.h"
#include "sys/alloc.h"

#define DELIVERY_STACKTRACE_MAX ((size_t)16 << 10)

/* ---- What a handler may ask and say ---------------------------------------------------------- */

int32_t tide_delivery_attempt(const struct tide_delivery *delivery)
{
	return delivery ? delivery->attempt : 0;
}

tide_position tide_delivery_position(const struct tide_delivery *delivery)
{
	return delivery ? delivery->position : 0;
}

bool tide_delivery_is_late(const struct tide_delivery *delivery)
{
	if (!delivery)
		return false;
	const struct tide_subscription *subscription = delivery->subscription;
	int64_t elapsed = mono_since(clock_mono(subscription->engine->clock), delivery->since);
	return elapsed >= ns_of_seconds(subscription->config.processing_timeout);
}

bool tide_delivery_is_stopping(const struct tide_delivery *delivery)
{
	return delivery && run_is_ending(&delivery->subscription->run);
}

void *tide_delivery_connection(const struct tide_delivery *delivery)
{
	return delivery ? delivery->connection : NULL;
}

struct tide_lane tide_delivery_lane(const struct tide_delivery *delivery)
{
	const struct lanes *lanes = delivery ? &delivery->subscription->lanes : NULL;
	return lanes && lanes->total > 0 ? (struct tide_lane){ lanes->index, lanes->total }
					 : (struct tide_lane){ 0, 1 };
}

void *tide_delivery_context(const struct tide_delivery *delivery)
{
	return delivery ? session_context(delivery->subscription) : NULL;
}

tide_status tide_delivery_fail(struct tide_delivery *delivery, tide_status status,
			       const char *format, ...)
{
	if (!delivery || !format)
		return status;
	va_list arguments;
	va_start(arguments, format);
	int size = vsnprintf(delivery->message, sizeof delivery->message, format, arguments);
	va_end(arguments);
	if (size < 0)
		delivery->message[0] = '\0';
	if (size >= (int)sizeof delivery->message)
		delivery->message[utf8_cut(delivery->message, strlen(delivery->message),
					   sizeof delivery->message - 1)] = '\0';
	return status;
}

void tide_delivery_take(struct tide_delivery *delivery, size_t count, size_t begun)
{
	if (!delivery)
		return;
	delivery->taken = count;
	delivery->begun = begun;
}

/* Where the event that is next would not be handed over by itself: somebody is to be obeyed, the
 * ownership is not trusted, or the timer of the saves cuts between two events. */
static bool delivery_is_cut(const struct tide_subscription *subscription, struct mono_time now)
{
	const struct tide_subscription_config *config = &subscription->config;
	const struct progress *progress = &subscription->runner.progress;
	struct mono_time save_at =
		mono_add(progress->saved_at, ns_of_seconds(config->checkpoint_interval_seconds));
	bool is_save_due = config->checkpoint_strategy == TIDE_PERIODIC && now.ns >= save_at.ns;
	return is_save_due || atomic_load(&subscription->attention) ||
	       now.ns >=
		       atomic_load_explicit(&subscription->lease.trust_until, memory_order_relaxed);
}

bool tide_delivery_go_on(struct tide_delivery *delivery, size_t count)
{
	if (!delivery || delivery->together.count == 0)
		return delivery != NULL;

	const struct tide_subscription *subscription = delivery->subscription;
	struct together *together = &delivery->together;
	struct mono_time now = clock_mono(subscription->engine->clock);
	if (count > together->count)
		count = together->count;
	if (count > together->done) {
		delivery->is_late |= mono_since(now, delivery->since) >=
				     ns_of_seconds(subscription->config.processing_timeout);
		together->done = count;
		delivery->since = now;
	}

	if (delivery->is_late || together->done == together->count)
		return false;
	delivery_take_in_hand(delivery, together->events[together->done]->position, 1);
	/* what appends is committed right behind it */
	return !react_has_appended(subscription) && !delivery_is_cut(subscription, now);
}

void tide_delivery_stop(struct tide_delivery *delivery)
{
	if (delivery)
		delivery->is_stop = true;
}

void tide_delivery_set_stacktrace(struct tide_delivery *delivery, const char *stacktrace)
{
	if (!delivery)
		return;
	tide_free(delivery->stacktrace);
	delivery->stacktrace = NULL;
	if (stacktrace) /* without memory there is none */
		(void)escape_text(text_view(stacktrace, utf8_cut(stacktrace, strlen(stacktrace),
								 DELIVERY_STACKTRACE_MAX)),
				  ESCAPE_UTF8, &delivery->stacktrace, NULL);
}

/* ---- Its begin and its end ------------------------------------------------------------------- */

void delivery_begin(struct tide_delivery *delivery, struct tide_subscription *subscription,
		    int32_t attempt, tide_position position)
{
	delivery->subscription = subscription;
	delivery->attempt = attempt;
	delivery->position = position;
	delivery->took = -1;
	delivery->event = NULL;
	delivery->together = (struct together){ NULL, 0, 0 };
	delivery->connection = NULL;
	delivery->stacktrace = NULL;
	delivery->is_stop = false;
	delivery->taken = SIZE_MAX;
	delivery->begun = 0;
	delivery->message[0] = '\0';
	delivery->is_late = false;
	delivery->writes = WRITES_NONE;
}

/*
 * The watchdog reads `hand.since`, then the others, then claims `hand.since`: each store here
 * releases the one before it, so that it never takes the next call's position for this one's.
 */
void delivery_take_in_hand(const struct tide_delivery *delivery, tide_position position,
			   size_t count)
{
	struct hand *hand = &delivery->subscription->hand;
	bool is_together = delivery->together.count > 0;
	int64_t since = delivery->since.ns ? delivery->since.ns : 1;
	atomic_store_explicit(&hand->events, is_together ? 1 : (int64_t)count,
			      memory_order_release);
	atomic_store_explicit(&hand->position, position, memory_order_release);
	atomic_store_explicit(&hand->attempt, delivery->attempt, memory_order_release);
	atomic_store_explicit(&hand->kind, is_together ? HAND_TOGETHER : HAND_ALONE,
			      memory_order_release);
	atomic_store_explicit(&hand->since, since, memory_order_release);
}

size_t delivery_taken(const struct tide_delivery *delivery, size_t count)
{
	return delivery->taken < count ? delivery->taken : count;
}

bool delivery_end_locked(struct tide_subscription *subscription,
			 const struct tide_delivery *delivery, tide_status status)
{
	assert(mutex_is_mine(&subscription->lock));
	struct metrics *metrics = &subscription->metrics;
	int64_t calls = 1; /* what is handled together is measured as if it were not */
	if (delivery->together.count > 0)
		calls = (int64_t)delivery_taken(delivery, delivery->together.count);
	if (delivery->took >= 0)
		histogram_add(status == TIDE_OK ? &metrics->handled_seconds
						: &metrics->failed_seconds,
			      delivery->took / calls, calls);
	while (subscription->stop.is_frozen)
		cond_wait(&subscription->changed, &subscription->lock);
	return delivery->writes == WRITES_KEPT || subscription->run.state != RUN_ABANDONED;
}

bool delivery_end(struct tide_subscription *subscription, const struct tide_delivery *delivery,
		  tide_status status)
{
	mutex_lock(&subscription->lock);
	bool counts = delivery_end_locked(subscription, delivery, status);
	mutex_unlock(&subscription->lock);
	return counts;
}
