/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_POSTGRES_STATEMENTS_H
#define TIDE_POSTGRES_STATEMENTS_H

#include "core/json.h"

/** Every statement; those that are sent more than now and then are prepared where that is
 * possible. */
enum pg_statement {
	PG_APPEND,
	PG_APPEND_ONE,
	PG_APPEND_GROUP,
	PG_APPEND_VERSIONS,
	PG_APPEND_KNOWN,
	PG_SCAN,
	PG_SCAN_SOME,
	PG_LEAP,
	PG_TEXTS,
	PG_STREAM_FORWARD,
	PG_STREAM_BACKWARD,
	PG_STREAM_VERSION,
	PG_FIND,
	PG_ANCHOR,
	PG_NEWEST,
	PG_UNBROKEN,
	PG_GAP,
	PG_GAP_UNMARKED,
	PG_HOLDERS_TOLD,
	PG_BLOCKERS_TOLD,
	PG_MARK_MOVE,
	PG_CHECKPOINT_LOAD,
	PG_CHECKPOINT_SAVE,
	PG_CHECKPOINT_SET,
	PG_CHECKPOINT_SAVE_FENCED,
	PG_CHECKPOINT_MAKE,
	PG_CHECKPOINT_MOVE,
	PG_CHECKPOINT_MOVE_LAZY,
	PG_CHECKPOINT_MOVE_AT_ONCE,
	PG_CHECKPOINT_MOVE_GROUP,
	PG_CHECKPOINT_LIST,
	PG_CHECKPOINT_RESET,
	PG_LEASE_ACQUIRE,
	PG_LEASE_MAKE,
	PG_LEASE_SEIZE,
	PG_LEASE_RENEW,
	PG_LEASE_RENEW_ALL,
	PG_LEASE_RENEW_ALL_AND_MEMBERS,
	PG_LEASE_RELEASE,
	PG_LEASE_MARK,
	PG_LEASE_IS_OWNED,
	PG_LEASE_NOTE,
	PG_LEASE_TELL,
	PG_LEASE_LIST,
	PG_DEAD_LETTER_ADD,
	PG_DEAD_LETTER_ADD_FENCED,
	PG_DEAD_LETTER_CHANGE,
	PG_DEAD_LETTER_CHANGE_FENCED,
	PG_DEAD_LETTER_STATUS,
	PG_FENCE,
	PG_DEAD_LETTER_LIST,
	PG_DEAD_LETTER_GET,
	PG_DEAD_LETTER_DISCARD,
	PG_DEAD_LETTER_STATS,
	PG_DEAD_LETTER_COUNTS,
	PG_SEGMENT_CHANGE,
	PG_SEGMENT_BEGIN,
	PG_SEGMENT_LIST,
	PG_CONTROL_LIST,
	PG_SNAPSHOT_LOAD,
	PG_SNAPSHOT_SAVE,
	PG_GROUP_GET,
	PG_MEMBER_LIST,
	PG_STATEMENT_PREPARED, /* those before it */
	PG_GROUP_MAKE = PG_STATEMENT_PREPARED,
	PG_GROUP_LOCK,
	PG_GROUP_SEAT,
	PG_GROUP_SEAT_FREE,
	PG_GROUP_ROWS,
	PG_GROUP_WRITE,
	PG_GROUP_FORGET,
	PG_GROUP_CLEAR,
	PG_GROUP_BEGIN,
	PG_GROUP_BACK,
	PG_MEMBER_JOIN,
	PG_MEMBER_LEAVE,
	PG_LEAP_INDEX,
	PG_LEASE_END,
	PG_DEAD_LETTER_PURGE,
	PG_CONTROL_PAUSE,
	PG_CONTROL_RESUME,
	PG_JOURNAL_ADD,
	PG_JOURNAL_LIST,
	PG_STATEMENT_COUNT
};

/* The columns of an event in every result, in this order. `metadata` and `payload` are named by the
 * caller. */
enum pg_column {
	PG_COLUMN_POSITION,
	PG_COLUMN_EVENT_ID,
	PG_COLUMN_AGGREGATE_ID,
	PG_COLUMN_AGGREGATE_TYPE,
	PG_COLUMN_EVENT_TYPE,
	PG_COLUMN_TENANT_ID,
	PG_COLUMN_ACTOR_ID,
	PG_COLUMN_VERSION,
	PG_COLUMN_TIMESTAMP,
	PG_COLUMN_CREATED_AT,
	PG_COLUMN_EVENT_VERSION,
	PG_COLUMN_CORRELATION_ID,
	PG_COLUMN_CAUSATION_ID,
	PG_COLUMN_METADATA,
	PG_COLUMN_PAYLOAD,
	PG_COLUMN_COUNT
};
#define PG_COLUMNS                                                                                 \
	"global_position, event_id, aggregate_id, aggregate_type, event_type, tenant_id, "         \
	"actor_id, version, "                                                                      \
	"\"timestamp\", created_at, event_version, correlation_id, causation_id, "
/* Texts come along only where `condition` holds; a payload that is NULL is fetched by itself when
 * it is wanted. */
#define PG_TEXTS_WHEN(condition)                                                                   \
	"CASE WHEN " condition " THEN metadata END AS metadata, CASE WHEN " condition              \
	" THEN payload END AS payload"
#define PG_SIZE_BELOW(param)                                                                       \
	"pg_column_size(payload) + COALESCE(pg_column_size(metadata), 0) <= " param

/* The sequence that the table named in the parameter takes its positions from, by oid; NULL: there
 * is none. Looked for anew each time, since a table can be replaced. What draws is the default,
 * whoever owns what it draws from. */
#define PG_NUMBERING(param)                                                                        \
	"COALESCE((SELECT refobjid FROM pg_depend WHERE classid = 'pg_attrdef'::regclass AND "     \
	"refclassid = "                                                                            \
	"'pg_class'::regclass AND refobjsubid = 0 AND objid = (SELECT oid FROM pg_attrdef WHERE "  \
	"adrelid = "                                                                               \
	"to_regclass(" param                                                                       \
	"::text) AND adnum = (SELECT attnum FROM pg_attribute WHERE attrelid = to_regclass(" param \
	"::text) AND attname = 'global_position')) LIMIT 1), pg_get_serial_sequence(" param        \
	"::text, 'global_position')::regclass::oid)"

/* The columns of PG_GAP; one row for each holder, one without holder when there is none. */
enum pg_gap_column {
	PG_GAP_NEWEST,
	PG_GAP_FILE, /* of the sequence; NULL: there is none */
	PG_GAP_MARK,
	PG_GAP_IS_REPLICA,
	PG_GAP_XMIN, /* transaction numbers below it have ended */
	PG_GAP_XMAX, /* those that have begun are below it */
	PG_GAP_HOLDER,
	PG_GAP_IS_PREPARED
};

/** The text of a statement with "@" where the schema's name and a dot belong. */
const char *pg_statement_text(enum pg_statement statement);
/** Whether it writes, so that its answer may wait for a lock or a standby. */
bool pg_statement_writes(enum pg_statement statement);
/** Add a text with every "@" replaced. */
void pg_statement_expand(struct buffer *buffer, const char *text, const char *schema);

#endif
