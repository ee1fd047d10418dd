/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_CORE_STATUS_H
#define TIDE_CORE_STATUS_H

#include <tidemark/error.h>

/** What TIDE_STATUSES says about one status: its name and how it is classified unless the user
 * rules otherwise. */
struct status_info {
	const char *name;
	enum tide_category category;
	enum tide_severity severity;
	bool is_retryable;
	enum tide_retry retry;
};

/** The row of a status; that of TIDE_INTERNAL for a number that is none. */
const struct status_info *status_info(tide_status status);

#endif
