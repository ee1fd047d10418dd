/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIMULATION_LEDGER_H
#define SIMULATION_LEDGER_H

/*
 * A scripted database that several processes share: one feed, the checkpoints, leases and members
 * of one group of lanes, and a read model that knows of each event whether it was applied. Leases
 * and memberships run out by its clock, which moves only when told. Operations fail, lose their
 * answers or are late by a seed; while one is late the other processes take steps. What must never
 * happen is checked where it would happen.
 */

#include <tidemark/backend.h>

#include "sys/clock.h"
#include "sys/random.h"

#define LEDGER_EVENTS 400
#define LEDGER_AGGREGATES 9
#define LEDGER_NAMES 80
#define LEDGER_PROCESSES 5
#define LEDGER_SESSIONS 400
#define LEDGER_NAME "group"

/** Of a name: its checkpoint and its lease. */
struct ledger_row {
	char name[24];
	struct tide_lane lane; /* total 1: it has none */
	bool has_row, has_position;
	tide_position position;
	int64_t processed;
	struct tide_anchor anchor;
	struct tide_time created_at, updated_at;
	bool has_lease;
	struct tide_uuid owner; /* nil: nobody */
	int64_t epoch, expires_ns;
	struct ledger_session *holder; /* whose open transaction has the lease locked */
};

struct ledger_member {
	struct tide_uuid id;
	struct tide_time joined_at;
	int64_t expires_ns;
	double seconds;
};

/** What is between the database and one process of the script. */
struct ledger_line {
	bool is_dead; /* nothing of what it does counts any more */
	bool is_cut;  /* nothing of what it asks arrives */
	double lease_seconds;
};

struct ledger {
	struct clock clock; /* first: the engine's clock is the ledger */
	int64_t now_ns;
	struct random random;
	bool is_healed, is_transactional;
	int fault_per_mille;
	int event_count;
	uint8_t aggregate_of[LEDGER_EVENTS + 1];
	tide_version version_of[LEDGER_EVENTS + 1];
	tide_version versions[LEDGER_AGGREGATES];
	uint8_t applied[LEDGER_EVENTS + 1];
	struct ledger_row rows[LEDGER_NAMES];
	int row_count;
	struct ledger_member members[LEDGER_PROCESSES * 4];
	int member_count;
	struct tide_group group; /* lanes 0: it is none */
	struct ledger_line lines[LEDGER_PROCESSES];
	struct ledger_session *sessions; /* that are open */
	int opening;                     /* the process whose store is opened */
	int64_t operations, faults;
	void (*meanwhile)(struct ledger *ledger);
	void (*doom)(struct ledger *ledger, int process); /* a process may die here */
};

extern struct ledger *ledger_now;
extern const struct tide_backend ledger_backend;

void ledger_init(struct ledger *ledger, uint64_t seed);
int ledger_below(struct ledger *ledger, int limit);
bool ledger_chance(struct ledger *ledger, int per_mille);
void ledger_append(struct ledger *ledger);
struct ledger_row *ledger_row(struct ledger *ledger, const char *name);
bool ledger_is_owned(const struct ledger *ledger, const struct ledger_row *row);
/** Whether an event falls to a lane. */
bool ledger_falls(const struct ledger *ledger, int position, struct tide_lane lane);
/** The read model as a session sees it; NULL: as it is committed. */
bool ledger_has_applied(const struct ledger *ledger, const void *session, int position);
/** A handler's write: with the transaction of the session, or at once. */
void ledger_apply(struct ledger *ledger, void *session, int position);
/** The connections of a process are gone, and what was open in them. */
void ledger_hang_up(struct ledger *ledger, int process);

void ledger_broken(const char *format, ...) TIDE_PRINTF(1, 2) __attribute__((noreturn));
extern char ledger_replay[160];

#endif
