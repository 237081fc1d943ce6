/* SPDX-License-Identifier: MIT */
#include "asgi/health.h"

#include <string.h>

static bool
is_text(cv_span_t span, const char *text, size_t len)
{
    return span.len == len && memcmp(span.data, text, len) == 0;
}

static bool
is_asked(const cv_service_t *service, const cv_h1_head_t *head)
{
    PyObject *path = service->health_path;
    if (path == NULL
        || !is_text(cv_h1_span(head, head->path, head->path_len), PyBytes_AS_STRING(path),
                    (size_t)PyBytes_GET_SIZE(path))) {
        return false;
    }
    cv_span_t method = cv_h1_span(head, head->method, head->method_len);
    return is_text(method, "GET", 3) || is_text(method, "HEAD", 4);
}

bool
cv_health_answer(cv_service_t *service, cv_conn_t *conn, const cv_h1_head_t *head)
{
    if (!is_asked(service, head)) {
        return false;
    }
    bool stops = service->env.retiring;
    cv_conn_reply(conn, stops ? 503 : 200, stops ? "stopping" : "ok");
    cv_service_wake(service);
    return true;
}
