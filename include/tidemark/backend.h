/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDEMARK_BACKEND_H
#define TIDEMARK_BACKEND_H

/*
 * For authors of backends only. A backend fills three tables: store, notify, checkpoint. The core
 * checks arguments, stamps events and counts; a backend stores and finds.
 *
 * A *store* is shared by all threads: append and session_open may be called from any thread at
 * once. A *session* is one conversation with the database, used by one thread at a time: everything
 * that reads, and everything a subscription writes. An operation that returns TIDE_CONNECTION_LOST
 * leaves a session that can only be closed; the core opens another. Events given to a backend are
 * complete and valid. Texts in them end in a NUL.
 */

#include <tidemark/control.h>
#include <tidemark/deadletter.h>
#include <tidemark/snapshot.h>
#include <tidemark/store.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* ---- URLs ------------------------------------------------------------------------------------ */

#define TIDE_URL_PARAMS_MAX 32

/** A URL taken apart: `scheme:rest?name=value&name=value`, percent-decoded where it is ours. */
struct tide_url {
	char *text;       /* owns the parts below */
	const char *full; /* as given */
	const char *scheme;
	const char *rest; /* between the colon and the question mark */
	struct {
		const char *name;
		const char *value;
		bool is_known; /* whether a backend asked for it */
	} params[TIDE_URL_PARAMS_MAX];
	size_t param_count;
};

/**
 * Fetch a parameter of a URL and mark it as known; NULL when it is absent.
 *
 * Owns:    nothing; valid as long as the URL.
 * Threads: the URL's.
 * Returns: the value.
 */
const char *tide_url_param(struct tide_url *url, const char *name);

/**
 * Refuse the first parameter that nobody asked for.
 *
 * Owns:    nothing.
 * Threads: the URL's.
 * Returns: TIDE_OK, TIDE_ARGUMENT.
 */
tide_status tide_url_check(const struct tide_url *url, struct tide_error *err);

/* ---- Filters and pages ----------------------------------------------------------------------- */

/** Which events of the feed are wanted; members that are not set pass everything; all of them must
 * hold. */
struct tide_filter {
	const char *const *event_types;     /* ends in NULL; NULL or empty: all */
	const char *const *patterns;        /* over the event type; ends in NULL; NULL: all */
	const char *const *aggregate_types; /* ends in NULL; NULL or empty: all */
	const struct tide_uuid *aggregate_id;
	const struct tide_uuid *tenant_id;
	const struct tide_time *occurred_from;
	const struct tide_time *occurred_until;
	uint32_t partition_index;
	uint32_t partition_total; /* 0: not partitioned */
};

/**
 * Tell whether an event passes a filter.
 *
 * Uses event_type, aggregate_type, tenant_id, aggregate_id and occurred_at of the event only.
 *
 * Owns:    nothing.
 * Threads: any.
 * Returns: whether it passes.
 */
bool tide_filter_matches(const struct tide_filter *filter, const struct tide_event *event);

/** One event of a page, and how many were passed over directly before it because of the filter. */
struct tide_page_entry {
	struct tide_event event;
	int64_t passed_before;
};

/** A page: events copied into one arena that is reused from read to read. */
struct tide_page {
	struct tide_page_entry *entries;
	size_t count;
	size_t bytes; /* payload and metadata in this page */
	tide_position
		/* feed: every visible event up to here is in the page or was passed over, and none
		 * will appear later */
		scanned_to;
	int64_t passed_after; /* passed over behind the last entry */
	int64_t leapt;        /* of all that was passed over: positions nobody looked at */
	bool is_end;          /* nothing was visible behind scanned_to */
	/* with is_end: 0, or when it is worth looking again although no bell will ring (a hole) */
	int64_t wait_ns;
	tide_version stream_version; /* stream reads: where the stream was */
	/* feed: the last event that was passed over; position 0: none, or it is not known */
	struct tide_anchor passed;

	/* the page's own */
	size_t capacity, max_events, max_bytes;
	void *arena;
};

/**
 * Prepare a page, empty it for another read with new limits, or release what it holds.
 *
 * Owns:    the page owns its entries and every text in them.
 * Threads: the page's.
 * Returns: nothing.
 */
void tide_page_init(struct tide_page *page);
void tide_page_begin(struct tide_page *page, size_t max_events, size_t max_bytes);
void tide_page_fini(struct tide_page *page);
static inline void tide_page_fini_cleanup(struct tide_page *page)
{
	tide_page_fini(page);
}

/**
 * Tell whether an event with so many bytes of payload and metadata still fits; a first event always
 * does.
 *
 * Owns:    nothing.
 * Threads: the page's.
 * Returns: whether it fits.
 */
bool tide_page_fits(const struct tide_page *page, size_t bytes);

/**
 * Copy an event and its texts into the page.
 *
 * Owns:    nothing is taken; the page owns its copy.
 * Threads: the page's.
 * Returns: TIDE_OK, TIDE_OUT_OF_MEMORY.
 */
tide_status tide_page_add(struct tide_page *page, const struct tide_event *event,
			  struct tide_error *err);

/** Count one event that was passed over because of the filter. Owns: nothing. Threads: the page's.
 * Returns: nothing. */
static inline void tide_page_pass(struct tide_page *page)
{
	page->passed_after++;
}

/** What to read into a page. */
struct tide_page_query {
	const struct tide_filter *filter; /* never NULL */
	/* NULL: the feed, by position; else this stream, by version */
	const struct tide_stream *stream;
	bool backward;
	int64_t bound; /* exclusive; forward from 0; backward from INT64_MAX */
	size_t max_events;
	size_t max_bytes;
	/* 0: passed_before and scanned_to are not needed, so the filter may run in the database.
	 * Else the read ends after so many events, matched or not, and counts are exact. */
	size_t max_scan;
	/* feed forward, with max_scan: few of the events are wanted. An index may find them, and
	 * what lies between is passed over, and counted, by its positions, holes among them:
	 * `leapt`. As far as it was looked at it counts as scanned. May be ignored. */
	bool is_sparse;
	/* feed, max_scan 0: also what is visible behind a hole that may still be filled */
	bool is_unsettled;
	/* feed: who asks is not likely to go on behind it, so that nothing is to be read ahead */
	bool is_once;
};

/* ---- Appends --------------------------------------------------------------------------------- */

/** Events for one stream, complete and valid, all of version 0 or numbered consecutively. */
struct tide_commit {
	struct tide_stream stream;
	int64_t expected;
	const struct tide_event *events;
	size_t count;
};

/** Where an event id of a commit was found in the store already. */
struct tide_known_event {
	bool is_known;
	bool is_same_stream;
	tide_version version;
	tide_position position;
};

/**
 * Decide what becomes of a commit: the rules of an append, once for all backends.
 *
 * `known` has one entry per event of the commit, or is NULL when none of the ids is stored;
 * `current` is the stream's version.
 *
 * Owns:    nothing.
 * Threads: any.
 * Returns: TIDE_OK: insert at current + 1 when `ret->was_stored_before` is false, else done with
 *          `ret` filled; TIDE_CONFLICT with `ret->version`; TIDE_DUPLICATE_EVENT; TIDE_ARGUMENT
 *          (version 2^31-1 exceeded).
 */
tide_status tide_commit_decide(const struct tide_commit *commit,
			       const struct tide_known_event *known, tide_version current,
			       struct tide_append_result *ret, struct tide_error *err);

/* ---- Checkpoints, leases, dead letters ------------------------------------------------------- */

/** Proof of ownership that a subscription's writes carry. */
struct tide_fence {
	const char *name;
	struct tide_uuid owner;
	int64_t epoch;
};

/** A row as a subscription knows it: what it read at its start, or what it wrote last. */
struct tide_checkpoint_known {
	bool has_row;
	bool has_position; /* never without a row */
	tide_position position;
	int64_t events_processed; /* nobody compares it but who asks what became of a write */
};

/** A checkpoint to write. */
struct tide_checkpoint_write {
	const char *name;
	bool has_position; /* false: the stored position stays */
	struct tide_progress progress;
	struct tide_time now; /* for last_processed_at (when event_id is given) and updated_at */
	/* NULL: over whatever is there. Else only over a row with this position, or with none and,
	 * without a row, over nothing; any other row is TIDE_DIVERGED, and nothing is written. A
	 * row without a position may have come meanwhile. */
	const struct tide_checkpoint_known *expected;
	struct tide_anchor anchor; /* goes with the position; 0: none is kept */
	int64_t discarded;         /* events dropped since the last save, for the open segment */
	bool may_combine;          /* others may make it; TIDE_BUSY: none did, or that is unknown */
};

/** What became of an attempt to own a subscription. */
struct tide_lease {
	bool is_owned;    /* false: somebody else is, and lives; the rest is unset */
	int64_t epoch;    /* of this ownership */
	bool was_unclean; /* the previous owner ended without releasing */
	/* position that the previous owner had marked before handing it over; 0: none */
	tide_position suspect;
	/* processes that ended with this mark standing, the last one included */
	int32_t suspect_deaths;
	/* that it lasts unless it is renewed; 0: no longer than its owner, or as the table says */
	double seconds;
};

/** What became of a lease in a renewal of several. */
enum tide_renewal {
	TIDE_RENEWAL_SKIPPED, /* somebody holds its row locked: nothing is known, ask again soon */
	TIDE_RENEWAL_MADE,
	TIDE_RENEWAL_LOST, /* it has another owner or epoch, or is gone */
};

/** A lease to renew, and what became of it. */
struct tide_lease_renewal {
	struct tide_fence fence;
	enum tide_renewal result;
	bool is_member; /* instead the owner's membership in the group of this name; no epoch */
};

/** For how long a database believes in who uses a session, in seconds, and what it is used for. */
struct tide_session_limits {
	double lease; /* of an ownership that is acquired through it */
	/* until a transaction between two statements is rolled back: whose process froze */
	double idle_in_transaction;
	bool appends; /* its commits are to last as those of appends do */
};

/** Which dead letters to list; more than tide_dead_letter_query can say. */
struct tide_dead_letter_filter {
	const char *projection_name; /* NULL: all */
	bool statuses[3];            /* by enum tide_dead_letter_status */
	int64_t limit;               /* < 0: no limit */
	/* by id, ascending; else newest first_failed_at first, ties by greater id */
	bool oldest_first;
	int64_t after_id;          /* only greater ids: where the page before ended; 0: all */
	const char *parked_behind; /* only what is parked behind this event; NULL: all */
};

/** A failure to record. */
struct tide_dead_letter_write {
	const char *projection_name;
	struct tide_uuid event_id;
	const char *event_type;
	const char *event_data;
	const char *message;
	const char *stacktrace; /* NULL: none */
	int32_t retry_count;
	struct tide_time now;
	const char *parked_behind; /* the event_id it waits for; NULL: it is not parked */
	/* NULL; else what to store for event_id where the column takes any text */
	const char *event_id_text;
};

/** A change of one entry, made only when its status is among `from`. Resolving unparks. */
struct tide_dead_letter_change {
	int64_t id;
	bool from[3]; /* by enum tide_dead_letter_status */
	enum tide_dead_letter_status to;
	const char *message;    /* NULL: stays; else also sets last_failed_at */
	const char *stacktrace; /* with message */
	int32_t add_retries;
	const char *resolved_by; /* when `to` is resolved */
	struct tide_time now;
	const char *parked_behind; /* with message, as in a write; else what is stored stays */
};

/** A stretch of the feed that a name settled under one filter. */
struct tide_segment {
	char name[TIDE_NAME_MAX + 1];
	tide_position from;       /* exclusive */
	tide_position stored;     /* position of the row at its begin; -1: it had none */
	int64_t processed_before; /* events_processed of the row at its begin */
	int64_t discarded;        /* within it */
	char *filter;             /* JSON, released with tide_free */
	bool has_ended;           /* else the row says how far it has come */
	tide_position until;      /* once it has ended */
	int64_t processed_until;
};

/** A change of the segments of a name, in this order. */
struct tide_segment_write {
	const char *name;
	bool should_forget; /* all of them: the proof begins anew */
	bool should_end;    /* the open one, there and with so many processed */
	tide_position until;
	bool should_begin; /* another one, there and with this filter */
	tide_position from;
	tide_position stored; /* as in the segment */
	const char *filter;
	int64_t processed; /* of the row, at the end and the begin */
	struct tide_time now;
};

/** What a person did, to be kept beside it. */
struct tide_journal_write {
	const char *who, *host, *act, *name;
	const char *detail; /* NULL: none */
	struct tide_time now;
};

/** A durable pause to make, replace or end, and its entry in the journal: both or neither. */
struct tide_control_write {
	bool is_pause;
	const char *reason; /* as tide_pause_reason_name has it */
	const char *note;   /* NULL: none */
	struct tide_journal_write journal;
};

/** A group: a subscription whose events are dealt to lanes, as its row has it. A plain value. */
struct tide_group {
	char name[TIDE_NAME_MAX + 1];
	uint32_t lanes;           /* 1: it has none any more */
	int64_t processed_before; /* events, by lanes of numbers whose rows are gone */
	struct tide_time changed_at;
};

/** A manager that runs a group, and lives. A plain value. */
struct tide_member {
	struct tide_uuid id;
	char host[256]; /* empty: not known */
	int32_t pid;
	struct tide_time joined_at; /* by the database's clock, where it has one */
	double seconds_left;        /* of its membership; negative: it has no time */
};

/** A manager that wants to run a group. */
struct tide_member_write {
	const char *group;
	uint32_t lanes; /* the number it knows; it joins no group of another one */
	struct tide_uuid id;
	const char *host;
	int32_t pid;
	struct tide_time now; /* where the database has no clock */
};

/** How far a lane of a group's family has come. */
struct tide_group_row {
	const char *name;
	bool has_row; /* as it was read; to be made or moved: not asked for */
	bool has_position;
	tide_position position;
	struct tide_anchor anchor; /* goes with the position; 0: none is kept */
	bool has_open;             /* as it was read: its open segment, which the change ends */
	tide_position until;       /* there */
	int64_t processed;         /* with so many */
};

/** Another number of lanes: all rows of the new ones, or nothing. */
struct tide_group_change {
	const char *name;
	uint32_t lanes_before; /* that its row should have; 0: no row */
	uint32_t lanes;
	/* the family's rows as they were read, whose ownerships end */
	const struct tide_group_row *before;
	size_t before_count;
	/* to be made, or moved where they are there; what they have counted stays */
	const struct tide_group_row *after;
	size_t after_count;
	struct tide_time created; /* of rows made; behind `now`: nobody has begun any, old or new */
	struct tide_time now;
};

/** What a person does to all rows of a group: they go back to a position, or begin anew. */
struct tide_group_move {
	const char *name;
	uint32_t lanes; /* that its row should have; first in `rows` those of that many */
	const char *const *rows;
	size_t row_count;
	bool forgets; /* the rows go, with their segments and all that was counted */
	/* where what is beyond it goes back to; forgets: the present lanes begin behind it,
	 * negative: they have no rows */
	tide_position position;
	struct tide_time now;
};

/* ---- The tables ------------------------------------------------------------------------------ */

struct tide_backend;

/** How much a finding matters. */
enum tide_finding_level { TIDE_FINDING_OK, TIDE_FINDING_NOTICE, TIDE_FINDING_PROBLEM };

/** Takes one finding: what was looked at, what was found, what to do about it (or nothing). */
typedef void (*tide_report)(void *self, enum tide_finding_level level, const char *check,
			    const char *advice, const char *finding);

/** Who keeps others from writing. */
struct tide_blocker {
	int32_t pid; /* of a server process, or of the process itself; 0: not known */
	char what[TIDE_WAITING_FOR_SIZE]; /* who it is, as one line; empty: nobody */
};

/** What is done about an answer that did not come in time. */
enum tide_await {
	TIDE_AWAIT_NOTHING, /* it counts as missing even if it has come since, until it is taken */
	TIDE_AWAIT_LANDED,  /* it is taken if it has come */
	TIDE_AWAIT_ANSWER   /* it is waited for, as long as the session waits for one */
};

/** Events: writing, reading, and the transaction a handler shares with its checkpoint. */
struct tide_store_ops {
	/* NULL: the table itself. Else chooses the table of a store by its URL before it is opened,
	 * as a decorator shows only what the one below can do; it lives as long as the process. */
	tide_status (*resolve)(const struct tide_url *url, const struct tide_backend **ret,
			       struct tide_error *err);
	/* `url` lives only during the call. Must call tide_url_check. Makes the schema if told. */
	tide_status (*open)(struct tide_url *url, const struct tide_store_options *options,
			    void **ret, struct tide_error *err);
	void (*close)(void *store);
	/* All commits or none, by tide_commit_decide; no id twice. `ret`: one result per commit. */
	tide_status (*append)(void *store, const struct tide_commit *commits, size_t count,
			      struct tide_append_result *ret, struct tide_error *err);
	/* NULL: no test extra. */
	tide_status (*clear)(void *store, struct tide_error *err);

	tide_status (*session_open)(void *store, void **ret, struct tide_error *err);
	void (*session_close)(void *session);
	/* Fills the page, which the core has begun with the query's limits. A row that cannot be
	 * decoded is added with `undecodable` set. Must leave no read transaction open. */
	tide_status (*read)(void *session, const struct tide_page_query *query,
			    struct tide_page *page, struct tide_error *err);
	tide_status (*end)(void *session, tide_position *ret, struct tide_error *err);
	tide_status (*stream_version)(void *session, struct tide_stream stream, tide_version *ret,
				      struct tide_error *err);
	/* Adds the event to the page; TIDE_NOT_FOUND. */
	tide_status (*find)(void *session, const struct tide_uuid *event_id, struct tide_page *page,
			    struct tide_error *err);

	/* NULL: no transactional delivery. One transaction at a time in a session; checkpoint
	 * operations join it. */
	tide_status (*begin)(void *session, struct tide_error *err);
	tide_status (*commit)(void *session, struct tide_error *err);
	void (*rollback)(void *session);
	tide_status (*savepoint)(void *session, struct tide_error *err);
	tide_status (*release)(void *session, struct tide_error *err);
	tide_status (*rollback_to)(void *session, struct tide_error *err);
	/* After a handler: TIDE_STATE when it ended the transaction itself, its database error when
	 * the transaction is aborted. */
	tide_status (*check)(void *session, struct tide_error *err);
	void *(*connection)(void *session); /* of the transaction: sqlite3 *, PGconn * */

	/* NULL: no snapshots. `state` of the result is released with tide_free. TIDE_NOT_FOUND. */
	tide_status (*snapshot_load)(void *session, struct tide_stream stream,
				     struct tide_snapshot *ret, struct tide_error *err);
	/* Replaces, but never one of a higher version and the same schema_version. */
	tide_status (*snapshot_save)(void *session, const struct tide_snapshot *snapshot,
				     struct tide_error *err);

	/* NULL: no append holds back what others have committed. Else writes whose has for more
	 * than moments, as one line, or empty. Asked for a status, never on the way of an event. */
	tide_status (*waiting_for)(void *session, char *ret, size_t size, struct tide_error *err);
	/* NULL: positions are never compared with events. Else finds the greatest visible event at
	 * or below a position, 0 when there is none. `*ret_may_come`: more may become visible
	 * there, on a replica that is behind. */
	tide_status (*anchor)(void *session, tide_position position, struct tide_anchor *ret,
			      bool *ret_may_come, struct tide_error *err);
	/* NULL: only sessions that were opened can be other connections. Else counts the
	 * connections that were lost, and whatever else tells that the database may be another one
	 * than before: a table in the place of another, a backup copied over it. */
	uint64_t (*losses)(void *store);
	bool reads_here; /* a read is work of this process: another thread can do it ahead */
	/* NULL: nothing to say. Else reports what an operator should know, for `tide doctor`; the
	 * other one what takes a scan of every event. */
	tide_status (*examine)(void *session, tide_report report, void *self,
			       struct tide_error *err);
	tide_status (*examine_deep)(void *session, tide_report report, void *self,
				    struct tide_error *err);

	/* NULL: what is visible is settled. Else looks how far it is, and who keeps it from being
	 * so. Looks of one session add up: what it began to wait for is not forgotten. */
	tide_status (*horizon)(void *session, struct tide_horizon *ret, struct tide_error *err);
	/* NULL: nothing here ends by time, and all commits last. Else said once, before anything
	 * else is done with the session. */
	void (*limit)(void *session, const struct tide_session_limits *limits);
	/* NULL: nothing that a session does lasts. Else any thread may call it while the session is
	 * open: the statement that runs on it, also one of a handler on its connection, ends with
	 * an error; nothing runs: nothing happens. It has returned: what begins is safe from it. */
	void (*interrupt)(void *session);
	/* NULL: every call of a session is answered before it returns. Else what was to be
	 * committed may not be answered in time: TIDE_TIMEOUT, and it goes on; whatever is asked of
	 * the session next waits for that answer first. This asks for it alone: TIDE_OK, there is
	 * none, or it was taken, and what is read tells what became of it; TIDE_TIMEOUT. */
	tide_status (*await)(void *session, enum tide_await how, struct tide_error *err);
	/* NULL: nothing to say. Else tries whether the database takes writes, for `tide doctor`,
	 * and leaves nothing behind. The checkpoints' database is asked, too. */
	tide_status (*examine_writing)(void *session, tide_report report, void *self,
				       struct tide_error *err);
	/* NULL: sessions have no number. Else of what the session's transaction runs on, for
	 * `blocked`; 0: it has none. For who uses the session. */
	int64_t (*number)(void *session);
	/* NULL: nobody is ever waited for. Else who keeps the session of this number (0: any) from
	 * writing now. Asked for an explanation, never on the way of an event. */
	tide_status (*blocked)(void *session, int64_t number, struct tide_blocker *ret,
			       struct tide_error *err);
	/* NULL: no appends in a delivery's transaction. Else as `append`, within the session's open
	 * transaction and its savepoint: others see the events with its commit, and hear of it
	 * then. What fails has written nothing, and the transaction can go on, unless it is gone
	 * with its connection. */
	tide_status (*append_within)(void *session, const struct tide_commit *commits, size_t count,
				     struct tide_append_result *ret, struct tide_error *err);
	/* NULL, as the next four: subscriptions open sessions as others do. Else one that shares
	 * connections and has none yet; `ring`, in any thread: it should ask for one again. */
	tide_status (*session_share)(void *store, void (*ring)(void *self), void *self, void **ret,
				     struct tide_error *err);
	bool (*session_take)(void *session);     /* whether it has one; never waits for it */
	bool (*session_combines)(void *session); /* whether a save may_combine */
	/* `*ret`: the number, in this process, of the connection that transactions are on */
	tide_status (*session_ready)(void *session, uint64_t *ret, struct tide_error *err);
	void (*session_rest)(void *session); /* no transaction is open: others may have it */
};

/** Hearing of other processes' commits. NULL functions: nobody else can write to this store. */
struct tide_notify_ops {
	tide_status (*start)(void *store, void **ret, struct tide_error *err);
	/* Blocks the listener thread until somebody committed (`*ret_rang`), `timeout_ns` passed,
	 * or it was interrupted. On an error the core polls and calls again later. */
	tide_status (*wait)(void *watch, int64_t timeout_ns, bool *ret_rang,
			    struct tide_error *err);
	void (*interrupt)(void *watch); /* any thread: ends a wait at once */
	void (*stop)(void *watch);
};

/** What is kept beside a lease: where its owner runs, and what ended a run in error. */
struct tide_lease_note {
	const char *host; /* NULL: it stays as it is, and so does pid */
	int32_t pid;
	const char *last_error; /* NULL: it stays as it is */
	struct tide_time now;   /* when that was */
	const char *reason;     /* with last_error: how the run ended, as JSON; NULL: stays */
};

#define TIDE_LEASE_REASON_SIZE 2048

/** A lease as it is listed. A plain value. */
struct tide_lease_info {
	char name[TIDE_NAME_MAX + 1];
	bool is_owned; /* by a process that lives */
	struct tide_time acquired_at;
	double seconds_left; /* of the lease; negative: it has no time, or none left */
	char host[256];      /* where the last owner ran; empty: not known */
	int32_t pid;
	bool has_last_error; /* whether the next two are known */
	struct tide_time last_error_at;
	char last_error[512];
	bool has_owner; /* its row names one, whether that lives or not */
	bool has_released_at;
	struct tide_time released_at; /* when the last owner let go */
	tide_position suspect;        /* marked by an owner before it is handed over; 0: none */
	int32_t suspect_deaths;       /* processes that ended with this mark standing */
	/* what keeps the owner from going on, or has ended its run, as JSON; empty: nothing */
	char reason[TIDE_LEASE_REASON_SIZE];
	struct tide_uuid owner; /* with has_owner; of a lane the member that has it */
};

/**
 * What subscriptions write. A fence may be NULL (a user's call); else a write that is not the
 * owner's is TIDE_FENCED. A user's call that sets or deletes a position adds 1 to the epoch of the
 * name's lease, if there is one, in the same transaction: an owner that runs is fenced and goes by
 * the row.
 */
struct tide_checkpoint_ops {
	tide_status (*load)(void *session, const char *name, struct tide_checkpoint *ret,
			    struct tide_error *err); /* TIDE_NOT_FOUND */
	tide_status (*save)(void *session, const struct tide_fence *fence,
			    const struct tide_checkpoint_write *write, struct tide_error *err);
	tide_status (*list)(void *session, struct tide_checkpoint **ret, size_t *ret_count,
			    struct tide_error *err);
	tide_status (*reset)(void *session, const char *name, struct tide_error *err);

	tide_status (*lease_acquire)(void *session, const char *name, const struct tide_uuid *owner,
				     struct tide_lease *ret, struct tide_error *err);
	tide_status (*lease_renew)(void *session, const struct tide_fence *fence,
				   struct tide_error *err);
	/* Whatever the epoch has become: as long as this owner has it. */
	tide_status (*lease_release)(void *session, const struct tide_fence *fence,
				     struct tide_error *err);
	/* Records the position about to be handed over and its deaths so far; 0: none is. */
	tide_status (*lease_mark)(void *session, const struct tide_fence *fence,
				  tide_position position, int32_t deaths, struct tide_error *err);
	tide_status (*lease_is_owned)(void *session, const char *name, bool *ret,
				      struct tide_error *err);
	/* Nobody's from now on, in a new epoch, whoever had it; `*ret` false: there is no such
	 * lease. It waits as lease_seize. */
	tide_status (*lease_end)(void *session, const char *name, bool *ret,
				 struct tide_error *err);
	/* NULL: a transaction that writes keeps every other writer out. Else takes the ownership
	 * whoever has it; waits for what its owner has written and not committed. */
	tide_status (*lease_seize)(void *session, const char *name, const struct tide_uuid *owner,
				   struct tide_lease *ret, struct tide_error *err);
	/* how often the owner renews when the lease does not tell its time; 0: never */
	int64_t lease_renew_ns;
	/* NULL: nothing is kept. Without the columns nothing is written, or listed of them. */
	tide_status (*lease_note)(void *session, const struct tide_fence *fence,
				  const struct tide_lease_note *note, struct tide_error *err);
	tide_status (*lease_list)(void *session, struct tide_lease_info **ret, size_t *ret_count,
				  struct tide_error *err);

	/* TIDE_ARGUMENT: the column cannot hold event_data; the core calls again with a JSON string
	 * of ASCII in its place. */
	tide_status (*dead_letter_add)(void *session, const struct tide_fence *fence,
				       const struct tide_dead_letter_write *write, int64_t *ret,
				       struct tide_error *err);
	/* The list is built by tide_dead_letter_list_add. */
	tide_status (*dead_letter_list)(void *session, const struct tide_dead_letter_filter *filter,
					struct tide_dead_letter_list *ret, struct tide_error *err);
	tide_status (*dead_letter_get)(void *session, int64_t id, struct tide_dead_letter_list *ret,
				       struct tide_error *err); /* TIDE_NOT_FOUND */
	tide_status (*dead_letter_change)(void *session, const struct tide_fence *fence,
					  const struct tide_dead_letter_change *change,
					  struct tide_error *err); /* TIDE_NOT_FOUND, TIDE_STATE */
	tide_status (*dead_letter_discard)(void *session, int64_t id,
					   struct tide_error *err); /* TIDE_NOT_FOUND, TIDE_STATE */
	/* Deletes entries resolved strictly before `before`. */
	tide_status (*dead_letter_purge)(void *session, struct tide_time before, int64_t *ret,
					 struct tide_error *err);
	tide_status (*dead_letter_stats)(void *session, struct tide_dead_letter_stats *ret,
					 struct tide_error *err);
	tide_status (*dead_letter_counts)(void *session, struct tide_dead_letter_count **ret,
					  size_t *ret_count, struct tide_error *err);
	/* Whether it keeps parked_behind. NULL, or false: who holds aggregates is refused. */
	bool (*dead_letter_can_park)(void *store);

	/* Renews all of them at once, each with its own result, and waits for nobody who has one of
	 * their rows locked. Results mean something on success only. Needed where leases have a
	 * time, and with lease_renew_ns. */
	tide_status (*lease_renew_all)(void *session, struct tide_lease_renewal *leases,
				       size_t count, struct tide_error *err);
	/* NULL: nothing is kept. Else what keeps the owner from going on, as JSON; NULL: nothing
	 * does any more. It waits for nobody; `*ret` false: not written, since the row is
	 * locked, or another's. */
	tide_status (*lease_tell)(void *session, const struct tide_fence *fence, const char *reason,
				  bool *ret, struct tide_error *err);

	/* NULL, or TIDE_UNSUPPORTED where the tables are missing: nothing is paused durably.
	 * `*ret_was_paused`: before this call. Other processes' bells are rung. */
	tide_status (*control_set)(void *session, const struct tide_control_write *write,
				   bool *ret_was_paused, struct tide_error *err);
	/* Sorted by name; nothing where the table is missing. */
	tide_status (*control_list)(void *session, struct tide_control **ret, size_t *ret_count,
				    struct tide_error *err);
	/* Joins an open transaction, and keeps the newest TIDE_JOURNAL_KEPT; nothing is written
	 * where the table is missing. */
	tide_status (*journal_add)(void *session, const struct tide_journal_write *write,
				   struct tide_error *err);
	/* Newest first; `name` NULL: all; `limit` < 0: no limit. */
	tide_status (*journal_list)(void *session, const char *name, int64_t limit,
				    struct tide_journal_entry **ret, size_t *ret_count,
				    struct tide_error *err);

	/* Joins an open transaction. An end and a begin are one; `fence` NULL: a person's. Nothing
	 * where the table is missing. `save` counts what was discarded into the open segment, in
	 * its transaction; `reset` forgets all of its name. NULL: nothing is kept. */
	tide_status (*segment_turn)(void *session, const struct tide_fence *fence,
				    const struct tide_segment_write *write, struct tide_error *err);
	/* Those of the name and of the lanes that it ever had, by when they began. */
	tide_status (*segment_list)(void *session, const char *name, struct tide_segment **ret,
				    size_t *ret_count, struct tide_error *err);

	/* NULL, or TIDE_UNSUPPORTED where tables are missing: no groups; so of the five below. */
	tide_status (*group_get)(void *session, const char *name, struct tide_group *ret,
				 struct tide_error *err); /* TIDE_NOT_FOUND */
	/* `*ret` false: the group's row, or one of `before`, is another one by now, or a member of
	 * the group or an owner of any of the rows lives; nothing is written. Else nobody owns the
	 * rows of `before`, in a new epoch, their segments have ended, the group has no member. */
	tide_status (*group_change)(void *session, const struct tide_group_change *change,
				    bool *ret, struct tide_error *err);
	/* Deletes checkpoints that nobody inherits from any more, with segments that have not
	 * ended, and keeps what they have counted; nothing when its lanes were changed since the
	 * group was read. */
	tide_status (*group_forget)(void *session, const struct tide_group *group,
				    const char *const *rows, size_t count, struct tide_error *err);
	/* As a member of a group with that number, until it leaves, or its session's store or its
	 * process ends, or its membership runs out. `*ret` false: it has no such row. Who joins
	 * again is the newest. */
	tide_status (*member_join)(void *session, const struct tide_member_write *write, bool *ret,
				   struct tide_error *err);
	tide_status (*member_leave)(void *session, const char *group, const struct tide_uuid *id,
				    struct tide_error *err);
	/* Those that live, by when they joined and then by id. */
	tide_status (*member_list)(void *session, const char *group, struct tide_member **ret,
				   size_t *ret_count, struct tide_error *err);
	/* `*ret` false: the group has another number by now, nothing is written. Else all rows are
	 * moved, and the epoch of each is a new one, so that its owner begins again from its row;
	 * owners, members and the number stay. In the open transaction, where there is one. */
	tide_status (*group_move)(void *session, const struct tide_group_move *move, bool *ret,
				  struct tide_error *err);
	/* NULL where lease_seize is. Until the open transaction ends nobody else gets the lease,
	 * even if it runs out. */
	tide_status (*lease_hold)(void *session, const struct tide_fence *fence,
				  struct tide_error *err);
};

/**
 * Release a list of segments; NULL is allowed.
 *
 * Owns:    takes `segments`.
 * Threads: any.
 * Returns: nothing.
 */
void tide_segments_free(struct tide_segment *segments, size_t count);

/** Entries of the journal that a database keeps. */
#define TIDE_JOURNAL_KEPT 10000

/** One backend. */
struct tide_backend {
	const char *scheme; /* of its URLs: "sqlite" */
	struct tide_store_ops store;
	struct tide_notify_ops notify;
	struct tide_checkpoint_ops checkpoint;
};

/**
 * Append a copy of an entry and its texts to a list, growing it.
 *
 * Owns:    nothing is taken; the list owns its copies.
 * Threads: the list's.
 * Returns: TIDE_OK, TIDE_OUT_OF_MEMORY.
 */
tide_status tide_dead_letter_list_add(struct tide_dead_letter_list *list,
				      const struct tide_dead_letter *entry, struct tide_error *err);

/**
 * Make URLs of the backend's scheme known to tide_store_open.
 *
 * Owns:    nothing; the table must live as long as the process.
 * Threads: any.
 * Returns: TIDE_OK, TIDE_ALREADY_EXISTS, TIDE_ARGUMENT.
 */
tide_status tide_backend_register(const struct tide_backend *backend, struct tide_error *err);

/**
 * Find the backend of a scheme: built in or registered; NULL when there is none.
 *
 * Owns:    nothing; the table lives as long as the process.
 * Threads: any.
 * Returns: the backend.
 */
const struct tide_backend *tide_backend_find(const char *scheme);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
