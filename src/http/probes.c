/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Probes and metrics of all that is shown.
 *
 * Happy path: every manager is looked at, side by side where there are several, since each look may
 * wait a second for its databases; the worst of them decides. Failure modes: a store that is not
 * open yet: its subscriptions are told as starting, with the reason; many ask at once: health and
 * metrics are made at most once a second.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "http/http.h"
#include "supervise/health.h"
#include "supervise/metrics.h"
#include "sys/alloc.h"

#define PROBE_MADE_NS NS_PER_SECOND

/** A look at one manager. */
struct probe_look {
	const struct http_pin *pin;
	void (*run)(struct probe_look *look);
	struct thread thread;
	tide_status status;
	struct tide_error err;
	struct tide_health health;
	struct tide_readiness readiness;
	struct tide_liveness liveness;
	struct metrics_source metrics;
};

struct probe_looks {
	struct http_pins pins;
	struct probe_look *items;
	size_t count;
};

/* ---- Looking --------------------------------------------------------------------------------- */

static void probe_look(void *self)
{
	struct probe_look *look = self;
	look->run(look);
}

/* All but the first have a thread of their own, as far as there are some. */
static void probe_look_at_all(struct probe_looks *looks)
{
	struct tide_error err;
	for (size_t i = 1; i < looks->count; i++)
		(void)thread_start(&looks->items[i].thread, "tide probe", probe_look,
				   &looks->items[i], &err);
	for (size_t i = 0; i < looks->count; i++)
		if (!looks->items[i].thread.is_started)
			probe_look(&looks->items[i]);
	for (size_t i = 0; i < looks->count; i++)
		thread_join(&looks->items[i].thread);
}

static tide_status probe_begin(struct tide_http *server, void (*run)(struct probe_look *look),
			       struct probe_looks *ret, struct tide_error *err)
{
	tide_status status = sources_pin(server->sources, &ret->pins, err);
	if (status != TIDE_OK)
		return status;
	ret->items = alloc_zero(ret->pins.count + 1, sizeof *ret->items);
	ret->count = ret->items ? ret->pins.count : 0;
	if (!ret->items)
		return alloc_fail(err);

	for (size_t i = 0; i < ret->count; i++) {
		ret->items[i].pin = &ret->pins.items[i];
		ret->items[i].run = run;
	}
	probe_look_at_all(ret);
	for (size_t i = 0; i < ret->count && status == TIDE_OK; i++) {
		status = ret->items[i].status;
		if (status != TIDE_OK)
			*err = ret->items[i].err;
	}
	return status;
}

static void probe_end(struct tide_http *server, struct probe_looks *looks)
{
	for (size_t i = 0; i < looks->count; i++) {
		tide_health_fini(&looks->items[i].health);
		tide_readiness_fini(&looks->items[i].readiness);
		metrics_source_fini(&looks->items[i].metrics);
	}
	tide_free(looks->items);
	sources_unpin(server->sources, &looks->pins);
}

/* ---- Health ---------------------------------------------------------------------------------- */

/* A subscription whose store is not open. */
static void health_of_waiting(const struct http_pin *pin, const char *name,
			      struct tide_subscription_health *ret)
{
	static const struct tide_health_config config = TIDE_HEALTH_CONFIG_DEFAULT;
	snprintf(ret->name, sizeof ret->name, "%s", name);
	ret->timestamp = clock_wall(&clock_system);
	ret->is_responsive = true;
	ret->state = TIDE_STATE_STARTING;
	ret->lag_stale = true;
	if (pin->error.status != TIDE_OK) {
		ret->feed = TIDE_UNAVAILABLE;
		ret->unavailable_seconds = pin->seconds;
		ret->store_error = ret->last_error = pin->error;
	}
	health_judge(ret, &config, HUGE_VAL);
}

static void look_at_health(struct probe_look *look)
{
	const struct http_pin *pin = look->pin;
	struct tide_health *health = &look->health;
	if (pin->manager) {
		look->status = tide_manager_health(pin->manager, health, &look->err);
		return;
	}

	health->is_responsive = true;
	health->timestamp = clock_wall(&clock_system);
	health->subscriptions = alloc_zero(pin->waiting_count + 1, sizeof *health->subscriptions);
	if (!health->subscriptions) {
		look->status = alloc_fail(&look->err);
		return;
	}
	for (; health->subscription_count < pin->waiting_count; health->subscription_count++)
		health_of_waiting(pin, pin->waiting[health->subscription_count],
				  &health->subscriptions[health->subscription_count]);
}

/* Add what is listed, and what is not since a manager's lock was not to be had. */
static tide_status health_add(struct tide_health *all, struct tide_health *one,
			      int64_t *unresponsive, struct tide_error *err)
{
	size_t count = all->subscription_count + one->subscription_count;
	struct tide_subscription_health *list =
		alloc_resize(all->subscriptions, count + 1, sizeof *list);
	if (!list)
		return alloc_fail(err);
	all->subscriptions = list;
	if (one->subscription_count > 0)
		memcpy(list + all->subscription_count, one->subscriptions,
		       one->subscription_count * sizeof *list);

	all->subscription_count = count;
	all->running = all->running || one->running;
	all->is_responsive = all->is_responsive && one->is_responsive;
	if (!one->is_responsive)
		*unresponsive += one->unhealthy_count;
	if (one->uptime_seconds > all->uptime_seconds)
		all->uptime_seconds = one->uptime_seconds;
	return TIDE_OK;
}

static tide_status health_of_all(const struct probe_looks *looks, struct tide_health *ret,
				 struct tide_error *err)
{
	tide_status status = TIDE_OK;
	int64_t unresponsive = 0;

	ret->is_responsive = true;
	ret->timestamp = clock_wall(&clock_system);
	for (size_t i = 0; status == TIDE_OK && i < looks->count; i++)
		status = health_add(ret, &looks->items[i].health, &unresponsive, err);
	health_sum(ret);
	ret->unhealthy_count += unresponsive;
	if (!ret->is_responsive && ret->status < TIDE_UNHEALTHY)
		ret->status = TIDE_UNHEALTHY;
	return status;
}

static tide_status health_make(struct tide_http *server, int *ret_status, char **ret,
			       struct tide_error *err)
{
	struct probe_looks looks = { 0 };
	struct tide_health health = { 0 };
	tide_status status = probe_begin(server, look_at_health, &looks, err);
	if (status == TIDE_OK)
		status = health_of_all(&looks, &health, err);
	if (status == TIDE_OK)
		status = tide_health_json(&health, ret, err);
	if (status == TIDE_OK)
		*ret_status = tide_health_http_status(&health);
	tide_health_fini(&health);
	probe_end(server, &looks);
	return status;
}

/* ---- Metrics --------------------------------------------------------------------------------- */

static void look_at_metrics(struct probe_look *look)
{
	if (look->pin->manager)
		look->status = metrics_look(look->pin->manager, look->pin->name, &look->metrics,
					    &look->err);
}

static tide_status metrics_make(struct tide_http *server, int *ret_status, char **ret,
				struct tide_error *err)
{
	struct probe_looks looks = { 0 };
	struct metrics_source *sources ALLOC_AUTO = NULL;
	size_t count = 0;

	tide_status status = probe_begin(server, look_at_metrics, &looks, err);
	if (status == TIDE_OK) {
		sources = alloc_zero(looks.count + 1, sizeof *sources);
		status = sources ? TIDE_OK : alloc_fail(err);
	}
	for (size_t i = 0; status == TIDE_OK && i < looks.count; i++)
		if (looks.items[i].metrics.manager)
			sources[count++] = looks.items[i].metrics;
	if (status == TIDE_OK)
		status = metrics_tell(sources, count, ret, err);
	*ret_status = 200;
	probe_end(server, &looks);
	return status;
}

/* ---- What is made once a second -------------------------------------------------------------- */

static void probe_answer(struct http_job *job, struct http_made *made, const char *type,
			 tide_status (*make)(struct tide_http *server, int *ret_status, char **ret,
					     struct tide_error *err))
{
	struct mono_time now = clock_mono(&clock_system);
	struct tide_error err;
	char *text = NULL;

	if (!made->is_made || mono_since(now, made->at) >= PROBE_MADE_NS) {
		if (make(job->server, &made->status, &text, &err) != TIDE_OK) {
			reply_fail(&job->reply, &err, NULL);
			return;
		}
		buffer_fini(&made->body);
		buffer_add(&made->body, text, strlen(text));
		tide_free(text);
		made->is_made = !made->body.failed;
		made->at = clock_mono(&clock_system);
	}
	job->reply.status = made->status;
	job->reply.type = type;
	buffer_add(&job->reply.body, made->body.data, made->body.size);
	job->reply.body.failed = job->reply.body.failed || made->body.failed;
}

void route_health(struct http_job *job)
{
	probe_answer(job, &job->server->health, "application/json", health_make);
}

void route_metrics(struct http_job *job)
{
	probe_answer(job, &job->server->metrics, "text/plain; version=0.0.4; charset=utf-8",
		     metrics_make);
}

/* ---- Readiness ------------------------------------------------------------------------------- */

static void look_at_readiness(struct probe_look *look)
{
	const struct http_pin *pin = look->pin;
	struct tide_readiness *ret = &look->readiness;
	if (pin->manager) {
		look->status = tide_manager_readiness(pin->manager, ret, &look->err);
		return;
	}

	ret->running = pin->waiting_count > 0; /* else nobody has said yet what is to run */
	ret->subscription_count = pin->waiting_count;
	ret->names = alloc_zero(pin->waiting_count + 1, sizeof *ret->names);
	for (size_t i = 0; ret->names && i < pin->waiting_count; i++) {
		ret->names[i] = alloc_text(pin->waiting[i], strlen(pin->waiting[i]));
		ret->name_count += ret->names[i] != NULL;
		if (!ret->names[i])
			break;
	}
	if (!ret->names || ret->name_count < pin->waiting_count)
		look->status = alloc_fail(&look->err);
}

/* Names move: who lists those in error comes before who lists those that start. */
static tide_status readiness_add(struct tide_readiness *all, struct tide_readiness *one,
				 bool errors, struct tide_error *err)
{
	if (one->lists_errors != errors || one->name_count == 0)
		return TIDE_OK;
	char **names =
		alloc_resize(all->names, all->name_count + one->name_count + 1, sizeof *names);
	if (!names)
		return alloc_fail(err);
	all->names = names;
	all->lists_errors = errors;
	for (size_t i = 0; i < one->name_count; i++)
		names[all->name_count++] = one->names[i];
	one->name_count = 0;
	return TIDE_OK;
}

/* A manager that is not ready without any other reason did not answer. */
static bool readiness_is_responsive(const struct tide_readiness *one)
{
	return one->ready || one->shutting_down || !one->running || one->name_count > 0 ||
	       one->unavailable_seconds > 0 || !one->reason;
}

static tide_status readiness_of_all(const struct probe_looks *looks, struct tide_readiness *ret,
				    struct tide_error *err)
{
	tide_status status = TIDE_OK;
	bool is_responsive = true;

	ret->timestamp = clock_wall(&clock_system);
	ret->running = looks->count > 0;
	for (size_t i = 0; i < looks->count; i++) {
		const struct tide_readiness *one = &looks->items[i].readiness;
		is_responsive = is_responsive && readiness_is_responsive(one);
		ret->shutting_down = ret->shutting_down || one->shutting_down;
		ret->running = ret->running && one->running;
		ret->subscription_count += one->subscription_count;
		if (one->unavailable_seconds > ret->unavailable_seconds)
			ret->unavailable_seconds = one->unavailable_seconds;
	}
	for (int errors = 1; errors >= 0; errors--)
		for (size_t i = 0; status == TIDE_OK && i < looks->count; i++)
			if (errors || !ret->lists_errors)
				status =
					readiness_add(ret, &looks->items[i].readiness, errors, err);
	return status == TIDE_OK ? readiness_say(ret, is_responsive, err) : status;
}

void route_ready(struct http_job *job)
{
	struct probe_looks looks = { 0 };
	struct tide_readiness readiness = { 0 };
	struct tide_error err;
	char *text;

	tide_status status = probe_begin(job->server, look_at_readiness, &looks, &err);
	if (status == TIDE_OK)
		status = readiness_of_all(&looks, &readiness, &err);
	if (status == TIDE_OK)
		status = tide_readiness_json(&readiness, &text, &err);
	if (status == TIDE_OK)
		reply_json(&job->reply, tide_readiness_http_status(&readiness), text);
	else
		reply_fail(&job->reply, &err, NULL);
	tide_readiness_fini(&readiness);
	probe_end(job->server, &looks);
}

/* ---- Liveness -------------------------------------------------------------------------------- */

static void look_at_liveness(struct probe_look *look)
{
	if (look->pin->manager)
		look->status =
			tide_manager_liveness(look->pin->manager, &look->liveness, &look->err);
	else
		look->liveness =
			(struct tide_liveness){ .alive = true,
						.lock_responsive = true,
						.subscription_count = look->pin->waiting_count };
}

/* What is not alive speaks for all. */
static struct tide_liveness liveness_of_all(const struct probe_looks *looks)
{
	struct tide_liveness ret = { .alive = true,
				     .reason = "Manager is alive and responsive",
				     .lock_responsive = true };
	for (size_t i = 0; i < looks->count; i++) {
		const struct tide_liveness *one = &looks->items[i].liveness;
		if (ret.alive && !one->alive)
			memcpy(ret.reason, one->reason, sizeof ret.reason);
		ret.alive = ret.alive && one->alive;
		ret.lock_responsive = ret.lock_responsive && one->lock_responsive;
		ret.running = ret.running || one->running;
		ret.subscription_count += one->subscription_count;
		if (one->uptime_seconds > ret.uptime_seconds)
			ret.uptime_seconds = one->uptime_seconds;
	}
	ret.timestamp = clock_wall(&clock_system);
	return ret;
}

void route_live(struct http_job *job)
{
	struct probe_looks looks = { 0 };
	struct tide_liveness liveness;
	struct tide_error err;
	char *text;

	tide_status status = probe_begin(job->server, look_at_liveness, &looks, &err);
	if (status == TIDE_OK) {
		liveness = liveness_of_all(&looks);
		status = tide_liveness_json(&liveness, &text, &err);
	}
	if (status == TIDE_OK)
		reply_json(&job->reply, tide_liveness_http_status(&liveness), text);
	else
		reply_fail(&job->reply, &err, NULL);
	probe_end(job->server, &looks);
}
