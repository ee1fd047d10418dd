/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDEMARK_SUBSCRIPTION_H
#define TIDEMARK_SUBSCRIPTION_H

/*
 * Subscriptions: durable handlers of the feed, run by a manager. Events come decoded, to the
 * function of their type:
 *
 *	static tide_status order_placed(void *self, const void *payload, const struct tide_event *event,
 *	                                struct tide_delivery *delivery)
 *	{
 *		*(int64_t *)self += ((const struct order_placed *)payload)->total_cents;
 *		return TIDE_OK;
 *	}
 *	static const struct tide_event_handler handlers[] = {
 *		{ &order_placed_type, order_placed },
 *		TIDE_EVENT_HANDLER_END,
 *	};
 *
 *	struct tide_subscriber revenue = { .name = "Revenue", .self = &cents, .handlers = handlers };
 *	tide_manager_subscribe(manager, &revenue, NULL, &subscription, &err);
 */

#include <tidemark/checkpoint.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/** A named consumer of the feed, registered with a manager and owned by it. */
struct tide_subscription;

/** One handler call in progress; belongs to the handler until it returns. */
struct tide_delivery;

/**
 * Handle one event. Return TIDE_OK when it is done. TIDE_HANDLER_TRANSIENT asks for another
 * attempt, TIDE_HANDLER_PERMANENT gives up on the event; any other status counts as what
 * tide_status says of it.
 */
typedef tide_status tide_handler(void *self, const struct tide_event *event,
				 struct tide_delivery *delivery);

/** Handle the matching events of one page, in order, as a whole. */
typedef tide_status tide_batch_handler(void *self, const struct tide_event *const *events,
				       size_t count, struct tide_delivery *delivery);

/** Which of how many lanes; 0 of 1 where there are none. A plain value. */
struct tide_lane {
	uint32_t index, total;
};

struct tide_event_type;

/**
 * Handle one event of a type: `payload` is its struct, decoded, and released when the handler
 * returns.
 *
 * What it returns means what a handler's means. A payload that does not decode never reaches it:
 * its event fails for good with TIDE_DECODE.
 */
typedef tide_status tide_typed_handler(void *self, const void *payload,
				       const struct tide_event *event,
				       struct tide_delivery *delivery);

/** Which function handles the events of a type. */
struct tide_event_handler {
	const struct tide_event_type *type; /* NULL ends a list; must outlive the registration */
	tide_typed_handler *handle;
};
/* clang-format off */
#define TIDE_EVENT_HANDLER_END { 0, 0 }
/* clang-format on */

/** Who receives events: a name, the types it wants, and one way to handle them. Copied at
 * registration except for `self`. */
struct tide_subscriber {
	const char *name; /* of the subscription and its checkpoint */
	void *self;       /* given to every call; must outlive the registration */
	/* declared types; ends in NULL; NULL or empty: all, or those of `handlers` */
	const char *const *event_types;
	tide_handler *handle; /* exactly one of this, handle_batch and handlers */
	tide_batch_handler *handle_batch;
	/* writes only through tide_delivery_connection; commits with the checkpoint */
	bool transactional;
	/* Transactional only, may be NULL: a connection is used for the first time (prepare
	 * statements; no transaction is open), or no longer. On PostgreSQL several subscriptions
	 * share some connections: each is attached to those that it has had, one after the other,
	 * is not told when it comes back to one, and may be in others' hands, or be closed, when it
	 * is detached: nothing may be sent by it then. Called in the subscription's thread. */
	tide_status (*attach)(void *self, void *connection, struct tide_error *err);
	void (*detach)(void *self, void *connection);
	/* by type, payloads decoded; ends in TIDE_EVENT_HANDLER_END */
	const struct tide_event_handler *handlers;
	/* Transactional only, may be NULL: make the tables. Called in the subscription's thread
	 * once it owns its name, on each connection before its first event, in a transaction of its
	 * own that is committed when this returns TIDE_OK. Of the lanes of a process one is in it
	 * at a time. */
	tide_status (*prepare)(void *self, void *connection, struct tide_error *err);
	/* Transactional only, may be NULL: look at what the delivery transaction has done. Called
	 * in the subscription's thread, once before each commit, ahead of what Tidemark itself
	 * writes. What is not TIDE_OK rolls it back. TIDE_HANDLER_PERMANENT is a fault of the
	 * handler: its events come again one by one, the first one that is at fault by itself ends
	 * the run in ERROR, and none is dead-lettered. Others count as failures of the commit. */
	tide_status (*before_commit)(void *self, void *connection, struct tide_error *err);
	size_t batch_events; /* handle_batch: at most so many in a call; 0: the rest of the page */
	/* May be NULL: the run is over, and no call comes before the next one. Called in the
	 * subscription's thread, while its name is still owned. */
	void (*leave)(void *self);
	/* Transactional only, beside `handle`; may be NULL: handle several events in order, as
	 * `handle` would one after the other, without a savepoint for each. When it fails or is
	 * late nobody hears of it: what it wrote is rolled back, and each of them comes to
	 * `handle`. It calls tide_delivery_go_on. */
	tide_batch_handler *handle_together;
	/* Transactional only, may be NULL: empty the read model, for tide_manager_rebuild, in the
	 * transaction that forgets the checkpoint; `end` is where the feed ends now. Called in the
	 * thread that asks, on a connection of its own, while the subscription may run. */
	tide_status (*empty)(void *self, void *connection, tide_position end,
			     struct tide_error *err);
	/* Transactional only, on the event store's own database, with handle or handlers: it calls
	 * tide_delivery_append. Its transaction is committed after each event that appended
	 * something; on SQLite those commits are flushed like appends. */
	bool appends;
	/* with `appends`: events at or below it append nothing, as they did so before the read
	 * model was emptied; INT64_MAX: none does, and the database may be any */
	tide_position appends_after;
	/* May be NULL: what tide_delivery_context gives to the calls of a run, of each lane its
	 * own. Called in the subscription's thread before the first event, on each connection anew,
	 * whose calls have that one;
	 * of a transactional one behind `prepare`, in the same transaction, else with NULL for the
	 * connection. */
	tide_status (*context_new)(void *self, struct tide_lane lane, void *connection, void **ret,
				   struct tide_error *err);
	/* With context_new: the context is not used any more. */
	void (*context_free)(void *self, void *context);
	/* May be NULL: what a lane gives to all of its calls in place of `self`, which else has to
	 * bear calls from as many threads as there are lanes. Called when it is registered. */
	tide_status (*lane_open)(void *self, struct tide_lane lane, void **ret,
				 struct tide_error *err);
	/* With lane_open: the lane is gone. */
	void (*lane_close)(void *lane_self);
	/* Transactional only: between two of its statements it waits for nothing, so that a
	 * transaction which stands idle for a lease is of a process that froze, and is ended by the
	 * server. Else it may stand idle for processing_timeout beside the lease. */
	bool is_prompt;
};

/**
 * Tell a handler about its call: attempt (from 1), position of the (first) event, whether
 * processing_timeout has passed, whether the subscription is being stopped.
 *
 * Owns:    nothing.
 * Threads: the handler's.
 * Returns: the fact.
 */
int32_t tide_delivery_attempt(const struct tide_delivery *delivery);
tide_position tide_delivery_position(const struct tide_delivery *delivery);
bool tide_delivery_is_late(const struct tide_delivery *delivery);
bool tide_delivery_is_stopping(const struct tide_delivery *delivery);

/**
 * Give the open transaction's native connection (sqlite3 *, PGconn *) to a transactional handler;
 * NULL to others.
 *
 * Owns:    nothing; the handler must neither commit, roll back nor close it.
 * Threads: the handler's.
 * Returns: the connection.
 */
void *tide_delivery_connection(const struct tide_delivery *delivery);

/**
 * Tell a handler which lane its call is of, and what `context_new` made for it (NULL without one).
 *
 * Owns:    nothing.
 * Threads: the handler's.
 * Returns: the fact.
 */
struct tide_lane tide_delivery_lane(const struct tide_delivery *delivery);
void *tide_delivery_context(const struct tide_delivery *delivery);

/**
 * Say why the handler fails, for error records and dead letters; returns `status` so that it can be
 * returned at once.
 *
 * The text is also logged, and shown by health, as it is given: it must hold no payload and no
 * secret. What a database says of an event may quote its values: name the code here, and keep its
 * words in tide_delivery_set_stacktrace.
 *
 * Owns:    nothing; the text is copied.
 * Threads: the handler's.
 * Returns: `status`.
 */
tide_status tide_delivery_fail(struct tide_delivery *delivery, tide_status status,
			       const char *format, ...) TIDE_PRINTF(3, 4);

/**
 * Attach a stack trace to the failure that this call will return.
 *
 * It is kept where the event itself is, in the dead letter and the error record, and never logged:
 * the place for words that may quote a payload.
 *
 * Owns:    nothing; the text is copied, up to 16 KiB.
 * Threads: the handler's.
 * Returns: nothing.
 */
void tide_delivery_set_stacktrace(struct tide_delivery *delivery, const char *stacktrace);

/**
 * Have a batch handler answer for a part of its batch: the first `count` events are what was
 * handled, or what has failed; the others come again with the next call.
 *
 * `begun` events behind them are under way already, in a process or a queue of the handler's own: a
 * stop waits until calls have answered for them, too, as long as they come without a failure and
 * under the ownership. A `count` of 0 with TIDE_OK is no attempt at all: the call is made again at
 * once, with a time of its own.
 *
 * Owns:    nothing.
 * Threads: the handler's.
 * Returns: nothing.
 */
void tide_delivery_take(struct tide_delivery *delivery, size_t count, size_t begun);

/**
 * Append events to the event store within the delivery's transaction: they are there with the read
 * model and the checkpoint, or not at all.
 *
 * For subscribers with `appends`. Several streams at once, as tide_store_append_all has it: all of
 * them or none, and what fails leaves nothing behind, so that the handler may judge it and go on; a
 * conflict that it returns has the event tried again. Nobody sees the events before the commit,
 * which comes when the handler has returned; what fails or becomes a dead letter appends nothing.
 *
 * What an event leaves out follows the event that is handled: causation_id is its id,
 * correlation_id its own one, and event_id is the version-5 UUID, in the namespace of that event's
 * id, of the lines "NAME", "TYPE/UUID" (the stream) and "INDEX", joined by line feeds: the
 * subscription's name without a partition, and the how-manieth event of this stream this is among
 * those appended for it, from 0. So an event that is handled again brings the same ids, and an
 * append that stands already is a success (`was_stored_before`). In a rebuild nothing is appended:
 * the call succeeds, with results of zero. `results` holds `count` and may be NULL.
 *
 * Owns:    nothing; the events may be freed when this returns.
 * Threads: the handler's.
 * Returns: as tide_store_append; TIDE_UNSUPPORTED for other subscribers.
 */
tide_status tide_delivery_append(struct tide_delivery *delivery, const struct tide_append *appends,
				 size_t count, struct tide_append_result *results,
				 struct tide_error *err);

/**
 * Say in handle_together that the first `count` of its events are done, so that the time of the
 * next one begins.
 *
 * False: begin no further one. What was begun is brought to its end, tide_delivery_take tells how
 * many that are when it is not all of them, and the others come again with a next call.
 *
 * Owns:    nothing.
 * Threads: the handler's.
 * Returns: whether to go on.
 */
bool tide_delivery_go_on(struct tide_delivery *delivery, size_t count);

/**
 * Say that the failure which this call will return is no fault of the event: the run ends in ERROR,
 * and the event is neither tried again nor set aside, but comes again with the next run.
 *
 * Owns:    nothing.
 * Threads: the handler's.
 * Returns: nothing.
 */
void tide_delivery_stop(struct tide_delivery *delivery);

/** Where a subscription begins. */
enum tide_start_from {
	TIDE_START_CHECKPOINT, /* behind the stored position; without one, at the beginning */
	TIDE_START_BEGINNING,
	TIDE_START_END,     /* behind the feed end at start */
	TIDE_START_POSITION /* behind start_position */
};

/** When progress is saved. */
enum tide_checkpoint_strategy {
	TIDE_EVERY_EVENT, /* after each processed event */
	TIDE_EVERY_BATCH, /* after each page */
	TIDE_PERIODIC     /* every checkpoint_interval_seconds */
};

/** How a subscription behaves. Starts from TIDE_SUBSCRIPTION_CONFIG_DEFAULT; checked and copied by
 * subscribe. */
struct tide_subscription_config {
	size_t size;                     /* of this struct */
	enum tide_start_from start_from; /* checkpoint */
	tide_position start_position;    /* with TIDE_START_POSITION; counts as processed; >= 0 */
	int64_t batch_size;              /* events in a page, 100 */
	int64_t max_in_flight;           /* events read ahead, 1000 */
	int64_t max_batch_bytes;         /* bytes read ahead, 16 MiB */
	double backpressure_threshold;   /* share of max_in_flight, 0.8 */
	enum tide_checkpoint_strategy checkpoint_strategy; /* every batch */
	double checkpoint_interval_seconds;                /* 5 */
	double poll_interval_seconds;                      /* 1 */
	double processing_timeout;                         /* seconds of one handler call, 30 */
	double shutdown_timeout;        /* seconds for stopping this subscription, 30 */
	const char *const *event_types; /* ends in NULL; NULL: the subscriber's; empty: all */
	const char *const *event_type_patterns; /* ends in NULL; NULL: none */
	const char *const *aggregate_types;     /* ends in NULL; NULL or empty: all */
	const struct tide_uuid *tenant_id;      /* NULL: all */
	uint32_t partition_index;               /* below partition_total */
	uint32_t partition_total;               /* 0: not partitioned; else 1..1024 */
	bool continue_on_error;                 /* dead-letter and go on, true */
	bool discard_failed_events;             /* drop instead of dead-letter, false */
	bool hold_aggregate_on_failure;         /* park later events of a failed aggregate, false */
	int32_t max_retries;                    /* attempts after the first, 5 */
	double initial_retry_delay;             /* seconds, 1 */
	double max_retry_delay;                 /* seconds, 60 */
	double retry_exponential_base;          /* 2 */
	double retry_jitter;                    /* share of the delay, 0.1 */
	int32_t max_recent_errors;              /* 100 */
	int32_t max_errors_before_stop;         /* failed events; 0: no limit */
	bool circuit_breaker_enabled;           /* true */
	int32_t circuit_breaker_failure_threshold; /* 5 */
	double circuit_breaker_recovery_timeout;   /* seconds, 30 */
	/* an event that was seen to end the process so often is dead-lettered, 3 */
	int32_t max_process_deaths;
	bool self_check; /* report holes in the versions of each aggregate delivered, false */
	bool start_from_initially; /* start_from counts only while there is no checkpoint, false */
	bool read_ahead; /* history, on another processor while events are handled, true */
	/* failures in a row of its databases; -1: no limit, the default */
	int32_t max_infrastructure_retries;
	/* at so many events at once, each aggregate's one at a time; 1: none; 2..1024; not together
	 * with a partition */
	uint32_t lanes;
};

/* clang-format off */
#define TIDE_SUBSCRIPTION_CONFIG_DEFAULT {                                       \
	.size = sizeof(struct tide_subscription_config),                         \
	.start_from = TIDE_START_CHECKPOINT, .start_position = 0,                \
	.batch_size = 100, .max_in_flight = 1000, .max_batch_bytes = 16777216,   \
	.backpressure_threshold = 0.8, .checkpoint_strategy = TIDE_EVERY_BATCH,  \
	.checkpoint_interval_seconds = 5.0, .poll_interval_seconds = 1.0,        \
	.processing_timeout = 30.0, .shutdown_timeout = 30.0,                    \
	.event_types = 0, .event_type_patterns = 0, .aggregate_types = 0,        \
	.tenant_id = 0, .partition_index = 0, .partition_total = 0,              \
	.continue_on_error = true, .discard_failed_events = false,               \
	.hold_aggregate_on_failure = false, .max_retries = 5,                    \
	.initial_retry_delay = 1.0, .max_retry_delay = 60.0,                     \
	.retry_exponential_base = 2.0, .retry_jitter = 0.1,                      \
	.max_recent_errors = 100, .max_errors_before_stop = 0,                   \
	.circuit_breaker_enabled = true, .circuit_breaker_failure_threshold = 5, \
	.circuit_breaker_recovery_timeout = 30.0, .max_process_deaths = 3,       \
	.self_check = false, .start_from_initially = false, .read_ahead = true,  \
	.max_infrastructure_retries = -1, .lanes = 1 }
/* clang-format on */

/**
 * Make the usual configurations: replaying history, and following only what is new.
 *
 * Catch-up: from the checkpoint, `batch_size` (0: 1000) events a page, saved every batch or, when
 * `checkpoint_every_batch` is false, periodically. Live only: from the end, 100 events a page,
 * saved every event. All else default.
 *
 * Owns:    nothing.
 * Threads: any.
 * Returns: the configuration.
 */
struct tide_subscription_config tide_catch_up_config(int64_t batch_size,
						     bool checkpoint_every_batch);
struct tide_subscription_config tide_live_only_config(void);

/** What a subscription is doing. */
enum tide_state {
	TIDE_STATE_STARTING,
	TIDE_STATE_CATCHING_UP,
	TIDE_STATE_LIVE,
	TIDE_STATE_PAUSED,
	TIDE_STATE_STOPPED,
	TIDE_STATE_ERROR
};

/**
 * Tell whether a state is one of delivering (catching up, live), paused, or an end (stopped,
 * error).
 *
 * Owns:    nothing.
 * Threads: any.
 * Returns: whether it is.
 */
bool tide_state_is_running(enum tide_state state);
bool tide_state_is_paused(enum tide_state state);
bool tide_state_is_terminal(enum tide_state state);

/** Why a subscription is paused. */
enum tide_pause_reason { TIDE_PAUSE_MANUAL, TIDE_PAUSE_MAINTENANCE, TIDE_PAUSE_BACKPRESSURE };

/**
 * Name a state ("catching_up"), a pause reason ("manual") or a strategy ("every_batch") as written
 * in JSON.
 *
 * Owns:    nothing; the text is static.
 * Threads: any.
 * Returns: the name.
 */
const char *tide_state_name(enum tide_state state);
const char *tide_pause_reason_name(enum tide_pause_reason reason);
const char *tide_checkpoint_strategy_name(enum tide_checkpoint_strategy strategy);

/** One consistent snapshot of a subscription. A plain value, it owns nothing. */
struct tide_subscription_status {
	char name[TIDE_NAME_MAX + 1];
	enum tide_state state;
	tide_position position;   /* the subscription position */
	int64_t lag_events;       /* positions behind the feed end */
	int64_t events_processed; /* this run: handled or dead-lettered */
	int64_t events_failed;    /* this run: delivery ended in failure */
	int64_t events_dlq;       /* this run: entries added to the dead-letter queue */
	bool has_last_processed_at;
	struct tide_time last_processed_at;
	bool has_started_at;
	struct tide_time started_at; /* of this run */
	double uptime_seconds;       /* of this run */
	struct tide_error error;     /* the last one; status TIDE_OK: none */
	int32_t recent_errors_count;
	/* this run: passed because of a filter; each lane counts what falls to the others, too.
	 * Where rare types are found by an index: the positions between them. */
	int64_t events_skipped;
	int64_t events_discarded;       /* this run: failed and dropped by configuration */
	struct tide_uuid last_event_id; /* nil: none */
	char last_event_type[TIDE_NAME_MAX + 1];
	bool has_previous_state;
	enum tide_state previous_state;
	enum tide_pause_reason pause_reason; /* when paused */
	struct tide_time paused_at;          /* when paused */
	double pause_duration_seconds;       /* when paused */
	int64_t in_flight;                   /* read ahead and not settled */
	int64_t in_flight_peak;
	bool backpressure; /* in_flight is at or above its threshold */
	bool standby;      /* another process owns this subscription */
	bool lag_stale;    /* the store could not be asked in time */
	/* who holds back committed events by an open append; empty: nobody */
	char waiting_for[TIDE_WAITING_FOR_SIZE];
	bool lag_known; /* false: the feed end was never known, and lag_events is 0 */
	int64_t redeliveries_resolved; /* since it was subscribed: dead letters handled after all */
	int64_t redeliveries_failed;   /* since it was subscribed: dead letters that failed again */
	char paused_by[256];           /* who paused it durably (control.h); empty: nobody has */
	char pause_note[501];          /* with paused_by; empty: none */
	/* 0: it has none. Else this is of all lanes that run here: counts in sum, the state of the
	 * worst, and the least position and the greatest lag also of those that others run, as
	 * their rows were seen a second ago. */
	uint32_t lanes;
	uint32_t lanes_owned; /* of them, by this process */
};

/**
 * Tell the name of a subscription, its state, its position; of lanes, those that run here, or ran
 * here when it was stopped.
 *
 * Owns:    nothing; the name is valid until the subscription is removed.
 * Threads: any.
 * Returns: the fact.
 */
const char *tide_subscription_name(const struct tide_subscription *subscription);
enum tide_state tide_subscription_state(const struct tide_subscription *subscription);
tide_position tide_subscription_position(const struct tide_subscription *subscription);

/**
 * Tell whether a subscription delivers (catching up, live), is paused, or has ended (stopped,
 * error); NULL has ended.
 *
 * Owns:    nothing.
 * Threads: any.
 * Returns: whether it does.
 */
bool tide_subscription_is_running(const struct tide_subscription *subscription);
bool tide_subscription_is_paused(const struct tide_subscription *subscription);
bool tide_subscription_is_terminal(const struct tide_subscription *subscription);

/**
 * Take one consistent snapshot of a subscription, asking the store for the feed end.
 *
 * Owns:    nothing.
 * Threads: any.
 * Returns: TIDE_OK, TIDE_ARGUMENT.
 */
tide_status tide_subscription_status(struct tide_subscription *subscription,
				     struct tide_subscription_status *ret, struct tide_error *err);

/**
 * Take a snapshot of each lane of a subscription, by their index; of one without lanes, its own.
 *
 * Owns:    the caller owns `*ret`, an array of `*ret_count`; release it with tide_free.
 * Threads: any.
 * Returns: TIDE_OK, TIDE_ARGUMENT, TIDE_OUT_OF_MEMORY.
 */
tide_status tide_subscription_lane_statuses(struct tide_subscription *subscription,
					    struct tide_subscription_status **ret,
					    size_t *ret_count, struct tide_error *err);

/**
 * Wait until a subscription has settled everything up to `position`, or is stopped or in error, or
 * the time is up. Of lanes that other processes run it is seen within about a second of when they
 * have saved it.
 *
 * Owns:    nothing.
 * Threads: any but the subscription's own.
 * Returns: TIDE_OK, TIDE_TIMEOUT, TIDE_STATE (it ended before), TIDE_DEADLOCK, TIDE_ARGUMENT.
 */
tide_status tide_subscription_wait(struct tide_subscription *subscription, tide_position position,
				   double seconds, struct tide_error *err);

/**
 * Wait until a subscription is in `state`, or cannot get there without being started again, or the
 * time is up.
 *
 * Owns:    nothing.
 * Threads: any but the subscription's own.
 * Returns: TIDE_OK, TIDE_TIMEOUT, TIDE_STATE (it ended before), TIDE_DEADLOCK, TIDE_ARGUMENT.
 */
tide_status tide_subscription_wait_state(struct tide_subscription *subscription,
					 enum tide_state state, double seconds,
					 struct tide_error *err);

/**
 * Write a status as one JSON object.
 *
 * Owns:    the caller owns `*ret`; release it with tide_free.
 * Threads: any.
 * Returns: TIDE_OK, TIDE_ARGUMENT, TIDE_OUT_OF_MEMORY.
 */
tide_status tide_subscription_status_json(const struct tide_subscription_status *status, char **ret,
					  struct tide_error *err);

/** One failure, as the recent list keeps it. A plain value, it owns nothing. */
struct tide_recent_error {
	struct tide_uuid event_id;          /* nil: no event */
	char event_type[TIDE_NAME_MAX + 1]; /* "Unknown" without an event */
	tide_position position;             /* -1 without an event */
	tide_status error_type;
	char error_message[501]; /* cut at a character boundary */
	struct tide_time timestamp;
	bool sent_to_dlq;
};

/**
 * List the newest failures of a subscription, newest first, at most max_recent_errors.
 *
 * Owns:    the caller owns `*ret`, an array of `*ret_count`; release it with tide_free.
 * Threads: any.
 * Returns: TIDE_OK, TIDE_ARGUMENT, TIDE_OUT_OF_MEMORY.
 */
tide_status tide_subscription_recent_errors(struct tide_subscription *subscription,
					    struct tide_recent_error **ret, size_t *ret_count,
					    struct tide_error *err);

/** How a subscription reads ahead; acquisitions - releases = in flight, always. A plain value. */
struct tide_flow_stats {
	int64_t events_in_flight; /* read ahead and not settled */
	int64_t peak_in_flight;
	int64_t pause_count;             /* how often the reader was blocked */
	double total_pause_time_seconds; /* how long it was */
	int64_t total_acquisitions;      /* events read ahead */
	int64_t total_releases;          /* of them, settled or given up */
};

/** What a subscription's filter let through in this run. A plain value. */
struct tide_filter_stats {
	int64_t events_evaluated;
	int64_t events_matched;
	int64_t events_skipped;
	double match_rate; /* matched / evaluated, 1 when none was evaluated */
};

/** What a subscription tries again when it fails. */
enum tide_retry_operation {
	TIDE_RETRY_OF_HANDLER,
	TIDE_RETRY_OF_READ,
	TIDE_RETRY_OF_CHECKPOINT,
	TIDE_RETRY_OF_DLQ,
	TIDE_RETRY_OF_OWNERSHIP,
	TIDE_RETRY_OPERATIONS /* the number of them */
};

/** What trying one operation came to in this run. A plain value. */
struct tide_retry_stats {
	int64_t attempts;
	int64_t successes;
	int64_t failures;
	double total_delay_seconds;   /* of all retries scheduled */
	struct tide_error last_error; /* status TIDE_OK: none */
};

/** Whether calls are let through. */
enum tide_breaker_state { TIDE_BREAKER_CLOSED, TIDE_BREAKER_HALF_OPEN, TIDE_BREAKER_OPEN };

/** A circuit breaker at one moment. A plain value. */
struct tide_breaker_status {
	enum tide_breaker_state state;
	int32_t failure_count; /* in a row */
	bool has_last_failure; /* whether the next one is known */
	struct tide_time last_failure_time;
	int32_t half_open_calls; /* probes let through and not yet judged */
};

/**
 * Take the statistics of reading ahead, of the filter, or of one operation's retries, in the
 * present or last run.
 *
 * Owns:    nothing.
 * Threads: any.
 * Returns: TIDE_OK, TIDE_ARGUMENT.
 */
tide_status tide_subscription_flow_stats(struct tide_subscription *subscription,
					 struct tide_flow_stats *ret, struct tide_error *err);
tide_status tide_subscription_filter_stats(struct tide_subscription *subscription,
					   struct tide_filter_stats *ret, struct tide_error *err);
tide_status tide_subscription_retry_stats(struct tide_subscription *subscription,
					  enum tide_retry_operation operation,
					  struct tide_retry_stats *ret, struct tide_error *err);

/**
 * Look at the two circuit breakers of a subscription; `infra` is the one of reads, checkpoints,
 * dead letters and ownership.
 *
 * Owns:    nothing.
 * Threads: any.
 * Returns: TIDE_OK, TIDE_ARGUMENT.
 */
tide_status tide_subscription_breakers(struct tide_subscription *subscription,
				       struct tide_breaker_status *ret_handler,
				       struct tide_breaker_status *ret_infra,
				       struct tide_error *err);

/**
 * Name a breaker's state ("half_open") or an operation that is tried again ("checkpoint") as
 * written in JSON.
 *
 * Owns:    nothing; the text is static.
 * Threads: any.
 * Returns: the name.
 */
const char *tide_breaker_state_name(enum tide_breaker_state state);
const char *tide_retry_operation_name(enum tide_retry_operation operation);

/**
 * Write one of these as one JSON object.
 *
 * Owns:    the caller owns `*ret`; release it with tide_free.
 * Threads: any.
 * Returns: TIDE_OK, TIDE_ARGUMENT, TIDE_OUT_OF_MEMORY.
 */
tide_status tide_flow_stats_json(const struct tide_flow_stats *stats, char **ret,
				 struct tide_error *err);
tide_status tide_filter_stats_json(const struct tide_filter_stats *stats, char **ret,
				   struct tide_error *err);
tide_status tide_retry_stats_json(const struct tide_retry_stats *stats, char **ret,
				  struct tide_error *err);
tide_status tide_breaker_status_json(const struct tide_breaker_status *status, char **ret,
				     struct tide_error *err);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
