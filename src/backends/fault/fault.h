/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_FAULT_FAULT_H
#define TIDE_FAULT_FAULT_H

#include <tidemark/backend.h>

/** Decorates any other backend with failures that are scheduled by its URL:
 * `fault:after=3,op=append/sqlite:orders.db`.
 */
extern const struct tide_backend tide_backend_fault;

#endif
