/* SPDX-License-Identifier: Apache-2.0 */
#include <tidemark/backend.h>

void tide_segments_free(struct tide_segment *segments, size_t count)
{
	for (size_t i = 0; segments && i < count; i++)
		tide_free(segments[i].filter);
	tide_free(segments);
}
