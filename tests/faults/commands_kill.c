/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process that feeds a command, or the command itself, is killed at random moments while events
 * are appended. At the end the command has been sent every event, and none before its predecessor.
 *
 * TIDE_TEST_KILLS, or the first argument: how many times (100). How long a life is is drawn anew
 * each time, and from a longer span after each that made no progress.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine_tools.h"
#include "lib/puppet.h"

#define EVENTS_A_LIFE 60
#define SHORT_LIFE 0.05 /* seconds, at most */

static unsigned seed;

/* The argument: position to end at (0: until it is killed), directory. */
static int feeder_run(const char *argument, int report_to)
{
	long long until;
	char directory[256], url[300];
	if (sscanf(argument, "%lld %255s", &until, directory) != 2)
		return 97;
	struct tide_store *store;
	struct tide_manager *manager;
	struct tide_command_projection *command;
	struct tide_subscription *subscription;
	struct puppet puppet;
	struct tide_subscription_config config = quick_config();
	config.batch_size = 50;
	config.max_retries = 1000;
	config.max_process_deaths = 1000; /* whoever kills at random is to blame, not an event */
	snprintf(url, sizeof url, "sqlite:%s/events.db", directory);
	puppet_make(&puppet, directory, "target", -1, 0);
	insist(tide_store_open(url, NULL, &store, err));
	insist(tide_manager_open(TIDE_MANAGER(.store = store), &manager, err));
	insist(tide_command_projection_open(
		TIDE_COMMAND_PROJECTION(.name = "Puppet", .arguments = puppet.arguments,
					.window = 20, .max_process_deaths = 1000),
		&command, err));
	insist(tide_manager_subscribe(manager, tide_command_projection_subscriber(command), &config,
				      &subscription, err));
	insist(tide_manager_start(manager, NULL, 0, NULL, NULL, err));
	child_report(report_to, 'r');
	while (!until)
		pause();
	insist(tide_subscription_wait(subscription, until, 4 * PATIENCE, err));
	insist(tide_manager_stop(manager, NULL, 0, err));
	tide_manager_close(manager);
	tide_command_projection_close(command);
	tide_store_close(store);
	return 0;
}

static struct child feed(const struct rig *rig, tide_position until)
{
	char argument[300];
	snprintf(argument, sizeof argument, "%lld %s", (long long)until, rig->directory);
	struct child child = child_start(feeder_run, argument);
	assert_int_equal(child_await(&child, PATIENCE), 'r');
	return child;
}

/* The command of the process that is running, 0: it has none yet. */
static pid_t command_of(const char *file)
{
	char name[400];
	int pid = 0;
	snprintf(name, sizeof name, "%s.pid", file);
	FILE *in = fopen(name, "r");
	if (in && fscanf(in, "%d", &pid) != 1)
		pid = 0;
	if (in)
		fclose(in);
	return pid;
}

static int64_t highest_sent(const char *file)
{
	struct sent sent;
	int64_t highest = 0;
	sent_read(file, &sent);
	for (int i = 0; i < sent.count; i++)
		highest = sent.items[i].position > highest ? sent.items[i].position : highest;
	sent_fini(&sent);
	return highest;
}

static void killed_at_random_every_event_is_sent_at_least_once_and_in_order(void **state)
{
	(void)state;
	int64_t kills = test_number("TIDE_TEST_KILLS", 100), appended = 0, last = -1;
	struct rig rig;
	struct puppet puppet;
	struct sent sent;
	double life = SHORT_LIFE;
	rig_make(&rig, "sqlite");
	puppet_make(&puppet, rig.directory, "target", -1, 0);
	must(tide_store_open(rig.url, NULL, &rig.store, err));

	struct child child = feed(&rig, 0);
	for (int64_t i = 0; i < kills; i++) {
		append_many(rig.store, stream_of("Order", 1), (unsigned)appended, EVENTS_A_LIFE);
		appended += EVENTS_A_LIFE;
		pass_time(life * (double)(rand_r(&seed) % 1000) / 1000);
		pid_t command = command_of(puppet.file);
		if (rand_r(&seed) % 2 && command > 0) {
			kill(command, SIGKILL);
		} else {
			child_signal(&child, SIGKILL);
			child_join(&child);
			child = feed(&rig, 0);
		}
		int64_t highest = highest_sent(puppet.file);
		life = highest > last ? SHORT_LIFE : 2 * life;
		last = highest;
	}
	child_signal(&child, SIGKILL);
	child_join(&child);
	child = feed(&rig, appended);
	assert_int_equal(child_join(&child), 0);

	sent_read(puppet.file, &sent);
	sent_is_whole(&sent, appended);
	sent_fini(&sent);
	must(tide_checkpoints_open(NULL, NULL, rig.store, &rig.checkpoints, err));
	struct tide_dead_letter_list letters = dead_letters_of(rig.checkpoints, "Puppet");
	assert_int_equal(letters.count, 0);
	tide_dead_letters_free(&letters);
	assert_int_equal(saved_position(rig.checkpoints, "Puppet"), appended);
	rig_close(&rig);
}

int main(int argc, char **argv)
{
	puppet_main(argc, argv);
	child_main(argc, argv);
	if (argc > 1)
		setenv("TIDE_TEST_KILLS", argv[1], 1);
	seed = (unsigned)test_number("TIDE_TEST_SEED", (int64_t)time(NULL));
	print_message("TIDE_TEST_SEED=%u\n", seed);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(killed_at_random_every_event_is_sent_at_least_once_and_in_order),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
