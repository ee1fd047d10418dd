/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_CLI_TRIAL_H
#define TIDE_CLI_TRIAL_H

#include "cli/cli.h"
#include "project/sql.h"

/** Whether the options of a trial go together: CLI_DONE, or CLI_USAGE when it said what is
 * wrong. */
int trial_check(struct cli *cli);
/** Say what a projection would do to the next events behind its checkpoint; nothing is kept. */
int trial_run(struct cli *cli, struct tide_sql_projection *projection);

#endif
