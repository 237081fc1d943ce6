/* SPDX-License-Identifier: MIT */
#include "ws/ws_frame.h"

#include "cv_test.h"

static void
check_head(cv_ws_opcode opcode, bool compressed, uint64_t len, const char *expected, size_t expected_len)
{
    char head[CV_WS_HEAD_MAX];
    size_t head_len = cv_ws_frame_head(head, opcode, compressed, len);
    CHECK_EQ(head_len, expected_len);
    CHECK(memcmp(head, expected, head_len) == 0);
}

#define CHECK_HEAD(opcode, compressed, len, expected) \
    check_head((opcode), (compressed), (len), (expected), sizeof(expected) - 1)

/* The examples of RFC 6455 section 5.7, and the ends of each form. */
TEST(a_length_has_its_shortest_form)
{
    CHECK_HEAD(CV_WS_TEXT, false, 5, "\x81\x05");
    CHECK_HEAD(CV_WS_PONG, false, 0, "\x8a\x00");
    CHECK_HEAD(CV_WS_BINARY, false, 125, "\x82\x7d");
    CHECK_HEAD(CV_WS_BINARY, false, 126, "\x82\x7e\x00\x7e");
    CHECK_HEAD(CV_WS_BINARY, false, 256, "\x82\x7e\x01\x00");
    CHECK_HEAD(CV_WS_BINARY, false, 65535, "\x82\x7e\xff\xff");
    CHECK_HEAD(CV_WS_BINARY, false, 65536, "\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00");
    CHECK_HEAD(CV_WS_CLOSE, false, UINT64_C(0x0102030405060708), "\x88\x7f\x01\x02\x03\x04\x05\x06\x07\x08");
}

TEST(a_compressed_frame_has_its_bit)
{
    CHECK_HEAD(CV_WS_TEXT, true, 7, "\xc1\x07");
    CHECK_HEAD(CV_WS_BINARY, true, 300, "\xc2\x7e\x01\x2c");
}

TEST(a_close_has_code_and_reason)
{
    char out[CV_WS_CONTROL_MAX];
    CHECK_EQ(cv_ws_close_payload(out, 1000, (cv_span_t){NULL, 0}), 2);
    CHECK(memcmp(out, "\x03\xe8", 2) == 0);
    CHECK_EQ(cv_ws_close_payload(out, 4999, (cv_span_t){"bye", 3}), 5);
    CHECK(memcmp(out, "\x13\x87"
                      "bye",
                 5)
          == 0);
    CHECK_EQ(cv_ws_close_payload(out, CV_WS_NO_STATUS, (cv_span_t){"bye", 3}), 0);
}

/* A reason of `reason_len` bytes that is a's, then characters of `size` bytes. Returns how much of it was kept. */
static size_t
kept_of(size_t first, const char *character, size_t size, size_t reason_len)
{
    char reason[200], out[CV_WS_CONTROL_MAX + 1];
    memset(reason, 'a', sizeof(reason));
    for (size_t at = first; at + size <= reason_len; at += size) {
        memcpy(reason + at, character, size);
    }
    out[CV_WS_CONTROL_MAX] = '?';
    size_t len = cv_ws_close_payload(out, 1001, (cv_span_t){reason, reason_len});
    CHECK(len >= 2 && len <= CV_WS_CONTROL_MAX && out[CV_WS_CONTROL_MAX] == '?');
    CHECK(memcmp(out + 2, reason, len - 2) == 0);
    return len - 2;
}

TEST(a_long_reason_is_cut_between_characters)
{
    CHECK_EQ(kept_of(0, "a", 1, 123), 123);
    CHECK_EQ(kept_of(0, "a", 1, 124), 123);
    CHECK_EQ(kept_of(1, "\xc3\xa4", 2, 123), 123);
    CHECK_EQ(kept_of(0, "\xc3\xa4", 2, 124), 122);
    CHECK_EQ(kept_of(0, "\xe2\x82\xac", 3, 150), 123);
    CHECK_EQ(kept_of(1, "\xe2\x82\xac", 3, 151), 121);
    CHECK_EQ(kept_of(2, "\xe2\x82\xac", 3, 152), 122);
    CHECK_EQ(kept_of(0, "\xf0\x9f\x98\x80", 4, 160), 120);
    CHECK_EQ(kept_of(3, "\xf0\x9f\x98\x80", 4, 163), 123);
    CHECK_EQ(kept_of(0, "\x80", 1, 124), 0); /* no text at all: nothing runs away */
}

/* RFC 6455 section 7.4, and IANA's registry. */
TEST(which_codes_may_be_sent)
{
    static const unsigned good[] = {1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014,
                                    3000, 3999, 4000, 4999};
    static const unsigned bad[] = {0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        CHECK(cv_ws_code_is_valid(good[i]));
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        CHECK(!cv_ws_code_is_valid(bad[i]));
    }
}

int
main(void)
{
    RUN(a_length_has_its_shortest_form);
    RUN(a_compressed_frame_has_its_bit);
    RUN(a_close_has_code_and_reason);
    RUN(a_long_reason_is_cut_between_characters);
    RUN(which_codes_may_be_sent);
    return cv_test_end();
}
