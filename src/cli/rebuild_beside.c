/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tide rebuild --beside: a build is made beside what serves, and takes its place.
 *
 *   row BESIDE ──▶ place made ──▶ build follows up to NAME ──▶ both compared at one position
 *              ──▶ NAME stands still, the build comes to it, they are swapped: row SWAPPED
 *
 * Happy path: the build is an ordinary subscription NAME@N, in a place of its own, that never goes
 * further than NAME has come. It is compared with a copy of NAME's tables, so that nobody waits
 * meanwhile; then NAME is owned, or its file locked, for as long as the last few events and the
 * swap take.
 * Failure modes: killed at any moment: what serves is whole, since the swap is one transaction, and
 * the next call goes on with the build. The file has changed since, or NAME went back: the build is
 * dropped and another one begun. The two differ: told, and not swapped unless that was expected.
 */
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "cli/audit.h"
#include "cli/beside.h"
#include "path/journal.h"
#include "path/limit.h"
#include "path/port.h"
#include "sys/alloc.h"
#include "sys/clock.h"

#define BESIDE_NEAR 1000 /* positions: what may be left for when NAME stands still */
#define BESIDE_ROUNDS 50
#define BESIDE_PATIENCE_NS (40 * NS_PER_SECOND) /* with another owner of the build */
#define BESIDE_LOOK_MS 5
#define BESIDE_RENEW_NS NS_PER_SECOND
#define BESIDE_TRIES 600 /* of a swap that meets readers */
#define BESIDE_AGAIN_MS 50

/* ---- The build ------------------------------------------------------------------------------- */

static tide_status beside_handle(void *self, const struct tide_event *event,
				 struct tide_delivery *delivery)
{
	const struct beside_lane *lane = self;
	return lane->beside->inner->handle(lane->inner, event, delivery);
}

static tide_status beside_handle_together(void *self, const struct tide_event *const *events,
					  size_t count, struct tide_delivery *delivery)
{
	const struct beside_lane *lane = self;
	return lane->beside->inner->handle_together(lane->inner, events, count, delivery);
}

static void beside_detach(void *self, void *connection)
{
	const struct beside_lane *lane = self;
	lane->beside->inner->detach(lane->inner, connection);
}

static tide_status beside_guard(const struct beside *beside, void *connection,
				struct tide_error *err)
{
#ifdef TIDE_HAVE_POSTGRES
	if (swap_is_postgres(&beside->swap))
		return swap_guard_postgres(beside->swap.beside, connection, err);
#endif
	(void)beside;
	(void)connection;
	(void)err;
	return TIDE_OK;
}

static tide_status beside_prepare(void *self, void *connection, struct tide_error *err)
{
	const struct beside_lane *lane = self;
	tide_status status = lane->beside->inner->prepare(lane->inner, connection, err);
	return status == TIDE_OK ? beside_guard(lane->beside, connection, err) : status;
}

static tide_status beside_before_commit(void *self, void *connection, struct tide_error *err)
{
	const struct beside_lane *lane = self;
	tide_status status = lane->beside->inner->before_commit(lane->inner, connection, err);
	return status == TIDE_OK ? beside_guard(lane->beside, connection, err) : status;
}

static tide_status beside_open_lane(void *self, struct tide_lane share, void **ret,
				    struct tide_error *err)
{
	const struct beside_lane *whole = self;
	struct beside_lane *lane = alloc_zero(1, sizeof *lane);
	if (!lane)
		return alloc_fail(err);

	lane->beside = whole->beside;
	tide_status status =
		whole->beside->inner->lane_open(whole->inner, share, &lane->inner, err);
	if (status == TIDE_OK)
		*ret = lane;
	else
		tide_free(lane);
	return status;
}

static void beside_close_lane(void *self)
{
	struct beside_lane *lane = self;
	lane->beside->inner->lane_close(lane->inner);
	tide_free(lane);
}

static tide_status beside_make_place(struct beside *beside, struct tide_error *err)
{
#ifdef TIDE_HAVE_POSTGRES
	if (swap_is_postgres(&beside->swap))
		return live_do(beside->serving->database, swap_make_postgres, &beside->swap, err);
#endif
	return swap_make_sqlite(&beside->swap, err);
}

static tide_status beside_subscribe(struct beside *beside, struct tide_error *err)
{
	beside->inner = tide_sql_projection_subscriber(beside->projection);
	beside->whole = (struct beside_lane){ beside, beside->inner->self };
	const struct tide_subscriber subscriber = {
		.name = beside->inner->name,
		.self = &beside->whole,
		.event_types = beside->inner->event_types,
		.handle = beside_handle,
		.handle_together = beside->inner->handle_together ? beside_handle_together : NULL,
		.transactional = true,
		/* what it would append was appended by what serves */
		.appends = beside->inner->appends,
		.appends_after = INT64_MAX,
		.detach = beside_detach,
		.prepare = beside_prepare,
		.before_commit = beside->inner->before_commit ? beside_before_commit : NULL,
		.lane_open = beside_open_lane,
		.lane_close = beside_close_lane,
		.is_prompt = beside->inner->is_prompt,
	};
	struct follow *follow = &beside->rebuild->follow;
	follow->config.lanes = beside->swap.lanes;

	tide_status status = tide_manager_open(
		TIDE_MANAGER(.store = follow->store, .checkpoints = beside->checkpoints),
		&beside->manager, err);
	if (status == TIDE_OK)
		status = tide_manager_subscribe(beside->manager, &subscriber, &follow->config,
						&beside->subscription, err);
	/* nothing before it is told how far */
	for (uint32_t i = 0; status == TIDE_OK && i < beside->swap.lanes; i++)
		subscription_limit(beside->subscription, i, 0);
	return status == TIDE_OK ? tide_manager_start(beside->manager, NULL, 0, NULL, NULL, err)
				 : status;
}

static tide_status beside_open_build(struct beside *beside, struct tide_error *err)
{
	const struct rebuild *rebuild = beside->rebuild;
	tide_status status = beside_make_place(beside, err);

	if (status == TIDE_OK)
		status = tide_checkpoints_open(beside->swap.url,
					       TIDE_STORE_OPTIONS(.initialize = true),
					       rebuild->follow.store, &beside->checkpoints, err);
	if (status == TIDE_OK)
		status = beside_claim(beside, err);
	if (status == TIDE_OK)
		status = tide_sql_projection_open(TIDE_SQL_PROJECTION(.path = rebuild->file,
								      .name = beside->swap.build,
								      .url = beside->swap.url),
						  &beside->projection, err);
	if (status == TIDE_OK)
		status = beside_subscribe(beside, err);
	return status == TIDE_OK ? beside_confirm(beside, err) : status;
}

/* ---- To a position --------------------------------------------------------------------------- */

/* How long somebody else has had it, or some of its lanes, is counted from `whole_at`. */
static tide_status beside_look(struct beside *beside, struct mono_time *whole_at,
			       struct tide_error *err)
{
	struct mono_time now = clock_mono(&clock_system);
	struct tide_subscription_status status;

	if (tide_subscription_status(beside->subscription, &status, NULL) != TIDE_OK)
		return TIDE_OK;
	if (status.state == TIDE_STATE_ERROR && status.error.status != TIDE_FENCED) {
		*err = status.error;
		return status.error.status;
	}
	meter_show(&beside->meter, status.position, status.events_processed);
	beside->is_whole = !status.standby && status.lanes_owned == status.lanes;
	if (beside->is_whole)
		*whole_at = now;
	if (mono_since(now, *whole_at) > BESIDE_PATIENCE_NS)
		return tide_fail(err, TIDE_BUSY, "build '%s' is being made by another process",
				 beside->swap.build);
	return TIDE_OK;
}

static bool beside_lane_is_there(struct beside *beside, uint32_t lane)
{
	const struct swap_row *row = &beside->swap.rows[lane];
	const char *share = row->name + strlen(beside->rebuild->name); /* #i/L */
	tide_position saved = 0;
	char *name ALLOC_AUTO = alloc_format("%s%s", beside->swap.build, share);
	return subscription_is_at_limit(beside->subscription, lane, row->position) ||
	       (name &&
		tide_checkpoints_position(beside->checkpoints, name, &saved, NULL) == TIDE_OK &&
		saved >= row->position);
}

/* None of them goes back, and so none is asked twice. */
static bool beside_is_there(struct beside *beside)
{
	while (beside->arrived < beside->swap.lanes &&
	       beside_lane_is_there(beside, beside->arrived))
		beside->arrived++;
	return beside->arrived == beside->swap.lanes;
}

static tide_status beside_renew(struct beside *beside, struct tide_error *err)
{
	struct hold *hold = &beside->hold;
	tide_status status = TIDE_OK;
	for (uint32_t i = 0; status == TIDE_OK && hold->session && i < hold->count; i++)
		status = port_lease_renew(beside->serving->database, hold->session,
					  &hold->fences[i], err);
	return status;
}

/* Who makes it with somebody else does not know how far it is: with lanes, each has a part. */
static tide_status beside_reach(void *self, struct tide_error *err)
{
	struct beside *beside = self;
	struct mono_time whole_at = clock_mono(&clock_system), renewed = whole_at;
	tide_status status = TIDE_OK;

	for (uint32_t i = 0; i < beside->swap.lanes; i++)
		subscription_limit(beside->subscription, i, beside->swap.rows[i].position);
	beside->arrived = 0;
	beside->is_whole = beside->swap.lanes == 1;
	while (status == TIDE_OK && (!beside_is_there(beside) || !beside->is_whole)) {
		(void)poll(NULL, 0, BESIDE_LOOK_MS);
		status = beside_look(beside, &whole_at, err);
		struct mono_time now = clock_mono(&clock_system);
		if (status != TIDE_OK || mono_since(now, renewed) < BESIDE_RENEW_NS)
			continue;
		status = beside_renew(beside, err);
		renewed = now;
	}
	return status;
}

/* And no lane goes on: one that still begins would make its tables anew in the place that the swap
 * leaves empty. */
static tide_status beside_arrive(void *self, struct tide_error *err)
{
	struct beside *beside = self;
	/* they are stopped when another owner of what serves came in between */
	tide_status status = tide_manager_start(beside->manager, NULL, 0, NULL, NULL, err);
	if (status == TIDE_OK)
		status = beside_reach(beside, err);
	return status == TIDE_OK ? tide_manager_stop(beside->manager, NULL, 0, err) : status;
}

static tide_status beside_read_positions(struct beside *beside, struct tide_error *err)
{
	tide_status status = TIDE_OK;
	for (uint32_t i = 0; status == TIDE_OK && i < beside->swap.lanes; i++) {
		struct swap_row *row = &beside->swap.rows[i];
		status = tide_checkpoints_position(beside->serving, row->name, &row->position, err);
	}
	return status;
}

static tide_status beside_store_row(void *self, void *connection, struct tide_error *err)
{
	struct beside *beside = self;
	return rebuild_store(beside->rebuild->projection, connection, &beside->swap.row, err);
}

/* How far the build may go is written before it goes there. */
static tide_status beside_follow(struct beside *beside, struct tide_error *err)
{
	struct rebuild_row *row = &beside->swap.row;
	tide_position furthest = swap_furthest(&beside->swap);
	tide_status status = TIDE_OK;

	if (furthest > row->reached) {
		row->reached = furthest;
		status = live_do(beside->serving->database, beside_store_row, beside, err);
	}
	return status == TIDE_OK ? beside_reach(beside, err) : status;
}

/* How much further the rows are than they were, all together. */
static tide_position beside_sum(const struct beside *beside)
{
	tide_position sum = 0;
	for (uint32_t i = 0; i < beside->swap.lanes; i++)
		sum += beside->swap.rows[i].position;
	return sum;
}

/* Until what serves is hardly further. */
static tide_status beside_catch_up(struct beside *beside, struct tide_error *err)
{
	const struct swap *swap = &beside->swap;
	tide_position last = 0, reached = 0;
	tide_status status = beside_read_positions(beside, err);

	meter_begin(&beside->meter, swap->build, 0, swap_furthest(swap));
	for (int i = 0;
	     status == TIDE_OK && i < BESIDE_ROUNDS && beside_sum(beside) - last > BESIDE_NEAR;
	     i++) {
		last = beside_sum(beside);
		beside->meter.total = reached = swap_furthest(swap);
		status = beside_follow(beside, err);
		if (status == TIDE_OK)
			status = beside_read_positions(beside, err);
	}
	meter_end(&beside->meter, reached, 0);
	return status;
}

/* ---- Comparing ------------------------------------------------------------------------------- */

static int beside_reach_copy(void *self, struct fold *fold, const char *url)
{
	struct beside *beside = self;
	struct tide_error err;
	(void)url;
	beside->compared_at = fold->position;
	return beside_follow(beside, &err) == TIDE_OK ? CLI_DONE
						      : cli_fail(beside->rebuild->cli, &err);
}

static int beside_compare(struct beside *beside)
{
	struct cli *cli = beside->rebuild->cli;
	const char *into = cli->options[OPT_INTO].text;
	char *schema ALLOC_AUTO = alloc_format("\"%s\"", beside->swap.beside);
	bool is_postgres = swap_is_postgres(&beside->swap);
	struct audit_other other = { .place = is_postgres ? schema : beside->swap.beside,
				     .reach = beside_reach_copy,
				     .self = beside,
				     .swap = &beside->swap };

	if (!schema)
		return cli_out_of_memory(cli);
	beside->audit.cli = cli;
	beside->audit.store = beside->rebuild->follow.store;
	beside->audit.checkpoints = beside->serving;
	beside->audit.name = beside->rebuild->name;
	return is_postgres ? audit_compare_postgres(&beside->audit, into ? into : cli->store_url,
						    &other)
			   : audit_compare_sqlite(&beside->audit, beside->swap.serving, &other);
}

/* ---- Standing still -------------------------------------------------------------------------- */

#ifdef TIDE_HAVE_POSTGRES
static void hold_end(struct beside *beside, tide_status status)
{
	struct hold *hold = &beside->hold;
	struct tide_store *database = beside->serving->database;
	if (!hold->session)
		return;
	for (uint32_t i = 0; status != TIDE_CONNECTION_LOST && i < hold->count; i++)
		(void)port_lease_release(database, hold->session, &hold->fences[i], NULL);
	store_return(database, hold->session, status);
	tide_free(hold->fences);
	*hold = (struct hold){ .session = NULL };
}

static tide_status hold_take(struct beside *beside, const struct tide_uuid *owner,
			     struct tide_error *err)
{
	struct hold *hold = &beside->hold;
	struct swap_row *row = &beside->swap.rows[hold->count];
	struct tide_lease lease;
	tide_status status = port_lease_seize(beside->serving->database, hold->session, row->name,
					      owner, &lease, err);
	if (status != TIDE_OK)
		return status;
	row->epoch = lease.epoch;
	hold->fences[hold->count++] = (struct tide_fence){ row->name, *owner, lease.epoch };
	return TIDE_OK;
}

/* Who owned it writes no more. */
static tide_status hold_begin(struct beside *beside, struct tide_error *err)
{
	struct hold *hold = &beside->hold;
	struct swap *swap = &beside->swap;
	struct tide_uuid owner = tide_uuid_v4();
	tide_status status = store_borrow(beside->serving->database, &hold->session, err);

	if (status != TIDE_OK)
		return status;
	hold->fences = alloc_zero(swap->lanes, sizeof *hold->fences);
	if (!hold->fences)
		return alloc_fail(err);
	tide_uuid_format(&owner, swap->owner);
	for (uint32_t i = 0; status == TIDE_OK && i < swap->lanes; i++)
		status = hold_take(beside, &owner, err);
	if (status == TIDE_OK)
		status = beside_read_positions(beside, err);
	swap->position = swap_furthest(swap);
	return status;
}

/* A step that meets readers is tried again: each try waits a tenth of a second at most. */
static tide_status beside_try(struct beside *beside, live_action *step, struct tide_error *err)
{
	struct tide_store *database = beside->serving->database;
	tide_status status = TIDE_BUSY;

	for (int i = 0; i < BESIDE_TRIES && status == TIDE_BUSY; i++) {
		if (i > 0)
			(void)poll(NULL, 0, BESIDE_AGAIN_MS);
		(void)beside_renew(beside, NULL);
		status = live_do(database, step, &beside->swap, err);
	}
	return status;
}

/* Another owner that came in between: once more. */
static tide_status beside_swap_postgres(struct beside *beside, struct tide_error *err)
{
	tide_status status = TIDE_FENCED;

	for (int i = 0; i < BESIDE_ROUNDS && status == TIDE_FENCED; i++) {
		status = hold_begin(beside, err);
		if (status == TIDE_OK)
			status = beside_arrive(beside, err);
		if (status == TIDE_OK)
			status = beside_try(beside, swap_postgres, err);
		hold_end(beside, status);
	}
	return status;
}

static tide_status beside_back_postgres(struct beside *beside, struct tide_error *err)
{
	tide_status status = TIDE_FENCED;

	for (int i = 0; i < BESIDE_ROUNDS && status == TIDE_FENCED; i++) {
		status = hold_begin(beside, err);
		if (status == TIDE_OK)
			status = beside_try(beside, swap_back_postgres, err);
		hold_end(beside, status);
	}
	return status;
}

static tide_status beside_end_postgres(struct beside *beside, struct tide_error *err)
{
	return beside_try(beside, swap_end_postgres, err);
}
#endif

/** What is done to both, in either database. */
enum beside_step { BESIDE_SWAP, BESIDE_BACK, BESIDE_END };

static tide_status beside_do(struct beside *beside, enum beside_step step, struct tide_error *err)
{
#ifdef TIDE_HAVE_POSTGRES
	if (swap_is_postgres(&beside->swap))
		return step == BESIDE_SWAP   ? beside_swap_postgres(beside, err)
		       : step == BESIDE_BACK ? beside_back_postgres(beside, err)
					     : beside_end_postgres(beside, err);
#endif
	return step == BESIDE_SWAP   ? swap_sqlite(&beside->swap, beside_arrive, beside, err)
	       : step == BESIDE_BACK ? swap_back_sqlite(&beside->swap, err)
				     : swap_end_sqlite(&beside->swap, err);
}

/* ---- What came of it ------------------------------------------------------------------------- */

static void beside_json(const struct beside *beside, const char *state, struct buffer *line)
{
	const struct audit *audit = &beside->audit;
	json_open(line, '{');
	json_add_string(line, "projection_name", beside->rebuild->name);
	json_add_integer(line, "build", beside->swap.row.build);
	json_add_string(line, "state", state);
	json_add_integer(line, "global_position",
			 beside->swap.position ? beside->swap.position : beside->compared_at);

	json_key(line, "compared_at");
	if (beside->compared_at)
		json_integer(line, beside->compared_at);
	else
		json_null(line);
	json_add_integer(line, "tables_compared", audit->tables_compared);
	json_add_integer(line, "rows_different", audit->rows_different);
	json_key(line, "findings");
	json_open(line, '[');
	for (size_t i = 0; i < audit->finding_count; i++)
		json_string(line, audit->findings[i]);
	json_close(line, ']');
	json_key(line, "still_seconds");
	if (beside->still_seconds > 0)
		json_number(line, beside->still_seconds, 3);
	else
		json_null(line);
	json_close(line, '}');
}

static int beside_print(struct beside *beside, const char *state, const char *text)
{
	struct buffer line = { 0 };
	const struct audit *audit = &beside->audit;

	if (beside->rebuild->cli->json) {
		beside_json(beside, state, &line);
		return cli_line(beside->rebuild->cli, &line);
	}
	buffer_format(&line, "'%s' build %lld: %s", beside->rebuild->name,
		      (long long)beside->swap.row.build, text);
	if (beside->swap.position)
		buffer_format(&line, ", at position %lld", (long long)beside->swap.position);
	if (beside->still_seconds > 0)
		buffer_format(&line, ", which stood still for %s",
			      seconds_text(beside->still_seconds));
	if (beside->compared_at)
		buffer_format(&line, "; tables compared at %lld: %s, rows that differ: %s",
			      (long long)beside->compared_at, number_text(audit->tables_compared),
			      number_text(audit->rows_different));
	for (size_t i = 0; i < audit->finding_count; i++)
		buffer_format(&line, "\n  %s", audit->findings[i]);
	return cli_line(beside->rebuild->cli, &line);
}

static void beside_journal(const struct beside *beside, const char *act, const char *what)
{
	journal_tell(beside->serving->database, NULL, act, beside->rebuild->name,
		     "build %lld %s, position %lld", (long long)beside->swap.row.build, what,
		     (long long)beside->swap.position);
}

/* ---- Beginning, or going on ------------------------------------------------------------------ */

static tide_status beside_load_row(void *self, void *connection, struct tide_error *err)
{
	struct beside *beside = self;
	return rebuild_load(beside->rebuild->projection, connection, true, &beside->swap.row, err);
}

static tide_status beside_name(struct beside *beside, uint32_t lanes, const struct rebuild_row *row,
			       struct tide_error *err)
{
	const struct cli *cli = beside->rebuild->cli;
	const char *into = cli->options[OPT_INTO].text;
	return swap_init(&beside->swap, beside->rebuild->projection, into ? into : cli->store_url,
			 lanes, row, err);
}

static tide_status beside_find(struct beside *beside, struct tide_error *err)
{
	struct tide_group group = { .lanes = 0 };
	beside->serving = beside->rebuild->follow.checkpoints;
	tide_status status = live_do(beside->serving->database, beside_load_row, beside, err);
	if (status == TIDE_OK)
		status = checkpoints_group(beside->serving, beside->rebuild->name, &group, err);
	if (status != TIDE_OK)
		return status;

	struct rebuild_row row = beside->swap.row;
	beside->swap.row.undo = NULL;
	return beside_name(beside, group.lanes > 1 ? group.lanes : 1, &row, err);
}

/* Why a build that stands beside NAME cannot become what serves; NULL: it can. */
static const char *beside_is_of_no_use(const struct beside *beside)
{
	const struct swap *swap = &beside->swap;
	return !swap->row.is_same ? "it was of another file"
	       : rebuild_lanes(swap->row.undo) != swap->lanes
		       ? "what serves has another number of lanes since"
	       : swap_furthest(swap) < swap->row.reached ? "what serves went back behind it"
							 : NULL;
}

static tide_status beside_drop_old_build(struct beside *beside, struct tide_error *err)
{
	struct rebuild_row *row = &beside->swap.row;
	const char *why = beside_is_of_no_use(beside);
	if (row->state != REBUILD_BESIDE || !why)
		return TIDE_OK;

	cli_note(beside->rebuild->cli, "build %lld of '%s' is dropped: %s", (long long)row->build,
		 beside->rebuild->name, why);
	row->state = REBUILD_ENDED;
	return beside_do(beside, BESIDE_END, err);
}

/* What a number of lanes before this one had settled would be passed over in what takes its
 * place. */
static tide_status beside_check_lanes(struct beside *beside, struct tide_error *err)
{
	const char *name = beside->rebuild->name;
	uint32_t lanes = 1;
	tide_status status = checkpoints_lanes(beside->serving, name, &lanes, err);
	if (status == TIDE_OK && lanes != beside->swap.lanes)
		return tide_fail(err, TIDE_BUSY,
				 "the number of lanes of '%.255s' was changed meanwhile", name);
	return status;
}

static const char *lanes_text(uint32_t lanes)
{
	static char text[2][32];
	static int turn;
	char *own = text[turn++ % 2];
	if (lanes == 1)
		return "no lanes";
	snprintf(own, sizeof text[0], "%u lanes", lanes);
	return own;
}

/* Whoever runs it with this number of lanes would go on with that. */
static tide_status beside_check_old_lanes(struct beside *beside, struct tide_error *err)
{
	struct tide_group group;
	uint32_t lanes = beside->swap.lanes;
	tide_status status = beside_check_lanes(beside, err);
	if (status == TIDE_OK)
		status = checkpoints_group(beside->serving, beside->swap.old, &group, err);
	if (status != TIDE_OK)
		return status;
	uint32_t old = group.lanes > 1 ? group.lanes : 1;
	if (old == lanes)
		return TIDE_OK;
	return tide_fail(err, TIDE_UNSUPPORTED,
			 "'%.255s' has %s, and what was replaced had %s: let it run with as many "
			 "first",
			 beside->rebuild->name, lanes_text(lanes), lanes_text(old));
}

/* Until it is there its row says what it is not to append again, and that is one row of both. */
static tide_status beside_check_in_place(const struct beside *beside, struct tide_error *err)
{
	const struct rebuild_row *row = &beside->swap.row;
	const char *name = beside->rebuild->name;
	tide_position slowest = beside->swap.rows[0].position;

	for (uint32_t i = 1; i < beside->swap.lanes; i++)
		if (beside->swap.rows[i].position < slowest)
			slowest = beside->swap.rows[i].position;
	if (row->state != REBUILD_IN_PLACE || slowest >= row->reached)
		return TIDE_OK;
	return tide_fail(err, TIDE_STATE,
			 "'%.255s' is made anew in place, and is at %lld of %lld: wait until it is "
			 "there, or go on with that by 'tide rebuild %.255s'",
			 name, (long long)slowest, (long long)row->reached, name);
}

static tide_status beside_begin(struct beside *beside, struct tide_error *err)
{
	struct rebuild_row row = { .state = REBUILD_BESIDE };
	tide_status status = beside_find(beside, err);
	uint32_t lanes = beside->swap.lanes;

	if (status == TIDE_OK)
		status = beside_check_lanes(beside, err);
	if (status == TIDE_OK && beside->swap.row.state == REBUILD_SWAPPED)
		status = tide_fail(err, TIDE_STATE,
				   "what build %lld of '%s' has replaced is kept; end that first "
				   "with --drop-old or --swap-back",
				   (long long)beside->swap.row.build, beside->rebuild->name);
	if (status == TIDE_OK)
		status = beside_read_positions(beside, err);
	if (status == TIDE_OK)
		status = beside_check_in_place(beside, err);
	if (status == TIDE_OK)
		status = beside_drop_old_build(beside, err);
	if (status != TIDE_OK)
		return status;
	if (beside->swap.row.state == REBUILD_BESIDE) {
		cli_note(beside->rebuild->cli, "build %lld of '%s' goes on",
			 (long long)beside->swap.row.build, beside->rebuild->name);
		return TIDE_OK;
	}

	row.build = beside->swap.row.build + 1;
	status = rebuild_write_lanes(lanes, &row.undo, err);
	if (status != TIDE_OK)
		return status;
	swap_fini(&beside->swap);
	status = beside_name(beside, lanes, &row, err);
	return status == TIDE_OK ? live_do(beside->serving->database, beside_store_row, beside, err)
				 : status;
}

static void beside_fini(struct beside *beside)
{
	tide_manager_close(beside->manager);
	tide_checkpoints_close(beside->checkpoints);
	tide_sql_projection_close(beside->projection);
	swap_fini(&beside->swap);
	for (size_t i = 0; i < beside->audit.finding_count; i++)
		tide_free(beside->audit.findings[i]);
}

/* ---- The commands ---------------------------------------------------------------------------- */

static int beside_swap(struct beside *beside)
{
	struct cli *cli = beside->rebuild->cli;
	bool is_expected = cli->options[OPT_EXPECT_DIFFERENT].is_set;
	struct tide_error err;

	if (beside->audit.finding_count > 0 && !is_expected) {
		int exit = beside_print(beside, "beside",
					"not swapped: it differs; swap it with "
					"--expect-different, or end it with --drop-old");
		return exit == CLI_DONE ? CLI_FAILED : exit;
	}
	struct mono_time since = clock_mono(&clock_system);
	if (beside_do(beside, BESIDE_SWAP, &err) != TIDE_OK)
		return cli_fail(cli, &err);
	beside->still_seconds = seconds_of_ns(mono_since(clock_mono(&clock_system), since));
	beside_journal(beside, "swap", "swapped");
	return beside_print(beside, "swapped", "swapped");
}

static int beside_make(struct beside *beside)
{
	struct cli *cli = beside->rebuild->cli;
	struct tide_error err;

	tide_status status = beside_begin(beside, &err);
	if (status == TIDE_OK)
		status = beside_open_build(beside, &err);
	if (status == TIDE_OK)
		status = beside_catch_up(beside, &err);
	if (status != TIDE_OK)
		return cli_fail(cli, &err);
	int exit = beside_compare(beside);
	return exit == CLI_DONE ? beside_swap(beside) : exit;
}

static int beside_back(struct beside *beside)
{
	struct cli *cli = beside->rebuild->cli;
	struct tide_error err;

	tide_status status = beside_find(beside, &err);
	if (status == TIDE_OK && beside->swap.row.state != REBUILD_SWAPPED)
		status = tide_fail(&err, TIDE_STATE, "nothing of '%s' was swapped",
				   beside->rebuild->name);
	if (status == TIDE_OK)
		status = beside_check_old_lanes(beside, &err);
	if (status == TIDE_OK && !cli->options[OPT_FORCE].is_set)
		status = live_do(beside->serving->database, swap_check_old, &beside->swap, &err);
	if (status == TIDE_OK)
		status = beside_do(beside, BESIDE_BACK, &err);
	if (status != TIDE_OK)
		return cli_fail(cli, &err);
	beside_journal(beside, "swap", "swapped back");
	return beside_print(beside, "beside", "swapped back");
}

static int beside_drop(struct beside *beside)
{
	struct tide_error err;
	tide_status status = beside_find(beside, &err);
	enum rebuild_state state = beside->swap.row.state;

	if (status == TIDE_OK && state != REBUILD_SWAPPED && state != REBUILD_BESIDE)
		status = tide_fail(&err, TIDE_STATE, "nothing stands beside '%s'",
				   beside->rebuild->name);
	if (status == TIDE_OK)
		status = beside_do(beside, BESIDE_END, &err);
	if (status != TIDE_OK)
		return cli_fail(beside->rebuild->cli, &err);
	bool is_new = state == REBUILD_SWAPPED;
	beside_journal(beside, is_new ? "swap" : "rebuild",
		       is_new ? "stays, the old one dropped" : "dropped");
	return beside_print(beside, "ended", is_new ? "stays, the old one is dropped" : "dropped");
}

int rebuild_beside(struct rebuild *rebuild)
{
	const struct option_value *options = rebuild->cli->options;
	struct beside beside = { .rebuild = rebuild };
	int exit = follow_open(&rebuild->follow);

	if (exit == CLI_DONE)
		exit = options[OPT_SWAP_BACK].is_set  ? beside_back(&beside)
		       : options[OPT_DROP_OLD].is_set ? beside_drop(&beside)
						      : beside_make(&beside);
	beside_fini(&beside);
	follow_close(&rebuild->follow);
	return exit;
}
