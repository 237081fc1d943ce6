/* SPDX-License-Identifier: MIT
 *
 * The few macros that a C unit needs: checks that say where they failed, a list of tests, and memory that runs out.
 *
 *     TEST(an_empty_buffer_owns_nothing) { ... CHECK_EQ(buf.cap, 0); ... }
 *     int main(void) { RUN(an_empty_buffer_owns_nothing); return cv_test_end(); }
 *
 * A check that fails ends its test, not the program. To see what happens without memory, a test includes
 * cv_test_memory.h and then the .c file that it tests.
 */
#ifndef CUVEE_TESTS_CV_TEST_H
#define CUVEE_TESTS_CV_TEST_H

#include <setjmp.h>
#include <stdio.h>
#include <string.h>

static jmp_buf cv_test_failed;
static int cv_test_count, cv_test_failures;

static inline int
cv_test_end(void)
{
    printf("%d tests, %d failed\n", cv_test_count, cv_test_failures);
    return cv_test_failures == 0 && cv_test_count > 0 ? 0 : 1;
}

#define TEST(name) __attribute__((noinline)) static void name(void) /* apart from where setjmp is */

#define RUN(name)                             \
    do {                                      \
        cv_test_count++;                      \
        if (setjmp(cv_test_failed) == 0) {    \
            name();                           \
        } else {                              \
            cv_test_failures++;               \
            fprintf(stderr, "  in " #name "\n"); \
        }                                     \
    } while (0)

#define CV_TEST_FAIL(...)                                \
    do {                                                 \
        fprintf(stderr, "%s:%d: ", __FILE__, __LINE__);  \
        fprintf(stderr, __VA_ARGS__);                    \
        fprintf(stderr, "\n");                           \
        longjmp(cv_test_failed, 1);                      \
    } while (0)

#define CHECK(condition)                                 \
    do {                                                 \
        if (!(condition)) {                              \
            CV_TEST_FAIL("not true: %s", #condition);    \
        }                                                \
    } while (0)

/* Two whole numbers, compared and shown as long long. */
#define CHECK_EQ(actual, expected)                                                          \
    do {                                                                                    \
        long long cv_actual = (long long)(actual), cv_expected = (long long)(expected);     \
        if (cv_actual != cv_expected) {                                                     \
            CV_TEST_FAIL("%s is %lld, not %lld", #actual, cv_actual, cv_expected);          \
        }                                                                                   \
    } while (0)

/* Bytes against a string literal or another string that ends with a zero. */
#define CHECK_BYTES(data, len, expected)                                                    \
    do {                                                                                    \
        const char *cv_data = (data), *cv_expected = (expected);                            \
        size_t cv_len = (size_t)(len);                                                      \
        if (cv_len != strlen(cv_expected)                                                   \
            || (cv_len != 0 && memcmp(cv_data, cv_expected, cv_len) != 0)) {                \
            CV_TEST_FAIL("%s is\n%.*s\nnot\n%s", #data, (int)cv_len, cv_data, cv_expected); \
        }                                                                                   \
    } while (0)

#endif
