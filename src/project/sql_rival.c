/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tables that are noted for other projections, which a projection may read and not write to.
 *
 * Happy path: they are loaded before init runs; the dialect finds none of them among what the
 * statements write to.
 * Failure modes: one is among them: refused with its projection's name, unless the tables are
 * taken over, were shared before, or the projection ran before tables were noted at all. Then it is
 * noted for this one, too (sql_version.c), and so are tables that it has, but its init does not
 * make.
 */
#include <string.h>
#include <strings.h>

#include "core/json.h"
#include "project/sql.h"
#include "sys/alloc.h"

/** The rows being read. */
struct rivals {
	struct sql_script *script;
	const char *name;
	enum sql_entry entry;
	struct sql_place place;
	bool has_row, has_checkpoint;
	struct buffer own_tables; /* of its row; JSON */
};

char *sql_place_table(const struct sql_place *place, const char *table)
{
	return alloc_format("%s%s", strchr(table, '.') ? "" : place->made, table);
}

bool sql_tables_hold(const char *tables, const char *table)
{
	struct json_reader reader;
	struct json_token token;

	json_read(&reader, tables, strlen(tables));
	do {
		token = json_next(&reader);
		if (token.kind == JSON_STRING && json_equals(&token, table))
			return true;
	} while (token.kind != JSON_END && token.kind != JSON_ERROR);
	return false;
}

void sql_rivals_clear(struct sql_script *script)
{
	for (size_t i = 0; i < script->rival_count; i++) {
		tide_free(script->rivals[i].table);
		tide_free(script->rivals[i].name);
	}
	tide_free(script->rivals);
	script->rivals = NULL;
	script->rival_count = 0;
	script->refused_rival = NULL;
}

struct sql_rival *sql_rival_find(const struct sql_script *script, const char *table)
{
	for (size_t i = 0; i < script->rival_count; i++)
		if (strcasecmp(script->rivals[i].table, table) == 0)
			return &script->rivals[i];
	return NULL;
}

bool sql_rival_write(struct sql_rival *rival)
{
	if (rival->state == SQL_RIVAL_ALLOWED)
		rival->state = SQL_RIVAL_WRITTEN;
	return rival->state != SQL_RIVAL_REFUSED;
}

bool sql_rivals_have_news(const struct sql_script *script)
{
	for (size_t i = 0; i < script->rival_count; i++)
		if (script->rivals[i].state == SQL_RIVAL_WRITTEN)
			return true;
	return false;
}

static enum sql_rival_state rival_state(const struct rivals *rivals, const char *name,
					const char *table)
{
	bool is_own = strcmp(name, rivals->name) == 0;
	bool is_older = !rivals->has_row && rivals->has_checkpoint;
	bool is_shared = rivals->has_row && sql_tables_hold(rivals->own_tables.data, table);

	return is_own || is_older || is_shared || rivals->entry == SQL_ENTRY_ACCEPT
		       ? SQL_RIVAL_ALLOWED
		       : SQL_RIVAL_REFUSED;
}

static tide_status rival_is_made(const struct rivals *rivals, const char *table, bool *ret,
				 struct tide_error *err)
{
	*ret = false;
	for (size_t i = 0; i < rivals->script->table_count && !*ret; i++) {
		ALLOC_AUTO char *made = sql_place_table(&rivals->place, rivals->script->tables[i]);
		if (!made)
			return alloc_fail(err);
		*ret = strcmp(made, table) == 0;
	}
	return TIDE_OK;
}

/* Those that init makes are sql_version.c's. */
static tide_status rival_add(struct rivals *rivals, const char *name, const char *table,
			     struct tide_error *err)
{
	struct sql_script *script = rivals->script;
	bool is_made;
	tide_status status = rival_is_made(rivals, table, &is_made, err);

	if (status != TIDE_OK || is_made)
		return status;
	struct sql_rival *grown =
		alloc_resize(script->rivals, script->rival_count + 1, sizeof *grown);
	if (!grown)
		return alloc_fail(err);
	script->rivals = grown;
	grown[script->rival_count] =
		(struct sql_rival){ .table = alloc_text(table, strlen(table)),
				    .name = alloc_text(name, strlen(name)),
				    .state = rival_state(rivals, name, table) };
	const struct sql_rival *added = &grown[script->rival_count++];
	return added->table && added->name ? TIDE_OK : alloc_fail(err);
}

static tide_status rival_add_all(struct rivals *rivals, const char *name, const char *tables,
				 struct tide_error *err)
{
	struct json_reader reader;
	struct json_token token;
	tide_status status = TIDE_OK;
	ALLOC_AUTO char *table = alloc_zero(strlen(tables) + 1, 1);

	if (!table)
		return alloc_fail(err);
	json_read(&reader, tables, strlen(tables));
	do {
		token = json_next(&reader);
		if (token.kind != JSON_STRING)
			continue;
		json_unescape(&token, table);
		status = rival_add(rivals, name, table, err);
	} while (status == TIDE_OK && token.kind != JSON_END && token.kind != JSON_ERROR);
	return status;
}

static tide_status rivals_note_own(void *self, const char *const *columns, struct tide_error *err)
{
	struct rivals *rivals = self;

	rivals->has_row = true;
	buffer_add(&rivals->own_tables, columns[1], strlen(columns[1]));
	return rivals->own_tables.failed ? alloc_fail(err) : TIDE_OK;
}

static tide_status rivals_note_checkpoint(void *self, const char *const *columns,
					  struct tide_error *err)
{
	struct rivals *rivals = self;

	(void)columns;
	(void)err;
	rivals->has_checkpoint = true;
	return TIDE_OK;
}

static tide_status rivals_note_row(void *self, const char *const *columns, struct tide_error *err)
{
	return rival_add_all(self, columns[0], columns[1], err);
}

static tide_status rivals_ask(struct rivals *rivals, const struct sql_dialect *dialect,
			      void *connection, const char *text, sql_row *row,
			      struct tide_error *err)
{
	ALLOC_AUTO char *full = alloc_format(text, rivals->place.own);
	struct sql_question question = {
		.text = full, .values = { rivals->name }, .count = 1, .row = row, .self = rivals
	};

	return full ? dialect->ask(rivals->script, connection, &question, err) : alloc_fail(err);
}

/* Its own come last: those of them that others have, too, are found as theirs. */
static tide_status rivals_read(struct rivals *rivals, const struct sql_dialect *dialect,
			       void *connection, struct tide_error *err)
{
	static const struct {
		const char *text;
		sql_row *row;
	} questions[] = {
		{ "SELECT name, tables FROM %sprojection_versions WHERE name = $1",
		  rivals_note_own },
		{ SQL_HAS_BEGUN, rivals_note_checkpoint },
		{ "SELECT name, tables FROM %sprojection_versions WHERE name <> $1 ORDER BY name",
		  rivals_note_row },
	};
	tide_status status = TIDE_OK;

	for (size_t i = 0; i < sizeof questions / sizeof *questions && status == TIDE_OK; i++)
		status = rivals_ask(rivals, dialect, connection, questions[i].text,
				    questions[i].row, err);
	if (status == TIDE_OK && rivals->has_row)
		status = rival_add_all(rivals, rivals->name, rivals->own_tables.data, err);
	return status;
}

tide_status sql_rivals_load(struct sql_script *script, const struct sql_dialect *dialect,
			    const char *name, enum sql_entry entry, void *connection,
			    struct tide_error *err)
{
	struct rivals rivals = { .script = script, .name = name, .entry = entry };

	sql_rivals_clear(script);
	tide_status status = dialect->find_place(script, connection, &rivals.place, err);
	if (status == TIDE_OK && rivals.place.has_versions)
		status = rivals_read(&rivals, dialect, connection, err);
	buffer_fini(&rivals.own_tables);
	return status;
}
