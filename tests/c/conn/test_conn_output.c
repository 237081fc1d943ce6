/* SPDX-License-Identifier: MIT
 *
 * How answers are queued and written: copied or referenced, in one piece or many, to a socket that takes all of it or
 * a little at a time.
 */
#include <sys/socket.h>

#include "conn/conn_fixture.h"
#include "cv_test.h"

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"
#define OK "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"

static char big[1 << 20];

static fixture_t *
new_asked(void)
{
    fixture_t *f = fixture_new();
    for (size_t i = 0; i < sizeof(big); i++) {
        big[i] = (char)('a' + i % 23);
    }
    say(f, GET("/"));
    turn(f);
    told(f);
    return f;
}

/* Takes turns and receives until `len` bytes came. */
static void
hear_all(fixture_t *f, char *to, size_t len)
{
    for (size_t at = 0; at < len;) {
        turn(f);
        hear(f);
        if (f->heard_len > len - at || (f->heard_len == 0 && f->heard_end)) {
            return;
        }
        memcpy(to + at, f->heard, f->heard_len);
        at += f->heard_len;
    }
}

TEST(a_small_answer_is_one_run_of_bytes)
{
    fixture_t *f = new_asked();
    CHECK_EQ(cv_conn_respond(f->conn, 200), 0);
    CHECK_EQ(f->conn->queued, 0);
    CHECK_EQ(body(f, "ok", 2, true), 0);
    CHECK_EQ(f->conn->segment_count, 0);
    CHECK_EQ(f->conn->queued, strlen(OK));
    cv_conn_flush(f->conn);
    CHECK_HEARD(f, OK);
    CHECK_EQ(f->env.bytes_out, strlen(OK));
    CHECK_EQ(fixture_end(f), 0);
}

TEST(a_held_head_is_not_written)
{
    fixture_t *f = new_asked();
    CHECK_EQ(cv_conn_respond(f->conn, 200), 0);
    CHECK_EQ(cv_conn_field(f->conn, "X-A", 3, "b", 1), 0);
    cv_conn_flush(f->conn);
    turn(f);
    CHECK_HEARD(f, "");
    CHECK_EQ(body(f, "", 0, false), 0);
    turn(f);
    CHECK_HEARD(f, "HTTP/1.1 200 OK\r\nx-a: b\r\ntransfer-encoding: chunked\r\n\r\n");
    CHECK_EQ(body(f, "x", 1, false), 0);
    CHECK_EQ(body(f, "yz", 2, true), 0);
    turn(f);
    CHECK_HEARD(f, "1\r\nx\r\n2\r\nyz\r\n0\r\n\r\n");
    CHECK_EQ(f->conn->state, CV_CONN_IDLE);
    CHECK_EQ(fixture_end(f), 0);
}

TEST(a_retracted_head_leaves_no_byte_and_the_request_as_it_was)
{
    fixture_t *f = new_asked();
    CHECK_EQ(cv_conn_respond(f->conn, 404), 0);
    CHECK_EQ(cv_conn_field(f->conn, "connection", 10, "close", 5), 0);
    cv_conn_retract(f->conn);
    cv_conn_retract(f->conn);
    CHECK(!f->conn->response_started);
    CHECK_EQ(answer(f, "ok"), 0);
    cv_conn_retract(f->conn);
    turn(f);
    CHECK_HEARD(f, OK);
    CHECK_EQ(f->conn->state, CV_CONN_IDLE);
    CHECK_EQ(fixture_end(f), 0);
}

TEST(calls_out_of_order_are_errors)
{
    fixture_t *f = new_asked();
    CHECK(body(f, "x", 1, true) < 0);
    CHECK(cv_conn_field(f->conn, "a", 1, "b", 1) < 0);
    CHECK_EQ(cv_conn_respond(f->conn, 99), CV_H1_WSTATUS);
    CHECK_EQ(cv_conn_respond(f->conn, 200), 0);
    CHECK(cv_conn_respond(f->conn, 200) < 0);
    CHECK_EQ(cv_conn_field(f->conn, "a b", 3, "b", 1), CV_H1_WNAME);
    CHECK_EQ(body(f, "ok", 2, true), 0);
    CHECK_EQ(body(f, "ok", 2, true), CV_CONN_EGONE);
    CHECK_EQ(cv_conn_respond(f->conn, 200), CV_CONN_EGONE);
    turn(f);
    CHECK_HEARD(f, OK);
    CHECK_EQ(fixture_end(f), 0);
}

TEST(a_large_piece_is_referenced_until_it_is_written)
{
    fixture_t *f = new_asked();
    bool kept = false;
    CHECK_EQ(cv_conn_respond(f->conn, 200), 0);
    CHECK_EQ(cv_conn_body(f->conn, big, 5000, true, f, &kept), 0);
    CHECK(kept);
    CHECK_EQ(f->conn->segment_count, 2);
    CHECK_TOLD(f, "");
    turn(f);
    CHECK_TOLD(f, "release; ");
    hear(f);
    const char head[] = "HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n\r\n";
    CHECK_EQ(f->heard_len, sizeof(head) - 1 + 5000);
    CHECK_EQ(memcmp(f->heard + sizeof(head) - 1, big, 5000), 0);
    CHECK(f->conn->segments == NULL);
    CHECK_EQ(fixture_end(f), 0);
}

TEST(a_small_piece_or_one_without_an_owner_is_copied)
{
    fixture_t *f = new_asked();
    bool kept = true;
    CHECK_EQ(cv_conn_respond(f->conn, 200), 0);
    CHECK_EQ(cv_conn_body(f->conn, big, 4096, false, f, &kept), 0);
    CHECK(!kept);
    CHECK_EQ(cv_conn_body(f->conn, big, 50000, true, NULL, &kept), 0);
    CHECK(!kept);
    CHECK_EQ(f->conn->segment_count, 0);
    turn(f);
    CHECK_TOLD(f, "");
    CHECK_EQ(fixture_end(f), 0);
}

/* More pieces than one sendmsg takes, copied and referenced in turn, to a socket that fills up. */
TEST(many_pieces_go_out_in_order)
{
    static char expected[sizeof(big)];
    static char got[sizeof(big)];
    fixture_t *f = new_asked();
    const char head[] = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    size_t len = sizeof(head) - 1;
    memcpy(expected, head, len);
    CHECK_EQ(cv_conn_respond(f->conn, 200), 0);
    for (int i = 0; i < 150; i++) {
        size_t piece = i % 3 == 0 ? 5000 : 10;
        bool kept;
        CHECK_EQ(cv_conn_body(f->conn, big + i, piece, false, f, &kept), 0);
        CHECK_EQ(kept, piece == 5000);
        len += (size_t)snprintf(expected + len, 20, "%zx\r\n", piece);
        memcpy(expected + len, big + i, piece);
        memcpy(expected + len + piece, "\r\n", 2);
        len += piece + 2;
    }
    CHECK_EQ(body(f, "", 0, true), 0);
    memcpy(expected + len, "0\r\n\r\n", 5);
    len += 5;
    CHECK(f->conn->segment_count > 64);
    CHECK_EQ(f->conn->queued, len);
    hear_all(f, got, len);
    CHECK_EQ(memcmp(got, expected, len), 0);
    CHECK_EQ(f->releases, 50);
    CHECK_EQ(f->conn->state, CV_CONN_IDLE);
    CHECK_EQ(f->conn->output.cap, 0);
    CHECK_EQ(fixture_end(f), 0);
}

static void
shrink_socket(fixture_t *f)
{
    int size = 4096;
    setsockopt(f->conn->transport.fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
}

TEST(a_full_socket_is_waited_for)
{
    static char got[sizeof(big)];
    fixture_t *f = new_asked();
    shrink_socket(f);
    CHECK_EQ(cv_conn_respond(f->conn, 200), 0);
    CHECK_EQ(body(f, big, 300000, true), 0);
    cv_conn_flush(f->conn);
    CHECK(f->conn->queued > 0);
    CHECK(f->conn->transport.writing);
    size_t queued = f->conn->queued;
    cv_conn_flush(f->conn);
    CHECK_EQ(f->conn->queued, queued);
    const char head[] = "HTTP/1.1 200 OK\r\ncontent-length: 300000\r\n\r\n";
    hear_all(f, got, sizeof(head) - 1 + 300000);
    CHECK_EQ(memcmp(got + sizeof(head) - 1, big, 300000), 0);
    CHECK_EQ(f->conn->queued, 0);
    turn(f);
    CHECK(!f->conn->transport.writing);
    CHECK_EQ(f->conn->state, CV_CONN_IDLE);
    CHECK_EQ(fixture_end(f), 0);
}

/* The queue is never empty, so that its front moves on while its end grows. */
TEST(pieces_may_follow_while_the_socket_is_full)
{
    static char got[sizeof(big)];
    enum { PIECE = 5000,
           PIECES = 100 };
    fixture_t *f = new_asked();
    shrink_socket(f);
    CHECK_EQ(cv_conn_respond(f->conn, 200), 0);
    CHECK_EQ(cv_conn_field(f->conn, "content-length", 14, "500000", 6), 0);
    const char head[] = "HTTP/1.1 200 OK\r\ncontent-length: 500000\r\n\r\n";
    size_t len = 0;
    int queued = 0;
    while (len < sizeof(head) - 1 + PIECE * PIECES) {
        for (int i = 0; i < 2 && queued < PIECES; i++, queued++) {
            bool kept;
            CHECK_EQ(cv_conn_body(f->conn, big + PIECE * queued, PIECE, queued == PIECES - 1, f, &kept), 0);
            CHECK(kept);
        }
        turn(f);
        ssize_t count = recv(f->client, got + len, PIECE, 0);
        CHECK(count > 0);
        len += (size_t)count;
    }
    CHECK_EQ(memcmp(got, head, sizeof(head) - 1), 0);
    CHECK_EQ(memcmp(got + sizeof(head) - 1, big, PIECE * PIECES), 0);
    CHECK_EQ(f->releases, PIECES);
    CHECK_EQ(f->conn->state, CV_CONN_IDLE);
    CHECK_EQ(fixture_end(f), 0);
}

TEST(the_marks_say_when_to_wait_and_when_to_go_on)
{
    fixture_t *f = new_asked();
    f->env.write_high = 100000;
    f->env.write_low = 50000;
    shrink_socket(f);
    CHECK_EQ(cv_conn_respond(f->conn, 200), 0);
    CHECK_EQ(body(f, big, 50000, false), 0);
    cv_conn_flush(f->conn);
    CHECK(!f->conn->above_high);
    CHECK_EQ(body(f, big, 150000, false), 0);
    CHECK(f->conn->above_high);
    CHECK_TOLD(f, "");
    while (f->conn->above_high) {
        CHECK(f->conn->queued > 50000);
        CHECK_TOLD(f, "");
        hear(f);
        turn(f);
    }
    CHECK(f->conn->queued <= 50000);
    CHECK_TOLD(f, "drain; ");
    CHECK_EQ(fixture_end(f), 0);
}

static void
send_more(fixture_t *f, cv_conn_t *conn)
{
    body(f, "more", 4, true);
    cv_conn_flush(conn);
}

TEST(on_drain_may_queue_more)
{
    static char got[sizeof(big)];
    fixture_t *f = new_asked();
    f->do_drain = send_more;
    shrink_socket(f);
    CHECK_EQ(cv_conn_respond(f->conn, 200), 0);
    CHECK_EQ(body(f, big, 200000, false), 0);
    const char head[] = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n30d40\r\n";
    size_t len = sizeof(head) - 1 + 200000 + 2 + 14;
    hear_all(f, got, len);
    CHECK_BYTES(got + len - 14, 14, "4\r\nmore\r\n0\r\n\r\n");
    CHECK_EQ(f->conn->state, CV_CONN_IDLE);
    CHECK_EQ(fixture_end(f), 0);
}

static void
close_now(fixture_t *f, cv_conn_t *conn)
{
    (void)f;
    cv_conn_close(conn, false);
}

TEST(on_drain_may_close)
{
    fixture_t *f = new_asked();
    f->do_drain = close_now;
    f->env.write_high = 1;
    CHECK_EQ(cv_conn_respond(f->conn, 200), 0);
    CHECK_EQ(body(f, "ok", 2, false), 0);
    turn(f);
    CHECK_TOLD(f, "drain; gone; ");
    CHECK_EQ(f->env.conn_count, 0);
    CHECK_EQ(fixture_end(f), 0);
}

TEST(pipelined_requests_wait_while_too_much_is_queued)
{
    static char got[sizeof(big)];
    fixture_t *f = new_asked();
    f->env.write_high = 1000;
    shrink_socket(f);
    say(f, GET("/2"));
    turn(f);
    CHECK_EQ(cv_conn_respond(f->conn, 200), 0);
    CHECK_EQ(body(f, big, 300000, true), 0);
    turn(f);
    CHECK(f->conn->queued > 1000);
    CHECK(!cv_conn_can_advance(f->conn));
    CHECK_TOLD(f, "");
    hear_all(f, got, strlen("HTTP/1.1 200 OK\r\ncontent-length: 300000\r\n\r\n") + 300000);
    turn(f);
    CHECK_TOLD(f, "head GET /2; end; ");
    CHECK_EQ(answer(f, "ok"), 0);
    turn(f);
    CHECK_HEARD(f, OK);
    CHECK_EQ(fixture_end(f), 0);
}

TEST(too_much_body_is_cut_and_closes)
{
    fixture_t *f = new_asked();
    CHECK_EQ(cv_conn_respond(f->conn, 200), 0);
    CHECK_EQ(cv_conn_field(f->conn, "content-length", 14, "3", 1), 0);
    CHECK_EQ(body(f, "abcd", 4, false), CV_H1_WLONG);
    CHECK_EQ(body(f, "e", 1, true), CV_CONN_EGONE);
    turn(f);
    CHECK_HEARD(f, "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc");
    CHECK(f->heard_end);
    CHECK_TOLD(f, "gone; ");
    CHECK_EQ(fixture_end(f), 0);
}

TEST(too_much_body_by_reference_is_cut_and_released)
{
    fixture_t *f = new_asked();
    bool kept;
    CHECK_EQ(cv_conn_respond(f->conn, 200), 0);
    CHECK_EQ(cv_conn_field(f->conn, "content-length", 14, "3", 1), 0);
    CHECK_EQ(cv_conn_body(f->conn, big, 9000, true, f, &kept), CV_H1_WLONG);
    CHECK(kept);
    turn(f);
    CHECK_HEARD(f, "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc");
    CHECK_EQ(f->releases, 1);
    CHECK_EQ(fixture_end(f), 0);
}

TEST(too_little_body_closes)
{
    fixture_t *f = new_asked();
    CHECK_EQ(cv_conn_respond(f->conn, 200), 0);
    CHECK_EQ(cv_conn_field(f->conn, "content-length", 14, "3", 1), 0);
    CHECK_EQ(body(f, "ab", 2, true), CV_H1_WSHORT);
    turn(f);
    hear(f);
    CHECK(f->heard_end);
    CHECK_TOLD(f, "gone; ");
    CHECK_EQ(fixture_end(f), 0);
}

TEST(an_answer_that_says_close_closes)
{
    fixture_t *f = new_asked();
    CHECK_EQ(cv_conn_respond(f->conn, 200), 0);
    CHECK_EQ(cv_conn_field(f->conn, "Connection", 10, "close", 5), 0);
    CHECK_EQ(body(f, "ok", 2, true), 0);
    turn(f);
    CHECK_HEARD(f, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok");
    CHECK(f->heard_end);
    CHECK_EQ(f->env.unfreed, 0);
    CHECK_EQ(fixture_end(f), 0);
}

TEST(bytes_of_a_peer_that_is_gone_are_released)
{
    fixture_t *f = new_asked();
    bool kept;
    shrink_socket(f);
    CHECK_EQ(cv_conn_respond(f->conn, 200), 0);
    for (int i = 0; i < 5; i++) {
        CHECK_EQ(cv_conn_body(f->conn, big, 100000, false, f, &kept), 0);
        CHECK(kept);
    }
    cv_conn_flush(f->conn);
    hang_up(f);
    turn(f);
    const char *text = told(f);
    CHECK(strstr(text, "gone; ") != NULL);
    CHECK_EQ(f->releases, 5);
    CHECK_EQ(f->env.unfreed, 0);
    CHECK_EQ(fixture_end(f), 0);
}

TEST(a_write_finds_the_peer_gone)
{
    fixture_t *f = new_asked();
    hang_up(f);
    CHECK_EQ(cv_conn_respond(f->conn, 200), 0);
    CHECK_EQ(body(f, "x", 1, false), 0);
    cv_conn_flush(f->conn);
    CHECK_TOLD(f, "gone; ");
    CHECK_EQ(f->conn->state, CV_CONN_CLOSED);
    CHECK_EQ(body(f, "x", 1, true), CV_CONN_EGONE);
    CHECK_EQ(cv_conn_respond(f->conn, 200), CV_CONN_EGONE);
    CHECK_EQ(cv_conn_field(f->conn, "a", 1, "b", 1), CV_CONN_EGONE);
    CHECK(!cv_conn_can_advance(f->conn));
    cv_conn_advance(f->conn);
    cv_conn_consumed(f->conn, 1);
    cv_conn_want_body(f->conn);
    cv_conn_refuse(f->conn, 500, NULL);
    cv_conn_fail(f->conn);
    cv_conn_flush(f->conn);
    cv_conn_close(f->conn, true);
    CHECK_TOLD(f, "");
    CHECK_EQ(fixture_end(f), 0);
}

TEST(date_and_server_are_added_unless_given)
{
    fixture_t *f = new_asked();
    f->env.date_header = true;
    CHECK_EQ(cv_default_fields_add(&f->env.default_fields, "server", 6, "cuvee", 5), 0);
    CHECK_EQ(answer(f, "ok"), 0);
    turn(f);
    hear(f);
    CHECK(strstr(f->heard, "\r\ndate: ") != NULL);
    CHECK(strstr(f->heard, " GMT\r\nserver: cuvee\r\ncontent-length: 2\r\n\r\nok") != NULL);
    CHECK_EQ(fixture_end(f), 0);
}

int
main(void)
{
    RUN(a_small_answer_is_one_run_of_bytes);
    RUN(a_held_head_is_not_written);
    RUN(a_retracted_head_leaves_no_byte_and_the_request_as_it_was);
    RUN(calls_out_of_order_are_errors);
    RUN(a_large_piece_is_referenced_until_it_is_written);
    RUN(a_small_piece_or_one_without_an_owner_is_copied);
    RUN(many_pieces_go_out_in_order);
    RUN(a_full_socket_is_waited_for);
    RUN(pieces_may_follow_while_the_socket_is_full);
    RUN(the_marks_say_when_to_wait_and_when_to_go_on);
    RUN(on_drain_may_queue_more);
    RUN(on_drain_may_close);
    RUN(pipelined_requests_wait_while_too_much_is_queued);
    RUN(too_much_body_is_cut_and_closes);
    RUN(too_much_body_by_reference_is_cut_and_released);
    RUN(too_little_body_closes);
    RUN(an_answer_that_says_close_closes);
    RUN(bytes_of_a_peer_that_is_gone_are_released);
    RUN(a_write_finds_the_peer_gone);
    RUN(date_and_server_are_added_unless_given);
    return cv_test_end();
}
