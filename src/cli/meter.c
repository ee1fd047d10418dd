/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A progress bar on standard error: how much is done, how many events, how fast, how long still.
 *
 * It fits the terminal's width: the bar gives way first, then what stands at the end. Nothing is
 * drawn where standard error is no terminal or a dumb one, and nothing of what was over before it
 * could be drawn. What was done stands there at the end.
 */
#include <string.h>

#include "cli/cli.h"
#include "cli/terminal.h"
#include "sys/clock.h"

#define METER_REDRAW_NS (NS_PER_SECOND / 10)
#define METER_CELLS 24
#define METER_CELLS_LEAST 6

static int64_t meter_now(void)
{
	return clock_mono(&clock_system).ns;
}

void meter_begin(struct meter *meter, const char *verb, int64_t done, int64_t total)
{
	*meter = (struct meter){ .is_shown = terminal_obeys(stderr),
				 .total = total,
				 .began_ns = meter_now(),
				 .began_done = done,
				 .verb = verb };
}

double meter_seconds(const struct meter *meter)
{
	return seconds_of_ns(meter_now() - meter->began_ns);
}

static void meter_bar(double share, size_t cells, char bar[METER_CELLS + 1])
{
	size_t full = (size_t)(share * (double)cells);

	memset(bar, '.', cells);
	memset(bar, '=', full);
	if (full < cells)
		bar[full] = '>';
	bar[cells] = '\0';
}

/* How far, how many events, how fast, how long still. */
static void meter_figures(struct buffer *text, const struct meter *meter, int64_t done,
			  int64_t events, double seconds)
{
	int64_t rate = (int64_t)((double)events / (seconds > 0 ? seconds : 1)),
		moved = done - meter->began_done;

	if (meter->total > 0)
		buffer_format(text, "%3d%%  ",
			      done >= meter->total
				      ? 100
				      : (int)(100 * (double)done / (double)meter->total));
	buffer_format(text, "%s events  %s/s", number_text(events), number_text(rate));
	if (moved > 0 && done < meter->total)
		buffer_format(
			text, "  %s left",
			seconds_text(seconds * (double)(meter->total - done) / (double)moved));
}

static void meter_draw(struct meter *meter, int64_t done, int64_t events, double seconds)
{
	/* the last column stays free: some terminals begin a new line when it is written */
	size_t width = terminal_width(stderr) - 1, columns, size;
	double share = done >= meter->total ? 1 : (double)done / (double)meter->total;
	struct buffer line = { 0 }, figures = { 0 };
	char bar[METER_CELLS + 1];

	meter_figures(&figures, meter, done, events, seconds);
	output_add_shown(&line, meter->verb, strlen(meter->verb), "");
	/* blanks and brackets */
	size_t taken = (line.failed ? 0 : terminal_columns(line.data)) + figures.size + 4;
	size_t cells = taken >= width ? 0 : width - taken;
	if (cells > METER_CELLS)
		cells = METER_CELLS;
	if (meter->total > 0 && cells >= METER_CELLS_LEAST) {
		meter_bar(share, cells, bar);
		buffer_format(&line, " [%s]", bar);
	}
	buffer_format(&line, " %s", figures.failed ? "" : figures.data);
	if (!line.failed) {
		size = terminal_fit(line.data, line.size, width, &columns);
		fprintf(stderr, "\r%.*s" TERMINAL_ERASE, (int)size, line.data);
	}
	meter->is_drawn = true;
	buffer_fini(&line);
	buffer_fini(&figures);
}

void meter_show(struct meter *meter, int64_t done, int64_t events)
{
	if (!meter->is_shown)
		return;
	int64_t now = meter_now();
	if (now - meter->drawn_ns < METER_REDRAW_NS)
		return;
	meter->drawn_ns = now;
	meter_draw(meter, done, events, seconds_of_ns(now - meter->began_ns));
}

void meter_end(struct meter *meter, int64_t done, int64_t events)
{
	if (!meter->is_shown)
		return;
	if (meter->is_drawn || events > 0) {
		meter_draw(meter, done, events, meter_seconds(meter));
		fputc('\n', stderr);
	}
	meter->is_shown = false;
}
