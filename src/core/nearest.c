/* SPDX-License-Identifier: Apache-2.0 */
#include "core/nearest.h"

#include <string.h>

#define NEAREST_SIZE 40
#define NEAREST_BEGIN 3 /* letters that tell a beginning from a slip */

static size_t nearest_least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/*
 * The fewest letters to add, drop, change or swap with their neighbour that make one word of the
 * other, no letter being touched twice. Rows are prefixes of `a`; three of them are enough.
 */
static size_t nearest_distance(const char *a, size_t a_size, const char *b, size_t b_size)
{
	size_t rows[3][NEAREST_SIZE + 1], *before = rows[0], *last = rows[1], *row = rows[2];
	for (size_t j = 0; j <= b_size; j++)
		last[j] = j;

	for (size_t i = 1; i <= a_size; i++) {
		row[0] = i;
		for (size_t j = 1; j <= b_size; j++) {
			size_t change = last[j - 1] + (a[i - 1] != b[j - 1]);
			row[j] = nearest_least(change, 1 + nearest_least(last[j], row[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				row[j] = nearest_least(row[j], before[j - 2] + 1);
		}
		size_t *spare = before;
		before = last;
		last = row;
		row = spare;
	}
	return last[b_size];
}

void nearest_begin(struct nearest *nearest, const char *word)
{
	size_t size = strlen(word);
	*nearest = (struct nearest){ .word = word,
				     .distance = size < 3   ? 1
						 : size < 5 ? 2
						 : size < 9 ? 3
							    : 4 };
}

void nearest_offer(struct nearest *nearest, const char *name)
{
	size_t size = strlen(nearest->word), name_size = strlen(name);
	if (size > NEAREST_SIZE || name_size > NEAREST_SIZE)
		return;
	size_t distance = nearest_distance(nearest->word, size, name, name_size);
	if (size >= NEAREST_BEGIN && strncmp(nearest->word, name, size) == 0)
		distance = 0;
	if (distance >= nearest->distance)
		return;
	nearest->name = name;
	nearest->distance = distance;
}
