/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_CONFIG_CONFIG_H
#define TIDE_CONFIG_CONFIG_H

/*
 * The configuration of `tide run`: one INI file as values, or everything that is wrong with it.
 *
 * Happy path: config_load reads the file, expands variables, reads values, checks rules, and reads
 * the SQL that projections name; nothing is opened. Failure modes: each problem is kept with its
 * line, so that all of them are told at once, in order.
 */

#include <tidemark/command_projection.h>
#include <tidemark/health.h>
#include <tidemark/log.h>
#include <tidemark/sql_projection.h>

#include "core/json.h"

#define CONFIG_COMPONENTS_MAX 16

/** What is logged: a level for all components, and for some their own. */
struct log_levels {
	enum tide_log_level level;
	bool has_own[CONFIG_COMPONENTS_MAX]; /* by the order of config_components */
	enum tide_log_level own[CONFIG_COMPONENTS_MAX];
};
extern const char *const config_components[]; /* ends in NULL */
/** Whether a line of a component is to be written. */
bool log_levels_want(const struct log_levels *levels, const char *component,
		     enum tide_log_level level);
/** The lowest level that any component wants. */
enum tide_log_level log_levels_least(const struct log_levels *levels);

/** What is shown over HTTP, and to whom. */
struct config_http {
	char *address; /* NULL: nothing is */
	char *token_file, *read_token_file;
	char *token, *read_token; /* what is in them */
	char *tls_certificate;    /* NULL: no TLS */
	char *tls_key;            /* NULL: in the same file */
};

/** [daemon] */
struct config_daemon {
	struct log_levels levels;
	bool is_json;
	double shutdown_timeout, drain_timeout, lease_seconds;
	struct config_http http;
};

/** [store NAME] */
struct config_store {
	char *name;
	int line;
	char *url;
	char *into;          /* NULL: the store's own */
	int64_t connections; /* stands in the URLs, too; 0: the database's own default */
};

/** [projection NAME] */
struct config_projection {
	char *name;
	int line;
	char *store;
	char *file;
	struct tide_subscription_config config;
	const char **lists[3]; /* what its lists point to; one block each */
	struct tide_uuid tenant;
	const char **command; /* one block; NULL: it has a file */
	int64_t window;       /* 0: not set */
	bool is_batch;
	struct tide_sql_projection *sql; /* one of these two */
	struct tide_command_projection *program;
	/* everything that was said of it, and its SQL: differs when it has changed */
	struct buffer text;
};

struct config {
	struct config_daemon daemon;
	struct tide_health_config health;
	struct config_store *stores;
	size_t store_count;
	struct config_projection **projections; /* a member may be taken, and is NULL then */
	size_t projection_count;
};

/** What is wrong with a file, by line. */
struct problems {
	const char *file;
	struct problem {
		int line;
		char *text;
	} * items;
	size_t count;
	bool failed; /* memory is out */
};
/** Add `[section] key: text`; `key` may be NULL. */
void problems_add(struct problems *problems, int line, const char *section, const char *key,
		  const char *format, ...) TIDE_PRINTF(5, 6);
/** By line; those of one line stay in order. */
void problems_sort(struct problems *problems);
void problems_fini(struct problems *problems);

/** Read a configuration; relative paths are relative to the working directory. TIDE_OK,
 * TIDE_ARGUMENT with the problems, TIDE_NOT_FOUND, TIDE_IO, TIDE_OUT_OF_MEMORY. On failure `*ret`
 * is untouched. */
tide_status config_load(const char *path, struct config *ret, struct problems *problems,
			struct tide_error *err);
void config_fini(struct config *config);
void config_http_fini(struct config_http *http);
void config_projection_free(struct config_projection *projection);
const struct config_store *config_find_store(const struct config *config, const char *name);

/* ---- token.c ---- */

/** Read the token of a file that is its owner's alone. TIDE_ARGUMENT, TIDE_NOT_FOUND, TIDE_IO,
 * TIDE_OUT_OF_MEMORY. */
tide_status token_read(const char *path, char **ret, struct tide_error *err);

/* ---- certificate.c ---- */

/** Whether TLS can be spoken as it is asked for; `*ret_key` is which key is wrong. */
tide_status certificate_check(const struct config_http *http, const char **ret_key,
			      struct tide_error *err);

/* ---- ini.c: lines ---- */

/** Called for a line: a section begins (`key` NULL), or a key of it has a value. The texts are of
 * the call. */
typedef void ini_line(void *self, int line, const char *section, const char *key,
		      const char *value);
/** Take a text apart, which is changed; lines that are neither are problems. */
void ini_read(char *text, size_t size, struct problems *problems, ini_line *call, void *self);

/* ---- value.c: what settings are made of ---- */

enum setting_kind {
	SETTING_TEXT,
	SETTING_SECONDS,
	SETTING_REAL,
	SETTING_COUNT,
	SETTING_FLAG,
	SETTING_LEVELS,
	SETTING_FORMAT,
	SETTING_FROM,
	SETTING_ON_ERROR,
	SETTING_HOLD,
	SETTING_WORDS
};

/** One key of a section. */
struct setting {
	const char *section, *key;
	enum setting_kind kind;
	size_t place; /* of its value in the section's struct */
	const char *fallback, *text;
};
extern const struct setting settings[];
extern const size_t setting_count;
const struct setting *setting_find(const char *section, const char *key);
/** TIDE_ARGUMENT with what is wrong with the text; TIDE_OUT_OF_MEMORY. */
tide_status setting_read(const struct setting *setting, const char *text, void *section,
			 struct tide_error *err);
/** Names between commas, in one block that ends in NULL. */
tide_status value_read_list(const char *text, const char ***ret, struct tide_error *err);
/** Words between blanks, with quotes and backslashes as a shell has them and nothing else of it; in
 * one block that ends in NULL. TIDE_ARGUMENT, TIDE_OUT_OF_MEMORY. */
tide_status value_read_words(const char *text, const char ***ret, struct tide_error *err);
/** Put in what ${VARIABLE} and ${VARIABLE:-default} stand for. TIDE_ARGUMENT,
 * TIDE_OUT_OF_MEMORY. */
tide_status value_expand(const char *text, char **ret, struct tide_error *err);
tide_status log_levels_read(const char *text, struct log_levels *ret, struct tide_error *err);

#endif
