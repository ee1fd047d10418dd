/* SPDX-License-Identifier: Apache-2.0 */
/* The certificate that HTTP is served with, before anything is opened. */
#include "config/config.h"
#include "http/http.h"

tide_status certificate_check(const struct config_http *http, const char **ret_key,
			      struct tide_error *err)
{
	struct http_tls *tls;
	*ret_key = http->tls_certificate ? "tls_certificate" : "tls_key";
	if (!http->tls_certificate)
		return http->tls_key
			       ? tide_fail(err, TIDE_ARGUMENT, "it needs tls_certificate beside it")
			       : TIDE_OK;
	if (!tls_is_built())
		return tide_fail(err, TIDE_UNSUPPORTED, "this 'tide' was built without TLS");

	tide_status status = tls_open(http->tls_certificate, http->tls_key, &tls, err);
	if (status == TIDE_OK)
		tls_close(tls);
	return status;
}
