/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIMULATION_LEDGER_INNER_H
#define SIMULATION_LEDGER_INNER_H

/* What the files of the ledger share. */

#include "simulation/ledger.h"

/** Everything of its process; at most one transaction, which is of one lane. */
struct ledger_session {
	struct ledger_session *next;
	int process;
	double lease_seconds;
	bool is_broken, is_open, is_saved;
	int64_t began_ns; /* of what it did last */
	int applied[LEDGER_EVENTS], applied_count, savepoint_count;
	struct ledger_row *row, save, savepoint_save; /* its lane's, as it will be */
	bool has_save, savepoint_has_save;
};

/** An operation arrives, or fails before anything is done. */
tide_status ledger_begin(struct ledger_session *session, struct tide_error *err);
/** It was done, and its answer is on the way. */
tide_status ledger_answer(struct ledger_session *session, struct tide_error *err);
/** Another one's transaction has the lease. One that is idle for longer than a lease ends with its
 * connection. */
bool ledger_is_locked(const struct ledger_row *row, const struct ledger_session *session);
/** NULL: it is none. */
struct ledger_member *ledger_member(const struct tide_uuid *id);

/* ---- ledger_groups.c ---- */
tide_status ledger_group_get(void *self, const char *name, struct tide_group *ret,
			     struct tide_error *err);
tide_status ledger_group_change(void *self, const struct tide_group_change *change, bool *ret,
				struct tide_error *err);
tide_status ledger_group_forget(void *self, const struct tide_group *group, const char *const *rows,
				size_t count, struct tide_error *err);
tide_status ledger_member_join(void *self, const struct tide_member_write *write, bool *ret,
			       struct tide_error *err);
tide_status ledger_member_leave(void *self, const char *group, const struct tide_uuid *id,
				struct tide_error *err);
tide_status ledger_member_list(void *self, const char *group, struct tide_member **ret,
			       size_t *ret_count, struct tide_error *err);

#endif
