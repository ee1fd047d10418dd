/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_CHAOS_H
#define TEST_CHAOS_H

/*
 * What members of a group did, whatever became of them: each writes every call of its handlers into
 * a file that all of them map, by the monotonic clock, which is one for all processes. What was
 * written is there after SIGKILL.
 */

#include <stdatomic.h>
#include <stdint.h>

#include "lib/fixture.h"

#define CHAOS_LANES 16
#define CHAOS_AGGREGATES 48
#define CHAOS_LEASE 2.0 /* seconds */
#define CHAOS_CALLS 2000000
#define CHAOS_MEMBERS 4096
#define CHAOS_GAPS 4096

/** The subscriptions of each member. */
enum chaos_group {
	CHAOS_MODEL, /* its calls write rows in the delivery transaction */
	CHAOS_PLAIN, /* its calls touch no database */
	CHAOS_GROUPS,
};
extern const char *const chaos_names[CHAOS_GROUPS];

/** A call of a handler, in nanoseconds. */
struct chaos_call {
	_Atomic int64_t began; /* 0: it has not */
	_Atomic int64_t ended; /* 0: it has not, or its process died */
	uint32_t member;       /* a process, counted from 1 */
	uint32_t group, lane;
	uint32_t aggregate;
	int64_t version;
};

/** A member that was not given a processor for as long as changes what it may do. */
struct chaos_gap {
	_Atomic uint32_t member; /* 0: it is not written yet */
	int64_t began, ended;
};

struct chaos_record {
	atomic_uint_fast64_t count, gap_count;
	struct chaos_gap gaps[CHAOS_GAPS];
	struct chaos_call calls[CHAOS_CALLS];
};

int64_t chaos_now(void);
/** Map the file of a record, which is made when it is not there. */
struct chaos_record *chaos_map(const char *file);
void chaos_unmap(struct chaos_record *record);

/** A member as a process, for child_start: it runs both subscriptions until SIGTERM. Its argument:
 * backend, number, file of the record, URL. */
int chaos_member_run(const char *argument, int report_to);

/** Why calls of a member may overlap with those of another one. */
enum chaos_why {
	CHAOS_FROZEN,
	CHAOS_CUT_OFF,
	CHAOS_SERVER,  /* which was gone, for all members */
	CHAOS_STARVED, /* by the machine */
	CHAOS_WHYS,
};

/** From when to when. */
struct chaos_spell {
	enum chaos_why why;
	uint32_t member; /* 0: all */
	int64_t began;
	int64_t until; /* calls that have begun by then may be in hand */
	int64_t ended; /* 0: with the member, or later than anybody looks */
};

/** What happened. */
struct chaos_events {
	size_t spell_count, spell_capacity;
	struct chaos_spell *spells;
	int64_t deaths[CHAOS_MEMBERS]; /* when a member was gone at the earliest; 0: it is not */
};

void chaos_add(struct chaos_events *happened, struct chaos_spell spell);
/** Fails the test unless the read model has each event once and in order, and no two members were
 * in one lane but as is allowed. */
void chaos_check(struct fixture *f, const struct chaos_record *record,
		 struct chaos_events *happened);

#endif
