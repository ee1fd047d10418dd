/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/random.h"

#include <assert.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#define RANDOM_POOL_SIZE 1024

static struct {
	pthread_once_t once;
	/* counts forks, so that a child throws away the pools it inherited */
	atomic_uint generation;
} random_forks = { .once = PTHREAD_ONCE_INIT };

static _Thread_local struct {
	unsigned char bytes[RANDOM_POOL_SIZE];
	size_t left; /* unused bytes, at the end */
	unsigned generation;
} random_pool;

static void random_forked(void)
{
	atomic_fetch_add(&random_forks.generation, 1);
}

static void random_watch_forks(void)
{
	pthread_atfork(NULL, NULL, random_forked);
}

static void random_from_device(unsigned char *ret, size_t size)
{
	int device = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
	assert(device >= 0); /* a UUID that is not random would be worse than no program */
	while (size) {
		ssize_t got = read(device, ret, size);
		if (got > 0) {
			ret += got;
			size -= (size_t)got;
		}
	}
	close(device);
}

static void random_from_kernel(unsigned char *ret, size_t size)
{
	while (size) {
		/* the most it gives at once, getentropy(3) */
		size_t part = size < 256 ? size : 256;
		if (getentropy(ret, part) != 0)
			random_from_device(ret, part);
		ret += part;
		size -= part;
	}
}

static void random_refill(void)
{
	pthread_once(&random_forks.once, random_watch_forks);
	random_pool.generation = atomic_load(&random_forks.generation);
	random_from_kernel(random_pool.bytes, RANDOM_POOL_SIZE);
	random_pool.left = RANDOM_POOL_SIZE;
}

void random_bytes(void *ret, size_t size)
{
	if (size > RANDOM_POOL_SIZE / 4) {
		random_from_kernel(ret, size);
		return;
	}
	if (random_pool.left < size ||
	    random_pool.generation !=
		    atomic_load_explicit(&random_forks.generation, memory_order_relaxed))
		random_refill();
	unsigned char *from = random_pool.bytes + RANDOM_POOL_SIZE - random_pool.left;
	memcpy(ret, from, size);
	memset(from, 0, size); /* what was given out cannot be found again in memory */
	random_pool.left -= size;
}

void random_seed(struct random *random, uint64_t seed)
{
	/* splitmix64, so that neighbouring seeds give unrelated sequences */
	seed += UINT64_C(0x9e3779b97f4a7c15);
	seed = (seed ^ (seed >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	seed = (seed ^ (seed >> 27)) * UINT64_C(0x94d049bb133111eb);
	seed ^= seed >> 31;
	random->state = seed ? seed : 1;
}

uint64_t random_next(struct random *random)
{
	uint64_t x = random->state;
	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	random->state = x;
	return x * UINT64_C(0x2545f4914f6cdd1d);
}

double random_unit(struct random *random)
{
	return (double)(random_next(random) >> 11) * 0x1p-53;
}
