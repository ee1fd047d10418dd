/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The uniqueness that correctness stands on: looked for in the catalog, by columns, since a table
 * that was made elsewhere may name its constraints otherwise.
 *
 * Happy path: one query finds for each key an index that refuses a second row at once: unique,
 * valid, not deferrable, over all rows and exactly these columns, and no table that inherits.
 * Failure: TIDE_SCHEMA naming the constraint that is missing and the statement that makes it.
 *
 * The same names tell an append that lost a race from one that the database refuses for reasons of
 * its owner.
 */
#include "backends/postgres/inner.h"

#include "core/text.h"
#include "sys/alloc.h"

/* clang-format off */
/** Columns in the order of their names, what would happen without their key, and whether appends
 * race for it. */
static const struct { const char *table, *columns, *otherwise; bool is_raced; } keys[] = {
	{ "events",                 "global_position",                     "two events could stand at one position", false },
	{ "events",                 "event_id",                            "an event could be stored twice", true },
	{ "events",                 "aggregate_id aggregate_type version", "a version could be given twice", true },
	{ "projection_checkpoints", "projection_name",                     "a checkpoint could not be saved", false },
	{ "dead_letter_queue",      "event_id projection_name",            "a dead letter could not be written", false },
	{ "snapshots",              "aggregate_id aggregate_type",         "a snapshot could not be saved", false },
	{ "subscription_leases",    "name",                                "a subscription could have two owners", false },
	{ "projection_versions",    "name",                                "a read model could have two makers", false },
	{ "projection_rebuilds",    "name",                                "a rebuild could not be noted", false },
	{ "subscription_controls",  "name",                                "a pause could not be written", false },
	{ "subscription_groups",    "name",                                "a subscription could have two numbers of lanes", false },
	{ "subscription_members",   "member name",                         "a member could not join", false },
};
/* clang-format on */

#define KEYS_COUNT (sizeof keys / sizeof *keys)

/** The columns of what the catalog answers: a row an index, and one a key without any. */
enum key_column { KEY_NUMBER, KEY_INDEX, KEY_HEIR };

static tide_status keys_ask(struct pg_connection *connection, const char *schema, PGresult **ret,
			    struct tide_error *err)
{
	PG_PARAMS_AUTO struct pg_params params = { .count = 0 };
	pg_put_string(&params, schema);
	pg_put_members(&params, &keys[0].table, KEYS_COUNT, sizeof *keys);
	pg_put_members(&params, &keys[0].columns, KEYS_COUNT, sizeof *keys);
	return pg_query(
		connection,
		"SELECT k.number::int8, c.relname::text, CASE t.relkind WHEN 'r' THEN (SELECT "
		"inhrelid::regclass::text FROM pg_inherits WHERE inhparent = t.oid ORDER BY "
		"inhrelid LIMIT 1) END FROM unnest($2::text[], $3::text[]) WITH ORDINALITY "
		"AS k(relation, columns, number) JOIN pg_class t ON t.relname = k.relation AND "
		"t.relkind IN "
		"('r', 'p') JOIN pg_namespace n ON n.oid = t.relnamespace AND n.nspname = $1::text "
		"LEFT JOIN (pg_index i JOIN pg_class c ON c.oid = i.indexrelid) ON i.indrelid = "
		"t.oid "
		"AND i.indisunique AND i.indisvalid AND i.indisready AND i.indimmediate "
		"AND i.indpred IS NULL AND i.indexprs IS NULL AND k.columns = "
		"(SELECT string_agg(a.attname::text, ' ' ORDER BY a.attname::text COLLATE \"C\") "
		"FROM "
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

static tide_status keys_fail(const char *schema, const char *schema_dot, size_t number,
			     struct tide_error *err)
{
	char columns[100];
	keys_list(keys[number].columns, columns);
	return tide_fail(err, TIDE_SCHEMA,
			 "table '%s' in schema '%.64s' has no UNIQUE (%s) that is valid, not "
			 "deferrable and over all "
			 "rows, so that %s; run ALTER TABLE %.100s%s ADD UNIQUE (%s)",
			 keys[number].table, schema, columns, keys[number].otherwise, schema_dot,
			 keys[number].table, columns);
}

/* The rows of a table that inherits are among those of its parent, and outside of its keys. */
static tide_status keys_fail_heir(const char *schema, const char *schema_dot, size_t number,
				  const char *heir, struct tide_error *err)
{
	return tide_fail(err, TIDE_SCHEMA,
			 "table %.140s inherits from '%s' in schema '%.64s', whose keys do not "
			 "reach into it, so that %s; run ALTER TABLE %.140s NO INHERIT %.100s%s",
			 heir, keys[number].table, schema, keys[number].otherwise, heir, schema_dot,
			 keys[number].table);
}

static tide_status keys_judge(const PGresult *rows, int row, const char *schema,
			      const char *schema_dot, struct tide_error *err)
{
	size_t number = (size_t)pg_int8(rows, row, KEY_NUMBER) - 1;
	if (!pg_is_null(rows, row, KEY_HEIR))
		return keys_fail_heir(schema, schema_dot, number, PQgetvalue(rows, row, KEY_HEIR),
				      err);
	return pg_is_null(rows, row, KEY_INDEX) ? keys_fail(schema, schema_dot, number, err)
						: TIDE_OK;
}

/* Called for each row of the answer. */
static bool keys_is_race(const PGresult *rows, int row)
{
	return !pg_is_null(rows, row, KEY_INDEX) &&
	       keys[pg_int8(rows, row, KEY_NUMBER) - 1].is_raced;
}

static tide_status keys_list_races(const PGresult *rows, char **ret, struct tide_error *err)
{
	struct buffer names = { 0 };
	buffer_add(&names, "\n", 1);
	for (int row = 0; row < PQntuples(rows); row++)
		if (keys_is_race(rows, row))
			buffer_format(&names, "%s\n", PQgetvalue(rows, row, KEY_INDEX));
	return buffer_take(&names, ret, err);
}

tide_status pg_keys_check(struct pg_connection *connection, const char *schema,
			  const char *schema_dot, char **ret_races, struct tide_error *err)
{
	PG_RESULT_AUTO PGresult *rows = NULL;
	tide_status status = keys_ask(connection, schema, &rows, err);
	for (int row = 0; status == TIDE_OK && row < PQntuples(rows); row++)
		status = keys_judge(rows, row, schema, schema_dot, err);
	return status == TIDE_OK && ret_races ? keys_list_races(rows, ret_races, err) : status;
}

/* Constraints can be renamed and made anew while a store is open: before an unknown one is the
 * user's, look again. */
static bool keys_look_again(const struct pg_store *store, struct pg_connection *connection,
			    const char *constraint)
{
	PG_RESULT_AUTO PGresult *rows = NULL;
	if (!pg_connection_is_usable(connection) ||
	    keys_ask(connection, store->schema, &rows, NULL) != TIDE_OK)
		return false;
	for (int row = 0; row < PQntuples(rows); row++)
		if (keys_is_race(rows, row) &&
		    strcmp(PQgetvalue(rows, row, KEY_INDEX), constraint) == 0)
			return true;
	return false;
}

bool pg_keys_tell_race(const struct pg_store *store, struct pg_connection *connection)
{
	char line[sizeof connection->broken.constraint + 2];
	if (strcmp(connection->sqlstate, "23505") != 0 ||
	    strcmp(connection->broken.table, "events") != 0 ||
	    strcmp(connection->broken.schema, store->schema) != 0)
		return false;
	snprintf(line, sizeof line, "\n%s\n", connection->broken.constraint);
	if (strstr(store->race_keys, line))
		return true;
	line[strlen(line) - 1] = '\0';
	return keys_look_again(store, connection, line + 1);
}

/* The sequence is read by SELECT: its functions would take the lock that tells readers of an open
 * append. Without the right to that nothing is compared. */
static tide_status keys_find_sequence(const struct pg_store *store,
				      struct pg_connection *connection, PGresult **ret,
				      struct tide_error *err)
{
	PG_PARAMS_AUTO struct pg_params params = { .count = 0 };
	pg_put_string(&params, store->table);
	return pg_query(connection,
			"SELECT s::regclass::text FROM (SELECT " PG_NUMBERING(
				"$1") ") q(s) WHERE "
				      "has_sequence_privilege(s, 'SELECT') AND "
				      "has_table_privilege($1::text, 'SELECT')",
			&params, ret, err);
}

tide_status pg_keys_check_sequence(const struct pg_store *store, struct pg_connection *connection,
				   struct tide_error *err)
{
	PG_RESULT_AUTO PGresult *found = NULL, *rows = NULL;
	tide_status status = keys_find_sequence(store, connection, &found, err);
	if (status != TIDE_OK || PQntuples(found) == 0)
		return status;

	const char *name = PQgetvalue(found, 0, 0);
	ALLOC_AUTO char *text = alloc_format(
		"SELECT COALESCE((SELECT max(global_position) FROM %sevents), 0)::int8, "
		"CASE WHEN is_called THEN last_value ELSE last_value - 1 END FROM %s",
		store->target.schema, name);
	if (!text)
		return alloc_fail(err);

	status = pg_query(connection, text, NULL, &rows, err);
	if (status != TIDE_OK || pg_int8(rows, 0, 0) <= pg_int8(rows, 0, 1))
		return status;

	long long newest = (long long)pg_int8(rows, 0, 0), last = (long long)pg_int8(rows, 0, 1);
	return tide_fail(
		err, TIDE_SCHEMA,
		"events reach position %lld and their sequence '%.100s' only %lld, so that appends "
		"would fail "
		"and readers skip events; stop the appends and run SELECT setval('%.100s', %lld)",
		newest, name, last, name, newest);
}
