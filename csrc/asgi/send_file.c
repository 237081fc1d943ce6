/* SPDX-License-Identifier: MIT
 *
 * Files as the body of an answer, or as pieces of it: pathsend names one, zerocopysend hands over a descriptor. The
 * kernel sends them; their bytes never come up here.
 */
#include <fcntl.h>
#include <unistd.h>

#include "asgi/access.h"
#include "asgi/send.h"
#include "py/errors.h"

/* Nothing of the answer went out yet: the application may answer something else, and 500 is sent if it does not. */
static void
take_back_head(CycleObject *cycle)
{
    if (cycle->conn != NULL && cycle->conn->response.head_open) {
        cv_conn_retract(cycle->conn);
        cycle->started = false;
        cycle->trailers_due = false;
        cv_access_retract(cycle);
    }
}

cv_opening_t *
cv_send_open_path(ExchangeObject *exchange, PyObject *message)
{
    CycleObject *cycle = (CycleObject *)exchange;
    PyObject *path = cv_message_find(message, cycle->service->state->names.path);
    cv_opening_t *opening = cv_opening_start(cycle, path == NULL ? Py_None : path);
    if (opening == NULL) {
        take_back_head(cycle);
    }
    return opening;
}

int
cv_send_path(CycleObject *cycle, cv_opening_t *opening)
{
    if (!cycle->conn->response.head_open) {
        PyErr_SetString(PyExc_RuntimeError,
                        "ASGI message 'http.response.pathsend' sent behind a part of the response body.");
        return -1;
    }
    if (opening == NULL) {
        return TOOK_OPENING;
    }
    uint64_t size;
    int fd = cv_opening_take(opening, &size);
    if (fd < 0) {
        take_back_head(cycle);
        return -1;
    }
    int error = cv_conn_file(cycle->conn, fd, 0, (size_t)size, true);
    return cv_send_piece(cycle, error, (size_t)size, false);
}

/* A number that a message may leave out: *out stays as it is then. */
static int
read_number(PyObject *number, const char *key, uint64_t *out)
{
    if (number == NULL || number == Py_None) {
        return 0;
    }
    long long value = PyLong_Check(number) ? PyLong_AsLongLong(number) : -1;
    if (value < 0) {
        PyErr_Clear();
        PyErr_Format(PyExc_ValueError, "%s must be a whole number of bytes, not %R", key, number);
        return -1;
    }
    *out = (uint64_t)value;
    return 0;
}

/* What a zerocopysend asks for. */
typedef struct {
    int fd;             /* the application's own */
    bool at_position;   /* from where the descriptor stands, which is moved on */
    uint64_t offset;
    uint64_t len;
    int more;
} range_t;

/* Cuts the range to what the file has. */
static int
fit_to_file(range_t *range)
{
    uint64_t size;
    int status = cv_conn_file_size(range->fd, &size);
    off_t position = range->at_position ? lseek(range->fd, 0, SEEK_CUR) : (off_t)range->offset;
    if (status < 0 || position < 0) {
        if (status < 0) {
            return cv_error_set(status);
        }
        PyErr_SetFromErrno(PyExc_OSError);
        return -1;
    }
    range->offset = (uint64_t)position;
    uint64_t left = size > range->offset ? size - range->offset : 0;
    range->len = range->len < left ? range->len : left;
    return 0;
}

static int
read_range(const CycleObject *cycle, const cv_message_t *message, range_t *range)
{
    cv_message_extra_t extra;
    cv_message_read_extra(message, &cycle->service->state->names, &extra);
    if (extra.file == NULL) {
        PyErr_SetString(PyExc_KeyError, "file");
        return -1;
    }
    PyObject *file = Py_NewRef(extra.file); /* asking for its number may run code that changes the message */
    PyObject *more_body = Py_XNewRef(message->more_body);
    bool at_position = extra.offset == NULL || extra.offset == Py_None;
    *range = (range_t){.fd = -1, .len = UINT64_MAX, .at_position = at_position};
    if (read_number(extra.offset, "offset", &range->offset) == 0
        && read_number(extra.count, "count", &range->len) == 0) {
        range->fd = PyObject_AsFileDescriptor(file);
    }
    range->more = range->fd < 0 ? -1 : cv_send_more(more_body);
    Py_DECREF(file);
    Py_XDECREF(more_body);
    return range->more < 0 ? -1 : fit_to_file(range);
}

int
cv_send_descriptor(CycleObject *cycle, const cv_message_t *message)
{
    range_t range;
    if (read_range(cycle, message, &range) < 0) {
        return -1;
    }
    if (cycle->conn == NULL) {
        return TOOK; /* code of the application's let the client go */
    }
    /* The application may close its own as soon as send returns. */
    int fd = fcntl(range.fd, F_DUPFD_CLOEXEC, 0);
    if (fd < 0) {
        PyErr_SetFromErrno(PyExc_OSError);
        return -1;
    }
    int error = cv_conn_file(cycle->conn, fd, range.offset, (size_t)range.len, !range.more);
    if (error == 0 && range.at_position) {
        (void)lseek(range.fd, (off_t)(range.offset + range.len), SEEK_SET);
    }
    return cv_send_piece(cycle, error, (size_t)range.len, range.more != 0);
}
