// SPDX-License-Identifier: Apache-2.0
//
// Orders in C++17: handles that close themselves, failures as exceptions, lambdas as handlers.
//
//	cpp_orders                     in memory
//	cpp_orders sqlite:orders.db    in a new SQLite file
//
// Tidemark's interface is C. The hundred lines of namespace `tide` are all it takes to make it feel
// at home here; take them along.
#include <cstdint>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

#include <tidemark/tidemark.h>

namespace tide
{

// A failed call, with what it said.
class failure : public std::runtime_error
{
      public:
	explicit failure(const tide_error &error)
	    : std::runtime_error(error.message), status(error.status)
	{
	}
	tide_status status;
};

// Call a function of Tidemark with its arguments and an error, and throw when it fails.
template <typename Function, typename... Arguments>
void call(Function function, Arguments... arguments)
{
	tide_error error{};
	if (function(arguments..., &error) != TIDE_OK)
		throw failure(error);
}

template <auto close> struct closer {
	template <typename Handle> void operator()(Handle *handle) const
	{
		close(handle);
	}
};
using store = std::unique_ptr<tide_store, closer<tide_store_close>>;
using bus = std::unique_ptr<tide_bus, closer<tide_bus_close>>;
using repository = std::unique_ptr<tide_repository, closer<tide_repository_close>>;
using manager = std::unique_ptr<tide_manager, closer<tide_manager_close>>;
using aggregate = std::unique_ptr<tide_aggregate, closer<tide_aggregate_free>>;

// Call a function that gives a handle out last, and keep what it gives.
template <typename Handle, typename Function, typename... Arguments>
Handle open(Function function, Arguments... arguments)
{
	typename Handle::pointer handle{};
	call(function, arguments..., &handle);
	return Handle(handle);
}

// A subscriber made of lambdas, one for each event type.
class projection
{
      public:
	template <typename Payload, typename Handler>
	projection &on(const tide_event_type &type, Handler handler)
	{
		handlers_[type.name] = [&type, handler](const tide_event &event) {
			Payload payload{};
			call(tide_event_decode, &type, &event, &payload);
			std::unique_ptr<Payload, std::function<void(Payload *)>> release(
				&payload, [&type](Payload *decoded) {
					tide_event_type_fini(&type, decoded);
				});
			handler(std::as_const(payload));
		};
		return *this;
	}

	tide_subscriber subscriber(const char *name)
	{
		tide_subscriber subscriber{};
		subscriber.name = name;
		subscriber.self = this;
		subscriber.handle = handle;
		return subscriber;
	}

      private:
	// No exception may cross into C: it becomes the failure of this delivery.
	static tide_status handle(void *self, const tide_event *event, tide_delivery *delivery)
	{
		const auto &handlers = static_cast<projection *>(self)->handlers_;
		const auto found =
			handlers.find(std::string(event->event_type.data, event->event_type.size));
		try {
			if (found != handlers.end())
				found->second(*event);
			return TIDE_OK;
		} catch (const failure &failed) {
			return tide_delivery_fail(delivery, failed.status, "%s", failed.what());
		} catch (const std::exception &failed) {
			return tide_delivery_fail(delivery, TIDE_HANDLER_PERMANENT, "%s",
						  failed.what());
		}
	}

	std::map<std::string, std::function<void(const tide_event &)>> handlers_;
};

} // namespace tide

// ---- The domain: an order is placed, and perhaps cancelled --------------------------------------

struct order_placed {
	char customer[32];
	std::int64_t total_cents;
};
const tide_field order_placed_fields[] = {
	TIDE_FIELD_CHARS(order_placed, customer),
	TIDE_FIELD_INT64(order_placed, total_cents),
	TIDE_FIELD_END,
};
TIDE_EVENT_TYPE(order_placed_type, "OrderPlaced", 1, order_placed, order_placed_fields);

struct order_cancelled {
	std::int64_t refund_cents;
};
const tide_field order_cancelled_fields[] = {
	TIDE_FIELD_INT64(order_cancelled, refund_cents),
	TIDE_FIELD_END,
};
TIDE_EVENT_TYPE(order_cancelled_type, "OrderCancelled", 1, order_cancelled, order_cancelled_fields);

struct order {
	std::int64_t total_cents;
	bool is_cancelled;
};

const tide_applier order_appliers[] = {
	{ &order_placed_type,
	  [](void *state, const void *payload, const tide_event *, tide_error *) {
		  static_cast<order *>(state)->total_cents =
			  static_cast<const order_placed *>(payload)->total_cents;
		  return TIDE_OK;
	  } },
	{ &order_cancelled_type,
	  [](void *state, const void *, const tide_event *, tide_error *) {
		  static_cast<order *>(state)->is_cancelled = true;
		  return TIDE_OK;
	  } },
	TIDE_APPLIER_END,
};

tide_aggregate_type order_type()
{
	tide_aggregate_type type{};
	type.name = "Order";
	type.state_size = sizeof(order);
	type.appliers = order_appliers;
	return type;
}

// ---- The story ----------------------------------------------------------------------------------

tide_uuid place(tide_repository *orders, const order_placed &placed)
{
	const tide_uuid *any_id = nullptr;
	auto aggregate = tide::open<tide::aggregate>(tide_repository_create, orders, any_id);
	tide::call(tide_aggregate_raise, aggregate.get(), &order_placed_type, &placed);
	tide::call(tide_repository_save, orders, aggregate.get());
	return *tide_aggregate_id(aggregate.get());
}

void cancel(tide_repository *orders, const tide_uuid &id)
{
	auto aggregate = tide::open<tide::aggregate>(tide_repository_load, orders, &id);
	const auto &state = *static_cast<const order *>(tide_aggregate_state(aggregate.get()));
	if (state.is_cancelled)
		throw std::logic_error("the order is cancelled already");
	const order_cancelled cancelled{ state.total_cents };
	tide::call(tide_aggregate_raise, aggregate.get(), &order_cancelled_type, &cancelled);
	tide::call(tide_repository_save, orders, aggregate.get());
}

void tell(const char *url)
{
	static const tide_aggregate_type type = order_type();
	auto store_options = TIDE_STORE_OPTIONS();
	store_options.initialize = true;
	auto store = tide::open<tide::store>(tide_store_open, url, &store_options);
	auto bus = tide::open<tide::bus>(tide_bus_open);
	auto repository_options = tide_repository_options_default(store.get(), &type);
	repository_options.bus = bus.get();
	auto orders = tide::open<tide::repository>(tide_repository_open, &repository_options);

	std::map<std::string, std::int64_t> spent;
	std::int64_t refunded = 0;
	tide::projection projection;
	projection
		.on<order_placed>(order_placed_type,
				  [&](const order_placed &placed) {
					  spent[placed.customer] += placed.total_cents;
				  })
		.on<order_cancelled>(order_cancelled_type, [&](const order_cancelled &cancelled) {
			refunded += cancelled.refund_cents;
		});

	const tide_uuid first = place(orders.get(), { "Ann", 10000 });
	place(orders.get(), { "Bob", 20000 });

	auto manager_options = tide_manager_options_default(store.get());
	manager_options.bus = bus.get();
	auto manager = tide::open<tide::manager>(tide_manager_open, &manager_options);
	const auto subscriber = projection.subscriber("CustomerTotals");
	const tide_subscription_config *defaults = nullptr;
	tide_subscription *subscription;
	tide::call(tide_manager_subscribe, manager.get(), &subscriber, defaults, &subscription);
	tide::call(tide_manager_start, manager.get(), nullptr, 10.0, nullptr, nullptr);

	place(orders.get(), { "Ann", 5000 });
	cancel(orders.get(), first);
	try {
		cancel(orders.get(), first);
	} catch (const std::logic_error &refused) {
		std::cout << "Refused: " << refused.what() << '\n';
	}

	tide_position end;
	tide::call(tide_store_end, store.get(), &end);
	tide::call(tide_subscription_wait, subscription, end, 10.0);
	for (const auto &[customer, cents] : spent)
		std::cout << customer << " spent " << cents / 100 << '\n';
	std::cout << "Refunded: " << refunded / 100 << '\n';
}

int main(int argc, char **argv)
{
	try {
		tell(argc > 1 ? argv[1] : "memory:");
		return 0;
	} catch (const std::exception &failed) {
		std::cerr << "cpp_orders: " << failed.what() << '\n';
		return 1;
	}
}
