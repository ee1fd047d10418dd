/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDEMARK_SCENARIO_H
#define TIDEMARK_SCENARIO_H

/*
 * Tests of a domain in the form given, when, then; no store is needed, and any test framework can
 * look at the outcome.
 *
 *	struct tide_scenario *scenario = tide_scenario_new(&account_type);
 *	tide_scenario_given(scenario, &money_deposited, &(struct money_deposited){ .amount = 100 });
 *	tide_scenario_when(scenario, withdraw, &(int64_t){ 30 });
 *	tide_scenario_then(scenario, &money_withdrawn, &(struct money_withdrawn){ .amount = 30 });
 *	assert_int_equal(tide_scenario_end(scenario, &err), TIDE_OK);   // err.message says what was different
 *
 * The first thing that is not as said decides the outcome; the steps behind it do nothing.
 */

#include <tidemark/repository.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/** A scenario in progress; used by one thread. Every function takes NULL: a scenario that could not
 * be made. */
struct tide_scenario;

/**
 * Begin a scenario about a new aggregate.
 *
 * Owns:    the caller owns the result; tide_scenario_end releases it.
 * Threads: any.
 * Returns: the scenario; NULL when memory is out, which tide_scenario_end reports.
 */
struct tide_scenario *tide_scenario_new(const struct tide_aggregate_type *type);

/**
 * Say what has happened before: the event is applied and counts as stored.
 *
 * Owns:    nothing.
 * Threads: the scenario's.
 * Returns: nothing.
 */
void tide_scenario_given(struct tide_scenario *scenario, const struct tide_event_type *type,
			 const void *payload);

/**
 * Run a command, or a decision, on the aggregate.
 *
 * Owns:    nothing.
 * Threads: the scenario's.
 * Returns: nothing.
 */
void tide_scenario_when(struct tide_scenario *scenario, tide_command *command, void *context);
void tide_scenario_when_decided(struct tide_scenario *scenario, tide_decide *decide,
				const void *command);

/**
 * Expect the next event the command raised.
 *
 * Owns:    nothing.
 * Threads: the scenario's.
 * Returns: nothing.
 */
void tide_scenario_then(struct tide_scenario *scenario, const struct tide_event_type *type,
			const void *payload);

/**
 * Expect that the command was refused with a status, and that `message` (NULL: any) is part of its
 * message.
 *
 * Owns:    nothing.
 * Threads: the scenario's.
 * Returns: nothing.
 */
void tide_scenario_then_refused(struct tide_scenario *scenario, tide_status status,
				const char *message);

/**
 * Read the aggregate, for expectations about its state; NULL when the scenario has failed.
 *
 * Owns:    nothing; valid until tide_scenario_end.
 * Threads: the scenario's.
 * Returns: the aggregate.
 */
const struct tide_aggregate *tide_scenario_aggregate(const struct tide_scenario *scenario);

/**
 * End a scenario: every event the command raised must have been expected, and a refusal too.
 *
 * Owns:    takes `scenario`.
 * Threads: the scenario's.
 * Returns: TIDE_OK; TIDE_STATE when something was not as said, and the message tells expected and
 *          actual; TIDE_OUT_OF_MEMORY; what a step before the command returned.
 */
tide_status tide_scenario_end(struct tide_scenario *scenario, struct tide_error *err);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
