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

#define PROGRESS_REDRAW_NS (NS_PER_SECOND / 10)
#define PROGRESS_CELLS 24
#define PROGRESS_CELLS_LEAST 6

static int64_t progress_now(void)
{
	return clock_mono(&clock_system).ns;
}

void progress_begin(struct progress *progress, const char *verb, int64_t done, int64_t total)
{
	*progress = (struct progress){ .is_shown = terminal_obeys(stderr),
				       .total = total,
				       .began_ns = progress_now(),
				       .began_done = done,
				       .verb = verb };
}

double progress_seconds(const struct progress *progress)
{
	return seconds_of_ns(progress_now() - progress->began_ns);
}

static void progress_bar(double share, size_t cells, char bar[PROGRESS_CELLS + 1])
{
	size_t full = (size_t)(share * (double)cells);

	memset(bar, '.', cells);
	memset(bar, '=', full);
	if (full < cells)
		bar[full] = '>';
	bar[cells] = '\0';
}

/* How far, how many events, how fast, how long still. */
static void progress_figures(struct buffer *text, const struct progress *progress, int64_t done,
			     int64_t events, double seconds)
{
	int64_t rate = (int64_t)((double)events / (seconds > 0 ? seconds : 1)),
		moved = done - progress->began_done;

	if (progress->total > 0)
		buffer_format(text, "%3d%%  ",
			      done >= progress->total
				      ? 100
				      : (int)(100 * (double)done / (double)progress->total));
	buffer_format(text, "%s events  %s/s", number_text(events), number_text(rate));
	if (moved > 0 && done < progress->total)
		buffer_format(
			text, "  %s left",
			seconds_text(seconds * (double)(progress->total - done) / (double)moved));
}

static void progress_draw(struct progress *progress, int64_t done, int64_t events, double seconds)
{
	/* the last column stays free: some terminals begin a new line when it is written */
	size_t width = terminal_width(stderr) - 1, columns, size;
	double share = done >= progress->total ? 1 : (double)done / (double)progress->total;
	struct buffer line = { 0 }, figures = { 0 };
	char bar[PROGRESS_CELLS + 1];

	progress_figures(&figures, progress, done, events, seconds);
	output_add_shown(&line, progress->verb, strlen(progress->verb), "");
	/* blanks and brackets */
	size_t taken = (line.failed ? 0 : terminal_columns(line.data)) + figures.size + 4;
	size_t cells = taken >= width ? 0 : width - taken;
	if (cells > PROGRESS_CELLS)
		cells = PROGRESS_CELLS;
	if (progress->total > 0 && cells >= PROGRESS_CELLS_LEAST) {
		progress_bar(share, cells, bar);
		buffer_format(&line, " [%s]", bar);
	}
	buffer_format(&line, " %s", figures.failed ? "" : figures.data);
	if (!line.failed) {
		size = terminal_fit(line.data, line.size, width, &columns);
		fprintf(stderr, "\r%.*s" TERMINAL_ERASE, (int)size, line.data);
	}
	progress->is_drawn = true;
	buffer_fini(&line);
	buffer_fini(&figures);
}

void progress_show(struct progress *progress, int64_t done, int64_t events)
{
	if (!progress->is_shown)
		return;
	int64_t now = progress_now();
	if (now - progress->drawn_ns < PROGRESS_REDRAW_NS)
		return;
	progress->drawn_ns = now;
	progress_draw(progress, done, events, seconds_of_ns(now - progress->began_ns));
}

void progress_end(struct progress *progress, int64_t done, int64_t events)
{
	if (!progress->is_shown)
		return;
	if (progress->is_drawn || events > 0) {
		progress_draw(progress, done, events, progress_seconds(progress));
		fputc('\n', stderr);
	}
	progress->is_shown = false;
}
