/* SPDX-License-Identifier: Apache-2.0 */
/* What the commands are called and say of themselves; main.c has what they do. */
#include "cli/cli.h"

/* clang-format off */
const struct command_info cli_commands[COMMAND_COUNT] = {
#define COMMAND(id, name, run, arguments, fewest, most, summary, text) \
	[COMMAND_##id] = { name, arguments, fewest, most, summary, text },
#include "cli/commands.def"
#undef COMMAND
};
/* clang-format on */
