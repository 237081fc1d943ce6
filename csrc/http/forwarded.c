/* SPDX-License-Identifier: MIT */
#include "http/forwarded.h"

#include <string.h>

#include "base/ascii.h"
#include "http/field_names.h"
#include "http/h1_rules.h"
#include "http/node.h"

typedef struct {
    const cv_forwarded_rules_t *rules;
    cv_forwarded_t *out;
    uint32_t hops; /* entries taken */
} walk_t;

static bool
is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static cv_span_t
trim(const char *start, const char *end)
{
    while (start < end && is_blank(*start)) {
        start++;
    }
    while (start < end && is_blank(end[-1])) {
        end--;
    }
    return (cv_span_t){start, (size_t)(end - start)};
}

static bool
is_scheme(cv_span_t text)
{
    static const char *const schemes[] = {"http", "https", "ws", "wss"};
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
        if (text.len == strlen(schemes[i]) && memcmp(text.data, schemes[i], text.len) == 0) {
            return true;
        }
    }
    return false;
}

/* Takes an entry as the client. True when its host is one that is trusted, so that the entry to the left counts too. */
static bool
take_hop(walk_t *walk, const cv_node_t *node)
{
    const cv_trusted_t *trusted = walk->rules->trusted;
    walk->out->host = node->host;
    walk->out->port = node->port;
    walk->hops++;
    if (walk->rules->hops != 0) {
        return walk->hops < walk->rules->hops;
    }
    if (node->is_address) {
        return cv_trusted_has_address(trusted, &node->address);
    }
    bool is_unix = node->host.len == 5 && memcmp(node->host.data, "unix:", 5) == 0;
    return (is_unix && trusted->unix_peers) || cv_trusted_has_literal(trusted, node->host);
}

/* ---- X-Forwarded-For --------------------------------------------------------------------------------------- */

/* One entry: a node, or a name that is trusted. True when the walk goes on. */
static bool
take_entry(walk_t *walk, cv_span_t text)
{
    cv_node_t node;
    if (cv_node_parse(&node, text)) {
        return take_hop(walk, &node);
    }
    bool is_name = text.len != 0 && text.len <= CV_NODE_MOST && !walk->rules->trusted->everyone
        && cv_trusted_has_literal(walk->rules->trusted, text);
    node = (cv_node_t){.host = text};
    return is_name && take_hop(walk, &node);
}

static bool
take_list(walk_t *walk, cv_span_t value)
{
    const char *end = value.data + value.len;
    for (;;) {
        const char *start = end;
        while (start > value.data && start[-1] != ',') {
            start--;
        }
        if (!take_entry(walk, trim(start, end))) {
            return false;
        }
        if (start == value.data) {
            return true;
        }
        end = start - 1;
    }
}

/* ---- Forwarded --------------------------------------------------------------------------------------------- */

typedef struct {
    cv_span_t node;   /* of "for" */
    cv_span_t scheme; /* of "proto" */
    bool has_node, has_scheme;
} element_t;

/* The `"` that opens the quoted string whose closing one stands before `end`; NULL if there is none. One that is
 * quoted itself has an odd number of backslashes before it. */
static const char *
opening_quote(const char *start, const char *end)
{
    for (const char *at = end - 1; at > start; at--) {
        if (at[-1] != '"') {
            continue;
        }
        const char *slash = at - 1;
        while (slash > start && slash[-1] == '\\') {
            slash--;
        }
        if ((at - 1 - slash) % 2 == 0) {
            return at - 1;
        }
    }
    return NULL;
}

/* Where the last element before `end` begins; NULL when its quotes don't match. */
static const char *
last_element(const char *start, const char *end)
{
    const char *at = end;
    while (at > start && at[-1] != ',') {
        if (at[-1] == '"') {
            at = opening_quote(start, at);
            if (at == NULL) {
                return NULL;
            }
        } else {
            at--;
        }
    }
    return at;
}

static const char *
skip_token(const char *at, const char *end)
{
    while (at < end && cv_h1_is_token_byte(*at)) {
        at++;
    }
    return at;
}

/* Takes a token or a quoted string, quotes left out, from `at` on. Returns what is behind it, or NULL. */
static const char *
take_value(const char *at, const char *end, cv_span_t *out)
{
    if (at == end || *at != '"') {
        const char *stop = skip_token(at, end);
        *out = (cv_span_t){at, (size_t)(stop - at)};
        return stop == at ? NULL : stop;
    }
    const char *first = at + 1;
    for (at = first; at < end && *at != '"'; at++) {
        at += *at == '\\';
    }
    if (at >= end) {
        return NULL;
    }
    *out = (cv_span_t){first, (size_t)(at - first)};
    return at + 1;
}

static bool
is_name(cv_span_t name, const char *known)
{
    size_t at = 0;
    while (at < name.len && known[at] != '\0' && cv_ascii_lower(name.data[at]) == known[at]) {
        at++;
    }
    return at == name.len && known[at] == '\0';
}

/* Keeps what counts. False for a parameter that stands there twice. */
static bool
keep(element_t *element, cv_span_t name, cv_span_t value)
{
    bool is_node = is_name(name, "for"), is_proto = is_name(name, "proto");
    bool is_repeated = (is_node && element->has_node) || (is_proto && element->has_scheme);
    if (is_node) {
        element->node = value;
        element->has_node = true;
    }
    if (is_proto) {
        element->scheme = value;
        element->has_scheme = true;
    }
    return !is_repeated;
}

/* Skips blanks, and what separates two parameters. NULL where they are not separated. */
static const char *
next_parameter(const char *at, const char *end)
{
    bool is_separated = at == end;
    while (at < end && (is_blank(*at) || *at == ';')) {
        is_separated |= *at == ';';
        at++;
    }
    return is_separated ? at : NULL;
}

/* name=value;name="value" */
static bool
parse_element(element_t *element, cv_span_t text)
{
    const char *at = text.data, *end = text.data + text.len;
    *element = (element_t){0};
    while (at != NULL && at < end) {
        cv_span_t name = {at, 0}, value;
        at = skip_token(at, end);
        name.len = (size_t)(at - name.data);
        if (name.len == 0 || at == end || *at != '=') {
            return false;
        }
        at = take_value(at + 1, end, &value);
        if (at == NULL || !keep(element, name, value)) {
            return false;
        }
        at = next_parameter(at, end);
    }
    return at != NULL && (element->has_node || element->has_scheme);
}

/* True when the walk goes on. An element without a node says how its request came, but not from whom. */
static bool
take_element(walk_t *walk, cv_span_t text)
{
    element_t element;
    cv_node_t node;
    if (!parse_element(&element, text) || (element.has_node && !cv_node_parse(&node, element.node))) {
        return false;
    }
    walk->out->scheme = is_scheme(element.scheme) ? element.scheme : (cv_span_t){0};
    return element.has_node && take_hop(walk, &node);
}

static bool
take_elements(walk_t *walk, cv_span_t value)
{
    const char *end = value.data + value.len;
    for (;;) {
        const char *start = last_element(value.data, end);
        if (start == NULL || !take_element(walk, trim(start, end))) {
            return false;
        }
        if (start == value.data) {
            return true;
        }
        end = start - 1;
    }
}

/* ---- both -------------------------------------------------------------------------------------------------- */

void
cv_forwarded_read(const cv_h1_head_t *head, const cv_forwarded_rules_t *rules, cv_forwarded_t *out)
{
    walk_t walk = {.rules = rules, .out = out};
    uint8_t list_id = rules->is_rfc_7239 ? CV_FIELD_FORWARDED : CV_FIELD_X_FORWARDED_FOR;
    bool goes_on = true, has_scheme = rules->is_rfc_7239;
    *out = (cv_forwarded_t){0};
    for (uint32_t i = head->field_count; i > 0; i--) {
        const cv_h1_field_t *field = &head->fields[i - 1];
        cv_span_t value = cv_h1_span(head, field->value, field->value_len);
        if (goes_on && field->id == list_id) {
            goes_on = rules->is_rfc_7239 ? take_elements(&walk, value) : take_list(&walk, value);
        } else if (!has_scheme && field->id == CV_FIELD_X_FORWARDED_PROTO) {
            has_scheme = true; /* the last field, whatever it says */
            out->scheme = is_scheme(value) ? value : (cv_span_t){0};
        }
    }
}
