/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening a database.
 *
 * Happy path: libpq takes its own parameters out of the URL, one connection looks at the server and
 * the schema, and becomes the first of the pool (pool.c). Failure: a parameter nobody knows, a
 * server that is too old, a schema that is not complete; nothing stays open.
 */
#include "backends/postgres/inner.h"

#include <stdlib.h>

#include "backends/postgres/status.h"
#include "core/value.h"
#include "sys/alloc.h"

#define POOL_DEFAULT 8
#define POOL_MAX 100
#define SEATS_DEFAULT 16
#define SEATS_MAX 1000
#define BUSY_DEFAULT_NS (5 * NS_PER_SECOND)
#define APPEND_DEFAULT_SECONDS 30
#define APPEND_MAX_SECONDS 86400

/* libpq waits for ever where nothing else is said; these keep a host that has gone from being
 * waited for. */
/* clang-format off */
static const struct { const char *keyword, *value; } store_defaults[] = {
	{ "connect_timeout",     "10" },
	{ "keepalives_idle",     "2" }, /* a host that has gone is noticed within a lease */
	{ "keepalives_interval", "1" },
	{ "keepalives_count",    "3" },
	{ "tcp_user_timeout",    "20000" },
	{ "fallback_application_name", "tidemark" },
};
/* clang-format on */

static bool target_add(struct pg_target *target, size_t *at, const char *keyword, const char *value)
{
	char *name = alloc_text(keyword, strlen(keyword)), *copy = alloc_text(value, strlen(value));
	if (!name || !copy) {
		tide_free(name);
		tide_free(copy);
		return false;
	}
	target->keywords[*at] = name;
	target->values[(*at)++] = copy;
	return true;
}

static void target_fini(struct pg_target *target)
{
	for (size_t i = 0; target->keywords && target->keywords[i]; i++)
		tide_free((void *)target->keywords[i]);
	for (size_t i = 0; target->values && target->values[i]; i++) {
		explicit_bzero((void *)target->values[i], strlen(target->values[i]));
		tide_free((void *)target->values[i]);
	}

	tide_free(target->keywords);
	tide_free(target->values);
	tide_free(target->schema);
	tide_free(target->begin);
	for (size_t i = 0; i < PG_STATEMENT_COUNT; i++)
		tide_free(target->statements[i]);
	*target = (struct pg_target){ 0 };
}

static bool target_has(const struct pg_target *target, const char *keyword)
{
	for (size_t i = 0; target->keywords[i]; i++)
		if (strcmp(target->keywords[i], keyword) == 0)
			return true;
	return false;
}

/* Values that appear later win: the URL's own part, its parameters, then what must be so. */
static bool target_gather(struct pg_target *target, struct tide_url *url,
			  const PQconninfoOption *base, const PQconninfoOption *known)
{
	size_t at = 0;
	for (const PQconninfoOption *option = base; option->keyword; option++)
		if (option->val && !target_add(target, &at, option->keyword, option->val))
			return false;
	for (const PQconninfoOption *option = known; option->keyword; option++) {
		bool is_ours = strcmp(option->keyword, "replication") == 0 ||
			       strcmp(option->keyword, "client_encoding") == 0;
		const char *value = is_ours ? NULL : tide_url_param(url, option->keyword);
		if (value && !target_add(target, &at, option->keyword, value))
			return false;
	}

	bool has_service = target_has(target, "service");
	for (size_t i = 0; !has_service && i < sizeof store_defaults / sizeof *store_defaults;
	     i++) {
		const PQconninfoOption *option = known;
		while (option->keyword && strcmp(option->keyword, store_defaults[i].keyword) != 0)
			option++;
		bool is_set = (option->keyword && option->val) ||
			      target_has(target, store_defaults[i].keyword);
		if (!is_set &&
		    !target_add(target, &at, store_defaults[i].keyword, store_defaults[i].value))
			return false;
	}
	return target_add(target, &at, "client_encoding", "UTF8");
}

/* A second @, or one in what stands for a port, is of a password that was not escaped: libpq would
 * show it as a host's name. */
static tide_status target_check(const struct tide_url *url, const PQconninfoOption *base,
				struct tide_error *err)
{
	for (const PQconninfoOption *option = base; option->keyword; option++) {
		bool is_place = strcmp(option->keyword, "host") == 0 ||
				strcmp(option->keyword, "port") == 0;
		bool is_number = strcmp(option->keyword, "port") != 0 || !option->val ||
				 strspn(option->val, "0123456789,") == strlen(option->val);
		if (option->val && is_place && (!is_number || strchr(option->val, '@')))
			return tide_fail(err, TIDE_ARGUMENT,
					 "the %s of the %s: URL cannot be one; write @ as %%40, : "
					 "as %%3A and / as %%2F "
					 "in user and password",
					 option->keyword, url->scheme);
	}
	return TIDE_OK;
}

static tide_status target_read(struct pg_target *target, struct tide_url *url,
			       struct tide_error *err)
{
	if (*url->rest && strncmp(url->rest, "//", 2) != 0)
		return tide_fail(err, TIDE_ARGUMENT, "a PostgreSQL URL begins with %s://",
				 url->scheme);
	tide_status status = libpq_load(err);
	if (status != TIDE_OK)
		return status;

	ALLOC_AUTO char *text = alloc_format("postgresql:%s", *url->rest ? url->rest : "//");
	if (!text)
		return alloc_fail(err);

	char *problem = NULL; /* not shown: it may quote the whole URL with its password */
	PQconninfoOption *base = PQconninfoParse(text, &problem), *known = PQconndefaults();
	PQfreemem(problem);
	size_t count = 0;
	while (known && known[count].keyword)
		count++;
	target->keywords = alloc_zero(2 * count + 10, sizeof *target->keywords);
	target->values = alloc_zero(2 * count + 10, sizeof *target->values);
	if (!base)
		status = tide_fail(err, TIDE_ARGUMENT, "the %s: URL is none that libpq can read",
				   url->scheme);
	else if (target_check(url, base, err) != TIDE_OK)
		status = TIDE_ARGUMENT;
	else if (!known || !target->keywords || !target->values ||
		 !target_gather(target, url, base, known))
		status = alloc_fail(err);
	PQconninfoFree(base);
	PQconninfoFree(known);
	return status;
}

static tide_status target_write_statements(struct pg_target *target, struct tide_error *err)
{
	for (int i = 0; i < PG_STATEMENT_COUNT; i++) {
		struct buffer text = { 0 }, buffer = { 0 };
		parts_expand(&text, pg_statement_text((enum pg_statement)i), target->parts);
		if (!text.failed)
			pg_statement_expand(&buffer, text.data, target->schema);
		buffer.failed |= text.failed;
		buffer_fini(&text);
		tide_status status = buffer_take(&buffer, &target->statements[i], err);
		if (status != TIDE_OK)
			return status;
	}
	return TIDE_OK;
}

/* A schema that the URL names comes first where handlers write, too. The rest of the path stays;
 * SET LOCAL ends with the transaction, so that nothing is left on a connection that a pooler hands
 * to others. */
static tide_status target_write_begin(struct pg_target *target, PGconn *native, bool is_named,
				      struct tide_error *err)
{
	char *schema = is_named
			       ? PQescapeLiteral(native, target->schema, strlen(target->schema) - 1)
			       : NULL;
	if (is_named && !schema)
		return alloc_fail(err);

	struct buffer text = { 0 };
	buffer_format(&text, "BEGIN ISOLATION LEVEL READ COMMITTED");
	if (is_named)
		buffer_format(&text,
			      "; SELECT set_config('search_path', concat_ws(', ', %s, "
			      "nullif(current_setting('search_path'), '')), true)",
			      schema);
	PQfreemem(schema);
	return buffer_take(&text, &target->begin, err);
}

static tide_status store_param(struct tide_url *url, const char *name, long least, long most,
			       long *ret, struct tide_error *err)
{
	const char *text = tide_url_param(url, name);
	if (!text)
		return TIDE_OK;
	char *end;
	long value = strtol(text, &end, 10);
	if (!*text || *end || value < least || value > most)
		return tide_fail(err, TIDE_ARGUMENT, "%s is '%.32s' and must be %ld to %ld", name,
				 text, least, most);
	*ret = value;
	return TIDE_OK;
}

/* A pooler answers with a process number of its own when a connection is made; the server tells the
 * real one. */
static tide_status store_inspect(struct pg_store *store, struct pg_connection *connection,
				 long prepare, struct tide_error *err)
{
	if (PQserverVersion(connection->native) < 130000)
		return tide_fail(err, TIDE_UNSUPPORTED,
				 "the server is PostgreSQL %d and must be 13 or newer",
				 PQserverVersion(connection->native) / 10000);
	PG_RESULT_AUTO PGresult *rows = NULL;
	tide_status status = pg_query(connection, "SELECT pg_backend_pid()", NULL, &rows, err);
	if (status != TIDE_OK)
		return status;
	bool is_direct = pg_int4(rows, 0, 0) == PQbackendPID(connection->native);
	store->target.can_prepare = prepare < 0 ? is_direct : prepare == 1;
	return TIDE_OK;
}

static tide_status store_pool_init(struct pg_store *store, size_t size, struct tide_error *err)
{
	store->pool = alloc_zero(size, sizeof *store->pool);
	store->idle = alloc_zero(size, sizeof *store->idle);
	if (!store->pool || !store->idle)
		return alloc_fail(err);
	store->pool_size = size;
	while (store->idle_count < size) {
		store->idle[store->idle_count] = &store->pool[size - 1 - store->idle_count];
		store->idle_count++;
	}
	return TIDE_OK;
}

static tide_status store_connect(struct pg_store *store, long prepare,
				 const struct pg_schema_wish *wish, struct tide_error *err)
{
	struct pg_connection *first = &store->pool[0];
	tide_status status = pg_connection_open(first, &store->target, err);
	if (status == TIDE_OK)
		status = store_inspect(store, first, prepare, err);
	if (status == TIDE_OK)
		status = pg_schema_prepare(store, first, wish, err);
	if (status == TIDE_OK)
		status = pg_look_first(store, first, err);
	if (status == TIDE_OK)
		status = target_write_statements(&store->target, err);
	if (status == TIDE_OK)
		status = target_write_begin(&store->target, first->native, wish->name != NULL, err);
	return status;
}

static tide_status store_timeout(struct tide_url *url, double *ret, struct tide_error *err)
{
	const char *text = tide_url_param(url, "append_timeout");
	if (!text)
		return TIDE_OK;
	double seconds;
	if (value_read_seconds(text, &seconds, NULL) != TIDE_OK || seconds < 1 ||
	    seconds > APPEND_MAX_SECONDS)
		return tide_fail(err, TIDE_ARGUMENT,
				 "append_timeout is '%.32s' and must be 1 to %d seconds, such as "
				 "30, 1.5s or 2min",
				 text, APPEND_MAX_SECONDS);
	*ret = seconds;
	return TIDE_OK;
}

static tide_status store_laziness(struct pg_store *store, struct tide_url *url,
				  struct tide_error *err)
{
	const char *text = tide_url_param(url, "projection_synchronous");
	store->is_lazy = !text || strcmp(text, "normal") == 0;
	if (text && !store->is_lazy && strcmp(text, "full") != 0)
		return tide_fail(err, TIDE_ARGUMENT,
				 "projection_synchronous is '%.32s' and must be normal or full",
				 text);
	return TIDE_OK;
}

/* What the URL says comes first: it is nearer to the one who runs the program. */
static double store_append_seconds(double wish, const struct tide_store_options *options)
{
	if (wish > 0)
		return wish;
	return options->append_timeout_seconds > 0 ? options->append_timeout_seconds
						   : APPEND_DEFAULT_SECONDS;
}

static tide_status store_set_up(struct pg_store *store, struct tide_url *url,
				const struct tide_store_options *options, struct tide_error *err)
{
	long pool = POOL_DEFAULT, connections = SEATS_DEFAULT, prepare = -1, category_index = 0;
	double append = 0;
	struct pg_schema_wish wish = { .name = tide_url_param(url, "schema"),
				       .may_create = options->initialize && !options->read_only };
	tide_status status = store_param(url, "pool", 1, POOL_MAX, &pool, err);

	if (status == TIDE_OK)
		status = store_param(url, "connections", 1, SEATS_MAX, &connections, err);
	if (status == TIDE_OK)
		status = store_param(url, "prepare", 0, 1, &prepare, err);
	if (status == TIDE_OK)
		status = store_param(url, "category_index", 0, 1, &category_index, err);
	if (status == TIDE_OK)
		status = store_timeout(url, &append, err);
	if (status == TIDE_OK)
		status = store_laziness(store, url, err);
	if (status == TIDE_OK)
		status = target_read(&store->target, url, err);
	if (status == TIDE_OK)
		status = tide_url_check(url, err);
	if (status == TIDE_OK)
		status = store_pool_init(store, (size_t)pool, err);
	if (status == TIDE_OK)
		status = pg_seats_init(&store->seats, (size_t)connections, err);
	wish.category_index = category_index == 1;

	double busy = options->busy_timeout_seconds;
	store->is_read_only = options->read_only;
	store->busy_ns = busy > 0 ? ns_of_seconds(busy) : BUSY_DEFAULT_NS;
	store->append_seconds = store_append_seconds(append, options);
	return status == TIDE_OK ? store_connect(store, prepare, &wish, err) : status;
}

tide_status pg_store_open(struct tide_url *url, const struct tide_store_options *options,
			  void **ret, struct tide_error *err)
{
	struct pg_store *store = alloc_zero(1, sizeof *store);
	if (!store)
		return alloc_fail(err);
	mutex_init(&store->lock, LOCK_POSTGRES_STORE);
	combiner_init(&store->saves);
	store->last = &store->first;
	pg_bell_init(&store->bell);
	tide_status status = store_set_up(store, url, options, err);
	if (status == TIDE_OK)
		*ret = store;
	else
		pg_store_close(store);
	return status;
}

void pg_store_close(void *self)
{
	struct pg_store *store = self;
	pg_bell_fini(&store->bell);
	pg_seats_fini(&store->seats);
	for (size_t i = 0; store->pool && i < store->pool_size; i++)
		pg_connection_close(&store->pool[i]);
	tide_free(store->pool);
	tide_free(store->idle);
	tide_free(store->schema);
	tide_free(store->race_keys);
	tide_free(store->floors);
	tide_free(store->table);
	target_fini(&store->target);
	combiner_fini(&store->saves);
	mutex_fini(&store->lock);
	tide_free(store);
}

void pg_store_lost(struct pg_store *store)
{
	mutex_lock(&store->lock);
	store->settled = 0;
	store->floor_count = 0;
	store->newest = (struct tide_anchor){ 0 };
	store->losses++;
	mutex_unlock(&store->lock);
	store->leap_print = 0; /* another server may have another order */
}
