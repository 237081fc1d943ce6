/* SPDX-License-Identifier: MIT */
#include "cv_test.h"

#include "ws/deflate_offer.h"

static cv_deflate_rules_t rules;
static cv_deflate_terms_t terms;

static void
set_rules(bool context, uint8_t window)
{
    rules = (cv_deflate_rules_t){.enabled = true, .context = context, .window = window, .level = 3};
}

static bool
negotiate(const char *offers)
{
    return cv_deflate_negotiate((cv_span_t){offers, strlen(offers)}, &rules, &terms);
}

#define CHECK_ANSWER(offers, expected)                    \
    do {                                                  \
        char answer[CV_DEFLATE_ANSWER_MAX];               \
        if (!negotiate(offers)) {                         \
            CV_TEST_FAIL("declined: %s", offers);         \
        }                                                 \
        size_t len = cv_deflate_answer(&terms, answer);   \
        CHECK_BYTES(answer, len, "permessage-deflate" expected); \
    } while (0)

#define CHECK_DECLINED(offers)                            \
    do {                                                  \
        if (negotiate(offers)) {                          \
            CV_TEST_FAIL("taken: %s", offers);            \
        }                                                 \
        CHECK(!terms.agreed);                             \
    } while (0)

#define NO_CONTEXTS "; server_no_context_takeover; client_no_context_takeover"

TEST(without_contexts_the_answer_says_so_for_both_sides)
{
    set_rules(false, 15);
    CHECK_ANSWER("permessage-deflate", NO_CONTEXTS);
    CHECK(!terms.server_context && !terms.client_context);
    CHECK_EQ(terms.server_bits, 15);
    CHECK_EQ(terms.client_bits, 15);
    CHECK_ANSWER("permessage-deflate; client_max_window_bits", NO_CONTEXTS);
    CHECK_EQ(terms.client_bits, 15);
    CHECK_ANSWER("permessage-deflate; client_max_window_bits=10", NO_CONTEXTS);
    CHECK_EQ(terms.client_bits, 10);
    CHECK_ANSWER("permessage-deflate;server_no_context_takeover;client_no_context_takeover", NO_CONTEXTS);
}

TEST(a_window_of_ours_is_named_where_it_is_not_the_largest)
{
    set_rules(false, 12);
    CHECK_ANSWER("permessage-deflate; client_max_window_bits", NO_CONTEXTS "; server_max_window_bits=12");
    CHECK_EQ(terms.server_bits, 12);
    CHECK_EQ(terms.client_bits, 15);
    CHECK_ANSWER("permessage-deflate; server_max_window_bits=15", NO_CONTEXTS "; server_max_window_bits=12");
    CHECK_ANSWER("permessage-deflate; server_max_window_bits=10", NO_CONTEXTS "; server_max_window_bits=10");
    CHECK_ANSWER("permessage-deflate; server_max_window_bits=8", NO_CONTEXTS "; server_max_window_bits=8");
    CHECK_EQ(terms.server_bits, 8);
    set_rules(false, 15);
    CHECK_ANSWER("permessage-deflate; server_max_window_bits=15", NO_CONTEXTS "; server_max_window_bits=15");
}

TEST(contexts_are_kept_unless_the_client_asks_otherwise)
{
    set_rules(true, 15);
    CHECK_ANSWER("permessage-deflate", "");
    CHECK(terms.server_context && terms.client_context);
    CHECK_ANSWER("permessage-deflate; server_no_context_takeover", "; server_no_context_takeover");
    CHECK(!terms.server_context && terms.client_context);
    CHECK_ANSWER("permessage-deflate; client_no_context_takeover", "; client_no_context_takeover");
    CHECK(terms.server_context && !terms.client_context);
    CHECK_ANSWER("permessage-deflate; client_no_context_takeover; client_max_window_bits=9",
                 "; client_no_context_takeover");
    CHECK_EQ(terms.client_bits, 9);
}

TEST(the_clients_window_is_bound_where_its_context_is_kept_and_it_offers_that)
{
    set_rules(true, 11);
    CHECK_ANSWER("permessage-deflate", "; server_max_window_bits=11");
    CHECK_EQ(terms.client_bits, 15);
    CHECK_ANSWER("permessage-deflate; client_max_window_bits",
                 "; server_max_window_bits=11; client_max_window_bits=11");
    CHECK_EQ(terms.client_bits, 11);
    CHECK_ANSWER("permessage-deflate; client_max_window_bits=14",
                 "; server_max_window_bits=11; client_max_window_bits=11");
    CHECK_ANSWER("permessage-deflate; client_max_window_bits=8",
                 "; server_max_window_bits=11; client_max_window_bits=8");
    CHECK_EQ(terms.client_bits, 8);
}

TEST(the_longest_answer_fits)
{
    terms = (cv_deflate_terms_t){
        .agreed = true, .names_server_bits = true, .names_client_bits = true, .server_bits = 15, .client_bits = 15};
    char answer[CV_DEFLATE_ANSWER_MAX];
    size_t len = cv_deflate_answer(&terms, answer);
    CHECK_BYTES(answer, len,
                "permessage-deflate" NO_CONTEXTS "; server_max_window_bits=15; client_max_window_bits=15");
}

TEST(every_number_of_bits_and_no_other_is_read)
{
    set_rules(false, 15);
    char offer[128];
    for (int bits = 0; bits <= 99; bits++) {
        snprintf(offer, sizeof offer, "permessage-deflate; server_max_window_bits=%d", bits);
        bool taken = negotiate(offer);
        CHECK_EQ(taken, bits >= 8 && bits <= 15);
        CHECK_EQ(terms.server_bits, taken ? bits : 0);
    }
    static const char *const others[] = {"08", "1.", "1/", "1x", "1a", "x", "+8", "8.", "010", "100", "150", "-"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        snprintf(offer, sizeof offer, "permessage-deflate; client_max_window_bits=%s", others[i]);
        CHECK_DECLINED(offer);
    }
}

TEST(values_may_be_quoted)
{
    set_rules(true, 15);
    CHECK_ANSWER("permessage-deflate; client_max_window_bits=\"10\"", "; client_max_window_bits=10");
    CHECK_ANSWER("permessage-deflate; client_max_window_bits=\"\\1\\0\"", "; client_max_window_bits=10");
    CHECK_ANSWER("permessage-deflate;server_max_window_bits = \"9\" ", "; server_max_window_bits=9");
    CHECK_DECLINED("permessage-deflate; client_max_window_bits=\"\"");
    CHECK_DECLINED("permessage-deflate; client_max_window_bits=\"10");
    CHECK_DECLINED("permessage-deflate; client_max_window_bits=\"10\\");
    CHECK_DECLINED("permessage-deflate; client_max_window_bits=\"");
    CHECK_DECLINED("permessage-deflate; client_max_window_bits=\"1 0\"");
    CHECK_DECLINED("permessage-deflate; client_max_window_bits=\" 10\"");
    CHECK_DECLINED("permessage-deflate; client_max_window_bits=\"10\"0");
}

TEST(what_breaks_a_rule_is_declined)
{
    set_rules(true, 15);
    CHECK_DECLINED("permessage-deflate; server_max_window_bits");
    CHECK_DECLINED("permessage-deflate; server_max_window_bits=");
    CHECK_DECLINED("permessage-deflate; client_max_window_bits=");
    CHECK_DECLINED("permessage-deflate; server_no_context_takeover=1");
    CHECK_DECLINED("permessage-deflate; server_no_context_takeover=10");
    CHECK_DECLINED("permessage-deflate; client_no_context_takeover=true");
    CHECK_DECLINED("permessage-deflate; client_no_context_takeover; client_no_context_takeover");
    CHECK_DECLINED("permessage-deflate; client_max_window_bits; client_max_window_bits=9");
    CHECK_DECLINED("permessage-deflate; unknown");
    CHECK_DECLINED("permessage-deflate; unknown=\"a,b\"");
    CHECK_DECLINED("permessage-deflate; Server_no_context_takeover");
    CHECK_DECLINED("permessage-deflate;");
    CHECK_DECLINED("permessage-deflate; ;client_max_window_bits");
    CHECK_DECLINED("permessage-deflate client_max_window_bits");
    CHECK_DECLINED("permessage-deflate=1");
    CHECK_DECLINED("permessage-deflate; client_max_window_bits 9");
    CHECK_DECLINED("permessage-deflate\x01");
    CHECK_DECLINED("permessage-deflate; client_max_window_bits=\x80");
    CHECK_DECLINED("permessage-deflat");
    CHECK_DECLINED("permessage-deflate2");
    CHECK_DECLINED("permessage-deflatf");
}

TEST(a_zero_is_no_byte_of_a_token)
{
    set_rules(true, 15);
    static const char offers[] = "permessage-deflate\0";
    CHECK(!cv_deflate_negotiate((cv_span_t){offers, sizeof offers - 1}, &rules, &terms));
}

TEST(the_first_offer_that_can_be_taken_is)
{
    set_rules(true, 15);
    CHECK_ANSWER("permessage-deflate; server_max_window_bits=7, permessage-deflate; client_no_context_takeover",
                 "; client_no_context_takeover");
    CHECK_ANSWER("permessage-deflate; server_max_window_bits=10, permessage-deflate", "; server_max_window_bits=10");
    CHECK_ANSWER("permessage-deflate , permessage-deflate; server_max_window_bits=10", "");
    CHECK_ANSWER("permessage-bzip2; level=9, x-webkit-deflate-frame,permessage-deflate", "");
    CHECK_ANSWER("foo; a=\"x, permessage-deflate; server_max_window_bits=9\", permessage-deflate", "");
    CHECK_ANSWER("foo; a=\"\\\", permessage-deflate; server_max_window_bits=9\", permessage-deflate", "");
    CHECK_ANSWER("foo; a=\\, permessage-deflate", "");
    CHECK_ANSWER("permessage-deflate; x=\"a,\\\"b\"; y, permessage-deflate", "");
    CHECK_ANSWER(";;, = ,\"\" , permessage-deflate", "");
    CHECK_ANSWER(" ,\t, ,permessage-deflate,", "");
    CHECK_DECLINED("foo; a=\"x, permessage-deflate");
    CHECK_DECLINED("foo; a=\"x\\");
}

TEST(nothing_is_taken_from_nothing_or_when_it_is_off)
{
    set_rules(true, 15);
    CHECK_DECLINED("");
    CHECK_DECLINED(" ,, ");
    rules.enabled = false;
    terms.agreed = true;
    CHECK_DECLINED("permessage-deflate");
}

int
main(void)
{
    RUN(without_contexts_the_answer_says_so_for_both_sides);
    RUN(a_window_of_ours_is_named_where_it_is_not_the_largest);
    RUN(contexts_are_kept_unless_the_client_asks_otherwise);
    RUN(the_clients_window_is_bound_where_its_context_is_kept_and_it_offers_that);
    RUN(the_longest_answer_fits);
    RUN(every_number_of_bits_and_no_other_is_read);
    RUN(values_may_be_quoted);
    RUN(what_breaks_a_rule_is_declined);
    RUN(a_zero_is_no_byte_of_a_token);
    RUN(the_first_offer_that_can_be_taken_is);
    RUN(nothing_is_taken_from_nothing_or_when_it_is_off);
    return cv_test_end();
}
