/* SPDX-License-Identifier: Apache-2.0 */
/* The shipment by hand on the library's own tokenizer and writer, with the checks that the table
 * makes. */
#include "domain_bench.h"

#include <math.h>

#include "core/json.h"
#include "core/text.h"
#include "sys/alloc.h"

static char *hand_encode(const struct shipment *shipment)
{
	struct buffer buffer = { 0 };
	char uuid[TIDE_UUID_TEXT_SIZE];
	char *json;
	if (!shipment->recipient ||
	    !utf8_is_valid(shipment->recipient, strlen(shipment->recipient)) ||
	    !utf8_is_valid(shipment->country,
			   strnlen(shipment->country, sizeof shipment->country)) ||
	    (shipment->note && !utf8_is_valid(shipment->note, strlen(shipment->note))) ||
	    !isfinite(shipment->insured_value) || shipment->service > SERVICE_FREIGHT)
		return NULL;
	json_open(&buffer, '{');
	json_key(&buffer, "order_id");
	json_string(&buffer, tide_uuid_format(&shipment->order_id, uuid));
	json_key(&buffer, "recipient");
	json_string(&buffer, shipment->recipient);
	json_key(&buffer, "country");
	json_string(&buffer, shipment->country);
	json_key(&buffer, "weight_grams");
	json_integer(&buffer, shipment->weight_grams);
	json_key(&buffer, "parcels");
	json_integer(&buffer, shipment->parcels);
	json_key(&buffer, "insured_value");
	json_number(&buffer, shipment->insured_value, -1);
	json_key(&buffer, "signature_required");
	json_bool(&buffer, shipment->signature_required);
	json_key(&buffer, "service");
	json_string(&buffer, service_names[shipment->service]);
	json_key(&buffer, "shipped_at");
	json_time(&buffer, shipment->shipped_at);
	if (shipment->note) {
		json_key(&buffer, "note");
		json_string(&buffer, shipment->note);
	}
	json_close(&buffer, '}');
	return buffer_take(&buffer, &json, NULL) == TIDE_OK ? json : NULL;
}

static bool hand_text(const struct json_token *value, char **ret)
{
	char *text =
		value->kind == JSON_STRING ? alloc_text(value->text.data, value->text.size) : NULL;
	if (!text)
		return false;
	if (value->has_escapes)
		json_unescape(value, text);
	*ret = text;
	return true;
}

static bool hand_service(const struct json_token *value, enum service *ret)
{
	for (unsigned i = 0; value->kind == JSON_STRING && service_names[i]; i++)
		if (json_equals(value, service_names[i])) {
			*ret = i;
			return true;
		}
	return false;
}

static bool hand_member(const struct json_token *key, const struct json_token *value,
			struct shipment *ret, unsigned *seen)
{
	int64_t integer;
	const char *text = value->text.data;
	size_t size = value->text.size;
	if (json_equals(key, "order_id"))
		return *seen |= 1,
		       value->kind == JSON_STRING && uuid_read(text, size, &ret->order_id);
	if (json_equals(key, "recipient"))
		return *seen |= 2, hand_text(value, &ret->recipient);
	if (json_equals(key, "country")) {
		if (value->kind != JSON_STRING || size >= sizeof ret->country)
			return false;
		json_unescape(value, ret->country);
		return *seen |= 4, true;
	}
	if (json_equals(key, "weight_grams"))
		return *seen |= 8, json_int(value, &ret->weight_grams);
	if (json_equals(key, "parcels")) {
		if (!json_int(value, &integer) || integer != (int32_t)integer)
			return false;
		ret->parcels = (int32_t)integer;
		return *seen |= 16, true;
	}
	if (json_equals(key, "insured_value"))
		return *seen |= 32, json_double(value, &ret->insured_value);
	if (json_equals(key, "signature_required")) {
		ret->signature_required = value->kind == JSON_TRUE;
		return *seen |= 64, value->kind == JSON_TRUE || value->kind == JSON_FALSE;
	}
	if (json_equals(key, "service"))
		return *seen |= 128, hand_service(value, &ret->service);
	if (json_equals(key, "shipped_at"))
		return *seen |= 256,
		       value->kind == JSON_STRING && time_read(text, size, &ret->shipped_at);
	return json_equals(key, "note") &&
	       (value->kind == JSON_NULL || hand_text(value, &ret->note));
}

static bool hand_decode(const char *json, struct shipment *ret)
{
	struct json_reader reader;
	struct json_token key, value;
	unsigned seen = 0;
	*ret = (struct shipment){ 0 };
	json_read(&reader, json, strlen(json));
	if (json_next(&reader).kind != JSON_OBJECT)
		return false;
	while ((key = json_next(&reader)).kind == JSON_KEY) {
		value = json_next(&reader);
		if (!hand_member(&key, &value, ret, &seen)) {
			shipment_release(ret);
			return false;
		}
	}
	return key.kind == JSON_OBJECT_END && seen == 511 && json_next(&reader).kind == JSON_END;
}

const struct codec hand_codec = { "by hand", hand_encode, hand_decode };
