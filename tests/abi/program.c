/* SPDX-License-Identifier: Apache-2.0 */
/* The smallest program of a user: it appends one event and reads it back; its headers are of the
 * library that runs. */
#include <stdio.h>
#include <string.h>

#include <tidemark/tidemark.h>

int main(void)
{
	TIDE_CLEANUP(tide_store_close) struct tide_store *store = NULL;
	struct tide_error err;
	tide_position end = 0;
	struct tide_new_event event = { .event_type = "Happened" };
	struct tide_append append = { { tide_uuid_v4(), "Thing" }, TIDE_NO_STREAM, &event, 1 };

	if (tide_store_open("memory:", NULL, &store, &err) != TIDE_OK ||
	    tide_store_append(store, &append, NULL, &err) != TIDE_OK ||
	    tide_store_end(store, &end, &err) != TIDE_OK) {
		fprintf(stderr, "%s\n", err.message);
		return 1;
	}
	if (strcmp(tide_library_version(), TIDE_VERSION_TEXT) != 0)
		return 1;
	return end == 1 ? 0 : 1;
}
