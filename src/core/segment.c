/* SPDX-License-Identifier: Apache-2.0 */
#include "core/segment.h"

#include <string.h>

bool segment_is_of(const char *name, const char *owner)
{
	size_t size = strlen(name);
	if (strncmp(name, owner, size) != 0)
		return false;
	const char *at = owner + size;
	if (*at == '\0')
		return true;
	if (*at++ != '#')
		return false;

	size_t index = strspn(at, "0123456789");
	if (index == 0 || at[index] != '/')
		return false;
	at += index + 1;
	return *at != '\0' && at[strspn(at, "0123456789")] == '\0';
}

void tide_segments_free(struct tide_segment *segments, size_t count)
{
	for (size_t i = 0; segments && i < count; i++)
		tide_free(segments[i].filter);
	tide_free(segments);
}
