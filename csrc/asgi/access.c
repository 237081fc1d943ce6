/* SPDX-License-Identifier: MIT */
#define PY_SSIZE_T_CLEAN
#include "asgi/access.h"

#include <stdio.h>

#include "asgi/client.h"
#include "asgi/peer.h"
#include "base/clock.h"
#include "observe/access_format_type.h"
#include "observe/access_log_type.h"

enum {
    LOOK_TIME = 1000000000, /* ns from one look at who writes the log to the next */
    LINE_KEPT = 16384,      /* most bytes of memory that are kept to write a line in */
};

static cv_span_t
span_of_bytes(PyObject *bytes)
{
    return bytes == NULL ? (cv_span_t){NULL, 0}
                         : (cv_span_t){PyBytes_AS_STRING(bytes), (size_t)PyBytes_GET_SIZE(bytes)};
}

/* ---- who writes it, and how ---- */

int
cv_access_set(cv_service_t *service, PyObject *access)
{
    cv_access_log_t *log = access == Py_None ? NULL : cv_access_log_from_object(access);
    if (access != Py_None && log == NULL && !PyCallable_Check(access)) {
        PyErr_SetString(PyExc_TypeError, "access_log must be an AccessLog, a callable or None");
        return -1;
    }
    PyObject *before = service->access;
    service->access_log = log;
    service->access = access == Py_None ? NULL : Py_NewRef(access);
    Py_XDECREF(before);
    return 0;
}

int
cv_access_set_format(cv_service_t *service, PyObject *format)
{
    if (format == Py_None) {
        return 0;
    }
    service->access_format = cv_access_format_from_object(format);
    if (service->access_format == NULL) {
        PyErr_SetString(PyExc_TypeError, "access_format must be an AccessFormat or None");
        return -1;
    }
    service->access_format_object = Py_NewRef(format);
    return 0;
}

void
cv_access_look(cv_service_t *service, uint64_t now)
{
    if (now - service->access_looked < LOOK_TIME || service->look_access == NULL) {
        return;
    }
    service->access_looked = now;
    PyObject *access = PyObject_CallNoArgs(service->look_access);
    if (access == NULL || cv_access_set(service, access) < 0) {
        PyErr_WriteUnraisable(service->look_access);
    }
    Py_XDECREF(access);
}

/* ---- notes ---- */

static void
keep_field(cv_access_notes_t *notes, int index, PyObject *value)
{
    if (index >= 0) {
        Py_XSETREF(notes->fields[index], Py_NewRef(value));
    }
}

int
cv_access_begin(CycleObject *cycle, const cv_h1_head_t *head, PyObject *headers)
{
    cv_service_t *service = cycle->service;
    const cv_access_format_t *format = service->access_format;
    if (format == NULL || service->access == NULL) {
        return 0;
    }
    size_t count = cv_access_format_fields(format);
    cv_access_notes_t *notes = PyMem_Calloc(1, sizeof *notes + count * sizeof notes->fields[0]);
    if (notes == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    notes->start = cv_clock_now();
    notes->field_count = count;
    for (uint32_t i = 0; i < head->field_count; i++) {
        const cv_h1_field_t *field = &head->fields[i];
        cv_span_t name = cv_h1_span(head, field->name, field->name_len);
        int index = cv_access_format_request_field(format, field->id, name);
        keep_field(notes, index, PyTuple_GET_ITEM(PyList_GET_ITEM(headers, (Py_ssize_t)i), 1));
    }
    cycle->notes = notes;
    return 0;
}

void
cv_access_field(CycleObject *cycle, PyObject *name, PyObject *value)
{
    if (cycle->notes != NULL) {
        const cv_access_format_t *format = cycle->service->access_format;
        keep_field(cycle->notes, cv_access_format_response_field(format, span_of_bytes(name)), value);
    }
}

void
cv_access_clear(CycleObject *cycle)
{
    cv_access_notes_t *notes = cycle->notes;
    cycle->notes = NULL;
    for (size_t i = 0; notes != NULL && i < notes->field_count; i++) {
        Py_XDECREF(notes->fields[i]);
    }
    PyMem_Free(notes);
}

/* ---- writing it ---- */

/* raw path and query, as text. New reference. */
static PyObject *
make_target(CycleObject *cycle)
{
    PyObject *target = Py_NewRef(cycle->raw_path);
    if (cycle->query != NULL) {
        PyBytes_ConcatAndDel(&target, PyBytes_FromStringAndSize("?", 1));
        PyBytes_Concat(&target, cycle->query);
    }
    if (target == NULL) {
        return NULL;
    }
    PyObject *text = PyUnicode_DecodeLatin1(PyBytes_AS_STRING(target), PyBytes_GET_SIZE(target), NULL);
    Py_DECREF(target);
    return text;
}

/* (client, method, target, version, status), and the line if it is not uvicorn's: what service->access is called with.
 * New reference. */
static PyObject *
make_arguments(CycleObject *cycle, unsigned status, const cv_buffer_t *line)
{
    char room[CV_CLIENT_TEXT];
    cv_span_t text = cv_client_text(&cycle->exchange, room);
    PyObject *client = PyUnicode_DecodeLatin1(text.data, (Py_ssize_t)text.len, NULL);
    PyObject *target = make_target(cycle);
    PyObject *arguments = NULL;
    if (client != NULL && target != NULL) {
        const char *version = cycle->is_http_1_1 ? "1.1" : "1.0";
        arguments = line == NULL
            ? Py_BuildValue("OOOsI", client, cycle->method, target, version, status)
            : Py_BuildValue("OOOsIs#", client, cycle->method, target, version, status, line->data,
                            (Py_ssize_t)line->len);
    }
    Py_XDECREF(client);
    Py_XDECREF(target);
    return arguments;
}

void
cv_access_call(CycleObject *cycle, PyObject *arguments)
{
    PyObject *access = Py_XNewRef(cycle->service->access);
    PyObject *done = access == NULL ? Py_NewRef(Py_None) : PyObject_CallObject(access, arguments);
    if (done == NULL) {
        PyErr_WriteUnraisable(access);
    }
    Py_XDECREF(done);
    Py_XDECREF(access);
    Py_DECREF(arguments);
}

static cv_span_t
method_of(const CycleObject *cycle)
{
    return (cv_span_t){(const char *)PyUnicode_1BYTE_DATA(cycle->method), (size_t)PyUnicode_GET_LENGTH(cycle->method)};
}

/* uvicorn's line. */
static void
write_plain(CycleObject *cycle, unsigned status)
{
    cv_access_log_t *log = cycle->service->access_log;
    if (log != NULL) {
        char room[CV_CLIENT_TEXT];
        cv_span_t client = cv_client_text(&cycle->exchange, room);
        cv_access_log_line(log, client, method_of(cycle), span_of_bytes(cycle->raw_path),
                           span_of_bytes(cycle->query), cycle->is_http_1_1 ? 1 : 0, status);
        return;
    }
    PyObject *arguments = make_arguments(cycle, status, NULL);
    if (arguments == NULL) {
        PyErr_WriteUnraisable(cycle->service->access);
    } else {
        cv_access_call(cycle, arguments);
    }
}

/* The line of the format. 0 or -ENOMEM. */
static int
put_line(CycleObject *cycle, cv_buffer_t *out)
{
    const cv_access_notes_t *notes = cycle->notes;
    cv_span_t fields[CV_ACCESS_FIELDS];
    for (size_t i = 0; i < notes->field_count; i++) {
        fields[i] = span_of_bytes(notes->fields[i]);
    }
    char room[CV_CLIENT_TEXT];
    cv_access_entry_t entry = {
        .client = cv_client_text(&cycle->exchange, room),
        .method = method_of(cycle),
        .path = span_of_bytes(cycle->raw_path),
        .query = span_of_bytes(cycle->query),
        .version = {cycle->is_http_1_1 ? "1.1" : "1.0", 3},
        .fields = fields,
        .status = notes->status,
        .bytes = cycle->conn->response_started ? cycle->conn->response.body_len : 0,
        .duration = cv_clock_now() - notes->start,
    };
    clock_gettime(CLOCK_REALTIME, &entry.now);
    out->len = 0;
    return cv_access_format_put(cycle->service->access_format, &entry, out);
}

static bool
is_logged(const CycleObject *cycle)
{
    /* Without a method: nobody wanted a line when the request came. */
    return cycle->service->access == NULL || cycle->conn == NULL || cycle->method == NULL || cycle->logged;
}

void
cv_access_start(CycleObject *cycle, unsigned status)
{
    if (is_logged(cycle)) {
        return;
    }
    cycle->logged = true;
    if (cycle->notes != NULL) {
        cycle->notes->status = status;
    } else if (cycle->service->access_format == NULL) {
        write_plain(cycle, status);
    }
}

void
cv_access_retract(CycleObject *cycle)
{
    cv_access_notes_t *notes = cycle->notes;
    cycle->logged = false; /* a line that stands there already is overtaken by another one */
    if (notes == NULL) {
        return;
    }
    notes->status = 0;
    for (size_t i = 0; i < notes->field_count; i++) {
        if (cv_access_format_is_response_field(cycle->service->access_format, i)) {
            Py_CLEAR(notes->fields[i]);
        }
    }
}

PyObject *
cv_access_end(CycleObject *cycle)
{
    cv_service_t *service = cycle->service;
    if (cycle->notes == NULL || cycle->notes->status == 0 || service->access == NULL) {
        return NULL;
    }
    cv_buffer_t *line = &service->access_line;
    PyObject *arguments = NULL;
    if (put_line(cycle, line) < 0) {
        PyErr_NoMemory();
        PyErr_WriteUnraisable(service->access);
    } else if (service->access_log != NULL) {
        cv_access_log_text(service->access_log, (cv_span_t){line->data, line->len});
    } else {
        arguments = make_arguments(cycle, cycle->notes->status, line);
        if (arguments == NULL) {
            PyErr_WriteUnraisable(service->access);
        }
    }
    if (line->cap > LINE_KEPT) {
        cv_buffer_deinit(line);
    }
    cv_access_clear(cycle);
    return arguments;
}
