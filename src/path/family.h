/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_PATH_FAMILY_H
#define TIDE_PATH_FAMILY_H

/* The rows of the lanes of a name, as a database has them. */

#include <tidemark/subscription.h>

#include "path/store.h"
#include "policy/inherit.h"

/** Whether a row's name is that of a lane, or a partition, of `name`, and which. */
bool family_has(const char *name, const char *row_name, struct tide_lane *ret);
/** How many lanes the rows show a name to have: the number that was saved last; 0: none. */
uint32_t family_lanes(const char *name, const struct tide_checkpoint *rows, size_t count);
/** The row of the lane that is furthest behind, of so many (0: of the number that was saved last),
 * and what all of them have counted; NULL: the name has no such lanes. */
const struct tide_checkpoint *family_slowest(const char *name, uint32_t lanes,
					     const struct tide_checkpoint *rows, size_t count,
					     int64_t *ret_processed);

/** The row of the name's group; lanes 0: it has none, and is not a family. */
tide_status family_group(const struct tide_store *database, void *session, const char *name,
			 struct tide_group *ret, struct tide_error *err);

/** Who inherits: a lane of the present number, of which {0, 1} is a name without lanes. */
struct family_heir {
	const char *name;
	struct inherit_lane lane;
	tide_position position; /* where it stands */
};
/** What it has to pass over without a call: the old rows that concern it and lead beyond it.
 * `*ret` is the caller's, released with tide_free. */
tide_status family_inherit(const struct tide_store *database, void *session,
			   const struct family_heir *heir, struct inherit_row **ret,
			   size_t *ret_count, struct tide_error *err);

/** What a start wants a name to be. */
struct family_wish {
	const char *name;
	uint32_t lanes;      /* 1: without */
	tide_position start; /* what start_from means where nothing was settled */
	struct tide_time now;
};
/** Give a name that number of lanes, if it has another: `*ret` false, others live with that. */
tide_status family_become(const struct tide_store *database, void *session,
			  const struct family_wish *wish, bool *ret, struct tide_error *err);
/** Delete the old rows that all lanes have passed. `*ret` is when the number was changed to what it
 * is, if none is left: as long as it is that, nobody inherits anything; 0: some are. */
tide_status family_trim(const struct tide_store *database, void *session,
			const struct family_wish *wish, struct tide_time *ret,
			struct tide_error *err);

/** Whose rows a person's act on a name is about. */
struct family_names {
	uint32_t lanes;    /* its number; 0: it is no family, and stands for itself */
	const char **list; /* those of the present lanes first */
	size_t count;
	char *texts;
};
/** TIDE_UNSUPPORTED: it has partitions by hand, which are named one by one. */
tide_status family_names(const struct tide_store *database, void *session, const char *name,
			 struct family_names *ret, struct tide_error *err);
void family_names_fini(struct family_names *names);

/** How many lanes a name has, 1: none, if their rows tell all that is settled. TIDE_UNSUPPORTED: it
 * has yet to pass what another number of them had. */
tide_status family_number(const struct tide_store *database, void *session, const char *name,
			  uint32_t *ret, struct tide_error *err);

/** What is asked of a name that has only the rows of its lanes is asked of one of them:
 * TIDE_UNSUPPORTED. */
tide_status family_refuse(const struct tide_store *database, void *session, const char *name,
			  struct tide_error *err);

#endif
