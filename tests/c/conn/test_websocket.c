/* SPDX-License-Identifier: MIT
 *
 * A connection that becomes a WebSocket: its handshake, its messages both ways, and each of its ends.
 */
#include "conn/websocket_fixture.h"
#include "cv_test.h"

static char big[300000];

#define CLOSE_1000 "\x88\x02\x03\xe8"

static void
refuses(const char *request, const char *status, const char *field)
{
    fixture_t *f = websocket_fixture();
    say(f, request);
    turn(f);
    CHECK(strstr(told(f), "refused ") != NULL);
    hear(f);
    CHECK(strncmp(f->heard, status, strlen(status)) == 0);
    CHECK(strstr(f->heard, field) != NULL);
    CHECK(f->heard_end);
    CHECK_EQ(f->env.ws_count, 0);
    CHECK_EQ(fixture_end(f), 0);
}

#define HEAD "Host: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
#define KEY "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define VERSION "Sec-WebSocket-Version: 13\r\n"

TEST(what_is_no_handshake_gets_its_status)
{
    refuses("POST / HTTP/1.1\r\n" HEAD KEY VERSION "\r\n", "HTTP/1.1 405 ", "\r\nallow: GET\r\n");
    refuses("GET / HTTP/1.1\r\n" HEAD KEY "\r\n", "HTTP/1.1 426 ", "\r\nsec-websocket-version: 13\r\n");
    refuses("GET / HTTP/1.1\r\n" HEAD KEY "Sec-WebSocket-Version: 8\r\n\r\n", "HTTP/1.1 426 ",
            "\r\nupgrade: websocket\r\n");
    refuses("GET / HTTP/1.1\r\n" HEAD KEY VERSION VERSION "\r\n", "HTTP/1.1 426 ", "");
    refuses("GET / HTTP/1.1\r\n" HEAD VERSION "\r\n", "HTTP/1.1 400 ", "");
    refuses("GET / HTTP/1.1\r\n" HEAD KEY KEY VERSION "\r\n", "HTTP/1.1 400 ", "");
    refuses("GET / HTTP/1.1\r\n" HEAD "Sec-WebSocket-Key: short\r\n" VERSION "\r\n", "HTTP/1.1 400 ", "");
    refuses("GET / HTTP/1.1\r\nContent-Length: 1\r\n" HEAD KEY VERSION "\r\nx", "HTTP/1.1 400 ", "");
}

TEST(where_none_is_enabled_a_handshake_is_a_request)
{
    fixture_t *f = fixture_new();
    say(f, HANDSHAKE(""));
    turn(f);
    CHECK_TOLD(f, "head GET /chat; end; ");
    CHECK_EQ(fixture_end(f), 0);
}

TEST(one_more_than_may_be_open_is_refused)
{
    fixture_t *f = websocket_fixture();
    f->env.ws.limit = 1;
    open_websocket(f, "");
    int first = f->client;
    fixture_connect(f);
    say(f, HANDSHAKE(""));
    turn(f);
    CHECK_TOLD(f, "refused 503; gone; ");
    CHECK(strstr(hear(f), "\r\nretry-after: 1\r\n") != NULL);
    CHECK_EQ(f->env.limited[CV_LIMIT_WEBSOCKETS], 1);
    CHECK_EQ(f->env.ws_count, 1);
    hang_up(f);
    f->client = first;
    CHECK_EQ(fixture_end(f), 0);
}

TEST(a_handshake_is_accepted_with_fields_and_what_came_behind_it_is_kept)
{
    fixture_t *f = websocket_fixture();
    say(f, HANDSHAKE(""));
    say_text(f, "early");
    turn(f);
    CHECK_TOLD(f, "websocket /chat; ");
    CHECK_EQ(cv_conn_ws_respond(f->conn), 0);
    CHECK_EQ(cv_conn_ws_field(f->conn, (cv_span_t){"X-A", 3}, (cv_span_t){"1", 1}), 0);
    CHECK_EQ(cv_conn_ws_field(f->conn, (cv_span_t){"Connection", 10}, (cv_span_t){"close", 5}), 0);
    CHECK_EQ(cv_conn_ws_field(f->conn, (cv_span_t){"upgrade", 7}, (cv_span_t){"x", 1}), 0);
    CHECK(cv_conn_ws_field(f->conn, (cv_span_t){"a b", 3}, (cv_span_t){"x", 1}) < 0);
    CHECK_EQ(cv_conn_ws_open(f->conn), 0);
    CHECK_TOLD(f, "text early; ");
    turn(f);
    CHECK_HEARD(f, ACCEPTED "x-a: 1\r\n\r\n");
    CHECK_EQ(cv_conn_ws_open(f->conn), CV_CONN_EGONE);
    CHECK_EQ(fixture_end(f), 0);
}

TEST(a_head_may_be_taken_back_and_the_handshake_denied)
{
    fixture_t *f = websocket_fixture();
    say(f, HANDSHAKE(""));
    say(f, "GET /no HTTP/1.1\r\nHost: a\r\n\r\n");
    turn(f);
    told(f);
    CHECK_EQ(cv_conn_ws_respond(f->conn), 0);
    cv_conn_retract(f->conn);
    CHECK_EQ(answer(f, "no"), 0);
    turn(f);
    CHECK_HEARD(f, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nno");
    CHECK_TOLD(f, ""); /* what stands behind it is no request */
    CHECK_EQ(fixture_end(f), 0);
}

TEST(messages_go_both_ways)
{
    fixture_t *f = new_websocket();
    say_text(f, "one");
    say_frame(f, 0x02, "tw", 2);
    say_frame(f, 0x89, "ping", 4);
    say_frame(f, 0x80, "o", 1);
    turn(f);
    CHECK_TOLD(f, "text one; binary two; ");
    CHECK_HEARD(f, "\x8a\x04ping");
    CHECK_EQ(send_text(f, "hello"), 0);
    turn(f);
    CHECK_HEARD(f, "\x81\x05hello");
    CHECK_EQ(fixture_end(f), 0);
}

TEST(reading_stops_at_so_many_messages)
{
    fixture_t *f = websocket_fixture();
    f->env.ws.max_queue = 2;
    open_websocket(f, "");
    say_text(f, "a");
    say_text(f, "b");
    say_text(f, "c");
    say_text(f, "d");
    turn(f);
    CHECK_TOLD(f, "text a; text b; ");
    CHECK(!f->conn->transport.reading);
    cv_conn_ws_consumed(f->conn, 1, 1);
    CHECK_TOLD(f, "text c; ");
    cv_conn_ws_consumed(f->conn, 2, 2);
    CHECK_TOLD(f, "text d; ");
    CHECK(f->conn->transport.reading);
    CHECK_EQ(fixture_end(f), 0);
}

TEST(reading_stops_at_so_many_bytes)
{
    fixture_t *f = new_websocket();
    say_frame(f, 0x82, big, 70000);
    say_text(f, "behind");
    turn(f);
    CHECK_TOLD(f, "binary ...; ");
    CHECK(!f->conn->transport.reading);
    cv_conn_ws_consumed(f->conn, 1, 70000);
    turn(f);
    CHECK_TOLD(f, "text behind; ");
    CHECK_EQ(fixture_end(f), 0);
}

TEST(the_client_closes)
{
    fixture_t *f = new_websocket();
    say_close(f, 1001, "bye");
    turn(f);
    CHECK_TOLD(f, "end 1001 bye; gone; ");
    CHECK_HEARD(f, "\x88\x02\x03\xe9");
    CHECK(f->heard_end);
    CHECK_EQ(f->env.ws_count, 0);
    CHECK_EQ(fixture_end(f), 0);
}

TEST(the_application_closes_and_waits_for_the_client)
{
    fixture_t *f = new_websocket();
    CHECK_EQ(cv_conn_ws_close(f->conn, 1000, (cv_span_t){"", 0}), 0);
    CHECK_EQ(send_text(f, "late"), CV_CONN_EGONE);
    CHECK_EQ(cv_conn_ws_close(f->conn, 1000, (cv_span_t){"", 0}), CV_CONN_EGONE);
    turn(f);
    CHECK_HEARD(f, CLOSE_1000);
    CHECK(!f->heard_end);
    say_text(f, "dropped");
    say_frame(f, 0x89, "", 0);
    turn(f);
    CHECK_TOLD(f, "");
    say_close(f, 1000, "");
    turn(f);
    CHECK_TOLD(f, "end 1000 ; gone; ");
    CHECK_HEARD(f, "");
    CHECK(f->heard_end);
    CHECK_EQ(fixture_end(f), 0);
}

TEST(a_close_frame_behind_messages_that_wait_is_found_after_our_own)
{
    fixture_t *f = websocket_fixture();
    f->env.ws.max_queue = 1;
    open_websocket(f, "");
    say_text(f, "a");
    say_text(f, "b");
    say_close(f, 1000, "");
    turn(f);
    CHECK_TOLD(f, "text a; ");
    CHECK_EQ(cv_conn_ws_close(f->conn, 1000, (cv_span_t){"", 0}), 0);
    turn(f);
    CHECK_TOLD(f, "end 1000 ; gone; ");
    CHECK_EQ(fixture_end(f), 0);
}

TEST(the_peer_of_a_close_is_not_waited_for_for_ever)
{
    fixture_t *f = websocket_fixture();
    f->env.ws.close_timeout = 3;
    open_websocket(f, "");
    cv_conn_ws_close(f->conn, 1000, (cv_span_t){"", 0});
    while (f->env.unfreed > 0) {
        turn_waiting(f);
    }
    CHECK_TOLD(f, "gone; ");
    CHECK_EQ(f->env.limited[CV_TIMEOUT_WS_CLOSE], 1);
    CHECK_EQ(fixture_end(f), 0);
}

TEST(without_a_time_the_peer_of_a_close_is_not_waited_for)
{
    fixture_t *f = websocket_fixture();
    f->env.ws.close_timeout = 0;
    open_websocket(f, "");
    hear(f);
    cv_conn_ws_close(f->conn, 1000, (cv_span_t){"", 0});
    turn(f);
    CHECK_HEARD(f, CLOSE_1000);
    CHECK(f->heard_end);
    CHECK_EQ(fixture_end(f), 0);
}

TEST(a_broken_frame_ends_it)
{
    fixture_t *f = new_websocket();
    say_frame(f, 0x83, "x", 1);
    turn(f);
    CHECK(strncmp(told(f), "cut; end 1002 ", 14) == 0);
    hear(f);
    CHECK_EQ(f->heard[0], (char)0x88);
    CHECK(memcmp(f->heard + 2, "\x03\xea", 2) == 0);
    CHECK(f->heard_end);
    CHECK_EQ(fixture_end(f), 0);
}

TEST(what_came_in_front_of_a_broken_frame_can_be_answered)
{
    fixture_t *f = new_websocket();
    say_text(f, "ok");
    say_frame(f, 0x83, "x", 1);
    say_text(f, "dropped");
    turn(f);
    CHECK_TOLD(f, "text ok; ");
    CHECK_EQ(send_text(f, "answer"), 0);
    cv_conn_ws_consumed(f->conn, 1, 2);
    CHECK_TOLD(f, "");
    cv_conn_ws_settle(f->conn);
    CHECK(strncmp(told(f), "cut; end 1002 ", 14) == 0);
    turn(f);
    hear(f);
    CHECK(memcmp(f->heard, "\x81\x06"
                           "answer\x88",
                 9)
          == 0);
    CHECK_EQ(fixture_end(f), 0);
}

TEST(an_application_that_does_not_ask_again_holds_up_no_failure)
{
    fixture_t *f = websocket_fixture();
    f->env.ws.close_timeout = 3;
    open_websocket(f, "");
    say_text(f, "ok");
    say_frame(f, 0x83, "x", 1);
    while (strstr(f->told, "end 1002") == NULL) {
        turn_waiting(f);
    }
    CHECK_EQ(fixture_end(f), 0);
}

TEST(a_message_that_is_too_large)
{
    fixture_t *f = websocket_fixture();
    f->env.ws.max_size = 4;
    open_websocket(f, "");
    say_text(f, "four");
    turn(f);
    CHECK_TOLD(f, "text four; ");
    cv_conn_ws_consumed(f->conn, 1, 4);
    say_text(f, "fives");
    turn(f);
    CHECK(strncmp(told(f), "cut; end 1009 ", 14) == 0);
    CHECK_EQ(f->env.limited[CV_LIMIT_WS_MESSAGE], 1);
    CHECK_EQ(fixture_end(f), 0);
}

TEST(the_client_drops_the_connection)
{
    fixture_t *f = new_websocket();
    hang_up(f);
    turn(f);
    CHECK_TOLD(f, "gone; ");
    CHECK_EQ(f->env.conn_count, 0);
    CHECK_EQ(f->env.ws_count, 0);
    CHECK_EQ(fixture_end(f), 0);
}

TEST(messages_in_front_of_a_fin_are_all_read)
{
    fixture_t *f = websocket_fixture();
    f->env.ws.max_queue = 1;
    open_websocket(f, "");
    say_text(f, "a");
    say_text(f, "b");
    half_close(f);
    turn(f);
    CHECK_TOLD(f, "text a; ");
    cv_conn_ws_consumed(f->conn, 1, 1);
    turn(f);
    CHECK_TOLD(f, "text b; ");
    cv_conn_ws_consumed(f->conn, 1, 1);
    turn(f);
    CHECK_TOLD(f, "gone; ");
    CHECK_EQ(fixture_end(f), 0);
}

TEST(a_reset_is_seen_while_reading_is_paused)
{
    fixture_t *f = fixture_new_tcp();
    f->env.ws.enabled = true;
    f->env.ws.max_queue = 1;
    say(f, HANDSHAKE(""));
    while (f->told_len == 0) {
        turn_waiting(f);
    }
    cv_conn_ws_respond(f->conn);
    cv_conn_ws_open(f->conn);
    say_text(f, "a");
    while (strstr(f->told, "text a") == NULL) {
        turn_waiting(f);
    }
    told(f);
    reset(f);
    while (f->env.unfreed > 0) {
        turn_waiting(f);
    }
    CHECK_TOLD(f, "gone; ");
    CHECK_EQ(fixture_end(f), 0);
}

TEST(a_stop_closes_what_is_open_and_refuses_what_is_not)
{
    fixture_t *f = new_websocket();
    int first = f->client;
    fixture_connect(f);
    say(f, HANDSHAKE(""));
    turn(f);
    told(f);
    cv_conn_env_drain(&f->env);
    turn(f);
    CHECK_TOLD(f, "end 1012 ; gone; ");
    CHECK(strncmp(hear(f), "HTTP/1.1 503 ", 13) == 0);
    hang_up(f);
    f->client = first;
    CHECK_HEARD(f, "\x88\x02\x03\xf4");
    CHECK_EQ(fixture_end(f), 0);
}

TEST(a_handshake_that_is_accepted_during_a_stop_is_closed_at_once)
{
    fixture_t *f = websocket_fixture();
    cv_conn_env_drain(&f->env);
    say(f, HANDSHAKE(""));
    turn(f);
    CHECK_EQ(cv_conn_ws_respond(f->conn), 0);
    CHECK_EQ(cv_conn_ws_open(f->conn), 0);
    CHECK_TOLD(f, "websocket /chat; end 1012 ; ");
    turn(f);
    CHECK_HEARD(f, ACCEPTED "\r\n\x88\x02\x03\xf4");
    CHECK_EQ(fixture_end(f), 0);
}

TEST(one_connection_is_stopped)
{
    fixture_t *f = new_websocket();
    cv_conn_stop(f->conn);
    turn(f);
    CHECK_TOLD(f, "end 1012 ; ");
    CHECK_HEARD(f, "\x88\x02\x03\xf4");
    CHECK_EQ(fixture_end(f), 0);
    f = new_websocket();
    cv_conn_drain(f->conn);
    turn(f);
    CHECK_TOLD(f, "end 1012 ; ");
    CHECK_EQ(fixture_end(f), 0);
}

int
main(void)
{
    RUN(what_is_no_handshake_gets_its_status);
    RUN(where_none_is_enabled_a_handshake_is_a_request);
    RUN(one_more_than_may_be_open_is_refused);
    RUN(a_handshake_is_accepted_with_fields_and_what_came_behind_it_is_kept);
    RUN(a_head_may_be_taken_back_and_the_handshake_denied);
    RUN(messages_go_both_ways);
    RUN(reading_stops_at_so_many_messages);
    RUN(reading_stops_at_so_many_bytes);
    RUN(the_client_closes);
    RUN(the_application_closes_and_waits_for_the_client);
    RUN(a_close_frame_behind_messages_that_wait_is_found_after_our_own);
    RUN(the_peer_of_a_close_is_not_waited_for_for_ever);
    RUN(without_a_time_the_peer_of_a_close_is_not_waited_for);
    RUN(a_broken_frame_ends_it);
    RUN(what_came_in_front_of_a_broken_frame_can_be_answered);
    RUN(an_application_that_does_not_ask_again_holds_up_no_failure);
    RUN(a_message_that_is_too_large);
    RUN(the_client_drops_the_connection);
    RUN(messages_in_front_of_a_fin_are_all_read);
    RUN(a_reset_is_seen_while_reading_is_paused);
    RUN(a_stop_closes_what_is_open_and_refuses_what_is_not);
    RUN(a_handshake_that_is_accepted_during_a_stop_is_closed_at_once);
    RUN(one_connection_is_stopped);
    return cv_test_end();
}
