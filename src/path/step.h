/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_PATH_STEP_H
#define TIDE_PATH_STEP_H

/** What a part of a step came to. */
enum step {
	STEP_ON,   /* something was done: go on at once */
	STEP_WAIT, /* nothing to do before runner.wait, or a ring */
	STEP_FAIL, /* the run has to end for runner.cause; only runner_advance ends it */
	STEP_END   /* the run is over */
};

#endif
