/* SPDX-License-Identifier: MIT */
#include "server/server_limits.h"

#include <stddef.h>
#include <string.h>

typedef enum {
    AS_DEADLINE, /* `where` is a kind of deadline, the value is seconds */
    AS_UINT32,   /* `where` is an offset in the service, as below */
    AS_UINT64,
    AS_SIZE,
} kind_t;

typedef struct {
    const char *name;
    kind_t kind;
    size_t where;
    double least, most;
} option_t;

#define IN_SERVICE(field) offsetof(cv_service_t, field)
#define MOST_BYTES 1073741824.0
#define MOST_THINGS MOST_BYTES
#define MOST_OF_ALL 9007199254740992.0 /* up to here a double counts by ones */

static const option_t options[] = {
    {"limit_request_line", AS_UINT32, IN_SERVICE(env.limits.line), 1, MOST_BYTES},
    {"limit_request_head", AS_UINT32, IN_SERVICE(env.limits.head), 1, MOST_BYTES},
    {"limit_request_fields", AS_UINT32, IN_SERVICE(env.limits.fields), 1, CV_H1_FIELDS_CEILING},
    {"limit_request_body", AS_UINT64, IN_SERVICE(env.body_limit), 0, MOST_OF_ALL},
    {"limit_body_rate", AS_UINT32, IN_SERVICE(env.body_rate), 0, MOST_BYTES},
    {"limit_concurrency", AS_UINT32, IN_SERVICE(limit_concurrency), 1, MOST_THINGS},
    {"limit_requests", AS_UINT32, IN_SERVICE(limit_requests), 1, MOST_THINGS},
    {"limit_max_requests", AS_UINT64, IN_SERVICE(total_limit), 1, MOST_OF_ALL},
    {"limit_connections", AS_UINT32, IN_SERVICE(env.conn_limit), 1, MOST_THINGS},
    {"limit_connection_requests", AS_UINT32, IN_SERVICE(env.request_limit), 1, MOST_THINGS},
    {"limit_read_buffer", AS_SIZE, IN_SERVICE(env.read_high), 1, MOST_BYTES},
    {"limit_write_buffer", AS_SIZE, IN_SERVICE(env.write_high), 1, MOST_BYTES},
    {"timeout_head", AS_DEADLINE, CV_CONN_HEAD, 0, CV_DEADLINES_MOST},
    {"timeout_keep_alive", AS_DEADLINE, CV_CONN_KEEP_ALIVE, 0, CV_DEADLINES_MOST},
    {"timeout_body", AS_DEADLINE, CV_CONN_BODY, 0, CV_DEADLINES_MOST},
    {"timeout_unread_body", AS_DEADLINE, CV_CONN_UNREAD_BODY, 0, CV_DEADLINES_MOST},
    {"timeout_linger", AS_DEADLINE, CV_CONN_LINGER, 0, CV_DEADLINES_MOST},
    {"timeout_write", AS_DEADLINE, CV_CONN_WRITE, 0, CV_DEADLINES_MOST},
    {"timeout_request", AS_DEADLINE, CV_CONN_REQUEST, 0, CV_DEADLINES_MOST},
};

enum { OPTIONS = sizeof options / sizeof options[0] };

static const option_t *
find_option(PyObject *name)
{
    for (size_t i = 0; PyUnicode_Check(name) && i < OPTIONS; i++) {
        if (PyUnicode_CompareWithASCIIString(name, options[i].name) == 0) {
            return &options[i];
        }
    }
    PyErr_Format(PyExc_TypeError, "there is no limit %R", name);
    return NULL;
}

static void
store(cv_service_t *service, const option_t *option, double value)
{
    char *place = (char *)service + option->where;
    switch (option->kind) {
    case AS_DEADLINE:
        cv_deadlines_configure(&service->env.deadlines, (unsigned)option->where, cv_deadlines_milliseconds(value));
        break;
    case AS_UINT32:
        *(uint32_t *)place = (uint32_t)value;
        break;
    case AS_UINT64:
        *(uint64_t *)place = (uint64_t)value;
        break;
    case AS_SIZE:
        *(size_t *)place = (size_t)value;
        break;
    }
}

static int
set_one(cv_service_t *service, PyObject *name, PyObject *number)
{
    const option_t *option = find_option(name);
    double value = option == NULL ? -1.0 : PyFloat_AsDouble(number);
    if (PyErr_Occurred()) {
        return -1;
    }
    if (!(value >= option->least && value <= option->most)) {
        PyErr_Format(PyExc_ValueError, "%s is out of range: %R", option->name, number);
        return -1;
    }
    store(service, option, value);
    return 0;
}

int
cv_server_limits_set(ServerObject *server, PyObject *limits)
{
    cv_service_t *service = &server->service;
    cv_conn_env_t *env = &service->env;
    PyObject *name, *number;
    Py_ssize_t at = 0;
    while (limits != Py_None && PyDict_Next(limits, &at, &name, &number)) {
        if (set_one(service, name, number) < 0) {
            return -1;
        }
    }
    env->write_low = env->write_high / 4; /* as asyncio's transports do */
    if (env->deadlines.durations[CV_CONN_KEEP_ALIVE] == 0) {
        env->deadlines.durations[CV_CONN_KEEP_ALIVE] = 1; /* behind each answer: the shortest wait there is */
    }
    return 0;
}

PyObject *
cv_server_limits_counts(ServerObject *server)
{
    PyObject *counts = PyDict_New();
    for (int limit = 0; counts != NULL && limit < CV_LIMITS; limit++) {
        PyObject *count = PyLong_FromUnsignedLongLong(server->service.env.limited[limit]);
        if (count == NULL || PyDict_SetItemString(counts, cv_limit_name(limit), count) < 0) {
            Py_CLEAR(counts);
        }
        Py_XDECREF(count);
    }
    return counts;
}
