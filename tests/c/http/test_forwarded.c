/* SPDX-License-Identifier: MIT */
#include "cv_test.h"

#include "http/field_names.h"
#include "http/forwarded.h"

static cv_h1_head_t head;
static char bytes[65536];
static cv_trusted_t trusted;
static cv_forwarded_rules_t rules = {.trusted = &trusted};
static cv_forwarded_t told;

static void
start(void)
{
    memset(&head, 0, sizeof head);
    bytes[0] = '\0';
    head.base = bytes;
}

static void
add_field(uint8_t id, const char *value)
{
    size_t at = strlen(bytes), len = strlen(value);
    memcpy(bytes + at, value, len + 1);
    head.fields[head.field_count++] = (cv_h1_field_t){
        .value = (uint32_t)at,
        .value_len = (uint32_t)len,
        .id = id,
    };
}

static void
trust(const char *entry)
{
    CHECK_EQ(cv_trusted_add(&trusted, (cv_span_t){entry, strlen(entry)}), 0);
}

static void
trust_only(const char *entry)
{
    cv_trusted_deinit(&trusted);
    trust(entry);
}

#define CHECK_TOLD(expected_host, expected_port, expected_scheme)              \
    do {                                                                       \
        cv_forwarded_read(&head, &rules, &told);                               \
        CHECK_BYTES(told.host.data, told.host.len, expected_host);             \
        CHECK_EQ(told.port, expected_port);                                    \
        CHECK_BYTES(told.scheme.data, told.scheme.len, expected_scheme);       \
    } while (0)

#define CHECK_X(value, expected_host, expected_port)                           \
    do {                                                                       \
        start();                                                               \
        add_field(CV_FIELD_X_FORWARDED_FOR, value);                            \
        CHECK_TOLD(expected_host, expected_port, "");                          \
    } while (0)

#define CHECK_FORWARDED(value, expected_host, expected_port, expected_scheme)  \
    do {                                                                       \
        start();                                                               \
        add_field(CV_FIELD_FORWARDED, value);                                  \
        CHECK_TOLD(expected_host, expected_port, expected_scheme);             \
    } while (0)

TEST(the_last_entry_that_is_not_trusted)
{
    trust_only("10.0.0.0/8");
    CHECK_X("1.2.3.4", "1.2.3.4", 0);
    CHECK_X("1.2.3.4:55", "1.2.3.4", 55);
    CHECK_X("6.6.6.6, 1.2.3.4", "1.2.3.4", 0);
    CHECK_X("6.6.6.6, 1.2.3.4:9, 10.0.0.1, 10.2.3.4", "1.2.3.4", 9);
    CHECK_X("6.6.6.6,1.2.3.4\t,\t::ffff:10.0.0.1", "1.2.3.4", 0);
    CHECK_X("10.0.0.3, 10.0.0.2", "10.0.0.3", 0);
    CHECK_X("6.6.6.6, unknown", "unknown", 0);
}

TEST(fields_are_one_list)
{
    trust_only("10.0.0.0/8");
    start();
    add_field(CV_FIELD_X_FORWARDED_FOR, "6.6.6.6, 1.2.3.4");
    add_field(CV_FIELD_HOST, "a");
    add_field(CV_FIELD_X_FORWARDED_FOR, "10.0.0.1");
    CHECK_TOLD("1.2.3.4", 0, "");
    add_field(CV_FIELD_X_FORWARDED_FOR, "");
    CHECK_TOLD("", 0, "");
}

TEST(an_entry_that_is_none_ends_the_walk)
{
    trust_only("10.0.0.0/8");
    CHECK_X("", "", 0);
    CHECK_X("1.2.3.4, ", "", 0);
    CHECK_X("1.2.3.4, x", "", 0);
    CHECK_X("1.2.3.4, , 10.0.0.1", "10.0.0.1", 0);
    CHECK_X("x, 10.0.0.1, 10.0.0.2", "10.0.0.1", 0);
    CHECK_X("x, 1.2.3.4", "1.2.3.4", 0);
    trust_only("*");
    CHECK_X("x, 1.2.3.4", "1.2.3.4", 0);
    CHECK_X("6.6.6.6, 1.2.3.4", "6.6.6.6", 0);
    CHECK_X("unknown, 1.2.3.4", "unknown", 0);
}

TEST(names_that_are_trusted)
{
    trust_only("proxy.internal");
    trust("_edge");
    trust("unix:");
    CHECK_X("1.2.3.4, proxy.internal", "1.2.3.4", 0);
    CHECK_X("1.2.3.4, _edge", "1.2.3.4", 0);
    CHECK_X("1.2.3.4, unix:", "1.2.3.4", 0);
    CHECK_X("proxy.internal", "proxy.internal", 0);
    CHECK_X("1.2.3.4, _other", "_other", 0);
    trust_only("10.0.0.1");
    CHECK_X("1.2.3.4, unix:", "unix:", 0);
}

TEST(so_many_hops)
{
    trust_only("10.0.0.1");
    rules.hops = 2;
    CHECK_X("6.6.6.6, 1.2.3.4, 5.5.5.5", "1.2.3.4", 0);
    CHECK_X("6.6.6.6, 10.0.0.1, 10.0.0.1", "10.0.0.1", 0);
    CHECK_X("5.5.5.5", "5.5.5.5", 0);
    CHECK_X("6.6.6.6, x, 5.5.5.5", "5.5.5.5", 0);
    rules.hops = 1;
    CHECK_X("1.2.3.4, 10.0.0.1", "10.0.0.1", 0);
    rules.hops = 0;
}

TEST(the_scheme_of_the_last_field)
{
    trust_only("10.0.0.1");
    static const char *const schemes[] = {"http", "https", "ws", "wss"};
    for (size_t i = 0; i < 4; i++) {
        start();
        add_field(CV_FIELD_X_FORWARDED_PROTO, schemes[i]);
        CHECK_TOLD("", 0, schemes[i]);
    }
    static const char *const others[] = {"", "HTTPS", "https, http", "ftp", "http\"", "httpss"};
    for (size_t i = 0; i < 6; i++) {
        start();
        add_field(CV_FIELD_X_FORWARDED_PROTO, "https");
        add_field(CV_FIELD_X_FORWARDED_PROTO, others[i]);
        CHECK_TOLD("", 0, "");
    }
}

TEST(only_one_family_counts)
{
    trust_only("10.0.0.1");
    start();
    add_field(CV_FIELD_FORWARDED, "for=6.6.6.6;proto=wss");
    add_field(CV_FIELD_X_FORWARDED_FOR, "1.2.3.4");
    add_field(CV_FIELD_X_FORWARDED_PROTO, "https");
    CHECK_TOLD("1.2.3.4", 0, "https");
    rules.is_rfc_7239 = true;
    CHECK_TOLD("6.6.6.6", 0, "wss");
    rules.is_rfc_7239 = false;
}

TEST(elements_of_forwarded)
{
    rules.is_rfc_7239 = true;
    trust_only("10.0.0.0/8");
    CHECK_FORWARDED("for=1.2.3.4", "1.2.3.4", 0, "");
    CHECK_FORWARDED("For=1.2.3.4;PROTO=https;by=10.0.0.1;host=a", "1.2.3.4", 0, "https");
    CHECK_FORWARDED("for=\"[2001:db8::1]:80\" ; proto=\"https\"", "2001:db8::1", 80, "https");
    CHECK_FORWARDED("for=6.6.6.6;proto=ws, for=1.2.3.4;proto=https, for=10.0.0.1;proto=http", "1.2.3.4", 0, "https");
    CHECK_FORWARDED("for=1.2.3.4, for=10.0.0.1;proto=https", "1.2.3.4", 0, "");
    CHECK_FORWARDED("for=_hidden;x=\"a,b;c=\\\"d\\\"\"", "_hidden", 0, "");
    CHECK_FORWARDED("for=6.6.6.6, x=\"\\\\\";for=1.2.3.4", "1.2.3.4", 0, "");
    CHECK_FORWARDED("for=1.2.3.4;proto=gopher", "1.2.3.4", 0, "");
    CHECK_FORWARDED("for=6.6.6.6, proto=https", "", 0, "https");
    CHECK_FORWARDED("for=1.2.3.4;;proto=https;", "1.2.3.4", 0, "https");
    start();
    add_field(CV_FIELD_FORWARDED, "for=1.2.3.4;proto=https");
    add_field(CV_FIELD_FORWARDED, "for=10.0.0.1");
    CHECK_TOLD("1.2.3.4", 0, "https");
    rules.hops = 2;
    CHECK_FORWARDED("for=6.6.6.6, for=1.2.3.4, for=5.5.5.5", "1.2.3.4", 0, "");
    rules.hops = 0;
}

/* What a client sends stands left of what a proxy appends, and must not change how that is read. */
TEST(an_open_quote_hides_nobody)
{
    rules.is_rfc_7239 = true;
    trust_only("10.0.0.0/8");
    static const char *const before[] = {"\"", "for=\"", "for=\"\\", "\\", "for=\"10.0.0.1\\\"", "x=\"\\\\", ";",
                                         "=", ""};
    for (size_t i = 0; i < sizeof before / sizeof before[0]; i++) {
        static const char *const behind[] = {", for=1.2.3.4", ", for=\"1.2.3.4\"", ", for=\"1.2.3.4\";proto=\"https\""};
        for (size_t j = 0; j < 3; j++) {
            start();
            add_field(CV_FIELD_FORWARDED, before[i]);
            memcpy(bytes + strlen(before[i]), behind[j], strlen(behind[j]) + 1);
            head.fields[0].value_len += (uint32_t)strlen(behind[j]);
            CHECK_TOLD("1.2.3.4", 0, j == 2 ? "https" : "");
        }
    }
}

TEST(an_element_that_is_none)
{
    rules.is_rfc_7239 = true;
    trust_only("10.0.0.0/8");
    static const char *const elements[] = {
        "",
        "for",
        "for=",
        "=1.2.3.4",
        "for =1.2.3.4",
        "for= 1.2.3.4",
        "for=1.2.3.4 proto=https",
        "for=1.2.3.4;for=1.2.3.4",
        "for=1.2.3.4;proto=http;proto=https",
        "for=\"1.2.3.4",
        "for=1.2.3.4\"",
        "for=\"1.2.3.4\"\"",
        "for=\"1.2.3.4\"x=y",
        "for=1.2.3.4:80",
        "for=[::1]",
        "for=\"\"",
        "for=\"1.2.3.\\4\"",
        "for=\"1.2.3.4\\\"",
        "for=a",
        "by=1.2.3.4",
        "1.2.3.4",
        "for=1.2.3.4;;;=",
        "for=\"\x01\"",
        "\"for\"=1.2.3.4",
    };
    for (size_t i = 0; i < sizeof elements / sizeof elements[0]; i++) {
        start();
        add_field(CV_FIELD_FORWARDED, elements[i]);
        cv_forwarded_read(&head, &rules, &told);
        if (told.host.len != 0 || told.scheme.len != 0) {
            CV_TEST_FAIL("taken: %s", elements[i]);
        }
    }
    CHECK_FORWARDED("for=x, for=10.0.0.1;proto=https", "10.0.0.1", 0, "https");
    CHECK_FORWARDED("proto=http;for=x, for=10.0.0.1;proto=https", "10.0.0.1", 0, "https");
}

int
main(void)
{
    RUN(the_last_entry_that_is_not_trusted);
    RUN(fields_are_one_list);
    RUN(an_entry_that_is_none_ends_the_walk);
    RUN(names_that_are_trusted);
    RUN(so_many_hops);
    RUN(the_scheme_of_the_last_field);
    RUN(only_one_family_counts);
    RUN(elements_of_forwarded);
    RUN(an_open_quote_hides_nobody);
    RUN(an_element_that_is_none);
    cv_trusted_deinit(&trusted);
    return cv_test_end();
}
