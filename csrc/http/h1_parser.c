/* SPDX-License-Identifier: MIT */
#include "http/h1_parser.h"

#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "http/field_names.h"
#include "http/h1_rules.h"

/* What a message is at. */
enum {
    START = 0,      /* before the first byte of a request line */
    START_CR,       /* a CR came before a request line */
    REQUEST_LINE,   /* in it: a head is taken from the pool */
    UNKNOWN_METHOD, /* in a method that llhttp does not know: its end says which error it is */
    FIELDS,         /* behind the version */
    BODY,           /* behind the head: body, chunk framing, trailers */
    BROKEN,         /* `error` is for good */
};

enum { BLANK_LINES_MAX = 4 }; /* RFC 9112 section 2.2 asks for one before a request line */

/* ---- spare heads ---- */

void
cv_h1_pool_init(cv_h1_pool_t *pool)
{
    pool->count = 0;
}

void
cv_h1_pool_deinit(cv_h1_pool_t *pool)
{
    while (pool->count > 0) {
        free(pool->spare[--pool->count]);
    }
}

static cv_h1_head_t *
pool_take(cv_h1_pool_t *pool)
{
    cv_h1_head_t *head = pool->count > 0 ? pool->spare[--pool->count] : malloc(sizeof(*head));
    if (head != NULL) {
        memset(head, 0, offsetof(cv_h1_head_t, fields) + sizeof(head->fields[0]));
    }
    return head;
}

static void
pool_give(cv_h1_pool_t *pool, cv_h1_head_t *head)
{
    if (pool->count < sizeof(pool->spare) / sizeof(pool->spare[0])) {
        pool->spare[pool->count++] = head;
    } else {
        free(head);
    }
}

/* ---- llhttp's callbacks: 0, or anything else to stop, with `error` set ---- */

static cv_h1_parser_t *
parser_of(llhttp_t *llhttp)
{
    return CV_CONTAINER_OF(llhttp, cv_h1_parser_t, llhttp);
}

static int
stop(cv_h1_parser_t *parser, int error)
{
    parser->error = error;
    return -1;
}

static uint32_t
offset_of(const cv_h1_head_t *head, const char *at)
{
    return (uint32_t)(at - head->base);
}

static int
on_method_complete(llhttp_t *llhttp)
{
    /* PRI waits for what follows it. llhttp knows the others for RTSP and ICE. */
    bool known = llhttp->method < HTTP_SOURCE || llhttp->method == HTTP_QUERY || llhttp->method == HTTP_PRI;
    return known ? 0 : stop(parser_of(llhttp), CV_H1_EMETHOD);
}

static int
on_url(llhttp_t *llhttp, const char *at, size_t len)
{
    cv_h1_head_t *head = parser_of(llhttp)->head;
    if (head->target_len == 0) {
        head->target = offset_of(head, at);
    }
    head->target_len = offset_of(head, at + len) - head->target;
    return 0;
}

static int
on_url_complete(llhttp_t *llhttp)
{
    cv_h1_parser_t *parser = parser_of(llhttp);
    cv_h1_head_t *head = parser->head;
    head->method_len = head->target - 1;
    if (head->base[head->method_len - 1] == ' ') {
        return stop(parser, CV_H1_ETARGET); /* llhttp takes more than one space */
    }
    if (llhttp->method == HTTP_PRI) {
        return 0;
    }
    int rc = cv_h1_rules_target(head, llhttp->method == HTTP_CONNECT, llhttp->method == HTTP_OPTIONS);
    return rc == 0 ? 0 : stop(parser, rc);
}

static int
on_version_complete(llhttp_t *llhttp)
{
    static const char BEFORE[] = " HTTP/"; /* llhttp takes more spaces, and RTSP/ */
    cv_h1_parser_t *parser = parser_of(llhttp);
    cv_h1_head_t *head = parser->head;
    uint32_t end = head->target + head->target_len;
    if (memcmp(head->base + end, BEFORE, sizeof(BEFORE) - 1) != 0) {
        return stop(parser, CV_H1_EVERSION_SYNTAX);
    }
    if (llhttp->method == HTTP_PRI) {
        /* The preface of RFC 9113 section 3.4; PRI is no method for anything else. */
        return stop(parser, llhttp->http_major == 2 ? CV_H1_EHTTP2 : CV_H1_EMETHOD);
    }
    if (llhttp->http_major != 1 || llhttp->http_minor > 1) {
        return stop(parser, CV_H1_EVERSION);
    }
    if (end + sizeof(" HTTP/1.1") - 1 > parser->limits->line) {
        return stop(parser, CV_H1_ETARGET_LONG);
    }
    head->minor = llhttp->http_minor;
    parser->state = FIELDS;
    return 0;
}

/* Counts what comes after the head and is thrown away, so that it has an end too. The error is that of any other
 * fault in a body: which of two llhttp comes to first depends on how the bytes are cut. */
static int
count_extra(cv_h1_parser_t *parser, size_t len)
{
    parser->extra_bytes += (uint32_t)len;
    return parser->extra_bytes <= parser->limits->head ? 0 : stop(parser, CV_H1_ECHUNK);
}

static int
on_header_field(llhttp_t *llhttp, const char *at, size_t len)
{
    cv_h1_parser_t *parser = parser_of(llhttp);
    cv_h1_head_t *head = parser->head;
    if (parser->state != FIELDS) {
        /* A request line without a version is HTTP/0.9 to llhttp. */
        return parser->state == BODY ? count_extra(parser, len) : stop(parser, CV_H1_EVERSION_SYNTAX);
    }
    if (head->field_count < parser->limits->fields) {
        cv_h1_field_t *field = &head->fields[head->field_count];
        if (field->name_len == 0) {
            field->name = offset_of(head, at);
        }
        field->name_len = offset_of(head, at + len) - field->name;
    }
    return 0;
}

static int
on_header_field_complete(llhttp_t *llhttp)
{
    cv_h1_parser_t *parser = parser_of(llhttp);
    cv_h1_head_t *head = parser->head;
    if (parser->state == BODY) {
        return ++parser->extra_fields <= parser->limits->fields ? 0 : stop(parser, CV_H1_ECHUNK);
    }
    parser->in_value = true;
    if (head->field_count >= parser->limits->fields) {
        return stop(parser, CV_H1_EFIELDS_MANY);
    }
    cv_h1_field_t *field = &head->fields[head->field_count];
    if (field->name_len == 0) {
        return stop(parser, CV_H1_EFIELD_NAME);
    }
    field->id = cv_field_id(head->base + field->name, field->name_len);
    field->value = field->name + field->name_len; /* where an empty value stays */
    return 0;
}

static int
on_header_value(llhttp_t *llhttp, const char *at, size_t len)
{
    cv_h1_parser_t *parser = parser_of(llhttp);
    cv_h1_head_t *head = parser->head;
    if (parser->state == BODY) {
        return count_extra(parser, len);
    }
    cv_h1_field_t *field = &head->fields[head->field_count];
    if (field->value_len == 0) {
        field->value = offset_of(head, at);
    }
    field->value_len = offset_of(head, at + len) - field->value;
    return 0;
}

static int
on_header_value_complete(llhttp_t *llhttp)
{
    cv_h1_parser_t *parser = parser_of(llhttp);
    cv_h1_head_t *head = parser->head;
    parser->in_value = false;
    if (parser->state == BODY) {
        return 0;
    }
    cv_h1_field_t *field = &head->fields[head->field_count++];
    const char *value = head->base + field->value;
    while (field->value_len > 0
           && (value[field->value_len - 1] == ' ' || value[field->value_len - 1] == '\t')) {
        field->value_len--;
    }
    if (head->field_count < CV_H1_FIELDS_CEILING) {
        head->fields[head->field_count].name_len = head->fields[head->field_count].value_len = 0;
    }
    return 0;
}

/* The length of the head: its last line ends at the first LF behind what we have, an empty line follows. */
static uint32_t
head_size(const cv_h1_head_t *head)
{
    uint32_t at = head->target + head->target_len;
    if (head->field_count > 0) {
        const cv_h1_field_t *last = &head->fields[head->field_count - 1];
        at = last->value + last->value_len;
    }
    while (head->base[at] != '\n') {
        at++;
    }
    return at + 1 + 2;
}

static int
on_headers_complete(llhttp_t *llhttp)
{
    cv_h1_parser_t *parser = parser_of(llhttp);
    if (parser->state != FIELDS) {
        return stop(parser, CV_H1_EVERSION_SYNTAX);
    }
    cv_h1_head_t *head = parser->head;
    int rc = cv_h1_rules_fields(head);
    if (rc == 0 && llhttp->content_length > INT64_MAX) {
        rc = CV_H1_ECONTENT_LENGTH;
    }
    if (rc != 0) {
        return stop(parser, rc);
    }
    head->is_head = llhttp->method == HTTP_HEAD;
    head->content_length = head->chunked ? 0 : llhttp->content_length;
    head->has_body = head->chunked || head->content_length != 0;
    head->size = head_size(head);
    /* What our rules read is what llhttp goes on with: it does not see a coding behind a tab, and would end the
     * parse at an Upgrade or CONNECT, where we go on with plain HTTP until somebody switches protocols. */
    if (head->chunked) {
        llhttp->flags |= F_CHUNKED;
    }
    llhttp->upgrade = 0;
    parser->head = NULL;
    parser->state = BODY;
    rc = parser->events->on_head(parser->owner, head);
    pool_give(parser->pool, head);
    return rc == 0 ? 0 : stop(parser, rc);
}

static int
on_body(llhttp_t *llhttp, const char *data, size_t len)
{
    cv_h1_parser_t *parser = parser_of(llhttp);
    if (len == 0) {
        return 0;
    }
    int rc = parser->events->on_body(parser->owner, data, len);
    return rc == 0 ? 0 : stop(parser, rc);
}

static int
on_chunk_extension(llhttp_t *llhttp, const char *at, size_t len)
{
    (void)at;
    return count_extra(parser_of(llhttp), len);
}

static int
on_message_complete(llhttp_t *llhttp)
{
    (void)llhttp;
    return HPE_PAUSED; /* so that feed knows where the message ends */
}

static const llhttp_settings_t SETTINGS = {
    .on_method_complete = on_method_complete,
    .on_url = on_url,
    .on_url_complete = on_url_complete,
    .on_version_complete = on_version_complete,
    .on_header_field = on_header_field,
    .on_header_field_complete = on_header_field_complete,
    .on_header_value = on_header_value,
    .on_header_value_complete = on_header_value_complete,
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_chunk_extension_name = on_chunk_extension,
    .on_chunk_extension_value = on_chunk_extension,
    .on_message_complete = on_message_complete,
};

/* ---- what llhttp's errors are to us ---- */

/* llhttp stopped in a version or right behind it, at the last byte before `end`:
 * "HTTP/" digit "." digit is a version, though not ours. */
static int
version_error(const cv_h1_head_t *head, const char *end)
{
    enum {
        MAJOR = sizeof(" HTTP/") - 1, /* where the digits stand */
        MINOR = MAJOR + 2,
        BEHIND,
    };
    const char *text = head->base + head->target + head->target_len;
    size_t len = (size_t)(end - text);
    if (len <= MINOR || memcmp(text, " HTTP/", MAJOR) != 0) {
        return CV_H1_EVERSION_SYNTAX;
    }
    char major = text[MAJOR], minor = text[MINOR];
    bool is_version = major >= '0' && major <= '9' && text[MAJOR + 1] == '.' && minor >= '0' && minor <= '9';
    bool is_ours = is_version && major == '1' && (minor == '0' || minor == '1');
    if (is_version && !is_ours) {
        return CV_H1_EVERSION;
    }
    return is_ours && len > BEHIND && text[BEHIND] == '\n' ? CV_H1_ELINE_END : CV_H1_EVERSION_SYNTAX;
}

/* A line that begins with a space is folded (RFC 9112 section 5.2), one that is LF alone ended badly. */
static int
field_error(const cv_h1_parser_t *parser, const char *at, const char *end)
{
    if (at[-1] == '\n') {
        bool folded = at[-2] == '\r' && at < end && (*at == ' ' || *at == '\t');
        if (folded || at[-2] == '\n' || parser->in_value) {
            return CV_H1_ELINE_END;
        }
    }
    return parser->in_value ? CV_H1_EFIELD_VALUE : CV_H1_EFIELD_NAME;
}

/* `end` is where the bytes end that llhttp was given. */
static int
llhttp_error(const cv_h1_parser_t *parser, llhttp_errno_t error, const char *end)
{
    const char *at = llhttp_get_error_pos(&parser->llhttp); /* the byte it stopped at, or the one behind it */
    if (parser->state == BODY) {
        return CV_H1_ECHUNK;
    }
    if (error == HPE_INVALID_URL) {
        return CV_H1_ETARGET;
    }
    if (parser->state == REQUEST_LINE) {
        return error == HPE_INVALID_VERSION ? version_error(parser->head, end) : CV_H1_EVERSION_SYNTAX;
    }
    switch (error) {
    case HPE_INVALID_VERSION:
        return version_error(parser->head, end);
    case HPE_INVALID_HEADER_TOKEN:
        return field_error(parser, at, end);
    case HPE_UNEXPECTED_SPACE:
    case HPE_CR_EXPECTED:
    case HPE_LF_EXPECTED:
    case HPE_STRICT:
        return CV_H1_ELINE_END;
    case HPE_INVALID_CONTENT_LENGTH:
    case HPE_UNEXPECTED_CONTENT_LENGTH:
        return (parser->llhttp.flags & F_TRANSFER_ENCODING) != 0 ? CV_H1_ETRANSFER_ENCODING
                                                                 : CV_H1_ECONTENT_LENGTH;
    case HPE_INVALID_TRANSFER_ENCODING:
        return CV_H1_ETRANSFER_ENCODING;
    default:
        return CV_H1_EMALFORMED;
    }
}

/* ---- feeding ---- */

/* Skips empty lines before a request line. Returns the first byte behind them. */
static const char *
skip_blank_lines(cv_h1_parser_t *parser, const char *at, const char *end)
{
    for (; at < end; at++) {
        if (parser->state == START_CR) {
            if (*at != '\n') {
                parser->error = CV_H1_ELINE_END;
                return at;
            }
            parser->state = START;
        } else if (*at == '\r' && parser->blank_lines < BLANK_LINES_MAX) {
            parser->blank_lines++;
            parser->state = START_CR;
        } else {
            if (*at == '\n' || *at == '\r') {
                parser->error = *at == '\n' ? CV_H1_ELINE_END : CV_H1_EMALFORMED;
            }
            return at;
        }
    }
    return at;
}

/* Looks for the end of a method that is not known, no further than a request line may go. */
static int
scan_method(cv_h1_parser_t *parser, const char *from, const char *end)
{
    const char *base = parser->head->base;
    const char *last = (size_t)(end - base) > parser->limits->line ? base + parser->limits->line : end;
    for (const char *at = from; at < last; at++) {
        if (!cv_h1_is_token_byte(*at)) {
            return *at == ' ' && at != base ? CV_H1_EMETHOD : CV_H1_EMETHOD_SYNTAX;
        }
    }
    parser->head_fed = (uint32_t)(end - base);
    return last < end ? CV_H1_EMETHOD : CV_H1_MORE;
}

/* How many of `len` bytes llhttp may see before the limits are looked at. */
static size_t
allowed(const cv_h1_parser_t *parser, size_t len)
{
    if (parser->state == BODY) {
        return len;
    }
    uint32_t most = parser->limits->head;
    if (parser->state == REQUEST_LINE && parser->limits->line < most) {
        most = parser->limits->line + 1; /* one more tells a line of just that size from a longer one */
    }
    size_t room = most > parser->head_fed ? most - parser->head_fed : 0;
    return len < room ? len : room;
}

/* Gives llhttp `len` bytes. CV_H1_MORE, CV_H1_END with *out_used, or an error. */
static int
execute(cv_h1_parser_t *parser, const char *data, size_t len, size_t *out_used)
{
    llhttp_errno_t error = llhttp_execute(&parser->llhttp, data, len);
    if (error == HPE_OK) {
        *out_used = len;
        parser->head_fed += (uint32_t)len;
        return CV_H1_MORE;
    }
    if (parser->error != 0) {
        return parser->error;
    }
    if (error == HPE_PAUSED) {
        *out_used = (size_t)(llhttp_get_error_pos(&parser->llhttp) - data);
        return CV_H1_END;
    }
    if (error == HPE_INVALID_METHOD) {
        *out_used = len;
        parser->state = UNKNOWN_METHOD;
        return scan_method(parser, parser->head->base, data + len);
    }
    return llhttp_error(parser, error, data + len);
}

/* Makes the parser ready for the next message. */
static void
start_over(cv_h1_parser_t *parser)
{
    llhttp_reset(&parser->llhttp);
    parser->state = START;
    parser->blank_lines = 0;
    parser->in_value = false;
    parser->head_fed = 0;
    parser->extra_fields = 0;
    parser->extra_bytes = 0;
}

/* One step of feed: as feed, but may use fewer bytes and return CV_H1_MORE. */
static int
step(cv_h1_parser_t *parser, const char *data, size_t len, size_t *out_used)
{
    if (parser->state == START || parser->state == START_CR) {
        const char *first = skip_blank_lines(parser, data, data + len);
        *out_used = (size_t)(first - data);
        if (parser->error != 0 || *out_used == len) {
            return parser->error;
        }
        parser->head = pool_take(parser->pool);
        if (parser->head == NULL) {
            return CV_H1_ENOMEM;
        }
        parser->head->base = first;
        parser->state = REQUEST_LINE;
        return CV_H1_MORE;
    }
    if (parser->state == UNKNOWN_METHOD) {
        *out_used = len;
        return scan_method(parser, data, data + len);
    }
    size_t part = allowed(parser, len);
    if (part == 0) {
        return parser->state == REQUEST_LINE ? CV_H1_ETARGET_LONG : CV_H1_EHEAD_LARGE;
    }
    return execute(parser, data, part, out_used);
}

int
cv_h1_parser_feed(cv_h1_parser_t *parser, const char *data, size_t len, size_t *out_used)
{
    size_t used = 0;
    int rc = parser->error;
    while (rc == CV_H1_MORE && used < len) {
        size_t part = 0;
        rc = step(parser, data + used, len - used, &part);
        used += part;
    }
    *out_used = used;
    if (rc == CV_H1_END) {
        start_over(parser);
    } else if (rc < 0) {
        parser->error = rc;
        parser->state = BROKEN;
    }
    return rc;
}

/* ---- life ---- */

void
cv_h1_parser_init(cv_h1_parser_t *parser, const cv_h1_events_t *events,
                  const cv_h1_limits_t *limits, cv_h1_pool_t *pool, void *owner)
{
    memset(parser, 0, sizeof(*parser));
    llhttp_init(&parser->llhttp, HTTP_REQUEST, &SETTINGS);
    parser->events = events;
    parser->limits = limits;
    parser->pool = pool;
    parser->owner = owner;
}

void
cv_h1_parser_deinit(cv_h1_parser_t *parser)
{
    if (parser->head != NULL) {
        pool_give(parser->pool, parser->head);
        parser->head = NULL;
    }
}

bool
cv_h1_parser_in_head(const cv_h1_parser_t *parser)
{
    return parser->head != NULL;
}

size_t
cv_h1_parser_head_fed(const cv_h1_parser_t *parser)
{
    return parser->head != NULL ? parser->head_fed : 0;
}

void
cv_h1_parser_rebase(cv_h1_parser_t *parser, const char *base)
{
    if (parser->head != NULL) {
        parser->head->base = base;
    }
}
