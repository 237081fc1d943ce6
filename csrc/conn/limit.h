/* SPDX-License-Identifier: MIT
 *
 * The limits that end a request or a connection: each has the name of its option, and a counter in the env.
 *
 * Owns:    constant tables.
 * Thread:  any.
 */
#ifndef CUVEE_CONN_LIMIT_H
#define CUVEE_CONN_LIMIT_H

typedef enum {
    CV_LIMIT_REQUEST_LINE,
    CV_LIMIT_REQUEST_HEAD,
    CV_LIMIT_REQUEST_FIELDS,
    CV_LIMIT_REQUEST_BODY,
    CV_LIMIT_BODY_RATE,
    CV_LIMIT_CONCURRENCY,
    CV_LIMIT_REQUESTS,
    CV_LIMIT_CONNECTIONS,
    CV_LIMIT_CONNECTION_REQUESTS,
    CV_TIMEOUT_HEAD,
    CV_TIMEOUT_KEEP_ALIVE,
    CV_TIMEOUT_BODY,
    CV_TIMEOUT_UNREAD_BODY,
    CV_TIMEOUT_LINGER,
    CV_TIMEOUT_WRITE,
    CV_TIMEOUT_REQUEST,
    CV_LIMIT_WEBSOCKETS,
    CV_LIMIT_WS_MESSAGE,
    CV_TIMEOUT_WS_PING,
    CV_TIMEOUT_WS_IDLE,
    CV_TIMEOUT_WS_CLOSE,
    CV_LIMITS,
} cv_limit_t;

/* The option as Python writes it: "limit_request_line". */
const char *cv_limit_name(cv_limit_t limit);

/* The limit that a cv_h1_error speaks of, or CV_LIMITS. */
cv_limit_t cv_limit_of_error(int error);

#endif
