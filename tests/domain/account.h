/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_ACCOUNT_H
#define TEST_ACCOUNT_H

/* A small domain: accounts with a balance, notes that are heap memory, and an apply function that
 * can be told to fail.
 */

#include <tidemark/tidemark.h>

struct money_moved {
	int64_t cents;
};
struct note_taken {
	char *text;
};

struct account {
	int64_t cents;
	int64_t moves;
	char **notes;
	size_t note_count;
};

extern const struct tide_event_type *const money_moved, *const note_taken;
/** The state has a table. */
extern const struct tide_aggregate_type account_type;
/** The same with another schema_version. */
extern const struct tide_aggregate_type account_type_v2;
/** Only cents and moves, copied bytewise, no snapshots; ignores "NoteTaken". */
extern const struct tide_aggregate_type plain_account_type;

/** Moves `*(int64_t *)context` cents; TIDE_STATE when the balance would fall below 0. */
tide_command move_money;
/** The same as a pure function. */
tide_decide decide_move;

/** Raise a movement; it must succeed. */
void raise_move(struct tide_aggregate *aggregate, int64_t cents);
int64_t cents_of(const struct tide_aggregate *aggregate);
/** Applying a movement of this many cents fails with TIDE_HANDLER_PERMANENT, half-way through. */
#define POISON 666

#endif
