/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_POLICY_INHERIT_H
#define TIDE_POLICY_INHERIT_H

#include <stdbool.h>
#include <stddef.h>

#include <tidemark/event.h>

/** A lane of so many: those aggregates whose hash leaves `index` when it is divided by `total`. */
struct inherit_lane {
	uint32_t index,
		total; /* index < total; {0, 1}: all of them, a subscription without lanes */
};

/** A row of a family: how far a lane has come, be it of the present number or of one before. */
struct inherit_row {
	struct inherit_lane lane;
	bool has_position; /* else it has settled nothing */
	tide_position position;
};

/** Whether there may be an aggregate that falls to both. */
bool inherit_concerns(struct inherit_lane a, struct inherit_lane b);
/**
 * Where a lane of another number begins: behind the least position that it inherits, or where all
 * of it was settled; `start`, what start_from means to the family, where nothing was.
 * `total_before` is the number that the family had; of that all rows should be there, and `start`
 * stands for one that is not.
 */
tide_position inherit_begin(const struct inherit_row *rows, size_t count, uint32_t total_before,
			    struct inherit_lane lane, tide_position start);
/** Keep only the rows that a lane inherits from and that lead beyond `position`; their count. */
size_t inherit_choose(struct inherit_row *rows, size_t count, struct inherit_lane lane,
		      tide_position position);
/** Whether an event passes without a call, since a lane of the family has settled it: `hash` of its
 * aggregate, fnv1a64. */
bool inherit_passes(const struct inherit_row *rows, size_t count, uint64_t hash,
		    tide_position position);
/** Whether an old row has nothing left to tell: each lane of the present number that it concerns
 * is among `rows` and has reached its position. */
bool inherit_is_spent(const struct inherit_row *old, const struct inherit_row *rows, size_t count,
		      uint32_t total);

#endif
