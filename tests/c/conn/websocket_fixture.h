/* SPDX-License-Identifier: MIT
 *
 * A connection of the fixture that is a WebSocket, and the frames that its client sends.
 */
#ifndef CUVEE_TESTS_WEBSOCKET_FIXTURE_H
#define CUVEE_TESTS_WEBSOCKET_FIXTURE_H

#include "conn/conn_fixture.h"
#include "conn/websocket.h"

#define HANDSHAKE(more)                                                                                        \
    "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" more "\r\n"
#define DEFLATE "Sec-WebSocket-Extensions: permessage-deflate\r\n"
#define ACCEPTED                                                                            \
    "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n"      \
    "sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"

/* A fixture whose connections may become WebSockets, without pings. */
fixture_t *websocket_fixture(void);

/* Says a handshake on the open connection and accepts it. `more` are lines of further fields, or "". */
void open_websocket(fixture_t *f, const char *more);

/* Both at once; nothing told or heard is left. */
fixture_t *new_websocket(void);

/* Sends a masked frame; `first` is its first byte. */
void say_frame(fixture_t *f, unsigned first, const char *payload, size_t len);
void say_text(fixture_t *f, const char *text);

/* Sends a close frame. */
void say_close(fixture_t *f, unsigned code, const char *reason);

/* Sends a message, copied. */
int send_text(fixture_t *f, const char *text);

#endif
