/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the log has for a name, against what its segments say was settled.
 *
 * Happy path: one pass over the log. Each event up to where its lane stands is in exactly one
 * stretch: of the lane itself, or of one of another number that it inherited from; and each stretch
 * has settled as many events as are in it.
 * Failure modes: an event is in no stretch: it was passed over. In two: it was settled twice. The
 * counts differ: told with the positions that can be named. All are findings.
 */
#include <stdlib.h>
#include <string.h>

#include "cli/audit.h"
#include "core/text.h"
#include "path/family.h"
#include "sys/alloc.h"

/** The stretches of one number of lanes: those of lane i are from starts[i] to starts[i + 1]. */
struct count_number {
	uint32_t total;
	size_t *starts;
};

/** One pass. */
struct count {
	struct audit *audit;
	struct audit_stretch **sorted; /* by number, lane, and when they began */
	struct count_number *numbers;
	size_t number_count;
	tide_position from, to;
	int64_t matching;
	struct audit_positions passed_over, twice;
};

/** What the stretches say of one event. */
struct count_event {
	const struct tide_event *event;
	uint64_t hash;
	const struct audit_stretch *oldest; /* that its aggregate falls to; NULL: none */
	bool is_claimed;
	int settled;
};

static void positions_add(struct audit_positions *positions, tide_position position)
{
	if (positions->count < AUDIT_POSITIONS)
		positions->first[positions->count] = position;
	positions->count++;
}

/* The first ones, as `5, 6, 9`. */
static const char *positions_text(const struct audit_positions *positions, char ret[160])
{
	size_t size = 0;
	int64_t told = positions->count < AUDIT_POSITIONS ? positions->count : AUDIT_POSITIONS;
	*ret = '\0';
	for (int64_t i = 0; i < told; i++)
		size += (size_t)snprintf(ret + size, 160 - size, "%s%lld", i > 0 ? ", " : "",
					 (long long)positions->first[i]);
	if (positions->count > told)
		snprintf(ret + size, 160 - size, " …");
	return ret;
}

/* ---- Stretches ------------------------------------------------------------------------------- */

static const struct tide_checkpoint *count_row(const struct audit *audit, const char *name)
{
	for (size_t i = 0; i < audit->row_count; i++)
		if (strcmp(audit->rows[i].projection_name, name) == 0)
			return &audit->rows[i];
	return NULL;
}

/* Without its row, by which an open one would tell how far it has come, it claims nothing. */
static tide_status count_open_stretch(struct count *count, size_t i, struct tide_error *err)
{
	static const struct tide_checkpoint none;
	const struct tide_segment *segment = &count->audit->segments[i];
	struct audit_stretch *stretch = &count->audit->stretches[i];
	const struct tide_checkpoint *row = count_row(count->audit, segment->name);
	struct tide_lane lane = { 0, 1 };
	if (strcmp(segment->name, count->audit->title) != 0)
		(void)family_has(count->audit->title, segment->name, &lane);

	*stretch = (struct audit_stretch){ .segment = segment,
					   .index = lane.index,
					   .total = lane.total,
					   .row = segment->has_ended ? NULL : row,
					   .is_counted = audit_counts(count->audit, segment->name),
					   .until = segment_reach(segment, row ? row : &none) };
	stretch->claims = row && row->has_position && row->position < stretch->until
				  ? row->position
				  : stretch->until;
	if (segment->has_ended)
		stretch->processed = segment->processed_until - segment->processed_before;
	else if (row)
		stretch->processed = row->events_processed - segment->processed_before;
	return segment_filter_read(segment->filter, &stretch->filter, err);
}

/* One that began further back has taken back what those before it had settled behind there. */
static void count_take_back(struct audit *audit, size_t at)
{
	const struct audit_stretch *later = &audit->stretches[at];
	for (size_t i = 0; i < at; i++) {
		struct audit_stretch *earlier = &audit->stretches[i];
		if (earlier->index == later->index && earlier->total == later->total &&
		    earlier->claims > later->segment->from)
			earlier->claims = later->segment->from;
	}
}

static tide_status count_open_stretches(struct count *count, struct tide_error *err)
{
	struct audit *audit = count->audit;
	tide_status status = TIDE_OK;
	audit->stretches = alloc_zero(audit->segment_count + 1, sizeof *audit->stretches);
	if (!audit->stretches)
		return alloc_fail(err);

	count->from = INT64_MAX;
	for (size_t i = 0; status == TIDE_OK && i < audit->segment_count; i++) {
		status = count_open_stretch(count, i, err);
		const struct audit_stretch *stretch = &audit->stretches[i];
		if (status != TIDE_OK)
			break;
		audit->stretch_count++;
		count_take_back(audit, i);
		if (stretch->segment->from < count->from)
			count->from = stretch->segment->from;
		if (stretch->until > count->to)
			count->to = stretch->until;
	}
	for (uint32_t i = 0; i < audit->lanes; i++)
		if (audit->present[i] > count->to)
			count->to = audit->present[i];
	return status;
}

static int count_compare(const void *a, const void *b)
{
	const struct audit_stretch *x = *(struct audit_stretch *const *)a;
	const struct audit_stretch *y = *(struct audit_stretch *const *)b;
	if (x->total != y->total)
		return x->total < y->total ? -1 : 1;
	if (x->index != y->index)
		return x->index < y->index ? -1 : 1;
	return x < y ? -1 : x > y;
}

static bool count_add_number(struct count *count, size_t from, size_t to)
{
	struct count_number *number = &count->numbers[count->number_count];
	number->total = count->sorted[from]->total;
	number->starts = alloc_zero((size_t)number->total + 1, sizeof *number->starts);
	if (!number->starts)
		return false;
	count->number_count++;
	size_t at = from;
	for (uint32_t i = 0; i <= number->total; i++) {
		while (at < to && count->sorted[at]->index < i)
			at++;
		number->starts[i] = at;
	}
	return true;
}

static tide_status count_sort(struct count *count, struct tide_error *err)
{
	const struct audit *audit = count->audit;
	size_t total = audit->stretch_count;
	count->sorted = alloc_zero(total + 1, sizeof *count->sorted);
	count->numbers = alloc_zero(total + 1, sizeof *count->numbers);
	bool is_whole = count->sorted && count->numbers;
	for (size_t i = 0; is_whole && i < total; i++)
		count->sorted[i] = &audit->stretches[i];
	if (is_whole)
		qsort(count->sorted, total, sizeof *count->sorted, count_compare);

	for (size_t i = 0, begin = 0; is_whole && i < total; i++)
		if (i + 1 == total || count->sorted[i + 1]->total != count->sorted[i]->total) {
			is_whole = count_add_number(count, begin, i + 1);
			begin = i + 1;
		}
	return is_whole ? TIDE_OK : alloc_fail(err);
}

static void count_fini(struct count *count)
{
	for (size_t i = 0; i < count->number_count; i++)
		tide_free(count->numbers[i].starts);
	tide_free(count->numbers);
	tide_free(count->sorted);
}

/* ---- One event ------------------------------------------------------------------------------- */

static int count_compare_letters(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct tide_uuid));
}

static void count_letter(const struct audit *audit, struct audit_stretch *stretch,
			 const struct tide_event *event)
{
	const struct audit_letter *letter =
		audit->letter_count == 0
			? NULL
			: bsearch(&event->event_id, audit->letters, audit->letter_count,
				  sizeof *audit->letters, count_compare_letters);
	if (letter && letter->is_resolved)
		stretch->resolved++;
	else if (letter)
		stretch->unresolved++;
}

/* What comes behind the last one that was processed is what nobody may have settled. */
static void count_match(struct audit_stretch *stretch, const struct tide_event *event)
{
	if (stretch->matching++ == 0)
		stretch->first = event->position;
	stretch->last = event->position;
	if (stretch->row && tide_uuid_equal(&stretch->row->last_event_id, &event->event_id))
		stretch->behind = (struct audit_positions){ .count = 0 };
	else
		positions_add(&stretch->behind, event->position);
}

static void count_in(struct count *count, struct audit_stretch *stretch, struct count_event *at)
{
	const struct tide_event *event = at->event;
	const struct tide_filter *filter = &stretch->filter.filter;
	if (!at->oldest || stretch < at->oldest)
		at->oldest = stretch;
	if (event->position <= stretch->segment->from || event->position > stretch->until ||
	    (filter->partition_total > 0 &&
	     at->hash % filter->partition_total != filter->partition_index) ||
	    inherit_passes(stretch->filter.inherited, stretch->filter.inherited_count, at->hash,
			   event->position))
		return;

	bool is_claimed = event->position <= stretch->claims;
	at->is_claimed |= is_claimed;
	if (!tide_filter_matches(filter, event))
		return;
	at->settled += is_claimed;
	if (!stretch->is_counted)
		return;
	count_match(stretch, event);
	count->matching++;
	if (is_claimed)
		count_letter(count->audit, stretch, event);
}

/* Whether what is in no stretch was for it: as its lane's next stretch has it, or its last one, or
 * else the newest of any. */
static bool count_wants(const struct count *count, const struct count_event *at)
{
	const struct audit *audit = count->audit;
	const struct audit_stretch *found = NULL;
	for (size_t i = 0; i < count->number_count; i++) {
		const struct count_number *number = &count->numbers[i];
		size_t lane = at->hash % number->total;
		for (size_t k = number->starts[lane];
		     number->total == audit->lanes && k < number->starts[lane + 1]; k++)
			if (!found || found->segment->from < at->event->position)
				found = count->sorted[k];
	}

	if (found)
		return tide_filter_matches(&found->filter.filter, at->event);
	struct tide_filter filter = audit->stretches[audit->stretch_count - 1].filter.filter;
	filter.partition_total = 0;
	return tide_filter_matches(&filter, at->event);
}

/* A name is proven from where the first stretch began that its aggregate falls to. */
static void count_whole(struct count *count, const struct count_event *at)
{
	struct audit *audit = count->audit;
	tide_position position = at->event->position;
	if (!at->oldest || position > audit->present[at->hash % audit->lanes])
		return;
	if (at->oldest->segment->from > audit->behind)
		audit->behind = at->oldest->segment->from;
	if (position <= at->oldest->segment->from)
		return;
	if (at->settled > 1)
		positions_add(&count->twice, position);
	if (!at->is_claimed && count_wants(count, at))
		positions_add(&count->passed_over, position);
}

static void count_one(struct count *count, const struct tide_event *event)
{
	struct count_event at = { .event = event,
				  .hash = fnv1a64(event->aggregate_id.bytes,
						  sizeof event->aggregate_id.bytes) };
	for (size_t i = 0; i < count->number_count; i++) {
		const struct count_number *number = &count->numbers[i];
		size_t lane = at.hash % number->total;
		for (size_t k = number->starts[lane]; k < number->starts[lane + 1]; k++)
			count_in(count, count->sorted[k], &at);
	}
	count_whole(count, &at);
}

static tide_status count_read(struct count *count, struct tide_error *err)
{
	struct tide_query query = { .after = { true, count->from } };
	const struct tide_event *event = NULL;
	struct tide_reader *reader;
	struct meter meter;
	tide_status status = tide_store_read(count->audit->store, &query, &reader, err);
	if (status != TIDE_OK)
		return status;

	meter_begin(&meter, count->audit->name, count->from, count->to);
	while ((status = tide_reader_next(reader, &event, err)) == TIDE_OK && event &&
	       event->position <= count->to) {
		count_one(count, event);
		meter_show(&meter, event->position, count->matching);
	}
	meter_end(&meter, count->to, count->matching);
	tide_reader_close(reader);
	return status;
}

/* ---- What is found --------------------------------------------------------------------------- */

/* Positions of a stretch where the log has nothing. */
static tide_status count_holes(struct audit *audit, const struct audit_stretch *stretch,
			       struct audit_positions *ret, struct tide_error *err)
{
	tide_position next = stretch->segment->from + 1;
	struct tide_query query = { .after = { true, stretch->segment->from } };
	const struct tide_event *event = NULL;
	struct tide_reader *reader;
	tide_status status = tide_store_read(audit->store, &query, &reader, err);
	if (status != TIDE_OK)
		return status;

	while (ret->count < AUDIT_POSITIONS && next <= stretch->until &&
	       (status = tide_reader_next(reader, &event, err)) == TIDE_OK) {
		tide_position here = event ? event->position : stretch->until + 1;
		for (; next < here && next <= stretch->until && ret->count < AUDIT_POSITIONS;
		     next++)
			positions_add(ret, next);
		next = here + 1;
	}
	tide_reader_close(reader);
	return status;
}

/* A count does not tell which ones; what narrows it down is told. */
static tide_status count_narrow(struct audit *audit, const struct audit_stretch *stretch,
				int64_t settled, char ret[240], struct tide_error *err)
{
	struct audit_positions holes = { .count = 0 };
	char text[160];
	tide_status status = TIDE_OK;
	if (stretch->matching < settled)
		status = count_holes(audit, stretch, &holes, err);

	*ret = '\0';
	if (holes.count > 0)
		snprintf(ret, 240, "; the log has nothing at %s", positions_text(&holes, text));
	else if (stretch->matching > settled && stretch->row && stretch->behind.count > 0)
		snprintf(ret, 240, "; behind the last one that was processed they are at %s",
			 positions_text(&stretch->behind, text));
	else if (stretch->matching > 0)
		snprintf(ret, 240, "; the first of them is at %lld, the last at %lld",
			 (long long)stretch->first, (long long)stretch->last);
	return status;
}

static tide_status count_judge(struct audit *audit, const struct audit_stretch *stretch,
			       struct tide_error *err)
{
	int64_t discarded = stretch->segment->discarded;
	int64_t settled = stretch->processed + discarded;
	char whose[60] = "it", narrow[240];
	audit->matching += stretch->matching;
	audit->processed += stretch->processed;
	audit->discarded += discarded;
	if (stretch->matching == settled)
		return TIDE_OK;

	tide_status status = count_narrow(audit, stretch, settled, narrow, err);
	if (stretch->total > 1)
		snprintf(whose, sizeof whose, "its lane %u/%u", stretch->index, stretch->total);
	audit_find(audit,
		   "positions %lld to %lld hold %lld events for %s, %lld were settled "
		   "(processed %lld, of these dead letters: %lld unresolved, %lld resolved; "
		   "discarded %lld)%s",
		   (long long)(stretch->segment->from + 1), (long long)stretch->until,
		   (long long)stretch->matching, whose, (long long)settled,
		   (long long)stretch->processed, (long long)stretch->unresolved,
		   (long long)stretch->resolved, (long long)discarded, narrow);
	return status;
}

static tide_status count_find(struct count *count, struct tide_error *err)
{
	struct audit *audit = count->audit;
	char text[160];
	tide_status status = TIDE_OK;
	if (count->passed_over.count > 0)
		audit_find(audit,
			   "%lld events for it were passed over, by a start elsewhere or while "
			   "nothing was kept; the first of them are at %s",
			   (long long)count->passed_over.count,
			   positions_text(&count->passed_over, text));
	if (count->twice.count > 0)
		audit_find(audit, "%lld events were settled twice; the first of them are at %s",
			   (long long)count->twice.count, positions_text(&count->twice, text));

	for (size_t i = 0; status == TIDE_OK && i < audit->stretch_count; i++)
		if (audit->stretches[i].is_counted)
			status = count_judge(audit, &audit->stretches[i], err);
	return status;
}

tide_status audit_count(struct audit *audit, struct tide_error *err)
{
	struct count count = { .audit = audit };
	if (audit->segment_count == 0) {
		audit_find(audit, "nothing was kept to compare with: it has not run since 'tide "
				  "init' made the table projection_segments, or since it was "
				  "reset or accepted");
		return TIDE_OK;
	}

	if (audit->letter_count > 0)
		qsort(audit->letters, audit->letter_count, sizeof *audit->letters,
		      count_compare_letters);
	tide_status status = count_open_stretches(&count, err);
	audit->behind = count.from;
	if (status == TIDE_OK)
		status = count_sort(&count, err);
	if (status == TIDE_OK)
		status = count_read(&count, err);
	if (status == TIDE_OK)
		status = count_find(&count, err);
	count_fini(&count);
	return status;
}
