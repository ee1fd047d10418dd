/* SPDX-License-Identifier: Apache-2.0 */
/* Events as lines of JSON or rows of a table, and the filters that `read`, `tail` and `export`
 * share. */
#include <errno.h>
#include <string.h>

#include "cli/cli.h"
#include "core/event.h"

#define LINES_BEFORE_FLUSH 100

int event_filter_read(struct cli *cli, struct event_filter *ret)
{
	const struct option_value *stream = &cli->options[OPT_OF_STREAM];
	int from = cli->options[OPT_SINCE].is_set ? OPT_SINCE : OPT_FROM_TIME;

	*ret = (struct event_filter){
		.query = {
			.of_stream = stream->is_set,
			.backward = cli->options[OPT_BACKWARD].is_set,
			.after = option_bound(cli, OPT_AFTER),
			.before = option_bound(cli, OPT_BEFORE),
			.limit = option_bound(cli, OPT_LIMIT),
			.event_types = cli->options[OPT_TYPE].texts,
			.aggregate_types = cli->options[OPT_AGGREGATE_TYPE].texts,
			.tenant_id = option_uuid(cli, OPT_OF_TENANT),
			.occurred_from = option_time(cli, from),
			.occurred_until = option_time(cli, OPT_UNTIL),
		},
	};
	if (ret->query.before.is_set && !ret->query.backward)
		return cli_usage(cli, "--before needs --backward");
	if (ret->query.after.is_set && ret->query.backward)
		return cli_usage(cli, "--after does not go with --backward; use --before");
	if (!stream->is_set)
		return CLI_DONE;
	if (ret->query.event_types || ret->query.aggregate_types || ret->query.tenant_id)
		return cli_usage(cli, "--stream goes with no filter but --from and --until");
	return stream_read(cli, stream->text, ret->aggregate_type, &ret->query.stream);
}

static const char *const lines_heads[] = { ">position", "occurred at", "~stream", ">version",
					   "type",      "payload",     NULL };

void event_lines_init(struct event_lines *lines, struct cli *cli, bool is_json)
{
	*lines = (struct event_lines){ .cli = cli, .is_json = is_json };
	table_init(&lines->table, lines_heads);
}

static void lines_add_row(struct event_lines *lines, const struct tide_event *event)
{
	char id[TIDE_UUID_TEXT_SIZE];

	table_add(&lines->table, "%lld", (long long)event->position);
	table_add(&lines->table, "%s", time_text(true, event->occurred_at));
	table_add(&lines->table, "%s/%s", event->aggregate_type.data,
		  tide_uuid_format(&event->aggregate_id, id));
	table_add(&lines->table, "%d", (int)event->version);
	table_add(&lines->table, "%s", event->event_type.data);
	table_add(&lines->table, "%s", event->payload.data);
}

int event_lines_add(struct event_lines *lines, const struct tide_event *event)
{
	lines->count++;
	if (!lines->is_json) {
		lines_add_row(lines, event);
		return lines->count % LINES_BEFORE_FLUSH == 0
			       ? table_flush(lines->cli, &lines->table)
			       : CLI_DONE;
	}

	lines->json.size = 0; /* one buffer for all lines */
	event_write_json(&lines->json, event);
	if (lines->json.failed)
		return cli_line(lines->cli, &lines->json);

	output_put(stdout, lines->json.data, lines->json.size);
	putc('\n', stdout);
	output_note_error(lines->cli);
	return CLI_DONE;
}

int event_lines_flush(struct event_lines *lines)
{
	int exit = table_flush(lines->cli, &lines->table);

	(void)fflush(stdout);
	output_note_error(lines->cli);
	return exit;
}

void event_lines_fini(struct event_lines *lines)
{
	table_fini(&lines->table);
	buffer_fini(&lines->json);
}
