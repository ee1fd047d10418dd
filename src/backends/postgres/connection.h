/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_POSTGRES_CONNECTION_H
#define TIDE_POSTGRES_CONNECTION_H

/* One libpq connection: statements in binary format, prepared at their first use where nothing
 * stands in between. */

#include <stdatomic.h>
#include <stdint.h>

#include "backends/postgres/statements.h"
#include "backends/postgres/values.h"
#include "core/parts.h"
#include "sys/clock.h"

/** Where to connect and what to send there: fixed once the store is open. */
struct pg_target {
	const char **keywords, **values; /* for libpq, ending in NULL; values may hold a password */
	char *schema;                    /* quoted, with a dot behind it */
	part_set parts;                  /* that this schema has */
	char *begin;                     /* begins the transaction of a handler */
	bool is_bytes;                   /* the database has no encoding (SQL_ASCII) */
	uint32_t greatest;               /* character that the database's encoding surely has */
	char *statements[PG_STATEMENT_COUNT];
	bool can_prepare; /* false: a pooler may hand every statement to another server process */
};

/** What is waited for, for the error that says that it has not come. */
enum pg_answer { PG_ANSWER_APPEND, PG_ANSWER_WRITE };

/** A connection, used by one thread at a time. */
struct pg_connection {
	PGconn *native;  /* NULL: not open */
	uint64_t number; /* of all that this process has opened, each another */
	const struct pg_target *target;
	uint64_t prepared; /* a bit per statement */
	/* of those that are to be prepared again, since a table was changed or it is old */
	uint64_t outdated;
	uint32_t uses[PG_STATEMENT_PREPARED]; /* of each since it was prepared */
	int sent[2];               /* the prepared statements that were sent last, -1: none */
	bool has_outdated;         /* the last failure was of one that is outdated */
	struct mono_time deadline; /* for answers, ... */
	double limit;              /* ... that many seconds after it was set; 0: there is none */
	enum pg_answer answer;     /* to what, when the time is up */
	bool is_late;              /* the answer to what was sent last was not waited for */
	char sqlstate[6];          /* of the last error result, whoever sent the statement */
	struct {
		char schema[64], table[64], constraint[64]; /* which that error names, else empty */
	} broken;
	bool was_ended;             /* a COMMIT was seen since this was last cleared */
	_Atomic(PGcancel *) cancel; /* of the present or the last one; NULL: none, or in use */
	/* libpq may call it good still: a write failed while a notice was there to be read */
	bool is_broken;
};

static inline void pg_result_free(PGresult **result)
{
	PQclear(*result);
}
#define PG_RESULT_AUTO __attribute__((cleanup(pg_result_free)))

/** Whether the database has no encoding: SQL_ASCII, any bytes. */
bool pg_connection_is_bytes(const struct pg_connection *connection);
/** The greatest character that every text column of this database can keep. */
uint32_t pg_connection_greatest(const struct pg_connection *connection);
/** Connect; `connection` is zero or was connected before. TIDE_OK, TIDE_CONNECTION_LOST. */
tide_status pg_connection_open(struct pg_connection *connection, const struct pg_target *target,
			       struct tide_error *err);
void pg_connection_close(struct pg_connection *connection);
/** End the statement that another thread runs on it, if there is one. Threads: any. */
void pg_connection_interrupt(struct pg_connection *connection);
bool pg_connection_is_usable(const struct pg_connection *connection);
/** Whether an idle connection is still there: a server that ended it meanwhile has left its word in
 * the socket. */
bool pg_connection_has_survived(struct pg_connection *connection);
/** Give the answers to what is sent from now on so many seconds altogether, 0: any time; then what
 * takes them returns TIDE_TIMEOUT. */
void pg_connection_limit(struct pg_connection *connection, enum pg_answer answer, double seconds);
/** Wait as long for an answer that came too late, whatever it is: until then nothing else can be
 * sent. TIDE_OK, TIDE_TIMEOUT. */
tide_status pg_connection_settle(struct pg_connection *connection, struct tide_error *err);
/** Whether a statement is on its way whose answer was not waited for: until that has landed nothing
 * else can be sent. */
bool pg_connection_is_flying(const struct pg_connection *connection);
/** Take that answer if it has come, without waiting for it; false: it has not. */
bool pg_connection_land(struct pg_connection *connection);

/** Send a statement without waiting for its result; nothing else may be on its way. `params` may be
 * NULL. */
tide_status pg_send(struct pg_connection *connection, enum pg_statement statement,
		    const struct pg_params *params, struct tide_error *err);
/** Wait for the result of what was sent. On failure nothing is to be cleared, and `sqlstate` tells
 * more. */
tide_status pg_take(struct pg_connection *connection, PGresult **ret, struct tide_error *err);
/** The same for two statements that travel together; each is a transaction of its own, the second
 * begins after the first. */
tide_status pg_send_both(struct pg_connection *connection, const enum pg_statement statements[2],
			 const struct pg_params *const params[2], struct tide_error *err);
tide_status pg_take_both(struct pg_connection *connection, PGresult *ret[2],
			 struct tide_error *err);
/** Send and take a text composed for this call. */
tide_status pg_query(struct pg_connection *connection, const char *text,
		     const struct pg_params *params, PGresult **ret, struct tide_error *err);
/** Run a text without parameters and results, maybe of several statements. */
tide_status pg_command(struct pg_connection *connection, const char *text, struct tide_error *err);

/* ---- late.c ---- */
#define PG_LATE_SIZE 200
/** What the server does instead of answering, as far as another connection finds out within a few
 * seconds: ", it waits for ...", or nothing. */
void pg_late_cause(const struct pg_connection *connection, char ret[PG_LATE_SIZE]);

/** Rows changed by a statement. */
int64_t pg_changed(PGresult *result);

#endif
