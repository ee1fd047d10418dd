/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/must.h"

#include <string.h>

void must_be(tide_status got, tide_status wanted, const struct tide_error *err, const char *call,
	     const char *file, int line)
{
	if (got != wanted) {
		print_error("%s:%d: %s: %s, not %s: %s\n", file, line, call, tide_status_name(got),
			    tide_status_name(wanted), err->message);
		_fail(file, line);
	}
	if (got == TIDE_OK)
		return;
	size_t size = strlen(err->message);
	if (err->status != got || size == 0 || strchr(err->message, '\n') ||
	    err->message[size - 1] == '.') {
		print_error("%s:%d: %s: error '%s' with message '%s'\n", file, line, call,
			    tide_status_name(err->status), err->message);
		_fail(file, line);
	}
}

void must_mention(const struct tide_error *err, const char *text)
{
	if (strstr(err->message, text))
		return;
	print_error("'%s' does not mention '%s'\n", err->message, text);
	fail();
}
