/* SPDX-License-Identifier: MIT
 *
 * Accepting: in batches, with and without descriptors to spare, from TCP and Unix sockets.
 */
#include "net/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/un.h>
#include <unistd.h>

#include "cv_test.h"

enum { MOST = 128 };

static uv_loop_t loop;
static cv_listener_t listener;
static int listening_fd;
static struct sockaddr_storage address;
static socklen_t address_len;
static int accepted[MOST], clients[MOST];
static int accepted_count, client_count, accepted_last_turn;
static int paused, resumed, closed, pause_error;
static sa_family_t peer_family;
static void (*do_accept)(void);

static void
on_accept(cv_listener_t *from, int fd, const struct sockaddr *peer, socklen_t peer_len)
{
    (void)from, (void)peer_len;
    peer_family = peer->sa_family;
    accepted[accepted_count++] = fd;
    if (do_accept != NULL) {
        do_accept();
    }
}

static void
on_paused(cv_listener_t *from, int error)
{
    paused += from == &listener;
    pause_error = error;
}

static void
on_resumed(cv_listener_t *from)
{
    resumed += from == &listener;
}

static void
on_closed(cv_listener_t *from)
{
    closed += from == &listener;
}

static const cv_listener_ops_t ops = {on_accept, on_paused, on_resumed, on_closed};

static int
open_on(int fd)
{
    listening_fd = fd;
    accepted_count = client_count = accepted_last_turn = paused = resumed = closed = pause_error = 0;
    do_accept = NULL;
    uv_loop_init(&loop);
    return cv_listener_open(&listener, &loop, fd, &ops);
}

static int
tcp_socket(int backlog)
{
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    address_len = sizeof(name);
    bind(fd, (struct sockaddr *)&name, address_len);
    if (backlog > 0) {
        listen(fd, backlog);
    }
    getsockname(fd, (struct sockaddr *)&address, &address_len);
    return fd;
}

static void
connect_clients(int count)
{
    for (int i = 0; i < count; i++) {
        int fd = socket(address.ss_family, SOCK_STREAM, 0);
        if (connect(fd, (struct sockaddr *)&address, address_len) == 0) {
            clients[client_count++] = fd;
        }
    }
}

static void
close_fds(int *fds, int *count)
{
    while (*count > 0) {
        close(fds[--*count]);
    }
}

static int
close_all(void)
{
    cv_listener_close(&listener);
    cv_listener_close(&listener);
    uv_run(&loop, UV_RUN_DEFAULT);
    close_fds(accepted, &accepted_count);
    close_fds(clients, &client_count);
    int still_open = fcntl(listening_fd, F_GETFD);
    close(listening_fd);
    return closed == 1 && still_open >= 0 ? uv_loop_close(&loop) : -1;
}

static void
run_until_accepted(int count)
{
    while (accepted_count < count) {
        uv_run(&loop, UV_RUN_ONCE);
    }
}

TEST(a_connection_is_accepted_ready_to_use)
{
    CHECK_EQ(open_on(tcp_socket(8)), 0);
    CHECK_EQ(cv_listener_start(&listener), 0);
    CHECK_EQ(cv_listener_start(&listener), 0);
    connect_clients(1);
    run_until_accepted(1);
    int fd = accepted[0], on = 0;
    socklen_t len = sizeof(on);
    CHECK(fcntl(fd, F_GETFL) & O_NONBLOCK);
    CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    CHECK_EQ(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, &len), 0);
    CHECK(on);
    CHECK_EQ(peer_family, AF_INET);
    CHECK_EQ(close_all(), 0);
}

TEST(a_unix_socket_is_accepted_from_too)
{
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    address_len = sizeof(sa_family_t); /* the kernel picks an abstract name */
    address.ss_family = AF_UNIX;
    CHECK_EQ(bind(fd, (struct sockaddr *)&address, address_len), 0);
    CHECK_EQ(listen(fd, 8), 0);
    address_len = sizeof(address);
    getsockname(fd, (struct sockaddr *)&address, &address_len);
    CHECK_EQ(open_on(fd), 0);
    CHECK(!listener.is_tcp);
    CHECK_EQ(cv_listener_start(&listener), 0);
    connect_clients(2);
    run_until_accepted(2);
    CHECK_EQ(peer_family, AF_UNIX);
    CHECK_EQ(close_all(), 0);
}

TEST(nothing_is_accepted_before_start_or_after_stop)
{
    CHECK_EQ(open_on(tcp_socket(8)), 0);
    connect_clients(1);
    uv_run(&loop, UV_RUN_NOWAIT);
    CHECK_EQ(accepted_count, 0);
    CHECK_EQ(cv_listener_start(&listener), 0);
    run_until_accepted(1);
    cv_listener_stop(&listener);
    cv_listener_stop(&listener);
    connect_clients(1);
    uv_run(&loop, UV_RUN_NOWAIT);
    CHECK_EQ(accepted_count, 1);
    CHECK_EQ(cv_listener_start(&listener), 0);
    run_until_accepted(2);
    CHECK_EQ(close_all(), 0);
}

TEST(a_batch_has_an_end)
{
    CHECK_EQ(open_on(tcp_socket(MOST)), 0);
    CHECK_EQ(cv_listener_start(&listener), 0);
    connect_clients(40);
    CHECK_EQ(client_count, 40);
    run_until_accepted(1);
    CHECK_EQ(accepted_count, 32);
    run_until_accepted(40);
    CHECK_EQ(accepted_count, 40);
    CHECK_EQ(close_all(), 0);
}

static void
stop_listening(void)
{
    cv_listener_stop(&listener);
}

static void
close_listener(void)
{
    cv_listener_close(&listener);
}

TEST(it_may_be_stopped_or_closed_by_on_accept)
{
    for (int closes = 0; closes < 2; closes++) {
        CHECK_EQ(open_on(tcp_socket(8)), 0);
        CHECK_EQ(cv_listener_start(&listener), 0);
        do_accept = closes ? close_listener : stop_listening;
        connect_clients(3);
        run_until_accepted(1);
        uv_run(&loop, UV_RUN_NOWAIT);
        CHECK_EQ(accepted_count, 1);
        if (closes) {
            CHECK(cv_listener_start(&listener) < 0);
        }
        CHECK_EQ(close_all(), 0);
    }
}

/* Leaves no descriptor to spare; returns the old limit. */
static struct rlimit
use_up_descriptors(void)
{
    struct rlimit old, none;
    getrlimit(RLIMIT_NOFILE, &old);
    int next = dup(0);
    close(next);
    none = old;
    none.rlim_cur = (rlim_t)next;
    setrlimit(RLIMIT_NOFILE, &none);
    return old;
}

TEST(all_that_wait_are_accepted_at_the_end)
{
    CHECK_EQ(open_on(tcp_socket(MOST)), 0);
    CHECK_EQ(cv_listener_start(&listener), 0);
    connect_clients(100);
    cv_listener_accept_waiting(&listener);
    CHECK_EQ(accepted_count, 100);
    cv_listener_stop(&listener);
    connect_clients(2);
    cv_listener_accept_waiting(&listener);
    CHECK_EQ(accepted_count, 102);
    cv_listener_close(&listener);
    connect_clients(1);
    cv_listener_accept_waiting(&listener);
    CHECK_EQ(accepted_count, 102);
    CHECK_EQ(close_all(), 0);
}

TEST(a_want_of_descriptors_at_the_end_is_told)
{
    CHECK_EQ(open_on(tcp_socket(8)), 0);
    CHECK_EQ(cv_listener_start(&listener), 0);
    connect_clients(2);
    struct rlimit old = use_up_descriptors();
    cv_listener_accept_waiting(&listener);
    setrlimit(RLIMIT_NOFILE, &old);
    CHECK_EQ(accepted_count, 0);
    CHECK_EQ(paused, 1);
    CHECK_EQ(pause_error, -EMFILE);
    CHECK_EQ(close_all(), 0);
}

TEST(a_want_of_descriptors_pauses_and_is_told_once)
{
    CHECK_EQ(open_on(tcp_socket(8)), 0);
    CHECK_EQ(cv_listener_start(&listener), 0);
    connect_clients(2);
    uv_run(&loop, UV_RUN_NOWAIT); /* lets libuv open what it opens late */
    close_fds(accepted, &accepted_count);
    connect_clients(2);
    struct rlimit old = use_up_descriptors();
    while (paused == 0) {
        uv_run(&loop, UV_RUN_ONCE);
    }
    cv_listener_retry(&listener);
    cv_listener_retry(&listener);
    setrlimit(RLIMIT_NOFILE, &old);
    CHECK_EQ(pause_error, -EMFILE);
    CHECK_EQ(paused, 1);
    CHECK_EQ(resumed, 0);
    CHECK_EQ(accepted_count, 0);
    cv_listener_retry(&listener);
    CHECK_EQ(accepted_count, 2);
    CHECK_EQ(resumed, 1);
    CHECK_EQ(paused, 1);
    connect_clients(1);
    run_until_accepted(3);
    CHECK_EQ(close_all(), 0);
}

TEST(a_pause_ends_by_itself)
{
    CHECK_EQ(open_on(tcp_socket(8)), 0);
    CHECK_EQ(cv_listener_start(&listener), 0);
    connect_clients(1);
    run_until_accepted(1);
    connect_clients(1);
    struct rlimit old = use_up_descriptors();
    while (paused == 0) {
        uv_run(&loop, UV_RUN_ONCE);
    }
    setrlimit(RLIMIT_NOFILE, &old);
    run_until_accepted(2);
    CHECK_EQ(resumed, 1);
    CHECK(!listener.paused);
    CHECK_EQ(close_all(), 0);
}

TEST(a_paused_listener_may_be_stopped)
{
    CHECK_EQ(open_on(tcp_socket(8)), 0);
    CHECK_EQ(cv_listener_start(&listener), 0);
    connect_clients(1);
    run_until_accepted(1);
    connect_clients(1);
    struct rlimit old = use_up_descriptors();
    while (paused == 0) {
        uv_run(&loop, UV_RUN_ONCE);
    }
    setrlimit(RLIMIT_NOFILE, &old);
    cv_listener_stop(&listener);
    cv_listener_retry(&listener);
    CHECK_EQ(accepted_count, 1);
    CHECK(!uv_is_active((uv_handle_t *)&listener.retry));
    CHECK_EQ(close_all(), 0);
}

TEST(only_a_listening_socket_is_taken)
{
    int fd = tcp_socket(0);
    CHECK_EQ(open_on(fd), -EINVAL);
    CHECK_EQ(close(fd), 0);
    CHECK_EQ(uv_loop_close(&loop), 0);
}

TEST(a_listener_that_never_started_closes)
{
    CHECK_EQ(open_on(tcp_socket(8)), 0);
    CHECK(listener.is_tcp);
    CHECK_EQ(close_all(), 0);
}

int
main(void)
{
    RUN(a_connection_is_accepted_ready_to_use);
    RUN(a_unix_socket_is_accepted_from_too);
    RUN(nothing_is_accepted_before_start_or_after_stop);
    RUN(a_batch_has_an_end);
    RUN(it_may_be_stopped_or_closed_by_on_accept);
    RUN(all_that_wait_are_accepted_at_the_end);
    RUN(a_want_of_descriptors_at_the_end_is_told);
    RUN(a_want_of_descriptors_pauses_and_is_told_once);
    RUN(a_pause_ends_by_itself);
    RUN(a_paused_listener_may_be_stopped);
    RUN(only_a_listening_socket_is_taken);
    RUN(a_listener_that_never_started_closes);
    return cv_test_end();
}
