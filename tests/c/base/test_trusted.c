/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include "cv_test.h"
#include "cv_test_memory.h"

#include "base/trusted.c"

static cv_trusted_t trusted;

static int
add(const char *entry)
{
    return cv_trusted_add(&trusted, (cv_span_t){entry, strlen(entry)});
}

static bool
has(const char *text)
{
    cv_address_t address;
    CHECK(cv_address_parse(&address, (cv_span_t){text, strlen(text)}));
    return cv_trusted_has_address(&trusted, &address);
}

static bool
has_literal(const char *text)
{
    return cv_trusted_has_literal(&trusted, (cv_span_t){text, strlen(text)});
}

/* Only this entry. */
static int
only(const char *entry)
{
    cv_trusted_deinit(&trusted);
    return add(entry);
}

TEST(nobody_is_trusted_unasked)
{
    cv_trusted_deinit(&trusted);
    CHECK(!has("127.0.0.1") && !has("::1") && !has_literal("") && !has_literal("a"));
}

TEST(an_address_in_any_form)
{
    CHECK_EQ(only("127.0.0.1"), 0);
    CHECK(has("127.0.0.1") && has("::ffff:127.0.0.1") && !has("127.0.0.2") && !has("::1"));
    CHECK_EQ(only("::ffff:7f00:1"), 0);
    CHECK(has("127.0.0.1") && !has("127.0.0.0"));
    CHECK_EQ(only("2001:DB8::1"), 0);
    CHECK(has("2001:db8:0::1") && !has("2001:db8::2"));
}

TEST(a_network)
{
    CHECK_EQ(only("10.1.0.0/16"), 0);
    CHECK(has("10.1.0.0") && has("10.1.255.255") && has("::ffff:10.1.2.3") && !has("10.2.0.0")
          && !has("9.255.255.255"));
    CHECK_EQ(only("10.1.2.128/25"), 0);
    CHECK(has("10.1.2.128") && has("10.1.2.255") && !has("10.1.2.127"));
    CHECK_EQ(only("2001:db8::/33"), 0);
    CHECK(has("2001:db8:7fff::1") && !has("2001:db8:8000::1"));
    CHECK_EQ(only("10.1.2.3/32"), 0);
    CHECK(has("10.1.2.3") && !has("10.1.2.2"));
    CHECK_EQ(only("::ffff:10.0.0.0/104"), 0);
    CHECK(has("10.9.9.9") && !has("11.0.0.0"));
}

TEST(all_of_one_kind)
{
    CHECK_EQ(only("0.0.0.0/0"), 0);
    CHECK(has("1.2.3.4") && has("::ffff:1.2.3.4") && !has("::1") && !has("2001:db8::1"));
    CHECK_EQ(only("::/0"), 0);
    CHECK(has("::1") && has("2001:db8::1") && !has("1.2.3.4") && !has("::ffff:1.2.3.4"));
}

TEST(everyone)
{
    CHECK_EQ(only("*"), 0);
    CHECK(trusted.everyone && has("1.2.3.4") && has("::1") && has_literal("anything"));
}

TEST(a_network_that_is_none)
{
    static const char *const entries[] = {
        "10.0.0.1/8",
        "10.0.0.0/33",
        "10.0.0.0/",
        "10.0.0.0/-1",
        "10.0.0.0/a",
        "10.0.0.0/1000",
        "10.0.0.0/255.0.0.0",
        "::1/127",
        "::/129",
        "2001:db9::/31",
        "2001:db8::8/124",
        "::ffff:10.0.0.1/104",
    };
    for (size_t i = 0; i < sizeof entries / sizeof entries[0]; i++) {
        CHECK_EQ(only(entries[i]), -EINVAL);
        CHECK_EQ(trusted.network_count + trusted.literal_count, 0);
    }
}

TEST(unix_sockets)
{
    CHECK_EQ(only("unix:"), 0);
    CHECK(trusted.unix_peers && !has_literal("/run/a"));
    CHECK_EQ(only("unix:/run/a"), 0);
    CHECK(!trusted.unix_peers && has_literal("/run/a") && !has_literal("/run/ab") && !has_literal("/run/"));
    CHECK_EQ(only("/run/a"), 0);
    CHECK(has_literal("/run/a"));
}

TEST(names)
{
    CHECK_EQ(only("proxy.internal"), 0);
    CHECK_EQ(add("_hidden"), 0);
    CHECK_EQ(add("10.0.0.0/8"), 0);
    CHECK(has_literal("proxy.internal") && has_literal("_hidden") && has("10.0.0.1") && !has_literal("10.0.0.1"));
}

TEST(no_memory)
{
    static const char *const entries[] = {"10.0.0.1", "a"};
    for (size_t i = 0; i < 2; i++) {
        for (int left = 0; left <= (int)i; left++) {
            cv_trusted_deinit(&trusted);
            cv_test_memory_left = left;
            int status = add(entries[i]);
            cv_test_memory_left = -1;
            CHECK_EQ(status, -ENOMEM);
            CHECK(!has("10.0.0.1") && !has_literal("a"));
        }
    }
}

int
main(void)
{
    cv_trusted_init(&trusted);
    RUN(nobody_is_trusted_unasked);
    RUN(an_address_in_any_form);
    RUN(a_network);
    RUN(all_of_one_kind);
    RUN(everyone);
    RUN(a_network_that_is_none);
    RUN(unix_sockets);
    RUN(names);
    RUN(no_memory);
    cv_trusted_deinit(&trusted);
    return cv_test_end();
}
