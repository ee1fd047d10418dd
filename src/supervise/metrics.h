/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_SUPERVISE_METRICS_H
#define TIDE_SUPERVISE_METRICS_H

#include "supervise/manager.h"
#include "supervise/metrics_text.h"

/** What one subscription has counted, copied under its lock. */
struct metrics_view {
	const char *name;
	char other[6];          /* the name of the last type */
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

/** Everything that samples are made of. */
struct metrics_source {
	struct metrics_text text;
	struct metrics_store *store;
	struct tide_bus *bus; /* NULL: none */
	struct metrics_view *views;
	size_t count;
	int64_t shutdowns_initiated[8], shutdowns_completed[3];
	struct histogram shutdown_seconds[3], drain_seconds;
	int64_t shutdown_events_drained;
};

#define METRIC(name, type, labels, help) void metrics_write_##name(struct metrics_source *source);
#include "supervise/metrics.def"
#undef METRIC

#endif
