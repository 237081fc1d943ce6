/* SPDX-License-Identifier: MIT
 *
 * How a line of the access log looks where that is not uvicorn's: a list of pieces, made once, written for each answer.
 * Whatever clients send, a line stays one line of its format: bytes that are not visible ASCII, quotation marks and
 * backslashes are written as \xHH, or in JSON as JSON has it (bytes above ASCII as Latin-1).
 *
 * Owns:    the pieces and their texts.
 * Thread:  one at a time.
 * Errors:  -ENOMEM; -EINVAL for a kind that there is none of; -E2BIG for more fields than CV_ACCESS_FIELDS.
 */
#ifndef CUVEE_OBSERVE_ACCESS_FORMAT_H
#define CUVEE_OBSERVE_ACCESS_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "base/buffer.h"
#include "base/span.h"

enum { CV_ACCESS_FIELDS = 64 }; /* header fields that a format may name */

typedef struct cv_access_format cv_access_format_t;

/* What there is to be said of one exchange. */
typedef struct {
    cv_span_t client;         /* "127.0.0.1:51234", or empty */
    cv_span_t method;
    cv_span_t path;           /* as the client wrote it */
    cv_span_t query;          /* without '?' */
    cv_span_t version;        /* "1.1" */
    const cv_span_t *fields;  /* one for each that the format wants; without data: there was none */
    unsigned status;
    uint64_t bytes;           /* of the body, as sent */
    uint64_t duration;        /* nanoseconds */
    struct timespec now;
} cv_access_entry_t;

/* A format without pieces. `json`: values are escaped as in a JSON string, and what is missing is empty; otherwise it
 * is "-". NULL: no memory. */
cv_access_format_t *cv_access_format_new(bool json);

/* NULL is allowed. */
void cv_access_format_free(cv_access_format_t *format);

/* Adds a piece. `kind` is its name: "text" is written as `text` has it, "request_field" and "response_field" are the
 * value of the field that `text` names in lower case, "request_string" is that as a JSON string or null, "user" that of
 * the Basic scheme; the others are in access_format.c. Returns 0 or negative. */
int cv_access_format_add(cv_access_format_t *format, const char *kind, cv_span_t text);

/* The number of fields that an entry has to bring. */
size_t cv_access_format_fields(const cv_access_format_t *format);

/* Where in an entry the value of a request's, or a response's, field belongs: an index, or -1 where nobody asks for
 * it. Names in any case; `id` is the name's in http/field_names. */
int cv_access_format_request_field(const cv_access_format_t *format, uint8_t id, cv_span_t name);
int cv_access_format_response_field(const cv_access_format_t *format, cv_span_t name);

/* Whether the field at an index is a response's. */
bool cv_access_format_is_response_field(const cv_access_format_t *format, size_t index);

/* Appends the line, without an end of line. Returns 0 or -ENOMEM. */
int cv_access_format_put(cv_access_format_t *format, const cv_access_entry_t *entry, cv_buffer_t *out);

#endif
