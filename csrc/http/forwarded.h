/* SPDX-License-Identifier: MIT
 *
 * What the proxies in front of us say about a request's client: X-Forwarded-For and X-Forwarded-Proto, or Forwarded
 * (RFC 7239), one family only, since a proxy that writes one lets the client's own fields of the other through.
 *
 * Each proxy appends whom it heard from. So the list is read from its end, and only as far as each host that wrote an
 * entry is trusted; nothing that stands further left can change what that means.
 *
 * Owns:    nothing.
 * Borrows: the head, and the trusted hosts.
 * Thread:  any.
 */
#ifndef CUVEE_HTTP_FORWARDED_H
#define CUVEE_HTTP_FORWARDED_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"
#include "base/trusted.h"
#include "http/h1_head.h"

typedef struct {
    const cv_trusted_t *trusted;
    uint32_t hops;     /* how many of the last entries trusted hosts wrote; 0: as the addresses tell */
    bool is_rfc_7239;  /* Forwarded counts, and the others don't */
} cv_forwarded_rules_t;

typedef struct {
    cv_span_t host;    /* of the client, in the head; of length 0 when nothing says it */
    uint16_t port;     /* 0 when none was told */
    cv_span_t scheme;  /* "http", "https", "ws" or "wss", in the head; or of length 0 */
} cv_forwarded_t;

/* Reads the fields of a request that came from a trusted host. What is no entry ends the reading: the client is then
 * the host of the entry behind it, and nothing says it if there is none. */
void cv_forwarded_read(const cv_h1_head_t *head, const cv_forwarded_rules_t *rules, cv_forwarded_t *out);

#endif
