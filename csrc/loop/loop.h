/* SPDX-License-Identifier: MIT
 *
 * What the rest of cuvee may ask of the event loop (`cuvee._core.LoopCore`).
 *
 * Owns:    nothing; the `uv_loop_t` belongs to the LoopCore object and lives as long as it.
 * Borrows: turns, guests and watches: they live inside their owners and are taken out by them.
 * Thread:  the loop's thread, with the GIL held, unless a comment says otherwise. libuv runs with the GIL held and
 *          releases it only around a poll that may block, so a poll-phase callback (uv_poll, uv_async, uv_stream,
 *          uv_signal) calls `cv_loop_enter` before it touches any Python object. Callbacks of the other phases (check,
 *          closing, timer, idle, prepare) always have it.
 * Errors:  -1 with a Python exception set, where an int is returned.
 *
 * A turn of the loop:
 *   poll      libuv's I/O callbacks; `add_reader` and `add_writer` handles become ready
 *   check     1. `run` of every pending turn participant
 *             2. due timers join the ready ring; what the ring holds at this moment runs, in order
 *             3. `flush` of every pending turn participant; 2 (without timers) and 3 again for what 2 made ready, while
 *                the turn is young (ROUNDS_TIME in turn.c)
 *   closing, uv timers
 *   prepare   the next poll blocks only when the ring is empty, no participant is pending and stop() was not called
 */
#ifndef CUVEE_LOOP_LOOP_H
#define CUVEE_LOOP_LOOP_H

#include <Python.h>

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/list.h"

/* The head of every LoopCore object: what inline code may look at. */
typedef struct {
    PyObject_HEAD
    uint64_t round;          /* counts the flushes, from 1 on */
    PyThreadState *released; /* the loop's thread state while a poll runs without the GIL, else NULL */
    uv_loop_t uv;
} cv_loop_head_t;

/* ---- set-up -------------------------------------------------------------------------------------------------- */

/* Makes LoopCore, Handle and TimerHandle and adds them to `module` (called once, by module.c). */
int cv_loop_setup_types(PyObject *module);

/* 1 when `obj` is a LoopCore (or of a subclass), else 0. Never fails. */
int cv_loop_check(PyObject *obj);

/* The loop's `uv_loop_t`. Handles put on it by others must be closed by a guest's `close` (below). */
static inline uv_loop_t *
cv_loop_uv(PyObject *loop)
{
    return &((cv_loop_head_t *)loop)->uv;
}

/* ---- the GIL ------------------------------------------------------------------------------------------------- */

/* The slow half of `cv_loop_enter`. */
void cv_loop_retake_gil(PyObject *loop);

/* Takes the GIL back if the poll released it: the first thing in a poll-phase callback that touches Python. */
static inline void
cv_loop_enter(PyObject *loop)
{
    if (((cv_loop_head_t *)loop)->released != NULL) {
        cv_loop_retake_gil(loop);
    }
}

/* ---- turn participants --------------------------------------------------------------------------------------- */

/* One who queues work during the poll, runs it together and writes the results together: the HTTP server, and each
 * transport that has gathered small writes.
 * Both functions are called with the GIL held and only while `pending`; who has no work left sets `pending` to false
 * itself. As long as it is true, no poll blocks. Either may call join and leave, for itself and for others.
 * They return 0, or -1 with an exception set: SystemExit and KeyboardInterrupt leave run_forever, after the flushes
 * of this turn; everything else goes to the loop's exception handler. */
typedef struct cv_loop_turn {
    cv_list_t node; /* the loop's, between join and leave */
    int (*run)(struct cv_loop_turn *turn); /* or NULL */
    int (*flush)(struct cv_loop_turn *turn);
    bool pending;
} cv_loop_turn_t;

/* Adds `turn`, whose `run` and `flush` are set. The loop keeps no reference to its owner. */
void cv_loop_join(PyObject *loop, cv_loop_turn_t *turn);

/* From within the poll, before it is over: runs what is ready now, as every turn does after the poll. What reads many
 * things in one poll calls this now and then, so that neither what it has read nor timers have to wait for the last of
 * them. Enters Python. */
void cv_loop_run_turn(PyObject *loop);

/* Takes `turn` out. Needs no particular phase; the loop must still exist. */
void cv_loop_leave(PyObject *loop, cv_loop_turn_t *turn);

/* Says that `turn` has queued cycles or unwritten output. From the loop's thread; the GIL is not needed. */
static inline void
cv_loop_turn_set_pending(PyObject *loop, cv_loop_turn_t *turn)
{
    (void)loop;
    turn->pending = true;
}

/* What is called between two flushes has the same number. */
static inline uint64_t
cv_loop_round(PyObject *loop)
{
    return ((cv_loop_head_t *)loop)->round;
}

/* True when the loop runs, in the thread that asks. */
bool cv_loop_runs_here(PyObject *loop);

/* ---- guests: owners of uv handles on this loop ---------------------------------------------------------------- */

/* One whose uv handles must be gone before the loop is. `close` is called once by the loop's close(), which has taken
 * the guest out already: it calls uv_close on all its handles; the loop then runs until their close callbacks ran. */
typedef struct cv_loop_guest {
    cv_list_t node; /* the loop's, between admit and dismiss */
    void (*close)(struct cv_loop_guest *guest);
} cv_loop_guest_t;

void cv_loop_admit(PyObject *loop, cv_loop_guest_t *guest);
void cv_loop_dismiss(PyObject *loop, cv_loop_guest_t *guest);

/* ---- calls and errors ---------------------------------------------------------------------------------------- */

/* loop.call_soon(callback[, arg], context=context), all borrowed; NULL context: a copy of the current one. */
int cv_loop_call_soon(PyObject *loop, PyObject *callback, PyObject *arg_or_null, PyObject *context_or_null);

/* loop.time(), which is time.monotonic(), in seconds; needs no GIL. */
double cv_loop_time(void);

/* Disposes of the exception that is set: SystemExit and KeyboardInterrupt are kept and leave run_forever at the end
 * of this turn; everything else goes to call_exception_handler with `message` and, unless NULL, `source` (an asyncio
 * transport, protocol, task or handle goes under the key asyncio uses; anything else under "source"). */
void cv_loop_handle_error(PyObject *loop, const char *message, PyObject *source);

/* ---- descriptors --------------------------------------------------------------------------------------------- */

/* A watch of a transport's socket. Level-triggered. `ready` is called in the poll phase, with the GIL held, with the
 * UV_READABLE and UV_WRITABLE bits that are set (errors and hang-ups set both that are watched); it may set or drop any
 * watch, its own included. Somebody may close the descriptor behind the transport's back (own_watch.h): then it is
 * called once more, from outside the poll phase. */
typedef struct cv_loop_watch {
    void (*ready)(struct cv_loop_watch *watch, int events);
} cv_loop_watch_t;

/* Watches `fd` for `events` (UV_READABLE | UV_WRITABLE), replacing this watch's former events; 0 events stop it.
 * One C watch for a descriptor, and none together with add_reader or add_writer on it (RuntimeError).
 * -1: OSError, and nothing is watched. */
int cv_loop_watch(PyObject *loop, cv_loop_watch_t *watch, int fd, int events);

/* Forgets this watch of `fd`; harmless when that has another or none, and when it is closed. Before close(fd). */
void cv_loop_unwatch(PyObject *loop, cv_loop_watch_t *watch, int fd);

/* Stops a watch of the socket that had the number `fd` before, and was closed behind its transport's back. Needs no
 * GIL. */
void cv_loop_disown_fd(PyObject *loop, int fd);

/* Says that `fd` belongs to `transport` (borrowed: released before it dies): add_reader and its like then raise
 * RuntimeError for it, as in asyncio, unless the transport is closing. -1: MemoryError. */
int cv_loop_claim_fd(PyObject *loop, int fd, PyObject *transport);
void cv_loop_release_fd(PyObject *loop, int fd, PyObject *transport);

/* RuntimeError when `fd` is claimed by a transport that is not closing. */
int cv_loop_check_fd_free(PyObject *loop, int fd);

#endif
