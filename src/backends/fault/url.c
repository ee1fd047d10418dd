/* SPDX-License-Identifier: Apache-2.0 */
/* The URL of a decorated store: fault:OPTIONS/URL. */
#include <string.h>

#include "backends/fault/state.h"

tide_status fault_url_read(const struct tide_url *url, struct fault_url *ret,
			   struct tide_error *err)
{
	struct fault_url parts = { .options = strchr(url->full, ':') + 1 };
	parts.options_size = strcspn(parts.options, "/");
	if (!parts.options[parts.options_size])
		return tide_fail(err, TIDE_ARGUMENT,
				 "a fault URL needs '/' and the URL it decorates");

	tide_status status = url_parse(parts.options + parts.options_size + 1, &parts.inner, err);
	if (status != TIDE_OK)
		return status;

	parts.backend = tide_backend_find(parts.inner.scheme);
	if (!parts.backend)
		status = tide_fail(err, TIDE_ARGUMENT, "'%.64s' is the scheme of no backend",
				   parts.inner.scheme);
	else if (parts.backend->store.resolve)
		status = parts.backend->store.resolve(&parts.inner, &parts.backend, err);
	if (status == TIDE_OK)
		*ret = parts;
	else
		url_fini(&parts.inner);
	return status;
}
