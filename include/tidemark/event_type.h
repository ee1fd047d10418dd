/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDEMARK_EVENT_TYPE_H
#define TIDEMARK_EVENT_TYPE_H

/*
 * Typed events: describe a struct once by a table of its fields, and its JSON follows.
 *
 *	struct order_placed {
 *		char *customer;
 *		int64_t total_cents;
 *	};
 *	static const struct tide_field order_placed_fields[] = {
 *		TIDE_FIELD_TEXT(struct order_placed, customer),
 *		TIDE_FIELD_INT64(struct order_placed, total_cents, "total"),
 *		TIDE_FIELD_END,
 *	};
 *	TIDE_EVENT_TYPE(order_placed, "OrderPlaced", 1, struct order_placed, order_placed_fields);
 *
 * Every pointer in such a struct is a heap block of its own that the struct owns;
 * tide_event_type_fini releases them. A struct that is only encoded may borrow: nothing is released
 * then.
 */

#include <tidemark/event.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* ---- Fields ---------------------------------------------------------------------------------- */

/** What a member is in C, and what it becomes in JSON. */
enum tide_field_kind {
	TIDE_KIND_END,
	TIDE_KIND_BOOL,   /* bool: true, false */
	TIDE_KIND_INT32,  /* int32_t: a number */
	TIDE_KIND_INT64,  /* int64_t: a number */
	TIDE_KIND_UINT32, /* uint32_t: a number */
	TIDE_KIND_UINT64, /* uint64_t: a number */
	TIDE_KIND_DOUBLE, /* double: a finite number */
	TIDE_KIND_TEXT,   /* char * or char[]: a string */
	/* char * or char[], such as "-12.50": a string; a number is accepted when read */
	TIDE_KIND_DECIMAL,
	TIDE_KIND_UUID,   /* struct tide_uuid: a string */
	TIDE_KIND_TIME,   /* struct tide_time: a string */
	TIDE_KIND_ENUM,   /* an enum counting from 0: one of a list of names */
	TIDE_KIND_STRUCT, /* a struct or a pointer to one: an object */
	TIDE_KIND_ARRAY,  /* a pointer and a size_t count: an array */
	TIDE_KIND_JSON,   /* char * or char[]: any JSON value, as its text */
	/* for TIDE_FIELD_OPTIONAL: the same in a char[] */
	TIDE_KIND_CHARS = TIDE_KIND_TEXT,
	TIDE_KIND_DECIMAL_CHARS = TIDE_KIND_DECIMAL,
	TIDE_KIND_JSON_CHARS = TIDE_KIND_JSON
};

/* How a member holds its value; bits of tide_field.flags. */
#define TIDE_FIELD_POINTER 1u  /* behind a pointer that the struct owns */
#define TIDE_FIELD_NULLABLE 2u /* "none" is NULL, or the nil UUID */
#define TIDE_FIELD_FLAGGED 4u  /* "none" when the bool at `other` is false */

/** One member of a struct. Write it with the macros below; they check the member's size when
 * compiled. */
struct tide_field {
	const char *key; /* its name in JSON */
	size_t key_size; /* bytes */
	enum tide_field_kind kind;
	unsigned flags; /* TIDE_FIELD_POINTER and the like */
	size_t offset;  /* of the member */
	size_t size;    /* of the value: of a char array its capacity, of an array one item */
	/* offset of the bool that tells whether there is a value, or of an array's count */
	size_t other;
	const struct tide_field *fields; /* of a struct or an array of structs */
	const char *const *names;        /* of an enum; ends in NULL */
	enum tide_field_kind item;       /* of an array */
};

/* clang-format off */
#define TIDE_FIELD_SIZE_OF(type, member) sizeof(((type *)0)->member)
/* The member's size, or an error from the compiler when it is not what the kind needs. */
#define TIDE_FIELD_CHECKED(type, member, wanted) \
	(TIDE_FIELD_SIZE_OF(type, member) + 0 * sizeof(char[TIDE_FIELD_SIZE_OF(type, member) == (wanted) ? 1 : -1]))
#define TIDE_FIELD_CHECKED_FLAG(type, flag) \
	(offsetof(type, flag) + 0 * sizeof(char[TIDE_FIELD_SIZE_OF(type, flag) == sizeof(bool) ? 1 : -1]))
#define TIDE_FIELD_CHECKED_COUNT(type, count) \
	(offsetof(type, count) + 0 * sizeof(char[TIDE_FIELD_SIZE_OF(type, count) == sizeof(size_t) ? 1 : -1]))
#define TIDE_FIELD_OF(type, member, key, kind, flags, size, other, fields, names, item) \
	{ key, sizeof(key) - 1, kind, flags, offsetof(type, member), size, other, fields, names, item }
/* A last argument, the key, may be left away: it is the member's name then. */
#define TIDE_FIELD_PICK3(a, b, c, chosen, ...) chosen
#define TIDE_FIELD_PICK4(a, b, c, d, chosen, ...) chosen
#define TIDE_FIELD_PICK5(a, b, c, d, e, chosen, ...) chosen

#define TIDE_FIELD_PLAIN(kind, wanted, flags, ...) \
	TIDE_FIELD_PICK3(__VA_ARGS__, TIDE_FIELD_PLAIN3, TIDE_FIELD_PLAIN2, )(kind, wanted, flags, __VA_ARGS__)
#define TIDE_FIELD_PLAIN2(kind, wanted, flags, type, member) \
	TIDE_FIELD_PLAIN3(kind, wanted, flags, type, member, #member)
#define TIDE_FIELD_PLAIN3(kind, wanted, flags, type, member, key) \
	TIDE_FIELD_OF(type, member, key, kind, flags, TIDE_FIELD_CHECKED(type, member, wanted), 0, 0, 0, TIDE_KIND_END)
#define TIDE_FIELD_ROOM(kind, ...) \
	TIDE_FIELD_PICK3(__VA_ARGS__, TIDE_FIELD_ROOM3, TIDE_FIELD_ROOM2, )(kind, __VA_ARGS__)
#define TIDE_FIELD_ROOM2(kind, type, member) TIDE_FIELD_ROOM3(kind, type, member, #member)
#define TIDE_FIELD_ROOM3(kind, type, member, key) \
	TIDE_FIELD_OF(type, member, key, kind, 0, TIDE_FIELD_SIZE_OF(type, member), 0, 0, 0, TIDE_KIND_END)

/* Values every event has: TIDE_FIELD_x(struct, member) or TIDE_FIELD_x(struct, member, "key"). */
#define TIDE_FIELD_BOOL(...)    TIDE_FIELD_PLAIN(TIDE_KIND_BOOL, sizeof(bool), 0, __VA_ARGS__)
#define TIDE_FIELD_INT32(...)   TIDE_FIELD_PLAIN(TIDE_KIND_INT32, 4, 0, __VA_ARGS__)
#define TIDE_FIELD_INT64(...)   TIDE_FIELD_PLAIN(TIDE_KIND_INT64, 8, 0, __VA_ARGS__)
#define TIDE_FIELD_UINT32(...)  TIDE_FIELD_PLAIN(TIDE_KIND_UINT32, 4, 0, __VA_ARGS__)
#define TIDE_FIELD_UINT64(...)  TIDE_FIELD_PLAIN(TIDE_KIND_UINT64, 8, 0, __VA_ARGS__)
#define TIDE_FIELD_DOUBLE(...)  TIDE_FIELD_PLAIN(TIDE_KIND_DOUBLE, sizeof(double), 0, __VA_ARGS__)
#define TIDE_FIELD_UUID(...)    TIDE_FIELD_PLAIN(TIDE_KIND_UUID, sizeof(struct tide_uuid), 0, __VA_ARGS__)
#define TIDE_FIELD_TIME(...)    TIDE_FIELD_PLAIN(TIDE_KIND_TIME, sizeof(struct tide_time), 0, __VA_ARGS__)
/* char *member, never NULL */
#define TIDE_FIELD_TEXT(...)    TIDE_FIELD_PLAIN(TIDE_KIND_TEXT, sizeof(char *), TIDE_FIELD_POINTER, __VA_ARGS__)
#define TIDE_FIELD_DECIMAL(...) TIDE_FIELD_PLAIN(TIDE_KIND_DECIMAL, sizeof(char *), TIDE_FIELD_POINTER, __VA_ARGS__)
#define TIDE_FIELD_JSON(...)    TIDE_FIELD_PLAIN(TIDE_KIND_JSON, sizeof(char *), TIDE_FIELD_POINTER, __VA_ARGS__)
/* char member[N], with its NUL */
#define TIDE_FIELD_CHARS(...)         TIDE_FIELD_ROOM(TIDE_KIND_TEXT, __VA_ARGS__)
#define TIDE_FIELD_DECIMAL_CHARS(...) TIDE_FIELD_ROOM(TIDE_KIND_DECIMAL, __VA_ARGS__)
#define TIDE_FIELD_JSON_CHARS(...)    TIDE_FIELD_ROOM(TIDE_KIND_JSON, __VA_ARGS__)

/* An enum: TIDE_FIELD_ENUM(struct, member, names) or (struct, member, names, "key"); names[value]
 * is written. */
#define TIDE_FIELD_ENUM(...) TIDE_FIELD_PICK4(__VA_ARGS__, TIDE_FIELD_ENUM4, TIDE_FIELD_ENUM3, )(__VA_ARGS__)
#define TIDE_FIELD_ENUM3(type, member, names) TIDE_FIELD_ENUM4(type, member, names, #member)
#define TIDE_FIELD_ENUM4(type, member, names, key) \
	TIDE_FIELD_OF(type, member, key, TIDE_KIND_ENUM, 0, TIDE_FIELD_CHECKED(type, member, 4), 0, 0, names, TIDE_KIND_END)

/* A struct inside: TIDE_FIELD_STRUCT(struct, member, fields) or (struct, member, fields, "key"). */
#define TIDE_FIELD_STRUCT(...) TIDE_FIELD_PICK4(__VA_ARGS__, TIDE_FIELD_STRUCT4, TIDE_FIELD_STRUCT3, )(__VA_ARGS__)
#define TIDE_FIELD_STRUCT3(type, member, fields) TIDE_FIELD_STRUCT4(type, member, fields, #member)
#define TIDE_FIELD_STRUCT4(type, member, fields, key) \
	TIDE_FIELD_OF(type, member, key, TIDE_KIND_STRUCT, 0, TIDE_FIELD_SIZE_OF(type, member), 0, fields, 0, TIDE_KIND_END)

/* ---- Values an event may lack: they are left out when encoded; when decoded they may be missing or null. -- */

/* NULL means none: char *member. The nil UUID means none. */
#define TIDE_FIELD_OPTIONAL_TEXT(...) \
	TIDE_FIELD_PLAIN(TIDE_KIND_TEXT, sizeof(char *), TIDE_FIELD_POINTER | TIDE_FIELD_NULLABLE, __VA_ARGS__)
#define TIDE_FIELD_OPTIONAL_DECIMAL(...) \
	TIDE_FIELD_PLAIN(TIDE_KIND_DECIMAL, sizeof(char *), TIDE_FIELD_POINTER | TIDE_FIELD_NULLABLE, __VA_ARGS__)
#define TIDE_FIELD_OPTIONAL_JSON(...) \
	TIDE_FIELD_PLAIN(TIDE_KIND_JSON, sizeof(char *), TIDE_FIELD_POINTER | TIDE_FIELD_NULLABLE, __VA_ARGS__)
#define TIDE_FIELD_OPTIONAL_UUID(...) \
	TIDE_FIELD_PLAIN(TIDE_KIND_UUID, sizeof(struct tide_uuid), TIDE_FIELD_NULLABLE, __VA_ARGS__)

/* A pointer to a struct, NULL means none: TIDE_FIELD_OPTIONAL_STRUCT(struct, member, fields[,
 * "key"]). */
#define TIDE_FIELD_OPTIONAL_STRUCT(...) \
	TIDE_FIELD_PICK4(__VA_ARGS__, TIDE_FIELD_OPTIONAL_STRUCT4, TIDE_FIELD_OPTIONAL_STRUCT3, )(__VA_ARGS__)
#define TIDE_FIELD_OPTIONAL_STRUCT3(type, member, fields) TIDE_FIELD_OPTIONAL_STRUCT4(type, member, fields, #member)
#define TIDE_FIELD_OPTIONAL_STRUCT4(type, member, fields, key) \
	TIDE_FIELD_OF(type, member, key, TIDE_KIND_STRUCT, TIDE_FIELD_POINTER | TIDE_FIELD_NULLABLE, \
	              sizeof(*((type *)0)->member), 0, fields, 0, TIDE_KIND_END)

/* A bool beside it tells: TIDE_FIELD_OPTIONAL(INT64, struct, member, has_member[, "key"]); also
 * CHARS, DECIMAL_CHARS, JSON_CHARS. */
#define TIDE_FIELD_OPTIONAL(kind, ...) \
	TIDE_FIELD_PICK4(__VA_ARGS__, TIDE_FIELD_OPTIONAL4, TIDE_FIELD_OPTIONAL3, )(kind, __VA_ARGS__)
#define TIDE_FIELD_OPTIONAL3(kind, type, member, flag) TIDE_FIELD_OPTIONAL4(kind, type, member, flag, #member)
#define TIDE_FIELD_OPTIONAL4(kind, type, member, flag, key) \
	TIDE_FIELD_OF(type, member, key, TIDE_KIND_##kind, TIDE_FIELD_FLAGGED, \
	              TIDE_FIELD_CHECKED(type, member, TIDE_FIELD_WIDTH_##kind(type, member)), \
	              TIDE_FIELD_CHECKED_FLAG(type, flag), 0, 0, TIDE_KIND_END)
#define TIDE_FIELD_WIDTH_BOOL(type, member)          sizeof(bool)
#define TIDE_FIELD_WIDTH_INT32(type, member)         4
#define TIDE_FIELD_WIDTH_INT64(type, member)         8
#define TIDE_FIELD_WIDTH_UINT32(type, member)        4
#define TIDE_FIELD_WIDTH_UINT64(type, member)        8
#define TIDE_FIELD_WIDTH_DOUBLE(type, member)        sizeof(double)
#define TIDE_FIELD_WIDTH_UUID(type, member)          sizeof(struct tide_uuid)
#define TIDE_FIELD_WIDTH_TIME(type, member)          sizeof(struct tide_time)
#define TIDE_FIELD_WIDTH_CHARS(type, member)         TIDE_FIELD_SIZE_OF(type, member)
#define TIDE_FIELD_WIDTH_DECIMAL_CHARS(type, member) TIDE_FIELD_SIZE_OF(type, member)
#define TIDE_FIELD_WIDTH_JSON_CHARS(type, member)    TIDE_FIELD_SIZE_OF(type, member)

/* The same for an enum: TIDE_FIELD_OPTIONAL_ENUM(struct, member, has_member, names[, "key"]). */
#define TIDE_FIELD_OPTIONAL_ENUM(...) \
	TIDE_FIELD_PICK5(__VA_ARGS__, TIDE_FIELD_OPTIONAL_ENUM5, TIDE_FIELD_OPTIONAL_ENUM4, )(__VA_ARGS__)
#define TIDE_FIELD_OPTIONAL_ENUM4(type, member, flag, names) \
	TIDE_FIELD_OPTIONAL_ENUM5(type, member, flag, names, #member)
#define TIDE_FIELD_OPTIONAL_ENUM5(type, member, flag, names, key) \
	TIDE_FIELD_OF(type, member, key, TIDE_KIND_ENUM, TIDE_FIELD_FLAGGED, TIDE_FIELD_CHECKED(type, member, 4), \
	              TIDE_FIELD_CHECKED_FLAG(type, flag), 0, names, TIDE_KIND_END)

/* ---- Arrays: a pointer and a size_t count; no items is a NULL pointer. ---- */

/* Of values: TIDE_FIELD_ARRAY(INT64, struct, member, count[, "key"]); items of TEXT, DECIMAL and
 * JSON are char *. */
#define TIDE_FIELD_ARRAY(kind, ...) \
	TIDE_FIELD_PICK4(__VA_ARGS__, TIDE_FIELD_ARRAY4, TIDE_FIELD_ARRAY3, )(kind, __VA_ARGS__)
#define TIDE_FIELD_ARRAY3(kind, type, member, count) TIDE_FIELD_ARRAY4(kind, type, member, count, #member)
#define TIDE_FIELD_ARRAY4(kind, type, member, count, key) \
	TIDE_FIELD_OF(type, member, key, TIDE_KIND_ARRAY, TIDE_FIELD_POINTER, \
	              TIDE_FIELD_CHECKED(type, member[0], TIDE_FIELD_ITEM_##kind), \
	              TIDE_FIELD_CHECKED_COUNT(type, count), 0, 0, TIDE_KIND_##kind)
#define TIDE_FIELD_ITEM_BOOL    sizeof(bool)
#define TIDE_FIELD_ITEM_INT32   4
#define TIDE_FIELD_ITEM_INT64   8
#define TIDE_FIELD_ITEM_UINT32  4
#define TIDE_FIELD_ITEM_UINT64  8
#define TIDE_FIELD_ITEM_DOUBLE  sizeof(double)
#define TIDE_FIELD_ITEM_UUID    sizeof(struct tide_uuid)
#define TIDE_FIELD_ITEM_TIME    sizeof(struct tide_time)
#define TIDE_FIELD_ITEM_TEXT    sizeof(char *)
#define TIDE_FIELD_ITEM_DECIMAL sizeof(char *)
#define TIDE_FIELD_ITEM_JSON    sizeof(char *)
/* Of enums: TIDE_FIELD_ARRAY_ENUM(struct, member, count, names[, "key"]). */
#define TIDE_FIELD_ARRAY_ENUM(...) \
	TIDE_FIELD_PICK5(__VA_ARGS__, TIDE_FIELD_ARRAY_ENUM5, TIDE_FIELD_ARRAY_ENUM4, )(__VA_ARGS__)
#define TIDE_FIELD_ARRAY_ENUM4(type, member, count, names) TIDE_FIELD_ARRAY_ENUM5(type, member, count, names, #member)
#define TIDE_FIELD_ARRAY_ENUM5(type, member, count, names, key) \
	TIDE_FIELD_OF(type, member, key, TIDE_KIND_ARRAY, TIDE_FIELD_POINTER, sizeof(*((type *)0)->member), \
	              TIDE_FIELD_CHECKED_COUNT(type, count), 0, names, TIDE_KIND_ENUM)
/* Of structs: TIDE_FIELD_ARRAY_STRUCT(struct, member, count, fields[, "key"]). */
#define TIDE_FIELD_ARRAY_STRUCT(...) \
	TIDE_FIELD_PICK5(__VA_ARGS__, TIDE_FIELD_ARRAY_STRUCT5, TIDE_FIELD_ARRAY_STRUCT4, )(__VA_ARGS__)
#define TIDE_FIELD_ARRAY_STRUCT4(type, member, count, fields) \
	TIDE_FIELD_ARRAY_STRUCT5(type, member, count, fields, #member)
#define TIDE_FIELD_ARRAY_STRUCT5(type, member, count, fields, key) \
	TIDE_FIELD_OF(type, member, key, TIDE_KIND_ARRAY, TIDE_FIELD_POINTER, sizeof(*((type *)0)->member), \
	              TIDE_FIELD_CHECKED_COUNT(type, count), fields, 0, TIDE_KIND_STRUCT)

#define TIDE_FIELD_END { 0, 0, TIDE_KIND_END, 0, 0, 0, 0, 0, 0, TIDE_KIND_END }
/* clang-format on */

/* ---- Types ----------------------------------------------------------------------------------- */

/* What decoding does with a payload that does not fit the table; bits of tide_event_type.policy. */
/* members without a field are an error; otherwise they are passed over */
#define TIDE_REFUSE_UNKNOWN 1u
/* fields without a member get their default; otherwise they are an error */
#define TIDE_DEFAULT_MISSING 2u

/** One change an upcast makes to the members of a payload's object. Write it with TIDE_UPCAST_x. */
struct tide_upcast_change {
	const char *key;  /* of the member; NULL ends a list */
	const char *to;   /* its new name; NULL: it keeps it, or is removed */
	const char *json; /* the value it gets when it is missing; NULL: none is added */
};
/* clang-format off */
#define TIDE_UPCAST_RENAME(from, to) { from, to, 0 }
#define TIDE_UPCAST_REMOVE(key)      { key, 0, 0 }
#define TIDE_UPCAST_ADD(key, json)   { key, 0, json }
#define TIDE_UPCAST_END              { 0, 0, 0 }
/* clang-format on */

/**
 * Rewrite a payload of one event version into the next; `*ret` is heap memory from malloc.
 *
 * Pure: the same payload always gives the same result.
 */
typedef tide_status tide_upcast(struct tide_text payload, char **ret, struct tide_error *err);

/** How payloads of version `from` become payloads of version `from` + 1: by changes, or by a
 * function. */
struct tide_upcaster {
	int32_t from;                             /* event_version it reads; 0 ends a list */
	const struct tide_upcast_change *changes; /* NULL: `upcast` does it */
	tide_upcast *upcast;
};
#define TIDE_UPCASTER_END TIDE_UPCAST_END

/** An event type: its name, its present version, and the struct that its payload is in C. */
struct tide_event_type {
	const char *name;
	int32_t version;
	size_t size; /* of the struct, bytes */
	const struct tide_field *fields;
	/* from every older version still stored; NULL: there is none */
	const struct tide_upcaster *upcasters;
	unsigned policy;      /* TIDE_REFUSE_UNKNOWN, TIDE_DEFAULT_MISSING */
	const void *defaults; /* a struct that decoding begins with; NULL: zero, NULL, no items */
};

/* clang-format off */
/* Define an event type. With upcasters, policy and defaults: TIDE_EVENT_TYPE_WITH, which takes all
 * three. */
#define TIDE_EVENT_TYPE(identifier, name, version, type, fields) \
	TIDE_EVENT_TYPE_WITH(identifier, name, version, type, fields, 0, 0, 0)
#define TIDE_EVENT_TYPE_WITH(identifier, name, version, type, fields, upcasters, policy, defaults) \
	static const struct tide_event_type identifier = \
		{ name, version, sizeof(type), fields, upcasters, policy, defaults }

/* Let `tide schema FILE.so` find the types of a shared object:
 * TIDE_EXPORT_EVENT_TYPES(&order_placed, &order_paid);, once. */
#define TIDE_EXPORT_EVENT_TYPES(...) \
	TIDE_EXPORT_DECLARATION const struct tide_event_type *const TIDE_EXPORTED_EVENT_TYPES[]; \
	const struct tide_event_type *const TIDE_EXPORTED_EVENT_TYPES[] = { __VA_ARGS__, 0 }
#define TIDE_EXPORTED_EVENT_TYPES tidemark_event_types
#ifdef __cplusplus
#define TIDE_EXPORT_DECLARATION extern "C" __attribute__((visibility("default")))
#else
#define TIDE_EXPORT_DECLARATION extern __attribute__((visibility("default")))
#endif
/* clang-format on */

/**
 * Write a struct as the payload of its type.
 *
 * A message names the field: `$.items[3].price: 'abc' is not a decimal number`.
 *
 * Owns:    the caller owns `*ret`; release it with tide_free.
 * Threads: any.
 * Returns: TIDE_OK, TIDE_ARGUMENT (a value that JSON or its field cannot hold), TIDE_OUT_OF_MEMORY.
 */
tide_status tide_event_encode(const struct tide_event_type *type, const void *value, char **ret,
			      struct tide_error *err);

/**
 * Read the payload of an event into a struct, by way of the type's upcasters when the event has an
 * older version.
 *
 * Owns:    the struct owns its pointers; release them with tide_event_type_fini.
 * Threads: any.
 * Returns: TIDE_OK, TIDE_DECODE (naming path and value: `$.items[3].price: 'abc' is not a decimal
 *          number`; another
 * event type; a newer version; a version without upcaster), TIDE_ARGUMENT, TIDE_OUT_OF_MEMORY.
 */
tide_status tide_event_decode(const struct tide_event_type *type, const struct tide_event *event,
			      void *ret, struct tide_error *err);

/**
 * The same for a payload without its event.
 *
 * Owns:    the struct owns its pointers; release them with tide_event_type_fini.
 * Threads: any.
 * Returns: as tide_event_decode.
 */
tide_status tide_payload_decode(const struct tide_event_type *type, int32_t event_version,
				struct tide_text payload, void *ret, struct tide_error *err);

/**
 * Release what decoding put into a struct, and zero it; a zeroed struct is allowed.
 *
 * Owns:    takes every pointer in the struct, not the struct.
 * Threads: any.
 * Returns: nothing.
 */
void tide_event_type_fini(const struct tide_event_type *type, void *value);

/**
 * Describe the payloads of a type as a JSON Schema (draft 2020-12).
 *
 * Owns:    the caller owns `*ret`; release it with tide_free.
 * Threads: any.
 * Returns: TIDE_OK, TIDE_ARGUMENT, TIDE_OUT_OF_MEMORY.
 */
tide_status tide_event_type_schema(const struct tide_event_type *type, char **ret,
				   struct tide_error *err);

/**
 * Write a struct for people, on one line: `OrderPlaced customer="Ann" total=250`.
 *
 * Owns:    the caller owns `*ret`; release it with tide_free.
 * Threads: any.
 * Returns: as tide_event_encode.
 */
tide_status tide_event_type_print(const struct tide_event_type *type, const void *value, char **ret,
				  struct tide_error *err);

/* ---- Registry -------------------------------------------------------------------------------- */

/** A map from names to event types; usable from any thread. */
struct tide_event_types;

/**
 * Open an empty registry. A store opened with it refuses events of other types.
 *
 * Owns:    the caller owns `*ret` and closes it after every store that uses it.
 * Threads: any.
 * Returns: TIDE_OK, TIDE_ARGUMENT, TIDE_OUT_OF_MEMORY.
 */
tide_status tide_event_types_open(struct tide_event_types **ret, struct tide_error *err);

/**
 * Close a registry; NULL is allowed.
 *
 * Owns:    takes `types`.
 * Threads: one, as the last call on it.
 * Returns: nothing.
 */
void tide_event_types_close(struct tide_event_types *types);
static inline void tide_event_types_close_cleanup(struct tide_event_types **types)
{
	tide_event_types_close(*types);
}

/**
 * Register a type under its name. The same type (all members equal, tables by content) twice is a
 * success.
 *
 * Owns:    nothing; `type` must outlive its registration.
 * Threads: any.
 * Returns: TIDE_OK, TIDE_ALREADY_EXISTS (another type of that name), TIDE_ARGUMENT,
 *          TIDE_OUT_OF_MEMORY.
 */
tide_status tide_event_types_add(struct tide_event_types *types, const struct tide_event_type *type,
				 struct tide_error *err);

/**
 * Find a type by name; the message for an unknown one lists the known names.
 *
 * Owns:    nothing. `ret` may be NULL.
 * Threads: any.
 * Returns: TIDE_OK, TIDE_NOT_FOUND, TIDE_ARGUMENT.
 */
tide_status tide_event_types_find(const struct tide_event_types *types, const char *name,
				  const struct tide_event_type **ret, struct tide_error *err);

/**
 * Tell whether a name is registered, how many are; forget one (whether it was there), forget all.
 *
 * Owns:    nothing.
 * Threads: any.
 * Returns: the fact.
 */
bool tide_event_types_has(const struct tide_event_types *types, const char *name);
size_t tide_event_types_size(const struct tide_event_types *types);
bool tide_event_types_remove(struct tide_event_types *types, const char *name);
void tide_event_types_clear(struct tide_event_types *types);

/**
 * List the registered types, sorted by name.
 *
 * Owns:    the caller owns the array `*ret` of `*ret_count`; release it with tide_free.
 * Threads: any.
 * Returns: TIDE_OK, TIDE_ARGUMENT, TIDE_OUT_OF_MEMORY.
 */
tide_status tide_event_types_list(const struct tide_event_types *types,
				  const struct tide_event_type ***ret, size_t *ret_count,
				  struct tide_error *err);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
