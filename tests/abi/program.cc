/* SPDX-License-Identifier: Apache-2.0 */
/* The same in C++17. */
#include <cstdio>

#include <tidemark/tidemark.h>

int main()
{
	TIDE_CLEANUP(tide_store_close) tide_store *store = nullptr;
	tide_error err;
	tide_position end = 0;
	tide_new_event event{};
	event.event_type = "Happened";
	tide_append append{ { tide_uuid_v4(), "Thing" }, TIDE_NO_STREAM, &event, 1 };

	if (tide_store_open("memory:", nullptr, &store, &err) != TIDE_OK ||
	    tide_store_append(store, &append, nullptr, &err) != TIDE_OK ||
	    tide_store_end(store, &end, &err) != TIDE_OK) {
		std::fprintf(stderr, "%s\n", err.message);
		return 1;
	}
	return end == 1 ? 0 : 1;
}
