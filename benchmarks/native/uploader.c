/* SPDX-License-Identifier: MIT
 *
 * Connections that upload a body again and again, each when the answer to the last is there.
 *
 * After SECONDS no upload begins any more; those that are under way are finished and counted, with the time that they
 * take, so that what the server did is what is reported.
 *
 * Usage: uploader PORT PATH BYTES CONNECTIONS SECONDS
 */
#include <errno.h>
#include <llhttp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "client.h"

enum {
    PIECE = 256 * 1024,
    EVENTS_PER_WAIT = 64,
    PATIENCE = 60, /* seconds without anything moving */
};

typedef struct {
    llhttp_t parser;
    int fd;
    size_t head_sent;
    uint64_t body_left;
    bool answered;
} uploader_t;

static struct {
    int epoll;
    char head[1024];
    size_t head_len;
    uint64_t body_len;
    uint64_t end;
    uint64_t busy; /* connections with an upload under way */
    uint64_t requests;
} run;

static int
on_headers_complete(llhttp_t *parser)
{
    if (parser->status_code / 100 != 2) {
        client_die("the server answers %d", parser->status_code);
    }
    return 0;
}

static int
on_message_complete(llhttp_t *parser)
{
    uploader_t *uploader = parser->data;
    uploader->answered = true;
    return 0;
}

static void
watch(uploader_t *uploader, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = uploader};
    epoll_ctl(run.epoll, EPOLL_CTL_MOD, uploader->fd, &event);
}

/* Sends what the kernel takes; false when it takes no more for now. */
static bool
send_some(uploader_t *uploader)
{
    static char piece[PIECE];
    bool in_head = uploader->head_sent < run.head_len;
    const char *from = in_head ? run.head + uploader->head_sent : piece;
    uint64_t left = in_head ? run.head_len - uploader->head_sent : uploader->body_left;
    size_t len = left < PIECE ? (size_t)left : PIECE;
    ssize_t sent = send(uploader->fd, from, len, MSG_NOSIGNAL | (in_head ? MSG_MORE : 0));
    if (sent < 0 && errno == EAGAIN) {
        return false;
    }
    if (sent < 0) {
        client_die("an upload broke off: %s", strerror(errno));
    }
    if (in_head) {
        uploader->head_sent += (size_t)sent;
    } else {
        uploader->body_left -= (uint64_t)sent;
    }
    return (size_t)sent == len;
}

/* The answer is watched for all the while: one that comes early is an error, and not read it would be a deadlock. */
static void
go_on(uploader_t *uploader)
{
    while (uploader->body_left > 0) {
        if (!send_some(uploader)) {
            return;
        }
    }
    watch(uploader, EPOLLIN);
}

static void
begin(uploader_t *uploader)
{
    uploader->head_sent = 0;
    uploader->body_left = run.body_len;
    uploader->answered = false;
    watch(uploader, EPOLLIN | EPOLLOUT);
    go_on(uploader);
}

static void
receive(uploader_t *uploader)
{
    static char buffer[65536];
    ssize_t len = recv(uploader->fd, buffer, sizeof(buffer), 0);
    if (len < 0 && errno == EAGAIN) {
        return;
    }
    if (len <= 0) {
        client_die("the server closed a connection");
    }
    if (llhttp_execute(&uploader->parser, buffer, (size_t)len) != HPE_OK) {
        client_die("not HTTP: %s", llhttp_get_error_reason(&uploader->parser));
    }
    if (!uploader->answered) {
        return;
    }
    if (uploader->body_left > 0) {
        client_die("the server answered before it had the body");
    }
    run.requests++;
    if (client_now() < run.end) {
        begin(uploader);
    } else {
        run.busy--;
    }
}

static void
run_until_done(void)
{
    while (run.busy > 0) {
        struct epoll_event events[EVENTS_PER_WAIT];
        int count = epoll_wait(run.epoll, events, EVENTS_PER_WAIT, PATIENCE * 1000);
        if (count == 0) {
            client_die("nothing moved for %d s", PATIENCE);
        }
        for (int i = 0; i < count; i++) {
            uploader_t *uploader = events[i].data.ptr;
            if (events[i].events & ~(uint32_t)EPOLLOUT) {
                receive(uploader);
            } else {
                go_on(uploader);
            }
        }
    }
}

static void
open_uploader(uploader_t *uploader, int port)
{
    static llhttp_settings_t settings;
    llhttp_settings_init(&settings);
    settings.on_headers_complete = on_headers_complete;
    settings.on_message_complete = on_message_complete;
    llhttp_init(&uploader->parser, HTTP_RESPONSE, &settings);
    uploader->parser.data = uploader;
    uploader->fd = client_connect(port, run.epoll, EPOLLIN, uploader);
}

int
main(int argc, char **argv)
{
    if (argc != 6) {
        fprintf(stderr, "usage: %s PORT PATH BYTES CONNECTIONS SECONDS\n", argv[0]);
        return 2;
    }
    int port = (int)client_number(argv[1], "PORT");
    run.body_len = client_number(argv[3], "BYTES");
    run.busy = client_number(argv[4], "CONNECTIONS");
    uint64_t seconds = client_number(argv[5], "SECONDS");
    int len = snprintf(run.head, sizeof(run.head),
                       "POST %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Length: %llu\r\n\r\n", argv[2], port,
                       (unsigned long long)run.body_len);
    if (len >= (int)sizeof(run.head)) {
        client_die("PATH is too long");
    }
    run.head_len = (size_t)len;
    client_allow_descriptors();
    run.epoll = epoll_create1(EPOLL_CLOEXEC);
    uploader_t *all = calloc(run.busy, sizeof(*all));
    if (run.epoll < 0 || all == NULL) {
        client_die("cannot begin");
    }
    for (uint64_t i = 0; i < run.busy; i++) {
        open_uploader(&all[i], port);
    }
    uint64_t from = client_now();
    run.end = from + seconds * 1000000000;
    uint64_t connections = run.busy;
    for (uint64_t i = 0; i < connections; i++) {
        begin(&all[i]);
    }
    run_until_done();
    printf("{\"requests\":%llu,\"bytes\":%llu,\"seconds\":%.3f}\n", (unsigned long long)run.requests,
           (unsigned long long)(run.requests * run.body_len), (double)(client_now() - from) / 1e9);
    return 0;
}
