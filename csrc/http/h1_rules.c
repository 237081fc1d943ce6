/* SPDX-License-Identifier: MIT */
#include "http/h1_rules.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/ascii.h"
#include "http/field_names.h"
#include "http/h1_parser.h"

enum {
    TOKEN = 1, /* RFC 9110 section 5.6.2 */
    HOST = 2,  /* reg-name of RFC 3986 section 3.2.2: unreserved, sub-delims, '%' */
    HEX = 4,
};

static const uint8_t BYTE_CLASS[256] = {
    ['!'] = TOKEN | HOST,
    ['#'] = TOKEN,
    ['$'] = TOKEN | HOST,
    ['%'] = TOKEN | HOST,
    ['&'] = TOKEN | HOST,
    ['\''] = TOKEN | HOST,
    ['('] = HOST,
    [')'] = HOST,
    ['*'] = TOKEN | HOST,
    ['+'] = TOKEN | HOST,
    [','] = HOST,
    ['-'] = TOKEN | HOST,
    ['.'] = TOKEN | HOST,
    [';'] = HOST,
    ['='] = HOST,
    ['^'] = TOKEN,
    ['_'] = TOKEN | HOST,
    ['`'] = TOKEN,
    ['|'] = TOKEN,
    ['~'] = TOKEN | HOST,
    ['0' ... '9'] = TOKEN | HOST | HEX,
    ['A' ... 'F'] = TOKEN | HOST | HEX,
    ['G' ... 'Z'] = TOKEN | HOST,
    ['a' ... 'f'] = TOKEN | HOST | HEX,
    ['g' ... 'z'] = TOKEN | HOST,
};

bool
cv_h1_is_token_byte(char c)
{
    return (BYTE_CLASS[(unsigned char)c] & TOKEN) != 0;
}

/* The number of bytes of `text`, from `at` on, that are of one class. */
static size_t
run_of(cv_span_t text, size_t at, uint8_t class)
{
    size_t end = at;
    while (end < text.len && (BYTE_CLASS[(unsigned char)text.data[end]] & class) != 0) {
        end++;
    }
    return end - at;
}

/* The length of an IPv6 address in brackets that starts `text`, or 0. */
static size_t
literal_len(cv_span_t text)
{
    char address[INET6_ADDRSTRLEN];
    struct in6_addr parsed;
    const char *close = memchr(text.data, ']', text.len);
    size_t len = close == NULL ? 0 : (size_t)(close - text.data) - 1;
    if (len == 0 || len >= sizeof(address)) {
        return 0;
    }
    memcpy(address, text.data + 1, len);
    address[len] = '\0';
    return strlen(address) == len && inet_pton(AF_INET6, address, &parsed) == 1 ? len + 2 : 0;
}

/* True when two hexadecimal digits follow every '%' (RFC 3986 section 2.1). */
static bool
is_encoded(cv_span_t text)
{
    const char *end = text.data + text.len, *at = text.data;
    while (at < end && (at = memchr(at, '%', (size_t)(end - at))) != NULL) {
        if (run_of((cv_span_t){at, (size_t)(end - at)}, 1, HEX) < 2) {
            return false;
        }
        at += 3;
    }
    return true;
}

/* True for a port that a connection can be made to. */
static bool
is_port(cv_span_t digits)
{
    unsigned port = 0;
    for (size_t i = 0; i < digits.len && port <= UINT16_MAX; i++) {
        port = port * 10 + (unsigned)(digits.data[i] - '0');
    }
    return port != 0 && port <= UINT16_MAX;
}

/* uri-host [ ":" port ]. `needs_all`: there must be a host, and a port that a connection can be made to. */
static bool
is_host(cv_span_t text, bool needs_all)
{
    size_t end;
    if (text.len > 0 && text.data[0] == '[') {
        end = literal_len(text);
        if (end == 0) {
            return false;
        }
    } else {
        end = run_of(text, 0, HOST);
        if (!is_encoded((cv_span_t){text.data, end})) {
            return false;
        }
    }
    bool has_host = end != 0;
    if (end == text.len) {
        return !needs_all;
    }
    if (text.data[end] != ':') {
        return false;
    }
    size_t first_digit = ++end;
    while (end < text.len && text.data[end] >= '0' && text.data[end] <= '9') {
        end++;
    }
    cv_span_t port = {text.data + first_digit, end - first_digit};
    return end == text.len && (!needs_all || (has_host && is_port(port)));
}

/* True when `text` starts with `lower` in any case. */
static bool
starts_with(cv_span_t text, const char *lower, size_t len)
{
    if (text.len < len) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        if (cv_ascii_lower(text.data[i]) != lower[i]) {
            return false;
        }
    }
    return true;
}

#define STARTS_WITH(text, literal) starts_with(text, literal, sizeof(literal) - 1)
#define IS_WORD(text, literal) ((text).len == sizeof(literal) - 1 && STARTS_WITH(text, literal))

/* Visible ASCII only: what llhttp lets through besides is nothing that a URI may have. */
static bool
is_visible(cv_span_t text)
{
    size_t at = 0;
    for (; at + 8 <= text.len; at += 8) {
        uint64_t word = cv_ascii_load8(text.data + at);
        if ((word & CV_ASCII_HIGH) != 0 || cv_ascii_below_or_equal8(word, 0x21, 0x7f) != 0) {
            return false;
        }
    }
    for (; at < text.len; at++) {
        unsigned char byte = (unsigned char)text.data[at];
        if (byte < 0x21 || byte >= 0x7f) {
            return false;
        }
    }
    return true;
}

/* Path and query out of target[from, len), which starts with '/', '?', or is empty. */
static void
cut_path(cv_h1_head_t *head, cv_span_t target, size_t from)
{
    const char *at = target.data + from;
    size_t len = target.len - from;
    const char *mark = len == 0 ? NULL : memchr(at, '?', len);
    size_t path_len = mark == NULL ? len : (size_t)(mark - at);
    head->path = head->target + (uint32_t)from;
    head->path_len = (uint32_t)path_len;
    head->query = head->path + head->path_len;
    if (mark != NULL) {
        head->query++;
        head->query_len = (uint32_t)(len - path_len - 1);
    }
}

/* absolute-form: http or https, an authority without user information, and a path that may be empty. */
static int
cut_absolute(cv_h1_head_t *head, cv_span_t target)
{
    size_t from;
    if (STARTS_WITH(target, "http://")) {
        from = sizeof("http://") - 1;
    } else if (STARTS_WITH(target, "https://")) {
        from = sizeof("https://") - 1;
    } else {
        return CV_H1_ETARGET;
    }
    size_t end = from;
    while (end < target.len && target.data[end] != '/' && target.data[end] != '?') {
        end++;
    }
    cv_span_t authority = {target.data + from, end - from};
    if (authority.len == 0 || authority.data[0] == ':' || !is_host(authority, false)) {
        return CV_H1_ETARGET;
    }
    head->authority = head->target + (uint32_t)from;
    head->authority_len = (uint32_t)authority.len;
    cut_path(head, target, end);
    return 0;
}

int
cv_h1_rules_target(cv_h1_head_t *head, bool is_connect, bool is_options)
{
    cv_span_t target = cv_h1_span(head, head->target, head->target_len);
    if (target.len == 0 || !is_visible(target)) {
        return CV_H1_ETARGET;
    }
    if (is_connect || IS_WORD(target, "*")) {
        head->path = head->query = head->target;
        head->path_len = head->target_len;
        return (is_connect ? is_host(target, true) : is_options) ? 0 : CV_H1_ETARGET;
    }
    /* A fragment is the client's own affair (RFC 9110 section 4.2.5): one that comes is cut off. */
    const char *fragment = memchr(target.data, '#', target.len);
    if (fragment != NULL) {
        target.len = (size_t)(fragment - target.data);
    }
    if (target.len > 0 && target.data[0] == '/') {
        cut_path(head, target, 0);
        return 0;
    }
    return cut_absolute(head, target);
}

/* "chunked" alone is what we decode. A coding that is not ours is 501 (RFC 9112 section 6.1); a list in
 * which chunked is not the last leaves the length unknown: 400 (section 6.3). */
static int
check_coding(cv_span_t list)
{
    if (IS_WORD(list, "chunked")) {
        return 0;
    }
    size_t last = list.len;
    while (last > 0 && list.data[last - 1] != ',' && list.data[last - 1] != ' '
           && list.data[last - 1] != '\t') {
        last--;
    }
    bool has_chunked = false;
    for (size_t at = 0; at < last && !has_chunked; at++) {
        cv_span_t rest = {list.data + at, list.len - at};
        has_chunked = STARTS_WITH(rest, "chunked");
    }
    return list.len == 0 || has_chunked ? CV_H1_ETRANSFER_ENCODING : CV_H1_ETRANSFER_CODING;
}

static int
check_host(cv_h1_head_t *head, cv_h1_field_t *field, unsigned hosts)
{
    if (hosts != 1) {
        return hosts == 0 && head->minor == 0 ? 0 : CV_H1_EHOST;
    }
    if (!is_host(cv_h1_span(head, field->value, field->value_len), false)) {
        return CV_H1_EHOST;
    }
    if (head->authority_len != 0) {
        field->value = head->authority;
        field->value_len = head->authority_len;
    }
    return 0;
}

enum { /* options of Connection */
       CLOSE = 1,
       KEEP_ALIVE = 2,
       UPGRADE = 4,
};

/* Cuts the first member off a list (RFC 9110 section 5.6.1), and the whitespace off the member. */
static cv_span_t
next_member(cv_span_t *list)
{
    const char *at = list->data, *end = list->data + list->len;
    const char *comma = memchr(at, ',', list->len);
    const char *last = comma == NULL ? end : comma;
    list->data = comma == NULL ? end : comma + 1;
    list->len = (size_t)(end - list->data);
    while (at < last && (*at == ' ' || *at == '\t')) {
        at++;
    }
    while (last > at && (last[-1] == ' ' || last[-1] == '\t')) {
        last--;
    }
    return (cv_span_t){at, (size_t)(last - at)};
}

/* The options in one Connection field (RFC 9110 section 7.6.1). */
static unsigned
connection_options(cv_span_t list)
{
    unsigned options = 0;
    while (list.len > 0) {
        cv_span_t option = next_member(&list);
        options |= IS_WORD(option, "close") ? CLOSE : 0;
        options |= IS_WORD(option, "keep-alive") ? KEEP_ALIVE : 0;
        options |= IS_WORD(option, "upgrade") ? UPGRADE : 0;
    }
    return options;
}

/* True when `word` is a member of the list. */
static bool
has_member(cv_span_t list, const char *word, size_t len)
{
    while (list.len > 0) {
        cv_span_t member = next_member(&list);
        if (member.len == len && starts_with(member, word, len)) {
            return true;
        }
    }
    return false;
}

#define HAS_MEMBER(list, literal) has_member(list, literal, sizeof(literal) - 1)

/* What one pass over the fields finds. */
typedef struct {
    cv_h1_field_t *host, *coding; /* the last one of each */
    unsigned hosts, lengths, codings, upgrades;
    unsigned options;             /* of Connection */
} found_t;

static found_t
find_fields(cv_h1_head_t *head)
{
    found_t found = {0};
    for (uint32_t i = 0; i < head->field_count; i++) {
        cv_h1_field_t *field = &head->fields[i];
        switch (field->id) {
        case CV_FIELD_HOST:
            found.host = field;
            found.hosts++;
            break;
        case CV_FIELD_CONTENT_LENGTH:
            found.lengths++;
            break;
        case CV_FIELD_TRANSFER_ENCODING:
            found.coding = field;
            found.codings++;
            break;
        case CV_FIELD_UPGRADE:
            found.upgrades++;
            break;
        case CV_FIELD_CONNECTION:
            found.options |= connection_options(cv_h1_span(head, field->value, field->value_len));
            break;
        case CV_FIELD_EXPECT:
            /* The one expectation that is ours to meet (RFC 9110 section 10.1.1). */
            head->expect_continue |= head->minor == 1
                && HAS_MEMBER(cv_h1_span(head, field->value, field->value_len), "100-continue");
            break;
        case CV_FIELD_TE:
            head->takes_trailers |= head->minor == 1
                && HAS_MEMBER(cv_h1_span(head, field->value, field->value_len), "trailers");
            break;
        default:
            break;
        }
    }
    return found;
}

int
cv_h1_rules_fields(cv_h1_head_t *head)
{
    found_t found = find_fields(head);
    if (found.codings != 0) {
        /* RFC 9112 section 6.1: with Content-Length or on HTTP/1.0 the framing is faulty. */
        if (found.codings > 1 || found.lengths != 0 || head->minor == 0) {
            return CV_H1_ETRANSFER_ENCODING;
        }
        int rc = check_coding(cv_h1_span(head, found.coding->value, found.coding->value_len));
        if (rc != 0) {
            return rc;
        }
        head->chunked = true;
    }
    if (found.lengths > 1) {
        return CV_H1_ECONTENT_LENGTH;
    }
    head->keep_alive = (found.options & CLOSE) == 0 && (head->minor == 1 || (found.options & KEEP_ALIVE) != 0);
    /* RFC 9110 section 7.8: an Upgrade on HTTP/1.0 is ignored. */
    head->upgrade = found.upgrades != 0 && (found.options & UPGRADE) != 0 && head->minor == 1;
    return check_host(head, found.host, found.hosts);
}
