/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDEMARK_SQL_PROJECTION_H
#define TIDEMARK_SQL_PROJECTION_H

#include <tidemark/subscription.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/**
 * A projection written in SQL: statements that run for events of some types, in the transaction of
 * their checkpoint.
 *
 *	-- init:
 *	CREATE TABLE IF NOT EXISTS totals (id TEXT PRIMARY KEY, total INTEGER NOT NULL);
 *	-- on: OrderPlaced, OrderAmended
 *	INSERT INTO totals VALUES (:aggregate_id, json_extract(:payload, '$.total'))
 *	  ON CONFLICT (id) DO UPDATE SET total = excluded.total;
 *	-- reset:
 *	DELETE FROM totals;
 *
 * `-- on: *` names all events. Sections run in the order of the file. Below a line
 * `-- append: STREAM TYPE` of an `on:` section stands a statement that gives one column of JSON:
 * each row is an event of that type, appended in the same transaction as tide_delivery_append does,
 * without an expectation. STREAM is `Shipment/:aggregate_id`, with any parameter that is a UUID, or
 * `Day/name:day-:tenant_id`, a text with parameters. Parameters: :global_position :event_id
 * :event_type :event_version :occurred_at :aggregate_id :aggregate_type :aggregate_version
 * :tenant_id :actor_id :correlation_id :causation_id :metadata :payload.
 */
struct tide_sql_projection;

/** Where a SQL projection comes from. Fill it with TIDE_SQL_PROJECTION. */
struct tide_sql_projection_options {
	size_t size;      /* of this struct, set by TIDE_SQL_PROJECTION */
	const char *path; /* of the file; with `text` only its name in messages, may be NULL then */
	const char *text; /* the SQL itself; NULL: what the file holds */
	const char *name; /* of the projection; NULL: the last part of `path` without .sql */
	/* of the database of the read model, which decides the dialect; NULL: SQLite */
	const char *url;
	bool accept_changes; /* of the init section, and tables that another projection has */
};
#ifdef __cplusplus
static inline struct tide_sql_projection_options tide_sql_projection_options_default(void)
{
	struct tide_sql_projection_options options = {};
	options.size = sizeof options;
	return options;
}
#else
#define TIDE_SQL_PROJECTION(...)                                                                   \
	(&(const struct tide_sql_projection_options){                                              \
		.size = sizeof(struct tide_sql_projection_options), __VA_ARGS__ })
#endif

/**
 * Read a SQL projection and check it: sections, parameters, syntax. Nothing runs yet.
 *
 * Messages name the file and the line. Transactions, PRAGMA and ATTACH are refused: the transaction
 * is the subscription's.
 *
 * Owns:    the caller owns `*ret`; release it with tide_sql_projection_close.
 * Threads: any.
 * Returns: TIDE_OK, TIDE_ARGUMENT, TIDE_NOT_FOUND (no such file), TIDE_IO, TIDE_UNSUPPORTED (a
 *          database without SQL), TIDE_OUT_OF_MEMORY.
 */
tide_status tide_sql_projection_open(const struct tide_sql_projection_options *options,
				     struct tide_sql_projection **ret, struct tide_error *err);

/**
 * Release a projection that is no longer subscribed; NULL is allowed.
 *
 * Owns:    takes `projection`.
 * Threads: one, as the last call on it.
 * Returns: nothing.
 */
void tide_sql_projection_close(struct tide_sql_projection *projection);
static inline void tide_sql_projection_close_cleanup(struct tide_sql_projection **projection)
{
	tide_sql_projection_close(*projection);
}

/**
 * Give the transactional subscriber that a manager runs; one manager at a time.
 *
 * The first start notes in projection_versions what the init section makes. A later one with a
 * changed init section is refused with TIDE_STATE, one of another name that makes the same tables
 * or writes to them with TIDE_ALREADY_EXISTS, unless `accept_changes` is set; changed statements
 * are logged. What only a trigger or a function writes to is refused before it is committed, which
 * ends the subscription. One whose checkpoint is gone while these tables hold rows is refused with
 * TIDE_STATE, too.
 *
 * Once its subscription owns its name, the init section runs in a transaction of its own, in one
 * process at a time, and every statement is prepared.
 *
 * Owns:    nothing; it belongs to the projection, which must outlive the subscription.
 * Threads: any.
 * Returns: the subscriber.
 */
const struct tide_subscriber *
tide_sql_projection_subscriber(const struct tide_sql_projection *projection);

/**
 * Empty the read model and forget the checkpoint, in one transaction: the init section, the reset
 * section, the row.
 *
 * Owns:    nothing.
 * Threads: any, while the projection runs nowhere.
 * Returns: TIDE_OK, TIDE_ARGUMENT (no reset section, or it fails), TIDE_UNSUPPORTED, TIDE_BUSY,
 *          TIDE_CONNECTION_LOST, TIDE_DISK_FULL, TIDE_OUT_OF_MEMORY.
 */
tide_status tide_sql_projection_reset(struct tide_sql_projection *projection,
				      struct tide_checkpoints *checkpoints, struct tide_error *err);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
