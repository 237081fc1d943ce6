/* SPDX-License-Identifier: MIT */
#include <stdint.h>

#include "cv_test.h"
#include "cv_test_memory.h"

#define CV_ZLIB_STEP ((size_t)20000) /* so that a message of some kilobytes is several steps */
#include "base/buffer.c"
#include "ws/inflater.c"

#include "ws/deflater.h"

enum { LIMIT = 1 << 24 };

static char data[50000];
static cv_buffer_t packed, out;

static void
pack(cv_deflater_t *deflater, bool keeps_context)
{
    for (size_t i = 0; i < sizeof data; i++) {
        data[i] = (char)('a' + i * i / 7 % 11);
    }
    packed.len = 0;
    CHECK_EQ(cv_deflater_run(deflater, data, sizeof data, keeps_context, &packed), 0);
}

static int
inflate_all(cv_inflater_t *inflater, const char *bytes, size_t len, uint64_t limit)
{
    out.len = 0;
    int rc = cv_inflater_feed(inflater, bytes, len, &out, limit);
    return rc != 0 ? rc : cv_inflater_end(inflater, &out, limit);
}

/* Inflates a literal with an inflater that begins anew. */
#define INFLATE_NEW(bytes) inflate_new(bytes, sizeof(bytes) - 1)

static int
inflate_new(const char *bytes, size_t len)
{
    cv_inflater_t *inflater = cv_inflater_new(15);
    int rc = inflate_all(inflater, bytes, len, LIMIT);
    cv_inflater_free(inflater);
    return rc;
}

TEST(what_the_rfc_shows_is_hello)
{
    CHECK_EQ(INFLATE_NEW("\xf2\x48\xcd\xc9\xc9\x07\x00"), 0);
    CHECK_BYTES(out.data, out.len, "Hello");
    CHECK_EQ(INFLATE_NEW("\x00\x05\x00\xfa\xffHello\x00"), 0); /* section 7.2.3.3: not compressed */
    CHECK_BYTES(out.data, out.len, "Hello");
    CHECK_EQ(INFLATE_NEW("\xf3\x48\xcd\xc9\xc9\x07\x00\x00"), 0); /* section 7.2.3.4: a final block */
    CHECK_BYTES(out.data, out.len, "Hello");
    CHECK_EQ(INFLATE_NEW("\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00"), 0); /* section 7.2.3.5 */
    CHECK_BYTES(out.data, out.len, "Hello");
}

TEST(empty_messages_have_one_byte_or_none)
{
    CHECK_EQ(INFLATE_NEW("\x00"), 0);
    CHECK_EQ(out.len, 0);
    CHECK_EQ(INFLATE_NEW(""), 0);
    CHECK_EQ(out.len, 0);
}

TEST(what_stands_behind_a_final_block_counts)
{
    CHECK_EQ(INFLATE_NEW("\xf3\x48\xcd\xc9\xc9\x07\x00\xf3\x48\xcd\xc9\xc9\x07\x00"), 0); /* without the last byte */
    CHECK_BYTES(out.data, out.len, "HelloHello");
    CHECK_EQ(INFLATE_NEW("\xf3\x48\xcd\xc9\xc9\x07\x00\xf2\x48\xcd\xc9\xc9\x07\x00"), 0);
    CHECK_BYTES(out.data, out.len, "HelloHello");
    CHECK_EQ(INFLATE_NEW("\xf3\x48\xcd\xc9\xc9\x07\x00\xff\xff"), CV_INFLATE_EDATA);
    CHECK_EQ(INFLATE_NEW("\xf3\x48\xcd\xc9\xc9\x07\x00\xf2\x48"), CV_INFLATE_EDATA);
}

TEST(the_window_outlives_a_final_block)
{
    cv_inflater_t *inflater = cv_inflater_new(15);
    CHECK_EQ(inflate_all(inflater, "\xf3\x48\xcd\xc9\xc9\x07\x00\x00", 8, LIMIT), 0);
    CHECK_EQ(inflate_all(inflater, "\xf2\x00\x11\x00\x00", 5, LIMIT), 0); /* section 7.2.3.2 */
    CHECK_BYTES(out.data, out.len, "Hello");
    cv_inflater_free(inflater);
}

TEST(what_is_no_deflate_is_refused)
{
    CHECK_EQ(INFLATE_NEW("\xff"), CV_INFLATE_EDATA);                         /* no such type of block */
    CHECK_EQ(INFLATE_NEW("\xf2\x00\x11\x00\x00"), CV_INFLATE_EDATA);         /* refers to what never was */
    CHECK_EQ(INFLATE_NEW("\x00\x05\x00\xfa\xfeHello"), CV_INFLATE_EDATA);    /* lengths that do not fit each other */
    CHECK_EQ(INFLATE_NEW("\xf2\x48\xcd\xc9\xc9\x07\x00garbage"), CV_INFLATE_EDATA);
}

TEST(what_is_cut_off_is_refused)
{
    static const char whole[] = "\xf2\x48\xcd\xc9\xc9\x07\x00";
    for (size_t len = 1; len < sizeof whole - 1; len++) {
        CHECK_EQ(inflate_new(whole, len), CV_INFLATE_EDATA);
    }
    CHECK_EQ(INFLATE_NEW("\x00\x05"), CV_INFLATE_EDATA); /* they would become lengths that do not fit each other */
    /* The left out bytes are the last of a block that is not compressed: they would become a part of the message. */
    CHECK_EQ(INFLATE_NEW("\x00\x04\x00\xfb\xff"), CV_INFLATE_EDATA);
    /* Their zeros end a block of codes before its time, and then three of their bits begin another one. */
    CHECK_EQ(INFLATE_NEW("\xf2\x48\xcd\xc9\xc9\x07"), CV_INFLATE_EDATA);
}

TEST(any_cut_of_the_input_gives_the_same)
{
    cv_deflater_t *deflater = cv_deflater_new(6, 15);
    pack(deflater, false);
    cv_inflater_t *inflater = cv_inflater_new(15);
    for (size_t piece = 1; piece < 200; piece += 3) {
        out.len = 0;
        for (size_t at = 0; at < packed.len; at += piece) {
            size_t len = packed.len - at < piece ? packed.len - at : piece;
            CHECK_EQ(cv_inflater_feed(inflater, packed.data + at, len, &out, LIMIT), 0);
        }
        CHECK_EQ(cv_inflater_feed(inflater, NULL, 0, &out, LIMIT), 0);
        CHECK_EQ(cv_inflater_end(inflater, &out, LIMIT), 0);
        CHECK_EQ(out.len, sizeof data);
        CHECK(memcmp(out.data, data, sizeof data) == 0);
    }
    cv_inflater_free(inflater);
    cv_deflater_free(deflater);
}

TEST(the_limit_is_exact_and_bounds_the_memory)
{
    cv_deflater_t *deflater = cv_deflater_new(6, 15);
    pack(deflater, false);
    static const size_t above[] = {0, 1, 1000, SIZE_MAX - sizeof data};
    for (size_t i = 0; i < sizeof above / sizeof above[0]; i++) {
        cv_inflater_t *inflater = cv_inflater_new(15);
        cv_buffer_deinit(&out);
        CHECK_EQ(inflate_all(inflater, packed.data, packed.len, sizeof data + above[i]), 0);
        CHECK_EQ(out.len, sizeof data);
        CHECK(out.cap <= sizeof data + above[i] && out.cap <= 2 * sizeof data);
        cv_inflater_free(inflater);
    }
    for (size_t limit = 0; limit < sizeof data; limit += limit < 5000 ? 1 : 1000) {
        cv_inflater_t *inflater = cv_inflater_new(15);
        cv_buffer_deinit(&out);
        CHECK_EQ(inflate_all(inflater, packed.data, packed.len, limit), CV_INFLATE_ESIZE);
        CHECK_EQ(out.len, limit);
        CHECK_EQ(out.cap, limit);
        cv_inflater_free(inflater);
    }
    cv_deflater_free(deflater);
}

TEST(a_limit_is_held_in_a_buffer_that_has_more_room)
{
    cv_inflater_t *inflater = cv_inflater_new(15);
    CHECK_EQ(cv_buffer_grow_to(&out, 4096), 0);
    CHECK_EQ(inflate_all(inflater, "\xf2\x48\xcd\xc9\xc9\x07\x00", 7, 5), 0);
    CHECK_EQ(inflate_all(inflater, "\x00", 1, 0), 0);
    CHECK_EQ(inflate_all(inflater, "\xf2\x48\xcd\xc9\xc9\x07\x00", 7, 4), CV_INFLATE_ESIZE);
    CHECK_BYTES(out.data, out.len, "Hell");
    cv_inflater_free(inflater);
}

TEST(the_output_follows_what_is_there)
{
    cv_inflater_t *inflater = cv_inflater_new(15);
    out.len = 0;
    CHECK_EQ(cv_buffer_append(&out, "before ", 7), 0);
    CHECK_EQ(cv_inflater_feed(inflater, "\xf2\x48\xcd\xc9\xc9\x07\x00", 7, &out, 12), 0);
    CHECK_EQ(cv_inflater_end(inflater, &out, 12), 0);
    CHECK_BYTES(out.data, out.len, "before Hello");
    CHECK_EQ(cv_inflater_feed(inflater, "\xf2\x48\xcd\xc9\xc9\x07\x00", 7, &out, 3), CV_INFLATE_ESIZE);
    CHECK_EQ(out.len, 12);
    cv_inflater_free(inflater);
}

/* 64 MiB of zeros in 64 KiB of input. */
TEST(a_bomb_ends_at_the_limit)
{
    cv_deflater_t *deflater = cv_deflater_new(9, 15);
    size_t size = (size_t)64 << 20;
    char *zeros = calloc(1, size);
    CHECK(zeros != NULL);
    packed.len = 0;
    CHECK_EQ(cv_deflater_run(deflater, zeros, size, false, &packed), 0);
    free(zeros);
    CHECK(packed.len < 100000);
    cv_inflater_t *inflater = cv_inflater_new(15);
    cv_buffer_deinit(&out);
    CHECK_EQ(inflate_all(inflater, packed.data, packed.len, 1000000), CV_INFLATE_ESIZE);
    CHECK_EQ(out.cap, 1000000);
    cv_inflater_free(inflater);
    inflater = cv_inflater_new(15);
    CHECK_EQ(inflate_all(inflater, packed.data, packed.len, UINT64_MAX), 0);
    CHECK_EQ(out.len, size);
    cv_inflater_free(inflater);
    cv_deflater_free(deflater);
}

TEST(a_window_is_as_large_as_was_agreed)
{
    cv_deflater_t *deflater = cv_deflater_new(6, 15);
    cv_inflater_t *small = cv_inflater_new(9), *least = cv_inflater_new(8);
    pack(deflater, true);
    memcpy(data, "something that stands here only", 31);
    packed.len = 0;
    CHECK_EQ(cv_deflater_run(deflater, data, sizeof data, false, &packed), 0);
    CHECK_EQ(inflate_all(small, packed.data, packed.len, LIMIT), CV_INFLATE_EDATA); /* it refers 50000 bytes back */
    cv_deflater_free(deflater);
    deflater = cv_deflater_new(6, 9);
    pack(deflater, false);
    CHECK_EQ(inflate_all(least, packed.data, packed.len, LIMIT), 0);
    CHECK_EQ(out.len, sizeof data);
    cv_inflater_free(small);
    cv_inflater_free(least);
    cv_deflater_free(deflater);
}

TEST(the_pool_keeps_a_few_and_they_begin_anew)
{
    cv_inflaters_t pool;
    cv_inflaters_init(&pool);
    cv_inflater_t *taken[CV_INFLATERS_SPARE + 2];
    for (int i = 0; i < CV_INFLATERS_SPARE + 2; i++) {
        taken[i] = cv_inflaters_take(&pool);
        CHECK(taken[i] != NULL);
        CHECK_EQ(cv_inflater_feed(taken[i], "\xf2\x48\xcd", 3, &out, LIMIT), 0);
    }
    CHECK_EQ(inflate_all(taken[0], "\xff\xff\xff\xff", 4, LIMIT), CV_INFLATE_EDATA);
    for (int i = 0; i < CV_INFLATERS_SPARE + 2; i++) {
        cv_inflaters_give_back(&pool, taken[i]);
    }
    CHECK_EQ(pool.count, CV_INFLATERS_SPARE);
    for (int i = 0; i < CV_INFLATERS_SPARE; i++) {
        cv_inflater_t *again = cv_inflaters_take(&pool);
        CHECK(again == taken[CV_INFLATERS_SPARE - 1 - i]);
        out.len = 0;
        CHECK_EQ(cv_inflater_end(again, &out, LIMIT), 0);
        CHECK_EQ(inflate_all(again, "\xf2\x00\x11\x00\x00", 5, LIMIT), CV_INFLATE_EDATA); /* the context is gone */
        cv_inflater_free(again);
    }
    CHECK_EQ(pool.count, 0);
    cv_inflaters_give_back(&pool, cv_inflaters_take(&pool));
    CHECK_EQ(pool.count, 1);
    cv_inflaters_deinit(&pool);
    CHECK_EQ(pool.count, 0);
    cv_inflaters_deinit(&pool);
    cv_inflater_free(NULL);
}

TEST(memory_may_run_out_anywhere)
{
    cv_deflater_t *deflater = cv_deflater_new(6, 15);
    pack(deflater, false);
    int rc = -ENOMEM;
    bool made = false;
    for (int left = 0; left < 30 && rc != 0; left++) {
        cv_inflaters_t pool;
        cv_inflaters_init(&pool);
        cv_buffer_deinit(&out);
        cv_test_memory_left = left;
        cv_inflater_t *inflater = cv_inflaters_take(&pool);
        CHECK(inflater != NULL || !made);
        made = inflater != NULL;
        rc = made ? inflate_all(inflater, packed.data, packed.len, LIMIT) : -ENOMEM;
        cv_test_memory_left = -1;
        CHECK(rc == 0 || rc == -ENOMEM);
        if (made) { /* whatever happened, it is as good as new */
            cv_inflaters_give_back(&pool, inflater);
            inflater = cv_inflaters_take(&pool);
            CHECK_EQ(inflate_all(inflater, packed.data, packed.len, LIMIT), 0);
            CHECK_EQ(out.len, sizeof data);
            cv_inflater_free(inflater);
        }
    }
    CHECK_EQ(rc, 0);
    cv_deflater_free(deflater);
}

int
main(void)
{
    RUN(what_the_rfc_shows_is_hello);
    RUN(empty_messages_have_one_byte_or_none);
    RUN(what_stands_behind_a_final_block_counts);
    RUN(the_window_outlives_a_final_block);
    RUN(what_is_no_deflate_is_refused);
    RUN(what_is_cut_off_is_refused);
    RUN(any_cut_of_the_input_gives_the_same);
    RUN(the_limit_is_exact_and_bounds_the_memory);
    RUN(a_limit_is_held_in_a_buffer_that_has_more_room);
    RUN(the_output_follows_what_is_there);
    RUN(a_bomb_ends_at_the_limit);
    RUN(a_window_is_as_large_as_was_agreed);
    RUN(the_pool_keeps_a_few_and_they_begin_anew);
    RUN(memory_may_run_out_anywhere);
    cv_buffer_deinit(&packed);
    cv_buffer_deinit(&out);
    return cv_test_end();
}
