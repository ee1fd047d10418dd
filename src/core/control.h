/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_CORE_CONTROL_H
#define TIDE_CORE_CONTROL_H

/* What backends share of durable pauses, of the journal and of groups. */

#include <string.h>

#include <tidemark/backend.h>

#include "core/text.h"

/** Every reason but maintenance, whoever wrote it, is a person's. */
static inline enum tide_pause_reason control_reason(struct tide_text text)
{
	return text_equals(text, "maintenance") ? TIDE_PAUSE_MAINTENANCE : TIDE_PAUSE_MANUAL;
}

/** As much of a text as fits, in whole characters; empty for none. */
static inline void control_copy(char *ret, size_t size, struct tide_text text)
{
	size_t length = text.data ? utf8_cut(text.data, text.size, size - 1) : 0;
	if (length > 0)
		memcpy(ret, text.data, length);
	ret[length] = '\0';
}

/** What a call is refused with where the tables are missing. */
static inline tide_status control_unsupported(struct tide_error *err)
{
	return tide_fail(err, TIDE_UNSUPPORTED,
			 "the database keeps no controls; complete it with 'tide init'");
}

/** The same of groups. */
static inline tide_status group_unsupported(struct tide_error *err)
{
	return tide_fail(err, TIDE_UNSUPPORTED,
			 "the database keeps no groups; complete it with 'tide init'");
}

#endif
