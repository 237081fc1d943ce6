/* SPDX-License-Identifier: MIT
 *
 * A file in the queue of bytes to write. The kernel sends it piece by piece, one in a turn; pages that are not in its
 * memory are read by a thread of libuv's pool first, so that the loop does not wait for the disk.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "conn/conn_private.h"
#include "net/file.h"

enum { PIECE = 1048576 }; /* most bytes that one turn sends, and that are read from the disk at once */

struct cv_conn_file {
    uv_work_t work;
    cv_conn_env_t *env;
    cv_conn_t *conn;    /* NULL once it is not needed any more */
    int fd;
    uint64_t offset;    /* of the next byte to send */
    size_t reading_len; /* what the thread reads; 0 while none does */
    uint64_t read_end;  /* bytes up to here were read by a thread */
};

cv_conn_file_t *
cv_conn_file_new(cv_conn_t *conn, int fd, uint64_t offset)
{
    cv_conn_file_t *file = calloc(1, sizeof(*file));
    if (file == NULL) {
        close(fd);
        return NULL;
    }
    file->env = conn->env;
    file->conn = conn;
    file->fd = fd;
    file->offset = offset;
    return file;
}

int
cv_conn_file_size(int fd, uint64_t *out_size)
{
    return cv_file_size(fd, out_size);
}

static void
free_file(cv_conn_file_t *file)
{
    close(file->fd);
    free(file);
}

void
cv_conn_file_release(cv_conn_file_t *file)
{
    file->conn = NULL;
    if (file->reading_len == 0) {
        free_file(file);
    }
}

static void
read_in_thread(uv_work_t *work)
{
    const cv_conn_file_t *file = CV_CONTAINER_OF(work, cv_conn_file_t, work);
    cv_file_cache(file->fd, file->offset, file->reading_len);
}

static void
on_read(uv_work_t *work, int status)
{
    cv_conn_file_t *file = CV_CONTAINER_OF(work, cv_conn_file_t, work);
    cv_conn_env_t *env = file->env;
    (void)status; /* sending finds out what could not be read */
    file->read_end = file->offset + file->reading_len;
    file->reading_len = 0;
    if (file->conn == NULL) {
        free_file(file);
    } else {
        cv_conn_on_file_ready(file->conn);
    }
    cv_conn_env_let_go(env);
}

/* Has a thread read the next bytes. False when no thread could be had. */
static bool
begin_reading(cv_conn_file_t *file, size_t len)
{
    file->reading_len = len;
    if (uv_queue_work(file->env->loop, &file->work, read_in_thread, on_read) < 0) {
        file->reading_len = 0;
        return false;
    }
    cv_conn_env_hold(file->env);
    return true;
}

/* How many of the next `len` bytes, which are as many as a turn sends, can be sent without waiting for the disk, as far
 * as that is known. */
static size_t
count_at_hand(const cv_conn_file_t *file, size_t len)
{
    if (file->offset < file->read_end) {
        uint64_t read = file->read_end - file->offset;
        return read < len ? (size_t)read : len;
    }
    return cv_file_is_cached(file->fd, file->offset, len) ? len : 0;
}

ssize_t
cv_conn_file_send(cv_conn_file_t *file, size_t len)
{
    size_t piece = len < PIECE ? len : PIECE;
    if (file->reading_len > 0) {
        return -EINPROGRESS;
    }
    size_t at_hand = count_at_hand(file, piece);
    if (at_hand == 0 && begin_reading(file, piece)) {
        return -EINPROGRESS;
    }
    piece = at_hand > 0 ? at_hand : piece;
    ssize_t sent = cv_transport_send_file(&file->conn->transport, file->fd, file->offset, piece);
    if (sent == 0 || sent == -EIO) {
        return CV_CONN_ESHORT;
    }
    file->offset += sent > 0 ? (uint64_t)sent : 0;
    return sent;
}
