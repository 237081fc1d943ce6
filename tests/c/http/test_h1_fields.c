/* SPDX-License-Identifier: MIT
 *
 * Field lines that are taken whole, beside the same bytes one at a time, which all go to llhttp.
 */
#include <stdio.h>

#include "cv_test.h"

#include "http/h1_parser.h"
#include "wire_log.h"

static const cv_h1_limits_t LIMITS = {200, 400, 4};

/* True when the parser makes the same of `text` whole and byte by byte. */
static bool
agrees(const char *text, size_t len)
{
    cv_buffer_t whole = wire_log(text, len, 0, &LIMITS);
    cv_buffer_t bytes = wire_log(text, len, SIZE_MAX, &LIMITS);
    bool same = whole.len == bytes.len && memcmp(whole.data, bytes.data, whole.len) == 0;
    cv_buffer_deinit(&whole);
    cv_buffer_deinit(&bytes);
    return same;
}

TEST(any_byte_in_any_place_is_what_llhttp_says)
{
    static const char REQUEST[] =
        "POST /p HTTP/1.1\r\nHost: a:1\r\nContent-Length:  3 \t\r\nX-Own:\tsome value, \r\nAccept:\r\n\r\nabc";
    size_t first = strlen("POST /p HTTP/1.1\r\n");
    for (size_t at = first; at < sizeof(REQUEST) - 4; at++) {
        for (int byte = 0; byte < 256; byte++) {
            char changed[sizeof(REQUEST)];
            memcpy(changed, REQUEST, sizeof(REQUEST));
            changed[at] = (char)byte;
            if (!agrees(changed, sizeof(REQUEST) - 1)) {
                fprintf(stderr, "byte %d at %zu\n", byte, at);
                CHECK(false);
            }
        }
    }
}

TEST(lines_that_mean_something_to_llhttp)
{
    static const char *const LINES[] = {
        "Content-Length: 3\r\nContent-Length: 3\r\n",
        "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n",
        "Transfer-Encoding: chunked\r\nX: y\r\n",
        "Content-Length: 999999999999999999\r\n",
        "Content-Length: 9223372036854775807\r\n",
        "Content-Length: 9223372036854775808\r\n",
        "Content-Length: 99999999999999999999\r\n",
        "Content-Length: 000000000000000000000003\r\n",
        "Content-Length: 3, 3\r\n",
        "Content-Length: +3\r\n",
        "Content-Length:\r\n",
        "Connection: close, upgrade\r\nUpgrade: websocket\r\n",
        "Proxy-Connection: keep-alive\r\nUpgrade: h2c\r\n",
        "X: a\r\n folded\r\n",
        "X: a \r\n\tfolded\r\n",
        " X: a\r\n",
        "A: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\nE: 5\r\n",
        "X: a\nY: b\r\n",
        "X: a\r\r\n",
        ": a\r\n",
        "no colon\r\n",
    };
    for (size_t i = 0; i < sizeof(LINES) / sizeof(LINES[0]); i++) {
        for (int with_body = 0; with_body < 2; with_body++) {
            char text[256];
            int len = snprintf(text, sizeof(text), "POST / HTTP/1.1\r\nHost: a\r\n%s\r\n%s", LINES[i],
                               with_body ? "abcGET / HTTP/1.1\r\nHost: b\r\n\r\n" : "");
            if (!agrees(text, (size_t)len)) {
                fprintf(stderr, "%s", text);
                CHECK(false);
            }
        }
    }
}

TEST(a_head_ends_at_its_limit_either_way)
{
    for (int size = 330; size < 420; size++) {
        char text[512];
        int len = snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: a\r\nX: %0*d\r\nY: z\r\n\r\n", size, 0);
        CHECK(agrees(text, (size_t)len));
    }
}

int
main(void)
{
    RUN(any_byte_in_any_place_is_what_llhttp_says);
    RUN(lines_that_mean_something_to_llhttp);
    RUN(a_head_ends_at_its_limit_either_way);
    return cv_test_end();
}
