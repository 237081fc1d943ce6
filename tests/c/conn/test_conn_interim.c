/* SPDX-License-Identifier: MIT
 *
 * What goes out around a body: interim responses before the answer, and the trailer section behind it.
 */
#include "cv_test_memory.h"

#include "base/buffer.c"
#include "conn/conn_output.c"

#include "conn/conn_fixture.h"
#include "cv_test.h"

#define HINT "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n"
#define OK "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
#define CHUNKED "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n"

static fixture_t *
new_asked(const char *request)
{
    fixture_t *f = fixture_new();
    say(f, request);
    turn(f);
    told(f);
    return f;
}

#define GET "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
#define GET_WITH_TRAILERS "GET / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\n\r\n"

static int
hint(fixture_t *f)
{
    cv_buffer_t lines = CV_BUFFER_INIT;
    int status = cv_h1_field_line(&lines, "Link", 4, "</a>", 4, false);
    status = status < 0 ? status : cv_conn_interim(f->conn, 103, &lines);
    cv_buffer_deinit(&lines);
    return status;
}

static int
trailer(fixture_t *f, const char *name, bool final)
{
    cv_buffer_t lines = CV_BUFFER_INIT;
    int status = cv_h1_field_line(&lines, name, strlen(name), "1", 1, true);
    status = status < 0 ? status : cv_conn_trailers(f->conn, &lines, final);
    cv_buffer_deinit(&lines);
    return status;
}

TEST(an_interim_response_goes_out_at_once)
{
    fixture_t *f = new_asked(GET);
    CHECK_EQ(hint(f), 0);
    CHECK_HEARD(f, HINT);
    CHECK_EQ(hint(f), 0);
    CHECK_EQ(answer(f, "ok"), 0);
    turn(f);
    CHECK_HEARD(f, HINT OK);
    CHECK_EQ(fixture_end(f), 0);
}

TEST(it_goes_out_before_a_head_that_is_held)
{
    fixture_t *f = new_asked(GET);
    CHECK_EQ(cv_conn_respond(f->conn, 200), 0);
    CHECK_EQ(hint(f), 0);
    CHECK_HEARD(f, HINT);
    CHECK_EQ(cv_conn_field(f->conn, "a", 1, "b", 1), 0);
    CHECK_EQ(hint(f), 0);
    CHECK_EQ(body(f, "ok", 2, true), 0);
    turn(f);
    CHECK_HEARD(f, HINT "HTTP/1.1 200 OK\r\na: b\r\ncontent-length: 2\r\n\r\nok");
    CHECK_EQ(fixture_end(f), 0);
}

TEST(it_goes_out_before_a_head_that_is_taken_back)
{
    fixture_t *f = new_asked(GET);
    CHECK_EQ(cv_conn_respond(f->conn, 404), 0);
    CHECK_EQ(hint(f), 0);
    cv_conn_retract(f->conn);
    CHECK_EQ(answer(f, "ok"), 0);
    turn(f);
    CHECK_HEARD(f, HINT OK);
    CHECK_EQ(fixture_end(f), 0);
}

TEST(there_is_none_behind_the_head_nor_on_http_1_0)
{
    fixture_t *f = new_asked(GET);
    CHECK_EQ(cv_conn_respond(f->conn, 200), 0);
    CHECK_EQ(body(f, "o", 1, false), 0);
    CHECK_EQ(hint(f), 0);
    CHECK_EQ(body(f, "k", 1, true), 0);
    turn(f);
    CHECK_HEARD(f, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n");
    CHECK_EQ(hint(f), CV_CONN_EGONE);
    CHECK_EQ(fixture_end(f), 0);

    f = new_asked("GET / HTTP/1.0\r\n\r\n");
    CHECK_EQ(hint(f), 0);
    CHECK_EQ(answer(f, "ok"), 0);
    turn(f);
    CHECK_HEARD(f, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok");
    CHECK_EQ(fixture_end(f), 0);
}

#define EXPECTING "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
#define CONTINUE "HTTP/1.1 100 Continue\r\n\r\n"

TEST(a_body_that_is_asked_for_behind_a_held_head_is_let_come)
{
    fixture_t *f = new_asked(EXPECTING);
    CHECK_EQ(cv_conn_respond(f->conn, 200), 0);
    cv_conn_want_body(f->conn);
    CHECK_HEARD(f, CONTINUE);
    CHECK_EQ(f->conn->deadline.kind, CV_CONN_BODY);
    CHECK(cv_deadline_is_set(&f->conn->deadline));
    cv_conn_want_body(f->conn);
    say(f, "ab");
    turn(f);
    CHECK_TOLD(f, "body ab; end; ");
    CHECK_EQ(body(f, "ok", 2, true), 0);
    turn(f);
    CHECK_HEARD(f, OK);
    CHECK_EQ(f->conn->state, CV_CONN_IDLE);
    CHECK_EQ(fixture_end(f), 0);
}

/* The client knows what it needs to know, and sends the body or closes. */
TEST(a_body_that_is_asked_for_behind_the_head_is_waited_for)
{
    for (int queued = 0; queued < 2; queued++) {
        fixture_t *f = new_asked(EXPECTING);
        CHECK_EQ(cv_conn_respond(f->conn, 200), 0);
        CHECK_EQ(body(f, "o", 1, false), 0);
        if (queued) {
            cv_conn_want_body(f->conn);
        }
        turn(f);
        CHECK_EQ(cv_deadline_is_set(&f->conn->deadline), queued);
        cv_conn_want_body(f->conn);
        CHECK(cv_deadline_is_set(&f->conn->deadline));
        CHECK_EQ(f->conn->deadline.kind, CV_CONN_BODY);
        say(f, "ab");
        turn(f);
        CHECK_TOLD(f, "body ab; end; ");
        CHECK_EQ(body(f, "k", 1, true), 0);
        turn(f);
        CHECK_HEARD(f, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n"
                       "1\r\no\r\n1\r\nk\r\n0\r\n\r\n");
        CHECK(f->heard_end);
        CHECK_EQ(fixture_end(f), 0);
    }
}

TEST(it_stands_behind_what_is_queued)
{
    static char big[600000];
    fixture_t *f = new_asked(GET GET);
    memset(big, 'x', sizeof(big));
    bool kept;
    CHECK_EQ(cv_conn_respond(f->conn, 200), 0);
    CHECK_EQ(cv_conn_body(f->conn, big, sizeof(big), true, f, &kept), 0);
    CHECK(kept);
    f->env.write_high = sizeof(big) * 2;
    turn(f);
    cv_conn_advance(f->conn);
    CHECK(f->conn->queued > 0);
    CHECK_EQ(hint(f), 0);
    CHECK_EQ(answer(f, "ok"), 0);
    size_t size = strlen("HTTP/1.1 200 OK\r\ncontent-length: 600000\r\n\r\n") + sizeof(big);
    size_t at = 0;
    while (at < size + strlen(HINT OK)) {
        turn(f);
        hear(f);
        at += f->heard_len;
    }
    CHECK_EQ(at, size + strlen(HINT OK));
    CHECK(memcmp(f->heard + f->heard_len - strlen(HINT OK), HINT OK, strlen(HINT OK)) == 0);
    CHECK_EQ(fixture_end(f), 0);
}

TEST(an_interim_response_without_memory_changes_nothing)
{
    fixture_t *f = new_asked(GET);
    cv_buffer_t lines = CV_BUFFER_INIT;
    char value[5000];
    memset(value, 'v', sizeof(value));
    CHECK_EQ(cv_h1_field_line(&lines, "link", 4, value, sizeof(value), false), 0);
    CHECK_EQ(cv_conn_respond(f->conn, 200), 0);
    cv_test_memory_left = 0;
    CHECK_EQ(cv_conn_interim(f->conn, 103, &lines), -ENOMEM);
    CHECK_EQ(cv_h1_field_line(&lines, "link", 4, value, sizeof(value), false), -ENOMEM);
    cv_test_memory_left = -1;
    cv_buffer_deinit(&lines);
    CHECK_EQ(body(f, "ok", 2, true), 0);
    turn(f);
    CHECK_HEARD(f, OK);
    CHECK_EQ(fixture_end(f), 0);
}

TEST(a_trailer_section_ends_the_answer)
{
    fixture_t *f = new_asked(GET_WITH_TRAILERS GET);
    CHECK_EQ(cv_conn_respond(f->conn, 200), 0);
    cv_conn_want_trailers(f->conn);
    CHECK(!cv_conn_awaits_trailers(f->conn));
    CHECK_EQ(trailer(f, "a", true), -EINVAL);
    CHECK_EQ(body(f, "ok", 2, true), 0);
    CHECK(cv_conn_awaits_trailers(f->conn));
    CHECK_EQ(body(f, "ok", 2, true), -EINVAL);
    turn(f);
    CHECK_HEARD(f, CHUNKED);
    CHECK_EQ(trailer(f, "A", false), 0);
    CHECK_EQ(trailer(f, "b", true), 0);
    CHECK(!cv_conn_awaits_trailers(f->conn));
    turn(f);
    CHECK_HEARD(f, "a: 1\r\nb: 1\r\n\r\n");
    CHECK_EQ(answer(f, "ok"), 0);
    turn(f);
    CHECK_HEARD(f, OK);
    cv_conn_close(f->conn, false);
    CHECK_EQ(trailer(f, "a", true), CV_CONN_EGONE);
    CHECK_EQ(fixture_end(f), 0);
}

TEST(there_is_none_where_it_cannot_be_sent)
{
    static const char *const requests[] = {GET, "GET / HTTP/1.0\r\nTE: trailers\r\n\r\n", GET_WITH_TRAILERS};
    for (int i = 0; i < 3; i++) {
        fixture_t *f = new_asked(requests[i]);
        CHECK_EQ(cv_conn_respond(f->conn, 200), 0);
        cv_conn_want_trailers(f->conn);
        if (i == 2) {
            CHECK_EQ(cv_conn_field(f->conn, "content-length", 14, "2", 1), 0);
        }
        CHECK_EQ(body(f, "ok", 2, true), 0);
        CHECK(!cv_conn_awaits_trailers(f->conn));
        turn(f);
        hear(f);
        CHECK(strstr(f->heard, "\r\ncontent-length: 2\r\n") != NULL);
        CHECK_EQ(fixture_end(f), 0);
    }
}

TEST(fields_that_say_how_to_take_the_message_are_no_trailers)
{
    static const char *const names[] = {"Content-Length", "transfer-encoding", "trailer", "Host", "set-cookie"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        cv_buffer_t lines = CV_BUFFER_INIT;
        CHECK_EQ(cv_h1_field_line(&lines, names[i], strlen(names[i]), "1", 1, true), CV_H1_WTRAILER);
        CHECK_EQ(lines.len, 0);
        CHECK_EQ(cv_h1_field_line(&lines, names[i], strlen(names[i]), "1", 1, false), 0);
        cv_buffer_deinit(&lines);
    }
    CHECK_EQ(cv_h1_field_line(&(cv_buffer_t)CV_BUFFER_INIT, "a", 1, "1", SIZE_MAX / 2, true), CV_H1_WVALUE);
}

TEST(trailers_without_memory_may_be_given_again)
{
    fixture_t *f = new_asked(GET_WITH_TRAILERS);
    CHECK_EQ(cv_conn_respond(f->conn, 200), 0);
    cv_conn_want_trailers(f->conn);
    CHECK_EQ(body(f, "ok", 2, true), 0);
    turn(f);
    cv_buffer_t lines = CV_BUFFER_INIT;
    char value[5000];
    memset(value, 'v', sizeof(value));
    CHECK_EQ(cv_h1_field_line(&lines, "a", 1, value, sizeof(value), true), 0);
    cv_test_memory_left = 0;
    CHECK_EQ(cv_conn_trailers(f->conn, &lines, true), -ENOMEM);
    cv_test_memory_left = -1;
    cv_buffer_deinit(&lines);
    CHECK_EQ(trailer(f, "a", true), 0);
    turn(f);
    CHECK_HEARD(f, CHUNKED "a: 1\r\n\r\n");
    CHECK_EQ(fixture_end(f), 0);
}

int
main(void)
{
    RUN(an_interim_response_goes_out_at_once);
    RUN(it_goes_out_before_a_head_that_is_held);
    RUN(it_goes_out_before_a_head_that_is_taken_back);
    RUN(there_is_none_behind_the_head_nor_on_http_1_0);
    RUN(a_body_that_is_asked_for_behind_a_held_head_is_let_come);
    RUN(a_body_that_is_asked_for_behind_the_head_is_waited_for);
    RUN(it_stands_behind_what_is_queued);
    RUN(an_interim_response_without_memory_changes_nothing);
    RUN(a_trailer_section_ends_the_answer);
    RUN(there_is_none_where_it_cannot_be_sent);
    RUN(fields_that_say_how_to_take_the_message_are_no_trailers);
    RUN(trailers_without_memory_may_be_given_again);
    return cv_test_end();
}
