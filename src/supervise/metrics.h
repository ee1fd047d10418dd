/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_SUPERVISE_METRICS_H
#define TIDE_SUPERVISE_METRICS_H

#include "supervise/manager.h"
#include "supervise/metrics_text.h"

/** What one subscription has counted, copied under its lock. */
struct metrics_view {
	const char *name;
	const char *title; /* that its dead letters have; NULL: those of another lane's view */
	uint32_t lanes;    /* of the title, 1: none; 0: another view tells */
	int64_t members, rebalances; /* of the title, where it has lanes */
	char other[6];               /* the name of the last type */
	struct metrics metrics; /* `types` is a plain array of its own; the last one is "other" */
	enum tide_state state;
	tide_position position;
	bool is_standby, is_backpressured;
	int64_t in_flight;
	struct breaker breakers[2]; /* handler, infra */
	int64_t redelivered_ok, redelivered_failed;
	int64_t dead_letters[2]; /* failed, retrying */
	bool has_lag, has_lag_seconds;
	int64_t lag_events;
	double lag_seconds;
};

/** Everything that the samples of one manager are made of. */
struct metrics_source {
	struct metrics_text *text; /* that is being written */
	const char *label;         /* of its store; NULL: none */
	struct tide_manager *manager;
	struct manager_set set; /* pinned */
	struct metrics_store *store;
	struct tide_bus *bus; /* NULL: none */
	struct metrics_view *views;
	size_t count;
	int64_t shutdowns_initiated[8], shutdowns_completed[3];
	struct histogram shutdown_seconds[3], drain_seconds;
	int64_t shutdown_events_drained;
};

/** Look at a manager; `label`, which may be NULL, tells its samples from those of other stores.
 * TIDE_OUT_OF_MEMORY. */
tide_status metrics_look(struct tide_manager *manager, const char *label,
			 struct metrics_source *ret, struct tide_error *err);
void metrics_source_fini(struct metrics_source *source);
/** One text of what was looked at. TIDE_OUT_OF_MEMORY. */
tide_status metrics_tell(struct metrics_source *sources, size_t count, char **ret,
			 struct tide_error *err);

#define METRIC(name, type, labels, help) void metrics_write_##name(struct metrics_source *source);
#include "supervise/metrics.def"
#undef METRIC

#endif
