/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/combine.h"

#include <assert.h>

void combiner_init(struct combiner *combiner)
{
	mutex_init(&combiner->lock, LOCK_COMBINER);
	combiner->last = &combiner->first;
}

void combiner_fini(struct combiner *combiner)
{
	assert(!combiner->first && !combiner->is_led);
	mutex_fini(&combiner->lock);
}

static struct combine_part *combiner_take_locked(struct combiner *combiner)
	TIDE_REQUIRES(combiner->lock)
{
	struct combine_part *group = combiner->first;
	combiner->first = NULL;
	combiner->last = &combiner->first;
	combiner->waiting = 0;
	return group;
}

struct combine_part *combiner_take(struct combiner *combiner)
{
	mutex_lock(&combiner->lock);
	struct combine_part *group = combiner_take_locked(combiner);
	mutex_unlock(&combiner->lock);
	return group;
}

bool combiner_take_only(struct combiner *combiner)
{
	mutex_lock(&combiner->lock);
	bool is_only = combiner->waiting == 1;
	if (is_only)
		combiner_take_locked(combiner);
	mutex_unlock(&combiner->lock);
	return is_only;
}

/* It may be gone when this returns. */
static void combine_tell(struct combine_part *part, enum combine_turn turn)
{
	mutex_lock(&part->lock);
	part->turn = turn;
	cond_signal(&part->told);
	mutex_unlock(&part->lock);
}

static enum combine_turn combine_wait(struct combine_part *part)
{
	mutex_lock(&part->lock);
	while (part->turn == COMBINE_WAITS)
		cond_wait(&part->told, &part->lock);
	enum combine_turn turn = part->turn;
	mutex_unlock(&part->lock);
	return turn;
}

/* The first who came meanwhile leads on. */
static void combiner_resign(struct combiner *combiner)
{
	mutex_lock(&combiner->lock);
	struct combine_part *next = combiner->first;
	combiner->is_led = next != NULL;
	mutex_unlock(&combiner->lock);
	if (next)
		combine_tell(next, COMBINE_LEADS);
}

static void combiner_lead(struct combiner *combiner, const struct combine_part *own,
			  combine_work *work, void *self)
{
	struct combine_part *group = work(self);
	combiner_resign(combiner);
	while (group) {
		struct combine_part *part = group;
		group = group->next;
		if (part != own)
			combine_tell(part, COMBINE_IS_DONE);
	}
}

static bool combiner_join(struct combiner *combiner, struct combine_part *part)
{
	mutex_lock(&combiner->lock);
	*combiner->last = part;
	combiner->last = &part->next;
	combiner->waiting++;
	bool is_leader = !combiner->is_led;
	combiner->is_led = true;
	mutex_unlock(&combiner->lock);
	return is_leader;
}

void combiner_run(struct combiner *combiner, struct combine_part *part, combine_work *work,
		  void *self)
{
	mutex_init(&part->lock, LOCK_COMBINED);
	cond_init(&part->told);
	if (combiner_join(combiner, part) || combine_wait(part) == COMBINE_LEADS)
		combiner_lead(combiner, part, work, self);
	cond_fini(&part->told);
	mutex_fini(&part->lock);
}
