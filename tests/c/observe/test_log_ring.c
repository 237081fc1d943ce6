/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>

#include "cv_test.h"
#include "cv_test_memory.h"

#include "observe/log_ring.c"

static void
add(cv_log_ring_t *ring, const char *text)
{
    cv_log_cursor_t cursor = cv_log_ring_start(ring);
    cv_log_ring_put(&cursor, text, strlen(text));
    cv_log_ring_commit(&cursor);
}

/* What peek gives, in one piece. */
static const char *
peeked(const cv_log_ring_t *ring, size_t most)
{
    static char text[8192];
    cv_span_t spans[2];
    size_t len = cv_log_ring_peek(ring, most, spans);
    memcpy(text, spans[0].data, spans[0].len);
    memcpy(text + spans[0].len, spans[1].data, spans[1].len);
    text[spans[0].len + spans[1].len] = '\0';
    return len == strlen(text) ? text : "peek returned another length";
}

TEST(the_size_is_rounded_up_to_a_power_of_two)
{
    cv_log_ring_t ring;
    CHECK_EQ(cv_log_ring_init(&ring, 1), 0);
    CHECK_EQ(ring.size, 4096);
    cv_log_ring_deinit(&ring);
    CHECK_EQ(cv_log_ring_init(&ring, 4097), 0);
    CHECK_EQ(ring.size, 8192);
    cv_log_ring_deinit(&ring);
}

TEST(without_memory_init_says_so)
{
    cv_log_ring_t ring;
    cv_test_memory_left = 0;
    CHECK_EQ(cv_log_ring_init(&ring, 4096), -ENOMEM);
    cv_test_memory_left = -1;
    cv_log_ring_deinit(&ring);
}

TEST(a_line_is_not_seen_before_the_commit)
{
    cv_log_ring_t ring;
    CHECK_EQ(cv_log_ring_init(&ring, 4096), 0);
    cv_log_cursor_t cursor = cv_log_ring_start(&ring);
    cv_log_ring_put(&cursor, "half", 4);
    cv_log_ring_put(&cursor, NULL, 0);
    CHECK_EQ(cv_log_ring_used(&ring), 0);
    CHECK_BYTES(peeked(&ring, 100), 0, "");
    cv_log_ring_put(&cursor, " done\n", 6);
    cv_log_ring_commit(&cursor);
    CHECK_EQ(cv_log_ring_used(&ring), 10);
    CHECK_BYTES(peeked(&ring, 100), 10, "half done\n");
    cv_log_ring_deinit(&ring);
}

TEST(peek_gives_whole_lines_up_to_the_limit)
{
    cv_log_ring_t ring;
    CHECK_EQ(cv_log_ring_init(&ring, 4096), 0);
    add(&ring, "one\n");
    add(&ring, "two\n");
    add(&ring, "three\n");
    CHECK_BYTES(peeked(&ring, 14), 14, "one\ntwo\nthree\n");
    CHECK_BYTES(peeked(&ring, 13), 8, "one\ntwo\n");
    CHECK_BYTES(peeked(&ring, 8), 8, "one\ntwo\n");
    CHECK_BYTES(peeked(&ring, 7), 4, "one\n");
    CHECK_BYTES(peeked(&ring, 1), 4, "one\n");
    cv_log_ring_take(&ring, 4);
    CHECK_BYTES(peeked(&ring, 2), 4, "two\n");
    cv_log_ring_take(&ring, 1); /* a short write */
    CHECK_BYTES(peeked(&ring, 4), 3, "wo\n");
    CHECK_EQ(cv_log_ring_drop(&ring, cv_log_ring_used(&ring)), 2);
    CHECK_EQ(cv_log_ring_used(&ring), 0);
    cv_log_ring_deinit(&ring);
}

TEST(a_line_may_go_round_the_end)
{
    cv_log_ring_t ring;
    CHECK_EQ(cv_log_ring_init(&ring, 4096), 0);
    char line[101];
    memset(line, 'x', sizeof(line));
    line[99] = '\n';
    line[100] = '\0';
    int wrapped = 0;
    add(&ring, line); /* one line always waits: an empty ring starts at its front again */
    for (int i = 0; i < 200; i++) {
        char earlier = line[0];
        line[0] = (char)('A' + i % 26);
        add(&ring, line);
        cv_span_t spans[2];
        CHECK_EQ(cv_log_ring_peek(&ring, 4096, spans), 200);
        wrapped += spans[1].len != 0;
        CHECK_EQ(cv_log_ring_peek(&ring, 50, spans), 100);
        CHECK_EQ(spans[0].data[0], earlier);
        cv_log_ring_take(&ring, 100);
    }
    CHECK(wrapped >= 4);
    CHECK_BYTES(peeked(&ring, 50), 100, line);
    cv_log_ring_deinit(&ring);
}

TEST(an_empty_ring_starts_at_its_front)
{
    cv_log_ring_t ring;
    CHECK_EQ(cv_log_ring_init(&ring, 4096), 0);
    for (int i = 0; i < 1000; i++) {
        add(&ring, "one line\n");
        cv_span_t spans[2];
        CHECK_EQ(cv_log_ring_peek(&ring, 4096, spans), 9);
        CHECK(spans[0].data == ring.bytes);
        CHECK_EQ(spans[1].len, 0);
        cv_log_ring_take(&ring, 9);
    }
    cv_log_ring_deinit(&ring);
}

enum { EXCHANGED = 200000 };

static void *
consume(void *arg)
{
    cv_log_ring_t *ring = arg;
    uintptr_t sum = 0;
    for (int seen = 0; seen < EXCHANGED;) {
        cv_span_t spans[2];
        size_t len = cv_log_ring_peek(ring, 512, spans);
        for (int part = 0; part < 2; part++) {
            for (size_t i = 0; i < spans[part].len; i++) {
                if (spans[part].data[i] == '\n') {
                    seen++;
                } else {
                    sum += (unsigned char)spans[part].data[i];
                }
            }
        }
        cv_log_ring_take(ring, len);
        if (len == 0) {
            sched_yield();
        }
    }
    return (void *)sum;
}

TEST(two_threads_exchange_every_line)
{
    cv_log_ring_t ring;
    CHECK_EQ(cv_log_ring_init(&ring, 4096), 0);
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, consume, &ring), 0);
    uintptr_t sum = 0;
    for (int i = 0; i < EXCHANGED; i++) {
        char line[2] = {(char)('!' + i % 90), '\n'};
        sum += (unsigned char)line[0];
        while (ring.size - cv_log_ring_used(&ring) < sizeof(line)) {
            sched_yield();
        }
        cv_log_cursor_t cursor = cv_log_ring_start(&ring);
        cv_log_ring_put(&cursor, line, sizeof(line));
        cv_log_ring_commit(&cursor);
    }
    void *seen;
    CHECK_EQ(pthread_join(thread, &seen), 0);
    CHECK_EQ((uintptr_t)seen, sum);
    cv_log_ring_deinit(&ring);
}

int
main(void)
{
    RUN(the_size_is_rounded_up_to_a_power_of_two);
    RUN(without_memory_init_says_so);
    RUN(a_line_is_not_seen_before_the_commit);
    RUN(peek_gives_whole_lines_up_to_the_limit);
    RUN(a_line_may_go_round_the_end);
    RUN(an_empty_ring_starts_at_its_front);
    RUN(two_threads_exchange_every_line);
    return cv_test_end();
}
