/* SPDX-License-Identifier: Apache-2.0 */
/* Subscribers with a table of handlers: each event decoded, at the function of its type; what does
 * not decode. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "conformance/recorder.h"

struct placed {
	char *customer;
	int64_t cents;
};
static const struct tide_field placed_fields[] = {
	TIDE_FIELD_TEXT(struct placed, customer),
	TIDE_FIELD_INT64(struct placed, cents),
	TIDE_FIELD_END,
};
static const struct tide_upcast_change placed_from_1[] = { TIDE_UPCAST_RENAME("amount", "cents"),
							   TIDE_UPCAST_END };
static const struct tide_upcaster placed_upcasters[] = { { 1, placed_from_1, NULL },
							 TIDE_UPCASTER_END };
TIDE_EVENT_TYPE_WITH(placed, "Placed", 2, struct placed, placed_fields, placed_upcasters, 0, NULL);

struct cancelled {
	char reason[300];
};
static const struct tide_field cancelled_fields[] = { TIDE_FIELD_CHARS(struct cancelled, reason),
						      TIDE_FIELD_END };
TIDE_EVENT_TYPE(cancelled, "Cancelled", 1, struct cancelled, cancelled_fields);

/** What the handlers were given, one word an event. */
struct story {
	char told[1000];
};

static void story_tell(struct story *story, const char *format, ...) TIDE_PRINTF(2, 3);
static void story_tell(struct story *story, const char *format, ...)
{
	va_list arguments;
	size_t size = strlen(story->told);
	va_start(arguments, format);
	vsnprintf(story->told + size, sizeof story->told - size, format, arguments);
	va_end(arguments);
}

static tide_status tell_placed(void *self, const void *payload, const struct tide_event *event,
			       struct tide_delivery *delivery)
{
	const struct placed *order = payload;
	assert_int_equal(event->position, tide_delivery_position(delivery));
	story_tell(self, "%d:%s=%d ", (int)event->position, order->customer, (int)order->cents);
	return order->cents < 0 ? tide_delivery_fail(delivery, TIDE_HANDLER_PERMANENT, "below zero")
				: TIDE_OK;
}

static tide_status tell_cancelled(void *self, const void *payload, const struct tide_event *event,
				  struct tide_delivery *delivery)
{
	(void)delivery;
	story_tell(self, "%d:%s ", (int)event->position,
		   ((const struct cancelled *)payload)->reason);
	return TIDE_OK;
}

static void put(struct fixture *f, const char *event_type, int32_t event_version,
		const char *payload)
{
	struct tide_new_event event = { .event_type = event_type,
					.event_version = event_version,
					.payload = tide_text(payload) };
	must(tide_store_append(f->store,
			       &(struct tide_append){ stream_of("Order", 1), TIDE_ANY, &event, 1 },
			       NULL, err));
}

/* Run the table of both types over what is stored; the manager is the caller's. */
static struct tide_subscription *tell(struct fixture *f, struct tide_manager *manager,
				      struct story *story,
				      const struct tide_subscription_config *config)
{
	struct tide_event_handler handlers[] = { { &placed, tell_placed },
						 { &cancelled, tell_cancelled },
						 TIDE_EVENT_HANDLER_END };
	struct tide_subscriber subscriber = { .name = "p", .self = story, .handlers = handlers };
	struct tide_subscription *subscription = subscribe(manager, &subscriber, config);
	memset(handlers, 0, sizeof handlers); /* the table was copied */
	start(manager);
	catch_up(f->store, subscription);
	return subscription;
}

static void each_event_comes_decoded_to_the_handler_of_its_type(struct fixture *f)
{
	put(f, "Placed", 2, "{\"customer\": \"Ann\", \"cents\": 250}");
	put(f, "Packed", 1, "{}");
	put(f, "Cancelled", 1, "{\"reason\": \"late\"}");
	put(f, "Placed", 1, "{\"customer\": \"Bob\", \"amount\": 75}");
	MANAGER *manager = manager_of(f->store);
	struct story story = { 0 };
	struct tide_subscription_config config = quick_config();
	struct tide_subscription *subscription = tell(f, manager, &story, &config);
	assert_string_equal(story.told, "1:Ann=250 3:late 4:Bob=75 ");
	put(f, "Placed", 2, "{\"customer\": \"Cid\", \"cents\": 1}");
	catch_up(f->store, subscription);
	assert_string_equal(story.told, "1:Ann=250 3:late 4:Bob=75 5:Cid=1 ");
	assert_int_equal(status_of(subscription).events_skipped, 1);
}

static void letter_says(const struct tide_dead_letter_list *letters, size_t index, const char *what)
{
	if (!strstr(letters->entries[index].error_message, what))
		fail_msg("'%s' does not say '%s'", letters->entries[index].error_message, what);
	assert_int_equal(letters->entries[index].retry_count, 0);
}

static void payload_that_does_not_decode_is_a_permanent_failure_named_decode(struct fixture *f)
{
	put(f, "Placed", 2, "{\"customer\": \"Ann\", \"cents\": \"many\"}");
	put(f, "Placed", 3, "{\"customer\": \"Ann\", \"cents\": 2}");
	put(f, "Placed", 2, "{\"customer\": \"Ann\", \"cents\": -1}");
	put(f, "Placed", 2, "{\"customer\": \"Ann\", \"cents\": 3}");
	MANAGER *manager = manager_of(f->store);
	struct story story = { 0 };
	struct tide_subscription_config config = quick_config();
	config.circuit_breaker_enabled = false;
	struct tide_subscription *subscription = tell(f, manager, &story, &config);
	assert_string_equal(story.told, "3:Ann=-1 4:Ann=3 ");
	struct tide_dead_letter_list letters = letters_of(f, "p");
	assert_int_equal(letters.count, 3);
	letter_says(&letters, 2, "$.cents");
	letter_says(&letters, 1, "'Placed' is known up to version 2, not 3");
	letter_says(&letters, 0, "below zero");
	tide_dead_letters_free(&letters);
	struct tide_recent_error *errors;
	size_t count;
	must(tide_subscription_recent_errors(subscription, &errors, &count, err));
	assert_int_equal(count, 3);
	assert_int_equal(errors[2].error_type, TIDE_DECODE);
	assert_int_equal(errors[1].error_type, TIDE_DECODE);
	assert_int_equal(errors[0].error_type, TIDE_HANDLER_PERMANENT);
	tide_free(errors);
}

static void event_that_the_table_lacks_is_told_when_the_configuration_asks_for_it(struct fixture *f)
{
	put(f, "Packed", 1, "{}");
	put(f, "Cancelled", 1, "{\"reason\": \"late\"}");
	MANAGER *manager = manager_of(f->store);
	struct story story = { 0 };
	struct tide_subscription_config config = quick_config();
	config.event_types = (const char *const[]){ NULL };
	tell(f, manager, &story, &config);
	assert_string_equal(story.told, "2:late ");
	struct tide_dead_letter_list letters = letters_of(f, "p");
	assert_int_equal(letters.count, 1);
	letter_says(&letters, 0, "no handler for 'Packed'");
	tide_dead_letters_free(&letters);
}

const struct test_case typed_cases[] = {
	CASE(each_event_comes_decoded_to_the_handler_of_its_type),
	CASE(payload_that_does_not_decode_is_a_permanent_failure_named_decode),
	CASE(event_that_the_table_lacks_is_told_when_the_configuration_asks_for_it),
	CASES_END,
};
