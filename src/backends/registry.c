/* SPDX-License-Identifier: Apache-2.0 */
/* The backends by their schemes: those built in, and those that a program registers. */
#include <tidemark/backend.h>

#include <stdatomic.h>
#include <string.h>

#include "backends/fault/fault.h"
#include "backends/memory/memory.h"
#include "backends/sqlite/sqlite.h"
#ifdef TIDE_HAVE_POSTGRES
#include "backends/postgres/postgres.h"
#endif

#define REGISTRY_MAX 16

static const struct tide_backend *const registry_builtin[] = {
	&tide_backend_memory,
	&tide_backend_sqlite,
	&tide_backend_fault,
#ifdef TIDE_HAVE_POSTGRES
	&tide_backend_postgres,
#endif
};

/* Slots are only ever filled, so readers need no lock. */
static _Atomic(const struct tide_backend *) registry_added[REGISTRY_MAX];

const struct tide_backend *tide_backend_find(const char *scheme)
{
	if (!scheme)
		return NULL;
	if (strcmp(scheme, "postgres") == 0)
		scheme = "postgresql";

	for (size_t i = 0; i < sizeof registry_builtin / sizeof registry_builtin[0]; i++)
		if (strcmp(registry_builtin[i]->scheme, scheme) == 0)
			return registry_builtin[i];

	for (size_t i = 0; i < REGISTRY_MAX; i++) {
		const struct tide_backend *backend = atomic_load(&registry_added[i]);
		if (backend && strcmp(backend->scheme, scheme) == 0)
			return backend;
	}
	return NULL;
}

tide_status tide_backend_register(const struct tide_backend *backend, struct tide_error *err)
{
	if (!backend || !backend->scheme || !backend->store.open)
		return tide_fail(err, TIDE_ARGUMENT,
				 "a backend needs a scheme and an open function");
	if (tide_backend_find(backend->scheme))
		return tide_fail(err, TIDE_ALREADY_EXISTS,
				 "a backend for '%s:' is registered already", backend->scheme);
	for (size_t i = 0; i < REGISTRY_MAX; i++) {
		const struct tide_backend *empty = NULL;
		if (atomic_compare_exchange_strong(&registry_added[i], &empty, backend))
			return TIDE_OK;
	}
	return tide_fail(err, TIDE_ARGUMENT, "more than %d backends", REGISTRY_MAX);
}
