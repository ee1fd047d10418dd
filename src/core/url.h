/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_CORE_URL_H
#define TIDE_CORE_URL_H

#include <tidemark/backend.h>

/**
 * Take a URL apart; the result refers only to itself. Percent escapes are decoded in parameters,
 * and in `rest` unless the URL is of a scheme whose client library decodes (postgresql) or holds
 * another URL (fault). Returns TIDE_OK, TIDE_ARGUMENT, TIDE_OUT_OF_MEMORY.
 */
tide_status url_parse(const char *text, struct tide_url *ret, struct tide_error *err);
void url_fini(struct tide_url *url);

/** A copy of a URL without passwords, for tide_free: fit to be shown, and to be opened where a
 * password file helps out. NULL: no memory. */
char *url_redact(const char *text);
/** Take out of any text what is in it of passwords, in every form that libpq reads: URLs and
 * connection strings. */
void url_redact_words(char *text);

#endif
