/* SPDX-License-Identifier: MIT */
#include "ws/ws_parser.h"

#include <errno.h>
#include <stdlib.h>

#include "ws/ws_case.h"

/* ---- messages ---- */

/* RFC 6455 section 5.7. */
TEST(a_masked_text)
{
    raw("\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", 11);
    check(&PLAIN, "text 5 Hello\nbetween frames\n");
}

TEST(many_messages_in_one_piece)
{
    frame(TEXT, "a");
    frame(BINARY, "\xff\xfe");
    frame(TEXT, "");
    frame(PING, "");
    frame(BINARY, "");
    frame(TEXT, "\xc3\xa4");
    check(&PLAIN, "text 1 a\nbinary 2 \xff\xfe\ntext 0 \nping 0 \nbinary 0 \ntext 2 \xc3\xa4\nbetween frames\n");
}

TEST(a_message_in_fragments)
{
    frame(TEXT_OPEN, "ab");
    frame(GOES_ON, "");
    frame(GOES_ON, "cde");
    frame(ENDS, "f");
    frame(BINARY_OPEN, "");
    frame(ENDS, "");
    frame(BINARY_OPEN, "xyz");
    frame(ENDS, "");
    check(&PLAIN, "text 6 abcdef\nbinary 0 \nbinary 3 xyz\nbetween frames\n");
}

TEST(control_frames_between_fragments)
{
    frame(TEXT_OPEN, "on\xc3");
    frame(PING, "are you there");
    frame(PONG, "");
    frame(GOES_ON, "\xa4 and");
    frame(PONG, "\xff");
    frame(ENDS, " on");
    frame(PING, "x");
    check(&PLAIN, "ping 13 are you there\npong 0 \npong 1 \xff\ntext 11 on\xc3\xa4 and on\nping 1 x\nbetween frames\n");
}

TEST(every_form_of_a_length)
{
    static const size_t lengths[] = {125, 126, 127, 65535, 65536, 70000};
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        size_t len = lengths[i];
        char *bytes = malloc(len), head[32];
        CHECK(bytes != NULL);
        memset(bytes, 'x', len);
        ws_put_frame(&wire, BINARY, bytes, len);
        ws_put_frame(&wire, BINARY_OPEN, bytes, len);
        ws_put_frame(&wire, ENDS, bytes, len);
        cv_buffer_t whole = ws_log(wire.data, wire.len, &PLAIN, NULL, 0);
        cv_buffer_t cut = ws_log(wire.data, wire.len, &PLAIN, (const uint8_t[]){4, 200, 0}, 3);
        int head_len = snprintf(head, sizeof(head), "binary %zu x", len);
        CHECK(whole.len > 3 * len && memcmp(whole.data, head, (size_t)head_len) == 0);
        CHECK(whole.len == cut.len && memcmp(whole.data, cut.data, cut.len) == 0);
        cv_buffer_deinit(&whole);
        cv_buffer_deinit(&cut);
        cv_buffer_deinit(&wire);
        free(bytes);
    }
}

TEST(what_is_open_is_not_at_rest)
{
    frame(TEXT_OPEN, "a");
    check(&PLAIN, "amid a message\n");
    frame(TEXT_OPEN, "a");
    frame(PING, "");
    check(&PLAIN, "ping 0 \namid a message\n");
    raw("\x81", 1);
    check(&PLAIN, "amid a message\n");
    raw("\x81\x81"
        "abcd",
        6);
    check(&PLAIN, "amid a message\n");
    raw("\x89\x82"
        "abcdx",
        7);
    check(&PLAIN, "amid a message\n");
}

/* ---- the head's rules ---- */

TEST(a_frame_must_be_masked)
{
    raw("\x81\x05Hello", 7);
    check_error(&PLAIN, CV_WS_EUNMASKED);
    raw("\x89\x00", 2);
    check_error(&PLAIN, CV_WS_EUNMASKED);
}

TEST(reserved_bits)
{
    static const unsigned bits[] = {0x10, 0x20, 0x40, 0x70};
    for (size_t i = 0; i < sizeof(bits) / sizeof(bits[0]); i++) {
        frame(TEXT | bits[i], "a");
        check_error(&PLAIN, CV_WS_ERESERVED_BITS);
        frame(PING | bits[i], "");
        check_error(&DEFLATE, CV_WS_ERESERVED_BITS);
        frame(TEXT_OPEN, "a");
        frame(ENDS | bits[i], "a");
        check_error(&DEFLATE, CV_WS_ERESERVED_BITS);
    }
    frame(TEXT | 0x30, "a");
    check_error(&DEFLATE, CV_WS_ERESERVED_BITS);
}

TEST(reserved_opcodes)
{
    static const unsigned opcodes[] = {3, 4, 5, 6, 7, 11, 12, 13, 14, 15};
    for (size_t i = 0; i < sizeof(opcodes) / sizeof(opcodes[0]); i++) {
        frame(0x80 | opcodes[i], "");
        check_error(&PLAIN, CV_WS_EOPCODE);
        frame(opcodes[i], "");
        check_error(&PLAIN, CV_WS_EOPCODE);
    }
}

TEST(control_frames_are_short_and_whole)
{
    char text[127];
    memset(text, 'x', sizeof(text));
    text[126] = '\0';
    for (unsigned opcode = CLOSE; opcode <= PONG; opcode++) {
        frame(opcode, text);
        check_error(&PLAIN, CV_WS_ECONTROL_LONG);
        frame(opcode & 0x7f, "ab");
        check_error(&PLAIN, CV_WS_ECONTROL_PART);
        raw((const char[]){(char)opcode, (char)0xff}, 2); /* the length need not be there */
        check_error(&PLAIN, CV_WS_ECONTROL_LONG);
    }
    text[125] = '\0';
    char expected[200];
    snprintf(expected, sizeof(expected), "pong 125 %s\nbetween frames\n", text);
    frame(PONG, text);
    check(&PLAIN, expected);
}

TEST(a_length_is_written_in_the_shortest_way)
{
    static const char *const heads[] = {
        "\x82\xfe\x00\x00....",
        "\x82\xfe\x00\x7d....",
        "\x82\xff\x00\x00\x00\x00\x00\x00\x00\x7e....",
        "\x82\xff\x00\x00\x00\x00\x00\x00\xff\xff....",
        "\x82\xff\x80\x00\x00\x00\x00\x00\x00\x00....",
        "\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff....",
    };
    for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
        raw(heads[i], heads[i][1] == '\xfe' ? 8 : 14);
        check_error(&PLAIN, CV_WS_ELENGTH);
    }
}

TEST(fragments_are_in_order)
{
    frame(ENDS, "a");
    check_error(&PLAIN, CV_WS_ECONTINUATION);
    frame(GOES_ON, "a");
    check_error(&PLAIN, CV_WS_ECONTINUATION);
    frame(TEXT, "");
    frame(ENDS, "a");
    check(&PLAIN, "text 0 \nerror 6\n");
    frame(TEXT_OPEN, "a");
    frame(TEXT, "b");
    check_error(&PLAIN, CV_WS_EINTERRUPTED);
    frame(BINARY_OPEN, "");
    frame(TEXT_OPEN, "");
    check_error(&PLAIN, CV_WS_EINTERRUPTED);
}

/* ---- sizes ---- */

TEST(a_message_may_be_as_long_as_the_limit)
{
    frame(TEXT, "0123456789");
    frame(TEXT_OPEN, "01234");
    frame(GOES_ON, "56789");
    frame(ENDS, "");
    frame(PING, "more than ten bytes");
    check(&SMALL, "text 10 0123456789\ntext 10 0123456789\nping 19 more than ten bytes\nbetween frames\n");
}

TEST(a_message_that_says_it_is_too_long_is_not_read)
{
    raw("\x82\x8b....", 6);
    check_error(&SMALL, CV_WS_ESIZE);
    raw("\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff....", 14);
    check_error(&SMALL, CV_WS_ESIZE);
    frame(TEXT_OPEN, "01234");
    raw("\x00\x86....", 6);
    check_error(&SMALL, CV_WS_ESIZE);
}

TEST(without_a_limit_a_length_costs_nothing)
{
    cv_ws_parser_rules_t rules = {.max_size = UINT64_MAX};
    cv_ws_parser_t parser;
    cv_ws_event_t event;
    size_t used;
    char head[] = "\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff....some";
    cv_inflaters_init(&rules.inflaters);
    cv_ws_parser_init(&parser, &rules, &(cv_deflate_terms_t){.agreed = false});
    CHECK_EQ(cv_ws_parser_feed(&parser, head, 14, &used, &event), 0);
    CHECK_EQ(used, 14);
    CHECK_EQ(parser.message.cap, 0);
    CHECK_EQ(cv_ws_parser_feed(&parser, head + 14, 4, &used, &event), 0);
    CHECK(parser.message.cap > 0 && parser.message.cap <= 4096);
    cv_ws_parser_deinit(&parser);
    cv_inflaters_deinit(&rules.inflaters);
}

/* ---- text ---- */

TEST(text_is_utf_8)
{
    frame(TEXT, "\xff");
    check_error(&PLAIN, CV_WS_EUTF8);
    frame(TEXT, "abc\xc3");
    check_error(&PLAIN, CV_WS_EUTF8);
    frame(TEXT, "\xed\xa0\x80");
    check_error(&PLAIN, CV_WS_EUTF8);
    frame(TEXT_OPEN, "\xc3");
    frame(ENDS, "");
    check_error(&PLAIN, CV_WS_EUTF8);
    frame(TEXT_OPEN, "\xe2\x82");
    frame(GOES_ON, "");
    frame(ENDS, "\xac");
    frame(TEXT, "a");
    check(&PLAIN, "text 3 \xe2\x82\xac\ntext 1 a\nbetween frames\n");
    frame(TEXT_OPEN, "\xe2\x82");
    frame(ENDS, "a");
    check_error(&PLAIN, CV_WS_EUTF8);
}

TEST(text_fails_where_it_is_wrong_and_not_at_its_end)
{
    frame(TEXT, "abc\xff then some");
    wire.len -= 10;
    check_error(&PLAIN, CV_WS_EUTF8);
    frame(TEXT_OPEN, "\xf4\x90");
    check_error(&PLAIN, CV_WS_EUTF8);
}

TEST(binary_messages_may_be_anything)
{
    frame(BINARY, "\xff\xc3");
    frame(TEXT, "a");
    frame(BINARY_OPEN, "\xc3");
    frame(ENDS, "\xff");
    check(&PLAIN, "binary 2 \xff\xc3\ntext 1 a\nbinary 2 \xc3\xff\nbetween frames\n");
}

/* ---- the close frame ---- */

TEST(a_close_has_nothing_or_a_code)
{
    frame(CLOSE, "");
    frame(CLOSE, "\x03\xe8");
    frame(CLOSE, "\x13\x87 bye \xc3\xa4");
    check(&PLAIN, "close 1005 0 \nclose 1000 0 \nclose 4999 7  bye \xc3\xa4\nbetween frames\n");
}

TEST(a_close_may_come_inside_a_message)
{
    frame(BINARY_OPEN, "abc");
    frame(CLOSE, "\x03\xe9going");
    check(&PLAIN, "close 1001 5 going\namid a message\n");
}

TEST(a_close_that_is_wrong)
{
    static const char *const codes[] = {"\x03", "\x03\xe7", "\x03\xec", "\x03\xed", "\x03\xee", "\x03\xf7",
                                        "\x03\xf8", "\x0b\xb7", "\x13\x88", "\xff\xff"};
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        frame(CLOSE, codes[i]);
        check_error(&PLAIN, CV_WS_ECLOSE);
    }
    frame(CLOSE, "\x03\xe8"
                 "a\xff");
    check_error(&PLAIN, CV_WS_EUTF8);
    frame(CLOSE, "\x03\xe8\xc3");
    check_error(&PLAIN, CV_WS_EUTF8);
}

/* ---- memory ---- */

TEST(a_whole_message_lies_where_it_came)
{
    cv_ws_parser_rules_t rules = {.max_size = 100};
    cv_ws_parser_t parser;
    cv_ws_event_t event;
    size_t used;
    cv_inflaters_init(&rules.inflaters);
    cv_ws_parser_init(&parser, &rules, &(cv_deflate_terms_t){.agreed = true});
    frame(TEXT, "in place");
    frame(PING, "this too");
    CHECK_EQ(cv_ws_parser_feed(&parser, wire.data, wire.len, &used, &event), 1);
    CHECK_EQ(used, 14);
    CHECK(event.data == wire.data + 6);
    CHECK_EQ(cv_ws_parser_feed(&parser, wire.data + used, wire.len - used, &used, &event), 1);
    CHECK(event.data == wire.data + 20);
    CHECK_EQ(parser.message.cap, 0);
    CHECK(cv_ws_parser_is_resting(&parser));
    cv_ws_parser_deinit(&parser);
    cv_inflaters_deinit(&rules.inflaters);
    cv_buffer_deinit(&wire);
}

static void
check_given_back(cv_ws_parser_t *parser, const char *expected)
{
    cv_ws_event_t event;
    size_t used, at = 0;
    int status = 0;
    while (status == 0 && at < wire.len) {
        status = cv_ws_parser_feed(parser, wire.data + at, 3 < wire.len - at ? 3 : wire.len - at, &used, &event);
        at += used;
    }
    CHECK_EQ(status, 1);
    CHECK_BYTES(event.data, event.len, expected);
    CHECK(event.data == parser->message.data && parser->message.cap > 0);
    CHECK(parser->inflater == NULL);
    CHECK_EQ(cv_ws_parser_feed(parser, NULL, 0, &used, &event), 0);
    CHECK_EQ(used, 0);
    CHECK_EQ(parser->message.cap, 0);
    cv_buffer_deinit(&wire);
}

TEST(memory_is_given_back_by_the_call_behind_the_event)
{
    cv_ws_parser_rules_t rules = {.max_size = 100};
    cv_ws_parser_t parser;
    cv_inflaters_init(&rules.inflaters);
    cv_ws_parser_init(&parser, &rules, &(cv_deflate_terms_t){.agreed = true});
    frame(TEXT, "in pieces");
    check_given_back(&parser, "in pieces");
    frame(PING, "in pieces");
    check_given_back(&parser, "in pieces");
    ws_put_stored(&wire, TEXT | RSV1, "inflated", 8);
    check_given_back(&parser, "inflated");
    cv_ws_parser_deinit(&parser);
    cv_inflaters_deinit(&rules.inflaters);
}

TEST(a_message_gets_no_room_behind_its_end)
{
    cv_ws_parser_rules_t rules = {.max_size = 10000};
    cv_ws_parser_t parser;
    cv_ws_event_t event;
    size_t used;
    char bytes[5000] = {0};
    cv_inflaters_init(&rules.inflaters);
    cv_ws_parser_init(&parser, &rules, &(cv_deflate_terms_t){.agreed = false});
    ws_put_frame(&wire, BINARY, bytes, sizeof(bytes));
    CHECK_EQ(cv_ws_parser_feed(&parser, wire.data, 3000, &used, &event), 0);
    CHECK(parser.message.cap >= 2990 && parser.message.cap < 3100);
    CHECK_EQ(cv_ws_parser_feed(&parser, wire.data + 3000, wire.len - 3000, &used, &event), 1);
    CHECK_EQ(parser.message.cap, sizeof(bytes));
    cv_ws_parser_deinit(&parser);
    cv_inflaters_deinit(&rules.inflaters);
    cv_buffer_deinit(&wire);
}

TEST(an_empty_fragment_takes_no_inflater)
{
    cv_ws_parser_rules_t rules = {.max_size = 100};
    cv_ws_parser_t parser;
    cv_ws_event_t event;
    size_t used;
    cv_inflaters_init(&rules.inflaters);
    cv_ws_parser_init(&parser, &rules, &(cv_deflate_terms_t){.agreed = true});
    frame(TEXT_OPEN | RSV1, "");
    frame(GOES_ON, "");
    CHECK_EQ(cv_ws_parser_feed(&parser, wire.data, wire.len, &used, &event), 0);
    CHECK(parser.compressed && parser.inflater == NULL);
    cv_ws_parser_deinit(&parser);
    cv_inflaters_deinit(&rules.inflaters);
    cv_buffer_deinit(&wire);
}

TEST(no_bytes_are_no_event)
{
    cv_ws_parser_rules_t rules = {.max_size = 100};
    cv_ws_parser_t parser;
    cv_ws_event_t event;
    size_t used = 9;
    char head[] = "\xc1\x81....";
    cv_inflaters_init(&rules.inflaters);
    cv_ws_parser_init(&parser, &rules, &(cv_deflate_terms_t){.agreed = true});
    CHECK(cv_ws_parser_is_resting(&parser));
    CHECK_EQ(cv_ws_parser_feed(&parser, NULL, 0, &used, &event), 0);
    CHECK_EQ(used, 0);
    CHECK_EQ(cv_ws_parser_feed(&parser, head, 6, &used, &event), 0);
    CHECK_EQ(cv_ws_parser_feed(&parser, NULL, 0, &used, &event), 0);
    CHECK(parser.inflater == NULL && !cv_ws_parser_is_resting(&parser)); /* a head alone takes none */
    cv_ws_parser_deinit(&parser);
    cv_inflaters_deinit(&rules.inflaters);
}

/* ---- errors ---- */

TEST(every_error_has_a_code_and_a_rule)
{
    for (int error = CV_WS_EUNMASKED; error <= CV_WS_ESIZE; error++) {
        unsigned code = error <= CV_WS_ECLOSE ? 1002 : 1007;
        code = error == CV_WS_ESIZE ? 1009 : code;
        CHECK_EQ(cv_ws_error_code(error), code);
        CHECK(cv_ws_error_rule(error)[0] != '\0');
        CHECK(strlen(cv_ws_error_rule(error)) <= CV_WS_REASON_MAX);
        CHECK(strcmp(cv_ws_error_rule(error), cv_ws_error_rule(-1)) != 0);
    }
    CHECK_EQ(cv_ws_error_code(-ENOMEM), 1011);
    CHECK_BYTES(cv_ws_error_rule(-ENOMEM), 13, "out of memory");
}

int
main(void)
{
    RUN(a_masked_text);
    RUN(many_messages_in_one_piece);
    RUN(a_message_in_fragments);
    RUN(control_frames_between_fragments);
    RUN(every_form_of_a_length);
    RUN(what_is_open_is_not_at_rest);
    RUN(a_frame_must_be_masked);
    RUN(reserved_bits);
    RUN(reserved_opcodes);
    RUN(control_frames_are_short_and_whole);
    RUN(a_length_is_written_in_the_shortest_way);
    RUN(fragments_are_in_order);
    RUN(a_message_may_be_as_long_as_the_limit);
    RUN(a_message_that_says_it_is_too_long_is_not_read);
    RUN(without_a_limit_a_length_costs_nothing);
    RUN(text_is_utf_8);
    RUN(text_fails_where_it_is_wrong_and_not_at_its_end);
    RUN(binary_messages_may_be_anything);
    RUN(a_close_has_nothing_or_a_code);
    RUN(a_close_may_come_inside_a_message);
    RUN(a_close_that_is_wrong);
    RUN(a_whole_message_lies_where_it_came);
    RUN(memory_is_given_back_by_the_call_behind_the_event);
    RUN(a_message_gets_no_room_behind_its_end);
    RUN(an_empty_fragment_takes_no_inflater);
    RUN(no_bytes_are_no_event);
    RUN(every_error_has_a_code_and_a_rule);
    return cv_test_end();
}
