/* SPDX-License-Identifier: MIT */
#include "ws/mask.h"

#include <string.h>

/* A vector of the compiler's: one register of SSE2 and NEON, two words where there is neither. */
typedef uint64_t lanes_t __attribute__((vector_size(16)));

enum {
    LANES = sizeof(lanes_t),
    WORD = sizeof(uint64_t),
    HALF = sizeof(uint32_t),
    STRIDE = 4 * LANES,
};

static inline lanes_t
load_lanes(const char *at)
{
    lanes_t lanes;
    memcpy(&lanes, at, sizeof(lanes));
    return lanes;
}

static inline void
store_lanes(char *at, lanes_t lanes)
{
    memcpy(at, &lanes, sizeof(lanes));
}

/* The key as it lies over the bytes from `offset` on. It is turned in a register: to write four bytes and read a word
 * of them takes longer than all the rest of a short frame. */
static inline uint32_t
key_from(const uint8_t key[4], uint64_t offset)
{
    uint32_t word;
    memcpy(&word, key, sizeof(word));
    unsigned bits = (unsigned)(offset & 3) * 8;
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    return word >> bits | word << (-bits & 31);
#else
    return word << bits | word >> (-bits & 31);
#endif
}

static inline uint64_t
twice(uint32_t key)
{
    return (uint64_t)key << 32 | key; /* the same in either byte order */
}

static inline lanes_t
lanes_of(uint32_t key)
{
    return (lanes_t){twice(key), twice(key)};
}

/* Up to 15 bytes: two words or halves, which may lie over each other. Both are read before one is written. */
static inline void
unmask_short(char *to, const char *from, size_t len, const uint8_t key[4], uint64_t offset)
{
    if (len >= WORD) {
        uint64_t first, last;
        memcpy(&first, from, WORD);
        memcpy(&last, from + len - WORD, WORD);
        first ^= twice(key_from(key, offset));
        last ^= twice(key_from(key, offset + len));
        memcpy(to, &first, WORD);
        memcpy(to + len - WORD, &last, WORD);
    } else if (len >= HALF) {
        uint32_t first, last;
        memcpy(&first, from, HALF);
        memcpy(&last, from + len - HALF, HALF);
        first ^= key_from(key, offset);
        last ^= key_from(key, offset + len);
        memcpy(to, &first, HALF);
        memcpy(to + len - HALF, &last, HALF);
    } else {
        for (size_t i = 0; i < len; i++) {
            to[i] = (char)(from[i] ^ key[(offset + i) & 3]);
        }
    }
}

void
cv_ws_unmask(char *to, const char *from, size_t len, const uint8_t key[4], uint64_t offset)
{
    if (len < LANES) {
        unmask_short(to, from, len, key, offset);
        return;
    }
    /* The last bytes may be the loop's, too: they are read before it, and written behind it. */
    lanes_t lanes = lanes_of(key_from(key, offset));
    lanes_t last = load_lanes(from + len - LANES) ^ lanes_of(key_from(key, offset + len));
    size_t at = 0;
    for (; len - at >= STRIDE; at += STRIDE) {
        lanes_t a = load_lanes(from + at), b = load_lanes(from + at + LANES);
        lanes_t c = load_lanes(from + at + (size_t)2 * LANES), d = load_lanes(from + at + (size_t)3 * LANES);
        store_lanes(to + at, a ^ lanes);
        store_lanes(to + at + LANES, b ^ lanes);
        store_lanes(to + at + (size_t)2 * LANES, c ^ lanes);
        store_lanes(to + at + (size_t)3 * LANES, d ^ lanes);
    }
    for (; len - at >= LANES; at += LANES) {
        store_lanes(to + at, load_lanes(from + at) ^ lanes);
    }
    store_lanes(to + len - LANES, last);
}
