/* SPDX-License-Identifier: MIT
 *
 * SHA-1 (FIPS 180-4), for the one thing that RFC 6455 uses it for: to show that a handshake was read. It protects
 * nothing.
 *
 * Owns:    nothing.
 * Thread:  any.
 * Errors:  none.
 */
#ifndef CUVEE_WS_SHA1_H
#define CUVEE_WS_SHA1_H

#include <stddef.h>
#include <stdint.h>

enum { CV_SHA1_SIZE = 20 };

void cv_sha1(const void *data, size_t len, uint8_t out[CV_SHA1_SIZE]);

#endif
