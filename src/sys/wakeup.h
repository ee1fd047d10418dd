/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_SYS_WAKEUP_H
#define TIDE_SYS_WAKEUP_H

/*
 * A bell one thread waits for and any thread rings. Rings merge; one that comes before the wait is
 * not lost:
 *
 *	wakeup_reset(w);  look for work;  wakeup_wait(w, next);
 */

#include <stdatomic.h>
#include <stdint.h>

#include "sys/mutex.h"

struct wakeup {
	struct mutex lock;
	struct cond cond;
	atomic_uint sources; /* bits of who rang since the last reset; 0: nobody */
};

void wakeup_init(struct wakeup *wakeup);
void wakeup_fini(struct wakeup *wakeup);
void wakeup_ring(struct wakeup *wakeup, unsigned sources); /* sources != 0 */
unsigned wakeup_reset(struct wakeup *wakeup);              /* returns who rang */
bool wakeup_is_rung(struct wakeup *wakeup);
/* returns when rung or at the deadline */
void wakeup_wait(struct wakeup *wakeup, struct mono_time deadline);

#endif
