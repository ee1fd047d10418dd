/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "backends/memory/state.h"
#include "sys/alloc.h"

/* The place of a name, or where it would go. */
static size_t name_table_place(const struct name_table *table, const char *name, bool *ret_found)
{
	size_t low = 0, high = table->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(table->rows[middle], name);
		if (order == 0) {
			*ret_found = true;
			return middle;
		}
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}

	*ret_found = false;
	return low;
}

void *name_table_find(const struct name_table *table, const char *name)
{
	bool is_found;
	size_t place = name_table_place(table, name, &is_found);
	return is_found ? table->rows[place] : NULL;
}

void *name_table_make(struct name_table *table, const char *name, size_t size)
{
	bool is_found;
	size_t place = name_table_place(table, name, &is_found);
	if (is_found)
		return table->rows[place];
	if (table->count == table->capacity) {
		size_t capacity = table->capacity ? table->capacity * 2 : 16;
		char **rows = alloc_resize(table->rows, capacity, sizeof *rows);
		if (!rows)
			return NULL;
		table->rows = rows;
		table->capacity = capacity;
	}

	char *row = alloc_zero(1, size);
	if (!row)
		return NULL;

	strcpy(row, name);
	memmove(table->rows + place + 1, table->rows + place,
		(table->count - place) * sizeof *table->rows);
	table->rows[place] = row;
	table->count++;
	return row;
}

void name_table_remove(struct name_table *table, const char *name)
{
	bool is_found;
	size_t place = name_table_place(table, name, &is_found);
	if (!is_found)
		return;
	tide_free(table->rows[place]);
	table->count--;
	memmove(table->rows + place, table->rows + place + 1,
		(table->count - place) * sizeof *table->rows);
}

void name_table_fini(struct name_table *table)
{
	for (size_t i = 0; i < table->count; i++)
		tide_free(table->rows[i]);
	tide_free(table->rows);
	*table = (struct name_table){ 0 };
}
