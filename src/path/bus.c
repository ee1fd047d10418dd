/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Publish and subscribe inside the process: the short cut that needs neither store nor checkpoint.
 *
 * Happy path: publish takes the present list of registrations for one event, calls the handlers of
 * its type and then the wildcards in the calling thread, counts, and goes on to the next event; at
 * the end every bell is rung. A list is never changed while somebody dispatches from it: changing
 * makes a new one, the last user frees the old.
 *
 *	publish_background ─▶ queue (at most 1000 calls) ─▶ bus thread ─▶ dispatch
 *	                  └─▶ queue full or no thread: dispatch here and now
 *
 * Failure modes: a failing handler is logged and counted, the others run. Memory out while
 * subscribing changes nothing; while unsubscribing from a list in use the entry is struck out in
 * place. No handler is called under a lock.
 */

#include "path/bus.h"

#include <assert.h>
#include <inttypes.h>

#include "core/text.h"
#include "sys/alloc.h"
#include "sys/log.h"
#include "sys/mutex.h"
#include "sys/thread.h"

#define BUS_WAITING_MAX 1000
#define BUS_SHUTDOWN_SECONDS 30.0

/** One handler; a wildcard has an empty type. */
struct bus_registration {
	tide_bus_handler *handler;
	void *self;
	size_t type_size;
	char event_type[TIDE_NAME_MAX + 1];
	atomic_bool is_struck; /* unsubscribed while no memory was left for a shorter list */
};

/** The registrations at one moment; immutable while more than one hold it. */
struct bus_list {
	size_t users; /* the bus and every dispatch; under the bus's lock */
	size_t count;
	struct bus_registration entries[];
};

/** A background publish that waits. */
struct bus_task {
	struct bus_task *next;
	size_t count;
	struct tide_event *events[];
};

/** That this thread is inside a handler of a bus; frames nest when handlers publish. */
struct bus_frame {
	const struct tide_bus *bus;
	const struct bus_frame *outer;
};

static _Thread_local const struct bus_frame *bus_frames;

struct tide_bus {
	struct mutex lock;
	struct cond changed; /* work came, work ended, a ring ended */

	/* under lock */
	struct bus_list *list; /* NULL: no registrations */
	struct tide_bus_stats stats;
	struct bus_bell *bells;    /* the managers', and the user's when there is one */
	struct bus_bell user_bell; /* of tide_bus_set_bell */
	bool is_setting_bell;
	struct bus_task *first, *last;
	size_t waiting; /* tasks in the queue */
	size_t running; /* background publishes being dispatched, in the bus thread or inline */
	bool is_shut_down;
	bool is_closing;
	struct thread thread;
};

/* ---- Registrations --------------------------------------------------------------------------- */

static void bus_list_unref_locked(struct bus_list *list)
{
	assert(!list || list->users > 0);
	if (list && --list->users == 0)
		tide_free(list);
}

/** A private copy of the present list without entry `skip`, with room for one more; NULL when
 * memory is out. */
static struct bus_list *bus_list_copy_locked(const struct tide_bus *bus,
					     const struct bus_registration *skip)
{
	assert(mutex_is_mine(&bus->lock));
	size_t count = bus->list ? bus->list->count : 0;
	struct bus_list *list = alloc_zero(
		1, sizeof(struct bus_list) + (count + 1) * sizeof(struct bus_registration));
	if (!list)
		return NULL;
	list->users = 1;
	for (size_t i = 0; i < count; i++)
		if (&bus->list->entries[i] != skip &&
		    !atomic_load(&bus->list->entries[i].is_struck))
			list->entries[list->count++] = bus->list->entries[i];
	return list;
}

static tide_status bus_add(struct tide_bus *bus, const char *event_type, tide_bus_handler *handler,
			   void *self, struct tide_error *err)
{
	if (!bus || !handler)
		return tide_fail(err, TIDE_ARGUMENT, "%s must not be null",
				 bus ? "handler" : "bus");

	mutex_lock(&bus->lock);
	struct bus_list *list = bus_list_copy_locked(bus, NULL);
	if (list) {
		struct bus_registration *entry = &list->entries[list->count++];
		entry->handler = handler;
		entry->self = self;
		entry->type_size = strlen(event_type);
		memcpy(entry->event_type, event_type, entry->type_size + 1);
		bus_list_unref_locked(bus->list);
		bus->list = list;
	}

	mutex_unlock(&bus->lock);
	return list ? TIDE_OK : alloc_fail(err);
}

tide_status tide_bus_subscribe(struct tide_bus *bus, const char *event_type,
			       tide_bus_handler *handler, void *self, struct tide_error *err)
{
	tide_status status = name_check_type(event_type, "event_type", err);
	return status == TIDE_OK ? bus_add(bus, event_type, handler, self, err) : status;
}

tide_status tide_bus_subscribe_all(struct tide_bus *bus, tide_bus_handler *handler, void *self,
				   struct tide_error *err)
{
	return bus_add(bus, "", handler, self, err);
}

static void bus_drop_locked(struct tide_bus *bus, struct bus_registration *entry)
{
	assert(mutex_is_mine(&bus->lock));
	struct bus_list *list = bus_list_copy_locked(bus, entry);
	if (!list) {
		atomic_store(&entry->is_struck, true);
		return;
	}
	bus_list_unref_locked(bus->list);
	bus->list = list;
}

static bool bus_remove(struct tide_bus *bus, const char *event_type, tide_bus_handler *handler,
		       void *self)
{
	bool is_found = false;
	mutex_lock(&bus->lock);
	for (size_t i = 0; bus->list && i < bus->list->count && !is_found; i++) {
		struct bus_registration *entry = &bus->list->entries[i];
		if (entry->handler != handler || entry->self != self ||
		    atomic_load(&entry->is_struck) || strcmp(entry->event_type, event_type) != 0)
			continue;
		is_found = true;
		bus_drop_locked(bus, entry);
	}
	mutex_unlock(&bus->lock);
	return is_found;
}

bool tide_bus_unsubscribe(struct tide_bus *bus, const char *event_type, tide_bus_handler *handler,
			  void *self)
{
	return bus && event_type && *event_type && bus_remove(bus, event_type, handler, self);
}

bool tide_bus_unsubscribe_all(struct tide_bus *bus, tide_bus_handler *handler, void *self)
{
	return bus && bus_remove(bus, "", handler, self);
}

size_t tide_bus_handler_count(struct tide_bus *bus, const char *event_type)
{
	size_t count = 0;
	if (!bus)
		return 0;
	mutex_lock(&bus->lock);
	for (size_t i = 0; bus->list && i < bus->list->count; i++)
		if (!atomic_load(&bus->list->entries[i].is_struck) &&
		    strcmp(bus->list->entries[i].event_type, event_type ? event_type : "") == 0)
			count++;
	mutex_unlock(&bus->lock);
	return count;
}

void tide_bus_clear(struct tide_bus *bus)
{
	if (!bus)
		return;
	mutex_lock(&bus->lock);
	bus_list_unref_locked(bus->list);
	bus->list = NULL;
	mutex_unlock(&bus->lock);
}

/* ---- Dispatch -------------------------------------------------------------------------------- */

static bool bus_calls(const struct bus_registration *entry, const struct tide_event *event,
		      bool wildcards)
{
	if (atomic_load(&entry->is_struck))
		return false;
	if (wildcards)
		return entry->type_size == 0;
	return entry->type_size == event->event_type.size && entry->type_size > 0 &&
	       memcmp(entry->event_type, event->event_type.data, entry->type_size) == 0;
}

/** Call the handlers of one kind, in the order of registration. */
static void bus_call(const struct bus_list *list, const struct tide_event *event, bool wildcards,
		     struct tide_bus_stats *done)
{
	for (size_t i = 0; i < list->count; i++) {
		const struct bus_registration *entry = &list->entries[i];
		if (!bus_calls(entry, event, wildcards))
			continue;
		tide_status status = entry->handler(entry->self, event);
		if (status == TIDE_OK) {
			done->handlers_invoked++;
			continue;
		}
		done->handler_errors++;
		log_at(TIDE_LOG_ERROR, "bus", "handler failed",
		       "event_type='%.*s' position=%" PRId64 " error=%s",
		       (int)event->event_type.size, event->event_type.data, event->position,
		       tide_status_name(status));
	}
}

static void bus_dispatch(struct tide_bus *bus, const struct tide_event *event)
{
	mutex_lock(&bus->lock);
	struct bus_list *list = bus->list;
	if (list)
		list->users++;
	mutex_unlock(&bus->lock);

	struct tide_bus_stats done = { .events_published = 1 };
	if (list) {
		struct bus_frame frame = { bus, bus_frames };
		bus_frames = &frame;
		bus_call(list, event, false, &done);
		bus_call(list, event, true, &done);
		bus_frames = frame.outer;
	}

	mutex_lock(&bus->lock);
	bus->stats.events_published += done.events_published;
	bus->stats.handlers_invoked += done.handlers_invoked;
	bus->stats.handler_errors += done.handler_errors;
	bus_list_unref_locked(list);
	mutex_unlock(&bus->lock);
}

/* A bell that is being rung stays in the list, so what follows it is still there afterwards. */
static void bus_ring(struct tide_bus *bus)
{
	mutex_lock(&bus->lock);
	for (struct bus_bell *bell = bus->bells; bell; bell = bell->next) {
		if (bell->is_leaving)
			continue;
		bell->users++;
		mutex_unlock(&bus->lock);
		bell->ring(bell->self);
		mutex_lock(&bus->lock);
		if (--bell->users == 0)
			cond_broadcast(&bus->changed);
	}
	mutex_unlock(&bus->lock);
}

static void bus_dispatch_all(struct tide_bus *bus, const struct tide_event *const *events,
			     size_t count)
{
	for (size_t i = 0; i < count; i++)
		bus_dispatch(bus, events[i]);
	if (count)
		bus_ring(bus);
}

static tide_status bus_check(struct tide_bus *bus, const struct tide_event *const *events,
			     size_t count, struct tide_error *err)
{
	if (!bus || (!events && count))
		return tide_fail(err, TIDE_ARGUMENT, "%s must not be null", bus ? "events" : "bus");
	for (size_t i = 0; i < count; i++)
		if (!events[i] || !events[i]->event_type.data)
			return tide_fail(err, TIDE_ARGUMENT,
					 "event %zu must not be null or without event_type", i);
	mutex_lock(&bus->lock);
	bool is_shut_down = bus->is_shut_down;
	mutex_unlock(&bus->lock);
	if (is_shut_down)
		return tide_fail(err, TIDE_SHUTTING_DOWN, "the bus has been shut down");
	return TIDE_OK;
}

tide_status tide_bus_publish(struct tide_bus *bus, const struct tide_event *const *events,
			     size_t count, struct tide_error *err)
{
	tide_status status = bus_check(bus, events, count, err);
	if (status == TIDE_OK)
		bus_dispatch_all(bus, events, count);
	return status;
}

/* ---- In the background ----------------------------------------------------------------------- */

static void bus_task_free(struct bus_task *task)
{
	for (size_t i = 0; task && i < task->count; i++)
		tide_free(task->events[i]);
	tide_free(task);
}

static struct bus_task *bus_task_new(const struct tide_event *const *events, size_t count)
{
	struct bus_task *task =
		alloc_zero(1, sizeof(struct bus_task) + count * sizeof(task->events[0]));
	if (!task)
		return NULL;
	for (; task->count < count; task->count++) {
		if (tide_event_copy(events[task->count], &task->events[task->count], NULL) !=
		    TIDE_OK) {
			bus_task_free(task);
			return NULL;
		}
	}
	return task;
}

static struct bus_task *bus_pop_locked(struct tide_bus *bus)
{
	assert(mutex_is_mine(&bus->lock));
	struct bus_task *task = bus->first;
	if (!task)
		return NULL;
	bus->first = task->next;
	assert(bus->waiting > 0);
	if (!bus->first)
		bus->last = NULL;
	bus->waiting--;
	return task;
}

static void bus_finish(struct tide_bus *bus, struct bus_task *task)
{
	bus_task_free(task);
	mutex_lock(&bus->lock);
	assert(bus->running > 0);
	bus->running--;
	bus->stats.background_tasks_completed++;
	cond_broadcast(&bus->changed);
	mutex_unlock(&bus->lock);
}

static void bus_run(void *self)
{
	struct tide_bus *bus = self;
	for (;;) {
		mutex_lock(&bus->lock);
		while (!bus->first && !bus->is_closing)
			cond_wait(&bus->changed, &bus->lock);
		struct bus_task *task = bus_pop_locked(bus);
		bus->running += task != NULL;
		mutex_unlock(&bus->lock);
		if (!task)
			return;
		bus_dispatch_all(bus, (const struct tide_event *const *)task->events, task->count);
		bus_finish(bus, task);
	}
}

/** Queue a task for the bus thread; false: the caller has to run it. */
static bool bus_queue_locked(struct tide_bus *bus, struct bus_task *task)
{
	assert(mutex_is_mine(&bus->lock));
	assert(!bus->is_shut_down);
	if (bus->waiting >= BUS_WAITING_MAX)
		return false;
	if (!bus->thread.is_started &&
	    thread_start(&bus->thread, "tide-bus", bus_run, bus, NULL) != TIDE_OK)
		return false;

	if (bus->last)
		bus->last->next = task;
	else
		bus->first = task;
	bus->last = task;
	bus->waiting++;
	cond_broadcast(&bus->changed);
	return true;
}

/** Take a task in; `*ret_inline` says that the caller has to run it. */
static tide_status bus_accept(struct tide_bus *bus, struct bus_task *task, bool *ret_inline,
			      struct tide_error *err)
{
	mutex_lock(&bus->lock);
	bool is_shut_down = bus->is_shut_down;
	if (!is_shut_down) {
		bus->stats.background_tasks_created++;
		*ret_inline = !bus_queue_locked(bus, task);
		bus->running += *ret_inline;
	}
	mutex_unlock(&bus->lock);
	return is_shut_down ? tide_fail(err, TIDE_SHUTTING_DOWN, "the bus has been shut down")
			    : TIDE_OK;
}

tide_status tide_bus_publish_background(struct tide_bus *bus,
					const struct tide_event *const *events, size_t count,
					struct tide_error *err)
{
	tide_status status = bus_check(bus, events, count, err);
	if (status != TIDE_OK || count == 0)
		return status;

	struct bus_task *task = bus_task_new(events, count);
	if (!task)
		return alloc_fail(err);

	bool is_inline = false;
	status = bus_accept(bus, task, &is_inline, err);
	if (status != TIDE_OK) {
		bus_task_free(task);
	} else if (is_inline) {
		bus_dispatch_all(bus, events, count);
		bus_finish(bus, task);
	}
	return status;
}

/* ---- Opening and closing --------------------------------------------------------------------- */

tide_status tide_bus_open(struct tide_bus **ret, struct tide_error *err)
{
	if (!ret)
		return tide_fail(err, TIDE_ARGUMENT, "ret must not be null");
	struct tide_bus *bus = alloc_zero(1, sizeof *bus);
	if (!bus)
		return alloc_fail(err);
	mutex_init(&bus->lock, LOCK_BUS);
	cond_init(&bus->changed);
	*ret = bus;
	return TIDE_OK;
}

/** Release every waiting task; returns how many there were. */
static int64_t bus_discard(struct tide_bus *bus)
{
	mutex_lock(&bus->lock);
	struct bus_task *task = bus->first;
	bus->first = bus->last = NULL;
	bus->waiting = 0;
	mutex_unlock(&bus->lock);

	int64_t count = 0;
	while (task) {
		struct bus_task *next = task->next;
		bus_task_free(task);
		task = next;
		count++;
	}
	return count;
}

static bool bus_is_calling_me(const struct tide_bus *bus)
{
	for (const struct bus_frame *frame = bus_frames; frame; frame = frame->outer)
		if (frame->bus == bus)
			return true;
	return false;
}

tide_status tide_bus_shutdown(struct tide_bus *bus, double seconds, int64_t *ret_discarded,
			      struct tide_error *err)
{
	if (!bus || seconds != seconds)
		return tide_fail(err, TIDE_ARGUMENT,
				 bus ? "seconds must be a number" : "bus must not be null");
	if (bus_is_calling_me(bus))
		return tide_fail(err, TIDE_DEADLOCK, "a handler cannot shut its bus down");

	int64_t limit = ns_of_seconds(seconds < 0 ? BUS_SHUTDOWN_SECONDS : seconds);
	struct mono_time deadline = mono_add(clock_mono(&clock_system), limit);
	mutex_lock(&bus->lock);
	bus->is_shut_down = true;
	while (bus->waiting + bus->running > 0)
		if (!cond_wait_until(&bus->changed, &bus->lock, deadline))
			break;
	mutex_unlock(&bus->lock);

	int64_t discarded = bus_discard(bus);
	if (ret_discarded)
		*ret_discarded = discarded;
	return TIDE_OK;
}

void tide_bus_close(struct tide_bus *bus)
{
	if (!bus)
		return;
	mutex_lock(&bus->lock);
	bus->is_shut_down = bus->is_closing = true;
	cond_broadcast(&bus->changed);
	mutex_unlock(&bus->lock);
	bus_discard(bus);
	thread_join(&bus->thread);
	tide_bus_clear(bus);
	cond_fini(&bus->changed);
	mutex_fini(&bus->lock);
	tide_free(bus);
}

struct tide_bus_stats tide_bus_stats(struct tide_bus *bus)
{
	struct tide_bus_stats stats = { 0 };
	if (!bus)
		return stats;
	mutex_lock(&bus->lock);
	stats = bus->stats;
	mutex_unlock(&bus->lock);
	return stats;
}

/* ---- Bells ----------------------------------------------------------------------------------- */

static void bus_add_bell_locked(struct tide_bus *bus, struct bus_bell *bell)
	TIDE_REQUIRES(bus->lock)
{
	assert(mutex_is_mine(&bus->lock));
	bell->users = 0;
	bell->is_leaving = false;
	bell->next = bus->bells;
	bus->bells = bell;
}

static struct bus_bell **bus_find_bell_locked(struct tide_bus *bus, const struct bus_bell *bell)
	TIDE_REQUIRES(bus->lock)
{
	assert(mutex_is_mine(&bus->lock));
	struct bus_bell **place = &bus->bells;
	while (*place && *place != bell)
		place = &(*place)->next;
	return place;
}

static void bus_remove_bell_locked(struct tide_bus *bus, struct bus_bell *bell)
	TIDE_REQUIRES(bus->lock)
{
	assert(mutex_is_mine(&bus->lock));
	if (!*bus_find_bell_locked(bus, bell))
		return;
	bell->is_leaving = true;
	while (bell->users > 0)
		cond_wait(&bus->changed, &bus->lock);
	*bus_find_bell_locked(bus, bell) = bell->next;
}

void bus_add_bell(struct tide_bus *bus, struct bus_bell *bell)
{
	mutex_lock(&bus->lock);
	bus_add_bell_locked(bus, bell);
	mutex_unlock(&bus->lock);
}

void bus_remove_bell(struct tide_bus *bus, struct bus_bell *bell)
{
	mutex_lock(&bus->lock);
	bus_remove_bell_locked(bus, bell);
	mutex_unlock(&bus->lock);
}

void tide_bus_set_bell(struct tide_bus *bus, void (*ring)(void *self), void *self)
{
	if (!bus)
		return;
	mutex_lock(&bus->lock);

	while (bus->is_setting_bell)
		cond_wait(&bus->changed, &bus->lock);
	bus->is_setting_bell = true;
	bus_remove_bell_locked(bus, &bus->user_bell);
	bus->user_bell = (struct bus_bell){ .ring = ring, .self = self };

	if (ring)
		bus_add_bell_locked(bus, &bus->user_bell);
	bus->is_setting_bell = false;
	cond_broadcast(&bus->changed);
	mutex_unlock(&bus->lock);
}
