/* SPDX-License-Identifier: Apache-2.0 */
/* tide schema: the event types that a shared object exports, as JSON Schemas. */
#include <dlfcn.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "sys/alloc.h"

#define SCHEMA_STRING(symbol) SCHEMA_QUOTE(symbol)
#define SCHEMA_QUOTE(symbol) #symbol

/** Find the list that TIDE_EXPORT_EVENT_TYPES left in a shared object; the object stays loaded. */
static tide_status schema_load(const char *path, const struct tide_event_type *const **ret,
			       struct tide_error *err)
{
	if (access(path, F_OK) != 0)
		return tide_fail(err, TIDE_NOT_FOUND, "'%s': %s", path, strerror(errno));
	ALLOC_AUTO char *here = strchr(path, '/') ? NULL : alloc_format("./%s", path);
	void *module = dlopen(here ? here : path, RTLD_NOW | RTLD_LOCAL);
	if (!module)
		return tide_fail(err, TIDE_IO, "%s", dlerror());
	*ret = dlsym(module, SCHEMA_STRING(TIDE_EXPORTED_EVENT_TYPES));
	if (!*ret)
		return tide_fail(err, TIDE_ARGUMENT,
				 "'%s' exports no event types, see TIDE_EXPORT_EVENT_TYPES", path);
	return TIDE_OK;
}

static int schema_print(struct cli *cli, const struct tide_event_type *type)
{
	struct tide_error err;
	struct buffer line = { 0 };
	char *schema;
	if (tide_event_type_schema(type, &schema, &err) != TIDE_OK)
		return cli_fail(cli, &err);
	buffer_add(&line, schema, strlen(schema));
	tide_free(schema);
	return cli_line(cli, &line);
}

int cmd_schema(struct cli *cli)
{
	struct tide_error err;
	const struct tide_event_type *const *types;
	const char *wanted = cli->arg_count > 1 ? cli->args[1] : NULL;
	int exit = CLI_DONE;
	if (schema_load(cli->args[0], &types, &err) != TIDE_OK)
		return cli_fail(cli, &err);

	bool is_found = !wanted;
	for (; *types && exit == CLI_DONE; types++) {
		if (wanted && strcmp((*types)->name, wanted) != 0)
			continue;
		is_found = true;
		exit = schema_print(cli, *types);
	}

	if (is_found)
		return exit;
	tide_fail(&err, TIDE_NOT_FOUND, "'%s' exports no event type '%s'", cli->args[0], wanted);
	return cli_fail(cli, &err);
}
