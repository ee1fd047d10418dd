/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lanes of a name, found among the rows of the checkpoints by their names, NAME#i/L, and what
 * becomes of them when their number changes.
 *
 * Happy path: nobody with another number lives, so all rows of the new lanes are written at once,
 * each where policy/inherit.c says; the old ones stay until every new lane has passed them.
 * Failure modes: somebody with another number lives, or something changes meanwhile: nothing is
 * written, and whoever asks stands by. The name has partitions by hand: refused.
 */
#include "path/family.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "path/journal.h"
#include "path/port.h"
#include "path/segments.h"
#include "sys/alloc.h"
#include "sys/log.h"

/* Digits without a sign, a blank or a leading zero. */
static bool family_read_number(const char **at, uint32_t *ret)
{
	char *end;
	if (**at < '0' || **at > '9' || (**at == '0' && (*at)[1] >= '0' && (*at)[1] <= '9'))
		return false;
	unsigned long number = strtoul(*at, &end, 10);
	*at = end;
	*ret = (uint32_t)number;
	return number <= UINT32_MAX;
}

bool family_has(const char *name, const char *row_name, struct tide_lane *ret)
{
	size_t size = strlen(name);
	if (strncmp(name, row_name, size) != 0 || row_name[size] != '#')
		return false;
	const char *at = row_name + size + 1;
	struct tide_lane lane;
	if (!family_read_number(&at, &lane.index) || *at++ != '/' ||
	    !family_read_number(&at, &lane.total) || *at || lane.total < 2 ||
	    lane.index >= lane.total)
		return false;
	*ret = lane;
	return true;
}

uint32_t family_lanes(const char *name, const struct tide_checkpoint *rows, size_t count)
{
	struct tide_time newest = { .unix_us = INT64_MIN };
	uint32_t total = 0;
	for (size_t i = 0; i < count; i++) {
		struct tide_lane lane;
		if (!family_has(name, rows[i].projection_name, &lane) ||
		    rows[i].updated_at.unix_us <= newest.unix_us)
			continue;
		newest = rows[i].updated_at;
		total = lane.total;
	}
	return total;
}

static bool family_has_row(const char *name, const struct tide_checkpoint *rows, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (rows[i].has_position && strcmp(rows[i].projection_name, name) == 0)
			return true;
	return false;
}

/* ---- Reading it ------------------------------------------------------------------------------ */

/** The rows of a name and of its lanes, whatever their number. */
struct family {
	struct tide_checkpoint *list;
	size_t count;
};

static void family_fini(struct family *family)
{
	tide_free(family->list);
}
#define FAMILY_AUTO __attribute__((cleanup(family_fini)))

static tide_status family_read(const struct tide_store *database, void *session, const char *name,
			       struct family *ret, struct tide_error *err)
{
	size_t count = 0;
	tide_status status = port_list(database, session, &ret->list, &count, err);
	struct tide_lane lane;
	for (size_t i = 0; status == TIDE_OK && i < count; i++)
		if (strcmp(ret->list[i].projection_name, name) == 0 ||
		    family_has(name, ret->list[i].projection_name, &lane))
			ret->list[ret->count++] = ret->list[i];
	return status;
}

static struct inherit_lane family_lane(const char *name, const struct tide_checkpoint *row)
{
	struct tide_lane lane;
	return family_has(name, row->projection_name, &lane)
		       ? (struct inherit_lane){ lane.index, lane.total }
		       : (struct inherit_lane){ 0, 1 };
}

/* Those of them that a choice leaves, as inheritance has them; NULL: memory is out. */
static struct inherit_row *family_rows(const char *name, const struct family *family)
{
	struct inherit_row *rows = alloc_zero(family->count + 1, sizeof *rows);
	for (size_t i = 0; rows && i < family->count; i++)
		rows[i] = (struct inherit_row){ family_lane(name, &family->list[i]),
						family->list[i].has_position,
						family->list[i].position };
	return rows;
}

const struct tide_checkpoint *family_slowest(const char *name, uint32_t lanes,
					     const struct tide_checkpoint *rows, size_t count,
					     int64_t *ret_processed)
{
	const struct tide_checkpoint *slowest = NULL;
	uint32_t total = lanes ? lanes : family_lanes(name, rows, count);
	struct tide_lane lane;
	*ret_processed = 0;
	for (size_t i = 0; i < count; i++) {
		if (!family_has(name, rows[i].projection_name, &lane) || lane.total != total)
			continue;
		*ret_processed += rows[i].events_processed;
		if (!slowest || rows[i].position < slowest->position)
			slowest = &rows[i];
	}
	return slowest;
}

tide_status family_group(const struct tide_store *database, void *session, const char *name,
			 struct tide_group *ret, struct tide_error *err)
{
	struct tide_error why;
	*ret = (struct tide_group){ .lanes = 0 };
	tide_status status = port_group_get(database, session, name, ret, &why);
	if (status == TIDE_UNSUPPORTED)
		log_at(TIDE_LOG_NOTICE, "subscription", "whether it had lanes cannot be seen",
		       "name='%s' error='%s'", name, why.message);
	if (status == TIDE_NOT_FOUND || status == TIDE_UNSUPPORTED)
		return TIDE_OK;
	if (status != TIDE_OK && err)
		*err = why;
	return status;
}

tide_status family_inherit(const struct tide_store *database, void *session,
			   const struct family_heir *heir, struct inherit_row **ret,
			   size_t *ret_count, struct tide_error *err)
{
	FAMILY_AUTO struct family family = { 0 };
	tide_status status = family_read(database, session, heir->name, &family, err);
	if (status != TIDE_OK)
		return status;
	struct inherit_row *rows = family_rows(heir->name, &family);
	if (!rows)
		return alloc_fail(err);

	size_t old = 0;
	for (size_t i = 0; i < family.count; i++)
		if (rows[i].lane.total != heir->lane.total)
			rows[old++] = rows[i];
	*ret = rows;
	*ret_count = inherit_choose(rows, old, heir->lane, heir->position);
	return TIDE_OK;
}

/* ---- Another number -------------------------------------------------------------------------- */

/* A name with the greatest numbers behind it. */
#define FAMILY_NAME_SIZE (TIDE_NAME_MAX + 1 + sizeof "#4294967295/4294967295")

/* Of a lane; a total of 1 is the name itself. */
static void family_write_name(char ret[FAMILY_NAME_SIZE], const char *name, uint32_t index,
			      uint32_t total)
{
	if (total == 1)
		snprintf(ret, FAMILY_NAME_SIZE, "%s", name);
	else
		snprintf(ret, FAMILY_NAME_SIZE, "%.255s#%u/%u", name, index, total);
}

/** A change as it is put together, in one block behind it. */
struct family_change {
	struct tide_group_change change;
	struct tide_group_row *before, *after;
	char (*names)[FAMILY_NAME_SIZE];
};

static void family_change_fini(struct family_change *self)
{
	tide_free(self->before);
	tide_free(self->after);
	tide_free(self->names);
}
#define FAMILY_CHANGE_AUTO __attribute__((cleanup(family_change_fini)))

static void family_put_absent(struct family_change *plan, const char *name)
{
	struct tide_group_change *change = &plan->change;
	for (size_t i = 0; i < change->before_count; i++)
		if (strcmp(change->before[i].name, name) == 0)
			return;
	plan->before[change->before_count++] = (struct tide_group_row){ .name = name };
}

/* All that were read; and which were not there: the plain name, which somebody may own who has
 * saved nothing yet, and the new lanes, which somebody else may have begun with meanwhile. */
static void family_put_before(struct family_change *plan, const struct family *family)
{
	struct tide_group_change *change = &plan->change;
	change->before = plan->before;
	for (size_t i = 0; i < family->count; i++)
		plan->before[change->before_count++] = (struct tide_group_row){
			.name = family->list[i].projection_name,
			.has_row = true,
			.has_position = family->list[i].has_position,
			.position = family->list[i].position,
		};
	family_put_absent(plan, change->name);
	for (size_t i = 0; i < change->after_count; i++)
		family_put_absent(plan, change->after[i].name);
}

/* The event that a position stands on, as the row of that position has it. */
static struct tide_anchor family_anchor(const struct family *family, tide_position position)
{
	for (size_t i = 0; i < family->count; i++)
		if (family->list[i].has_position && family->list[i].position == position)
			return family->list[i].anchor;
	return (struct tide_anchor){ 0 };
}

/* The first row of the name, whatever its lanes; behind `now`: nobody has begun any. */
static struct tide_time family_created(const struct family *family, struct tide_time now)
{
	struct tide_time first = now;
	bool has_begun = false;
	for (size_t i = 0; i < family->count; i++) {
		const struct tide_checkpoint *row = &family->list[i];
		has_begun |= row->events_processed > 0 ||
			     row->created_at.unix_us <= row->updated_at.unix_us;
		if (row->created_at.unix_us < first.unix_us)
			first = row->created_at;
	}
	return has_begun ? first : (struct tide_time){ now.unix_us + 1 };
}

static tide_status family_plan(struct family_change *plan, const struct family_wish *wish,
			       uint32_t before, const struct family *family, struct tide_error *err)
{
	ALLOC_AUTO struct inherit_row *rows = family_rows(wish->name, family);
	plan->before = alloc_zero(family->count + wish->lanes + 1, sizeof *plan->before);
	plan->after = alloc_zero(wish->lanes, sizeof *plan->after);
	plan->names = alloc_zero(wish->lanes, sizeof *plan->names);
	if (!rows || !plan->before || !plan->after || !plan->names)
		return alloc_fail(err);

	for (uint32_t i = 0; i < wish->lanes; i++) {
		struct inherit_lane lane = { i, wish->lanes };
		tide_position position =
			inherit_begin(rows, family->count, before ? before : 1, lane, wish->start);
		family_write_name(plan->names[i], wish->name, i, wish->lanes);
		plan->after[i] =
			(struct tide_group_row){ .name = plan->names[i],
						 .has_position = true,
						 .position = position,
						 .anchor = family_anchor(family, position) };
	}

	struct tide_time created = family_created(family, wish->now);
	plan->change = (struct tide_group_change){ .name = wish->name,
						   .lanes_before = before,
						   .lanes = wish->lanes,
						   .after = plan->after,
						   .after_count = wish->lanes,
						   .created = created,
						   .now = wish->now };
	family_put_before(plan, family);
	return TIDE_OK;
}

/* Nobody can prove what an old row had settled before anything was kept of it: an empty segment
 * says until where that is. */
static tide_status family_mark_row(const struct tide_store *database, void *session,
				   const struct tide_group_row *row, struct tide_time now,
				   struct tide_error *err)
{
	struct tide_segment_write write = { .name = row->name,
					    .should_begin = true,
					    .from = row->position,
					    .stored = row->position,
					    .filter = "{}",
					    .now = now };
	tide_status status = port_segment_turn(database, session, NULL, &write, err);
	if (status != TIDE_OK)
		return status;
	write.should_begin = false;
	write.should_end = true;
	write.until = row->position;
	return port_segment_turn(database, session, NULL, &write, err);
}

/* `*ret_is_kept`: something was kept of the row. */
static void family_put_open(struct tide_group_row *row, const struct tide_checkpoint *checkpoint,
			    const struct tide_segment *list, size_t count, bool *ret_is_kept)
{
	*ret_is_kept = false;
	for (size_t i = 0; i < count; i++) {
		if (strcmp(list[i].name, row->name) != 0)
			continue;
		*ret_is_kept = true;
		row->has_open = !list[i].has_ended;
		row->until = segment_reach(&list[i], checkpoint);
		row->processed = checkpoint->events_processed;
	}
}

/* What its rows have open ends where they stand. A role that may not look or write has kept
 * nothing. */
static tide_status family_put_segments(const struct tide_store *database, void *session,
				       struct family_change *plan, const struct family *family,
				       struct tide_error *err)
{
	struct tide_segment *list = NULL;
	struct tide_error why;
	size_t count = 0;
	tide_status status =
		segments_list_family(database, session, plan->change.name, &list, &count, &why);
	for (size_t i = 0; status == TIDE_OK && i < family->count; i++) {
		struct tide_group_row *row = &plan->before[i];
		bool is_kept;
		family_put_open(row, &family->list[i], list, count, &is_kept);
		if (!is_kept && row->has_position)
			status = family_mark_row(database, session, row, plan->change.now, &why);
	}
	tide_segments_free(list, count);
	if (status == TIDE_OK || status == TIDE_UNSUPPORTED)
		return TIDE_OK;
	*err = why;
	return status;
}

/* Whoever has given a name partitions by hand has made no family of it. */
static tide_status family_check_partitions(const char *name, const struct family *family,
					   struct tide_error *err)
{
	struct tide_lane lane;
	for (size_t i = 0; i < family->count; i++)
		if (family_has(name, family->list[i].projection_name, &lane))
			return tide_fail(err, TIDE_STATE,
					 "'%.200s' has partitions by hand ('%.255s'), which lanes "
					 "do not inherit from: delete their checkpoints, or choose "
					 "another name",
					 name, family->list[i].projection_name);
	return TIDE_OK;
}

/* By somebody else, since there was none. */
static bool family_is_made(const struct tide_store *database, void *session, const char *name)
{
	struct tide_group group;
	return family_group(database, session, name, &group, NULL) == TIDE_OK && group.lanes > 0;
}

/* What begins with lanes has changed nothing. */
static void family_tell(const struct tide_store *database, void *session,
			const struct family_wish *wish, uint32_t before, bool is_new)
{
	struct person person;
	char detail[64];
	uint32_t from = before ? before : 1;
	log_at(TIDE_LOG_NOTICE, "subscription", "the number of lanes was changed",
	       "name='%s' from=%u to=%u", wish->name, from, wish->lanes);
	if (is_new)
		return;
	person_find(&person);
	snprintf(detail, sizeof detail, "from %u to %u", from, wish->lanes);
	struct tide_journal_write entry = journal_entry(&person, NULL, "lanes", wish->name, detail);
	journal_try(database, session, &entry);
}

static tide_status family_change(const struct tide_store *database, void *session,
				 const struct family_wish *wish, uint32_t before, bool *ret,
				 struct tide_error *err)
{
	FAMILY_AUTO struct family family = { 0 };
	FAMILY_CHANGE_AUTO struct family_change plan = { .before = NULL };
	tide_status status = family_read(database, session, wish->name, &family, err);
	if (status == TIDE_OK && before == 0)
		status = family_check_partitions(wish->name, &family, err);
	if (status == TIDE_STATE && family_is_made(database, session, wish->name)) {
		*ret = false;
		return TIDE_OK;
	}
	if (status == TIDE_OK)
		status = family_plan(&plan, wish, before, &family, err);
	if (status == TIDE_OK)
		status = family_put_segments(database, session, &plan, &family, err);
	if (status == TIDE_OK)
		status = port_group_change(database, session, &plan.change, ret, err);
	if (status == TIDE_OK && *ret && before != wish->lanes)
		family_tell(database, session, wish, before, before == 0 && family.count == 0);
	return status;
}

/* Its rows are all gone, by a reset: the first to start decides once for all lanes where they
 * begin. While others live, each finds that out by itself. */
static tide_status family_begin_anew(const struct tide_store *database, void *session,
				     const struct family_wish *wish, struct tide_error *err)
{
	FAMILY_AUTO struct family family = { 0 };
	bool is_made;
	tide_status status = family_read(database, session, wish->name, &family, err);
	return status == TIDE_OK && family.count == 0
		       ? family_change(database, session, wish, wish->lanes, &is_made, err)
		       : status;
}

tide_status family_become(const struct tide_store *database, void *session,
			  const struct family_wish *wish, bool *ret, struct tide_error *err)
{
	struct tide_group group;
	tide_status status = family_group(database, session, wish->name, &group, err);
	uint32_t before = group.lanes;
	*ret = before == wish->lanes || (before == 0 && wish->lanes == 1);
	if (status == TIDE_OK && *ret && wish->lanes > 1)
		status = family_begin_anew(database, session, wish, err);
	if (status != TIDE_OK || *ret)
		return status;

	return family_change(database, session, wish, before, ret, err);
}

tide_status family_trim(const struct tide_store *database, void *session,
			const struct family_wish *wish, struct tide_time *ret,
			struct tide_error *err)
{
	FAMILY_AUTO struct family family = { 0 };
	struct tide_group group; /* read first: a change behind it has another time */
	tide_status status = family_group(database, session, wish->name, &group, err);
	if (status == TIDE_OK)
		status = family_read(database, session, wish->name, &family, err);
	if (status != TIDE_OK)
		return status;

	ALLOC_AUTO struct inherit_row *rows = family_rows(wish->name, &family);
	ALLOC_AUTO const char **spent = alloc_zero(family.count + 1, sizeof *spent);
	size_t count = 0, old = 0;
	if (!rows || !spent)
		return alloc_fail(err);
	for (size_t i = 0; i < family.count; i++) {
		bool is_old = rows[i].lane.total != wish->lanes;
		old += is_old;
		if (is_old && inherit_is_spent(&rows[i], rows, family.count, wish->lanes))
			spent[count++] = family.list[i].projection_name;
	}
	bool is_now = group.lanes == wish->lanes;
	status = port_group_forget(database, session, &group, spent, is_now ? count : 0, err);
	if (status == TIDE_OK)
		*ret = is_now && old == count ? group.changed_at : (struct tide_time){ 0 };
	return status;
}

/* Of a name that has no lanes any more: whether it has passed what they had settled. */
static tide_status family_has_passed(const struct tide_store *database, void *session,
				     const char *name, uint32_t total, struct tide_error *err)
{
	struct tide_group group;
	struct tide_time clean = { 0 };
	struct family_wish plain = { .name = name, .lanes = 1 };
	tide_status status = family_group(database, session, name, &group, err);
	if (status == TIDE_OK && group.lanes == 1)
		status = family_trim(database, session, &plain, &clean, err);
	if (status != TIDE_OK || group.lanes == 0 || clean.unix_us != 0)
		return status;
	return tide_fail(err, TIDE_UNSUPPORTED,
			 "'%s' has yet to pass what its %u lanes had settled: let it run to there, "
			 "or do this to '%s#0/%u' to '%s#%u/%u', too",
			 name, total, name, total, name, total - 1, total);
}

tide_status family_refuse(const struct tide_store *database, void *session, const char *name,
			  struct tide_error *err)
{
	struct tide_checkpoint *rows ALLOC_AUTO = NULL;
	size_t count = 0;
	tide_status status = port_list(database, session, &rows, &count, err);
	if (status != TIDE_OK)
		return status;
	uint32_t total = family_lanes(name, rows, count);
	if (total == 0)
		return TIDE_OK;
	if (family_has_row(name, rows, count))
		return family_has_passed(database, session, name, total, err);
	return tide_fail(
		err, TIDE_UNSUPPORTED,
		"'%s' has %u lanes, each with a checkpoint of its own: say which, '%s#0/%u' "
		"to '%s#%u/%u'",
		name, total, name, total, name, total - 1, total);
}

/* Whoever runs it trims, too, and more seldom. */
static tide_status family_check_passed(const struct tide_store *database, void *session,
				       const char *name, uint32_t lanes, struct tide_error *err)
{
	struct family_wish wish = { .name = name, .lanes = lanes };
	struct tide_time clean = { 0 };
	tide_status status = family_trim(database, session, &wish, &clean, err);
	if (status != TIDE_OK || clean.unix_us != 0)
		return status;
	return tide_fail(err, TIDE_UNSUPPORTED,
			 "'%.255s' has yet to pass in its %u lanes what it had settled with "
			 "another number of them: let it run to there",
			 name, lanes);
}

tide_status family_number(const struct tide_store *database, void *session, const char *name,
			  uint32_t *ret, struct tide_error *err)
{
	struct tide_group group;
	tide_status status = family_group(database, session, name, &group, err);
	if (status == TIDE_OK)
		status = group.lanes > 1
				 ? family_check_passed(database, session, name, group.lanes, err)
				 : family_refuse(database, session, name, err);
	if (status == TIDE_OK)
		*ret = group.lanes > 1 ? group.lanes : 1;
	return status;
}

/* ---- All of its names ------------------------------------------------------------------------ */

void family_names_fini(struct family_names *names)
{
	tide_free(names->list);
	tide_free(names->texts);
}

static void family_add_name(struct family_names *names, const char *name)
{
	char *at = names->texts + names->count * FAMILY_NAME_SIZE;
	for (size_t i = 0; i < names->count; i++)
		if (strcmp(names->list[i], name) == 0)
			return;
	snprintf(at, FAMILY_NAME_SIZE, "%s", name);
	names->list[names->count++] = at;
}

static tide_status family_fill_names(struct family_names *names, const char *name,
				     const struct family *family, struct tide_error *err)
{
	size_t most = names->lanes + family->count + 1;
	names->list = alloc_zero(most, sizeof *names->list);
	names->texts = alloc_zero(most, FAMILY_NAME_SIZE);
	if (!names->list || !names->texts)
		return alloc_fail(err);

	char lane[FAMILY_NAME_SIZE];
	for (uint32_t i = 0; i < (names->lanes ? names->lanes : 1); i++) {
		family_write_name(lane, name, i, names->lanes ? names->lanes : 1);
		family_add_name(names, lane);
	}
	for (size_t i = 0; names->lanes > 0 && i < family->count; i++)
		family_add_name(names, family->list[i].projection_name);
	return TIDE_OK;
}

tide_status family_names(const struct tide_store *database, void *session, const char *name,
			 struct family_names *ret, struct tide_error *err)
{
	FAMILY_AUTO struct family family = { 0 };
	struct tide_group group;
	tide_status status = family_group(database, session, name, &group, err);
	if (status == TIDE_OK && group.lanes == 0)
		status = family_refuse(database, session, name, err);
	if (status == TIDE_OK && group.lanes > 0)
		status = family_read(database, session, name, &family, err);
	if (status != TIDE_OK)
		return status;

	struct family_names names = { .lanes = group.lanes };
	status = family_fill_names(&names, name, &family, err);
	if (status == TIDE_OK)
		*ret = names;
	else
		family_names_fini(&names);
	return status;
}
