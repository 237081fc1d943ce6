/* SPDX-License-Identifier: MIT
 *
 * Files in the queue of an answer: sent by the kernel, read by a thread first where they are not in memory, and let go
 * of at any moment.
 */
#define cv_file_is_cached fake_is_cached

#include "cv_test_memory.h"

#include "net/file.h"

/* Whether the next pieces of a file are said to be in memory. */
static bool cached;

bool
fake_is_cached(int fd, uint64_t offset, size_t len)
{
    (void)fd, (void)offset, (void)len;
    return cached;
}

#include "conn/conn_file.c"

#include <fcntl.h>

#include "conn/conn_fixture.h"
#include "cv_test.h"

enum { BIG = 1500000 }; /* two pieces, and more than the socket takes at once */

static char content[BIG];
static char heard[BIG + 1000];
static int count_before; /* open descriptors, with the fixture's */

static int
open_count(void)
{
    int count = 0;
    for (int fd = 0; fd < 64; fd++) {
        count += fcntl(fd, F_GETFD) >= 0;
    }
    return count;
}

/* A file of `len` bytes that has no name any more. */
static int
make_file(size_t len)
{
    char path[] = "/tmp/cuvee-test-XXXXXX";
    int fd = mkstemp(path);
    unlink(path);
    for (size_t i = 0; i < len; i++) {
        content[i] = (char)('a' + i % 25);
    }
    return write(fd, content, len) == (ssize_t)len ? fd : -1;
}

static fixture_t *
new_asked(const char *request)
{
    fixture_t *f = fixture_new();
    say(f, request);
    turn(f);
    told(f);
    count_before = open_count();
    return f;
}

#define GET "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
#define HEAD_OF(length) "HTTP/1.1 200 OK\r\ncontent-length: " length "\r\n\r\n"

/* Takes turns until `len` bytes came, or the end; returns how many came. */
static size_t
hear_many(fixture_t *f, size_t len)
{
    size_t at = 0;
    while (at < len && !f->heard_end) {
        turn(f);
        hear(f);
        if (f->heard_len > sizeof(heard) - at) {
            return 0;
        }
        memcpy(heard + at, f->heard, f->heard_len);
        at += f->heard_len;
    }
    return at;
}

static void
files_are_sent(bool is_cached, bool chunked)
{
    fixture_t *f = new_asked(GET GET);
    cached = is_cached;
    CHECK_EQ(cv_conn_respond(f->conn, 200), 0);
    if (chunked) {
        CHECK_EQ(cv_conn_field(f->conn, "transfer-encoding", 17, "chunked", 7), 0);
    }
    int fd = make_file(BIG);
    CHECK_EQ(cv_conn_file(f->conn, fd, 0, BIG, true), 0);
    const char *head = chunked ? "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n16e360\r\n" : HEAD_OF("1500000");
    const char *end = chunked ? "\r\n0\r\n\r\n" : "";
    size_t size = strlen(head) + BIG + strlen(end);
    CHECK_EQ(f->conn->queued, size);
    CHECK_EQ(hear_many(f, size), size);
    CHECK(memcmp(heard, head, strlen(head)) == 0);
    CHECK(memcmp(heard + strlen(head), content, BIG) == 0);
    CHECK(memcmp(heard + size - strlen(end), end, strlen(end)) == 0);
    CHECK_EQ(open_count(), count_before);
    CHECK_EQ(answer(f, "ok"), 0);
    turn(f);
    CHECK_HEARD(f, HEAD_OF("2") "ok");
    CHECK_EQ(fixture_end(f), 0);
}

TEST(a_file_is_sent)
{
    files_are_sent(true, false);
    files_are_sent(true, true);
}

TEST(what_is_not_in_memory_is_read_first)
{
    files_are_sent(false, false);
    files_are_sent(false, true);
}

/* Sending goes by what the socket takes, so that it comes to an end of what was read at any byte. */
TEST(no_more_is_sent_than_a_thread_has_read)
{
    fixture_t *f = new_asked(GET);
    cached = false;
    cv_conn_file_t *file = cv_conn_file_new(f->conn, make_file(BIG), 0);
    file->read_end = 1000;
    CHECK_EQ(cv_conn_file_send(file, BIG), 1000);
    file->read_end = 1500;
    CHECK_EQ(cv_conn_file_send(file, 100), 100);
    CHECK_EQ(cv_conn_file_send(file, BIG), 400);
    cached = true;
    CHECK(cv_conn_file_send(file, BIG) > 400);
    cv_conn_file_release(file);
    CHECK_EQ(fixture_end(f), 0);
}

TEST(a_part_of_a_file_stands_between_bytes)
{
    fixture_t *f = new_asked(GET);
    cached = true;
    int fd = make_file(100);
    CHECK_EQ(cv_conn_respond(f->conn, 200), 0);
    CHECK_EQ(cv_conn_field(f->conn, "content-length", 14, "14", 2), 0);
    CHECK_EQ(body(f, "<", 1, false), 0);
    CHECK_EQ(cv_conn_file(f->conn, dup(fd), 10, 5, false), 0);
    CHECK_EQ(cv_conn_file(f->conn, fd, 0, 7, false), 0);
    CHECK_EQ(body(f, ">", 1, true), 0);
    turn(f);
    CHECK_HEARD(f, HEAD_OF("14") "<klmnoabcdefg>");
    CHECK_EQ(open_count(), count_before);
    CHECK_EQ(fixture_end(f), 0);
}

TEST(a_body_that_is_not_sent_needs_no_file)
{
    fixture_t *f = new_asked("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
    CHECK_EQ(cv_conn_respond(f->conn, 200), 0);
    CHECK_EQ(cv_conn_file(f->conn, make_file(100), 0, 100, true), 0);
    CHECK_EQ(open_count(), count_before);
    turn(f);
    CHECK_HEARD(f, HEAD_OF("100"));
    CHECK_EQ(fixture_end(f), 0);
}

TEST(an_excess_is_cut_and_a_shortfall_is_told)
{
    for (int wrong = -1; wrong <= 1; wrong += 2) {
        fixture_t *f = new_asked(GET);
        cached = true;
        CHECK_EQ(cv_conn_respond(f->conn, 200), 0);
        CHECK_EQ(cv_conn_field(f->conn, "content-length", 14, "10", 2), 0);
        int expected = wrong < 0 ? CV_H1_WSHORT : CV_H1_WLONG;
        CHECK_EQ(cv_conn_file(f->conn, make_file(20), 0, (size_t)(10 + wrong), true), expected);
        turn(f);
        hear(f);
        CHECK(strstr(f->heard, wrong < 0 ? "\r\n\r\nabcdefghi" : "\r\n\r\nabcdefghij") != NULL);
        CHECK(f->heard_end);
        CHECK_EQ(open_count(), count_before - 1);
        CHECK_EQ(fixture_end(f), 0);
    }
}

TEST(a_file_that_became_shorter_breaks_the_connection_off)
{
    fixture_t *f = new_asked(GET);
    cached = true;
    int fd = make_file(BIG);
    CHECK_EQ(cv_conn_respond(f->conn, 200), 0);
    CHECK_EQ(cv_conn_file(f->conn, dup(fd), 0, BIG, false), 0);
    turn(f);
    CHECK_EQ(ftruncate(fd, 1000), 0);
    close(fd);
    while (f->env.conn_count > 0) {
        turn(f);
        hear(f);
    }
    CHECK(strstr(told(f), "cut; ") != NULL);
    CHECK_EQ(fixture_end(f), 0);
}

/* Where a thread of the pool is under way. */
TEST(a_connection_may_close_while_its_file_is_read)
{
    for (int by_client = 0; by_client < 2; by_client++) {
        fixture_t *f = new_asked(GET);
        cached = false;
        CHECK_EQ(cv_conn_respond(f->conn, 200), 0);
        CHECK_EQ(cv_conn_file(f->conn, make_file(BIG), 0, BIG, true), 0);
        cv_conn_flush(f->conn);
        CHECK_EQ(f->env.unfreed, 2);
        if (by_client) {
            hang_up(f);
        } else {
            cv_conn_close(f->conn, false);
        }
        CHECK_EQ(fixture_end(f), 0);
    }
}

TEST(no_deadline_of_the_client_runs_while_the_file_is_read)
{
    fixture_t *f = new_asked(GET);
    cached = false;
    CHECK_EQ(cv_conn_respond(f->conn, 200), 0);
    CHECK_EQ(cv_conn_file(f->conn, make_file(BIG), 0, BIG, true), 0);
    cv_conn_flush(f->conn);
    CHECK(!cv_deadline_is_set(&f->conn->deadline));
    CHECK(!f->conn->transport.writing);
    while (!f->conn->transport.writing) {
        turn_waiting(f);
    }
    CHECK_EQ(f->conn->deadline.kind, CV_CONN_WRITE);
    CHECK_EQ(fixture_end(f), 0);
}

TEST(without_memory_the_answer_stays_as_it_was)
{
    fixture_t *f = new_asked(GET);
    CHECK_EQ(cv_conn_respond(f->conn, 200), 0);
    cv_test_memory_left = 0;
    CHECK_EQ(cv_conn_file(f->conn, make_file(10), 0, 10, true), -ENOMEM);
    cv_test_memory_left = -1;
    CHECK_EQ(open_count(), count_before);
    CHECK_EQ(answer(f, "ok"), -EALREADY);
    CHECK_EQ(body(f, "ok", 2, true), 0);
    turn(f);
    CHECK_HEARD(f, HEAD_OF("2") "ok");
    CHECK_EQ(fixture_end(f), 0);
}

TEST(a_file_before_the_head_or_for_nobody_is_let_go)
{
    fixture_t *f = new_asked(GET);
    CHECK_EQ(cv_conn_file(f->conn, make_file(10), 0, 10, true), -EINVAL);
    CHECK_EQ(open_count(), count_before);
    cv_conn_close(f->conn, false);
    CHECK_EQ(cv_conn_file(f->conn, make_file(10), 0, 10, true), CV_CONN_EGONE);
    CHECK_EQ(open_count(), count_before - 1);
    CHECK_EQ(fixture_end(f), 0);
}

int
main(void)
{
    RUN(a_file_is_sent);
    RUN(what_is_not_in_memory_is_read_first);
    RUN(no_more_is_sent_than_a_thread_has_read);
    RUN(a_part_of_a_file_stands_between_bytes);
    RUN(a_body_that_is_not_sent_needs_no_file);
    RUN(an_excess_is_cut_and_a_shortfall_is_told);
    RUN(a_file_that_became_shorter_breaks_the_connection_off);
    RUN(a_connection_may_close_while_its_file_is_read);
    RUN(no_deadline_of_the_client_runs_while_the_file_is_read);
    RUN(without_memory_the_answer_stays_as_it_was);
    RUN(a_file_before_the_head_or_for_nobody_is_let_go);
    return cv_test_end();
}
