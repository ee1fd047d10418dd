/* SPDX-License-Identifier: Apache-2.0 */
/* What the other files tell the loop. */
#include <event2/event.h>
#include <unistd.h>

#include "http/http.h"

void server_ring(struct tide_http *server)
{
	uint64_t one = 1;
	ssize_t written = write(server->bell, &one, sizeof one);
	(void)written; /* full means rung already */
}

void server_look_whether_empty(struct tide_http *server)
{
	if (server->is_stopping &&
	    server->waiting.count + server->streaming.count + server->busy.count == 0)
		event_base_loopbreak(server->base);
}
