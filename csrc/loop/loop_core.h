/* SPDX-License-Identifier: MIT
 *
 * LoopCore: the C half of `cuvee.Loop`, seen from inside csrc/loop.
 *
 * Owns:    its uv loop and every handle in it; the queues of handles; the descriptor table.
 * Borrows: turn participants and guests.
 * Thread:  the one that runs it; only call_soon_threadsafe and what it needs (cv_wake_*) may be used from others.
 * Errors:  -1 or NULL with an exception set, where not said otherwise.
 */
#ifndef CUVEE_LOOP_LOOP_CORE_H
#define CUVEE_LOOP_LOOP_CORE_H

#include <Python.h>

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <uv.h>

#include "loop/fd_watch.h"
#include "loop/handle.h"
#include "loop/loop.h"
#include "loop/loop_state.h"
#include "loop/ready.h"
#include "loop/timer_heap.h"
#include "loop/wake.h"

#define CV_HANDLE_FREELIST 256

typedef struct LoopCoreObject {
    cv_loop_head_t head; /* must be first */

    /* set once */
    LoopStateObject *state;   /* strong */
    PyObject *future_type;    /* strong: asyncio.Future */
    PyObject *task_type;      /* strong: asyncio.Task */
    PyObject *base_create_task; /* strong: BaseEventLoop.create_task */
    PyObject *private_module; /* strong: cuvee._asyncio_private */
    pid_t pid;                /* of the process that made the loop */

    /* uv handles; open from creation to close */
    uv_prepare_t prepare; /* last thing before a poll */
    uv_check_t check;     /* first thing after it */
    uv_idle_t idle;       /* active while the next poll must not block */
    uv_timer_t timer;     /* ends a poll at the heap's first deadline */
    uint64_t last_yield;  /* ms of the uv clock when the GIL was last offered */

    /* work */
    cv_ready_t ready;
    cv_timer_heap_t timers;
    cv_wake_t wake;
    cv_list_t turns;
    cv_list_t guests;
    cv_fd_table_t fds;
    cv_list_t handle_waiters; /* threads that wait for a running callback (handle_wait.c) */

    /* signals: a socket pair that CPython's signal handler writes to, opened at first use */
    uv_poll_t signal_poll;
    int signal_fds[2];

    /* state of a run */
    unsigned long thread_id; /* 0: not running */
    PyObject *loop_kwargs;   /* strong: {"loop": self}; a reference cycle, so for the time of a run only */
    PyObject *fatal;         /* strong: the SystemExit or KeyboardInterrupt that ends the run */
    bool stopping;
    bool stopped;             /* the last turn of this run was run */
    bool parted;  /* this is a child's copy, with an epoll of its own */
    bool uv_open; /* the uv loop and its handles exist */
    bool is_closed;
    bool debug;

    /* Python-visible fields that BaseEventLoop sets */
    PyObject *task_factory; /* strong, or None */
    PyObject *transports;   /* strong: the transports by descriptor that asyncio's own classes register, or NULL */

    HandleObject *free_handles[CV_HANDLE_FREELIST]; /* dead memory, each still owning a reference to its type */
    int nfree;
} LoopCoreObject;

/* Raises RuntimeError when the loop is closed. */
int cv_loop_check_open(LoopCoreObject *self);

/* Debug mode: RuntimeError off the loop's thread, TypeError for a callback that cannot be called. */
int cv_loop_check_call(LoopCoreObject *self, PyObject *callback, const char *method, bool any_thread);

/* Keeps the exception that is set as the end of this run, and lets the loop leave at the end of the turn. */
void cv_loop_fail(LoopCoreObject *self);

/* True when the exception that is set leaves run_forever, as in asyncio. */
bool cv_loop_exception_is_fatal(void);

/* Calls the function `name` of cuvee._asyncio_private (new reference). */
PyObject *cv_loop_call_private(LoopCoreObject *self, const char *name, PyObject *const *args, size_t nargs);

/* Runs a handle in debug mode: -1 as cv_handle_run (debug_run.c). */
int cv_debug_run_handle(LoopCoreObject *self, HandleObject *handle);

/* Starts the watchers of the phases: 0, or a negative uv error (turn.c). */
int cv_turn_open(LoopCoreObject *self);

/* Opening and closing everything on the uv loop (lifetime.c). open: 0, or a negative uv error. */
int cv_loop_open(LoopCoreObject *self);
void cv_loop_close(LoopCoreObject *self);

/* In a child after fork, gives its copy of the loop an epoll of its own: what is not watched there any more would be
 * taken out of the parent's (lifetime.c). */
void cv_loop_part_from_parent(LoopCoreObject *self);

/* Signals (signals.c). */
void cv_signals_close(LoopCoreObject *self);

/* The methods of LoopCore, a table for each file that implements some. */
extern PyMethodDef cv_loop_run_methods[];
extern PyMethodDef cv_loop_schedule_methods[];
extern PyMethodDef cv_loop_task_methods[];
extern PyMethodDef cv_loop_fd_methods[];
extern PyMethodDef cv_loop_signal_methods[];

#endif
