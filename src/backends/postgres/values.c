/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/postgres/values.h"

#include "core/escape.h"
#include "core/text.h"

#define PG_EPOCH_US INT64_C(946684800000000) /* 2000-01-01 in microseconds since 1970 */

static void params_int4(struct pg_params *params, int32_t value)
{
	uint32_t raw = htobe32((uint32_t)value);
	buffer_add(&params->bytes, (const char *)&raw, sizeof raw);
}

static void params_int8(struct pg_params *params, int64_t value)
{
	uint64_t raw = htobe64((uint64_t)value);
	buffer_add(&params->bytes, (const char *)&raw, sizeof raw);
}

static void params_begin(struct pg_params *params)
{
	if (params->count == PG_PARAMS_MAX)
		params->bytes.failed = true;
	else
		params->starts[params->count] = params->bytes.size;
}

static void params_end(struct pg_params *params)
{
	if (params->bytes.failed)
		return;
	params->lengths[params->count] = (int)(params->bytes.size - params->starts[params->count]);
	params->count++;
}

static void params_put(struct pg_params *params, const char *data, size_t size)
{
	params_begin(params);
	buffer_add(&params->bytes, data, size);
	params_end(params);
}

void pg_put_null(struct pg_params *params)
{
	params_begin(params);
	if (!params->bytes.failed)
		params->lengths[params->count++] = -1;
}

void pg_put_int4(struct pg_params *params, int32_t value)
{
	params_begin(params);
	params_int4(params, value);
	params_end(params);
}

void pg_put_int8(struct pg_params *params, int64_t value)
{
	params_begin(params);
	params_int8(params, value);
	params_end(params);
}

void pg_put_text(struct pg_params *params, struct tide_text text)
{
	if (text.data)
		params_put(params, text.data, text.size);
	else
		pg_put_null(params);
}

void pg_put_string(struct pg_params *params, const char *string)
{
	pg_put_text(params, tide_text(string));
}

void pg_put_fitting(struct pg_params *params, const char *string, uint32_t greatest, size_t limit)
{
	if (!string) {
		pg_put_null(params);
		return;
	}
	params_begin(params);
	size_t start = params->bytes.size;
	escape_add(&params->bytes, tide_text(string), greatest);
	if (!params->bytes.failed)
		params->bytes.size = start + utf8_cut(params->bytes.data + start,
						      params->bytes.size - start, limit);
	params_end(params);
}

void pg_put_uuid(struct pg_params *params, const struct tide_uuid *uuid)
{
	if (uuid && !tide_uuid_is_nil(uuid))
		params_put(params, (const char *)uuid->bytes, sizeof uuid->bytes);
	else
		pg_put_null(params);
}

void pg_put_time(struct pg_params *params, const struct tide_time *time)
{
	if (time)
		pg_put_int8(params, time->unix_us - PG_EPOCH_US);
	else
		pg_put_null(params);
}

void pg_put_names(struct pg_params *params, const char *const *names)
{
	size_t count = 0;
	while (names && names[count])
		count++;
	if (count == 0) {
		pg_put_null(params);
		return;
	}
	pg_put_members(params, names, count, sizeof *names);
}

void pg_put_members(struct pg_params *params, const char *const *first, size_t count, size_t stride)
{
	const char *at = (const char *)first;
	pg_array_begin(params, PG_TEXT, count);
	for (; count > 0; count--, at += stride)
		pg_array_text(params, tide_text(*(const char *const *)(const void *)at));
	pg_array_end(params);
}

/* An array is: dimensions, whether it has NULLs, element type; for the one dimension its size and
 * lower bound. */
void pg_array_begin(struct pg_params *params, int type, size_t count)
{
	params_begin(params);
	params_int4(params, 1);
	params_int4(params, 1);
	params_int4(params, type);
	params_int4(params, (int32_t)count);
	params_int4(params, 1);
}

void pg_array_int4(struct pg_params *params, int32_t value)
{
	params_int4(params, sizeof value);
	params_int4(params, value);
}

void pg_array_int8(struct pg_params *params, int64_t value)
{
	params_int4(params, sizeof value);
	params_int8(params, value);
}

void pg_array_text(struct pg_params *params, struct tide_text text)
{
	params_int4(params, text.data ? (int32_t)text.size : -1);
	if (text.data)
		buffer_add(&params->bytes, text.data, text.size);
}

void pg_array_uuid(struct pg_params *params, const struct tide_uuid *uuid, bool nil_is_null)
{
	struct tide_text raw = { (const char *)uuid->bytes, sizeof uuid->bytes };
	if (nil_is_null && tide_uuid_is_nil(uuid))
		raw.data = NULL;
	pg_array_text(params, raw);
}

void pg_array_time(struct pg_params *params, struct tide_time time)
{
	params_int4(params, 8);
	params_int8(params, time.unix_us - PG_EPOCH_US);
}

void pg_array_param(struct pg_params *params, const struct pg_params *of, int index)
{
	int length = of->lengths[index];
	params_int4(params, length);
	if (length > 0)
		buffer_add(&params->bytes, of->bytes.data + of->starts[index], (size_t)length);
	params->bytes.failed |= of->bytes.failed;
}

void pg_array_end(struct pg_params *params)
{
	params_end(params);
}

struct tide_text pg_text(const PGresult *rows, int row, int column)
{
	if (PQgetisnull(rows, row, column))
		return (struct tide_text){ NULL, 0 };
	/* libpq puts a NUL behind every value; binary JSONB begins with a version byte */
	struct tide_text text = { PQgetvalue(rows, row, column),
				  (size_t)PQgetlength(rows, row, column) };
	if (PQftype(rows, column) == PG_JSONB) {
		text.data++;
		text.size--;
	}
	return text;
}

struct tide_uuid pg_uuid(const PGresult *rows, int row, int column)
{
	struct tide_uuid uuid = { { 0 } };
	if (!PQgetisnull(rows, row, column) && PQgetlength(rows, row, column) == sizeof uuid.bytes)
		memcpy(uuid.bytes, PQgetvalue(rows, row, column), sizeof uuid.bytes);
	return uuid;
}

bool pg_time(const PGresult *rows, int row, int column, struct tide_time *ret)
{
	int64_t us = pg_int8(rows, row, column);
	if (us < TIDE_TIME_MIN_US - PG_EPOCH_US) {
		ret->unix_us = TIDE_TIME_MIN_US;
		return false;
	}
	if (us > TIDE_TIME_MAX_US - PG_EPOCH_US) {
		ret->unix_us = TIDE_TIME_MAX_US;
		return false;
	}
	ret->unix_us = us + PG_EPOCH_US;
	return true;
}
