/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bank: transfers between two accounts, whole or not at all.
 *
 *	bank                   in memory
 *	bank sqlite:bank.db    in a new SQLite file
 *
 * An account is an aggregate. A transfer changes two of them: their events are stored in one
 * transaction, each with the version that was read; who comes second reads again and decides again.
 * However many clerks transfer at once, no cent is lost, made, or spent twice.
 */
#include <inttypes.h>
#include <pthread.h>
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
static const struct tide_field account_opened_fields[] = {
	TIDE_FIELD_CHARS(struct account_opened, owner),
	TIDE_FIELD_ENUM(struct account_opened, currency, currencies),
	TIDE_FIELD_END,
};
TIDE_EVENT_TYPE(account_opened, "AccountOpened", 1, struct account_opened, account_opened_fields);

/* Deposits, withdrawals and both sides of a transfer are movements of money. */
struct movement {
	int64_t cents;
	char reference[64];
	struct tide_uuid other; /* the other account of a transfer; nil: none */
};
static const struct tide_field movement_fields[] = {
	TIDE_FIELD_INT64(struct movement, cents),
	TIDE_FIELD_CHARS(struct movement, reference),
	TIDE_FIELD_OPTIONAL_UUID(struct movement, other),
	TIDE_FIELD_END,
};
TIDE_EVENT_TYPE(deposited, "MoneyDeposited", 1, struct movement, movement_fields);
TIDE_EVENT_TYPE(withdrawn, "MoneyWithdrawn", 1, struct movement, movement_fields);
TIDE_EVENT_TYPE(sent, "TransferSent", 1, struct movement, movement_fields);
TIDE_EVENT_TYPE(received, "TransferReceived", 1, struct movement, movement_fields);

/* ---- The account: what its events make of it ------------------------------------------------- */

struct account {
	bool is_open;
	enum currency currency;
	int64_t cents;
};

static tide_status account_open(void *state, const void *payload, const struct tide_event *event,
				struct tide_error *err)
{
	struct account *account = state;
	(void)event, (void)err;
	account->is_open = true;
	account->currency = ((const struct account_opened *)payload)->currency;
	return TIDE_OK;
}

static tide_status account_gain(void *state, const void *payload, const struct tide_event *event,
				struct tide_error *err)
{
	(void)event, (void)err;
	((struct account *)state)->cents += ((const struct movement *)payload)->cents;
	return TIDE_OK;
}

static tide_status account_lose(void *state, const void *payload, const struct tide_event *event,
				struct tide_error *err)
{
	(void)event, (void)err;
	((struct account *)state)->cents -= ((const struct movement *)payload)->cents;
	return TIDE_OK;
}

static const struct tide_applier account_appliers[] = {
	{ &account_opened, account_open }, { &deposited, account_gain },
	{ &withdrawn, account_lose },      { &sent, account_lose },
	{ &received, account_gain },       TIDE_APPLIER_END,
};
static const struct tide_aggregate_type account_type = {
	.name = "Account",
	.state_size = sizeof(struct account),
	.appliers = account_appliers,
};

/* ---- Commands: what may happen to it --------------------------------------------------------- */

static tide_status open_account(struct tide_aggregate *aggregate, void *context,
				struct tide_error *err)
{
	const struct account *account = tide_aggregate_state(aggregate);
	if (account->is_open)
		return tide_fail(err, TIDE_ALREADY_EXISTS, "the account is open already");
	return tide_aggregate_raise(aggregate, &account_opened, context, err);
}

static tide_status check_movement(const struct tide_aggregate *aggregate, int64_t cents,
				  bool is_loss, struct tide_error *err)
{
	const struct account *account = tide_aggregate_state(aggregate);
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

static tide_status deposit(struct tide_aggregate *aggregate, void *context, struct tide_error *err)
{
	const struct movement *movement = context;
	tide_status status = check_movement(aggregate, movement->cents, false, err);
	return status == TIDE_OK ? tide_aggregate_raise(aggregate, &deposited, movement, err)
				 : status;
}

static tide_status withdraw(struct tide_aggregate *aggregate, void *context, struct tide_error *err)
{
	const struct movement *movement = context;
	tide_status status = check_movement(aggregate, movement->cents, true, err);
	return status == TIDE_OK ? tide_aggregate_raise(aggregate, &withdrawn, movement, err)
				 : status;
}

static tide_status transfer(struct tide_aggregate *const *accounts, size_t count, void *context,
			    struct tide_error *err)
{
	struct movement movement = *(const struct movement *)context;
	const struct account *from = tide_aggregate_state(accounts[0]),
			     *to = tide_aggregate_state(accounts[1]);
	(void)count;
	tide_status status = check_movement(accounts[0], movement.cents, true, err);
	if (status == TIDE_OK)
		status = check_movement(accounts[1], movement.cents, false, err);
	if (status == TIDE_OK && from->currency != to->currency)
		status = tide_fail(err, TIDE_STATE, "%s cannot go into an account in %s",
				   currencies[from->currency], currencies[to->currency]);
	movement.other = *tide_aggregate_id(accounts[1]);
	if (status == TIDE_OK)
		status = tide_aggregate_raise(accounts[0], &sent, &movement, err);
	movement.other = *tide_aggregate_id(accounts[0]);
	if (status == TIDE_OK)
		status = tide_aggregate_raise(accounts[1], &received, &movement, err);
	return status;
}

/* domain ends */

/* ---- The story ------------------------------------------------------------------------------- */

static struct tide_error err;

static void must(tide_status status)
{
	if (status == TIDE_OK)
		return;
	fprintf(stderr, "bank: %s\n", err.message);
	exit(1);
}

static struct tide_uuid open_for(struct tide_repository *bank, struct account_opened opened,
				 int64_t cents)
{
	struct tide_uuid id = tide_uuid_v7();
	struct movement first = { .cents = cents, .reference = "first deposit" };
	must(tide_repository_update(bank, &id, open_account, &opened, &err));
	must(tide_repository_update(bank, &id, deposit, &first, &err));
	return id;
}

static void print_account(struct tide_repository *bank, const char *owner,
			  const struct tide_uuid *id)
{
	struct tide_aggregate *aggregate;
	must(tide_repository_load(bank, id, &aggregate, &err));
	const struct account *account = tide_aggregate_state(aggregate);
	printf("   %s: %" PRId64 ".%02" PRId64 " %s\n", owner, account->cents / 100,
	       account->cents % 100, currencies[account->currency]);
	tide_aggregate_free(aggregate);
}

/* A clerk carries many small transfers from one account to the other. */
struct clerk {
	pthread_t thread;
	struct tide_repository *bank;
	struct tide_uuid accounts[2]; /* from, to */
	int64_t cents;
	int transfers;
};

static void *clerk_work(void *self)
{
	struct clerk *clerk = self;
	for (int i = 0; i < clerk->transfers; i++) {
		struct tide_error why;
		struct movement movement = { .cents = clerk->cents, .reference = "clerk" };
		if (tide_repository_update_all(clerk->bank, clerk->accounts, 2, transfer, &movement,
					       &why) != TIDE_OK) {
			fprintf(stderr, "bank: %s\n", why.message);
			exit(1);
		}
	}
	return NULL;
}

/* Two clerks carry from a to b what two others carry back. */
static void let_clerks_work(struct tide_repository *bank, const struct tide_uuid *a,
			    const struct tide_uuid *b)
{
	struct clerk clerks[4];
	for (int i = 0; i < 4; i++) {
		clerks[i] = (struct clerk){ .bank = bank, .cents = 100, .transfers = 25 };
		clerks[i].accounts[i % 2] = *a;
		clerks[i].accounts[1 - i % 2] = *b;
		if (pthread_create(&clerks[i].thread, NULL, clerk_work, &clerks[i]) != 0)
			exit(1);
	}
	for (int i = 0; i < 4; i++)
		pthread_join(clerks[i].thread, NULL);
}

static void tell(struct tide_repository *bank)
{
	printf("1. Two accounts are opened\n");
	struct tide_uuid accounts[2] = {
		open_for(bank, (struct account_opened){ "Ann", EUR }, 50000),
		open_for(bank, (struct account_opened){ "Bob", EUR }, 20000)
	};
	print_account(bank, "Ann", &accounts[0]);
	print_account(bank, "Bob", &accounts[1]);

	printf("2. Ann transfers 120.00 to Bob, who withdraws 20.00\n");
	struct movement rent = { .cents = 12000, .reference = "rent" },
			cash = { .cents = 2000, .reference = "cash" };
	must(tide_repository_update_all(bank, accounts, 2, transfer, &rent, &err));
	must(tide_repository_update(bank, &accounts[1], withdraw, &cash, &err));
	print_account(bank, "Ann", &accounts[0]);
	print_account(bank, "Bob", &accounts[1]);

	printf("3. Ann cannot transfer what she does not have\n");
	struct movement yacht = { .cents = 90000000, .reference = "yacht" };
	tide_status status = tide_repository_update_all(bank, accounts, 2, transfer, &yacht, &err);
	printf("   %s: %s\n", tide_status_name(status), err.message);

	printf("4. Four clerks carry a hundred transfers at once, as many there as back\n");
	let_clerks_work(bank, &accounts[0], &accounts[1]);
	print_account(bank, "Ann", &accounts[0]);
	print_account(bank, "Bob", &accounts[1]);
}

int main(int argc, char **argv)
{
	struct tide_store *store;
	struct tide_repository *bank;
	must(tide_store_open(argc > 1 ? argv[1] : "memory:", TIDE_STORE_OPTIONS(.initialize = true),
			     &store, &err));
	must(tide_repository_open(TIDE_REPOSITORY(.store = store, .type = &account_type), &bank,
				  &err));
	tell(bank);
	tide_repository_close(bank);
	tide_store_close(store);
	return 0;
}
