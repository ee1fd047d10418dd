/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Workers: what a request asks for is done here, so that the thread with the sockets never waits.
 *
 * Happy path: the loop gives a job to the queue of its lane; a thread of that lane runs the route's
 * handler; the loop takes the reply. Failure modes: databases hang: at most HTTP_WORKERS requests
 * wait for them, the others behind them, and probes have a thread of their own; memory runs out
 * while a reply is made: it says so.
 */
#include <assert.h>

#include "http/http.h"
#include "http/stream.h"

#include "sys/alloc.h"

void job_free(struct http_job *job)
{
	if (!job)
		return;
	if (job->stream)
		stream_drop(job->stream);
	reply_release(&job->reply);
	target_fini(&job->target);
	buffer_fini(&job->body);
	tide_free(job->head_text);
	tide_free(job);
}

static struct http_job *work_take_locked(struct http_queue *queue)
{
	struct http_job *job = queue->first;
	if (job) {
		queue->first = job->next;
		if (!queue->first)
			queue->last = &queue->first;
		job->next = NULL;
	}
	return job;
}

/* The next job of a lane; NULL: the end has come. */
static struct http_job *work_await(struct tide_http *server, struct http_queue *queue)
{
	struct http_job *job = NULL;
	mutex_lock(&server->lock);
	while (!server->should_end && !(job = work_take_locked(queue)))
		cond_wait(&queue->changed, &server->lock);
	mutex_unlock(&server->lock);
	return job;
}

static void work_run(struct http_job *job)
{
	job->route->run(job);
	if (job->reply.body.failed) {
		struct tide_error err;
		alloc_fail(&err);
		reply_fail(&job->reply, &err, NULL);
	}
}

static void work_live(struct tide_http *server, enum http_lane lane)
{
	struct http_job *job;
	while ((job = work_await(server, &server->queues[lane]))) {
		work_run(job);
		mutex_lock(&server->lock);
		job->next = server->done;
		server->done = job;
		mutex_unlock(&server->lock);
		server_ring(server);
	}

	mutex_lock(&server->lock);
	server->working--;
	cond_broadcast(&server->returned);
	mutex_unlock(&server->lock);
}

static void work_probe(void *self)
{
	work_live(self, HTTP_LANE_PROBE);
}

static void work_work(void *self)
{
	work_live(self, HTTP_LANE_WORK);
}

tide_status work_start(struct tide_http *server, struct tide_error *err)
{
	tide_status status = TIDE_OK;
	for (size_t i = 0; status == TIDE_OK && i < 1 + HTTP_WORKERS; i++) {
		status = thread_start(&server->workers[i], i == 0 ? "tide probes" : "tide http",
				      i == 0 ? work_probe : work_work, server, err);
		mutex_lock(&server->lock);
		server->working += status == TIDE_OK;
		mutex_unlock(&server->lock);
		server->worker_count += status == TIDE_OK;
	}
	return status;
}

void work_give(struct tide_http *server, struct http_job *job)
{
	struct http_queue *queue = &server->queues[job->route->lane];
	assert(!job->next);
	mutex_lock(&server->lock);
	*queue->last = job;
	queue->last = &job->next;
	cond_signal(&queue->changed);
	mutex_unlock(&server->lock);
}

bool work_end(struct tide_http *server, struct mono_time deadline)
{
	bool has_returned = true;
	mutex_lock(&server->lock);
	server->should_end = true;
	for (int i = 0; i < HTTP_LANES; i++)
		cond_broadcast(&server->queues[i].changed);
	while (server->working > 0 && has_returned)
		has_returned = cond_wait_until(&server->returned, &server->lock, deadline);
	has_returned = server->working == 0;
	mutex_unlock(&server->lock);

	for (size_t i = 0; has_returned && i < server->worker_count; i++)
		thread_join(&server->workers[i]);
	return has_returned;
}
