/* SPDX-License-Identifier: MIT
 *
 * No memory at any one place: the connection answers, or closes, and loses neither a descriptor nor an owner.
 */
#include "cv_test_memory.h"

#include "base/buffer.c"
#include "conn/conn.c"
#include "conn/conn_output.c"
#include "conn/conn_parser.c"

#include <sys/socket.h>

#include "conn/conn_fixture.h"
#include "cv_test.h"

static char big[200000];

enum { MOST_CALLS = 60 };

#if defined(__linux__) && UINTPTR_MAX == UINT64_MAX
/* Ten thousand idle connections are ten thousand of these. */
_Static_assert(sizeof(cv_conn_t) == (size_t)7 * CV_CONN_ALIGNMENT, "a connection is seven cache lines");
#endif

static unsigned kept_count; /* references that were taken over */

TEST(no_connection_is_made)
{
    fixture_t *f = fixture_new();
    int pair[2];
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    cv_test_memory_left = 0;
    cv_conn_t *conn = cv_conn_new(&f->env, pair[1], NULL);
    cv_test_memory_left = -1;
    CHECK(conn == NULL);
    char byte;
    CHECK_EQ(recv(pair[0], &byte, 1, 0), 0);
    close(pair[0]);
    CHECK_EQ(f->env.conn_count, 1);
    CHECK_EQ(fixture_end(f), 0);
}

static void
answer_all_ways(fixture_t *f, cv_conn_t *conn)
{
    bool kept = false;
    if (cv_conn_respond(conn, 200) < 0) {
        cv_conn_refuse(conn, 500, NULL);
        return;
    }
    if (cv_conn_field(conn, "x-a", 3, big, 2000) < 0) {
        cv_conn_refuse(conn, 500, NULL);
        return;
    }
    int status = cv_conn_body(conn, "small", 5, false, f, &kept);
    for (int i = 0; i < 6 && status == 0; i++) {
        status = cv_conn_body(conn, big, sizeof(big), false, f, &kept);
        kept_count += kept;
        if (status == 0) {
            status = cv_conn_body(conn, big, 4000, false, NULL, &kept);
        }
    }
    if (status == 0) {
        status = cv_conn_body(conn, "", 0, true, NULL, &kept);
    }
    if (status < 0) {
        cv_conn_fail(conn);
    }
}

/* One exchange with `left` allocations that succeed. Returns the number of references that were released. */
static unsigned
exchange(fixture_t *f, int left)
{
    f->do_end = answer_all_ways;
    memset(big, 'x', sizeof(big));
    say(f, "PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-");
    cv_test_memory_left = left;
    turn(f);
    if (f->env.conn_count > 0) {
        say(f, "Length: 2\r\n\r\nab"
               "GET /2 HTTP/1.1\r\nHost: a\r\n\r\n"
               "BAD\r\n\r\n");
    }
    for (int i = 0; i < 400 && f->env.conn_count > 0 && !f->heard_end; i++) {
        turn(f);
        hear(f);
    }
    cv_test_memory_left = -1;
    return f->releases;
}

TEST(every_allocation_may_fail)
{
    for (int left = 0; left < MOST_CALLS; left++) {
        fixture_t *f = fixture_new();
        kept_count = 0;
        exchange(f, left);
        CHECK(f->heard_end || f->env.conn_count == 0);
        cv_conn_env_abort(&f->env);
        CHECK_EQ(f->releases, kept_count);
        CHECK_EQ(fixture_end(f), 0);
    }
}

TEST(with_enough_memory_all_is_released)
{
    fixture_t *f = fixture_new();
    CHECK_EQ(exchange(f, MOST_CALLS), 12);
    CHECK(f->heard_end);
    CHECK(strstr(told(f), "refused 400") != NULL);
    CHECK_EQ(fixture_end(f), 0);
}

TEST(a_piece_that_is_not_queued_leaves_the_answer_as_it_was)
{
    fixture_t *f = fixture_new();
    bool kept;
    say(f, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    turn(f);
    CHECK_EQ(cv_conn_respond(f->conn, 200), 0);
    cv_test_memory_left = 0;
    CHECK(cv_conn_body(f->conn, big, 100000, false, f, &kept) < 0);
    CHECK(!kept);
    CHECK(cv_conn_body(f->conn, big, 100000, false, NULL, &kept) < 0);
    cv_test_memory_left = -1;
    CHECK_EQ(f->conn->queued, 0);
    CHECK_EQ(body(f, "ok", 2, true), 0);
    turn(f);
    CHECK_HEARD(f, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
    CHECK_EQ(fixture_end(f), 0);
}

TEST(a_reply_without_memory_closes)
{
    fixture_t *f = fixture_new();
    say(f, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    turn(f);
    CHECK_TOLD(f, "head GET /; end; ");
    cv_test_memory_left = 0;
    cv_conn_reply(f->conn, 200, "ok");
    cv_test_memory_left = -1;
    CHECK_EQ(f->env.conn_count, 0);
    CHECK_TOLD(f, "gone; ");
    CHECK_EQ(fixture_end(f), 0);
}

int
main(void)
{
    RUN(no_connection_is_made);
    RUN(every_allocation_may_fail);
    RUN(with_enough_memory_all_is_released);
    RUN(a_piece_that_is_not_queued_leaves_the_answer_as_it_was);
    RUN(a_reply_without_memory_closes);
    return cv_test_end();
}
