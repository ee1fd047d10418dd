/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The run's sessions: of the database with its checkpoints, and of the feed, one and the same where
 * these are one store.
 *
 * Happy path: opened when first needed; before a transaction the subscriber is attached, and its
 * tables prepared, once on each connection. Where the database has subscriptions share connections
 * (session_enter, session_rest), what was made for each that a run has had is kept for when it has
 * that one again.
 * Failure modes: one cannot be opened, or is lost: both are opened anew at the next try, and what
 * the run stands on is looked at before anything is believed (start_look).
 */
#include "path/session.h"

#include <assert.h>

#include "path/append.h"
#include "path/interrupt.h"
#include "path/port.h"
#include "sys/alloc.h"

/* connections that one subscriber has made something for, at a time */
#define SESSION_ATTACHED_MAX 128

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

/* ---- What a subscriber makes for a connection ------------------------------------------------ */

void session_note_number(struct tide_subscription *subscription)
{
	const struct tide_store *database = subscription->engine->checkpoints->database;
	void *session = subscription->runner.sessions.database;
	atomic_store(&subscription->number, session ? port_number(database, session) : 0);
}

static void session_free_context(const struct tide_subscription *subscription,
				 struct attachment *attachment)
{
	const struct tide_subscriber *subscriber = &subscription->subscriber;
	if (attachment->context && subscriber->context_free)
		subscriber->context_free(subscriber->self, attachment->context);
	attachment->context = NULL;
}

void *session_context(const struct tide_subscription *subscription)
{
	const struct attachment *attachment = subscription->runner.sessions.attached;
	return attachment ? attachment->context : NULL;
}

/* Nothing else of a subscriber without a connection lasts for longer than a run. */
void session_forget_context(struct tide_subscription *subscription)
{
	struct sessions *sessions = &subscription->runner.sessions;
	for (struct attachment *at = sessions->attached; at; at = at->next)
		session_free_context(subscription, at);
	if (!subscription->subscriber.transactional) {
		tide_free(sessions->attached);
		sessions->attached = NULL;
	}
}

/* What the subscriber made for the connection goes. */
static void session_detach_one(struct tide_subscription *subscription, struct attachment **at)
{
	const struct tide_subscriber *subscriber = &subscription->subscriber;
	struct attachment *attachment = *at;
	*at = attachment->next;
	session_free_context(subscription, attachment);
	if (subscriber->detach)
		subscriber->detach(subscriber->self, attachment->connection);
	tide_free(attachment);
}

static void session_detach(struct tide_subscription *subscription)
{
	struct sessions *sessions = &subscription->runner.sessions;
	while (subscription->subscriber.transactional && sessions->attached)
		session_detach_one(subscription, &sessions->attached);
}

/* One that has gone may have left its address to another one. */
static void session_forget_others(struct tide_subscription *subscription, const void *connection)
{
	struct attachment **at = &subscription->runner.sessions.attached;
	for (size_t count = 1; *at; count++)
		if ((*at)->connection == connection || count == SESSION_ATTACHED_MAX)
			session_detach_one(subscription, at);
		else
			at = &(*at)->next;
}

static bool session_find_attached(struct sessions *sessions, uint64_t number)
{
	for (struct attachment **at = &sessions->attached; *at; at = &(*at)->next) {
		struct attachment *found = *at;
		if (found->number != number)
			continue;
		*at = found->next;
		found->next = sessions->attached;
		sessions->attached = found;
		return true;
	}
	return false;
}

static tide_status session_add_attached(struct sessions *sessions, uint64_t number,
					void *connection, struct tide_error *err)
{
	struct attachment *attachment = alloc_zero(1, sizeof *attachment);
	if (!attachment)
		return alloc_fail(err);
	*attachment = (struct attachment){ .next = sessions->attached,
					   .number = number,
					   .connection = connection };
	sessions->attached = attachment;
	return TIDE_OK;
}

/* Have the first attachment be that of the connection which transactions are on. `*ret_is_new`:
 * nothing is prepared there yet. */
static tide_status session_attach(struct tide_subscription *subscription, bool *ret_is_new,
				  struct tide_error *err)
{
	const struct tide_subscriber *subscriber = &subscription->subscriber;
	const struct tide_store *database = session_database(subscription);
	struct sessions *sessions = &subscription->runner.sessions;
	uint64_t number = 0;
	tide_status status = port_ready(database, sessions->database, &number, err);
	if (status != TIDE_OK || session_find_attached(sessions, number))
		return status;

	/* what was prepared last may not be committed yet */
	status = port_await(database, sessions->database, TIDE_AWAIT_ANSWER, err);
	void *connection = status == TIDE_OK ? port_connection(database, sessions->database) : NULL;
	session_forget_others(subscription, connection);
	if (status == TIDE_OK && subscriber->attach)
		status = subscriber->attach(subscriber->self, connection, err);
	if (status == TIDE_OK)
		status = session_add_attached(sessions, number, connection, err);
	*ret_is_new = status == TIDE_OK;
	return status;
}

static tide_status session_make_context(struct tide_subscription *subscription, void *connection,
					struct tide_error *err)
{
	const struct tide_subscriber *subscriber = &subscription->subscriber;
	const struct lanes *lanes = &subscription->lanes;
	struct tide_lane lane = { lanes->index, lanes->total ? lanes->total : 1 };
	struct attachment *attachment = subscription->runner.sessions.attached;
	assert(attachment && !attachment->context);
	return subscriber->context_new ? subscriber->context_new(subscriber->self, lane, connection,
								 &attachment->context, err)
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

/* A transaction that fails leaves nothing made, and the subscriber lets go of what it had: where it
 * is attached it has prepared. */
static tide_status session_prepare_connection(struct tide_subscription *subscription,
					      struct tide_error *err)
{
	struct runner *runner = &subscription->runner;
	const struct tide_store *database = session_database(subscription);
	tide_status status = port_begin(database, runner->sessions.database, err);
	if (status != TIDE_OK) {
		session_detach_one(subscription, &runner->sessions.attached);
		return status;
	}

	session_note_number(subscription);
	status = session_prepare_in(subscription, err);
	if (status != TIDE_OK) {
		session_detach_one(subscription, &runner->sessions.attached);
		port_rollback(database, runner->sessions.database);
	}
	return status;
}

/* For a subscriber that writes to no connection. */
static tide_status session_prepare_run(struct tide_subscription *subscription,
				       struct tide_error *err)
{
	struct sessions *sessions = &subscription->runner.sessions;
	if (session_context(subscription))
		return TIDE_OK;
	tide_status status =
		sessions->attached ? TIDE_OK : session_add_attached(sessions, 0, NULL, err);
	return status == TIDE_OK ? session_make_context(subscription, NULL, err) : status;
}

tide_status session_prepare(struct tide_subscription *subscription, struct tide_error *err)
{
	struct runner *runner = &subscription->runner;
	assert(runner->sessions.database && !transaction_is_open(&runner->transaction));
	const struct tide_subscriber *subscriber = &subscription->subscriber;
	if (!subscriber->transactional)
		return session_prepare_run(subscription, err);

	bool is_new = false;
	tide_status status = session_attach(subscription, &is_new, err);
	if (status != TIDE_OK || !is_new || (!subscriber->prepare && !subscriber->context_new))
		return status;
	session_take_turn(subscription);
	status = session_prepare_connection(subscription, err);
	session_leave_turn(subscription);
	return status;
}

/* ---- Opening and closing --------------------------------------------------------------------- */

static void session_ring(void *self)
{
	struct tide_subscription *subscription = self;
	wakeup_ring(&subscription->wakeup, RING_CONTROL);
}

static tide_status session_open_rows(struct tide_subscription *subscription, struct tide_error *err)
{
	const struct engine *engine = subscription->engine;
	const struct tide_store *database = engine->checkpoints->database;
	void **session = &subscription->runner.sessions.database;
	assert(!*session);
	tide_status status = port_session_share(database, session_ring, subscription, session, err);
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

static tide_status session_make(struct tide_subscription *subscription, struct tide_error *err)
{
	struct runner *runner = &subscription->runner;
	struct sessions *sessions = &runner->sessions;
	const struct tide_store *feed = subscription->engine->store;
	const struct tide_store *database = subscription->engine->checkpoints->database;
	tide_status status = TIDE_OK;
	if (!sessions->database || !sessions->feed)
		runner->look.at = (struct mono_time){ 0 };

	if (!sessions->database)
		status = session_open_rows(subscription, err);
	if (status != TIDE_OK || sessions->feed)
		return status;
	if (feed != database)
		return port_session_share(feed, session_ring, subscription, &sessions->feed, err);
	sessions->feed = sessions->database;
	return TIDE_OK;
}

static void session_close_feed(struct tide_subscription *subscription)
{
	struct sessions *sessions = &subscription->runner.sessions;
	if (sessions->feed && sessions->feed != sessions->database)
		port_session_close(subscription->engine->store, sessions->feed);
	sessions->feed = NULL;
	sessions->reached_feed = NULL;
}

static void session_close_all(struct tide_subscription *subscription)
{
	struct sessions *sessions = &subscription->runner.sessions;
	session_close_feed(subscription);
	if (sessions->database)
		port_session_close(session_database(subscription), sessions->database);
	sessions->database = NULL;
	sessions->reached = NULL;
}

/* Where it cannot be reached there is no session, as far as anybody sees. */
static tide_status session_reach(struct tide_subscription *subscription, struct tide_error *err)
{
	struct sessions *sessions = &subscription->runner.sessions;
	uint64_t number;
	if (sessions->reached != sessions->database) {
		tide_status status = port_ready(session_database(subscription), sessions->database,
						&number, err);
		if (status != TIDE_OK) {
			session_close_all(subscription);
			return status;
		}
	}

	sessions->reached = sessions->database;
	if (sessions->reached_feed != sessions->feed && sessions->feed != sessions->database) {
		tide_status status =
			port_ready(subscription->engine->store, sessions->feed, &number, err);
		if (status != TIDE_OK) {
			session_close_feed(subscription);
			return status;
		}
	}
	sessions->reached_feed = sessions->feed;
	return TIDE_OK;
}

tide_status session_open(struct tide_subscription *subscription, struct tide_error *err)
{
	tide_status status = session_make(subscription, err);
	if (status == TIDE_OK)
		status = session_reach(subscription, err);
	if (status != TIDE_OK)
		return status;
	if (subscription->runner.sessions.database != subscription->interruption.session)
		interrupt_offer(subscription);
	session_note_number(subscription);
	return TIDE_OK;
}

static bool session_is_shared(const struct tide_subscription *subscription)
{
	return port_shares(subscription->engine->checkpoints->database) ||
	       port_shares(subscription->engine->store);
}

/* Who has the one and not the other keeps neither. */
bool session_enter(struct tide_subscription *subscription)
{
	const struct runner *runner = &subscription->runner;
	if (!session_is_shared(subscription) || transaction_is_open(&runner->transaction))
		return true;
	if (session_make(subscription, NULL) != TIDE_OK) /* session_open says why */
		return true;

	const struct sessions *sessions = &runner->sessions;
	const struct tide_store *database = session_database(subscription);
	if (!port_take(database, sessions->database))
		return false;
	bool has_all = sessions->feed == sessions->database ||
		       port_take(subscription->engine->store, sessions->feed);
	if (!has_all)
		port_rest(database, sessions->database);
	return has_all;
}

void session_rest(struct tide_subscription *subscription)
{
	const struct runner *runner = &subscription->runner;
	const struct sessions *sessions = &runner->sessions;
	if (transaction_is_open(&runner->transaction) || !sessions->database ||
	    !session_is_shared(subscription))
		return;
	port_rest(session_database(subscription), sessions->database);
	if (sessions->feed && sessions->feed != sessions->database)
		port_rest(subscription->engine->store, sessions->feed);
	session_note_number(subscription);
}

bool session_combines(const struct tide_subscription *subscription)
{
	const struct sessions *sessions = &subscription->runner.sessions;
	const struct tide_store *database = subscription->engine->checkpoints->database;
	bool is_reached = sessions->database && sessions->reached == sessions->database &&
			  sessions->feed && sessions->reached_feed == sessions->feed;
	return is_reached && port_combines(database, sessions->database);
}

bool session_is_unanswered(const struct tide_subscription *subscription)
{
	const struct tide_store *database = subscription->engine->checkpoints->database;
	void *session = subscription->runner.sessions.database;
	return session && port_await(database, session, TIDE_AWAIT_NOTHING, NULL) == TIDE_TIMEOUT;
}

void session_close(struct tide_subscription *subscription)
{
	assert(subscription->runner.sessions.database || !subscription->runner.sessions.feed);
	interrupt_withdraw(subscription);
	session_detach(subscription);
	session_close_all(subscription);
	session_note_number(subscription);
}
