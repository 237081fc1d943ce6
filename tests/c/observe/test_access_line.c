/* SPDX-License-Identifier: MIT */
#include "cv_test.h"

#include "observe/access_line.h"

#define SPAN(text) {text, sizeof(text) - 1}

static char text[8192];

/* The line as it comes out of a ring. */
static const char *
written(cv_access_line_t line, bool colours)
{
    cv_log_ring_t ring;
    cv_span_t spans[2];
    if (cv_log_ring_init(&ring, sizeof(text) / 2) != 0) {
        return "no memory";
    }
    cv_log_cursor_t cursor = cv_log_ring_start(&ring);
    cv_access_line_put(&cursor, &line, colours);
    cv_log_ring_commit(&cursor);
    size_t len = cv_log_ring_peek(&ring, sizeof(text), spans);
    memcpy(text, spans[0].data, len);
    text[len] = '\0';
    bool fits = len <= cv_access_line_bound(&line);
    cv_log_ring_deinit(&ring);
    return fits ? text : "longer than its bound";
}

#define CHECK_LINE(line, colours, expected)          \
    do {                                             \
        const char *cv_line = written(line, colours); \
        CHECK_BYTES(cv_line, strlen(cv_line), expected); \
    } while (0)

static cv_access_line_t
line_of(unsigned status)
{
    return (cv_access_line_t){SPAN("127.0.0.1:51234"), SPAN("GET"), SPAN("/a"), SPAN("b=c"), 1, status};
}

TEST(a_plain_line_is_uvicorns)
{
    CHECK_LINE(line_of(200), false, "INFO:     127.0.0.1:51234 - \"GET /a?b=c HTTP/1.1\" 200 OK\n");
    cv_access_line_t line = {SPAN("::1:80"), SPAN("POST"), SPAN("/"), SPAN(""), 0, 404};
    CHECK_LINE(line, false, "INFO:     ::1:80 - \"POST / HTTP/1.0\" 404 Not Found\n");
}

TEST(no_client_leaves_its_place_empty)
{
    cv_access_line_t line = {{NULL, 0}, SPAN("GET"), SPAN("/"), {NULL, 0}, 1, 200};
    CHECK_LINE(line, false, "INFO:      - \"GET / HTTP/1.1\" 200 OK\n");
}

TEST(an_unknown_status_keeps_the_space)
{
    CHECK_LINE(line_of(599), false, "INFO:     127.0.0.1:51234 - \"GET /a?b=c HTTP/1.1\" 599 \n");
    CHECK_LINE(line_of(999), false, "INFO:     127.0.0.1:51234 - \"GET /a?b=c HTTP/1.1\" 999 \n");
}

TEST(colours_are_uvicorns)
{
#define START "\033[32mINFO\033[0m:     127.0.0.1:51234 - \"\033[1mGET /a?b=c HTTP/1.1\033[0m\" "
    CHECK_LINE(line_of(101), true, START "\033[97m101 Switching Protocols\033[0m\n");
    CHECK_LINE(line_of(200), true, START "\033[32m200 OK\033[0m\n");
    CHECK_LINE(line_of(307), true, START "\033[33m307 Temporary Redirect\033[0m\n");
    CHECK_LINE(line_of(404), true, START "\033[31m404 Not Found\033[0m\n");
    CHECK_LINE(line_of(500), true, START "\033[91m500 Internal Server Error\033[0m\n");
    CHECK_LINE(line_of(600), true, START "600 \n");
#undef START
}

#define CHECK_PATH(path, expected)                                                                       \
    do {                                                                                                 \
        cv_access_line_t cv_with_path = {SPAN("c"), SPAN("GET"), SPAN(path), SPAN(""), 1, 200};          \
        CHECK_LINE(cv_with_path, false, "INFO:     c - \"GET " expected " HTTP/1.1\" 200 OK\n");         \
    } while (0)

TEST(a_path_is_quoted_as_if_it_had_been_decoded)
{
    CHECK_PATH("/a-b_c.d~e/9", "/a-b_c.d~e/9");
    CHECK_PATH("/a%20b", "/a%20b");
    CHECK_PATH("/a%2fb%41%7e", "/a/bA~");
    CHECK_PATH("/a:b@c,d;e=f+g", "/a%3Ab%40c%2Cd%3Be%3Df%2Bg");
    CHECK_PATH("/%c3%a9", "/%C3%A9");
    CHECK_PATH("/100%", "/100%25");
    CHECK_PATH("/100%2", "/100%252");
    CHECK_PATH("/100%zz%4", "/100%25zz%254");
    CHECK_PATH("", "");
}

TEST(nothing_ends_the_line_or_the_quotation)
{
    CHECK_PATH("/a%0d%0aINFO: x", "/a%0D%0AINFO%3A%20x");
    CHECK_PATH("/a\r\n\"b\" \x7f\xff", "/a%0D%0A%22b%22%20%7F%FF");
    cv_access_line_t line = {
        SPAN("1\n2"),
        SPAN("G\"E T"),
        SPAN("/"),
        SPAN("a=\"b\"\r\n&c=\033[1m\x80\xc3\xa9&d=%0a'"),
        1,
        200,
    };
    CHECK_LINE(line, false,
               "INFO:     1%0A2 - \"G%22E%20T /?a=%22b%22%0D%0A&c=%1B[1m%80%C3%A9&d=%0a' HTTP/1.1\" 200 OK\n");
}

TEST(every_byte_gives_one_visible_line_within_the_bound)
{
    for (int byte = 0; byte < 256; byte++) {
        char bytes[40];
        memset(bytes, byte, sizeof(bytes));
        cv_span_t span = {bytes, sizeof(bytes)};
        cv_access_line_t line = {span, span, span, span, 1, 431};
        const char *result = written(line, true);
        size_t len = strlen(result);
        CHECK(len > 200);
        CHECK_EQ(result[len - 1], '\n');
        for (size_t i = 0; i + 1 < len; i++) {
            CHECK((result[i] >= ' ' && result[i] < 0x7f) || result[i] == '\033');
        }
    }
}

int
main(void)
{
    RUN(a_plain_line_is_uvicorns);
    RUN(no_client_leaves_its_place_empty);
    RUN(an_unknown_status_keeps_the_space);
    RUN(colours_are_uvicorns);
    RUN(a_path_is_quoted_as_if_it_had_been_decoded);
    RUN(nothing_ends_the_line_or_the_quotation);
    RUN(every_byte_gives_one_visible_line_within_the_bound);
    return cv_test_end();
}
