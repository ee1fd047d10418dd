/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_POSTGRES_H
#define TEST_POSTGRES_H

/*
 * A private PostgreSQL server for one test program, on a unix socket in a directory of its own. It
 * dies with the program. While it runs, libpq finds it by itself (PGHOST, PGUSER, PGDATABASE):
 * "postgresql:///?schema=mine" is a whole URL.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct fixture;

/** How to run it; NULL: the default, fast and without flushes. */
struct postgres_wish {
	bool is_flushing; /* as in production: for measuring */
	/* TCP on 127.0.0.1 at PGPORT, with TLS; a password from everybody but the owner */
	bool is_guarded;
	int connections; /* that it has at most; 0: 300 */
};

/** False when PostgreSQL is not installed here; why was printed. */
bool postgres_start(void);
bool postgres_start_as(const struct postgres_wish *wish);
void postgres_stop(void);
/** Stop with a signal (SIGINT: fast, SIGQUIT: immediate), and start again. */
void postgres_halt(int signal);
void postgres_resume(void);
/** The directory of the socket. */
const char *postgres_directory(void);
/** Run statements in a schema of the server, past Tidemark. */
void postgres_sql(const char *schema, const char *sql);
void postgres_fixture_sql(struct fixture *fixture, const char *sql);
int64_t postgres_fixture_number(struct fixture *fixture, const char *sql);
/** End every other connection of the server, whose processes are gone when this returns; how
 * many. */
int postgres_terminate_all(void);

/** A hot standby of it, made anew, on the other of the ports 5432 and 5433 in the same
 * directory. */
void postgres_replica_start(void);
void postgres_replica_stop(void);
void postgres_replica_resume(void);
/** The primary is lost; the standby, as far as it got before it was stopped, is promoted in its
 * place, at its port. */
void postgres_fail_over(void);
/** From here on libpq is led to whichever of the two takes writes. */
void postgres_pair(void);
/** Every process of the primary is killed at once, as with its machine. */
void postgres_lose(void);
/** The standby is the primary, at its own port. */
void postgres_promote(void);

/** A PgBouncer in transaction mode before it; false when it is not installed here. Its socket
 * directory is `ret`. */
bool pgbouncer_start(char ret[256]);
void pgbouncer_stop(void);
/** Lead it to the server that is the primary now. */
void pgbouncer_follow(void);
/** A command of its console, such as PAUSE and RESUME, between which its clients wait. */
void pgbouncer_tell(const char *command);

#endif
