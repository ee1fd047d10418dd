/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stock: vans count what they load and sell, without a network, and sync when they are back.
 *
 *	stock [DIRECTORY]    keeps van-1.db, van-2.db, depot.db and export.jsonl in DIRECTORY; default: the present one
 *
 * Each van has a store of its own. To sync is to export the events behind the last sync as lines of
 * JSON and to import them at the depot. Events keep their ids, so importing twice changes nothing:
 * a van that does not know whether its last sync arrived simply sends it again. How far a van has
 * synced is a checkpoint in its own store, so that the next day begins where this one ended. The
 * same files are read by `tide import`.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <tidemark/tidemark.h>

/* ---- An item: pieces come and go ------------------------------------------------------------- */

struct pieces_moved {
	int64_t pieces; /* below 0: they left */
	char why[32];
};
static const struct tide_field pieces_moved_fields[] = {
	TIDE_FIELD_INT64(struct pieces_moved, pieces),
	TIDE_FIELD_CHARS(struct pieces_moved, why),
	TIDE_FIELD_END,
};
TIDE_EVENT_TYPE(pieces_moved, "PiecesMoved", 1, struct pieces_moved, pieces_moved_fields);

struct item {
	int64_t pieces;
};

static tide_status item_apply_moved(void *state, const void *payload,
				    const struct tide_event *event, struct tide_error *err)
{
	(void)event, (void)err;
	((struct item *)state)->pieces += ((const struct pieces_moved *)payload)->pieces;
	return TIDE_OK;
}

static const struct tide_applier item_appliers[] = { { &pieces_moved, item_apply_moved },
						     TIDE_APPLIER_END };
static const struct tide_aggregate_type item_type = {
	.name = "Item",
	.state_size = sizeof(struct item),
	.appliers = item_appliers,
};

static tide_status move_pieces(struct tide_aggregate *aggregate, void *context,
			       struct tide_error *err)
{
	const struct item *item = tide_aggregate_state(aggregate);
	const struct pieces_moved *moved = context;
	if (item->pieces + moved->pieces < 0)
		return tide_fail(err, TIDE_STATE, "there are only %" PRId64 " pieces",
				 item->pieces);
	return tide_aggregate_raise(aggregate, &pieces_moved, moved, err);
}

/* ---- Places that keep stock ------------------------------------------------------------------ */

static struct tide_error err;

static void must(tide_status status)
{
	if (status == TIDE_OK)
		return;
	fprintf(stderr, "stock: %s\n", err.message);
	exit(1);
}

struct place {
	struct tide_store *store;
	struct tide_repository *items;
	struct tide_checkpoints
		/* "Sync": the feed position of the last event that arrived at the depot */
		*checkpoints;
};

static struct place place_open(const char *directory, const char *name)
{
	struct place place = { 0 };
	char url[512];
	snprintf(url, sizeof url, "sqlite:%s/%s.db", directory, name);
	must(tide_store_open(url, TIDE_STORE_OPTIONS(.initialize = true), &place.store, &err));
	must(tide_repository_open(TIDE_REPOSITORY(.store = place.store, .type = &item_type),
				  &place.items, &err));
	must(tide_checkpoints_open(NULL, NULL, place.store, &place.checkpoints, &err));
	return place;
}

static void place_close(struct place *place)
{
	tide_checkpoints_close(place->checkpoints);
	tide_repository_close(place->items);
	tide_store_close(place->store);
}

/* The same name is the same item in every store. */
static struct tide_uuid item_id(const char *name)
{
	return tide_uuid_v5(NULL, name);
}

static void move(struct place *place, const char *item, struct pieces_moved moved)
{
	struct tide_uuid id = item_id(item);
	must(tide_repository_update(place->items, &id, move_pieces, &moved, &err));
}

static void print_item(struct place *place, const char *name)
{
	struct tide_uuid id = item_id(name);
	struct tide_aggregate *aggregate;
	must(tide_repository_load_or_create(place->items, &id, &aggregate, &err));
	printf("   %s: %" PRId64 "\n", name,
	       ((const struct item *)tide_aggregate_state(aggregate))->pieces);
	tide_aggregate_free(aggregate);
}

/* ---- Export ---------------------------------------------------------------------------------- */

/* Write the events behind `after` as one JSON object a line; returns the position of the last
 * one. */
static tide_position export_events(struct tide_store *store, tide_position after, const char *path)
{
	FILE *file = fopen(path, "w");
	struct tide_reader *reader;
	const struct tide_event *event;
	if (!file) {
		perror(path);
		exit(1);
	}
	must(tide_store_read(store, &(struct tide_query){ .after = tide_bound(after) }, &reader,
			     &err));
	for (must(tide_reader_next(reader, &event, &err)); event;
	     must(tide_reader_next(reader, &event, &err))) {
		char *line;
		must(tide_event_to_json(event, &line, &err));
		fprintf(file, "%s\n", line);
		tide_free(line);
		after = event->position;
	}
	tide_reader_close(reader);
	fclose(file);
	return after;
}

/* ---- Import: an exported line is read by a table, too ---------------------------------------- */

struct exported {
	struct tide_uuid event_id, aggregate_id;
	char *event_type, *aggregate_type, *payload;
	struct tide_time occurred_at;
};
static const struct tide_field exported_fields[] = {
	TIDE_FIELD_UUID(struct exported, event_id),
	TIDE_FIELD_TEXT(struct exported, event_type),
	TIDE_FIELD_TIME(struct exported, occurred_at),
	TIDE_FIELD_UUID(struct exported, aggregate_id),
	TIDE_FIELD_TEXT(struct exported, aggregate_type),
	TIDE_FIELD_JSON(struct exported, payload),
	TIDE_FIELD_END,
};
TIDE_EVENT_TYPE(exported_event, "Exported", 1, struct exported, exported_fields);

/* Returns whether the event was new. */
static bool import_line(struct tide_store *store, const char *line)
{
	struct exported exported;
	struct tide_append_result result;
	must(tide_payload_decode(&exported_event, 1, tide_text(line), &exported, &err));
	const struct tide_new_event event = {
		.event_id = exported.event_id,
		.event_type = exported.event_type,
		.occurred_at = &exported.occurred_at,
		.payload = tide_text(exported.payload),
	};
	const struct tide_append append = {
		.stream = { exported.aggregate_id, exported.aggregate_type },
		.expected = TIDE_ANY,
		.events = &event,
		.count = 1,
	};
	must(tide_store_append(store, &append, &result, &err));
	tide_event_type_fini(&exported_event, &exported);
	return !result.was_stored_before;
}

static void import_events(struct tide_store *store, const char *path)
{
	FILE *file = fopen(path, "r");
	char *line = NULL;
	size_t room = 0;
	int lines = 0, new_lines = 0;
	while (file && getline(&line, &room, file) > 0) {
		lines++;
		new_lines += import_line(store, line);
	}
	printf("   imported: %d events, %d of them new\n", lines, new_lines);
	free(line);
	if (file)
		fclose(file);
}

static void sync_to(struct place *van, struct place *depot, const char *path, bool is_acknowledged)
{
	tide_position synced_to = 0;
	tide_status status = tide_checkpoints_position(van->checkpoints, "Sync", &synced_to, &err);
	if (status != TIDE_NOT_FOUND) /* it has never synced */
		must(status);
	synced_to = export_events(van->store, synced_to, path);
	import_events(depot->store, path);
	if (is_acknowledged)
		must(tide_checkpoints_save(van->checkpoints, "Sync",
					   &(struct tide_progress){ .position = synced_to }, &err));
}

/* ---- The story ------------------------------------------------------------------------------- */

static void tell(struct place *van1, struct place *van2, struct place *depot, const char *path)
{
	printf("1. Two vans load and sell, offline\n");
	move(van1, "apples", (struct pieces_moved){ 40, "loaded" });
	move(van1, "apples", (struct pieces_moved){ -3, "sold" });
	move(van1, "pears", (struct pieces_moved){ 12, "loaded" });
	move(van2, "apples", (struct pieces_moved){ 20, "loaded" });
	print_item(van1, "apples");
	print_item(van2, "apples");

	printf("2. The first van syncs, but the acknowledgement is lost\n");
	sync_to(van1, depot, path, false);

	printf("3. So it sends everything again\n");
	sync_to(van1, depot, path, true);

	printf("4. It sells some more and syncs only that; the second van syncs, too\n");
	move(van1, "pears", (struct pieces_moved){ -2, "sold" });
	sync_to(van1, depot, path, true);
	sync_to(van2, depot, path, true);

	printf("5. At the depot\n");
	print_item(depot, "apples");
	print_item(depot, "pears");
}

int main(int argc, char **argv)
{
	const char *directory = argc > 1 ? argv[1] : ".";
	char path[512];
	snprintf(path, sizeof path, "%s/export.jsonl", directory);
	struct place van1 = place_open(directory, "van-1"), van2 = place_open(directory, "van-2");
	struct place depot = place_open(directory, "depot");
	tell(&van1, &van2, &depot, path);
	place_close(&van1);
	place_close(&van2);
	place_close(&depot);
	return 0;
}
