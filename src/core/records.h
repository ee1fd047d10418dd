/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_CORE_RECORDS_H
#define TIDE_CORE_RECORDS_H

/* Records as JSON objects, the same wherever they are shown: docs/records.md. */

#include <tidemark/checkpoint.h>
#include <tidemark/control.h>
#include <tidemark/deadletter.h>

#include "core/json.h"

void dead_letter_write_json(struct buffer *buffer, const struct tide_dead_letter *letter);
void journal_write_json(struct buffer *buffer, const struct tide_journal_entry *entry);
void checkpoint_write_json(struct buffer *buffer, const struct tide_checkpoint *row);
void lag_write_json(struct buffer *buffer, const struct tide_lag *lag);

#endif
