/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/missing.h"

#include "sys/log.h"

void parts_tell_missing(part_set parts)
{
	for (enum part part = 0; part < PART_COUNT; part++)
		if (!(parts & PART_BIT(part)))
			log_at(TIDE_LOG_NOTICE, "store",
			       "the database is of an earlier version; complete it with 'tide "
			       "init'",
			       "off='%s'", part_loss(part));
}
