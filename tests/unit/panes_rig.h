/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_TESTS_UNIT_PANES_RIG_H
#define TIDE_TESTS_UNIT_PANES_RIG_H

/* Readers of panes, and a store whose every position is an event. */

#include <string.h>

#include "lib/build.h"
#include "path/panes.h"

#define MB ((int64_t)1 << 20)

/** One reader: its place, and a page for what it takes. */
struct one {
	struct panes_reader reader;
	struct wakeup wakeup;
	struct tide_page page;
	struct tide_filter filter;
	struct panes_turn turn;
	tide_position at;
};

struct panes *panes_made(void);
void one_make(struct one *one, int64_t max_bytes);
void one_end(struct panes *panes, struct one *one);

/** Ask as a feed does, for a page of 100 events. */
enum panes_answer ask_by(struct panes *panes, struct one *one, int64_t ns, uint64_t losses);
enum panes_answer ask_at(struct panes *panes, struct one *one, int64_t ms, uint64_t losses);
enum panes_answer ask(struct panes *panes, struct one *one);
/** The same, for one whose history is read ahead. */
enum panes_answer ask_ahead(struct panes *panes, struct one *one);

/** Read what comes behind a position, of events up to `end` with payloads of `size` bytes. */
void read_into(struct tide_page *page, tide_position after, tide_position end, size_t size);
/** What who was told to does: read it, hand it over, take its own. */
void fill(struct panes *panes, struct one *one, tide_position end, size_t size);
/** Fails the test unless these are the positions that it has taken last. */
void has(const struct one *one, tide_position first, tide_position last);

#endif
