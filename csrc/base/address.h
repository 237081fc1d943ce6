/* SPDX-License-Identifier: MIT
 *
 * An internet address as 16 bytes, so that IPv4 and IPv6 are compared in one way: an IPv4 address is its mapped form
 * (::ffff:192.0.2.1, RFC 4291 section 2.5.5.2), however it was written.
 *
 * Owns:    nothing.
 * Thread:  any.
 */
#ifndef CUVEE_BASE_ADDRESS_H
#define CUVEE_BASE_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

typedef struct {
    uint8_t bytes[16];
} cv_address_t;

/* From four bytes in network order. */
void cv_address_from_ipv4(cv_address_t *address, const void *bytes);

/* From its text, without a zone, brackets or a port. False for anything else, also for names and for numbers with
 * leading zeros. */
bool cv_address_parse(cv_address_t *address, cv_span_t text);

/* True for an IPv4 address in either form. */
bool cv_address_is_ipv4(const cv_address_t *address);

#endif
