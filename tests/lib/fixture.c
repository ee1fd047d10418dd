/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/fixture.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

const struct test_backend *test_backend_find(const char *name)
{
	for (size_t i = 0; i < test_backend_count; i++)
		if (strcmp(test_backends[i].name, name) == 0)
			return &test_backends[i];
	return NULL;
}

static void fixture_make_url(struct fixture *fixture)
{
	static unsigned number;
	size_t size = 0;
	number++;
	for (const char *at = fixture->backend->url; *at; at++) {
		char *to = fixture->url + size;
		size_t room = sizeof fixture->url - size;
		int written;
		if (strncmp(at, "%d", 2) == 0)
			written = snprintf(to, room, "%s", fixture->directory);
		else if (strncmp(at, "%n", 2) == 0)
			written = snprintf(to, room, "%u_%u", (unsigned)getpid(), number);
		else
			written = snprintf(to, room, "%c", *at);
		at += *at == '%';
		size += (size_t)written;
		assert_true(size < sizeof fixture->url);
	}
}

static void fixture_open_store(struct fixture *fixture)
{
	must(tide_store_open(fixture->url, TIDE_STORE_OPTIONS(.initialize = true), &fixture->store,
			     err));
	must(tide_checkpoints_open(NULL, NULL, fixture->store, &fixture->checkpoints, err));
}

void fixture_open(struct fixture *fixture, const struct test_backend *backend)
{
	*fixture = (struct fixture){ .backend = backend, .quirks = &backend->quirks };
	temp_make(fixture->directory);
	fixture_make_url(fixture);
	if (backend->reset)
		backend->reset(fixture);
	fixture_open_store(fixture);
}

static void fixture_close_store(struct fixture *fixture)
{
	tide_checkpoints_close(fixture->checkpoints);
	tide_store_close(fixture->store);
	fixture->checkpoints = NULL;
	fixture->store = NULL;
}

void fixture_close(struct fixture *fixture)
{
	fixture_close_store(fixture);
	temp_remove(fixture->directory);
}

void fixture_reopen(struct fixture *fixture)
{
	fixture_close_store(fixture);
	fixture_open_store(fixture);
}

struct tide_store *fixture_second_handle(struct fixture *fixture)
{
	assert_true(fixture->quirks->is_shared);
	struct tide_store *store;
	must(tide_store_open(fixture->url, NULL, &store, err));
	return store;
}

void fixture_sql(struct fixture *fixture, const char *sql)
{
	assert_true(fixture->quirks->has_sql);
	fixture->backend->sql(fixture, sql);
}

int64_t fixture_number(struct fixture *fixture, const char *sql)
{
	assert_true(fixture->quirks->has_sql);
	return fixture->backend->number(fixture, sql);
}
