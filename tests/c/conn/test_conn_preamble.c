/* SPDX-License-Identifier: MIT
 *
 * A PROXY preamble before a connection's first request: taken from who may send it, and from nobody else.
 */
#include "conn/conn_fixture.h"
#include "cv_test.h"

#define GET "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
#define OK "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
#define V1 "PROXY TCP4 1.2.3.4 5.6.7.8 9 80\r\n"
#define V2 "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x01\x02\x03\x04\x05\x06\x07\x08\x12\x34\x00\x50"
#define SAY(f, bytes) say_bytes(f, bytes, sizeof(bytes) - 1)

static fixture_t *
new_expecting(bool is_trusted)
{
    fixture_t *f = fixture_new();
    f->do_end = answer_ok;
    cv_conn_expect_preamble(f->conn, is_trusted);
    return f;
}

/* Ends it too. */
static void
check_refused(fixture_t *f)
{
    turn(f);
    CHECK_TOLD(f, "cut; gone; ");
    CHECK_HEARD(f, "");
    CHECK(f->heard_end || f->heard_reset);
    CHECK_EQ(fixture_end(f), 0);
}

TEST(a_request_may_follow_at_once)
{
    fixture_t *f = new_expecting(true);
    SAY(f, V1 GET GET);
    turn(f);
    CHECK_TOLD(f, "preamble 1 of 33; head GET /; end; head GET /; end; ");
    CHECK_HEARD(f, OK OK);
    CHECK_EQ(f->conn->input.cap, 0);
    CHECK_EQ(fixture_end(f), 0);
}

TEST(or_later)
{
    fixture_t *f = new_expecting(true);
    SAY(f, V2);
    turn(f);
    CHECK_TOLD(f, "preamble 1 of 28; ");
    CHECK_EQ(f->conn->state, CV_CONN_IDLE);
    CHECK_EQ(f->conn->input.cap, 0);
    CHECK_EQ(f->conn->deadline.kind, CV_CONN_HEAD);
    SAY(f, GET);
    turn(f);
    CHECK_TOLD(f, "head GET /; end; ");
    CHECK_HEARD(f, OK);
    CHECK_EQ(fixture_end(f), 0);
}

TEST(it_may_come_in_any_pieces)
{
    static const char bytes[] = V2 GET;
    for (size_t cut = 1; cut < sizeof bytes - 1; cut++) {
        fixture_t *f = new_expecting(true);
        f->env.read_high = 1;
        say_bytes(f, bytes, cut);
        turn(f);
        say_bytes(f, bytes + cut, sizeof bytes - 1 - cut);
        turn(f);
        CHECK_TOLD(f, "preamble 1 of 28; head GET /; end; ");
        CHECK_HEARD(f, OK);
        CHECK_EQ(fixture_end(f), 0);
    }
    fixture_t *f = new_expecting(true);
    for (size_t i = 0; i < sizeof bytes - 1; i++) {
        say_bytes(f, bytes + i, 1);
        turn(f);
    }
    CHECK_TOLD(f, "preamble 1 of 28; head GET /; end; ");
    CHECK_HEARD(f, OK);
    CHECK_EQ(fixture_end(f), 0);
}

TEST(a_trusted_peer_must_send_one)
{
    fixture_t *f = new_expecting(true);
    SAY(f, GET);
    check_refused(f);
    f = new_expecting(true);
    SAY(f, "P");
    turn(f);
    CHECK_TOLD(f, "");
    SAY(f, "OST / HTTP/1.1\r\n");
    check_refused(f);
}

TEST(and_a_whole_one)
{
    fixture_t *f = new_expecting(true);
    SAY(f, "PROXY TCP4 1.2.3.4\r\n" GET);
    check_refused(f);
    f = new_expecting(true);
    SAY(f, "\r\n\r\n\0\r\nQUIT\n\x11\0\0\0" GET);
    check_refused(f);
}

TEST(only_one)
{
    fixture_t *f = new_expecting(true);
    SAY(f, V1 V1);
    turn(f);
    CHECK_TOLD(f, "preamble 1 of 33; refused 501; ");
    CHECK_EQ(fixture_end(f), 0);
}

TEST(others_must_not)
{
    fixture_t *f = new_expecting(false);
    SAY(f, V1 GET);
    check_refused(f);
    f = new_expecting(false);
    SAY(f, V2 GET);
    check_refused(f);
    f = new_expecting(false);
    SAY(f, "PROXY nonsense\r\n");
    check_refused(f);
}

TEST(others_send_requests)
{
    static const char bytes[] = "\r\n" GET;
    fixture_t *f = new_expecting(false);
    for (size_t i = 0; i < sizeof bytes - 1; i++) {
        say_bytes(f, bytes + i, 1);
        turn(f);
    }
    CHECK_TOLD(f, "head GET /; end; ");
    CHECK_HEARD(f, OK);
    SAY(f, "PROXY");
    turn(f);
    CHECK_EQ(f->conn->state, CV_CONN_READ_HEAD);
    CHECK_EQ(fixture_end(f), 0);
}

TEST(nobody_is_asked_by_default)
{
    fixture_t *f = fixture_new();
    SAY(f, V1 GET);
    turn(f);
    CHECK_TOLD(f, "refused 501; ");
    CHECK_EQ(fixture_end(f), 0);
}

TEST(half_of_one_and_a_fin)
{
    for (int half_closed = 0; half_closed < 2; half_closed++) {
        fixture_t *f = new_expecting(true);
        f->env.half_close = half_closed;
        SAY(f, "PROXY T");
        turn(f);
        half_close(f);
        turn(f);
        CHECK_TOLD(f, "gone; ");
        CHECK_EQ(fixture_end(f), 0);
    }
}

TEST(nothing_at_all_and_a_drain)
{
    fixture_t *f = new_expecting(true);
    turn(f);
    cv_deadlines_configure(&f->env.deadlines, CV_CONN_DRAIN, 1);
    cv_conn_env_drain(&f->env);
    while (f->env.conn_count > 0) {
        turn_waiting(f);
    }
    CHECK_TOLD(f, "gone; ");
    CHECK_EQ(fixture_end(f), 0);
}

static void
wait_for_end(fixture_t *f)
{
    while (f->env.conn_count > 0) {
        turn_waiting(f);
    }
}

TEST(it_has_the_time_of_a_head)
{
    static const struct {
        bool is_trusted;
        const char *said, *told;
    } cases[] = {{true, "PROXY", "cut; gone; "}, {true, "", "gone; "}, {false, "P", "gone; "}};
    for (size_t i = 0; i < 3; i++) {
        fixture_t *f = new_expecting(cases[i].is_trusted);
        cv_deadlines_configure(&f->env.deadlines, CV_CONN_HEAD, 3);
        cv_deadline_set(&f->env.deadlines, &f->conn->deadline, CV_CONN_HEAD);
        say(f, cases[i].said);
        turn(f);
        wait_for_end(f);
        CHECK_TOLD(f, cases[i].told);
        CHECK_HEARD(f, "");
        CHECK_EQ(f->env.limited[CV_TIMEOUT_HEAD], 1);
        CHECK_EQ(fixture_end(f), 0);
    }
}

int
main(void)
{
    RUN(a_request_may_follow_at_once);
    RUN(or_later);
    RUN(it_may_come_in_any_pieces);
    RUN(a_trusted_peer_must_send_one);
    RUN(and_a_whole_one);
    RUN(only_one);
    RUN(others_must_not);
    RUN(others_send_requests);
    RUN(nobody_is_asked_by_default);
    RUN(half_of_one_and_a_fin);
    RUN(nothing_at_all_and_a_drain);
    RUN(it_has_the_time_of_a_head);
    return cv_test_end();
}
