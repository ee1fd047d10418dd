/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <string.h>

#include "core/url.h"
#include "sys/alloc.h"

static void a_url_is_taken_apart(void **state)
{
	(void)state;
	struct tide_url url;
	assert_int_equal(url_parse("sqlite:a%20b.db?synchronous=normal&x=%3D%26&flag", &url, NULL),
			 TIDE_OK);
	assert_string_equal(url.full, "sqlite:a%20b.db?synchronous=normal&x=%3D%26&flag");
	assert_string_equal(url.scheme, "sqlite");
	assert_string_equal(url.rest, "a b.db");
	assert_int_equal(url.param_count, 3);
	assert_string_equal(tide_url_param(&url, "synchronous"), "normal");
	assert_string_equal(tide_url_param(&url, "x"), "=&");
	assert_string_equal(tide_url_param(&url, "flag"), "");
	assert_null(tide_url_param(&url, "y"));
	url_fini(&url);
	url_fini(&url);
}

static void schemes_of_others_keep_their_rest_as_it_is(void **state)
{
	(void)state;
	struct tide_url url;
	assert_int_equal(url_parse("postgresql://u%40x:p%25@h/d?options=-c%20a", &url, NULL),
			 TIDE_OK);
	assert_string_equal(url.rest, "//u%40x:p%25@h/d");
	assert_string_equal(tide_url_param(&url, "options"), "-c a");
	url_fini(&url);
	assert_int_equal(url_parse("fault:after=3,times=2/sqlite:a%20b.db?busy=1", &url, NULL),
			 TIDE_OK);
	assert_string_equal(url.scheme, "fault");
	assert_string_equal(url.rest, "after=3,times=2/sqlite:a%20b.db");
	url_fini(&url);
	assert_int_equal(url_parse("Memory:", &url, NULL), TIDE_OK);
	assert_string_equal(url.scheme, "memory");
	assert_string_equal(url.rest, "");
	url_fini(&url);
}

static void the_first_parameter_nobody_asked_for_is_refused(void **state)
{
	(void)state;
	struct tide_url url;
	struct tide_error err;
	assert_int_equal(url_parse("sqlite:a.db?busy=1&sync=2&other=3", &url, NULL), TIDE_OK);
	assert_fails(tide_url_check(&url, &err), TIDE_ARGUMENT, &err,
		     "'busy' is no parameter of sqlite: URLs");
	tide_url_param(&url, "busy");
	assert_fails(tide_url_check(&url, &err), TIDE_ARGUMENT, &err,
		     "'sync' is no parameter of sqlite: URLs");
	tide_url_param(&url, "other");
	tide_url_param(&url, "sync");
	assert_int_equal(tide_url_check(&url, &err), TIDE_OK);
	url_fini(&url);
}

static void malformed_urls_are_refused_and_leave_the_output(void **state)
{
	(void)state;
	static const struct {
		const char *text, *message;
	} cases[] = {
		{ "", "'' is no URL: it has no scheme such as sqlite:" },
		{ "orders.db", "'orders.db' is no URL: it has no scheme such as sqlite:" },
		{ ":a", "'' is no scheme of a URL" },
		{ "/a:b", "'/a' is no scheme of a URL" },
		{ "1a:b", "'1a' is no scheme of a URL" },
		{ "sqlite:a%2", "the sqlite: URL has a malformed % escape" },
		{ "sqlite:a%zz", "the sqlite: URL has a malformed % escape" },
		{ "sqlite:a%00", "the sqlite: URL has a malformed % escape" },
		{ "sqlite:a?b=%", "parameter 'b' of the URL has a malformed % escape" },
		{ "sqlite:a?=1", "the URL has a parameter without a name" },
		{ "sqlite:a?b=1&b=2", "parameter 'b' is in the URL twice" },
		{ "host=h password=secret", "'host' is no URL: it has no scheme such as sqlite:" },
		{ "host=h password=se:cret", "'host' is no scheme of a URL" },
		{ "user:secret@host", NULL },
		{ "secret@host/db", "'' is no URL: it has no scheme such as sqlite:" },
		{ "se_cret:x@host/db", "'' is no scheme of a URL" },
		{ "secr=et@host", "'' is no URL: it has no scheme such as sqlite:" },
		{ "se_cret=a:b@host", "'' is no scheme of a URL" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct tide_url url = { .param_count = 77 };
		struct tide_error err;
		tide_status status = url_parse(cases[i].text, &url, &err);
		if (!cases[i].message) {
			assert_int_equal(status, TIDE_OK); /* the scheme will be unknown */
			url_fini(&url);
			continue;
		}
		assert_fails(status, TIDE_ARGUMENT, &err, cases[i].message);
		assert_int_equal(url.param_count, 77);
		assert_null(strstr(err.message, "cret"));
	}
	assert_int_equal(url_parse(NULL, &(struct tide_url){ 0 }, NULL), TIDE_ARGUMENT);
}

static void there_can_be_32_parameters(void **state)
{
	(void)state;
	char text[512] = "sqlite:a?";
	struct tide_url url;
	for (int i = 0; i < TIDE_URL_PARAMS_MAX; i++)
		snprintf(text + strlen(text), 16, "p%d=%d&", i, i);
	assert_int_equal(url_parse(text, &url, NULL), TIDE_OK);
	assert_int_equal(url.param_count, TIDE_URL_PARAMS_MAX);
	url_fini(&url);
	strcat(text, "more=1");
	assert_int_equal(url_parse(text, &url, NULL), TIDE_ARGUMENT);
}

static void a_url_is_shown_without_its_password(void **state)
{
	(void)state;
	static const struct {
		const char *text, *shown;
	} cases[] = {
		{ "memory:", "memory:" },
		{ "sqlite:a.db?synchronous=normal", "sqlite:a.db?synchronous=normal" },
		{ "postgresql://host/db", "postgresql://host/db" },
		{ "postgresql://host:5432/db", "postgresql://host:5432/db" },
		{ "postgresql://user@host/db", "postgresql://user@host/db" },
		{ "postgresql://user:secret@host:5432/db", "postgresql://user@host:5432/db" },
		{ "postgresql://user:se:cr@et@host/db", "postgresql://user@host/db" },
		{ "postgresql://user:@host", "postgresql://user@host" },
		{ "postgresql://:secret@host", "postgresql://@host" },
		{ "postgresql://host/db?password=secret", "postgresql://host/db" },
		{ "postgresql://host/db?user=u&password=secret&x=1",
		  "postgresql://host/db?user=u&x=1" },
		{ "postgresql://host/db?password=a&password=b", "postgresql://host/db" },
		{ "postgresql://host/db?pass%77ord=secret&a=1", "postgresql://host/db?a=1" },
		{ "postgresql://host/db?sslpassword=secret&a=1&", "postgresql://host/db?a=1" },
		{ "postgresql:///db?host=/run/pg", "postgresql:///db?host=/run/pg" },
		{ "nats://token:secret@host?token=t", "nats://token@host" },
		{ "fault:after=1/postgresql://user:secret@host/db?password=x",
		  "fault:after=1/postgresql://user@host/db" },
		{ "postgresql://host/db?passwords=1", "postgresql://host/db?passwords=1" },
		{ "postgresql://u:a#SECRET@host/db", "postgresql://u@host/db" },
		{ "postgresql://u:a?SECRET@host/db?x=1", "postgresql://u@host/db?x=1" },
		{ "postgresql://u:a@SECRET@host/db", "postgresql://u@host/db" },
		{ "postgresql://u:SECRET@h1:1,u2:SECRET@h2:2/db", "postgresql://u@h2:2/db" },
		{ "postgresql://u:SE%43RET%40@host/db", "postgresql://u@host/db" },
		{ "password=SECRET host=x", "password= host=x" },
		{ "host=x password = 'SEC\\'R ET' user=u", "host=x password = user=u" },
		{ "host=x sslpassword=SECRET", "host=x sslpassword=" },
		{ "fault:/postgresql://u:a?SECRET@host/db?busy=1",
		  "fault:/postgresql://u@host/db?busy=1" },
		{ "POSTGRESQL://u:SECRET@host/db", "POSTGRESQL://u@host/db" },
		{ "Postgres://u:SECRET@host/db?password=SECRET", "Postgres://u@host/db" },
		{ "user:SECRET@host/db", "user@host/db" },
		{ "user:SEC:RET@h:5/db", "user@h:5/db" },
		{ "postgresql:u:SECRET@host/db", "postgresql:u@host/db" },
		{ "POSTGRESQL:u:SECRET@host/db", "POSTGRESQL:u@host/db" },
		{ "postgresql:/u:SECRET@host/db", "postgresql:/u@host/db" },
		{ "//u:SECRET@host/db", "//u@host/db" },
		{ "postgresql://u:SEC/RET@host/db", "postgresql://u@host/db" },
		{ "postgresql://h:5432,i:5433/a@b", "postgresql://h:5432,i:5433/a@b" },
		{ "postgresql://[::1]:5432/a@b", "postgresql://[::1]:5432/a@b" },
		{ "sqlite:/srv/a:b@c/x.db", "sqlite:/srv/a:b@c/x.db" },
		{ "SQLite:/srv/a:b@c/x.db", "SQLite:/srv/a:b@c/x.db" },
		{ "password\t=\tSECRET host=x", "password\t= host=x" },
		{ "password=a&SECRET host=x", "password= host=x" },
		{ "host=x scram_client_key=SECRET", "host=x scram_client_key=" },
		{ "host=x\npassword='SE CRET", "host=x\npassword=" },
		{ "postgresql://h/d?scram_server_key=SECRET&a=1", "postgresql://h/d?a=1" },
		{ "postgresql://h/d?password=a&SECRET&b&x=1", "postgresql://h/d?x=1" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char *shown = url_redact(cases[i].text);
		assert_string_equal(shown, cases[i].shown);
		tide_free(shown);
	}
}

static void a_message_is_shown_without_passwords(void **state)
{
	(void)state;
	char text[] = "could not open postgresql://u:SECRET@h/d and 'password=SECRET host=h' or "
		      "password='SECRET'";
	url_redact_words(text);
	assert_null(strstr(text, "SECRET"));
	assert_non_null(strstr(text, "could not open postgresql://u@h/d and"));
}

static void a_password_may_hold_what_else_begins_the_parameters(void **state)
{
	(void)state;
	struct tide_url url;
	assert_int_equal(url_parse("postgresql://u:a?b#c@h/d?schema=s", &url, NULL), TIDE_OK);
	assert_string_equal(url.rest, "//u:a?b#c@h/d");
	assert_string_equal(tide_url_param(&url, "schema"), "s");
	url_fini(&url);
	struct tide_error err;
	assert_int_equal(url_parse("postgresql://h/d?x@SECRET=1", &url, NULL), TIDE_OK);
	assert_fails(tide_url_check(&url, &err), TIDE_ARGUMENT, &err,
		     "'' is no parameter of postgresql: URLs");
	url_fini(&url);
	assert_int_equal(url_parse("postgresql://h/d?password=a&SECRET=1", &url, NULL), TIDE_OK);
	tide_url_param(&url, "password");
	assert_fails(tide_url_check(&url, &err), TIDE_ARGUMENT, &err,
		     "what follows 'password' is no parameter of postgresql: URLs; write & as %26 "
		     "in a value");
	url_fini(&url);
}

static void no_memory_leaves_nothing_behind(void **state)
{
	(void)state;
	struct tide_url url = { 0 };
	ASSERT_SURVIVES_NO_MEMORY(url_parse("sqlite:a?b=1", &url, NULL));
	url_fini(&url);
	alloc_fail_from(1);
	assert_null(url_redact("sqlite:a"));
	alloc_fail_from(0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_url_is_taken_apart),
		cmocka_unit_test(schemes_of_others_keep_their_rest_as_it_is),
		cmocka_unit_test(the_first_parameter_nobody_asked_for_is_refused),
		cmocka_unit_test(malformed_urls_are_refused_and_leave_the_output),
		cmocka_unit_test(there_can_be_32_parameters),
		cmocka_unit_test(a_url_is_shown_without_its_password),
		cmocka_unit_test(a_message_is_shown_without_passwords),
		cmocka_unit_test(a_password_may_hold_what_else_begins_the_parameters),
		cmocka_unit_test(no_memory_leaves_nothing_behind),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
