/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdint.h>

#include "cv_test.h"
#include "cv_test_memory.h"

#include "base/buffer.c"

TEST(a_new_buffer_owns_nothing)
{
    cv_buffer_t buf;
    cv_buffer_init(&buf);
    CHECK(buf.data == NULL);
    CHECK_EQ(buf.len, 0);
    CHECK_EQ(buf.cap, 0);
    cv_buffer_deinit(&buf);
    cv_buffer_deinit(&buf);
}

TEST(appended_bytes_stay_in_order_while_it_grows)
{
    cv_buffer_t buf = CV_BUFFER_INIT;
    for (int i = 0; i < 5000; i++) {
        char byte = (char)('a' + i % 26);
        CHECK_EQ(cv_buffer_append(&buf, &byte, 1), 0);
    }
    CHECK_EQ(buf.len, 5000);
    CHECK(buf.cap >= 5000);
    for (int i = 0; i < 5000; i++) {
        CHECK_EQ(buf.data[i], 'a' + i % 26);
    }
    cv_buffer_deinit(&buf);
    CHECK(buf.data == NULL);
    CHECK_EQ(buf.cap, 0);
}

TEST(nothing_may_be_appended_from_nowhere)
{
    cv_buffer_t buf = CV_BUFFER_INIT;
    CHECK_EQ(cv_buffer_append(&buf, NULL, 0), 0);
    CHECK(buf.data == NULL);
}

TEST(reserve_keeps_what_there_is)
{
    cv_buffer_t buf = CV_BUFFER_INIT;
    CHECK_EQ(cv_buffer_append(&buf, "abc", 3), 0);
    CHECK_EQ(cv_buffer_reserve(&buf, 100000), 0);
    CHECK(buf.cap - buf.len >= 100000);
    CHECK_BYTES(buf.data, buf.len, "abc");
    char *before = buf.data;
    CHECK_EQ(cv_buffer_reserve(&buf, buf.cap - buf.len), 0);
    CHECK(buf.data == before);
    cv_buffer_deinit(&buf);
}

TEST(consume_drops_from_the_front)
{
    cv_buffer_t buf = CV_BUFFER_INIT;
    CHECK_EQ(cv_buffer_append(&buf, "hello world", 11), 0);
    cv_buffer_consume(&buf, 0);
    CHECK_BYTES(buf.data, buf.len, "hello world");
    cv_buffer_consume(&buf, 6);
    CHECK_BYTES(buf.data, buf.len, "world");
    cv_buffer_consume(&buf, 5);
    CHECK_EQ(buf.len, 0);
    CHECK_EQ(cv_buffer_append(&buf, "x", 1), 0);
    cv_buffer_consume(&buf, 99);
    CHECK_EQ(buf.len, 0);
    cv_buffer_deinit(&buf);
    cv_buffer_consume(&buf, 0);
}

TEST(without_memory_the_buffer_is_as_it_was)
{
    cv_buffer_t buf = CV_BUFFER_INIT;
    cv_test_memory_left = 0;
    CHECK_EQ(cv_buffer_append(&buf, "abc", 3), -ENOMEM);
    CHECK_EQ(buf.len, 0);
    CHECK(buf.data == NULL);
    cv_test_memory_left = 1;
    CHECK_EQ(cv_buffer_append(&buf, "abc", 3), 0);
    CHECK_EQ(cv_buffer_reserve(&buf, 1 << 20), -ENOMEM);
    CHECK_BYTES(buf.data, buf.len, "abc");
    cv_test_memory_left = -1;
    cv_buffer_deinit(&buf);
}

TEST(a_size_that_wraps_is_refused)
{
    cv_buffer_t buf = CV_BUFFER_INIT;
    CHECK_EQ(cv_buffer_append(&buf, "abc", 3), 0);
    CHECK_EQ(cv_buffer_reserve(&buf, SIZE_MAX), -ENOMEM);
    CHECK_EQ(cv_buffer_reserve(&buf, SIZE_MAX - 2), -ENOMEM);
    CHECK_EQ(cv_buffer_reserve(&buf, SIZE_MAX / 2 + 1), -ENOMEM);
    CHECK_BYTES(buf.data, buf.len, "abc");
    cv_buffer_deinit(&buf);
}

int
main(void)
{
    RUN(a_new_buffer_owns_nothing);
    RUN(appended_bytes_stay_in_order_while_it_grows);
    RUN(nothing_may_be_appended_from_nowhere);
    RUN(reserve_keeps_what_there_is);
    RUN(consume_drops_from_the_front);
    RUN(without_memory_the_buffer_is_as_it_was);
    RUN(a_size_that_wraps_is_refused);
    return cv_test_end();
}
