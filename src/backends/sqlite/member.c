/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Members of groups: a row each and, for whether it lives, a lock on byte 2^62 + id of the file
 * of owners (owners.c). In a memory database one lives while it is in the list.
 *
 * Happy path: a row under a new id, its byte locked, in one transaction; rows of members that have
 * died are deleted on the way. Fails when: the file of the locks cannot be opened (io).
 */
#include <stdio.h>
#include <string.h>

#include "backends/sqlite/internal.h"
#include "core/control.h"

#define MEMBER_BYTE (INT64_C(1) << 62)

/** A membership through this store. */
struct sqlite_membership {
	struct sqlite_membership *next;
	int64_t id; /* of the row */
};

static const char member_insert[] =
	"INSERT INTO subscription_members (name, member, host, pid, joined_at) SELECT ?1, ?2, ?3, "
	"?4, ?5 WHERE EXISTS (SELECT 1 FROM subscription_groups WHERE name = ?1 AND lanes = ?6)";
static const char member_find[] =
	"SELECT id FROM subscription_members WHERE name = ?1 AND member = ?2";
static const char member_delete[] = "DELETE FROM subscription_members WHERE id = ?1";
static const char member_select[] =
	"SELECT id, member, host, pid, joined_at FROM subscription_members WHERE name = ?1";

/* ---- Who lives ------------------------------------------------------------------------------- */

static bool membership_add(struct sqlite_store *store, int64_t id)
{
	struct sqlite_membership *membership = alloc_zero(1, sizeof *membership);
	if (!membership)
		return false;
	membership->id = id;
	mutex_lock(&store->lock);
	membership->next = store->memberships;
	store->memberships = membership;
	mutex_unlock(&store->lock);
	return true;
}

static struct sqlite_membership **membership_find_locked(struct sqlite_store *store, int64_t id)
	TIDE_REQUIRES(store->lock)
{
	struct sqlite_membership **at = &store->memberships;
	while (*at && (*at)->id != id)
		at = &(*at)->next;
	return at;
}

static void membership_drop(struct sqlite_store *store, int64_t id)
{
	mutex_lock(&store->lock);
	struct sqlite_membership **at = membership_find_locked(store, id);
	struct sqlite_membership *membership = *at;
	if (membership)
		*at = membership->next;
	mutex_unlock(&store->lock);

	if (membership)
		sqlite_owners_unlock(store, MEMBER_BYTE + id);
	tide_free(membership);
}

static bool membership_is_ours(struct sqlite_store *store, int64_t id)
{
	mutex_lock(&store->lock);
	bool is_ours = *membership_find_locked(store, id) != NULL;
	mutex_unlock(&store->lock);
	return is_ours;
}

void sqlite_memberships_close(struct sqlite_store *store)
{
	while (store->memberships) {
		struct sqlite_membership *membership = store->memberships;
		store->memberships = membership->next;
		tide_free(membership);
	}
}

static tide_status member_lives(struct sqlite_store *store, int64_t id, bool *ret,
				struct tide_error *err)
{
	*ret = membership_is_ours(store, id);
	if (*ret || !store->owners)
		return TIDE_OK;
	return sqlite_owners_probe(store, MEMBER_BYTE + id, ret, err);
}

/* ---- Rows ------------------------------------------------------------------------------------ */

/** A row, and the member it is of. */
struct member_row {
	int64_t id;
	struct tide_member member;
};

static void member_decode(sqlite3_stmt *statement, struct member_row *ret)
{
	*ret = (struct member_row){ .id = sqlite3_column_int64(statement, 0),
				    .member.pid = sqlite3_column_int(statement, 3),
				    .member.seconds_left = -1 };
	(void)sqlite_column_uuid(statement, 1, &ret->member.id);
	control_copy(ret->member.host, sizeof ret->member.host, sqlite_column_view(statement, 2));
	(void)sqlite_column_time(statement, 4, &ret->member.joined_at);
}

static tide_status member_rows(struct sqlite_session *session, const char *group,
			       struct member_row **list, size_t *count, struct tide_error *err)
{
	SQLITE_AUTO_RESET sqlite3_stmt *statement = NULL;
	bool has_row = true;
	tide_status status = sqlite_statement(&session->connection, member_select, &statement, err);
	if (status != TIDE_OK)
		return status;

	sqlite_bind_string(statement, 1, group);
	while ((status = sqlite_step(&session->connection, statement, &has_row, err)) == TIDE_OK &&
	       has_row) {
		struct member_row *more = alloc_resize(*list, *count + 1, sizeof *more);
		if (!more)
			return alloc_fail(err);
		*list = more;
		member_decode(statement, &more[(*count)++]);
	}
	return status;
}

static tide_status member_remove(struct sqlite_session *session, int64_t id, struct tide_error *err)
{
	SQLITE_AUTO_RESET sqlite3_stmt *statement = NULL;
	tide_status status = sqlite_statement(&session->connection, member_delete, &statement, err);
	if (status != TIDE_OK)
		return status;
	sqlite3_bind_int64(statement, 1, id);
	return sqlite_step(&session->connection, statement, NULL, err);
}

/* In a transaction. Who joins again leaves first. */
static tide_status member_sweep(struct sqlite_session *session, const char *group,
				const struct tide_uuid *id, struct tide_error *err)
{
	ALLOC_AUTO struct member_row *rows = NULL;
	size_t count = 0;
	tide_status status = member_rows(session, group, &rows, &count, err);
	for (size_t i = 0; status == TIDE_OK && i < count; i++) {
		bool lives = false;
		if (!tide_uuid_equal(&rows[i].member.id, id))
			status = member_lives(session->store, rows[i].id, &lives, err);
		if (status == TIDE_OK && !lives)
			status = member_remove(session, rows[i].id, err);
		if (status == TIDE_OK && !lives)
			membership_drop(session->store, rows[i].id);
	}
	return status;
}

/* `*ret` 0: the group has another number of lanes. */
static tide_status member_add(struct sqlite_session *session, const struct tide_member_write *write,
			      int64_t *ret, struct tide_error *err)
{
	SQLITE_AUTO_RESET sqlite3_stmt *statement = NULL;
	char id[TIDE_UUID_TEXT_SIZE], now[TIDE_TIME_TEXT_SIZE];
	tide_status status = sqlite_statement(&session->connection, member_insert, &statement, err);
	if (status != TIDE_OK)
		return status;

	sqlite_bind_string(statement, 1, write->group);
	sqlite_bind_uuid(statement, 2, &write->id, id);
	sqlite_bind_string(statement, 3, write->host);
	sqlite3_bind_int64(statement, 4, write->pid);
	sqlite_bind_time(statement, 5, write->now, now);
	sqlite3_bind_int64(statement, 6, write->lanes);
	status = sqlite_step(&session->connection, statement, NULL, err);
	if (status == TIDE_OK)
		*ret = sqlite3_changes(session->connection.handle) > 0
			       ? sqlite3_last_insert_rowid(session->connection.handle)
			       : 0;
	return status;
}

/* Nobody else knows the id before the transaction ends: the byte is free. */
static tide_status member_lock(struct sqlite_store *store, int64_t id, struct tide_error *err)
{
	bool is_locked = true;
	if (!membership_add(store, id))
		return alloc_fail(err);
	tide_status status = store->owners
				     ? sqlite_owners_lock(store, MEMBER_BYTE + id, &is_locked, err)
				     : TIDE_OK;
	if (status == TIDE_OK && !is_locked)
		status = tide_fail(err, TIDE_INTERNAL, "byte %lld of '%s' is locked already",
				   (long long)(MEMBER_BYTE + id), store->owners);
	if (status != TIDE_OK)
		membership_drop(store, id);
	return status;
}

tide_status sqlite_member_join(void *self, const struct tide_member_write *write, bool *ret,
			       struct tide_error *err)
{
	struct sqlite_session *session = self;
	bool joined;
	int64_t id = 0;
	if (!sqlite_group_is_kept(session))
		return group_unsupported(err);

	tide_status status = sqlite_write_begin(session, &joined, err);
	if (status != TIDE_OK)
		return status;

	status = member_sweep(session, write->group, &write->id, err);
	if (status == TIDE_OK)
		status = member_add(session, write, &id, err);
	if (status == TIDE_OK && id > 0)
		status = member_lock(session->store, id, err);
	if (status != TIDE_OK)
		id = 0;

	status = sqlite_write_end(session, joined, status, err);
	if (status != TIDE_OK && id > 0)
		membership_drop(session->store, id);
	if (status == TIDE_OK)
		*ret = id > 0;
	return status;
}

/* `*ret` 0: it is none. */
static tide_status member_id(struct sqlite_session *session, const char *group,
			     const struct tide_uuid *member, int64_t *ret, struct tide_error *err)
{
	SQLITE_AUTO_RESET sqlite3_stmt *statement = NULL;
	char text[TIDE_UUID_TEXT_SIZE];
	bool is_found = false;
	tide_status status = sqlite_statement(&session->connection, member_find, &statement, err);
	if (status != TIDE_OK)
		return status;
	sqlite_bind_string(statement, 1, group);
	sqlite_bind_uuid(statement, 2, member, text);
	status = sqlite_step(&session->connection, statement, &is_found, err);
	if (status == TIDE_OK)
		*ret = is_found ? sqlite3_column_int64(statement, 0) : 0;
	return status;
}

tide_status sqlite_member_leave(void *self, const char *group, const struct tide_uuid *member,
				struct tide_error *err)
{
	struct sqlite_session *session = self;
	int64_t id = 0;
	if (!sqlite_group_is_kept(session))
		return TIDE_OK;
	tide_status status = member_id(session, group, member, &id, err);
	if (status == TIDE_OK && id > 0)
		status = member_remove(session, id, err);
	/* Whatever became of the row, this member ends here. */
	if (id > 0)
		membership_drop(session->store, id);
	return status;
}

tide_status sqlite_member_stands(struct sqlite_session *session, const struct tide_fence *fence,
				 bool *ret, struct tide_error *err)
{
	int64_t id = 0;
	tide_status status = TIDE_OK;
	if (sqlite_group_is_kept(session))
		status = member_id(session, fence->name, &fence->owner, &id, err);
	if (status == TIDE_OK)
		*ret = id > 0 && membership_is_ours(session->store, id);
	return status;
}

/* ---- Listing --------------------------------------------------------------------------------- */

static void member_insert_sorted(struct tide_member *list, size_t count,
				 const struct tide_member *member)
{
	size_t place = count;
	while (place > 0 && (list[place - 1].joined_at.unix_us > member->joined_at.unix_us ||
			     (list[place - 1].joined_at.unix_us == member->joined_at.unix_us &&
			      tide_uuid_compare(&list[place - 1].id, &member->id) > 0))) {
		list[place] = list[place - 1];
		place--;
	}
	list[place] = *member;
}

tide_status sqlite_member_list(void *self, const char *group, struct tide_member **ret,
			       size_t *ret_count, struct tide_error *err)
{
	struct sqlite_session *session = self;
	ALLOC_AUTO struct member_row *rows = NULL;
	size_t found = 0, count = 0;
	tide_status status = TIDE_OK;
	if (sqlite_group_is_kept(session))
		status = member_rows(session, group, &rows, &found, err);

	ALLOC_AUTO struct tide_member *list = alloc_zero(found + 1, sizeof *list);
	if (status == TIDE_OK && !list)
		return alloc_fail(err);
	for (size_t i = 0; status == TIDE_OK && i < found; i++) {
		bool lives = false;
		status = member_lives(session->store, rows[i].id, &lives, err);
		if (status == TIDE_OK && lives)
			member_insert_sorted(list, count++, &rows[i].member);
	}

	if (status != TIDE_OK)
		return status;
	*ret = list;
	*ret_count = count;
	list = NULL;
	return TIDE_OK;
}
