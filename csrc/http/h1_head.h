/* SPDX-License-Identifier: MIT
 *
 * The head of one HTTP/1 request, as offsets into the bytes it came in.
 *
 * Owns:    nothing but the offsets.
 * Borrows: `base`, the first byte of the head; valid only while on_head runs.
 * Thread:  loop thread.
 */
#ifndef CUVEE_HTTP_H1_HEAD_H
#define CUVEE_HTTP_H1_HEAD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

enum { CV_H1_FIELDS_CEILING = 256 }; /* no limit option may ask for more fields than this */

typedef struct {
    uint32_t name;      /* offset from base */
    uint32_t name_len;
    uint32_t value;     /* offset from base; outer whitespace is not in the value */
    uint32_t value_len;
    uint8_t id;         /* cv_field_id of the name */
} cv_h1_field_t;

typedef struct {
    const char *base;
    uint32_t method, method_len; /* the method's token */
    uint32_t target, target_len; /* the request target as it was sent */
    uint32_t path, path_len;     /* its path, still percent-encoded. 0 long for
                                  * "http://host", where it is "/". OPTIONS' "*" and CONNECT's host:port
                                  * stand here as they were sent */
    uint32_t query, query_len;   /* what follows the first '?', without a fragment */
    uint32_t authority, authority_len; /* of an absolute-form target; also in the Host field's place */
    uint8_t minor;               /* HTTP/1.minor: 0 or 1 */
    bool keep_alive;             /* what version and Connection of the request allow */
    bool has_body;               /* content-length above 0, or chunked */
    bool chunked;
    bool expect_continue;        /* Expect: 100-continue on HTTP/1.1 (RFC 9110 section 10.1.1) */
    bool upgrade;                /* Upgrade with Connection: upgrade; parsed on as plain HTTP */
    bool takes_trailers;         /* TE: trailers on HTTP/1.1 (RFC 9110 section 10.1.4) */
    bool is_head;                /* HEAD: the answer has no body */
    bool is_connect;             /* CONNECT: a 2xx to it has no length */
    uint64_t content_length;     /* meaningful when has_body and not chunked */
    uint32_t size;               /* bytes of the whole head, final CRLF included */
    uint32_t field_count;
    cv_h1_field_t fields[CV_H1_FIELDS_CEILING];
} cv_h1_head_t;

static inline cv_span_t
cv_h1_span(const cv_h1_head_t *head, uint32_t at, uint32_t len)
{
    return (cv_span_t){head->base + at, len};
}

#endif
