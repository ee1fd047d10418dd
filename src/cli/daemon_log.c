/* SPDX-License-Identifier: Apache-2.0 */
/* The log of `tide run`: text, or one JSON object a line; a level for each component. */
#include <string.h>

#include "cli/cli.h"
#include "cli/daemon.h"

/* One value of `key=value key='quoted, \' and \\ within'`; `*at` moves behind it. */
static void log_add_value(struct buffer *line, const char **at)
{
	struct buffer value = { 0 };
	const char *from = *at;
	bool is_quoted = *from == '\'' || *from == '"';
	char end = is_quoted ? *from : ' ';

	buffer_add(&value, "", 0);
	for (from += is_quoted; *from && *from != end; from++) {
		if (is_quoted && *from == '\\' && from[1])
			from++;
		buffer_add(&value, from, 1);
	}
	*at = from + (is_quoted && *from);
	json_text(line, (struct tide_text){ value.data ? value.data : "", value.size });
	line->failed |= value.failed;
	buffer_fini(&value);
}

static void log_add_fields(struct buffer *line, const char *fields)
{
	const char *at = fields + strspn(fields, " ");
	char key[64];

	while (*at) {
		size_t size = strcspn(at, "= ");
		if (at[size] != '=')
			break;
		snprintf(key, sizeof key, "%.*s", (int)size, at);
		at += size + 1;
		json_key(line, key);
		log_add_value(line, &at);
		at += strspn(at, " ");
	}
}

static void log_write_json(const struct tide_log_line *log)
{
	struct buffer line = { 0 };

	json_open(&line, '{');
	json_add_time(&line, "time", true, tide_time_now());
	json_add_string(&line, "level", tide_log_level_name(log->level));
	json_add_string(&line, "component", log->component);
	json_add_string(&line, "message", log->message);
	json_key(&line, "fields");
	json_open(&line, '{');
	log_add_fields(&line, log->fields);
	json_close(&line, '}');
	json_close(&line, '}');
	buffer_add(&line, "\n", 1);
	if (!line.failed)
		output_put(stderr, line.data, line.size);
	buffer_fini(&line);
}

void daemon_log_sink(void *self, const struct tide_log_line *line)
{
	struct daemon_log *log = self;

	mutex_lock(&log->lock);
	bool is_wanted = log_levels_want(&log->levels, line->component, line->level),
	     is_json = log->is_json;
	mutex_unlock(&log->lock);
	if (is_wanted && is_json)
		log_write_json(line);
	else if (is_wanted)
		cli_log(log->cli, line);
}

void daemon_log_set(struct daemon_log *log, const struct config_daemon *daemon)
{
	mutex_lock(&log->lock);
	log->levels = daemon->levels;
	log->is_json = daemon->is_json;
	mutex_unlock(&log->lock);
	tide_log_set(daemon_log_sink, log, log_levels_least(&daemon->levels));
}
