/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The managers that are shown, by the names of their stores.
 *
 * Happy path: a unit of the daemon says what waits while its store is being opened, attaches its
 * manager when it is, and detaches it before it closes it. Failure modes: somebody works with it at
 * that moment: the detaching waits, and gives up at its deadline.
 */
#include "http/sources.h"

#include <assert.h>
#include <string.h>

#include "sys/alloc.h"
#include "sys/mutex.h"

struct http_source {
	struct http_source *next;
	char *name; /* fixed */
	struct tide_manager *manager;
	bool is_leaving;
	int pins;
	char **waiting; /* one block */
	size_t waiting_count;
	struct tide_error error;
	struct mono_time since;
};

struct http_sources {
	struct mutex lock;
	struct cond changed;
	struct http_source *first; /* under lock, as are its members */
};

tide_status sources_new(struct http_sources **ret, struct tide_error *err)
{
	struct http_sources *sources = alloc_zero(1, sizeof *sources);
	if (!sources)
		return alloc_fail(err);
	mutex_init(&sources->lock, LOCK_HTTP);
	cond_init(&sources->changed);
	*ret = sources;
	return TIDE_OK;
}

static void source_free(struct http_source *source)
{
	tide_free(source->waiting);
	tide_free(source->name);
	tide_free(source);
}

void sources_free(struct http_sources *sources)
{
	struct http_source *source;
	if (!sources)
		return;
	while ((source = sources->first)) {
		sources->first = source->next;
		source_free(source);
	}
	cond_fini(&sources->changed);
	mutex_fini(&sources->lock);
	tide_free(sources);
}

static bool source_is(const struct http_source *source, const char *name)
{
	return source->name == name || (source->name && name && strcmp(source->name, name) == 0);
}

static struct http_source **sources_find_locked(struct http_sources *sources, const char *name)
	TIDE_REQUIRES(sources->lock)
{
	assert(mutex_is_mine(&sources->lock));
	struct http_source **at = &sources->first;
	while (*at && !source_is(*at, name))
		at = &(*at)->next;
	return at;
}

/* The one of that name, at the end when it is new; NULL: no memory. */
static struct http_source *sources_take_locked(struct http_sources *sources, const char *name)
	TIDE_REQUIRES(sources->lock)
{
	struct http_source **at = sources_find_locked(sources, name), *source = *at;
	if (source)
		return source;
	source = alloc_zero(1, sizeof *source);
	if (source && name)
		source->name = alloc_text(name, strlen(name));
	if (source && name && !source->name) {
		tide_free(source);
		return NULL;
	}
	*at = source;
	return source;
}

/* Names in one block, so that one call releases them. */
static char **sources_copy_names(const char *const *names, size_t count)
{
	size_t size = (count + 1) * sizeof(char *);
	for (size_t i = 0; i < count; i++)
		size += strlen(names[i]) + 1;
	char **copy = alloc_zero(1, size);
	char *text = copy ? (char *)(copy + count + 1) : NULL;

	for (size_t i = 0; copy && i < count; i++) {
		size_t length = strlen(names[i]) + 1;
		copy[i] = memcpy(text, names[i], length);
		text += length;
	}
	return copy;
}

void sources_wait(struct http_sources *sources, const char *name, const char *const *waiting,
		  size_t count, const struct tide_error *why)
{
	char **copy = sources_copy_names(waiting, count), **old = NULL;
	if (!copy)
		return;

	mutex_lock(&sources->lock);
	struct http_source *source = sources_take_locked(sources, name);
	if (source) {
		old = source->waiting;
		source->waiting = copy;
		source->waiting_count = count;
		source->error = *why;
		if (source->since.ns == 0)
			source->since = clock_mono(&clock_system);
	}
	mutex_unlock(&sources->lock);
	tide_free(source ? old : copy);
}

tide_status sources_attach(struct http_sources *sources, const char *name,
			   struct tide_manager *manager, struct tide_error *err)
{
	mutex_lock(&sources->lock);
	struct http_source *source = sources_take_locked(sources, name);
	if (source)
		source->manager = manager;
	mutex_unlock(&sources->lock);
	return source ? TIDE_OK : alloc_fail(err);
}

bool sources_detach(struct http_sources *sources, const char *name, struct mono_time deadline)
{
	bool is_free = true;

	mutex_lock(&sources->lock);
	struct http_source **at = sources_find_locked(sources, name), *source = *at;
	if (source) {
		source->is_leaving = true;
		while (source->pins > 0 && is_free)
			is_free = cond_wait_until(&sources->changed, &sources->lock, deadline);
		is_free = source->pins == 0;
		if (is_free)
			*sources_find_locked(sources, name) = source->next;
	}
	mutex_unlock(&sources->lock);
	if (source && is_free)
		source_free(source);
	return is_free;
}

/* ---- Working with them ----------------------------------------------------------------------- */

static bool pin_take_locked(struct http_source *source, struct http_pin *ret)
{
	*ret = (struct http_pin){ .source = source,
				  .name = source->name,
				  .manager = source->manager,
				  .error = source->error };
	if (!source->manager) {
		ret->waiting = sources_copy_names((const char *const *)source->waiting,
						  source->waiting_count);
		ret->waiting_count = ret->waiting ? source->waiting_count : 0;
		ret->seconds = seconds_of_ns(mono_since(clock_mono(&clock_system), source->since));
		if (!ret->waiting)
			return false;
	}
	source->pins++;
	return true;
}

tide_status sources_pin(struct http_sources *sources, struct http_pins *ret, struct tide_error *err)
{
	size_t count = 0;
	bool is_whole = true;

	*ret = (struct http_pins){ 0 };
	mutex_lock(&sources->lock);
	for (struct http_source *source = sources->first; source; source = source->next)
		count++;
	ret->items = alloc_zero(count + 1, sizeof *ret->items);
	for (struct http_source *source = sources->first; ret->items && source && is_whole;
	     source = source->next) {
		if (source->is_leaving)
			continue;
		is_whole = pin_take_locked(source, &ret->items[ret->count]);
		ret->count += is_whole;
	}
	mutex_unlock(&sources->lock);

	if (ret->items && is_whole)
		return TIDE_OK;
	sources_unpin(sources, ret);
	return alloc_fail(err);
}

void sources_unpin(struct http_sources *sources, struct http_pins *pins)
{
	mutex_lock(&sources->lock);
	for (size_t i = 0; i < pins->count; i++)
		pins->items[i].source->pins--;
	cond_broadcast(&sources->changed);
	mutex_unlock(&sources->lock);
	for (size_t i = 0; i < pins->count; i++)
		tide_free(pins->items[i].waiting);
	tide_free(pins->items);
	*pins = (struct http_pins){ 0 };
}

void sources_keep(struct http_sources *sources, struct http_source *source)
{
	mutex_lock(&sources->lock);
	source->pins++;
	mutex_unlock(&sources->lock);
}

void sources_release(struct http_sources *sources, struct http_source *source)
{
	mutex_lock(&sources->lock);
	source->pins--;
	cond_broadcast(&sources->changed);
	mutex_unlock(&sources->lock);
}

bool sources_is_leaving(struct http_sources *sources, const struct http_source *source)
{
	mutex_lock(&sources->lock);
	bool is_leaving = source->is_leaving;
	mutex_unlock(&sources->lock);
	return is_leaving;
}
