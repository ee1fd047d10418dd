/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_HTTP_TARGET_H
#define TIDE_HTTP_TARGET_H

/* The target of a request: parts of a path and parameters, decoded (RFC 3986). */

#include "http/head.h"

#define TARGET_PARTS_MAX 8
#define TARGET_PARAMETERS_MAX 64

struct http_target {
	char *text;            /* decoded; what stands below points into it */
	struct tide_text host; /* of the absolute form, in the head's text; empty: it has none */
	const char *parts[TARGET_PARTS_MAX];
	size_t part_count; /* of "/" none */
	struct http_parameter {
		const char *name, *value;
	} parameters[TARGET_PARAMETERS_MAX];
	size_t parameter_count;
};

/** Take a target apart; refused when it is none, with 500 when memory is out. */
struct http_refusal target_read(struct tide_text target, struct http_target *ret);
void target_fini(struct http_target *target);
/** The first value of a parameter; NULL: there is none. */
const char *target_parameter(const struct http_target *target, const char *name);

#endif
