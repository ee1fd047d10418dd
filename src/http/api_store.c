/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How far a store is, and how fast it grows.
 *
 * What was stored in the last seconds is found by halving: positions and the times at which they
 * were stored grow together, so a rate costs some twenty look-ups of one event, however many there
 * are, and one where nothing is new.
 */
#include <stdio.h>

#include "http/api.h"

#include "sys/clock.h"

/* The newest event at or below a position; `*ret_position` 0: there is none. */
static tide_status store_look(struct tide_store *store, tide_position position,
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

/* How many positions up to `end` were stored after a moment. */
static tide_status store_count_since(struct tide_store *store, tide_position end, int64_t since_us,
				     int64_t *ret, struct tide_error *err)
{
	/* up to `old` all were stored before it, from `recent` on after it */
	tide_position old = 0, recent = end + 1, at = end, step = 1, found;
	tide_status status = TIDE_OK;
	struct tide_time stored;

	while (status == TIDE_OK && recent - old > 1) {
		status = store_look(store, at, &found, &stored, err);
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

static tide_status store_write(struct api_call *call, struct buffer *body, struct tide_error *err)
{
	static const int seconds[] = { 1, 10, 60 };
	int64_t now = clock_wall(&clock_system).unix_us, count = 0;
	tide_position end;

	tide_status status = tide_store_end(call->store, &end, err);
	json_open(body, '{');
	json_add_string(body, "url", tide_store_url(call->store));
	json_add_integer(body, "global_position", status == TIDE_OK ? end : 0);
	json_key(body, "events_per_second");
	json_open(body, '{');
	for (int i = 0; status == TIDE_OK && i < 3; i++) {
		char key[8];
		snprintf(key, sizeof key, "%d", seconds[i]);
		status = store_count_since(call->store, end, now - seconds[i] * INT64_C(1000000),
					   &count, err);
		json_add_number(body, key, (double)count / seconds[i], 2);
	}
	json_close(body, '}');
	if (call->pin->name) {
		json_add_string(body, "store", call->pin->name);
	}
	json_close(body, '}');
	return status;
}

void route_store(struct http_job *job)
{
	struct tide_error err;
	struct api_call call;

	if (!api_begin(job, &call))
		return;
	if (store_write(&call, api_answer(job), &err) == TIDE_OK)
		api_close(job);
	else
		reply_fail(&job->reply, &err, NULL);
	api_end(&call);
}

void route_stores(struct http_job *job)
{
	struct http_pins pins;
	struct tide_error err;
	if (sources_pin(job->server->sources, &pins, &err) != TIDE_OK) {
		reply_fail(&job->reply, &err, NULL);
		return;
	}

	struct buffer *body = api_answer(job);
	json_open(body, '{');
	json_key(body, "stores");
	json_open(body, '[');
	for (size_t i = 0; i < pins.count; i++) {
		json_open(body, '{');
		json_add_string(body, "store", pins.items[i].name);
		json_add_bool(body, "is_open", pins.items[i].manager != NULL);
		json_add_string(body, "error",
				pins.items[i].manager || pins.items[i].error.status == TIDE_OK
					? NULL
					: pins.items[i].error.message);
		json_close(body, '}');
	}
	json_close(body, ']');
	json_close(body, '}');
	api_close(job);
	sources_unpin(job->server->sources, &pins);
}
