/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_TESTS_DOMAIN_BENCH_H
#define TIDE_TESTS_DOMAIN_BENCH_H

#include <tidemark/tidemark.h>

enum service { SERVICE_STANDARD, SERVICE_EXPRESS, SERVICE_FREIGHT };
extern const char *const service_names[];

/** The event that is measured: ten fields of eight kinds. */
struct shipment {
	struct tide_uuid order_id;
	char *recipient;
	char country[3];
	int64_t weight_grams;
	int32_t parcels;
	double insured_value;
	bool signature_required;
	enum service service;
	struct tide_time shipped_at;
	char *note; /* NULL: none */
};

extern const struct tide_event_type shipment_type;
/** An aggregate that counts shipments. */
extern const struct tide_aggregate_type parcel_type;

/** A value to encode; it owns nothing. */
struct shipment shipment_sample(void);
/** Release what decoding allocated. */
void shipment_release(struct shipment *shipment);

/** One way to write and read a shipment. */
struct codec {
	const char *name;
	char *(*encode)(const struct shipment *shipment); /* from malloc; NULL: failed */
	bool (*decode)(const char *json, struct shipment *ret);
};

extern const struct codec table_codec, hand_codec;
extern const struct codec *const jansson_codec; /* NULL: not installed */

#endif
