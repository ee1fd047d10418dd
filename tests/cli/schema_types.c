/* SPDX-License-Identifier: Apache-2.0 */
/* What a program would build to have its schemas printed. */
#include <tidemark/event_type.h>

struct order_placed {
	char customer[32];
	int64_t total_cents;
};
static const struct tide_field order_placed_fields[] = {
	TIDE_FIELD_CHARS(struct order_placed, customer),
	TIDE_FIELD_INT64(struct order_placed, total_cents, "total"),
	TIDE_FIELD_END,
};
TIDE_EVENT_TYPE(order_placed, "OrderPlaced", 1, struct order_placed, order_placed_fields);

struct order_paid {
	char amount[16];
};
static const struct tide_field order_paid_fields[] = {
	TIDE_FIELD_DECIMAL_CHARS(struct order_paid, amount),
	TIDE_FIELD_END,
};
TIDE_EVENT_TYPE(order_paid, "OrderPaid", 3, struct order_paid, order_paid_fields);

TIDE_EXPORT_EVENT_TYPES(&order_placed, &order_paid);
