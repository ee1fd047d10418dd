/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tide types, streams, stats: what is in a store. Counts come from indexes where there are any;
 * how many events came lately is found by their positions, which follow their times.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/ask.h"

#define STREAMS_SHOWN 100
#define PAYLOADS_LOOKED_AT "1000"

typedef int stats_action(struct ask *ask);

static int stats_with(struct cli *cli, stats_action *action)
{
	struct ask ask;
	int exit;
	struct tide_store *store = cli_open(cli, true, &exit);
	if (!store)
		return exit;
	exit = ask_begin(&ask, cli, store);
	if (exit == CLI_DONE) {
		exit = action(&ask);
		ask_end(&ask);
	}
	tide_store_close(store);
	return exit;
}

/** Rows as lines. */
struct stats_lines {
	struct cli *cli;
	struct table table;
	const char *const *keys; /* of the columns; one with a '#' before it holds a number */
	int exit;
	int64_t count;
};

static bool stats_line(void *self, const char *const *columns)
{
	struct stats_lines *lines = self;
	struct buffer line = { 0 };
	lines->count++;
	if (!lines->cli->json) {
		for (size_t i = 0; lines->keys[i]; i++)
			table_add(&lines->table, "%s", columns[i] ? columns[i] : "-");
		return true;
	}

	json_open(&line, '{');
	for (size_t i = 0; lines->keys[i]; i++) {
		bool is_number = lines->keys[i][0] == '#';
		json_key(&line, lines->keys[i] + is_number);
		if (is_number)
			json_integer(&line, columns[i] ? strtoll(columns[i], NULL, 10) : 0);
		else
			json_string(&line, columns[i]);
	}
	json_close(&line, '}');
	lines->exit = cli_line(lines->cli, &line);
	return lines->exit == CLI_DONE;
}

static int stats_list(struct ask *ask, const char *sql, const char *value, const char *const *heads,
		      const char *const *keys)
{
	struct stats_lines lines = { .cli = ask->cli, .keys = keys, .exit = CLI_DONE };
	table_init(&lines.table, heads);
	int exit = ask_rows(ask, sql, value, stats_line, &lines);
	if (exit == CLI_DONE)
		exit = lines.exit;
	if (exit == CLI_DONE)
		exit = table_flush(ask->cli, &lines.table);
	table_fini(&lines.table);
	if (exit == CLI_DONE && lines.count == 0)
		cli_note(ask->cli, "no events");
	return exit;
}

static int types_run(struct ask *ask)
{
	static const char *const heads[] = { "event type", ">events", ">first at", ">last at",
					     NULL };
	static const char *const keys[] = { "event_type", "#events", "#global_position_first",
					    "#global_position_last", NULL };
	return stats_list(ask,
			  "SELECT event_type, count(*), min(global_position), max(global_position) "
			  "FROM events GROUP BY event_type ORDER BY 2 DESC, 1",
			  NULL, heads, keys);
}

static int streams_run(struct ask *ask)
{
	static const char *const heads[] = { "aggregate type", "aggregate id", ">version",
					     ">last at", NULL };
	static const char *const keys[] = { "aggregate_type", "aggregate_id", "#aggregate_version",
					    "#global_position", NULL };
	const struct option_value *limit = &ask->cli->options[OPT_STREAM_LIMIT];
	const char *type = ask->cli->arg_count ? ask->cli->args[0] : NULL;
	char sql[500];

	snprintf(sql, sizeof sql,
		 "SELECT aggregate_type, %s, max(version), max(last) FROM (SELECT aggregate_type, "
		 "aggregate_id, max(version) AS version, max(global_position) AS last FROM events "
		 "%s GROUP BY aggregate_id, aggregate_type) s GROUP BY 1, 2 ORDER BY 4 DESC LIMIT "
		 "%lld",
		 ask_either(ask, "lower(aggregate_id)", "aggregate_id::text"),
		 !type ? ""
		       : ask_either(ask, "WHERE aggregate_type = ?1",
				    "WHERE aggregate_type = $1::text"),
		 (long long)(limit->is_set ? limit->number : STREAMS_SHOWN));
	return stats_list(ask, sql, type, heads, keys);
}

/* ---- Figures --------------------------------------------------------------------------------- */

/** What is told of a whole store. */
struct stats {
	int64_t events, streams, types, position, bytes, payload_bytes;
	int64_t newest_second;
	bool has_time;
	int64_t in_minute, in_hour, in_day; /* events stored in the last one */
};

/** An event at or below a position. */
struct stats_event {
	int64_t position, second;
};

static bool stats_take_event(void *self, const char *const *columns)
{
	struct stats_event *event = self;
	event->position = columns[0] ? strtoll(columns[0], NULL, 10) : 0;
	event->second = columns[1] ? strtoll(columns[1], NULL, 10) : 0;
	return false;
}

static int stats_event_below(struct ask *ask, int64_t position, struct stats_event *ret)
{
	char text[24];
	snprintf(text, sizeof text, "%lld", (long long)position);
	*ret = (struct stats_event){ 0 };
	return ask_rows(ask,
			ask_either(ask,
				   "SELECT global_position, strftime('%s', created_at) FROM events "
				   "WHERE global_position <= CAST(?1 AS INTEGER) ORDER BY "
				   "global_position DESC LIMIT 1",
				   "SELECT global_position, floor(extract(epoch FROM "
				   "created_at))::int8 FROM events WHERE global_position <= "
				   "$1::int8 ORDER BY global_position DESC LIMIT 1"),
			text, stats_take_event, ret);
}

/* Positions behind the last event that is older than so many seconds, as many as events but for
 * holes: some twenty looks. */
static int stats_since(struct ask *ask, int64_t now, int64_t seconds, int64_t end, int64_t *ret)
{
	struct stats_event event;
	int64_t low = 0, high = end;
	int exit = CLI_DONE;

	while (low < high && exit == CLI_DONE) {
		int64_t middle = low + (high - low + 1) / 2;
		exit = stats_event_below(ask, middle, &event);
		if (exit == CLI_DONE && event.position > low && event.second > now - seconds)
			high = event.position - 1;
		else
			low = middle;
	}
	char text[24];
	snprintf(text, sizeof text, "%lld", (long long)low);
	return exit == CLI_DONE
		       ? ask_number(
				 ask,
				 ask_either(ask,
					    "SELECT count(*) FROM events WHERE global_position > "
					    "CAST(?1 AS INTEGER)",
					    "SELECT count(*) FROM events WHERE global_position > "
					    "$1::int8"),
				 text, ret)
		       : exit;
}

static int stats_count(struct ask *ask, struct stats *stats)
{
	const struct {
		const char *sql;
		int64_t *ret;
	} questions[] = {
		{ "SELECT count(*) FROM events", &stats->events },
		{ ask_either(ask,
			     "SELECT count(*) FROM (SELECT DISTINCT aggregate_type, "
			     "lower(aggregate_id) FROM (SELECT DISTINCT aggregate_type, "
			     "aggregate_id FROM events))",
			     "SELECT count(*) FROM (SELECT DISTINCT aggregate_type, aggregate_id "
			     "FROM events) s"),
		  &stats->streams },
		{ "SELECT count(*) FROM (SELECT DISTINCT event_type FROM events) t",
		  &stats->types },
		{ "SELECT COALESCE(max(global_position), 0) FROM events", &stats->position },
		{ ask_either(ask,
			     "SELECT avg(length(CAST(payload AS BLOB))) FROM (SELECT payload FROM "
			     "events ORDER BY global_position DESC LIMIT " PAYLOADS_LOOKED_AT ")",
			     "SELECT avg(octet_length(payload::text))::int8 FROM (SELECT payload "
			     "FROM events ORDER BY global_position DESC LIMIT " PAYLOADS_LOOKED_AT
			     ") p"),
		  &stats->payload_bytes },
		{ ask_either(ask,
			     "SELECT page_count * page_size FROM pragma_page_count(), "
			     "pragma_page_size()",
			     "SELECT pg_total_relation_size('events')"),
		  &stats->bytes },
	};

	int exit = CLI_DONE;
	for (size_t i = 0; i < sizeof questions / sizeof *questions && exit == CLI_DONE; i++)
		exit = ask_number(ask, questions[i].sql, NULL, questions[i].ret);
	return exit;
}

static int stats_read(struct ask *ask, struct stats *stats)
{
	struct stats_event newest;
	int64_t now = tide_time_now().unix_us / 1000000;
	int exit = stats_count(ask, stats);
	if (exit == CLI_DONE)
		exit = stats_event_below(ask, stats->position, &newest);
	if (exit != CLI_DONE)
		return exit;

	stats->has_time = newest.position > 0;
	stats->newest_second = newest.second;
	exit = stats_since(ask, now, 60, stats->position, &stats->in_minute);
	if (exit == CLI_DONE)
		exit = stats_since(ask, now, 3600, stats->position, &stats->in_hour);
	if (exit == CLI_DONE)
		exit = stats_since(ask, now, 86400, stats->position, &stats->in_day);
	return exit;
}

static void stats_json(const struct stats *stats, struct buffer *line)
{
	const struct {
		const char *key;
		int64_t value;
	} numbers[] = {
		{ "events", stats->events },
		{ "streams", stats->streams },
		{ "event_types", stats->types },
		{ "global_position", stats->position },
		{ "events_last_minute", stats->in_minute },
		{ "events_last_hour", stats->in_hour },
		{ "events_last_day", stats->in_day },
		{ "payload_bytes", stats->payload_bytes },
		{ "store_bytes", stats->bytes },
	};

	json_open(line, '{');
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
		json_add_integer(line, numbers[i].key, numbers[i].value);
	}
	json_add_time(line, "last_stored_at", stats->has_time,
		      (struct tide_time){ stats->newest_second * 1000000 });
	json_close(line, '}');
}

static int stats_run(struct ask *ask)
{
	struct stats stats = { 0 };
	struct buffer line = { 0 };
	int exit = stats_read(ask, &stats);
	if (exit != CLI_DONE)
		return exit;
	if (ask->cli->json) {
		stats_json(&stats, &line);
		return cli_line(ask->cli, &line);
	}

	struct tide_time last = { stats.newest_second * 1000000 };
	buffer_format(&line, "%s events of %s types in %s streams, up to position %lld\n",
		      number_text(stats.events), number_text(stats.types),
		      number_text(stats.streams), (long long)stats.position);
	buffer_format(&line, "stored in the last minute %s, hour %s, day %s; the newest at %s\n",
		      number_text(stats.in_minute), number_text(stats.in_hour),
		      number_text(stats.in_day), time_text(stats.has_time, last));
	buffer_format(&line, "%s KiB; payloads of %s bytes lately",
		      number_text((stats.bytes + 1023) / 1024), number_text(stats.payload_bytes));
	return cli_line(ask->cli, &line);
}

int cmd_types(struct cli *cli)
{
	return stats_with(cli, types_run);
}

int cmd_streams(struct cli *cli)
{
	return stats_with(cli, streams_run);
}

int cmd_stats(struct cli *cli)
{
	return stats_with(cli, stats_run);
}
