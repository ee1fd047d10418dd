/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Snapshots of aggregates: one row per aggregate, beside its events.
 *
 * Happy path: borrow a session, let the backend load or replace the row, give the session back.
 * Failure modes: a backend without snapshots answers `unsupported`; everything else is the
 * backend's answer.
 */

#include <tidemark/snapshot.h>

#include "core/json.h"
#include "core/text.h"
#include "path/port.h"
#include "path/store.h"

static tide_status snapshot_check(const struct tide_store *store, struct tide_stream stream,
				  struct tide_error *err)
{
	if (!store)
		return tide_fail(err, TIDE_ARGUMENT, "store must not be null");
	if (tide_uuid_is_nil(&stream.aggregate_id))
		return tide_fail(err, TIDE_ARGUMENT, "aggregate_id must not be nil");
	tide_status status = name_check_type(stream.aggregate_type, "aggregate_type", err);
	if (status != TIDE_OK)
		return status;
	if (!port_has_snapshots(store))
		return tide_fail(err, TIDE_UNSUPPORTED, "'%s' keeps no snapshots",
				 store->backend->scheme);
	return TIDE_OK;
}

tide_status tide_store_snapshot_load(struct tide_store *store, struct tide_stream stream,
				     struct tide_snapshot *ret, struct tide_error *err)
{
	tide_status status = snapshot_check(store, stream, err);
	if (status == TIDE_OK && !ret)
		status = tide_fail(err, TIDE_ARGUMENT, "ret must not be null");
	void *session;
	if (status == TIDE_OK)
		status = store_borrow(store, &session, err);
	if (status != TIDE_OK)
		return status;

	struct tide_snapshot snapshot = { 0 };
	status = port_snapshot_load(store, session, stream, &snapshot, err);
	store_return(store, session, status);
	if (status == TIDE_OK) {
		*ret = snapshot;
		ret->stream = stream;
	}
	return status;
}

static tide_status snapshot_check_content(const struct tide_store *store,
					  const struct tide_snapshot *snapshot,
					  struct tide_error *err)
{
	if (snapshot->version < 1)
		return tide_fail(err, TIDE_ARGUMENT, "version must be at least 1, not %d",
				 (int)snapshot->version);
	if (snapshot->schema_version < 1)
		return tide_fail(err, TIDE_ARGUMENT, "schema_version must be at least 1, not %d",
				 (int)snapshot->schema_version);
	if (store->is_read_only)
		return tide_fail(err, TIDE_UNSUPPORTED, "the store was opened read-only");
	return json_check(snapshot->state, false, "state", err);
}

tide_status tide_store_snapshot_save(struct tide_store *store, const struct tide_snapshot *snapshot,
				     struct tide_error *err)
{
	if (!snapshot)
		return tide_fail(err, TIDE_ARGUMENT, "snapshot must not be null");
	tide_status status = snapshot_check(store, snapshot->stream, err);
	if (status == TIDE_OK)
		status = snapshot_check_content(store, snapshot, err);
	void *session;
	if (status == TIDE_OK)
		status = store_borrow(store, &session, err);
	if (status != TIDE_OK)
		return status;

	struct tide_snapshot stamped = *snapshot;
	stamped.created_at = tide_time_now();
	status = port_snapshot_save(store, session, &stamped, err);
	store_return(store, session, status);
	return status;
}

void tide_store_count_snapshot(struct tide_store *store, enum tide_snapshot_outcome outcome)
{
	if (store && (unsigned)outcome < TIDE_SNAPSHOT_OUTCOMES)
		metrics_add(&store->metrics.snapshots[outcome], 1);
}
