/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether the versions of each aggregate arrive without a hole: an event that goes missing between
 * store and handler is seen here. A bounded table remembers the newest aggregates; one that was
 * forgotten is taken as it comes.
 */
#include "path/selfcheck.h"

#include <string.h>

#include "core/text.h"
#include "sys/alloc.h"

#define SELF_CHECK_SLOTS 8192 /* a power of two */

/* One slot per hash: an aggregate that shares it takes it over, and the other is not known any
 * more. */
struct self_check_slot {
	struct tide_uuid aggregate_id;
	uint64_t type_hash;
	tide_version version; /* 0: empty */
};

struct self_check {
	struct self_check_slot slots[SELF_CHECK_SLOTS];
};

tide_status self_check_new(struct self_check **ret, struct tide_error *err)
{
	struct self_check *check = alloc_zero(1, sizeof *check);
	if (!check)
		return alloc_fail(err);
	*ret = check;
	return TIDE_OK;
}

void self_check_free(struct self_check *check)
{
	tide_free(check);
}

void self_check_reset(struct self_check *check)
{
	memset(check, 0, sizeof *check);
}

tide_version self_check_see(struct self_check *check, const struct tide_event *event)
{
	uint64_t type_hash = fnv1a64(event->aggregate_type.data, event->aggregate_type.size);
	uint64_t hash =
		fnv1a64(event->aggregate_id.bytes, sizeof event->aggregate_id.bytes) ^ type_hash;
	struct self_check_slot *slot = &check->slots[(hash ^ hash >> 32) & (SELF_CHECK_SLOTS - 1)];
	bool is_known = slot->version > 0 && slot->type_hash == type_hash &&
			tide_uuid_equal(&slot->aggregate_id, &event->aggregate_id);
	if (is_known && event->version <= slot->version) /* delivered again, which is no hole */
		return 0;
	tide_version expected = is_known ? slot->version + 1 : event->version;
	*slot = (struct self_check_slot){ event->aggregate_id, type_hash, event->version };
	return expected == event->version ? 0 : expected;
}
