/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_ENGINE_TOOLS_H
#define TEST_ENGINE_TOOLS_H

/*
 * What the tests of the engine share: a store with a manager over it, a handler that remembers what
 * it was given, and looks at the database past Tidemark.
 */

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include <sqlite3.h>
#include <tidemark/tidemark.h>

#include "lib/build.h"
#include "lib/child.h"
#include "lib/must.h"
#include "lib/temp.h"
#include "lib/wait.h"
#include "lib/wish.h"

/* seconds until a condition counts as never coming true; sanitizers are slow */
#define PATIENCE 30.0
#define COUNT(array) (sizeof(array) / sizeof *(array))

/** Calls that must succeed in a child process, where a failed assertion must not go on with the
 * tests. */
#define insist(call)                                                                               \
	do {                                                                                       \
		struct tide_error insist_error = { 0 }, *const err = &insist_error;                \
		if ((call) != TIDE_OK) {                                                           \
			fprintf(stderr, "child: %s: %s\n", #call, insist_error.message);           \
			_exit(98);                                                                 \
		}                                                                                  \
	} while (0)

/** A store of its own for one test, "memory" or "sqlite", and a manager over it. */
struct rig {
	char directory[TEMP_PATH_SIZE];
	char file[TEMP_PATH_SIZE + 16]; /* of the SQLite database */
	char url[TEMP_PATH_SIZE + 32];
	struct tide_store *store;
	struct tide_checkpoints *checkpoints;
	struct tide_manager *manager;
};

/** Make directory, URL and an initialised database, and leave it closed: for tests whose processes
 * open it. */
void rig_make(struct rig *rig, const char *backend);
void rig_open(struct rig *rig, const char *backend);
void rig_open_with(struct rig *rig, const char *backend,
		   const struct tide_manager_options *options);
/** Close what is open, in order. */
void rig_shut(struct rig *rig);
void rig_close(struct rig *rig);

/** A subscription that is quick to retry and to look, for tests. */
struct tide_subscription_config quick_config(void);

/** What a handler saw. */
struct witness {
	tide_status (*decide)(struct witness *witness, const struct tide_event *event,
			      struct tide_delivery *delivery);
	void *more;          /* of decide */
	atomic_int inside;   /* calls in progress */
	atomic_int overlaps; /* calls that began while another one ran */
	atomic_int calls;
	atomic_bool gate; /* of decide */
	pthread_mutex_t lock;
	size_t count, capacity;
	tide_position *positions; /* of events handled with success, in order */
	int32_t *attempts;
};

#define WITNESS                                                                                    \
	{                                                                                          \
		.lock = PTHREAD_MUTEX_INITIALIZER                                                  \
	}
void witness_fini(struct witness *witness);
size_t witness_count(struct witness *witness);
/** The subscriber of this name that shows everything to the witness. */
struct tide_subscriber witness_single(const char *name, struct witness *witness);
struct tide_subscriber witness_batch(const char *name, struct witness *witness);
/** Fails the test unless exactly the positions from..to were handled, each once, in order, one call
 * at a time. */
void witness_saw_all(struct witness *witness, tide_position from, tide_position to);

struct tide_subscription_status status_of(struct tide_subscription *subscription);
struct tide_checkpoint checkpoint_of(struct tide_checkpoints *checkpoints, const char *name);
/** The stored position of a name, -1 when there is no row yet. */
tide_position saved_position(struct tide_checkpoints *checkpoints, const char *name);
void wait_position(struct tide_subscription *subscription, tide_position position);
void wait_state(struct tide_subscription *subscription, enum tide_state state);
/** Entries of a subscription in any status, oldest id first; release with
 * tide_dead_letters_free. */
struct tide_dead_letter_list dead_letters_of(struct tide_checkpoints *checkpoints,
					     const char *name);

/** Open a database with plain SQLite; run statements; fetch one number. */
sqlite3 *plain_open(const char *file);
void plain_run(sqlite3 *database, const char *sql);
int64_t plain_number(sqlite3 *database, const char *sql);

/** Sleep for a length that is the test's own input, such as the moment of a kill; never to wait for
 * something. */
void pass_time(double seconds);

#endif
