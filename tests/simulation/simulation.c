/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine under virtual time: one thread, a scripted world, a seed. Every step is drawn from the
 * seed: append, step a subscription, let time pass, pause, resume, stop, start, restart, take the
 * ownership away, crash, let a database go back in time. What must never happen is checked where it
 * would happen; at the end everything is healed and every event must have been settled.
 *
 *	simulation [SEEDS [STEPS [FIRST_SEED]]]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "path/delivery.h"
#include "simulation/world.h"
#include "supervise/manager.h"
#include "sys/alloc.h"

#include <tidemark/log.h>

#define SIM_HEAL_STEPS 200000

void world_step_of(int name);

/** One subscription as the driver sees it. */
struct sim_sub {
	struct sim *sim;
	int name;
	struct tide_subscription *subscription;
	struct tide_subscription_config config;
	bool is_batch, is_transactional, takes_several;
	struct mono_time next;
	/* the ownership under which it was handled: each run has another one */
	int64_t ok_in_epoch[WORLD_EVENTS + 1];
};

struct sim {
	struct world world; /* large: the whole of it is reused from seed to seed */
	struct tide_store *store;
	struct tide_manager *manager;
	struct sim_sub subs[WORLD_NAMES];
	int count;
	int rung_to;                      /* the newest event whose bell was rung */
	int64_t calls, settled, together; /* events, of calls that took several */
	int64_t shared, waits;            /* pages of history that others read, or were reading */
	struct sim_sub *stepping[2];      /* who is in the middle of a step; the second meanwhile */
};

static struct sim sim_one;

static void sim_must(tide_status status, const struct tide_error *error)
{
	if (status != TIDE_OK)
		world_broken("the script itself failed: %s", error->message);
}

/* ---- The handler: checks first --------------------------------------------------------------- */

/* Whether it has found out where it stands: a row that went back is noticed at the next save, not
 * before. */
static bool sim_knows_row(const struct sim_sub *sub)
{
	const struct world_rows *rows =
		world_rows_of(sub->subscription->runner.sessions.database, sub->name);
	const struct tide_checkpoint_known *stored = &sub->subscription->runner.progress.stored;
	return stored->has_position == rows->has_checkpoint &&
	       (!stored->has_position || stored->position == rows->position);
}

static void sim_check_call(struct sim_sub *sub, int position, int attempt, bool is_redelivery)
{
	struct tide_subscription *subscription = sub->subscription;
	struct world *world = &sub->sim->world;
	struct world_rows *rows = world_rows_of(subscription->runner.sessions.database, sub->name);
	enum tide_state state = subscription->states.state;
	if (!state_is_running(state))
		world_broken("sub%d: handler called in state %s", sub->name,
			     tide_state_name(state));
	if (subscription->breakers.handler.state == BREAKER_OPEN)
		world_broken("sub%d: handler called for event %d although the breaker is open",
			     sub->name, position);
	if (!world_wants(world, sub->name, position))
		world_broken("sub%d: event %d was delivered against the filter", sub->name,
			     position);
	if (is_redelivery || !sim_knows_row(sub))
		return;
	if (attempt > sub->config.max_retries + 1)
		world_broken("sub%d: event %d was delivered for the %dth time, %d are allowed",
			     sub->name, position, attempt, sub->config.max_retries + 1);
	while (rows->prefix < position - 1 &&
	       world_is_settled(world, rows, sub->name, rows->prefix + 1))
		rows->prefix++;
	if (rows->prefix < position - 1)
		world_broken("sub%d: event %d was delivered before event %d was settled", sub->name,
			     position, rows->prefix + 1);
	/* redelivered, or left by a crash before its checkpoint */
	bool was_dead = rows->dead[position].status != 0;
	if (!sub->is_transactional && !was_dead &&
	    sub->ok_in_epoch[position] == subscription->runner.fence.epoch && !sub->is_batch)
		world_broken("sub%d: event %d was handled twice in one run", sub->name, position);
}

/* What the script has in store for an event: some always fail, some fail now and then. */
static tide_status sim_outcome(struct sim_sub *sub, int position)
{
	struct world *world = &sub->sim->world;
	if (position % 37 == 0)
		return TIDE_HANDLER_PERMANENT;
	if (position % 41 == 0)
		return TIDE_HANDLER_TRANSIENT;
	if (world->is_healed)
		return TIDE_OK;
	int kind = world_below(world, 1000);
	return kind < 940 ? TIDE_OK : kind < 985 ? TIDE_HANDLER_TRANSIENT : TIDE_HANDLER_PERMANENT;
}

static void sim_append(struct sim *sim)
{
	for (int i = world_below(&sim->world, 4); i >= 0; i--)
		world_append(&sim->world);
	if (!world_chance(&sim->world, 850)) /* some bells are lost: the poll finds the events */
		return;
	sim->rung_to = sim->world.event_count;
	notifier_ring(sim->store->notifier, RING_APPEND);
}

static void sim_take_time(struct sim_sub *sub)
{
	struct world *world = &sub->sim->world;
	/* while somebody is busy, others append */
	if (!world->is_healed && world_chance(world, 20))
		sim_append(sub->sim);
	world->now_ns += world_below(world, 200) * 1000;
	if (!world->is_healed && world_chance(world, 3)) /* past processing_timeout */
		world->now_ns += ns_of_seconds(sub->config.processing_timeout) + NS_PER_MS;
	/* or a stop is at its limit, and saves what is settled before this call */
	if (!world->is_healed && world_chance(world, 10))
		(void)run_save_prefix(sub->subscription);
}

static bool sim_is_late(const struct sim_sub *sub, const struct tide_delivery *delivery)
{
	return tide_delivery_is_late(delivery) ||
	       sub->sim->world.now_ns - delivery->since.ns >=
		       ns_of_seconds(sub->config.processing_timeout);
}

static void sim_apply(struct sim_sub *sub, int position)
{
	struct world_rows *rows =
		world_rows_of(sub->subscription->runner.sessions.database, sub->name);
	rows->applied[position]++;
	rows->settled[position] = 1;
	sub->ok_in_epoch[position] = sim_knows_row(sub) ? sub->subscription->runner.fence.epoch : 0;
	sub->sim->settled++;
}

/* A transactional handler may fail with half its work written: the engine has to take it back. */
static void sim_leave_half(struct sim_sub *sub, int position)
{
	if (sub->is_transactional)
		world_rows_of(sub->subscription->runner.sessions.database, sub->name)
			->applied[position]++;
}

static bool sim_is_redelivery(const struct sim_sub *sub, int position)
{
	const struct world_rows *rows =
		world_rows_of(sub->subscription->runner.sessions.database, sub->name);
	return rows->dead[position].status == 1 + TIDE_DEAD_LETTER_RETRYING;
}

static tide_status sim_handle(void *self, const struct tide_event *event,
			      struct tide_delivery *delivery)
{
	struct sim_sub *sub = self;
	int position = (int)event->position;
	bool is_redelivery = sim_is_redelivery(sub, position);
	sub->sim->calls++;
	sim_check_call(sub, position, tide_delivery_attempt(delivery), is_redelivery);
	sim_take_time(sub);
	tide_status status = sim_outcome(sub, position);
	bool is_late = sim_is_late(sub, delivery);
	if (status == TIDE_OK && !is_late)
		sim_apply(sub, position);
	else
		sim_leave_half(sub, position);
	return status;
}

static tide_status sim_handle_batch(void *self, const struct tide_event *const *events,
				    size_t count, struct tide_delivery *delivery)
{
	struct sim_sub *sub = self;
	if (count == 1)
		return sim_handle(self, events[0], delivery);
	sub->sim->calls++;
	sim_check_call(sub, (int)events[0]->position, tide_delivery_attempt(delivery), false);
	sim_take_time(sub);
	for (size_t i = 0; i < count; i++) {
		tide_status status = sim_outcome(sub, (int)events[i]->position);
		if (i > 0 && events[i]->position <= events[i - 1]->position)
			world_broken("sub%d: a batch out of order", sub->name);
		if (status != TIDE_OK) {
			sim_leave_half(sub, (int)events[0]->position);
			return status;
		}
	}
	if (!sim_is_late(sub, delivery))
		for (size_t i = 0; i < count; i++)
			sim_apply(sub, (int)events[i]->position);
	return TIDE_OK;
}

static tide_status sim_handle_together(void *self, const struct tide_event *const *events,
				       size_t count, struct tide_delivery *delivery)
{
	struct sim_sub *sub = self;
	bool goes_on = true;
	size_t done = 0;
	while (done < count && goes_on) {
		tide_status status = sim_handle(sub, events[done], delivery);
		if (status != TIDE_OK)
			return status;
		goes_on = tide_delivery_go_on(delivery, ++done);
	}
	sub->sim->together += (int64_t)done;
	tide_delivery_take(delivery, done, 0);
	return TIDE_OK;
}

/* ---- Setting up ------------------------------------------------------------------------------ */

static void sim_configure(struct sim *sim, struct sim_sub *sub)
{
	struct world *world = &sim->world;
	struct tide_subscription_config config = TIDE_SUBSCRIPTION_CONFIG_DEFAULT;
	config.checkpoint_strategy = (enum tide_checkpoint_strategy)world_below(world, 3);
	config.batch_size = 1 + world_below(world, 20);
	config.max_in_flight = 1 + world_below(world, 60);
	static const int64_t bytes[] = { 20, 20000, 1000000, 1000000 };
	config.max_batch_bytes = bytes[world_below(world, 4)];
	config.max_retries = world_below(world, 4);
	config.max_infrastructure_retries = world_below(world, 5) - 1;
	config.initial_retry_delay = 0.01;
	config.max_retry_delay = 0.5;
	config.circuit_breaker_failure_threshold = 2 + world_below(world, 6);
	config.circuit_breaker_recovery_timeout = 0.3;
	config.circuit_breaker_enabled = world_chance(world, 800);
	config.processing_timeout = 0.2;
	config.checkpoint_interval_seconds = 0.2;
	config.continue_on_error = world_chance(world, 850);
	config.discard_failed_events = world_chance(world, 200);
	config.hold_aggregate_on_failure =
		!config.discard_failed_events && world_chance(world, 400);
	config.max_process_deaths = 1000; /* crashes here are no fault of an event's */
	sub->config = config;
	sub->is_batch = world_chance(world, 300);
	sub->is_transactional = world_chance(world, 500);
	sub->takes_several = sub->is_transactional && !sub->is_batch && config.batch_size % 2;
	world->is_transactional[sub->name] = sub->is_transactional;
	world->wanted_types[sub->name] =
		(uint8_t)(world_chance(world, 400) ? 1 + world_below(world, 7) : 0);
}

/* A process: a manager with every subscription. */
static void sim_boot(struct sim *sim)
{
	struct tide_error err;
	sim_must(tide_manager_open(TIDE_MANAGER(.store = sim->store), &sim->manager, &err), &err);
	sim->manager->is_threaded = false;
	sim->manager->engine.clock = &sim->world.clock;
	sim->manager->engine.seed = random_next(&sim->world.random);
	sim->manager->engine.parts_per_step = 1 + world_below(&sim->world, 8);
	static const char *const types[WORLD_TYPES] = { "Alpha", "Beta", "Gamma" };
	for (int i = 0; i < sim->count; i++) {
		struct sim_sub *sub = &sim->subs[i];
		char name[16];
		const char *wanted[WORLD_TYPES + 1] = { NULL };
		int count = 0;
		for (int t = 0; t < WORLD_TYPES; t++)
			if (sim->world.wanted_types[i] & (1 << t))
				wanted[count++] = types[t];
		snprintf(name, sizeof name, "sub%d", i);
		struct tide_subscriber subscriber = {
			.name = name,
			.self = sub,
			.event_types = wanted,
			.handle = sub->is_batch ? NULL : sim_handle,
			.handle_batch = sub->is_batch ? sim_handle_batch : NULL,
			.transactional = sub->is_transactional,
			.handle_together = sub->takes_several ? sim_handle_together : NULL
		};
		sim_must(tide_manager_subscribe(sim->manager, &subscriber, &sub->config,
						&sub->subscription, &err),
			 &err);
		/* as one that has found that it wants few of the events */
		if (*wanted && sub->config.batch_size % 3 == 0)
			sub->subscription->runner.feed.share.verdict = FEED_WANTS_FEW;
		sub->next = (struct mono_time){ 0 };
	}
	sim_must(tide_manager_start(sim->manager, NULL, 0, NULL, NULL, &err), &err);
}

/* The process is gone: whatever was in its memory, and every transaction it had open. */
static void sim_crash(struct sim *sim)
{
	for (int i = 0; i < sim->count; i++) {
		struct tide_subscription *subscription = sim->subs[i].subscription;
		struct runner *runner = &subscription->runner;
		if (runner->link.wakeup)
			notifier_remove(sim->store->notifier, &runner->link);
		if (runner->sessions.database)
			world_backend.store.session_close(runner->sessions.database);
		runner->sessions.database = runner->sessions.feed = NULL;
		subscription->run.state = RUN_NONE;
		sim->world.leases[i].is_live = false;
	}
	sim->manager->is_running = false;
	tide_manager_close(sim->manager);
}

/* ---- Steps ----------------------------------------------------------------------------------- */

/* Whoever goes to sleep has seen everything that a bell was rung for, or the bell still rings. */
static void sim_check_sleep(struct sim *sim, struct sim_sub *sub)
{
	const struct feed *feed = &sub->subscription->runner.feed;
	bool is_asleep =
		sub->next.ns > sim->world.now_ns && !wakeup_is_rung(&sub->subscription->wakeup);
	if (is_asleep && state_is_running(sub->subscription->states.state) && feed->is_end &&
	    feed->count == 0 && feed->read_to < sim->rung_to)
		world_broken("sub%d: sleeps at %lld although the bell rang for event %d", sub->name,
			     (long long)feed->read_to, sim->rung_to);
}

/* Whoever waits keeps nobody else waiting: a database that knows one writer would not let any other
 * in. */
static void sim_check_wait(const struct sim *sim, const struct sim_sub *sub)
{
	if (sub->next.ns > sim->world.now_ns &&
	    world_is_in_transaction(sub->subscription->runner.sessions.database))
		world_broken("sub%d: waits with its transaction open", sub->name);
}

/* What is kept for several is no more than the greatest of them reads ahead itself. */
static void sim_check_shared(const struct sim *sim)
{
	int64_t most = 0;
	for (int i = 0; i < sim->count; i++)
		if (sim->subs[i].config.max_batch_bytes > most)
			most = sim->subs[i].config.max_batch_bytes;
	if ((int64_t)panes_bytes(sim->store->panes) > most)
		world_broken("%zu bytes are shared, of %lld", panes_bytes(sim->store->panes),
			     (long long)most);
}

static void sim_step_one(struct sim *sim, struct sim_sub *sub)
{
	struct world *world = &sim->world;
	bool is_due = world->now_ns >= sub->next.ns || wakeup_is_rung(&sub->subscription->wakeup);
	if (!is_due || !runner_is_running(sub->subscription))
		return;
	int depth = sim->stepping[0] ? 1 : 0;
	sim->stepping[depth] = sub;
	world_step_of(sub->name);
	sub->next = runner_step(sub->subscription, clock_mono(&world->clock));
	sim->stepping[depth] = NULL;
	if (depth > 0)
		world_step_of(sim->stepping[0]->name);
	sim->waits += sub->subscription->runner.feed.wait_until.ns > 0;
	sim_check_wait(sim, sub);
	sim_check_shared(sim);
	/* who was told meanwhile that somebody is looking is rung when that is over */
	for (int i = 0; i < sim->count && depth == 0; i++)
		if (runner_is_running(sim->subs[i].subscription))
			sim_check_sleep(sim, &sim->subs[i]);
}

/* While one reads a page, the others take steps. */
static void sim_meanwhile(struct world *world)
{
	struct sim *sim = (struct sim *)world;
	if (!sim->stepping[0] || sim->stepping[1])
		return;
	for (int i = 1 + world_below(world, 4); i > 0; i--) {
		struct sim_sub *sub = &sim->subs[world_below(world, sim->count)];
		if (sub != sim->stepping[0])
			sim_step_one(sim, sub);
	}
}

static void sim_pass_time(struct sim *sim)
{
	struct world *world = &sim->world;
	int64_t next = INT64_MAX;
	for (int i = 0; i < sim->count; i++)
		if (runner_is_running(sim->subs[i].subscription) && sim->subs[i].next.ns < next)
			next = sim->subs[i].next.ns;
	if (next != INT64_MAX && next > world->now_ns && world_chance(world, 700))
		world->now_ns = next;
	else
		world->now_ns += world_below(world, 50) * NS_PER_MS;
}

static void sim_ask_redelivery(struct sim *sim, struct sim_sub *sub)
{
	struct world_rows *rows = &sim->world.rows[sub->name];
	if (sub->is_transactional && transaction_is_open(&sub->subscription->runner.transaction))
		return; /* the script writes to the committed rows */
	for (int i = 1; i <= sim->world.event_count; i++)
		if (rows->dead[i].status == 1 + TIDE_DEAD_LETTER_FAILED &&
		    !rows->dead[i].parked_behind && world_chance(&sim->world, 300)) {
			rows->dead[i].status = 1 + TIDE_DEAD_LETTER_RETRYING;
			notifier_ring(sim->store->notifier, RING_MANUAL);
			return;
		}
}

/* Another process takes the ownership away, and dies later. */
static void sim_steal(struct sim *sim, int name)
{
	struct world_lease *lease = &sim->world.leases[name];
	if (!lease->exists)
		return;
	lease->owner = tide_uuid_v4();
	lease->epoch++;
	lease->is_live = world_chance(&sim->world, 500);
}

/* The read model and its position are those of an earlier time: commits were lost, or a person put
 * them back. */
static void sim_go_back(struct sim *sim, struct sim_sub *sub)
{
	struct world *world = &sim->world;
	struct world_rows *rows = &world->rows[sub->name];
	if (!rows->has_checkpoint || rows->position == 0 || world->event_count == WORLD_EVENTS)
		return; /* who has nothing to do any more does not find out */
	tide_position position = world_below(world, (int)rows->position);
	bool is_by_person = world_chance(world, 300);
	world->leases[sub->name].epoch += is_by_person;
	world_go_back(world, sub->name, position, sub->subscription->runner.sessions.database);
	for (int i = (int)position + 1; i <= WORLD_EVENTS; i++)
		sub->ok_in_epoch[i] = 0;
}

static void sim_do_something(struct sim *sim)
{
	struct world *world = &sim->world;
	struct sim_sub *sub = &sim->subs[world_below(world, sim->count)];
	const char *const names[] = { sub->subscription->name, NULL };
	int kind = world_below(world, 1000);
	if (kind < 700)
		sim_step_one(sim, sub);
	else if (kind < 740)
		sim_append(sim);
	else if (kind < 900)
		sim_pass_time(sim);
	else if (kind < 920)
		(void)tide_manager_pause(sim->manager, names[0], TIDE_PAUSE_MANUAL);
	else if (kind < 945)
		(void)tide_manager_resume(sim->manager, names[0]);
	else if (kind < 950)
		(void)tide_manager_stop(sim->manager, names, 0, NULL);
	else if (kind < 960 && run_is_over(sub->subscription)) {
		bool is_error = sub->subscription->states.state == TIDE_STATE_ERROR;
		sub->next = (struct mono_time){ 0 };
		(void)run_start(sub->subscription, sim->manager->is_threaded,
				is_error && world_chance(world, 500), NULL);
	} else if (kind < 985)
		watchdog_look(sim->manager, clock_mono(&world->clock));
	else if (kind < 994)
		sim_ask_redelivery(sim, sub);
	else if (kind < 997)
		sim_steal(sim, sub->name);
	else if (kind < 998) {
		sim_crash(sim);
		sim_boot(sim);
	} else if (kind < 999)
		sim_go_back(sim, sub);
}

/* ---- The end: everything heals, everything must be there ------------------------------------- */

static void sim_heal(struct sim *sim)
{
	struct world *world = &sim->world;
	world->is_healed = true;
	world_append(world);
	for (int i = 0; i < sim->count; i++) {
		struct sim_sub *sub = &sim->subs[i];
		if (!tide_uuid_equal(&world->leases[i].owner, &sub->subscription->owner))
			world->leases[i].is_live = false;
		(void)tide_manager_resume(sim->manager, sub->subscription->name);
		if (run_is_over(sub->subscription)) {
			sub->next = (struct mono_time){ 0 };
			(void)run_start(sub->subscription, sim->manager->is_threaded, false, NULL);
		}
	}
	notifier_ring(sim->store->notifier, RING_APPEND);
}

static bool sim_is_done(const struct sim_sub *sub)
{
	const struct tide_subscription *subscription = sub->subscription;
	return subscription->states.state == TIDE_STATE_LIVE &&
	       subscription->position == sub->sim->world.event_count &&
	       !subscription->runner.progress.is_dirty &&
	       !transaction_is_open(&subscription->runner.transaction);
}

/* A subscription that stops at its first error cannot pass a scripted one: being in front of it is
 * all it can do. */
static bool sim_is_stuck_rightly(struct sim_sub *sub)
{
	const struct world *world = &sub->sim->world;
	int next = (int)sub->subscription->position + 1;
	while (next <= world->event_count && !world_wants(world, sub->name, next))
		next++;
	bool is_scripted = next % 37 == 0 || next % 41 == 0 || world->events[next].is_undecodable;
	/* else it was stopped, or its row went back, before it came here */
	const struct world_rows *rows = &world->rows[sub->name];
	bool has_failed =
		sub->subscription->states.state == TIDE_STATE_ERROR &&
		(rows->has_checkpoint ? rows->position : 0) == sub->subscription->position;
	return !sub->config.continue_on_error && run_is_over(sub->subscription) && has_failed &&
	       is_scripted;
}

static void sim_check_end(struct sim_sub *sub)
{
	const struct world *world = &sub->sim->world;
	const struct world_rows *rows = &world->rows[sub->name];
	int last = sim_is_done(sub) ? world->event_count : (int)sub->subscription->position;
	if (rows->has_checkpoint ? rows->position != sub->subscription->position
				 : sub->subscription->position > 0)
		world_broken("sub%d: stored position %lld, settled %lld", sub->name,
			     (long long)rows->position, (long long)sub->subscription->position);
	for (int i = 1; i <= last; i++) {
		if (!world_is_settled(world, rows, sub->name, i))
			world_broken("sub%d: event %d was passed over", sub->name, i);
		bool is_resolved = rows->dead[i].status == 1 + TIDE_DEAD_LETTER_RESOLVED;
		bool should_apply = world_wants(world, sub->name, i) &&
				    !world->discardable[sub->name][i] &&
				    (!rows->dead[i].status || is_resolved);
		if (sub->is_transactional && should_apply && rows->applied[i] != 1)
			world_broken("sub%d: event %d is %d times in the read model", sub->name, i,
				     rows->applied[i]);
	}
}

static void sim_finish(struct sim *sim)
{
	sim_heal(sim);
	for (int steps = 0;; steps++) {
		bool are_done = true;
		for (int i = 0; i < sim->count; i++) {
			struct sim_sub *sub = &sim->subs[i];
			sim_step_one(sim, sub);
			are_done = are_done && (sim_is_done(sub) || sim_is_stuck_rightly(sub));
			if (run_is_over(sub->subscription) && !sim_is_stuck_rightly(sub)) {
				sub->next = (struct mono_time){ 0 };
				(void)run_start(sub->subscription, sim->manager->is_threaded, false,
						NULL);
			}
		}
		if (are_done)
			break;
		if (steps == SIM_HEAL_STEPS)
			world_broken("nothing fails any more, and yet: sub0 is %s at %lld of %d",
				     tide_state_name(sim->subs[0].subscription->states.state),
				     (long long)sim->subs[0].subscription->position,
				     sim->world.event_count);
		sim_pass_time(sim);
	}
	for (int i = 0; i < sim->count; i++)
		sim_check_end(&sim->subs[i]);
}

static void sim_run(struct sim *sim, uint64_t seed, int steps)
{
	struct tide_error err;
	world_init(&sim->world, seed);
	sim->rung_to = 0;
	sim->count = 1 + world_below(&sim->world, WORLD_NAMES);
	for (int i = 0; i < sim->count; i++) {
		sim->subs[i] = (struct sim_sub){ .sim = sim, .name = i };
		sim_configure(sim, &sim->subs[i]);
	}
	sim_must(tide_store_open("sim:", NULL, &sim->store, &err), &err);
	sim->world.meanwhile = sim_meanwhile;
	for (int i = world_below(&sim->world, 400); i > 0; i--) /* a history to begin with */
		world_append(&sim->world);
	sim_boot(sim);
	for (int i = 0; i < steps; i++)
		sim_do_something(sim);
	sim_finish(sim);
	sim_crash(sim);
	sim->shared += atomic_load(&sim->store->metrics.feed_pages[METRICS_FROM_WINDOW]);
	tide_store_close(sim->store);
}

/* A dropped event leaves no trace in the rows, only in the log: that is where the world learns that
 * it is settled. */
static void sim_hear(void *self, const struct tide_log_line *line)
{
	bool *is_loud = self;
	int name;
	long long position;
	if (*is_loud)
		fprintf(stderr, "%10.6f %s %s %s\n", (double)world_now->now_ns / 1e9,
			tide_log_level_name(line->level), line->message, line->fields);
	if (strcmp(line->message, "failed event discarded by configuration") != 0 ||
	    sscanf(line->fields, "name='sub%d' position=%lld", &name, &position) != 2)
		return;
	if (!sim_one.subs[name].config.discard_failed_events)
		world_broken("sub%d: event %lld was discarded against the configuration", name,
			     position);
	world_now->discardable[name][position] = 1;
}

int main(int argc, char **argv)
{
	int seeds = argc > 1 ? atoi(argv[1]) : 2000;
	int steps = argc > 2 ? atoi(argv[2]) : 10000;
	int first = argc > 3 ? atoi(argv[3]) : 1;
	struct tide_error err;
	sim_must(tide_backend_register(&world_backend, &err), &err);
	bool is_loud = getenv("SIMULATION_LOG") != NULL;
	tide_log_set(sim_hear, &is_loud, is_loud ? TIDE_LOG_DEBUG : TIDE_LOG_WARNING);
	for (int seed = first; seed < first + seeds; seed++) {
		snprintf(world_replay, sizeof world_replay, "SIMULATION_LOG=1 %s 1 %d %d", argv[0],
			 steps, seed);
		sim_run(&sim_one, (uint64_t)seed, steps);
	}
	printf("%d seeds of %d steps: %lld handler calls, %lld events settled, %lld of them "
	       "together, %lld pages shared, %lld waits for another's, no invariant broken\n",
	       seeds, steps, (long long)sim_one.calls, (long long)sim_one.settled,
	       (long long)sim_one.together, (long long)sim_one.shared, (long long)sim_one.waits);
	return 0;
}
