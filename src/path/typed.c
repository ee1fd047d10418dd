/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A subscriber with a table of handlers: each event goes, decoded, to the function of its type.
 *
 * Happy path: the payload is decoded into room that is made once and reused, and released when the
 * handler returns.
 * Failure modes: it does not decode, or the configuration asks for a type that the table lacks: the
 * event fails for good, as by a handler that returns TIDE_DECODE or TIDE_UNHANDLED_EVENT.
 */
#include "path/typed.h"

#include <string.h>

#include <tidemark/event_type.h>

#include "core/text.h"
#include "sys/alloc.h"

struct typed {
	struct tide_event_handler *handlers;
	const char **names; /* of their types; ends in NULL */
	size_t count;
	void *payload; /* of the greatest type */
};

static tide_status typed_check(const struct tide_subscriber *subscriber, size_t index,
			       struct tide_error *err)
{
	const struct tide_event_handler *handler = &subscriber->handlers[index];
	const struct tide_event_type *type = handler->type;
	tide_status status = name_check_type(type->name, "event type of handlers", err);
	if (status != TIDE_OK)
		return status;
	if (!type->fields || !type->size || type->version < 1)
		return tide_fail(err, TIDE_ARGUMENT,
				 "'%s' in handlers of '%s' has no fields, no size or no version",
				 type->name, subscriber->name);
	if (!handler->handle)
		return tide_fail(err, TIDE_ARGUMENT, "'%s' in handlers of '%s' has no function",
				 type->name, subscriber->name);

	for (size_t i = 0; i < index; i++)
		if (strcmp(subscriber->handlers[i].type->name, type->name) == 0)
			return tide_fail(err, TIDE_ARGUMENT, "'%s' is in handlers of '%s' twice",
					 type->name, subscriber->name);
	return TIDE_OK;
}

static tide_status typed_check_all(const struct tide_subscriber *subscriber, size_t *ret_count,
				   struct tide_error *err)
{
	size_t count = 0;
	for (; subscriber->handlers[count].type; count++) {
		tide_status status = typed_check(subscriber, count, err);
		if (status != TIDE_OK)
			return status;
	}

	if (count == 0)
		return tide_fail(err, TIDE_ARGUMENT, "handlers of '%s' is empty", subscriber->name);
	if (subscriber->event_types && subscriber->event_types[0])
		return tide_fail(err, TIDE_ARGUMENT,
				 "subscriber '%s' has event_types and handlers, expected one",
				 subscriber->name);

	*ret_count = count;
	return TIDE_OK;
}

/** Everything in one block but the payload, which any struct must fit into. */
static struct typed *typed_make(const struct tide_event_handler *handlers, size_t count)
{
	size_t payload = 1;
	for (size_t i = 0; i < count; i++)
		payload = handlers[i].type->size > payload ? handlers[i].type->size : payload;
	struct typed *typed = alloc_zero(1, sizeof *typed + count * sizeof *handlers +
						    (count + 1) * sizeof *typed->names);
	if (!typed)
		return NULL;

	typed->count = count;
	typed->handlers = (struct tide_event_handler *)(typed + 1);
	typed->names = (const char **)(typed->handlers + count);
	for (size_t i = 0; i < count; i++) {
		typed->handlers[i] = handlers[i];
		typed->names[i] = handlers[i].type->name;
	}

	typed->payload = alloc_zero(1, payload);
	if (typed->payload)
		return typed;

	typed_free(typed);
	return NULL;
}

tide_status typed_new(const struct tide_subscriber *subscriber, struct typed **ret,
		      struct tide_error *err)
{
	size_t count = 0;
	tide_status status = typed_check_all(subscriber, &count, err);
	if (status != TIDE_OK)
		return status;
	struct typed *typed = typed_make(subscriber->handlers, count);
	if (!typed)
		return alloc_fail(err);
	*ret = typed;
	return TIDE_OK;
}

void typed_free(struct typed *typed)
{
	if (!typed)
		return;
	tide_free(typed->payload);
	tide_free(typed);
}

const char *const *typed_event_types(const struct typed *typed)
{
	return typed->names;
}

static const struct tide_event_handler *typed_find(const struct typed *typed,
						   struct tide_text event_type)
{
	for (size_t i = 0; i < typed->count; i++)
		if (strlen(typed->names[i]) == event_type.size &&
		    memcmp(typed->names[i], event_type.data, event_type.size) == 0)
			return &typed->handlers[i];
	return NULL;
}

tide_status typed_handle(struct typed *typed, void *self, const struct tide_event *event,
			 struct tide_delivery *delivery)
{
	const struct tide_event_handler *handler = typed_find(typed, event->event_type);
	if (!handler)
		return tide_delivery_fail(delivery, TIDE_UNHANDLED_EVENT, "no handler for '%.*s'",
					  (int)event->event_type.size, event->event_type.data);
	struct tide_error err;
	tide_status status = tide_event_decode(handler->type, event, typed->payload, &err);
	if (status != TIDE_OK)
		return tide_delivery_fail(delivery, status, "%s", err.message);
	status = handler->handle(self, typed->payload, event, delivery);
	tide_event_type_fini(handler->type, typed->payload);
	return status;
}
