/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sixteen lanes of two subscriptions, and whatever happens to the members that share them: they
 * join, leave, are killed, are frozen past their lease and go on, lose the server behind a network
 * that carries nothing, and all of them its connections and the server itself, while events are
 * appended. chaos_check.c says what then must be true.
 *
 *	faults-chaos BACKEND [SECONDS]     sqlite, postgres
 *
 * TIDE_TEST_SECONDS, TIDE_TEST_SEED: the same, and of what is drawn. With TEST_KEEP the logs of the
 * members stay.
 */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "chaos.h"
#include "engine_tools.h"
#ifdef TIDE_HAVE_POSTGRES
#include "lib/postgres.h"
#include "lib/proxy.h"
#else
struct proxy;
#endif

#define SLOTS 6
#define NS 1e9

enum slot_state { SLOT_EMPTY, SLOT_RUNS, SLOT_FROZEN, SLOT_LEAVES };

/** A place for a member, with a way to the server of its own. */
struct slot {
	enum slot_state state;
	struct child child;
	uint32_t member;
	int64_t thaws_at;
	struct proxy *proxy; /* NULL: there is no server */
	int64_t cut_at;      /* 0: it carries what there is */
	uint32_t held;       /* the member that is cut off */
	char url[4 * TEMP_PATH_SIZE];
};

struct chaos {
	struct fixture f;
	bool is_postgres;
	char file[TEMP_PATH_SIZE + 16];
	struct chaos_record *record;
	struct slot slots[SLOTS];
	uint32_t members; /* that have ever been */
	struct chaos_events happened;
	size_t acts[16]; /* how often each was done */
	pthread_t appender;
	atomic_bool is_over;
	atomic_int appended;
};

static double chaos_seconds;

static double drawn(double least, double most)
{
	return least + (most - least) * (double)(random() % 10001) / 10000;
}

static int64_t later(double seconds)
{
	return chaos_now() + (int64_t)(seconds * NS);
}

/* ---- Appends --------------------------------------------------------------------------------- */

/* An append whose outcome is not known is repeated with the same ids. */
static bool append_some(struct chaos *chaos, unsigned aggregate, size_t count)
{
	struct tide_new_event events[8];
	struct tide_append_result result;
	struct tide_error why;
	for (size_t i = 0; i < count; i++) {
		events[i] = event_of("Counted", (unsigned)i);
		events[i].event_id = tide_uuid_v7();
	}
	const struct tide_append append = { .stream = stream_of("Order", aggregate),
					    .expected = TIDE_ANY,
					    .events = events,
					    .count = count };
	tide_status status = tide_store_append(chaos->f.store, &append, &result, &why);
	while (status == TIDE_CONNECTION_LOST || status == TIDE_TIMEOUT || status == TIDE_BUSY) {
		wait_a_moment();
		status = tide_store_append(chaos->f.store, &append, &result, &why);
	}
	if (status != TIDE_OK)
		print_message("append: %s\n", why.message);
	return status == TIDE_OK;
}

static void *appender_run(void *self)
{
	struct chaos *chaos = self;
	unsigned seed = 1;
	double most = chaos->is_postgres ? 0.02 : 0.05;
	while (!atomic_load(&chaos->is_over)) {
		unsigned draw = (unsigned)rand_r(&seed);
		size_t count = 1 + draw % 5;
		/* now and then many, so that there is a history to be behind in */
		for (int more = draw % 199 == 0 ? 100 : 1; more > 0; more--) {
			unsigned aggregate = (unsigned)rand_r(&seed) % CHAOS_AGGREGATES;
			if (!append_some(chaos, aggregate, count))
				return (void *)1;
			atomic_fetch_add(&chaos->appended, (int)count);
		}
		pass_time(most * (double)(draw / 199 % 1000) / 1000);
	}
	return NULL;
}

/* ---- Members --------------------------------------------------------------------------------- */

/* A member that is cut off may not know it until two thirds of its lease have passed. */
static void spell_begin(struct chaos *chaos, enum chaos_why why, uint32_t member)
{
	int64_t now = chaos_now();
	chaos_add(&chaos->happened,
		  (struct chaos_spell){
			  .why = why,
			  .member = member,
			  .began = now,
			  .until = why == CHAOS_FROZEN ? now : later(CHAOS_LEASE * 2 / 3) });
}

/* The last one of a member is over. */
static void spell_end(struct chaos *chaos, enum chaos_why why, uint32_t member)
{
	size_t i = chaos->happened.spell_count - 1;
	while (chaos->happened.spells[i].why != why || chaos->happened.spells[i].member != member)
		i--;
	chaos->happened.spells[i].ended = chaos_now();
}

static void slot_join(struct chaos *chaos, struct slot *slot)
{
	char argument[6 * TEMP_PATH_SIZE];
	slot->member = ++chaos->members;
	assert_in_range(slot->member, 1, CHAOS_MEMBERS - 1);
	snprintf(argument, sizeof argument, "%s %u %s %s", chaos->f.backend->name, slot->member,
		 chaos->file, slot->url);
	slot->child = child_start(chaos_member_run, argument);
	assert_int_equal(child_await(&slot->child, PATIENCE), 'b');
	slot->state = SLOT_RUNS;
}

static void slot_leave(struct slot *slot)
{
	child_signal(&slot->child, SIGTERM);
	slot->state = SLOT_LEAVES;
}

static void slot_kill(struct chaos *chaos, struct slot *slot)
{
	chaos->happened.deaths[slot->member] = chaos_now();
	child_signal(&slot->child, SIGKILL);
	assert_int_equal(child_join(&slot->child), 128 + SIGKILL);
	slot->state = SLOT_EMPTY;
}

static void slot_freeze(struct chaos *chaos, struct slot *slot)
{
	int status;
	child_signal(&slot->child, SIGSTOP);
	assert_int_equal(waitpid(slot->child.pid, &status, WUNTRACED), slot->child.pid);
	assert_true(WIFSTOPPED(status));
	spell_begin(chaos, CHAOS_FROZEN, slot->member);
	slot->thaws_at = later(drawn(0.1, 2.5 * CHAOS_LEASE));
	slot->state = SLOT_FROZEN;
}

static void slot_thaw(struct chaos *chaos, struct slot *slot)
{
	spell_end(chaos, CHAOS_FROZEN, slot->member);
	child_signal(&slot->child, SIGCONT);
	slot->state = SLOT_RUNS;
}

/* One that was asked to leave, when it has. */
static void slot_left(struct chaos *chaos, struct slot *slot)
{
	int status;
	if (waitpid(slot->child.pid, &status, WNOHANG) != slot->child.pid)
		return;
	close(slot->child.reports);
	chaos->happened.deaths[slot->member] = chaos_now();
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		fail_msg("member %u left with %d", slot->member, status);
	slot->state = SLOT_EMPTY;
}

#ifdef TIDE_HAVE_POSTGRES
static void slot_hold(struct chaos *chaos, struct slot *slot)
{
	proxy_hold(slot->proxy);
	slot->held = slot->member;
	spell_begin(chaos, CHAOS_CUT_OFF, slot->held);
	slot->cut_at = later(drawn(0.1, 2.5 * CHAOS_LEASE));
}

static void slot_cut(struct chaos *chaos, struct slot *slot)
{
	spell_end(chaos, CHAOS_CUT_OFF, slot->held);
	proxy_cut(slot->proxy);
	slot->cut_at = 0;
}

static void terminate_some(struct chaos *chaos)
{
	postgres_fixture_sql(&chaos->f, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
					"WHERE pid <> pg_backend_pid() AND backend_type = 'client "
					"backend' AND random() < 0.3");
}

/* At once: a server that waits for its backends waits for ever for one that tells its end to a
 * client which reads nothing. */
static void server_restart(struct chaos *chaos)
{
	postgres_halt(SIGQUIT);
	spell_begin(chaos, CHAOS_SERVER, 0);
	pass_time(drawn(0, 1));
	postgres_resume();
}

static void slot_open_way(struct chaos *chaos, struct slot *slot, int number)
{
	char directory[TEMP_PATH_SIZE + 16];
	snprintf(directory, sizeof directory, "%s/way%d", chaos->f.directory, number);
	assert_int_equal(mkdir(directory, 0700), 0);
	slot->proxy = proxy_open(directory);
	snprintf(slot->url, sizeof slot->url, "%s&host=%s", chaos->f.url, directory);
}

static void slot_close_way(struct slot *slot)
{
	proxy_close(slot->proxy);
}
#else
static void slot_hold(struct chaos *chaos, struct slot *slot)
{
	(void)chaos;
	(void)slot;
}

static void slot_cut(struct chaos *chaos, struct slot *slot)
{
	(void)chaos;
	(void)slot;
}

static void terminate_some(struct chaos *chaos)
{
	(void)chaos;
}

static void server_restart(struct chaos *chaos)
{
	(void)chaos;
}

static void slot_open_way(struct chaos *chaos, struct slot *slot, int number)
{
	(void)chaos;
	(void)slot;
	(void)number;
}

static void slot_close_way(struct slot *slot)
{
	(void)slot;
}
#endif

/* ---- What happens ---------------------------------------------------------------------------- */

enum act { JOIN, LEAVE, KILL, FREEZE, CUT, TERMINATE, RESTART, ACTS };

static const struct {
	const char *name;
	int weight;
	bool is_servers; /* only where there is one */
} acts[ACTS] = {
	[JOIN] = { "joined", 26, false },
	[LEAVE] = { "left", 8, false },
	[KILL] = { "killed", 12, false },
	[FREEZE] = { "frozen", 14, false },
	[CUT] = { "cut off", 14, true },
	[TERMINATE] = { "terminated", 6, true },
	[RESTART] = { "server restarted", 2, true },
};

static enum act act_draw(const struct chaos *chaos)
{
	int total = 0, draw;
	for (int act = 0; act < ACTS; act++)
		total += acts[act].is_servers && !chaos->is_postgres ? 0 : acts[act].weight;
	draw = (int)(random() % total);
	enum act act = 0;
	for (; act < ACTS; act++) {
		draw -= acts[act].is_servers && !chaos->is_postgres ? 0 : acts[act].weight;
		if (draw < 0)
			break;
	}
	return act;
}

/* A slot where there is nobody, or with a member to which nothing is happening, or, to be killed,
 * any; NULL: none. */
static struct slot *slot_draw(struct chaos *chaos, enum act act)
{
	size_t first = (size_t)random() % SLOTS;
	for (size_t i = 0; i < SLOTS; i++) {
		struct slot *slot = &chaos->slots[(first + i) % SLOTS];
		bool is_quiet = slot->state == SLOT_RUNS && slot->cut_at == 0;
		bool fits = act == JOIN   ? slot->state == SLOT_EMPTY
			    : act == KILL ? slot->state != SLOT_EMPTY
					  : is_quiet;
		if (fits)
			return slot;
	}
	return NULL;
}

static void act_do(struct chaos *chaos, enum act act)
{
	struct slot *slot = slot_draw(chaos, act);
	if (!slot && act < TERMINATE)
		return;
	chaos->acts[act]++;
	switch (act) {
	case JOIN:
		slot_join(chaos, slot);
		break;
	case LEAVE:
		slot_leave(slot);
		break;
	case KILL:
		slot_kill(chaos, slot);
		break;
	case FREEZE:
		slot_freeze(chaos, slot);
		break;
	case CUT:
		slot_hold(chaos, slot);
		break;
	case TERMINATE:
		terminate_some(chaos);
		break;
	default:
		server_restart(chaos);
	}
}

/* What was begun ends when its time has come, or now. */
static void slots_look(struct chaos *chaos, bool is_now)
{
	int64_t now = is_now ? INT64_MAX : chaos_now();
	for (size_t i = 0; i < SLOTS; i++) {
		struct slot *slot = &chaos->slots[i];
		if (slot->state == SLOT_FROZEN && slot->thaws_at <= now)
			slot_thaw(chaos, slot);
		if (slot->cut_at > 0 && slot->cut_at <= now)
			slot_cut(chaos, slot);
		if (slot->state == SLOT_LEAVES)
			slot_left(chaos, slot);
		if (slot->state != SLOT_EMPTY && slot->state != SLOT_LEAVES &&
		    waitpid(slot->child.pid, NULL, WNOHANG) == slot->child.pid)
			fail_msg("member %u ended by itself", slot->member);
	}
}

static void act_for(struct chaos *chaos, double seconds)
{
	int64_t end = later(seconds), next = 0;
	while (chaos_now() < end) {
		slots_look(chaos, false);
		if (chaos_now() >= next) {
			act_do(chaos, act_draw(chaos));
			next = later(drawn(0.05, 0.7));
		}
		wait_a_moment();
	}
}

/* ---- The end --------------------------------------------------------------------------------- */

static bool is_settled(struct chaos *chaos)
{
	slots_look(chaos, true);
	return fixture_number(&chaos->f,
			      "SELECT count(*) FROM projection_checkpoints WHERE global_position "
			      "= (SELECT max(global_position) FROM events)") ==
	       CHAOS_GROUPS * CHAOS_LANES;
}

static bool all_have_left(struct chaos *chaos)
{
	slots_look(chaos, true);
	for (size_t i = 0; i < SLOTS; i++)
		if (chaos->slots[i].state != SLOT_EMPTY)
			return false;
	return true;
}

static void chaos_end(struct chaos *chaos)
{
	void *has_failed;
	atomic_store(&chaos->is_over, true);
	slots_look(chaos, true); /* one that is frozen may have what the appender waits for */
	pthread_join(chaos->appender, &has_failed);
	assert_null(has_failed);
	struct slot *slot = slot_draw(chaos, JOIN);
	if (slot)
		slot_join(chaos, slot);
	wait_for(4 * PATIENCE + chaos_seconds, is_settled(chaos));
	for (size_t i = 0; i < SLOTS; i++)
		if (chaos->slots[i].state == SLOT_RUNS)
			slot_leave(&chaos->slots[i]);
	wait_for(2 * PATIENCE, all_have_left(chaos));
}

static void chaos_tell(const struct chaos *chaos)
{
	print_message("%s: %u members, %d events:", chaos->f.backend->name, chaos->members,
		      atomic_load(&chaos->appended));
	for (int act = 0; act < ACTS; act++)
		if (chaos->acts[act] > 0)
			print_message(" %zu %s,", chaos->acts[act], acts[act].name);
	print_message(" seen for %.0f s\n", chaos_seconds);
}

/* ---- Running --------------------------------------------------------------------------------- */

static void chaos_begin(struct chaos *chaos, void *backend)
{
	fixture_open(&chaos->f, backend);
	chaos->is_postgres = strcmp(chaos->f.backend->name, "postgres") == 0;
	fixture_sql(&chaos->f,
		    chaos->is_postgres
			    ? "CREATE TABLE seen (serial BIGSERIAL PRIMARY KEY, call "
			      "BIGINT, lane INTEGER, aggregate INTEGER, version INTEGER)"
			    : "CREATE TABLE seen (serial INTEGER PRIMARY KEY, call "
			      "BIGINT, lane INTEGER, aggregate INTEGER, version INTEGER)");
	fixture_sql(&chaos->f, "CREATE TABLE streams (number INTEGER, id TEXT)");
	for (unsigned i = 0; i < CHAOS_AGGREGATES; i++) {
		char id[TIDE_UUID_TEXT_SIZE], sql[120];
		struct tide_uuid uuid = uuid_of(i);
		snprintf(sql, sizeof sql, "INSERT INTO streams VALUES (%u, '%s')", i,
			 tide_uuid_format(&uuid, id));
		fixture_sql(&chaos->f, sql);
	}

	snprintf(chaos->file, sizeof chaos->file, "%s/record", chaos->f.directory);
	chaos->record = chaos_map(chaos->file);
	for (int i = 0; i < SLOTS; i++) {
		struct slot *slot = &chaos->slots[i];
		if (chaos->is_postgres)
			slot_open_way(chaos, slot, i);
		else
			snprintf(slot->url, sizeof slot->url, "%s", chaos->f.url);
	}
	assert_int_equal(pthread_create(&chaos->appender, NULL, appender_run, chaos), 0);
}

static void each_event_is_in_the_read_model_once_and_no_lane_has_two_members(void **state)
{
	struct chaos *chaos = calloc(1, sizeof *chaos);
	assert_non_null(chaos);
	chaos_begin(chaos, *state);
	act_for(chaos, chaos_seconds);
	chaos_end(chaos);
	chaos_tell(chaos);
	fixture_sql(&chaos->f, "CREATE INDEX of_calls ON seen (call)");
	chaos_check(&chaos->f, chaos->record, &chaos->happened);
	for (int i = 0; i < SLOTS; i++)
		slot_close_way(&chaos->slots[i]);
	chaos_unmap(chaos->record);
	fixture_close(&chaos->f);
	free(chaos->happened.spells);
	free(chaos);
}

int main(int argc, char **argv)
{
	child_main(argc, argv);
	unsigned seed = (unsigned)test_number("TIDE_TEST_SEED", (int64_t)time(NULL));
	chaos_seconds = (double)test_number("TIDE_TEST_SECONDS", argc > 2 ? atoi(argv[2]) : 20);
	print_message("TIDE_TEST_SEED=%u TIDE_TEST_SECONDS=%.0f\n", seed, chaos_seconds);
	srandom(seed);
	const struct test_backend *backend = test_backend_find(argc > 1 ? argv[1] : "sqlite");
	if (!backend || (backend->start && !backend->start()))
		return backend ? 77 : 2;
	struct CMUnitTest tests[] = {
		cmocka_unit_test(each_event_is_in_the_read_model_once_and_no_lane_has_two_members),
	};
	tests[0].initial_state = (void *)(uintptr_t)backend;
	int failed = cmocka_run_group_tests_name(backend->name, tests, NULL, NULL);
	if (backend->stop)
		backend->stop();
	return failed;
}
