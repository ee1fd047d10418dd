/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_CLI_CLI_H
#define TIDE_CLI_CLI_H

/* The `tide` command: what its commands share. One command a file, cmd_*.c; each returns an exit
 * status. */

#include <stdio.h>

#include <tidemark/tidemark.h>

#include "core/json.h"

/** Exit statuses, the same for every command. */
enum cli_exit {
#define EXIT(id, number, word, text) CLI_##id = (number),
#define EXIT_OF(status, id)
#include "cli/exits.def"
#undef EXIT
#undef EXIT_OF
};

enum cli_command {
#define COMMAND(id, name, run, arguments, fewest, most, summary, text) COMMAND_##id,
#include "cli/commands.def"
#undef COMMAND
	COMMAND_NONE, /* before a command is named */
	COMMAND_COUNT
};

enum cli_option {
#define OPTION(id, name, letter, argument, kind, commands, help) OPT_##id,
#include "cli/options.def"
#undef OPTION
	OPT_COUNT
};

/** What an option's argument must be. */
enum option_kind {
	OPTION_FLAG,
	OPTION_TEXT,
	OPTION_LIST,     /* texts: it may be repeated */
	OPTION_NUMBER,   /* 0 or more */
	OPTION_POSITIVE, /* 1 or more */
	OPTION_UUID,
	OPTION_TIME,     /* an instant */
	OPTION_DURATION, /* as a configuration has it; a bare number counts seconds */
	OPTION_DAYS      /* whole ones; a bare number counts them */
};

/** One option as the table has it. */
struct option_info {
	const char *name;
	char letter;          /* 0: none */
	const char *argument; /* NULL: none */
	enum option_kind kind;
	unsigned commands; /* bits by enum cli_command */
	const char *help;
};

/** One option as the user gave it; only the member of its kind is set. */
struct option_value {
	bool is_set;
	int times; /* that it was given */
	const char *text;
	const char **texts; /* ends in NULL */
	size_t text_count;
	int64_t number;
	double seconds;
	struct tide_uuid uuid;
	struct tide_time time;
};

struct cli;

/** One command as the table has it. */
struct command_info {
	const char *name;
	const char *arguments; /* how they are written in the synopsis */
	int fewest;
	int most; /* < 0: any number */
	const char *summary;
	const char *text;
};

extern const struct option_info cli_options[OPT_COUNT];
extern const struct command_info cli_commands[COMMAND_COUNT];

/** One call of `tide`. */
struct cli {
	enum cli_command command;
	struct option_value options[OPT_COUNT];
	char **args; /* what is left of the command line behind the command and its options */
	int arg_count;
	const char *store_url;
	struct tide_store *store; /* in an action of cli_with_checkpoints: open */
	bool json;
	/* errno when standard output first refused something; 0: it has not, or nobody looked */
	int output_error;
};

/* ---- options.c: the command line ---- */

/** Read the command line. CLI_DONE, or CLI_USAGE when it was refused and said so. */
int options_parse(struct cli *cli, int argc, char **argv);
void options_fini(struct cli *cli);
/** Refuse a command that there is not, naming the nearest one. CLI_USAGE. */
int cli_unknown_command(struct cli *cli, const char *name);
/** A number that bounds a read; absent when the option is. */
struct tide_bound option_bound(const struct cli *cli, enum cli_option option);
/** The option's instant or UUID; NULL when it is absent. */
const struct tide_time *option_time(const struct cli *cli, enum cli_option option);
const struct tide_uuid *option_uuid(const struct cli *cli, enum cli_option option);
/** Find the option's text among the words of its argument in the table; `*ret` is its index, 0 when
 * the option is absent. CLI_DONE, CLI_USAGE. */
int option_choice(struct cli *cli, enum cli_option option, int *ret);
/** A number of 0 or more and nothing else. */
bool number_read(const char *text, int64_t *ret);
/** Read `Order/UUID` or `Order/name:anything`; the type is copied into `type`. TIDE_ARGUMENT. */
tide_status stream_parse(const char *text, char type[TIDE_NAME_MAX + 1], struct tide_stream *ret,
			 struct tide_error *err);
/** Read `Order/UUID` or `Order/name:anything`. The type is copied into `type`. CLI_DONE,
 * CLI_USAGE. */
int stream_read(struct cli *cli, const char *text, char type[TIDE_NAME_MAX + 1],
		struct tide_stream *ret);

/* ---- help.c: what the tables say, for people ---- */

void help_print(FILE *out);
void help_print_command(FILE *out, enum cli_command command);
void help_print_man(FILE *out);

/* ---- output.c: errors, lines of JSON, figures ---- */

/** Say on standard error what is wrong with the command line; returns CLI_USAGE. */
int cli_usage(struct cli *cli, const char *format, ...) TIDE_PRINTF(2, 3);
/** Say on standard error why the command failed; returns the exit status that fits. */
int cli_fail(struct cli *cli, const struct tide_error *err);
/** The same with members that a program may need, written by json_* calls: `,"actual":3` (no
 * braces). */
int cli_fail_with(struct cli *cli, const struct tide_error *err, const struct buffer *members);
int cli_exit_of(tide_status status);
/** The same for what ended a run: whatever it says of an event or a database, what the command was
 * given was right. CLI_UNAVAILABLE, CLI_FAILED. */
int cli_fail_run(struct cli *cli, const struct tide_error *err);
/** What an append of one event says, without its place in a commit, which nobody sees. */
const char *cli_message_of_event(const struct tide_error *err);
/** A remark on standard error; nothing with --json. */
void cli_note(struct cli *cli, const char *format, ...) TIDE_PRINTF(2, 3);
/** The log sink of every command; `self` is the struct cli. */
void cli_log(void *self, const struct tide_log_line *line);
/** Write one line of JSON, or of text, and release the buffer. CLI_DONE, CLI_FAILED. */
int cli_line(struct cli *cli, struct buffer *line);
/** Keep why standard output failed, if it has: the call behind that no longer knows. */
void output_note_error(struct cli *cli);
/** Write text that anybody may have made: on a terminal without the characters that it would
 * obey. */
void output_put(FILE *file, const char *text, size_t size);
/** Add the same for a terminal; of the controls below U+0020 only those `allowed` stay. */
void output_add_shown(struct buffer *buffer, const char *text, size_t size, const char *allowed);
/** Write the number with its thousands apart, into one of a few static buffers. */
const char *number_text(int64_t number);
/** Seconds as people say them: 0.42 s, 12 s, 3:05 min. Static buffers, too. */
const char *seconds_text(double seconds);
/** An instant without fraction and zone, or `-`. Static buffers, too. */
const char *time_text(bool is_known, struct tide_time time);

/** Say that memory is out. CLI_FAILED. */
int cli_out_of_memory(struct cli *cli);

/* ---- table.c: rows under heads ---- */

#define TABLE_COLUMNS 10

/** Rows under aligned columns; widths only grow from flush to flush, so that a long listing stays
 * readable. On a terminal a row is one line, cut at its width unless --wide is given. */
struct table {
	size_t columns;
	/* A first character says more: '>' to the right; '~' shortened in its middle where the
	 * width is short; '!' a word that has a colour; '|' the last one, continued below itself
	 * instead of cut. */
	const char *heads[TABLE_COLUMNS];
	char kinds[TABLE_COLUMNS]; /* that character, or 0 */
	size_t widths[TABLE_COLUMNS];
	char **cells;
	size_t count, capacity; /* cells */
	bool is_headed;         /* the heads were printed */
	bool failed;            /* memory is out */
};
void table_init(struct table *table, const char *const *heads);
/** Add one cell; rows fill from left to right. */
void table_add(struct table *table, const char *format, ...) TIDE_PRINTF(2, 3);
/** Print what was added since the last time. CLI_DONE, CLI_FAILED. */
int table_flush(struct cli *cli, struct table *table);
void table_fini(struct table *table);

/** How a row of some kind is told. */
struct table_kind {
	const char *const *heads;
	void (*cells)(struct table *table, const void *row); /* one for each head */
	void (*json)(struct buffer *line, const void *row);
};
/** Print an array of rows, each of `size` bytes: under heads, or with --json a line each. CLI_DONE,
 * CLI_FAILED. */
int table_print(struct cli *cli, const struct table_kind *kind, const void *rows, size_t size,
		size_t count);

/* ---- meter.c: a bar on standard error, when that is a terminal ---- */

struct meter {
	bool is_shown;
	bool is_drawn; /* once at least */
	int64_t total; /* units of `done`; 0: unknown */
	int64_t began_ns, drawn_ns;
	int64_t began_done;
	const char *verb;
};
void meter_begin(struct meter *meter, const char *verb, int64_t done, int64_t total);
void meter_show(struct meter *meter, int64_t done, int64_t events);
/** Draw it a last time and leave it there. */
void meter_end(struct meter *meter, int64_t done, int64_t events);
/** Seconds since meter_begin. */
double meter_seconds(const struct meter *meter);

/* ---- open.c: the store and the read model of a call ---- */

/** Open the store of the call; when it fails, `*ret_exit` is set after saying why. */
struct tide_store *cli_open(struct cli *cli, bool read_only, int *ret_exit);
/** A name of its own for a schema that is dropped again. */
#define CLI_SCRATCH_SIZE 40
void cli_scratch_name(const char *prefix, char ret[CLI_SCRATCH_SIZE]);
/** How much a command does to a database. */
enum cli_access {
	CLI_READ,      /* nothing: whoever may read it may call it */
	CLI_WRITE,     /* it changes rows */
	CLI_INITIALIZE /* it makes the tables of a read model, too */
};
/** Open the store to write, or to read where that is all that this user may. */
struct tide_store *cli_open_as_allowed(struct cli *cli, enum cli_access *ret_access, int *ret_exit);
/** Open the checkpoints of --into, or of the store. */
struct tide_checkpoints *cli_open_checkpoints(struct cli *cli, struct tide_store *store,
					      enum cli_access access, int *ret_exit);
/** What a command does with the checkpoints of --into, or of the store; the exit status. */
typedef int cli_action(struct cli *cli, struct tide_checkpoints *checkpoints);
/** Open the store and its checkpoints, do it, and close them. Its exit status, or that of what
 * could not be opened. */
int cli_with_checkpoints(struct cli *cli, cli_action *action, enum cli_access access);
struct tide_lease_info;
/** The lease of a projection, as far as the database keeps it. */
bool cli_find_lease(struct tide_checkpoints *checkpoints, const char *name,
		    struct tide_lease_info *ret);
/** Who owns a projection, as far as it is kept: ` (pid 12 on a host, since …, its lease ends in 4
 * s)`. A static buffer. */
const char *cli_owner_text(struct tide_checkpoints *checkpoints, const char *name);
/** Wait for appends that are open now, as --wait says: how far the feed is settled then. CLI_DONE,
 * or what failed. */
int cli_settle(struct cli *cli, struct tide_store *store, struct tide_horizon *ret);
/** When that was not far enough: say from where, and who holds it. CLI_DONE when it was,
 * CLI_UNAVAILABLE. */
int cli_fail_unsettled(struct cli *cli, const struct tide_horizon *horizon);
/** The same as a warning. */
void cli_warn_unsettled(struct cli *cli, const struct tide_horizon *horizon);

/* ---- run.c: running a manager until a signal ---- */

/** tide_manager_run_until_shutdown, once in a process; a signal that comes twice at once does not
 * end the command behind it. */
tide_status cli_run(struct tide_manager *manager, struct tide_shutdown_result *ret,
		    struct tide_error *err);

/* ---- events.c: events as lines, and the filters of read, tail and export ---- */

/** The filters of a call as a query; texts are borrowed from the call. */
struct event_filter {
	struct tide_query query;
	char aggregate_type[TIDE_NAME_MAX + 1]; /* of --stream */
};
int event_filter_read(struct cli *cli, struct event_filter *ret);

/** Where events are written. */
struct event_lines {
	struct cli *cli;
	bool is_json;
	struct buffer json;
	struct table table;
	int64_t count;
};
void event_lines_init(struct event_lines *lines, struct cli *cli, bool is_json);
int event_lines_add(struct event_lines *lines, const struct tide_event *event);
int event_lines_flush(struct event_lines *lines);
void event_lines_fini(struct event_lines *lines);

/* ---- the commands ---- */

#define COMMAND(id, name, run, arguments, fewest, most, summary, text) int run(struct cli *cli);
#include "cli/commands.def"
#undef COMMAND

#endif
