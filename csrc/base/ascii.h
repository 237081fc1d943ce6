/* SPDX-License-Identifier: MIT
 *
 * Eight bytes of ASCII at a time: lower-casing, and looking for bytes that need a closer look.
 *
 * Owns:    nothing.
 * Thread:  any.
 */
#ifndef CUVEE_BASE_ASCII_H
#define CUVEE_BASE_ASCII_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define CV_ASCII_EACH(byte) (UINT64_C(0x0101010101010101) * (uint8_t)(byte))
#define CV_ASCII_HIGH CV_ASCII_EACH(0x80)

static inline uint64_t
cv_ascii_load8(const char *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof(word));
    return word;
}

/* A to Z become a to z; every other byte stays as it is. */
static inline uint64_t
cv_ascii_lower8(uint64_t word)
{
    uint64_t low7 = word & ~CV_ASCII_HIGH;
    uint64_t from_a = low7 + CV_ASCII_EACH(0x80 - 'A');
    uint64_t above_z = low7 + CV_ASCII_EACH(0x7f - 'Z');
    uint64_t upper = (from_a & ~above_z) & ~word & CV_ASCII_HIGH;
    return word | (upper >> 2);
}

static inline char
cv_ascii_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

/* Not 0 when one of the eight bytes is below `limit` (at most 128) or is `other` (0x7f or less). */
static inline uint64_t
cv_ascii_below_or_equal8(uint64_t word, uint8_t limit, uint8_t other)
{
    uint64_t differs = word ^ CV_ASCII_EACH(other);
    uint64_t below = (word - CV_ASCII_EACH(limit)) & ~word;
    uint64_t equal = (differs - CV_ASCII_EACH(1)) & ~differs;
    return (below | equal) & CV_ASCII_HIGH;
}

/* Not 0 when one of the eight bytes is a control byte; it may be so for a byte behind 0xff, too. */
static inline uint64_t
cv_ascii_control8(uint64_t word)
{
    return ((word - CV_ASCII_EACH(0x20)) | (word + CV_ASCII_EACH(1))) & ~word & CV_ASCII_HIGH;
}

/* How many of a word's first bytes are surely none of those that cv_ascii_control8 found (`found` is what it returned,
 * and not 0). All before the first, where the first byte is the lowest: borrow and carry go to bytes behind it only. */
static inline size_t
cv_ascii_before8(uint64_t found)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    return (size_t)__builtin_ctzll(found) / 8;
#else
    (void)found;
    return 0;
#endif
}

#endif
