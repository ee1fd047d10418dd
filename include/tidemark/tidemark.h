/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDEMARK_TIDEMARK_H
#define TIDEMARK_TIDEMARK_H

/* Everything but backend.h, which is for authors of backends. */
#include <tidemark/aggregate.h>
#include <tidemark/bus.h>
#include <tidemark/checkpoint.h>
#include <tidemark/command_projection.h>
#include <tidemark/control.h>
#include <tidemark/deadletter.h>
#include <tidemark/error.h>
#include <tidemark/error_record.h>
#include <tidemark/event.h>
#include <tidemark/event_type.h>
#include <tidemark/health.h>
#include <tidemark/http.h>
#include <tidemark/log.h>
#include <tidemark/manager.h>
#include <tidemark/repository.h>
#include <tidemark/scenario.h>
#include <tidemark/snapshot.h>
#include <tidemark/sql_projection.h>
#include <tidemark/store.h>
#include <tidemark/subscription.h>
#include <tidemark/time.h>
#include <tidemark/uuid.h>
#include <tidemark/version.h>
#include <tidemark/why.h>

#endif
