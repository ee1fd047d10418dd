/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <stdlib.h>
#include <time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sys/thread.h"

static void text_form_round_trips_in_either_case(void **state)
{
	(void)state;
	struct tide_uuid uuid = uuid_of("F47AC10B-58CC-4372-A567-0E02B2C3D479");
	char text[TIDE_UUID_TEXT_SIZE];
	assert_ptr_equal(tide_uuid_format(&uuid, text), text);
	assert_string_equal(text, "f47ac10b-58cc-4372-a567-0e02b2c3d479");
	assert_int_equal(uuid.bytes[0], 0xf4);
	assert_int_equal(uuid.bytes[15], 0x79);
}

static void malformed_text_is_refused_and_leaves_the_output(void **state)
{
	(void)state;
	static const char *const wrong[] = {
		"",
		"f47ac10b-58cc-4372-a567-0e02b2c3d47",
		"f47ac10b-58cc-4372-a567-0e02b2c3d4790",
		"f47ac10b-58cc-4372-a567-0e02b2c3d47g",
		"f47ac10b058cc-4372-a567-0e02b2c3d479",
		"{f47ac10b-58cc-4372-a567-0e02b2c3d47}",
		"f47ac10b58cc4372a5670e02b2c3d479",
		" 47ac10b-58cc-4372-a567-0e02b2c3d479",
		"f47ac10b-58cc-4372-a567-0e02b2c3d4\xc3\xa9",
		"f47ac10b-58cc-4372-a567-0e02b2c3d4:/",
		"f47ac10b-58cc-4372-a567-0e02b2c3d4@`",
		"f47ac10b-58cc-4372-a567_0e02b2c3d479",
	};
	const struct tide_uuid before = uuid_of("00112233-4455-6677-8899-aabbccddeeff");
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		struct tide_uuid uuid = before;
		struct tide_error err;
		char message[128];
		snprintf(message, sizeof message, "'%s' is no UUID of 36 characters", wrong[i]);
		assert_fails(tide_uuid_parse(wrong[i], &uuid, &err), TIDE_ARGUMENT, &err, message);
		assert_true(tide_uuid_equal(&uuid, &before));
	}
	struct tide_uuid uuid;
	assert_int_equal(tide_uuid_parse(NULL, &uuid, NULL), TIDE_ARGUMENT);
	assert_int_equal(tide_uuid_parse("f47ac10b-58cc-4372-a567-0e02b2c3d479", NULL, NULL),
			 TIDE_ARGUMENT);
}

static void every_byte_but_a_digit_is_refused_in_every_place(void **state)
{
	(void)state;
	for (int place = 0; place < 36; place++) {
		for (int byte = 1; byte < 256; byte++) {
			char text[TIDE_UUID_TEXT_SIZE] = "00112233-4455-6677-8899-aabbccddeeff";
			bool is_hyphen = text[place] == '-';
			text[place] = (char)byte;
			bool is_digit = (byte >= '0' && byte <= '9') ||
					(byte >= 'a' && byte <= 'f') ||
					(byte >= 'A' && byte <= 'F');
			struct tide_uuid uuid;
			assert_int_equal(tide_uuid_parse(text, &uuid, NULL),
					 (is_hyphen ? byte == '-' : is_digit) ? TIDE_OK
									      : TIDE_ARGUMENT);
		}
	}
}

static void version_5_gives_the_known_values(void **state)
{
	(void)state;
	struct tide_uuid dns = uuid_of("6ba7b810-9dad-11d1-80b4-00c04fd430c8"),
			 url = uuid_of("6ba7b811-9dad-11d1-80b4-00c04fd430c8");
	/* RFC 9562, appendix A.4 */
	struct tide_uuid example = tide_uuid_v5(&dns, "www.example.com");
	struct tide_uuid expected = uuid_of("2ed6657d-e927-568b-95e1-2665a8aea6a2");
	assert_true(tide_uuid_equal(&example, &expected));
	struct tide_uuid python = tide_uuid_v5(&dns, "python.org");
	expected = uuid_of("886313e1-3b8a-5372-9b90-0c9aee199e5d");
	assert_true(tide_uuid_equal(&python, &expected));
	struct tide_uuid named = tide_uuid_v5(NULL, "anything"),
			 same = tide_uuid_v5(&url, "anything");
	assert_true(tide_uuid_equal(&named, &same));
}

static void version_5_takes_names_of_every_size(void **state)
{
	(void)state;
	/* Sizes around the blocks of SHA-1: the values were computed with another
	 * implementation. */
	static const struct {
		size_t size;
		const char *uuid;
	} cases[] = {
		{ 0, "1b4db7eb-4057-5ddf-91e0-36dec72071f5" },
		{ 1, "4cd605e7-afa2-5360-b5b9-c5e9fb5c76f4" },
		{ 38, "f3a13bfb-adc6-59a0-8124-fe6edeaca7ea" },
		{ 39, "f4eaee1e-e483-528b-88bd-6b8932ab6e2b" },
		{ 40, "f562c38a-a8fe-5cdd-b523-6f30cfb54847" },
		{ 47, "b18474ae-5fc6-5d04-aa24-a5be94234955" },
		{ 48, "8fa6ffa9-9280-5899-a2d8-b082ccdf6380" },
		{ 103, "d690283f-eed8-5514-87df-04adabb6e2d6" },
		{ 104, "f73ecf9a-6ec9-5147-a7e0-f5bc67eeefa0" },
		{ 112, "f531054f-eafa-5f71-a62b-6dd48019d086" },
		{ 200, "cd3580b9-d244-586a-8077-74317319b48d" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char name[256];
		memset(name, 'x', cases[i].size);
		name[cases[i].size] = '\0';
		struct tide_uuid uuid = tide_uuid_v5(NULL, name), expected = uuid_of(cases[i].uuid);
		assert_true(tide_uuid_equal(&uuid, &expected));
	}
}

static void version_4_is_marked_and_never_repeats(void **state)
{
	(void)state;
	struct tide_uuid before = tide_uuid_v4();
	for (int i = 0; i < 10000; i++) {
		struct tide_uuid uuid = tide_uuid_v4();
		assert_int_equal(uuid.bytes[6] >> 4, 4);
		assert_int_equal(uuid.bytes[8] >> 6, 2);
		assert_false(tide_uuid_equal(&before, &uuid));
		before = uuid;
	}
}

static void version_7_increases_and_tells_the_time(void **state)
{
	(void)state;
	int64_t now_ms = (int64_t)time(NULL) * 1000;
	struct tide_uuid before = { { 0 } };
	for (int i = 0; i < 100000; i++) {
		struct tide_uuid uuid = tide_uuid_v7();
		assert_int_equal(uuid.bytes[6] >> 4, 7);
		assert_int_equal(uuid.bytes[8] >> 6, 2);
		assert_true(tide_uuid_compare(&before, &uuid) < 0);
		before = uuid;
	}
	int64_t ms = 0;
	for (int i = 0; i < 6; i++)
		ms = ms << 8 | before.bytes[i];
	assert_in_range(ms - now_ms + 60000, 0, 120000);
}

#define PER_THREAD 20000
static struct tide_uuid made[4][PER_THREAD];

static void make_many(void *self)
{
	struct tide_uuid *into = self;
	for (int i = 0; i < PER_THREAD; i++)
		into[i] = tide_uuid_v7();
}

static int by_bytes(const void *a, const void *b)
{
	return tide_uuid_compare(a, b);
}

static void version_7_is_unique_and_increasing_in_every_thread(void **state)
{
	(void)state;
	struct thread threads[4];
	for (int i = 0; i < 4; i++)
		assert_int_equal(thread_start(&threads[i], "maker", make_many, made[i], NULL),
				 TIDE_OK);
	for (int i = 0; i < 4; i++)
		thread_join(&threads[i]);
	for (int i = 0; i < 4; i++)
		for (int j = 1; j < PER_THREAD; j++)
			assert_true(tide_uuid_compare(&made[i][j - 1], &made[i][j]) < 0);
	qsort(made, sizeof made / sizeof **made, sizeof **made, by_bytes);
	struct tide_uuid *all = *made;
	for (size_t i = 1; i < sizeof made / sizeof **made; i++)
		assert_false(tide_uuid_equal(&all[i - 1], &all[i]));
}

static void a_fork_does_not_repeat_its_parent(void **state)
{
	(void)state;
	tide_uuid_v4(); /* the pool is filled now, and the child inherits it */
	int ends[2];
	assert_int_equal(pipe(ends), 0);
	pid_t child = fork();
	if (child == 0) {
		struct tide_uuid uuid = tide_uuid_v4();
		_exit(write(ends[1], &uuid, sizeof uuid) == sizeof uuid ? 0 : 1);
	}
	struct tide_uuid mine = tide_uuid_v4(), theirs;
	assert_int_equal(read(ends[0], &theirs, sizeof theirs), sizeof theirs);
	waitpid(child, NULL, 0);
	close(ends[0]);
	close(ends[1]);
	assert_false(tide_uuid_equal(&mine, &theirs));
}

static void order_is_that_of_the_text_form(void **state)
{
	(void)state;
	struct tide_uuid low = uuid_of("00000000-0000-0000-0000-0000000000ff"),
			 high = uuid_of("80000000-0000-0000-0000-000000000000");
	struct tide_uuid nil = { { 0 } };
	assert_true(tide_uuid_compare(&low, &high) < 0);
	assert_true(tide_uuid_compare(&high, &low) > 0);
	assert_int_equal(tide_uuid_compare(&low, &low), 0);
	assert_true(tide_uuid_is_nil(&nil));
	assert_false(tide_uuid_is_nil(&low));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_form_round_trips_in_either_case),
		cmocka_unit_test(malformed_text_is_refused_and_leaves_the_output),
		cmocka_unit_test(every_byte_but_a_digit_is_refused_in_every_place),
		cmocka_unit_test(version_5_gives_the_known_values),
		cmocka_unit_test(version_5_takes_names_of_every_size),
		cmocka_unit_test(version_4_is_marked_and_never_repeats),
		cmocka_unit_test(version_7_increases_and_tells_the_time),
		cmocka_unit_test(version_7_is_unique_and_increasing_in_every_thread),
		cmocka_unit_test(a_fork_does_not_repeat_its_parent),
		cmocka_unit_test(order_is_that_of_the_text_form),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
