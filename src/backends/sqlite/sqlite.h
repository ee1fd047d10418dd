/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_BACKENDS_SQLITE_SQLITE_H
#define TIDE_BACKENDS_SQLITE_SQLITE_H

#include <tidemark/backend.h>

/** Stores in SQLite files and in memory: `sqlite:PATH`, `sqlite::memory:`. */
extern const struct tide_backend tide_backend_sqlite;

#endif
