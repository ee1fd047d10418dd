/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_PATH_FATE_H
#define TIDE_PATH_FATE_H

#include <tidemark/error.h>
#include <tidemark/event.h>

/** What an event has come to, as long as it may come again. */
enum fate_kind {
	FATE_TRIED,   /* what was tried of it went with its transaction, and goes on counting */
	FATE_FAILED,  /* for good; the feed has begun anew before it, and its end is not done yet */
	FATE_ENDING,  /* the same, and it is the event that comes next */
	FATE_DOOMED,  /* it alone could not be committed: no handler is called any more */
	FATE_BURIED,  /* DOOMED, or undecodable; settled like that, and not committed yet */
	FATE_REFUSED, /* DOOMED, and it could not be committed without its handler either */
};

/** Who has heard of a failure. */
enum fate_told { FATE_NOT_TOLD, FATE_LOGGED, FATE_RECORDED };

struct fate {
	tide_position position;
	enum fate_kind kind;
	enum fate_told told;
	bool took_transaction;   /* one of its calls did */
	bool is_uncalled;        /* it has failed without one */
	int32_t attempts;        /* handler calls it has had */
	int32_t entry_tries;     /* at writing its dead letter */
	struct tide_error error; /* what it failed with; of no meaning while TRIED */
	char *stacktrace;
};

#define FATES_MAX 8

/** What is remembered of events, in the order of their positions. */
struct fates {
	struct fate list[FATES_MAX];
	size_t count;
};

/** NULL: nothing is remembered of it. */
struct fate *fates_find(struct fates *fates, tide_position position);
/** Whether it has failed, and its end is not done yet. */
bool fates_has_failed(const struct fates *fates, tide_position position);
/** Whether it is not to be handed over: the record says why. NULL: it is. */
const struct fate *fates_doomed(const struct fates *fates, tide_position position);
/** The event that is at its end; NULL: none is. */
struct fate *fates_ending(struct fates *fates);
/** Whether one could be committed neither as handled nor as failed. */
bool fates_has_refused(const struct fates *fates);

/** A call, its `attempts`-th, took the transaction with it. */
void fates_try(struct fates *fates, tide_position position, int32_t attempts);
/** Its attempts count no more: it comes by itself, out of a batch. */
void fates_untry(struct fates *fates, tide_position position);
/** Writing its dead letter has failed so often; 0: it is written. */
void fates_try_entry(struct fates *fates, tide_position position, int32_t tries);
/** It has failed for good, and is at its end: what it failed with is for the caller to fill. */
struct fate *fates_end(struct fates *fates, tide_position position);
/** The feed has begun anew before the one that is at its end, or has brought it again. */
void fates_put_off(struct fates *fates);
void fates_come_again(struct fates *fates, tide_position position);
/** It is settled; `is_alone`: by itself in its transaction. */
void fates_settle(struct fates *fates, tide_position position, bool is_alone);
/** It was alone in its transaction, whose commit has failed for good. */
void fates_doom(struct fates *fates, tide_position position, const struct tide_error *error);
/** Everything up to here is committed. */
void fates_commit(struct fates *fates, tide_position position);
void fates_forget(struct fates *fates);
/** What has to hold of them at any time, of a run that stands at `position`. */
void fates_check(const struct fates *fates, tide_position position);

#endif
