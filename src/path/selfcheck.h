/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_PATH_SELFCHECK_H
#define TIDE_PATH_SELFCHECK_H

#include <tidemark/event.h>

/** Watches that the versions of each aggregate come without a hole; remembers the newest few
 * thousand aggregates. */
struct self_check;

tide_status self_check_new(struct self_check **ret, struct tide_error *err);
void self_check_free(struct self_check *check);
/** Forget everything: delivery begins elsewhere. */
void self_check_reset(struct self_check *check);
/** The version that should have come instead of this event's, 0 when it is right or its aggregate
 * is not known. */
tide_version self_check_see(struct self_check *check, const struct tide_event *event);

#endif
