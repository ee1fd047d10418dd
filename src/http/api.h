/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_HTTP_API_H
#define TIDE_HTTP_API_H

/* What the routes of the API share: which store, what the query and the body say, pages. */

#include <tidemark/control.h>

#include "http/http.h"

#define API_PAGE 100             /* rows of a page that names no limit */
#define API_PAGE_MAX 1000        /* rows of any page */
#define API_PAGE_BYTES (4 << 20) /* a page ends behind the row that makes it longer */

/** A call on one store, which is pinned meanwhile. */
struct api_call {
	struct http_job *job;
	struct http_pins pins;
	const struct http_pin *pin;
	struct tide_manager *manager;
	struct tide_store *store;
	struct tide_checkpoints *checkpoints;
};
/** Take the store that the query names, or the only one; false: the reply says why not. */
bool api_begin(struct http_job *job, struct api_call *ret);
/** The same, and where none is named that of the subscription in the path. */
bool api_begin_for(struct http_job *job, const char *name, struct api_call *ret);
void api_end(struct api_call *call);

/* ---- What the query says; false: the reply says what is wrong with it ------------------------ */

bool api_number(struct http_job *job, const char *name, int64_t least, int64_t most,
		struct tide_bound *ret);
/** The rows of a page. */
bool api_limit(struct http_job *job, int64_t *ret);
/** `*ret_is_set` tells whether it is there. */
bool api_time(struct http_job *job, const char *name, struct tide_time *ret, bool *ret_is_set);
bool api_uuid(struct http_job *job, const char *name, struct tide_uuid *ret, bool *ret_is_set);
/** One of these words, which end in NULL; without it the first one. */
bool api_word(struct http_job *job, const char *name, const char *const *words, int *ret);
/** All values of a parameter, borrowed, as a list that ends in NULL. */
void api_list(const struct http_job *job, const char *name,
	      const char *ret[TARGET_PARAMETERS_MAX + 1]);
/** The stream of the path: TYPE, and a UUID or `name:anything`. */
bool api_stream(struct http_job *job, size_t part, struct tide_stream *ret);

/* ---- What the body says ---------------------------------------------------------------------- */

/** A member of the body that is a text. */
struct api_member {
	const char *name;
	char *text; /* NULL: absent; else to be released */
};
/** Read a body that is empty, or one object of texts; what is no member of the list is wrong. */
bool api_body(struct http_job *job, struct api_member *members, size_t count);
/** Who does it and why: `by`, `note`, `reason` of the body; the texts are in `members`. */
#define API_REQUEST_MEMBERS 3
bool api_request(struct http_job *job, struct api_member members[API_REQUEST_MEMBERS],
		 struct tide_control_request *ret);
void api_free_members(struct api_member *members, size_t count);

/* ---- Answers --------------------------------------------------------------------------------- */

/** Fail for an argument: 422. */
bool api_refuse(struct http_job *job, const char *format, ...) TIDE_PRINTF(2, 3);
/** Begin a body of JSON with status 200. */
struct buffer *api_answer(struct http_job *job);
/** End it with a line feed. */
void api_close(struct http_job *job);
/** Add a JSON object of the library, with a member `store` where there are several; takes it. */
void api_add_object(struct buffer *body, char *json, const char *store);

#endif
