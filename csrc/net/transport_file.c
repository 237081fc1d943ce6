/* SPDX-License-Identifier: MIT
 *
 * Bytes of a file that go to the socket inside the kernel.
 */
#include <errno.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>

#include "net/transport.h"

#ifdef __linux__
#include <sys/sendfile.h>
#endif

enum { COPIED = 16384 }; /* bytes at a time where the kernel has no way of its own */

/* Where it can't be done in the kernel: some file systems, some systems. */
static ssize_t
copy_bytes(cv_transport_t *transport, int file, uint64_t offset, size_t len)
{
    char bytes[COPIED];
    ssize_t count = pread(file, bytes, len < COPIED ? len : COPIED, (off_t)offset);
    if (count <= 0) {
        return count < 0 ? -errno : 0;
    }
    struct iovec iov = {.iov_base = bytes, .iov_len = (size_t)count};
    return cv_transport_write(transport, &iov, 1, false);
}

#if defined(__linux__)
/* sendfile knows no MSG_NOSIGNAL: SIGPIPE is held back meanwhile, and taken if it came. */
static ssize_t
send_bytes(int fd, int file, uint64_t offset, size_t len)
{
    sigset_t pipe_only, before, pending;
    sigemptyset(&pipe_only);
    sigaddset(&pipe_only, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe_only, &before);
    off_t at = (off_t)offset;
    ssize_t sent = sendfile(fd, file, &at, len);
    int error = errno;
    if (sent < 0 && error == EPIPE && sigpending(&pending) == 0 && sigismember(&pending, SIGPIPE)) {
        const struct timespec now = {0};
        sigtimedwait(&pipe_only, NULL, &now);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return sent < 0 ? -error : sent;
}
#elif defined(__APPLE__)
static ssize_t
send_bytes(int fd, int file, uint64_t offset, size_t len)
{
    off_t sent = (off_t)len;
    int status = sendfile(file, fd, (off_t)offset, &sent, NULL, 0);
    return status < 0 && sent == 0 ? -errno : (ssize_t)sent;
}
#else
static ssize_t
send_bytes(int fd, int file, uint64_t offset, size_t len)
{
    (void)fd, (void)file, (void)offset, (void)len;
    return -ENOSYS;
}
#endif

ssize_t
cv_transport_send_file(cv_transport_t *transport, int file, uint64_t offset, size_t len)
{
    ssize_t sent;
    do {
        sent = send_bytes(transport->fd, file, offset, len);
    } while (sent == -EINTR);
    if (sent == -EINVAL || sent == -ENOSYS || sent == -EOPNOTSUPP) {
        return copy_bytes(transport, file, offset, len);
    }
    return sent == -EWOULDBLOCK ? -EAGAIN : sent;
}
