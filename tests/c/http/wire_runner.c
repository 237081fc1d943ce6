/* SPDX-License-Identifier: MIT
 *
 * wire_runner < CASES: prints what the parser makes of each case, whole, and where it makes something else of it: cut
 * in two at any place, or given byte by byte.
 *
 * A case is a line of four numbers, the three limits and the length, and then so many bytes. What is printed of it is a
 * line of two numbers, the length of the log and the number of bytes before the first cut that changes it (0: none
 * does), and then the log; the other log goes to standard error.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wire_log.h"

/* True when the bytes cut at `cut` (SIZE_MAX: everywhere) come to the same log. */
static bool
is_same(const char *data, size_t len, size_t cut, const cv_h1_limits_t *limits, const cv_buffer_t *whole)
{
    cv_buffer_t log = wire_log(data, len, cut, limits);
    bool same = log.len == whole->len && (log.len == 0 || memcmp(log.data, whole->data, log.len) == 0);
    if (!same) {
        fprintf(stderr, "cut at %zu:\n%.*s", cut, (int)log.len, log.data);
    }
    cv_buffer_deinit(&log);
    return same;
}

/* The first cut that makes a difference, or 0. */
static size_t
first_difference(const char *data, size_t len, const cv_h1_limits_t *limits, const cv_buffer_t *whole)
{
    for (size_t cut = 1; cut < len; cut++) {
        if (!is_same(data, len, cut, limits, whole)) {
            return cut;
        }
    }
    return len == 0 || is_same(data, len, SIZE_MAX, limits, whole) ? 0 : SIZE_MAX;
}

int
main(void)
{
    static char data[1 << 20];
    cv_h1_limits_t limits;
    size_t len;
    while (scanf("%u %u %u %zu", &limits.line, &limits.head, &limits.fields, &len) == 4) {
        if (getchar() != '\n' || len > sizeof(data) || fread(data, 1, len, stdin) != len) {
            return 2;
        }
        cv_buffer_t whole = wire_log(data, len, 0, &limits);
        printf("%zu %zu\n%.*s", whole.len, first_difference(data, len, &limits, &whole), (int)whole.len,
               whole.len == 0 ? "" : whole.data);
        fflush(stdout);
        cv_buffer_deinit(&whole);
    }
    return 0;
}
