/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands as handlers, as real processes under a real manager: what they answer, and what becomes
 * of events when they fail, die, hang, answer nonsense, or leave others behind.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "engine_tools.h"
#include "lib/puppet.h"
#include "sys/alloc.h"

#define EVENTS 40

/** A store with events, a puppet, and the subscription that feeds it. */
struct stage {
	struct rig rig;
	struct puppet puppet;
	struct tide_command_projection *command;
	struct tide_subscription *subscription;
	struct tide_subscription_config config;
	struct tide_command_projection_options options;
	struct sent sent;
};

static const char *backend = "sqlite";

static void stage_open(struct stage *stage, const char *behaviour, tide_position at, int times)
{
	*stage = (struct stage){ .config = quick_config() };
	rig_open(&stage->rig, backend);
	append_many(stage->rig.store, stream_of("Order", 1), 1, EVENTS);
	puppet_make(&stage->puppet, stage->rig.directory, behaviour, at, times);
	stage->options =
		*TIDE_COMMAND_PROJECTION(.name = "Puppet", .arguments = stage->puppet.arguments,
					 .window = 10);
}

static void stage_start(struct stage *stage)
{
	must(tide_command_projection_open(&stage->options, &stage->command, err));
	must(tide_manager_subscribe(stage->rig.manager,
				    tide_command_projection_subscriber(stage->command),
				    &stage->config, &stage->subscription, err));
	must(tide_manager_start(stage->rig.manager, NULL, 0, NULL, NULL, err));
}

static void stage_read(struct stage *stage)
{
	sent_fini(&stage->sent);
	sent_read(stage->puppet.file, &stage->sent);
}

static void stage_play(struct stage *stage)
{
	stage_start(stage);
	wait_position(stage->subscription, EVENTS);
	stage_read(stage);
}

static void stage_close(struct stage *stage)
{
	must(tide_manager_stop(stage->rig.manager, NULL, 30, err));
	rig_shut(&stage->rig);
	tide_command_projection_close(stage->command);
	temp_remove(stage->rig.directory);
	sent_fini(&stage->sent);
}

/* The one dead letter, and what it says. */
static void stage_buried(struct stage *stage, const char *type, int32_t retries,
			 const char *message, const char *stacktrace)
{
	struct tide_dead_letter_list list = dead_letters_of(stage->rig.checkpoints, "Puppet");
	assert_int_equal(list.count, 1);
	if (!strstr(list.entries[0].error_message, message))
		fail_msg("'%s' is not in '%s'", message, list.entries[0].error_message);
	if (stacktrace)
		assert_string_equal(list.entries[0].error_stacktrace, stacktrace);
	assert_int_equal(list.entries[0].retry_count, retries);
	assert_string_equal(list.entries[0].event_type, type);
	tide_dead_letters_free(&list);
}

static void stage_buried_none(struct stage *stage)
{
	struct tide_dead_letter_list list = dead_letters_of(stage->rig.checkpoints, "Puppet");
	assert_int_equal(list.count, 0);
	tide_dead_letters_free(&list);
}

/* The process that a puppet has left behind, 0 until it has said so. */
static pid_t stage_left_behind(struct stage *stage)
{
	char name[400];
	int pid = 0;
	snprintf(name, sizeof name, "%s.child", stage->puppet.file);
	FILE *in = fopen(name, "r");
	if (in && fscanf(in, "%d", &pid) != 1)
		pid = 0;
	if (in)
		fclose(in);
	return pid;
}

/* A zombie that nobody has collected yet is gone as well. */
static bool process_is_gone(pid_t pid)
{
	char path[64], text[512] = "";
	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	FILE *in = fopen(path, "r");
	if (!in)
		return true;
	size_t size = fread(text, 1, sizeof text - 1, in);
	fclose(in);
	const char *name_end = size ? strrchr(text, ')') : NULL;
	return name_end && strncmp(name_end, ") Z", 3) == 0;
}

/* ---- Answers --------------------------------------------------------------------------------- */

static void every_event_is_sent_once_and_in_order(void **state)
{
	static const int64_t windows[] = { 0, 1, 2, 7, 1000 };
	for (size_t i = 0; i < COUNT(windows); i++) {
		struct stage stage;
		backend = i % 2 ? "memory" : "sqlite";
		stage_open(&stage, "", -1, 0);
		stage.options.window = windows[i];
		stage_play(&stage);
		assert_int_equal(stage.sent.count, EVENTS);
		for (int j = 0; j < EVENTS; j++) {
			assert_int_equal(stage.sent.items[j].position, j + 1);
			assert_int_equal(stage.sent.items[j].attempt, 1);
		}
		assert_int_equal(status_of(stage.subscription).events_processed, EVENTS);
		stage_close(&stage);
	}
	backend = "sqlite";
	(void)state;
}

static void what_was_sent_behind_a_retry_is_sent_again_behind_its_end(void **state)
{
	struct stage stage;
	stage_open(&stage, "retry", 5, 2);
	stage_play(&stage);
	sent_is_whole(&stage.sent, EVENTS);
	stage_buried_none(&stage);
	assert_int_equal(sent_times(&stage.sent, 5), 3);
	assert_int_equal(sent_times(&stage.sent, 4), 1);
	/* its answers to what was sent before are passed over */
	assert_int_equal(sent_processes(&stage.sent), 1);

	int last = 0;
	while (stage.sent.items[last].position != 5 || stage.sent.items[last].attempt != 3)
		last++;
	for (int i = last + 1; i < stage.sent.count; i++) {
		tide_position position = 6 + i - last - 1;
		assert_int_equal(stage.sent.items[i].position, position);
		assert_int_equal(stage.sent.items[i].attempt, position <= 10 ? 2 : 1);
	}
	struct tide_subscription_status status = status_of(stage.subscription);
	assert_int_equal(status.events_processed, EVENTS);
	assert_int_equal(status.recent_errors_count, 2);
	stage_close(&stage);
	(void)state;
}

static void a_fail_dead_letters_its_event_alone(void **state)
{
	struct stage stage;
	stage_open(&stage, "fail", 5, 9);
	stage_play(&stage);
	sent_is_whole(&stage.sent, EVENTS);
	assert_int_equal(sent_times(&stage.sent, 5), 1);
	stage_buried(&stage, "Counted", 0, "no such customer", NULL);
	stage_close(&stage);
	(void)state;
}

static void an_answer_in_json_carries_a_stack_trace(void **state)
{
	struct stage stage;
	stage_open(&stage, "json", 5, 9);
	stage_play(&stage);
	stage_buried(&stage, "Counted", 0, "in \"JSON\"", "at line 7");
	stage_close(&stage);
	(void)state;
}

static void a_retry_without_end_is_dead_lettered(void **state)
{
	struct stage stage;
	stage_open(&stage, "retry", 5, 99);
	stage.config.max_retries = 2;
	stage_play(&stage);
	assert_int_equal(sent_times(&stage.sent, 5), 3);
	stage_buried(&stage, "Counted", 2, "not yet", NULL);
	stage_close(&stage);
	(void)state;
}

/* ---- Nonsense -------------------------------------------------------------------------------- */

static void rubbish_fails_its_event_and_answers_for_no_other(void **state)
{
	struct stage stage;
	stage_open(&stage, "rubbish", 5, 9);
	stage.options.window = 1;
	stage_play(&stage);
	sent_is_whole(&stage.sent, EVENTS);
	assert_int_equal(sent_times(&stage.sent, 6), 1);
	stage_buried(&stage, "Counted", 0, "the command answered event 5 with 'hello'", NULL);
	stage_close(&stage);
	(void)state;
}

static void an_answer_too_many_settles_nothing(void **state)
{
	struct stage stage;
	stage_open(&stage, "twice", 5, 9);
	stage.options.window = 1;
	stage_play(&stage);
	sent_is_whole(&stage.sent, EVENTS);
	assert_int_equal(sent_processes(&stage.sent), 2);
	stage_buried_none(&stage);
	stage_close(&stage);
	(void)state;
}

static void an_answer_for_another_event_is_none(void **state)
{
	struct stage stage;
	stage_open(&stage, "other", 5, 9);
	stage_play(&stage);
	sent_is_whole(&stage.sent, EVENTS);
	assert_int_equal(sent_processes(&stage.sent), 2);
	stage_buried(&stage, "Counted", 0, "with an answer for event 999", NULL);
	stage_close(&stage);
	(void)state;
}

static void a_line_without_an_end_takes_no_memory(void **state)
{
	struct stage stage;
	stage_open(&stage, "flood-line", 5, 9);
	stage_play(&stage);
	sent_is_whole(&stage.sent, EVENTS);
	stage_buried(&stage, "Counted", 0, "without an end in 64 KiB", NULL);
	stage_close(&stage);

	stage_open(&stage, "flood", 5, 1);
	stage.config.processing_timeout = 3;
	stage_play(&stage);
	sent_is_whole(&stage.sent, EVENTS);
	stage_buried_none(&stage);
	stage_close(&stage);
	(void)state;
}

static void what_is_written_unasked_is_no_answer(void **state)
{
	struct stage stage;
	stage_open(&stage, "talk", -1, 0);
	stage.config.max_retries = 0;
	stage_start(&stage);
	/* whether it has read an event or not when it is ended for that */
	wait_for(PATIENCE, status_of(stage.subscription).position == EVENTS);
	assert_int_equal(status_of(stage.subscription).events_dlq, EVENTS);
	stage_close(&stage);
	(void)state;
}

/* ---- Death ----------------------------------------------------------------------------------- */

static void three_deaths_on_one_event_dead_letter_it(void **state)
{
	struct stage stage;
	stage_open(&stage, "exit", 5, 99);
	stage_play(&stage);
	sent_is_whole(&stage.sent, EVENTS);
	stage_buried(&stage, "Counted", 2, "the command ended with status 3, 3 times in a row",
		     NULL);
	stage_close(&stage);

	stage_open(&stage, "crash", 5, 99);
	stage.options.max_process_deaths = 2;
	stage_play(&stage);
	stage_buried(&stage, "Counted", 1, "the command was killed by signal 9, 2 times", NULL);
	stage_close(&stage);
	(void)state;
}

static void one_death_is_tried_again(void **state)
{
	struct stage stage;
	stage_open(&stage, "crash", 5, 1);
	stage_play(&stage);
	sent_is_whole(&stage.sent, EVENTS);
	stage_buried_none(&stage);
	stage_close(&stage);
	(void)state;
}

static void one_that_ends_with_nothing_to_answer_is_started_for_the_next_event(void **state)
{
	struct stage stage;
	stage_open(&stage, "last", 5, 9);
	stage.options.window = 1;
	stage_play(&stage);
	assert_int_equal(stage.sent.count, EVENTS);
	assert_int_equal(status_of(stage.subscription).recent_errors_count, 0);
	stage_close(&stage);
	(void)state;
}

static void one_that_closes_its_output_has_ended(void **state)
{
	struct stage stage;
	stage_open(&stage, "close", 5, 1);
	stage_play(&stage);
	sent_is_whole(&stage.sent, EVENTS);
	stage_buried_none(&stage);
	stage_close(&stage);
	(void)state;
}

static void whom_a_dead_one_leaves_behind_goes_with_it(void **state)
{
	struct stage stage;
	stage_open(&stage, "leave", 5, 1);
	stage_play(&stage);
	sent_is_whole(&stage.sent, EVENTS);
	wait_for(PATIENCE, process_is_gone(stage_left_behind(&stage)));
	stage_close(&stage);
	(void)state;
}

static void one_that_hangs_is_killed_with_its_group(void **state)
{
	struct stage stage;
	stage_open(&stage, "leave-and-hang", 5, 1);
	stage.config.processing_timeout = 3;
	stage_play(&stage);
	sent_is_whole(&stage.sent, EVENTS);
	stage_buried_none(&stage);
	wait_for(PATIENCE, process_is_gone(stage_left_behind(&stage)));

	struct tide_recent_error *errors;
	size_t count;
	must(tide_subscription_recent_errors(stage.subscription, &errors, &count, err));
	assert_int_equal(count, 1);
	assert_int_equal(errors[0].error_type, TIDE_TIMEOUT);
	assert_int_equal(errors[0].position, 5);
	tide_free(errors);
	stage_close(&stage);
	(void)state;
}

static void the_time_is_that_of_the_oldest_event_alone(void **state)
{
	struct stage stage;
	stage_open(&stage, "slow", -1, 60); /* a whole window takes longer than the timeout */
	stage.options.window = EVENTS;
	stage.config.processing_timeout = 2;
	stage_play(&stage);
	assert_int_equal(status_of(stage.subscription).recent_errors_count, 0);
	stage_close(&stage);
	(void)state;
}

static void a_program_that_is_not_there_ends_the_run(void **state)
{
	static const char *const arguments[] = { "/nowhere/to/be/found", NULL };
	struct stage stage;
	stage_open(&stage, "", -1, 0);
	stage.options.arguments = arguments;
	stage_start(&stage);
	wait_state(stage.subscription, TIDE_STATE_ERROR);
	struct tide_subscription_status status = status_of(stage.subscription);
	assert_int_equal(status.error.status, TIDE_NOT_FOUND);
	assert_string_equal(status.error.message, "'/nowhere/to/be/found' cannot be executed: No "
						  "such file or directory");
	assert_int_equal(status.position, 0);
	stage_buried_none(&stage);
	stage_close(&stage);
	(void)state;
}

/* ---- Stops ----------------------------------------------------------------------------------- */

static void a_stop_lets_it_answer_for_what_it_has(void **state)
{
	struct stage stage;
	stage_open(&stage, "slow", -1, 5);
	stage_start(&stage);
	wait_for(PATIENCE, status_of(stage.subscription).position >= 3);
	must(tide_manager_stop(stage.rig.manager, NULL, 30, err));
	stage_read(&stage);
	assert_int_equal(stage.sent.count, saved_position(stage.rig.checkpoints, "Puppet"));
	stage_close(&stage);
	(void)state;
}

static void a_stop_ends_one_that_does_not_end(void **state)
{
	struct stage stage;
	stage_open(&stage, "stay", -1, 0);
	stage.options.drain_timeout = 0.1;
	stage_play(&stage);
	must(tide_manager_stop(stage.rig.manager, NULL, 30, err));
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* there is no child left */
	stage_close(&stage);
	(void)state;
}

static void a_stop_does_not_wait_longer_than_the_drain_for_one_that_hangs(void **state)
{
	struct stage stage;
	stage_open(&stage, "hang", 5, 99);
	stage.options.drain_timeout = 0.1;
	stage_start(&stage);
	wait_position(stage.subscription, 4);
	must(tide_manager_stop(stage.rig.manager, NULL, 30, err));
	assert_int_equal(tide_subscription_state(stage.subscription), TIDE_STATE_STOPPED);
	assert_int_equal(saved_position(stage.rig.checkpoints, "Puppet"), 4);
	stage_buried_none(&stage);
	stage_close(&stage);
	(void)state;
}

static void a_second_run_goes_on_behind_the_first(void **state)
{
	struct stage stage;
	stage_open(&stage, "", -1, 0);
	stage_play(&stage);
	must(tide_manager_stop(stage.rig.manager, NULL, 30, err));
	append_many(stage.rig.store, stream_of("Order", 2), 1, 3);
	must(tide_manager_start(stage.rig.manager, NULL, 0, NULL, NULL, err));
	wait_position(stage.subscription, EVENTS + 3);
	stage_read(&stage);
	assert_int_equal(stage.sent.count, EVENTS + 3);
	stage_close(&stage);
	(void)state;
}

static void a_pause_leaves_in_flight_what_it_has_been_sent(void **state)
{
	struct stage stage;
	stage_open(&stage, "slow", -1, 5);
	stage.options.window = EVENTS;
	stage_start(&stage);
	wait_for(PATIENCE, status_of(stage.subscription).position >= 3);
	assert_true(tide_manager_pause(stage.rig.manager, "Puppet", TIDE_PAUSE_MANUAL));
	wait_state(stage.subscription, TIDE_STATE_PAUSED);
	assert_in_range(status_of(stage.subscription).position, 3, EVENTS - 1);
	assert_true(tide_manager_resume(stage.rig.manager, "Puppet"));
	wait_position(stage.subscription, EVENTS);
	stage_read(&stage);
	assert_int_equal(stage.sent.count, EVENTS);
	stage_close(&stage);
	(void)state;
}

static void what_is_held_behind_a_failed_event_is_not_sent_again(void **state)
{
	struct stage stage;
	stage_open(&stage, "fail", 5, 9);
	stage.config.hold_aggregate_on_failure = true;
	append_many(stage.rig.store, stream_of("Order", 2), 1, 5);
	stage_start(&stage);
	wait_position(stage.subscription, EVENTS + 5);
	stage_read(&stage);
	assert_int_equal(sent_times(&stage.sent, 5), 1);
	assert_int_equal(sent_times(&stage.sent, 6), 1); /* behind the failed one, once */
	assert_int_equal(sent_times(&stage.sent, EVENTS), 0);
	for (tide_position i = EVENTS + 1; i <= EVENTS + 5; i++)
		assert_int_equal(sent_times(&stage.sent, i), 1);
	assert_int_equal(status_of(stage.subscription).events_dlq, EVENTS - 4);
	stage_close(&stage);
	(void)state;
}

/* It runs for as long as its thread does. */
static int runs_a_puppet_for_ever(const char *argument, int report_to)
{
	char url[300];
	struct tide_store *store;
	struct tide_manager *manager;
	struct tide_command_projection *command;
	struct tide_subscription *subscription;
	struct puppet puppet;
	snprintf(url, sizeof url, "sqlite:%s/events.db", argument);
	puppet_make(&puppet, argument, "leave-and-hang", 5, 9);
	insist(tide_store_open(url, NULL, &store, err));
	insist(tide_manager_open(TIDE_MANAGER(.store = store), &manager, err));
	insist(tide_command_projection_open(
		TIDE_COMMAND_PROJECTION(.name = "Puppet", .arguments = puppet.arguments), &command,
		err));
	insist(tide_manager_subscribe(manager, tide_command_projection_subscriber(command), NULL,
				      &subscription, err));
	insist(tide_manager_start(manager, NULL, 0, NULL, NULL, err));
	insist(tide_subscription_wait(subscription, 4, PATIENCE, err));
	child_report(report_to, 'r');
	for (;;)
		pause();
}

static void a_process_dies_with_the_one_that_started_it(void **state)
{
	struct stage stage;
	stage_open(&stage, "", -1, 0);
	rig_shut(&stage.rig);
	prctl(PR_SET_CHILD_SUBREAPER, 1); /* so that it is seen here when it has lost its parent */
	struct child child = child_start(runs_a_puppet_for_ever, stage.rig.directory);
	assert_int_equal(child_await(&child, PATIENCE), 'r');
	wait_for(PATIENCE, stage_left_behind(&stage) > 0);
	child_signal(&child, SIGKILL);
	child_join(&child);
	int status = 0;
	wait_for(PATIENCE, waitpid(-1, &status, WNOHANG) > 0);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	kill(stage_left_behind(&stage), SIGKILL); /* a grandchild is its service manager's */
	wait_for(PATIENCE, waitpid(-1, &status, WNOHANG) == -1);
	prctl(PR_SET_CHILD_SUBREAPER, 0);
	temp_remove(stage.rig.directory);
	(void)state;
}

/* ---- The rest -------------------------------------------------------------------------------- */

static void a_batch_is_one_line_with_one_answer(void **state)
{
	static const char *const arguments[] = {
		"sh",
		"-c",
		"while IFS= read -r line; do printf '%s\\n' \"$line\" | tr -cd '{\\n' | wc -c "
		">>\"$1\"; "
		"case $line in [[]*[]]) echo ok;; *) echo fail;; esac; done",
		"sh",
		NULL,
		NULL
	};
	const char *list[COUNT(arguments)];
	struct stage stage;
	stage_open(&stage, "", -1, 0);
	memcpy(list, arguments, sizeof list);
	list[4] = stage.puppet.file;
	stage.options =
		*TIDE_COMMAND_PROJECTION(.name = "Puppet", .arguments = list, .batch = true);
	stage.config.batch_size = 15;
	stage_start(&stage);
	wait_position(stage.subscription, EVENTS);
	stage_buried_none(&stage);

	FILE *in = fopen(stage.puppet.file, "r");
	int sizes[4], count = 0;
	while (count < 4 && fscanf(in, "%d", &sizes[count]) == 1)
		count++;
	fclose(in);
	assert_int_equal(count, 3);
	/* an event, its metadata and its payload have a brace each, and a line ends in a byte */
	assert_int_equal(sizes[0], 3 * 15 + 1);
	assert_int_equal(sizes[2], 3 * 10 + 1);
	stage_close(&stage);
	(void)state;
}

static void its_environment_names_projection_and_lane(void **state)
{
	static const char *const arguments[] = {
		"sh",
		"-c",
		"echo \"$TIDE_PROJECTION $TIDE_LANE $TIDE_LANES $HOME_OF_THE_TEST $1\" >\"$2\"; "
		"while read -r line; do echo ok; done",
		"sh",
		"$HOME; exit",
		NULL,
		NULL
	};
	const char *list[COUNT(arguments)];
	char line[200] = "";
	struct stage stage;
	stage_open(&stage, "", -1, 0);
	memcpy(list, arguments, sizeof list);
	list[5] = stage.puppet.file;
	setenv("TIDE_LANE", "somebody else's", 1);
	setenv("HOME_OF_THE_TEST", "kept", 1);
	stage.options.arguments = list;
	stage.options.lane = 2;
	stage.options.lanes = 3;
	stage_play(&stage);
	FILE *in = fopen(stage.puppet.file, "r");
	assert_non_null(fgets(line, sizeof line, in));
	fclose(in);
	assert_string_equal(line, "Puppet 2 3 kept $HOME; exit\n");
	unsetenv("TIDE_LANE");
	stage_close(&stage);
	(void)state;
}

static struct {
	pthread_mutex_t lock;
	int words, cut;
} logged = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void hear(void *self, const struct tide_log_line *line)
{
	(void)self;
	if (strcmp(line->component, "command") != 0 || strcmp(line->message, "says") != 0)
		return;
	pthread_mutex_lock(&logged.lock);
	logged.words += strstr(line->fields, "line='it\\'s Puppet ?'") != NULL;
	logged.cut += strstr(line->fields, "cut=true") && strlen(line->fields) < 1200;
	pthread_mutex_unlock(&logged.lock);
}

static void what_it_writes_to_its_standard_error_is_logged_line_by_line(void **state)
{
	struct stage stage;
	stage_open(&stage, "words", -1, 0);
	tide_log_set(hear, NULL, TIDE_LOG_INFO);
	stage_play(&stage);
	stage_close(&stage);
	tide_log_set(NULL, NULL, TIDE_LOG_WARNING);
	assert_int_equal(logged.words, 1);
	assert_int_equal(logged.cut, 1);
	(void)state;
}

static void a_dead_letter_is_delivered_again(void **state)
{
	struct stage stage;
	stage_open(&stage, "fail", 5, 1);
	stage_play(&stage);
	struct tide_dead_letter_list list = dead_letters_of(stage.rig.checkpoints, "Puppet");
	assert_int_equal(list.count, 1);
	must(tide_dead_letters_retry(stage.rig.checkpoints, list.entries[0].id, err));
	tide_dead_letters_free(&list);
	wait_for(PATIENCE, status_of(stage.subscription).redeliveries_resolved == 1);
	stage_read(&stage);
	assert_int_equal(stage.sent.items[stage.sent.count - 1].position, 5);
	assert_int_equal(stage.sent.items[stage.sent.count - 1].attempt, 2);
	stage_close(&stage);
	(void)state;
}

static void what_makes_no_sense_is_refused(void **state)
{
	static const char *const arguments[] = { "cat", NULL }, *const none[] = { NULL };
	struct tide_command_projection *command;
	const struct {
		struct tide_command_projection_options options;
		const char *why;
	} cases[] = {
		{ { .arguments = arguments }, "a command projection needs a name" },
		{ { .name = "P" }, "a command projection needs a command" },
		{ { .name = "P", .arguments = none }, "a command projection needs a command" },
		{ { .name = "P", .arguments = arguments, .window = -1 },
		  "window is -1, expected 1 to 1000000" },
		{ { .name = "P", .arguments = arguments, .window = 2, .batch = true },
		  "window is 2, and a batch goes by itself, without one" },
		{ { .name = "P", .arguments = arguments, .drain_timeout = -1 },
		  "drain_timeout is -1, expected more than 0" },
		{ { .name = "P", .arguments = arguments, .max_process_deaths = -1 },
		  "max_process_deaths is -1, expected 1 or more" },
		{ { .name = "P", .arguments = arguments, .lane = 3, .lanes = 3 },
		  "lane is 3, expected less than lanes, 3" },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct tide_error err;
		assert_int_equal(tide_command_projection_open(&cases[i].options, &command, &err),
				 TIDE_ARGUMENT);
		assert_string_equal(err.message, cases[i].why);
	}
	(void)state;
}

static void one_that_cannot_be_made_leaves_nothing_behind(void **state)
{
	static const char *const arguments[] = { "cat", NULL };
	struct tide_command_projection *command = NULL;
	tide_status status = TIDE_OUT_OF_MEMORY;
	for (int64_t nth = 1; status != TIDE_OK; nth++) {
		struct tide_error err;
		alloc_fail_from(nth);
		status = tide_command_projection_open(
			TIDE_COMMAND_PROJECTION(.name = "P", .arguments = arguments,
						.event_types = arguments, .window = 5),
			&command, &err);
		alloc_fail_from(0);
		assert_true(status == TIDE_OK || status == TIDE_OUT_OF_MEMORY);
		assert_in_range(nth, 1, 50);
	}
	tide_command_projection_close(command);
	(void)state;
}

static void memory_that_is_out_for_a_while_settles_nothing_unsent(void **state)
{
	for (int64_t nth = 1; nth < 200; nth += 1 + nth / 10) {
		struct stage stage;
		stage_open(&stage, "", -1, 0);
		stage.config.max_retries = 1000;
		stage_start(&stage);
		alloc_fail_from(nth);
		pass_time(0.002);
		alloc_fail_from(0);
		wait_for(PATIENCE, status_of(stage.subscription).position == EVENTS ||
					   tide_subscription_is_terminal(stage.subscription));
		stage_read(&stage);
		for (tide_position i = 1; i <= status_of(stage.subscription).position; i++)
			assert_true(sent_times(&stage.sent, i) > 0);
		stage_buried_none(&stage);
		stage_close(&stage);
	}
	(void)state;
}

int main(int argc, char **argv)
{
	puppet_main(argc, argv);
	child_main(argc, argv);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_event_is_sent_once_and_in_order),
		cmocka_unit_test(what_was_sent_behind_a_retry_is_sent_again_behind_its_end),
		cmocka_unit_test(a_fail_dead_letters_its_event_alone),
		cmocka_unit_test(an_answer_in_json_carries_a_stack_trace),
		cmocka_unit_test(a_retry_without_end_is_dead_lettered),
		cmocka_unit_test(rubbish_fails_its_event_and_answers_for_no_other),
		cmocka_unit_test(an_answer_too_many_settles_nothing),
		cmocka_unit_test(an_answer_for_another_event_is_none),
		cmocka_unit_test(a_line_without_an_end_takes_no_memory),
		cmocka_unit_test(what_is_written_unasked_is_no_answer),
		cmocka_unit_test(three_deaths_on_one_event_dead_letter_it),
		cmocka_unit_test(one_death_is_tried_again),
		cmocka_unit_test(
			one_that_ends_with_nothing_to_answer_is_started_for_the_next_event),
		cmocka_unit_test(one_that_closes_its_output_has_ended),
		cmocka_unit_test(whom_a_dead_one_leaves_behind_goes_with_it),
		cmocka_unit_test(one_that_hangs_is_killed_with_its_group),
		cmocka_unit_test(the_time_is_that_of_the_oldest_event_alone),
		cmocka_unit_test(a_program_that_is_not_there_ends_the_run),
		cmocka_unit_test(a_stop_lets_it_answer_for_what_it_has),
		cmocka_unit_test(a_stop_ends_one_that_does_not_end),
		cmocka_unit_test(a_stop_does_not_wait_longer_than_the_drain_for_one_that_hangs),
		cmocka_unit_test(a_second_run_goes_on_behind_the_first),
		cmocka_unit_test(a_pause_leaves_in_flight_what_it_has_been_sent),
		cmocka_unit_test(what_is_held_behind_a_failed_event_is_not_sent_again),
		cmocka_unit_test(a_process_dies_with_the_one_that_started_it),
		cmocka_unit_test(a_batch_is_one_line_with_one_answer),
		cmocka_unit_test(its_environment_names_projection_and_lane),
		cmocka_unit_test(what_it_writes_to_its_standard_error_is_logged_line_by_line),
		cmocka_unit_test(a_dead_letter_is_delivered_again),
		cmocka_unit_test(what_makes_no_sense_is_refused),
		cmocka_unit_test(one_that_cannot_be_made_leaves_nothing_behind),
		cmocka_unit_test(memory_that_is_out_for_a_while_settles_nothing_unsent),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
