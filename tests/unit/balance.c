/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who has how many lanes of a group: the rule, and members that join, leave, die and look late, by
 * seed.
 *
 *	unit-balance [SEEDS [FIRST_SEED]]
 */
#include "policy/balance.h"

#include <stdlib.h>

#include "sys/random.h"
#include "unit.h"

#define LANES_MAX 40
#define MEMBERS_MAX 8

static struct tide_uuid uuid_numbered(int number)
{
	struct tide_uuid uuid = { .bytes = { 0 } };
	uuid.bytes[15] = (uint8_t)(number + 1);
	return uuid;
}

static struct balance_member member_at(int number, int64_t joined_at)
{
	return (struct balance_member){ uuid_numbered(number), { joined_at } };
}

static void members_stand_in_the_order_they_joined_and_then_of_their_ids(void **state)
{
	(void)state;
	struct balance_member members[] = { member_at(3, 20), member_at(2, 10), member_at(1, 20),
					    member_at(0, 30) };
	balance_order(members, 4);
	static const int expected[] = { 2, 1, 3, 0 };
	for (size_t i = 0; i < 4; i++) {
		struct tide_uuid id = uuid_numbered(expected[i]);
		assert_int_equal(balance_place(members, 4, &id), i);
	}
	struct tide_uuid nobody = uuid_numbered(9);
	assert_int_equal(balance_place(members, 4, &nobody), 4);
}

static void shares_are_dealt_and_the_first_have_the_remainder(void **state)
{
	(void)state;
	for (uint32_t lanes = 1; lanes <= LANES_MAX; lanes++)
		for (size_t members = 1; members <= 2 * LANES_MAX; members++) {
			uint32_t sum = 0, before = UINT32_MAX;
			for (size_t place = 0; place < members; place++) {
				uint32_t target = balance_target(lanes, members, place);
				assert_true(target <= before && target >= lanes / members);
				assert_true(target <= (lanes + members - 1) / members);
				before = target;
				sum += target;
			}
			assert_int_equal(sum, lanes);
		}
}

static void choose(struct balance_lane *lanes, uint32_t count, int members, int me,
		   const char *expected)
{
	struct balance_member list[MEMBERS_MAX];
	for (int i = 0; i < members; i++)
		list[i] = member_at(i, i);
	struct tide_uuid id = uuid_numbered(me);
	balance_choose(lanes, count, list, (size_t)members, &id);
	for (uint32_t i = 0; i < count; i++)
		if (lanes[i].is_wanted != (expected[i] == 'x'))
			fail_msg("lane %u is %s", i, lanes[i].is_wanted ? "wanted" : "not wanted");
}

static void one_above_its_share_gives_the_newest_back(void **state)
{
	(void)state;
	struct balance_lane lanes[] = { { BALANCE_MINE, 5, false },   { BALANCE_MINE, 9, false },
					{ BALANCE_OTHERS, 0, false }, { BALANCE_MINE, 2, false },
					{ BALANCE_FREE, 0, false },   { BALANCE_MINE, 7, false } };
	choose(lanes, 6, 3, 1, "x..x..");
	choose(lanes, 6, 2, 1, "x..x.x");
	choose(lanes, 6, 1, 0, "xx.xxx");
}

static void one_below_its_share_takes_free_ones_and_nobody_elses(void **state)
{
	(void)state;
	struct balance_lane lanes[] = { { BALANCE_OTHERS, 0, false }, { BALANCE_FREE, 0, false },
					{ BALANCE_MINE, 1, false },   { BALANCE_OTHERS, 0, false },
					{ BALANCE_FREE, 0, false },   { BALANCE_FREE, 0, false },
					{ BALANCE_OTHERS, 0, false } };
	choose(lanes, 7, 2, 0, ".xx.xx.");
	choose(lanes, 7, 2, 1, "..x.xx.");
	choose(lanes, 7, 3, 2, "..x.x..");
	choose(lanes, 7, 7, 6, "..x....");
}

static void one_that_is_not_a_member_keeps_what_it_has(void **state)
{
	(void)state;
	struct balance_lane lanes[] = { { BALANCE_FREE, 0, true },
					{ BALANCE_MINE, 1, false },
					{ BALANCE_MINE, 2, false },
					{ BALANCE_OTHERS, 0, true } };
	choose(lanes, 4, 1, 7, ".xx.");
	choose(lanes, 4, 4, 7, ".xx.");
	choose(lanes, 4, 0, 0, ".xx.");
}

static void more_members_than_lanes_leave_some_without(void **state)
{
	(void)state;
	struct balance_lane lanes[] = { { BALANCE_FREE, 0, false }, { BALANCE_MINE, 3, false } };
	choose(lanes, 2, 5, 4, "..");
	choose(lanes, 2, 5, 1, ".x");
	choose(lanes, 2, 5, 0, ".x");
}

/* ---- By seed --------------------------------------------------------------------------------- */

enum life { GONE, DEAD, ALIVE, FROZEN };

/** A member, and the look that it has yet to act upon. */
struct actor {
	enum life life;
	int64_t joined_at;
	int64_t ends_at; /* what keeps it and its lanes, when it is dead or frozen */
	int64_t looks_at;
	bool has_look;
	struct balance_lane look[LANES_MAX];
};

/** A table of lanes whose owner is changed in one step, as a database does. */
struct table {
	uint64_t seed;
	struct random random;
	int64_t now;
	uint32_t lanes;
	int owner[LANES_MAX]; /* -1: nobody */
	int64_t taken[LANES_MAX];
	struct actor actors[MEMBERS_MAX];
	int moves; /* ownerships that ended while their owner lived */
};

static int64_t seeds = 300, first_seed = 1;

static int below(struct table *table, int limit)
{
	return (int)(random_next(&table->random) >> 33) % limit;
}

static void broken(const struct table *table, const char *what)
{
	fail_msg("%s: unit-balance 1 %lld", what, (long long)table->seed);
}

static bool is_member(const struct actor *actor)
{
	return actor->life != GONE;
}

static size_t table_members(const struct table *table, struct balance_member *ret)
{
	size_t count = 0;
	for (int i = MEMBERS_MAX; i-- > 0;)
		if (is_member(&table->actors[i]))
			ret[count++] = member_at(i, table->actors[i].joined_at);
	balance_order(ret, count);
	return count;
}

static uint32_t table_held(const struct table *table, int who)
{
	uint32_t held = 0;
	for (uint32_t i = 0; i < table->lanes; i++)
		held += table->owner[i] == who;
	return held;
}

static void actor_look(struct table *table, int me)
{
	struct actor *actor = &table->actors[me];
	struct balance_member members[MEMBERS_MAX];
	size_t count = table_members(table, members);
	struct tide_uuid id = uuid_numbered(me);

	for (uint32_t i = 0; i < table->lanes; i++)
		actor->look[i] = (struct balance_lane){ table->owner[i] < 0     ? BALANCE_FREE
							: table->owner[i] == me ? BALANCE_MINE
										: BALANCE_OTHERS,
							table->taken[i], false };
	balance_choose(actor->look, table->lanes, members, count, &id);

	uint32_t wanted = 0,
		 target = balance_target(table->lanes, count, balance_place(members, count, &id));
	for (uint32_t i = 0; i < table->lanes; i++) {
		wanted += actor->look[i].is_wanted;
		if (actor->look[i].is_wanted && actor->look[i].holder == BALANCE_OTHERS)
			broken(table, "an owned lane is wanted");
	}
	if (wanted > target)
		broken(table, "more is wanted than the share");
	actor->has_look = true;
}

/* Acts upon a look that may be old. */
static void actor_act(struct table *table, int me)
{
	struct actor *actor = &table->actors[me];
	actor->has_look = false;
	for (uint32_t i = 0; i < table->lanes; i++) {
		const struct balance_lane *lane = &actor->look[i];
		if (lane->is_wanted && table->owner[i] < 0) {
			table->owner[i] = me;
			table->taken[i] = table->now * LANES_MAX + i;
		} else if (!lane->is_wanted && lane->holder == BALANCE_MINE &&
			   table->owner[i] == me) {
			table->owner[i] = -1;
			table->moves++;
		}
	}
}

static void actor_end(struct table *table, int who)
{
	table->actors[who] = (struct actor){ .life = GONE };
	for (uint32_t i = 0; i < table->lanes; i++)
		if (table->owner[i] == who)
			table->owner[i] = -1;
}

static void actor_step(struct table *table, int who)
{
	struct actor *actor = &table->actors[who];
	bool is_over = table->now >= actor->ends_at;
	if (actor->life == DEAD && is_over)
		actor_end(table, who);
	else if (actor->life == FROZEN && is_over)
		actor->life = ALIVE;
	if (actor->life != ALIVE || table->now < actor->looks_at)
		return;

	if (actor->has_look)
		actor_act(table, who);
	else
		actor_look(table, who);
	actor->looks_at = table->now + 1 + below(table, 4);
}

static void table_disturb(struct table *table)
{
	int who = below(table, MEMBERS_MAX), what = below(table, 8);
	struct actor *actor = &table->actors[who];
	if (actor->life == GONE && what < 4)
		*actor = (struct actor){ .life = ALIVE, .joined_at = table->now / 3 };
	else if (actor->life == ALIVE && what == 4)
		actor_end(table, who);
	else if (actor->life == ALIVE && what > 4) {
		actor->life = what == 5 ? DEAD : FROZEN;
		actor->ends_at = table->now + below(table, 30);
	}
}

static void table_pass(struct table *table, int steps, bool is_disturbed)
{
	for (int i = 0; i < steps; i++) {
		table->now++;
		if (is_disturbed && below(table, 10) == 0)
			table_disturb(table);
		for (int who = 0; who < MEMBERS_MAX; who++)
			actor_step(table, who);
	}
}

static void table_check_shares(const struct table *table)
{
	struct balance_member members[MEMBERS_MAX];
	size_t count = table_members(table, members);
	for (size_t place = 0; place < count; place++) {
		int who = members[place].id.bytes[15] - 1;
		if (table_held(table, who) != balance_target(table->lanes, count, place))
			broken(table, "a member has not its share");
	}
	if (count > 0 && table_held(table, -1) > 0)
		broken(table, "a lane is nobody's");
}

/* One more joins: no lane moves but to it. */
static void table_check_join(struct table *table)
{
	int who = 0;
	while (who < MEMBERS_MAX && is_member(&table->actors[who]))
		who++;
	if (who == MEMBERS_MAX)
		return;
	table->actors[who] = (struct actor){ .life = ALIVE, .joined_at = table->now };
	table->moves = 0;
	table_pass(table, 100, false);
	table_check_shares(table);
	if (table->moves != (int)table_held(table, who))
		broken(table, "lanes moved that need not have");
}

static void run_seed(uint64_t seed)
{
	struct table table = { .seed = seed };
	random_seed(&table.random, seed * 2654435761u + 1);
	table.lanes = 1 + (uint32_t)below(&table, LANES_MAX);
	for (uint32_t i = 0; i < table.lanes; i++)
		table.owner[i] = -1;

	for (int round = 0; round < 4; round++) {
		table_pass(&table, 200, true);
		table_pass(&table, 200, false);
		table_check_shares(&table);
	}
	table.actors[0].life = is_member(&table.actors[0]) ? table.actors[0].life : ALIVE;
	table_pass(&table, 100, false);
	table_check_join(&table);
}

static void members_that_come_go_and_look_late_end_with_their_shares(void **state)
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
		cmocka_unit_test(members_stand_in_the_order_they_joined_and_then_of_their_ids),
		cmocka_unit_test(shares_are_dealt_and_the_first_have_the_remainder),
		cmocka_unit_test(one_above_its_share_gives_the_newest_back),
		cmocka_unit_test(one_below_its_share_takes_free_ones_and_nobody_elses),
		cmocka_unit_test(one_that_is_not_a_member_keeps_what_it_has),
		cmocka_unit_test(more_members_than_lanes_leave_some_without),
		cmocka_unit_test(members_that_come_go_and_look_late_end_with_their_shares),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
