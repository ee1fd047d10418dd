/* SPDX-License-Identifier: Apache-2.0 */
/* The registry of event types: an array sorted by name, under a lock. */
#include <tidemark/event_type.h>

#include <stdio.h>

#include "core/text.h"
#include "types/fields.h"
#include "types/upcast.h"
#include "sys/alloc.h"
#include "sys/mutex.h"

#define TYPES_SHOWN_SIZE 300 /* bytes of known names in a message */

struct tide_event_types {
	struct mutex lock;

	/* under lock */
	const struct tide_event_type **sorted;
	size_t count;
	size_t capacity;
};

/** A registry is const to those who only look; its lock is not. */
static struct tide_event_types *types_of(const struct tide_event_types *types)
{
	return (struct tide_event_types *)types;
}

tide_status tide_event_types_open(struct tide_event_types **ret, struct tide_error *err)
{
	if (!ret)
		return tide_fail(err, TIDE_ARGUMENT, "ret must not be null");
	struct tide_event_types *types = alloc_zero(1, sizeof *types);
	if (!types)
		return alloc_fail(err);
	mutex_init(&types->lock, LOCK_TYPES);
	*ret = types;
	return TIDE_OK;
}

void tide_event_types_close(struct tide_event_types *types)
{
	if (!types)
		return;
	mutex_fini(&types->lock);
	tide_free(types->sorted);
	tide_free(types);
}

/** Where a name is, or would have to be inserted. */
static size_t types_place_locked(const struct tide_event_types *types, const char *name,
				 bool *ret_is_found)
{
	size_t low = 0, high = types->count;
	*ret_is_found = false;
	while (low < high && !*ret_is_found) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(types->sorted[middle]->name, name);
		*ret_is_found = order == 0;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return *ret_is_found ? high : low;
}

static bool types_same(const struct tide_event_type *a, const struct tide_event_type *b)
{
	return a == b ||
	       (a->version == b->version && a->size == b->size && a->policy == b->policy &&
		a->defaults == b->defaults && fields_equal(a->fields, b->fields) &&
		upcasters_equal(a->upcasters, b->upcasters));
}

static tide_status types_insert_locked(struct tide_event_types *types,
				       const struct tide_event_type *type, size_t place,
				       struct tide_error *err)
{
	if (types->count == types->capacity) {
		size_t capacity = types->capacity ? types->capacity * 2 : 16;
		void *grown = alloc_resize(types->sorted, capacity, sizeof *types->sorted);
		if (!grown)
			return alloc_fail(err);
		types->sorted = grown;
		types->capacity = capacity;
	}

	memmove(types->sorted + place + 1, types->sorted + place,
		(types->count - place) * sizeof *types->sorted);
	types->sorted[place] = type;
	types->count++;
	return TIDE_OK;
}

tide_status tide_event_types_add(struct tide_event_types *types, const struct tide_event_type *type,
				 struct tide_error *err)
{
	if (!types || !type || !type->fields)
		return tide_fail(err, TIDE_ARGUMENT, "%s must not be null",
				 types ? "type and its fields" : "types");

	tide_status status = name_check_type(type->name, "name", err);
	if (status != TIDE_OK)
		return status;
	if (type->version < 1)
		return tide_fail(err, TIDE_ARGUMENT, "version of '%s' must be at least 1, not %d",
				 type->name, (int)type->version);

	bool is_found;
	mutex_lock(&types->lock);
	size_t place = types_place_locked(types, type->name, &is_found);
	if (!is_found)
		status = types_insert_locked(types, type, place, err);
	else if (!types_same(types->sorted[place], type))
		status = tide_fail(err, TIDE_ALREADY_EXISTS,
				   "another event type is registered as '%s'", type->name);
	mutex_unlock(&types->lock);
	return status;
}

/** The known names, sorted, as many as fit. */
static void types_names_locked(const struct tide_event_types *types, char *ret, size_t size)
{
	size_t used = (size_t)snprintf(ret, size, "%s", types->count ? "" : "none");
	for (size_t i = 0; i < types->count; i++) {
		const char *name = types->sorted[i]->name;
		if (used + strlen(name) + 8 > size) {
			snprintf(ret + used, size - used, ", …");
			return;
		}
		used += (size_t)snprintf(ret + used, size - used, "%s%s", i ? ", " : "", name);
	}
}

tide_status tide_event_types_find(const struct tide_event_types *types, const char *name,
				  const struct tide_event_type **ret, struct tide_error *err)
{
	if (!types || !name)
		return tide_fail(err, TIDE_ARGUMENT, "%s must not be null",
				 types ? "name" : "types");

	struct tide_event_types *registry = types_of(types);
	char known[TYPES_SHOWN_SIZE] = "";
	bool is_found;
	mutex_lock(&registry->lock);
	size_t place = types_place_locked(registry, name, &is_found);
	if (is_found && ret)
		*ret = registry->sorted[place];
	if (!is_found)
		types_names_locked(registry, known, sizeof known);
	mutex_unlock(&registry->lock);

	return is_found ? TIDE_OK
			: tide_fail(err, TIDE_NOT_FOUND,
				    "event type '%.*s' is not registered; known: %s",
				    TIDE_NAME_MAX / 2, name, known);
}

bool tide_event_types_has(const struct tide_event_types *types, const char *name)
{
	return types && name && tide_event_types_find(types, name, NULL, NULL) == TIDE_OK;
}

size_t tide_event_types_size(const struct tide_event_types *types)
{
	if (!types)
		return 0;
	struct tide_event_types *registry = types_of(types);
	mutex_lock(&registry->lock);
	size_t count = registry->count;
	mutex_unlock(&registry->lock);
	return count;
}

bool tide_event_types_remove(struct tide_event_types *types, const char *name)
{
	bool is_found = false;
	if (!types || !name)
		return false;
	mutex_lock(&types->lock);
	size_t place = types_place_locked(types, name, &is_found);
	if (is_found) {
		types->count--;
		memmove(types->sorted + place, types->sorted + place + 1,
			(types->count - place) * sizeof *types->sorted);
	}
	mutex_unlock(&types->lock);
	return is_found;
}

void tide_event_types_clear(struct tide_event_types *types)
{
	if (!types)
		return;
	mutex_lock(&types->lock);
	types->count = 0;
	mutex_unlock(&types->lock);
}

tide_status tide_event_types_list(const struct tide_event_types *types,
				  const struct tide_event_type ***ret, size_t *ret_count,
				  struct tide_error *err)
{
	if (!types || !ret || !ret_count)
		return tide_fail(err, TIDE_ARGUMENT, "%s must not be null",
				 types ? "ret" : "types");

	struct tide_event_types *registry = types_of(types);
	mutex_lock(&registry->lock);
	const struct tide_event_type **copy = alloc_zero(registry->count, sizeof *copy);
	if (copy) {
		for (size_t i = 0; i < registry->count; i++)
			copy[i] = registry->sorted[i];
		*ret = copy;
		*ret_count = registry->count;
	}

	mutex_unlock(&registry->lock);
	return copy ? TIDE_OK : alloc_fail(err);
}
