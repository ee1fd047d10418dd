/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_SUPERVISE_METRICS_TEXT_H
#define TIDE_SUPERVISE_METRICS_TEXT_H

/* The Prometheus text format 0.0.4. Labels are pairs of name and value, ended by NULL. */

#include "core/json.h"
#include "path/metrics.h"

/** A text in the making, and the metric whose samples are being written. */
struct metrics_text {
	struct buffer buffer;
	const char *name;  /* without its prefix */
	const char *store; /* a label of every sample; NULL: none */
	char bounds[METRICS_BUCKETS - 1]
		   [12]; /* of histograms, as they are written; empty: not yet */
};

void metrics_begin(struct metrics_text *text, const char *name, const char *type, const char *help);
void metrics_integer(struct metrics_text *text, int64_t value, ...) __attribute__((sentinel));
void metrics_number(struct metrics_text *text, double value, ...) __attribute__((sentinel));
void metrics_histogram(struct metrics_text *text, const struct histogram *histogram, ...)
	__attribute__((sentinel));

#endif
