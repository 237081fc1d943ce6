/* SPDX-License-Identifier: MIT
 *
 * Whole field lines, taken without llhttp: what nearly every request consists of. llhttp looks at a head byte by byte
 * and calls back four times a field; here a name is found by a search for its colon and known by its words, and a value
 * is looked through eight bytes at a time.
 *
 * llhttp is in the same state at the start of every field line, but for Content-Length and Transfer-Encoding, so that
 * it never misses a line. Only lines are taken that it takes too: a token, a colon, and a value without control bytes,
 * with the start of the next line in sight, since a folded line would go on there. All else is left to llhttp from
 * the start of its line on, and with it the decision what is wrong.
 */
#include <string.h>

#include "base/ascii.h"
#include "http/field_names.h"
#include "http/h1_parser_private.h"
#include "http/h1_rules.h"

enum { LENGTH_DIGITS = 18 }; /* so many are below 2^63 whatever they are */

static bool
is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static bool
is_token(const char *name, size_t len)
{
    size_t at = 0;
    while (at < len && cv_h1_is_token_byte(name[at])) {
        at++;
    }
    return at == len && len != 0;
}

/* The first byte that is no text: a control byte other than HTAB. */
static const char *
end_of_text(const char *at, const char *end)
{
    while (end - at >= 8) {
        uint64_t found = cv_ascii_control8(cv_ascii_load8(at));
        if (found != 0) {
            at += cv_ascii_before8(found);
            break;
        }
        at += 8;
    }
    while (at < end && ((unsigned char)*at >= 0x20 || *at == '\t') && *at != 0x7f) {
        at++;
    }
    return at;
}

/* Says to llhttp what a Content-Length says. False for one that is repeated, or no plain number. */
static bool
take_length(llhttp_t *llhttp, const char *value, size_t len)
{
    if ((llhttp->flags & F_CONTENT_LENGTH) != 0 || len == 0 || len > LENGTH_DIGITS) {
        return false;
    }
    uint64_t length = 0;
    for (size_t i = 0; i < len; i++) {
        unsigned digit = (unsigned)(unsigned char)value[i] - '0';
        if (digit > 9) {
            return false;
        }
        length = length * 10 + digit;
    }
    llhttp->content_length = length;
    llhttp->flags |= F_CONTENT_LENGTH;
    return true;
}

/* Takes the line at `line` as the head's next field. Returns the start of the next one; NULL leaves it to llhttp. */
static const char *
take_line(cv_h1_parser_t *parser, const char *line, const char *end)
{
    const char *colon = memchr(line, ':', (size_t)(end - line));
    if (colon == NULL) {
        return NULL;
    }
    size_t name_len = (size_t)(colon - line);
    uint8_t id = cv_field_id(line, name_len);
    if (id == CV_FIELD_TRANSFER_ENCODING || (id == CV_FIELD_UNKNOWN && !is_token(line, name_len))) {
        return NULL;
    }
    const char *value = colon + 1;
    while (value < end && is_blank(*value)) {
        value++;
    }
    const char *stop = end_of_text(value, end);
    if (end - stop < 3 || stop[0] != '\r' || stop[1] != '\n' || is_blank(stop[2])) {
        return NULL;
    }
    const char *next = stop + 2;
    while (stop > value && is_blank(stop[-1])) {
        stop--;
    }
    size_t value_len = (size_t)(stop - value);
    if (id == CV_FIELD_CONTENT_LENGTH && !take_length(&parser->llhttp, value, value_len)) {
        return NULL;
    }
    cv_h1_head_t *head = parser->head;
    head->fields[head->field_count++] = (cv_h1_field_t){
        .name = (uint32_t)(line - head->base),
        .name_len = (uint32_t)name_len,
        .value = (uint32_t)((value_len == 0 ? colon : value) - head->base),
        .value_len = (uint32_t)value_len,
        .id = id,
    };
    return next;
}

size_t
cv_h1_fields_take(cv_h1_parser_t *parser, const char *data, size_t len)
{
    cv_h1_head_t *head = parser->head;
    const char *at = data, *end = data + len;
    while (at < end && *at != '\r' && head->field_count < parser->limits->fields) {
        const char *next = take_line(parser, at, end);
        if (next == NULL) {
            break;
        }
        at = next;
    }
    if (head->field_count < CV_H1_FIELDS_CEILING) {
        head->fields[head->field_count].name_len = head->fields[head->field_count].value_len = 0;
    }
    return (size_t)(at - data);
}
