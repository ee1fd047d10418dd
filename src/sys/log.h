/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_SYS_LOG_H
#define TIDE_SYS_LOG_H

#include <stdbool.h>

#include <tidemark/log.h>

#include <tidemark/error.h>

/** Whether lines of a level go anywhere: for what costs something to tell. Threads: any. */
bool log_is_wanted(enum tide_log_level level);

/**
 * Log one line when its level is wanted; `message` is static text, `format` makes the fields, such
 * as "name='%s' position=%d". Never called under a lock of the library. Threads: any.
 */
void log_at(enum tide_log_level level, const char *component, const char *message,
	    const char *format, ...) TIDE_PRINTF(4, 5);

#endif
