/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDEMARK_VERSION_H
#define TIDEMARK_VERSION_H

/*
 * TIDE_VERSION_MAJOR, TIDE_VERSION_MINOR, TIDE_VERSION_PATCH, TIDE_VERSION_TEXT ("1.2.3") and
 * TIDE_VERSION_NUMBER (1002003) are of the headers that a program was compiled with; meson.build is
 * where they come from.
 *
 *	#if TIDE_VERSION_NUMBER >= 1002000
 *	if (strcmp(tide_library_version(), TIDE_VERSION_TEXT) != 0)
 *		fprintf(stderr, "compiled for %s, running with %s\n", TIDE_VERSION_TEXT, tide_library_version());
 *	#endif
 */
#include <tidemark/version_numbers.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/**
 * Tell the version of the library that runs, such as "1.2.3".
 *
 * Owns:    nothing; the text is static.
 * Threads: any.
 * Returns: the version.
 */
const char *tide_library_version(void);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
