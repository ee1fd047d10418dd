/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tide test: given events, expect rows.
 *
 * Happy path: each case of each file runs in a fresh database, in memory or in a schema of its own
 * that is dropped behind it; a line tells what came of it.
 * Failure modes: a file that is wrong ends the command before any case of it runs; a signal ends it
 * between two cases, when nothing is left behind.
 */
#include <signal.h>
#include <string.h>
#include <strings.h>

#include "cli/cli.h"
#include "cli/live.h"
#include "cli/test_case.h"
#include "sys/alloc.h"

/** One call of the command. */
struct test_call {
	struct cli *cli;
	struct tide_sql_projection *projection;
	const char *server; /* NULL: in memory */
	int cases, failed;
};

static volatile sig_atomic_t test_signal;

static void test_note_signal(int number)
{
	test_signal = number;
}

/* ---- Databases ------------------------------------------------------------------------------- */

static bool test_is_schema(const char *parameter, size_t size)
{
	return size >= 7 && strncmp(parameter, "schema=", 7) == 0;
}

/* The server's URL with a schema of ours. */
static char *test_url(const struct test_call *call, const char *schema)
{
	struct buffer url = { 0 };
	char *text = NULL;
	if (!call->server)
		return alloc_text("sqlite::memory:", strlen("sqlite::memory:"));

	size_t plain = strcspn(call->server, "?");
	const char *at = call->server + plain;
	buffer_add(&url, call->server, plain);
	buffer_format(&url, "?schema=%s", schema);
	while (*at) {
		size_t size = strcspn(++at, "&");
		if (size > 0 && !test_is_schema(at, size))
			buffer_format(&url, "&%.*s", (int)size, at);
		at += size;
	}
	return buffer_take(&url, &text, NULL) == TIDE_OK ? text : NULL;
}

/* What a case has made goes, whatever came of it. */
static tide_status test_drop(const struct test_call *call, const char *url, const char *schema,
			     struct tide_error *err)
{
	struct tide_store *store;
	char *text ALLOC_AUTO = alloc_format("DROP SCHEMA IF EXISTS %s CASCADE", schema);
	if (!text)
		return alloc_fail(err);
	tide_status status =
		tide_store_open(url, TIDE_STORE_OPTIONS(.initialize = true), &store, err);
	if (status != TIDE_OK)
		return status;
	status = live_run(call->projection, store, text, err);
	tide_store_close(store);
	return status;
}

static tide_status test_run_in(const struct test_call *call, const struct test_file *file,
			       const struct test_case *test, struct buffer *found,
			       struct tide_error *err)
{
	char schema[CLI_SCRATCH_SIZE];
	struct tide_error dropped;
	cli_scratch_name("test_scratch", schema);
	char *url ALLOC_AUTO = test_url(call, schema);
	if (!url)
		return alloc_fail(err);

	tide_status status = test_case_run(call->projection, file, test, url, found, err);
	tide_status drop = call->server && status != TIDE_CONNECTION_LOST
				   ? test_drop(call, url, schema, &dropped)
				   : TIDE_OK;
	if (status == TIDE_OK && drop != TIDE_OK)
		return tide_fail(err, drop, "schema '%s' was not dropped: %s", schema,
				 dropped.message);
	return status;
}

/* ---- Telling --------------------------------------------------------------------------------- */

static int test_tell_json(const struct test_call *call, const struct test_file *file,
			  const struct test_case *test, const char *found)
{
	struct buffer line = { 0 };
	json_open(&line, '{');
	json_add_string(&line, "file", file->path);
	json_add_integer(&line, "line", (int64_t)test->line);
	json_add_string(&line, "case", test->title);
	json_add_bool(&line, "passed", !*found);
	json_add_string(&line, "found", *found ? found : NULL);
	json_close(&line, '}');
	return cli_line(call->cli, &line);
}

/* Each line of it behind a mark. */
static void test_add_found(struct buffer *line, const char *found, const char *mark)
{
	while (*found) {
		size_t size = strcspn(found, "\n");
		buffer_format(line, "\n%s%.*s", mark, (int)size, found);
		found += size + (found[size] == '\n');
	}
}

static int test_tell(const struct test_call *call, const struct test_file *file,
		     const struct test_case *test, const char *found)
{
	const char *word = *found ? "not ok" : "ok";
	struct buffer line = { 0 };
	if (call->cli->json)
		return test_tell_json(call, file, test, found);
	if (call->cli->options[OPT_TAP].is_set) {
		buffer_format(&line, "%s %d - %s", word, call->cases, test->title);
		test_add_found(&line, found, "# ");
	} else {
		buffer_format(&line, "%-6s %s", word, test->title);
		test_add_found(&line, found, "       ");
	}
	return cli_line(call->cli, &line);
}

/* ---- Running --------------------------------------------------------------------------------- */

static int test_run_case(struct test_call *call, const struct test_file *file,
			 const struct test_case *test)
{
	struct buffer found = { 0 };
	struct tide_error err;
	call->cases++;
	tide_status status = test_run_in(call, file, test, &found, &err);
	int exit = status == TIDE_OK ? test_tell(call, file, test, found.data ? found.data : "")
				     : cli_fail(call->cli, &err);
	call->failed += found.size > 0;
	buffer_fini(&found);
	return exit;
}

static int test_run_file(struct test_call *call, const struct test_file *file)
{
	struct tide_error err;
	int exit = CLI_DONE;
	for (size_t i = 0; exit == CLI_DONE && i < file->count && !test_signal; i++)
		exit = test_run_case(call, file, &file->cases[i]);
	if (exit != CLI_DONE || !test_signal)
		return exit;
	tide_fail(&err, TIDE_CANCELLED, "interrupted by signal %d", (int)test_signal);
	return cli_fail(call->cli, &err);
}

static int test_run_files(struct test_call *call, const struct test_file *files, size_t count)
{
	struct buffer line = { 0 };
	size_t cases = 0;
	int exit = CLI_DONE;
	for (size_t i = 0; i < count; i++)
		cases += files[i].count;
	if (call->cli->options[OPT_TAP].is_set && !call->cli->json) {
		buffer_format(&line, "1..%zu", cases);
		exit = cli_line(call->cli, &line);
	}
	for (size_t i = 0; exit == CLI_DONE && i < count; i++)
		exit = test_run_file(call, &files[i]);
	return exit == CLI_DONE && call->failed ? CLI_FAILED : exit;
}

/* All of them are read before anything runs. */
static int test_read_files(struct test_call *call, struct test_file *files, size_t count)
{
	struct tide_error err;
	for (size_t i = 0; i < count; i++)
		if (test_file_read(call->cli->args[i + 1], &files[i], &err) != TIDE_OK)
			return cli_fail(call->cli, &err);
	return CLI_DONE;
}

static int test_run(struct test_call *call)
{
	size_t count = (size_t)call->cli->arg_count - 1;
	struct test_file *files ALLOC_AUTO = alloc_zero(count + 1, sizeof *files);
	struct sigaction action = { .sa_handler = test_note_signal };
	if (!files)
		return cli_out_of_memory(call->cli);

	int exit = test_read_files(call, files, count);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	if (exit == CLI_DONE)
		exit = test_run_files(call, files, count);
	for (size_t i = 0; i < count; i++)
		test_file_fini(&files[i]);
	return exit;
}

int cmd_test(struct cli *cli)
{
	struct test_call call = { .cli = cli };
	const struct option_value *store = &cli->options[OPT_STORE];
	struct tide_error err;
	if (store->is_set && strncasecmp(store->text, "postgres", strlen("postgres")) != 0)
		return cli_usage(cli, "a test runs in memory; --store is for PostgreSQL");
	call.server = store->is_set ? store->text : NULL;
	if (tide_sql_projection_open(TIDE_SQL_PROJECTION(.path = cli->args[0], .url = call.server),
				     &call.projection, &err) != TIDE_OK)
		return cli_fail(cli, &err);
	int exit = test_run(&call);
	tide_sql_projection_close(call.projection);
	return exit;
}
