/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The run's sessions: of the database with its checkpoints, and of the feed, one and the same where
 * these are one store.
 *
 * Happy path: opened when first needed, the subscriber attached, its tables prepared once on each
 * connection.
 * Failure modes: one cannot be opened, or is lost: both are opened anew at the next try, and what
 * the run stands on is looked at before anything is believed (start_look).
 */
#include "path/session.h"

#include <assert.h>

#include "path/append.h"
#include "path/interrupt.h"
#include "path/port.h"

/* ---- Calls ----------------------------------------------------------------------------------- */

static const struct tide_store *session_database(const struct tide_subscription *subscription)
{
	assert(subscription->runner.sessions.database);
	return subscription->engine->checkpoints->database;
}

tide_status session_begin(struct tide_subscription *subscription, struct tide_error *err)
{
	assert(!transaction_is_open(&subscription->runner.transaction));
	return port_begin(session_database(subscription), subscription->runner.sessions.database,
			  err);
}

tide_status session_commit(struct tide_subscription *subscription, struct tide_error *err)
{
	return port_commit(session_database(subscription), subscription->runner.sessions.database,
			   err);
}

void session_rollback(struct tide_subscription *subscription)
{
	port_rollback(session_database(subscription), subscription->runner.sessions.database);
}

tide_status session_savepoint(struct tide_subscription *subscription, struct tide_error *err)
{
	assert(transaction_is_open(&subscription->runner.transaction));
	return port_savepoint(session_database(subscription),
			      subscription->runner.sessions.database, err);
}

tide_status session_release_savepoint(struct tide_subscription *subscription,
				      struct tide_error *err)
{
	assert(transaction_is_open(&subscription->runner.transaction));
	return port_release_savepoint(session_database(subscription),
				      subscription->runner.sessions.database, err);
}

tide_status session_rollback_to(struct tide_subscription *subscription, struct tide_error *err)
{
	assert(transaction_is_open(&subscription->runner.transaction));
	return port_rollback_to(session_database(subscription),
				subscription->runner.sessions.database, err);
}

tide_status session_check(struct tide_subscription *subscription, struct tide_error *err)
{
	return port_check(session_database(subscription), subscription->runner.sessions.database,
			  err);
}

tide_status session_append(struct tide_subscription *subscription, const struct append_batch *batch,
			   struct tide_error *err)
{
	assert(transaction_is_open(&subscription->runner.transaction));
	assert(session_database(subscription) == subscription->engine->store);
	return port_append_within(session_database(subscription),
				  subscription->runner.sessions.database, batch->commits,
				  batch->count, batch->results, err);
}

void *session_connection(struct tide_subscription *subscription)
{
	return port_connection(session_database(subscription),
			       subscription->runner.sessions.database);
}

tide_status session_save(struct tide_subscription *subscription,
			 const struct tide_checkpoint_write *write, struct tide_error *err)
{
	struct runner *runner = &subscription->runner;
	return port_save(session_database(subscription), runner->sessions.database, &runner->fence,
			 write, err);
}

tide_status session_load(struct tide_subscription *subscription, struct tide_checkpoint *ret,
			 struct tide_error *err)
{
	return port_load(session_database(subscription), subscription->runner.sessions.database,
			 subscription->name, ret, err);
}

tide_status session_dead_letter_add(struct tide_subscription *subscription,
				    const struct tide_dead_letter_write *write, int64_t *ret,
				    struct tide_error *err)
{
	struct runner *runner = &subscription->runner;
	return port_dead_letter_add(session_database(subscription), runner->sessions.database,
				    &runner->fence, write, ret, err);
}

tide_status session_dead_letter_change(struct tide_subscription *subscription,
				       const struct tide_dead_letter_change *change,
				       struct tide_error *err)
{
	struct runner *runner = &subscription->runner;
	return port_dead_letter_change(session_database(subscription), runner->sessions.database,
				       &runner->fence, change, err);
}

tide_status session_dead_letter_get(struct tide_subscription *subscription, int64_t id,
				    struct tide_dead_letter_list *ret, struct tide_error *err)
{
	return port_dead_letter_get(session_database(subscription),
				    subscription->runner.sessions.database, id, ret, err);
}

tide_status session_dead_letter_list(struct tide_subscription *subscription,
				     const struct tide_dead_letter_filter *filter,
				     struct tide_dead_letter_list *ret, struct tide_error *err)
{
	return port_dead_letter_list(session_database(subscription),
				     subscription->runner.sessions.database, filter, ret, err);
}

tide_status session_lease_acquire(struct tide_subscription *subscription, struct tide_lease *ret,
				  struct tide_error *err)
{
	return port_lease_acquire(session_database(subscription),
				  subscription->runner.sessions.database, subscription->name,
				  &subscription->owner, ret, err);
}

tide_status session_lease_mark(struct tide_subscription *subscription, tide_position position,
			       int32_t deaths, struct tide_error *err)
{
	struct runner *runner = &subscription->runner;
	return port_lease_mark(session_database(subscription), runner->sessions.database,
			       &runner->fence, position, deaths, err);
}

tide_status session_lease_note(struct tide_subscription *subscription,
			       const struct tide_lease_note *note, struct tide_error *err)
{
	struct runner *runner = &subscription->runner;
	return port_lease_note(session_database(subscription), runner->sessions.database,
			       &runner->fence, note, err);
}

tide_status session_lease_release(struct tide_subscription *subscription, struct tide_error *err)
{
	struct runner *runner = &subscription->runner;
	return port_lease_release(session_database(subscription), runner->sessions.database,
				  &runner->fence, err);
}

tide_status session_read(struct tide_subscription *subscription,
			 const struct tide_page_query *query, struct tide_page *page,
			 struct tide_error *err)
{
	return port_read(subscription->engine->store, subscription->runner.sessions.feed, query,
			 page, err);
}

tide_status session_find(struct tide_subscription *subscription, const struct tide_uuid *event_id,
			 struct tide_page *page, struct tide_error *err)
{
	return port_find(subscription->engine->store, subscription->runner.sessions.feed, event_id,
			 page, err);
}

tide_status session_end(struct tide_subscription *subscription, tide_position *ret,
			struct tide_error *err)
{
	return port_end(subscription->engine->store, subscription->runner.sessions.feed, ret, err);
}

/* ---- Opening and closing --------------------------------------------------------------------- */

static tide_status session_attach(struct tide_subscription *subscription, struct tide_error *err)
{
	struct runner *runner = &subscription->runner;
	assert(runner->sessions.database);
	const struct tide_subscriber *subscriber = &subscription->subscriber;
	if (runner->sessions.attachment != ATTACHMENT_NONE || !subscriber->transactional)
		return TIDE_OK;

	const struct tide_store *database = session_database(subscription);
	/* what was prepared last may not be committed yet */
	tide_status status =
		port_await(database, runner->sessions.database, TIDE_AWAIT_ANSWER, err);
	if (status == TIDE_OK && subscriber->attach)
		status = subscriber->attach(subscriber->self,
					    port_connection(database, runner->sessions.database),
					    err);
	if (status == TIDE_OK)
		runner->sessions.attachment = ATTACHMENT_MADE;
	return status;
}

void session_note_number(struct tide_subscription *subscription)
{
	const struct tide_store *database = subscription->engine->checkpoints->database;
	void *session = subscription->runner.sessions.database;
	atomic_store(&subscription->number, session ? port_number(database, session) : 0);
}

void session_forget_context(struct tide_subscription *subscription)
{
	struct runner *runner = &subscription->runner;
	const struct tide_subscriber *subscriber = &subscription->subscriber;
	if (runner->sessions.context && subscriber->context_free)
		subscriber->context_free(subscriber->self, runner->sessions.context);
	runner->sessions.context = NULL;
}

/* What the subscriber made for the connection goes with it. */
static void session_detach(struct tide_subscription *subscription)
{
	struct runner *runner = &subscription->runner;
	const struct tide_store *database = subscription->engine->checkpoints->database;
	const struct tide_subscriber *subscriber = &subscription->subscriber;
	if (!subscriber->transactional)
		return;
	session_forget_context(subscription);
	if (runner->sessions.attachment != ATTACHMENT_NONE && subscriber->detach)
		subscriber->detach(subscriber->self,
				   port_connection(database, runner->sessions.database));
	runner->sessions.attachment = ATTACHMENT_NONE;
}

static tide_status session_make_context(struct tide_subscription *subscription, void *connection,
					struct tide_error *err)
{
	const struct tide_subscriber *subscriber = &subscription->subscriber;
	const struct lanes *lanes = &subscription->lanes;
	struct tide_lane lane = { lanes->index, lanes->total ? lanes->total : 1 };
	assert(!subscription->runner.sessions.context);
	return subscriber->context_new
		       ? subscriber->context_new(subscriber->self, lane, connection,
						 &subscription->runner.sessions.context, err)
		       : TIDE_OK;
}

/* Tables are made by one lane at a time: two that find none would both make them. */
static void session_take_turn(const struct tide_subscription *subscription)
{
	struct tide_subscription *head = subscription->lanes.head;
	if (!head)
		return;
	mutex_lock(&head->lock);
	while (head->lanes.preparing)
		cond_wait(&head->changed, &head->lock);
	head->lanes.preparing = subscription;
	mutex_unlock(&head->lock);
}

static void session_leave_turn(const struct tide_subscription *subscription)
{
	struct tide_subscription *head = subscription->lanes.head;
	if (!head)
		return;
	mutex_lock(&head->lock);
	assert(head->lanes.preparing == subscription);
	head->lanes.preparing = NULL;
	cond_broadcast(&head->changed);
	mutex_unlock(&head->lock);
}

static tide_status session_prepare_in(struct tide_subscription *subscription,
				      struct tide_error *err)
{
	const struct tide_subscriber *subscriber = &subscription->subscriber;
	const struct tide_store *database = session_database(subscription);
	void *session = subscription->runner.sessions.database;
	void *connection = port_connection(database, session);
	tide_status status = TIDE_OK;

	if (subscriber->prepare)
		status = subscriber->prepare(subscriber->self, connection, err);
	if (status == TIDE_OK)
		status = session_make_context(subscription, connection, err);
	if (status == TIDE_OK)
		status = port_check(database, session, err);
	return status == TIDE_OK ? port_commit(database, session, err) : status;
}

/* A transaction that fails leaves nothing made, and the subscriber lets go of what it had. */
static tide_status session_prepare_connection(struct tide_subscription *subscription,
					      struct tide_error *err)
{
	struct runner *runner = &subscription->runner;
	const struct tide_store *database = session_database(subscription);
	tide_status status = port_begin(database, runner->sessions.database, err);
	if (status != TIDE_OK)
		return status;

	session_note_number(subscription);
	status = session_prepare_in(subscription, err);
	if (status == TIDE_OK) {
		runner->sessions.attachment = ATTACHMENT_PREPARED;
		return TIDE_OK;
	}
	runner->sessions.attachment = ATTACHMENT_MADE;
	session_detach(subscription);
	port_rollback(database, runner->sessions.database);
	return status;
}

tide_status session_prepare(struct tide_subscription *subscription, struct tide_error *err)
{
	struct runner *runner = &subscription->runner;
	assert(runner->sessions.database && !transaction_is_open(&runner->transaction));
	const struct tide_subscriber *subscriber = &subscription->subscriber;
	if (!subscriber->transactional)
		return runner->sessions.context ? TIDE_OK
						: session_make_context(subscription, NULL, err);
	if ((!subscriber->prepare && !subscriber->context_new) ||
	    runner->sessions.attachment == ATTACHMENT_PREPARED)
		return TIDE_OK;
	session_take_turn(subscription);
	tide_status status = session_prepare_connection(subscription, err);
	session_leave_turn(subscription);
	return status;
}

static tide_status session_open_rows(struct tide_subscription *subscription, struct tide_error *err)
{
	const struct engine *engine = subscription->engine;
	const struct tide_store *database = engine->checkpoints->database;
	void **session = &subscription->runner.sessions.database;
	assert(!*session);
	tide_status status = port_session_open(database, session, err);
	double wait = subscription->config.processing_timeout; /* between two statements */
	const struct tide_session_limits limits = {
		.lease = engine->lease_seconds,
		.idle_in_transaction =
			engine->lease_seconds + (subscription->subscriber.is_prompt ? 0 : wait),
		.appends = subscription->subscriber.appends,
	};

	if (status == TIDE_OK)
		port_limit(database, *session, &limits);
	return status;
}

tide_status session_open(struct tide_subscription *subscription, struct tide_error *err)
{
	struct runner *runner = &subscription->runner;
	struct tide_store *feed = subscription->engine->store;
	struct tide_store *database = subscription->engine->checkpoints->database;
	tide_status status = TIDE_OK;
	if (!runner->sessions.database || !runner->sessions.feed)
		runner->look.at = (struct mono_time){ 0 };
	if (!runner->sessions.database)
		status = session_open_rows(subscription, err);
	if (status == TIDE_OK && !runner->sessions.feed) {
		runner->sessions.feed = feed == database ? runner->sessions.database : NULL;
		if (!runner->sessions.feed)
			status = port_session_open(feed, &runner->sessions.feed, err);
	}

	if (status == TIDE_OK && runner->sessions.database != subscription->interruption.session) {
		interrupt_offer(subscription);
		session_note_number(subscription);
	}
	return status == TIDE_OK ? session_attach(subscription, err) : status;
}

bool session_is_unanswered(const struct tide_subscription *subscription)
{
	const struct tide_store *database = subscription->engine->checkpoints->database;
	void *session = subscription->runner.sessions.database;
	return session && port_await(database, session, TIDE_AWAIT_NOTHING, NULL) == TIDE_TIMEOUT;
}

void session_close(struct tide_subscription *subscription)
{
	struct runner *runner = &subscription->runner;
	assert(runner->sessions.database || !runner->sessions.feed);
	struct tide_store *feed = subscription->engine->store;
	struct tide_store *database = subscription->engine->checkpoints->database;

	interrupt_withdraw(subscription);
	session_detach(subscription);
	if (runner->sessions.feed && runner->sessions.feed != runner->sessions.database)
		port_session_close(feed, runner->sessions.feed);
	if (runner->sessions.database)
		port_session_close(database, runner->sessions.database);
	runner->sessions.database = runner->sessions.feed = NULL;
	session_note_number(subscription);
}
