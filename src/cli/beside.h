/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_CLI_BESIDE_H
#define TIDE_CLI_BESIDE_H

/* A build beside a read model that serves. */

#include "cli/audit.h"
#include "cli/rebuild.h"
#include "project/swap.h"

/** The ownerships of NAME, while it stands still; PostgreSQL's. */
struct hold {
	void *session; /* NULL: it is not held */
	struct tide_fence *fences;
	uint32_t count; /* that are taken */
};

/** What the handlers of the build, or of a lane of it, are given. */
struct beside_lane {
	const struct beside *beside;
	void *inner; /* what the projection's own are */
};

/** One rebuild beside. */
struct beside {
	struct rebuild *rebuild;
	struct swap swap;
	struct tide_checkpoints *serving;       /* where NAME is */
	struct tide_checkpoints *checkpoints;   /* the build's own */
	struct tide_sql_projection *projection; /* NAME@N */
	const struct tide_subscriber *inner;    /* its own */
	struct beside_lane whole;
	struct tide_manager *manager;
	struct tide_subscription *subscription;
	bool is_whole;    /* all lanes of it are this process's */
	uint32_t arrived; /* lanes that are known to be where they are to go, the first ones */
	struct meter meter;
	struct hold hold;
	struct audit audit;        /* what the comparison found */
	tide_position compared_at; /* 0: not yet */
	double still_seconds;      /* that what serves stood still for the swap; 0: it did not */
};

/** --beside, --swap-back, --drop-old: an exit status. */
int rebuild_beside(struct rebuild *rebuild);

/* ---- beside_claim.c ---- */

/** Before it is subscribed, whether the build is nobody's. TIDE_BUSY. */
tide_status beside_claim(const struct beside *beside, struct tide_error *err);
/** Before it is told how far, whether this process was the first to take it. TIDE_BUSY. */
tide_status beside_confirm(const struct beside *beside, struct tide_error *err);

#endif
