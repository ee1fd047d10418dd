/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/fault/fault.h"

#include "backends/fault/state.h"

/* ---- The table, less what the inner backend cannot do ---------------------------------------- */

#define FAULT_TABLES 32

/** The table for stores over one inner backend. */
struct fault_table {
	const struct tide_backend *inner; /* NULL: not in use */
	struct tide_backend table;
};

static struct mutex fault_tables_lock = MUTEX_STATIC(LOCK_FAULT_TABLES);
static struct fault_table fault_tables[FAULT_TABLES];

static void fault_table_fill(struct fault_table *entry, const struct tide_backend *inner)
{
	struct tide_backend *table = &entry->table;
	*table = (struct tide_backend){ .scheme = "fault",
					.store = fault_store_ops,
					.notify = fault_notify_ops };
#define FAULT_KEEP(member) table->member = inner->member ? table->member : NULL
	FAULT_KEEP(store.clear);
	FAULT_KEEP(store.begin);
	FAULT_KEEP(store.commit);
	FAULT_KEEP(store.rollback);
	FAULT_KEEP(store.savepoint);
	FAULT_KEEP(store.release);
	FAULT_KEEP(store.rollback_to);
	FAULT_KEEP(store.check);
	FAULT_KEEP(store.connection);
	FAULT_KEEP(store.snapshot_load);
	FAULT_KEEP(store.snapshot_save);
	FAULT_KEEP(store.waiting_for);
	FAULT_KEEP(store.anchor);
	FAULT_KEEP(store.losses);
	FAULT_KEEP(store.examine);
	FAULT_KEEP(store.examine_deep);
	FAULT_KEEP(store.examine_writing);
	FAULT_KEEP(store.horizon);
	FAULT_KEEP(store.interrupt);
	FAULT_KEEP(store.limit);
	FAULT_KEEP(store.await);
	FAULT_KEEP(store.number);
	FAULT_KEEP(store.blocked);
	FAULT_KEEP(store.append_within);
	FAULT_KEEP(store.session_share);
	FAULT_KEEP(store.session_take);
	FAULT_KEEP(store.session_combines);
	FAULT_KEEP(store.session_ready);
	FAULT_KEEP(store.session_rest);
	FAULT_KEEP(notify.start);
	FAULT_KEEP(notify.wait);
	FAULT_KEEP(notify.interrupt);
	FAULT_KEEP(notify.stop);
	if (inner->checkpoint.load) {
		table->checkpoint = fault_checkpoint_ops;
		FAULT_KEEP(checkpoint.dead_letter_can_park);
		FAULT_KEEP(checkpoint.lease_end);
		FAULT_KEEP(checkpoint.lease_note);
		FAULT_KEEP(checkpoint.lease_tell);
		FAULT_KEEP(checkpoint.lease_list);
		FAULT_KEEP(checkpoint.lease_seize);
		FAULT_KEEP(checkpoint.lease_hold);
		FAULT_KEEP(checkpoint.lease_renew_all);
		FAULT_KEEP(checkpoint.control_set);
		FAULT_KEEP(checkpoint.control_list);
		FAULT_KEEP(checkpoint.journal_add);
		FAULT_KEEP(checkpoint.journal_list);
		FAULT_KEEP(checkpoint.segment_turn);
		FAULT_KEEP(checkpoint.segment_list);
		FAULT_KEEP(checkpoint.group_get);
		FAULT_KEEP(checkpoint.group_change);
		FAULT_KEEP(checkpoint.group_forget);
		FAULT_KEEP(checkpoint.member_join);
		FAULT_KEEP(checkpoint.member_leave);
		FAULT_KEEP(checkpoint.member_list);
		FAULT_KEEP(checkpoint.group_move);
		table->checkpoint.lease_renew_ns = inner->checkpoint.lease_renew_ns;
	}
#undef FAULT_KEEP
	entry->inner = inner;
}

static const struct tide_backend *fault_table_of_locked(const struct tide_backend *inner)
	TIDE_REQUIRES(fault_tables_lock)
{
	for (size_t i = 0; i < FAULT_TABLES; i++) {
		if (!fault_tables[i].inner)
			fault_table_fill(&fault_tables[i], inner);
		if (fault_tables[i].inner == inner)
			return &fault_tables[i].table;
	}
	return NULL;
}

static tide_status fault_resolve(const struct tide_url *url, const struct tide_backend **ret,
				 struct tide_error *err)
{
	struct fault_url parts;
	tide_status status = fault_url_read(url, &parts, err);
	if (status != TIDE_OK)
		return status;

	url_fini(&parts.inner);
	mutex_lock(&fault_tables_lock);
	const struct tide_backend *table = fault_table_of_locked(parts.backend);
	mutex_unlock(&fault_tables_lock);

	if (!table)
		return tide_fail(err, TIDE_UNSUPPORTED, "faults over more than %d backends",
				 FAULT_TABLES);

	*ret = table;
	return TIDE_OK;
}

const struct tide_backend tide_backend_fault = {
	.scheme = "fault",
	.store = { .resolve = fault_resolve },
};
