/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_WHY_SCENE_H
#define TEST_WHY_SCENE_H

/* A store with a manager over it, and the eyes of somebody else, for tests of causes. */

#include <string.h>

#include "engine_tools.h"
#include "lib/fixture.h"

#define NAME "Totals"

struct scene {
	struct fixture fixture;
	struct tide_manager *manager;
	struct tide_subscription *subscription;
	struct witness witness;
	struct tide_store *other;
	struct tide_checkpoints *seen;
};

struct tide_stream order(unsigned number);
/** `state` holds the test_backend. */
void scene_open_with(struct scene *scene, void **state, const struct tide_manager_options *options);
void scene_open(struct scene *scene, void **state);
void scene_close(struct scene *scene);
void scene_run_as(struct scene *scene, const struct tide_subscriber *subscriber,
		  const struct tide_subscription_config *config);
void scene_run(struct scene *scene, const struct tide_subscription_config *config);

/** What somebody else comes to see, and what its own process does. */
struct tide_why comes_to(struct scene *scene, enum tide_cause cause);
struct tide_why comes_to_inside(struct scene *scene, enum tide_cause cause);
/** The fact of a cause; fails the test when it has none. */
double number(const struct tide_why *why, const char *key);
const char *text(const struct tide_why *why, const char *key);

/** A handler that fails the first event of each stream for good. */
tide_status fails_for_good(struct witness *witness, const struct tide_event *event,
			   struct tide_delivery *delivery);

/** A subscriber that writes through its delivery transaction. */
struct scribe {
	const struct test_backend *backend;
	atomic_bool gate;
};
struct tide_subscriber scribe_subscriber(struct scribe *scribe);

/** Run the tests on the backend named in `argv`, or on each. */
int scene_main(int argc, char **argv, struct CMUnitTest *tests, size_t count);

/* clang-format off */
#define ON(backend, test) { #test " on " backend, test, NULL, NULL, (void *)(uintptr_t)backend }
#ifdef TIDE_HAVE_POSTGRES
#define ON_BOTH(test) ON("sqlite", test), ON("postgres", test)
#else
#define ON_BOTH(test) ON("sqlite", test)
#endif
/* clang-format on */

#endif
