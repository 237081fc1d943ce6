/* SPDX-License-Identifier: MIT
 *
 * The hosts whose word about a request's client is taken: by address, network, the path of a Unix socket, or a name
 * that a proxy gives itself.
 *
 * Owns:    a copy of everything that is added, until deinit.
 * Thread:  loop thread.
 * Errors:  negative errno values.
 */
#ifndef CUVEE_BASE_TRUSTED_H
#define CUVEE_BASE_TRUSTED_H

#include <stdbool.h>
#include <stddef.h>

#include "base/address.h"
#include "base/span.h"

typedef struct {
    cv_address_t address;
    unsigned bits; /* of the 128 that must be equal */
} cv_network_t;

typedef struct {
    bool everyone;          /* "*" */
    bool unix_peers;        /* "unix:", whoever connects to a Unix socket */
    cv_network_t *networks; /* single addresses among them */
    size_t network_count;
    char **literals;        /* each ends with a zero */
    size_t literal_count;
} cv_trusted_t;

void cv_trusted_init(cv_trusted_t *trusted);
void cv_trusted_deinit(cv_trusted_t *trusted);

/* Adds "*", "unix:", "unix:PATH", an address, a network (ADDRESS/BITS), or else a literal. 0, -ENOMEM, or -EINVAL for a
 * network that is none, or whose address has bits set behind its prefix. */
int cv_trusted_add(cv_trusted_t *trusted, cv_span_t entry);

/* True for an address of the list, or in one of its networks. An IPv4 address is in no network of IPv6. */
bool cv_trusted_has_address(const cv_trusted_t *trusted, const cv_address_t *address);

/* True for the path of a socket, or a name, that stands in the list. */
bool cv_trusted_has_literal(const cv_trusted_t *trusted, cv_span_t text);

#endif
