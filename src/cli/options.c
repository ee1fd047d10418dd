/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line: the table of options, and reading arguments by it.
 *
 * Happy path: global options, the command, its options and arguments in any order. Everything is
 * checked before the command runs; what is refused is named with its value and ends with status 2.
 */
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "core/nearest.h"
#include "core/text.h"
#include "core/value.h"
#include "sys/alloc.h"

#define DAY_SECONDS 86400.0
#define AGO_SECONDS_MOST 6e10 /* 1,900 years: in front of everything, and an instant yet */

/* clang-format off */
#define ON(command) (1u << COMMAND_##command)
#define EVERY       (~0u)
const struct option_info cli_options[OPT_COUNT] = {
#define OPTION(id, name, letter, argument, kind, commands, help) \
	[OPT_##id] = { name, letter, argument, OPTION_##kind, commands, help },
#include "cli/options.def"
#undef OPTION
};
#undef ON
#undef EVERY
/* clang-format on */

/** The table in the form getopt_long wants, for one command. */
struct getopt_table {
	struct option longs[OPT_COUNT + 1];
	char shorts[2 * OPT_COUNT + 3];
};

static void options_table(enum cli_command command, struct getopt_table *ret)
{
	size_t count = 0, size = 0;

	/* '+' ends at the command's name; ':' tells a missing argument from an unknown option */
	if (command == COMMAND_NONE)
		ret->shorts[size++] = '+';
	ret->shorts[size++] = ':';
	for (int i = 0; i < OPT_COUNT; i++) {
		const struct option_info *info = &cli_options[i];
		if (!(info->commands & (1u << command)))
			continue;
		/* values above every character, so that letters and long names lead to the same
		 * place */
		ret->longs[count++] = (struct option){ .name = info->name,
						       .has_arg = info->argument ? required_argument
										 : no_argument,
						       .val = 256 + i };
		if (info->letter) {
			ret->shorts[size++] = info->letter;
			if (info->argument)
				ret->shorts[size++] = ':';
		}
	}
	ret->longs[count] = (struct option){ 0 };
	ret->shorts[size] = '\0';
}

static int options_find(enum cli_command command, int value)
{
	if (value >= 256)
		return value - 256;
	for (int i = 0; i < OPT_COUNT; i++)
		if (cli_options[i].letter == value && cli_options[i].commands & (1u << command))
			return i;
	return -1;
}

bool number_read(const char *text, int64_t *ret)
{
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	long long number = strtoll(text, &end, 10);
	if (errno || *end)
		return false;
	*ret = number;
	return true;
}

static int options_add_text(struct cli *cli, struct option_value *value, const char *text)
{
	const char **texts = alloc_resize(value->texts, value->text_count + 2, sizeof *texts);
	struct tide_error err;

	if (!texts) {
		alloc_fail(&err);
		return cli_fail(cli, &err);
	}
	texts[value->text_count++] = text;
	texts[value->text_count] = NULL;
	value->texts = texts;
	return CLI_DONE;
}

/* "90s", "1.5h", "2d": that long ago. Without its unit a number is no time. */
static bool options_read_ago(const char *text, struct tide_time *ret)
{
	size_t size = strlen(text);
	double seconds;

	if (size == 0 || text[size - 1] < 'a' || text[size - 1] > 'z' ||
	    value_read_seconds(text, &seconds, NULL) != TIDE_OK || seconds < 0 ||
	    seconds > AGO_SECONDS_MOST)
		return false;
	ret->unix_us = tide_time_now().unix_us - (int64_t)(seconds * 1e6);
	return true;
}

/* An instant, a day, which stands for its first instant, or a time ago. */
static bool options_read_time(const char *text, struct tide_time *ret)
{
	char instant[32];

	if (options_read_ago(text, ret) || tide_time_parse(text, ret, NULL) == TIDE_OK)
		return true;
	if (strlen(text) != 10)
		return false;
	snprintf(instant, sizeof instant, "%sT00:00:00Z", text);
	return tide_time_parse(instant, ret, NULL) == TIDE_OK;
}

static int options_set_duration(struct cli *cli, const struct option_info *info,
				struct option_value *value)
{
	struct tide_error err;

	if (value_read_seconds(value->text, &value->seconds, &err) != TIDE_OK)
		return cli_usage(cli, "--%s %s", info->name, err.message);
	if (value->seconds < 0)
		return cli_usage(cli, "--%s '%s' is no time of 0 or more", info->name, value->text);
	return CLI_DONE;
}

static int options_set_days(struct cli *cli, const struct option_info *info,
			    struct option_value *value)
{
	double seconds;

	if (number_read(value->text, &value->number))
		return CLI_DONE;
	if (value_read_seconds(value->text, &seconds, NULL) != TIDE_OK || seconds < 0 ||
	    seconds > AGO_SECONDS_MOST || fmod(seconds, DAY_SECONDS) != 0)
		return cli_usage(cli, "--%s '%s' is no number of whole days such as 30, 30d or 48h",
				 info->name, value->text);
	value->number = (int64_t)(seconds / DAY_SECONDS);
	return CLI_DONE;
}

static int options_set(struct cli *cli, int option, const char *text)
{
	const struct option_info *info = &cli_options[option];
	struct option_value *value = &cli->options[option];
	struct tide_error err;

	value->is_set = true;
	value->times++;
	value->text = text;
	switch (info->kind) {
	case OPTION_FLAG:
	case OPTION_TEXT:
		return CLI_DONE;
	case OPTION_LIST:
		return options_add_text(cli, value, text);
	case OPTION_NUMBER:
		if (!number_read(text, &value->number))
			return cli_usage(cli, "--%s '%s' is no number of 0 or more", info->name,
					 text);
		return CLI_DONE;
	case OPTION_POSITIVE:
		if (!number_read(text, &value->number) || value->number < 1)
			return cli_usage(cli, "--%s '%s' is no number of 1 or more", info->name,
					 text);
		return CLI_DONE;
	case OPTION_UUID:
		if (tide_uuid_parse(text, &value->uuid, &err) != TIDE_OK ||
		    tide_uuid_is_nil(&value->uuid))
			return cli_usage(cli, "--%s '%s' is no UUID", info->name, text);
		return CLI_DONE;
	case OPTION_TIME:
		if (!options_read_time(text, &value->time))
			return cli_usage(
				cli,
				"--%s '%s' is no instant such as 2026-01-31T12:00:00Z, no day such "
				"as "
				"2026-01-31, and no time ago such as 90s, 15min, 1.5h or 2d",
				info->name, text);
		return CLI_DONE;
	case OPTION_DURATION:
		return options_set_duration(cli, info, value);
	case OPTION_DAYS:
		return options_set_days(cli, info, value);
	}
	return CLI_DONE;
}

static int options_unknown(struct cli *cli, const char *text)
{
	struct nearest nearest;
	char word[64];

	snprintf(word, sizeof word, "%.*s", (int)strcspn(text, "="), text);
	nearest_begin(&nearest, strncmp(word, "--", 2) == 0 ? word + 2 : word);
	for (int i = 0; i < OPT_COUNT; i++)
		if (cli_options[i].commands & (1u << cli->command))
			nearest_offer(&nearest, cli_options[i].name);
	if (nearest.name)
		return cli_usage(cli, "unknown option '%s'; did you mean '--%s'?", text,
				 nearest.name);
	return cli_usage(cli, "unknown option '%s'", text);
}

static int options_refuse(struct cli *cli, int problem, char **argv)
{
	int option = optopt >= 256 ? optopt - 256 : options_find(cli->command, optopt);

	if (problem == ':')
		return cli_usage(cli, "--%s needs an argument: %s", cli_options[option].name,
				 cli_options[option].argument);
	if (optopt >= 256)
		return cli_usage(cli, "--%s takes no argument", cli_options[option].name);
	if (optopt)
		return cli_usage(cli, "unknown option '-%c'", optopt);
	return options_unknown(cli, argv[optind - 1]);
}

static int options_scan(struct cli *cli, int argc, char **argv)
{
	struct getopt_table table;
	int value;

	options_table(cli->command, &table);
	optind = 0; /* glibc: begin a new scan */
	opterr = 0;
	while ((value = getopt_long(argc, argv, table.shorts, table.longs, NULL)) != -1) {
		if (value == '?' || value == ':')
			return options_refuse(cli, value, argv);
		int exit = options_set(cli, options_find(cli->command, value), optarg);
		if (exit != CLI_DONE)
			return exit;
	}
	return CLI_DONE;
}

int cli_unknown_command(struct cli *cli, const char *name)
{
	struct nearest nearest;

	nearest_begin(&nearest, name);
	for (int i = 0; i < COMMAND_NONE; i++)
		nearest_offer(&nearest, cli_commands[i].name);
	if (nearest.name)
		return cli_usage(cli, "unknown command '%s'; did you mean '%s'?", name,
				 nearest.name);
	return cli_usage(cli, "unknown command '%s'", name);
}

static int options_command(struct cli *cli, const char *name)
{
	for (int i = 0; i < COMMAND_NONE; i++) {
		if (strcmp(cli_commands[i].name, name) == 0) {
			cli->command = (enum cli_command)i;
			return CLI_DONE;
		}
	}
	return cli_unknown_command(cli, name);
}

static int options_count_args(struct cli *cli)
{
	const struct command_info *info = &cli_commands[cli->command];

	if (cli->options[OPT_HELP].is_set)
		return CLI_DONE;
	if (cli->arg_count < info->fewest)
		return cli_usage(cli, "%s needs %s", info->name, info->arguments);
	if (info->most >= 0 && cli->arg_count > info->most)
		return cli_usage(cli, "%s does not take '%s'", info->name, cli->args[info->most]);
	return CLI_DONE;
}

/* --json before a mistake must already shape its message, wherever it stands in the line. */
static void options_look_for_json(struct cli *cli, int argc, char **argv)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
		if (strcmp(argv[i], "--json") == 0)
			cli->json = true;
}

int options_parse(struct cli *cli, int argc, char **argv)
{
	const char *environment = getenv("TIDE_STORE");

	cli->command = COMMAND_NONE;
	options_look_for_json(cli, argc, argv);
	int exit = options_scan(cli, argc, argv);
	if (exit == CLI_DONE && optind < argc) {
		int first = optind;
		exit = options_command(cli, argv[first]);
		if (exit == CLI_DONE)
			exit = options_scan(cli, argc - first, argv + first);
		cli->args = argv + first + optind;
		cli->arg_count = argc - first - optind;
		if (exit == CLI_DONE)
			exit = options_count_args(cli);
	}
	cli->json = cli->options[OPT_JSON].is_set || (exit != CLI_DONE && cli->json);
	cli->store_url = cli->options[OPT_STORE].is_set ? cli->options[OPT_STORE].text
			 : environment && *environment  ? environment
							: "sqlite:tide.db";
	return exit;
}

void options_fini(struct cli *cli)
{
	for (int i = 0; i < OPT_COUNT; i++)
		tide_free(cli->options[i].texts);
}

struct tide_bound option_bound(const struct cli *cli, enum cli_option option)
{
	const struct option_value *value = &cli->options[option];

	return (struct tide_bound){ .is_set = value->is_set, .value = value->number };
}

const struct tide_time *option_time(const struct cli *cli, enum cli_option option)
{
	return cli->options[option].is_set ? &cli->options[option].time : NULL;
}

const struct tide_uuid *option_uuid(const struct cli *cli, enum cli_option option)
{
	return cli->options[option].is_set ? &cli->options[option].uuid : NULL;
}

int option_choice(struct cli *cli, enum cli_option option, int *ret)
{
	const char *text = cli->options[option].text;
	char all[128] = "";
	size_t size;

	*ret = 0;
	if (!cli->options[option].is_set)
		return CLI_DONE;
	for (const char *at = cli_options[option].argument; *at; at += size + (at[size] == '|')) {
		size = strcspn(at, "|");
		if (size == strlen(text) && strncmp(at, text, size) == 0)
			return CLI_DONE;
		snprintf(all + strlen(all), sizeof all - strlen(all), "%s%.*s", *ret ? ", " : "",
			 (int)size, at);
		++*ret;
	}
	return cli_usage(cli, "--%s '%s' is none of %s", cli_options[option].name, text, all);
}

tide_status stream_parse(const char *text, char type[TIDE_NAME_MAX + 1], struct tide_stream *ret,
			 struct tide_error *err)
{
	const char *slash = strchr(text, '/');
	size_t size = slash ? (size_t)(slash - text) : 0;

	if (size == 0 || size > TIDE_NAME_MAX)
		return tide_fail(err, TIDE_ARGUMENT,
				 "stream '%s' is not of the form Order/UUID or Order/name:anything",
				 text);
	memcpy(type, text, size);
	type[size] = '\0';
	tide_status status = name_check_type(type, "aggregate_type", err);
	if (status != TIDE_OK)
		return status;
	ret->aggregate_type = type;
	if (strncmp(slash + 1, "name:", 5) == 0 && slash[6]) {
		ret->aggregate_id = tide_uuid_v5(NULL, slash + 6);
		return TIDE_OK;
	}
	if (tide_uuid_parse(slash + 1, &ret->aggregate_id, NULL) != TIDE_OK ||
	    tide_uuid_is_nil(&ret->aggregate_id))
		return tide_fail(err, TIDE_ARGUMENT,
				 "stream '%s': '%s' is neither a UUID nor name:anything", text,
				 slash + 1);
	return TIDE_OK;
}

int stream_read(struct cli *cli, const char *text, char type[TIDE_NAME_MAX + 1],
		struct tide_stream *ret)
{
	struct tide_error err;
	return stream_parse(text, type, ret, &err) == TIDE_OK ? CLI_DONE
							      : cli_usage(cli, "%s", err.message);
}
