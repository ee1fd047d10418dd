/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reactions: a process manager that answers events with events, each once.
 *
 *	fulfilment                    keeps everything in memory
 *	fulfilment sqlite:shop.db     keeps it in a new SQLite file
 *
 * An order is placed. It is paid, so a shipment is requested, and it is completed when the parcel
 * is sent; or a day passes without a payment, and it is cancelled. What the manager appends commits
 * with its own table and its checkpoint. It never looks at a clock: a day has passed when an event
 * says so, which a timer appends, and one such event may cancel many orders.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sqlite3.h>
#include <tidemark/tidemark.h>

/* ---- Small things ---------------------------------------------------------------------------- */

static void must(tide_status status, const struct tide_error *err)
{
	if (status == TIDE_OK)
		return;
	fprintf(stderr, "%s: %s\n", tide_status_name(status), err->message);
	exit(1);
}

/* Run a statement with two texts in the handler's transaction. */
static tide_status run(struct tide_delivery *delivery, const char *sql, const char *first,
		       const char *second)
{
	sqlite3 *database = tide_delivery_connection(delivery);
	sqlite3_stmt *statement = NULL;
	int code = sqlite3_prepare_v2(database, sql, -1, &statement, NULL);
	if (code == SQLITE_OK) {
		sqlite3_bind_text(statement, 1, first, -1, SQLITE_STATIC);
		sqlite3_bind_text(statement, 2, second, -1, SQLITE_STATIC);
		code = sqlite3_step(statement);
	}
	sqlite3_finalize(statement);
	if (code == SQLITE_DONE)
		return TIDE_OK;
	return tide_delivery_fail(delivery, TIDE_HANDLER_PERMANENT, "SQLite refused it (%d)", code);
}

static tide_status append(struct tide_delivery *delivery, const struct tide_append *appends,
			  size_t count)
{
	struct tide_error why;
	tide_status status = tide_delivery_append(delivery, appends, count, NULL, &why);
	return status == TIDE_OK ? TIDE_OK
				 : tide_delivery_fail(delivery, status, "%s", why.message);
}

/* ---- The manager ----------------------------------------------------------------------------- */

/* Move an order from one state to the next; `*ret` false: it was in another one. */
static tide_status move(struct tide_delivery *delivery, const struct tide_event *event,
			const char *sql, bool *ret)
{
	char id[TIDE_UUID_TEXT_SIZE], when[TIDE_TIME_TEXT_SIZE];
	tide_status status = run(delivery, sql, tide_uuid_format(&event->aggregate_id, id),
				 tide_time_format(event->occurred_at, when));
	*ret = status == TIDE_OK && sqlite3_changes(tide_delivery_connection(delivery)) > 0;
	return status;
}

/* The next event of the order, or of what has its id. */
static tide_status answer(struct tide_delivery *delivery, const struct tide_event *event,
			  const char *aggregate_type, const char *event_type)
{
	const struct tide_new_event next = { .event_type = event_type };
	const struct tide_append one = { .stream = { event->aggregate_id, aggregate_type },
					 .expected = TIDE_ANY,
					 .events = &next,
					 .count = 1 };
	return append(delivery, &one, 1);
}

static tide_status order_placed(struct tide_delivery *delivery, const struct tide_event *event)
{
	bool is_new;
	return move(delivery, event,
		    "INSERT INTO orders VALUES (?1, 'placed', datetime(?2, '+1 day'))", &is_new);
}

static tide_status payment_received(struct tide_delivery *delivery, const struct tide_event *event)
{
	bool is_paid;
	tide_status status = move(
		delivery, event,
		"UPDATE orders SET state = 'paid' WHERE id = ?1 AND state = 'placed' AND ?2 <> ''",
		&is_paid);
	if (status != TIDE_OK)
		return status;
	return is_paid ? answer(delivery, event, "Shipment", "ShipmentRequested")
		       : answer(delivery, event, "Payment", "RefundRequested");
}

static tide_status parcel_sent(struct tide_delivery *delivery, const struct tide_event *event)
{
	bool is_sent;
	tide_status status = move(
		delivery, event,
		"UPDATE orders SET state = 'shipped' WHERE id = ?1 AND state = 'paid' AND ?2 <> ''",
		&is_sent);
	return is_sent ? answer(delivery, event, "Order", "OrderCompleted") : status;
}

#define DUE_MAX 16

/* The orders that are due: several streams in one call. */
static tide_status day_passed(struct tide_delivery *delivery, const struct tide_event *event)
{
	static const struct tide_new_event cancelled = { .event_type = "OrderCancelled" };
	struct tide_append appends[DUE_MAX];
	size_t count = 0;
	char when[TIDE_TIME_TEXT_SIZE];
	sqlite3_stmt *statement = NULL;
	tide_time_format(event->occurred_at, when);
	sqlite3_prepare_v2(tide_delivery_connection(delivery),
			   "SELECT id FROM orders WHERE state = 'placed' AND due <= datetime(?1)",
			   -1, &statement, NULL);
	sqlite3_bind_text(statement, 1, when, -1, SQLITE_STATIC);
	while (count < DUE_MAX && sqlite3_step(statement) == SQLITE_ROW) {
		struct tide_append *one = &appends[count++];
		*one = (struct tide_append){ .stream.aggregate_type = "Order",
					     .expected = TIDE_STREAM_EXISTS,
					     .events = &cancelled,
					     .count = 1 };
		(void)tide_uuid_parse((const char *)sqlite3_column_text(statement, 0),
				      &one->stream.aggregate_id, NULL);
	}
	sqlite3_finalize(statement);
	tide_status status = count ? append(delivery, appends, count) : TIDE_OK;
	if (status != TIDE_OK)
		return status;
	return run(delivery,
		   "UPDATE orders SET state = 'cancelled' WHERE state = 'placed' AND due <= "
		   "datetime(?1) AND ?2 = ''",
		   when, "");
}

static const struct {
	const char *event_type;
	tide_status (*handle)(struct tide_delivery *delivery, const struct tide_event *event);
} manager_handlers[] = {
	{ "OrderPlaced", order_placed },
	{ "PaymentReceived", payment_received },
	{ "ParcelSent", parcel_sent },
	{ "DayPassed", day_passed },
};

static tide_status manager_handle(void *self, const struct tide_event *event,
				  struct tide_delivery *delivery)
{
	(void)self;
	for (size_t i = 0; i < sizeof manager_handlers / sizeof *manager_handlers; i++)
		if (strcmp(event->event_type.data, manager_handlers[i].event_type) == 0)
			return manager_handlers[i].handle(delivery, event);
	return TIDE_OK;
}

static tide_status manager_prepare(void *self, void *connection, struct tide_error *err)
{
	(void)self, (void)err;
	int code = sqlite3_exec(connection,
				"CREATE TABLE IF NOT EXISTS orders (id TEXT PRIMARY KEY, state "
				"TEXT NOT NULL, due TEXT NOT NULL)",
				NULL, NULL, NULL);
	return code == SQLITE_OK ? TIDE_OK : TIDE_HANDLER_PERMANENT;
}

/* ---- The story ------------------------------------------------------------------------------- */

static void happens(struct tide_store *store, const char *aggregate_type, const char *name,
		    const char *event_type, const char *when)
{
	struct tide_error err;
	struct tide_time time;
	must(tide_time_parse(when, &time, &err), &err);
	const struct tide_new_event event = { .event_type = event_type, .occurred_at = &time };
	const struct tide_append append = { .stream = { tide_uuid_v5(NULL, name), aggregate_type },
					    .expected = TIDE_ANY,
					    .events = &event,
					    .count = 1 };
	must(tide_store_append(store, &append, NULL, &err), &err);
	printf("%.10s  %s %s: %s\n", when, aggregate_type, name, event_type);
}

/* What the manager has appended, with what it answers. */
static void show_reactions(struct tide_store *store, tide_position *after)
{
	struct tide_error err;
	struct tide_reader *reader;
	const struct tide_event *event;
	const struct tide_query query = { .after = tide_bound(*after) };
	must(tide_store_read(store, &query, &reader, &err), &err);
	for (;;) {
		must(tide_reader_next(reader, &event, &err), &err);
		if (!event)
			break;
		*after = event->position;
		if (tide_uuid_is_nil(&event->causation_id))
			continue;
		struct tide_event *cause;
		must(tide_store_event(store, &event->causation_id, &cause, &err), &err);
		printf("            -> %s: %s, since %s\n", event->aggregate_type.data,
		       event->event_type.data, cause->event_type.data);
		tide_free(cause);
	}
	tide_reader_close(reader);
}

/* Everything that has happened is handled, and the manager is away again: it could have crashed. */
static void manage(struct tide_store *store, tide_position *shown)
{
	static const char *const types[] = { "OrderPlaced", "PaymentReceived", "ParcelSent",
					     "DayPassed", NULL };
	const struct tide_subscriber subscriber = { .name = "Fulfilment",
						    .event_types = types,
						    .handle = manager_handle,
						    .transactional = true,
						    .appends = true,
						    .prepare = manager_prepare };
	struct tide_error err;
	struct tide_manager *manager;
	struct tide_subscription *subscription;
	tide_position end;
	must(tide_store_end(store, &end, &err), &err);
	must(tide_manager_open(TIDE_MANAGER(.store = store), &manager, &err), &err);
	must(tide_manager_subscribe(manager, &subscriber, NULL, &subscription, &err), &err);
	must(tide_manager_start(manager, NULL, 0, NULL, NULL, &err), &err);
	must(tide_subscription_wait(subscription, end, 30, &err), &err);
	must(tide_manager_stop(manager, NULL, 0, &err), &err);
	tide_manager_close(manager);
	show_reactions(store, shown);
}

/* As if nothing had been handled yet: the table is emptied with the checkpoint. */
static tide_status empty_orders(void *self, void *connection, struct tide_error *err)
{
	(void)self, (void)err;
	return sqlite3_exec(connection, "DELETE FROM orders", NULL, NULL, NULL) == SQLITE_OK
		       ? TIDE_OK
		       : TIDE_IO;
}

int main(int argc, char **argv)
{
	const char *url = argc > 1 ? argv[1] : "sqlite::memory:";
	struct tide_error err;
	struct tide_store *store;
	struct tide_checkpoints *checkpoints;
	tide_position shown = 0, end, again;
	must(tide_store_open(url, TIDE_STORE_OPTIONS(.initialize = true), &store, &err), &err);

	happens(store, "Order", "A", "OrderPlaced", "2026-03-01T09:00:00Z");
	happens(store, "Order", "B", "OrderPlaced", "2026-03-01T10:00:00Z");
	happens(store, "Order", "C", "OrderPlaced", "2026-03-01T11:00:00Z");
	happens(store, "Payment", "A", "PaymentReceived", "2026-03-01T12:00:00Z");
	manage(store, &shown);
	happens(store, "Parcel", "A", "ParcelSent", "2026-03-02T08:00:00Z");
	happens(store, "Clock", "days", "DayPassed", "2026-03-02T12:00:00Z");
	manage(store, &shown);
	happens(store, "Payment", "B", "PaymentReceived", "2026-03-02T15:00:00Z");
	manage(store, &shown);

	/* all of it once more: what was answered stands already */
	must(tide_store_end(store, &end, &err), &err);
	must(tide_checkpoints_open(NULL, NULL, store, &checkpoints, &err), &err);
	must(tide_checkpoints_reset_with(checkpoints, "Fulfilment", empty_orders, NULL, &err),
	     &err);
	tide_checkpoints_close(checkpoints);
	manage(store, &shown);
	must(tide_store_end(store, &again, &err), &err);
	printf("handled again from the beginning: %" PRId64 " new events\n", again - end);
	tide_store_close(store);
	return 0;
}
