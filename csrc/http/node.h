/* SPDX-License-Identifier: MIT
 *
 * One name of a host in a proxy's fields: an address with or without a port, or what says that none is told
 * (RFC 7239 section 6).
 *
 * Owns:    nothing.
 * Borrows: the text that it was parsed from.
 * Thread:  any.
 */
#ifndef CUVEE_HTTP_NODE_H
#define CUVEE_HTTP_NODE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/address.h"
#include "base/span.h"

enum { CV_NODE_MOST = 253 }; /* bytes of a name, as of one in the DNS */

typedef struct {
    cv_span_t host;       /* as it was written, without brackets and port */
    uint16_t port;        /* 0 when none was told */
    bool is_address;      /* `address` is set; else it is "unknown", "_name" or "unix:" */
    cv_address_t address;
} cv_node_t;

/* Takes 192.0.2.1, 192.0.2.1:80, 2001:db8::1, [2001:db8::1], [2001:db8::1]:80, unknown and _name with or without a
 * port, and unix: (nginx's word for who comes by a Unix socket). False for anything else. */
bool cv_node_parse(cv_node_t *node, cv_span_t text);

#endif
