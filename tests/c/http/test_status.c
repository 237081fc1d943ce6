/* SPDX-License-Identifier: MIT */
#include "cv_test.h"

#include "http/status.h"

#define CHECK_SPAN(span, expected)                     \
    do {                                               \
        cv_span_t cv_span = (span);                    \
        CHECK_BYTES(cv_span.data, cv_span.len, expected); \
    } while (0)

TEST(known_codes_have_a_line_and_a_phrase)
{
    CHECK_SPAN(cv_status_line(200), "HTTP/1.1 200 OK\r\n");
    CHECK_SPAN(cv_status_phrase(200), "OK");
    CHECK_SPAN(cv_status_line(100), "HTTP/1.1 100 Continue\r\n");
    CHECK_SPAN(cv_status_phrase(431), "Request Header Fields Too Large");
    CHECK_SPAN(cv_status_line(511), "HTTP/1.1 511 Network Authentication Required\r\n");
}

TEST(other_codes_have_neither)
{
    static const unsigned CODES[] = {0, 99, 199, 299, 306, 419, 499, 509, 599, 600, 999, 1200, 4000000000u};
    for (size_t i = 0; i < sizeof(CODES) / sizeof(CODES[0]); i++) {
        CHECK_EQ(cv_status_line(CODES[i]).len, 0);
        CHECK_EQ(cv_status_phrase(CODES[i]).len, 0);
    }
}

TEST(every_line_says_its_code)
{
    int known = 0;
    for (unsigned status = 0; status < 1000; status++) {
        cv_span_t line = cv_status_line(status), phrase = cv_status_phrase(status);
        if (line.len == 0) {
            continue;
        }
        char expected[100];
        snprintf(expected, sizeof(expected), "HTTP/1.1 %u %.*s\r\n", status, (int)phrase.len, phrase.data);
        CHECK_SPAN(line, expected);
        CHECK(phrase.len > 0);
        known++;
    }
    CHECK_EQ(known, 62);
}

int
main(void)
{
    RUN(known_codes_have_a_line_and_a_phrase);
    RUN(other_codes_have_neither);
    RUN(every_line_says_its_code);
    return cv_test_end();
}
