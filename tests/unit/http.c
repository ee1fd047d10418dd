/* SPDX-License-Identifier: Apache-2.0 */
/* A program shows its manager over HTTP. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http/tls.h"
#include "path/store.h"
#include "rig.h"

static int http_connect(const struct tide_http *http)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	const char *colon = strrchr(tide_http_url(http), ':');
	address.sin_port = htons((uint16_t)atoi(colon + 1));
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
	return fd;
}

/* What is answered to one request, head and body. */
static const char *http_get(const struct tide_http *http, const char *path)
{
	static char answer[65536];
	char request[256];
	size_t size = 0;
	ssize_t got;
	int fd = http_connect(http);

	int length =
		snprintf(request, sizeof request,
			 "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", path);
	assert_int_equal(write(fd, request, (size_t)length), length);
	while ((got = read(fd, answer + size, sizeof answer - 1 - size)) > 0)
		size += (size_t)got;
	answer[size] = '\0';
	close(fd);
	return answer;
}

#define ANSWERS(http, path, text) assert_non_null(strstr(http_get(http, path), text))

static void a_manager_is_shown_whether_it_runs_or_not(void **state)
{
	(void)state;
	struct rig rig;
	struct tide_http *http;
	rig_ready(&rig, "memory:%n");
	must(tide_http_open(rig.manager, TIDE_HTTP(.address = "0"), &http, err));
	assert_memory_equal(tide_http_url(http), "http://127.0.0.1:", 17);

	ANSWERS(http, "/ready", "HTTP/1.1 503 Service Unavailable\r\n");
	ANSWERS(http, "/ready", "\"reason\":\"Manager is not running\"");
	ANSWERS(http, "/live", "HTTP/1.1 200 OK\r\n");
	rig_start(&rig);
	ANSWERS(http, "/ready", "\"reason\":\"Manager is ready\"");
	ANSWERS(http, "/health", "\"name\":\"Totals\"");
	ANSWERS(http, "/metrics", "tidemark_subscription_standby{subscription=\"Totals\"} 0\n");
	tide_http_close(http);
	rig_close(&rig);
}

static void a_server_ends_beside_connections_that_only_wait(void **state)
{
	(void)state;
	struct rig rig;
	struct tide_http *http;
	char byte;
	rig_ready(&rig, "memory:%n");
	must(tide_http_open(rig.manager, TIDE_HTTP(.address = "127.0.0.1:0"), &http, err));
	int idle = http_connect(http);
	ANSWERS(http, "/live", "200 OK");
	tide_http_close(http);
	assert_int_equal(read(idle, &byte, 1), 0);
	close(idle);
	rig_close(&rig);
}

static void http_refuses(struct rig *rig, const struct tide_http_options *options,
			 tide_status status, const char *message)
{
	struct tide_http *http = NULL;
	struct tide_error err;
	assert_int_equal(tide_http_open(rig->manager, options, &http, &err), status);
	assert_non_null(strstr(err.message, message));
	assert_null(http);
}

static void what_cannot_be_served_is_named(void **state)
{
	(void)state;
	struct rig rig;
	struct tide_http *http;
	rig_ready(&rig, "memory:%n");
	http_refuses(&rig, TIDE_HTTP(.address = "0.0.0.0:0"), TIDE_ARGUMENT,
		     "address '0.0.0.0:0' is beyond this machine, and needs a token");
	http_refuses(&rig, TIDE_HTTP(.address = "here"), TIDE_ARGUMENT, "'here' has no port");
	http_refuses(&rig, TIDE_HTTP(.token = "short"), TIDE_ARGUMENT,
		     "token has 5 characters, expected 16 to 1024");
	http_refuses(&rig, TIDE_HTTP(.read_token = "with blanks in the middle"), TIDE_ARGUMENT,
		     "read_token has a blank");
	http_refuses(&rig, TIDE_HTTP(.tls_key = "key.pem"), TIDE_ARGUMENT,
		     "tls_key needs tls_certificate beside it");
	http_refuses(&rig, TIDE_HTTP(.address = "0", .tls_certificate = "none.pem"),
		     tls_is_built() ? TIDE_NOT_FOUND : TIDE_UNSUPPORTED, "'none.pem'");
	http_refuses(&rig, &(struct tide_http_options){ .size = 1 }, TIDE_ARGUMENT,
		     "options.size is 1");

	must(tide_http_open(rig.manager, TIDE_HTTP(.address = "0"), &http, err));
	const char *taken = tide_http_url(http) + strlen("http://");
	http_refuses(&rig, TIDE_HTTP(.address = taken), TIDE_IO, "Address already in use");
	tide_http_close(http);
	rig_close(&rig);
}

/* ---- Lanes over all processes ---------------------------------------------------------------- */

static struct tide_backend http_real, http_scripted;
static atomic_int members_answer, lease_lists;

static tide_status list_members(void *session, const char *group, struct tide_member **ret,
				size_t *ret_count, struct tide_error *err)
{
	tide_status status = (tide_status)atomic_load(&members_answer);
	return status == TIDE_OK
		       ? http_real.checkpoint.member_list(session, group, ret, ret_count, err)
		       : tide_fail(err, status, "members are not to be had");
}

static tide_status list_leases(void *session, struct tide_lease_info **ret, size_t *ret_count,
			       struct tide_error *err)
{
	atomic_fetch_add(&lease_lists, 1);
	return http_real.checkpoint.lease_list(session, ret, ret_count, err);
}

static void rig_open_with_lanes(struct rig *rig, struct tide_http **ret)
{
	rig_open(rig, "memory:%n");
	http_real = http_scripted = *rig->store->backend;
	http_scripted.checkpoint.member_list = list_members;
	http_scripted.checkpoint.lease_list = list_leases;
	rig->store->backend = &http_scripted;
	rig->config.lanes = 2;
	rig_subscribe(rig);
	rig_subscribe_as(rig, "Sums", NULL);
	must(tide_http_open(rig->manager, TIDE_HTTP(.address = "0"), ret, err));
	atomic_store(&members_answer, TIDE_OK);
}

static void lanes_are_told_alone_where_a_database_is_away_and_else_it_is_said(void **state)
{
	(void)state;
	static const tide_status away[] = { TIDE_CONNECTION_LOST, TIDE_BUSY };
	static const char *const paths[] = { "/api/subscriptions", "/api/subscriptions/Totals" };
	struct rig rig;
	struct tide_http *http;
	rig_open_with_lanes(&rig, &http);
	for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
		atomic_store(&members_answer, TIDE_OK);
		ANSWERS(http, paths[i], "\"members\":[],\"lane_statuses\":[{");
		for (size_t n = 0; n < sizeof away / sizeof *away; n++) {
			atomic_store(&members_answer, (int)away[n]);
			ANSWERS(http, paths[i], "\"members\":null,\"lane_statuses\":null");
		}
		atomic_store(&members_answer, TIDE_OUT_OF_MEMORY);
		ANSWERS(http, paths[i], "HTTP/1.1 500 ");
		ANSWERS(http, paths[i], "\"detail\":\"members are not to be had\"");
	}
	tide_http_close(http);
	rig.store->backend = &http_real;
	rig_close(&rig);
}

static void one_request_reads_the_rows_of_all_lanes_once(void **state)
{
	(void)state;
	struct rig rig;
	struct tide_http *http;
	rig_open_with_lanes(&rig, &http);
	atomic_store(&lease_lists, 0);
	ANSWERS(http, "/api/subscriptions", "\"name\":\"Sums#1/2\"");
	assert_int_equal(atomic_load(&lease_lists), 1);
	tide_http_close(http);
	rig.store->backend = &http_real;
	rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_manager_is_shown_whether_it_runs_or_not),
		cmocka_unit_test(a_server_ends_beside_connections_that_only_wait),
		cmocka_unit_test(what_cannot_be_served_is_named),
		cmocka_unit_test(lanes_are_told_alone_where_a_database_is_away_and_else_it_is_said),
		cmocka_unit_test(one_request_reads_the_rows_of_all_lanes_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
