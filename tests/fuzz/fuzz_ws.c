/* SPDX-License-Identifier: MIT
 *
 * What a WebSocket client sends: whatever the bytes are, they come to the same log whole, byte by byte and in any
 * pieces; no message passes the limit, every text is UTF-8, a control frame is short, a code is one that may be sent.
 *
 * An input is a byte that chooses limit and extension, a byte that says how many pieces follow, a byte for the length
 * of each (they begin anew behind the last one), and then what comes. With FRAMES that is a byte that begins a frame, a
 * length and a payload, over and over, which are made into frames here, so that a fuzzer finds its way into messages.
 */
#include <string.h>

#include "fuzz.h"
#include "fuzz_memory.h"
#include "ws/inflater.h"
#include "ws/ws_log.h"
#include "ws/ws_parser.h"

enum { PIECES_MAX = 15 };

/* Options. */
enum { LIMIT = 3, /* a place in LIMITS */
       DEFLATE = 1 << 2,
       CONTEXT = 1 << 3,
       FRAMES = 1 << 4,
       NO_MEMORY = 1 << 5, /* once more without, behind as many allocations as the top bits say */
       MEMORY_BITS = 6 };

static const uint64_t LIMITS[] = {1 << 20, 100, 10, 0};

/* Bytes against the rule for UTF-8 as the standard's table has it: decoded, and not by the machine under test. */
static bool
is_utf8(const uint8_t *data, size_t len)
{
    static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
    for (size_t at = 0; at < len;) {
        uint8_t first = data[at++];
        unsigned more = (first >= 0xc0) + (first >= 0xe0) + (first >= 0xf0);
        if ((first >= 0x80 && first < 0xc0) || first >= 0xf8 || more > len - at) {
            return false;
        }
        uint32_t code = more == 0 ? first : first & (0x3fu >> more);
        for (unsigned i = 0; i < more; i++, at++) {
            if ((data[at] & 0xc0) != 0x80) {
                return false;
            }
            code = code << 6 | (data[at] & 0x3f);
        }
        if (code < least[more] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) {
            return false;
        }
    }
    return true;
}

static void
check_event(const cv_ws_event_t *event, const ws_setup_t *setup)
{
    switch (event->opcode) {
    case CV_WS_TEXT:
        MUST(is_utf8((const uint8_t *)event->data, event->len));
        MUST(event->len <= setup->max_size);
        return;
    case CV_WS_BINARY:
        MUST(event->len <= setup->max_size);
        return;
    case CV_WS_CLOSE:
        MUST(event->code == CV_WS_NO_STATUS ? event->len == 0 : cv_ws_code_is_valid(event->code));
        MUST(event->len <= CV_WS_REASON_MAX && is_utf8((const uint8_t *)event->data, event->len));
        return;
    default:
        MUST(event->opcode == CV_WS_PING || event->opcode == CV_WS_PONG);
        MUST(event->len <= CV_WS_CONTROL_MAX);
    }
}

/* Looks at each event; with `memory` not negative there is none behind so many allocations. */
static void
check_events(const char *data, size_t len, const ws_setup_t *setup, int memory)
{
    cv_ws_parser_rules_t rules = {.max_size = setup->max_size};
    cv_ws_parser_t parser;
    cv_inflaters_init(&rules.inflaters);
    cv_deflate_terms_t terms = {
        .agreed = setup->deflate,
        .client_context = setup->context_bits != 0,
        .client_bits = setup->context_bits,
    };
    cv_ws_parser_init(&parser, &rules, &terms);
    char *copy = malloc(len);
    MUST(copy != NULL);
    memcpy(copy, data, len);
    if (memory >= 0) {
        fuzz_memory_fail((unsigned)memory, true);
    }
    int status = 1;
    for (size_t at = 0, used; status > 0; at += used) {
        cv_ws_event_t event;
        status = cv_ws_parser_feed(&parser, copy + at, len - at, &used, &event);
        MUST(used <= len - at && (status != 0 || used == len - at) && (status <= 0 || used > 0));
        if (status > 0) {
            check_event(&event, setup);
        }
    }
    fuzz_memory_restore();
    if (status < 0) {
        unsigned code = cv_ws_error_code(status);
        MUST(cv_ws_code_is_valid(code) && cv_ws_error_rule(status)[0] != '\0');
        MUST((code == CV_WS_INTERNAL_ERROR) <= (memory >= 0));
    }
    free(copy);
    cv_ws_parser_deinit(&parser);
    cv_inflaters_deinit(&rules.inflaters);
}

static void
check_same(const cv_buffer_t *whole, const char *how, cv_buffer_t log)
{
    if (log.len != whole->len || memcmp(log.data, whole->data, log.len) != 0) {
        fprintf(stderr, "whole:\n%.*s%s:\n%.*s", (int)whole->len, whole->data, how, (int)log.len, log.data);
        abort();
    }
    cv_buffer_deinit(&log);
}

/* Makes frames of the rest of an input. */
static cv_buffer_t
make_frames(fuzz_input_t input)
{
    cv_buffer_t wire = CV_BUFFER_INIT;
    while (input.left > 0) {
        unsigned first = fuzz_byte(&input);
        fuzz_input_t payload = fuzz_take(&input, fuzz_byte(&input));
        ws_put_frame(&wire, first, payload.at, payload.left);
    }
    return wire;
}

static void
check_wire(const char *bytes, size_t len, const ws_setup_t *setup, fuzz_input_t sizes)
{
    check_events(bytes, len, setup, -1);
    cv_buffer_t whole = ws_log(bytes, len, setup, NULL, 0);
    check_same(&whole, "byte by byte", ws_log(bytes, len, setup, (const uint8_t[]){0}, 1));
    if (sizes.left > 0) {
        check_same(&whole, "in pieces", ws_log(bytes, len, setup, sizes.at, sizes.left));
    }
    cv_buffer_deinit(&whole);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_input_t input = {data, size};
    unsigned options = fuzz_byte(&input);
    fuzz_input_t sizes = fuzz_take(&input, fuzz_byte(&input) % (PIECES_MAX + 1));
    ws_setup_t setup = {
        .max_size = LIMITS[options & LIMIT],
        .deflate = (options & DEFLATE) != 0,
        .context_bits = (options & CONTEXT) != 0 ? 15 : 0, /* in smaller ones zlib sees as far as its output */
    };
    if (input.left == 0) {
        return 0;
    }
    long blocks = fuzz_memory_blocks();
    cv_buffer_t wire = CV_BUFFER_INIT;
    if ((options & FRAMES) != 0) {
        wire = make_frames(input);
    } else {
        MUST(cv_buffer_append(&wire, input.at, input.left) == 0);
    }
    check_wire(wire.data, wire.len, &setup, sizes);
    if ((options & NO_MEMORY) != 0) {
        check_events(wire.data, wire.len, &setup, (int)(options >> MEMORY_BITS));
    }
    cv_buffer_deinit(&wire);
    MUST(fuzz_memory_blocks() == blocks);
    return 0;
}
