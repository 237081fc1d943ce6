/* SPDX-License-Identifier: MIT
 *
 * The least that a server on libuv and llhttp can cost: the servers under test are measured against it.
 *
 * It has cuvee's shape and none of its Python. In a turn of the loop every ready connection is read and parsed first;
 * then what there is to say to each is sent, with one call. The answers of a turn stand one behind another in an arena,
 * so that a connection which waits keeps its parser and nothing else.
 *
 * GET / says hello, POST /echo sends the body back, POST /upload takes it, GET /stream is 100 chunks of 16 KB. A
 * WebSocket on / has its messages sent back, those of one on /broadcast go to all that are there.
 *
 * Usage: limit_server [--port] PORT
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* accept4 */
#endif
#include "limit.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
    INPUT_SIZE = 65536,
    TURN_ENOUGH = 256 * 1024, /* so much to say is said without waiting for the end of the turn */
    ACCEPTS_PER_EVENT = 64,
    BACKLOG = 4096,
};

static struct {
    uv_loop_t loop;
    uv_poll_t listener;
    uv_check_t turn_end;
    int listener_fd;
    cv_list_t in_turn;
    char input[INPUT_SIZE];

    char *arena;
    size_t arena_len;
    size_t arena_cap;

    char chunk[FRAMED_CHUNK];
} server;

static void parse(conn_t *conn, char *data, size_t len);

static void
die(const char *what)
{
    perror(what);
    exit(1);
}

void
limit_say(conn_t *conn, const char *bytes, size_t len)
{
    if (server.arena_len + len > server.arena_cap) {
        server.arena_cap = (server.arena_len + len) * 2;
        server.arena = realloc(server.arena, server.arena_cap);
        if (server.arena == NULL) {
            die("realloc");
        }
    }
    if (conn->answer_len == 0) {
        conn->answer_at = server.arena_len;
        cv_list_append(&server.in_turn, &conn->in_turn);
    }
    memcpy(server.arena + server.arena_len, bytes, len);
    server.arena_len += len;
    conn->answer_len += len;
}

static void
on_closed(uv_handle_t *handle)
{
    conn_t *conn = CV_CONTAINER_OF((uv_poll_t *)handle, conn_t, poll);
    free(conn->unsent);
    free(conn->held);
    free(conn);
}

static void
drop(conn_t *conn)
{
    if (!uv_is_closing((uv_handle_t *)&conn->poll)) {
        cv_list_remove(&conn->in_turn);
        limit_messages_close(conn);
        uv_close((uv_handle_t *)&conn->poll, on_closed);
        close(conn->fd);
    }
}

static void on_event(uv_poll_t *poll, int status, int events);

static void
watch(conn_t *conn, int events)
{
    if (conn->watched != events) {
        conn->watched = events;
        uv_poll_start(&conn->poll, events, on_event);
    }
}

static void
hold_input(conn_t *conn, const char *data, size_t len)
{
    char *held = malloc(len);
    if (held == NULL) {
        die("malloc");
    }
    memcpy(held, data, len);
    free(conn->held);
    conn->held = held;
    conn->held_len = len;
}

/* Everything is sent: go on with what came meanwhile, or wait for more; or see the client off. */
static void
on_sent(conn_t *conn)
{
    free(conn->unsent);
    conn->unsent = NULL;
    watch(conn, UV_READABLE);
    if (conn->is_last) {
        /* What is still on its way here must be read, or the kernel throws away what is on its way to the client. */
        shutdown(conn->fd, SHUT_WR);
    } else if (conn->held != NULL) {
        char *held = conn->held;
        conn->held = NULL;
        parse(conn, held, conn->held_len);
        free(held);
    }
}

/* Points at what is left of the stream; returns how many pieces that are. */
static int
stream_pieces(size_t left, struct iovec *pieces)
{
    int count = 0;
    for (size_t at = STREAM_SIZE - left; at < STREAM_SIZE; count++) {
        size_t within = at % FRAMED_CHUNK;
        bool at_end = at >= (size_t)CHUNKS * FRAMED_CHUNK;
        size_t size = at_end ? sizeof(LAST_CHUNK) - 1 : FRAMED_CHUNK;
        const char *from = at_end ? LAST_CHUNK : server.chunk;
        pieces[count] = (struct iovec){.iov_base = (char *)from + within, .iov_len = size - within};
        at += size - within;
    }
    return count;
}

static ssize_t
send_once(const conn_t *conn, const char *bytes, size_t len)
{
    if (conn->stream_left == 0) {
        return send(conn->fd, bytes, len, MSG_NOSIGNAL);
    }
    struct iovec pieces[CHUNKS + 2] = {{.iov_base = (char *)bytes, .iov_len = len}};
    struct msghdr message = {.msg_iov = pieces};
    message.msg_iovlen = 1 + (size_t)stream_pieces(conn->stream_left, pieces + 1);
    return sendmsg(conn->fd, &message, MSG_NOSIGNAL);
}

/* Keeps what the kernel did not take until it will; meanwhile nothing is read, so that this does not grow. */
static void
keep_unsent(conn_t *conn, const char *bytes, size_t len)
{
    if (conn->unsent == NULL && len > 0) {
        conn->unsent = malloc(len);
        if (conn->unsent == NULL) {
            die("malloc");
        }
        memcpy(conn->unsent, bytes, len);
        conn->unsent_at = 0;
        conn->unsent_len = len;
    }
    watch(conn, UV_WRITABLE);
}

static void
send_answers(conn_t *conn, const char *bytes, size_t len)
{
    ssize_t status = send_once(conn, bytes, len);
    if (status < 0 && errno != EAGAIN) {
        drop(conn);
        return;
    }
    size_t sent = status < 0 ? 0 : (size_t)status;
    if (sent >= len + conn->stream_left) {
        conn->stream_left = 0;
        on_sent(conn);
        return;
    }
    size_t of_bytes = sent < len ? sent : len;
    conn->stream_left -= sent - of_bytes;
    conn->unsent_at += of_bytes;
    keep_unsent(conn, bytes + of_bytes, len - of_bytes);
}

void
limit_end_turn(void)
{
    while (!cv_list_is_empty(&server.in_turn)) {
        conn_t *conn = CV_CONTAINER_OF(server.in_turn.next, conn_t, in_turn);
        size_t len = conn->answer_len;
        cv_list_remove(&conn->in_turn);
        conn->answer_len = 0;
        send_answers(conn, server.arena + conn->answer_at, len);
    }
    server.arena_len = 0;
}

static void
on_turn_end(uv_check_t *check)
{
    (void)check;
    limit_end_turn();
    limit_refresh_date();
}

static void
parse(conn_t *conn, char *data, size_t len)
{
    const char *end = data + len;
    while (data < end) {
        if (conn->messages != NULL) {
            limit_messages_take(conn, data, (size_t)(end - data));
            return;
        }
        llhttp_errno_t error = llhttp_execute(&conn->parser, data, (size_t)(end - data));
        if (error == HPE_OK) {
            return;
        }
        data += llhttp_get_error_pos(&conn->parser) - data;
        if (error == HPE_PAUSED_UPGRADE) {
            llhttp_resume_after_upgrade(&conn->parser); /* to a WebSocket, or it is not, and HTTP goes on */
        } else if (error == HPE_PAUSED) {
            llhttp_resume(&conn->parser);
            if (!conn->is_last && data < end) {
                hold_input(conn, data, (size_t)(end - data));
            }
            return;
        } else {
            if (!limit_refuse(conn, error)) {
                drop(conn);
            }
            return;
        }
    }
}

static void
read_input(conn_t *conn)
{
    if (conn->answer_len > 0) {
        limit_end_turn(); /* its answers stand together, and this would add to them */
        if (conn->watched != UV_READABLE || uv_is_closing((uv_handle_t *)&conn->poll)) {
            return;
        }
    }
    ssize_t len = recv(conn->fd, server.input, sizeof(server.input), 0);
    if (len > 0 && !conn->is_last) {
        parse(conn, server.input, (size_t)len);
    } else if (len == 0 || (len < 0 && errno != EAGAIN)) {
        drop(conn);
    }
    if (server.arena_len > TURN_ENOUGH) {
        limit_end_turn();
    }
}

static void
on_event(uv_poll_t *poll, int status, int events)
{
    conn_t *conn = CV_CONTAINER_OF(poll, conn_t, poll);
    if (status < 0) {
        drop(conn);
    } else if (events & UV_WRITABLE) {
        const char *unsent = conn->unsent == NULL ? NULL : conn->unsent + conn->unsent_at;
        send_answers(conn, unsent, unsent == NULL ? 0 : conn->unsent_len - conn->unsent_at);
    } else if (events & UV_READABLE) {
        read_input(conn);
    }
}

static void
serve(int fd)
{
    conn_t *conn = calloc(1, sizeof(*conn));
    if (conn == NULL) {
        die("calloc");
    }
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    conn->fd = fd;
    cv_list_init(&conn->in_turn);
    limit_parser_init(conn);
    uv_poll_init(&server.loop, &conn->poll, fd);
    watch(conn, UV_READABLE);
}

static void
on_connection(uv_poll_t *poll, int status, int events)
{
    (void)poll;
    (void)status;
    (void)events;
    for (int i = 0; i < ACCEPTS_PER_EVENT; i++) {
        int fd = accept4(server.listener_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            serve(fd);
        } else if (errno == EAGAIN) {
            return;
        } else if (errno != ECONNABORTED && errno != EINTR) {
            die("accept4");
        }
    }
}

static int
listen_on(int port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0
        || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, BACKLOG) < 0) {
        die("listen");
    }
    return fd;
}

static void
allow_many_descriptors(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

int
main(int argc, char **argv)
{
    int port = argc > 1 ? (int)strtol(argv[argc - 1], NULL, 10) : 0;
    if (port < 1 || port > 65535) {
        fprintf(stderr, "usage: %s [--port] PORT\n", argv[0]);
        return 2;
    }
    allow_many_descriptors();
    memcpy(server.chunk, LITERAL(CHUNK_OPEN));
    memset(server.chunk + sizeof(CHUNK_OPEN) - 1, 'x', CHUNK);
    memcpy(server.chunk + FRAMED_CHUNK - 2, LITERAL(CHUNK_CLOSE));
    cv_list_init(&server.in_turn);
    limit_refresh_date();
    server.listener_fd = listen_on(port);
    uv_loop_init(&server.loop);
    uv_check_init(&server.loop, &server.turn_end);
    uv_check_start(&server.turn_end, on_turn_end);
    uv_poll_init(&server.loop, &server.listener, server.listener_fd);
    uv_poll_start(&server.listener, UV_READABLE, on_connection);
    return uv_run(&server.loop, UV_RUN_DEFAULT);
}
