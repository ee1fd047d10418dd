/* SPDX-License-Identifier: Apache-2.0 */
#include "die.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void bench_die(const char *format, ...)
{
	va_list list;
	va_start(list, format);
	fprintf(stderr, "%s: ", program_invocation_short_name);
	vfprintf(stderr, format, list);
	fprintf(stderr, "\n");
	va_end(list);
	exit(1);
}

void bench_check(tide_status status, const struct tide_error *err)
{
	if (status != TIDE_OK)
		bench_die("%s: %s", tide_status_name(status), err->message);
}
