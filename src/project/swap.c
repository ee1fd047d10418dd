/* SPDX-License-Identifier: Apache-2.0 */
/* What a build and what it replaces are called, and where they are. */
#include "project/swap.h"

#include <stdio.h>
#include <string.h>

#include "core/json.h"
#include "core/url.h"
#include "sys/alloc.h"

#define SWAP_SCHEMA_MAX 63 /* bytes of a name in PostgreSQL */

bool swap_is_postgres(const struct swap *swap)
{
	return swap->projection->dialect != &sql_dialect_sqlite;
}

void swap_fini(struct swap *swap)
{
	tide_free(swap->url);
	tide_free(swap->beside);
	tide_free(swap->serving);
	tide_free(swap->rows);
	rebuild_row_fini(&swap->row);
}

static bool swap_is_plain(const char *name)
{
	return name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				 "_-@:+")] == '\0';
}

tide_status swap_schema_url(const char *url, const char *schema, char **ret, struct tide_error *err)
{
	struct buffer text = { 0 };
	size_t plain = strcspn(url, "?");
	char mark = '?';

	if (strstr(url, "options="))
		return tide_fail(err, TIDE_UNSUPPORTED,
				 "it needs a URL without 'options', which it sets itself");
	buffer_add(&text, url, plain);
	for (const char *at = url + plain; *at;) {
		size_t size = strcspn(++at, "&");
		if (strncmp(at, "schema=", 7) != 0) {
			buffer_format(&text, "%c%.*s", mark, (int)size, at);
			mark = '&';
		}
		at += size;
	}
	buffer_format(&text, "%cschema=%s&options=-csearch_path%%3D%%22%s%%22", mark, schema,
		      schema);
	return buffer_take(&text, ret, err);
}

static tide_status swap_place_postgres(struct swap *swap, const char *url, struct tide_error *err)
{
	const char *name = swap->projection->name;

	swap->beside = alloc_format("%s_build_%lld", name, (long long)swap->row.build);
	if (!swap->beside)
		return alloc_fail(err);
	if (!swap_is_plain(name) || strlen(swap->beside) > SWAP_SCHEMA_MAX)
		return tide_fail(err, TIDE_ARGUMENT,
				 "'%s' cannot be the name of a schema: letters, digits and _ - @ : "
				 "+, %d bytes with what is added",
				 name, SWAP_SCHEMA_MAX);
	return swap_schema_url(url, swap->beside, &swap->url, err);
}

/* Beside the file, so that what is a slash in the name leads nowhere. */
static tide_status swap_name_file(struct swap *swap, struct tide_error *err)
{
	struct buffer path = { 0 }, url = { 0 };

	buffer_format(&path, "%s-", swap->serving);
	for (const char *at = swap->build; *at; at++)
		buffer_format(&path, *at == '/' || *at == '%' ? "%%%02X" : "%c",
			      (unsigned char)*at);
	tide_status status = buffer_take(&path, &swap->beside, err);
	if (status != TIDE_OK)
		return status;
	buffer_format(&url, "sqlite:");
	for (const char *at = swap->beside; *at; at++)
		buffer_format(&url, strchr("?#%", *at) ? "%%%02X" : "%c", (unsigned char)*at);
	return buffer_take(&url, &swap->url, err);
}

static tide_status swap_place_sqlite(struct swap *swap, const char *url, struct tide_error *err)
{
	struct tide_url parts;
	tide_status status = url_parse(url, &parts, err);

	if (status != TIDE_OK)
		return status;
	if (strcmp(parts.scheme, "sqlite") != 0 || strcmp(parts.rest, ":memory:") == 0)
		status = tide_fail(err, TIDE_UNSUPPORTED,
				   "read models in SQLite files and PostgreSQL are rebuilt beside");
	if (status == TIDE_OK) {
		swap->serving = alloc_text(parts.rest, strlen(parts.rest));
		status = swap->serving ? swap_name_file(swap, err) : alloc_fail(err);
	}
	url_fini(&parts);
	return status;
}

tide_position swap_furthest(const struct swap *swap)
{
	tide_position furthest = 0;
	for (uint32_t i = 0; i < swap->lanes; i++)
		if (swap->rows[i].position > furthest)
			furthest = swap->rows[i].position;
	return furthest;
}

static tide_status swap_name_rows(struct swap *swap, struct tide_error *err)
{
	swap->rows = alloc_zero(swap->lanes, sizeof *swap->rows);
	if (!swap->rows)
		return alloc_fail(err);
	for (uint32_t i = 0; i < swap->lanes; i++)
		if (swap->lanes == 1)
			snprintf(swap->rows[i].name, sizeof swap->rows[i].name, "%s",
				 swap->projection->name);
		else
			snprintf(swap->rows[i].name, sizeof swap->rows[i].name, "%s#%u/%u",
				 swap->projection->name, i, swap->lanes);
	return TIDE_OK;
}

/* As it will be called when it is replaced. */
static size_t swap_old_size(const struct swap *swap)
{
	size_t own = strlen(swap->projection->name);
	return strlen(swap->old) + strlen(swap->rows[swap->lanes - 1].name) - own;
}

tide_status swap_init(struct swap *swap, const struct tide_sql_projection *projection,
		      const char *url, uint32_t lanes, const struct rebuild_row *row,
		      struct tide_error *err)
{
	*swap = (struct swap){ .projection = projection, .row = *row, .lanes = lanes };
	snprintf(swap->build, sizeof swap->build, "%s@%lld", projection->name,
		 (long long)row->build);
	snprintf(swap->old, sizeof swap->old, "%s_old_%lld", projection->name,
		 (long long)row->build);
	tide_status status = swap_name_rows(swap, err);
	if (status != TIDE_OK)
		return status;
	if (swap_old_size(swap) > TIDE_NAME_MAX)
		return tide_fail(err, TIDE_ARGUMENT, "'%s' is too long to be rebuilt beside",
				 projection->name);
	return swap_is_postgres(swap) ? swap_place_postgres(swap, url, err)
				      : swap_place_sqlite(swap, url, err);
}
