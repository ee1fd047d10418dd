/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file as a configuration.
 *
 * Happy path: each line goes to its section by the tables of settings and knobs; then what spans
 * lines is checked: what is required, rules of knobs, stores that projections name, the SQL of
 * their files. Failure modes: whatever is wrong is added to the problems and the rest is read on; a
 * section that is none is told once, not for each of its keys.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <tidemark/backend.h>

#include "config/config.h"
#include "core/nearest.h"
#include "core/text.h"
#include "core/url.h"
#include "http/http.h"
#include "path/knobs.h"
#include "project/command.h"
#include "sys/alloc.h"

#define LOAD_FILE_MAX (16 << 20)
#define LOAD_LEASE_MAX 300
#define LOAD_CONNECTIONS_MAX 1000

/** A key that was read, for what is said of it later. */
struct load_seen {
	int section_line;
	int line;
	char *key;
	char *value;
};

struct load {
	struct config *config;
	struct problems *problems;
	struct load_seen *seen;
	size_t seen_count;
	/* of the section: daemon, store, projection, health; NULL: its keys are left alone */
	const char *kind;
	void *section;      /* the struct that its keys are set in */
	int section_line;   /* where it begins */
	int daemon, health; /* where they begin; 0: nowhere yet */
	tide_status status; /* out of memory */
};

static const char *const load_kinds[] = { "daemon", "store", "projection", "health" };

static void *load_or_fail(struct load *load, void *memory)
{
	if (!memory)
		load->status = TIDE_OUT_OF_MEMORY;
	return memory;
}

/* ---- Sections -------------------------------------------------------------------------------- */

static void load_unknown_section(struct load *load, int line, const char *title, const char *kind)
{
	struct nearest nearest;

	nearest_begin(&nearest, kind);
	for (size_t i = 0; i < 4; i++)
		nearest_offer(&nearest, load_kinds[i]);
	if (nearest.name)
		problems_add(load->problems, line, title, NULL,
			     "there is no such section; did you mean '%s'?", nearest.name);
	else
		problems_add(load->problems, line, title, NULL,
			     "there is no such section; there are daemon, store NAME, projection "
			     "NAME, health");
}

/* [daemon] and [health]. */
static void load_begin_single(struct load *load, int line, const char *kind, const char *name,
			      void *section, int *began)
{
	if (*name)
		problems_add(load->problems, line, kind, NULL, "this section has no name");
	else if (*began)
		problems_add(load->problems, line, kind, NULL,
			     "this section is there already, in line %d", *began);
	else
		load->kind = kind;
	load->section = section;
	if (!*began)
		*began = line;
}

static void load_begin_store(struct load *load, int line, const char *title, const char *name)
{
	struct config *config = load->config;
	const struct config_store *other = config_find_store(config, name);
	struct config_store *stores;
	char *copy;

	if (other) {
		problems_add(load->problems, line, title, NULL,
			     "this section is there already, in line %d", other->line);
		return;
	}
	stores = load_or_fail(
		load, alloc_resize(config->stores, config->store_count + 1, sizeof *stores));
	if (!stores)
		return;
	config->stores = stores;
	copy = load_or_fail(load, alloc_text(name, strlen(name)));
	if (!copy)
		return;
	stores[config->store_count] = (struct config_store){ .name = copy, .line = line };
	load->section = &stores[config->store_count++];
	load->kind = "store";
}

/* What `tide project` begins with. */
static struct tide_subscription_config load_defaults(void)
{
	struct tide_subscription_config config = tide_catch_up_config(1000, true);
	config.self_check = true;
	return config;
}

static void load_begin_projection(struct load *load, int line, const char *title, const char *name)
{
	struct config *config = load->config;
	struct config_projection **list, *projection;
	struct tide_error err;

	for (size_t i = 0; i < config->projection_count; i++)
		if (strcmp(config->projections[i]->name, name) == 0) {
			problems_add(load->problems, line, title, NULL,
				     "this section is there already, in line %d",
				     config->projections[i]->line);
			return;
		}
	if (name_check_projection(name, false, &err) != TIDE_OK)
		problems_add(load->problems, line, title, NULL, "%s", err.message);
	list = load_or_fail(load, alloc_resize(config->projections, config->projection_count + 1,
					       sizeof(void *)));
	if (!list)
		return;
	config->projections = list;
	projection = load_or_fail(load, alloc_zero(1, sizeof *projection));
	if (!projection)
		return;
	*projection = (struct config_projection){ .line = line, .config = load_defaults() };
	list[config->projection_count++] = projection;
	projection->name = load_or_fail(load, alloc_text(name, strlen(name)));
	if (!projection->name) {
		tide_free(list[--config->projection_count]);
		return;
	}
	load->section = projection;
	load->kind = "projection";
}

static void load_begin(struct load *load, int line, const char *title)
{
	size_t size = strcspn(title, " \t");
	const char *name = title + size + strspn(title + size, " \t");
	char kind[24];

	snprintf(kind, sizeof kind, "%.*s", (int)size, title);
	load->kind = NULL;
	load->section_line = line;
	if (strcmp(kind, "daemon") == 0)
		load_begin_single(load, line, "daemon", name, &load->config->daemon, &load->daemon);
	else if (strcmp(kind, "health") == 0)
		load_begin_single(load, line, "health", name, &load->config->health, &load->health);
	else if (strcmp(kind, "store") != 0 && strcmp(kind, "projection") != 0)
		load_unknown_section(load, line, title, kind);
	else if (!*name)
		problems_add(load->problems, line, title, NULL, "a %s has a name: [%s NAME]", kind,
			     kind);
	else if (strcmp(kind, "store") == 0)
		load_begin_store(load, line, title, name);
	else
		load_begin_projection(load, line, title, name);
}

/* ---- Keys ------------------------------------------------------------------------------------ */

static const struct load_seen *load_find(const struct load *load, int section_line, const char *key)
{
	for (size_t i = 0; i < load->seen_count; i++)
		if (load->seen[i].section_line == section_line &&
		    strcmp(load->seen[i].key, key) == 0)
			return &load->seen[i];
	return NULL;
}

/* Where a key of a section stands; the section's own line when it does not. */
static int load_line(const struct load *load, int section_line, const char *key)
{
	const struct load_seen *seen = load_find(load, section_line, key);
	return seen ? seen->line : section_line;
}

static void load_see(struct load *load, int line, const char *key, char *value)
{
	struct load_seen *list =
		load_or_fail(load, alloc_resize(load->seen, load->seen_count + 1, sizeof *list));
	if (!list) {
		tide_free(value);
		return;
	}

	load->seen = list;
	list[load->seen_count] = (struct load_seen){ .section_line = load->section_line,
						     .line = line,
						     .value = value };
	list[load->seen_count].key = load_or_fail(load, alloc_text(key, strlen(key)));
	if (list[load->seen_count].key)
		load->seen_count++;
	else
		tide_free(value);
}

static void load_unknown_key(struct load *load, int line, const char *title, const char *key)
{
	struct nearest nearest;

	nearest_begin(&nearest, key);
	for (size_t i = 0; i < setting_count; i++)
		if (strcmp(settings[i].section, load->kind) == 0)
			nearest_offer(&nearest, settings[i].key);
	for (size_t i = 0; i < knob_count && strcmp(load->kind, "projection") == 0; i++)
		nearest_offer(&nearest, knobs[i].name);
	if (nearest.name)
		problems_add(load->problems, line, title, key,
			     "there is no such key; did you mean '%s'?", nearest.name);
	else
		problems_add(load->problems, line, title, key, "there is no such key");
}

/* The lists and the UUID of a projection, which its knobs only point to. */
static tide_status load_knob_text(const struct knob *knob, const char *text,
				  struct config_projection *projection, struct tide_error *err)
{
	const char *const **at =
		(const char *const **)(void *)((char *)&projection->config + knob->place);
	tide_status status;
	if (knob->kind == KNOB_UUID) {
		status = tide_uuid_parse(text, &projection->tenant, err);
		if (status == TIDE_OK)
			projection->config.tenant_id = &projection->tenant;
		return status;
	}

	for (size_t i = 0; i < 3; i++) {
		if (projection->lists[i])
			continue;
		status = value_read_list(text, &projection->lists[i], err);
		*at = projection->lists[i];
		return status;
	}
	return tide_fail(err, TIDE_ARGUMENT, "is one list too many");
}

static tide_status load_set(struct load *load, const char *key, const char *value,
			    bool *ret_is_known, struct tide_error *err)
{
	const struct setting *setting = setting_find(load->kind, key);
	const struct knob *knob = strcmp(load->kind, "projection") == 0 ? knob_find(key) : NULL;
	struct config_projection *projection = load->section;

	*ret_is_known = setting || knob;
	if (setting)
		return setting_read(setting, value, load->section, err);
	if (!knob)
		return TIDE_OK;
	if (knob->kind == KNOB_LIST || knob->kind == KNOB_UUID)
		return load_knob_text(knob, value, projection, err);
	return knob_read(knob, value, &projection->config, err);
}

static void load_key(void *self, int line, const char *title, const char *key, const char *text)
{
	struct load *load = self;
	struct tide_error err;
	bool is_known;
	char *value;

	if (!key) {
		load_begin(load, line, title);
		return;
	}
	if (!load->kind)
		return;
	const struct load_seen *before = load_find(load, load->section_line, key);
	if (before) {
		problems_add(load->problems, line, title, key, "is set already, in line %d",
			     before->line);
		return;
	}
	tide_status status = value_expand(text, &value, &err);
	if (status != TIDE_OK) {
		problems_add(load->problems, line, title, key, "%s", err.message);
		value = load_or_fail(load, alloc_text("", 0));
		if (value) /* it is there, however wrong: nothing else is said of it */
			load_see(load, line, key, value);
		return;
	}
	status = load_set(load, key, value, &is_known, &err);
	if (!is_known)
		load_unknown_key(load, line, title, key);
	else if (status == TIDE_OUT_OF_MEMORY)
		load->status = status;
	else if (status != TIDE_OK)
		problems_add(load->problems, line, title, key, "%s", err.message);
	load_see(load, line, key, value);
}

/* ---- What spans lines ------------------------------------------------------------------------ */

static void load_require(struct load *load, int section_line, const char *title, const char *key)
{
	if (!load_find(load, section_line, key))
		problems_add(load->problems, section_line, title, key, "is missing");
}

static bool load_has_problem(const struct load *load, int line)
{
	for (size_t i = 0; i < load->problems->count; i++)
		if (load->problems->items[i].line == line)
			return true;
	return false;
}

static void load_check_url(struct load *load, const struct config_store *store, const char *title,
			   const char *key, const char *text)
{
	int line = load_line(load, store->line, key);
	struct tide_error err;
	struct tide_url url;

	if (!text)
		return;
	if (url_parse(text, &url, &err) != TIDE_OK) {
		problems_add(load->problems, line, title, key, "%s", err.message);
		return;
	}
	if (strcmp(url.scheme, "memory") == 0)
		problems_add(load->problems, line, title, key,
			     "'memory:' ends with its process; it is nothing for a daemon");
	else if (!tide_backend_find(url.scheme))
		problems_add(load->problems, line, title, key,
			     "no backend for '%s:' (there are sqlite, postgresql, fault)",
			     url.scheme);
	url_fini(&url);
}

/* Whether it can have them; then its URL says how many. */
static bool load_put_connections(struct load *load, int64_t count, char **at)
{
	struct tide_url url;
	if (!*at || url_parse(*at, &url, NULL) != TIDE_OK)
		return false;
	const struct tide_backend *backend = tide_backend_find(url.scheme);
	bool is_shared = backend && strcmp(backend->scheme, "postgresql") == 0;
	url_fini(&url);
	if (!is_shared)
		return false;

	char *text =
		load_or_fail(load, alloc_format("%s%cconnections=%lld", *at,
						strchr(*at, '?') ? '&' : '?', (long long)count));
	if (text) {
		tide_free(*at);
		*at = text;
	}
	return true;
}

static void load_check_connections(struct load *load, struct config_store *store)
{
	char title[TIDE_NAME_MAX + 16];
	snprintf(title, sizeof title, "store %.255s", store->name);
	const struct load_seen *seen = load_find(load, store->line, "connections");
	if (!seen || load_has_problem(load, seen->line))
		return;
	if (store->connections < 1 || store->connections > LOAD_CONNECTIONS_MAX) {
		problems_add(load->problems, seen->line, title, "connections",
			     "is %lld, expected 1 to %d", (long long)store->connections,
			     LOAD_CONNECTIONS_MAX);
		return;
	}

	bool is_shared = load_put_connections(load, store->connections, &store->url);
	is_shared |= load_put_connections(load, store->connections, &store->into);
	if (!is_shared)
		problems_add(load->problems, seen->line, title, "connections",
			     "is for PostgreSQL, which this store is not in");
}

static bool load_is_same(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static void load_check_stores(struct load *load)
{
	const struct config *config = load->config;

	for (size_t i = 0; i < config->store_count; i++) {
		const struct config_store *store = &config->stores[i];
		char title[TIDE_NAME_MAX + 16];
		snprintf(title, sizeof title, "store %.255s", store->name);
		load_require(load, store->line, title, "url");
		load_check_url(load, store, title, "url", store->url);
		load_check_url(load, store, title, "into", store->into);
		for (size_t j = 0; j < i; j++)
			if (store->url && load_is_same(store->url, config->stores[j].url) &&
			    load_is_same(store->into, config->stores[j].into))
				problems_add(load->problems, load_line(load, store->line, "url"),
					     title, "url",
					     "is that of [store %s], too; one section has all "
					     "projections over it",
					     config->stores[j].name);
	}
	for (size_t i = 0; i < config->store_count; i++)
		load_check_connections(load, &config->stores[i]);
}

static void load_check_daemon(struct load *load)
{
	const struct config_daemon *daemon = &load->config->daemon;
	int line = load->daemon;

	if (!(daemon->shutdown_timeout > 0))
		problems_add(load->problems, load_line(load, line, "shutdown_timeout"), "daemon",
			     "shutdown_timeout", "is 0, expected more than 0");
	if (!(daemon->drain_timeout > 0))
		problems_add(load->problems, load_line(load, line, "drain_timeout"), "daemon",
			     "drain_timeout", "is 0, expected more than 0");
	if (!(daemon->lease_seconds >= 1 && daemon->lease_seconds <= LOAD_LEASE_MAX))
		problems_add(load->problems, load_line(load, line, "lease_seconds"), "daemon",
			     "lease_seconds", "is %g, expected 1 to %d", daemon->lease_seconds,
			     LOAD_LEASE_MAX);
}

static void load_read_token(struct load *load, const char *key, const char *path, char **ret)
{
	struct tide_error err;
	tide_status status = path ? token_read(path, ret, &err) : TIDE_OK;
	if (status == TIDE_OUT_OF_MEMORY)
		load->status = status;
	else if (status != TIDE_OK)
		problems_add(load->problems, load_line(load, load->daemon, key), "daemon", key,
			     "%s", err.message);
}

static void load_check_tls(struct load *load)
{
	const char *key;
	struct tide_error err;
	tide_status status = certificate_check(&load->config->daemon.http, &key, &err);
	if (status == TIDE_OUT_OF_MEMORY)
		load->status = status;
	else if (status != TIDE_OK)
		problems_add(load->problems, load_line(load, load->daemon, key), "daemon", key,
			     "%s", err.message);
}

static void load_check_http(struct load *load)
{
	struct config_http *http = &load->config->daemon.http;
	int line = load_line(load, load->daemon, "http");
	char host[HTTP_HOST_SIZE];
	struct tide_error err;
	int port;

	load_read_token(load, "token_file", http->token_file, &http->token);
	load_read_token(load, "read_token_file", http->read_token_file, &http->read_token);
	load_check_tls(load);
	if (!http->address)
		return;
	if (!server_is_built())
		problems_add(load->problems, line, "daemon", "http",
			     "this 'tide' was built without HTTP");
	else if (address_read(http->address, host, &port, &err) != TIDE_OK)
		problems_add(load->problems, line, "daemon", "http", "%s", err.message);
	else if (!guard_is_loopback(host) && !http->token_file && !http->read_token_file)
		problems_add(load->problems, line, "daemon", "http",
			     "'%.200s' is beyond this machine, and needs a token_file",
			     http->address);
}

static void load_check_health(struct load *load)
{
	const struct tide_health_config *health = &load->config->health;
	const struct {
		const char *warning, *critical;
		double least, most;
	} pairs[] = {
		{ "max_errors_warning", "max_errors_critical", (double)health->max_errors_warning,
		  (double)health->max_errors_critical },
		{ "max_lag_events_warning", "max_lag_events_critical",
		  (double)health->max_lag_events_warning, (double)health->max_lag_events_critical },
		{ "max_dlq_events_warning", "max_dlq_events_critical",
		  (double)health->max_dlq_events_warning, (double)health->max_dlq_events_critical },
		{ "backpressure_warning_seconds", "backpressure_critical_seconds",
		  health->backpressure_warning_seconds, health->backpressure_critical_seconds },
	};

	for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
		bool is_set = load_find(load, load->health, pairs[i].critical);
		const char *key = is_set ? pairs[i].critical : pairs[i].warning;
		if (pairs[i].most < pairs[i].least)
			problems_add(load->problems, load_line(load, load->health, key), "health",
				     key, "the critical %g is below the warning, %g", pairs[i].most,
				     pairs[i].least);
	}
}

/* Two keys that say the same thing. */
static void load_check_twice(struct load *load, const struct config_projection *projection,
			     const char *title)
{
	static const char *const twice[][2] = { { "from", "start_from" },
						{ "from", "start_from_initially" },
						{ "on_error", "continue_on_error" },
						{ "on_error", "discard_failed_events" },
						{ "hold_aggregate", "hold_aggregate_on_failure" } };
	for (size_t i = 0; i < sizeof twice / sizeof *twice; i++)
		if (load_find(load, projection->line, twice[i][0]) &&
		    load_find(load, projection->line, twice[i][1]))
			problems_add(load->problems, load_line(load, projection->line, twice[i][1]),
				     title, twice[i][1], "says the same as '%s', which is set, too",
				     twice[i][0]);
}

static void load_check_knobs(struct load *load, struct config_projection *projection,
			     const char *title)
{
	struct tide_subscription_config *config = &projection->config;
	struct tide_error err;

	if (config->max_in_flight < config->batch_size &&
	    !load_find(load, projection->line, "max_in_flight"))
		config->max_in_flight = config->batch_size;
	if (!config->continue_on_error && config->hold_aggregate_on_failure)
		problems_add(load->problems, load_line(load, projection->line, "hold_aggregate"),
			     title, "hold_aggregate", "needs on_error = dead-letter");
	for (size_t i = 0; i < knob_count; i++) {
		const char *name = knobs[i].name;
		int line = load_line(load, projection->line, name);
		size_t size = strlen(name);
		if (load_has_problem(load, line) || knob_check(&knobs[i], config, &err) == TIDE_OK)
			continue;
		bool is_named =
			strncmp(err.message, name, size) == 0 && strchr(" :", err.message[size]);
		problems_add(load->problems, line, title, name, "%s",
			     err.message + (is_named ? size + 1 : 0));
	}
}

static const struct config_store *
load_check_store(struct load *load, const struct config_projection *projection, const char *title)
{
	const struct config *config = load->config;
	const struct config_store *store;
	struct nearest nearest;

	load_require(load, projection->line, title, "store");
	if (!projection->store)
		return NULL;
	store = config_find_store(config, projection->store);
	if (store)
		return store;
	nearest_begin(&nearest, projection->store);
	for (size_t i = 0; i < config->store_count; i++)
		nearest_offer(&nearest, config->stores[i].name);
	problems_add(load->problems, load_line(load, projection->line, "store"), title, "store",
		     nearest.name ? "there is no [store %s]; did you mean '%s'?"
				  : "there is no [store %s]",
		     projection->store, nearest.name);
	return NULL;
}

static tide_status load_read_file(const char *path, struct buffer *ret, struct tide_error *err)
{
	FILE *file = fopen(path, "re");
	tide_status status = TIDE_OK;

	if (!file)
		return tide_fail(err, errno == ENOENT ? TIDE_NOT_FOUND : TIDE_IO, "'%.300s': %s",
				 path, strerror(errno));
	while (status == TIDE_OK && !feof(file)) {
		if (ret->size > LOAD_FILE_MAX)
			status = tide_fail(err, TIDE_ARGUMENT, "'%.300s' is longer than 16 MiB",
					   path);
		else if (!buffer_reserve(ret, 65536))
			status = alloc_fail(err);
		else
			ret->size += fread(ret->data + ret->size, 1, 65536, file);
		if (status == TIDE_OK && ferror(file))
			status = tide_fail(err, TIDE_IO, "'%.300s': %s", path, strerror(errno));
	}
	fclose(file);
	if (status == TIDE_OK && ret->data)
		ret->data[ret->size] = '\0';
	return status;
}

/* `store` is NULL where the projection names none: then only whether the file can be read is found
 * out. */
static void load_read_sql(struct load *load, struct config_projection *projection,
			  const struct config_store *store, const char *title)
{
	const char *url = !store ? NULL : store->into ? store->into : store->url;
	int line = load_line(load, projection->line, "file");
	struct buffer text = { 0 };
	struct tide_error err;

	if (!projection->file)
		return;
	if (url &&
	    load_has_problem(load, load_line(load, store->line, store->into ? "into" : "url")))
		url = NULL;
	tide_status status = load_read_file(projection->file, &text, &err);
	if (status == TIDE_OK && strlen(text.data) != text.size)
		status = tide_fail(&err, TIDE_ARGUMENT, "'%.300s' is no text", projection->file);
	if (status == TIDE_OK && url)
		status = tide_sql_projection_open(
			TIDE_SQL_PROJECTION(.path = projection->file, .text = text.data,
					    .name = projection->name, .url = url),
			&projection->sql, &err);
	if (status == TIDE_OUT_OF_MEMORY)
		load->status = status;
	else if (status != TIDE_OK)
		problems_add(load->problems, line, title, "file", "%s", err.message);
	buffer_add(&projection->text, text.data ? text.data : "", text.size);
	buffer_fini(&text);
}

/* What was said of it, in the order of the tables. */
static void load_keep(struct load *load, struct config_projection *projection)
{
	const struct load_seen *seen;
	for (size_t i = 0; i < setting_count; i++)
		if (strcmp(settings[i].section, "projection") == 0 &&
		    (seen = load_find(load, projection->line, settings[i].key)))
			buffer_format(&projection->text, "%s=%s\n", seen->key, seen->value);
	for (size_t i = 0; i < knob_count; i++)
		if ((seen = load_find(load, projection->line, knobs[i].name)))
			buffer_format(&projection->text, "%s=%s\n", seen->key, seen->value);
}

/* What a command alone has. */
static void load_check_window(struct load *load, const struct config_projection *projection,
			      const char *title)
{
	const struct tide_subscription_config *config = &projection->config;
	int64_t most = config->max_in_flight < config->batch_size ? config->max_in_flight
								  : config->batch_size;
	int line = load_line(load, projection->line, "window");

	for (int i = 0; i < 2 && !projection->command; i++) {
		static const char *const keys[] = { "window", "batch" };
		if (load_find(load, projection->line, keys[i]))
			problems_add(load->problems, load_line(load, projection->line, keys[i]),
				     title, keys[i], "is of a command, and this has none");
	}
	if (!projection->command || !load_find(load, projection->line, "window") ||
	    load_has_problem(load, line))
		return;
	if (projection->is_batch)
		problems_add(load->problems, line, title, "window",
			     "does not go with batch = true");
	else if (projection->window < 1 || projection->window > most)
		problems_add(load->problems, line, title, "window",
			     "is %lld, expected 1 to a page, %lld", (long long)projection->window,
			     (long long)most);
}

static void load_open_command(struct load *load, struct config_projection *projection,
			      const char *title)
{
	int line = load_line(load, projection->line, "command");
	struct tide_error err;

	tide_status status = command_find(projection->command[0], &err);
	if (status == TIDE_OK && load->problems->count == 0)
		status = tide_command_projection_open(
			TIDE_COMMAND_PROJECTION(.name = projection->name,
						.arguments = projection->command,
						.window = projection->window,
						.batch = projection->is_batch,
						.drain_timeout = COMMAND_DRAIN_SHARE *
								 load->config->daemon.drain_timeout,
						.max_process_deaths =
							projection->config.max_process_deaths,
						.lane = projection->config.partition_index,
						.lanes = projection->config.partition_total),
			&projection->program, &err);
	if (status == TIDE_OUT_OF_MEMORY)
		load->status = status;
	else if (status != TIDE_OK)
		problems_add(load->problems, line, title, "command", "%s", err.message);
}

/* A file or a command. */
static void load_check_handler(struct load *load, const struct config_projection *projection,
			       const char *title)
{
	bool has_file = load_find(load, projection->line, "file");
	bool has_command = load_find(load, projection->line, "command");
	if (!has_file && !has_command)
		problems_add(load->problems, projection->line, title, NULL,
			     "has neither file nor command");
	else if (has_file && has_command)
		problems_add(load->problems, load_line(load, projection->line, "command"), title,
			     "command", "does not go with file, which is set, too");
}

static void load_check_projections(struct load *load)
{
	struct config *config = load->config;

	for (size_t i = 0; i < config->projection_count; i++) {
		struct config_projection *projection = config->projections[i];
		char title[TIDE_NAME_MAX + 16];
		snprintf(title, sizeof title, "projection %.255s", projection->name);
		const struct config_store *store = load_check_store(load, projection, title);
		load_check_handler(load, projection, title);
		load_check_twice(load, projection, title);
		load_check_knobs(load, projection, title);
		load_check_window(load, projection, title);
		load_keep(load, projection);
		load_read_sql(load, projection, store, title);
		if (projection->command)
			load_open_command(load, projection, title);
		if (projection->text.failed)
			load->status = TIDE_OUT_OF_MEMORY;
	}
	if (config->projection_count == 0)
		problems_add(load->problems, 1, NULL, NULL, "there is no [projection NAME]");
}

/* ---- All of it ------------------------------------------------------------------------------- */

static void load_fini(struct load *load)
{
	for (size_t i = 0; i < load->seen_count; i++) {
		tide_free(load->seen[i].key);
		tide_free(load->seen[i].value);
	}
	tide_free(load->seen);
}

tide_status config_load(const char *path, struct config *ret, struct problems *problems,
			struct tide_error *err)
{
	struct config config = { .daemon = { .levels = { .level = TIDE_LOG_NOTICE },
					     .shutdown_timeout = 30,
					     .drain_timeout = 10,
					     .lease_seconds = 5 },
				 .health = TIDE_HEALTH_CONFIG_DEFAULT };
	struct load load = { .config = &config, .problems = problems };
	struct buffer text = { 0 };

	tide_status status = load_read_file(path, &text, err);
	if (status == TIDE_OK) {
		ini_read(text.data, text.size, problems, load_key, &load);
		load_check_daemon(&load);
		load_check_http(&load);
		load_check_health(&load);
		load_check_stores(&load);
		load_check_projections(&load);
		problems_sort(problems);
		if (load.status != TIDE_OK || problems->failed)
			status = alloc_fail(err);
		else if (problems->count > 0)
			status = tide_fail(err, TIDE_ARGUMENT, "'%.300s' has %zu mistake%s", path,
					   problems->count, problems->count == 1 ? "" : "s");
	}
	load_fini(&load);
	buffer_fini(&text);
	if (status == TIDE_OK)
		*ret = config;
	else
		config_fini(&config);
	return status;
}
