/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_FIXTURE_H
#define TEST_FIXTURE_H

/*
 * Every backend behind one face, for tests that run over all of them. To add one: a row in the
 * table of backends.c.
 */

#include <tidemark/tidemark.h>

#include "lib/build.h"
#include "lib/must.h"
#include "lib/temp.h"

struct fixture;

/** What a backend answers differently, as the specification allows. A quirk changes what a case
 * expects. */
struct quirks {
	bool is_durable; /* what was written is there when the store is opened again */
	bool is_shared;  /* the URL can be opened twice at once and names the same store */
	bool is_shared_by_processes;
	bool has_transactions; /* transactional delivery */
	bool has_clear;        /* tide_store_clear */
	bool has_sql;          /* rows can be written past Tidemark, by fixture_sql */
	bool has_text_columns; /* columns take any text for an instant, a UUID, JSON */
	bool leaps;            /* an index finds the events of few types */
	/* while its append shares its positions with one in progress */
	bool feed_may_end_in_a_batch;
	size_t skipped; /* cases that cannot run here; the count is checked */
};

/** One backend under test. */
struct test_backend {
	const char *name;
	/* of a fresh store; %d is the fixture's directory, %n a number of its own */
	const char *url;
	/* once in a program: a server; false: it cannot be had here. NULL: nothing to start */
	bool (*start)(void);
	void (*stop)(void);
	void (*reset)(struct fixture *fixture); /* NULL: a fresh URL is enough */
	/* run statements past Tidemark; see has_sql */
	void (*sql)(struct fixture *fixture, const char *sql);
	int64_t (*number)(struct fixture *fixture, const char *sql);
	/* in a transactional handler: whether it went well */
	bool (*run)(void *connection, const char *sql);
	/* likewise: the one number a query gives, -1: none */
	int64_t (*ask)(void *connection, const char *sql);
	struct quirks quirks;
};

extern const struct test_backend test_backends[];
extern const size_t test_backend_count;
/** NULL: there is none of this name. */
const struct test_backend *test_backend_find(const char *name);

/** One case's store, fresh and empty. */
struct fixture {
	const struct test_backend *backend;
	const struct quirks *quirks;
	char directory[TEMP_PATH_SIZE];
	char url[2 * TEMP_PATH_SIZE];
	struct tide_store *store;
	struct tide_checkpoints *checkpoints; /* the store's own */
};

void fixture_open(struct fixture *fixture, const struct test_backend *backend);
void fixture_close(struct fixture *fixture);
/** Close the store and open it again. */
void fixture_reopen(struct fixture *fixture);
/** Another handle on the same store; only where quirks.is_shared. The caller closes it. */
struct tide_store *fixture_second_handle(struct fixture *fixture);
void fixture_sql(struct fixture *fixture, const char *sql);
/** The one number a query gives past Tidemark; -1: none. */
int64_t fixture_number(struct fixture *fixture, const char *sql);

#endif
