/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_EXPLAIN_EXPLAIN_H
#define TIDE_EXPLAIN_EXPLAIN_H

#include "policy/why.h"

/** Say the cause in a sentence, and what to do: from the table of sentences.def. */
void explain_say(struct tide_why *why);
/** The sentence and the advice of a cause, with their places for evidence. */
const char *explain_sentence(enum tide_cause cause);
const char *explain_advice(enum tide_cause cause);

#endif
