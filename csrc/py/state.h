/* SPDX-License-Identifier: MIT
 *
 * What one instance of the extension module holds: interned names, shared constants, its types, and the parts of
 * asyncio that requests run through.
 *
 * Owns:    every reference in cv_state_t (strong), from module exec to module clear.
 * Thread:  the GIL is held.
 * Errors:  -1 with an exception set.
 */
#ifndef CUVEE_PY_STATE_H
#define CUVEE_PY_STATE_H

#include <Python.h>

#include <stdbool.h>

#include "http/field_names.h"
#include "py/free_list.h"
#include "py/names.h"

typedef struct {
#define CV_DECLARE_NAME(member, text) PyObject *member;
    CV_NAMES(CV_DECLARE_NAME)
#undef CV_DECLARE_NAME
} cv_names_t;

typedef struct {
    cv_names_t names;

    /* Constants */
    PyObject *field_names[CV_FIELD_COUNT]; /* bytes of each known field name; NULL where the table has none */
    PyObject *empty_bytes;
    PyObject *body_template;    /* {"type": "http.request", "body": b"", "more_body": False} */
    PyObject *finished;         /* the awaitable that is finished already */
    PyObject *context_kwnames;  /* ("context",) */
    PyObject *msg_kwnames;      /* ("msg",) */

    /* Exceptions */
    PyObject *client_disconnected; /* cuvee.ClientDisconnected */

    /* asyncio */
    PyObject *task_type;        /* asyncio.Task */
    PyCFunction task_done;      /* its methods that take no argument, called without any look-up; NULL where they */
    PyCFunction task_result;    /* are not what CPython's C implementation has */
    bool eager;                 /* Task() knows eager_start: 3.12 and later */

    /* Memory for what each request makes */
    cv_free_list_t free_cycles;
    cv_free_list_t free_channels;
    cv_free_list_t free_waits;

    /* Types */
    PyTypeObject *finished_type;
    PyTypeObject *pause_type;
    PyTypeObject *receive_type;
    PyTypeObject *send_type;
    PyTypeObject *wait_type;
    PyTypeObject *cycle_type;
    PyTypeObject *websocket_type;
    PyTypeObject *disconnect_type;
    PyTypeObject *connection_type;
    PyTypeObject *server_type;
} cv_state_t;

/* The state of the module that `type` (made by PyType_FromModuleAndSpec) belongs to; borrowed. */
static inline cv_state_t *
cv_state_of_type(PyTypeObject *type)
{
    return (cv_state_t *)PyType_GetModuleState(type);
}

/* Fills the names, the constants and the parts of asyncio. The types are made by their own files. */
int cv_state_init(cv_state_t *state);

int cv_state_traverse(cv_state_t *state, visitproc visit, void *arg);
void cv_state_clear(cv_state_t *state);

/* Makes a heap type, keeps it in *slot (strong) and adds it to the module under its name. */
int cv_state_add_type(PyObject *module, PyTypeObject **slot, PyType_Spec *spec);

#endif
