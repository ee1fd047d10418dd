/* SPDX-License-Identifier: Apache-2.0 */
/* Who did what: entries of the journal, and whose they are. */
#include "path/journal.h"

#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "path/port.h"
#include "sys/log.h"

void person_find(struct person *ret)
{
	struct passwd entry, *found = NULL;
	char texts[1024];
	*ret = (struct person){ .host = "" };
	if (getpwuid_r(geteuid(), &entry, texts, sizeof texts, &found) == 0 && found)
		snprintf(ret->name, sizeof ret->name, "%s", found->pw_name);
	else
		snprintf(ret->name, sizeof ret->name, "%u", (unsigned)geteuid());
	if (gethostname(ret->host, sizeof ret->host - 1) != 0)
		ret->host[0] = '\0';
}

struct tide_journal_write journal_entry(const struct person *person, const char *by,
					const char *act, const char *name, const char *detail)
{
	return (struct tide_journal_write){ .who = by ? by : person->name,
					    .host = person->host,
					    .act = act,
					    .name = name,
					    .detail = detail && *detail ? detail : NULL,
					    .now = tide_time_now() };
}

tide_status journal_note(const struct tide_store *database, void *session,
			 const struct tide_journal_write *write, struct tide_error *err)
{
	return port_journal_add(database, session, write, err);
}

static void journal_warn(const struct tide_journal_write *write, const struct tide_error *error)
{
	log_at(TIDE_LOG_WARNING, "checkpoint", "not noted in the journal",
	       "name='%s' act=%s error='%s'", write->name, write->act, error->message);
}

void journal_try(const struct tide_store *database, void *session,
		 const struct tide_journal_write *write)
{
	struct tide_error err;
	if (journal_note(database, session, write, &err) != TIDE_OK)
		journal_warn(write, &err);
}

void journal_tell(struct tide_store *database, const char *by, const char *act, const char *name,
		  const char *format, ...)
{
	struct person person;
	char detail[TIDE_NOTE_MAX + 1];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(detail, sizeof detail, format, arguments);
	va_end(arguments);

	person_find(&person);
	struct tide_journal_write write = journal_entry(&person, by, act, name, detail);
	struct tide_error err;
	void *session;
	tide_status status = store_borrow(database, &session, &err);
	if (status == TIDE_OK) {
		status = journal_note(database, session, &write, &err);
		store_return(database, session, status);
	}
	if (status != TIDE_OK)
		journal_warn(&write, &err);
}
