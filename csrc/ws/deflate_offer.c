/* SPDX-License-Identifier: MIT */
#include "ws/deflate_offer.h"

#include <stdio.h>
#include <string.h>

enum { BITS_MOST = 15 };

/* The parameters of permessage-deflate (RFC 7692 section 7.1). */
enum { SERVER_NO_CONTEXT,
       CLIENT_NO_CONTEXT,
       SERVER_BITS,
       CLIENT_BITS,
       PARAM_COUNT };

static const char *const param_names[PARAM_COUNT] = {
    "server_no_context_takeover",
    "client_no_context_takeover",
    "server_max_window_bits",
    "client_max_window_bits",
};

typedef struct {
    const char *at, *end;
} reader_t;

/* The longest value that means anything has two bytes; of longer ones only the length is of interest. */
typedef struct {
    char text[2];
    size_t len; /* 0: there is none */
} value_t;

/* One element of the list. */
typedef struct {
    bool is_ours;         /* permessage-deflate, with nothing wrong so far */
    bool has[PARAM_COUNT];
    uint8_t bits[PARAM_COUNT]; /* 0: without a value */
} offer_t;

/* ---- The list (RFC 6455 section 9.1) ----------------------------------------------------------------------- */

/* A byte of a token (RFC 9110 section 5.6.2). */
static bool
is_token_byte(char c)
{
    bool is_alnum = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    return is_alnum || (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static void
skip_blanks(reader_t *reader)
{
    while (reader->at < reader->end && (*reader->at == ' ' || *reader->at == '\t')) {
        reader->at++;
    }
}

/* Takes `c` off, with the blanks around it. */
static bool
take_byte(reader_t *reader, char c)
{
    skip_blanks(reader);
    if (reader->at == reader->end || *reader->at != c) {
        return false;
    }
    reader->at++;
    skip_blanks(reader);
    return true;
}

static cv_span_t
take_token(reader_t *reader)
{
    const char *start = reader->at;
    while (reader->at < reader->end && is_token_byte(*reader->at)) {
        reader->at++;
    }
    return (cv_span_t){start, (size_t)(reader->at - start)};
}

static void
put_value_byte(value_t *value, char c)
{
    if (value->len < sizeof value->text) {
        value->text[value->len] = c;
    }
    value->len++;
}

/* The rest of a quoted string, whose content has to be a token. False if it is none. */
static bool
take_quoted(reader_t *reader, value_t *value)
{
    while (reader->at < reader->end) {
        char c = *reader->at++;
        if (c == '"') {
            return value->len != 0;
        }
        if (c == '\\' && reader->at < reader->end) {
            c = *reader->at++;
        }
        if (!is_token_byte(c)) {
            return false;
        }
        put_value_byte(value, c);
    }
    return false;
}

static bool
take_value(reader_t *reader, value_t *value)
{
    if (reader->at < reader->end && *reader->at == '"') {
        reader->at++;
        return take_quoted(reader, value);
    }
    cv_span_t token = take_token(reader);
    for (size_t i = 0; i < token.len; i++) {
        put_value_byte(value, token.data[i]);
    }
    return token.len != 0;
}

/* Goes on to the comma that ends an element, which none within quotes does. */
static void
skip_element(reader_t *reader, const char *start)
{
    bool is_quoted = false;
    for (reader->at = start; reader->at < reader->end; reader->at++) {
        char c = *reader->at;
        if (c == '"') {
            is_quoted = !is_quoted;
        } else if (c == '\\' && is_quoted && reader->at + 1 < reader->end) {
            reader->at++;
        } else if (c == ',' && !is_quoted) {
            return;
        }
    }
}

/* ---- One offer --------------------------------------------------------------------------------------------- */

static int
find_param(cv_span_t name)
{
    for (int i = 0; i < PARAM_COUNT; i++) {
        if (name.len == strlen(param_names[i]) && memcmp(name.data, param_names[i], name.len) == 0) {
            return i;
        }
    }
    return -1;
}

/* 8 to 15, without a zero in front (RFC 7692 section 7.1.2.1). 0 for anything else. */
static uint8_t
read_bits(const value_t *value)
{
    const char *text = value->text;
    if (value->len == 1 && (text[0] == '8' || text[0] == '9')) {
        return (uint8_t)(text[0] - '0');
    }
    bool is_ten = value->len == 2 && text[0] == '1' && text[1] >= '0' && text[1] <= '5';
    return (uint8_t)(is_ten ? 10 + (text[1] - '0') : 0);
}

/* False for a parameter that is unknown, was there before, or has a value that it may not have. */
static bool
put_param(offer_t *offer, int id, const value_t *value)
{
    if (id < 0 || offer->has[id]) {
        return false;
    }
    offer->has[id] = true;
    if (value->len == 0) {
        return id != SERVER_BITS;
    }
    offer->bits[id] = read_bits(value);
    return offer->bits[id] != 0 && (id == SERVER_BITS || id == CLIENT_BITS);
}

/* The parameters of an offer, up to where it ends. False if something is wrong with one. */
static bool
take_params(reader_t *reader, offer_t *offer)
{
    while (take_byte(reader, ';')) {
        int id = find_param(take_token(reader));
        value_t value = {.len = 0};
        if (take_byte(reader, '=') && !take_value(reader, &value)) {
            return false;
        }
        if (!put_param(offer, id, &value)) {
            return false;
        }
    }
    return reader->at == reader->end || *reader->at == ',';
}

/* Takes one element off the list. False at its end. */
static bool
next_offer(reader_t *reader, offer_t *offer)
{
    static const char ours[] = "permessage-deflate";
    while (take_byte(reader, ',')) {
    }
    if (reader->at == reader->end) {
        return false;
    }
    const char *start = reader->at;
    cv_span_t name = take_token(reader);
    *offer = (offer_t){.is_ours = name.len == sizeof ours - 1 && memcmp(name.data, ours, name.len) == 0};
    offer->is_ours = offer->is_ours && take_params(reader, offer);
    if (!offer->is_ours) {
        skip_element(reader, start);
    }
    return true;
}

/* ---- What is agreed upon ----------------------------------------------------------------------------------- */

static uint8_t
fewer(uint8_t asked, uint8_t window)
{
    return asked != 0 && asked < window ? asked : window;
}

static void
agree(const offer_t *offer, const cv_deflate_rules_t *rules, cv_deflate_terms_t *out)
{
    out->agreed = true;
    out->server_context = rules->context && !offer->has[SERVER_NO_CONTEXT];
    out->client_context = rules->context && !offer->has[CLIENT_NO_CONTEXT];
    out->server_bits = fewer(offer->bits[SERVER_BITS], rules->window);
    out->names_server_bits = offer->has[SERVER_BITS] || out->server_bits < BITS_MOST;
    /* Without a context theirs costs us nothing; a hint (section 7.1.2.2) holds without an answer to it, too. */
    out->names_client_bits = out->client_context && offer->has[CLIENT_BITS];
    out->client_bits = fewer(offer->bits[CLIENT_BITS], out->names_client_bits ? rules->window : BITS_MOST);
}

bool
cv_deflate_negotiate(cv_span_t offers, const cv_deflate_rules_t *rules, cv_deflate_terms_t *out)
{
    *out = (cv_deflate_terms_t){.agreed = false};
    reader_t reader = {offers.data, offers.data + offers.len};
    offer_t offer;
    while (rules->enabled && !out->agreed && next_offer(&reader, &offer)) {
        if (offer.is_ours) {
            agree(&offer, rules, out);
        }
    }
    return out->agreed;
}

size_t
cv_deflate_answer(const cv_deflate_terms_t *terms, char out[CV_DEFLATE_ANSWER_MAX])
{
    char server_bits[32] = "", client_bits[32] = "";
    if (terms->names_server_bits) {
        snprintf(server_bits, sizeof server_bits, "; server_max_window_bits=%u", terms->server_bits);
    }
    if (terms->names_client_bits) {
        snprintf(client_bits, sizeof client_bits, "; client_max_window_bits=%u", terms->client_bits);
    }
    int len = snprintf(out, CV_DEFLATE_ANSWER_MAX, "permessage-deflate%s%s%s%s",
                       terms->server_context ? "" : "; server_no_context_takeover",
                       terms->client_context ? "" : "; client_no_context_takeover", server_bits, client_bits);
    return (size_t)len;
}
