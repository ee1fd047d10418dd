/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lanes of a name, found among the rows of the checkpoints by their names, NAME#i/L.
 *
 * Failure modes: a name has rows of another number of lanes than it is started with: the start is
 * refused, since it would handle again what those have settled.
 */
#include "path/family.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "path/port.h"
#include "sys/alloc.h"

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
		if (strcmp(rows[i].projection_name, name) == 0)
			return true;
	return false;
}

/* Every lane of that number has a row; a few partitions by hand are no such family. */
static bool family_is_whole(const char *name, const struct tide_checkpoint *rows, size_t count,
			    uint32_t total)
{
	uint32_t found = 0;
	for (size_t i = 0; i < count; i++) {
		struct tide_lane lane;
		found += family_has(name, rows[i].projection_name, &lane) && lane.total == total;
	}
	return total > 0 && found == total;
}

tide_status family_check_start(const struct tide_store *database, void *session, const char *name,
			       uint32_t lanes, struct tide_error *err)
{
	struct tide_checkpoint *rows ALLOC_AUTO = NULL;
	size_t count = 0;
	tide_status status = port_list(database, session, &rows, &count, err);
	if (status != TIDE_OK)
		return status;

	uint32_t before = family_lanes(name, rows, count);
	if (lanes > 1 && family_has_row(name, rows, count))
		return tide_fail(err, TIDE_STATE,
				 "'%s' has a checkpoint without lanes, and %u lanes would handle "
				 "everything again",
				 name, lanes);
	if (lanes > 1 ? before != 0 && before != lanes : family_is_whole(name, rows, count, before))
		return tide_fail(err, TIDE_STATE,
				 "'%s' has checkpoints of %u lanes, and %u would handle everything "
				 "again",
				 name, before, lanes);
	return TIDE_OK;
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
	if (total == 0 || family_has_row(name, rows, count))
		return TIDE_OK;
	return tide_fail(
		err, TIDE_UNSUPPORTED,
		"'%s' has %u lanes, each with a checkpoint of its own: say which, '%s#0/%u' "
		"to '%s#%u/%u'",
		name, total, name, total, name, total - 1, total);
}
