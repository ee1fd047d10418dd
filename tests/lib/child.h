/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_CHILD_H
#define TEST_CHILD_H

/*
 * A second process: the test program again, running one of its functions. It begins afresh, so that
 * neither connections nor threads are carried over; it reports a byte at a time, can be killed, and
 * dies with the test.
 */

#include <sys/types.h>

typedef int child_function(const char *argument, int report_to);

struct child {
	pid_t pid;
	int reports; /* what the function writes with child_report is read here */
};

/** To be called first in main: when this process is a child, it runs its function and exits. */
void child_main(int argc, char **argv);

/** Start the function in a process of its own; its result is the exit status. */
struct child child_start(child_function *run, const char *argument);
void child_report(int report_to, char what);
/** Wait up to some seconds for the next report; fails the test when none comes. '\0': the child has
 * ended. */
char child_await(struct child *child, double seconds);
/** Send a signal. */
void child_signal(const struct child *child, int signal);
/** Wait for the end: the exit status, or 128 + the signal. */
int child_join(struct child *child);

#endif
