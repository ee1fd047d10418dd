/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_SYS_LIBPQ_H
#define TIDE_SYS_LIBPQ_H

/*
 * libpq, which is loaded when the first store on PostgreSQL is opened: it brings two dozen shared
 * objects along, whose symbols take longer to look up than a short command on SQLite does.
 *
 * Who includes this calls its functions by their names. What is missing below does not link.
 */

#include <libpq-events.h>
#include <libpq-fe.h>

#include <tidemark/error.h>

/* clang-format off */
#define LIBPQ_FUNCTIONS(X) \
	X(PQbackendPID) X(PQcancel) X(PQclear) X(PQcmdStatus) X(PQcmdTuples) \
	X(PQconndefaults) X(PQconnectdbParams) X(PQconninfoFree) X(PQconninfoParse) \
	X(PQconsumeInput) X(PQdescribePrepared) X(PQenterPipelineMode) X(PQerrorMessage) \
	X(PQescapeIdentifier) X(PQescapeLiteral) X(PQexec) X(PQexecParams) \
	X(PQexitPipelineMode) X(PQfinish) X(PQflush) X(PQfreeCancel) X(PQfreemem) X(PQftype) \
	X(PQgetCancel) X(PQgetisnull) X(PQgetlength) X(PQgetResult) X(PQgetvalue) X(PQisBusy) \
	X(PQnfields) X(PQnotifies) X(PQntuples) X(PQparameterStatus) X(PQpipelineSync) \
	X(PQprepare) X(PQregisterEventProc) X(PQresultErrorField) X(PQresultErrorMessage) \
	X(PQresultStatus) X(PQsendFlushRequest) X(PQsendPrepare) X(PQsendQuery) \
	X(PQsendQueryParams) X(PQsendQueryPrepared) X(PQserverVersion) X(PQsetClientEncoding) \
	X(PQsetNoticeProcessor) X(PQsocket) X(PQsslInUse) X(PQstatus) X(PQtransactionStatus) \
	X(PQuser)
/* clang-format on */

struct libpq {
#define LIBPQ_MEMBER(name) __typeof__(name) *name;
	LIBPQ_FUNCTIONS(LIBPQ_MEMBER)
#undef LIBPQ_MEMBER
};

/** Whole once libpq_load has succeeded. */
extern struct libpq libpq;

/**
 * Load it, unless it is there.
 *
 * Threads: any.
 * Returns: TIDE_OK, or TIDE_UNSUPPORTED: there is none, or one without a function that is called.
 */
tide_status libpq_load(struct tide_error *err);

#define PQbackendPID libpq.PQbackendPID
#define PQcancel libpq.PQcancel
#define PQclear libpq.PQclear
#define PQcmdStatus libpq.PQcmdStatus
#define PQcmdTuples libpq.PQcmdTuples
#define PQconndefaults libpq.PQconndefaults
#define PQconnectdbParams libpq.PQconnectdbParams
#define PQconninfoFree libpq.PQconninfoFree
#define PQconninfoParse libpq.PQconninfoParse
#define PQconsumeInput libpq.PQconsumeInput
#define PQdescribePrepared libpq.PQdescribePrepared
#define PQenterPipelineMode libpq.PQenterPipelineMode
#define PQerrorMessage libpq.PQerrorMessage
#define PQescapeIdentifier libpq.PQescapeIdentifier
#define PQescapeLiteral libpq.PQescapeLiteral
#define PQexec libpq.PQexec
#define PQexecParams libpq.PQexecParams
#define PQexitPipelineMode libpq.PQexitPipelineMode
#define PQfinish libpq.PQfinish
#define PQflush libpq.PQflush
#define PQfreeCancel libpq.PQfreeCancel
#define PQfreemem libpq.PQfreemem
#define PQftype libpq.PQftype
#define PQgetCancel libpq.PQgetCancel
#define PQgetisnull libpq.PQgetisnull
#define PQgetlength libpq.PQgetlength
#define PQgetResult libpq.PQgetResult
#define PQgetvalue libpq.PQgetvalue
#define PQisBusy libpq.PQisBusy
#define PQnfields libpq.PQnfields
#define PQnotifies libpq.PQnotifies
#define PQntuples libpq.PQntuples
#define PQparameterStatus libpq.PQparameterStatus
#define PQpipelineSync libpq.PQpipelineSync
#define PQprepare libpq.PQprepare
#define PQregisterEventProc libpq.PQregisterEventProc
#define PQresultErrorField libpq.PQresultErrorField
#define PQresultErrorMessage libpq.PQresultErrorMessage
#define PQresultStatus libpq.PQresultStatus
#define PQsendFlushRequest libpq.PQsendFlushRequest
#define PQsendPrepare libpq.PQsendPrepare
#define PQsendQuery libpq.PQsendQuery
#define PQsendQueryParams libpq.PQsendQueryParams
#define PQsendQueryPrepared libpq.PQsendQueryPrepared
#define PQserverVersion libpq.PQserverVersion
#define PQsetClientEncoding libpq.PQsetClientEncoding
#define PQsetNoticeProcessor libpq.PQsetNoticeProcessor
#define PQsocket libpq.PQsocket
#define PQsslInUse libpq.PQsslInUse
#define PQstatus libpq.PQstatus
#define PQtransactionStatus libpq.PQtransactionStatus
#define PQuser libpq.PQuser

#endif
