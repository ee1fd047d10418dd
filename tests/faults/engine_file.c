/* SPDX-License-Identifier: Apache-2.0 */
/* The file under a SQLite store: its one write lock. */
#include <string.h>

#include "engine_tools.h"

/* ---- The lock that a transactional handler holds ---------------------------------------------------------------- */

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
	tide_store_append(inward->rig->store, APPEND(stream_of("Order", 2), TIDE_ANY, events), NULL, &inward->append);
	tide_checkpoints_save(inward->rig->checkpoints, "other", &(struct tide_progress){ .position = 1 },
			      &inward->save);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_write_beside_the_transaction_of_its_handler_is_a_deadlock_at_once),
	};
	return cmocka_run_group_tests_name("engine_file", tests, NULL, NULL);
}
