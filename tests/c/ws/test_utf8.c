/* SPDX-License-Identifier: MIT */
#include "ws/utf8.h"

#include <stdlib.h>

#include "cv_test.h"

enum { ROOM = 100 };

/* RFC 3629 section 4, line by line: the first byte, the second, and how many there are. */
static const struct {
    uint8_t first_low, first_high, second_low, second_high;
    int size;
} RULES[] = {
    {0x00, 0x7f, 0x00, 0x00, 1},
    {0xc2, 0xdf, 0x80, 0xbf, 2},
    {0xe0, 0xe0, 0xa0, 0xbf, 3},
    {0xe1, 0xec, 0x80, 0xbf, 3},
    {0xed, 0xed, 0x80, 0x9f, 3},
    {0xee, 0xef, 0x80, 0xbf, 3},
    {0xf0, 0xf0, 0x90, 0xbf, 4},
    {0xf1, 0xf3, 0x80, 0xbf, 4},
    {0xf4, 0xf4, 0x80, 0x8f, 4},
};

/* Returns the length of the character that begins here, 0 for none, -1 when the bytes end inside one that is right so
 * far. */
static int
character_length(const uint8_t *at, size_t len)
{
    size_t rule = 0, count = sizeof(RULES) / sizeof(RULES[0]);
    while (rule < count && (at[0] < RULES[rule].first_low || at[0] > RULES[rule].first_high)) {
        rule++;
    }
    int size = rule < count ? RULES[rule].size : 0;
    for (int i = 1; i < size; i++) {
        if ((size_t)i >= len) {
            return -1;
        }
        uint8_t low = i == 1 ? RULES[rule].second_low : 0x80, high = i == 1 ? RULES[rule].second_high : 0xbf;
        if (at[i] < low || at[i] > high) {
            return 0;
        }
    }
    return size;
}

enum { WRONG,
       OPEN,
       COMPLETE };
typedef int verdict_t;

static verdict_t
expected(const uint8_t *bytes, size_t len)
{
    for (size_t at = 0; at < len;) {
        int size = character_length(bytes + at, len - at);
        if (size <= 0) {
            return size == 0 ? WRONG : OPEN;
        }
        at += (size_t)size;
    }
    return COMPLETE;
}

static verdict_t
verdict(const void *bytes, size_t len, size_t cut)
{
    cv_utf8_t state = 0;
    const char *data = bytes;
    bool good = cv_utf8_feed(&state, data, cut) && cv_utf8_feed(&state, data + cut, len - cut);
    if (!good) {
        return WRONG;
    }
    return cv_utf8_is_complete(state) ? COMPLETE : OPEN;
}

static uint8_t
border_byte(unsigned i)
{
    static const uint8_t bytes[] = {0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0,
                                    0xe1, 0xec, 0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xff};
    return bytes[i % sizeof(bytes)];
}

enum { BORDERS = 25 };

/* At the start, where no vector is filled, and behind text that fills some, all and all but one byte of it. */
TEST(every_four_bytes_at_a_border_of_the_rule)
{
    static const size_t places[] = {0, 13, 16, 60, 64};
    uint8_t text[ROOM];
    memset(text, 'a', sizeof(text));
    for (unsigned i = 0; i < BORDERS * BORDERS * BORDERS * BORDERS; i++) {
        uint8_t four[4] = {border_byte(i), border_byte(i / BORDERS), border_byte(i / BORDERS / BORDERS),
                           border_byte(i / BORDERS / BORDERS / BORDERS)};
        size_t place = places[i % 5];
        memcpy(text + place, four, 4);
        for (size_t len = place + 1; len <= place + 5; len++) {
            CHECK_EQ(verdict(text, len, len), expected(text, len));
        }
        CHECK_EQ(verdict(four, 4, i % 5), expected(four, 4));
        memset(text + place, 'a', 4);
    }
}

TEST(every_two_bytes)
{
    for (unsigned i = 0; i < 65536; i++) {
        uint8_t two[2] = {(uint8_t)i, (uint8_t)(i >> 8)};
        CHECK_EQ(verdict(two, 2, 1), expected(two, 2));
    }
}

/* Text of every kind, at every place of a vector, cut everywhere, in memory that ends with it. */
TEST(text_is_text_wherever_it_is_cut)
{
    static const char text[] = "plain text of some length \xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80, then more that is, "
                               "and on \xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf\xe0\xa0\x80\xf0\x90\x80\x80 end";
    for (size_t from = 0; from < 27; from++) {
        size_t len = sizeof(text) - 1 - from;
        char *copy = malloc(len);
        CHECK(copy != NULL);
        memcpy(copy, text + from, len);
        for (size_t cut = 0; cut <= len; cut++) {
            CHECK_EQ(verdict(copy, len, cut), COMPLETE);
        }
        free(copy);
    }
}

TEST(one_wrong_byte_anywhere_is_seen)
{
    char text[ROOM];
    for (size_t len = 1; len <= sizeof(text); len++) {
        for (size_t at = 0; at < len; at++) {
            memset(text, 'a', sizeof(text));
            text[at] = '\xff';
            CHECK_EQ(verdict(text, len, 0), WRONG);
            CHECK_EQ(verdict(text, len, len / 2), WRONG);
            text[at] = '\x80';
            CHECK_EQ(verdict(text, len, 0), WRONG);
        }
    }
}

TEST(ascii_does_not_go_on_with_a_character)
{
    char text[ROOM];
    memset(text, 'a', sizeof(text));
    for (size_t len = 1; len <= sizeof(text); len++) {
        cv_utf8_t state = 0;
        CHECK(cv_utf8_feed(&state, "\xe2\x82", 2));
        CHECK(!cv_utf8_feed(&state, text, len));
    }
}

TEST(what_is_wrong_stays_so)
{
    cv_utf8_t state = 0;
    CHECK(!cv_utf8_feed(&state, "\xff", 1));
    CHECK(!cv_utf8_feed(&state, "a", 1));
    CHECK(!cv_utf8_feed(&state, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 38));
    CHECK(!cv_utf8_is_complete(state));
}

TEST(nothing_changes_nothing)
{
    cv_utf8_t state = 0;
    CHECK(cv_utf8_feed(&state, "", 0) && cv_utf8_is_complete(state));
    CHECK(cv_utf8_feed(&state, "\xe2\x82", 2) && !cv_utf8_is_complete(state));
    CHECK(cv_utf8_feed(&state, "", 0) && !cv_utf8_is_complete(state));
    CHECK(cv_utf8_feed(&state, "\xac", 1) && cv_utf8_is_complete(state));
}

int
main(void)
{
    RUN(every_four_bytes_at_a_border_of_the_rule);
    RUN(every_two_bytes);
    RUN(text_is_text_wherever_it_is_cut);
    RUN(one_wrong_byte_anywhere_is_seen);
    RUN(ascii_does_not_go_on_with_a_character);
    RUN(what_is_wrong_stays_so);
    RUN(nothing_changes_nothing);
    return cv_test_end();
}
