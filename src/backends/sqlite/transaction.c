/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sessions, and the transaction that a handler shares with its checkpoint.
 *
 * Happy path: begin, savepoint, the handler writes, check, release, checkpoint, commit. Fails when:
 * another writer holds the file past the busy wait (busy), or the handler ended the transaction
 * (state). A handler that ends it and begins another one is found by the hooks that SQLite calls at
 * every commit and rollback.
 */

#include "backends/sqlite/internal.h"

static const char transaction_begin[] = "BEGIN IMMEDIATE";
static const char transaction_commit[] = "COMMIT";
static const char transaction_rollback[] = "ROLLBACK";

static void session_note_end(struct sqlite_session *session)
{
	if (session->is_delivering && !session->is_ending)
		session->was_ended = true;
}

static int session_on_commit(void *self)
{
	session_note_end(self);
	return 0;
}

static void session_on_rollback(void *self)
{
	session_note_end(self);
}

static bool session_in_transaction(struct sqlite_session *session)
{
	return sqlite_is_in_transaction(&session->connection);
}

static struct sqlite_session *session_new(struct sqlite_store *store, struct tide_error *err)
{
	struct sqlite_session *session = alloc_zero(1, sizeof *session);
	if (!session) {
		alloc_fail(err);
		return NULL;
	}
	session->store = store;
	sqlite_connection_init(store, &session->connection);
	session->connection.turn = &store->turn;
	return session;
}

tide_status sqlite_session_open(void *self, void **ret, struct tide_error *err)
{
	struct sqlite_store *store = self;
	struct sqlite_session *session = session_new(store, err);
	if (!session)
		return TIDE_OUT_OF_MEMORY;
	tide_status status = sqlite_place_check(store, err);
	if (status == TIDE_OK)
		status = sqlite_link_open(&session->connection, false, store->is_projection_full,
					  err);
	if (status == TIDE_OK)
		*ret = session;
	else
		tide_free(session);
	return status;
}

/* ---- Sharing links --------------------------------------------------------------------------- */

tide_status sqlite_session_share(void *store, void (*ring)(void *self), void *self, void **ret,
				 struct tide_error *err)
{
	(void)ring; /* who has to wait for a link does so for some statements of others */
	(void)self;
	struct sqlite_store *file = store;
	if (file->is_memory)
		return sqlite_session_open(file, ret, err);
	struct sqlite_session *session = session_new(file, err);
	if (!session)
		return TIDE_OUT_OF_MEMORY;
	sqlite_links_enter(&file->links, &session->connection);
	*ret = session;
	return TIDE_OK;
}

tide_status sqlite_session_ready(void *self, uint64_t *ret, struct tide_error *err)
{
	struct sqlite_session *session = self;
	*ret = 1; /* what a subscriber has attached to is kept */
	return sqlite_links_take(&session->connection, err);
}

void sqlite_session_rest(void *self)
{
	struct sqlite_session *session = self;
	if (!session_in_transaction(session))
		sqlite_links_give(&session->connection);
}

/* What commits events is flushed where appends are. */
void sqlite_session_limit(void *self, const struct tide_session_limits *limits)
{
	struct sqlite_session *session = self;
	const struct sqlite_store *store = session->store;
	session->must_be_full =
		limits->appends && store->is_append_full && !store->is_projection_full;
}

void sqlite_session_close(void *self)
{
	struct sqlite_session *session = self;
	if (!session)
		return;
	sqlite_rollback(session);
	sqlite_links_leave(&session->connection);
	sqlite_disconnect(&session->connection);
	buffer_fini(&session->scratch);
	tide_free(session);
}

/* Begin, and see that the tables are as they must be. */
static tide_status session_begin_checked(struct sqlite_session *session, struct tide_error *err)
{
	tide_status status = sqlite_place_check_now_and_then(session->store, err);
	if (status == TIDE_OK)
		status = sqlite_run(&session->connection, transaction_begin, err);
	if (status != TIDE_OK)
		return status;
	status = sqlite_schema_look(session->store, &session->connection, err);
	if (status != TIDE_OK && session_in_transaction(session))
		sqlite_run(&session->connection, transaction_rollback, NULL);
	return status;
}

tide_status sqlite_write_begin(struct sqlite_session *session, bool *ret_joined,
			       struct tide_error *err)
{
	if (session_in_transaction(session)) {
		*ret_joined = true;
		return TIDE_OK;
	}
	tide_status status = session_begin_checked(session, err);
	if (status == TIDE_OK)
		*ret_joined = false;
	return status;
}

tide_status sqlite_write_end(struct sqlite_session *session, bool joined, tide_status status,
			     struct tide_error *err)
{
	if (joined)
		return status;
	if (status == TIDE_OK)
		status = sqlite_run(&session->connection, transaction_commit, err);
	if (status != TIDE_OK && session_in_transaction(session))
		sqlite_run(&session->connection, transaction_rollback, NULL);
	return status;
}

/* Within a transaction nothing can be changed about it. */
static tide_status session_make_full(struct sqlite_session *session, struct tide_error *err)
{
	if (!session->must_be_full)
		return TIDE_OK;
	tide_status status = sqlite_script(&session->connection, "PRAGMA synchronous = FULL", err);
	session->must_be_full = status != TIDE_OK;
	if (status == TIDE_OK)
		sqlite_links_keep(&session->connection);
	return status;
}

tide_status sqlite_begin(void *self, struct tide_error *err)
{
	struct sqlite_session *session = self;
	tide_status status = session_make_full(session, err);
	if (status == TIDE_OK)
		status = session_begin_checked(session, err);
	if (status != TIDE_OK)
		return status;
	session->is_delivering = true;
	session->was_ended = false;
	sqlite_delivery_begin(session);
	sqlite3_commit_hook(session->connection.handle, session_on_commit, session);
	sqlite3_rollback_hook(session->connection.handle, session_on_rollback, session);
	return TIDE_OK;
}

/* Others may have its link behind it, and are not told of by what was set for it. */
static void session_end_delivery(struct sqlite_session *session)
{
	if (!session->is_delivering)
		return;
	session->is_delivering = false;
	sqlite_delivery_end(session);
	sqlite3_commit_hook(session->connection.handle, NULL, NULL);
	sqlite3_rollback_hook(session->connection.handle, NULL, NULL);
}

tide_status sqlite_commit(void *self, struct tide_error *err)
{
	struct sqlite_session *session = self;
	tide_status status = sqlite_check(session, err);
	if (status != TIDE_OK)
		return status;
	session->is_ending = true;
	status = sqlite_run(&session->connection, transaction_commit, err);
	session->is_ending = false;
	if (status != TIDE_OK)
		return status;
	session_end_delivery(session);
	return TIDE_OK;
}

void sqlite_rollback(void *self)
{
	struct sqlite_session *session = self;
	session->is_ending = true;
	if (session_in_transaction(session))
		sqlite_run(&session->connection, transaction_rollback, NULL);
	sqlite_connection_look(&session->connection);
	session->is_ending = false;
	session_end_delivery(session);
	session->was_ended = false;
}

tide_status sqlite_savepoint(void *self, struct tide_error *err)
{
	struct sqlite_session *session = self;
	return sqlite_run(&session->connection, "SAVEPOINT tide", err);
}

tide_status sqlite_release(void *self, struct tide_error *err)
{
	struct sqlite_session *session = self;
	tide_status status = sqlite_check(session, err);
	if (status != TIDE_OK)
		return status;
	return sqlite_run(&session->connection, "RELEASE tide", err);
}

tide_status sqlite_rollback_to(void *self, struct tide_error *err)
{
	struct sqlite_session *session = self;
	tide_status status = sqlite_check(session, err);
	if (status != TIDE_OK)
		return status;
	/* Rolling back to a savepoint keeps it, releasing removes it. */
	status = sqlite_run(&session->connection, "ROLLBACK TO tide", err);
	if (status != TIDE_OK)
		return status;
	return sqlite_run(&session->connection, "RELEASE tide", err);
}

/* SQLite rolls a transaction back by itself after some errors
 * (https://www.sqlite.org/lang_transaction.html, 2.3). */
static bool session_was_aborted(struct sqlite_session *session, int code)
{
	if (session_in_transaction(session))
		return false;
	switch (code & 0xff) {
	case SQLITE_FULL:
	case SQLITE_IOERR:
	case SQLITE_NOMEM:
	case SQLITE_BUSY:
	case SQLITE_INTERRUPT:
	case SQLITE_CORRUPT:
		return true;
	default:
		return false;
	}
}

tide_status sqlite_check(void *self, struct tide_error *err)
{
	struct sqlite_session *session = self;
	if (session_in_transaction(session) && !session->was_ended)
		return TIDE_OK;
	int code = sqlite3_extended_errcode(session->connection.handle);
	if (session_was_aborted(session, code))
		return sqlite_fail(&session->connection, code,
				   "the delivery transaction was rolled back", err);
	return tide_fail(err, TIDE_STATE, "handler ended the delivery transaction");
}

void sqlite_interrupt(void *self)
{
	struct sqlite_session *session = self;
	sqlite_links_interrupt(&session->connection);
}

/* What a subscriber makes for a connection stays with it. */
void *sqlite_native(void *self)
{
	struct sqlite_session *session = self;
	sqlite_links_keep(&session->connection);
	return session->connection.handle;
}
