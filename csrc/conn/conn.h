/* SPDX-License-Identifier: MIT
 *
 * One client connection of HTTP/1: parser, writer, transport and deadlines, joined by a small state machine.
 *
 * Requests on a connection are taken one after the other: the next head is parsed when the answer before it is
 * complete, so at most one request is open. Bytes behind it wait in `input`, at most `read_high` of them.
 *
 * Owns:    the socket, the bytes that wait in and out. Freed by itself after on_closed, when libuv lets go.
 * Borrows: the env, for its whole life; the memory of large body pieces, until ops->release.
 * Thread:  loop thread. Callbacks marked [poll] may come without the GIL: the callee calls its own "enter Python".
 * Errors:  0 or negative: -ENOMEM, a cv_h1_write_error, or CV_CONN_EGONE when the peer is gone.
 */
#ifndef CUVEE_CONN_CONN_H
#define CUVEE_CONN_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/list.h"
#include "conn/limit.h"
#include "conn/ws_settings.h"
#include "http/h1_parser.h"
#include "http/h1_writer.h"
#include "http/http_date.h"
#include "http/proxy_preamble.h"
#include "net/deadlines.h"
#include "net/transport.h"
#include "ws/deflater.h"
#include "ws/ws_parser.h"

enum { CV_CONN_EGONE = -2000 };

enum { CV_CONN_SPARE_OUTPUT = 64,   /* spare output buffers that an env keeps */
       CV_CONN_SPARE_PARSERS = 4,  /* and parsers */
       CV_CONN_ALIGNMENT = 64 };   /* a cache line */

/* The durations that bound a connection, each a kind of deadline. */
enum {
    CV_CONN_HEAD,        /* from accept, or the first byte of a later head, to its end: 408 (silent: close) */
    CV_CONN_KEEP_ALIVE,  /* between requests: close */
    CV_CONN_BODY,        /* no byte of an open request's body comes, and we wait for one: 408 */
    CV_CONN_UNREAD_BODY, /* an unread request body that nobody waits for after the answer is complete: close */
    CV_CONN_LINGER,      /* after our last byte, until the peer closes: close */
    CV_CONN_WRITE,       /* the peer takes no byte of what is queued: reset */
    CV_CONN_DRAIN,       /* no byte of a request comes, while the env is draining: close */
    CV_CONN_WS,          /* what a WebSocket does about a peer that is silent; it has no one duration */
    CV_CONN_WS_CLOSE,    /* the peer's close frame does not come: close; likewise */
    CV_CONN_REQUEST,     /* one request as the layer above sees it: on_due. 0 (off) by default */
    CV_CONN_DISCONNECT,  /* what the layer above does about a client that is gone: on_due; it has no one duration */
};

typedef struct cv_conn cv_conn_t;
typedef struct cv_conn_file cv_conn_file_t;
typedef struct cv_websocket cv_websocket_t;
typedef struct cv_conn_env cv_conn_env_t;

/* What a connection needs from above. */
typedef struct {
    /* [poll] A preamble came before the connection's first request, as cv_conn_expect_preamble asked for. May be NULL
     * where nobody asks. */
    void (*on_preamble)(cv_conn_t *conn, const cv_preamble_t *preamble);
    /* [poll] A request begins. `head` is borrowed during the call. 0, or negative: the connection answers 500, calls
     * on_gone and closes. The callee may refuse or close the connection. */
    int (*on_head)(cv_conn_t *conn, const cv_h1_head_t *head);
    /* [poll] The same for a request that is a correct handshake of a WebSocket; neither on_body nor on_end follows. May
     * be NULL where none is enabled. */
    int (*on_websocket)(cv_conn_t *conn, const cv_h1_head_t *head);
    /* [poll] A message of an open WebSocket, TEXT or BINARY, borrowed. Negative: it is closed for want of memory. */
    int (*on_message)(cv_conn_t *conn, const cv_ws_event_t *message);
    /* [poll] No message of a WebSocket comes any more: `code` and `reason` are the peer's close frame's, or ours.
     * Before on_gone, and only where there is a close frame. */
    void (*on_ws_end)(cv_conn_t *conn, unsigned code, cv_span_t reason);
    /* [poll] Memory for the next `len` bytes of the open request's body, which are many and come fast; NULL: they go
     * through the shared buffer. It is the callee's, and used until on_body returns. May be NULL. */
    char *(*on_body_room)(cv_conn_t *conn, size_t len);
    /* [poll] Body bytes of the open request, borrowed. 0 or negative as above. */
    int (*on_body)(cv_conn_t *conn, const char *data, size_t len);
    /* [poll] The open request's body is complete (also for a request without one, right after on_head). */
    void (*on_end)(cv_conn_t *conn);
    /* [poll] The queued output fell to write_low after it had passed write_high. */
    void (*on_drain)(cv_conn_t *conn);
    /* [poll] The client is gone, or the connection was given up under the open request (a broken body, a limit).
     * Exactly once a connection, before it is freed; also comes (with no open request) when an idle connection ends.
     * Nothing is called for the connection afterwards but release. `conn->app` is cleared by the callee. */
    void (*on_gone)(cv_conn_t *conn);
    /* [poll] What the peer sent was refused: `rule` is a constant text, `status` what was answered (0: nothing, since
     * an answer is on its way already, or for want of memory). Before on_gone. */
    void (*on_refused)(cv_conn_t *conn, unsigned status, const char *rule);
    /* [poll] The connection is closed by a limit, without an answer: `rule` as above. Before on_gone. */
    void (*on_cut)(cv_conn_t *conn, const char *rule);
    /* [poll] The bytes that were given to cv_conn_body with this owner are written or dropped. */
    void (*release)(cv_conn_env_t *env, void *owner);
    /* [poll] `batch` requests were handed up in this poll and nothing was flushed since: the callee may run them and
     * flush before more is read. May be NULL. */
    void (*on_batch)(cv_conn_env_t *env);
    /* [poll] A deadline of the layer above's own, of the kind CV_CONN_REQUEST or later, is due. May be NULL if it sets
     * none. */
    void (*on_due)(cv_conn_env_t *env, cv_deadline_t *deadline);
    /* [poll] There are fewer connections than conn_limit again. May be NULL. */
    void (*on_room)(cv_conn_env_t *env);
    /* [poll] A connection on which `tells_end` is set is closed: it must not be touched any more. After on_gone. May be
     * NULL if that is set on none. */
    void (*on_closed)(cv_conn_t *conn);
} cv_conn_ops_t;

/* What the connections of one server share. Owned by the server. */
struct cv_conn_env {
    /* set once */
    uv_loop_t *loop;
    const cv_conn_ops_t *ops;
    cv_h1_limits_t limits;
    uint64_t body_limit;      /* most bytes of a request's body: UINT64_MAX */
    uint32_t body_rate;       /* least bytes of a body a second, while we wait for them; 0: any */
    uint32_t body_grace;      /* milliseconds that are not counted for it: 5000 */
    uint32_t request_limit;   /* requests of a connection, whose last answer closes it; 0: no limit */
    uint32_t conn_limit;      /* on_room is called when conn_count falls below it; 0: never */
    size_t read_high;         /* body bytes or pipelined bytes kept before reading stops: 65536 */
    size_t write_high;        /* queued output above which on_drain will be called: 65536 */
    size_t write_low;         /* ... once it fell to this: 16384 */
    unsigned batch;           /* requests after which on_batch is called: 64 */
    cv_ws_settings_t ws;      /* not enabled */
    bool half_close;          /* a FIN ends the input only, instead of the connection */
    bool date_header;         /* add a date field */
    cv_default_fields_t default_fields; /* add these; freed by deinit */

    /* shared working state */
    cv_h1_pool_t heads;
    cv_deadlines_t deadlines;
    cv_http_date_t date;
    char *read_buffer;        /* one for all: 64 KiB */
    size_t read_buffer_size;
    cv_list_t conns;          /* every open connection */
    cv_list_t unflushed;      /* connections with output that cv_conn_env_flush has to write */
    unsigned conn_count;      /* length of conns */
    unsigned ws_count;        /* those of them that are WebSockets, or have asked to be */
    cv_ws_parser_rules_t ws_rules;
    cv_deflaters_t deflaters; /* those that keep no context */
    cv_buffer_t deflated;     /* a message, compressed ... */
    uint8_t deflated_bits;    /* ... for windows of so many bits; 0: there is none */
    unsigned handed_up;       /* requests since the last flush or on_batch */
    unsigned unfreed;         /* connections that libuv still holds, closed ones included, and other holds */
    bool retiring;            /* each answer is its connection's last */
    bool draining;            /* ... and who sends nothing is not waited for long */
    uint64_t retired;         /* when the former began: cv_deadlines_now */
    uint64_t bytes_in, bytes_out;
    uint64_t limited[CV_LIMITS]; /* how often each limit ended something */
    cv_buffer_t spare_output[CV_CONN_SPARE_OUTPUT]; /* buffers given back once written, at most 8 KiB each */
    unsigned spare_output_count;
    cv_h1_parser_t *spare_parsers[CV_CONN_SPARE_PARSERS];
    unsigned spare_parser_count;
    bool timer_closed;        /* while deinit waits */
    void (*on_closed)(cv_conn_env_t *env);
};

/* Sets defaults and the working state. Limits: request line 16384 bytes, head 65536, 100 fields, none for a
 * body. Durations in milliseconds: head 30000, keep-alive 5000, body 60000, unread body 5000, linger 2000, write 60000,
 * drain 1000; another one is set with cv_deadlines_configure(&env->deadlines, CV_CONN_…) before the first connection.
 * Returns 0 or negative. */
int cv_conn_env_init(cv_conn_env_t *env, uv_loop_t *loop, const cv_conn_ops_t *ops);

/* Every connection must be closed; `on_closed` is called when the last of them is freed and the timer is libuv's no
 * more. The env may be freed by it. */
void cv_conn_env_deinit(cv_conn_env_t *env, void (*on_closed)(cv_conn_env_t *env));

/* Keeps the env from being done with, while something on the loop's threads or queues refers to it. */
void cv_conn_env_hold(cv_conn_env_t *env);
void cv_conn_env_let_go(cv_conn_env_t *env);

/* Writes the output of every unflushed connection: one sendmsg each where the socket takes it all. */
void cv_conn_env_flush(cv_conn_env_t *env);

/* From now on an answer says `connection: close`. Requests that wait behind the open one, so that their client cannot
 * have seen that, are answered too, during the time that an idle connection has in a drain. */
void cv_conn_env_retire(cv_conn_env_t *env);

/* Graceful end: the env retires, and a connection on which nothing comes is closed once it has been idle for a moment,
 * which may be over already. */
void cv_conn_env_drain(cv_conn_env_t *env);

/* The same for one connection. */
void cv_conn_drain(cv_conn_t *conn);

/* Closes every connection at once (on_gone comes for each). */
void cv_conn_env_abort(cv_conn_env_t *env);

typedef enum {
    CV_CONN_PREAMBLE,   /* a PROXY preamble comes before everything else, or must not come */
    CV_CONN_IDLE,       /* no byte of a request yet: on accept, or after a complete exchange */
    CV_CONN_READ_HEAD,  /* part of a head arrived */
    CV_CONN_OPEN,       /* a request was handed up and its answer is not complete, or is the connection's last
                         * (close_after_write) and not written yet */
    CV_CONN_DISCARD,    /* the answer is complete, the request's body is not: it is read and dropped */
    CV_CONN_WEBSOCKET,  /* a handshake was accepted: frames come and go */
    CV_CONN_LINGERING,  /* all is written and our side shut down; waits for the peer's FIN, dropping what comes */
    CV_CONN_CLOSED,     /* on_gone was called, libuv still holds the handle */
} cv_conn_state;

typedef struct {
    const char *data;     /* borrowed from owner; NULL: the next `len` bytes of the file, or else of conn->output */
    size_t len;           /* what is left to write of it */
    void *owner;          /* NULL with data */
    cv_conn_file_t *file; /* NULL for bytes in memory */
} cv_segment_t;

/* What a request touches is together, so that it is few cache lines: with many connections none of them is cached.
 * Aligned so that what libuv looks at for an event, the end of its handle, is one line, and what follows begins one. */
struct cv_conn {
    _Alignas(CV_CONN_ALIGNMENT) cv_list_t node; /* in env->conns */
    cv_segment_t *segments;  /* what to write, in order; none while all of it is `output` */
    uint32_t segment_first, segment_cap;
    cv_transport_t transport;
    cv_conn_env_t *env;
    void *app;               /* the layer above's own state of this connection (lives as long as the connection) */
    void *request;           /* the layer above's open request, NULL when there is none */
    uint8_t state;           /* cv_conn_state */
    bool input_ended;        /* FIN was read */
    bool request_complete;   /* the open request's body was read to its end */
    bool expects_continue;   /* 100 Continue was asked for and not sent */
    bool fresh;              /* no byte of a first head came yet */
    bool reads_full;         /* the last read filled all the memory that it was given */
    bool parsing;            /* the parser is being fed, further down the stack */
    bool callee_failed;      /* on_head or on_body returned an error */
    bool input_dropped;      /* bytes were thrown away unparsed: the peer may still be sending */
    bool may_keep_alive;     /* the open request allows it */
    /* These share a byte, with which the whole is seven cache lines on Linux. */
    bool is_connect : 1;     /* the open request is CONNECT */
    bool takes_trailers : 1; /* its client takes a trailer section */
    bool body_waits : 1;     /* with a body_rate: it is the client's turn to send more of a body */
    bool bars_preamble : 1;  /* in CV_CONN_PREAMBLE: its peer may not send one */
    bool is_last : 1;        /* no request after the open one, or after the one whose bytes came already */
    bool tells_end : 1;      /* on_closed is wanted; set by the layer above */
    bool is_websocket : 1;   /* the open request is its handshake, or it is one: `websocket` is valid */
    bool response_started;   /* cv_conn_respond was called for the open request */
    bool response_complete;
    bool above_high;         /* on_drain is owed */
    bool close_after_write;
    bool gone;               /* on_gone was called */

    /* reading */
    cv_h1_parser_t *parser;  /* of the request that is being read; NULL between two */
    cv_buffer_t input;       /* an incomplete head, or bytes behind the open request */
    size_t input_start;      /* bytes of input that are done with */
    size_t unread;           /* body bytes that were handed up and not yet taken (cv_conn_consumed) */
    uint32_t request_count;  /* heads so far */
    uint32_t body_clock;     /* with a body_rate: milliseconds for which we waited for the open request's body; while
                              * we do, the time that was so long ago */
    union {
        uint64_t body_allowed;     /* body bytes of the open request that may still come */
        cv_websocket_t *websocket; /* which has no such body */
    };
    cv_deadline_t deadline;

    /* writing */
    cv_h1_response_t response;
    cv_buffer_t output;      /* heads, framing and small bodies */
    size_t output_start;     /* bytes of output that are written */
    size_t output_ready;     /* from here on the output is a held head */
    size_t queued;           /* bytes not yet written */
    uint32_t segment_count;
    int unsent;              /* what the kernel held of our bytes when the write deadline was set */
    cv_list_t flush_node;    /* in env->unflushed */
};

/* The queued output that is too much. */
static inline size_t
cv_conn_write_high(const cv_conn_t *conn)
{
    return conn->state == CV_CONN_WEBSOCKET ? conn->env->ws.send_high : conn->env->write_high;
}

/* The queued output to which it has to fall after it was too much. */
static inline size_t
cv_conn_write_low(const cv_conn_t *conn)
{
    return conn->state == CV_CONN_WEBSOCKET ? conn->env->ws.send_high / 4 : conn->env->write_low;
}

/* Takes an accepted socket. Returns the connection, reading already, or NULL (the fd is then closed).
 * `app` is stored in conn->app. After cv_conn_close, or once on_gone was called, every function below does nothing;
 * those that return an int return CV_CONN_EGONE. */
cv_conn_t *cv_conn_new(cv_conn_env_t *env, int fd, void *app);

/* Right after cv_conn_new: what comes first must be a PROXY preamble if the peer is trusted, and may be none otherwise.
 * Without this call its bytes are a malformed request. */
void cv_conn_expect_preamble(cv_conn_t *conn, bool is_trusted);

/* Starts the answer of the open request: status line into the held head. 0 or negative (a status out of range). */
int cv_conn_respond(cv_conn_t *conn, unsigned status);

/* Takes back the held head, so that cv_conn_respond may begin anew. Nothing happens when none is held. */
void cv_conn_retract(cv_conn_t *conn);

/* Adds a field to the held head. */
int cv_conn_field(cv_conn_t *conn, const char *name, size_t name_len, const char *value, size_t value_len);

/* The next piece of the body; `final` ends the answer. The held head goes out with the first one. Bytes of at most
 * 4 KiB are copied; larger ones are referenced until ops->release(env, owner): the reference is taken over only when
 * *out_kept is set true (without an owner all are copied). Nothing is written yet: the connection stands in
 * env->unflushed until cv_conn_flush or cv_conn_env_flush. After a flush, conn->above_high says whether to wait for
 * on_drain. Returns 0; CV_H1_WLONG or CV_H1_WSHORT: what is legal was queued, the answer is complete and the
 * connection closes after it; or another negative number: nothing was queued. */
int cv_conn_body(cv_conn_t *conn, const char *data, size_t len, bool final, void *owner, bool *out_kept);

/* The same with `len` bytes of a file from `offset` on, which the kernel sends by itself. `fd` is taken over, whatever
 * is returned. A file that is shorter by then ends the connection. */
int cv_conn_file(cv_conn_t *conn, int fd, uint64_t offset, size_t len, bool final);

/* The size of an open file: 0, -EISDIR for a folder, -EINVAL for what else is no regular file, or another error. */
int cv_conn_file_size(int fd, uint64_t *out_size);

/* Between cv_conn_respond and the first piece of the body: a trailer section is to follow it, if it can. */
void cv_conn_want_trailers(cv_conn_t *conn);

/* True once the final piece was queued and the answer is complete only with its trailer section. */
bool cv_conn_awaits_trailers(const cv_conn_t *conn);

/* Queues field lines of the trailer section (cv_h1_field_line); `final` ends it, and the answer. */
int cv_conn_trailers(cv_conn_t *conn, const cv_buffer_t *lines, bool final);

/* Writes an interim response at once: its status line, then field lines (cv_h1_field_line). Nothing happens once the
 * head of the answer has gone, or on HTTP/1.0. 0 or negative. */
int cv_conn_interim(cv_conn_t *conn, unsigned status, const cv_buffer_t *lines);

/* Writes what is queued now, unless the socket was full and no room was reported since. After a final body and with
 * nothing left to write, the connection goes on (a next request that waits is handed up from here) or closes. */
void cv_conn_flush(cv_conn_t *conn);

/* True while bytes of a next request wait behind a complete answer; cv_conn_advance parses them (on_head may be
 * called). A connection that nobody advances is advanced by the flush that writes its last byte. */
bool cv_conn_can_advance(const cv_conn_t *conn);
void cv_conn_advance(cv_conn_t *conn);

/* The layer above took `len` body bytes: reading may go on. */
void cv_conn_consumed(cv_conn_t *conn, size_t len);

/* The app asks for the body: sends 100 Continue if the client waits for it and the head of the answer has not gone. */
void cv_conn_want_body(cv_conn_t *conn);

/* Answers the open request with a plain text of our own (500, 503 …; NULL: the reason phrase), `connection: close`, and
 * closes after it. Before cv_conn_respond, or after it while the head is still held (the held head is dropped);
 * later it is cv_conn_fail. Written by the next flush, as a body is. */
void cv_conn_refuse(cv_conn_t *conn, unsigned status, const char *text);

/* The same with 503, and a field that asks the client to come again in a second. */
void cv_conn_refuse_busy(cv_conn_t *conn);

/* Answers the open request as cv_conn_refuse does, but as any other answer: the connection goes on if it can. */
void cv_conn_reply(cv_conn_t *conn, unsigned status, const char *text);

/* The open answer cannot be completed: what is queued goes out (the held head too) with the next flush, then the
 * connection closes; with RST where the client would take that for the whole. */
void cv_conn_fail(cv_conn_t *conn);

/* Closes when what is queued is written; an open answer is broken off. */
void cv_conn_stop(cv_conn_t *conn);

/* Closes now; what is queued is lost. With RST where the client would take what it has of a body for the whole. */
void cv_conn_abort(cv_conn_t *conn);

/* Closes now; on_gone is called if it was not. `reset`: RST. */
void cv_conn_close(cv_conn_t *conn, bool reset);

#endif
