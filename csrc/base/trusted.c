/* SPDX-License-Identifier: MIT */
#include "base/trusted.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { MAPPED_BITS = 96 }; /* the prefix that makes an IPv4 address one of 128 bits */

static const char unix_prefix[] = "unix:";

void
cv_trusted_init(cv_trusted_t *trusted)
{
    *trusted = (cv_trusted_t){0};
}

void
cv_trusted_deinit(cv_trusted_t *trusted)
{
    for (size_t i = 0; i < trusted->literal_count; i++) {
        free(trusted->literals[i]);
    }
    free(trusted->literals);
    free(trusted->networks);
    cv_trusted_init(trusted);
}

static int
add_network(cv_trusted_t *trusted, const cv_address_t *address, unsigned bits)
{
    cv_network_t *grown = realloc(trusted->networks, (trusted->network_count + 1) * sizeof *grown);
    if (grown == NULL) {
        return -ENOMEM;
    }
    trusted->networks = grown;
    trusted->networks[trusted->network_count++] = (cv_network_t){*address, bits};
    return 0;
}

static int
add_literal(cv_trusted_t *trusted, cv_span_t text)
{
    char **grown = realloc(trusted->literals, (trusted->literal_count + 1) * sizeof *grown);
    if (grown == NULL) {
        return -ENOMEM;
    }
    trusted->literals = grown;
    char *copy = malloc(text.len + 1);
    if (copy == NULL) {
        return -ENOMEM;
    }
    memcpy(copy, text.data, text.len);
    copy[text.len] = '\0';
    trusted->literals[trusted->literal_count++] = copy;
    return 0;
}

/* True when both are the same in their first `bits`. */
static bool
is_same_prefix(const uint8_t *a, const uint8_t *b, unsigned bits)
{
    unsigned whole = bits / 8, rest = bits % 8;
    if (memcmp(a, b, whole) != 0) {
        return false;
    }
    return rest == 0 || ((a[whole] ^ b[whole]) >> (8 - rest)) == 0;
}

/* The address with what stands behind its prefix set to zero. */
static cv_address_t
cut_to_prefix(const cv_address_t *address, unsigned bits)
{
    cv_address_t cut = {{0}};
    unsigned whole = bits / 8, rest = bits % 8;
    memcpy(cut.bytes, address->bytes, whole);
    if (rest != 0) {
        cut.bytes[whole] = (uint8_t)(address->bytes[whole] & (0xff00u >> rest));
    }
    return cut;
}

/* One to three digits, or -1. */
static int
parse_bits(cv_span_t text)
{
    int bits = text.len == 0 || text.len > 3 ? -1 : 0;
    for (size_t i = 0; bits >= 0 && i < text.len; i++) {
        char c = text.data[i];
        bits = c >= '0' && c <= '9' ? bits * 10 + (c - '0') : -1;
    }
    return bits;
}

/* `text` is ADDRESS/BITS, and `slash` where its slash is. */
static int
add_written_network(cv_trusted_t *trusted, const cv_address_t *address, cv_span_t text, size_t slash)
{
    int bits = parse_bits((cv_span_t){text.data + slash + 1, text.len - slash - 1});
    bool is_written_short = memchr(text.data, ':', slash) == NULL;
    if (bits < 0 || bits > (is_written_short ? 32 : 128)) {
        return -EINVAL;
    }
    bits += is_written_short ? MAPPED_BITS : 0;
    cv_address_t cut = cut_to_prefix(address, (unsigned)bits);
    if (memcmp(cut.bytes, address->bytes, sizeof cut.bytes) != 0) {
        return -EINVAL;
    }
    return add_network(trusted, address, (unsigned)bits);
}

int
cv_trusted_add(cv_trusted_t *trusted, cv_span_t entry)
{
    cv_address_t address;
    size_t prefix = sizeof unix_prefix - 1;
    if (entry.len == 1 && entry.data[0] == '*') {
        trusted->everyone = true;
        return 0;
    }
    if (entry.len >= prefix && memcmp(entry.data, unix_prefix, prefix) == 0) {
        trusted->unix_peers |= entry.len == prefix;
        return entry.len == prefix ? 0 : add_literal(trusted, (cv_span_t){entry.data + prefix, entry.len - prefix});
    }
    if (cv_address_parse(&address, entry)) {
        return add_network(trusted, &address, 128);
    }
    const char *slash = entry.len == 0 ? NULL : memchr(entry.data, '/', entry.len);
    size_t at = slash == NULL ? 0 : (size_t)(slash - entry.data);
    if (at != 0 && cv_address_parse(&address, (cv_span_t){entry.data, at})) {
        return add_written_network(trusted, &address, entry, at);
    }
    return add_literal(trusted, entry);
}

bool
cv_trusted_has_address(const cv_trusted_t *trusted, const cv_address_t *address)
{
    bool is_ipv4 = cv_address_is_ipv4(address);
    for (size_t i = 0; i < trusted->network_count; i++) {
        const cv_network_t *network = &trusted->networks[i];
        bool is_of_its_kind = !is_ipv4 || network->bits >= MAPPED_BITS;
        if (is_of_its_kind && is_same_prefix(network->address.bytes, address->bytes, network->bits)) {
            return true;
        }
    }
    return trusted->everyone;
}

bool
cv_trusted_has_literal(const cv_trusted_t *trusted, cv_span_t text)
{
    for (size_t i = 0; i < trusted->literal_count; i++) {
        if (strlen(trusted->literals[i]) == text.len && memcmp(trusted->literals[i], text.data, text.len) == 0) {
            return true;
        }
    }
    return trusted->everyone;
}
