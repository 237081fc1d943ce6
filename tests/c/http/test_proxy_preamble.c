/* SPDX-License-Identifier: MIT */
#include "cv_test.h"

#include "http/proxy_preamble.h"

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define BYTES(text) (text), sizeof(text) - 1

static cv_preamble_t out;

/* The result for a piece of the bytes is MORE for as long as the whole is not there; then it stays what it is. */
static int
parse(const char *data, size_t len)
{
    int last = CV_PREAMBLE_MORE;
    for (size_t seen = 0; seen <= len; seen++) {
        char copy[seen + 1]; /* so that a sanitizer sees a read behind the end */
        memcpy(copy, data, seen);
        memset(&out, 0xee, sizeof out);
        int status = cv_preamble_parse(&out, copy, seen);
        CHECK(last == CV_PREAMBLE_MORE || status == last);
        last = status;
    }
    return last;
}

static int
parse_text(const char *text)
{
    return parse(text, strlen(text));
}

#define CHECK_ADDRESS(expected_kind, bytes, expected_port)                \
    do {                                                                  \
        CHECK_EQ(out.kind, expected_kind);                                \
        CHECK(memcmp(out.address, bytes, sizeof(bytes) - 1) == 0);        \
        CHECK_EQ(out.port, expected_port);                                \
    } while (0)

TEST(version_1)
{
    CHECK_EQ(parse_text("PROXY TCP4 192.0.2.1 192.0.2.9 54321 80\r\n"), CV_PREAMBLE_END);
    CHECK_ADDRESS(CV_PREAMBLE_IPV4, "\xc0\x00\x02\x01", 54321);
    CHECK_EQ(out.size, 41);
    CHECK_EQ(parse_text("PROXY TCP6 2001:db8::1 ::1 0 65535\r\nGET / HTTP/1.1\r\n"), CV_PREAMBLE_END);
    CHECK_ADDRESS(CV_PREAMBLE_IPV6, "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01", 0);
    CHECK_EQ(out.size, 36);
    CHECK_EQ(parse_text("PROXY UNKNOWN\r\n"), CV_PREAMBLE_END);
    CHECK_EQ(out.kind, CV_PREAMBLE_OWN);
    CHECK_EQ(parse_text("PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n"), CV_PREAMBLE_END);
    CHECK_EQ(out.kind, CV_PREAMBLE_OWN);
}

TEST(version_1_malformed)
{
    static const char *const lines[] = {
        "PROXY \r\n",
        "PROXY  TCP4 1.2.3.4 1.2.3.4 1 2\r\n",
        "PROXY TCP4\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1 \r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1 2 \r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n",
        "PROXY TCP4 1.2.3.4  1.2.3.4 1 2\r\n",
        "PROXY TCP4 ::1 1.2.3.4 1 2\r\n",
        "PROXY TCP4 1.2.3.4 ::1 1 2\r\n",
        "PROXY TCP6 1.2.3.4 ::1 1 2\r\n",
        "PROXY TCP6 ::1 1.2.3.4 1 2\r\n",
        "PROXY TCP4 01.2.3.4 1.2.3.4 1 2\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 65536 2\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 +1 2\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1 -2\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 123456 2\r\n",
        "PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n",
        "PROXY tcp4 1.2.3.4 1.2.3.4 1 2\r\n",
        "PROXY UNKNOWNS\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n",
        "PROXY TCP4 a 1.2.3.4 1 2\r\n",
        "PROXY TCP6 1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb ::1 1 2\r\n",
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        if (parse_text(lines[i]) != CV_PREAMBLE_EV1) {
            CV_TEST_FAIL("taken: %s", lines[i]);
        }
    }
    CHECK_EQ(parse(BYTES("PROXY TCP4 1.2.3.4\0 1.2.3.4 1 2\r\n")), CV_PREAMBLE_EV1);
}

TEST(version_1_has_a_bound)
{
    char line[CV_PREAMBLE_V1_MOST + 2];
    memset(line, 'x', sizeof line);
    memcpy(line, "PROXY UNKNOWN ", 14);
    CHECK_EQ(parse(line, CV_PREAMBLE_V1_MOST - 1), CV_PREAMBLE_MORE);
    CHECK_EQ(parse(line, CV_PREAMBLE_V1_MOST), CV_PREAMBLE_EV1_LONG);
    memcpy(line + CV_PREAMBLE_V1_MOST - 2, "\r\n", 2);
    CHECK_EQ(parse(line, CV_PREAMBLE_V1_MOST), CV_PREAMBLE_END);
    CHECK_EQ(out.size, CV_PREAMBLE_V1_MOST);
    memcpy(line + CV_PREAMBLE_V1_MOST - 2, "x\r\n", 3);
    CHECK_EQ(parse(line, CV_PREAMBLE_V1_MOST + 1), CV_PREAMBLE_EV1_LONG);
}

#define IPV4 "\x01\x02\x03\x04\x05\x06\x07\x08\x12\x34\x00\x50"
#define IPV6_ONE "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01"
#define IPV6 IPV6_ONE IPV6_ONE "\x12\x34\x00\x50"

TEST(version_2)
{
    CHECK_EQ(parse(BYTES(SIGNATURE "\x21\x11\0\x0c" IPV4)), CV_PREAMBLE_END);
    CHECK_ADDRESS(CV_PREAMBLE_IPV4, "\x01\x02\x03\x04", 0x1234);
    CHECK_EQ(out.size, 28);
    CHECK_EQ(parse(BYTES(SIGNATURE "\x21\x12\0\x0c" IPV4)), CV_PREAMBLE_END);
    CHECK_ADDRESS(CV_PREAMBLE_IPV4, "\x01\x02\x03\x04", 0x1234);
    CHECK_EQ(parse(BYTES(SIGNATURE "\x21\x21\0\x24" IPV6)), CV_PREAMBLE_END);
    CHECK_ADDRESS(CV_PREAMBLE_IPV6, IPV6_ONE, 0x1234);
    CHECK_EQ(parse(BYTES(SIGNATURE "\x21\x22\0\x24" IPV6)), CV_PREAMBLE_END);
    CHECK_ADDRESS(CV_PREAMBLE_IPV6, IPV6_ONE, 0x1234);
    CHECK_EQ(parse(BYTES(SIGNATURE "\x21\0\0\0GET / HTTP/1.1\r\n")), CV_PREAMBLE_END);
    CHECK_EQ(out.kind, CV_PREAMBLE_OWN);
    CHECK_EQ(out.size, 16);
}

TEST(version_2_of_a_unix_socket)
{
    char data[16 + 216] = SIGNATURE "\x21\x31\0\xd8/run/a";
    CHECK_EQ(parse(data, sizeof data), CV_PREAMBLE_END);
    CHECK_EQ(out.kind, CV_PREAMBLE_UNIX);
    CHECK_EQ(out.size, sizeof data);
}

/* Health checks of a proxy: whatever the header says of addresses. */
TEST(version_2_local)
{
    CHECK_EQ(parse(BYTES(SIGNATURE "\x20\0\0\0")), CV_PREAMBLE_END);
    CHECK_EQ(out.kind, CV_PREAMBLE_OWN);
    CHECK_EQ(parse(BYTES(SIGNATURE "\x20\x11\0\x0c" IPV4)), CV_PREAMBLE_END);
    CHECK_EQ(out.kind, CV_PREAMBLE_OWN);
    CHECK_EQ(out.size, 28);
    CHECK_EQ(parse(BYTES(SIGNATURE "\x20\xff\0\x01x")), CV_PREAMBLE_END);
    CHECK_EQ(out.kind, CV_PREAMBLE_OWN);
}

TEST(version_2_tells_more)
{
    CHECK_EQ(parse(BYTES(SIGNATURE "\x21\x11\0\x11" IPV4 "\x04\0\x02xy")), CV_PREAMBLE_END);
    CHECK_ADDRESS(CV_PREAMBLE_IPV4, "\x01\x02\x03\x04", 0x1234);
    CHECK_EQ(out.size, 33);
}

TEST(version_2_malformed)
{
    CHECK_EQ(parse(BYTES(SIGNATURE "\x11\x11\0\x0c" IPV4)), CV_PREAMBLE_EV2);
    CHECK_EQ(parse(BYTES(SIGNATURE "\x31\x11\0\x0c" IPV4)), CV_PREAMBLE_EV2);
    CHECK_EQ(parse(BYTES(SIGNATURE "\x22\x11\0\x0c" IPV4)), CV_PREAMBLE_EV2);
    CHECK_EQ(parse(BYTES(SIGNATURE "\x21\x10\0\x0c" IPV4)), CV_PREAMBLE_EV2);
    CHECK_EQ(parse(BYTES(SIGNATURE "\x21\x13\0\x0c" IPV4)), CV_PREAMBLE_EV2);
    CHECK_EQ(parse(BYTES(SIGNATURE "\x21\x41\0\x0c" IPV4)), CV_PREAMBLE_EV2);
    CHECK_EQ(parse(BYTES(SIGNATURE "\x21\x01\0\x0c" IPV4)), CV_PREAMBLE_EV2);
    CHECK_EQ(parse(BYTES(SIGNATURE "\x21\x11\0\x0b" IPV4)), CV_PREAMBLE_EV2);
    CHECK_EQ(parse(BYTES(SIGNATURE "\x21\x21\0\x23" IPV6)), CV_PREAMBLE_EV2);
    CHECK_EQ(parse(BYTES(SIGNATURE "\x21\x31\0\xd7")), CV_PREAMBLE_EV2);
}

TEST(version_2_has_a_bound)
{
    char data[16 + CV_PREAMBLE_V2_MOST] = SIGNATURE "\x21\x11\x20\x00";
    CHECK_EQ(cv_preamble_parse(&out, data, sizeof data - 1), CV_PREAMBLE_MORE);
    CHECK_EQ(cv_preamble_parse(&out, data, sizeof data), CV_PREAMBLE_END);
    CHECK_EQ(out.size, sizeof data);
    CHECK_EQ(parse(BYTES(SIGNATURE "\x21\x11\x20\x01")), CV_PREAMBLE_EV2_LONG);
    CHECK_EQ(parse(BYTES(SIGNATURE "\x20\0\xff\xff")), CV_PREAMBLE_EV2_LONG);
}

TEST(what_is_none)
{
    static const char *const texts[] = {"GET / HTTP/1.1\r\n", "POST", "PRI * HTTP/2.0", "PROXY\t", "PROXYS",
                                        "proxy ", " ",
                                        "\r\n\r\nGET", "\r\nGET", "\r\n\r\n\r\n", "\n", "\x16\x03\x01"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        CHECK_EQ(parse_text(texts[i]), CV_PREAMBLE_ENONE);
    }
    CHECK_EQ(parse(BYTES("\r\n\r\n\0\r\nQUIT\r")), CV_PREAMBLE_ENONE);
}

TEST(each_error_has_a_rule)
{
    for (int error = CV_PREAMBLE_ENONE; error <= CV_PREAMBLE_EV2_LONG; error++) {
        for (int other = error + 1; other <= CV_PREAMBLE_EV2_LONG; other++) {
            CHECK(strcmp(cv_preamble_error_rule(error), cv_preamble_error_rule(other)) != 0);
        }
    }
}

int
main(void)
{
    RUN(version_1);
    RUN(version_1_malformed);
    RUN(version_1_has_a_bound);
    RUN(version_2);
    RUN(version_2_of_a_unix_socket);
    RUN(version_2_local);
    RUN(version_2_tells_more);
    RUN(version_2_malformed);
    RUN(version_2_has_a_bound);
    RUN(what_is_none);
    RUN(each_error_has_a_rule);
    return cv_test_end();
}
