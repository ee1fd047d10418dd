/* SPDX-License-Identifier: Apache-2.0 */
#include "latency.h"

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <tidemark/tidemark.h>

#include "die.h"
#include "lib/wait.h"
#include "table.h"

#define WARM 20 /* events before the first that counts */
#define LIVE_SECONDS 60

const char bench_payload[] =
	"{\"order\": 4711, \"customer\": \"customer-00815\", \"amount\": 17.25, \"currency\": "
	"\"EUR\", \"lines\": 3, \"note\": "
	"\"the quick brown fox jumps over the lazy dog and then walks home along the river, "
	"thinking about what it might have "
	"for supper before the tide comes in\"}";

void latency_report(int reports, bool is_ready)
{
	double now = is_ready ? 0 : seconds_of_clock();
	if (write(reports, &now, sizeof now) != sizeof now)
		_exit(1);
}

static double latency_hear(int reports)
{
	double got;
	if (read(reports, &got, sizeof got) != sizeof got)
		bench_die("who listens has ended");
	return got;
}

static void latency_append(const struct latency_way *way, int reports, double *took, int count)
{
	for (int i = -WARM; i < count; i++) {
		/* idle in between */
		double begun = seconds_of_clock(), next = begun + 0.02 + 0.0001 * (i % 37);
		way->append(way->self);
		double got = latency_hear(reports);
		if (i >= 0)
			took[i] = got - begun;
		double moment = seconds_of_clock() + way->period * ((i + WARM) * 618 % 1000) / 1000;
		while (seconds_of_clock() < (moment > next ? moment : next))
			wait_a_moment();
	}
}

void latency_take(const struct latency_way *way, double *took, int count)
{
	int reports[2], until[2];
	pid_t child = 0;
	if (pipe(reports) || pipe(until))
		bench_die("there are no pipes");
	if (way->listen && (child = fork()) == 0) {
		close(until[1]);
		way->listen(way->self, reports[1], until[0]);
		_exit(0);
	}

	close(until[0]);
	way->begin(way->self, reports[1]);
	if (child) /* so that its end is heard */
		close(reports[1]);
	(void)latency_hear(reports[0]);
	latency_append(way, reports[0], took, count);
	close(until[1]);
	if (child)
		waitpid(child, NULL, 0);
	way->end(way->self);
	if (!child)
		close(reports[1]);
	close(reports[0]);
	(void)median_of(took, count);
}

/* ---- A store --------------------------------------------------------------------------------- */

/** Its subscription, or who appends to it. */
struct followed {
	const char *url;
	struct tide_store *store;
	struct tide_manager *manager; /* NULL: in another process */
	struct tide_uuid stream;
	int reports;
	bool is_across;
};

static tide_status followed_handle(void *self, const struct tide_event *event,
				   struct tide_delivery *delivery)
{
	const struct followed *followed = self;
	(void)event;
	(void)delivery;
	latency_report(followed->reports, false);
	return TIDE_OK;
}

static void followed_open(struct followed *followed)
{
	struct tide_error err;
	bench_check(tide_store_open(followed->url, TIDE_STORE_OPTIONS(.initialize = true),
				    &followed->store, &err),
		    &err);
}

static void followed_subscribe(struct followed *followed, int reports)
{
	struct tide_subscription_config config = tide_live_only_config();
	const struct tide_subscriber subscriber = { .name = "latency",
						    .self = followed,
						    .handle = followed_handle };
	struct tide_error err;
	followed->reports = reports;
	bench_check(
		tide_manager_open(TIDE_MANAGER(.store = followed->store), &followed->manager, &err),
		&err);
	bench_check(tide_manager_subscribe(followed->manager, &subscriber, &config, NULL, &err),
		    &err);
	bench_check(tide_manager_start(followed->manager, NULL, LIVE_SECONDS, NULL, NULL, &err),
		    &err);
	latency_report(reports, true);
}

static void followed_end(void *self)
{
	struct followed *followed = self;
	struct tide_error err;
	if (followed->manager)
		bench_check(tide_manager_stop(followed->manager, NULL, 20, &err), &err);
	tide_manager_close(followed->manager);
	tide_store_close(followed->store);
}

static void followed_listen(void *self, int reports, int until)
{
	struct followed *followed = self;
	char end;
	followed_open(followed);
	followed_subscribe(followed, reports);
	if (read(until, &end, 1) < 0)
		_exit(1);
	followed_end(followed);
}

static void followed_begin(void *self, int reports)
{
	struct followed *followed = self;
	followed_open(followed);
	if (!followed->is_across)
		followed_subscribe(followed, reports);
}

static void followed_append(void *self)
{
	struct followed *followed = self;
	struct tide_error err;
	const struct tide_new_event event = {
		.event_type = "OrderPlaced",
		.payload = tide_text(bench_payload),
	};
	const struct tide_append append = { { followed->stream, "Order" }, TIDE_ANY, &event, 1 };
	bench_check(tide_store_append(followed->store, &append, NULL, &err), &err);
}

void latency_of_store(const char *url, bool is_across, double *took, int count)
{
	struct followed followed = { .url = url, .stream = tide_uuid_v4(), .is_across = is_across };
	const struct latency_way way = { .self = &followed,
					 .listen = is_across ? followed_listen : NULL,
					 .begin = followed_begin,
					 .append = followed_append,
					 .end = followed_end };
	latency_take(&way, took, count);
}
