/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDEMARK_ERROR_H
#define TIDEMARK_ERROR_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

#if defined(__GNUC__)
#define TIDE_PRINTF(text, first) __attribute__((format(printf, text, first)))
#else
#define TIDE_PRINTF(text, first)
#endif

/**
 * Call `close` on a local variable when it goes out of scope, in C and in C++, with gcc and clang.
 * What has a _close, a _free or a _fini may be one; it begins as NULL, or all zero:
 *
 *	TIDE_CLEANUP(tide_store_close) struct tide_store *store = NULL;
 *	TIDE_CLEANUP(tide_health_fini) struct tide_health health = { 0 };
 *	TIDE_CLEANUP(tide_free) char *json = NULL;
 */
#define TIDE_CLEANUP(close) __attribute__((cleanup(close##_cleanup)))

/* clang-format off */
/** Every status once: constant, wire name, category, severity, retryable, what to do before calling
 * again. */
#define TIDE_STATUSES(X) \
	X(OK,                "ok",                UNKNOWN,        LOW,      false, NEVER)  \
	X(ARGUMENT,          "argument",          APPLICATION,    MEDIUM,   false, NEVER)  \
	X(NOT_FOUND,         "not_found",         APPLICATION,    MEDIUM,   false, NEVER)  \
	X(ALREADY_EXISTS,    "already_exists",    UNKNOWN,        MEDIUM,   false, NEVER)  \
	X(CONFLICT,          "conflict",          UNKNOWN,        MEDIUM,   false, RELOAD) \
	X(DUPLICATE_EVENT,   "duplicate_event",   UNKNOWN,        MEDIUM,   false, NEVER)  \
	X(VERSION,           "version",           APPLICATION,    HIGH,     false, RELOAD) \
	X(UNHANDLED_EVENT,   "unhandled_event",   APPLICATION,    HIGH,     false, NEVER)  \
	X(DECODE,            "decode",            APPLICATION,    MEDIUM,   false, NEVER)  \
	X(SCHEMA,            "schema",            UNKNOWN,        MEDIUM,   false, NEVER)  \
	X(STATE,             "state",             APPLICATION,    HIGH,     false, NEVER)  \
	X(DEADLOCK,          "deadlock",          APPLICATION,    HIGH,     false, NEVER)  \
	X(CONNECTION_LOST,   "connection_lost",   TRANSIENT,      MEDIUM,   true,  REOPEN) \
	X(TIMEOUT,           "timeout",           TRANSIENT,      MEDIUM,   true,  LATER)  \
	X(BUSY,              "busy",              TRANSIENT,      MEDIUM,   true,  LATER)  \
	X(FENCED,            "fenced",            UNKNOWN,        MEDIUM,   false, NEVER)  \
	X(CIRCUIT_OPEN,      "circuit_open",      UNKNOWN,        MEDIUM,   false, LATER)  \
	X(DIVERGED,          "diverged",          APPLICATION,    CRITICAL, false, NEVER)  \
	X(PUBLISH_FAILED,    "publish_failed",    UNKNOWN,        MEDIUM,   false, NEVER)  \
	X(SHUTTING_DOWN,     "shutting_down",     UNKNOWN,        MEDIUM,   false, NEVER)  \
	X(CANCELLED,         "cancelled",         UNKNOWN,        MEDIUM,   false, NEVER)  \
	X(OUT_OF_MEMORY,     "out_of_memory",     INFRASTRUCTURE, CRITICAL, false, LATER)  \
	X(DISK_FULL,         "disk_full",         INFRASTRUCTURE, CRITICAL, false, LATER)  \
	X(CORRUPT,           "corrupt",           INFRASTRUCTURE, CRITICAL, false, NEVER)  \
	X(IO,                "io",                UNKNOWN,        MEDIUM,   false, NEVER)  \
	X(UNSUPPORTED,       "unsupported",       UNKNOWN,        MEDIUM,   false, NEVER)  \
	X(HANDLER_TRANSIENT, "handler_transient", TRANSIENT,      MEDIUM,   true,  LATER)  \
	X(HANDLER_PERMANENT, "handler_permanent", PERMANENT,      MEDIUM,   false, NEVER)  \
	X(INTERNAL,          "internal",          UNKNOWN,        MEDIUM,   false, NEVER)
/* clang-format on */

/** What a call came to: TIDE_OK, or the error that says what the caller can do. */
enum tide_status {
#define TIDE_STATUS_ENUM(name, wire, category, severity, retryable, retry) TIDE_##name,
	TIDE_STATUSES(TIDE_STATUS_ENUM)
#undef TIDE_STATUS_ENUM
		TIDE_STATUS_COUNT /* the number of statuses, no status itself */
};
typedef enum tide_status tide_status;

/** What has to change before the same call can succeed. */
enum tide_retry {
	TIDE_RETRY_NEVER,  /* the call itself: it will fail again as it is */
	TIDE_RETRY_RELOAD, /* what the caller knew: read again, decide again */
	TIDE_RETRY_LATER,  /* nothing but time */
	TIDE_RETRY_REOPEN  /* the connection: it is gone, a new one is needed */
};

enum tide_category {
	TIDE_CATEGORY_TRANSIENT,
	TIDE_CATEGORY_PERMANENT,
	TIDE_CATEGORY_INFRASTRUCTURE,
	TIDE_CATEGORY_APPLICATION,
	TIDE_CATEGORY_UNKNOWN
};

enum tide_severity {
	TIDE_SEVERITY_LOW,
	TIDE_SEVERITY_MEDIUM,
	TIDE_SEVERITY_HIGH,
	TIDE_SEVERITY_CRITICAL
};

/** `native` of an error that is no database's: a projection's file is not the one that its tables
 * were made from (TIDE_STATE). */
#define TIDE_NATIVE_FILE_CHANGED (-1)

/** Why a call failed: filled by the failing call, fixed size, owns nothing. */
struct tide_error {
	tide_status status;    /* the same value the call returned */
	enum tide_retry retry; /* what has to change before the same call can succeed */
	int native;            /* the database's own code, or TIDE_NATIVE_..., where there is one */
	char message[512];     /* one line in UTF-8, never a secret */
};

/**
 * Name a status as it is written in JSON, logs and messages, such as "conflict".
 *
 * Owns:    nothing; the text is static.
 * Threads: any.
 * Returns: the name, "internal" for a number that is no status.
 */
const char *tide_status_name(tide_status status);

/**
 * Find the status of a wire name such as "conflict".
 *
 * Owns:    nothing.
 * Threads: any.
 * Returns: TIDE_OK with `*ret` set, TIDE_NOT_FOUND.
 */
tide_status tide_status_from_name(const char *name, tide_status *ret);

/**
 * Name a category ("transient") or a severity ("medium") as written in JSON.
 *
 * Owns:    nothing; the text is static.
 * Threads: any.
 * Returns: the name.
 */
const char *tide_category_name(enum tide_category category);
const char *tide_severity_name(enum tide_severity severity);

/**
 * Fill an error and return its status, so that every failure is one readable return.
 *
 * A message that does not fit is cut at a character boundary. `err` may be NULL.
 *
 * Owns:    nothing.
 * Threads: any.
 * Returns: `status`.
 */
tide_status tide_fail(struct tide_error *err, tide_status status, const char *format, ...)
	TIDE_PRINTF(3, 4);

/**
 * Release heap memory that a Tidemark call handed to its caller; NULL is allowed.
 *
 * Owns:    takes `memory`.
 * Threads: any.
 * Returns: nothing.
 */
void tide_free(void *memory);
static inline void tide_free_cleanup(void *variable)
{
	void *memory;
	memcpy(&memory, variable, sizeof memory); /* a pointer of any type */
	tide_free(memory);
}

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
