/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Running until somebody asks for the end, and ending in order.
 *
 *   running ─▶ pre-hooks ─▶ stopping ─▶ draining ─▶ checkpointing ─▶ close ─▶ post-hooks ─▶ stopped
 *                 a limit exceeded, a second signal: the remaining steps are cut short ─▶ forced
 *
 * Happy path: a signal; each runner settles what is in its hands, saves, releases, ends; the result says so.
 * Failure modes: a handler does not return: its subscription is abandoned, and what is settled is saved from here. A second
 * signal ends every wait; a third one is left to the system.
 */
#include "supervise/manager.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/json.h"
#include "sys/alloc.h"
#include "sys/log.h"

#define SHUTDOWN_STEP_SECONDS 5.0
#define SHUTDOWN_HOOK_SECONDS 5.0
#define SHUTDOWN_FORCED_SAVE_SECONDS 1.0
#define SHUTDOWN_LOOK_NS (20 * NS_PER_MS)

const char *tide_shutdown_phase_name(enum tide_shutdown_phase phase)
{
	static const char *const names[] = { "running", "stopping", "draining", "checkpointing", "stopped", "forced" };
	return (size_t)phase < 6 ? names[phase] : "unknown";
}

const char *tide_shutdown_reason_name(enum tide_shutdown_reason reason)
{
	static const char *const names[] = { "none",         "signal_sigterm", "signal_sigint", "programmatic",
					     "health_check", "timeout",        "double_signal" };
	return (size_t)reason < 7 ? names[reason] : "unknown";
}

tide_status shutdown_init(struct shutdown *shutdown, struct tide_error *err)
{
	shutdown->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return shutdown->event >= 0 ? TIDE_OK : tide_fail(err, TIDE_IO, "eventfd: %s", strerror(errno));
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

/* ---- Requests and signals ----------------------------------------------------------------------------------- */

/* Everything here may run in a signal handler: atomics and write only. */
static void shutdown_ring(struct shutdown *shutdown)
{
	uint64_t one = 1;
	int saved = errno;
	ssize_t written = write(shutdown->event, &one, sizeof one);
	(void)written; /* full means rung already */
	errno = saved;
}

void tide_manager_request_shutdown(struct tide_manager *manager, enum tide_shutdown_reason reason)
{
	int none = TIDE_SHUTDOWN_NONE;
	bool is_reason = reason > TIDE_SHUTDOWN_NONE && reason <= TIDE_SHUTDOWN_DOUBLE_SIGNAL;
	atomic_compare_exchange_strong(&manager->shutdown.reason, &none,
				       is_reason ? (int)reason : TIDE_SHUTDOWN_PROGRAMMATIC);
	shutdown_ring(&manager->shutdown);
}

/* The manager whose thread waits for signals; a process has one such at a time. */
static _Atomic(struct tide_manager *) shutdown_of_signals;

static void shutdown_on_signal(int number)
{
	struct tide_manager *manager = atomic_load(&shutdown_of_signals);
	if (!manager)
		return;
	int before = atomic_fetch_add(&manager->shutdown.signals, 1);
	if (before >= 2) {
		signal(number, SIG_DFL);
		raise(number);
		return;
	}
	tide_manager_request_shutdown(manager, number == SIGINT ? TIDE_SHUTDOWN_SIGINT : TIDE_SHUTDOWN_SIGTERM);
}

struct shutdown_signals {
	struct sigaction term, interrupt;
};

static tide_status shutdown_install(struct tide_manager *manager, struct shutdown_signals *ret, struct tide_error *err)
{
	struct tide_manager *nobody = NULL;
	if (!atomic_compare_exchange_strong(&shutdown_of_signals, &nobody, manager))
		return tide_fail(err, TIDE_STATE, "another manager of this process handles signals already");
	atomic_store(&manager->shutdown.signals, 0);
	struct sigaction action = { .sa_handler = shutdown_on_signal, .sa_flags = SA_RESTART };
	sigemptyset(&action.sa_mask);
	sigaction(SIGTERM, &action, &ret->term);
	sigaction(SIGINT, &action, &ret->interrupt);
	return TIDE_OK;
}

static void shutdown_restore(const struct shutdown_signals *signals)
{
	sigaction(SIGTERM, &signals->term, NULL);
	sigaction(SIGINT, &signals->interrupt, NULL);
	atomic_store(&shutdown_of_signals, NULL);
}

static void shutdown_wait_for_request(struct tide_manager *manager)
{
	while (!manager_is_shutting_down(manager)) {
		struct pollfd event = { manager->shutdown.event, POLLIN, 0 };
		(void)poll(&event, 1, -1);
	}
}

/* ---- The sequence ------------------------------------------------------------------------------------------- */

struct shutdown_run {
	struct tide_manager *manager;
	struct manager_set set;
	struct tide_shutdown_result result;
	struct mono_time began, deadline;
	double stop_limit, drain_limit, save_limit;
	double drain_seconds; /* what it took */
	bool *was_in_hand;    /* of each subscription, when the sequence began */
	int64_t *hand_position;
};

static struct mono_time shutdown_now(const struct shutdown_run *run)
{
	return clock_mono(run->manager->engine.clock);
}

static bool shutdown_is_forced(const struct shutdown_run *run)
{
	return atomic_load(&run->manager->shutdown.signals) >= 2;
}

static struct mono_time shutdown_limit(const struct shutdown_run *run, double seconds)
{
	return mono_min(mono_add(shutdown_now(run), ns_of_seconds(seconds)), run->deadline);
}

static void shutdown_force(struct shutdown_run *run, enum tide_shutdown_reason reason, const char *message)
{
	if (run->result.forced)
		return;
	run->result.forced = true;
	run->result.reason = reason;
	tide_fail(&run->result.error, TIDE_TIMEOUT, "%s", message);
}

/* What the time that is left allows each step. */
static void shutdown_plan(struct shutdown_run *run)
{
	double left = seconds_of_ns(mono_since(run->deadline, shutdown_now(run)));
	run->stop_limit = run->save_limit = SHUTDOWN_STEP_SECONDS;
	run->drain_limit = run->manager->drain_timeout;
	if (left >= SHUTDOWN_STEP_SECONDS * 2 + run->manager->drain_timeout)
		return;
	if (left < 3) {
		run->stop_limit = left * 0.2 < 1 ? left * 0.2 : 1;
		run->drain_limit = 0;
		run->save_limit = left * 0.8;
		return;
	}
	run->stop_limit = left * 0.1 > 1 ? left * 0.1 : 1;
	run->save_limit = left * 0.3 > 2 ? left * 0.3 : 2;
	run->drain_limit = left - run->stop_limit - run->save_limit;
}

/* Wait until `is_done` holds for every subscription; false at the limit or when forced. */
static bool shutdown_await(struct shutdown_run *run, struct mono_time limit,
			   bool (*is_done)(struct tide_subscription *), bool saves)
{
	struct mono_time save_at = mono_add(shutdown_now(run), ns_of_seconds(SHUTDOWN_STEP_SECONDS));
	for (;;) {
		bool are_done = true;
		for (size_t i = 0; i < run->set.count && are_done; i++)
			are_done = is_done(run->set.items[i]);
		struct mono_time now = shutdown_now(run);
		if (are_done || now.ns >= limit.ns || shutdown_is_forced(run))
			return are_done;
		if (saves && now.ns >= save_at.ns) {
			for (size_t i = 0; i < run->set.count; i++)
				(void)control_save_prefix(run->set.items[i]);
			save_at = mono_add(now, ns_of_seconds(SHUTDOWN_STEP_SECONDS));
		}
		mutex_lock(&run->manager->lock);
		(void)cond_wait_until(&run->manager->changed, &run->manager->lock,
				      mono_min(mono_add(now, SHUTDOWN_LOOK_NS), limit));
		mutex_unlock(&run->manager->lock);
	}
}

static bool shutdown_has_nothing_in_hand(struct tide_subscription *subscription)
{
	return atomic_load(&subscription->hand_since) == 0 || control_is_ended(subscription);
}

static void shutdown_stop_reading(struct shutdown_run *run)
{
	run->result.phase = TIDE_PHASE_STOPPING;
	for (size_t i = 0; i < run->set.count; i++) {
		struct tide_subscription *subscription = run->set.items[i];
		run->hand_position[i] = atomic_load(&subscription->hand_position);
		run->was_in_hand[i] = atomic_load(&subscription->hand_since) != 0 && runner_is_running(subscription);
		run->result.in_flight_at_start += run->was_in_hand[i];
		control_ask_stop(subscription, run->deadline);
	}
}

static void shutdown_count_drained(struct shutdown_run *run)
{
	for (size_t i = 0; i < run->set.count; i++) {
		if (!run->was_in_hand[i])
			continue;
		bool is_settled = tide_subscription_position(run->set.items[i]) >= run->hand_position[i];
		run->result.events_drained += is_settled;
		run->result.events_not_drained += !is_settled;
	}
}

static void shutdown_drain(struct shutdown_run *run)
{
	run->result.phase = TIDE_PHASE_DRAINING;
	struct mono_time since = shutdown_now(run);
	bool is_drained =
		shutdown_await(run, shutdown_limit(run, run->drain_limit), shutdown_has_nothing_in_hand, true);
	if (!is_drained && !shutdown_is_forced(run))
		shutdown_force(run, TIDE_SHUTDOWN_TIMEOUT, "a handler did not return in time");
	int64_t took = mono_since(shutdown_now(run), since);
	run->drain_seconds = seconds_of_ns(took);
	mutex_lock(&run->manager->lock);
	histogram_add(&run->manager->drain_seconds, took);
	mutex_unlock(&run->manager->lock);
}

/* Nothing is to be waited for: the run is over, or its handler has had its time. */
static bool shutdown_is_over_or_in_hand(struct tide_subscription *subscription)
{
	return control_is_ended(subscription) || atomic_load(&subscription->hand_since) != 0;
}

/* Wait for the runners' own saves; a second signal leaves them a last second. */
static void shutdown_await_saves(struct shutdown_run *run, struct mono_time limit)
{
	if (shutdown_await(run, limit, shutdown_is_over_or_in_hand, false) || !shutdown_is_forced(run))
		return;
	struct mono_time last = mono_min(limit, shutdown_limit(run, SHUTDOWN_FORCED_SAVE_SECONDS));
	for (size_t i = 0; i < run->set.count; i++)
		if (!shutdown_is_over_or_in_hand(run->set.items[i]))
			control_ask_stop(run->set.items[i], last);
}

/* The runners save and end by themselves; who is still in a handler at the limit is saved from here and left behind. */
static void shutdown_checkpoint(struct shutdown_run *run)
{
	run->result.phase = TIDE_PHASE_CHECKPOINTING;
	bool is_forced = shutdown_is_forced(run);
	struct mono_time limit = shutdown_limit(run, is_forced ? SHUTDOWN_FORCED_SAVE_SECONDS : run->save_limit);
	for (size_t i = 0; i < run->set.count; i++) {
		struct tide_subscription *subscription = run->set.items[i];
		if (atomic_load(&subscription->hand_since) != 0) /* given its time in the drain */
			control_ask_stop(subscription, shutdown_now(run));
		else
			control_ask_stop(subscription, limit);
	}
	shutdown_await_saves(run, limit);
	for (size_t i = 0; i < run->set.count; i++) {
		struct tide_subscription *subscription = run->set.items[i];
		struct tide_error err;
		if (control_wait_stopped(subscription, &err) != TIDE_OK)
			shutdown_force(run, TIDE_SHUTDOWN_TIMEOUT, err.message);
		mutex_lock(&subscription->lock);
		run->result.checkpoints_saved += subscription->was_final_saved;
		run->result.subscriptions_stopped += subscription->states.state == TIDE_STATE_STOPPED;
		mutex_unlock(&subscription->lock);
	}
	shutdown_count_drained(run);
}

/* ---- Hooks -------------------------------------------------------------------------------------------------- */

/* One call of a hook; freed by whoever comes last, the caller or the hook's thread. */
struct hook_call {
	struct mutex lock;
	struct cond done;
	struct hook hook;
	struct tide_shutdown_result result;
	bool is_done, is_left;
	struct thread thread;
};

static void hook_call_free(struct hook_call *call)
{
	cond_fini(&call->done);
	mutex_fini(&call->lock);
	tide_free(call);
}

static void hook_run(void *self)
{
	struct hook_call *call = self;
	bool is_after = call->hook.moment == TIDE_HOOK_AFTER_SHUTDOWN;
	tide_status status = call->hook.run(call->hook.self, is_after ? &call->result : NULL);
	if (status != TIDE_OK)
		log_at(TIDE_LOG_ERROR, "shutdown", "a hook failed", "error=%s", tide_status_name(status));
	mutex_lock(&call->lock);
	call->is_done = true;
	bool is_left = call->is_left;
	cond_broadcast(&call->done);
	mutex_unlock(&call->lock);
	if (is_left)
		hook_call_free(call);
}

static void shutdown_call_hook(struct shutdown_run *run, const struct hook *hook, struct mono_time limit)
{
	struct hook_call *call = alloc_zero(1, sizeof *call);
	if (!call)
		return;
	mutex_init(&call->lock);
	cond_init(&call->done);
	call->hook = *hook;
	call->result = run->result;
	if (thread_start(&call->thread, "tide-hook", hook_run, call, NULL) != TIDE_OK) {
		hook_call_free(call);
		return;
	}
	thread_detach(&call->thread);
	mutex_lock(&call->lock);
	while (!call->is_done && !shutdown_is_forced(run) && clock_mono(&clock_system).ns < limit.ns)
		(void)cond_wait_until(&call->done, &call->lock,
				      mono_min(limit, mono_add(clock_mono(&clock_system), SHUTDOWN_LOOK_NS)));
	bool is_done = call->is_done;
	call->is_left = !is_done;
	mutex_unlock(&call->lock);
	if (is_done)
		hook_call_free(call);
	else
		log_at(TIDE_LOG_ERROR, "shutdown", "a hook did not return in time", "limit_seconds=%.3f",
		       hook->limit_seconds);
}

/* Hooks leave the checkpoint its time: 1 s, or half of the total when that is less. */
static void shutdown_call_hooks(struct shutdown_run *run, enum tide_hook_moment moment)
{
	double total = seconds_of_ns(mono_since(run->deadline, run->began));
	double kept = moment == TIDE_HOOK_AFTER_SHUTDOWN ? 0 : total / 2 < 1 ? total / 2 : 1;
	struct mono_time last = mono_add(run->deadline, -ns_of_seconds(kept));
	mutex_lock(&run->manager->lock);
	const struct hook *hook = run->manager->shutdown.hooks;
	mutex_unlock(&run->manager->lock);
	for (; hook && !shutdown_is_forced(run); hook = hook->next) /* hooks are only ever added, at the end */
		if (hook->moment == moment)
			shutdown_call_hook(
				run, hook,
				mono_min(mono_add(shutdown_now(run), ns_of_seconds(hook->limit_seconds)), last));
}

tide_status tide_manager_add_hook(struct tide_manager *manager, enum tide_hook_moment moment, tide_hook *run,
				  void *self, double limit_seconds, struct tide_error *err)
{
	if (!manager || !run || (unsigned)moment > TIDE_HOOK_AFTER_SHUTDOWN)
		return tide_fail(err, TIDE_ARGUMENT, "%s",
				 !manager ? "manager is NULL"
				 : !run   ? "hook is NULL"
					  : "moment is none");
	struct hook *hook = alloc_zero(1, sizeof *hook);
	if (!hook)
		return alloc_fail(err);
	*hook = (struct hook){ NULL, moment, run, self, limit_seconds > 0 ? limit_seconds : SHUTDOWN_HOOK_SECONDS };
	mutex_lock(&manager->lock);
	struct hook **place = &manager->shutdown.hooks;
	while (*place)
		place = &(*place)->next;
	*place = hook;
	mutex_unlock(&manager->lock);
	return TIDE_OK;
}

/* ---- Running ------------------------------------------------------------------------------------------------ */

static void shutdown_end(struct shutdown_run *run)
{
	struct tide_manager *manager = run->manager;
	struct tide_shutdown_result *result = &run->result;
	if (shutdown_is_forced(run)) {
		result->forced = false; /* the second signal outranks a limit */
		shutdown_force(run, TIDE_SHUTDOWN_DOUBLE_SIGNAL, "Forced by double signal");
	}
	result->phase = result->forced ? TIDE_PHASE_FORCED : TIDE_PHASE_STOPPED;
	result->duration_seconds = seconds_of_ns(mono_since(shutdown_now(run), run->began));
	if (!manager_has_abandoned(manager))
		watchdog_stop(manager);
	int outcome = !result->forced ? 0 : result->reason == TIDE_SHUTDOWN_TIMEOUT ? 1 : 2;
	mutex_lock(&manager->lock);
	manager->is_running = false;
	manager->shutdowns_completed[outcome]++;
	histogram_add(&manager->shutdown_seconds[outcome], ns_of_seconds(result->duration_seconds));
	manager->shutdown_events_drained += result->events_drained;
	manager->shutdown.last = *result;
	manager->shutdown.has_last = true;
	manager->shutdown.last_drain_seconds = run->drain_seconds;
	mutex_unlock(&manager->lock);
	log_at(result->forced ? TIDE_LOG_WARNING : TIDE_LOG_INFO, "shutdown", "shutdown ended",
	       "phase=%s reason=%s duration_seconds=%.3f subscriptions_stopped=%lld checkpoints_saved=%lld",
	       tide_shutdown_phase_name(result->phase), tide_shutdown_reason_name(result->reason),
	       result->duration_seconds, (long long)result->subscriptions_stopped,
	       (long long)result->checkpoints_saved);
}

static void shutdown_in_order(struct shutdown_run *run)
{
	struct tide_manager *manager = run->manager;
	enum tide_shutdown_reason reason = (enum tide_shutdown_reason)atomic_load(&manager->shutdown.reason);
	run->result = (struct tide_shutdown_result){ .reason = reason };
	run->began = shutdown_now(run);
	run->deadline = mono_add(run->began, ns_of_seconds(manager->shutdown_timeout));
	mutex_lock(&manager->lock);
	manager->shutdowns_initiated[reason]++;
	mutex_unlock(&manager->lock);
	log_at(TIDE_LOG_INFO, "shutdown", "shutdown began", "reason=%s", tide_shutdown_reason_name(reason));
	shutdown_call_hooks(run, TIDE_HOOK_BEFORE_SHUTDOWN);
	shutdown_plan(run);
	shutdown_stop_reading(run);
	shutdown_drain(run);
	shutdown_checkpoint(run);
	shutdown_end(run);
	shutdown_call_hooks(run, TIDE_HOOK_AFTER_SHUTDOWN);
}

static tide_status shutdown_run(struct tide_manager *manager, struct tide_shutdown_result *ret, struct tide_error *err)
{
	struct shutdown_run run = { .manager = manager };
	tide_status started = manager_start(manager, NULL, 0, NULL, NULL, NULL);
	(void)started; /* a failed start is in the subscription's state and does not end the rest */
	shutdown_wait_for_request(manager);
	tide_status status = manager_pin(manager, NULL, &run.set, err);
	if (status != TIDE_OK)
		return status;
	run.was_in_hand = alloc_zero(run.set.count + 1, sizeof *run.was_in_hand);
	run.hand_position = alloc_zero(run.set.count + 1, sizeof *run.hand_position);
	if (run.was_in_hand && run.hand_position)
		shutdown_in_order(&run);
	else
		status = alloc_fail(err);
	tide_free(run.was_in_hand);
	tide_free(run.hand_position);
	manager_unpin(manager, &run.set);
	if (status == TIDE_OK && ret)
		*ret = run.result;
	return status;
}

tide_status tide_manager_run_until_shutdown(struct tide_manager *manager, struct tide_shutdown_result *ret,
					    struct tide_error *err)
{
	if (!manager)
		return tide_fail(err, TIDE_ARGUMENT, "manager is NULL");
	tide_status status = manager_check_thread(manager, "run it", err);
	struct shutdown_signals signals;
	if (status == TIDE_OK)
		status = shutdown_install(manager, &signals, err);
	if (status != TIDE_OK)
		return status;
	atomic_store(&manager->shutdown.is_running, true);
	status = shutdown_run(manager, ret, err);
	atomic_store(&manager->shutdown.is_running, false);
	shutdown_restore(&signals);
	atomic_store(&manager->shutdown.reason, TIDE_SHUTDOWN_NONE); /* the next start may come */
	uint64_t rung; /* taken last: a ring that stays without its reason would keep the next wait awake */
	ssize_t taken = read(manager->shutdown.event, &rung, sizeof rung);
	(void)taken;
	return status;
}

tide_status tide_shutdown_result_json(const struct tide_shutdown_result *result, char **ret, struct tide_error *err)
{
	if (!result || !ret)
		return tide_fail(err, TIDE_ARGUMENT, "%s is NULL", result ? "ret" : "result");
	struct buffer buffer = { 0 };
	json_open(&buffer, '{');
	json_key(&buffer, "phase");
	json_string(&buffer, tide_shutdown_phase_name(result->phase));
	json_key(&buffer, "duration_seconds");
	json_number(&buffer, result->duration_seconds, 3);
	json_key(&buffer, "subscriptions_stopped");
	json_integer(&buffer, result->subscriptions_stopped);
	json_key(&buffer, "events_drained");
	json_integer(&buffer, result->events_drained);
	json_key(&buffer, "checkpoints_saved");
	json_integer(&buffer, result->checkpoints_saved);
	json_key(&buffer, "forced");
	json_bool(&buffer, result->forced);
	json_key(&buffer, "error");
	json_string(&buffer, result->error.status == TIDE_OK ? NULL : result->error.message);
	json_key(&buffer, "reason");
	json_string(&buffer, tide_shutdown_reason_name(result->reason));
	json_key(&buffer, "in_flight_at_start");
	json_integer(&buffer, result->in_flight_at_start);
	json_key(&buffer, "events_not_drained");
	json_integer(&buffer, result->events_not_drained);
	json_close(&buffer, '}');
	return buffer_take(&buffer, ret, err);
}
