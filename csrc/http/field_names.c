/* SPDX-License-Identifier: MIT */
#include "http/field_names.h"

#include <stdbool.h>
#include <string.h>

#include "base/ascii.h"

enum {
    LONGEST = 38,  /* bytes of the longest name */
    SAME_LENGTH = 10, /* names of one length, at most */
};

typedef struct {
    char text[LONGEST + 1];
    uint8_t len;
} known_name_t;

#define NAME(name) {name, sizeof(name) - 1}

static const known_name_t KNOWN[CV_FIELD_COUNT] = {
    [CV_FIELD_HOST] = NAME("host"),
    [CV_FIELD_CONNECTION] = NAME("connection"),
    [CV_FIELD_CONTENT_LENGTH] = NAME("content-length"),
    [CV_FIELD_CONTENT_TYPE] = NAME("content-type"),
    [CV_FIELD_TRANSFER_ENCODING] = NAME("transfer-encoding"),
    [CV_FIELD_EXPECT] = NAME("expect"),
    [CV_FIELD_UPGRADE] = NAME("upgrade"),
    [CV_FIELD_DATE] = NAME("date"),
    [CV_FIELD_SERVER] = NAME("server"),
    [CV_FIELD_ACCEPT] = NAME("accept"),
    [CV_FIELD_ACCEPT_CHARSET] = NAME("accept-charset"),
    [CV_FIELD_ACCEPT_ENCODING] = NAME("accept-encoding"),
    [CV_FIELD_ACCEPT_LANGUAGE] = NAME("accept-language"),
    [CV_FIELD_ACCEPT_DATETIME] = NAME("accept-datetime"),
    [CV_FIELD_ACCEPT_RANGES] = NAME("accept-ranges"),
    [CV_FIELD_ACCESS_CONTROL_REQUEST_HEADERS] = NAME("access-control-request-headers"),
    [CV_FIELD_ACCESS_CONTROL_REQUEST_METHOD] = NAME("access-control-request-method"),
    [CV_FIELD_ACCESS_CONTROL_REQUEST_PRIVATE_NETWORK] = NAME("access-control-request-private-network"),
    [CV_FIELD_AGE] = NAME("age"),
    [CV_FIELD_ALLOW] = NAME("allow"),
    [CV_FIELD_ALT_USED] = NAME("alt-used"),
    [CV_FIELD_AUTHORIZATION] = NAME("authorization"),
    [CV_FIELD_BAGGAGE] = NAME("baggage"),
    [CV_FIELD_B3] = NAME("b3"),
    [CV_FIELD_CACHE_CONTROL] = NAME("cache-control"),
    [CV_FIELD_CDN_LOOP] = NAME("cdn-loop"),
    [CV_FIELD_CF_CONNECTING_IP] = NAME("cf-connecting-ip"),
    [CV_FIELD_CF_IPCOUNTRY] = NAME("cf-ipcountry"),
    [CV_FIELD_CF_RAY] = NAME("cf-ray"),
    [CV_FIELD_CF_VISITOR] = NAME("cf-visitor"),
    [CV_FIELD_CF_WORKER] = NAME("cf-worker"),
    [CV_FIELD_CONTENT_DISPOSITION] = NAME("content-disposition"),
    [CV_FIELD_CONTENT_ENCODING] = NAME("content-encoding"),
    [CV_FIELD_CONTENT_LANGUAGE] = NAME("content-language"),
    [CV_FIELD_CONTENT_LOCATION] = NAME("content-location"),
    [CV_FIELD_CONTENT_MD5] = NAME("content-md5"),
    [CV_FIELD_CONTENT_RANGE] = NAME("content-range"),
    [CV_FIELD_COOKIE] = NAME("cookie"),
    [CV_FIELD_DEPTH] = NAME("depth"),
    [CV_FIELD_DESTINATION] = NAME("destination"),
    [CV_FIELD_DNT] = NAME("dnt"),
    [CV_FIELD_DOWNLINK] = NAME("downlink"),
    [CV_FIELD_EARLY_DATA] = NAME("early-data"),
    [CV_FIELD_ETAG] = NAME("etag"),
    [CV_FIELD_FLY_CLIENT_IP] = NAME("fly-client-ip"),
    [CV_FIELD_FORWARDED] = NAME("forwarded"),
    [CV_FIELD_FROM] = NAME("from"),
    [CV_FIELD_GRPC_TIMEOUT] = NAME("grpc-timeout"),
    [CV_FIELD_HX_BOOSTED] = NAME("hx-boosted"),
    [CV_FIELD_HX_CURRENT_URL] = NAME("hx-current-url"),
    [CV_FIELD_HX_REQUEST] = NAME("hx-request"),
    [CV_FIELD_HX_TARGET] = NAME("hx-target"),
    [CV_FIELD_HX_TRIGGER] = NAME("hx-trigger"),
    [CV_FIELD_IDEMPOTENCY_KEY] = NAME("idempotency-key"),
    [CV_FIELD_IF] = NAME("if"),
    [CV_FIELD_IF_MATCH] = NAME("if-match"),
    [CV_FIELD_IF_MODIFIED_SINCE] = NAME("if-modified-since"),
    [CV_FIELD_IF_NONE_MATCH] = NAME("if-none-match"),
    [CV_FIELD_IF_RANGE] = NAME("if-range"),
    [CV_FIELD_IF_UNMODIFIED_SINCE] = NAME("if-unmodified-since"),
    [CV_FIELD_KEEP_ALIVE] = NAME("keep-alive"),
    [CV_FIELD_LAST_EVENT_ID] = NAME("last-event-id"),
    [CV_FIELD_LINK] = NAME("link"),
    [CV_FIELD_LOCATION] = NAME("location"),
    [CV_FIELD_MAX_FORWARDS] = NAME("max-forwards"),
    [CV_FIELD_ORIGIN] = NAME("origin"),
    [CV_FIELD_PRAGMA] = NAME("pragma"),
    [CV_FIELD_PREFER] = NAME("prefer"),
    [CV_FIELD_PRIORITY] = NAME("priority"),
    [CV_FIELD_PROXY_AUTHORIZATION] = NAME("proxy-authorization"),
    [CV_FIELD_PROXY_CONNECTION] = NAME("proxy-connection"),
    [CV_FIELD_PURPOSE] = NAME("purpose"),
    [CV_FIELD_RANGE] = NAME("range"),
    [CV_FIELD_REFERER] = NAME("referer"),
    [CV_FIELD_RTT] = NAME("rtt"),
    [CV_FIELD_SAVE_DATA] = NAME("save-data"),
    [CV_FIELD_SEC_CH_PREFERS_COLOR_SCHEME] = NAME("sec-ch-prefers-color-scheme"),
    [CV_FIELD_SEC_CH_UA] = NAME("sec-ch-ua"),
    [CV_FIELD_SEC_CH_UA_ARCH] = NAME("sec-ch-ua-arch"),
    [CV_FIELD_SEC_CH_UA_FULL_VERSION_LIST] = NAME("sec-ch-ua-full-version-list"),
    [CV_FIELD_SEC_CH_UA_MOBILE] = NAME("sec-ch-ua-mobile"),
    [CV_FIELD_SEC_CH_UA_MODEL] = NAME("sec-ch-ua-model"),
    [CV_FIELD_SEC_CH_UA_PLATFORM] = NAME("sec-ch-ua-platform"),
    [CV_FIELD_SEC_CH_UA_PLATFORM_VERSION] = NAME("sec-ch-ua-platform-version"),
    [CV_FIELD_SEC_FETCH_DEST] = NAME("sec-fetch-dest"),
    [CV_FIELD_SEC_FETCH_MODE] = NAME("sec-fetch-mode"),
    [CV_FIELD_SEC_FETCH_SITE] = NAME("sec-fetch-site"),
    [CV_FIELD_SEC_FETCH_STORAGE_ACCESS] = NAME("sec-fetch-storage-access"),
    [CV_FIELD_SEC_FETCH_USER] = NAME("sec-fetch-user"),
    [CV_FIELD_SEC_GPC] = NAME("sec-gpc"),
    [CV_FIELD_SEC_PURPOSE] = NAME("sec-purpose"),
    [CV_FIELD_SEC_WEBSOCKET_EXTENSIONS] = NAME("sec-websocket-extensions"),
    [CV_FIELD_SEC_WEBSOCKET_KEY] = NAME("sec-websocket-key"),
    [CV_FIELD_SEC_WEBSOCKET_PROTOCOL] = NAME("sec-websocket-protocol"),
    [CV_FIELD_SEC_WEBSOCKET_VERSION] = NAME("sec-websocket-version"),
    [CV_FIELD_TE] = NAME("te"),
    [CV_FIELD_TRACEPARENT] = NAME("traceparent"),
    [CV_FIELD_TRACESTATE] = NAME("tracestate"),
    [CV_FIELD_TRAILER] = NAME("trailer"),
    [CV_FIELD_TRUE_CLIENT_IP] = NAME("true-client-ip"),
    [CV_FIELD_UPGRADE_INSECURE_REQUESTS] = NAME("upgrade-insecure-requests"),
    [CV_FIELD_USER_AGENT] = NAME("user-agent"),
    [CV_FIELD_VIA] = NAME("via"),
    [CV_FIELD_X_AMZN_TRACE_ID] = NAME("x-amzn-trace-id"),
    [CV_FIELD_X_API_KEY] = NAME("x-api-key"),
    [CV_FIELD_X_B3_SAMPLED] = NAME("x-b3-sampled"),
    [CV_FIELD_X_B3_SPANID] = NAME("x-b3-spanid"),
    [CV_FIELD_X_B3_TRACEID] = NAME("x-b3-traceid"),
    [CV_FIELD_X_CLIENT_IP] = NAME("x-client-ip"),
    [CV_FIELD_X_CORRELATION_ID] = NAME("x-correlation-id"),
    [CV_FIELD_X_CSRF_TOKEN] = NAME("x-csrf-token"),
    [CV_FIELD_X_FORWARDED_FOR] = NAME("x-forwarded-for"),
    [CV_FIELD_X_FORWARDED_HOST] = NAME("x-forwarded-host"),
    [CV_FIELD_X_FORWARDED_PORT] = NAME("x-forwarded-port"),
    [CV_FIELD_X_FORWARDED_PREFIX] = NAME("x-forwarded-prefix"),
    [CV_FIELD_X_FORWARDED_PROTO] = NAME("x-forwarded-proto"),
    [CV_FIELD_X_HTTP_METHOD_OVERRIDE] = NAME("x-http-method-override"),
    [CV_FIELD_X_REAL_IP] = NAME("x-real-ip"),
    [CV_FIELD_X_REQUEST_ID] = NAME("x-request-id"),
    [CV_FIELD_X_REQUEST_START] = NAME("x-request-start"),
    [CV_FIELD_X_REQUESTED_WITH] = NAME("x-requested-with"),
};

/* The ids of the names of each length, what browsers send first; what is left of a row is CV_FIELD_UNKNOWN. */
static const uint8_t BY_LENGTH[LONGEST + 1][SAME_LENGTH + 1] = {
    [2] = {CV_FIELD_B3, CV_FIELD_IF, CV_FIELD_TE},
    [3] = {CV_FIELD_AGE, CV_FIELD_DNT, CV_FIELD_RTT, CV_FIELD_VIA},
    [4] = {CV_FIELD_HOST, CV_FIELD_DATE, CV_FIELD_ETAG, CV_FIELD_FROM, CV_FIELD_LINK},
    [5] = {CV_FIELD_ALLOW, CV_FIELD_DEPTH, CV_FIELD_RANGE},
    [6] = {CV_FIELD_ACCEPT, CV_FIELD_COOKIE, CV_FIELD_ORIGIN, CV_FIELD_PRAGMA, CV_FIELD_EXPECT, CV_FIELD_SERVER,
           CV_FIELD_CF_RAY, CV_FIELD_PREFER},
    [7] = {CV_FIELD_REFERER, CV_FIELD_SEC_GPC, CV_FIELD_UPGRADE, CV_FIELD_BAGGAGE, CV_FIELD_PURPOSE,
           CV_FIELD_TRAILER},
    [8] = {CV_FIELD_PRIORITY, CV_FIELD_LOCATION, CV_FIELD_IF_MATCH, CV_FIELD_ALT_USED, CV_FIELD_CDN_LOOP,
           CV_FIELD_DOWNLINK, CV_FIELD_IF_RANGE},
    [9] = {CV_FIELD_SEC_CH_UA, CV_FIELD_X_REAL_IP, CV_FIELD_X_API_KEY, CV_FIELD_FORWARDED, CV_FIELD_CF_WORKER,
           CV_FIELD_HX_TARGET, CV_FIELD_SAVE_DATA},
    [10] = {CV_FIELD_USER_AGENT, CV_FIELD_CONNECTION, CV_FIELD_HX_REQUEST, CV_FIELD_TRACESTATE,
            CV_FIELD_CF_VISITOR, CV_FIELD_EARLY_DATA, CV_FIELD_HX_BOOSTED, CV_FIELD_HX_TRIGGER,
            CV_FIELD_KEEP_ALIVE},
    [11] = {CV_FIELD_CONTENT_MD5, CV_FIELD_DESTINATION, CV_FIELD_SEC_PURPOSE, CV_FIELD_TRACEPARENT,
            CV_FIELD_X_B3_SPANID, CV_FIELD_X_CLIENT_IP},
    [12] = {CV_FIELD_CONTENT_TYPE, CV_FIELD_CF_IPCOUNTRY, CV_FIELD_GRPC_TIMEOUT, CV_FIELD_MAX_FORWARDS,
            CV_FIELD_X_B3_SAMPLED, CV_FIELD_X_B3_TRACEID, CV_FIELD_X_CSRF_TOKEN, CV_FIELD_X_REQUEST_ID},
    [13] = {CV_FIELD_CACHE_CONTROL, CV_FIELD_AUTHORIZATION, CV_FIELD_IF_NONE_MATCH, CV_FIELD_ACCEPT_RANGES,
            CV_FIELD_CONTENT_RANGE, CV_FIELD_FLY_CLIENT_IP, CV_FIELD_LAST_EVENT_ID},
    [14] = {CV_FIELD_CONTENT_LENGTH, CV_FIELD_SEC_FETCH_DEST, CV_FIELD_SEC_FETCH_MODE, CV_FIELD_SEC_FETCH_SITE,
            CV_FIELD_SEC_FETCH_USER, CV_FIELD_ACCEPT_CHARSET, CV_FIELD_HX_CURRENT_URL,
            CV_FIELD_SEC_CH_UA_ARCH, CV_FIELD_TRUE_CLIENT_IP},
    [15] = {CV_FIELD_ACCEPT_ENCODING, CV_FIELD_ACCEPT_LANGUAGE, CV_FIELD_X_FORWARDED_FOR,
            CV_FIELD_X_REQUEST_START, CV_FIELD_X_AMZN_TRACE_ID, CV_FIELD_ACCEPT_DATETIME,
            CV_FIELD_IDEMPOTENCY_KEY, CV_FIELD_SEC_CH_UA_MODEL},
    [16] = {CV_FIELD_X_REQUESTED_WITH, CV_FIELD_X_FORWARDED_HOST, CV_FIELD_X_FORWARDED_PORT,
            CV_FIELD_SEC_CH_UA_MOBILE, CV_FIELD_CONTENT_ENCODING, CV_FIELD_CONTENT_LANGUAGE,
            CV_FIELD_CONTENT_LOCATION, CV_FIELD_CF_CONNECTING_IP, CV_FIELD_PROXY_CONNECTION,
            CV_FIELD_X_CORRELATION_ID},
    [17] = {CV_FIELD_TRANSFER_ENCODING, CV_FIELD_IF_MODIFIED_SINCE, CV_FIELD_SEC_WEBSOCKET_KEY,
            CV_FIELD_X_FORWARDED_PROTO},
    [18] = {CV_FIELD_SEC_CH_UA_PLATFORM, CV_FIELD_X_FORWARDED_PREFIX},
    [19] = {CV_FIELD_CONTENT_DISPOSITION, CV_FIELD_IF_UNMODIFIED_SINCE, CV_FIELD_PROXY_AUTHORIZATION},
    [21] = {CV_FIELD_SEC_WEBSOCKET_VERSION},
    [22] = {CV_FIELD_SEC_WEBSOCKET_PROTOCOL, CV_FIELD_X_HTTP_METHOD_OVERRIDE},
    [24] = {CV_FIELD_SEC_FETCH_STORAGE_ACCESS, CV_FIELD_SEC_WEBSOCKET_EXTENSIONS},
    [25] = {CV_FIELD_UPGRADE_INSECURE_REQUESTS},
    [26] = {CV_FIELD_SEC_CH_UA_PLATFORM_VERSION},
    [27] = {CV_FIELD_SEC_CH_PREFERS_COLOR_SCHEME, CV_FIELD_SEC_CH_UA_FULL_VERSION_LIST},
    [29] = {CV_FIELD_ACCESS_CONTROL_REQUEST_METHOD},
    [30] = {CV_FIELD_ACCESS_CONTROL_REQUEST_HEADERS},
    [38] = {CV_FIELD_ACCESS_CONTROL_REQUEST_PRIVATE_NETWORK},
};

/* The first and the last bytes of a name as one word, in the same way for every name of a length: all of its bytes up
 * to seven. A name of one byte has none. */
static uint64_t
word_of_short(const char *name, size_t len)
{
    if (len >= 4) {
        uint32_t head, tail;
        memcpy(&head, name, sizeof(head));
        memcpy(&tail, name + len - sizeof(tail), sizeof(tail));
        return (uint64_t)head << 32 | tail;
    }
    uint16_t head, tail;
    memcpy(&head, name, sizeof(head));
    memcpy(&tail, name + len - sizeof(tail), sizeof(tail));
    return (uint64_t)head << 32 | tail;
}

static uint8_t
find_short(const char *name, size_t len)
{
    uint64_t word = cv_ascii_lower8(word_of_short(name, len));
    for (const uint8_t *id = BY_LENGTH[len]; *id != CV_FIELD_UNKNOWN; id++) {
        if (word_of_short(KNOWN[*id].text, len) == word) {
            return *id;
        }
    }
    return CV_FIELD_UNKNOWN;
}

/* True when `name`, in any case, is `known`, which is in lower case, between their first and last eight bytes. */
static bool
is_same_between(const char *name, const char *known, size_t len)
{
    for (size_t at = 8; at + 8 < len; at += 8) {
        if (cv_ascii_lower8(cv_ascii_load8(name + at)) != cv_ascii_load8(known + at)) {
            return false;
        }
    }
    return true;
}

/* Names of one length mostly differ in their last bytes. */
static uint8_t
find_long(const char *name, size_t len)
{
    uint64_t head = cv_ascii_lower8(cv_ascii_load8(name));
    uint64_t tail = cv_ascii_lower8(cv_ascii_load8(name + len - 8));
    for (const uint8_t *id = BY_LENGTH[len]; *id != CV_FIELD_UNKNOWN; id++) {
        const char *known = KNOWN[*id].text;
        if (cv_ascii_load8(known + len - 8) == tail && cv_ascii_load8(known) == head
            && (len <= 16 || is_same_between(name, known, len))) {
            return *id;
        }
    }
    return CV_FIELD_UNKNOWN;
}

uint8_t
cv_field_id(const char *name, size_t len)
{
    if (len < 2 || len > LONGEST) {
        return CV_FIELD_UNKNOWN;
    }
    return len < 8 ? find_short(name, len) : find_long(name, len);
}

cv_span_t
cv_field_name(uint8_t id)
{
    if (id >= CV_FIELD_COUNT || KNOWN[id].len == 0) {
        return (cv_span_t){0};
    }
    return (cv_span_t){KNOWN[id].text, KNOWN[id].len};
}
