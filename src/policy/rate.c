/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/rate.h"

#include <assert.h>
#include <string.h>

static void rate_roll(struct rate *rate, struct mono_time now)
{
	int64_t second = now.ns / NS_PER_SECOND;
	if (second - rate->second >= RATE_SECONDS)
		memset(rate->counts, 0, sizeof rate->counts);
	else
		for (int64_t s = rate->second + 1; s <= second; s++)
			rate->counts[s % RATE_SECONDS] = 0;
	if (second > rate->second)
		rate->second = second;
	assert(rate->second >= second);
}

void rate_add(struct rate *rate, struct mono_time now)
{
	rate_roll(rate, now);
	rate->counts[rate->second % RATE_SECONDS]++;
}

int64_t rate_per_minute(struct rate *rate, struct mono_time now)
{
	rate_roll(rate, now);
	int64_t sum = 0;
	for (int i = 0; i < RATE_SECONDS; i++)
		sum += rate->counts[i];
	return sum;
}
