/* SPDX-License-Identifier: MIT
 *
 * zlib's memory, taken where the rest of this layer takes its own, and what zlib can count.
 *
 * Owns:    nothing.
 * Thread:  any.
 * Errors:  none of its own: zlib says that there is no memory.
 */
#ifndef CUVEE_WS_ZLIB_MEMORY_H
#define CUVEE_WS_ZLIB_MEMORY_H

#include <stddef.h>
#include <stdlib.h>
#include <zlib.h>

/* The most bytes that zlib is given or asked for in one call: it counts them in an unsigned int. */
#ifndef CV_ZLIB_STEP
#define CV_ZLIB_STEP ((size_t)1 << 30)
#endif

static inline uInt
cv_zlib_step(size_t len)
{
    return (uInt)(len < CV_ZLIB_STEP ? len : CV_ZLIB_STEP);
}

static inline voidpf
cv_zlib_alloc(voidpf opaque, uInt count, uInt size)
{
    (void)opaque;
    return malloc((size_t)count * size);
}

static inline void
cv_zlib_free(voidpf opaque, voidpf memory)
{
    (void)opaque;
    free(memory);
}

#endif
