/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_WAIT_H
#define TEST_WAIT_H

/* Waiting for what must come true: with a deadline, never for a fixed time. */

#include <stdbool.h>

#include "lib/must.h"

/** The present instant in seconds, monotonic. */
double seconds_now(void);
/** Give way for a millisecond. */
void wait_a_moment(void);

#define wait_for(seconds, condition)                                                               \
	do {                                                                                       \
		double wait_deadline = seconds_now() + (seconds);                                  \
		while (!(condition)) {                                                             \
			if (seconds_now() > wait_deadline)                                         \
				fail_msg("%s did not come true", #condition);                      \
			wait_a_moment();                                                           \
		}                                                                                  \
	} while (0)

#endif
