/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is remembered of events that may come again: how often they were tried, that they have
 * failed for good, that they could not be committed.
 *
 *	its transaction went with a call, or with its dead letter ─▶ TRIED
 *	it has failed for good ─▶ ENDING ◀─▶ FAILED                  the feed begins anew before it ┆ it comes again
 *	                            │ settled
 *	                            ├─▶ forgotten
 *	its own commit fails        └─▶ BURIED ─▶ forgotten          it was alone, and no handler was called ┆ committed
 *	  ─▶ DOOMED ─▶ ENDING              └─▶ REFUSED: the run ends  its own commit fails
 *
 * Failure modes: there are too many of them: the one that is furthest away is forgotten, and its
 * event simply delivered again.
 */
#include "path/fate.h"

#include <assert.h>
#include <string.h>

#include "sys/alloc.h"

/* ---- The array ------------------------------------------------------------------------------- */

/* The place of the first one that is not before it. */
static size_t fates_place(const struct fates *fates, tide_position position)
{
	size_t i = 0;
	while (i < fates->count && fates->list[i].position < position)
		i++;
	return i;
}

static bool fates_has_at(const struct fates *fates, size_t i, tide_position position)
{
	return i < fates->count && fates->list[i].position == position;
}

static void fates_remove(struct fates *fates, size_t i)
{
	assert(i < fates->count);
	tide_free(fates->list[i].stacktrace);
	fates->count--;
	memmove(&fates->list[i], &fates->list[i + 1], (fates->count - i) * sizeof *fates->list);
}

static struct fate *fates_put(struct fates *fates, tide_position position)
{
	size_t i = fates_place(fates, position);
	if (fates_has_at(fates, i, position))
		return &fates->list[i];

	if (fates->count == FATES_MAX)
		fates_remove(fates, FATES_MAX - 1);
	i = fates_place(fates, position);
	memmove(&fates->list[i + 1], &fates->list[i], (fates->count - i) * sizeof *fates->list);
	fates->count++;
	fates->list[i] = (struct fate){ .position = position };
	return &fates->list[i];
}

/* ---- Questions ------------------------------------------------------------------------------- */

struct fate *fates_find(struct fates *fates, tide_position position)
{
	size_t i = fates_place(fates, position);
	return fates_has_at(fates, i, position) ? &fates->list[i] : NULL;
}

static bool fate_is_unfinished(const struct fate *fate)
{
	return fate->kind == FATE_FAILED || fate->kind == FATE_ENDING;
}

bool fates_has_failed(const struct fates *fates, tide_position position)
{
	size_t i = fates_place(fates, position);
	return fates_has_at(fates, i, position) && fate_is_unfinished(&fates->list[i]);
}

const struct fate *fates_doomed(const struct fates *fates, tide_position position)
{
	size_t i = fates_place(fates, position);
	bool is_there = fates_has_at(fates, i, position);
	enum fate_kind kind = is_there ? fates->list[i].kind : FATE_TRIED;
	return kind >= FATE_DOOMED ? &fates->list[i] : NULL;
}

struct fate *fates_ending(struct fates *fates)
{
	for (size_t i = 0; i < fates->count; i++)
		if (fates->list[i].kind == FATE_ENDING)
			return &fates->list[i];
	return NULL;
}

bool fates_has_refused(const struct fates *fates)
{
	for (size_t i = 0; i < fates->count; i++)
		if (fates->list[i].kind == FATE_REFUSED)
			return true;
	return false;
}

/* ---- What happens to them -------------------------------------------------------------------- */

void fates_try(struct fates *fates, tide_position position, int32_t attempts)
{
	struct fate *fate = fates_put(fates, position);
	assert(fate->kind == FATE_TRIED);
	fate->attempts = attempts;
	fate->took_transaction = true;
}

void fates_untry(struct fates *fates, tide_position position)
{
	struct fate *fate = fates_find(fates, position);
	assert(!fate || fate->kind == FATE_TRIED);
	if (fate)
		fate->attempts = 0;
}

void fates_try_entry(struct fates *fates, tide_position position, int32_t tries)
{
	struct fate *fate = tries > 0 ? fates_put(fates, position) : fates_find(fates, position);
	if (fate)
		fate->entry_tries = tries;
}

struct fate *fates_end(struct fates *fates, tide_position position)
{
	struct fate *fate = fates_put(fates, position);
	assert(!fates_ending(fates));
	tide_free(fate->stacktrace);
	fate->stacktrace = NULL;
	fate->kind = FATE_ENDING;
	fate->told = FATE_NOT_TOLD;
	fate->is_uncalled = false;
	return fate;
}

void fates_put_off(struct fates *fates)
{
	struct fate *fate = fates_ending(fates);
	assert(fate);
	fate->kind = FATE_FAILED;
}

void fates_come_again(struct fates *fates, tide_position position)
{
	struct fate *fate = fates_find(fates, position);
	assert(fate && fate->kind == FATE_FAILED && !fates_ending(fates));
	fate->kind = FATE_ENDING;
}

void fates_settle(struct fates *fates, tide_position position, bool is_alone)
{
	struct fate *fate = fates_find(fates, position);
	if (!fate || fate->kind == FATE_TRIED)
		return;

	if (fate->is_uncalled && is_alone) {
		fate->kind = FATE_BURIED;
		fate->took_transaction = false;
	} else {
		fates_remove(fates, (size_t)(fate - fates->list));
	}
}

void fates_doom(struct fates *fates, tide_position position, const struct tide_error *error)
{
	assert(error->status != TIDE_OK);
	struct fate *fate = fates_put(fates, position);
	assert(!fate_is_unfinished(fate));
	fate->kind = fate->kind == FATE_BURIED ? FATE_REFUSED : FATE_DOOMED;
	fate->error = *error;
}

void fates_commit(struct fates *fates, tide_position position)
{
	while (fates->count > 0 && fates->list[0].position <= position)
		fates_remove(fates, 0);
}

void fates_forget(struct fates *fates)
{
	while (fates->count > 0)
		fates_remove(fates, fates->count - 1);
}

void fates_check(const struct fates *fates, tide_position position)
{
	size_t ending = 0;
	assert(fates->count <= FATES_MAX);
	for (size_t i = 0; i < fates->count; i++) {
		const struct fate *fate = &fates->list[i];
		ending += fate->kind == FATE_ENDING;
		assert(i == 0 || fates->list[i - 1].position < fate->position);
		assert(!fate_is_unfinished(fate) || fate->position > position);
		assert(fate->kind == FATE_TRIED || fate->error.status != TIDE_OK);
	}
	assert(ending <= 1);
}
