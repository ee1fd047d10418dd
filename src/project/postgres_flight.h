/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_PROJECT_POSTGRES_FLIGHT_H
#define TIDE_PROJECT_POSTGRES_FLIGHT_H

#include "project/sql.h"
#include "sys/clock.h"
#include "sys/libpq.h"

#define FLIGHT_MAX 1024

/** The events whose statements are on their way, in order. */
struct flight {
	size_t statements[FLIGHT_MAX]; /* of each; a ring */
	size_t first, count;
	size_t kept;            /* the last of them, whose answers were not asked for */
	size_t most;            /* that may be on their way */
	size_t done;            /* answered since it began */
	size_t round;           /* of them, since the last look at the clock */
	struct mono_time since; /* that look */
};

/** On a connection of which nothing is known. */
void flight_init(struct flight *flight);
/** Nothing is on its way yet. */
void flight_begin(struct flight *flight);
/** The statements of one event more have been sent. */
void flight_add(struct flight *flight, size_t statements);
/** Take answers until at most `most` events are on their way; an error stands for the event behind
 * `done`. */
tide_status flight_wait(struct flight *flight, const struct sql_script *script, PGconn *connection,
			size_t most, struct tide_error *err);
/** Take the answers of the event that was sent first. */
tide_status flight_land(struct flight *flight, const struct sql_script *script, PGconn *connection,
			struct tide_error *err);

#endif
