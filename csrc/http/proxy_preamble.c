/* SPDX-License-Identifier: MIT
 *
 * Described at https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt, sections 2.1 and 2.2.
 */
#include "http/proxy_preamble.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <string.h>

#include "base/span.h"

static const char v1_start[] = "PROXY ";
static const char v2_start[] = "\r\n\r\n\0\r\nQUIT\n";

enum {
    V1_START = sizeof v1_start - 1,
    V2_START = sizeof v2_start - 1,
    V2_FIXED = V2_START + 4, /* the signature, version and command, family and transport, length */
};

/* True when the bytes are the start of `start`, or begin with it. */
static bool
agrees(const char *data, size_t len, const char *start, size_t start_len)
{
    return memcmp(data, start, len < start_len ? len : start_len) == 0;
}

/* ---- version 1: "PROXY TCP4 192.0.2.1 192.0.2.9 54321 80\r\n" ------------------------------------------------- */

/* Cuts the next word off. What is left has no bytes behind the last one; two spaces make an empty word. */
static cv_span_t
next_word(cv_span_t *line)
{
    const char *space = line->len == 0 ? NULL : memchr(line->data, ' ', line->len);
    size_t len = space == NULL ? line->len : (size_t)(space - line->data);
    cv_span_t word = {line->data, len};
    size_t taken = space == NULL ? len : len + 1;
    *line = (cv_span_t){line->data + taken, line->len - taken};
    return word;
}

static bool
is_word(cv_span_t word, const char *text)
{
    return word.len == strlen(text) && memcmp(word.data, text, word.len) == 0;
}

static bool
parse_address(int family, cv_span_t word, uint8_t out[16])
{
    char copy[INET6_ADDRSTRLEN];
    if (word.len >= sizeof copy || memchr(word.data, '\0', word.len) != NULL) {
        return false;
    }
    memcpy(copy, word.data, word.len);
    copy[word.len] = '\0';
    return inet_pton(family, copy, out) == 1;
}

/* One to five digits, up to 65535, without leading zeros. */
static bool
parse_port(cv_span_t word, uint16_t *out)
{
    uint32_t port = 0;
    if (word.len == 0 || word.len > 5 || (word.data[0] == '0' && word.len > 1)) {
        return false;
    }
    for (size_t i = 0; i < word.len; i++) {
        if (word.data[i] < '0' || word.data[i] > '9') {
            return false;
        }
        port = port * 10 + (uint32_t)(word.data[i] - '0');
    }
    *out = (uint16_t)port;
    return port <= UINT16_MAX;
}

static bool
parse_line(cv_preamble_t *out, cv_span_t line)
{
    cv_span_t protocol = next_word(&line);
    if (is_word(protocol, "UNKNOWN")) {
        out->kind = CV_PREAMBLE_OWN; /* whatever follows */
        return true;
    }
    bool is_ipv4 = is_word(protocol, "TCP4");
    if (!is_ipv4 && !is_word(protocol, "TCP6")) {
        return false;
    }
    int family = is_ipv4 ? AF_INET : AF_INET6;
    uint8_t destination[16];
    uint16_t destination_port;
    out->kind = is_ipv4 ? CV_PREAMBLE_IPV4 : CV_PREAMBLE_IPV6;
    return parse_address(family, next_word(&line), out->address) && parse_address(family, next_word(&line), destination)
        && parse_port(next_word(&line), &out->port) && line.len != 0 && parse_port(line, &destination_port);
}

static int
parse_v1(cv_preamble_t *out, const char *data, size_t len)
{
    size_t seen = len < CV_PREAMBLE_V1_MOST ? len : CV_PREAMBLE_V1_MOST;
    const char *end = memchr(data, '\n', seen);
    if (end == NULL) {
        return seen < CV_PREAMBLE_V1_MOST ? CV_PREAMBLE_MORE : CV_PREAMBLE_EV1_LONG;
    }
    *out = (cv_preamble_t){.size = (size_t)(end - data) + 1};
    if (end[-1] != '\r') {
        return CV_PREAMBLE_EV1;
    }
    cv_span_t line = {data + V1_START, (size_t)(end - 1 - data) - V1_START};
    return parse_line(out, line) ? CV_PREAMBLE_END : CV_PREAMBLE_EV1;
}

/* ---- version 2: a fixed part, addresses, and other values, which are skipped --------------------------------- */

/* Bytes of both addresses, for a stream (1) and for datagrams (2), and of their ports. Negative for what is not
 * described. */
static int
addresses_size(uint8_t family_and_transport, cv_preamble_kind_t *out_kind)
{
    switch (family_and_transport) {
    case 0x00:
        *out_kind = CV_PREAMBLE_OWN;
        return 0;
    case 0x11:
    case 0x12:
        *out_kind = CV_PREAMBLE_IPV4;
        return 12;
    case 0x21:
    case 0x22:
        *out_kind = CV_PREAMBLE_IPV6;
        return 36;
    case 0x31:
    case 0x32:
        *out_kind = CV_PREAMBLE_UNIX;
        return 216;
    default:
        return -1;
    }
}

/* The client's address and port stand before, and between, those of the proxy. */
static void
take_addresses(cv_preamble_t *out, const uint8_t *at)
{
    size_t len = out->kind == CV_PREAMBLE_IPV4 ? 4 : 16;
    if (out->kind == CV_PREAMBLE_IPV4 || out->kind == CV_PREAMBLE_IPV6) {
        memcpy(out->address, at, len);
        out->port = (uint16_t)(at[2 * len] << 8 | at[2 * len + 1]);
    }
}

static int
parse_v2(cv_preamble_t *out, const char *data, size_t len)
{
    if (len < V2_FIXED) {
        return CV_PREAMBLE_MORE;
    }
    const uint8_t *fixed = (const uint8_t *)data + V2_START;
    unsigned version = fixed[0] >> 4, command = fixed[0] & 0x0f;
    size_t rest = (size_t)(fixed[2] << 8 | fixed[3]);
    cv_preamble_kind_t kind = CV_PREAMBLE_OWN;
    bool is_local = command == 0;
    int size = is_local ? 0 : addresses_size(fixed[1], &kind);
    if (version != 2 || command > 1 || size < 0 || rest < (size_t)size) {
        return CV_PREAMBLE_EV2;
    }
    if (rest > CV_PREAMBLE_V2_MOST) {
        return CV_PREAMBLE_EV2_LONG;
    }
    if (len < V2_FIXED + rest) {
        return CV_PREAMBLE_MORE;
    }
    *out = (cv_preamble_t){.kind = kind, .size = V2_FIXED + rest};
    take_addresses(out, fixed + 4);
    return CV_PREAMBLE_END;
}

/* ---- both --------------------------------------------------------------------------------------------------- */

int
cv_preamble_parse(cv_preamble_t *out, const char *data, size_t len)
{
    if (len == 0) {
        return CV_PREAMBLE_MORE;
    }
    if (agrees(data, len, v1_start, V1_START)) {
        return len < V1_START ? CV_PREAMBLE_MORE : parse_v1(out, data, len);
    }
    return agrees(data, len, v2_start, V2_START) ? parse_v2(out, data, len) : CV_PREAMBLE_ENONE;
}

const char *
cv_preamble_error_rule(int error)
{
    switch (error) {
    case CV_PREAMBLE_ENONE:
        return "no PROXY preamble from a peer that --proxy-protocol trusts";
    case CV_PREAMBLE_EV1:
        return "malformed PROXY preamble of version 1";
    case CV_PREAMBLE_EV1_LONG:
        return "PROXY preamble of version 1 longer than 107 bytes";
    case CV_PREAMBLE_EV2_LONG:
        return "PROXY preamble of version 2 longer than 8192 bytes";
    default:
        return "malformed PROXY preamble of version 2";
    }
}
