/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_CLI_CONFIGURATION_H
#define TIDE_CLI_CONFIGURATION_H

#include "cli/cli.h"
#include "config/config.h"

/** Read a configuration, and say everything that is wrong with it. Relative paths are relative to
 * it: the process works where it is from now on, and `*ret_path` is its name there. CLI_DONE, or
 * said why. */
int configuration_load(struct cli *cli, const char *shown, struct config *ret,
		       const char **ret_path);

#endif
