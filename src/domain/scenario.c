/* SPDX-License-Identifier: Apache-2.0 */
/* Given, when, then: an aggregate without a store, and the first thing that was not as said. */
#include <tidemark/scenario.h>

#include <stdio.h>

#include "domain/aggregate.h"
#include "sys/alloc.h"

struct tide_scenario {
	struct tide_aggregate *aggregate; /* NULL: it could not be made */
	struct tide_error failure;        /* status TIDE_OK: everything was as said so far */
	struct tide_error refusal;        /* what the command said */
	bool was_run;                     /* the command */
	bool refusal_was_expected;
	size_t expected; /* events of the command that were looked at */
};

/* A failed scenario ignores its steps. */
static bool scenario_is_over(const struct tide_scenario *scenario)
{
	return !scenario || scenario->failure.status != TIDE_OK;
}

struct tide_scenario *tide_scenario_new(const struct tide_aggregate_type *type)
{
	struct tide_scenario *scenario = alloc_zero(1, sizeof *scenario);
	struct tide_uuid id = tide_uuid_v4();
	if (scenario &&
	    tide_aggregate_new(type, &id, &scenario->aggregate, &scenario->failure) != TIDE_OK)
		scenario->aggregate = NULL;
	return scenario;
}

void tide_scenario_given(struct tide_scenario *scenario, const struct tide_event_type *type,
			 const void *payload)
{
	if (scenario_is_over(scenario))
		return;
	if (scenario->was_run)
		tide_fail(&scenario->failure, TIDE_STATE, "given '%s' stands behind when",
			  type ? type->name : "");
	else if (tide_aggregate_raise(scenario->aggregate, type, payload, &scenario->failure) ==
		 TIDE_OK)
		tide_aggregate_clear(scenario->aggregate, NULL);
}

/** Whether a command may run now; it is then taken as run. */
static bool scenario_begin(struct tide_scenario *scenario)
{
	if (scenario_is_over(scenario))
		return false;
	if (scenario->was_run)
		tide_fail(&scenario->failure, TIDE_STATE, "a scenario has one when");
	return !scenario_is_over(scenario) && (scenario->was_run = true);
}

void tide_scenario_when(struct tide_scenario *scenario, tide_command *command, void *context)
{
	if (!scenario_begin(scenario))
		return;
	if (!command) {
		tide_fail(&scenario->failure, TIDE_ARGUMENT, "command must not be null");
		return;
	}
	tide_status status = command(scenario->aggregate, context, &scenario->refusal);
	state_outcome(status, "command on", scenario->aggregate->type->name, &scenario->refusal);
	scenario->refusal.status = status;
}

void tide_scenario_when_decided(struct tide_scenario *scenario, tide_decide *decide,
				const void *command)
{
	if (scenario_begin(scenario))
		scenario->refusal.status = tide_aggregate_decide(scenario->aggregate, decide,
								 command, &scenario->refusal);
}

static tide_status scenario_check_run(struct tide_scenario *scenario, const char *wanted)
{
	if (!scenario->was_run)
		return tide_fail(&scenario->failure, TIDE_STATE, "then %s stands before when",
				 wanted);
	return TIDE_OK;
}

/** Compare what was raised with what was expected, both as they are stored. */
static tide_status scenario_compare(struct tide_scenario *scenario,
				    const struct tide_event_type *type, const char *wanted)
{
	const struct tide_event_list *raised = &scenario->aggregate->uncommitted;
	if (scenario->refusal.status != TIDE_OK)
		return tide_fail(&scenario->failure, TIDE_STATE,
				 "expected %s %s, but the command was refused: %s", type->name,
				 wanted, scenario->refusal.message);
	if (scenario->expected == raised->count)
		return tide_fail(&scenario->failure, TIDE_STATE,
				 "expected %s %s, but nothing more was raised", type->name, wanted);

	const struct tide_event *event = raised->events[scenario->expected++];
	if (strcmp(event->event_type.data, type->name) == 0 &&
	    strcmp(event->payload.data, wanted) == 0)
		return TIDE_OK;
	return tide_fail(&scenario->failure, TIDE_STATE, "expected %s %s, but was %s %s",
			 type->name, wanted, event->event_type.data, event->payload.data);
}

void tide_scenario_then(struct tide_scenario *scenario, const struct tide_event_type *type,
			const void *payload)
{
	if (scenario_is_over(scenario) ||
	    scenario_check_run(scenario, type ? type->name : "") != TIDE_OK)
		return;
	ALLOC_AUTO char *wanted = NULL;
	if (tide_event_encode(type, payload, &wanted, &scenario->failure) == TIDE_OK)
		scenario_compare(scenario, type, wanted);
}

void tide_scenario_then_refused(struct tide_scenario *scenario, tide_status status,
				const char *message)
{
	if (scenario_is_over(scenario) || scenario_check_run(scenario, "refused") != TIDE_OK)
		return;
	const struct tide_error *refusal = &scenario->refusal;

	scenario->refusal_was_expected = true;
	if (refusal->status == TIDE_OK)
		tide_fail(&scenario->failure, TIDE_STATE,
			  "expected %s, but the command was not refused", tide_status_name(status));
	else if (refusal->status != status)
		tide_fail(&scenario->failure, TIDE_STATE, "expected %s, but was %s: %s",
			  tide_status_name(status), tide_status_name(refusal->status),
			  refusal->message);
	else if (message && !strstr(refusal->message, message))
		tide_fail(&scenario->failure, TIDE_STATE,
			  "expected a message with '%s', but was '%s'", message, refusal->message);
}

const struct tide_aggregate *tide_scenario_aggregate(const struct tide_scenario *scenario)
{
	return scenario_is_over(scenario) ? NULL : scenario->aggregate;
}

/** What was raised or refused must have been expected. */
static void scenario_check_end(struct tide_scenario *scenario)
{
	const struct tide_event_list *raised = &scenario->aggregate->uncommitted;
	if (scenario->refusal.status != TIDE_OK && !scenario->refusal_was_expected)
		tide_fail(&scenario->failure, TIDE_STATE, "the command was refused: %s",
			  scenario->refusal.message);
	else if (scenario->expected < raised->count)
		tide_fail(&scenario->failure, TIDE_STATE, "expected nothing more, but was %s %s",
			  raised->events[scenario->expected]->event_type.data,
			  raised->events[scenario->expected]->payload.data);
}

tide_status tide_scenario_end(struct tide_scenario *scenario, struct tide_error *err)
{
	if (!scenario)
		return alloc_fail(err);
	if (!scenario_is_over(scenario))
		scenario_check_end(scenario);
	tide_status status = scenario->failure.status;
	if (err && status != TIDE_OK)
		*err = scenario->failure;
	tide_aggregate_free(scenario->aggregate);
	tide_free(scenario);
	return status;
}
