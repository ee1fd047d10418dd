/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_RIG_H
#define TEST_RIG_H

/* A real manager over a fresh store, with one subscription whose handler does what it is told. */

#include <stdatomic.h>
#include <string.h>

#include <tidemark/tidemark.h>

#include "lib/build.h"
#include "lib/must.h"
#include "lib/temp.h"
#include "lib/wait.h"

/** What the handler is to do. An event whose type begins with "Bad" always fails for good. */
struct script {
	atomic_int calls;
	atomic_int failures;   /* so many of the next calls fail transiently */
	atomic_bool is_healed; /* "Bad" events are handled after all */
	atomic_bool is_closed; /* wait in the handler until it is opened */
	atomic_bool is_inside; /* somebody is in the handler */
	atomic_int passes;     /* so many calls get through while it is closed */
	atomic_bool should_end_thread;
};

struct rig {
	char directory[TEMP_PATH_SIZE];
	char url[2 * TEMP_PATH_SIZE];
	struct tide_store *store;
	struct tide_checkpoints *checkpoints;
	struct tide_bus *bus;
	struct tide_manager *manager;
	struct tide_subscription *subscription;
	struct script script;
	struct tide_health_config health;
	struct tide_subscription_config config; /* quick retries, a quick poll */
	double shutdown_timeout;                /* 0: the default */
};

/** `url`: "memory:%n", "sqlite:%d/store.db", "fault:…/memory:%n"; health and config may be changed
 * before rig_subscribe. */
void rig_open(struct rig *rig, const char *url);
/** Subscribe "Totals"; the manager is opened by the first one. */
void rig_subscribe(struct rig *rig);
void rig_subscribe_as(struct rig *rig, const char *name, const char *const *event_types);
/** Start and wait until live, paused or ended. */
void rig_start(struct rig *rig);
void rig_start_to(struct rig *rig, double wait_seconds);
/** Subscribe "Totals" and start. */
void rig_begin(struct rig *rig);
/** What most tests begin with: open and subscribe "Totals"; and start it, too. */
void rig_ready(struct rig *rig, const char *url);
void rig_live(struct rig *rig, const char *url);
/** Open, and begin to catch up on ten events: one is in hand and stays there, four are read ahead,
 * the flag is set. */
void rig_read_ahead(struct rig *rig);
void rig_await(struct rig *rig, enum tide_state state);
/** Append one event of a type and return its position. */
tide_position rig_append(struct rig *rig, const char *event_type);
/** Append and wait until it is settled. */
void rig_settle(struct rig *rig, const char *event_type);
/** Wait until the handler has an event in hand. */
void rig_await_inside(struct rig *rig);
void rig_close(struct rig *rig);

tide_handler rig_handle;
/** What it attaches to the failure of a "Bad" event. */
#define RIG_STACKTRACE "the words of a database"

/** Run statements on a store "sqlite:%d/store.db", past Tidemark. */
void rig_sql(const struct rig *rig, const char *sql);

/** The value of a sample, by its whole name with labels; NAN when there is none. */
double rig_metric(struct rig *rig, const char *sample);
#define METRIC_IS(rig, sample, value)                                                              \
	do {                                                                                       \
		double rig_value = rig_metric(rig, sample);                                        \
		if (!(rig_value == (double)(value)))                                               \
			fail_msg("%s is %g, expected %g", sample, rig_value, (double)(value));     \
	} while (0)

/** The health of "Totals", and that of its manager as JSON. */
struct tide_subscription_health health_of(struct rig *rig);
char *health_json_of(struct rig *rig);
/** The status and message of one of its indicators, as "degraded: Subscription is paused". */
const char *says(struct rig *rig, enum tide_indicator_kind kind);
#define SAYS(rig, kind, text) assert_string_equal(says(rig, TIDE_INDICATOR_##kind), text)
/** The same, up to where times and seconds follow. */
#define TELLS(rig, kind, text)                                                                     \
	assert_int_equal(strncmp(says(rig, TIDE_INDICATOR_##kind), text, strlen(text)), 0)
#define COMES_TO_TELL(rig, kind, text)                                                             \
	wait_for(10, strncmp(says(rig, TIDE_INDICATOR_##kind), text, strlen(text)) == 0)
#define COMES_TO_SAY(rig, kind, text)                                                              \
	wait_for(10, strcmp(says(rig, TIDE_INDICATOR_##kind), text) == 0)

/** Fails unless the members of a JSON object are exactly these, in this order; `path` leads to it:
 * "", "details", "indicators.0". */
void json_keys_are(const char *json, const char *path, const char *keys);
/** The raw value at a path; the caller frees it with free. */
char *json_at(const char *json, const char *path);
#define JSON_IS(json, path, expected)                                                              \
	do {                                                                                       \
		char *rig_text = json_at(json, path);                                              \
		assert_string_equal(rig_text, expected);                                           \
		free(rig_text);                                                                    \
	} while (0)

/** What was logged since rig_log_begin, from info on, one line each: "level component message
 * fields". */
void rig_log_begin(void);
void rig_log_begin_at(enum tide_log_level level);
void rig_log_end(void);
/** How many lines contain all of these texts (the second may be NULL). */
int rig_logged(const char *text, const char *more);
/** An event is in hand, and stays there until the script is opened. */
void rig_hold(struct rig *rig);

#endif
