/* SPDX-License-Identifier: MIT
 *
 * Frames one HTTP/1 response: status line, checked fields, then a counted, chunked or
 * close-delimited body (RFC 9112 sections 6 and 7).
 *
 * The head stays open after the last field, until the first body bytes are known: an answer in one
 * piece gets a content-length then. Order of calls: begin, field …, end_head, then per body piece
 * body (which says what goes before and after it), until it was called with final.
 *
 * Owns:    nothing; it appends to a buffer that the caller owns.
 * Thread:  loop thread; no socket, no clock.
 * Errors:  -ENOMEM, or a cv_h1_write_error.
 */
#ifndef CUVEE_HTTP_H1_WRITER_H
#define CUVEE_HTTP_H1_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "http/default_fields.h"

typedef enum {
    CV_H1_WNAME = -1100,     /* a field name that is no token */
    CV_H1_WVALUE,            /* a field value with CR, LF, NUL or another control byte (HTAB is allowed) */
    CV_H1_WSTATUS,           /* a status outside 100 to 999 */
    CV_H1_WCONTENT_LENGTH,   /* not a number, or given twice with different values */
    CV_H1_WLONG,             /* more body than content-length said; the excess is cut */
    CV_H1_WSHORT,            /* less body than content-length said */
    CV_H1_WTRAILER,          /* a field that may not stand in a trailer section */
} cv_h1_write_error;

typedef enum {
    CV_H1_UNFRAMED = 0, /* the head is open and the app gave no framing */
    CV_H1_COUNTED,      /* content-length */
    CV_H1_CHUNKED,
    CV_H1_CLOSED,       /* ends with the connection: to an HTTP/1.0 client without a length, a 2xx to CONNECT */
    CV_H1_BODILESS,     /* HEAD, 1xx, 204, 205, 304: body bytes are dropped */
} cv_h1_framing;

typedef struct {
    uint16_t status;
    uint8_t framing;        /* cv_h1_framing */
    uint8_t minor;          /* of the request */
    bool is_head : 1;       /* the request was HEAD */
    bool keep_alive : 1;    /* in: the request allows it; out: the response leaves it so */
    bool is_tunnel : 1;     /* a 2xx to CONNECT: it has no length */
    bool wrote_date : 1;    /* the app gave its own */
    bool wrote_server : 1;
    bool wrote_close : 1;   /* a connection field was copied that says "close" among other things */
    bool has_length : 1;    /* the app gave a content-length */
    bool asked_chunked : 1; /* the app gave transfer-encoding: chunked; the field is ours to write */
    bool has_trailers : 1;  /* a trailer section will follow, if the body is chunked */
    bool trailers_open : 1; /* the body is complete, the trailer section is not */
    bool head_open : 1;     /* begin was called, end_head not yet */
    bool is_broken : 1;     /* set by whoever gives it up: the body is not complete and will never be */
    uint64_t length_left;   /* CV_H1_COUNTED: body bytes that are still to come */
    uint64_t body_len;      /* body bytes that were taken, without their framing */
} cv_h1_response_t;

/* The most that end_head appends, besides the default fields. */
enum { CV_H1_END_ROOM = 160 };

/* Writes the status line. `keep_alive`, `minor` and `is_head` describe the request. */
int cv_h1_response_begin(cv_h1_response_t *response, cv_buffer_t *out, unsigned status,
                         unsigned minor, bool is_head, bool keep_alive);

/* Before the first field: the answer is a 2xx to CONNECT. It has no length (RFC 9110 section 9.3.6), so that its body,
 * if it has one, ends with the connection. */
void cv_h1_response_tunnel(cv_h1_response_t *response);

/* Before end_head: fields are to follow the body. They can if its length is not known before, on HTTP/1.1. */
void cv_h1_response_trailers(cv_h1_response_t *response);

/* Checks and writes one field, its name in lower case. Content-length, transfer-encoding, connection,
 * date and server are noted in `response`: transfer-encoding is never copied, connection only if it says
 * more than close or keep-alive ("close" in it clears keep_alive), content-length once and not in a 1xx, 204 or 205.
 * After an error the head must be thrown away by the caller (out->len set back to where it was). */
int cv_h1_response_field(cv_h1_response_t *response, cv_buffer_t *out, const char *name,
                         size_t name_len, const char *value, size_t value_len);

/* Closes the head: adds date (NULL or empty: none) and the default fields, date and server only where the app gave none
 * of its own, the framing field, and `connection: close` (or keep-alive to an HTTP/1.0 client that asked for it), then
 * CRLF. `body_len` and `final` describe the first piece of the body: they decide the framing of an unframed one. */
int cv_h1_response_end_head(cv_h1_response_t *response, cv_buffer_t *out, const char *date,
                            const cv_default_fields_t *defaults, size_t body_len, bool final);

/* Says how the next `len` body bytes go out. Appends what comes before them (a chunk's size line) to `out` and
 * returns in *out_take how many of them to send (0 for a bodiless answer, fewer than len when content-length
 * is exceeded); `out_after` is a constant text to send behind them (CRLF, the last chunk, or both), maybe empty.
 * Returns 0, -ENOMEM, or CV_H1_WLONG or CV_H1_WSHORT (then keep_alive is false and what was taken should still
 * go out). With trailers to follow, the last piece leaves the response at trailers_open. */
int cv_h1_response_body(cv_h1_response_t *response, cv_buffer_t *out, size_t len, bool final,
                        size_t *out_take, const char **out_after, size_t *out_after_len);

/* Checks a field and appends its line, for a trailer section or an interim response. In `is_trailer` none that says how
 * to take the message (RFC 9110 section 6.5.1). After an error `out` has what it had before. */
int cv_h1_field_line(cv_buffer_t *out, const char *name, size_t name_len, const char *value, size_t value_len,
                     bool is_trailer);

/* What is wrong, a constant in uvicorn's words where it has some. */
const char *cv_h1_write_error_text(int error);

#endif
