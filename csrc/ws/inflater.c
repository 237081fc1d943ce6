/* SPDX-License-Identifier: MIT */
#include "ws/inflater.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "ws/zlib_memory.h"

enum {
    FIRST_ROOM = 1024,     /* for the output of a short piece */
    LIKELY_RATIO = 4,      /* of text, so that the first room is often enough */
    MOST_LIKELY = 1 << 16, /* room that is taken before there is any output */
    WINDOW_LEAST = 9,      /* old zlibs deflate with 9 bits where they were asked for 8 */
    WINDOW_MOST = 15,
    EDGE = 128,            /* in z_stream's data_type: between two blocks */
    UNUSED_BITS = 63,      /* the same: how many bits of the last byte are left */
};

struct cv_inflater {
    z_stream stream;
    bool is_clean; /* nothing came since the message began or its last final block ended */
};

/* ---- Inflaters --------------------------------------------------------------------------------------------- */

cv_inflater_t *
cv_inflater_new(unsigned bits)
{
    cv_inflater_t *inflater = malloc(sizeof(*inflater));
    if (inflater == NULL) {
        return NULL;
    }
    *inflater = (cv_inflater_t){
        .stream = {.zalloc = cv_zlib_alloc, .zfree = cv_zlib_free},
        .is_clean = true,
    };
    int window = bits < WINDOW_LEAST ? WINDOW_LEAST : (int)bits;
    if (inflateInit2(&inflater->stream, -window) != Z_OK) {
        free(inflater);
        return NULL;
    }
    return inflater;
}

void
cv_inflater_free(cv_inflater_t *inflater)
{
    if (inflater != NULL) {
        inflateEnd(&inflater->stream);
        free(inflater);
    }
}

void
cv_inflaters_init(cv_inflaters_t *pool)
{
    *pool = (cv_inflaters_t){.count = 0};
}

void
cv_inflaters_deinit(cv_inflaters_t *pool)
{
    while (pool->count > 0) {
        cv_inflater_free(pool->spare[--pool->count]);
    }
}

cv_inflater_t *
cv_inflaters_take(cv_inflaters_t *pool)
{
    return pool->count > 0 ? pool->spare[--pool->count] : cv_inflater_new(WINDOW_MOST);
}

void
cv_inflaters_give_back(cv_inflaters_t *pool, cv_inflater_t *inflater)
{
    if (pool->count == CV_INFLATERS_SPARE) {
        cv_inflater_free(inflater);
        return;
    }
    inflateReset(&inflater->stream);
    inflater->is_clean = true;
    pool->spare[pool->count++] = inflater;
}

/* ---- Inflating --------------------------------------------------------------------------------------------- */

/* Sees that `out` has room for a byte at least, but for no more than its limit: the first time as much as text would
 * need, then twice what there is. */
static int
make_room(cv_buffer_t *out, size_t input, size_t limit)
{
    if (out->len < out->cap) {
        return 0;
    }
    size_t likely = input < MOST_LIKELY / LIKELY_RATIO ? input * LIKELY_RATIO : MOST_LIKELY;
    size_t more = likely < FIRST_ROOM ? FIRST_ROOM : likely;
    more = more < out->len ? out->len : more;
    return cv_buffer_grow_to(out, more < limit - out->len ? out->len + more : limit);
}

/* Inflates into what room there is. At the limit one byte is asked for, to see whether there is more. */
static int
step(z_stream *stream, cv_buffer_t *out, size_t limit)
{
    if (out->len >= limit) {
        Bytef beyond;
        stream->next_out = &beyond;
        stream->avail_out = 1;
        int rc = inflate(stream, Z_SYNC_FLUSH);
        return stream->avail_out == 0 ? CV_INFLATE_ESIZE : rc;
    }
    int rc = make_room(out, stream->avail_in, limit);
    if (rc != 0) {
        return rc;
    }
    size_t end = out->cap < limit ? out->cap : limit;
    uInt room = cv_zlib_step(end - out->len);
    stream->next_out = (Bytef *)out->data + out->len;
    stream->avail_out = room;
    rc = inflate(stream, Z_SYNC_FLUSH);
    out->len += room - stream->avail_out;
    return rc;
}

/* What zlib's answer is in ours: 0 where it may go on. zlib tells of a lack of input or room as of an error. */
static int
translate(int rc)
{
    switch (rc) {
    case Z_OK:
    case Z_STREAM_END:
    case Z_BUF_ERROR:
        return 0;
    case Z_MEM_ERROR:
        return -ENOMEM;
    case -ENOMEM:
    case CV_INFLATE_ESIZE:
        return rc;
    default:
        return CV_INFLATE_EDATA;
    }
}

/* Inflates all of stream's input. */
static int
run(cv_inflater_t *inflater, cv_buffer_t *out, size_t limit)
{
    z_stream *stream = &inflater->stream;
    for (;;) {
        int said = step(stream, out, limit);
        int rc = translate(said);
        if (rc != 0) {
            return rc;
        }
        if (said == Z_STREAM_END) {
            /* A final block ends neither the message nor the window (RFC 7692 section 7.2.3.4): what is behind it
             * begins with the next byte, and may refer to what was before it. */
            inflateResetKeep(stream);
            inflater->is_clean = stream->avail_in == 0;
        }
        if (stream->avail_in == 0 && (inflater->is_clean || stream->avail_out != 0)) {
            return 0;
        }
    }
}

int
cv_inflater_feed(cv_inflater_t *inflater, const char *data, size_t len, cv_buffer_t *out, uint64_t limit)
{
    size_t most = limit < SIZE_MAX ? (size_t)limit : SIZE_MAX;
    while (len > 0) {
        uInt part = cv_zlib_step(len);
        inflater->stream.next_in = (z_const Bytef *)data;
        inflater->stream.avail_in = part;
        inflater->is_clean = false;
        int rc = run(inflater, out, most);
        if (rc != 0) {
            return rc;
        }
        data += part;
        len -= part;
    }
    return 0;
}

int
cv_inflater_end(cv_inflater_t *inflater, cv_buffer_t *out, uint64_t limit)
{
    static const char left_out[] = {0x00, 0x00, (char)0xff, (char)0xff};
    if (inflater->is_clean) {
        return 0;
    }
    size_t before = out->len;
    int rc = cv_inflater_feed(inflater, left_out, sizeof left_out, out, limit);
    if (rc != 0) {
        return rc;
    }
    /* They are the length of an empty block. In a message that was cut off they would be read as something else. */
    int type = inflater->stream.data_type;
    if (out->len != before || (type & EDGE) == 0 || (type & UNUSED_BITS) != 0) {
        return CV_INFLATE_EDATA;
    }
    inflater->is_clean = true;
    return 0;
}
