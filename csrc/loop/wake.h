/* SPDX-License-Identifier: MIT
 *
 * The way in from other threads: handles wait here until the loop's next turn, and a uv_async ends its poll.
 *
 * Owns:    a strong reference to every handle in it.
 * Thread:  push from any thread with the GIL held; the rest from the loop's. No Python code runs under the lock, so
 *          that a signal handler that interrupts a push on its own thread cannot find it taken.
 * Errors:  -1 with an exception set.
 */
#ifndef CUVEE_LOOP_WAKE_H
#define CUVEE_LOOP_WAKE_H

#include <Python.h>

#include <pthread.h>
#include <stdbool.h>
#include <uv.h>

#include "loop/handle.h"
#include "loop/ready.h"

typedef struct {
    pthread_mutex_t lock;
    uv_async_t async;
    HandleObject **items; /* under the lock, as count, size and is_open */
    size_t count;
    size_t size;
    bool is_open;
} cv_wake_t;

/* 0, or a negative uv error. */
int cv_wake_open(cv_wake_t *wake, uv_loop_t *uv);

/* Refuses further pushes and drops what waits. The uv_async is closed with the other handles of the loop. */
void cv_wake_close(cv_wake_t *wake);

/* Frees the lock; after close. */
void cv_wake_deinit(cv_wake_t *wake);

/* Adds `handle`, taking over the caller's reference; `send` says that the loop may be polling. RuntimeError when
 * the loop is closed. */
int cv_wake_push_steal(cv_wake_t *wake, HandleObject *handle, bool send);

/* Moves everything to the ready ring. */
int cv_wake_drain(cv_wake_t *wake, cv_ready_t *ready);

/* True when something waits; exact only on the loop's thread, for what that thread pushed. */
static inline bool
cv_wake_has_work(cv_wake_t *wake)
{
    return __atomic_load_n(&wake->count, __ATOMIC_RELAXED) > 0;
}

int cv_wake_traverse(cv_wake_t *wake, visitproc visit, void *arg);

#endif
