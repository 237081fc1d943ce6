/* SPDX-License-Identifier: MIT */
#include "asgi/channel.h"
#include "asgi/cycle.h"
#include "asgi/step.h"
#include "asgi/wait.h"

#include <string.h>

/* Every body byte that waits, as one bytes object; the cycle has none afterwards. New reference. */
static PyObject *
take_body(CycleObject *cycle)
{
    if (cycle->more.len == 0) {
        PyObject *body = cycle->body;
        cycle->body = NULL;
        return body != NULL ? body : Py_NewRef(cycle->service->state->empty_bytes);
    }
    Py_ssize_t first = cycle->body == NULL ? 0 : PyBytes_GET_SIZE(cycle->body);
    PyObject *all = PyBytes_FromStringAndSize(NULL, first + (Py_ssize_t)cycle->more.len);
    if (all == NULL) {
        return NULL;
    }
    if (first > 0) {
        memcpy(PyBytes_AS_STRING(all), PyBytes_AS_STRING(cycle->body), (size_t)first);
    }
    memcpy(PyBytes_AS_STRING(all) + first, cycle->more.data, cycle->more.len);
    Py_CLEAR(cycle->body);
    cv_buffer_deinit(&cycle->more);
    return all;
}

static PyObject *
disconnect_event(const cv_names_t *names)
{
    PyObject *event = PyDict_New();
    if (event != NULL && PyDict_SetItem(event, names->type, names->http_disconnect) < 0) {
        Py_CLEAR(event);
    }
    return event;
}

/* The http.request event for what waits now. */
static PyObject *
request_event(CycleObject *cycle)
{
    cv_state_t *state = cycle->service->state;
    bool last = cycle->body_complete;
    PyObject *event = PyDict_Copy(state->body_template);
    PyObject *body = event == NULL ? NULL : take_body(cycle);
    if (body == NULL) {
        Py_XDECREF(event);
        return NULL;
    }
    size_t taken = (size_t)PyBytes_GET_SIZE(body);
    if ((taken > 0 && PyDict_SetItem(event, state->names.body, body) < 0)
        || (!last && PyDict_SetItem(event, state->names.more_body, Py_True) < 0)) {
        Py_CLEAR(event);
    }
    Py_DECREF(body);
    cycle->body_ended = last;
    if (taken > 0 && cycle->conn != NULL) {
        cv_conn_consumed(cycle->conn, taken);
        cv_service_wake(cycle->service);
    }
    return event;
}

/* Nothing comes any more but the disconnect. */
static bool
has_ended(const CycleObject *cycle)
{
    return cycle->disconnected || cycle->complete || cycle->conn == NULL;
}

static int
attempt_receive(WaitObject *wait, PyObject **result)
{
    CycleObject *cycle = (CycleObject *)wait->exchange;
    if (has_ended(cycle)) {
        *result = disconnect_event(&cycle->service->state->names);
    } else if (cycle->body != NULL || (cycle->body_complete && !cycle->body_ended)) {
        *result = request_event(cycle);
    } else if (cycle->service->is_stopping && cycle->body_ended) {
        cycle->told_stop = true;
        *result = disconnect_event(&cycle->service->state->names);
    } else {
        return 0;
    }
    return *result == NULL ? -1 : 1;
}

PyObject *
cv_receive_call(PyObject *op, PyObject *const *Py_UNUSED(args), size_t nargsf, PyObject *kwnames)
{
    CycleObject *cycle = (CycleObject *)((ChannelObject *)op)->exchange;
    if (PyVectorcall_NARGS(nargsf) != 0 || kwnames != NULL) {
        PyErr_SetString(PyExc_TypeError, "receive() takes no arguments");
        return NULL;
    }
    if (cycle->conn != NULL && !cycle->body_complete && cycle->conn->expects_continue) {
        cv_conn_want_body(cycle->conn);
        cv_service_wake(cycle->service);
    }
    PyObject *wait = cv_wait_new(&cycle->exchange, attempt_receive, &cycle->receivers, NULL);
    if (wait != NULL && (has_ended(cycle) || cycle->told_stop)) {
        ((WaitObject *)wait)->pauses = cv_step_hears_end(&cycle->exchange);
    }
    return wait;
}
