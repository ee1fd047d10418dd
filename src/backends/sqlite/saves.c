/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Saves of several subscriptions in one commit (sys/combine.h).
 *
 * Each row is written by the statement that would write it alone, under its own fence and over its
 * own expectation, and who is not the owner any more, or finds another row, asks why for itself.
 *
 * Happy path: who is alone writes its row, without a transaction around it; else the leader writes
 * the rows of all in one. Fails when: a row is refused: that row alone. The file stays locked:
 * everybody has waited for it. What ends the transaction otherwise leaves nothing of it, and each
 * of them writes its row alone.
 */

#include "backends/sqlite/internal.h"

/** One subscription's save. */
struct sqlite_save {
	struct combine_part part; /* is first */
	struct sqlite_session *session;
	const struct tide_fence *fence;
	const struct tide_checkpoint_write *write;
	tide_status status;
	struct tide_error why; /* when status is not TIDE_OK */
	bool is_written;
	bool is_alone; /* it has to be written alone */
};

static struct sqlite_save *save_of(struct combine_part *part)
{
	return (struct sqlite_save *)part;
}

void sqlite_saves_init(struct sqlite_saves *saves, sqlite_save_writer *write)
{
	saves->write = write;
	combiner_init(&saves->waiting);
}

void sqlite_saves_fini(struct sqlite_saves *saves)
{
	combiner_fini(&saves->waiting);
}

static void saves_write_row(struct sqlite_session *leader, struct sqlite_save *save)
{
	save->status = leader->store->saves.write(leader, save->fence, save->write,
						  &save->is_written, &save->why);
}

static void saves_fail(struct combine_part *group, tide_status status, const struct tide_error *why)
{
	for (struct combine_part *part = group; part; part = part->next) {
		save_of(part)->status = status;
		save_of(part)->why = *why;
	}
}

static void saves_part(struct combine_part *group)
{
	for (struct combine_part *part = group; part; part = part->next)
		save_of(part)->is_alone = true;
}

static bool saves_is_over(const struct sqlite_session *leader)
{
	return sqlite3_get_autocommit(leader->connection.handle) != 0;
}

/* Nothing of the group is stored when the transaction ends on the way. */
static void saves_write(struct sqlite_session *leader, struct combine_part *group)
{
	struct tide_error why;
	for (struct combine_part *part = group; part && !saves_is_over(leader); part = part->next)
		saves_write_row(leader, save_of(part));

	if (!saves_is_over(leader) && sqlite_run(&leader->connection, "COMMIT", &why) == TIDE_OK)
		return;
	if (!saves_is_over(leader))
		sqlite_run(&leader->connection, "ROLLBACK", NULL);
	saves_part(group);
}

/* Those who come while the leader waits for the file are written with it. */
static struct combine_part *saves_write_all(void *self)
{
	struct sqlite_save *own = self;
	struct sqlite_session *leader = own->session;
	struct combiner *saves = &leader->store->saves.waiting;
	struct tide_error why;
	if (combiner_take_only(saves)) {
		saves_write_row(leader, own);
		return &own->part;
	}

	tide_status status = sqlite_run(&leader->connection, "BEGIN IMMEDIATE", &why);
	struct combine_part *group = combiner_take(saves);
	if (status == TIDE_OK)
		saves_write(leader, group);
	else if (status == TIDE_BUSY)
		saves_fail(group, status, &why);
	else
		saves_part(group);
	return group;
}

tide_status sqlite_saves_write(struct sqlite_session *session, const struct tide_fence *fence,
			       const struct tide_checkpoint_write *write, bool *ret_written,
			       struct tide_error *err)
{
	struct sqlite_save save = { .session = session, .fence = fence, .write = write };
	combiner_run(&session->store->saves.waiting, &save.part, saves_write_all, &save);
	if (save.is_alone)
		return session->store->saves.write(session, fence, write, ret_written, err);
	if (save.status != TIDE_OK && err)
		*err = save.why;
	*ret_written = save.is_written;
	return save.status;
}
