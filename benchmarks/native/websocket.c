/* SPDX-License-Identifier: MIT */
#include "websocket.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "client.h"

/* The example of RFC 6455 section 1.3: the key may be any, and the answer to this one is known. */
#define KEY "dGhlIHNhbXBsZSBub25jZQ=="
#define ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

enum {
    CONTINUATION = 0,
    TEXT = 1,
    BINARY = 2,
    CLOSE = 8,
    PING = 9,
    PONG = 10,
    FIN = 0x80,
    RESERVED = 0x70,
    MASKED = 0x80,
    RESPONSE_MOST = 8192,
    RECEIVE = 1 << 18,
};

static const unsigned char MASK[4] = {0x5a, 0xc3, 0x17, 0x9e};

/* ---- frames out ------------------------------------------------------------------------------------------------ */

static size_t
write_frame(unsigned char *at, int opcode, const unsigned char *payload, size_t len)
{
    size_t head = 2;
    at[0] = (unsigned char)(FIN | opcode);
    if (len <= WEBSOCKET_CONTROL_MOST) {
        at[1] = (unsigned char)(MASKED | len);
    } else {
        size_t bytes = len <= UINT16_MAX ? 2 : 8;
        at[1] = bytes == 2 ? MASKED | 126 : MASKED | 127;
        for (size_t i = 0; i < bytes; i++) {
            at[head++] = (unsigned char)(len >> (8 * (bytes - 1 - i)));
        }
    }
    memcpy(at + head, MASK, sizeof(MASK));
    head += sizeof(MASK);
    for (size_t i = 0; i < len; i++) {
        at[head + i] = payload[i] ^ MASK[i % 4];
    }
    return head + len;
}

static void
fill(unsigned char *payload, uint32_t number, size_t slot, size_t size, bool text)
{
    uint64_t state = ((uint64_t)number << 32 | slot) * 2654435761u + 88172645463325252u;
    for (size_t i = 0; i < size; i++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        payload[i] = (unsigned char)(text ? ' ' + state % 95 : state);
    }
    char name[16];
    int len = snprintf(name, sizeof(name), "%08x%04x", number, (unsigned)slot & 0xffff);
    if ((size_t)len <= size) {
        memcpy(payload, name, (size_t)len);
    }
}

void
websocket_batch_init(websocket_batch_t *batch, uint32_t number, size_t depth, size_t size, bool text)
{
    *batch = (websocket_batch_t){.depth = depth, .size = size, .text = text};
    batch->payloads = malloc(depth * size);
    batch->frames = malloc(depth * (size + WEBSOCKET_HEAD_MOST));
    if (batch->payloads == NULL || batch->frames == NULL) {
        client_die("out of memory");
    }
    for (size_t slot = 0; slot < depth; slot++) {
        unsigned char *payload = batch->payloads + slot * size;
        fill(payload, number, slot, size, text);
        batch->frames_len += write_frame(batch->frames + batch->frames_len, text ? TEXT : BINARY, payload, size);
    }
}

static void
watch(websocket_t *socket, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = socket};
    epoll_ctl(socket->epoll, EPOLL_CTL_MOD, socket->fd, &event);
}

/* Small frames; a socket that has no room for one has a server behind it that does not read. */
static void
send_control(websocket_t *socket, int opcode, const unsigned char *payload, size_t len)
{
    unsigned char frame[WEBSOCKET_HEAD_MOST + WEBSOCKET_CONTROL_MOST];
    size_t frame_len = write_frame(frame, opcode, payload, len);
    ssize_t sent = send(socket->fd, frame, frame_len, MSG_NOSIGNAL);
    if (sent >= 0 && (size_t)sent != frame_len) {
        client_die("the server does not read");
    }
}

void
websocket_flush(websocket_t *socket)
{
    while (socket->sends && socket->sent < socket->batch->frames_len) {
        const websocket_batch_t *batch = socket->batch;
        ssize_t len = send(socket->fd, batch->frames + socket->sent, batch->frames_len - socket->sent, MSG_NOSIGNAL);
        if (len < 0 && errno == EAGAIN) {
            if (!socket->waits_for_room) {
                watch(socket, EPOLLIN | EPOLLOUT);
                socket->waits_for_room = true;
            }
            return;
        }
        if (len < 0) {
            client_die("a message broke off: %s", strerror(errno));
        }
        socket->sent += (size_t)len;
    }
    if (socket->waits_for_room) {
        watch(socket, EPOLLIN);
        socket->waits_for_room = false;
    }
    if (socket->owes_pong) {
        send_control(socket, PONG, socket->pong, socket->pong_len);
        socket->owes_pong = false;
    }
}

void
websocket_expect(websocket_t *socket, const websocket_batch_t *batch)
{
    socket->batch = batch;
    socket->answered = 0;
    socket->sends = false;
}

void
websocket_send(websocket_t *socket, const websocket_batch_t *batch)
{
    websocket_expect(socket, batch);
    socket->sends = true;
    socket->sent = 0;
    websocket_flush(socket);
}

void
websocket_say_goodbye(websocket_t *socket)
{
    static const unsigned char normal[2] = {1000 >> 8, 1000 & 0xff};
    send_control(socket, CLOSE, normal, sizeof(normal));
}

/* ---- the handshake --------------------------------------------------------------------------------------------- */

void
websocket_open(websocket_t *socket, int epoll, int port, const char *path, bool offer)
{
    *socket = (websocket_t){.epoll = epoll};
    socket->fd = client_connect(port, epoll, EPOLLIN, socket);
    char request[1024];
    int len = snprintf(request, sizeof(request),
                       "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                       "Sec-WebSocket-Key: " KEY "\r\nSec-WebSocket-Version: 13\r\n%s\r\n",
                       path, port,
                       offer ? "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n" : "");
    if (len >= (int)sizeof(request) || send(socket->fd, request, (size_t)len, MSG_NOSIGNAL) != len) {
        client_die("the handshake cannot be sent");
    }
}

/* Looks at the response without taking it, until it is complete: what comes behind it stays in the socket. */
static bool
take_response(websocket_t *socket)
{
    char text[RESPONSE_MOST + 1];
    ssize_t len = recv(socket->fd, text, RESPONSE_MOST, MSG_PEEK);
    if (len < 0 && errno == EAGAIN) {
        return false;
    }
    if (len <= 0) {
        client_die("the server closed a connection in the handshake");
    }
    text[len] = '\0';
    char *end = strstr(text, "\r\n\r\n");
    if (end == NULL) {
        if (len == RESPONSE_MOST) {
            client_die("the response to the handshake has no end");
        }
        return false;
    }
    *end = '\0';
    if (strncmp(text, "HTTP/1.1 101", 12) != 0 || strstr(text, ACCEPT) == NULL) {
        client_die("the server refuses the upgrade: %.*s", (int)strcspn(text, "\r"), text);
    }
    socket->deflate = strcasestr(text, "permessage-deflate") != NULL;
    socket->open = true;
    return recv(socket->fd, text, (size_t)(end + 4 - text), 0) > 0;
}

/* ---- frames in ------------------------------------------------------------------------------------------------- */

static size_t
head_wanted(const websocket_t *socket)
{
    if (socket->head_len < 2) {
        return 2;
    }
    unsigned len = socket->head[1] & 0x7f;
    if (len < 126) {
        return 2;
    }
    return len == 126 ? 4 : 10;
}

/* Takes bytes of a frame's head; false if it is not complete. */
static bool
take_head(websocket_t *socket, const unsigned char **at, const unsigned char *end)
{
    while (socket->head_len < head_wanted(socket)) {
        if (*at == end) {
            return false;
        }
        socket->head[socket->head_len++] = *(*at)++;
    }
    return true;
}

static void
begin_frame(websocket_t *socket)
{
    const unsigned char *head = socket->head;
    if ((head[0] & RESERVED) != 0 || (head[1] & MASKED) != 0) {
        client_die("a frame is masked, compressed, or of an extension nobody asked for");
    }
    uint64_t len = head[1] & 0x7f;
    if (socket->head_len > 2) {
        len = 0;
        for (size_t i = 2; i < socket->head_len; i++) {
            len = len << 8 | head[i];
        }
    }
    socket->payload_left = len;
    socket->in_payload = true;
    socket->head_len = 0;
    int opcode = head[0] & 0x0f;
    if (opcode >= CLOSE) {
        socket->control_len = 0;
        if (len > WEBSOCKET_CONTROL_MOST) {
            client_die("a control frame of %llu bytes", (unsigned long long)len);
        }
        return;
    }
    const websocket_batch_t *batch = socket->batch;
    if (batch == NULL || socket->answered == batch->depth) {
        client_die("a message came that nobody sent");
    }
    int first = batch->text ? TEXT : BINARY;
    if (opcode != (socket->message_at > 0 ? CONTINUATION : first) || len > batch->size - socket->message_at) {
        client_die("a message is not the one that was sent: opcode %d, %llu bytes", opcode, (unsigned long long)len);
    }
}

static void
take_payload(websocket_t *socket, const unsigned char *at, size_t len)
{
    if ((socket->head[0] & 0x0f) >= CLOSE) {
        memcpy(socket->control + socket->control_len, at, len);
        socket->control_len += len;
    } else {
        const websocket_batch_t *batch = socket->batch;
        const unsigned char *sent = batch->payloads + socket->answered * batch->size + socket->message_at;
        if (memcmp(sent, at, len) != 0) {
            client_die("a message is not the one that was sent: its bytes differ");
        }
        socket->message_at += len;
    }
    socket->payload_left -= len;
}

/* Returns 1 if a message ended with this frame, -1 if the connection did. */
static int
end_frame(websocket_t *socket)
{
    socket->in_payload = false;
    int opcode = socket->head[0] & 0x0f;
    if (opcode == CLOSE) {
        return -1;
    }
    if (opcode == PING) {
        socket->pings++;
        socket->owes_pong = true;
        memcpy(socket->pong, socket->control, socket->control_len);
        socket->pong_len = socket->control_len;
        websocket_flush(socket);
    }
    if (opcode >= CLOSE || (socket->head[0] & FIN) == 0) {
        return 0;
    }
    if (socket->message_at != socket->batch->size) {
        client_die("a message came back with %zu bytes of %zu", socket->message_at, socket->batch->size);
    }
    socket->message_at = 0;
    socket->answered++;
    return 1;
}

int
websocket_receive(websocket_t *socket)
{
    static unsigned char buffer[RECEIVE];
    if (!socket->open && !take_response(socket)) {
        return 0;
    }
    ssize_t len = recv(socket->fd, buffer, sizeof(buffer), 0);
    if (len < 0 && errno == EAGAIN) {
        return 0;
    }
    if (len <= 0) {
        return -1;
    }
    int messages = 0;
    const unsigned char *at = buffer;
    const unsigned char *end = buffer + len;
    while (at < end || (socket->in_payload && socket->payload_left == 0)) {
        if (!socket->in_payload) {
            if (!take_head(socket, &at, end)) {
                break;
            }
            begin_frame(socket);
        }
        size_t left = (size_t)(end - at);
        size_t part = socket->payload_left < left ? (size_t)socket->payload_left : left;
        take_payload(socket, at, part);
        at += part;
        if (socket->payload_left == 0) {
            int ended = end_frame(socket);
            if (ended < 0) {
                return -1;
            }
            messages += ended;
        }
    }
    return messages;
}
