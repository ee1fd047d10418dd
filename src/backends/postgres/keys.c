/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The uniqueness that correctness stands on: looked for in the catalog, by columns, since a table that was made
 * elsewhere may name its constraints otherwise.
 *
 * Happy path: one query finds for each key an index that refuses a second row at once: unique, valid, not deferrable,
 * over all rows and exactly these columns.
 * Failure: TIDE_SCHEMA naming the constraint that is missing and the statement that makes it.
 */
#include "backends/postgres/inner.h"

#include "core/text.h"
#include "sys/alloc.h"

/* clang-format off */
/** Columns in the order of their names, and what would happen without their key. */
static const struct { const char *table, *columns, *otherwise; } keys[] = {
	{ "events",                 "global_position",                     "two events could stand at one position" },
	{ "events",                 "event_id",                            "an event could be stored twice" },
	{ "events",                 "aggregate_id aggregate_type version", "a version could be given twice" },
	{ "projection_checkpoints", "projection_name",                     "a checkpoint could not be saved" },
	{ "dead_letter_queue",      "event_id projection_name",            "a dead letter could not be written" },
	{ "snapshots",              "aggregate_id aggregate_type",         "a snapshot could not be saved" },
	{ "subscription_leases",    "name",                                "a subscription could have two owners" },
	{ "projection_versions",    "name",                                "a read model could have two makers" },
};
/* clang-format on */

#define KEYS_COUNT (sizeof keys / sizeof *keys)

/** The columns of what the catalog answers: a row an index, and one a key without any. */
enum key_column { KEY_NUMBER, KEY_INDEX };

static tide_status keys_ask(struct pg_connection *connection, const char *schema, PGresult **ret,
			    struct tide_error *err)
{
	PG_PARAMS_AUTO struct pg_params params = { .count = 0 };
	const char *tables[KEYS_COUNT + 1] = { NULL }, *columns[KEYS_COUNT + 1] = { NULL };
	for (size_t i = 0; i < KEYS_COUNT; i++) {
		tables[i] = keys[i].table;
		columns[i] = keys[i].columns;
	}
	pg_put_string(&params, schema);
	pg_put_names(&params, tables);
	pg_put_names(&params, columns);
	return pg_query(connection,
			"SELECT k.number::int8, c.relname::text FROM unnest($2::text[], $3::text[]) WITH ORDINALITY "
			"AS k(relation, columns, number) JOIN pg_class t ON t.relname = k.relation AND t.relkind IN "
			"('r', 'p') JOIN pg_namespace n ON n.oid = t.relnamespace AND n.nspname = $1::text "
			"LEFT JOIN (pg_index i JOIN pg_class c ON c.oid = i.indexrelid) ON i.indrelid = t.oid "
			"AND i.indisunique AND i.indisvalid AND i.indisready AND i.indimmediate "
			"AND i.indpred IS NULL AND i.indexprs IS NULL AND k.columns = "
			"(SELECT string_agg(a.attname::text, ' ' ORDER BY a.attname::text COLLATE \"C\") FROM "
			"pg_attribute a WHERE a.attrelid = t.oid AND a.attnum = "
			"ANY((i.indkey::int2[])[0:i.indnkeyatts - 1])) ORDER BY k.number",
			&params, ret, err);
}

/* "aggregate_id aggregate_type" as a list of SQL. */
static void keys_list(const char *columns, char ret[100])
{
	size_t size = 0;
	for (; *columns && size < 97; columns++) {
		if (*columns == ' ')
			ret[size++] = ',';
		ret[size++] = *columns;
	}
	ret[size] = '\0';
}

static tide_status keys_fail(const char *schema, const char *schema_dot, size_t number, struct tide_error *err)
{
	char columns[100];
	keys_list(keys[number].columns, columns);
	return tide_fail(err, TIDE_SCHEMA,
			 "table '%s' in schema '%.64s' has no UNIQUE (%s) that is valid, not deferrable and over all "
			 "rows, so that %s; run ALTER TABLE %.100s%s ADD UNIQUE (%s)",
			 keys[number].table, schema, columns, keys[number].otherwise, schema_dot, keys[number].table,
			 columns);
}

tide_status pg_keys_check(struct pg_connection *connection, const char *schema, const char *schema_dot,
			  struct tide_error *err)
{
	PG_RESULT_AUTO PGresult *rows = NULL;
	tide_status status = keys_ask(connection, schema, &rows, err);
	for (int row = 0; status == TIDE_OK && row < PQntuples(rows); row++)
		if (pg_is_null(rows, row, KEY_INDEX))
			status = keys_fail(schema, schema_dot, (size_t)pg_int8(rows, row, KEY_NUMBER) - 1, err);
	return status;
}
