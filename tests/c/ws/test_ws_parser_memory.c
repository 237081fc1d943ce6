/* SPDX-License-Identifier: MIT
 *
 * No memory at any one place: the parser says so, and loses nothing.
 */
#include "cv_test_memory.h"

#include "base/buffer.c"
#include "ws/inflater.c"

#include "cv_test.h"
#include "ws/ws_parser.h"

enum { MOST_CALLS = 20,
       PIECE = 100 };

/* Fragments, a control frame in pieces between them, and a long message in many pieces. `first` is that of the long
 * one; what is compressed is one block without compression. */
static size_t
fill_wire(char *wire, unsigned first)
{
    static const char fragments[] = "\x02\x82\0\0\0\0ab\x89\x84\0\0\0\0ping\x80\x82\0\0\0\0cd";
    size_t at = sizeof(fragments) - 1, len = 5000;
    memcpy(wire, fragments, at);
    uint8_t head[] = {(uint8_t)first, 0xfe, (uint8_t)((len + 6) >> 8), (uint8_t)(len + 6), 0, 0, 0, 0,
                      0, (uint8_t)len, (uint8_t)(len >> 8), (uint8_t)~len, (uint8_t)(~len >> 8)};
    memcpy(wire + at, head, sizeof(head));
    at += sizeof(head);
    memset(wire + at, 'x', len);
    wire[at + len] = 0;
    return at + len + 1;
}

/* Returns the parser's last word; the number of events is counted. */
static int
feed_all(char *wire, size_t len, size_t piece, int left, unsigned *out_events)
{
    cv_ws_parser_rules_t rules = {.max_size = 1 << 20};
    cv_ws_parser_t parser;
    cv_inflaters_init(&rules.inflaters);
    cv_ws_parser_init(&parser, &rules, &(cv_deflate_terms_t){.agreed = true});
    int status = 0;
    *out_events = 0;
    cv_test_memory_left = left;
    for (size_t at = 0; at < len && status >= 0;) {
        cv_ws_event_t event;
        size_t used;
        status = cv_ws_parser_feed(&parser, wire + at, piece < len - at ? piece : len - at, &used, &event);
        at += used;
        *out_events += status > 0;
    }
    cv_test_memory_left = -1;
    cv_ws_parser_deinit(&parser);
    cv_inflaters_deinit(&rules.inflaters);
    return status;
}

static void
check_without_memory(unsigned first, size_t piece)
{
    char wire[6000];
    unsigned events;
    int left = 0, failures = 0;
    for (; left < MOST_CALLS; left++) {
        size_t len = fill_wire(wire, first);
        int status = feed_all(wire, len, piece, left, &events);
        if (status == 1) {
            break;
        }
        CHECK_EQ(status, -ENOMEM);
        CHECK(events < 3);
        failures++;
    }
    CHECK(left < MOST_CALLS);
    CHECK(failures > 0);
    CHECK_EQ(events, 3);
}

TEST(a_plain_message)
{
    check_without_memory(0x82, PIECE);
    check_without_memory(0x82, 3);
}

TEST(a_compressed_message)
{
    check_without_memory(0xc2, PIECE);
    check_without_memory(0xc2, 3);
}

TEST(what_lies_whole_needs_none)
{
    char wire[] = "\x82\x82\0\0\0\0ab\x89\x84\0\0\0\0ping";
    unsigned events;
    CHECK_EQ(feed_all(wire, sizeof(wire) - 1, sizeof(wire), 0, &events), 1);
    CHECK_EQ(events, 2);
}

int
main(void)
{
    RUN(a_plain_message);
    RUN(a_compressed_message);
    RUN(what_lies_whole_needs_none);
    return cv_test_end();
}
