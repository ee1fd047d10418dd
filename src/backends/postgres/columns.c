/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What columns have to hold in every row: looked for in the catalog, beside the uniqueness of
 * keys.c, which a row without an id, a version or a name would be outside of.
 *
 * Happy path: one query finds no column that may be NULL, and none that nothing is drawn for;
 * another none of a type whose bytes would be read as another value. Failure: TIDE_SCHEMA naming
 * the first one and the statement that mends it. A table that is missing is passed over, and so is
 * a view.
 */
#include "backends/postgres/inner.h"

/* What gap.c follows: nothing but a value of one sequence, maybe of another type. */
#define COLUMN_NEXT "^\\(?nextval\\('([^']|'')*'::regclass\\)(\\)::[a-z0-9(,) ]+)?$"
#define COLUMN_ANY "."

/* clang-format off */
/** Columns, and what the default must look like of those that inserts leave out. */
static const struct { const char *table, *name, *drawn; } columns[] = {
	{ "events",              "global_position", COLUMN_NEXT },
	{ "events",              "event_id",        "" },
	{ "events",              "aggregate_id",    "" },
	{ "events",              "aggregate_type",  "" },
	{ "events",              "event_type",      "" },
	{ "events",              "version",         "" },
	{ "events",              "timestamp",       "" },
	{ "events",              "payload",         "" },
	{ "events",              "created_at",      "" },
	{ "dead_letter_queue",   "id",              COLUMN_ANY },
	{ "dead_letter_queue",   "event_id",        "" },
	{ "dead_letter_queue",   "projection_name", "" },
	{ "snapshots",           "id",              COLUMN_ANY },
	{ "snapshots",           "aggregate_id",    "" },
	{ "snapshots",           "aggregate_type",  "" },
	{ "subscription_leases", "id",              COLUMN_ANY },
	{ "subscription_leases", "name",            "" },
};
/* clang-format on */

#define COLUMNS_COUNT (sizeof columns / sizeof *columns)

/* clang-format off */
/** Columns by what they are read as: a type's name, text for any but blank-padded strings, json for
 * what holds JSON. */
static const struct { const char *table, *type, *names; } types[] = {
	{ "events",                 "int8",        "global_position" },
	{ "events",                 "int4",        "version event_version" },
	{ "events",                 "uuid",        "event_id aggregate_id tenant_id correlation_id causation_id" },
	{ "events",                 "text",        "aggregate_type event_type actor_id" },
	{ "events",                 "timestamptz", "timestamp created_at" },
	{ "events",                 "json",        "payload metadata" },
	{ "projection_checkpoints", "int8",        "global_position events_processed anchor_position" },
	{ "projection_checkpoints", "uuid",        "last_event_id anchor_event_id" },
	{ "projection_checkpoints", "text",        "projection_name last_event_type" },
	{ "projection_checkpoints", "timestamptz", "last_processed_at created_at updated_at" },
	{ "dead_letter_queue",      "int8",        "id" },
	{ "dead_letter_queue",      "int4",        "retry_count" },
	{ "dead_letter_queue",      "uuid",        "event_id parked_behind" },
	{ "dead_letter_queue",      "text",        "projection_name event_type error_message error_stacktrace status resolved_by" },
	{ "dead_letter_queue",      "timestamptz", "first_failed_at last_failed_at resolved_at" },
	{ "dead_letter_queue",      "json",        "event_data" },
	{ "snapshots",              "int4",        "version schema_version" },
	{ "snapshots",              "uuid",        "aggregate_id last_event_id" },
	{ "snapshots",              "text",        "aggregate_type" },
	{ "snapshots",              "timestamptz", "created_at" },
	{ "snapshots",              "json",        "state" },
	{ "subscription_leases",    "int8",        "epoch suspect_position" },
	{ "subscription_leases",    "int4",        "suspect_deaths pid" },
	{ "subscription_leases",    "float8",      "lease_seconds" },
	{ "subscription_leases",    "text",        "name owner host last_error reason" },
	{ "subscription_leases",    "timestamptz", "acquired_at released_at expires_at last_error_at" },
};
/* clang-format on */

#define TYPES_COUNT (sizeof types / sizeof *types)

/** The columns of what the catalog answers about types: a row at most. */
enum type_column { TYPE_TABLE, TYPE_NAME, TYPE_IS, TYPE_SHALL };

/** The columns of what the catalog answers: a row at most. */
enum column_column { COLUMN_NUMBER, COLUMN_IS_FILLED, COLUMN_SEQUENCE };

static tide_status columns_ask(struct pg_connection *connection, const char *schema,
			       const char *schema_dot, PGresult **ret, struct tide_error *err)
{
	PG_PARAMS_AUTO struct pg_params params = { .count = 0 };
	pg_put_string(&params, schema);
	pg_put_members(&params, &columns[0].table, COLUMNS_COUNT, sizeof *columns);
	pg_put_members(&params, &columns[0].name, COLUMNS_COUNT, sizeof *columns);
	pg_put_members(&params, &columns[0].drawn, COLUMNS_COUNT, sizeof *columns);
	pg_put_string(&params, schema_dot);
	return pg_query(
		connection,
		"SELECT number::int8, is_filled, "
		"quote_literal(pg_get_serial_sequence($5::text || relation, name)) FROM "
		"(SELECT k.*, a.attnotnull OR y.typnotnull AS is_filled, k.drawn = '' OR "
		"a.attidentity <> '' OR COALESCE(pg_get_expr(d.adbin, d.adrelid) ~ k.drawn, false) "
		"AS is_drawn FROM unnest($2::text[], $3::text[], $4::text[]) WITH ORDINALITY AS "
		"k(relation, name, drawn, number) JOIN pg_class t ON t.relname = k.relation AND "
		"t.relkind IN ('r', 'p') JOIN pg_namespace n ON n.oid = t.relnamespace AND "
		"n.nspname = $1::text JOIN pg_attribute a ON a.attrelid = t.oid AND a.attname = "
		"k.name JOIN pg_type y ON y.oid = a.atttypid LEFT JOIN pg_attrdef d ON d.adrelid = "
		"t.oid AND d.adnum = a.attnum) c WHERE NOT is_filled OR NOT is_drawn ORDER BY "
		"number LIMIT 1",
		&params, ret, err);
}

static tide_status columns_fail_empty(const char *schema, const char *schema_dot, size_t number,
				      struct tide_error *err)
{
	return tide_fail(err, TIDE_SCHEMA,
			 "column '%s' of table '%s' in schema '%.64s' is not NOT NULL, so that a "
			 "row could come that nobody can read or tell from others; run ALTER TABLE "
			 "%.100s%s ALTER COLUMN \"%s\" SET NOT NULL",
			 columns[number].name, columns[number].table, schema, schema_dot,
			 columns[number].table, columns[number].name);
}

static tide_status columns_fail_undrawn(const char *schema, const char *schema_dot, size_t number,
					const char *sequence, struct tide_error *err)
{
	return tide_fail(err, TIDE_SCHEMA,
			 "column '%s' of table '%s' in schema '%.64s' has no default that draws "
			 "from a sequence, so that nothing could be written to it; run ALTER TABLE "
			 "%.100s%s ALTER COLUMN \"%s\" SET DEFAULT nextval(%.140s)",
			 columns[number].name, columns[number].table, schema, schema_dot,
			 columns[number].table, columns[number].name,
			 *sequence ? sequence : "of a sequence of its own");
}

/* A domain is of the type below it. */
static tide_status columns_ask_types(struct pg_connection *connection, const char *schema,
				     PGresult **ret, struct tide_error *err)
{
	PG_PARAMS_AUTO struct pg_params params = { .count = 0 };
	pg_put_string(&params, schema);
	pg_put_members(&params, &types[0].table, TYPES_COUNT, sizeof *types);
	pg_put_members(&params, &types[0].type, TYPES_COUNT, sizeof *types);
	pg_put_members(&params, &types[0].names, TYPES_COUNT, sizeof *types);
	return pg_query(
		connection,
		"SELECT k.relation, a.attname::text, format_type(y.oid, NULL), k.shall FROM "
		"unnest($2::text[], $3::text[], $4::text[]) WITH ORDINALITY AS k(relation, shall, "
		"names, number) JOIN pg_class t ON t.relname = k.relation AND t.relkind IN "
		"('r', 'p') JOIN pg_namespace n ON n.oid = t.relnamespace AND n.nspname = $1::text "
		"JOIN pg_attribute a ON a.attrelid = t.oid AND a.attname = "
		"ANY(string_to_array(k.names, ' ')) AND NOT a.attisdropped JOIN pg_type d ON d.oid "
		"= a.atttypid JOIN pg_type y ON y.oid = COALESCE(NULLIF(d.typbasetype, 0), d.oid) "
		"WHERE y.typtype <> 'd' AND NOT CASE k.shall WHEN 'text' THEN y.typcategory = 'S' "
		"AND y.typname <> 'bpchar' WHEN 'json' THEN y.typname IN ('json', 'jsonb') OR "
		"y.typcategory = 'S' ELSE y.typname = k.shall END ORDER BY k.number, a.attnum "
		"LIMIT 1",
		&params, ret, err);
}

static tide_status columns_check_types(struct pg_connection *connection, const char *schema,
				       const char *schema_dot, struct tide_error *err)
{
	PG_RESULT_AUTO PGresult *rows = NULL;
	tide_status status = columns_ask_types(connection, schema, &rows, err);
	if (status != TIDE_OK || PQntuples(rows) == 0)
		return status;

	const char *table = PQgetvalue(rows, 0, TYPE_TABLE), *name = PQgetvalue(rows, 0, TYPE_NAME),
		   *shall = PQgetvalue(rows, 0, TYPE_SHALL);
	return tide_fail(err, TIDE_SCHEMA,
			 "column '%s' of table '%s' in schema '%.64s' has type %.64s, so that its "
			 "values would be read as others; run ALTER TABLE %.100s%s ALTER COLUMN "
			 "\"%s\" TYPE %s USING \"%s\"::%s",
			 name, table, schema, PQgetvalue(rows, 0, TYPE_IS), schema_dot, table, name,
			 shall, name, shall);
}

static tide_status columns_check_filled(struct pg_connection *connection, const char *schema,
					const char *schema_dot, struct tide_error *err)
{
	PG_RESULT_AUTO PGresult *rows = NULL;
	tide_status status = columns_ask(connection, schema, schema_dot, &rows, err);
	if (status != TIDE_OK || PQntuples(rows) == 0)
		return status;

	size_t number = (size_t)pg_int8(rows, 0, COLUMN_NUMBER) - 1;
	return pg_bool(rows, 0, COLUMN_IS_FILLED)
		       ? columns_fail_undrawn(schema, schema_dot, number,
					      PQgetvalue(rows, 0, COLUMN_SEQUENCE), err)
		       : columns_fail_empty(schema, schema_dot, number, err);
}

tide_status pg_columns_check(struct pg_connection *connection, const char *schema,
			     const char *schema_dot, struct tide_error *err)
{
	tide_status status = columns_check_filled(connection, schema, schema_dot, err);
	return status == TIDE_OK ? columns_check_types(connection, schema, schema_dot, err)
				 : status;
}
