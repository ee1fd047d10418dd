/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_SUPERVISE_ERRAND_H
#define TIDE_SUPERVISE_ERRAND_H

#include "sys/thread.h"
#include "sys/clock.h"

/** Whether whoever waits for an errand has lost patience before the limit; NULL: never. */
typedef bool errand_impatience(const void *asker);

/**
 * Run what may hang on a thread of its own, and wait for it until `limit`.
 *
 * `self` is heap memory that is released when `run` has returned, however long that takes.
 * TIDE_TIMEOUT: it was left behind and goes on by itself. TIDE_OUT_OF_MEMORY: there was no thread
 * or no memory, it was not run, and `self` is released.
 */
tide_status errand_run(void (*run)(void *self), void *self, struct mono_time limit,
		       errand_impatience *is_impatient, const void *asker);

#endif
