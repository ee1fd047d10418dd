/* SPDX-License-Identifier: Apache-2.0 */
#include <tidemark/backend.h>

#include "core/text.h"

static bool filter_is_set(const char *const *names)
{
	return names && names[0];
}

static bool filter_has_name(const char *const *names, struct tide_text text)
{
	for (; *names; names++)
		if (text_equals(text, *names))
			return true;
	return false;
}

static bool filter_has_pattern(const char *const *patterns, struct tide_text text)
{
	for (; *patterns; patterns++)
		if (text.data && pattern_matches(*patterns, text.data, text.size))
			return true;
	return false;
}

static bool filter_has_time(const struct tide_filter *filter, struct tide_time time)
{
	return (!filter->occurred_from || time.unix_us >= filter->occurred_from->unix_us) &&
	       (!filter->occurred_until || time.unix_us <= filter->occurred_until->unix_us);
}

static bool filter_has_partition(const struct tide_filter *filter,
				 const struct tide_uuid *aggregate_id)
{
	return filter->partition_total == 0 ||
	       fnv1a64(aggregate_id->bytes, sizeof aggregate_id->bytes) % filter->partition_total ==
		       filter->partition_index;
}

bool tide_filter_matches(const struct tide_filter *filter, const struct tide_event *event)
{
	if (filter_is_set(filter->event_types) &&
	    !filter_has_name(filter->event_types, event->event_type))
		return false;

	if (filter_is_set(filter->patterns) &&
	    !filter_has_pattern(filter->patterns, event->event_type))
		return false;

	if (filter_is_set(filter->aggregate_types) &&
	    !filter_has_name(filter->aggregate_types, event->aggregate_type))
		return false;

	if (filter->aggregate_id && !tide_uuid_equal(filter->aggregate_id, &event->aggregate_id))
		return false;
	if (filter->tenant_id && (tide_uuid_is_nil(&event->tenant_id) ||
				  !tide_uuid_equal(filter->tenant_id, &event->tenant_id)))
		return false;
	return filter_has_time(filter, event->occurred_at) &&
	       filter_has_partition(filter, &event->aggregate_id);
}
