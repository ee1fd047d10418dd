/* SPDX-License-Identifier: Apache-2.0 */
/* The shipment by hand on jansson, where it is installed. */
#include "domain_bench.h"

#ifdef HAVE_JANSSON
#include <jansson.h>
#include <stdlib.h>

static char *jansson_encode(const struct shipment *shipment)
{
	char uuid[TIDE_UUID_TEXT_SIZE], time[TIDE_TIME_TEXT_SIZE];
	json_t *root = json_pack(
		"{s:s, s:s, s:s, s:I, s:i, s:f, s:b, s:s, s:s, s:s*}", "order_id",
		tide_uuid_format(&shipment->order_id, uuid), "recipient", shipment->recipient,
		"country", shipment->country, "weight_grams", (json_int_t)shipment->weight_grams,
		"parcels", (int)shipment->parcels, "insured_value", shipment->insured_value,
		"signature_required", (int)shipment->signature_required, "service",
		service_names[shipment->service], "shipped_at",
		tide_time_format(shipment->shipped_at, time), "note", shipment->note);
	char *json = root ? json_dumps(root, JSON_COMPACT) : NULL;
	json_decref(root);
	return json;
}

static bool jansson_service(const char *name, enum service *ret)
{
	for (unsigned i = 0; service_names[i]; i++)
		if (strcmp(name, service_names[i]) == 0) {
			*ret = i;
			return true;
		}
	return false;
}

static bool jansson_fill(json_t *root, struct shipment *ret)
{
	const char *id, *recipient, *country, *service, *shipped_at, *note = NULL;
	json_int_t weight;
	int parcels, signature;
	if (json_unpack(root, "{s:s, s:s, s:s, s:I, s:i, s:F, s:b, s:s, s:s, s?s}", "order_id", &id,
			"recipient", &recipient, "country", &country, "weight_grams", &weight,
			"parcels", &parcels, "insured_value", &ret->insured_value,
			"signature_required", &signature, "service", &service, "shipped_at",
			&shipped_at, "note", &note) != 0)
		return false;
	if (tide_uuid_parse(id, &ret->order_id, NULL) != TIDE_OK ||
	    strlen(country) >= sizeof ret->country || !jansson_service(service, &ret->service) ||
	    tide_time_parse(shipped_at, &ret->shipped_at, NULL) != TIDE_OK)
		return false;
	memcpy(ret->country, country, strlen(country) + 1);
	ret->weight_grams = weight;
	ret->parcels = parcels;
	ret->signature_required = signature;
	ret->recipient = strdup(recipient);
	ret->note = note ? strdup(note) : NULL;
	return ret->recipient && (!note || ret->note);
}

static bool jansson_decode(const char *json, struct shipment *ret)
{
	json_t *root = json_loads(json, 0, NULL);
	*ret = (struct shipment){ 0 };
	bool is_good = root && jansson_fill(root, ret);
	json_decref(root);
	return is_good;
}

static const struct codec codec = { "jansson", jansson_encode, jansson_decode };
const struct codec *const jansson_codec = &codec;
#else
const struct codec *const jansson_codec = NULL;
#endif
