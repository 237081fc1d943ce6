/* SPDX-License-Identifier: MIT */
#include "ws/sha1.h"

#include <string.h>

/* The names are those of FIPS 180-4 section 6.1. */
enum {
    BLOCK = 64,
    ROUNDS = 80,
    LENGTH = 8, /* bytes of the message's length, at the end of the last block */
};

static uint32_t
rotated(uint32_t word, unsigned bits)
{
    return word << bits | word >> (32 - bits);
}

static void
expand(uint32_t schedule[ROUNDS], const uint8_t *block)
{
    for (unsigned t = 0; t < 16; t++) {
        const uint8_t *at = block + (size_t)t * 4;
        schedule[t] = (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
    }
    for (unsigned t = 16; t < ROUNDS; t++) {
        schedule[t] = rotated(schedule[t - 3] ^ schedule[t - 8] ^ schedule[t - 14] ^ schedule[t - 16], 1);
    }
}

/* Function and constant of a round (sections 4.1.1 and 4.2.1), added up. */
static uint32_t
mixed(unsigned round, uint32_t b, uint32_t c, uint32_t d)
{
    switch (round / 20) {
    case 0:
        return ((b & c) ^ (~b & d)) + 0x5a827999;
    case 1:
        return (b ^ c ^ d) + 0x6ed9eba1;
    case 2:
        return ((b & c) ^ (b & d) ^ (c & d)) + 0x8f1bbcdc;
    default:
        return (b ^ c ^ d) + 0xca62c1d6;
    }
}

static void
take_block(uint32_t hash[5], const uint8_t *block)
{
    uint32_t schedule[ROUNDS];
    uint32_t a = hash[0], b = hash[1], c = hash[2], d = hash[3], e = hash[4];
    expand(schedule, block);
    for (unsigned t = 0; t < ROUNDS; t++) {
        uint32_t next = rotated(a, 5) + mixed(t, b, c, d) + e + schedule[t];
        e = d;
        d = c;
        c = rotated(b, 30);
        b = a;
        a = next;
    }
    hash[0] += a;
    hash[1] += b;
    hash[2] += c;
    hash[3] += d;
    hash[4] += e;
}

/* What is behind the last whole block, padded to one block or two (section 5.1.1). */
static void
take_end(uint32_t hash[5], const uint8_t *rest, size_t rest_len, uint64_t len)
{
    uint8_t padded[2 * BLOCK] = {0};
    size_t size = rest_len + 1 + LENGTH <= BLOCK ? BLOCK : 2 * BLOCK;
    if (rest_len > 0) {
        memcpy(padded, rest, rest_len);
    }
    padded[rest_len] = 0x80;
    for (unsigned i = 0; i < LENGTH; i++) {
        padded[size - 1 - i] = (uint8_t)(len * 8 >> 8 * i);
    }
    for (size_t at = 0; at < size; at += BLOCK) {
        take_block(hash, padded + at);
    }
}

void
cv_sha1(const void *data, size_t len, uint8_t out[CV_SHA1_SIZE])
{
    uint32_t hash[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
    const uint8_t *bytes = data;
    size_t whole = len - len % BLOCK;
    for (size_t at = 0; at < whole; at += BLOCK) {
        take_block(hash, bytes + at);
    }
    take_end(hash, whole < len ? bytes + whole : NULL, len - whole, len);
    for (unsigned i = 0; i < CV_SHA1_SIZE; i++) {
        out[i] = (uint8_t)(hash[i / 4] >> (24 - i % 4 * 8));
    }
}
