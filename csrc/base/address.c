/* SPDX-License-Identifier: MIT */
#include "base/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

void
cv_address_from_ipv4(cv_address_t *address, const void *bytes)
{
    memcpy(address->bytes, mapped, sizeof mapped);
    memcpy(address->bytes + sizeof mapped, bytes, 4);
}

bool
cv_address_parse(cv_address_t *address, cv_span_t text)
{
    char copy[INET6_ADDRSTRLEN];
    if (text.len == 0 || text.len >= sizeof copy || memchr(text.data, '\0', text.len) != NULL) {
        return false;
    }
    memcpy(copy, text.data, text.len);
    copy[text.len] = '\0';
    if (memchr(copy, ':', text.len) != NULL) {
        return inet_pton(AF_INET6, copy, address->bytes) == 1;
    }
    uint8_t bytes[4];
    if (inet_pton(AF_INET, copy, bytes) != 1) {
        return false;
    }
    cv_address_from_ipv4(address, bytes);
    return true;
}

bool
cv_address_is_ipv4(const cv_address_t *address)
{
    return memcmp(address->bytes, mapped, sizeof mapped) == 0;
}
