/* SPDX-License-Identifier: MIT
 *
 * Many clients that listen for server-sent events, and how long each event took to reach them.
 *
 * An event is `data: NANOSECONDS`, the server's CLOCK_MONOTONIC when it was sent. What is counted begins when every
 * client has had its first event.
 *
 * Usage: event_clients PORT PATH CLIENTS SECONDS
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

#define FIELD "data: "

enum {
    FIELD_LEN = sizeof(FIELD) - 1,
    EVENTS_PER_WAIT = 256,
    PATIENCE = 30, /* seconds, for the first events */
};

typedef struct {
    llhttp_t parser;
    int fd;
    bool heard;        /* it has had an event */
    size_t matched;    /* bytes of FIELD at the beginning of this line; more: this line is something else */
    uint64_t stamp;
} client_t;

static struct {
    uint64_t waiting; /* clients without an event */
    uint64_t begin;   /* of what is counted; 0 before */
    uint64_t now;     /* when the bytes at hand were received */
    uint64_t *latencies;
    size_t count;
    size_t cap;
} run;

static void
note(client_t *client)
{
    if (!client->heard) {
        client->heard = true;
        if (--run.waiting == 0) {
            run.begin = run.now;
        }
        return;
    }
    if (run.begin == 0) {
        return;
    }
    if (run.count == run.cap) {
        run.cap = run.cap == 0 ? 65536 : run.cap * 2;
        run.latencies = realloc(run.latencies, run.cap * sizeof(*run.latencies));
        if (run.latencies == NULL) {
            client_die("out of memory");
        }
    }
    run.latencies[run.count++] = run.now > client->stamp ? run.now - client->stamp : 0;
}

/* Looks for lines `data: NUMBER`; a line may come in any pieces. */
static int
on_body(llhttp_t *parser, const char *at, size_t len)
{
    client_t *client = parser->data;
    for (size_t i = 0; i < len; i++) {
        char c = at[i];
        if (c == '\n') {
            if (client->matched == FIELD_LEN) {
                note(client);
            }
            client->matched = 0;
            client->stamp = 0;
        } else if (client->matched < FIELD_LEN) {
            client->matched = c == FIELD[client->matched] ? client->matched + 1 : FIELD_LEN + 1;
        } else if (client->matched == FIELD_LEN) {
            if (c < '0' || c > '9') {
                client_die("an event says something else than a time");
            }
            client->stamp = client->stamp * 10 + (uint64_t)(c - '0');
        }
    }
    return 0;
}

static int
on_headers_complete(llhttp_t *parser)
{
    if (parser->status_code != 200) {
        client_die("the server answers %d", parser->status_code);
    }
    return 0;
}

static void
receive(client_t *client)
{
    static char buffer[65536];
    ssize_t len = recv(client->fd, buffer, sizeof(buffer), 0);
    if (len < 0 && errno == EAGAIN) {
        return;
    }
    if (len <= 0) {
        client_die("the server ended an event stream");
    }
    run.now = client_now();
    if (llhttp_execute(&client->parser, buffer, (size_t)len) != HPE_OK) {
        client_die("not HTTP: %s", llhttp_get_error_reason(&client->parser));
    }
}

static void
open_client(client_t *client, int port, const char *path, int epoll)
{
    static llhttp_settings_t settings;
    llhttp_settings_init(&settings);
    settings.on_headers_complete = on_headers_complete;
    settings.on_body = on_body;
    llhttp_init(&client->parser, HTTP_RESPONSE, &settings);
    client->parser.data = client;
    client->fd = client_connect(port, epoll, EPOLLIN, client);
    char request[1024];
    int len = snprintf(request, sizeof(request),
                       "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAccept: text/event-stream\r\n\r\n", path, port);
    if (len >= (int)sizeof(request) || send(client->fd, request, (size_t)len, MSG_NOSIGNAL) != len) {
        client_die("the request cannot be sent");
    }
}

static void
listen_for(int epoll, uint64_t seconds)
{
    uint64_t give_up = client_now() + (uint64_t)PATIENCE * 1000000000;
    while (run.begin == 0 || client_now() < run.begin + seconds * 1000000000) {
        struct epoll_event events[EVENTS_PER_WAIT];
        int count = epoll_wait(epoll, events, EVENTS_PER_WAIT, 10);
        for (int i = 0; i < count; i++) {
            receive(events[i].data.ptr);
        }
        if (run.begin == 0 && client_now() > give_up) {
            client_die("%llu clients have had no event", (unsigned long long)run.waiting);
        }
    }
}

static int
compare(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left;
    uint64_t b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

static double
percentile_us(size_t percent)
{
    size_t at = run.count * percent / 100;
    return (double)run.latencies[at < run.count ? at : run.count - 1] / 1e3;
}

int
main(int argc, char **argv)
{
    if (argc != 5) {
        fprintf(stderr, "usage: %s PORT PATH CLIENTS SECONDS\n", argv[0]);
        return 2;
    }
    int port = (int)client_number(argv[1], "PORT");
    uint64_t clients = client_number(argv[3], "CLIENTS");
    uint64_t seconds = client_number(argv[4], "SECONDS");
    client_allow_descriptors();
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    client_t *all = calloc(clients, sizeof(*all));
    if (epoll < 0 || all == NULL) {
        client_die("cannot begin");
    }
    run.waiting = clients;
    for (uint64_t i = 0; i < clients; i++) {
        open_client(&all[i], port, argv[2], epoll);
    }
    listen_for(epoll, seconds);
    double took = (double)(client_now() - run.begin) / 1e9;
    if (run.count == 0) {
        client_die("no event came within %llu s", (unsigned long long)seconds);
    }
    qsort(run.latencies, run.count, sizeof(*run.latencies), compare);
    printf("{\"clients\":%llu,\"events\":%zu,\"seconds\":%.3f,\"p50_us\":%.1f,\"p99_us\":%.1f,\"max_us\":%.1f}\n",
           (unsigned long long)clients, run.count, took, percentile_us(50), percentile_us(99), percentile_us(100));
    return 0;
}
