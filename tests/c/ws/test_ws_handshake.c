/* SPDX-License-Identifier: MIT */
#include "ws/ws_handshake.h"

#include "cv_test.h"

static cv_span_t
span(const char *text)
{
    return (cv_span_t){text, strlen(text)};
}

/* RFC 6455 section 1.3. */
TEST(the_rfc_s_key_has_its_answer)
{
    char answer[CV_WS_ACCEPT_LEN];
    cv_span_t key = span("dGhlIHNhbXBsZSBub25jZQ==");
    CHECK(cv_ws_key_is_valid(key));
    cv_ws_accept(key, answer);
    CHECK_BYTES(answer, sizeof(answer), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

TEST(a_key_is_sixteen_bytes)
{
    CHECK(cv_ws_key_is_valid(span("AAAAAAAAAAAAAAAAAAAAAA==")));
    CHECK(cv_ws_key_is_valid(span("+/azAZ09+/azAZ09+/azAZ==")));
    CHECK(!cv_ws_key_is_valid(span("")));
    CHECK(!cv_ws_key_is_valid((cv_span_t){NULL, 0}));
    CHECK(!cv_ws_key_is_valid(span("AAAAAAAAAAAAAAAAAAAAA===")));
    CHECK(!cv_ws_key_is_valid(span("AAAAAAAAAAAAAAAAAAAAAAA=")));
    CHECK(!cv_ws_key_is_valid(span("AAAAAAAAAAAAAAAAAAAAAAAA")));
    CHECK(!cv_ws_key_is_valid(span("AAAAAAAAAAAAAAAAAAAAAA=")));
    CHECK(!cv_ws_key_is_valid(span("AAAAAAAAAAAAAAAAAAAAAAA===")));
    CHECK(!cv_ws_key_is_valid(span("AAAAAAAAAA AAAAAAAAAAA==")));
    CHECK(!cv_ws_key_is_valid(span("AAAAAAAAAA-AAAAAAAAAA_==")));
    CHECK(!cv_ws_key_is_valid(span("AAAAAAAAA\xc3\xa4"
                                   "AAAAAAAAAAA==")));
}

static void
check_list(const char *text, const char *const *elements)
{
    cv_span_t list = span(text), element;
    for (; *elements != NULL; elements++) {
        CHECK(cv_ws_list_next(&list, &element));
        CHECK_BYTES(element.data, element.len, *elements);
    }
    CHECK(!cv_ws_list_next(&list, &element));
    CHECK(!cv_ws_list_next(&list, &element));
}

#define CHECK_LIST(text, ...) check_list((text), (const char *const[]){__VA_ARGS__, NULL})

TEST(a_list_is_taken_apart)
{
    CHECK_LIST("chat", "chat");
    CHECK_LIST("a,b, c ,\td\t", "a", "b", "c", "d");
    CHECK_LIST(",, a ,,\t, b,,", "a", "b");
    CHECK_LIST("keep-alive, Upgrade", "keep-alive", "Upgrade");
    CHECK_LIST("a b; c=d , e", "a b; c=d", "e");
    check_list("", (const char *const[]){NULL});
    check_list(" ,\t, ", (const char *const[]){NULL});
}

TEST(a_quoted_comma_ends_nothing)
{
    CHECK_LIST("a; b=\"c, d\", e", "a; b=\"c, d\"", "e");
    CHECK_LIST("a=\"\\\", b\", c", "a=\"\\\", b\"", "c");
    CHECK_LIST("a=\"b, c", "a=\"b, c");
    CHECK_LIST("a=\"b\\", "a=\"b\\");
    CHECK_LIST("a\\, b", "a\\", "b");
}

TEST(a_list_without_memory_is_empty)
{
    cv_span_t list = {NULL, 0}, element;
    CHECK(!cv_ws_list_next(&list, &element));
}

TEST(a_token_has_no_separators)
{
    unsigned count = 0;
    for (unsigned byte = 0; byte < 256; byte++) {
        char name[2] = {'a', (char)byte};
        count += cv_ws_is_token((cv_span_t){name, 2});
    }
    CHECK_EQ(count, 26 + 26 + 10 + 15); /* RFC 9110 section 5.6.2 */
    CHECK(cv_ws_is_token(span("graphql-transport-ws")));
    CHECK(cv_ws_is_token(span("!#$%&'*+-.^_`|~09azAZ")));
    CHECK(!cv_ws_is_token(span("")));
    CHECK(!cv_ws_is_token(span("a b")));
    CHECK(!cv_ws_is_token(span("a/b")));
    CHECK(!cv_ws_is_token(span("\"a\"")));
}

int
main(void)
{
    RUN(the_rfc_s_key_has_its_answer);
    RUN(a_key_is_sixteen_bytes);
    RUN(a_list_is_taken_apart);
    RUN(a_quoted_comma_ends_nothing);
    RUN(a_list_without_memory_is_empty);
    RUN(a_token_has_no_separators);
    return cv_test_end();
}
