/* SPDX-License-Identifier: Apache-2.0 */
/*
 * STARTING: register with the bell, own the name, find out where to begin, enter.
 *
 * Happy path: notifier_add, lease_acquire, load the checkpoint, read the feed end W; at W or
 * beyond: LIVE, else CATCHING_UP.
 * Failure modes: somebody else owns the name: stand by and ask again every poll interval, whatever
 * rings meanwhile; an owner in this process that releases it rings for this, so that nobody waits
 * for the poll. A query fails: tried again. The previous owner ended without releasing: go
 * carefully (handler.c marks each event before it is handed over).
 */
#include "path/start.h"

#include <assert.h>
#include <stdio.h>
#include <unistd.h>

#include <tidemark/why.h>

#include "path/anchor.h"
#include "path/config.h"
#include "path/controls.h"
#include "path/family.h"
#include "path/infra.h"
#include "path/parked.h"
#include "path/pause.h"
#include "path/port.h"
#include "path/report.h"
#include "path/runner.h"
#include "path/save.h"
#include "path/segments.h"
#include "path/selfcheck.h"
#include "path/session.h"
#include "path/settle.h"
#include "path/transaction.h"
#include "sys/alloc.h"
#include "sys/log.h"

/* how often an idle run looks whether row and events are what they were */
#define START_LOOK_NS (5000 * NS_PER_MS)
/* events; periodic saves say nothing about how far the dead process came */
#define START_CAREFUL_PERIODIC 10000

static void start_reached_locked(struct tide_subscription *subscription, enum start_stage stage)
	TIDE_REQUIRES(subscription->lock)
{
	assert(mutex_is_mine(&subscription->lock));
	if (subscription->start_stage < stage)
		subscription->start_stage = stage;
	if (subscription->run.state == RUN_STARTING)
		subscription_run_locked(subscription, RUN_READY);
	cond_broadcast(&subscription->changed);
}

/* ---- Ownership ------------------------------------------------------------------------------- */

static void start_be_careful(struct tide_subscription *subscription, const struct tide_lease *lease)
{
	struct runner *runner = &subscription->runner;
	runner->care.is_on = lease->was_unclean;
	runner->care.suspect = lease->suspect;
	runner->care.deaths = lease->suspect_deaths;
	runner->care.left = subscription->config.checkpoint_strategy == TIDE_PERIODIC
				    ? START_CAREFUL_PERIODIC
				    : (int64_t)runner->feed.limits.page_events;
	if (lease->was_unclean)
		log_at(TIDE_LOG_NOTICE, "subscription",
		       "the previous owner ended without releasing, going carefully",
		       "name='%s' suspect=%lld deaths=%d", subscription->name,
		       (long long)lease->suspect, lease->suspect_deaths);
}

static void start_stand_by(struct tide_subscription *subscription)
{
	mutex_lock(&subscription->lock);
	bool is_new = subscription->ownership.state != OWNERSHIP_STANDBY;
	if (is_new)
		subscription_own_locked(subscription, OWNERSHIP_STANDBY);
	start_reached_locked(subscription, START_CAUGHT_UP);
	mutex_unlock(&subscription->lock);
	start_go_by_row(&subscription->runner.start);
	if (is_new)
		log_at(TIDE_LOG_NOTICE, "subscription", "standing by, another owner is active",
		       "name='%s'", subscription->name);
}

/* `since`: when the database was asked. */
static void start_own(struct tide_subscription *subscription, const struct tide_lease *lease,
		      struct mono_time since)
{
	struct runner *runner = &subscription->runner;
	atomic_store(&runner->link.is_asking, false);
	runner->fence =
		(struct tide_fence){ subscription->name, subscription->owner, lease->epoch };
	start_be_careful(subscription, lease);

	mutex_lock(&subscription->lock);
	subscription->lease.fence = runner->fence;
	subscription->failing = (struct failing){ 0 };
	subscription->told = (struct told){ .cause = (int)TIDE_CAUSE_LIVE };
	subscription->pace = (struct pace){ 0 };
	subscription_own_locked(subscription, OWNERSHIP_OWNED);
	subscription->lease.renew_ns =
		lease->seconds > 0 ? ns_of_seconds(lease->seconds / 3)
				   : port_renew_ns(subscription->engine->checkpoints->database);
	subscription->lease.trust_ns =
		lease->seconds > 0 ? ns_of_seconds(lease->seconds * 2 / 3) : INT64_MAX;
	subscription->lease.renew_at = mono_add(since, subscription->lease.renew_ns);
	atomic_store(&subscription->lease.trust_until,
		     mono_add(since, subscription->lease.trust_ns).ns);
	subscription->metrics.ownership[METRICS_ACQUIRED]++;
	mutex_unlock(&subscription->lock);

	log_at(TIDE_LOG_NOTICE, "subscription", "ownership acquired", "name='%s' epoch=%lld",
	       subscription->name, (long long)lease->epoch);
}

void start_note(struct tide_subscription *subscription, const struct tide_lease_note *note)
{
	struct tide_error err;
	if (session_lease_note(subscription, note, &err) != TIDE_OK)
		log_at(TIDE_LOG_DEBUG, "subscription", "not noted beside the lease",
		       "name='%s' error='%s'", subscription->name, err.message);
}

static void start_note_process(struct tide_subscription *subscription)
{
	char host[256] = "";
	if (gethostname(host, sizeof host - 1) != 0)
		return;
	start_note(subscription, &(struct tide_lease_note){ .host = host,
							    .pid = (int32_t)getpid(),
							    .now = runner_wall(subscription) });
}

static void start_ask(struct tide_subscription *subscription)
{
	mutex_lock(&subscription->lock);
	if (subscription->ownership.state == OWNERSHIP_NONE)
		subscription_own_locked(subscription, OWNERSHIP_ASKING);
	mutex_unlock(&subscription->lock);
	/* before asking: a release meanwhile rings */
	atomic_store(&subscription->runner.link.is_asking, true);
}

/* Its place in a family; total 0: a partition by hand, which belongs to none. */
static struct tide_lane start_lane(const struct tide_subscription *subscription)
{
	if (subscription->lanes.head)
		return lane_share(subscription);
	return (struct tide_lane){ 0, subscription->config.partition_total > 0 ? 0 : 1 };
}

static enum step start_wait(struct tide_subscription *subscription, const char *why)
{
	struct runner *runner = &subscription->runner;
	runner->start.acquire_at = mono_add(runner->now, runner->feed.limits.poll_ns);
	return runner_wait(subscription, runner->start.acquire_at, why);
}

static enum step start_refuse(struct tide_subscription *lane)
{
	struct tide_subscription *head = lane->lanes.head;
	mutex_lock(&head->lock);
	struct tide_error why = head->lanes.refused;
	mutex_unlock(&head->lock);
	return report_end(lane, &why);
}

/* What the manager wants of a lane decides whether it asks. */
static enum step start_heed(struct tide_subscription *subscription)
{
	if (!subscription->lanes.head)
		return STEP_ON;
	switch ((enum lane_wish)atomic_load(&subscription->lanes.wish)) {
	case LANE_WANTED:
		return STEP_ON;
	case LANE_REFUSED:
		return start_refuse(subscription);
	case LANE_UNDECIDED:
		return start_wait(subscription, "its manager has yet to become a member");
	case LANE_UNWANTED:
		break;
	}
	start_stand_by(subscription);
	return start_wait(subscription, "another member has the lane");
}

/* A name that had lanes, and is to have none, takes over from all of them. */
static tide_status start_become_plain(struct tide_subscription *subscription, bool *ret,
				      struct tide_error *err)
{
	const struct tide_subscription_config *config = &subscription->config;
	const struct tide_store *database = subscription->engine->checkpoints->database;
	void *session = subscription->runner.sessions.database;
	struct tide_group group;
	tide_position end = 0;
	*ret = true;
	if (subscription->lanes.head || start_lane(subscription).total == 0)
		return TIDE_OK;

	tide_status status = family_group(database, session, subscription->name, &group, err);
	if (status != TIDE_OK || group.lanes < 2)
		return status;
	if (config->start_from == TIDE_START_END)
		status = session_end(subscription, &end, err);
	if (status != TIDE_OK)
		return status;
	struct family_wish wish = { .name = subscription->name,
				    .lanes = 1,
				    .start = config_start(config, end),
				    .now = runner_wall(subscription) };
	return family_become(database, session, &wish, ret, err);
}

static enum step start_acquire(struct tide_subscription *subscription)
{
	struct runner *runner = &subscription->runner;
	if (runner->now.ns < runner->start.acquire_at.ns)
		return runner_wait(subscription, runner->start.acquire_at,
				   "another owner is active");

	enum step step = start_heed(subscription);
	if (step == STEP_ON)
		step = infra_begin(subscription);
	if (step != STEP_ON)
		return step;

	struct tide_error err;
	struct tide_lease lease = { 0 };
	bool is_ready = false;
	start_ask(subscription);
	tide_status status = session_open(subscription, &err);
	if (status == TIDE_OK)
		status = start_become_plain(subscription, &is_ready, &err);
	runner_look_at_clock(subscription);
	struct mono_time since = runner->now;
	if (status == TIDE_OK && is_ready)
		status = session_lease_acquire(subscription, &lease, &err);
	step = infra_end(subscription, RETRY_OWNERSHIP, status, &err);
	if (step != STEP_ON)
		return step;
	if (lease.is_owned) {
		start_own(subscription, &lease, since);
		start_note_process(subscription);
		return STEP_ON;
	}

	start_stand_by(subscription);
	return start_wait(subscription, "another owner is active");
}

/* ---- Start position -------------------------------------------------------------------------- */

/* A row without a position stands where its last event does, if that event exists. */
static tide_status start_position_of_row(struct tide_subscription *subscription,
					 const struct tide_checkpoint *row, bool *ret_found,
					 tide_position *ret, struct tide_error *err)
{
	*ret_found = row->has_position;
	*ret = row->position;
	if (row->has_position || tide_uuid_is_nil(&row->last_event_id))
		return TIDE_OK;

	struct tide_page page;
	tide_page_init(&page);
	tide_page_begin(&page, 1, 1);
	tide_status status = session_find(subscription, &row->last_event_id, &page, err);
	*ret_found = status == TIDE_OK;
	if (status == TIDE_OK)
		*ret = page.entries[0].event.position;
	tide_page_fini(&page);
	return status == TIDE_NOT_FOUND ? TIDE_OK : status;
}

struct start_facts {
	struct tide_checkpoint stored_row; /* as it was read */
	struct tide_checkpoint_known row;
	bool has_stored; /* a position in it, or by its last event */
	tide_position stored, end;
	bool is_family; /* it has lanes, or had some: its row was resolved with all of them */
};

/* What its manager knows: with this change of the number nothing old was left. */
static struct tide_time start_clean(const struct tide_subscription *lane)
{
	struct tide_subscription *head = lane->lanes.head;
	if (!head)
		return (struct tide_time){ 0 };
	mutex_lock(&head->lock);
	struct tide_time clean = head->lanes.clean;
	mutex_unlock(&head->lock);
	return clean;
}

/* Whoever changes the number looks at owners, so it is asked for once the name is owned. What other
 * numbers have settled passes from here on. */
static tide_status start_read_family(struct tide_subscription *subscription,
				     struct start_facts *facts, struct tide_error *err)
{
	const struct tide_store *database = subscription->engine->checkpoints->database;
	void *session = subscription->runner.sessions.database;
	struct tide_lane lane = start_lane(subscription);
	struct tide_group group;
	struct family_heir heir = { subscription_title(subscription),
				    { lane.index, lane.total },
				    facts->has_stored ? facts->stored : -1 };
	feed_inherit(&subscription->runner.feed, NULL, 0);
	if (lane.total == 0)
		return TIDE_OK;

	tide_status status = family_group(database, session, heir.name, &group, err);
	if (status != TIDE_OK || (group.lanes == 0 && lane.total == 1))
		return status;
	if (group.lanes != lane.total)
		return tide_fail(err, TIDE_FENCED, "'%.255s' has %u lanes now", heir.name,
				 group.lanes);

	struct inherit_row *rows = NULL;
	size_t count = 0;
	struct family_wish plain = { .name = heir.name, .lanes = 1 };
	struct tide_time clean = start_clean(subscription);
	if (lane.total == 1) /* of lanes their manager looks after what is left */
		status = family_trim(database, session, &plain, &clean, err);
	if (status == TIDE_OK && clean.unix_us != group.changed_at.unix_us)
		status = family_inherit(database, session, &heir, &rows, &count, err);
	if (status != TIDE_OK)
		return status;
	facts->is_family = true;
	feed_inherit(&subscription->runner.feed, rows, count);
	return TIDE_OK;
}

static tide_status start_read_facts(struct tide_subscription *subscription, struct start_facts *ret,
				    struct tide_error *err)
{
	struct tide_checkpoint row = { 0 };

	*ret = (struct start_facts){ 0 };
	tide_status status = session_open(subscription, err);
	if (status == TIDE_OK)
		status = session_prepare(subscription, err);
	if (status == TIDE_OK)
		status = session_load(subscription, &row, err);
	if (status == TIDE_OK)
		ret->row = checkpoint_known(&row);
	ret->stored_row = row;
	if (status == TIDE_OK)
		status = start_position_of_row(subscription, &row, &ret->has_stored, &ret->stored,
					       err);
	if (status == TIDE_OK || status == TIDE_NOT_FOUND)
		status = session_end(subscription, &ret->end, err);
	if (status == TIDE_OK)
		status = start_read_family(subscription, ret, err);
	return status;
}

/* What this process had settled counts only while nothing was ever stored of it: else the row
 * decides, or its absence. */
static bool start_is_behind_settled(const struct runner *runner, const struct start_facts *facts)
{
	const struct tide_checkpoint_known *known = &runner->progress.stored;
	return start_goes_on(&runner->start) && !facts->has_stored && !known->has_position &&
	       row_compare(known, &facts->row) == ROW_SAME;
}

static tide_position start_choose(struct tide_subscription *subscription,
				  const struct start_facts *facts, bool *ret_by_row,
				  const char **ret_why)
{
	struct runner *runner = &subscription->runner;
	const struct tide_subscription_config *config = &subscription->config;
	*ret_why = "checkpoint";
	bool goes_by_row = facts->is_family || runner->start.basis == BASIS_ROW ||
			   start_goes_on(&runner->start) ||
			   config->start_from == TIDE_START_CHECKPOINT ||
			   config->start_from_initially;
	*ret_by_row = facts->has_stored && goes_by_row;
	if (*ret_by_row)
		return facts->stored;

	*ret_why = "settled prefix";
	if (start_is_behind_settled(runner, facts))
		return runner->progress.position;

	if (config->start_from == TIDE_START_CHECKPOINT)
		log_at(TIDE_LOG_NOTICE, "subscription",
		       "no checkpoint, starting from the beginning", "name='%s'",
		       subscription->name);
	*ret_why = config->start_from == TIDE_START_END        ? "end"
		   : config->start_from == TIDE_START_POSITION ? "position"
							       : "beginning";
	return config_start(config, facts->end);
}

/* ---- Whether the store still is what it was -------------------------------------------------- */

static uint64_t start_losses(const struct tide_subscription *subscription)
{
	const struct tide_store *stores[] = { subscription->engine->store,
					      subscription->engine->checkpoints->database };
	uint64_t losses = 0;
	for (size_t i = 0; i < 2; i++)
		losses += port_losses(stores[i]);
	return losses;
}

bool start_must_look(const struct tide_subscription *subscription)
{
	const struct runner *runner = &subscription->runner;
	return runner->look.at.ns == 0 || runner->look.losses != start_losses(subscription);
}

/* What subscriptions share of the store. */
static void start_forget(struct tide_store *feed)
{
	tail_forget(feed->tail);
	panes_forget(feed->panes);
}

static tide_status start_verify(struct tide_subscription *subscription,
				const struct tide_checkpoint *row, struct tide_anchor *ret,
				struct tide_error *err)
{
	const struct runner *runner = &subscription->runner;
	struct anchor_look look = { subscription->engine->store, runner->sessions.feed,
				    subscription->engine->checkpoints->database,
				    runner->sessions.database, row };
	tide_status status = anchor_verify(&look, ret, err);
	if (status == TIDE_DIVERGED)
		start_forget(subscription->engine->store);
	return status;
}

/* `known`: an event that this look has found already, position 0: none. */
static tide_status start_find(struct tide_subscription *subscription,
			      const struct tide_anchor *known, tide_position position,
			      struct tide_anchor *ret, struct tide_error *err)
{
	*ret = *known;
	return position > 0 && position == known->position
		       ? TIDE_OK
		       : anchor_find(subscription->engine->store,
				     subscription->runner.sessions.feed, position, ret, err);
}

/* Whether an event that is kept in memory is the one that the store has there. */
static tide_status start_verify_event(struct tide_subscription *subscription,
				      const struct tide_anchor *known,
				      const struct tide_anchor *kept, bool *ret_is_same,
				      struct tide_error *err)
{
	struct tide_anchor found;
	tide_status status = start_find(subscription, known, kept->position, &found, err);
	*ret_is_same = kept->position == found.position &&
		       tide_uuid_equal(&kept->event_id, &found.event_id);
	return status;
}

/* The events in memory are of the same store, or they go. */
static tide_status start_verify_shared(struct tide_subscription *subscription,
				       const struct tide_anchor *known, tide_position end,
				       struct tide_error *err)
{
	struct tide_store *feed = subscription->engine->store;
	struct tide_anchor newest, shared = panes_newest(feed->panes);
	tide_position to = tail_newest(feed->tail, &newest);
	bool is_tail_same, are_panes_same = true;
	tide_status status = start_verify_event(subscription, known, &newest, &is_tail_same, err);
	if (status == TIDE_OK && shared.position > 0)
		status = start_verify_event(subscription, known, &shared, &are_panes_same, err);
	if (status == TIDE_OK && port_has_anchors(feed) &&
	    (!is_tail_same || !are_panes_same || to > end))
		start_forget(feed);
	return status;
}

/*
 * Nobody who keeps anchors has passed those events: the row was moved. It is told and not refused,
 * since a start beyond the end of the feed, and a version without anchors, leave such a row, too.
 */
static void start_tell_of_moved_row(const struct tide_checkpoint *row,
				    const struct tide_anchor *known,
				    const struct tide_anchor *found)
{
	if (known->position > 0 && found->position > known->position)
		log_at(TIDE_LOG_WARNING, "checkpoint",
		       "events lie between the position and the event that it was saved on, tide "
		       "audit tells whether they were handled",
		       "name='%s' position=%lld saved_on=%lld newest=%lld", row->projection_name,
		       (long long)row->position, (long long)known->position,
		       (long long)found->position);
}

/* The row decides where the run stands: then it must stand on what it did. */
static tide_status start_stand(struct tide_subscription *subscription,
			       const struct start_facts *facts, tide_position position,
			       bool is_by_row, struct tide_anchor *ret, struct tide_error *err)
{
	const struct tide_checkpoint *row = &facts->stored_row;
	struct tide_anchor known = { 0 };
	tide_status status = is_by_row ? start_verify(subscription, row, &known, err) : TIDE_OK;
	if (status == TIDE_OK)
		status = start_verify_shared(subscription, &known, facts->end, err);
	if (status == TIDE_OK)
		status = start_find(subscription, &known, position, ret, err);
	if (status == TIDE_OK)
		start_tell_of_moved_row(row, &known, ret);
	return status;
}

/* What was settled in memory behind the row is gone from the store: the row is not. */
static bool start_has_lost_events(struct tide_subscription *subscription,
				  const struct tide_anchor *known, tide_status *status,
				  struct tide_error *err)
{
	const struct runner *runner = &subscription->runner;
	const struct tide_anchor *anchor = &runner->progress.anchor;
	struct tide_anchor found = *anchor;
	if (port_has_anchors(subscription->engine->store))
		*status = start_find(subscription, known, anchor->position, &found, err);
	return *status == TIDE_OK && (found.position != anchor->position ||
				      !tide_uuid_equal(&found.event_id, &anchor->event_id));
}

static tide_status start_look_at(struct tide_subscription *subscription, struct tide_error *err)
{
	struct tide_checkpoint row;
	struct tide_anchor known = { 0 };
	tide_position end = 0;
	bool is_resolved = true;
	tide_status status = session_open(subscription, err);

	if (status == TIDE_OK)
		status = save_look_at_row(subscription, &row, &is_resolved, err);
	if (status == TIDE_OK && is_resolved)
		status = start_verify(subscription, &row, &known, err);
	if (status == TIDE_OK)
		status = session_end(subscription, &end, err);
	if (status == TIDE_OK)
		status = start_verify_shared(subscription, &known, end, err);
	if (status == TIDE_OK && is_resolved &&
	    start_has_lost_events(subscription, &known, &status, err))
		save_begin_again_from(subscription, &row,
				      "events that were settled are gone, beginning again");
	return status;
}

static void start_has_looked(struct runner *runner, uint64_t losses)
{
	runner->look.at = mono_add(runner->now, START_LOOK_NS);
	runner->look.losses = losses;
}

/*
 * What the row stands on, before a save in an open transaction replaces it: the row itself is
 * compared by the save. Gone: the transaction is given back, and the look that is due then tells.
 */
static enum step start_look_aside(struct tide_subscription *subscription)
{
	struct runner *runner = &subscription->runner;
	const struct progress *progress = &runner->progress;
	struct tide_checkpoint row = { .has_position = progress->stored.has_position,
				       .position = progress->stored.position,
				       .anchor = progress->stored_anchor };
	snprintf(row.projection_name, sizeof row.projection_name, "%s", subscription->name);
	struct tide_anchor known;
	struct tide_error err;
	if (start_verify(subscription, &row, &known, &err) == TIDE_DIVERGED) {
		transaction_roll_back(subscription);
		runner->look.at = (struct mono_time){ 0 };
		return STEP_ON;
	}

	if (runner->look.at.ns != 0)
		runner->look.at = mono_add(runner->now, START_LOOK_NS);
	return save_step(subscription);
}

enum step start_look(struct tide_subscription *subscription)
{
	struct runner *runner = &subscription->runner;
	if (transaction_is_open(&runner->transaction))
		return start_look_aside(subscription);

	enum step step = infra_begin(subscription);
	if (step != STEP_ON)
		return step;

	struct tide_error err;
	uint64_t losses = start_losses(subscription);
	tide_status status = start_look_at(subscription, &err);

	/* not as a read: what this finds in order says nothing about the reads that failed */
	step = infra_end(subscription, RETRY_OWNERSHIP, status, &err);
	if (step != STEP_ON)
		return step;

	bool is_anew = runner->look.at.ns == 0 || runner->look.losses != losses;
	start_has_looked(runner, losses);
	if (runner->start.standing == STANDING_RESOLVED &&
	    is_anew) { /* what was read ahead is of another connection */
		feed_start(&runner->feed, runner->progress.position, runner->now);
		settle_flow(subscription);
	}
	return STEP_ON;
}

/* Nothing is settled any more: what is not asked here is asked by the next start. */
tide_status start_look_last(struct tide_subscription *subscription, struct tide_error *err)
{
	struct runner *runner = &subscription->runner;
	struct tide_checkpoint row = { 0 };
	struct tide_anchor found;

	if (!ownership_exists(&subscription->ownership) ||
	    runner->start.standing != STANDING_RESOLVED || !runner->sessions.feed)
		return TIDE_OK;

	tide_status status = session_load(subscription, &row, err);
	struct tide_checkpoint_known known = checkpoint_known(&row);
	if (status != TIDE_OK || row_compare(&runner->progress.stored, &known) == ROW_OTHER)
		return status;
	if (row_compare(&runner->progress.stored, &known) == ROW_LOWER)
		save_begin_again_from(subscription, &row, "the checkpoint went back");
	return start_verify(subscription, &row, &found, err);
}

/* A word of persons that came before this run. */
static tide_status start_hear(struct tide_subscription *subscription, struct tide_error *err)
{
	const struct runner *runner = &subscription->runner;
	ALLOC_AUTO struct tide_control *controls = NULL;
	size_t count;
	struct pause_word word = { .asked = clock_mono(subscription->engine->clock),
				   .wall = runner_wall(subscription) };
	tide_status status = controls_load(subscription->engine->checkpoints->database,
					   runner->sessions.database, subscription->name, &controls,
					   &count, err);
	if (status != TIDE_OK)
		return status;
	word.control = pause_find(subscription, controls, count);
	(void)pause_obey(subscription, &word);
	return TIDE_OK;
}

static enum step start_resolve(struct tide_subscription *subscription)
{
	struct runner *runner = &subscription->runner;
	enum step step = infra_begin(subscription);
	if (step != STEP_ON)
		return step;

	struct tide_error err;
	struct start_facts facts;
	tide_status status = start_read_facts(subscription, &facts, &err);
	uint64_t losses = start_losses(subscription);
	bool has_due; /* what is due is looked for anyway once the run has begun */
	if (status == TIDE_OK && runner->held)
		status = parked_load(subscription, &has_due, &err);
	if (status == TIDE_OK)
		status = start_hear(subscription, &err);
	const char *why = "";
	bool is_by_row = false;
	tide_position position = 0;
	struct tide_anchor anchor = { 0 };
	if (status == TIDE_OK) {
		position = start_choose(subscription, &facts, &is_by_row, &why);
		status = start_stand(subscription, &facts, position, is_by_row, &anchor, &err);
	}
	if (status == TIDE_OK)
		status = segments_follow(subscription, &facts.stored_row, position, &err);

	step = infra_end(subscription, RETRY_READ, status, &err);
	if (step != STEP_ON)
		return step;

	progress_start(&runner->progress, position, &facts.row, runner->now);
	runner->progress.anchor = anchor;
	runner->progress.stored_anchor = facts.stored_row.anchor;
	/* a row that stands on nothing cannot tell the next run that the store went back */
	if (is_by_row && anchor.position > 0 && facts.stored_row.anchor.position == 0)
		runner->progress.is_dirty = true;
	start_has_looked(runner, losses);
	feed_start(&runner->feed, position, runner->now);
	if (runner->self_check)
		self_check_reset(runner->self_check);
	runner->start.catch_up_to = facts.end;
	runner->start.standing = STANDING_RESOLVED;

	mutex_lock(&subscription->lock);
	subscription->position = position;
	mutex_unlock(&subscription->lock);

	log_at(TIDE_LOG_INFO, "subscription", "start position",
	       "name='%s' position=%lld from=%s feed_end=%lld", subscription->name,
	       (long long)position, why, (long long)facts.end);
	return STEP_ON;
}

enum step start_again(struct tide_subscription *subscription)
{
	struct runner *runner = &subscription->runner;
	enum step step = start_resolve(subscription);
	if (step != STEP_ON)
		return step;
	runner->requests.look_at = runner->now;
	if (runner->progress.position < runner->start.catch_up_to)
		subscription_move_from(subscription, TIDE_STATE_LIVE, TIDE_STATE_CATCHING_UP,
				       "the checkpoint went back");
	return STEP_ON;
}

/* To where it would deliver, or to rest before it while a person has paused it. */
static void start_move(struct tide_subscription *subscription, enum tide_state to)
{
	const struct runner *runner = &subscription->runner;
	mutex_lock(&subscription->lock);
	bool has_moved = subscription->pause.by
				 ? pause_enter_locked(subscription, to, runner->now,
						      runner_wall(subscription))
				 : subscription_move_locked(subscription, to, "started") == TIDE_OK;
	if (has_moved)
		start_reached_locked(subscription, START_RESOLVED);
	mutex_unlock(&subscription->lock);
	if (has_moved)
		subscription_tell_moves(subscription);
}

static enum step start_enter(struct tide_subscription *subscription)
{
	struct runner *runner = &subscription->runner;
	bool is_live = runner->progress.position >= runner->start.catch_up_to;
	if (is_live && runner->progress.is_dirty)
		return save_step(subscription);
	if (is_live)
		tail_open(subscription->engine->store->tail, runner->start.catch_up_to);
	runner->poll_at = mono_add(runner->now, runner->feed.limits.poll_ns);
	runner->requests.look_at = runner->now;
	start_move(subscription, is_live ? TIDE_STATE_LIVE : TIDE_STATE_CATCHING_UP);
	return STEP_ON;
}

enum step start_step(struct tide_subscription *subscription)
{
	struct runner *runner = &subscription->runner;
	if (!runner->link.wakeup) {
		struct tide_error err;
		runner->link.wakeup = &subscription->wakeup;
		runner->link.name = subscription->name;
		if (notifier_add(subscription->engine->store->notifier, &runner->link, &err) !=
		    TIDE_OK) {
			runner->link.wakeup = NULL;
			return report_end(subscription, &err);
		}
	}

	if (!ownership_exists(&subscription->ownership))
		return start_acquire(subscription);
	if (runner->start.standing != STANDING_RESOLVED)
		return start_resolve(subscription);
	return start_enter(subscription);
}
