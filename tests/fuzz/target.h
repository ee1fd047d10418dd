/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FUZZ_TARGET_H
#define FUZZ_TARGET_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/** Give a decoder any bytes; a claim about them that does not hold ends the program. libFuzzer's
 * entry. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
