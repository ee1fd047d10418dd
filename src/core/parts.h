/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_CORE_PARTS_H
#define TIDE_CORE_PARTS_H

/*
 * Parts of the schema that databases of earlier versions lack. `init` adds them; while one is
 * missing, what stands on it is off, with a notice when the store is opened, and everything else
 * works.
 *
 * A statement names what belongs to a part in segments: "…, updated_at<+ANCHOR , anchor_position+>
 * FROM" is kept where the part is there, "<-ANCHOR , NULL+>" where it is not.
 */

#include <stdbool.h>

#include "core/json.h"

enum part {
	PART_ANCHOR,         /* projection_checkpoints: the event that its position stands on */
	PART_PARKED,         /* dead_letter_queue: what an entry waits behind */
	PART_SNAPSHOT_EVENT, /* snapshots: the last event in them */
	PART_LEASE_SECONDS,  /* subscription_leases: how long a lease was taken for */
	PART_LEASE_HISTORY,  /* subscription_leases: where its owner ran, and how it ended */
	PART_LEASE_REASON,   /* subscription_leases: what keeps its owner from going on */
	PART_VERSIONS,       /* projection_versions: what made which tables */
	PART_SEGMENTS, /* projection_segments: what was to be delivered, to prove that it was */
	PART_REBUILDS, /* projection_rebuilds: what is being rebuilt, and what it replaced */
	PART_CONTROLS, /* subscription_controls, _journal: what persons said and did */
	PART_GROUPS,   /* subscription_groups, _members: lanes over processes */
	PART_COUNT
};

/** A set of parts: a bit each. */
typedef uint32_t part_set;
#define PART_BIT(part) ((part_set)1 << (part))
#define PARTS_ALL (PART_BIT(PART_COUNT) - 1)

/** A column that belongs to a part; a table that does as a whole has no `name`. */
struct part_column {
	enum part part;
	const char *table, *name;
	const char *postgres_type; /* SQLite's is in its schema.sql */
};
#define PART_COLUMN_COUNT 17
extern const struct part_column part_columns[PART_COLUMN_COUNT];

/** The part of a column of the model; PART_COUNT: none, it has to be there. */
enum part part_of(const char *table, const char *column);
/** What is off while a part is missing, as the rest of a sentence. */
const char *part_loss(enum part part);
/** Whether a text has segments; one that has none needs no expansion. */
bool parts_divide(const char *text);
/** Add a statement's text with only the segments that hold for these parts. */
void parts_expand(struct buffer *buffer, const char *text, part_set parts);

#endif
