/* SPDX-License-Identifier: Apache-2.0 */
/*
 *   UNKNOWN ──▶ AVAILABLE ◀──▶ UNAVAILABLE since the first failure in a row
 */
#include "policy/availability.h"

#include <assert.h>

/* Whether an operation that failed so had its answer all the same: the store works, and said no. */
static bool availability_is_answer(tide_status status)
{
	switch (status) {
	case TIDE_CONNECTION_LOST:
	case TIDE_TIMEOUT:
	case TIDE_BUSY:
	case TIDE_DISK_FULL:
	case TIDE_CORRUPT:
	case TIDE_IO:
	case TIDE_INTERNAL:
		return false;
	default:
		return true;
	}
}

void availability_note(struct availability *availability, tide_status status,
		       const struct tide_error *error, struct mono_time now)
{
	if (availability_is_answer(status)) {
		availability->state = TIDE_AVAILABLE;
		return;
	}
	assert(error);
	if (availability->state != TIDE_UNAVAILABLE)
		availability->since = now;
	availability->state = TIDE_UNAVAILABLE;
	availability->error = *error;
}

void availability_note_silence(struct availability *availability, struct mono_time since)
{
	if (availability->state == TIDE_UNAVAILABLE && availability->since.ns <= since.ns)
		return;
	availability->state = TIDE_UNAVAILABLE;
	availability->since = since;
	tide_fail(&availability->error, TIDE_TIMEOUT, "it does not answer");
}

struct availability availability_worse(const struct availability *left,
				       const struct availability *right)
{
	if (left->state != right->state)
		return left->state > right->state ? *left : *right;
	return left->since.ns <= right->since.ns ? *left : *right;
}
