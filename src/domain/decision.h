/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_DOMAIN_DECISION_H
#define TIDE_DOMAIN_DECISION_H

#include <tidemark/aggregate.h>

struct tide_decision {
	struct {
		const struct tide_event_type *type;
		char *payload; /* JSON */
	} * items;
	size_t count;
	size_t capacity;
};

void decision_fini(struct tide_decision *decision);

#endif
