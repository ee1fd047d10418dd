/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checkpoints: a projection that knows how far it has come.
 *
 *	checkpoints                     keeps everything in memory
 *	checkpoints sqlite:orders.db    keeps it in a new SQLite file
 *
 * Three orders are history. A projection catches up on them, is stopped, and starts again with
 * nothing in hand: its checkpoint spares it the history, and only the order placed after that
 * reaches it. This is the tenth tutorial of eventsource-py, and it prints what that prints.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <tidemark/tidemark.h>

/* ---- What happens: an event is a struct and a table of its fields ---------------------------- */

struct order_placed {
	int64_t total_cents;
};

static const struct tide_field order_placed_fields[] = {
	TIDE_FIELD_INT64(struct order_placed, total_cents),
	TIDE_FIELD_END,
};

TIDE_EVENT_TYPE(order_placed, "OrderPlaced", 1, struct order_placed, order_placed_fields);

/* ---- What it happens to: an aggregate is a state that its events change ---------------------- */

struct order {
	int64_t total_cents;
};

static tide_status order_apply_placed(void *state, const void *payload,
				      const struct tide_event *event, struct tide_error *err)
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

/* ---- What we want to know: a projection counts orders and adds up what they are worth -------- */

struct totals {
	int64_t orders;
	int64_t cents;
};

static tide_status totals_order_placed(void *self, const void *payload,
				       const struct tide_event *event,
				       struct tide_delivery *delivery)
{
	struct totals *totals = self;
	const struct order_placed *order = payload;
	(void)event, (void)delivery;
	totals->orders++;
	totals->cents += order->total_cents;
	return TIDE_OK;
}

static const struct tide_event_handler totals_handlers[] = {
	{ &order_placed, totals_order_placed },
	TIDE_EVENT_HANDLER_END,
};

/* ---- The shop -------------------------------------------------------------------------------- */

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
	must(tide_aggregate_raise(order, &order_placed, &(struct order_placed){ total_cents },
				  &err));
	must(tide_repository_save(orders, order, &err));
	tide_aggregate_free(order);
}

/* A projection that adds up into `totals`, from its checkpoint on. */
static struct tide_manager *make_projection(struct tide_store *store, struct tide_bus *bus,
					    struct totals *totals,
					    struct tide_subscription **subscription)
{
	const struct tide_subscriber projection = {
		.name = "OrderProjection",
		.self = totals,
		.handlers = totals_handlers,
	};
	struct tide_manager *manager;
	must(tide_manager_open(TIDE_MANAGER(.store = store, .bus = bus), &manager, &err));
	must(tide_manager_subscribe(manager, &projection, NULL, subscription, &err));
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
	printf("   Revenue: $%" PRId64 ".%02" PRId64 "\n", totals->cents / 100,
	       totals->cents % 100);
}

static struct tide_checkpoint load_checkpoint(struct tide_store *store)
{
	TIDE_CLEANUP(tide_checkpoints_close) struct tide_checkpoints *checkpoints = NULL;
	struct tide_checkpoint checkpoint;
	must(tide_checkpoints_open(NULL, NULL, store, &checkpoints, &err));
	must(tide_checkpoints_load(checkpoints, "OrderProjection", &checkpoint, &err));
	return checkpoint;
}

static void print_checkpoint(const struct tide_checkpoint *checkpoint)
{
	char id[TIDE_UUID_TEXT_SIZE];
	printf("   Last event ID: %s\n", tide_uuid_format(&checkpoint->last_event_id, id));
	printf("   Last position: %" PRId64 "\n", checkpoint->position);
}

static void print_progress(const struct tide_checkpoint *checkpoint)
{
	char time[TIDE_TIME_TEXT_SIZE];
	printf("   Events processed: %" PRId64 "\n", checkpoint->events_processed);
	printf("   Last processed at: %s\n", tide_time_format(checkpoint->last_processed_at, time));
}

static void print_title(const char *title)
{
	static const char line[] = "============================================================";
	printf("%s\n%s\n%s\n", line, title, line);
}

/* ---- The story ------------------------------------------------------------------------------- */

static void tell(struct tide_store *store, struct tide_bus *bus, struct tide_repository *orders)
{
	struct tide_manager *manager;
	struct tide_subscription *subscription;
	struct tide_checkpoint checkpoint;
	struct totals first = { 0 }, second = { 0 };
	tide_position end;

	printf("\n2. Creating historical orders...\n");
	for (int64_t i = 1; i <= 3; i++)
		place_order(orders, 10000 * i);
	printf("   Created 3 orders\n");

	printf("\n3. Creating projection...\n");
	manager = make_projection(store, bus, &first, &subscription);

	printf("\n4. Starting SubscriptionManager (catching up)...\n");
	must(tide_manager_run(manager, 10, &err));

	printf("\n5. Query projection after catch-up:\n");
	print_totals(&first);

	printf("\n6. Check checkpoint:\n");
	checkpoint = load_checkpoint(store);
	print_checkpoint(&checkpoint);
	print_progress(&checkpoint);

	printf("\n7. Simulating restart...\n");
	stop_projection(manager);
	printf("   Manager stopped\n");
	manager = make_projection(store, bus, &second, &subscription);
	must(tide_manager_run(manager, 10, &err));

	printf("\n8. After restart (resumed from checkpoint):\n");
	print_totals(&second);

	printf("\n9. Creating new order (live event)...\n");
	place_order(orders, 25000);
	must(tide_store_end(store, &end, &err));
	must(tide_subscription_wait(subscription, end, 10, &err));

	printf("\n10. After live event:\n");
	print_totals(&second);

	stop_projection(manager);
	printf("\n11. Final checkpoint:\n");
	checkpoint = load_checkpoint(store);
	print_checkpoint(&checkpoint);
}

int main(int argc, char **argv)
{
	const char *url = argc > 1 ? argv[1] : "memory:";
	TIDE_CLEANUP(tide_store_close) struct tide_store *store = NULL;
	TIDE_CLEANUP(tide_bus_close) struct tide_bus *bus = NULL;
	TIDE_CLEANUP(tide_repository_close) struct tide_repository *orders = NULL;
	tide_position end;

	print_title("Tutorial 10: Checkpoints");
	printf("\n1. Setting up infrastructure...\n");
	must(tide_store_open(url, TIDE_STORE_OPTIONS(.initialize = true), &store, &err));
	must(tide_bus_open(&bus, &err));
	must(tide_repository_open(TIDE_REPOSITORY(.store = store, .bus = bus, .type = &order_type),
				  &orders, &err));
	must(tide_store_end(store, &end, &err));
	if (end > 0) {
		fprintf(stderr, "checkpoints: '%s' has events already, name a new file\n",
			tide_store_url(store));
		return 1;
	}

	tell(store, bus, orders);
	printf("\n");
	print_title("Tutorial complete!");
	return 0;
}
