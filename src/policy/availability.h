/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_POLICY_AVAILABILITY_H
#define TIDE_POLICY_AVAILABILITY_H

#include <tidemark/error.h>
#include <tidemark/health.h>

#include "sys/clock.h"

/** The databases of a subscription: the events it reads, and where it keeps what it has done. Both
 * may be one. */
enum database { DATABASE_FEED, DATABASE_CHECKPOINTS, DATABASES };

/** How the last operation on a database ended, and since when they have been failing. A plain
 * value. */
struct availability {
	enum tide_availability state;
	struct mono_time since;  /* of the first failure in a row */
	struct tide_error error; /* the last failure */
};

/** An operation ended. What the database refused by an answer of its own, such as a fence, is an
 * answer. */
void availability_note(struct availability *availability, tide_status status,
		       const struct tide_error *error, struct mono_time now);
/** No answer since `since`, and nobody knows whether there will be one. */
void availability_note_silence(struct availability *availability, struct mono_time since);
/** The worse of two views of one database; of two failures, the one that began first. */
struct availability availability_worse(const struct availability *left,
				       const struct availability *right);

#endif
