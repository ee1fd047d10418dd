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

tide_status tide_delivery_fail(struct tide_delivery *delivery, tide_status status,
			       const char *format, ...)
{
	if (!delivery || !format)
		return status;
	va_list arguments;
	va_start(arguments, format);
	int size = vsnprintf(delivery->message, sizeof delivery->message, format, arguments);
	va_end(arguments);
	if (size >= (int)sizeof delivery->message)
		delivery->message[utf8_cut(delivery->message, strlen(delivery->message),
					   sizeof delivery->message - 1)] = '\0';
	delivery->has_message = size > 0;
	return status;
}

void tide_delivery_take(struct tide_delivery *delivery, size_t count, size_t begun)
{
	if (!delivery)
		return;
	delivery->taken = count;
	delivery->begun = begun;
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
	delivery->connection = NULL;
	delivery->stacktrace = NULL;
	delivery->is_stop = false;
	delivery->taken = SIZE_MAX;
	delivery->begun = 0;
	delivery->has_message = delivery->is_late = false;
	delivery->writes = WRITES_NONE;
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
	if (delivery->took >= 0)
		histogram_add(status == TIDE_OK ? &metrics->handled_seconds
						: &metrics->failed_seconds,
			      delivery->took);
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
