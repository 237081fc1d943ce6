/* SPDX-License-Identifier: MIT */
#include "http/h1_writer.h"

#include <string.h>

#include "base/ascii.h"
#include "http/field_names.h"
#include "http/h1_rules.h"
#include "http/http_date.h"
#include "http/status.h"

enum {
    DECIMAL_MAX = 20,  /* digits of the largest uint64_t */
    CHUNK_LINE_MAX = 18, /* 16 hexadecimal digits and CRLF */
};

static char *
put(char *at, const char *text, size_t len)
{
    memcpy(at, text, len);
    return at + len;
}

#define PUT_LITERAL(at, text) put(at, text, sizeof(text) - 1)

static char *
put_decimal(char *at, uint64_t value)
{
    char digits[DECIMAL_MAX];
    size_t first = sizeof(digits);
    do {
        digits[--first] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    return put(at, digits + first, sizeof(digits) - first);
}

/* Writes a name in lower case and says which one it is. Returns false for a byte that no name may have. */
static bool
put_name(char *to, const char *name, size_t len, uint8_t *out_id)
{
    uint8_t id = *out_id = cv_field_id(name, len);
    if (id != CV_FIELD_UNKNOWN) {
        memcpy(to, cv_field_name(id).data, len);
        return true;
    }
    bool valid = len != 0;
    for (size_t i = 0; i < len; i++) {
        to[i] = cv_ascii_lower(name[i]);
        valid &= cv_h1_is_token_byte(name[i]);
    }
    return valid;
}

static bool
is_text(const char *value, size_t len)
{
    for (size_t at = 0; at < len; at++) {
        unsigned char byte = (unsigned char)value[at];
        if ((byte < 0x20 && byte != '\t') || byte == 0x7f) {
            return false;
        }
    }
    return true;
}

/* True when no byte is a control character other than HTAB. */
static bool
value_is_valid(const char *value, size_t len)
{
    if (len < 8) {
        return is_text(value, len);
    }
    uint64_t found = cv_ascii_control8(cv_ascii_load8(value + len - 8));
    for (size_t at = 0; at + 8 < len; at += 8) {
        found |= cv_ascii_control8(cv_ascii_load8(value + at));
    }
    return found == 0 || is_text(value, len);
}

static cv_span_t
trimmed(const char *text, size_t len)
{
    while (len > 0 && (text[0] == ' ' || text[0] == '\t')) {
        text++, len--;
    }
    while (len > 0 && (text[len - 1] == ' ' || text[len - 1] == '\t')) {
        len--;
    }
    return (cv_span_t){text, len};
}

static bool
is_word(cv_span_t text, const char *word, size_t len)
{
    if (text.len != len) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        if (cv_ascii_lower(text.data[i]) != word[i]) {
            return false;
        }
    }
    return true;
}

#define IS_WORD(text, word) is_word(text, word, sizeof(word) - 1)

/* Cuts the first member off a comma-separated list. */
static cv_span_t
next_member(cv_span_t *list)
{
    const char *comma = memchr(list->data, ',', list->len);
    size_t len = comma == NULL ? list->len : (size_t)(comma - list->data);
    cv_span_t member = trimmed(list->data, len);
    size_t used = comma == NULL ? len : len + 1;
    list->data += used;
    list->len -= used;
    return member;
}

/* Digits only, and below 2^63 so that sums of it can't wrap. */
static bool
parse_length(cv_span_t text, uint64_t *out_length)
{
    uint64_t length = 0;
    for (size_t i = 0; i < text.len; i++) {
        unsigned digit = (unsigned)(unsigned char)text.data[i] - '0';
        if (digit > 9 || length > ((uint64_t)INT64_MAX - digit) / 10) {
            return false;
        }
        length = length * 10 + digit;
    }
    *out_length = length;
    return text.len != 0;
}

/* RFC 9110 section 8.6: no content-length in a 1xx, a 204, or a 2xx to CONNECT. That of a 205 is ours. */
static bool
drops_length(const cv_h1_response_t *response)
{
    return response->status < 200 || response->status == 204 || response->status == 205 || response->is_tunnel;
}

/* The note_ functions return 1 to copy the field, 0 to leave it out, or an error. */
static int
note_length(cv_h1_response_t *response, const char *value, size_t len)
{
    uint64_t length;
    if (!parse_length(trimmed(value, len), &length)) {
        return CV_H1_WCONTENT_LENGTH;
    }
    if (response->has_length) {
        return length == response->length_left ? 0 : CV_H1_WCONTENT_LENGTH;
    }
    response->has_length = true;
    response->length_left = length;
    return drops_length(response) ? 0 : 1;
}

static int
note_transfer_encoding(cv_h1_response_t *response, const char *value, size_t len)
{
    cv_span_t list = {value, len};
    while (list.len > 0) {
        cv_span_t coding = next_member(&list);
        response->asked_chunked = IS_WORD(coding, "chunked");
    }
    return 0;
}

static int
note_connection(cv_h1_response_t *response, const char *value, size_t len)
{
    bool closes = false, says_more = false;
    cv_span_t list = {value, len};
    while (list.len > 0) {
        cv_span_t option = next_member(&list);
        if (IS_WORD(option, "close")) {
            closes = true;
        } else if (option.len != 0 && !IS_WORD(option, "keep-alive")) {
            says_more = true;
        }
    }
    if (closes) {
        response->keep_alive = false;
        response->wrote_close |= says_more;
    }
    return says_more ? 1 : 0;
}

static int
note_field(cv_h1_response_t *response, uint8_t id, const char *value, size_t len)
{
    switch (id) {
    case CV_FIELD_CONTENT_LENGTH:
        return note_length(response, value, len);
    case CV_FIELD_TRANSFER_ENCODING:
        return note_transfer_encoding(response, value, len);
    case CV_FIELD_CONNECTION:
        return note_connection(response, value, len);
    case CV_FIELD_DATE:
        response->wrote_date = true;
        return 1;
    case CV_FIELD_SERVER:
        response->wrote_server = true;
        return 1;
    default:
        return 1;
    }
}

int
cv_h1_response_begin(cv_h1_response_t *response, cv_buffer_t *out, unsigned status,
                     unsigned minor, bool is_head, bool keep_alive)
{
    *response = (cv_h1_response_t){
        .status = (uint16_t)status,
        .framing = CV_H1_UNFRAMED,
        .minor = (uint8_t)minor,
        .is_head = is_head,
        .keep_alive = keep_alive,
        .head_open = true,
    };
    if (status < 100 || status > 999) {
        return CV_H1_WSTATUS;
    }
    if (is_head || status < 200 || status == 204 || status == 205 || status == 304) {
        response->framing = CV_H1_BODILESS;
    }
    if (status < 200) {
        /* No final answer (RFC 9110 section 15.2), for which the client would wait; or what follows is not HTTP. */
        response->keep_alive = false;
    }
    cv_span_t line = cv_status_line(status);
    if (line.len != 0) {
        return cv_buffer_append(out, line.data, line.len);
    }
    /* The space stays when there is no phrase (RFC 9112 section 4). */
    char unnamed[] = "HTTP/1.1 000 \r\n";
    put_decimal(unnamed + 9, status);
    return cv_buffer_append(out, unnamed, sizeof(unnamed) - 1);
}

void
cv_h1_response_tunnel(cv_h1_response_t *response)
{
    response->is_tunnel = true;
    response->keep_alive = false;
    if (response->framing == CV_H1_UNFRAMED) {
        response->framing = CV_H1_CLOSED;
    }
}

void
cv_h1_response_trailers(cv_h1_response_t *response)
{
    response->has_trailers = true;
}

/* Makes room for a field's line, checks the field and writes its name behind the output, which does not grow yet. */
static inline int
begin_line(cv_buffer_t *out, const char *name, size_t name_len, const char *value, size_t value_len, uint8_t *out_id)
{
    if (name_len > SIZE_MAX / 4 || value_len > SIZE_MAX / 4) {
        return CV_H1_WVALUE;
    }
    int rc = cv_buffer_reserve(out, name_len + value_len + 4);
    if (rc != 0) {
        return rc;
    }
    if (!put_name(out->data + out->len, name, name_len, out_id)) {
        return CV_H1_WNAME;
    }
    return value_is_valid(value, value_len) ? 0 : CV_H1_WVALUE;
}

/* Writes the rest of the line. */
static inline void
end_line(cv_buffer_t *out, size_t name_len, const char *value, size_t value_len)
{
    char *at = PUT_LITERAL(out->data + out->len + name_len, ": ");
    if (value_len != 0) {
        at = put(at, value, value_len);
    }
    at = PUT_LITERAL(at, "\r\n");
    out->len = (size_t)(at - out->data);
}

int
cv_h1_response_field(cv_h1_response_t *response, cv_buffer_t *out, const char *name,
                     size_t name_len, const char *value, size_t value_len)
{
    uint8_t id;
    int rc = begin_line(out, name, name_len, value, value_len, &id);
    if (rc == 0) {
        rc = note_field(response, id, value, value_len);
    }
    if (rc <= 0) {
        return rc;
    }
    end_line(out, name_len, value, value_len);
    return 0;
}

/* RFC 9110 section 6.5.1: framing, routing, request modifiers, authentication, response control, content format. */
static bool
is_for_heads_only(cv_span_t name)
{
    static const char *const names[] = {
        "content-length",
        "transfer-encoding",
        "connection",
        "keep-alive",
        "upgrade",
        "te",
        "trailer",
        "host",
        "expect",
        "range",
        "authorization",
        "www-authenticate",
        "proxy-authenticate",
        "proxy-authorization",
        "set-cookie",
        "cache-control",
        "expires",
        "date",
        "age",
        "location",
        "retry-after",
        "vary",
        "content-encoding",
        "content-type",
        "content-range",
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strlen(names[i]) == name.len && memcmp(names[i], name.data, name.len) == 0) {
            return true;
        }
    }
    return false;
}

int
cv_h1_field_line(cv_buffer_t *out, const char *name, size_t name_len, const char *value, size_t value_len,
                 bool is_trailer)
{
    uint8_t id;
    int rc = begin_line(out, name, name_len, value, value_len, &id);
    if (rc == 0 && is_trailer && is_for_heads_only((cv_span_t){out->data + out->len, name_len})) {
        return CV_H1_WTRAILER;
    }
    if (rc == 0) {
        end_line(out, name_len, value, value_len);
    }
    return rc;
}

static char *
put_lines(char *at, const cv_buffer_t *lines)
{
    return lines->len == 0 ? at : put(at, lines->data, lines->len);
}

/* Chooses the framing (RFC 9112 section 6.3) and writes its field. */
static char *
put_framing(cv_h1_response_t *response, char *at, size_t body_len, bool final)
{
    if (response->is_tunnel) {
        return at;
    }
    if (response->status == 205) {
        return PUT_LITERAL(at, "content-length: 0\r\n"); /* RFC 9110 section 15.3.6 */
    }
    if (response->framing == CV_H1_BODILESS) {
        /* To HEAD, what GET would say (RFC 9110 section 9.3.2), where that is known. */
        bool known = response->is_head && final && body_len != 0 && response->status >= 200
            && response->status != 204 && response->status != 304;
        if (!known || response->has_length || response->asked_chunked) {
            return at;
        }
        at = PUT_LITERAL(at, "content-length: ");
        return PUT_LITERAL(put_decimal(at, body_len), "\r\n");
    }
    if (response->has_length) {
        response->framing = CV_H1_COUNTED;
        return at;
    }
    if (response->minor >= 1 && (!final || response->asked_chunked || response->has_trailers)) {
        response->framing = CV_H1_CHUNKED;
        return PUT_LITERAL(at, "transfer-encoding: chunked\r\n");
    }
    if (final) {
        response->framing = CV_H1_COUNTED;
        response->length_left = body_len;
        at = PUT_LITERAL(at, "content-length: ");
        return PUT_LITERAL(put_decimal(at, body_len), "\r\n");
    }
    response->framing = CV_H1_CLOSED; /* HTTP/1.0 knows no chunks */
    response->keep_alive = false;
    return at;
}

int
cv_h1_response_end_head(cv_h1_response_t *response, cv_buffer_t *out, const char *date,
                        const cv_default_fields_t *defaults, size_t body_len, bool final)
{
    /* date, the framing field, connection, the names and line ends are below 140 bytes */
    int rc = cv_buffer_reserve(out, CV_H1_END_ROOM + cv_default_fields_len(defaults));
    if (rc != 0) {
        return rc;
    }
    char *at = out->data + out->len;
    if (date != NULL && date[0] != '\0' && !response->wrote_date) {
        at = PUT_LITERAL(at, "date: ");
        at = PUT_LITERAL(put(at, date, CV_HTTP_DATE_LEN), "\r\n");
    }
    if (!response->wrote_server) {
        at = put_lines(at, &defaults->server);
    }
    at = put_lines(at, &defaults->others);
    at = put_framing(response, at, body_len, final);
    if (!response->keep_alive) {
        if (!response->wrote_close) {
            at = PUT_LITERAL(at, "connection: close\r\n");
        }
    } else if (response->minor == 0) {
        at = PUT_LITERAL(at, "connection: keep-alive\r\n");
    }
    at = PUT_LITERAL(at, "\r\n");
    out->len = (size_t)(at - out->data);
    response->head_open = false;
    return 0;
}

static int
body_counted(cv_h1_response_t *response, size_t len, bool final, size_t *out_take)
{
    if (len > response->length_left) {
        *out_take = (size_t)response->length_left;
        response->length_left = 0;
        response->keep_alive = false;
        return CV_H1_WLONG;
    }
    *out_take = len;
    response->length_left -= len;
    if (final && response->length_left != 0) {
        response->keep_alive = false;
        return CV_H1_WSHORT;
    }
    return 0;
}

static int
body_chunk(cv_h1_response_t *response, cv_buffer_t *out, size_t len, bool final, const char **out_after,
           size_t *out_after_len)
{
    static const char LAST[] = "\r\n0\r\n\r\n"; /* a chunk's line end, the last chunk, the end of no trailers */
    size_t last = sizeof(LAST) - 1 - (response->has_trailers ? 2 : 0);
    response->trailers_open = final && response->has_trailers;
    if (len == 0) {
        /* An empty chunk would end the body. */
        *out_after = LAST + 2;
        *out_after_len = final ? last - 2 : 0;
        return 0;
    }
    char line[CHUNK_LINE_MAX];
    size_t first = sizeof(line) - 2;
    memcpy(line + first, "\r\n", 2);
    for (size_t left = len; left != 0; left >>= 4) {
        line[--first] = "0123456789abcdef"[left & 15];
    }
    int rc = cv_buffer_append(out, line + first, sizeof(line) - first);
    if (rc == 0) {
        *out_after = LAST;
        *out_after_len = final ? last : 2;
    }
    return rc;
}

int
cv_h1_response_body(cv_h1_response_t *response, cv_buffer_t *out, size_t len, bool final,
                    size_t *out_take, const char **out_after, size_t *out_after_len)
{
    *out_take = 0;
    *out_after = "";
    *out_after_len = 0;
    int rc = 0;
    switch (response->framing) {
    case CV_H1_COUNTED:
        rc = body_counted(response, len, final, out_take);
        break;
    case CV_H1_CHUNKED:
        rc = body_chunk(response, out, len, final, out_after, out_after_len);
        *out_take = rc == 0 ? len : 0;
        break;
    case CV_H1_CLOSED:
        *out_take = len;
        break;
    default: /* CV_H1_BODILESS */
        break;
    }
    response->body_len += *out_take;
    return rc;
}

const char *
cv_h1_write_error_text(int error)
{
    switch (error) {
    case CV_H1_WNAME:
        return "Invalid HTTP header name.";
    case CV_H1_WVALUE:
        return "Invalid HTTP header value.";
    case CV_H1_WSTATUS:
        return "Invalid HTTP status code.";
    case CV_H1_WCONTENT_LENGTH:
        return "Invalid Content-Length header.";
    case CV_H1_WLONG:
        return "Response content longer than Content-Length";
    case CV_H1_WSHORT:
        return "Response content shorter than Content-Length";
    case CV_H1_WTRAILER:
        return "HTTP header not allowed in trailers.";
    default:
        return "Out of memory.";
    }
}
