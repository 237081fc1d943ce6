/* SPDX-License-Identifier: MIT */
#include "loop/stream.h"

#include <unistd.h>

#include "py/errors.h"

/* ---- leaving the loop ------------------------------------------------------------------------------------------- */

PyObject *
cv_stream_open_streams(StreamObject *self)
{
    PyObject *streams = PyObject_GetAttr(self->loop, self->state->str__open_streams);
    if (streams != NULL && !PyDict_Check(streams)) {
        Py_DECREF(streams);
        PyErr_SetString(PyExc_TypeError, "the loop's _open_streams must be a dict");
        return NULL;
    }
    return streams;
}

/* Another stream may stand under our number already, if somebody closed the descriptor behind our back. */
static int
forget_open(StreamObject *self)
{
    PyObject *streams = cv_stream_open_streams(self);
    PyObject *key = streams != NULL ? PyLong_FromLong(self->number) : NULL;
    PyObject *found = key != NULL ? PyDict_GetItemWithError(streams, key) : NULL; /* borrowed-ref OK: compared only */
    int result = found == (PyObject *)self ? PyDict_DelItem(streams, key) : 0;
    Py_XDECREF(key);
    Py_XDECREF(streams);
    return result < 0 || PyErr_Occurred() ? -1 : 0;
}

void
cv_stream_leave(StreamObject *self)
{
    if (self->loop == NULL) {
        return;
    }
    if (cv_list_is_linked(&self->guest.node)) {
        cv_loop_dismiss(self->loop, &self->guest);
        cv_loop_unwatch(self->loop, &self->watch, self->number);
        cv_loop_release_fd(self->loop, self->number, (PyObject *)self);
        self->watched = 0;
    }
    cv_stream_end_gather(self);
    PyObject *exception = cv_error_take();
    if (forget_open(self) < 0) {
        PyErr_WriteUnraisable((PyObject *)self);
    }
    if (exception != NULL) {
        cv_error_give(exception);
    }
}

/* Closes a Python object that holds the descriptor, or a part in it (stolen; may be NULL). */
static void
close_object(StreamObject *self, PyObject *object)
{
    if (object == NULL) {
        return;
    }
    PyObject *done = PyObject_CallMethodNoArgs(object, self->state->str_close);
    if (done == NULL) {
        PyErr_WriteUnraisable((PyObject *)self);
    }
    Py_XDECREF(done);
    Py_DECREF(object);
}

void
cv_stream_release(StreamObject *self)
{
    if (self->fd < 0) {
        return;
    }
    PyObject *exception = cv_error_take();
    cv_stream_leave(self);
    cv_stream_queue_clear(&self->queue);
    int fd = self->fd;
    PyObject *sock = self->sock;
    PyObject *hold = self->sock_hold;
    self->fd = -1;
    self->sock = self->sock_hold = NULL;
    close_object(self, hold);
    if (sock != NULL) { /* which must know that its number is gone */
        close_object(self, sock);
    } else {
        (void)close(fd);
    }
    if (exception != NULL) {
        cv_error_give(exception);
    }
}

void
cv_stream_detach_server(StreamObject *self)
{
    PyObject *server = self->server;
    if (server == NULL) {
        return;
    }
    self->server = NULL;
    PyObject *exception = cv_error_take();
#if PY_VERSION_HEX >= 0x030D0000
    PyObject *done = PyObject_CallMethodOneArg(server, self->state->str__detach, (PyObject *)self);
#else
    PyObject *done = PyObject_CallMethodNoArgs(server, self->state->str__detach);
#endif
    if (done == NULL) {
        cv_loop_handle_error(self->loop, "Exception in Server._detach()", (PyObject *)self);
    }
    Py_XDECREF(done);
    Py_DECREF(server);
    if (exception != NULL) {
        cv_error_give(exception);
    }
}

/* ---- the end of a connection ------------------------------------------------------------------------------------ */

static int
schedule_lost(StreamObject *self, PyObject *exception)
{
    PyObject *lost = PyObject_GetAttr((PyObject *)self, self->state->str__call_connection_lost);
    if (lost == NULL) {
        return -1;
    }
    int result = cv_loop_call_soon(self->loop, lost, exception != NULL ? exception : Py_None, NULL);
    Py_DECREF(lost);
    return result;
}

int
cv_stream_close(StreamObject *self)
{
    if (self->closing) {
        return 0;
    }
    self->closing = true;
    if (self->queue.bytes > 0) {
        return cv_stream_rewatch(self);
    }
    self->conn_lost++;
    if (cv_stream_rewatch(self) < 0) {
        return -1;
    }
    return schedule_lost(self, NULL);
}

int
cv_stream_force_close(StreamObject *self, PyObject *exception)
{
    if (self->conn_lost > 0) {
        return 0;
    }
    cv_stream_offer_gathered(self);
    cv_stream_queue_clear(&self->queue);
    self->closing = true;
    self->conn_lost++;
    if (cv_stream_rewatch(self) < 0) {
        return -1;
    }
    return schedule_lost(self, exception);
}

static int
tell_protocol(StreamObject *self, PyObject *exception)
{
    PyObject *protocol = self->protocol;
    if (protocol == NULL) {
        return 0;
    }
    Py_INCREF(protocol);
    PyObject *done = PyObject_CallMethodOneArg(protocol, self->state->str_connection_lost, exception);
    Py_DECREF(protocol);
    Py_XDECREF(done);
    return done != NULL ? 0 : -1;
}

/* Somebody waits for the queue to drain (sendfile): it never will. */
static void
fail_empty_waiter(StreamObject *self)
{
    PyObject *gone = PyObject_CallFunction(PyExc_ConnectionError, "s", "Connection is closed by peer");
    if (gone == NULL || cv_stream_wake_empty_waiter(self, gone) < 0) {
        PyErr_WriteUnraisable((PyObject *)self);
    }
    Py_XDECREF(gone);
}

int
cv_stream_finish(StreamObject *self, PyObject *exception)
{
    if (self->finished) {
        return 0;
    }
    self->finished = true;
    Py_INCREF(self);
    int result = tell_protocol(self, exception != NULL ? exception : Py_None);
    PyObject *raised = cv_error_take();
    cv_stream_release(self);
    cv_stream_detach_server(self);
    if (self->empty_waiter != NULL) {
        fail_empty_waiter(self);
    }
    Py_CLEAR(self->protocol);
    Py_CLEAR(self->context);
    Py_CLEAR(self->loop);
    if (raised != NULL) {
        cv_error_give(raised);
    }
    Py_DECREF(self);
    return result;
}

/* ---- what goes wrong -------------------------------------------------------------------------------------------- */

static bool
leaves_the_loop(void)
{
    return PyErr_ExceptionMatches(PyExc_SystemExit) || PyErr_ExceptionMatches(PyExc_KeyboardInterrupt);
}

static int
report(StreamObject *self, const char *message, PyObject *exception)
{
    PyObject *protocol = self->protocol != NULL ? self->protocol : Py_None;
    PyObject *context = Py_BuildValue("{sssOsOsO}", "message", message, "exception", exception, "transport",
                                      (PyObject *)self, "protocol", protocol);
    PyObject *done = NULL;
    if (context != NULL) {
        done = PyObject_CallMethodOneArg(self->loop, self->state->str_call_exception_handler, context);
        Py_DECREF(context);
    }
    Py_XDECREF(done);
    return done != NULL ? 0 : -1;
}

int
cv_stream_report(StreamObject *self, const char *message)
{
    if (leaves_the_loop()) {
        return -1;
    }
    PyObject *exception = cv_error_take();
    int result = report(self, message, exception);
    Py_DECREF(exception);
    return result;
}

void
cv_stream_fail(StreamObject *self, const char *message)
{
    if (leaves_the_loop()) {
        cv_loop_handle_error(self->loop, message, (PyObject *)self);
        return;
    }
    PyObject *exception = cv_error_take();
    int result = 0;
    if (!PyErr_GivenExceptionMatches(exception, PyExc_OSError)) {
        result = report(self, message, exception);
    } else if (cv_stream_is_debug(self)) {
        cv_stream_log_failure(self, message, exception);
    }
    if (result < 0) {
        cv_loop_handle_error(self->loop, message, (PyObject *)self);
    }
    if (cv_stream_force_close(self, exception) < 0) {
        cv_loop_handle_error(self->loop, message, (PyObject *)self);
    }
    Py_DECREF(exception);
}
