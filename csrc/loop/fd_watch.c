/* SPDX-License-Identifier: MIT */
#include "loop/fd_watch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "loop/arguments.h"
#include "loop/loop_core.h"
#include "loop/poller.h"
#include "py/errors.h"

#define FIRST_SIZE 64
#define EVENTS_PER_TURN 256

/* ---- the table ----------------------------------------------------------------------------------------------- */

static void on_poll(uv_poll_t *poll, int status, int events);

int
cv_fd_table_open(cv_fd_table_t *table, uv_loop_t *uv)
{
    *table = (cv_fd_table_t){.poller = cv_poller_open()};
    cv_list_init(&table->fresh);
    if (table->poller < 0) {
        return table->poller;
    }
    int status = uv_poll_init(uv, &table->poll, table->poller);
    if (status < 0) {
        close(table->poller);
        table->poller = -1;
        return status;
    }
    return uv_poll_start(&table->poll, UV_READABLE, on_poll);
}

void
cv_fd_table_clear(cv_fd_table_t *table)
{
    for (int fd = 0; fd < table->size; fd++) {
        Py_CLEAR(table->entries[fd].reader);
        Py_CLEAR(table->entries[fd].writer);
        Py_CLEAR(table->entries[fd].file);
    }
}

void
cv_fd_table_close(cv_fd_table_t *table)
{
    cv_fd_table_clear(table);
    for (int fd = 0; fd < table->size; fd++) {
        cv_own_watch_free(table->entries[fd].own);
    }
    PyMem_Free(table->entries);
    table->entries = NULL;
    table->size = 0;
    if (table->poller >= 0) {
        close(table->poller);
        table->poller = -1;
    }
}

int
cv_fd_table_traverse(cv_fd_table_t *table, visitproc visit, void *arg)
{
    for (int fd = 0; fd < table->size; fd++) {
        Py_VISIT(table->entries[fd].reader);
        Py_VISIT(table->entries[fd].writer);
        Py_VISIT(table->entries[fd].file);
    }
    return 0;
}

/* The entry of `fd`, in a table that reaches so far. Only a descriptor that is open lets the table grow: any other
 * number may be as large as an int. */
static cv_fd_entry_t *
make_entry(cv_fd_table_t *table, int fd)
{
    if (fd >= table->size) {
        if (fcntl(fd, F_GETFD) < 0) {
            cv_error_set(-errno);
            return NULL;
        }
        int size = table->size > 0 ? table->size : FIRST_SIZE;
        while (size <= fd) {
            size *= 2;
        }
        cv_fd_entry_t *entries = PyMem_Resize(table->entries, cv_fd_entry_t, size);
        if (entries == NULL) {
            PyErr_NoMemory();
            return NULL;
        }
        memset(entries + table->size, 0, (size_t)(size - table->size) * sizeof(*entries));
        table->entries = entries;
        table->size = size;
    }
    return &table->entries[fd];
}

static cv_fd_entry_t *
find_entry(cv_fd_table_t *table, int fd)
{
    return fd >= 0 && fd < table->size ? &table->entries[fd] : NULL;
}

/* ---- events -------------------------------------------------------------------------------------------------- */

static void
forget_side(LoopCoreObject *self, int fd, int event)
{
    cv_fd_entry_t *entry = &self->fds.entries[fd];
    HandleObject **side = event == UV_READABLE ? &entry->reader : &entry->writer;
    HandleObject *handle = *side;
    int before = entry->events;
    *side = NULL;
    entry->events &= ~event;
    PyObject *file = NULL;
    if (entry->events == 0) {
        file = entry->file;
        entry->file = NULL;
    }
    /* An error says that the descriptor is closed: then it has left the list by itself. */
    (void)cv_poller_change(self->fds.poller, fd, before, entry->events);
    Py_XDECREF(file);
    if (handle != NULL) {
        cv_handle_cancel(handle);
        Py_DECREF(handle);
    }
}

static int
queue_side(LoopCoreObject *self, int fd, int event)
{
    cv_fd_entry_t *entry = &self->fds.entries[fd];
    HandleObject *handle = event == UV_READABLE ? entry->reader : entry->writer;
    if (handle == NULL) {
        return 0;
    }
    if (handle->cancelled) {
        forget_side(self, fd, event);
        return 0;
    }
    return cv_ready_push_steal(&self->ready, (HandleObject *)Py_NewRef(handle));
}

static int
deliver(LoopCoreObject *self, const cv_poller_event_t *event)
{
    cv_fd_entry_t *entry = find_entry(&self->fds, event->fd);
    if (entry == NULL) {
        return 0;
    }
    int events = event->events & entry->events;
    if ((events & UV_READABLE) && queue_side(self, event->fd, UV_READABLE) < 0) {
        return -1;
    }
    return (events & UV_WRITABLE) ? queue_side(self, event->fd, UV_WRITABLE) : 0;
}

/* What is left over is reported again by the next poll: the list is level-triggered. */
static void
on_poll(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    LoopCoreObject *self = poll->data;
    cv_poller_event_t found[EVENTS_PER_TURN];
    int count = cv_poller_fetch(self->fds.poller, found, EVENTS_PER_TURN);
    cv_loop_enter((PyObject *)self);
    for (int i = 0; i < count; i++) {
        if (deliver(self, &found[i]) < 0) {
            cv_loop_handle_error((PyObject *)self, "Watching a file descriptor failed", NULL);
        }
    }
}

/* ---- C watches and claims ------------------------------------------------------------------------------------ */

static bool
has_watch(const cv_fd_entry_t *entry)
{
    return entry->own != NULL && entry->own->watch != NULL;
}

static int
start_watch(LoopCoreObject *self, cv_fd_entry_t *entry, int fd, cv_loop_watch_t *watch, int events)
{
    int status = 0;
    if (entry->own == NULL) {
        entry->own = cv_own_watch_new((PyObject *)self, &self->fds.fresh, fd, &status);
    }
    return status < 0 ? status : cv_own_watch_start(entry->own, watch, events);
}

static void
stop_watch(LoopCoreObject *self, cv_fd_entry_t *entry)
{
    cv_loop_part_from_parent(self);
    cv_own_watch_stop(entry->own);
}

int
cv_loop_watch(PyObject *loop, cv_loop_watch_t *watch, int fd, int events)
{
    LoopCoreObject *self = (LoopCoreObject *)loop;
    if (cv_loop_check_open(self) < 0) {
        return -1;
    }
    if (events == 0) {
        cv_loop_unwatch(loop, watch, fd);
        return 0;
    }
    cv_fd_entry_t *entry = make_entry(&self->fds, fd);
    if (entry == NULL) {
        return -1;
    }
    if (entry->reader != NULL || entry->writer != NULL || (has_watch(entry) && entry->own->watch != watch)) {
        PyErr_Format(PyExc_RuntimeError, "File descriptor %d is watched already", fd);
        return -1;
    }
    int status = start_watch(self, entry, fd, watch, events);
    if (status < 0) {
        cv_loop_unwatch(loop, watch, fd);
        return cv_error_set(status);
    }
    return 0;
}

void
cv_loop_unwatch(PyObject *loop, cv_loop_watch_t *watch, int fd)
{
    cv_fd_entry_t *entry = find_entry(&((LoopCoreObject *)loop)->fds, fd);
    if (entry != NULL && has_watch(entry) && entry->own->watch == watch) {
        stop_watch((LoopCoreObject *)loop, entry);
    }
}

void
cv_loop_disown_fd(PyObject *loop, int fd)
{
    cv_fd_entry_t *entry = find_entry(&((LoopCoreObject *)loop)->fds, fd);
    if (entry != NULL && has_watch(entry)) {
        stop_watch((LoopCoreObject *)loop, entry);
    }
}

int
cv_loop_claim_fd(PyObject *loop, int fd, PyObject *transport)
{
    cv_fd_entry_t *entry = make_entry(&((LoopCoreObject *)loop)->fds, fd);
    if (entry == NULL) {
        return -1;
    }
    cv_loop_disown_fd(loop, fd);
    entry->transport = transport;
    return 0;
}

void
cv_loop_release_fd(PyObject *loop, int fd, PyObject *transport)
{
    cv_fd_entry_t *entry = find_entry(&((LoopCoreObject *)loop)->fds, fd);
    if (entry != NULL && entry->transport == transport) {
        entry->transport = NULL;
    }
}

/* The transport that uses `fd` (new reference): a claim, or one of asyncio's own in `_transports`. NULL without an
 * exception when there is none. */
static PyObject *
find_transport(LoopCoreObject *self, int fd)
{
    cv_fd_entry_t *entry = find_entry(&self->fds, fd);
    if (entry != NULL && entry->transport != NULL) {
        return Py_NewRef(entry->transport);
    }
    if (self->transports == NULL || self->transports == Py_None) {
        return NULL;
    }
    Py_ssize_t count = PyObject_Size(self->transports);
    PyObject *transport = count > 0 ? PyObject_CallMethod(self->transports, "get", "i", fd) : NULL;
    if (transport == Py_None) {
        Py_CLEAR(transport);
    }
    return transport;
}

int
cv_loop_check_fd_free(PyObject *loop, int fd)
{
    PyObject *transport = find_transport((LoopCoreObject *)loop, fd);
    if (transport == NULL) {
        return PyErr_Occurred() != NULL ? -1 : 0;
    }
    PyObject *closing = PyObject_CallMethod(transport, "is_closing", NULL);
    int is_closing = closing != NULL ? PyObject_IsTrue(closing) : -1;
    Py_XDECREF(closing);
    if (is_closing == 0) {
        PyErr_Format(PyExc_RuntimeError, "File descriptor %d is used by transport %R", fd, transport);
    }
    Py_DECREF(transport);
    return is_closing == 1 ? 0 : -1;
}

/* ---- add_reader and its like --------------------------------------------------------------------------------- */

/* The descriptor of what the caller gave; a file that was closed since is found as the object it is. */
static int
descriptor_of(LoopCoreObject *self, PyObject *file)
{
    int fd = PyObject_AsFileDescriptor(file);
    if (fd >= 0) {
        return fd;
    }
    if (PyErr_ExceptionMatches(PyExc_ValueError)) {
        for (int i = 0; i < self->fds.size; i++) {
            if (self->fds.entries[i].file == file) {
                PyErr_Clear();
                return i;
            }
        }
        if (PyLong_Check(file)) {
            PyErr_Format(PyExc_ValueError, "Invalid file descriptor: %R", file);
        } else { /* what was closed says so of itself */
            PyErr_SetString(PyExc_ValueError, "Invalid file descriptor: -1");
        }
    } else if (PyErr_ExceptionMatches(PyExc_TypeError)) {
        PyErr_Format(PyExc_ValueError, "Invalid file object: %R", file);
    }
    return -1;
}

/* A descriptor that cannot be watched loses what it had: it was closed, and these watches with it. */
static void
forget_all(LoopCoreObject *self, int fd)
{
    forget_side(self, fd, UV_READABLE);
    forget_side(self, fd, UV_WRITABLE);
}

static HandleObject *
add_side(LoopCoreObject *self, PyObject *file, int event, const cv_call_t *call)
{
    int fd = descriptor_of(self, file);
    cv_fd_entry_t *entry = fd >= 0 ? make_entry(&self->fds, fd) : NULL;
    if (entry == NULL) {
        return NULL;
    }
    if (has_watch(entry)) {
        PyErr_Format(PyExc_RuntimeError, "File descriptor %d is watched already", fd);
        return NULL;
    }
    HandleObject *handle = cv_handle_new(self, call);
    if (handle == NULL) {
        return NULL;
    }
    entry = &self->fds.entries[fd]; /* making the handle may have run Python code, in debug mode */
    int status = cv_poller_change(self->fds.poller, fd, entry->events, entry->events | event);
    if (status < 0) {
        Py_DECREF(handle);
        forget_all(self, fd);
        cv_error_set(status);
        return NULL;
    }
    HandleObject **side = event == UV_READABLE ? &entry->reader : &entry->writer;
    HandleObject *former = *side;
    *side = (HandleObject *)Py_NewRef(handle);
    entry->events |= event;
    if (!PyLong_Check(file)) {
        Py_XSETREF(entry->file, Py_NewRef(file));
    }
    if (former != NULL) {
        cv_handle_cancel(former);
        Py_DECREF(former);
    }
    return handle;
}

static PyObject *
add(PyObject *op, PyObject *const *args, Py_ssize_t nargs, int event, const char *name)
{
    LoopCoreObject *self = (LoopCoreObject *)op;
    if (nargs < 2) {
        PyErr_Format(PyExc_TypeError, "%s() takes a file descriptor and a callback (%zd given)", name, nargs);
        return NULL;
    }
    if (cv_loop_check_open(self) < 0) {
        return NULL;
    }
    cv_call_t call = {.callback = args[1], .args = args + 2, .nargs = nargs - 2};
    return (PyObject *)add_side(self, args[0], event, &call);
}

static PyObject *
drop(PyObject *op, PyObject *file, int event)
{
    LoopCoreObject *self = (LoopCoreObject *)op;
    if (self->is_closed) {
        Py_RETURN_FALSE;
    }
    int fd = descriptor_of(self, file);
    if (fd < 0) {
        return NULL;
    }
    cv_fd_entry_t *entry = find_entry(&self->fds, fd);
    if (entry == NULL || (event == UV_READABLE ? entry->reader : entry->writer) == NULL) {
        Py_RETURN_FALSE;
    }
    forget_side(self, fd, event);
    Py_RETURN_TRUE;
}

/* The public forms refuse the descriptors of transports, as asyncio's do; the private ones are what asyncio's own
 * transports and child watchers call. */
static int
check_public(PyObject *op, PyObject *file)
{
    int fd = descriptor_of((LoopCoreObject *)op, file);
    return fd < 0 ? -1 : cv_loop_check_fd_free(op, fd);
}

/* Who names the callback can give it no arguments. */
static PyObject *
add_public(PyObject *op, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames, int event, const char *name)
{
    PyObject *named[2];
    if (kwnames != NULL || nargs < 2) {
        cv_arguments_t wanted = {.method = name, .count = 2, .names = {"fd", "callback"}};
        if (cv_arguments_sort(&wanted, args, nargs, kwnames, named) < 0) {
            return NULL;
        }
        args = named;
        nargs = 2;
    }
    if (check_public(op, args[0]) < 0) {
        return NULL;
    }
    PyObject *handle = add(op, args, nargs, event, name);
    if (handle == NULL) {
        return NULL;
    }
    Py_DECREF(handle);
    Py_RETURN_NONE;
}

static PyObject *
drop_public(PyObject *op, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames, int event, const char *name)
{
    cv_arguments_t wanted = {.method = name, .count = 1, .names = {"fd"}};
    PyObject *file;
    if (cv_arguments_sort(&wanted, args, nargs, kwnames, &file) < 0 || check_public(op, file) < 0) {
        return NULL;
    }
    return drop(op, file, event);
}

PyDoc_STRVAR(add_reader_doc, "add_reader($self, fd, callback, *args)\n--\n\n"
                             "Call callback(*args) in every turn in which fd is readable.");

static PyObject *
loop_add_reader(PyObject *op, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    return add_public(op, args, nargs, kwnames, UV_READABLE, "add_reader");
}

PyDoc_STRVAR(add_writer_doc, "add_writer($self, fd, callback, *args)\n--\n\n"
                             "Call callback(*args) in every turn in which fd is writable.");

static PyObject *
loop_add_writer(PyObject *op, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    return add_public(op, args, nargs, kwnames, UV_WRITABLE, "add_writer");
}

PyDoc_STRVAR(remove_reader_doc, "remove_reader($self, fd)\n--\n\n"
                                "Stop watching fd for reading; return whether it was watched.");

static PyObject *
loop_remove_reader(PyObject *op, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    return drop_public(op, args, nargs, kwnames, UV_READABLE, "remove_reader");
}

PyDoc_STRVAR(remove_writer_doc, "remove_writer($self, fd)\n--\n\n"
                                "Stop watching fd for writing; return whether it was watched.");

static PyObject *
loop_remove_writer(PyObject *op, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    return drop_public(op, args, nargs, kwnames, UV_WRITABLE, "remove_writer");
}

static PyObject *
loop__add_reader(PyObject *op, PyObject *const *args, Py_ssize_t nargs)
{
    return add(op, args, nargs, UV_READABLE, "_add_reader");
}

static PyObject *
loop__add_writer(PyObject *op, PyObject *const *args, Py_ssize_t nargs)
{
    return add(op, args, nargs, UV_WRITABLE, "_add_writer");
}

static PyObject *
loop__remove_reader(PyObject *op, PyObject *file)
{
    return drop(op, file, UV_READABLE);
}

static PyObject *
loop__remove_writer(PyObject *op, PyObject *file)
{
    return drop(op, file, UV_WRITABLE);
}

PyDoc_STRVAR(private_doc, "As the public method of this name, also for the descriptor of a transport.");

PyMethodDef cv_loop_fd_methods[] = {
    {"add_reader", _PyCFunction_CAST(loop_add_reader), METH_FASTCALL | METH_KEYWORDS, add_reader_doc},
    {"add_writer", _PyCFunction_CAST(loop_add_writer), METH_FASTCALL | METH_KEYWORDS, add_writer_doc},
    {"remove_reader", _PyCFunction_CAST(loop_remove_reader), METH_FASTCALL | METH_KEYWORDS, remove_reader_doc},
    {"remove_writer", _PyCFunction_CAST(loop_remove_writer), METH_FASTCALL | METH_KEYWORDS, remove_writer_doc},
    {"_add_reader", _PyCFunction_CAST(loop__add_reader), METH_FASTCALL, private_doc},
    {"_add_writer", _PyCFunction_CAST(loop__add_writer), METH_FASTCALL, private_doc},
    {"_remove_reader", loop__remove_reader, METH_O, private_doc},
    {"_remove_writer", loop__remove_writer, METH_O, private_doc},
    {NULL, NULL, 0, NULL},
};
