/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Saves of several subscriptions in one commit.
 *
 *	save ──▶ queue ──▶ nobody leads? lead: BEGIN, take the queue, write each row, COMMIT
 *	                   else wait: told to lead, or that it is done
 *	leader ──▶ tell the next leader, then the others
 *
 * Each row is written by the statement that would write it alone, under its own fence and over its
 * own expectation, and who is not the owner any more, or finds another row, asks why for itself.
 *
 * Happy path: who is alone writes its row, without a transaction around it. Fails when: a row is
 * refused: that row alone. The file stays locked: everybody has waited for it. What ends the
 * transaction otherwise leaves nothing of it, and each of them writes its row alone.
 */

#include "backends/sqlite/internal.h"

/** What a save is told by the leader before it. */
enum save_turn { SAVE_WAITS, SAVE_LEADS, SAVE_IS_DONE };

/** One subscription's save, on its own stack. */
struct sqlite_save {
	const struct tide_fence *fence;
	const struct tide_checkpoint_write *write;
	tide_status status;
	struct tide_error why; /* when status is not TIDE_OK */
	bool is_written;
	bool is_alone;            /* it has to be written alone */
	struct sqlite_save *next; /* under the queue's lock, then the leader's */
	/* under lock, each its own: those who are woken do not meet at one */
	struct mutex lock;
	struct cond told;
	enum save_turn turn;
};

void sqlite_saves_init(struct sqlite_saves *saves, sqlite_save_writer *write)
{
	saves->write = write;
	mutex_init(&saves->lock, LOCK_SQLITE_SAVES);
	saves->last = &saves->first;
}

void sqlite_saves_fini(struct sqlite_saves *saves)
{
	mutex_fini(&saves->lock);
}

static struct sqlite_save *saves_take_locked(struct sqlite_saves *saves) TIDE_REQUIRES(saves->lock)
{
	struct sqlite_save *group = saves->first;
	saves->first = NULL;
	saves->last = &saves->first;
	saves->waiting = 0;
	return group;
}

static void saves_write_row(struct sqlite_session *leader, struct sqlite_save *save)
{
	save->status = leader->store->saves.write(leader, save->fence, save->write,
						  &save->is_written, &save->why);
}

static void saves_fail(struct sqlite_save *group, tide_status status, const struct tide_error *why)
{
	for (struct sqlite_save *save = group; save; save = save->next) {
		save->status = status;
		save->why = *why;
	}
}

static void saves_part(struct sqlite_save *group)
{
	for (struct sqlite_save *save = group; save; save = save->next)
		save->is_alone = true;
}

static bool saves_is_over(const struct sqlite_session *leader)
{
	return sqlite3_get_autocommit(leader->connection.handle) != 0;
}

/* Nothing of the group is stored when the transaction ends on the way. */
static void saves_write(struct sqlite_session *leader, struct sqlite_save *group)
{
	struct tide_error why;
	for (struct sqlite_save *save = group; save && !saves_is_over(leader); save = save->next)
		saves_write_row(leader, save);

	if (!saves_is_over(leader) && sqlite_run(&leader->connection, "COMMIT", &why) == TIDE_OK)
		return;
	if (!saves_is_over(leader))
		sqlite_run(&leader->connection, "ROLLBACK", NULL);
	saves_part(group);
}

/* Those who come while the leader waits for the file are written with it. */
static struct sqlite_save *saves_write_group(struct sqlite_saves *saves,
					     struct sqlite_session *leader)
{
	struct tide_error why;
	tide_status status = sqlite_run(&leader->connection, "BEGIN IMMEDIATE", &why);
	mutex_lock(&saves->lock);
	struct sqlite_save *group = saves_take_locked(saves);
	mutex_unlock(&saves->lock);
	if (status == TIDE_OK)
		saves_write(leader, group);
	else if (status == TIDE_BUSY)
		saves_fail(group, status, &why);
	else
		saves_part(group);
	return group;
}

/* It may be gone when this returns. */
static void save_tell(struct sqlite_save *save, enum save_turn turn)
{
	mutex_lock(&save->lock);
	save->turn = turn;
	cond_signal(&save->told);
	mutex_unlock(&save->lock);
}

static enum save_turn save_wait(struct sqlite_save *save)
{
	mutex_lock(&save->lock);
	while (save->turn == SAVE_WAITS)
		cond_wait(&save->told, &save->lock);
	enum save_turn turn = save->turn;
	mutex_unlock(&save->lock);
	return turn;
}

/* The first who came meanwhile leads on. */
static void saves_resign(struct sqlite_saves *saves)
{
	mutex_lock(&saves->lock);
	struct sqlite_save *next = saves->first;
	saves->is_led = next != NULL;
	mutex_unlock(&saves->lock);
	if (next)
		save_tell(next, SAVE_LEADS);
}

/* Write a group, its own save among it. */
static void saves_lead(struct sqlite_saves *saves, struct sqlite_session *leader,
		       struct sqlite_save *own)
{
	mutex_lock(&saves->lock);
	bool is_only = saves->waiting == 1;
	struct sqlite_save *group = is_only ? saves_take_locked(saves) : NULL;
	mutex_unlock(&saves->lock);
	if (is_only)
		saves_write_row(leader, own);
	else
		group = saves_write_group(saves, leader);

	saves_resign(saves);
	while (group) {
		struct sqlite_save *save = group;
		group = group->next;
		if (save != own)
			save_tell(save, SAVE_IS_DONE);
	}
}

static void saves_join(struct sqlite_session *session, struct sqlite_save *save)
{
	struct sqlite_saves *saves = &session->store->saves;
	mutex_lock(&saves->lock);
	*saves->last = save;
	saves->last = &save->next;
	saves->waiting++;
	bool is_leader = !saves->is_led;
	saves->is_led = true;
	mutex_unlock(&saves->lock);
	if (is_leader || save_wait(save) == SAVE_LEADS)
		saves_lead(saves, session, save);
}

tide_status sqlite_saves_write(struct sqlite_session *session, const struct tide_fence *fence,
			       const struct tide_checkpoint_write *write, bool *ret_written,
			       struct tide_error *err)
{
	struct sqlite_save save = { .fence = fence, .write = write };
	mutex_init(&save.lock, LOCK_SQLITE_SAVE);
	cond_init(&save.told);
	saves_join(session, &save);
	cond_fini(&save.told);
	mutex_fini(&save.lock);

	if (save.is_alone)
		return session->store->saves.write(session, fence, write, ret_written, err);
	if (save.status != TIDE_OK && err)
		*err = save.why;
	*ret_written = save.is_written;
	return save.status;
}
