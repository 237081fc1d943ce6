/* SPDX-License-Identifier: MIT
 *
 * Fuzzes the HTTP/1 parser: whatever the bytes are, whole and in pieces give the same log, and nothing is read or
 * written out of place (run it with the sanitizers on).
 *
 * The first byte chooses the limits, the second one where the pieces are cut. With libFuzzer: compile with
 * -fsanitize=fuzzer -DCUVEE_LIBFUZZER. Without it the program has a main of its own, which runs the files that it is
 * given, and then random mutations of them:
 *
 *     fuzz_h1_parser [-n ROUNDS] [-s SEED] FILE...
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/wire_log.h"

static void
check_same(const char *data, size_t len, size_t cut, const cv_h1_limits_t *limits, const cv_buffer_t *whole)
{
    cv_buffer_t log = wire_log(data, len, cut, limits);
    if (log.len != whole->len || (log.len > 0 && memcmp(log.data, whole->data, log.len) != 0)) {
        fprintf(stderr, "whole:\n%.*scut at %zu:\n%.*sinput:\n", (int)whole->len, whole->data, cut, (int)log.len,
                log.data);
        for (size_t i = 0; i < len; i++) {
            fprintf(stderr, data[i] >= ' ' && data[i] < 0x7f && data[i] != '\\' ? "%c" : "\\x%02x",
                    (unsigned char)data[i]);
        }
        fprintf(stderr, "\n");
        abort();
    }
    cv_buffer_deinit(&log);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const cv_h1_limits_t LIMITS[] = {{8190, 65536, 100}, {20, 60, 2}, {60, 20, 0}, {1, 1, 256}};
    if (size < 3) {
        return 0;
    }
    const cv_h1_limits_t *limits = &LIMITS[data[0] % (sizeof(LIMITS) / sizeof(LIMITS[0]))];
    const char *bytes = (const char *)data + 2;
    size_t len = size - 2, cut = data[1] % len;
    cv_buffer_t whole = wire_log(bytes, len, 0, limits);
    check_same(bytes, len, SIZE_MAX, limits, &whole);
    if (cut > 0) {
        check_same(bytes, len, cut, limits, &whole);
    }
    cv_buffer_deinit(&whole);
    return 0;
}

#ifndef CUVEE_LIBFUZZER

enum { INPUT_MAX = 16384,
       SEEDS_MAX = 2000 };

typedef struct {
    uint8_t *data;
    size_t len;
} seed_t;

static uint64_t state = 1;

static uint32_t
pick(uint32_t below)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(state >> 33) % below;
}

static seed_t
read_seed(const char *path)
{
    seed_t seed = {malloc(INPUT_MAX), 0};
    FILE *file = fopen(path, "rb");
    if (seed.data == NULL || file == NULL) {
        fprintf(stderr, "%s cannot be read\n", path);
        exit(2);
    }
    seed.len = fread(seed.data, 1, INPUT_MAX, file);
    fclose(file);
    return seed;
}

/* Puts a few changed bytes, or a piece of another seed, into a copy of a seed. */
static size_t
mutate(uint8_t *out, const seed_t *seed, const seed_t *other)
{
    static const char TELLING[] = "\r\n \t:;,#?*/%\0\x01\x7f\x80\xff[]0123456789aAfFgHT.";
    size_t len = seed->len;
    memcpy(out, seed->data, len);
    for (uint32_t changes = 1 + pick(4); changes > 0 && len > 3; changes--) {
        size_t at = pick((uint32_t)len);
        switch (pick(5)) {
        case 0:
            out[at] = (uint8_t)TELLING[pick(sizeof(TELLING) - 1)];
            break;
        case 1:
            out[at] = (uint8_t)pick(256);
            break;
        case 2:
            memmove(out + at, out + at + 1, len - at - 1);
            len--;
            break;
        case 3:
            if (len < INPUT_MAX) {
                memmove(out + at + 1, out + at, len - at);
                out[at] = (uint8_t)TELLING[pick(sizeof(TELLING) - 1)];
                len++;
            }
            break;
        default:
            if (other->len > 0) {
                size_t from = pick((uint32_t)other->len);
                size_t count = 1 + pick((uint32_t)(other->len - from));
                count = count < INPUT_MAX - at ? count : INPUT_MAX - at;
                memcpy(out + at, other->data + from, count);
                len = at + count > len ? at + count : len;
            }
            break;
        }
    }
    return len;
}

int
main(int argc, char **argv)
{
    static seed_t seeds[SEEDS_MAX];
    static uint8_t input[INPUT_MAX];
    unsigned long rounds = 0;
    uint32_t count = 0;
    for (int i = 1; i < argc && count < SEEDS_MAX; i++) {
        if (strcmp(argv[i], "-n") == 0 && i + 1 < argc) {
            rounds = strtoul(argv[++i], NULL, 10);
        } else if (strcmp(argv[i], "-s") == 0 && i + 1 < argc) {
            state = strtoull(argv[++i], NULL, 10);
        } else {
            seeds[count++] = read_seed(argv[i]);
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        LLVMFuzzerTestOneInput(seeds[i].data, seeds[i].len);
    }
    for (unsigned long round = 0; count > 0 && round < rounds; round++) {
        size_t len = mutate(input, &seeds[pick(count)], &seeds[pick(count)]);
        LLVMFuzzerTestOneInput(input, len);
    }
    for (uint32_t i = 0; i < count; i++) {
        free(seeds[i].data);
    }
    printf("%u files, %lu mutations\n", count, rounds);
    return count > 0 ? 0 : 2;
}

#endif
