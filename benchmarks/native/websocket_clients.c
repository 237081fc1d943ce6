/* SPDX-License-Identifier: MIT
 *
 * Many WebSocket clients: they send messages and compare the echoes, or one sends and all listen, or all rest.
 *
 * Each connection has a batch of masked messages that is made before anything is counted, and sends it again when all
 * of it has come back. The connections stay open and rest until a line on stdin says `for MILLISECONDS` or `count
 * MESSAGES`. Then no batch begins any more; those that are under way are answered and counted. Pings are answered
 * while a line is worked on. The end of stdin closes the connections.
 *
 * Usage: websocket_clients echo|broadcast|idle PORT PATH CONNECTIONS [-s BYTES] [-d DEPTH] [-t] [-z]
 *
 *   -s  bytes of a message (64)         -t  as text
 *   -d  messages in a batch (1)         -z  offer permessage-deflate; a message that comes compressed ends the program
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "client.h"
#include "histogram.h"
#include "websocket.h"

enum {
    EVENTS_PER_WAIT = 256,
    TOGETHER = 128, /* connections that are in the handshake at once */
    PATIENCE = 20,  /* seconds without anything that should come */
};

typedef enum {
    ECHO,
    BROADCAST,
    IDLE,
} websocket_mode_t;

static struct {
    websocket_mode_t mode;
    int epoll;
    uint64_t connections;
    websocket_t *sockets;
    websocket_batch_t *batches; /* one a connection; of a broadcast, the one that the first sends */
    size_t size;
    size_t depth;
    bool text;
    bool offer;
} run = {.size = 64, .depth = 1};

/* What happens between a line on stdin and the answer to it. */
static struct {
    histogram_t latency;
    uint64_t end;         /* no batch begins after it */
    uint64_t most;        /* nor after so many messages */
    uint64_t begun;       /* messages that will come */
    uint64_t messages;
    uint64_t closed;      /* connections that the server ended, which only those at rest survive */
    uint64_t busy;        /* connections that wait for messages */
    uint64_t *sent_at;    /* when each connection sent its batch */
} turn;

static uint64_t
cpu_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static uint64_t
pings(void)
{
    uint64_t sum = 0;
    for (uint64_t i = 0; i < run.connections; i++) {
        sum += run.sockets[i].pings;
    }
    return sum;
}

/* ---- batches --------------------------------------------------------------------------------------------------- */

static bool
may_begin(uint64_t now)
{
    return now < turn.end && turn.begun < turn.most;
}

static void
send_own(websocket_t *socket, uint64_t now)
{
    size_t index = (size_t)(socket - run.sockets);
    turn.sent_at[index] = now;
    turn.begun += run.depth;
    websocket_send(socket, &run.batches[index]);
}

static void
send_to_all(uint64_t now)
{
    turn.busy = run.connections;
    turn.begun += run.depth * run.connections;
    for (uint64_t i = 1; i < run.connections; i++) {
        websocket_expect(&run.sockets[i], &run.batches[0]);
    }
    turn.sent_at[0] = now;
    websocket_send(&run.sockets[0], &run.batches[0]);
}

/* Counts messages that a connection has received; begins the next batch when it is time. */
static void
count(websocket_t *socket, uint64_t messages, uint64_t now)
{
    uint64_t sent_at = turn.sent_at[run.mode == ECHO ? socket - run.sockets : 0];
    for (uint64_t i = 0; i < messages; i++) {
        histogram_add(&turn.latency, now - sent_at);
    }
    turn.messages += messages;
    if (messages == 0 || socket->answered < run.depth) {
        return;
    }
    turn.busy--;
    if (run.mode == ECHO && may_begin(now)) {
        turn.busy++;
        send_own(socket, now);
    } else if (run.mode == BROADCAST && turn.busy == 0 && may_begin(now)) {
        send_to_all(now);
    }
}

/* ---- events ---------------------------------------------------------------------------------------------------- */

static void
forget(websocket_t *socket)
{
    if (run.mode != IDLE) {
        client_die("the server closed a connection");
    }
    epoll_ctl(run.epoll, EPOLL_CTL_DEL, socket->fd, NULL);
    close(socket->fd);
    socket->fd = -1;
    socket->open = false;
    turn.closed++;
}

/* Waits so many milliseconds for something, and sees to it; false if nothing came. */
static bool
see_to_events(int milliseconds)
{
    struct epoll_event events[EVENTS_PER_WAIT];
    int ready = epoll_wait(run.epoll, events, EVENTS_PER_WAIT, milliseconds);
    for (int i = 0; i < ready; i++) {
        websocket_t *socket = events[i].data.ptr;
        if ((events[i].events & EPOLLOUT) != 0) {
            websocket_flush(socket);
        }
        if ((events[i].events & ~(uint32_t)EPOLLOUT) == 0) {
            continue;
        }
        int messages = websocket_receive(socket);
        if (messages < 0) {
            forget(socket);
        } else {
            count(socket, (uint64_t)messages, client_now());
        }
    }
    return ready > 0;
}

static void
rest_until(uint64_t end)
{
    for (uint64_t now = client_now(); now < end; now = client_now()) {
        see_to_events((int)((end - now) / 1000000) + 1);
    }
}

static void
work(void)
{
    if (run.mode == BROADCAST) {
        send_to_all(client_now());
    } else {
        turn.busy = run.connections;
        for (uint64_t i = 0; i < run.connections; i++) {
            send_own(&run.sockets[i], client_now());
        }
    }
    while (turn.busy > 0) {
        if (!see_to_events(PATIENCE * 1000)) {
            client_die("nothing came for %d s; %llu connections wait", PATIENCE, (unsigned long long)turn.busy);
        }
    }
}

/* ---- the program ----------------------------------------------------------------------------------------------- */

/* Its handshake is over, and perhaps everything. */
static bool
is_through(const websocket_t *socket)
{
    return socket->open || socket->fd < 0;
}

static void
open_all(const char *path, int port)
{
    uint64_t batches = run.mode == ECHO ? run.connections : 1;
    run.epoll = epoll_create1(EPOLL_CLOEXEC);
    run.sockets = calloc(run.connections, sizeof(*run.sockets));
    run.batches = calloc(batches, sizeof(*run.batches));
    turn.sent_at = calloc(run.connections, sizeof(*turn.sent_at));
    if (run.epoll < 0 || run.sockets == NULL || run.batches == NULL || turn.sent_at == NULL) {
        client_die("cannot begin");
    }
    for (uint64_t i = 0; i < batches; i++) {
        websocket_batch_init(&run.batches[i], (uint32_t)i, run.depth, run.size, run.text);
    }
    uint64_t open = 0;
    for (uint64_t begun = 0; begun < run.connections;) {
        for (int i = 0; i < TOGETHER && begun < run.connections; i++) {
            websocket_open(&run.sockets[begun++], run.epoll, port, path, run.offer);
        }
        while (open < begun) {
            if (!is_through(&run.sockets[open]) && !see_to_events(PATIENCE * 1000)) {
                client_die("a handshake has had no answer for %d s", PATIENCE);
            }
            open += is_through(&run.sockets[open]);
        }
    }
}

static void
close_all(void)
{
    run.mode = IDLE;
    for (uint64_t i = 0; i < run.connections; i++) {
        if (run.sockets[i].open) {
            websocket_say_goodbye(&run.sockets[i]);
        }
    }
    uint64_t end = client_now() + 2000000000;
    while (turn.closed < run.connections && client_now() < end) {
        see_to_events(100);
    }
}

static void
print_turn(uint64_t from, uint64_t cpu, uint64_t pings_before)
{
    double seconds = (double)(client_now() - from) / 1e9;
    printf("{\"messages\":%llu,\"bytes\":%llu,\"seconds\":%.6f,\"cpu_seconds\":%.6f,\"pings\":%llu,\"closed\":%llu",
           (unsigned long long)turn.messages, (unsigned long long)(turn.messages * run.size), seconds,
           (double)(cpu_now() - cpu) / 1e9, (unsigned long long)(pings() - pings_before),
           (unsigned long long)turn.closed);
    if (run.mode != IDLE) {
        printf(",\"p50_us\":%.1f,\"p90_us\":%.1f,\"p99_us\":%.1f,\"p999_us\":%.1f,\"max_us\":%.1f",
               histogram_us(&turn.latency, 50), histogram_us(&turn.latency, 90), histogram_us(&turn.latency, 99),
               histogram_us(&turn.latency, 99.9), histogram_us(&turn.latency, 100));
    }
    puts("}");
    fflush(stdout);
}

static void
take_turn(char *line)
{
    uint64_t now = client_now();
    uint64_t cpu = cpu_now();
    uint64_t pings_before = pings();
    histogram_clear(&turn.latency);
    turn.messages = turn.begun = 0;
    turn.end = turn.most = UINT64_MAX;
    line[strcspn(line, "\n")] = '\0';
    if (strncmp(line, "for ", 4) == 0) {
        turn.end = now + client_number(line + 4, "MILLISECONDS") * 1000000;
    } else if (strncmp(line, "count ", 6) == 0 && run.mode != IDLE) {
        turn.most = client_number(line + 6, "MESSAGES");
    } else {
        client_die("not `for MILLISECONDS` or `count MESSAGES`: %s", line);
    }
    if (run.mode == IDLE) {
        rest_until(turn.end);
    } else {
        work();
    }
    print_turn(now, cpu, pings_before);
}

static void
read_options(int argc, char **argv)
{
    for (int option; (option = getopt(argc, argv, "s:d:tz")) != -1;) {
        if (option == 's') {
            run.size = strcmp(optarg, "0") == 0 ? 0 : client_number(optarg, "BYTES");
        } else if (option == 'd') {
            run.depth = client_number(optarg, "DEPTH");
        } else if (option == 't') {
            run.text = true;
        } else if (option == 'z') {
            run.offer = true;
        } else {
            exit(2);
        }
    }
}

static websocket_mode_t
read_mode(const char *text)
{
    static const char *const names[] = {"echo", "broadcast", "idle"};
    for (int i = 0; i < 3; i++) {
        if (strcmp(text, names[i]) == 0) {
            return (websocket_mode_t)i;
        }
    }
    client_die("no mode is called %s", text);
}

int
main(int argc, char **argv)
{
    read_options(argc, argv);
    if (argc - optind != 4) {
        fprintf(stderr, "usage: %s echo|broadcast|idle PORT PATH CONNECTIONS [-s BYTES] [-d DEPTH] [-t] [-z]\n",
                argv[0]);
        return 2;
    }
    run.mode = read_mode(argv[optind]);
    run.connections = client_number(argv[optind + 3], "CONNECTIONS");
    client_allow_descriptors();
    open_all(argv[optind + 2], (int)client_number(argv[optind + 1], "PORT"));
    uint64_t deflate = 0;
    for (uint64_t i = 0; i < run.connections; i++) {
        deflate += run.sockets[i].deflate;
    }
    printf("{\"connections\":%llu,\"deflate\":%llu}\n", (unsigned long long)run.connections,
           (unsigned long long)deflate);
    fflush(stdout);
    for (char line[64]; fgets(line, sizeof(line), stdin) != NULL;) {
        take_turn(line);
    }
    close_all();
    return 0;
}
