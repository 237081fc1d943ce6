/* SPDX-License-Identifier: MIT */
#include "cv_test.h"

#include "http/target.h"

#define CHECK_DECODED(path, expected)                                        \
    do {                                                                     \
        char cv_out[64];                                                     \
        size_t cv_out_len = cv_target_decode(path, sizeof(path) - 1, cv_out); \
        CHECK_BYTES(cv_out, cv_out_len, expected);                           \
    } while (0)

TEST(what_is_not_encoded_stays)
{
    CHECK_DECODED("", "");
    CHECK_DECODED("/a/b+c~d", "/a/b+c~d");
}

TEST(two_digits_behind_a_percent_sign_are_a_byte)
{
    CHECK_DECODED("/a%20b", "/a b");
    CHECK_DECODED("%2F%2f", "//");
    CHECK_DECODED("/caf%C3%a9", "/caf\xc3\xa9");
    CHECK_DECODED("%41%42%7e", "AB~");
    CHECK_DECODED("%25%32%30", "%20");
}

TEST(a_percent_sign_without_two_digits_stays)
{
    CHECK_DECODED("%", "%");
    CHECK_DECODED("/100%", "/100%");
    CHECK_DECODED("/100%2", "/100%2");
    CHECK_DECODED("%zz%1g%g1", "%zz%1g%g1");
    CHECK_DECODED("%%41", "%A");
    CHECK_DECODED("%4%41", "%4A");
}

TEST(a_zero_byte_is_a_byte)
{
    char out[8];
    CHECK_EQ(cv_target_decode("a%00b", 5, out), 3);
    CHECK(memcmp(out, "a\0b", 3) == 0);
}

TEST(every_byte_can_be_decoded)
{
    for (unsigned byte = 0; byte < 256; byte++) {
        char path[4], out[4];
        snprintf(path, sizeof(path), "%%%02x", byte);
        CHECK_EQ(cv_target_decode(path, 3, out), 1);
        CHECK_EQ((unsigned char)out[0], byte);
    }
}

TEST(plain_is_ascii_without_percent_signs)
{
    char path[24];
    for (size_t len = 0; len <= sizeof(path); len++) {
        memset(path, 'a', sizeof(path));
        CHECK(cv_target_is_plain(path, len));
        for (size_t at = 0; at < len; at++) {
            path[at] = '%';
            CHECK(!cv_target_is_plain(path, len));
            path[at] = (char)0x80;
            CHECK(!cv_target_is_plain(path, len));
            path[at] = (char)0xff;
            CHECK(!cv_target_is_plain(path, len));
            path[at] = '$';
            CHECK(cv_target_is_plain(path, len));
        }
    }
}

int
main(void)
{
    RUN(what_is_not_encoded_stays);
    RUN(two_digits_behind_a_percent_sign_are_a_byte);
    RUN(a_percent_sign_without_two_digits_stays);
    RUN(a_zero_byte_is_a_byte);
    RUN(every_byte_can_be_decoded);
    RUN(plain_is_ascii_without_percent_signs);
    return cv_test_end();
}
