/* SPDX-License-Identifier: MIT */
#include "conn/websocket_fixture.h"

#include <stdio.h>
#include <string.h>

fixture_t *
websocket_fixture(void)
{
    fixture_t *f = fixture_new();
    f->env.ws.enabled = true;
    f->env.ws.ping_interval = 0;
    return f;
}

void
open_websocket(fixture_t *f, const char *more)
{
    static const char head[] = HANDSHAKE("");
    say_bytes(f, head, sizeof(head) - 3);
    say(f, more);
    say(f, "\r\n");
    turn(f);
    if (cv_conn_ws_respond(f->conn) == 0) {
        cv_conn_ws_open(f->conn);
    }
    turn(f);
    told(f);
}

fixture_t *
new_websocket(void)
{
    fixture_t *f = websocket_fixture();
    open_websocket(f, "");
    hear(f);
    return f;
}

/* The mask is 0: the payload stands in the frame as it is. */
void
say_frame(fixture_t *f, unsigned first, const char *payload, size_t len)
{
    char head[14] = {(char)first};
    size_t head_len = 2;
    if (len < 126) {
        head[1] = (char)(0x80 | len);
    } else if (len < 65536) {
        head[1] = (char)(0x80 | 126);
        head[2] = (char)(len >> 8);
        head[3] = (char)len;
        head_len = 4;
    } else {
        head[1] = (char)(0x80 | 127);
        for (int i = 0; i < 8; i++) {
            head[2 + i] = (char)(len >> (8 * (7 - i)));
        }
        head_len = 10;
    }
    say_bytes(f, head, head_len + 4);
    say_bytes(f, payload, len);
}

void
say_text(fixture_t *f, const char *text)
{
    say_frame(f, 0x81, text, strlen(text));
}

void
say_close(fixture_t *f, unsigned code, const char *reason)
{
    char payload[125] = {(char)(code >> 8), (char)code};
    size_t len = strlen(reason);
    memcpy(payload + 2, reason, len);
    say_frame(f, 0x88, payload, len + 2);
}

int
send_text(fixture_t *f, const char *text)
{
    bool kept;
    return cv_conn_ws_send(f->conn, CV_WS_TEXT, (cv_span_t){text, strlen(text)}, NULL, false, &kept);
}
