/* SPDX-License-Identifier: Apache-2.0 */
/* What a manager tells of all its subscriptions and of its last shutdown. */
#include "supervise/group.h"

#include <stddef.h>
#include <string.h>

#include "core/json_fields.h"
#include "path/lanes.h"
#include "policy/errors_json.h"
#include "sys/alloc.h"

tide_status tide_manager_statuses(struct tide_manager *manager,
				  struct tide_subscription_status **ret, size_t *ret_count,
				  struct tide_error *err)
{
	if (!manager || !ret || !ret_count)
		return tide_fail(err, TIDE_ARGUMENT, "%s is NULL", manager ? "ret" : "manager");
	struct manager_set set;
	struct probe_answer answer = probe_ask(&manager->engine.probe, manager->engine.probe_ns);
	tide_status status = manager_pin(manager, NULL, &set, err);
	if (status != TIDE_OK)
		return status;

	struct tide_subscription_status *statuses = alloc_zero(set.count + 1, sizeof *statuses);
	for (size_t i = 0; statuses && i < set.count; i++)
		whole_snapshot(set.items[i], &answer, &statuses[i]);

	*ret_count = statuses ? set.count : *ret_count;
	manager_unpin(manager, &set);
	if (!statuses)
		return alloc_fail(err);

	*ret = statuses;
	return TIDE_OK;
}

/* Pointers first, then the texts they point to, in one block. */
static const char **statuses_names(struct tide_subscription *const *items, size_t count)
{
	size_t size = (count + 1) * sizeof(char *);
	for (size_t i = 0; i < count; i++)
		size += strlen(items[i]->name) + 1;
	const char **names = alloc_zero(1, size);
	char *text = names ? (char *)(names + count + 1) : NULL;
	for (size_t i = 0; names && i < count; i++) {
		names[i] = strcpy(text, items[i]->name);
		text += strlen(text) + 1;
	}
	return names;
}

tide_status tide_manager_paused_names(struct tide_manager *manager, const char ***ret,
				      size_t *ret_count, struct tide_error *err)
{
	if (!manager || !ret || !ret_count)
		return tide_fail(err, TIDE_ARGUMENT, "%s is NULL", manager ? "ret" : "manager");
	struct manager_set set;
	tide_status status = manager_pin(manager, NULL, &set, err);
	if (status != TIDE_OK)
		return status;

	size_t paused = 0;
	for (size_t i = 0; i < set.count; i++)
		if (tide_subscription_is_paused(set.items[i]))
			set.items[paused++] = set.items[i];
	const char **names = statuses_names(set.items, paused);
	manager_unpin(manager, &set);
	if (!names)
		return alloc_fail(err);

	*ret = names;
	*ret_count = paused;
	return TIDE_OK;
}

tide_status tide_manager_error_stats_json(struct tide_manager *manager, char **ret,
					  struct tide_error *err)
{
	if (!manager || !ret)
		return tide_fail(err, TIDE_ARGUMENT, "%s is NULL", manager ? "ret" : "manager");
	struct manager_set set;
	tide_status status = manager_pin(manager, NULL, &set, err);
	if (status != TIDE_OK)
		return status;

	struct buffer buffer = { 0 }, members = { 0 };
	int64_t total = 0, dead_lettered = 0;
	json_open(&members, '{');
	for (size_t i = 0; i < set.count; i++) {
		struct tide_error_stats stats = group_error_stats(set.items[i]);
		total += stats.total_errors;
		dead_lettered += stats.dlq_count;
		json_key(&members, set.items[i]->name);
		errors_add_stats(&members, &stats);
	}

	json_close(&members, '}');
	manager_unpin(manager, &set);
	json_open(&buffer, '{');
	json_add_integer(&buffer, "total_errors", total);
	json_add_integer(&buffer, "total_dlq_count", dead_lettered);
	json_key(&buffer, "subscriptions");
	if (members.data)
		json_raw(&buffer, (struct tide_text){ members.data, members.size });
	json_close(&buffer, '}');
	buffer.failed = buffer.failed || members.failed;
	buffer_fini(&members);
	return buffer_take(&buffer, ret, err);
}

/* ---- The last shutdown ----------------------------------------------------------------------- */

const char *tide_shutdown_phase_name(enum tide_shutdown_phase phase)
{
	static const char *const names[] = { "running",       "stopping", "draining",
					     "checkpointing", "stopped",  "forced" };
	return (size_t)phase < 6 ? names[phase] : "unknown";
}

const char *tide_shutdown_reason_name(enum tide_shutdown_reason reason)
{
	static const char *const names[] = { "none",         "signal_sigterm", "signal_sigint",
					     "programmatic", "health_check",   "timeout",
					     "double_signal" };
	return (size_t)reason < 7 ? names[reason] : "unknown";
}

tide_status tide_manager_shutdown_metrics(struct tide_manager *manager,
					  struct tide_shutdown_metrics *ret, struct tide_error *err)
{
	if (!manager || !ret)
		return tide_fail(err, TIDE_ARGUMENT, "%s is NULL", manager ? "ret" : "manager");
	mutex_lock(&manager->lock);
	bool has_last = manager->shutdown.has_last;
	struct tide_shutdown_result last = manager->shutdown.last;
	double drain_seconds = manager->shutdown.last_drain_seconds;
	mutex_unlock(&manager->lock);

	if (!has_last)
		return tide_fail(err, TIDE_NOT_FOUND, "no shutdown has ended yet");
	const char *forced = last.reason == TIDE_SHUTDOWN_TIMEOUT ? "timeout" : "forced";
	*ret = (struct tide_shutdown_metrics){ .shutdown_duration_seconds = last.duration_seconds,
					       .drain_duration_seconds = drain_seconds,
					       .events_drained = last.events_drained,
					       .checkpoints_saved = last.checkpoints_saved,
					       .in_flight_at_start = last.in_flight_at_start,
					       .outcome = last.forced ? forced : "clean" };
	return TIDE_OK;
}

static const char *shutdown_phase(int value)
{
	return tide_shutdown_phase_name((enum tide_shutdown_phase)value);
}

static const char *shutdown_reason(int value)
{
	return tide_shutdown_reason_name((enum tide_shutdown_reason)value);
}

/* clang-format off */
#define AT(member) .place = offsetof(struct tide_shutdown_metrics, member)
static const struct json_field metrics_fields[] = {
	{ "shutdown_duration_seconds", JSON_FIELD_REAL,    AT(shutdown_duration_seconds), .decimals = 3 },
	{ "drain_duration_seconds",    JSON_FIELD_REAL,    AT(drain_duration_seconds), .decimals = 3 },
	{ "events_drained",            JSON_FIELD_INTEGER, AT(events_drained) },
	{ "checkpoints_saved",         JSON_FIELD_INTEGER, AT(checkpoints_saved) },
	{ "in_flight_at_start",        JSON_FIELD_INTEGER, AT(in_flight_at_start) },
	{ "outcome",                   JSON_FIELD_TEXT,    AT(outcome) },
};
#undef AT

#define AT(member) .place = offsetof(struct tide_shutdown_result, member)
static const struct json_field result_fields[] = {
	{ "phase",                 JSON_FIELD_NAME,    AT(phase), .name = shutdown_phase },
	{ "duration_seconds",      JSON_FIELD_REAL,    AT(duration_seconds), .decimals = 3 },
	{ "subscriptions_stopped", JSON_FIELD_INTEGER, AT(subscriptions_stopped) },
	{ "events_drained",        JSON_FIELD_INTEGER, AT(events_drained) },
	{ "checkpoints_saved",     JSON_FIELD_INTEGER, AT(checkpoints_saved) },
	{ "forced",                JSON_FIELD_FLAG,    AT(forced) },
	{ "error",                 JSON_FIELD_ERROR,   AT(error) },
	{ "reason",                JSON_FIELD_NAME,    AT(reason), .name = shutdown_reason },
	{ "in_flight_at_start",    JSON_FIELD_INTEGER, AT(in_flight_at_start) },
	{ "events_not_drained",    JSON_FIELD_INTEGER, AT(events_not_drained) },
};
#undef AT
/* clang-format on */

tide_status tide_shutdown_metrics_json(const struct tide_shutdown_metrics *metrics, char **ret,
				       struct tide_error *err)
{
	if (!metrics || !ret)
		return tide_fail(err, TIDE_ARGUMENT, "%s is NULL", metrics ? "ret" : "metrics");
	return json_fields_text(JSON_FIELDS(metrics_fields), metrics, ret, err);
}

tide_status tide_shutdown_result_json(const struct tide_shutdown_result *result, char **ret,
				      struct tide_error *err)
{
	if (!result || !ret)
		return tide_fail(err, TIDE_ARGUMENT, "%s is NULL", result ? "ret" : "result");
	return json_fields_text(JSON_FIELDS(result_fields), result, ret, err);
}
