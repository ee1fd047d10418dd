/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_POLICY_WHY_H
#define TIDE_POLICY_WHY_H

/* Filling a cause with its evidence, and how it is kept beside a lease, for other processes. */

#include <tidemark/backend.h>
#include <tidemark/why.h>

#include "core/json.h"

/** A fact of the cause; one that is empty is none, and so is one too many. */
void why_add_text(struct tide_why *why, const char *key, const char *text);
void why_add_number(struct tide_why *why, const char *key, double number);
void why_add_time(struct tide_why *why, const char *key, struct tide_time time);
void why_add_uuid(struct tide_why *why, const char *key, const struct tide_uuid *uuid);
/** Its message, and the name of its status. */
void why_add_error(struct tide_why *why, const struct tide_error *error);
void why_set_since(struct tide_why *why, struct tide_time since);

/** Where a cause stands among all of them, from what needs nobody to what needs a person most: of
 * lanes the greatest tells. */
int why_weight(enum tide_cause cause);

/** Say the cause in a sentence, and what to do: from the table of sentences.def. */
void why_say(struct tide_why *why);
/** The sentence and the advice of a cause, with their places for evidence. */
const char *why_sentence(enum tide_cause cause);
const char *why_advice(enum tide_cause cause);

/** Cause, state, since and evidence, which is what why_read understands. */
void why_write(struct buffer *buffer, const struct tide_why *why);
/** Whether the row of an ownership tells of a run that ended in an error. */
bool why_has_ended(const struct tide_lease_info *lease);
/** The cause of that end, as its process told it; false: it has not ended so. */
bool why_read_end(const struct tide_lease_info *lease, struct tide_why *ret);

/** Read what why_write wrote; false: it is none, or its cause is one of a later version. */
bool why_read(const char *text, struct tide_why *ret);

#endif
