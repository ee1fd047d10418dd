/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A progress bar on standard error: how much is done, how many events, how fast, how long still.
 *
 * Nothing is drawn when standard error is no terminal, and nothing before half a second has passed, so that quick
 * commands stay quiet.
 */
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "sys/clock.h"

#define PROGRESS_QUIET_NS (NS_PER_SECOND / 2)
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
	progress->drawn_ns = progress->began_ns + PROGRESS_QUIET_NS - PROGRESS_REDRAW_NS;
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

void progress_show(struct progress *progress, int64_t done, int64_t events)
{
	int64_t now = progress->is_shown ? progress_now() : 0;
	char bar[PROGRESS_CELLS + 1];

	if (!progress->is_shown || now - progress->drawn_ns < PROGRESS_REDRAW_NS)
		return;
	progress->drawn_ns = now;
	double seconds = seconds_of_ns(now - progress->began_ns);
	int64_t rate = (int64_t)((double)events / seconds), moved = done - progress->began_done;
	if (progress->total <= 0) {
		fprintf(stderr, "\r%s  %s events  %s/s\033[K", progress->verb, number_text(events), number_text(rate));
		return;
	}
	double share = done >= progress->total ? 1 : (double)done / (double)progress->total;
	progress_bar(share, bar);
	fprintf(stderr, "\r%s [%s] %3d%%  %s events  %s/s", progress->verb, bar, (int)(share * 100),
		number_text(events), number_text(rate));
	if (moved > 0 && done < progress->total)
		fprintf(stderr, "  %s left", seconds_text(seconds * (double)(progress->total - done) / (double)moved));
	fputs("\033[K", stderr);
}

void progress_end(struct progress *progress)
{
	if (progress->is_shown && progress->drawn_ns > progress->began_ns + PROGRESS_QUIET_NS - PROGRESS_REDRAW_NS)
		fputs("\r\033[K", stderr);
	progress->is_shown = false;
}
