/* SPDX-License-Identifier: MIT
 *
 * Signals: CPython's C handler writes each signal's number to a socket pair (signal.set_wakeup_fd), which ends the
 * poll; then the Python handlers run here, on the main thread, and the loop's own are told.
 *
 * Which end is installed when is decided in python/cuvee/_signals.py. Not an eventfd: CPython writes single bytes.
 */
#include <Python.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "loop/loop_core.h"
#include "py/errors.h"

static void
dispatch(LoopCoreObject *self, const unsigned char *numbers, ssize_t count)
{
    for (ssize_t i = 0; i < count; i++) {
        PyObject *done = PyObject_CallMethod((PyObject *)self, "_handle_signal", "i", (int)numbers[i]);
        if (done == NULL) {
            cv_loop_handle_error((PyObject *)self, "Handling a signal failed", NULL);
        }
        Py_XDECREF(done);
    }
}

static void
on_signal(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    LoopCoreObject *self = poll->data;
    unsigned char numbers[64];
    /* More than fit are reported again by the next poll. */
    ssize_t count = read(self->signal_fds[0], numbers, sizeof(numbers));
    cv_loop_enter((PyObject *)self);
    /* Whatever a handler raises leaves run_forever, as it leaves select() in asyncio. */
    if (PyErr_CheckSignals() < 0) {
        cv_loop_fail(self);
    }
    dispatch(self, numbers, count);
}

static int
make_pair(int fds[2])
{
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) < 0) {
        return -errno;
    }
    for (int i = 0; i < 2; i++) {
        (void)fcntl(fds[i], F_SETFD, FD_CLOEXEC);
        (void)fcntl(fds[i], F_SETFL, O_NONBLOCK);
    }
    return 0;
}

static int
open_pair(LoopCoreObject *self)
{
    int fds[2];
    int status = make_pair(fds);
    if (status < 0) {
        return status;
    }
    status = uv_poll_init(&self->head.uv, &self->signal_poll, fds[0]);
    if (status < 0) {
        close(fds[0]);
        close(fds[1]);
        return status;
    }
    self->signal_poll.data = self;
    self->signal_fds[0] = fds[0];
    self->signal_fds[1] = fds[1];
    return uv_poll_start(&self->signal_poll, UV_READABLE, on_signal);
}

void
cv_signals_close(LoopCoreObject *self)
{
    for (int i = 0; i < 2; i++) {
        if (self->signal_fds[i] >= 0) {
            close(self->signal_fds[i]);
            self->signal_fds[i] = -1;
        }
    }
}

PyDoc_STRVAR(signal_fd_doc, "_signal_fd($self, /)\n--\n\n"
                            "Return the descriptor to give to signal.set_wakeup_fd(); it stays the loop's.");

static PyObject *
loop__signal_fd(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    LoopCoreObject *self = (LoopCoreObject *)op;
    if (cv_loop_check_open(self) < 0) {
        return NULL;
    }
    if (self->signal_fds[1] < 0) {
        int status = open_pair(self);
        if (status < 0) {
            cv_error_set(status);
            return NULL;
        }
    }
    return PyLong_FromLong(self->signal_fds[1]);
}

PyMethodDef cv_loop_signal_methods[] = {
    {"_signal_fd", loop__signal_fd, METH_NOARGS, signal_fd_doc},
    {NULL, NULL, 0, NULL},
};
