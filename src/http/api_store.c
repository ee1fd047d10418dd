/* SPDX-License-Identifier: Apache-2.0 */
/* How far a store is, and how fast it grows. */
#include <stdio.h>

#include "http/api.h"

#include "path/growth.h"
#include "sys/clock.h"

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
		status = growth_since(call->store, end, now - seconds[i] * INT64_C(1000000), &count,
				      err);
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
