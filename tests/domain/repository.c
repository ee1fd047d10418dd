/* SPDX-License-Identifier: Apache-2.0 */
/* Repositories over every backend: load and save, publish, retry, several aggregates at once,
 * snapshots. */
#include <stdatomic.h>
#include <string.h>

#include "domain/account.h"
#include "lib/fixture.h"
#include "lib/wait.h"
#include "sys/alloc.h"

#define AGGREGATE TIDE_CLEANUP(tide_aggregate_free) struct tide_aggregate
#define REPOSITORY TIDE_CLEANUP(tide_repository_close) struct tide_repository

/* The case's store; one case runs at a time. */
static struct fixture fixture;
static struct tide_store *store;

static int set_up(void **state)
{
	fixture_open(&fixture, *state);
	store = fixture.store;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	fixture_close(&fixture);
	return 0;
}

static struct tide_repository *repository_of(struct tide_repository_options options)
{
	struct tide_repository *repository;
	options.size = sizeof options;
	options.store = store;
	if (!options.type)
		options.type = &account_type;
	must(tide_repository_open(&options, &repository, err));
	return repository;
}
#define REPOSITORY_OF(...) repository_of((struct tide_repository_options){ __VA_ARGS__ })

static struct tide_aggregate *loaded(struct tide_repository *repository, unsigned number)
{
	struct tide_aggregate *aggregate;
	struct tide_uuid id = uuid_of(number);
	must(tide_repository_load(repository, &id, &aggregate, err));
	return aggregate;
}

static struct tide_aggregate *created(struct tide_repository *repository, unsigned number)
{
	struct tide_aggregate *aggregate;
	struct tide_uuid id = uuid_of(number);
	must(tide_repository_create(repository, &id, &aggregate, err));
	return aggregate;
}

/** Store `count` movements of one cent in account `number`, one save each. */
static void fill(struct tide_repository *repository, unsigned number, int count)
{
	AGGREGATE *aggregate = created(repository, number);
	for (int i = 0; i < count; i++) {
		raise_move(aggregate, 1);
		must(tide_repository_save(repository, aggregate, err));
	}
}

/* ---- Loading and saving ---------------------------------------------------------------------- */

static void what_is_saved_is_loaded(void **state)
{
	(void)state;
	REPOSITORY *repository = REPOSITORY_OF(0);
	AGGREGATE *aggregate = created(repository, 1);
	must(tide_repository_save(repository, aggregate, err)); /* nothing to do */
	assert_int_equal(version_of(store, stream_of("Account", 1)), 0);
	raise_move(aggregate, 70);
	must(tide_aggregate_raise(aggregate, note_taken, &(struct note_taken){ (char *)"rent" },
				  err));
	must(tide_repository_save(repository, aggregate, err));
	assert_int_equal(tide_aggregate_uncommitted_count(aggregate), 0);
	raise_move(aggregate, -20);
	must(tide_repository_save(repository, aggregate, err));

	AGGREGATE *again = loaded(repository, 1);
	const struct account *account = tide_aggregate_state(again);
	assert_int_equal(tide_aggregate_version(again), 3);
	assert_int_equal(account->cents, 50);
	assert_int_equal(account->note_count, 1);
	assert_string_equal(account->notes[0], "rent");
	struct tide_uuid id = uuid_of(1);
	tide_version version;
	bool exists;
	must(tide_repository_version(repository, &id, &version, err));
	assert_int_equal(version, 3);
	must(tide_repository_exists(repository, &id, &exists, err));
	assert_true(exists);
}

static void an_event_keeps_its_envelope_over_a_save(void **state)
{
	(void)state;
	REPOSITORY *repository = REPOSITORY_OF(.type = &plain_account_type);
	AGGREGATE *aggregate = created(repository, 1);
	const struct tide_time then = { INT64_C(1700000000123456) };
	struct tide_new_event event = { .event_type = "SomethingElse",
					.payload = tide_text("{\"cents\":7}"),
					.metadata = tide_text("{\"by\":\"hand\"}"),
					.event_version = 3,
					.event_id = uuid_of(100),
					.occurred_at = &then,
					.tenant_id = uuid_of(101),
					.actor_id = "teller",
					.correlation_id = uuid_of(102),
					.causation_id = uuid_of(103) };
	must(tide_aggregate_raise_event(aggregate, &event, err));
	must(tide_repository_save(repository, aggregate, err));

	struct tide_event *stored;
	must(tide_store_event(store, &event.event_id, &stored, err));
	assert_string_equal(stored->metadata.data, event.metadata.data);
	assert_int_equal(stored->event_version, 3);
	assert_int_equal(stored->occurred_at.unix_us, then.unix_us);
	assert_true(tide_uuid_equal(&stored->tenant_id, &event.tenant_id));
	assert_string_equal(stored->actor_id.data, "teller");
	assert_true(tide_uuid_equal(&stored->correlation_id, &event.correlation_id));
	assert_true(tide_uuid_equal(&stored->causation_id, &event.causation_id));
	tide_free(stored);
}

static void an_absent_aggregate_is_not_found_or_made(void **state)
{
	(void)state;
	REPOSITORY *repository = REPOSITORY_OF(0);
	struct tide_aggregate *aggregate = NULL;
	struct tide_uuid id = uuid_of(1);
	bool exists = true;
	refused(TIDE_NOT_FOUND, tide_repository_load(repository, &id, &aggregate, err));
	assert_null(aggregate);
	must(tide_repository_exists(repository, &id, &exists, err));
	assert_false(exists);
	must(tide_repository_load_or_create(repository, &id, &aggregate, err));
	assert_int_equal(tide_aggregate_version(aggregate), 0);
	tide_aggregate_free(aggregate);
	must(tide_repository_create(repository, NULL, &aggregate, err));
	assert_false(tide_uuid_is_nil(tide_aggregate_id(aggregate)));
	tide_aggregate_free(aggregate);
	/* a stream of the same id and another type is another aggregate */
	append_one(store, stream_of("Other", 1), "SomethingElse");
	refused(TIDE_NOT_FOUND, tide_repository_load(repository, &id, &aggregate, err));
}

static void the_second_of_two_savers_is_in_conflict_and_keeps_its_events(void **state)
{
	(void)state;
	REPOSITORY *repository = REPOSITORY_OF(0);
	fill(repository, 1, 1);
	AGGREGATE *first = loaded(repository, 1), *second = loaded(repository, 1);
	raise_move(first, 1);
	raise_move(second, 2);
	must(tide_repository_save(repository, first, err));
	refused(TIDE_CONFLICT, tide_repository_save(repository, second, err));
	assert_int_equal(tide_aggregate_uncommitted_count(second), 1);
	assert_int_equal(version_of(store, stream_of("Account", 1)), 2);
	assert_int_equal(tide_repository_stats(repository).conflicts, 1);
	AGGREGATE *fresh = created(repository, 1);
	raise_move(fresh, 1);
	refused(TIDE_CONFLICT, tide_repository_save(repository, fresh, err));
}

static void repeating_a_save_whose_outcome_was_unknown_stores_once(void **state)
{
	(void)state;
	REPOSITORY *repository = REPOSITORY_OF(0);
	AGGREGATE *aggregate = created(repository, 1);
	raise_move(aggregate, 1);
	raise_move(aggregate, 2);
	struct tide_event_list list;
	must(tide_aggregate_uncommitted(aggregate, &list, err));
	struct tide_new_event events[2];
	for (size_t i = 0; i < 2; i++)
		events[i] = (struct tide_new_event){ .event_type = "MoneyMoved",
						     .event_id = list.events[i]->event_id,
						     .payload = list.events[i]->payload };
	must(tide_store_append(store, APPEND(stream_of("Account", 1), TIDE_NO_STREAM, events), NULL,
			       err));
	must(tide_repository_save(repository, aggregate, err));
	assert_int_equal(version_of(store, stream_of("Account", 1)), 2);
	tide_event_list_fini(&list);
}

/* ---- Publishing ------------------------------------------------------------------------------ */

struct listener {
	int count;
	tide_position last;
	tide_version version;
};

static tide_status listen(void *self, const struct tide_event *event)
{
	struct listener *listener = self;
	assert_true(event->position > listener->last);
	listener->last = event->position;
	listener->version = event->version;
	listener->count++;
	return TIDE_OK;
}

static void saved_events_are_published_with_version_and_position(void **state)
{
	(void)state;
	struct tide_bus *bus;
	struct listener listener = { 0 };
	must(tide_bus_open(&bus, err));
	must(tide_bus_subscribe_all(bus, listen, &listener, err));
	REPOSITORY *repository = REPOSITORY_OF(.bus = bus);
	AGGREGATE *aggregate = created(repository, 1), *late = created(repository, 1);
	raise_move(aggregate, 1);
	raise_move(aggregate, 2);
	must(tide_repository_save(repository, aggregate, err));
	assert_int_equal(listener.count, 2);
	assert_int_equal(listener.version, 2);
	assert_int_equal(listener.last, end_of(store));

	raise_move(late, 3);
	refused(TIDE_CONFLICT, tide_repository_save(repository, late, err));
	assert_int_equal(listener.count, 2);

	must(tide_bus_shutdown(bus, 1, NULL, err));
	raise_move(aggregate, 4);
	struct tide_error why =
		refused(TIDE_PUBLISH_FAILED, tide_repository_save(repository, aggregate, err));
	must_mention(&why, "the events are stored, but were not published");
	assert_int_equal(tide_aggregate_uncommitted_count(aggregate), 0);
	assert_int_equal(version_of(store, stream_of("Account", 1)), 3);
	tide_bus_close(bus);
}

/* ---- Several aggregates ---------------------------------------------------------------------- */

static void two_aggregates_are_saved_together_or_not_at_all(void **state)
{
	(void)state;
	REPOSITORY *repository = REPOSITORY_OF(0);
	AGGREGATE *a = created(repository, 1), *b = created(repository, 2),
		  *stale = created(repository, 2);
	raise_move(a, 10);
	raise_move(b, 20);
	must(tide_repository_save_all(repository, (struct tide_aggregate *[]){ a, b }, 2, err));
	assert_int_equal(version_of(store, stream_of("Account", 1)), 1);
	assert_int_equal(version_of(store, stream_of("Account", 2)), 1);

	raise_move(a, 11);
	raise_move(stale, 21);
	refused(TIDE_CONFLICT,
		tide_repository_save_all(repository, (struct tide_aggregate *[]){ a, stale }, 2,
					 err));
	assert_int_equal(tide_aggregate_uncommitted_count(a), 1);
	assert_int_equal(version_of(store, stream_of("Account", 1)), 1);
	refused(TIDE_ARGUMENT,
		tide_repository_save_all(repository, (struct tide_aggregate *[]){ b, stale }, 2,
					 err));
	refused(TIDE_ARGUMENT, tide_repository_save_all(
				       repository, (struct tide_aggregate *[]){ b, NULL }, 2, err));
	must(tide_repository_save_all(repository, NULL, 0, err));
}

static tide_status transfer(struct tide_aggregate *const *aggregates, size_t count, void *context,
			    struct tide_error *err)
{
	int64_t gain = *(int64_t *)context, loss = -gain;
	assert_int_equal(count, 2);
	tide_status status = move_money(aggregates[0], &loss, err);
	return status == TIDE_OK ? move_money(aggregates[1], &gain, err) : status;
}

static void an_update_of_two_aggregates_moves_what_is_there(void **state)
{
	(void)state;
	REPOSITORY *repository = REPOSITORY_OF(0);
	const struct tide_uuid ids[] = { uuid_of(1), uuid_of(2) };
	int64_t cents = 100;
	must(tide_repository_update(repository, &ids[0], move_money, &cents, err));
	cents = 30;
	must(tide_repository_update_all(repository, ids, 2, transfer, &cents, err));
	cents = 71;
	struct tide_error why = refused(
		TIDE_STATE, tide_repository_update_all(repository, ids, 2, transfer, &cents, err));
	must_mention(&why, "there are only 70 cents");
	AGGREGATE *a = loaded(repository, 1), *b = loaded(repository, 2);
	assert_int_equal(cents_of(a), 70);
	assert_int_equal(cents_of(b), 30);
}

/* ---- Retrying -------------------------------------------------------------------------------- */

/** A command that lets somebody else be faster. */
struct rival {
	struct tide_repository *repository;
	int calls, until;
};

static tide_status be_beaten(struct tide_aggregate *aggregate, void *context,
			     struct tide_error *why)
{
	struct rival *rival = context;
	int64_t one = 1;
	if (rival->calls++ < rival->until) {
		AGGREGATE *faster = loaded(rival->repository, 1);
		raise_move(faster, 1);
		must(tide_repository_save(rival->repository, faster, err));
	}
	return move_money(aggregate, &one, why);
}

static void an_update_reloads_and_decides_again_until_its_attempts_are_used_up(void **state)
{
	(void)state;
	REPOSITORY *repository = REPOSITORY_OF(.update_attempts = 4);
	struct tide_uuid id = uuid_of(1);
	fill(repository, 1, 1);
	struct rival rival = { repository, 0, 3 };
	must(tide_repository_update(repository, &id, be_beaten, &rival, err));
	assert_int_equal(rival.calls, 4);
	assert_int_equal(version_of(store, stream_of("Account", 1)), 5);
	rival = (struct rival){ repository, 0, 4 };
	refused(TIDE_CONFLICT, tide_repository_update(repository, &id, be_beaten, &rival, err));
	assert_int_equal(rival.calls, 4);
	assert_int_equal(tide_repository_stats(repository).conflicts, 7);
}

/* What a command says of its own is the caller's, whatever status it has. */
static tide_status be_in_conflict(struct tide_aggregate *aggregate, void *context,
				  struct tide_error *why)
{
	(void)aggregate;
	++*(int *)context;
	return tide_fail(why, TIDE_CONFLICT, "another rule is in the way");
}

static void an_update_does_not_repeat_a_command_that_says_conflict(void **state)
{
	(void)state;
	REPOSITORY *repository = REPOSITORY_OF(.update_attempts = 4);
	struct tide_uuid id = uuid_of(1);
	int calls = 0;
	fill(repository, 1, 1);
	struct tide_error why =
		refused(TIDE_CONFLICT,
			tide_repository_update(repository, &id, be_in_conflict, &calls, err));
	must_mention(&why, "another rule is in the way");
	assert_int_equal(calls, 1);
}

#define CROWD 64
#define CROWD_ACCOUNTS 8
#define CROWD_MOVES 6

static void crowd_member(void *self, size_t index)
{
	for (size_t i = 0; i < CROWD_MOVES; i++) {
		struct tide_uuid id = uuid_of((unsigned)((index + i) % CROWD_ACCOUNTS));
		int64_t cents = (int64_t)(index + 1);
		must(tide_repository_update(self, &id, move_money, &cents, err));
	}
}

static void sixty_four_threads_on_eight_aggregates_lose_nothing(void **state)
{
	(void)state;
	REPOSITORY *repository = REPOSITORY_OF(.update_attempts = 10000);
	int64_t expected[CROWD_ACCOUNTS] = { 0 };
	for (size_t index = 0; index < CROWD; index++)
		for (size_t i = 0; i < CROWD_MOVES; i++)
			expected[(index + i) % CROWD_ACCOUNTS] += (int64_t)(index + 1);
	race_to(CROWD, crowd_member, repository);
	for (unsigned number = 0; number < CROWD_ACCOUNTS; number++) {
		AGGREGATE *aggregate = loaded(repository, number);
		assert_int_equal(cents_of(aggregate), expected[number]);
	}
	struct tide_repository_stats stats = tide_repository_stats(repository);
	print_message("%s: %lld saves, %lld conflicts\n", fixture.backend->name,
		      (long long)stats.saves, (long long)stats.conflicts);
	assert_int_equal(stats.saves, CROWD * CROWD_MOVES);
	if (fixture.quirks->is_durable) /* memory is so fast that they may all miss each other */
		assert_true(stats.conflicts > 0);
}

/* ---- Snapshots ------------------------------------------------------------------------------- */

/** The stored snapshot's version; 0: there is none. */
static tide_version snapshot_version(unsigned number)
{
	struct tide_snapshot snapshot;
	if (tide_store_snapshot_load(store, stream_of("Account", number), &snapshot, NULL) !=
	    TIDE_OK)
		return 0;
	tide_free((void *)snapshot.state.data);
	return snapshot.version;
}

static void a_snapshot_is_due_when_a_save_crosses_a_multiple(void **state)
{
	(void)state;
	REPOSITORY *repository = REPOSITORY_OF(.snapshot_every = 10);
	fill(repository, 1, 9);
	assert_int_equal(snapshot_version(1), 0);
	AGGREGATE *aggregate = loaded(repository, 1);
	for (int i = 0; i < 4; i++)
		raise_move(aggregate, 1);
	must(tide_repository_save(repository, aggregate, err));
	assert_int_equal(snapshot_version(1), 13);
	raise_move(aggregate, 1);
	must(tide_repository_save(repository, aggregate, err));
	assert_int_equal(snapshot_version(1), 13);
	AGGREGATE *again = loaded(repository, 1);
	assert_int_equal(cents_of(again), 14);
	assert_int_equal(tide_aggregate_version(again), 14);
	struct tide_repository_stats stats = tide_repository_stats(repository);
	assert_int_equal(stats.snapshots_saved, 1);
	assert_int_equal(stats.snapshots_loaded, 1);
	assert_int_equal(stats.snapshots_rejected, 0);
}

static void background_snapshots_are_written_soon_and_before_closing(void **state)
{
	(void)state;
	struct tide_repository *repository =
		REPOSITORY_OF(.snapshot_every = 1, .snapshot_mode = TIDE_SNAPSHOT_BACKGROUND);
	fill(repository, 1, 50);
	must(tide_repository_wait_snapshots(repository, 30, err));
	assert_int_equal(snapshot_version(1), 50);
	assert_true(tide_repository_stats(repository).snapshots_saved <= 50);
	fill(repository, 2, 20);
	tide_repository_close(repository);
	assert_int_equal(snapshot_version(2), 20);
}

static void a_snapshot_on_demand_needs_a_saved_aggregate(void **state)
{
	(void)state;
	REPOSITORY *repository =
		REPOSITORY_OF(.snapshot_every = 1, .snapshot_mode = TIDE_SNAPSHOT_MANUAL);
	fill(repository, 1, 3);
	assert_int_equal(snapshot_version(1), 0);
	AGGREGATE *aggregate = loaded(repository, 1);
	must(tide_repository_snapshot(repository, aggregate, err));
	assert_int_equal(snapshot_version(1), 3);
	raise_move(aggregate, 1);
	refused(TIDE_STATE, tide_repository_snapshot(repository, aggregate, err));
	REPOSITORY *plain = REPOSITORY_OF(.type = &plain_account_type);
	AGGREGATE *bare = loaded(plain, 1);
	refused(TIDE_UNSUPPORTED, tide_repository_snapshot(plain, bare, err));
}

static void an_unusable_snapshot_is_passed_over(void **state)
{
	(void)state;
	REPOSITORY *repository = REPOSITORY_OF(0), *newer = REPOSITORY_OF(.type = &account_type_v2);
	fill(repository, 1, 5);
	AGGREGATE *aggregate = loaded(repository, 1);
	must(tide_repository_snapshot(repository, aggregate, err));
	AGGREGATE *other_schema = loaded(newer, 1);
	assert_int_equal(cents_of(other_schema), 5);
	assert_int_equal(tide_repository_stats(newer).snapshots_rejected, 1);

	struct tide_snapshot snapshot = { .stream = stream_of("Account", 1),
					  .version = 6,
					  .schema_version = 1 };
	snapshot.state = tide_text("{\"cents\":1000,\"moves\":6,\"notes\":[]}");
	must(tide_store_snapshot_save(store, &snapshot, err));
	AGGREGATE *beyond = loaded(repository, 1);
	assert_int_equal(cents_of(beyond), 5);

	fill(repository, 2, 5);
	snapshot.stream = stream_of("Account", 2);
	snapshot.version = 4;
	snapshot.state = tide_text("{\"cents\":\"many\"}");
	must(tide_store_snapshot_save(store, &snapshot, err));
	AGGREGATE *unreadable = loaded(repository, 2);
	assert_int_equal(cents_of(unreadable), 5);
	assert_int_equal(tide_repository_stats(repository).snapshots_rejected, 2);
}

static const struct tide_field cents_alone[] = {
	TIDE_FIELD_INT64(struct account, cents),
	TIDE_FIELD_END,
};

static tide_status start_at_ten_moves(void *state, struct tide_error *why)
{
	(void)why;
	((struct account *)state)->moves = 10;
	return TIDE_OK;
}

static void a_snapshot_leaves_what_its_table_does_not_name_as_init_made_it(void **state)
{
	(void)state;
	struct tide_aggregate_type type = plain_account_type;
	type.state_fields = cents_alone;
	type.init = start_at_ten_moves;
	REPOSITORY *repository = REPOSITORY_OF(.type = &type);
	fill(repository, 1, 3);
	AGGREGATE *aggregate = loaded(repository, 1);
	must(tide_repository_snapshot(repository, aggregate, err));
	AGGREGATE *again = loaded(repository, 1);
	assert_int_equal(tide_repository_stats(repository).snapshots_loaded, 1);
	assert_int_equal(cents_of(again), 3);
	assert_int_equal(((const struct account *)tide_aggregate_state(again))->moves, 10);
}

static void a_snapshot_beyond_its_stream_is_never_believed_and_is_replaced(void **state)
{
	(void)state;
	REPOSITORY *repository = REPOSITORY_OF(0);
	fill(repository, 1, 5);
	struct tide_snapshot snapshot = { .stream = stream_of("Account", 1),
					  .version = 8,
					  .schema_version = 1 };
	snapshot.state = tide_text("{\"cents\":1000,\"moves\":8,\"notes\":[]}");
	must(tide_store_snapshot_save(store, &snapshot, err));
	AGGREGATE *five = loaded(repository, 1);
	for (int i = 0; i < 5; i++) {
		raise_move(five, 1);
		must(tide_repository_save(repository, five, err));
	}
	AGGREGATE *behind = loaded(repository, 1);
	assert_int_equal(cents_of(behind), 10);
	/* before it got there, and after */
	assert_int_equal(tide_repository_stats(repository).snapshots_rejected, 2);

	snapshot.version = 20;
	must(tide_store_snapshot_save(store, &snapshot, err));
	must(tide_repository_snapshot(repository, behind, err));
	assert_int_equal(snapshot_version(1), 10);
	AGGREGATE *again = loaded(repository, 1);
	assert_int_equal(cents_of(again), 10);
	assert_int_equal(tide_repository_stats(repository).snapshots_loaded, 1);
}

static void a_registry_keeps_unknown_types_out_of_the_store(void **state)
{
	(void)state;
	struct tide_event_types *types;
	must(tide_event_types_open(&types, err));
	must(tide_event_types_add(types, money_moved, err));
	struct tide_store *strict;
	must(tide_store_open("memory:", TIDE_STORE_OPTIONS(.initialize = true, .types = types),
			     &strict, err));
	struct tide_new_event known[] = { event_of("MoneyMoved", 1) },
			      unknown[] = { event_of("Unknown", 1) };
	must(tide_store_append(strict, APPEND(stream_of("Account", 1), TIDE_ANY, known), NULL,
			       err));
	struct tide_error why = refused(
		TIDE_NOT_FOUND,
		tide_store_append(strict, APPEND(stream_of("Account", 1), TIDE_ANY, unknown), NULL,
				  err));
	must_mention(&why, "known: MoneyMoved");
	tide_store_close(strict);
	tide_event_types_close(types);
}

static void every_failed_allocation_of_a_save_or_load_changes_nothing(void **state)
{
	(void)state;
	REPOSITORY *repository = REPOSITORY_OF(.snapshot_every = 1);
	AGGREGATE *aggregate = created(repository, 1);
	raise_move(aggregate, 1);
	tide_status status = TIDE_OUT_OF_MEMORY;
	for (int64_t nth = 1; status != TIDE_OK; nth++) {
		alloc_fail_from(nth);
		status = tide_repository_save(repository, aggregate, NULL);
		alloc_fail_from(0);
		if (status != TIDE_OK)
			assert_int_equal(tide_aggregate_uncommitted_count(aggregate), 1);
	}
	assert_int_equal(version_of(store, stream_of("Account", 1)), 1);
	struct tide_uuid id = uuid_of(1);
	status = TIDE_OUT_OF_MEMORY;
	for (int64_t nth = 1; status != TIDE_OK; nth++) {
		struct tide_aggregate *again = NULL;
		alloc_fail_from(nth);
		status = tide_repository_load(repository, &id, &again, NULL);
		alloc_fail_from(0);
		assert_true((status == TIDE_OK) == (again != NULL));
		assert_true(!again || cents_of(again) == 1);
		tide_aggregate_free(again);
	}
}

static void bad_options_are_refused(void **state)
{
	(void)state;
	struct tide_repository *repository;
	refused(TIDE_ARGUMENT,
		tide_repository_open(TIDE_REPOSITORY(.type = &account_type), &repository, err));
	refused(TIDE_ARGUMENT,
		tide_repository_open(TIDE_REPOSITORY(.store = store), &repository, err));
	refused(TIDE_ARGUMENT,
		tide_repository_open(TIDE_REPOSITORY(.store = store, .type = &account_type,
						     .snapshot_every = -1),
				     &repository, err));
	refused(TIDE_ARGUMENT, tide_repository_open(NULL, &repository, err));
}

#define CASE(name)                                                                                 \
	{                                                                                          \
#name, name, set_up, tear_down, NULL                                               \
	}

int main(void)
{
	int failures = 0;
	for (size_t i = 0; i < test_backend_count; i++) {
		const struct test_backend *backend = &test_backends[i];
		if (backend->start && !backend->start()) {
			print_message("%s cannot be had here\n", backend->name);
			continue;
		}
		struct CMUnitTest tests[] = {
			CASE(what_is_saved_is_loaded),
			CASE(an_event_keeps_its_envelope_over_a_save),
			CASE(an_absent_aggregate_is_not_found_or_made),
			CASE(the_second_of_two_savers_is_in_conflict_and_keeps_its_events),
			CASE(repeating_a_save_whose_outcome_was_unknown_stores_once),
			CASE(saved_events_are_published_with_version_and_position),
			CASE(two_aggregates_are_saved_together_or_not_at_all),
			CASE(an_update_of_two_aggregates_moves_what_is_there),
			CASE(an_update_reloads_and_decides_again_until_its_attempts_are_used_up),
			CASE(an_update_does_not_repeat_a_command_that_says_conflict),
			CASE(sixty_four_threads_on_eight_aggregates_lose_nothing),
			CASE(a_snapshot_is_due_when_a_save_crosses_a_multiple),
			CASE(background_snapshots_are_written_soon_and_before_closing),
			CASE(a_snapshot_on_demand_needs_a_saved_aggregate),
			CASE(an_unusable_snapshot_is_passed_over),
			CASE(a_snapshot_leaves_what_its_table_does_not_name_as_init_made_it),
			CASE(a_snapshot_beyond_its_stream_is_never_believed_and_is_replaced),
			CASE(a_registry_keeps_unknown_types_out_of_the_store),
			CASE(every_failed_allocation_of_a_save_or_load_changes_nothing),
			CASE(bad_options_are_refused),
		};
		for (size_t k = 0; k < sizeof tests / sizeof *tests; k++)
			tests[k].initial_state = (void *)backend;
		failures += _cmocka_run_group_tests(backend->name, tests,
						    sizeof tests / sizeof *tests, NULL, NULL);
		if (backend->stop)
			backend->stop();
	}
	return failures;
}
