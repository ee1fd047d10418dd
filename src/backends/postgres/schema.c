/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tables: found, checked, and made or completed when asked.
 *
 * Happy path: look into the catalog, find everything there, touch nothing, so that a role without
 * any right to create can open and initialise a complete database. Making happens in one
 * transaction under an advisory lock: several processes may initialise at once. Columns are only
 * ever added. Failure: TIDE_SCHEMA naming the table, column or uniqueness that is missing, or what
 * the role may not do.
 */
#include "backends/postgres/inner.h"

#include <stdlib.h>

#include "backends/postgres/status.h"
#include "core/text.h"
#include "sys/missing.h"
#include "sys/alloc.h"

#define SCHEMA_TEXT_OF(number) #number
#define SCHEMA_TEXT(number) SCHEMA_TEXT_OF(number)

/* clang-format off */
/** A table, and the columns Tidemark needs in it. */
static const struct { const char *name, *columns, *create; } schema_tables[] = {
	{ "events",
	  "global_position event_id aggregate_id aggregate_type event_type tenant_id actor_id version timestamp payload created_at "
	  "event_version correlation_id causation_id metadata",
	  "CREATE TABLE @events ("
	  "global_position BIGSERIAL PRIMARY KEY, event_id UUID NOT NULL UNIQUE, aggregate_id UUID NOT NULL, "
	  "aggregate_type VARCHAR(255) NOT NULL, event_type VARCHAR(255) NOT NULL, tenant_id UUID, actor_id VARCHAR(255), "
	  "version INTEGER NOT NULL, \"timestamp\" TIMESTAMPTZ NOT NULL, payload JSON NOT NULL, "
	  "created_at TIMESTAMPTZ NOT NULL DEFAULT NOW(), event_version INTEGER, correlation_id UUID, causation_id UUID, "
	  "metadata JSON, CONSTRAINT uq_events_aggregate_version UNIQUE (aggregate_id, aggregate_type, version))" },
	{ "projection_checkpoints",
	  "projection_name last_event_id last_event_type last_processed_at global_position events_processed created_at updated_at",
	  "CREATE TABLE @projection_checkpoints ("
	  "projection_name VARCHAR(255) PRIMARY KEY, last_event_id UUID, last_event_type VARCHAR(255), "
	  "last_processed_at TIMESTAMPTZ, global_position BIGINT, events_processed BIGINT NOT NULL DEFAULT 0, "
	  "created_at TIMESTAMPTZ NOT NULL DEFAULT NOW(), updated_at TIMESTAMPTZ NOT NULL DEFAULT NOW(), "
	  "anchor_position BIGINT, anchor_event_id UUID)" },
	{ "dead_letter_queue",
	  "id event_id projection_name event_type event_data error_message error_stacktrace retry_count first_failed_at "
	  "last_failed_at status resolved_at resolved_by",
	  "CREATE TABLE @dead_letter_queue ("
	  "id BIGSERIAL PRIMARY KEY, event_id UUID NOT NULL, projection_name VARCHAR(255) NOT NULL, event_type VARCHAR(255) NOT NULL, "
	  "event_data JSONB NOT NULL, error_message TEXT NOT NULL, error_stacktrace TEXT, retry_count INTEGER NOT NULL DEFAULT 0, "
	  "first_failed_at TIMESTAMPTZ NOT NULL DEFAULT NOW(), last_failed_at TIMESTAMPTZ NOT NULL DEFAULT NOW(), "
	  "status VARCHAR(20) NOT NULL DEFAULT 'failed', resolved_at TIMESTAMPTZ, resolved_by VARCHAR(255), "
	  "parked_behind UUID, "
	  "CONSTRAINT chk_dlq_status CHECK (status IN ('failed', 'retrying', 'resolved')), "
	  "CONSTRAINT uq_dlq_event_projection UNIQUE (event_id, projection_name))" },
	{ "snapshots",
	  "id aggregate_id aggregate_type version schema_version state created_at",
	  "CREATE TABLE @snapshots ("
	  "id BIGSERIAL PRIMARY KEY, aggregate_id UUID NOT NULL, aggregate_type VARCHAR(255) NOT NULL, version INTEGER NOT NULL, "
	  "schema_version INTEGER NOT NULL DEFAULT 1, state JSONB NOT NULL, created_at TIMESTAMPTZ NOT NULL DEFAULT NOW(), "
	  "last_event_id UUID, "
	  "CONSTRAINT uq_snapshots_aggregate UNIQUE (aggregate_id, aggregate_type))" },
	{ "subscription_leases",
	  "id name owner epoch acquired_at released_at expires_at suspect_position suspect_deaths",
	  "CREATE TABLE @subscription_leases ("
	  "id BIGSERIAL PRIMARY KEY, name TEXT NOT NULL UNIQUE, owner TEXT, epoch BIGINT NOT NULL, "
	  "acquired_at TIMESTAMPTZ NOT NULL, released_at TIMESTAMPTZ, expires_at TIMESTAMPTZ NOT NULL, "
	  "suspect_position BIGINT, suspect_deaths INTEGER, lease_seconds DOUBLE PRECISION, host TEXT, pid INTEGER, "
	  "last_error TEXT, last_error_at TIMESTAMPTZ, reason TEXT)" },
	{ "projection_versions", /* tables is a JSON array of names, filter the event types as JSON, null: all */
	  "",
	  "CREATE TABLE @projection_versions (name TEXT PRIMARY KEY, tables JSON NOT NULL, init_hash TEXT NOT NULL, "
	  "statements_hash TEXT NOT NULL, filter JSON, built_at TIMESTAMPTZ NOT NULL, tide_version TEXT NOT NULL)" },
	{ "projection_segments", /* stretches of the feed with one filter: events_processed at begin
	                            and end, events_discarded within */
	  "",
	  "CREATE TABLE @projection_segments (id BIGSERIAL PRIMARY KEY, name TEXT NOT NULL, "
	  "from_position BIGINT NOT NULL, stored_position BIGINT NOT NULL, filter JSON NOT NULL, "
	  "events_processed BIGINT NOT NULL, events_discarded BIGINT NOT NULL DEFAULT 0, "
	  "began_at TIMESTAMPTZ NOT NULL, until_position BIGINT, until_processed BIGINT, "
	  "ended_at TIMESTAMPTZ)" },
	{ "projection_rebuilds", /* reached: how far at most; undo: what takes a swap back, as JSON */
	  "",
	  "CREATE TABLE @projection_rebuilds (name TEXT PRIMARY KEY, build BIGINT NOT NULL, "
	  "state TEXT NOT NULL, init_hash TEXT NOT NULL, statements_hash TEXT NOT NULL, "
	  "reached BIGINT NOT NULL, undo TEXT, changed_at TIMESTAMPTZ NOT NULL)" },
	{ "subscription_controls", /* a row for each durable pause */
	  "",
	  "CREATE TABLE @subscription_controls (name TEXT PRIMARY KEY, "
	  "paused_at TIMESTAMPTZ NOT NULL, paused_by TEXT NOT NULL, reason TEXT NOT NULL, "
	  "note TEXT, updated_at TIMESTAMPTZ NOT NULL)" },
	{ "subscription_journal", /* what persons did; the newest are kept */
	  "",
	  "CREATE TABLE @subscription_journal (id BIGSERIAL PRIMARY KEY, at TIMESTAMPTZ NOT NULL, "
	  "who TEXT NOT NULL, host TEXT NOT NULL, act TEXT NOT NULL, name TEXT NOT NULL, "
	  "detail TEXT)" },
	{ "subscription_groups", /* a row for each subscription that has, or had, lanes */
	  "",
	  "CREATE TABLE @subscription_groups (name TEXT PRIMARY KEY, lanes INTEGER NOT NULL, "
	  "processed_before BIGINT NOT NULL, changed_at TIMESTAMPTZ NOT NULL)" },
	{ "subscription_members", /* managers that run a group, by the server's clock */
	  "",
	  "CREATE TABLE @subscription_members (name TEXT NOT NULL, member TEXT NOT NULL, host TEXT, "
	  "pid INTEGER, joined_at TIMESTAMPTZ NOT NULL, lease_seconds DOUBLE PRECISION, "
	  "expires_at TIMESTAMPTZ NOT NULL, PRIMARY KEY (name, member))" },
	{ "tidemark_schema",
	  "",
	  "CREATE TABLE @tidemark_schema (version INTEGER PRIMARY KEY, applied_at TIMESTAMPTZ NOT NULL DEFAULT NOW())" },
	{ "tidemark_feed", /* what readers found out, see gap.c; nothing depends on it but patience */
	  "",
	  "CREATE TABLE @tidemark_feed (id INTEGER PRIMARY KEY CHECK (id = 1), numbering BIGINT NOT NULL, settled BIGINT NOT NULL)" },
};

/** Nullable columns that an older table may lack, beside those of parts. */
static const struct { const char *table, *name, *type; } schema_additions[] = {
	{ "events", "tenant_id", "UUID" },
	{ "events", "actor_id", "VARCHAR(255)" },
	{ "events", "event_version", "INTEGER" },
	{ "events", "correlation_id", "UUID" },
	{ "events", "causation_id", "UUID" },
	{ "events", "metadata", "JSON" },
	{ "projection_checkpoints", "global_position", "BIGINT" },
	{ "dead_letter_queue", "error_stacktrace", "TEXT" },
	{ "subscription_leases", "suspect_position", "BIGINT" },
	{ "subscription_leases", "suspect_deaths", "INTEGER" },
};

/** Indexes beside those of the constraints; one that is missing costs time, not correctness. */
static const struct { const char *name, *create; bool on_request; } schema_indexes[] = {
	{ "idx_events_event_type", "CREATE INDEX idx_events_event_type ON @events (event_type, global_position)", false },
	{ "idx_events_tenant_id", "CREATE INDEX idx_events_tenant_id ON @events (tenant_id) WHERE tenant_id IS NOT NULL", false },
	{ "idx_events_aggregate_type", "CREATE INDEX idx_events_aggregate_type ON @events (aggregate_type)", true },
	{ "idx_dlq_projection_status", "CREATE INDEX idx_dlq_projection_status ON @dead_letter_queue (projection_name, status)", false },
	{ "idx_dlq_first_failed_at", "CREATE INDEX idx_dlq_first_failed_at ON @dead_letter_queue (first_failed_at)", false },
};
/* clang-format on */

#define COUNT_OF(table) (sizeof(table) / sizeof *(table))

/* `rows` are pairs of relation and column, and each relation once with an empty column. */
static bool schema_has(const PGresult *rows, const char *relation, const char *column,
		       size_t column_size)
{
	for (int i = 0; i < PQntuples(rows); i++)
		if (strcmp(PQgetvalue(rows, i, 0), relation) == 0 &&
		    text_equals((struct tide_text){ column, column_size }, PQgetvalue(rows, i, 1)))
			return true;
	return false;
}

static tide_status schema_look(struct pg_connection *connection, const char *schema, PGresult **ret,
			       struct tide_error *err)
{
	PG_PARAMS_AUTO struct pg_params params = { .count = 0 };
	pg_put_string(&params, schema);
	return pg_query(connection,
			"SELECT c.relname::text, COALESCE(a.attname::text, '') FROM pg_class c "
			"JOIN pg_namespace n ON "
			"n.oid = c.relnamespace LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND "
			"a.attnum > 0 AND NOT "
			"a.attisdropped AND c.relkind <> 'i' WHERE n.nspname = $1::text UNION ALL "
			"SELECT c.relname::text, '' "
			"FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE "
			"n.nspname = $1::text AND "
			"c.relkind IN ('r', 'p', 'v', 'f')",
			&params, ret, err);
}

/* The first column of a table that is not there; false when all are. */
static bool schema_lacks(const PGresult *rows, const char *table, const char *columns,
			 struct tide_text *ret)
{
	for (const char *at = columns; *at;) {
		size_t size = strcspn(at, " ");
		if (!schema_has(rows, table, at, size)) {
			*ret = (struct tide_text){ at, size };
			return true;
		}
		at += size + (at[size] == ' ');
	}
	return false;
}

static tide_status schema_check(const PGresult *rows, const char *schema, struct tide_error *err)
{
	for (size_t i = 0; i < COUNT_OF(schema_tables); i++) {
		const char *table = schema_tables[i].name;
		struct tide_text column;
		if (!*schema_tables[i].columns)
			continue;
		if (!schema_has(rows, table, "", 0))
			return tide_fail(err, TIDE_SCHEMA,
					 "table '%s' is missing in schema '%.64s'; initialise it",
					 table, schema);
		if (schema_lacks(rows, table, schema_tables[i].columns, &column))
			return tide_fail(err, TIDE_SCHEMA,
					 "column '%.*s' of table '%s' is missing in schema '%.64s'",
					 (int)column.size, column.data, table, schema);
	}
	return TIDE_OK;
}

static tide_status schema_run(struct pg_connection *connection, const char *text,
			      const char *schema_dot, struct tide_error *err)
{
	struct buffer buffer = { 0 };
	ALLOC_AUTO char *full = NULL;
	pg_statement_expand(&buffer, text, schema_dot);
	tide_status status = buffer_take(&buffer, &full, err);
	return status == TIDE_OK ? pg_command(connection, full, err) : status;
}

/* Nothing when the column is there, or the whole table is made anew. */
static tide_status schema_add_column(struct pg_connection *connection, const PGresult *rows,
				     const char *schema_dot, const char *table, const char *name,
				     const char *type, struct tide_error *err)
{
	if (!schema_has(rows, table, "", 0) || schema_has(rows, table, name, strlen(name)))
		return TIDE_OK;
	ALLOC_AUTO char *text =
		alloc_format("ALTER TABLE @%s ADD COLUMN IF NOT EXISTS %s %s", table, name, type);
	return text ? schema_run(connection, text, schema_dot, err) : alloc_fail(err);
}

/* Versions before the column said in the message what an entry waits for: converted once, when it
 * is added. */
static const char schema_convert_parked[] =
	"UPDATE @dead_letter_queue SET parked_behind = substr(error_message, 21)::uuid WHERE "
	"status <> 'resolved' "
	"AND retry_count = 0 AND error_message ~ '^parked behind event "
	"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$'";

static tide_status schema_add_columns(struct pg_connection *connection, const PGresult *rows,
				      const char *schema_dot, struct tide_error *err)
{
	tide_status status = TIDE_OK;
	for (size_t i = 0; status == TIDE_OK && i < COUNT_OF(schema_additions); i++)
		status = schema_add_column(connection, rows, schema_dot, schema_additions[i].table,
					   schema_additions[i].name, schema_additions[i].type, err);
	for (size_t i = 0; status == TIDE_OK && i < PART_COLUMN_COUNT; i++)
		if (part_columns[i].name)
			status = schema_add_column(connection, rows, schema_dot,
						   part_columns[i].table, part_columns[i].name,
						   part_columns[i].postgres_type, err);

	bool was_parked =
		schema_has(rows, "dead_letter_queue", "parked_behind", strlen("parked_behind"));
	return status == TIDE_OK && !was_parked
		       ? schema_run(connection, schema_convert_parked, schema_dot, err)
		       : status;
}

/* Everything that is not in `rows`, in the order tables, columns, indexes. */
static tide_status schema_make(struct pg_connection *connection, const PGresult *rows,
			       const char *schema_dot, bool category_index, struct tide_error *err)
{
	tide_status status = TIDE_OK;
	for (size_t i = 0; status == TIDE_OK && i < COUNT_OF(schema_tables); i++)
		if (!schema_has(rows, schema_tables[i].name, "", 0))
			status = schema_run(connection, schema_tables[i].create, schema_dot, err);

	if (status == TIDE_OK)
		status = schema_add_columns(connection, rows, schema_dot, err);
	for (size_t i = 0; status == TIDE_OK && i < COUNT_OF(schema_indexes); i++)
		if (!schema_has(rows, schema_indexes[i].name, "", 0) &&
		    (category_index || !schema_indexes[i].on_request))
			status = schema_run(connection, schema_indexes[i].create, schema_dot, err);

	if (status == TIDE_OK)
		status = schema_run(connection,
				    "INSERT INTO @tidemark_schema (version) VALUES (" SCHEMA_TEXT(
					    PG_SCHEMA_VERSION) ") ON CONFLICT DO NOTHING",
				    schema_dot, err);
	return status;
}

void pg_schema_put_tables(struct pg_params *params)
{
	pg_put_members(params, &schema_tables[0].name, COUNT_OF(schema_tables),
		       sizeof *schema_tables);
}

const char *pg_schema_index(size_t number)
{
	for (size_t i = 0; i < COUNT_OF(schema_indexes); i++)
		if (!schema_indexes[i].on_request && number-- == 0)
			return schema_indexes[i].name;
	return NULL;
}

static part_set schema_parts(const PGresult *rows)
{
	part_set parts = PARTS_ALL;
	for (size_t i = 0; i < PART_COLUMN_COUNT; i++) {
		const char *name = part_columns[i].name ? part_columns[i].name : "";
		if (!schema_has(rows, part_columns[i].table, name, strlen(name)))
			parts &= ~PART_BIT(part_columns[i].part);
	}
	return parts;
}

static bool schema_is_complete(const PGresult *rows, const char *schema, bool category_index)
{
	if (schema_check(rows, schema, NULL) != TIDE_OK || schema_parts(rows) != PARTS_ALL)
		return false;
	for (size_t i = 0; i < COUNT_OF(schema_tables); i++)
		if (!schema_has(rows, schema_tables[i].name, "", 0))
			return false;
	for (size_t i = 0; i < COUNT_OF(schema_indexes); i++)
		if (!schema_has(rows, schema_indexes[i].name, "", 0) &&
		    (category_index || !schema_indexes[i].on_request))
			return false;
	return true;
}

/* A schema that does not exist yet; asking first, since CREATE SCHEMA wants the right to it even
 * when it exists. */
static tide_status schema_make_namespace(struct pg_connection *connection, const char *schema,
					 const char *schema_dot, struct tide_error *err)
{
	PG_PARAMS_AUTO struct pg_params params = { .count = 0 };
	PG_RESULT_AUTO PGresult *rows = NULL;
	pg_put_string(&params, schema);
	tide_status status =
		pg_query(connection, "SELECT 1 FROM pg_namespace WHERE nspname = $1::text", &params,
			 &rows, err);
	if (status != TIDE_OK || PQntuples(rows) == 1)
		return status;
	ALLOC_AUTO char *text = alloc_format("CREATE SCHEMA IF NOT EXISTS %.*s",
					     (int)strlen(schema_dot) - 1, schema_dot);
	return text ? pg_command(connection, text, err) : alloc_fail(err);
}

/* Two things may last: who else initialises, and a synchronous standby. */
static tide_status schema_command(const struct pg_store *store, struct pg_connection *connection,
				  const char *text, struct tide_error *err)
{
	pg_connection_limit(connection, PG_ANSWER_WRITE, store->append_seconds);
	tide_status status = pg_command(connection, text, err);
	pg_connection_limit(connection, PG_ANSWER_WRITE, 0);
	return status;
}

static tide_status schema_make_locked(const struct pg_store *store,
				      struct pg_connection *connection, bool category_index,
				      struct tide_error *err)
{
	const char *schema = store->schema, *schema_dot = store->target.schema;
	ALLOC_AUTO char *lock =
		alloc_format("BEGIN; SELECT pg_advisory_xact_lock(%lld)",
			     (long long)(fnv1a64(schema, strlen(schema)) & INT64_MAX));
	if (!lock)
		return alloc_fail(err);

	PG_RESULT_AUTO PGresult *rows = NULL;
	tide_status status = schema_command(store, connection, lock, err);
	if (status == TIDE_OK)
		status = schema_make_namespace(connection, schema, schema_dot, err);
	if (status == TIDE_OK)
		/* anew: another process may have made them */
		status = schema_look(connection, schema, &rows, err);
	if (status == TIDE_OK)
		status = schema_make(connection, rows, schema_dot, category_index, err);
	if (status == TIDE_OK)
		status = pg_keys_check(connection, schema, schema_dot, NULL, err);
	if (status == TIDE_OK)
		status = pg_columns_check(connection, schema, schema_dot, err);
	return status == TIDE_OK ? schema_command(store, connection, "COMMIT", err) : status;
}

static tide_status schema_create(const struct pg_store *store, struct pg_connection *connection,
				 bool category_index, struct tide_error *err)
{
	const char *schema = store->schema;
	tide_status status = schema_make_locked(store, connection, category_index, err);
	if (status == TIDE_OK)
		return TIDE_OK;

	struct tide_error cause = err ? *err : (struct tide_error){ 0 };
	bool is_forbidden = strcmp(connection->sqlstate, "42501") == 0;
	if (pg_connection_is_usable(connection) && !connection->is_late)
		pg_command(connection, "ROLLBACK", NULL);
	if (is_forbidden)
		return tide_fail(err, TIDE_SCHEMA,
				 "the role '%.64s' may not complete schema '%.64s' (%.200s); let "
				 "its owner initialise it",
				 PQuser(connection->native), schema, cause.message);
	return status;
}

static tide_status schema_find(struct pg_connection *connection, const char *wanted, char **ret,
			       struct tide_error *err)
{
	if (wanted) {
		*ret = alloc_text(wanted, strlen(wanted));
		return *ret ? TIDE_OK : alloc_fail(err);
	}

	PG_RESULT_AUTO PGresult *rows = NULL;
	tide_status status = pg_query(
		connection,
		"SELECT COALESCE((SELECT n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = "
		"c.relnamespace WHERE c.oid = to_regclass('events')), current_schema())::text",
		NULL, &rows, err);
	if (status != TIDE_OK)
		return status;
	if (pg_is_null(rows, 0, 0))
		return tide_fail(
			err, TIDE_SCHEMA,
			"search_path names no schema that exists; choose one with ?schema=NAME");

	struct tide_text name = pg_text(rows, 0, 0);
	*ret = alloc_text(name.data, name.size);
	return *ret ? TIDE_OK : alloc_fail(err);
}

/* A session keeps what it drew from a sequence with a cache without holding a lock: holes could not
 * be told apart. */
tide_status pg_schema_check_numbering(const struct pg_store *store,
				      struct pg_connection *connection, int64_t *ret_file,
				      struct tide_error *err)
{
	PG_PARAMS_AUTO struct pg_params params = { .count = 0 };
	PG_RESULT_AUTO PGresult *rows = NULL;
	pg_put_string(&params, store->table);
	tide_status status =
		pg_query(connection,
			 "SELECT seqcache, seqincrement, seqcycle, seqrelid::regclass::text, "
			 "pg_relation_filenode(seqrelid)::int8 FROM pg_sequence WHERE seqrelid = "
			 "(SELECT " PG_NUMBERING("$1") ")",
			 &params, &rows, err);
	if (status != TIDE_OK)
		return status;
	if (PQntuples(rows) == 0)
		return tide_fail(
			err, TIDE_SCHEMA,
			"column 'global_position' of table 'events' has no sequence of its own");

	int64_t cache = pg_int8(rows, 0, 0);
	const char *name = PQgetvalue(rows, 0, 3);
	if (cache > 1)
		return tide_fail(err, TIDE_SCHEMA,
				 "sequence '%.64s' has CACHE %lld, which would let readers skip "
				 "events; run ALTER "
				 "SEQUENCE %.64s CACHE 1",
				 name, (long long)cache, name);
	if (pg_int8(rows, 0, 1) < 1 || pg_bool(rows, 0, 2))
		return tide_fail(err, TIDE_SCHEMA, "sequence '%.64s' does not only increase", name);

	*ret_file = pg_int8(rows, 0, 4);
	return TIDE_OK;
}

/* Whether this role may read the mark, and move it. */
static tide_status schema_find_mark(struct pg_store *store, struct pg_connection *connection,
				    struct tide_error *err)
{
	PG_PARAMS_AUTO struct pg_params params = { .count = 0 };
	PG_RESULT_AUTO PGresult *rows = NULL;
	ALLOC_AUTO char *table = alloc_format("%stidemark_feed", store->target.schema);
	if (!table)
		return alloc_fail(err);

	pg_put_string(&params, table);
	tide_status status = pg_query(
		connection,
		"SELECT has_table_privilege(t, 'SELECT'), has_table_privilege(t, 'SELECT') AND "
		"has_table_privilege(t, 'INSERT') AND "
		"has_table_privilege(t, 'UPDATE') AND NOT pg_is_in_recovery() FROM (SELECT "
		"$1::text) s(t)",
		&params, &rows, err);
	if (status != TIDE_OK)
		return status;

	store->has_mark = pg_bool(rows, 0, 0);
	store->may_mark = !store->is_read_only && pg_bool(rows, 0, 1);
	return TIDE_OK;
}

/* Make what is missing. A role that may not make it goes on when all that is missing are parts. */
static tide_status schema_fill(struct pg_store *store, struct pg_connection *connection,
			       const char *schema, const struct pg_schema_wish *wish,
			       PGresult **rows, struct tide_error *err)
{
	bool is_usable = schema_check(*rows, schema, NULL) == TIDE_OK;
	tide_status status = schema_create(store, connection, wish->category_index, err);
	if (status == TIDE_SCHEMA && is_usable)
		return TIDE_OK;
	if (status != TIDE_OK)
		return status;
	PQclear(*rows);
	*rows = NULL;
	return schema_look(connection, schema, rows, err);
}

static tide_status schema_complete(struct pg_store *store, struct pg_connection *connection,
				   const char *schema, const struct pg_schema_wish *wish,
				   struct tide_error *err)
{
	PG_RESULT_AUTO PGresult *rows = NULL;
	tide_status status = schema_look(connection, schema, &rows, err);
	if (status == TIDE_OK && wish->may_create &&
	    !schema_is_complete(rows, schema, wish->category_index))
		status = schema_fill(store, connection, schema, wish, &rows, err);
	if (status == TIDE_OK)
		status = schema_check(rows, schema, err);
	if (status == TIDE_OK && schema_has(rows, "tidemark_feed", "", 0))
		status = schema_find_mark(store, connection, err);
	if (status != TIDE_OK)
		return status;

	store->target.parts = schema_parts(rows);
	parts_tell_missing(store->target.parts);
	return TIDE_OK;
}

tide_status pg_schema_prepare(struct pg_store *store, struct pg_connection *connection,
			      const struct pg_schema_wish *wish, struct tide_error *err)
{
	store->target.greatest = pg_connection_greatest(connection);
	store->target.is_bytes = pg_connection_is_bytes(connection);
	tide_status status = schema_find(connection, wish->name, &store->schema, err);
	if (status != TIDE_OK)
		return status;

	const char *schema = store->schema;
	char *quoted = PQescapeIdentifier(connection->native, schema, strlen(schema));
	if (!quoted)
		return tide_fail(err, TIDE_ARGUMENT, "'%.64s' cannot be the name of a schema",
				 schema);

	store->target.schema = alloc_format("%s.", quoted);
	PQfreemem(quoted);
	store->table = store->target.schema ? alloc_format("%sevents", store->target.schema) : NULL;
	if (!store->table)
		return alloc_fail(err);

	snprintf(store->channel, sizeof store->channel, "tidemark_%016llx",
		 (unsigned long long)fnv1a64(schema, strlen(schema)));
	return schema_complete(store, connection, schema, wish, err);
}
