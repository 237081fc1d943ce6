/* SPDX-License-Identifier: MIT */
#include "ws/ws_parser.h"

#include "ws/ws_case.h"

static const char HELLO[] = "\xf2\x48\xcd\xc9\xc9\x07"; /* and a zero byte: RFC 7692 section 7.2.3 */

static void
compressed(unsigned first, const char *data, size_t len)
{
    ws_put_frame(&wire, first, data, len);
}

TEST(the_examples_of_the_rfc)
{
    compressed(TEXT | RSV1, HELLO, sizeof(HELLO));
    compressed(TEXT_OPEN | RSV1, HELLO, 3);
    compressed(ENDS, HELLO + 3, sizeof(HELLO) - 3);
    compressed(TEXT | RSV1, "\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00", 11);
    compressed(TEXT | RSV1, "\xf3\x48\xcd\xc9\xc9\x07\x00\x00", 8);
    compressed(TEXT | RSV1, "\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00", 13);
    check(&DEFLATE, "text 5 Hello\ntext 5 Hello\ntext 5 Hello\ntext 5 Hello\ntext 5 Hello\nbetween frames\n");
}

TEST(a_context_is_kept_if_that_was_agreed)
{
    compressed(TEXT | RSV1, HELLO, sizeof(HELLO));
    compressed(TEXT | RSV1, "\xf2\x00\x11\x00\x00", 5);
    check(&CONTEXT, "text 5 Hello\ntext 5 Hello\nbetween frames\n");
    compressed(TEXT | RSV1, HELLO, sizeof(HELLO));
    compressed(TEXT | RSV1, "\xf2\x00\x11\x00\x00", 5);
    check(&DEFLATE, "text 5 Hello\nerror 10\n");
}

TEST(plain_and_compressed_messages_by_turns)
{
    frame(TEXT, "plain");
    compressed(TEXT | RSV1, HELLO, sizeof(HELLO));
    frame(BINARY_OPEN, "pl");
    frame(ENDS, "ain");
    compressed(BINARY | RSV1, "\x00", 1);
    compressed(TEXT_OPEN | RSV1, "", 0);
    compressed(ENDS, "", 0);
    frame(PING, "");
    check(&DEFLATE, "text 5 plain\ntext 5 Hello\nbinary 5 plain\nbinary 0 \ntext 0 \nping 0 \nbetween frames\n");
}

TEST(control_frames_inside_a_compressed_message)
{
    compressed(TEXT_OPEN | RSV1, HELLO, 4);
    frame(PING, "ping me");
    compressed(GOES_ON, "", 0);
    frame(PONG, "");
    compressed(ENDS, HELLO + 4, sizeof(HELLO) - 4);
    check(&DEFLATE, "ping 7 ping me\npong 0 \ntext 5 Hello\nbetween frames\n");
}

TEST(what_does_not_inflate)
{
    compressed(TEXT | RSV1, "\xff\xff\xff\xff", 4);
    check_error(&DEFLATE, CV_WS_EDEFLATE);
    compressed(BINARY_OPEN | RSV1, "\x00\x05", 2);
    compressed(ENDS, "\x00\x00\x00", 3);
    check_error(&DEFLATE, CV_WS_EDEFLATE);
}

TEST(an_inflated_message_has_the_same_limit)
{
    ws_put_stored(&wire, BINARY | RSV1, "0123456789", 10);
    ws_put_stored(&wire, BINARY_OPEN | RSV1, "01234", 5);
    ws_put_stored(&wire, ENDS, "56789", 5);
    check(&SMALL_DEFLATE, "binary 10 0123456789\nbinary 10 0123456789\nbetween frames\n");
    ws_put_stored(&wire, BINARY | RSV1, "0123456789a", 11);
    check_error(&SMALL_DEFLATE, CV_WS_ESIZE);
    ws_put_stored(&wire, BINARY_OPEN | RSV1, "01234", 5);
    ws_put_stored(&wire, ENDS, "567890", 6);
    check_error(&SMALL_DEFLATE, CV_WS_ESIZE);
}

TEST(inflated_text_is_utf_8)
{
    ws_put_stored(&wire, TEXT_OPEN | RSV1, "\xe2\x82", 2);
    ws_put_stored(&wire, ENDS, "\xac", 1);
    check(&DEFLATE, "text 3 \xe2\x82\xac\nbetween frames\n");
    ws_put_stored(&wire, TEXT | RSV1, "ab\xff", 3);
    check_error(&DEFLATE, CV_WS_EUTF8);
    ws_put_stored(&wire, TEXT | RSV1, "ab\xc3", 3);
    check_error(&DEFLATE, CV_WS_EUTF8);
    ws_put_stored(&wire, TEXT_OPEN | RSV1, "ab\xff", 3);
    check_error(&DEFLATE, CV_WS_EUTF8);
}

/* Text that is wrong, and behind it what is too long or does not inflate: the first is told, cut or not. */
TEST(the_first_rule_that_is_broken_is_told)
{
    ws_put_stored(&wire, TEXT | RSV1, "ab\xff--0123456789", 15);
    check_error(&SMALL_DEFLATE, CV_WS_EUTF8);
    ws_put_stored(&wire, TEXT | RSV1, "0123456789\xff", 11);
    check_error(&SMALL_DEFLATE, CV_WS_ESIZE);
    compressed(TEXT | RSV1, "\x00\x01\x00\xfe\xff\xff\xff\xff\xff", 9);
    check_error(&DEFLATE, CV_WS_EUTF8);
}

int
main(void)
{
    RUN(the_examples_of_the_rfc);
    RUN(a_context_is_kept_if_that_was_agreed);
    RUN(plain_and_compressed_messages_by_turns);
    RUN(control_frames_inside_a_compressed_message);
    RUN(what_does_not_inflate);
    RUN(an_inflated_message_has_the_same_limit);
    RUN(inflated_text_is_utf_8);
    RUN(the_first_rule_that_is_broken_is_told);
    return cv_test_end();
}
