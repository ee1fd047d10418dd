/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/libpq.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>

#define LIBPQ_FILE "libpq.so.5" /* the name of its ABI, which has been the same since 2006 */

struct libpq libpq;

static pthread_once_t libpq_once = PTHREAD_ONCE_INIT;
static char libpq_problem[200]; /* written once; empty: it is loaded */

static void libpq_open(void)
{
	void *handle = dlopen(LIBPQ_FILE, RTLD_NOW | RTLD_LOCAL);
	if (!handle) {
		snprintf(libpq_problem, sizeof libpq_problem, "%s", dlerror());
		return;
	}

	void *function;
#define LIBPQ_FIND(name)                                                                           \
	function = dlsym(handle, #name);                                                           \
	if (!function)                                                                             \
		snprintf(libpq_problem, sizeof libpq_problem, LIBPQ_FILE " has no " #name);        \
	*(void **)&name = function; /* as POSIX has it */
	LIBPQ_FUNCTIONS(LIBPQ_FIND)
#undef LIBPQ_FIND
}

tide_status libpq_load(struct tide_error *err)
{
	pthread_once(&libpq_once, libpq_open);
	return *libpq_problem ? tide_fail(err, TIDE_UNSUPPORTED,
					  "PostgreSQL needs libpq, which cannot be loaded: %s",
					  libpq_problem)
			      : TIDE_OK;
}
