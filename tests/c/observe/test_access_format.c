/* SPDX-License-Identifier: MIT */
#include "cv_test.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "cv_test_memory.h"

#include "observe/access_format.c"

#define SPAN(text) ((cv_span_t){text, sizeof(text) - 1})

static cv_span_t fields[CV_ACCESS_FIELDS];
static cv_buffer_t out;

static cv_access_entry_t
entry(void)
{
    return (cv_access_entry_t){
        .client = SPAN("127.0.0.1:51234"),
        .method = SPAN("GET"),
        .path = SPAN("/a%20b"),
        .query = SPAN("c=d"),
        .version = SPAN("1.1"),
        .fields = fields,
        .status = 200,
        .bytes = 12,
        .duration = 1234567890,
        .now = {.tv_sec = 1795918597, .tv_nsec = 12345678},
    };
}

/* The line of a format with one piece. */
static const char *
shown(const char *kind, const char *text, bool json, cv_access_entry_t of)
{
    static char line[4096];
    cv_access_format_t *format = cv_access_format_new(json);
    if (format == NULL || cv_access_format_add(format, kind, (cv_span_t){text, strlen(text)}) != 0) {
        return "not made";
    }
    out.len = 0;
    if (cv_access_format_put(format, &of, &out) != 0 || out.len + 1 > sizeof(line)) {
        return "not written";
    }
    memcpy(line, out.data, out.len);
    line[out.len] = '\0';
    cv_access_format_free(format);
    return line;
}

#define CHECK_SHOWN(kind, expected)                                \
    do {                                                           \
        const char *cv_shown = shown(kind, "", false, entry());    \
        CHECK_BYTES(cv_shown, strlen(cv_shown), expected);         \
    } while (0)

#define CHECK_ENTRY(kind, text, json, of, expected)                \
    do {                                                           \
        const char *cv_shown = shown(kind, text, json, of);        \
        CHECK_BYTES(cv_shown, strlen(cv_shown), expected);         \
    } while (0)

TEST(each_kind_shows_its_part)
{
    CHECK_ENTRY("text", "a \"b\"", false, entry(), "a \"b\"");
    CHECK_SHOWN("client", "127.0.0.1:51234");
    CHECK_SHOWN("host", "127.0.0.1");
    CHECK_SHOWN("port", "51234");
    CHECK_SHOWN("method", "GET");
    CHECK_SHOWN("path", "/a%20b");
    CHECK_SHOWN("query", "c=d");
    CHECK_SHOWN("target", "/a%20b?c=d");
    CHECK_SHOWN("version", "1.1");
    CHECK_SHOWN("status", "200");
    CHECK_SHOWN("bytes", "12");
    CHECK_SHOWN("bytes_or_dash", "12");
}

TEST(a_duration_is_cut_to_its_unit)
{
    CHECK_SHOWN("seconds", "1");
    CHECK_SHOWN("seconds_3", "1.234");
    CHECK_SHOWN("seconds_6", "1.234567");
    CHECK_SHOWN("milliseconds", "1234");
    CHECK_SHOWN("milliseconds_3", "1234.567");
    CHECK_SHOWN("microseconds", "1234567");
    cv_access_entry_t quick = entry();
    quick.duration = 1999;
    CHECK_ENTRY("seconds_6", "", false, quick, "0.000001");
    CHECK_ENTRY("seconds_3", "", false, quick, "0.000");
    CHECK_ENTRY("milliseconds_3", "", false, quick, "0.001");
    quick.duration = UINT64_MAX;
    CHECK_ENTRY("microseconds", "", false, quick, "18446744073709551");
}

TEST(times_are_of_the_zone_or_of_utc)
{
    setenv("TZ", "XYZ-5:30", 1);
    tzset();
    CHECK_SHOWN("time_local", "29/Nov/2026:07:46:37 +0530");
    CHECK_SHOWN("time_iso", "2026-11-29T07:46:37+05:30");
    CHECK_SHOWN("time_utc", "2026-11-29T02:16:37.012Z");
    CHECK_SHOWN("time_unix", "1795918597.012");
    setenv("TZ", "XYZ3", 1);
    tzset();
    CHECK_SHOWN("time_local", "28/Nov/2026:23:16:37 -0300");
    setenv("TZ", "UTC", 1);
    tzset();
}

TEST(the_time_goes_on)
{
    cv_access_format_t *format = cv_access_format_new(false);
    CHECK_EQ(cv_access_format_add(format, "time_utc", SPAN("")), 0);
    cv_access_entry_t later = entry();
    out.len = 0;
    CHECK_EQ(cv_access_format_put(format, &later, &out), 0);
    later.now = (struct timespec){1795918598, 999999999};
    CHECK_EQ(cv_access_format_put(format, &later, &out), 0);
    CHECK_BYTES(out.data, out.len, "2026-11-29T02:16:37.012Z2026-11-29T02:16:38.999Z");
    cv_access_format_free(format);
}

TEST(what_is_missing_is_a_dash_and_in_json_empty_or_null)
{
    cv_access_entry_t bare = {.fields = fields, .version = SPAN("1.1")};
    memset(fields, 0, sizeof(fields));
    CHECK_ENTRY("client", "", false, bare, "-");
    CHECK_ENTRY("host", "", false, bare, "-");
    CHECK_ENTRY("port", "", false, bare, "-");
    CHECK_ENTRY("query", "", false, bare, "-");
    CHECK_ENTRY("user", "", false, bare, "-");
    CHECK_ENTRY("bytes", "", false, bare, "0");
    CHECK_ENTRY("bytes_or_dash", "", false, bare, "-");
    CHECK_ENTRY("request_field", "x", false, bare, "-");
    CHECK_ENTRY("response_field", "x", false, bare, "-");
    CHECK_ENTRY("request_field", "x", true, bare, "");
    CHECK_ENTRY("request_string", "x", true, bare, "null");
    fields[0] = SPAN("");
    CHECK_ENTRY("request_string", "x", true, bare, "\"\"");
}

TEST(a_unix_sockets_client_has_no_port)
{
    cv_access_entry_t of = entry();
    of.client = SPAN("::1:80");
    CHECK_ENTRY("host", "", false, of, "::1");
    of.client = SPAN("somebody");
    CHECK_ENTRY("host", "", false, of, "somebody");
    CHECK_ENTRY("port", "", false, of, "-");
}

TEST(what_clients_send_cannot_end_the_line_or_its_quotes)
{
    fields[0] = (cv_span_t){"a\"b\\c\r\n\0\x7f\xe9", 10};
    CHECK_ENTRY("request_field", "x", false, entry(), "a\\x22b\\x5Cc\\x0D\\x0A\\x00\\x7F\\xE9");
    CHECK_ENTRY("request_field", "x", true, entry(), "a\\\"b\\\\c\\u000D\\u000A\\u0000\\u007F\\u00E9");
    CHECK_ENTRY("request_string", "x", true, entry(), "\"a\\\"b\\\\c\\u000D\\u000A\\u0000\\u007F\\u00E9\"");
    cv_access_entry_t of = entry();
    of.query = (cv_span_t){"\xff\"\xff", 3};
    CHECK_ENTRY("target", "", true, of, "/a%20b?\\u00FF\\\"\\u00FF");
}

TEST(a_line_of_nothing_but_escapes_finds_room)
{
    static char worst[600];
    memset(worst, 0xff, sizeof(worst));
    fields[0] = (cv_span_t){worst, sizeof(worst)};
    const char *line = shown("request_string", "x", true, entry());
    CHECK_EQ(strlen(line), 2 + 6 * sizeof(worst));
}

#define CHECK_USER(value, expected)                        \
    do {                                                   \
        fields[0] = SPAN(value);                           \
        CHECK_ENTRY("user", "", false, entry(), expected); \
    } while (0)

TEST(the_user_is_that_of_the_basic_scheme)
{
    CHECK_USER("Basic Ym9iOnNlY3JldA==", "bob");
    CHECK_USER("basic Ym9iOnNlY3JldA==", "bob");
    CHECK_USER("Basic YTo=", "a");
    CHECK_USER("Basic OnNlY3JldA==", "-");
    CHECK_USER("Basic Ym9i", "-");             /* no colon */
    CHECK_USER("Basic !!!!", "-");
    CHECK_USER("Bearer Ym9iOnNlY3JldA==", "-");
    CHECK_USER("Basic", "-");
    CHECK_USER("", "-");
    CHECK_USER("Basic Igo+PzovLw==", "\\x22\\x0A>?");
    char longest[6 + 400];
    memset(longest, 'A', sizeof(longest));
    memcpy(longest, "Basic ", 6);
    fields[0] = (cv_span_t){longest, sizeof(longest)};
    CHECK_ENTRY("user", "", false, entry(), "-"); /* 300 bytes without a colon: no name */
}

TEST(fields_are_found_by_number_or_name)
{
    cv_access_format_t *format = cv_access_format_new(false);
    CHECK_EQ(cv_access_format_add(format, "request_field", SPAN("user-agent")), 0);
    CHECK_EQ(cv_access_format_add(format, "request_field", SPAN("x-odd")), 0);
    CHECK_EQ(cv_access_format_add(format, "response_field", SPAN("x-odd")), 0);
    CHECK_EQ(cv_access_format_add(format, "request_string", SPAN("x-odd")), 0);
    CHECK_EQ(cv_access_format_fields(format), 3);
    CHECK(!cv_access_format_is_response_field(format, 1));
    CHECK(cv_access_format_is_response_field(format, 2));
    CHECK_EQ(cv_access_format_request_field(format, CV_FIELD_USER_AGENT, SPAN("User-Agent")), 0);
    CHECK_EQ(cv_access_format_request_field(format, CV_FIELD_HOST, SPAN("Host")), -1);
    CHECK_EQ(cv_access_format_request_field(format, CV_FIELD_UNKNOWN, SPAN("X-ODD")), 1);
    CHECK_EQ(cv_access_format_request_field(format, CV_FIELD_UNKNOWN, SPAN("x-od")), -1);
    CHECK_EQ(cv_access_format_response_field(format, SPAN("X-Odd")), 2);
    CHECK_EQ(cv_access_format_response_field(format, SPAN("user-agent")), -1);
    fields[0] = SPAN("curl");
    fields[1] = SPAN("in");
    fields[2] = SPAN("out");
    cv_access_entry_t of = entry();
    out.len = 0;
    CHECK_EQ(cv_access_format_put(format, &of, &out), 0);
    CHECK_BYTES(out.data, out.len, "curlinout\"in\"");
    cv_access_format_free(format);
}

TEST(what_can_not_be_added_is_refused)
{
    cv_access_format_t *format = cv_access_format_new(false);
    CHECK_EQ(cv_access_format_add(format, "nonsense", SPAN("")), -EINVAL);
    char name[] = "x-00";
    for (int i = 0; i < CV_ACCESS_FIELDS; i++) {
        name[2] = (char)('0' + i / 10);
        name[3] = (char)('0' + i % 10);
        CHECK_EQ(cv_access_format_add(format, "request_field", SPAN(name)), 0);
    }
    CHECK_EQ(cv_access_format_add(format, "request_field", SPAN("one-more")), -E2BIG);
    CHECK_EQ(cv_access_format_add(format, "request_field", SPAN("x-07")), 0);
    cv_access_format_free(format);
    cv_access_format_free(NULL);
}

TEST(memory_may_run_out)
{
    cv_test_memory_left = 0;
    CHECK(cv_access_format_new(false) == NULL);
    cv_test_memory_left = 1;
    cv_access_format_t *format = cv_access_format_new(false);
    CHECK_EQ(cv_access_format_add(format, "client", SPAN("")), -ENOMEM);
    cv_test_memory_left = -1;
    CHECK_EQ(cv_access_format_add(format, "client", SPAN("")), 0);
    cv_access_format_free(format);
}

int
main(void)
{
    setenv("TZ", "UTC", 1);
    RUN(each_kind_shows_its_part);
    RUN(a_duration_is_cut_to_its_unit);
    RUN(times_are_of_the_zone_or_of_utc);
    RUN(the_time_goes_on);
    RUN(what_is_missing_is_a_dash_and_in_json_empty_or_null);
    RUN(a_unix_sockets_client_has_no_port);
    RUN(what_clients_send_cannot_end_the_line_or_its_quotes);
    RUN(a_line_of_nothing_but_escapes_finds_room);
    RUN(the_user_is_that_of_the_basic_scheme);
    RUN(fields_are_found_by_number_or_name);
    RUN(what_can_not_be_added_is_refused);
    RUN(memory_may_run_out);
    cv_buffer_deinit(&out);
    return cv_test_end();
}
