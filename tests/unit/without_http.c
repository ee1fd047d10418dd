/* SPDX-License-Identifier: Apache-2.0 */
/* What a library says that was built without HTTP, or without TLS: linked with what stands in their
 * place. */
#include "unit.h"

#include "http/http.h"

static void a_server_is_unsupported(void **state)
{
	(void)state;
	struct tide_http *http = NULL;
	struct http_tls *tls = NULL;
	struct tide_manager *manager = (struct tide_manager *)&http;
	struct tide_error why;

	assert_false(server_is_built());
	assert_int_equal(tide_http_open(manager, NULL, &http, &why), TIDE_UNSUPPORTED);
	assert_string_equal(why.message, "this library was built without HTTP");
	assert_int_equal(tide_http_open(NULL, NULL, &http, &why), TIDE_ARGUMENT);
	assert_null(http);
	assert_null(tide_http_url(http));
	tide_http_close(http);

	assert_false(tls_is_built());
	assert_int_equal(tls_open("one.pem", NULL, &tls, &why), TIDE_UNSUPPORTED);
	assert_string_equal(why.message,
			    "'one.pem' is a certificate, and this library was built without TLS");
	assert_null(tls);
	tls_close(tls);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_server_is_unsupported),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
