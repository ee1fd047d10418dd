/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_CHILD_H
#define TEST_CHILD_H

/* A second process: runs a function of the test program, reports a byte at a time, and can be killed. */

#include <sys/types.h>

struct child {
	pid_t pid;
	int reports; /* what the function writes with child_report is read here */
};

/** Fork and run; the function's result is the exit status. The child dies with the test. */
struct child child_start(int (*run)(void *self, int report_to), void *self);
void child_report(int report_to, char what);
/** Wait up to some seconds for the next report; fails the test when none comes. '\0': the child has ended. */
char child_await(struct child *child, double seconds);
/** Send a signal. */
void child_signal(const struct child *child, int signal);
/** Wait for the end: the exit status, or 128 + the signal. */
int child_join(struct child *child);

#endif
