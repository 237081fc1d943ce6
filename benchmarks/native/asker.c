/* SPDX-License-Identifier: MIT
 *
 * Connections that send the same bytes again and again, each when the answer to the last is there.
 *
 * They stay open, and rest until a line on stdin says for how many milliseconds they shall ask. Then no question
 * begins any more; those that are under way are answered and counted, with the time that they take.
 *
 * Usage: asker tcp|unix|udp PORT|PATH CONNECTIONS REQUEST-FILE ANSWER-BYTES [OPENING-FILE ANSWER-BYTES]
 *
 * With an opening, each connection sends that first, and gets so many bytes for it.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "client.h"

enum {
    EVENTS_PER_WAIT = 64,
    PATIENCE = 15, /* seconds without an answer */
};

typedef struct {
    char *bytes;
    size_t len;
    size_t answer_len;
} question_t;

typedef struct {
    int fd;
    size_t left; /* of the answer */
} asker_t;

static struct {
    int epoll;
    uint64_t connections;
    asker_t *askers;
    question_t question;
} run;

static question_t
read_question(const char *path, const char *answer_len)
{
    question_t question = {.answer_len = (size_t)client_number(answer_len, "ANSWER-BYTES")};
    FILE *file = fopen(path, "rb");
    if (file == NULL || fseek(file, 0, SEEK_END) != 0) {
        client_die("cannot read %s: %s", path, strerror(errno));
    }
    question.len = (size_t)ftell(file);
    question.bytes = malloc(question.len);
    rewind(file);
    if (question.bytes == NULL || fread(question.bytes, 1, question.len, file) != question.len) {
        client_die("cannot read %s", path);
    }
    fclose(file);
    return question;
}

static socklen_t
make_address(const char *kind, const char *where, struct sockaddr_storage *out_address)
{
    memset(out_address, 0, sizeof(*out_address));
    if (strcmp(kind, "unix") == 0) {
        struct sockaddr_un *path = (struct sockaddr_un *)out_address;
        path->sun_family = AF_UNIX;
        if (strlen(where) >= sizeof(path->sun_path)) {
            client_die("PATH is too long");
        }
        strcpy(path->sun_path, where);
        return sizeof(*path);
    }
    struct sockaddr_in *port = (struct sockaddr_in *)out_address;
    port->sin_family = AF_INET;
    port->sin_port = htons((uint16_t)client_number(where, "PORT"));
    port->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return sizeof(*port);
}

static void
open_socket(asker_t *asker, const char *kind, const char *where)
{
    struct sockaddr_storage address;
    socklen_t len = make_address(kind, where, &address);
    int type = strcmp(kind, "udp") == 0 ? SOCK_DGRAM : SOCK_STREAM;
    int on = 1;
    asker->fd = socket(address.ss_family, type | SOCK_CLOEXEC, 0);
    if (asker->fd < 0 || connect(asker->fd, (struct sockaddr *)&address, len) < 0) {
        client_die("cannot connect to %s: %s", where, strerror(errno));
    }
    if (strcmp(kind, "tcp") == 0) {
        setsockopt(asker->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    }
}

/* Waits until the kernel has it all: it has room for one question, so nobody waits for the other. */
static void
ask(asker_t *asker, const question_t *question)
{
    size_t sent = 0;
    while (sent < question->len) {
        ssize_t len = send(asker->fd, question->bytes + sent, question->len - sent, MSG_NOSIGNAL);
        if (len < 0) {
            client_die("a question broke off: %s", strerror(errno));
        }
        sent += (size_t)len;
    }
    asker->left = question->answer_len;
}

/* Reads what there is, or waits for it. */
static void
receive(asker_t *asker)
{
    static char buffer[1 << 18];
    ssize_t len = recv(asker->fd, buffer, sizeof(buffer), 0);
    if (len < 0) {
        client_die("an answer broke off: %s", strerror(errno));
    }
    if (len == 0) {
        client_die("the server closed a connection");
    }
    if ((size_t)len > asker->left) {
        client_die("an answer is %zu bytes too long", (size_t)len - asker->left);
    }
    asker->left -= (size_t)len;
}

static uint64_t
ask_until(uint64_t end)
{
    uint64_t count = 0;
    uint64_t busy = run.connections;
    for (uint64_t i = 0; i < run.connections; i++) {
        ask(&run.askers[i], &run.question);
    }
    while (busy > 0) {
        struct epoll_event events[EVENTS_PER_WAIT];
        int ready = epoll_wait(run.epoll, events, EVENTS_PER_WAIT, PATIENCE * 1000);
        if (ready == 0) {
            client_die("no answer came for %d s", PATIENCE);
        }
        for (int i = 0; i < ready; i++) {
            asker_t *asker = events[i].data.ptr;
            receive(asker);
            if (asker->left > 0) {
                continue;
            }
            count++;
            if (client_now() < end) {
                ask(asker, &run.question);
            } else {
                busy--;
            }
        }
    }
    return count;
}

static void
open_all(const char *kind, const char *where, const question_t *opening)
{
    run.epoll = epoll_create1(EPOLL_CLOEXEC);
    run.askers = calloc(run.connections, sizeof(*run.askers));
    if (run.epoll < 0 || run.askers == NULL) {
        client_die("cannot begin");
    }
    for (uint64_t i = 0; i < run.connections; i++) {
        asker_t *asker = &run.askers[i];
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = asker};
        open_socket(asker, kind, where);
        if (opening->len > 0) {
            ask(asker, opening);
            while (asker->left > 0) {
                receive(asker);
            }
        }
        epoll_ctl(run.epoll, EPOLL_CTL_ADD, asker->fd, &event);
    }
}

int
main(int argc, char **argv)
{
    if (argc != 6 && argc != 8) {
        fprintf(stderr,
                "usage: %s tcp|unix|udp PORT|PATH CONNECTIONS REQUEST-FILE ANSWER-BYTES"
                " [OPENING-FILE ANSWER-BYTES]\n",
                argv[0]);
        return 2;
    }
    question_t opening = {0};
    if (argc == 8) {
        opening = read_question(argv[6], argv[7]);
    }
    run.connections = client_number(argv[3], "CONNECTIONS");
    run.question = read_question(argv[4], argv[5]);
    open_all(argv[1], argv[2], &opening);
    puts("{\"ready\":true}");
    fflush(stdout);
    for (char line[32]; fgets(line, sizeof(line), stdin) != NULL;) {
        line[strcspn(line, "\n")] = '\0';
        uint64_t from = client_now();
        uint64_t count = ask_until(from + client_number(line, "MILLISECONDS") * 1000000);
        printf("{\"count\":%llu,\"seconds\":%.6f}\n", (unsigned long long)count, (double)(client_now() - from) / 1e9);
        fflush(stdout);
    }
    return 0;
}
