/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A failure becomes a record: classified by the user's rules and then by the table of statuses,
 * logged, counted, remembered, and told to the callbacks that asked for its kind.
 */
#include "policy/errors.h"

#include <assert.h>
#include <string.h>

#include "core/text.h"
#include "sys/alloc.h"
#include "sys/log.h"

#define ERROR_LOG_ROOM 4 /* for the first ones */

/* clang-format off */
static const struct tide_classification errors_table[] = {
#define ERRORS_ROW(name, wire, category_, severity_, retryable_, retry) \
	[TIDE_##name] = { TIDE_CATEGORY_##category_, TIDE_SEVERITY_##severity_, retryable_, wire },
	TIDE_STATUSES(ERRORS_ROW)
#undef ERRORS_ROW
};
/* clang-format on */

struct tide_classification tide_classify(tide_status status)
{
	return errors_table[status < TIDE_STATUS_COUNT ? status : TIDE_INTERNAL];
}

void errors_init(struct errors *errors)
{
	*errors = (struct errors){ 0 };
	mutex_init(&errors->lock, LOCK_ERRORS);
}

static void error_rule_free(struct error_rule *rule)
{
	tide_free(rule->pattern);
	tide_free(rule->description);
	tide_free(rule);
}

void errors_fini(struct errors *errors)
{
	while (errors->rules) {
		struct error_rule *rule = errors->rules;
		errors->rules = rule->next;
		error_rule_free(rule);
	}
	while (errors->listeners) {
		struct error_listener *listener = errors->listeners;
		errors->listeners = listener->next;
		tide_free(listener);
	}
	mutex_fini(&errors->lock);
}

static struct error_rule *error_rule_new(const char *pattern, tide_status status,
					 const struct tide_classification *classification)
{
	struct error_rule *rule = alloc_zero(1, sizeof *rule);
	if (!rule)
		return NULL;
	const char *description = classification->description ? classification->description : "";
	*rule = (struct error_rule){ .status = status, .classification = *classification };
	rule->description = alloc_text(description, strlen(description));
	rule->pattern = pattern ? alloc_text(pattern, strlen(pattern)) : NULL;
	rule->classification.description = rule->description;
	if (rule->description && (rule->pattern || !pattern))
		return rule;
	error_rule_free(rule);
	return NULL;
}

/* Where a new rule goes: status rules first and newest first, so that a later one replaces;
 * patterns at the end. */
static struct error_rule **errors_place(struct errors *errors, bool is_pattern)
{
	struct error_rule **place = &errors->rules;
	while (is_pattern && *place)
		place = &(*place)->next;
	return place;
}

tide_status errors_add_rule(struct errors *errors, const char *pattern, tide_status status,
			    const struct tide_classification *classification,
			    struct tide_error *err)
{
	struct error_rule *rule = error_rule_new(pattern, status, classification);
	if (!rule)
		return alloc_fail(err);
	mutex_lock(&errors->lock);
	struct error_rule **place = errors_place(errors, pattern);
	rule->next = *place;
	*place = rule;
	mutex_unlock(&errors->lock);
	return TIDE_OK;
}

struct tide_classification errors_classify_or(struct errors *errors, tide_status status,
					      const char *message,
					      struct tide_classification otherwise)
{
	struct tide_classification found = otherwise;
	mutex_lock(&errors->lock);
	for (const struct error_rule *rule = errors->rules; rule; rule = rule->next)
		if (rule->pattern ? strcasestr(message, rule->pattern) != NULL
				  : rule->status == status) {
			found = rule->classification;
			break;
		}
	mutex_unlock(&errors->lock);
	return found;
}

struct tide_classification errors_classify(struct errors *errors, tide_status status,
					   const char *message)
{
	return errors_classify_or(errors, status, message, tide_classify(status));
}

tide_status errors_listen(struct errors *errors, const struct error_listener *listener,
			  int64_t *ret, struct tide_error *err)
{
	struct error_listener *copy = alloc_zero(1, sizeof *copy);
	if (!copy)
		return alloc_fail(err);

	*copy = *listener;
	copy->next = NULL;
	mutex_lock(&errors->lock);
	copy->id = ++errors->last_id;
	struct error_listener **place = &errors->listeners;
	while (*place)
		place = &(*place)->next;
	*place = copy;
	*ret = copy->id;
	mutex_unlock(&errors->lock);
	return TIDE_OK;
}

bool errors_unlisten(struct errors *errors, int64_t id)
{
	struct error_listener *found = NULL;
	mutex_lock(&errors->lock);
	for (struct error_listener **place = &errors->listeners; *place && !found;
	     place = found ? place : &(*place)->next)
		if ((*place)->id == id) {
			found = *place;
			*place = found->next;
		}
	mutex_unlock(&errors->lock);
	tide_free(found);
	return found != NULL;
}

void errors_log(const struct tide_error_record *record)
{
	static const enum tide_log_level levels[] = {
		[TIDE_SEVERITY_LOW] = TIDE_LOG_INFO,
		[TIDE_SEVERITY_MEDIUM] = TIDE_LOG_WARNING,
		[TIDE_SEVERITY_HIGH] = TIDE_LOG_ERROR,
		[TIDE_SEVERITY_CRITICAL] = TIDE_LOG_CRITICAL,
	};
	log_at(levels[record->classification.severity], "subscription", record->error_message,
	       "name='%s' position=%lld event_type=%s error=%s category=%s retry_count=%d",
	       record->subscription_name, (long long)record->position, record->event_type,
	       tide_status_name(record->error_type),
	       tide_category_name(record->classification.category), record->retry_count);
}

static bool error_listener_wants(const struct error_listener *listener,
				 enum tide_error_interest group,
				 const struct tide_error_record *record)
{
	if (listener->interest != group)
		return false;
	if (group == TIDE_ERRORS_OF_CATEGORY)
		return listener->which == (int)record->classification.category;
	if (group == TIDE_ERRORS_OF_SEVERITY)
		return listener->which == (int)record->classification.severity;
	return true;
}

/* The next one after `id` in a group: ids grow, so a callback may unregister itself or others. */
static bool errors_next(struct errors *errors, enum tide_error_interest group,
			const struct tide_error_record *record, int64_t id,
			struct error_listener *ret)
{
	bool is_found = false;
	mutex_lock(&errors->lock);
	for (const struct error_listener *listener = errors->listeners; listener && !is_found;
	     listener = listener->next)
		if (listener->id > id && error_listener_wants(listener, group, record)) {
			*ret = *listener;
			is_found = true;
		}
	mutex_unlock(&errors->lock);
	return is_found;
}

void errors_tell(struct errors *errors, const struct tide_error_record *record)
{
	for (int group = TIDE_ERRORS_ALL; group <= TIDE_ERRORS_OF_SEVERITY; group++) {
		struct error_listener listener = { 0 };
		while (errors_next(errors, (enum tide_error_interest)group, record, listener.id,
				   &listener))
			listener.callback(listener.self, record);
	}
}

void error_log_init(struct error_log *log, int32_t capacity)
{
	*log = (struct error_log){ .capacity = capacity };
}

void error_log_fini(struct error_log *log)
{
	tide_free(log->recent);
	log->recent = NULL;
}

void error_log_reset(struct error_log *log)
{
	*log = (struct error_log){ .recent = log->recent,
				   .capacity = log->capacity,
				   .room = log->room };
}

/* Most subscriptions never fail. While it grows it has not gone round, and where memory is out it
 * goes round from then on. */
static void error_log_grow(struct error_log *log)
{
	int32_t wanted = log->room ? 2 * log->room : ERROR_LOG_ROOM;
	int32_t room = wanted < log->capacity ? wanted : log->capacity;
	struct tide_recent_error *grown =
		alloc_resize(log->recent, (size_t)room, sizeof *log->recent);
	if (grown) {
		log->recent = grown;
		log->room = room;
	} else if (log->room) {
		log->capacity = log->room;
	}
}

static void error_log_remember(struct error_log *log, const struct tide_error_record *record)
{
	if (log->count == log->room && log->room < log->capacity)
		error_log_grow(log);
	if (log->room == 0)
		return;
	log->newest = log->count ? (log->newest + 1) % log->room : 0;
	log->count += log->count < log->room;

	struct tide_recent_error *recent = &log->recent[log->newest];
	*recent = (struct tide_recent_error){ .event_id = record->event_id,
					      .position = record->position,
					      .error_type = record->error_type,
					      .timestamp = record->timestamp,
					      .sent_to_dlq = record->sent_to_dlq };

	size_t size = strlen(record->event_type);
	memcpy(recent->event_type, record->event_type,
	       utf8_cut(record->event_type, size, sizeof recent->event_type - 1));
	size = strlen(record->error_message);
	memcpy(recent->error_message, record->error_message,
	       utf8_cut(record->error_message, size, sizeof recent->error_message - 1));
}

void error_log_add(struct error_log *log, const struct tide_error_record *record, bool is_retried,
		   struct mono_time now)
{
	struct tide_error_stats *stats = &log->stats;
	bool is_transient = record->classification.category == TIDE_CATEGORY_TRANSIENT;
	stats->total_errors++;
	stats->transient_errors += is_transient;
	stats->permanent_errors += !is_transient;
	stats->retried_errors += is_retried;
	stats->dlq_count += record->sent_to_dlq;
	stats->by_type[record->error_type]++;
	stats->by_category[record->classification.category]++;

	if (!stats->has_errors)
		stats->first_error_at = record->timestamp;
	stats->has_errors = true;
	stats->last_error_at = record->timestamp;
	rate_add(&log->rate, now);
	error_log_remember(log, record);
}

const struct tide_recent_error *error_log_recent(const struct error_log *log, int32_t index)
{
	assert(index < log->count);
	return &log->recent[(log->newest - index + log->room) % log->room];
}

struct tide_error_stats error_log_stats(struct error_log *log, struct mono_time now)
{
	struct tide_error_stats stats = log->stats;
	stats.error_rate_per_minute = (double)rate_per_minute(&log->rate, now);
	return stats;
}

void error_stats_add(struct tide_error_stats *sum, const struct tide_error_stats *one)
{
	sum->total_errors += one->total_errors;
	sum->transient_errors += one->transient_errors;
	sum->permanent_errors += one->permanent_errors;
	sum->retried_errors += one->retried_errors;
	sum->dlq_count += one->dlq_count;
	sum->error_rate_per_minute += one->error_rate_per_minute;

	for (int i = 0; i < TIDE_STATUS_COUNT; i++)
		sum->by_type[i] += one->by_type[i];
	for (int i = 0; i <= TIDE_CATEGORY_UNKNOWN; i++)
		sum->by_category[i] += one->by_category[i];

	if (!one->has_errors)
		return;
	if (!sum->has_errors || one->first_error_at.unix_us < sum->first_error_at.unix_us)
		sum->first_error_at = one->first_error_at;

	if (!sum->has_errors || one->last_error_at.unix_us > sum->last_error_at.unix_us)
		sum->last_error_at = one->last_error_at;
	sum->has_errors = true;
}
