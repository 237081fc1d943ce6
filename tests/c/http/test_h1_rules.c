/* SPDX-License-Identifier: MIT
 *
 * The rules by themselves, for what llhttp refuses before they are asked.
 */
#include "cv_test.h"

#include "http/h1_rules.c"

static int
target_rule(cv_h1_head_t *head, const char *target, size_t len)
{
    *head = (cv_h1_head_t){.base = target, .target_len = (uint32_t)len};
    return cv_h1_rules_target(head, false, false);
}

TEST(a_target_is_visible_ascii)
{
    cv_h1_head_t head;
    char target[19];
    for (int byte = 0; byte < 256; byte++) {
        for (size_t at = 1; at < sizeof(target); at++) {
            memset(target, 'a', sizeof(target));
            target[0] = '/';
            target[at] = (char)byte;
            bool visible = byte > ' ' && byte < 0x7f;
            CHECK_EQ(target_rule(&head, target, sizeof(target)), visible ? 0 : CV_H1_ETARGET);
        }
    }
}

TEST(targets_of_no_form)
{
    static const char *const TARGETS[] = {"", "a", "?", "#", "*", "*a", "http:", "http:/", "http://", "https://",
                                          "http://?", "http:///", "ftp://h/", "httpx://h/", "http://h:x/", "//"};
    cv_h1_head_t head;
    for (size_t i = 0; i < sizeof(TARGETS) / sizeof(TARGETS[0]); i++) {
        bool valid = strcmp(TARGETS[i], "//") == 0;
        CHECK_EQ(target_rule(&head, TARGETS[i], strlen(TARGETS[i])), valid ? 0 : CV_H1_ETARGET);
    }
}

TEST(a_fragment_may_come_right_behind_the_authority)
{
    cv_h1_head_t head;
    const char target[] = "http://h#/a?b";
    CHECK_EQ(target_rule(&head, target, sizeof(target) - 1), 0);
    CHECK_EQ(head.path_len, 0);
    CHECK_EQ(head.query_len, 0);
    CHECK_BYTES(head.base + head.authority, head.authority_len, "h");
}

/* A head of name and value pairs that stand one behind the other in `text`. */
static cv_h1_head_t
head_of(const char *const *words, size_t count, char *text)
{
    cv_h1_head_t head = {.base = text, .minor = 1};
    uint32_t at = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t len = (uint32_t)strlen(words[i]);
        cv_h1_field_t *field = &head.fields[i / 2];
        memcpy(text + at, words[i], len);
        if (i % 2 == 0) {
            *field = (cv_h1_field_t){.name = at, .name_len = len, .id = cv_field_id(words[i], len)};
            head.field_count++;
        } else {
            field->value = at;
            field->value_len = len;
        }
        at += len;
    }
    return head;
}

#define RULE(head, ...)                                                               \
    (head = head_of((const char *const[]){__VA_ARGS__},                               \
                    sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *), text), \
     cv_h1_rules_fields(&head))

TEST(framing_fields_that_come_twice)
{
    char text[256];
    cv_h1_head_t head;
    CHECK_EQ(RULE(head, "host", "h", "content-length", "1"), 0);
    CHECK_EQ(RULE(head, "host", "h", "content-length", "1", "content-length", "1"), CV_H1_ECONTENT_LENGTH);
    CHECK_EQ(RULE(head, "host", "h", "transfer-encoding", "chunked"), 0);
    CHECK(head.chunked);
    CHECK_EQ(RULE(head, "transfer-encoding", "chunked", "content-length", "1"), CV_H1_ETRANSFER_ENCODING);
    CHECK_EQ(RULE(head, "transfer-encoding", "chunked", "transfer-encoding", "chunked"), CV_H1_ETRANSFER_ENCODING);
}

TEST(options_of_several_connection_fields_add_up)
{
    char text[256];
    cv_h1_head_t head;
    CHECK_EQ(RULE(head, "host", "h", "connection", "upgrade", "upgrade", "a", "connection", "\t close\t"), 0);
    CHECK(head.upgrade);
    CHECK(!head.keep_alive);
    CHECK_EQ(RULE(head, "host", "h", "connection", ",,", "upgrade", "a"), 0);
    CHECK(!head.upgrade);
    CHECK(head.keep_alive);
}

TEST(hosts)
{
    static const struct {
        const char *text;
        bool host, host_and_port;
    } CASES[] = {
        {"", true, false},
        {"h", true, false},
        {"h:", true, false},
        {"h:0", true, false},
        {"h:00000080", true, true},
        {"h:65535", true, true},
        {"h:65536", true, false},
        {"h:4294967297", true, false},
        {":80", true, false},
        {"%41%7e:1", true, true},
        {"%", false, false},
        {"%4", false, false},
        {"a%4g", false, false},
        {"a%zz:1", false, false},
        {"[::]:1", true, true},
        {"[::ffff:127.0.0.1]", true, false},
        {"[1:2:3:4:5:6:7:8]:80", true, true},
        {"[1:2:3:4:5:6:7:8:9]", false, false},
        {"[1:2]", false, false},
        {"[::1::]", false, false},
        {"[12345::]", false, false},
        {"[1.2.3.4]", false, false},
        {"[::1", false, false},
        {"[", false, false},
        {"[]", false, false},
        {"[::1]x", false, false},
        {"[0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000]", false, false},
    };
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        cv_span_t text = {CASES[i].text, strlen(CASES[i].text)};
        CHECK_EQ(is_host(text, false), CASES[i].host);
        CHECK_EQ(is_host(text, true), CASES[i].host_and_port);
    }
    CHECK(!is_host((cv_span_t){"[::1\0]", 6}, false));
}

TEST(one_expectation_among_several_is_seen)
{
    char text[256];
    cv_h1_head_t head;
    CHECK_EQ(RULE(head, "host", "h", "expect", "a, 100-Continue ,b"), 0);
    CHECK(head.expect_continue);
    CHECK_EQ(RULE(head, "host", "h", "expect", "100-continue", "expect", "a"), 0);
    CHECK(head.expect_continue);
    CHECK_EQ(RULE(head, "host", "h", "expect", "a=100-continue, 100-continued"), 0);
    CHECK(!head.expect_continue);
}

TEST(token_bytes)
{
    int tokens = 0;
    for (int byte = 0; byte < 256; byte++) {
        tokens += cv_h1_is_token_byte((char)byte);
    }
    CHECK_EQ(tokens, 26 + 26 + 10 + 15);
    CHECK(cv_h1_is_token_byte('~'));
    CHECK(!cv_h1_is_token_byte(':'));
}

int
main(void)
{
    RUN(a_target_is_visible_ascii);
    RUN(targets_of_no_form);
    RUN(a_fragment_may_come_right_behind_the_authority);
    RUN(hosts);
    RUN(one_expectation_among_several_is_seen);
    RUN(framing_fields_that_come_twice);
    RUN(options_of_several_connection_fields_add_up);
    RUN(token_bytes);
    return cv_test_end();
}
