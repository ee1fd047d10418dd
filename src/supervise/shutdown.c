/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ending in order.
 *
 *   running ─▶ pre-hooks ─▶ stopping ─▶ draining ─▶ checkpointing ─▶ close ─▶ post-hooks ─▶ stopped
 *                 a limit exceeded, a second signal: the remaining steps are cut short ─▶ forced
 *
 * Happy path: each runner settles what is in its hands, saves, releases, ends; the result says so.
 * Failure modes: a handler does not return: its subscription is abandoned, and what is settled is
 * saved from here. A database does not answer: what waits for it is left behind at its limit. A
 * second signal ends every wait.
 *
 * A stop of the whole manager is the same without hooks and signals, and what is in hand has all of
 * its time.
 */
#include "supervise/shutdown.h"

#include <assert.h>

#include "supervise/membership.h"
#include "sys/alloc.h"
#include "sys/log.h"

#define SHUTDOWN_STEP_SECONDS 5.0
#define SHUTDOWN_FORCED_SAVE_SECONDS 1.0
/* at least, for threads that only have to see that they should end */
#define SHUTDOWN_CLOSE_SECONDS 0.25
#define SHUTDOWN_LOOK_NS (20 * NS_PER_MS)
#define SHUTDOWN_LONGEST_US INT64_C(1000000000000000) /* 31 years: what fits into nanoseconds */

static struct mono_time shutdown_now(const struct shutdown_run *run)
{
	return clock_mono(run->manager->engine.clock);
}

static struct mono_time shutdown_limit(const struct shutdown_run *run, double seconds)
{
	return mono_min(mono_add(shutdown_now(run), ns_of_seconds(seconds)), run->deadline);
}

static void shutdown_force(struct shutdown_run *run, enum tide_shutdown_reason reason,
			   const char *message)
{
	assert(reason != TIDE_SHUTDOWN_NONE);
	if (run->result.forced)
		return;
	run->result.forced = true;
	run->result.reason = reason;
	tide_fail(&run->result.error, TIDE_TIMEOUT, "%s", message);
}

static void shutdown_enter(struct shutdown_run *run, enum tide_shutdown_phase phase)
{
	assert(phase > run->result.phase);
	run->result.phase = phase;
	log_at(TIDE_LOG_DEBUG, "shutdown", "phase began", "phase=%s left_seconds=%.3f",
	       tide_shutdown_phase_name(phase),
	       seconds_of_ns(mono_since(run->deadline, shutdown_now(run))));
}

/* What the final checkpoint keeps of a whole sequence. */
static double shutdown_reserve(double total)
{
	if (total < 2)
		return total > 0 ? total / 2 : 0;
	return total < 5 ? 1 : total < 25 ? total / 5 : SHUTDOWN_STEP_SECONDS;
}

double shutdown_drain_limit(double total, double left, double drain_timeout)
{
	double rest = left - shutdown_reserve(total);
	return rest < 0 ? 0 : rest < drain_timeout ? rest : drain_timeout;
}

/* What the time that is left allows the drain; the others have their step's time, and no more than
 * is left. */
static void shutdown_plan(struct shutdown_run *run)
{
	double total = seconds_of_ns(mono_since(run->deadline, run->began));
	double left = seconds_of_ns(mono_since(run->deadline, shutdown_now(run)));
	run->drain_limit = run->is_plain
				   ? left
				   : shutdown_drain_limit(total, left, run->manager->drain_timeout);
	assert(run->drain_limit >= 0 || run->is_plain);
}

/* Wait until `is_done` holds for every subscription; false at the limit or when forced. */
static bool shutdown_await(struct shutdown_run *run, struct mono_time limit,
			   bool (*is_done)(struct tide_subscription *), bool saves)
{
	struct mono_time save_at =
		mono_add(shutdown_now(run), ns_of_seconds(SHUTDOWN_STEP_SECONDS));
	for (int64_t look_ns = NS_PER_MS;;
	     look_ns = look_ns < SHUTDOWN_LOOK_NS ? 2 * look_ns : look_ns) {
		bool are_done = true;
		for (size_t i = 0; i < run->set.count && are_done; i++)
			are_done = is_done(run->set.items[i]);
		struct mono_time now = shutdown_now(run);
		if (are_done || now.ns >= limit.ns || shutdown_is_forced(run))
			return are_done;
		if (saves && now.ns >= save_at.ns) {
			for (size_t i = 0; i < run->set.count; i++)
				control_save_aside(run->manager, run->set.items[i],
						   mono_min(limit, mono_add(now, NS_PER_SECOND)));
			save_at = mono_add(now, ns_of_seconds(SHUTDOWN_STEP_SECONDS));
		}
		mutex_lock(&run->manager->lock);
		(void)cond_wait_until(&run->manager->changed, &run->manager->lock,
				      mono_min(mono_add(now, look_ns), limit));
		mutex_unlock(&run->manager->lock);
	}
}

static bool shutdown_has_nothing_in_hand(struct tide_subscription *subscription)
{
	bool is_idle = atomic_load(&subscription->hand.since) == 0 &&
		       !atomic_load(&subscription->hand.has_begun);
	return is_idle || run_is_over(subscription);
}

static void shutdown_look_at_hands(const struct shutdown_run *run, struct shutdown_hand *hands)
{
	for (size_t i = 0; i < run->set.count; i++) {
		struct tide_subscription *subscription = run->set.items[i];
		bool is_in_hand = !shutdown_has_nothing_in_hand(subscription);
		hands[i].position = atomic_load(&subscription->hand.position);
		hands[i].is_running = !run_is_over(subscription);
		hands[i].events = is_in_hand ? atomic_load(&subscription->hand.events) : 0;
	}
}

static void shutdown_stop_reading(struct shutdown_run *run)
{
	shutdown_enter(run, TIDE_PHASE_STOPPING);
	membership_stop_all(run->manager, shutdown_limit(run, SHUTDOWN_STEP_SECONDS));
	for (size_t i = 0; i < run->set.count; i++)
		run_ask_stop(run->set.items[i], run->deadline);
}

static void shutdown_count_hands(struct shutdown_run *run)
{
	for (size_t i = 0; i < run->set.count; i++) {
		tide_position position = tide_subscription_position(run->set.items[i]);
		const struct shutdown_hand *start = &run->at_start[i], *drain = &run->at_drain[i];
		run->result.in_flight_at_start += start->events;
		run->result.events_not_drained += position < start->position ? start->events : 0;
		run->result.events_drained += position >= drain->position ? drain->events : 0;
	}
}

static void shutdown_force_drain(struct shutdown_run *run)
{
	size_t i = 0;
	while (i < run->set.count && shutdown_has_nothing_in_hand(run->set.items[i]))
		i++;
	struct tide_error err;
	tide_fail(&err, TIDE_TIMEOUT, "the handler of '%s' has not returned",
		  i < run->set.count ? run->set.items[i]->name : "the last one");
	shutdown_force(run, TIDE_SHUTDOWN_TIMEOUT, err.message);
}

static void shutdown_drain(struct shutdown_run *run)
{
	struct mono_time since = shutdown_now(run);
	shutdown_look_at_hands(run, run->at_drain);
	shutdown_enter(run, TIDE_PHASE_DRAINING);
	run->has_drained = shutdown_await(run, shutdown_limit(run, run->drain_limit),
					  shutdown_has_nothing_in_hand, true);
	if (!run->has_drained && !shutdown_is_forced(run))
		shutdown_force_drain(run);
	int64_t took = mono_since(shutdown_now(run), since);
	run->drain_seconds = seconds_of_ns(took);
	mutex_lock(&run->manager->lock);
	histogram_add(&run->manager->drain_seconds, took, 1);
	mutex_unlock(&run->manager->lock);
}

/* Nothing is to be waited for: the run is over, or its handler has had its time. */
static bool shutdown_is_over_or_in_hand(struct tide_subscription *subscription)
{
	return run_is_over(subscription) || atomic_load(&subscription->hand.since) != 0;
}

/* Wait for the runners' own saves; a second signal leaves them a last second. What was taken in
 * hand when the drain had ended, by a runner that was just about to, has had no time yet. */
static void shutdown_await_saves(struct shutdown_run *run, struct mono_time limit)
{
	bool (*is_done)(struct tide_subscription *) =
		run->has_drained ? run_is_over : shutdown_is_over_or_in_hand;
	if (shutdown_await(run, limit, is_done, false) || !shutdown_is_forced(run))
		return;
	struct mono_time last = mono_min(limit, shutdown_limit(run, SHUTDOWN_FORCED_SAVE_SECONDS));
	for (size_t i = 0; i < run->set.count; i++)
		if (!shutdown_is_over_or_in_hand(run->set.items[i]))
			run_ask_stop(run->set.items[i], last);
}

/* Lanes are stopped in their order: with the last one the subscription is, unless one is left. */
static bool shutdown_is_last_lane(const struct tide_subscription *subscription)
{
	const struct lanes *lanes = &subscription->lanes;
	if (!lanes->head)
		return true;
	bool have_stopped = lanes->index + 1 == lanes->total;
	for (uint32_t i = 0; have_stopped && i < lanes->total; i++)
		have_stopped =
			tide_subscription_state(lanes->head->lanes.list[i]) == TIDE_STATE_STOPPED;
	return have_stopped;
}

/* The runners save and end by themselves; who is still in a handler at the limit is saved from here
 * and left behind. */
static void shutdown_checkpoint(struct shutdown_run *run)
{
	shutdown_enter(run, TIDE_PHASE_CHECKPOINTING);
	bool is_forced = shutdown_is_forced(run);
	struct mono_time limit = shutdown_limit(run, is_forced ? SHUTDOWN_FORCED_SAVE_SECONDS
							       : SHUTDOWN_STEP_SECONDS);
	for (size_t i = 0; i < run->set.count; i++) {
		struct tide_subscription *subscription = run->set.items[i];
		/* given its time */
		if (!run->has_drained && atomic_load(&subscription->hand.since) != 0)
			run_ask_stop(subscription, shutdown_now(run));
		else
			run_ask_stop(subscription, limit);
	}

	shutdown_await_saves(run, limit);
	struct mono_time last =
		mono_add(shutdown_now(run), ns_of_seconds(SHUTDOWN_FORCED_SAVE_SECONDS));
	for (size_t i = 0; i < run->set.count; i++) {
		struct tide_subscription *subscription = run->set.items[i];
		struct tide_error err;
		if (control_wait_stopped(run->manager, subscription, run->is_plain ? last : limit,
					 &err) != TIDE_OK)
			shutdown_force(run, TIDE_SHUTDOWN_TIMEOUT, err.message);
		mutex_lock(&subscription->lock);
		run->result.checkpoints_saved += subscription->stop.was_saved;
		bool has_stopped = run->at_start[i].is_running &&
				   subscription->states.state == TIDE_STATE_STOPPED;
		mutex_unlock(&subscription->lock);
		run->result.subscriptions_stopped +=
			has_stopped && shutdown_is_last_lane(subscription);
	}
	shutdown_count_hands(run);
}

/* Ownership has been released by those who ended; what is left is the watchdog, which may wait for
 * a database. */
static void shutdown_close(struct shutdown_run *run)
{
	struct mono_time least = mono_add(shutdown_now(run), ns_of_seconds(SHUTDOWN_CLOSE_SECONDS));
	struct mono_time limit = shutdown_limit(run, SHUTDOWN_STEP_SECONDS);
	if (manager_check_left(run->manager, NULL) !=
	    TIDE_OK) /* its ownership is kept until the handler has returned */
		return;
	if (!watchdog_stop(run->manager, limit.ns > least.ns ? limit : least))
		shutdown_force(run, TIDE_SHUTDOWN_TIMEOUT,
			       "the renewal of an ownership has not returned");
}

/* ---- The sequence ---------------------------------------------------------------------------- */

/* 0: clean, 1: a limit was exceeded, 2: a second signal. */
static int shutdown_outcome(const struct tide_shutdown_result *result)
{
	return !result->forced ? 0 : result->reason == TIDE_SHUTDOWN_TIMEOUT ? 1 : 2;
}

static void shutdown_begin(struct shutdown_run *run)
{
	struct tide_manager *manager = run->manager;
	enum tide_shutdown_reason reason =
		(enum tide_shutdown_reason)atomic_load(&manager->shutdown.reason);
	run->result.reason = reason == TIDE_SHUTDOWN_NONE ? TIDE_SHUTDOWN_PROGRAMMATIC : reason;
	mutex_lock(&manager->lock);
	manager->shutdowns_initiated[run->result.reason]++;
	mutex_unlock(&manager->lock);
	log_at(TIDE_LOG_INFO, "shutdown", "shutdown began", "reason=%s limit_seconds=%.3f",
	       tide_shutdown_reason_name(run->result.reason),
	       seconds_of_ns(mono_since(run->deadline, run->began)));
}

static void shutdown_end(struct shutdown_run *run)
{
	struct tide_manager *manager = run->manager;
	struct tide_shutdown_result *result = &run->result;
	assert(result->phase < TIDE_PHASE_STOPPED);
	if (shutdown_is_forced(run)) {
		result->forced = false; /* the second signal outranks a limit */
		shutdown_force(run, TIDE_SHUTDOWN_DOUBLE_SIGNAL, "Forced by double signal");
	}

	result->phase = result->forced ? TIDE_PHASE_FORCED : TIDE_PHASE_STOPPED;
	result->duration_seconds = seconds_of_ns(mono_since(shutdown_now(run), run->began));
	int outcome = shutdown_outcome(result);
	mutex_lock(&manager->lock);
	manager->is_running = false;
	manager->shutdowns_completed[outcome]++;
	histogram_add(&manager->shutdown_seconds[outcome], ns_of_seconds(result->duration_seconds),
		      1);
	manager->shutdown_events_drained += result->events_drained;
	manager->shutdown.last = *result;
	manager->shutdown.has_last = true;
	manager->shutdown.last_drain_seconds = run->drain_seconds;
	mutex_unlock(&manager->lock);

	log_at(result->forced ? TIDE_LOG_WARNING : TIDE_LOG_INFO, "shutdown", "shutdown ended",
	       "phase=%s reason=%s duration_seconds=%.3f subscriptions_stopped=%lld "
	       "checkpoints_saved=%lld",
	       tide_shutdown_phase_name(result->phase), tide_shutdown_reason_name(result->reason),
	       result->duration_seconds, (long long)result->subscriptions_stopped,
	       (long long)result->checkpoints_saved);
}

static void shutdown_in_order(struct shutdown_run *run)
{
	shutdown_look_at_hands(run, run->at_start);
	shutdown_begin(run);
	if (!run->is_plain)
		hooks_call(run, TIDE_HOOK_BEFORE_SHUTDOWN);
	shutdown_plan(run);
	shutdown_stop_reading(run);
	shutdown_drain(run);
	shutdown_checkpoint(run);
	shutdown_close(run);
	shutdown_end(run);
	if (!run->is_plain)
		hooks_call(run, TIDE_HOOK_AFTER_SHUTDOWN);
}

/* The instant that was asked for with the request, else all of the time that is configured. */
static struct mono_time shutdown_deadline(const struct shutdown_run *run)
{
	struct tide_manager *manager = run->manager;
	int64_t at_us = atomic_load(&manager->shutdown.deadline_us), left_us;
	if (at_us == 0)
		return mono_add(run->began, ns_of_seconds(manager->shutdown_timeout));
	if (__builtin_sub_overflow(at_us, clock_wall(manager->engine.clock).unix_us, &left_us))
		left_us = at_us; /* so far away that the difference does not fit */
	left_us = left_us < 0 ? 0 : left_us;
	return mono_add(run->began,
			(left_us < SHUTDOWN_LONGEST_US ? left_us : SHUTDOWN_LONGEST_US) * 1000);
}

tide_status shutdown_through(struct shutdown_run *run, struct tide_error *err)
{
	assert(!run->at_start && !run->at_drain);
	struct tide_manager *manager = run->manager;
	run->began = shutdown_now(run);
	if (run->deadline.ns == 0)
		run->deadline = shutdown_deadline(run);
	tide_status status = manager_pin_lanes(manager, &run->set, err);
	if (status != TIDE_OK)
		return status;

	run->at_start = alloc_zero(run->set.count + 1, sizeof *run->at_start);
	run->at_drain = alloc_zero(run->set.count + 1, sizeof *run->at_drain);
	if (run->at_start && run->at_drain)
		shutdown_in_order(run);
	else
		status = alloc_fail(err);
	tide_free(run->at_start);
	tide_free(run->at_drain);
	manager_unpin(manager, &run->set);
	return status;
}
