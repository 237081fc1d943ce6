/* SPDX-License-Identifier: MIT */
#include "ws/deflater.h"

#include <errno.h>
#include <stdlib.h>

#include "ws/zlib_memory.h"

enum {
    MEMORY_LEVEL = 5,      /* 8 KiB to clear for each message (docs/decisions/0073-zlib-of-the-system.md) */
    TAIL = 4,              /* 00 00 ff ff, which every message would end with */
    MOST_LIKELY = 1 << 16, /* room that is taken before there is any output */
    LEAST_ROOM = 64,       /* zlib wants more than 6 bytes, or it may flush twice */
};

struct cv_deflater {
    z_stream stream;
};

/* ---- Deflaters --------------------------------------------------------------------------------------------- */

cv_deflater_t *
cv_deflater_new(unsigned level, unsigned bits)
{
    cv_deflater_t *deflater = malloc(sizeof(*deflater));
    if (deflater == NULL) {
        return NULL;
    }
    *deflater = (cv_deflater_t){.stream = {.zalloc = cv_zlib_alloc, .zfree = cv_zlib_free}};
    bool is_least = bits == CV_DEFLATE_BITS_LEAST;
    int window = is_least ? CV_DEFLATE_BITS_LEAST + 1 : (int)bits;
    int strategy = is_least ? Z_HUFFMAN_ONLY : Z_DEFAULT_STRATEGY;
    if (deflateInit2(&deflater->stream, (int)level, Z_DEFLATED, -window, MEMORY_LEVEL, strategy) != Z_OK) {
        free(deflater);
        return NULL;
    }
    return deflater;
}

void
cv_deflater_free(cv_deflater_t *deflater)
{
    if (deflater != NULL) {
        deflateEnd(&deflater->stream);
        free(deflater);
    }
}

void
cv_deflaters_init(cv_deflaters_t *shared, unsigned level)
{
    *shared = (cv_deflaters_t){.level = level};
}

void
cv_deflaters_deinit(cv_deflaters_t *shared)
{
    for (unsigned i = 0; i <= CV_DEFLATE_BITS_MOST - CV_DEFLATE_BITS_LEAST; i++) {
        cv_deflater_free(shared->by_bits[i]);
        shared->by_bits[i] = NULL;
    }
}

cv_deflater_t *
cv_deflaters_get(cv_deflaters_t *shared, unsigned bits)
{
    cv_deflater_t **place = &shared->by_bits[bits - CV_DEFLATE_BITS_LEAST];
    if (*place == NULL) {
        *place = cv_deflater_new(shared->level, bits);
    }
    return *place;
}

/* ---- Deflating --------------------------------------------------------------------------------------------- */

/* Deflates stream's input to its end, and with Z_SYNC_FLUSH whatever zlib has kept back. */
static int
drain(z_stream *stream, int flush, cv_buffer_t *out)
{
    do {
        int rc = cv_buffer_reserve(out, LEAST_ROOM);
        if (rc != 0) {
            return rc;
        }
        uInt room = cv_zlib_step(out->cap - out->len);
        stream->next_out = (Bytef *)out->data + out->len;
        stream->avail_out = room;
        deflate(stream, flush); /* can say no more than that it had nothing to do */
        out->len += room - stream->avail_out;
    } while (stream->avail_out == 0);
    return 0;
}

static int
run(z_stream *stream, const char *data, size_t len, cv_buffer_t *out)
{
    int rc = 0;
    while (rc == 0 && len > 0) {
        uInt part = cv_zlib_step(len);
        stream->next_in = (z_const Bytef *)data;
        stream->avail_in = part;
        data += part;
        len -= part;
        rc = drain(stream, len > 0 ? Z_NO_FLUSH : Z_SYNC_FLUSH, out);
    }
    return rc;
}

void
cv_deflater_reset(cv_deflater_t *deflater)
{
    deflateReset(&deflater->stream);
}

int
cv_deflater_run(cv_deflater_t *deflater, const char *data, size_t len, bool keeps_context, cv_buffer_t *out)
{
    if (len == 0) {
        return cv_buffer_append(out, "", 1); /* an empty block (RFC 7692 section 7.2.3.6) */
    }
    size_t before = out->len;
    /* Most messages shrink to less than half, and the room doubles for those that don't. */
    size_t likely = len / 2 < MOST_LIKELY ? len / 2 : MOST_LIKELY;
    int rc = cv_buffer_reserve(out, likely + LEAST_ROOM);
    rc = rc != 0 ? rc : run(&deflater->stream, data, len, out);
    if (rc != 0 || !keeps_context) {
        cv_deflater_reset(deflater);
    }
    out->len = rc != 0 ? before : out->len - TAIL;
    return rc;
}
