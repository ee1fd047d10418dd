/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/fault/plan.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "sys/clock.h"
#include "sys/wakeup.h"

#define FAULT_OPTION_MAX 256 /* bytes of one `name=value` */

static const struct {
	const char *name;
	bool counts;
} fault_ops[] = {
#define FAULT_OP_ROW(name, counts) { #name, counts },
	FAULT_OPS(FAULT_OP_ROW)
#undef FAULT_OP_ROW
};

const char *fault_op_name(enum fault_op op)
{
	return fault_ops[op].name;
}

/* ---- Reading the options --------------------------------------------------------------------- */

static tide_status fault_refuse(const char *name, const char *value, const char *wanted,
				struct tide_error *err)
{
	return tide_fail(err, TIDE_ARGUMENT, "fault option %s is '%s', not %s", name, value,
			 wanted);
}

static tide_status fault_read_integer(const char *name, const char *value, int64_t least,
				      int64_t *ret, struct tide_error *err)
{
	char *end;
	long long number = strtoll(value, &end, 10);
	if (end == value || *end || number < least || number > 1000000000)
		return fault_refuse(name, value,
				    least < 0 ? "an integer from -1" : "an integer from 0", err);
	*ret = number;
	return TIDE_OK;
}

static tide_status fault_read_rate(const char *value, double *ret, struct tide_error *err)
{
	char *end;
	double rate = strtod(value, &end);
	if (end == value || *end || !(rate >= 0.0 && rate <= 1.0))
		return fault_refuse("rate", value, "between 0 and 1", err);
	*ret = rate;
	return TIDE_OK;
}

static tide_status fault_read_status(const char *value, tide_status *ret, struct tide_error *err)
{
	tide_status status;
	if (tide_status_from_name(value, &status) != TIDE_OK || status == TIDE_OK)
		return fault_refuse("status", value, "the name of an error", err);
	*ret = status;
	return TIDE_OK;
}

/* A name stands for the operation and for the group it begins: `lease` for lease_acquire,
 * lease_renew and so on. */
static bool fault_is_of(const char *op, const char *name, size_t size)
{
	return strncmp(op, name, size) == 0 && (op[size] == '\0' || op[size] == '_');
}

static tide_status fault_read_ops(struct fault_plan *plan, const char *value,
				  struct tide_error *err)
{
	memset(plan->ops, 0, sizeof plan->ops);
	for (const char *at = value;;) {
		size_t size = strcspn(at, "+");
		bool is_known = false;
		for (size_t op = 0; op < FAULT_OP_COUNT && size > 0; op++) {
			if (!fault_is_of(fault_ops[op].name, at, size))
				continue;
			plan->ops[op] = is_known = true;
		}
		if (!is_known)
			return fault_refuse("op", value, "operations separated by '+'", err);
		if (!at[size])
			return TIDE_OK;
		at += size + 1;
	}
}

static tide_status fault_read_when(const char *value, bool *ret, struct tide_error *err)
{
	if (strcmp(value, "before") != 0 && strcmp(value, "after") != 0)
		return fault_refuse("when", value, "'before' or 'after'", err);
	*ret = strcmp(value, "after") == 0;
	return TIDE_OK;
}

static tide_status fault_read_option(struct fault_plan *plan, const char *name, const char *value,
				     struct tide_error *err)
{
	int64_t number = 0;
	tide_status status = TIDE_OK;
	if (strcmp(name, "after") == 0)
		return fault_read_integer(name, value, 0, &plan->after, err);
	if (strcmp(name, "times") == 0)
		return fault_read_integer(name, value, -1, &plan->times, err);
	if (strcmp(name, "status") == 0)
		return fault_read_status(value, &plan->status, err);
	if (strcmp(name, "op") == 0)
		return fault_read_ops(plan, value, err);
	if (strcmp(name, "when") == 0)
		return fault_read_when(value, &plan->is_after, err);
	if (strcmp(name, "rate") == 0)
		return fault_read_rate(value, &plan->rate, err);
	if (strcmp(name, "seed") == 0) {
		status = fault_read_integer(name, value, 0, &number, err);
		random_seed(&plan->random, (uint64_t)number);
		return status;
	}

	if (strcmp(name, "delay_ms") == 0) {
		status = fault_read_integer(name, value, 0, &number, err);
		plan->delay_ns = number * NS_PER_MS;
		return status;
	}
	return tide_fail(err, TIDE_ARGUMENT, "'%s' is no fault option", name);
}

/* One `name=value`, which ends at `size`. */
static tide_status fault_read_pair(struct fault_plan *plan, const char *text, size_t size,
				   struct tide_error *err)
{
	char pair[FAULT_OPTION_MAX];
	if (size >= sizeof pair)
		return tide_fail(err, TIDE_ARGUMENT, "a fault option is longer than %d bytes",
				 FAULT_OPTION_MAX - 1);
	memcpy(pair, text, size);
	pair[size] = '\0';
	char *value = strchr(pair, '=');
	if (!value)
		return tide_fail(err, TIDE_ARGUMENT, "fault option '%s' has no value", pair);
	*value = '\0';
	return fault_read_option(plan, pair, value + 1, err);
}

static bool fault_has_option(const char *options, size_t size, const char *name)
{
	for (const char *at = options; (size_t)(at - options) < size; at += strcspn(at, ",/") + 1)
		if (strncmp(at, name, strlen(name)) == 0)
			return true;
	return false;
}

tide_status fault_plan_init(struct fault_plan *plan, const char *options, size_t size,
			    struct tide_error *err)
{
	*plan = (struct fault_plan){ .times = size > 0 ? 1 : 0,
				     .rate = 1.0,
				     .status = TIDE_CONNECTION_LOST };
	random_seed(&plan->random, 1);
	for (size_t op = 0; op < FAULT_OP_COUNT; op++)
		plan->ops[op] = fault_ops[op].counts;
	if (fault_has_option(options, size, "rate=") && !fault_has_option(options, size, "times="))
		plan->times = -1;
	for (size_t at = 0; at < size;) {
		size_t length = strcspn(options + at, ",/");
		tide_status status = fault_read_pair(plan, options + at, length, err);
		if (status != TIDE_OK)
			return status;
		at += length + 1;
	}

	mutex_init(&plan->lock, LOCK_FAULT_PLAN);
	return TIDE_OK;
}

void fault_plan_fini(struct fault_plan *plan)
{
	mutex_fini(&plan->lock);
}

/* ---- Deciding -------------------------------------------------------------------------------- */

static void fault_wait(int64_t ns)
{
	struct wakeup nobody_rings;
	wakeup_init(&nobody_rings);
	wakeup_wait(&nobody_rings, mono_add(clock_mono(&clock_system), ns));
	wakeup_fini(&nobody_rings);
}

static bool fault_is_due_locked(struct fault_plan *plan) TIDE_REQUIRES(plan->lock)
{
	if (plan->seen <= plan->after || (plan->times >= 0 && plan->failed >= plan->times))
		return false;
	return plan->rate >= 1.0 || random_unit(&plan->random) < plan->rate;
}

struct fault_verdict fault_plan_ask(struct fault_plan *plan, enum fault_op op)
{
	struct fault_verdict verdict = { 0 };
	if (!plan->ops[op])
		return verdict;
	if (plan->delay_ns > 0)
		fault_wait(plan->delay_ns);

	mutex_lock(&plan->lock);
	verdict.number = ++plan->seen;
	bool is_due = fault_is_due_locked(plan);
	plan->failed += is_due;
	mutex_unlock(&plan->lock);

	verdict.fails_before = is_due && !plan->is_after;
	verdict.fails_after = is_due && plan->is_after;
	return verdict;
}

tide_status fault_plan_fail(const struct fault_plan *plan, enum fault_op op, int64_t number,
			    struct tide_error *err)
{
	return tide_fail(err, plan->status, "fault %s %s, operation %" PRId64,
			 plan->is_after ? "after" : "before", fault_ops[op].name, number);
}
