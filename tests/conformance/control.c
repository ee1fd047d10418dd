/* SPDX-License-Identifier: Apache-2.0 */
/* Durable pauses: kept, obeyed by whoever owns the name, and noted in the journal. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "conformance/recorder.h"
#include "lib/child.h"

#define NOTE "the read model moves to another disk"

static const struct tide_control_request by_anna = { .by = "anna",
						     .reason = TIDE_PAUSE_MAINTENANCE,
						     .note = NOTE };

/* The only durable pause that there is. */
static struct tide_control control_of(struct fixture *f)
{
	struct tide_control *list;
	size_t count;
	must(tide_controls_list(f->checkpoints, &list, &count, err));
	assert_int_equal(count, 1);
	struct tide_control control = list[0];
	tide_free(list);
	return control;
}

static size_t pauses(struct tide_checkpoints *checkpoints)
{
	struct tide_control *list;
	size_t count;
	must(tide_controls_list(checkpoints, &list, &count, err));
	tide_free(list);
	return count;
}

/* The acts in the journal of a name, the newest first, apart by spaces. */
static void journal_is(struct fixture *f, const char *name, const char *acts)
{
	struct tide_journal_entry *list;
	char text[200] = "";
	size_t count, size = 0;
	must(tide_journal_list(f->checkpoints, name, 0, &list, &count, err));
	for (size_t i = 0; i < count; i++)
		size += (size_t)snprintf(text + size, sizeof text - size, "%s%s", i ? " " : "",
					 list[i].act);
	tide_free(list);
	assert_string_equal(text, acts);
}

static bool is_state(struct tide_subscription *subscription, enum tide_state state)
{
	return tide_subscription_state(subscription) == state;
}

/* ---- What is kept ---------------------------------------------------------------------------- */

static void pause_keeps_who_when_and_why(struct fixture *f)
{
	bool was_paused = true;
	struct tide_time before = tide_time_now();
	must(tide_control_pause(f->checkpoints, "p", &by_anna, &was_paused, err));
	assert_false(was_paused);
	if (f->quirks->is_durable)
		fixture_reopen(f);

	struct tide_control control = control_of(f);
	assert_string_equal(control.name, "p");
	assert_string_equal(control.paused_by, "anna");
	assert_string_equal(control.note, NOTE);
	assert_int_equal(control.reason, TIDE_PAUSE_MAINTENANCE);
	assert_true(control.paused_at.unix_us >= before.unix_us);
	assert_int_equal(control.paused_at.unix_us, control.updated_at.unix_us);
}

static void pause_without_a_request_is_by_the_user_of_the_process(struct fixture *f)
{
	must(tide_control_pause(f->checkpoints, "p", NULL, NULL, err));
	struct tide_control control = control_of(f);
	assert_true(strlen(control.paused_by) > 0);
	assert_string_equal(control.note, "");
	assert_int_equal(control.reason, TIDE_PAUSE_MANUAL);
}

static void pausing_again_replaces_the_reason_and_keeps_the_time(struct fixture *f)
{
	bool was_paused = false;
	must(tide_control_pause(f->checkpoints, "p", &by_anna, NULL, err));
	struct tide_time since = control_of(f).paused_at;
	must(tide_control_pause(f->checkpoints, "p", &(struct tide_control_request){ .by = "bert" },
				&was_paused, err));
	assert_true(was_paused);
	struct tide_control control = control_of(f);
	assert_string_equal(control.paused_by, "bert");
	assert_string_equal(control.note, "");
	assert_int_equal(control.reason, TIDE_PAUSE_MANUAL);
	assert_int_equal(control.paused_at.unix_us, since.unix_us);
	assert_true(control.updated_at.unix_us >= since.unix_us);
	journal_is(f, "p", "pause pause");
}

static void resuming_what_is_not_paused_succeeds_and_says_so(struct fixture *f)
{
	bool was_paused = true;
	must(tide_control_resume(f->checkpoints, "p", &by_anna, &was_paused, err));
	assert_false(was_paused);
	must(tide_control_pause(f->checkpoints, "p", NULL, NULL, err));
	must(tide_control_resume(f->checkpoints, "p", NULL, &was_paused, err));
	assert_true(was_paused);
	assert_int_equal(pauses(f->checkpoints), 0);
	journal_is(f, "p", "resume pause resume");
}

static void controls_are_listed_by_name(struct fixture *f)
{
	static const char *const names[] = { "b", "a", "ä", "B" };
	static const char *const sorted[] = { "B", "a", "b", "ä" };
	struct tide_control *list;
	size_t count;
	for (size_t i = 0; i < 4; i++)
		must(tide_control_pause(f->checkpoints, names[i], NULL, NULL, err));
	must(tide_controls_list(f->checkpoints, &list, &count, err));
	assert_int_equal(count, 4);
	for (size_t i = 0; i < 4; i++)
		assert_string_equal(list[i].name, sorted[i]);
	tide_free(list);
}

static void journal_says_who_did_what_where_and_when(struct fixture *f)
{
	struct tide_journal_entry *list;
	size_t count;
	struct tide_time before = tide_time_now();
	must(tide_control_pause(f->checkpoints, "p", &by_anna, NULL, err));
	must(tide_control_pause(f->checkpoints, "q", NULL, NULL, err));
	must(tide_control_resume(f->checkpoints, "p",
				 &(struct tide_control_request){ .by = "bert" }, NULL, err));
	must(tide_journal_list(f->checkpoints, NULL, 0, &list, &count, err));
	assert_int_equal(count, 3);
	assert_string_equal(list[0].act, "resume");
	assert_string_equal(list[0].who, "bert");
	assert_string_equal(list[0].detail, "");
	assert_string_equal(list[1].name, "q");
	assert_string_equal(list[2].act, "pause");
	assert_string_equal(list[2].who, "anna");
	assert_string_equal(list[2].name, "p");
	assert_string_equal(list[2].detail, NOTE);
	assert_true(strlen(list[2].host) > 0);
	assert_true(list[2].at.unix_us >= before.unix_us);
	assert_true(list[0].id > list[1].id && list[1].id > list[2].id);
	tide_free(list);

	must(tide_journal_list(f->checkpoints, "p", 1, &list, &count, err));
	assert_int_equal(count, 1);
	assert_string_equal(list[0].act, "resume");
	tide_free(list);
}

#define KEPT 10000

/* So many entries of `old`, past Tidemark where that is quicker. */
static void journal_fill(struct fixture *f, size_t count)
{
	if (f->quirks->has_sql) {
		fixture_sql(f, "INSERT INTO subscription_journal (at, who, host, act, name) "
			       "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n "
			       "WHERE i < 10000) SELECT '2026-01-01 00:00:00+00', 'x', '', "
			       "'pause', 'old' FROM n");
		return;
	}
	for (size_t i = 0; i < count; i++)
		must(tide_control_pause(f->checkpoints, "old", NULL, NULL, err));
}

static void newest_ten_thousand_of_the_journal_are_kept(struct fixture *f)
{
	struct tide_journal_entry *list;
	size_t count;
	must(tide_control_pause(f->checkpoints, "first", NULL, NULL, err));
	must(tide_control_pause(f->checkpoints, "second", NULL, NULL, err));
	journal_fill(f, KEPT);
	must(tide_control_pause(f->checkpoints, "last", NULL, NULL, err));
	must(tide_journal_list(f->checkpoints, NULL, 0, &list, &count, err));
	assert_int_equal(count, KEPT);
	assert_string_equal(list[0].name, "last");
	assert_string_equal(list[1].name, "old");
	assert_string_equal(list[KEPT - 1].name, "old");
	tide_free(list);
	assert_true(pauses(f->checkpoints) >= 3);
}

static void bad_controls_are_refused(struct fixture *f)
{
	char long_text[TIDE_NOTE_MAX + 2];
	memset(long_text, 'x', sizeof long_text);
	long_text[sizeof long_text - 1] = '\0';
	const struct {
		const char *name;
		struct tide_control_request request;
		const char *says;
	} cases[] = {
		{ "", { 0 }, "name" },
		{ "p", { .by = "" }, "by" },
		{ "p", { .by = "a\nb" }, "by" },
		{ "p", { .by = long_text }, "by" },
		{ "p", { .note = long_text }, "note has 501 bytes, expected at most 500" },
		{ "p", { .note = "\xff" }, "note is not UTF-8" },
		{ "p", { .note = "a\tb" }, "note has a control character" },
		{ "p", { .reason = TIDE_PAUSE_BACKPRESSURE }, "reason is 2" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct tide_error why =
			refused(TIDE_ARGUMENT, tide_control_pause(f->checkpoints, cases[i].name,
								  &cases[i].request, NULL, err));
		must_mention(&why, cases[i].says);
	}
	refused(TIDE_ARGUMENT, tide_control_pause(NULL, "p", NULL, NULL, err));
	refused(TIDE_ARGUMENT, tide_control_resume(f->checkpoints, NULL, NULL, NULL, err));
	struct tide_journal_entry *list;
	size_t count;
	refused(TIDE_ARGUMENT, tide_journal_list(f->checkpoints, NULL, -1, &list, &count, err));
	refused(TIDE_ARGUMENT, tide_controls_list(f->checkpoints, NULL, &count, err));
	assert_int_equal(pauses(f->checkpoints), 0);
	journal_is(f, NULL, "");
}

static void pause_outlives_a_reset(struct fixture *f)
{
	must(tide_control_pause(f->checkpoints, "p", NULL, NULL, err));
	must(tide_checkpoints_save(f->checkpoints, "p", &(struct tide_progress){ .position = 1 },
				   err));
	must(tide_checkpoints_reset(f->checkpoints, "p", err));
	assert_int_equal(pauses(f->checkpoints), 1);
}

/* ---- What is obeyed -------------------------------------------------------------------------- */

static struct tide_subscription *run(struct tide_manager *manager, struct recorder *recorder)
{
	struct tide_subscriber subscriber = subscriber_of("p", recorder);
	struct tide_subscription_config config = quick_config();
	config.start_from = TIDE_START_CHECKPOINT;
	struct tide_subscription *subscription = subscribe(manager, &subscriber, &config);
	start(manager);
	return subscription;
}

static void start_of_a_paused_name_delivers_nothing_until_it_is_resumed(struct fixture *f)
{
	append_many(f->store, stream_of("Order", 1), 0, 3);
	must(tide_checkpoints_save(f->checkpoints, "p", &(struct tide_progress){ .position = 1 },
				   err));
	must(tide_control_pause(f->checkpoints, "p", &by_anna, NULL, err));
	RECORDER *recorder = recorder_new();
	MANAGER *manager = manager_of(f->store);
	struct tide_subscription *subscription = run(manager, recorder);
	assert_true(is_state(subscription, TIDE_STATE_PAUSED));

	struct tide_subscription_status status = status_of(subscription);
	assert_int_equal(status.position, 1);
	assert_int_equal(status.previous_state, TIDE_STATE_STARTING);
	assert_int_equal(status.pause_reason, TIDE_PAUSE_MAINTENANCE);
	assert_string_equal(status.paused_by, "anna");
	assert_string_equal(status.pause_note, NOTE);
	assert_int_equal(status.paused_at.unix_us, control_of(f).paused_at.unix_us);
	append_many(f->store, stream_of("Order", 1), 0, 2);
	delivered_nothing(recorder);

	must(tide_control_resume(f->checkpoints, "p", NULL, NULL, err));
	catch_up(f->store, subscription);
	delivered(recorder, 2, 3, 4, 5);
	assert_string_equal(status_of(subscription).paused_by, "");
}

static void running_subscription_obeys_pause_and_resume(struct fixture *f)
{
	append_many(f->store, stream_of("Order", 1), 0, 2);
	RECORDER *recorder = recorder_new();
	MANAGER *manager = manager_of(f->store);
	struct tide_subscription *subscription = run(manager, recorder);
	catch_up(f->store, subscription);
	for (int round = 0; round < 3; round++) {
		must(tide_control_pause(f->checkpoints, "p", &by_anna, NULL, err));
		wait_for(10, is_state(subscription, TIDE_STATE_PAUSED));
		append_many(f->store, stream_of("Order", 1), 0, 2);
		must(tide_control_resume(f->checkpoints, "p", NULL, NULL, err));
		wait_for(10, is_state(subscription, TIDE_STATE_LIVE));
		catch_up(f->store, subscription);
	}
	delivered(recorder, 1, 2, 3, 4, 5, 6, 7, 8);
	wait_for(10, stored_position(f, "p") == 8);
}

static void pause_is_obeyed_at_the_bell_whatever_the_poll(struct fixture *f)
{
	RECORDER *recorder = recorder_new();
	MANAGER *manager = manager_of(f->store);
	struct tide_subscriber subscriber = subscriber_of("p", recorder);
	struct tide_subscription_config config = quick_config();
	config.poll_interval_seconds = 3600;
	struct tide_subscription *subscription = subscribe(manager, &subscriber, &config);
	start(manager);
	for (int round = 0; round < 3; round++) {
		must(tide_control_pause(f->checkpoints, "p", NULL, NULL, err));
		wait_for(10, is_state(subscription, TIDE_STATE_PAUSED));
		must(tide_control_resume(f->checkpoints, "p", NULL, NULL, err));
		wait_for(10, is_state(subscription, TIDE_STATE_LIVE));
	}
}

static void others_go_on_while_one_is_paused(struct fixture *f)
{
	RECORDER *one = recorder_new(), *two = recorder_new();
	MANAGER *manager = manager_of(f->store);
	struct tide_subscriber other = subscriber_of("q", two);
	struct tide_subscription_config config = quick_config();
	struct tide_subscription *second = subscribe(manager, &other, &config);
	struct tide_subscription *first = run(manager, one);
	must(tide_control_pause(f->checkpoints, "p", NULL, NULL, err));
	wait_for(10, is_state(first, TIDE_STATE_PAUSED));
	append_many(f->store, stream_of("Order", 1), 0, 3);
	catch_up(f->store, second);
	delivered(two, 1, 2, 3);
	delivered_nothing(one);
}

static void durable_and_local_pause_have_both_to_end(struct fixture *f)
{
	RECORDER *recorder = recorder_new();
	MANAGER *manager = manager_of(f->store);
	struct tide_subscription *subscription = run(manager, recorder);
	assert_true(tide_manager_pause(manager, "p", TIDE_PAUSE_MANUAL));
	must(tide_control_pause(f->checkpoints, "p", &by_anna, NULL, err));
	wait_for(10, status_of(subscription).pause_reason == TIDE_PAUSE_MAINTENANCE);
	assert_false(tide_manager_resume(manager, "p"));
	assert_true(is_state(subscription, TIDE_STATE_PAUSED));

	must(tide_control_resume(f->checkpoints, "p", NULL, NULL, err));
	wait_for(10, status_of(subscription).pause_reason == TIDE_PAUSE_MANUAL);
	assert_true(is_state(subscription, TIDE_STATE_PAUSED));
	assert_true(tide_manager_resume(manager, "p"));
	append_many(f->store, stream_of("Order", 1), 0, 1);
	catch_up(f->store, subscription);

	must(tide_control_pause(f->checkpoints, "p", &by_anna, NULL, err));
	wait_for(10, is_state(subscription, TIDE_STATE_PAUSED));
	assert_false(tide_manager_pause(manager, "p", TIDE_PAUSE_MANUAL));
	assert_false(tide_manager_resume(manager, "p"));
	must(tide_control_resume(f->checkpoints, "p", NULL, NULL, err));
	wait_for(10, is_state(subscription, TIDE_STATE_LIVE));
}

static tide_status fail_always(struct recorder *recorder, const struct tide_event *event,
			       struct tide_delivery *delivery)
{
	(void)event;
	return *(atomic_bool *)recorder->self
		       ? tide_delivery_fail(delivery, TIDE_HANDLER_TRANSIENT, "away")
		       : TIDE_OK;
}

static void durable_pause_takes_the_place_of_the_breakers(struct fixture *f)
{
	RECORDER *recorder = recorder_new();
	atomic_bool is_away = true;
	recorder->judge = fail_always;
	recorder->self = &is_away;
	MANAGER *manager = manager_of(f->store);
	struct tide_subscriber subscriber = subscriber_of("p", recorder);
	struct tide_subscription_config config = quick_config();
	config.circuit_breaker_enabled = true;
	config.circuit_breaker_failure_threshold = 1;
	config.circuit_breaker_recovery_timeout = 3600;
	config.max_retries = 1000;
	struct tide_subscription *subscription = subscribe(manager, &subscriber, &config);
	start(manager);
	append_many(f->store, stream_of("Order", 1), 0, 1);
	wait_for(10, is_state(subscription, TIDE_STATE_PAUSED) &&
			     status_of(subscription).pause_reason == TIDE_PAUSE_BACKPRESSURE);
	must(tide_control_pause(f->checkpoints, "p", &by_anna, NULL, err));
	wait_for(10, is_state(subscription, TIDE_STATE_PAUSED) &&
			     status_of(subscription).pause_reason == TIDE_PAUSE_MAINTENANCE);
	atomic_store(&is_away, false);
	size_t calls = recorder_count(recorder);
	append_many(f->store, stream_of("Order", 1), 0, 1);
	must(tide_control_resume(f->checkpoints, "p", NULL, NULL, err));
	catch_up(f->store, subscription);
	assert_int_equal(recorder_count(recorder), calls + 2);
}

static void pause_stands_through_a_takeover(struct fixture *f)
{
	RECORDER *recorder = recorder_new(), *standby = recorder_new();
	struct tide_store *other = fixture_second_handle(f);
	{
		MANAGER *second = manager_of(other);
		{
			MANAGER *first = manager_of(f->store);
			struct tide_subscription *owner = run(first, recorder);
			struct tide_subscription *waiting = run(second, standby);
			assert_true(status_of(waiting).standby);
			must(tide_control_pause(f->checkpoints, "p", NULL, NULL, err));
			wait_for(10, is_state(owner, TIDE_STATE_PAUSED));
			append_many(f->store, stream_of("Order", 1), 0, 2);
			stop(first);
			wait_for(10, is_state(waiting, TIDE_STATE_PAUSED));
			delivered_nothing(standby);
			must(tide_control_resume(f->checkpoints, "p", NULL, NULL, err));
			catch_up(other, waiting);
		}
		delivered(standby, 1, 2);
		delivered_nothing(recorder);
	}
	tide_store_close(other);
}

static void stop_of_a_paused_one_leaves_it_paused(struct fixture *f)
{
	append_many(f->store, stream_of("Order", 1), 0, 2);
	RECORDER *recorder = recorder_new();
	MANAGER *manager = manager_of(f->store);
	struct tide_subscription *subscription = run(manager, recorder);
	catch_up(f->store, subscription);
	must(tide_control_pause(f->checkpoints, "p", NULL, NULL, err));
	wait_for(10, is_state(subscription, TIDE_STATE_PAUSED));
	stop(manager);
	append_many(f->store, stream_of("Order", 1), 0, 1);
	start(manager);
	assert_true(is_state(subscription, TIDE_STATE_PAUSED));
	delivered(recorder, 1, 2);
	must(tide_control_resume(f->checkpoints, "p", NULL, NULL, err));
	catch_up(f->store, subscription);
	delivered(recorder, 1, 2, 3);
}

/* ---- Going on behind an event ---------------------------------------------------------------- */

static tide_status fail_third(struct recorder *recorder, const struct tide_event *event,
			      struct tide_delivery *delivery)
{
	(void)recorder;
	return event->position == 3
		       ? tide_delivery_fail(delivery, TIDE_HANDLER_PERMANENT, "unheard of")
		       : TIDE_OK;
}

static void append_five(struct fixture *f)
{
	static const char *const types[] = { "Wanted", "Other", "Wanted", "Wanted", "Other" };
	for (size_t i = 0; i < 5; i++)
		append_one(f->store, stream_of("Order", 1), types[i]);
}

/* Runs until it stops on the third event, or, once that is skipped, has them all. */
static void run_stopping(struct fixture *f, struct recorder *recorder, enum tide_state until)
{
	MANAGER *manager = manager_of(f->store);
	struct tide_subscriber subscriber = subscriber_of("p", recorder);
	struct tide_subscription_config config = quick_config();
	subscriber.event_types = (const char *const[]){ "Wanted", NULL };
	config.start_from = TIDE_START_CHECKPOINT;
	config.continue_on_error = false;
	struct tide_subscription *subscription = subscribe(manager, &subscriber, &config);
	must(tide_manager_start(manager, NULL, 0, NULL, NULL, err));
	must(tide_subscription_wait_state(subscription, until, 30, err));
	if (until == TIDE_STATE_LIVE) {
		catch_up(f->store, subscription);
		struct tide_error why = refused(
			TIDE_STATE, tide_control_skip(f->checkpoints, "p", 0, NULL, NULL, err));
		must_mention(&why, "'p' is running");
	}
	stop(manager);
}

static void skip_goes_on_behind_the_event_that_it_stopped_on(struct fixture *f)
{
	append_five(f);
	RECORDER *recorder = recorder_new();
	struct tide_anchor event;
	recorder->judge = fail_third;
	run_stopping(f, recorder, TIDE_STATE_ERROR);
	delivered(recorder, 1, 3);
	struct tide_error why =
		refused(TIDE_STATE, tide_control_skip(f->checkpoints, "p", 2, NULL, NULL, err));
	must_mention(&why, "'p' stopped on the event at 3, not 2");
	assert_int_equal(stored_position(f, "p"), 1);

	must(tide_control_skip(f->checkpoints, "p", 3, &by_anna, &event, err));
	assert_int_equal(event.position, 3);
	struct tide_checkpoint row = row_of(f, "p");
	assert_int_equal(row.position, 3);
	assert_int_equal(row.events_processed, 1);
	assert_int_equal(row.anchor.position, 3);
	why = refused(TIDE_STATE, tide_control_skip(f->checkpoints, "p", 0, NULL, NULL, err));
	must_mention(&why, "the last run of 'p' did not stop on an event");

	recorder_forget(recorder);
	run_stopping(f, recorder, TIDE_STATE_LIVE);
	delivered(recorder, 4);
	assert_int_equal(stored_position(f, "p"), 5);
	journal_is(f, "p", "skip");
}

static void skip_tells_which_event_and_why(struct fixture *f)
{
	struct tide_journal_entry *list;
	struct tide_anchor event;
	char id[TIDE_UUID_TEXT_SIZE];
	size_t count;
	append_five(f);
	RECORDER *recorder = recorder_new();
	recorder->judge = fail_third;
	run_stopping(f, recorder, TIDE_STATE_ERROR);
	must(tide_control_skip(f->checkpoints, "p", 0, &by_anna, &event, err));
	must(tide_journal_list(f->checkpoints, "p", 0, &list, &count, err));
	assert_int_equal(count, 1);
	assert_string_equal(list[0].who, "anna");
	assert_non_null(strstr(list[0].detail, "position 3, event "));
	assert_non_null(strstr(list[0].detail, tide_uuid_format(&event.event_id, id)));
	assert_non_null(strstr(list[0].detail, NOTE));
	tide_free(list);
}

static void skip_is_refused_where_no_event_stopped_it(struct fixture *f)
{
	struct tide_error why =
		refused(TIDE_STATE, tide_control_skip(f->checkpoints, "p", 0, NULL, NULL, err));
	must_mention(&why, "the last run of 'p' did not stop on an event");
	append_five(f);
	RECORDER *recorder = recorder_new();
	run_stopping(f, recorder, TIDE_STATE_LIVE);
	refused(TIDE_STATE, tide_control_skip(f->checkpoints, "p", 0, NULL, NULL, err));
	refused(TIDE_ARGUMENT, tide_control_skip(f->checkpoints, "p", -1, NULL, NULL, err));
	journal_is(f, NULL, "");
}

/* Its handler could not do its work: no event is to blame. */
static tide_status stop_on_third(struct recorder *recorder, const struct tide_event *event,
				 struct tide_delivery *delivery)
{
	(void)recorder;
	if (event->position != 3)
		return TIDE_OK;
	tide_delivery_stop(delivery);
	return tide_delivery_fail(delivery, TIDE_HANDLER_PERMANENT, "no such program");
}

static void skip_is_refused_where_the_handler_itself_ended_the_run(struct fixture *f)
{
	struct tide_why why;
	append_five(f);
	RECORDER *recorder = recorder_new();
	recorder->judge = stop_on_third;
	run_stopping(f, recorder, TIDE_STATE_ERROR);
	must(tide_checkpoints_why(f->checkpoints, "p", &why, err));
	assert_string_equal(tide_cause_name(why.cause), "error");
	struct tide_error refusal =
		refused(TIDE_STATE, tide_control_skip(f->checkpoints, "p", 0, NULL, NULL, err));
	must_mention(&refusal, "the last run of 'p' did not stop on an event");
	assert_int_equal(stored_position(f, "p"), 1);
}

static void skip_goes_over_no_event_before_the_one_that_failed(struct fixture *f)
{
	append_five(f);
	RECORDER *recorder = recorder_new();
	recorder->judge = fail_third;
	run_stopping(f, recorder, TIDE_STATE_ERROR);
	must(tide_checkpoints_reset(f->checkpoints, "p", err));
	struct tide_error why =
		refused(TIDE_STATE, tide_control_skip(f->checkpoints, "p", 0, NULL, NULL, err));
	must_mention(&why, "the event at 1 comes before the one at 3");

	recorder_forget(recorder);
	run_stopping(f, recorder, TIDE_STATE_ERROR);
	delivered(recorder, 1, 3);
	must(tide_control_skip(f->checkpoints, "p", 0, NULL, NULL, err));
	assert_int_equal(stored_position(f, "p"), 3);
}

/* ---- What else the journal has --------------------------------------------------------------- */

static void journal_has_what_persons_did_to_checkpoints_and_dead_letters(struct fixture *f)
{
	append_many(f->store, stream_of("Order", 1), 0, 4);
	RECORDER *recorder = recorder_new();
	recorder->judge = fail_third;
	{
		MANAGER *manager = manager_of(f->store);
		struct tide_subscription *subscription = run(manager, recorder);
		catch_up(f->store, subscription);
		stop(manager);
	}
	struct tide_dead_letter_list letters = letters_of(f, "p");
	assert_int_equal(letters.count, 1);
	int64_t id = letters.entries[0].id;
	tide_dead_letters_free(&letters);
	must(tide_dead_letters_retry(f->checkpoints, id, err));
	must(tide_dead_letters_resolve(f->checkpoints, id, "anna", err));
	must(tide_checkpoints_accept(f->checkpoints, "p", NULL, err));
	must(tide_checkpoints_rewind(f->checkpoints, "p", 2, NULL, err));
	must(tide_checkpoints_release(f->checkpoints, "p", err));
	must(tide_checkpoints_reset(f->checkpoints, "p", err));
	journal_is(f, "p", "reset release rewind accept resolve retry");

	struct tide_journal_entry *list;
	size_t count;
	must(tide_journal_list(f->checkpoints, "p", 0, &list, &count, err));
	assert_string_equal(list[2].detail, "to 2, was 4, dead letters deleted 0");
	assert_string_equal(list[4].who, "anna");
	tide_free(list);
}

/* ---- Beginning anew -------------------------------------------------------------------------- */

static void reset_of_one_that_runs_has_everything_delivered_again(struct fixture *f)
{
	append_many(f->store, stream_of("Order", 1), 0, 4);
	RECORDER *recorder = recorder_new();
	recorder->judge = fail_third;
	MANAGER *manager = manager_of(f->store);
	struct tide_subscription *subscription = run(manager, recorder);
	catch_up(f->store, subscription);
	wait_for(10, stored_position(f, "p") == 4);
	recorder_forget(recorder);

	must(tide_manager_reset(manager, "p", "anna", err));
	wait_for(30, recorder_count(recorder) == 4);
	wait_for(30, stored_position(f, "p") == 4);
	delivered(recorder, 1, 2, 3, 4);
	struct tide_dead_letter_list letters = letters_of(f, "p");
	assert_int_equal(letters.count, 1); /* of the second time alone */
	tide_dead_letters_free(&letters);
	struct tide_error_stats stats;
	must(tide_manager_error_stats(manager, "p", &stats, err));
	assert_int_equal(stats.by_type[TIDE_FENCED], 1); /* however it was found */

	struct tide_journal_entry *list;
	size_t count;
	must(tide_journal_list(f->checkpoints, "p", 0, &list, &count, err));
	assert_int_equal(count, 1);
	assert_string_equal(list[0].act, "reset");
	assert_string_equal(list[0].who, "anna");
	tide_free(list);
}

static void reset_of_one_that_ended_in_error_starts_it_again(struct fixture *f)
{
	append_many(f->store, stream_of("Order", 1), 0, 4);
	RECORDER *recorder = recorder_new();
	recorder->judge = fail_third;
	struct tide_subscriber subscriber = subscriber_of("p", recorder);
	struct tide_subscription_config config = quick_config();
	config.start_from = TIDE_START_CHECKPOINT;
	config.continue_on_error = false;
	MANAGER *manager = manager_of(f->store);
	struct tide_subscription *subscription = subscribe(manager, &subscriber, &config);
	(void)tide_manager_start(manager, NULL, 0, NULL, NULL, NULL);
	wait_for(30, is_state(subscription, TIDE_STATE_ERROR));
	recorder->judge = NULL;
	recorder_forget(recorder);

	must(tide_manager_reset(manager, "p", NULL, err));
	catch_up(f->store, subscription);
	delivered(recorder, 1, 2, 3, 4);
}

static void reset_and_rebuild_are_refused_with_a_reason(struct fixture *f)
{
	RECORDER *recorder = recorder_new();
	MANAGER *manager = manager_of(f->store);
	run(manager, recorder);
	struct tide_error why =
		refused(TIDE_NOT_FOUND, tide_manager_reset(manager, "q", NULL, err));
	must_mention(&why, "no subscription 'q'");
	refused(TIDE_NOT_FOUND, tide_manager_rebuild(manager, "q", NULL, err));
	why = refused(TIDE_ARGUMENT, tide_manager_reset(manager, "p", "", err));
	must_mention(&why, "by");
	why = refused(TIDE_ARGUMENT, tide_manager_rebuild(manager, "p", "a\nb", err));
	must_mention(&why, "by");
	why = refused(TIDE_UNSUPPORTED, tide_manager_rebuild(manager, "p", "anna", err));
	must_mention(&why, "nothing says how to empty the read model of 'p'");
	journal_is(f, "p", "");
}

/* ---- Processes ------------------------------------------------------------------------------- */

static tide_status count_event(void *self, const struct tide_event *event,
			       struct tide_delivery *delivery)
{
	(void)self;
	(void)event;
	(void)delivery;
	return TIDE_OK;
}

/* Owns `p` until it is killed, and says when it is live ('l') and when it rests ('p'). */
static int own(const char *url, int report_to)
{
	struct tide_store *store;
	struct tide_manager *manager;
	struct tide_subscription *subscription;
	struct tide_subscriber subscriber = { .name = "p", .handle = count_event };
	if (tide_store_open(url, NULL, &store, NULL) != TIDE_OK ||
	    tide_manager_open(TIDE_MANAGER(.store = store, .lease_seconds = 1), &manager, NULL) !=
		    TIDE_OK ||
	    tide_manager_subscribe(manager, &subscriber, NULL, &subscription, NULL) != TIDE_OK ||
	    tide_manager_start(manager, NULL, 0, NULL, NULL, NULL) != TIDE_OK)
		return 1;

	for (enum tide_state next = TIDE_STATE_LIVE;;) {
		if (tide_subscription_wait_state(subscription, next, 3600, NULL) != TIDE_OK)
			return 1;
		child_report(report_to, next == TIDE_STATE_LIVE ? 'l' : 'p');
		next = next == TIDE_STATE_LIVE ? TIDE_STATE_PAUSED : TIDE_STATE_LIVE;
	}
}

static void owner_in_another_process_obeys(struct fixture *f)
{
	struct child child = child_start(own, f->url);
	assert_int_equal(child_await(&child, 30), 'l');
	for (int round = 0; round < 2; round++) {
		must(tide_control_pause(f->checkpoints, "p", NULL, NULL, err));
		assert_int_equal(child_await(&child, 30), 'p');
		append_many(f->store, stream_of("Order", 1), 0, 2);
		assert_int_equal(stored_position(f, "p"), round * 2);
		must(tide_control_resume(f->checkpoints, "p", NULL, NULL, err));
		assert_int_equal(child_await(&child, 30), 'l');
		wait_for(30, stored_position(f, "p") == round * 2 + 2);
	}
	child_signal(&child, SIGKILL);
	assert_int_equal(child_join(&child), 128 + SIGKILL);
}

static void pause_asked_while_the_owner_is_killed_is_applied_once(struct fixture *f)
{
	struct child child = child_start(own, f->url);
	assert_int_equal(child_await(&child, 30), 'l');
	append_many(f->store, stream_of("Order", 1), 0, 2);
	wait_for(30, stored_position(f, "p") == 2);
	must(tide_control_pause(f->checkpoints, "p", &by_anna, NULL, err));
	child_signal(&child, SIGKILL);
	assert_int_equal(child_join(&child), 128 + SIGKILL);
	append_many(f->store, stream_of("Order", 1), 0, 2);

	RECORDER *recorder = recorder_new();
	MANAGER *manager = manager_of(f->store);
	struct tide_subscription *subscription = run(manager, recorder);
	wait_for(30, is_state(subscription, TIDE_STATE_PAUSED));
	delivered_nothing(recorder);
	journal_is(f, "p", "pause");
	must(tide_control_resume(f->checkpoints, "p", NULL, NULL, err));
	catch_up(f->store, subscription);
	delivered(recorder, 3, 4);
	journal_is(f, "p", "resume pause");
}

const struct test_case control_cases[] = {
	CASE(pause_keeps_who_when_and_why),
	CASE(pause_without_a_request_is_by_the_user_of_the_process),
	CASE(pausing_again_replaces_the_reason_and_keeps_the_time),
	CASE(resuming_what_is_not_paused_succeeds_and_says_so),
	CASE(controls_are_listed_by_name),
	CASE(journal_says_who_did_what_where_and_when),
	CASE(newest_ten_thousand_of_the_journal_are_kept),
	CASE(bad_controls_are_refused),
	CASE(pause_outlives_a_reset),
	CASE(start_of_a_paused_name_delivers_nothing_until_it_is_resumed),
	CASE(running_subscription_obeys_pause_and_resume),
	CASE(pause_is_obeyed_at_the_bell_whatever_the_poll),
	CASE(others_go_on_while_one_is_paused),
	CASE(durable_and_local_pause_have_both_to_end),
	CASE(durable_pause_takes_the_place_of_the_breakers),
	CASE_NEEDS(pause_stands_through_a_takeover, NEEDS_SHARED),
	CASE(stop_of_a_paused_one_leaves_it_paused),
	CASE(skip_goes_on_behind_the_event_that_it_stopped_on),
	CASE(skip_tells_which_event_and_why),
	CASE(skip_is_refused_where_no_event_stopped_it),
	CASE(skip_is_refused_where_the_handler_itself_ended_the_run),
	CASE(skip_goes_over_no_event_before_the_one_that_failed),
	CASE(journal_has_what_persons_did_to_checkpoints_and_dead_letters),
	CASE(reset_of_one_that_runs_has_everything_delivered_again),
	CASE(reset_of_one_that_ended_in_error_starts_it_again),
	CASE(reset_and_rebuild_are_refused_with_a_reason),
	CASE_NEEDS(pause_asked_while_the_owner_is_killed_is_applied_once, NEEDS_PROCESSES),
	CASE_NEEDS(owner_in_another_process_obeys, NEEDS_PROCESSES),
	CASES_END,
};
