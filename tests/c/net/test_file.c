/* SPDX-License-Identifier: MIT
 *
 * Files that are opened to be sent, and their bytes on the way to a socket.
 */
#include "net/file.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* What the kernel's own way answers instead of sending, or 0. */
static int refusal;

#ifdef __linux__
#include <sys/sendfile.h>

static ssize_t
refusing_sendfile(int out, int in, off_t *offset, size_t count)
{
    if (refusal != 0) {
        errno = refusal;
        return -1;
    }
    return sendfile(out, in, offset, count);
}

#define sendfile refusing_sendfile
#endif

#include "net/transport_file.c"

#include "cv_test.h"

static char folder[] = "/tmp/cuvee-test-XXXXXX";
static char path[64];

static void
make_file(const char *content, size_t len)
{
    int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0600);
    CHECK_EQ(write(fd, content, len), len);
    close(fd);
}

TEST(a_file_is_opened_with_its_size)
{
    uint64_t size = 0;
    make_file("hello", 5);
    int fd = cv_file_open(path, &size);
    CHECK(fd >= 0);
    CHECK_EQ(size, 5);
    CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    CHECK(cv_file_is_cached(fd, 0, 5));
    CHECK(cv_file_is_cached(fd, 0, 0));
    CHECK(cv_file_is_cached(fd, 100, 100));
    cv_file_cache(fd, 0, 5);
    cv_file_cache(fd, 3, 1000000);
    cv_file_cache(-1, 0, 5);
    close(fd);
}

TEST(what_is_no_regular_file_is_refused)
{
    uint64_t size;
    CHECK_EQ(cv_file_open("/nowhere/at/all", &size), -ENOENT);
    CHECK_EQ(cv_file_open(folder, &size), -EISDIR);
    unlink(path);
    CHECK_EQ(mkfifo(path, 0600), 0);
    CHECK_EQ(cv_file_open(path, &size), -EINVAL);
    unlink(path);
    CHECK_EQ(cv_file_size(-1, &size), -EBADF);
}

static int
open_pair(cv_transport_t *transport)
{
    int pair[2];
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    *transport = (cv_transport_t){.fd = pair[1]};
    return pair[0];
}

TEST(bytes_of_a_file_are_sent_one_way_or_the_other)
{
    static const int refusals[] = {0, EINVAL, ENOSYS};
    make_file("0123456789", 10);
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        char bytes[16];
        uint64_t size;
        cv_transport_t transport;
        int peer = open_pair(&transport);
        int fd = cv_file_open(path, &size);
        refusal = refusals[i];
        CHECK_EQ(cv_transport_send_file(&transport, fd, 2, 5), 5);
        CHECK_EQ(cv_transport_send_file(&transport, fd, 8, 100), 2);
        CHECK_EQ(cv_transport_send_file(&transport, fd, 10, 5), 0);
        CHECK_EQ(read(peer, bytes, sizeof(bytes)), 7);
        CHECK_BYTES(bytes, 7, "2345689");
        CHECK_EQ(cv_transport_send_file(&transport, -1, 0, 5), -EBADF);
        refusal = EIO;
        CHECK_EQ(cv_transport_send_file(&transport, fd, 2, 5), -EIO);
        refusal = 0;
        close(fd);
        close(peer);
        close(transport.fd);
    }
}

TEST(a_full_socket_says_so)
{
    static char content[100000];
    uint64_t size;
    cv_transport_t transport;
    int peer = open_pair(&transport);
    make_file(content, sizeof(content));
    int fd = cv_file_open(path, &size);
    ssize_t sent;
    do {
        sent = cv_transport_send_file(&transport, fd, 0, sizeof(content));
    } while (sent > 0);
    CHECK_EQ(sent, -EAGAIN);
    close(fd);
    close(peer);
    close(transport.fd);
}

/* SIGPIPE keeps its default action here: it would end the test program. */
TEST(a_closed_peer_is_an_error_without_a_signal)
{
    uint64_t size;
    cv_transport_t transport;
    int peer = open_pair(&transport);
    make_file("hello", 5);
    int fd = cv_file_open(path, &size);
    CHECK(signal(SIGPIPE, SIG_DFL) != SIG_ERR);
    close(peer);
    CHECK_EQ(cv_transport_send_file(&transport, fd, 0, 5), -EPIPE);
    sigset_t mask;
    CHECK_EQ(sigprocmask(SIG_SETMASK, NULL, &mask), 0);
    CHECK(!sigismember(&mask, SIGPIPE));
    close(fd);
    close(transport.fd);
}

int
main(void)
{
    if (mkdtemp(folder) == NULL) {
        return 1;
    }
    snprintf(path, sizeof(path), "%s/file", folder);
    RUN(a_file_is_opened_with_its_size);
    RUN(what_is_no_regular_file_is_refused);
    RUN(bytes_of_a_file_are_sent_one_way_or_the_other);
    RUN(a_full_socket_says_so);
    RUN(a_closed_peer_is_an_error_without_a_signal);
    unlink(path);
    rmdir(folder);
    return cv_test_end();
}
