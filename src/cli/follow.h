/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_CLI_FOLLOW_H
#define TIDE_CLI_FOLLOW_H

/* One projection in the foreground, whatever its handler is: `tide project`, `tide handle`. */

#include "cli/cli.h"
#include "sys/thread.h"
#include "sys/wakeup.h"

/** One run of a projection. */
struct follow {
	struct cli *cli;
	struct tide_store *store;
	struct tide_checkpoints *checkpoints;
	const struct tide_subscriber *subscriber;
	struct tide_manager *manager;
	struct tide_subscription *subscription;
	struct tide_subscription_config config;
	struct meter meter;

	/* the watcher's; this thread's when it has ended */
	struct thread watcher;
	struct wakeup stop;
	tide_position goal;          /* the feed end at the start; --once ends there */
	struct tide_horizon horizon; /* of --once */
	int64_t done, events;        /* at the last look */
	int standbys;                /* looks that saw another owner */
	bool was_noted;              /* the reader was told that this process stands by */
	bool gave_up;
	bool is_paused; /* a person has paused it, in the database */
};

/** Set `config` to what the options say. CLI_DONE, or CLI_USAGE when it said what is wrong. */
int follow_config(struct follow *call);
/** Open the store and its checkpoints. An exit status, as the others. */
int follow_open(struct follow *call);
/** Refuse --from over a checkpoint, and open the manager. */
int follow_begin(struct follow *call);
/** Subscribe and run until the end; says what was done. */
int follow_run(struct follow *call);
/** Close what is open. */
void follow_close(struct follow *call);

#endif
