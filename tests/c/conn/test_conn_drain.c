/* SPDX-License-Identifier: MIT
 *
 * A stop: which requests are still answered, and when connections close that say nothing.
 */
#include "conn/conn_fixture.h"
#include "cv_test.h"

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"
#define OK "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
#define OK_CLOSE "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok"

enum { FRESH,
       KEPT,
       DISCARDING };

static void
bring_to(fixture_t *f, int state)
{
    if (state == FRESH) {
        return;
    }
    say(f, state == KEPT ? GET("/0") : "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n01234");
    turn(f);
    answer(f, "ok");
    turn(f);
}

/* Turns until the connection is gone. */
static void
wait_for_end(fixture_t *f)
{
    while (f->env.unfreed > 0) {
        turn_waiting(f);
    }
}

TEST(a_drain_closes_idle_connections_after_a_moment)
{
    for (int state = FRESH; state <= KEPT; state++) {
        fixture_t *f = fixture_new();
        bring_to(f, state);
        cv_deadlines_configure(&f->env.deadlines, CV_CONN_DRAIN, 100);
        uint64_t before = uv_hrtime();
        cv_conn_env_drain(&f->env);
        turn(f);
        CHECK_EQ(f->env.conn_count, 1);
        wait_for_end(f);
        CHECK(uv_hrtime() - before >= 90 * 1000000u); /* the loop's clock counts whole milliseconds */
        hear(f);
        CHECK(f->heard_end);
        CHECK_EQ(f->env.limited[CV_TIMEOUT_KEEP_ALIVE] + f->env.limited[CV_TIMEOUT_HEAD], 0);
        CHECK_EQ(fixture_end(f), 0);
    }
}

TEST(a_drain_closes_at_once_who_has_been_idle_for_longer)
{
    for (int state = FRESH; state <= KEPT; state++) {
        fixture_t *f = fixture_new();
        bring_to(f, state);
        cv_deadlines_configure(&f->env.deadlines, CV_CONN_DRAIN, 1);
        uint64_t now = uv_now(&f->loop);
        while (uv_now(&f->loop) - now < 2) {
            uv_update_time(&f->loop);
        }
        cv_conn_env_drain(&f->env);
        CHECK_EQ(f->env.conn_count, 0);
        hear(f);
        CHECK(f->heard_end);
        CHECK_EQ(fixture_end(f), 0);
    }
}

/* The loop's time is that of its last turn, which was long ago when a request has kept it busy. */
TEST(a_drain_counts_from_an_answer_behind_long_work)
{
    fixture_t *f = fixture_new();
    say(f, GET("/"));
    turn(f);
    f->loop.time -= 6000;
    CHECK_EQ(answer(f, "ok"), 0);
    cv_conn_flush(f->conn);
    cv_conn_env_drain(&f->env);
    CHECK_EQ(f->env.conn_count, 1);
    CHECK_EQ(f->conn->deadline.kind, CV_CONN_DRAIN);
    CHECK_EQ(fixture_end(f), 0);
}

TEST(a_drain_keeps_the_time_that_an_idle_connection_has_less_of)
{
    fixture_t *f = fixture_new();
    cv_deadlines_configure(&f->env.deadlines, CV_CONN_KEEP_ALIVE, 50);
    bring_to(f, KEPT);
    uint64_t due = f->conn->deadline.due;
    cv_conn_env_drain(&f->env);
    CHECK_EQ(f->conn->deadline.kind, CV_CONN_DRAIN);
    CHECK_EQ(f->conn->deadline.due, due);
    wait_for_end(f);
    CHECK_EQ(fixture_end(f), 0);
}

TEST(a_drain_bounds_an_idle_connection_that_nothing_bounded)
{
    fixture_t *f = fixture_new();
    cv_deadlines_configure(&f->env.deadlines, CV_CONN_KEEP_ALIVE, 0);
    cv_deadlines_configure(&f->env.deadlines, CV_CONN_DRAIN, 10);
    bring_to(f, KEPT);
    CHECK(!cv_deadline_is_set(&f->conn->deadline));
    cv_conn_env_drain(&f->env);
    wait_for_end(f);
    CHECK_EQ(fixture_end(f), 0);
}

TEST(a_drain_answers_who_sends_in_time)
{
    for (int state = FRESH; state <= KEPT; state++) {
        fixture_t *f = fixture_new();
        bring_to(f, state);
        hear(f);
        f->do_end = answer_ok;
        cv_conn_env_drain(&f->env);
        turn(f);
        say(f, GET("/1"));
        turn(f);
        CHECK_HEARD(f, OK_CLOSE);
        CHECK(f->heard_end);
        CHECK_EQ(f->env.unfreed, 0);
        CHECK_EQ(fixture_end(f), 0);
    }
}

TEST(a_drain_reads_what_came_by_the_deadline)
{
    fixture_t *f = fixture_new();
    bring_to(f, KEPT);
    hear(f);
    f->do_end = answer_ok;
    cv_deadlines_configure(&f->env.deadlines, CV_CONN_DRAIN, 1);
    say(f, GET("/1"));
    uint64_t now = uv_now(&f->loop);
    while (uv_now(&f->loop) - now < 2) {
        uv_update_time(&f->loop);
    }
    cv_conn_env_drain(&f->env);
    CHECK_EQ(f->env.conn_count, 1);
    turn(f);
    CHECK_HEARD(f, OK_CLOSE);
    CHECK_EQ(f->env.unfreed, 0);
    CHECK_EQ(fixture_end(f), 0);
}

TEST(a_drain_lets_open_requests_end)
{
    fixture_t *f = fixture_new();
    say(f, GET("/1"));
    turn(f);
    cv_conn_env_drain(&f->env);
    turn(f);
    CHECK_EQ(f->env.conn_count, 1);
    CHECK_EQ(answer(f, "ok"), 0);
    turn(f);
    CHECK_HEARD(f, OK_CLOSE);
    CHECK(f->heard_end);
    CHECK_EQ(f->env.unfreed, 0);
    CHECK_EQ(fixture_end(f), 0);
}

TEST(a_drain_still_answers_bytes_that_came)
{
    fixture_t *f = fixture_new();
    f->do_end = answer_ok;
    say(f, GET("/1"));
    cv_conn_env_drain(&f->env);
    CHECK_EQ(f->env.conn_count, 1);
    turn(f);
    CHECK_HEARD(f, OK_CLOSE);
    CHECK_EQ(f->env.unfreed, 0);
    CHECK_EQ(fixture_end(f), 0);
}

/* Who sent them could not have seen a close. */
TEST(a_drain_answers_all_requests_that_wait_behind_each_other)
{
    fixture_t *f = fixture_new();
    say(f, GET("/1") GET("/2"));
    turn(f);
    cv_conn_env_drain(&f->env);
    CHECK_EQ(answer(f, "ok"), 0);
    turn(f);
    say(f, GET("/3"));
    CHECK_EQ(answer(f, "ok"), 0);
    turn(f);
    CHECK_EQ(answer(f, "ok"), 0);
    turn(f);
    CHECK_HEARD(f, OK OK OK_CLOSE);
    CHECK(f->heard_end);
    CHECK_EQ(f->env.unfreed, 0);
    CHECK_EQ(fixture_end(f), 0);
}

TEST(a_drain_is_not_held_up_by_requests_that_keep_coming)
{
    fixture_t *f = fixture_new();
    say(f, GET("/1") GET("/2"));
    turn(f);
    cv_deadlines_configure(&f->env.deadlines, CV_CONN_DRAIN, 0);
    cv_conn_env_drain(&f->env);
    CHECK_EQ(answer(f, "ok"), 0);
    turn(f);
    CHECK_HEARD(f, OK_CLOSE);
    CHECK_EQ(f->conn->state, CV_CONN_LINGERING);
    CHECK_EQ(fixture_end(f), 0);
}

/* Its head promised a next request: nobody knew better then. */
TEST(a_drain_takes_one_more_request_behind_an_answer_that_had_begun)
{
    fixture_t *f = fixture_new();
    say(f, GET("/1"));
    turn(f);
    CHECK_EQ(cv_conn_respond(f->conn, 200), 0);
    CHECK_EQ(body(f, "x", 1, false), 0);
    turn(f);
    cv_conn_env_drain(&f->env);
    CHECK_EQ(body(f, "y", 1, true), 0);
    turn(f);
    CHECK_HEARD(f, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n1\r\ny\r\n0\r\n\r\n");
    CHECK(!f->heard_end);
    CHECK_EQ(f->conn->deadline.kind, CV_CONN_DRAIN);
    f->do_end = answer_ok;
    say(f, GET("/2"));
    turn(f);
    CHECK_HEARD(f, OK_CLOSE);
    CHECK(f->heard_end);
    CHECK_EQ(f->env.unfreed, 0);
    CHECK_EQ(fixture_end(f), 0);
}

TEST(a_drain_takes_one_more_request_behind_a_discarded_body)
{
    fixture_t *f = fixture_new();
    bring_to(f, DISCARDING);
    cv_conn_env_drain(&f->env);
    CHECK_EQ(f->conn->state, CV_CONN_DISCARD);
    f->do_end = answer_ok;
    say(f, "56789" GET("/2"));
    turn(f);
    CHECK_HEARD(f, OK OK_CLOSE);
    CHECK(f->heard_end);
    CHECK_EQ(fixture_end(f), 0);
}

TEST(a_drain_writes_what_is_queued_first)
{
    fixture_t *f = fixture_new();
    say(f, GET("/1"));
    turn(f);
    CHECK_EQ(answer(f, "ok"), 0);
    cv_conn_env_drain(&f->env);
    CHECK_HEARD(f, OK);
    CHECK_EQ(f->conn->deadline.kind, CV_CONN_DRAIN);
    CHECK_EQ(fixture_end(f), 0);
}

TEST(a_retired_env_goes_on_but_for_keep_alive)
{
    fixture_t *f = fixture_new();
    bring_to(f, KEPT);
    hear(f);
    cv_conn_env_retire(&f->env);
    turn(f);
    CHECK_EQ(f->conn->deadline.kind, CV_CONN_KEEP_ALIVE);
    f->do_end = answer_ok;
    say(f, GET("/1"));
    turn(f);
    CHECK_HEARD(f, OK_CLOSE);
    CHECK(f->heard_end);
    CHECK_EQ(fixture_end(f), 0);
}

int
main(void)
{
    RUN(a_drain_closes_idle_connections_after_a_moment);
    RUN(a_drain_closes_at_once_who_has_been_idle_for_longer);
    RUN(a_drain_counts_from_an_answer_behind_long_work);
    RUN(a_drain_keeps_the_time_that_an_idle_connection_has_less_of);
    RUN(a_drain_bounds_an_idle_connection_that_nothing_bounded);
    RUN(a_drain_answers_who_sends_in_time);
    RUN(a_drain_reads_what_came_by_the_deadline);
    RUN(a_drain_lets_open_requests_end);
    RUN(a_drain_still_answers_bytes_that_came);
    RUN(a_drain_answers_all_requests_that_wait_behind_each_other);
    RUN(a_drain_is_not_held_up_by_requests_that_keep_coming);
    RUN(a_drain_takes_one_more_request_behind_an_answer_that_had_begun);
    RUN(a_drain_takes_one_more_request_behind_a_discarded_body);
    RUN(a_drain_writes_what_is_queued_first);
    RUN(a_retired_env_goes_on_but_for_keep_alive);
    return cv_test_end();
}
