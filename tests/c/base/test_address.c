/* SPDX-License-Identifier: MIT */
#include "cv_test.h"

#include "base/address.h"

static bool
parse(cv_address_t *address, const char *text)
{
    return cv_address_parse(address, (cv_span_t){text, strlen(text)});
}

TEST(an_ipv4_address_is_its_mapped_form)
{
    cv_address_t plain, mapped, made;
    CHECK(parse(&plain, "192.0.2.1") && parse(&mapped, "::FFFF:192.0.2.1"));
    cv_address_from_ipv4(&made, "\xc0\x00\x02\x01");
    CHECK(memcmp(&plain, &mapped, sizeof plain) == 0);
    CHECK(memcmp(&plain, &made, sizeof plain) == 0);
    CHECK(cv_address_is_ipv4(&plain));
}

TEST(an_ipv6_address_has_many_forms)
{
    cv_address_t one, other;
    CHECK(parse(&one, "2001:db8::1") && parse(&other, "2001:0DB8:0:0:0:0:0:1"));
    CHECK(memcmp(&one, &other, sizeof one) == 0);
    CHECK(!cv_address_is_ipv4(&one));
    CHECK(parse(&one, "::1") && !cv_address_is_ipv4(&one));
}

TEST(what_is_no_address)
{
    static const char *const texts[] = {
        "",
        "1",
        "1.2.3",
        "1.2.3.4.5",
        "1.2.3.256",
        "01.2.3.4",
        "1.2.3.4 ",
        " 1.2.3.4",
        "1.2.3.4:80",
        "[::1]",
        ":",
        ":::",
        "::1%lo",
        "1::2::3",
        "12345::",
        "localhost",
        "0x7f.1",
        "1111:2222:3333:4444:5555:6666:7777:8888:9999:0000:1111",
    };
    cv_address_t address;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        CHECK(!parse(&address, texts[i]));
    }
    CHECK(!cv_address_parse(&address, (cv_span_t){"1.2.3.4\0", 8}));
    CHECK(!cv_address_parse(&address, (cv_span_t){NULL, 0}));
}

int
main(void)
{
    RUN(an_ipv4_address_is_its_mapped_form);
    RUN(an_ipv6_address_has_many_forms);
    RUN(what_is_no_address);
    return cv_test_end();
}
