/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_PATH_STATUS_JSON_H
#define TIDE_PATH_STATUS_JSON_H

#include "core/json_fields.h"

/** What a subscription's status has, with lanes or without; who describes statuses goes by it. */
extern const struct json_field status_fields[];
extern const size_t status_field_count;

#endif
