/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_CLI_REBUILD_H
#define TIDE_CLI_REBUILD_H

/* One call of tide rebuild. */

#include "cli/follow.h"
#include "cli/live.h"
#include "project/rebuild.h"

/** A projection that is rebuilt. */
struct rebuild {
	struct cli *cli;
	const char *name;
	const char *file;                       /* its SQL */
	struct tide_sql_projection *projection; /* NAME, as the file has it */
	struct follow follow;                   /* a run over the read model that serves */
	struct rebuild_row row;
	bool is_owned;                        /* when it was asked for */
	tide_position end;                    /* of the feed, when the tables were emptied */
	int (*make)(struct rebuild *rebuild); /* what is to be done: an exit status */
};

#endif
