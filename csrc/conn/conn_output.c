/* SPDX-License-Identifier: MIT
 *
 * The bytes that a connection has to write: mostly one run of conn->output, else a queue of segments in which large
 * pieces stand by reference between runs of it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conn/conn_private.h"

enum {
    IOV_MAX_COUNT = 64,
    FIRST_SEGMENTS = 8,
    FIRST_OUTPUT = 1024,    /* the head and body of a small answer */
    SPARE_OUTPUT_MAX = 8192,
};

static void
take_spare(cv_conn_t *conn)
{
    cv_conn_env_t *env = conn->env;
    if (conn->output.cap == 0 && env->spare_output_count > 0) {
        conn->output = env->spare_output[--env->spare_output_count];
    }
}

/* Moves the output to the front of its memory once half of it is written. */
static void
compact_output(cv_conn_t *conn)
{
    if (conn->output_start > 0 && conn->output_start >= conn->output.len - conn->output_start) {
        cv_buffer_consume(&conn->output, conn->output_start);
        conn->output_ready -= conn->output_start;
        conn->output_start = 0;
    }
}

/* Makes room for a run of output before and after one reference. */
static int
reserve_segments(cv_conn_t *conn)
{
    if (conn->segment_first + conn->segment_count + 3 <= conn->segment_cap) {
        return 0;
    }
    if (conn->segment_first > 0) {
        memmove(conn->segments, conn->segments + conn->segment_first,
                conn->segment_count * sizeof(*conn->segments));
        conn->segment_first = 0;
        return reserve_segments(conn);
    }
    uint32_t cap = conn->segment_cap == 0 ? FIRST_SEGMENTS : conn->segment_cap * 2;
    cv_segment_t *segments = realloc(conn->segments, cap * sizeof(*segments));
    if (segments == NULL) {
        return -ENOMEM;
    }
    conn->segments = segments;
    conn->segment_cap = cap;
    return 0;
}

int
cv_conn_output_reserve(cv_conn_t *conn, size_t bytes, bool refers)
{
    take_spare(conn);
    compact_output(conn);
    bool first = conn->output.cap == 0 && bytes < FIRST_OUTPUT;
    int status = cv_buffer_reserve(&conn->output, first ? FIRST_OUTPUT : bytes);
    if (status == 0 && (refers || conn->segment_count > 0)) {
        status = reserve_segments(conn);
    }
    return status;
}

static void
push_segment(cv_conn_t *conn, const cv_segment_t *segment)
{
    uint32_t at = conn->segment_first + conn->segment_count;
    conn->segments[at] = *segment;
    conn->segment_count++;
}

/* True for the next bytes of conn->output. */
static bool
is_run(const cv_segment_t *segment)
{
    return segment->data == NULL && segment->file == NULL;
}

void
cv_conn_output_commit_part(cv_conn_t *conn, size_t len)
{
    conn->output_ready += len;
    conn->queued += len;
    if (conn->segment_count == 0 || len == 0) {
        return;
    }
    cv_segment_t *last = &conn->segments[conn->segment_first + conn->segment_count - 1];
    if (is_run(last)) {
        last->len += len;
    } else {
        push_segment(conn, &(cv_segment_t){.len = len});
    }
}

void
cv_conn_output_commit(cv_conn_t *conn)
{
    cv_conn_output_commit_part(conn, conn->output.len - conn->output_ready);
}

void
cv_conn_output_refer(cv_conn_t *conn, const cv_segment_t *segment)
{
    if (conn->segment_count == 0 && conn->queued > 0) {
        push_segment(conn, &(cv_segment_t){.len = conn->queued});
    }
    push_segment(conn, segment);
    conn->queued += segment->len;
}

void
cv_conn_output_recycle(cv_conn_t *conn)
{
    cv_conn_env_t *env = conn->env;
    if (conn->queued > 0 || conn->output_ready < conn->output.len || conn->output.cap == 0) {
        return;
    }
    conn->output.len = conn->output_start = conn->output_ready = 0;
    if (conn->output.cap <= SPARE_OUTPUT_MAX && env->spare_output_count < CV_CONN_SPARE_OUTPUT) {
        env->spare_output[env->spare_output_count++] = conn->output;
        cv_buffer_init(&conn->output);
    } else {
        cv_buffer_deinit(&conn->output);
    }
}

static void
pop_segment(cv_conn_t *conn)
{
    void *owner = conn->segments[conn->segment_first].owner;
    cv_conn_file_t *file = conn->segments[conn->segment_first].file;
    conn->segment_first++;
    conn->segment_count--;
    if (conn->segment_count == 0) {
        free(conn->segments);
        conn->segments = NULL;
        conn->segment_first = conn->segment_cap = 0;
    }
    if (file != NULL) {
        cv_conn_file_release(file);
    }
    if (owner != NULL) {
        conn->env->ops->release(conn->env, owner);
    }
}

void
cv_conn_output_drop(cv_conn_t *conn)
{
    conn->queued = 0;
    conn->output.len = conn->output_start = conn->output_ready = 0;
    while (conn->segment_count > 0) {
        pop_segment(conn);
    }
}

/* Fills `iov` with the front of the queue, up to a file; returns the number of pieces and their size. */
static int
gather(const cv_conn_t *conn, struct iovec *iov, size_t *out_size)
{
    char *run = conn->output.data + conn->output_start;
    if (conn->segment_count == 0) {
        iov[0] = (struct iovec){.iov_base = run, .iov_len = conn->queued};
        *out_size = conn->queued;
        return 1;
    }
    size_t size = 0;
    int count = 0;
    for (uint32_t i = 0; i < conn->segment_count && count < IOV_MAX_COUNT; i++, count++) {
        const cv_segment_t *segment = &conn->segments[conn->segment_first + i];
        if (segment->file != NULL) {
            break;
        }
        iov[count].iov_base = segment->data != NULL ? (char *)segment->data : run;
        iov[count].iov_len = segment->len;
        run += segment->data != NULL ? 0 : segment->len;
        size += segment->len;
    }
    *out_size = size;
    return count;
}

/* Takes `len` written bytes off the queue. */
static void
account(cv_conn_t *conn, size_t len)
{
    conn->env->bytes_out += len;
    conn->queued -= len;
    if (conn->segment_count == 0) {
        conn->output_start += len;
        return;
    }
    while (len > 0 && conn->segment_count > 0) { /* a release may close the connection */
        cv_segment_t *segment = &conn->segments[conn->segment_first];
        size_t part = len < segment->len ? len : segment->len;
        if (is_run(segment)) {
            conn->output_start += part;
        } else if (segment->data != NULL) {
            segment->data += part;
        }
        segment->len -= part;
        len -= part;
        if (segment->len == 0) {
            pop_segment(conn);
        }
    }
}

/* As cv_conn_output_write, up to the next file. */
static int
write_memory(cv_conn_t *conn)
{
    struct iovec iov[IOV_MAX_COUNT];
    size_t size;
    int count = gather(conn, iov, &size);
    ssize_t written = cv_transport_write(&conn->transport, iov, count, size < conn->queued);
    if (written < 0) {
        return (int)written;
    }
    account(conn, (size_t)written);
    return (size_t)written < size ? -EAGAIN : 0; /* the socket is full: asking again would only say so */
}

/* One piece of a file, then the others have their turn. */
static int
write_file(cv_conn_t *conn, const cv_segment_t *segment)
{
    ssize_t sent = cv_conn_file_send(segment->file, segment->len);
    if (sent < 0) {
        return (int)sent;
    }
    bool is_last = (size_t)sent == segment->len;
    account(conn, (size_t)sent);
    return is_last ? 0 : -EAGAIN;
}

int
cv_conn_output_write(cv_conn_t *conn)
{
    int status = 0;
    while (status == 0 && conn->queued > 0) {
        const cv_segment_t *first = conn->segment_count == 0 ? NULL : &conn->segments[conn->segment_first];
        status = first != NULL && first->file != NULL ? write_file(conn, first) : write_memory(conn);
    }
    return status;
}
