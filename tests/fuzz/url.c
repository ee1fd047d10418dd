/* SPDX-License-Identifier: Apache-2.0 */
#include "target.h"

#include "core/url.h"
#include "sys/alloc.h"

static void check_parts(struct tide_url *url, const char *text)
{
	assert(strcmp(url->full, text) == 0 && *url->scheme &&
	       url->param_count <= TIDE_URL_PARAMS_MAX);
	assert(tide_url_check(url, NULL) == (url->param_count ? TIDE_ARGUMENT : TIDE_OK));
	for (size_t i = 0; i < url->param_count; i++)
		assert(tide_url_param(url, url->params[i].name) == url->params[i].value);
	assert(tide_url_check(url, NULL) == TIDE_OK);
	url_fini(url);
}

/* A URL that was read gives every parameter back, and one that is shown has nothing left to
 * hide. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ALLOC_AUTO char *text = alloc_text((const char *)data, size);
	struct tide_url url;
	if (url_parse(text, &url, NULL) == TIDE_OK)
		check_parts(&url, text);
	ALLOC_AUTO char *shown = url_redact(text);
	ALLOC_AUTO char *again = url_redact(shown);
	assert(strlen(shown) <= strlen(text) && strcmp(shown, again) == 0);
	const char *query = strchr(shown, '?');
	assert(!query || (strncmp(query, "?password=", 10) != 0 && !strstr(query, "&password=")));
	return 0;
}
