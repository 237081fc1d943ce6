/* SPDX-License-Identifier: MIT */
#include "http/node.h"

#include <string.h>

static bool
is_text(cv_span_t span, const char *text)
{
    return span.len == strlen(text) && memcmp(span.data, text, span.len) == 0;
}

/* Letters, digits, '.', '_' and '-'. */
static bool
is_name_byte(char c)
{
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    return letter || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
}

/* "_" and at least one byte more. */
static bool
is_obfuscated(cv_span_t text)
{
    if (text.len < 2 || text.data[0] != '_') {
        return false;
    }
    size_t at = 1;
    while (at < text.len && is_name_byte(text.data[at])) {
        at++;
    }
    return at == text.len;
}

/* A port that is a number; one that is obfuscated is as good as none. */
static bool
parse_port(uint16_t *port, cv_span_t text)
{
    *port = 0;
    if (is_obfuscated(text)) {
        return true;
    }
    uint32_t number = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.data[i];
        number = number * 10 + (uint32_t)(c - '0');
        if (c < '0' || c > '9' || number > UINT16_MAX) {
            return false;
        }
    }
    *port = (uint16_t)number;
    return text.len != 0;
}

static cv_span_t
behind(cv_span_t text, size_t at)
{
    return (cv_span_t){text.data + at, text.len - at};
}

/* "[ADDRESS]" or "[ADDRESS]:PORT" */
static bool
parse_bracketed(cv_node_t *node, cv_span_t text)
{
    const char *end = memchr(text.data, ']', text.len);
    if (end == NULL) {
        return false;
    }
    node->host = (cv_span_t){text.data + 1, (size_t)(end - text.data) - 1};
    bool is_ipv6 = node->host.len != 0 && memchr(node->host.data, ':', node->host.len) != NULL;
    cv_span_t rest = behind(text, node->host.len + 2);
    bool has_port = rest.len != 0 && rest.data[0] == ':';
    node->is_address = true;
    return is_ipv6 && cv_address_parse(&node->address, node->host)
        && (rest.len == 0 || (has_port && parse_port(&node->port, behind(rest, 1))));
}

/* A name, or an address of IPv4; ":PORT" may follow. */
static bool
parse_plain(cv_node_t *node, cv_span_t text)
{
    const char *colon = memchr(text.data, ':', text.len);
    node->host = text;
    if (colon != NULL) {
        node->host.len = (size_t)(colon - text.data);
        if (!parse_port(&node->port, behind(text, node->host.len + 1))) {
            return false;
        }
    }
    node->is_address = cv_address_parse(&node->address, node->host);
    return node->is_address || is_text(node->host, "unknown") || is_obfuscated(node->host);
}

bool
cv_node_parse(cv_node_t *node, cv_span_t text)
{
    *node = (cv_node_t){.host = text};
    if (text.len == 0 || text.len > CV_NODE_MOST) {
        return false;
    }
    if (text.data[0] == '[') {
        return parse_bracketed(node, text);
    }
    if (cv_address_parse(&node->address, text)) {
        node->is_address = true;
        return true;
    }
    return is_text(text, "unix:") || parse_plain(node, text);
}
