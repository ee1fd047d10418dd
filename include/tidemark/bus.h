/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDEMARK_BUS_H
#define TIDEMARK_BUS_H

#include <tidemark/event.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/** Hands events to handlers of this process at once and without durability; usable from any
 * thread. */
struct tide_bus;

/** Receives an event in the publishing thread; a status other than TIDE_OK is logged and counted,
 * nothing else. */
typedef tide_status tide_bus_handler(void *self, const struct tide_event *event);

/** What a bus has done so far. */
struct tide_bus_stats {
	int64_t events_published;           /* dispatched, with or without handlers */
	int64_t handlers_invoked;           /* successful calls */
	int64_t handler_errors;             /* failed calls */
	int64_t background_tasks_created;   /* background publishes accepted */
	int64_t background_tasks_completed; /* background publishes dispatched */
};

/**
 * Open a bus.
 *
 * Owns:    the caller owns `*ret`; release it with tide_bus_close.
 * Threads: any.
 * Returns: TIDE_OK, TIDE_OUT_OF_MEMORY.
 */
tide_status tide_bus_open(struct tide_bus **ret, struct tide_error *err);

/**
 * Close a bus, discarding background work that has not begun; NULL is allowed.
 *
 * Owns:    takes `bus`.
 * Threads: one, as the last call on it; not a handler.
 * Returns: nothing.
 */
void tide_bus_close(struct tide_bus *bus);
static inline void tide_bus_close_cleanup(struct tide_bus **bus)
{
	tide_bus_close(*bus);
}

/**
 * Register a handler for one event type, or for all of them. Registering twice calls twice.
 *
 * Owns:    nothing; `self` must outlive the registration.
 * Threads: any, handlers included; events already being dispatched are not affected.
 * Returns: TIDE_OK, TIDE_ARGUMENT, TIDE_OUT_OF_MEMORY.
 */
tide_status tide_bus_subscribe(struct tide_bus *bus, const char *event_type,
			       tide_bus_handler *handler, void *self, struct tide_error *err);
tide_status tide_bus_subscribe_all(struct tide_bus *bus, tide_bus_handler *handler, void *self,
				   struct tide_error *err);

/**
 * Remove the first registration of this handler and `self`.
 *
 * Owns:    nothing.
 * Threads: any, handlers included.
 * Returns: whether one was found.
 */
bool tide_bus_unsubscribe(struct tide_bus *bus, const char *event_type, tide_bus_handler *handler,
			  void *self);
bool tide_bus_unsubscribe_all(struct tide_bus *bus, tide_bus_handler *handler, void *self);

/**
 * Give events to their handlers, one event after the other; all handlers have returned when this
 * does.
 *
 * Owns:    nothing.
 * Threads: any, handlers included.
 * Returns: TIDE_OK, TIDE_ARGUMENT, TIDE_SHUTTING_DOWN, TIDE_OUT_OF_MEMORY.
 */
tide_status tide_bus_publish(struct tide_bus *bus, const struct tide_event *const *events,
			     size_t count, struct tide_error *err);

/**
 * The same from a thread of the bus. At most 1000 calls wait; beyond that the call runs here and
 * now.
 *
 * Owns:    nothing; the events are copied.
 * Threads: any, handlers included.
 * Returns: as tide_bus_publish.
 */
tide_status tide_bus_publish_background(struct tide_bus *bus,
					const struct tide_event *const *events, size_t count,
					struct tide_error *err);

/**
 * Refuse new publishes and wait up to `seconds` (< 0: 30) for background work, then discard what
 * has not begun.
 *
 * Owns:    nothing.
 * Threads: any but a handler.
 * Returns: TIDE_OK with `*ret_discarded` the number of calls discarded, TIDE_DEADLOCK.
 */
tide_status tide_bus_shutdown(struct tide_bus *bus, double seconds, int64_t *ret_discarded,
			      struct tide_error *err);

/**
 * Count registrations (NULL: wildcards; a type: those of the type), or remove all of them.
 *
 * Owns:    nothing.
 * Threads: any.
 * Returns: the number.
 */
size_t tide_bus_handler_count(struct tide_bus *bus, const char *event_type);
void tide_bus_clear(struct tide_bus *bus);

/**
 * Read the counters, as one consistent snapshot.
 *
 * Owns:    nothing.
 * Threads: any.
 * Returns: the counters.
 */
struct tide_bus_stats tide_bus_stats(struct tide_bus *bus);

/**
 * Be told after every publish that something was published; NULL ends it. There is one such bell:
 * the next takes its place.
 *
 * The bell set before has stopped ringing when this returns. Managers hear the bus they were opened
 * with beside it.
 *
 * Owns:    nothing; `self` must outlive its use as the bell.
 * Threads: any, but not from inside a ring.
 * Returns: nothing.
 */
void tide_bus_set_bell(struct tide_bus *bus, void (*ring)(void *self), void *self);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
