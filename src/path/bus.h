/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_PATH_BUS_H
#define TIDE_PATH_BUS_H

#include <tidemark/bus.h>

/** Somebody who is told after every publish; embedded in what listens. */
struct bus_bell {
	void (*ring)(void *self);
	void *self;

	/* the bus's, under its lock */
	struct bus_bell *next;
	size_t users; /* threads inside `ring` */
	bool is_leaving;
};

void bus_add_bell(struct tide_bus *bus, struct bus_bell *bell);
/** It has stopped ringing when this returns; one that was not added is allowed. Not from inside a
 * ring. */
void bus_remove_bell(struct tide_bus *bus, struct bus_bell *bell);

#endif
