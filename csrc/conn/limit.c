/* SPDX-License-Identifier: MIT */
#include "conn/limit.h"

#include "http/h1_parser.h"

const char *
cv_limit_name(cv_limit_t limit)
{
    static const char *const names[CV_LIMITS] = {
        [CV_LIMIT_REQUEST_LINE] = "limit_request_line",
        [CV_LIMIT_REQUEST_HEAD] = "limit_request_head",
        [CV_LIMIT_REQUEST_FIELDS] = "limit_request_fields",
        [CV_LIMIT_REQUEST_BODY] = "limit_request_body",
        [CV_LIMIT_BODY_RATE] = "limit_body_rate",
        [CV_LIMIT_CONCURRENCY] = "limit_concurrency",
        [CV_LIMIT_REQUESTS] = "limit_requests",
        [CV_LIMIT_CONNECTIONS] = "limit_connections",
        [CV_LIMIT_CONNECTION_REQUESTS] = "limit_connection_requests",
        [CV_LIMIT_WEBSOCKETS] = "limit_websockets",
        [CV_LIMIT_WS_MESSAGE] = "ws_max_size",
        [CV_TIMEOUT_HEAD] = "timeout_head",
        [CV_TIMEOUT_KEEP_ALIVE] = "timeout_keep_alive",
        [CV_TIMEOUT_BODY] = "timeout_body",
        [CV_TIMEOUT_UNREAD_BODY] = "timeout_unread_body",
        [CV_TIMEOUT_LINGER] = "timeout_linger",
        [CV_TIMEOUT_WRITE] = "timeout_write",
        [CV_TIMEOUT_REQUEST] = "timeout_request",
        [CV_TIMEOUT_WS_PING] = "ws_ping_timeout",
        [CV_TIMEOUT_WS_IDLE] = "ws_idle_timeout",
        [CV_TIMEOUT_WS_CLOSE] = "ws_close_timeout",
    };
    return names[limit];
}

cv_limit_t
cv_limit_of_error(int error)
{
    switch (error) {
    case CV_H1_ETARGET_LONG:
        return CV_LIMIT_REQUEST_LINE;
    case CV_H1_EHEAD_LARGE:
        return CV_LIMIT_REQUEST_HEAD;
    case CV_H1_EFIELDS_MANY:
        return CV_LIMIT_REQUEST_FIELDS;
    case CV_H1_EBODY_LARGE:
        return CV_LIMIT_REQUEST_BODY;
    default:
        return CV_LIMITS;
    }
}
