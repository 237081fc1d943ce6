/* SPDX-License-Identifier: MIT
 *
 * wire_runner [LINE HEAD FIELDS] < REQUEST: prints what the parser makes of the bytes on standard input, whole,
 * and fails when it makes something else of them cut in two at any place, or given byte by byte.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wire_log.h"

static int
compare(const char *data, size_t len, size_t cut, const cv_h1_limits_t *limits, const cv_buffer_t *whole)
{
    cv_buffer_t log = wire_log(data, len, cut, limits);
    int differs = log.len != whole->len || (log.len > 0 && memcmp(log.data, whole->data, log.len) != 0);
    if (differs) {
        fprintf(stderr, "cut at %zu:\n%.*s", cut, (int)log.len, log.data);
    }
    cv_buffer_deinit(&log);
    return differs;
}

int
main(int argc, char **argv)
{
    static char data[1 << 20];
    cv_h1_limits_t limits = {8190, 65536, 100};
    if (argc == 4) {
        limits.line = (uint32_t)strtoul(argv[1], NULL, 10);
        limits.head = (uint32_t)strtoul(argv[2], NULL, 10);
        limits.fields = (uint32_t)strtoul(argv[3], NULL, 10);
    }
    size_t len = fread(data, 1, sizeof(data), stdin);
    cv_buffer_t whole = wire_log(data, len, 0, &limits);
    fwrite(whole.data, 1, whole.len, stdout);
    int differs = 0;
    for (size_t cut = 1; cut < len && differs == 0; cut++) {
        differs = compare(data, len, cut, &limits, &whole);
    }
    if (len > 0 && differs == 0) {
        differs = compare(data, len, SIZE_MAX, &limits, &whole);
    }
    cv_buffer_deinit(&whole);
    return differs;
}
