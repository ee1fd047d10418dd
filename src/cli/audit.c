/* SPDX-License-Identifier: Apache-2.0 */
/* What an audit finds, in words. */
#include <stdarg.h>
#include <string.h>

#include "cli/audit.h"
#include "sys/alloc.h"

void audit_find(struct audit *audit, const char *format, ...)
{
	char text[600];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	if (audit->finding_count == AUDIT_FINDINGS_MAX)
		return;
	audit->findings[audit->finding_count] = alloc_text(text, strlen(text));
	if (audit->findings[audit->finding_count])
		audit->finding_count++;
	else
		audit->is_out_of_memory = true;
}
