/* SPDX-License-Identifier: MIT */
#include <time.h>

#include "cv_test.h"

#include "http/http_date.h"

#define CHECK_DATE(second, expected)                             \
    do {                                                         \
        cv_http_date_t cv_date;                                  \
        cv_http_date_init(&cv_date);                             \
        const char *cv_text = cv_http_date_text(&cv_date, second); \
        CHECK_BYTES(cv_text, strlen(cv_text), expected);         \
    } while (0)

TEST(the_example_of_the_rfc)
{
    CHECK_DATE(784111777, "Sun, 06 Nov 1994 08:49:37 GMT");
}

TEST(edges_of_years_and_leap_days)
{
    CHECK_DATE(0, "Thu, 01 Jan 1970 00:00:00 GMT");
    CHECK_DATE(951782399, "Mon, 28 Feb 2000 23:59:59 GMT");
    CHECK_DATE(951782400, "Tue, 29 Feb 2000 00:00:00 GMT");
    CHECK_DATE(951868800, "Wed, 01 Mar 2000 00:00:00 GMT");
    CHECK_DATE(4107542399, "Sun, 28 Feb 2100 23:59:59 GMT");
    CHECK_DATE(4107542400, "Mon, 01 Mar 2100 00:00:00 GMT");
    CHECK_DATE(1735689599, "Tue, 31 Dec 2024 23:59:59 GMT");
    CHECK_DATE(253402300799, "Fri, 31 Dec 9999 23:59:59 GMT");
}

TEST(seconds_that_no_clock_shows_are_moved_to_the_edge)
{
    CHECK_DATE(-1, "Thu, 01 Jan 1970 00:00:00 GMT");
    CHECK_DATE(INT64_MIN, "Thu, 01 Jan 1970 00:00:00 GMT");
    CHECK_DATE(253402300800, "Fri, 31 Dec 9999 23:59:59 GMT");
    CHECK_DATE(INT64_MAX, "Fri, 31 Dec 9999 23:59:59 GMT");
}

TEST(it_agrees_with_the_c_library)
{
    cv_http_date_t date;
    cv_http_date_init(&date);
    for (int64_t second = 0; second < 253402300799; second += 86400 * 11 + 12345) {
        char expected[64];
        time_t time = (time_t)second;
        struct tm parts;
        gmtime_r(&time, &parts);
        strftime(expected, sizeof(expected), "%a, %d %b %Y %H:%M:%S GMT", &parts);
        CHECK_BYTES(cv_http_date_text(&date, second), CV_HTTP_DATE_LEN, expected);
    }
}

TEST(the_same_second_is_formatted_once)
{
    cv_http_date_t date;
    cv_http_date_init(&date);
    char *text = (char *)cv_http_date_text(&date, 1000);
    text[0] = '?';
    CHECK_EQ(cv_http_date_text(&date, 1000)[0], '?');
    CHECK_EQ(cv_http_date_text(&date, 1001)[0], 'T');
}

int
main(void)
{
    RUN(the_example_of_the_rfc);
    RUN(edges_of_years_and_leap_days);
    RUN(seconds_that_no_clock_shows_are_moved_to_the_edge);
    RUN(it_agrees_with_the_c_library);
    RUN(the_same_second_is_formatted_once);
    return cv_test_end();
}
