/* SPDX-License-Identifier: MIT
 *
 * Each phase of a connection has its bound, and none of them runs in another phase.
 */
#include <sys/socket.h>

#include "conn/conn_fixture.h"
#include "conn/conn_rate.h"
#include "cv_test.h"

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"
#define OK "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"

static char big[400000];

enum { NEVER = 0,
       SOON = 3 };

/* Only `kind` has a bound, so that nothing else can end the connection. */
static fixture_t *
new_bounded(int kind)
{
    fixture_t *f = fixture_new();
    cv_conn_close(f->conn, false);
    hang_up(f);
    turn(f);
    told(f);
    for (int i = CV_CONN_HEAD; i <= CV_CONN_WRITE; i++) {
        cv_deadlines_configure(&f->env.deadlines, (unsigned)i, i == kind ? SOON : NEVER);
    }
    fixture_connect(f);
    return f;
}

static void
wait_for_end(fixture_t *f)
{
    while (f->env.unfreed > 0) {
        turn_waiting(f);
    }
}

static bool
has_deadline(const fixture_t *f, int kind)
{
    return cv_deadline_is_set(&f->conn->deadline) && f->conn->deadline.kind == kind;
}

/* As if its time were over. */
static void
end_time(fixture_t *f)
{
    cv_deadline_clear(&f->conn->deadline);
    f->env.deadlines.on_due(&f->env.deadlines, &f->conn->deadline);
}

TEST(a_silent_connection_is_closed_without_an_answer)
{
    fixture_t *f = new_bounded(CV_CONN_HEAD);
    CHECK(has_deadline(f, CV_CONN_HEAD));
    wait_for_end(f);
    CHECK_TOLD(f, "gone; ");
    CHECK_HEARD(f, "");
    CHECK(f->heard_end);
    CHECK_EQ(fixture_end(f), 0);
}

TEST(part_of_a_head_is_answered_408)
{
    fixture_t *f = new_bounded(CV_CONN_HEAD);
    say(f, "GET / HTTP/1.1\r\nHo");
    while (f->env.conn_count > 0 && f->conn->state != CV_CONN_LINGERING) {
        turn_waiting(f);
    }
    CHECK_TOLD(f, "refused 408; ");
    CHECK_HEARD(f, "HTTP/1.1 408 Request Timeout\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 15\r\n"
                   "connection: close\r\n\r\nRequest Timeout");
    CHECK(f->heard_end);
    hang_up(f);
    wait_for_end(f);
    CHECK_EQ(fixture_end(f), 0);
}

TEST(bytes_of_a_first_head_do_not_move_its_deadline)
{
    fixture_t *f = fixture_new();
    uint64_t due = f->conn->deadline.due;
    say(f, "GET / HTTP/1.1\r\n");
    uint64_t now = uv_now(&f->loop);
    while (uv_now(&f->loop) == now) {
        uv_update_time(&f->loop);
    }
    turn(f);
    CHECK_EQ(f->conn->state, CV_CONN_READ_HEAD);
    CHECK(has_deadline(f, CV_CONN_HEAD));
    CHECK_EQ(f->conn->deadline.due, due);
    CHECK_EQ(fixture_end(f), 0);
}

TEST(each_state_has_its_own_deadline)
{
    fixture_t *f = fixture_new();
    CHECK(has_deadline(f, CV_CONN_HEAD));
    say(f, GET("/"));
    turn(f);
    CHECK(!cv_deadline_is_set(&f->conn->deadline));
    answer(f, "ok");
    turn(f);
    CHECK(has_deadline(f, CV_CONN_KEEP_ALIVE));
    say(f, "PUT / HTTP/1.1\r\n");
    turn(f);
    CHECK(has_deadline(f, CV_CONN_HEAD));
    say(f, "Host: a\r\nContent-Length: 2\r\n\r\n");
    turn(f);
    CHECK(has_deadline(f, CV_CONN_BODY));
    answer(f, "ok");
    turn(f);
    CHECK(has_deadline(f, CV_CONN_UNREAD_BODY));
    say(f, "ab");
    turn(f);
    CHECK(has_deadline(f, CV_CONN_KEEP_ALIVE));
    say(f, "BAD\r\n\r\n");
    turn(f);
    CHECK(has_deadline(f, CV_CONN_LINGER));
    CHECK_EQ(fixture_end(f), 0);
}

TEST(an_idle_connection_is_closed)
{
    fixture_t *f = new_bounded(CV_CONN_KEEP_ALIVE);
    f->do_end = answer_ok;
    say(f, GET("/"));
    wait_for_end(f);
    CHECK_TOLD(f, "head GET /; end; gone; ");
    CHECK_HEARD(f, OK);
    CHECK(f->heard_end);
    CHECK_EQ(fixture_end(f), 0);
}

/* Bytes that came in the moment the time ran out are a request, not the end. */
TEST(bytes_that_came_in_time_win_over_keep_alive)
{
    fixture_t *f = fixture_new();
    f->do_end = answer_ok;
    say(f, GET("/1"));
    turn(f);
    CHECK(has_deadline(f, CV_CONN_KEEP_ALIVE));
    say(f, GET("/2"));
    end_time(f);
    CHECK_EQ(f->env.conn_count, 1);
    turn(f);
    CHECK_TOLD(f, "head GET /1; end; head GET /2; end; ");
    CHECK_EQ(fixture_end(f), 0);
}

/* A loop that was held up looks at the time before it reads. */
TEST(a_head_that_came_in_time_is_a_request)
{
    fixture_t *f = fixture_new();
    say(f, "GET / HTTP/1.1\r\n");
    turn(f);
    say(f, "Host: a\r\n\r\n");
    end_time(f);
    CHECK(has_deadline(f, CV_CONN_HEAD));
    turn(f);
    CHECK_TOLD(f, "head GET /; end; ");
    CHECK_EQ(f->env.limited[CV_TIMEOUT_HEAD], 0);
    CHECK_EQ(fixture_end(f), 0);
}

TEST(a_head_that_goes_on_and_on_is_not_waited_for)
{
    fixture_t *f = fixture_new();
    say(f, "GET / HTTP/1.1\r\n");
    turn(f);
    say(f, "A: b\r\n");
    end_time(f);
    turn(f);
    CHECK(has_deadline(f, CV_CONN_HEAD));
    say(f, "A: b\r\n");
    end_time(f);
    CHECK_TOLD(f, "refused 408; ");
    CHECK_EQ(f->env.limited[CV_TIMEOUT_HEAD], 1);
    CHECK_EQ(fixture_end(f), 0);
}

TEST(an_unread_body_that_came_in_time_leaves_the_connection_open)
{
    fixture_t *f = fixture_new();
    say(f, "PUT /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n01234");
    turn(f);
    answer(f, "ok");
    turn(f);
    say(f, "56789" GET("/2"));
    end_time(f);
    CHECK(has_deadline(f, CV_CONN_UNREAD_BODY));
    turn(f);
    CHECK_TOLD(f, "head PUT /1; body 01234; head GET /2; end; ");
    CHECK_EQ(f->env.limited[CV_TIMEOUT_UNREAD_BODY], 0);
    CHECK_EQ(fixture_end(f), 0);
}

TEST(an_unread_body_that_goes_on_and_on_is_not_waited_for)
{
    fixture_t *f = fixture_new();
    say(f, "PUT /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n01234");
    turn(f);
    answer(f, "ok");
    turn(f);
    say(f, "5");
    end_time(f);
    turn(f);
    CHECK(has_deadline(f, CV_CONN_UNREAD_BODY));
    say(f, "6");
    end_time(f);
    CHECK_EQ(f->env.limited[CV_TIMEOUT_UNREAD_BODY], 1);
    CHECK_EQ(fixture_end(f), 0);
}

TEST(a_body_that_nobody_waits_for_is_bounded)
{
    fixture_t *f = new_bounded(CV_CONN_UNREAD_BODY);
    say(f, "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n01234");
    turn(f);
    answer(f, "ok");
    while (f->conn->state != CV_CONN_LINGERING) {
        turn_waiting(f);
    }
    CHECK_HEARD(f, OK);
    CHECK(f->heard_end);
    hang_up(f);
    wait_for_end(f);
    CHECK_TOLD(f, "head PUT /; body 01234; cut; gone; ");
    CHECK_EQ(f->env.limited[CV_TIMEOUT_UNREAD_BODY], 1);
    CHECK_EQ(fixture_end(f), 0);
}

TEST(lingering_is_bounded)
{
    fixture_t *f = new_bounded(CV_CONN_LINGER);
    say(f, "BAD\r\n\r\n");
    wait_for_end(f);
    CHECK_TOLD(f, "refused 400; gone; ");
    CHECK_EQ(fixture_end(f), 0);
}

TEST(a_write_stall_is_bounded)
{
    fixture_t *f = new_bounded(CV_CONN_WRITE);
    say(f, GET("/"));
    turn(f);
    CHECK_EQ(cv_conn_respond(f->conn, 200), 0);
    CHECK_EQ(body(f, big, sizeof(big), true), 0);
    CHECK(!cv_deadline_is_set(&f->conn->deadline));
    turn(f);
    CHECK(f->conn->transport.writing);
    CHECK(has_deadline(f, CV_CONN_WRITE));
    wait_for_end(f);
    CHECK_TOLD(f, "head GET /; end; cut; gone; ");
    CHECK_EQ(f->env.limited[CV_TIMEOUT_WRITE], 1);
    CHECK_EQ(fixture_end(f), 0);
}

TEST(progress_starts_the_write_deadline_anew)
{
    fixture_t *f = fixture_new();
    int size = 4096;
    setsockopt(f->conn->transport.fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    cv_deadlines_configure(&f->env.deadlines, CV_CONN_WRITE, 60000);
    say(f, GET("/"));
    turn(f);
    CHECK_EQ(cv_conn_respond(f->conn, 200), 0);
    CHECK_EQ(body(f, big, sizeof(big), true), 0);
    turn(f);
    CHECK(has_deadline(f, CV_CONN_WRITE));
    f->conn->deadline.due = 1;
    turn(f);
    CHECK_EQ(f->conn->deadline.due, 1);
    hear(f);
    turn(f);
    CHECK(f->conn->transport.writing);
    CHECK(f->conn->deadline.due > 1);
    while (f->conn->queued > 0) {
        hear(f);
        turn(f);
    }
    CHECK(has_deadline(f, CV_CONN_KEEP_ALIVE));
    CHECK_EQ(fixture_end(f), 0);
}

/* The kernel has room for us again only when much of what it holds is gone: fewer bytes that the peer took are progress
 * too. */
TEST(a_slow_peer_is_no_write_stall)
{
    fixture_t *f = fixture_new();
    cv_deadlines_configure(&f->env.deadlines, CV_CONN_WRITE, 60000);
    say(f, GET("/"));
    turn(f);
    CHECK_EQ(cv_conn_respond(f->conn, 200), 0);
    CHECK_EQ(body(f, big, sizeof(big), true), 0);
    turn(f);
    CHECK(has_deadline(f, CV_CONN_WRITE));
    CHECK(f->conn->unsent > 0);
    f->conn->unsent++; /* as if the peer had taken one byte since */
    end_time(f);
    CHECK_EQ(f->env.conn_count, 1);
    CHECK(has_deadline(f, CV_CONN_WRITE));
    end_time(f);
    CHECK_EQ(f->env.conn_count, 0);
    CHECK_TOLD(f, "head GET /; end; cut; gone; ");
    CHECK_EQ(fixture_end(f), 0);
}

TEST(a_pause_within_a_body_is_answered_408)
{
    fixture_t *f = new_bounded(CV_CONN_BODY);
    say(f, "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n01234");
    while (f->env.conn_count > 0 && f->conn->state != CV_CONN_LINGERING) {
        turn_waiting(f);
    }
    CHECK_TOLD(f, "head PUT /; body 01234; refused 408; gone; ");
    CHECK_HEARD(f, "HTTP/1.1 408 Request Timeout\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 15\r\n"
                   "connection: close\r\n\r\nRequest Timeout");
    CHECK_EQ(f->env.limited[CV_TIMEOUT_BODY], 1);
    hang_up(f);
    wait_for_end(f);
    CHECK_EQ(fixture_end(f), 0);
}

TEST(each_piece_of_a_body_starts_its_deadline_anew)
{
    fixture_t *f = fixture_new();
    say(f, "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n0");
    turn(f);
    CHECK(has_deadline(f, CV_CONN_BODY));
    f->conn->deadline.due = 1;
    say(f, "1");
    turn(f);
    CHECK(has_deadline(f, CV_CONN_BODY));
    CHECK(f->conn->deadline.due > 1);
    say(f, "23456789");
    turn(f);
    CHECK(!cv_deadline_is_set(&f->conn->deadline));
    CHECK_EQ(fixture_end(f), 0);
}

/* Bytes that came in the moment the time ran out are read, not refused. */
TEST(body_bytes_that_came_in_time_count)
{
    fixture_t *f = fixture_new();
    say(f, "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n0");
    turn(f);
    say(f, "1");
    end_time(f);
    CHECK(has_deadline(f, CV_CONN_BODY));
    turn(f);
    CHECK_TOLD(f, "head PUT /; body 01; end; ");
    CHECK_EQ(fixture_end(f), 0);
}

/* An answer that is complete, and waits for the flush, is the last word about its request. */
TEST(a_body_deadline_behind_the_answer_is_nothing)
{
    fixture_t *f = fixture_new();
    say(f, "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n0");
    turn(f);
    cv_conn_fail(f->conn);
    end_time(f);
    CHECK_EQ(f->env.limited[CV_TIMEOUT_BODY], 0);
    turn(f);
    CHECK(has_deadline(f, CV_CONN_LINGER));
    CHECK_TOLD(f, "head PUT /; body 0; ");
    CHECK_EQ(fixture_end(f), 0);
}

TEST(a_body_that_waits_for_us_has_no_deadline)
{
    fixture_t *f = fixture_new();
    f->env.read_high = 2;
    say(f, "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n0123");
    turn(f);
    CHECK(!cv_deadline_is_set(&f->conn->deadline)); /* reading is paused */
    cv_conn_consumed(f->conn, 4);
    CHECK(has_deadline(f, CV_CONN_BODY));
    CHECK_EQ(fixture_end(f), 0);
    f = fixture_new();
    say(f, "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n");
    turn(f);
    CHECK(!cv_deadline_is_set(&f->conn->deadline)); /* the client waits for 100 Continue */
    cv_conn_want_body(f->conn);
    turn(f);
    CHECK(has_deadline(f, CV_CONN_BODY));
    CHECK_EQ(fixture_end(f), 0);
}

#define PUT "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n"
#define SLOW_ANSWER                                                                                              \
    "HTTP/1.1 408 Request Timeout\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 15\r\n"         \
    "connection: close\r\n\r\nRequest Timeout"

static fixture_t *
new_with_rate(uint32_t bytes_per_second, uint32_t grace)
{
    fixture_t *f = fixture_new();
    f->env.body_rate = bytes_per_second;
    f->env.body_grace = grace;
    return f;
}

TEST(a_body_that_stops_is_too_slow_when_its_time_is_over)
{
    fixture_t *f = new_with_rate(1000000, 1);
    say(f, PUT "01234");
    while (f->env.conn_count > 0 && f->conn->state != CV_CONN_LINGERING) {
        turn_waiting(f);
    }
    CHECK_TOLD(f, "head PUT /; body 01234; refused 408; gone; ");
    CHECK_HEARD(f, SLOW_ANSWER);
    CHECK_EQ(f->env.limited[CV_LIMIT_BODY_RATE], 1);
    CHECK_EQ(f->env.limited[CV_TIMEOUT_BODY], 0);
    CHECK_EQ(fixture_end(f), 0);
}

TEST(a_pause_may_end_before_the_rate_does)
{
    fixture_t *f = new_with_rate(1, 60000);
    cv_deadlines_configure(&f->env.deadlines, CV_CONN_BODY, SOON);
    say(f, PUT "01234");
    while (f->env.conn_count > 0 && f->conn->state != CV_CONN_LINGERING) {
        turn_waiting(f);
    }
    CHECK_EQ(f->env.limited[CV_LIMIT_BODY_RATE], 0);
    CHECK_EQ(f->env.limited[CV_TIMEOUT_BODY], 1);
    CHECK_EQ(fixture_end(f), 0);
}

TEST(a_body_that_drips_is_too_slow)
{
    fixture_t *f = new_with_rate(1000, 5000);
    say(f, PUT "0");
    turn(f);
    CHECK(f->conn->body_waits);
    f->conn->body_clock -= 5002; /* as if so long had passed: one byte pays for a millisecond */
    say(f, "1");
    turn(f);
    CHECK(has_deadline(f, CV_CONN_BODY));
    CHECK(f->conn->deadline.due <= cv_deadlines_now()); /* unless more has come by then */
    while (f->env.conn_count > 0 && f->conn->state != CV_CONN_LINGERING) {
        turn_waiting(f);
    }
    CHECK_TOLD(f, "head PUT /; body 01; refused 408; gone; ");
    CHECK_HEARD(f, SLOW_ANSWER);
    CHECK_EQ(f->env.limited[CV_LIMIT_BODY_RATE], 1);
    CHECK_EQ(fixture_end(f), 0);
}

/* While the loop is held up nobody reads, and the client's time goes on all the same. */
TEST(a_body_that_came_in_time_is_not_too_slow)
{
    fixture_t *f = new_with_rate(1000, 5000);
    say(f, "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n0");
    turn(f);
    f->conn->body_clock -= 9000;
    say(f, "12");
    end_time(f);
    turn(f);
    CHECK_TOLD(f, "head PUT /; body 012; end; ");
    CHECK_EQ(f->env.limited[CV_LIMIT_BODY_RATE], 0);
    CHECK_EQ(fixture_end(f), 0);
}

TEST(bytes_that_came_pay_for_a_pause)
{
    fixture_t *f = new_with_rate(1000, 5000);
    say(f, PUT "0");
    turn(f);
    f->conn->body_clock -= 5900;
    static char data[1001];
    memset(data, 'x', 1000);
    say(f, data);
    turn(f);
    CHECK_EQ(f->env.limited[CV_LIMIT_BODY_RATE], 0);
    uint64_t left = f->conn->deadline.due - cv_deadlines_now();
    CHECK(left > 0 && left <= 101);
    CHECK_EQ(fixture_end(f), 0);
}

TEST(time_counts_for_the_client_only_while_we_wait_for_it)
{
    fixture_t *f = new_with_rate(1, 60000);
    f->env.read_high = 2;
    say(f, PUT "0123");
    turn(f);
    CHECK(!f->conn->body_waits); /* reading is paused */
    CHECK(f->conn->body_clock < 1000);
    CHECK(!cv_deadline_is_set(&f->conn->deadline));
    cv_conn_consumed(f->conn, 4);
    CHECK(f->conn->body_waits);
    CHECK(has_deadline(f, CV_CONN_BODY));
    answer(f, "ok");
    turn(f);
    CHECK(!f->conn->body_waits);
    CHECK(has_deadline(f, CV_CONN_UNREAD_BODY));
    CHECK_EQ(fixture_end(f), 0);
}

TEST(a_body_that_is_asked_for_after_long_work_has_all_its_time)
{
    fixture_t *f = new_with_rate(1000, 5000);
    say(f, "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n");
    turn(f);
    f->loop.time -= 20000; /* that of its last turn */
    cv_conn_want_body(f->conn);
    CHECK(has_deadline(f, CV_CONN_BODY));
    CHECK(f->conn->deadline.due > cv_deadlines_now());
    turn(f);
    CHECK(cv_conn_rate_left(f->conn) > 0);
    CHECK(has_deadline(f, CV_CONN_BODY));
    CHECK_EQ(fixture_end(f), 0);
}

TEST(each_request_has_a_rate_of_its_own)
{
    fixture_t *f = new_with_rate(1000, 5000);
    f->do_end = answer_ok;
    say(f, "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n0");
    turn(f);
    f->conn->body_clock -= 4000;
    CHECK(cv_conn_rate_left(f->conn) <= 1001);
    say(f, "1PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n0");
    turn(f);
    CHECK(cv_conn_rate_left(f->conn) > 1001);
    say(f, "1");
    turn(f);
    CHECK_EQ(f->env.limited[CV_LIMIT_BODY_RATE], 0);
    CHECK_EQ(fixture_end(f), 0);
}

TEST(a_kept_connection_waits_for_its_answer_to_be_read_first)
{
    fixture_t *f = new_bounded(CV_CONN_KEEP_ALIVE);
    say(f, GET("/"));
    turn(f);
    CHECK_EQ(cv_conn_respond(f->conn, 200), 0);
    CHECK_EQ(body(f, big, sizeof(big), true), 0);
    turn(f);
    CHECK_EQ(f->conn->state, CV_CONN_IDLE);
    CHECK(!cv_deadline_is_set(&f->conn->deadline));
    CHECK_EQ(fixture_end(f), 0);
}

int
main(void)
{
    RUN(a_silent_connection_is_closed_without_an_answer);
    RUN(part_of_a_head_is_answered_408);
    RUN(bytes_of_a_first_head_do_not_move_its_deadline);
    RUN(each_state_has_its_own_deadline);
    RUN(an_idle_connection_is_closed);
    RUN(bytes_that_came_in_time_win_over_keep_alive);
    RUN(a_head_that_came_in_time_is_a_request);
    RUN(a_head_that_goes_on_and_on_is_not_waited_for);
    RUN(an_unread_body_that_came_in_time_leaves_the_connection_open);
    RUN(an_unread_body_that_goes_on_and_on_is_not_waited_for);
    RUN(a_body_that_nobody_waits_for_is_bounded);
    RUN(lingering_is_bounded);
    RUN(a_write_stall_is_bounded);
    RUN(progress_starts_the_write_deadline_anew);
    RUN(a_slow_peer_is_no_write_stall);
    RUN(a_pause_within_a_body_is_answered_408);
    RUN(each_piece_of_a_body_starts_its_deadline_anew);
    RUN(body_bytes_that_came_in_time_count);
    RUN(a_body_deadline_behind_the_answer_is_nothing);
    RUN(a_body_that_waits_for_us_has_no_deadline);
    RUN(a_body_that_stops_is_too_slow_when_its_time_is_over);
    RUN(a_pause_may_end_before_the_rate_does);
    RUN(a_body_that_drips_is_too_slow);
    RUN(a_body_that_came_in_time_is_not_too_slow);
    RUN(bytes_that_came_pay_for_a_pause);
    RUN(time_counts_for_the_client_only_while_we_wait_for_it);
    RUN(a_body_that_is_asked_for_after_long_work_has_all_its_time);
    RUN(each_request_has_a_rate_of_its_own);
    RUN(a_kept_connection_waits_for_its_answer_to_be_read_first);
    return cv_test_end();
}
