/* SPDX-License-Identifier: Apache-2.0 */
/* A configuration that was read, and its end. */
#include <string.h>

#include "config/config.h"
#include "sys/alloc.h"

const struct config_store *config_find_store(const struct config *config, const char *name)
{
	for (size_t i = 0; i < config->store_count; i++)
		if (strcmp(config->stores[i].name, name) == 0)
			return &config->stores[i];
	return NULL;
}

void config_projection_free(struct config_projection *projection)
{
	if (!projection)
		return;
	tide_sql_projection_close(projection->sql);
	tide_command_projection_close(projection->program);
	tide_free(projection->command);
	for (size_t i = 0; i < 3; i++)
		tide_free(projection->lists[i]);
	tide_free(projection->name);
	tide_free(projection->store);
	tide_free(projection->file);
	buffer_fini(&projection->text);
	tide_free(projection);
}

void config_http_fini(struct config_http *http)
{
	tide_free(http->address);
	tide_free(http->token_file);
	tide_free(http->read_token_file);
	tide_free(http->token);
	tide_free(http->read_token);
	tide_free(http->tls_certificate);
	tide_free(http->tls_key);
	*http = (struct config_http){ 0 };
}

void config_fini(struct config *config)
{
	for (size_t i = 0; i < config->store_count; i++) {
		tide_free(config->stores[i].name);
		tide_free(config->stores[i].url);
		tide_free(config->stores[i].into);
	}
	for (size_t i = 0; i < config->projection_count; i++)
		config_projection_free(config->projections[i]);
	tide_free(config->stores);
	tide_free(config->projections);
	config_http_fini(&config->daemon.http);
	*config = (struct config){ 0 };
}
