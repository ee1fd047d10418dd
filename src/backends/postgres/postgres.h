/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_BACKENDS_POSTGRES_H
#define TIDE_BACKENDS_POSTGRES_H

#include <tidemark/backend.h>

/** PostgreSQL 13 and newer: `postgresql://…`, and the same as `postgres://…`. */
extern const struct tide_backend tide_backend_postgres;

#endif
