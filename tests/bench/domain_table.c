/* SPDX-License-Identifier: Apache-2.0 */
/* The shipment as Tidemark's users write it. */
#include "domain_bench.h"

#include <stdlib.h>

const char *const service_names[] = { "standard", "express", "freight", NULL };

static const struct tide_field shipment_fields[] = {
	TIDE_FIELD_UUID(struct shipment, order_id),
	TIDE_FIELD_TEXT(struct shipment, recipient),
	TIDE_FIELD_CHARS(struct shipment, country),
	TIDE_FIELD_INT64(struct shipment, weight_grams),
	TIDE_FIELD_INT32(struct shipment, parcels),
	TIDE_FIELD_DOUBLE(struct shipment, insured_value),
	TIDE_FIELD_BOOL(struct shipment, signature_required),
	TIDE_FIELD_ENUM(struct shipment, service, service_names),
	TIDE_FIELD_TIME(struct shipment, shipped_at),
	TIDE_FIELD_OPTIONAL_TEXT(struct shipment, note),
	TIDE_FIELD_END,
};
const struct tide_event_type shipment_type = {
	"ShipmentSent", 1, sizeof(struct shipment), shipment_fields, 0, 0, 0
};

struct shipment shipment_sample(void)
{
	static const uint8_t id[16] = { 0x01, 0x9a, 0x7c, 0x11, 0x22, 0x33, 0x74,
					0x44, 0x95, 0x55, 0x66, 0x77, 0x88 };
	struct shipment shipment = { .recipient = (char *)"Augusta Ada King, Countess of Lovelace",
				     .country = "GB",
				     .weight_grams = 1250,
				     .parcels = 3,
				     .insured_value = 499.5,
				     .signature_required = true,
				     .service = SERVICE_EXPRESS,
				     .shipped_at = { INT64_C(1790000000123456) },
				     .note = (char *)"leave it with the porter" };
	memcpy(shipment.order_id.bytes, id, sizeof id);
	return shipment;
}

void shipment_release(struct shipment *shipment)
{
	free(shipment->recipient);
	free(shipment->note);
}

static char *table_encode(const struct shipment *shipment)
{
	char *json;
	return tide_event_encode(&shipment_type, shipment, &json, NULL) == TIDE_OK ? json : NULL;
}

static bool table_decode(const char *json, struct shipment *ret)
{
	return tide_payload_decode(&shipment_type, 1, tide_text(json), ret, NULL) == TIDE_OK;
}

const struct codec table_codec = { "table", table_encode, table_decode };

/* ---- The aggregate --------------------------------------------------------------------------- */

struct parcel {
	int64_t shipments;
	int64_t grams;
};
static const struct tide_field parcel_fields[] = {
	TIDE_FIELD_INT64(struct parcel, shipments),
	TIDE_FIELD_INT64(struct parcel, grams),
	TIDE_FIELD_END,
};

static tide_status parcel_ship(void *state, const void *payload, const struct tide_event *event,
			       struct tide_error *err)
{
	struct parcel *parcel = state;
	(void)event, (void)err;
	parcel->shipments++;
	parcel->grams += ((const struct shipment *)payload)->weight_grams;
	return TIDE_OK;
}

static const struct tide_applier parcel_appliers[] = { { &shipment_type, parcel_ship },
						       TIDE_APPLIER_END };
const struct tide_aggregate_type parcel_type = {
	.name = "Parcel",
	.state_size = sizeof(struct parcel),
	.appliers = parcel_appliers,
	.state_fields = parcel_fields,
};
