/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_PROJECT_COMMAND_H
#define TIDE_PROJECT_COMMAND_H

/*
 * The parts of a command projection: processes are started by one thread (command_spawner.c), kept
 * and ended by the subscription's (command_process.c), talked to through a window of events
 * (command_window.c) and answers (command_reply.c).
 */

#include <sys/types.h>

#include <tidemark/command_projection.h>

#include "core/json.h"
#include "sys/clock.h"

/* ---- command_spawner.c ----------------------------------------------------------------------- */

/** What is to be started. */
struct spawn_plan {
	const char *name; /* of the projection, for the log */
	char *const *arguments;
	char *const *environment;
};

/** One that was started: its process group is its pid. */
struct spawned {
	pid_t pid;
	int to, from;    /* its standard input and output; do not block */
	uint64_t errors; /* names its standard error, which the thread reads */
};

/** Keep the thread there; every enter has its leave. TIDE_OUT_OF_MEMORY, TIDE_IO. */
tide_status spawner_enter(struct tide_error *err);
void spawner_leave(void);
/** Start a process in that thread. TIDE_OK, TIDE_NOT_FOUND or TIDE_UNSUPPORTED (it cannot be
 * executed), TIDE_BUSY (it may be later), TIDE_OUT_OF_MEMORY. */
tide_status spawner_start(const struct spawn_plan *plan, struct spawned *ret,
			  struct tide_error *err);
/** Log what is there of a standard error, then forget it; one that is forgotten is allowed. */
void spawner_forget(uint64_t errors);

/** The share of a manager's drain_timeout that a program may have, so that it has gone before that
 * is over. */
#define COMMAND_DRAIN_SHARE 0.6

/* ---- command_process.c ----------------------------------------------------------------------- */

#define PROCESS_SAYS_SIZE 80

/** A process of the command, or none; all of it is the subscription's thread's. */
struct process {
	bool is_there;
	struct spawned is;
	struct mono_time began;
	bool has_answered; /* it was there, and knew how */
};

tide_status process_start(struct process *process, const struct spawn_plan *plan,
			  struct tide_error *err);
/** Whether it has ended by itself. */
bool process_has_ended(const struct process *process);
void process_close_input(struct process *process);
/** End what is left of it and of its group; `ret` says how it ended. */
void process_kill(struct process *process, char ret[PROCESS_SAYS_SIZE]);
/** Let it end: its input closed, time until `until`, SIGTERM, some grace, SIGKILL. False: it did
 * not end by itself. */
bool process_end(struct process *process, struct mono_time until, int64_t grace_ns,
		 char ret[PROCESS_SAYS_SIZE]);
/** Write as much as goes: the number of bytes, 0 when it takes none now, -1: never again. */
ssize_t process_write(const struct process *process, const char *data, size_t size);
/** Read as much as is there: 0 when nothing is, -1 at the end. */
ssize_t process_read(const struct process *process, char *data, size_t size);
/** Bytes that were written to it, and that it has not read. */
size_t process_unread(const struct process *process);
/** Wait until it can be read, or written to when that is wanted, for some milliseconds at most. */
void process_wait(const struct process *process, bool wants_to_write, int milliseconds);

/* ---- command_find.c -------------------------------------------------------------------------- */

/** Whether a program could be executed now, looked for as execvp does. TIDE_NOT_FOUND. */
tide_status command_find(const char *program, struct tide_error *err);

/* ---- command_reply.c ------------------------------------------------------------------------- */

enum reply_kind { REPLY_OK, REPLY_RETRY, REPLY_FAIL, REPLY_RUBBISH };

/** One answer. */
struct reply {
	enum reply_kind kind;
	char why[400];          /* empty: it gave none; of rubbish: what is wrong with it */
	char *stacktrace;       /* NULL: none */
	bool has_position;      /* it says which event it is for */
	tide_position position; /* of that */
};

/** Answers as bytes, of which at most so many are kept. */
struct replies {
	char *data; /* REPLIES_SIZE bytes */
	size_t at, size;
	bool is_skipping; /* the line is longer than that: its begin alone is kept */
};
#define REPLIES_SIZE ((size_t)64 << 10)

/** Room behind what is there. */
char *replies_room(struct replies *replies, size_t *ret_size);
/** The next whole line, which stays where it is until it is passed. */
bool replies_peek(struct replies *replies, struct tide_text *ret);
void replies_pass(struct replies *replies, struct tide_text line);
void replies_clear(struct replies *replies);
/** What a line says; release with reply_fini. */
void reply_read(struct tide_text line, bool is_cut, struct reply *ret);
void reply_fini(struct reply *reply);

/* ---- command_window.c ------------------------------------------------------------------------ */

/** An event that was sent and is not settled. */
struct sent_event {
	tide_position position;
	struct tide_uuid event_id;
	int32_t attempt; /* how often it was sent */
	size_t bytes;    /* of the line it was sent in */
};

/** Events that were sent, in order: those in flight, then those to be sent again. */
struct window {
	struct sent_event *events; /* `capacity` */
	size_t capacity, first, count;
	size_t in_flight; /* of them, from the first: to be answered */
	size_t stale;     /* answers before those: to be read and passed over */
};

tide_status window_init(struct window *window, size_t events, struct tide_error *err);
void window_fini(struct window *window);
void window_clear(struct window *window);
/** The oldest event that is to be answered, or sent again; NULL: none. */
const struct sent_event *window_oldest(const struct window *window);
bool window_is(const struct sent_event *sent, const struct tide_event *event);
/** `event` is the next to be settled: what was sent before it is settled otherwise, and what is in
 * flight behind another one is answered for nothing. */
void window_align(struct window *window, const struct tide_event *event);
/** It is sent behind those in flight; at least the `attempt`th time. Returns which it is. */
int32_t window_send(struct window *window, const struct tide_event *event, int32_t attempt);
/** The line of the last one sent has so many bytes. */
void window_measure(struct window *window, size_t bytes);
/** Bytes of the lines in flight. */
size_t window_bytes(const struct window *window);
/** The oldest one is settled. */
void window_settle(struct window *window);
/** The oldest one has failed: it and what is in flight behind it is sent again. `is_answered`: it
 * was answered itself, and so will be the others. */
void window_fail(struct window *window, bool is_answered);

#endif
