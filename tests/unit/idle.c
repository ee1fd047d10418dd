/* SPDX-License-Identifier: Apache-2.0 */
/* What a subscription asks its database for while it has nothing to do. */
#include <sqlite3.h>

#include "rig.h"

/* of statements: loads of checkpoint rows, and searches for the event that a position stands on */
static atomic_int rows, anchors;

static int count_statement(unsigned kind, void *self, void *statement, void *text)
{
	(void)kind;
	(void)self;
	(void)statement;
	if (strstr(text, "FROM projection_checkpoints WHERE projection_name = "))
		atomic_fetch_add(&rows, 1);
	if (strstr(text, "event_id FROM events WHERE global_position <= "))
		atomic_fetch_add(&anchors, 1);
	return 0;
}

static int count_all(sqlite3 *db, char **message, const void *functions)
{
	(void)message;
	(void)functions;
	return sqlite3_trace_v2(db, SQLITE_TRACE_STMT, count_statement, NULL);
}

/* The row, the newest event in memory and what is settled all stand on one. */
static void a_look_at_one_event_finds_it_once(void **state)
{
	struct rig rig = { 0 };
	(void)state;
	sqlite3_auto_extension((void (*)(void))count_all);
	rig_live(&rig, "sqlite:%d/store.db");
	rig_settle(&rig, "Placed");
	int first_row = rows, first_anchor = anchors;
	wait_for(60, rows >= first_row + 4);
	assert_in_range(anchors - first_anchor, 3, rows - first_row + 1);
	rig_close(&rig);
	sqlite3_reset_auto_extension();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_look_at_one_event_finds_it_once),
	};
	return cmocka_run_group_tests_name("idle", tests, NULL, NULL);
}
