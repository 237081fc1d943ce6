/* SPDX-License-Identifier: MIT */
#include "cv_test.h"
#include "cv_test_memory.h"

#define CV_ZLIB_STEP ((size_t)5000) /* so that a message of some kilobytes is many steps */
#include "ws/deflater.c"

#include "ws/inflater.h"

enum { LIMIT = 1 << 24 };

static char data[60000];
static cv_buffer_t packed, plain;

/* Text of few words, or bytes without any order. */
static void
fill(bool is_text)
{
    static const char words[] = "alpha beta gamma delta {\"id\": 17, \"user\": \"epsilon\"}, ";
    unsigned state = 12345;
    for (size_t i = 0; i < sizeof data; i++) {
        state = state * 1103515245u + 12345u;
        data[i] = is_text ? words[(i + (state >> 28) / 14) % (sizeof words - 1)] : (char)(state >> 16);
    }
}

static void
inflate_again(cv_inflater_t *inflater)
{
    plain.len = 0;
    CHECK_EQ(cv_inflater_feed(inflater, packed.data, packed.len, &plain, LIMIT), 0);
    CHECK_EQ(cv_inflater_end(inflater, &plain, LIMIT), 0);
}

#define CHECK_PLAIN(expected, expected_len)                                                    \
    do {                                                                                       \
        CHECK_EQ(plain.len, expected_len);                                                     \
        CHECK(plain.len == 0 || memcmp(plain.data, expected, expected_len) == 0);              \
    } while (0)

TEST(hello_is_what_the_rfc_shows)
{
    cv_deflater_t *deflater = cv_deflater_new(6, 15);
    static const char first[] = "\xf2\x48\xcd\xc9\xc9\x07", second[] = "\xf2\x00\x11";
    packed.len = 0;
    CHECK_EQ(cv_deflater_run(deflater, "Hello", 5, true, &packed), 0);
    CHECK_EQ(packed.len, 7); /* RFC 7692 section 7.2.3.1: with the zero of the empty block */
    CHECK(memcmp(packed.data, first, 7) == 0);
    packed.len = 0;
    CHECK_EQ(cv_deflater_run(deflater, "Hello", 5, true, &packed), 0);
    CHECK_EQ(packed.len, 5); /* section 7.2.3.2: it refers to the first */
    CHECK(memcmp(packed.data, second, 3) == 0);
    cv_deflater_free(deflater);
}

TEST(without_a_context_messages_are_the_same_again)
{
    cv_deflaters_t shared;
    cv_deflaters_init(&shared, 3);
    cv_deflater_t *deflater = cv_deflaters_get(&shared, 15);
    CHECK(deflater != NULL);
    CHECK(cv_deflaters_get(&shared, 15) == deflater);
    CHECK(cv_deflaters_get(&shared, 8) != deflater);
    packed.len = 0;
    CHECK_EQ(cv_deflater_run(deflater, "Hello", 5, false, &packed), 0);
    CHECK_EQ(cv_deflater_run(deflater, "Hello", 5, false, &packed), 0);
    CHECK_EQ(packed.len, 14); /* what is there stays before it */
    CHECK(memcmp(packed.data, packed.data + 7, 7) == 0);
    cv_deflaters_deinit(&shared);
    CHECK(shared.by_bits[7] == NULL);
    cv_deflaters_deinit(&shared);
    cv_deflater_free(NULL);
}

TEST(an_empty_message_is_one_byte)
{
    for (int keeps = 0; keeps < 2; keeps++) {
        cv_deflater_t *deflater = cv_deflater_new(3, 12);
        cv_inflater_t *inflater = cv_inflater_new(12);
        for (int i = 0; i < 3; i++) {
            packed.len = 0;
            CHECK_EQ(cv_deflater_run(deflater, NULL, 0, keeps, &packed), 0);
            CHECK_EQ(packed.len, 1);
            CHECK_EQ(packed.data[0], 0);
            inflate_again(inflater);
            CHECK_PLAIN("", 0);
            packed.len = 0;
            CHECK_EQ(cv_deflater_run(deflater, "Hello", 5, keeps, &packed), 0);
            inflate_again(inflater);
            CHECK_PLAIN("Hello", 5);
        }
        cv_inflater_free(inflater);
        cv_deflater_free(deflater);
    }
}

TEST(every_window_and_level_comes_back_through_a_window_of_its_size)
{
    for (unsigned bits = 8; bits <= 15; bits++) {
        for (unsigned level = 1; level <= 9; level += 2) {
            cv_deflater_t *deflater = cv_deflater_new(level, bits);
            cv_inflater_t *inflater = cv_inflater_new(bits);
            for (int round = 0; round < 4; round++) {
                fill(round % 2 == 0);
                packed.len = 0;
                CHECK_EQ(cv_deflater_run(deflater, data, sizeof data, true, &packed), 0);
                CHECK(round % 2 == 1 || packed.len < sizeof data * 2 / 3);
                inflate_again(inflater);
                CHECK_PLAIN(data, sizeof data);
            }
            cv_inflater_free(inflater);
            cv_deflater_free(deflater);
        }
    }
}

/* A window of 256 bytes: zlib's own inflater is made for one, which it refuses to leave. */
TEST(eight_bits_are_honoured)
{
    fill(true);
    cv_deflater_t *deflater = cv_deflater_new(9, 8);
    packed.len = 0;
    CHECK_EQ(cv_deflater_run(deflater, data, sizeof data, true, &packed), 0);
    z_stream stream = {.next_in = (Bytef *)packed.data, .avail_in = (uInt)packed.len};
    CHECK_EQ(inflateInit2(&stream, -8), Z_OK);
    CHECK_EQ(cv_buffer_grow_to(&plain, sizeof data + 1), 0);
    stream.next_out = (Bytef *)plain.data;
    stream.avail_out = sizeof data + 1;
    CHECK_EQ(inflate(&stream, Z_SYNC_FLUSH), Z_OK);
    CHECK_EQ(stream.total_out, sizeof data);
    CHECK(memcmp(plain.data, data, sizeof data) == 0);
    inflateEnd(&stream);
    cv_deflater_free(deflater);
}

TEST(any_length_meets_the_ends_of_the_room)
{
    cv_deflater_t *deflater = cv_deflater_new(1, 15);
    cv_inflater_t *inflater = cv_inflater_new(15);
    fill(false); /* does not shrink, so that the first room is never enough */
    for (size_t len = 1; len < 3000; len += 1 + len / 50) {
        cv_buffer_deinit(&packed);
        CHECK_EQ(cv_buffer_grow_to(&packed, len + 5), 0);
        CHECK_EQ(cv_deflater_run(deflater, data, len, false, &packed), 0);
        inflate_again(inflater);
        CHECK_PLAIN(data, len);
    }
    for (size_t len = 4990; len < 5020; len++) { /* where a step ends */
        packed.len = 0;
        CHECK_EQ(cv_deflater_run(deflater, data, len, true, &packed), 0);
        inflate_again(inflater);
        CHECK_PLAIN(data, len);
    }
    cv_inflater_free(inflater);
    cv_deflater_free(deflater);
}

TEST(a_deflater_without_memory_is_none)
{
    cv_deflaters_t shared;
    cv_deflaters_init(&shared, 3);
    int made = 0;
    for (int left = 0; left < 20 && !made; left++) {
        cv_test_memory_left = left;
        made = cv_deflaters_get(&shared, 15) != NULL;
        cv_test_memory_left = -1;
        CHECK(made || shared.by_bits[7] == NULL);
        CHECK(made || left < 10);
    }
    CHECK(made);
    cv_deflaters_deinit(&shared);
}

TEST(levels_that_zlib_does_not_have_are_refused)
{
    CHECK(cv_deflater_new(10, 15) == NULL);
}

/* The buffer's memory is not that of this file, so a size that no memory has stands for it. */
TEST(after_an_error_the_output_is_as_before_and_the_deflater_goes_on)
{
    cv_deflater_t *deflater = cv_deflater_new(3, 15);
    cv_inflater_t *inflater = cv_inflater_new(15);
    packed.len = 0;
    CHECK_EQ(cv_deflater_run(deflater, "Hello", 5, true, &packed), 0);
    inflate_again(inflater);
    cv_buffer_t full = {.data = packed.data, .len = SIZE_MAX / 2, .cap = SIZE_MAX / 2 + 1};
    CHECK_EQ(cv_deflater_run(deflater, "Hello", 5, true, &full), -ENOMEM);
    CHECK_EQ(full.len, SIZE_MAX / 2);
    cv_buffer_t none = {.data = NULL, .len = SIZE_MAX / 2, .cap = SIZE_MAX / 2};
    CHECK_EQ(cv_deflater_run(deflater, NULL, 0, true, &none), -ENOMEM);
    CHECK_EQ(drain(&deflater->stream, Z_SYNC_FLUSH, &full), -ENOMEM);
    packed.len = 0;
    CHECK_EQ(cv_deflater_run(deflater, "Hello", 5, true, &packed), 0);
    CHECK_EQ(packed.len, 7); /* it does not refer to what the peer never got */
    inflate_again(inflater);
    CHECK_PLAIN("Hello", 5);
    cv_inflater_free(inflater);
    cv_deflater_free(deflater);
}

int
main(void)
{
    RUN(hello_is_what_the_rfc_shows);
    RUN(without_a_context_messages_are_the_same_again);
    RUN(an_empty_message_is_one_byte);
    RUN(every_window_and_level_comes_back_through_a_window_of_its_size);
    RUN(eight_bits_are_honoured);
    RUN(any_length_meets_the_ends_of_the_room);
    RUN(a_deflater_without_memory_is_none);
    RUN(levels_that_zlib_does_not_have_are_refused);
    RUN(after_an_error_the_output_is_as_before_and_the_deflater_goes_on);
    cv_buffer_deinit(&packed);
    cv_buffer_deinit(&plain);
    return cv_test_end();
}
