/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_PATH_JOURNAL_H
#define TIDE_PATH_JOURNAL_H

#include <tidemark/control.h>

#include "path/store.h"

/** Who calls, as far as nobody says it. */
struct person {
	char name[TIDE_PERSON_MAX + 1], host[TIDE_PERSON_MAX + 1];
};
void person_find(struct person *ret);

/** An entry of now; it borrows from what it is given. `by` NULL: the person. */
struct tide_journal_write journal_entry(const struct person *person, const char *by,
					const char *act, const char *name, const char *detail);
/** Write it, in the transaction that is open, if one is; nothing where the database keeps no
 * journal. */
tide_status journal_note(const struct tide_store *database, void *session,
			 const struct tide_journal_write *write, struct tide_error *err);
/** The same where nothing depends on it: an error is logged. */
void journal_try(const struct tide_store *database, void *session,
		 const struct tide_journal_write *write);
/** Note what the user of this process, or `by`, has done. Nothing depends on it: an error is
 * logged. */
void journal_tell(struct tide_store *database, const char *by, const char *act, const char *name,
		  const char *format, ...) TIDE_PRINTF(5, 6);

#endif
