/* SPDX-License-Identifier: Apache-2.0 */
/* States of aggregates: made, copied, released, written; by hooks where a type has them, else by
 * its table of fields.
 */
#include <string.h>

#include "core/text.h"
#include "domain/aggregate.h"
#include "types/fields.h"
#include "sys/alloc.h"

tide_status state_outcome(tide_status status, const char *what, const char *name,
			  struct tide_error *err)
{
	if (status == TIDE_OK || !err || (err->status == status && err->message[0]))
		return status;
	return tide_fail(err, status, "%s '%s' said %s", what, name, tide_status_name(status));
}

tide_status state_check_type(const struct tide_aggregate_type *type, struct tide_error *err)
{
	if (!type || !type->appliers || !type->state_size)
		return tide_fail(err, TIDE_ARGUMENT, "%s must not be null",
				 !type             ? "type"
				 : !type->appliers ? "appliers"
						   : "state_size");

	tide_status status = name_check_type(type->name, "name", err);
	if (status != TIDE_OK)
		return status;

	for (const struct tide_applier *applier = type->appliers; applier->type; applier++)
		if (!applier->apply)
			return tide_fail(err, TIDE_ARGUMENT, "'%s' of '%s' has no apply function",
					 applier->type->name, type->name);
	if (type->schema_version < 0)
		return tide_fail(err, TIDE_ARGUMENT,
				 "schema_version of '%s' must be at least 1, not %d", type->name,
				 (int)type->schema_version);
	if (type->fini && !type->copy && !type->state_fields)
		return tide_fail(err, TIDE_ARGUMENT,
				 "'%s' has fini, so it needs copy or state_fields", type->name);
	return TIDE_OK;
}

tide_status state_init(const struct tide_aggregate_type *type, void *state, struct tide_error *err)
{
	memset(state, 0, type->state_size);
	return type->init ? state_outcome(type->init(state, err), "init of", type->name, err)
			  : TIDE_OK;
}

void state_fini(const struct tide_aggregate_type *type, void *state)
{
	if (type->fini)
		type->fini(state);
	else if (type->state_fields)
		fields_fini(type->state_fields, state);
}

tide_status state_copy(const struct tide_aggregate_type *type, void *to, const void *from,
		       struct tide_error *err)
{
	if (type->copy) {
		memset(to, 0, type->state_size);
		return state_outcome(type->copy(to, from, err), "copy of", type->name, err);
	}
	if (type->state_fields)
		return fields_copy(type->state_fields, type->state_size, to, from, err);
	memcpy(to, from, type->state_size);
	return TIDE_OK;
}

bool state_has_snapshots(const struct tide_aggregate_type *type)
{
	return type->state_fields || (type->snapshot_encode && type->snapshot_decode);
}

tide_status state_encode(const struct tide_aggregate_type *type, const void *state, char **ret,
			 struct tide_error *err)
{
	if (type->snapshot_encode)
		return state_outcome(type->snapshot_encode(state, ret, err), "snapshot_encode of",
				     type->name, err);
	struct buffer buffer = { 0 };
	tide_status status = fields_encode(type->state_fields, state, NULL, &buffer, err);
	if (status == TIDE_OK)
		return buffer_take(&buffer, ret, err);
	buffer_fini(&buffer);
	return status;
}

tide_status state_decode(const struct tide_aggregate_type *type, void *state, struct tide_text json,
			 struct tide_error *err)
{
	if (type->snapshot_decode)
		return state_outcome(type->snapshot_decode(state, json, err), "snapshot_decode of",
				     type->name, err);

	/* members that the table does not name keep what init gave them */
	const struct fields_shape shape = { type->state_fields, type->state_size, 0, state,
					    "state" };
	ALLOC_AUTO void *decoded = alloc_zero(1, type->state_size);
	if (!decoded)
		return alloc_fail(err);

	tide_status status = fields_decode(&shape, json, decoded, err);
	if (status != TIDE_OK)
		return status;

	state_fini(type, state);
	memcpy(state, decoded, type->state_size);
	return TIDE_OK;
}
