/* SPDX-License-Identifier: MIT */
#include "asgi/recent.h"

#include <stdbool.h>
#include <string.h>

#include "http/field_names.h"

enum {
    VALUE_MAX = 256, /* longer values and paths are not kept */
    PATH_MAX_LEN = 128,
};

/* Fields whose values a client, or all clients of a kind, send again and again. */
static const bool is_repeated[CV_FIELD_COUNT] = {
    [CV_FIELD_HOST] = true,
    [CV_FIELD_CONNECTION] = true,
    [CV_FIELD_CONTENT_LENGTH] = true,
    [CV_FIELD_CONTENT_TYPE] = true,
    [CV_FIELD_TRANSFER_ENCODING] = true,
    [CV_FIELD_EXPECT] = true,
    [CV_FIELD_UPGRADE] = true,
    [CV_FIELD_ACCEPT] = true,
    [CV_FIELD_ACCEPT_CHARSET] = true,
    [CV_FIELD_ACCEPT_ENCODING] = true,
    [CV_FIELD_ACCEPT_LANGUAGE] = true,
    [CV_FIELD_ACCESS_CONTROL_REQUEST_HEADERS] = true,
    [CV_FIELD_ACCESS_CONTROL_REQUEST_METHOD] = true,
    [CV_FIELD_CACHE_CONTROL] = true,
    [CV_FIELD_CDN_LOOP] = true,
    [CV_FIELD_CF_IPCOUNTRY] = true,
    [CV_FIELD_CF_VISITOR] = true,
    [CV_FIELD_CONTENT_ENCODING] = true,
    [CV_FIELD_DNT] = true,
    [CV_FIELD_HX_REQUEST] = true,
    [CV_FIELD_KEEP_ALIVE] = true,
    [CV_FIELD_ORIGIN] = true,
    [CV_FIELD_PRAGMA] = true,
    [CV_FIELD_PRIORITY] = true,
    [CV_FIELD_PURPOSE] = true,
    [CV_FIELD_SAVE_DATA] = true,
    [CV_FIELD_SEC_CH_PREFERS_COLOR_SCHEME] = true,
    [CV_FIELD_SEC_CH_UA] = true,
    [CV_FIELD_SEC_CH_UA_ARCH] = true,
    [CV_FIELD_SEC_CH_UA_FULL_VERSION_LIST] = true,
    [CV_FIELD_SEC_CH_UA_MOBILE] = true,
    [CV_FIELD_SEC_CH_UA_MODEL] = true,
    [CV_FIELD_SEC_CH_UA_PLATFORM] = true,
    [CV_FIELD_SEC_CH_UA_PLATFORM_VERSION] = true,
    [CV_FIELD_SEC_FETCH_DEST] = true,
    [CV_FIELD_SEC_FETCH_MODE] = true,
    [CV_FIELD_SEC_FETCH_SITE] = true,
    [CV_FIELD_SEC_FETCH_STORAGE_ACCESS] = true,
    [CV_FIELD_SEC_FETCH_USER] = true,
    [CV_FIELD_SEC_GPC] = true,
    [CV_FIELD_SEC_PURPOSE] = true,
    [CV_FIELD_SEC_WEBSOCKET_EXTENSIONS] = true,
    [CV_FIELD_SEC_WEBSOCKET_PROTOCOL] = true,
    [CV_FIELD_SEC_WEBSOCKET_VERSION] = true,
    [CV_FIELD_TE] = true,
    [CV_FIELD_UPGRADE_INSECURE_REQUESTS] = true,
    [CV_FIELD_USER_AGENT] = true,
    [CV_FIELD_VIA] = true,
    [CV_FIELD_X_FORWARDED_HOST] = true,
    [CV_FIELD_X_FORWARDED_PORT] = true,
    [CV_FIELD_X_FORWARDED_PREFIX] = true,
    [CV_FIELD_X_FORWARDED_PROTO] = true,
    [CV_FIELD_X_REQUESTED_WITH] = true,
};

/* A cheap hash of the length, both ends and `salt`: a collision costs no more than making the object anew. */
static unsigned
place_of(cv_span_t bytes, uint64_t salt, unsigned places)
{
    uint64_t first = 0;
    uint64_t last = 0;
    if (bytes.len >= sizeof first) {
        memcpy(&first, bytes.data, sizeof first);
        memcpy(&last, bytes.data + bytes.len - sizeof last, sizeof last);
    } else {
        for (size_t i = 0; i < bytes.len; i++) {
            first = first << 8 | (unsigned char)bytes.data[i];
        }
    }
    uint64_t hash = (first ^ (last << 1) ^ (salt << 40) ^ (bytes.len << 48)) * UINT64_C(0x9E3779B97F4A7C15);
    return (unsigned)(hash >> 40) & (places - 1);
}

static PyObject *
make_pair(PyObject *name, cv_span_t value)
{
    PyObject *pair = PyTuple_New(2);
    PyObject *bytes = PyBytes_FromStringAndSize(value.data, (Py_ssize_t)value.len);
    if (pair == NULL || bytes == NULL) {
        Py_XDECREF(pair);
        Py_XDECREF(bytes);
        return NULL;
    }
    PyTuple_SET_ITEM(pair, 0, Py_NewRef(name));
    PyTuple_SET_ITEM(pair, 1, bytes);
    return pair;
}

static bool
is_pair_of(PyObject *pair, PyObject *name, cv_span_t value)
{
    if (pair == NULL || PyTuple_GET_ITEM(pair, 0) != name) {
        return false;
    }
    PyObject *bytes = PyTuple_GET_ITEM(pair, 1);
    return (size_t)PyBytes_GET_SIZE(bytes) == value.len && memcmp(PyBytes_AS_STRING(bytes), value.data, value.len) == 0;
}

PyObject *
cv_recent_field(cv_recent_t *recent, uint8_t id, PyObject *name, cv_span_t value)
{
    if (!is_repeated[id] || value.len > VALUE_MAX) {
        return make_pair(name, value);
    }
    PyObject **place = &recent->fields[place_of(value, id, CV_RECENT_FIELDS)];
    if (!is_pair_of(*place, name, value)) {
        PyObject *pair = make_pair(name, value);
        if (pair == NULL) {
            return NULL;
        }
        Py_XSETREF(*place, pair);
    }
    return Py_NewRef(*place);
}

cv_recent_path_t *
cv_recent_path(cv_recent_t *recent, cv_span_t raw)
{
    return raw.len > PATH_MAX_LEN ? NULL : &recent->paths[place_of(raw, 0, CV_RECENT_PATHS)];
}

bool
cv_recent_path_is(const cv_recent_path_t *place, cv_span_t raw, size_t prefix_len)
{
    if (place->raw_path == NULL || (size_t)PyBytes_GET_SIZE(place->raw_path) != prefix_len + raw.len) {
        return false;
    }
    return memcmp(PyBytes_AS_STRING(place->raw_path) + prefix_len, raw.data, raw.len) == 0;
}

void
cv_recent_path_set(cv_recent_path_t *place, PyObject *path, PyObject *raw_path)
{
    Py_XSETREF(place->path, Py_NewRef(path));
    Py_XSETREF(place->raw_path, Py_NewRef(raw_path));
}

void
cv_recent_clear(cv_recent_t *recent)
{
    for (unsigned i = 0; i < CV_RECENT_FIELDS; i++) {
        Py_CLEAR(recent->fields[i]);
    }
    for (unsigned i = 0; i < CV_RECENT_PATHS; i++) {
        Py_CLEAR(recent->paths[i].path);
        Py_CLEAR(recent->paths[i].raw_path);
    }
}
