/* SPDX-License-Identifier: MIT
 *
 * Requests on one connection: kept alive, cut anywhere, pipelined, with bodies and without.
 */
#include <unistd.h>

#include "conn/conn_fixture.h"
#include "cv_test.h"

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"
#define POST_CHUNKED \
    "POST /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\nT: v\r\n\r\n"
#define OK_HEAD "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n"
#define OK OK_HEAD "ok"

TEST(a_request_is_handed_up_and_answered_and_the_connection_kept)
{
    fixture_t *f = fixture_new();
    for (int i = 0; i < 3; i++) {
        say(f, GET("/x"));
        turn(f);
        CHECK_TOLD(f, "head GET /x; end; ");
        CHECK_EQ(f->conn->state, CV_CONN_OPEN);
        CHECK_EQ(answer(f, "ok"), 0);
        CHECK_HEARD(f, "");
        turn(f);
        CHECK_HEARD(f, OK);
        CHECK_EQ(f->conn->state, CV_CONN_IDLE);
    }
    CHECK_EQ(f->heard_end, false);
    CHECK_EQ(f->env.conn_count, 1);
    CHECK_EQ(fixture_end(f), 0);
}

TEST(an_idle_connection_keeps_no_buffer_and_no_parser)
{
    fixture_t *f = fixture_new();
    f->do_end = answer_ok;
    say(f, "GET /x HTTP/1.1\r\n");
    turn(f);
    CHECK(f->conn->input.cap > 0);
    say(f, "Host: a\r\n\r\n");
    turn(f);
    CHECK_HEARD(f, OK);
    CHECK_EQ(f->conn->state, CV_CONN_IDLE);
    CHECK_EQ(f->conn->input.cap, 0);
    CHECK_EQ(f->conn->output.cap, 0);
    CHECK_EQ(f->env.spare_output_count, 1);
    CHECK(f->conn->parser == NULL);
    CHECK_EQ(f->env.spare_parser_count, 1);
    CHECK_EQ(fixture_end(f), 0);
}

/* Cuts `text` in two at every byte, and gives it byte by byte (at == 0). */
static void
check_every_cut(const char *text, const char *expected_told, const char *expected_answers)
{
    size_t len = strlen(text);
    for (size_t at = 0; at < len; at++) {
        fixture_t *f = fixture_new();
        f->do_end = answer_ok;
        if (at == 0) {
            for (size_t i = 0; i < len; i++) {
                say_bytes(f, text + i, 1);
                turn(f);
            }
        } else {
            say_bytes(f, text, at);
            turn(f);
            say_bytes(f, text + at, len - at);
            turn(f);
        }
        CHECK_TOLD(f, expected_told);
        CHECK_HEARD(f, expected_answers);
        CHECK_EQ(f->conn->state, CV_CONN_IDLE);
        CHECK_EQ(f->conn->input.cap, 0);
        CHECK_EQ(fixture_end(f), 0);
    }
}

TEST(a_request_may_be_cut_at_any_byte)
{
    check_every_cut(GET("/x"), "head GET /x; end; ", OK);
    check_every_cut("\r\nPUT /b HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
                    "head PUT /b; body hello; end; ", OK);
    check_every_cut(POST_CHUNKED, "head POST /p; body abcdefg; end; ", OK);
}

TEST(pipelined_requests_may_be_cut_at_any_byte)
{
    check_every_cut(GET("/1") POST_CHUNKED GET("/3"),
                    "head GET /1; end; head POST /p; body abcdefg; end; head GET /3; end; ", OK OK OK);
}

TEST(pipelined_requests_are_handed_up_one_after_the_other)
{
    fixture_t *f = fixture_new();
    say(f, GET("/1") GET("/2") GET("/3"));
    turn(f);
    CHECK_TOLD(f, "head GET /1; end; ");
    CHECK(!cv_conn_can_advance(f->conn));
    CHECK_EQ(answer(f, "1"), 0);
    CHECK(cv_conn_can_advance(f->conn));
    cv_conn_advance(f->conn);
    CHECK_TOLD(f, "head GET /2; end; ");
    CHECK_EQ(answer(f, "2"), 0);
    cv_conn_advance(f->conn);
    CHECK_TOLD(f, "head GET /3; end; ");
    CHECK_EQ(answer(f, "3"), 0);
    CHECK(!cv_conn_can_advance(f->conn));
    turn(f);
    CHECK_HEARD(f, "HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n1"
                   "HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n2"
                   "HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n3");
    CHECK_EQ(fixture_end(f), 0);
}

TEST(a_flush_hands_up_what_nobody_advanced)
{
    fixture_t *f = fixture_new();
    say(f, GET("/1") GET("/2"));
    turn(f);
    CHECK_TOLD(f, "head GET /1; end; ");
    CHECK_EQ(answer(f, "ok"), 0);
    cv_conn_flush(f->conn);
    CHECK_HEARD(f, OK);
    CHECK_TOLD(f, "head GET /2; end; ");
    CHECK_EQ(answer(f, "ok"), 0);
    turn(f);
    CHECK_HEARD(f, OK);
    CHECK_TOLD(f, "");
    CHECK_EQ(fixture_end(f), 0);
}

TEST(bytes_behind_an_open_request_wait_up_to_the_mark)
{
    fixture_t *f = fixture_new();
    f->env.read_high = 1000;
    char padding[2048];
    memset(padding, 'x', sizeof(padding));
    say(f, GET("/1"));
    turn(f);
    say(f, "PUT /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 4096\r\n\r\n");
    turn(f);
    CHECK(f->conn->transport.reading);
    say_bytes(f, padding, sizeof(padding));
    turn(f);
    CHECK(!f->conn->transport.reading);
    CHECK_TOLD(f, "head GET /1; end; ");
    say_bytes(f, padding, sizeof(padding));
    turn(f);
    CHECK_EQ(answer(f, "ok"), 0);
    f->do_end = answer_ok;
    f->env.read_high = 65536;
    turn(f);
    CHECK_TOLD(f, "head PUT /2; body ......; end; ");
    CHECK_HEARD(f, OK OK);
    CHECK(f->conn->transport.reading);
    CHECK_EQ(fixture_end(f), 0);
}

TEST(an_untaken_body_pauses_reading_until_it_is_consumed)
{
    fixture_t *f = fixture_new();
    f->env.read_high = 1000;
    char piece[800];
    memset(piece, 'x', sizeof(piece));
    say(f, "PUT /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 2400\r\n\r\n");
    say_bytes(f, piece, sizeof(piece));
    turn(f);
    CHECK(f->conn->transport.reading);
    say_bytes(f, piece, sizeof(piece));
    turn(f);
    CHECK_EQ(f->conn->unread, 1600);
    CHECK(!f->conn->transport.reading);
    say_bytes(f, piece, sizeof(piece));
    turn(f);
    CHECK_EQ(f->conn->unread, 1600);
    cv_conn_consumed(f->conn, 1600);
    CHECK(f->conn->transport.reading);
    turn(f);
    CHECK_EQ(f->conn->unread, 800);
    CHECK(f->conn->request_complete);
    CHECK_TOLD(f, "head PUT /2; body .........; end; ");
    CHECK_EQ(fixture_end(f), 0);
}

TEST(the_rest_of_a_body_is_dropped_after_the_answer)
{
    fixture_t *f = fixture_new();
    say(f, "PUT /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n01234");
    turn(f);
    CHECK_TOLD(f, "head PUT /2; body 01234; ");
    CHECK_EQ(answer(f, "ok"), 0);
    CHECK_EQ(f->conn->state, CV_CONN_DISCARD);
    turn(f);
    CHECK_HEARD(f, OK);
    CHECK_EQ(f->conn->state, CV_CONN_DISCARD);
    say(f, "56789" GET("/3"));
    turn(f);
    CHECK_TOLD(f, "head GET /3; end; ");
    CHECK_EQ(answer(f, "ok"), 0);
    turn(f);
    CHECK_HEARD(f, OK);
    CHECK_EQ(f->conn->state, CV_CONN_IDLE);
    CHECK_EQ(fixture_end(f), 0);
}

TEST(an_answer_before_the_body_resumes_reading_to_drop_it)
{
    fixture_t *f = fixture_new();
    f->env.read_high = 2;
    say(f, "PUT /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n01234");
    turn(f);
    CHECK(!f->conn->transport.reading);
    CHECK_EQ(answer(f, "ok"), 0);
    CHECK(f->conn->transport.reading);
    say(f, "56789");
    turn(f);
    CHECK_EQ(f->conn->state, CV_CONN_IDLE);
    CHECK_EQ(fixture_end(f), 0);
}

TEST(an_answer_in_on_end_lets_the_next_request_follow_at_once)
{
    fixture_t *f = fixture_new();
    f->do_end = answer_ok;
    say(f, GET("/1") GET("/2"));
    turn(f);
    CHECK_TOLD(f, "head GET /1; end; head GET /2; end; ");
    CHECK_HEARD(f, OK OK);
    CHECK_EQ(fixture_end(f), 0);
}

static int
answer_at_head(fixture_t *f, cv_conn_t *conn)
{
    int status = answer(f, "ok");
    cv_conn_flush(conn);
    return status;
}

TEST(an_answer_in_on_head_leaves_the_body_to_be_dropped)
{
    fixture_t *f = fixture_new();
    f->do_head = answer_at_head;
    say(f, POST_CHUNKED GET("/2"));
    turn(f);
    CHECK_TOLD(f, "head POST /p; head GET /2; ");
    CHECK_HEARD(f, OK OK);
    CHECK_EQ(f->conn->state, CV_CONN_IDLE);
    CHECK_EQ(fixture_end(f), 0);
}

static void
answer_and_flush(fixture_t *f, cv_conn_t *conn)
{
    answer(f, "ok");
    cv_conn_env_flush(&f->env);
    cv_conn_advance(conn); /* must wait: the parser runs further up */
}

TEST(a_flush_inside_on_end_does_not_run_the_parser_twice)
{
    fixture_t *f = fixture_new();
    f->do_end = answer_and_flush;
    say(f, GET("/1") GET("/2") GET("/3"));
    turn(f);
    CHECK_TOLD(f, "head GET /1; end; head GET /2; end; head GET /3; end; ");
    CHECK_HEARD(f, OK OK OK);
    CHECK_EQ(fixture_end(f), 0);
}

TEST(nor_does_one_while_bytes_that_waited_are_parsed)
{
    fixture_t *f = fixture_new();
    say(f, GET("/1") GET("/2") GET("/3") GET("/4"));
    turn(f);
    f->do_end = answer_and_flush;
    CHECK_EQ(answer(f, "ok"), 0);
    turn(f);
    CHECK_TOLD(f, "head GET /1; end; head GET /2; end; head GET /3; end; head GET /4; end; ");
    CHECK_HEARD(f, OK OK OK OK);
    CHECK_EQ(f->conn->input.cap, 0);
    CHECK_EQ(fixture_end(f), 0);
}

TEST(a_head_answer_has_no_body)
{
    fixture_t *f = fixture_new();
    f->do_end = answer_ok;
    say(f, "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
    turn(f);
    CHECK_HEARD(f, OK_HEAD);
    CHECK_EQ(f->conn->state, CV_CONN_IDLE);
    CHECK_EQ(fixture_end(f), 0);
}

TEST(http_1_0_closes_unless_it_asks_for_more)
{
    fixture_t *f = fixture_new();
    f->do_end = answer_ok;
    say(f, "GET /1 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    turn(f);
    CHECK_HEARD(f, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: keep-alive\r\n\r\nok");
    CHECK_EQ(f->conn->state, CV_CONN_IDLE);
    say(f, "GET /2 HTTP/1.0\r\n\r\n");
    turn(f);
    CHECK_HEARD(f, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok");
    CHECK(f->heard_end);
    CHECK_EQ(f->env.unfreed, 0);
    CHECK_TOLD(f, "head GET /1; end; head GET /2; end; gone; ");
    CHECK_EQ(fixture_end(f), 0);
}

TEST(http_1_0_without_a_length_ends_with_the_connection)
{
    fixture_t *f = fixture_new();
    say(f, "GET /1 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    turn(f);
    CHECK_EQ(cv_conn_respond(f->conn, 200), 0);
    CHECK_EQ(body(f, "ab", 2, false), 0);
    CHECK_EQ(body(f, "c", 1, true), 0);
    turn(f);
    CHECK_HEARD(f, "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nabc");
    CHECK(f->heard_end);
    CHECK_EQ(fixture_end(f), 0);
}

#define EXPECTS "PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"

TEST(a_wanted_body_is_asked_for_once)
{
    fixture_t *f = fixture_new();
    say(f, EXPECTS);
    turn(f);
    CHECK(f->conn->expects_continue);
    cv_conn_want_body(f->conn);
    CHECK_HEARD(f, "HTTP/1.1 100 Continue\r\n\r\n");
    cv_conn_want_body(f->conn);
    say(f, "ab");
    turn(f);
    CHECK_TOLD(f, "head PUT /; body ab; end; ");
    CHECK_EQ(answer(f, "ok"), 0);
    turn(f);
    CHECK_HEARD(f, OK);
    CHECK_EQ(f->conn->state, CV_CONN_IDLE);
    CHECK_EQ(fixture_end(f), 0);
}

TEST(a_body_that_came_unasked_is_not_asked_for)
{
    fixture_t *f = fixture_new();
    say(f, EXPECTS "a");
    turn(f);
    cv_conn_want_body(f->conn);
    CHECK_HEARD(f, "");
    CHECK_EQ(fixture_end(f), 0);
}

/* RFC 9110 section 10.1.1: nobody can tell whether the body still comes. */
TEST(a_final_answer_in_place_of_100_closes)
{
    fixture_t *f = fixture_new();
    say(f, EXPECTS);
    turn(f);
    CHECK_EQ(answer(f, "ok"), 0);
    turn(f);
    CHECK_HEARD(f, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok");
    CHECK(f->heard_end);
    CHECK_EQ(f->conn->state, CV_CONN_LINGERING);
    CHECK_EQ(fixture_end(f), 0);
}

TEST(continue_is_unknown_to_http_1_0)
{
    fixture_t *f = fixture_new();
    say(f, "PUT / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    turn(f);
    cv_conn_want_body(f->conn);
    CHECK_HEARD(f, "");
    CHECK_EQ(fixture_end(f), 0);
}

TEST(many_connections_share_an_env)
{
    fixture_t *f = fixture_new();
    int clients[50];
    f->do_end = NULL;
    for (int i = 0; i < 50; i++) {
        clients[i] = f->client;
        say(f, GET("/"));
        fixture_connect(f);
    }
    turn(f);
    CHECK_EQ(f->env.conn_count, 51);
    cv_list_t *node = f->env.conns.next;
    for (int i = 0; i < 50; i++, node = node->next) {
        f->conn = CV_CONTAINER_OF(node, cv_conn_t, node);
        CHECK_EQ(answer(f, "ok"), 0);
    }
    turn(f);
    int last = f->client;
    for (int i = 0; i < 50; i++) {
        f->client = clients[i];
        CHECK_HEARD(f, OK);
        hang_up(f);
    }
    f->client = last;
    turn(f);
    CHECK_EQ(f->env.conn_count, 1);
    CHECK(f->env.spare_output_count <= CV_CONN_SPARE_OUTPUT);
    CHECK_EQ(fixture_end(f), 0);
}

/* Sends a request on each of `count` connections, whose client ends go into `clients`. */
static void
ask_on_each(fixture_t *f, int clients[], int count)
{
    for (int i = 0; i < count; i++) {
        if (i > 0) {
            fixture_connect(f);
        }
        clients[i] = f->client;
        say(f, GET("/"));
    }
}

static void
close_clients(fixture_t *f, const int clients[], int count)
{
    for (int i = 0; i < count; i++) {
        if (clients[i] != f->client) {
            close(clients[i]);
        }
    }
}

#define TWO_HEADS "head GET /; end; head GET /; end; "

TEST(so_many_requests_of_one_poll_make_a_batch)
{
    fixture_t *f = fixture_new();
    int clients[5];
    CHECK_EQ(f->env.batch, 64);
    f->env.batch = 2;
    ask_on_each(f, clients, 5);
    turn(f);
    CHECK_TOLD(f, TWO_HEADS "batch; " TWO_HEADS "batch; head GET /; end; ");
    close_clients(f, clients, 5);
    CHECK_EQ(fixture_end(f), 0);
}

TEST(a_flush_begins_a_new_batch)
{
    fixture_t *f = fixture_new();
    f->env.batch = 2;
    f->do_end = answer_ok;
    for (int i = 0; i < 3; i++) {
        say(f, GET("/"));
        turn(f);
        CHECK_TOLD(f, "head GET /; end; ");
    }
    CHECK_EQ(fixture_end(f), 0);
}

static void
abort_all(fixture_t *f)
{
    cv_conn_env_abort(&f->env);
}

TEST(a_batch_may_close_every_connection)
{
    fixture_t *f = fixture_new();
    int clients[4];
    f->env.batch = 3;
    f->do_batch = abort_all;
    ask_on_each(f, clients, 4);
    turn(f);
    CHECK_TOLD(f, TWO_HEADS "head GET /; end; batch; gone; gone; gone; gone; ");
    CHECK_EQ(f->env.conn_count, 0);
    close_clients(f, clients, 4);
    CHECK_EQ(fixture_end(f), 0);
}

int
main(void)
{
    RUN(a_request_is_handed_up_and_answered_and_the_connection_kept);
    RUN(an_idle_connection_keeps_no_buffer_and_no_parser);
    RUN(a_request_may_be_cut_at_any_byte);
    RUN(pipelined_requests_may_be_cut_at_any_byte);
    RUN(pipelined_requests_are_handed_up_one_after_the_other);
    RUN(a_flush_hands_up_what_nobody_advanced);
    RUN(bytes_behind_an_open_request_wait_up_to_the_mark);
    RUN(an_untaken_body_pauses_reading_until_it_is_consumed);
    RUN(the_rest_of_a_body_is_dropped_after_the_answer);
    RUN(an_answer_before_the_body_resumes_reading_to_drop_it);
    RUN(an_answer_in_on_end_lets_the_next_request_follow_at_once);
    RUN(an_answer_in_on_head_leaves_the_body_to_be_dropped);
    RUN(a_flush_inside_on_end_does_not_run_the_parser_twice);
    RUN(nor_does_one_while_bytes_that_waited_are_parsed);
    RUN(a_head_answer_has_no_body);
    RUN(http_1_0_closes_unless_it_asks_for_more);
    RUN(http_1_0_without_a_length_ends_with_the_connection);
    RUN(a_wanted_body_is_asked_for_once);
    RUN(a_body_that_came_unasked_is_not_asked_for);
    RUN(a_final_answer_in_place_of_100_closes);
    RUN(continue_is_unknown_to_http_1_0);
    RUN(many_connections_share_an_env);
    RUN(so_many_requests_of_one_poll_make_a_batch);
    RUN(a_flush_begins_a_new_batch);
    RUN(a_batch_may_close_every_connection);
    return cv_test_end();
}
