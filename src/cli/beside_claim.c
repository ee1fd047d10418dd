/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A build beside is one call's: two that make it would move each other's tables while these are
 * compared.
 *
 * Happy path: nobody has it.
 * Failure modes: another call has it: refused. One that was killed has it until its lease runs
 * out: waited for, as long as the lease is not renewed. Two calls begin at once: the second member
 * is refused before it has handled anything.
 */
#include <poll.h>

#include "cli/beside.h"
#include "path/limit.h"
#include "path/port.h"
#include "sys/alloc.h"
#include "sys/clock.h"

#define CLAIM_LOOK_MS 10
#define CLAIM_PATIENCE_NS (40 * NS_PER_SECOND)

/** Those who have a build, whether they live or their leases have yet to run out. */
struct claim {
	struct tide_member *members;
	size_t member_count;
	bool is_taken;
	double seconds_left; /* of what ends last; negative: it ends with the process */
};

static void claim_fini(struct claim *claim)
{
	tide_free(claim->members);
}

static void claim_take(struct claim *claim, double seconds_left)
{
	claim->is_taken = true;
	if (seconds_left > claim->seconds_left)
		claim->seconds_left = seconds_left;
}

/* In the build's place there are no others. */
static tide_status claim_look(const struct beside *beside, struct claim *ret,
			      struct tide_error *err)
{
	struct tide_store *database = beside->checkpoints->database;
	ALLOC_AUTO struct tide_lease_info *leases = NULL;
	size_t count = 0;
	void *session;
	*ret = (struct claim){ .seconds_left = -1 };

	tide_status status = checkpoints_leases(beside->checkpoints, &leases, &count, err);
	if (status == TIDE_OK)
		status = store_borrow(database, &session, err);
	if (status != TIDE_OK)
		return status;
	status = port_member_list(database, session, beside->swap.build, &ret->members,
				  &ret->member_count, err);
	store_return(database, session, status);
	for (size_t i = 0; i < count; i++)
		if (leases[i].is_owned)
			claim_take(ret, leases[i].seconds_left);
	for (size_t i = 0; i < ret->member_count; i++)
		claim_take(ret, ret->members[i].seconds_left);
	return status;
}

static tide_status claim_refuse(const struct beside *beside, struct tide_error *err)
{
	return tide_fail(err, TIDE_BUSY, "build '%s' is being made by another process",
			 beside->swap.build);
}

tide_status beside_claim(const struct beside *beside, struct tide_error *err)
{
	struct claim claim;
	tide_status status = claim_look(beside, &claim, err);
	double left = claim.seconds_left;

	if (status == TIDE_OK && claim.is_taken && left >= 0)
		cli_note(beside->rebuild->cli,
			 "'%s' has an owner: waiting for %s at most, until its lease is renewed or "
			 "has run out",
			 beside->swap.build, seconds_text(left));
	while (status == TIDE_OK && claim.is_taken && left >= 0 && claim.seconds_left <= left) {
		left = claim.seconds_left;
		claim_fini(&claim);
		(void)poll(NULL, 0, CLAIM_LOOK_MS);
		status = claim_look(beside, &claim, err);
	}
	if (status == TIDE_OK && claim.is_taken)
		status = claim_refuse(beside, err);
	claim_fini(&claim);
	return status;
}

/* The order of members is that in which they have joined. */
static bool claim_find(const struct claim *claim, const struct tide_uuid *id, size_t *ret)
{
	for (size_t i = 0; i < claim->member_count; i++) {
		*ret = i;
		if (tide_uuid_equal(&claim->members[i].id, id))
			return true;
	}
	return false;
}

/* What has failed is told by whoever looks at it next. */
static bool claim_is_waited_for(const struct beside *beside, struct mono_time began)
{
	struct tide_subscription_status status;
	return mono_since(clock_mono(&clock_system), began) < CLAIM_PATIENCE_NS &&
	       tide_subscription_status(beside->subscription, &status, NULL) == TIDE_OK &&
	       status.state != TIDE_STATE_ERROR;
}

tide_status beside_confirm(const struct beside *beside, struct tide_error *err)
{
	struct mono_time began = clock_mono(&clock_system);
	struct tide_uuid id = subscription_member(beside->subscription);
	bool is_member = beside->swap.lanes == 1; /* one without lanes is owned, and not shared */
	tide_status status = TIDE_OK;
	size_t place = 0;

	while (status == TIDE_OK && !is_member && claim_is_waited_for(beside, began)) {
		struct claim claim;
		(void)poll(NULL, 0, CLAIM_LOOK_MS);
		status = claim_look(beside, &claim, err);
		is_member = status == TIDE_OK && claim_find(&claim, &id, &place);
		claim_fini(&claim);
	}
	return status == TIDE_OK && place > 0 ? claim_refuse(beside, err) : status;
}
