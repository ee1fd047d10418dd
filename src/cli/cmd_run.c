/* SPDX-License-Identifier: Apache-2.0 */
/* tide run: the daemon. Reading its configuration, checking it, and asking a running one to read it
 * again. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/configuration.h"
#include "cli/daemon.h"
#include "cli/live.h"

/** A check, and the projection whose statements are looked at. */
struct run_examination {
	struct problems *problems;
	const struct config *config;
	const struct config_projection *projection;
	size_t found; /* mistakes in statements */
};

static void run_tell(void *self, const char *message)
{
	struct run_examination *examination = self;
	const struct config_projection *projection = examination->projection;
	char title[TIDE_NAME_MAX + 16];

	snprintf(title, sizeof title, "projection %.255s", projection->name);
	problems_add(examination->problems, projection->line, title, "file", "%s", message);
	examination->found++;
}

/* The statements of a store's projections, against the tables that are there. */
static tide_status run_check_projections(struct run_examination *examination,
					 const struct config_store *store,
					 struct tide_store *database, struct tide_error *err)
{
	const struct config *config = examination->config;
	tide_status status = TIDE_OK;

	for (size_t i = 0; i < config->projection_count && status == TIDE_OK; i++) {
		examination->projection = config->projections[i];
		const struct config_projection *projection = config->projections[i];
		if (projection->sql && strcmp(projection->store, store->name) == 0)
			status =
				live_examine(projection->sql, database, run_tell, examination, err);
	}
	return status;
}

/* Look at one store, without writing to it. */
static tide_status run_check_store(struct run_examination *examination,
				   const struct config_store *store, struct tide_error *err)
{
	struct tide_checkpoints *checkpoints = NULL;
	struct tide_store *events;

	tide_status status =
		tide_store_open(store->url, TIDE_STORE_OPTIONS(.read_only = true), &events, err);
	if (status != TIDE_OK)
		return status;
	status = tide_checkpoints_open(store->into, TIDE_STORE_OPTIONS(.read_only = true), events,
				       &checkpoints, err);
	if (status == TIDE_OK)
		status = run_check_projections(examination, store, checkpoints->database, err);
	tide_checkpoints_close(checkpoints);
	tide_store_close(events);
	return status;
}

static int run_check(struct cli *cli, const char *path, const struct config *config)
{
	struct problems problems = { .file = path };
	struct run_examination examination = { .problems = &problems, .config = config };
	struct buffer line = { 0 };
	struct tide_error err;
	int exit = CLI_DONE;

	for (size_t i = 0; i < config->store_count && !cli->options[OPT_OFFLINE].is_set; i++) {
		const struct config_store *store = &config->stores[i];
		char title[TIDE_NAME_MAX + 16];
		snprintf(title, sizeof title, "store %.255s", store->name);
		if (run_check_store(&examination, store, &err) == TIDE_OK)
			continue;
		problems_add(&problems, store->line, title, NULL, "%s", err.message);
		exit = cli_exit_of(err.status) == CLI_UNAVAILABLE ? CLI_UNAVAILABLE : CLI_FAILED;
	}
	daemon_tell_problems(cli, path, &problems);
	problems_fini(&problems);
	if (exit == CLI_DONE && examination.found)
		exit = CLI_FAILED;
	if (exit != CLI_DONE)
		return exit;
	if (cli->json) {
		json_open(&line, '{');
		json_add_integer(&line, "stores", (int64_t)config->store_count);
		json_add_integer(&line, "projections", (int64_t)config->projection_count);
		json_close(&line, '}');
	} else {
		buffer_format(&line, "'%s' is sound: stores %zu, projections %zu", path,
			      config->store_count, config->projection_count);
	}
	return cli_line(cli, &line);
}

int cmd_run(struct cli *cli)
{
	struct config config;
	const char *path;

	if (cli->options[OPT_OFFLINE].is_set && !cli->options[OPT_CHECK].is_set)
		return cli_usage(cli, "--offline needs --check");
	int exit = configuration_load(cli, cli->args[0], &config, &path);
	if (exit != CLI_DONE)
		return exit;
	if (!cli->options[OPT_CHECK].is_set)
		return daemon_run(cli, path, &config);
	exit = run_check(cli, cli->args[0], &config);
	config_fini(&config);
	return exit;
}

int cmd_reload(struct cli *cli)
{
	const struct option_value *pid = &cli->options[OPT_PID];
	struct tide_error err;

	if (!pid->is_set)
		return cli_usage(cli, "reload needs --pid N, the process of 'tide run'");
	if (pid->number > INT32_MAX)
		return cli_usage(cli, "--pid '%s' is no process", pid->text);
	if (kill((pid_t)pid->number, SIGHUP) == 0)
		return CLI_DONE;
	tide_fail(&err, errno == ESRCH ? TIDE_NOT_FOUND : TIDE_IO, "process %s: %s", pid->text,
		  strerror(errno));
	return cli_fail(cli, &err);
}
