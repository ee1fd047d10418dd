/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who has how many of a group's lanes.
 *
 * Nobody assigns: each member looks at the same members and lanes and does its own part. Those that
 * have joined first have the larger shares; one below its share takes lanes that nobody has, one
 * above it gives its newest back. A look may be old when it is acted upon; what a member then tries
 * to take may be another's, and the acquisition refuses it, so a look need not be right, only the
 * next one.
 *
 *       target 3   ■■■■■   gives back the two newest
 *       target 3   ■       takes two that are free, from its own end of the ring
 *       target 2   ■■      is not disturbed
 */
#include "policy/balance.h"

#include <assert.h>
#include <stdlib.h>

static int balance_compare(const void *left, const void *right)
{
	const struct balance_member *a = left, *b = right;
	if (a->joined_at.unix_us != b->joined_at.unix_us)
		return a->joined_at.unix_us < b->joined_at.unix_us ? -1 : 1;
	return tide_uuid_compare(&a->id, &b->id);
}

void balance_order(struct balance_member *members, size_t count)
{
	if (count > 1)
		qsort(members, count, sizeof *members, balance_compare);
}

size_t balance_place(const struct balance_member *members, size_t count, const struct tide_uuid *id)
{
	size_t place = 0;
	while (place < count && !tide_uuid_equal(&members[place].id, id))
		place++;
	return place;
}

uint32_t balance_target(uint32_t lanes, size_t members, size_t place)
{
	assert(place < members);
	return (uint32_t)(lanes / members) + (place < lanes % members);
}

/* Keep what is its own, and count it. */
static uint32_t balance_keep(struct balance_lane *lanes, uint32_t count)
{
	uint32_t kept = 0;
	for (uint32_t i = 0; i < count; i++) {
		lanes[i].is_wanted = lanes[i].holder == BALANCE_MINE;
		kept += lanes[i].is_wanted;
	}
	return kept;
}

static void balance_give_newest(struct balance_lane *lanes, uint32_t count)
{
	struct balance_lane *newest = NULL;
	for (uint32_t i = 0; i < count; i++)
		if (lanes[i].is_wanted && (!newest || lanes[i].taken >= newest->taken))
			newest = &lanes[i];
	assert(newest);
	newest->is_wanted = false;
}

/* From a place of its own on, so that members that look at once seldom want the same. */
static void balance_take(struct balance_lane *lanes, uint32_t count, uint32_t first,
			 uint32_t lacking)
{
	for (uint32_t i = 0; i < count && lacking > 0; i++) {
		struct balance_lane *lane = &lanes[(first + i) % count];
		if (lane->holder != BALANCE_FREE)
			continue;
		lane->is_wanted = true;
		lacking--;
	}
}

void balance_choose(struct balance_lane *lanes, uint32_t count,
		    const struct balance_member *members, size_t member_count,
		    const struct tide_uuid *id)
{
	uint32_t kept = balance_keep(lanes, count);
	size_t place = balance_place(members, member_count, id);
	if (place == member_count)
		return;

	uint32_t target = balance_target(count, member_count, place);
	for (; kept > target; kept--)
		balance_give_newest(lanes, count);
	uint32_t first = (uint32_t)(place * count / member_count);
	balance_take(lanes, count, first, target - kept);
}
