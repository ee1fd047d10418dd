/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The calls of each lane in the order in which they began: one that began while a call of another
 * member was still in hand is an overlap. It is allowed when the call in hand was so when its
 * member froze, was cut off or lost the server, once a lane for each such spell; and nothing that
 * such a call wrote may be there. Where an ownership ends with its process alone, none is allowed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chaos.h"
#include "lib/must.h"

#define OPEN 64 /* calls of a lane at once; more than one only of members that are frozen */
#define AT_ONCE INT64_C(20000000) /* ns: before anybody can have given a lane back */
#define ENOUGH 20                 /* faults that are printed */

static const char *const why_names[CHAOS_WHYS] = { "frozen", "cut off", "without the server",
						   "starved" };

/** A call, as it is looked at. */
struct look {
	uint64_t number;
	uint32_t member, group, lane;
	int64_t began, ended;
	const struct chaos_spell *spell; /* that excuses it */
};

struct check {
	struct fixture *f;
	const struct chaos_events *happened;
	size_t count;
	struct look *looks;
	size_t faults;
	size_t overlaps, excused[CHAOS_WHYS];
};

void chaos_add(struct chaos_events *happened, struct chaos_spell spell)
{
	if (happened->spell_count == happened->spell_capacity) {
		happened->spell_capacity = 2 * happened->spell_capacity + 64;
		happened->spells = realloc(happened->spells,
					   happened->spell_capacity * sizeof *happened->spells);
		assert_non_null(happened->spells);
	}
	happened->spells[happened->spell_count++] = spell;
}

/* What a member found of itself; that it was frozen is known. */
static void check_add_gaps(struct chaos_events *happened, const struct chaos_record *record)
{
	uint64_t count = atomic_load(&record->gap_count);
	size_t known = happened->spell_count;
	for (uint64_t i = 0; i < count; i++) {
		const struct chaos_gap *gap = &record->gaps[i];
		uint32_t member = atomic_load(&gap->member);
		bool was_frozen = member == 0;
		for (size_t at = 0; at < known && !was_frozen; at++) {
			const struct chaos_spell *spell = &happened->spells[at];
			was_frozen = spell->why == CHAOS_FROZEN && spell->member == member &&
				     spell->began >= gap->began && spell->began <= gap->ended;
		}
		if (!was_frozen)
			chaos_add(happened, (struct chaos_spell){ .why = CHAOS_STARVED,
								  .member = member,
								  .began = gap->began,
								  .until = gap->ended,
								  .ended = gap->ended });
	}
}

/* ---- Calls ----------------------------------------------------------------------------------- */

static int look_compare(const void *a, const void *b)
{
	const struct look *left = a, *right = b;
	if (left->group != right->group)
		return left->group < right->group ? -1 : 1;
	if (left->lane != right->lane)
		return left->lane < right->lane ? -1 : 1;
	return left->began < right->began ? -1 : left->began > right->began;
}

/* One that has no end ended with its process. */
static void check_load(struct check *check, const struct chaos_record *record)
{
	uint64_t count = atomic_load(&record->count);
	check->looks = calloc(count + 1, sizeof *check->looks);
	assert_non_null(check->looks);
	for (uint64_t i = 0; i < count; i++) {
		const struct chaos_call *call = &record->calls[i];
		int64_t began = atomic_load(&call->began), ended = atomic_load(&call->ended);
		if (began == 0)
			continue;
		if (ended == 0)
			ended = check->happened->deaths[call->member];
		check->looks[check->count++] = (struct look){
			.number = i,
			.member = call->member,
			.group = call->group,
			.lane = call->lane,
			.began = began,
			.ended = ended,
		};
	}
	qsort(check->looks, check->count, sizeof *check->looks, look_compare);
}

static void check_tell(struct check *check, const char *what, const struct look *in_hand,
		       const struct look *other)
{
	if (check->faults++ >= ENOUGH)
		return;
	print_message("%s: lane %u of '%s': call %llu of member %u, %.3f to %.3f s, and %llu of "
		      "member %u, %.3f to %.3f s\n",
		      what, other->lane, chaos_names[other->group],
		      (unsigned long long)in_hand->number, in_hand->member,
		      (double)in_hand->began / 1e9, (double)in_hand->ended / 1e9,
		      (unsigned long long)other->number, other->member, (double)other->began / 1e9,
		      (double)other->ended / 1e9);
}

static const struct chaos_spell *spell_of(const struct check *check, const struct look *call)
{
	for (size_t i = 0; i < check->happened->spell_count; i++) {
		const struct chaos_spell *spell = &check->happened->spells[i];
		if ((spell->member == 0 || spell->member == call->member) &&
		    call->began <= spell->until && call->ended >= spell->began)
			return spell;
	}
	return NULL;
}

/* Whether another call of this lane and member has the same excuse. */
static bool is_excused_twice(const struct look *first, const struct look *call)
{
	for (const struct look *at = first; at < call; at++)
		if (at->spell == call->spell && at->member == call->member)
			return true;
	return false;
}

static void check_overlap(struct check *check, const struct look *first, struct look *in_hand,
			  const struct look *other)
{
	check->overlaps++;
	if (in_hand->spell)
		return;
	bool is_allowed = strcmp(check->f->backend->name, "postgres") == 0;
	in_hand->spell = is_allowed ? spell_of(check, in_hand) : NULL;
	if (!in_hand->spell)
		check_tell(check, "two members in one lane", in_hand, other);
	else if (is_excused_twice(first, in_hand))
		check_tell(check, "a call followed the one that was in hand", in_hand, other);
	else
		check->excused[in_hand->spell->why]++;
}

/* From `first` on, all of one lane; `open` are those that have not ended when another begins. */
static void check_lane(struct check *check, struct look *first, size_t count)
{
	struct look *open[OPEN];
	size_t open_count = 0;
	for (size_t i = 0; i < count; i++) {
		size_t kept = 0;
		for (size_t at = 0; at < open_count; at++) {
			if (open[at]->ended <= first[i].began)
				continue;
			open[kept++] = open[at];
			if (open[at]->member != first[i].member)
				check_overlap(check, first, open[at], &first[i]);
		}
		open_count = kept;
		assert_in_range(open_count, 0, OPEN - 1);
		open[open_count++] = &first[i];
	}
}

/* Whether another member was called in this lane while this one was frozen, and is again behind a
 * call that this one began as soon as it went on. */
static bool is_behind_back(const struct look *first, size_t count, size_t at,
			   const struct chaos_spell *spell)
{
	const struct look *call = &first[at];
	size_t before = at;
	if (spell->why != CHAOS_FROZEN || call->member != spell->member ||
	    call->began < spell->ended || call->began > spell->ended + AT_ONCE)
		return false;
	while (before > 0 && first[before - 1].member == call->member)
		before--;
	return before > 0 && first[before - 1].began > spell->began && at + 1 < count &&
	       first[at + 1].member == first[before - 1].member;
}

static void check_comebacks(struct check *check, const struct look *first, size_t count)
{
	for (size_t i = 0; i < check->happened->spell_count; i++) {
		const struct chaos_spell *spell = &check->happened->spells[i];
		for (size_t at = 0; spell->ended > 0 && at < count; at++)
			if (is_behind_back(first, count, at, spell))
				check_tell(check, "a call of one that is not the owner any more",
					   &first[at], &first[at + 1]);
	}
}

static void check_overlaps(struct check *check)
{
	size_t first = 0;
	for (size_t i = 1; i <= check->count; i++) {
		const struct look *before = &check->looks[first], *at = &check->looks[i];
		if (i < check->count && at->group == before->group && at->lane == before->lane)
			continue;
		check_lane(check, &check->looks[first], i - first);
		check_comebacks(check, &check->looks[first], i - first);
		first = i;
	}
}

/* ---- Of whom nobody hears -------------------------------------------------------------------- */

static bool is_starved(const struct check *check, const struct look *call)
{
	for (size_t i = 0; i < check->happened->spell_count; i++) {
		const struct chaos_spell *spell = &check->happened->spells[i];
		if (spell->why == CHAOS_STARVED && spell->member == call->member &&
		    call->began >= spell->began && call->began <= spell->ended + AT_ONCE)
			return true;
	}
	return false;
}

/* When the last call began of a member that was cut off for longer than it may call anybody; 0:
 * none. */
static int64_t check_last_call(struct check *check, const struct chaos_spell *spell)
{
	int64_t last = 0;
	for (size_t i = 0; i < check->count; i++) {
		const struct look *call = &check->looks[i];
		if (call->member != spell->member || call->began <= spell->began ||
		    call->began >= spell->ended)
			continue;
		if (call->began > spell->until + AT_ONCE && !is_starved(check, call))
			check_tell(check, "a call of one that could not renew", call, call);
		if (call->began > last)
			last = call->began;
	}
	return last;
}

static int time_compare(const void *a, const void *b)
{
	const int64_t *left = a, *right = b;
	return *left < *right ? -1 : *left > *right;
}

static void check_cut_off(struct check *check)
{
	size_t count = 0;
	int64_t *times = calloc(check->happened->spell_count + 1, sizeof *times);
	assert_non_null(times);
	for (size_t i = 0; i < check->happened->spell_count; i++) {
		const struct chaos_spell *spell = &check->happened->spells[i];
		if (spell->why != CHAOS_CUT_OFF || spell->ended <= spell->until)
			continue;
		int64_t last = check_last_call(check, spell);
		times[count++] = last == 0 ? 0 : last - spell->began;
	}
	qsort(times, count, sizeof *times, time_compare);
	if (count > 0)
		print_message("%zu were cut off for longer than they may call: the last call began "
			      "%.3f s later, median, and %.3f s at most\n",
			      count, (double)times[count / 2] / 1e9,
			      (double)times[count - 1] / 1e9);
	free(times);
}

/* ---- What is committed ----------------------------------------------------------------------- */

static void check_number(struct check *check, const char *what, const char *sql)
{
	int64_t number = fixture_number(check->f, sql);
	if (number == 0)
		return;
	print_message("%s: %lld\n", what, (long long)number);
	check->faults++;
}

static void check_model(struct check *check)
{
	check_number(check, "events the read model lacks",
		     "SELECT count(*) FROM events e JOIN streams s ON s.id = "
		     "CAST(e.aggregate_id AS text) LEFT JOIN seen ON seen.aggregate = s.number AND "
		     "seen.version = e.version WHERE seen.version IS NULL");
	check_number(check, "rows too many in the read model",
		     "SELECT (SELECT count(*) FROM seen) - (SELECT count(*) FROM (SELECT DISTINCT "
		     "aggregate, version FROM seen) AS once)");
	check_number(check, "rows of no event",
		     "SELECT (SELECT count(*) FROM (SELECT DISTINCT aggregate, version FROM seen) "
		     "AS once) - (SELECT count(*) FROM events)");
	check_number(check, "versions that do not ascend",
		     "SELECT count(*) FROM (SELECT version, lag(version) OVER (PARTITION BY "
		     "aggregate ORDER BY serial) AS before FROM seen) AS steps WHERE before >= "
		     "version");
	check_number(check, "aggregates in several lanes",
		     "SELECT count(*) FROM (SELECT aggregate FROM seen GROUP BY aggregate HAVING "
		     "count(DISTINCT lane) > 1) AS several");
	check_number(check, "dead letters", "SELECT count(*) FROM dead_letter_queue");
}

static void check_excused(struct check *check)
{
	for (size_t i = 0; i < check->count; i++) {
		char sql[100];
		const struct look *call = &check->looks[i];
		if (!call->spell || call->group != CHAOS_MODEL)
			continue;
		snprintf(sql, sizeof sql, "SELECT count(*) FROM seen WHERE call = %llu",
			 (unsigned long long)call->number);
		if (fixture_number(check->f, sql) != 0)
			check_tell(check, "a call that overlapped is committed", call, call);
	}
}

/* ---- What was called without a transaction --------------------------------------------------- */

/* A call came to its end for each event, and none began before one of the version before had. */
static void check_plain(struct check *check, const struct chaos_record *record)
{
	int64_t reached[CHAOS_AGGREGATES] = { 0 }, total = 0;
	uint64_t count = atomic_load(&record->count);
	for (size_t i = 0; i < check->count; i++) {
		const struct look *look = &check->looks[i];
		const struct chaos_call *call = &record->calls[look->number];
		if (look->group != CHAOS_PLAIN || atomic_load(&call->ended) == 0)
			continue;
		assert_in_range(call->aggregate, 0, CHAOS_AGGREGATES - 1);
		if (call->version > reached[call->aggregate] + 1)
			check_tell(check, "an event before its predecessor", look, look);
		if (call->version > reached[call->aggregate])
			reached[call->aggregate] = call->version;
	}
	for (size_t i = 0; i < CHAOS_AGGREGATES; i++)
		total += reached[i];
	if (total != fixture_number(check->f, "SELECT count(*) FROM events")) {
		print_message("%lld events were handled by '%s', of %llu calls\n", (long long)total,
			      chaos_names[CHAOS_PLAIN], (unsigned long long)count);
		check->faults++;
	}
}

void chaos_check(struct fixture *f, const struct chaos_record *record,
		 struct chaos_events *happened)
{
	struct check check = { .f = f, .happened = happened };
	check_add_gaps(happened, record);
	check_load(&check, record);
	check_overlaps(&check);
	check_cut_off(&check);
	check_model(&check);
	check_excused(&check);
	check_plain(&check, record);
	print_message("%zu calls, %zu overlaps:", check.count, check.overlaps);
	for (int why = 0; why < CHAOS_WHYS; why++)
		print_message(" %zu calls in hand %s%s", check.excused[why], why_names[why],
			      why + 1 < CHAOS_WHYS ? "," : "\n");
	free(check.looks);
	if (check.faults > 0)
		fail_msg("%zu faults", check.faults);
}
