/* SPDX-License-Identifier: Apache-2.0 */
#include "chaos.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "engine_tools.h"

#define MS INT64_C(1000000)

const char *const chaos_names[CHAOS_GROUPS] = { "model", "plain" };

/* ---- The record ------------------------------------------------------------------------------ */

int64_t chaos_now(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 * MS + now.tv_nsec;
}

struct chaos_record *chaos_map(const char *file)
{
	int descriptor = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (descriptor < 0 || ftruncate(descriptor, sizeof(struct chaos_record)) != 0)
		abort();
	void *record = mmap(NULL, sizeof(struct chaos_record), PROT_READ | PROT_WRITE, MAP_SHARED,
			    descriptor, 0);
	close(descriptor);
	if (record == MAP_FAILED)
		abort();
	return record;
}

void chaos_unmap(struct chaos_record *record)
{
	munmap(record, sizeof *record);
}

/* ---- A member -------------------------------------------------------------------------------- */

/** Of this process. */
struct member {
	const struct test_backend *backend;
	struct chaos_record *record;
	uint32_t number;
	int64_t unit; /* of what calls take */
	struct tide_uuid aggregates[CHAOS_AGGREGATES];
};

/** What a handler is given. */
struct role {
	struct member *member;
	enum chaos_group group;
};

static uint32_t aggregate_of(const struct member *member, const struct tide_uuid *id)
{
	uint32_t i = 0;
	while (i < CHAOS_AGGREGATES && !tide_uuid_equal(&member->aggregates[i], id))
		i++;
	return i;
}

/* Most calls are short, some take as long as several of others, few as long as a part of a
 * lease. */
static void take_time(const struct member *member, uint64_t number)
{
	uint64_t draw = number * UINT64_C(0x9e3779b97f4a7c15) >> 32;
	int64_t units = (int64_t)(draw % 3);
	if (draw / 3 % 10 == 0)
		units = (int64_t)(draw / 30 % 40);
	if (draw / 30 % 150 == 0)
		units = (int64_t)(draw / 4500 % 300);
	pass_time((double)(units * member->unit) / 1e9);
}

static struct chaos_call *call_begin(const struct role *role, const struct tide_event *event,
				     struct tide_delivery *delivery, uint64_t *ret_number)
{
	struct chaos_record *record = role->member->record;
	*ret_number = atomic_fetch_add(&record->count, 1);
	if (*ret_number >= CHAOS_CALLS)
		_exit(96);
	struct chaos_call *call = &record->calls[*ret_number];
	call->member = role->member->number;
	call->group = role->group;
	call->lane = tide_delivery_lane(delivery).index;
	call->aggregate = aggregate_of(role->member, &event->aggregate_id);
	call->version = event->version;
	atomic_store(&call->began, chaos_now());
	return call;
}

static tide_status chaos_handle(void *self, const struct tide_event *event,
				struct tide_delivery *delivery)
{
	const struct role *role = self;
	uint64_t number;
	char sql[200];
	struct chaos_call *call = call_begin(role, event, delivery, &number);
	bool is_written = true;
	if (role->group == CHAOS_MODEL) {
		snprintf(sql, sizeof sql,
			 "INSERT INTO seen (call, lane, aggregate, version) VALUES (%llu, %u, %u, "
			 "%lld)",
			 (unsigned long long)number, call->lane, call->aggregate,
			 (long long)call->version);
		is_written = role->member->backend->run(tide_delivery_connection(delivery), sql);
	}
	if (is_written)
		take_time(role->member, number);
	atomic_store(&call->ended, chaos_now());
	return is_written ? TIDE_OK
			  : tide_delivery_fail(delivery, TIDE_HANDLER_TRANSIENT, "no row written");
}

static void note_gap(struct member *member, int64_t began, int64_t ended)
{
	uint64_t number = atomic_fetch_add(&member->record->gap_count, 1);
	if (number >= CHAOS_GAPS)
		_exit(93);
	struct chaos_gap *gap = &member->record->gaps[number];
	gap->began = began;
	gap->ended = ended;
	atomic_store(&gap->member, member->number);
}

/* Sees whether this process is given processors at all. */
static void *beat(void *self)
{
	struct member *member = self;
	for (int64_t last = chaos_now();;) {
		pass_time(0.01);
		int64_t now = chaos_now();
		if (now - last > (int64_t)(CHAOS_LEASE / 8 * 1e9))
			note_gap(member, last, now);
		last = now;
	}
	return NULL;
}

static struct tide_subscription_config member_config(enum chaos_group group)
{
	struct tide_subscription_config config = quick_config();
	config.lanes = CHAOS_LANES;
	config.batch_size = 16;
	config.max_retries = 1000000;
	config.max_process_deaths = 1000000; /* whoever kills at random is to blame */
	config.processing_timeout = CHAOS_LEASE / 2;
	if (group == CHAOS_PLAIN) {
		config.checkpoint_strategy = TIDE_PERIODIC;
		config.checkpoint_interval_seconds = 0.5;
		config.batch_size = 200;
	}
	return config;
}

static bool is_told_to_end(double seconds)
{
	struct timespec wait = { .tv_nsec = (long)(seconds * 1e9) };
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	return sigtimedwait(&set, NULL, &wait) == SIGTERM;
}

static void member_serve(struct member *member, struct tide_store *store)
{
	struct tide_manager *manager;
	struct role roles[CHAOS_GROUPS];
	insist(tide_manager_open(TIDE_MANAGER(.store = store, .lease_seconds = CHAOS_LEASE),
				 &manager, err));
	for (int group = 0; group < CHAOS_GROUPS; group++) {
		roles[group] = (struct role){ member, group };
		struct tide_subscription_config config = member_config(group);
		struct tide_subscriber subscriber = { .name = chaos_names[group],
						      .self = &roles[group],
						      .handle = chaos_handle,
						      .transactional = group == CHAOS_MODEL };
		insist(tide_manager_subscribe(manager, &subscriber, &config, NULL, err));
	}

	bool is_over = false;
	struct tide_error why;
	while (!is_over && tide_manager_start(manager, NULL, 0, NULL, NULL, &why) != TIDE_OK) {
		fprintf(stderr, "start: %s\n", why.message);
		is_over = is_told_to_end(0.05);
	}
	while (!is_over)
		is_over = is_told_to_end(0.9);
	if (tide_manager_stop(manager, NULL, 0, &why) != TIDE_OK)
		fprintf(stderr, "stop: %s\n", why.message);
	tide_manager_close(manager);
}

/* What it logs is kept beside the record. */
static void member_log(const char *record, uint32_t number)
{
	char file[TEMP_PATH_SIZE + 32];
	snprintf(file, sizeof file, "%s-member%u.log", record, number);
	if (!freopen(file, "w", stderr))
		_exit(95);
	setvbuf(stderr, NULL, _IOLBF, 0);
	tide_log_set(NULL, NULL, TIDE_LOG_INFO);
}

int chaos_member_run(const char *argument, int report_to)
{
	char backend[32], file[TEMP_PATH_SIZE], url[512];
	static struct member member; /* of a thread that does not end, too */
	sigset_t set;
	if (sscanf(argument, "%31s %u %255s %511s", backend, &member.number, file, url) != 4)
		return 97;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	member_log(file, member.number);
	member.backend = test_backend_find(backend);
	member.record = chaos_map(file);
	member.unit = strcmp(backend, "sqlite") == 0 ? MS / 4 : 2 * MS;
	for (unsigned i = 0; i < CHAOS_AGGREGATES; i++)
		member.aggregates[i] = uuid_of(i);

	pthread_t beating;
	struct tide_store *store;
	struct tide_error why;
	if (pthread_create(&beating, NULL, beat, &member) != 0)
		return 94;
	child_report(report_to, 'b');
	while (tide_store_open(url, NULL, &store, &why) != TIDE_OK) {
		fprintf(stderr, "open: %s\n", why.message);
		if (is_told_to_end(0.05))
			return 0;
	}
	member_serve(&member, store);
	tide_store_close(store);
	return 0;
}
