/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_PROJECT_SWAP_H
#define TIDE_PROJECT_SWAP_H

/*
 * A build takes the place of the read model that serves, or gives it back.
 *
 * What serves is NAME, the build NAME@N in a place of its own: a schema of the same database, or a
 * file beside it. What was replaced is NAME_old_N. With lanes NAME#i/L becomes NAME_old_N#i/L, and
 * the build has as many.
 */

#include "project/rebuild.h"

/** NAME's row, or that of one of its lanes. */
struct swap_row {
	char name[TIDE_NAME_MAX + 32];
	tide_position position; /* where it stood still; of a swap back: where it goes on */
	int64_t epoch;          /* PostgreSQL: of the ownership that a swap stands on */
};

/** Both of them. */
struct swap {
	const struct tide_sql_projection *projection; /* NAME, with the file of the build */
	struct rebuild_row row;
	char build[TIDE_NAME_MAX + 32];  /* NAME@N */
	char old[TIDE_NAME_MAX + 32];    /* NAME_old_N */
	char *url;                       /* of the build */
	char *beside;                    /* PostgreSQL: the build's schema; SQLite: its file */
	char *serving;                   /* SQLite: the file of what serves */
	char owner[TIDE_UUID_TEXT_SIZE]; /* PostgreSQL: of NAME, while a swap stands on that */
	uint32_t lanes;                  /* of NAME; 1: it has none */
	struct swap_row *rows;           /* one for each */
	tide_position position;          /* the furthest of them, when they stood still */
};
/** Name both; `url` is that of the read model. TIDE_ARGUMENT for what cannot name a schema,
 * TIDE_UNSUPPORTED for what has no place beside it. */
tide_status swap_init(struct swap *swap, const struct tide_sql_projection *projection,
		      const char *url, uint32_t lanes, const struct rebuild_row *row,
		      struct tide_error *err);
void swap_fini(struct swap *swap);
bool swap_is_postgres(const struct swap *swap);
/** The position of the row that is furthest. */
tide_position swap_furthest(const struct swap *swap);
/** The URL of a schema of the same database, alone in its search_path. TIDE_UNSUPPORTED for one
 * that sets options itself. */
tide_status swap_schema_url(const char *url, const char *schema, char **ret,
			    struct tide_error *err);

/* Steps. Those of PostgreSQL are done in an open transaction on the database that serves, `self`
 * being the swap; TIDE_BUSY: somebody reads, try again; TIDE_FENCED: the ownership is gone;
 * TIDE_STATE: others' views or keys stand on the tables, each is named. Those of SQLite have a
 * transaction of their own, which keeps other writers out. */

/** Whether the open transaction has written to, or made, only what is in the schema.
 * TIDE_HANDLER_PERMANENT. */
tide_status swap_guard_postgres(const char *schema, void *connection, struct tide_error *err);
/** Make the schema of a build. */
tide_status swap_make_postgres(void *self, void *connection, struct tide_error *err);
/** Put the build in the place of what serves. */
tide_status swap_postgres(void *self, void *connection, struct tide_error *err);
/** Undo that. */
tide_status swap_back_postgres(void *self, void *connection, struct tide_error *err);
/** Drop what was replaced, or a build that was not swapped, with its place. */
tide_status swap_end_postgres(void *self, void *connection, struct tide_error *err);

/** Make the file of a build, with the rights of what serves. */
tide_status swap_make_sqlite(const struct swap *swap, struct tide_error *err);
/** In an open transaction, whether what was replaced was made with this very file. TIDE_STATE. */
tide_status swap_check_old(void *self, void *connection, struct tide_error *err);
/** Brings the build to where the rows of NAME stand still. */
typedef tide_status swap_reach(void *self, struct tide_error *err);
tide_status swap_sqlite(struct swap *swap, swap_reach *reach, void *self, struct tide_error *err);
tide_status swap_back_sqlite(struct swap *swap, struct tide_error *err);
tide_status swap_end_sqlite(struct swap *swap, struct tide_error *err);

/* ---- swap_rows.c ---- */

/** The rows of Tidemark's own tables in two places, within one transaction. */
struct swap_rows {
	const struct swap *swap;
	void *connection;
	char own[140], beside[140]; /* prefixes of their tables */
};
/** Find where NAME's are. */
tide_status swap_rows_find(struct swap_rows *rows, const struct swap *swap, void *connection,
			   struct tide_error *err);
/** Hold NAME to the number of lanes that the swap is of. TIDE_STATE. */
tide_status swap_rows_check_lanes(const struct swap_rows *rows, struct tide_error *err);
/** NAME's become NAME_old_N's, and copies of the build's become NAME's. */
tide_status swap_rows_forward(const struct swap_rows *rows, struct tide_error *err);
/** And back; `keeps`: the build gets what NAME has now. `tables` are those of the old one. */
tide_status swap_rows_back(const struct swap_rows *rows, bool keeps, const char *tables,
			   struct tide_error *err);
/** Those of what was replaced go. */
tide_status swap_rows_drop(const struct swap_rows *rows, struct tide_error *err);
/** Note how far the rebuild is. */
tide_status swap_rows_store(const struct swap_rows *rows, enum rebuild_state state,
			    const char *undo, struct tide_error *err);
/** Note that it was taken back, and the build stands beside NAME again. */
tide_status swap_rows_store_back(const struct swap_rows *rows, struct tide_error *err);
/** Run the statements that take a swap back, and find what the old version's tables are called;
 * `*ret_tables` is for tide_free. TIDE_CORRUPT when the row does not tell. */
typedef tide_status swap_statement(void *self, const char *text, struct tide_error *err);
tide_status swap_undo(const struct swap *swap, swap_statement *run, void *self, char **ret_tables,
		      struct tide_error *err);
/** One statement about them: `%s` stand for the prefixes of `own`, and then of `beside`. */
tide_status swap_rows_run(const struct swap_rows *rows, const char *text, const char *const *values,
			  int count, struct tide_error *err);

#endif
