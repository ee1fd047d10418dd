/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_PATH_SESSION_H
#define TIDE_PATH_SESSION_H

/*
 * What a run asks of its databases, on the sessions that it has open (session_open): each a call by
 * name, which writes under the run's own fence. All of them belong to the thread that steps it;
 * errors are those of the backend.
 */

#include <tidemark/backend.h>

struct append_batch;
struct tide_subscription;

/** What a subscriber has made for a connection, or, when it writes to none, for a run. */
struct attachment {
	struct attachment *next;
	uint64_t number;  /* of the connection; 0: it is for none */
	void *connection; /* it may be in other hands, or gone */
	void *context;    /* NULL: none was made */
};

/** The sessions that a run has open. */
struct sessions {
	void *database; /* of the checkpoints; also of the feed when it is the same store */
	void *feed;     /* of the event store */
	const void *reached, *reached_feed; /* of these, when the database has been there */
	/* of connections that it has had, the one used last first: where several are shared it
	 * comes back to them */
	struct attachment *attached;
};

/* ---- Opening and closing --------------------------------------------------------------------- */

/** Whether an operation may begin: it has a connection, or need not have one. Else it is rung once
 * it should be asked again. */
bool session_enter(struct tide_subscription *subscription);
/** Others may have what it has, while no transaction is open. */
void session_rest(struct tide_subscription *subscription);
/** Open what is not open. */
tide_status session_open(struct tide_subscription *subscription, struct tide_error *err);
/** Have the subscriber make what it needs, and its tables, once for each connection; for the owner,
 * with no transaction open. */
tide_status session_prepare(struct tide_subscription *subscription, struct tide_error *err);
void session_close(struct tide_subscription *subscription);
/** What the subscriber has made for the calls on this connection. */
void *session_context(const struct tide_subscription *subscription);
/** Let go of what the subscriber made for its calls. */
void session_forget_context(struct tide_subscription *subscription);
/** Whether others may save for it, so that it needs no connection to. */
bool session_combines(const struct tide_subscription *subscription);
/** Whether a write of the run's session was not answered in time, and nothing was asked of it
 * since: what became of it is unknown. */
bool session_is_unanswered(const struct tide_subscription *subscription);
/** Keep the number of what it writes through, for who asks what that waits for. */
void session_note_number(struct tide_subscription *subscription);

/* ---- The database of the checkpoints: a transaction ------------------------------------------ */

tide_status session_begin(struct tide_subscription *subscription, struct tide_error *err);
tide_status session_commit(struct tide_subscription *subscription, struct tide_error *err);
void session_rollback(struct tide_subscription *subscription);
tide_status session_savepoint(struct tide_subscription *subscription, struct tide_error *err);
tide_status session_release_savepoint(struct tide_subscription *subscription,
				      struct tide_error *err);
tide_status session_rollback_to(struct tide_subscription *subscription, struct tide_error *err);
/** Whether the transaction is still there, and can be committed. */
tide_status session_check(struct tide_subscription *subscription, struct tide_error *err);
/** Append to the store in the open transaction, which is its own. */
tide_status session_append(struct tide_subscription *subscription, const struct append_batch *batch,
			   struct tide_error *err);
/** What a transactional handler writes by. */
void *session_connection(struct tide_subscription *subscription);

/* ---- Its rows -------------------------------------------------------------------------------- */

tide_status session_save(struct tide_subscription *subscription,
			 const struct tide_checkpoint_write *write, struct tide_error *err);
tide_status session_load(struct tide_subscription *subscription, struct tide_checkpoint *ret,
			 struct tide_error *err);
tide_status session_dead_letter_add(struct tide_subscription *subscription,
				    const struct tide_dead_letter_write *write, int64_t *ret,
				    struct tide_error *err);
tide_status session_dead_letter_change(struct tide_subscription *subscription,
				       const struct tide_dead_letter_change *change,
				       struct tide_error *err);
tide_status session_dead_letter_get(struct tide_subscription *subscription, int64_t id,
				    struct tide_dead_letter_list *ret, struct tide_error *err);
tide_status session_dead_letter_list(struct tide_subscription *subscription,
				     const struct tide_dead_letter_filter *filter,
				     struct tide_dead_letter_list *ret, struct tide_error *err);

/* ---- Its lease ------------------------------------------------------------------------------- */

tide_status session_lease_acquire(struct tide_subscription *subscription, struct tide_lease *ret,
				  struct tide_error *err);
/** Mark the event that is handed over next; 0: no event is. */
tide_status session_lease_mark(struct tide_subscription *subscription, tide_position position,
			       int32_t deaths, struct tide_error *err);
/** Keep a note beside it, where that is kept. */
tide_status session_lease_note(struct tide_subscription *subscription,
			       const struct tide_lease_note *note, struct tide_error *err);
tide_status session_lease_release(struct tide_subscription *subscription, struct tide_error *err);

/* ---- The event store ------------------------------------------------------------------------- */

/** The page is in order and within the bounds of the query. */
tide_status session_read(struct tide_subscription *subscription,
			 const struct tide_page_query *query, struct tide_page *page,
			 struct tide_error *err);
tide_status session_find(struct tide_subscription *subscription, const struct tide_uuid *event_id,
			 struct tide_page *page, struct tide_error *err);
tide_status session_end(struct tide_subscription *subscription, tide_position *ret,
			struct tide_error *err);

#endif
