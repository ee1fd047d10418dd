/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/postgres.h"

#include <grp.h>
#include <libpq-fe.h>
#include <netinet/in.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <fcntl.h>
#include <unistd.h>

#include "lib/fixture.h"
#include "lib/wait.h"

/** The server of this program. */
static struct {
	char directory[TEMP_PATH_SIZE], programs[TEMP_PATH_SIZE];
	pid_t pid;
	pid_t bouncer, replica;
	char port[8];             /* of the socket, and of TCP when guarded */
	const char *data, *spare; /* directories, whose turns change */
	char spare_port[8];
	bool is_flushing, is_guarded;
	int connections; /* that it has */
} server;

/* PostgreSQL and PgBouncer refuse to run as root. */
static const struct passwd *server_user(void)
{
	return geteuid() == 0 ? getpwnam("postgres") : NULL;
}

static void child_become(pid_t parent)
{
	const struct passwd *user = server_user();
	if (user && (initgroups(user->pw_name, user->pw_gid) || setgid(user->pw_gid) ||
		     setuid(user->pw_uid)))
		_exit(126);
	unsetenv("PGHOST"); /* a standby takes from it what it is not told */
	unsetenv("PGPORT");
	unsetenv("PGTARGETSESSIONATTRS");
	prctl(PR_SET_PDEATHSIG, SIGQUIT); /* after setuid, which clears it */
	if (getppid() != parent)
		_exit(125);
	int log = open("log", O_WRONLY | O_CREAT | O_APPEND, 0600);
	if (log < 0)
		_exit(124);
	dup2(log, STDOUT_FILENO);
	dup2(log, STDERR_FILENO);
}

static pid_t server_spawn(const char *const arguments[])
{
	pid_t parent = getpid(), pid = fork();
	assert_true(pid >= 0);
	if (pid > 0)
		return pid;
	if (chdir(server.directory))
		_exit(123);
	child_become(parent);
	execv(arguments[0], (char *const *)(uintptr_t)arguments);
	_exit(127);
}

static int server_run(const char *const arguments[])
{
	int status;
	pid_t pid = server_spawn(arguments);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static bool server_find_programs(void)
{
	FILE *pipe = popen("pg_config --bindir 2>/dev/null", "r");
	bool is_read = pipe && fgets(server.programs, sizeof server.programs, pipe);
	if (pipe)
		pclose(pipe);
	server.programs[strcspn(server.programs, "\n")] = '\0';
	char path[TEMP_PATH_SIZE + 16];
	snprintf(path, sizeof path, "%s/initdb", server.programs);
	return is_read && access(path, X_OK) == 0;
}

static bool server_answers(const char *options)
{
	PGconn *connection = PQconnectdb(options);
	bool is_ok = PQstatus(connection) == CONNECTION_OK;
	PQfinish(connection);
	return is_ok;
}

static pid_t server_launch(const char *data, const char *port, bool is_guarded)
{
	char program[TEMP_PATH_SIZE + 16], socket[TEMP_PATH_SIZE + 40], at[16], most[40];
	snprintf(program, sizeof program, "%s/postgres", server.programs);
	snprintf(socket, sizeof socket, "unix_socket_directories=%s", server.directory);
	snprintf(at, sizeof at, "port=%s", port);
	snprintf(most, sizeof most, "max_connections=%d", server.connections);
	/* clang-format off */
	const char *arguments[] = {
		program, "-D", data, "-c", socket, "-c", at, "-c",
		is_guarded ? "listen_addresses=127.0.0.1" : "listen_addresses=", "-c", is_guarded ? "ssl=on" : "ssl=off",
		"-c", server.is_flushing ? "fsync=on" : "fsync=off", "-c", most,
		"-c", "max_prepared_transactions=10", "-c", "shared_buffers=64MB", "-c", "max_wal_size=2GB",
		"-c", "dynamic_shared_memory_type=mmap", /* goes with the directory */
		NULL,
	};
	/* clang-format on */
	return server_spawn(arguments);
}

void postgres_resume(void)
{
	server.pid = server_launch(server.data, server.port, server.is_guarded);
	wait_for(30, server_answers("connect_timeout=2"));
}

/* ---- A standby ------------------------------------------------------------------------------- */

static PGconn *replica_connect(void)
{
	char options[80];
	snprintf(options, sizeof options, "port=%s target_session_attrs=any connect_timeout=2",
		 server.spare_port);
	return PQconnectdb(options);
}

static bool replica_answers(void)
{
	PGconn *connection = replica_connect();
	bool is_ok = PQstatus(connection) == CONNECTION_OK;
	PQfinish(connection);
	return is_ok;
}

void postgres_replica_resume(void)
{
	server.replica = server_launch(server.spare, server.spare_port, false);
	wait_for(60, replica_answers());
}

void postgres_replica_start(void)
{
	char program[TEMP_PATH_SIZE + 20];
	snprintf(program, sizeof program, "%s/pg_basebackup", server.programs);
	const char *remove[] = { "/bin/rm", "-rf", server.spare, NULL };
	const char *copy[] = { program,     "-h",   server.directory, "-p",
			       server.port, "-D",   server.spare,     "-R",
			       "-c",        "fast", "--no-sync",      NULL };
	assert_int_equal(server_run(remove), 0);
	assert_int_equal(server_run(copy), 0);
	postgres_replica_resume();
}

static void server_end(pid_t *pid)
{
	if (*pid > 0) {
		kill(*pid, SIGQUIT);
		waitpid(*pid, NULL, 0);
	}
	*pid = 0;
}

void postgres_replica_stop(void)
{
	server_end(&server.replica);
}

static bool replica_is(const char *condition)
{
	char sql[200];
	snprintf(sql, sizeof sql, "SELECT %s", condition);
	PGconn *connection = replica_connect();
	PGresult *result = PQexec(connection, sql);
	bool is_so = PQresultStatus(result) == PGRES_TUPLES_OK && *PQgetvalue(result, 0, 0) == 't';
	PQclear(result);
	PQfinish(connection);
	return is_so;
}

static void server_swap_ports(void)
{
	char port[sizeof server.port];
	memcpy(port, server.port, sizeof port);
	memcpy(server.port, server.spare_port, sizeof port);
	memcpy(server.spare_port, port, sizeof port);
}

void postgres_promote(void)
{
	assert_true(replica_is("pg_promote(false)"));
	wait_for(60, replica_is("NOT pg_is_in_recovery()"));
	server.pid = server.replica;
	server.replica = 0;
	const char *data = server.data;
	server.data = server.spare;
	server.spare = data;
	server_swap_ports();
}

void postgres_fail_over(void)
{
	postgres_replica_stop();
	server_end(&server.pid);
	postgres_replica_resume();
	postgres_promote();
	postgres_halt(SIGINT);
	server_swap_ports();
	postgres_resume();
}

/* Its shared memory, which nobody removes when every process of a server is killed. */
static void server_forget_memory(void)
{
	char path[2 * TEMP_PATH_SIZE], line[80];
	int id = -1;
	snprintf(path, sizeof path, "%s/%s/postmaster.pid", server.directory, server.data);
	FILE *file = fopen(path, "r");
	while (file && fgets(line, sizeof line, file))
		if (sscanf(line, "%*u %d", &id) == 1 && id >= 0)
			shmctl(id, IPC_RMID, NULL);
	if (file)
		fclose(file);
}

void postgres_lose(void)
{
	char path[64];
	int child;
	snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)server.pid, (int)server.pid);
	kill(server.pid, SIGSTOP); /* begins no other process from here on */
	FILE *file = fopen(path, "r");
	assert_non_null(file);
	kill(server.pid, SIGKILL);
	while (fscanf(file, "%d", &child) == 1)
		kill(child, SIGKILL);
	fclose(file);
	assert_int_equal(waitpid(server.pid, NULL, 0), server.pid);
	server.pid = 0;
	server_forget_memory();
}

void postgres_pair(void)
{
	char both[2 * TEMP_PATH_SIZE + 2], ports[20];
	snprintf(both, sizeof both, "%s,%s", server.directory, server.directory);
	snprintf(ports, sizeof ports, "%s,%s", server.port, server.spare_port);
	setenv("PGHOST", both, 1);
	setenv("PGPORT", ports, 1);
	setenv("PGTARGETSESSIONATTRS", "read-write", 1);
}

/* ---- The server ------------------------------------------------------------------------------ */

static void server_give_up(void)
{
	server_end(&server.replica);
	server_end(&server.pid);
}

/* A port that is free now; another process may take it before the server does. */
static void server_choose_port(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof address;
	int probe = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(probe, (struct sockaddr *)&address, size), 0);
	assert_int_equal(getsockname(probe, (struct sockaddr *)&address, &size), 0);
	close(probe);
	snprintf(server.port, sizeof server.port, "%d", ntohs(address.sin_port));
	setenv("PGPORT", server.port, 1);
}

/* A certificate that signs itself, and who is asked for a password: everybody but the owner on the
 * socket. */
static void server_guard(void)
{
	/* clang-format off */
	static const char *const certify[] = {
		"/usr/bin/openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
		"-keyout", "data/server.key", "-out", "data/server.crt", NULL,
	};
	/* clang-format on */
	char path[TEMP_PATH_SIZE + 32];
	assert_int_equal(server_run(certify), 0);
	snprintf(path, sizeof path, "%s/data/pg_hba.conf", server.directory);
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	fputs("local all postgres trust\nlocal all all scram-sha-256\nhostssl all all 127.0.0.1/32 "
	      "scram-sha-256\n",
	      file);
	assert_int_equal(fclose(file), 0);
}

/* False when the server ended instead. */
static bool server_comes_up(void)
{
	double end = seconds_now() + 30;
	while (!server_answers("connect_timeout=2")) {
		if (waitpid(server.pid, NULL, WNOHANG) == server.pid)
			return false;
		if (seconds_now() > end)
			fail_msg("the server does not answer");
		wait_a_moment();
	}
	return true;
}

static void server_start_guarded(void)
{
	server_guard();
	for (int tries = 0; tries < 10; tries++) {
		server_choose_port();
		server.pid = server_launch(server.data, server.port, true);
		if (server_comes_up())
			return;
		server.pid = 0;
	}
	fail_msg("there is no port for the server");
}

bool postgres_start_as(const struct postgres_wish *wish)
{
	if (!server_find_programs()) {
		print_message("PostgreSQL is not installed here\n");
		return false;
	}
	temp_make(server.directory);
	server.is_flushing = wish && wish->is_flushing;
	server.connections = wish && wish->connections ? wish->connections : 300;
	server.is_guarded = wish && wish->is_guarded;
	snprintf(server.port, sizeof server.port, "5432");
	server.data = "data";
	server.spare = "replica";
	snprintf(server.spare_port, sizeof server.spare_port, "5433");
	const struct passwd *user = server_user();
	if (user)
		assert_int_equal(chown(server.directory, user->pw_uid, user->pw_gid), 0);
	assert_int_equal(chmod(server.directory, 0755), 0);
	setenv("PGHOST", server.directory, 1);
	setenv("PGUSER", "postgres", 1);
	setenv("PGDATABASE", "postgres", 1);
	char program[TEMP_PATH_SIZE + 16];
	snprintf(program, sizeof program, "%s/initdb", server.programs);
	const char *arguments[] = { program,
				    "-D",
				    "data",
				    "-A",
				    "trust",
				    "-U",
				    "postgres",
				    "--no-sync",
				    "-E",
				    "UTF8",
				    "--locale=C.UTF-8",
				    NULL };
	assert_int_equal(server_run(arguments), 0);
	atexit(server_give_up);
	if (server.is_guarded)
		server_start_guarded();
	else
		postgres_resume();
	return true;
}

bool postgres_start(void)
{
	return postgres_start_as(NULL);
}

void postgres_halt(int signal)
{
	kill(server.pid, signal);
	assert_int_equal(waitpid(server.pid, NULL, 0), server.pid);
	server.pid = 0;
}

void postgres_stop(void)
{
	pgbouncer_stop();
	server_give_up();
	temp_remove(server.directory);
}

const char *postgres_directory(void)
{
	return server.directory;
}

static void sql_ignore(void *self, const char *message)
{
	(void)self;
	(void)message;
}

void postgres_sql(const char *schema, const char *sql)
{
	char path[128];
	PGconn *connection = PQconnectdb("");
	PQsetNoticeProcessor(connection, sql_ignore, NULL);
	snprintf(path, sizeof path, "SET search_path = \"%s\"", schema);
	PQclear(PQexec(connection, path));
	PGresult *result = PQexec(connection, sql);
	ExecStatusType status = PQresultStatus(result);
	if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK)
		fail_msg("%s: %s", sql, PQerrorMessage(connection));
	PQclear(result);
	PQfinish(connection);
}

void postgres_fixture_sql(struct fixture *fixture, const char *sql)
{
	postgres_sql(strstr(fixture->url, "schema=") + strlen("schema="), sql);
}

int64_t postgres_fixture_number(struct fixture *fixture, const char *sql)
{
	char path[128];
	PGconn *connection = PQconnectdb("");
	snprintf(path, sizeof path, "SET search_path = \"%s\"",
		 strstr(fixture->url, "schema=") + strlen("schema="));
	PQclear(PQexec(connection, path));
	PGresult *result = PQexec(connection, sql);
	if (PQresultStatus(result) != PGRES_TUPLES_OK)
		fail_msg("%s: %s", sql, PQerrorMessage(connection));
	bool is_one = PQntuples(result) == 1 && !PQgetisnull(result, 0, 0);
	int64_t number = is_one ? strtoll(PQgetvalue(result, 0, 0), NULL, 10) : -1;
	PQclear(result);
	PQfinish(connection);
	return number;
}

int postgres_terminate_all(void)
{
	PGconn *connection = PQconnectdb("");
	PQsetNoticeProcessor(connection, sql_ignore, NULL);
	PGresult *result = PQexec(
		connection, "SELECT count(pg_terminate_backend(pid, 10000)) FROM pg_stat_activity "
			    "WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'");
	int count = PQntuples(result) == 1 ? atoi(PQgetvalue(result, 0, 0)) : 0;
	PQclear(result);
	PQfinish(connection);
	return count;
}

static void bouncer_write_settings(void)
{
	char path[TEMP_PATH_SIZE + 32];
	snprintf(path, sizeof path, "%s/bouncer.ini", server.directory);
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	fprintf(file,
		"[databases]\n* = host=%s port=%s user=postgres\n[pgbouncer]\nlisten_addr "
		"=\nunix_socket_dir = %s\nlisten_port "
		"= 6432\n"
		"auth_type = any\npool_mode = transaction\ndefault_pool_size = 20\nmax_client_conn "
		"= 500\n"
		"ignore_startup_parameters = extra_float_digits\nserver_login_retry = 1\n"
		"admin_users = postgres\n",
		server.directory, server.port, server.directory);
	assert_int_equal(fclose(file), 0);
}

bool pgbouncer_start(char ret[256])
{
	static const char *const places[] = { "/usr/sbin/pgbouncer", "/usr/bin/pgbouncer",
					      "/usr/local/bin/pgbouncer" };
	const char *program = NULL;
	for (size_t i = 0; i < sizeof places / sizeof *places && !program; i++)
		program = access(places[i], X_OK) == 0 ? places[i] : NULL;
	if (!program) {
		print_message("PgBouncer is not installed here\n");
		return false;
	}
	bouncer_write_settings();
	const char *arguments[] = { program, "bouncer.ini", NULL };
	server.bouncer = server_spawn(arguments);
	wait_for(10, server_answers("port=6432 connect_timeout=2"));
	snprintf(ret, 256, "%s", server.directory);
	return true;
}

void pgbouncer_tell(const char *command)
{
	PGconn *connection = PQconnectdb("port=6432 dbname=pgbouncer target_session_attrs=any");
	PGresult *result = PQexec(connection, command);
	if (PQresultStatus(result) != PGRES_COMMAND_OK)
		fail_msg("%s: %s", command, PQerrorMessage(connection));
	PQclear(result);
	PQfinish(connection);
}

void pgbouncer_follow(void)
{
	bouncer_write_settings();
	kill(server.bouncer, SIGHUP);
}

void pgbouncer_stop(void)
{
	if (server.bouncer > 0) {
		kill(server.bouncer, SIGKILL);
		waitpid(server.bouncer, NULL, 0);
	}
	server.bouncer = 0;
}
