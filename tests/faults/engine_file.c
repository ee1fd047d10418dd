/* SPDX-License-Identifier: Apache-2.0 */
/* The file under a SQLite store: its one write lock, and its place in the file system. */
#include <string.h>

#include "engine_tools.h"

/* ---- The lock that a transactional handler holds --------------------------------------------- */

/** What writes of the handler's own thread came to. */
struct inward {
	struct rig *rig;
	struct tide_error append, save, letter;
};

static tide_status decide_writing(struct witness *witness, const struct tide_event *event,
				  struct tide_delivery *delivery)
{
	struct inward *inward = witness->more;
	struct tide_new_event events[] = { event_of("Counted", 99) };
	int64_t purged;
	(void)event;
	(void)delivery;
	tide_store_append(inward->rig->store, APPEND(stream_of("Order", 2), TIDE_ANY, events), NULL,
			  &inward->append);
	tide_checkpoints_save(inward->rig->checkpoints, "other",
			      &(struct tide_progress){ .position = 1 }, &inward->save);
	tide_dead_letters_purge(inward->rig->checkpoints, 1, &purged, &inward->letter);
	return TIDE_OK;
}

/* One that waited for the busy timeout would be busy. */
static void a_write_beside_the_transaction_of_its_handler_is_a_deadlock_at_once(void **state)
{
	(void)state;
	struct rig rig;
	struct inward inward = { .rig = &rig };
	struct witness witness = WITNESS;
	witness.decide = decide_writing;
	witness.more = &inward;
	rig_open(&rig, "sqlite");
	append_many(rig.store, stream_of("Order", 1), 0, 1);
	struct tide_subscriber subscriber = witness_single("Inward", &witness);
	struct tide_subscription *subscription;
	subscriber.transactional = true;
	must(tide_manager_subscribe(rig.manager, &subscriber, NULL, &subscription, err));
	must(tide_manager_start(rig.manager, NULL, PATIENCE, NULL, NULL, err));
	wait_position(subscription, 1);
	assert_int_equal(inward.append.status, TIDE_DEADLOCK);
	assert_non_null(strstr(inward.append.message, "tide_delivery_append"));
	assert_int_equal(inward.save.status, TIDE_DEADLOCK);
	assert_int_equal(inward.letter.status, TIDE_DEADLOCK);
	must(tide_manager_stop(rig.manager, NULL, PATIENCE, err));
	assert_int_equal(end_of(rig.store), 1);
	assert_int_equal(append_one(rig.store, stream_of("Order", 2), "Counted").last_position, 2);
	rig_close(&rig);
	witness_fini(&witness);
}

/* ---- A file that is not there any more ------------------------------------------------------- */

static void take_away(const char *path)
{
	assert_int_equal(unlink(path), 0);
}

static void empty(const char *path)
{
	assert_int_equal(truncate(path, 0), 0);
}

static void replace(const char *path)
{
	struct rig other;
	rig_make(&other, "sqlite");
	assert_int_equal(rename(other.file, path), 0);
	rig_close(&other);
}

/* Nothing rings: the runs must look for themselves. What goes through the handle says so, too, and
 * writes nothing. `end`: of the name of the file that it is done to. */
static void a_file_that_is_gone_ends_its_runs(void (*act)(const char *path), const char *end,
					      const char *says)
{
	struct rig rig;
	struct witness witness = WITNESS;
	struct tide_subscription *subscription;
	struct tide_subscription_config config = quick_config();
	char path[TEMP_PATH_SIZE + 24];
	config.poll_interval_seconds = 0.05;
	rig_open(&rig, "sqlite");
	append_many(rig.store, stream_of("Order", 1), 0, 3);
	struct tide_subscriber subscriber = witness_single("Left", &witness);
	must(tide_manager_subscribe(rig.manager, &subscriber, &config, &subscription, err));
	must(tide_manager_start(rig.manager, NULL, PATIENCE, NULL, NULL, err));
	wait_position(subscription, 3);
	snprintf(path, sizeof path, "%s%s", rig.file, end);
	act(path);
	wait_state(subscription, TIDE_STATE_ERROR);
	struct tide_error why = status_of(subscription).error;
	assert_int_equal(why.status, TIDE_DIVERGED);
	must_mention(&why, rig.file);
	must_mention(&why, says);
	must_mention(&why, end);
	struct tide_new_event events[] = { event_of("Counted", 4) };
	tide_position last;
	why = refused(TIDE_DIVERGED,
		      tide_store_append(rig.store, APPEND(stream_of("Order", 1), TIDE_ANY, events),
					NULL, err));
	must_mention(&why, rig.file);
	refused(TIDE_DIVERGED, tide_store_end(rig.store, &last, err));
	(void)tide_manager_stop(rig.manager, NULL, PATIENCE, NULL);
	rig_close(&rig);
	witness_fini(&witness);
}

static void a_file_that_was_deleted_ends_its_runs(void **state)
{
	(void)state;
	a_file_that_is_gone_ends_its_runs(take_away, "", "deleted");
}

static void a_file_that_was_replaced_ends_its_runs(void **state)
{
	(void)state;
	a_file_that_is_gone_ends_its_runs(replace, "", "replaced");
}

static void a_log_that_was_deleted_ends_its_runs(void **state)
{
	(void)state;
	/* another session of this process may have made it anew by then: "replaced" */
	a_file_that_is_gone_ends_its_runs(take_away, "-wal", "while it was open");
}

/* Whoever opens the database next makes another one, and each writes over what the other wrote. */
static void an_index_of_the_log_that_was_deleted_ends_its_runs(void **state)
{
	(void)state;
	a_file_that_is_gone_ends_its_runs(take_away, "-shm", "while it was open");
}

static void a_file_that_was_emptied_ends_its_runs(void **state)
{
	(void)state;
	a_file_that_is_gone_ends_its_runs(empty, "", "emptied");
}

/* The path leads to the same file, and the log beside it is another one. */
static void a_file_that_became_a_link_is_diverged(void **state)
{
	(void)state;
	struct rig rig;
	char moved[TEMP_PATH_SIZE + 24];
	rig_open(&rig, "sqlite");
	append_many(rig.store, stream_of("Order", 1), 0, 3);
	snprintf(moved, sizeof moved, "%s-moved", rig.file);
	assert_int_equal(rename(rig.file, moved), 0);
	assert_int_equal(symlink(moved, rig.file), 0);
	tide_position end;
	struct tide_error why = refused(TIDE_DIVERGED, tide_store_end(rig.store, &end, err));
	must_mention(&why, "replaced");
	assert_int_equal(rename(moved, rig.file), 0);
	must(tide_store_end(rig.store, &end, err));
	assert_int_equal(end, 3);
	rig_close(&rig);
}

/* The last connection to a database deletes the log beside its path, whose ever it is. */
static void who_has_another_file_open_leaves_the_log_of_the_new_one(void **state)
{
	(void)state;
	struct rig rig, other;
	struct tide_store *store;
	char log[TEMP_PATH_SIZE + 24], index[TEMP_PATH_SIZE + 24];
	tide_position end;
	rig_open(&rig, "sqlite");
	rig_make(&other, "sqlite");
	append_many(rig.store, stream_of("Order", 1), 0, 3);
	snprintf(log, sizeof log, "%s-wal", rig.file);
	snprintf(index, sizeof index, "%s-shm", rig.file);
	assert_int_equal(unlink(log), 0);
	assert_int_equal(unlink(index), 0);
	assert_int_equal(rename(other.file, rig.file), 0);
	must(tide_store_open(rig.url, NULL, &store, err));
	append_many(store, stream_of("Order", 1), 0, 2);
	assert_int_equal(access(log, F_OK), 0);
	refused(TIDE_DIVERGED, tide_store_end(rig.store, &end, err));
	rig_shut(&rig);
	assert_int_equal(access(log, F_OK), 0);
	assert_int_equal(end_of(store), 2);
	tide_store_close(store);
	rig_close(&rig);
	rig_close(&other);
}

/* The database of a read model is only written to: the next saves find out. */
static void a_read_model_whose_file_was_deleted_ends_its_run(void **state)
{
	(void)state;
	struct rig rig, into;
	struct witness witness = WITNESS;
	struct tide_subscription *subscription;
	struct tide_subscription_config config = quick_config();
	rig_open(&rig, "memory");
	rig_make(&into, "sqlite");
	struct tide_checkpoints *checkpoints;
	struct tide_manager *manager;
	must(tide_checkpoints_open(into.url, NULL, rig.store, &checkpoints, err));
	must(tide_manager_open(TIDE_MANAGER(.store = rig.store, .checkpoints = checkpoints),
			       &manager, err));
	struct tide_subscriber subscriber = witness_single("Outward", &witness);
	must(tide_manager_subscribe(manager, &subscriber, &config, &subscription, err));
	must(tide_manager_start(manager, NULL, PATIENCE, NULL, NULL, err));
	append_one(rig.store, stream_of("Order", 1), "Counted");
	wait_position(subscription, 1);
	assert_int_equal(unlink(into.file), 0);
	wait_for(PATIENCE, (append_one(rig.store, stream_of("Order", 1), "Counted"),
			    status_of(subscription).state == TIDE_STATE_ERROR));
	assert_int_equal(status_of(subscription).error.status, TIDE_DIVERGED);
	(void)tide_manager_stop(manager, NULL, PATIENCE, NULL);
	tide_manager_close(manager);
	tide_checkpoints_close(checkpoints);
	rig_close(&into);
	rig_close(&rig);
	witness_fini(&witness);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			a_write_beside_the_transaction_of_its_handler_is_a_deadlock_at_once),
		cmocka_unit_test(a_file_that_was_deleted_ends_its_runs),
		cmocka_unit_test(a_file_that_was_replaced_ends_its_runs),
		cmocka_unit_test(a_log_that_was_deleted_ends_its_runs),
		cmocka_unit_test(an_index_of_the_log_that_was_deleted_ends_its_runs),
		cmocka_unit_test(a_file_that_was_emptied_ends_its_runs),
		cmocka_unit_test(a_file_that_became_a_link_is_diverged),
		cmocka_unit_test(who_has_another_file_open_leaves_the_log_of_the_new_one),
		cmocka_unit_test(a_read_model_whose_file_was_deleted_ends_its_run),
	};
	return cmocka_run_group_tests_name("engine_file", tests, NULL, NULL);
}
