/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_PROJECT_SQL_H
#define TIDE_PROJECT_SQL_H

/* SQL projections inside: a script of sections and statements, and the dialect that runs it. */

#include <stdatomic.h>

#include <tidemark/sql_projection.h>

/** What a parameter stands for, in the order of an event's JSON. */
enum sql_field {
	SQL_GLOBAL_POSITION,
	SQL_EVENT_ID,
	SQL_EVENT_TYPE,
	SQL_EVENT_VERSION,
	SQL_OCCURRED_AT,
	SQL_AGGREGATE_ID,
	SQL_AGGREGATE_TYPE,
	SQL_AGGREGATE_VERSION,
	SQL_TENANT_ID,
	SQL_ACTOR_ID,
	SQL_CORRELATION_ID,
	SQL_CAUSATION_ID,
	SQL_METADATA,
	SQL_PAYLOAD,
	SQL_FIELD_COUNT
};

enum sql_section_kind { SQL_ON, SQL_INIT, SQL_RESET };

/** A run of statements under one section line. */
struct sql_section {
	enum sql_section_kind kind;
	size_t line;
	bool is_all;         /* `-- on: *` */
	size_t type, types;  /* its part of the script's types */
	size_t first, count; /* its part of the script's statements */
};

/** One statement, a view into the script's text. */
struct sql_statement {
	const char *text;
	size_t size;
	size_t line;                  /* where it begins */
	size_t parameter, parameters; /* its part of the script's parameters */
	size_t append;  /* which of the script's its rows are for, from 1; 0: they go nowhere */
	void *prepared; /* the dialect's, while attached */
};

/** Where rows are appended to: `-- append: STREAM TYPE`. */
struct sql_append {
	size_t line;
	char *aggregate_type, *event_type;
	char *name;        /* of the stream, with parameters in it; NULL: `id` names it */
	enum sql_field id; /* one that is a UUID */
};
struct sql_reaction;

/** One use of a parameter in a statement, with its colon; a view into the script's text. */
struct sql_parameter {
	const char *text;
	size_t size;
	enum sql_field field;
};

/** A table that is noted for another projection, or for this one, whose init does not make it. */
struct sql_rival {
	char *table;  /* as the row has it: name, or schema.name */
	char *name;   /* of the projection */
	char oid[12]; /* PostgreSQL: the table's; empty: there is none */
	enum sql_rival_state {
		SQL_RIVAL_REFUSED,
		SQL_RIVAL_ALLOWED, /* shared since before, taken over, or its own */
		SQL_RIVAL_WRITTEN, /* allowed, and the projection writes to it */
		SQL_RIVAL_NOTED    /* the same, and its row says so */
	} state;
};

/** A file taken apart. */
struct sql_script {
	const char *path; /* for messages */
	char *text;       /* owns what the rest points into */
	size_t size;
	struct sql_section *sections;
	size_t section_count;
	struct sql_statement *statements;
	size_t statement_count;
	struct sql_parameter *parameters; /* of all statements in order */
	size_t parameter_count;
	const char **types; /* of all sections in order; ends in NULL */
	size_t type_count;
	struct sql_append *appends;
	size_t append_count;

	char **tables; /* that init makes: name, or schema.name */
	size_t table_count;
	struct sql_rival *rivals; /* what it may not write to, as of its last start */
	size_t rival_count;
	struct tide_time read_at;
	atomic_bool is_stale; /* a rebuild from another file has come since; asked by any thread */
	uint64_t init_hash, statements_hash; /* over what is neither blank nor comment */

	void *attached; /* the dialect's, while prepared */
	/* what the database said of an event: it may quote it, so the error does not; NULL:
	 * nothing */
	char *words;
	char *row;        /* that its lane's checkpoint is in; NULL: it is no lane's */
	bool is_made;     /* by another lane of this process: init is left out */
	bool is_watching; /* SQLite: what is compiled now is the projection's */
	/* SQLite: and drops or alters a table, so that SQLite itself keeps its numbers in step */
	bool is_redefined;
	char refused[64]; /* SQLite: the table that was to be changed; empty: none */
	const struct sql_rival *refused_rival; /* which is this one; NULL: Tidemark's */
	int64_t *changed;                      /* rows by statement; NULL: they are not counted */

	struct sql_reaction *reactions; /* that the event in hand has given */
	size_t reaction_count;
	/* the question for what was answered before a rebuild; empty: there is nowhere to ask */
	char *ask_answered;
	bool has_appended; /* events are in the delivery's transaction, or were: Tidemark's doing */
};

/** A file as a subscriber. */
struct tide_sql_projection {
	struct sql_script script;
	const struct sql_dialect *dialect;
	struct tide_subscriber subscriber;
	char *name;
	char *path;
	bool accepts_changes;
	/* of a lane: what all of them are of, and whether its own init is the one that counts */
	struct tide_sql_projection *whole;
	bool has_made;
	atomic_bool is_made; /* of the whole: a lane has run init */
};

/** Where statements stand. */
struct sql_lines {
	size_t first, last;
};

/** A value to bind: null, an integer, or text valid as long as the event and the scratch. */
struct sql_value {
	bool is_null, is_integer;
	int64_t integer;
	struct tide_text text;
};
#define SQL_SCRATCH_SIZE 48

/** Where Tidemark's tables are, and where tables without a schema are made. */
struct sql_place {
	char own[140];     /* with a dot behind it, quoted */
	char made[70];     /* with a dot behind it; empty: there is only one */
	bool has_versions; /* projection_versions can be read and written */
	bool has_rebuilds; /* projection_rebuilds is there */
};

/** Takes what is wrong with a statement: a message with file and line. */
typedef void sql_tell(void *self, const char *message);
/** Takes a row of whatever query: so many columns as text, NULL for null. */
typedef tide_status sql_cells(void *self, const char *const *cells, size_t count,
			      struct tide_error *err);

/** Takes a row of a question: its columns as text, NULL for null. */
typedef tide_status sql_row(void *self, const char *const *columns, struct tide_error *err);
#define SQL_COLUMNS_MAX 8
struct sql_question {
	const char *text;
	const char *values[SQL_COLUMNS_MAX];
	int count;    /* of values */
	sql_row *row; /* NULL: no rows are wanted */
	void *self;
};

/** How one kind of database reads and runs SQL. */
struct sql_dialect {
	const char *scheme; /* of its URLs */
	const char *alias;  /* another one that means the same; NULL: none */
	const char *const
		/* first words of statements that would break the delivery transaction; ends in
		 * NULL */
		*forbidden;
	/* characters that begin parameters without our names, such as '?' */
	const char *other_parameters;
	bool has_brackets;      /* [name] and `name` quote */
	bool has_dollar_quotes; /* $tag$...$tag$ quotes, comments nest, '::' is a cast */
	/* Whether text that ends in a semicolon is a whole statement; `text` ends in a NUL. */
	bool (*is_complete)(const char *text);
	/* Find syntax errors without a database. */
	tide_status (*check)(struct sql_script *script, struct tide_error *err);
	/* Run the statements of one kind of section, in order, without parameters, in the open
	 * transaction. */
	tide_status (*run)(struct sql_script *script, enum sql_section_kind kind, void *connection,
			   struct tide_error *err);
	/* In the open transaction: run init, one process at a time, and prepare the statements of
	 * all `on` sections. */
	tide_status (*prepare)(struct sql_script *script, void *connection, struct tide_error *err);
	/* In the open transaction: find the place, and ask a question of Tidemark's own with
	 * parameters $1, $2, … in order. */
	tide_status (*find_place)(const struct sql_script *script, void *connection,
				  struct sql_place *ret, struct tide_error *err);
	tide_status (*ask)(const struct sql_script *script, void *connection,
			   const struct sql_question *question, struct tide_error *err);
	/* Hold every `on` statement against the tables that are there, changing nothing. On SQLite
	 * in no transaction, on PostgreSQL in one of its own. Fails only when it cannot be done. */
	tide_status (*examine)(struct sql_script *script, void *connection, sql_tell *tell,
			       void *self, struct tide_error *err);
	/* Run a query of somebody else's; TIDE_ARGUMENT when it fails. */
	tide_status (*query)(void *connection, const char *text, sql_cells *row, void *self,
			     struct tide_error *err);
	/* Let go of what was prepared. */
	void (*detach)(struct sql_script *script, void *connection);
	/* Bind and run one prepared statement, between the first two (NULL: nothing to do), which
	 * are called by turns. `*ret_is_own`: what failed is not the event, but what the projection
	 * does. */
	tide_status (*begin)(struct sql_script *script, void *connection, struct tide_error *err);
	tide_status (*end)(struct sql_script *script, void *connection, struct tide_error *err);
	tide_status (*execute)(struct sql_script *script, const struct sql_statement *statement,
			       void *connection, const struct tide_event *event, bool *ret_is_own,
			       struct tide_error *err);
	/* Between begin and end, the statements of one event more have been executed: how many
	 * events are done by now, in order; `is_last`: wait for the next one that is not. NULL: all
	 * that were executed are. */
	tide_status (*answer)(struct sql_script *script, void *connection, bool is_last,
			      size_t *ret_events, struct tide_error *err);
	/* What the whole of a delivery transaction must not have done: TIDE_HANDLER_PERMANENT.
	 * NULL: nothing to look for. */
	tide_status (*before_commit)(struct sql_script *script, void *connection,
				     struct tide_error *err);
};

extern const struct sql_dialect sql_dialect_sqlite;
extern const struct sql_dialect sql_dialect_postgres;

/** Whether a projection, $1, has begun, or one of its lanes has. Rows that a number of lanes has
 * made are there before anything is, and created behind their change then (tide_group_change). */
#define SQL_HAS_BEGUN                                                                              \
	"SELECT 1 FROM %sprojection_checkpoints WHERE (projection_name = $1 OR "                   \
	"substr(projection_name, 1, length($1) + 1) = $1 || '#') AND (events_processed > 0 OR "    \
	"(created_at > updated_at) IS NOT TRUE) LIMIT 1"

/** What projections may read and not change. */
#define SQL_OWN_TABLES 14
extern const char *const sql_own_tables[SQL_OWN_TABLES];
bool sql_is_own_table(const char *name, size_t size);

/** One of these, or what belongs to them. */
struct sql_own {
	enum sql_own_kind { SQL_OWN_TABLE, SQL_OWN_SEQUENCE, SQL_OWN_SCHEMA } kind;
	char name[64];                 /* empty: none */
	const struct sql_rival *rival; /* it is another projection's; NULL: Tidemark's */
};
/** `status` stands for what the database refuses; what is another projection's and refused as
 * TIDE_ARGUMENT is TIDE_ALREADY_EXISTS. */
tide_status sql_fail_own(const struct sql_script *script, const struct sql_lines *lines,
			 const struct sql_own *own, tide_status status, struct tide_error *err);

/** How a projection is entered. */
enum sql_entry { SQL_ENTRY_START, SQL_ENTRY_ACCEPT, SQL_ENTRY_RESET };

/** Whether JSON of tables holds one, and how the row of one that init makes names it (NULL: out of
 * memory). */
bool sql_tables_hold(const char *tables, const char *table);
char *sql_place_table(const struct sql_place *place, const char *table);

/** Load what the projection may not write to, in the open transaction, before init runs. */
tide_status sql_rivals_load(struct sql_script *script, const struct sql_dialect *dialect,
			    const char *name, enum sql_entry entry, void *connection,
			    struct tide_error *err);
void sql_rivals_clear(struct sql_script *script);
/** By the table's name, whatever its case; NULL: none. */
struct sql_rival *sql_rival_find(const struct sql_script *script, const char *table);
/** The projection writes to it: whether it may. */
bool sql_rival_write(struct sql_rival *rival);
/** Whether one is written to that its row does not name yet: sql_version_enter does that. */
bool sql_rivals_have_news(const struct sql_script *script);

/** Refuse a text that was read before the tables were rebuilt from another one, in the open
 * transaction, before init runs. TIDE_STATE. */
tide_status sql_version_refuse_stale(struct sql_script *script, const struct sql_dialect *dialect,
				     const char *name, void *connection, struct tide_error *err);
/** Compare the projection with what is known of it and of those that make the same tables, in the
 * open transaction, and note it. */
tide_status sql_version_enter(struct sql_script *script, const struct sql_dialect *dialect,
			      const char *name, enum sql_entry entry, void *connection,
			      struct tide_error *err);

/** Take a script's text apart. TIDE_ARGUMENT naming the line, TIDE_OUT_OF_MEMORY. */
tide_status sql_parse(struct sql_script *script, const struct sql_dialect *dialect,
		      struct tide_error *err);
void sql_script_fini(struct sql_script *script);

/** Whether it can be begun anew; TIDE_ARGUMENT. */
tide_status sql_check_reset(const struct tide_sql_projection *projection, struct tide_error *err);
/** Empty its tables in the open transaction, for tide_checkpoints_reset_with; `self` is the
 * projection. */
tide_status sql_reset(void *self, void *connection, struct tide_error *err);
/** How the next start enters it. */
enum sql_entry sql_entry_of(const struct tide_sql_projection *projection);
/** Whether an event is one of the section's. */
bool sql_section_wants(const struct sql_script *script, const struct sql_section *section,
		       const struct tide_event *event);

/* ---- sql_live.c: what tries a projection on a database --------------------------------------- */

/** Hold the statements against a live database, see `examine`. */
tide_status sql_projection_examine(struct tide_sql_projection *projection, void *connection,
				   sql_tell *tell, void *self, struct tide_error *err);
tide_status sql_projection_query(const struct tide_sql_projection *projection, void *connection,
				 const char *text, sql_cells *row, void *self,
				 struct tide_error *err);
/** Run init and prepare every statement, in the open transaction, and begin to count. */
tide_status sql_projection_try(struct tide_sql_projection *projection, void *connection,
			       struct tide_error *err);
/** Let go of what was prepared for that. */
void sql_projection_try_end(struct tide_sql_projection *projection, void *connection);
/** Takes an event that would be appended: the line that says so, its stream, type and payload. */
typedef tide_status sql_appended(void *self, size_t line, const char *stream, const char *type,
				 const char *payload, struct tide_error *err);
/** Tell what the statements of the last event that was tried have given to be appended. */
tide_status sql_projection_tell_appends(struct tide_sql_projection *projection,
					const struct tide_event *event, sql_appended *tell,
					void *self, struct tide_error *err);
/** Run the statements of one event there. */
tide_status sql_projection_try_event(struct tide_sql_projection *projection, void *connection,
				     const struct tide_event *event, struct tide_error *err);

/** Find the field of a parameter's name without its colon; SQL_FIELD_COUNT: none. */
enum sql_field sql_field_find(const char *name, size_t size);
const char *sql_field_name(enum sql_field field);
struct sql_value sql_field_value(enum sql_field field, const struct tide_event *event,
				 char scratch[SQL_SCRATCH_SIZE]);

#endif
