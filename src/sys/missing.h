/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_SYS_MISSING_H
#define TIDE_SYS_MISSING_H

#include "core/parts.h"

/** Log a notice for each part that a database lacks. Threads: any. */
void parts_tell_missing(part_set parts);

#endif
