/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_POLICY_BALANCE_H
#define TIDE_POLICY_BALANCE_H

#include <stdbool.h>
#include <stddef.h>

#include <tidemark/event.h>

/** A member that lives, as all of them see it. */
struct balance_member {
	struct tide_uuid id;
	struct tide_time joined_at;
};

/** Who has a lane, as the member that asks sees it. */
enum balance_holder {
	BALANCE_FREE,   /* nobody who lives */
	BALANCE_MINE,   /* it itself, though it may be giving it back */
	BALANCE_OTHERS, /* somebody else */
};

/** A lane, and what shall become of it. */
struct balance_lane {
	enum balance_holder holder;
	int64_t taken;  /* of one that is mine: the greater, the newer */
	bool is_wanted; /* the answer: kept or taken; else it is given back or left alone */
};

/** Sort members into the order in which the remainder is dealt. */
void balance_order(struct balance_member *members, size_t count);
/** Where a member stands among them in that order; `count`: it is none of them. */
size_t balance_place(const struct balance_member *members, size_t count,
		     const struct tide_uuid *id);
/** The share of the member at this place. */
uint32_t balance_target(uint32_t lanes, size_t members, size_t place);
/**
 * Say which lanes a member wants: of those that are its own the oldest up to its share, and as many
 * free ones as it lacks. One that is not among the ordered members wants what it has.
 */
void balance_choose(struct balance_lane *lanes, uint32_t count,
		    const struct balance_member *members, size_t member_count,
		    const struct tide_uuid *id);

#endif
