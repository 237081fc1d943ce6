/* SPDX-License-Identifier: MIT
 *
 * A growing run of bytes in one piece.
 *
 * Owns:    its memory, from the first reserve to deinit.
 * Thread:  the one that owns the buffer.
 * Errors:  -ENOMEM; the buffer is then as it was.
 */
#ifndef CUVEE_BASE_BUFFER_H
#define CUVEE_BASE_BUFFER_H

#include <stddef.h>
#include <string.h>

typedef struct {
    char *data;  /* NULL while cap is 0 */
    size_t len;  /* bytes in use */
    size_t cap;  /* bytes allocated */
} cv_buffer_t;

#define CV_BUFFER_INIT {NULL, 0, 0}

/* Makes an empty buffer that owns no memory yet. */
void cv_buffer_init(cv_buffer_t *buf);

/* Frees the memory; the buffer is empty afterwards and may be used again. */
void cv_buffer_deinit(cv_buffer_t *buf);

/* Takes more memory, so that `more` bytes find room after len. Returns 0 or -ENOMEM. */
int cv_buffer_grow(cv_buffer_t *buf, size_t more);

/* Makes `cap` bytes its memory, and no more, where it has less. Returns 0 or -ENOMEM. */
int cv_buffer_grow_to(cv_buffer_t *buf, size_t cap);

/* Makes room for `more` bytes after len. Returns 0 or -ENOMEM. */
static inline int
cv_buffer_reserve(cv_buffer_t *buf, size_t more)
{
    return more <= buf->cap - buf->len ? 0 : cv_buffer_grow(buf, more);
}

/* Copies `len` bytes to the end. Returns 0 or -ENOMEM. */
static inline int
cv_buffer_append(cv_buffer_t *buf, const void *data, size_t len)
{
    if (len == 0) {
        return 0; /* memcpy takes no null pointer, not even for nothing */
    }
    int rc = cv_buffer_reserve(buf, len);
    if (rc != 0) {
        return rc;
    }
    memcpy(buf->data + buf->len, data, len);
    buf->len += len;
    return 0;
}

/* Drops the first `len` bytes and moves the rest to the front. */
void cv_buffer_consume(cv_buffer_t *buf, size_t len);

#endif
