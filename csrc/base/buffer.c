/* SPDX-License-Identifier: MIT */
#include "base/buffer.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { BUFFER_FIRST = 512 }; /* a small answer's head fits without growing */

void
cv_buffer_init(cv_buffer_t *buf)
{
    *buf = (cv_buffer_t)CV_BUFFER_INIT;
}

void
cv_buffer_deinit(cv_buffer_t *buf)
{
    free(buf->data);
    cv_buffer_init(buf);
}

int
cv_buffer_grow_to(cv_buffer_t *buf, size_t cap)
{
    if (cap <= buf->cap) {
        return 0;
    }
    char *data = realloc(buf->data, cap);
    if (data == NULL) {
        return -ENOMEM;
    }
    buf->data = data;
    buf->cap = cap;
    return 0;
}

int
cv_buffer_grow(cv_buffer_t *buf, size_t more)
{
    if (more > SIZE_MAX / 2 - buf->len) {
        return -ENOMEM;
    }
    size_t need = buf->len + more;
    size_t cap = buf->cap < BUFFER_FIRST ? BUFFER_FIRST : buf->cap;
    while (cap < need) {
        cap *= 2;
    }
    return cv_buffer_grow_to(buf, cap);
}

void
cv_buffer_consume(cv_buffer_t *buf, size_t len)
{
    if (len == 0) {
        return;
    }
    if (len < buf->len) {
        memmove(buf->data, buf->data + len, buf->len - len);
        buf->len -= len;
    } else {
        buf->len = 0;
    }
}
