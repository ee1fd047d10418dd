/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The domain of examples/bank.c on the same store, without typed events, aggregates and
 * repositories: JSON by hand on jansson. tests/bench/count-lines compares the two. Everything the
 * example's domain checks is checked here.
 */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include <tidemark/tidemark.h>

/* domain begins */

enum currency { EUR, USD };
static const char *const currencies[] = { "EUR", "USD", NULL };

/* ---- Events ---------------------------------------------------------------------------------- */

struct account_opened {
	char owner[64];
	enum currency currency;
};

struct movement {
	int64_t cents;
	char reference[64];
	struct tide_uuid other; /* the other account of a transfer; nil: none */
};

static tide_status text_decode(const json_t *payload, const char *key, char *ret, size_t size,
			       struct tide_error *err)
{
	const json_t *value = json_object_get(payload, key);
	if (!json_is_string(value))
		return tide_fail(err, TIDE_DECODE, "$.%s: is missing or not a string", key);
	if (json_string_length(value) >= size)
		return tide_fail(err, TIDE_DECODE, "$.%s: '%s' is longer than %zu bytes", key,
				 json_string_value(value), size - 1);
	memcpy(ret, json_string_value(value), json_string_length(value) + 1);
	return TIDE_OK;
}

static tide_status currency_decode(const json_t *payload, enum currency *ret,
				   struct tide_error *err)
{
	const char *name = json_string_value(json_object_get(payload, "currency"));
	for (unsigned i = 0; name && currencies[i]; i++)
		if (strcmp(currencies[i], name) == 0) {
			*ret = i;
			return TIDE_OK;
		}
	return tide_fail(err, TIDE_DECODE, "$.currency: '%s' is not one of EUR, USD",
			 name ? name : "null");
}

static tide_status opened_encode(const struct account_opened *opened, char **ret,
				 struct tide_error *err)
{
	json_t *payload = json_pack("{s:s, s:s}", "owner", opened->owner, "currency",
				    currencies[opened->currency]);
	*ret = payload ? json_dumps(payload, JSON_COMPACT) : NULL;
	json_decref(payload);
	return *ret ? TIDE_OK : tide_fail(err, TIDE_OUT_OF_MEMORY, "out of memory");
}

static tide_status opened_decode(const json_t *payload, struct account_opened *ret,
				 struct tide_error *err)
{
	tide_status status = text_decode(payload, "owner", ret->owner, sizeof ret->owner, err);
	return status == TIDE_OK ? currency_decode(payload, &ret->currency, err) : status;
}

static tide_status movement_encode(const struct movement *movement, char **ret,
				   struct tide_error *err)
{
	char other[TIDE_UUID_TEXT_SIZE];
	const char *shown = tide_uuid_is_nil(&movement->other)
				    ? NULL
				    : tide_uuid_format(&movement->other, other);
	json_t *payload = json_pack("{s:I, s:s, s:s*}", "cents", (json_int_t)movement->cents,
				    "reference", movement->reference, "other", shown);
	*ret = payload ? json_dumps(payload, JSON_COMPACT) : NULL;
	json_decref(payload);
	return *ret ? TIDE_OK : tide_fail(err, TIDE_OUT_OF_MEMORY, "out of memory");
}

static tide_status movement_decode(const json_t *payload, struct movement *ret,
				   struct tide_error *err)
{
	const json_t *cents = json_object_get(payload, "cents");
	const json_t *other = json_object_get(payload, "other");
	if (!json_is_integer(cents))
		return tide_fail(err, TIDE_DECODE, "$.cents: is missing or not an integer");
	ret->cents = json_integer_value(cents);
	tide_status status =
		text_decode(payload, "reference", ret->reference, sizeof ret->reference, err);
	if (status != TIDE_OK || !other || json_is_null(other))
		return status;
	if (!json_is_string(other) ||
	    tide_uuid_parse(json_string_value(other), &ret->other, NULL) != TIDE_OK)
		return tide_fail(err, TIDE_DECODE, "$.other: is not a UUID");
	return TIDE_OK;
}

/* ---- The account: what its events make of it ------------------------------------------------- */

#define ACCOUNT_NEW_MAX 4

struct account {
	struct tide_uuid id;
	tide_version version;
	bool is_open;
	enum currency currency;
	int64_t cents;
	struct tide_new_event events[ACCOUNT_NEW_MAX];
	size_t event_count;
};

static tide_status account_apply(struct account *account, const char *type, const json_t *payload,
				 struct tide_error *err)
{
	struct account_opened opened = { 0 };
	struct movement movement = { 0 };
	tide_status status;
	if (strcmp(type, "AccountOpened") == 0) {
		status = opened_decode(payload, &opened, err);
		if (status != TIDE_OK)
			return status;
		account->is_open = true;
		account->currency = opened.currency;
		return TIDE_OK;
	}
	int sign = 0;
	if (strcmp(type, "MoneyDeposited") == 0 || strcmp(type, "TransferReceived") == 0)
		sign = 1;
	else if (strcmp(type, "MoneyWithdrawn") == 0 || strcmp(type, "TransferSent") == 0)
		sign = -1;
	else
		return tide_fail(err, TIDE_UNHANDLED_EVENT, "an account has no use for '%s'", type);
	status = movement_decode(payload, &movement, err);
	if (status == TIDE_OK)
		account->cents += sign * movement.cents;
	return status;
}

static tide_status account_apply_text(struct account *account, const char *type,
				      struct tide_text text, struct tide_error *err)
{
	json_error_t why;
	json_t *payload = json_loadb(text.data, text.size, JSON_DECODE_ANY, &why);
	if (!payload)
		return tide_fail(err, TIDE_DECODE, "payload of '%s' is no JSON: %s", type,
				 why.text);
	tide_status status =
		json_is_object(payload)
			? account_apply(account, type, payload, err)
			: tide_fail(err, TIDE_DECODE, "payload of '%s' is no object", type);
	json_decref(payload);
	return status;
}

static tide_status account_raise(struct account *account, const char *type, char *payload,
				 struct tide_error *err)
{
	struct account copy = *account;
	if (account->event_count == ACCOUNT_NEW_MAX) {
		free(payload);
		return tide_fail(err, TIDE_STATE, "more than %d new events", ACCOUNT_NEW_MAX);
	}
	tide_status status = account_apply_text(&copy, type, tide_text(payload), err);
	if (status != TIDE_OK) {
		free(payload);
		return status;
	}
	copy.version++;
	copy.events[copy.event_count++] = (struct tide_new_event){ .event_type = type,
								   .event_id = tide_uuid_v7(),
								   .payload = tide_text(payload) };
	*account = copy;
	return TIDE_OK;
}

static void account_release(struct account *account)
{
	for (size_t i = 0; i < account->event_count; i++)
		free((char *)account->events[i].payload.data);
	account->event_count = 0;
}

/* ---- Loading and saving ---------------------------------------------------------------------- */

static tide_status account_load(struct tide_store *store, const struct tide_uuid *id,
				struct account *ret, struct tide_error *err)
{
	const struct tide_query query = { .stream = { *id, "Account" }, .of_stream = true };
	struct account account = { .id = *id };
	struct tide_reader *reader;
	const struct tide_event *event;
	tide_status status = tide_store_read(store, &query, &reader, err);
	if (status != TIDE_OK)
		return status;
	while ((status = tide_reader_next(reader, &event, err)) == TIDE_OK && event) {
		if (event->version != account.version + 1) {
			status =
				tide_fail(err, TIDE_VERSION, "version %" PRId32 " follows %" PRId32,
					  event->version, account.version);
			break;
		}
		status = account_apply_text(&account, event->event_type.data, event->payload, err);
		if (status != TIDE_OK)
			break;
		account.version = event->version;
	}
	tide_reader_close(reader);
	if (status == TIDE_OK)
		*ret = account;
	return status;
}

static tide_status accounts_save(struct tide_store *store, struct account *accounts, size_t count,
				 struct tide_error *err)
{
	struct tide_append appends[2];
	size_t changed = 0;
	for (size_t i = 0; i < count; i++) {
		if (accounts[i].event_count == 0)
			continue;
		appends[changed++] = (struct tide_append){
			.stream = { accounts[i].id, "Account" },
			.expected = accounts[i].version - (tide_version)accounts[i].event_count,
			.events = accounts[i].events,
			.count = accounts[i].event_count,
		};
	}
	return changed ? tide_store_append_all(store, appends, changed, NULL, err) : TIDE_OK;
}

typedef tide_status account_command(struct account *accounts, const void *context,
				    struct tide_error *err);

#define ACCOUNT_ATTEMPTS 100

static tide_status accounts_update(struct tide_store *store, const struct tide_uuid *ids,
				   size_t count, account_command *command, const void *context,
				   struct tide_error *err)
{
	tide_status status = TIDE_OK;
	for (int attempt = 0; attempt < ACCOUNT_ATTEMPTS; attempt++) {
		struct account accounts[2] = { 0 };
		bool is_beaten = false;
		status = TIDE_OK;
		for (size_t i = 0; i < count && status == TIDE_OK; i++)
			status = account_load(store, &ids[i], &accounts[i], err);
		if (status == TIDE_OK)
			status = command(accounts, context, err);
		if (status == TIDE_OK) {
			status = accounts_save(store, accounts, count, err);
			is_beaten = status == TIDE_CONFLICT;
		}
		for (size_t i = 0; i < count; i++)
			account_release(&accounts[i]);
		if (!is_beaten)
			return status;
	}
	return status;
}

/* ---- Commands: what may happen to it --------------------------------------------------------- */

static tide_status open_account(struct account *accounts, const void *context,
				struct tide_error *err)
{
	char *payload;
	if (accounts[0].is_open)
		return tide_fail(err, TIDE_ALREADY_EXISTS, "the account is open already");
	tide_status status = opened_encode(context, &payload, err);
	return status == TIDE_OK ? account_raise(&accounts[0], "AccountOpened", payload, err)
				 : status;
}

static tide_status check_movement(const struct account *account, int64_t cents, bool is_loss,
				  struct tide_error *err)
{
	if (!account->is_open)
		return tide_fail(err, TIDE_NOT_FOUND, "there is no such account");
	if (cents <= 0)
		return tide_fail(err, TIDE_ARGUMENT, "an amount must be above 0, not %" PRId64,
				 cents);
	if (is_loss && account->cents < cents)
		return tide_fail(err, TIDE_STATE,
				 "%" PRId64 " cents are asked for, but there are only %" PRId64,
				 cents, account->cents);
	return TIDE_OK;
}

static tide_status raise_movement(struct account *account, const char *type,
				  const struct movement *movement, struct tide_error *err)
{
	char *payload;
	tide_status status = movement_encode(movement, &payload, err);
	return status == TIDE_OK ? account_raise(account, type, payload, err) : status;
}

static tide_status deposit(struct account *accounts, const void *context, struct tide_error *err)
{
	const struct movement *movement = context;
	tide_status status = check_movement(&accounts[0], movement->cents, false, err);
	return status == TIDE_OK ? raise_movement(&accounts[0], "MoneyDeposited", movement, err)
				 : status;
}

static tide_status withdraw(struct account *accounts, const void *context, struct tide_error *err)
{
	const struct movement *movement = context;
	tide_status status = check_movement(&accounts[0], movement->cents, true, err);
	return status == TIDE_OK ? raise_movement(&accounts[0], "MoneyWithdrawn", movement, err)
				 : status;
}

static tide_status transfer(struct account *accounts, const void *context, struct tide_error *err)
{
	struct movement movement = *(const struct movement *)context;
	tide_status status = check_movement(&accounts[0], movement.cents, true, err);
	if (status == TIDE_OK)
		status = check_movement(&accounts[1], movement.cents, false, err);
	if (status == TIDE_OK && accounts[0].currency != accounts[1].currency)
		status = tide_fail(err, TIDE_STATE, "%s cannot go into an account in %s",
				   currencies[accounts[0].currency],
				   currencies[accounts[1].currency]);
	movement.other = accounts[1].id;
	if (status == TIDE_OK)
		status = raise_movement(&accounts[0], "TransferSent", &movement, err);
	movement.other = accounts[0].id;
	if (status == TIDE_OK)
		status = raise_movement(&accounts[1], "TransferReceived", &movement, err);
	return status;
}

/* domain ends */

static struct tide_error err;

static void must(tide_status status)
{
	if (status == TIDE_OK)
		return;
	fprintf(stderr, "bank_jansson: %s\n", err.message);
	exit(1);
}

static struct tide_uuid open_for(struct tide_store *store, struct account_opened opened,
				 int64_t cents)
{
	struct tide_uuid id = tide_uuid_v7();
	struct movement first = { .cents = cents, .reference = "first deposit" };
	must(accounts_update(store, &id, 1, open_account, &opened, &err));
	must(accounts_update(store, &id, 1, deposit, &first, &err));
	return id;
}

/* That it works: the first three chapters of the example's story. */
int main(void)
{
	struct tide_store *store;
	struct account account;
	must(tide_store_open("memory:", TIDE_STORE_OPTIONS(.initialize = true), &store, &err));
	struct tide_uuid ids[2] = { open_for(store, (struct account_opened){ "Ann", EUR }, 50000),
				    open_for(store, (struct account_opened){ "Bob", EUR }, 20000) };
	struct movement rent = { .cents = 12000, .reference = "rent" },
			cash = { .cents = 2000, .reference = "cash" };
	struct movement yacht = { .cents = 90000000, .reference = "yacht" };
	must(accounts_update(store, ids, 2, transfer, &rent, &err));
	must(accounts_update(store, &ids[1], 1, withdraw, &cash, &err));
	if (accounts_update(store, ids, 2, transfer, &yacht, &err) != TIDE_STATE)
		return 1;
	must(account_load(store, &ids[0], &account, &err));
	bool is_good = account.cents == 38000;
	must(account_load(store, &ids[1], &account, &err));
	is_good = is_good && account.cents == 30000;
	tide_store_close(store);
	return is_good ? 0 : 1;
}
