/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The main thread of `tide run`: signals, reloads, the service manager.
 *
 * Happy path: a unit is started for each store and told what to run; SIGHUP reads the configuration
 * again and tells the units what has changed; SIGTERM or SIGINT asks all of them to end, each in
 * its own sequence, side by side. Failure modes: a configuration with a mistake changes nothing; a
 * second signal ends every wait, a third one the process; a unit that hangs past the time of a
 * shutdown, in a database that does not answer, is left behind.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/daemon.h"
#include "http/http.h"
#include "sys/alloc.h"
#include "sys/log.h"

#define DAEMON_SAME_SIGNAL_NS (NS_PER_SECOND / 2)
/* for a shutdown beyond its limit, which each manager keeps itself */
#define DAEMON_GRACE_SECONDS 5

struct daemon {
	struct cli *cli;
	const char *path;
	struct daemon_log log;
	struct unit **units;
	size_t unit_count;
	double shutdown_timeout;
	struct http_sources *sources;
	struct tide_http *http; /* NULL: nothing is shown */
	char *address;          /* as it is configured, of what is shown */
	bool is_ready;
	bool has_left; /* a unit or a request that hangs, which may use what it was given */
	struct mono_time pinged;
	int64_t watchdog_ns;
};

/* ---- Signals --------------------------------------------------------------------------------- */

static int daemon_bell = -1;      /* eventfd: something has happened */
static atomic_int daemon_reason;  /* of the first signal that asks for the end */
static atomic_int daemon_signals; /* that ask for it */
static _Atomic(int64_t) daemon_signalled_at;
static atomic_bool daemon_should_reload;

static void daemon_ring(void)
{
	uint64_t one = 1;
	ssize_t written = write(daemon_bell, &one, sizeof one);
	(void)written; /* full means rung already */
}

/* Atomics, clock_gettime and write only. One that follows at once is the same one: timeout(1) and
 * shells signal a group, too. */
static void daemon_on_signal(int number)
{
	int64_t now = clock_mono(&clock_system).ns, last = atomic_load(&daemon_signalled_at);
	if (number == SIGHUP) {
		atomic_store(&daemon_should_reload, true);
		daemon_ring();
		return;
	}

	if (last != 0 && now - last < DAEMON_SAME_SIGNAL_NS)
		return;
	atomic_store(&daemon_signalled_at, now);
	int none = TIDE_SHUTDOWN_NONE;
	atomic_compare_exchange_strong(&daemon_reason, &none,
				       number == SIGINT ? TIDE_SHUTDOWN_SIGINT
							: TIDE_SHUTDOWN_SIGTERM);
	if (atomic_fetch_add(&daemon_signals, 1) >= 2) {
		signal(number, SIG_DFL);
		raise(number);
	}
	daemon_ring();
}

static tide_status daemon_install(struct tide_error *err)
{
	struct sigaction action = { .sa_handler = daemon_on_signal, .sa_flags = SA_RESTART };

	daemon_bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (daemon_bell < 0)
		return tide_fail(err, TIDE_IO, "eventfd: %s", strerror(errno));
	sigemptyset(&action.sa_mask);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
	return TIDE_OK;
}

/* ---- Waiting --------------------------------------------------------------------------------- */

/* Wait until something happens or `until` comes, and tell the watchdog twice in each of its periods
 * that this thread lives. */
static void daemon_wait(struct daemon *daemon, struct mono_time until)
{
	struct mono_time now = clock_mono(&clock_system), next = until;
	struct pollfd event = { daemon_bell, POLLIN, 0 };
	uint64_t rung;

	if (daemon->watchdog_ns > 0) {
		if (mono_since(now, daemon->pinged) >= daemon->watchdog_ns / 2) {
			notify_socket_tell("WATCHDOG=1");
			daemon->pinged = now;
		}
		next = mono_min(until, mono_add(daemon->pinged, daemon->watchdog_ns / 2));
	}
	int64_t left = next.ns == MONO_NEVER.ns ? -1 : mono_since(next, now) / NS_PER_MS + 1;
	(void)poll(&event, 1,
		   left < 0 && next.ns != MONO_NEVER.ns ? 0
		   : left > 3600000                     ? 3600000
							: (int)left);
	ssize_t taken = read(daemon_bell, &rung, sizeof rung);
	(void)taken;
}

/* ---- Units ----------------------------------------------------------------------------------- */

static struct unit *daemon_find(struct daemon *daemon, const char *name)
{
	for (size_t i = 0; i < daemon->unit_count; i++)
		if (strcmp(daemon->units[i]->name, name) == 0)
			return daemon->units[i];
	return NULL;
}

static tide_status daemon_add(struct daemon *daemon, const struct config *config,
			      const struct config_store *store, struct tide_error *err)
{
	struct unit **units = alloc_resize(daemon->units, daemon->unit_count + 1, sizeof *units);
	if (!units)
		return alloc_fail(err);
	daemon->units = units;
	tide_status status = unit_start(config, store, daemon_bell, daemon->sources,
					&units[daemon->unit_count], err);
	if (status == TIDE_OK)
		daemon->unit_count++;
	return status;
}

static bool daemon_uses(const struct config *config, const struct config_store *store)
{
	for (size_t i = 0; i < config->projection_count; i++)
		if (config->projections[i] &&
		    strcmp(config->projections[i]->store, store->name) == 0)
			return true;
	return false;
}

/* Whether all of these have ended before the deadline; a second signal is handed on. */
static bool daemon_await_ends(struct daemon *daemon, struct unit *const *units, size_t count,
			      double seconds)
{
	struct mono_time deadline = mono_add(clock_mono(&clock_system), ns_of_seconds(seconds));
	for (;;) {
		size_t ended = 0;
		for (size_t i = 0; i < count; i++) {
			ended += atomic_load(&units[i]->is_ended);
			if (atomic_load(&daemon_signals) > 1)
				unit_force(units[i]);
		}
		if (ended == count)
			return true;
		if (clock_mono(&clock_system).ns >= deadline.ns)
			return false;
		daemon_wait(daemon, deadline);
	}
}

/* End units that are gone from the configuration, or have changed. */
static void daemon_end_changed(struct daemon *daemon, const struct config *config)
{
	for (size_t i = daemon->unit_count; i-- > 0;) {
		struct unit *unit = daemon->units[i];
		const struct config_store *store = config_find_store(config, unit->name);
		if (store && daemon_uses(config, store) && unit_is_same(unit, config, store))
			continue;
		unit_stop(unit, TIDE_SHUTDOWN_PROGRAMMATIC);
		if (daemon_await_ends(daemon, &unit, 1,
				      unit->daemon.shutdown_timeout + DAEMON_GRACE_SECONDS)) {
			unit_free(unit);
			log_at(TIDE_LOG_NOTICE, "daemon", "store closed", "store='%s'",
			       store ? store->name : "");
		} else { /* what hangs has its memory for as long as it likes */
			daemon->has_left = true;
			log_at(TIDE_LOG_ERROR, "daemon", "store does not end; it is left behind",
			       "store='%s'", unit->name);
		}
		daemon->units[i] = daemon->units[--daemon->unit_count];
	}
}

/* ---- HTTP ------------------------------------------------------------------------------------ */

static void daemon_end_http(struct daemon *daemon)
{
	struct mono_time deadline =
		mono_add(clock_mono(&clock_system), DAEMON_GRACE_SECONDS * NS_PER_SECOND);
	if (daemon->http && !server_close(daemon->http, deadline)) {
		daemon->has_left = true;
		log_at(TIDE_LOG_ERROR, "http", "a request does not end; it is left behind",
		       "address='%s'", daemon->address);
	}
	daemon->http = NULL;
	tide_free(daemon->address);
	daemon->address = NULL;
}

static tide_status daemon_begin_http(struct daemon *daemon, const struct config_http *wanted,
				     struct tide_http **ret, char **ret_address,
				     struct tide_error *err)
{
	char *address = alloc_text(wanted->address, strlen(wanted->address));
	if (!address)
		return alloc_fail(err);
	tide_status status = server_open(daemon->sources,
					 TIDE_HTTP(.address = address, .token = wanted->token,
						   .read_token = wanted->read_token,
						   .tls_certificate = wanted->tls_certificate,
						   .tls_key = wanted->tls_key),
					 ret, err);
	if (status != TIDE_OK) {
		tide_free(address);
		return status;
	}
	*ret_address = address;
	log_at(TIDE_LOG_NOTICE, "http", "listening", "url='%s'", tide_http_url(*ret));
	return TIDE_OK;
}

/* Show what the configuration says, where and to whom; on failure it goes on as it was. */
static tide_status daemon_serve(struct daemon *daemon, const struct config_http *wanted,
				struct tide_error *err)
{
	struct tide_http *http = NULL;
	char *address = NULL;
	tide_status status = TIDE_OK;

	if (daemon->http && wanted->address && strcmp(daemon->address, wanted->address) == 0) {
		status =
			server_set_tls(daemon->http, wanted->tls_certificate, wanted->tls_key, err);
		return status == TIDE_OK ? server_set_tokens(daemon->http, wanted->token,
							     wanted->read_token, err)
					 : status;
	}
	if (wanted->address)
		status = daemon_begin_http(daemon, wanted, &http, &address, err);
	if (status != TIDE_OK)
		return status;
	daemon_end_http(daemon);
	daemon->http = http;
	daemon->address = address;
	return TIDE_OK;
}

/* Bring about what the configuration says; it is taken. */
static tide_status daemon_apply(struct daemon *daemon, struct config *config,
				struct tide_error *err)
{
	tide_status status = daemon_serve(daemon, &config->daemon.http, err);
	if (status != TIDE_OK) {
		config_fini(config);
		return status;
	}

	daemon_log_set(&daemon->log, &config->daemon);
	daemon->shutdown_timeout = config->daemon.shutdown_timeout;
	daemon_end_changed(daemon, config);
	for (size_t i = 0; status == TIDE_OK && i < config->store_count; i++) {
		const struct config_store *store = &config->stores[i];
		if (!daemon_uses(config, store))
			continue;
		if (!daemon_find(daemon, store->name))
			status = daemon_add(daemon, config, store, err);
		if (status == TIDE_OK)
			status = unit_want(daemon_find(daemon, store->name), config, err);
	}
	config_fini(config);
	return status;
}

/* ---- Reload ---------------------------------------------------------------------------------- */

void daemon_tell_problems(struct cli *cli, const char *path, const struct problems *problems)
{
	for (size_t i = 0; i < problems->count; i++) {
		struct buffer line = { 0 };
		if (cli->json) {
			json_open(&line, '{');
			json_add_string(&line, "file", path);
			json_add_integer(&line, "line", problems->items[i].line);
			json_add_string(&line, "message", problems->items[i].text);
			json_close(&line, '}');
			buffer_add(&line, "\n", 1);
		} else {
			buffer_format(&line, "%s:%d: %s\n", path, problems->items[i].line,
				      problems->items[i].text);
		}
		if (!line.failed)
			output_put(stderr, line.data, line.size);
		buffer_fini(&line);
	}
}

static void daemon_reload(struct daemon *daemon)
{
	struct problems problems = { .file = daemon->path };
	struct config config;
	struct tide_error err;
	char state[80];

	snprintf(state, sizeof state, "RELOADING=1\nMONOTONIC_USEC=%lld",
		 (long long)(clock_mono(&clock_system).ns / 1000));
	notify_socket_tell(state);
	tide_status status = config_load(daemon->path, &config, &problems, &err);
	for (size_t i = 0; i < problems.count; i++)
		log_at(TIDE_LOG_ERROR, "daemon", "mistake in the configuration",
		       "file='%s' line=%d error='%s'", daemon->path, problems.items[i].line,
		       problems.items[i].text);
	problems_fini(&problems);
	if (status == TIDE_OK)
		status = daemon_apply(daemon, &config, &err);
	if (status == TIDE_OK)
		log_at(TIDE_LOG_NOTICE, "daemon", "configuration read again", "file='%s'",
		       daemon->path);
	else
		log_at(TIDE_LOG_ERROR, "daemon",
		       "configuration not taken; everything goes on as it was",
		       "file='%s' error='%s'", daemon->path, err.message);
	notify_socket_tell("READY=1");
}

/* ---- Running --------------------------------------------------------------------------------- */

static void daemon_look_ready(struct daemon *daemon)
{
	for (size_t i = 0; i < daemon->unit_count; i++)
		if (!atomic_load(&daemon->units[i]->has_tried))
			return;
	daemon->is_ready = true;
	log_at(TIDE_LOG_NOTICE, "daemon", "running", "stores=%zu", daemon->unit_count);
	notify_socket_tell("READY=1");
}

static void daemon_look_stale(struct daemon *daemon)
{
	for (size_t i = 0; i < daemon->unit_count; i++)
		if (atomic_exchange(&daemon->units[i]->is_stale, false))
			atomic_store(&daemon_should_reload, true);
}

static void daemon_live(struct daemon *daemon)
{
	while (atomic_load(&daemon_reason) == TIDE_SHUTDOWN_NONE) {
		if (!daemon->is_ready)
			daemon_look_ready(daemon);
		daemon_look_stale(daemon);
		if (daemon->is_ready && atomic_exchange(&daemon_should_reload, false))
			daemon_reload(daemon);
		else
			daemon_wait(daemon, MONO_NEVER);
	}
}

/* What a shutdown came to for one unit; its own error is the command's. */
static int daemon_end_unit(struct daemon *daemon, struct unit *unit, int exit)
{
	if (!atomic_load(&unit->is_ended)) {
		struct tide_error err;
		tide_fail(&err, TIDE_TIMEOUT, "store '%s' does not end; it is left behind",
			  unit->name);
		return cli_fail_run(daemon->cli, &err);
	}
	if (unit->result.error.status != TIDE_OK)
		exit = cli_fail_run(daemon->cli, &unit->result.error);
	unit_free(unit);
	return exit;
}

static int daemon_shut_down(struct daemon *daemon)
{
	enum tide_shutdown_reason reason = (enum tide_shutdown_reason)atomic_load(&daemon_reason);
	int exit = CLI_DONE;

	notify_socket_tell("STOPPING=1");
	log_at(TIDE_LOG_NOTICE, "daemon", "stopping", "reason=%s",
	       tide_shutdown_reason_name(reason));
	for (size_t i = 0; i < daemon->unit_count; i++)
		unit_stop(daemon->units[i], reason);
	if (!daemon_await_ends(daemon, daemon->units, daemon->unit_count,
			       daemon->shutdown_timeout + DAEMON_GRACE_SECONDS))
		daemon->has_left = true;
	daemon_end_http(daemon);
	for (size_t i = 0; i < daemon->unit_count; i++)
		exit = daemon_end_unit(daemon, daemon->units[i], exit);
	if (!daemon->has_left)
		sources_free(daemon->sources);
	log_at(TIDE_LOG_NOTICE, "daemon", "stopped", "exit_status=%d", exit);
	return exit;
}

int daemon_run(struct cli *cli, const char *path, struct config *config)
{
	struct daemon daemon = { .cli = cli,
				 .path = path,
				 .log = { .cli = cli },
				 .watchdog_ns = notify_socket_watchdog_ns() };
	struct tide_error err;

	mutex_init(&daemon.log.lock, LOCK_CALLED_BACK);
	daemon.pinged = clock_mono(&clock_system);
	tide_status status = daemon_install(&err);
	if (status == TIDE_OK)
		status = sources_new(&daemon.sources, &err);
	daemon_log_set(&daemon.log, &config->daemon);
	if (status == TIDE_OK)
		status = daemon_apply(&daemon, config, &err);
	else
		config_fini(config);
	if (status != TIDE_OK)
		atomic_store(&daemon_reason, TIDE_SHUTDOWN_PROGRAMMATIC);
	daemon_live(&daemon);
	int exit = daemon_shut_down(&daemon);
	tide_log_set(NULL, NULL, TIDE_LOG_WARNING);
	tide_free(daemon.units);
	return status == TIDE_OK ? exit : cli_fail(cli, &err);
}
