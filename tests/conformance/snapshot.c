/* SPDX-License-Identifier: Apache-2.0 */
#include <tidemark/snapshot.h>

#include "conformance/cases.h"

static struct tide_snapshot snapshot_of(tide_version version, int32_t schema_version,
					const char *state)
{
	return (struct tide_snapshot){ .stream = stream_of("Order", 1),
				       .version = version,
				       .schema_version = schema_version,
				       .state = tide_text(state) };
}

static void save(struct fixture *f, struct tide_snapshot snapshot)
{
	must(tide_store_snapshot_save(f->store, &snapshot, err));
}

static void holds(struct fixture *f, tide_version version, int32_t schema_version,
		  const char *state)
{
	struct tide_snapshot found;
	must(tide_store_snapshot_load(f->store, stream_of("Order", 1), &found, err));
	assert_int_equal(found.version, version);
	assert_int_equal(found.schema_version, schema_version);
	same_json(found.state, state);
	tide_free((char *)found.state.data);
}

static void absent_snapshot_is_not_found(struct fixture *f)
{
	struct tide_snapshot found;
	refused(TIDE_NOT_FOUND,
		tide_store_snapshot_load(f->store, stream_of("Order", 1), &found, err));
	save(f, snapshot_of(1, 1, "{}"));
	refused(TIDE_NOT_FOUND,
		tide_store_snapshot_load(f->store, stream_of("Order", 2), &found, err));
	refused(TIDE_NOT_FOUND,
		tide_store_snapshot_load(f->store, stream_of("Invoice", 1), &found, err));
}

static void saved_snapshot_is_loaded(struct fixture *f)
{
	save(f, snapshot_of(7, 2, "{\"total\":12.5,\"items\":[\"é\",null]}"));
	holds(f, 7, 2, "{\"total\":12.5,\"items\":[\"é\",null]}");
}

static void later_snapshot_takes_the_place_of_the_earlier(struct fixture *f)
{
	save(f, snapshot_of(5, 1, "{\"v\":5}"));
	save(f, snapshot_of(10, 1, "{\"v\":10}"));
	holds(f, 10, 1, "{\"v\":10}");
	save(f, snapshot_of(10, 1, "{\"v\":11}"));
	holds(f, 10, 1, "{\"v\":11}");
}

static void snapshot_of_a_lower_version_replaces_none_of_the_same_schema(struct fixture *f)
{
	append_many(f->store, stream_of("Order", 1), 0, 10);
	save(f, snapshot_of(10, 1, "{\"v\":10}"));
	save(f, snapshot_of(5, 1, "{\"v\":5}"));
	holds(f, 10, 1, "{\"v\":10}");
	save(f, snapshot_of(5, 2, "{\"v\":5}"));
	holds(f, 5, 2, "{\"v\":5}");
}

static void snapshot_whose_last_event_is_not_in_its_stream_is_replaced(struct fixture *f)
{
	append_many(f->store, stream_of("Order", 1), 0, 7);
	save(f, snapshot_of(10, 1, "{\"v\":10}"));
	struct tide_snapshot found;
	must(tide_store_snapshot_load(f->store, stream_of("Order", 1), &found, err));
	assert_true(found.has_last_event && tide_uuid_is_nil(&found.last_event_id));
	tide_free((char *)found.state.data);
	append_many(f->store, stream_of("Order", 1), 7, 5);
	save(f, snapshot_of(8, 1, "{\"v\":8}"));
	holds(f, 8, 1, "{\"v\":8}");
	must(tide_store_snapshot_load(f->store, stream_of("Order", 1), &found, err));
	assert_true(found.has_last_event && !tide_uuid_is_nil(&found.last_event_id));
	tide_free((char *)found.state.data);
}

static void every_aggregate_has_a_snapshot_of_its_own(struct fixture *f)
{
	for (unsigned i = 0; i < 50; i++) {
		struct tide_snapshot snapshot = snapshot_of((tide_version)i + 1, 1, "{}");
		snapshot.stream = stream_of(i % 2 ? "Order" : "Invoice", i / 2);
		save(f, snapshot);
	}
	for (unsigned i = 0; i < 50; i++) {
		struct tide_snapshot found;
		must(tide_store_snapshot_load(
			f->store, stream_of(i % 2 ? "Order" : "Invoice", i / 2), &found, err));
		assert_int_equal(found.version, i + 1);
		tide_free((char *)found.state.data);
	}
}

static void snapshot_is_there_after_opening_again_if_durable(struct fixture *f)
{
	save(f, snapshot_of(7, 2, "{}"));
	fixture_reopen(f);
	struct tide_snapshot found;
	if (f->quirks->is_durable)
		holds(f, 7, 2, "{}");
	else
		refused(TIDE_NOT_FOUND,
			tide_store_snapshot_load(f->store, stream_of("Order", 1), &found, err));
}

const struct test_case snapshot_cases[] = {
	CASE(absent_snapshot_is_not_found),
	CASE(saved_snapshot_is_loaded),
	CASE(later_snapshot_takes_the_place_of_the_earlier),
	CASE(snapshot_of_a_lower_version_replaces_none_of_the_same_schema),
	CASE(snapshot_whose_last_event_is_not_in_its_stream_is_replaced),
	CASE(every_aggregate_has_a_snapshot_of_its_own),
	CASE(snapshot_is_there_after_opening_again_if_durable),
	CASES_END,
};
