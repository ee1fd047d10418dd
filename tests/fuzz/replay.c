/* SPDX-License-Identifier: Apache-2.0 */
/* Gives a fuzz target every file of a corpus and its beginnings, each up to ORDINARY bytes and some
 * of those beyond, in memory that ends where the input ends. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "target.h"

#define INPUT_MAX (128 << 10)
#define ORDINARY 4096
#define STRIDE 61

static void replay_bytes(const uint8_t *bytes, size_t size)
{
	uint8_t *exact = malloc(size ? size : 1);
	assert(exact);
	memcpy(exact, bytes, size);
	LLVMFuzzerTestOneInput(exact, size);
	free(exact);
}

static void replay_file(const char *folder, const char *name)
{
	static uint8_t bytes[INPUT_MAX];
	char path[4096];
	snprintf(path, sizeof path, "%s/%s", folder, name);
	FILE *file = fopen(path, "rb");
	assert(file);
	size_t size = fread(bytes, 1, sizeof bytes, file);
	assert(size < sizeof bytes); /* all of it */
	fclose(file);
	for (size_t part = 0; part < size; part += part < ORDINARY ? 1 : STRIDE)
		replay_bytes(bytes, part);
	replay_bytes(bytes, size);
	printf("ok %s and its beginnings\n", name);
}

int main(int argc, char **argv)
{
	DIR *corpus = argc == 2 ? opendir(argv[1]) : NULL;
	int count = 0;
	if (!corpus) {
		fprintf(stderr, "usage: replay CORPUS\n");
		return 2;
	}
	for (struct dirent *entry; (entry = readdir(corpus));) {
		if (entry->d_name[0] == '.')
			continue;
		replay_file(argv[1], entry->d_name);
		count++;
	}
	closedir(corpus);
	return count > 0 ? 0 : 1;
}
