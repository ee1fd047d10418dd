/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lanes over processes: who has how many. Whether this one is a member at all is in membership.c.
 *
 * Happy path: four times a second, and soon after the bell of the store, a member looks at the
 * members that live and at who has which lane, and does its own part of the rule
 * (policy/balance.c): lanes that it wants ask for their ownership, those that it does not want stop
 * after the event in hand, save, let go, and stand by. Nobody assigns, and nothing depends on a
 * look: the ownership of a lane is what keeps two from it.
 * Failure modes: the database cannot be asked: what was decided goes on to hold, and the log has
 * the error when it changes. Members with another number of lanes live: the lanes stand by. There
 * can be no such group: its lanes end in that error.
 */
#include "supervise/sharing.h"

#include <assert.h>
#include <string.h>
#include <unistd.h>

#include "path/config.h"
#include "path/family.h"
#include "path/port.h"
#include "supervise/elsewhere.h"
#include "sys/alloc.h"
#include "sys/log.h"

#define SHARING_LOOK_NS (250 * NS_PER_MS)
#define SHARING_RING_NS (100 * NS_PER_MS) /* between two looks because of rings */
#define SHARING_TRIM_NS (2 * NS_PER_SECOND)
#define SHARING_AGAIN 5 /* a failed renewal is tried again after this part of the interval */

static struct tide_store *sharing_database(const struct tide_manager *manager)
{
	return manager->engine.checkpoints->database;
}

/* ---- Joining and leaving --------------------------------------------------------------------- */

/* To who looks at the members of this process; a database tells the others. */
static void sharing_ring(struct tide_manager *manager)
{
	notifier_ring(sharing_database(manager)->notifier, RING_CONTROL);
}

static int64_t sharing_renew_ns(const struct tide_manager *manager)
{
	int64_t third = ns_of_seconds(manager->engine.lease_seconds / 3);
	int64_t most = port_renew_ns(sharing_database(manager));
	return most == 0 || third < most ? third : most;
}

static tide_status sharing_leave(struct tide_manager *manager, struct tide_subscription *head,
				 void *session, struct tide_error *err)
{
	tide_status status = port_member_leave(sharing_database(manager), session, head->name,
					       &head->owner, err);
	if (status != TIDE_OK)
		return status;
	(void)membership_move(manager, head, MEMBERSHIP_LEAVING, MEMBERSHIP_NONE);
	sharing_ring(manager);
	return TIDE_OK;
}

/* Where it begins that has settled nothing yet. */
static tide_status sharing_start_of(struct tide_manager *manager,
				    const struct tide_subscription *head, tide_position *ret,
				    struct tide_error *err)
{
	tide_position end = 0;
	tide_status status = TIDE_OK;
	if (head->config.start_from == TIDE_START_END)
		status = tide_store_end(manager->engine.store, &end, err);
	if (status == TIDE_OK)
		*ret = config_start(&head->config, end);
	return status;
}

/* `*ret` false: members with another number live. */
static tide_status sharing_join(struct tide_manager *manager, struct tide_subscription *head,
				void *session, bool *ret, struct tide_error *err)
{
	const struct tide_store *database = sharing_database(manager);
	struct tide_time now = clock_wall(manager->engine.clock);
	struct family_wish wish = { .name = head->name, .lanes = head->lanes.total, .now = now };
	char host[256] = "";
	(void)gethostname(host, sizeof host - 1);
	struct tide_member_write write = { .group = head->name,
					   .lanes = head->lanes.total,
					   .id = head->owner,
					   .host = host,
					   .pid = (int32_t)getpid(),
					   .now = now };
	*ret = false;

	struct mono_time began = clock_mono(manager->engine.clock);
	tide_status status = sharing_start_of(manager, head, &wish.start, err);
	if (status == TIDE_OK)
		status = family_become(database, session, &wish, ret, err);
	if (status == TIDE_OK && *ret)
		status = port_member_join(database, session, &write, ret, err);
	if (status != TIDE_OK || !*ret)
		return status;

	mutex_lock(&manager->lock);
	head->lanes.membership->renew_at = mono_add(began, sharing_renew_ns(manager));
	mutex_unlock(&manager->lock);
	head->lanes.membership->trim_at = began;
	membership_joined(manager, head);
	sharing_ring(manager);
	log_at(TIDE_LOG_NOTICE, "subscription", "became a member", "name='%s' lanes=%u", head->name,
	       head->lanes.total);
	return TIDE_OK;
}

/* ---- Who has which lane ---------------------------------------------------------------------- */

static bool sharing_is_owned(const struct tide_lease_info *leases, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(leases[i].name, name) == 0)
			return leases[i].is_owned;
	return false;
}

/* Of one whose run has ended in error nobody here wants anything until it is begun anew. */
static enum balance_holder sharing_holder(struct tide_subscription *lane)
{
	mutex_lock(&lane->lock);
	bool is_asking = atomic_load(&lane->lanes.wish) == LANE_WANTED &&
			 lane->ownership.state != OWNERSHIP_STANDBY && run_exists(&lane->run);
	bool is_mine = ownership_exists(&lane->ownership) || is_asking;
	bool has_failed = !run_exists(&lane->run) && lane->states.state == TIDE_STATE_ERROR;
	mutex_unlock(&lane->lock);
	return is_mine ? BALANCE_MINE : has_failed ? BALANCE_OTHERS : BALANCE_FREE;
}

/* Who has the others is asked only while there are some to be had. */
static tide_status sharing_view(struct tide_manager *manager, struct tide_subscription *head,
				void *session, uint32_t target, struct tide_error *err)
{
	struct membership *membership = head->lanes.membership;
	ALLOC_AUTO struct tide_lease_info *leases = NULL;
	size_t count = 0;
	uint32_t held = 0;
	for (uint32_t i = 0; i < head->lanes.total; i++) {
		membership->views[i].holder = sharing_holder(head->lanes.list[i]);
		held += membership->views[i].holder == BALANCE_MINE;
	}

	if (held < target) {
		tide_status status =
			port_lease_list(sharing_database(manager), session, &leases, &count, err);
		if (status != TIDE_OK)
			return status;
	}

	for (uint32_t i = 0; i < head->lanes.total; i++) {
		struct balance_lane *view = &membership->views[i];
		const char *name = head->lanes.list[i]->name;
		if (view->holder == BALANCE_FREE &&
		    (held >= target || sharing_is_owned(leases, count, name)))
			view->holder = BALANCE_OTHERS;
	}
	return TIDE_OK;
}

/* It stops after the event in hand, and then stands by. */
static void sharing_give_back(struct tide_manager *manager, struct tide_subscription *lane)
{
	int64_t limit = ns_of_seconds(lane->config.shutdown_timeout);
	mutex_lock(&lane->lock);
	bool is_to_stop = ownership_exists(&lane->ownership) && !run_is_ending(&lane->run);
	mutex_unlock(&lane->lock);
	if (!is_to_stop)
		return;
	log_at(TIDE_LOG_INFO, "subscription", "a lane is given back", "name='%s'", lane->name);
	elsewhere_note_given(manager, lane);
	run_ask_stop(lane, mono_add(clock_mono(manager->engine.clock), limit));
}

/* The stop of its subscription, which has its limit, did not wait until it had begun. */
static void sharing_stop_late(struct tide_subscription *lane)
{
	mutex_lock(&lane->lock);
	struct mono_time deadline = lane->stop.deadline;
	mutex_unlock(&lane->lock);
	run_ask_stop(lane, deadline);
}

/* One that has been given back, unless the subscription is being stopped. */
static void sharing_stand_by_again(struct tide_manager *manager, struct tide_subscription *lane)
{
	struct tide_subscription *head = lane->lanes.head;
	mutex_lock(&lane->lock);
	bool is_over = !run_exists(&lane->run) && lane->states.state == TIDE_STATE_STOPPED;
	mutex_unlock(&lane->lock);
	if (!is_over || !membership_move(manager, head, MEMBERSHIP_HELD, MEMBERSHIP_BEGINNING))
		return;
	(void)run_start(lane, manager->is_threaded, false, NULL);
	if (!membership_has_begun(manager, head))
		sharing_stop_late(lane);
}

static void sharing_apply(struct tide_manager *manager, struct tide_subscription *head)
{
	struct membership *membership = head->lanes.membership;
	for (uint32_t i = 0; i < head->lanes.total; i++) {
		struct tide_subscription *lane = head->lanes.list[i];
		struct balance_lane *view = &membership->views[i];
		bool was_wanted = atomic_load(&lane->lanes.wish) == LANE_WANTED;
		assert(!view->is_wanted || view->holder != BALANCE_OTHERS);
		if (view->is_wanted && !was_wanted)
			view->taken = ++membership->takes;
		membership_wish(lane, view->is_wanted ? LANE_WANTED : LANE_UNWANTED);
		if (!view->is_wanted)
			sharing_give_back(manager, lane);
		sharing_stand_by_again(manager, lane);
	}
}

static void sharing_note_share(struct tide_manager *manager, struct membership *membership,
			       int64_t members, uint32_t share)
{
	mutex_lock(&manager->lock);
	if (membership_exists(membership)) { /* it may have been lost meanwhile */
		membership->rebalances += share != membership->share;
		membership->share = share;
		membership->members = members;
	}
	mutex_unlock(&manager->lock);
}

static tide_status sharing_balance(struct tide_manager *manager, struct tide_subscription *head,
				   void *session, struct tide_error *err)
{
	ALLOC_AUTO struct tide_member *list = NULL;
	size_t count = 0;
	tide_status status = port_member_list(sharing_database(manager), session, head->name, &list,
					      &count, err);
	if (status != TIDE_OK)
		return status;

	ALLOC_AUTO struct balance_member *members = alloc_zero(count + 1, sizeof *members);
	if (!members)
		return alloc_fail(err);
	for (size_t i = 0; i < count; i++)
		members[i] = (struct balance_member){ list[i].id, list[i].joined_at };
	balance_order(members, count);

	size_t place = balance_place(members, count, &head->owner);
	uint32_t target = place < count ? balance_target(head->lanes.total, count, place) : 0;
	if (place < count)
		sharing_note_share(manager, head->lanes.membership, (int64_t)count, target);
	status = sharing_view(manager, head, session, target, err);
	if (status != TIDE_OK)
		return status;
	balance_choose(head->lanes.membership->views, head->lanes.total, members, count,
		       &head->owner);
	sharing_apply(manager, head);
	return TIDE_OK;
}

/* Old rows go once all lanes have passed them; any member sees to it. */
static tide_status sharing_trim(struct tide_manager *manager, struct tide_subscription *head,
				void *session, struct tide_error *err)
{
	struct membership *membership = head->lanes.membership;
	struct mono_time now = clock_mono(manager->engine.clock);
	struct family_wish wish = { .name = head->name, .lanes = head->lanes.total };
	if (now.ns < membership->trim_at.ns)
		return TIDE_OK;
	struct tide_time clean = { 0 };
	tide_status status = family_trim(sharing_database(manager), session, &wish, &clean, err);
	membership->trim_at = clean.unix_us == 0 ? mono_add(now, SHARING_TRIM_NS) : MONO_NEVER;
	mutex_lock(&head->lock);
	head->lanes.clean = clean;
	mutex_unlock(&head->lock);
	return status;
}

/* ---- A look ---------------------------------------------------------------------------------- */

/* Nothing but a person changes it. */
static bool sharing_is_refusal(tide_status status)
{
	return status == TIDE_UNSUPPORTED || status == TIDE_STATE || status == TIDE_ARGUMENT;
}

static void sharing_refuse(struct tide_subscription *head, const struct tide_error *why)
{
	mutex_lock(&head->lock);
	head->lanes.refused = *why;
	mutex_unlock(&head->lock);
	membership_wish_all(head, LANE_REFUSED);
}

static void sharing_tell(struct tide_subscription *head, tide_status status,
			 const struct tide_error *err)
{
	struct tide_error *told = &head->lanes.membership->told;
	if (told->status == status &&
	    (status == TIDE_OK || strcmp(told->message, err->message) == 0))
		return;
	if (status == TIDE_OK)
		log_at(TIDE_LOG_NOTICE, "subscription", "the lanes are shared again", "name='%s'",
		       head->name);
	else
		log_at(TIDE_LOG_WARNING, "subscription", "the lanes cannot be shared now",
		       "name='%s' error='%s'", head->name, err->message);
	*told = (struct tide_error){ 0 };
	if (status != TIDE_OK)
		*told = *err;
}

static tide_status sharing_enter(struct tide_manager *manager, struct tide_subscription *head,
				 void *session, struct tide_error *err)
{
	bool is_member = false;
	tide_status status = sharing_join(manager, head, session, &is_member, err);

	if (sharing_is_refusal(status))
		sharing_refuse(head, err);
	else if (status == TIDE_OK && !is_member)
		membership_wish_all(head, LANE_UNWANTED);
	return status;
}

static tide_status sharing_look_at(struct tide_manager *manager, struct tide_subscription *head,
				   struct elsewhere_rows *rows, struct tide_error *err)
{
	struct membership *membership = head->lanes.membership;
	void *session = manager->sharing.session;
	assert(membership && session);
	tide_status status = TIDE_OK;
	if (membership_is(manager, membership, MEMBERSHIP_LEAVING))
		status = sharing_leave(manager, head, session, err);
	if (status == TIDE_OK && membership_is(manager, membership, MEMBERSHIP_WANTED))
		status = sharing_enter(manager, head, session, err);
	/* before lanes begin, which ask for what is left */
	if (status == TIDE_OK && membership_is(manager, membership, MEMBERSHIP_HELD))
		status = sharing_trim(manager, head, session, err);
	if (status == TIDE_OK && membership_is(manager, membership, MEMBERSHIP_HELD))
		status = sharing_balance(manager, head, session, err);
	if (status == TIDE_OK && membership_is(manager, membership, MEMBERSHIP_HELD))
		status = elsewhere_look(manager, head, rows, err);
	return status;
}

static void sharing_close_session(struct tide_manager *manager)
{
	if (manager->sharing.session)
		port_session_close(sharing_database(manager), manager->sharing.session);
	manager->sharing.session = NULL;
}

static tide_status sharing_open_session(struct tide_manager *manager, struct tide_error *err)
{
	struct tide_store *database = sharing_database(manager);
	const struct tide_session_limits limits = { .lease = manager->engine.lease_seconds,
						    .idle_in_transaction =
							    manager->engine.lease_seconds };
	if (manager->sharing.session)
		return TIDE_OK;
	tide_status status = port_session_open(database, &manager->sharing.session, err);
	if (status == TIDE_OK)
		port_limit(database, manager->sharing.session, &limits);
	return status;
}

/* Pinned, so that each is there when its turn has come. `refused`: none is looked at, and why. */
static void sharing_look_all(struct tide_manager *manager, const struct tide_error *refused)
{
	struct elsewhere_rows rows = { .are_read = false };
	struct tide_error err = refused ? *refused : (struct tide_error){ 0 };
	hearing_begin(manager, &manager->sharing.hearing);
	mutex_lock(&manager->lock);
	manager->pins++;
	for (struct tide_subscription *head = manager->heads; head; head = head->next) {
		mutex_unlock(&manager->lock);
		tide_status status =
			refused ? refused->status : sharing_open_session(manager, &err);
		if (status == TIDE_OK)
			status = sharing_look_at(manager, head, &rows, &err);
		if (status == TIDE_CONNECTION_LOST)
			sharing_close_session(manager);
		sharing_tell(head, status, &err);
		mutex_lock(&manager->lock);
	}

	if (--manager->pins == 0)
		cond_broadcast(&manager->changed);
	mutex_unlock(&manager->lock);
	elsewhere_rows_fini(&rows);
	struct mono_time now = clock_mono(manager->engine.clock);
	hearing_over(manager, &manager->sharing.hearing, mono_add(now, SHARING_LOOK_NS),
		     mono_add(now, SHARING_RING_NS));
}

/* ---- Its thread ------------------------------------------------------------------------------ */

static bool sharing_finds_due_locked(struct tide_manager *manager, struct mono_time now)
	TIDE_REQUIRES(manager->lock)
{
	assert(mutex_is_mine(&manager->lock));
	const struct tide_subscription *head = manager->heads;
	while (head && head->lanes.membership->state == MEMBERSHIP_NONE)
		head = head->next;
	return head && hearing_is_due_locked(manager, &manager->sharing.hearing, now);
}

static void sharing_work(struct tide_manager *manager, const struct tide_error *refused)
{
	sharing_look_all(manager, refused);
	mutex_lock(&manager->lock);
	chore_done_locked(manager, &manager->sharing.chore);
	mutex_unlock(&manager->lock);
}

static void sharing_run(void *self)
{
	struct tide_manager *manager = self;
	engine_of_thread = &manager->engine; /* callbacks run here, of lanes that begin */
	sharing_work(manager, NULL);
}

void sharing_look(struct tide_manager *manager, struct mono_time now)
{
	struct chore *chore = &manager->sharing.chore;
	mutex_lock(&manager->lock);
	bool is_due = sharing_finds_due_locked(manager, now) && chore_take_locked(manager, chore);
	mutex_unlock(&manager->lock);
	if (!is_due)
		return;

	struct tide_error err = { 0 };
	if (!manager->is_threaded)
		sharing_work(manager, NULL);
	else if (chore_start(manager, chore, "tide-sharer", sharing_run, &err) != TIDE_OK)
		sharing_work(manager, &err);
}

void sharing_end(struct tide_manager *manager)
{
	chore_join(&manager->sharing.chore);
	mutex_lock(&manager->lock);
	bool is_member = false;
	for (struct tide_subscription *head = manager->heads; head; head = head->next) {
		const struct membership *membership = head->lanes.membership;
		assert(membership->state != MEMBERSHIP_BEGINNING);
		if (membership->state == MEMBERSHIP_WANTED)
			membership_move_locked(manager, head, MEMBERSHIP_NONE);
		else if (membership->state == MEMBERSHIP_HELD)
			membership_move_locked(manager, head, MEMBERSHIP_LEAVING);
		is_member = is_member || membership_exists(membership);
	}
	mutex_unlock(&manager->lock);
	if (is_member)
		sharing_look_all(manager, NULL);
	hearing_end(manager, &manager->sharing.hearing);
	sharing_close_session(manager);
}

/* ---- For the renewer ------------------------------------------------------------------------- */

bool sharing_is_due_locked(const struct tide_manager *manager, const struct tide_subscription *head,
			   struct mono_time now, int part)
{
	assert(mutex_is_mine(&manager->lock));
	const struct membership *membership = head->lanes.membership;
	int64_t ahead = part > 0 ? sharing_renew_ns(manager) / part : 0;
	return membership->state == MEMBERSHIP_HELD &&
	       membership->renew_at.ns <= mono_add(now, ahead).ns;
}

void sharing_renewed_locked(struct tide_manager *manager, const struct tide_lease_renewal *renewal,
			    struct mono_time began)
{
	assert(mutex_is_mine(&manager->lock));
	struct tide_subscription *head = manager->heads;
	int64_t interval = sharing_renew_ns(manager);
	while (head && !tide_uuid_equal(&head->owner, &renewal->fence.owner))
		head = head->next;
	if (!head)
		return;
	struct membership *membership = head->lanes.membership;
	if (renewal->result == TIDE_RENEWAL_LOST && membership->state == MEMBERSHIP_HELD)
		membership_move_locked(manager, head, MEMBERSHIP_WANTED);
	membership->renew_at = mono_add(
		began, renewal->result == TIDE_RENEWAL_MADE ? interval : interval / SHARING_AGAIN);
}
