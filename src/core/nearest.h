/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_CORE_NEAREST_H
#define TIDE_CORE_NEAREST_H

#include <stddef.h>

/** The name among those offered that a mistyped word most likely meant. */
struct nearest {
	const char *word;
	const char *name; /* NULL: nothing near enough */
	size_t distance;  /* of `name`; at first one more than is near enough */
};

void nearest_begin(struct nearest *nearest, const char *word);
/** Consider a name, which must live as long as `nearest`. One that begins with the word is
 * nearer than any slip. The first of several that are equally near stays. */
void nearest_offer(struct nearest *nearest, const char *name);

#endif
