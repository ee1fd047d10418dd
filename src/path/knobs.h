/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_PATH_KNOBS_H
#define TIDE_PATH_KNOBS_H

/* The knobs of a subscription as values: knobs.def as a table that is checked, read from text, and
 * shown. */

#include <stddef.h>

#include <tidemark/subscription.h>

/** What a knob's value is, and how it is written. */
enum knob_kind {
	KNOB_INTEGER,  /* int64_t */
	KNOB_BYTES,    /* int64_t; 16 MiB, 64KiB, 4096 */
	KNOB_SMALL,    /* int32_t; "none" is the least value of its rule */
	KNOB_UNSIGNED, /* uint32_t; "none" is 0 */
	KNOB_REAL,     /* double */
	KNOB_SECONDS,  /* double; 5, 1.5s, 200ms, 2 min, 1h, 3d */
	KNOB_FLAG,     /* bool; true, false */
	KNOB_STRATEGY, /* enum tide_checkpoint_strategy */
	KNOB_START,    /* enum tide_start_from, with start_position */
	KNOB_LIST,     /* names; the text belongs to whoever reads it, see knob_read */
	KNOB_UUID      /* the same */
};

#define LANES_MAX 1024

/** One knob. Its number is at least `low` (more than it, when `is_above`) and at most `high`. */
struct knob {
	const char *name;
	enum knob_kind kind;
	size_t place; /* in struct tide_subscription_config */
	double low, high;
	bool is_above;
	const char *expected; /* the rule in words */
	tide_status (*check)(const struct tide_subscription_config *config,
			     struct tide_error *err); /* in place of that */
	const char *fallback;                         /* what it is when nobody sets it */
	const char *text;                             /* what it is for */
};

extern const struct knob knobs[];
extern const size_t knob_count;

/** NULL: there is none of that name. */
const struct knob *knob_find(const char *name);
/** TIDE_ARGUMENT naming the field and its value. */
tide_status knob_check(const struct knob *knob, const struct tide_subscription_config *config,
		       struct tide_error *err);
/** Set a knob to what `text` says, for all kinds but KNOB_LIST and KNOB_UUID. TIDE_ARGUMENT with
 * what is wrong with the text, without the name: "'x' is no number". The rule is not checked. */
tide_status knob_read(const struct knob *knob, const char *text,
		      struct tide_subscription_config *config, struct tide_error *err);

#endif
