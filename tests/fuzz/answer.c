/* SPDX-License-Identifier: MIT */
#include "answer.h"

#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "fuzz.h"

typedef struct {
    const char *at, *end;
} bytes_t;

static bool
is_token(cv_span_t text)
{
    static const char others[] = "!#$%&'*+-.^_`|~";
    for (size_t i = 0; i < text.len; i++) {
        char c = text.data[i];
        bool is_letter = c >= 'a' && c <= 'z'; /* ours are in lower case */
        if (!is_letter && !(c >= '0' && c <= '9') && (c == '\0' || strchr(others, c) == NULL)) {
            return false;
        }
    }
    return text.len > 0;
}

/* Takes a line, which its CRLF ends; false: that is not there yet. */
static bool
take_line(bytes_t *in, cv_span_t *out)
{
    const char *feed = memchr(in->at, '\n', (size_t)(in->end - in->at));
    if (feed == NULL) {
        return false;
    }
    MUST(feed > in->at && feed[-1] == '\r');
    *out = (cv_span_t){in->at, (size_t)(feed - 1 - in->at)};
    for (size_t i = 0; i < out->len; i++) {
        unsigned char c = (unsigned char)out->data[i];
        MUST((c >= 0x20 || c == '\t') && c != 0x7f);
    }
    in->at = feed + 1;
    return true;
}

/* True when `word` is a member of a comma-separated list. */
static bool
has_member(cv_span_t list, const char *word)
{
    size_t len = strlen(word);
    for (size_t at = 0; at < list.len; at++) {
        size_t end = at;
        while (end < list.len && list.data[end] != ',') {
            end++;
        }
        size_t last = end;
        while (at < last && (list.data[at] == ' ' || list.data[at] == '\t')) {
            at++;
        }
        while (last > at && (list.data[last - 1] == ' ' || list.data[last - 1] == '\t')) {
            last--;
        }
        if (last - at == len && strncasecmp(list.data + at, word, len) == 0) {
            return true;
        }
        at = end;
    }
    return false;
}

static cv_span_t
trimmed(cv_span_t text)
{
    while (text.len > 0 && (text.data[0] == ' ' || text.data[0] == '\t')) {
        text.data++, text.len--;
    }
    while (text.len > 0 && (text.data[text.len - 1] == ' ' || text.data[text.len - 1] == '\t')) {
        text.len--;
    }
    return text;
}

static bool
is_named(const answer_field_t *field, const char *name)
{
    return field->name.len == strlen(name) && memcmp(field->name.data, name, field->name.len) == 0;
}

static uint64_t
parse_length(cv_span_t text)
{
    uint64_t length = 0;
    text = trimmed(text);
    MUST(text.len > 0);
    for (size_t i = 0; i < text.len; i++) {
        MUST(text.data[i] >= '0' && text.data[i] <= '9' && length < UINT64_MAX / 10 - 1);
        length = length * 10 + (unsigned)(text.data[i] - '0');
    }
    return length;
}

static answer_field_t
split_field(cv_span_t line)
{
    const char *colon = memchr(line.data, ':', line.len);
    MUST(colon != NULL);
    size_t name_len = (size_t)(colon - line.data);
    MUST(line.len >= name_len + 2 && colon[1] == ' ');
    answer_field_t field = {{line.data, name_len}, {colon + 2, line.len - name_len - 2}};
    MUST(is_token(field.name));
    return field;
}

/* The head; false when it is not there to its end. */
static bool
take_head(answer_t *answer, bytes_t *in, uint64_t *out_length)
{
    cv_span_t line;
    if (!take_line(in, &line)) {
        return false;
    }
    MUST(line.len >= sizeof("HTTP/1.1 200 ") - 1 && memcmp(line.data, "HTTP/1.1 ", 9) == 0 && line.data[12] == ' ');
    for (int i = 9; i < 12; i++) {
        MUST(line.data[i] >= '0' && line.data[i] <= '9');
        answer->status = answer->status * 10 + (unsigned)(line.data[i] - '0');
    }
    MUST(answer->status >= 100);
    while (take_line(in, &line)) {
        if (line.len == 0) {
            answer->has_head = true;
            return true;
        }
        MUST(answer->field_count < ANSWER_FIELDS_MAX);
        answer_field_t field = split_field(line);
        answer->fields[answer->field_count++] = field;
        if (is_named(&field, "content-length")) {
            *out_length = parse_length(field.value);
            answer->lengths++;
        } else if (is_named(&field, "transfer-encoding")) {
            MUST(field.value.len == 7 && memcmp(field.value.data, "chunked", 7) == 0);
            answer->codings++;
        } else if (is_named(&field, "connection")) {
            answer->says_close |= has_member(field.value, "close");
        }
    }
    return false;
}

/* Takes at most `most` bytes of the body. Returns how many there were. */
static uint64_t
take_body(answer_t *answer, bytes_t *in, uint64_t most)
{
    size_t len = (size_t)(in->end - in->at);
    len = most < len ? (size_t)most : len;
    MUST(answer->body_len + len <= answer->body_cap);
    memcpy(answer->body + answer->body_len, in->at, len);
    answer->body_len += len;
    in->at += len;
    return len;
}

static uint64_t
parse_size(cv_span_t line)
{
    uint64_t size = 0;
    MUST(line.len > 0 && line.len <= 16);
    for (size_t i = 0; i < line.len; i++) {
        const char *digits = "0123456789abcdef", *digit = strchr(digits, line.data[i]);
        MUST(line.data[i] != '\0' && digit != NULL);
        size = size * 16 + (uint64_t)(digit - digits);
    }
    return size;
}

static void
take_chunks(answer_t *answer, bytes_t *in)
{
    cv_span_t line;
    while (take_line(in, &line)) {
        uint64_t size = parse_size(line);
        if (size == 0) {
            while (take_line(in, &line)) {
                if (line.len == 0) {
                    answer->is_complete = true;
                    return;
                }
                split_field(line);
                answer->trailer_count++;
            }
            return;
        }
        if (take_body(answer, in, size) < size) {
            return;
        }
        size_t left = (size_t)(in->end - in->at);
        MUST(left == 0 || in->at[0] == '\r');
        MUST(left < 2 || in->at[1] == '\n');
        if (left < 2) {
            in->at = in->end;
            return;
        }
        in->at += 2;
    }
}

size_t
answer_read(answer_t *answer, answer_to_t to, const char *data, size_t len, bool at_end, char *body, size_t body_cap)
{
    bytes_t in = {data, data + len};
    uint64_t length = 0;
    memset(answer, 0, offsetof(answer_t, fields));
    answer->field_count = answer->trailer_count = 0;
    answer->body = body;
    answer->body_len = 0;
    answer->body_cap = body_cap;
    if (!take_head(answer, &in, &length)) {
        return len;
    }
    unsigned status = answer->status;
    bool is_tunnel = to.is_connect && status >= 200 && status < 300;
    MUST(answer->lengths + answer->codings <= 1);
    MUST(answer->lengths + answer->codings == 0 || (status >= 200 && status != 204 && !is_tunnel));
    if (to.is_head || status < 200 || status == 204 || status == 304) {
        answer->is_complete = true;
    } else if (answer->codings != 0) {
        take_chunks(answer, &in);
        return answer->is_complete ? (size_t)(in.at - data) : len;
    } else if (answer->lengths != 0) {
        answer->is_complete = take_body(answer, &in, length) == length;
    } else {
        take_body(answer, &in, UINT64_MAX);
        answer->until_close = true;
        answer->is_complete = at_end;
    }
    return (size_t)(in.at - data);
}
