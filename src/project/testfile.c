/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file of cases taken apart, before any database sees it.
 *
 * Happy path: it is read line by line; a line that begins with `-- case:`, `-- given:` or
 * `-- expect` says what the lines below it are; other comments and empty lines are passed over.
 * Failure modes: a line that is none of what may stand there is refused with its number.
 */
#include "project/testfile.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/json.h"
#include "sys/alloc.h"

#define TESTFILE_SIZE_MAX (16u << 20)

/** What the lines of a section are. */
enum testfile_section { TESTFILE_NONE, TESTFILE_GIVEN, TESTFILE_ROWS };

/** A file being taken apart. */
struct testfile {
	struct test_file *file;
	enum testfile_section section;
	size_t line;
	struct tide_error *err;
};

static tide_status testfile_fail(const struct testfile *testfile, const char *what,
				 const char *found)
{
	return tide_fail(testfile->err, TIDE_ARGUMENT, "'%s' line %zu: %s%s%.200s%s",
			 testfile->file->path, testfile->line, what, found ? " '" : "",
			 found ? found : "", found ? "'" : "");
}

/* One more element at the end of a list that grows by doubling; NULL: memory is out. */
static void *testfile_grow(void *list, size_t count, size_t size)
{
	bool is_full = (count & (count - 1)) == 0;
	return is_full ? alloc_resize(list, count ? 2 * count : 1, size) : list;
}

static char *testfile_trim(char *text)
{
	char *end = text + strlen(text);
	while (end > text && strchr(" \t\r", end[-1]))
		*--end = '\0';
	return text + strspn(text, " \t");
}

/* ---- Sections -------------------------------------------------------------------------------- */

static tide_status testfile_begin_case(struct testfile *testfile, const char *title)
{
	struct test_file *file = testfile->file;
	if (!*title)
		return testfile_fail(testfile, "a case has no title", NULL);
	struct test_case *cases = testfile_grow(file->cases, file->count, sizeof *cases);
	if (!cases)
		return alloc_fail(testfile->err);
	file->cases = cases;
	cases[file->count++] = (struct test_case){ .line = testfile->line, .title = title };
	testfile->section = TESTFILE_NONE;
	return TIDE_OK;
}

static tide_status testfile_add_expect(struct testfile *testfile, const struct test_expect *expect)
{
	struct test_case *last = &testfile->file->cases[testfile->file->count - 1];
	struct test_expect *expects =
		testfile_grow(last->expects, last->expect_count, sizeof *expects);
	if (!expects)
		return alloc_fail(testfile->err);
	last->expects = expects;
	expects[last->expect_count++] = *expect;
	testfile->section = expect->query ? TESTFILE_ROWS : TESTFILE_NONE;
	return TIDE_OK;
}

/* What stands behind the colon of a section that is so called; NULL: it is another one. */
static char *testfile_after(char *text, const char *name)
{
	size_t size = strlen(name);
	return strncmp(text, name, size) == 0 && text[size] == ':' ? testfile_trim(text + size + 1)
								   : NULL;
}

static tide_status testfile_expect(struct testfile *testfile, char *text)
{
	struct test_expect expect = { .line = testfile->line };
	const char *query = testfile_after(text, "expect");
	const char *unordered = testfile_after(text, "expect unordered");

	expect.text = testfile_after(text, "expect error");
	expect.query = query ? query : unordered;
	expect.is_unordered = unordered != NULL;
	if (!expect.query && !expect.text)
		return testfile_fail(testfile,
				     "it is none of expect, expect unordered, expect error:", text);
	if (expect.query && !*expect.query)
		return testfile_fail(testfile, "expect has no query", NULL);
	if (expect.text && !*expect.text)
		return testfile_fail(testfile, "expect error has no text", NULL);
	return testfile_add_expect(testfile, &expect);
}

/* Whether a comment is a section, and what came of it. */
static bool testfile_is_section(struct testfile *testfile, char *text, tide_status *ret)
{
	const char *title = testfile_after(text, "case");
	bool is_given = testfile_after(text, "given") != NULL;
	bool is_expect = strncmp(text, "expect", 6) == 0 && strchr(text, ':');

	if (title)
		*ret = testfile_begin_case(testfile, title);
	else if ((is_given || is_expect) && testfile->file->count == 0)
		*ret = testfile_fail(testfile, "it stands before the first case:", text);
	else if (is_given)
		testfile->section = TESTFILE_GIVEN;
	else if (is_expect)
		*ret = testfile_expect(testfile, text);
	return title || is_given || is_expect;
}

/* ---- Lines ----------------------------------------------------------------------------------- */

/* The size of the JSON value that a text begins with; 0: it is none. */
static size_t testfile_value(const char *text)
{
	struct json_reader reader;
	struct tide_text value;
	json_read(&reader, text, strlen(text));
	struct json_token token = json_next(&reader);
	bool is_value = token.kind != JSON_ERROR && token.kind != JSON_END &&
			json_skip(&reader, token, &value);
	return is_value ? (size_t)(value.data - text) + value.size : 0;
}

static char *testfile_word(char **at)
{
	char *word = *at + strspn(*at, " \t");
	char *end = word + strcspn(word, " \t");
	*at = *end ? end + 1 : end;
	*end = '\0';
	return word;
}

static tide_status testfile_given(struct testfile *testfile, char *text)
{
	struct test_given given = { .line = testfile->line };
	given.stream = testfile_word(&text);
	given.type = testfile_word(&text);
	char *payload = testfile_trim(text);
	size_t size = testfile_value(payload);
	if (size == 0)
		return testfile_fail(testfile,
				     "an event is STREAM TYPE JSON; this is no JSON:", payload);
	char *time = testfile_trim(payload + size);
	if (*time && *time != '@')
		return testfile_fail(testfile, "behind the event stands", time);
	if (*time)
		given.time = time + 1;
	payload[size] = '\0';
	given.payload = payload;

	struct test_case *last = &testfile->file->cases[testfile->file->count - 1];
	struct test_given *list = testfile_grow(last->given, last->given_count, sizeof *list);
	if (!list)
		return alloc_fail(testfile->err);
	last->given = list;
	list[last->given_count++] = given;
	return TIDE_OK;
}

static tide_status testfile_row(struct testfile *testfile, const char *text)
{
	struct test_case *last = &testfile->file->cases[testfile->file->count - 1];
	struct test_expect *expect = &last->expects[last->expect_count - 1];
	const char **rows = testfile_grow(expect->rows, expect->count, sizeof *rows);
	if (!rows)
		return alloc_fail(testfile->err);
	expect->rows = rows;
	rows[expect->count++] = text;
	return TIDE_OK;
}

static tide_status testfile_line(struct testfile *testfile, char *text)
{
	tide_status status = TIDE_OK;
	size_t size = strlen(text);
	if (size > 0 && text[size - 1] == '\r')
		text[size - 1] = '\0';
	if (text[strspn(text, " \t")] == '\0')
		return TIDE_OK;
	if (strncmp(text, "--", 2) == 0) {
		(void)testfile_is_section(testfile, testfile_trim(text + 2), &status);
		return status;
	}

	switch (testfile->section) {
	case TESTFILE_GIVEN:
		return testfile_given(testfile, testfile_trim(text));
	case TESTFILE_ROWS:
		return testfile_row(testfile, text);
	case TESTFILE_NONE:
		break;
	}
	return testfile_fail(testfile, "it belongs to no section:", text);
}

/* ---- The file -------------------------------------------------------------------------------- */

static tide_status testfile_load(struct test_file *file, struct tide_error *err)
{
	FILE *input = fopen(file->path, "re");
	size_t size = 0, capacity = 0;
	tide_status status = TIDE_OK;

	if (!input)
		return tide_fail(err, errno == ENOENT ? TIDE_NOT_FOUND : TIDE_IO, "'%s': %s",
				 file->path, strerror(errno));
	while (status == TIDE_OK && !feof(input)) {
		if (size + 1 >= capacity) {
			capacity = capacity ? 2 * capacity : 8192;
			char *text = capacity > TESTFILE_SIZE_MAX
					     ? NULL
					     : alloc_resize(file->text, capacity, 1);
			if (!text)
				status = capacity > TESTFILE_SIZE_MAX
						 ? tide_fail(err, TIDE_ARGUMENT, "'%s' is too long",
							     file->path)
						 : alloc_fail(err);
			if (!text)
				break;
			file->text = text;
		}
		size += fread(file->text + size, 1, capacity - size - 1, input);
		file->text[size] = '\0';
		if (ferror(input))
			status = tide_fail(err, TIDE_IO, "'%s': %s", file->path, strerror(errno));
	}
	fclose(input);
	if (status == TIDE_OK && strlen(file->text) != size)
		status = tide_fail(err, TIDE_ARGUMENT, "'%s' has a NUL in it", file->path);
	return status;
}

static tide_status testfile_check(const struct test_file *file, struct tide_error *err)
{
	if (file->count == 0)
		return tide_fail(err, TIDE_ARGUMENT, "'%s' has no case: a line '-- case: TITLE'",
				 file->path);
	for (size_t i = 0; i < file->count; i++)
		if (file->cases[i].expect_count == 0)
			return tide_fail(err, TIDE_ARGUMENT,
					 "'%s' line %zu: the case expects nothing", file->path,
					 file->cases[i].line);
	return TIDE_OK;
}

tide_status test_file_read(const char *path, struct test_file *ret, struct tide_error *err)
{
	struct test_file file = { .path = path };
	struct testfile testfile = { .file = &file, .err = err };
	tide_status status = testfile_load(&file, err);
	char *at = file.text;

	while (status == TIDE_OK && at && *at) {
		char *end = at + strcspn(at, "\n");
		bool is_last = !*end;
		*end = '\0';
		testfile.line++;
		status = testfile_line(&testfile, at);
		at = is_last ? end : end + 1;
	}
	if (status == TIDE_OK)
		status = testfile_check(&file, err);
	if (status == TIDE_OK)
		*ret = file;
	else
		test_file_fini(&file);
	return status;
}

void test_file_fini(struct test_file *file)
{
	for (size_t i = 0; i < file->count; i++) {
		struct test_case *one = &file->cases[i];
		for (size_t j = 0; j < one->expect_count; j++)
			tide_free(one->expects[j].rows);
		tide_free(one->expects);
		tide_free(one->given);
	}
	tide_free(file->cases);
	tide_free(file->text);
	*file = (struct test_file){ 0 };
}
