/* SPDX-License-Identifier: Apache-2.0 */
/* Whole requests to the routes of a server, whose store is in memory: who may ask, parameters,
 * fields and bodies. No socket is used. */
#include "target.h"

#include <stdlib.h>

#include <tidemark/tidemark.h>

#include "http/http.h"
#include "sys/alloc.h"

#define TOKEN "token-of-the-fuzzer-0123"
#define STORED_MAX 10000 /* events, until the store is another one */

static struct {
	struct tide_store *store;
	struct tide_manager *manager;
	struct tide_http *http;
} scene;

static void must(tide_status status)
{
	assert(status == TIDE_OK);
}

static tide_status handle(void *self, const struct tide_event *event,
			  struct tide_delivery *delivery)
{
	(void)self;
	(void)event;
	(void)delivery;
	return TIDE_OK;
}

static void scene_close(void)
{
	tide_http_close(scene.http);
	tide_manager_close(scene.manager);
	tide_store_close(scene.store);
}

static void scene_open(void)
{
	const struct tide_subscriber subscriber = { .name = "one", .handle = handle };
	must(tide_store_open("memory:", NULL, &scene.store, NULL));
	must(tide_manager_open(TIDE_MANAGER(.store = scene.store), &scene.manager, NULL));
	must(tide_manager_subscribe(scene.manager, &subscriber, NULL, NULL, NULL));
	must(tide_manager_run(scene.manager, 60, NULL));
	must(tide_http_open(scene.manager, TIDE_HTTP(.address = "127.0.0.1:0", .token = TOKEN),
			    &scene.http, NULL));
}

static void scene_make(void)
{
	tide_position end = 0;
	if (!scene.store)
		atexit(scene_close);
	else if (tide_store_end(scene.store, &end, NULL) == TIDE_OK && end < STORED_MAX)
		return;
	else
		scene_close();
	scene_open();
}

/* Each line of the head is one, and JSON is JSON. */
static void check_reply(const struct http_reply *reply)
{
	assert(reply->status >= 200 && reply->status < 600 && !reply->body.failed);
	for (const char *at = reply->fields; *at;) {
		const char *end = strstr(at, "\r\n");
		assert(end && memchr(at, ':', (size_t)(end - at)));
		assert(!memchr(at, '\n', (size_t)(end - at)));
		at = end + 2;
	}
	struct tide_text body = { reply->body.data, reply->body.size };
	if (reply->type && strstr(reply->type, "json"))
		must(json_check(body, false, "the answer", NULL));
}

static void ask(struct http_job *job)
{
	char allowed[32];
	struct http_refusal refusal = target_read(job->head.target, &job->target);
	if (refusal.status == 0)
		refusal = route_find(&http_routes, &job->head, &job->target, &job->route, allowed);
	if (refusal.status != 0)
		return;

	const struct tide_text *shown = head_field(&job->head, "Authorization");
	if (guard_admit(&scene.http->guard, job->route, &job->head, &job->target, &job->reply)) {
		assert(job->route->access != HTTP_ACCESS_CHANGE ||
		       (shown && shown->size == sizeof "Bearer " TOKEN - 1));
		job->route->run(job);
	} else {
		assert(job->reply.status >= 400);
	}
	if (!job->stream)
		check_reply(&job->reply);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	struct http_scan scan = { 0 };
	size_t found = 0;
	if (head_scan(&scan, text, size, &found).status != 0 || found == 0)
		return 0;

	scene_make();
	struct http_job *job = alloc_zero(1, sizeof *job);
	job->server = scene.http;
	job->head_text = alloc_text(text, found);
	buffer_add(&job->body, text + found, size - found);
	if (head_read(job->head_text, found, &job->head).status == 0)
		ask(job);
	job_free(job);
	return 0;
}
