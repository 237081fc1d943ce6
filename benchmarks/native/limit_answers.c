/* SPDX-License-Identifier: MIT
 *
 * The requests of limit_server and what it says to them. Each head is parsed whole, target and fields are looked at.
 */
#include "limit.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

enum { HEAD_MAX = 65536 }; /* bytes of target and fields */

static time_t second;     /* that the texts below are for */
static char common[128];  /* the fields of every answer */
static size_t common_len;
static char hello[256];
static size_t hello_len;

void
limit_refresh_date(void)
{
    time_t now = time(NULL);
    if (now == second) {
        return;
    }
    struct tm parts;
    gmtime_r(&now, &parts);
    second = now;
    common_len = strftime(common, sizeof(common),
                          "date: %a, %d %b %Y %H:%M:%S GMT\r\nserver: limit\r\n", &parts);
    int len = snprintf(hello, sizeof(hello),
                       "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 13\r\n%s\r\nHello, world!",
                       common);
    hello_len = (size_t)len;
}

static void
say_number(conn_t *conn, uint64_t number, unsigned base)
{
    char digits[20];
    size_t at = sizeof(digits);
    do {
        digits[--at] = "0123456789abcdef"[number % base];
        number /= base;
    } while (number > 0);
    limit_say(conn, digits + at, sizeof(digits) - at);
}

static void
end_head(conn_t *conn)
{
    limit_say(conn, common, common_len);
    if (conn->is_last) {
        limit_say(conn, LITERAL("connection: close\r\n"));
    }
    limit_say(conn, LITERAL("\r\n"));
}

static void
say_head(conn_t *conn, const char *begin, size_t begin_len, uint64_t length)
{
    limit_say(conn, begin, begin_len);
    limit_say(conn, LITERAL("content-length: "));
    say_number(conn, length, 10);
    limit_say(conn, LITERAL("\r\n"));
    end_head(conn);
}

static void
say_chunked_head(conn_t *conn)
{
    limit_say(conn, LITERAL("HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\n"));
    limit_say(conn, LITERAL("transfer-encoding: chunked\r\n"));
    end_head(conn);
}

static void
say_refusal(conn_t *conn, const char *status)
{
    limit_say(conn, LITERAL("HTTP/1.1 "));
    limit_say(conn, status, strlen(status));
    say_head(conn, LITERAL("\r\n"), 0);
}

static route_t
find_route(const conn_t *conn)
{
    static const struct {
        const char *target;
        llhttp_method_t method;
        route_t route;
    } routes[] = {
        {"/", HTTP_GET, ROUTE_HELLO},
        {"/echo", HTTP_POST, ROUTE_ECHO},
        {"/upload", HTTP_POST, ROUTE_UPLOAD},
        {"/stream", HTTP_GET, ROUTE_STREAM},
        {"/broadcast", HTTP_GET, ROUTE_BROADCAST},
    };
    for (size_t i = 0; i < sizeof(routes) / sizeof(*routes); i++) {
        size_t len = strlen(routes[i].target);
        if (conn->target_len != len || memcmp(conn->target, routes[i].target, len) != 0) {
            continue;
        }
        if (conn->parser.method != routes[i].method) {
            return ROUTE_WRONG_METHOD;
        }
        if (conn->parser.upgrade && routes[i].route == ROUTE_HELLO) {
            return ROUTE_MESSAGES;
        }
        if (!conn->parser.upgrade && routes[i].route == ROUTE_BROADCAST) {
            return ROUTE_NOT_FOUND;
        }
        return routes[i].route == ROUTE_STREAM && conn->parser.http_minor == 0 ? ROUTE_NO_CHUNKS : routes[i].route;
    }
    return ROUTE_NOT_FOUND;
}

static int
on_message_begin(llhttp_t *parser)
{
    conn_t *conn = parser->data;
    conn->name_len = conn->target_len = conn->head_len = 0;
    conn->in_value = conn->expects = conn->chunked = false;
    return 0;
}

static int
check_head_len(conn_t *conn, size_t more)
{
    conn->head_len += more;
    return conn->head_len > HEAD_MAX ? HPE_USER : 0;
}

static int
on_url(llhttp_t *parser, const char *at, size_t len)
{
    conn_t *conn = parser->data;
    if (conn->target_len + len <= sizeof(conn->target)) {
        memcpy(conn->target + conn->target_len, at, len);
    }
    conn->target_len += len;
    return check_head_len(conn, len);
}

static int
on_header_field(llhttp_t *parser, const char *at, size_t len)
{
    conn_t *conn = parser->data;
    if (conn->in_value) {
        conn->in_value = false;
        conn->name_len = 0;
    }
    if (conn->name_len + len <= sizeof(conn->name)) {
        memcpy(conn->name + conn->name_len, at, len);
    }
    conn->name_len += len;
    return check_head_len(conn, len);
}

static int
on_header_value(llhttp_t *parser, const char *at, size_t len)
{
    (void)at;
    conn_t *conn = parser->data;
    conn->in_value = true;
    if (conn->name_len == sizeof("expect") - 1 && strncasecmp(conn->name, LITERAL("expect")) == 0) {
        conn->expects = true;
    }
    return check_head_len(conn, len);
}

static int
on_headers_complete(llhttp_t *parser)
{
    conn_t *conn = parser->data;
    conn->route = find_route(conn);
    conn->chunked = parser->flags & F_CHUNKED;
    conn->is_last = parser->http_minor == 0 || !llhttp_should_keep_alive(parser);
    if (conn->expects) {
        limit_say(conn, LITERAL("HTTP/1.1 100 Continue\r\n\r\n"));
    }
    if (conn->route == ROUTE_ECHO && conn->chunked) {
        say_chunked_head(conn);
    } else if (conn->route == ROUTE_ECHO) {
        say_head(conn, LITERAL("HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\n"),
                 parser->content_length);
    }
    conn->begun = conn->route == ROUTE_ECHO;
    return 0;
}

static int
on_body(llhttp_t *parser, const char *at, size_t len)
{
    conn_t *conn = parser->data;
    if (conn->route != ROUTE_ECHO) {
        return 0;
    }
    if (conn->chunked) {
        say_number(conn, len, 16);
        limit_say(conn, LITERAL("\r\n"));
    }
    limit_say(conn, at, len);
    if (conn->chunked) {
        limit_say(conn, LITERAL("\r\n"));
    }
    return 0;
}

static void
answer(conn_t *conn)
{
    switch (conn->route) {
    case ROUTE_HELLO:
        if (!conn->is_last) {
            limit_say(conn, hello, hello_len);
            break;
        }
        say_head(conn, LITERAL("HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n"), 13);
        limit_say(conn, LITERAL("Hello, world!"));
        break;
    case ROUTE_ECHO:
        if (conn->chunked) {
            limit_say(conn, LITERAL(LAST_CHUNK));
        }
        break;
    case ROUTE_UPLOAD:
        say_head(conn, LITERAL("HTTP/1.1 200 OK\r\n"), 0);
        break;
    case ROUTE_STREAM:
        say_chunked_head(conn);
        conn->stream_left = STREAM_SIZE;
        break;
    case ROUTE_MESSAGES:
    case ROUTE_BROADCAST:
        limit_messages_open(conn);
        break;
    case ROUTE_WRONG_METHOD:
        say_refusal(conn, "405 Method Not Allowed");
        break;
    case ROUTE_NOT_FOUND:
        say_refusal(conn, "404 Not Found");
        break;
    case ROUTE_NO_CHUNKS:
        say_refusal(conn, "505 HTTP Version Not Supported");
        break;
    }
}

/* What comes behind a stream waits, since the answers to it must too; what comes behind the last request is dropped. */
static int
on_message_complete(llhttp_t *parser)
{
    conn_t *conn = parser->data;
    answer(conn);
    conn->begun = false;
    return conn->stream_left > 0 || conn->is_last ? HPE_PAUSED : 0;
}

static const llhttp_settings_t *
settings(void)
{
    static llhttp_settings_t callbacks;
    if (callbacks.on_url == NULL) {
        llhttp_settings_init(&callbacks);
        callbacks.on_message_begin = on_message_begin;
        callbacks.on_url = on_url;
        callbacks.on_header_field = on_header_field;
        callbacks.on_header_value = on_header_value;
        callbacks.on_headers_complete = on_headers_complete;
        callbacks.on_body = on_body;
        callbacks.on_message_complete = on_message_complete;
    }
    return &callbacks;
}

void
limit_parser_init(conn_t *conn)
{
    llhttp_init(&conn->parser, HTTP_REQUEST, settings());
    conn->parser.data = conn;
}

bool
limit_refuse(conn_t *conn, llhttp_errno_t error)
{
    if (conn->begun) {
        return false;
    }
    conn->is_last = true;
    say_refusal(conn, error == HPE_USER ? "431 Request Header Fields Too Large" : "400 Bad Request");
    return true;
}
