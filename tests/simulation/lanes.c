/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processes that share the lanes of a group, under virtual time, in one thread, by a seed: they
 * join, leave, die in the middle of an operation, freeze, are cut off, and follow each other with
 * other numbers of lanes, while events come. Checked at every step: nobody acts in a lane that is
 * not its own, each stream's events are applied in order, none is skipped, none comes twice. Now
 * and then all is calm: then each has its share, and old numbers are forgotten, within their times.
 *
 *	simulation-lanes [SEEDS [STEPS [FIRST_SEED]]]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "path/delivery.h"
#include "policy/balance.h"
#include "simulation/ledger.h"
#include "supervise/manager.h"
#include "supervise/sharing.h"
#include "sys/alloc.h"

#include <tidemark/log.h>

#define LANES_MAX 8
#define ROUNDS 4
#define LOOK_NS (50 * NS_PER_MS)
#define SHARE_NS (2 * NS_PER_SECOND)
#define CALM_NS (60 * NS_PER_SECOND)

/** One process. */
struct proc {
	int number;
	bool is_there, is_leaving;
	bool is_stepping; /* in the middle of something: others go on meanwhile */
	struct tide_store *store;
	struct tide_manager *manager;
	struct tide_subscription *subscription;
	uint32_t lanes;
	int64_t frozen_until, cut_until;
	struct mono_time look_at, next[LANES_MAX];
};

struct sim {
	struct ledger ledger;
	struct proc procs[LEDGER_PROCESSES];
	uint32_t lanes; /* of who starts now */
	double lease_seconds;
	int depth;
	bool is_calm;
	int64_t calls, deaths, changes, freezes, calms;
};

static struct sim sim_one;

static void sim_must(tide_status status, const struct tide_error *error)
{
	if (status != TIDE_OK)
		ledger_broken("the script itself failed: %s", error->message);
}

static struct tide_subscription *proc_lane(const struct proc *proc, uint32_t index)
{
	return proc->lanes > 1 ? proc->subscription->lanes.list[index] : proc->subscription;
}

/* ---- The handler: checks first --------------------------------------------------------------- */

static void sim_check_owner(const struct sim *sim, const struct proc *proc,
			    struct tide_subscription *lane)
{
	struct ledger *ledger = &sim_one.ledger;
	const struct ledger_row *row = ledger_row(ledger, lane->name);
	if (!tide_uuid_equal(&row->owner, &lane->owner) || row->epoch != lane->runner.fence.epoch)
		ledger_broken("process %d acts in %s, which is another's", proc->number,
			      lane->name);
	if (ledger->now_ns >= row->expires_ns)
		ledger_broken("process %d acts in %s with its lease run out", proc->number,
			      lane->name);
	if (sim->ledger.group.lanes > 0 && sim->ledger.group.lanes != proc->lanes)
		ledger_broken("process %d acts in %s, and there are %u lanes", proc->number,
			      lane->name, sim->ledger.group.lanes);
}

/* The next of its stream; what is not transactional may come again after a failure. */
static void sim_check_order(const struct sim *sim, const void *session, int position,
			    const char *name)
{
	const struct ledger *ledger = &sim->ledger;
	for (int i = 1; i < position; i++)
		if (ledger->aggregate_of[i] == ledger->aggregate_of[position] &&
		    !ledger_has_applied(ledger, session, i))
			ledger_broken("%s: event %d was delivered before %d of its stream", name,
				      position, i);
	if (ledger->is_transactional && ledger_has_applied(ledger, session, position))
		ledger_broken("%s: event %d was delivered again", name, position);
}

static tide_status sim_handle(void *self, const struct tide_event *event,
			      struct tide_delivery *delivery)
{
	struct proc *proc = self;
	struct sim *sim = &sim_one;
	struct ledger *ledger = &sim->ledger;
	struct tide_subscription *lane = proc_lane(proc, tide_delivery_lane(delivery).index);
	void *session = ledger->is_transactional ? tide_delivery_connection(delivery) : NULL;
	if (ledger->lines[proc->number].is_dead)
		return TIDE_HANDLER_TRANSIENT;
	sim->calls++;
	sim_check_owner(sim, proc, lane);
	sim_check_order(sim, session, (int)event->position, lane->name);
	if (!ledger->is_healed && ledger_chance(ledger, 30))
		return TIDE_HANDLER_TRANSIENT;
	ledger_apply(ledger, session, (int)event->position);
	if (!ledger->is_healed)
		ledger->now_ns += ledger_below(ledger, 3000) * INT64_C(1000);
	if (!ledger->is_healed && ledger_chance(ledger, 50))
		ledger->meanwhile(ledger);
	return TIDE_OK;
}

/* ---- Processes ------------------------------------------------------------------------------- */

static struct tide_subscription_config sim_config(struct sim *sim, uint32_t lanes)
{
	struct ledger *ledger = &sim->ledger;
	struct tide_subscription_config config = TIDE_SUBSCRIPTION_CONFIG_DEFAULT;
	config.lanes = (int)lanes;
	config.batch_size = 1 + ledger_below(ledger, 12);
	config.max_in_flight = config.batch_size * (1 + ledger_below(ledger, 3));
	config.checkpoint_strategy = (enum tide_checkpoint_strategy)ledger_below(ledger, 3);
	config.checkpoint_interval_seconds = 0.2;
	config.max_retries = 1000000;
	config.initial_retry_delay = 0.01;
	config.max_retry_delay = 0.2;
	config.poll_interval_seconds = 0.2;
	config.circuit_breaker_enabled = false;
	config.max_process_deaths = 1000000; /* who is killed here is no fault of an event's */
	return config;
}

/* Who owns is drawn from the seed, too: ties are decided by it. */
static void proc_name(struct sim *sim, struct tide_subscription *subscription)
{
	uint64_t parts[2] = { random_next(&sim->ledger.random), random_next(&sim->ledger.random) };
	memcpy(subscription->owner.bytes, parts, sizeof subscription->owner.bytes);
}

static void proc_start(struct sim *sim, struct proc *proc)
{
	struct tide_error err;
	struct ledger *ledger = &sim->ledger;
	*proc = (struct proc){ .number = (int)(proc - sim->procs),
			       .is_there = true,
			       .lanes = sim->lanes };
	ledger->lines[proc->number] = (struct ledger_line){ .lease_seconds = sim->lease_seconds };
	ledger->opening = proc->number;
	sim_must(tide_store_open("ledger:", NULL, &proc->store, &err), &err);
	sim_must(tide_manager_open(
			 TIDE_MANAGER(.store = proc->store, .lease_seconds = sim->lease_seconds),
			 &proc->manager, &err),
		 &err);
	proc->manager->is_threaded = false;
	proc->manager->engine.clock = &ledger->clock;
	proc->manager->engine.seed = random_next(&ledger->random);
	struct tide_subscription_config config = sim_config(sim, proc->lanes);
	struct tide_subscriber subscriber = { .name = LEDGER_NAME,
					      .self = proc,
					      .handle = sim_handle,
					      .transactional = ledger->is_transactional };
	sim_must(tide_manager_subscribe(proc->manager, &subscriber, &config, &proc->subscription,
					&err),
		 &err);
	proc_name(sim, proc->subscription);
	for (uint32_t i = 0; proc->lanes > 1 && i < proc->lanes; i++) {
		proc_name(sim, proc_lane(proc, i));
		proc_lane(proc, i)->owner = proc->subscription->owner;
	}
	sim_must(tide_manager_start(proc->manager, NULL, 0, NULL, NULL, &err), &err);
}

/* Whatever was in its memory is gone, and its connections. */
static void proc_bury(struct sim *sim, struct proc *proc)
{
	proc->is_stepping = true;
	sim->ledger.lines[proc->number].is_dead = true;
	ledger_hang_up(&sim->ledger, proc->number);
	for (uint32_t i = 0; i < proc->lanes; i++) {
		struct tide_subscription *lane = proc_lane(proc, i);
		struct runner *runner = &lane->runner;
		if (runner->link.wakeup)
			notifier_remove(proc->store->notifier, &runner->link);
		if (runner->sessions.database)
			ledger_backend.store.session_close(runner->sessions.database);
		runner->sessions.database = runner->sessions.feed = NULL;
		lane->run.state = RUN_NONE;
	}
	proc->manager->is_running = false;
	tide_manager_close(proc->manager);
	tide_store_close(proc->store);
	proc->is_there = false;
}

static bool proc_is_over(const struct proc *proc)
{
	const struct membership *membership = proc->subscription->lanes.membership;
	bool is_over = !membership || membership->state == MEMBERSHIP_NONE;
	for (uint32_t i = 0; i < proc->lanes; i++)
		is_over = is_over && run_is_over(proc_lane(proc, i));
	return is_over;
}

static void proc_leave(struct proc *proc)
{
	if (proc->is_leaving)
		return;
	proc->is_leaving = true;
	(void)tide_manager_stop(proc->manager, NULL, 10, NULL);
}

/* One step of a lane, or a look of the watchdog; false: nothing is due. */
static bool proc_step(struct sim *sim, struct proc *proc)
{
	struct ledger *ledger = &sim->ledger;
	struct mono_time now = clock_mono(&ledger->clock);
	bool has_stepped = false;
	int first = ledger_below(ledger, (int)proc->lanes + 1);
	proc->is_stepping = true;
	for (uint32_t i = 0; i <= proc->lanes && !has_stepped; i++) {
		uint32_t at = ((uint32_t)first + i) % (proc->lanes + 1);
		if (at == proc->lanes) {
			has_stepped = now.ns >= proc->look_at.ns;
			if (has_stepped)
				watchdog_look(proc->manager, now);
			if (has_stepped)
				proc->look_at = mono_add(clock_mono(&ledger->clock), LOOK_NS);
			continue;
		}
		struct tide_subscription *lane = proc_lane(proc, at);
		bool is_due = now.ns >= proc->next[at].ns || wakeup_is_rung(&lane->wakeup);
		has_stepped = is_due && runner_is_running(lane);
		if (has_stepped)
			proc->next[at] = runner_step(lane, now);
		if (!runner_is_running(lane))
			proc->next[at] = (struct mono_time){ 0 }; /* of the run that follows */
	}
	proc->is_stepping = false;
	return has_stepped;
}

static bool proc_is_free(const struct sim *sim, const struct proc *proc)
{
	return proc->is_there && !proc->is_stepping && sim->ledger.now_ns >= proc->frozen_until;
}

/* What has come of it since. */
static void proc_look(struct sim *sim, struct proc *proc)
{
	struct ledger_line *line = &sim->ledger.lines[proc->number];
	line->is_cut = sim->ledger.now_ns < proc->cut_until;
	if (line->is_dead || (proc->is_leaving && proc_is_over(proc)))
		proc_bury(sim, proc);
}

static void sim_step(struct sim *sim)
{
	struct proc *proc = &sim->procs[ledger_below(&sim->ledger, LEDGER_PROCESSES)];
	if (!proc_is_free(sim, proc))
		return;
	proc_look(sim, proc);
	if (!proc->is_there)
		return;
	(void)proc_step(sim, proc);
	proc_look(sim, proc);
}

/* While one is in the middle of an operation the others go on. Seldom it takes long. */
static void sim_meanwhile(struct ledger *ledger)
{
	struct sim *sim = (struct sim *)ledger;
	if (sim->depth == 2)
		return;
	sim->depth++;
	for (int i = 1 + ledger_below(ledger, 12); i > 0; i--) {
		sim_step(sim);
		ledger->now_ns += ledger_below(ledger, 30) * NS_PER_MS;
	}
	sim->depth--;
}

/* At any operation its process may be killed. */
static void sim_doom(struct ledger *ledger, int process)
{
	struct sim *sim = (struct sim *)ledger;
	if (ledger->is_healed || ledger->lines[process].is_dead || !ledger_chance(ledger, 2))
		return;
	ledger->lines[process].is_dead = true;
	sim->deaths++;
}

static void sim_pass_time(struct sim *sim)
{
	struct ledger *ledger = &sim->ledger;
	int64_t next = INT64_MAX;
	for (int p = 0; p < LEDGER_PROCESSES; p++) {
		const struct proc *proc = &sim->procs[p];
		if (!proc_is_free(sim, proc))
			continue;
		next = proc->look_at.ns < next ? proc->look_at.ns : next;
		for (uint32_t i = 0; i < proc->lanes; i++)
			if (runner_is_running(proc_lane(proc, i)) && proc->next[i].ns < next)
				next = proc->next[i].ns;
	}
	if (next != INT64_MAX && next > ledger->now_ns)
		ledger->now_ns = next;
	else if (next == INT64_MAX || ledger_chance(ledger, 100))
		ledger->now_ns += ledger_below(ledger, 20) * NS_PER_MS;
}

/* ---- What happens to them -------------------------------------------------------------------- */

static int sim_count(const struct sim *sim)
{
	int count = 0;
	for (int p = 0; p < LEDGER_PROCESSES; p++)
		count += sim->procs[p].is_there;
	return count;
}

static void sim_join(struct sim *sim)
{
	for (int p = 0; p < LEDGER_PROCESSES; p++)
		if (!sim->procs[p].is_there) {
			proc_start(sim, &sim->procs[p]);
			return;
		}
}

/* Those that run leave, one by one or together; who comes then has another number of lanes. */
static void sim_change(struct sim *sim)
{
	static const uint32_t numbers[] = { 1, 2, 3, 5, 8 };
	sim->lanes = numbers[ledger_below(&sim->ledger, 5)];
	sim->changes++;
	for (int p = 0; p < LEDGER_PROCESSES; p++)
		if (sim->procs[p].is_there && sim->procs[p].lanes != sim->lanes &&
		    ledger_chance(&sim->ledger, 900))
			proc_leave(&sim->procs[p]);
	sim_join(sim);
}

static void sim_do_something(struct sim *sim)
{
	struct ledger *ledger = &sim->ledger;
	struct proc *proc = &sim->procs[ledger_below(ledger, LEDGER_PROCESSES)];
	int64_t lease = ns_of_seconds(sim->lease_seconds);
	int kind = ledger_below(ledger, 10000);
	if (kind < 7000)
		sim_step(sim);
	else if (kind < 9500)
		sim_pass_time(sim);
	else if (kind < 9800)
		ledger_append(ledger);
	else if (kind < 9900 && sim_count(sim) < LEDGER_PROCESSES)
		sim_join(sim);
	else if (kind < 9910 && proc->is_there)
		proc_leave(proc);
	else if (kind < 9920 && proc->is_there)
		proc_bury(sim, proc);
	else if (kind < 9940 && proc->is_there) {
		proc->frozen_until = ledger->now_ns + lease / 10 * ledger_below(ledger, 30);
		sim->freezes++;
	} else if (kind < 9960 && proc->is_there) {
		proc->cut_until = ledger->now_ns + lease / 10 * ledger_below(ledger, 30);
	} else if (kind < 9965) {
		sim_change(sim);
	}
}

/* ---- Calm: each has its share ---------------------------------------------------------------- */

/* How many lanes a process has, by the leases. */
static uint32_t proc_held(struct sim *sim, const struct proc *proc)
{
	uint32_t held = 0;
	for (uint32_t i = 0; i < proc->lanes; i++) {
		const struct tide_subscription *lane = proc_lane(proc, i);
		const struct ledger_row *row = ledger_row(&sim->ledger, lane->name);
		held += ledger_is_owned(&sim->ledger, row) &&
			tide_uuid_equal(&row->owner, &lane->owner);
	}
	return held;
}

static bool sim_is_shared(struct sim *sim)
{
	const struct ledger *ledger = &sim->ledger;
	struct balance_member members[LEDGER_PROCESSES];
	const struct proc *procs[LEDGER_PROCESSES];
	int count = 0;
	for (int p = 0; p < LEDGER_PROCESSES; p++) {
		const struct proc *proc = &sim->procs[p];
		if (!proc->is_there || proc->is_leaving)
			continue;
		int i = 0;
		while (i < ledger->member_count &&
		       !tide_uuid_equal(&ledger->members[i].id, &proc->subscription->owner))
			i++;
		if (i == ledger->member_count)
			return false;
		members[count] = (struct balance_member){ ledger->members[i].id,
							  ledger->members[i].joined_at };
		procs[count++] = proc;
	}
	int alive = 0; /* also such as died, or whose joining had no answer */
	for (int i = 0; i < ledger->member_count; i++)
		alive += ledger->now_ns < ledger->members[i].expires_ns;
	for (int a = 0; a < count; a++) {
		int place = 0;
		for (int b = 0; b < count; b++)
			place += members[b].joined_at.unix_us < members[a].joined_at.unix_us ||
				 (members[b].joined_at.unix_us == members[a].joined_at.unix_us &&
				  tide_uuid_compare(&members[b].id, &members[a].id) < 0);
		uint32_t share = sim->lanes / (uint32_t)count +
				 ((uint32_t)place < sim->lanes % (uint32_t)count);
		if (proc_held(sim, procs[a]) != share)
			return false;
	}
	return alive == count;
}

/* A subscription without lanes has one owner. */
static bool sim_is_owned_once(struct sim *sim)
{
	uint32_t held = 0;
	for (int p = 0; p < LEDGER_PROCESSES; p++)
		if (sim->procs[p].is_there && !sim->procs[p].is_leaving)
			held += proc_held(sim, &sim->procs[p]);
	return held == 1;
}

static bool sim_has_shares(struct sim *sim)
{
	for (int p = 0; p < LEDGER_PROCESSES; p++)
		if (sim->procs[p].is_there && sim->procs[p].lanes != sim->lanes)
			return false;
	return sim->lanes == 1 ? sim_is_owned_once(sim) : sim_is_shared(sim);
}

static bool sim_is_settled(const struct sim *sim)
{
	const struct ledger *ledger = &sim->ledger;
	int64_t counted = ledger->group.processed_before;
	uint32_t there = 0;
	for (int i = 1; i <= ledger->event_count; i++)
		if (!ledger->applied[i])
			return false;
	for (int i = 0; i < ledger->row_count; i++) {
		const struct ledger_row *row = &ledger->rows[i];
		bool is_old = row->has_row && row->lane.total != sim->lanes;
		counted += row->processed;
		if (is_old && sim->lanes == 1)
			continue; /* without lanes nobody looks after them */
		there += row->has_row;
		if (row->has_row &&
		    (row->lane.total != sim->lanes || row->position != ledger->event_count))
			return false;
	}
	if (ledger->is_transactional && counted != ledger->event_count)
		ledger_broken("%lld events were counted, of %d", (long long)counted,
			      ledger->event_count);
	return there == sim->lanes;
}

static void sim_go_on(struct sim *sim)
{
	bool has_stepped = false;
	for (int p = 0; p < LEDGER_PROCESSES; p++) {
		struct proc *proc = &sim->procs[p];
		if (proc->is_there)
			proc_look(sim, proc);
		has_stepped = (proc->is_there && proc_step(sim, proc)) || has_stepped;
	}
	if (!has_stepped)
		sim_pass_time(sim);
}

static void sim_wait(struct sim *sim, int64_t most, bool (*is_so)(struct sim *sim),
		     const char *what)
{
	int64_t began = sim->ledger.now_ns;
	while (!is_so(sim)) {
		if (sim->ledger.now_ns - began > most)
			ledger_broken("%s takes longer than %.1f s", what, (double)most / 1e9);
		sim_go_on(sim);
	}
}

static bool sim_is_settled_now(struct sim *sim)
{
	return sim_is_settled(sim);
}

/* One joins, leaves, or is killed, and nothing else happens. */
static void sim_try_times(struct sim *sim)
{
	struct ledger *ledger = &sim->ledger;
	struct proc *proc = &sim->procs[ledger_below(ledger, LEDGER_PROCESSES)];
	int64_t lease = ns_of_seconds(sim->lease_seconds);
	if (!proc->is_there) {
		proc_start(sim, proc);
		sim_wait(sim, SHARE_NS, sim_has_shares, "the share of who joins");
	} else if (sim_count(sim) > 1 && ledger_chance(ledger, 500)) {
		proc_leave(proc);
		sim_wait(sim, NS_PER_SECOND, sim_has_shares, "who leaves");
	} else if (sim_count(sim) > 1) {
		proc_bury(sim, proc);
		sim_wait(sim, lease + NS_PER_SECOND, sim_has_shares, "who was killed");
	}
}

static void sim_calm(struct sim *sim)
{
	struct ledger *ledger = &sim->ledger;
	int64_t lease = ns_of_seconds(sim->lease_seconds);
	ledger->is_healed = true;
	bool has_one = false;
	for (int p = 0; p < LEDGER_PROCESSES; p++) {
		struct proc *proc = &sim->procs[p];
		proc->frozen_until = proc->cut_until = 0;
		if (proc->is_there && proc->lanes != sim->lanes)
			proc_leave(proc);
		has_one = has_one || (proc->is_there && !proc->is_leaving &&
				      !ledger->lines[p].is_dead && proc->lanes == sim->lanes);
	}
	ledger_append(ledger);
	for (int64_t until = ledger->now_ns + lease;
	     !has_one && sim_count(sim) == LEDGER_PROCESSES;)
		if (sim_go_on(sim), ledger->now_ns > until)
			ledger_broken("who leaves does not come to an end");
	if (!has_one)
		sim_join(sim);
	sim_wait(sim, 2 * lease + SHARE_NS, sim_has_shares, "what was disturbed");
	sim_wait(sim, CALM_NS, sim_is_settled_now, "the rest");
	sim_try_times(sim);
	sim_wait(sim, CALM_NS, sim_is_settled_now, "the rest");
	sim->calms++;
	ledger->is_healed = false;
}

static void sim_run(struct sim *sim, uint64_t seed, int steps)
{
	static const uint32_t numbers[] = { 2, 3, 4, 8 };
	ledger_init(&sim->ledger, seed);
	memset(sim->procs, 0, sizeof sim->procs);
	sim->ledger.meanwhile = sim_meanwhile;
	sim->ledger.doom = sim_doom;
	sim->lanes = numbers[ledger_below(&sim->ledger, 4)];
	sim->lease_seconds = 1 + ledger_below(&sim->ledger, 3);
	for (int i = ledger_below(&sim->ledger, 60); i > 0; i--)
		ledger_append(&sim->ledger);
	for (int round = 0; round < ROUNDS; round++) {
		for (int i = 0; i < steps; i++)
			sim_do_something(sim);
		sim_calm(sim);
	}
	for (int p = 0; p < LEDGER_PROCESSES; p++)
		if (sim->procs[p].is_there)
			proc_bury(sim, &sim->procs[p]);
}

static void sim_hear(void *self, const struct tide_log_line *line)
{
	if (!self)
		return;
	fprintf(stderr, "%10.6f %s %s %s\n", (double)ledger_now->now_ns / 1e9,
		tide_log_level_name(line->level), line->message, line->fields);
}

int main(int argc, char **argv)
{
	int seeds = argc > 1 ? atoi(argv[1]) : 2000;
	int steps = argc > 2 ? atoi(argv[2]) : 1500;
	int first = argc > 3 ? atoi(argv[3]) : 1;
	struct tide_error err;
	sim_must(tide_backend_register(&ledger_backend, &err), &err);
	bool is_loud = getenv("SIMULATION_LOG") != NULL;
	tide_log_set(sim_hear, is_loud ? &sim_one : NULL,
		     is_loud ? TIDE_LOG_DEBUG : TIDE_LOG_WARNING);
	for (int seed = first; seed < first + seeds; seed++) {
		snprintf(ledger_replay, sizeof ledger_replay, "SIMULATION_LOG=1 %s 1 %d %d",
			 argv[0], steps, seed);
		sim_run(&sim_one, (uint64_t)seed, steps);
	}
	printf("%d seeds of %d times %d steps: %lld handler calls, %lld killed within an "
	       "operation, "
	       "%lld frozen, %lld other numbers of lanes, %lld calms, no invariant broken\n",
	       seeds, ROUNDS, steps, (long long)sim_one.calls, (long long)sim_one.deaths,
	       (long long)sim_one.freezes, (long long)sim_one.changes, (long long)sim_one.calms);
	return 0;
}
