/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_PROJECT_REBUILD_H
#define TIDE_PROJECT_REBUILD_H

/* What is kept of the rebuilding of a projection: a row of projection_rebuilds, in its database. */

#include "project/sql.h"

/** How far a rebuild has come. */
enum rebuild_state {
	REBUILD_NONE,     /* there was never one */
	REBUILD_IN_PLACE, /* the tables were emptied, and are filled again */
	REBUILD_BESIDE,   /* a build stands beside them, or is to be made */
	REBUILD_SWAPPED,  /* the build serves, and the old ones are kept */
	REBUILD_ENDED,
	REBUILD_STATE_COUNT
};

const char *rebuild_state_name(enum rebuild_state state);

/** The row of a projection. */
struct rebuild_row {
	enum rebuild_state state;
	int64_t build; /* its number: 1 for the first one beside */
	/* the furthest that it may have come; in place: the end of the feed at its begin */
	tide_position reached;
	bool is_same; /* it was begun with this very file */
	/* JSON, for who wrote it; NULL: nothing. In place: {"answered": position}, up to which
	 * what the projection appends was appended before. Beside: {"lanes": number} of a build
	 * that has some */
	char *undo;
};
void rebuild_row_fini(struct rebuild_row *row);

/** The position in an `undo` of a rebuild in place, 0: it says none. */
tide_position rebuild_answered(const char *undo);

/** The number of lanes in an `undo` of a build beside, 1: it has none. */
uint32_t rebuild_lanes(const char *undo);
/** Such an `undo`, for tide_free; NULL for one without lanes. */
tide_status rebuild_write_lanes(uint32_t lanes, char **ret, struct tide_error *err);

/** The hashes of a file, as rows have them. */
void rebuild_hashes(const struct tide_sql_projection *projection, char init[17],
		    char statements[17]);

/** Read the row, in the open transaction. TIDE_SCHEMA where the table is missing, if it is
 * `needed`; else there is none. */
tide_status rebuild_load(const struct tide_sql_projection *projection, void *connection,
			 bool needed, struct rebuild_row *ret, struct tide_error *err);
/** Write it, in the open transaction, as one of this file; nothing where the table is missing. */
tide_status rebuild_store(const struct tide_sql_projection *projection, void *connection,
			  const struct rebuild_row *row, struct tide_error *err);

/** Refuse to begin one while another stands beside it, or what that has replaced is kept, which
 * would be lost sight of. TIDE_STATE. */
tide_status rebuild_refuse_beside(const char *name, const struct rebuild_row *row,
				  struct tide_error *err);
/** Empty the tables, in the open transaction, and note that they are to be filled up to
 * `reached`. */
tide_status rebuild_empty(struct tide_sql_projection *projection, void *connection,
			  tide_position reached, struct tide_error *err);

#endif
