/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What lanes of another number inherit: the rule, and families whose number changes again and again
 * while their lanes are anywhere, by seed.
 *
 *	unit-inherit [SEEDS [FIRST_SEED]]
 */
#include "policy/inherit.h"

#include <stdlib.h>

#include "sys/random.h"
#include "unit.h"

static void lanes_concern_each_other_when_an_aggregate_falls_to_both(void **state)
{
	(void)state;
	for (uint32_t a = 1; a <= 12; a++)
		for (uint32_t b = 1; b <= 12; b++)
			for (uint32_t i = 0; i < a; i++)
				for (uint32_t j = 0; j < b; j++) {
					bool is_common = false;
					for (uint64_t hash = 0; hash < a * b; hash++)
						is_common |= hash % a == i && hash % b == j;
					assert_int_equal(
						inherit_concerns((struct inherit_lane){ i, a },
								 (struct inherit_lane){ j, b }),
						is_common);
				}
}

static const struct inherit_row three[] = { { { 0, 3 }, true, 90 },
					    { { 1, 3 }, true, 40 },
					    { { 2, 3 }, true, 70 } };

static void a_lane_begins_behind_the_least_that_concerns_it(void **state)
{
	(void)state;
	assert_int_equal(inherit_begin(three, 3, 3, (struct inherit_lane){ 2, 5 }, 7), 40);
	assert_int_equal(inherit_begin(three, 3, 3, (struct inherit_lane){ 0, 6 }, 7), 90);
	assert_int_equal(inherit_begin(three, 3, 3, (struct inherit_lane){ 5, 6 }, 7), 70);
	assert_int_equal(inherit_begin(three, 3, 3, (struct inherit_lane){ 0, 1 }, 7), 40);
	assert_int_equal(inherit_begin(NULL, 0, 1, (struct inherit_lane){ 3, 8 }, 7), 7);
}

static void a_row_without_a_position_or_none_at_all_begins_as_start_from_says(void **state)
{
	(void)state;
	struct inherit_row rows[] = { { { 0, 1 }, false, 500 } };
	assert_int_equal(inherit_begin(rows, 1, 1, (struct inherit_lane){ 3, 8 }, 7), 7);
	assert_int_equal(inherit_begin(three, 2, 3, (struct inherit_lane){ 0, 2 }, 7), 7);
	assert_int_equal(inherit_begin(three, 2, 3, (struct inherit_lane){ 0, 2 }, 60), 40);
	assert_int_equal(inherit_begin(three, 2, 3, (struct inherit_lane){ 1, 6 }, 7), 40);
	assert_false(inherit_passes(rows, 1, 3, 100));
}

static void a_number_that_comes_back_goes_on_from_its_own_rows(void **state)
{
	(void)state;
	static const struct inherit_row rows[] = { { { 0, 2 }, true, 80 },
						   { { 0, 3 }, true, 20 },
						   { { 1, 3 }, true, 30 },
						   { { 2, 3 }, true, 95 } };
	assert_int_equal(inherit_begin(rows, 4, 3, (struct inherit_lane){ 0, 2 }, 0), 80);
	assert_int_equal(inherit_begin(rows, 4, 3, (struct inherit_lane){ 1, 2 }, 0), 20);
	assert_int_equal(inherit_begin(rows, 4, 3, (struct inherit_lane){ 0, 4 }, 0), 80);
	assert_int_equal(inherit_begin(rows, 4, 3, (struct inherit_lane){ 5, 6 }, 0), 95);
}

static void an_event_is_settled_when_any_row_it_falls_to_has_reached_it(void **state)
{
	(void)state;
	assert_true(inherit_passes(three, 3, 12, 60));
	assert_true(inherit_passes(three, 3, 12, 90));
	assert_false(inherit_passes(three, 3, 12, 91));
	assert_false(inherit_passes(three, 3, 7, 60));
	assert_true(inherit_passes(three, 3, 7, 40));
	assert_false(inherit_passes(NULL, 0, 7, 1));
}

static void a_lane_keeps_only_the_rows_that_lead_beyond_it(void **state)
{
	(void)state;
	struct inherit_row rows[] = { three[0], three[1], three[2], { { 0, 4 }, false, 0 } };
	assert_int_equal(inherit_choose(rows, 4, (struct inherit_lane){ 2, 5 }, 40), 2);
	assert_int_equal(rows[0].position, 90);
	assert_int_equal(rows[1].position, 70);
	assert_int_equal(inherit_choose(rows, 2, (struct inherit_lane){ 3, 6 }, 70), 1);
	assert_int_equal(inherit_choose(rows, 1, (struct inherit_lane){ 3, 6 }, 90), 0);
}

static void an_old_row_is_spent_when_all_that_it_concerns_have_passed_it(void **state)
{
	(void)state;
	struct inherit_row rows[] = { { { 0, 2 }, true, 70 }, { { 1, 2 }, true, 69 } };
	assert_true(inherit_is_spent(&three[1], rows, 2, 2));
	assert_false(inherit_is_spent(&three[2], rows, 2, 2));
	rows[1].position = 70;
	assert_true(inherit_is_spent(&three[2], rows, 2, 2));
	assert_false(inherit_is_spent(&three[2], rows, 1, 2));
	assert_false(inherit_is_spent(&three[0], rows, 2, 2));

	struct inherit_row none = { { 0, 4 }, false, 0 };
	assert_true(inherit_is_spent(&none, rows, 1, 2));
	rows[0].has_position = false;
	assert_false(inherit_is_spent(&none, rows, 1, 2));
}

/* ---- By seed --------------------------------------------------------------------------------- */

#define EVENTS 400
#define AGGREGATES 24
#define TOTAL_MAX 16
#define ROWS_MAX (TOTAL_MAX * 12)

/** A family over a feed, and what became of each of its events. */
struct family {
	uint64_t seed;
	struct random random;
	uint64_t hashes[AGGREGATES];
	int aggregate_of[EVENTS + 1];
	int handled[EVENTS + 1];
	tide_position newest_of[AGGREGATES];
	tide_position start;
	struct inherit_row rows[ROWS_MAX];
	size_t count;
	uint32_t total; /* 0: it has not begun */
};

static int64_t seeds = 300, first_seed = 1;

static int below(struct family *family, int limit)
{
	return (int)(random_next(&family->random) >> 33) % limit;
}

static void broken(const struct family *family, const char *what)
{
	fail_msg("%s: unit-inherit 1 %lld", what, (long long)family->seed);
}

static void family_handle(struct family *family, tide_position position)
{
	int aggregate = family->aggregate_of[position];
	if (position <= family->start)
		broken(family, "an event before the start was handled");
	if (family->handled[position]++)
		broken(family, "an event was handled twice");
	if (family->newest_of[aggregate] > position)
		broken(family, "an event was handled after a later one of its aggregate");
	family->newest_of[aggregate] = position;
}

/* One lane goes on for some events, as it would with the rows that it keeps in memory. */
static void family_advance(struct family *family, size_t row, int events)
{
	struct inherit_lane lane = family->rows[row].lane;
	struct inherit_row kept[ROWS_MAX];
	size_t count = 0;
	for (size_t i = 0; i < family->count; i++)
		if (family->rows[i].lane.total != family->total)
			kept[count++] = family->rows[i];
	count = inherit_choose(kept, count, lane, family->rows[row].position);

	for (; events > 0 && family->rows[row].position < EVENTS; events--) {
		tide_position position = ++family->rows[row].position;
		uint64_t hash = family->hashes[family->aggregate_of[position]];
		if (hash % lane.total == lane.index && !inherit_passes(kept, count, hash, position))
			family_handle(family, position);
	}
}

static size_t family_find(const struct family *family, struct inherit_lane lane)
{
	size_t place = 0;
	while (place < family->count && (family->rows[place].lane.total != lane.total ||
					 family->rows[place].lane.index != lane.index))
		place++;
	return place;
}

static void family_delete_spent(struct family *family)
{
	struct inherit_row rows[ROWS_MAX];
	size_t count = family->count;
	memcpy(rows, family->rows, sizeof rows);
	family->count = 0;
	for (size_t i = 0; i < count; i++)
		if (rows[i].lane.total == family->total ||
		    !inherit_is_spent(&rows[i], rows, count, family->total))
			family->rows[family->count++] = rows[i];
}

/* All rows of the new number at once. */
static void family_change(struct family *family, uint32_t total)
{
	uint32_t before = family->total ? family->total : 1;
	tide_position begins[TOTAL_MAX];
	for (uint32_t i = 0; i < total; i++)
		begins[i] = inherit_begin(family->rows, family->count, before,
					  (struct inherit_lane){ i, total }, family->start);
	for (uint32_t i = 0; i < total; i++) {
		struct inherit_row row = { { i, total }, true, begins[i] };
		size_t place = family_find(family, row.lane);
		if (place < family->count)
			family->rows[place] = family->rows[--family->count];
		assert_true(family->count < ROWS_MAX);
		family->rows[family->count++] = row;
	}
	family->total = total;
}

static size_t family_lane(struct family *family)
{
	return family_find(family,
			   (struct inherit_lane){ (uint32_t)below(family, (int)family->total),
						  family->total });
}

static void family_run_to_the_end(struct family *family)
{
	for (uint32_t i = 0; i < family->total; i++)
		family_advance(family,
			       family_find(family, (struct inherit_lane){ i, family->total }),
			       EVENTS);
	for (tide_position position = family->start + 1; position <= EVENTS; position++)
		if (!family->handled[position])
			broken(family, "an event was not handled");
	family_delete_spent(family);
	if (family->count != family->total)
		broken(family, "an old row stayed that all had passed");
}

static void run_seed(uint64_t seed)
{
	static struct family family;
	memset(&family, 0, sizeof family);
	family.seed = seed;
	random_seed(&family.random, seed * 2654435761u + 1);
	for (int i = 0; i < AGGREGATES; i++)
		family.hashes[i] = random_next(&family.random);
	for (int i = 1; i <= EVENTS; i++)
		family.aggregate_of[i] = below(&family, AGGREGATES);
	family.start = below(&family, 3) ? 0 : below(&family, EVENTS);

	for (int changes = 1 + below(&family, 10); changes > 0; changes--) {
		family_change(&family, 1 + (uint32_t)below(&family, TOTAL_MAX));
		for (int steps = below(&family, 12); steps > 0; steps--) {
			family_advance(&family, family_lane(&family), below(&family, 40));
			if (below(&family, 3) == 0)
				family_delete_spent(&family);
		}
	}
	family_run_to_the_end(&family);
}

static void whatever_the_numbers_each_event_is_handled_once_and_in_order(void **state)
{
	(void)state;
	for (int64_t i = 0; i < seeds; i++)
		run_seed((uint64_t)(first_seed + i));
}

int main(int argc, char **argv)
{
	if (argc > 1)
		seeds = atoll(argv[1]);
	if (argc > 2)
		first_seed = atoll(argv[2]);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lanes_concern_each_other_when_an_aggregate_falls_to_both),
		cmocka_unit_test(a_lane_begins_behind_the_least_that_concerns_it),
		cmocka_unit_test(a_row_without_a_position_or_none_at_all_begins_as_start_from_says),
		cmocka_unit_test(a_number_that_comes_back_goes_on_from_its_own_rows),
		cmocka_unit_test(an_event_is_settled_when_any_row_it_falls_to_has_reached_it),
		cmocka_unit_test(a_lane_keeps_only_the_rows_that_lead_beyond_it),
		cmocka_unit_test(an_old_row_is_spent_when_all_that_it_concerns_have_passed_it),
		cmocka_unit_test(whatever_the_numbers_each_event_is_handled_once_and_in_order),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
