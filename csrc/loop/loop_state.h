/* SPDX-License-Identifier: MIT
 *
 * What all loops of one module share: the types and the names that the hot paths compare and call with.
 *
 * Owns:    strong references; the module owns the state, as its attribute `_loop_state`.
 * Thread:  any, with the GIL held.
 * Errors:  NULL with an exception set.
 */
#ifndef CUVEE_LOOP_LOOP_STATE_H
#define CUVEE_LOOP_LOOP_STATE_H

#include <Python.h>

typedef struct {
    PyObject_HEAD
    PyTypeObject *loop_type;
    PyTypeObject *handle_type;
    PyTypeObject *timer_handle_type;
    PyObject *str_callback; /* interned, as all below */
    PyObject *str_context;
    PyObject *str_delay;
    PyObject *str_when;
    PyObject *str_loop;
    PyObject *str_name;
    PyObject *loop_kwnames; /* ("loop",) */
    PyObject *context_kwnames; /* the last tuple that was ("context",), or NULL: asyncio's is always the same one */
} LoopStateObject;

/* Makes an empty state and adds it to `module` (borrowed from there). */
LoopStateObject *cv_loop_state_add(PyObject *module);

/* The state that was added to `module` (new reference). */
LoopStateObject *cv_loop_state_get(PyObject *module);

#endif
