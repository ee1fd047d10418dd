/* SPDX-License-Identifier: Apache-2.0 */
/* Finding the route of a request in a table. */
#include <stdio.h>
#include <string.h>

#include "http/http.h"

static bool route_fits(const struct http_route *route, const struct http_target *target)
{
	const char *at = route->path;
	size_t i = 0;
	for (; *at == '/' && at[1]; i++) {
		size_t size = strcspn(++at, "/");
		if (i == target->part_count)
			return false;
		const char *part = target->parts[i];
		bool fits = *at == '{' ? *part != '\0'
				       : strlen(part) == size && memcmp(part, at, size) == 0;
		if (!fits)
			return false;
		at += size;
	}
	return i == target->part_count;
}

static bool route_takes(const struct http_route *route, const char *name)
{
	size_t size = strlen(name);
	for (const char *at = route->parameters; *at;) {
		size_t length = strcspn(at, " ");
		if (length == size && memcmp(at, name, size) == 0)
			return true;
		at += length + (at[length] == ' ');
	}
	return false;
}

struct http_refusal route_find(const struct http_routes *routes, const struct http_head *head,
			       const struct http_target *target, const struct http_route **ret,
			       char ret_allowed[32])
{
	enum http_method method = head->method == HTTP_HEAD ? HTTP_GET : head->method;
	const struct http_route *found = NULL;
	bool has_get = false, has_post = false;

	for (size_t i = 0; i < routes->count; i++) {
		if (!route_fits(&routes->items[i], target))
			continue;
		has_get = has_get || routes->items[i].method == HTTP_GET;
		has_post = has_post || routes->items[i].method == HTTP_POST;
		if (!found && routes->items[i].method == method)
			found = &routes->items[i];
	}
	if (!has_get && !has_post)
		return (struct http_refusal){ 404, "there is nothing here" };
	snprintf(ret_allowed, 32, "%s%s%s", has_get ? "GET, HEAD" : "",
		 has_get && has_post ? ", " : "", has_post ? "POST" : "");
	if (!found)
		return (struct http_refusal){ 405, "this path has no such method" };
	*ret = found;
	for (size_t i = 0; i < target->parameter_count; i++)
		if (!route_takes(found, target->parameters[i].name))
			return (struct http_refusal){
				400, "the query has a parameter that this path has "
				     "not"
			};
	return (struct http_refusal){ 0, NULL };
}

const char *route_part(const struct http_job *job, size_t n)
{
	size_t i = 0;
	for (const char *at = job->route->path; *at; at++) {
		if (*at != '/')
			continue;
		if (at[1] == '{' && n-- == 0)
			return job->target.parts[i];
		i++;
	}
	return NULL;
}
