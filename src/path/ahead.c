/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading ahead: while subscriptions handle what they have, the next panes of the history are read
 * on another processor.
 *
 * Happy path: a reader that will need more asks; the thread reads a pane behind those that are
 * there, as any reader does that reads for all (panes.c), until enough is ahead of everybody. What
 * is read does not depend on who reads it.
 * Failure modes: a read fails, or there is no session: the readers hear that it is over and read
 * for themselves; if that fails, too, it is theirs. No thread can be started: nobody reads ahead.
 */
#include "path/ahead.h"

#include "path/port.h"
#include "path/store.h"
#include "sys/alloc.h"
#include "sys/log.h"
#include "sys/thread.h"
#include "sys/wakeup.h"

#define AHEAD_RING 1
#define AHEAD_IDLE_NS NS_PER_SECOND /* a session is kept that long for the next one who asks */

/* what may be open: the thread is started by the first one who asks */
enum ahead_state { AHEAD_NEW, AHEAD_STARTED, AHEAD_ENDING };

struct ahead {
	/* fixed after open */
	struct tide_store *store;

	struct wakeup wakeup;
	_Atomic(int) state; /* enum ahead_state */
	struct thread thread;
	void *session; /* the thread's; NULL: none is open */
};

tide_status ahead_new(struct tide_store *store, struct ahead **ret, struct tide_error *err)
{
	struct ahead *ahead = alloc_zero(1, sizeof *ahead);
	if (!ahead)
		return alloc_fail(err);
	ahead->store = store;
	wakeup_init(&ahead->wakeup);
	*ret = ahead;
	return TIDE_OK;
}

void ahead_free(struct ahead *ahead)
{
	if (!ahead)
		return;
	atomic_store(&ahead->state, AHEAD_ENDING);
	wakeup_ring(&ahead->wakeup, AHEAD_RING);
	thread_join(&ahead->thread);
	wakeup_fini(&ahead->wakeup);
	tide_free(ahead);
}

static void ahead_close(struct ahead *ahead)
{
	if (ahead->session)
		port_session_close(ahead->store, ahead->session);
	ahead->session = NULL;
}

tide_status ahead_fill(struct tide_store *store, void *session, const struct panes_turn *turn,
		       struct tide_error *err)
{
	static const struct tide_filter everything = { 0 };
	struct tide_page *page = panes_page(turn->pane);
	/* nothing is read ahead on the session: the next one may read on */
	const struct tide_page_query query = { .filter = &everything,
					       .bound = turn->after,
					       .max_events = page->max_events,
					       .max_bytes = page->max_bytes,
					       .max_scan = PANES_SCAN_MAX,
					       .is_once = true };
	tide_status status = port_read(store, session, &query, page, err);
	if (status == TIDE_OK)
		metrics_read_page(&store->metrics, METRICS_FROM_STORE, (int64_t)page->count);
	panes_filled(store->panes, turn->pane, status == TIDE_OK, port_losses(store));
	return status;
}

/* Whether it was read; a session that failed is not used again. */
static bool ahead_read(struct ahead *ahead, const struct panes_turn *turn)
{
	struct tide_store *store = ahead->store;
	struct tide_error err;
	tide_status status = TIDE_OK;
	if (!ahead->session)
		status = port_session_open(store, &ahead->session, &err);
	if (status != TIDE_OK) {
		panes_filled(store->panes, turn->pane, false, port_losses(store));
		return false;
	}
	status = ahead_fill(store, ahead->session, turn, &err);
	if (status == TIDE_OK)
		panes_let_go(store->panes, turn->pane);
	else
		ahead_close(ahead);
	return status == TIDE_OK;
}

static void ahead_run(void *self)
{
	struct ahead *ahead = self;
	struct tide_store *store = ahead->store;
	struct panes_turn turn;
	for (;;) {
		(void)wakeup_reset(&ahead->wakeup); /* before its end is looked for, which rings */
		if (atomic_load(&ahead->state) == AHEAD_ENDING)
			break;
		while (panes_next(store->panes, port_losses(store), &turn) &&
		       ahead_read(ahead, &turn))
			continue;
		struct mono_time until = mono_add(clock_mono(&clock_system), AHEAD_IDLE_NS);
		wakeup_wait(&ahead->wakeup, ahead->session ? until : MONO_NEVER);
		if (!wakeup_is_rung(&ahead->wakeup))
			ahead_close(ahead);
	}
	ahead_close(ahead);
}

void ahead_ask(struct ahead *ahead)
{
	int state = AHEAD_NEW;
	struct tide_error err;
	if (atomic_compare_exchange_strong(&ahead->state, &state, AHEAD_STARTED) &&
	    thread_start(&ahead->thread, "tide-ahead", ahead_run, ahead, &err) != TIDE_OK)
		log_at(TIDE_LOG_WARNING, "store", "history is not read ahead", "error='%s'",
		       err.message);
	wakeup_ring(&ahead->wakeup, AHEAD_RING);
}
