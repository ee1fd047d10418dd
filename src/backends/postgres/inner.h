/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_POSTGRES_INNER_H
#define TIDE_POSTGRES_INNER_H

/* The store and the session of this backend, as its files share them. */

#include <tidemark/backend.h>

#include <stdatomic.h>

#include "backends/postgres/connection.h"
#include "sys/combine.h"
#include "sys/mutex.h"
#include "sys/thread.h"

/** Rings other processes after commits, at most once per interval; its thread starts with the first
 * append. */
struct pg_bell {
	struct mutex lock;
	struct cond changed;
	struct thread thread;
	/* under lock */
	bool is_rung, is_stopping, is_running;
};

/** A connection that sessions of subscriptions take by turns. */
struct pg_seat {
	struct pg_connection connection;
	bool is_taken;
	const void *last; /* the session that had it last: what that has prepared there is good */
	uint64_t used;    /* when it was given back, in turns */
};

/** The connections of all sessions that share them, see seats.c. */
struct pg_seats {
	/* fixed after open */
	struct pg_seat *list; /* one more, for what must not wait for long */
	size_t count;

	/* under lock */
	struct mutex lock;
	struct cond changed;
	struct pg_session *first, **last; /* sessions that wait for a seat */
	size_t sessions;
	uint64_t turns;
};

/** Where the turn of an append that waits for a connection stands. */
enum pg_turn_state {
	PG_TURN_WAITING, /* or it has a connection */
	PG_TURN_TAKEN,   /* along, by one that has */
	PG_TURN_STORED,  /* by that one */
	PG_TURN_FAILED,  /* with it */
	PG_TURN_ALONE    /* to be done by itself: nothing of it is stored */
};

#define PG_GROUP_MAX 64 /* appends that share a statement */

/** An append on its way to a connection, in the frame of its caller. */
struct pg_turn {
	/* of one event, that another one may take along; NULL: it stays alone */
	const struct tide_commit *commit;
	struct pg_turn *next;             /* in the queue, then in the group */
	struct pg_connection *connection; /* that it has got; NULL: none */
	enum pg_turn_state state;         /* under the store's lock */
	enum pg_turn_state outcome; /* which it gets when it is settled, by who took it along */
	/* for the server's answer, from when the call first gets to the server; 0: it has not */
	struct mono_time deadline;
	struct tide_append_result result; /* of one that is stored */
	struct tide_error why;            /* of one that failed */
	struct cond changed;
};

/** A transaction that may own holes, but none at or below its floor. */
struct pg_floor {
	char transaction[32]; /* its virtualtransaction */
	tide_position floor;
};

/** An opened database. */
struct pg_store {
	/* fixed after open */
	struct pg_target target;
	char *schema;     /* as the catalog has it, without quotes */
	char *race_keys;  /* constraints that a lost race of appends breaks, each in a line */
	char channel[32]; /* of notifications */
	char *table;      /* of events, with its schema, quoted */
	int64_t busy_ns;  /* how long a call may wait for a connection or a server that restarts */
	double append_seconds; /* how long an append, or a write of a session, waits for answers */
	size_t pool_size;
	bool is_lazy; /* checkpoints outside of transactions are not flushed one by one */
	bool is_read_only;
	atomic_bool has_mark; /* tidemark_feed can be read */

	/* connections for appends; the list of idle ones is under lock */
	struct mutex lock;
	struct pg_connection *pool;
	struct pg_connection **idle;
	size_t idle_count;
	struct pg_turn *first, **last; /* appends that wait for one */
	size_t callers;                /* appends in progress */
	size_t crowd;                  /* the most of them lately */

	struct pg_seats seats; /* connections of subscriptions */
	struct combiner saves; /* that wait */

	/* what some session found, see gap.c; under lock */
	/* of the sequence: another one when it was restarted, or replaced with its table */
	int64_t numbering_file;
	tide_position settled; /* by its positions; 0 after a connection was lost */
	/* of who held the feed up for long: for those who ask and have not looked so long */
	struct pg_floor *floors;
	size_t floor_count;
	struct tide_anchor newest; /* that a subscription has read; position 0: none */

	_Atomic uint64_t losses; /* of connections */
	_Atomic int64_t look_at; /* when what correctness stands on is looked at again, ns */
	_Atomic int64_t print;   /* of the catalog, as it was good, see look.c */
	/* that of the catalog in which the index that leaps go by was looked for, and found */
	_Atomic int64_t leap_print;
	atomic_bool has_leap_index;
	atomic_bool may_mark;    /* the mark can be moved */
	_Atomic int64_t marked;  /* to here, by this process */
	_Atomic int64_t mark_at; /* when it may be moved again, ns */
	struct pg_bell bell;
};

/** What is known of the holes that transactions still running may fill; by the session's thread. */
struct pg_gap {
	tide_position seen; /* the greatest visible position at the last look at the holders */
	struct pg_floor *floors;
	size_t count;       /* of them, at that look */
	bool is_replica;    /* holders cannot be seen */
	int64_t horizon;    /* there: once transaction numbers below it have ended ... */
	tide_position upto; /* ... this is settled; 0: nothing is waited for */
	tide_position hole; /* which one holds the feed up; 0: none */
	struct mono_time since;
	bool is_told;
	int64_t wait_ns; /* until it is worth looking again */
};

/** Rows of one query of the feed. */
struct pg_chunk {
	PGresult *rows;
	int at, count, limit;
	tide_position settled; /* before its snapshot was taken */
	bool is_checked;       /* a look at the holders travels before it */
	/* its first row: the event that the one before ended with; position 0: it has none such */
	struct tide_anchor stand;
};

/** The feed read ahead, for reads that go on where the last one ended. */
struct pg_scan {
	struct pg_chunk chunk;
	struct pg_chunk next;    /* asked for; `rows` once it has been taken */
	bool is_asked;           /* next is on its way or has been taken */
	bool is_flying;          /* next has not been taken from the connection */
	bool is_held;            /* the last read ended before a hole: ask who may own it, too */
	tide_position at;        /* where the last read ended */
	uint64_t shape;          /* of the filter */
	struct tide_anchor last; /* that was taken */
};

/** The place of a session among those that share connections. */
struct pg_place {
	bool is_shared;
	void (*ring)(void *self); /* a seat has been granted */
	void *self;
	/* by the session's thread, changed under the lock of the seats */
	struct pg_seat *seat;   /* of transactions, and of all else while there is none beside it */
	struct pg_seat *beside; /* that reads; NULL: the other does */
	/* under that lock */
	struct pg_seat *granted;
	struct pg_session *next; /* in the queue */
	bool is_queued, is_waiting, is_interrupted;
	bool has_asked; /* since it rested last, and there was none */
	int pins;       /* others that use the session, or its connections, right now */
};

/** One conversation: a connection that reads, and one for a transaction beside it, both opened when
 * needed. */
struct pg_session {
	struct pg_store *store;
	struct pg_connection own[2];           /* of a session that shares none */
	struct pg_connection *reader, *writer; /* never NULL; may be the same one */
	struct pg_place place;
	bool has_savepoint, is_released; /* in the transaction of the writer */
	bool is_untouched;   /* it has the savepoint that it began with, and nothing else */
	bool has_appended;   /* the transaction has events in it, and others hear of its commit */
	bool in_transaction; /* that of the writer */
	bool is_unsure;      /* whether its last save was made: another session's was to make it */
	bool is_writer_lost; /* only closing is left */
	int32_t lease_ms;    /* of ownerships acquired here */
	int64_t idle_ms;     /* that a transaction may be idle; 0: as the server has it */
	double answer_seconds;  /* that the answer to what commits is waited for at a time */
	tide_position settled;  /* every value at or below is visible or never will be */
	tide_position proven;   /* the part of it that looks by the reader's connection found */
	int64_t numbering_file; /* the life of the sequence that all this is about */
	uint64_t losses;        /* of the store, that this session has heard of */
	struct pg_gap gap;
	struct pg_scan scan;
	struct buffer scratch;
	char open_append[48]; /* the oldest one when last asked, and since when it was */
	struct mono_time open_since;
};

/* ---- store.c ---- */
tide_status pg_store_open(struct tide_url *url, const struct tide_store_options *options,
			  void **ret, struct tide_error *err);
void pg_store_close(void *store);
/** Note that a connection was lost: the server may have been replaced by another one. */
void pg_store_lost(struct pg_store *store);

/* ---- pool.c ---- */
/**
 * Wait for a connection of the pool, and for the appends that may share it: a list behind `turn`
 * which must be settled. Without a connection somebody else has settled this turn. TIDE_BUSY when
 * all are in use for too long.
 */
tide_status pg_pool_take(struct pg_store *store, struct pg_turn *turn, struct tide_error *err);
void pg_pool_give(struct pg_store *store, struct pg_connection *connection);
/** Let those who were taken along go on; who is nothing else by now is alone. */
void pg_pool_settle(struct pg_store *store, struct pg_turn *group);

/* ---- seats.c ---- */
tide_status pg_seats_init(struct pg_seats *seats, size_t count, struct tide_error *err);
void pg_seats_fini(struct pg_seats *seats);
void pg_seats_enter(struct pg_session *session);
/** Give back whatever it has, and forget that it waits. */
void pg_seats_leave(struct pg_session *session);
/** Whether what it has is for no transaction. */
bool pg_seats_has_extra(const struct pg_session *session);
/** Whether it has a seat, or is to have one. Threads: its own. */
bool pg_seats_has(struct pg_session *session);
/** Whether it has a seat by now; else it waits in the queue, and is rung. */
bool pg_seats_take(struct pg_session *session);
/** The same for one that is in the queue, which waits for its turn for some moments. */
bool pg_seats_await(struct pg_session *session, int64_t patience_ns);
/** See that there is a seat to write by, or one to read by, even where it has to be the one that is
 * kept for what must not wait. TIDE_BUSY: that was in use for too long, or it was interrupted. */
tide_status pg_seats_claim(struct pg_session *session, struct tide_error *err);
tide_status pg_seats_claim_reader(struct pg_session *session, struct tide_error *err);
void pg_seats_give(struct pg_session *session);
/** Whether each session can have a seat, so that none is waited for. */
bool pg_seats_suffice(struct pg_store *store);
/** End what runs on its connections, and waiting for one; any thread. */
void pg_seats_interrupt(struct pg_session *session);

/* ---- schema.c ---- */
#define PG_SCHEMA_VERSION 1
/** What the URL and the options say about the schema. */
struct pg_schema_wish {
	const char *name; /* NULL: where search_path leads */
	bool may_create;
	bool category_index; /* an index over aggregate_type, too */
};
/** Find the schema, create what is missing if `may_create`, and see that nothing else is. */
tide_status pg_schema_prepare(struct pg_store *store, struct pg_connection *connection,
			      const struct pg_schema_wish *wish, struct tide_error *err);
/** Check that positions come from a sequence that readers can follow, and tell its file. */
tide_status pg_schema_check_numbering(const struct pg_store *store,
				      struct pg_connection *connection, int64_t *ret_file,
				      struct tide_error *err);
/** The names of all tables as one parameter, events first. */
void pg_schema_put_tables(struct pg_params *params);
/** The indexes every schema should have; ends in NULL. */
const char *pg_schema_index(size_t number);

/* ---- keys.c ---- */
/** Refuse tables that lack the uniqueness which appends and upserts stand on; a table that is
 * missing is passed over. `ret_races` may be NULL, else it is what `race_keys` of a store is. */
tide_status pg_keys_check(struct pg_connection *connection, const char *schema,
			  const char *schema_dot, char **ret_races, struct tide_error *err);
/** Whether the last error of a connection is a lost race: another append was there first, with its
 * id or its version. */
bool pg_keys_tell_race(const struct pg_store *store, struct pg_connection *connection);
/** Refuse events at positions that their sequence has not come to. */
tide_status pg_keys_check_sequence(const struct pg_store *store, struct pg_connection *connection,
				   struct tide_error *err);

/* ---- columns.c ---- */
/** Refuse tables with a column that may be NULL, or that nothing is drawn for, where events could
 * not be kept so; a table that is missing is passed over. */
tide_status pg_columns_check(struct pg_connection *connection, const char *schema,
			     const char *schema_dot, struct tide_error *err);

/* ---- tables.c ---- */
/** Refuse tables with rows that row-level security may hide from this role. */
tide_status pg_tables_check(const struct pg_store *store, struct pg_connection *connection,
			    struct tide_error *err);
/** What doctor says of tables that lose or hide rows. */
tide_status pg_tables_examine(const struct pg_store *store, struct pg_connection *connection,
			      tide_report report, void *self, struct tide_error *err);

/* ---- look.c ---- */
/** Check all that correctness stands on, at opening: TIDE_SCHEMA names what is not as it must
 * be. */
tide_status pg_look_first(struct pg_store *store, struct pg_connection *connection,
			  struct tide_error *err);
/** Whether the last look is a second old, or found something. */
bool pg_look_is_due(const struct pg_store *store);
/** See whether anything of it was changed since it was good, and check it then. The connection must
 * be idle. */
tide_status pg_look(struct pg_store *store, struct pg_connection *connection,
		    struct tide_error *err);
/** Run a statement. After a change of a table that has outdated its plan, look what was changed
 * before it is prepared again; TIDE_BUSY when a transaction was broken by it. */
tide_status pg_run(struct pg_store *store, struct pg_connection *connection,
		   enum pg_statement statement, const struct pg_params *params, PGresult **ret,
		   struct tide_error *err);

/* ---- append.c, group.c ---- */
/**
 * Run one statement for the turn that has a connection and all that it has taken along, and settle
 * those. What the turn itself came to is in it: stored, failed, or alone, when it is to be tried by
 * itself.
 */
void pg_group_append(struct pg_store *store, struct pg_turn *leader);
/** What a stream must be at for the statement to append to it. */
enum { PG_APPEND_ANY = -1, PG_APPEND_EXISTS = -2, PG_APPEND_NEVER = -3 };
int32_t pg_append_required(const struct tide_commit *commit, int32_t ahead);
tide_status pg_append(void *store, const struct tide_commit *commits, size_t count,
		      struct tide_append_result *ret, struct tide_error *err);
tide_status pg_append_within(void *session, const struct tide_commit *commits, size_t count,
			     struct tide_append_result *ret, struct tide_error *err);

/* ---- session.c ---- */
tide_status pg_session_open(void *store, void **ret, struct tide_error *err);
tide_status pg_session_share(void *store, void (*ring)(void *self), void *self, void **ret,
			     struct tide_error *err);
bool pg_session_take(void *session);
bool pg_session_combines(void *session);
tide_status pg_session_ready(void *session, uint64_t *ret_number, struct tide_error *err);
void pg_session_rest(void *session);
void pg_session_close(void *session);
void pg_session_interrupt(void *session);
void pg_session_limit(void *session, const struct tide_session_limits *limits);
tide_status pg_session_await(void *session, enum tide_await how, struct tide_error *err);
/** Wait for the answer that one of its connections has not been given in time, within the limit. */
tide_status pg_session_settle(const struct pg_session *session, struct pg_connection *connection,
			      struct tide_error *err);
uint64_t pg_losses(void *store);
/** Take what is on its way, so that the connection can be used for something else. */
tide_status pg_session_land(struct pg_session *session, struct tide_error *err);
/** Forget what was read ahead. */
void pg_session_drop(struct pg_session *session);
/** Forget all that was settled and read ahead if a connection of the store was lost meanwhile; not
 * while rows are taken. */
void pg_session_heed_losses(struct pg_session *session);
/** Take from the socket what has arrived. */
void pg_session_drain(struct pg_session *session);
void pg_chunk_drop(struct pg_chunk *chunk);
/** Look again at what correctness stands on, when it is time; before a page is read. */
tide_status pg_session_look(struct pg_session *session, struct tide_error *err);
/** The connection outside of any transaction, with nothing on its way. */
tide_status pg_session_reader(struct pg_session *session, struct pg_connection **ret,
			      struct tide_error *err);
/** The connection of the open transaction, else any that is idle. */
tide_status pg_session_writer(struct pg_session *session, struct pg_connection **ret,
			      struct tide_error *err);
/** Run a statement on the reader, or on the writer. */
tide_status pg_read_run(struct pg_session *session, enum pg_statement statement,
			const struct pg_params *params, PGresult **ret, struct tide_error *err);
tide_status pg_write_run(struct pg_session *session, enum pg_statement statement,
			 const struct pg_params *params, PGresult **ret, struct tide_error *err);

/* ---- saves.c ---- */
/** Move a row, as PG_CHECKPOINT_MOVE_LAZY does with these parameters, together with those that
 * other sessions move at the same time; for a session without a seat. TIDE_BUSY: it has to be moved
 * alone, or the outcome is unknown, which pg_session_await tells. What else the statement came to
 * is told by who led. */
tide_status pg_saves_write(struct pg_session *session, const struct pg_params *params,
			   struct tide_error *err);

/* ---- row.c ---- */
/** Add a row to the page if its filter lets it pass: `*ret_fits` is false when the page has no room
 * for it. */
tide_status pg_row_add(struct pg_session *session, const PGresult *rows, int row,
		       const struct tide_filter *filter, struct tide_page *page, bool *ret_fits,
		       struct tide_error *err);
/** The greatest size of texts that come along with their row, bytes. */
int32_t pg_row_limit(const struct tide_page_query *query, int rows);

/* ---- gap.c, horizon.c, scan.c, leap.c, read.c ---- */
/** The statement that looks at the holders, and its parameters. */
enum pg_statement pg_gap_statement(const struct pg_session *session);
void pg_gap_put(const struct pg_session *session, struct pg_params *params);
/** After it failed: whether that was the mark's fault, which is left out from now on. */
bool pg_gap_goes_on_unmarked(struct pg_session *session);
/** Draw the conclusions from its result: what is settled. What reads by them must begin after that
 * statement. */
tide_status pg_gap_found(struct pg_session *session, const PGresult *rows, struct tide_error *err);
/** Leave the floors of this look for other sessions, and whether a transaction, by what any has
 * found, may own a hole below a position. */
void pg_gap_share_floors(struct pg_session *session);
bool pg_gap_may_own(const struct pg_session *session, const struct pg_floor *floor,
		    tide_position below);
/** Take over what other sessions of the store have found; before a query is sent, not while one is
 * on its way. */
void pg_gap_learn(struct pg_session *session);
/** Note that everything at or below is settled. */
void pg_gap_settle(struct pg_session *session, tide_position upto);
/** Note that the feed is held up at a hole, or that it is not. */
void pg_gap_hold(struct pg_session *session, tide_position hole);
bool pg_gap_is_held_long(const struct pg_session *session);
void pg_gap_release(struct pg_session *session);
/** Forget everything: nothing of it is true of another server, or another sequence. */
void pg_gap_void(struct pg_session *session);
void pg_gap_fini(struct pg_session *session);
tide_status pg_end(void *session, tide_position *ret, struct tide_error *err);
/** What is settled by a look now; it need not be all that a read could return. */
tide_status pg_settled(struct pg_session *session, tide_position *ret, struct tide_error *err);
tide_status pg_waiting_for(void *session, char *ret, size_t size, struct tide_error *err);
tide_status pg_horizon(void *session, struct tide_horizon *ret, struct tide_error *err);
/** Leave what was proven for readers that begin later, at most now and then; failing is of no
 * account. */
void pg_gap_mark(struct pg_session *session);
tide_status pg_scan_read(struct pg_session *session, const struct tide_page_query *query,
			 struct tide_page *page, struct tide_error *err);
/** The event at a position, as this session knows it, or another one of the store. */
struct tide_anchor pg_scan_known(const struct pg_session *session, tide_position position);
/** Note the event that was read last. */
void pg_scan_stand(struct pg_session *session, struct tide_anchor last);
/** Whether the first row is the event that was known; that another is there, or none, counts as a
 * lost connection. Position 0: nothing was known. */
tide_status pg_scan_verify(struct pg_session *session, struct tide_anchor stand,
			   const PGresult *rows, struct tide_error *err);
bool pg_scan_is_filtered(const struct tide_filter *filter);
struct tide_anchor pg_row_anchor(const PGresult *rows, int row);
/** Read by the index on the type; `*ret` is false when that cannot be, and nothing was read. */
tide_status pg_leap_read(struct pg_session *session, const struct tide_page_query *query,
			 struct tide_page *page, bool *ret, struct tide_error *err);
tide_status pg_stream_version(void *session, struct tide_stream stream, tide_version *ret,
			      struct tide_error *err);
tide_status pg_anchor(void *session, tide_position position, struct tide_anchor *ret,
		      bool *ret_may_come, struct tide_error *err);
tide_status pg_find(void *session, const struct tide_uuid *event_id, struct tide_page *page,
		    struct tide_error *err);
tide_status pg_read(void *session, const struct tide_page_query *query, struct tide_page *page,
		    struct tide_error *err);

/* ---- holder.c ---- */
#define PG_HOLDER_SIZE 320
/** The columns of `pg_holders`. */
enum pg_holder_column {
	PG_HOLDER_TRANSACTION,
	PG_HOLDER_PID,
	PG_HOLDER_APPLICATION,
	PG_HOLDER_USER,
	PG_HOLDER_SECONDS, /* NULL when the role may not know */
	PG_HOLDER_STATE,
	PG_HOLDER_QUERY,
	PG_HOLDER_GID /* of a prepared transaction */
};
/** The open appends, the oldest first: all, or those of `transactions`. */
tide_status pg_holders(struct pg_session *session, const char *transactions, PGresult **ret,
		       struct tide_error *err);
void pg_holder_describe(const PGresult *rows, int row, char ret[PG_HOLDER_SIZE]);
int64_t pg_session_number(void *session);
tide_status pg_blocked(void *session, int64_t number, struct tide_blocker *ret,
		       struct tide_error *err);

/* ---- examine.c ---- */
tide_status pg_examine(void *session, tide_report report, void *self, struct tide_error *err);
tide_status pg_examine_writing(void *session, tide_report report, void *self,
			       struct tide_error *err);
tide_status pg_examine_deep(void *session, tide_report report, void *self, struct tide_error *err);

/* ---- transaction.c ---- */
tide_status pg_begin(void *session, struct tide_error *err);
tide_status pg_commit(void *session, struct tide_error *err);
void pg_rollback(void *session);
tide_status pg_savepoint(void *session, struct tide_error *err);
tide_status pg_release(void *session, struct tide_error *err);
tide_status pg_rollback_to(void *session, struct tide_error *err);
tide_status pg_check(void *session, struct tide_error *err);
void *pg_native(void *session);

/* ---- snapshot.c ---- */
tide_status pg_snapshot_load(void *session, struct tide_stream stream, struct tide_snapshot *ret,
			     struct tide_error *err);
tide_status pg_snapshot_save(void *session, const struct tide_snapshot *snapshot,
			     struct tide_error *err);

/* ---- checkpoint.c, lease.c, deadletter.c ---- */
/** Put the name, owner and epoch of a fence as the first three parameters; without one all are
 * NULL. */
void pg_put_fence(struct pg_params *params, const struct tide_fence *fence);
tide_status pg_fail_fenced(const struct tide_fence *fence, struct tide_error *err);
tide_status pg_checkpoint_load(void *session, const char *name, struct tide_checkpoint *ret,
			       struct tide_error *err);
tide_status pg_checkpoint_save(void *session, const struct tide_fence *fence,
			       const struct tide_checkpoint_write *write, struct tide_error *err);
tide_status pg_checkpoint_list(void *session, struct tide_checkpoint **ret, size_t *ret_count,
			       struct tide_error *err);
tide_status pg_checkpoint_reset(void *session, const char *name, struct tide_error *err);
tide_status pg_lease_acquire(void *session, const char *name, const struct tide_uuid *owner,
			     struct tide_lease *ret, struct tide_error *err);
tide_status pg_lease_seize(void *session, const char *name, const struct tide_uuid *owner,
			   struct tide_lease *ret, struct tide_error *err);
tide_status pg_lease_hold(void *session, const struct tide_fence *fence, struct tide_error *err);
tide_status pg_lease_renew(void *session, const struct tide_fence *fence, struct tide_error *err);
tide_status pg_lease_renew_all(void *session, struct tide_lease_renewal *leases, size_t count,
			       struct tide_error *err);
tide_status pg_lease_release(void *session, const struct tide_fence *fence, struct tide_error *err);
tide_status pg_lease_end(void *session, const char *name, bool *ret, struct tide_error *err);
tide_status pg_lease_mark(void *session, const struct tide_fence *fence, tide_position position,
			  int32_t deaths, struct tide_error *err);
tide_status pg_lease_note(void *session, const struct tide_fence *fence,
			  const struct tide_lease_note *note, struct tide_error *err);
tide_status pg_lease_tell(void *session, const struct tide_fence *fence, const char *reason,
			  bool *ret, struct tide_error *err);
tide_status pg_lease_list(void *session, struct tide_lease_info **ret, size_t *ret_count,
			  struct tide_error *err);
tide_status pg_lease_is_owned(void *session, const char *name, bool *ret, struct tide_error *err);
bool pg_dead_letter_can_park(void *store);
tide_status pg_dead_letter_add(void *session, const struct tide_fence *fence,
			       const struct tide_dead_letter_write *write, int64_t *ret,
			       struct tide_error *err);
tide_status pg_dead_letter_list(void *session, const struct tide_dead_letter_filter *filter,
				struct tide_dead_letter_list *ret, struct tide_error *err);
tide_status pg_dead_letter_get(void *session, int64_t id, struct tide_dead_letter_list *ret,
			       struct tide_error *err);
tide_status pg_dead_letter_change(void *session, const struct tide_fence *fence,
				  const struct tide_dead_letter_change *change,
				  struct tide_error *err);
tide_status pg_dead_letter_discard(void *session, int64_t id, struct tide_error *err);
tide_status pg_dead_letter_purge(void *session, struct tide_time before, int64_t *ret,
				 struct tide_error *err);
tide_status pg_dead_letter_stats(void *session, struct tide_dead_letter_stats *ret,
				 struct tide_error *err);
tide_status pg_dead_letter_counts(void *session, struct tide_dead_letter_count **ret,
				  size_t *ret_count, struct tide_error *err);

/* ---- rights.c ---- */
/** Whether the role may do all of `rights`, as in "SELECT, INSERT", to a table of Tidemark's, and
 * number what it inserts; true without an open transaction that to be refused would break. */
tide_status pg_may(struct pg_session *session, const char *table, const char *rights, bool *ret,
		   struct tide_error *err);

/* ---- control.c ---- */
tide_status pg_control_set(void *session, const struct tide_control_write *write,
			   bool *ret_was_paused, struct tide_error *err);
tide_status pg_control_list(void *session, struct tide_control **ret, size_t *ret_count,
			    struct tide_error *err);
tide_status pg_journal_add(void *session, const struct tide_journal_write *write,
			   struct tide_error *err);
tide_status pg_journal_list(void *session, const char *name, int64_t limit,
			    struct tide_journal_entry **ret, size_t *ret_count,
			    struct tide_error *err);

/* ---- segment.c ---- */
/** Whether the database has their tables. */
static inline bool pg_group_is_kept(const struct pg_session *session)
{
	return (session->store->target.parts & PART_BIT(PART_GROUPS)) != 0;
}
tide_status pg_group_get(void *session, const char *name, struct tide_group *ret,
			 struct tide_error *err);
tide_status pg_group_change(void *session, const struct tide_group_change *change, bool *ret,
			    struct tide_error *err);
tide_status pg_group_forget(void *session, const struct tide_group *group, const char *const *rows,
			    size_t count, struct tide_error *err);
tide_status pg_group_move(void *session, const struct tide_group_move *move, bool *ret,
			  struct tide_error *err);
tide_status pg_member_join(void *session, const struct tide_member_write *write, bool *ret,
			   struct tide_error *err);
tide_status pg_member_leave(void *session, const char *group, const struct tide_uuid *id,
			    struct tide_error *err);
tide_status pg_member_list(void *session, const char *group, struct tide_member **ret,
			   size_t *ret_count, struct tide_error *err);
tide_status pg_segment_turn(void *session, const struct tide_fence *fence,
			    const struct tide_segment_write *write, struct tide_error *err);
tide_status pg_segment_list(void *session, const char *name, struct tide_segment **ret,
			    size_t *ret_count, struct tide_error *err);
/** Those of the rows before a change of lanes. */
tide_status pg_segments_end(struct pg_session *session, const struct tide_group_change *change,
			    struct tide_error *err);
/** Count what was discarded into the open segment of a name, and end it; `until` NULL: it goes
 * on. In checkpoint.c. */
tide_status pg_segment_change(struct pg_session *session, const struct tide_segment_write *write,
			      const tide_position *until, int64_t discarded,
			      struct tide_error *err);

/* ---- bell.c, watch.c ---- */
void pg_bell_init(struct pg_bell *bell);
void pg_bell_fini(struct pg_bell *bell);
/** Ring after a commit; never waits for the database. */
void pg_bell_ring(struct pg_store *store);
tide_status pg_watch_start(void *store, void **ret, struct tide_error *err);
tide_status pg_watch_wait(void *watch, int64_t timeout_ns, bool *ret_rang, struct tide_error *err);
void pg_watch_interrupt(void *watch);
/** Find out whether a notification arrives. */
tide_status pg_watch_test(struct pg_store *store, bool *ret_hears, struct tide_error *err);
void pg_watch_stop(void *watch);

#endif
