/* SPDX-License-Identifier: MIT
 *
 * The masking of a client's frames (RFC 6455 section 5.3), taken off with the widest registers there are.
 *
 * Thread:  any.
 */
#ifndef CUVEE_WS_MASK_H
#define CUVEE_WS_MASK_H

#include <stddef.h>
#include <stdint.h>

/* Unmasks `len` bytes, of which the first is at `offset` of its frame, from `from` to `to`, which are the same or do
 * not overlap. `key` has the four bytes in the order of the wire. */
void cv_ws_unmask(char *to, const char *from, size_t len, const uint8_t key[4], uint64_t offset);

#endif
