/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration that a command is given. */
#include "cli/configuration.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "cli/daemon.h"
#include "sys/alloc.h"

/* Relative paths are relative to the configuration: the process works where that is. The name of
 * the file there; NULL: said why. */
static const char *configuration_enter(struct cli *cli, const char *path, int *ret_exit)
{
	const char *slash = strrchr(path, '/');
	struct tide_error err;

	if (!slash)
		return path;
	char *folder ALLOC_AUTO = alloc_text(path, slash == path ? 1 : (size_t)(slash - path));
	if (!folder) {
		*ret_exit = cli_out_of_memory(cli);
		return NULL;
	}
	if (chdir(folder) == 0)
		return slash + 1;
	tide_fail(&err, errno == ENOENT ? TIDE_NOT_FOUND : TIDE_IO, "'%.300s': %s", folder,
		  strerror(errno));
	*ret_exit = cli_fail(cli, &err);
	return NULL;
}

int configuration_load(struct cli *cli, const char *shown, struct config *ret,
		       const char **ret_path)
{
	struct problems problems = { .file = shown };
	struct tide_error err;
	int exit = CLI_DONE;

	*ret_path = configuration_enter(cli, shown, &exit);
	if (!*ret_path)
		return exit;
	tide_status status = config_load(*ret_path, ret, &problems, &err);
	daemon_tell_problems(cli, shown, &problems);
	exit = problems.count > 0 ? CLI_USAGE : CLI_DONE;
	problems_fini(&problems);
	return exit == CLI_DONE && status != TIDE_OK ? cli_fail(cli, &err) : exit;
}
