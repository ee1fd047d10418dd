/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIMULATION_WORLD_H
#define SIMULATION_WORLD_H

/*
 * A scripted world for the engine: a store, its checkpoints, leases and dead letters in a few
 * arrays, a clock that moves only when told, and failures drawn from a seed. What the engine must
 * never do is checked here, where it would do it.
 */

#include <tidemark/backend.h>

#include "sys/clock.h"
#include "sys/random.h"

#define WORLD_EVENTS 1024
#define WORLD_NAMES 4
#define WORLD_AGGREGATES 12
#define WORLD_TYPES 3

/** One event: what the engine can see of it follows from these. */
struct world_event {
	uint8_t aggregate, type;
	tide_version version;
	bool is_undecodable;
};

struct world_dead {
	uint8_t status;        /* 0: none, else 1 + enum tide_dead_letter_status */
	int16_t parked_behind; /* position; 0: its own failure */
	int16_t retries;
};

/** What one subscription has written: copied by a transaction, put back by its commit. */
struct world_rows {
	bool has_checkpoint;
	tide_position position;
	int64_t processed;
	int32_t prefix;                    /* every wanted event up to here is settled */
	uint8_t settled[WORLD_EVENTS + 1]; /* handled, or in the dead letters */
	uint8_t applied[WORLD_EVENTS + 1]; /* the read model: how often */
	struct world_dead dead[WORLD_EVENTS + 1];
};

struct world_lease {
	bool exists, is_live;
	struct tide_uuid owner; /* nil: released */
	int64_t epoch;
	tide_position suspect;
	int32_t deaths;
};

struct world {
	struct clock clock; /* first: the engine's clock is the world */
	int64_t now_ns;
	struct random random;
	bool is_healed; /* nothing fails any more */
	int fault_per_mille;
	int event_count;
	struct world_event events[WORLD_EVENTS + 1]; /* from 1 */
	tide_version versions[WORLD_AGGREGATES];
	struct world_rows rows[WORLD_NAMES];
	struct world_lease leases[WORLD_NAMES];
	uint8_t wanted_types[WORLD_NAMES]; /* a bit per type; 0: all */
	/* failed finally under a configuration that drops */
	uint8_t discardable[WORLD_NAMES][WORLD_EVENTS + 1];
	bool is_transactional[WORLD_NAMES];
	int64_t faults_made;
	/* called while a page is being read, before or after its events are looked at; NULL: no */
	void (*meanwhile)(struct world *world);
};

/** The world that the backend "sim:" leads to; one at a time. */
extern struct world *world_now;
extern const struct tide_backend world_backend;

void world_init(struct world *world, uint64_t seed);
/** A number below `limit`. */
int world_below(struct world *world, int limit);
bool world_chance(struct world *world, int per_mille);
void world_append(struct world *world);
bool world_wants(const struct world *world, int name, int position);
/** The rows a session sees: its transaction's, or the committed ones. */
struct world_rows *world_rows_of(void *session, int name);
/** Whether a transaction is open on a session; NULL has none. */
bool world_is_in_transaction(const void *session);
/** The database crashes or is replaced: the rows are those of an earlier time, and who was
 * connected is not any more. */
void world_go_back(struct world *world, int name, tide_position position, void *session);
/** The number in a subscription's name: "sub3" is 3. */
int world_name(const char *name);
/** The position an event id stands for. */
int world_position_of(const struct tide_uuid *event_id);
bool world_is_settled(const struct world *world, const struct world_rows *rows, int name,
		      int position);

/** Stop the run: say what was broken, and how to see it again. */
void world_broken(const char *format, ...) TIDE_PRINTF(1, 2) __attribute__((noreturn));
/** The command that replays the present seed. */
extern char world_replay[128];

#endif
