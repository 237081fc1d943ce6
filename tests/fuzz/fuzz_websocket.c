/* SPDX-License-Identifier: MIT
 *
 * A connection that becomes a WebSocket, under a script: frames in any pieces, messages, closes and stops in any order,
 * with and without memory.
 *
 * An input is two bytes of options, the length of a script, the script, and what the client sends behind its handshake.
 * Of each byte of the script the upper five bits choose a step and the lower three say how much.
 *
 * What must hold, besides what the sanitizers see: messages come only between the handshake and the end, the end comes
 * once, and whatever was kept, allocated or opened is given back.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conn/websocket.h"
#include "fuzz.h"
#include "fuzz_clock.h"
#include "fuzz_memory.h"

enum { DEFLATE = 1, /* the options */
       CONTEXT = 2,
       SMALL_QUEUE = 4,
       SMALL_SIZE = 8,
       SEND_LOW = 16,
       PINGS = 32,
       IDLE = 64,
       NO_CLOSE_TIME = 128,
       BAD_HANDSHAKE = 256, /* another fault for each value of the three bits from here on */
       FAULTS = 7 };

typedef struct {
    uv_loop_t loop;
    cv_conn_env_t env;
    cv_conn_t *conn; /* NULL once it is gone */
    int client;
    unsigned waiting, kept, released;
    bool asked, open, ended, closed;
} world_t;

static world_t world;
static char payload[70000];

static int
on_head(cv_conn_t *conn, const cv_h1_head_t *head)
{
    (void)head;
    cv_conn_refuse(conn, 404, NULL);
    return 0;
}

static int
on_body(cv_conn_t *conn, const char *data, size_t len)
{
    (void)conn;
    (void)data;
    (void)len;
    return 0;
}

static void
on_end(cv_conn_t *conn)
{
    (void)conn;
}

static int
on_websocket(cv_conn_t *conn, const cv_h1_head_t *head)
{
    (void)conn;
    (void)head;
    MUST(!world.asked);
    world.asked = true;
    return 0;
}

static int
on_message(cv_conn_t *conn, const cv_ws_event_t *message)
{
    MUST(world.open && !world.ended && conn == world.conn);
    MUST(message->len <= world.env.ws.max_size);
    world.waiting++;
    return message->len == 3 ? -ENOMEM : 0;
}

static void
on_ws_end(cv_conn_t *conn, unsigned code, cv_span_t reason)
{
    (void)conn;
    MUST(world.open && !world.ended && reason.len <= CV_WS_REASON_MAX);
    MUST(code == CV_WS_NO_STATUS || code == CV_WS_ABNORMAL || cv_ws_code_is_valid(code));
    world.ended = true;
}

static void
on_gone(cv_conn_t *conn)
{
    MUST(conn == world.conn);
    world.conn = NULL;
}

static void
ignore(cv_conn_t *conn)
{
    (void)conn;
}

static void
on_refused(cv_conn_t *conn, unsigned status, const char *rule)
{
    (void)conn;
    (void)status;
    MUST(rule != NULL && rule[0] != '\0');
}

static void
on_cut(cv_conn_t *conn, const char *rule)
{
    on_refused(conn, 0, rule);
}

static void
release(cv_conn_env_t *env, void *owner)
{
    (void)env;
    MUST(owner == payload);
    world.released++;
}

static const cv_conn_ops_t ops = {
    .on_head = on_head,
    .on_body = on_body,
    .on_end = on_end,
    .on_websocket = on_websocket,
    .on_message = on_message,
    .on_ws_end = on_ws_end,
    .on_drain = ignore,
    .on_gone = on_gone,
    .on_refused = on_refused,
    .on_cut = on_cut,
    .release = release,
};

static void
turn(void)
{
    uv_run(&world.loop, UV_RUN_NOWAIT);
    cv_conn_env_flush(&world.env);
}

static void
hear(void)
{
    char heard[65536];
    while (world.client >= 0 && recv(world.client, heard, sizeof heard, MSG_DONTWAIT) > 0) {
    }
}

static void
say(const char *data, size_t len)
{
    if (world.client >= 0 && len > 0) {
        (void)!send(world.client, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);
    }
}

static void
say_text(const char *text)
{
    say(text, strlen(text));
}

static void
shake_hands(unsigned options)
{
    unsigned fault = (options & BAD_HANDSHAKE) != 0 ? 1 + options / (2 * BAD_HANDSHAKE) % FAULTS : 0;
    say_text(fault == 1 ? "POST" : "GET");
    say_text(" / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: ");
    say_text(fault == 2 ? "h2c\r\n" : "h2c, WebSocket\r\n");
    say_text(fault == 3 ? "Sec-WebSocket-Version: 8\r\n" : "Sec-WebSocket-Version: 13\r\n");
    say_text(fault == 4 ? "Sec-WebSocket-Key: x\r\n" : "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n");
    say_text(fault == 5 ? "Content-Length: 1\r\n" : "");
    say_text((options & DEFLATE) != 0 ? "Sec-WebSocket-Extensions: permessage-deflate\r\n" : "");
    world.env.ws.limit = fault == 6 ? 0 : world.env.ws.limit;
    world.env.ws.enabled = fault != 7;
    say_text("\r\n");
}

static void
open_world(unsigned options)
{
    int pair[2];
    memset(&world, 0, sizeof world);
    fuzz_clock_reset();
    MUST(uv_loop_init(&world.loop) == 0 && cv_conn_env_init(&world.env, &world.loop, &ops) == 0);
    cv_ws_settings_t *ws = &world.env.ws;
    ws->deflate.enabled = true;
    ws->deflate.context = (options & CONTEXT) != 0;
    ws->max_queue = (options & SMALL_QUEUE) != 0 ? 1 : ws->max_queue;
    ws->max_size = (options & SMALL_SIZE) != 0 ? 20 : ws->max_size;
    ws->send_high = (options & SEND_LOW) != 0 ? 10 : ws->send_high;
    ws->ping_interval = (options & PINGS) != 0 ? 1000 : 0;
    ws->ping_timeout = 1500;
    ws->idle_timeout = (options & IDLE) != 0 ? 2000 : 0;
    ws->close_timeout = (options & NO_CLOSE_TIME) != 0 ? 0 : 3000;
    MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) == 0);
    world.client = pair[0];
    world.conn = cv_conn_new(&world.env, pair[1], &world);
    MUST(world.conn != NULL);
}

static void
on_env_closed(cv_conn_env_t *env)
{
    (void)env;
    world.closed = true;
}

static void
close_world(void)
{
    cv_conn_env_abort(&world.env);
    MUST(world.conn == NULL && world.kept == world.released && world.env.ws_count == 0);
    if (world.client >= 0) {
        close(world.client);
    }
    cv_conn_env_deinit(&world.env, on_env_closed);
    while (!world.closed) {
        uv_run(&world.loop, UV_RUN_NOWAIT);
    }
    MUST(world.env.unfreed == 0 && uv_loop_close(&world.loop) == 0);
}

static void
accept_handshake(unsigned how)
{
    cv_span_t name = {how & 1 ? "x-a" : "connection", how & 1 ? 3 : 10};
    if (cv_conn_ws_respond(world.conn) < 0) {
        return;
    }
    if (cv_conn_ws_field(world.conn, name, (cv_span_t){"v", 1}) < 0 || (how & 4) != 0) {
        cv_conn_retract(world.conn);
        return;
    }
    world.open = true; /* messages that came with the handshake are told from within */
    if (cv_conn_ws_open(world.conn) < 0 && world.conn != NULL) {
        world.open = world.conn->state == CV_CONN_WEBSOCKET;
    }
}

static void
send_message(unsigned how)
{
    static const size_t sizes[] = {0, 5, 127, 128, 5000, 66000, 70000, 1};
    bool kept = false;
    cv_ws_opcode opcode = how & 1 ? CV_WS_TEXT : CV_WS_BINARY;
    cv_span_t data = {payload, sizes[how]};
    (void)cv_conn_ws_send(world.conn, opcode, data, payload, (how & 2) != 0, &kept);
    world.kept += kept;
}

/* One step of the script; the connection is there. */
static void
act(unsigned step, unsigned how, fuzz_input_t *wire)
{
    fuzz_input_t piece;
    switch (step % 14) {
    case 0:
        piece = fuzz_take(wire, 1u << (2 * how));
        say((const char *)piece.at, piece.left);
        break;
    case 1:
        accept_handshake(how);
        break;
    case 2:
        send_message(how);
        break;
    case 3:
        (void)cv_conn_ws_close(world.conn, how & 1 ? 1000 : CV_WS_NO_STATUS, (cv_span_t){payload, how});
        break;
    case 4:
        if (world.waiting > 0 && world.open) {
            cv_conn_ws_consumed(world.conn, world.waiting, world.conn->unread);
            world.waiting = 0;
        }
        break;
    case 5:
        if (world.open) {
            cv_conn_ws_settle(world.conn);
        }
        break;
    case 6:
        cv_conn_env_drain(&world.env);
        break;
    case 7:
        cv_conn_stop(world.conn);
        break;
    case 8:
        cv_conn_drain(world.conn);
        break;
    case 9:
        fuzz_clock_pass(400u * (how + 1));
        break;
    case 10:
        hear();
        break;
    case 11:
        shutdown(world.client, SHUT_WR);
        break;
    case 12:
        fuzz_memory_fail(how, false);
        break;
    default:
        cv_conn_refuse(world.conn, 403, "");
        break;
    }
}

static void
run(unsigned options, fuzz_input_t script, fuzz_input_t wire)
{
    open_world(options);
    shake_hands(options);
    turn();
    while (script.left > 0 && world.conn != NULL) {
        unsigned byte = fuzz_byte(&script);
        act(byte >> 3, byte & 7, &wire);
        turn();
        MUST(world.env.ws_count <= world.env.conn_count);
    }
    (void)fuzz_memory_restore();
    hear();
    turn();
    close_world();
}

int LLVMFuzzerInitialize(int *argc, char ***argv);

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    run(0, (fuzz_input_t){NULL, 0}, (fuzz_input_t){NULL, 0}); /* the first loop opens descriptors that stay */
    return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_input_t input = {data, size};
    unsigned options = fuzz_word(&input);
    fuzz_input_t script = fuzz_take(&input, fuzz_byte(&input));
    long blocks = fuzz_memory_blocks();
    run(options, script, input);
    MUST(fuzz_memory_blocks() == blocks);
    return 0;
}
