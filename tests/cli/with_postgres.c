/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A private PostgreSQL server for a shell test: libpq finds it by itself while the command runs.
 *
 *	with_postgres [--guarded] COMMAND [ARGUMENT]...
 *
 * --guarded: TCP as well as the socket, TLS with a certificate of its own, and passwords for all
 * but its owner.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/must.h"
#include "lib/postgres.h"

static int command_run(char **arguments)
{
	int status;
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		execvp(arguments[0], arguments);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return 126;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int main(int count, char **arguments)
{
	bool is_guarded = count > 1 && strcmp(arguments[1], "--guarded") == 0;
	if (count < 2 + is_guarded)
		return 2;
	if (!postgres_start_as(&(struct postgres_wish){ .is_guarded = is_guarded }))
		return 77;
	int status = command_run(arguments + 1 + is_guarded);
	postgres_stop();
	return status;
}
