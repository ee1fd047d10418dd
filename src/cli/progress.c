/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A progress bar on standard error: how much is done, how many events, how fast, how long still.
 *
 * Nothing is drawn when standard error is no terminal. What was done stands there at the end.
 */
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "sys/clock.h"

#define PROGRESS_REDRAW_NS (NS_PER_SECOND / 10)
#define PROGRESS_CELLS 24

static int64_t progress_now(void)
{
	return clock_mono(&clock_system).ns;
}

void progress_begin(struct progress *progress, const char *verb, int64_t done, int64_t total)
{
	*progress = (struct progress){ .is_shown = isatty(STDERR_FILENO) == 1,
				       .total = total,
				       .began_ns = progress_now(),
				       .began_done = done,
				       .verb = verb };
}

double progress_seconds(const struct progress *progress)
{
	return seconds_of_ns(progress_now() - progress->began_ns);
}

static void progress_bar(double share, char bar[PROGRESS_CELLS + 1])
{
	int full = (int)(share * PROGRESS_CELLS);

	memset(bar, '.', PROGRESS_CELLS);
	memset(bar, '=', (size_t)full);
	if (full < PROGRESS_CELLS)
		bar[full] = '>';
	bar[PROGRESS_CELLS] = '\0';
}

static void progress_draw(const struct progress *progress, int64_t done, int64_t events, double seconds)
{
	int64_t rate = (int64_t)((double)events / (seconds > 0 ? seconds : 1)), moved = done - progress->began_done;
	double share = done >= progress->total ? 1 : (double)done / (double)progress->total;
	char bar[PROGRESS_CELLS + 1];

	fputc('\r', stderr);
	output_put(stderr, progress->verb, strlen(progress->verb));
	fputc(' ', stderr);
	if (progress->total > 0) {
		progress_bar(share, bar);
		fprintf(stderr, "[%s] %3d%% ", bar, (int)(share * 100));
	}
	fprintf(stderr, " %s events  %s/s", number_text(events), number_text(rate));
	if (moved > 0 && done < progress->total)
		fprintf(stderr, "  %s left", seconds_text(seconds * (double)(progress->total - done) / (double)moved));
	fputs("\033[K", stderr);
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
	progress_draw(progress, done, events, progress_seconds(progress));
	fputc('\n', stderr);
	progress->is_shown = false;
}
