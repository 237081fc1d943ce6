/* SPDX-License-Identifier: MIT */
#include "fuzz_memory.h"

#include <stdlib.h>

static long blocks;
static long left = -1; /* allocations that still succeed; negative: all of them */
static bool stays_out, has_failed;

static bool
is_out(void)
{
    if (left != 0) {
        left -= left > 0;
        return false;
    }
    left = stays_out ? 0 : -1;
    has_failed = true;
    return true;
}

static void *
counted(void *block)
{
    blocks += block != NULL;
    return block;
}

void *
fuzz_malloc(size_t size)
{
    return is_out() ? NULL : counted(malloc(size));
}

void *
fuzz_calloc(size_t count, size_t size)
{
    return is_out() ? NULL : counted(calloc(count, size));
}

void *
fuzz_aligned_alloc(size_t alignment, size_t size)
{
    return is_out() ? NULL : counted(aligned_alloc(alignment, size));
}

void *
fuzz_realloc(void *old, size_t size)
{
    if (is_out()) {
        return NULL;
    }
    void *block = realloc(old, size);
    blocks += old == NULL && block != NULL;
    return block;
}

void
fuzz_free(void *block)
{
    blocks -= block != NULL;
    free(block);
}

void
fuzz_memory_fail(unsigned count, bool for_good)
{
    left = (long)count;
    stays_out = for_good;
}

bool
fuzz_memory_restore(void)
{
    bool failed = has_failed;
    left = -1;
    has_failed = false;
    return failed;
}

long
fuzz_memory_blocks(void)
{
    return blocks;
}
