/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The dashboard: files that are a part of the library, found by their names in a table.
 *
 * Anybody may have them, since they hold no data, and a browser shows no token before a page asks
 * for one. What the page may do is in its policy: nothing but what this server itself gives, no
 * markup made from texts, and no frame around it.
 */
#include <string.h>

#include "http/http.h"

/** A file of the dashboard. */
struct board_file {
	const char *name, *type;
	const unsigned char *data;
	size_t size;
};

#include "board_files.h"

static const char board_policy[] =
	"default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
	"require-trusted-types-for 'script'; trusted-types 'none'";

static void board_answer(struct http_job *job, const char *name)
{
	for (size_t i = 0; i < sizeof board_files / sizeof *board_files; i++) {
		const struct board_file *file = &board_files[i];
		if (strcmp(file->name, name) != 0)
			continue;
		job->reply.status = 200;
		job->reply.type = file->type;
		reply_field(&job->reply, "Content-Security-Policy", board_policy);
		reply_field(&job->reply, "Referrer-Policy", "no-referrer");
		buffer_add(&job->reply.body, (const char *)file->data, file->size);
		return;
	}
	reply_refuse(&job->reply, 404, "there is nothing here");
}

void route_board(struct http_job *job)
{
	board_answer(job, "index.html");
}

void route_board_file(struct http_job *job)
{
	board_answer(job, route_part(job, 0));
}
