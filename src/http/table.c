/* SPDX-License-Identifier: Apache-2.0 */
/* The table of routes. */
#include "http/http.h"

/* clang-format off */
static const struct http_route table[] = {
#define ROUTE(method_, path_, name_, access_, lane_, body_, parameters_, summary_) \
	{ .name = #name_, .method = HTTP_##method_, .path = path_, \
	  .access = HTTP_ACCESS_##access_, .lane = HTTP_LANE_##lane_, \
	  .body = HTTP_BODY_##body_, .run = route_##name_, .parameters = parameters_, \
	  .summary = summary_ },
#include "http/routes.def"
#undef ROUTE
};
/* clang-format on */
const struct http_routes http_routes = { table, sizeof table / sizeof *table };
