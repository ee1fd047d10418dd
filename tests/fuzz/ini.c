/* SPDX-License-Identifier: Apache-2.0 */
#include "target.h"

#include "config/config.h"
#include "sys/alloc.h"

static void check_part(const char *text)
{
	size_t size = strlen(text);
	assert(!strchr(text, '\n'));
	assert(size == 0 || (!strchr(" \t\r", text[0]) && !strchr(" \t\r", text[size - 1])));
}

/* What is told is within a section, in the order of lines, and without blanks around it. */
static void check_line(void *self, int line, const char *section, const char *key,
		       const char *value)
{
	int *last = self;
	assert(line > *last && *section);
	*last = line;
	check_part(section);
	if (key) {
		check_part(key);
		check_part(value);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct problems problems = { .file = "tide.conf" };
	int last = 0;
	char *text = alloc_zero(size + 1, 1);
	assert(text);
	if (size > 0)
		memcpy(text, data, size);
	ini_read(text, size, &problems, check_line, &last);
	for (size_t i = 0; i < problems.count; i++)
		assert(problems.items[i].line > 0 && !strchr(problems.items[i].text, '\n'));
	problems_fini(&problems);
	tide_free(text);
	return 0;
}
