/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/postgres/statements.h"

#include <tidemark/backend.h>

#include <string.h>

#define STREAM_CURRENT(id, type)                                                                   \
	"COALESCE((SELECT version FROM @events WHERE aggregate_id = " id                           \
	" AND aggregate_type = " type " ORDER BY version DESC LIMIT 1), 0)"

/* $1 aggregate_id, $2 aggregate_type, $3 bound, $4 limit, $5 greatest size: the events, and where
 * the stream is. */
#define STREAM_READ(compare, order)                                                                \
	"SELECT e.*, v.current FROM (SELECT " STREAM_CURRENT(                                      \
		"$1::uuid", "$2::text") " AS current) v LEFT JOIN LATERAL ("                       \
					"SELECT " PG_COLUMNS                                       \
					PG_TEXTS_WHEN(PG_SIZE_BELOW(                               \
						"$5::int4")) " FROM @events"                       \
							     " WHERE aggregate_id = $1::uuid AND " \
							     "aggregate_type = "                   \
							     "$2::text AND version " compare       \
							     " $3::int8"                           \
							     " ORDER BY version " order            \
							     " LIMIT $4::int4) e ON true ORDER "   \
							     "BY e.version " order

/* Texts of an event only when it can match: $3 greatest size, $4 event types, $5 aggregate types,
 * $6 tenant. */
#define SCAN_WANTED                                                                                \
	"($4::text[] IS NULL OR event_type = ANY($4::text[])) AND ($5::text[] IS NULL OR "         \
	"aggregate_type = "                                                                        \
	"ANY($5::text[]))"                                                                         \
	" AND ($6::uuid IS NULL OR tenant_id = $6::uuid) AND " PG_SIZE_BELOW("$3::int4")

/* The row of a lease, held against a change of owner until this transaction ends: $1 name, $2
 * owner, $3 epoch. KEY SHARE lets the owner renew meanwhile; a new owner takes the row FOR UPDATE,
 * which waits for it. */
#define FENCE_ROW                                                                                  \
	"SELECT 1 FROM @subscription_leases WHERE name = $1::text AND owner = $2::text AND epoch " \
	"= $3::int8 FOR KEY "                                                                      \
	"SHARE"
#define FENCE "WITH fence AS MATERIALIZED (" FENCE_ROW ") "

/* How long the lease of a row lasts; a row of an earlier version does not say. */
#define LEASE_SPAN                                                                                 \
	"make_interval(secs => <+LEASE_SECONDS COALESCE(lease_seconds, 15)+><-LEASE_SECONDS 15+>)"
/* An expiry that no renewal has written, as after a step of the server's clock, counts as over. An
 * owner of an earlier version renews for 15 s, and leaves standing what the row said of the one
 * before it. */
#define LEASE_RUNS                                                                                 \
	"expires_at > clock_timestamp() AND expires_at <= clock_timestamp() + 2 * GREATEST("       \
	"make_interval(secs => 15), " LEASE_SPAN ")"

/* The same of a member. */
#define MEMBER_SPAN "make_interval(secs => COALESCE(m.lease_seconds, 15))"
#define MEMBER_RUNS                                                                                \
	"m.expires_at > clock_timestamp() AND m.expires_at <= clock_timestamp() + 2 "              \
	"* " MEMBER_SPAN

/* A person moves the position of $1: whoever owns it is fenced and begins again from the row. FOR
 * UPDATE waits for the writes of that owner, and they for this; the statement reads `seat` first,
 * so it is held before anything is written. */
#define TURN                                                                                       \
	"WITH seat AS MATERIALIZED (SELECT id FROM @subscription_leases WHERE name = $1::text "    \
	"FOR UPDATE), turn AS "                                                                    \
	"(UPDATE @subscription_leases l SET epoch = l.epoch + 1 FROM seat WHERE l.id = seat.id) "

/* An ownership, and a stretch of the feed that it begins, is flushed on this server and waits for
 * no standby: after a failover without it the owner finds itself fenced, and what it has written
 * under it lies behind it in the log. */
#define LOCALLY                                                                                    \
	"here AS MATERIALIZED (SELECT set_config('synchronous_commit', CASE "                      \
	"current_setting('synchronous_commit') WHEN 'off' THEN 'off' ELSE 'local' END, true))"

/* $1 names, $2 owners, $3 epochs, -1 of a membership. NO KEY UPDATE goes along with a delivery's
 * KEY SHARE (FENCE_ROW); whoever holds more is not waited for. A lease without a row in the answer
 * has another owner. */
#define LEASE_RENEW_ALL(also, told)                                                                \
	"WITH " LOCALLY ", asked AS MATERIALIZED (SELECT * FROM unnest($1::text[], $2::text[], "   \
	"$3::int8[]) WITH ORDINALITY AS a(name, owner, epoch, place)), "                           \
	"free AS MATERIALIZED (SELECT l.id, a.place FROM @subscription_leases l JOIN asked a "     \
	"ON l.name = a.name AND l.owner = a.owner AND l.epoch = a.epoch FOR NO KEY UPDATE "        \
	"OF l SKIP LOCKED), "                                                                      \
	"made AS (UPDATE @subscription_leases l SET expires_at = clock_timestamp() + " LEASE_SPAN  \
	" FROM free, here WHERE l.id = free.id RETURNING free.place)" also                         \
	" SELECT a.place, EXISTS (SELECT 1 FROM made m WHERE m.place = a.place) FROM asked "       \
	"a JOIN @subscription_leases l "                                                           \
	"ON l.name = a.name AND l.owner = a.owner AND l.epoch = a.epoch" told

/* Transactions that hold the lock of the sequence. */
#define HOLDERS(numbering)                                                                         \
	"locktype = 'relation' AND relation = " numbering                                          \
	" AND mode = 'RowExclusiveLock' AND granted"                                               \
	" AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"

/* Who may own a hole below the greatest visible position: the statement's snapshot is older than
 * its look at the locks. $1 the name of the table. It reads the table itself, so that nobody can
 * replace it meanwhile. */
#define GAP(mark)                                                                                  \
	"WITH n AS MATERIALIZED (SELECT " PG_NUMBERING(                                            \
		"$1") " AS oid) "                                                                  \
		      "SELECT (SELECT COALESCE(max(global_position), 0) FROM @events), "           \
		      "pg_relation_filenode(n.oid)::int8, " mark                                   \
		      ", pg_is_in_recovery(), pg_snapshot_xmin(s.now)::text::int8, "               \
		      "pg_snapshot_xmax(s.now)::text::int8, "                                      \
		      "h.virtualtransaction, h.pid IS NULL FROM n CROSS JOIN (SELECT "             \
		      "pg_current_snapshot() AS now) s "                                           \
		      "LEFT JOIN pg_locks h ON " HOLDERS("n.oid")

#define CHECKPOINT_COLUMNS                                                                         \
	"projection_name, last_event_id, last_event_type, last_processed_at, global_position, "    \
	"events_processed, "                                                                       \
	"created_at, updated_at"
#define CHECKPOINT_ANCHOR "<+ANCHOR , anchor_position, anchor_event_id+>"
/* $4 event_id, $5 event_type, $6 position, $7 count, $8 now, $9 and $10 the anchor where it is
 * kept, which goes with the position */
#define CHECKPOINT_VALUES                                                                          \
	"$1::text, $4::uuid, $5::text, CASE WHEN $4::uuid IS NOT NULL THEN $8::timestamptz END, "  \
	"$6::int8, $7::int8, "                                                                     \
	"$8::timestamptz, $8::timestamptz<+ANCHOR , $9::int8, $10::uuid+>"
#define CHECKPOINT_STAND_AT(position, anchor_position, anchor_event_id)                            \
	"<+ANCHOR , anchor_position = CASE WHEN " position                                         \
	" IS NULL THEN c.anchor_position ELSE " anchor_position                                    \
	" END, anchor_event_id = CASE WHEN " position " IS NULL THEN "                             \
	"c.anchor_event_id ELSE " anchor_event_id " END+>"
#define CHECKPOINT_STAND CHECKPOINT_STAND_AT("$6::int8", "$9::int8", "$10::uuid")
#define CHECKPOINT_UPSERT(from)                                                                    \
	"INSERT INTO @projection_checkpoints AS c (" CHECKPOINT_COLUMNS CHECKPOINT_ANCHOR          \
	") SELECT " CHECKPOINT_VALUES from " ON CONFLICT (projection_name) DO UPDATE SET "         \
	"last_event_id = COALESCE(excluded.last_event_id, "                                        \
	"c.last_event_id), last_event_type = COALESCE(excluded.last_event_type, "                  \
	"c.last_event_type), "                                                                     \
	"last_processed_at = COALESCE(excluded.last_processed_at, c.last_processed_at), "          \
	"global_position = COALESCE(excluded.global_position, c.global_position), "                \
	"events_processed = c.events_processed + excluded.events_processed, updated_at = "         \
	"excluded.updated_at" CHECKPOINT_STAND

#define CHECKPOINT_CHANGE(event_id, event_type, position, count, now)                              \
	"UPDATE @projection_checkpoints c SET last_event_id = COALESCE(" event_id                  \
	", c.last_event_id), last_event_type = COALESCE(" event_type ", c.last_event_type), "      \
	"last_processed_at = CASE WHEN " event_id " IS NULL THEN c.last_processed_at ELSE " now    \
	" END, global_position = COALESCE(" position ", c.global_position), events_processed = "   \
	"c.events_processed + " count ", updated_at = " now

/* The same over the row that has this position: the last parameter, NULL for none. */
#define CHECKPOINT_MOVE(from)                                                                      \
	CHECKPOINT_CHANGE("$4::uuid", "$5::text", "$6::int8", "$7::int8", "$8::timestamptz")       \
	CHECKPOINT_STAND                                                                           \
	" FROM " from " WHERE c.projection_name = $1::text AND "                                   \
	"c.global_position IS NOT DISTINCT FROM <+ANCHOR $11+><-ANCHOR $9+>::int8"

/* Not flushed at its commit: a server that crashes may take back the newest. */
#define LAZILY "lazy AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true))"

/* $4 event_id, $5 event_type, $6 event_data, $7 message, $8 stacktrace, $9 retry_count, $10 now,
 * $11 parked_behind, $12 projection_name */
#define DEAD_LETTER_UPSERT(from)                                                                   \
	"INSERT INTO @dead_letter_queue AS d (event_id, projection_name, event_type, event_data, " \
	"error_message, "                                                                          \
	"error_stacktrace, retry_count, first_failed_at, last_failed_at, status<+PARKED , "        \
	"parked_behind+>) "                                                                        \
	"SELECT $4::uuid, $12::text, "                                                             \
	"$5::text, $6::text::jsonb, $7::text, $8::text, $9::int4, $10::timestamptz, "              \
	"$10::timestamptz, "                                                                       \
	"'failed'<+PARKED , $11::uuid+>" from                                                      \
	"<-PARKED  AND $11::uuid IS NULL+> ON CONFLICT (event_id, projection_name) DO UPDATE SET " \
	"retry_count = "                                                                           \
	"excluded.retry_count, last_failed_at = excluded.last_failed_at, error_message = "         \
	"excluded.error_message, "                                                                 \
	"error_stacktrace = excluded.error_stacktrace, status = 'failed', resolved_at = NULL, "    \
	"resolved_by = NULL"                                                                       \
	"<+PARKED , parked_behind = excluded.parked_behind+> RETURNING id"

/* $4 id, $5 statuses it may have, $6 new status, $7 message, $8 stacktrace, $9 add_retries, $10
 * resolved_by, $11 now, $12 parked_behind */
#define DEAD_LETTER_CHANGE(also)                                                                   \
	"UPDATE @dead_letter_queue SET status = $6::text, "                                        \
	"error_message = COALESCE($7::text, error_message), "                                      \
	"error_stacktrace = CASE WHEN $7::text IS NULL THEN error_stacktrace ELSE $8::text END, "  \
	"last_failed_at = CASE WHEN $7::text IS NULL THEN last_failed_at ELSE $11::timestamptz "   \
	"END, "                                                                                    \
	"retry_count = retry_count + $9::int4, "                                                   \
	"resolved_at = CASE WHEN $6::text = 'resolved' THEN $11::timestamptz END, "                \
	"resolved_by = CASE WHEN $6::text = 'resolved' THEN $10::text END"                         \
	"<+PARKED , parked_behind = CASE WHEN $6::text = 'resolved' THEN NULL WHEN $7::text IS "   \
	"NULL THEN "                                                                               \
	"parked_behind ELSE $12::uuid END+> "                                                      \
	"WHERE id = $4::int8 AND status = ANY($5::text[])<-PARKED  AND $12::uuid IS NULL+>" also

#define DEAD_LETTER_COLUMNS                                                                        \
	"id, event_id, projection_name, event_type, event_data::text, error_message, "             \
	"error_stacktrace, retry_count, "                                                          \
	"first_failed_at, last_failed_at, status, resolved_at, resolved_by, <+PARKED "             \
	"parked_behind+>"                                                                          \
	"<-PARKED NULL::uuid+> FROM @dead_letter_queue "

/* What a person did: $1 name, $2 now, $3 who, $4 host, $5 act, $6 detail; the newest are kept, as
 * this statement sees them before it adds its own. */
#define JOURNAL_KEPT_OF(number) #number
#define JOURNAL_KEPT(number) JOURNAL_KEPT_OF(number)
#define JOURNAL                                                                                    \
	"trim AS (DELETE FROM @subscription_journal WHERE id <= (SELECT id FROM "                  \
	"@subscription_journal ORDER BY id DESC OFFSET " JOURNAL_KEPT(                             \
		TIDE_JOURNAL_KEPT) " - 1 "                                                         \
				   "LIMIT 1)), note AS (INSERT INTO @subscription_journal (at, "   \
				   "who, host, act, name, detail) "                                \
				   "VALUES ($2::timestamptz, $3::text, $4::text, $5::text, "       \
				   "$1::text, $6::text)) "

/* clang-format off */
static const char *const statement_texts[PG_STATEMENT_COUNT] = {
	/* $1..$3 the streams: aggregate_id, aggregate_type, required version (-1 any, -2 exists);
	 * $4..$14 the events, by stream. One statement: nothing is inserted unless every stream is
	 * where it must be. */
	[PG_APPEND] =
		"WITH streams AS MATERIALIZED (SELECT s.aggregate_id, s.aggregate_type, "
		"s.required, s.stream, "
		STREAM_CURRENT("s.aggregate_id", "s.aggregate_type") " AS current "
		"FROM unnest($1::uuid[], $2::text[], $3::int4[]) WITH ORDINALITY AS "
		"s(aggregate_id, aggregate_type, required, stream)) "
		"INSERT INTO @events (event_id, aggregate_id, aggregate_type, event_type, "
		"tenant_id, actor_id, version, "
		"\"timestamp\", payload, event_version, correlation_id, causation_id, metadata) "
		"SELECT i.event_id, s.aggregate_id, s.aggregate_type, i.event_type, i.tenant_id, "
		"i.actor_id, s.current + i.nth, "
		"i.occurred_at, i.payload, i.event_version, i.correlation_id, i.causation_id, "
		"i.metadata "
		"FROM unnest($4::int4[], $5::int4[], $6::uuid[], $7::text[], $8::uuid[], "
		"$9::text[], $10::timestamptz[], $11::json[], "
		"$12::int4[], $13::uuid[], $14::uuid[], $15::json[]) WITH ORDINALITY AS i(stream, "
		"nth, event_id, event_type, tenant_id, "
		"actor_id, occurred_at, payload, event_version, correlation_id, causation_id, "
		"metadata, ord) "
		"JOIN streams s ON s.stream = i.stream "
		"WHERE NOT EXISTS (SELECT 1 FROM streams r WHERE NOT CASE r.required WHEN -1 THEN "
		"true WHEN -2 THEN r.current > 0 "
		"ELSE r.current = r.required END) ORDER BY i.ord RETURNING global_position, "
		"version",
	/* The same for one event, $1..$3 its stream. The server takes an array that it does not
	 * know for ten elements, so it thinks a plan for any arrays dearer than one made anew for
	 * each append. */
	[PG_APPEND_ONE] =
		"INSERT INTO @events (event_id, aggregate_id, aggregate_type, event_type, "
		"tenant_id, actor_id, version, "
		"\"timestamp\", payload, event_version, correlation_id, causation_id, metadata) "
		"SELECT $4::uuid, $1::uuid, $2::text, $5::text, $6::uuid, $7::text, s.current + 1, "
		"$8::timestamptz, $9::json, $10::int4, $11::uuid, $12::uuid, $13::json "
		"FROM (SELECT " STREAM_CURRENT("$1::uuid", "$2::text") " AS current OFFSET 0) s "
		"WHERE CASE $3::int4 WHEN -1 THEN true WHEN -2 THEN s.current > 0 ELSE s.current = "
		"$3::int4 END "
		"RETURNING global_position, version",
	/* One event to each of so many streams, $1..$3, whatever becomes of the others. $14 says
	 * how many; the server takes a limit it does not know for a tenth, and so keeps the
	 * plan. */
	[PG_APPEND_GROUP] =
		"INSERT INTO @events (event_id, aggregate_id, aggregate_type, event_type, "
		"tenant_id, actor_id, version, "
		"\"timestamp\", payload, event_version, correlation_id, causation_id, metadata) "
		"SELECT i.event_id, i.aggregate_id, i.aggregate_type, i.event_type, i.tenant_id, "
		"i.actor_id, i.current + 1, "
		"i.occurred_at, i.payload, i.event_version, i.correlation_id, i.causation_id, "
		"i.metadata FROM (SELECT u.*, "
		STREAM_CURRENT("u.aggregate_id", "u.aggregate_type") " AS current "
		"FROM unnest($1::uuid[], $2::text[], $3::int4[], $4::uuid[], $5::text[], "
		"$6::uuid[], $7::text[], "
		"$8::timestamptz[], $9::json[], $10::int4[], $11::uuid[], $12::uuid[], "
		"$13::json[]) WITH ORDINALITY "
		"AS u(aggregate_id, aggregate_type, required, event_id, event_type, tenant_id, "
		"actor_id, occurred_at, payload, "
		"event_version, correlation_id, causation_id, metadata, ord) LIMIT $14::int8) i "
		"WHERE CASE i.required WHEN -1 THEN true WHEN -2 THEN i.current > 0 ELSE i.current "
		"= i.required END "
		"ORDER BY i.ord RETURNING global_position, version, event_id",
	[PG_APPEND_VERSIONS] =
		"SELECT " STREAM_CURRENT("s.aggregate_id", "s.aggregate_type")
		" FROM unnest($1::uuid[], $2::text[]) WITH ORDINALITY AS s(aggregate_id, "
		"aggregate_type, ord) ORDER BY s.ord",
	[PG_APPEND_KNOWN] =
		"SELECT i.ord, e.global_position, e.version, e.aggregate_id, e.aggregate_type FROM "
		"unnest($1::uuid[]) "
		"WITH ORDINALITY AS i(event_id, ord) JOIN @events e ON e.event_id = i.event_id "
		"ORDER BY i.ord",
	[PG_SCAN] = /* $1 bound, $2 limit, $3 greatest size */
		"SELECT " PG_COLUMNS PG_TEXTS_WHEN(PG_SIZE_BELOW("$3::int4"))
		" FROM @events WHERE global_position > $1::int8 ORDER BY global_position LIMIT "
		"$2::int4",
	[PG_SCAN_SOME] =
		"SELECT " PG_COLUMNS PG_TEXTS_WHEN(SCAN_WANTED)
		" FROM @events WHERE global_position > $1::int8 ORDER BY global_position LIMIT "
		"$2::int4",
	/* As PG_SCAN_SOME, but only the next $2 of the types $4 behind $1 up to $7, and what is at
	 * $1 and the last of all up to $7, which prove what the answer is of. Rows are compared so
	 * that no index but that on the type has their order, and fetched one by one so that no plan
	 * reads the table. */
	[PG_LEAP] =
		"WITH types AS (SELECT DISTINCT unnest($4::text[]) AS type), places AS "
		"MATERIALIZED (SELECT $1::int8 AS place UNION SELECT max(global_position) FROM "
		"@events WHERE global_position <= $7::int8 UNION (SELECT n.global_position FROM "
		"types t CROSS JOIN LATERAL (SELECT e.global_position FROM @events e WHERE "
		"(e.event_type, e.global_position) > (t.type, $1::int8) AND (e.event_type, "
		"e.global_position) <= (t.type, $7::int8) ORDER BY e.event_type, e.global_position "
		"LIMIT $2::int4) n ORDER BY n.global_position LIMIT $2::int4)) "
		"SELECT r.* FROM places p CROSS JOIN LATERAL (SELECT "
		PG_COLUMNS PG_TEXTS_WHEN(SCAN_WANTED)
		" FROM @events WHERE global_position = p.place LIMIT 1) r ORDER BY "
		"r.global_position",
	/* Whether there is an index for that: $1 the name of the table. One in the order of another
	 * version of its collation does not find all that is in it. PostgreSQL 13 and 14 know no
	 * version of the database's own. */
	[PG_LEAP_INDEX] =
		"SELECT EXISTS (SELECT 1 FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid "
		"JOIN pg_am m ON m.oid = c.relam AND m.amname = 'btree' "
		"JOIN pg_attribute t ON t.attrelid = i.indrelid AND t.attnum = i.indkey[0] AND "
		"t.attname = 'event_type' AND t.attcollation = i.indcollation[0] "
		"JOIN pg_attribute p ON p.attrelid = i.indrelid AND p.attnum = i.indkey[1] AND "
		"p.attname = 'global_position' WHERE i.indrelid = to_regclass($1::text) AND "
		"i.indisvalid AND i.indnkeyatts > 1 AND i.indpred IS NULL AND NOT EXISTS (SELECT "
		"FROM pg_collation l, pg_database d, LATERAL (SELECT CASE WHEN l.collprovider = "
		"'d' THEN to_jsonb(d) ->> 'datcollversion' ELSE l.collversion END AS made, "
		"pg_collation_actual_version(l.oid) AS used) v WHERE l.oid = i.indcollation[0] "
		"AND d.datname = current_database() AND v.made <> COALESCE(v.used, '')))",
	[PG_TEXTS] = "SELECT metadata, payload FROM @events WHERE global_position = $1::int8",
	[PG_STREAM_FORWARD] = STREAM_READ(">", "ASC"),
	[PG_STREAM_BACKWARD] = STREAM_READ("<", "DESC"),
	[PG_STREAM_VERSION] = "SELECT " STREAM_CURRENT("$1::uuid", "$2::text"),
	[PG_FIND] = "SELECT " PG_COLUMNS "metadata, payload FROM @events WHERE event_id = $1::uuid",
	[PG_ANCHOR] =
		"SELECT e.global_position, e.event_id, pg_is_in_recovery() FROM (SELECT 1) one "
		"LEFT JOIN LATERAL (SELECT "
		"global_position, event_id FROM @events WHERE global_position <= $1::int8 ORDER BY "
		"global_position DESC LIMIT 1) e ON true",
	[PG_NEWEST] = "SELECT COALESCE(max(global_position), 0) FROM @events",
	/* the end of the run of positions without a hole that begins behind $1, at most $2 and so
	 * many rows further */
	[PG_UNBROKEN] =
		"SELECT COALESCE(max(p), $1::int8), count(*) FROM (SELECT global_position AS p, "
		"row_number() OVER (ORDER BY "
		"global_position) AS n FROM @events WHERE global_position > $1::int8 AND "
		"global_position <= $2::int8 "
		"ORDER BY global_position LIMIT $3::int4) r WHERE p = $1::int8 + n",
	[PG_GAP] = GAP("COALESCE((SELECT settled FROM @tidemark_feed WHERE numbering = "
		"pg_relation_filenode(n.oid)::int8), 0)"),
	[PG_GAP_UNMARKED] = GAP("0::int8"),
	/* who they are, the oldest first: $1 the name of the table, $2 only these, NULL all. A
	 * query is shown up to its first literal. */
	[PG_HOLDERS_TOLD] =
		"SELECT l.virtualtransaction, l.pid, NULLIF(a.application_name, ''), "
		"COALESCE(a.usename, p.owner)::text, "
		"floor(extract(epoch FROM clock_timestamp() - COALESCE(a.xact_start, "
		"p.prepared)))::int8, a.state, "
		"CASE WHEN a.query NOT LIKE '<%' THEN left(regexp_replace(regexp_replace(a.query, "
		"'\\s+', ' ', 'g'), '[''$].*', '...'), 100) END, "
		"p.gid::text FROM (SELECT DISTINCT virtualtransaction, pid FROM pg_locks WHERE "
		"" HOLDERS("(SELECT " PG_NUMBERING("$1") ")")
		" AND ($2::text IS NULL OR virtualtransaction = ANY(string_to_array($2::text, ' "
		"')))) l "
		"LEFT JOIN pg_stat_activity a ON a.pid = l.pid "
		"LEFT JOIN pg_prepared_xacts p ON l.pid IS NULL AND p.transaction IN (SELECT "
		"t.transactionid FROM pg_locks t "
		"WHERE t.locktype = 'transactionid' AND t.virtualtransaction = "
		"l.virtualtransaction AND t.pid IS NULL AND t.granted) "
		"ORDER BY COALESCE(a.xact_start, p.prepared) NULLS LAST LIMIT 5",
	/* who keeps the server process $1 waiting, the oldest first; columns as above */
	[PG_BLOCKERS_TOLD] =
		"SELECT COALESCE(b.pid, 0)::text, NULLIF(b.pid, 0), NULLIF(a.application_name, "
		"''), a.usename::text, "
		"floor(extract(epoch FROM clock_timestamp() - a.xact_start))::int8, a.state, "
		"CASE WHEN a.query NOT LIKE '<%' THEN left(regexp_replace(regexp_replace(a.query, "
		"'\\s+', ' ', 'g'), '[''$].*', '...'), 100) END, "
		"NULL::text FROM unnest(pg_blocking_pids($1::int4)) b(pid) LEFT JOIN "
		"pg_stat_activity a ON a.pid = b.pid "
		"ORDER BY a.xact_start NULLS LAST LIMIT 1",
	/* $1 the file of the sequence: one that was restarted or replaced has another; $3 the name
	 * of the table */
	[PG_MARK_MOVE] =
		"WITH lazy AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true)) "
		"INSERT INTO @tidemark_feed AS f (id, numbering, settled) "
		"SELECT 1, $1::int8, $2::int8 FROM lazy WHERE $1::int8 = "
		"pg_relation_filenode((SELECT " PG_NUMBERING("$3") "))::int8 "
		"ON CONFLICT (id) DO UPDATE SET numbering = excluded.numbering, settled = "
		"excluded.settled "
		"WHERE f.numbering <> excluded.numbering OR f.settled < excluded.settled",

	[PG_CHECKPOINT_LOAD] =
		"SELECT " CHECKPOINT_COLUMNS CHECKPOINT_ANCHOR " FROM @projection_checkpoints "
		"WHERE projection_name = $1::text",
	[PG_CHECKPOINT_SAVE] = CHECKPOINT_UPSERT(" WHERE $2::text IS NULL AND $3::int8 IS NULL"),
	[PG_CHECKPOINT_SET] = TURN CHECKPOINT_UPSERT(" FROM (SELECT count(*) FROM seat) s WHERE "
		"$2::text IS NULL AND $3::int8 IS NULL"),
	[PG_CHECKPOINT_SAVE_FENCED] = FENCE CHECKPOINT_UPSERT(" FROM fence WHERE true"),
	/* over no row; one without a position may have come meanwhile */
	[PG_CHECKPOINT_MAKE] = FENCE CHECKPOINT_UPSERT(" FROM fence WHERE true") " WHERE "
		"c.global_position IS NULL",
	[PG_CHECKPOINT_MOVE] = FENCE CHECKPOINT_MOVE("fence"),
	[PG_CHECKPOINT_MOVE_LAZY] = "WITH " LAZILY ", fence AS MATERIALIZED (" FENCE_ROW
				    ") " CHECKPOINT_MOVE("fence, lazy"),
	/* The same without waiting for a lock that somebody else has. */
	[PG_CHECKPOINT_MOVE_AT_ONCE] =
		"WITH " LAZILY ", fence AS MATERIALIZED (" FENCE_ROW " SKIP LOCKED), seat AS "
		"MATERIALIZED (SELECT c.projection_name FROM @projection_checkpoints c, fence "
		"WHERE c.projection_name = $1::text FOR NO KEY UPDATE OF c SKIP LOCKED) "
		CHECKPOINT_MOVE("seat, lazy"),
	/* Of several, in arrays, in the order of the parameters; their places are returned. None
	 * waits here for a lock, as none does for one row. */
	[PG_CHECKPOINT_MOVE_GROUP] =
		"WITH " LAZILY ", asked AS MATERIALIZED (SELECT * FROM unnest($1::text[], "
		"$2::text[], $3::int8[], $4::uuid[], $5::text[], $6::int8[], $7::int8[], "
		"$8::timestamptz[], $9::int8[]<+ANCHOR , $10::uuid[], $11::int8[]+>) WITH "
		"ORDINALITY AS a(name, owner, epoch, event_id, event_type, position, count, now, "
		"<+ANCHOR anchor_position, anchor_event_id, +>expected, place)), "
		"fence AS MATERIALIZED (SELECT a.place, a.name FROM asked a JOIN "
		"@subscription_leases l ON l.name = a.name AND l.owner = a.owner AND l.epoch = "
		"a.epoch FOR KEY SHARE OF l SKIP LOCKED), "
		"seat AS MATERIALIZED (SELECT f.place FROM fence f JOIN @projection_checkpoints c "
		"ON c.projection_name = f.name FOR NO KEY UPDATE OF c SKIP LOCKED) "
		CHECKPOINT_CHANGE("a.event_id", "a.event_type", "a.position", "a.count", "a.now")
		CHECKPOINT_STAND_AT("a.position", "a.anchor_position", "a.anchor_event_id")
		" FROM asked a JOIN seat s ON s.place = a.place, lazy WHERE c.projection_name = "
		"a.name AND c.global_position IS NOT DISTINCT FROM a.expected RETURNING a.place",
	[PG_CHECKPOINT_LIST] =
		"SELECT " CHECKPOINT_COLUMNS CHECKPOINT_ANCHOR " FROM @projection_checkpoints "
		"ORDER BY projection_name COLLATE \"C\"",
	[PG_CHECKPOINT_RESET] =
		TURN "<+SEGMENTS , forgotten AS (DELETE FROM @projection_segments WHERE name = "
			"$1::text) +>"
		"DELETE FROM @projection_checkpoints c USING (SELECT count(*) FROM seat) s WHERE "
		"c.projection_name = $1::text",

	/* $1 name, $2 owner, $3 milliseconds. A row whose owner is writing at this moment is
	 * locked, so it is alive. */
	[PG_LEASE_ACQUIRE] =
		"WITH prior AS MATERIALIZED (SELECT id, owner IS NOT NULL AS was_unclean, "
		"suspect_position "
		"FROM @subscription_leases WHERE name = $1::text AND (owner IS NULL OR owner = "
		"$2::text OR NOT (" LEASE_RUNS ")) "
		"FOR UPDATE SKIP LOCKED), " LOCALLY
		" UPDATE @subscription_leases l SET owner = $2::text, epoch = l.epoch + 1, "
		"acquired_at = clock_timestamp(), "
		"released_at = NULL, <+LEASE_SECONDS lease_seconds = $3::int4 / 1000.0, expires_at "
		"= clock_timestamp() + $3::int4 * interval '1 ms'+>"
		"<-LEASE_SECONDS expires_at = clock_timestamp() + interval '15 seconds'+>, "
		"suspect_position = CASE WHEN p.was_unclean THEN l.suspect_position END, "
		"suspect_deaths = CASE WHEN p.was_unclean AND l.suspect_position IS NOT NULL THEN "
		"COALESCE(l.suspect_deaths, 0) + 1 END"
		"<+LEASE_HISTORY , host = NULL, pid = NULL+><+LEASE_REASON , reason = NULL+> "
		"FROM prior p, here WHERE l.id = p.id<-LEASE_SECONDS  AND $3::int4 > 0+> "
		"RETURNING l.epoch, p.was_unclean, l.suspect_position, l.suspect_deaths, "
		"<+LEASE_SECONDS $3::int4+><-LEASE_SECONDS 15000+>",
	[PG_LEASE_MAKE] =
		"WITH " LOCALLY " INSERT INTO @subscription_leases (name, owner, epoch, "
		"acquired_at, released_at, expires_at) "
		"SELECT $1::text, NULL, 0, clock_timestamp(), clock_timestamp(), clock_timestamp() "
		"FROM here "
		"WHERE NOT EXISTS (SELECT 1 FROM @subscription_leases WHERE name = $1::text) ON "
		"CONFLICT (name) DO NOTHING",
	/* FOR UPDATE waits for what its owner has written and not committed */
	[PG_LEASE_SEIZE] =
		"WITH " LOCALLY ", seat AS MATERIALIZED (SELECT id FROM @subscription_leases WHERE "
		"name = $1::text FOR UPDATE) "
		"UPDATE @subscription_leases l SET owner = $2::text, epoch = l.epoch + 1, "
		"acquired_at = clock_timestamp(), "
		"released_at = NULL, <+LEASE_SECONDS lease_seconds = NULL, +>expires_at = "
		"clock_timestamp() + interval '15 seconds', suspect_position = NULL, "
		"suspect_deaths = NULL FROM seat, here WHERE l.id = seat.id RETURNING l.epoch",
	[PG_LEASE_RENEW] =
		"WITH " LOCALLY " UPDATE @subscription_leases SET expires_at = clock_timestamp() + "
		"" LEASE_SPAN " FROM here "
		"WHERE name = $1::text AND owner = $2::text AND epoch = $3::int8",
	[PG_LEASE_RENEW_ALL] = LEASE_RENEW_ALL("", ""),
	/* Memberships, too: a role without rights on their table has none. */
	[PG_LEASE_RENEW_ALL_AND_MEMBERS] = LEASE_RENEW_ALL(
		"<+GROUPS , stays AS MATERIALIZED (SELECT m.name, m.member, a.place FROM "
		"@subscription_members m JOIN asked a ON m.name = a.name AND m.member = a.owner "
		"AND a.epoch = -1 FOR NO KEY UPDATE OF m SKIP LOCKED), stayed AS (UPDATE "
		"@subscription_members m SET expires_at = clock_timestamp() + " MEMBER_SPAN
		" FROM stays s, here WHERE m.name = s.name AND m.member = s.member "
		"RETURNING s.place)+>",
		"<+GROUPS  UNION ALL SELECT a.place, EXISTS (SELECT 1 FROM stayed s WHERE s.place "
		"= a.place) FROM asked a JOIN @subscription_members m ON m.name = a.name AND "
		"m.member = a.owner AND a.epoch = -1+>"),
	[PG_LEASE_RELEASE] =
		"WITH " LOCALLY " UPDATE @subscription_leases SET owner = NULL, released_at = "
		"clock_timestamp(), expires_at = clock_timestamp(), "
		"<+LEASE_SECONDS lease_seconds = NULL, +>suspect_position = NULL, suspect_deaths = "
		"NULL FROM here WHERE name = $1::text AND owner = $2::text AND epoch >= $3::int8",
	[PG_LEASE_END] =
		"WITH " LOCALLY ", seat AS MATERIALIZED (SELECT id FROM @subscription_leases WHERE "
		"name = $1::text FOR UPDATE) "
		"UPDATE @subscription_leases l SET owner = NULL, epoch = l.epoch + 1, released_at "
		"= clock_timestamp(), "
		"expires_at = clock_timestamp(), <+LEASE_SECONDS lease_seconds = NULL, "
		"+>suspect_position = NULL, "
		"suspect_deaths = NULL<+LEASE_HISTORY , last_error = NULL, last_error_at = "
		"NULL+><+LEASE_REASON , reason = NULL+> "
		"FROM seat, here WHERE l.id = seat.id",
	[PG_LEASE_MARK] =
		"WITH " LOCALLY " UPDATE @subscription_leases SET suspect_position = $4::int8, "
		"suspect_deaths = $5::int4 FROM here "
		"WHERE name = $1::text AND owner = $2::text AND epoch = $3::int8",
	/* The parameters have their types also where the columns are missing. */
	[PG_LEASE_NOTE] =
		"WITH " LOCALLY " UPDATE @subscription_leases SET epoch = epoch<+LEASE_HISTORY , "
		"host = COALESCE($4::text, host), "
		"pid = CASE WHEN $4::text IS NULL THEN pid ELSE $5::int4 END, last_error = "
		"COALESCE($6::text, last_error), "
		"last_error_at = CASE WHEN $6::text IS NULL THEN last_error_at ELSE "
		"clock_timestamp() END+>"
		"<+LEASE_REASON , reason = COALESCE($7::text, reason)+> FROM here "
		"WHERE name = $1::text AND owner = $2::text AND epoch = $3::int8"
		"<-LEASE_HISTORY  AND ($4::text IS NULL OR $5::int4 IS NULL OR $6::text IS NULL)+>"
		"<-LEASE_REASON  AND ($7::text IS NULL OR true)+>",
	/* $4 the reason. Whoever has the row locked is not waited for. */
	[PG_LEASE_TELL] =
		"WITH " LOCALLY ", free AS MATERIALIZED (SELECT id FROM @subscription_leases "
		"WHERE name = $1::text AND owner = $2::text AND epoch = $3::int8 FOR NO KEY UPDATE "
		"SKIP LOCKED) "
		"UPDATE @subscription_leases l SET reason = $4::text FROM free, here WHERE l.id = "
		"free.id",
	[PG_LEASE_LIST] =
		"SELECT name, owner IS NOT NULL AND " LEASE_RUNS ", acquired_at, "
		"ceil(extract(epoch FROM expires_at - clock_timestamp()))::int8"
		"<+LEASE_HISTORY , host, pid, last_error, last_error_at+>"
		"<-LEASE_HISTORY , NULL::text, NULL::int4, NULL::text, NULL::timestamptz+>"
		", owner IS NOT NULL, released_at, suspect_position, suspect_deaths"
		"<+LEASE_REASON , reason+><-LEASE_REASON , NULL::text+>, owner "
		"FROM @subscription_leases ORDER BY name COLLATE \"C\"",
	[PG_LEASE_IS_OWNED] =
		"SELECT 1 FROM @subscription_leases WHERE name = $1::text AND owner IS NOT NULL "
		"AND " LEASE_RUNS,

	[PG_DEAD_LETTER_ADD] = DEAD_LETTER_UPSERT(" WHERE $1::text IS NULL AND $2::text IS NULL "
		"AND $3::int8 IS NULL"),
	[PG_DEAD_LETTER_ADD_FENCED] = FENCE DEAD_LETTER_UPSERT(" FROM fence WHERE true"),
	[PG_DEAD_LETTER_CHANGE] = DEAD_LETTER_CHANGE(" AND $1::text IS NULL AND $2::text IS NULL "
		"AND $3::int8 IS NULL"),
	[PG_DEAD_LETTER_CHANGE_FENCED] = FENCE DEAD_LETTER_CHANGE(" AND EXISTS (SELECT 1 FROM "
		"fence)"),
	[PG_DEAD_LETTER_STATUS] = "SELECT status FROM @dead_letter_queue WHERE id = $1::int8",
	[PG_FENCE] = FENCE_ROW,
	[PG_DEAD_LETTER_LIST] = /* $1 projection, $2 statuses, $3 limit, $4 oldest first, $5 after id, $6 parked behind */
		"SELECT " DEAD_LETTER_COLUMNS "WHERE ($1::text IS NULL OR projection_name = "
		"$1::text) AND status = ANY($2::text[]) "
		"AND id > $5::int8 AND ($6::uuid IS NULL<+PARKED  OR parked_behind = $6::uuid+>) "
		"ORDER BY CASE WHEN $4::int4 = 1 THEN id END ASC, first_failed_at DESC, id DESC "
		"LIMIT $3::int8",
	[PG_DEAD_LETTER_GET] = "SELECT " DEAD_LETTER_COLUMNS "WHERE id = $1::int8",
	[PG_DEAD_LETTER_DISCARD] = "DELETE FROM @dead_letter_queue WHERE id = $1::int8 AND status "
		"<> 'resolved'",
	[PG_DEAD_LETTER_PURGE] = "DELETE FROM @dead_letter_queue WHERE status = 'resolved' AND "
		"resolved_at < $1::timestamptz",
	[PG_DEAD_LETTER_STATS] =
		"SELECT count(*) FILTER (WHERE status = 'failed'), count(*) FILTER (WHERE status = "
		"'retrying'), "
		"count(DISTINCT projection_name), min(first_failed_at) FROM @dead_letter_queue "
		"WHERE status <> 'resolved'",
	[PG_DEAD_LETTER_COUNTS] =
		"SELECT projection_name, count(*), min(first_failed_at), max(last_failed_at), "
		"count(*) FILTER (WHERE status = 'retrying') FROM @dead_letter_queue WHERE status "
		"<> 'resolved' GROUP BY projection_name ORDER BY count(*) DESC, projection_name "
		"COLLATE \"C\"",

	/* $2 where it ends, NULL: it does not; $3 events processed then, $4 now, $5 discarded since */
	[PG_SEGMENT_CHANGE] =
		"UPDATE @projection_segments SET events_discarded = events_discarded + $5::int8, "
		"until_position = $2::int8, "
		"until_processed = CASE WHEN $2::int8 IS NOT NULL THEN $3::int8 END, "
		"ended_at = CASE WHEN $2::int8 IS NOT NULL THEN $4::timestamptz END WHERE name = "
		"$1::text AND ended_at IS NULL",
	/* $9 where the open one ends, NULL: there is none */
	[PG_SEGMENT_BEGIN] =
		FENCE ", " LOCALLY ", ended AS (UPDATE @projection_segments SET until_position = "
			"$9::int8, until_processed = $5::int8, "
		"ended_at = $6::timestamptz WHERE name = $1::text AND ended_at IS NULL AND "
		"$9::int8 IS NOT NULL "
		"AND EXISTS (SELECT 1 FROM fence)) "
		"INSERT INTO @projection_segments (name, from_position, events_processed, "
		"began_at, filter, stored_position) "
		"SELECT $1::text, $4::int8, $5::int8, $6::timestamptz, $7::text::json, $8::int8 "
		"FROM fence, here",
	[PG_SEGMENT_LIST] =
		"SELECT from_position, events_processed, events_discarded, filter::text, ended_at "
		"IS NOT NULL, until_position, "
		"until_processed, stored_position, name FROM @projection_segments WHERE "
		"substr(name, 1, length($1::text)) = $1::text ORDER BY id",

	[PG_CONTROL_PAUSE] = /* as JOURNAL; $7 reason, $8 note */
		"WITH was AS MATERIALIZED (SELECT 1 FROM @subscription_controls WHERE name = "
		"$1::text), " JOURNAL
		", put AS (INSERT INTO @subscription_controls AS c (name, paused_at, paused_by, "
		"reason, note, updated_at) "
		"VALUES ($1::text, $2::timestamptz, $3::text, $7::text, $8::text, $2::timestamptz) "
		"ON CONFLICT (name) DO UPDATE SET "
		"paused_by = excluded.paused_by, reason = excluded.reason, note = excluded.note, "
		"updated_at = excluded.updated_at) "
		"SELECT EXISTS (SELECT 1 FROM was)",
	[PG_CONTROL_RESUME] =
		"WITH gone AS (DELETE FROM @subscription_controls WHERE name = $1::text RETURNING "
		"1), " JOURNAL
		"SELECT EXISTS (SELECT 1 FROM gone)",
	[PG_CONTROL_LIST] =
		"SELECT name, paused_at, paused_by, reason, note, updated_at FROM "
		"@subscription_controls ORDER BY name COLLATE \"C\"",
	[PG_JOURNAL_ADD] = "WITH " JOURNAL "SELECT 1",
	[PG_JOURNAL_LIST] = /* $1 name, NULL all; $2 limit */
		"SELECT id, at, who, host, act, name, detail FROM @subscription_journal WHERE "
		"$1::text IS NULL OR name = $1::text "
		"ORDER BY id DESC LIMIT $2::int8",

	[PG_GROUP_GET] =
		"SELECT lanes, processed_before, changed_at FROM @subscription_groups WHERE name = "
		"$1::text",
	[PG_GROUP_MAKE] = /* without a number yet; nobody sees it so */
		"INSERT INTO @subscription_groups (name, lanes, processed_before, changed_at) "
		"VALUES ($1::text, 0, 0, clock_timestamp()) ON CONFLICT (name) DO NOTHING",
	[PG_GROUP_LOCK] =
		"SELECT lanes FROM @subscription_groups WHERE name = $1::text FOR UPDATE",
	[PG_GROUP_SEAT] = /* $1, $2 names; how many of them are owned */
		"SELECT count(*) FILTER (WHERE owner IS NOT NULL AND " LEASE_RUNS ") FROM (SELECT "
		"* FROM @subscription_leases WHERE name = ANY($1::text[] || $2::text[]) ORDER BY "
		"name FOR UPDATE) l",
	[PG_GROUP_SEAT_FREE] = /* the same, but one that is locked counts as owned */
		"WITH free AS MATERIALIZED (SELECT * FROM @subscription_leases WHERE name = "
		"ANY($1::text[] || $2::text[]) ORDER BY name FOR UPDATE SKIP LOCKED) SELECT (SELECT "
		"count(*) FROM @subscription_leases WHERE name = ANY($1::text[] || $2::text[])) - "
		"count(*) FILTER (WHERE owner IS NULL OR NOT (" LEASE_RUNS ")) FROM free",
	[PG_GROUP_ROWS] =
		"SELECT projection_name, global_position FROM @projection_checkpoints WHERE "
		"projection_name = ANY($1::text[]) FOR UPDATE",
	/* $1 name, $2 lanes, $3 the rows before, $4 now; $5..$8 the rows of the lanes: name,
	 * position, anchor; $9 when they were created */
	[PG_GROUP_WRITE] =
		"WITH turned AS (UPDATE @subscription_leases SET owner = NULL, epoch = epoch + 1, "
		"released_at = clock_timestamp(), expires_at = clock_timestamp(), "
		"<+LEASE_SECONDS lease_seconds = NULL, +>suspect_position = NULL, suspect_deaths = "
		"NULL WHERE name = ANY($3::text[])), "
		"gone AS (DELETE FROM @subscription_members WHERE name = $1::text), "
		"made AS (INSERT INTO @projection_checkpoints AS c (projection_name, "
		"global_position, events_processed, created_at, updated_at"
		"<+ANCHOR , anchor_position, anchor_event_id+>) SELECT a.name, "
		"NULLIF(a.position, -1), 0, $9::timestamptz, $4::timestamptz"
		"<+ANCHOR , NULLIF(a.anchor, 0), a.event_id+> FROM unnest($5::text[], $6::int8[], "
		"$7::int8[], $8::uuid[]) AS a(name, position, anchor, event_id) ON CONFLICT "
		"(projection_name) DO UPDATE SET global_position = excluded.global_position, "
		"created_at = CASE WHEN $9::timestamptz > $4::timestamptz THEN $9::timestamptz "
		"ELSE c.created_at END, updated_at = excluded.updated_at<+ANCHOR , anchor_position = "
		"excluded.anchor_position, anchor_event_id = excluded.anchor_event_id+>) "
		"UPDATE @subscription_groups SET lanes = $2::int4, changed_at = clock_timestamp() "
		"WHERE name = $1::text",
	[PG_GROUP_FORGET] = /* $1 name, $2 lanes, $3 the rows, $4 when the number was changed */
		"WITH seat AS MATERIALIZED (SELECT 1 FROM @subscription_groups WHERE name = "
		"$1::text AND lanes = $2::int4 AND changed_at = $4::timestamptz FOR UPDATE), gone "
		"AS (DELETE FROM "
		"@projection_checkpoints USING seat WHERE projection_name = ANY($3::text[]) "
		"RETURNING events_processed)<+SEGMENTS , forgotten AS (DELETE FROM "
		"@projection_segments USING seat WHERE name = ANY($3::text[]) AND ended_at IS "
		"NULL)+> "
		"UPDATE @subscription_groups SET processed_before = processed_before + (SELECT "
		"COALESCE(sum(events_processed), 0) FROM gone)::int8 FROM seat WHERE name = "
		"$1::text",
	[PG_GROUP_CLEAR] = /* $1 name, $2 the rows */
		"WITH turned AS (UPDATE @subscription_leases SET epoch = epoch + 1 WHERE name = "
		"ANY($2::text[])), gone AS (DELETE FROM @projection_checkpoints WHERE "
		"projection_name = ANY($2::text[]))<+SEGMENTS , forgotten AS (DELETE FROM "
		"@projection_segments WHERE name = ANY($2::text[]))+> "
		"UPDATE @subscription_groups SET processed_before = 0 WHERE name = $1::text",
	[PG_GROUP_BEGIN] = /* $1 the rows, $2 position, $3 now */
		"INSERT INTO @projection_checkpoints AS c (projection_name, global_position, "
		"events_processed, created_at, updated_at) SELECT a.name, $2::int8, 0, "
		"$3::timestamptz, $3::timestamptz FROM unnest($1::text[]) AS a(name)",
	/* $1 the rows, $2 how many of them are of present lanes, $3 position, $4 now; the row that
	 * was written last tells the number where there is no group */
	[PG_GROUP_BACK] =
		"WITH turned AS (UPDATE @subscription_leases SET epoch = epoch + 1 WHERE name = "
		"ANY($1::text[])) UPDATE @projection_checkpoints SET global_position = $3::int8, "
		"updated_at = CASE WHEN array_position($1::text[], projection_name::text) <= "
		"$2::int4 THEN $4::timestamptz ELSE updated_at END"
		"<+ANCHOR , anchor_position = NULL, anchor_event_id = NULL+> WHERE "
		"projection_name = ANY($1::text[]) AND global_position > $3::int8",
	/* $1 group, $2 lanes, $3 member, $4 host, $5 pid, $6 milliseconds. FOR SHARE waits for who
	 * changes the number, and that one for this. */
	[PG_MEMBER_JOIN] =
		"WITH " LOCALLY ", seat AS MATERIALIZED (SELECT 1 FROM @subscription_groups WHERE "
		"name = $1::text AND lanes = $2::int4 FOR SHARE), "
		"swept AS (DELETE FROM @subscription_members m USING seat WHERE m.name = $1::text "
		"AND m.member <> $3::text AND NOT (" MEMBER_RUNS ")) "
		"INSERT INTO @subscription_members (name, member, host, pid, joined_at, "
		"lease_seconds, expires_at) SELECT $1::text, $3::text, $4::text, $5::int4, "
		"clock_timestamp(), $6::int4 / 1000.0, clock_timestamp() + $6::int4 * interval "
		"'1 ms' FROM seat, here ON CONFLICT (name, member) DO UPDATE SET host = "
		"excluded.host, pid = excluded.pid, joined_at = excluded.joined_at, lease_seconds "
		"= excluded.lease_seconds, expires_at = excluded.expires_at",
	[PG_MEMBER_LEAVE] =
		"DELETE FROM @subscription_members WHERE name = $1::text AND member = $2::text",
	[PG_MEMBER_LIST] =
		"SELECT m.member, m.host, m.pid, m.joined_at, ceil(extract(epoch FROM m.expires_at "
		"- clock_timestamp()) * 1000)::int8 FROM @subscription_members m WHERE m.name = "
		"$1::text AND " MEMBER_RUNS " ORDER BY m.joined_at, m.member COLLATE \"C\"",

	[PG_SNAPSHOT_LOAD] =
		"SELECT version, schema_version, state::text, created_at<+SNAPSHOT_EVENT , "
		"last_event_id+> FROM @snapshots "
		"WHERE aggregate_id = $1::uuid AND aggregate_type = $2::text",
	[PG_SNAPSHOT_SAVE] =
		"INSERT INTO @snapshots AS s (aggregate_id, aggregate_type, version, "
		"schema_version, state, created_at"
		"<+SNAPSHOT_EVENT , last_event_id+>) "
		"VALUES ($1::uuid, $2::text, $3::int4, $4::int4, $5::text::jsonb, "
		"$6::timestamptz<+SNAPSHOT_EVENT , "
		"COALESCE((SELECT event_id FROM @events WHERE aggregate_id = $1::uuid AND "
		"aggregate_type = $2::text AND "
		"version = $3::int4), '00000000-0000-0000-0000-000000000000')+>) "
		"ON CONFLICT (aggregate_id, aggregate_type) DO UPDATE SET version = "
		"excluded.version, "
		"schema_version = excluded.schema_version, state = excluded.state, created_at = "
		"excluded.created_at<+SNAPSHOT_EVENT , last_event_id = excluded.last_event_id+> "
		/* what is newer stays, if its last event is where it was */
		"WHERE NOT (s.version > excluded.version AND s.schema_version = "
		"excluded.schema_version AND EXISTS (SELECT 1 "
		"FROM @events e WHERE e.aggregate_id = $1::uuid AND e.aggregate_type = $2::text "
		"AND e.version = s.version"
		"<+SNAPSHOT_EVENT  AND COALESCE(s.last_event_id, e.event_id) = e.event_id+>))",
};
/* clang-format on */

bool pg_statement_writes(enum pg_statement statement)
{
	const char *text = statement_texts[statement];
	return strstr(text, "INSERT INTO @") || strstr(text, "UPDATE @") ||
	       strstr(text, "DELETE FROM @");
}

const char *pg_statement_text(enum pg_statement statement)
{
	return statement_texts[statement];
}

void pg_statement_expand(struct buffer *buffer, const char *text, const char *schema)
{
	for (;;) {
		size_t plain = strcspn(text, "@");
		buffer_add(buffer, text, plain);
		if (!text[plain])
			return;
		buffer_add(buffer, schema, strlen(schema));
		text += plain + 1;
	}
}
