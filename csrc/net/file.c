/* SPDX-License-Identifier: MIT */
#ifdef __linux__
#define _GNU_SOURCE /* preadv2 */
#endif

#include "net/file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { SCRATCH = 65536 };

int
cv_file_size(int fd, uint64_t *out_size)
{
    struct stat about;
    if (fstat(fd, &about) < 0) {
        return -errno;
    }
    if (!S_ISREG(about.st_mode)) {
        return S_ISDIR(about.st_mode) ? -EISDIR : -EINVAL;
    }
    *out_size = (uint64_t)about.st_size;
    return 0;
}

int
cv_file_open(const char *path, uint64_t *out_size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        return -errno;
    }
    int status = cv_file_size(fd, out_size);
    if (status < 0) {
        close(fd);
        return status;
    }
    return fd;
}

#ifdef RWF_NOWAIT
static bool
is_byte_cached(int fd, uint64_t offset)
{
    char byte;
    struct iovec iov = {.iov_base = &byte, .iov_len = 1};
    return preadv2(fd, &iov, 1, (off_t)offset, RWF_NOWAIT) >= 0 || errno != EAGAIN;
}
#else
static bool
is_byte_cached(int fd, uint64_t offset)
{
    (void)fd;
    (void)offset;
    return true;
}
#endif

bool
cv_file_is_cached(int fd, uint64_t offset, size_t len)
{
    return is_byte_cached(fd, offset) && (len < 2 || is_byte_cached(fd, offset + len - 1));
}

void
cv_file_cache(int fd, uint64_t offset, size_t len)
{
    char scratch[SCRATCH];
    while (len > 0) {
        ssize_t count = pread(fd, scratch, len < SCRATCH ? len : SCRATCH, (off_t)offset);
        if (count <= 0) {
            return; /* whoever sends the bytes finds out why */
        }
        offset += (uint64_t)count;
        len -= (size_t)count;
    }
}
