/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_RECORDER_H
#define TEST_RECORDER_H

/* A handler that remembers what it was given, and a manager around it. */

#include <pthread.h>
#include <stdatomic.h>

#include "conformance/cases.h"
#include "lib/wait.h"

#define RECORDER_MAX 20000

struct recorder;
/** What the handler returns for one event; called without the recorder's lock. NULL: TIDE_OK. */
typedef tide_status recorder_judge(struct recorder *recorder, const struct tide_event *event,
				   struct tide_delivery *delivery);

struct recorder {
	recorder_judge *judge;
	void *self; /* the judge's own */
	atomic_int inside, overlaps;

	pthread_mutex_t lock;
	size_t count;   /* calls per event, attempts included */
	size_t batches; /* calls of the batch handler */
	struct {
		tide_position position;
		int32_t attempt;
		size_t batch; /* events in the call */
	} calls[RECORDER_MAX];
};

struct recorder *recorder_new(void);
void recorder_free(struct recorder *recorder);
#define RECORDER __attribute__((cleanup(recorder_cleanup))) struct recorder
void recorder_cleanup(struct recorder **recorder);
void recorder_forget(struct recorder *recorder);
size_t recorder_count(struct recorder *recorder);

/** Fails the test unless these positions were delivered in this order; the list ends in 0. */
#define delivered(recorder, ...)                                                                   \
	recorder_check(recorder, (const tide_position[]){ __VA_ARGS__, 0 }, __FILE__, __LINE__)
#define delivered_nothing(recorder)                                                                \
	recorder_check(recorder, (const tide_position[]){ 0 }, __FILE__, __LINE__)
void recorder_check(struct recorder *recorder, const tide_position *positions, const char *file,
		    int line);
/** Fails the test unless every feed event after a position was delivered once, in order, never two
 * at a time. */
void delivered_all_after(struct recorder *recorder, struct tide_store *store, tide_position after);

tide_status recorder_handle(void *recorder, const struct tide_event *event,
			    struct tide_delivery *delivery);
tide_status recorder_handle_batch(void *recorder, const struct tide_event *const *events,
				  size_t count, struct tide_delivery *delivery);
/** A subscriber around a recorder. */
struct tide_subscriber subscriber_of(const char *name, struct recorder *recorder);
struct tide_subscriber batch_subscriber_of(const char *name, struct recorder *recorder);

/** The default configuration, but from the beginning, and with delays that a test can wait for. */
struct tide_subscription_config quick_config(void);
/** The same with lanes, which go on from their checkpoints. */
struct tide_subscription_config lanes_config(uint32_t lanes);

struct tide_manager *manager_of(struct tide_store *store);
#define MANAGER TIDE_CLEANUP(tide_manager_close) struct tide_manager
struct tide_subscription *subscribe(struct tide_manager *manager,
				    const struct tide_subscriber *subscriber,
				    const struct tide_subscription_config *config);
/** Start everything and wait until each is live. */
void start(struct tide_manager *manager);
void stop(struct tide_manager *manager);
/** Wait until a subscription has settled everything that is in the store now. */
void catch_up(struct tide_store *store, struct tide_subscription *subscription);
struct tide_subscription_status status_of(struct tide_subscription *subscription);
/** The stored checkpoint row. */
struct tide_checkpoint row_of(struct fixture *fixture, const char *name);
/** The position in that row, 0 as long as there is none: to wait for. */
tide_position stored_position(struct fixture *fixture, const char *name);
/** The unresolved and resolved dead letters of a projection, oldest last; the caller frees the
 * list. */
struct tide_dead_letter_list letters_of(struct fixture *fixture, const char *name);

#endif
