/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_POLICY_ERRORS_JSON_H
#define TIDE_POLICY_ERRORS_JSON_H

#include <tidemark/error_record.h>

#include "core/json.h"

/** Write statistics as an object, as one value of a greater whole. */
void errors_add_stats(struct buffer *buffer, const struct tide_error_stats *stats);

#endif
