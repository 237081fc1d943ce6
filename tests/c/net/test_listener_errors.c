/* SPDX-License-Identifier: MIT
 *
 * Which errors of accept concern one connection, and which pause the listener: accept4 is a script here.
 */
#ifdef __linux__

#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const int *script; /* errors in order; 0 ends it */
static int accepts;

/* The next error of the script, then an empty queue. */
static int
scripted_accept4(int fd, struct sockaddr *peer, socklen_t *peer_len, int flags)
{
    (void)fd, (void)peer, (void)peer_len, (void)flags;
    accepts++;
    errno = *script != 0 ? *script++ : EAGAIN;
    return -1;
}

#define accept4 scripted_accept4
#include "net/listener.c"

#include "cv_test.h"

static int paused, resumed, closed, pause_error;

static void
on_accept(cv_listener_t *listener, int fd, const struct sockaddr *peer, socklen_t peer_len)
{
    (void)listener, (void)fd, (void)peer, (void)peer_len;
}

static void
on_paused(cv_listener_t *listener, int error)
{
    (void)listener;
    paused++;
    pause_error = error;
}

static void
on_resumed(cv_listener_t *listener)
{
    (void)listener;
    resumed++;
}

static void
on_closed(cv_listener_t *listener)
{
    (void)listener;
    closed++;
}

static const cv_listener_ops_t ops = {on_accept, on_paused, on_resumed, on_closed};

/* Makes the listening socket readable once, with accept4 going through `errors`. Returns uv_loop_close's answer. */
static int
run_script(const int *errors, int retries)
{
    uv_loop_t loop;
    cv_listener_t listener;
    struct sockaddr_storage name;
    socklen_t len = sizeof(name);
    script = errors;
    accepts = paused = resumed = closed = pause_error = 0;
    int fd = socket(AF_INET, SOCK_STREAM, 0), client = socket(AF_INET, SOCK_STREAM, 0);
    memset(&name, 0, sizeof(name));
    listen(fd, 1);
    getsockname(fd, (struct sockaddr *)&name, &len);
    uv_loop_init(&loop);
    cv_listener_open(&listener, &loop, fd, &ops);
    cv_listener_start(&listener);
    connect(client, (struct sockaddr *)&name, len);
    while (accepts == 0) {
        uv_run(&loop, UV_RUN_ONCE);
    }
    for (int i = 0; i < retries; i++) {
        cv_listener_retry(&listener);
    }
    cv_listener_close(&listener);
    uv_run(&loop, UV_RUN_DEFAULT);
    close(client);
    close(fd);
    return closed == 1 ? uv_loop_close(&loop) : -1;
}

TEST(errors_of_one_connection_are_skipped)
{
    static const int errors[] = {ECONNABORTED, EINTR, EPROTO, EPERM, ENETDOWN, ENETUNREACH, ENOPROTOOPT, EHOSTDOWN,
                                 EHOSTUNREACH, ETIMEDOUT, 0};
    CHECK_EQ(run_script(errors, 0), 0);
    CHECK_EQ(accepts, 11);
    CHECK_EQ(paused, 0);
}

TEST(a_run_of_errors_ends_with_the_batch)
{
    static int errors[100];
    for (int i = 0; i < 99; i++) {
        errors[i] = ECONNABORTED;
    }
    CHECK_EQ(run_script(errors, 0), 0);
    CHECK_EQ(accepts, 32);
}

TEST(a_want_of_anything_pauses_until_a_batch_wants_for_nothing)
{
    static const int wants[] = {EMFILE, ENFILE, ENOBUFS, ENOMEM, EBADF};
    for (size_t i = 0; i < sizeof(wants) / sizeof(wants[0]); i++) {
        const int errors[] = {wants[i], wants[i], ECONNABORTED, wants[i], 0};
        CHECK_EQ(run_script(errors, 2), 0);
        CHECK_EQ(paused, 1);
        CHECK_EQ(pause_error, -wants[i]);
        CHECK_EQ(resumed, 0);
        CHECK_EQ(run_script(errors, 3), 0);
        CHECK_EQ(paused, 1);
        CHECK_EQ(resumed, 1);
    }
}

int
main(void)
{
    RUN(errors_of_one_connection_are_skipped);
    RUN(a_run_of_errors_ends_with_the_batch);
    RUN(a_want_of_anything_pauses_until_a_batch_wants_for_nothing);
    return cv_test_end();
}

#else

int
main(void)
{
    return 0;
}

#endif
