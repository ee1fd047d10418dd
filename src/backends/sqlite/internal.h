/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_BACKENDS_SQLITE_INTERNAL_H
#define TIDE_BACKENDS_SQLITE_INTERNAL_H

/* What the files of this folder share; nobody else includes it. */

#include <sqlite3.h>
#include <sys/types.h>
#include <stdatomic.h>

#include <tidemark/backend.h>

#include "core/event.h"
#include "core/json.h"
#include "core/parts.h"
#include "core/text.h"
#include "sys/alloc.h"
#include "sys/clock.h"
#include "sys/combine.h"
#include "sys/mutex.h"

#define SQLITE_FIXED_MAX 80
#define SQLITE_SHAPES_MAX 8

/** A connection of SQLite, and the statements prepared on it. */
struct sqlite_link {
	sqlite3 *handle;
	struct {
		const char *sql; /* compared by address: a literal */
		sqlite3_stmt *statement;
	} fixed[SQLITE_FIXED_MAX];
	size_t fixed_count;
	sqlite3_stmt *shapes[SQLITE_SHAPES_MAX]; /* statements made at run time, compared by text */
	size_t next_shape;                       /* to be replaced next */
	struct sqlite_link *next;                /* while nobody has it, see links.c */
};

struct sqlite_links;
/** What one thread at a time reads and writes by. */
struct sqlite_connection {
	struct sqlite_link *link;   /* NULL: a session rests, and takes one when it goes on */
	sqlite3 *handle;            /* of the link; NULL without one */
	struct sqlite_links *links; /* that it shares with others; NULL: its link is its own */
	bool is_kept;               /* what it has is its own by now */
	part_set parts;             /* that the database has */
	const char *file;           /* as the store has it */
	const struct sqlite_store *store;
	bool is_read_only;
	struct sqlite_turn *turn; /* that it waits for before it writes; NULL: it never writes */
	bool has_turn;
	int64_t turn_ns; /* what it has waited for it in vain */
	/* the last lock it did not get is held by a delivery of the same thread */
	bool waits_for_itself;
	int64_t busy_ns;             /* how long to wait for another connection's lock */
	struct mono_time busy_until; /* end of the present wait */
};

/** The links of sessions that share them, see links.c. */
struct sqlite_links {
	/* under lock */
	struct mutex lock;
	struct cond changed;
	struct sqlite_link *idle; /* that nobody has, the one used last is the first */
	size_t count;             /* of all, in use or not */
	size_t sessions;          /* that share them */
};

struct sqlite_append;
struct sqlite_holding;
struct sqlite_turn_waiter;

/** Which of a store's connections writes, see turn.c. */
struct sqlite_turn {
	/* under lock */
	struct mutex lock;
	bool is_taken;
	struct sqlite_turn_waiter *first, **last; /* in order of arrival */
};

struct sqlite_session;
/** Writes one row; `*ret_written` false: the fence fell, or the row is another one. */
typedef tide_status sqlite_save_writer(struct sqlite_session *session,
				       const struct tide_fence *fence,
				       const struct tide_checkpoint_write *write, bool *ret_written,
				       struct tide_error *err);

/** Saves that wait, see saves.c. */
struct sqlite_saves {
	sqlite_save_writer *write; /* fixed after open */
	struct combiner waiting;
};

/** The one connection that appends, and the callers waiting for it. */
struct sqlite_writer {
	struct sqlite_connection connection; /* the leader's only */
	/* under lock */
	struct mutex lock;
	struct sqlite_append *first, **last; /* waiting, in order of arrival */
	size_t waiting;                      /* appends in the queue */
	size_t last_group;                   /* appends in the group before */
	bool is_led;                         /* a caller is writing its own and others' appends */
	/* the leader while it waits for a group as large as the last one */
	struct sqlite_append *gatherer;
};

/** A file as it was when the database was opened. */
struct sqlite_place {
	bool is_known;
	dev_t device;
	ino_t inode;
};

/** The database, its log and the index of that. */
enum sqlite_file { SQLITE_FILE_DATABASE, SQLITE_FILE_LOG, SQLITE_FILE_INDEX, SQLITE_FILES };

/** An opened database. */
struct sqlite_store {
	/* fixed after open */
	char *file;   /* for sqlite3_open_v2: an absolute path, or the URI of a memory database */
	char *owners; /* the file whose bytes are locked by owners; NULL: a memory database */
	bool is_memory;
	bool is_read_only;
	/* read as it was when it was opened: nobody had it open, and this user cannot make its
	 * -shm */
	bool is_frozen;
	struct timespec changed_at; /* of a frozen one */
	struct sqlite_place places[SQLITE_FILES];
	bool is_append_full;     /* flush each append */
	bool is_projection_full; /* flush each commit of a session */
	int64_t busy_ns;
	part_set parts; /* that the database has */

	struct sqlite_turn turn;
	struct sqlite_links links;
	struct sqlite_writer writer;
	struct sqlite_saves saves;

	_Atomic int64_t schema_version; /* of the tables as they were good; -1: not known */
	_Atomic int64_t place_again;    /* when it is looked at before a write, ns */
	_Atomic uint64_t losses; /* times the file may have become another database, see notify.c */
	atomic_int owners_file;  /* open for all of this store's locks; -1: not yet */

	/* under lock */
	struct mutex lock;
	struct sqlite_holding *holdings; /* leases held through this store */
	struct sqlite_membership *memberships;
};

/** A delivery transaction that is open, in the list of all of them. */
struct sqlite_delivery {
	bool is_open;
	const void *thread;
	const struct sqlite_connection *connection;
	const char *file;
	struct sqlite_delivery *next; /* under the list's lock */
};

/** One conversation: a connection and its delivery transaction. */
struct sqlite_session {
	struct sqlite_store *store;
	struct sqlite_connection connection;
	struct buffer scratch;    /* texts of the row being decoded */
	struct time_reader clock; /* of the rows read last */
	struct sqlite_delivery delivery;
	bool is_delivering; /* between begin and commit or rollback */
	bool is_ending;     /* commit or rollback of the delivery is ours */
	bool was_ended;     /* the delivery transaction ended, and not by us */
	bool must_be_full;  /* synchronous=FULL is to be set before the next one */
};

/* status.c */

/** Translate a native code: message "`what`: SQLite's text". Returns the status, never TIDE_OK. */
tide_status sqlite_fail(struct sqlite_connection *connection, int code, const char *what,
			struct tide_error *err);
/** The same for a system call of ours on `path`. */
tide_status sqlite_fail_system(int number, const char *what, const char *path,
			       struct tide_error *err);
/** Whether a code is a violated constraint. */
bool sqlite_is_constraint(int code);

/* holder.c */

/** Say who holds the write lock, as far as that can be known; empty: it cannot. It reads the leases
 * over the connection, so what the handle says of its last error has to be read before. */
void sqlite_holder_say(struct sqlite_connection *connection, char *ret, size_t size);
/** The process that keeps others from writing for a while now; `number` is not looked at. */
tide_status sqlite_blocked(void *session, int64_t number, struct tide_blocker *ret,
			   struct tide_error *err);

/* examine.c */

tide_status sqlite_examine_writing(void *self, tide_report report, void *context,
				   struct tide_error *err);

/* link.c */

/** Connect with flags of sqlite3_open_v2; `is_full` chooses synchronous=FULL. */
tide_status sqlite_connect(const struct sqlite_store *store, bool may_create, bool is_full,
			   struct sqlite_connection *ret, struct tide_error *err);
void sqlite_disconnect(struct sqlite_connection *connection);
/** The same in two steps, for sessions that share: what stays as it is, and a link. Without one
 * nothing can be asked by it. */
void sqlite_connection_init(const struct sqlite_store *store, struct sqlite_connection *ret);
tide_status sqlite_link_open(struct sqlite_connection *connection, bool may_create, bool is_full,
			     struct tide_error *err);
void sqlite_link_close(const struct sqlite_store *store, struct sqlite_link *link);
/** Have what waits for locks by a link wait as this connection does. */
int sqlite_connection_point(struct sqlite_connection *connection);
/** Whether a transaction is open on it. */
static inline bool sqlite_is_in_transaction(const struct sqlite_connection *connection)
{
	return connection->handle && !sqlite3_get_autocommit(connection->handle);
}

/* connection.c */

/** Give the turn back when the transaction that it was for has ended, by whomever. */
void sqlite_connection_look(struct sqlite_connection *connection);
/** The prepared statement of a literal, which may have segments (core/parts.h). It must be reset
 * after use: SQLITE_AUTO_RESET. */
tide_status sqlite_statement(struct sqlite_connection *connection, const char *sql,
			     sqlite3_stmt **ret, struct tide_error *err);
/** The prepared statement of a text made at run time; a few are kept. */
tide_status sqlite_shape(struct sqlite_connection *connection, const char *sql, sqlite3_stmt **ret,
			 struct tide_error *err);
/** Step; `*ret_row` (may be NULL) tells whether there is a row. */
tide_status sqlite_step(struct sqlite_connection *connection, sqlite3_stmt *statement,
			bool *ret_row, struct tide_error *err);
/** Run a literal without parameters and rows. */
tide_status sqlite_run(struct sqlite_connection *connection, const char *sql,
		       struct tide_error *err);
/** Run a text of any number of statements once. */
tide_status sqlite_script(struct sqlite_connection *connection, const char *sql,
			  struct tide_error *err);

static inline void sqlite_reset_cleanup(sqlite3_stmt **statement)
{
	sqlite3_reset(*statement);
}
/** A prepared statement that is reset when its variable goes out of scope. */
#define SQLITE_AUTO_RESET __attribute__((cleanup(sqlite_reset_cleanup)))

/* Binding; texts must outlive the step. */
static inline void sqlite_bind_string(sqlite3_stmt *statement, int index, const char *string)
{
	sqlite3_bind_text(statement, index, string, -1, SQLITE_STATIC);
}
/** The text form, null for the nil UUID. */
void sqlite_bind_uuid(sqlite3_stmt *statement, int index, const struct tide_uuid *uuid,
		      char text[TIDE_UUID_TEXT_SIZE]);
void sqlite_bind_time(sqlite3_stmt *statement, int index, struct tide_time time,
		      char text[TIDE_TIME_TEXT_SIZE]);

/*
 * Columns; views until the next step. Each sqlite3_column_* call looks the column up anew, which is
 * most of the cost of a scan: it is done once. Our connections have no mutex (SQLITE_OPEN_NOMUTEX),
 * which makes the value good to read from.
 */
static inline struct tide_text sqlite_column_view(sqlite3_stmt *statement, int column)
{
	sqlite3_value *value = sqlite3_column_value(statement, column);
	struct tide_text text = { (const char *)sqlite3_value_text(value), 0 };
	if (text.data)
		text.size = (size_t)sqlite3_value_bytes(value);
	return text;
}
/* false: null or none */
bool sqlite_column_uuid(sqlite3_stmt *statement, int column, struct tide_uuid *ret);
/* false: null or none */
bool sqlite_column_time(sqlite3_stmt *statement, int column, struct tide_time *ret);
/** Copy as much as fits into a name field. */
void sqlite_column_name(sqlite3_stmt *statement, int column, char ret[TIDE_NAME_MAX + 1]);

/* turn.c */

void sqlite_turn_init(struct sqlite_turn *turn);
void sqlite_turn_fini(struct sqlite_turn *turn);
/** false: another one writes. */
bool sqlite_turn_try(struct sqlite_turn *turn);
/** false: not in time. */
bool sqlite_turn_wait(struct sqlite_turn *turn, int64_t patience_ns);
void sqlite_turn_give(struct sqlite_turn *turn);

/* links.c */

void sqlite_links_init(struct sqlite_links *links);
void sqlite_links_fini(struct sqlite_links *links);
/** From now on a connection shares these, and has none. */
void sqlite_links_enter(struct sqlite_links *links, struct sqlite_connection *connection);
/** Have it have a link; nothing to do when it does. Errors are those of opening one. */
tide_status sqlite_links_take(struct sqlite_connection *connection, struct tide_error *err);
/** Others may have its link. */
void sqlite_links_give(struct sqlite_connection *connection);
/** Its link is its own, until it is closed. */
void sqlite_links_keep(struct sqlite_connection *connection);
/** Close its link, if it has one; who was the last to share closes all. */
void sqlite_links_leave(struct sqlite_connection *connection);
/** End the statement that runs on its link; any thread. */
void sqlite_links_interrupt(struct sqlite_connection *connection);

/* saves.c */

void sqlite_saves_init(struct sqlite_saves *saves, sqlite_save_writer *write);
void sqlite_saves_fini(struct sqlite_saves *saves);
/** Write one row, together with those that others write at the same time; no transaction is open.
 * `*ret_written` as with one. */
tide_status sqlite_saves_write(struct sqlite_session *session, const struct tide_fence *fence,
			       const struct tide_checkpoint_write *write, bool *ret_written,
			       struct tide_error *err);

/* transaction.c */

/** Begin a transaction for a write of several statements, or join the one that is open. */
tide_status sqlite_write_begin(struct sqlite_session *session, bool *ret_joined,
			       struct tide_error *err);
/** End it: commit when `status` is TIDE_OK, else roll back; returns what it came to. A joined one
 * stays open. */
tide_status sqlite_write_end(struct sqlite_session *session, bool joined, tide_status status,
			     struct tide_error *err);

tide_status sqlite_session_open(void *store, void **ret, struct tide_error *err);
tide_status sqlite_session_share(void *store, void (*ring)(void *self), void *self, void **ret,
				 struct tide_error *err);
tide_status sqlite_session_ready(void *session, uint64_t *ret, struct tide_error *err);
void sqlite_session_rest(void *session);
void sqlite_session_limit(void *session, const struct tide_session_limits *limits);
void sqlite_session_close(void *session);
tide_status sqlite_begin(void *session, struct tide_error *err);
tide_status sqlite_commit(void *session, struct tide_error *err);
void sqlite_rollback(void *session);
tide_status sqlite_savepoint(void *session, struct tide_error *err);
tide_status sqlite_release(void *session, struct tide_error *err);
tide_status sqlite_rollback_to(void *session, struct tide_error *err);
tide_status sqlite_check(void *session, struct tide_error *err);
void *sqlite_native(void *session);
void sqlite_interrupt(void *session);

/* place.c */

void sqlite_place_note(struct sqlite_store *store);
/** How many hard links lead to the file. */
int sqlite_place_names(const struct sqlite_store *store);
/** Take the file for one that does not change, when nobody has it open; false: it cannot be. */
bool sqlite_place_freeze(struct sqlite_store *store);
/** TIDE_DIVERGED when the file, its -wal or its -shm was deleted, replaced or emptied since it was
 * opened; or a frozen one is written. */
tide_status sqlite_place_check(const struct sqlite_store *store, struct tide_error *err);
/** The same, at most every 100 ms: before a write that may come once an event. */
tide_status sqlite_place_check_now_and_then(struct sqlite_store *store, struct tide_error *err);

/* delivery.c */

void sqlite_delivery_begin(struct sqlite_session *session);
/** Nothing when none is open. */
void sqlite_delivery_end(struct sqlite_session *session);
/** Whether this thread has a delivery transaction open on a file, through another connection than
 * `but`; NULL: through any. */
bool sqlite_delivery_is_mine(const char *file, const struct sqlite_connection *but);
/** TIDE_DEADLOCK, with the ways out. */
tide_status sqlite_fail_own_lock(const char *file, struct tide_error *err);

/* schema.c */

/**
 * Check the tables, and create what is missing when `initialize` is set; the connection then knows
 * its parts, and the store what version of the tables that was. TIDE_SCHEMA names what is missing.
 */
tide_status sqlite_schema_prepare(struct sqlite_store *store, struct sqlite_connection *connection,
				  bool initialize, bool has_category_index, struct tide_error *err);
/** Check them once more if anybody has changed a table or an index since they were good. Not in a
 * transaction that has changed one itself. TIDE_SCHEMA as above. */
tide_status sqlite_schema_look(struct sqlite_store *store, struct sqlite_connection *connection,
			       struct tide_error *err);

/* store.c */

tide_status sqlite_writer_open(struct sqlite_store *store, bool initialize, bool has_category_index,
			       struct tide_error *err);
void sqlite_writer_close(struct sqlite_writer *writer);
tide_status sqlite_append(void *store, const struct tide_commit *commits, size_t count,
			  struct tide_append_result *ret, struct tide_error *err);
tide_status sqlite_append_within(void *session, const struct tide_commit *commits, size_t count,
				 struct tide_append_result *ret, struct tide_error *err);

/** The version of a stream, 0 when it has no events. The statement stays active in `*ret_statement`
 * when asked for. */
tide_status sqlite_version_of(struct sqlite_connection *connection, struct tide_stream stream,
			      sqlite3_stmt **ret_statement, tide_version *ret,
			      struct tide_error *err);

/* read.c */

tide_status sqlite_read(void *session, const struct tide_page_query *query, struct tide_page *page,
			struct tide_error *err);
tide_status sqlite_end(void *session, tide_position *ret, struct tide_error *err);
tide_status sqlite_stream_version(void *session, struct tide_stream stream, tide_version *ret,
				  struct tide_error *err);
tide_status sqlite_anchor(void *session, tide_position position, struct tide_anchor *ret,
			  bool *ret_may_come, struct tide_error *err);
tide_status sqlite_find(void *session, const struct tide_uuid *event_id, struct tide_page *page,
			struct tide_error *err);

/* snapshot.c */

tide_status sqlite_snapshot_load(void *session, struct tide_stream stream,
				 struct tide_snapshot *ret, struct tide_error *err);
tide_status sqlite_snapshot_save(void *session, const struct tide_snapshot *snapshot,
				 struct tide_error *err);

/* notify.c */

tide_status sqlite_watch_start(void *store, void **ret, struct tide_error *err);
tide_status sqlite_watch_wait(void *watch, int64_t timeout_ns, bool *ret_rang,
			      struct tide_error *err);
void sqlite_watch_interrupt(void *watch);
void sqlite_watch_stop(void *watch);
uint64_t sqlite_losses(void *store);

/* A condition on a column of UUIDs that other libraries may have written in upper case. Two looks
 * into an index. */
#define SQLITE_UUID_IS(column, id) column " IN (" id ", upper(" id "))"

/* checkpoint.c */

/* A condition that holds for no fence, or for the fence bound by sqlite_bind_fence: `?first`, and
 * the two after it. */
#define SQLITE_FENCE(name, owner, epoch)                                                           \
	"(" name " IS NULL OR EXISTS (SELECT 1 FROM subscription_leases l WHERE l.name = " name    \
	" AND l.owner = " owner " AND l.epoch = " epoch "))"
void sqlite_bind_fence(sqlite3_stmt *statement, int first, const struct tide_fence *fence,
		       char text[TIDE_UUID_TEXT_SIZE]);
/** TIDE_FENCED, naming the subscription. */
tide_status sqlite_fenced(const struct tide_fence *fence, struct tide_error *err);
/** Check a fence inside an open transaction; NULL is valid. */
tide_status sqlite_fence_check(struct sqlite_session *session, const struct tide_fence *fence,
			       struct tide_error *err);

sqlite_save_writer sqlite_checkpoint_write;
tide_status sqlite_checkpoint_load(void *session, const char *name, struct tide_checkpoint *ret,
				   struct tide_error *err);
tide_status sqlite_checkpoint_save(void *session, const struct tide_fence *fence,
				   const struct tide_checkpoint_write *write,
				   struct tide_error *err);
tide_status sqlite_checkpoint_list(void *session, struct tide_checkpoint **ret, size_t *ret_count,
				   struct tide_error *err);
tide_status sqlite_checkpoint_reset(void *session, const char *name, struct tide_error *err);

/* owners.c */

/** Lock a byte of the file of owners (`*ret` false: another store or process has it), let go of it,
 * ask whether anybody has it. */
tide_status sqlite_owners_lock(struct sqlite_store *store, int64_t byte, bool *ret,
			       struct tide_error *err);
void sqlite_owners_unlock(struct sqlite_store *store, int64_t byte);
tide_status sqlite_owners_probe(const struct sqlite_store *store, int64_t byte, bool *ret,
				struct tide_error *err);
/** Close the file, and with it end all locks. */
void sqlite_owners_close(struct sqlite_store *store);

/* lease.c */

/** Let go of every lock of a store that is being closed. */
void sqlite_holdings_close(struct sqlite_store *store);
tide_status sqlite_lease_acquire(void *session, const char *name, const struct tide_uuid *owner,
				 struct tide_lease *ret, struct tide_error *err);
tide_status sqlite_lease_renew(void *session, const struct tide_fence *fence,
			       struct tide_error *err);
tide_status sqlite_lease_renew_all(void *session, struct tide_lease_renewal *leases, size_t count,
				   struct tide_error *err);
tide_status sqlite_lease_release(void *session, const struct tide_fence *fence,
				 struct tide_error *err);
tide_status sqlite_lease_end(void *session, const char *name, bool *ret, struct tide_error *err);
tide_status sqlite_lease_mark(void *session, const struct tide_fence *fence, tide_position position,
			      int32_t deaths, struct tide_error *err);
tide_status sqlite_lease_note(void *session, const struct tide_fence *fence,
			      const struct tide_lease_note *note, struct tide_error *err);
tide_status sqlite_lease_tell(void *session, const struct tide_fence *fence, const char *reason,
			      bool *ret, struct tide_error *err);
tide_status sqlite_lease_list(void *session, struct tide_lease_info **ret, size_t *ret_count,
			      struct tide_error *err);
tide_status sqlite_lease_is_owned(void *session, const char *name, bool *ret,
				  struct tide_error *err);

/* dead_letter.c */

bool sqlite_dead_letter_can_park(void *store);
tide_status sqlite_dead_letter_add(void *session, const struct tide_fence *fence,
				   const struct tide_dead_letter_write *write, int64_t *ret,
				   struct tide_error *err);
tide_status sqlite_dead_letter_list(void *session, const struct tide_dead_letter_filter *filter,
				    struct tide_dead_letter_list *ret, struct tide_error *err);
tide_status sqlite_dead_letter_get(void *session, int64_t id, struct tide_dead_letter_list *ret,
				   struct tide_error *err);
tide_status sqlite_dead_letter_change(void *session, const struct tide_fence *fence,
				      const struct tide_dead_letter_change *change,
				      struct tide_error *err);
tide_status sqlite_dead_letter_discard(void *session, int64_t id, struct tide_error *err);
tide_status sqlite_dead_letter_purge(void *session, struct tide_time before, int64_t *ret,
				     struct tide_error *err);
tide_status sqlite_dead_letter_stats(void *session, struct tide_dead_letter_stats *ret,
				     struct tide_error *err);
tide_status sqlite_dead_letter_counts(void *session, struct tide_dead_letter_count **ret,
				      size_t *ret_count, struct tide_error *err);

/* control.c */

tide_status sqlite_control_set(void *session, const struct tide_control_write *write,
			       bool *ret_was_paused, struct tide_error *err);
tide_status sqlite_control_list(void *session, struct tide_control **ret, size_t *ret_count,
				struct tide_error *err);
tide_status sqlite_journal_add(void *session, const struct tide_journal_write *write,
			       struct tide_error *err);
tide_status sqlite_journal_list(void *session, const char *name, int64_t limit,
				struct tide_journal_entry **ret, size_t *ret_count,
				struct tide_error *err);

/* segment.c */

tide_status sqlite_segment_turn(void *session, const struct tide_fence *fence,
				const struct tide_segment_write *write, struct tide_error *err);
tide_status sqlite_segment_list(void *session, const char *name, struct tide_segment **ret,
				size_t *ret_count, struct tide_error *err);
/** With its row, where that has an open segment; in the open transaction. */
tide_status sqlite_segment_end(struct sqlite_session *session, const struct tide_group_row *row,
			       struct tide_time now, struct tide_error *err);
/** Forget all segments of a name, or the one that has not ended, in the open transaction. */
tide_status sqlite_segment_forget(struct sqlite_session *session, const char *name,
				  struct tide_error *err);
tide_status sqlite_segment_forget_open(struct sqlite_session *session, const char *name,
				       struct tide_error *err);

/* lanes.c, member.c */

/** Whether the database has their tables. */
static inline bool sqlite_group_is_kept(const struct sqlite_session *session)
{
	return (session->connection.parts & PART_BIT(PART_GROUPS)) != 0;
}

tide_status sqlite_group_get(void *session, const char *name, struct tide_group *ret,
			     struct tide_error *err);
tide_status sqlite_group_change(void *session, const struct tide_group_change *change, bool *ret,
				struct tide_error *err);
tide_status sqlite_group_forget(void *session, const struct tide_group *group,
				const char *const *rows, size_t count, struct tide_error *err);
tide_status sqlite_group_move(void *session, const struct tide_group_move *move, bool *ret,
			      struct tide_error *err);
tide_status sqlite_member_join(void *session, const struct tide_member_write *write, bool *ret,
			       struct tide_error *err);
tide_status sqlite_member_leave(void *session, const char *group, const struct tide_uuid *id,
				struct tide_error *err);
tide_status sqlite_member_list(void *session, const char *group, struct tide_member **ret,
			       size_t *ret_count, struct tide_error *err);
/** Whether the fence's owner is a member of the group of its name, through this store. */
tide_status sqlite_member_stands(struct sqlite_session *session, const struct tide_fence *fence,
				 bool *ret, struct tide_error *err);
/** Forget the memberships of a store that is being closed. */
void sqlite_memberships_close(struct sqlite_store *store);

#endif
