/* SPDX-License-Identifier: Apache-2.0 */
/* Opening the store of a call, and the database of its read model. */
#include <inttypes.h>
#include <string.h>

#include "cli/cli.h"
#include "core/url.h"
#include "path/checkpoints.h"
#include "path/family.h"
#include "sys/alloc.h"
#include "sys/random.h"

/* Processes of two machines, or of two containers, may have one number. */
void cli_scratch_name(const char *prefix, char ret[CLI_SCRATCH_SIZE])
{
	uint64_t number;
	random_bytes(&number, sizeof number);
	snprintf(ret, CLI_SCRATCH_SIZE, "%.20s_%016" PRIx64, prefix, number);
}

/* A store that was never initialised is the usual first mistake: say what to do. */
static int open_fail(struct cli *cli, const char *url, struct tide_error *err)
{
	struct tide_error hint = *err;

	bool can_be_made = err->status == TIDE_SCHEMA && strstr(err->message, "is missing");

	if (can_be_made && cli->command != COMMAND_INIT && !strstr(err->message, "tide init")) {
		tide_fail(&hint, TIDE_SCHEMA, "%.380s (make it with: tide init)", err->message);
		char *shown ALLOC_AUTO = cli->options[OPT_STORE].is_set ? url_redact(url) : NULL;
		if (shown)
			tide_fail(&hint, TIDE_SCHEMA,
				  "%.300s (make it with: tide --store '%.120s' init)", err->message,
				  shown);
	}
	return cli_fail(cli, &hint);
}

struct tide_store *cli_open(struct cli *cli, bool read_only, int *ret_exit)
{
	struct tide_store *store;
	struct tide_error err;

	if (tide_store_open(cli->store_url,
			    TIDE_STORE_OPTIONS(.read_only = read_only,
					       .initialize = cli->command == COMMAND_INIT),
			    &store, &err) == TIDE_OK)
		return store;
	*ret_exit = open_fail(cli, cli->store_url, &err);
	return NULL;
}

struct tide_store *cli_open_as_allowed(struct cli *cli, enum cli_access *ret_access, int *ret_exit)
{
	struct tide_store *store;

	*ret_access = CLI_WRITE;
	if (tide_store_open(cli->store_url, NULL, &store, NULL) == TIDE_OK)
		return store;
	*ret_access = CLI_READ;
	return cli_open(cli, true, ret_exit);
}

struct tide_checkpoints *cli_open_checkpoints(struct cli *cli, struct tide_store *store,
					      enum cli_access access, int *ret_exit)
{
	const char *url = cli->options[OPT_INTO].text; /* NULL: the store's own */
	struct tide_checkpoints *checkpoints;
	struct tide_error err;

	if (tide_checkpoints_open(url,
				  TIDE_STORE_OPTIONS(.initialize = access == CLI_INITIALIZE && url,
						     .read_only = access == CLI_READ),
				  store, &checkpoints, &err) == TIDE_OK)
		return checkpoints;
	*ret_exit = url ? cli_fail(cli, &err) : open_fail(cli, cli->store_url, &err);
	return NULL;
}

#define WAIT_DEFAULT_SECONDS 10

int cli_with_checkpoints(struct cli *cli, cli_action *action, enum cli_access access)
{
	struct tide_checkpoints *checkpoints = NULL;
	int exit;

	cli->store = cli_open(cli, access == CLI_READ, &exit);
	if (cli->store)
		checkpoints = cli_open_checkpoints(cli, cli->store, access, &exit);
	if (checkpoints)
		exit = action(cli, checkpoints);
	tide_checkpoints_close(checkpoints);
	tide_store_close(cli->store);
	cli->store = NULL;
	return exit;
}

/* Its own row stays when it has lanes, or had some: an owner counts before it. */
bool cli_find_lease(struct tide_checkpoints *checkpoints, const char *name,
		    struct tide_lease_info *ret)
{
	struct tide_lease_info *leases = NULL;
	const struct tide_lease_info *found = NULL;
	size_t count = 0;

	(void)checkpoints_leases(checkpoints, &leases, &count, NULL);
	for (size_t i = 0; i < count && !(found && found->is_owned); i++) {
		struct tide_lane lane;
		bool is_own = strcmp(leases[i].name, name) == 0;
		if (is_own || (leases[i].is_owned && family_has(name, leases[i].name, &lane)))
			found = &leases[i];
	}
	if (found)
		*ret = *found;
	tide_free(leases);
	return found != NULL;
}

const char *cli_owner_text(struct tide_checkpoints *checkpoints, const char *name)
{
	static char text[512];
	struct tide_lease_info lease;
	size_t size;

	*text = '\0';
	if (!cli_find_lease(checkpoints, name, &lease) || !lease.is_owned)
		return text;
	size = *lease.host ? (size_t)snprintf(text, sizeof text, " (pid %d on %s, ", lease.pid,
					      lease.host)
			   : (size_t)snprintf(text, sizeof text, " (");
	size += (size_t)snprintf(text + size, sizeof text - size, "since %s",
				 time_text(true, lease.acquired_at));
	if (lease.seconds_left >= 0)
		size += (size_t)snprintf(text + size, sizeof text - size,
					 ", its lease ends in %.0f s", lease.seconds_left);
	snprintf(text + size, sizeof text - size, ")");
	return text;
}

int cli_settle(struct cli *cli, struct tide_store *store, struct tide_horizon *ret)
{
	const struct option_value *wait = &cli->options[OPT_WAIT];
	struct tide_error err;

	if (tide_store_settle(store, wait->is_set ? wait->seconds : WAIT_DEFAULT_SECONDS, ret,
			      &err) != TIDE_OK)
		return cli_fail(cli, &err);
	return CLI_DONE;
}

int cli_fail_unsettled(struct cli *cli, const struct tide_horizon *horizon)
{
	struct tide_error err;

	if (horizon->end >= horizon->newest)
		return CLI_DONE;
	tide_fail(&err, TIDE_BUSY,
		  "events behind position %lld wait for an append that stays open: %s",
		  (long long)horizon->end,
		  *horizon->holder ? horizon->holder : "it cannot be named");
	return cli_fail(cli, &err);
}

void cli_warn_unsettled(struct cli *cli, const struct tide_horizon *horizon)
{
	char fields[TIDE_WAITING_FOR_SIZE + 64];

	snprintf(fields, sizeof fields, "behind=%lld holder=\"%s\"", (long long)horizon->end,
		 horizon->holder);
	cli_log(cli,
		&(struct tide_log_line){
			.level = TIDE_LOG_WARNING,
			.component = "store",
			.message = "the order is not final behind a position: an append is open "
				   "that may come in between",
			.fields = fields });
}

int cmd_init(struct cli *cli)
{
	struct buffer line = { 0 };
	struct tide_error err;
	tide_position end;
	int exit = 0;

	struct tide_store *store = cli_open(cli, false, &exit);
	if (!store)
		return exit;
	if (tide_store_end(store, &end, &err) != TIDE_OK) {
		tide_store_close(store);
		return cli_fail(cli, &err);
	}
	if (cli->json) {
		json_open(&line, '{');
		json_add_string(&line, "store", tide_store_url(store));
		json_add_integer(&line, "global_position", end);
		json_close(&line, '}');
	} else {
		buffer_format(&line, "%s is ready, %s", tide_store_url(store),
			      end ? "its feed ends at position " : "empty");
		if (end)
			buffer_format(&line, "%lld", (long long)end);
	}
	tide_store_close(store);
	return cli_line(cli, &line);
}
