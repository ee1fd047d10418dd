/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checkpoints: a projection that knows how far it has come.
 *
 *	checkpoints                     keeps everything in memory
 *	checkpoints sqlite:orders.db    keeps it in a new SQLite file
 *
 * Three orders are history. A projection catches up on them, is stopped, and starts again with nothing in hand: its
 * checkpoint spares it the history, and only the order placed after that reaches it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <tidemark/tidemark.h>

/* ---- What happens: an event is a struct and a table of its fields ------------------------------------------- */

struct order_placed {
	int64_t total_cents;
};

static const struct tide_field order_placed_fields[] = {
	TIDE_FIELD_INT64(struct order_placed, total_cents),
	TIDE_FIELD_END,
};

TIDE_EVENT_TYPE(order_placed, "OrderPlaced", 1, struct order_placed, order_placed_fields);

/* ---- What it happens to: an aggregate is a state that its events change ------------------------------------- */

struct order {
	int64_t total_cents;
};

static tide_status order_apply_placed(void *state, const void *payload, const struct tide_event *event,
				      struct tide_error *err)
{
	struct order *order = state;
	const struct order_placed *placed = payload;
	(void)event, (void)err;
	order->total_cents = placed->total_cents;
	return TIDE_OK;
}

static const struct tide_applier order_appliers[] = {
	{ &order_placed, order_apply_placed },
	TIDE_APPLIER_END,
};

static const struct tide_aggregate_type order_type = {
	.name = "Order",
	.state_size = sizeof(struct order),
	.appliers = order_appliers,
};

/* ---- What we want to know: a projection counts orders and adds up what they are worth ------------------------ */

struct totals {
	int64_t orders;
	int64_t cents;
};

static tide_status totals_order_placed(void *self, const struct tide_event *event, struct tide_delivery *delivery)
{
	struct totals *totals = self;
	struct order_placed order;
	struct tide_error err;
	if (tide_event_decode(&order_placed, event, &order, &err) != TIDE_OK)
		return tide_delivery_fail(delivery, err.status, "%s", err.message);
	totals->orders++;
	totals->cents += order.total_cents;
	return TIDE_OK;
}

/* ---- The shop ------------------------------------------------------------------------------------------------- */

/* Every call returns a status and can tell why it failed; here, a failure ends the program. */
static struct tide_error err;

static void must(tide_status status)
{
	if (status == TIDE_OK)
		return;
	fprintf(stderr, "checkpoints: %s\n", err.message);
	exit(1);
}

static void place_order(struct tide_repository *orders, int64_t total_cents)
{
	struct tide_aggregate *order;
	must(tide_repository_create(orders, NULL, &order, &err));
	must(tide_aggregate_raise(order, &order_placed, &(struct order_placed){ total_cents }, &err));
	must(tide_repository_save(orders, order, &err));
	tide_aggregate_free(order);
}

/* Run a projection that adds up into `totals`, from its checkpoint on; returns when it is live. */
static struct tide_manager *start_projection(struct tide_store *store, struct tide_bus *bus, struct totals *totals,
					     struct tide_subscription **subscription)
{
	const struct tide_subscriber projection = {
		.name = "OrderTotals",
		.self = totals,
		.event_types = (const char *const[]){ "OrderPlaced", NULL },
		.handle = totals_order_placed,
	};
	struct tide_manager *manager;
	must(tide_manager_open(TIDE_MANAGER(.store = store, .bus = bus), &manager, &err));
	must(tide_manager_subscribe(manager, &projection, NULL, subscription, &err));
	must(tide_manager_start(manager, NULL, 10, NULL, NULL, &err));
	must(tide_subscription_wait_state(*subscription, TIDE_STATE_LIVE, 10, &err));
	return manager;
}

/* Stop after the event in hand, with a last checkpoint. */
static void stop_projection(struct tide_manager *manager)
{
	must(tide_manager_stop(manager, NULL, 0, &err));
	tide_manager_close(manager);
}

static void print_totals(const struct totals *totals)
{
	printf("   Orders: %" PRId64 "\n", totals->orders);
	printf("   Revenue: $%" PRId64 ".%02" PRId64 "\n", totals->cents / 100, totals->cents % 100);
}

static void print_checkpoint(struct tide_store *store)
{
	struct tide_checkpoints *checkpoints;
	struct tide_checkpoint checkpoint;
	must(tide_checkpoints_open(NULL, NULL, store, &checkpoints, &err));
	must(tide_checkpoints_load(checkpoints, "OrderTotals", &checkpoint, &err));
	printf("   Last position: %" PRId64 "\n", checkpoint.position);
	printf("   Events processed: %" PRId64 "\n", checkpoint.events_processed);
	tide_checkpoints_close(checkpoints);
}

/* ---- The story ------------------------------------------------------------------------------------------------ */

static void tell(struct tide_store *store, struct tide_bus *bus, struct tide_repository *orders)
{
	struct tide_manager *manager;
	struct tide_subscription *subscription;
	struct totals first = { 0 }, second = { 0 };
	tide_position end;

	printf("\n2. Placing three historical orders...\n");
	place_order(orders, 10000);
	place_order(orders, 20000);
	place_order(orders, 30000);
	must(tide_store_end(store, &end, &err));
	printf("   Feed end: %" PRId64 "\n", end);

	printf("\n3. Starting the projection: it catches up, then goes live...\n");
	manager = start_projection(store, bus, &first, &subscription);
	printf("   State: %s\n", tide_state_name(tide_subscription_state(subscription)));

	printf("\n4. After catching up:\n");
	print_totals(&first);

	printf("\n5. Checkpoint:\n");
	print_checkpoint(store);

	printf("\n6. Stopping the manager...\n");
	stop_projection(manager);

	printf("\n7. Starting a new projection of the same name...\n");
	manager = start_projection(store, bus, &second, &subscription);
	printf("   Resumed behind position: %" PRId64 "\n", tide_subscription_position(subscription));

	printf("\n8. After the restart it has seen nothing old:\n");
	print_totals(&second);

	printf("\n9. Placing a new order...\n");
	place_order(orders, 25000);
	must(tide_store_end(store, &end, &err));
	must(tide_subscription_wait(subscription, end, 10, &err));

	printf("\n10. After the live event:\n");
	print_totals(&second);

	stop_projection(manager);
	printf("\n11. Final checkpoint:\n");
	print_checkpoint(store);
}

int main(int argc, char **argv)
{
	const char *url = argc > 1 ? argv[1] : "memory:";
	struct tide_store *store;
	struct tide_bus *bus;
	struct tide_repository *orders;
	tide_position end;

	printf("1. Setting up infrastructure...\n");
	must(tide_store_open(url, TIDE_STORE_OPTIONS(.initialize = true), &store, &err));
	must(tide_bus_open(&bus, &err));
	must(tide_repository_open(TIDE_REPOSITORY(.store = store, .bus = bus, .type = &order_type), &orders, &err));
	must(tide_store_end(store, &end, &err));
	if (end > 0) {
		fprintf(stderr, "checkpoints: '%s' has events already, name a new file\n", tide_store_url(store));
		return 1;
	}
	printf("   Store: %s\n", tide_store_url(store));

	tell(store, bus, orders);

	tide_repository_close(orders);
	tide_bus_close(bus);
	tide_store_close(store);
	return 0;
}
