/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an operator should know of a database: the server, the schema, what may hold events back or
 * make appends fail.
 *
 * Happy path: a list of checks, each a statement or two; every one reports at least one finding.
 * Failure: a check that the role may not make is a finding; only a lost connection or memory ends
 * the examination.
 */
#include "backends/postgres/inner.h"

#include <stdarg.h>

#include "core/text.h"
#include "sys/alloc.h"

#define EXAMINE_SHOWN "5"
#define EXAMINE_OPEN_SECONDS 5
#define EXAMINE_INDEXES_MAX 8

/** One examination. */
struct examination {
	struct pg_session *session;
	struct pg_connection *connection;
	tide_report report;
	void *self;
	bool is_replica;
};

static void examine_say(const struct examination *examination, enum tide_finding_level level,
			const char *check, const char *advice, const char *format, ...)
	TIDE_PRINTF(5, 6);

static void examine_say(const struct examination *examination, enum tide_finding_level level,
			const char *check, const char *advice, const char *format, ...)
{
	char finding[512];
	va_list list;
	va_start(list, format);
	vsnprintf(finding, sizeof finding, format, list);
	va_end(list);
	examination->report(examination->self, level, check, advice, finding);
}

static tide_status examine_query(struct examination *examination, const char *text,
				 const struct pg_params *params, PGresult **ret,
				 struct tide_error *err)
{
	struct buffer buffer = { 0 };
	ALLOC_AUTO char *full = NULL;
	pg_statement_expand(&buffer, text, examination->session->store->target.schema);
	tide_status status = buffer_take(&buffer, &full, err);
	return status == TIDE_OK ? pg_query(examination->connection, full, params, ret, err)
				 : status;
}

static tide_status examine_server(struct examination *examination, struct tide_error *err)
{
	static const char check[] = "server";
	PG_RESULT_AUTO PGresult *rows = NULL;
	tide_status status = examine_query(
		examination,
		"SELECT current_setting('server_version'), pg_is_in_recovery(), "
		"pg_encoding_to_char(encoding)::text, "
		"current_setting('fsync') = 'on' AND current_setting('full_page_writes') = 'on', "
		"current_setting('synchronous_commit') = 'off', pg_backend_pid() FROM pg_database "
		"WHERE datname = "
		"current_database()",
		NULL, &rows, err);
	if (status != TIDE_OK)
		return status;

	bool is_pooled = pg_int4(rows, 0, 5) != PQbackendPID(examination->connection->native);
	examination->is_replica = pg_bool(rows, 0, 1);
	examine_say(examination, TIDE_FINDING_OK, check, "", "PostgreSQL %s%s",
		    PQgetvalue(rows, 0, 0), is_pooled ? ", behind a pooler" : "");
	if (examination->is_replica)
		examine_say(examination, TIDE_FINDING_NOTICE, check,
			    "keep no checkpoints that matter on what is read here",
			    "it is a replica, which cannot see every open append of its primary");
	if (strcmp(PQgetvalue(rows, 0, 2), "UTF8") != 0)
		examine_say(examination, TIDE_FINDING_NOTICE, check,
			    "move to a database with ENCODING 'UTF8'",
			    "its encoding is %s, which cannot hold every text",
			    PQgetvalue(rows, 0, 2));
	if (!pg_bool(rows, 0, 3))
		examine_say(examination, TIDE_FINDING_NOTICE, check,
			    "turn both on unless the data may be lost",
			    "fsync or full_page_writes is off: a crash can damage the database");
	if (pg_bool(rows, 0, 4))
		examine_say(examination, TIDE_FINDING_NOTICE, check,
			    "turn it on for roles that append",
			    "synchronous_commit is off: a crash takes back the newest appends");
	return TIDE_OK;
}

static tide_status examine_schema(struct examination *examination, struct tide_error *err)
{
	static const char check[] = "schema version";
	PG_RESULT_AUTO PGresult *rows = NULL;
	tide_status status =
		examine_query(examination, "SELECT COALESCE(max(version), 0) FROM @tidemark_schema",
			      NULL, &rows, err);
	bool is_missing = strcmp(examination->connection->sqlstate, "42P01") == 0;
	if (status != TIDE_OK && !is_missing)
		return status;

	int version = is_missing ? 0 : pg_int4(rows, 0, 0);
	if (version == PG_SCHEMA_VERSION)
		examine_say(examination, TIDE_FINDING_OK, check, "", "%d", version);
	else if (version < PG_SCHEMA_VERSION)
		examine_say(examination, TIDE_FINDING_NOTICE, check, "run tide init as the owner",
			    "%d, and this program makes %d", version, PG_SCHEMA_VERSION);
	else
		examine_say(examination, TIDE_FINDING_NOTICE, check,
			    "bring the programs that use it up to date",
			    "%d, newer than the %d this program knows", version, PG_SCHEMA_VERSION);
	return TIDE_OK;
}

static tide_status examine_indexes(struct examination *examination, struct tide_error *err)
{
	static const char check[] = "indexes";
	PG_PARAMS_AUTO struct pg_params params = { .count = 0 };
	PG_RESULT_AUTO PGresult *rows = NULL;
	const char *names[EXAMINE_INDEXES_MAX + 1] = { NULL };
	for (size_t i = 0; i < EXAMINE_INDEXES_MAX && (names[i] = pg_schema_index(i)); i++)
		;
	pg_put_names(&params, names);
	pg_put_string(&params, examination->session->store->table);
	tide_status status = examine_query(
		examination,
		"SELECT w.name FROM unnest($1::text[]) w(name) WHERE NOT EXISTS (SELECT 1 "
		"FROM pg_class c JOIN pg_index i ON "
		"i.indexrelid = c.oid WHERE c.relname = w.name AND i.indisvalid AND "
		"c.relnamespace = (SELECT relnamespace "
		"FROM pg_class WHERE oid = to_regclass($2::text)))",
		&params, &rows, err);
	if (status != TIDE_OK)
		return status;

	for (int row = 0; row < PQntuples(rows); row++)
		examine_say(examination, TIDE_FINDING_PROBLEM, check,
			    "drop it if it is invalid; tide init makes it",
			    "'%s' is missing or invalid", PQgetvalue(rows, row, 0));
	if (PQntuples(rows) == 0)
		examine_say(examination, TIDE_FINDING_OK, check, "", "every index is there");
	return TIDE_OK;
}

static tide_status examine_tables(struct examination *examination, struct tide_error *err)
{
	return pg_tables_examine(examination->session->store, examination->connection,
				 examination->report, examination->self, err);
}

/* Opening refuses a sequence with a cache; what it does not see are rows that brought positions of
 * their own. */
static tide_status examine_positions(struct examination *examination, struct tide_error *err)
{
	static const char check[] = "positions";
	PG_PARAMS_AUTO struct pg_params params = { .count = 0 };
	PG_RESULT_AUTO PGresult *rows = NULL;
	pg_put_string(&params, examination->session->store->table);
	tide_status status = examine_query(
		examination,
		"SELECT seqrelid::regclass::text, seqcache, COALESCE((SELECT max(global_position) "
		"FROM @events), 0), "
		"CASE WHEN "
		"NOT pg_is_in_recovery() AND (has_sequence_privilege(seqrelid, 'USAGE') OR "
		"has_sequence_privilege(seqrelid, "
		"'SELECT')) THEN COALESCE(pg_sequence_last_value(seqrelid), 0) END FROM "
		"pg_sequence WHERE seqrelid = "
		"(SELECT " PG_NUMBERING("$1") ")",
		&params, &rows, err);
	if (status != TIDE_OK)
		return status;

	long long newest = (long long)pg_int8(rows, 0, 2);
	const char *name = PQgetvalue(rows, 0, 0);
	char advice[160];
	snprintf(advice, sizeof advice, "stop the appends and run SELECT setval('%.80s', %lld)",
		 name, newest);
	if (!pg_is_null(rows, 0, 3) && pg_int8(rows, 0, 3) < newest)
		examine_say(examination, TIDE_FINDING_PROBLEM, check, advice,
			    "events reach %lld and '%.80s' only %lld: appends will fail, or be "
			    "skipped by readers",
			    newest, name, (long long)pg_int8(rows, 0, 3));
	else
		examine_say(examination, TIDE_FINDING_OK, check, "",
			    "the newest is %lld, '%.80s' has CACHE %lld", newest, name,
			    (long long)pg_int8(rows, 0, 1));
	return TIDE_OK;
}

/* How many events stand behind the end that readers can reach now. */
static tide_status examine_waiting(struct examination *examination, int64_t *ret,
				   struct tide_error *err)
{
	PG_PARAMS_AUTO struct pg_params params = { .count = 0 };
	PG_RESULT_AUTO PGresult *rows = NULL;
	tide_position end;
	tide_status status = pg_end(examination->session, &end, err);
	if (status != TIDE_OK)
		return status;

	pg_put_int8(&params, end);
	status = examine_query(examination,
			       "SELECT count(*) FROM @events WHERE global_position > $1::int8",
			       &params, &rows, err);
	if (status == TIDE_OK)
		*ret = pg_int8(rows, 0, 0);
	return status;
}

/* Its name is whatever its owner liked, and this is to be pasted by somebody who may do more than
 * that one. */
static void examine_advise_prepared(const struct examination *examination, const char *gid,
				    char *ret, size_t size)
{
	char *literal = PQescapeLiteral(examination->connection->native, gid, strlen(gid));
	if (literal)
		snprintf(ret, size, "run COMMIT PREPARED %s or ROLLBACK PREPARED %s", literal,
			 literal);
	else
		snprintf(ret, size, "commit it, or roll it back");
	PQfreemem(literal);
	text_make_line(ret);
}

static void examine_holder(const struct examination *examination, const PGresult *rows, int row,
			   int64_t waiting)
{
	char who[PG_HOLDER_SIZE], advice[900], more[80] = "";
	pg_holder_describe(rows, row, who);
	if (waiting > 0)
		snprintf(more, sizeof more, "; events that wait for it: %lld", (long long)waiting);
	if (!pg_is_null(rows, row, PG_HOLDER_GID))
		examine_advise_prepared(examination, PQgetvalue(rows, row, PG_HOLDER_GID), advice,
					sizeof advice);
	else if (!pg_is_null(rows, row, PG_HOLDER_PID))
		snprintf(advice, sizeof advice,
			 "let it end, or run SELECT pg_terminate_backend(%d)",
			 pg_int4(rows, row, PG_HOLDER_PID));
	else
		snprintf(advice, sizeof advice, "let it end");

	bool is_brief = !pg_is_null(rows, row, PG_HOLDER_SECONDS) &&
			pg_int8(rows, row, PG_HOLDER_SECONDS) < EXAMINE_OPEN_SECONDS;
	examine_say(examination, is_brief ? TIDE_FINDING_NOTICE : TIDE_FINDING_PROBLEM,
		    "open appends", advice, "%s%s", who, more);
}

static tide_status examine_appends(struct examination *examination, struct tide_error *err)
{
	PG_RESULT_AUTO PGresult *rows = NULL;
	int64_t waiting = 0;
	if (examination->is_replica)
		return TIDE_OK;

	tide_status status = pg_holders(examination->session, NULL, &rows, err);
	if (status == TIDE_OK && PQntuples(rows) > 0)
		status = examine_waiting(examination, &waiting, err);
	if (status != TIDE_OK)
		return status;

	for (int row = 0; row < PQntuples(rows); row++)
		examine_holder(examination, rows, row, waiting);
	if (PQntuples(rows) == 0)
		examine_say(examination, TIDE_FINDING_OK, "open appends", "", "none");
	return TIDE_OK;
}

static tide_status examine_transactions(struct examination *examination, struct tide_error *err)
{
	static const char check[] = "long transactions";
	PG_RESULT_AUTO PGresult *rows = NULL;
	tide_status status =
		examine_query(examination,
			      "SELECT * FROM (SELECT 'pid ' || pid, floor(extract(epoch FROM "
			      "clock_timestamp() - xact_start))::int8 "
			      "AS age "
			      "FROM pg_stat_activity WHERE datname = current_database() AND "
			      "backend_type = 'client backend' UNION "
			      "ALL "
			      "SELECT 'prepared transaction ' || quote_literal(gid), "
			      "floor(extract(epoch FROM clock_timestamp() - "
			      "prepared))::int8 FROM pg_prepared_xacts WHERE database = "
			      "current_database()) t WHERE age >= 3600 "
			      "ORDER BY age "
			      "DESC LIMIT " EXAMINE_SHOWN,
			      NULL, &rows, err);
	if (status != TIDE_OK)
		return status;

	for (int row = 0; row < PQntuples(rows); row++)
		examine_say(examination, TIDE_FINDING_NOTICE, check,
			    "it delays no reader unless it appends, but dead rows of checkpoints "
			    "and leases pile up: "
			    "end it",
			    "%s, open for %lld s", PQgetvalue(rows, row, 0),
			    (long long)pg_int8(rows, row, 1));
	if (PQntuples(rows) == 0)
		examine_say(examination, TIDE_FINDING_OK, check, "", "none is older than an hour");
	return TIDE_OK;
}

static tide_status examine_notifications(struct examination *examination, struct tide_error *err)
{
	static const char check[] = "notifications";
	bool hears = false;
	if (examination->is_replica) {
		examine_say(examination, TIDE_FINDING_NOTICE, check, "",
			    "a replica has none, so subscriptions look for new events every 50 ms");
		return TIDE_OK;
	}

	tide_status status = pg_watch_test(examination->session->store, &hears, err);
	if (status == TIDE_OK && hears)
		examine_say(examination, TIDE_FINDING_OK, check, "", "they arrive");
	else if (status == TIDE_OK)
		examine_say(examination, TIDE_FINDING_NOTICE, check,
			    "a pooler in transaction mode swallows them; connect subscribers past "
			    "it to save the looking",
			    "they do not arrive, so subscriptions look for new events every 50 ms");
	return status;
}

/* What the role may do, by the rights that each thing takes. $1 the schema with its dot, $2 the
 * table of events. */
/* clang-format off */
/* A database of an earlier version lacks some of the tables. */
#define MAY(table, right) \
	"COALESCE(has_table_privilege(to_regclass($1::text || '" table "')::oid, '" right "'), false)"
#define MAY_NUMBER(table) \
	"CASE WHEN to_regclass($1::text || '" table "') IS NULL THEN false ELSE " \
	"has_sequence_privilege(pg_get_serial_sequence($1::text || '" table "', 'id'), 'USAGE') END"
#define MAY_WRITE(table) \
	MAY(table, "SELECT") " AND " MAY(table, "INSERT") " AND " MAY(table, "UPDATE")
static const struct { const char *purpose, *rights; } examine_purposes[] = {
	{ "append", MAY("events", "SELECT") " AND " MAY("events", "INSERT")
	  " AND has_sequence_privilege(" PG_NUMBERING("$2") ", 'USAGE')" },
	{ "read", MAY("events", "SELECT") },
	{ "subscribe", MAY("events", "SELECT") " AND " MAY_WRITE("projection_checkpoints")
	  " AND " MAY_WRITE("subscription_leases") " AND " MAY_NUMBER("subscription_leases")
	  " AND " MAY_WRITE("dead_letter_queue") " AND " MAY_NUMBER("dead_letter_queue") },
	{ "reset, discard and purge", MAY("projection_checkpoints", "DELETE")
	  " AND " MAY("dead_letter_queue", "DELETE") " AND " MAY("projection_segments", "DELETE") },
	{ "have proof kept that nothing is skipped", MAY_WRITE("projection_segments")
	  " AND " MAY_NUMBER("projection_segments") },
	{ "rebuild projections", MAY_WRITE("projection_rebuilds") },
	{ "pause, resume and keep the journal", MAY_WRITE("subscription_controls")
	  " AND " MAY("subscription_controls", "DELETE")
	  " AND " MAY("subscription_journal", "SELECT") " AND " MAY("subscription_journal", "INSERT")
	  " AND " MAY("subscription_journal", "DELETE") " AND " MAY_NUMBER("subscription_journal") },
	{ "have lanes", MAY_WRITE("subscription_groups")
	  " AND " MAY_WRITE("subscription_members") " AND " MAY("subscription_members", "DELETE")
	  " AND " MAY("projection_checkpoints", "DELETE") " AND " MAY("projection_segments", "DELETE") },
	{ "keep snapshots", MAY_WRITE("snapshots") " AND " MAY_NUMBER("snapshots") },
};
/* clang-format on */
#define EXAMINE_PURPOSES (int)(sizeof examine_purposes / sizeof *examine_purposes)

static tide_status examine_ask_rights(struct examination *examination, PGresult **ret,
				      struct tide_error *err)
{
	PG_PARAMS_AUTO struct pg_params params = { .count = 0 };
	struct buffer buffer = { 0 };
	ALLOC_AUTO char *text = NULL;
	pg_put_string(&params, examination->session->store->target.schema);
	pg_put_string(&params, examination->session->store->table);
	buffer_format(&buffer, "SELECT current_user::text");
	for (int i = 0; i < EXAMINE_PURPOSES; i++)
		buffer_format(&buffer, ", %s", examine_purposes[i].rights);
	tide_status status = buffer_take(&buffer, &text, err);
	return status == TIDE_OK ? pg_query(examination->connection, text, &params, ret, err)
				 : status;
}

static tide_status examine_rights(struct examination *examination, struct tide_error *err)
{
	PG_RESULT_AUTO PGresult *rows = NULL;
	struct buffer may = { 0 }, not = { 0 };
	ALLOC_AUTO char *text = NULL, *missing = NULL;
	tide_status status = examine_ask_rights(examination, &rows, err);
	for (int i = 0; status == TIDE_OK && i < EXAMINE_PURPOSES; i++) {
		struct buffer *list = pg_bool(rows, 0, i + 1) ? &may : &not ;
		buffer_format(list, "%s%s", list->size ? ", " : "", examine_purposes[i].purpose);
	}

	if (status == TIDE_OK)
		status = buffer_take(&may, &text, err);
	if (status == TIDE_OK)
		status = buffer_take(&not, &missing, err);
	if (status == TIDE_OK && !*missing)
		examine_say(examination, TIDE_FINDING_OK, "rights", "", "'%.63s' may %s",
			    PQgetvalue(rows, 0, 0), text);
	else if (status == TIDE_OK)
		examine_say(examination, TIDE_FINDING_NOTICE, "rights",
			    "grant what that takes, if it is to do so",
			    "'%.63s' may %s; it may not %s", PQgetvalue(rows, 0, 0),
			    *text ? text : "do nothing", missing);
	buffer_fini(&may);
	buffer_fini(&not );
	return status;
}

static tide_status examine_streams(struct examination *examination, struct tide_error *err)
{
	static const char check[] = "streams";
	PG_RESULT_AUTO PGresult *rows = NULL;
	tide_status status = examine_query(
		examination,
		"SELECT aggregate_type::text, aggregate_id::text, count(*), min(version), "
		"max(version), count(*) OVER () FROM "
		"@events GROUP BY aggregate_id, aggregate_type HAVING min(version) <> 1 OR "
		"max(version) <> count(*) LIMIT " EXAMINE_SHOWN,
		NULL, &rows, err);
	if (status != TIDE_OK)
		return status;

	for (int row = 0; row < PQntuples(rows); row++)
		examine_say(examination, TIDE_FINDING_PROBLEM, check,
			    "events were deleted behind the store's back; restore them",
			    "'%s/%s' has %lld events between versions %d and %d",
			    PQgetvalue(rows, row, 0), PQgetvalue(rows, row, 1),
			    (long long)pg_int8(rows, row, 2), pg_int4(rows, row, 3),
			    pg_int4(rows, row, 4));
	if (PQntuples(rows) > 0 && pg_int8(rows, 0, 5) > PQntuples(rows))
		examine_say(examination, TIDE_FINDING_PROBLEM, check, "",
			    "%lld streams in all have holes", (long long)pg_int8(rows, 0, 5));
	if (PQntuples(rows) == 0)
		examine_say(examination, TIDE_FINDING_OK, check, "", "no stream has a hole");
	return TIDE_OK;
}

static tide_status examine_owners(struct examination *examination, struct tide_error *err)
{
	static const char check[] = "owners";
	PG_RESULT_AUTO PGresult *rows = NULL;
	tide_status status = examine_query(
		examination,
		"SELECT name, floor(extract(epoch FROM clock_timestamp() - "
		"expires_at))::int8, expires_at > clock_timestamp() + 2 * make_interval(secs "
		"=> GREATEST(15, (to_jsonb(l) ->> 'lease_seconds')::float8)) "
		"FROM @subscription_leases l WHERE "
		"owner IS NOT NULL ORDER BY name",
		NULL, &rows, err);
	if (status != TIDE_OK)
		return status;

	int owned = 0;
	for (int row = 0; row < PQntuples(rows); row++) {
		int64_t over = pg_int8(rows, row, 1);
		bool is_void = pg_bool(rows, row, 2);
		owned += over < 0 && !is_void;
		if (is_void)
			examine_say(examination, TIDE_FINDING_NOTICE, check,
				    "start it again, whoever does takes over; or `tide checkpoints "
				    "release NAME --force`",
				    "'%.255s' is owned for %lld s more, which no renewal has "
				    "written: a clock was set",
				    PQgetvalue(rows, row, 0), (long long)-over);
		if (over >= 0)
			examine_say(examination, TIDE_FINDING_NOTICE, check,
				    "start it again; whoever does takes over",
				    "'%.255s' was left %lld s ago without being released",
				    PQgetvalue(rows, row, 0), (long long)over);
	}

	examine_say(examination, TIDE_FINDING_OK, check, "",
		    "%d subscriptions are owned by running processes", owned);
	return TIDE_OK;
}

/* What each projection made, and whether it is still there and its alone. */
static tide_status examine_projections(struct examination *examination, struct tide_error *err)
{
	static const char check[] = "projections";
	PG_RESULT_AUTO PGresult *rows = NULL;
	if (!(examination->session->store->target.parts & PART_BIT(PART_VERSIONS)))
		return TIDE_OK;

	tide_status status =
		examine_query(examination,
			      "SELECT v.name, t.made, EXISTS (SELECT FROM pg_class c JOIN "
			      "pg_namespace n ON n.oid = c.relnamespace "
			      "WHERE "
			      "n.nspname || '.' || c.relname = t.made), (SELECT count(*) FROM "
			      "@projection_versions o, "
			      "json_array_elements_text(o.tables) u(made) WHERE u.made = t.made) "
			      "FROM @projection_versions v, "
			      "json_array_elements_text(v.tables) t(made) ORDER BY 1, 2",
			      NULL, &rows, err);
	for (int i = 0; status == TIDE_OK && i < PQntuples(rows); i++) {
		const char *name = PQgetvalue(rows, i, 0), *table = PQgetvalue(rows, i, 1);
		if (!pg_bool(rows, i, 2))
			examine_say(examination, TIDE_FINDING_PROBLEM, check,
				    "build it anew: tide project FILE --reset",
				    "table '%s' of projection '%s' is gone", table, name);
		else if (pg_int8(rows, i, 3) > 1)
			examine_say(examination, TIDE_FINDING_PROBLEM, check,
				    "give each projection tables of its own",
				    "table '%s' of projection '%s' is made by another one, too",
				    table, name);
		else
			examine_say(examination, TIDE_FINDING_OK, check, "",
				    "'%s' makes table '%s'", name, table);
	}
	return status;
}

static tide_status examine_connections(struct examination *examination, struct tide_error *err)
{
	PG_RESULT_AUTO PGresult *rows = NULL;
	tide_status status =
		examine_query(examination,
			      "SELECT count(*), current_setting('max_connections')::int8 - "
			      "current_setting('superuser_reserved_connections')::int8 FROM "
			      "pg_stat_activity WHERE backend_type = 'client "
			      "backend'",
			      NULL, &rows, err);
	if (status != TIDE_OK)
		return status;

	long long used = (long long)pg_int8(rows, 0, 0), all = (long long)pg_int8(rows, 0, 1);
	bool is_short = used * 10 >= all * 9;
	examine_say(examination, is_short ? TIDE_FINDING_PROBLEM : TIDE_FINDING_OK, "connections",
		    is_short ? "raise max_connections, lower ?pool= or ?connections=, or put a "
			       "pooler in front"
			     : "",
		    "%lld of %lld are in use", used, all);
	return TIDE_OK;
}

/* ---- Writing --------------------------------------------------------------------------------- */

#define EXAMINE_TEMPORARY                                                                          \
	"BEGIN READ WRITE; SET LOCAL statement_timeout = '5s'; CREATE TEMPORARY TABLE "            \
	"tidemark_probe (pad text) TABLESPACE %s; ALTER TABLE pg_temp.tidemark_probe ALTER pad "   \
	"SET STORAGE PLAIN; INSERT INTO pg_temp.tidemark_probe SELECT repeat('x', 7000) FROM "     \
	"generate_series(1, 40)"

/* Pages of a temporary table take the room at once, are in no log, and go with the rollback. */
static tide_status examine_fill(const struct examination *examination, const char *tablespace,
				struct tide_error *err)
{
	char *name =
		PQescapeIdentifier(examination->connection->native, tablespace, strlen(tablespace));
	char *text ALLOC_AUTO = name ? alloc_format(EXAMINE_TEMPORARY, name) : NULL;
	PQfreemem(name);
	if (!text)
		return alloc_fail(err);
	tide_status status = pg_command(examination->connection, text, err);
	if (status != TIDE_CONNECTION_LOST &&
	    pg_command(examination->connection, "ROLLBACK", NULL) == TIDE_CONNECTION_LOST)
		return tide_fail(err, TIDE_CONNECTION_LOST,
				 "PostgreSQL: the connection was lost while writing was tried");
	return status;
}

static tide_status examine_tablespace(const struct examination *examination, const char *tablespace,
				      bool is_allowed, bool *is_full, struct tide_error *err)
{
	struct tide_error why;
	if (!is_allowed) {
		examine_say(examination, TIDE_FINDING_NOTICE, "writing",
			    "grant TEMPORARY on the database and CREATE on the tablespace to know",
			    "this role may not try whether tablespace '%.63s' has room",
			    tablespace);
		return TIDE_OK;
	}

	tide_status status = examine_fill(examination, tablespace, &why);
	if (status == TIDE_CONNECTION_LOST || status == TIDE_OUT_OF_MEMORY)
		return tide_fail(err, status, "%s", why.message);
	*is_full |= status == TIDE_DISK_FULL;
	if (status == TIDE_DISK_FULL)
		examine_say(examination, TIDE_FINDING_PROBLEM, "writing",
			    "make room: appends are refused, subscriptions wait for it and go on "
			    "by themselves",
			    "tablespace '%.63s' has no room: %s", tablespace, why.message);
	else if (status != TIDE_OK)
		examine_say(examination, TIDE_FINDING_NOTICE, "writing", "",
			    "whether tablespace '%.63s' has room is not known: %s", tablespace,
			    why.message);
	return TIDE_OK;
}

/* Where the tables of the schema lie, and those that projections made elsewhere. */
static tide_status examine_ask_tablespaces(struct examination *examination, PGresult **ret,
					   struct tide_error *err)
{
	PG_PARAMS_AUTO struct pg_params params = { .count = 0 };
	struct buffer buffer = { 0 };
	ALLOC_AUTO char *text = NULL;
	bool has_versions = examination->session->store->target.parts & PART_BIT(PART_VERSIONS);
	pg_put_string(&params, examination->session->store->table);
	buffer_format(&buffer,
		      "SELECT DISTINCT t.spcname::text, has_database_privilege(d.oid, 'TEMPORARY') "
		      "AND (t.oid = d.dattablespace OR has_tablespace_privilege(t.oid, 'CREATE')) "
		      "FROM pg_class c JOIN pg_database d ON d.datname = current_database() JOIN "
		      "pg_tablespace t ON t.oid = COALESCE(nullif(c.reltablespace, 0), "
		      "d.dattablespace) WHERE c.relkind IN ('r', 'i', 'm') AND (c.relnamespace = "
		      "(SELECT relnamespace FROM pg_class WHERE oid = to_regclass($1::text))%s) "
		      "ORDER BY 1",
		      has_versions
			      ? " OR (SELECT n.nspname || '.' || c.relname FROM pg_namespace n "
				"WHERE n.oid = c.relnamespace) IN (SELECT made FROM "
				"@projection_versions v, json_array_elements_text(v.tables) "
				"u(made))"
			      : "");
	tide_status status = buffer_take(&buffer, &text, err);
	return status == TIDE_OK ? examine_query(examination, text, &params, ret, err) : status;
}

static tide_status examine_room(struct examination *examination, struct tide_error *err)
{
	PG_RESULT_AUTO PGresult *rows = NULL;
	bool is_full = false;
	tide_status status = examine_ask_tablespaces(examination, &rows, err);
	for (int i = 0; status == TIDE_OK && i < PQntuples(rows); i++)
		status = examine_tablespace(examination, PQgetvalue(rows, i, 0),
					    pg_bool(rows, i, 1), &is_full, err);
	if (status == TIDE_OK && !is_full)
		examine_say(examination, TIDE_FINDING_OK, "writing", "",
			    "the database takes writes");
	return status;
}

/* What appends and saves would be refused by, whatever the role may do otherwise. */
static tide_status examine_writing(struct examination *examination, struct tide_error *err)
{
	PG_RESULT_AUTO PGresult *rows = NULL;
	tide_status status = examine_query(
		examination,
		"SELECT current_setting('default_transaction_read_only') = 'on', "
		"current_setting('transaction_read_only') = 'on' AND NOT pg_is_in_recovery(), "
		"pg_is_in_recovery()",
		NULL, &rows, err);

	if (status != TIDE_OK)
		return status;
	if (pg_bool(rows, 0, 0) || pg_bool(rows, 0, 1))
		examine_say(examination, TIDE_FINDING_PROBLEM, "writing",
			    "take default_transaction_read_only from the role, the database or the "
			    "configuration",
			    "transactions are read-only unless they say otherwise: appends and "
			    "checkpoints are refused");
	else if (pg_bool(rows, 0, 2))
		examine_say(examination, TIDE_FINDING_NOTICE, "writing", "",
			    "it is a replica, which takes none");
	else
		return examine_room(examination, err);
	return TIDE_OK;
}

#define EXAMINE_STANDBY_SECONDS 5 /* a commit that waits for longer has no standby */

/* Commits wait for a standby without an end, and nothing but the list of processes says so. */
static tide_status examine_standby(struct examination *examination, struct tide_error *err)
{
	static const char check[] = "synchronous standby",
			  advice[] = "start the standby, or take its name from "
				     "synchronous_standby_names and reload the configuration";
	PG_RESULT_AUTO PGresult *rows = NULL;
	tide_status status = examine_query(
		examination,
		"SELECT current_setting('synchronous_standby_names'), count(*), "
		"COALESCE(floor(extract(epoch FROM max(clock_timestamp() - query_start)))::int8, "
		"0), "
		"current_setting('synchronous_commit') NOT IN ('off', 'local') AND "
		"NOT pg_is_in_recovery(), EXISTS (SELECT FROM pg_stat_replication) FROM "
		"pg_stat_activity WHERE wait_event = 'SyncRep' AND datname = current_database()",
		NULL, &rows, err);
	if (status != TIDE_OK)
		return status;

	const char *names = PQgetvalue(rows, 0, 0);
	long long waiting = (long long)pg_int8(rows, 0, 1),
		  longest = (long long)pg_int8(rows, 0, 2);
	bool is_wanted = *names && pg_bool(rows, 0, 3);
	if (waiting > 0 && longest >= EXAMINE_STANDBY_SECONDS)
		examine_say(examination, TIDE_FINDING_PROBLEM, check, advice,
			    "%lld commits wait for it, the longest for %lld s; "
			    "synchronous_standby_names is '%.80s'",
			    waiting, longest, names);
	else if (is_wanted && !pg_bool(rows, 0, 4))
		examine_say(examination, TIDE_FINDING_PROBLEM, check, advice,
			    "none is connected, and commits wait for one: "
			    "synchronous_standby_names is '%.80s'",
			    names);
	else
		examine_say(examination, TIDE_FINDING_OK, check, "", "%s",
			    is_wanted ? "one is connected" : "commits wait for none");
	return TIDE_OK;
}

/* ---- The log --------------------------------------------------------------------------------- */

#define EXAMINE_WAL_KEPT "1073741824"

/* A slot that nobody reads keeps the log, and rows that are long dead. */
static tide_status examine_log(struct examination *examination, struct tide_error *err)
{
	static const char check[] = "write-ahead log";
	PG_RESULT_AUTO PGresult *rows = NULL;
	tide_status status =
		examine_query(examination,
			      "SELECT slot_name::text, (kept / 1048576)::int8 FROM (SELECT "
			      "slot_name, pg_wal_lsn_diff(CASE WHEN "
			      "pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE "
			      "pg_current_wal_lsn() END, restart_lsn) AS kept "
			      "FROM pg_replication_slots WHERE NOT active AND restart_lsn IS NOT "
			      "NULL) s WHERE kept "
			      ">= " EXAMINE_WAL_KEPT " ORDER BY kept DESC LIMIT " EXAMINE_SHOWN,
			      NULL, &rows, err);
	if (status != TIDE_OK)
		return status;

	for (int row = 0; row < PQntuples(rows); row++)
		examine_say(examination, TIDE_FINDING_NOTICE, check,
			    "start its reader, or drop it with pg_drop_replication_slot before the "
			    "disk is full",
			    "the slot '%s' that nobody reads keeps %lld MiB",
			    PQgetvalue(rows, row, 0), (long long)pg_int8(rows, row, 1));
	if (PQntuples(rows) == 0)
		examine_say(examination, TIDE_FINDING_OK, check, "",
			    "no slot without a reader keeps much of it");
	return TIDE_OK;
}

/** One check. */
struct examine_check {
	const char *name;
	tide_status (*run)(struct examination *, struct tide_error *);
};

/* clang-format off */
static const struct examine_check examine_checks[] = {
	{ "server", examine_server },             { "schema version", examine_schema },  { "indexes", examine_indexes },
	{ "tables", examine_tables },
	{ "positions", examine_positions },       { "open appends", examine_appends },
	{ "write-ahead log", examine_log },       { "synchronous standby", examine_standby },
	{ "long transactions", examine_transactions }, { "notifications", examine_notifications },
	{ "projections", examine_projections },
	{ "owners", examine_owners },             { "rights", examine_rights },          { "connections", examine_connections },
};
/* clang-format on */

static tide_status examine_run(struct examination *examination, const struct examine_check *checks,
			       size_t count, struct tide_error *err)
{
	for (size_t i = 0; i < count; i++) {
		struct tide_error problem = { 0 };
		tide_status status =
			pg_session_reader(examination->session, &examination->connection, &problem);
		if (status == TIDE_OK)
			status = checks[i].run(examination, &problem);
		if (status == TIDE_CONNECTION_LOST || status == TIDE_OUT_OF_MEMORY)
			return tide_fail(err, status, "%s", problem.message);
		if (status != TIDE_OK)
			examine_say(examination, TIDE_FINDING_NOTICE, checks[i].name,
				    "ask with a role that may know it", "%s", problem.message);
	}
	return TIDE_OK;
}

tide_status pg_examine(void *session, tide_report report, void *self, struct tide_error *err)
{
	struct examination examination = { .session = session, .report = report, .self = self };
	return examine_run(&examination, examine_checks,
			   sizeof examine_checks / sizeof *examine_checks, err);
}

tide_status pg_examine_deep(void *session, tide_report report, void *self, struct tide_error *err)
{
	static const struct examine_check checks[] = { { "streams", examine_streams } };
	struct examination examination = { .session = session, .report = report, .self = self };
	return examine_run(&examination, checks, sizeof checks / sizeof *checks, err);
}

tide_status pg_examine_writing(void *session, tide_report report, void *self,
			       struct tide_error *err)
{
	static const struct examine_check checks[] = { { "writing", examine_writing } };
	struct examination examination = { .session = session, .report = report, .self = self };
	return examine_run(&examination, checks, sizeof checks / sizeof *checks, err);
}
