/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_PROJECT_POSTGRES_ASK_H
#define TIDE_PROJECT_POSTGRES_ASK_H

/* What the dialect of PostgreSQL asks in the open transaction: `ask` and `find_place`. */

#include "project/sql.h"

tide_status postgres_ask(const struct sql_script *script, void *connection,
			 const struct sql_question *question, struct tide_error *err);
tide_status postgres_find_place(const struct sql_script *script, void *connection,
				struct sql_place *ret, struct tide_error *err);

#endif
