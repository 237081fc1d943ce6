/* SPDX-License-Identifier: MIT */
#include "ws/mask.h"

#include <stdbool.h>
#include <stdlib.h>

#include "cv_test.h"

enum { LONGEST = 200,
       PLACES = 16 }; /* how far from an aligned address */

static const uint8_t KEY[4] = {0x37, 0xfa, 0x21, 0x3d};

static void
fill(char *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        bytes[i] = (char)(i * 7 + 1);
    }
}

/* In memory that ends with the bytes. */
static void
check_unmask(size_t place, size_t len, uint64_t offset, bool in_place)
{
    char *from = malloc(place + len + 1), *to = in_place ? from : malloc(place + len + 1);
    CHECK(from != NULL && to != NULL);
    fill(from, place + len + 1);
    to[place + len] = '?';
    cv_ws_unmask(to + place, from + place, len, KEY, offset);
    for (size_t i = 0; i < len; i++) {
        CHECK_EQ((uint8_t)to[place + i], (uint8_t)((place + i) * 7 + 1) ^ KEY[(offset + i) % 4]);
    }
    CHECK_EQ(to[place + len], '?');
    if (!in_place) {
        free(to);
    }
    free(from);
}

TEST(every_length_from_every_place)
{
    for (size_t len = 0; len <= LONGEST; len++) {
        for (size_t place = 0; place < PLACES; place++) {
            check_unmask(place, len, place + len, true);
            check_unmask(place, len, place / 4, false);
        }
    }
}

TEST(every_offset)
{
    for (uint64_t offset = 0; offset < 8; offset++) {
        for (size_t len = 0; len < 70; len++) {
            check_unmask(3, len, offset, true);
            check_unmask(3, len, UINT64_C(0xffffffff00000000) + offset, false);
        }
    }
}

TEST(pieces_come_to_the_whole)
{
    char whole[LONGEST], pieces[LONGEST];
    fill(whole, LONGEST);
    cv_ws_unmask(whole, whole, LONGEST, KEY, 0);
    for (size_t cut = 0; cut <= LONGEST; cut++) {
        fill(pieces, LONGEST);
        cv_ws_unmask(pieces, pieces, cut, KEY, 0);
        cv_ws_unmask(pieces + cut, pieces + cut, LONGEST - cut, KEY, cut);
        CHECK(memcmp(whole, pieces, LONGEST) == 0);
    }
}

int
main(void)
{
    RUN(every_length_from_every_place);
    RUN(every_offset);
    RUN(pieces_come_to_the_whole);
    return cv_test_end();
}
