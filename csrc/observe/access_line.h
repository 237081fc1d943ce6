/* SPDX-License-Identifier: MIT
 *
 * One line of the access log, as uvicorn's AccessFormatter writes it.
 *
 * Owns:    nothing.
 * Thread:  the producer of the ring.
 */
#ifndef CUVEE_OBSERVE_ACCESS_LINE_H
#define CUVEE_OBSERVE_ACCESS_LINE_H

#include <stdbool.h>

#include "base/span.h"
#include "observe/log_ring.h"

typedef struct {
    cv_span_t client;   /* "127.0.0.1:51234"; empty when there is none */
    cv_span_t method;
    cv_span_t path;     /* percent-encoded or not: it is written as quote(unquote(path)) */
    cv_span_t query;    /* without '?'; empty for none */
    unsigned minor;     /* HTTP/1.minor */
    unsigned status;
} cv_access_line_t;

/* The most bytes that the line may take. */
size_t cv_access_line_bound(const cv_access_line_t *line);

/* Puts the line, its end included. Whatever the spans hold, it is one line of visible ASCII. */
void cv_access_line_put(cv_log_cursor_t *cursor, const cv_access_line_t *line, bool colours);

/* Writes a path as the line has it to `out`, which has three times its room. Returns the length. */
size_t cv_access_line_quote(cv_span_t path, char *out);

#endif
