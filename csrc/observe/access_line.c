/* SPDX-License-Identifier: MIT */
#include "observe/access_line.h"

#include <stdint.h>

#include "http/status.h"

enum {
    PLAIN = 1, /* urllib.parse.quote leaves it: letters, digits and _ . - ~ / */
    SHOWN = 2, /* visible ASCII but the quotation mark: can neither end the line nor the quoted request */
};

enum { ESCAPED = 3 }; /* bytes of %XX */

static const uint8_t BYTE_CLASS[256] = {
    ['!'] = SHOWN,
    ['#' ... ','] = SHOWN,
    ['-' ... '9'] = SHOWN | PLAIN,
    [':' ... '@'] = SHOWN,
    ['A' ... 'Z'] = SHOWN | PLAIN,
    ['[' ... '^'] = SHOWN,
    ['_'] = SHOWN | PLAIN,
    ['`'] = SHOWN,
    ['a' ... 'z'] = SHOWN | PLAIN,
    ['{' ... '}'] = SHOWN,
    ['~'] = SHOWN | PLAIN,
};

#define PUT_LITERAL(cursor, text) cv_log_ring_put(cursor, text, sizeof(text) - 1)

static void
put_span(cv_log_cursor_t *cursor, cv_span_t span)
{
    cv_log_ring_put(cursor, span.data, span.len);
}

static void
escape(unsigned char byte, char out[ESCAPED])
{
    static const char DIGITS[] = "0123456789ABCDEF";
    out[0] = '%';
    out[1] = DIGITS[byte >> 4];
    out[2] = DIGITS[byte & 15];
}

static void
put_escaped_byte(cv_log_cursor_t *cursor, unsigned char byte)
{
    char escaped[ESCAPED];
    escape(byte, escaped);
    cv_log_ring_put(cursor, escaped, sizeof(escaped));
}

/* The number of bytes from `at` on that are of a class. */
static size_t
run_of(cv_span_t text, size_t at, uint8_t class)
{
    size_t end = at;
    while (end < text.len && (BYTE_CLASS[(unsigned char)text.data[end]] & class) != 0) {
        end++;
    }
    return end - at;
}

/* Anything but visible ASCII is escaped. */
static void
put_text(cv_log_cursor_t *cursor, cv_span_t text)
{
    for (size_t at = 0; at < text.len; at++) {
        size_t run = run_of(text, at, SHOWN);
        cv_log_ring_put(cursor, text.data + at, run);
        at += run;
        if (at < text.len) {
            put_escaped_byte(cursor, (unsigned char)text.data[at]);
        }
    }
}

/* The value of a hexadecimal digit, or -1. */
static int
hex_value(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The byte that text[*at] stands for: itself, or what %XX encodes; *at is then at its last byte. */
static unsigned char
decoded_byte(cv_span_t text, size_t *at)
{
    unsigned char byte = (unsigned char)text.data[*at];
    if (byte == '%' && text.len - *at > 2) {
        int high = hex_value(text.data[*at + 1]), low = hex_value(text.data[*at + 2]);
        if (high >= 0 && low >= 0) {
            *at += 2;
            return (unsigned char)(high << 4 | low);
        }
    }
    return byte;
}

size_t
cv_access_line_quote(cv_span_t path, char *out)
{
    size_t len = 0;
    for (size_t at = 0; at < path.len; at++) {
        unsigned char byte = decoded_byte(path, &at);
        if ((BYTE_CLASS[byte] & PLAIN) != 0) {
            out[len++] = (char)byte;
        } else {
            escape(byte, out + len);
            len += ESCAPED;
        }
    }
    return len;
}

static void
put_path(cv_log_cursor_t *cursor, cv_span_t path)
{
    for (size_t at = 0; at < path.len; at++) {
        size_t run = run_of(path, at, PLAIN);
        cv_log_ring_put(cursor, path.data + at, run);
        at += run;
        if (at < path.len) {
            unsigned char byte = decoded_byte(path, &at);
            if ((BYTE_CLASS[byte] & PLAIN) != 0) {
                cv_log_ring_put(cursor, (const char *)&byte, 1);
            } else {
                put_escaped_byte(cursor, byte);
            }
        }
    }
}

/* The colour of each class of status, as uvicorn has it. */
static cv_span_t
status_colour(unsigned status)
{
#define COLOUR(number) {"\033[" #number "m", sizeof("\033[" #number "m") - 1}
    static const cv_span_t COLOURS[] = {{"", 0}, COLOUR(97), COLOUR(32), COLOUR(33), COLOUR(31), COLOUR(91)};
#undef COLOUR
    return COLOURS[status < 600 ? status / 100 : 0];
}

/* "200 OK", or "599 " for a code without a phrase. */
static void
put_status(cv_log_cursor_t *cursor, unsigned status, bool colours)
{
    cv_span_t colour = colours ? status_colour(status) : (cv_span_t){"", 0};
    unsigned shown = status % 1000;
    char digits[] = {(char)('0' + shown / 100), (char)('0' + shown / 10 % 10), (char)('0' + shown % 10), ' '};
    put_span(cursor, colour);
    cv_log_ring_put(cursor, digits, sizeof(digits));
    put_span(cursor, cv_status_phrase(status));
    if (colour.len != 0) {
        PUT_LITERAL(cursor, "\033[0m");
    }
}

size_t
cv_access_line_bound(const cv_access_line_t *line)
{
    enum { FIXED = 160 }; /* everything but the spans, colours and the longest phrase included: below 110 */
    return FIXED + 3 * (line->client.len + line->method.len + line->path.len + line->query.len);
}

void
cv_access_line_put(cv_log_cursor_t *cursor, const cv_access_line_t *line, bool colours)
{
    if (colours) {
        PUT_LITERAL(cursor, "\033[32mINFO\033[0m:     ");
    } else {
        PUT_LITERAL(cursor, "INFO:     ");
    }
    put_text(cursor, line->client);
    if (colours) {
        PUT_LITERAL(cursor, " - \"\033[1m");
    } else {
        PUT_LITERAL(cursor, " - \"");
    }
    put_text(cursor, line->method);
    PUT_LITERAL(cursor, " ");
    put_path(cursor, line->path);
    if (line->query.len != 0) {
        PUT_LITERAL(cursor, "?");
        put_text(cursor, line->query);
    }
    if (line->minor == 0) {
        PUT_LITERAL(cursor, " HTTP/1.0");
    } else {
        PUT_LITERAL(cursor, " HTTP/1.1");
    }
    if (colours) {
        PUT_LITERAL(cursor, "\033[0m");
    }
    PUT_LITERAL(cursor, "\" ");
    put_status(cursor, line->status, colours);
    PUT_LITERAL(cursor, "\n");
}
