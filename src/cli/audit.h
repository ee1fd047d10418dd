/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_CLI_AUDIT_H
#define TIDE_CLI_AUDIT_H

/* What an audit of one projection came to. */

#include "cli/cli.h"
#include "path/segments.h"
#include "project/swap.h"

#define AUDIT_FINDINGS_MAX 40
#define AUDIT_POSITIONS 5

/** Some positions, of which the first are kept. */
struct audit_positions {
	int64_t count;
	tide_position first[AUDIT_POSITIONS];
};

/** A segment, and what the log has for it. */
struct audit_stretch {
	const struct tide_segment *segment;
	uint32_t index, total;             /* of the lane whose it is; {0, 1}: none */
	const struct tide_checkpoint *row; /* while it is open */
	bool is_counted;                   /* else it only tells what is nobody else's */
	struct segment_filter filter;
	tide_position until;  /* how far it has come */
	tide_position claims; /* how much of that was not taken back since */
	int64_t processed, matching;
	int64_t unresolved, resolved;  /* dead letters, as far as it claims them */
	tide_position first, last;     /* that match */
	struct audit_positions behind; /* the last one that was processed, while it is open */
};

/** A dead letter; first its event. */
struct audit_letter {
	struct tide_uuid event_id;
	bool is_resolved;
};

/** One projection under audit: a name with all its lanes, or one of those. */
struct audit {
	struct cli *cli;
	struct tide_store *store;
	struct tide_checkpoints *checkpoints;
	const char *name;
	char title[TIDE_NAME_MAX + 1]; /* of the name whose lane it is, else its own */
	bool is_family;                /* the title has lanes, or had some */
	uint32_t lanes;                /* of the title; 1: none */
	struct tide_lane lane;         /* that `name` is; total 0: it is the title */

	struct tide_checkpoint *rows; /* of the family, of all numbers */
	size_t row_count;
	tide_position *present; /* where each lane stands; -1: it is not asked for */
	tide_position position; /* the least of them */
	tide_position behind;   /* the proof begins */
	struct tide_segment *segments;
	size_t segment_count;
	struct audit_stretch *stretches; /* one for each */
	size_t stretch_count;
	int64_t matching, processed, discarded; /* over all segments */
	struct audit_letter *letters;
	size_t letter_count, letter_capacity;
	int64_t dead_letters, dead_letters_resolved;
	bool is_deep;
	int64_t tables_compared, rows_different;

	char *findings[AUDIT_FINDINGS_MAX]; /* what is not proven; none: all is */
	size_t finding_count;
	bool is_out_of_memory;
};

/** Count what the log has for each segment. */
tide_status audit_count(struct audit *audit, struct tide_error *err);
/** Whether what a row of the family has settled is what is asked for. */
bool audit_counts(const struct audit *audit, const char *row_name);

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
	struct inherit_row *rows; /* how far the read model is, of each of the family's rows */
	size_t row_count;
	tide_position position;     /* the furthest of them; it ends here */
	struct tide_uuid *left_out; /* events */
	size_t left_out_count, left_out_capacity;
	/* NULL, or looks at an open transaction: an error rolls it back */
	tide_status (*guard)(struct fold *fold, void *connection, struct tide_error *err);
	const struct tide_subscriber *inner; /* the projection's own */
};

/** A row of the family, as it was with the copy. False: memory is out. */
bool fold_add_row(struct fold *fold, const char *name, tide_position position);
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
