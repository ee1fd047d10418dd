/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDEMARK_LOG_H
#define TIDEMARK_LOG_H

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

enum tide_log_level {
	TIDE_LOG_DEBUG,
	TIDE_LOG_INFO,
	TIDE_LOG_NOTICE,
	TIDE_LOG_WARNING,
	TIDE_LOG_ERROR,
	TIDE_LOG_CRITICAL
};

/** One log line; every text is valid only during the call. */
struct tide_log_line {
	enum tide_log_level level;
	const char *component; /* store, subscription, bus, checkpoint, dlq, manager, shutdown */
	const char *message;   /* what happened, one line */
	/* key=value pairs separated by spaces, quoted ones with \' and \\ within; may be empty */
	const char *fields;
};

/** Receives log lines; must not call back into Tidemark and must not block for long. */
typedef void tide_log_sink(void *self, const struct tide_log_line *line);

/**
 * Send log lines at or above `level` to `sink`; NULL is standard error, which is where they go
 * before the first call, at warning.
 *
 * Payloads and secrets are never logged.
 *
 * Owns:    nothing; `self` must outlive its use as the sink.
 * Threads: any; lines of several threads reach the sink one at a time.
 * Returns: nothing.
 */
void tide_log_set(tide_log_sink *sink, void *self, enum tide_log_level level);

/**
 * Name a level, such as "warning".
 *
 * Owns:    nothing; the text is static.
 * Threads: any.
 * Returns: the name.
 */
const char *tide_log_level_name(enum tide_log_level level);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
