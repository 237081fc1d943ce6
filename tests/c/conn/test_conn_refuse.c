/* SPDX-License-Identifier: MIT
 *
 * What the connection answers on its own: to what is no request, to what the layer above cannot take or complete.
 */
#include "conn/conn_fixture.h"
#include "cv_test.h"

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"
#define OK "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
#define TEXT_HEAD(status, len)                                                                              \
    "HTTP/1.1 " status "\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: " len                \
    "\r\nconnection: close\r\n\r\n"
#define BAD_REQUEST TEXT_HEAD("400 Bad Request", "30") "Invalid HTTP request received."
#define INTERNAL TEXT_HEAD("500 Internal Server Error", "21") "Internal Server Error"
#define CHUNKED_POST "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"

TEST(a_bad_request_is_answered_and_lingers)
{
    fixture_t *f = fixture_new();
    say(f, "GET / HTTP/1.1\r\nbad name: x\r\n\r\n");
    turn(f);
    CHECK_TOLD(f, "refused 400; ");
    CHECK_HEARD(f, BAD_REQUEST);
    CHECK(f->heard_end);
    CHECK_EQ(f->conn->state, CV_CONN_LINGERING);
    say(f, GET("/never"));
    turn(f);
    CHECK_EQ(f->conn->state, CV_CONN_LINGERING);
    hang_up(f);
    turn(f);
    CHECK_TOLD(f, "gone; ");
    CHECK_EQ(f->env.unfreed, 0);
    CHECK_EQ(fixture_end(f), 0);
}

TEST(other_rules_answer_with_their_status_and_its_phrase)
{
    fixture_t *f = fixture_new();
    say(f, "GET / HTTP/3.7\r\n\r\n");
    turn(f);
    CHECK_TOLD(f, "refused 505; ");
    CHECK_HEARD(f, TEXT_HEAD("505 HTTP Version Not Supported", "26") "HTTP Version Not Supported");
    CHECK_EQ(fixture_end(f), 0);
}

TEST(limits_are_the_envs)
{
    fixture_t *f = fixture_new();
    f->env.limits.line = 64;
    f->env.limits.fields = 2;
    char line[200];
    memset(line, 'x', sizeof(line));
    memcpy(line, "GET /", 5);
    say_bytes(f, line, sizeof(line));
    turn(f);
    CHECK_TOLD(f, "refused 414; ");
    hang_up(f);
    turn(f);
    told(f);
    fixture_connect(f);
    say(f, "GET / HTTP/1.1\r\nHost: a\r\nB: b\r\nC: c\r\n\r\n");
    turn(f);
    CHECK_TOLD(f, "refused 431; ");
    CHECK_EQ(fixture_end(f), 0);
}

TEST(a_bad_request_behind_a_good_one_is_answered_behind_it)
{
    fixture_t *f = fixture_new();
    say(f, GET("/1") "BAD\r\n\r\n" GET("/3"));
    turn(f);
    CHECK_TOLD(f, "head GET /1; end; ");
    CHECK_EQ(answer(f, "ok"), 0);
    turn(f);
    CHECK_TOLD(f, "refused 400; ");
    CHECK_HEARD(f, OK BAD_REQUEST);
    turn(f);
    CHECK_TOLD(f, "");
    CHECK_EQ(fixture_end(f), 0);
}

TEST(a_bad_request_may_be_cut_at_any_byte)
{
    static const char text[] = "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1x\r\n\r\n" GET("/never");
    for (size_t at = 1; at < sizeof(text) - 1; at++) {
        fixture_t *f = fixture_new();
        say_bytes(f, text, at);
        turn(f);
        say_bytes(f, text + at, sizeof(text) - 1 - at);
        turn(f);
        CHECK_TOLD(f, "refused 400; ");
        CHECK_HEARD(f, BAD_REQUEST);
        CHECK_EQ(f->conn->state, CV_CONN_LINGERING);
        CHECK_EQ(f->conn->input.cap, 0);
        CHECK_EQ(fixture_end(f), 0);
    }
}

TEST(a_broken_body_is_answered_for_an_app_that_has_not_answered)
{
    fixture_t *f = fixture_new();
    say(f, CHUNKED_POST "3\r\nabc\r\n");
    turn(f);
    CHECK_EQ(cv_conn_respond(f->conn, 200), 0);
    say(f, "zz\r\n");
    turn(f);
    CHECK_TOLD(f, "head POST /; body abc; refused 400; gone; ");
    CHECK_HEARD(f, BAD_REQUEST);
    CHECK(f->heard_end);
    CHECK_EQ(body(f, "x", 1, true), CV_CONN_EGONE);
    hang_up(f);
    turn(f);
    CHECK_TOLD(f, "");
    CHECK_EQ(f->env.unfreed, 0);
    CHECK_EQ(fixture_end(f), 0);
}

TEST(a_broken_body_ends_an_answer_that_began)
{
    fixture_t *f = fixture_new();
    say(f, CHUNKED_POST);
    turn(f);
    CHECK_EQ(cv_conn_respond(f->conn, 200), 0);
    CHECK_EQ(body(f, "x", 1, false), 0);
    say(f, "zz\r\n");
    turn(f);
    CHECK_TOLD(f, "head POST /; refused 0; gone; ");
    CHECK_HEARD(f, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n");
    CHECK(f->heard_end);
    CHECK_EQ(fixture_end(f), 0);
}

TEST(a_broken_body_behind_a_complete_answer_closes)
{
    fixture_t *f = fixture_new();
    say(f, CHUNKED_POST);
    turn(f);
    CHECK_EQ(answer(f, "ok"), 0);
    turn(f);
    CHECK_EQ(f->conn->state, CV_CONN_DISCARD);
    say(f, "zz\r\n");
    turn(f);
    CHECK_TOLD(f, "head POST /; refused 0; ");
    CHECK_HEARD(f, OK);
    CHECK(f->heard_end);
    CHECK_EQ(f->conn->state, CV_CONN_LINGERING);
    CHECK_EQ(fixture_end(f), 0);
}

static int
fail_call(fixture_t *f, cv_conn_t *conn)
{
    (void)f, (void)conn;
    return -1;
}

static int
fail_body(fixture_t *f, cv_conn_t *conn, size_t len)
{
    (void)len;
    return fail_call(f, conn);
}

TEST(a_head_that_is_not_taken_is_answered_500)
{
    fixture_t *f = fixture_new();
    f->do_head = fail_call;
    say(f, GET("/1") GET("/2"));
    turn(f);
    CHECK_TOLD(f, "head GET /1; gone; ");
    CHECK_HEARD(f, INTERNAL);
    CHECK(f->heard_end);
    CHECK_EQ(fixture_end(f), 0);
}

TEST(a_body_that_is_not_taken_is_answered_500)
{
    fixture_t *f = fixture_new();
    f->do_body = fail_body;
    say(f, CHUNKED_POST "3\r\nabc\r\n0\r\n\r\n");
    turn(f);
    CHECK_TOLD(f, "head POST /; body abc; gone; ");
    CHECK_HEARD(f, INTERNAL);
    CHECK_EQ(fixture_end(f), 0);
}

static int
refuse_503(fixture_t *f, cv_conn_t *conn)
{
    (void)f;
    cv_conn_refuse(conn, 503, "Service Unavailable");
    return 0;
}

TEST(the_app_may_refuse_inside_on_head)
{
    fixture_t *f = fixture_new();
    f->do_head = refuse_503;
    say(f, CHUNKED_POST "3\r\nabc\r\n0\r\n\r\n" GET("/2"));
    turn(f);
    CHECK_TOLD(f, "head POST /; ");
    CHECK_HEARD(f, TEXT_HEAD("503 Service Unavailable", "19") "Service Unavailable");
    CHECK(f->heard_end);
    CHECK_EQ(f->conn->state, CV_CONN_LINGERING);
    CHECK_EQ(fixture_end(f), 0);
}

static int
close_at_head(fixture_t *f, cv_conn_t *conn)
{
    (void)f;
    cv_conn_close(conn, false);
    return 0;
}

static int
close_at_body(fixture_t *f, cv_conn_t *conn, size_t len)
{
    (void)len;
    return close_at_head(f, conn);
}

static void
close_at_end(fixture_t *f, cv_conn_t *conn)
{
    close_at_head(f, conn);
}

TEST(the_app_may_close_inside_any_callback)
{
    static const char text[] = CHUNKED_POST "3\r\nabc\r\n0\r\n\r\n" GET("/2");
    for (size_t at = 0; at < sizeof(text) - 1; at++) {
        for (int which = 0; which < 3; which++) {
            fixture_t *f = fixture_new();
            f->do_head = which == 0 ? close_at_head : NULL;
            f->do_body = which == 1 ? close_at_body : NULL;
            f->do_end = which == 2 ? close_at_end : NULL;
            say_bytes(f, text, at);
            turn(f);
            if (f->env.conn_count > 0) {
                say_bytes(f, text + at, sizeof(text) - 1 - at);
                turn(f);
            }
            const char *expected[] = {"head POST /; gone; ", NULL, "head POST /; body abc; end; gone; "};
            const char *was_told = told(f);
            if (expected[which] != NULL) {
                CHECK_BYTES(was_told, strlen(was_told), expected[which]);
            } else {
                CHECK(strstr(was_told, "head POST /; body a") == was_told);
                CHECK(strstr(was_told, "end") == NULL && strstr(was_told, "gone; ") != NULL);
            }
            CHECK_EQ(f->env.unfreed, 0);
            CHECK_EQ(fixture_end(f), 0);
        }
    }
}

TEST(the_app_may_close_inside_a_pipelined_on_head)
{
    fixture_t *f = fixture_new();
    say(f, GET("/1") GET("/2") GET("/3"));
    turn(f);
    f->do_head = close_at_head;
    CHECK_EQ(answer(f, "ok"), 0);
    turn(f);
    CHECK_TOLD(f, "head GET /1; end; head GET /2; gone; ");
    CHECK_EQ(f->env.unfreed, 0);
    CHECK_EQ(fixture_end(f), 0);
}

static int
reply_in_head(fixture_t *f, cv_conn_t *conn)
{
    (void)f;
    cv_conn_reply(conn, 200, "ok");
    cv_conn_reply(conn, 200, "again");
    return 0;
}

TEST(a_reply_inside_on_head_leaves_the_connection_to_the_next_request)
{
    fixture_t *f = fixture_new();
    f->do_head = reply_in_head;
    say(f, "POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc" GET("/2"));
    say(f, "HEAD /3 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    turn(f);
    turn(f);
    CHECK_TOLD(f, "head POST /1; head GET /2; head HEAD /3; ");
#define REPLY(end) "HTTP/1.1 200 OK\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 2\r\n" end
    CHECK_HEARD(f, REPLY("\r\nok") REPLY("\r\nok") REPLY("connection: close\r\n\r\n"));
    CHECK(f->heard_end);
    CHECK_EQ(f->conn->state, CV_CONN_LINGERING);
    CHECK_EQ(fixture_end(f), 0);
}

TEST(a_refusal_drops_a_held_head)
{
    fixture_t *f = fixture_new();
    say(f, GET("/"));
    turn(f);
    CHECK_EQ(cv_conn_respond(f->conn, 200), 0);
    CHECK_EQ(cv_conn_field(f->conn, "x-secret", 8, "1", 1), 0);
    cv_conn_refuse(f->conn, 500, NULL);
    cv_conn_refuse(f->conn, 500, NULL);
    turn(f);
    CHECK_HEARD(f, INTERNAL);
    CHECK(f->heard_end);
    CHECK_EQ(f->env.unfreed, 0);
    CHECK_TOLD(f, "head GET /; end; gone; ");
    CHECK_EQ(fixture_end(f), 0);
}

TEST(a_refusal_after_the_head_is_a_failure)
{
    fixture_t *f = fixture_new();
    say(f, GET("/"));
    turn(f);
    CHECK_EQ(cv_conn_respond(f->conn, 200), 0);
    CHECK_EQ(body(f, "x", 1, false), 0);
    cv_conn_refuse(f->conn, 500, NULL);
    turn(f);
    CHECK_HEARD(f, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n");
    CHECK(f->heard_end);
    CHECK_EQ(fixture_end(f), 0);
}

TEST(a_refused_head_request_gets_no_body)
{
    fixture_t *f = fixture_new();
    say(f, "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
    turn(f);
    cv_conn_refuse(f->conn, 500, "Internal Server Error");
    turn(f);
    CHECK_HEARD(f, TEXT_HEAD("500 Internal Server Error", "21"));
    CHECK_EQ(fixture_end(f), 0);
}

TEST(a_failure_sends_what_there_is)
{
    fixture_t *f = fixture_new();
    say(f, GET("/"));
    turn(f);
    CHECK_EQ(cv_conn_respond(f->conn, 201), 0);
    cv_conn_fail(f->conn);
    turn(f);
    CHECK_HEARD(f, "HTTP/1.1 201 Created\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n");
    CHECK(f->heard_end);
    CHECK_TOLD(f, "head GET /; end; gone; ");
    CHECK_EQ(fixture_end(f), 0);
}

/* On HTTP/1.0 a body without a length ends with the connection, and a good end would say that it is the whole. */
TEST(a_failure_of_what_only_the_end_delimits_is_a_reset)
{
    enum { COMPLETE,
           FAILS,
           FAILS_EARLY,
           REFUSED,
           STOPPED,
           ABORTED,
           WAYS };
    for (int how = COMPLETE; how < WAYS; how++) {
        fixture_t *f = fixture_new_tcp();
        say(f, "GET / HTTP/1.0\r\n\r\n");
        while (f->told_len == 0) {
            turn_waiting(f);
        }
        CHECK_EQ(cv_conn_respond(f->conn, 200), 0);
        if (how != FAILS_EARLY) {
            CHECK_EQ(body(f, "part", 4, false), 0);
        }
        if (how == COMPLETE) {
            CHECK_EQ(body(f, "", 0, true), 0);
        } else if (how == STOPPED) {
            cv_conn_stop(f->conn);
        } else if (how == ABORTED) {
            cv_conn_env_abort(&f->env);
        } else if (how == REFUSED) {
            cv_conn_refuse(f->conn, 504, NULL);
        } else {
            cv_conn_fail(f->conn);
        }
        while (!f->heard_end && !f->heard_reset) {
            turn(f);
            hear(f);
        }
        CHECK_EQ(f->heard_reset, how != COMPLETE);
        CHECK_EQ(fixture_end(f), 0);
    }
}

TEST(a_failure_without_an_answer_only_closes)
{
    fixture_t *f = fixture_new();
    say(f, GET("/"));
    turn(f);
    cv_conn_fail(f->conn);
    turn(f);
    CHECK_HEARD(f, "");
    CHECK(f->heard_end);
    CHECK_EQ(fixture_end(f), 0);
}

int
main(void)
{
    RUN(a_bad_request_is_answered_and_lingers);
    RUN(other_rules_answer_with_their_status_and_its_phrase);
    RUN(limits_are_the_envs);
    RUN(a_bad_request_behind_a_good_one_is_answered_behind_it);
    RUN(a_bad_request_may_be_cut_at_any_byte);
    RUN(a_broken_body_is_answered_for_an_app_that_has_not_answered);
    RUN(a_broken_body_ends_an_answer_that_began);
    RUN(a_broken_body_behind_a_complete_answer_closes);
    RUN(a_head_that_is_not_taken_is_answered_500);
    RUN(a_body_that_is_not_taken_is_answered_500);
    RUN(the_app_may_refuse_inside_on_head);
    RUN(the_app_may_close_inside_any_callback);
    RUN(the_app_may_close_inside_a_pipelined_on_head);
    RUN(a_reply_inside_on_head_leaves_the_connection_to_the_next_request);
    RUN(a_refusal_drops_a_held_head);
    RUN(a_refusal_after_the_head_is_a_failure);
    RUN(a_refused_head_request_gets_no_body);
    RUN(a_failure_sends_what_there_is);
    RUN(a_failure_of_what_only_the_end_delimits_is_a_reset);
    RUN(a_failure_without_an_answer_only_closes);
    return cv_test_end();
}
