/* SPDX-License-Identifier: MIT
 *
 * How the parser is driven: feeding, moving, pools, events that fail. What it accepts is in tests/wire/corpus.
 */
#include "cv_test.h"
#include "cv_test_memory.h"

#include "http/field_names.h"
#include "http/h1_pool.c"

typedef struct {
    int heads, bodies;
    size_t body_len;
    int head_result, body_result;
    cv_h1_head_t last; /* a copy, for its numbers */
    char path[64];
    bool was_in_head;
    cv_h1_parser_t *parser;
} owner_t;

static int
note_head(void *op, const cv_h1_head_t *head)
{
    owner_t *owner = op;
    owner->heads++;
    owner->last = *head;
    snprintf(owner->path, sizeof(owner->path), "%.*s", (int)head->path_len, head->base + head->path);
    owner->was_in_head = cv_h1_parser_in_head(owner->parser);
    return owner->head_result;
}

static int
note_body(void *op, const char *data, size_t len)
{
    owner_t *owner = op;
    (void)data;
    owner->bodies++;
    owner->body_len += len;
    return owner->body_result;
}

static const cv_h1_events_t EVENTS = {note_head, note_body};
static const cv_h1_limits_t LIMITS = {1000, 8000, CV_H1_FIELDS_CEILING};

typedef struct {
    cv_h1_pool_t pool;
    cv_h1_parser_t parser;
    owner_t owner;
} fixture_t;

static void
start(fixture_t *made)
{
    memset(made, 0, sizeof(*made));
    cv_h1_pool_init(&made->pool);
    cv_h1_parser_init(&made->parser, &EVENTS, &LIMITS, &made->pool, &made->owner);
    made->owner.parser = &made->parser;
}

static void
finish(fixture_t *made)
{
    cv_h1_parser_deinit(&made->parser);
    cv_h1_pool_deinit(&made->pool);
}

static int
feed(fixture_t *made, const char *text, size_t *out_used)
{
    return cv_h1_parser_feed(&made->parser, text, strlen(text), out_used);
}

#define GET "GET /a HTTP/1.1\r\nHost: h\r\n\r\n"

TEST(a_new_parser_takes_no_memory)
{
    fixture_t made;
    size_t used = 9;
    start(&made);
    cv_test_memory_left = 0;
    CHECK_EQ(feed(&made, "", &used), CV_H1_MORE);
    CHECK_EQ(used, 0);
    CHECK_EQ(feed(&made, "\r\n", &used), CV_H1_MORE);
    CHECK_EQ(used, 2);
    CHECK(!cv_h1_parser_in_head(&made.parser));
    cv_test_memory_left = -1;
    finish(&made);
}

TEST(without_memory_for_a_head_it_fails)
{
    fixture_t made;
    size_t used;
    start(&made);
    cv_test_memory_left = 0;
    CHECK_EQ(feed(&made, GET, &used), CV_H1_ENOMEM);
    cv_test_memory_left = -1;
    CHECK_EQ(feed(&made, GET, &used), CV_H1_ENOMEM);
    CHECK_EQ(cv_h1_error_status(CV_H1_ENOMEM), 0);
    finish(&made);
}

TEST(each_message_ends_a_feed)
{
    fixture_t made;
    size_t used, len = strlen(GET);
    start(&made);
    CHECK_EQ(feed(&made, GET GET "G", &used), CV_H1_END);
    CHECK_EQ(used, len);
    CHECK_EQ(made.owner.heads, 1);
    CHECK_EQ(made.owner.last.size, len);
    CHECK(!made.owner.was_in_head);
    CHECK_EQ(feed(&made, GET "G", &used), CV_H1_END);
    CHECK_EQ(used, len);
    CHECK_EQ(feed(&made, "G", &used), CV_H1_MORE);
    CHECK_EQ(used, 1);
    CHECK_EQ(made.owner.heads, 2);
    finish(&made);
}

TEST(a_body_ends_where_it_should)
{
    fixture_t made;
    size_t used;
    const char head[] = "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\n\r\nabc";
    start(&made);
    CHECK_EQ(feed(&made, head, &used), CV_H1_MORE);
    CHECK_EQ(used, sizeof(head) - 1);
    CHECK_EQ(made.owner.last.content_length, 6);
    CHECK(made.owner.last.has_body);
    CHECK_EQ(cv_h1_parser_head_fed(&made.parser), 0);
    CHECK_EQ(feed(&made, "defGET", &used), CV_H1_END);
    CHECK_EQ(used, 3);
    CHECK_EQ(made.owner.body_len, 6);
    CHECK_EQ(made.owner.bodies, 2);
    finish(&made);
}

TEST(an_incomplete_head_can_be_moved)
{
    fixture_t made;
    size_t used;
    const char first[] = "\r\nGET /mo", rest[] = "ved?q HTTP/1.1\r\nHost: h\r\n\r\n";
    char here[] = "\r\nGET /mo", there[64];
    start(&made);
    CHECK_EQ(cv_h1_parser_feed(&made.parser, here, sizeof(here) - 1, &used), CV_H1_MORE);
    CHECK(cv_h1_parser_in_head(&made.parser));
    size_t fed = cv_h1_parser_head_fed(&made.parser);
    CHECK_EQ(fed, sizeof(first) - 1 - 2); /* the empty line is none of it */
    memcpy(there, here + sizeof(here) - 1 - fed, fed);
    memset(here, '!', sizeof(here));
    memcpy(there + fed, rest, sizeof(rest));
    cv_h1_parser_rebase(&made.parser, there);
    CHECK_EQ(cv_h1_parser_feed(&made.parser, there + fed, sizeof(rest) - 1, &used), CV_H1_END);
    CHECK_BYTES(made.owner.path, strlen(made.owner.path), "/moved");
    CHECK_EQ(made.owner.last.size, fed + sizeof(rest) - 1);
    CHECK(!cv_h1_parser_in_head(&made.parser));
    cv_h1_parser_rebase(&made.parser, here); /* outside a head there is nothing to move */
    CHECK_EQ(feed(&made, GET, &used), CV_H1_END);
    finish(&made);
}

TEST(heads_go_back_to_the_pool)
{
    fixture_t made;
    size_t used;
    start(&made);
    CHECK_EQ(feed(&made, GET, &used), CV_H1_END);
    CHECK_EQ(made.pool.count, 1);
    cv_test_memory_left = 0; /* the spare one serves from now on */
    CHECK_EQ(feed(&made, GET, &used), CV_H1_END);
    CHECK_EQ(feed(&made, "GET", &used), CV_H1_MORE);
    CHECK_EQ(made.pool.count, 0);
    cv_test_memory_left = -1;
    cv_h1_parser_deinit(&made.parser);
    CHECK_EQ(made.pool.count, 1);
    finish(&made);
}

TEST(the_pool_keeps_only_a_few)
{
    enum { PARSERS = 7 };
    cv_h1_pool_t pool;
    cv_h1_parser_t parsers[PARSERS];
    owner_t owner = {.parser = &parsers[0]};
    size_t used;
    cv_h1_pool_init(&pool);
    for (int i = 0; i < PARSERS; i++) {
        cv_h1_parser_init(&parsers[i], &EVENTS, &LIMITS, &pool, &owner);
        CHECK_EQ(cv_h1_parser_feed(&parsers[i], "GET", 3, &used), CV_H1_MORE);
    }
    for (int i = 0; i < PARSERS; i++) {
        cv_h1_parser_deinit(&parsers[i]);
        cv_h1_parser_deinit(&parsers[i]);
    }
    CHECK_EQ(pool.count, sizeof(pool.spare) / sizeof(pool.spare[0]));
    cv_h1_pool_deinit(&pool);
    CHECK_EQ(pool.count, 0);
}

TEST(an_event_can_stop_the_parser)
{
    fixture_t made;
    size_t used;
    start(&made);
    made.owner.head_result = -5;
    CHECK_EQ(feed(&made, GET, &used), -5);
    CHECK_EQ(made.pool.count, 1);
    made.owner.head_result = 0;
    CHECK_EQ(feed(&made, GET, &used), -5);
    CHECK_EQ(made.owner.heads, 1);
    CHECK_EQ(cv_h1_error_status(-5), 500);
    finish(&made);

    start(&made);
    made.owner.body_result = -6;
    CHECK_EQ(feed(&made, "PUT / HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc", &used), -6);
    CHECK_EQ(feed(&made, "x", &used), -6);
    finish(&made);
}

TEST(an_error_stays_until_the_parser_is_made_anew)
{
    fixture_t made;
    size_t used;
    start(&made);
    CHECK_EQ(feed(&made, "GET \x01", &used), CV_H1_ETARGET);
    CHECK_EQ(feed(&made, GET, &used), CV_H1_ETARGET);
    CHECK_EQ(made.owner.heads, 0);
    cv_h1_parser_deinit(&made.parser);
    CHECK_EQ(made.pool.count, 1);
    cv_h1_parser_init(&made.parser, &EVENTS, &LIMITS, &made.pool, &made.owner);
    CHECK_EQ(feed(&made, GET, &used), CV_H1_END);
    finish(&made);
}

TEST(fields_carry_their_ids)
{
    fixture_t made;
    size_t used;
    start(&made);
    CHECK_EQ(feed(&made, "GET / HTTP/1.1\r\nhOST: h\r\nX-Mine: 1\r\nCOOKIE: a=b\r\n\r\n", &used), CV_H1_END);
    CHECK_EQ(made.owner.last.field_count, 3);
    CHECK_EQ(made.owner.last.fields[0].id, CV_FIELD_HOST);
    CHECK_EQ(made.owner.last.fields[1].id, CV_FIELD_UNKNOWN);
    CHECK_EQ(made.owner.last.fields[2].id, CV_FIELD_COOKIE);
    finish(&made);
}

TEST(as_many_fields_as_a_head_holds)
{
    fixture_t made;
    static char request[8000];
    for (int count = CV_H1_FIELDS_CEILING; count <= CV_H1_FIELDS_CEILING + 1; count++) {
        size_t len = (size_t)snprintf(request, sizeof(request), "GET / HTTP/1.1\r\nHost: h\r\n"), used;
        for (int i = 1; i < count; i++) {
            len += (size_t)snprintf(request + len, sizeof(request) - len, "A%d: b\r\n", i);
        }
        len += (size_t)snprintf(request + len, sizeof(request) - len, "\r\n");
        start(&made);
        bool fits = count == CV_H1_FIELDS_CEILING;
        CHECK_EQ(cv_h1_parser_feed(&made.parser, request, len, &used), fits ? CV_H1_END : CV_H1_EFIELDS_MANY);
        CHECK_EQ(made.owner.last.field_count, fits ? (unsigned)count : 0);
        finish(&made);
    }
}

TEST(every_error_has_a_status_and_a_rule_of_its_own)
{
    for (int error = CV_H1_EMALFORMED; error <= CV_H1_ENOMEM; error++) {
        unsigned status = cv_h1_error_status(error);
        CHECK((status >= 400 && status < 500) || status == 501 || status == 505 || error == CV_H1_ENOMEM);
        for (int other = CV_H1_EMALFORMED; other < error; other++) {
            CHECK(strcmp(cv_h1_error_rule(error), cv_h1_error_rule(other)) != 0);
        }
    }
    CHECK_EQ(cv_h1_error_status(CV_H1_ETARGET_LONG), 414);
    CHECK_EQ(cv_h1_error_status(CV_H1_EHEAD_LARGE), 431);
    CHECK_EQ(cv_h1_error_status(-1), 500);
    CHECK(strcmp(cv_h1_error_rule(-1), "request not taken") == 0);
}

int
main(void)
{
    RUN(a_new_parser_takes_no_memory);
    RUN(without_memory_for_a_head_it_fails);
    RUN(each_message_ends_a_feed);
    RUN(a_body_ends_where_it_should);
    RUN(an_incomplete_head_can_be_moved);
    RUN(heads_go_back_to_the_pool);
    RUN(the_pool_keeps_only_a_few);
    RUN(an_event_can_stop_the_parser);
    RUN(an_error_stays_until_the_parser_is_made_anew);
    RUN(fields_carry_their_ids);
    RUN(as_many_fields_as_a_head_holds);
    RUN(every_error_has_a_status_and_a_rule_of_its_own);
    return cv_test_end();
}
