/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_SUPERVISE_ELSEWHERE_H
#define TIDE_SUPERVISE_ELSEWHERE_H

/* Lanes that are not this process's, as their rows tell of them. */

#include "supervise/manager.h"

/** The rows of a database: how far each name has come, and who has it. Read once for all groups
 * that are looked at together. */
struct elsewhere_rows {
	bool are_read;
	struct tide_checkpoint *rows;
	struct tide_lease_info *leases;
	size_t row_count, lease_count;
};
/** Read them unless they are; released with elsewhere_rows_fini, whatever it comes to. */
tide_status elsewhere_rows_read(const struct tide_store *database, void *session,
				struct elsewhere_rows *rows, struct tide_error *err);
void elsewhere_rows_fini(struct elsewhere_rows *rows);
/** Those of a name; NULL: it has none. */
const struct tide_checkpoint *elsewhere_row(const struct elsewhere_rows *rows, const char *name);
const struct tide_lease_info *elsewhere_lease(const struct elsewhere_rows *rows, const char *name);
/** Have the lanes of a head know what the rows say, if it is a member that is to know it. */
void elsewhere_note(struct tide_manager *manager, struct tide_subscription *head,
		    const struct elsewhere_rows *rows);
/** A lane is about to be given back: another is to have it, from where it stands. */
void elsewhere_note_given(struct tide_manager *manager, struct tide_subscription *lane);
/** It knows nothing of them any more. */
void elsewhere_forget(struct tide_subscription *head);

/** Look at the rows when that is due, or they are read; nobody is asked while all lanes are
 * here. */
tide_status elsewhere_look(struct tide_manager *manager, struct tide_subscription *head,
			   struct elsewhere_rows *rows, struct tide_error *err);

#endif
