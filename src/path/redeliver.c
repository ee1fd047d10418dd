/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Redelivery of dead letters that somebody asked for: between two events, by position, one attempt
 * each.
 *
 * Happy path: the entry is `retrying`, its event is read again from the store, the handler
 * succeeds, the entry is resolved by `retry`; what was parked behind it becomes due
 * (path/parked.c).
 * Failure modes: the handler fails: the entry is `failed` again with one more retry, and what was
 * parked behind it stays. The process dies on the way: the entry is still `retrying` and is
 * delivered again. The position never changes here.
 */
#include "path/redeliver.h"

#include <assert.h>
#include <stdlib.h>

#include "core/event.h"
#include "path/attempt.h"
#include "path/delivery.h"
#include "path/gate.h"
#include "path/infra.h"
#include "path/parked.h"
#include "path/report.h"
#include "path/requests.h"
#include "path/runner.h"
#include "path/session.h"
#include "path/transaction.h"
#include "sys/alloc.h"
#include "sys/log.h"

#define REDELIVER_PAGE 100

/* ---- The event of an entry ------------------------------------------------------------------- */

/* An event from the JSON an entry keeps, as a view into `json`. */
static struct tide_event redeliver_view(const struct event_json *json)
{
	const struct tide_new_event *kept = &json->event;
	struct tide_event event =
		event_stamp(kept, (struct tide_stream){ kept->aggregate_id, kept->aggregate_type },
			    json->occurred_at);
	event.position = json->position;
	event.version = kept->version;
	event.stored_at = json->stored_at;
	return event;
}

/* Of a row whose id is no UUID, the entry knows only where it stands; by now a person may have
 * mended it. */
static tide_status redeliver_find_at(struct tide_subscription *subscription,
				     const struct tide_dead_letter *entry, struct tide_page *page,
				     struct tide_error *err)
{
	static const struct tide_filter all = { 0 };
	struct event_place place;
	tide_status status = event_read_place(tide_text(entry->event_data), &place, err);
	if (status != TIDE_OK)
		return status;
	if (place.position < 1)
		return TIDE_NOT_FOUND;

	struct tide_page_query query = {
		.filter = &all, .bound = place.position - 1, .max_events = 1, .max_bytes = 1
	};

	tide_page_begin(page, 1, 1);
	status = session_read(subscription, &query, page, err);
	bool is_there = status == TIDE_OK && page->count > 0 &&
			page->entries[0].event.position == place.position;
	return status == TIDE_OK && !is_there ? TIDE_NOT_FOUND : status;
}

static tide_status redeliver_find_kept(const struct tide_dead_letter *entry, struct tide_page *page,
				       struct tide_error *err)
{
	struct event_json json = { 0 };
	tide_status status = event_read_data(tide_text(entry->event_data), &json, err);
	if (status == TIDE_OK) {
		struct tide_event event = redeliver_view(&json);
		if (tide_uuid_is_nil(&event.event_id))
			event.event_id = entry->event_id;
		tide_page_begin(page, 1, 1);
		status = tide_page_add(page, &event, err);
	}
	event_json_fini(&json);
	return status;
}

/* The stored one; if the store lacks it, the one the entry keeps. TIDE_ARGUMENT: neither can be
 * read. */
static tide_status redeliver_find(struct tide_subscription *subscription,
				  const struct tide_dead_letter *entry, struct tide_page *page,
				  struct tide_error *err)
{
	struct tide_error problem;
	tide_page_begin(page, 1, 1);
	tide_status status = session_find(subscription, &entry->event_id, page, err);
	if (status != TIDE_NOT_FOUND)
		return status;

	status = redeliver_find_kept(entry, page, &problem);
	if (status == TIDE_ARGUMENT) {
		status = redeliver_find_at(subscription, entry, page, err);
		return status == TIDE_NOT_FOUND
			       ? tide_fail(err, TIDE_ARGUMENT, "%s", problem.message)
			       : status;
	}

	if (status != TIDE_OK)
		*err = problem;
	return status;
}

/* ---- The outcome ----------------------------------------------------------------------------- */

/** One redelivery on its way. */
struct redeliver_try {
	const struct tide_dead_letter *entry;
	const struct tide_event *event;
	struct tide_delivery delivery;
	tide_status outcome;     /* of its handler, or of committing what that did */
	struct tide_error error; /* when it failed */
	bool is_outrun;          /* the entry is somebody else's by now: nothing was done */
};

static void redeliver_begin(struct tide_subscription *subscription,
			    const struct tide_dead_letter *entry, const struct tide_event *event,
			    struct redeliver_try *ret)
{
	ret->entry = entry;
	ret->event = event;
	ret->is_outrun = false;
	delivery_begin(&ret->delivery, subscription, entry->retry_count + 2, event->position);
}

/* A person was faster, or a commit of this redelivery that was taken for lost: what the handler
 * did in the transaction would be there beside what the entry says. */
static tide_status redeliver_outrun(struct tide_subscription *subscription,
				    struct redeliver_try *try)
{
	if (try->outcome != TIDE_OK || !transaction_is_open(&subscription->runner.transaction))
		return TIDE_OK;
	try->is_outrun = true;
	transaction_roll_back(subscription);
	log_at(TIDE_LOG_NOTICE, "dlq", "dead letter is no longer asked for, its redelivery undone",
	       "name='%s' id=%lld position=%lld", subscription->name, (long long)try->entry->id,
	       (long long)try->event->position);
	return TIDE_OK;
}

/* The entry says what the redelivery came to, and what was parked behind it follows. */
static tide_status redeliver_conclude(struct tide_subscription *subscription,
				      struct redeliver_try *try, struct tide_error *err)
{
	assert(try->outcome == TIDE_OK || try->error.status != TIDE_OK);
	const struct tide_store *database = subscription->engine->checkpoints->database;
	struct runner *runner = &subscription->runner;
	bool is_resolved = try->outcome == TIDE_OK;
	struct tide_dead_letter_change change = { .id = try->entry->id,
						  .from = { [TIDE_DEAD_LETTER_RETRYING] = true },
						  .to = TIDE_DEAD_LETTER_RESOLVED,
						  .resolved_by = "retry",
						  .now = runner_wall(subscription) };
	if (!is_resolved) {
		change.to = TIDE_DEAD_LETTER_FAILED;
		change.resolved_by = NULL;
		change.message = try->error.message;
		change.stacktrace = try->delivery.stacktrace;
		change.add_retries = 1;
	}

	tide_status status = session_dead_letter_change(subscription, &change, err);
	if (status == TIDE_NOT_FOUND || status == TIDE_STATE)
		return redeliver_outrun(subscription, try);
	if (status != TIDE_OK || !runner->held)
		return status;
	return is_resolved ? parked_make_due(database, runner->sessions.database,
					     transaction_fence(subscription), try->entry,
					     change.now, err)
			   : parked_put_back(subscription, try->entry, try->event, err);
}

static void redeliver_count(struct tide_subscription *subscription, const struct redeliver_try *try)
{
	bool is_resolved = try->outcome == TIDE_OK;
	subscription->runner.next.is_admitted =
		false; /* look at the breaker before the next call */
	mutex_lock(&subscription->lock);
	subscription->redelivered.ok += is_resolved;
	subscription->redelivered.failed += !is_resolved;
	struct gate_move move = is_resolved ? gate_success_locked(subscription, GATE_HANDLER)
					    : gate_failure_locked(subscription, GATE_HANDLER,
								  runner_wall(subscription));
	mutex_unlock(&subscription->lock);
	gate_tell(subscription, move);

	if (is_resolved)
		log_at(TIDE_LOG_NOTICE, "dlq", "dead letter redelivered",
		       "name='%s' id=%lld position=%lld", subscription->name,
		       (long long)try->entry->id, (long long)try->event->position);
	else if (!try->delivery.is_late)
		report_failure(subscription, &try->error,
			       &(struct report_context){ .event = try->event,
							 .stacktrace = try->delivery.stacktrace,
							 .retry_count = try->entry->retry_count + 1,
							 .dlq_id = try->entry->id });
}

/* ---- One redelivery -------------------------------------------------------------------------- */

/* No handler is called for what cannot be read: the attempt has failed, and the entry waits for a
 * person again. */
static tide_status redeliver_unreadable(struct tide_subscription *subscription,
					const struct tide_dead_letter *entry, const char *why,
					struct tide_error *err)
{
	struct tide_event unknown = { .position = -1, .event_type = tide_text(entry->event_type) };
	struct redeliver_try try;
	redeliver_begin(subscription, entry, &unknown, &try);
	try.outcome = tide_fail(&try.error, TIDE_DECODE, "%s", why);
	tide_status status = redeliver_conclude(subscription, &try, err);
	if (status == TIDE_OK)
		redeliver_count(subscription, &try);
	return status;
}

/* One call, made again as long as nothing comes of it, nobody wants something else and the
 * ownership is trusted; whether something did. */
static bool redeliver_attempt(struct tide_subscription *subscription, struct redeliver_try *try)
{
	bool is_answered = false;
	int32_t attempt = try->delivery.attempt;
	session_rest(subscription);
	do {
		runner_look_at_clock(subscription);
		delivery_begin(&try->delivery, subscription, attempt, try->event->position);
		try->outcome =
			attempt_make(subscription, &try->event, 1, &try->delivery, &try->error);
		is_answered = try->outcome != TIDE_OK || delivery_taken(&try->delivery, 1) > 0;
	} while (!is_answered && !atomic_load(&subscription->attention) &&
		 runner_is_trusted(subscription));

	atomic_store(&subscription->hand.has_begun, false);
	return is_answered;
}

/* The handler is called. Not TIDE_OK: the entry stays as it is, and is asked for until there is an
 * answer. */
static tide_status redeliver_call(struct tide_subscription *subscription, struct redeliver_try *try,
				  struct tide_error *err)
{
	struct tide_delivery *delivery = &try->delivery;
	bool is_answered = redeliver_attempt(subscription, try);
	bool counts = delivery_end(subscription, delivery, try->outcome) && is_answered;
	bool is_outage = try->outcome == TIDE_DISK_FULL && subscription->subscriber.transactional;
	bool is_unanswered = delivery_has_spoilt(delivery) || is_outage ||
			     (try->outcome != TIDE_OK && delivery->is_stop);
	assert(!is_unanswered || try->outcome != TIDE_OK);
	if (is_unanswered) {
		*err = try->error;
		return try->outcome;
	}
	return counts ? TIDE_OK
		      : tide_fail(err, TIDE_CANCELLED, "nothing has come of the handler's call");
}

/* What the handler did and what the entry says of it commit together. */
static tide_status redeliver_commit(struct tide_subscription *subscription,
				    struct redeliver_try *try, struct tide_error *err)
{
	tide_status status =
		try->outcome == TIDE_OK ? transaction_inspect(subscription, err) : TIDE_OK;
	if (status == TIDE_OK)
		status = redeliver_conclude(subscription, try, err);
	if (status == TIDE_OK && subscription->subscriber.transactional && !try->is_outrun)
		status = session_commit(subscription, err);
	return status;
}

/* For good, and not because of what the handler itself has found (TIDE_HANDLER_PERMANENT). */
static bool redeliver_is_refused(const struct tide_subscription *subscription,
				 const struct redeliver_try *try, tide_status status,
				 const struct tide_error *error)
{
	return try->outcome == TIDE_OK && transaction_is_open(&subscription->runner.transaction) &&
	       error->retry == TIDE_RETRY_NEVER && status != TIDE_FENCED &&
	       status != TIDE_HANDLER_PERMANENT;
}

static tide_status redeliver_deliver(struct tide_subscription *subscription,
				     struct redeliver_try *try, struct tide_error *err)
{
	assert(try->event->position <= subscription->runner.progress.position);
	struct tide_error why;
	tide_status status = redeliver_call(subscription, try, err);
	if (status != TIDE_OK)
		return status;
	status = redeliver_commit(subscription, try, &why);

	/* What cannot be committed has failed: the entry says so, and does not end every run that
	 * finds it. */
	if (status != TIDE_OK && redeliver_is_refused(subscription, try, status, &why)) {
		transaction_roll_back(subscription);
		try->error = why;
		try->outcome = status;
		return redeliver_conclude(subscription, try, err);
	}

	if (status != TIDE_OK)
		*err = why;
	return status;
}

/* Everything of one entry. */
static tide_status redeliver_entry(struct tide_subscription *subscription,
				   const struct tide_dead_letter *entry, struct tide_page *page,
				   bool *ret_is_early, struct tide_error *err)
{
	tide_status status = redeliver_find(subscription, entry, page, err);
	const struct tide_event *event = status == TIDE_OK ? &page->entries[0].event : NULL;
	if (status == TIDE_ARGUMENT || (event && event->undecodable))
		return redeliver_unreadable(subscription, entry,
					    event ? event->undecodable : err->message, err);

	/* Dead-lettered by a run that died before its checkpoint: the feed brings this event again
	 * first. */
	*ret_is_early = event && event->position > subscription->runner.progress.position;
	if (*ret_is_early)
		return TIDE_OK;
	if (status == TIDE_OK && subscription->subscriber.transactional)
		status = transaction_begin(subscription, err);
	if (status != TIDE_OK)
		return status;

	struct redeliver_try try;
	runner_look_at_clock(subscription);
	redeliver_begin(subscription, entry, event, &try);
	status = redeliver_deliver(subscription, &try, err);
	if (status == TIDE_OK) {
		transaction_leave(subscription);
		if (!try.is_outrun)
			redeliver_count(subscription, &try);
	} else {
		transaction_roll_back(subscription);
	}
	tide_free(try.delivery.stacktrace);
	return status;
}

/* ---- Those that are asked for ---------------------------------------------------------------- */

/* What is asked for now. Ids follow the order of failing; after a rebuild that is not the order of
 * the events. */
static tide_status redeliver_look(struct tide_subscription *subscription, struct tide_error *err)
{
	struct runner *runner = &subscription->runner;
	struct tide_dead_letter_filter filter = {
		.projection_name = subscription_title(subscription),
		.statuses = { [TIDE_DEAD_LETTER_RETRYING] = true },
		.limit = REDELIVER_PAGE,
		.oldest_first = true
	};
	bool is_end = false;
	tide_status status = TIDE_OK;
	requests_forget(&runner->requests);
	while (status == TIDE_OK && !is_end) {
		struct tide_dead_letter_list page = { 0 };
		status = session_dead_letter_list(subscription, &filter, &page, err);
		is_end = page.count < REDELIVER_PAGE;
		if (status == TIDE_OK && page.count > 0) {
			filter.after_id = page.entries[page.count - 1].id;
			status = requests_note(&runner->requests, &page, lane_share(subscription),
					       err);
		}
		tide_dead_letters_free(&page);
	}

	if (status != TIDE_OK)
		requests_forget(&runner->requests);
	else
		requests_sort(&runner->requests);
	return status;
}

/* The next one, if it is still asked for: whoever asked may have changed his mind, or its aggregate
 * be parked again. */
static tide_status redeliver_one(struct tide_subscription *subscription, bool *ret_is_early,
				 struct tide_error *err)
{
	struct runner *runner = &subscription->runner;
	assert(runner->requests.next < runner->requests.count);
	struct tide_dead_letter_list list = { 0 };
	struct tide_error none;
	tide_status status = session_dead_letter_get(
		subscription, runner->requests.list[runner->requests.next].id, &list, &none);
	if (status == TIDE_OK && list.entries[0].status == TIDE_DEAD_LETTER_RETRYING) {
		struct tide_page page;
		tide_page_init(&page);
		status = redeliver_entry(subscription, &list.entries[0], &page, ret_is_early, err);
		tide_page_fini(&page);
	} else if (status == TIDE_NOT_FOUND) {
		status = TIDE_OK;
	} else if (status != TIDE_OK) {
		*err = none;
	}

	tide_dead_letters_free(&list);
	if (status == TIDE_OK)
		runner->requests.next++;
	return status;
}

static tide_status redeliver_next(struct tide_subscription *subscription, bool *ret_found,
				  struct tide_error *err)
{
	struct runner *runner = &subscription->runner;
	tide_status status = session_open(subscription, err);
	if (status == TIDE_OK && runner->requests.next == runner->requests.count)
		status = redeliver_look(subscription, err);
	*ret_found = status == TIDE_OK && runner->requests.next < runner->requests.count;
	/* a redelivery is a handler call like any other: an open breaker puts it off */
	bool is_put_off =
		*ret_found && !gate_admit(subscription, GATE_HANDLER, &runner->requests.look_at);
	if (*ret_found && !is_put_off) {
		bool is_early = false;
		status = redeliver_one(subscription, &is_early, err);
		gate_cancel(subscription, GATE_HANDLER);
		if (is_early) /* and so are those behind it */
			requests_forget(&runner->requests);
		*ret_found = !is_early;
	}

	bool has_due = false;
	if (status == TIDE_OK && runner->held)
		status = parked_load(subscription, &has_due, err);
	*ret_found = *ret_found || has_due;
	return status;
}

enum step redeliver_step(struct tide_subscription *subscription)
{
	struct runner *runner = &subscription->runner;
	enum step step = infra_begin(subscription);
	if (step != STEP_ON)
		return step;

	struct tide_error err;
	bool is_found = false;
	tide_status status = redeliver_next(subscription, &is_found, &err);

	/* nothing was wrong with the database: `attention` is set and the run ends, or the
	 * ownership is not trusted */
	if (status == TIDE_CANCELLED)
		return infra_end(subscription, RETRY_DLQ, TIDE_OK, &err);

	step = infra_end(subscription, RETRY_DLQ, status, &err);
	if (step == STEP_ON && !is_found)
		runner->requests.look_at = mono_add(runner->now, runner->feed.limits.poll_ns);
	return step;
}
