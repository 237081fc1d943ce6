/* SPDX-License-Identifier: MIT
 *
 * One socket on the loop: what is watched, what is told, and how it is read, written and closed.
 */
#include "net/transport.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/list.h"
#include "cv_test.h"

static uv_loop_t loop;
static cv_transport_t transport;
static int peer;
static int readable, writable, hangups, closed;
static void (*do_readable)(void);

static void
on_readable(cv_transport_t *from)
{
    readable += from == &transport;
    if (do_readable != NULL) {
        do_readable();
    }
}

static void
on_writable(cv_transport_t *from)
{
    writable += from == &transport;
}

static void
on_hangup(cv_transport_t *from)
{
    hangups += from == &transport;
}

static void
on_closed(cv_transport_t *from)
{
    closed += from == &transport;
}

static const cv_transport_ops_t ops = {on_readable, on_writable, on_hangup, on_closed};

static int
open_on(int fd)
{
    uv_loop_init(&loop);
    readable = writable = hangups = closed = 0;
    do_readable = NULL;
    return cv_transport_open(&transport, &loop, fd, &ops);
}

static int
open_pair(void)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0) {
        return -errno;
    }
    peer = pair[1];
    return open_on(pair[0]);
}

static int
open_tcp(void)
{
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(name);
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    peer = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(listener, (struct sockaddr *)&name, len) < 0 || listen(listener, 1) < 0
        || getsockname(listener, (struct sockaddr *)&name, &len) < 0
        || connect(peer, (struct sockaddr *)&name, len) < 0) {
        return -errno;
    }
    int fd = accept(listener, NULL, NULL);
    close(listener);
    return open_on(fd);
}

static int
close_all(void)
{
    cv_transport_close(&transport, false);
    uv_run(&loop, UV_RUN_DEFAULT);
    close(peer);
    return closed == 1 ? uv_loop_close(&loop) : -1;
}

static void
turn(void)
{
    uv_run(&loop, UV_RUN_NOWAIT);
}

TEST(nothing_is_watched_at_first)
{
    CHECK_EQ(open_pair(), 0);
    CHECK_EQ(write(peer, "x", 1), 1);
    turn();
    CHECK_EQ(readable + writable + hangups, 0);
    CHECK_EQ(close_all(), 0);
}

TEST(bytes_are_told_and_read)
{
    char bytes[8];
    CHECK_EQ(open_pair(), 0);
    CHECK_EQ(cv_transport_watch(&transport, true, false), 0);
    turn();
    CHECK_EQ(readable, 0);
    CHECK_EQ(cv_transport_read(&transport, bytes, sizeof(bytes)), -EAGAIN);
    CHECK(!cv_transport_has_input(&transport));
    CHECK_EQ(write(peer, "abc", 3), 3);
    CHECK(cv_transport_has_input(&transport));
    turn();
    CHECK_EQ(readable, 1);
    CHECK_EQ(cv_transport_read(&transport, bytes, sizeof(bytes)), 3);
    CHECK_BYTES(bytes, 3, "abc");
    shutdown(peer, SHUT_WR);
    turn();
    CHECK_EQ(readable, 2);
    CHECK_EQ(cv_transport_read(&transport, bytes, sizeof(bytes)), 0);
    CHECK_EQ(hangups, 0);
    CHECK_EQ(close_all(), 0);
}

TEST(room_is_told_only_when_asked_for)
{
    CHECK_EQ(open_pair(), 0);
    CHECK_EQ(cv_transport_watch(&transport, true, true), 0);
    turn();
    CHECK_EQ(writable, 1);
    CHECK_EQ(cv_transport_watch(&transport, true, false), 0);
    turn();
    CHECK_EQ(writable, 1);
    CHECK_EQ(close_all(), 0);
}

TEST(a_fin_is_told_while_reading_is_off)
{
    CHECK_EQ(open_pair(), 0);
    CHECK_EQ(cv_transport_watch(&transport, false, false), 0);
    CHECK_EQ(write(peer, "abc", 3), 3);
    turn();
    CHECK_EQ(readable + hangups, 0);
    shutdown(peer, SHUT_WR);
    turn();
    CHECK_EQ(hangups, 1);
    CHECK(!transport.failed);
    transport.input_ended = true;
    CHECK_EQ(cv_transport_watch(&transport, false, false), 0);
    turn();
    CHECK_EQ(hangups, 1);
    CHECK_EQ(close_all(), 0);
}

/* Closes the peer's end with RST where there is such a thing. */
static void
reset_peer(void)
{
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    setsockopt(peer, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    close(peer);
    peer = -1;
}

TEST(a_reset_is_told_whether_reading_or_not)
{
    for (int reading = 0; reading < 2; reading++) {
        CHECK_EQ(open_tcp(), 0);
        CHECK_EQ(cv_transport_watch(&transport, reading, false), 0);
        reset_peer();
        while (hangups == 0) {
            uv_run(&loop, UV_RUN_ONCE);
        }
        CHECK(transport.failed);
        CHECK_EQ(readable, 0);
        CHECK_EQ(close_all(), 0);
    }
}

#ifdef __linux__
/* The FIN itself is told no more, nor are bytes that wait before it. A Unix socket knows no reset. */
TEST(the_end_behind_a_fin_is_told)
{
    for (int tcp = 0; tcp < 2; tcp++) {
        CHECK_EQ(tcp ? open_tcp() : open_pair(), 0);
        transport.input_ended = true;
        CHECK_EQ(write(peer, "abc", 3), 3);
        shutdown(peer, SHUT_WR);
        CHECK_EQ(cv_transport_watch(&transport, false, false), 0);
        for (int i = 0; i < 3; i++) {
            turn();
        }
        CHECK_EQ(readable + writable + hangups, 0);
        reset_peer();
        while (hangups == 0) {
            uv_run(&loop, UV_RUN_ONCE);
        }
        CHECK_EQ(transport.failed, tcp);
        turn();
        CHECK_EQ(hangups, 1);
        CHECK_EQ(close_all(), 0);
    }
}
#endif

static void
close_from_callback(void)
{
    cv_transport_close(&transport, false);
}

TEST(it_may_be_closed_from_a_callback)
{
    CHECK_EQ(open_pair(), 0);
    do_readable = close_from_callback;
    CHECK_EQ(cv_transport_watch(&transport, true, true), 0);
    CHECK_EQ(write(peer, "x", 1), 1);
    turn();
    CHECK_EQ(readable, 1);
    CHECK_EQ(writable, 0);
    CHECK_EQ(transport.fd, -1);
    CHECK_EQ(cv_transport_watch(&transport, true, true), 0);
    CHECK_EQ(close_all(), 0);
}

TEST(pieces_are_written_in_order)
{
    char bytes[16];
    CHECK_EQ(open_pair(), 0);
    struct iovec iov[] = {{"abc", 3}, {"de", 2}, {"", 0}, {"f", 1}};
    CHECK_EQ(cv_transport_write(&transport, iov, 4, false), 6);
    CHECK_EQ(cv_transport_write(&transport, iov, 1, false), 3);
    CHECK_EQ(read(peer, bytes, sizeof(bytes)), 9);
    CHECK_BYTES(bytes, 9, "abcdefabc");
    CHECK_EQ(close_all(), 0);
}

TEST(a_full_socket_says_so)
{
    static char bytes[65536];
    CHECK_EQ(open_pair(), 0);
    struct iovec iov = {bytes, sizeof(bytes)};
    ssize_t written;
    do {
        written = cv_transport_write(&transport, &iov, 1, false);
    } while (written > 0);
    CHECK_EQ(written, -EAGAIN);
    CHECK_EQ(cv_transport_watch(&transport, true, true), 0);
    turn();
    CHECK_EQ(writable, 0);
    while (recv(peer, bytes, sizeof(bytes), MSG_DONTWAIT) > 0) {
    }
    turn();
    CHECK_EQ(writable, 1);
    CHECK_EQ(close_all(), 0);
}

/* SIGPIPE keeps its default action here: it would end the test program. */
TEST(writing_to_a_closed_peer_is_an_error_without_a_signal)
{
    CHECK_EQ(open_pair(), 0);
    CHECK(signal(SIGPIPE, SIG_DFL) != SIG_ERR);
    close(peer);
    peer = -1;
    struct iovec iov[] = {{"abc", 3}, {"de", 2}};
    CHECK_EQ(cv_transport_write(&transport, iov, 1, false), -EPIPE);
    CHECK_EQ(cv_transport_write(&transport, iov, 2, false), -EPIPE);
    CHECK_EQ(close_all(), 0);
}

TEST(a_close_sends_fin_or_rst)
{
    for (int reset = 0; reset < 2; reset++) {
        char byte;
        CHECK_EQ(open_tcp(), 0);
        cv_transport_close(&transport, reset);
        cv_transport_close(&transport, !reset);
        ssize_t count = recv(peer, &byte, 1, 0);
        CHECK_EQ(count, reset ? -1 : 0);
        if (reset) {
            CHECK_EQ(errno, ECONNRESET);
        }
        CHECK_EQ(close_all(), 0);
    }
}

TEST(our_side_may_be_shut_down_alone)
{
    char bytes[8];
    CHECK_EQ(open_pair(), 0);
    CHECK_EQ(cv_transport_shutdown_write(&transport), 0);
    CHECK_EQ(read(peer, bytes, sizeof(bytes)), 0);
    CHECK_EQ(write(peer, "abc", 3), 3);
    CHECK_EQ(cv_transport_read(&transport, bytes, sizeof(bytes)), 3);
    CHECK_EQ(close_all(), 0);
}

TEST(a_socket_is_made_non_blocking)
{
    CHECK_EQ(open_pair(), 0);
    CHECK(fcntl(transport.fd, F_GETFL) & O_NONBLOCK);
    CHECK_EQ(close_all(), 0);
}

TEST(an_fd_that_cannot_be_polled_stays_the_callers)
{
    int fd = open("/dev/null", O_RDWR);
    CHECK(fd >= 0);
    CHECK(open_on(fd) < 0);
    CHECK_EQ(close(fd), 0);
    CHECK_EQ(uv_loop_close(&loop), 0);
}

int
main(void)
{
    RUN(nothing_is_watched_at_first);
    RUN(bytes_are_told_and_read);
    RUN(room_is_told_only_when_asked_for);
    RUN(a_fin_is_told_while_reading_is_off);
    RUN(a_reset_is_told_whether_reading_or_not);
#ifdef __linux__
    RUN(the_end_behind_a_fin_is_told);
#endif
    RUN(it_may_be_closed_from_a_callback);
    RUN(pieces_are_written_in_order);
    RUN(a_full_socket_says_so);
    RUN(writing_to_a_closed_peer_is_an_error_without_a_signal);
    RUN(a_close_sends_fin_or_rst);
    RUN(our_side_may_be_shut_down_alone);
    RUN(a_socket_is_made_non_blocking);
    RUN(an_fd_that_cannot_be_polled_stays_the_callers);
    return cv_test_end();
}
