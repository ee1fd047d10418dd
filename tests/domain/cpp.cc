// SPDX-License-Identifier: Apache-2.0
// Every public header in one C++17 program, and something of each in use.
#include <tidemark/aggregate.h>
#include <tidemark/backend.h>
#include <tidemark/bus.h>
#include <tidemark/checkpoint.h>
#include <tidemark/command_projection.h>
#include <tidemark/deadletter.h>
#include <tidemark/error.h>
#include <tidemark/error_record.h>
#include <tidemark/event.h>
#include <tidemark/event_type.h>
#include <tidemark/health.h>
#include <tidemark/log.h>
#include <tidemark/manager.h>
#include <tidemark/repository.h>
#include <tidemark/scenario.h>
#include <tidemark/snapshot.h>
#include <tidemark/sql_projection.h>
#include <tidemark/store.h>
#include <tidemark/subscription.h>
#include <tidemark/tidemark.h>
#include <tidemark/time.h>
#include <tidemark/uuid.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <string>

namespace
{

#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			std::fprintf(stderr, "%s:%d: %s (%s)\n", __FILE__, __LINE__, #condition,   \
				     err.message);                                                 \
			std::exit(1);                                                              \
		}                                                                                  \
	} while (0)
#define MUST(call) CHECK((call) == TIDE_OK)

tide_error err{};

// ---- A table with every macro that C++ must be able to read -------------------------------------

enum class size_of_cup : std::int32_t { small, large };
const char *const cup_names[] = { "small", "large", nullptr };

struct topping {
	char name[16];
	double grams;
};
const tide_field topping_fields[] = {
	TIDE_FIELD_CHARS(topping, name),
	TIDE_FIELD_DOUBLE(topping, grams),
	TIDE_FIELD_END,
};

struct coffee_served {
	tide_uuid guest;
	char *barista;
	std::int64_t cents;
	std::uint32_t table;
	bool decaf;
	size_of_cup cup;
	tide_time at;
	char tip[16];
	topping sugar;
	topping *milk;
	std::int32_t stars;
	bool has_stars;
	topping *toppings;
	std::size_t topping_count;
	char **words;
	std::size_t word_count;
	char *receipt;
};
const tide_field coffee_fields[] = {
	TIDE_FIELD_UUID(coffee_served, guest),
	TIDE_FIELD_TEXT(coffee_served, barista, "served_by"),
	TIDE_FIELD_INT64(coffee_served, cents),
	TIDE_FIELD_UINT32(coffee_served, table),
	TIDE_FIELD_BOOL(coffee_served, decaf),
	TIDE_FIELD_ENUM(coffee_served, cup, cup_names),
	TIDE_FIELD_TIME(coffee_served, at),
	TIDE_FIELD_DECIMAL_CHARS(coffee_served, tip),
	TIDE_FIELD_STRUCT(coffee_served, sugar, topping_fields),
	TIDE_FIELD_OPTIONAL_STRUCT(coffee_served, milk, topping_fields),
	TIDE_FIELD_OPTIONAL(INT32, coffee_served, stars, has_stars),
	TIDE_FIELD_ARRAY_STRUCT(coffee_served, toppings, topping_count, topping_fields),
	TIDE_FIELD_ARRAY(TEXT, coffee_served, words, word_count),
	TIDE_FIELD_OPTIONAL_JSON(coffee_served, receipt),
	TIDE_FIELD_END,
};
const tide_upcast_change coffee_from_1[] = { TIDE_UPCAST_RENAME("price", "cents"),
					     TIDE_UPCAST_END };
const tide_upcaster coffee_upcasters[] = { { 1, coffee_from_1, nullptr }, TIDE_UPCASTER_END };
TIDE_EVENT_TYPE_WITH(coffee_type, "CoffeeServed", 2, coffee_served, coffee_fields, coffee_upcasters,
		     TIDE_REFUSE_UNKNOWN, nullptr);

struct bar {
	std::int64_t cents;
};
const tide_field bar_fields[] = { TIDE_FIELD_INT64(bar, cents), TIDE_FIELD_END };
const tide_applier bar_appliers[] = {
	{ &coffee_type,
	  [](void *state, const void *payload, const tide_event *, tide_error *) {
		  static_cast<bar *>(state)->cents +=
			  static_cast<const coffee_served *>(payload)->cents;
		  return TIDE_OK;
	  } },
	TIDE_APPLIER_END,
};

tide_aggregate_type bar_type()
{
	tide_aggregate_type type{};
	type.name = "Bar";
	type.state_size = sizeof(bar);
	type.appliers = bar_appliers;
	type.state_fields = bar_fields;
	return type;
}
const tide_aggregate_type bar_aggregate = bar_type();

coffee_served coffee()
{
	static char barista[] = "Ada", word[] = "thanks", *words[] = { word };
	static topping toppings[] = { { "cream", 5.5 } };
	coffee_served served{};
	served.guest = tide_uuid_v4();
	served.barista = barista;
	served.cents = 250;
	served.cup = size_of_cup::large;
	served.at = tide_time_now();
	std::snprintf(served.tip, sizeof served.tip, "0.50");
	served.toppings = toppings;
	served.topping_count = 1;
	served.words = words;
	served.word_count = 1;
	return served;
}

tide_status serve(tide_aggregate *aggregate, void *context, tide_error *error)
{
	return tide_aggregate_raise(aggregate, &coffee_type, context, error);
}

// ---- The nouns ----------------------------------------------------------------------------------

void typed_events()
{
	coffee_served served = coffee(), read{};
	char *json = nullptr, *schema = nullptr;
	tide_event_types *types = nullptr;
	MUST(tide_event_encode(&coffee_type, &served, &json, &err));
	MUST(tide_payload_decode(&coffee_type, 2, tide_text(json), &read, &err));
	CHECK(std::string(read.words[0]) == "thanks" && read.cup == size_of_cup::large &&
	      !read.milk);
	tide_event_type_fini(&coffee_type, &read);
	MUST(tide_event_type_schema(&coffee_type, &schema, &err));
	MUST(tide_event_types_open(&types, &err));
	MUST(tide_event_types_add(types, &coffee_type, &err));
	CHECK(tide_event_types_has(types, "CoffeeServed"));
	tide_event_types_close(types);
	tide_free(json);
	tide_free(schema);
}

void scenario()
{
	coffee_served served = coffee();
	tide_scenario *scenario = tide_scenario_new(&bar_aggregate);
	tide_scenario_when(scenario, serve, &served);
	tide_scenario_then(scenario, &coffee_type, &served);
	MUST(tide_scenario_end(scenario, &err));
}

void bus()
{
	tide_bus *bus = nullptr;
	int calls = 0;
	tide_event event{};
	const tide_event *events[] = { &event };
	event.event_type = tide_text("CoffeeServed");
	MUST(tide_bus_open(&bus, &err));
	MUST(tide_bus_subscribe(
		bus, "CoffeeServed",
		[](void *self, const tide_event *) {
			++*static_cast<int *>(self);
			return TIDE_OK;
		},
		&calls, &err));
	MUST(tide_bus_publish(bus, events, 1, &err));
	CHECK(calls == 1 && tide_bus_stats(bus).handlers_invoked == 1);
	tide_bus_close(bus);
}

tide_status count_event(void *self, const tide_event *, tide_delivery *)
{
	++*static_cast<std::atomic_int *>(self);
	return TIDE_OK;
}

tide_status add_coffee(void *self, const void *payload, const tide_event *event,
		       tide_delivery *delivery)
{
	if (tide_delivery_position(delivery) != event->position)
		return TIDE_HANDLER_PERMANENT;
	*static_cast<std::atomic_int *>(self) +=
		static_cast<int>(static_cast<const coffee_served *>(payload)->cents);
	return TIDE_OK;
}

const tide_event_handler coffee_handlers[] = { { &coffee_type, add_coffee },
					       TIDE_EVENT_HANDLER_END };

void check_subscription(tide_store *store, tide_manager *manager)
{
	std::atomic_int seen{ 0 }, cents{ 0 };
	tide_subscriber subscriber{}, till{};
	tide_subscription *subscription = nullptr;
	tide_subscription_config config = tide_catch_up_config(10, true);
	tide_position end = 0;
	subscriber.name = "Counter";
	subscriber.self = &seen;
	subscriber.handle = count_event;
	MUST(tide_manager_subscribe(manager, &subscriber, &config, &subscription, &err));
	till.name = "Till";
	till.self = &cents;
	till.handlers = coffee_handlers;
	MUST(tide_manager_subscribe(manager, &till, &config, nullptr, &err));
	MUST(tide_manager_run(manager, 10, &err));
	MUST(tide_store_end(store, &end, &err));
	MUST(tide_subscription_wait(subscription, end, 10, &err));
	CHECK(seen == 2);
	CHECK(cents == 500);
	MUST(tide_manager_stop(manager, nullptr, 0, &err));

	tide_checkpoints *checkpoints = nullptr;
	tide_position position = 0;
	MUST(tide_checkpoints_open(nullptr, nullptr, store, &checkpoints, &err));
	MUST(tide_checkpoints_position(checkpoints, "Counter", &position, &err));
	CHECK(position == end);
	tide_checkpoints_close(checkpoints);
}

void store_and_manager()
{
	auto options = TIDE_STORE_OPTIONS();
	options.initialize = true;
	tide_store *store = nullptr;
	tide_repository *repository = nullptr;
	tide_manager *manager = nullptr;
	tide_snapshot snapshot{};
	coffee_served served = coffee();
	const tide_uuid id = tide_uuid_v5(nullptr, "the bar");
	MUST(tide_store_open("memory:", &options, &store, &err));
	auto settings = tide_repository_options_default(store, &bar_aggregate);
	settings.snapshot_every = 2;
	MUST(tide_repository_open(&settings, &repository, &err));
	MUST(tide_repository_update(repository, &id, serve, &served, &err));
	MUST(tide_repository_update(repository, &id, serve, &served, &err));
	MUST(tide_store_snapshot_load(store, { id, "Bar" }, &snapshot, &err));
	CHECK(snapshot.version == 2 && std::string(snapshot.state.data) == "{\"cents\":500}");
	tide_free(const_cast<char *>(snapshot.state.data));
	tide_repository_close(repository);

	auto manager_options = tide_manager_options_default(store);
	MUST(tide_manager_open(&manager_options, &manager, &err));
	check_subscription(store, manager);
	tide_manager_close(manager);
	tide_store_close(store);
}

} // namespace

int main()
{
	typed_events();
	scenario();
	bus();
	store_and_manager();
	CHECK(std::string(tide_log_level_name(TIDE_LOG_WARNING)) == "warning");
	return 0;
}
