/* SPDX-License-Identifier: MIT */
#include "cv_test.h"

#include "http/node.h"

static cv_node_t node;

static bool
parse(const char *text)
{
    return cv_node_parse(&node, (cv_span_t){text, strlen(text)});
}

#define CHECK_NODE(text, expected_host, expected_port, expected_address) \
    do {                                                                 \
        CHECK(parse(text));                                              \
        CHECK_BYTES(node.host.data, node.host.len, expected_host);       \
        CHECK_EQ(node.port, expected_port);                              \
        CHECK_EQ(node.is_address, expected_address);                     \
    } while (0)

TEST(addresses)
{
    CHECK_NODE("192.0.2.1", "192.0.2.1", 0, true);
    CHECK_NODE("192.0.2.1:8080", "192.0.2.1", 8080, true);
    CHECK_NODE("192.0.2.1:65535", "192.0.2.1", 65535, true);
    CHECK_NODE("192.0.2.1:0", "192.0.2.1", 0, true);
    CHECK_NODE("2001:db8::1", "2001:db8::1", 0, true);
    CHECK_NODE("2001:DB8::1:80", "2001:DB8::1:80", 0, true);
    CHECK_NODE("[2001:db8::1]", "2001:db8::1", 0, true);
    CHECK_NODE("[2001:db8::1]:443", "2001:db8::1", 443, true);
    CHECK_NODE("::ffff:192.0.2.1", "::ffff:192.0.2.1", 0, true);
    CHECK(cv_address_is_ipv4(&node.address));
}

TEST(names_that_hide_one)
{
    CHECK_NODE("unknown", "unknown", 0, false);
    CHECK_NODE("unknown:99", "unknown", 99, false);
    CHECK_NODE("_hidden", "_hidden", 0, false);
    CHECK_NODE("_SEVKISEK.a-b_c9", "_SEVKISEK.a-b_c9", 0, false);
    CHECK_NODE("192.0.2.1:_port", "192.0.2.1", 0, true);
    CHECK_NODE("[::1]:_port", "::1", 0, true);
    CHECK_NODE("unix:", "unix:", 0, false);
}

TEST(what_is_none)
{
    static const char *const texts[] = {
        "",
        " ",
        "a",
        "localhost",
        "example.com:80",
        "1.2.3",
        "1.2.3.4:",
        "1.2.3.4:x",
        "1.2.3.4:65536",
        "1.2.3.4:-1",
        "1.2.3.4:+1",
        "1.2.3.4: 1",
        "1.2.3.4:99999999999999999999",
        "1.2.3.4:80:80",
        "[",
        "[]",
        "[::1",
        "[::1]x",
        "[::1]:",
        "[::1]:x",
        "[1.2.3.4]",
        "[::1%lo]",
        "::1]",
        "_",
        "_a b",
        "_a\"",
        "_a:b",
        "Unknown",
        "unknown:",
        "unix",
        "unix:/a",
        "\"1.2.3.4\"",
        "1.2.3.4/8",
        "<script>",
        "_\xe9",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (parse(texts[i])) {
            CV_TEST_FAIL("taken: %s", texts[i]);
        }
    }
    CHECK(!cv_node_parse(&node, (cv_span_t){NULL, 0}));
}

TEST(a_name_has_a_bound)
{
    char text[CV_NODE_MOST + 2];
    memset(text, '_', sizeof text);
    CHECK(cv_node_parse(&node, (cv_span_t){text, CV_NODE_MOST}));
    CHECK(!cv_node_parse(&node, (cv_span_t){text, CV_NODE_MOST + 1}));
}

int
main(void)
{
    RUN(addresses);
    RUN(names_that_hide_one);
    RUN(what_is_none);
    RUN(a_name_has_a_bound);
    return cv_test_end();
}
