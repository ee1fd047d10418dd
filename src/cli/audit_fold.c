/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log folded again: a projection runs over the events up to a position, into a scratch place.
 *
 * Happy path: an ordinary subscription, whose handler passes over what lies behind the position and
 * what was set aside.
 * Failure modes: an event that fails is left out, as one that was discarded was. A projection that
 * writes elsewhere than into the scratch is stopped before it commits.
 */
#include <stdlib.h>
#include <string.h>

#include "cli/audit.h"
#include "core/text.h"
#include "path/family.h"
#include "sys/alloc.h"

#define FOLD_WAIT_SECONDS 0.2
#define FOLD_RETRIES 5

static int fold_compare_ids(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct tide_uuid));
}

bool fold_add_row(struct fold *fold, const char *name, tide_position position)
{
	const struct audit *audit = fold->audit;
	struct tide_lane lane = { 0, 1 };
	if (strcmp(name, audit->name) != 0 &&
	    (!audit->is_family || !family_has(audit->name, name, &lane)))
		return true;

	struct inherit_row *more =
		alloc_resize(fold->rows, fold->row_count + 1, sizeof *fold->rows);
	if (!more)
		return false;
	fold->rows = more;
	more[fold->row_count++] =
		(struct inherit_row){ { lane.index, lane.total }, true, position };
	if (position > fold->position)
		fold->position = position;
	return true;
}

/* An event is settled once any row has reached it that its aggregate falls to. */
static bool fold_has(const struct fold *fold, const struct tide_event *event)
{
	return inherit_passes(fold->rows, fold->row_count,
			      fnv1a64(event->aggregate_id.bytes, sizeof event->aggregate_id.bytes),
			      event->position);
}

bool fold_leave_out(struct fold *fold, const char *id)
{
	if (fold->left_out_count == fold->left_out_capacity) {
		size_t capacity = fold->left_out_capacity ? fold->left_out_capacity * 2 : 64;
		struct tide_uuid *more = alloc_resize(fold->left_out, capacity, sizeof *more);
		if (!more)
			return false;
		fold->left_out = more;
		fold->left_out_capacity = capacity;
	}
	if (id && uuid_read(id, strlen(id), &fold->left_out[fold->left_out_count]))
		fold->left_out_count++;
	return true;
}

/* What nobody had settled when it was copied, and what was set aside, is passed over. */
static tide_status fold_handle(void *self, const struct tide_event *event,
			       struct tide_delivery *delivery)
{
	struct fold *fold = self;
	if (!fold_has(fold, event) ||
	    (fold->left_out_count > 0 &&
	     bsearch(&event->event_id, fold->left_out, fold->left_out_count, sizeof *fold->left_out,
		     fold_compare_ids)))
		return TIDE_OK;
	return fold->inner->handle(fold->inner->self, event, delivery);
}

static tide_status fold_attach_inner(void *self, void *connection, struct tide_error *err)
{
	struct fold *fold = self;
	return fold->inner->attach(fold->inner->self, connection, err);
}

static void fold_detach_inner(void *self, void *connection)
{
	struct fold *fold = self;
	fold->inner->detach(fold->inner->self, connection);
}

static tide_status fold_prepare_inner(void *self, void *connection, struct tide_error *err)
{
	struct fold *fold = self;
	tide_status status = fold->inner->prepare(fold->inner->self, connection, err);
	return status == TIDE_OK && fold->guard ? fold->guard(fold, connection, err) : status;
}

static tide_status fold_before_commit(void *self, void *connection, struct tide_error *err)
{
	struct fold *fold = self;
	tide_status status =
		fold->inner->before_commit
			? fold->inner->before_commit(fold->inner->self, connection, err)
			: TIDE_OK;
	return status == TIDE_OK && fold->guard ? fold->guard(fold, connection, err) : status;
}

static tide_status fold_await(struct fold *fold, struct tide_subscription *subscription,
			      struct tide_error *err)
{
	struct meter meter;
	tide_status status = TIDE_TIMEOUT;

	meter_begin(&meter, "fold", 0, fold->position);
	while (status == TIDE_TIMEOUT) {
		status = tide_subscription_wait(subscription, fold->position, FOLD_WAIT_SECONDS,
						err);
		meter_show(&meter, tide_subscription_position(subscription), 0);
	}
	meter_end(&meter, fold->position, 0);

	struct tide_subscription_status ended;
	if (status == TIDE_STATE &&
	    tide_subscription_status(subscription, &ended, NULL) == TIDE_OK &&
	    ended.error.status != TIDE_OK) {
		*err = ended.error;
		return ended.error.status;
	}
	return status;
}

static tide_status fold_over(struct fold *fold, struct tide_checkpoints *checkpoints,
			     struct tide_error *err)
{
	const struct audit *audit = fold->audit;
	const struct tide_subscriber *inner = fold->inner;
	struct tide_subscription_config config = tide_catch_up_config(1000, true);
	struct tide_subscriber subscriber = {
		.name = inner->name,
		.self = fold,
		.event_types = inner->event_types,
		.handle = fold_handle,
		.transactional = true,
		.appends = inner->appends,
		.appends_after = INT64_MAX,
		.attach = inner->attach ? fold_attach_inner : NULL,
		.detach = inner->detach ? fold_detach_inner : NULL,
		.prepare = inner->prepare ? fold_prepare_inner : NULL,
		.before_commit = inner->before_commit || fold->guard ? fold_before_commit : NULL,
		.is_prompt = inner->is_prompt,
	};
	TIDE_CLEANUP(tide_manager_close) struct tide_manager *manager = NULL;
	struct tide_subscription *subscription;

	config.discard_failed_events = true;
	config.circuit_breaker_enabled = false;
	config.max_retries = 0;
	config.max_infrastructure_retries = FOLD_RETRIES;
	config.start_from = TIDE_START_POSITION;
	config.start_position = audit->segment_count > 0 ? audit->segments[0].from : 0;
	config.start_from_initially = true;
	tide_status status = tide_manager_open(
		TIDE_MANAGER(.store = audit->store, .checkpoints = checkpoints), &manager, err);
	if (status == TIDE_OK)
		status = tide_manager_subscribe(manager, &subscriber, &config, &subscription, err);
	if (status == TIDE_OK)
		status = tide_manager_start(manager, NULL, 0, NULL, NULL, err);
	if (status == TIDE_OK)
		status = fold_await(fold, subscription, err);
	if (status == TIDE_OK)
		status = tide_manager_stop(manager, NULL, 0, err);
	return status;
}

/* A log that ends before the position was cut, or restored from an earlier copy: there is no more
 * to wait for. */
static tide_status fold_limit(struct fold *fold, struct tide_error *err)
{
	tide_position end;
	tide_status status = tide_store_end(fold->audit->store, &end, err);
	if (status != TIDE_OK || fold->position <= end)
		return status;
	audit_find(fold->audit, "the checkpoint is at %lld, and the log ends at %lld",
		   (long long)fold->position, (long long)end);
	fold->position = end;
	return TIDE_OK;
}

int fold_run(struct fold *fold, const char *url, const char *file)
{
	struct tide_sql_projection *projection = NULL;
	struct tide_checkpoints *checkpoints = NULL;
	struct tide_error err;

	if (fold->left_out_count > 0)
		qsort(fold->left_out, fold->left_out_count, sizeof *fold->left_out,
		      fold_compare_ids);
	const struct tide_sql_projection_options *options =
		TIDE_SQL_PROJECTION(.path = file, .name = fold->audit->name, .url = url);
	tide_status status = fold_limit(fold, &err);
	if (status == TIDE_OK)
		status = tide_sql_projection_open(options, &projection, &err);
	if (status == TIDE_OK)
		status = tide_checkpoints_open(url, TIDE_STORE_OPTIONS(.initialize = true),
					       fold->audit->store, &checkpoints, &err);
	if (status == TIDE_OK) {
		fold->inner = tide_sql_projection_subscriber(projection);
		status = fold_over(fold, checkpoints, &err);
	}
	tide_checkpoints_close(checkpoints);
	tide_sql_projection_close(projection);
	return status == TIDE_OK ? CLI_DONE : cli_fail(fold->audit->cli, &err);
}
