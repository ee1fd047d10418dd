/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_MEMORY_MEMORY_H
#define TIDE_MEMORY_MEMORY_H

#include <tidemark/backend.h>

/** Stores in the memory of this process: `memory:` is private to its handle, `memory:NAME` shared
 * by all that name it.
 */
extern const struct tide_backend tide_backend_memory;

#endif
