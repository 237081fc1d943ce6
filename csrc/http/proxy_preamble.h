/* SPDX-License-Identifier: MIT
 *
 * The PROXY protocol, versions 1 and 2: what a proxy that does not read HTTP puts before a connection's first byte, to
 * say whose connection it is.
 *
 * Owns:    nothing.
 * Borrows: the bytes, during the call.
 * Thread:  any.
 * Errors:  a negative cv_preamble_error.
 */
#ifndef CUVEE_HTTP_PROXY_PREAMBLE_H
#define CUVEE_HTTP_PROXY_PREAMBLE_H

#include <stddef.h>
#include <stdint.h>

enum {
    CV_PREAMBLE_V1_MOST = 107,  /* bytes of version 1's line, as its description says */
    CV_PREAMBLE_V2_MOST = 8192, /* bytes behind version 2's fixed part: addresses, and what else a proxy tells */
};

enum {
    CV_PREAMBLE_MORE = 0, /* what came may become a preamble */
    CV_PREAMBLE_END = 1,  /* it is complete */
};

typedef enum {
    CV_PREAMBLE_ENONE = -1100, /* what came is none */
    CV_PREAMBLE_EV1,
    CV_PREAMBLE_EV1_LONG,
    CV_PREAMBLE_EV2,
    CV_PREAMBLE_EV2_LONG,
} cv_preamble_error;

typedef enum {
    CV_PREAMBLE_OWN,  /* the connection's own (LOCAL, UNKNOWN and UNSPEC): health checks, mostly */
    CV_PREAMBLE_IPV4,
    CV_PREAMBLE_IPV6,
    CV_PREAMBLE_UNIX, /* a Unix socket on the proxy's machine */
} cv_preamble_kind_t;

typedef struct {
    cv_preamble_kind_t kind; /* of the client's address */
    uint8_t address[16];     /* its first 4 bytes for IPv4, all for IPv6; in network order */
    uint16_t port;
    size_t size;             /* bytes of the whole preamble */
} cv_preamble_t;

/* Parses a connection's first `len` bytes, from the first one on at each call. `out` has a meaning with CV_PREAMBLE_END
 * only. */
int cv_preamble_parse(cv_preamble_t *out, const char *data, size_t len);

/* The rule that was broken, a constant for log lines. */
const char *cv_preamble_error_rule(int error);

#endif
