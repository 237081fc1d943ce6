/* SPDX-License-Identifier: MIT
 *
 * A layer above that answers, closes and asks for more while it is told something.
 */
#include "conn/websocket_fixture.h"
#include "cv_test.h"

static const cv_span_t none = {"", 0};

static int
accept_now(fixture_t *f, cv_conn_t *conn)
{
    (void)f;
    int error = cv_conn_ws_respond(conn);
    return error < 0 ? error : cv_conn_ws_open(conn);
}

/* The bytes stand behind the handshake in one read, which the parser of requests must leave alone. */
TEST(a_handshake_is_accepted_while_it_is_told)
{
    for (int in_pieces = 0; in_pieces < 2; in_pieces++) {
        fixture_t *f = websocket_fixture();
        f->do_websocket = accept_now;
        if (in_pieces != 0) {
            say(f, "GET /chat HTTP/1.1\r\nHo");
            turn(f);
        }
        static const char head[] = HANDSHAKE("");
        say(f, in_pieces != 0 ? head + 22 : head);
        say_text(f, "early");
        turn(f);
        CHECK_TOLD(f, "websocket /chat; text early; ");
        CHECK_HEARD(f, ACCEPTED "\r\n");
        CHECK(f->conn->parser == NULL);
        say_text(f, "late");
        turn(f);
        CHECK_TOLD(f, "text late; ");
        CHECK_EQ(fixture_end(f), 0);
    }
}

static int
deny_now(fixture_t *f, cv_conn_t *conn)
{
    cv_conn_refuse(conn, 403, "");
    (void)f;
    return 0;
}

TEST(a_handshake_is_denied_while_it_is_told)
{
    fixture_t *f = websocket_fixture();
    f->do_websocket = deny_now;
    say(f, HANDSHAKE("") HANDSHAKE(""));
    turn(f);
    CHECK_TOLD(f, "websocket /chat; ");
    CHECK(strncmp(hear(f), "HTTP/1.1 403 ", 13) == 0);
    CHECK(f->heard_end);
    CHECK_EQ(fixture_end(f), 0);
}

static int
fail_now(fixture_t *f, cv_conn_t *conn)
{
    (void)f, (void)conn;
    return -1;
}

TEST(a_handshake_that_cannot_be_taken_gets_500)
{
    fixture_t *f = websocket_fixture();
    f->do_websocket = fail_now;
    say(f, HANDSHAKE(""));
    turn(f);
    CHECK_TOLD(f, "websocket /chat; gone; ");
    CHECK(strncmp(hear(f), "HTTP/1.1 500 ", 13) == 0);
    CHECK_EQ(fixture_end(f), 0);
}

static int
echo(fixture_t *f, cv_conn_t *conn, size_t len)
{
    cv_conn_ws_consumed(conn, 1, len);
    send_text(f, "go");
    cv_conn_flush(conn);
    return 0;
}

TEST(what_is_taken_at_once_is_never_too_much)
{
    fixture_t *f = websocket_fixture();
    f->env.ws.max_queue = 1;
    f->do_message = echo;
    open_websocket(f, "");
    hear(f);
    for (int i = 0; i < 5; i++) {
        say_text(f, "a");
    }
    turn(f);
    CHECK_TOLD(f, "text a; text a; text a; text a; text a; ");
    CHECK_HEARD(f, "\x81\x02go\x81\x02go\x81\x02go\x81\x02go\x81\x02go");
    CHECK_EQ(f->conn->websocket->waiting, 0);
    CHECK_EQ(f->conn->unread, 0);
    CHECK_EQ(fixture_end(f), 0);
}

static int
close_frame(fixture_t *f, cv_conn_t *conn, size_t len)
{
    (void)f;
    cv_conn_ws_close(conn, 1000, none);
    cv_conn_ws_consumed(conn, 1, len); /* too late to count */
    return 0;
}

TEST(a_close_inside_a_message_drops_those_behind_it)
{
    fixture_t *f = new_websocket();
    f->do_message = close_frame;
    say_text(f, "a");
    say_text(f, "b");
    say_frame(f, 0x89, "ping", 4);
    turn(f);
    CHECK_TOLD(f, "text a; ");
    CHECK_HEARD(f, "\x88\x02\x03\xe8");
    CHECK_EQ(f->conn->websocket->waiting, 0);
    CHECK_EQ(f->conn->unread, 0);
    say_close(f, 1000, "");
    turn(f);
    CHECK_TOLD(f, "end 1000 ; gone; ");
    CHECK_EQ(fixture_end(f), 0);
}

static int
cut(fixture_t *f, cv_conn_t *conn, size_t len)
{
    (void)f, (void)len;
    cv_conn_close(conn, false);
    return 0;
}

TEST(a_connection_ends_inside_a_message)
{
    for (int waits = 0; waits < 2; waits++) {
        fixture_t *f = websocket_fixture();
        f->env.ws.max_queue = 1;
        open_websocket(f, "");
        if (waits != 0) {
            say_text(f, "0");
            say_text(f, "a");
            turn(f);
            told(f);
        }
        f->do_message = cut;
        if (waits != 0) {
            cv_conn_ws_consumed(f->conn, 1, 1);
        } else {
            say_text(f, "a");
            say_text(f, "b");
            turn(f);
        }
        CHECK_TOLD(f, "text a; gone; ");
        turn(f);
        CHECK_EQ(f->env.unfreed, 0);
        CHECK_EQ(fixture_end(f), 0);
    }
}

static int
refuse_message(fixture_t *f, cv_conn_t *conn, size_t len)
{
    (void)f, (void)conn, (void)len;
    return -1;
}

/* Nobody will ask for what could not be taken. */
TEST(a_message_that_cannot_be_taken_ends_it_at_once)
{
    fixture_t *f = new_websocket();
    f->do_message = refuse_message;
    say_text(f, "a");
    turn(f);
    CHECK(strncmp(told(f), "text a; cut; end 1011 ", 22) == 0);
    CHECK_EQ((unsigned char)hear(f)[0], 0x88);
    CHECK(f->heard_end);
    CHECK_EQ(fixture_end(f), 0);
}

TEST(messages_in_front_of_one_that_cannot_be_taken_are_answered)
{
    fixture_t *f = new_websocket();
    say_text(f, "a");
    turn(f);
    CHECK_TOLD(f, "text a; ");
    f->do_message = refuse_message;
    say_text(f, "b");
    turn(f);
    CHECK_TOLD(f, "text b; ");
    CHECK_EQ(send_text(f, "a"), 0);
    cv_conn_ws_consumed(f->conn, 1, 1);
    CHECK_EQ(f->conn->unread, 0);
    cv_conn_ws_settle(f->conn);
    CHECK(strncmp(told(f), "cut; end 1011 ", 14) == 0);
    CHECK_EQ(fixture_end(f), 0);
}

static void
cut_at_end(fixture_t *f, cv_conn_t *conn)
{
    (void)f;
    cv_conn_close(conn, false);
}

static void
send_at_end(fixture_t *f, cv_conn_t *conn)
{
    cv_conn_ws_close(conn, 1000, none);
    send_text(f, "late");
    cv_conn_flush(conn);
}

TEST(the_end_is_where_a_layer_above_closes_or_sends)
{
    static void (*const acts[])(fixture_t *f, cv_conn_t *conn) = {cut_at_end, send_at_end};
    for (int i = 0; i < 2; i++) {
        fixture_t *f = new_websocket();
        f->do_ws_end = acts[i];
        say_close(f, 1000, "");
        turn(f);
        CHECK_TOLD(f, "end 1000 ; gone; ");
        turn(f);
        CHECK_EQ(f->env.unfreed, 0);
        CHECK_EQ(fixture_end(f), 0);
        f = new_websocket();
        f->do_ws_end = acts[i];
        say_frame(f, 0x83, "", 0);
        turn(f);
        CHECK(strncmp(told(f), "cut; end 1002 ", 14) == 0);
        CHECK_EQ(fixture_end(f), 0);
        f = new_websocket();
        f->do_ws_end = acts[i];
        cv_conn_env_drain(&f->env);
        turn(f);
        CHECK(strncmp(told(f), "end 1012 ; ", 11) == 0);
        CHECK_EQ(fixture_end(f), 0);
    }
}

/* Nothing is told behind `gone`. */
TEST(nobody_hears_of_a_ping_on_a_connection_that_was_closed_for_it)
{
    fixture_t *f = websocket_fixture();
    f->env.ws.ping_interval = f->env.ws.ping_timeout = 3;
    f->do_ws_end = cut_at_end;
    open_websocket(f, "");
    while (f->env.unfreed > 0) {
        turn_waiting(f);
    }
    CHECK_TOLD(f, "end 1006 keepalive ping timeout; gone; ");
    CHECK_EQ(fixture_end(f), 0);
}

static char big[300000];

static void
send_more(fixture_t *f, cv_conn_t *conn)
{
    f->do_drain = NULL;
    send_text(f, "more");
    cv_conn_flush(conn);
}

TEST(a_drain_is_where_more_is_sent)
{
    fixture_t *f = new_websocket();
    f->env.ws.send_high = 0; /* whatever is queued is too much */
    f->do_drain = send_more;
    bool kept;
    CHECK_EQ(cv_conn_ws_send(f->conn, CV_WS_BINARY, (cv_span_t){big, 1000}, NULL, false, &kept), 0);
    turn(f);
    hear(f);
    CHECK_EQ(f->heard_len, 4 + 1000 + 2 + 4);
    CHECK(strncmp(told(f), "drain; ", 7) == 0);
    CHECK_EQ(fixture_end(f), 0);
}

int
main(void)
{
    RUN(a_handshake_is_accepted_while_it_is_told);
    RUN(a_handshake_is_denied_while_it_is_told);
    RUN(a_handshake_that_cannot_be_taken_gets_500);
    RUN(what_is_taken_at_once_is_never_too_much);
    RUN(a_close_inside_a_message_drops_those_behind_it);
    RUN(a_connection_ends_inside_a_message);
    RUN(a_message_that_cannot_be_taken_ends_it_at_once);
    RUN(messages_in_front_of_one_that_cannot_be_taken_are_answered);
    RUN(the_end_is_where_a_layer_above_closes_or_sends);
    RUN(nobody_hears_of_a_ping_on_a_connection_that_was_closed_for_it);
    RUN(a_drain_is_where_more_is_sent);
    return cv_test_end();
}
