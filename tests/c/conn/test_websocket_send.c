/* SPDX-License-Identifier: MIT
 *
 * What a WebSocket sends: copied, referenced or compressed messages, more than the client takes, pings and what follows
 * from them; and what happens without memory.
 */
#define _GNU_SOURCE /* memmem */
#include "cv_test_memory.h"

#include "base/buffer.c"
#include "conn/conn_output.c"
#include "conn/websocket_handshake.c"

#include "conn/websocket_fixture.h"
#include "cv_test.h"

enum { SOON = 3,
       FIELD = 880, /* with it the head fills a first output, but for its end */
       MOST_CALLS = 40 };

static char big[300000];
static char first_field[FIELD];


static int
send_bytes(fixture_t *f, size_t len, bool repeated, bool *out_kept)
{
    return cv_conn_ws_send(f->conn, CV_WS_BINARY, (cv_span_t){big, len}, f, repeated, out_kept);
}

static void
fill_with_noise(char *data, size_t len, uint32_t seed)
{
    for (size_t i = 0; i < len; i++) {
        seed = seed * 1664525 + 1013904223;
        data[i] = (char)(seed >> 24);
    }
}

static fixture_t *
new_deflating(const char *more)
{
    fixture_t *f = websocket_fixture();
    f->env.ws.deflate.enabled = true;
    open_websocket(f, more);
    return f;
}

TEST(a_short_message_is_copied_and_a_long_one_referenced)
{
    fixture_t *f = new_websocket();
    bool kept = true;
    CHECK_EQ(send_bytes(f, 4096, false, &kept), 0);
    CHECK(!kept);
    CHECK_EQ(send_bytes(f, 4097, false, &kept), 0);
    CHECK(kept);
    CHECK_EQ(f->releases, 0);
    turn(f);
    CHECK_EQ(f->releases, 1);
    hear(f);
    CHECK_EQ(f->heard_len, 4 + 4096 + 4 + 4097);
    CHECK_EQ(fixture_end(f), 0);
}

TEST(more_than_the_client_takes_is_told_and_drains)
{
    fixture_t *f = new_websocket();
    f->env.ws.send_high = 1000;
    bool kept;
    while (!f->conn->transport.writing) {
        CHECK_EQ(send_bytes(f, 100000, false, &kept), 0);
        cv_conn_flush(f->conn);
    }
    CHECK(f->conn->above_high);
    while (f->conn->queued > 0) {
        hear(f);
        turn(f);
    }
    CHECK(!f->conn->above_high);
    CHECK(strstr(told(f), "drain; ") != NULL);
    CHECK_EQ(fixture_end(f), 0);
}

TEST(of_many_pings_the_last_is_answered_when_there_is_room)
{
    fixture_t *f = new_websocket();
    f->env.ws.send_high = 1000;
    bool kept;
    while (!f->conn->transport.writing) {
        send_bytes(f, 100000, false, &kept);
        cv_conn_flush(f->conn);
    }
    say_frame(f, 0x89, "one", 3);
    say_frame(f, 0x89, "two", 3);
    say_frame(f, 0x89, "three", 5);
    turn(f);
    size_t last = 0;
    while (f->conn->queued > 0 || f->conn->websocket->pong.len > 0) {
        hear(f);
        last = f->heard_len;
        turn(f);
    }
    hear(f);
    last = f->heard_len > 0 ? f->heard_len : last;
    CHECK(last >= 7);
    CHECK(memcmp(f->heard + last - 7, "\x8a\x05three", 7) == 0);
    CHECK(memmem(f->heard, last, "\x8a\x03two", 5) == NULL);
    CHECK_EQ(fixture_end(f), 0);
}

TEST(a_message_is_compressed_from_the_threshold_on_if_it_shrinks)
{
    fixture_t *f = new_deflating(DEFLATE);
    CHECK(strstr(hear(f), "permessage-deflate; server_no_context_takeover; client_no_context_takeover") != NULL);
    bool kept = true;
    CHECK_EQ(send_bytes(f, 127, false, &kept), 0);
    turn(f);
    hear(f);
    CHECK_EQ(f->heard_len, 2 + 127 + 2); /* the head has two bytes more from 126 on */
    CHECK_EQ(send_bytes(f, 100000, false, &kept), 0);
    CHECK(!kept);
    turn(f);
    hear(f);
    CHECK_EQ((unsigned char)f->heard[0], 0xc2);
    CHECK(f->heard_len < 1000);
    char noise[200];
    fill_with_noise(noise, sizeof noise, 1);
    CHECK_EQ(cv_conn_ws_send(f->conn, CV_WS_BINARY, (cv_span_t){noise, sizeof noise}, NULL, false, &kept), 0);
    turn(f);
    hear(f);
    CHECK_EQ((unsigned char)f->heard[0], 0x82);
    CHECK_EQ(fixture_end(f), 0);
}

TEST(what_goes_to_many_is_compressed_once)
{
    fixture_t *f = new_deflating(DEFLATE);
    hear(f);
    bool kept;
    CHECK_EQ(send_bytes(f, 5000, false, &kept), 0);
    CHECK_EQ(f->env.deflated_bits, 12);
    f->env.deflated.data[0] ^= 1; /* seen by who uses it again */
    char changed = f->env.deflated.data[0];
    CHECK_EQ(send_bytes(f, 5000, true, &kept), 0);
    CHECK_EQ(f->env.deflated.data[0], changed);
    CHECK_EQ(send_bytes(f, 5000, false, &kept), 0);
    CHECK(f->env.deflated.data[0] != changed);
    turn(f);
    CHECK_EQ(f->env.deflated_bits, 0); /* not kept from one turn to the next */
    CHECK_EQ(send_bytes(f, 100, false, &kept), 0); /* too short to be compressed: nothing may be repeated behind it */
    CHECK_EQ(f->env.deflated_bits, 0);
    CHECK_EQ(fixture_end(f), 0);
}

TEST(what_could_not_be_sent_to_one_is_not_taken_for_compressed)
{
    fixture_t *f = new_deflating(DEFLATE);
    hear(f);
    bool kept;
    CHECK_EQ(send_bytes(f, 5000, false, &kept), 0);
    CHECK_EQ(f->env.deflated_bits, 12);
    CHECK_EQ(cv_conn_ws_close(f->conn, 1000, (cv_span_t){"", 0}), 0);
    CHECK_EQ(send_bytes(f, 6000, false, &kept), CV_CONN_EGONE);
    CHECK_EQ(f->env.deflated_bits, 0); /* another client, to whom these 6000 are repeated, must not get the 5000 */
    CHECK_EQ(fixture_end(f), 0);
}

TEST(with_a_context_a_message_that_is_lost_for_want_of_memory_ends_the_connection)
{
    fixture_t *f = websocket_fixture();
    f->env.ws.deflate.enabled = f->env.ws.deflate.context = true;
    open_websocket(f, DEFLATE);
    hear(f);
    bool kept;
    cv_test_memory_left = 0;
    CHECK_EQ(send_bytes(f, 5000, false, &kept), -ENOMEM);
    cv_test_memory_left = -1;
    CHECK(f->conn->state == CV_CONN_CLOSED);
    CHECK(!kept);
    CHECK_EQ(fixture_end(f), 0);
}

TEST(with_a_context_a_message_may_refer_to_the_one_before)
{
    fixture_t *f = websocket_fixture();
    f->env.ws.deflate.enabled = f->env.ws.deflate.context = true;
    open_websocket(f, DEFLATE);
    hear(f);
    bool kept;
    for (size_t i = 0; i < 1000; i++) {
        big[i] = (char)(i * i >> 3);
    }
    CHECK_EQ(send_bytes(f, 1000, false, &kept), 0);
    turn(f);
    hear(f);
    size_t first = f->heard_len;
    CHECK_EQ(send_bytes(f, 1000, true, &kept), 0);
    turn(f);
    hear(f);
    CHECK(f->heard_len < first / 2);
    memset(big, 0, 1000);
    CHECK_EQ(fixture_end(f), 0);
}

TEST(an_accept_that_fails_leaves_the_handshake_as_it_was)
{
    fixture_t *f = websocket_fixture();
    say(f, HANDSHAKE(""));
    turn(f);
    CHECK_EQ(cv_conn_ws_respond(f->conn), 0);
    CHECK_EQ(cv_conn_ws_respond(f->conn), -EALREADY); /* the head that is held stays */
    memset(first_field, 'x', sizeof first_field);
    CHECK_EQ(cv_conn_ws_field(f->conn, (cv_span_t){"x-long", 6}, (cv_span_t){first_field, sizeof first_field}), 0);
    cv_test_memory_left = 0;
    int error = cv_conn_ws_open(f->conn);
    cv_test_memory_left = -1;
    CHECK_EQ(error, -ENOMEM);
    cv_conn_retract(f->conn);
    CHECK_EQ(cv_conn_ws_respond(f->conn), 0);
    CHECK_EQ(cv_conn_ws_open(f->conn), 0);
    turn(f);
    CHECK_HEARD(f, ACCEPTED "\r\n");
    CHECK_EQ(fixture_end(f), 0);
}

static void
pinging(fixture_t *f, uint32_t timeout)
{
    f->env.ws.ping_interval = SOON;
    f->env.ws.ping_timeout = timeout;
    open_websocket(f, "");
    hear(f);
}

static void
wait_to_hear(fixture_t *f)
{
    while (hear(f)[0] == '\0' && !f->heard_end) {
        turn_waiting(f);
    }
}

TEST(a_ping_that_nothing_follows_ends_the_connection)
{
    fixture_t *f = websocket_fixture();
    pinging(f, SOON);
    wait_to_hear(f);
    CHECK_EQ((unsigned char)f->heard[0], 0x89);
    CHECK_EQ(f->heard[1], 4);
    while (strstr(f->told, "end") == NULL) {
        turn_waiting(f);
    }
    CHECK(strncmp(told(f), "end 1006 keepalive ping timeout; cut; ", 38) == 0);
    wait_to_hear(f);
    CHECK(memmem(f->heard, f->heard_len, "\x03\xf3keepalive ping timeout", 24) != NULL);
    CHECK_EQ(f->env.limited[CV_TIMEOUT_WS_PING], 1);
    CHECK_EQ(fixture_end(f), 0);
}

TEST(any_byte_is_a_sign_of_life)
{
    fixture_t *f = websocket_fixture();
    pinging(f, 60000);
    for (int i = 0; i < 3; i++) {
        wait_to_hear(f);
        CHECK_EQ((unsigned char)f->heard[0], 0x89);
        say_frame(f, 0x8a, "", 0);
        turn(f);
    }
    CHECK_TOLD(f, "");
    CHECK_EQ(fixture_end(f), 0);
}

TEST(pings_that_want_no_answer_go_on)
{
    fixture_t *f = websocket_fixture();
    pinging(f, 0);
    for (int i = 0; i < 3; i++) {
        wait_to_hear(f);
        CHECK_EQ((unsigned char)f->heard[0], 0x89);
    }
    CHECK_TOLD(f, "");
    CHECK_EQ(fixture_end(f), 0);
}

TEST(while_we_do_not_read_no_sign_of_life_is_expected)
{
    fixture_t *f = websocket_fixture();
    f->env.ws.max_queue = 1;
    pinging(f, SOON);
    say_text(f, "a");
    say_frame(f, 0x8a, "", 0);
    turn(f);
    CHECK_TOLD(f, "text a; ");
    for (int i = 0; i < 6; i++) {
        turn_waiting(f);
    }
    CHECK_TOLD(f, "");
    CHECK_EQ(fixture_end(f), 0);
}

TEST(a_connection_without_messages_is_closed)
{
    fixture_t *f = websocket_fixture();
    f->env.ws.idle_timeout = SOON;
    open_websocket(f, "");
    hear(f);
    wait_to_hear(f);
    CHECK(memmem(f->heard, f->heard_len, "\x03\xe9idle timeout", 14) != NULL);
    CHECK_TOLD(f, "cut; end 1001 idle timeout; ");
    CHECK_EQ(f->env.limited[CV_TIMEOUT_WS_IDLE], 1);
    CHECK_EQ(fixture_end(f), 0);
}

/* As where there is none for a parser: the log has a line for it. */
TEST(a_handshake_without_memory_is_told_as_refused)
{
    fixture_t *f = websocket_fixture();
    say(f, HANDSHAKE(""));
    cv_test_memory_left = 0;
    turn(f);
    cv_test_memory_left = -1;
    CHECK_TOLD(f, "refused 0; gone; ");
    CHECK_EQ(f->env.ws_count, 0);
    CHECK_EQ(fixture_end(f), 0);
}

/* Everything that takes memory, once. Returns false once all of it was there. */
static bool
lacks_memory(int left)
{
    fixture_t *f = websocket_fixture();
    bool kept = false;
    char data[700];
    memset(data, 'x', sizeof data);
    say(f, HANDSHAKE(""));
    cv_test_memory_left = left;
    turn(f);
    bool failed = f->env.unfreed == 0 || cv_conn_ws_respond(f->conn) < 0 || cv_conn_ws_open(f->conn) < 0;
    if (!failed) {
        failed = cv_conn_ws_send(f->conn, CV_WS_BINARY, (cv_span_t){data, sizeof data}, NULL, false, &kept) < 0
            || cv_conn_ws_send(f->conn, CV_WS_BINARY, (cv_span_t){big, sizeof big}, f, false, &kept) < 0
            || cv_conn_ws_close(f->conn, 1000, (cv_span_t){"bye", 3}) < 0;
    }
    failed |= cv_test_memory_left == 0;
    cv_test_memory_left = -1;
    CHECK_EQ(fixture_end(f), 0);
    return failed;
}

TEST(without_memory_it_fails_and_nothing_is_lost)
{
    int left = 0;
    while (lacks_memory(left) && left < MOST_CALLS) {
        left++;
    }
    CHECK(left > 2);
    CHECK(left < MOST_CALLS);
}

int
main(void)
{
    RUN(a_short_message_is_copied_and_a_long_one_referenced);
    RUN(more_than_the_client_takes_is_told_and_drains);
    RUN(of_many_pings_the_last_is_answered_when_there_is_room);
    RUN(a_message_is_compressed_from_the_threshold_on_if_it_shrinks);
    RUN(what_goes_to_many_is_compressed_once);
    RUN(what_could_not_be_sent_to_one_is_not_taken_for_compressed);
    RUN(with_a_context_a_message_that_is_lost_for_want_of_memory_ends_the_connection);
    RUN(with_a_context_a_message_may_refer_to_the_one_before);
    RUN(an_accept_that_fails_leaves_the_handshake_as_it_was);
    RUN(a_ping_that_nothing_follows_ends_the_connection);
    RUN(any_byte_is_a_sign_of_life);
    RUN(pings_that_want_no_answer_go_on);
    RUN(while_we_do_not_read_no_sign_of_life_is_expected);
    RUN(a_connection_without_messages_is_closed);
    RUN(a_handshake_without_memory_is_told_as_refused);
    RUN(without_memory_it_fails_and_nothing_is_lost);
    return cv_test_end();
}
