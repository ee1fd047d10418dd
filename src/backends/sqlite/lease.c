/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ownership of subscriptions.
 *
 * A lease is a row and a lock. The row says who owned last and in which epoch; writes carry both as
 * their fence. The lock says whether that owner lives: an open-file-description lock on the byte
 * `id` of the file of owners (owners.c), which the kernel ends with the process, so that no clock
 * is involved. Within a store its list of holdings tells; a memory database has no file, and its
 * leases are held while they are in the list.
 *
 * Happy path: find or make the row, lock its byte, take the next epoch.
 * Fails when: the byte is locked (no error: somebody else owns), or the file cannot be opened (io).
 */

#include <stdio.h>
#include <string.h>

#include "backends/sqlite/internal.h"

/** A lease held through this store, or being asked for. */
struct sqlite_holding {
	struct sqlite_holding *next;
	char *name;
	struct tide_uuid owner;
	int64_t id; /* the byte that is locked */
};

static const char lease_insert[] =
	"INSERT INTO subscription_leases (name, owner, epoch, acquired_at) "
	"VALUES (?1, NULL, 0, ?2) ON CONFLICT (name) DO NOTHING";
static const char lease_find[] = "SELECT id, owner, epoch, suspect_position, suspect_deaths FROM "
				 "subscription_leases WHERE name = ?1";
static const char lease_take[] =
	"UPDATE subscription_leases SET owner = ?2, epoch = ?3, acquired_at = ?4, released_at = "
	"NULL, "
	"suspect_position = nullif(?5, 0), suspect_deaths = nullif(?6, 0)"
	"<+LEASE_HISTORY , host = NULL, pid = NULL+><+LEASE_REASON , reason = NULL+> "
	"WHERE name = ?1";
static const char lease_release[] = "UPDATE subscription_leases SET owner = NULL, released_at = "
				    "?4, suspect_position = NULL, suspect_deaths = NULL "
				    "WHERE name = ?1 AND owner = ?2 AND epoch >= ?3";
static const char lease_end[] = "UPDATE subscription_leases SET owner = NULL, epoch = epoch + 1, "
				"released_at = ?2, suspect_position = NULL, "
				"suspect_deaths = NULL<+LEASE_HISTORY , last_error = NULL, "
				"last_error_at = NULL+><+LEASE_REASON , reason = NULL+> "
				"WHERE name = ?1";
static const char lease_mark[] = "UPDATE subscription_leases SET suspect_position = nullif(?4, 0), "
				 "suspect_deaths = iif(?4 = 0, NULL, ?5) "
				 "WHERE name = ?1 AND owner = ?2 AND epoch = ?3";

static const char lease_note[] =
	"UPDATE subscription_leases SET host = ifnull(?4, host), pid = iif(?4 IS NULL, pid, ?5), "
	"last_error = ifnull(?6, last_error), last_error_at = iif(?6 IS NULL, last_error_at, ?7)"
	"<+LEASE_REASON , reason = ifnull(?8, reason)+> WHERE name = ?1 AND owner = ?2 AND epoch = "
	"?3";
static const char lease_tell[] =
	"UPDATE subscription_leases SET reason = ?4 WHERE name = ?1 AND owner = ?2 AND epoch = ?3";
static const char lease_list[] =
	"SELECT name, acquired_at<+LEASE_HISTORY , host, pid, last_error, last_error_at+>"
	"<-LEASE_HISTORY , NULL, NULL, NULL, NULL+>, owner IS NOT NULL, released_at, "
	"suspect_position, suspect_deaths<+LEASE_REASON , reason+><-LEASE_REASON , NULL+>, owner "
	"FROM subscription_leases ORDER BY name";

/** What the row says. */
struct lease_row {
	int64_t id;
	bool has_owner;
	int64_t epoch;
	tide_position suspect;
	int32_t suspect_deaths;
};

static tide_status lease_read_row(struct sqlite_session *session, const char *name, bool *ret_found,
				  struct lease_row *ret, struct tide_error *err)
{
	SQLITE_AUTO_RESET sqlite3_stmt *statement = NULL;
	tide_status status = sqlite_statement(&session->connection, lease_find, &statement, err);
	if (status != TIDE_OK)
		return status;

	sqlite_bind_string(statement, 1, name);
	status = sqlite_step(&session->connection, statement, ret_found, err);
	if (status != TIDE_OK || !*ret_found)
		return status;

	ret->id = sqlite3_column_int64(statement, 0);
	ret->has_owner = sqlite3_column_type(statement, 1) != SQLITE_NULL;
	ret->epoch = sqlite3_column_int64(statement, 2);
	ret->suspect = sqlite3_column_int64(statement, 3);
	ret->suspect_deaths = (int32_t)sqlite3_column_int64(statement, 4);
	return TIDE_OK;
}

static tide_status lease_insert_row(struct sqlite_session *session, const char *name,
				    struct tide_error *err)
{
	SQLITE_AUTO_RESET sqlite3_stmt *statement = NULL;
	char now[TIDE_TIME_TEXT_SIZE];
	tide_status status = sqlite_statement(&session->connection, lease_insert, &statement, err);
	if (status != TIDE_OK)
		return status;
	sqlite_bind_string(statement, 1, name);
	sqlite_bind_time(statement, 2, clock_wall(&clock_system), now);
	return sqlite_step(&session->connection, statement, NULL, err);
}

/* The row's id, made when it is not there: the byte to lock. */
static tide_status lease_id_of(struct sqlite_session *session, const char *name, int64_t *ret,
			       struct tide_error *err)
{
	struct lease_row row;
	bool found;
	tide_status status = lease_read_row(session, name, &found, &row, err);
	if (status == TIDE_OK && !found) {
		status = lease_insert_row(session, name, err);
		if (status == TIDE_OK)
			status = lease_read_row(session, name, &found, &row, err);
	}

	if (status != TIDE_OK)
		return status;
	if (!found)
		return tide_fail(err, TIDE_INTERNAL,
				 "the lease of '%s' was deleted while it was made", name);

	*ret = row.id;
	return TIDE_OK;
}

/* ---- Locks ----------------------------------------------------------------------------------- */

static struct sqlite_holding **holding_find_locked(struct sqlite_store *store, const char *name)
	TIDE_REQUIRES(store->lock)
{
	struct sqlite_holding **at = &store->holdings;
	while (*at && strcmp((*at)->name, name) != 0)
		at = &(*at)->next;
	return at;
}

static void holding_free(struct sqlite_holding *holding)
{
	if (!holding)
		return;
	tide_free(holding->name);
	tide_free(holding);
}

static struct sqlite_holding *holding_new(const char *name, const struct tide_uuid *owner,
					  int64_t id)
{
	struct sqlite_holding *holding = alloc_zero(1, sizeof *holding);
	if (!holding)
		return NULL;
	holding->owner = *owner;
	holding->id = id;
	holding->name = alloc_text(name, strlen(name));
	if (holding->name)
		return holding;
	tide_free(holding);
	return NULL;
}

/* Enter a holding into the store's list, unless the name is held already. */
static bool holding_add(struct sqlite_store *store, struct sqlite_holding *holding)
{
	mutex_lock(&store->lock);
	struct sqlite_holding **at = holding_find_locked(store, holding->name);
	bool is_free = *at == NULL;
	if (is_free)
		*at = holding;
	mutex_unlock(&store->lock);
	return is_free;
}

/* The byte is free before the name is: it would be unlocked under the feet of who takes the name
 * meanwhile, since all of a store's locks are of one open file. */
static void holding_drop(struct sqlite_store *store, const char *name,
			 const struct tide_uuid *owner)
{
	mutex_lock(&store->lock);
	struct sqlite_holding **at = holding_find_locked(store, name);
	struct sqlite_holding *holding = *at;
	if (holding && tide_uuid_equal(&holding->owner, owner)) {
		sqlite_owners_unlock(store, holding->id);
		*at = holding->next;
	} else {
		holding = NULL;
	}

	mutex_unlock(&store->lock);
	holding_free(holding);
}

/* Whether a name is held through this store, and by whom. */
static bool holding_owner(struct sqlite_store *store, const char *name, struct tide_uuid *ret)
{
	mutex_lock(&store->lock);
	struct sqlite_holding *holding = *holding_find_locked(store, name);
	if (holding)
		*ret = holding->owner;
	mutex_unlock(&store->lock);
	return holding != NULL;
}

void sqlite_holdings_close(struct sqlite_store *store)
{
	while (store->holdings) {
		struct sqlite_holding *holding = store->holdings;
		store->holdings = holding->next;
		holding_free(holding);
	}
	sqlite_owners_close(store);
}

/* Get the liveness half of a lease; `*ret` false: a living owner has it. An owner that asks again
 * keeps what it has. */
static tide_status holding_acquire(struct sqlite_session *session, const char *name,
				   const struct tide_uuid *owner, bool *ret, struct tide_error *err)
{
	struct sqlite_store *store = session->store;
	struct tide_uuid holder;
	if (holding_owner(store, name, &holder)) {
		*ret = tide_uuid_equal(&holder, owner);
		return TIDE_OK;
	}

	int64_t id = 0;
	tide_status status = lease_id_of(session, name, &id, err);
	if (status != TIDE_OK)
		return status;

	struct sqlite_holding *holding = holding_new(name, owner, id);
	if (!holding)
		return alloc_fail(err);
	if (!holding_add(store, holding)) { /* another thread of this process was faster */
		holding_free(holding);
		*ret = false;
		return TIDE_OK;
	}

	*ret = true;
	if (store->owners)
		status = sqlite_owners_lock(store, id, ret, err);
	if (status != TIDE_OK || !*ret)
		holding_drop(store, name, owner);
	return status;
}

/* ---- The row --------------------------------------------------------------------------------- */

static tide_status lease_write_row(struct sqlite_session *session, const char *name,
				   const struct tide_uuid *owner, const struct tide_lease *lease,
				   struct tide_error *err)
{
	SQLITE_AUTO_RESET sqlite3_stmt *statement = NULL;
	char text[TIDE_UUID_TEXT_SIZE], now[TIDE_TIME_TEXT_SIZE];
	tide_status status = sqlite_statement(&session->connection, lease_take, &statement, err);
	if (status != TIDE_OK)
		return status;
	sqlite_bind_string(statement, 1, name);
	sqlite_bind_uuid(statement, 2, owner, text);
	sqlite3_bind_int64(statement, 3, lease->epoch);
	sqlite_bind_time(statement, 4, clock_wall(&clock_system), now);
	sqlite3_bind_int64(statement, 5, lease->suspect);
	sqlite3_bind_int64(statement, 6, lease->suspect_deaths);
	return sqlite_step(&session->connection, statement, NULL, err);
}

static tide_status lease_take_row(struct sqlite_session *session, const char *name,
				  const struct tide_uuid *owner, struct tide_lease *ret,
				  struct tide_error *err)
{
	struct lease_row row;
	bool joined, found;
	tide_status status = sqlite_write_begin(session, &joined, err);
	if (status != TIDE_OK)
		return status;

	status = lease_read_row(session, name, &found, &row, err);
	if (status == TIDE_OK && !found)
		status = tide_fail(err, TIDE_INTERNAL,
				   "the lease of '%s' was deleted while it was taken", name);
	struct tide_lease lease = { .is_owned = true };
	if (status == TIDE_OK) {
		lease.epoch = row.epoch + 1;
		lease.was_unclean = row.has_owner;
		lease.suspect = row.has_owner ? row.suspect : 0;
		lease.suspect_deaths = lease.suspect ? row.suspect_deaths + 1 : 0;
		status = lease_write_row(session, name, owner, &lease, err);
	}

	status = sqlite_write_end(session, joined, status, err);
	if (status == TIDE_OK)
		*ret = lease;
	return status;
}

tide_status sqlite_lease_acquire(void *self, const char *name, const struct tide_uuid *owner,
				 struct tide_lease *ret, struct tide_error *err)
{
	struct sqlite_session *session = self;
	bool is_held = false;
	tide_status status = holding_acquire(session, name, owner, &is_held, err);
	if (status != TIDE_OK)
		return status;
	if (!is_held) {
		memset(ret, 0, sizeof *ret);
		return TIDE_OK;
	}

	status = lease_take_row(session, name, owner, ret, err);
	if (status != TIDE_OK)
		holding_drop(session->store, name, owner);
	return status;
}

/* Nothing runs out here: renewing only looks whether the lease still stands. */
tide_status sqlite_lease_renew(void *self, const struct tide_fence *fence, struct tide_error *err)
{
	return sqlite_fence_check(self, fence, err);
}

/* Each look is a statement of its own: reading waits for no writer, so no row is ever skipped. */
tide_status sqlite_lease_renew_all(void *self, struct tide_lease_renewal *leases, size_t count,
				   struct tide_error *err)
{
	for (size_t i = 0; i < count; i++) {
		bool stands = true;
		tide_status status =
			leases[i].is_member
				? sqlite_member_stands(self, &leases[i].fence, &stands, err)
				: sqlite_fence_check(self, &leases[i].fence, err);
		if (status != TIDE_OK && status != TIDE_FENCED)
			return status;
		leases[i].result =
			status == TIDE_OK && stands ? TIDE_RENEWAL_MADE : TIDE_RENEWAL_LOST;
	}
	return TIDE_OK;
}

static tide_status lease_change(struct sqlite_session *session, sqlite3_stmt *statement,
				const struct tide_fence *fence, struct tide_error *err)
{
	char owner[TIDE_UUID_TEXT_SIZE];
	sqlite_bind_fence(statement, 1, fence, owner);
	tide_status status = sqlite_place_check_now_and_then(session->store, err);
	if (status == TIDE_OK)
		status = sqlite_step(&session->connection, statement, NULL, err);
	if (status != TIDE_OK)
		return status;
	return sqlite3_changes(session->connection.handle) ? TIDE_OK : sqlite_fenced(fence, err);
}

tide_status sqlite_lease_release(void *self, const struct tide_fence *fence, struct tide_error *err)
{
	struct sqlite_session *session = self;
	SQLITE_AUTO_RESET sqlite3_stmt *statement = NULL;
	char now[TIDE_TIME_TEXT_SIZE];
	tide_status status = sqlite_statement(&session->connection, lease_release, &statement, err);
	if (status == TIDE_OK) {
		sqlite_bind_time(statement, 4, clock_wall(&clock_system), now);
		status = lease_change(session, statement, fence, err);
	}
	/* Whatever became of the row, this owner ends here. */
	holding_drop(session->store, fence->name, &fence->owner);
	return status;
}

/* The lock is the kernel's: who lives has it until its next write or renewal tells it, or its
 * process ends. */
tide_status sqlite_lease_end(void *self, const char *name, bool *ret, struct tide_error *err)
{
	struct sqlite_session *session = self;
	SQLITE_AUTO_RESET sqlite3_stmt *statement = NULL;
	char now[TIDE_TIME_TEXT_SIZE];
	tide_status status = sqlite_statement(&session->connection, lease_end, &statement, err);
	if (status != TIDE_OK)
		return status;
	sqlite_bind_string(statement, 1, name);
	sqlite_bind_time(statement, 2, clock_wall(&clock_system), now);
	status = sqlite_step(&session->connection, statement, NULL, err);
	if (status == TIDE_OK)
		*ret = sqlite3_changes(session->connection.handle) > 0;
	return status;
}

tide_status sqlite_lease_mark(void *self, const struct tide_fence *fence, tide_position position,
			      int32_t deaths, struct tide_error *err)
{
	struct sqlite_session *session = self;
	SQLITE_AUTO_RESET sqlite3_stmt *statement = NULL;
	tide_status status = sqlite_statement(&session->connection, lease_mark, &statement, err);
	if (status != TIDE_OK)
		return status;
	sqlite3_bind_int64(statement, 4, position);
	sqlite3_bind_int64(statement, 5, deaths);
	return lease_change(session, statement, fence, err);
}

tide_status sqlite_lease_is_owned(void *self, const char *name, bool *ret, struct tide_error *err)
{
	struct sqlite_session *session = self;
	struct tide_uuid holder;
	if (holding_owner(session->store, name, &holder) || !session->store->owners) {
		*ret = holding_owner(session->store, name, &holder);
		return TIDE_OK;
	}

	struct lease_row row;
	bool found;
	tide_status status = lease_read_row(session, name, &found, &row, err);
	if (status != TIDE_OK)
		return status;
	if (found)
		return sqlite_owners_probe(session->store, row.id, ret, err);

	*ret = false;
	return TIDE_OK;
}

/* ---- What is kept beside it ------------------------------------------------------------------ */

tide_status sqlite_lease_note(void *self, const struct tide_fence *fence,
			      const struct tide_lease_note *note, struct tide_error *err)
{
	struct sqlite_session *session = self;
	SQLITE_AUTO_RESET sqlite3_stmt *statement = NULL;
	char now[TIDE_TIME_TEXT_SIZE];
	if (!(session->connection.parts & PART_BIT(PART_LEASE_HISTORY)))
		return TIDE_OK;

	tide_status status = sqlite_statement(&session->connection, lease_note, &statement, err);
	if (status != TIDE_OK)
		return status;

	sqlite3_clear_bindings(statement);
	if (note->host)
		sqlite_bind_string(statement, 4, note->host);
	sqlite3_bind_int64(statement, 5, note->pid);
	if (note->last_error)
		sqlite_bind_string(statement, 6, note->last_error);
	sqlite_bind_time(statement, 7, note->now, now);
	if (note->reason && session->connection.parts & PART_BIT(PART_LEASE_REASON))
		sqlite_bind_string(statement, 8, note->reason);
	return lease_change(session, statement, fence, err);
}

/* Whoever writes at this moment is not waited for: what is told now can be told later. */
tide_status sqlite_lease_tell(void *self, const struct tide_fence *fence, const char *reason,
			      bool *ret, struct tide_error *err)
{
	struct sqlite_session *session = self;
	SQLITE_AUTO_RESET sqlite3_stmt *statement = NULL;
	*ret = true;
	if (!(session->connection.parts & PART_BIT(PART_LEASE_REASON)))
		return TIDE_OK;

	tide_status status = sqlite_statement(&session->connection, lease_tell, &statement, err);
	if (status != TIDE_OK)
		return status;
	sqlite3_clear_bindings(statement);
	if (reason)
		sqlite_bind_string(statement, 4, reason);

	int64_t patience = session->connection.busy_ns;
	session->connection.busy_ns = 0;
	status = lease_change(session, statement, fence, err);
	session->connection.busy_ns = patience;
	*ret = status == TIDE_OK;
	return status == TIDE_BUSY || status == TIDE_FENCED ? TIDE_OK : status;
}

static void lease_decode(sqlite3_stmt *statement, struct tide_lease_info *ret)
{
	*ret = (struct tide_lease_info){ .seconds_left = -1 };
	const char *host = (const char *)sqlite3_column_text(statement, 2);
	const char *error = (const char *)sqlite3_column_text(statement, 4);
	sqlite_column_name(statement, 0, ret->name);
	sqlite_column_time(statement, 1, &ret->acquired_at);
	snprintf(ret->host, sizeof ret->host, "%s", host ? host : "");
	ret->pid = sqlite3_column_int(statement, 3);
	snprintf(ret->last_error, sizeof ret->last_error, "%s", error ? error : "");
	ret->has_last_error = error && sqlite_column_time(statement, 5, &ret->last_error_at);
	ret->has_owner = sqlite3_column_int(statement, 6) != 0;
	ret->has_released_at = sqlite_column_time(statement, 7, &ret->released_at);
	ret->suspect = sqlite3_column_int64(statement, 8);
	ret->suspect_deaths = sqlite3_column_int(statement, 9);
	const char *reason = (const char *)sqlite3_column_text(statement, 10);
	snprintf(ret->reason, sizeof ret->reason, "%s", reason ? reason : "");
	(void)sqlite_column_uuid(statement, 11, &ret->owner);
}

static tide_status lease_collect(struct sqlite_session *session, struct tide_lease_info **list,
				 size_t *count, struct tide_error *err)
{
	SQLITE_AUTO_RESET sqlite3_stmt *statement = NULL;
	bool has_row = true;
	tide_status status = sqlite_statement(&session->connection, lease_list, &statement, err);

	while (status == TIDE_OK &&
	       (status = sqlite_step(&session->connection, statement, &has_row, err)) == TIDE_OK &&
	       has_row) {
		struct tide_lease_info *more = alloc_resize(*list, *count + 1, sizeof *more);
		if (!more)
			return alloc_fail(err);
		*list = more;
		lease_decode(statement, &more[(*count)++]);
	}
	return status;
}

tide_status sqlite_lease_list(void *self, struct tide_lease_info **ret, size_t *ret_count,
			      struct tide_error *err)
{
	ALLOC_AUTO struct tide_lease_info *list = NULL;
	size_t count = 0;
	tide_status status = lease_collect(self, &list, &count, err);
	for (size_t i = 0; status == TIDE_OK && i < count; i++)
		status = sqlite_lease_is_owned(self, list[i].name, &list[i].is_owned, err);
	if (status != TIDE_OK)
		return status;
	*ret = list;
	*ret_count = count;
	list = NULL;
	return TIDE_OK;
}
