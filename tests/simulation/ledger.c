/* SPDX-License-Identifier: Apache-2.0 */
#include "simulation/ledger.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/text.h"
#include "simulation/ledger_inner.h"
#include "sys/alloc.h"

struct ledger *ledger_now;
char ledger_replay[160];

/** A store of one process. */
struct ledger_store {
	int process;
};

void ledger_broken(const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	fprintf(stderr, "INVARIANT BROKEN: ");
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fprintf(stderr, "\nreplay: %s\n", ledger_replay);
	exit(1);
}

int ledger_below(struct ledger *ledger, int limit)
{
	return (int)(random_next(&ledger->random) % (uint64_t)limit);
}

bool ledger_chance(struct ledger *ledger, int per_mille)
{
	return ledger_below(ledger, 1000) < per_mille;
}

static struct mono_time ledger_mono(struct clock *clock)
{
	return (struct mono_time){ ((struct ledger *)clock)->now_ns };
}

static struct tide_time ledger_wall(struct clock *clock)
{
	return (struct tide_time){ INT64_C(1700000000000000) +
				   ((struct ledger *)clock)->now_ns / 1000 };
}

void ledger_init(struct ledger *ledger, uint64_t seed)
{
	memset(ledger, 0, sizeof *ledger);
	ledger->clock = (struct clock){ ledger_mono, ledger_wall };
	ledger->now_ns = NS_PER_SECOND;
	random_seed(&ledger->random, seed * 2654435761u + 1);
	ledger->fault_per_mille = ledger_below(ledger, 3) * 15;
	ledger->is_transactional = ledger_chance(ledger, 700);
	ledger_now = ledger;
}

/* ---- The feed -------------------------------------------------------------------------------- */

static struct tide_uuid ledger_id(int kind, int number)
{
	struct tide_uuid id = { { 0x7a, (uint8_t)kind } };
	id.bytes[14] = (uint8_t)(number >> 8);
	id.bytes[15] = (uint8_t)number;
	return id;
}

void ledger_append(struct ledger *ledger)
{
	if (ledger->event_count == LEDGER_EVENTS)
		return;
	int aggregate = ledger_below(ledger, LEDGER_AGGREGATES);
	int position = ++ledger->event_count;
	ledger->aggregate_of[position] = (uint8_t)aggregate;
	ledger->version_of[position] = ++ledger->versions[aggregate];
}

static struct tide_event ledger_view(const struct ledger *ledger, int position)
{
	return (struct tide_event){
		.position = position,
		.version = (int32_t)ledger->version_of[position],
		.event_version = 1,
		.event_id = ledger_id(1, position),
		.aggregate_id = ledger_id(2, ledger->aggregate_of[position] + 1),
		.event_type = tide_text("Counted"),
		.aggregate_type = tide_text("Thing"),
		.metadata = tide_text("{}"),
		.payload = tide_text("{\"n\":1}"),
	};
}

bool ledger_falls(const struct ledger *ledger, int position, struct tide_lane lane)
{
	struct tide_uuid id = ledger_id(2, ledger->aggregate_of[position] + 1);
	return fnv1a64(id.bytes, sizeof id.bytes) % lane.total == lane.index;
}

/* ---- Rows ------------------------------------------------------------------------------------ */

struct ledger_row *ledger_row(struct ledger *ledger, const char *name)
{
	for (int i = 0; i < ledger->row_count; i++)
		if (strcmp(ledger->rows[i].name, name) == 0)
			return &ledger->rows[i];
	if (ledger->row_count == LEDGER_NAMES)
		ledger_broken("more names than the script has");
	struct ledger_row *row = &ledger->rows[ledger->row_count++];
	*row = (struct ledger_row){ .lane = { 0, 1 } };
	snprintf(row->name, sizeof row->name, "%s", name);
	(void)sscanf(name, LEDGER_NAME "#%u/%u", &row->lane.index, &row->lane.total);
	return row;
}

bool ledger_is_owned(const struct ledger *ledger, const struct ledger_row *row)
{
	return row->has_lease && !tide_uuid_is_nil(&row->owner) && ledger->now_ns < row->expires_ns;
}

bool ledger_has_applied(const struct ledger *ledger, const void *self, int position)
{
	const struct ledger_session *session = self;
	for (int i = 0; session && session->is_open && i < session->applied_count; i++)
		if (session->applied[i] == position)
			return true;
	return ledger->applied[position] > 0;
}

void ledger_apply(struct ledger *ledger, void *self, int position)
{
	struct ledger_session *session = self;
	if (session && session->is_open)
		session->applied[session->applied_count++] = position;
	else
		ledger->applied[position] = 1;
}

static void ledger_end(struct ledger_session *session)
{
	for (int i = 0; i < ledger_now->row_count; i++)
		if (ledger_now->rows[i].holder == session)
			ledger_now->rows[i].holder = NULL;
	session->is_open = session->has_save = session->is_saved = false;
	session->applied_count = 0;
	session->row = NULL;
}

static void ledger_break(struct ledger_session *session)
{
	ledger_end(session);
	session->is_broken = true;
}

void ledger_hang_up(struct ledger *ledger, int process)
{
	for (struct ledger_session *at = ledger->sessions; at; at = at->next)
		if (at->process == process)
			ledger_break(at);
}

/* ---- Failures -------------------------------------------------------------------------------- */

/* An operation takes its time; now and then so much that leases run out meanwhile. */
static void ledger_take_time(struct ledger *ledger)
{
	if (ledger->is_healed)
		return;
	ledger->now_ns += ledger_below(ledger, 1000) * INT64_C(1000);
	if (ledger_chance(ledger, 60) && ledger->meanwhile)
		ledger->meanwhile(ledger);
}

tide_status ledger_begin(struct ledger_session *session, struct tide_error *err)
{
	struct ledger *ledger = ledger_now;
	struct ledger_line *line = &ledger->lines[session->process];
	ledger->operations++;
	if (!line->is_dead)
		ledger_take_time(ledger);
	if (!line->is_dead && ledger->doom)
		ledger->doom(ledger, session->process);
	if (line->is_dead || line->is_cut)
		ledger_break(session);
	if (session->is_broken)
		return tide_fail(err, TIDE_CONNECTION_LOST, "scripted: the connection is lost");
	session->began_ns = ledger->now_ns;
	if (ledger->is_healed || !ledger_chance(ledger, ledger->fault_per_mille))
		return TIDE_OK;
	ledger->faults++;
	if (ledger_chance(ledger, 600))
		return tide_fail(err, TIDE_BUSY, "scripted: busy");
	ledger_break(session);
	return tide_fail(err, TIDE_CONNECTION_LOST, "scripted: connection lost");
}

/* What was done is done, and the answer is late, or lost. */
tide_status ledger_answer(struct ledger_session *session, struct tide_error *err)
{
	struct ledger *ledger = ledger_now;
	ledger_take_time(ledger);
	if (ledger->doom)
		ledger->doom(ledger, session->process);
	const struct ledger_line *line = &ledger->lines[session->process];
	bool is_lost = line->is_dead || line->is_cut ||
		       (!ledger->is_healed && ledger_chance(ledger, ledger->fault_per_mille / 3));
	if (!is_lost)
		return TIDE_OK;
	ledger_break(session);
	return tide_fail(err, TIDE_CONNECTION_LOST, "scripted: the answer is lost");
}

/* ---- Store ----------------------------------------------------------------------------------- */

static tide_status store_open(struct tide_url *url, const struct tide_store_options *options,
			      void **ret, struct tide_error *err)
{
	(void)url, (void)options, (void)err;
	struct ledger_store *store = malloc(sizeof *store);
	store->process = ledger_now->opening;
	*ret = store;
	return TIDE_OK;
}

static void store_close(void *store)
{
	free(store);
}

static tide_status store_append(void *store, const struct tide_commit *commits, size_t count,
				struct tide_append_result *ret, struct tide_error *err)
{
	(void)store, (void)commits, (void)count, (void)ret;
	return tide_fail(err, TIDE_UNSUPPORTED, "the script appends");
}

static tide_status session_open(void *self, void **ret, struct tide_error *err)
{
	struct ledger_session probe = { .process = ((struct ledger_store *)self)->process };
	tide_status status = ledger_begin(&probe, err);
	if (status != TIDE_OK)
		return status;
	struct ledger_session *session = calloc(1, sizeof *session);
	session->process = probe.process;
	session->lease_seconds = ledger_now->lines[probe.process].lease_seconds;
	session->next = ledger_now->sessions;
	ledger_now->sessions = session;
	*ret = session;
	return TIDE_OK;
}

static void session_close(void *self)
{
	struct ledger_session *session = self, **at = &ledger_now->sessions;
	ledger_end(session);
	while (*at != session)
		at = &(*at)->next;
	*at = session->next;
	free(session);
}

static void session_limit(void *self, const struct tide_session_limits *limits)
{
	((struct ledger_session *)self)->lease_seconds = limits->lease;
}

static tide_status session_read(void *self, const struct tide_page_query *query,
				struct tide_page *page, struct tide_error *err)
{
	struct ledger *ledger = ledger_now;
	tide_status status = ledger_begin(self, err);
	int64_t position = query->bound;
	for (size_t scanned = 0;
	     status == TIDE_OK && position < ledger->event_count && scanned < query->max_scan;
	     scanned++, position++) {
		struct tide_event event = ledger_view(ledger, (int)position + 1);
		if (!tide_filter_matches(query->filter, &event)) {
			tide_page_pass(page);
			page->passed = (struct tide_anchor){ event.position, event.event_id };
		} else if (!tide_page_fits(page, event.payload.size + event.metadata.size)) {
			break;
		} else {
			status = tide_page_add(page, &event, err);
		}
	}
	page->scanned_to = position;
	page->is_end = position >= ledger->event_count;
	return status == TIDE_OK ? ledger_answer(self, err) : status;
}

static tide_status session_end(void *self, tide_position *ret, struct tide_error *err)
{
	tide_status status = ledger_begin(self, err);
	if (status == TIDE_OK)
		*ret = ledger_now->event_count;
	return status;
}

static tide_status session_anchor(void *self, tide_position position, struct tide_anchor *ret,
				  bool *ret_may_come, struct tide_error *err)
{
	tide_status status = ledger_begin(self, err);
	if (status != TIDE_OK)
		return status;
	int at = position < ledger_now->event_count ? (int)position : ledger_now->event_count;
	*ret = at > 0 ? (struct tide_anchor){ at, ledger_id(1, at) } : (struct tide_anchor){ 0 };
	*ret_may_come = false;
	return TIDE_OK;
}

static tide_status session_find(void *self, const struct tide_uuid *event_id,
				struct tide_page *page, struct tide_error *err)
{
	tide_status status = ledger_begin(self, err);
	if (status != TIDE_OK)
		return status;
	struct tide_event event =
		ledger_view(ledger_now, event_id->bytes[14] << 8 | event_id->bytes[15]);
	return tide_page_add(page, &event, err);
}

/* ---- Transactions ---------------------------------------------------------------------------- */

static tide_status session_begin(void *self, struct tide_error *err)
{
	struct ledger_session *session = self;
	tide_status status = ledger_begin(session, err);
	if (status != TIDE_OK)
		return status;
	if (session->is_open)
		ledger_broken("begin inside a transaction");
	ledger_end(session);
	session->is_open = true;
	return TIDE_OK;
}

static void ledger_commit(struct ledger_session *session)
{
	struct ledger *ledger = ledger_now;
	if (session->applied_count > 0 && !session->is_saved)
		ledger_broken("a read model is committed without its checkpoint");
	for (int i = 0; i < session->applied_count; i++) {
		if (ledger->applied[session->applied[i]])
			ledger_broken("event %d is in the read model twice", session->applied[i]);
		ledger->applied[session->applied[i]] = 1;
	}
	if (session->has_save) {
		struct ledger_row *row = session->row;
		row->has_row = row->has_position = true;
		row->position = session->save.position;
		row->processed = session->save.processed;
		row->anchor = session->save.anchor;
		row->created_at = session->save.created_at;
		row->updated_at = session->save.updated_at;
	}
	ledger_end(session);
}

static tide_status session_commit(void *self, struct tide_error *err)
{
	tide_status status = ledger_begin(self, err);
	if (status != TIDE_OK)
		return status;
	ledger_commit(self);
	return ledger_answer(self, err);
}

static void session_rollback(void *self)
{
	ledger_end(self);
}

static tide_status session_savepoint(void *self, struct tide_error *err)
{
	struct ledger_session *session = self;
	tide_status status = ledger_begin(session, err);
	if (status != TIDE_OK)
		return status;
	session->savepoint_count = session->applied_count;
	session->savepoint_has_save = session->has_save;
	session->savepoint_save = session->save;
	return TIDE_OK;
}

static tide_status session_release(void *self, struct tide_error *err)
{
	return ledger_begin(self, err);
}

static tide_status session_rollback_to(void *self, struct tide_error *err)
{
	struct ledger_session *session = self;
	tide_status status = ledger_begin(session, err);
	if (status != TIDE_OK)
		return status;
	session->applied_count = session->savepoint_count;
	session->has_save = session->savepoint_has_save;
	session->save = session->savepoint_save;
	return TIDE_OK;
}

static tide_status session_check(void *self, struct tide_error *err)
{
	const struct ledger_session *session = self;
	return session->is_broken
		       ? tide_fail(err, TIDE_CONNECTION_LOST, "scripted: the connection is lost")
		       : TIDE_OK;
}

static void *session_connection(void *self)
{
	return self;
}

/* ---- Checkpoints ----------------------------------------------------------------------------- */

static void row_tell(const struct ledger_row *row, struct tide_checkpoint *ret)
{
	*ret = (struct tide_checkpoint){ .has_position = row->has_position,
					 .position = row->position,
					 .events_processed = row->processed,
					 .created_at = row->created_at,
					 .updated_at = row->updated_at,
					 .anchor = row->anchor };
	snprintf(ret->projection_name, sizeof ret->projection_name, "%s", row->name);
}

static tide_status session_load(void *self, const char *name, struct tide_checkpoint *ret,
				struct tide_error *err)
{
	struct ledger_session *session = self;
	tide_status status = ledger_begin(session, err);
	if (status != TIDE_OK)
		return status;
	const struct ledger_row *row = ledger_row(ledger_now, name);
	if (!row->has_row)
		return tide_fail(err, TIDE_NOT_FOUND, "no checkpoint '%s'", name);
	row_tell(row, ret);
	return ledger_answer(self, err);
}

static tide_status session_list(void *self, struct tide_checkpoint **ret, size_t *ret_count,
				struct tide_error *err)
{
	struct ledger *ledger = ledger_now;
	tide_status status = ledger_begin(self, err);
	if (status != TIDE_OK)
		return status;
	*ret = alloc_zero(LEDGER_NAMES, sizeof **ret);
	*ret_count = 0;
	for (int i = 0; i < ledger->row_count; i++)
		if (ledger->rows[i].has_row)
			row_tell(&ledger->rows[i], &(*ret)[(*ret_count)++]);
	return TIDE_OK;
}

/* Everything at or below that falls to the lane has been applied. */
static void ledger_check_prefix(const struct ledger_session *session, const struct ledger_row *row,
				tide_position position)
{
	for (int i = 1; i <= position && i <= ledger_now->event_count; i++)
		if (ledger_falls(ledger_now, i, row->lane) &&
		    !ledger_has_applied(ledger_now, session, i))
			ledger_broken("%s: checkpoint %lld, but event %d was skipped", row->name,
				      (long long)position, i);
}

/* Its owner has it, or takes hold of it until the transaction ends; NULL: not the owner. */
static struct ledger_row *ledger_hold(struct ledger_session *session,
				      const struct tide_fence *fence)
{
	struct ledger_row *row = ledger_row(ledger_now, fence->name);
	if (!row->has_lease || !tide_uuid_equal(&row->owner, &fence->owner) ||
	    row->epoch != fence->epoch || (row->holder && row->holder != session))
		return NULL;
	if (session->is_open)
		row->holder = session;
	return row;
}

static tide_status session_save(void *self, const struct tide_fence *fence,
				const struct tide_checkpoint_write *write, struct tide_error *err)
{
	struct ledger_session *session = self;
	tide_status status = ledger_begin(session, err);
	if (status != TIDE_OK)
		return status;
	struct ledger_row *row = ledger_hold(session, fence);
	if (!row)
		return tide_fail(err, TIDE_FENCED, "scripted: fenced");
	const struct ledger_row *seen = session->has_save ? &session->save : row;
	bool has_position = session->has_save || row->has_position;
	if (write->expected->has_position != has_position ||
	    (has_position && write->expected->position != seen->position))
		return tide_fail(err, TIDE_DIVERGED, "scripted: another row");
	if (has_position && write->progress.position < seen->position)
		ledger_broken("%s: checkpoint went back", row->name);
	ledger_check_prefix(session, row, write->progress.position);

	bool was_open = session->is_open;
	int64_t processed = seen->processed + write->progress.count;
	session->row = row;
	session->save = *row;
	session->save.position = write->progress.position;
	session->save.processed = processed;
	session->save.anchor = write->anchor;
	session->save.updated_at = write->now;
	session->has_save = session->is_saved = true;
	if (was_open)
		return TIDE_OK;
	ledger_commit(session);
	return ledger_answer(session, err);
}

/* ---- Leases ---------------------------------------------------------------------------------- */

/* A transaction that is idle for longer than a lease ends with its connection. */
bool ledger_is_locked(const struct ledger_row *row, const struct ledger_session *session)
{
	struct ledger_session *holder = row->holder;
	if (!holder || holder == session)
		return false;
	if (ledger_now->now_ns - holder->began_ns >= ns_of_seconds(holder->lease_seconds))
		ledger_break(holder);
	return row->holder != NULL;
}

static tide_status session_acquire(void *self, const char *name, const struct tide_uuid *owner,
				   struct tide_lease *ret, struct tide_error *err)
{
	struct ledger_session *session = self;
	tide_status status = ledger_begin(session, err);
	if (status != TIDE_OK)
		return status;
	struct ledger_row *row = ledger_row(ledger_now, name);
	*ret = (struct tide_lease){ 0 };
	if (ledger_is_locked(row, session) ||
	    (ledger_is_owned(ledger_now, row) && !tide_uuid_equal(&row->owner, owner)))
		return TIDE_OK;
	*ret = (struct tide_lease){ .is_owned = true,
				    .epoch = ++row->epoch,
				    .was_unclean = row->has_lease && !tide_uuid_is_nil(&row->owner),
				    .seconds = session->lease_seconds };
	row->has_lease = true;
	row->owner = *owner;
	row->expires_ns = ledger_now->now_ns + ns_of_seconds(session->lease_seconds);
	return ledger_answer(session, err);
}

static tide_status session_renew(void *self, const struct tide_fence *fence, struct tide_error *err)
{
	tide_status status = ledger_begin(self, err);
	if (status == TIDE_OK && !ledger_hold(self, fence))
		status = tide_fail(err, TIDE_FENCED, "scripted: fenced");
	return status;
}

struct ledger_member *ledger_member(const struct tide_uuid *id)
{
	for (int i = 0; i < ledger_now->member_count; i++)
		if (tide_uuid_equal(&ledger_now->members[i].id, id))
			return &ledger_now->members[i];
	return NULL;
}

static enum tide_renewal ledger_renew(struct ledger_session *session,
				      const struct tide_lease_renewal *lease)
{
	int64_t until = ledger_now->now_ns;
	if (lease->is_member) {
		struct ledger_member *member = ledger_member(&lease->fence.owner);
		if (!member)
			return TIDE_RENEWAL_LOST;
		member->expires_ns = until + ns_of_seconds(member->seconds);
		return TIDE_RENEWAL_MADE;
	}
	struct ledger_row *row = ledger_row(ledger_now, lease->fence.name);
	if (ledger_is_locked(row, session))
		return TIDE_RENEWAL_SKIPPED;
	if (!ledger_hold(session, &lease->fence))
		return TIDE_RENEWAL_LOST;
	row->expires_ns = until + ns_of_seconds(ledger_now->lines[session->process].lease_seconds);
	return TIDE_RENEWAL_MADE;
}

static tide_status session_renew_all(void *self, struct tide_lease_renewal *leases, size_t count,
				     struct tide_error *err)
{
	tide_status status = ledger_begin(self, err);
	for (size_t i = 0; i < count && status == TIDE_OK; i++)
		leases[i].result = ledger_renew(self, &leases[i]);
	return status == TIDE_OK ? ledger_answer(self, err) : status;
}

static tide_status session_release_lease(void *self, const struct tide_fence *fence,
					 struct tide_error *err)
{
	struct ledger_session *session = self;
	tide_status status = ledger_begin(session, err);
	struct ledger_row *row = ledger_row(ledger_now, fence->name);
	if (status == TIDE_OK && !tide_uuid_equal(&row->owner, &fence->owner))
		status = tide_fail(err, TIDE_FENCED, "scripted: fenced");
	if (status != TIDE_OK)
		return status;
	row->owner = (struct tide_uuid){ { 0 } };
	return ledger_answer(session, err);
}

static tide_status session_mark(void *self, const struct tide_fence *fence, tide_position position,
				int32_t deaths, struct tide_error *err)
{
	(void)position, (void)deaths;
	return session_renew(self, fence, err);
}

static tide_status session_list_leases(void *self, struct tide_lease_info **ret, size_t *ret_count,
				       struct tide_error *err)
{
	struct ledger *ledger = ledger_now;
	tide_status status = ledger_begin(self, err);
	if (status != TIDE_OK)
		return status;
	*ret = alloc_zero(LEDGER_NAMES, sizeof **ret);
	*ret_count = 0;
	for (int i = 0; i < ledger->row_count; i++) {
		if (!ledger->rows[i].has_lease)
			continue;
		struct tide_lease_info *info = &(*ret)[(*ret_count)++];
		snprintf(info->name, sizeof info->name, "%s", ledger->rows[i].name);
		info->is_owned = ledger_is_owned(ledger, &ledger->rows[i]);
	}
	return TIDE_OK;
}

static tide_status session_is_owned(void *self, const char *name, bool *ret, struct tide_error *err)
{
	tide_status status = ledger_begin(self, err);
	if (status == TIDE_OK)
		*ret = ledger_is_owned(ledger_now, ledger_row(ledger_now, name));
	return status;
}

static tide_status session_no_letters(void *self, const struct tide_dead_letter_filter *filter,
				      struct tide_dead_letter_list *ret, struct tide_error *err)
{
	(void)filter, (void)ret;
	return ledger_begin(self, err);
}

const struct tide_backend ledger_backend = {
	.scheme = "ledger",
	.store = { .open = store_open,
		   .close = store_close,
		   .append = store_append,
		   .session_open = session_open,
		   .session_close = session_close,
		   .read = session_read,
		   .end = session_end,
		   .find = session_find,
		   .anchor = session_anchor,
		   .begin = session_begin,
		   .commit = session_commit,
		   .rollback = session_rollback,
		   .savepoint = session_savepoint,
		   .release = session_release,
		   .rollback_to = session_rollback_to,
		   .check = session_check,
		   .connection = session_connection,
		   .limit = session_limit },
	.checkpoint = { .load = session_load,
			.save = session_save,
			.list = session_list,
			.lease_acquire = session_acquire,
			.lease_renew = session_renew,
			.lease_renew_all = session_renew_all,
			.lease_release = session_release_lease,
			.lease_mark = session_mark,
			.lease_is_owned = session_is_owned,
			.lease_list = session_list_leases,
			.lease_renew_ns = NS_PER_SECOND,
			.dead_letter_list = session_no_letters,
			.group_get = ledger_group_get,
			.group_change = ledger_group_change,
			.group_forget = ledger_group_forget,
			.member_join = ledger_member_join,
			.member_leave = ledger_member_leave,
			.member_list = ledger_member_list },
};
