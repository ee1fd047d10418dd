/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Questions to a database that may hang. The asker waits a limited time; the thread goes on and its
 * answer serves the next asker. Nobody asks: the thread sleeps. It starts with the first question.
 */
#include "path/probe.h"

#include <assert.h>
#include <string.h>

#include "path/port.h"
#include "sys/alloc.h"
#include "sys/log.h"

/* measuring may have to scan: silence counts only after it */
#define PROBE_MEASURE_NS (5 * NS_PER_SECOND)

void probe_init(struct probe *probe, struct tide_store *feed, struct tide_store *database)
{
	*probe = (struct probe){ .feed = feed, .database = database };
	mutex_init(&probe->lock, LOCK_PROBE);
	cond_init(&probe->changed);
}

void probe_fini(struct probe *probe)
{
	mutex_lock(&probe->lock);
	probe->is_ending = true;
	cond_broadcast(&probe->changed);
	mutex_unlock(&probe->lock);
	thread_join(&probe->thread);
	tide_free(probe->counts);
	probe_lags_fini(&probe->wanted);
	probe_lags_fini(&probe->lags);
	cond_fini(&probe->changed);
	mutex_fini(&probe->lock);
}

void probe_note(struct probe *probe, enum database database, tide_status status,
		const struct tide_error *error)
{
	mutex_lock(&probe->lock);
	availability_note(&probe->stores[database], status, error, clock_mono(&clock_system));
	mutex_unlock(&probe->lock);
}

static void probe_enter(struct probe *probe, enum probe_stage stage)
{
	mutex_lock(&probe->lock);
	probe->stage = stage;
	probe->stage_since = clock_mono(&clock_system);
	mutex_unlock(&probe->lock);
}

static tide_status probe_counts(struct probe *probe, struct tide_dead_letter_count **ret,
				size_t *ret_count, struct tide_error *err)
{
	void *session;
	tide_status status = store_borrow(probe->database, &session, err);
	if (status != TIDE_OK)
		return status;
	status = port_dead_letter_counts(probe->database, session, ret, ret_count, err);
	store_return(probe->database, session, status);
	return status;
}

static void probe_waiting_for(struct probe *probe, char ret[TIDE_WAITING_FOR_SIZE])
{
	void *session;
	*ret = '\0';
	if (store_borrow(probe->feed, &session, NULL) != TIDE_OK)
		return;
	tide_status status = port_waiting_for(probe->feed, session, ret, NULL);
	store_return(probe->feed, session, status);
}

void probe_lags_fini(struct probe_lags *lags)
{
	for (size_t i = 0; i < lags->count; i++) {
		for (char **type = lags->items[i].event_types; type && *type; type++)
			tide_free(*type);
		tide_free(lags->items[i].event_types);
	}
	tide_free(lags->items);
	*lags = (struct probe_lags){ 0 };
}

static void probe_measure(struct probe *probe, struct probe_lags *lags)
{
	for (size_t i = 0; i < lags->count; i++) {
		struct probe_lag *lag = &lags->items[i];
		lag->is_measured = lag_find_waiting(probe->feed, lag->position,
						    (const char *const *)lag->event_types,
						    &lag->waiting, NULL) == TIDE_OK;
	}
}

static void probe_answer_lags(struct probe *probe)
{
	mutex_lock(&probe->lock);
	struct probe_lags lags = probe->wanted;
	probe->wanted = (struct probe_lags){ 0 };
	mutex_unlock(&probe->lock);
	if (lags.count == 0)
		return;
	probe_measure(probe, &lags);
	mutex_lock(&probe->lock);
	struct probe_lags old = probe->lags;
	probe->lags = lags;
	mutex_unlock(&probe->lock);
	probe_lags_fini(&old);
}

static void probe_answer_one(struct probe *probe)
{
	tide_position end = 0;
	struct tide_dead_letter_count *counts = NULL;
	size_t count = 0;
	char waiting_for[TIDE_WAITING_FOR_SIZE];
	struct tide_error err;
	probe_enter(probe, PROBE_ASKS_FEED);
	tide_status status = tide_store_end(probe->feed, &end, &err);
	bool is_ok = status == TIDE_OK;
	probe_note(probe, DATABASE_FEED, status, &err);
	probe_enter(probe, PROBE_ASKS_CHECKPOINTS);
	status = probe_counts(probe, &counts, &count, &err);
	bool has_counts = status == TIDE_OK;
	probe_note(probe, DATABASE_CHECKPOINTS, status, &err);
	probe_enter(probe, PROBE_MEASURES);
	probe_waiting_for(probe, waiting_for);

	mutex_lock(&probe->lock);
	memcpy(probe->waiting_for, waiting_for, sizeof waiting_for);
	probe->is_last_ok = is_ok;
	if (is_ok) {
		probe->has_end = true;
		probe->end = end;
	}

	if (has_counts) {
		struct tide_dead_letter_count *old = probe->counts;
		probe->counts = counts;
		probe->count = count;
		counts = old;
	}

	mutex_unlock(&probe->lock);
	tide_free(counts);
	if (is_ok)
		probe_answer_lags(probe);
}

static void probe_run(void *self)
{
	struct probe *probe = self;
	mutex_lock(&probe->lock);
	while (!probe->is_ending) {
		if (probe->asked == probe->answered) {
			cond_wait(&probe->changed, &probe->lock);
			continue;
		}
		uint64_t asked = probe->asking = probe->asked;
		mutex_unlock(&probe->lock);
		probe_answer_one(probe);
		mutex_lock(&probe->lock);
		probe->stage = PROBE_RESTS;
		probe->answered = asked;
		cond_broadcast(&probe->changed);
	}
	mutex_unlock(&probe->lock);
}

/* The databases as of now, for one who has waited `limit_ns` for the answer to `mine`. */
static void probe_tell_stores_locked(struct probe *probe, uint64_t mine, int64_t limit_ns,
				     struct availability ret[DATABASES]) TIDE_REQUIRES(probe->lock)
{
	assert(mutex_is_mine(&probe->lock));
	memcpy(ret, probe->stores, sizeof probe->stores);
	int64_t took = mono_since(clock_mono(&clock_system), probe->stage_since);
	bool is_slow = took >= limit_ns || probe->asking >= mine;
	if (probe->stage == PROBE_RESTS || probe->answered >= mine)
		return;
	if (probe->stage == PROBE_ASKS_FEED
		    ? is_slow
		    : probe->stage == PROBE_MEASURES && took >= PROBE_MEASURE_NS)
		availability_note_silence(&ret[DATABASE_FEED], probe->stage_since);
	if (probe->stage == PROBE_ASKS_CHECKPOINTS && is_slow)
		availability_note_silence(&ret[DATABASE_CHECKPOINTS], probe->stage_since);
}

struct probe_answer probe_ask(struct probe *probe, int64_t limit_ns)
{
	struct probe_lags none = { 0 };
	return probe_ask_lags(probe, &none, limit_ns);
}

struct probe_answer probe_ask_lags(struct probe *probe, struct probe_lags *lags, int64_t limit_ns)
{
	struct mono_time deadline = mono_add(clock_mono(&clock_system), limit_ns);
	struct probe_lags replaced = { 0 };
	struct tide_error err = { 0 };
	mutex_lock(&probe->lock);
	if (lags->count) {
		replaced = probe->wanted;
		probe->wanted = *lags;
		*lags = (struct probe_lags){ 0 };
	}

	bool needs_thread = !probe->is_started && !probe->is_ending;
	if (needs_thread)
		probe->is_started = thread_start(&probe->thread, "tide-probe", probe_run, probe,
						 &err) == TIDE_OK;
	/* who asked before, without a thread either, has told */
	bool is_news = needs_thread && !probe->is_started && probe->asked == 0;
	uint64_t mine = ++probe->asked;
	cond_broadcast(&probe->changed);
	bool is_waiting = probe->is_started;
	while (is_waiting && probe->answered < mine)
		is_waiting = cond_wait_until(&probe->changed, &probe->lock, deadline);
	struct probe_answer answer = { .has_end = probe->has_end,
				       .is_fresh = probe->answered >= mine && probe->is_last_ok,
				       .end = probe->end };
	memcpy(answer.waiting_for, probe->waiting_for, sizeof answer.waiting_for);
	probe_tell_stores_locked(probe, mine, limit_ns, answer.stores);
	mutex_unlock(&probe->lock);

	probe_lags_fini(&replaced);
	if (is_news)
		log_at(TIDE_LOG_WARNING, "manager", "databases are not probed", "error='%s'",
		       err.message);
	return answer;
}

int64_t probe_dead_letters(struct probe *probe, const char *projection_name, int64_t *ret_retrying)
{
	int64_t found = 0, retrying = 0;
	mutex_lock(&probe->lock);
	for (size_t i = 0; i < probe->count; i++)
		if (strcmp(probe->counts[i].projection_name, projection_name) == 0) {
			found = probe->counts[i].failure_count;
			retrying = probe->counts[i].retrying_count;
		}
	mutex_unlock(&probe->lock);
	if (ret_retrying)
		*ret_retrying = retrying;
	return found;
}

bool probe_lag_seconds(struct probe *probe, const char *name, tide_position position, double *ret)
{
	bool is_found = false;
	mutex_lock(&probe->lock);
	for (size_t i = 0; i < probe->lags.count && !is_found; i++) {
		const struct probe_lag *lag = &probe->lags.items[i];
		bool is_passed = lag->waiting.is_found && lag->waiting.position <= position;
		is_found = lag->is_measured && !is_passed && strcmp(lag->name, name) == 0;
		if (is_found)
			*ret = lag_seconds_of(&lag->waiting, tide_time_now());
	}
	mutex_unlock(&probe->lock);
	return is_found;
}
