/* SPDX-License-Identifier: MIT */
#include "observe/access_format.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "http/field_names.h"
#include "observe/access_time.h"
#include "observe/access_value.h"
#include "observe/basic_user.h"

/* The kinds of pieces, with the names that they are added by. */
#define KINDS(X)                                                                                                \
    X(TEXT, "text")                     /* what is written between the others */                                \
    X(CLIENT, "client")                 /* 127.0.0.1:51234 */                                                   \
    X(HOST, "host")                     /* 127.0.0.1 */                                                         \
    X(PORT, "port")                     /* 51234 */                                                             \
    X(METHOD, "method")                                                                                         \
    X(PATH, "path")                                                                                             \
    X(QUERY, "query")                                                                                           \
    X(TARGET, "target")                 /* the path, and the query behind '?' if there is one */                \
    X(VERSION, "version")               /* 1.1 */                                                               \
    X(REQUEST_FIELD, "request_field")                                                                           \
    X(REQUEST_STRING, "request_string")                                                                         \
    X(RESPONSE_FIELD, "response_field")                                                                         \
    X(USER, "user")                                                                                             \
    X(STATUS, "status")                                                                                         \
    X(BYTES, "bytes")                                                                                           \
    X(BYTES_OR_DASH, "bytes_or_dash")   /* "-" for none */                                                      \
    X(SECONDS, "seconds")               /* 0 */                                                                 \
    X(SECONDS_3, "seconds_3")           /* 0.012 */                                                             \
    X(SECONDS_6, "seconds_6")           /* 0.012345 */                                                          \
    X(MILLISECONDS, "milliseconds")     /* 12 */                                                                \
    X(MILLISECONDS_3, "milliseconds_3") /* 12.345 */                                                            \
    X(MICROSECONDS, "microseconds")     /* 12345 */                                                             \
    X(TIME_LOCAL, "time_local")         /* 30/Nov/2026:03:16:37 +0100 */                                        \
    X(TIME_ISO, "time_iso")             /* 2026-11-30T03:16:37+01:00 */                                         \
    X(TIME_UTC, "time_utc")             /* 2026-11-30T02:16:37.123Z */                                          \
    X(TIME_UNIX, "time_unix")           /* 1795918597.123 */

enum {
#define ENUMERATE(name, text) PIECE_##name,
    KINDS(ENUMERATE)
#undef ENUMERATE
        PIECES
};

static const char *const KIND_NAMES[PIECES] = {
#define NAME(name, text) text,
    KINDS(NAME)
#undef NAME
};

typedef struct {
    uint8_t kind;
    uint8_t field;  /* of a piece that shows one: which of format->fields */
    uint32_t text;  /* of a text: where in format->texts */
    uint32_t len;
} piece_t;

typedef struct {
    uint32_t name; /* in format->texts */
    uint32_t len;
    uint8_t id;
    bool of_response;
} field_t;

struct cv_access_format {
    bool json;
    cv_buffer_t texts;
    piece_t *pieces;
    size_t count, room;
    field_t fields[CV_ACCESS_FIELDS];
    size_t field_count;
    uint8_t field_of_id[CV_FIELD_COUNT]; /* 1 + the index of a request's field with a known name; 0 for none */
    cv_access_time_t time;
};

cv_access_format_t *
cv_access_format_new(bool json)
{
    cv_access_format_t *format = calloc(1, sizeof(*format));
    if (format != NULL) {
        format->json = json;
    }
    return format;
}

void
cv_access_format_free(cv_access_format_t *format)
{
    if (format != NULL) {
        cv_buffer_deinit(&format->texts);
        free(format->pieces);
        free(format);
    }
}

/* ---- making it ---- */

static int
kind_of(const char *name)
{
    for (int kind = 0; kind < PIECES; kind++) {
        if (strcmp(KIND_NAMES[kind], name) == 0) {
            return kind;
        }
    }
    return -EINVAL;
}

static int
find_field(const cv_access_format_t *format, bool of_response, cv_span_t name)
{
    for (size_t i = 0; i < format->field_count; i++) {
        const field_t *field = &format->fields[i];
        if (field->of_response == of_response && field->len == name.len
            && strncasecmp(format->texts.data + field->name, name.data, name.len) == 0) {
            return (int)i;
        }
    }
    return -1;
}

/* The index of a field, which is a new one unless another piece shows it too. */
static int
want_field(cv_access_format_t *format, bool of_response, cv_span_t name)
{
    int found = find_field(format, of_response, name);
    if (found >= 0) {
        return found;
    }
    if (format->field_count == CV_ACCESS_FIELDS) {
        return -E2BIG;
    }
    uint32_t at = (uint32_t)format->texts.len;
    int error = cv_buffer_append(&format->texts, name.data, name.len);
    if (error < 0) {
        return error;
    }
    uint8_t id = cv_field_id(name.data, name.len);
    format->fields[format->field_count] = (field_t){at, (uint32_t)name.len, id, of_response};
    format->field_count++;
    if (!of_response && id != CV_FIELD_UNKNOWN) {
        format->field_of_id[id] = (uint8_t)format->field_count;
    }
    return (int)format->field_count - 1;
}

static int
make_room(cv_access_format_t *format)
{
    if (format->count < format->room) {
        return 0;
    }
    size_t room = format->room == 0 ? 16 : format->room * 2;
    piece_t *pieces = realloc(format->pieces, room * sizeof(*pieces));
    if (pieces == NULL) {
        return -ENOMEM;
    }
    format->pieces = pieces;
    format->room = room;
    return 0;
}

int
cv_access_format_add(cv_access_format_t *format, const char *kind, cv_span_t text)
{
    int number = kind_of(kind);
    int error = number < 0 ? number : make_room(format);
    if (error < 0) {
        return error;
    }
    piece_t piece = {.kind = (uint8_t)number, .text = (uint32_t)format->texts.len, .len = (uint32_t)text.len};
    if (number == PIECE_TEXT) {
        error = cv_buffer_append(&format->texts, text.data, text.len);
    } else if (number >= PIECE_REQUEST_FIELD && number <= PIECE_USER) {
        static const char AUTHORIZATION[] = "authorization";
        cv_span_t name = number == PIECE_USER ? (cv_span_t){AUTHORIZATION, sizeof(AUTHORIZATION) - 1} : text;
        error = want_field(format, number == PIECE_RESPONSE_FIELD, name);
        piece.field = error < 0 ? 0 : (uint8_t)error;
    }
    if (error < 0) {
        return error;
    }
    format->pieces[format->count++] = piece;
    return 0;
}

size_t
cv_access_format_fields(const cv_access_format_t *format)
{
    return format->field_count;
}

int
cv_access_format_request_field(const cv_access_format_t *format, uint8_t id, cv_span_t name)
{
    return id != CV_FIELD_UNKNOWN ? (int)format->field_of_id[id] - 1 : find_field(format, false, name);
}

int
cv_access_format_response_field(const cv_access_format_t *format, cv_span_t name)
{
    return find_field(format, true, name);
}

bool
cv_access_format_is_response_field(const cv_access_format_t *format, size_t index)
{
    return format->fields[index].of_response;
}

/* ---- writing it ---- */

/* The client's address without its port; behind `port`, that. */
static cv_span_t
part_of_client(cv_span_t client, bool port)
{
    size_t colon = client.len;
    while (colon > 0 && client.data[colon - 1] != ':') {
        colon--;
    }
    if (colon == 0) {
        return port ? (cv_span_t){NULL, 0} : client;
    }
    return port ? (cv_span_t){client.data + colon, client.len - colon} : (cv_span_t){client.data, colon - 1};
}

/* What a piece shows of what the client or the application wrote; `room` is for what has to be decoded. */
static cv_span_t
span_of(const piece_t *piece, const cv_access_entry_t *entry, char room[CV_BASIC_USER_MAX])
{
    switch (piece->kind) {
    case PIECE_CLIENT:
        return entry->client;
    case PIECE_HOST:
    case PIECE_PORT:
        return part_of_client(entry->client, piece->kind == PIECE_PORT);
    case PIECE_METHOD:
        return entry->method;
    case PIECE_PATH:
    case PIECE_TARGET:
        return entry->path;
    case PIECE_QUERY:
        return entry->query;
    case PIECE_VERSION:
        return entry->version;
    case PIECE_USER:
        return cv_basic_user(entry->fields[piece->field], room);
    default:
        return entry->fields[piece->field];
    }
}

static bool
is_span(const piece_t *piece)
{
    return piece->kind >= PIECE_CLIENT && piece->kind <= PIECE_USER;
}

/* The most bytes that the line may take. */
static size_t
bound_of(const cv_access_format_t *format, const cv_access_entry_t *entry)
{
    enum { NUMBER = 32 }; /* any number or time, or what frames a value */
    size_t bound = format->texts.len + format->count * NUMBER;
    char room[CV_BASIC_USER_MAX];
    for (size_t i = 0; i < format->count; i++) {
        const piece_t *piece = &format->pieces[i];
        if (is_span(piece)) {
            size_t query = piece->kind == PIECE_TARGET ? entry->query.len : 0;
            bound += CV_ACCESS_VALUE_GROWTH * (span_of(piece, entry, room).len + query);
        }
    }
    return bound;
}

static char *
put_value(const cv_access_format_t *format, char *at, cv_span_t value)
{
    if (value.len == 0 && !format->json) {
        *at++ = '-';
        return at;
    }
    return cv_access_value_put(at, value, format->json);
}

/* A JSON string, or null. */
static char *
put_string(char *at, cv_span_t value)
{
    if (value.data == NULL) {
        memcpy(at, "null", 4);
        return at + 4;
    }
    *at++ = '"';
    at = cv_access_value_put(at, value, true);
    *at++ = '"';
    return at;
}

static char *
put_span(const cv_access_format_t *format, const piece_t *piece, const cv_access_entry_t *entry, char *at)
{
    char room[CV_BASIC_USER_MAX];
    cv_span_t value = span_of(piece, entry, room);
    if (piece->kind == PIECE_REQUEST_STRING) {
        return put_string(at, value);
    }
    at = put_value(format, at, value);
    if (piece->kind == PIECE_TARGET && entry->query.len != 0) {
        *at++ = '?';
        at = cv_access_value_put(at, entry->query, format->json);
    }
    return at;
}

static char *
put_duration(char *at, uint8_t kind, uint64_t nanoseconds)
{
    static const struct {
        uint32_t unit;
        unsigned decimals;
    } SHOWN[] = {{1000000000, 0}, {1000000, 3}, {1000, 6}, {1000000, 0}, {1000, 3}, {1000, 0}};
    return cv_access_number_put(at, nanoseconds / SHOWN[kind - PIECE_SECONDS].unit,
                                SHOWN[kind - PIECE_SECONDS].decimals);
}

static char *
put_bytes(char *at, const char *bytes, size_t len)
{
    memcpy(at, bytes, len);
    return at + len;
}

static char *
put_time(const cv_access_time_t *time, char *at, uint8_t kind, const struct timespec *now)
{
    unsigned milliseconds = (unsigned)(now->tv_nsec / 1000000);
    switch (kind) {
    case PIECE_TIME_LOCAL:
        return put_bytes(at, time->local, sizeof(time->local));
    case PIECE_TIME_ISO:
        return put_bytes(at, time->iso, sizeof(time->iso));
    case PIECE_TIME_UNIX:
        return cv_access_number_put(at, (uint64_t)now->tv_sec * 1000 + milliseconds, 3);
    default:
        at = put_bytes(at, time->utc, sizeof(time->utc));
        at = cv_access_number_put(at, 1000 + milliseconds, 0); /* four digits, of which the dot takes the first */
        at[-4] = '.';
        *at++ = 'Z';
        return at;
    }
}

static char *
put_piece(const cv_access_format_t *format, const piece_t *piece, const cv_access_entry_t *entry, char *at)
{
    if (piece->kind == PIECE_TEXT) {
        return put_bytes(at, format->texts.data + piece->text, piece->len);
    }
    if (is_span(piece)) {
        return put_span(format, piece, entry, at);
    }
    if (piece->kind >= PIECE_TIME_LOCAL) {
        return put_time(&format->time, at, piece->kind, &entry->now);
    }
    if (piece->kind >= PIECE_SECONDS) {
        return put_duration(at, piece->kind, entry->duration);
    }
    if (piece->kind == PIECE_BYTES_OR_DASH && entry->bytes == 0) {
        *at++ = '-';
        return at;
    }
    return cv_access_number_put(at, piece->kind == PIECE_STATUS ? entry->status : entry->bytes, 0);
}

int
cv_access_format_put(cv_access_format_t *format, const cv_access_entry_t *entry, cv_buffer_t *out)
{
    int error = cv_buffer_reserve(out, bound_of(format, entry));
    if (error < 0) {
        return error;
    }
    cv_access_time_set(&format->time, &entry->now);
    char *at = out->data + out->len;
    for (size_t i = 0; i < format->count; i++) {
        at = put_piece(format, &format->pieces[i], entry, at);
    }
    out->len = (size_t)(at - out->data);
    return 0;
}
