/* SPDX-License-Identifier: Apache-2.0 */
/* The table of routes as OpenAPI 3.1, so that what is described is what there is. */
#include <string.h>

#include <tidemark/version.h>

#include "http/http.h"
#include "path/status_json.h"

/* ---- Values ---------------------------------------------------------------------------------- */

/** What a parameter is, by its name. */
struct openapi_parameter {
	const char *name, *schema, *text;
};

/* clang-format off */
static const struct openapi_parameter openapi_parameters[] = {
	{ "store",          "{\"type\":\"string\"}", "The store, where several are shown" },
	{ "after",          "{\"type\":\"integer\",\"minimum\":0}",
		"Results lie above it: a position, a version of a stream, "
		"the id of a dead letter" },
	{ "before",         "{\"type\":\"integer\",\"minimum\":0}",
		"With order=desc: results lie below it" },
	{ "limit",          "{\"type\":\"integer\",\"minimum\":0,\"maximum\":1000,\"default\":100}",
		"Results of a page" },
	{ "order",          "{\"type\":\"string\",\"enum\":[\"asc\",\"desc\"],\"default\":\"asc\"}",
		"Oldest or newest first" },
	{ "type",           "{\"type\":\"array\",\"items\":{\"type\":\"string\"}}",
		"Event types; any of them" },
	{ "aggregate_type", "{\"type\":\"array\",\"items\":{\"type\":\"string\"}}",
		"Aggregate types; any of them" },
	{ "aggregate_id",   "{\"type\":\"string\",\"format\":\"uuid\"}",
		"Events of this aggregate alone" },
	{ "tenant",         "{\"type\":\"string\",\"format\":\"uuid\"}",
		"Events of this tenant alone" },
	{ "since",          "{\"type\":\"string\",\"format\":\"date-time\"}",
		"Events that occurred then or later" },
	{ "until",          "{\"type\":\"string\",\"format\":\"date-time\"}",
		"Events that occurred then or before" },
	{ "projection",     "{\"type\":\"string\"}", "Entries of this subscription alone" },
	{ "status",         "{\"type\":\"string\",\"enum\":[\"failed\",\"retrying\",\"resolved\","
		"\"any\"],\"default\":\"failed\"}", "Where entries stand" },
	{ "name",           "{\"type\":\"string\"}", "Of this subscription alone" },
};

/* One text, in parts as long as every compiler takes. NULL: the members of a status, as the table
 * has them. */
static const char *const openapi_components[] = {
	"{\"securitySchemes\":{\"token\":{\"type\":\"http\",\"scheme\":\"bearer\"}},"
	"\"schemas\":{"
	"\"Problem\":{\"type\":\"object\",\"required\":[\"type\",\"title\",\"status\",\"detail\"],"
	"\"properties\":{"
		"\"type\":{\"type\":\"string\"},\"title\":{\"type\":\"string\"},"
		"\"status\":{\"type\":\"integer\"},\"detail\":{\"type\":\"string\"},"
		"\"expected\":{\"type\":[\"integer\",\"string\"]},"
		"\"actual\":{\"type\":\"integer\"}}},"
	"\"By\":{\"type\":\"object\",\"properties\":{\"by\":{\"type\":\"string\"}}},"
	"\"Request\":{\"type\":\"object\",\"properties\":{\"by\":{\"type\":\"string\"},"
	"\"note\":{\"type\":\"string\"},"
		"\"reason\":{\"type\":\"string\",\"enum\":[\"manual\",\"maintenance\"]}}},"
	"\"Event\":{\"type\":\"object\",\"required\":[\"event_type\",\"payload\"],\"properties\":{"
		"\"event_id\":{\"type\":\"string\"},\"event_type\":{\"type\":\"string\"},"
		"\"event_version\":{\"type\":\"integer\",\"minimum\":1},"
		"\"occurred_at\":{\"type\":\"string\",\"format\":\"date-time\"},"
		"\"tenant_id\":{\"type\":\"string\",\"format\":\"uuid\"},"
		"\"actor_id\":{\"type\":\"string\"},\"correlation_id\":{\"type\":\"string\","
		"\"format\":\"uuid\"},"
		"\"causation_id\":{\"type\":\"string\",\"format\":\"uuid\"},"
		"\"metadata\":{\"type\":\"object\"},\"payload\":{}}},"
	"\"StoredEvent\":{\"type\":\"object\",\"required\":[\"global_position\",\"event_id\","
		"\"event_type\",\"event_version\",\"occurred_at\",\"aggregate_id\","
		"\"aggregate_type\",\"aggregate_version\",\"tenant_id\",\"actor_id\","
		"\"correlation_id\",\"causation_id\",\"metadata\",\"payload\",\"stored_at\"],"
		"\"properties\":{"
		"\"global_position\":{\"type\":\"integer\"},"
		"\"event_id\":{\"type\":\"string\"},\"event_type\":{\"type\":\"string\"},"
		"\"event_version\":{\"type\":\"integer\"},"
		"\"occurred_at\":{\"type\":\"string\",\"format\":\"date-time\"},"
		"\"aggregate_id\":{\"type\":\"string\",\"format\":\"uuid\"},"
		"\"aggregate_type\":{\"type\":\"string\"},"
		"\"aggregate_version\":{\"type\":\"integer\"},"
		"\"tenant_id\":{\"type\":[\"string\",\"null\"]},"
		"\"actor_id\":{\"type\":[\"string\",\"null\"]},"
		"\"correlation_id\":{\"type\":[\"string\",\"null\"]},"
		"\"causation_id\":{\"type\":[\"string\",\"null\"]},"
		"\"metadata\":{},\"payload\":{},"
		"\"stored_at\":{\"type\":[\"string\",\"null\"],\"format\":\"date-time\"}}},"
	"\"Undecodable\":{\"type\":\"object\",\"required\":[\"error\"],"
		"\"description\":\"In the place of a row that cannot be decoded\","
		"\"properties\":{\"error\":{\"type\":\"string\"}}},"
	"\"EventPage\":{\"type\":\"object\",\"required\":[\"events\",\"next\"],\"properties\":{"
		"\"events\":{\"type\":\"array\","
			"\"items\":{\"anyOf\":["
			"{\"$ref\":\"#/components/schemas/StoredEvent\"},"
			"{\"$ref\":\"#/components/schemas/Undecodable\"}]}},"
		"\"next\":{\"type\":[\"integer\",\"null\"]}}},"
	"\"StreamPage\":{\"type\":\"object\",\"required\":[\"aggregate_type\",\"aggregate_id\","
		"\"aggregate_version\",\"events\",\"next\"],\"properties\":{"
		"\"aggregate_type\":{\"type\":\"string\"},\"aggregate_id\":{\"type\":\"string\"},"
		"\"aggregate_version\":{\"type\":\"integer\"},"
		"\"events\":{\"type\":\"array\","
			"\"items\":{\"anyOf\":["
			"{\"$ref\":\"#/components/schemas/StoredEvent\"},"
			"{\"$ref\":\"#/components/schemas/Undecodable\"}]}},"
		"\"next\":{\"type\":[\"integer\",\"null\"]}}},"
	"\"Appended\":{\"type\":\"object\",\"required\":[\"aggregate_type\",\"aggregate_id\","
		"\"aggregate_version\",\"first_position\",\"global_position\",\"event_ids\","
		"\"was_stored_before\"],\"properties\":{"
		"\"aggregate_type\":{\"type\":\"string\"},"
		"\"aggregate_id\":{\"type\":\"string\",\"format\":\"uuid\"},"
		"\"aggregate_version\":{\"type\":\"integer\"},"
		"\"first_position\":{\"type\":\"integer\"},"
		"\"global_position\":{\"type\":\"integer\"},"
		"\"event_ids\":{\"type\":\"array\",\"items\":{\"type\":\"string\"}},"
		"\"was_stored_before\":{\"type\":\"boolean\"}}},",
	"\"Member\":{\"type\":\"object\",\"required\":[\"member\",\"host\",\"pid\",\"lanes\",\"here\"],"
		"\"description\":\"A process that runs the subscription\","
		"\"properties\":{"
		"\"member\":{\"type\":\"string\",\"format\":\"uuid\"},"
		"\"host\":{\"type\":[\"string\",\"null\"]},\"pid\":{\"type\":\"integer\"},"
		"\"lanes\":{\"type\":\"integer\"},\"here\":{\"type\":\"boolean\"}}},"
	"\"Lane\":{\"type\":\"object\",\"required\":[\"name\",\"position\",\"lag_events\","
		"\"events_processed\",\"owned\",\"host\",\"pid\",\"acquired_at\"],"
		"\"description\":\"One that this process runs has the members of a Subscription, too\","
		"\"properties\":{", NULL, ","
		"\"owned\":{\"type\":\"boolean\"},"
		"\"host\":{\"type\":[\"string\",\"null\"]},\"pid\":{\"type\":[\"integer\",\"null\"]},"
		"\"acquired_at\":{\"type\":[\"string\",\"null\"],\"format\":\"date-time\"}}},",
	"\"Subscription\":{\"type\":\"object\",\"required\":[\"name\",\"state\",\"position\","
		"\"lag_events\",\"events_processed\",\"events_failed\",\"error\",\"standby\"],"
		"\"properties\":{", NULL, ","
		"\"lanes\":{\"type\":\"integer\"},\"lanes_owned\":{\"type\":\"integer\"},"
		"\"members\":{\"description\":\"Of one with lanes; null: its database does not answer\","
			"\"anyOf\":[{\"type\":\"null\"},{\"type\":\"array\","
			"\"items\":{\"$ref\":\"#/components/schemas/Member\"}}]},"
		"\"lane_statuses\":{\"description\":\"Of one with lanes; null: its database does not answer\","
			"\"anyOf\":[{\"type\":\"null\"},{\"type\":\"array\","
			"\"items\":{\"$ref\":\"#/components/schemas/Lane\"}}]},"
		"\"store\":{\"type\":\"string\"}}},"
	"\"Subscriptions\":{\"type\":\"object\",\"required\":[\"subscriptions\"],\"properties\":{"
		"\"subscriptions\":{\"type\":\"array\","
			"\"items\":{\"$ref\":\"#/components/schemas/Subscription\"}}}},",
	"\"Events\":{\"oneOf\":[{\"$ref\":\"#/components/schemas/Event\"},"
		"{\"type\":\"array\",\"minItems\":1,"
		"\"items\":{\"$ref\":\"#/components/schemas/Event\"}}]}}}",
};
/* clang-format on */

static void openapi_add(struct buffer *body, const char *key, const char *value)
{
	json_add_string(body, key, value);
}

static void openapi_add_raw(struct buffer *body, const char *key, const char *json)
{
	json_key(body, key);
	json_raw(body, tide_text(json));
}

static void openapi_add_names(struct buffer *text, const struct json_field *field)
{
	buffer_format(text, "{\"type\":\"string\",\"enum\":[");
	for (int i = 0; i < field->names; i++)
		buffer_format(text, "%s\"%s\"", i ? "," : "", field->name(i));
	buffer_format(text, "]}");
}

static void openapi_add_field(struct buffer *text, const struct json_field *field)
{
	bool is_optional = field->known || field->is_known;
	const char *type = "\"string\"", *more = "";

	switch (field->kind) {
	case JSON_FIELD_INTEGER:
	case JSON_FIELD_SMALL:
	case JSON_FIELD_UNSIGNED:
	case JSON_FIELD_SIZE:
		type = "\"integer\"";
		break;
	case JSON_FIELD_REAL:
		type = "\"number\"";
		break;
	case JSON_FIELD_FLAG:
		type = "\"boolean\"";
		break;
	case JSON_FIELD_TIME:
		more = ",\"format\":\"date-time\"";
		is_optional = true;
		break;
	case JSON_FIELD_CHARS:
	case JSON_FIELD_NAME:
		break;
	default:
		is_optional = true;
	}
	buffer_format(text, is_optional ? "{\"type\":[%s,\"null\"]%s}" : "{\"type\":%s%s}", type,
		      more);
}

static void openapi_add_status(struct buffer *text)
{
	for (size_t i = 0; i < status_field_count; i++) {
		const struct json_field *field = &status_fields[i];
		buffer_format(text, "%s\"%s\":", i ? "," : "", field->key);
		if (field->names > 0)
			openapi_add_names(text, field);
		else
			openapi_add_field(text, field);
	}
}

static void openapi_add_components(struct buffer *body)
{
	struct buffer whole = { 0 };
	for (size_t i = 0; i < sizeof openapi_components / sizeof *openapi_components; i++)
		if (openapi_components[i])
			buffer_add(&whole, openapi_components[i], strlen(openapi_components[i]));
		else
			openapi_add_status(&whole);
	json_key(body, "components");
	body->failed = body->failed || whole.failed;
	if (!whole.failed)
		json_raw(body, (struct tide_text){ whole.data, whole.size });
	buffer_fini(&whole);
}

/* ---- Parameters ------------------------------------------------------------------------------ */

static void openapi_add_parameter(struct buffer *body, struct tide_text name)
{
	for (size_t i = 0; i < sizeof openapi_parameters / sizeof *openapi_parameters; i++) {
		const struct openapi_parameter *parameter = &openapi_parameters[i];
		if (strlen(parameter->name) != name.size ||
		    memcmp(parameter->name, name.data, name.size) != 0)
			continue;
		json_open(body, '{');
		openapi_add(body, "name", parameter->name);
		openapi_add(body, "in", "query");
		openapi_add(body, "description", parameter->text);
		openapi_add_raw(body, "schema", parameter->schema);
		json_close(body, '}');
	}
}

static void openapi_add_part(struct buffer *body, struct tide_text name)
{
	json_open(body, '{');
	json_key(body, "name");
	json_text(body, name);
	openapi_add(body, "in", "path");
	json_add_bool(body, "required", true);
	openapi_add_raw(body, "schema", "{\"type\":\"string\"}");
	json_close(body, '}');
}

static void openapi_add_header(struct buffer *body, const char *name, const char *text)
{
	json_open(body, '{');
	openapi_add(body, "name", name);
	openapi_add(body, "in", "header");
	openapi_add(body, "description", text);
	openapi_add_raw(body, "schema", "{\"type\":\"string\"}");
	json_close(body, '}');
}

static void openapi_add_parameters(struct buffer *body, const struct http_route *route)
{
	json_key(body, "parameters");
	json_open(body, '[');
	for (const char *at = strchr(route->path, '{'); at; at = strchr(at, '{')) {
		size_t size = strcspn(++at, "}");
		openapi_add_part(body, (struct tide_text){ at, size });
	}
	for (const char *at = route->parameters; *at;) {
		size_t size = strcspn(at, " ");
		openapi_add_parameter(body, (struct tide_text){ at, size });
		at += size + (at[size] == ' ');
	}
	if (strcmp(route->name, "follow") == 0)
		openapi_add_header(body, "Last-Event-ID", "The position to go on behind");
	if (route->body == HTTP_BODY_EVENTS) {
		openapi_add_header(body, "If-Match",
				   "The version that the stream is at, in quotes; *: any");
		openapi_add_header(body, "If-None-Match", "*: the stream has no events");
	}
	json_close(body, ']');
}

/* ---- Operations ------------------------------------------------------------------------------ */

static void openapi_add_request(struct buffer *body, const struct http_route *route)
{
	static const char *const schemas[] = {
		[HTTP_BODY_NONE] = "{\"content\":{\"application/json\":{\"schema\":{\"type\":"
				   "\"object\"}}}}",
		[HTTP_BODY_REQUEST] = "{\"content\":{\"application/json\":{\"schema\":{\"$ref\":"
				      "\"#/components/schemas/Request\"}}}}",
		[HTTP_BODY_BY] = "{\"content\":{\"application/json\":{\"schema\":{\"$ref\":"
				 "\"#/components/schemas/By\"}}}}",
		[HTTP_BODY_EVENTS] = "{\"required\":true,\"content\":{\"application/json\":{"
				     "\"schema\":{\"$ref\":\"#/components/schemas/Events\"}}}}",
	};
	if (route->method == HTTP_POST)
		openapi_add_raw(body, "requestBody", schemas[route->body]);
}

/* `schema` NULL: any object, or a text that is no JSON. */
static void openapi_add_response(struct buffer *body, const char *status, const char *text,
				 const char *type, const char *schema)
{
	bool is_json = strcmp(type, "application/json") == 0;
	json_key(body, status);
	json_open(body, '{');
	openapi_add(body, "description", text);
	json_key(body, "content");
	json_open(body, '{');
	json_key(body, type);
	json_open(body, '{');
	json_key(body, "schema");
	json_open(body, '{');
	if (schema)
		openapi_add(body, "$ref", schema);
	else
		openapi_add(body, "type", is_json ? "object" : "string");
	json_close(body, '}');
	json_close(body, '}');
	json_close(body, '}');
	json_close(body, '}');
}

static const char *openapi_type(const struct http_route *route)
{
	/* clang-format off */
	static const struct { const char *name, *type; } others[] = {
		{ "metrics", "text/plain" }, { "follow", "text/event-stream" },
		{ "board", "text/html" }, { "board_file", "*/*" },
	};
	/* clang-format on */
	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		if (strcmp(others[i].name, route->name) == 0)
			return others[i].type;
	return "application/json";
}

/* What JSON an answer is, where that is described. */
static const char *openapi_schema(const struct http_route *route)
{
	/* clang-format off */
	static const struct { const char *name, *schema; } known[] = {
		{ "append", "#/components/schemas/Appended" },
		{ "event", "#/components/schemas/StoredEvent" },
		{ "events", "#/components/schemas/EventPage" },
		{ "stream", "#/components/schemas/StreamPage" },
		{ "subscription", "#/components/schemas/Subscription" },
		{ "subscriptions", "#/components/schemas/Subscriptions" },
	};
	/* clang-format on */
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (strcmp(known[i].name, route->name) == 0)
			return known[i].schema;
	return NULL;
}

static void openapi_add_responses(struct buffer *body, const struct http_route *route)
{
	const char *type = openapi_type(route);
	const char *schema = openapi_schema(route);
	bool is_json = strcmp(type, "application/json") == 0;

	json_key(body, "responses");
	json_open(body, '{');
	openapi_add_response(
		body, "200",
		route->body == HTTP_BODY_EVENTS ? "They were stored before, by this append" : "It",
		type, schema);
	if (route->body == HTTP_BODY_EVENTS)
		openapi_add_response(body, "201", "They are stored", "application/json", schema);
	if (route->lane == HTTP_LANE_PROBE && is_json && strcmp(route->name, "openapi") != 0)
		openapi_add_response(body, "503", "It, when all is not well", "application/json",
				     NULL);
	openapi_add_response(body, "default", "What is wrong", "application/problem+json",
			     "#/components/schemas/Problem");
	json_close(body, '}');
}

static void openapi_add_operation(struct buffer *body, const struct http_route *route)
{
	json_key(body, route->method == HTTP_POST ? "post" : "get");
	json_open(body, '{');
	openapi_add(body, "operationId", route->name);
	openapi_add(body, "summary", route->summary);
	openapi_add_parameters(body, route);
	openapi_add_request(body, route);
	openapi_add_responses(body, route);
	openapi_add_raw(body, "security",
			route->access == HTTP_ACCESS_CHANGE ? "[{\"token\":[]}]"
			: route->access == HTTP_ACCESS_READ ? "[{},{\"token\":[]}]"
							    : "[]");
	json_close(body, '}');
}

static bool openapi_was_there(const struct http_routes *routes, size_t index)
{
	for (size_t i = 0; i < index; i++)
		if (strcmp(routes->items[i].path, routes->items[index].path) == 0)
			return true;
	return false;
}

void route_openapi(struct http_job *job)
{
	const struct http_routes *routes = job->server->routes;
	struct buffer *body = &job->reply.body;
	job->reply.status = 200;
	job->reply.type = "application/json";
	json_open(body, '{');
	openapi_add(body, "openapi", "3.1.0");
	json_key(body, "info");
	json_open(body, '{');
	openapi_add(body, "title", "Tidemark");
	openapi_add(body, "version", TIDE_VERSION_TEXT);
	json_close(body, '}');
	json_key(body, "paths");
	json_open(body, '{');
	for (size_t i = 0; i < routes->count; i++) {
		if (openapi_was_there(routes, i))
			continue;
		json_key(body, routes->items[i].path);
		json_open(body, '{');
		for (size_t j = i; j < routes->count; j++)
			if (strcmp(routes->items[j].path, routes->items[i].path) == 0)
				openapi_add_operation(body, &routes->items[j]);
		json_close(body, '}');
	}
	json_close(body, '}');
	openapi_add_components(body);
	json_close(body, '}');
	buffer_add(body, "\n", 1);
}
