/* SPDX-License-Identifier: MIT
 *
 * A WebSocket's ends in every order, what is kept between two messages, and what is owed while the client does not
 * read.
 */
#define _GNU_SOURCE /* memmem */
#include <limits.h>

#include "conn/websocket_fixture.h"
#include "cv_test.h"

static char big[300000];

static const cv_span_t none = {"", 0};

enum { SOON = 3,
       LATE = 60000 };

#define CLOSE_1000 "\x88\x02\x03\xe8"

/* Sends until the socket is full. */
static void
block(fixture_t *f)
{
    bool kept;
    f->env.ws.send_high = 1000;
    while (!f->conn->transport.writing) {
        cv_conn_ws_send(f->conn, CV_WS_BINARY, (cv_span_t){big, 100000}, NULL, false, &kept);
        cv_conn_flush(f->conn);
    }
}

/* Hears all that is queued; what came last is left in f->heard. */
static void
unblock(fixture_t *f)
{
    while (f->conn->queued > 0) {
        hear(f);
        turn(f);
    }
    turn(f);
    hear(f);
}

/* RFC 6455 section 5.5.2: every ping is answered, also one that says nothing. */
TEST(an_empty_ping_is_answered_when_there_is_room)
{
    fixture_t *f = new_websocket();
    block(f);
    say_frame(f, 0x89, "", 0);
    turn(f);
    unblock(f);
    CHECK(f->heard_len >= 2);
    CHECK(memcmp(f->heard + f->heard_len - 2, "\x8a\0", 2) == 0);
    CHECK_EQ(f->conn->websocket->pong.cap, 0);
    CHECK_EQ(fixture_end(f), 0);
}

TEST(no_older_ping_is_answered_behind_a_newer_one)
{
    fixture_t *f = new_websocket();
    block(f);
    say_frame(f, 0x89, "older", 5);
    turn(f);
    CHECK_EQ(f->conn->websocket->pong.len, 5);
    f->env.ws.send_high = SIZE_MAX; /* there is room */
    say_frame(f, 0x89, "newer", 5);
    turn(f);
    CHECK_EQ(f->conn->websocket->pong.cap, 0);
    CHECK_EQ(fixture_end(f), 0);
}

/* A client that answers no ping has the whole of its time, and is not looked at before it is over. */
TEST(a_ping_that_waits_for_life_is_not_followed_by_another)
{
    fixture_t *f = websocket_fixture();
    f->env.ws.ping_interval = SOON;
    f->env.ws.ping_timeout = LATE;
    open_websocket(f, "");
    hear(f);
    while (hear(f)[0] == '\0') {
        turn_waiting(f);
    }
    CHECK(f->conn->websocket->awaits_life);
    CHECK_EQ(f->conn->deadline.due, f->conn->websocket->pinged + LATE);
    say_frame(f, 0x8a, "", 0);
    turn(f);
    CHECK(!f->conn->websocket->awaits_life);
    CHECK_EQ(f->conn->deadline.due, f->conn->websocket->pinged + SOON);
    CHECK_EQ(fixture_end(f), 0);
}

TEST(an_idle_connection_keeps_nothing_of_its_last_message)
{
    fixture_t *f = new_websocket();
    CHECK(f->conn->parser == NULL);
    say_frame(f, 0x01, big, 10000);
    say_frame(f, 0x80, big, 10000);
    turn(f);
    CHECK_TOLD(f, "text ...; ");
    cv_conn_ws_consumed(f->conn, 1, 20000);
    CHECK_EQ(f->conn->websocket->parser.message.cap, 0);
    CHECK_EQ(f->conn->input.cap, 0);
    send_text(f, "x");
    turn(f);
    CHECK_EQ(f->conn->output.cap, 0);
    CHECK(f->conn->segments == NULL);
    CHECK_EQ(fixture_end(f), 0);
}

TEST(what_waited_leaves_no_memory_behind)
{
    fixture_t *f = websocket_fixture();
    f->env.ws.max_queue = 1;
    open_websocket(f, "");
    say_text(f, "a");
    say_frame(f, 0x01, "b", 1);
    say_frame(f, 0x80, "c", 1);
    turn(f);
    CHECK(f->conn->input.cap > 0);
    cv_conn_ws_consumed(f->conn, 1, 1);
    CHECK_TOLD(f, "text a; text bc; ");
    CHECK_EQ(f->conn->input.cap, 0);
    CHECK_EQ(f->conn->websocket->parser.message.cap, 0);
    CHECK_EQ(fixture_end(f), 0);
}

TEST(both_close_at_once)
{
    fixture_t *f = new_websocket();
    say_close(f, 1001, "mine");
    CHECK_EQ(cv_conn_ws_close(f->conn, 1000, none), 0);
    turn(f);
    CHECK_HEARD(f, CLOSE_1000);
    CHECK(f->heard_end);
    CHECK_TOLD(f, "end 1001 mine; gone; ");
    CHECK_EQ(fixture_end(f), 0);
}

TEST(nothing_behind_a_close_frame_is_taken)
{
    fixture_t *f = new_websocket();
    say_close(f, 1000, "");
    say_text(f, "behind");
    say_frame(f, 0x83, "broken", 6);
    turn(f);
    CHECK_TOLD(f, "end 1000 ; ");
    CHECK_HEARD(f, CLOSE_1000);
    CHECK(f->heard_end);
    CHECK_EQ(f->conn->state, CV_CONN_LINGERING); /* so that the close frame is not lost to a reset */
    hang_up(f);
    turn(f);
    CHECK_TOLD(f, "gone; ");
    CHECK_EQ(fixture_end(f), 0);
}

/* The client broke a rule: there is nothing of it to wait for, and no more is read. */
TEST(a_close_in_front_of_a_failure_waits_for_nobody)
{
    for (int stops = 0; stops < 2; stops++) {
        fixture_t *f = new_websocket();
        say_text(f, "a");
        say_frame(f, 0x83, "", 0);
        turn(f);
        CHECK_TOLD(f, "text a; ");
        if (stops != 0) {
            cv_conn_env_drain(&f->env);
        } else {
            CHECK_EQ(cv_conn_ws_close(f->conn, 1000, none), 0);
        }
        turn(f);
        CHECK_HEARD(f, stops != 0 ? "\x88\x02\x03\xf4" : CLOSE_1000);
        CHECK(f->heard_end);
        CHECK_EQ(fixture_end(f), 0);
    }
}

TEST(a_broken_frame_behind_our_close_frame_ends_it_without_another)
{
    fixture_t *f = new_websocket();
    cv_conn_ws_close(f->conn, 1000, none);
    say_frame(f, 0x83, "", 0);
    turn(f);
    CHECK(strncmp(told(f), "cut; end 1002 ", 14) == 0);
    CHECK_HEARD(f, CLOSE_1000);
    CHECK(f->heard_end);
    CHECK_EQ(fixture_end(f), 0);
}

/* Queues our close frame behind more than the socket takes. */
static void
close_behind(fixture_t *f, uint32_t timeout)
{
    f->env.ws.close_timeout = timeout;
    block(f);
    CHECK_EQ(cv_conn_ws_close(f->conn, 1000, none), 0);
    turn(f);
}

/* What is queued in front of our close frame has the time of any answer. */
TEST(the_time_for_a_close_frame_begins_once_ours_is_written)
{
    fixture_t *f = new_websocket();
    close_behind(f, LATE);
    CHECK_EQ(f->conn->deadline.kind, CV_CONN_WRITE);
    CHECK_EQ(f->conn->websocket->closed, 0);
    while (f->conn->queued > 0) {
        hear(f);
        turn(f);
    }
    CHECK(f->conn->websocket->closed != 0);
    CHECK_EQ(f->conn->deadline.kind, CV_CONN_WS_CLOSE);
    CHECK_EQ(f->conn->deadline.due, f->conn->websocket->closed + LATE);
    CHECK_EQ(fixture_end(f), 0);
}

/* It has not come to our close frame, but it is coming. */
TEST(who_takes_what_the_kernel_holds_has_the_time_anew)
{
    fixture_t *f = new_websocket();
    close_behind(f, SOON);
    while (f->conn->queued > 0) {
        hear(f);
        turn(f);
    }
    uint64_t closed = f->conn->websocket->closed;
    f->conn->unsent = INT_MAX; /* as if it had taken some of it since */
    while (f->conn->state == CV_CONN_WEBSOCKET && f->conn->websocket->closed == closed) {
        turn_waiting(f);
    }
    CHECK_EQ(f->conn->state, CV_CONN_WEBSOCKET);
    CHECK(f->conn->websocket->closed > closed);
    CHECK_EQ(f->env.limited[CV_TIMEOUT_WS_CLOSE], 0);
    while (f->conn->state == CV_CONN_WEBSOCKET) {
        turn_waiting(f);
    }
    CHECK_EQ(f->env.limited[CV_TIMEOUT_WS_CLOSE], 1);
    CHECK_EQ(fixture_end(f), 0);
}

enum { ANSWERED,   /* the states in which a client may go */
       PAUSED,
       CLOSING,
       FAILING,
       BLOCKED,
       STATES };

static void
bring_to(fixture_t *f, int state)
{
    if (state == PAUSED) {
        say_text(f, "a");
    } else if (state == CLOSING) {
        cv_conn_ws_close(f->conn, 1000, none);
    } else if (state == FAILING) {
        say_text(f, "a");
        say_frame(f, 0x83, "", 0);
    } else if (state == BLOCKED) {
        block(f);
    }
    turn(f);
    told(f);
}

static fixture_t *
new_in_state(int state)
{
    fixture_t *f = websocket_fixture();
    f->env.ws.max_queue = state == FAILING ? 2 : 1;
    f->env.ws.close_timeout = 50;
    open_websocket(f, "");
    hear(f);
    bring_to(f, state);
    return f;
}

static bool
is_told_gone(fixture_t *f)
{
    size_t len = strlen("gone; ");
    return f->told_len >= len && memcmp(f->told + f->told_len - len, "gone; ", len) == 0;
}

TEST(a_client_that_is_gone_is_noticed_in_every_state)
{
    for (int state = ANSWERED; state < STATES; state++) {
        fixture_t *f = new_in_state(state);
        hang_up(f);
        turn(f);
        if (state == PAUSED) {
            cv_conn_ws_consumed(f->conn, 1, 1);
        } else if (state == FAILING) {
            cv_conn_ws_settle(f->conn);
        }
        turn(f);
        CHECK(is_told_gone(f));
        CHECK_EQ(f->env.unfreed, 0);
        CHECK_EQ(f->env.ws_count, 0);
        CHECK_EQ(fixture_end(f), 0);
    }
}

/* RFC 6455 section 7.1.1: without a close frame the connection is of no more use. */
TEST(a_fin_ends_it_in_every_state)
{
    for (int state = ANSWERED; state < STATES; state++) {
        fixture_t *f = new_in_state(state);
        half_close(f);
        turn(f);
        if (state == PAUSED) {
            cv_conn_ws_consumed(f->conn, 1, 1);
        } else if (state == FAILING) {
            cv_conn_ws_settle(f->conn);
        }
        turn(f);
        CHECK(is_told_gone(f));
        CHECK_EQ(f->env.unfreed, 0);
        CHECK_EQ(fixture_end(f), 0);
    }
}

TEST(every_state_may_be_aborted)
{
    for (int state = ANSWERED; state < STATES; state++) {
        fixture_t *f = new_in_state(state);
        cv_conn_env_abort(&f->env);
        CHECK(is_told_gone(f));
        CHECK_EQ(cv_conn_ws_close(f->conn, 1000, none), CV_CONN_EGONE);
        CHECK_EQ(send_text(f, "x"), CV_CONN_EGONE);
        cv_conn_ws_consumed(f->conn, 1, 1);
        cv_conn_ws_settle(f->conn);
        CHECK_EQ(fixture_end(f), 0);
    }
}

TEST(a_retired_server_goes_on_with_its_websockets)
{
    fixture_t *f = new_websocket();
    cv_conn_env_retire(&f->env);
    say_text(f, "a");
    turn(f);
    CHECK_TOLD(f, "text a; ");
    CHECK_EQ(send_text(f, "b"), 0);
    CHECK_EQ(fixture_end(f), 0);
}

TEST(a_denial_may_be_streamed_and_ends_the_connection)
{
    fixture_t *f = websocket_fixture();
    say(f, HANDSHAKE(""));
    say_text(f, "early");
    turn(f);
    CHECK_TOLD(f, "websocket /chat; ");
    CHECK_EQ(cv_conn_respond(f->conn, 401), 0);
    CHECK_EQ(body(f, "a", 1, false), 0);
    CHECK_EQ(cv_conn_ws_open(f->conn) < 0, true);
    CHECK_EQ(body(f, "b", 1, true), 0);
    turn(f);
    hear(f);
    CHECK(memmem(f->heard, f->heard_len, "1\r\na\r\n1\r\nb\r\n0\r\n\r\n", 17) != NULL);
    CHECK(f->heard_end);
    CHECK_TOLD(f, "");
    CHECK_EQ(fixture_end(f), 0);
}

int
main(void)
{
    RUN(an_empty_ping_is_answered_when_there_is_room);
    RUN(no_older_ping_is_answered_behind_a_newer_one);
    RUN(a_ping_that_waits_for_life_is_not_followed_by_another);
    RUN(an_idle_connection_keeps_nothing_of_its_last_message);
    RUN(what_waited_leaves_no_memory_behind);
    RUN(both_close_at_once);
    RUN(nothing_behind_a_close_frame_is_taken);
    RUN(a_close_in_front_of_a_failure_waits_for_nobody);
    RUN(a_broken_frame_behind_our_close_frame_ends_it_without_another);
    RUN(the_time_for_a_close_frame_begins_once_ours_is_written);
    RUN(who_takes_what_the_kernel_holds_has_the_time_anew);
    RUN(a_client_that_is_gone_is_noticed_in_every_state);
    RUN(a_fin_ends_it_in_every_state);
    RUN(every_state_may_be_aborted);
    RUN(a_retired_server_goes_on_with_its_websockets);
    RUN(a_denial_may_be_streamed_and_ends_the_connection);
    return cv_test_end();
}
