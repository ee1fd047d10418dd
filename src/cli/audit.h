/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_CLI_AUDIT_H
#define TIDE_CLI_AUDIT_H

/* What an audit of one projection came to. */

#include "cli/cli.h"
#include "path/segments.h"
#include "project/swap.h"

#define AUDIT_FINDINGS_MAX 40

/** One projection under audit. */
struct audit {
	struct cli *cli;
	struct tide_store *store;
	struct tide_checkpoints *checkpoints;
	const char *name;

	struct tide_checkpoint row;
	struct tide_segment *segments;
	size_t segment_count;
	int64_t matching, processed, discarded; /* over all segments */
	int64_t dead_letters, dead_letters_resolved;
	bool is_deep;
	int64_t tables_compared, rows_different;

	char *findings[AUDIT_FINDINGS_MAX]; /* what is not proven; none: all is */
	size_t finding_count;
	bool is_out_of_memory;
};

/** Add what is not proven. */
void audit_find(struct audit *audit, const char *format, ...) TIDE_PRINTF(2, 3);

/** Differences that are told. */
#define AUDIT_SAMPLES 20
#define AUDIT_SAYS_OTHER "is not what the log makes of it"
#define AUDIT_SAYS_LACKS "lacks what the log makes of it"

/** Count a row of a table that is another one, and add it while few are. */
void audit_differ(struct audit *audit, const char *table, const char *says, const char *row);
/** All tables are compared. */
void audit_end_comparison(struct audit *audit);

/** A fold of the log into a scratch place. */
struct fold {
	struct audit *audit;
	tide_position position;     /* it ends here */
	struct tide_uuid *left_out; /* events */
	size_t left_out_count, left_out_capacity;
	/* NULL, or looks at an open transaction: an error rolls it back */
	tide_status (*guard)(struct fold *fold, void *connection, struct tide_error *err);
	const struct tide_subscriber *inner; /* the projection's own */
};

/** Leave an event out; what is no UUID is none. False: memory is out. */
bool fold_leave_out(struct fold *fold, const char *id);
/** Run the file into the database at `url`. CLI_DONE, or said why. */
int fold_run(struct fold *fold, const char *url, const char *file);

/** What a read model is compared with. */
struct audit_other {
	const char *place; /* a file, or a schema, quoted; NULL: a scratch that is made and goes */
	/* Brings it to the fold's position; `url` is of the scratch. An exit status. */
	int (*reach)(void *self, struct fold *fold, const char *url);
	void *self;
	/* NULL, or the rows of the read model, whose positions are noted with the copy; the fold's
	 * is that of the furthest then */
	struct swap *swap;
};

/** Copy the tables of a read model as they are at one moment, have the other brought to the same
 * position, and compare the two. CLI_DONE, also with findings. `path` is of a SQLite file. */
int audit_compare_sqlite(struct audit *audit, const char *path, const struct audit_other *other);
int audit_compare_postgres(struct audit *audit, const char *url, const struct audit_other *other);

#endif
