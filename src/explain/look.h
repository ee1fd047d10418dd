/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_EXPLAIN_LOOK_H
#define TIDE_EXPLAIN_LOOK_H

/* What the databases show of a subscription, for why.c to judge. */

#include <tidemark/backend.h>
#include <tidemark/control.h>
#include <tidemark/why.h>

#include "path/checkpoints.h"

/** What the databases say of a name. */
struct why_look {
	struct tide_checkpoints *checkpoints;
	const char *name;      /* of the row and the ownership */
	const char *title;     /* of dead letters, pauses, and what is told: that of all lanes */
	struct tide_lane lane; /* total 0: it is none */
	uint32_t owner_lanes; /* as many others run it with, while this one stands by; 0: as here */
	uint32_t lanes_owned; /* of as many as it has */
	/* since when this process has seen that nobody has it; 0: it has not looked */
	struct tide_time unowned_since;
	bool has_row, has_lease;
	struct tide_checkpoint row;
	struct tide_lease_info lease; /* of `name`, or, with owner_lanes, of one who runs it */
	bool has_told, is_here;       /* by its process; which is this one */
	struct tide_why told;
	struct tide_horizon horizon;
	double appends_per_second; /* lately; where its handler is slow */
	tide_position position;
	int64_t dead_letters, retrying, parked;
	struct tide_uuid parked_behind;
	struct tide_error parked_error; /* of the event that they wait for */
	int64_t parked_letter;          /* its entry */
	struct tide_error diverged;     /* TIDE_OK: it has not */
	struct tide_blocker blocker;
	bool has_control;
	struct tide_control control; /* a pause that outlives processes */
};

/** Fill what is empty of it; TIDE_NOT_FOUND: there is nothing of that name. */
tide_status look_at(struct why_look *look, struct tide_error *err);

/** Whether a process has it; whether this one does. */
bool look_is_alive(const struct why_look *look);
bool look_runs_here(const struct why_look *look);

#endif
