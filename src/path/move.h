/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_PATH_MOVE_H
#define TIDE_PATH_MOVE_H

/* What persons do to the position of a name: it begins anew, goes back, or stands where it is. */

#include "path/checkpoints.h"
#include "path/family.h"

enum move_kind {
	MOVE_FORGET, /* the row goes, and nothing else; of a family as MOVE_ANEW */
	MOVE_ANEW,   /* the rows go, and the read model is emptied */
	MOVE_BACK,   /* what is beyond `to` goes back to it */
	MOVE_ACCEPT  /* each row stands on what is at or below its position now */
};

/** One of them, and what came of it. */
struct move {
	enum move_kind kind;
	const char *name, *by; /* `by` NULL: the user of this process */
	const struct checkpoints_anew *anew;
	tide_position to;

	struct tide_checkpoint row; /* before; of a family the one that was furthest */
	tide_position least;        /* of its positions before */
	struct tide_anchor anchor;  /* accepted, under the least position */
	int64_t letters;            /* dead letters deleted */
};

/** Do it to all rows of the name, with its entry in the journal, in one transaction where the
 * database has some: owners are fenced, and go on from the rows. */
tide_status move_make(struct tide_checkpoints *checkpoints, struct move *move,
		      struct tide_error *err);

#endif
