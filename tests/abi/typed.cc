/* SPDX-License-Identifier: Apache-2.0 */
/* A typed subscriber in C++, from C++11 on. */
#include <cstdio>

#include <tidemark/tidemark.h>

struct order {
	int32_t cents;
	char note[20];
};
static const struct tide_field order_fields[] = {
	TIDE_FIELD_INT32(struct order, cents),
	TIDE_FIELD_CHARS(struct order, note),
	TIDE_FIELD_END,
};
TIDE_EVENT_TYPE(order_placed, "OrderPlaced", 1, struct order, order_fields);

static tide_status add_order(void *self, const void *payload, const struct tide_event *,
			     struct tide_delivery *)
{
	*static_cast<long *>(self) += static_cast<const order *>(payload)->cents;
	return TIDE_OK;
}
static const struct tide_event_handler handlers[] = { { &order_placed, add_order },
						      TIDE_EVENT_HANDLER_END };

int main()
{
	long cents = 0;
	TIDE_CLEANUP(tide_store_close) tide_store *store = nullptr;
	TIDE_CLEANUP(tide_manager_close) tide_manager *manager = nullptr;
	tide_error err;
	tide_new_event placed{};
	placed.event_type = "OrderPlaced";
	placed.payload = tide_text("{\"cents\": 250, \"note\": \"a gift\"}");
	tide_append append{ { tide_uuid_v7(), "Order" }, TIDE_NO_STREAM, &placed, 1 };
	tide_subscriber orders{};
	orders.name = "Orders";
	orders.self = &cents;
	orders.handlers = handlers;

	tide_store_options options = TIDE_STORE_OPTIONS();
	options.initialize = true;
	if (tide_store_open("memory:", &options, &store, &err) == TIDE_OK &&
	    tide_store_append(store, &append, nullptr, &err) == TIDE_OK) {
		tide_manager_options managed = tide_manager_options_default(store);
		if (tide_manager_open(&managed, &manager, &err) == TIDE_OK &&
		    tide_manager_subscribe(manager, &orders, nullptr, nullptr, &err) == TIDE_OK &&
		    tide_manager_run(manager, 30, &err) == TIDE_OK)
			return cents == 250 ? 0 : 1;
	}
	std::fprintf(stderr, "%s\n", err.message);
	return 1;
}
