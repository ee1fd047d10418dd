/* SPDX-License-Identifier: Apache-2.0 */
/* Pages of history that are read ahead of who needs them. */
#include "panes_rig.h"

#include <stdatomic.h>

#include "lib/wait.h"
#include "path/ahead.h"
#include "path/store.h"
#include "sys/thread.h"

/** A reader whose history is read ahead; it has read the first pane itself, of `end` events. */
static struct panes *ahead_begin(struct one *one, tide_position end)
{
	struct panes *panes = panes_made();
	one_make(one, 16 * MB);
	assert_int_equal(ask_ahead(panes, one), PANES_FILL);
	fill(panes, one, end, 10);
	return panes;
}

static void ahead_end(struct panes *panes, struct one *one)
{
	one_end(panes, one);
	assert_int_equal(panes_bytes(panes), 0);
	panes_free(panes);
}

/* What the thread does that reads ahead, of events of a size. */
static bool read_next_of(struct panes *panes, tide_position end, size_t size,
			 tide_position *ret_after)
{
	struct panes_turn turn;
	if (!panes_next(panes, 0, &turn))
		return false;
	*ret_after = turn.after;
	read_into(panes_page(turn.pane), turn.after, end, size);
	panes_filled(panes, turn.pane, true, 0);
	panes_let_go(panes, turn.pane);
	return true;
}

static bool read_next(struct panes *panes, tide_position end, tide_position *ret_after)
{
	return read_next_of(panes, end, 10, ret_after);
}

static void what_comes_next_is_read_ahead_of_who_wishes_it(void **state)
{
	(void)state;
	struct panes *panes = panes_made();
	struct one one;
	tide_position after;
	one_make(&one, 16 * MB);
	assert_int_equal(ask(panes, &one), PANES_ALONE); /* it does not wish it */
	assert_false(read_next(panes, 5000, &after));
	assert_int_equal(ask_ahead(panes, &one), PANES_FILL);
	assert_false(read_next(panes, 5000, &after)); /* it reads itself */
	fill(panes, &one, 5000, 10);
	has(&one, 1, 100);
	assert_true(read_next(panes, 5000, &after));
	assert_int_equal(after, 1000);
	assert_true(read_next(panes, 5000, &after));
	assert_int_equal(after, 2000);
	assert_false(read_next(panes, 5000, &after)); /* enough is there */

	for (int i = 1; i < 10; i++)
		assert_int_equal(ask_ahead(panes, &one), PANES_FULL);
	has(&one, 901, 1000);
	assert_int_equal(ask_ahead(panes, &one), PANES_FULL);
	has(&one, 1001, 1100);
	assert_true(read_next(panes, 5000, &after));
	assert_int_equal(after, 3000);
	one_end(panes, &one);
	assert_false(read_next(panes, 5000, &after));
	panes_free(panes);
}

static void nothing_is_read_ahead_of_the_end(void **state)
{
	(void)state;
	struct one one;
	tide_position after;
	struct panes *panes = ahead_begin(&one, 1050);
	assert_true(read_next(panes, 1050, &after));
	for (int i = 1; i < 10; i++)
		assert_int_equal(ask_ahead(panes, &one), PANES_FULL);
	assert_int_equal(ask_ahead(panes, &one), PANES_ALONE);
	has(&one, 1001, 1050);
	assert_false(one.page.is_end); /* that it sees for itself */
	assert_false(read_next(panes, 1050, &after));
	ahead_end(panes, &one);
}

static void who_waits_for_what_was_not_read_ahead_reads_it(void **state)
{
	(void)state;
	struct one one;
	struct panes_turn turn;
	struct panes *panes = ahead_begin(&one, 5000);
	assert_true(panes_next(panes, 0, &turn));
	one.at = 1000;
	assert_int_equal(ask_ahead(panes, &one), PANES_WAIT);
	assert_false(wakeup_is_rung(&one.wakeup));
	panes_filled(panes, turn.pane, false, 0);
	assert_true(wakeup_is_rung(&one.wakeup));
	assert_int_equal(ask_ahead(panes, &one), PANES_FILL);
	panes_filled(panes, one.turn.pane, false, 0);
	ahead_end(panes, &one);
}

static void what_was_read_ahead_before_a_loss_is_void(void **state)
{
	(void)state;
	struct one one;
	struct panes_turn turn;
	struct panes *panes = ahead_begin(&one, 5000);
	assert_true(panes_next(panes, 0, &turn));
	read_into(panes_page(turn.pane), turn.after, 5000, 10);
	panes_filled(panes, turn.pane, true, 1); /* of which connection it is, nobody knows */
	panes_let_go(panes, turn.pane);
	one.at = 1000;
	assert_int_equal(ask_ahead(panes, &one), PANES_FILL);
	panes_filled(panes, one.turn.pane, false, 0);
	assert_int_equal(ask_ahead(panes, &one), PANES_FILL);
	fill(panes, &one, 5000, 10);
	assert_int_equal(one.at, 1100);
	assert_true(panes_next(panes, 1, &turn)); /* and what was read before is gone */
	assert_int_equal(turn.after, 1100);
	panes_filled(panes, turn.pane, false, 1);
	ahead_end(panes, &one);
}

static void what_is_read_ahead_of_who_leaves_is_not_kept(void **state)
{
	(void)state;
	struct one one;
	struct panes_turn turn;
	struct panes *panes = ahead_begin(&one, 5000);
	assert_true(panes_next(panes, 0, &turn));
	one_end(panes, &one);
	read_into(panes_page(turn.pane), turn.after, 5000, 10);
	panes_filled(panes, turn.pane, true, 0);
	panes_let_go(panes, turn.pane);
	assert_int_equal(panes_bytes(panes), 0);
	panes_free(panes);
}

static void reading_ahead_takes_no_more_room_than_there_is(void **state)
{
	(void)state;
	struct panes *panes = panes_made();
	struct one one;
	tide_position after;
	one_make(&one, 256 * 1024);
	assert_int_equal(ask_ahead(panes, &one), PANES_FILL);
	fill(panes, &one, 100000, 2000);
	size_t least = panes_bytes(panes);
	while (read_next(panes, 100000, &after))
		assert_in_range(panes_bytes(panes), least, 256 * 1024);
	ahead_end(panes, &one);
}

/* Else it would be read for ever, and who is to read it would wait each time. */
static void what_found_no_room_is_read_ahead_again_once_there_is_room(void **state)
{
	(void)state;
	struct panes *panes = panes_made();
	struct one one;
	tide_position after;
	one_make(&one, MB);
	assert_int_equal(ask_ahead(panes, &one), PANES_FILL);
	fill(panes, &one, 100, 400 * 1024);
	has(&one, 1, 1);
	for (tide_position at = 1; at <= 3; at++) {
		assert_true(read_next_of(panes, 100, 400 * 1024, &after));
		assert_int_equal(after, at);
	}
	assert_in_range(panes_bytes(panes), 800 * 1024, MB); /* the third one is not kept */
	assert_false(read_next_of(panes, 100, 400 * 1024, &after));

	for (tide_position at = 2; at <= 4; at++) {
		panes_stand(panes, &one.reader, at, false);
		assert_true(read_next_of(panes, 100, 400 * 1024, &after));
		assert_int_equal(after, at + 1);
		assert_in_range(panes_bytes(panes), 800 * 1024, MB);
		assert_true(read_next_of(panes, 100, 400 * 1024, &after));
		assert_int_equal(after, at + 2);
		assert_false(read_next_of(panes, 100, 400 * 1024, &after));
	}
	ahead_end(panes, &one);
}

static void what_is_more_than_all_the_room_is_not_read_ahead_again(void **state)
{
	(void)state;
	struct panes *panes = panes_made();
	struct one one;
	tide_position after;
	one_make(&one, MB);
	assert_int_equal(ask_ahead(panes, &one), PANES_FILL);
	fill(panes, &one, 100, 2 * MB);
	has(&one, 1, 1);
	assert_int_equal(panes_bytes(panes), 0);
	assert_true(read_next_of(panes, 100, 2 * MB, &after));
	assert_int_equal(panes_bytes(panes), 0);
	assert_false(read_next_of(panes, 100, 2 * MB, &after));
	assert_int_equal(ask_ahead(panes, &one), PANES_FILL); /* it is for who needs it */
	fill(panes, &one, 100, 2 * MB);
	has(&one, 2, 2);
	ahead_end(panes, &one);
}

/* ---- Its thread ------------------------------------------------------------------------------ */

#define A_WHILE 50 /* moments, in which who need not wait would be done */

static struct thread closer;
static struct tide_store *closed;
static atomic_int resets; /* of wakeups, done; before the second one the store is closed */

unsigned __real_wakeup_reset(struct wakeup *wakeup);
unsigned __wrap_wakeup_reset(struct wakeup *wakeup);

static void close_store(void *store)
{
	tide_store_close(store);
}

unsigned __wrap_wakeup_reset(struct wakeup *wakeup)
{
	if (atomic_load(&resets) == 1) {
		must(thread_start(&closer, "closes", close_store, closed, err));
		for (int i = 0; i < A_WHILE; i++)
			wait_a_moment();
	}
	unsigned sources = __real_wakeup_reset(wakeup);
	atomic_fetch_add(&resets, 1);
	return sources;
}

/* Else the close waits for it for ever. */
static void who_reads_ahead_ends_whatever_moment_the_store_is_closed_at(void **state)
{
	(void)state;
	must(tide_store_open("memory:", NULL, &closed, err));
	ahead_ask(closed->ahead);
	wait_for(10, atomic_load(&resets) == 1);
	ahead_ask(closed->ahead);
	wait_for(10, atomic_load(&resets) == 2);
	thread_join(&closer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_comes_next_is_read_ahead_of_who_wishes_it),
		cmocka_unit_test(nothing_is_read_ahead_of_the_end),
		cmocka_unit_test(who_waits_for_what_was_not_read_ahead_reads_it),
		cmocka_unit_test(what_was_read_ahead_before_a_loss_is_void),
		cmocka_unit_test(what_is_read_ahead_of_who_leaves_is_not_kept),
		cmocka_unit_test(reading_ahead_takes_no_more_room_than_there_is),
		cmocka_unit_test(what_found_no_room_is_read_ahead_again_once_there_is_room),
		cmocka_unit_test(what_is_more_than_all_the_room_is_not_read_ahead_again),
		cmocka_unit_test(who_reads_ahead_ends_whatever_moment_the_store_is_closed_at),
	};
	return cmocka_run_group_tests_name("ahead", tests, NULL, NULL);
}
