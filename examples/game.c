/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Game: a hero's whole life is kept, and yet the saved game loads at once.
 *
 *	game                   in memory
 *	game sqlite:game.db    in a new SQLite file
 *
 * Every turn is an event. A snapshot holds the hero as of some version; loading takes it and
 * applies only what happened since. When the next release of the game changes what a hero is, old
 * snapshots are passed over and the life is told again from its events: snapshots can always be
 * thrown away.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tidemark/tidemark.h>

/* ---- Events ---------------------------------------------------------------------------------- */

struct hero_born {
	char name[32];
};
static const struct tide_field hero_born_fields[] = {
	TIDE_FIELD_CHARS(struct hero_born, name),
	TIDE_FIELD_END,
};
TIDE_EVENT_TYPE(hero_born, "HeroBorn", 1, struct hero_born, hero_born_fields);

/* Version 1 called the reward "xp" and knew no gold. */
struct monster_slain {
	char monster[32];
	int32_t experience;
	int32_t gold;
};
static const struct tide_field monster_slain_fields[] = {
	TIDE_FIELD_CHARS(struct monster_slain, monster),
	TIDE_FIELD_INT32(struct monster_slain, experience),
	TIDE_FIELD_INT32(struct monster_slain, gold),
	TIDE_FIELD_END,
};
static const struct tide_upcast_change monster_slain_from_1[] = {
	TIDE_UPCAST_RENAME("xp", "experience"),
	TIDE_UPCAST_ADD("gold", "0"),
	TIDE_UPCAST_END,
};
static const struct tide_upcaster monster_slain_upcasters[] = {
	{ 1, monster_slain_from_1, NULL },
	TIDE_UPCASTER_END,
};
TIDE_EVENT_TYPE_WITH(monster_slain, "MonsterSlain", 2, struct monster_slain, monster_slain_fields,
		     monster_slain_upcasters, TIDE_REFUSE_UNKNOWN, NULL);

struct item_found {
	char item[32];
};
static const struct tide_field item_found_fields[] = {
	TIDE_FIELD_CHARS(struct item_found, item),
	TIDE_FIELD_END,
};
TIDE_EVENT_TYPE(item_found, "ItemFound", 1, struct item_found, item_found_fields);

/* ---- The hero: its state has a table, so snapshots come by themselves ------------------------ */

struct hero {
	char name[32];
	int32_t experience;
	int32_t gold;
	char **items;
	size_t item_count;
};
/* clang-format off */
static const struct tide_field hero_fields[] = {
	TIDE_FIELD_CHARS(struct hero, name),
	TIDE_FIELD_INT32(struct hero, experience),
	TIDE_FIELD_INT32(struct hero, gold),
	TIDE_FIELD_ARRAY(TEXT, struct hero, items, item_count),
	TIDE_FIELD_END,
};
/* clang-format on */

static tide_status hero_is_born(void *state, const void *payload, const struct tide_event *event,
				struct tide_error *err)
{
	struct hero *hero = state;
	(void)event, (void)err;
	memcpy(hero->name, ((const struct hero_born *)payload)->name, sizeof hero->name);
	return TIDE_OK;
}

static tide_status hero_slays(void *state, const void *payload, const struct tide_event *event,
			      struct tide_error *err)
{
	struct hero *hero = state;
	const struct monster_slain *slain = payload;
	(void)event, (void)err;
	hero->experience += slain->experience;
	hero->gold += slain->gold;
	return TIDE_OK;
}

static tide_status hero_finds(void *state, const void *payload, const struct tide_event *event,
			      struct tide_error *err)
{
	struct hero *hero = state;
	(void)event;
	char *item = strdup(((const struct item_found *)payload)->item);
	char **items = item ? realloc(hero->items, (hero->item_count + 1) * sizeof *items) : NULL;
	if (!items) {
		free(item);
		return tide_fail(err, TIDE_OUT_OF_MEMORY, "out of memory");
	}
	hero->items = items;
	hero->items[hero->item_count++] = item;
	return TIDE_OK;
}

static const struct tide_applier hero_appliers[] = {
	{ &hero_born, hero_is_born },
	{ &monster_slain, hero_slays },
	{ &item_found, hero_finds },
	TIDE_APPLIER_END,
};
static const struct tide_aggregate_type hero_type = {
	.name = "Hero",
	.state_size = sizeof(struct hero),
	.appliers = hero_appliers,
	.state_fields = hero_fields,
};

/* The next release: the same events, another idea of a hero. */
static const struct tide_aggregate_type next_hero_type = {
	.name = "Hero",
	.state_size = sizeof(struct hero),
	.appliers = hero_appliers,
	.state_fields = hero_fields,
	.schema_version = 2,
};

/* ---- The story ------------------------------------------------------------------------------- */

static struct tide_error err;

static void must(tide_status status)
{
	if (status == TIDE_OK)
		return;
	fprintf(stderr, "game: %s\n", err.message);
	exit(1);
}

/* One turn, as the save-game of the first release recorded it. */
static void slay_as_version_1(struct tide_aggregate *hero)
{
	const struct tide_new_event event = {
		.event_type = "MonsterSlain",
		.event_version = 1,
		.payload = tide_text("{\"monster\":\"rat\",\"xp\":5}"),
	};
	must(tide_aggregate_raise_event(hero, &event, &err));
}

static void play(struct tide_repository *game, struct tide_aggregate *hero, int turns)
{
	for (int turn = 1; turn <= turns; turn++) {
		if (turn % 250 == 0)
			must(tide_aggregate_raise(hero, &item_found,
						  &(struct item_found){ "potion" }, &err));
		else
			must(tide_aggregate_raise(hero, &monster_slain,
						  &(struct monster_slain){ "wolf", 10, 1 }, &err));
		must(tide_repository_save(game, hero, &err));
	}
}

static struct tide_aggregate *load(struct tide_repository *game, const struct tide_uuid *id)
{
	struct tide_aggregate *aggregate;
	must(tide_repository_load(game, id, &aggregate, &err));
	const struct hero *hero = tide_aggregate_state(aggregate);
	struct tide_repository_stats stats = tide_repository_stats(game);
	printf("   %s: %" PRId32 " experience, %" PRId32 " gold, %zu items, version %" PRId32 "\n",
	       hero->name, hero->experience, hero->gold, hero->item_count,
	       tide_aggregate_version(aggregate));
	printf("   loaded from %s\n",
	       stats.snapshots_loaded ? "a snapshot and what came after" : "all events");
	return aggregate;
}

static struct tide_repository *open_game(struct tide_store *store,
					 const struct tide_aggregate_type *type)
{
	struct tide_repository *game;
	must(tide_repository_open(TIDE_REPOSITORY(.store = store, .type = type,
						  .snapshot_every = 400,
						  .snapshot_mode = TIDE_SNAPSHOT_BACKGROUND),
				  &game, &err));
	return game;
}

static void tell(struct tide_store *store)
{
	struct tide_aggregate *hero;

	printf("1. A hero plays 1000 turns; the game is saved after each\n");
	struct tide_repository *game = open_game(store, &hero_type);
	must(tide_repository_create(game, NULL, &hero, &err));
	struct tide_uuid id = *tide_aggregate_id(hero);
	must(tide_aggregate_raise(hero, &hero_born, &(struct hero_born){ "Mira" }, &err));
	slay_as_version_1(hero);
	play(game, hero, 1000);
	tide_aggregate_free(hero);
	tide_repository_close(game); /* snapshots that wait are written first */

	printf("2. The next evening\n");
	game = open_game(store, &hero_type);
	tide_aggregate_free(load(game, &id));
	tide_repository_close(game);

	printf("3. The next release has another idea of a hero: its snapshots do not fit\n");
	game = open_game(store, &next_hero_type);
	hero = load(game, &id);
	must(tide_repository_snapshot(game, hero, &err));
	tide_aggregate_free(hero);
	tide_repository_close(game);

	printf("4. From then on they do\n");
	game = open_game(store, &next_hero_type);
	tide_aggregate_free(load(game, &id));
	tide_repository_close(game);
}

int main(int argc, char **argv)
{
	struct tide_store *store;
	must(tide_store_open(argc > 1 ? argv[1] : "memory:", TIDE_STORE_OPTIONS(.initialize = true),
			     &store, &err));
	tell(store);
	tide_store_close(store);
	return 0;
}
