/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What lanes of another number inherit.
 *
 * A row says that each event up to its position is settled whose aggregate falls to its lane, by
 * that lane or by those it had inherited from. So an event is settled once any row of the family
 * that its aggregate falls to has reached it: rows of several numbers may stand beside each other.
 *
 *     3 lanes, positions          5 lanes begin behind the least of what concerns them: 40
 *       {0, 3}  ──────── 90         {2, 5} at event 60 of hash 12: {0, 3} is beyond: passed
 *       {1, 3}  ──── 40             {2, 5} at event 60 of hash  7: {1, 3} is not: handled
 *       {2, 3}  ────── 70
 *
 * One whose aggregates all fall to one row begins behind that, at the least: it may be its own row,
 * of when the family had this number before.
 *
 * Two lanes have aggregates in common when their indexes are alike modulo the greatest common
 * divisor of their totals, and then one in so many lanes of either.
 */
#include "policy/inherit.h"

#include <assert.h>

static uint32_t inherit_divisor(uint32_t a, uint32_t b)
{
	while (b > 0) {
		uint32_t rest = a % b;
		a = b;
		b = rest;
	}
	return a;
}

bool inherit_concerns(struct inherit_lane a, struct inherit_lane b)
{
	assert(a.index < a.total && b.index < b.total);
	uint32_t divisor = inherit_divisor(a.total, b.total);
	return a.index % divisor == b.index % divisor;
}

/* How many lanes of a number have aggregates in common with this one. */
static uint32_t inherit_share(struct inherit_lane lane, uint32_t total)
{
	return total / inherit_divisor(lane.total, total);
}

/* Whether every aggregate of `lane` falls to `whole`, too. */
static bool inherit_contains(struct inherit_lane whole, struct inherit_lane lane)
{
	return lane.total % whole.total == 0 && lane.index % whole.total == whole.index;
}

tide_position inherit_begin(const struct inherit_row *rows, size_t count, uint32_t total_before,
			    struct inherit_lane lane, tide_position start)
{
	tide_position least = INT64_MAX, whole = -1;
	uint32_t found = 0;

	for (size_t i = 0; i < count; i++) {
		if (!inherit_concerns(rows[i].lane, lane))
			continue;
		tide_position position = rows[i].has_position ? rows[i].position : start;
		if (position < least)
			least = position;
		if (inherit_contains(rows[i].lane, lane) && position > whole)
			whole = position;
		found += rows[i].lane.total == total_before;
	}

	if (found < inherit_share(lane, total_before) && start < least)
		least = start;
	return whole > least ? whole : least;
}

size_t inherit_choose(struct inherit_row *rows, size_t count, struct inherit_lane lane,
		      tide_position position)
{
	size_t kept = 0;
	for (size_t i = 0; i < count; i++)
		if (inherit_concerns(rows[i].lane, lane) && rows[i].has_position &&
		    rows[i].position > position)
			rows[kept++] = rows[i];
	return kept;
}

bool inherit_passes(const struct inherit_row *rows, size_t count, uint64_t hash,
		    tide_position position)
{
	for (size_t i = 0; i < count; i++)
		if (rows[i].has_position && position <= rows[i].position &&
		    hash % rows[i].lane.total == rows[i].lane.index)
			return true;
	return false;
}

bool inherit_is_spent(const struct inherit_row *old, const struct inherit_row *rows, size_t count,
		      uint32_t total)
{
	uint32_t passed = 0;
	for (size_t i = 0; i < count; i++)
		passed += rows[i].lane.total == total &&
			  inherit_concerns(old->lane, rows[i].lane) && rows[i].has_position &&
			  (!old->has_position || rows[i].position >= old->position);
	return passed >= inherit_share(old->lane, total);
}
