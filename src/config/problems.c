/* SPDX-License-Identifier: Apache-2.0 */
/* What is wrong with a configuration. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "config/config.h"
#include "sys/alloc.h"

static void problems_put(struct problems *problems, int line, char *text)
{
	struct problem *items =
		text ? alloc_resize(problems->items, problems->count + 1, sizeof *items) : NULL;
	if (!items) {
		problems->failed = true;
		tide_free(text);
		return;
	}
	items[problems->count++] = (struct problem){ line, text };
	problems->items = items;
}

void problems_add(struct problems *problems, int line, const char *section, const char *key,
		  const char *format, ...)
{
	char what[1024];
	va_list list;

	va_start(list, format);
	vsnprintf(what, sizeof what, format, list);
	va_end(list);
	problems_put(problems, line,
		     !section ? alloc_format("%s", what)
			      : alloc_format("[%s]%s%s: %s", section, key ? " " : "",
					     key ? key : "", what));
}

void problems_sort(struct problems *problems)
{
	for (size_t i = 1; i < problems->count; i++) {
		struct problem item = problems->items[i];
		size_t at = i;
		for (; at > 0 && problems->items[at - 1].line > item.line; at--)
			problems->items[at] = problems->items[at - 1];
		problems->items[at] = item;
	}
}

void problems_fini(struct problems *problems)
{
	for (size_t i = 0; i < problems->count; i++)
		tide_free(problems->items[i].text);
	tide_free(problems->items);
	*problems = (struct problems){ 0 };
}
