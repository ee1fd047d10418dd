/* SPDX-License-Identifier: Apache-2.0 */
#include "walk.h"

#include <string.h>

struct tide_backend walk_real, walk_backend;
int walk_bad_entries, walk_bad_commits, walk_lost_answers, walk_bad_saves;
int walk_saves;
int walk_fenced_save;
tide_status walk_entry_status, walk_entry_first;
const char *walk_entry_message;

static bool walk_fails(int *count)
{
	bool fails = *count != 0;
	*count -= *count > 0;
	return fails;
}

static tide_status walk_add(void *session, const struct tide_fence *fence,
			    const struct tide_dead_letter_write *write, int64_t *ret,
			    struct tide_error *err)
{
	if (walk_fails(&walk_bad_entries)) {
		tide_status status = walk_entry_first ? walk_entry_first : walk_entry_status;
		walk_entry_first = TIDE_OK;
		return tide_fail(err, status, "%s", walk_entry_message);
	}
	return walk_real.checkpoint.dead_letter_add(session, fence, write, ret, err);
}

static tide_status walk_commit(void *session, struct tide_error *err)
{
	if (walk_fails(&walk_bad_commits))
		return tide_fail(err, TIDE_BUSY, "the database is locked");
	tide_status status = walk_real.store.commit(session, err);
	if (status == TIDE_OK && walk_fails(&walk_lost_answers))
		return tide_fail(err, TIDE_CONNECTION_LOST, "the answer got lost");
	return status;
}

static tide_status walk_save(void *session, const struct tide_fence *fence,
			     const struct tide_checkpoint_write *write, struct tide_error *err)
{
	if (walk_fails(&walk_bad_saves))
		return tide_fail(err, TIDE_BUSY, "the database is locked");
	if (++walk_saves == walk_fenced_save)
		return tide_fail(err, TIDE_FENCED, "somebody else is faster");
	return walk_real.checkpoint.save(session, fence, write, err);
}

static struct mono_time walk_mono(struct clock *clock)
{
	return (struct mono_time){ ((struct walk *)clock)->now_ns };
}

static struct tide_time walk_wall(struct clock *clock)
{
	return (struct tide_time){ INT64_C(1700000000000000) +
				   ((struct walk *)clock)->now_ns / 1000 };
}

static void walk_hear(void *self, const struct tide_error_record *record)
{
	((struct walk *)self)->records[record->error_type]++;
}

void walk_open(struct walk *walk, const char *backend, size_t events)
{
	int64_t id;
	*walk = (struct walk){ .clock = { walk_mono, walk_wall },
			       .now_ns = NS_PER_SECOND,
			       .witness = WITNESS };
	rig_open(&walk->rig, backend);
	append_many(walk->rig.store, stream_of("Order", 1), 0, events);
	walk->rig.manager->is_threaded = false;
	walk->rig.manager->engine.clock = &walk->clock;
	must(tide_manager_on_error(walk->rig.manager, TIDE_ERRORS_ALL, 0, walk_hear, walk, &id,
				   err));
	if (strcmp(backend, "sqlite") == 0) {
		walk->outside = plain_open(walk->rig.file);
		sqlite3_busy_timeout(walk->outside, 0);
	}
	walk_real = walk_backend = *walk->rig.store->backend;
	walk_backend.checkpoint.dead_letter_add = walk_add;
	walk_backend.checkpoint.save = walk_save;
	walk_backend.store.commit = walk_commit;
	walk->rig.store->backend = &walk_backend;
	walk_bad_entries = walk_bad_commits = walk_lost_answers = walk_bad_saves = walk_saves =
		walk_fenced_save = 0;
	walk_entry_status = TIDE_BUSY;
	walk_entry_first = TIDE_OK;
	walk_entry_message = "the queue is shut";
}

void walk_start(struct walk *walk, bool is_transactional,
		const struct tide_subscription_config *config)
{
	struct tide_subscriber subscriber = witness_single("Walk", &walk->witness);
	subscriber.transactional = is_transactional;
	must(tide_manager_subscribe(walk->rig.manager, &subscriber, config, &walk->subscription,
				    err));
	must(tide_manager_start(walk->rig.manager, NULL, 0, NULL, NULL, err));
}

static bool walk_is_locked(struct walk *walk)
{
	bool is_locked =
		sqlite3_exec(walk->outside, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK;
	(void)sqlite3_exec(walk->outside, "ROLLBACK", NULL, NULL, NULL);
	return is_locked;
}

void walk_to_wait(struct walk *walk)
{
	int steps = 0;
	do
		walk->next = runner_step(walk->subscription, clock_mono(&walk->clock));
	while (walk->next.ns <= walk->now_ns && ++steps < 1000);
	assert_in_range(steps, 0, 999);
	if (walk->outside)
		assert_false(walk_is_locked(walk));
}

void walk_on(struct walk *walk)
{
	assert_true(walk->next.ns < MONO_NEVER.ns);
	walk->now_ns = walk->next.ns;
	walk_to_wait(walk);
}

void walk_until(struct walk *walk, enum tide_state state)
{
	walk_to_wait(walk);
	for (int waits = 0; tide_subscription_state(walk->subscription) != state; waits++) {
		assert_in_range(waits, 0, 1000);
		walk_on(walk);
	}
}

void walk_close(struct walk *walk)
{
	must(tide_manager_stop(walk->rig.manager, NULL, 0, err));
	while (runner_is_running(walk->subscription))
		(void)runner_step(walk->subscription, clock_mono(&walk->clock));
	walk->rig.store->backend = &walk_real;
	sqlite3_close(walk->outside);
	rig_close(&walk->rig);
	witness_fini(&walk->witness);
}

size_t walk_dead_letters(struct walk *walk, int32_t *ret_retries)
{
	struct tide_dead_letter_list dead = dead_letters_of(walk->rig.checkpoints, "Walk");
	size_t count = dead.count;
	*ret_retries = count > 0 ? dead.entries[0].retry_count : -1;
	tide_dead_letters_free(&dead);
	return count;
}

tide_status walk_fail_two(struct witness *witness, const struct tide_event *event,
			  struct tide_delivery *delivery)
{
	(void)witness;
	if (event->position == 2)
		return tide_delivery_fail(delivery, TIDE_HANDLER_TRANSIENT, "no such customer");
	return TIDE_OK;
}

tide_status walk_refuse_two(struct witness *witness, const struct tide_event *event,
			    struct tide_delivery *delivery)
{
	(void)witness;
	if (event->position == 2)
		return tide_delivery_fail(delivery, TIDE_HANDLER_PERMANENT, "no such customer");
	return TIDE_OK;
}

struct tide_subscription_config walk_config(void)
{
	struct tide_subscription_config config = quick_config();
	config.max_retries = config.max_infrastructure_retries = 3;
	return config;
}
