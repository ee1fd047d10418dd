/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_CORE_SEGMENT_H
#define TIDE_CORE_SEGMENT_H

#include <tidemark/backend.h>

/** Whether a segment's owner is the name, or a lane or partition of it. */
bool segment_is_of(const char *name, const char *owner);

#endif
