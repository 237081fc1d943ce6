/* SPDX-License-Identifier: MIT
 *
 * Handle and TimerHandle: one callback with its arguments and context, to be run by the loop.
 *
 * Owns:    callback, arguments, context and loop, strongly; cancel() drops the first two.
 * Thread:  the loop's; call_soon_threadsafe may make one on another thread, with the GIL held.
 * Errors:  NULL or -1 with an exception set.
 */
#ifndef CUVEE_LOOP_HANDLE_H
#define CUVEE_LOOP_HANDLE_H

#include <Python.h>

#include <stdbool.h>
#include <stdint.h>

#define CV_HANDLE_INLINE_ARGS 3
#define CV_HANDLE_TUPLE_ARGS 0xff /* nargs of a handle whose arguments are one tuple, in args[0] */

struct LoopCoreObject;

typedef struct {
    PyObject_HEAD
    struct LoopCoreObject *loop; /* strong */
    PyObject *callback;          /* strong; NULL once cancelled */
    PyObject *context;           /* strong */
    PyObject *call_slot;         /* what PY_VECTORCALL_ARGUMENTS_OFFSET lets the callee write on */
    PyObject *args[CV_HANDLE_INLINE_ARGS]; /* strong; must follow call_slot */
    PyObject *source_traceback;  /* strong; debug mode only */
    PyObject *kept_repr;         /* strong; debug mode: what it was before cancel() */
    PyObject *weakrefs;
    uint8_t nargs;
    bool cancelled;
    bool threadsafe; /* of call_soon_threadsafe: other threads may ask while it runs (handle_wait.h) */
    bool running; /* the callback borrows args: cancel() leaves them to the runner */
} HandleObject;

typedef struct {
    HandleObject handle;
    double when;    /* seconds of the monotonic clock */
    bool scheduled; /* in the timer heap */
} TimerHandleObject;

/* The argument part of call_soon and its like, all borrowed. */
typedef struct {
    PyObject *callback;
    PyObject *const *args;
    Py_ssize_t nargs;
    PyObject *context; /* NULL: a copy of the current one */
} cv_call_t;

/* Makes a Handle (new reference). */
HandleObject *cv_handle_new(struct LoopCoreObject *loop, const cv_call_t *call);

/* Makes a TimerHandle (new reference) that is in no heap yet. */
TimerHandleObject *cv_timer_handle_new(struct LoopCoreObject *loop, double when, const cv_call_t *call);

/* Runs the callback in its context. What it raises goes to the exception handler, except SystemExit and
 * KeyboardInterrupt: -1 with that set. A cancelled handle does nothing. */
int cv_handle_run(HandleObject *handle);

void cv_handle_cancel(HandleObject *handle);

/* Shared by both types. */
int cv_handle_traverse(PyObject *op, visitproc visit, void *arg);
int cv_handle_clear(PyObject *op);
void cv_handle_record_source(HandleObject *handle);

/* Makes the types of `module` (new references). */
PyTypeObject *cv_handle_make_type(PyObject *module);
PyTypeObject *cv_timer_handle_make_type(PyObject *module, PyTypeObject *base);

#endif
