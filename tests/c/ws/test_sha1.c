/* SPDX-License-Identifier: MIT */
#include "ws/sha1.h"

#include <stdlib.h>

#include "cv_test.h"

static void
write_hex(const uint8_t hash[CV_SHA1_SIZE], char out[2 * CV_SHA1_SIZE + 1])
{
    for (int i = 0; i < CV_SHA1_SIZE; i++) {
        snprintf(out + (size_t)2 * i, 3, "%02x", hash[i]);
    }
}

#define CHECK_SHA1(data, len, expected)               \
    do {                                              \
        uint8_t hash[CV_SHA1_SIZE];                   \
        char hex[2 * CV_SHA1_SIZE + 1];               \
        cv_sha1((data), (len), hash);                 \
        write_hex(hash, hex);                         \
        CHECK_BYTES(hex, strlen(hex), (expected));    \
    } while (0)

/* The examples of FIPS 180. */
TEST(the_standard_s_examples)
{
    CHECK_SHA1("abc", 3, "a9993e364706816aba3e25717850c26c9cd0d89d");
    CHECK_SHA1("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56,
               "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
    CHECK_SHA1(NULL, 0, "da39a3ee5e6b4b0d3255bfef95601890afd80709");
}

TEST(a_million_of_a)
{
    char *many = malloc(1000000);
    CHECK(many != NULL);
    memset(many, 'a', 1000000);
    CHECK_SHA1(many, 1000000, "34aa973cd4c4daa4f61eeb2bdbad27316534016f");
    free(many);
}

/* The padding goes into a block of its own from 56 bytes on. Values of Python's hashlib. */
TEST(lengths_around_a_block)
{
    char x[128];
    memset(x, 'x', sizeof(x));
    CHECK_SHA1(x, 1, "11f6ad8ec52a2984abaafd7c3b516503785c2072");
    CHECK_SHA1(x, 54, "31045e7bb077ff8d188a776b196b980388735dbb");
    CHECK_SHA1(x, 55, "cef734ba81a024479e09eb5a75b6ddae62e6abf1");
    CHECK_SHA1(x, 56, "901305367c259952f4e7af8323f480d59f81335b");
    CHECK_SHA1(x, 57, "025ecbd5d70f8fb3c5457cd96bab13fda305dc59");
    CHECK_SHA1(x, 63, "0ddc4e0cccd9a12850deb5abb0853a4425559fec");
    CHECK_SHA1(x, 64, "bb2fa3ee7afb9f54c6dfb5d021f14b1ffe40c163");
    CHECK_SHA1(x, 65, "78c741ddc482e4cdf8c474a0876347a0905b6233");
    CHECK_SHA1(x, 119, "4300320394f7ee239bcdce7d3b8bcee173a0cd5c");
    CHECK_SHA1(x, 120, "ceb2821639c4b6dcb10bce0e522ca2e608ce056d");
    CHECK_SHA1(x, 128, "150fa3fbdc899bd0b8f95a9fb6027f564d953762");
}

int
main(void)
{
    RUN(the_standard_s_examples);
    RUN(a_million_of_a);
    RUN(lengths_around_a_block);
    return cv_test_end();
}
