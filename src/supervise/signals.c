/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Running until somebody asks for the end.
 *
 * Happy path: everything starts; a signal, or a request with its instant, wakes whoever waits;
 * shutdown.c does the rest.
 * Failure modes: nothing can be started, since there is no thread or no memory: that is the result.
 * A start does not get through to its database: nobody waits for it, a signal ends it like the
 * others. A second signal ends every wait of the sequence; a third one is left to the system. One
 * that follows at once is the same one: timeout(1) and shells signal a process and then its group.
 */
#include "supervise/shutdown.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "sys/alloc.h"

#define SIGNALS_SAME_NS (NS_PER_SECOND / 2)

/* ---- Signals --------------------------------------------------------------------------------- */

/* The manager whose thread waits for signals; a process has one such at a time. */
static _Atomic(struct tide_manager *) signals_of;

/* Whether the last one that counted is so near that this is the same one. */
static bool signals_is_same(struct shutdown *shutdown)
{
	int_least64_t now = clock_mono(&clock_system).ns,
		      last = atomic_load(&shutdown->signalled_at);
	if (last != 0 && now - last < SIGNALS_SAME_NS)
		return true;
	return !atomic_compare_exchange_strong(&shutdown->signalled_at, &last, now);
}

static void signals_on(int number)
{
	struct tide_manager *manager = atomic_load(&signals_of);
	if (!manager)
		return;
	if (signals_is_same(&manager->shutdown)) {
		shutdown_ring(&manager->shutdown);
		return;
	}

	int before = atomic_fetch_add(&manager->shutdown.signals, 1);
	if (before >= 2) {
		signal(number, SIG_DFL);
		raise(number);
		return;
	}

	tide_manager_request_shutdown(manager, number == SIGINT ? TIDE_SHUTDOWN_SIGINT
								: TIDE_SHUTDOWN_SIGTERM);
}

struct signals_kept {
	struct sigaction term, interrupt;
};

static tide_status signals_install(struct tide_manager *manager, struct signals_kept *ret,
				   struct tide_error *err)
{
	struct tide_manager *nobody = NULL;
	if (!atomic_compare_exchange_strong(&signals_of, &nobody, manager))
		return tide_fail(err, TIDE_STATE,
				 "another manager of this process handles signals already");
	atomic_store(&manager->shutdown.signals, 0);
	atomic_store(&manager->shutdown.signalled_at, 0);
	struct sigaction action = { .sa_handler = signals_on, .sa_flags = SA_RESTART };
	sigemptyset(&action.sa_mask);
	sigaction(SIGTERM, &action, &ret->term);
	sigaction(SIGINT, &action, &ret->interrupt);
	return TIDE_OK;
}

static void signals_restore(const struct signals_kept *signals)
{
	assert(atomic_load(&signals_of));
	sigaction(SIGTERM, &signals->term, NULL);
	sigaction(SIGINT, &signals->interrupt, NULL);
	atomic_store(&signals_of, NULL);
}

static void signals_drain(struct shutdown *shutdown)
{
	uint64_t rung;
	ssize_t taken = read(shutdown->event, &rung, sizeof rung);
	(void)taken;
}

/* A ring may stand for a request that was obeyed already; one that comes has its reason set before
 * it rings. */
static void signals_await_request(struct tide_manager *manager)
{
	while (!manager_is_shutting_down(manager)) {
		struct pollfd event = { manager->shutdown.event, POLLIN, 0 };
		(void)poll(&event, 1, -1);
		signals_drain(&manager->shutdown);
	}
}

/* The same signal once more may still be on its way: it must not meet a handling that ends the
 * process. */
static void signals_await_same_signal(struct tide_manager *manager,
				      const struct signals_kept *signals)
{
	struct shutdown *shutdown = &manager->shutdown;
	bool is_deadly =
		signals->term.sa_handler == SIG_DFL || signals->interrupt.sa_handler == SIG_DFL;
	struct mono_time until = { atomic_load(&shutdown->signalled_at) + SIGNALS_SAME_NS };
	int64_t left = mono_since(until, clock_mono(&clock_system));
	if (!is_deadly || atomic_load(&shutdown->signals) != 1 || left <= 0)
		return;
	struct pollfd event = { shutdown->event, POLLIN, 0 };
	while (left > 0 && poll(&event, 1, (int)(left / NS_PER_MS) + 1) < 0)
		left = mono_since(until, clock_mono(&clock_system));
	signals_drain(shutdown);
}

/* A subscription that fails to start has the error in its state and does not end the rest; when
 * none could be started, that is this run's error. */
static tide_status signals_start(struct tide_manager *manager, struct tide_error *err)
{
	struct tide_start_result *results = NULL;
	size_t count;
	tide_status status = manager_start(
		manager, NULL, (struct start_wait){ START_UNTIL_BEGUN, 0 }, &results, &count, err);
	bool is_begun = results != NULL;
	tide_free(results);
	return is_begun ? TIDE_OK : status;
}

static tide_status signals_until_request(struct tide_manager *manager,
					 struct tide_shutdown_result *ret, struct tide_error *err)
{
	struct shutdown_run run = { .manager = manager };
	struct tide_error why;
	assert(atomic_load(&manager->shutdown.is_running));
	tide_status started = signals_start(manager, &why);

	if (started != TIDE_OK) /* then nobody would ask for the end */
		tide_manager_request_shutdown(manager, TIDE_SHUTDOWN_PROGRAMMATIC);
	signals_await_request(manager);
	(void)manager_begin_stop(manager);

	tide_status status = shutdown_through(&run, err);
	manager_end_stop(manager);
	if (started != TIDE_OK && err)
		*err = why;
	if (started != TIDE_OK)
		return started;
	if (status == TIDE_OK && ret)
		*ret = run.result;
	return status;
}

tide_status manager_shut_down(struct tide_manager *manager, struct tide_shutdown_result *ret,
			      struct tide_error *err)
{
	struct shutdown_run run = { .manager = manager };
	(void)manager_begin_stop(manager);
	tide_status status = shutdown_through(&run, err);
	manager_end_stop(manager);
	shutdown_forget_request(manager);
	if (status == TIDE_OK)
		*ret = run.result;
	return status;
}

tide_status tide_manager_run_until_shutdown(struct tide_manager *manager,
					    struct tide_shutdown_result *ret,
					    struct tide_error *err)
{
	if (!manager)
		return tide_fail(err, TIDE_ARGUMENT, "manager is NULL");
	tide_status status = manager_check_thread(manager, "run it", err);
	struct signals_kept signals;
	if (status == TIDE_OK)
		status = signals_install(manager, &signals, err);
	if (status != TIDE_OK)
		return status;

	atomic_store(&manager->shutdown.is_running, true);
	status = signals_until_request(manager, ret, err);
	atomic_store(&manager->shutdown.is_running, false);
	signals_await_same_signal(manager, &signals);
	signals_restore(&signals);
	shutdown_forget_request(manager);
	return status;
}
