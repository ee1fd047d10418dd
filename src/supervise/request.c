/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A request to shut down: its reason, its instant, the signals since, and the bell that wakes who
 * waits for one.
 *
 * Happy path: the first request of a run is kept and rung for, until it has been obeyed.
 * Failure modes: there is no descriptor for the bell: the manager is not opened. A second signal:
 * the request is forced.
 */
#include "supervise/shutdown.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "sys/alloc.h"

tide_status shutdown_init(struct shutdown *shutdown, struct tide_error *err)
{
	shutdown->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return shutdown->event >= 0 ? TIDE_OK
				    : tide_fail(err, TIDE_IO, "eventfd: %s", strerror(errno));
}

void shutdown_fini(struct shutdown *shutdown)
{
	while (shutdown->hooks) {
		struct hook *hook = shutdown->hooks;
		shutdown->hooks = hook->next;
		tide_free(hook);
	}
	if (shutdown->event > 0)
		close(shutdown->event);
}

/* Everything here may run in a signal handler: atomics, clock_gettime and write only. */
void shutdown_ring(struct shutdown *shutdown)
{
	uint64_t one = 1;
	int saved = errno;
	ssize_t written = write(shutdown->event, &one, sizeof one);
	(void)written; /* full means rung already */
	errno = saved;
}

void tide_manager_request_shutdown(struct tide_manager *manager, enum tide_shutdown_reason reason)
{
	if (!manager)
		return;
	int none = TIDE_SHUTDOWN_NONE;
	bool is_reason = reason > TIDE_SHUTDOWN_NONE && reason <= TIDE_SHUTDOWN_DOUBLE_SIGNAL;
	atomic_compare_exchange_strong(&manager->shutdown.reason, &none,
				       is_reason ? (int)reason : TIDE_SHUTDOWN_PROGRAMMATIC);
	shutdown_ring(&manager->shutdown);
}

void tide_manager_request_shutdown_by(struct tide_manager *manager,
				      enum tide_shutdown_reason reason, struct tide_time deadline)
{
	if (!manager)
		return;
	int_least64_t none = 0; /* an instant that is none, a moment later: as much in the past */
	atomic_compare_exchange_strong(&manager->shutdown.deadline_us, &none,
				       deadline.unix_us ? deadline.unix_us : 1);
	tide_manager_request_shutdown(manager, reason);
}

void manager_force(struct tide_manager *manager)
{
	atomic_store(&manager->shutdown.signals, 2);
	shutdown_ring(&manager->shutdown);
}

void shutdown_forget_request(struct tide_manager *manager)
{
	atomic_store(&manager->shutdown.signals, 0);
	atomic_store(&manager->shutdown.signalled_at, 0);
	atomic_store(&manager->shutdown.deadline_us, 0);
	atomic_store(&manager->shutdown.reason, TIDE_SHUTDOWN_NONE);
}

bool shutdown_is_forced(const struct shutdown_run *run)
{
	return !run->is_plain && atomic_load(&run->manager->shutdown.signals) >= 2;
}
