/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_CASES_H
#define TEST_CASES_H

/*
 * The cases that every backend must pass, one file a noun. A case gets a fresh, empty store; its
 * name is its claim. What a backend answers differently is in its quirks, and a case then expects
 * that. Only where there is nothing to ask, a case is skipped by what it needs; how many are is
 * pinned in the backend's row.
 */

#include "lib/fixture.h"

enum {
	NEEDS_SQL = 1,           /* rows written past Tidemark */
	NEEDS_SHARED = 2,        /* a second handle on the same store */
	NEEDS_PROCESSES = 4,     /* a second process on the same store */
	NEEDS_TRANSACTIONS = 8,  /* transactional delivery */
	NEEDS_TEXT_COLUMNS = 16, /* columns that take any text for an instant, a UUID, JSON */
};

struct test_case {
	const char *name;
	void (*run)(struct fixture *fixture);
	unsigned needs;
};

#define CASE(run) CASE_NEEDS(run, 0)
#define CASE_NEEDS(run, needs)                                                                     \
	{                                                                                          \
#run, run, needs                                                                   \
	}
#define CASES_END                                                                                  \
	{                                                                                          \
		NULL, NULL, 0                                                                      \
	}

/** A part of a long case is done: what may hang is the next one. */
void case_goes_on(void);

/* Each ends in CASES_END. */
extern const struct test_case append_cases[];
extern const struct test_case append_all_cases[];
extern const struct test_case append_race_cases[];
extern const struct test_case read_cases[];
extern const struct test_case feed_cases[];
extern const struct test_case page_cases[];
extern const struct test_case checkpoint_cases[];
extern const struct test_case lag_cases[];
extern const struct test_case dead_letter_cases[];
extern const struct test_case snapshot_cases[];
extern const struct test_case lease_cases[];
extern const struct test_case group_cases[];
extern const struct test_case lanes_cases[], sharing_cases[], move_cases[], family_cases[];
extern const struct test_case limits_cases[];
extern const struct test_case control_cases[], skip_cases[];
extern const struct test_case position_cases[];
extern const struct test_case foreign_cases[];
extern const struct test_case delivery_cases[], takeover_cases[];
extern const struct test_case part_cases[];
extern const struct test_case failure_cases[];
extern const struct test_case transaction_cases[];
extern const struct test_case together_cases[];
extern const struct test_case reaction_cases[];
extern const struct test_case history_cases[];
extern const struct test_case typed_cases[];
extern const struct test_case bad_input_cases[];
extern const struct test_case schema_cases[];
extern const struct test_case out_of_memory_cases[];

#endif
