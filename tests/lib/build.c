/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/build.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/json.h"

#define NUMBERED_PAYLOADS 32768

struct tide_uuid uuid_of(unsigned number)
{
	char name[32];
	snprintf(name, sizeof name, "test:%u", number);
	return tide_uuid_v5(NULL, name);
}

struct tide_stream stream_of(const char *aggregate_type, unsigned number)
{
	return (struct tide_stream){ uuid_of(number), aggregate_type };
}

static pthread_once_t payloads_once = PTHREAD_ONCE_INIT;
static char payloads[NUMBERED_PAYLOADS][16];

static void payloads_make(void)
{
	for (unsigned i = 0; i < NUMBERED_PAYLOADS; i++)
		snprintf(payloads[i], sizeof payloads[i], "{\"n\":%u}", i);
}

struct tide_new_event event_of(const char *event_type, unsigned number)
{
	pthread_once(&payloads_once, payloads_make);
	return (struct tide_new_event){ .event_type = event_type,
					.payload =
						tide_text(payloads[number % NUMBERED_PAYLOADS]) };
}

struct tide_append_result append_one(struct tide_store *store, struct tide_stream stream,
				     const char *event_type)
{
	struct tide_new_event event = event_of(event_type, 1);
	struct tide_append_result result;
	must(tide_store_append(
		store,
		&(struct tide_append){
			.stream = stream, .expected = TIDE_ANY, .events = &event, .count = 1 },
		&result, err));
	return result;
}

struct tide_append_result append_many(struct tide_store *store, struct tide_stream stream,
				      unsigned first, size_t count)
{
	struct tide_new_event *events = calloc(count, sizeof *events);
	assert_non_null(events);
	for (size_t i = 0; i < count; i++)
		events[i] = event_of("Counted", first + (unsigned)i);
	struct tide_append_result result;
	must(tide_store_append(
		store,
		&(struct tide_append){
			.stream = stream, .expected = TIDE_ANY, .events = events, .count = count },
		&result, err));
	free(events);
	return result;
}

tide_position end_of(struct tide_store *store)
{
	tide_position end = -1;
	must(tide_store_end(store, &end, err));
	return end;
}

tide_version version_of(struct tide_store *store, struct tide_stream stream)
{
	tide_version version = -1;
	must(tide_store_stream_version(store, stream, &version, err));
	return version;
}

/* ---- Reading --------------------------------------------------------------------------------- */

struct seen see(struct tide_store *store, const struct tide_query *query)
{
	struct seen seen = { 0 };
	struct tide_reader *reader;
	must(tide_store_read(store, query, &reader, err));
	for (;;) {
		const struct tide_event *event;
		must(tide_reader_next(reader, &event, err));
		if (!event)
			break;
		if ((seen.count & (seen.count - 1)) == 0)
			seen.events = realloc(seen.events, (seen.count ? seen.count * 2 : 1) *
								   sizeof *seen.events);
		assert_non_null(seen.events);
		must(tide_event_copy(event, &seen.events[seen.count], err));
		seen.count++;
	}
	seen.stream_version = tide_reader_stream_version(reader);
	tide_reader_close(reader);
	return seen;
}

void seen_free(struct seen *seen)
{
	for (size_t i = 0; i < seen->count; i++)
		tide_free(seen->events[i]);
	free(seen->events);
}

static int64_t seen_number(const struct seen *seen, size_t i, bool versions)
{
	return versions ? seen->events[i]->version : seen->events[i]->position;
}

void saw_numbers(const struct seen *seen, bool versions, const int64_t *numbers, const char *file,
		 int line)
{
	size_t count = 0;
	bool are_same = true;
	for (; numbers[count]; count++)
		are_same = are_same && count < seen->count &&
			   seen_number(seen, count, versions) == numbers[count];
	if (are_same && seen->count == count)
		return;
	print_error("%s:%d: saw", file, line);
	for (size_t i = 0; i < seen->count; i++)
		print_error(" %lld", (long long)seen_number(seen, i, versions));
	print_error(", wanted");
	for (size_t i = 0; numbers[i]; i++)
		print_error(" %lld", (long long)numbers[i]);
	print_error("\n");
	_fail(file, line);
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static bool json_is_same(struct tide_text a, struct tide_text b);

static bool json_find_member(struct tide_text object, const char *key, struct tide_text *ret)
{
	struct json_reader reader;
	json_read(&reader, object.data, object.size);
	json_next(&reader);
	for (;;) {
		struct json_token token = json_next(&reader);
		if (token.kind != JSON_KEY)
			return false;
		bool is_it = json_equals(&token, key);
		struct tide_text value;
		if (!json_skip(&reader, json_next(&reader), &value))
			return false;
		if (is_it) {
			*ret = value;
			return true;
		}
	}
}

static bool json_is_same_object(struct tide_text a, struct tide_text b, size_t *ret_members)
{
	struct json_reader reader;
	json_read(&reader, a.data, a.size);
	json_next(&reader);
	for (*ret_members = 0;; ++*ret_members) {
		struct json_token token = json_next(&reader);
		if (token.kind != JSON_KEY)
			return token.kind == JSON_OBJECT_END;
		char *key = malloc(token.text.size + 1);
		assert_non_null(key);
		json_unescape(&token, key);
		struct tide_text value, other;
		bool is_same = json_skip(&reader, json_next(&reader), &value) &&
			       json_find_member(b, key, &other) && json_is_same(value, other);
		free(key);
		if (!is_same)
			return false;
	}
}

static bool json_is_same_array(struct tide_text a, struct tide_text b)
{
	struct json_reader left, right;
	json_read(&left, a.data, a.size);
	json_read(&right, b.data, b.size);
	json_next(&left);
	json_next(&right);
	for (;;) {
		struct json_token l = json_next(&left), r = json_next(&right);
		if (l.kind == JSON_ARRAY_END || r.kind == JSON_ARRAY_END)
			return l.kind == r.kind;
		struct tide_text lv, rv;
		if (!json_skip(&left, l, &lv) || !json_skip(&right, r, &rv) ||
		    !json_is_same(lv, rv))
			return false;
	}
}

static bool json_is_same_string(const struct json_token *a, const struct json_token *b)
{
	char *left = malloc(a->text.size + 1), *right = malloc(b->text.size + 1);
	assert_true(left && right);
	size_t left_size = json_unescape(a, left), right_size = json_unescape(b, right);
	bool is_same = left_size == right_size && memcmp(left, right, left_size) == 0;
	free(left);
	free(right);
	return is_same;
}

static bool json_is_same(struct tide_text a, struct tide_text b)
{
	struct json_reader left, right;
	json_read(&left, a.data, a.size);
	json_read(&right, b.data, b.size);
	struct json_token l = json_next(&left), r = json_next(&right);
	if (l.kind != r.kind)
		return false;
	double x, y;
	size_t members, others;
	switch (l.kind) {
	case JSON_NUMBER:
		return json_double(&l, &x) && json_double(&r, &y) && x == y;
	case JSON_STRING:
		return json_is_same_string(&l, &r);
	case JSON_ARRAY:
		return json_is_same_array(a, b);
	case JSON_OBJECT:
		return json_is_same_object(a, b, &members) && json_is_same_object(b, a, &others) &&
		       members == others;
	default:
		return l.kind == JSON_NULL || l.kind == JSON_TRUE || l.kind == JSON_FALSE;
	}
}

void same_json(struct tide_text a, const char *b)
{
	assert_non_null(a.data);
	if (json_is_same(a, tide_text(b)))
		return;
	print_error("JSON '%.*s', wanted '%s'\n", (int)(a.size < 300 ? a.size : 300), a.data, b);
	fail();
}

/* ---- Threads --------------------------------------------------------------------------------- */

struct racer {
	pthread_t thread;
	pthread_barrier_t *start;
	void (*run)(void *self, size_t index);
	void *self;
	size_t index;
};

static void *racer_run(void *argument)
{
	struct racer *racer = argument;
	pthread_barrier_wait(racer->start);
	racer->run(racer->self, racer->index);
	return NULL;
}

void race_to(size_t threads, void (*run)(void *self, size_t index), void *self)
{
	pthread_barrier_t start;
	pthread_barrier_init(&start, NULL, (unsigned)threads);
	struct racer *racers = calloc(threads, sizeof *racers);
	assert_non_null(racers);
	for (size_t i = 0; i < threads; i++) {
		racers[i] = (struct racer){ .start = &start, .run = run, .self = self, .index = i };
		assert_int_equal(pthread_create(&racers[i].thread, NULL, racer_run, &racers[i]), 0);
	}
	for (size_t i = 0; i < threads; i++)
		pthread_join(racers[i].thread, NULL);
	free(racers);
	pthread_barrier_destroy(&start);
}
