/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* memfd_create */
#include "fuzz_file.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <uv.h>

#include "fuzz.h"

typedef struct {
    uv_work_t *work;
    uv_work_cb run;
    uv_after_work_cb done;
} waiting_t;

static int file = -1;
static char path[40];
static bool is_cached = true;
static waiting_t waiting[FUZZ_FILE_WORKS];
static unsigned count;

bool __wrap_cv_file_is_cached(int fd, uint64_t offset, size_t len);
int __wrap_uv_queue_work(uv_loop_t *loop, uv_work_t *work, uv_work_cb run, uv_after_work_cb done);

bool
__wrap_cv_file_is_cached(int fd, uint64_t offset, size_t len)
{
    (void)fd, (void)offset, (void)len;
    return is_cached;
}

int
__wrap_uv_queue_work(uv_loop_t *loop, uv_work_t *work, uv_work_cb run, uv_after_work_cb done)
{
    (void)loop;
    if (count == FUZZ_FILE_WORKS) {
        return UV_ENOMEM;
    }
    waiting[count++] = (waiting_t){work, run, done};
    return 0;
}

void
fuzz_file_fill(const char *data, size_t len)
{
    file = memfd_create("fuzz", MFD_CLOEXEC);
    MUST(file >= 0 && write(file, data, len) == (ssize_t)len);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
}

const char *
fuzz_file_path(void)
{
    return path;
}

int
fuzz_file_dup(void)
{
    int fd = dup(file);
    MUST(fd >= 0);
    return fd;
}

void
fuzz_file_set_cached(bool cached)
{
    is_cached = cached;
}

unsigned
fuzz_file_waiting(void)
{
    return count;
}

void
fuzz_file_work(void)
{
    if (count > 0) {
        waiting_t first = waiting[0];
        memmove(waiting, waiting + 1, --count * sizeof(waiting[0]));
        first.run(first.work);
        first.done(first.work, 0);
    }
}
