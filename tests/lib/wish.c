/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/wish.h"

#include <stdlib.h>

int64_t test_number(const char *variable, int64_t standard)
{
	const char *text = getenv(variable);
	return text && *text ? strtoll(text, NULL, 10) : standard;
}
