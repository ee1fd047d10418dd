/* SPDX-License-Identifier: Apache-2.0 */
#include "rig.h"

#include <math.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/json.h"
#include "sys/mutex.h"

/* ---- The log --------------------------------------------------------------------------------- */

static struct {
	struct mutex lock;
	char *lines[4096];
	size_t count;
	bool is_kept;
} rig_log;

static void rig_log_nothing(void *self, const struct tide_log_line *line)
{
	(void)self;
	(void)line;
}

static void rig_log_line(void *self, const struct tide_log_line *line)
{
	(void)self;
	size_t size = strlen(line->message) + strlen(line->fields) + 64;
	char *text = calloc(1, size);
	snprintf(text, size, "%s %s %s %s", tide_log_level_name(line->level), line->component,
		 line->message, line->fields);
	mutex_lock(&rig_log.lock);
	if (rig_log.count < sizeof rig_log.lines / sizeof *rig_log.lines)
		rig_log.lines[rig_log.count++] = text;
	else
		free(text);
	mutex_unlock(&rig_log.lock);
}

void rig_log_begin(void)
{
	rig_log_begin_at(TIDE_LOG_INFO);
}

void rig_log_begin_at(enum tide_log_level level)
{
	mutex_init(&rig_log.lock, LOCK_CALLED_BACK);
	rig_log.count = 0;
	rig_log.is_kept = true;
	tide_log_set(rig_log_line, NULL, level);
}

void rig_log_end(void)
{
	tide_log_set(NULL, NULL, TIDE_LOG_WARNING);
	rig_log.is_kept = false;
	for (size_t i = 0; i < rig_log.count; i++)
		free(rig_log.lines[i]);
	rig_log.count = 0;
	mutex_fini(&rig_log.lock);
}

int rig_logged(const char *text, const char *more)
{
	int found = 0;
	mutex_lock(&rig_log.lock);
	for (size_t i = 0; i < rig_log.count; i++)
		found +=
			strstr(rig_log.lines[i], text) && (!more || strstr(rig_log.lines[i], more));
	mutex_unlock(&rig_log.lock);
	return found;
}

/* ---- The manager ----------------------------------------------------------------------------- */

static void rig_make_url(struct rig *rig, const char *url)
{
	static unsigned number;
	size_t size = 0;
	number++;
	for (const char *at = url; *at; at++) {
		char *to = rig->url + size;
		size_t room = sizeof rig->url - size;
		if (strncmp(at, "%d", 2) == 0)
			size += (size_t)snprintf(to, room, "%s", rig->directory);
		else if (strncmp(at, "%n", 2) == 0)
			size += (size_t)snprintf(to, room, "rig%u_%u", (unsigned)getpid(), number);
		else
			size += (size_t)snprintf(to, room, "%c", *at);
		at += *at == '%';
		assert_true(size < sizeof rig->url);
	}
}

void rig_open(struct rig *rig, const char *url)
{
	static const struct tide_health_config healthy = TIDE_HEALTH_CONFIG_DEFAULT;
	static const struct tide_subscription_config config = TIDE_SUBSCRIPTION_CONFIG_DEFAULT;
	memset(rig, 0, sizeof *rig);
	if (!rig_log.is_kept)
		tide_log_set(rig_log_nothing, NULL, TIDE_LOG_CRITICAL);
	temp_make(rig->directory);
	rig_make_url(rig, url);
	rig->health = healthy;
	rig->config = config;
	rig->config.poll_interval_seconds = 0.02;
	rig->config.initial_retry_delay = 0.001;
	rig->config.max_retry_delay = 0.002;
	rig->config.checkpoint_interval_seconds = 0.02;
	must(tide_store_open(rig->url, TIDE_STORE_OPTIONS(.initialize = true), &rig->store, err));
	must(tide_checkpoints_open(NULL, NULL, rig->store, &rig->checkpoints, err));
	must(tide_bus_open(&rig->bus, err));
}

static bool rig_may_pass(struct script *script)
{
	int passes = atomic_load(&script->passes);
	return passes > 0 && atomic_compare_exchange_strong(&script->passes, &passes, passes - 1);
}

static tide_status rig_refuse(struct tide_delivery *delivery)
{
	tide_delivery_set_stacktrace(delivery, RIG_STACKTRACE);
	return tide_delivery_fail(delivery, TIDE_HANDLER_PERMANENT, "bad event");
}

tide_status rig_handle(void *self, const struct tide_event *event, struct tide_delivery *delivery)
{
	struct script *script = self;
	atomic_fetch_add(&script->calls, 1);
	atomic_store(&script->is_inside, true);
	while (atomic_load(&script->is_closed) && !rig_may_pass(script))
		wait_a_moment();
	atomic_store(&script->is_inside, false);
	if (atomic_load(&script->should_end_thread))
		pthread_exit(NULL);
	if (atomic_load(&script->failures) > 0) {
		atomic_fetch_sub(&script->failures, 1);
		return tide_delivery_fail(delivery, TIDE_HANDLER_TRANSIENT, "not now");
	}
	if (event->event_type.size >= 3 && memcmp(event->event_type.data, "Bad", 3) == 0 &&
	    !atomic_load(&script->is_healed))
		return rig_refuse(delivery);
	return TIDE_OK;
}

void rig_subscribe_as(struct rig *rig, const char *name, const char *const *event_types)
{
	if (!rig->manager)
		must(tide_manager_open(TIDE_MANAGER(.store = rig->store, .bus = rig->bus,
						    .checkpoints = rig->checkpoints,
						    .shutdown_timeout = rig->shutdown_timeout,
						    .health = &rig->health),
				       &rig->manager, err));
	struct tide_subscriber subscriber = {
		.name = name, .self = &rig->script, .handle = rig_handle, .event_types = event_types
	};
	must(tide_manager_subscribe(rig->manager, &subscriber, &rig->config, &rig->subscription,
				    err));
}

void rig_subscribe(struct rig *rig)
{
	rig_subscribe_as(rig, "Totals", NULL);
}

void rig_start_to(struct rig *rig, double wait_seconds)
{
	(void)tide_manager_start(rig->manager, NULL, wait_seconds, NULL, NULL, NULL);
}

void rig_start(struct rig *rig)
{
	rig_start_to(rig, 10);
}

void rig_begin(struct rig *rig)
{
	rig_subscribe(rig);
	rig_start(rig);
}

void rig_ready(struct rig *rig, const char *url)
{
	rig_open(rig, url);
	rig_subscribe(rig);
}

void rig_live(struct rig *rig, const char *url)
{
	rig_open(rig, url);
	rig_begin(rig);
}

void rig_read_ahead(struct rig *rig)
{
	rig_open(rig, "memory:%n");
	rig->config.batch_size = 2;
	rig->config.max_in_flight = 4;
	rig->config.backpressure_threshold = 0.5;
	rig_subscribe(rig);
	append_many(rig->store, stream_of("Rig", 1), 1, 10);
	atomic_store(&rig->script.is_closed, true);
	rig_start_to(rig, 0);
	rig_await_inside(rig);
}

void rig_await(struct rig *rig, enum tide_state state)
{
	wait_for(10, tide_subscription_state(rig->subscription) == state);
}

tide_position rig_append(struct rig *rig, const char *event_type)
{
	return append_one(rig->store, stream_of("Rig", 1), event_type).last_position;
}

void rig_settle(struct rig *rig, const char *event_type)
{
	tide_position position = rig_append(rig, event_type);
	must(tide_subscription_wait(rig->subscription, position, 10, err));
}

void rig_await_inside(struct rig *rig)
{
	wait_for(10, atomic_load(&rig->script.is_inside));
}

void rig_close(struct rig *rig)
{
	atomic_store(&rig->script.is_closed, false);
	tide_manager_close(rig->manager);
	tide_bus_close(rig->bus);
	tide_checkpoints_close(rig->checkpoints);
	tide_store_close(rig->store);
	temp_remove(rig->directory);
}

void rig_sql(const struct rig *rig, const char *sql)
{
	char path[TEMP_PATH_SIZE + 16];
	sqlite3 *database;
	snprintf(path, sizeof path, "%s/store.db", rig->directory);
	assert_int_equal(sqlite3_open(path, &database), SQLITE_OK);
	sqlite3_busy_timeout(database, 5000);
	char *why = NULL;
	if (sqlite3_exec(database, sql, NULL, NULL, &why) != SQLITE_OK)
		fail_msg("%s: %s", sql, why);
	sqlite3_close(database);
}

double rig_metric(struct rig *rig, const char *sample)
{
	char *text;
	must(tide_manager_metrics(rig->manager, &text, err));
	size_t size = strlen(sample);
	double value = NAN;
	for (const char *line = text; *line; line = strchr(line, '\n') + 1)
		if (strncmp(line, sample, size) == 0 && line[size] == ' ')
			value = strtod(line + size, NULL);
	tide_free(text);
	return value;
}

/* ---- Health ---------------------------------------------------------------------------------- */

struct tide_subscription_health health_of(struct rig *rig)
{
	struct tide_subscription_health health;
	must(tide_subscription_health(rig->manager, "Totals", &health, err));
	return health;
}

/** The status and message of one indicator, as "degraded: Subscription is paused". */
const char *says(struct rig *rig, enum tide_indicator_kind kind)
{
	static char text[700];
	struct tide_subscription_health health = health_of(rig);
	snprintf(text, sizeof text, "%s: %s",
		 tide_health_status_name(health.indicators[kind].status),
		 health.indicators[kind].message);
	return text;
}

char *health_json_of(struct rig *rig)
{
	struct tide_health health;
	char *json;
	must(tide_manager_health(rig->manager, &health, err));
	must(tide_health_json(&health, &json, err));
	tide_health_fini(&health);
	return json;
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static struct tide_text json_member(struct tide_text object, const char *name, size_t size)
{
	struct json_reader reader;
	json_read(&reader, object.data, object.size);
	struct json_token token = json_next(&reader);
	struct tide_text value = { NULL, 0 };
	size_t index = strtoul(name, NULL, 10), i = 0;
	bool is_array = token.kind == JSON_ARRAY;
	for (;;) {
		token = json_next(&reader);
		if (token.kind == JSON_OBJECT_END || token.kind == JSON_ARRAY_END ||
		    token.kind == JSON_ERROR)
			fail_msg("no '%.*s' in %.*s", (int)size, name, (int)object.size,
				 object.data);
		bool is_it = is_array ? i++ == index
				      : token.text.size == size &&
						memcmp(token.text.data, name, size) == 0;
		assert_true(json_skip(&reader, token, &value));
		if (is_it)
			return value;
	}
}

static struct tide_text json_find(const char *json, const char *path)
{
	struct tide_text at = tide_text(json);
	while (*path) {
		size_t size = strcspn(path, ".");
		at = json_member(at, path, size);
		path += size + (path[size] == '.');
	}
	return at;
}

char *json_at(const char *json, const char *path)
{
	struct tide_text found = json_find(json, path);
	char *copy = calloc(1, found.size + 1);
	assert_non_null(copy);
	memcpy(copy, found.data, found.size);
	return copy;
}

void json_keys_are(const char *json, const char *path, const char *keys)
{
	struct tide_text object = json_find(json, path);
	struct json_reader reader;
	struct json_token token;
	char found[2048] = "";
	json_read(&reader, object.data, object.size);
	assert_int_equal(json_next(&reader).kind, JSON_OBJECT);
	while ((token = json_next(&reader)).kind == JSON_KEY) {
		size_t used = strlen(found);
		snprintf(found + used, sizeof found - used, "%s%.*s", used ? " " : "",
			 (int)token.text.size, token.text.data);
		assert_true(json_skip(&reader, token, NULL));
	}
	assert_string_equal(found, keys);
}

void rig_hold(struct rig *rig)
{
	atomic_store(&rig->script.is_closed, true);
	rig_append(rig, "Good");
	rig_await_inside(rig);
}
