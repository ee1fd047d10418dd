/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_POSTGRES_VALUES_H
#define TIDE_POSTGRES_VALUES_H

/* Values in PostgreSQL's binary format: parameters of a statement, and columns of its result. */

#include <endian.h>
#include <string.h>

#include "core/json.h"
#include "sys/libpq.h"

#define PG_PARAMS_MAX 20

/* Type numbers that never change (pg_type.dat). */
enum {
	PG_INT8 = 20,
	PG_INT4 = 23,
	PG_TEXT = 25,
	PG_JSON = 114,
	PG_TIMESTAMPTZ = 1184,
	PG_UUID = 2950,
	PG_JSONB = 3802
};

/** The parameters of one statement, in order; every one has a cast in the statement's text. */
struct pg_params {
	struct buffer bytes;
	int count;
	int lengths[PG_PARAMS_MAX];   /* bytes; -1: NULL */
	size_t starts[PG_PARAMS_MAX]; /* in `bytes` */
};

static inline void pg_params_fini(struct pg_params *params)
{
	buffer_fini(&params->bytes);
}
#define PG_PARAMS_AUTO __attribute__((cleanup(pg_params_fini)))

void pg_put_null(struct pg_params *params);
void pg_put_int4(struct pg_params *params, int32_t value);
void pg_put_int8(struct pg_params *params, int64_t value);
void pg_put_text(struct pg_params *params, struct tide_text text); /* data NULL: NULL */
void pg_put_string(struct pg_params *params, const char *string);  /* NULL: NULL */
/** The same for text of anybody's bytes: what the database's encoding lacks is escaped, and it ends
 * after `limit` bytes. */
void pg_put_fitting(struct pg_params *params, const char *string, uint32_t greatest, size_t limit);
void pg_put_uuid(struct pg_params *params, const struct tide_uuid *uuid); /* NULL or nil: NULL */
void pg_put_time(struct pg_params *params, const struct tide_time *time); /* NULL: NULL */
/* text[]; NULL or empty: NULL */
void pg_put_names(struct pg_params *params, const char *const *names);
/** A list of the texts in the same member of so many structs, one every `stride` bytes. */
void pg_put_members(struct pg_params *params, const char *const *first, size_t count,
		    size_t stride);

/* One array as a parameter: begin with the number of elements, then so many elements, then end. */
void pg_array_begin(struct pg_params *params, int type, size_t count);
void pg_array_int4(struct pg_params *params, int32_t value);
void pg_array_int8(struct pg_params *params, int64_t value);
void pg_array_text(struct pg_params *params, struct tide_text text); /* data NULL: NULL */
void pg_array_uuid(struct pg_params *params, const struct tide_uuid *uuid, bool nil_is_null);
void pg_array_time(struct pg_params *params, struct tide_time time);
/** A parameter of other ones, as it is there. */
void pg_array_param(struct pg_params *params, const struct pg_params *of, int index);
void pg_array_end(struct pg_params *params);

static inline bool pg_is_null(const PGresult *rows, int row, int column)
{
	return PQgetisnull(rows, row, column);
}

static inline int64_t pg_int8(const PGresult *rows, int row, int column)
{
	uint64_t value;
	memcpy(&value, PQgetvalue(rows, row, column), sizeof value);
	return (int64_t)be64toh(value);
}

static inline int32_t pg_int4(const PGresult *rows, int row, int column)
{
	uint32_t value;
	memcpy(&value, PQgetvalue(rows, row, column), sizeof value);
	return (int32_t)be32toh(value);
}

static inline bool pg_bool(const PGresult *rows, int row, int column)
{
	return *PQgetvalue(rows, row, column) != 0;
}

/** Text, JSON or JSONB as text; data is NULL when the column is. */
struct tide_text pg_text(const PGresult *rows, int row, int column);
/** Nil when the column is NULL. */
struct tide_uuid pg_uuid(const PGresult *rows, int row, int column);
/** False when it lies outside the years 1 to 9999, or is infinite; `*ret` is the nearest instant
 * then. */
bool pg_time(const PGresult *rows, int row, int column, struct tide_time *ret);

#endif
