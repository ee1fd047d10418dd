/* SPDX-License-Identifier: Apache-2.0 */
#include "simulation/world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sys/alloc.h"

struct world *world_now;
char world_replay[128];

struct world_session {
	struct world *world;
	bool is_broken;
	int name;               /* whose transaction is open; -1: none */
	struct world_rows open; /* in the transaction */
	struct world_rows savepoint;
};

static const char *const world_type_names[WORLD_TYPES] = { "Alpha", "Beta", "Gamma" };

void world_broken(const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	fprintf(stderr, "INVARIANT BROKEN: ");
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fprintf(stderr, "\nreplay: %s\n", world_replay);
	exit(1);
}

int world_below(struct world *world, int limit)
{
	return (int)(random_next(&world->random) % (uint64_t)limit);
}

bool world_chance(struct world *world, int per_mille)
{
	return world_below(world, 1000) < per_mille;
}

static struct mono_time world_mono(struct clock *clock)
{
	return (struct mono_time){ ((struct world *)clock)->now_ns };
}

static struct tide_time world_wall(struct clock *clock)
{
	return (struct tide_time){ INT64_C(1700000000000000) +
				   ((struct world *)clock)->now_ns / 1000 };
}

void world_init(struct world *world, uint64_t seed)
{
	memset(world, 0, sizeof *world);
	world->clock = (struct clock){ world_mono, world_wall };
	world->now_ns = NS_PER_SECOND;
	random_seed(&world->random, seed * 2654435761u + 1);
	world->fault_per_mille = world_below(world, 3) * 25;
	world_now = world;
}

void world_append(struct world *world)
{
	if (world->event_count == WORLD_EVENTS)
		return;
	int aggregate = world_below(world, WORLD_AGGREGATES);
	world->events[++world->event_count] = (struct world_event){
		.aggregate = (uint8_t)aggregate,
		.type = (uint8_t)world_below(world, WORLD_TYPES),
		.version = ++world->versions[aggregate],
		.is_undecodable = world_chance(world, 5),
	};
}

bool world_wants(const struct world *world, int name, int position)
{
	uint8_t wanted = world->wanted_types[name];
	return wanted == 0 || (wanted & (1u << world->events[position].type));
}

int world_name(const char *name)
{
	return name[3] - '0';
}

static struct tide_uuid world_id(int kind, int number)
{
	struct tide_uuid id = { { 0x5e, (uint8_t)kind } };
	id.bytes[14] = (uint8_t)(number >> 8);
	id.bytes[15] = (uint8_t)number;
	return id;
}

int world_position_of(const struct tide_uuid *event_id)
{
	return event_id->bytes[14] << 8 | event_id->bytes[15];
}

static struct tide_event world_view(const struct world *world, int position)
{
	const struct world_event *event = &world->events[position];
	return (struct tide_event){
		.position = position,
		.version = event->version,
		.event_version = 1,
		.event_id = world_id(1, position),
		.aggregate_id = world_id(2, event->aggregate + 1),
		.event_type = tide_text(world_type_names[event->type]),
		.aggregate_type = tide_text("Thing"),
		.metadata = tide_text("{}"),
		.payload = tide_text("{\"n\":1}"),
		.undecodable = event->is_undecodable ? "scripted" : NULL,
	};
}

bool world_is_settled(const struct world *world, const struct world_rows *rows, int name,
		      int position)
{
	return !world_wants(world, name, position) || rows->settled[position] ||
	       world->discardable[name][position];
}

struct world_rows *world_rows_of(void *session, int name)
{
	struct world_session *self = session;
	return self && self->name == name ? &self->open : &world_now->rows[name];
}

bool world_is_in_transaction(const void *session)
{
	const struct world_session *self = session;
	return self && !self->is_broken && self->name >= 0;
}

void world_go_back(struct world *world, int name, tide_position position, void *self)
{
	struct world_session *session = self;
	struct world_rows *rows = &world->rows[name];
	if (session)
		session->is_broken = true;
	rows->position = position;
	if (!world->is_transactional[name])
		return; /* what its handler wrote is elsewhere */
	if (rows->prefix > position)
		rows->prefix = (int32_t)position;
	for (int i = (int)position + 1; i <= world->event_count; i++) {
		rows->settled[i] = rows->applied[i] = 0;
		rows->dead[i] = (struct world_dead){ 0 };
	}
}

/* ---- Failures -------------------------------------------------------------------------------- */

static tide_status world_fault(struct world_session *session, struct tide_error *err)
{
	struct world *world = session->world;
	if (session->is_broken)
		return tide_fail(err, TIDE_CONNECTION_LOST, "scripted: the session is broken");
	if (world->is_healed || !world_chance(world, world->fault_per_mille))
		return TIDE_OK;
	world->faults_made++;
	int kind = world_below(world, 100);
	if (kind < 60)
		return tide_fail(err, TIDE_BUSY, "scripted: busy");
	if (kind < 97) {
		session->is_broken = true;
		return tide_fail(err, TIDE_CONNECTION_LOST, "scripted: connection lost");
	}
	return tide_fail(err, TIDE_IO, "scripted: broken for good");
}

/* The answer got lost, not the work. */
static tide_status world_lose_answer(struct world_session *session, struct tide_error *err)
{
	if (session->world->is_healed ||
	    !world_chance(session->world, session->world->fault_per_mille / 3))
		return TIDE_OK;
	session->is_broken = true;
	return tide_fail(err, TIDE_CONNECTION_LOST, "scripted: connection lost on the way back");
}

/* ---- Store ----------------------------------------------------------------------------------- */

static tide_status sim_open(struct tide_url *url, const struct tide_store_options *options,
			    void **ret, struct tide_error *err)
{
	(void)url, (void)options, (void)err;
	*ret = world_now;
	return TIDE_OK;
}

static void sim_close(void *store)
{
	(void)store;
}

static tide_status sim_append(void *store, const struct tide_commit *commits, size_t count,
			      struct tide_append_result *ret, struct tide_error *err)
{
	(void)store, (void)commits, (void)count, (void)ret;
	return tide_fail(err, TIDE_UNSUPPORTED, "the script appends");
}

static tide_status sim_session_open(void *store, void **ret, struct tide_error *err)
{
	struct world *world = store;
	struct world_session probe = { .world = world };
	tide_status status = world_fault(&probe, err);
	if (status != TIDE_OK)
		return status;
	struct world_session *session = malloc(sizeof *session);
	session->world = world;
	session->is_broken = false;
	session->name = -1;
	*ret = session;
	return TIDE_OK;
}

static void sim_session_close(void *session)
{
	free(session);
}

static void sim_pass(struct tide_page *page, const struct tide_event *event)
{
	tide_page_pass(page);
	page->passed = (struct tide_anchor){ event->position, event->event_id };
}

/* A page takes its time: who reads is in the middle of it while others go on. */
static void world_take_time(struct world *world)
{
	if (world->meanwhile && world_chance(world, 300))
		world->meanwhile(world);
}

static tide_status sim_read(void *self, const struct tide_page_query *query, struct tide_page *page,
			    struct tide_error *err)
{
	struct world_session *session = self;
	struct world *world = session->world;
	world_take_time(world);
	tide_status status = world_fault(session, err);
	if (status != TIDE_OK)
		return status;
	int64_t position = query->bound;
	size_t scanned = 0;
	while (position < world->event_count && scanned < query->max_scan) {
		struct tide_event event = world_view(world, (int)position + 1);
		bool is_wanted = tide_filter_matches(query->filter, &event);
		bool is_leapt = query->is_sparse && !is_wanted;
		page->leapt += is_leapt;
		if (!is_wanted)
			sim_pass(page, &event);
		else if (!tide_page_fits(page, event.payload.size + event.metadata.size))
			break;
		else if ((status = tide_page_add(page, &event, err)) != TIDE_OK)
			return status;
		position++;
		scanned += !is_leapt;
	}
	page->scanned_to = position;
	page->is_end = position >= world->event_count;
	world_take_time(world);
	return TIDE_OK;
}

static tide_status sim_end(void *self, tide_position *ret, struct tide_error *err)
{
	struct world_session *session = self;
	tide_status status = world_fault(session, err);
	if (status == TIDE_OK)
		*ret = session->world->event_count;
	return status;
}

static tide_status sim_anchor(void *self, tide_position position, struct tide_anchor *ret,
			      bool *ret_may_come, struct tide_error *err)
{
	struct world_session *session = self;
	tide_status status = world_fault(session, err);
	if (status != TIDE_OK)
		return status;
	int at = position < session->world->event_count ? (int)position
							: session->world->event_count;
	*ret = at > 0 ? (struct tide_anchor){ at, world_id(1, at) } : (struct tide_anchor){ 0 };
	*ret_may_come = false;
	return TIDE_OK;
}

static tide_status sim_find(void *self, const struct tide_uuid *event_id, struct tide_page *page,
			    struct tide_error *err)
{
	struct world_session *session = self;
	tide_status status = world_fault(session, err);
	if (status != TIDE_OK)
		return status;
	struct tide_event event = world_view(session->world, world_position_of(event_id));
	return tide_page_add(page, &event, err);
}

/* ---- Transactions: a copy of the rows -------------------------------------------------------- */

static int world_transaction_name = -1; /* set by the driver before it steps a subscription */
void world_step_of(int name);
void world_step_of(int name)
{
	world_transaction_name = name;
}

static tide_status sim_begin(void *self, struct tide_error *err)
{
	struct world_session *session = self;
	tide_status status = world_fault(session, err);
	if (status != TIDE_OK)
		return status;
	if (session->name >= 0)
		world_broken("begin inside a transaction");
	session->name = world_transaction_name;
	session->open = session->world->rows[session->name];
	return TIDE_OK;
}

static tide_status sim_commit(void *self, struct tide_error *err)
{
	struct world_session *session = self;
	struct world *world = session->world;
	tide_status status = world_fault(session, err);
	if (status == TIDE_OK && !world->is_healed &&
	    world_chance(world, world->fault_per_mille / 10))
		status = tide_fail(err, TIDE_ARGUMENT, "scripted: a deferred constraint");
	if (status != TIDE_OK)
		return status;
	int name = session->name;
	const struct world_rows *rows = &session->open;
	for (int i = 1; i <= world->event_count; i++)
		if (rows->applied[i] > 1)
			world_broken("sub%d: event %d is %d times in the read model", name, i,
				     rows->applied[i]);
	world->rows[name] = session->open;
	session->name = -1;
	return world_lose_answer(session, err);
}

static void sim_rollback(void *self)
{
	((struct world_session *)self)->name = -1;
}

static tide_status sim_savepoint(void *self, struct tide_error *err)
{
	struct world_session *session = self;
	tide_status status = world_fault(session, err);
	if (status == TIDE_OK)
		session->savepoint = session->open;
	return status;
}

static tide_status sim_release(void *self, struct tide_error *err)
{
	return world_fault(self, err);
}

static tide_status sim_rollback_to(void *self, struct tide_error *err)
{
	struct world_session *session = self;
	tide_status status = world_fault(session, err);
	if (status == TIDE_OK)
		session->open = session->savepoint;
	return status;
}

static tide_status sim_check(void *self, struct tide_error *err)
{
	struct world_session *session = self;
	return session->is_broken
		       ? tide_fail(err, TIDE_CONNECTION_LOST, "scripted: the session is broken")
		       : TIDE_OK;
}

static void *sim_connection(void *session)
{
	return session;
}

/* ---- Checkpoints and leases ------------------------------------------------------------------ */

static tide_status sim_load(void *self, const char *name, struct tide_checkpoint *ret,
			    struct tide_error *err)
{
	struct world_session *session = self;
	tide_status status = world_fault(session, err);
	if (status != TIDE_OK)
		return status;
	const struct world_rows *rows = world_rows_of(session, world_name(name));
	if (!rows->has_checkpoint)
		return tide_fail(err, TIDE_NOT_FOUND, "no checkpoint '%s'", name);
	*ret = (struct tide_checkpoint){ .has_position = true,
					 .position = rows->position,
					 .events_processed = rows->processed };
	return TIDE_OK;
}

static bool sim_is_fenced(const struct world *world, const struct tide_fence *fence)
{
	const struct world_lease *lease = &world->leases[world_name(fence->name)];
	return !tide_uuid_equal(&lease->owner, &fence->owner) || lease->epoch != fence->epoch;
}

/* A checkpoint may lie only where everything wanted below it is settled. */
static void sim_check_prefix(const struct world *world, struct world_rows *rows, int name,
			     tide_position position)
{
	while (rows->prefix < position && rows->prefix < world->event_count &&
	       world_is_settled(world, rows, name, rows->prefix + 1))
		rows->prefix++;
	if (rows->prefix < position && position <= world->event_count)
		world_broken("sub%d: checkpoint %lld, but event %d is not settled", name,
			     (long long)position, rows->prefix + 1);
}

static tide_status sim_save(void *self, const struct tide_fence *fence,
			    const struct tide_checkpoint_write *write, struct tide_error *err)
{
	struct world_session *session = self;
	tide_status status = world_fault(session, err);
	if (status != TIDE_OK)
		return status;
	if (fence && sim_is_fenced(session->world, fence))
		return tide_fail(err, TIDE_FENCED, "scripted: fenced");
	int name = world_name(write->name);
	struct world_rows *rows = world_rows_of(session, name);
	const struct tide_checkpoint_known *expected = write->expected;
	if (!expected)
		world_broken("sub%d: a save that compares nothing", name);
	if (expected->has_position != rows->has_checkpoint ||
	    (expected->has_position && expected->position != rows->position))
		return tide_fail(err, TIDE_DIVERGED, "scripted: another row");
	sim_check_prefix(session->world, rows, name, write->progress.position);
	tide_position stand = write->progress.position < session->world->event_count
				      ? write->progress.position
				      : session->world->event_count;
	if (write->anchor.position != stand || world_position_of(&write->anchor.event_id) != stand)
		world_broken("sub%d: position %lld stands on event %lld, not on %lld", name,
			     (long long)write->progress.position, (long long)write->anchor.position,
			     (long long)stand);
	if (rows->has_checkpoint && write->progress.position < rows->position)
		world_broken("sub%d: checkpoint went back from %lld to %lld", name,
			     (long long)rows->position, (long long)write->progress.position);
	rows->has_checkpoint = true;
	rows->position = write->progress.position;
	rows->processed += write->progress.count;
	return session->name >= 0 ? TIDE_OK : world_lose_answer(session, err);
}

static tide_status sim_acquire(void *self, const char *name, const struct tide_uuid *owner,
			       struct tide_lease *ret, struct tide_error *err)
{
	struct world_session *session = self;
	tide_status status = world_fault(session, err);
	if (status != TIDE_OK)
		return status;
	struct world_lease *lease = &session->world->leases[world_name(name)];
	*ret = (struct tide_lease){ 0 };
	if (lease->exists && lease->is_live && !tide_uuid_equal(&lease->owner, owner))
		return TIDE_OK;
	ret->is_owned = true;
	ret->was_unclean = lease->exists && !tide_uuid_is_nil(&lease->owner);
	if (ret->was_unclean && lease->suspect)
		lease->deaths++;
	ret->suspect = ret->was_unclean ? lease->suspect : 0;
	ret->suspect_deaths = ret->was_unclean ? lease->deaths : 0;
	if (!ret->was_unclean)
		lease->suspect = lease->deaths = 0;
	lease->exists = lease->is_live = true;
	lease->owner = *owner;
	ret->epoch = ++lease->epoch;
	return TIDE_OK;
}

static tide_status sim_renew(void *self, const struct tide_fence *fence, struct tide_error *err)
{
	struct world_session *session = self;
	tide_status status = world_fault(session, err);
	if (status == TIDE_OK && sim_is_fenced(session->world, fence))
		status = tide_fail(err, TIDE_FENCED, "scripted: fenced");
	return status;
}

static tide_status sim_renew_all(void *self, struct tide_lease_renewal *leases, size_t count,
				 struct tide_error *err)
{
	struct world_session *session = self;
	tide_status status = world_fault(session, err);
	for (size_t i = 0; i < count && status == TIDE_OK; i++)
		leases[i].result = sim_is_fenced(session->world, &leases[i].fence)
					   ? TIDE_RENEWAL_LOST
					   : TIDE_RENEWAL_MADE;
	return status;
}

static tide_status sim_release_lease(void *self, const struct tide_fence *fence,
				     struct tide_error *err)
{
	struct world_session *session = self;
	struct world_lease *lease = &session->world->leases[world_name(fence->name)];
	struct tide_fence now = *fence;
	if (lease->epoch > now.epoch)
		now.epoch = lease->epoch;
	tide_status status = sim_renew(session, &now, err);
	if (status == TIDE_OK)
		*lease = (struct world_lease){ .exists = true, .epoch = lease->epoch };
	else
		lease->is_live = lease->is_live && sim_is_fenced(session->world, &now);
	return status;
}

static tide_status sim_mark(void *self, const struct tide_fence *fence, tide_position position,
			    int32_t deaths, struct tide_error *err)
{
	struct world_session *session = self;
	tide_status status = sim_renew(session, fence, err);
	struct world_lease *lease = &session->world->leases[world_name(fence->name)];
	if (status == TIDE_OK) {
		lease->suspect = position;
		lease->deaths = deaths;
	}
	return status;
}

/* ---- Dead letters: the id is the position ---------------------------------------------------- */

static int16_t world_behind(const char *parked_behind)
{
	struct tide_uuid id;
	bool is_parked = parked_behind && tide_uuid_parse(parked_behind, &id, NULL) == TIDE_OK;
	return (int16_t)(is_parked ? world_position_of(&id) : 0);
}

static tide_status sim_dead_add(void *self, const struct tide_fence *fence,
				const struct tide_dead_letter_write *write, int64_t *ret,
				struct tide_error *err)
{
	struct world_session *session = self;
	tide_status status = world_fault(session, err);
	if (status != TIDE_OK)
		return status;
	if (fence && sim_is_fenced(session->world, fence))
		return tide_fail(err, TIDE_FENCED, "scripted: fenced");
	int position = world_position_of(&write->event_id);
	struct world_rows *rows = world_rows_of(session, world_name(write->projection_name));
	rows->dead[position] = (struct world_dead){ 1 + TIDE_DEAD_LETTER_FAILED,
						    world_behind(write->parked_behind),
						    (int16_t)write->retry_count };
	rows->settled[position] = 1;
	*ret = position;
	return TIDE_OK;
}

static tide_status sim_dead_list_one(struct tide_dead_letter_list *list, const struct world *world,
				     const char *name, int position, const struct world_dead *dead,
				     struct tide_error *err)
{
	struct tide_event event = world_view(world, position);
	struct tide_uuid behind = world_id(1, dead->parked_behind);
	char id[TIDE_UUID_TEXT_SIZE], data[160], behind_text[TIDE_UUID_TEXT_SIZE];
	snprintf(data, sizeof data,
		 "{\"global_position\":%d,\"aggregate_id\":\"%s\",\"aggregate_type\":\"Thing\"}",
		 position, tide_uuid_format(&event.aggregate_id, id));
	struct tide_dead_letter entry = {
		.id = position,
		.event_id = event.event_id,
		.projection_name = name,
		.event_type = event.event_type.data,
		.event_data = data,
		.error_message = "scripted failure",
		.parked_behind =
			dead->parked_behind ? tide_uuid_format(&behind, behind_text) : NULL,
		.retry_count = dead->retries,
		.status = (enum tide_dead_letter_status)(dead->status - 1)
	};
	return tide_dead_letter_list_add(list, &entry, err);
}

static tide_status sim_dead_list(void *self, const struct tide_dead_letter_filter *filter,
				 struct tide_dead_letter_list *ret, struct tide_error *err)
{
	struct world_session *session = self;
	tide_status status = world_fault(session, err);
	const struct world_rows *rows = world_rows_of(session, world_name(filter->projection_name));
	for (int i = (int)filter->after_id + 1;
	     status == TIDE_OK && i <= session->world->event_count; i++) {
		const struct world_dead *dead = &rows->dead[i];
		if (!dead->status || !filter->statuses[dead->status - 1])
			continue;
		if (filter->parked_behind &&
		    dead->parked_behind != world_behind(filter->parked_behind))
			continue;
		if (filter->limit >= 0 && (int64_t)ret->count >= filter->limit)
			break;
		status = sim_dead_list_one(ret, session->world, filter->projection_name, i, dead,
					   err);
	}
	return status;
}

/* Ids are positions: the name is that of the subscription that is stepped. */
static tide_status sim_dead_get(void *self, int64_t id, struct tide_dead_letter_list *ret,
				struct tide_error *err)
{
	struct world_session *session = self;
	char name[16];
	tide_status status = world_fault(session, err);
	const struct world_dead *dead = &world_rows_of(session, world_transaction_name)->dead[id];
	if (status == TIDE_OK && !dead->status)
		return tide_fail(err, TIDE_NOT_FOUND, "no dead letter %lld", (long long)id);
	snprintf(name, sizeof name, "sub%d", world_transaction_name);
	return status == TIDE_OK ? sim_dead_list_one(ret, session->world, name, (int)id, dead, err)
				 : status;
}

static tide_status sim_dead_change(void *self, const struct tide_fence *fence,
				   const struct tide_dead_letter_change *change,
				   struct tide_error *err)
{
	struct world_session *session = self;
	tide_status status = world_fault(session, err);
	if (status != TIDE_OK)
		return status;
	if (sim_is_fenced(session->world, fence))
		return tide_fail(err, TIDE_FENCED, "scripted: fenced");
	struct world_dead *dead =
		&world_rows_of(session, world_name(fence->name))->dead[change->id];
	if (!dead->status)
		return tide_fail(err, TIDE_NOT_FOUND, "no dead letter %lld", (long long)change->id);
	if (!change->from[dead->status - 1])
		return tide_fail(err, TIDE_STATE, "dead letter %lld is in another state",
				 (long long)change->id);
	dead->status = (uint8_t)(1 + change->to);
	dead->retries = (int16_t)(dead->retries + change->add_retries);
	if (change->message)
		dead->parked_behind = world_behind(change->parked_behind);
	if (change->to == TIDE_DEAD_LETTER_RESOLVED)
		dead->parked_behind = 0;
	return TIDE_OK;
}

static bool sim_can_park(void *self)
{
	(void)self;
	return true;
}

const struct tide_backend world_backend = {
	.scheme = "sim",
	.store = { .open = sim_open,
		   .close = sim_close,
		   .append = sim_append,
		   .session_open = sim_session_open,
		   .session_close = sim_session_close,
		   .read = sim_read,
		   .end = sim_end,
		   .find = sim_find,
		   .anchor = sim_anchor,
		   .begin = sim_begin,
		   .commit = sim_commit,
		   .rollback = sim_rollback,
		   .savepoint = sim_savepoint,
		   .release = sim_release,
		   .rollback_to = sim_rollback_to,
		   .check = sim_check,
		   .connection = sim_connection },
	.checkpoint = { .load = sim_load,
			.save = sim_save,
			.lease_acquire = sim_acquire,
			.lease_renew = sim_renew,
			.lease_renew_all = sim_renew_all,
			.lease_release = sim_release_lease,
			.lease_mark = sim_mark,
			.lease_renew_ns = NS_PER_SECOND,
			.dead_letter_add = sim_dead_add,
			.dead_letter_list = sim_dead_list,
			.dead_letter_get = sim_dead_get,
			.dead_letter_change = sim_dead_change,
			.dead_letter_can_park = sim_can_park },
};
