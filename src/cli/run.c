/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Running a manager until a signal, for commands that end with it.
 *
 * The library handles signals until its sequence has ended. From then on this command does: a
 * signal that follows at once is the one that ended it, sent to the process group too; a later one
 * ends the process, whatever still hangs.
 */
#include <signal.h>
#include <stdatomic.h>

#include "cli/cli.h"
#include "sys/clock.h"

#define RUN_SAME_SIGNAL_NS (NS_PER_SECOND / 2)

static struct tide_manager *run_manager;
static _Atomic(int64_t) run_ended_at; /* 0: it has not */

/* Beside the library's own handler: a moment before it is there, and after it has gone. */
static void run_on_signal(int number)
{
	int64_t ended_at = atomic_load(&run_ended_at);

	if (ended_at == 0) {
		tide_manager_request_shutdown(run_manager, number == SIGINT
								   ? TIDE_SHUTDOWN_SIGINT
								   : TIDE_SHUTDOWN_SIGTERM);
		return;
	}
	if (clock_mono(&clock_system).ns - ended_at < RUN_SAME_SIGNAL_NS)
		return;
	signal(number, SIG_DFL);
	raise(number);
}

tide_status cli_run(struct tide_manager *manager, struct tide_shutdown_result *ret,
		    struct tide_error *err)
{
	struct sigaction action = { .sa_handler = run_on_signal, .sa_flags = SA_RESTART };

	run_manager = manager;
	sigemptyset(&action.sa_mask);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	tide_status status = tide_manager_run_until_shutdown(manager, ret, err);
	atomic_store(&run_ended_at, clock_mono(&clock_system).ns);
	return status;
}
