/* SPDX-License-Identifier: MIT
 *
 * What the fuzz targets share: the check that ends a run, and the bytes of an input taken off its front.
 */
#ifndef CUVEE_TESTS_FUZZ_H
#define CUVEE_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* As assert, but always on: a false condition is a finding. */
#define MUST(condition)                                                              \
    do {                                                                             \
        if (!(condition)) {                                                          \
            fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition); \
            abort();                                                                 \
        }                                                                            \
    } while (0)

/* libFuzzer's entry, one for each target. Returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct {
    const uint8_t *at;
    size_t left;
} fuzz_input_t;

/* The next byte; 0 behind the last one. */
static inline uint8_t
fuzz_byte(fuzz_input_t *input)
{
    if (input->left == 0) {
        return 0;
    }
    input->left--;
    return *input->at++;
}

static inline unsigned
fuzz_word(fuzz_input_t *input)
{
    unsigned low = fuzz_byte(input);
    return low | (unsigned)fuzz_byte(input) << 8;
}

/* The next bytes, at most `len` of them. */
static inline fuzz_input_t
fuzz_take(fuzz_input_t *input, size_t len)
{
    fuzz_input_t taken = {input->at, len < input->left ? len : input->left};
    input->at += taken.left;
    input->left -= taken.left;
    return taken;
}

#endif
