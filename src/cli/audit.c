/* SPDX-License-Identifier: Apache-2.0 */
/* What an audit finds, in words. */
#include <stdarg.h>
#include <string.h>

#include "cli/audit.h"
#include "sys/alloc.h"

bool audit_counts(const struct audit *audit, const char *row_name)
{
	return audit->lane.total == 0 || strcmp(audit->name, row_name) == 0;
}

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

void audit_differ(struct audit *audit, const char *table, const char *says, const char *row)
{
	if (audit->rows_different++ < AUDIT_SAMPLES)
		audit_find(audit, "table '%.100s' %s: row %.200s", table, says, row);
}

void audit_end_comparison(struct audit *audit)
{
	if (audit->tables_compared == 0)
		audit_find(audit, "no table is known to compare: projection_versions has none");
	if (audit->rows_different > AUDIT_SAMPLES)
		audit_find(audit, "%lld rows differ in all", (long long)audit->rows_different);
}
