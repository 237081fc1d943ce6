/* SPDX-License-Identifier: MIT
 *
 * The ends of a connection: the peer's FIN and RST in every state, our own close, lingering and abort.
 */
#include <unistd.h>

#include "conn/conn_fixture.h"
#include "cv_test.h"

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"
#define OK "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
#define OK_CLOSE "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok"
#define PUT_HALF "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n01234"

static char big[400000];

/* Brings a connection into one state after the other; returns false after the last. */
enum { FRESH,
       KEPT,
       PART_OF_HEAD,
       OPEN_WITH_BODY,
       OPEN_COMPLETE,
       STREAMING,
       PAUSED_BODY,
       PAUSED_INPUT,
       DISCARDING,
       LINGERING,
       STATES };

static const char *const state_names[STATES] = {"fresh", "kept", "part of head", "open with body", "open complete",
                                                "streaming", "paused body", "paused input", "discarding", "lingering"};

static void
bring_to(fixture_t *f, int state)
{
    switch (state) {
    case KEPT:
        say(f, GET("/0"));
        turn(f);
        answer(f, "ok");
        break;
    case PART_OF_HEAD:
        say(f, "GET / HT");
        break;
    case PAUSED_BODY:
        f->env.read_high = 1;
        say(f, PUT_HALF);
        break;
    case OPEN_WITH_BODY:
        say(f, PUT_HALF);
        break;
    case PAUSED_INPUT:
        f->env.read_high = 1;
        say(f, GET("/1") GET("/2"));
        break;
    case OPEN_COMPLETE:
        say(f, GET("/"));
        break;
    case STREAMING:
        say(f, GET("/"));
        turn(f);
        cv_conn_respond(f->conn, 200);
        body(f, big, sizeof(big), false);
        break;
    case DISCARDING:
        say(f, PUT_HALF);
        turn(f);
        answer(f, "ok");
        break;
    case LINGERING:
        say(f, "BAD\r\n\r\n");
        break;
    default:
        break;
    }
    turn(f);
}

/* Each end of the peer ends the connection in each state, with one on_gone. */
static void
check_gone(int state, fixture_t *f)
{
    while (f->env.unfreed > 0) {
        turn_waiting(f);
    }
    const char *text = told(f);
    const char *gone = strstr(text, "gone; ");
    if (gone == NULL || gone[strlen("gone; ")] != '\0') {
        CV_TEST_FAIL("%s: told %s", state_names[state], text);
    }
    CHECK_EQ(fixture_end(f), 0);
}

TEST(a_fin_ends_the_connection_in_every_state)
{
    for (int state = 0; state < STATES; state++) {
        fixture_t *f = fixture_new();
        bring_to(f, state);
        CHECK_EQ(f->env.conn_count, 1);
        half_close(f);
        check_gone(state, f);
    }
}

TEST(a_hang_up_ends_the_connection_in_every_state)
{
    for (int state = 0; state < STATES; state++) {
        fixture_t *f = fixture_new();
        bring_to(f, state);
        hang_up(f);
        check_gone(state, f);
    }
}

TEST(a_fin_over_tcp_ends_the_connection_in_every_state)
{
    for (int state = 0; state < STATES; state++) {
        fixture_t *f = fixture_new_tcp();
        bring_to(f, state);
        half_close(f);
        check_gone(state, f);
    }
}

TEST(a_reset_ends_the_connection_in_every_state)
{
    for (int state = 0; state < STATES; state++) {
        fixture_t *f = fixture_new_tcp();
        bring_to(f, state);
        reset(f);
        check_gone(state, f);
    }
}

TEST(a_close_of_ours_ends_the_connection_in_every_state)
{
    for (int state = 0; state < STATES; state++) {
        fixture_t *f = fixture_new();
        bring_to(f, state);
        cv_conn_close(f->conn, state % 2 == 0);
        cv_conn_close(f->conn, false);
        turn(f);
        check_gone(state, f);
    }
}

TEST(an_abort_ends_every_connection)
{
    fixture_t *f = fixture_new();
    int clients[STATES];
    for (int state = 0; state < STATES; state++) {
        bring_to(f, state);
        clients[state] = f->client;
        fixture_connect(f);
    }
    told(f);
    cv_conn_env_abort(&f->env);
    CHECK_EQ(f->env.conn_count, 0);
    const char *text = told(f);
    for (int i = 0; i < STATES + 1; i++) {
        text = strstr(text, "gone; ");
        CHECK(text != NULL);
        text++;
    }
    CHECK(strstr(text, "gone; ") == NULL);
    for (int state = 0; state < STATES; state++) {
        close(clients[state]);
    }
    CHECK_EQ(fixture_end(f), 0);
}

TEST(a_head_before_a_fin_is_handed_up)
{
    fixture_t *f = fixture_new();
    say(f, GET("/x"));
    half_close(f);
    turn(f);
    CHECK_TOLD(f, "head GET /x; end; gone; ");
    CHECK_EQ(fixture_end(f), 0);
}

TEST(a_complete_answer_still_goes_out_after_a_fin)
{
    static char got[500000];
    fixture_t *f = fixture_new();
    say(f, GET("/x"));
    turn(f);
    CHECK_EQ(cv_conn_respond(f->conn, 200), 0);
    CHECK_EQ(body(f, big, sizeof(big), true), 0);
    turn(f);
    CHECK(f->conn->queued > 0);
    half_close(f);
    turn(f);
    CHECK_EQ(f->env.conn_count, 1);
    size_t len = 0;
    while (!f->heard_end) {
        turn(f);
        hear(f);
        CHECK(len + f->heard_len < sizeof(got));
        memcpy(got + len, f->heard, f->heard_len);
        len += f->heard_len;
    }
    CHECK_EQ(len, strlen("HTTP/1.1 200 OK\r\ncontent-length: 400000\r\n\r\n") + sizeof(big));
    turn(f);
    CHECK_TOLD(f, "head GET /x; end; gone; ");
    CHECK_EQ(f->env.unfreed, 0);
    CHECK_EQ(fixture_end(f), 0);
}

TEST(half_close_is_the_end_of_input_only)
{
    fixture_t *f = fixture_new();
    f->env.half_close = true;
    say(f, GET("/1") GET("/2"));
    half_close(f);
    turn(f);
    CHECK_TOLD(f, "head GET /1; end; ");
    turn(f);
    CHECK_EQ(answer(f, "ok"), 0);
    turn(f);
    CHECK_TOLD(f, "head GET /2; end; ");
    CHECK_EQ(answer(f, "ok"), 0);
    turn(f);
    CHECK_HEARD(f, OK OK_CLOSE);
    CHECK(f->heard_end);
    CHECK_TOLD(f, "gone; ");
    CHECK_EQ(f->env.unfreed, 0);
    CHECK_EQ(fixture_end(f), 0);
}

/* The head said that the connection goes on: nobody knew better then. */
TEST(half_close_behind_a_head_closes_after_the_answer)
{
    fixture_t *f = fixture_new();
    f->env.half_close = true;
    say(f, GET("/"));
    turn(f);
    CHECK_EQ(cv_conn_respond(f->conn, 200), 0);
    CHECK_EQ(body(f, "ab", 2, false), 0);
    turn(f);
    half_close(f);
    turn(f);
    CHECK_EQ(body(f, "", 0, true), 0);
    turn(f);
    CHECK_TOLD(f, "head GET /; end; gone; ");
    CHECK_HEARD(f, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n");
    CHECK(f->heard_end);
    CHECK_EQ(fixture_end(f), 0);
}

TEST(half_close_with_part_of_a_request_is_a_disconnect)
{
    fixture_t *f = fixture_new();
    f->env.half_close = true;
    say(f, PUT_HALF);
    half_close(f);
    turn(f);
    CHECK_TOLD(f, "head PUT /; body 01234; gone; ");
    CHECK_EQ(fixture_end(f), 0);
}

TEST(half_close_with_part_of_a_next_head_closes_after_the_answer)
{
    fixture_t *f = fixture_new();
    f->env.half_close = true;
    say(f, GET("/1") "GET /2 HT");
    half_close(f);
    turn(f);
    CHECK_EQ(answer(f, "ok"), 0);
    turn(f);
    CHECK_HEARD(f, OK);
    CHECK(f->heard_end);
    CHECK_TOLD(f, "head GET /1; end; gone; ");
    CHECK_EQ(f->env.unfreed, 0);
    CHECK_EQ(fixture_end(f), 0);
}

TEST(half_close_does_not_spin_and_a_reset_is_still_seen)
{
    fixture_t *f = fixture_new_tcp();
    f->env.half_close = true;
    say(f, GET("/1"));
    half_close(f);
    while (f->told_len == 0 || !f->conn->input_ended) {
        turn_waiting(f);
    }
    CHECK(!f->conn->transport.reading);
    reset(f);
    CHECK_EQ(cv_conn_respond(f->conn, 200), 0);
    while (f->env.conn_count > 0) {
        body(f, "x", 1, false);
        turn(f);
    }
    CHECK_EQ(fixture_end(f), 0);
}

TEST(half_close_with_part_of_a_next_head_closes_behind_an_answer_that_is_large)
{
    static char big[400000];
    fixture_t *f = fixture_new();
    f->env.half_close = true;
    say(f, GET("/1") "GET /2 HT");
    half_close(f);
    turn(f);
    CHECK_EQ(cv_conn_respond(f->conn, 200), 0);
    CHECK_EQ(body(f, big, sizeof(big), true), 0);
    turn(f);
    CHECK(f->conn->transport.writing);
    for (int i = 0; i < 100 && f->env.conn_count > 0; i++) {
        hear(f);
        uv_run(&f->loop, UV_RUN_NOWAIT); /* nobody flushes meanwhile */
    }
    CHECK_EQ(f->env.conn_count, 0);
    CHECK_TOLD(f, "head GET /1; end; gone; ");
    CHECK_EQ(fixture_end(f), 0);
}

TEST(half_close_reads_what_came_before_a_peer_closed_and_rests_meanwhile)
{
    fixture_t *f = fixture_new();
    f->env.half_close = true;
    f->env.read_high = 2;
    say(f, PUT_HALF);
    turn(f);
    CHECK(!f->conn->transport.reading);
    say(f, "56789");
    hang_up(f);
    for (int i = 0; i < 3; i++) {
        turn(f);
    }
    CHECK_TOLD(f, "head PUT /; body 01234; ");
#ifdef __linux__
    CHECK(!uv_is_active((uv_handle_t *)&f->conn->transport.poll));
#endif
    cv_conn_consumed(f->conn, 5);
    turn(f);
    cv_conn_consumed(f->conn, 5);
    turn(f);
    turn(f);
    CHECK_TOLD(f, "body 56789; end; gone; ");
    CHECK_EQ(f->env.unfreed, 0);
    CHECK_EQ(fixture_end(f), 0);
}

/* The answer to half a request must not be destroyed by RST while the client still sends. */
TEST(an_early_last_answer_lingers_until_the_client_is_done)
{
    fixture_t *f = fixture_new_tcp();
    say(f, PUT_HALF);
    while (f->told_len == 0) {
        turn_waiting(f);
    }
    CHECK_EQ(cv_conn_respond(f->conn, 413), 0);
    CHECK_EQ(cv_conn_field(f->conn, "connection", 10, "close", 5), 0);
    CHECK_EQ(body(f, "no", 2, true), 0);
    turn(f);
    CHECK_EQ(f->conn->state, CV_CONN_LINGERING);
    say(f, "56789");
    say(f, "more than was announced");
    turn(f);
    hear(f);
    CHECK(strstr(f->heard, "413") != NULL);
    CHECK(f->heard_end && !f->heard_reset);
    CHECK_EQ(f->conn->state, CV_CONN_LINGERING);
    hang_up(f);
    while (f->env.unfreed > 0) {
        turn_waiting(f);
    }
    CHECK_EQ(fixture_end(f), 0);
}

TEST(a_last_answer_with_unread_bytes_lingers)
{
    fixture_t *f = fixture_new();
    say(f, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    turn(f);
    CHECK_EQ(answer(f, "ok"), 0);
    say(f, "late");
    cv_conn_flush(f->conn);
    CHECK_EQ(f->conn->state, CV_CONN_LINGERING);
    CHECK_HEARD(f, OK_CLOSE);
    CHECK(f->heard_end);
    CHECK_EQ(fixture_end(f), 0);
}

TEST(bytes_behind_a_last_request_are_dropped)
{
    fixture_t *f = fixture_new();
    f->do_end = answer_ok;
    say(f, "GET /1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" GET("/2"));
    turn(f);
    CHECK_TOLD(f, "head GET /1; end; ");
    CHECK_HEARD(f, OK_CLOSE);
    CHECK_EQ(f->conn->state, CV_CONN_LINGERING);
    CHECK_EQ(f->conn->input.cap, 0);
    CHECK_EQ(fixture_end(f), 0);
}

TEST(a_close_inside_on_gone_is_harmless)
{
    fixture_t *f = fixture_new();
    void (*close_again)(fixture_t *, cv_conn_t *) = answer_ok;
    f->do_gone = close_again;
    say(f, GET("/x"));
    turn(f);
    hang_up(f);
    turn(f);
    CHECK_TOLD(f, "head GET /x; end; gone; ");
    CHECK_EQ(f->env.unfreed, 0);
    CHECK_EQ(fixture_end(f), 0);
}

TEST(one_connection_is_drained_and_others_go_on)
{
    fixture_t *f = fixture_new();
    cv_conn_t *first = f->conn;
    int first_client = f->client;
    say(f, GET("/1"));
    turn(f);
    fixture_connect(f);
    cv_conn_drain(first);
    CHECK_EQ(f->env.conn_count, 2);
    say(f, GET("/2"));
    turn(f);
    CHECK_EQ(answer(f, "ok"), 0);
    turn(f);
    CHECK_HEARD(f, OK);
    CHECK(!f->heard_end);
    int second_client = f->client;
    f->conn = first;
    f->client = first_client;
    CHECK_EQ(answer(f, "ok"), 0);
    turn(f);
    CHECK_HEARD(f, OK_CLOSE);
    CHECK(f->heard_end);
    f->client = second_client;
    close(first_client);
    CHECK_EQ(fixture_end(f), 0);
}

TEST(a_stop_ends_the_connection_in_every_state)
{
    for (int state = 0; state < STATES; state++) {
        fixture_t *f = fixture_new();
        bring_to(f, state);
        if (state != LINGERING) {
            f->conn->tells_end = true;
        }
        told(f);
        cv_conn_stop(f->conn);
        for (int i = 0; i < 64 && !f->heard_end; i++) {
            hear(f); /* a streaming answer's bytes have to be taken */
            turn(f);
        }
        CHECK(f->heard_end);
        hang_up(f);
        turn(f);
        CHECK_EQ(f->env.conn_count, 0);
        const char *heard = told(f);
        CHECK(state == LINGERING || strstr(heard, "gone; ") != NULL);
        CHECK(state == LINGERING || strstr(heard, "closed; ") != NULL);
        CHECK_EQ(fixture_end(f), 0);
    }
}

TEST(a_stop_breaks_an_open_answer_off)
{
    fixture_t *f = fixture_new();
    say(f, GET("/"));
    turn(f);
    cv_conn_respond(f->conn, 200);
    body(f, "part", 4, false);
    cv_conn_stop(f->conn);
    turn(f);
    hear(f);
    CHECK(strstr(f->heard, "part") != NULL);
    CHECK(strstr(f->heard, "0\r\n\r\n") == NULL);
    CHECK(f->heard_end);
    CHECK_EQ(fixture_end(f), 0);
}

TEST(the_end_is_told_of_marked_connections_only)
{
    fixture_t *f = fixture_new();
    cv_conn_close(f->conn, false);
    CHECK_TOLD(f, "gone; ");
    fixture_connect(f);
    f->conn->tells_end = true;
    cv_conn_close(f->conn, false);
    CHECK_TOLD(f, "gone; closed; ");
    CHECK_EQ(fixture_end(f), 0);
}

TEST(a_bad_fd_is_no_connection)
{
    fixture_t *f = fixture_new();
    int ends[2];
    CHECK_EQ(pipe(ends), 0);
    close(ends[0]);
    close(ends[1]);
    CHECK(cv_conn_new(&f->env, ends[1], NULL) == NULL);
    CHECK_EQ(f->env.conn_count, 1);
    CHECK_TOLD(f, "");
    CHECK_EQ(fixture_end(f), 0);
}

int
main(void)
{
    RUN(a_fin_ends_the_connection_in_every_state);
    RUN(a_hang_up_ends_the_connection_in_every_state);
    RUN(a_fin_over_tcp_ends_the_connection_in_every_state);
    RUN(a_reset_ends_the_connection_in_every_state);
    RUN(a_close_of_ours_ends_the_connection_in_every_state);
    RUN(an_abort_ends_every_connection);
    RUN(a_head_before_a_fin_is_handed_up);
    RUN(a_complete_answer_still_goes_out_after_a_fin);
    RUN(half_close_is_the_end_of_input_only);
    RUN(half_close_behind_a_head_closes_after_the_answer);
    RUN(half_close_with_part_of_a_request_is_a_disconnect);
    RUN(half_close_with_part_of_a_next_head_closes_after_the_answer);
    RUN(half_close_with_part_of_a_next_head_closes_behind_an_answer_that_is_large);
    RUN(half_close_reads_what_came_before_a_peer_closed_and_rests_meanwhile);
    RUN(half_close_does_not_spin_and_a_reset_is_still_seen);
    RUN(an_early_last_answer_lingers_until_the_client_is_done);
    RUN(a_last_answer_with_unread_bytes_lingers);
    RUN(bytes_behind_a_last_request_are_dropped);
    RUN(a_close_inside_on_gone_is_harmless);
    RUN(one_connection_is_drained_and_others_go_on);
    RUN(a_stop_ends_the_connection_in_every_state);
    RUN(a_stop_breaks_an_open_answer_off);
    RUN(the_end_is_told_of_marked_connections_only);
    RUN(a_bad_fd_is_no_connection);
    return cv_test_end();
}
