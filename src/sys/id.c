/* SPDX-License-Identifier: Apache-2.0 */
/* UUIDs that are made, not computed: version 4 and version 7 of RFC 9562. */
#include <tidemark/uuid.h>

#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "sys/clock.h"
#include "sys/random.h"

/* Version 7 counts in 4096ths of a millisecond (RFC 9562 section 6.2, method 3): the 48 bits of the
 * time and the 12 below. */
static _Atomic uint64_t id_last_tick;

static uint64_t id_clock_tick(void)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	uint64_t ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)(now.tv_nsec / NS_PER_MS);
	uint64_t rest = (uint64_t)(now.tv_nsec % NS_PER_MS);
	return ms << 12 | rest * 4096 / NS_PER_MS;
}

/* A tick that no other call in this process got, greater than those before, also when the wall
 * clock goes back. */
static uint64_t id_next_tick(void)
{
	uint64_t now = id_clock_tick();
	uint64_t last = atomic_load_explicit(&id_last_tick, memory_order_relaxed);
	uint64_t tick;
	do
		tick = now > last ? now : last + 1;
	while (!atomic_compare_exchange_weak(&id_last_tick, &last, tick));
	return tick;
}

static void id_set_version(struct tide_uuid *uuid, uint8_t version)
{
	uuid->bytes[6] = (uint8_t)((uuid->bytes[6] & 0x0f) | version << 4);
	uuid->bytes[8] = (uint8_t)((uuid->bytes[8] & 0x3f) | 0x80);
}

struct tide_uuid tide_uuid_v4(void)
{
	struct tide_uuid uuid;
	random_bytes(uuid.bytes, sizeof uuid.bytes);
	id_set_version(&uuid, 4);
	return uuid;
}

struct tide_uuid tide_uuid_v7(void)
{
	uint64_t tick = id_next_tick();
	uint64_t ms = tick >> 12;
	struct tide_uuid uuid;
	for (int i = 0; i < 6; i++)
		uuid.bytes[i] = (uint8_t)(ms >> (40 - 8 * i));
	uuid.bytes[6] = (uint8_t)(tick >> 8);
	uuid.bytes[7] = (uint8_t)tick;
	random_bytes(uuid.bytes + 8, 8);
	id_set_version(&uuid, 7);
	return uuid;
}
