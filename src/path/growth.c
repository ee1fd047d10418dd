/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How fast a store grows.
 *
 * What was stored in the last seconds is found by halving: positions and the times at which they
 * were stored grow together, so a rate costs some twenty look-ups of one event, however many there
 * are, and one where nothing is new.
 */
#include "path/growth.h"

/* The newest event at or below a position; `*ret_position` 0: there is none. */
static tide_status growth_look(struct tide_store *store, tide_position position,
			       tide_position *ret_position, struct tide_time *ret_stored_at,
			       struct tide_error *err)
{
	struct tide_query query = { .backward = true,
				    .before = tide_bound(position + 1),
				    .limit = tide_bound(1) };
	const struct tide_event *event = NULL;
	struct tide_reader *reader;

	tide_status status = tide_store_read(store, &query, &reader, err);
	if (status != TIDE_OK)
		return status;
	status = tide_reader_next(reader, &event, err);
	*ret_position = event ? event->position : 0;
	if (event)
		*ret_stored_at = event->stored_at;
	tide_reader_close(reader);
	return status;
}

tide_status growth_since(struct tide_store *store, tide_position end, int64_t since_us,
			 int64_t *ret, struct tide_error *err)
{
	/* up to `old` all were stored before it, from `recent` on after it */
	tide_position old = 0, recent = end + 1, at = end, step = 1, found;
	tide_status status = TIDE_OK;
	struct tide_time stored;

	while (status == TIDE_OK && recent - old > 1) {
		status = growth_look(store, at, &found, &stored, err);
		if (status != TIDE_OK)
			break;
		bool is_new = found > old && stored.unix_us > since_us;
		if (is_new)
			recent = found;
		else
			old = at;
		bool is_galloping = old == 0 && recent - step > 1;
		at = is_galloping ? recent - step : old + (recent - old) / 2;
		step = is_galloping ? step * 2 : step;
	}
	*ret = end + 1 - recent;
	return status;
}
