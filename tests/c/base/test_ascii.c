/* SPDX-License-Identifier: MIT */
#include <stdbool.h>

#include "cv_test.h"

#include "base/ascii.h"

TEST(lower8_changes_letters_and_nothing_else)
{
    for (int byte = 0; byte < 256; byte++) {
        for (int place = 0; place < 8; place++) {
            char text[8];
            memset(text, byte == 'Z' ? 'z' : '@', sizeof(text)); /* neighbours must not matter */
            text[place] = (char)byte;
            uint64_t lower = cv_ascii_lower8(cv_ascii_load8(text));
            char result[8];
            memcpy(result, &lower, sizeof(result));
            text[place] = (char)(byte >= 'A' && byte <= 'Z' ? byte + 32 : byte);
            CHECK(memcmp(result, text, sizeof(text)) == 0);
            CHECK_EQ(cv_ascii_lower((char)byte), text[place]);
        }
    }
}

TEST(below_or_equal8_finds_each_byte_in_each_place)
{
    for (int byte = 0; byte < 256; byte++) {
        for (int place = 0; place < 8; place++) {
            char text[8];
            memset(text, 'x', sizeof(text));
            text[place] = (char)byte;
            int found = cv_ascii_below_or_equal8(cv_ascii_load8(text), 0x20, 0x7f) != 0;
            CHECK_EQ(found, byte < 0x20 || byte == 0x7f);
            found = cv_ascii_below_or_equal8(cv_ascii_load8(text), 0, '%') != 0;
            CHECK_EQ(found, byte == '%');
        }
    }
}

TEST(control8_finds_each_control_byte_in_each_place)
{
    static const unsigned char AROUND[] = {' ', 'x', '~', 0x80, 0xfe, 0xff};
    for (size_t i = 0; i < sizeof(AROUND); i++) {
        for (int byte = 0; byte < 256; byte++) {
            for (int place = 0; place < 8; place++) {
                char text[8];
                memset(text, AROUND[i], sizeof(text));
                text[place] = (char)byte;
                bool found = cv_ascii_control8(cv_ascii_load8(text)) != 0;
                if (byte < 0x20 || byte == 0x7f) {
                    CHECK(found);
                } else if (byte != 0xff && AROUND[i] != 0xff) {
                    CHECK(!found);
                }
            }
        }
    }
}

TEST(before8_counts_up_to_the_first_byte_found_and_no_further)
{
    for (int place = 0; place < 8; place++) {
        for (int behind = 0; behind < 256; behind++) {
            char text[8];
            memset(text, 'x', sizeof(text));
            memset(text + place, behind, sizeof(text) - (size_t)place);
            text[place] = '\r';
            size_t before = cv_ascii_before8(cv_ascii_control8(cv_ascii_load8(text)));
            CHECK(before <= (size_t)place);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
            CHECK_EQ(before, place);
#endif
        }
    }
}

int
main(void)
{
    RUN(lower8_changes_letters_and_nothing_else);
    RUN(below_or_equal8_finds_each_byte_in_each_place);
    RUN(control8_finds_each_control_byte_in_each_place);
    RUN(before8_counts_up_to_the_first_byte_found_and_no_further);
    return cv_test_end();
}
