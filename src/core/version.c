/* SPDX-License-Identifier: Apache-2.0 */
#include <tidemark/version.h>

const char *tide_library_version(void)
{
	return TIDE_VERSION_TEXT;
}
