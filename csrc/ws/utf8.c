/* SPDX-License-Identifier: MIT */
#include "ws/utf8.h"

#include <string.h>

/* A machine whose states are places in a word: the word of a byte has, at the place of each state, the place of the
 * next one. A step is a load, which waits for no other step, and a shift. The states say what is wanted next; behind
 * E0, ED, F0 and F4 the second byte is bounded more narrowly (RFC 3629 section 4). */
enum {
    START = 0,
    ONE = 6,       /* one more of 80 to BF */
    TWO = 12,      /* two more */
    THREE = 18,
    AFTER_E0 = 24, /* A0 to BF, and one more */
    AFTER_ED = 30, /* 80 to 9F, and one more */
    AFTER_F0 = 36, /* 90 to BF, and two more */
    AFTER_F4 = 42, /* 80 to 8F, and two more */
    WRONG = 48,    /* for good */
    PLACE = 63,    /* the bits of a place */
};

/* A byte that begins a character, or is one. */
#define AT_START(state) (TO(START, state) | WRONG_FROM_ONE)
#define TO(from, state) ((uint64_t)(state) << (from))
#define WRONG_FROM_ONE                                                                                        \
    (TO(ONE, WRONG) | TO(TWO, WRONG) | TO(THREE, WRONG) | TO(AFTER_E0, WRONG) | TO(AFTER_ED, WRONG)           \
     | TO(AFTER_F0, WRONG) | TO(AFTER_F4, WRONG) | TO(WRONG, WRONG))

/* A byte that goes on with one; the last four say what comes of it behind those four first bytes. */
#define INSIDE(e0, ed, f0, f4)                                                                                \
    (TO(START, WRONG) | TO(ONE, START) | TO(TWO, ONE) | TO(THREE, TWO) | TO(AFTER_E0, e0) | TO(AFTER_ED, ed)   \
     | TO(AFTER_F0, f0) | TO(AFTER_F4, f4) | TO(WRONG, WRONG))

static const uint64_t STEPS[256] = {
    [0x00 ... 0x7f] = AT_START(START),
    [0x80 ... 0x8f] = INSIDE(WRONG, ONE, WRONG, TWO),
    [0x90 ... 0x9f] = INSIDE(WRONG, ONE, TWO, WRONG),
    [0xa0 ... 0xbf] = INSIDE(ONE, WRONG, TWO, WRONG),
    [0xc0 ... 0xc1] = AT_START(WRONG),
    [0xc2 ... 0xdf] = AT_START(ONE),
    [0xe0] = AT_START(AFTER_E0),
    [0xe1 ... 0xec] = AT_START(TWO),
    [0xed] = AT_START(AFTER_ED),
    [0xee ... 0xef] = AT_START(TWO),
    [0xf0] = AT_START(AFTER_F0),
    [0xf1 ... 0xf3] = AT_START(THREE),
    [0xf4] = AT_START(AFTER_F4),
    [0xf5 ... 0xff] = AT_START(WRONG),
};

typedef uint64_t lanes_t __attribute__((vector_size(16)));

enum {
    LANES = sizeof(lanes_t),
    STRIDE = 4 * LANES,
};

static inline lanes_t
load_lanes(const char *at)
{
    lanes_t lanes;
    memcpy(&lanes, at, sizeof(lanes));
    return lanes;
}

static inline bool
is_ascii(lanes_t lanes)
{
    return ((lanes[0] | lanes[1]) & UINT64_C(0x8080808080808080)) == 0;
}

static inline uint64_t
step(uint64_t state, const char *data, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        state = STEPS[(unsigned char)data[i]] >> (state & PLACE);
    }
    return state & PLACE;
}

/* How many bytes from the front, in whole strides, are ASCII. */
static inline size_t
skip_ascii(const char *data, size_t len)
{
    size_t at = 0;
    while (len - at >= STRIDE) {
        lanes_t a = load_lanes(data + at), b = load_lanes(data + at + LANES);
        lanes_t c = load_lanes(data + at + (size_t)2 * LANES), d = load_lanes(data + at + (size_t)3 * LANES);
        if (!is_ascii(a | b | c | d)) {
            break;
        }
        at += STRIDE;
    }
    return at;
}

/* True when the last `rest` bytes, fewer than a vector, are ASCII: looked at together with those before them, if there
 * are any. False may be wrong. */
static inline bool
is_ascii_end(const char *data, size_t len, size_t rest)
{
    if (len >= LANES) {
        return is_ascii(load_lanes(data + len - LANES));
    }
    if (rest < sizeof(uint64_t)) {
        return false;
    }
    const char *end = data + len;
    uint64_t first, last;
    memcpy(&first, end - rest, sizeof(first));
    memcpy(&last, end - sizeof(last), sizeof(last));
    return is_ascii((lanes_t){first, last});
}

bool
cv_utf8_feed(cv_utf8_t *state, const char *data, size_t len)
{
    uint64_t now = *state;
    size_t at = 0;
    while (len - at >= LANES && now != WRONG) {
        if (now == START) {
            at += skip_ascii(data + at, len - at);
            if (len - at < LANES) {
                break;
            }
            if (is_ascii(load_lanes(data + at))) {
                at += LANES;
                continue;
            }
        }
        now = step(now, data + at, LANES);
        at += LANES;
    }
    if (at < len && (now != START || !is_ascii_end(data, len, len - at))) {
        now = step(now, data + at, len - at);
    }
    *state = (cv_utf8_t)now;
    return now != WRONG;
}
