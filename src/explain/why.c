/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Why a subscription is not further.
 *
 * Happy path: the row, the lease with what its owner told last, dead letters and the feed are
 * looked at, which takes a few reads; the first cause that holds, in the order of why_judge, is put
 * into words. From inside its process, what that does at this moment stands for what it told.
 * Failure modes: a database does not answer: from outside that is an error, from inside it is the
 * cause.
 */
#include <stdio.h>
#include <string.h>

#include "explain/look.h"
#include "path/family.h"
#include "path/reason.h"
#include "policy/why.h"
#include "supervise/manager.h"
#include "sys/alloc.h"

/* ---- Judging --------------------------------------------------------------------------------- */

static bool why_is_blocked(const struct why_look *look)
{
	return *look->blocker.what && look->blocker.pid != look->lease.pid;
}

static bool why_is_obstructed(const struct why_look *look)
{
	return look->horizon.end < look->horizon.newest && look->position >= look->horizon.end;
}

/* What its process says goes before what the databases alone show. */
static bool why_says_more(const struct why_look *look)
{
	enum tide_cause cause = look->told.cause;
	return look->has_told && cause != TIDE_CAUSE_LIVE && cause != TIDE_CAUSE_CATCHING_UP &&
	       cause != TIDE_CAUSE_SLOW_HANDLER;
}

/* The event in its hands has ended processes before, and no error of it is known. */
static bool why_is_careful(const struct why_look *look)
{
	bool is_in_hand = !why_says_more(look) || look->told.cause == TIDE_CAUSE_HANDLER_RUNNING;
	return is_in_hand && look->lease.suspect > look->position;
}

static enum tide_cause why_judge_alive(const struct why_look *look)
{
	bool is_behind = look->position < look->horizon.end;

	if (look->has_control || (look->has_told && look->told.cause == TIDE_CAUSE_PAUSED))
		return TIDE_CAUSE_PAUSED;
	if (why_is_blocked(look))
		return TIDE_CAUSE_BLOCKED;
	if (why_is_careful(look))
		return TIDE_CAUSE_CAREFUL;
	if (why_says_more(look))
		return look->told.cause;
	if (*look->blocker.what) /* by its own process */
		return TIDE_CAUSE_HANDLER_RUNNING;
	if (why_is_obstructed(look))
		return TIDE_CAUSE_OPEN_APPEND;
	if (look->has_told && look->told.cause == TIDE_CAUSE_SLOW_HANDLER)
		return TIDE_CAUSE_SLOW_HANDLER;
	if (is_behind)
		return TIDE_CAUSE_CATCHING_UP;
	return look->parked ? TIDE_CAUSE_AGGREGATE_HELD : TIDE_CAUSE_LIVE;
}

static enum tide_cause why_judge_over(const struct why_look *look)
{
	bool has_word = look->has_told && look->told.state == TIDE_STATE_ERROR;
	if (has_word && (look->is_here || why_has_ended(&look->lease)))
		return look->told.cause;
	if (why_has_ended(&look->lease))
		return TIDE_CAUSE_ERROR;
	if (look->lanes_owned > 0)
		return TIDE_CAUSE_LANE_UNOWNED;
	if (look->has_control)
		return TIDE_CAUSE_PAUSED;
	if (look->lease.has_owner)
		return TIDE_CAUSE_DIED;
	return look->has_lease ? TIDE_CAUSE_STOPPED : TIDE_CAUSE_NOT_RUN;
}

static enum tide_cause why_judge(const struct why_look *look)
{
	if (look->diverged.status != TIDE_OK)
		return TIDE_CAUSE_DIVERGED;
	if (look->is_here && look->told.cause == TIDE_CAUSE_STANDING_BY)
		return TIDE_CAUSE_STANDING_BY;
	return look_is_alive(look) ? why_judge_alive(look) : why_judge_over(look);
}

/* ---- Telling --------------------------------------------------------------------------------- */

#define WHY_NO_TIME (-1) /* left of an ownership that ends with its process, not by time */

/* By the second, as the time that is left is told. */
static struct tide_time why_lease_ended(const struct tide_lease_info *lease)
{
	int64_t now = tide_time_now().unix_us / 1000000;
	return (struct tide_time){ .unix_us = (now + (int64_t)lease->seconds_left) * 1000000 };
}

static void why_add_owner(const struct why_look *look, struct tide_why *ret)
{
	const struct tide_lease_info *lease = &look->lease;
	if (look->owner_lanes > 0)
		why_add_number(ret, "owner_lanes", look->owner_lanes);
	if (!look->has_lease)
		return;
	if (lease->pid > 0)
		why_add_number(ret, "pid", lease->pid);
	why_add_text(ret, "host", lease->host);
	why_add_time(ret, "owner_since", lease->acquired_at);
	if (ret->cause == TIDE_CAUSE_DIED && lease->seconds_left < WHY_NO_TIME)
		why_add_time(ret, "lease_ended", why_lease_ended(lease));
	if (lease->is_owned && lease->seconds_left >= 0)
		why_add_number(ret, "lease_seconds_left", lease->seconds_left);
	if (lease->suspect > 0) {
		why_add_number(ret, "event_position", (double)lease->suspect);
		if (lease->suspect_deaths > 0)
			why_add_number(ret, "deaths", lease->suspect_deaths);
	}
}

static void why_add_pause(const struct why_look *look, struct tide_why *ret)
{
	if (look->has_control && !ret->has_since)
		why_set_since(ret, look->control.paused_at);
	if (look->has_control) {
		why_add_text(ret, "pause_reason", tide_pause_reason_name(look->control.reason));
		why_add_text(ret, "paused_by", look->control.paused_by);
		why_add_text(ret, "pause_note", look->control.note);
	}
	if (!look_is_alive(look))
		why_add_text(ret, "running", "nobody runs it");
}

static void why_add_letters(const struct why_look *look, struct tide_why *ret)
{
	if (look->dead_letters > 0)
		why_add_number(ret, "dead_letters", (double)look->dead_letters);
	if (look->retrying > 0)
		why_add_number(ret, "redeliveries_waiting", (double)look->retrying);
	if (look->parked == 0)
		return;
	why_add_number(ret, "parked", (double)look->parked);
	why_add_uuid(ret, "parked_behind", &look->parked_behind);
	if (look->parked_letter > 0)
		why_add_number(ret, "dead_letter", (double)look->parked_letter);
	if (ret->cause == TIDE_CAUSE_AGGREGATE_HELD)
		why_add_text(ret, "error", look->parked_error.message);
}

static void why_add_feed(const struct why_look *look, struct tide_why *ret)
{
	const struct tide_evidence *rate = tide_why_evidence(ret, "events_per_second");
	double lag = (double)(look->horizon.end - look->position);
	why_add_number(ret, "position", (double)look->position);
	why_add_number(ret, "feed_end", (double)look->horizon.end);
	if (lag > 0)
		why_add_number(ret, "lag_events", lag);
	if (lag > 0 && rate && rate->number > 0)
		why_add_number(ret, "left_seconds", (double)(int64_t)(lag / rate->number));
	if (ret->cause == TIDE_CAUSE_OPEN_APPEND) {
		why_add_text(ret, "holder",
			     *look->horizon.holder ? look->horizon.holder : "nobody can be named");
		why_add_number(ret, "newest", (double)look->horizon.newest);
	}
}

static void why_add_last(const struct why_look *look, struct tide_why *ret)
{
	if (!look->has_row)
		return;
	why_add_uuid(ret, "last_event_id", &look->row.last_event_id);
	why_add_text(ret, "last_event_type", look->row.last_event_type);
	if (!look->row.has_last_processed_at)
		return;
	int64_t us = tide_time_now().unix_us - look->row.last_processed_at.unix_us;
	why_add_time(ret, "last_processed_at", look->row.last_processed_at);
	if (ret->cause == TIDE_CAUSE_LIVE)
		why_add_number(ret, "idle_seconds", (double)(us > 0 ? us / 1000000 : 0));
}

/* What this process has seen goes first: health tells of the same. */
static void why_add_unowned(const struct why_look *look, struct tide_why *ret)
{
	const struct tide_lease_info *lease = &look->lease;
	if (look->unowned_since.unix_us != 0)
		why_set_since(ret, look->unowned_since);
	else if (!lease->has_owner && lease->has_released_at)
		why_set_since(ret, lease->released_at);
	else if (lease->has_owner && lease->seconds_left < WHY_NO_TIME)
		why_set_since(ret, why_lease_ended(lease));
}

/* Since when, of what the databases alone show. */
static void why_add_since(const struct why_look *look, struct tide_why *ret)
{
	const struct tide_lease_info *lease = &look->lease;
	if (ret->cause == TIDE_CAUSE_LANE_UNOWNED)
		why_add_unowned(look, ret);
	if (ret->has_since || !look->has_lease)
		return;
	if (ret->cause == TIDE_CAUSE_ERROR)
		why_set_since(ret, lease->last_error_at);
	else if (ret->cause == TIDE_CAUSE_STOPPED && lease->has_released_at)
		why_set_since(ret, lease->released_at);
	else if (look_is_alive(look))
		why_set_since(ret, lease->acquired_at);
}

static enum tide_state why_state(const struct why_look *look, enum tide_cause cause)
{
	if (look->is_here || (look->has_told && look->told.cause == cause))
		return look->told.state;
	switch (cause) {
	case TIDE_CAUSE_DIVERGED:
	case TIDE_CAUSE_ERROR:
		return TIDE_STATE_ERROR;
	case TIDE_CAUSE_DIED:
	case TIDE_CAUSE_STOPPED:
	case TIDE_CAUSE_NOT_RUN:
	case TIDE_CAUSE_LANE_UNOWNED:
		return TIDE_STATE_STOPPED;
	case TIDE_CAUSE_PAUSED:
		return look_is_alive(look) ? TIDE_STATE_PAUSED : TIDE_STATE_STOPPED;
	default:
		break;
	}
	return look->position < look->horizon.end ? TIDE_STATE_CATCHING_UP : TIDE_STATE_LIVE;
}

static void why_tell(const struct why_look *look, enum tide_cause cause, struct tide_why *ret)
{
	bool is_told = look->has_told && look->told.cause == cause;
	/* what a call was doing belongs to what keeps it there */
	bool is_kept = is_told || (look->has_told &&
				   (cause == TIDE_CAUSE_BLOCKED || cause == TIDE_CAUSE_CAREFUL));
	*ret = is_kept ? look->told : (struct tide_why){ 0 };
	snprintf(ret->name, sizeof ret->name, "%s", look->title);
	if (look->lane.total > 0) {
		why_add_number(ret, "lane", look->lane.index);
		why_add_number(ret, "lanes", look->lane.total);
	}
	ret->state = why_state(look, cause);
	ret->cause = cause;

	if (cause == TIDE_CAUSE_DIVERGED)
		why_add_error(ret, &look->diverged);
	if (cause == TIDE_CAUSE_ERROR)
		why_add_text(ret, "error", look->lease.last_error);
	if (cause == TIDE_CAUSE_BLOCKED) {
		why_add_text(ret, "blocker", look->blocker.what);
		if (look->blocker.pid > 0)
			why_add_number(ret, "blocker_pid", look->blocker.pid);
	}
	if (cause == TIDE_CAUSE_SLOW_HANDLER)
		why_add_number(ret, "appends_per_second", look->appends_per_second);
	if (cause == TIDE_CAUSE_PAUSED)
		why_add_pause(look, ret);
	if (cause == TIDE_CAUSE_DIED && look->has_told)
		why_add_text(ret, "last_told", tide_cause_name(look->told.cause));

	why_add_since(look, ret);
	why_add_feed(look, ret);
	why_add_owner(look, ret);
	why_add_letters(look, ret);
	why_add_last(look, ret);
	why_say(ret);
}

/* ---- Asked ----------------------------------------------------------------------------------- */

/* The group's own row says it, also beside what is left of the time without lanes; where there is
 * none, the rows of partitions by hand do, of a name that has nothing itself. */
static tide_status why_count_lanes(struct tide_checkpoints *checkpoints, const char *name,
				   bool has_own, uint32_t *ret, struct tide_error *err)
{
	struct tide_checkpoint *rows ALLOC_AUTO = NULL;
	struct tide_group group;
	size_t count = 0;
	tide_status status = checkpoints_group(checkpoints, name, &group, err);
	if (status == TIDE_OK && group.lanes == 0 && !has_own)
		status = tide_checkpoints_list(checkpoints, &rows, &count, err);
	if (status != TIDE_OK)
		return status;
	if (group.lanes > 0)
		*ret = group.lanes > 1 ? group.lanes : 0;
	else
		*ret = family_lanes(name, rows, count);
	return TIDE_OK;
}

/* Of lanes with the same cause that tells which has had no owner for longest, or is furthest
 * behind. */
static bool why_is_worse(const struct tide_why *why, const struct tide_why *than)
{
	const struct tide_evidence *own = tide_why_evidence(why, "position");
	const struct tide_evidence *other = tide_why_evidence(than, "position");
	int weight = why_weight(why->cause) - why_weight(than->cause);
	bool is_by_time = why->cause == TIDE_CAUSE_LANE_UNOWNED && why->has_since &&
			  than->has_since && why->since.unix_us != than->since.unix_us;
	if (weight != 0)
		return weight > 0;
	if (is_by_time)
		return why->since.unix_us < than->since.unix_us;
	return own && other && own->number < other->number;
}

/* What is worst with any of them is what is told of all. */
static tide_status why_of_lanes(struct tide_checkpoints *checkpoints, const char *name,
				uint32_t lanes, struct tide_why *ret, struct tide_error *err)
{
	struct tide_why *one ALLOC_AUTO = alloc_zero(1, sizeof *one);
	char row[TIDE_NAME_MAX + 1];
	tide_status status = one ? TIDE_OK : alloc_fail(err);

	for (uint32_t i = 0; status == TIDE_OK && i < lanes; i++) {
		struct why_look look = {
			.checkpoints = checkpoints, .name = row, .title = name, .lane = { i, lanes }
		};
		snprintf(row, sizeof row, "%s#%u/%u", name, i, lanes);
		status = look_at(&look, err);
		if (status != TIDE_OK)
			continue;
		why_tell(&look, why_judge(&look), one);
		if (i == 0 || why_is_worse(one, ret))
			*ret = *one;
	}
	return status;
}

tide_status tide_checkpoints_why(struct tide_checkpoints *checkpoints, const char *name,
				 struct tide_why *ret, struct tide_error *err)
{
	if (!checkpoints || !name || !ret)
		return tide_fail(err, TIDE_ARGUMENT, "%s is NULL",
				 !checkpoints ? "checkpoints"
				 : !name      ? "name"
					      : "ret");
	struct why_look look = { .checkpoints = checkpoints, .name = name, .title = name };
	struct tide_error why;
	tide_status status = look_at(&look, &why);
	bool has_own = look.has_lease || (look.has_row && look.row.has_position);
	uint32_t lanes = 0;
	if (status == TIDE_OK || status == TIDE_NOT_FOUND) {
		struct tide_error unknown;
		tide_status counted = why_count_lanes(checkpoints, name, has_own, &lanes, &unknown);
		if (counted != TIDE_OK) {
			why = unknown;
			status = counted;
		}
	}

	if (lanes > 0 && (status == TIDE_OK || status == TIDE_NOT_FOUND))
		return why_of_lanes(checkpoints, name, lanes, ret, err);
	if (status == TIDE_OK)
		why_tell(&look, why_judge(&look), ret);
	else if (err)
		*err = why;
	return status;
}

/* The lane with which most is wrong, of those that are this process's. */
static struct tide_subscription *why_worst_lane(struct tide_subscription *subscription)
{
	struct tide_subscription *worst = lane_at(subscription, 0);
	int most = -1;
	for (uint32_t i = 0; subscription->lanes.list && i < lane_count(subscription); i++) {
		struct tide_subscription *lane = lane_at(subscription, i);
		mutex_lock(&lane->lock);
		int weight = why_weight(reason_cause_locked(lane, clock_mono(lane->engine->clock)));
		mutex_unlock(&lane->lock);
		if (weight <= most)
			continue;
		most = weight;
		worst = lane;
	}
	return worst;
}

/** Lanes that this process, a member, has seen without an owner. */
struct why_unowned {
	struct tide_time *since; /* of each lane; 0: it is somebody's */
	uint32_t total;
};

static tide_status why_find_unowned(struct tide_subscription *subscription, struct why_unowned *ret,
				    struct tide_error *err)
{
	uint32_t total = subscription->lanes.list ? lane_count(subscription) : 0;
	struct tide_time *since = alloc_zero(total + (size_t)1, sizeof *since);
	if (!since)
		return alloc_fail(err);
	for (uint32_t i = 0; i < total; i++) {
		struct tide_subscription *lane = lane_at(subscription, i);
		mutex_lock(&lane->lock);
		if (lane->lanes.elsewhere.owner == LANE_UNOWNED)
			since[i] = lane->lanes.elsewhere.unowned_since;
		mutex_unlock(&lane->lock);
	}
	*ret = (struct why_unowned){ since, total };
	return TIDE_OK;
}

/* What a process sees of itself. */
static void why_look_here(struct tide_subscription *subscription, struct tide_why *ret)
{
	struct clock *clock = subscription->engine->clock;
	struct mono_time now = clock_mono(clock);
	struct tide_time wall = clock_wall(clock);
	mutex_lock(&subscription->lock);
	reason_fill_locked(subscription, reason_cause_locked(subscription, now), now, wall, ret);
	mutex_unlock(&subscription->lock);
}

/* Whatever its own lanes do: those that nobody has, as their rows tell. */
static tide_status why_of_unowned(const struct why_look *own, const struct why_unowned *unowned,
				  struct tide_why *ret, struct tide_error *err)
{
	struct tide_why *one ALLOC_AUTO = alloc_zero(1, sizeof *one);
	char row[TIDE_NAME_MAX + 1];
	tide_status status = one ? TIDE_OK : alloc_fail(err);

	for (uint32_t i = 0; status == TIDE_OK && i < unowned->total; i++) {
		if (unowned->since[i].unix_us == 0)
			continue;
		struct why_look look = { .checkpoints = own->checkpoints,
					 .name = row,
					 .title = own->title,
					 .lane = { i, unowned->total },
					 .unowned_since = unowned->since[i] };
		snprintf(row, sizeof row, "%s#%u/%u", own->title, i, unowned->total);
		status = look_at(&look, err);
		if (status != TIDE_OK || look_is_alive(&look) || look.lanes_owned == 0)
			continue;
		why_tell(&look, why_judge(&look), one);
		if (why_is_worse(one, ret))
			*ret = *one;
	}
	return status;
}

static void why_tell_away(const struct why_look *look, const struct tide_error *error,
			  struct tide_why *ret)
{
	*ret = look->told;
	ret->cause =
		error->status == TIDE_DISK_FULL ? TIDE_CAUSE_DISK_FULL : TIDE_CAUSE_DATABASE_AWAY;
	ret->has_since = false;
	why_add_error(ret, error);
	why_say(ret);
}

/** What a process knows of a subscription of its own, before it asks a database. */
struct why_inside {
	struct why_look look;
	char row[TIDE_NAME_MAX + 1]; /* of its worst lane, or its own */
	struct why_unowned unowned;
};

static tide_status why_look_inside(struct tide_manager *manager, const char *name,
				   struct why_inside *ret, struct tide_error *err)
{
	struct tide_subscription *subscription = manager_pin_one(manager, name);
	if (!subscription)
		return tide_fail(err, TIDE_NOT_FOUND, "no subscription '%s'", name);
	tide_status status = why_find_unowned(subscription, &ret->unowned, err);
	if (status == TIDE_OK) {
		struct tide_subscription *lane = why_worst_lane(subscription);
		memcpy(ret->row, lane->name, sizeof ret->row);
		ret->look = (struct why_look){ .checkpoints = manager->engine.checkpoints,
					       .name = ret->row,
					       .title = name,
					       .lane = lane_share(lane),
					       .has_told = true,
					       .is_here = true };
		why_look_here(lane, &ret->look.told);
		snprintf(ret->look.told.name, sizeof ret->look.told.name, "%s", name);
	}
	manager_unpin_one(manager);
	return status;
}

static bool why_is_away(enum tide_cause cause)
{
	return cause == TIDE_CAUSE_DATABASE_AWAY || cause == TIDE_CAUSE_DISK_FULL;
}

static tide_status why_ask(struct why_inside *inside, struct tide_why *ret, struct tide_error *err)
{
	tide_status status = look_at(&inside->look, err);
	if (status != TIDE_OK)
		return status;
	why_tell(&inside->look, why_judge(&inside->look), ret);
	return why_of_unowned(&inside->look, &inside->unowned, ret, err);
}

tide_status tide_subscription_why(struct tide_manager *manager, const char *name,
				  struct tide_why *ret, struct tide_error *err)
{
	if (!manager || !name || !ret)
		return tide_fail(err, TIDE_ARGUMENT, "%s is NULL",
				 !manager ? "manager"
				 : !name  ? "name"
					  : "ret");
	struct why_inside inside = { .unowned = { .since = NULL } };
	struct tide_error failed = { 0 };
	tide_status status = manager_check_thread(manager, "ask why", err);
	if (status == TIDE_OK)
		status = why_look_inside(manager, name, &inside, err);
	if (status != TIDE_OK)
		return status;

	ALLOC_AUTO struct tide_time *since = inside.unowned.since;
	if (why_is_away(inside.look.told.cause)) {
		*ret = inside.look.told;
		why_say(ret);
		return TIDE_OK;
	}
	status = why_ask(&inside, ret, &failed);
	if (status == TIDE_OUT_OF_MEMORY || status == TIDE_ARGUMENT)
		return tide_fail(err, status, "%s", failed.message);
	if (status != TIDE_OK)
		why_tell_away(&inside.look, &failed, ret);
	return TIDE_OK;
}
