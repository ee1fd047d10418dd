/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A projection's file taken apart, before any database sees it.
 *
 * A scanner knows just enough SQL to tell statements, parameters and section lines from what stands
 * in strings, quoted names and comments. A section line between statements begins a section; one
 * inside a string is text. Everything that can be wrong is found here with its line.
 */
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "core/json.h"
#include "project/sql_append.h"
#include "sys/alloc.h"

enum token_kind {
	TOKEN_END,
	TOKEN_SPACE,
	TOKEN_COMMENT,
	TOKEN_QUOTED,
	TOKEN_PARAMETER,
	TOKEN_SEMICOLON,
	TOKEN_WORD,
	TOKEN_OTHER,
	TOKEN_UNCLOSED
};

struct token {
	enum token_kind kind;
	const char *text;
	size_t size;
	size_t line;
	bool is_first; /* nothing but blanks before it in its line */
};

/** Where a statement that makes a table stands. */
enum made { MADE_LOOK, MADE_KIND, MADE_VIEW, MADE_NAME, MADE_DOT, MADE_OVER };

/** A parse in progress. */
struct parser {
	struct sql_script *script;
	const struct sql_dialect *dialect;
	struct tide_error *err;
	size_t at, line;
	bool is_line_start;
	struct sql_section *section;     /* NULL: before the first */
	struct sql_statement *statement; /* NULL: between two */
	size_t append;                   /* line of one that waits for its statement; 0: none */
	enum made made;                  /* of this statement */
	struct token made_schema, made_name;
};

static tide_status parse_fail(const struct parser *parser, size_t line, const char *format, ...)
	TIDE_PRINTF(3, 4);

static tide_status parse_fail(const struct parser *parser, size_t line, const char *format, ...)
{
	char message[400];
	va_list list;

	va_start(list, format);
	vsnprintf(message, sizeof message, format, list);
	va_end(list);
	return tide_fail(parser->err, TIDE_ARGUMENT, "'%s' line %zu: %s", parser->script->path,
			 line, message);
}

static bool is_word(char c)
{
	return isalnum((unsigned char)c) || c == '_' || (unsigned char)c >= 0x80;
}

static size_t scan_word(const char *text)
{
	size_t size = 0;

	while (is_word(text[size]))
		size++;
	return size;
}

/* Quoted text closes with the same character; doubled it stands for itself. 0: not closed. */
static size_t scan_quoted(const char *text, char close)
{
	size_t size = 1;

	for (;; size++) {
		if (text[size] == '\0')
			return 0;
		if (text[size] != close)
			continue;
		if (close == ']' || text[size + 1] != close)
			return size + 1;
		size++;
	}
}

static size_t scan_block_comment(const char *text, bool nests)
{
	size_t size = 2, depth = 1;

	while (text[size]) {
		if (text[size] == '*' && text[size + 1] == '/') {
			size += 2;
			if (--depth == 0)
				return size;
		} else if (nests && text[size] == '/' && text[size + 1] == '*') {
			size += 2;
			depth++;
		} else {
			size++;
		}
	}
	return 0;
}

/* $tag$ ... $tag$; 0: no such quote begins here, SIZE_MAX: it is not closed. */
static size_t scan_dollar_quote(const char *text)
{
	size_t tag = 1 + scan_word(text + 1);

	if (text[tag] != '$' || isdigit((unsigned char)text[1]))
		return 0;
	tag++;
	for (size_t size = tag; text[size]; size++)
		if (strncmp(text + size, text, tag) == 0)
			return size + tag;
	return SIZE_MAX;
}

static struct token scan_special(const struct parser *parser, const char *text)
{
	const struct sql_dialect *dialect = parser->dialect;
	size_t size;

	if (text[0] == '\'' || text[0] == '"' ||
	    (dialect->has_brackets && (text[0] == '`' || text[0] == '['))) {
		size = scan_quoted(text, text[0] == '[' ? ']' : text[0]);
		return (struct token){ size ? TOKEN_QUOTED : TOKEN_UNCLOSED, text, size, 0, false };
	}
	if (text[0] == '-' && text[1] == '-')
		return (struct token){ TOKEN_COMMENT, text, strcspn(text, "\n"), 0, false };
	if (text[0] == '/' && text[1] == '*') {
		size = scan_block_comment(text, dialect->has_dollar_quotes);
		return (struct token){ size ? TOKEN_COMMENT : TOKEN_UNCLOSED, text, size, 0,
				       false };
	}
	if (text[0] == '$' && dialect->has_dollar_quotes && (size = scan_dollar_quote(text)))
		return (struct token){ size != SIZE_MAX ? TOKEN_QUOTED : TOKEN_UNCLOSED, text, size,
				       0, false };
	if (text[0] == ':' && text[1] == ':')
		return (struct token){ TOKEN_OTHER, text, 2, 0, false };
	if (text[0] == ':' && is_word(text[1]))
		return (struct token){ TOKEN_PARAMETER, text, 1 + scan_word(text + 1), 0, false };
	return (struct token){ text[0] == ';' ? TOKEN_SEMICOLON : TOKEN_OTHER, text, 1, 0, false };
}

static struct token scan_next(struct parser *parser)
{
	const char *text = parser->script->text + parser->at;
	struct token token = { TOKEN_END, text, 0, 0, false };

	if (*text == '\0')
		token.kind = TOKEN_END;
	else if (isspace((unsigned char)*text))
		token = (struct token){ TOKEN_SPACE, text, strspn(text, " \t\r\n\f\v"), 0, false };
	else if (is_word(*text))
		token = (struct token){ TOKEN_WORD, text, scan_word(text), 0, false };
	else
		token = scan_special(parser, text);
	token.line = parser->line;
	token.is_first = parser->is_line_start;
	for (size_t i = 0; token.kind != TOKEN_UNCLOSED && i < token.size; i++)
		parser->line += text[i] == '\n';
	/* a run of blanks that holds a line end begins a line; other tokens end its beginning */
	if (token.kind == TOKEN_SPACE)
		parser->is_line_start |= memchr(text, '\n', token.size) != NULL;
	else
		parser->is_line_start = false;
	parser->at += token.size;
	return token;
}

static void *parse_grow(void *array, size_t count, size_t size)
{
	return count % 16 ? array : alloc_resize(array, count + 16, size);
}

static tide_status parse_add_section(struct parser *parser, enum sql_section_kind kind, size_t line)
{
	struct sql_script *script = parser->script;
	struct sql_section *sections =
		parse_grow(script->sections, script->section_count, sizeof *sections);

	if (!sections)
		return alloc_fail(parser->err);
	script->sections = sections;
	parser->section = &sections[script->section_count++];
	*parser->section = (struct sql_section){ .kind = kind,
						 .line = line,
						 .type = script->type_count,
						 .first = script->statement_count };
	return TIDE_OK;
}

static void parse_fold(uint64_t *hash, const char *text, size_t size);

static tide_status parse_add_type(struct parser *parser, char *name, size_t size)
{
	struct sql_script *script = parser->script;
	const char **types;

	parse_fold(&script->statements_hash, name, size);
	if (size == 1 && *name == '*') {
		parser->section->is_all = true;
		return TIDE_OK;
	}
	for (size_t i = 0; i < size; i++)
		if (!isalnum((unsigned char)name[i]) && !strchr("_.-", name[i]))
			return parse_fail(parser, parser->section->line, "'%.*s' is no event type",
					  (int)size, name);
	if (size == 0 || size > TIDE_NAME_MAX)
		return parse_fail(parser, parser->section->line,
				  "'on:' names event types, separated by commas, or *");
	types = parse_grow(script->types, script->type_count, sizeof *types);
	if (!types)
		return alloc_fail(parser->err);
	script->types = types;
	char *copy = alloc_text(name, size);
	if (!copy)
		return alloc_fail(parser->err);
	script->types[script->type_count++] = copy;
	parser->section->types++;
	return TIDE_OK;
}

static tide_status parse_types(struct parser *parser, const char *text, size_t size)
{
	const char *end = text + size;

	for (;;) {
		while (text < end && isspace((unsigned char)*text))
			text++;
		const char *comma = memchr(text, ',', (size_t)(end - text));
		const char *stop = comma ? comma : end;
		size_t name = (size_t)(stop - text);
		while (name > 0 && isspace((unsigned char)text[name - 1]))
			name--;
		tide_status status = parse_add_type(parser, (char *)text, name);
		if (status != TIDE_OK || !comma)
			return status;
		text = comma + 1;
	}
}

/* Whether what stands behind an unknown `word:` looks like event types, so that it was meant as a
 * section. */
static bool parse_looks_like_types(const char *text, size_t size)
{
	bool is_behind_name = false;

	for (size_t i = 0; i < size; i++) {
		bool is_name = isalnum((unsigned char)text[i]) || strchr("_.-*", text[i]);
		if (!is_name && text[i] != ',' && !isspace((unsigned char)text[i]))
			return false;
		/* two words without a comma between them are prose */
		if (is_name && is_behind_name && i > 0 && isspace((unsigned char)text[i - 1]))
			return false;
		is_behind_name = is_name || (is_behind_name && text[i] != ',');
	}
	return true;
}

static tide_status parse_end_statement(struct parser *parser, const char *end, bool has_semicolon);

static tide_status parse_check_append(const struct parser *parser)
{
	return parser->append ? parse_fail(parser, parser->append,
					   "there is no statement below this 'append:'")
			      : TIDE_OK;
}

/* The statement below it gives the events. */
static tide_status parse_append(struct parser *parser, const struct token *token, const char *rest,
				size_t size)
{
	tide_status status = parse_check_append(parser);
	if (status != TIDE_OK)
		return status;
	if (!parser->section || parser->section->kind != SQL_ON)
		return parse_fail(parser, token->line, "'append:' outside an on: section");
	parse_fold(&parser->script->statements_hash, "append:", 7);
	parse_fold(&parser->script->statements_hash, rest, size);
	parser->append = token->line;
	return sql_append_read(parser->script, token->line, rest, size, parser->err);
}

/* A comment line `-- word: ...` may be a section, or say where rows go; `*ret` tells whether it
 * does. */
static tide_status parse_section_line(struct parser *parser, const struct token *token, bool *ret)
{
	enum { KIND_APPEND = SQL_RESET + 1, KIND_COUNT };
	static const char *const kinds[] = { [SQL_ON] = "on",
					     [SQL_INIT] = "init",
					     [SQL_RESET] = "reset",
					     [KIND_APPEND] = "append" };
	const char *text = token->text + 2, *end = token->text + token->size;
	tide_status status;
	size_t kind = 0;

	*ret = false;
	while (text < end && (*text == ' ' || *text == '\t'))
		text++;
	size_t word = scan_word(text);
	if (word == 0 || text + word >= end || text[word] != ':')
		return TIDE_OK;
	const char *rest = text + word + 1;
	while (kind < KIND_COUNT &&
	       !(strlen(kinds[kind]) == word && strncasecmp(text, kinds[kind], word) == 0))
		kind++;
	if (kind == KIND_COUNT && !parse_looks_like_types(rest, (size_t)(end - rest)))
		return TIDE_OK;
	if (kind == KIND_COUNT)
		return parse_fail(
			parser, token->line,
			"unknown section '%.*s:'; there are on:, init:, reset: and append:",
			(int)word, text);
	*ret = true;
	status = parser->statement ? parse_end_statement(parser, token->text, false) : TIDE_OK;
	if (status == TIDE_OK && kind == KIND_APPEND)
		return parse_append(parser, token, rest, (size_t)(end - rest));
	if (status == TIDE_OK)
		status = parse_check_append(parser);
	if (status == TIDE_OK)
		status = parse_add_section(parser, (enum sql_section_kind)kind, token->line);
	if (status == TIDE_OK && kind == SQL_ON)
		return parse_types(parser, rest, (size_t)(end - rest));
	while (status == TIDE_OK && rest < end)
		if (!isspace((unsigned char)*rest++))
			return parse_fail(parser, token->line, "'%s:' stands alone in its line",
					  kinds[kind]);
	return status;
}

/* ---- What a file makes, and whether it is the same file -------------------------------------- */

/* FNV-1a over tokens, each with a NUL behind it: blanks and comments do not count. */
static void parse_fold(uint64_t *hash, const char *text, size_t size)
{
	for (size_t i = 0; i <= size; i++)
		*hash = (*hash ^ (i < size ? (unsigned char)text[i] : 0)) * UINT64_C(1099511628211);
}

static bool parse_is(const struct token *token, const char *word)
{
	return token->kind == TOKEN_WORD && strlen(word) == token->size &&
	       strncasecmp(word, token->text, token->size) == 0;
}

/* A name as the database knows it, a quote in quotes once; names that differ in case only are the
 * same where quotes do not keep it. */
static void parse_name(const struct parser *parser, const struct token *token, struct buffer *ret)
{
	bool is_quoted = token->kind == TOKEN_QUOTED;
	size_t at = ret->size;

	for (size_t i = is_quoted; i + is_quoted < token->size; i++) {
		buffer_add(ret, token->text + i, 1);
		i += is_quoted && token->text[i] == token->text[0] && token->text[0] != '[';
	}
	for (; !ret->failed && (!is_quoted || parser->dialect->has_brackets) && at < ret->size;
	     at++)
		ret->data[at] = (char)tolower((unsigned char)ret->data[at]);
}

static tide_status parse_add_table(struct parser *parser)
{
	struct sql_script *script = parser->script;
	struct buffer name = { 0 };
	char *text;

	if (parser->made_schema.size &&
	    !(parser->dialect->has_brackets && parse_is(&parser->made_schema, "main"))) {
		parse_name(parser, &parser->made_schema, &name);
		buffer_add(&name, ".", 1);
	}
	parse_name(parser, &parser->made_name, &name);
	tide_status status = buffer_take(&name, &text, parser->err);
	if (status != TIDE_OK)
		return status;
	char **tables = parse_grow(script->tables, script->table_count, sizeof *tables);
	if (!tables) {
		tide_free(text);
		return alloc_fail(parser->err);
	}
	script->tables = tables;
	script->tables[script->table_count++] = text;
	return TIDE_OK;
}

/* CREATE [kind] TABLE [IF NOT EXISTS] [schema.]name, and materialized views; what is temporary is
 * nobody's. */
static enum made parse_made_next(struct parser *parser, const struct token *token)
{
	static const char *const kinds[] = { "UNLOGGED", "VIRTUAL", "FOREIGN", "OR", "REPLACE" };
	bool is_name = token->kind == TOKEN_WORD || token->kind == TOKEN_QUOTED;

	switch (parser->made) {
	case MADE_LOOK:
		return parse_is(token, "CREATE") ? MADE_KIND : MADE_OVER;
	case MADE_KIND:
		for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
			if (parse_is(token, kinds[i]))
				return MADE_KIND;
		return parse_is(token, "TABLE")          ? MADE_NAME
		       : parse_is(token, "MATERIALIZED") ? MADE_VIEW
							 : MADE_OVER;
	case MADE_VIEW:
		return parse_is(token, "VIEW") ? MADE_NAME : MADE_OVER;
	case MADE_NAME:
		if (parse_is(token, "IF") || parse_is(token, "NOT") || parse_is(token, "EXISTS"))
			return MADE_NAME;
		parser->made_name = *token;
		return is_name ? MADE_DOT : MADE_OVER;
	case MADE_DOT:
		if (token->kind != TOKEN_OTHER || *token->text != '.')
			return MADE_OVER;
		parser->made_schema = parser->made_name;
		return MADE_NAME;
	case MADE_OVER:
		break;
	}
	return MADE_OVER;
}

static tide_status parse_note(struct parser *parser, const struct token *token)
{
	struct sql_script *script = parser->script;
	enum made before = parser->made;

	if (parser->section->kind == SQL_RESET)
		return TIDE_OK;
	parse_fold(parser->section->kind == SQL_INIT ? &script->init_hash
						     : &script->statements_hash,
		   token->text, token->size);
	if (parser->section->kind != SQL_INIT)
		return TIDE_OK;
	parser->made = parse_made_next(parser, token);
	return before == MADE_DOT && parser->made == MADE_OVER ? parse_add_table(parser) : TIDE_OK;
}

/* ---- Statements ------------------------------------------------------------------------------ */

static tide_status parse_begin_statement(struct parser *parser, const struct token *token)
{
	struct sql_script *script = parser->script;
	struct sql_statement *statements;

	if (!parser->section)
		return parse_fail(
			parser, token->line,
			"a statement before the first section, such as '-- on: OrderPlaced'");
	for (size_t i = 0; token->kind == TOKEN_WORD && parser->dialect->forbidden[i]; i++) {
		const char *word = parser->dialect->forbidden[i];
		if (strlen(word) == token->size && strncasecmp(word, token->text, token->size) == 0)
			return parse_fail(
				parser, token->line,
				"%s is not allowed: the transaction is the subscription's", word);
	}
	statements = parse_grow(script->statements, script->statement_count, sizeof *statements);
	if (!statements)
		return alloc_fail(parser->err);
	script->statements = statements;
	parser->statement = &statements[script->statement_count++];
	*parser->statement = (struct sql_statement){ .text = token->text,
						     .line = token->line,
						     .parameter = script->parameter_count };
	if (parser->append)
		parser->statement->append = script->append_count;
	parser->append = 0;
	parser->section->count++;
	parser->made = MADE_LOOK;
	parser->made_schema = (struct token){ 0 };
	return TIDE_OK;
}

/* SQLite's triggers hold semicolons: only the dialect knows whether a statement is whole. It wants
 * text that ends in a NUL. */
static tide_status parse_is_complete(const struct parser *parser, size_t size, bool has_semicolon,
				     bool *ret)
{
	ALLOC_AUTO char *copy = alloc_format("%.*s%s", (int)size, parser->statement->text,
					     has_semicolon ? "" : "\n;");

	if (!copy)
		return alloc_fail(parser->err);
	*ret = parser->dialect->is_complete(copy);
	return TIDE_OK;
}

static tide_status parse_end_statement(struct parser *parser, const char *end, bool has_semicolon)
{
	struct sql_statement *statement = parser->statement;
	size_t size = (size_t)(end - statement->text);
	bool is_complete = false;

	tide_status status = parse_is_complete(parser, size, has_semicolon, &is_complete);
	if (status != TIDE_OK)
		return status;
	if (!is_complete && has_semicolon)
		return TIDE_OK; /* it goes on behind the semicolon */
	if (!is_complete)
		return parse_fail(parser, statement->line, "this statement does not end");
	statement->size = size;
	parser->statement = NULL;
	return TIDE_OK;
}

static tide_status parse_parameter(struct parser *parser, const struct token *token)
{
	if (parser->section->kind != SQL_ON)
		return parse_fail(parser, token->line, "parameter '%.*s' outside an on: section",
				  (int)token->size, token->text);

	enum sql_field field = sql_field_find(token->text + 1, token->size - 1);
	if (field == SQL_FIELD_COUNT)
		return parse_fail(parser, token->line, "unknown parameter '%.*s'", (int)token->size,
				  token->text);

	struct sql_script *script = parser->script;
	struct sql_parameter *parameters =
		parse_grow(script->parameters, script->parameter_count, sizeof *parameters);
	if (!parameters)
		return alloc_fail(parser->err);

	script->parameters = parameters;
	parameters[script->parameter_count++] =
		(struct sql_parameter){ token->text, token->size, field };
	parser->statement->parameters++;
	return TIDE_OK;
}

static tide_status parse_token(struct parser *parser, const struct token *token)
{
	bool is_section = false;
	tide_status status = TIDE_OK;

	switch (token->kind) {
	case TOKEN_UNCLOSED:
		return parse_fail(parser, token->line, "%.2s is not closed", token->text);
	case TOKEN_COMMENT:
		if (token->is_first && token->text[0] == '-')
			status = parse_section_line(parser, token, &is_section);
		return status;
	case TOKEN_SEMICOLON:
		return parser->statement ? parse_end_statement(parser, token->text + 1, true)
					 : TIDE_OK;
	case TOKEN_SPACE:
	case TOKEN_END:
		return TIDE_OK;
	case TOKEN_QUOTED:
	case TOKEN_PARAMETER:
	case TOKEN_WORD:
	case TOKEN_OTHER:
		break;
	}
	if (!parser->statement)
		status = parse_begin_statement(parser, token);
	if (status == TIDE_OK)
		status = parse_note(parser, token);
	if (status != TIDE_OK)
		return status;
	if (token->kind == TOKEN_PARAMETER)
		return parse_parameter(parser, token);
	if (token->kind == TOKEN_OTHER && strchr(parser->dialect->other_parameters, *token->text))
		return parse_fail(parser, token->line,
				  "'%c': parameters are named, such as :payload", *token->text);
	return TIDE_OK;
}

static tide_status parse_check_sections(const struct parser *parser)
{
	const struct sql_script *script = parser->script;
	bool has_on = false;

	for (size_t i = 0; i < script->section_count; i++) {
		const struct sql_section *section = &script->sections[i];
		has_on |= section->kind == SQL_ON;
		if (section->kind == SQL_ON && section->count == 0)
			return parse_fail(parser, section->line, "this section has no statement");
	}
	if (!has_on)
		return tide_fail(parser->err, TIDE_ARGUMENT,
				 "'%s' has no section such as '-- on: OrderPlaced'", script->path);
	return TIDE_OK;
}

static tide_status parse_end_types(struct parser *parser)
{
	struct sql_script *script = parser->script;
	const char **types = parse_grow(script->types, script->type_count, sizeof *types);

	if (!types)
		return alloc_fail(parser->err);
	script->types = types;
	types[script->type_count] = NULL;
	return TIDE_OK;
}

tide_status sql_parse(struct sql_script *script, const struct sql_dialect *dialect,
		      struct tide_error *err)
{
	struct parser parser = {
		.script = script, .dialect = dialect, .err = err, .line = 1, .is_line_start = true
	};
	struct token token;

	script->init_hash = script->statements_hash = UINT64_C(14695981039346656037);
	if (strlen(script->text) != script->size)
		return tide_fail(err, TIDE_ARGUMENT, "'%s' is no text: it holds a NUL",
				 script->path);
	do {
		token = scan_next(&parser);
		tide_status status = parse_token(&parser, &token);
		if (status != TIDE_OK)
			return status;
	} while (token.kind != TOKEN_END);
	tide_status status =
		parser.statement ? parse_end_statement(&parser, token.text, false) : TIDE_OK;
	if (status == TIDE_OK)
		status = parse_check_append(&parser);
	if (status == TIDE_OK)
		status = parse_check_sections(&parser);
	return status == TIDE_OK ? parse_end_types(&parser) : status;
}

void sql_script_fini(struct sql_script *script)
{
	for (size_t i = 0; i < script->type_count; i++)
		tide_free((void *)script->types[i]);
	tide_free(script->types);
	for (size_t i = 0; i < script->table_count; i++)
		tide_free(script->tables[i]);
	tide_free(script->tables);
	sql_rivals_clear(script);
	sql_appends_free(script);
	sql_reactions_clear(script);
	tide_free(script->ask_answered);
	tide_free(script->sections);
	tide_free(script->statements);
	tide_free(script->parameters);
	tide_free(script->row);
	tide_free(script->text);
	*script = (struct sql_script){ 0 };
}
