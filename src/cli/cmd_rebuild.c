/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tide rebuild: a SQL projection is made anew from the log.
 *
 * Happy path, in place: the ownership is taken, the tables are emptied, the checkpoint goes, and
 * everything up to the end of the feed is projected again; lanes that run elsewhere do that where
 * they are.
 * Failure modes: somebody runs the projection: refused, unless forced. Interrupted on the way: the
 * row of projection_rebuilds says up to where it was to go, and the next call goes on, unless
 * somebody has finished it meanwhile, a person has moved the checkpoint, or the file is another
 * one: then it begins anew.
 */
#include <stdio.h>
#include <string.h>

#include "cli/beside.h"
#include "cli/configuration.h"
#include "cli/rebuild.h"
#include "path/checkpoints.h"
#include "path/config.h"
#include "path/journal.h"
#include "path/port.h"
#include "sys/alloc.h"

/* ---- Whether one was interrupted ------------------------------------------------------------- */

static tide_status rebuild_read_row(void *self, void *connection, struct tide_error *err)
{
	struct rebuild *rebuild = self;
	rebuild_row_fini(&rebuild->row);
	return rebuild_load(rebuild->projection, connection, false, &rebuild->row, err);
}

static tide_status rebuild_end_row(void *self, void *connection, struct tide_error *err)
{
	struct rebuild *rebuild = self;
	rebuild->row.state = REBUILD_ENDED;
	return rebuild_store(rebuild->projection, connection, &rebuild->row, err);
}

/* What a person has moved since is not as a rebuild has left it. */
static tide_status rebuild_was_moved(const struct rebuild *rebuild, bool *ret,
				     struct tide_error *err)
{
	ALLOC_AUTO struct tide_journal_entry *entries = NULL;
	size_t count = 0;
	tide_status status = tide_journal_list(rebuild->follow.checkpoints, rebuild->name, 0,
					       &entries, &count, err);

	*ret = false;
	for (size_t i = 0; status == TIDE_OK && i < count; i++) {
		const char *act = entries[i].act;
		*ret = strcmp(act, "rewind") == 0 || strcmp(act, "reset") == 0;
		if (*ret || strcmp(act, "rebuild") == 0 || strcmp(act, "swap") == 0)
			break;
	}
	return status;
}

/* One that another process has finished since is none. */
static tide_status rebuild_is_interrupted(struct rebuild *rebuild, bool *ret,
					  struct tide_error *err)
{
	struct tide_checkpoint row;
	bool was_moved = false;
	tide_status status =
		checkpoints_load_slowest(rebuild->follow.checkpoints, rebuild->name, &row, err);

	*ret = status == TIDE_OK && row.has_position && rebuild->row.is_same &&
	       rebuild->row.state == REBUILD_IN_PLACE && row.position < rebuild->row.reached;
	if (*ret)
		status = rebuild_was_moved(rebuild, &was_moved, err);
	*ret = *ret && !was_moved;
	return status == TIDE_NOT_FOUND ? TIDE_OK : status;
}

/* ---- In place -------------------------------------------------------------------------------- */

static int rebuild_refuse_running(struct rebuild *rebuild)
{
	struct cli *cli = rebuild->cli;
	struct tide_checkpoints *checkpoints = rebuild->follow.checkpoints;
	struct tide_error err;

	if (tide_checkpoints_is_owned(checkpoints, rebuild->name, &rebuild->is_owned, &err) !=
	    TIDE_OK)
		return cli_fail(cli, &err);
	if (!rebuild->is_owned || cli->options[OPT_FORCE].is_set)
		return CLI_DONE;
	tide_fail(&err, TIDE_STATE, "projection '%s' is running%s; stop it first, or say --force",
		  rebuild->name, cli_owner_text(checkpoints, rebuild->name));
	return cli_fail(cli, &err);
}

/* Lanes have rows from the outset; negative: one without any has none. */
static tide_position rebuild_from(const struct rebuild *rebuild)
{
	const struct tide_subscription_config *config = &rebuild->follow.config;
	return config->lanes < 2 ? -1 : config_start(config, 0);
}

static tide_status rebuild_empty_begun(void *self, void *connection, struct tide_error *err)
{
	const struct rebuild *rebuild = self;
	return rebuild_empty(rebuild->projection, connection, rebuild->end, err);
}

static int rebuild_empty_tables(struct rebuild *rebuild)
{
	struct cli *cli = rebuild->cli;
	char detail[64];
	struct checkpoints_anew anew = { .function = rebuild_empty_begun,
					 .self = rebuild,
					 .from = rebuild_from(rebuild),
					 .act = "rebuild",
					 .detail = detail };
	struct tide_error err;

	tide_status status = sql_check_reset(rebuild->projection, &err);
	if (status == TIDE_OK)
		status = tide_store_end(rebuild->follow.store, &rebuild->end, &err);
	snprintf(detail, sizeof detail, "in place, up to position %lld", (long long)rebuild->end);
	if (status == TIDE_OK)
		status = checkpoints_begin_anew(rebuild->follow.checkpoints, rebuild->name, &anew,
						NULL, &err);
	if (status != TIDE_OK)
		return cli_fail(cli, &err);
	cli->options[OPT_RESET].is_set = true;
	if (rebuild->follow.config.lanes > 1) /* they have rows already */
		rebuild->follow.config.start_from = TIDE_START_CHECKPOINT;
	return CLI_DONE;
}

/* In as many lanes as it has. */
static tide_status rebuild_find_lanes(struct rebuild *rebuild, struct tide_error *err)
{
	struct tide_group group;
	tide_status status =
		checkpoints_group(rebuild->follow.checkpoints, rebuild->name, &group, err);
	if (status == TIDE_OK && group.lanes > 1)
		rebuild->follow.config.lanes = group.lanes;
	return status;
}

static int rebuild_begin(struct rebuild *rebuild)
{
	bool is_interrupted;
	struct tide_error err;
	int exit = rebuild_refuse_running(rebuild);

	if (exit != CLI_DONE)
		return exit;
	tide_status status =
		live_do(rebuild->follow.checkpoints->database, rebuild_read_row, rebuild, &err);
	if (status == TIDE_OK)
		status = rebuild_refuse_beside(rebuild->name, &rebuild->row, &err);
	if (status == TIDE_OK)
		status = rebuild_find_lanes(rebuild, &err);
	if (status == TIDE_OK)
		status = rebuild_is_interrupted(rebuild, &is_interrupted, &err);
	if (status != TIDE_OK)
		return cli_fail(rebuild->cli, &err);
	if (!is_interrupted)
		return rebuild_empty_tables(rebuild);
	cli_note(rebuild->cli, "the rebuild of '%s' that was interrupted goes on", rebuild->name);
	rebuild->follow.config.start_from = TIDE_START_CHECKPOINT;
	return CLI_DONE;
}

/* What stays to be said of one that is done; that it could not be written costs a look at the next
 * one. */
static void rebuild_end(struct rebuild *rebuild)
{
	struct tide_checkpoint row;
	if (checkpoints_load_slowest(rebuild->follow.checkpoints, rebuild->name, &row, NULL) !=
	    TIDE_OK)
		return;
	(void)live_do(rebuild->follow.checkpoints->database, rebuild_read_row, rebuild, NULL);
	if (rebuild->row.state == REBUILD_IN_PLACE && row.has_position &&
	    row.position >= rebuild->row.reached)
		(void)live_do(rebuild->follow.checkpoints->database, rebuild_end_row, rebuild,
			      NULL);
}

/* Its lanes are where they were, each with an owner that goes on by itself. */
static void rebuild_leave_to_owners(const struct rebuild *rebuild)
{
	bool was_reset = rebuild->cli->options[OPT_RESET].is_set;
	cli_note(rebuild->cli, "'%s' %s by its owner%s", rebuild->name,
		 was_reset ? "was reset, and is projected anew" : "is projected",
		 cli_owner_text(rebuild->follow.checkpoints, rebuild->name));
}

/* Whether who ran its lanes lives still, and so has them again: a reset takes them from him. */
static tide_status rebuild_find_members(const struct rebuild *rebuild, bool *ret,
					struct tide_error *err)
{
	struct tide_store *database = rebuild->follow.checkpoints->database;
	ALLOC_AUTO struct tide_member *members = NULL;
	size_t count = 0;
	void *session;
	*ret = false;
	if (!rebuild->is_owned || rebuild->follow.config.lanes < 2)
		return TIDE_OK;

	tide_status status = store_borrow(database, &session, err);
	if (status != TIDE_OK)
		return status;
	status = port_member_list(database, session, rebuild->name, &members, &count, err);
	store_return(database, session, status);
	*ret = count > 0;
	return status;
}

static int rebuild_run(struct rebuild *rebuild)
{
	int exit = follow_begin(&rebuild->follow);
	if (exit == CLI_DONE)
		exit = follow_run(&rebuild->follow);
	if (exit == CLI_DONE)
		rebuild_end(rebuild);
	return exit;
}

static int rebuild_in_place(struct rebuild *rebuild)
{
	struct follow *follow = &rebuild->follow;
	follow->subscriber = tide_sql_projection_subscriber(rebuild->projection);
	int exit = follow_open(follow);
	bool has_members = false;
	struct tide_error err;

	if (exit == CLI_DONE)
		exit = rebuild_begin(rebuild);
	if (exit == CLI_DONE && rebuild_find_members(rebuild, &has_members, &err) != TIDE_OK)
		exit = cli_fail(rebuild->cli, &err);
	if (exit == CLI_DONE && has_members)
		rebuild_leave_to_owners(rebuild);
	else if (exit == CLI_DONE)
		exit = rebuild_run(rebuild);
	rebuild_row_fini(&rebuild->row);
	follow_close(follow);
	return exit;
}

/* ---- As it is -------------------------------------------------------------------------------- */

static tide_status rebuild_enter(void *self, void *connection, struct tide_error *err)
{
	struct tide_sql_projection *projection = ((struct rebuild *)self)->projection;
	const struct tide_subscriber *subscriber = tide_sql_projection_subscriber(projection);
	projection->accepts_changes = true;
	tide_status status = subscriber->prepare(subscriber->self, connection, err);
	subscriber->detach(subscriber->self, connection);
	return status;
}

/* The tables are left as they are, and taken for what the file makes. */
static int rebuild_accept(struct rebuild *rebuild)
{
	struct follow *follow = &rebuild->follow;
	struct tide_error err;
	int exit = follow_open(follow);

	if (exit == CLI_DONE &&
	    live_do(follow->checkpoints->database, rebuild_enter, rebuild, &err) != TIDE_OK)
		exit = cli_fail(rebuild->cli, &err);
	if (exit == CLI_DONE)
		journal_tell(follow->checkpoints->database, NULL, "accept", rebuild->name,
			     "its tables, as '%.300s' has them", rebuild->file);
	follow_close(follow);
	if (exit == CLI_DONE)
		cli_note(rebuild->cli, "'%s' is accepted as '%s' has it", rebuild->name,
			 rebuild->file);
	return exit;
}

/* ---- The projection -------------------------------------------------------------------------- */

/* A rebuild is of everything, whatever a first start was to begin with. */
static void rebuild_set_config(struct rebuild *rebuild,
			       const struct tide_subscription_config *config)
{
	struct tide_subscription_config *own = &rebuild->follow.config;
	int32_t retries = own->max_infrastructure_retries;

	if (config) {
		*own = *config;
		own->lanes = 1; /* those that come later inherit what is built without any */
		own->max_infrastructure_retries = retries;
		own->circuit_breaker_enabled = false;
	}
	if (own->start_from != TIDE_START_POSITION)
		own->start_from = TIDE_START_BEGINNING;
	own->start_from_initially = true;
}

static int rebuild_fail_unknown(struct rebuild *rebuild, const char *path, bool has_section)
{
	struct tide_error err;
	tide_fail(&err, has_section ? TIDE_UNSUPPORTED : TIDE_NOT_FOUND,
		  has_section ? "[projection %s] of '%s' is a command: it has no read model that "
				"could be rebuilt"
			      : "there is no [projection %s] in '%s'",
		  rebuild->name, path);
	return cli_fail(rebuild->cli, &err);
}

static int rebuild_configured(struct rebuild *rebuild, const struct config *config)
{
	struct cli *cli = rebuild->cli;
	const struct config_projection *found = NULL;

	for (size_t i = 0; i < config->projection_count; i++)
		if (strcmp(config->projections[i]->name, rebuild->name) == 0)
			found = config->projections[i];
	if (!found || !found->sql)
		return rebuild_fail_unknown(rebuild, cli->options[OPT_CONFIG].text, found != NULL);
	const struct config_store *store = config_find_store(config, found->store);
	cli->store_url = store->url;
	cli->options[OPT_INTO].text = store->into;
	rebuild->projection = found->sql;
	rebuild->file = found->file;
	rebuild_set_config(rebuild, &found->config);
	return rebuild->make(rebuild);
}

static int rebuild_of_configuration(struct rebuild *rebuild)
{
	struct config config;
	const char *path;
	int exit = configuration_load(rebuild->cli, rebuild->cli->options[OPT_CONFIG].text, &config,
				      &path);

	if (exit != CLI_DONE)
		return exit;
	exit = rebuild_configured(rebuild, &config);
	config_fini(&config);
	return exit;
}

static int rebuild_of_file(struct rebuild *rebuild)
{
	struct cli *cli = rebuild->cli;
	const char *into = cli->options[OPT_INTO].text;
	struct tide_error err;

	rebuild->file = cli->options[OPT_REBUILD_FILE].text;
	rebuild_set_config(rebuild, NULL);
	if (tide_sql_projection_open(TIDE_SQL_PROJECTION(.path = rebuild->file,
							 .name = rebuild->name,
							 .url = into ? into : cli->store_url),
				     &rebuild->projection, &err) != TIDE_OK)
		return cli_fail(cli, &err);
	int exit = rebuild->make(rebuild);
	tide_sql_projection_close(rebuild->projection);
	return exit;
}

/* ---- The command ----------------------------------------------------------------------------- */

/* A configuration says these itself. */
static int rebuild_check_config(struct cli *cli)
{
	static const enum cli_option said[] = { OPT_STORE, OPT_INTO, OPT_ON_ERROR,
						OPT_HOLD_AGGREGATE };
	const struct option_value *options = cli->options;

	if (options[OPT_CONFIG].is_set == options[OPT_REBUILD_FILE].is_set)
		return cli_usage(cli, "rebuild needs one of --config CONFIG and --file FILE");
	for (size_t i = 0; options[OPT_CONFIG].is_set && i < sizeof said / sizeof *said; i++)
		if (options[said[i]].is_set)
			return cli_usage(cli, "--%s does not go with --config, which says it",
					 cli_options[said[i]].name);
	return CLI_DONE;
}

static int rebuild_check_options(struct cli *cli)
{
	static const enum cli_option ways[] = { OPT_BESIDE, OPT_SWAP_BACK, OPT_DROP_OLD,
						OPT_ACCEPT };
	const struct option_value *options = cli->options;
	const char *way = NULL;

	for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
		if (!options[ways[i]].is_set)
			continue;
		if (way)
			return cli_usage(cli, "--%s does not go with --%s",
					 cli_options[ways[i]].name, way);
		way = cli_options[ways[i]].name;
	}
	if (options[OPT_EXPECT_DIFFERENT].is_set && !options[OPT_BESIDE].is_set)
		return cli_usage(cli, "--expect-different needs --beside");
	return rebuild_check_config(cli);
}

int cmd_rebuild(struct cli *cli)
{
	struct rebuild rebuild = {
		.cli = cli, .name = cli->args[0], .follow.cli = cli, .make = rebuild_in_place
	};
	int exit = rebuild_check_options(cli);

	if (exit != CLI_DONE)
		return exit;
	if (cli->options[OPT_ACCEPT].is_set)
		rebuild.make = rebuild_accept;
	else if (cli->options[OPT_BESIDE].is_set || cli->options[OPT_SWAP_BACK].is_set ||
		 cli->options[OPT_DROP_OLD].is_set)
		rebuild.make = rebuild_beside;
	/* it ends where the feed does now */
	cli->options[OPT_ONCE].is_set = true;
	exit = follow_config(&rebuild.follow);
	if (exit != CLI_DONE)
		return exit;
	return cli->options[OPT_CONFIG].is_set ? rebuild_of_configuration(&rebuild)
					       : rebuild_of_file(&rebuild);
}
