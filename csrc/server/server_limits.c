/* SPDX-License-Identifier: MIT */
#include "server/server_limits.h"

#include <stddef.h>

#include "server/server_numbers.h"

#define IN_SERVICE(field) offsetof(cv_service_t, field)
#define DURATION(kind) IN_SERVICE(env.deadlines.durations[kind])

static const cv_number_t limits_there_are[] = {
    {"limit_request_line", CV_NUMBER_UINT32, IN_SERVICE(env.limits.line), 1, CV_NUMBER_MOST_BYTES},
    {"limit_request_head", CV_NUMBER_UINT32, IN_SERVICE(env.limits.head), 1, CV_NUMBER_MOST_BYTES},
    {"limit_request_fields", CV_NUMBER_UINT32, IN_SERVICE(env.limits.fields), 1, CV_H1_FIELDS_CEILING},
    {"limit_request_body", CV_NUMBER_UINT64, IN_SERVICE(env.body_limit), 0, CV_NUMBER_MOST_OF_ALL},
    {"limit_body_rate", CV_NUMBER_UINT32, IN_SERVICE(env.body_rate), 0, CV_NUMBER_MOST_BYTES},
    {"limit_concurrency", CV_NUMBER_UINT32, IN_SERVICE(limit_concurrency), 1, CV_NUMBER_MOST_THINGS},
    {"limit_requests", CV_NUMBER_UINT32, IN_SERVICE(limit_requests), 1, CV_NUMBER_MOST_THINGS},
    {"limit_max_requests", CV_NUMBER_UINT64, IN_SERVICE(total_limit), 1, CV_NUMBER_MOST_OF_ALL},
    {"limit_connections", CV_NUMBER_UINT32, IN_SERVICE(env.conn_limit), 1, CV_NUMBER_MOST_THINGS},
    {"limit_connection_requests", CV_NUMBER_UINT32, IN_SERVICE(env.request_limit), 1, CV_NUMBER_MOST_THINGS},
    {"limit_read_buffer", CV_NUMBER_SIZE, IN_SERVICE(env.read_high), 1, CV_NUMBER_MOST_BYTES},
    {"limit_write_buffer", CV_NUMBER_SIZE, IN_SERVICE(env.write_high), 1, CV_NUMBER_MOST_BYTES},
    {"timeout_head", CV_NUMBER_SECONDS64, DURATION(CV_CONN_HEAD), 0, CV_DEADLINES_MOST},
    {"timeout_keep_alive", CV_NUMBER_SECONDS64, DURATION(CV_CONN_KEEP_ALIVE), 0, CV_DEADLINES_MOST},
    {"timeout_body", CV_NUMBER_SECONDS64, DURATION(CV_CONN_BODY), 0, CV_DEADLINES_MOST},
    {"timeout_unread_body", CV_NUMBER_SECONDS64, DURATION(CV_CONN_UNREAD_BODY), 0, CV_DEADLINES_MOST},
    {"timeout_linger", CV_NUMBER_SECONDS64, DURATION(CV_CONN_LINGER), 0, CV_DEADLINES_MOST},
    {"timeout_write", CV_NUMBER_SECONDS64, DURATION(CV_CONN_WRITE), 0, CV_DEADLINES_MOST},
    {"timeout_request", CV_NUMBER_SECONDS64, DURATION(CV_CONN_REQUEST), 0, CV_DEADLINES_MOST},
};

enum { COUNT = sizeof limits_there_are / sizeof limits_there_are[0] };

int
cv_server_limits_set(ServerObject *server, PyObject *limits)
{
    cv_service_t *service = &server->service;
    cv_conn_env_t *env = &service->env;
    if (limits != Py_None && cv_numbers_take(service, limits_there_are, COUNT, limits, "limit") < 0) {
        return -1;
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
