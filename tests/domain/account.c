/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/account.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/must.h"
#include "sys/alloc.h"

static const struct tide_field money_moved_fields[] = {
	TIDE_FIELD_INT64(struct money_moved, cents),
	TIDE_FIELD_END,
};
TIDE_EVENT_TYPE(money_moved_type, "MoneyMoved", 1, struct money_moved, money_moved_fields);

static const struct tide_field note_taken_fields[] = {
	TIDE_FIELD_TEXT(struct note_taken, text),
	TIDE_FIELD_END,
};
TIDE_EVENT_TYPE(note_taken_type, "NoteTaken", 1, struct note_taken, note_taken_fields);

const struct tide_event_type *const money_moved = &money_moved_type, *const note_taken =
									     &note_taken_type;

static const struct tide_field account_fields[] = {
	TIDE_FIELD_INT64(struct account, cents),
	TIDE_FIELD_INT64(struct account, moves),
	TIDE_FIELD_ARRAY(TEXT, struct account, notes, note_count),
	TIDE_FIELD_END,
};

static tide_status apply_moved(void *state, const void *payload, const struct tide_event *event,
			       struct tide_error *err)
{
	struct account *account = state;
	const struct money_moved *moved = payload;
	(void)event;
	account->cents += moved->cents;
	if (moved->cents == POISON)
		return tide_fail(err, TIDE_HANDLER_PERMANENT, "%d is poison", POISON);
	account->moves++;
	return TIDE_OK;
}

static tide_status apply_noted(void *state, const void *payload, const struct tide_event *event,
			       struct tide_error *err)
{
	struct account *account = state;
	const char *text = ((const struct note_taken *)payload)->text;
	(void)event;
	char **notes = alloc_resize(account->notes, account->note_count + 1, sizeof *notes);
	if (!notes)
		return alloc_fail(err);
	account->notes = notes;
	if (!(notes[account->note_count] = alloc_text(text, strlen(text))))
		return alloc_fail(err);
	account->note_count++;
	return TIDE_OK;
}

static const struct tide_applier appliers[] = {
	{ &money_moved_type, apply_moved },
	{ &note_taken_type, apply_noted },
	TIDE_APPLIER_END,
};
static const char *const plain_ignored[] = { "NoteTaken", "SomethingElse", NULL };

const struct tide_aggregate_type account_type = {
	.name = "Account",
	.state_size = sizeof(struct account),
	.appliers = appliers,
	.state_fields = account_fields,
};
const struct tide_aggregate_type account_type_v2 = {
	.name = "Account",
	.state_size = sizeof(struct account),
	.appliers = appliers,
	.state_fields = account_fields,
	.schema_version = 2,
};
static const struct tide_applier plain_appliers[] = { { &money_moved_type, apply_moved },
						      TIDE_APPLIER_END };
const struct tide_aggregate_type plain_account_type = {
	.name = "Account",
	.state_size = sizeof(struct account),
	.appliers = plain_appliers,
	.ignored = plain_ignored,
};

static tide_status check_move(const struct account *account, int64_t cents, struct tide_error *err)
{
	if (account->cents + cents >= 0)
		return TIDE_OK;
	return tide_fail(err, TIDE_STATE, "there are only %" PRId64 " cents", account->cents);
}

tide_status move_money(struct tide_aggregate *aggregate, void *context, struct tide_error *err)
{
	struct money_moved moved = { *(int64_t *)context };
	tide_status status = check_move(tide_aggregate_state(aggregate), moved.cents, err);
	return status == TIDE_OK ? tide_aggregate_raise(aggregate, money_moved, &moved, err)
				 : status;
}

tide_status decide_move(const void *state, const void *command, struct tide_decision *decision,
			struct tide_error *err)
{
	struct money_moved moved = { *(const int64_t *)command };
	struct note_taken note = { (char *)"decided" };
	tide_status status = tide_decision_add(decision, note_taken, &note, err);
	if (status == TIDE_OK)
		status = check_move(state, moved.cents, err);
	return status == TIDE_OK ? tide_decision_add(decision, money_moved, &moved, err) : status;
}

void raise_move(struct tide_aggregate *aggregate, int64_t cents)
{
	must(tide_aggregate_raise(aggregate, money_moved, &(struct money_moved){ cents }, err));
}

int64_t cents_of(const struct tide_aggregate *aggregate)
{
	return ((const struct account *)tide_aggregate_state(aggregate))->cents;
}
