/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_FAULT_PLAN_H
#define TIDE_FAULT_PLAN_H

/* Which operations fail, when, and how: the part of a fault URL before its slash, and the count
 * that runs against it.
 */

#include <tidemark/backend.h>

#include "sys/mutex.h"
#include "sys/random.h"

/* clang-format off */
/* Every operation once: its name in `op=`, and whether it counts when `op=` is absent. Those that
 * happen by themselves, as time passes or connections are opened, count only when they are named: a
 * schedule without `op=` is then repeatable. */
#define FAULT_OPS(X) \
	X(open,                false) \
	X(session_open,        false) \
	X(append,              true)  \
	X(append_within,       true)  \
	X(clear,               true)  \
	X(read,                true)  \
	X(end,                 true)  \
	X(stream_version,      true)  \
	X(find,                true)  \
	X(begin,               true)  \
	X(commit,              true)  \
	X(savepoint,           true)  \
	X(release,             true)  \
	X(rollback_to,         true)  \
	X(check,               true)  \
	X(snapshot_load,       true)  \
	X(snapshot_save,       true)  \
	X(notify_start,        false) \
	X(notify_wait,         false) \
	X(load,                true)  \
	X(save,                true)  \
	X(list,                true)  \
	X(reset,               true)  \
	X(lease_acquire,       true)  \
	X(lease_renew,         false) \
	X(lease_renew_all,     false) \
	X(lease_release,       true)  \
	X(lease_mark,          true)  \
	X(lease_is_owned,      true)  \
	X(lease_end,           false) \
	X(lease_note,          false) \
	X(lease_list,          false) \
	X(dead_letter_add,     true)  \
	X(dead_letter_list,    true)  \
	X(dead_letter_get,     true)  \
	X(dead_letter_change,  true)  \
	X(dead_letter_discard, true)  \
	X(dead_letter_purge,   true)  \
	X(dead_letter_stats,   true)  \
	X(dead_letter_counts,  true)  \
	X(control_set,         true)  \
	X(control_list,        false) \
	X(journal_add,         false)  \
	X(journal_list,        true)  \
	X(segment_turn,        false) \
	X(segment_list,        false) \
	X(group_get,           false) \
	X(group_change,        false) \
	X(group_forget,        false) \
	X(member_join,         false) \
	X(member_leave,        false) \
	X(member_list,         false) \
	X(group_move,          false)
/* clang-format on */

enum fault_op {
#define FAULT_OP_ENUM(name, counts) FAULT_##name,
	FAULT_OPS(FAULT_OP_ENUM)
#undef FAULT_OP_ENUM
		FAULT_OP_COUNT
};

struct fault_plan {
	/* fixed after open */
	bool ops[FAULT_OP_COUNT]; /* which operations count */
	int64_t after;            /* so many succeed first */
	int64_t times;            /* so many fail then; < 0: no end */
	double rate;              /* probability of each failure */
	tide_status status;       /* what is reported */
	bool is_after;            /* perform the operation, then report */
	int64_t delay_ns;         /* before each operation that counts */

	/* under lock */
	struct mutex lock;
	struct random random;
	int64_t seen;   /* operations that counted */
	int64_t failed; /* of those, made to fail */
};

/** What the plan has for one operation. */
struct fault_verdict {
	bool fails_before, fails_after;
	int64_t number; /* of the operation, among those that count */
};

/** Read `after=3,times=2,…`; an empty text plans nothing. TIDE_OK, TIDE_ARGUMENT naming option and
 * value. */
tide_status fault_plan_init(struct fault_plan *plan, const char *options, size_t size,
			    struct tide_error *err);
void fault_plan_fini(struct fault_plan *plan);

/** Count an operation and decide; waits for the plan's delay. */
struct fault_verdict fault_plan_ask(struct fault_plan *plan, enum fault_op op);
/** Report the planned failure of an operation. */
tide_status fault_plan_fail(const struct fault_plan *plan, enum fault_op op, int64_t number,
			    struct tide_error *err);
const char *fault_op_name(enum fault_op op);

#endif
