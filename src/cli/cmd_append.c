/* SPDX-License-Identifier: Apache-2.0 */
/* tide append: one event, and where it came to stand. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"

/* what a store takes; white space around it is not worth reading more */
#define DATA_SIZE_MAX (16u << 20)

/** What an append needs, kept while the call lasts. */
struct append_call {
	char type[TIDE_NAME_MAX + 1];
	struct tide_append append;
	struct tide_new_event event;
	struct buffer data; /* read from standard input */
};

static int append_expected(struct cli *cli, int64_t *ret)
{
	const char *text = cli->options[OPT_EXPECTED].text;

	if (!text || strcmp(text, "any") == 0)
		*ret = TIDE_ANY;
	else if (strcmp(text, "none") == 0)
		*ret = TIDE_NO_STREAM;
	else if (strcmp(text, "exists") == 0)
		*ret = TIDE_STREAM_EXISTS;
	else if (!number_read(text, ret))
		return cli_usage(
			cli, "--expected '%s' is none of any, none, exists, and no version", text);
	return CLI_DONE;
}

static int append_read_data(struct cli *cli, struct buffer *data)
{
	char chunk[65536];
	struct tide_error err;
	ssize_t size = 0;

	while (data->size <= DATA_SIZE_MAX && (size = read(STDIN_FILENO, chunk, sizeof chunk)) > 0)
		buffer_add(data, chunk, (size_t)size);
	if (data->size > DATA_SIZE_MAX)
		return cli_usage(cli, "standard input: DATA is longer than %u bytes",
				 DATA_SIZE_MAX);
	if (size == 0 && !data->failed)
		return CLI_DONE;
	tide_fail(&err, size < 0 ? TIDE_IO : TIDE_OUT_OF_MEMORY, "standard input: cannot be read");
	return cli_fail(cli, &err);
}

static int append_prepare(struct cli *cli, struct append_call *call)
{
	struct option_value *options = cli->options;
	int exit = stream_read(cli, cli->args[0], call->type, &call->append.stream);

	if (exit == CLI_DONE)
		exit = append_expected(cli, &call->append.expected);
	if (exit == CLI_DONE && options[OPT_EVENT_VERSION].number > INT32_MAX)
		exit = cli_usage(cli, "--event-version '%s' is too great",
				 options[OPT_EVENT_VERSION].text);
	if (exit != CLI_DONE)
		return exit;
	call->event = (struct tide_new_event){
		.event_type = cli->args[1],
		.metadata = tide_text(options[OPT_METADATA].text),
		.event_version = (int32_t)options[OPT_EVENT_VERSION].number,
		.event_id = options[OPT_ID].is_set ? options[OPT_ID].uuid : tide_uuid_v7(),
		.occurred_at = option_time(cli, OPT_OCCURRED_AT),
		.tenant_id = options[OPT_TENANT].uuid,
		.actor_id = options[OPT_ACTOR].text,
		.correlation_id = options[OPT_CORRELATION].uuid,
		.causation_id = options[OPT_CAUSATION].uuid,
	};
	call->append.events = &call->event;
	call->append.count = 1;
	if (cli->arg_count < 3)
		return CLI_DONE;
	if (strcmp(cli->args[2], "-") != 0) {
		call->event.payload = tide_text(cli->args[2]);
		return CLI_DONE;
	}
	exit = append_read_data(cli, &call->data);
	call->event.payload =
		(struct tide_text){ call->data.data ? call->data.data : "", call->data.size };
	return exit;
}

/* As --expected names it. */
static void append_name_expected(int64_t expected, char ret[24])
{
	if (expected == TIDE_ANY)
		snprintf(ret, 24, "any");
	else if (expected == TIDE_NO_STREAM)
		snprintf(ret, 24, "none");
	else if (expected == TIDE_STREAM_EXISTS)
		snprintf(ret, 24, "exists");
	else
		snprintf(ret, 24, "%lld", (long long)expected);
}

/* The library names an expectation by its constant. A race that was lost has words of its own. */
static int append_conflict(struct cli *cli, const struct append_call *call, tide_version actual,
			   struct tide_error *err)
{
	struct buffer members = { 0 };
	int64_t expected = call->append.expected;
	bool is_met = expected == TIDE_ANY ||
		      (expected == TIDE_STREAM_EXISTS ? actual > 0 : actual == expected);
	char id[TIDE_UUID_TEXT_SIZE], name[24];

	append_name_expected(expected, name);
	tide_uuid_format(&call->append.stream.aggregate_id, id);
	if (!is_met)
		tide_fail(err, TIDE_CONFLICT, "'%s/%s' is at version %d, expected %s", call->type,
			  id, (int)actual, name);
	const char *quote = expected > 0 ? "" : "\"";
	buffer_format(&members, ",\"stream\":\"%s/%s\",\"expected\":%s%s%s,\"actual\":%d",
		      call->type, id, quote, name, quote, (int)actual);
	int exit = cli_fail_with(cli, err, &members);
	buffer_fini(&members);
	return exit;
}

static int append_print(struct cli *cli, const struct append_call *call,
			const struct tide_append_result *result)
{
	struct buffer line = { 0 };
	char id[TIDE_UUID_TEXT_SIZE];

	tide_uuid_format(&call->append.stream.aggregate_id, id);
	if (!cli->json) {
		buffer_format(&line, "%s %s/%s: position %lld, version %d",
			      result->was_stored_before ? "known" : "appended", call->type, id,
			      (long long)result->last_position, (int)result->version);
		return cli_line(cli, &line);
	}
	json_open(&line, '{');
	json_add_integer(&line, "global_position", result->last_position);
	json_add_integer(&line, "aggregate_version", result->version);
	json_add_uuid(&line, "event_id", &call->event.event_id);
	json_add_string(&line, "aggregate_id", id);
	json_add_string(&line, "aggregate_type", call->type);
	json_add_bool(&line, "was_stored_before", result->was_stored_before);
	json_close(&line, '}');
	return cli_line(cli, &line);
}

/* Whoever repeats an append since nothing was printed stores the event twice: say that it is
 * there. */
static int append_told(struct cli *cli, int exit, const struct tide_append_result *result)
{
	struct tide_error err;

	if (exit != CLI_DONE || fflush(stdout) == 0)
		return exit;
	tide_fail(&err, TIDE_IO, "standard output: %s; the event is stored, at position %lld",
		  strerror(errno), (long long)result->last_position);
	return cli_fail(cli, &err);
}

static int append_refused(struct cli *cli, const struct tide_error *cause)
{
	struct tide_error err;

	tide_fail(&err, cause->status, "%s", cli_message_of_event(cause));
	return cli_fail(cli, &err);
}

int cmd_append(struct cli *cli)
{
	struct append_call call = { 0 };
	struct tide_append_result result = { 0 };
	struct tide_store *store = NULL;
	struct tide_error err;

	int exit = append_prepare(cli, &call);
	if (exit == CLI_DONE)
		store = cli_open(cli, false, &exit);
	if (store) {
		tide_status status = tide_store_append(store, &call.append, &result, &err);
		if (status == TIDE_OK)
			exit = append_told(cli, append_print(cli, &call, &result), &result);
		else if (status == TIDE_CONFLICT)
			exit = append_conflict(cli, &call, result.version, &err);
		else
			exit = append_refused(cli, &err);
	}
	tide_store_close(store);
	buffer_fini(&call.data);
	return exit;
}
