/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SQL projections: a subscriber whose handler runs the statements of a file, in the transaction of
 * its checkpoint.
 *
 * Happy path: the file is read and checked; when the subscription's connection opens, init runs and
 * the statements are prepared; each event runs the statements of the sections that name its type,
 * in the order of the file.
 * Failure modes: what is wrong with the file is told before anything runs; a statement that fails
 * fails its event, and the subscription rolls back what the event had written.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "core/url.h"
#include "project/rebuild.h"
#include "project/sql_append.h"
#include "sys/alloc.h"

#define SQL_FILE_SIZE_MAX (16u << 20)

static tide_status sql_execute(struct tide_sql_projection *projection,
			       const struct tide_event *event, void *connection, bool *ret_is_own,
			       struct tide_error *err)
{
	struct sql_script *script = &projection->script;
	tide_status status = TIDE_OK;

	for (size_t i = 0; i < script->section_count && status == TIDE_OK; i++) {
		const struct sql_section *section = &script->sections[i];
		bool is_wanted = sql_section_wants(script, section, event);
		for (size_t j = 0; is_wanted && j < section->count && status == TIDE_OK; j++)
			status = projection->dialect->execute(
				script, &script->statements[section->first + j], connection, event,
				ret_is_own, err);
	}
	return status;
}

/* They go where the event may go: into its dead letter. */
static void sql_keep_words(struct sql_script *script, struct tide_delivery *delivery)
{
	if (script->words)
		tide_delivery_set_stacktrace(delivery, script->words);
	tide_free(script->words);
	script->words = NULL;
}

enum sql_entry sql_entry_of(const struct tide_sql_projection *projection)
{
	return projection->accepts_changes ? SQL_ENTRY_ACCEPT : SQL_ENTRY_START;
}

static tide_status sql_enter(struct tide_sql_projection *projection, void *connection,
			     struct tide_error *err)
{
	return sql_version_enter(&projection->script, projection->dialect, projection->name,
				 sql_entry_of(projection), connection, err);
}

/* What was found to be written to only now. */
static tide_status sql_enter_news(struct tide_sql_projection *projection, void *connection,
				  struct tide_error *err)
{
	return sql_rivals_have_news(&projection->script) ? sql_enter(projection, connection, err)
							 : TIDE_OK;
}

static tide_status sql_handle(void *self, const struct tide_event *event,
			      struct tide_delivery *delivery)
{
	struct tide_sql_projection *projection = self;
	const struct sql_dialect *dialect = projection->dialect;
	void *connection = tide_delivery_connection(delivery);
	struct tide_error err, end;
	bool is_own = false;

	tide_status status =
		dialect->begin ? dialect->begin(&projection->script, connection, &err) : TIDE_OK;
	if (status != TIDE_OK)
		return tide_delivery_fail(delivery, status, "%s", err.message);
	status = sql_execute(projection, event, connection, &is_own, &err);
	tide_status ended =
		dialect->end ? dialect->end(&projection->script, connection, &end) : TIDE_OK;
	sql_keep_words(&projection->script, delivery);
	if (status == TIDE_OK && ended == TIDE_OK)
		ended = sql_enter_news(projection, connection, &end);
	if (status == TIDE_OK && ended == TIDE_OK)
		ended = sql_react(projection, event, delivery, &is_own, &end);
	sql_reactions_clear(&projection->script);
	if (is_own)
		tide_delivery_stop(delivery);
	if (status != TIDE_OK)
		return tide_delivery_fail(delivery, status, "%s", err.message);
	return ended == TIDE_OK ? TIDE_OK : tide_delivery_fail(delivery, ended, "%s", end.message);
}

/* Send what may be on its way at once, and take the answers as they come. `*ret`: events begun. */
static tide_status sql_execute_all(struct tide_sql_projection *projection,
				   const struct tide_event *const *events, size_t count,
				   struct tide_delivery *delivery, size_t *ret,
				   struct tide_error *err)
{
	const struct sql_dialect *dialect = projection->dialect;
	void *connection = tide_delivery_connection(delivery);
	size_t begun = 0, done = 0;
	bool is_own, goes_on = true;
	tide_status status = TIDE_OK;

	while (status == TIDE_OK && begun < count && goes_on) {
		status = sql_execute(projection, events[begun++], connection, &is_own, err);
		if (!dialect->answer)
			done = begun;
		else if (status == TIDE_OK)
			status =
				dialect->answer(&projection->script, connection, false, &done, err);
		goes_on = status == TIDE_OK && tide_delivery_go_on(delivery, done);
	}
	while (status == TIDE_OK && done < begun) {
		status = dialect->answer(&projection->script, connection, true, &done, err);
		(void)tide_delivery_go_on(delivery, done);
	}
	*ret = begun;
	return status;
}

/* How many events at the beginning have nothing to append. */
static size_t sql_count_plain(const struct sql_script *script,
			      const struct tide_event *const *events, size_t count)
{
	size_t plain = 0;

	while (plain < count && !sql_appends_for(script, events[plain]))
		plain++;
	return plain;
}

/* What fails comes again to sql_handle, which says why. One that appends goes by itself. */
static tide_status sql_handle_together(void *self, const struct tide_event *const *events,
				       size_t count, struct tide_delivery *delivery)
{
	struct tide_sql_projection *projection = self;
	struct sql_script *script = &projection->script;
	const struct sql_dialect *dialect = projection->dialect;
	void *connection = tide_delivery_connection(delivery);
	size_t begun = count = sql_count_plain(script, events, count);

	if (count == 0) {
		tide_delivery_take(delivery, 1, 0);
		return sql_handle(self, events[0], delivery);
	}
	tide_status status = dialect->begin ? dialect->begin(script, connection, NULL) : TIDE_OK;
	if (status != TIDE_OK)
		return status;
	status = sql_execute_all(projection, events, count, delivery, &begun, NULL);
	tide_status ended = dialect->end ? dialect->end(script, connection, NULL) : TIDE_OK;
	if (status == TIDE_OK)
		status = ended;
	if (status == TIDE_OK)
		status = sql_enter_news(projection, connection, NULL);
	tide_free(script->words);
	script->words = NULL;
	tide_delivery_take(delivery, begun, 0);
	return status;
}

/* Lanes prepare one at a time, and the first one that does runs init for all. */
static void sql_look_at_lanes(struct tide_sql_projection *projection)
{
	struct tide_sql_projection *whole = projection->whole;
	projection->script.is_made = whole && atomic_load(&whole->is_made);
}

static void sql_note_made(struct tide_sql_projection *projection, bool is_made)
{
	struct tide_sql_projection *whole = projection->whole;
	if (!whole || projection->script.is_made || projection->has_made == is_made)
		return;
	projection->has_made = is_made;
	atomic_store(&whole->is_made, is_made);
}

static tide_status sql_prepare(void *self, void *connection, struct tide_error *err)
{
	struct tide_sql_projection *projection = self;
	sql_look_at_lanes(projection);

	tide_status status =
		sql_rivals_load(&projection->script, projection->dialect, projection->name,
				sql_entry_of(projection), connection, err);
	if (status == TIDE_OK && !projection->accepts_changes)
		status = sql_version_refuse_stale(&projection->script, projection->dialect,
						  projection->name, connection, err);
	if (projection->whole && atomic_load(&projection->script.is_stale))
		atomic_store(&projection->whole->script.is_stale, true);
	if (status == TIDE_OK)
		status = projection->dialect->prepare(&projection->script, connection, err);
	if (status == TIDE_OK)
		status = sql_react_prepare(projection, connection, err);
	if (status == TIDE_OK)
		status = sql_enter(projection, connection, err);
	if (status == TIDE_OK)
		sql_note_made(projection, true);
	return status;
}

static tide_status sql_before_commit(void *self, void *connection, struct tide_error *err)
{
	struct tide_sql_projection *projection = self;

	tide_status status =
		projection->dialect->before_commit(&projection->script, connection, err);
	return status == TIDE_OK ? sql_enter_news(projection, connection, err) : status;
}

static void sql_detach(void *self, void *connection)
{
	struct tide_sql_projection *projection = self;

	projection->dialect->detach(&projection->script, connection);
	sql_note_made(projection, false); /* what it has made may not be committed */
}

static const struct sql_dialect *const sql_dialects[] = {
	&sql_dialect_sqlite,
#ifdef TIDE_HAVE_POSTGRES
	&sql_dialect_postgres,
#endif
};

/* A store wrapped in faults names the real one behind them. Case is no part of a scheme. */
static const char *sql_unwrap(const char *url)
{
	const char *slash;

	while (strncasecmp(url, "fault:", 6) == 0 && (slash = strchr(url, '/')))
		url = slash + 1;
	return url;
}

static bool sql_is_scheme(const char *url, const char *scheme)
{
	size_t size = scheme ? strlen(scheme) : 0;

	return scheme && strncasecmp(url, scheme, size) == 0 && url[size] == ':';
}

static const struct sql_dialect *sql_dialect_find(const char *url)
{
	const char *inner = url ? sql_unwrap(url) : NULL;

	for (size_t i = 0; i < sizeof sql_dialects / sizeof *sql_dialects; i++)
		if (!inner || sql_is_scheme(inner, sql_dialects[i]->scheme) ||
		    sql_is_scheme(inner, sql_dialects[i]->alias))
			return sql_dialects[i];
	return NULL;
}

/* What is no URL may be a connection string: its scheme alone is shown. */
static tide_status sql_fail_url(const char *text, struct tide_error *err)
{
	struct tide_url url;
	tide_status status = url_parse(text, &url, err);
	if (status != TIDE_OK)
		return status;
	status = tide_fail(err, TIDE_UNSUPPORTED,
			   "a SQL projection needs a SQL database; '%s:' is none", url.scheme);
	url_fini(&url);
	return status;
}

/* Editors of other systems put a byte order mark (U+FEFF) in front of UTF-8. */
static void sql_pass_mark(struct sql_script *script)
{
	if (script->size < 3 || memcmp(script->text, "\xef\xbb\xbf", 3) != 0)
		return;
	script->size -= 3;
	memmove(script->text, script->text + 3, script->size + 1);
}

static tide_status sql_read_file(struct sql_script *script, struct tide_error *err)
{
	FILE *file = fopen(script->path, "re");
	tide_status status = TIDE_OK;

	if (!file)
		return tide_fail(err, errno == ENOENT ? TIDE_NOT_FOUND : TIDE_IO, "'%s': %s",
				 script->path, strerror(errno));
	for (size_t capacity = 0; status == TIDE_OK && !feof(file);) {
		if (script->size + 1 >= capacity) {
			capacity = capacity ? 2 * capacity : 8192;
			char *text = capacity > SQL_FILE_SIZE_MAX
					     ? NULL
					     : alloc_resize(script->text, capacity, 1);
			if (!text) {
				status = capacity > SQL_FILE_SIZE_MAX
						 ? tide_fail(err, TIDE_ARGUMENT,
							     "'%s' is too long for SQL",
							     script->path)
						 : alloc_fail(err);
				break;
			}
			script->text = text;
		}
		script->size +=
			fread(script->text + script->size, 1, capacity - script->size - 1, file);
		script->text[script->size] = '\0';
		if (ferror(file))
			status = tide_fail(err, TIDE_IO, "'%s': %s", script->path, strerror(errno));
	}
	fclose(file);
	sql_pass_mark(script);
	return status;
}

static tide_status sql_read(struct tide_sql_projection *projection,
			    const struct tide_sql_projection_options *options,
			    struct tide_error *err)
{
	struct sql_script *script = &projection->script;

	script->path = projection->path;
	script->read_at = tide_time_now();
	if (!options->text)
		return sql_read_file(script, err);
	script->size = strlen(options->text);
	script->text = alloc_text(options->text, script->size);
	return script->text ? TIDE_OK : alloc_fail(err);
}

static tide_status sql_name(struct tide_sql_projection *projection,
			    const struct tide_sql_projection_options *options,
			    struct tide_error *err)
{
	const char *path = options->path ? options->path : options->name,
		   *slash = strrchr(path, '/');
	const char *name = options->name ? options->name : slash ? slash + 1 : path;
	size_t size = strlen(name);

	if (!options->name && size > 4 && strcmp(name + size - 4, ".sql") == 0)
		size -= 4;
	projection->path = alloc_text(path, strlen(path));
	projection->name = alloc_text(name, size);
	return projection->path && projection->name ? TIDE_OK : alloc_fail(err);
}

/* Its subscription may run meanwhile: the text is read once more, for this alone. */
static tide_status sql_empty(void *self, void *connection, tide_position end,
			     struct tide_error *err)
{
	const struct tide_sql_projection *projection = self;
	TIDE_CLEANUP(tide_sql_projection_close) struct tide_sql_projection *again = NULL;
	ALLOC_AUTO char *url = alloc_format("%s:", projection->dialect->scheme);
	if (!url)
		return alloc_fail(err);

	tide_status status = tide_sql_projection_open(
		TIDE_SQL_PROJECTION(.path = projection->path, .name = projection->name,
				    .text = projection->script.text, .url = url),
		&again, err);
	return status == TIDE_OK ? rebuild_empty(again, connection, end, err) : status;
}

/* Each lane has the statements of its own connection, of the text that was read once. */
static tide_status sql_open_lane(void *self, struct tide_lane lane, void **ret,
				 struct tide_error *err)
{
	struct tide_sql_projection *whole = self, *own;
	char url[32];
	snprintf(url, sizeof url, "%s:", whole->dialect->scheme);
	tide_status status = tide_sql_projection_open(
		TIDE_SQL_PROJECTION(.path = whole->path, .name = whole->name,
				    .text = whole->script.text, .url = url,
				    .accept_changes = whole->accepts_changes),
		&own, err);
	if (status != TIDE_OK)
		return status;
	own->whole = whole;
	own->script.row = alloc_format("%s#%u/%u", whole->name, lane.index, lane.total);
	if (!own->script.row) {
		tide_sql_projection_close(own);
		return alloc_fail(err);
	}
	own->script.read_at = whole->script.read_at;
	*ret = own;
	return TIDE_OK;
}

static void sql_close_lane(void *self)
{
	tide_sql_projection_close(self);
}

static struct tide_subscriber sql_subscriber(struct tide_sql_projection *projection)
{
	const struct sql_script *script = &projection->script;
	bool wants_all = false;

	for (size_t i = 0; i < script->section_count; i++)
		wants_all |= script->sections[i].is_all;
	return (struct tide_subscriber){
		.name = projection->name,
		.self = projection,
		.event_types = wants_all ? NULL : script->types,
		.handle = sql_handle,
		.handle_together = sql_handle_together,
		.transactional = true,
		.appends = script->append_count > 0,
		.prepare = sql_prepare,
		.detach = sql_detach,
		.before_commit = projection->dialect->before_commit ? sql_before_commit : NULL,
		.empty = sql_empty,
		.lane_open = sql_open_lane,
		.lane_close = sql_close_lane,
		.is_prompt = true,
	};
}

tide_status tide_sql_projection_open(const struct tide_sql_projection_options *options,
				     struct tide_sql_projection **ret, struct tide_error *err)
{
	struct tide_sql_projection *projection;
	tide_status status;

	if (!options || !ret || (options->text ? !options->path && !options->name : !options->path))
		return tide_fail(err, TIDE_ARGUMENT,
				 "a SQL projection needs a path, or a text and a name");
	const struct sql_dialect *dialect = sql_dialect_find(options->url);
	if (!dialect)
		return sql_fail_url(options->url, err);
	projection = alloc_zero(1, sizeof *projection);
	if (!projection)
		return alloc_fail(err);
	projection->dialect = dialect;
	projection->accepts_changes = options->accept_changes;
	status = sql_name(projection, options, err);
	if (status == TIDE_OK)
		status = sql_read(projection, options, err);
	if (status == TIDE_OK)
		status = sql_parse(&projection->script, dialect, err);
	if (status == TIDE_OK)
		status = dialect->check(&projection->script, err);
	if (status != TIDE_OK) {
		tide_sql_projection_close(projection);
		return status;
	}
	projection->subscriber = sql_subscriber(projection);
	*ret = projection;
	return TIDE_OK;
}

void tide_sql_projection_close(struct tide_sql_projection *projection)
{
	if (!projection)
		return;
	sql_script_fini(&projection->script);
	tide_free(projection->name);
	tide_free(projection->path);
	tide_free(projection);
}

const struct tide_subscriber *
tide_sql_projection_subscriber(const struct tide_sql_projection *projection)
{
	return projection ? &projection->subscriber : NULL;
}
