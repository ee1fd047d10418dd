/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/postgres/inner.h"
#include "backends/postgres/postgres.h"

#define LEASE_RENEW_NS (5 * NS_PER_SECOND)

const struct tide_backend tide_backend_postgres = {
	.scheme = "postgresql",
	.store = {
		.open = pg_store_open,
		.close = pg_store_close,
		.append = pg_append,
		.session_open = pg_session_open,
		.session_close = pg_session_close,
		.read = pg_read,
		.end = pg_end,
		.stream_version = pg_stream_version,
		.find = pg_find,
		.begin = pg_begin,
		.commit = pg_commit,
		.rollback = pg_rollback,
		.savepoint = pg_savepoint,
		.release = pg_release,
		.rollback_to = pg_rollback_to,
		.check = pg_check,
		.connection = pg_native,
		.snapshot_load = pg_snapshot_load,
		.snapshot_save = pg_snapshot_save,
		.waiting_for = pg_waiting_for,
		.examine = pg_examine,
	},
	.notify = {
		.start = pg_watch_start,
		.wait = pg_watch_wait,
		.interrupt = pg_watch_interrupt,
		.stop = pg_watch_stop,
	},
	.checkpoint = {
		.load = pg_checkpoint_load,
		.save = pg_checkpoint_save,
		.list = pg_checkpoint_list,
		.reset = pg_checkpoint_reset,
		.lease_acquire = pg_lease_acquire,
		.lease_renew = pg_lease_renew,
		.lease_release = pg_lease_release,
		.lease_mark = pg_lease_mark,
		.lease_is_owned = pg_lease_is_owned,
		.lease_renew_ns = LEASE_RENEW_NS,
		.dead_letter_add = pg_dead_letter_add,
		.dead_letter_list = pg_dead_letter_list,
		.dead_letter_get = pg_dead_letter_get,
		.dead_letter_change = pg_dead_letter_change,
		.dead_letter_discard = pg_dead_letter_discard,
		.dead_letter_purge = pg_dead_letter_purge,
		.dead_letter_stats = pg_dead_letter_stats,
		.dead_letter_counts = pg_dead_letter_counts,
		.dead_letter_can_park = pg_dead_letter_can_park,
	},
};
